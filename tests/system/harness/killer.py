# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILLs of a daemon's processes at random moments of their lives, and its return after each.

Victims that come and go by themselves (worker, walker, helper) are waited for and then given a random
part of the time that such a process has lived until now.
"""
import os
import select
import signal
import threading
import time

from .process import Pid, held, offspring, program

# Ten deaths of the front in a minute end the engine, which another test wants.
FRONTS_MAX = 8


class Killer:
    """hits: signals that met a living process. worker_kills: those that may count as a job's failure."""

    def __init__(self, daemon, rng):
        self.daemon = daemon
        self.rng = rng
        self.fronts = 0
        self.hits = 0
        self.worker_kills = 0
        self.lives = {}  # role -> seconds, of the longest lately
        self.said = []

    def kill(self, role):
        """Kills one and brings the daemon back to where it serves; False: there was none any more."""
        if role == "front" and self.fronts == FRONTS_MAX:
            role = "engine"
        hit = getattr(self, "kill_" + role)()
        self.said.append(role if hit else f"({role})")
        self.hits += hit
        return hit

    def kill_front(self):
        self.fronts += 1
        self.pause(0.02)
        self.daemon.kill_front()
        return True

    def kill_engine(self):
        """Its own go with it, unaided; then as systemd does."""
        self.pause(0.02)
        self.daemon.kill()
        self.start()
        return True

    def kill_all(self):
        """In any order, as systemd kills what is left of a unit; started again at once."""
        pids = held([self.daemon.main.pid, *self.daemon.descendants()])
        self.rng.shuffle(pids)
        self.pause(0.02)
        # One that dies before its engine may be taken for one that died by itself.
        self.worker_kills += len(self.below(self.daemon.main.pid, "dbsnapd"))
        for pid in pids:
            self.signal(pid)
        self.daemon.reap(10)
        self.start()
        return True

    def start(self):
        """ExecStopPost, then Restart=on-failure: what still dies may hold the socket a moment longer."""
        self.fronts = 0
        done = self.daemon.run("--thaw")
        assert done.returncode == 0, done.stderr
        for _ in range(200):
            try:
                self.daemon.start()
                return
            except AssertionError:
                if self.daemon.running() or "another dbsnapd" not in self.daemon.log_text()[-400:]:
                    raise
                self.daemon.reap(1)
        raise AssertionError(self.daemon.log_text()[-2000:])

    # Those that come and go

    def kill_workers(self):
        return self.kill_passing("workers", lambda: self.below(self.daemon.main.pid, "dbsnapd"))

    def kill_walkers(self):
        return self.kill_passing("walkers", lambda: [c for w in self.below(self.daemon.main.pid, "dbsnapd")
                                                     for c in self.below(w, "dbsnapd")])

    def kill_helpers(self):
        return self.kill_passing("helpers", lambda: [c for w in self.below(self.daemon.main.pid, "dbsnapd")
                                                     for c in self.below(w, "dbsnapd-helper-postgresql")])

    @staticmethod
    def below(pid, name):
        return [c for c in offspring(pid) if program(c) == name]

    def kill_passing(self, role, find, timeout=20.0):
        """One that was not there yet, after a random part of its life. Walkers may be rare: else a worker."""
        old, end = set(find()), time.monotonic() + (1 if role == "walkers" else timeout)
        while not (new := held(p for p in find() if p not in old)):
            if role == "walkers" and time.monotonic() >= end:
                return self.kill_workers()
            assert time.monotonic() < end, f"none of the {role} for {timeout} s"
            select.select([], [], [], 0.0005)
        born = time.monotonic()
        victim = self.rng.choice(new)
        life = self.lives.get(role, 0.05)
        if victim.ended(self.rng.random() * life):
            self.lives[role] = max(0.9 * life, time.monotonic() - born)
            return False
        self.lives[role] = min(1.1 * life, 2.0)
        self.worker_kills += 1
        return self.signal(victim)

    def pause(self, most):
        threading.Event().wait(self.rng.random() * most)

    @staticmethod
    def signal(pid):
        try:
            pid.signal(signal.SIGKILL)
            return True
        except ProcessLookupError:
            return False


def shuffled(rng, roles, count):
    """So many roles, each as often as any other, in random order."""
    found = []
    while len(found) < count:
        found += rng.sample(roles, len(roles))
    return found[:count]
