# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain files (type none) on btrfs, XFS and ext4, rewritten while they are cut through the real daemon: what the
promises `crash` and `per-file` say is what the backups show. DBSNAP_CUTS, DBSNAP_SEED: as in test_cells."""
import os
import struct
import threading

import pytest

from harness import invariants, versions
from harness.inject import Inject
from harness.source import digest
from harness.steps import Pause
from harness.versions import Versions

from test_cells import QUOTA, plan

OWNER = 1  # daemon, on every system
FILES = 150
WAYS = [("plain", 0), ("slow", 0), ("held", 0.1), ("held", 0.5), ("plain", 0), ("held", 0.9), ("slow", 0),
        ("held", 0.3)]
CELLS = [("xfs", "reflink", "per-file"), ("ext4", "copy", "per-file"), ("btrfs", "btrfs", "crash")]
CHECKS = {"reflink": versions.check_moments, "copy": versions.check_bytes, "btrfs": versions.check_crash}


@pytest.fixture
def make_files(make_disk, make_daemon):
    """make_files(kind): (disk, its folder `data`, a daemon with the cluster `main` of it)."""
    def make(kind):
        disk = make_disk(kind, "600M")
        data = disk.files("data", OWNER)
        daemon = make_daemon(quota=QUOTA)
        daemon.add_cluster("main", data, database={"type": "none"}, min_free="0%",
                           snapshot_dir=disk.path(".dbsnap", "main"))
        return disk, data, daemon.start()
    return make


def cut(daemon, writer, backend, way, where):
    if way == "slow":
        with Inject(daemon.main.pid, "syncfs" if backend == "btrfs" else "utimensat", "delay_enter=10000"):
            return daemon.api.create_and_wait("main")
    if way == "plain":
        return daemon.api.create_and_wait("main")
    call = ("syncfs", 1) if backend == "btrfs" else ("utimensat", max(1, int(FILES * where)))
    with Pause(daemon, *call) as pause:
        number = daemon.api.create("main")
        pause.wait()
        writer.wait_more(5)
    item = daemon.api.wait_final("main", number)
    assert item["Dbsnap"]["State"] == "AVAILABLE", item
    return item


@pytest.mark.parametrize("kind, backend, promise", CELLS)
def test_files_under_load(make_files, kind, backend, promise):
    disk, data, daemon = make_files(kind)
    for n in range(FILES):
        os.close(os.open(os.path.join(data, f"still-{n}"), os.O_CREAT, 0o644))
    backups = []
    with Versions(data, OWNER, durable=backend == "btrfs") as writer:
        for way, where in plan(WAYS):
            writer.wait_more(2)
            # That one may not be whole yet.
            least = writer.version - 1
            backup = cut(daemon, writer, backend, way, where)
            assert (backup["Dbsnap"]["Backend"], backup["Dbsnap"]["Promise"]) == (backend, promise)
            backups.append((way, backup, digest(backup["Dbsnap"]["Path"])))
            versions.check_whole(backup["Dbsnap"]["Path"] + "/data", least, writer.version)
            CHECKS[backend](backup["Dbsnap"]["Path"] + "/data", least, writer.version)
    # A source changes nothing of a backup.
    for way, backup, before in backups:
        assert digest(backup["Dbsnap"]["Path"]) == before, way
    invariants.check(daemon, disk)


@pytest.fixture
def large(make_files):
    """large(kind): a daemon, an open file of 12 MB in its cluster, and what versions 0 to 4 of it are."""
    opened = []

    def make(kind):
        _, data, daemon = make_files(kind)
        texts = [versions.content(n, 12 << 20) for n in range(5)]
        opened.append(os.open(os.path.join(data, "large"), os.O_RDWR | os.O_CREAT, 0o644))
        os.pwrite(opened[0], texts[0], 0)
        return daemon, opened[0], texts
    yield make
    for descriptor in opened:
        os.close(descriptor)


def test_copy_of_a_file_written_in_place(large):
    """Bytes are of the moment in which each was read, and the client says so."""
    daemon, file, texts = large("ext4")
    # The file takes three calls, and there is a small one beside it.
    with Pause(daemon, "copy_file_range", 3) as pause:
        number = daemon.api.create("main")
        pause.wait()
        os.pwrite(file, texts[1], 0)
    backup = daemon.api.wait_final("main", number)
    assert (backup["Dbsnap"]["State"], backup["Dbsnap"]["Promise"]) == ("AVAILABLE", "per-file"), backup
    assert set(versions.read(backup["Dbsnap"]["Path"], "data", "large")[8:]) == {0, 1}
    for said in (daemon.client("backup", "show", number).stdout, daemon.client("cluster", "check", "main").stdout):
        assert "over the time of its copy" in said, said


def test_clone_of_a_file_written_in_place(large):
    """Shared blocks are of one moment, however often it is written meanwhile."""
    daemon, file, texts = large("xfs")
    stopping = threading.Event()

    def write():
        while not stopping.is_set():
            for text in texts:
                os.pwrite(file, text, 0)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with Inject(daemon.main.pid, "ioctl", "delay_enter=30000"):
            backups = [daemon.api.create_and_wait("main") for _ in range(3)]
    finally:
        stopping.set()
        writer.join(60)
    for backup in backups:
        assert versions.version_of(versions.read(backup["Dbsnap"]["Path"], "data", "large")) is not None
    for said in (daemon.client("backup", "show", backup["BackupId"]).stdout,
                 daemon.client("cluster", "check", "main").stdout):
        assert "each file at its own moment" in said, said


@pytest.mark.parametrize("kind, backend, promise", CELLS)
def test_clone_of_files_changes_nothing(make_files, kind, backend, promise):
    """Written to in every way, cut off, lengthened, emptied: source and backup stay what they were."""
    disk, data, daemon = make_files(kind)
    with Versions(data, OWNER) as writer:
        writer.wait_more(1)
    backup = daemon.api.create_and_wait("main")
    path = daemon.api.clone_and_wait("main", backup["BackupId"], "c1")["ClonePath"]
    assert digest(path) == digest(data)
    before = digest(data), digest(backup["Dbsnap"]["Path"])
    for name in os.listdir(path):
        with open(os.path.join(path, name), "r+b") as file:
            file.write(b"changed")
            file.seek(0, os.SEEK_END)
            file.write(b"longer")
            file.truncate(struct.calcsize("q"))
            os.fsync(file.fileno())
    os.unlink(os.path.join(path, "whole-0"))
    disk.umount()
    disk.mount()
    assert (digest(data), digest(backup["Dbsnap"]["Path"])) == before
    for name in os.listdir(data):
        with open(os.path.join(data, name), "r+b") as file:
            file.write(b"changed")
    assert digest(backup["Dbsnap"]["Path"]) == before[1]
    assert versions.read(path, "letter") == b"changede"
