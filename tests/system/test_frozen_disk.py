# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker, or its walker, in state D: what it was about to do happens after its SIGKILL, and its engine's.

The disk is frozen right after one of its changes, so that it hangs in the next; then it is killed, or all
of the daemon is, and a daemon goes on beside what cannot die. DBSNAP_EVERY_CALL: at every change there is.
"""
import os
import select
import signal
import time

import pytest

from harness import invariants
from harness.frozen import Frozen, call_of, stuck
from harness.killer import Killer
from harness.process import Pid, eventually, held, offspring
from harness.source import Source
from harness.steps import CHANGES, Strike

OWNER = 4711
KINDS = ["create", "delete", "clone", "delete_clone"]

# After which calls the disk is frozen: (call, how often it has happened). Walked trees: in the middle of them.
WALKED = {
    "create": [("openat", 40), ("renameat", 2)],
    "delete": [("unlinkat", 20)],
    "clone": [("openat", 40)],
    "delete_clone": [("unlinkat", 20)],
}
STRIKES = {
    "btrfs": {
        "create": [("mkdirat", 1), ("renameat", 1), ("renameat", 2)],
        "delete": [("ioctl", 1), ("ioctl", 3)],
        "clone": [("fsync", 1), ("renameat", 1)],
        "delete_clone": [("renameat2", 1)],
    },
    "xfs": WALKED,
    "ext4": WALKED,
}
IOCTL, FTRUNCATE, UNLINKAT, COPY_FILE_RANGE = 16, 77, 263, 326
# What each of them is about, and has to hang in.
HUNG = {
    "btrfs": dict.fromkeys(KINDS, {IOCTL}),
    "xfs": {"create": {IOCTL}, "clone": {IOCTL}, "delete": {UNLINKAT}, "delete_clone": {UNLINKAT}},
    "ext4": {"create": {COPY_FILE_RANGE}, "clone": {COPY_FILE_RANGE, FTRUNCATE}, "delete": {UNLINKAT},
             "delete_clone": {UNLINKAT}},
}


class Host:
    """One cluster of plain files and a backup of it."""

    def __init__(self, daemon, disk):
        self.daemon = daemon
        self.disk = disk
        self.api = daemon.api
        self.source = Source(disk.subvolume("data"), OWNER)
        self.known = invariants.Known()
        self.killer = Killer(daemon, None)
        self.count = 0
        daemon.add_cluster("main", self.source.path, database={"type": "none"},
                           snapshot_dir=disk.path(".dbsnap", "main"))
        daemon.start()
        self.base = self.victim = self.made()

    def create(self, frozen=False):
        self.count += 1
        token = f"frozen-{self.count:04d}"
        (self.source.expect if frozen else self.source.note)(token)
        self.known.ask(token)
        number = self.api.create("main", token)
        self.known.create(number, token)
        return number

    def made(self):
        number = self.create()
        assert self.api.wait_final("main", number)["Dbsnap"]["State"] == "AVAILABLE"
        return number

    def delete(self):
        self.known.ask_delete(self.victim)
        self.api.ok("DeleteBackup", DBClusterId="main", BackupId=self.victim)
        self.known.delete(self.victim)

    def clone(self):
        self.api.ok("CloneBackup", DBClusterId="main", BackupId=self.base, CloneName="c")

    def delete_clone(self):
        self.api.ok("DeleteClone", DBClusterId="main", CloneName="c")

    def prepare(self, kind):
        """What the job needs is there, and nothing else goes on."""
        there = self.api.clone("main", "c")
        if kind == "delete":
            self.victim = self.made()
        elif kind == "clone" and there:
            self.delete_clone()
        elif kind == "delete_clone" and not there:
            self.clone()
        eventually(self.ended, what="ready")
        self.daemon.wait_idle()

    def ended(self):
        """Whatever was asked for is over."""
        return invariants.is_at_rest(invariants.dump(self.daemon))

    def names(self):
        return invariants.tree(self.daemon.snapshot_dir("main"))

    def check(self):
        return invariants.check(self.daemon, self.disk, known=self.known, sources={"main": self.source},
                                worker_kills=self.killer.worker_kills)


@pytest.fixture(params=STRIKES)
def host(make_daemon, make_disk, request):
    daemon = make_daemon(quota={"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**9})
    return Host(daemon, make_disk(request.param, "600M"))


class Hanging:
    """with Hanging(host, kind, call, n) as hanging: the job's processes hang in hanging.calls on a frozen
    disk. None of them: it ended before."""

    def __init__(self, host, kind, call, n):
        self.host = host
        self.kind = kind
        self.call = call
        self.n = n
        self.frozen = Frozen(host.disk)
        self.processes = []
        self.calls = set()

    def __enter__(self):
        host = self.host
        with Strike(host.daemon, self.call, self.n, "STOP") as strike:
            getattr(host, self.kind)()
            if not strike.wait(host.ended):
                return self
            struck = Pid(strike.struck())
        self.frozen.__enter__()
        struck.signal(signal.SIGCONT)
        pids = eventually(lambda: stuck(host.daemon.workers()) or (host.ended() and [0]), 10, "stuck, or ended")
        if pids != [0]:
            self.calls = {call_of(p) for p in pids}
            self.processes = held(pids)
        return self

    def end(self):
        """The disk answers again: what hung does what it was about to do, and is gone."""
        assert all(p.alive() for p in self.processes)
        self.frozen.thaw()
        for process in self.processes:
            process.wait_end()

    def __exit__(self, *_):
        self.frozen.thaw()


def wait_looks(daemon, count, timeout=20):
    """So many workers more, and the end of the last: the front looks again and again whether it may go on."""
    end, front, seen = time.monotonic() + timeout, daemon.front(), set()
    while len(seen) < count or len(offspring(daemon.main.pid)) > 1:
        seen |= set(offspring(daemon.main.pid)) - {front}
        assert time.monotonic() < end, seen
        select.select([], [], [], 0.0003)


def replay(host):
    for token, number in host.known.tokens.items():
        assert host.api.create("main", token) == number


def kill_all(host, hanging):
    """Another daemon beside what hangs leaves everything to it."""
    for pid in [*held(host.daemon.descendants()), host.daemon.main]:
        host.killer.signal(pid)
    host.daemon.reap(10)
    host.killer.start()
    before = host.names()
    status, answer = host.api.call("CreateBackup", DBClusterId="main")
    assert status == 503 and "still works" in answer["Message"], answer
    replay(host)
    wait_looks(host.daemon, 1)
    assert host.names() == before
    hanging.end()


def strikes_of(kind, of):
    if "DBSNAP_EVERY_CALL" not in os.environ:
        return STRIKES[kind][of]
    return [(call, n) for call in [*CHANGES, "openat", "fchown", "utimensat"] for n in (1, 2, 3, 5, 8, 13, 34)]


@pytest.mark.parametrize("kind", KINDS)
def test_killed_with_its_engine_while_the_disk_does_not_answer(host, kind):
    hung = set()
    for call, n in strikes_of(host.disk.kind, kind):
        host.prepare(kind)
        with Hanging(host, kind, call, n) as hanging:
            if hanging.processes:
                kill_all(host, hanging)
        print(kind, call, n, hanging.calls)
        hung |= hanging.calls
        store = host.check()
        assert all(j["failures"] == 0 for j in store["job"].values())
    assert HUNG[host.disk.kind][kind] & hung, hung


def test_killed_alone_while_the_disk_does_not_answer(host):
    """Its engine cannot reap it, so it waits as well, or finds the marker held by a walker."""
    call, n = STRIKES[host.disk.kind]["create"][-2]
    host.prepare("create")
    with Hanging(host, "create", call, n) as hanging:
        for worker in held(host.daemon.workers()):
            worker.kill()
            host.killer.worker_kills += 1
        before = host.names()
        if host.disk.kind == "btrfs":
            assert host.api.state("main", host.create(frozen=True)) == "PENDING"
        else:
            eventually(lambda: "still holds its snapshots" in host.daemon.log_text(), 20)
            assert host.api.call("CreateBackup", DBClusterId="main")[0] == 503
        replay(host)
        assert host.names() == before
        hanging.end()
    host.check()
    states = {host.api.state("main", number) for number in host.known.created}
    assert states == {"AVAILABLE"}
