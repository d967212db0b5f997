# SPDX-License-Identifier: GPL-3.0-or-later
"""dbsnap(1) against the real daemon: every command once, and a restart while it waits."""
import json
import os
import re
import subprocess

import pytest
import yaml

from harness.process import eventually

DONE, REFUSED, _, _, GAVE_UP = range(5)


@pytest.fixture
def dbsnap(daemon, programs):
    def run(*argv, status=DONE):
        done = subprocess.run([os.path.join(programs, "dbsnap"), *argv], text=True, timeout=120,
                              capture_output=True, stdin=subprocess.DEVNULL,
                              env={"PATH": os.environ["PATH"], "DBSNAP_SOCKET": daemon.socket})
        assert done.returncode == status, (argv, done.stdout, done.stderr)
        if status == DONE:
            assert done.stderr == "", argv
        return done.stdout if status == DONE else done.stderr
    return run


def test_every_command(dbsnap, daemon, start_clone):
    assert "can be backed up" in dbsnap("cluster", "check", "main")
    assert re.search(r"^main +PostgreSQL +\d+\.\d+ +Running ", dbsnap("cluster", "list"), re.M)
    assert "Days" in dbsnap("policy", "show", "main")

    made = dbsnap("backup", "create", "main", "--wait", "--token", "t1")
    backup = re.match(r"Backup (\d+) of main is complete: .*cut in [0-9.]+ ms", made)[1]
    again = json.loads(dbsnap("--json", "backup", "create", "main", "--token", "t1"))
    assert again["BackupJobId"] == backup
    item = json.loads(dbsnap("--json", "backup", "create", "main", "--wait"))
    assert item["IsAvail"] == "1" and item["BackupId"] != backup
    assert [line.split()[0] for line in dbsnap("backup", "list").splitlines()] == \
        ["BACKUP", item["BackupId"], backup]
    shown = dbsnap("backup", "show", backup)
    assert re.search("^State +AVAILABLE$", shown, re.M) and "atomic: " in shown
    assert re.search(r"^Server +PostgreSQL \d+\.\d+", shown, re.M)
    assert re.search(r"^Position +LSN [0-9A-F]+/[0-9A-F]+, timeline \d+$", shown, re.M), shown

    clone = json.loads(dbsnap("--json", "clone", "create", backup, "c1", "--wait"))
    assert clone["State"] == "Available" and clone["ClonePath"] in dbsnap("clone", "list")
    server = start_clone(clone["ClonePath"])
    assert server.value("SELECT 1") == 1
    server.stop()
    assert "c1 is deleted" in dbsnap("clone", "delete", "c1", "--wait")
    assert "There are no clones" in dbsnap("clone", "list", "main")

    assert dbsnap("backup", "delete", "--wait", backup, item["BackupId"]).count("is deleted") == 2
    assert dbsnap("backup", "list") == "There are no backups.\n"
    jobs = dbsnap("job", "list")
    for kind in ("CreateBackup", "CloneBackup", "DeleteClone", "DeleteBackup"):
        assert kind in jobs
    assert re.search("^State +Done$", dbsnap("job", "show", backup), re.M)
    assert re.search("^main +Online +0 ", dbsnap("status"), re.M)


def test_refusals(dbsnap):
    assert "did you mean main?" in dbsnap("backup", "create", "mian", status=REFUSED)
    for words in (("backup", "show"), ("backup", "delete"), ("backup", "delete", "--wait")):
        assert "'dbsnap backup list' shows" in dbsnap(*words, "999", status=REFUSED)
    assert "'dbsnap job list' shows" in dbsnap("job", "show", "999", status=REFUSED)
    for words in (("job", "cancel", "999"), ("clone", "create", "999", "c"),
                  ("clone", "delete", "none"), ("clone", "delete", "none", "--wait"),
                  ("backup", "show", "x"), ("job", "show", "x"), ("cluster", "check", "../etc"),
                  ("backup", "list", "none"), ("clone", "list", "none"), ("job", "list", "none")):
        assert dbsnap(*words, status=REFUSED).startswith("dbsnap: ")


def test_giving_up_leaves_the_job(dbsnap, daemon, pg):
    pg.hang()
    try:
        told = dbsnap("backup", "create", "main", "--wait", "--timeout", "100ms", status=GAVE_UP)
        assert "it goes on" in told
    finally:
        pg.unhang()
    job = json.loads(dbsnap("--json", "job", "list"))["Items"]["Job"][0]["JobId"]
    daemon.wait_idle()
    assert re.search("^State +(Done|Failed)$", dbsnap("job", "show", job), re.M)


def test_wait_goes_on_across_a_restart(daemon, programs, pg):
    """The job is held open by a hung server; the daemon is killed and started meanwhile."""
    pg.hang()
    with subprocess.Popen([os.path.join(programs, "dbsnap"), "--socket", daemon.socket, "backup",
                           "create", "main", "--wait"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        try:
            eventually(lambda: daemon.api.ok("DescribeJobs", DBClusterId="main")["Items"]["Job"],
                       30, "the job")
            daemon.kill()
            daemon.start()
        finally:
            pg.unhang()
        out, err = process.communicate(timeout=120)
    assert process.returncode == DONE, (out, err)
    assert "is complete" in out


def test_cluster_add_is_taken_by_the_daemon(daemon, dbsnap, make_disk, make_server, programs, folder):
    disk = make_disk("btrfs", "1G")
    server = make_server(disk.subvolume("more", "postgres"))
    os.symlink(os.path.join(programs, "dbsnapd"), os.path.join(folder, "dbsnapd"))
    done = subprocess.run([os.path.join(programs, "dbsnap"), "cluster", "add", "--yes",
                           "--data-dir", server.data_dir, "--clusters-dir", daemon.clusters_dir,
                           "--config", daemon.config_file], capture_output=True, text=True,
                          env={"PATH": f"{folder}:{os.environ['PATH']}"})
    assert done.returncode == DONE, done
    with open(os.path.join(daemon.clusters_dir, "more.yaml"), encoding="utf-8") as file:
        assert yaml.safe_load(file)["data_dir"] == server.data_dir
    daemon.reload()
    assert "is complete" in dbsnap("backup", "create", "more", "--wait")
