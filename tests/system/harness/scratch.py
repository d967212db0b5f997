# SPDX-License-Identifier: GPL-3.0-or-later
"""The temporary folder of one run.

Its lock file is held as long as the run lives, so the next run can tell what a killed
one has left (files only, where run-pytest could make namespaces) and removes it.
"""
import fcntl
import glob
import os
import shutil
import subprocess
import tempfile

PREFIX = "/var/tmp/dbsnap-test."
PROGRAMS = ("dbsnapd", "dbsnapd-front", "dbsnapd-helper-mariadb", "dbsnapd-helper-postgresql", "dbsnap")


def mounts_below(folder):
    """Mount points in or below folder, innermost first."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    inside = [p for p in points if p == folder or p.startswith(folder + "/")]
    return sorted(inside, key=len, reverse=True)


def remove_tree(folder):
    for point in mounts_below(folder):
        subprocess.run(["umount", "--lazy", point], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True)


def take_lock(folder):
    """The lock's descriptor, or None when its run still lives."""
    fd = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def remove_survivors():
    for folder in glob.glob(PREFIX + "*"):
        if os.path.islink(folder) or os.stat(folder).st_uid != os.getuid():
            continue
        fd = take_lock(folder)
        if fd is not None:
            remove_tree(folder)
            os.close(fd)


class Scratch:
    """A folder of 0755 (other users' processes work in it), and numbered ones in it."""

    def __init__(self):
        remove_survivors()
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        self.lock = take_lock(self.path)
        os.chmod(self.path, 0o755)
        self.count = 0

    def folder(self, name):
        self.count += 1
        path = os.path.join(self.path, f"{name}{self.count}")
        os.mkdir(path, 0o755)
        return path

    def copy_programs(self):
        """Copies what was built to a place that every user can reach; the folder."""
        build = os.environ["DBSNAP_BUILDDIR"]
        folder = self.folder("bin")
        for name in PROGRAMS:
            source = os.path.join(build, name)
            if os.path.exists(source):
                shutil.copy(source, folder)
        return folder

    def remove(self):
        remove_tree(self.path)
        os.close(self.lock)
