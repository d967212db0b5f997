# SPDX-License-Identifier: GPL-3.0-or-later
"""
A year of automated backups, from event to event: the front is killed at random, clocks jump both ways,
servers fail for days. The host has daylight saving, which must not matter.
"""
import random

import pytest

import msgs
from policies import MINUTE_MS, go_to, modify, parse, policy, quiet
from world import DAY_MS, HOUR_MS

TZ = "CET-1CEST,M3.5.0,M10.5.0/3"
LATE_MS = 5 * MINUTE_MS
POLICIES = {
    "pc-a": {"PreferredBackupTime": "01:00Z-02:00Z", "DataLevel1BackupRetentionPeriod": "5"},
    "pc-b": {"PreferredBackupPeriod": "Tuesday,Saturday", "PreferredBackupTime": "02:00Z-03:00Z",
             "DataLevel2BackupRetentionPeriod": "30"},
}
HOURS = {"pc-a": {1}, "pc-b": {2}}
DAYS = {"pc-a": set(range(7)), "pc-b": {1, 5}}
KEPT = {"pc-a": 5, "pc-b": 30}


class Year:
    """What was seen: every create and removal that the engine was asked for, with the time of it."""

    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(seed)
        self.creates = {cluster: [] for cluster in POLICIES}  # (wall, id, ended well)
        self.removals = {}   # id -> wall
        self.broken = set()  # clusters whose creates fail
        self.jumps = 0       # of the wall clock

    def watch(self):
        """After each start: the fake engine tells what it is asked for."""
        engine = self.world.engine

        def on_job(msg):
            engine.running(msg)
            if msg.kind == msgs.DELETE:
                self.removals[msg.backup] = self.world.wall_ms
            elif msg.kind == msgs.CREATE and msg.cluster in self.broken:
                return engine.fail(msg, retry=False)
            elif msg.kind == msgs.CREATE:
                assert msg.mode == 2 and msg.principal == "policy"
                self.creates[msg.cluster].append((self.world.wall_ms, msg.backup))
            return engine.done(msg)
        engine.on_job = on_job
        engine.release("JOB")

    def restart(self):
        self.world.kill()
        self.world.tick(self.random.choice([0, MINUTE_MS, 3 * HOUR_MS]))
        self.start()

    def start(self):
        self.world.start(hold=["JOB"])
        self.watch()
        quiet(self.world)

    def jump(self, ms):
        self.jumps += 1
        self.world.advance(0, wall_ms=ms)
        quiet(self.world)

    def next_ms(self):
        """The first thing that is planned, of either cluster."""
        planned = []
        for cluster in POLICIES:
            answer = policy(self.world, cluster)
            planned.append(parse(answer["PreferredNextBackupTime"]))
            planned += [parse(e["Time"]) + MINUTE_MS for e in answer["Dbsnap"]["Plan"][:3] if e["Action"] == "Remove"]
        return max(min(planned), self.world.wall_ms + 1000)

    def kept(self, cluster):
        return [b for b in reversed(self.world.api.backups(cluster)) if b["BackupMode"] == "Automated"]


def check_now(year, cluster):
    """What must hold at any time: nothing older than its time, but the last good one; that is always there."""
    world, kept = year.world, year.kept(cluster)
    good = [b for b in kept if b["BackupStatus"] == "Success"]
    if year.creates[cluster]:
        assert good and int(good[-1]["BackupId"]) == year.creates[cluster][-1][1]
    if "ExpiryPaused" in policy(world, cluster)["Dbsnap"]:
        return
    for item in kept:
        age = world.wall_ms - parse(item["BackupStartTime"])
        assert age <= KEPT[cluster] * DAY_MS + MINUTE_MS or item is (good or [None])[-1], item


def quota_is_untouched(world):
    for cluster in world.api.ok("DescribeStatus")["Clusters"]:
        assert cluster["QuotaLeft"] == {"RetainedLeft": "3", "PerDayLeft": "3", "CreatesLeft": "100"}


@pytest.fixture
def year(world, request, monkeypatch):
    world.environment = {"TZ": TZ}
    world.add("pc-b", file_system=8)
    year = Year(world, request.param)
    year.start()
    for cluster, params in POLICIES.items():
        modify(world, cluster, **params)
    return year


def in_slot(cluster, wall_ms):
    return wall_ms // HOUR_MS % 24 in HOURS[cluster] and (wall_ms // DAY_MS + 3) % 7 in DAYS[cluster]


@pytest.mark.parametrize("year", [1], indirect=True)
def test_quiet_year(year):
    """No trouble but kills: each slot once, in its hour, and kept for exactly its time."""
    world, end = year.world, year.world.wall_ms + 365 * DAY_MS
    while world.wall_ms < end:
        go_to(world, year.next_ms())
        quiet(world)
        if year.random.random() < 0.03:
            world.restart(hold=["JOB"])
            year.watch()
        check_now(year, "pc-a")
    check_now(year, "pc-b")
    assert len(year.creates["pc-a"]) in (365, 366) and len(year.creates["pc-b"]) in (104, 105)
    for cluster, creates in year.creates.items():
        assert all(in_slot(cluster, wall) for wall, _ in creates)
        assert len({wall // HOUR_MS for wall, _ in creates}) == len(creates)
        for number, (wall, backup) in enumerate(creates[:-1]):
            goes = max(wall + KEPT[cluster] * DAY_MS, creates[number + 1][0])
            if goes < end - DAY_MS:
                assert 0 <= year.removals[backup] - goes <= MINUTE_MS
    quota_is_untouched(world)
    with open(f"/proc/{world.front.pid}/environ", "rb") as file:
        assert f"TZ={TZ}".encode() in file.read()


@pytest.mark.parametrize("year", [2], indirect=True)
def test_bad_year(year):
    """Clocks jump, fronts die, servers fail: never two for a slot, and the last good one is always there."""
    world, ran = year.world, 0
    end = world.running_ms + 365 * DAY_MS
    while world.running_ms < end:
        before = world.running_ms
        dice = year.random.random()
        if dice < 0.02:
            year.jump(year.random.choice([-40, -3, -1, 2, 20, 400]) * HOUR_MS)
        elif dice < 0.04:
            year.restart()
        elif dice < 0.05:
            world.kill()
            world.tick(year.random.randrange(1, 20) * DAY_MS)
            year.start()
        elif dice < 0.07:
            year.broken ^= {year.random.choice(sorted(POLICIES))}
        go_to(world, max(year.next_ms(), world.wall_ms + (5 * HOUR_MS if year.broken else 0)))
        quiet(world)
        ran += 1
        check_now(year, year.random.choice(sorted(POLICIES)))
        assert world.running_ms > before
    assert ran > 100 and year.jumps > 3
    for cluster, creates in year.creates.items():
        # Good ones of one hour only where the clock went back over it by more than a slot.
        slots = [wall // HOUR_MS for wall, _ in creates if in_slot(cluster, wall)]
        assert len(slots) - len(set(slots)) <= year.jumps
        assert len(creates) >= 40 if cluster == "pc-a" else creates
    quota_is_untouched(world)
