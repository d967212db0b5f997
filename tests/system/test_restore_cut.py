# SPDX-License-Identifier: GPL-3.0-or-later
"""A power cut at any moment of a restore: the old directory or the new one, whole, and after its end both.

DBSNAP_CUTS: how many (16; of what has parts a quarter) on each file system, at the ends of what the disk was made to write.
"""
import contextlib
import glob
import os
import random
import shutil
import signal

import pytest

from harness.cut import records
from harness.postgres import USER
from harness.source import digest
from harness.process import Pid
from harness.steps import Pause, Strike
from test_invariants_cut import make_cut_disk  # noqa: F401 (a fixture)
from test_restore import CELLS, OWNER, QUOTA, Restores, write
from test_restore_parts import Parts, set_apart

CUTS = int(os.environ.get("DBSNAP_CUTS", "16"))
SEED = int(os.environ.get("DBSNAP_SEED", "20260101"))


def fill(folder):
    """So much that it is not all written with the names."""
    os.mkdir(os.path.join(folder, "deep"))
    for number in range(20):
        with open(os.path.join(folder, "deep", str(number)), "wb") as file:
            file.write(os.urandom(150_000))
    for path, _, names in os.walk(folder):
        for name in [".", *names]:
            os.chown(os.path.join(path, name), OWNER, OWNER)


# A sync that is missing shows where bytes are copied and the journal does not wait for them: on XFS, from another disk.
@pytest.mark.parametrize("kind, backend", [*CELLS, ("xfs", "copy")])
def test_power_cut(make_cut_disk, make_disk, make_daemon, kind, backend):  # noqa: F811
    disk = make_cut_disk(kind)
    data = disk.path("data")
    fill(data)
    daemon = make_daemon(quota=QUOTA)
    daemon.add_cluster("main", data, database={"type": "none"}, min_free="0%", restore="in-place", backend=backend,
                       snapshot_dir=(disk if (kind, backend) in CELLS else make_disk("ext4", "200M")).path(".dbsnap", "main"))
    daemon.start()
    restores = Restores(daemon, disk, data)
    new = digest(data)
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "old")
    old = digest(data)
    os.sync()
    disk.mark("begin")
    kept = restores.restore(backup)["KeptPath"]
    disk.mark("done")
    daemon.stop()
    disk.end()
    begin, done = [number for number, _ in disk.marks]
    ends = [number for number, kind, *_ in records(disk.log) if kind == "F" and begin < number < done]
    rng = random.Random(SEED)
    seen = set()
    for position in sorted({begin, done, *rng.sample(ends, min(CUTS, len(ends)))}):
        disk.cut(position, rng.randrange(1 << 30))
        found = digest(data)
        assert found in (old, new), f"a cut at {position} of {begin} to {done}, {ends}"
        if position >= done:
            assert (found, digest(kept)) == (new, old)
        seen.add(found)
        disk.umount()
    assert seen == {old, new}
    disk.mount()


def in_a_folder(plain):
    """A sync of the folder that names were removed from writes all of them out."""
    os.mkdir(plain.path("db"), 0o755)
    plain.files("db/data")


def hold_back(daemon, begin):
    """A restore whose copy is made and not yet taken: (what begin() gave, its worker, which is stopped)."""
    with Pause(daemon, "syncfs", 1) as pause:
        job = begin()
        worker = Pid(pause.wait())
        worker.signal(signal.SIGSTOP)
    return job, worker


def test_power_cut_within_an_undone_restore(make_cut_disk, make_daemon):  # noqa: F811
    """Right after each name that it removes again, when somebody else's fsync has just written that down."""
    disk = make_cut_disk("btrfs", in_a_folder)
    data = disk.path("db", "data")
    daemon = make_daemon(quota=QUOTA)
    daemon.add_cluster("main", data, database={"type": "none"}, min_free="0%", restore="in-place",
                       snapshot_dir=disk.path(".dbsnap", "main"))
    daemon.start()
    restores = Restores(daemon, disk, data)
    backup = restores.api.create_and_wait("main")["BackupId"]
    old = digest(data)
    for n in range(1, 30):
        job, worker = hold_back(daemon, lambda: restores.begin(backup))
        with open(data + "/letter", encoding="ascii"), Strike(daemon, "unlinkat", n, "STOP", pid=worker.pid) as strike:
            strike.release()
            struck = strike.wait(lambda: restores.job(job)["State"] not in ("Pending", "Running"))
            if struck:
                disk.sync_a_file()
                disk.mark(f"removed {n}")
                strike.detach()
                worker.signal(signal.SIGCONT)
            assert "/letter open" in restores.end(job)["Cause"] and restores.beside() == []
        if not struck:
            break
    daemon.stop()
    disk.end()
    assert len(disk.marks) >= 5
    for position, _ in disk.marks:
        disk.cut(position)  # and mounts it
        assert digest(data) == old
        disk.umount()
    disk.mount()


@pytest.fixture
def make_cut_parts(make_cut_disk, make_server, make_daemon):  # noqa: F811
    """make_cut_parts(kind, near=None): Parts, and the recorded disk: with all of it, or with the tablespace alone."""
    def make(kind, near=None):
        servers, places = [], []

        def prepare(plain):
            servers.append(make_server((near or plain).subvolume("pg", USER)))
            places.extend(set_apart(servers[0], near or plain, plain))
            servers[0].stop()
        disk = make_cut_disk(kind, prepare)
        server, = servers
        server.start()
        daemon = make_daemon(quota=QUOTA)
        daemon.add_server("main", server, min_free="0%", restore="in-place",
                          snapshot_dir=(near or disk).path(".dbsnap", "main"))
        daemon.start()
        return Parts(daemon, near or disk, server, *places), disk
    return make


@contextlib.contextmanager
def spoiled(path):
    """A file of a backup that only root can read: who copies it fails after all that is copied before it."""
    os.chmod(path, 0)
    os.chown(path, 0, 0)
    yield
    os.chmod(path, 0o600)
    shutil.chown(path, USER, USER)


def some_ends(disk, begin, done, rng):
    ends = [number for number, kind, *_ in records(disk.log) if kind == "F" and begin < number < done]
    return rng.sample(ends, min(CUTS // 4, len(ends)))


def test_power_cut_of_parts(make_cut_parts):
    """Of a backup of several subvolumes, of a restore of it that is undone, and of one that is done."""
    parts, disk = make_cut_parts("btrfs")
    server, rng = parts.server, random.Random(SEED)
    backup = parts.api.create_and_wait("main", timeout=120)
    disk.mark("made")
    assert backup["Dbsnap"]["Procedure"] == "C"
    number, path = backup["BackupId"], backup["Dbsnap"]["Path"]
    image = digest(path)
    server.sql("UPDATE in_far SET v = 'later'")
    server.stop()
    old, old_digest, apart = parts.state(), digest(parts.data_dir), parts.old()
    os.sync()
    disk.mark("begin")
    with spoiled(glob.glob(path + "/wal/0*")[0]):
        assert "Permission denied" in parts.refused(number)["Cause"]
    disk.mark("undone")
    kept = parts.restore(number)["KeptPath"]
    disk.mark("done")
    new = parts.state()
    parts.daemon.stop()
    disk.end()
    at = {text: position for position, text in disk.marks}
    for position in sorted({*at.values(), *some_ends(disk, at["begin"], at["done"], rng)}):
        print(f"cut at {position} of {at}")
        disk.cut(position)
        if position == at["made"]:
            assert digest(path) == image
        if position >= at["begin"]:
            found = parts.state()
            assert found in (old, new) and parts.old() == apart
        if position == at["undone"]:
            assert found == old and parts.beside() == parts.made() == []
        disk.umount()
    # The last one is right at its end.
    disk.mount()
    assert (found, digest(kept)) == (new, old_digest)
    server.start()
    assert server.sql("SELECT DISTINCT v FROM in_far") == [("source",)]
    server.amcheck()
    server.stop()


def test_power_cut_of_a_tablespace_elsewhere(make_cut_parts, make_disk):
    """What is on disk of the data directory says nothing of what is there of a tablespace on another one."""
    parts, disk = make_cut_parts("xfs", make_disk("ext4", "1G"))
    backup = parts.api.create_and_wait("main", timeout=120)
    number, path = backup["BackupId"], backup["Dbsnap"]["Path"]
    parts.server.stop()
    old = digest(parts.space)
    os.sync()
    disk.mark("begin")
    with spoiled(path + "/data/pg_xact/0000"):
        assert "Permission denied" in parts.refused(number)["Cause"]
    disk.mark("undone")
    parts.restore(number)
    disk.mark("done")
    copy, = parts.made()
    new = digest(copy)
    parts.daemon.stop()
    disk.end()
    begin, undone, done = [position for position, _ in disk.marks]
    for position in sorted({begin, undone, done, *some_ends(disk, begin, done, random.Random(SEED))}):
        print(f"cut at {position} of {disk.marks}")
        disk.cut(position)
        assert digest(parts.space) == old
        if position == undone:
            assert parts.made() == []
        if position >= done:
            assert digest(copy) == new
        disk.umount()
    disk.mount()
