# SPDX-License-Identifier: GPL-3.0-or-later
"""A data directory of plain files that is written all the time, and what a backup of it must hold.

What was in it when a create was asked for has to be in its backup: files that never change, one note for
every create asked for, and a log that only grows, of which every moment is a beginning.
"""
import hashlib
import os
import stat
import threading
import time

LINE = "%010d %013d\n"  # its number, and the clock's milliseconds
LINE_SIZE = 25


def digest(folder):
    """Of every name, mode, owner, time and byte below it."""
    found = hashlib.sha256()
    for path, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            file = os.path.join(path, name)
            entry = os.lstat(file)
            found.update(f"{os.path.relpath(file, folder)} {entry.st_mode} {entry.st_uid} {entry.st_gid} "
                         f"{entry.st_size} {entry.st_mtime_ns} ".encode())
            if stat.S_ISREG(entry.st_mode):
                with open(file, "rb") as content:
                    found.update(content.read())
    return found.hexdigest()


class Source:
    """with Source(path, uid) as source: it is being written. path: an empty folder, given to uid."""

    def __init__(self, path, uid, files=60):
        self.path = path
        self.uid = uid
        self.lock = threading.Lock()
        self.notes = 0
        self.lines = 0
        self.floors = {}  # token -> (notes, lines) that its backup must have
        self.seen = {}    # backup -> digest when it was first looked at
        self.stopping = threading.Event()
        self.make(files)
        self.kept = digest(os.path.join(path, "kept"))
        self.thread = threading.Thread(target=self.write, daemon=True)

    def make(self, files):
        for folder in ("", "kept", "kept/deep/er", "notes"):
            os.makedirs(os.path.join(self.path, folder), exist_ok=True)
        for n in range(files):
            with open(os.path.join(self.path, "kept", f"{'deep/er/' if n % 3 else ''}file-{n}"), "wb") as file:
                file.write(bytes([n % 256]) * (n * 301))
                os.fchmod(file.fileno(), 0o600 + n % 2 * 0o40)
        with open(os.path.join(self.path, "kept", "holes"), "wb") as file:
            file.seek(1 << 20)
            file.write(b"end")
        os.link(os.path.join(self.path, "kept", "file-0"), os.path.join(self.path, "kept", "deep", "again"))
        with open(os.path.join(self.path, "log"), "wb"):
            pass
        for path, _, names in os.walk(self.path):
            for name in [".", *names]:
                os.chown(os.path.join(path, name), self.uid, self.uid)

    def write(self):
        with open(os.path.join(self.path, "log"), "ab", buffering=0) as log:
            while not self.stopping.wait(0.005):
                log.write((LINE % (self.lines, time.time() * 1000)).encode())
                self.lines += 1

    def note(self, token):
        """A create with this token is about to be asked for."""
        with self.lock:
            if token in self.floors:
                return
            path = os.path.join(self.path, "notes", f"{self.notes:06d}")
            with open(path, "w", encoding="ascii") as file:
                file.write(f"note {self.notes}\n")
            os.chown(path, self.uid, self.uid)
            self.notes += 1
        self.expect(token)

    def expect(self, token):
        """The same, with nothing written for it."""
        with self.lock:
            self.floors.setdefault(token, (self.notes, self.lines))

    def check(self, number, data, token, consistent_ms):
        """4, 12: data is what the source was at one moment since the create was asked for, and stays that."""
        self.check_content(data, token, consistent_ms)
        found = digest(data)
        assert self.seen.setdefault(number, found) == found, f"{number} has changed"

    def check_content(self, data, token, consistent_ms=None):
        notes, lines = self.floors[token]
        assert digest(os.path.join(data, "kept")) == self.kept, data
        assert len(os.listdir(os.path.join(data, "notes"))) >= notes, data
        for n in range(max(0, notes - 5), notes):
            with open(os.path.join(data, "notes", f"{n:06d}"), encoding="ascii") as file:
                assert file.read() == f"note {n}\n", (data, n)
        with open(os.path.join(data, "log"), "rb") as file:
            had = file.read()
        with open(os.path.join(self.path, "log"), "rb") as file:
            assert file.read(len(had)) == had, f"{data}: no beginning of the source's log"
        whole = had[:len(had) // LINE_SIZE * LINE_SIZE]
        assert len(whole) >= lines * LINE_SIZE, f"{data}: {len(whole) // LINE_SIZE} lines of {lines}"
        if whole and consistent_ms is not None:
            assert int(whole[-14:]) <= consistent_ms, f"{data}: younger than {consistent_ms}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(30)
