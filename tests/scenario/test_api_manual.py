# SPDX-License-Identifier: GPL-3.0-or-later
"""dbsnapd-api(7): its commands work, and it names every operation and every error code."""
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

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


def test_every_code_is_listed():
    table = read("daemon/front/reply.c")
    codes = set(re.findall(r'\{\d+, "([\w.]+)"', table))
    assert len(codes) > 20
    listed = set(re.findall(r"^\.It ([\w.]+) Ta", PAGE, re.M))
    malformed = {"InvalidBackupType.Malformed", "InvalidBackupMethod.Malformed"}  # by their pattern
    assert codes - malformed == listed - {"Code"}
