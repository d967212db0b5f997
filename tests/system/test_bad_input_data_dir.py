# SPDX-License-Identifier: GPL-3.0-or-later
"""A data_dir that cannot be cut: one refusal with its reason and remedy, nothing made.

What the check of a layout finds, in every form, is in test_postgresql.py (on a worker's
own functions); here it goes through the daemon to its caller.
"""
import os
import shutil

import pytest

from harness.disk import run, unmount
from harness.postgres import USER
from harness.unchanged import says, unchanged

LAYOUT = (403, "OperationDenied.Layout")
OFFLINE = (503, "ServiceUnavailable")


def refused(daemon, disk, cause, remedy, code=LAYOUT, cluster="main", token="t"):
    """By the check, then by a create, with the same words; nothing changed."""
    with unchanged(daemon, disk):
        told = daemon.api.ok("CheckCluster", DBClusterId=cluster)
        assert told["Ok"] == "false", told
        assert cause in told["Refusal"] and remedy in told["Remedy"], told
        says(daemon.api.call("CreateBackup", DBClusterId=cluster, ClientToken=token), code, cause, remedy)


def accepted(daemon, cluster="main"):
    """Once the remedy is done the token of the refused create is as good as new."""
    told = daemon.api.ok("CheckCluster", DBClusterId=cluster)
    assert told["Ok"] == "true" and told["Procedure"] in ("A", "G", "-", ""), told
    daemon.api.create_and_wait(cluster, token="t")


def test_missing(daemon, btrfs, pg):
    pg.stop()
    os.rename(pg.data_dir, btrfs.path("away"))
    refused(daemon, btrfs, "does not exist", "data_dir")
    os.rename(btrfs.path("away"), pg.data_dir)
    accepted(daemon)


def test_missing_with_backups(daemon, btrfs, pg):
    item = daemon.api.create_and_wait("main")
    pg.stop()
    os.rename(pg.data_dir, btrfs.path("away"))
    refused(daemon, btrfs, "does not exist", "data_dir")
    daemon.restart()
    refused(daemon, btrfs, "does not exist", "data_dir")
    assert daemon.api.state("main", item["BackupId"]) == "AVAILABLE"
    daemon.api.clone_and_wait("main", item["BackupId"], "c1")
    os.rename(btrfs.path("away"), pg.data_dir)
    accepted(daemon)


def test_file(daemon, btrfs, pg):
    pg.stop()
    os.rename(pg.data_dir, btrfs.path("away"))
    with open(pg.data_dir, "w", encoding="utf-8"):
        pass
    refused(daemon, btrfs, "is not a directory", "data_dir")


@pytest.mark.parametrize("last", [True, False])
def test_symbolic_link(daemon, btrfs, pg, last):
    if last:
        os.symlink(pg.data_dir, btrfs.path("link"))
        data_dir = btrfs.path("link")
    else:
        os.symlink(btrfs.mnt, btrfs.path("link"))
        data_dir = btrfs.path("link", "pg")
    daemon.add_cluster("linked", data_dir, snapshot_dir=btrfs.path("snapshots"),
                       database={"conninfo": pg.conninfo})
    daemon.reload()
    refused(daemon, btrfs, f"the real path is {pg.data_dir}", "set data_dir to the real path", cluster="linked")
    assert not os.path.exists(btrfs.path("snapshots"))


def test_not_a_database(daemon, btrfs):
    daemon.add_cluster("empty", btrfs.subvolume("empty", USER))
    daemon.reload()
    refused(daemon, btrfs, "holds no database", "database.type: none", cluster="empty")


def test_database_of_another_user(daemon, btrfs, pg):
    pg.stop()
    run("chown", "-R", "nobody:", pg.data_dir)
    refused(daemon, btrfs, "belongs to uid 65534, and database.user is postgres", "database.user")
    run("chown", "-R", f"{USER}:", pg.data_dir)
    accepted(daemon)


def insist_on_btrfs(daemon, pg):
    """auto would go on to a backend that walks."""
    daemon.add_server("main", pg, backend="btrfs")
    daemon.reload()


def test_plain_folder(daemon, btrfs, make_server):
    data_dir = btrfs.path("plain")
    os.mkdir(data_dir, 0o700)
    daemon.add_server("plain", make_server(data_dir), backend="btrfs")
    daemon.reload()
    refused(daemon, btrfs, "plain folder", "btrfs subvolume create", cluster="plain")


def test_nested_subvolume(daemon, btrfs, pg):
    insist_on_btrfs(daemon, pg)
    nested = os.path.join(pg.data_dir, "base", "nested")
    run("btrfs", "subvolume", "create", nested)
    refused(daemon, btrfs, "nested subvolume base/nested", "")
    run("btrfs", "subvolume", "delete", nested)
    accepted(daemon)


def test_mount_inside(daemon, btrfs, pg):
    inside = os.path.join(pg.data_dir, "inside")
    os.mkdir(inside)
    run("mount", "-t", "tmpfs", "none", inside)
    refused(daemon, btrfs, f"{inside} is mounted inside", "move what is mounted there")
    unmount(inside)
    accepted(daemon)


def test_wal_elsewhere(daemon, btrfs, pg):
    insist_on_btrfs(daemon, pg)
    pg.stop()
    wal = os.path.join(pg.data_dir, "pg_wal")
    run("mv", wal, btrfs.path("wal"))
    os.symlink(btrfs.path("wal"), wal)
    refused(daemon, btrfs, f"pg_wal is a link to {btrfs.path('wal')}", "")


def test_tablespace(daemon, btrfs, pg):
    insist_on_btrfs(daemon, pg)
    tables = btrfs.path("tables")
    os.mkdir(tables)
    shutil.chown(tables, USER)
    pg.sql(f"CREATE TABLESPACE ts LOCATION '{tables}'")
    refused(daemon, btrfs, tables, "")
    pg.sql("DROP TABLESPACE ts")
    pg.sql("CHECKPOINT")
    accepted(daemon)


def test_found_by_the_job_itself(daemon, btrfs, pg):
    """What happened after the last check: the job fails, gives its slot back, leaves nothing."""
    insist_on_btrfs(daemon, pg)
    daemon.api.create_and_wait("main")
    left = daemon.api.ok("DescribeStatus")["Clusters"][0]["QuotaLeft"]
    nested = os.path.join(pg.data_dir, "base", "nested")
    run("btrfs", "subvolume", "create", nested)
    before = sorted(os.listdir(daemon.snapshot_dir("main")))
    item = daemon.api.wait_final("main", daemon.api.create("main", token="t"))
    assert item["Dbsnap"]["State"] == "FAILED"
    assert "nested subvolume base/nested" in item["Dbsnap"]["Cause"] and item["Dbsnap"]["Remedy"]
    daemon.wait_idle()
    assert sorted(os.listdir(daemon.snapshot_dir("main"))) == before
    after = daemon.api.ok("DescribeStatus")["Clusters"][0]["QuotaLeft"]
    assert (after["RetainedLeft"], after["PerDayLeft"]) == (left["RetainedLeft"], left["PerDayLeft"])
    # And from now on it is known before.
    refused(daemon, btrfs, "nested subvolume base/nested", "", token="another")


def test_missing_from_the_start(make_daemon, btrfs):
    daemon = make_daemon()
    daemon.add_cluster("main", btrfs.path("pg"), database={"type": "none"})
    daemon.start()
    refused(daemon, btrfs, "does not exist", "mount the file system that holds it", OFFLINE)
    btrfs.subvolume("pg")
    told = daemon.api.ok("CheckCluster", DBClusterId="main")
    assert told["Ok"] == "true", told
    daemon.api.create_and_wait("main", token="t")


def test_owner_that_is_nobody(make_daemon, btrfs):
    daemon = make_daemon()
    daemon.add_cluster("main", btrfs.subvolume("files", "nobody"), database={"type": "none"})
    daemon.start()
    refused(daemon, btrfs, "is owned by nobody", "chown it to the database's user")
