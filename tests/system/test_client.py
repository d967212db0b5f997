# SPDX-License-Identifier: GPL-3.0-or-later
"""dbsnap(1) against a fake daemon: what it asks, what it prints, how it ends."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from harness.fake import Drop, Fake, Raw, Refuse, Wire

DONE, REFUSED, USAGE, UNREACHABLE, GAVE_UP = range(5)

BACKUP = {
    "BackupId": "12", "DBClusterId": "pc-orders", "BackupStatus": "Success",
    "BackupType": "FullBackup", "BackupMode": "Manual", "BackupMethod": "Snapshot",
    "BackupStartTime": "2026-01-02T03:04:05Z", "BackupEndTime": "2026-01-02T03:04:06Z",
    "BackupSetSize": "1288490189", "ConsistentTime": "1767323045", "StoreStatus": "Disabled",
    "BackupsLevel": "Level-1", "IsAvail": "1", "ExpectExpireType": "NEVER",
    "Dbsnap": {"State": "AVAILABLE", "Backend": "btrfs", "Procedure": "A", "Promise": "atomic",
               "Weakened": ["synchronous_commit=off", "full_page_writes=off"],
               "Server": "PostgreSQL 15.6", "Position": "LSN 0/3000148, timeline 1",
               "Path": "/srv/.dbsnap/pc-orders/12", "CutMs": "3.071", "FreezeMs": "0.000"},
}
FAILED = {**BACKUP, "BackupId": "13", "BackupStatus": "Failed", "IsAvail": "0",
          "Dbsnap": {"State": "FAILED", "Cause": "the server does not answer",
                     "Remedy": "start it"}}


def job(**fields):
    return {"JobId": "12", "Kind": "CreateBackup", "DBClusterId": "pc-orders",
            "BackupId": "12", "State": "Running", "Phase": "Uploading", "Percent": "45",
            "BytesDone": "536870912", "BytesTotal": "1073741824",
            "AcceptTime": "2026-01-02T03:04:05Z", "Attempts": "1", **fields}


def clusters(*ids):
    return [{"DBClusterId": i, "DBType": "PostgreSQL", "DBVersion": "15",
             "DBClusterStatus": "Running", "StorageUsed": 2048,
             "DBClusterDescription": "Orders"} for i in ids]


@pytest.fixture
def fake(folder):
    """A running Fake that knows pc-orders, pc-stock and the backups 12 and 13."""
    fake = Fake(os.path.join(folder, "s"))
    fake.items("DescribeDBClusters", "DBCluster", clusters("pc-orders", "pc-stock"))
    fake.items("DescribeBackups", "Backup", [FAILED, BACKUP])
    fake.on("CreateBackup", lambda p: {"BackupJobId": "12"})
    yield fake.start()
    fake.stop()


def states(*items):
    """A DescribeJobs handler that gives these one after the other, the last for ever."""
    left = list(items)

    def handle(_params):
        item = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(item, Exception):
            raise item
        return {"Items": {"Job": [item]}}
    return handle


@pytest.fixture
def dbsnap(programs, fake):
    """dbsnap(*arguments): the finished process, its output as text."""
    def run(*argv, env=(), **options):
        environment = {"PATH": os.environ["PATH"], "DBSNAP_SOCKET": fake.path, **dict(env)}
        return subprocess.run([os.path.join(programs, "dbsnap"), *argv], text=True, timeout=60,
                              capture_output=True, stdin=subprocess.DEVNULL,
                              env=environment, **options)
    return run


def lines(done, status=DONE):
    assert done.returncode == status, (done.stdout, done.stderr)
    if status == DONE:
        assert done.stderr == ""
    return done.stdout.splitlines()


# What it asks, and the two forms of what it prints.

def test_create_makes_a_token_of_its_own(fake, dbsnap):
    out = lines(dbsnap("backup", "create", "pc-orders"))
    assert out == ["Backup 12 of pc-orders is accepted: 'dbsnap backup show 12' shows it"]
    lines(dbsnap("backup", "create", "pc-orders"))
    first, second = fake.asked("CreateBackup")
    assert first["DBClusterId"] == "pc-orders"
    assert re.fullmatch("dbsnap-[0-9a-f]{32}", first["ClientToken"])
    assert first["ClientToken"] != second["ClientToken"]


def test_create_sends_the_given_token_whole(fake, dbsnap):
    token = "a b+c&d=e%20~" + "x" * 51
    lines(dbsnap("--json", "backup", "create", "--token", token, "pc-orders"))
    assert fake.asked("CreateBackup") == [{"DBClusterId": "pc-orders", "ClientToken": token}]


def test_json_is_the_answer(dbsnap):
    done = dbsnap("backup", "create", "pc-orders", "--json")
    assert json.loads("\n".join(lines(done))) == {"RequestId": "R", "BackupJobId": "12"}


def test_options_may_stand_anywhere(fake, dbsnap):
    for argv in (("--json", "backup", "list"), ("backup", "--json", "list"),
                 ("backup", "list", "--json")):
        done = dbsnap(*argv, "--socket", fake.path,
                      env={"DBSNAP_SOCKET": "/nowhere", "POSIXLY_CORRECT": "1"})
        assert len(json.loads(done.stdout)["Items"]["Backup"]) == 2


def test_proxies_of_the_environment_are_not_asked(dbsnap):
    lines(dbsnap("backup", "list", env={"http_proxy": "http://127.0.0.1:9", "all_proxy": "x"}))


def test_list_is_a_table(dbsnap):
    head, failed, good = lines(dbsnap("backup", "list", "pc-orders"))
    assert head.split()[:4] == ["BACKUP", "CLUSTER", "STATE", "MODE"]
    assert good.split()[:5] == ["12", "pc-orders", "AVAILABLE", "Manual", "2026-01-02T03:04:05Z"]
    assert "1.2 GiB" in good and good.endswith("atomic")
    assert failed.endswith("the server does not answer")
    assert good == good.rstrip(), "no blanks behind the last text"
    end = head.index("SIZE") + 4
    assert good[end - 7:end] == "1.2 GiB"


def test_list_without_a_cluster_is_of_all(fake, dbsnap):
    lines(dbsnap("backup", "list"))
    assert [p["DBClusterId"] for p in fake.asked("DescribeBackups")] == ["pc-orders", "pc-stock"]


def test_list_takes_every_page(fake, dbsnap):
    many = [{**BACKUP, "BackupId": str(n)} for n in range(250, 0, -1)]
    fake.items("DescribeBackups", "Backup", many)
    answer = json.loads(dbsnap("--json", "backup", "list", "pc-orders").stdout)
    assert [b["BackupId"] for b in answer["Items"]["Backup"]] == [b["BackupId"] for b in many]
    assert answer["TotalRecordCount"] == answer["PageRecordCount"] == "250"
    assert fake.connections == 1, "the connection is kept"


def test_list_asks_for_no_page_behind_the_last(fake, dbsnap):
    fake.items("DescribeBackups", "Backup", [{**BACKUP, "BackupId": str(n)} for n in range(200, 0, -1)])
    assert len(lines(dbsnap("backup", "list", "pc-orders"))) == 201
    assert [p["PageNumber"] for p in fake.asked("DescribeBackups")] == ["1", "2"]


def test_list_of_nothing_says_so(fake, dbsnap):
    fake.items("DescribeBackups", "Backup", [])
    assert lines(dbsnap("backup", "list")) == ["There are no backups."]
    fake.items("DescribeDBClusters", "DBCluster", [])
    assert json.loads(dbsnap("backup", "list", "--json").stdout)["Items"] == {"Backup": []}
    assert "cluster add" in lines(dbsnap("cluster", "list"))[0]


def test_hold_and_unhold(fake, dbsnap):
    fake.on("HoldBackup", lambda p: {})
    fake.on("ReleaseBackup", lambda p: {})
    assert lines(dbsnap("backup", "hold", "12"))[0].startswith("Backup 12 is held")
    assert lines(dbsnap("backup", "unhold", "12"))[0].startswith("Backup 12 is not held any more")
    assert json.loads(dbsnap("backup", "hold", "12", "--json").stdout) == {"RequestId": "R"}
    assert fake.asked("HoldBackup") == [{"BackupId": "12"}] * 2
    assert fake.asked("ReleaseBackup") == [{"BackupId": "12"}]


def test_list_shows_what_is_held(fake, dbsnap):
    assert "HELD" not in lines(dbsnap("backup", "list", "pc-orders"))[0]
    held = {**BACKUP, "Dbsnap": {**BACKUP["Dbsnap"], "Held": "true"}}
    fake.items("DescribeBackups", "Backup", [{**FAILED, "Dbsnap": {"State": "FAILED", "Held": "false"}}, held])
    head, failed, good = lines(dbsnap("backup", "list", "pc-orders"))
    at = head.index("HELD")
    assert good[at:at + 4] == "held" and "held" not in failed


QUARANTINED = [
    {"Name": "12", "DBClusterId": "pc-orders", "Kind": "Backup", "BackupId": "12", "CanAdopt": "true", "CanDelete": "true",
     "BackupStartTime": "2026-01-02T03:04:05Z", "BackupSetSize": "1288490189", "Why": "no record has its nonce"},
    {"Name": "clones/c1", "DBClusterId": "pc-orders", "Kind": "Clone", "CanAdopt": "false", "CanDelete": "true",
     "Why": "no record of a clone has its nonce"},
    {"Name": "notes", "DBClusterId": "pc-orders", "Kind": "Stranger", "CanAdopt": "false", "CanDelete": "false",
     "Remedy": "by hand", "Why": "not dbsnap's"},
    {"Name": ".13", "DBClusterId": "pc-orders", "Kind": "Partial", "CanAdopt": "false", "CanDelete": "false",
     "JobId": "14", "Why": "unfinished"}]


def test_quarantine_list(fake, dbsnap):
    fake.items("DescribeQuarantine", "Quarantined", QUARANTINED)
    out = lines(dbsnap("quarantine", "list", "pc-orders"))
    assert out[0].split()[:3] == ["NAME", "CLUSTER", "KIND"]
    assert [line.split()[0] for line in out[1:]] == ["12", "clones/c1", "notes", ".13"]
    for line, words in zip(out[1:], ("adopt, delete", "delete", "by hand", "being removed")):
        assert f"  {words}  " in line
    assert "1.2 GiB" in out[1] and out[3].endswith("not dbsnap's")
    fake.items("DescribeQuarantine", "Quarantined", [])
    assert lines(dbsnap("quarantine", "list")) == ["There is nothing in the quarantine."]


def test_quarantine_adopt_and_delete(fake, dbsnap):
    fake.on("AdoptBackup", lambda p: {})
    fake.on("DeleteQuarantined", lambda p: {"JobId": "15"})
    fake.on("DescribeJobs", states(job(JobId="15", Kind="DeleteQuarantined", State="Done")))
    assert "is adopted" in lines(dbsnap("quarantine", "adopt", "pc-orders", "12"))[0]
    assert lines(dbsnap("quarantine", "delete", "pc-orders", "clones/c1")) == ["clones/c1 will be removed (job 15)."]
    assert lines(dbsnap("quarantine", "delete", "pc-orders", "notes", "--wait")) == ["notes is removed."]
    assert fake.asked("AdoptBackup") == [{"DBClusterId": "pc-orders", "Name": "12"}]
    fake.on("DescribeJobs", states(job(JobId="15", State="Failed", Cause="it holds a letter", Remedy="look at it")))
    done = dbsnap("quarantine", "delete", "pc-orders", "12", "--wait")
    assert done.returncode == REFUSED and "it holds a letter" in done.stderr and "look at it" in done.stderr


def test_show_has_every_field(fake, dbsnap):
    fake.items("DescribeBackups", "Backup", [{**BACKUP, "LaterField": "x1",
                                              "Dbsnap": {**BACKUP["Dbsnap"], "Newer": "x2"}}])
    out = lines(dbsnap("backup", "show", "12"))
    pairs = {line[:18].strip(): line[19:] for line in out}
    assert pairs["Size"] == "1.2 GiB (1288490189 bytes)"
    assert pairs["Moment of the cut"].startswith("2026-01-02T03:04:05Z (")
    assert pairs["Weakened by"] == "synchronous_commit=off, full_page_writes=off"
    assert pairs["Promise"].startswith("atomic: ")
    assert pairs["Cut took"] == "3.1 ms" and pairs["Writers held"] == "0 ms"
    assert pairs["Path"] == "/srv/.dbsnap/pc-orders/12"
    assert pairs["Server"] == "PostgreSQL 15.6" and pairs["Position"] == "LSN 0/3000148, timeline 1"
    assert pairs["LaterField"] == "x1" and pairs["Newer"] == "x2"


def test_show_of_a_failed_backup_has_cause_and_remedy(dbsnap):
    out = "\n".join(lines(dbsnap("backup", "show", "13")))
    assert re.search("^Cause +the server does not answer$", out, re.M)
    assert re.search("^Remedy +start it$", out, re.M)


def test_delete_names_all_in_one_request(fake, dbsnap):
    fake.on("DeleteBackup", lambda p: {})
    lines(dbsnap("backup", "delete", "12", "13"))
    assert fake.asked("DeleteBackup") == [{"BackupId": "12,13"}]


def test_clone_commands(fake, dbsnap):
    clone = {"CloneName": "c1", "DBClusterId": "pc-orders", "BackupId": "12", "JobId": "14",
             "State": "Available", "ClonePath": "/srv/.dbsnap/pc-orders/clones/c1",
             "SocketDir": "/run/c1", "Connect": "psql -h /run/c1 postgres",
             "CreateTime": "2026-01-02T03:04:05Z"}
    fake.on("CloneBackup", lambda p: {"JobId": "14", "ClonePath": clone["ClonePath"]})
    fake.items("DescribeClones", "Clone", [clone])
    fake.on("DescribeJobs", states(job(JobId="14", Kind="CloneBackup", State="Done")))
    out = "\n".join(lines(dbsnap("clone", "create", "12", "c1", "--wait")))
    assert clone["ClonePath"] in out and clone["Connect"] in out
    asked = fake.asked("CloneBackup")[0]
    assert (asked["BackupId"], asked["CloneName"]) == ("12", "c1") and asked["ClientToken"]
    assert json.loads(dbsnap("clone", "create", "12", "c1", "--wait", "--json").stdout) == clone
    assert "c1" in lines(dbsnap("clone", "list"))[1]
    fake.on("DeleteClone", lambda p: {"JobId": "15"})
    fake.on("DescribeJobs", states(job(JobId="15", Kind="DeleteClone", State="Done")))
    assert lines(dbsnap("clone", "delete", "c1", "--wait")) == ["Clone c1 is deleted."]
    assert fake.asked("DescribeJobs")[-1] == {"JobId": "15"}


def test_job_commands(fake, dbsnap):
    fake.items("DescribeJobs", "Job", [job(), job(JobId="11", State="Failed", Cause="no room")])
    head, running, failed = lines(dbsnap("job", "list"))
    assert running.split()[:5] == ["12", "CreateBackup", "pc-orders", "12", "Running"]
    assert "45%" in running and failed.endswith("no room")
    assert "CLONE" not in head, "an empty column is left out"
    shown = "\n".join(lines(dbsnap("job", "show", "12")))
    assert "512.0 MiB (536870912 bytes)" in shown
    fake.on("CancelJob", lambda p: {})
    lines(dbsnap("job", "cancel", "12"))
    assert fake.asked("CancelJob") == [{"JobId": "12"}]


def test_policy_show(fake, dbsnap):
    fake.on("DescribeBackupPolicy", lambda p: {
        "PreferredBackupTime": "02:00Z-03:00Z", "PreferredBackupPeriod": "Monday,Sunday",
        "BackupRetentionPeriod": 7, "Dbsnap": {"Enabled": False}})
    out = "\n".join(lines(dbsnap("policy", "show", "pc-orders")))
    assert re.search("^Enabled +false$", out, re.M) and re.search(r"^Kept \(days\) +7$", out, re.M)
    assert "02:00Z-03:00Z" in out and "Monday,Sunday" in out


PLAN = [{"Time": "2026-01-02T03:04Z", "Action": "Remove", "BackupId": "12", "Reason": "too old", "Sooner": "true"},
        {"Time": "2026-01-03T02:17Z", "Action": "Create", "Reason": "daily"},
        {"Time": "2026-01-04T03:04Z", "Action": "Remove", "BackupId": "13", "Reason": "old anyway"}]


def planned(fake, sooner):
    """A daemon that answers every try with that plan; and notes what is really set."""
    def modify(params):
        if params.get("Dbsnap.DryRun") == "true":
            return {"PreferredBackupTime": "05:00Z-06:00Z", "Dbsnap": {
                "Enabled": "true", "Plan": PLAN, "PlanTotal": "3", "SoonerTotal": str(sooner)}}
        return {}
    fake.on("ModifyBackupPolicy", modify)


def really_set(fake):
    return [p for p in fake.asked("ModifyBackupPolicy") if "Dbsnap.DryRun" not in p]


def test_policy_show_has_the_plan(fake, dbsnap):
    fake.on("DescribeBackupPolicy", lambda p: {"Dbsnap": {
        "Enabled": "true", "LastResult": "Failed", "Cause": "no room", "Plan": PLAN, "PlanTotal": "2000"}})
    out = "\n".join(lines(dbsnap("policy", "show", "pc-orders")))
    assert re.search("^Cause +no room$", out, re.M)
    assert re.search("^2026-01-02T03:04Z +Remove +12 +too old$", out, re.M)
    assert re.search("^2026-01-03T02:17Z +Create +daily$", out, re.M) and "2000 in all" in out


def test_policy_set_says_all_of_it(fake, dbsnap):
    planned(fake, 0)
    lines(dbsnap("policy", "set", "pc-orders", "--days", "Mon,thursday", "--hour", "23", "--every", "daily", "--keep",
                 "5", "--keep-longer", "forever", "--on-removal", "latest"))
    assert really_set(fake) == [{
        "DBClusterId": "pc-orders", "PreferredBackupPeriod": "Monday,Thursday", "PreferredBackupTime": "23:00Z-24:00Z",
        "BackupFrequency": "Normal", "DataLevel1BackupRetentionPeriod": "5", "DataLevel2BackupRetentionPeriod": "-1",
        "BackupRetentionPolicyOnClusterDeletion": "LATEST", "Dbsnap.Enabled": "true"}]
    lines(dbsnap("policy", "set", "pc-orders", "--off"))
    assert really_set(fake)[1] == {"DBClusterId": "pc-orders", "Dbsnap.Enabled": "false"}


@pytest.mark.parametrize("argv", [
    ("--days", "Mo"), ("--days", "Mon,"), ("--days", ""), ("--hour", "24"), ("--hour", "x"), ("--hour", "-1"),
    ("--every", "5h"), ("--on-removal", "some"), ("--on", "--off"), ("--clusters-dir", "x")])
def test_policy_set_refuses(fake, dbsnap, argv):
    planned(fake, 0)
    assert dbsnap("policy", "set", "pc-orders", *argv).returncode == USAGE
    assert fake.asked("ModifyBackupPolicy") == []


def test_policy_set_asks_before_backups_go(fake, dbsnap):
    planned(fake, 1)
    done = dbsnap("policy", "set", "pc-orders", "--keep", "3")
    assert done.returncode == REFUSED and "--yes" in done.stderr and not really_set(fake)
    assert "too old" in done.stdout and "old anyway" not in done.stdout
    assert dbsnap("policy", "set", "pc-orders", "--keep", "3", "--json").returncode == REFUSED
    lines(dbsnap("policy", "set", "pc-orders", "--keep", "3", "--dry-run"))
    assert not really_set(fake)
    lines(dbsnap("policy", "set", "pc-orders", "--keep", "3", "--yes"))
    assert len(really_set(fake)) == 1


@pytest.mark.parametrize("typed, status", [("y\n", DONE), ("n\n", REFUSED), ("\n", REFUSED)])
def test_policy_set_on_a_terminal(fake, programs, typed, status):
    planned(fake, 1)
    ours, theirs = pty.openpty()
    with subprocess.Popen([os.path.join(programs, "dbsnap"), "--socket", fake.path, "policy", "set", "pc-orders",
                           "--keep", "3"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        out, err = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == status and b"[y/N]" in err and b"too old" in out
    assert len(really_set(fake)) == (status == DONE)


def test_status(fake, dbsnap):
    fake.on("DescribeStatus", lambda p: {
        "Version": "0.1.0", "Uptime": "7300", "Jobs": {"Pending": "1", "Running": "2"},
        "Clusters": [
            {"DBClusterId": "pc-orders", "State": "Online", "FreeBytes": str(5 << 30),
             "TotalBytes": str(20 << 30), "Backups": "3", "Quarantine": "0",
             "QuotaLeft": {"RetainedLeft": "0", "PerDayLeft": "1", "CreatesLeft": "97"}},
            {"DBClusterId": "pc-stock", "State": "Offline", "Reason": "no marker",
             "Remedy": "mount /srv"}]})
    out = lines(dbsnap("status"))
    assert out[0] == "dbsnapd 0.1.0, up for 2 h; jobs: 2 running, 1 waiting"
    assert "5.0 GiB of 20.0 GiB (25%)" in out[3] and "QUARANTINE" not in out[2]
    assert out[3].split()[:6] == ["pc-orders", "Online", "3", "0", "1", "97"]
    assert out[5:] == ["pc-stock: no marker", "  mount /srv"]


CHECK = {"DBClusterId": "pc-orders", "Ok": "true", "Backend": "btrfs", "Procedure": "A",
         "Promise": "atomic", "DatabaseType": "postgresql", "DatabaseVersion": "15",
         "SnapshotDir": "/srv/.dbsnap/pc-orders", "FreeBytes": "100", "TotalBytes": "200",
         "Warnings": ["full_page_writes=off"], "Weakened": ["full_page_writes was off"],
         "Account": ["CREATE ROLE dbsnap LOGIN;", "GRANT pg_read_all_settings TO dbsnap;"],
         "Expected": {"CutMs": "2.512", "FreezeMs": "0.000", "From": "the median of the last 5 backups"},
         "Parts": [{"Role": "data", "Path": "/srv/pg", "Device": "0:45", "Subvolume": "id 257", "FileSystem": "btrfs",
                    "Inside": "true", "Taken": "snapshot", "Bytes": str(2 << 30), "Files": "3210", "Whole": "true",
                    "Largest": "base/5/16384", "Extents": "100000", "MoreExtents": "true"},
                   {"Role": "snapshots", "Path": "/srv/.dbsnap/pc-orders", "Device": "0:44", "FileSystem": "btrfs",
                    "Inside": "false"},
                   {"Role": "wal", "Path": "/srv/pg/pg_wal", "Device": "0:45", "Subvolume": "id 257",
                    "FileSystem": "btrfs", "Inside": "true", "Taken": "snapshot", "Bytes": str(16 << 20), "Files": "1",
                    "Whole": "false", "Extents": "1", "MoreExtents": "false"}]}


def test_check_of_a_good_cluster(fake, dbsnap):
    fake.on("CheckCluster", lambda p: CHECK)
    out = lines(dbsnap("cluster", "check", "pc-orders"))
    for part in ("can be backed up", "full_page_writes=off", "atomic: ", "postgresql 15", "full_page_writes was off",
                 "100 B of 200 B (50%)", "2.0 GiB in 3211 files", "base/5/16384, in more than 100000 extents",
                 "2.5 ms, writers held 0 ms (the median of the last 5 backups)"):
        assert any(part in line for line in out), part
    table = next(i for i, line in enumerate(out) if line.startswith("PART"))
    assert out[table:table + 4] == [
        "PART       LIES ON                   SIZE  FILES   EXTENTS  TAKEN BY  PATH",
        "data       btrfs 0:45, id 257     2.0 GiB   3210  > 100000  snapshot  /srv/pg",
        "wal        btrfs 0:45, id 257  > 16.0 MiB    > 1         1  snapshot  /srv/pg/pg_wal",
        "snapshots  btrfs 0:44                                                 /srv/.dbsnap/pc-orders"]
    assert out[-2:] == ["    CREATE ROLE dbsnap LOGIN;", "    GRANT pg_read_all_settings TO dbsnap;"]


def test_check_of_what_was_not_measured(fake, dbsnap):
    fake.on("CheckCluster", lambda p: {"DBClusterId": "pc-orders", "Ok": "true", "Backend": "copy",
                                       "Expected": {"FreezeMs": "0.000", "From": "as long as it takes"},
                                       "Parts": [{"Role": "data", "Path": "/srv/pg", "Device": "8:1",
                                                  "FileSystem": "ext4"}]})
    out = lines(dbsnap("cluster", "check", "pc-orders"))
    assert "Expected cut       as long as it takes" in out
    assert out[-2:] == ["PART  LIES ON   PATH", "data  ext4 8:1  /srv/pg"]


def test_check_of_a_refused_cluster(fake, dbsnap):
    fake.on("CheckCluster", lambda p: {"DBClusterId": "pc-orders", "Ok": "false",
                                       "Refusal": "fsync is off", "Remedy": "set fsync=on"})
    done = dbsnap("cluster", "check", "pc-orders")
    assert "refused" in "\n".join(lines(done, REFUSED))
    assert done.stderr == ("dbsnap: pc-orders cannot be backed up: fsync is off\n"
                           "  set fsync=on\n")
    done = dbsnap("--json", "cluster", "check", "pc-orders")
    assert done.returncode == REFUSED and json.loads(done.stdout)["Refusal"] == "fsync is off"


# Waiting.

def test_wait_ends_with_one_line(fake, dbsnap):
    fake.on("DescribeJobs", states(job(State="Pending"), job(), job(State="Done")))
    out = lines(dbsnap("backup", "create", "pc-orders", "--wait"))
    assert len(out) == 1
    assert re.fullmatch(r"Backup 12 of pc-orders is complete: 1\.2 GiB, cut in 3\.1 ms, "
                        r"writers held 0 ms \(\d+\.\d{3} s\)", out[0])
    assert fake.asked("DescribeJobs") == [{"JobId": "12"}] * 3
    assert fake.connections == 1, "the connection is kept"


def test_wait_asks_often_at_first(fake, dbsnap):
    """Most jobs end within milliseconds."""
    fake.on("DescribeJobs", states(*[job()] * 12, job(State="Done")))
    began = time.monotonic()
    lines(dbsnap("backup", "create", "pc-orders", "--wait"))
    assert time.monotonic() - began < 2


def test_wait_json_is_the_finished_item(fake, dbsnap):
    fake.on("DescribeJobs", states(job(State="Done")))
    done = dbsnap("backup", "create", "pc-orders", "--wait", "--json")
    assert json.loads("\n".join(lines(done))) == BACKUP


def test_wait_tells_cause_and_remedy(fake, dbsnap):
    fake.on("CreateBackup", lambda p: {"BackupJobId": "13"})
    fake.on("DescribeJobs", states(job(JobId="13", BackupId="13", State="Failed",
                                       Cause="the server does not answer", Remedy="start it")))
    done = dbsnap("backup", "create", "pc-orders", "--wait")
    assert lines(done, REFUSED) == []
    assert done.stderr == ("dbsnap: backup 13 of pc-orders failed: the server does not answer\n"
                           "  start it\n")
    done = dbsnap("backup", "create", "pc-orders", "--wait", "--json")
    assert done.returncode == REFUSED and json.loads(done.stdout) == FAILED


def test_wait_of_a_cancelled_job(fake, dbsnap):
    fake.on("DescribeJobs", states(job(State="Cancelled")))
    done = dbsnap("backup", "create", "pc-orders", "--wait")
    assert done.returncode == REFUSED
    assert done.stderr == "dbsnap: backup 12 of pc-orders was cancelled\n"


def test_wait_gives_up(fake, dbsnap):
    fake.on("DescribeJobs", states(job()))
    done = dbsnap("backup", "create", "pc-orders", "--wait", "--timeout", "50ms")
    assert done.returncode == GAVE_UP
    assert "job 12 is Running; it goes on" in done.stderr
    assert "dbsnap job cancel 12" in done.stderr


def test_wait_gives_up_on_a_daemon_that_hangs(fake, dbsnap):
    hung = threading.Event()
    fake.on("DescribeJobs", lambda p: hung.wait(60) and {})
    done = dbsnap("backup", "create", "pc-orders", "--wait", "--timeout", "1s")
    hung.set()
    assert done.returncode == GAVE_UP, done.stderr


def test_wait_tells_of_a_repeated_attempt_once(fake, dbsnap):
    fake.on("DescribeJobs", states(job(Cause="no room"), job(Cause="no room"), job(State="Done")))
    done = dbsnap("backup", "create", "pc-orders", "--wait")
    assert done.returncode == DONE
    assert done.stderr == "dbsnap: job 12 is tried again after an error: no room\n"


@pytest.mark.parametrize("trouble", [
    Drop(), Refuse(503, "ServiceUnavailable", "starting"),
    Refuse(400, "Throttling", "slower", x_acs_retry_after="1")])
def test_wait_survives(fake, dbsnap, trouble):
    fake.on("DescribeJobs", states(job(), trouble, trouble, job(State="Done")))
    lines(dbsnap("backup", "create", "pc-orders", "--wait"))


def test_wait_comes_back_when_it_was_told_to(fake, dbsnap):
    times = []
    handle = states(Refuse(400, "Throttling", "slower", x_acs_retry_after="400"), job(State="Done"))

    def note(params):
        times.append(time.monotonic())
        return handle(params)
    fake.on("DescribeJobs", note)
    lines(dbsnap("backup", "create", "pc-orders", "--wait"))
    assert times[1] - times[0] >= 0.39


def test_wait_survives_a_restart(fake, programs):
    away = threading.Event()

    def die(_params):
        away.set()
        raise Drop()
    fake.on("DescribeJobs", die)
    with subprocess.Popen([os.path.join(programs, "dbsnap"), "--socket", fake.path, "backup",
                           "create", "pc-orders", "--wait"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert away.wait(30)
        fake.stop()
        os.unlink(fake.path)
        fake.on("DescribeJobs", states(job(State="Done")))
        fake.start()
        out, err = process.communicate(timeout=60)
    assert process.returncode == DONE and err == "" and "is complete" in out


def test_interrupted_wait_says_that_the_job_goes_on(fake, programs):
    seen = threading.Event()

    def running(_params):
        seen.set()
        return {"Items": {"Job": [job()]}}
    fake.on("DescribeJobs", running)
    with subprocess.Popen([os.path.join(programs, "dbsnap"), "--socket", fake.path, "backup",
                           "create", "pc-orders", "--wait"], text=True,
                          stderr=subprocess.PIPE) as process:
        assert seen.wait(30)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGINT
    assert "the job goes on" in err and "dbsnap job cancel 12" in err


def test_delete_waits_for_its_job(fake, dbsnap):
    fake.on("DeleteBackup", lambda p: {})
    jobs = [job(JobId="21", Kind="CloneBackup", State="Failed"),
            job(JobId="20", Kind="DeleteBackup", State="Done"), job(State="Failed")]
    fake.items("DescribeJobs", "Job", jobs)
    assert lines(dbsnap("backup", "delete", "--wait", "12")) == ["Backup 12 of pc-orders is deleted."]
    done = dbsnap("backup", "delete", "--wait", "99")
    assert done.returncode == REFUSED and "there is no backup 99" in done.stderr
    assert len(fake.asked("DeleteBackup")) == 1, "nothing is deleted when one is unknown"


def test_delete_of_many_waits_for_the_oldest_job_too(fake, dbsnap):
    fake.on("DeleteBackup", lambda p: {})
    newer = [job(JobId=str(1000 - n), Kind="DeleteBackup", BackupId=str(500 - n), State="Running")
             for n in range(250)]
    fake.items("DescribeJobs", "Job", [*newer, job(JobId="20", Kind="DeleteBackup", State="Done")])
    assert lines(dbsnap("backup", "delete", "--wait", "12")) == ["Backup 12 of pc-orders is deleted."]


def read_terminal(fd):
    """All that is written to a terminal until its other end is closed."""
    text = b""
    while select.select([fd], [], [], 60)[0]:
        try:
            more = os.read(fd, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    return text.decode()


@pytest.mark.parametrize("columns", [80, 120])
def test_progress_bar_on_a_terminal(fake, programs, columns):
    fake.on("DescribeJobs", states(job(Phase="Preparing", Percent="0", BytesDone="0"), job(),
                                   job(State="Done", Percent="100", Phase="Finished")))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([os.path.join(programs, "dbsnap"), "--socket", fake.path, "backup",
                           "create", "pc-orders", "--wait"], text=True, stderr=theirs,
                          stdout=subprocess.PIPE,
                          env={"TERM": "xterm", "PATH": os.environ["PATH"]}) as process:
        os.close(theirs)
        drawn = read_terminal(ours)
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == DONE and out.count("\n") == 1
    frames = [frame.removesuffix("\033[K") for frame in drawn.split("\r")]
    bar = {80: "[######.........]", 120: "[##########..............]"}[columns]
    assert frames[1].startswith("pc-orders  job 12  preparing [....")
    assert frames[2].rstrip("0123456789") == \
        f"pc-orders  job 12  cutting   {bar}  45%  512.0 MiB of 1.0 GiB  0:"
    assert all(len(frame) < columns for frame in frames)
    assert drawn.endswith("\r\033[K"), "the bar is taken away"


# When it goes wrong.

def test_create_repeats_itself_with_its_token(fake, dbsnap):
    answers = [Drop(), Refuse(503, "ServiceUnavailable", "restarting"), None]

    def handle(_params):
        answer = answers.pop(0)
        if answer:
            raise answer
        return {"BackupJobId": "12"}
    fake.on("CreateBackup", handle)
    lines(dbsnap("backup", "create", "pc-orders"))
    tokens = {p["ClientToken"] for p in fake.asked("CreateBackup")}
    assert answers == [] and len(tokens) == 1


def test_delete_is_never_sent_twice(fake, dbsnap):
    def drop(_params):
        raise Drop()
    fake.on("DeleteBackup", drop)
    done = dbsnap("backup", "delete", "12", "--wait")
    assert done.returncode == UNREACHABLE and "may have been accepted" in done.stderr
    assert len(fake.asked("DeleteBackup")) == 1


def refuse(fake, action, *error):
    def handle(_params):
        raise Refuse(*error)
    fake.on(action, handle)


@pytest.mark.parametrize("typed, advice", [
    ("pc-order", "did you mean pc-orders?"), ("orders", "did you mean pc-orders?"),
    ("pc-sotck", "did you mean pc-stock?"), ("zzzzzz", "the clusters are: pc-orders, pc-stock")])
def test_unknown_cluster_names_the_near(fake, dbsnap, typed, advice):
    refuse(fake, "CreateBackup", 404, "InvalidDBClusterId.NotFound",
           "The DBClusterId provided does not exist in our records.")
    done = dbsnap("backup", "create", typed)
    assert done.returncode == REFUSED and done.stdout == ""
    assert done.stderr == ("dbsnap: InvalidDBClusterId.NotFound: The DBClusterId provided does not "
                           f"exist in our records.\n  {advice}\n")


def test_error_answer_with_json(fake, dbsnap):
    refuse(fake, "CreateBackup", 403, "BackupTimesExceeded", "The maximum is exceeded.")
    done = dbsnap("--json", "backup", "create", "pc-orders")
    assert done.returncode == REFUSED
    assert json.loads(done.stdout)["Code"] == "BackupTimesExceeded"
    assert "BackupTimesExceeded: The maximum is exceeded." in done.stderr


@pytest.mark.parametrize("argv, operation, code", [
    (("backup", "show", "99"), "DescribeBackups", None),
    (("backup", "show", "99"), "DescribeBackups", "InvalidBackupSetID.NotFound"),
    (("backup", "delete", "99"), "DeleteBackup", "InvalidBackupSetID.NotFound")])
def test_unknown_backup_says_how_to_list(fake, dbsnap, argv, operation, code):
    if code:
        refuse(fake, operation, 400, code, "The specified parameter BackupId is not valid.")
    done = dbsnap(*argv)
    assert done.returncode == REFUSED and "'dbsnap backup list' shows" in done.stderr


def test_unknown_job(fake, dbsnap):
    fake.items("DescribeJobs", "Job", [])
    done = dbsnap("job", "show", "99")
    assert done.returncode == REFUSED
    assert done.stderr.startswith("dbsnap: there is no job 99\n")


def test_control_characters_do_not_reach_the_terminal(fake, dbsnap):
    evil = "\x1b]0;x\x07\r\n\u009b2J\u202efoo\x7f ü"
    fake.items("DescribeBackups", "Backup",
               [{**FAILED, "DBClusterId": evil, evil: evil, "Dbsnap": {"State": evil, "Cause": evil}}])
    refuse(fake, "CreateBackup", 400, evil, evil)
    fake.on("DescribeStatus", lambda p: {"Clusters": [{"DBClusterId": evil, "Reason": evil}]})
    fake.on("CheckCluster", lambda p: {"Warnings": [evil], "Parts": [{"Role": evil}],
                                       "Refusal": evil, "Remedy": evil})
    for argv in (("backup", "show", "13"), ("backup", "list", evil),
                 ("backup", "create", "c"), ("status",), ("cluster", "check", "c")):
        done = dbsnap(*argv)
        for text in (done.stdout, done.stderr):
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), (argv, text)
        assert "\\x1b]0;x\\x07\\x0d\\x0a" in done.stdout + done.stderr
        assert " ü" in done.stdout + done.stderr


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b'{"a": "\xff"}'])
def test_answers_that_are_none(fake, dbsnap, body):
    def raw(_params):
        raise Raw(body)
    fake.on("CreateBackup", raw)
    done = dbsnap("backup", "create", "pc-orders")
    assert done.returncode == UNREACHABLE and "not dbsnapd" in done.stderr


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: "
FOUND = b'{"RequestId": "R", "BackupJobId": "12"}'


def sends(*pieces):
    def handle(_params):
        raise Wire(*pieces)
    return handle


ANSWERS = {
    "in pieces": (HEAD[:3], HEAD[3:], b"39\r\n\r", b"\n" + FOUND[:1], FOUND[1:]),
    "version 1.0": (b"HTTP/1.0 200 OK\r\n\r\n" + FOUND,),
    "closed": (b"HTTP/1.1 200 OK\r\nconnection: CLOSE\r\ncontent-length:39\r\n\r\n" + FOUND,),
    "long": (HEAD + b"%d\r\n\r\n" % (len(FOUND) + 200000), b" " * 200000, FOUND),
}


@pytest.mark.parametrize("form", ANSWERS)
def test_answers_in_other_forms(fake, dbsnap, form):
    fake.on("CreateBackup", sends(*ANSWERS[form]))
    assert "Backup 12 of pc-orders is accepted" in lines(dbsnap("backup", "create", "pc-orders"))[0]


def test_answer_that_breaks_off(fake, dbsnap):
    """Not asked again behind the back of a command that must not be doubled."""
    fake.on("CancelJob", sends(HEAD + b"39\r\n\r\n" + FOUND[:-1]))
    done = dbsnap("job", "cancel", "12")
    assert done.returncode == UNREACHABLE and "broke before the answer came" in done.stderr
    assert len(fake.asked("CancelJob")) == 1


def test_answers_without_fields_do_no_harm(fake, dbsnap):
    for action in ("CreateBackup", "DescribeBackups", "DescribeDBClusters", "DescribeStatus",
                   "DescribeBackupPolicy", "DescribeJobs", "DescribeClones", "CheckCluster"):
        for answer in ({}, {"Items": 1, "Clusters": "x", "Parts": {}, "Jobs": []},
                       {"Items": {"Backup": [1], "Job": ["x"], "DBCluster": [{}]}}):
            fake.on(action, lambda p, answer=answer: answer)
            for argv in (("backup", "create", "c"), ("backup", "list"), ("backup", "show", "1"),
                         ("status",), ("policy", "show", "c"), ("job", "show", "1"),
                         ("job", "list", "c"), ("clone", "list", "c"), ("cluster", "check", "c")):
                assert dbsnap(*argv).returncode in (DONE, REFUSED), argv


def test_no_socket(dbsnap, folder):
    path = os.path.join(folder, "none")
    began = time.monotonic()
    done = dbsnap("--socket", path, "status")
    assert done.returncode == UNREACHABLE and done.stdout == ""
    assert time.monotonic() - began < 5, "nothing was sent, so nothing is repeated"
    assert f"there is no socket {path}" in done.stderr


def test_the_hosts_socket_is_started_by_systemd(programs):
    if os.path.exists("/run/dbsnap/dbsnapd.sock"):
        pytest.skip("a dbsnapd runs on this host")
    done = subprocess.run([os.path.join(programs, "dbsnap"), "status"], capture_output=True,
                          text=True, env={})
    assert done.returncode == UNREACHABLE
    assert "/run/dbsnap/dbsnapd.sock" in done.stderr
    assert "systemctl start dbsnapd.socket" in done.stderr


def test_nobody_listens(fake, dbsnap):
    fake.stop()
    done = dbsnap("backup", "create", "pc-orders")
    assert done.returncode == UNREACHABLE and "nobody listens on" in done.stderr


def test_no_permission(root, fake, dbsnap):
    os.chmod(fake.path, 0o660)
    os.chown(fake.path, 0, 1)
    done = dbsnap("status", user="nobody", group="nogroup", extra_groups=[])
    assert done.returncode == UNREACHABLE
    assert f"no permission to use the socket {fake.path}" in done.stderr
    assert "usermod -aG daemon nobody" in done.stderr


def test_a_users_own_socket_comes_first(root, fake, programs, folder):
    fake.on("DescribeStatus", lambda p: {"Version": "own"})
    os.mkdir(os.path.join(folder, "dbsnap"))
    os.symlink(fake.path, os.path.join(folder, "dbsnap", "dbsnapd.sock"))
    os.chmod(fake.path, 0o666)
    done = subprocess.run([os.path.join(programs, "dbsnap"), "status"], capture_output=True,
                          text=True, env={"XDG_RUNTIME_DIR": folder}, user="nobody",
                          group="nogroup", extra_groups=[])
    assert "dbsnapd own" in done.stdout, done.stderr


@pytest.mark.parametrize("argv", [
    (), ("backup",), ("backup", "hold"), ("backup", "unhold", "1", "2"), ("backup", "verify"),
    ("restore",), ("restore", "1", "2"), ("restore", "1", "--token", "x"), ("status", "--dry-run"), ("policy", "set"), ("quarantine", "adopt", "c"), ("quarantine", "list", "--wait"), ("nonsense",),
    ("backup", "create"), ("backup", "create", "a", "b"), ("clone", "create", "1"),
    ("status", "x"), ("status", "--wait"), ("status", "--token", "x"), ("backup", "list", "--yes"),
    ("cluster", "add", "--json"), ("--nonsense",), ("backup", "create", "c", "--token"),
    ("backup", "create", "c", "--token", ""), ("backup", "create", "c", "--token", "x" * 65),
    ("backup", "create", "c", "--token", "a\nb"), ("backup", "create", "c", "--token", "ü"),
    ("backup", "create", "c", "--timeout", "1s"),
    ("backup", "create", "c", "--wait", "--timeout", "soon"),
    ("--socket", "/" + "x" * 108, "status")])
def test_usage(fake, dbsnap, argv):
    done = dbsnap(*argv)
    assert done.returncode == USAGE and done.stdout == "" and done.stderr
    assert fake.requests == []


def test_help_and_version(dbsnap):
    assert re.match(r"dbsnap \d", lines(dbsnap("--version"))[0])
    everything = "\n".join(lines(dbsnap("--help")))
    assert "cluster add" in everything and "Exit status" in everything
    group = "\n".join(lines(dbsnap("backup", "--help")))
    assert "backup show" in group and "cluster add" not in group
    one = "\n".join(lines(dbsnap("backup", "create", "--help")))
    assert "--token" in one and "--timeout" in one
    assert "--token" not in "\n".join(lines(dbsnap("backup", "list", "-h")))


def test_output_that_cannot_be_written_is_an_error(dbsnap, programs, fake):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([os.path.join(programs, "dbsnap"), "--socket", fake.path, "backup",
                               "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == REFUSED and "standard output" in done.stderr
