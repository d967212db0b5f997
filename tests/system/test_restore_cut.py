# SPDX-License-Identifier: GPL-3.0-or-later
"""A power cut at any moment of a restore: the old directory or the new one, whole, and after its end both.

DBSNAP_CUTS: how many (16) on each file system, at the ends of what the disk was made to write.
"""
import os
import random

import pytest

from harness.cut import records
from harness.source import digest
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
