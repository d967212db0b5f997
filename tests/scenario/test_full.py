# SPDX-License-Identifier: GPL-3.0-or-later
"""No room in the store: creates are refused, what is under way ends as soon as it can."""
import os
import subprocess

import pytest

import msgs
from system.harness.process import eventually
from world import open_jobs


@pytest.fixture
def small(make_world):
    """A World whose state_dir is a file system of 4 MiB of its own."""
    if os.getuid() != 0:
        pytest.skip("needs root: mounts a file system")
    world = make_world(manual_retained=9999, manual_per_day=9999, creates_per_day=9999)
    world.add("pc-a")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=4M,mode=0700,uid={world.uid},"
                    f"gid={world.gid}", "dbsnap-test", world.state_dir], check=True)
    yield world
    if world.front:
        world.kill()
    subprocess.run(["umount", world.state_dir], check=True)


def fill(world):
    """Takes every byte that is left; the file's path."""
    path = os.path.join(world.state_dir, "filler")
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


def drop_reserve(world):
    """As on a file system that promises no blocks behind the end of a file."""
    path = os.path.join(world.state_dir, "store.mdb")
    os.truncate(path, os.stat(path).st_size)


def use_up(world):
    """Creates until the pages that the store still has are used up too."""
    for _ in range(3000):
        status, answer = world.api.call("CreateBackup", DBClusterId="pc-a")
        if status != 200:
            assert (status, answer["Code"]) == (503, "ServiceUnavailable"), answer
            return
        world.acked[answer["BackupJobId"]] = "pc-a"
    raise AssertionError("the store is full and every create was taken")


def test_what_was_accepted_ends_and_goes_on_a_full_disk(small):
    world = small
    engine = world.start(hold=["JOB"])
    filler = fill(world)
    use_up(world)
    engine.release("JOB")
    # Some hundreds: each asked after by itself takes minutes.
    eventually(lambda: open_jobs(world.api.ok("DescribeStatus")) == 0, 120, "every job has ended")
    states = {b["BackupId"]: b["Dbsnap"]["State"] for b in world.api.backups("pc-a")}
    assert {states.get(number) for number in world.acked} == {"AVAILABLE"}
    world.stop()
    world.start()
    for number in list(world.acked)[:20]:
        world.delete(number)
        world.wait_state(number, None)
    assert world.api.call("CreateBackup", DBClusterId="pc-a")[0] == 503
    os.unlink(filler)
    world.wait_state(world.create(), "AVAILABLE")


def test_full_disk(small):
    world = small
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = engine.wait("JOB")
    drop_reserve(world)
    filler = fill(world)
    use_up(world)
    engine.done(order)
    engine.logged("no room")
    # Reading goes on; the end is not lost.
    assert world.backup(number)["Dbsnap"]["State"] == "PENDING"
    for pause in (1000, 2000, 4000):
        world.advance(pause)
        engine.settle()
        assert world.backup(number)["Dbsnap"]["State"] == "PENDING"
    os.unlink(filler)
    world.advance(8000)
    world.wait_state(number, "AVAILABLE")
    engine.release("JOB")
    for acked in world.acked:
        world.wait_state(acked, "AVAILABLE")
    assert len(world.places["pc-a"].made) == len(world.acked)


def test_a_delete_is_answered_after_its_commit(small):
    """What a full disk refuses is there, what was answered is not, whoever looks later."""
    world = small
    engine = world.start()
    numbers = [world.make() for _ in range(12)]
    engine.hold("JOB")
    drop_reserve(world)
    filler = fill(world)
    use_up(world)
    refused = []
    for number in numbers:
        status, answer = world.api.call("DeleteBackup", DBClusterId="pc-a", BackupId=number)
        if status != 200:
            assert (status, answer["Code"]) == (503, "ServiceUnavailable"), answer
            refused.append(number)
    assert refused
    world.kill()
    os.unlink(filler)
    world.start(hold=["JOB"])
    listed = {item["BackupId"] for item in world.api.backups("pc-a")}
    assert listed & set(numbers) == set(refused)
    # And every create that was answered has its record.
    assert set(world.acked) - set(numbers) <= listed


def test_an_end_may_use_the_last_of_the_map(make_world):
    many = 100_000
    world = make_world(manual_retained=many, manual_per_day=many, creates_per_day=many, map_size=4 << 20)
    cluster = "pc-" + 60 * "a"          # a long name and long tokens: full sooner
    world.add(cluster).size_known = True
    engine = world.start(hold=["JOB"])
    number = world.create(cluster)
    order = engine.wait("JOB")
    waiting = []
    while (answer := world.api.call("CreateBackup", DBClusterId=cluster,
                                    ClientToken=f"{len(waiting):064}"))[0] == 200:
        waiting.append(answer[1]["BackupJobId"])
    for job in waiting:
        world.api.ok("CancelJob", JobId=job)
        status, answer = world.api.call("DeleteBackup", BackupId=job)
        if status != 200:
            break
    assert (status, answer["Code"]) == (503, "ServiceUnavailable")
    engine.done(order)
    world.wait_state(number, "AVAILABLE", cluster)


def test_full_disk_and_a_death(small):
    world = small
    engine = world.start(hold=["JOB"])
    number = world.create()
    drop_reserve(world)
    filler = fill(world)
    use_up(world)
    engine.done(engine.wait("JOB"))
    engine.logged("no room")
    # The next front finds it on disk, and writes that down as soon as there is room: now, if
    # the store had pages to use again, else after a pause.
    engine = world.restart(hold=["JOB"])
    os.unlink(filler)
    world.advance(2000)
    world.wait_state(number, "AVAILABLE")
    assert engine.count("JOB", kind=msgs.CREATE, backup=int(number)) == 0
