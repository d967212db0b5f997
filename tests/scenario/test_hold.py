# SPDX-License-Identifier: GPL-3.0-or-later
"""HoldBackup and ReleaseBackup: what is held is deleted by nobody."""
import pytest

import msgs

GONE = (400, "InvalidBackupSetID.NotFound")
STATE = (403, "OperationDenied.BackupStatus")


def call(world, action, **params):
    status, body = world.api.call(action, **params)
    return status, body.get("Code")


def is_held(world, number):
    return world.backup(number)["Dbsnap"]["Held"]


def test_held_cannot_be_deleted_until_it_is_released(world):
    world.start()
    first, second = world.make(), world.make()
    assert list(world.api.ok("HoldBackup", DBClusterId="pc-a", BackupId=first)) == ["RequestId"]
    assert (is_held(world, first), is_held(world, second)) == ("true", "false")
    status, body = world.api.call("DeleteBackup", BackupId=first)
    assert (status, body["Code"]) == STATE and f"Backup {first} is held" in body["Message"]
    assert call(world, "DeleteBackup", BackupId=f"{first},{second}") == STATE
    assert world.engine.count("JOB", kind=msgs.DELETE) == 0
    assert list(world.api.ok("ReleaseBackup", BackupId=first)) == ["RequestId"]
    assert is_held(world, first) == "false"
    world.delete(first)
    world.wait_jobs()


@pytest.mark.parametrize("action,held", [("HoldBackup", "true"), ("ReleaseBackup", "false")])
def test_twice_is_once(world, action, held):
    world.start()
    number = world.make()
    for _ in range(2):
        assert call(world, action, BackupId=number) == (200, None)
        assert is_held(world, number) == held


def test_a_hold_outlives_the_front(world):
    world.start()
    number = world.make()
    world.api.ok("HoldBackup", BackupId=number)
    world.restart()
    assert is_held(world, number) == "true"
    assert call(world, "DeleteBackup", BackupId=number) == STATE


@pytest.mark.parametrize("running", [False, True])
def test_an_unfinished_one_can_be_held_and_stays_so(world, running):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = engine.wait("JOB")
    if running:
        engine.running(order)
        engine.ping()
    world.api.ok("HoldBackup", BackupId=number)
    engine.done(order)
    world.wait_state(number, "AVAILABLE")
    assert is_held(world, number) == "true"
    assert call(world, "DeleteBackup", BackupId=number) == STATE


def test_a_lost_one_can_be_held_and_is_held_when_it_is_seen_again(world):
    place = world.places["pc-a"]
    world.start()
    number = world.make()
    thing = place.things.pop(number)
    world.restart()
    world.wait_state(number, "LOST")
    world.api.ok("HoldBackup", BackupId=number)
    assert call(world, "DeleteBackup", BackupId=number) == STATE
    place.things[number] = thing
    world.restart()
    world.wait_state(number, "AVAILABLE")
    assert is_held(world, number) == "true"


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_nothing_is_there_to_be_held(world, state):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = engine.wait("JOB")
    engine.fail(order, retry=False) if state == "FAILED" else engine.cancelled(order)
    world.wait_state(number, state)
    assert call(world, "HoldBackup", BackupId=number) == STATE
    assert call(world, "ReleaseBackup", BackupId=number) == (200, None)
    assert is_held(world, number) == "false"


def test_one_that_was_held_and_failed_can_be_released(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = engine.wait("JOB")
    world.api.ok("HoldBackup", BackupId=number)
    engine.fail(order, retry=False)
    world.wait_state(number, "FAILED")
    assert call(world, "DeleteBackup", BackupId=number) == STATE
    world.api.ok("ReleaseBackup", BackupId=number)
    assert call(world, "DeleteBackup", BackupId=number) == (200, None)


@pytest.mark.parametrize("action", ["HoldBackup", "ReleaseBackup"])
def test_what_is_not_listed(world, action):
    world.add("pc-b", file_system=8)
    engine = world.start()
    number = world.make()
    assert call(world, action) == (400, "MissingParameter")
    for backup in ("99", "x", "0", f"{number},{number}"):
        assert call(world, action, BackupId=backup) == GONE
    assert call(world, action, DBClusterId="pc-b", BackupId=number) == GONE
    engine.hold("JOB")
    world.delete(number)
    order = engine.wait("JOB", kind=msgs.DELETE)
    assert call(world, action, BackupId=number) == GONE   # its delete was accepted
    engine.done(order)
    world.wait_jobs()
    assert call(world, action, BackupId=number) == GONE   # it is a tombstone
