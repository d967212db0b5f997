# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies as tests set and see them, and time until what they plan."""
import calendar
import time

from world import HOUR_MS, open_jobs

MINUTE_MS = 60_000
ALL_DAYS = "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday"


def parse(text):
    """Wall milliseconds of a time of the API, to the minute or to the second."""
    form = "%Y-%m-%dT%H:%M:%SZ" if text.count(":") == 2 else "%Y-%m-%dT%H:%MZ"
    return calendar.timegm(time.strptime(text, form)) * 1000


def modify(world, cluster="pc-a", **params):
    """Sets a policy; Dbsnap_Enabled for Dbsnap.Enabled."""
    named = {name.replace("Dbsnap_", "Dbsnap."): value for name, value in params.items()}
    return world.api.ok("ModifyBackupPolicy", DBClusterId=cluster, **named)


def policy(world, cluster="pc-a"):
    return world.api.ok("DescribeBackupPolicy", DBClusterId=cluster)


def next_ms(world, cluster="pc-a"):
    return parse(policy(world, cluster)["PreferredNextBackupTime"])


def go_to(world, wall_ms):
    """Time goes by, on both clocks."""
    assert wall_ms >= world.wall_ms
    world.advance(wall_ms - world.wall_ms)
    world.engine.ping()


def automated(world, cluster="pc-a"):
    """Items of automated backups, oldest first."""
    return [b for b in reversed(world.api.backups(cluster)) if b["BackupMode"] == "Automated"]


def slot(item):
    """The hour in which it was accepted."""
    return parse(item["BackupStartTime"]) // HOUR_MS * HOUR_MS


def turn(world):
    """
    A turn of the front's loop, and what the engine says to it; how many jobs are open.

    Pings alone do not tell: several can be answered while one turn is still reading them.
    """
    world.engine.ping()
    return open_jobs(world.api.ok("DescribeStatus"))


def settle(world):
    """What was due is accepted, and what may run has been ordered."""
    for _ in range(4):
        turn(world)


def quiet(world):
    """Whatever was set going is over."""
    calm = 0
    while calm < 3:
        calm = calm + 1 if turn(world) == 0 else 0


def next_backup(world, cluster="pc-a"):
    """To the next slot's minute; the backup that is made there."""
    before = {b["BackupId"] for b in automated(world, cluster)}
    go_to(world, next_ms(world, cluster))
    quiet(world)
    new = [b for b in automated(world, cluster) if b["BackupId"] not in before]
    assert len(new) == 1, new
    return new[0]
