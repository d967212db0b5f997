# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a MariaDB takes the place of its data directory, and its own option file starts it.

DBSNAP_CUTS: where a restore is struck down (at a few calls; 9 and more: at every one).
"""
import contextlib
import os
import re
import shutil
import socket
import subprocess

import pytest

from harness.disk import run, unmount
from harness.mariadb import USER, Server, configure, program
from harness.mariadb_load import Load, check_moment, check_sums, create
from harness.process import Pid, eventually
from harness.source import digest
from harness.steps import CHANGES, Strike
from test_restore import QUOTA, Crashes, Restores, belongings, is_subvolume

CUTS = int(os.environ.get("DBSNAP_CUTS", "0"))
# A running server, or one that has crashed: how it is cut.
CELLS = [("btrfs", True, "btrfs", "D"), ("xfs", True, "reflink", "E"), ("ext4", False, "copy", "G")]


@pytest.fixture
def make_restores(make_disk, make_mariadb, make_daemon):
    """make_restores(kind): (Restores, its running server) on a disk of that kind."""
    def make(kind, start=True, **settings):
        disk = make_disk(kind, "3G")
        data_dir = disk.subvolume("my", USER)
        server = make_mariadb(data_dir, start=start, **{key: value.format(data=data_dir) for key, value in settings.items()})
        daemon = make_daemon(quota=QUOTA)
        daemon.add_mariadb("main", server, {"max_freeze": "1m"}, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%",
                           restore="in-place")
        daemon.start()
        return Restores(daemon, disk, server.data_dir), server
    return make


def leave_behind(server):
    """What a process has for itself, in the data directory."""
    path = os.path.join(server.data_dir, "host.pid")
    with open(path, "w", encoding="ascii") as file:
        file.write("1\n")
    shutil.chown(path, USER, USER)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(os.path.join(server.data_dir, "left.sock"))


def cut(restores, server, running):
    """A backup under load, of a server that runs or has crashed: (backup, what must be in it, the most that may be)."""
    with Load(server, plain=running) as load:
        load.wait_more(200)
        must = load.acked()
        if running:
            backup = restores.api.create_and_wait("main", timeout=120)
            most = load.acked()
            load.wait_more(200)
    if not running:
        server.kill()
        must = most = load.acked()
        restores.daemon.client("cluster", "check", "main")
        backup = restores.api.create_and_wait("main", timeout=120)
        server.start()
    return backup, must, most


@pytest.mark.parametrize("kind, running, backend, procedure", CELLS)
def test_server(make_restores, kind, running, backend, procedure):
    """The source is the backup's state again, by its own option file: binary log and replication go on from there."""
    restores, server = make_restores(kind)
    create(server, plain=running)
    server.sql("CHANGE MASTER TO MASTER_HOST='192.0.2.1', MASTER_USER='x', MASTER_LOG_FILE='other.000007', MASTER_LOG_POS=77")
    leave_behind(server)
    backup, must, most = cut(restores, server, running)
    assert (backup["Dbsnap"]["Backend"], backup["Dbsnap"]["Procedure"]) == (backend, procedure)
    server.sql("STOP SLAVE")
    server.sql("RESET SLAVE ALL")
    server.sql("CREATE TABLE shop.later AS SELECT 1 AS n")
    server.sql("FLUSH BINARY LOGS")
    server.stop()
    before = belongings(server.data_dir)
    old = digest(server.data_dir)
    job = restores.restore(backup["BackupId"])
    kept = job["KeptPath"]
    assert kept == f"{server.data_dir}.before-{job['JobId']}" and restores.beside() == [os.path.basename(kept)]
    assert digest(kept) == old
    assert belongings(server.data_dir) == belongings(kept) == before
    assert is_subvolume(server.data_dir) == is_subvolume(kept) == (kind == "btrfs")
    assert not [n for n in os.listdir(server.data_dir) if n.endswith((".pid", ".sock"))]
    logs = sorted(n for n in os.listdir(server.data_dir) if n.startswith("mysql-bin.0"))
    os.rename(server.log, server.log + ".before")
    server.start("--skip-slave-start")
    check_moment(server, must, most)
    check_sums(server)
    server.check()
    assert not server.sql("SHOW TABLES FROM shop LIKE 'later'")
    check_binary_log(server, logs)
    status, = server.sql("SHOW SLAVE STATUS")
    assert "192.0.2.1" in status and "other.000007" in status and 77 in status
    # Backups go on, of what is there now; and what is kept is whole when it is put back.
    server.stop()
    restores.daemon.client("cluster", "check", "main")
    restores.api.create_and_wait("main", timeout=120)
    os.rename(server.data_dir, server.data_dir + ".restored")
    os.rename(kept, server.data_dir)
    server.start("--skip-slave-start")
    assert server.value("SELECT n FROM shop.later") == 1
    server.check()
    restores.check()


def check_binary_log(server, logs):
    """It continues: the files of the backup are there, and what is written next follows its last GTID."""
    now = [row[0] for row in server.sql("SHOW BINARY LOGS")]
    assert now[:len(logs)] == logs and len(now) == len(logs) + 1, (logs, now)
    last = int(server.value("SELECT @@gtid_binlog_pos").rsplit("-", 1)[1])
    server.sql("CREATE TABLE shop.again (i INT) ENGINE=InnoDB")
    assert int(server.value("SELECT @@gtid_binlog_pos").rsplit("-", 1)[1]) == last + 1
    assert last >= 200


# Where a binary log lies that mariadb-backup leaves out.
BINLOGS = {"beside": "mysql-bin", "folder": "logs/deep/bin", "elsewhere": "{data}-logs/bin"}


@pytest.mark.skipif(program("mariadb-backup") is None, reason="needs mariadb-backup")
@pytest.mark.parametrize("place", BINLOGS if CUTS > 8 else ["folder", "elsewhere"])
def test_prepared_copy(make_restores, place):
    """Of a copy by mariadb-backup: the binary log begins anew, or goes on where it lies elsewhere; GTIDs follow those before."""
    restores, server = make_restores("ext4", start=False, log_bin=BINLOGS[place])
    os.makedirs(server.data_dir + "/logs/deep")
    os.mkdir(server.data_dir + "-logs")
    run("chown", "-R", f"{USER}:", server.data_dir, server.data_dir + "-logs")
    server.start()
    create(server, plain=True)
    restores.daemon.client("cluster", "check", "main")
    with Load(server, plain=True) as load:
        load.wait_more(100)
        must = load.acked()
        backup = restores.api.create_and_wait("main", timeout=120)
        most = load.acked()
    assert backup["Dbsnap"]["Procedure"] == "F", backup
    at_cut, = re.findall("GTID ([0-9-]+),", backup["Dbsnap"]["Position"])
    server.sql("CREATE TABLE shop.later AS SELECT 1 AS n")
    last = server.value("SELECT @@gtid_binlog_pos")
    server.stop()
    old = digest(server.data_dir)
    said = f"the binary log in {server.data_dir}-logs stays as it is"
    assert any(said in step for step in restores.plan(backup["BackupId"])["Steps"]) == (place == "elsewhere")
    job = restores.restore(backup["BackupId"])
    assert digest(job["KeptPath"]) == old
    assert not [n for n in os.listdir(server.data_dir) if n.startswith(("xtrabackup_", "mariadb_backup_", "backup-my"))]
    server.start()
    check_moment(server, must, most)
    check_sums(server)
    server.check()
    assert not server.sql("SHOW TABLES FROM shop LIKE 'later'")
    before = last if place == "elsewhere" else at_cut
    assert server.value("SELECT @@gtid_binlog_pos") == before
    server.sql("CREATE TABLE shop.again (i INT) ENGINE=InnoDB")
    number = int(before.rsplit("-", 1)[1])
    assert server.value("SELECT @@gtid_binlog_pos") == f"{before.rsplit('-', 1)[0]}-{number + 1}"
    server.stop()
    server.start()
    server.check()
    restores.check()


# Who is in the way

@contextlib.contextmanager
def by_another_path(server, folder, *, apart):
    """The server on its data directory by a bind mount, so by another path, and by another socket; apart: in namespaces
    of mounts and processes of its own."""
    path = os.path.join(folder, "same")
    os.makedirs(path)
    other = Server(path, server.config, os.path.join(os.path.dirname(server.socket), "other"), server.log)
    argv = [program("mariadbd"), f"--defaults-file={server.config}", f"--datadir={path}", f"--socket={other.socket}",
            f"--user={USER}", f"--pid-file={other.socket}.pid"]
    mount = f'mount --bind "{server.data_dir}" "{path}"'
    if apart:
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", f'{mount} && exec "$@"', "sh", *argv]
    else:
        subprocess.run(mount, shell=True, check=True)
    other.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    pid = other.process.pid
    other.main = Pid(pid)
    try:
        eventually(other.answers, 120, "the server answers")
        if apart:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                other.main = Pid(int(file.read()))
        yield other
    finally:
        other.close()
        if not apart:
            unmount(path)


def test_running_server(make_restores, folder):
    """Refused, and who it is, however it runs; nothing has changed, a byte nor a name."""
    restores, server = make_restores("xfs")
    backup = restores.api.create_and_wait("main", timeout=120)["BackupId"]
    job = restores.refused(backup)
    assert f"process {server.main.pid} (mariadbd)" in job["Cause"] and job["Attempts"] == "1", job
    assert f"process {server.main.pid} (mariadbd)" in restores.plan(backup)["Refusal"]
    # It takes connections and says nothing; and then nobody finds its socket.
    server.hang()
    assert f"process {server.main.pid} (mariadbd), which is stopped (SIGSTOP)" in restores.refused(backup)["Cause"]
    os.rename(server.socket, server.socket + ".away")
    assert f"process {server.main.pid} (mariadbd), which is stopped (SIGSTOP)" in restores.refused(backup)["Cause"]
    os.rename(server.socket + ".away", server.socket)
    server.unhang()
    server.stop()
    for apart in (False, True):
        with by_another_path(server, os.path.join(folder, str(apart)), apart=apart) as other:
            job = restores.refused(backup)
            assert f"process {other.main.pid} (mariadbd), which runs" in job["Cause"], job
    assert restores.beside() == []
    plan = restores.plan(backup)
    assert plan["Ok"] == "true", plan
    restores.check()


def test_another_server(make_restores, make_mariadb):
    """One that answers at conninfo, and is another directory's, is not in the way."""
    restores, server = make_restores("btrfs")
    backup = restores.api.create_and_wait("main", timeout=120)["BackupId"]
    server.stop()
    other = make_mariadb(restores.disk.subvolume("other", USER), start=False)
    other.socket = server.socket
    configure(other)
    other.start()
    restores.restore(backup)
    assert other.value("SELECT 1") == 1


def test_moved(make_restores):
    """The binary log's index names files of the folder in which it was made: elsewhere they are not those of the copy."""
    restores, server = make_restores("btrfs", log_bin="{data}/mysql-bin")
    backup = restores.api.create_and_wait("main", timeout=120)["BackupId"]
    server.stop()
    restores.restore(backup)
    moved = server.data_dir + "-2"
    os.rename(server.data_dir, moved)
    settings = {k: v for k, v in restores.daemon.clusters["main"].items() if k not in ("id", "data_dir")}
    restores.daemon.add_cluster("main", moved, **settings)
    restores.daemon.reload()
    job = restores.refused(backup)
    assert f"was made of {server.data_dir}, and its mysql-bin.index names" in job["Cause"], job
    assert sorted(os.listdir(restores.disk.mnt)) == sorted([".dbsnap", "my-2", "my.before-2"])


# A crash before or after every call that changes something

class DatabaseCrashes(Crashes):
    """Of a data directory that nobody serves; at the end its server starts."""

    def __init__(self, restores, server):
        self.restores, self.count = restores, 0
        self.backup = restores.api.create_and_wait("main", timeout=120)["BackupId"]
        server.stop()
        restores.restore(self.backup)
        self.new = digest(restores.data_dir)

    def begin(self):
        super().begin()
        shutil.chown(os.path.join(self.restores.data_dir, "file"), USER, USER)
        self.old = digest(self.restores.data_dir)


@pytest.mark.parametrize("kind", ["btrfs", "xfs"] if CUTS > 8 else ["btrfs"])
def test_struck_down(make_restores, kind):
    restores, server = make_restores(kind)
    create(server)
    with Load(server) as load:
        load.wait_more(100)
    leave_behind(server)
    crashes = DatabaseCrashes(restores, server)
    crashes.strike_each([*CHANGES, "syncfs"] if CUTS > 8 else ["renameat2", "unlinkat"], "KILL", Strike.detach)

    def kill(strike):
        restores.daemon.kill()
        strike.detach()
        crashes.check_whole()
        restores.daemon.start()
    crashes.strike_each([*CHANGES, "syncfs"] if CUTS > 8 else ["renameat2"], "STOP", kill)
    server.start()
    check_sums(server)
    server.check()
    restores.check()
