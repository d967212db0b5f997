# SPDX-License-Identifier: GPL-3.0-or-later
"""A power cut at any moment of a restore: the old directory or the new one, whole, and after its end both.

DBSNAP_CUTS: how many (16) on each file system, at the ends of what the disk was made to write.
"""
import os
import random
import signal

import pytest

from harness.cut import records
from harness.source import digest
from harness.process import Pid
from harness.steps import Pause, Strike
from test_invariants_cut import make_cut_disk  # noqa: F401 (a fixture)
from test_restore import CELLS, OWNER, QUOTA, Restores, write

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
