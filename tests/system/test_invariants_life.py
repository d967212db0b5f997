# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends that are asked for, ends of one part while another goes on, and what must not outlive them."""
import os
import signal
import subprocess

import pytest

from harness import invariants
from harness.client import Api
from harness.clients import DIED
from harness.daemon import IDLE_STOP_S
from harness.process import Pid, eventually, held, status_fields
from harness.steps import Strike


@pytest.fixture
def known():
    return invariants.Known()


class Standing:
    """A create whose worker stands still: its intent is on disk, its session open, its cut still to come."""

    def __init__(self, daemon, known):
        self.daemon = daemon
        with Strike(daemon, "renameat", 1, "STOP") as strike:
            known.ask("standing-1")
            self.number = daemon.api.create("main", "standing-1")
            known.create(self.number, "standing-1")
            assert strike.wait(lambda: False)
            self.worker = Pid(strike.struck())
        assert status_fields(self.worker.pid)["State"].startswith("T")

    def go_on(self):
        self.worker.signal(signal.SIGCONT)

    def job(self):
        return invariants.dump(self.daemon)["job"][int(self.number)]


def sessions(pg):
    return pg.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbsnap%%'")


def cuts(btrfs):
    """How many snapshots there are, whatever their names."""
    return sum(btrfs.subvolumes().values())


def test_fronts_are_replaced_after_growing_pauses(many_deaths):
    times = many_deaths.wait(4)
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert 0.1 <= gaps[0] and 0.2 <= gaps[1] and 0.4 <= gaps[2], gaps
    assert many_deaths.engine.main.alive()


def test_idle_stop_takes_no_time(daemon):
    daemon.wait_idle()
    assert daemon.stop(timeout=IDLE_STOP_S) == 0


def test_stop_lets_a_cut_finish(daemon, btrfs, pg, known):
    standing = Standing(daemon, known)
    daemon.main.signal(signal.SIGTERM)
    daemon.notify.wait("STOPPING=1", daemon.main, 10)
    known.ask("standing-2")
    try:  # taken (if the front had not heard yet), refused, or left to the next daemon: never half
        status, answer = Api(daemon.socket, timeout=0.3).call("CreateBackup", DBClusterId="main",
                                                              ClientToken="standing-2")
        assert status == 200 or answer["Code"] == "ServiceUnavailable", answer
        if status == 200:
            known.create(answer["BackupJobId"], "standing-2")
    except DIED:
        pass
    assert standing.worker.alive() and cuts(btrfs) == 0
    standing.go_on()
    assert daemon.reap(30) == 0
    assert not standing.worker.alive() and cuts(btrfs) == 1
    daemon.start()
    invariants.check(daemon, btrfs, known=known, servers=[pg])
    assert standing.job()["failures"] == 0 and standing.job()["attempts"] == 1


def test_front_is_replaced_while_a_worker_goes_on(daemon, btrfs, pg, known):
    standing = Standing(daemon, known)
    for _ in range(2):
        daemon.kill_front()
        assert daemon.api.create("main", "standing-1") == standing.number
        item = daemon.api.backup("main", standing.number)
        assert item["Dbsnap"]["State"] == "RUNNING" and cuts(btrfs) == 0, item
    standing.go_on()
    daemon.api.wait_final("main", standing.number)
    invariants.check(daemon, btrfs, known=known, servers=[pg])
    assert standing.job()["attempts"] == 1 and cuts(btrfs) == 1


@pytest.mark.parametrize("victim", ["engine", "worker"])
def test_nothing_outlives_a_kill(daemon, btrfs, pg, known, victim):
    daemon.wait_idle()      # the first look at the layout has a helper of its own
    standing = Standing(daemon, known)
    helpers = held(daemon.helpers())
    assert len(helpers) == 1 and sessions(pg) == 1
    if victim == "engine":
        daemon.kill()
        assert not standing.worker.alive()
    else:
        standing.worker.kill()
    helpers[0].wait_end()
    eventually(lambda: sessions(pg) == 0, what="the helper's session is gone")
    if victim == "engine":
        assert invariants.take(open(os.path.join(daemon.snapshot_dir("main"), "marker.json"), "rb"))
        daemon.start()
    daemon.api.wait_final("main", standing.number)
    invariants.check(daemon, btrfs, known=known, servers=[pg])
    job = standing.job()
    assert (job["failures"], job["attempts"]) == ((0, 2) if victim == "engine" else (1, 2)), job
    invariants.check_recovery(daemon)


def test_helper_that_stands_still_ends_with_its_worker(daemon, btrfs, pg, known):
    standing = Standing(daemon, known)
    helper, = held(daemon.helpers())
    helper.signal(signal.SIGSTOP)
    eventually(lambda: status_fields(helper.pid)["State"].startswith("T"))
    standing.worker.kill()
    helper.wait_end()
    daemon.api.wait_final("main", standing.number)
    invariants.check(daemon, btrfs, known=known, servers=[pg])


def test_helper_that_waits_for_a_hung_server_ends_with_its_worker(daemon, btrfs, pg, known):
    daemon.wait_idle()
    pg.hang()
    known.ask("hung-1")
    known.create(daemon.api.create("main", "hung-1"), "hung-1")
    helpers = held(eventually(daemon.helpers, what="a helper"))
    daemon.kill()
    for helper in helpers:
        helper.wait_end(10)
    pg.unhang()
    daemon.start()
    invariants.check(daemon, btrfs, known=known, servers=[pg])


def standing_walker(daemon):
    """(worker, walker) of a clone whose walker stands still with its first change made."""
    source = daemon.api.create_and_wait("main")["BackupId"]
    daemon.wait_idle()
    with Strike(daemon, "unlinkat", 1, "STOP") as strike:
        daemon.api.ok("CloneBackup", DBClusterId="main", BackupId=source, CloneName="c")
        assert strike.wait(lambda: False)
        walker = Pid(strike.struck())
    worker = Pid(int(status_fields(walker.pid)["PPid"]))
    assert worker.pid in daemon.workers() and status_fields(walker.pid)["State"].startswith("T")
    return worker, walker


def test_walker_ends_with_its_worker(daemon, btrfs, pg):
    worker, walker = standing_walker(daemon)
    worker.kill()
    walker.wait_end()
    eventually(lambda: daemon.api.clone("main", "c")["State"] == "Available", 30)
    invariants.check(daemon, btrfs, servers=[pg])


def test_walker_that_outlives_its_worker_keeps_the_cluster_waiting(daemon, btrfs, pg):
    """One in state D: it may yet change the clone, so the clone is not made anew beside it."""
    worker, walker = standing_walker(daemon)
    guard = subprocess.Popen(["sh", "-c", 'sleep 120; fsfreeze --unfreeze "$0"', btrfs.mnt],
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    subprocess.run(["fsfreeze", "--freeze", btrfs.mnt], check=True)
    try:
        walker.signal(signal.SIGCONT)
        eventually(lambda: status_fields(walker.pid)["State"].startswith("D"), what="the walker waits for the disk")
        worker.kill()
        worker.wait_end()
        # The probe that settles it waits for the disk too, unless the walker keeps it from beginning.
        eventually(lambda: "still holds its snapshots" in daemon.log_text(), what="the cluster waits")
        assert walker.alive()
    finally:
        os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()
        subprocess.run(["fsfreeze", "--unfreeze", btrfs.mnt], check=True)
    walker.wait_end(10)
    eventually(lambda: daemon.api.clone("main", "c")["State"] == "Available", 30)
    invariants.check(daemon, btrfs, servers=[pg])


def test_front_that_stands_still_ends_with_its_engine(daemon):
    daemon.wait_idle()
    front = Pid(daemon.front())
    front.signal(signal.SIGSTOP)
    eventually(lambda: status_fields(front.pid)["State"].startswith("T"))
    daemon.main.kill()
    daemon.reap(10)
    front.wait_end()


def test_worker_that_outlives_its_engine_keeps_the_cluster_waiting(daemon, btrfs, pg, known):
    """One in state D: its ioctl may yet happen, so nothing is probed, retried or made twice."""
    daemon.wait_idle()
    subprocess.run(["fsfreeze", "--freeze", btrfs.mnt], check=True)
    try:
        known.ask("held-1")
        number = daemon.api.create("main", "held-1")
        known.create(number, "held-1")
        worker = Pid(eventually(lambda: [w for w in daemon.workers()
                                         if status_fields(w).get("State", "").startswith("D")], 20)[0])
        front = Pid(daemon.front())
        daemon.main.kill()
        daemon.reap(10)
        front.wait_end(10)
        daemon.start()
        assert worker.alive()
        assert daemon.api.create("main", "held-1") == number
        status, answer = daemon.api.call("CreateBackup", DBClusterId="main", ClientToken="held-2")
        assert status == 503 and "still works" in answer["Message"], answer
        assert daemon.api.state("main", number) == "PENDING"
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", btrfs.mnt], check=True)
    worker.wait_end(10)
    daemon.api.wait_final("main", number)
    invariants.check(daemon, btrfs, known=known, servers=[pg])
    assert cuts(btrfs) == 1
