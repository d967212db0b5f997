# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that dies at its n-th call of a kind, once; its retry is left in peace."""
import os
import re
import select
import signal
import subprocess
import time

from .process import eventually, status_fields

# Every call by which a worker, its walker or its helper changes something on disk.
CHANGES = ["mkdirat", "fchmod", "fsync", "renameat", "renameat2", "ioctl", "unlinkat"]


class Strike:
    """with Strike(daemon, call, n, what) as strike: the first process below the engine that comes
    to its n-th `call` meets `what` there: KILL before it happens, STOP after it has happened.
    pid: this one instead (the front, say)."""

    def __init__(self, daemon, call, n, what="KILL", pid=None):
        self.pid = pid or daemon.main.pid
        self.what = what
        self.argv = ["strace", "-f", "-q", "-p", str(self.pid), "-e", f"trace={call}", "-e", "signal=KILL,STOP",
                     "-e", f"inject={call}:signal={what}:when={n}"]
        self.process = None
        self.text = ""

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stderr.fileno(), False)
        eventually(self.attached, what="strace attached")
        return self

    def attached(self):
        assert self.process.poll() is None, self.read()
        return status_fields(self.pid).get("TracerPid") == str(self.process.pid)

    def read(self):
        while True:
            got = self.process.stderr.read(65536)
            if not got:
                return self.text
            self.text += got.decode(errors="replace")

    def struck(self):
        """The process that was struck, None so far."""
        # Helpers are ended by SIGKILL every day: a call without an answer is what tells.
        sign = {"KILL": r".*= \?$", "STOP": r"--- stopped by SIGSTOP"}[self.what]
        found = re.search(r"^(?:\[pid +(\d+)\] )?" + sign, self.read(), re.MULTILINE)
        return int(found.group(1) or self.pid) if found else None

    def wait(self, ended, timeout=30.0):
        """Until it has struck (true) or ended() says that it will not (false)."""
        end = time.monotonic() + timeout
        while not self.struck():
            if ended():
                return bool(self.struck())
            assert time.monotonic() < end, self.text
            select.select([self.process.stderr], [], [], 0.01)
        return True

    def release(self):
        """Of a process that was stopped before: from here on it runs."""
        eventually(self.struck, what=f"{self.pid} is stopped")
        self.text = ""
        os.kill(self.pid, signal.SIGCONT)

    def detach(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)

    def __exit__(self, *_):
        self.detach()
        self.read()
        self.process.stderr.close()


class Pause:
    """with Pause(daemon, call, n) as pause: the first process below the engine that comes to its n-th `call`
    is held there (by a tracer, which neither it nor its parent is told of) from wait() to release()."""

    LONGEST_US = 300 * 10**6

    def __init__(self, daemon, call, n):
        self.pid, self.call, self.n = daemon.main.pid, call, n
        self.argv = ["strace", "-f", "-q", "-p", str(self.pid), "-e", f"trace={call}", "-e", "signal=none",
                     "-e", f"inject={call}:delay_enter={self.LONGEST_US}:when={n}"]
        self.process = None
        self.text = ""

    __enter__, attached, read = Strike.__enter__, Strike.attached, Strike.read

    def held(self):
        """The process that is held, None so far."""
        seen = {}
        for pid in re.findall(rf"^(?:\[pid +(\d+)\] )?{self.call}\(", self.read(), re.MULTILINE):
            seen[pid] = seen.get(pid, 0) + 1
            if seen[pid] == self.n:
                return int(pid)
        return None

    def wait(self, timeout=60.0):
        return eventually(self.held, timeout, f"the {self.n}. {self.call}: {len(self.text)} bytes of trace")

    def release(self):
        Strike.detach(self)

    def __exit__(self, *_):
        self.release()
        self.process.stderr.close()
