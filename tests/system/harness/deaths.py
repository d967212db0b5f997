# SPDX-License-Identifier: GPL-3.0-or-later
"""Fronts that are killed as soon as they live, aside: the pauses between them sum up to a minute."""
import threading
import time

from .process import Pid, held, offspring, program


class Deaths(threading.Thread):
    """Kills every front of a daemon until its engine ends."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.engine = daemon
        self.main = Pid(daemon.main.pid)
        self.times = []
        self.pause = threading.Event()
        self.changed = threading.Condition()

    def run(self):
        while self.main.alive():
            for front in held(c for c in offspring(self.main.pid) if program(c) == "dbsnapd-front"):
                front.kill()
                front.wait_end()
                with self.changed:
                    self.times.append(time.monotonic())
                    self.changed.notify_all()
            self.pause.wait(0.02)

    def wait(self, count, timeout=90):
        """The moments of the first so many deaths."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.times) >= count, timeout), self.times
            return self.times[:count]
