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

PREFIX, NEW_PREFIX = "/var/tmp/dbsnap-test.", "/var/tmp/dbsnap-test-new."
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
    # The lock goes last: what is left of a removal that is killed can be told as well.
    for path in [*glob.glob(glob.escape(folder) + "/[!l]*"), folder]:
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)


def take_lock(folder, flags=0):
    """The lock's descriptor, or None when its run still lives, or another removes the folder."""
    try:
        fd = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def remove_survivors():
    for folder in glob.glob(PREFIX + "*"):
        try:
            if os.path.islink(folder) or os.stat(folder).st_uid != os.getuid():
                continue
        except FileNotFoundError:
            continue
        fd = take_lock(folder)
        if fd is not None:
            remove_tree(folder)
            os.close(fd)


class Scratch:
    """A folder of 0755 (other users' processes work in it), and numbered ones in it."""

    def __init__(self):
        remove_survivors()
        # Others that begin now remove what has the name and no lock.
        new = tempfile.mkdtemp(prefix=NEW_PREFIX)
        self.lock = take_lock(new, os.O_CREAT)
        os.chmod(new, 0o755)
        self.path = PREFIX + new.removeprefix(NEW_PREFIX)
        os.rename(new, self.path)
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
