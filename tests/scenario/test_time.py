# SPDX-License-Identifier: GPL-3.0-or-later
"""Days, clocks that are set, the life of a token, across restarts."""
import pytest

import msgs
from world import DAY_MS, HOUR_MS


def refused(world, message, **params):
    status, answer = world.api.call("CreateBackup", DBClusterId="pc-a", **params)
    assert (status, answer["Code"]) == (403, "BackupTimesExceeded"), answer
    assert message in answer["Message"]


RETAINED = "Exceeding the daily backup times of this DB cluster."
PER_DAY = "The maximum number of backups per day is exceeded."


@pytest.fixture
def busy_world(make_world):
    """Many may exist, three a day."""
    world = make_world(manual_retained=100)
    world.add("pc-a")
    return world


def test_day_ends_at_midnight(busy_world):
    world = busy_world
    world.start()
    for _ in range(3):
        world.make()
    refused(world, PER_DAY)
    world.advance(world.until_midnight_ms() - 1)
    refused(world, PER_DAY)
    world.advance(1)
    world.make()


@pytest.mark.parametrize("offset", [330, -210, 1439, -1439])
def test_day_ends_at_midnight_of_the_offset(make_world, offset):
    world = make_world(manual_retained=100, manual_per_day=1, utc_offset_min=offset)
    world.add("pc-a")
    world.start()
    world.make()
    local = (world.wall_ms + offset * 60_000) % DAY_MS
    world.advance(DAY_MS - local - 1)
    refused(world, PER_DAY)
    world.advance(1)
    world.make()


def test_another_offset_after_a_reload_counts_anew(busy_world):
    world = busy_world
    world.settings["manual_per_day"] = 1
    engine = world.start()
    world.advance(world.until_midnight_ms() - 1)
    world.make()  # the last millisecond of the day in UTC
    world.advance(1)
    world.settings["utc_offset_min"] = -60  # there it is still the same day
    world.send_config()
    engine.settle()
    refused(world, PER_DAY)
    world.settings["utc_offset_min"] = 0
    world.send_config()
    engine.settle()
    world.make()


def test_the_day_survives_a_restart(busy_world):
    world = busy_world
    world.start()
    for _ in range(3):
        world.make()
    world.restart()
    refused(world, PER_DAY)


def test_clock_set_back_counts_against_the_earlier_day(busy_world):
    world = busy_world
    world.start()
    for _ in range(3):
        world.make()
    world.advance(0, wall_ms=DAY_MS)
    for _ in range(3):
        world.make()
    refused(world, PER_DAY)
    world.advance(0, wall_ms=-DAY_MS)
    refused(world, PER_DAY)
    world.restart()
    refused(world, PER_DAY)
    world.advance(0, wall_ms=-DAY_MS)
    number = world.make()
    newest = world.api.backups("pc-a")[0]
    assert newest["BackupId"] == number  # order is by id, never by time


def test_retained_comes_first(world):
    world.start()
    for _ in range(3):
        world.make()
    refused(world, RETAINED)


def test_delete_on_the_same_day_refunds(world):
    world.start()
    numbers = [world.make() for _ in range(3)]
    refused(world, RETAINED)
    world.delete(numbers[0])
    world.make()


def test_delete_on_another_day_gives_nothing_of_today(busy_world):
    world = busy_world
    world.start()
    old = world.make()
    world.advance(DAY_MS)
    for _ in range(3):
        world.make()
    world.delete(old)
    refused(world, PER_DAY)


def test_failed_create_refunds_the_day_of_its_acceptance(busy_world):
    world = busy_world
    world.settings["manual_per_day"] = 1
    engine = world.start(hold=["JOB"])
    world.create()
    order = engine.wait("JOB")
    world.advance(world.until_midnight_ms())
    other = world.create()
    engine.fail(order, retry=False)
    engine.done(engine.wait("JOB"))
    world.wait_state(other, "AVAILABLE")
    refused(world, PER_DAY)  # today's is used
    world.advance(0, wall_ms=-DAY_MS)
    world.create()           # yesterday's was given back


def test_create_delete_loop_is_bounded(make_world):
    world = make_world(creates_per_day=5)
    world.add("pc-a")
    world.start()
    for _ in range(5):
        world.delete(world.make())
    world.wait_jobs()
    refused(world, PER_DAY)
    world.restart()
    refused(world, PER_DAY)


def test_replay_of_a_token(world):
    world.add("pc-b")
    world.start()
    number = world.make(token="t1")
    for _ in range(2):
        assert world.api.create("pc-a", "t1") == number
        world.restart()
    status, answer = world.api.call("CreateBackup", DBClusterId="pc-b", ClientToken="t1")
    assert (status, answer["Code"]) == (400, "IdempotentParameterMismatch")
    assert len(world.api.backups("pc-a")) == 1 and not world.api.backups("pc-b")


def test_replay_after_the_end_never_runs_again(world):
    engine = world.start(hold=["JOB"])
    number = world.create(token="t1")
    engine.fail(engine.wait("JOB"), retry=False)
    world.wait_state(number, "FAILED")
    assert world.api.create("pc-a", "t1") == number
    engine.release("JOB")
    world.delete(number)
    world.wait_jobs()
    assert world.api.create("pc-a", "t1") == number
    assert world.api.backups("pc-a") == []


def test_token_lives_until_both_clocks_say_so(world):
    ttl = world.settings["token_ttl_ms"]
    world.start()
    number = world.make(token="t1")
    world.advance(0, wall_ms=3 * ttl)     # the wall clock alone
    assert world.api.create("pc-a", "t1") == number
    world.advance(0, wall_ms=-3 * ttl)
    world.advance(2 * ttl, wall_ms=0)     # running time alone
    assert world.api.create("pc-a", "t1") == number
    world.advance(0, wall_ms=ttl - 1)
    assert world.api.create("pc-a", "t1") == number
    world.advance(0, wall_ms=1)
    assert world.make(token="t1") != number


def test_token_s_life_starts_anew_with_a_front(world):
    ttl = world.settings["token_ttl_ms"]
    world.start()
    number = world.make(token="t1")
    world.advance(ttl - 1)
    world.kill()
    world.tick(0, wall_ms=10 * ttl)
    world.start()
    assert world.api.create("pc-a", "t1") == number
    world.advance(ttl - 1)
    assert world.api.create("pc-a", "t1") == number
    world.advance(1)
    assert world.make(token="t1") != number


def test_token_of_an_open_job_never_ends(world):
    engine = world.start(hold=["JOB"])
    number = world.create(token="t1")
    world.advance(30 * DAY_MS)
    assert world.api.create("pc-a", "t1") == number
    engine.done(engine.wait("JOB"))
    world.wait_state(number, "AVAILABLE")


def test_history_is_forgotten_and_numbers_are_not_reused(make_world):
    world = make_world(history_ms=2 * DAY_MS, manual_retained=100)
    world.add("pc-a")
    world.start()
    number = world.make(token="t1")
    world.delete(number)
    world.wait_jobs()
    world.advance(3 * DAY_MS)
    last = number
    for _ in range(3):  # each end looks at a few old records
        last = world.make()
    jobs = world.api.ok("DescribeJobs", DBClusterId="pc-a")["Items"]["Job"]
    assert number not in [job["JobId"] for job in jobs]
    assert int(last) > int(number)


def test_times_are_as_the_clock_gave_them(world):
    world.start()
    world.advance(0, wall_ms=-5 * HOUR_MS)
    number = world.make()
    assert world.backup(number)["BackupStartTime"] == "2023-11-14T07:00:00Z"


def test_real_clock(make_world):
    """Without the script: real timers make the second and third attempt."""
    world = make_world()
    world.add("pc-a")
    world.connect(arguments=())
    world.engine.hold("JOB")
    world.hello()
    world.engine.wait("READY")
    number = world.create()
    for _ in range(3):
        world.engine.fail(world.engine.wait("JOB"))
    world.wait_state(number, "FAILED")


def test_clock_is_malformed_without_the_script(make_world):
    world = make_world()
    world.connect(arguments=())
    world.hello()
    world.engine.send("CLOCK")
    assert world.reap() != 0
