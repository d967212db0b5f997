# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in a process and the children it will have, by strace."""
import signal
import subprocess

from .process import eventually, status_fields


class Inject:
    """with Inject(pid, "fsync", "signal=KILL:when=2"): counted anew in each child."""

    def __init__(self, pid, call, what):
        self.pid = pid
        self.argv = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={call}",
                     "-e", f"inject={call}:{what}"]
        self.process = None

    @classmethod
    def nothing(cls, pid, call, output):
        """Only writes the calls of that kind into the file."""
        trace = cls(pid, call, "")
        trace.argv = ["strace", "-f", "-qq", "-o", output, "-p", str(pid), "-e", f"trace={call}"]
        return trace

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        eventually(self.attached, what="strace attached")
        return self

    def attached(self):
        assert self.process.poll() is None, self.process.stderr.read()
        return status_fields(self.pid).get("TracerPid") == str(self.process.pid)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.process.stderr.close()
        eventually(lambda: status_fields(self.pid).get("TracerPid", "0") == "0", what="strace detached")
