# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system that does not answer: whoever writes to it is in state D, and outlives its SIGKILL.

A guard thaws it by itself after a while, whatever becomes of the test: nothing else could.
"""
import os
import signal
import subprocess

from .disk import run
from .process import children, status_fields

GUARD_SECONDS = 30


class Frozen:
    """with Frozen(disk) as frozen: ... frozen.thaw() ..."""

    def __init__(self, disk):
        self.mnt = disk.mnt
        self.guard = None

    def __enter__(self):
        self.guard = subprocess.Popen(["sh", "-c", f"sleep {GUARD_SECONDS}; exec fsfreeze -u '{self.mnt}'"],
                                      stderr=subprocess.DEVNULL, start_new_session=True)
        run("fsfreeze", "--freeze", self.mnt)
        return self

    def thaw(self):
        guard, self.guard = self.guard, None
        if guard:
            assert guard.poll() is None, "it took too long: the guard has thawed it"
            os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()
            run("fsfreeze", "--unfreeze", self.mnt)

    def __exit__(self, *_):
        self.thaw()


def stuck(pids):
    """Those of the processes, and of what is below them, that wait for a frozen file system."""
    found = []
    for pid in pids:
        if status_fields(pid).get("State", "").startswith("D") and "percpu_rwsem" in waits_in(pid):
            found.append(pid)
        found += stuck(children(pid))
    return found


def waits_in(pid):
    """The kernel's function that it waits in."""
    try:
        with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def call_of(pid):
    """The number of the system call that it waits in."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        return int(file.read().split()[0])
