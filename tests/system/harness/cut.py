# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts: a disk that records (tests/cutdisk), and what a cut at any record leaves.

The model is a disk with a volatile write cache. What came before the last flush is
there; of what came after it nothing is, or with a seed a random half, chosen sector by
sector, so that large writes tear.
"""
import os
import random
import shutil
import struct
import subprocess

from .disk import Disk, run, unmount
from .process import Pid, eventually

HEADER = struct.Struct("=IIQQ")
# What a disk writes whole. At 512 bytes a cut can tear btrfs's own superblock, and the file
# system does not mount: no promise of dbsnap's can be looked at then.
SECTOR = 4096


def program():
    return os.path.join(os.environ["DBSNAP_BUILDDIR"], "tests", "cutdisk")


def missing():
    """Why it cannot be had here; None if it can."""
    if not os.path.exists(program()):
        return "needs libfuse3-dev when configured"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"needs /dev/fuse: {error.strerror}"
    return None if shutil.which("fusermount3") else "needs fuse3"


def records(path):
    """(number, type, offset, length, data) of each; a torn last one ends it."""
    with open(path, "rb") as log:
        number = 0
        while len(head := log.read(HEADER.size)) == HEADER.size:
            kind, _, offset, length = HEADER.unpack(head)
            kind = chr(kind)
            data = log.read(length) if kind in "WM" else b""
            if kind in "WM" and len(data) < length:
                return
            number += 1
            yield number, kind, offset, length, data


def put(out, kind, offset, length, data):
    out.seek(offset)
    if kind == "W":
        out.write(data)
        return
    for at in range(0, length, 1 << 20):
        out.write(bytes(min(1 << 20, length - at)))


def put_torn(out, rng, kind, offset, length, data):
    for at in range(0, length, SECTOR):
        if rng.random() < 0.5:
            size = min(SECTOR, length - at)
            put(out, kind, offset + at, size, data[at:at + size])


class CutDisk(Disk):
    """A Disk that prepare() fills before anything is recorded."""

    def __init__(self, folder, prepare, kind="btrfs", size="512M"):
        super().__init__(folder, kind, size)
        prepare(self)
        self.umount()
        self.base = os.path.join(folder, "base")
        self.log = os.path.join(folder, "writes")
        self.fuse = os.path.join(folder, "fuse")
        os.mkdir(self.fuse)
        run("cp", "--sparse=always", self.image, self.base)
        self.process = subprocess.Popen([program(), self.image, self.log, self.fuse], stdin=subprocess.DEVNULL)
        self.recorder = Pid(self.process.pid)
        eventually(lambda: os.path.exists(os.path.join(self.fuse, "disk")), what="cutdisk is mounted")
        self.whole, self.image = self.image, os.path.join(self.fuse, "disk")
        self.mount()

    def mark(self, text):
        """Promised to a client by now, whatever is cut later."""
        with open(os.path.join(self.fuse, "mark"), "wb", buffering=0) as file:
            file.write(text.encode())

    def sync_a_file(self):
        """As anybody may at any time: on btrfs the log that it writes holds more than the file."""
        with open(self.path("synced"), "w", encoding="ascii") as file:
            file.write("x")
            os.fsync(file.fileno())
        folder = os.open(self.mnt, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def umount(self):
        """Waits for the last process of a killed daemon: one forked in its last moment is in nobody's list."""
        unmount(self.mnt)

    def end(self):
        """Ends the recording; from here on `image` is what cut() made."""
        self.umount()
        run("fusermount3", "-u", self.fuse)
        self.recorder.wait_end(10)
        self.process.wait()
        self.image = self.whole
        self.marks = [(number, data.decode()) for number, kind, _, _, data in records(self.log) if kind == "M"]

    def cut(self, position, seed=None):
        """Makes and mounts what a cut after this record leaves; the marks that it must honour."""
        # A new file each time: the loop device of the last one may live a little longer, with its cache.
        os.unlink(self.image)
        self.image = f"{self.whole}.{position}"
        run("cp", "--sparse=always", self.base, self.image)
        pending = []
        with open(self.image, "r+b") as out:
            for number, kind, *rest in records(self.log):
                if number > position:
                    break
                if kind == "F":
                    for record in pending:
                        put(out, *record)
                    pending = []
                elif kind in "WZ":
                    pending.append((kind, *rest))
            if seed is not None:
                rng = random.Random(seed)
                for record in pending:
                    put_torn(out, rng, *record)
        self.mount()
        return [text for number, text in self.marks if number <= position]

    def close(self):
        if self.mounted():
            run("umount", "--lazy", self.mnt)
        if self.process.poll() is None:
            subprocess.run(["fusermount3", "-u", "-z", self.fuse], check=False)
            self.process.kill()
            self.process.wait()
