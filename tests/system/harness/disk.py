# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems on loop devices, made by mount itself (so that the device goes with
the mount)."""
import os
import subprocess

from .process import eventually

MKFS = {
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
    "ext4": ["mkfs.ext4", "-q", "-F"],
}


def unmount(point):
    """Waits for a worker that still looks at something there."""
    eventually(lambda: subprocess.run(["umount", point], capture_output=True).returncode == 0,
               what=f"nobody uses {point}")


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr or done.stdout}"
    return done.stdout


def mount_of(path):
    """The mount point that a path lies below (os.path.ismount takes subvolumes for one)."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    return max((p for p in points if (path + "/").startswith(p.rstrip("/") + "/")), key=len)


class Disk:
    """One file system in an image file in folder; `mnt` is where it is mounted."""

    def __init__(self, folder, kind="btrfs", size="2G", options="", mnt=None):
        self.kind = kind
        self.options = options
        self.image = os.path.join(folder, "image")
        self.mnt = mnt or os.path.join(folder, "mnt")
        os.mkdir(self.mnt, 0o755)
        run("truncate", "-s", size, self.image)
        run(*MKFS[kind], self.image)
        self.mount()

    def mount(self, read_only=False):
        options = ",".join(filter(None, ["loop", self.options, "ro" if read_only else ""]))
        run("mount", "-t", self.kind, "-o", options, self.image, self.mnt)

    def remount(self, options):
        run("mount", "-o", f"remount,{options}", self.mnt)

    def umount(self):
        unmount(self.mnt)

    def mounted(self):
        return os.path.ismount(self.mnt)

    def path(self, *names):
        return os.path.join(self.mnt, *names)

    def subvolume(self, name, owner=None):
        """A btrfs subvolume, or a plain folder elsewhere; its path."""
        path = self.path(name)
        if self.kind == "btrfs":
            run("btrfs", "subvolume", "create", path)
        else:
            os.mkdir(path)
        os.chmod(path, 0o700)
        if owner:
            run("chown", f"{owner}:", path)
        return path

    def files(self, name, uid=0):
        """A subvolume of plain files (one), for clusters of type none; its path."""
        path = self.subvolume(name)
        with open(os.path.join(path, "letter"), "w", encoding="utf-8") as file:
            file.write("to be kept\n")
        for each in (path, file.name):
            os.chown(each, uid, uid)
        return path

    def subvolumes(self):
        """{path below the mount: read-only?} of every subvolume."""
        listed = {}
        for extra in ([], ["-r"]):
            for line in run("btrfs", "subvolume", "list", *extra, self.mnt).splitlines():
                listed[line.split(" path ", 1)[1]] = bool(extra)
        return listed

    def deleted_subvolumes(self):
        """How many are deleted and not yet cleaned away."""
        return len(run("btrfs", "subvolume", "list", "-d", self.mnt).splitlines())

    def fill(self, leave_bytes):
        """A file `ballast` that leaves about so many bytes free; its path."""
        path = self.path("ballast")
        stat = os.statvfs(self.mnt)
        size = stat.f_bavail * stat.f_frsize - leave_bytes
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
            os.fsync(file.fileno())
        return path

    def close(self):
        if self.mounted():
            run("umount", "--lazy", self.mnt)
        os.unlink(self.image)
