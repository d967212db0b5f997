# SPDX-License-Identifier: GPL-3.0-or-later
"""When a process stands still (SIGSTOP), and for how long: its state is looked at a thousand times a second.

A guard lets it go by itself after a while, whatever becomes of the test: nothing else could.
"""
import os
import signal
import subprocess
import threading
import time

GUARD_SECONDS = 120
LOOK_S = 0.001


def is_still(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Stills:
    """with Stills(pid) as stills: ... stills.wait() ...; spans: seconds of each time that it stood still."""

    def __init__(self, pid):
        self.pid = pid
        self.spans = []
        self.since = None
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.guard = subprocess.Popen(["sh", "-c", f"sleep {GUARD_SECONDS}; kill -CONT {pid}"],
                                      stderr=subprocess.DEVNULL, start_new_session=True)

    def watch(self):
        while not self.stopping.wait(LOOK_S):
            still, now = is_still(self.pid), time.monotonic()
            if still == (self.since is not None):
                continue
            with self.changed:
                if not still:
                    self.spans.append(now - self.since)
                self.since = now if still else None
                self.changed.notify_all()

    def wait(self, timeout=60.0):
        """Until it stands still, or has for a moment since the last one that was asked for."""
        with self.changed:
            seen = len(self.spans)
            assert self.changed.wait_for(lambda: self.since is not None or len(self.spans) > seen, timeout)

    def longest(self):
        assert self.since is None, "it stands still"
        return max(self.spans, default=0.0)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        assert self.guard.poll() is None, "it took too long: the guard has let the server go"
        os.killpg(self.guard.pid, signal.SIGKILL)
        self.guard.wait()
