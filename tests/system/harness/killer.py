# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILLs of a daemon's processes at random moments of their lives, and its return after each.

Victims that come and go by themselves (worker, walker, helper) are waited for and then given a random
part of a life, as long as some other of their kind has lived. One that ends before that tells how long
its life was, and another one is waited for: a kill is over when it has hit.
"""
import collections
import os
import select
import signal
import threading
import time

from .process import Pid, held, offspring, program

# Ten deaths of the front in a minute end the engine, which another test wants.
FRONTS_MAX = 8
# So many victims of one kill may end by themselves; the next ones get no time.
PATIENCE = 5
# Of those that come and go: a kill that hits none within it is a fault of the test's load.
TIMEOUT_S = 60.0
# Walkers may be rare: a worker is taken when none was born for so long.
WALKERS_S = 1.0


class Killer:
    """hits: signals that met a living process. worker_kills: those that may count as a job's failure.
    said: what each hit, and of those that come and go how old it was."""

    def __init__(self, daemon, rng):
        self.daemon = daemon
        self.rng = rng
        self.fronts = 0
        self.hits = 0
        self.worker_kills = 0
        self.lives = collections.defaultdict(lambda: collections.deque([0.05], maxlen=8))  # role -> seconds
        self.said = []

    def kill(self, role):
        """Kills one and brings the daemon back to where it serves."""
        if role == "front" and self.fronts == FRONTS_MAX:
            role = "engine"
        self.said.append(getattr(self, "kill_" + role)() or role)
        self.hits += 1

    def kill_front(self):
        self.fronts += 1
        self.pause(0.02)
        self.daemon.kill_front()

    def kill_engine(self):
        """Its own go with it, unaided; then as systemd does."""
        self.pause(0.02)
        self.daemon.kill()
        self.start()

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

    def kill_passing(self, role, find):
        """Waits for one after another until a signal met one that lived."""
        end, lived = time.monotonic() + TIMEOUT_S, []
        while time.monotonic() < end:
            victim = self.wait_new(find, min(end, time.monotonic() + WALKERS_S) if role == "walkers" else end)
            if victim is None:
                if role == "walkers":
                    return self.kill_workers()
                break
            born = time.monotonic()
            life = self.rng.choice(self.lives[role]) if len(lived) < PATIENCE else 0
            if not victim.ended(self.rng.random() * life) and self.signal(victim):
                self.worker_kills += 1
                self.lives[role].append(1.1 * life or min(lived))
                return f"{role} of {1000 * (time.monotonic() - born):.0f} ms"
            lived.append(time.monotonic() - born)
            self.lives[role].append(lived[-1])
        raise AssertionError(f"none of the {role} hit within {TIMEOUT_S} s; ended before, after seconds: {lived}")

    def wait_new(self, find, end):
        """One that was not there yet; None: there was none."""
        old = set(find())
        while time.monotonic() < end:
            new = held(p for p in find() if p not in old)
            if new:
                return self.rng.choice(new)
            select.select([], [], [], 0.0005)
        return None

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
