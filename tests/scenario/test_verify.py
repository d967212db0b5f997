# SPDX-License-Identifier: GPL-3.0-or-later
"""VerifyBackup: its job, its record, what a dead attempt leaves, and the schedule."""
import pytest

from disk import Thing
import msgs
from policies import settle
from world import DAY_MS, HOUR_MS

STATE = (403, "OperationDenied.BackupStatus")


def verify(world, number, **params):
    return world.api.ok("VerifyBackup", BackupId=number, **params)["JobId"]


def job(world, number):
    return world.api.ok("DescribeJobs", JobId=number)["Items"]["Job"][0]


def verified(world, number, cluster="pc-a"):
    return world.backup(number, cluster)["Dbsnap"].get("Verified")


@pytest.fixture
def held(world):
    """A backup 1, jobs wait for the test."""
    world.start()
    world.make()
    world.engine.hold("JOB")
    return world


def test_good(held):
    number = verify(held, "1")
    order = held.engine.wait("JOB")
    assert (order.kind, order.backup, order.clone) == (msgs.VERIFY, 1, f"verify-{number}")
    assert order.nonce == order.source == held.places["pc-a"].things["1"].nonce
    assert verified(held, "1") is None
    held.engine.running(order)
    held.engine.progress(order, msgs.CHECKING, 70)
    held.engine.ping()
    shown = job(held, number)
    assert (shown["Kind"], shown["State"], shown["Percent"]) == ("VerifyBackup", "Running", "70")
    assert "CloneName" not in shown
    held.engine.done(order)
    held.wait_jobs()
    assert job(held, number)["State"] == "Done"
    found = verified(held, "1")
    assert found.pop("At")
    assert found == {"By": "uid:0", "Result": "Good", "Checked": "all of it"}
    held.restart()
    assert verified(held, "1")["Result"] == "Good"


def test_bad_is_loud_and_stays_available(held):
    verify(held, "1")
    order = held.engine.wait("JOB")
    held.engine.result(order, msgs.DONE, verdict=msgs.BAD, checked="it", found="page 3\npage 4")
    held.wait_jobs()
    found = verified(held, "1")
    assert (found["Result"], found["Found"]) == ("Bad", ["page 3", "page 4"])
    assert held.backup("1")["Dbsnap"]["State"] == "AVAILABLE"
    line = held.engine.logged("BAD")
    assert line.level == 3 and "page 3" in line.text and line.backup == 1


def test_without_a_verdict_it_is_not_good(held):
    verify(held, "1")
    held.engine.result(held.engine.wait("JOB"), msgs.DONE)
    held.wait_jobs()
    assert verified(held, "1")["Result"] == "Bad"


def test_what_could_not_be_carried_out_says_nothing(held):
    number = verify(held, "1")
    held.engine.fail(held.engine.wait("JOB"), cause="no room", retry=False)
    held.wait_jobs()
    shown = job(held, number)
    assert (shown["State"], shown["Cause"], shown["Remedy"]) == ("Failed", "no room", "look")
    assert verified(held, "1") is None


def test_it_keeps_what_was_known_before(held):
    verify(held, "1")
    held.engine.done(held.engine.wait("JOB"))
    held.wait_jobs()
    verify(held, "1")
    held.engine.fail(held.engine.wait("JOB"), retry=False)
    held.wait_jobs()
    assert verified(held, "1")["Result"] == "Good"


def test_it_pins_its_backup(held):
    verify(held, "1")
    order = held.engine.wait("JOB")
    status, body = held.api.call("DeleteBackup", BackupId="1")
    assert (status, body["Code"]) == STATE
    held.engine.done(order)
    held.wait_jobs()
    assert held.api.call("DeleteBackup", BackupId="1")[0] == 200


def test_twice_is_the_same_job(held):
    first = verify(held, "1")
    assert verify(held, "1") == first
    held.engine.done(held.engine.wait("JOB"))
    held.wait_jobs()
    assert verify(held, "1") != first


def test_only_an_available_one(held):
    held.create()
    for number, expected in (("2", STATE), ("99", (400, "InvalidBackupSetID.NotFound"))):
        status, body = held.api.call("VerifyBackup", BackupId=number)
        assert (status, body["Code"]) == expected


def test_it_runs_beside_a_create(held):
    held.create()
    create = held.engine.wait("JOB")
    verify(held, "1")
    assert held.engine.wait("JOB").kind == msgs.VERIFY
    held.engine.done(create)
    held.wait_state("2", "AVAILABLE")


def test_its_name_is_nobody_else_s(held):
    status, body = held.api.call("CloneBackup", BackupId="1", CloneName="verify-7")
    assert (status, body["Code"]) == (400, "InvalidCloneName.Malformed")
    assert held.api.call("CloneBackup", BackupId="1", CloneName="verify-it")[0] == 200


# ---- what dies leaves nothing ----

def leftover(world):
    return [name for name in world.places["pc-a"].things if "verify-" in name]


def test_an_attempt_that_died_is_repeated_three_times(held):
    number = verify(held, "1")
    for _ in range(3):
        order = held.engine.wait("JOB")
        held.places["pc-a"].begin_verify(order)
        held.engine.unknown(order)
        held.engine.settle()
        held.advance(2000)
    held.wait_jobs(1)                              # the removal of what the last one left
    assert job(held, number)["State"] == "Failed" and verified(held, "1") is None
    removal = held.engine.wait("JOB")
    assert (removal.kind, removal.backup, removal.clone) == (msgs.DELETE_CLONE, 0, f"verify-{number}")
    held.engine.done(removal)
    held.wait_jobs()
    assert leftover(held) == [] and held.backup("1")["Dbsnap"]["State"] == "AVAILABLE"


def test_a_dead_engine_s_attempt_goes_on(held):
    verify(held, "1")
    held.places["pc-a"].begin_verify(held.engine.wait("JOB"))
    held.restart()
    held.wait_jobs()
    assert leftover(held) == [] and verified(held, "1")["Result"] == "Good"


def test_a_cancelled_one_that_left_something_is_cleaned(held):
    number = verify(held, "1")
    order = held.engine.wait("JOB")
    held.places["pc-a"].begin_verify(order)
    held.engine.unknown(order)
    held.engine.settle()
    assert held.api.call("CancelJob", JobId=number)[0] == 200
    removal = held.engine.wait("JOB")
    if removal.kind == msgs.VERIFY:
        held.engine.cancelled(removal)
    else:
        assert (removal.kind, removal.clone) == (msgs.DELETE_CLONE, f"verify-{number}")
        held.engine.done(removal)
    held.wait_jobs()
    assert leftover(held) == [] and "1" in held.places["pc-a"].things


def test_a_leftover_of_no_job_is_removed_not_quarantined(world):
    world.places["pc-a"].things["clones/.verify-77"] = Thing(msgs.CLONE_PARTIAL, 1, b"n" * 16)
    world.start()
    world.wait_jobs()
    assert leftover(world) == []
    assert world.api.ok("DescribeQuarantine")["TotalRecordCount"] == "0"


# ---- by schedule ----

@pytest.fixture
def weekly(world):
    world.settings["manual_retained"] = world.settings["manual_per_day"] = 100
    world.places["pc-a"].verify_every_ms = 7 * DAY_MS
    return world


def results(world, cluster="pc-a"):
    return {b["BackupId"]: b["Dbsnap"].get("Verified", {}).get("By") for b in world.api.backups(cluster)}


def test_off_by_default(world):
    world.start()
    world.make()
    world.advance(400 * DAY_MS)
    settle(world)
    assert world.engine.count("JOB", kind=msgs.VERIFY) == 0


def test_the_newest_that_was_never_verified(weekly):
    weekly.start()
    first = weekly.make()
    settle(weekly)
    assert results(weekly) == {first: "schedule"}
    second, third = weekly.make(), weekly.make()
    weekly.advance(7 * DAY_MS - HOUR_MS)
    settle(weekly)
    assert weekly.engine.count("JOB", kind=msgs.VERIFY) == 1
    weekly.advance(HOUR_MS)
    settle(weekly)
    assert results(weekly) == {first: "schedule", second: None, third: "schedule"}
    weekly.advance(7 * DAY_MS)
    settle(weekly)
    assert results(weekly)[second] == "schedule"
    weekly.advance(30 * DAY_MS)
    settle(weekly)
    assert weekly.engine.count("JOB", kind=msgs.VERIFY) == 3


def test_one_by_hand_counts(weekly):
    weekly.start(hold=["JOB"])
    number = weekly.create()
    weekly.engine.done(weekly.engine.wait("JOB"))
    weekly.wait_state(number, "AVAILABLE")
    weekly.engine.release("JOB")
    settle(weekly)
    second = weekly.make()
    verify(weekly, second)
    settle(weekly)
    third = weekly.make()
    weekly.advance(6 * DAY_MS)
    settle(weekly)
    assert results(weekly)[third] is None


def test_a_restart_remembers(weekly):
    weekly.start()
    weekly.make()
    settle(weekly)
    weekly.make()
    weekly.restart()
    settle(weekly)
    assert weekly.engine.count("JOB", kind=msgs.VERIFY) == 0
    weekly.advance(7 * DAY_MS)
    settle(weekly)
    assert weekly.engine.count("JOB", kind=msgs.VERIFY) == 1


def test_what_fails_is_tried_again_after_an_hour(weekly):
    weekly.start()
    weekly.engine.hold("JOB")
    weekly.create()
    weekly.engine.done(weekly.engine.wait("JOB"))
    weekly.engine.fail(weekly.engine.wait("JOB", kind=msgs.VERIFY), retry=False)
    weekly.wait_jobs()
    weekly.advance(HOUR_MS - 1000)
    weekly.engine.settle()
    assert weekly.engine.waiting("JOB") == 0
    weekly.advance(1000)
    weekly.engine.done(weekly.engine.wait("JOB", kind=msgs.VERIFY))
    weekly.wait_jobs()
    assert verified(weekly, "1")["Result"] == "Good"


def test_one_at_a_time_on_this_host(weekly):
    weekly.add("pc-b", file_system=8).verify_every_ms = DAY_MS
    weekly.settings["max_running"] = 8
    weekly.start()
    weekly.engine.hold("JOB")
    for cluster in ("pc-a", "pc-b"):
        weekly.create(cluster)
        weekly.engine.done(weekly.engine.wait("JOB", cluster=cluster, kind=msgs.CREATE))
    weekly.engine.settle()
    order = weekly.engine.wait("JOB", kind=msgs.VERIFY)
    weekly.engine.settle()
    assert weekly.engine.waiting("JOB") == 0
    weekly.engine.done(order)
    other = weekly.engine.wait("JOB", kind=msgs.VERIFY)
    assert {order.cluster, other.cluster} == {"pc-a", "pc-b"}
    weekly.engine.done(other)
    weekly.wait_jobs()


def test_an_offline_cluster_waits(weekly):
    place = weekly.places["pc-a"]
    weekly.start()
    weekly.engine.hold("JOB")
    number = weekly.create()
    weekly.engine.done(weekly.engine.wait("JOB"))
    order = weekly.engine.wait("JOB", kind=msgs.VERIFY)
    place.state = msgs.OFFLINE
    weekly.engine.fail(order, retry=False)
    weekly.restart()
    weekly.advance(2 * HOUR_MS)
    weekly.engine.settle()
    assert weekly.engine.count("JOB", kind=msgs.VERIFY) == 0
    place.state = msgs.ONLINE
    weekly.advance(HOUR_MS)
    settle(weekly)
    assert verified(weekly, number)["Result"] == "Good"


def test_a_clock_set_back_is_not_waited_for(weekly):
    weekly.start()
    weekly.make()
    settle(weekly)
    second = weekly.make()
    weekly.advance(0, wall_ms=-300 * DAY_MS)
    weekly.engine.settle()
    weekly.advance(7 * DAY_MS)
    settle(weekly)
    assert results(weekly)[second] == "schedule"
