# SPDX-License-Identifier: GPL-3.0-or-later
"""CancelJob and DescribeJobs of every kind of job in each of its states."""
import pytest

from disk import Thing
import msgs

STATE = (403, "OperationDenied.BackupStatus")
KINDS = {"CreateBackup": msgs.CREATE, "CloneBackup": msgs.CLONE, "VerifyBackup": msgs.VERIFY, "DeleteBackup": msgs.DELETE,
         "DeleteClone": msgs.DELETE_CLONE, "DeleteQuarantined": msgs.DELETE_QUARANTINED}
MAKING = ["CreateBackup", "CloneBackup", "VerifyBackup"]
REMOVING = ["DeleteBackup", "DeleteClone", "DeleteQuarantined"]


@pytest.fixture
def ready(make_world):
    """A backup with a clone and one without, and one in quarantine; one job at a time; jobs wait for the test."""
    world = make_world(max_running=1, manual_per_day=9, manual_retained=9)
    world.add("pc-a").things["500"] = Thing(msgs.BACKUP, 500, b"q" * 16, {"mode": 1})
    world.add("pc-b", file_system=8)
    engine = world.start()
    world.base, world.spare = world.make(), world.make()
    world.api.ok("CloneBackup", BackupId=world.base, CloneName="there")
    world.wait_jobs()
    engine.hold("JOB", "CANCEL")
    return world


def begin(world, kind):
    """The job's number, once it is accepted."""
    params = {"CreateBackup": {"DBClusterId": "pc-a"}, "CloneBackup": {"BackupId": world.base, "CloneName": "new"},
              "VerifyBackup": {"BackupId": world.base},
              "DeleteBackup": {"BackupId": world.spare}, "DeleteClone": {"CloneName": "there"},
              "DeleteQuarantined": {"DBClusterId": "pc-a", "Name": "500"}}[kind]
    world.api.ok(kind, **params)
    return world.api.ok("DescribeJobs", DBClusterId="pc-a")["Items"]["Job"][0]["JobId"]


def job(world, number):
    return world.api.ok("DescribeJobs", JobId=number)["Items"]["Job"][0]


def cancel(world, number):
    status, body = world.api.call("CancelJob", JobId=number)
    return status, body.get("Code")


def bring(world, kind, state):
    """(number, order or None) of a job in that state."""
    engine = world.engine
    if state == "pending":
        world.api.ok("CreateBackup", DBClusterId="pc-b")
        engine.wait("JOB", cluster="pc-b")
        return begin(world, kind), None
    number = begin(world, kind)
    order = engine.wait("JOB", kind=KINDS[kind])
    if state in ("running", "between"):
        engine.running(order)
        engine.progress(order, msgs.CUTTING, 40, 4, 10)
        engine.ping()
    if state == "between":
        engine.fail(order, cause="the first time", retry=True)
        engine.logged("again in")
        engine.ping()
        return number, None
    return number, order


SHOWN = {"pending": "Pending", "sent": "Pending", "running": "Running", "between": "Pending"}


@pytest.mark.parametrize("kind", MAKING)
@pytest.mark.parametrize("state", SHOWN)
def test_what_makes_something_is_cancelled(ready, kind, state):
    number, order = bring(ready, kind, state)
    shown = job(ready, number)
    assert (shown["Kind"], shown["State"], shown["DBClusterId"]) == (kind, SHOWN[state], "pc-a")
    assert shown.get("Cause") == ("the first time" if state == "between" else None)
    assert cancel(ready, number) == (200, None)
    if order:
        assert job(ready, number)["State"] == SHOWN[state]      # it is asked to stop, and may still succeed
        assert cancel(ready, number) == (200, None)             # asking twice is asking once
        ready.engine.wait("CANCEL", job=int(number))
        ready.engine.settle()
        assert ready.engine.waiting("CANCEL") == 0
        ready.engine.cancelled(order)
        ready.engine.ping()
    shown = job(ready, number)
    assert shown["State"] == "Cancelled" and shown["EndTime"] and shown["Phase"] == "Finished"
    assert shown["Cause"] == "it was cancelled"
    assert cancel(ready, number) == STATE
    if kind == "CloneBackup":                                    # and its backup is free again
        clone, = [c for c in ready.api.ok("DescribeClones")["Items"]["Clone"] if c["CloneName"] == "new"]
        assert clone["State"] == "Failed" and clone["Cause"] == "it was cancelled"
        assert ready.api.call("DeleteBackup", BackupId=ready.base)[0] == 200
    elif kind == "VerifyBackup":
        assert "Verified" not in ready.backup(ready.base)["Dbsnap"]
    else:
        assert ready.backup(number)["Dbsnap"]["State"] == "CANCELLED"


@pytest.mark.parametrize("kind", REMOVING)
@pytest.mark.parametrize("state", SHOWN)
def test_what_removes_something_is_not(ready, kind, state):
    number, order = bring(ready, kind, state)
    assert (job(ready, number)["Kind"], job(ready, number)["State"]) == (kind, SHOWN[state])
    assert cancel(ready, number) == STATE
    ready.engine.settle()
    assert ready.engine.waiting("CANCEL") == 0
    if order:
        ready.engine.done(order)
        ready.engine.ping()
        assert job(ready, number)["State"] == "Done" and job(ready, number)["Percent"] == "100"
        assert cancel(ready, number) == STATE


@pytest.mark.parametrize("kind", MAKING)
def test_a_failure_has_cause_and_remedy(ready, kind):
    number, order = bring(ready, kind, "running")
    assert (job(ready, number)["Percent"], job(ready, number)["BytesDone"], job(ready, number)["BytesTotal"]) == \
        ("40", "4", "10")
    ready.engine.fail(order, cause="the server said no", retry=False)
    ready.engine.ping()
    shown = job(ready, number)
    assert (shown["State"], shown["Cause"], shown["Remedy"]) == ("Failed", "the server said no", "look")
    assert shown["Attempts"] == "1" and len(shown["RequestId"]) == 36


@pytest.mark.parametrize("kind", MAKING)
def test_a_failure_that_was_made_good_is_no_cause(ready, kind):
    number, _ = bring(ready, kind, "between")
    ready.advance(100)
    ready.engine.done(ready.engine.wait("JOB", kind=KINDS[kind]))
    ready.engine.ping()
    shown = job(ready, number)
    assert shown["State"] == "Done" and "Cause" not in shown and shown["Attempts"] == "2"


@pytest.mark.parametrize("kind", MAKING)
def test_cancelled_too_late(ready, kind):
    number, order = bring(ready, kind, "running")
    assert cancel(ready, number) == (200, None)
    ready.engine.done(order)
    ready.engine.ping()
    assert job(ready, number)["State"] == "Done"
