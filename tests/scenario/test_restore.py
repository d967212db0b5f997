# SPDX-License-Identifier: GPL-3.0-or-later
"""RestoreBackup: what is accepted, beside what it runs, and that it is never ended while it may be half done."""
import pytest

import msgs

STATE = (403, "OperationDenied.BackupStatus")


def begin(world, backup):
    return world.api.ok("RestoreBackup", BackupId=backup)["JobId"]


def job_of(world, number):
    job, = world.api.ok("DescribeJobs", JobId=number)["Items"]["Job"]
    return job


def held(world):
    """An AVAILABLE backup's number; from now on jobs wait for the test."""
    world.start()
    number = world.make()
    world.engine.hold("JOB")
    return number


def order_of(engine, **fields):
    return engine.wait("JOB", kind=msgs.RESTORE, **fields)


def test_done(world):
    world.start()
    number = world.make()
    looked = world.engine.count("CHECK", depth=msgs.LAYOUT)
    job = begin(world, number)
    world.wait_jobs()
    shown = job_of(world, job)
    assert (shown["Kind"], shown["State"], shown["BackupId"]) == ("RestoreBackup", "Done", number), shown
    assert shown["KeptPath"] == f"/srv/pc-a.before-{job}" and shown["DBClusterId"] == "pc-a"
    order, = [m for m in world.engine.seen if m.name == "JOB" and m.kind == msgs.RESTORE]
    assert order.source == world.places["pc-a"].things[number].nonce != order.nonce != bytes(16)
    assert (order.backup, order.job, order.settle) == (int(number), int(job), False)
    # What lies there now is looked at anew, and it survives the front what became of it.
    world.engine.wait_for(lambda: world.engine.count("CHECK", depth=msgs.LAYOUT) == looked + 1, what="its layout")
    world.restart()
    assert job_of(world, job)["KeptPath"] == shown["KeptPath"]


def test_what_is_refused(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    status, body = world.api.call("RestoreBackup", BackupId=number)
    assert (status, body["Code"]) == STATE and "not available" in body["Message"]
    assert world.api.call("RestoreBackup", BackupId=number, DryRun="true")[1]["Code"] == STATE[1]
    assert world.api.call("RestoreBackup", BackupId="99")[1]["Code"] == "InvalidBackupSetID.NotFound"
    engine.release("JOB")
    world.wait_state(number, "AVAILABLE")
    engine.hold("JOB")
    world.delete(number)
    assert world.api.call("RestoreBackup", BackupId=number)[1]["Code"] == "InvalidBackupSetID.NotFound"
    assert engine.count("JOB", kind=msgs.RESTORE) == 0


def test_off_unless_the_file_says_so(world):
    world.places["pc-a"].restore_in_place = False
    world.start()
    number = world.make()
    status, body = world.api.call("RestoreBackup", BackupId=number)
    assert (status, body["Code"]) == (403, "OperationDenied.Layout") and "restore: in-place" in body["Message"]
    assert world.api.ok("RestoreBackup", BackupId=number, DryRun="true")["Steps"]
    world.places["pc-a"].restore_in_place = True
    world.send_config()
    world.engine.settle()
    begin(world, number)
    world.wait_jobs()
    assert world.places["pc-a"].restored == [int(number)]


def test_plan(world):
    world.start()
    number = world.make()
    plan = world.api.ok("RestoreBackup", BackupId=number, DryRun="true")
    assert list(plan) == ["RequestId", "DBClusterId", "BackupId", "Ok", "Steps"]
    assert (plan["Ok"], plan["Steps"]) == ("true", [f"copy backup {number}", "exchange"])
    world.places["pc-a"].in_the_way = "process 7 (postgres)"
    plan = world.api.ok("RestoreBackup", BackupId=number, DryRun="true")
    assert (plan["Ok"], plan["Refusal"], plan["Remedy"]) == ("false", "process 7 (postgres)", "end it")
    question = next(m for m in world.engine.seen if m.name == "CHECK" and m.depth == msgs.PLAN)
    assert question.nonce == world.places["pc-a"].things[number].nonce
    assert world.engine.count("JOB", kind=msgs.RESTORE) == 0
    # The cluster's standing is as before: what refuses a restore refuses no backup.
    world.make()


def test_one_at_a_time_and_what_it_reads_stays(world):
    number = held(world)
    world.engine.release("JOB")
    other = world.make()
    world.engine.hold("JOB")
    job = begin(world, number)
    assert begin(world, number) == job, "asked again, it is the same"
    status, body = world.api.call("RestoreBackup", BackupId=other)
    assert (status, body["Code"]) == STATE and f"job {job}" in body["Message"], body
    assert world.api.call("DeleteBackup", BackupId=number)[1]["Code"] == STATE[1]
    world.engine.done(order_of(world.engine))
    world.wait_jobs()
    assert begin(world, other) != job
    world.engine.done(order_of(world.engine))
    world.wait_jobs()
    world.engine.release("JOB")
    world.delete(number)
    world.wait_jobs()


def test_beside_no_create_of_its_cluster(world):
    number = held(world)
    engine = world.engine
    world.create()
    create = engine.wait("JOB", kind=msgs.CREATE)
    begin(world, number)
    world.create()
    engine.settle()
    assert engine.waiting("JOB") == 0
    engine.done(create)
    first = engine.wait("JOB")
    engine.settle()
    assert engine.waiting("JOB") == 0, "a restore and a create of one source at once"
    engine.done(first)
    second = engine.wait("JOB")
    assert {first.kind, second.kind} == {msgs.CREATE, msgs.RESTORE}
    engine.done(second)
    world.wait_jobs()


def test_a_failure_tells_why(world):
    number = held(world)
    job = begin(world, number)
    world.engine.fail(order_of(world.engine), cause="process 7 (postgres)", retry=False)
    world.wait_jobs()
    shown = job_of(world, job)
    assert (shown["State"], shown["Cause"], shown["Remedy"]) == ("Failed", "process 7 (postgres)", "look")
    assert "KeptPath" not in shown


@pytest.mark.parametrize("done", [True, False])
def test_ended_in_the_dark(world, done):
    """After three such attempts the next one only finishes or undoes; until it has said so the job is open."""
    number = held(world)
    engine = world.engine
    job = begin(world, number)
    for attempt in (1, 2, 3):
        order = order_of(engine, attempt=attempt)
        assert not order.settle
        engine.unknown(order)
        engine.wait_for(lambda n=attempt: engine.count("PROBE") > n, what="a look")
        engine.settle()
        world.advance(1000)
    for attempt in (4, 5):
        order = order_of(engine, attempt=attempt)
        assert order.settle
        if attempt == 4:
            engine.unknown(order)
            engine.settle()
            assert job_of(world, job)["State"] == "Pending"
            world.advance(5000)
    if done:
        engine.done(order)
    else:
        engine.fail(order, cause="undone", retry=False)
    world.wait_jobs()
    assert job_of(world, job)["State"] == ("Done" if done else "Failed")


def test_what_keeps_it_open_is_told(world):
    """The worker could not finish: until it can, the job is open and says why."""
    number = held(world)
    engine = world.engine
    job = begin(world, number)
    engine.result(order_of(engine), msgs.UNKNOWN, code=msgs.ERR_EXISTS, cause="the old data is there", remedy="move it")
    engine.wait_for(lambda: engine.count("PROBE") > 1, what="a look")
    engine.settle()
    shown = job_of(world, job)
    assert (shown["State"], shown["Cause"], shown["Remedy"]) == ("Pending", "the old data is there", "move it"), shown
    world.advance(1000)
    engine.done(order_of(engine, attempt=2))
    world.wait_jobs()
    shown = job_of(world, job)
    assert shown["State"] == "Done" and "Cause" not in shown, shown


def test_cancelled_before_it_began(world):
    number = held(world)
    world.create()
    create = world.engine.wait("JOB", kind=msgs.CREATE)
    job = begin(world, number)
    world.api.ok("CancelJob", JobId=job)
    assert job_of(world, job)["State"] == "Cancelled"
    world.engine.done(create)
    world.wait_jobs()
    assert world.engine.count("JOB", kind=msgs.RESTORE) == 0


@pytest.mark.parametrize("restart", [False, True])
def test_cancelled_between_two_attempts(world, restart):
    """What the first one left has to be settled, also if the front that sent it is no more."""
    number = held(world)
    job = begin(world, number)
    order = order_of(world.engine)
    if restart:
        world.kill()
        world.places["pc-a"].state = msgs.OFFLINE
        world.start(hold=["JOB"])
    else:
        world.engine.fail(order)
        world.engine.settle()
    world.api.ok("CancelJob", JobId=job)
    assert job_of(world, job)["State"] == "Pending"
    world.places["pc-a"].state = msgs.ONLINE
    world.api.ok("CheckCluster", DBClusterId="pc-a")
    world.advance(1000)
    order = order_of(world.engine)
    assert order.settle
    world.engine.fail(order, cause="undone", retry=False)
    world.wait_jobs()
    assert job_of(world, job)["State"] == "Cancelled"
