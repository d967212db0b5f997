# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold whenever nothing is in flight, read from the API and from the disk.

Numbers are those of the list of invariants in the design.
"""
import json
import os
import stat

from . import disk as disks
from .process import status_fields


def read_manifest(path):
    with open(os.path.join(path, "manifest.json"), encoding="ascii") as file:
        return json.load(file)


def check_backup(cluster, item, snapshots):
    """4: AVAILABLE if and only if the snapshot and its manifest are there."""
    path = os.path.join(snapshots, item["BackupId"])
    state = item["Dbsnap"]["State"]
    if state != "AVAILABLE":
        assert not os.path.lexists(path), f"{state}, yet {path} is there"
        return
    assert item["Dbsnap"]["Path"] == path, item
    mode = os.lstat(path)
    assert stat.S_ISDIR(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o700, oct(mode.st_mode)
    assert mode.st_uid == 0
    assert os.path.isdir(os.path.join(path, "data"))
    text = json.dumps(read_manifest(path))
    assert item["BackupId"] in text and cluster in text, text


def check_folder(cluster, items, clones, snapshots):
    """4, 7, 9: nothing is on disk that no record names, nothing partial."""
    if not os.path.isdir(snapshots):
        assert not items and not clones
        return
    wanted = {i["BackupId"] for i in items if i["Dbsnap"]["State"] == "AVAILABLE"}
    names = set(os.listdir(snapshots)) - {"marker.json", "clones"}
    assert names == wanted, f"{cluster}: on disk {sorted(names)}, in records {sorted(wanted)}"
    folder = os.path.join(snapshots, "clones")
    on_disk = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    made = {c["CloneName"] for c in clones if c["State"] == "Available"}
    assert on_disk == made | {f".{name}.json" for name in made}, on_disk


def check_subvolumes(disk, daemon):
    """9: every subvolume below a snapshot_dir belongs to a backup or a clone."""
    for path, read_only in disk.subvolumes().items():
        full = disk.path(path)
        for cluster in daemon.clusters:
            snapshots = daemon.snapshot_dir(cluster)
            if not full.startswith(snapshots + "/"):
                continue
            first = os.path.relpath(full, snapshots).split("/")[0]
            assert first == "clones" or first.isdigit(), full
            assert read_only == (first != "clones"), full


def check_processes(daemon):
    """9: engine and front, and neither of them stopped."""
    front = daemon.front()
    assert daemon.descendants() == [front]
    for pid in (daemon.main.pid, front):
        assert not status_fields(pid)["State"].startswith("T")


def check(daemon, *disks_used, manual_retained=None):
    """All of it. Waits until the daemon is idle first."""
    daemon.wait_idle()
    seen = set()
    for cluster in daemon.clusters:
        items = daemon.api.backups(cluster)
        clones = daemon.api.ok("DescribeClones", DBClusterId=cluster)["Items"]["Clone"]
        snapshots = daemon.snapshot_dir(cluster)
        ids = [i["BackupId"] for i in items]
        assert len(set(ids)) == len(ids) and not seen & set(ids), ids      # 1, 6
        assert ids == sorted(ids, key=int, reverse=True), ids
        seen |= set(ids)
        if manual_retained is not None:                                    # 5
            kept = [i for i in items if i["Dbsnap"]["State"] == "AVAILABLE"]
            assert len(kept) <= manual_retained, ids
        for item in items:
            check_backup(cluster, item, snapshots)
        check_folder(cluster, items, clones, snapshots)
    for disk in disks_used:
        if disk.kind == "btrfs":
            check_subvolumes(disk, daemon)
    check_processes(daemon)


def contents(daemon):
    """What recovery must not change (11): the API's lists and the folders' names."""
    answer = {}
    for cluster in daemon.clusters:
        snapshots = daemon.snapshot_dir(cluster)
        answer[cluster] = (daemon.api.backups(cluster),
                           daemon.api.ok("DescribeClones", DBClusterId=cluster)["Items"],
                           sorted(os.listdir(snapshots)) if os.path.isdir(snapshots) else None)
    return answer


def sync(disk):
    """Commits what the file system holds back, a subvolume's removal included."""
    disks.run("btrfs", "filesystem", "sync", disk.mnt)
