# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain files that are rewritten all the time, each byte of which tells by which writing it came.

A file of version v is v in eight bytes, and then nothing but the byte v % 251. `whole-N` are replaced by rename,
`place-N` written over by one pwrite; `first` and `second` are one journal and what it is for: second follows first,
each on disk before the other is touched.
"""
import os
import struct
import threading

SIZE = 200_000
COUNT = 3
BLOCK = 4096


def content(version, size=SIZE):
    return struct.pack("<q", version) + bytes([version % 251]) * (size - 8)


def version_of(data):
    """The one version that all of it is of, None if there is no such."""
    version, = struct.unpack("<q", data[:8])
    return version if data == content(version, len(data)) else None


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


class Versions:
    """with Versions(path, uid) as versions: all of them are written there. version: the one being written.

    durable: each is on disk before its name is, as who wants to survive a power cut does it."""

    def __init__(self, path, uid, durable=False):
        self.path, self.uid, self.durable = path, uid, durable
        self.version = 1
        self.error = None
        self.round = threading.Condition()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.write, daemon=True)
        self.descriptors = [self.make(f"place-{n}") for n in range(COUNT)] + [self.make("first"), self.make("second")]
        for n in range(COUNT):
            self.replace(n)

    def make(self, name):
        descriptor = os.open(os.path.join(self.path, name), os.O_RDWR | os.O_CREAT, 0o600)
        os.fchown(descriptor, self.uid, self.uid)
        os.pwrite(descriptor, content(self.version), 0)
        return descriptor

    def replace(self, n):
        path = os.path.join(self.path, f"whole-{n}")
        descriptor = self.make(os.path.basename(path) + ".new")
        if self.durable:
            os.fsync(descriptor)
        os.close(descriptor)
        os.rename(path + ".new", path)

    def write_once(self):
        text = content(self.version + 1)
        self.version += 1
        for n in range(COUNT):
            self.replace(n)
            os.pwrite(self.descriptors[n], text, 0)
        for descriptor in self.descriptors[COUNT:]:
            os.pwrite(descriptor, text[:8], 0)
            if self.durable:
                os.fdatasync(descriptor)

    def write(self):
        try:
            while not self.stopping.wait(0.02):
                self.write_once()
                with self.round:
                    self.round.notify_all()
        except Exception as error:  # told to whoever waits
            self.error = error

    def wait_more(self, count, timeout=60.0):
        """So many versions later."""
        with self.round:
            goal = self.version + count
            assert self.round.wait_for(lambda: self.error or self.version >= goal, timeout), self.version
        assert not self.error, self.error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(60)
        for descriptor in self.descriptors:
            os.close(descriptor)


def check_whole(folder, least, most):
    """What is replaced by rename is of one version, whatever the backend."""
    for n in range(COUNT):
        version = version_of(read(folder, f"whole-{n}"))
        assert version is not None and least <= version <= most, (n, version, least, most)


def check_moments(folder, least, most):
    """Each file that is written in place is what it was at one moment."""
    for n in range(COUNT):
        version = version_of(read(folder, f"place-{n}"))
        assert version is not None and least <= version <= most, (n, version, least, most)


def check_crash(folder, least, most):
    """All files are of the same moment, as far as they were on disk: no effect without its cause."""
    first, second = (struct.unpack("<q", read(folder, name)[:8])[0] for name in ("first", "second"))
    assert least <= second <= first <= min(second + 1, most), (first, second, least, most)
    check_bytes(folder, least, most)


def check_bytes(folder, least, most):
    """No byte but of those that stood there between request and end."""
    stood = {version % 251 for version in range(least, most + 1)}
    for n in range(COUNT):
        assert set(read(folder, f"place-{n}")[8:]) <= stood, (n, least, most)
