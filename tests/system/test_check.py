# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster check: what a person is told of a cluster, on real file systems and with real servers; and of hostile trees.

DBSNAP_FILES: how many files the hostile tree has (20000).
"""
import os
import re
import socket
import subprocess
import sys
import threading

import pytest

from harness.disk import run
from harness.inject import Inject
from harness.mariadb import USER as MY_USER
from harness.postgres import USER
from harness.process import eventually

FILES = int(os.environ.get("DBSNAP_FILES", "20000"))
QUOTA = {"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000}
OWNER = 1  # daemon, on every system


def check(daemon, cluster="main"):
    return daemon.api.ok("CheckCluster", DBClusterId=cluster)


def parts_of(told):
    return {part["Role"]: part for part in told["Parts"]}


def numbers(part):
    return int(part["Bytes"]), int(part["Files"])


def measured(path, keep=lambda name: True):
    """(bytes, files) of what lies below a folder, the folder left out."""
    size = count = 0
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            if keep(os.path.relpath(os.path.join(folder, name), path)):
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
                count += name in files
    return size, count


def is_near(one, other):
    """A server writes meanwhile."""
    return abs(one[0] - other[0]) < 0.1 * other[0] + (4 << 20) and abs(one[1] - other[1]) <= 10


def statements(told):
    return [line for line in told["Account"] if not line.startswith("--")]


def check_table(daemon, cluster, *rows):
    done = daemon.client("cluster", "check", cluster)
    assert done.returncode == 0, done
    for row in rows:
        assert re.search(row, done.stdout, re.M), (row, done.stdout)
    return done.stdout


# With the rights that the check names, and no more.

@pytest.mark.parametrize("kind, procedure, by", [("btrfs", "A", "snapshot"), ("xfs", "B", "walk")])
def test_postgresql(make_disk, make_server, make_daemon, kind, procedure, by):
    disk = make_disk(kind)
    server = make_server(disk.subvolume("pg", USER))
    daemon = make_daemon(quota=QUOTA)
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"))
    daemon.start()
    told = check(daemon)
    parts = parts_of(told)
    assert told["Procedure"] == procedure and told["Ok"] == "true"
    assert {part["Taken"] for part in told["Parts"] if part["Role"] == "data"} == {by}
    assert parts["wal"]["Taken"] == ("log" if procedure == "B" else by)
    assert "Taken" not in parts["snapshots"] and "Bytes" not in parts["snapshots"]
    assert is_near(numbers(parts["data"]), measured(server.data_dir, lambda name: not name.startswith("pg_wal/")))
    assert is_near(numbers(parts["wal"]), measured(server.data_dir + "/pg_wal"))
    for part in (parts["data"], parts["wal"]):
        assert part["Whole"] == "true" and int(part["Extents"]) >= 1 and part["MoreExtents"] == "false"
        assert os.path.isfile(os.path.join(server.data_dir, part["Largest"]))
    assert told["Expected"]["FreezeMs"] == "0.000" and ("CutMs" in told["Expected"]) == (procedure == "B")
    for statement in statements(told):
        server.sql(statement)
    daemon.add_cluster("main", server.data_dir, snapshot_dir=disk.path(".dbsnap", "main"), database={
        "type": "postgresql", "conninfo": server.conninfo.replace(f"user={USER}", "user=dbsnap")})
    daemon.reload()
    for _ in range(2):
        assert daemon.api.create_and_wait("main")["Dbsnap"]["Procedure"] == procedure
    told = check(daemon)
    assert told["Expected"]["From"] == "the median of the last 2 backups" and float(told["Expected"]["CutMs"]) > 0
    assert not any(line.startswith("--") for line in told["Account"])
    said = check_table(daemon, "main", r"^PART +LIES ON +SIZE +FILES +EXTENTS +TAKEN BY +PATH$",
                       rf"^data +{kind} \d+:\d+\S* .* {by} +{server.data_dir}$", r"^Size +\d\S+ MiB in \d+ files$",
                       r"^Expected cut +\S+ ms, writers held 0 ms \(the median", r"^    CREATE ROLE dbsnap LOGIN")
    assert said.index("\nsnapshots ") > said.index("\nwal ")


def test_postgresql_in_several_places(make_disk, make_server, make_daemon):
    disk = make_disk("btrfs")
    server = make_server(disk.subvolume("pg", USER))
    space = disk.subvolume("space", USER)
    server.sql(f"CREATE TABLESPACE far LOCATION '{space}'")
    server.sql("CREATE TABLE t TABLESPACE far AS SELECT generate_series(1, 100000) AS i")
    server.sql("CHECKPOINT")
    server.sql("ALTER SYSTEM SET full_page_writes = off")
    server.sql("SELECT pg_reload_conf()")
    daemon = make_daemon()
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"))
    daemon.start()
    told = check(daemon)
    far, = [part for part in told["Parts"] if part["Role"].startswith("tablespace ")]
    assert told["Procedure"] == "C" and (far["Taken"], parts_of(told)["wal"]["Taken"]) == ("snapshot", "log")
    assert is_near(numbers(far), measured(space)) and numbers(far)[0] > 3 << 20
    assert re.match(r"PG_15_\d+/\d+/\d+$", far["Largest"])
    assert any("full_page_writes is off" in line for line in told["Warnings"])
    assert not any("symbolic" in line for line in told["Warnings"]), "pg_tblspc's links are the server's own"


@pytest.mark.parametrize("kind, procedure, by", [("btrfs", "D", "snapshot"), ("xfs", "E", "walk"), ("ext4", "F", "program")])
def test_mariadb(make_disk, make_mariadb, make_daemon, kind, procedure, by):
    disk = make_disk(kind)
    server = make_mariadb(disk.subvolume("my", MY_USER))
    daemon = make_daemon(quota=QUOTA)
    daemon.add_mariadb("main", server, snapshot_dir=disk.path(".dbsnap", "main"))
    daemon.start()
    told = check(daemon)
    parts = parts_of(told)
    assert told["Procedure"] == procedure and list(parts) == [
        "data", "snapshots", "redo", "undo", "aria log", "binary log", "configuration"]
    assert all(parts[role]["Taken"] == by for role in ("data", "redo", "undo", "aria log"))
    assert parts["binary log"].get("Taken") == (None if procedure == "F" else by)
    assert parts["configuration"]["Taken"] == "config" and parts["configuration"]["Path"] == server.config
    assert numbers(parts["redo"])[0] >= 16 << 20 and numbers(parts["redo"])[1] == 1
    assert numbers(parts["undo"])[1] == 2 and numbers(parts["aria log"])[1] == 2 and numbers(parts["binary log"])[1] == 2
    assert parts["undo"]["Largest"] in ("undo001", "undo002")
    assert told["Account"][0] == "CREATE USER IF NOT EXISTS 'mysql'@'localhost' IDENTIFIED VIA unix_socket;"
    for statement in statements(told):
        server.sql(statement)
    if procedure == "E":
        assert float(told["Expected"]["FreezeMs"]) > 0 and "as no backup has told yet" in told["Expected"]["From"]
    else:
        assert told["Expected"]["FreezeMs"] == "0.000"
    daemon.api.create_and_wait("main")
    told = check(daemon)
    assert told["Expected"]["From"] == "as the last backup"
    check_table(daemon, "main", rf"^redo +{kind} \S+.* 16\.\d MiB +1 +\d+ +{by} +{server.data_dir}$",
                rf"^    GRANT RELOAD, BINLOG MONITOR{', PROCESS' * (procedure == 'F')} ON \*\.\* TO 'mysql'@'localhost';$")


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_mariadb_link_deep_down(make_disk, make_mariadb, make_daemon, kind):
    """What no clone could be made of is not walked, and not only where a short look finds it."""
    disk = make_disk(kind)
    server = make_mariadb(disk.subvolume("my", MY_USER))
    os.makedirs(server.data_dir + "/shop/deep")
    os.symlink("/elsewhere/t.ibd", server.data_dir + "/shop/deep/t.ibd")
    run("chown", "-R", f"{MY_USER}:", server.data_dir + "/shop")
    daemon = make_daemon(quota=QUOTA)
    daemon.add_mariadb("main", server, snapshot_dir=disk.path(".dbsnap", "main"))
    daemon.start()
    told = check(daemon)
    said = "part of the database lies elsewhere, by a link (DATA DIRECTORY): shop/deep/t.ibd"
    if kind == "btrfs":
        assert told["Ok"] == "true" and "no clone can be made of a backup: " + said in told["Warnings"]
        return
    assert told["Ok"] == "false" and told["Refusal"] == said and told["Remedy"]
    failed = daemon.api.wait_final("main", daemon.api.create("main"))["Dbsnap"]
    assert failed["State"] == "FAILED" and failed["Cause"] == said


def test_no_copy_on_write(make_disk, make_server, make_daemon):
    """A backup is right all the same, but the file system does not see damage."""
    disk = make_disk("btrfs")
    path = disk.subvolume("pg", USER)
    run("chattr", "+C", path)
    server = make_server(path)
    daemon = make_daemon()
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"))
    daemon.start()
    told = check(daemon)
    assert told["Ok"] == "true" and any("data is nodatacow" in line for line in told["Warnings"]), told


# Hostile trees.

@pytest.fixture
def make_plain(make_disk, make_daemon):
    """make_plain(kind): (a started daemon with the cluster `main` of plain files, its folder, its disk)."""
    def make(kind, **settings):
        disk = make_disk(kind)
        data = disk.path("data")
        os.mkdir(data)
        os.chown(data, OWNER, OWNER)
        daemon = make_daemon(quota=QUOTA)
        daemon.add_cluster("main", data, database={"type": "none"}, min_free="0%",
                           snapshot_dir=disk.path(".dbsnap", "main"), **settings)
        return daemon.start(), data, disk
    return make


def by_owner(code, *args):
    """Runs Python code as the owner of the files."""
    subprocess.run([sys.executable, "-c", "import os, sys\n" + code, *map(str, args)], check=True, cwd="/", user=OWNER,
                   group=OWNER, extra_groups=[])


TOUCH = """
os.mkdir(sys.argv[1])
for number in range(int(sys.argv[2])):
    os.close(os.open(f"{sys.argv[1]}/{number}", os.O_CREAT | os.O_WRONLY))
"""
DEEP = """
os.chdir(sys.argv[1])
for _ in range(int(sys.argv[2])):
    os.mkdir("d")
    os.chdir("d")
"""


def test_hostile_tree(make_plain):
    daemon, data, _ = make_plain("ext4")
    by_owner(TOUCH, data + "/many", FILES)
    by_owner("os.chdir(sys.argv[1]); os.mkfifo('fifo'); os.symlink('/etc/passwd', 'link'); os.mkdir('deep')", data)
    endpoint = socket.socket(socket.AF_UNIX)
    endpoint.bind(data + "/socket")
    told = check(daemon)
    data_part = parts_of(told)["data"]
    assert told["Ok"] == "true" and data_part["Whole"] == "true" and int(data_part["Files"]) == FILES, told
    assert any(line.endswith(": link") for line in told["Warnings"]), told["Warnings"]
    assert any("left out of a backup" in line and "and 1 more" in line for line in told["Warnings"])
    endpoint.close()

    # Too deep to be walked, by far.
    by_owner(DEEP, data + "/deep", 5000)
    told = check(daemon)
    assert told["Ok"] == "false" and "nested too deeply" in told["Refusal"] and told["Remedy"]
    assert parts_of(told)["data"]["Whole"] == "false" and int(parts_of(told)["data"]["Files"]) == FILES


def test_what_grows_and_what_cannot_be_read(make_plain):
    daemon, data, _ = make_plain("xfs")
    stop = threading.Event()

    def grow():
        with open(data + "/grows", "wb") as file:
            os.chown(data + "/grows", OWNER, OWNER)
            while not stop.is_set():
                file.seek(131072, os.SEEK_CUR)
                file.write(b"x" * 4096)
                file.flush()
    writer = threading.Thread(target=grow)
    writer.start()
    try:
        eventually(lambda: os.path.exists(data + "/grows") and os.path.getsize(data + "/grows") > 1 << 24)
        run("sync", "-f", data)
        told = check(daemon)
    finally:
        stop.set()
        writer.join()
    part = parts_of(told)["data"]
    assert told["Ok"] == "true" and part["Largest"] == "grows" and int(part["Extents"]) > 50, told
    os.mkdir(data + "/secret", 0o700)
    told = check(daemon)
    assert told["Ok"] == "false" and told["Refusal"].endswith("cannot read: secret") and told["Remedy"]
    assert parts_of(told)["data"]["Whole"] == "false"
    # It is what a backup fails of; that one decides, for it may have gone by then.
    failed = daemon.api.wait_final("main", daemon.api.create("main"))["Dbsnap"]
    assert failed["State"] == "FAILED" and "secret" in failed["Cause"]


def test_nested_subvolume_in_a_walk(make_plain):
    """Deeper than the look that every backup begins with."""
    daemon, data, disk = make_plain("btrfs")
    os.makedirs(data + "/a/b")
    run("btrfs", "subvolume", "create", data + "/a/b/nested")
    run("chown", "-R", f"{OWNER}:{OWNER}", data)
    told = check(daemon)
    assert told["Ok"] == "false" and "another device" in told["Refusal"] and told["Refusal"].endswith(": a/b/nested"), told
    assert disk.mounted()


def test_slow_disk(make_plain):
    """It ends by itself, says how far it came, and nobody else waits for it."""
    daemon, data, _ = make_plain("ext4")
    by_owner(TOUCH, data + "/many", 3000)
    answers = []
    with Inject(daemon.main.pid, "newfstatat", "delay_enter=20000"):
        asker = threading.Thread(target=lambda: answers.append(check(daemon)))
        asker.start()
        eventually(daemon.walkers, what="a walker")
        daemon.api.ok("DescribeStatus")
        daemon.reload()
        assert not answers
        asker.join()
    assert answers, "answered, within the 30 s that the service gives a check"
    part = parts_of(answers[0])["data"]
    assert part["Whole"] == "false" and 0 < int(part["Files"]) < 3000, part
    assert any("not every name was looked at: there was no time for more" in line for line in answers[0]["Warnings"])
    eventually(lambda: not daemon.walkers(), what="no walker")
