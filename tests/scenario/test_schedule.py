# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies: their parameters, automated backups at their slots, catching up, retries."""
import pytest

import msgs
from policies import (ALL_DAYS, MINUTE_MS, automated, go_to, modify, next_backup, next_ms, parse, policy,
                      quiet, settle, slot)
from system.harness.process import eventually
from world import DAY_MS, HOUR_MS

LATE_MS = 5 * MINUTE_MS  # and the most that catching up is spread over


def refused(world, expected, *sentence, **params):
    before = policy(world)
    status, answer = world.api.call("ModifyBackupPolicy", DBClusterId="pc-a", **params)
    assert (status, answer["Code"]) == (400, expected), answer
    for part in sentence:
        assert part in answer["Message"]
    after = policy(world)
    before.pop("RequestId"), after.pop("RequestId")
    assert before == after


@pytest.mark.parametrize("name, values", [
    ("PreferredBackupTime", ["2:00Z-3:00Z", "02:00Z", "02:00Z-04:00Z", "02:30Z-03:30Z", "24:00Z-25:00Z", "25:00Z-26:00Z",
                             "02:00-03:00", "02:00Z-03:00Z ", "-1:00Z-00:00Z", "x"]),
    ("DataLevel1BackupTime", ["02:00Z"]),
    ("PreferredBackupPeriod", ["Monday", "Monday,Monday", "monday,Tuesday", "Monday,", ",Monday", "Monday Tuesday",
                               "Mon,Tue", "Monday,Tuesday,Monday", ALL_DAYS + ",", ALL_DAYS + ",Monday"]),
    ("DataLevel1BackupPeriod", ["Friday"]),
    ("DataLevel1BackupRetentionPeriod", ["2", "15", "-1", "07", "7.0", "+7", " 7", "x", "99999999999999999999"]),
    ("DataLevel2BackupRetentionPeriod", ["1", "29", "7301", "-2", "00", "x", "-01", "65565"]),
    ("BackupFrequency", ["normal", "1/24H", "2/24h", "5/24H", "24"]),
    ("DataLevel1BackupFrequency", ["6/24H"]),
    ("BackupRetentionPolicyOnClusterDeletion", ["none", "SOME"]),
    ("BackupPolicyLevel", ["normal"]),
    ("Dbsnap.Enabled", ["yes", "0"]),
    ("Dbsnap.DryRun", ["1"]),
])
def test_malformed(world, name, values):
    world.start()
    for value in values:
        refused(world, f"Invalid{name}.Malformed", **{name: value})


def test_refused_together(world):
    world.start()
    refused(world, "InvalidParameter", "same thing", PreferredBackupTime="02:00Z-03:00Z",
            DataLevel1BackupTime="03:00Z-04:00Z")
    refused(world, "InvalidParameter", PreferredBackupPeriod="Monday,Friday", DataLevel1BackupPeriod="Monday,Sunday")
    refused(world, "InvalidParameter", BackupFrequency="Normal", DataLevel1BackupFrequency="2/24H")
    refused(world, "InvalidPreferredBackupPeriod.Malformed", "seven", BackupFrequency="2/24H",
            PreferredBackupPeriod="Monday,Friday")
    refused(world, "UnsupportedParameter", BackupPolicyLevel="Advanced")
    modify(world, BackupFrequency="3/24H")
    refused(world, "InvalidDataLevel1BackupPeriod.Malformed", "seven", DataLevel1BackupPeriod="Monday,Friday")
    status, answer = world.api.call("ModifyBackupPolicy", DBClusterId="pc-none")
    assert (status, answer["Code"]) == (404, "InvalidDBClusterId.NotFound")
    status, answer = world.api.call("ModifyBackupPolicy")
    assert (status, answer["Code"]) == (400, "MissingParameter")


def test_what_is_not_given_stays(world):
    world.start()
    modify(world, PreferredBackupTime="23:00Z-24:00Z", DataLevel1BackupRetentionPeriod="14")
    modify(world, DataLevel1BackupPeriod="Sunday,Monday,Wednesday", DataLevel2BackupRetentionPeriod="30")
    modify(world, BackupRetentionPolicyOnClusterDeletion="LATEST")
    for _ in range(2):
        answer = policy(world)
        assert answer["PreferredBackupTime"] == answer["DataLevel1BackupTime"] == "23:00Z-00:00Z"
        assert answer["PreferredBackupPeriod"] == answer["DataLevel1BackupPeriod"] == "Monday,Wednesday,Sunday"
        assert answer["BackupFrequency"] == answer["DataLevel1BackupFrequency"] == "Normal"
        assert (answer["BackupRetentionPeriod"], answer["DataLevel1BackupRetentionPeriod"]) == (14, "14")
        assert answer["DataLevel2BackupRetentionPeriod"] == "30"
        assert answer["BackupRetentionPolicyOnClusterDeletion"] == "LATEST"
        assert answer["Dbsnap"]["Enabled"] == "true"
        world.restart()
    modify(world, BackupFrequency="4/24H")  # on all days
    assert policy(world)["PreferredBackupPeriod"] == ALL_DAYS
    modify(world, Dbsnap_Enabled="false")
    answer = policy(world)
    assert answer["Dbsnap"] == {"Enabled": "false"} and "PreferredNextBackupTime" not in answer
    assert answer["BackupFrequency"] == "4/24H"
    modify(world, PreferredBackupTime="23:00Z-00:00Z", DataLevel1BackupTime="23:00Z-00:00Z")
    assert policy(world)["Dbsnap"]["Enabled"] == "true"


def test_daily_at_a_minute_of_the_hour(world):
    world.start()
    modify(world, PreferredBackupTime="05:00Z-06:00Z")
    assert automated(world) == []
    minutes = set()
    for _ in range(20):
        planned = next_ms(world)
        go_to(world, planned - 1)
        quiet(world)
        count = len(automated(world))
        go_to(world, planned)
        quiet(world)
        made = automated(world)
        assert len(made) in (count, count + 1)
        newest = made[-1]
        assert parse(newest["BackupStartTime"]) == planned and newest["Dbsnap"]["State"] == "AVAILABLE"
        assert planned // HOUR_MS % 24 == 5
        minutes.add(planned // MINUTE_MS % 60)
    assert len(minutes) > 5
    job = world.api.ok("DescribeBackupTasks", DBClusterId="pc-a", BackupMode="Automated")["Items"]["BackupJob"][0]
    assert (job["JobMode"], job["TaskAction"]) == ("Automated", "NormalBackupTask")


@pytest.mark.parametrize("frequency, hours", [("2/24H", 2), ("3/24H", 3), ("4/24H", 4)])
def test_every_few_hours(world, frequency, hours):
    world.start()
    modify(world, BackupFrequency=frequency, PreferredBackupTime="01:00Z-02:00Z")
    slots = [slot(next_backup(world)) for _ in range(30)]
    assert all(b - a == hours * HOUR_MS for a, b in zip(slots, slots[1:]))
    assert all((s // HOUR_MS - 1) % hours == 0 for s in slots)


def test_days(world):
    world.start()
    modify(world, PreferredBackupPeriod="Tuesday,Saturday")
    days = [slot(next_backup(world)) // DAY_MS for _ in range(8)]
    assert [(d + 3) % 7 for d in days] in ([1, 5] * 4, [5, 1] * 4)  # 1970 began on a Thursday
    assert days[-1] - days[0] in (7 * 3 + 4, 7 * 3 + 3)


def test_quota_is_untouched(make_world):
    world = make_world(manual_per_day=1, manual_retained=1, creates_per_day=1)
    world.add("pc-a")
    world.start()
    modify(world, BackupFrequency="2/24H")
    for _ in range(5):
        next_backup(world)
    left = world.api.ok("DescribeStatus")["Clusters"][0]["QuotaLeft"]
    assert left == {"RetainedLeft": "1", "PerDayLeft": "1", "CreatesLeft": "1"}
    world.make()
    next_backup(world)


def test_survives_kills_and_is_made_once(world):
    world.start()
    modify(world)
    for _ in range(5):
        planned = next_ms(world)
        world.kill()
        world.tick(planned - world.wall_ms - 1000)
        world.start()
        assert next_ms(world) == planned
        go_to(world, planned)
        quiet(world)
        for _ in range(3):
            world.restart()
            go_to(world, world.wall_ms + LATE_MS)
            quiet(world)
        assert parse(automated(world)[-1]["BackupStartTime"]) == planned
    assert len({slot(b) for b in automated(world)}) == len(automated(world)) == 5


@pytest.mark.parametrize("days", [1, 3, 40])
def test_one_catch_up_after_downtime(world, days):
    for name in ("pc-b", "pc-c", "pc-d", "pc-e"):
        world.add(name)
    world.start()
    for cluster in world.places:
        modify(world, cluster)
    world.kill()
    world.tick(days * DAY_MS)  # noon: far from the hour of 02:00
    world.start()
    quiet(world)
    times = {}
    for _ in range(LATE_MS // 1000 + 1):
        for cluster in world.places:
            for item in automated(world, cluster):
                times.setdefault(cluster, set()).add(item["BackupStartTime"])
        if len(times) == len(world.places):
            break
        go_to(world, world.wall_ms + 20_000)
        quiet(world)
    assert len(set.union(*times.values())) > 1, "all at once"
    go_to(world, world.wall_ms + HOUR_MS)
    quiet(world)
    world.restart()
    go_to(world, world.wall_ms + LATE_MS)
    quiet(world)
    for cluster in world.places:
        assert len(automated(world, cluster)) == 1
        assert next_ms(world, cluster) // DAY_MS == world.wall_ms // DAY_MS + 1


@pytest.mark.parametrize("minutes, made", [(29, 1), (40, 2)])
def test_no_catch_up_when_the_next_is_near(world, minutes, made):
    world.start()
    modify(world)
    planned = parse([e for e in policy(world)["Dbsnap"]["Plan"] if e["Action"] == "Create"][2]["Time"])
    world.kill()
    world.tick(planned - minutes * MINUTE_MS - world.wall_ms)
    world.start()
    while world.wall_ms < planned:
        go_to(world, world.wall_ms + MINUTE_MS)
        quiet(world)
    assert len(automated(world)) == made
    assert parse(automated(world)[-1]["BackupStartTime"]) == planned


def test_clock_goes_ahead(world):
    """A month, while it runs: one, and the slots go on from there."""
    world.start()
    modify(world, DataLevel2BackupRetentionPeriod="-1")
    world.advance(0, wall_ms=30 * DAY_MS)
    quiet(world)
    go_to(world, world.wall_ms + LATE_MS)
    quiet(world)
    assert len(automated(world)) == 1
    assert next_ms(world) > world.wall_ms
    next_backup(world)
    assert len(automated(world)) == 2


def test_clock_set_back_makes_none_twice(world):
    world.start()
    modify(world)
    first = next_backup(world)
    made = parse(first["BackupStartTime"])
    for back in (HOUR_MS, 5 * HOUR_MS, 20 * HOUR_MS):
        world.advance(0, wall_ms=-back)
        quiet(world)
        assert next_ms(world) // DAY_MS == made // DAY_MS + 1
        go_to(world, made)
        quiet(world)
        assert [b["BackupId"] for b in automated(world)] == [first["BackupId"]]
    world.advance(0, wall_ms=-HOUR_MS)
    world.restart()
    go_to(world, made)
    quiet(world)
    assert len(automated(world)) == 1
    next_backup(world)


def test_clock_of_the_far_future_blocks_nothing(world):
    world.start()
    modify(world, DataLevel2BackupRetentionPeriod="-1")
    next_backup(world)
    for restart in (False, True):
        world.advance(0, wall_ms=9000 * DAY_MS)
        quiet(world)
        go_to(world, world.wall_ms + LATE_MS)
        quiet(world)
        count = len(automated(world))
        world.advance(0, wall_ms=-9000 * DAY_MS)
        if restart:
            world.restart()
        quiet(world)
        assert next_ms(world) - world.wall_ms <= DAY_MS + HOUR_MS
        for _ in range(3):
            next_backup(world)
        assert len(automated(world)) == count + 3


def test_manual_one_that_runs_comes_first(world):
    engine = world.start(hold=["JOB"])
    modify(world)
    manual = world.create()
    order = engine.wait("JOB")
    go_to(world, next_ms(world))
    settle(world)
    pending = automated(world)
    assert len(pending) == 1 and pending[0]["Dbsnap"]["State"] == "PENDING"
    assert engine.waiting("JOB") == 0
    engine.done(order)
    engine.done(engine.wait("JOB", mode=2))
    world.wait_state(pending[0]["BackupId"], "AVAILABLE")
    assert world.backup(manual)["Dbsnap"]["State"] == "AVAILABLE"


def test_automated_one_that_still_runs_counts(world):
    engine = world.start(hold=["JOB"])
    modify(world, BackupFrequency="2/24H")
    for _ in range(3):
        go_to(world, next_ms(world))
        settle(world)
        assert len(automated(world)) == 1
        assert next_ms(world) > world.wall_ms
    engine.release("JOB")
    quiet(world)
    next_backup(world)
    assert len(automated(world)) == 2


def pauses_of(world, tries, made):
    """Minutes between so many tries; made(): how many there were."""
    times = [world.wall_ms]
    for _ in range(tries):
        count, planned = made(), parse(policy(world)["Dbsnap"]["NextRetry"])
        go_to(world, planned - 1)
        quiet(world)
        assert made() == count
        go_to(world, planned)
        quiet(world)
        assert made() == count + 1
        times.append(planned)
    return [(b - a) // MINUTE_MS for a, b in zip(times, times[1:])]


def test_failed_one_is_tried_again_with_pauses(world):
    engine = world.start(hold=["JOB"])
    modify(world)
    engine.held.discard("JOB")
    engine.on_job = lambda msg: (engine.running(msg), engine.fail(msg, "the server said no", retry=False))
    go_to(world, next_ms(world))
    quiet(world)
    answer = policy(world)
    assert answer["Dbsnap"]["LastResult"] == "Failed" and answer["Dbsnap"]["Cause"] == "the server said no"
    assert answer["Dbsnap"]["LastBackup"] == automated(world)[0]["BackupId"]
    assert parse(answer["Dbsnap"]["NextRetry"]) - world.wall_ms == 5 * MINUTE_MS
    assert parse(answer["PreferredNextBackupTime"]) - world.wall_ms == 5 * MINUTE_MS
    assert pauses_of(world, 7, lambda: len(automated(world))) == [5, 10, 20, 40, 60, 60, 60]
    world.restart(hold=["JOB"])
    engine = world.engine
    assert parse(policy(world)["Dbsnap"]["NextRetry"]) - world.wall_ms <= HOUR_MS
    engine.release("JOB")
    go_to(world, next_ms(world))
    quiet(world)
    assert policy(world)["Dbsnap"]["LastResult"] == "Success"
    assert next_ms(world) // DAY_MS == world.wall_ms // DAY_MS + 1
    assert automated(world)[-1]["Dbsnap"]["State"] == "AVAILABLE"


def test_cancelled_one_is_not_tried_again(world):
    engine = world.start(hold=["JOB"])
    modify(world)
    go_to(world, next_ms(world))
    order = engine.wait("JOB")
    world.api.ok("CancelJob", JobId=order.job)
    quiet(world)
    assert policy(world)["Dbsnap"]["LastResult"] == "Cancelled"
    assert next_ms(world) - world.wall_ms > 20 * HOUR_MS


def offline(place):
    place.state, place.cause = msgs.OFFLINE, "its marker is not there"


def full(place):
    place.space_low = True


def no_layout(place):
    place.layout_ok, place.refusal = False, "tablespaces lie elsewhere"


@pytest.mark.parametrize("break_it, cause", [
    (offline, "its marker is not there"), (full, "too little"), (no_layout, "tablespaces lie elsewhere")])
def test_refused_one_is_tried_again_and_seen(world, break_it, cause):
    place = world.places["pc-a"]
    before = dict(vars(place))
    engine = world.start()
    modify(world)
    next_backup(world)
    break_it(place)
    if not place.space_low:
        world.send_config()  # the layout is looked at
        settle(world)
    go_to(world, next_ms(world))
    quiet(world)
    answer = eventually(lambda: (p := policy(world))["Dbsnap"].get("LastResult") == "Refused" and p, 10, "refused")
    assert answer["Dbsnap"]["Cause"] == cause
    assert parse(answer["Dbsnap"]["NextRetry"]) - world.wall_ms == 5 * MINUTE_MS

    def refusals():
        with engine.lock:
            return sum(m.name == "LOG" and "no automated backup" in m.text for m in engine.seen)
    assert pauses_of(world, 6, refusals) == [5, 10, 20, 40, 60, 60]
    vars(place).update(before, things=place.things, made=place.made)
    go_to(world, next_ms(world))
    quiet(world)
    assert eventually(lambda: len(automated(world)) == 2, 10, "made in the end")
    assert policy(world)["Dbsnap"]["LastResult"] == "Success"


def test_next_slot_ends_the_tries_of_the_last(world):
    place = world.places["pc-a"]
    world.start()
    modify(world, BackupFrequency="2/24H")
    full(place)
    for _ in range(4):
        go_to(world, next_ms(world))
        quiet(world)
    place.space_low = False
    first = None
    while not first:
        go_to(world, next_ms(world))
        quiet(world)
        first = automated(world)
    assert len(first) == 1
    following = next_backup(world)
    assert slot(following) - slot(first[0]) in (2 * HOUR_MS, HOUR_MS, 0)
    assert slot(following) // HOUR_MS % 2 == 0


def test_disabled_and_enabled_again_owes_nothing(world):
    world.start()
    modify(world)
    next_backup(world)
    modify(world, Dbsnap_Enabled="false")
    world.advance(10 * DAY_MS + 5 * HOUR_MS)
    quiet(world)
    assert len(automated(world)) == 1
    modify(world)
    go_to(world, world.wall_ms + 2 * LATE_MS)
    quiet(world)
    assert len(automated(world)) == 1
    next_backup(world)


def test_another_hour_owes_nothing_of_before(world):
    world.start()
    modify(world, PreferredBackupTime="13:00Z-14:00Z")  # it is noon
    modify(world, PreferredBackupTime="10:00Z-11:00Z")
    go_to(world, world.wall_ms + 2 * LATE_MS)
    quiet(world)
    assert automated(world) == []
    assert next_ms(world) // HOUR_MS == (world.wall_ms // DAY_MS + 1) * 24 + 10


def test_stopping_accepts_none(world):
    engine = world.start()
    modify(world)
    planned = next_ms(world)
    engine.send("STOP")
    engine.settle()
    world.advance(planned - world.wall_ms)
    engine.settle()
    assert engine.count("JOB") == 0
    world.restart()
    go_to(world, world.wall_ms + LATE_MS)
    quiet(world)
    assert len(automated(world)) == 1


def test_retired_cluster_makes_none(world):
    world.add("pc-b")
    world.start()
    modify(world)
    next_backup(world)
    world.retired["pc-a"] = world.places.pop("pc-a")
    world.send_config()
    quiet(world)
    assert "PreferredNextBackupTime" not in policy(world)
    world.advance(3 * DAY_MS + 5 * HOUR_MS)
    quiet(world)
    assert len(automated(world)) == 1
    world.places["pc-a"] = world.retired.pop("pc-a")
    world.send_config()
    quiet(world)
    go_to(world, world.wall_ms + LATE_MS)
    quiet(world)
    assert len(automated(world)) == 2


def test_full_store_is_told_and_tried_again(make_world):
    world = make_world(map_size=4 << 20, manual_retained=100_000, manual_per_day=100_000, creates_per_day=100_000)
    world.add("pc-a")
    engine = world.start(hold=["JOB"])
    modify(world, BackupFrequency="2/24H")
    while world.api.call("CreateBackup", DBClusterId="pc-a")[0] == 200:
        pass
    go_to(world, next_ms(world))
    engine.logged("no automated backup: the catalogue has no room")
    assert policy(world)["Dbsnap"]["LastResult"] == "Refused"
