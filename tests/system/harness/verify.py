# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of verifications share: a backup that can be damaged, and its verification."""
import os
import subprocess

from .disk import run
from .process import eventually

QUOTA = {"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000}
KINDS = {"btrfs": "btrfs", "reflink": "xfs", "copy": "ext4"}


class Bed:
    """A daemon with one cluster `main`, and one backup of it."""

    backup = None  # the API's item, once there is one

    def __init__(self, disk, server, daemon, backend):
        self.disk, self.server, self.daemon, self.backend = disk, server, daemon, backend
        self.api = daemon.api

    def data(self, *names):
        return os.path.join(self.backup["Dbsnap"]["Path"], "data", *names)

    def writable(self):
        """On btrfs it takes an administrator's own doing to damage a backup."""
        if self.backend == "btrfs":
            run("btrfs", "property", "set", "-f", self.data(), "ro", "false")

    def begin(self):
        """A verification's job."""
        return self.api.ok("VerifyBackup", BackupId=self.backup["BackupId"])["JobId"]

    def verified(self):
        return self.api.backup("main", self.backup["BackupId"])["Dbsnap"].get("Verified")

    def verify(self, timeout=120):
        """(the job's item, Verified of the backup)"""
        return wait_job(self.api, self.begin(), timeout), self.verified()

    def check_nothing_left(self):
        self.daemon.wait_idle()
        clones = os.path.join(self.daemon.snapshot_dir("main"), "clones")
        assert not os.path.isdir(clones) or os.listdir(clones) == []
        assert "/tmp/clone" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def wait_job(api, job, timeout=120):
    def ended():
        item = api.ok("DescribeJobs", JobId=job)["Items"]["Job"][0]
        return item if item["State"] in ("Done", "Failed", "Cancelled") else None
    return eventually(ended, timeout, f"the end of job {job}")


def in_cells(program):
    """Processes of that name below a folder that only a cell has."""
    found = []
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(program.encode()) and any(b"/tmp/clone" in word for word in words[1:]):
            found.append(int(pid))
    return found


def flip(path, at, count=8):
    """Other bytes there; the file keeps its length. Twice: as it was."""
    with open(path, "r+b") as file:
        file.seek(at)
        old = file.read(count)
        assert len(old) == count
        file.seek(at)
        file.write(bytes(b ^ 0xFF for b in old))


def cut(path, size):
    os.truncate(path, size)
