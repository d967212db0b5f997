# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot_dir that is away, full, not to be trusted, or somebody else's.

The walk to it and its marker, form by form, are in tests/unit/test_place.c.
"""
import json
import os

import pytest

from harness import invariants
from harness.disk import run, unmount
from harness.process import eventually
from harness.unchanged import says, unchanged

LAYOUT = (403, "OperationDenied.Layout")
OFFLINE = (503, "ServiceUnavailable")
FULL = (403, "OperationDenied.DiskFull")


class Bind:
    """A second mount of a folder of the disk, for what can happen to a snapshot_dir alone."""

    def __init__(self, disk, point):
        self.source = disk.path("volume")
        self.point = point
        os.mkdir(self.source)
        os.mkdir(self.point)
        self.mount()

    def mount(self):
        run("mount", "--bind", self.source, self.point)

    def umount(self):
        unmount(self.point)

    def remount(self, options):
        run("mount", "-o", f"remount,bind,{options}", self.point)


@pytest.fixture
def bind(btrfs, folder):
    bind = Bind(btrfs, os.path.join(folder, "volume"))
    yield bind
    if os.path.ismount(bind.point):
        run("umount", "--lazy", bind.point)


@pytest.fixture
def make_files(make_daemon, btrfs):
    """make_files(**settings): a daemon with one cluster of plain files, started."""
    data_dir = btrfs.files("files", uid=1234)

    def make(start=True, **settings):
        daemon = make_daemon(quota={"manual_per_day": 100, "manual_retained": 100})
        daemon.add_cluster("main", data_dir, database={"type": "none"}, **settings)
        return daemon.start() if start else daemon
    return make


def refused(daemon, disk, code, cause, remedy):
    with unchanged(daemon, disk):
        told = daemon.api.ok("CheckCluster", DBClusterId="main")
        assert told["Ok"] == "false", told
        assert cause in told["Refusal"] and remedy in told["Remedy"], told
        says(daemon.api.call("CreateBackup", DBClusterId="main"), code, cause, remedy)


def back(daemon, *disks):
    """After the remedy a create is served, sooner or later by itself."""
    def served():
        return daemon.api.call("CreateBackup", DBClusterId="main")[0] == 200
    eventually(served, 60, "the place is looked at again")
    invariants.check(daemon, *disks)
    assert daemon.api.backups("main")[0]["Dbsnap"]["State"] == "AVAILABLE"


def test_not_mounted_at_first(make_files, btrfs, bind):
    bind.umount()
    daemon = make_files(snapshot_dir=bind.point + "/main")
    refused(daemon, btrfs, OFFLINE, "would lie on another file system", "mount it")
    assert os.listdir(bind.point) == []
    bind.mount()
    back(daemon, btrfs)


@pytest.mark.parametrize("restart", [False, True])
def test_not_mounted_later(make_files, btrfs, bind, restart):
    daemon = make_files(snapshot_dir=bind.point + "/main")
    item = daemon.api.create_and_wait("main")
    daemon.wait_idle()
    bind.umount()
    if restart:
        daemon.restart()
    refused(daemon, btrfs, OFFLINE, "is not there", "mount")
    # Cannot look is never is gone.
    assert daemon.api.state("main", item["BackupId"]) == "AVAILABLE"
    assert os.listdir(bind.point) == []
    bind.mount()
    back(daemon, btrfs)
    assert daemon.api.state("main", item["BackupId"]) == "AVAILABLE"


def test_below_min_free(make_files, btrfs):
    daemon = make_files(min_free="50%")
    item = daemon.api.create_and_wait("main")
    ballast = btrfs.fill(200 << 20)
    daemon.api.ok("CheckCluster", DBClusterId="main")
    with unchanged(daemon, btrfs):
        says(daemon.api.call("CreateBackup", DBClusterId="main"), FULL, "min_free asks for")
    daemon.api.delete_and_wait("main", item["BackupId"])
    os.unlink(ballast)
    invariants.sync(btrfs)
    back(daemon, btrfs)


def test_full_to_the_last_byte(make_files, btrfs):
    """Whether it is refused or fails in its job: nothing is left, and a delete works."""
    daemon = make_files(min_free="0")
    item = daemon.api.create_and_wait("main")
    daemon.wait_idle()
    before = sorted(os.listdir(daemon.snapshot_dir("main")))
    ballast = btrfs.fill(0)
    with open(btrfs.path("more"), "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 65536):
                pass
        except OSError:
            pass
    status, answer = daemon.api.call("CreateBackup", DBClusterId="main")
    if status == 200:
        second = daemon.api.wait_final("main", answer["BackupJobId"], timeout=120)
        assert second["Dbsnap"]["State"] in ("AVAILABLE", "FAILED"), second
        if second["Dbsnap"]["State"] == "FAILED":
            assert second["Dbsnap"]["Cause"] and second["Dbsnap"]["Remedy"]
            assert sorted(os.listdir(daemon.snapshot_dir("main"))) == before
    else:
        says((status, answer), FULL, "delete backups")
    daemon.api.delete_and_wait("main", item["BackupId"])
    os.unlink(ballast)
    os.unlink(btrfs.path("more"))
    invariants.sync(btrfs)
    back(daemon, btrfs)


def test_read_only(make_files, btrfs, bind):
    daemon = make_files(snapshot_dir=bind.point + "/main")
    item = daemon.api.create_and_wait("main")
    bind.remount("ro")
    refused(daemon, btrfs, LAYOUT, "Read-only", "mount the file system for writing")
    bind.remount("rw")
    back(daemon, btrfs)
    assert daemon.api.state("main", item["BackupId"]) == "AVAILABLE"


def test_read_only_at_first(make_files, btrfs, bind):
    bind.remount("ro")
    daemon = make_files(snapshot_dir=bind.point + "/main")
    refused(daemon, btrfs, LAYOUT, "Read-only", "mount the file system for writing")
    bind.remount("rw")
    back(daemon, btrfs)


@pytest.mark.parametrize("which", [".", ".."])
def test_writable_by_others(make_files, btrfs, which):
    daemon = make_files()
    daemon.api.create_and_wait("main")
    daemon.wait_idle()
    path = os.path.normpath(os.path.join(daemon.snapshot_dir("main"), which))
    mode = os.stat(path).st_mode
    os.chmod(path, 0o777)
    refused(daemon, btrfs, LAYOUT, f"{path} is writable by others (mode 0777)", "chmod go-w")
    os.chmod(path, mode)
    back(daemon, btrfs)


def test_owned_by_the_database_user(make_files, btrfs):
    daemon = make_files()
    path = daemon.snapshot_dir("main")
    os.chown(path, 1234, 1234)
    refused(daemon, btrfs, LAYOUT, f"{path} belongs to uid 1234", "chown root")
    os.chown(path, 0, 0)
    back(daemon, btrfs)


def test_inside_data_dir(make_files, btrfs):
    daemon = make_files(start=False, snapshot_dir=btrfs.path("files", "snapshots"))
    with unchanged(daemon, btrfs):
        done = daemon.run("-t")
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "snapshot_dir: expected a path outside data_dir" in done.stderr


def test_inside_data_dir_by_another_way(make_files, btrfs, bind):
    """What no comparison of names finds: a mount of the same folder elsewhere."""
    inside = btrfs.path("files", "inside")
    os.mkdir(inside, 0o755)
    bind.umount()
    bind.source = inside
    bind.mount()
    daemon = make_files(snapshot_dir=bind.point)
    refused(daemon, btrfs, LAYOUT, "lie one inside the other", "beside data_dir")
    assert os.listdir(inside) == []


def test_marker_of_another_install(make_files, btrfs):
    first = make_files()
    item = first.api.create_and_wait("main")
    first.stop()
    second = make_files()
    refused(second, btrfs, LAYOUT, "belongs to another install", "set snapshot_dir to another folder")
    second.stop()
    first.start()
    assert first.api.state("main", item["BackupId"]) == "AVAILABLE"
    back(first, btrfs)


def test_marker_of_another_file_system(make_files, btrfs):
    """As if another disk, with a copy of the place on it, were mounted there."""
    daemon = make_files(snapshot_dir=btrfs.path("snapshots"))
    daemon.api.create_and_wait("main")
    daemon.stop()
    marker = btrfs.path("snapshots", "marker.json")
    with open(marker, encoding="ascii") as file:
        text = file.read()
    uuid = json.loads(text)["fs_uuid"]
    with open(marker, "w", encoding="ascii") as file:
        file.write(text.replace(uuid, "0" * 8 + uuid[8:]))
    daemon.start()
    with unchanged(daemon, btrfs):
        says(daemon.api.call("CreateBackup", DBClusterId="main"), OFFLINE, "lies on another file system", "")
    with open(marker, "w", encoding="ascii") as file:
        file.write(text)
    back(daemon, btrfs)


def test_marker_of_another_cluster(make_files, btrfs):
    daemon = make_files(snapshot_dir=btrfs.path("snapshots"))
    daemon.remove_cluster("main")
    daemon.reload()
    daemon.add_cluster("main2", btrfs.path("files"), snapshot_dir=btrfs.path("snapshots"),
                       database={"type": "none"})
    daemon.reload()
    # A check of main may still hold the marker's lock.
    eventually(lambda: daemon.api.call("CreateBackup", DBClusterId="main2")[0] != OFFLINE[0], 30, "looked at")
    with unchanged(daemon, btrfs):
        says(daemon.api.call("CreateBackup", DBClusterId="main2"), LAYOUT, "belongs to cluster main",
             "a snapshot_dir of its own")


def test_files_and_no_marker(make_files, btrfs):
    os.mkdir(btrfs.path("snapshots"), 0o755)
    with open(btrfs.path("snapshots", "letter"), "w", encoding="utf-8"):
        pass
    daemon = make_files(snapshot_dir=btrfs.path("snapshots"))
    refused(daemon, btrfs, LAYOUT, "holds files and has no marker.json", "empty folder")


@pytest.mark.parametrize("last", [True, False])
def test_symbolic_link(make_files, btrfs, last):
    os.mkdir(btrfs.path("real"), 0o755)
    os.symlink(btrfs.path("real"), btrfs.path("link"))
    daemon = make_files(snapshot_dir=btrfs.path("link") if last else btrfs.path("link", "main"))
    refused(daemon, btrfs, LAYOUT, f"{btrfs.path('link')} is a symbolic link", "real path")
    assert os.listdir(btrfs.path("real")) == []


def test_file(make_files, btrfs):
    with open(btrfs.path("file"), "w", encoding="utf-8"):
        pass
    daemon = make_files(snapshot_dir=btrfs.path("file"))
    refused(daemon, btrfs, LAYOUT, "no folder", "put a real folder there")
