# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that no file registers any more: their backups are listed, deleted and cloned, none is made."""
import json
import os
import pwd
import stat
import subprocess

import pytest

from harness.disk import run
from harness.front import Fronts, nonce_of
from harness.process import eventually
from scenario import msgs

QUOTA = {"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 1000}


@pytest.fixture
def two(make_daemon, btrfs):
    """A daemon, not started, of the clusters old and new: folders without a database."""
    daemon = make_daemon(quota=QUOTA)
    for cluster in ("old", "new"):
        data = btrfs.subvolume(cluster)
        with open(os.path.join(data, "content"), "w", encoding="ascii") as file:
            file.write(cluster)
        daemon.add_cluster(cluster, data, description=f"the {cluster} one", database={"type": "none"},
                           min_free="0%")
    return daemon


def notes_dir(daemon):
    return daemon.state_dir + ".engine"


def note_path(daemon, cluster):
    return os.path.join(notes_dir(daemon), cluster + ".json")


def note(daemon, cluster):
    with open(note_path(daemon, cluster), encoding="ascii") as file:
        return json.load(file)


def states(daemon):
    items = daemon.api.ok("DescribeStatus")["Clusters"]
    return {c["DBClusterId"]: c["State"] for c in items}


def listed(daemon):
    return [c["DBClusterId"] for c in daemon.api.ok("DescribeDBClusters")["Items"]["DBCluster"]]


def make_no_more(daemon, cluster):
    for action in ("CreateBackup", "CheckCluster"):
        status, answer = daemon.api.call(action, DBClusterId=cluster)
        assert (status, answer["Code"]) == (404, "InvalidDBClusterId.NotFound") and "retired" in answer["Message"]


def wait_jobs(daemon):
    def over():
        jobs = daemon.api.ok("DescribeStatus")["Jobs"]
        return int(jobs["Pending"]) + int(jobs["Running"]) == 0
    eventually(over, 60, "no open job")


def clone_and_delete_clone(daemon, cluster, backup, name="c"):
    path = daemon.api.clone_and_wait(cluster, backup, name)["ClonePath"]
    with open(os.path.join(path, "content"), encoding="ascii") as file:
        assert file.read() == cluster
    daemon.api.ok("DeleteClone", CloneName=name)
    eventually(lambda: daemon.api.clone(cluster, name) is None, 60, "the clone gone")
    assert not os.path.exists(path)


def test_removed_by_a_reload(two):
    api = two.start().api
    first, second = (api.create_and_wait("old")["BackupId"] for _ in range(2))
    snapshots = two.snapshot_dir("old")
    two.remove_cluster("old")
    two.reload()
    assert states(two) == {"old": "Retired", "new": "Online"}
    make_no_more(two, "old")
    api.delete_and_wait("old", first)
    clone_and_delete_clone(two, "old", second)
    assert listed(two) == ["new", "old"]
    api.delete_and_wait("old", second)
    wait_jobs(two)
    assert os.listdir(snapshots) and not [n for n in os.listdir(snapshots) if n.isdigit()]
    assert listed(two) == ["new"]
    assert os.path.exists(note_path(two, "old"))
    api.create_and_wait("new")
    two.restart()
    eventually(lambda: not os.path.exists(note_path(two, "old")), 20, "no note of what is gone")
    assert os.path.exists(note_path(two, "new"))


def test_removed_while_stopped_and_its_data_is_gone(two, btrfs):
    api = two.start().api
    first, second = (api.create_and_wait("old")["BackupId"] for _ in range(2))
    kept = note(two, "old")
    two.stop()
    two.remove_cluster("old")
    run("btrfs", "subvolume", "delete", btrfs.path("old"))
    two.start()
    assert states(two) == {"old": "Retired", "new": "Online"}
    make_no_more(two, "old")
    clone_and_delete_clone(two, "old", second)
    two.restart()
    assert note(two, "old") == kept
    clone_and_delete_clone(two, "old", first)
    api.delete_and_wait("old", first)
    two.kill()
    two.start()
    api.delete_and_wait("old", second)
    wait_jobs(two)
    assert listed(two) == ["new"]


def test_deletes_accepted_before_are_done_after(two):
    """The place is away when they are accepted, and the file is when it is back."""
    two.start()
    backups = [two.api.create_and_wait("old")["BackupId"] for _ in range(2)]
    snapshots = two.snapshot_dir("old")
    marker = os.path.join(snapshots, "marker.json")
    two.stop()
    os.rename(marker, marker + ".away")
    two.start()
    for backup in backups:
        two.api.ok("DeleteBackup", DBClusterId="old", BackupId=backup)
    two.stop()
    os.rename(marker + ".away", marker)
    two.remove_cluster("old")
    two.start()
    wait_jobs(two)
    assert not [n for n in os.listdir(snapshots) if n.isdigit()]


def test_registered_again(two):
    api = two.start().api
    first = api.create_and_wait("old")["BackupId"]
    settings = dict(two.clusters["old"])
    two.remove_cluster("old")
    two.restart()
    make_no_more(two, "old")
    two.add_cluster("old", settings.pop("data_dir"), **{k: v for k, v in settings.items() if k != "id"})
    two.reload()
    eventually(lambda: states(two)["old"] == "Online", 20, "online again")
    second = api.create_and_wait("old")["BackupId"]
    clone_and_delete_clone(two, "old", first)
    for backup in (first, second):
        api.delete_and_wait("old", backup)


def test_a_clone_belongs_to_the_user_noted(daemon, pg, btrfs, start_clone):
    api = daemon.api
    pg.sql("CREATE TABLE t AS SELECT 42 AS n")
    backup = api.create_and_wait("main")["BackupId"]
    daemon.stop()
    pg.stop()
    daemon.remove_cluster("main")
    run("btrfs", "subvolume", "delete", btrfs.path("pg"))
    user = pwd.getpwnam("postgres")
    assert (note(daemon, "main")["uid"], note(daemon, "main")["gid"]) == (user.pw_uid, user.pw_gid)
    daemon.start()
    path = api.clone_and_wait("main", backup, "again")["ClonePath"]
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (user.pw_uid, user.pw_gid)
    server = start_clone(path)
    assert server.value("SELECT n FROM t") == 42
    server.stop()


def test_a_retired_place_that_is_away_comes_back(two):
    api = two.start().api
    backup = api.create_and_wait("old")["BackupId"]
    snapshots = two.snapshot_dir("old")
    two.remove_cluster("old")
    two.stop()
    os.rename(snapshots, snapshots + ".away")
    two.start()
    api.ok("DeleteBackup", DBClusterId="old", BackupId=backup)
    assert api.ok("DescribeStatus")["Jobs"]["Pending"] == "1"
    os.rename(snapshots + ".away", snapshots)
    wait_jobs(two)
    assert not os.path.exists(os.path.join(snapshots, backup))


# The notes

def test_notes_are_private_say_what_is_needed_and_are_written_once(two):
    two.start()
    folder = os.stat(notes_dir(two))
    assert (stat.S_IMODE(folder.st_mode), folder.st_uid, folder.st_gid) == (0o700, 0, 0)
    assert sorted(os.listdir(notes_dir(two))) == ["new.json", "old.json"]
    said = note(two, "old")
    assert said.pop("install") != "0" * 32
    assert said == {
        "version": 1, "kind": "cluster", "cluster": "old", "description": "the old one",
        "data_dir": two.clusters["old"]["data_dir"], "snapshot_dir": two.snapshot_dir("old"), "backend": "auto",
        "database": "none", "min_free_percent": 0, "min_free_bytes": 0, "user_known": False,
        "user_is_owner": True, "uid": 0, "gid": 0, "groups": []}
    before = os.stat(note_path(two, "old"))
    two.reload()
    two.restart()
    assert os.stat(note_path(two, "old")) == before
    two.add_cluster("old", two.clusters["old"]["data_dir"], description="changed", database={"type": "none"})
    two.reload()
    assert note(two, "old")["description"] == "changed"
    assert note(two, "old")["snapshot_dir"] == two.snapshot_dir("old")


def test_what_is_no_note_of_ours_is_not_believed(two, programs):
    api = two.start().api
    backup = api.create_and_wait("old")["BackupId"]
    two.stop()
    two.remove_cluster("old")
    good = note_path(two, "old")
    with open(good, encoding="ascii") as file:
        text = file.read()
    strange = {"README": "x", "Old.json": text, "other.json": text, "new.json.new": "{", ".json": text,
               "x" * 100 + ".json": text}
    for name, content in strange.items():
        with open(os.path.join(notes_dir(two), name), "w", encoding="ascii") as file:
            file.write(content)
    os.symlink("/etc/passwd", os.path.join(notes_dir(two), "link.json"))
    os.chown(good, pwd.getpwnam("dbsnap").pw_uid, -1)
    two.start()
    assert "old.json is no note that can be used" in two.log_text()
    api.ok("DeleteBackup", DBClusterId="old", BackupId=backup)
    assert api.ok("DescribeStatus")["Jobs"]["Pending"] == "1"
    two.stop()
    os.chown(good, 0, -1)
    two.start()
    wait_jobs(two)
    assert set(strange) - set(os.listdir(notes_dir(two))) == set()


@pytest.mark.parametrize("spoil, word", [
    (lambda path: os.chown(path, pwd.getpwnam("dbsnap").pw_uid, -1), "must belong"),
    (lambda path: os.chmod(path, 0o770), "must belong"),
    (lambda path: (os.rmdir(path), os.symlink("/tmp", path)), "cannot open"),
])
def test_folder_is_checked(two, spoil, word):
    os.mkdir(notes_dir(two), 0o700)
    spoil(notes_dir(two))
    done = two.run()
    assert done.returncode == 1 and word in done.stderr and notes_dir(two) in done.stderr


def test_another_store_does_not_end_a_note(two):
    """A state_dir that is not mounted looks like a new one."""
    api = two.start().api
    backup = api.create_and_wait("old")["BackupId"]
    two.stop()
    two.remove_cluster("old")
    os.rename(two.state_dir, two.state_dir + ".away")
    two.start()
    assert listed(two) == ["new"]
    two.stop()
    subprocess.run(["rm", "-r", two.state_dir], check=True)
    os.rename(two.state_dir + ".away", two.state_dir)
    two.start()
    api.delete_and_wait("old", backup)
    wait_jobs(two)


# What the engine does, whatever a front says

@pytest.fixture
def fronts(programs, scratch):
    fronts = Fronts(programs, scratch.folder("fronts"))
    yield fronts
    fronts.close()


def test_engine_makes_nothing_of_a_retired_cluster(two, fronts):
    two.bin = fronts.bin
    two.spawn()
    front = fronts.accept()
    front.hello()
    front.send("READY")
    assert front.probe("old", exclusive=True)[0].place == msgs.ONLINE
    assert front.create("old", 1).outcome == msgs.DONE
    two.kill()
    two.remove_cluster("old")
    two.spawn()
    front = fronts.accept()
    front.hello([("old", 1)])
    front.send("READY")
    probed, items = front.probe("old", exclusive=True)
    assert probed.place == msgs.ONLINE and [i.item for i in items] == [msgs.BACKUP]
    refused = front.create("old", 2)
    assert refused.outcome == msgs.FAILED and not refused.retry and "retired" in refused.cause
    checked, _ = front.check("old")
    assert checked.code == msgs.ERR_NOT_FOUND and not checked.ok
    measured, _ = front.ask("MEASURE", "MEASURED", cluster="old", backup=1, nonce=nonce_of(1))
    assert measured.code == 0 and measured.size > 0
    assert front.delete("old", 3, 1).outcome == msgs.DONE
    two.kill()
    two.spawn()
    front = fronts.accept()
    front.hello()
    assert front.probe("old")[0].place == msgs.OFFLINE
    assert not os.path.exists(note_path(two, "old"))
