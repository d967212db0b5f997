# SPDX-License-Identifier: GPL-3.0-or-later
"""dbsnapd-api(7): its commands work, and it names every operation and every error code."""
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

from disk import Thing
import msgs

SRCDIR = os.environ["DBSNAP_SRCDIR"]


def read(name):
    with open(os.path.join(SRCDIR, name), encoding="utf-8") as file:
        return file.read()


PAGE = read("man/dbsnapd-api.7")
COMMANDS = re.findall(r"^curl .*? \\e\n .*$", PAGE, re.M)


def action(command):
    return re.search(r"Action=(\w+)", command).group(1)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("command", COMMANDS, ids=action)
def test_command(make_world, command):
    world = make_world()
    world.add("pc-orders")
    world.start()
    line = command.replace("\\e\n", " ").replace("/run/dbsnap/dbsnapd.sock", world.path)
    done = subprocess.run(shlex.split(line) + ["-sS"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    # What names a backup, clone or job that is not there is told so, and nothing else is wrong.
    assert answer.get("Code", "NotFound").endswith("NotFound"), answer


def test_every_operation_has_a_command():
    names = dict(re.findall(r'\[OPERATION_(\w+)\] = \w+\("(\w+)"\)', read("common/operation.c")))
    rows = re.findall(r"^\t\{OPERATION_(\w+), API_LEVEL", read("daemon/front/api.c"), re.M)
    assert len(rows) >= 13
    assert sorted(names[row] for row in rows) == sorted({action(c) for c in COMMANDS})


def names_in(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def test_every_field_of_an_answer_is_described(make_world):
    """What a daemon with something of everything answers, in the words of the page's operations."""
    world = make_world(manual_per_day=9, manual_retained=9)
    place = world.add("pc-orders")
    place.things["500"] = Thing(msgs.BACKUP, 500, b"q" * 16, {"mode": 1, "accepted_ms": world.wall_ms, "size": 9,
                                                              "size_known": True, "consistent_ms": world.wall_ms})
    place.things["notes"] = Thing(msgs.STRANGER, 0, bytes(16))
    world.add("pc-gone", file_system=8).state = msgs.OFFLINE
    engine = world.start()
    number = world.make("pc-orders")
    world.api.ok("CloneBackup", BackupId=number, CloneName="c")
    world.wait_jobs()
    engine.hold("JOB")
    world.create("pc-orders")
    order = engine.wait("JOB")
    engine.running(order)
    engine.progress(order, msgs.CUTTING, 40, 4, 10)
    engine.fail(order, retry=False)
    engine.wait_for(lambda: world.api.ok("DescribeStatus")["Jobs"]["Running"] == "0")
    world.api.ok("DeleteQuarantined", DBClusterId="pc-orders", Name="500")
    world.api.ok("ModifyBackupPolicy", DBClusterId="pc-orders", PreferredBackupTime="02:00Z-03:00Z")
    found = set()
    for name in sorted({action(c) for c in COMMANDS}):
        if name.startswith(("Describe", "Check")):
            found |= set(names_in(world.api.ok(name, DBClusterId="pc-orders")))
    for name in ("DescribeQuarantine", "DescribeStatus", "DescribeDBClusters"):
        found |= set(names_in(world.api.ok(name)))
    assert len(found) > 90
    text = PAGE[PAGE.index(".Sh DESCRIPTION"):PAGE.index(".Sh ERROR CODES")]
    assert not [name for name in sorted(found) if not re.search(rf"\b{name}\b", text)]


def test_every_code_is_listed():
    table = read("daemon/front/reply.c")
    codes = set(re.findall(r'\{\d+, "([\w.]+)"', table))
    assert len(codes) > 20
    section = PAGE[PAGE.index(".Sh ERROR CODES"):PAGE.index(".Sh DIFFERENCES FROM THE CLOUD")]
    listed = set(re.findall(r"^\.It ([\w.]+) Ta", section, re.M))
    malformed = {"InvalidBackupType.Malformed", "InvalidBackupMethod.Malformed"}  # by their pattern
    assert codes - malformed == listed - {"Code"}
