# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal by age: when, what never, what a wrong clock does, and that the plan tells what then happens."""
import pytest

import msgs
from policies import MINUTE_MS, automated, go_to, modify, next_backup, next_ms, parse, policy, quiet, settle
from world import DAY_MS, HOUR_MS

AUTOMATED = 2  # mode of a JOB
FOREVER = {"DataLevel2BackupRetentionPeriod": "-1"}


def ids(world, cluster="pc-a"):
    return [b["BackupId"] for b in automated(world, cluster)]


def fill(world, count, cluster="pc-a", **params):
    """So many automated backups, one a day; their numbers."""
    modify(world, cluster, **params)
    return [next_backup(world, cluster)["BackupId"] for _ in range(count)]


def fail_all(world):
    """From now on every create fails for good."""
    engine = world.engine
    plain = engine.on_job

    def on_job(msg):
        if msg.kind != msgs.CREATE or msg.mode != AUTOMATED:
            return plain(msg)
        engine.running(msg)
        return engine.fail(msg, retry=False)
    engine.on_job = on_job


def later(world, ms):
    go_to(world, world.wall_ms + ms)
    quiet(world)


def catch_up(world):
    """A slot that was passed by is caught up with: so there is a newer good one."""
    later(world, 5 * MINUTE_MS)


def noon(world):
    """Far from any slot of the default hour."""
    later(world, DAY_MS - (world.wall_ms - 12 * HOUR_MS) % DAY_MS)


@pytest.mark.parametrize("params, days", [
    ({"DataLevel1BackupRetentionPeriod": "3"}, 3), ({"DataLevel1BackupRetentionPeriod": "14"}, 14),
    ({"DataLevel1BackupRetentionPeriod": "3", "DataLevel2BackupRetentionPeriod": "30"}, 30)])
def test_goes_at_its_very_time(world, params, days):
    world.start()
    first, second = fill(world, 2, **params)
    item = world.backup(first)
    goes = parse(item["BackupStartTime"]) + days * DAY_MS
    assert (parse(item["ExpectExpireTime"]), item["ExpectExpireType"]) == (goes, "EXPIRE")
    go_to(world, goes - 1)
    quiet(world)
    assert first in ids(world)
    go_to(world, goes)
    quiet(world)
    assert first not in ids(world) and second in ids(world)
    world.engine.logged(f"removed by its policy: automated backups are kept for {days} days")
    jobs = world.api.ok("DescribeJobs", DBClusterId="pc-a")["Items"]["Job"]
    assert [j["Kind"] for j in jobs if j["BackupId"] == first] == ["DeleteBackup", "CreateBackup"]


def test_never_with_level_2_for_ever(world):
    world.start()
    first, *_ = fill(world, 3, **FOREVER)
    noon(world)
    assert world.backup(first)["ExpectExpireType"] == "NEVER" and "ExpectExpireTime" not in world.backup(first)
    later(world, 400 * DAY_MS)
    assert first in ids(world)


def test_policy_in_force_counts(world):
    """What was made under another one goes by the new one, at once."""
    world.start()
    made = fill(world, 10, **FOREVER)
    noon(world)
    modify(world, DataLevel1BackupRetentionPeriod="4", DataLevel2BackupRetentionPeriod="0")
    quiet(world)
    assert ids(world) == made[-4:]
    modify(world, **FOREVER)
    later(world, 3 * DAY_MS)
    assert ids(world)[:4] == made[-4:]


def test_last_good_one_stays(world):
    """Even if all later ones fail; what failed goes by its age."""
    world.start()
    made = fill(world, 3, DataLevel1BackupRetentionPeriod="3")
    fail_all(world)
    for _ in range(12):
        later(world, DAY_MS)
        good = [b for b in automated(world) if b["BackupStatus"] == "Success"]
        assert [b["BackupId"] for b in good][-1] == made[-1]
        failed = [b for b in automated(world) if b["BackupStatus"] == "Failed"]
        assert all(world.wall_ms - parse(b["BackupStartTime"]) <= 3 * DAY_MS for b in failed)
    assert [b["BackupId"] for b in good] == [made[-1]]
    assert world.backup(made[-1])["ExpectExpireType"] == "EXPIRED"
    world.restart(hold=["JOB"])
    fail_all(world)
    world.engine.release("JOB")
    later(world, DAY_MS)
    assert made[-1] in ids(world)
    manual = world.make()  # a manual one changes nothing
    later(world, DAY_MS)
    assert made[-1] in ids(world) and world.backup(manual)
    world.restart()
    while [b for b in automated(world) if b["BackupStatus"] == "Success"][-1]["BackupId"] == made[-1]:
        later(world, HOUR_MS)
    assert made[-1] not in ids(world)


def test_manual_ones_stay(world):
    world.start()
    manual = world.make()
    modify(world, DataLevel1BackupRetentionPeriod="3")
    later(world, 30 * DAY_MS)
    item = world.backup(manual)
    assert item["ExpectExpireType"] == "NEVER" and "ExpectExpireTime" not in item


def test_held_one_stays_until_released(world):
    world.start()
    first, second = fill(world, 2, DataLevel1BackupRetentionPeriod="3")
    world.api.ok("HoldBackup", BackupId=first)
    assert world.backup(first)["ExpectExpireType"] == "NEVER"
    later(world, 6 * DAY_MS + 5 * HOUR_MS)
    catch_up(world)
    assert first in ids(world) and second not in ids(world)
    world.api.ok("ReleaseBackup", BackupId=first)
    quiet(world)
    assert first not in ids(world)


def test_read_one_stays_until_the_job_is_over(world):
    world.start()
    first, second = fill(world, 2, DataLevel1BackupRetentionPeriod="3")
    plain, engine, reading = world.engine.on_job, world.engine, []

    def on_job(msg):
        if msg.kind == msgs.CLONE:
            engine.running(msg)
            reading.append(msg)
        else:
            plain(msg)
    engine.on_job = on_job
    world.api.ok("CloneBackup", BackupId=first, CloneName="c")
    settle(world)
    for ms in (6 * DAY_MS + 5 * HOUR_MS, 5 * MINUTE_MS):
        go_to(world, world.wall_ms + ms)
        settle(world)
        world.wait_jobs(1)
    assert first in ids(world) and second not in ids(world)
    engine.done(reading[0])
    quiet(world)
    assert first not in ids(world)


def test_lost_one_stays(world):
    place = world.places["pc-a"]
    world.start()
    first, *_ = fill(world, 2, DataLevel1BackupRetentionPeriod="3")
    thing = place.things.pop(first)
    world.restart()
    world.wait_state(first, "LOST")
    later(world, 5 * DAY_MS)
    assert world.backup(first)["ExpectExpireType"] == "NEVER"
    place.things[first] = thing
    world.restart()
    quiet(world)
    world.wait_jobs()
    assert first not in ids(world)


def test_disabled_removes_nothing(world):
    world.start()
    made = fill(world, 2, DataLevel1BackupRetentionPeriod="3")
    modify(world, Dbsnap_Enabled="false")
    later(world, 50 * DAY_MS)
    assert ids(world) == made
    assert world.backup(made[0])["ExpectExpireType"] == "NEVER"
    modify(world)
    quiet(world)
    assert ids(world) == made[1:]


@pytest.mark.parametrize("word, left", [("ALL", 4), ("LATEST", 1), ("NONE", 1)])
def test_retired_cluster(world, word, left):
    world.add("pc-b")
    world.start()
    made = fill(world, 4, DataLevel1BackupRetentionPeriod="14", BackupRetentionPolicyOnClusterDeletion=word)
    world.retired["pc-a"] = world.places.pop("pc-a")
    world.send_config()
    quiet(world)
    assert ids(world)[-4:] == made  # nothing at once
    assert world.backup(made[-1])["ExpectExpireType"] == ("NEVER" if left == 4 else "EXPIRE")
    later(world, 20 * DAY_MS)
    world.restart()
    quiet(world)
    assert ids(world) == made[-left:]


def test_offline_cluster_keeps_its_records(world):
    place = world.places["pc-a"]
    world.start()
    made = fill(world, 3, DataLevel1BackupRetentionPeriod="3")
    modify(world, PreferredBackupPeriod="Monday,Tuesday")
    place.state = msgs.OFFLINE
    world.restart()
    later(world, 20 * DAY_MS)
    assert ids(world) == made
    place.state = msgs.ONLINE
    later(world, HOUR_MS)  # the next probe
    assert len(ids(world)) == 1


def test_many_go_a_handful_at_a_time(make_world):
    world = make_world(max_running=4)
    world.add("pc-a")
    engine = world.start()
    modify(world, BackupFrequency="2/24H", **FOREVER)
    for _ in range(100):
        go_to(world, next_ms(world))
        quiet(world)
    noon(world)
    keep = [b["BackupId"] for b in automated(world)
            if world.wall_ms - parse(b["BackupStartTime"]) < 3 * DAY_MS]
    seen = engine.count("JOB", kind=msgs.DELETE)
    engine.hold("JOB")
    modify(world, DataLevel1BackupRetentionPeriod="3", DataLevel2BackupRetentionPeriod="0")
    settle(world)
    world.wait_jobs(8)
    engine.release("JOB")
    quiet(world)
    assert ids(world) == keep
    assert engine.count("JOB", kind=msgs.DELETE) - seen >= 100 - len(keep)


# A clock that goes ahead.

@pytest.fixture
def ahead(world):
    """Ten backups, and then a clock that is a year ahead."""
    world.start()
    world.made = fill(world, 10, DataLevel1BackupRetentionPeriod="14")
    noon(world)
    world.made = ids(world)
    world.advance(0, wall_ms=365 * DAY_MS)
    quiet(world)
    return world


def paused(world):
    return "ExpiryPaused" in policy(world)["Dbsnap"]


def test_clock_ahead_removes_nothing(ahead):
    world = ahead
    assert paused(world)
    assert "8760 hours" in policy(world)["Dbsnap"]["ExpiryPaused"]
    world.engine.logged("the clock has gone ahead by 8760 hours")
    later(world, 12 * HOUR_MS)
    assert paused(world) and ids(world)[:len(world.made)] == world.made
    assert all(e["Action"] == "Create" or parse(e["Time"]) >= world.wall_ms + 11 * HOUR_MS
               for e in policy(world)["Dbsnap"]["Plan"])
    world.advance(0, wall_ms=-365 * DAY_MS)
    quiet(world)
    assert not paused(world) and ids(world)[:len(world.made)] == world.made
    world.engine.logged("backups are removed by their age again")


def test_clock_that_stays_ahead_is_believed_in_the_end(ahead):
    world = ahead
    later(world, DAY_MS - 1)
    assert paused(world) and set(world.made) <= set(ids(world))
    later(world, 1)
    catch_up(world)
    assert not paused(world) and not set(world.made) & set(ids(world))
    assert len(ids(world)) >= 1


def test_restarts_do_not_end_the_pause(ahead):
    world = ahead
    for _ in range(5):
        world.restart()
        quiet(world)
        assert paused(world) and set(world.made) <= set(ids(world))
        later(world, HOUR_MS)
    for _ in range(21):  # nor begin it anew
        later(world, HOUR_MS)
        world.restart()
        quiet(world)
    assert not paused(world) and not set(world.made) & set(ids(world))


def test_clock_ahead_at_a_start(world):
    """It went wrong while no front ran, and came back while none ran."""
    world.start()
    made = fill(world, 3, DataLevel1BackupRetentionPeriod="14")
    world.kill()
    world.tick(1000, wall_ms=900 * DAY_MS)
    world.start()
    quiet(world)
    assert paused(world) and set(made) <= set(ids(world))
    world.kill()
    world.tick(1000, wall_ms=-900 * DAY_MS)
    world.start()
    quiet(world)
    assert not paused(world) and set(made) <= set(ids(world))


def test_machine_that_was_off_waits_a_day(world):
    """Running time begins anew with the machine: nobody can tell how long it was off."""
    world.start()
    made = fill(world, 3, DataLevel1BackupRetentionPeriod="3")
    noon(world)
    world.kill()
    world.tick(5000 - world.running_ms, wall_ms=5 * DAY_MS)
    world.start()
    quiet(world)
    assert paused(world) and set(made) <= set(ids(world))
    later(world, DAY_MS)
    catch_up(world)
    assert not paused(world) and not set(made) & set(ids(world))


def test_small_steps_of_the_clock_are_nothing(world):
    world.start()
    made = fill(world, 3, DataLevel1BackupRetentionPeriod="3")
    noon(world)
    for ms in (20 * HOUR_MS, -20 * HOUR_MS, 20 * HOUR_MS):
        world.advance(0, wall_ms=ms)
        quiet(world)
        assert not paused(world)
    later(world, 4 * DAY_MS)
    catch_up(world)
    assert not set(made) & set(ids(world))


# Plans.

@pytest.mark.parametrize("params, made", [
    ({"DataLevel1BackupRetentionPeriod": "3"}, 4),
    ({"PreferredBackupPeriod": "Monday,Thursday", "DataLevel1BackupRetentionPeriod": "3"}, 2),
    ({"BackupFrequency": "4/24H", "DataLevel1BackupRetentionPeriod": "3"}, 20),
])
def test_plan_is_what_happens(world, params, made):
    world.start()
    fill(world, made, **params)
    later(world, 7 * MINUTE_MS + 30_000)
    plan = policy(world)["Dbsnap"]["Plan"]
    before = {b["BackupId"]: b for b in automated(world)}
    assert len(plan) == int(policy(world)["Dbsnap"]["PlanTotal"]) and all(e["Reason"] for e in plan)
    wanted = sorted((parse(e["Time"]), e["Action"], e.get("BackupId")) for e in plan if e["Action"] == "Create")
    known = sorted((parse(e["Time"]), e["BackupId"]) for e in plan if "BackupId" in e)
    times = sorted({parse(e["Time"]) for e in plan})
    made_at, gone_at, ids_before = [], [], dict(before)
    for planned in times:
        go_to(world, planned - 1)
        quiet(world)
        assert {b["BackupId"] for b in automated(world)} == set(ids_before), "before its time"
        go_to(world, planned + MINUTE_MS - 1)  # the plan is to the minute
        quiet(world)
        now = {b["BackupId"]: b for b in automated(world)}
        made_at += [(planned, "Create", None) for i in now if i not in ids_before]
        gone_at += [(planned, i) for i in ids_before if i not in now and i in before]
        future = [i for i in ids_before if i not in now and i not in before]
        assert len(future) == sum(parse(e["Time"]) == planned and e["Action"] == "Remove" and "BackupId" not in e
                                  for e in plan)
        ids_before = now
    assert made_at == wanted
    assert sorted(gone_at) == known


def test_plan_tells_what_goes_when_a_job_has_read_it(world):
    """A clone that is being made keeps its backup for minutes, not from its policy."""
    world.start()
    made = fill(world, 6, **FOREVER)
    noon(world)
    world.engine.hold("JOB")
    world.api.ok("CloneBackup", BackupId=made[0], CloneName="c")
    order = world.engine.wait("JOB", kind=msgs.CLONE)
    world.engine.running(order)
    shorter = {"DataLevel1BackupRetentionPeriod": "3", "DataLevel2BackupRetentionPeriod": "0"}
    extra = world.api.ok("ModifyBackupPolicy", DBClusterId="pc-a", **shorter, **{"Dbsnap.DryRun": "true"})["Dbsnap"]
    planned = {e["BackupId"]: e for e in extra["Plan"] if e["Action"] == "Remove" and "BackupId" in e}
    at_once = [i for i in made if parse(planned[i]["Time"]) <= world.wall_ms]
    assert made[0] in at_once and planned[made[0]]["Sooner"] == "true"
    assert [i for i in made if "the job that reads it" in planned[i]["Reason"]] == [made[0]]
    modify(world, **shorter)
    settle(world)
    assert made[0] in ids(world)
    world.engine.done(order)
    world.engine.release("JOB")
    quiet(world)
    assert ids(world) == [i for i in made if i not in at_once]


def test_dry_run_changes_nothing_and_tells_what_would_go(world):
    world.start()
    made = fill(world, 10, **FOREVER)
    noon(world)
    before = policy(world)
    answer = world.api.ok("ModifyBackupPolicy", DBClusterId="pc-a", DataLevel1BackupRetentionPeriod="5",
                          DataLevel2BackupRetentionPeriod="0", PreferredBackupTime="07:00Z-08:00Z",
                          **{"Dbsnap.DryRun": "true"})
    after = policy(world)
    before.pop("RequestId"), after.pop("RequestId")
    assert before == after and ids(world) == made
    extra = answer["Dbsnap"]
    assert extra["DryRun"] == "true" and answer["PreferredBackupTime"] == "07:00Z-08:00Z"
    gone = [e for e in extra["Plan"] if e["Action"] == "Remove" and "BackupId" in e]
    assert sorted(e["BackupId"] for e in gone) == sorted(made) and all(e["Sooner"] == "true" for e in gone)
    at_once = sorted(int(e["BackupId"]) for e in gone if parse(e["Time"]) <= world.wall_ms)
    assert at_once == [int(i) for i in made[:5]]
    assert extra["SoonerTotal"] == str(len(gone))
    modify(world, DataLevel1BackupRetentionPeriod="5", DataLevel2BackupRetentionPeriod="0")
    quiet(world)
    assert ids(world) == made[5:]
    longer = world.api.ok("ModifyBackupPolicy", DBClusterId="pc-a", DataLevel1BackupRetentionPeriod="9",
                          **{"Dbsnap.DryRun": "true"})["Dbsnap"]
    assert longer["SoonerTotal"] == "0"
    off = world.api.ok("ModifyBackupPolicy", DBClusterId="pc-a", **{"Dbsnap.DryRun": "true", "Dbsnap.Enabled": "false"})
    assert "Plan" not in off["Dbsnap"]
