# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that is down, crashed, hung, restarted, another's, or cannot be trusted."""
import os
import signal

from harness import invariants
from harness.postgres import USER
from harness.process import Pid, eventually
from harness.unchanged import says, unchanged

LAYOUT = (403, "OperationDenied.Layout")


def refused(daemon, disk, cause, remedy):
    with unchanged(daemon, disk):
        told = daemon.api.ok("CheckCluster", DBClusterId="main")
        assert told["Ok"] == "false", told
        assert cause in told["Refusal"] and remedy in told["Remedy"], told
        says(daemon.api.call("CreateBackup", DBClusterId="main"), LAYOUT, cause, remedy)


def accepted(daemon, procedure, promise):
    told = daemon.api.ok("CheckCluster", DBClusterId="main")
    assert told["Ok"] == "true" and (told["Procedure"], told["Promise"]) == (procedure, promise), told
    item = daemon.api.create_and_wait("main")
    assert (item["Dbsnap"]["Procedure"], item["Dbsnap"]["Promise"]) == (procedure, promise), item
    return item


def test_down(daemon, pg, start_clone):
    pg.sql("CREATE TABLE t AS SELECT 1 AS n")
    pg.stop()
    item = accepted(daemon, "G", "stopped")
    assert not pg.running()
    clone = daemon.api.clone_and_wait("main", item["BackupId"], "c1")
    server = start_clone(clone["ClonePath"])
    assert server.value("SELECT n FROM t") == 1
    server.stop()


def test_crashed(daemon, pg, pgbench, start_clone):
    pg.sql("CREATE TABLE t AS SELECT 1 AS n")
    pgbench.stop()
    pg.kill()
    item = accepted(daemon, "G", "stopped")
    clone = daemon.api.clone_and_wait("main", item["BackupId"], "c1")
    server = start_clone(clone["ClonePath"])
    assert server.value("SELECT n FROM t") == 1
    assert "database system was not properly shut down" in server.log_text()
    server.stop()


def test_hung(daemon, btrfs, pg):
    pg.hang()
    try:
        with unchanged(daemon, btrfs):
            told = daemon.api.ok("CheckCluster", DBClusterId="main")
            assert told["Ok"] == "false" and "stopped (SIGSTOP)" in told["Refusal"], told
            assert str(pg.main.pid) in told["Refusal"] and told["Remedy"], told
    finally:
        pg.unhang()
    accepted(daemon, "A", "atomic")


def test_hung_in_the_job(daemon, btrfs, pg):
    """Three attempts, then it fails; the next create is tried anew."""
    before = sorted(os.listdir(daemon.snapshot_dir("main")))
    pg.hang()
    try:
        item = daemon.api.wait_final("main", daemon.api.create("main"), timeout=120)
        assert item["Dbsnap"]["State"] == "FAILED" and "SIGSTOP" in item["Dbsnap"]["Cause"], item
        assert item["Dbsnap"]["Remedy"]
    finally:
        pg.unhang()
    assert sorted(os.listdir(daemon.snapshot_dir("main"))) == before
    accepted(daemon, "A", "atomic")


def test_conninfo_of_another_server(daemon, btrfs, pg, make_server):
    other = make_server(btrfs.subvolume("other", USER), fresh=True)
    daemon.add_cluster("main", pg.data_dir, database={"type": "postgresql", "user": USER,
                                                      "conninfo": other.conninfo})
    daemon.reload()
    refused(daemon, btrfs, f"process {other.main.pid}", "")
    daemon.add_server("main", pg)
    daemon.reload()
    accepted(daemon, "A", "atomic")


def test_conninfo_that_reaches_nobody(daemon, btrfs, pg):
    daemon.add_cluster("main", pg.data_dir, database={"type": "postgresql", "user": USER,
                                                      "conninfo": "host=/nowhere dbname=postgres"})
    daemon.reload()
    refused(daemon, btrfs, f"process {pg.main.pid}", "unix_socket_directories")


def test_fsync_off(daemon, btrfs, pg):
    pg.sql("ALTER SYSTEM SET fsync = off")
    pg.sql("SELECT pg_reload_conf()")
    eventually(lambda: pg.value("SHOW fsync") == "off", 10, "fsync off")
    refused(daemon, btrfs, "fsync is off", "fsync = on")
    pg.sql("ALTER SYSTEM RESET fsync")
    pg.sql("SELECT pg_reload_conf()")
    eventually(lambda: pg.value("SHOW fsync") == "on", 10, "fsync on")
    accepted(daemon, "A", "atomic")


def test_role_without_rights(daemon, btrfs, pg):
    daemon.add_cluster("main", pg.data_dir, database={
        "type": "postgresql", "user": USER, "conninfo": pg.conninfo.replace("user=postgres", "user=dbsnap")})
    daemon.reload()
    refused(daemon, btrfs, "does not let us in", "CREATE ROLE dbsnap")
    # Nobody has to ask for a check: each refused create has one made.
    pg.sql("CREATE ROLE dbsnap LOGIN")
    refused(daemon, btrfs, "data_directory", "GRANT pg_read_all_settings")
    pg.sql("GRANT pg_read_all_settings TO dbsnap")
    accepted(daemon, "A", "atomic")


def test_restarted_in_mid_backup(daemon, btrfs, pg, start_clone):
    """The worker is stopped in its job meanwhile; what comes of it is whole, or failed and gone."""
    def caught():
        daemon.api.create("main")
        for pid in daemon.workers():
            worker = Pid(pid)
            worker.signal(signal.SIGSTOP)
            if any(b["Dbsnap"]["State"] == "RUNNING" for b in daemon.api.backups("main")):
                return worker
            worker.signal(signal.SIGCONT)
        return None
    pg.sql("CREATE TABLE t AS SELECT 1 AS n")
    worker = eventually(caught, 60, "a worker that is stopped in the middle of its job")
    running = next(b["BackupId"] for b in daemon.api.backups("main") if b["Dbsnap"]["State"] == "RUNNING")
    pg.stop("immediate")
    pg.start()
    worker.signal(signal.SIGCONT)
    item = daemon.api.wait_final("main", running)
    daemon.wait_idle()
    invariants.check(daemon, btrfs)
    if item["Dbsnap"]["State"] == "FAILED":
        assert item["Dbsnap"]["Cause"] and item["Dbsnap"].get("Remedy"), item["Dbsnap"]
        item = daemon.api.create_and_wait("main")
    clone = daemon.api.clone_and_wait("main", item["BackupId"], "c1")
    server = start_clone(clone["ClonePath"])
    assert server.value("SELECT n FROM t") == 1
    server.stop()
