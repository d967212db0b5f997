# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB on btrfs through the real daemon: cut under load, cloned beside its busy source, refused where it has to be.

DBSNAP_CUTS: cuts of a cell (8).
"""
import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import MySQLdb
import pytest

from harness import invariants
from harness.disk import run, unmount
from harness.inject import Inject
from harness.mariadb import USER, command, configure
from harness.mariadb_cuts import Cut, cut_and_check, purge_backlog
from harness.mariadb_load import ARIA, PLAIN, Load, create
from harness.tally import Tally
from harness.process import eventually
from harness.source import digest
from harness.steps import Pause

CUTS = int(os.environ.get("DBSNAP_CUTS", "8"))
QUOTA = {"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**6}


class Cell:
    """A server on a btrfs disk and a daemon with the cluster `main` for it."""

    def __init__(self, disk, server, daemon, database=None, **settings):
        self.disk, self.server, self.daemon = disk, server, daemon
        daemon.add_mariadb("main", server, database, min_free="0%", **settings)
        daemon.start()
        self.api = daemon.api

    def check(self):
        """dbsnap cluster check main: (exit status, what it says)."""
        done = self.daemon.client("cluster", "check", "main")
        return done.returncode, done.stdout + done.stderr

    def create(self):
        assert self.check()[0] == 0, self.check()
        backup = self.api.create_and_wait("main", timeout=120)
        assert backup["Dbsnap"]["State"] == "AVAILABLE", backup
        return backup

    def clone(self, backup, name):
        return self.api.clone_and_wait("main", backup["BackupId"], name, 120)["ClonePath"]


@pytest.fixture
def make_cell(make_disk, make_mariadb, make_daemon):
    def make(database=None, **settings):
        disk = make_disk("btrfs", size="4G")
        server = make_mariadb(disk.subvolume("my", USER), **settings)
        return Cell(disk, server, make_daemon(quota=QUOTA), database)
    return make


@pytest.mark.parametrize("plain", [False, True], ids=["unlocked", "locked"])
def test_under_load(make_cell, start_mariadb_clone, plain):
    """In every other one purge has much to do."""
    cell = make_cell()
    create(cell.server, plain)

    def make(number, load):
        if number % 2:
            purge_backlog(cell.server, load)
        return cell.create()

    def see(backup):
        assert backup["Dbsnap"]["Procedure"] == "D" and backup["Dbsnap"]["Promise"] == "atomic"
        assert (float(backup["Dbsnap"]["FreezeMs"]) > 0) == plain
    cut_and_check(cell, "mariadb-d-locked" if plain else "mariadb-d", CUTS, make, start_mariadb_clone, see, plain=plain)


# What a server keeps where, inside its data directory.
PLACES = {
    "plain": {},
    "absolute": {"log_bin": "{data}/mysql-bin", "innodb_log_group_home_dir": "{data}", "innodb_data_home_dir": "{data}",
                 "innodb_undo_directory": "{data}", "aria_log_dir_path": "{data}"},
    "folders": {"log_bin": "logs/deep/bin", "log_bin_index": "logs/names", "innodb_log_group_home_dir": "redo",
                "innodb_undo_directory": "undo", "aria_log_dir_path": "aria"},
}
MOVED = {"redo": ["ib_logfile0"], "undo": ["undo001", "undo002"], "aria": ["aria_log_control", "aria_log.00000001"],
         "logs/deep": []}


def move_into(data_dir, folders):
    for folder, names in folders.items():
        os.makedirs(os.path.join(data_dir, folder), exist_ok=True)
        for name in names:
            os.rename(os.path.join(data_dir, name), os.path.join(data_dir, folder, name))
    run("chown", "-R", f"{USER}:", data_dir)


def write_and_crash(start_mariadb_clone, path, tables):
    """Twice: the second start recovers what the first one had written."""
    for value in ("clone", "clone again"):
        clone = start_mariadb_clone(path)
        for table in tables:
            clone.sql(f"UPDATE {table} SET v = %s", value)
        clone.sql(f"CREATE TABLE IF NOT EXISTS shop.more ENGINE=InnoDB AS SELECT * FROM {tables[0]}")
        clone.sql("FLUSH BINARY LOGS")
        newest = clone.sql("SHOW BINARY LOGS")[-1][0]
        clone.sql("PURGE BINARY LOGS TO %s", newest)
        clone.sql("FLUSH TABLES")
        clone.kill()


@pytest.mark.parametrize("places", PLACES)
def test_clone_changes_nothing(make_cell, start_mariadb_clone, places):
    """Written to everywhere and crashed, with the source stopped, so that every byte of it can be compared."""
    cell = make_cell(start=False)
    server = cell.server
    if places == "folders":
        move_into(server.data_dir, MOVED)
    configure(server, **{key: value.format(data=server.data_dir) for key, value in PLACES[places].items()})
    server.start()
    server.sql("CREATE DATABASE shop")
    tables = [f"shop.t_{engine}" for engine in ("InnoDB", "MyISAM", "Aria")]
    for table in tables:
        server.sql(f"CREATE TABLE {table} ENGINE={table.split('_')[1]} AS SELECT seq AS i, 'source     ' AS v FROM shop.seq_1_to_3000")
    server.sql("FLUSH BINARY LOGS")
    backup = cell.create()
    path = cell.clone(backup, "c1")
    server.stop()
    places = [server.data_dir, backup["Dbsnap"]["Path"]]
    before = [digest(place) for place in places]
    write_and_crash(start_mariadb_clone, path, tables)
    assert [digest(place) for place in places] == before
    server.start()
    for table in tables:
        assert server.value(f"SELECT COUNT(*) FROM {table} WHERE v = 'source'") == 3000
        server.sql(f"UPDATE {table} SET v = 'later'")
    server.check()
    # A source changes nothing of a backup, and nothing of a clone.
    assert digest(places[1]) == before[1]
    clone = start_mariadb_clone(path)
    for table in tables:
        assert clone.sql(f"SELECT DISTINCT v FROM {table}") == (("clone again",),)
    clone.check()
    assert clone.value("SELECT @@server_id") != server.value("SELECT @@server_id")
    assert clone.sql("SHOW GLOBAL VARIABLES LIKE 'skip_networking'")[0][1] == "ON"
    invariants.check(cell.daemon, cell.disk)


def test_how_a_clone_is_started(make_cell, start_mariadb_clone):
    """By the command that its option file names, and reached by the one that DescribeClones has."""
    cell = make_cell()
    path = cell.clone(cell.create(), "c1")
    item = cell.api.clone("main", "c1")
    assert command(path) == f"mariadbd --defaults-file={path}/my.cnf"
    assert item["Connect"] == f"mariadb --socket={path}/mariadb.sock"
    start_mariadb_clone(path)
    done = subprocess.run(item["Connect"] + " --batch --skip-column-names -e 'SELECT @@datadir'", shell=True,
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == path + "/"


def test_replica_and_its_paths_stay_behind(make_cell, start_mariadb_clone):
    """Of what the source is a replica the clone does not know; nor does it run its events."""
    cell = make_cell()
    server = cell.server
    server.sql("CREATE DATABASE shop")
    server.sql("CREATE TABLE shop.ran (i INT) ENGINE=InnoDB")
    server.sql("SET GLOBAL event_scheduler = ON")
    server.sql("CREATE EVENT shop.e ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.ran VALUES (1)")
    server.sql("CHANGE MASTER 'other' TO MASTER_HOST='192.0.2.1', MASTER_USER='x'")
    server.sql("CHANGE MASTER TO MASTER_HOST='192.0.2.2', MASTER_USER='x'")
    clone = start_mariadb_clone(cell.clone(cell.create(), "c1"))
    assert clone.sql("SHOW ALL SLAVES STATUS") == ()
    assert clone.value("SELECT @@event_scheduler") == "OFF"
    assert not [name for name in os.listdir(clone.data_dir) if name.startswith(("master", "relay-log"))]


def test_option_files_are_kept(make_cell, folder):
    """What the server reads from outside its data directory, and what that includes."""
    cell = make_cell(start=False)
    server = cell.server
    more = os.path.join(folder, "conf.d")
    os.mkdir(more, 0o755)
    texts = {os.path.join(more, "a.cnf"): "[mysqld]\nmax-connections = 33\n", os.path.join(more, "b.txt"): "no",
             os.path.join(folder, "one.cnf"): f"[mysqld]\n!includedir {more}/\n"}
    # One whose copy's name just fits into a folder, and one that is longer by a byte.
    fits, longer = [os.path.join(folder, (256 + n - len(folder) - 5) * "x" + ".cnf") for n in (0, 1)]
    for path in (fits, longer):
        texts[path] = "[mysqld]\n"
    for path, text in texts.items():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(server.config, "a", encoding="utf-8") as file:
        file.write(f"!include {folder}/one.cnf\n!include {fits}\n!include {longer}\n")
    server.start()
    assert server.value("SELECT @@max_connections") == 33
    kept = os.path.join(cell.create()["Dbsnap"]["Path"], "config")
    wanted = [server.config, os.path.join(folder, "one.cnf"), os.path.join(more, "a.cnf"), fits]
    assert sorted(os.listdir(kept)) == sorted(path[1:].replace("/", "%") for path in wanted)
    with open(os.path.join(kept, wanted[2][1:].replace("/", "%")), encoding="utf-8") as file:
        assert file.read() == texts[wanted[2]]
    assert f"configuration file {longer} is not copied: its path has more than 256 bytes" in cell.daemon.log_text()


def test_position_is_the_clones(make_cell, start_mariadb_clone):
    """Under the lock GTID and place in the binary log are those that the clone recovers to."""
    cell = make_cell()
    create(cell.server, plain=True)
    with Load(cell.server, plain=True) as load:
        load.wait_more(100)
        backup = cell.create()
    position = backup["Dbsnap"]["Position"]
    gtid, file, offset = re.fullmatch(r"GTID ([0-9,-]+), (mysql-bin\.\d+):(\d+)", position).groups()
    path = cell.clone(backup, "c1")
    assert os.stat(os.path.join(path, file)).st_size == int(offset)
    assert start_mariadb_clone(path).value("SELECT @@gtid_binlog_pos") == gtid


# The lock

def insert_waits(server, table=PLAIN):
    """Does a write to a table without transactions have to wait? One that may is made."""
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_wait_timeout = 0")
            cursor.execute(f"INSERT INTO shop.{table} SELECT COALESCE(MAX(id), 0) + 1 FROM shop.{table}")
        return False
    except MySQLdb.OperationalError as error:
        if error.args[0] not in (1205, 1412):
            raise
        return True
    finally:
        connection.close()


def snapshot_call(cell, folder):
    """Which ioctl of a worker it is that makes the snapshot: its number."""
    output = os.path.join(folder, "ioctls")
    with Inject.nothing(cell.daemon.main.pid, "ioctl", output):
        cell.create()
    seen = {}
    with open(output, encoding="utf-8") as file:
        for line in file:
            if "resumed>" in line:  # the second half of one that was counted
                continue
            pid = line.split()[0]
            seen[pid] = seen.get(pid, 0) + 1
            if "BTRFS_IOC_SNAP_CREATE_V2" in line:
                return seen[pid]
    raise AssertionError("no snapshot was made")


@pytest.fixture
def locked(make_cell, folder):
    """locked(database): a cell with a table without transactions, and held() of it."""
    def make(**database):
        cell = make_cell(database)
        create(cell.server, plain=True)
        cell.create()  # the first makes the place, which takes calls of its own
        return cell, lambda: held_create(cell, folder)
    return make


@contextlib.contextmanager
def held_create(cell, folder):
    """
    A create whose cut is held while writers wait. Another worker may come to as many calls first, or this one to
    more than the last: then once more.
    """
    for _ in range(8):
        cell.daemon.wait_idle()
        call = snapshot_call(cell, folder)
        cell.daemon.wait_idle()
        with Pause(cell.daemon, "ioctl", call) as pause:
            backup_id = cell.api.create("main")
            pause.wait()
            try:
                eventually(lambda: insert_waits(cell.server), 3, "writers wait")
            except AssertionError:
                pause.release()
            else:
                yield backup_id
                return
        cell.api.wait_final("main", backup_id, 120)
    raise AssertionError("no cut was held")


def attempts(cell, backup_id):
    job, = cell.api.ok("DescribeJobs", JobId=backup_id)["Items"]["Job"]
    return int(job["Attempts"])


def finish(cell, backup_id):
    """It became AVAILABLE, by a second attempt."""
    item = cell.api.wait_final("main", backup_id, 120)
    assert item["Dbsnap"]["State"] == "AVAILABLE", item
    assert attempts(cell, backup_id) == 2
    return item


def test_writers_wait_while_it_is_cut(locked):
    cell, held = locked()
    with held() as backup_id:
        assert insert_waits(cell.server, ARIA)
    item = cell.api.wait_final("main", backup_id, 60)
    assert item["Dbsnap"]["State"] == "AVAILABLE" and attempts(cell, backup_id) == 1
    assert not insert_waits(cell.server)


def test_helper_killed_while_it_holds(locked):
    """The server lets go at once, and what was cut is not taken for whole."""
    cell, held = locked()
    with held() as backup_id:
        helper, = cell.daemon.helpers()
        os.kill(helper, signal.SIGKILL)
        eventually(lambda: not insert_waits(cell.server), 1, "the lock is free")
    finish(cell, backup_id)


def test_lock_ends_before_the_cut_is_done(locked):
    """However complete it looks: who wrote meanwhile nobody knows."""
    cell, held = locked(max_freeze="3s")
    with held() as backup_id:
        eventually(lambda: not insert_waits(cell.server), 10, "the server lets go by itself")
    finish(cell, backup_id)
    assert "had let go of the lock before the cut was done" in cell.daemon.log_text()


def test_held_for_longer_than_allowed(locked):
    """The server has not let go yet, but a cut under a lock of more than max_freeze is none."""
    cell, held = locked(max_freeze="3500ms")
    with held() as backup_id:
        begin = time.monotonic()
        eventually(lambda: time.monotonic() > begin + 3.5, 5)
    finish(cell, backup_id)
    assert "database.max_freeze is 3500 ms" in cell.daemon.log_text()


def test_server_hangs_while_it_is_held(locked):
    cell, held = locked(max_freeze="3s")
    with held() as backup_id:
        cell.server.hang()
    try:
        eventually(lambda: "did not answer in time" in cell.daemon.log_text(), 30, "the first attempt has failed")
    finally:
        cell.server.unhang()
    eventually(lambda: not insert_waits(cell.server), 8, "the lock is free")
    assert cell.api.wait_final("main", backup_id, 120)["Dbsnap"]["State"] == "AVAILABLE"


def test_lock_that_is_not_to_be_had(make_cell):
    """A long write to a MyISAM table: FAILED with the reason, the write goes on, and nothing of the lock is left."""
    cell = make_cell({"max_freeze": "1s"})
    create(cell.server, plain=True)
    cell.server.sql("CREATE TABLE shop.long_one (id BIGINT) ENGINE=MyISAM")
    writer = cell.server.connect()
    number = writer.thread_id()
    thread = threading.Thread(target=swallow, args=(writer, "INSERT INTO shop.long_one SELECT seq FROM shop.seq_1_to_4000000000"))
    thread.start()
    eventually(lambda: cell.server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'INSERT INTO shop.long_one%%'"),
               10, "it writes")
    backup_id = cell.api.create("main")
    item = cell.api.wait_final("main", backup_id, 60)
    assert item["Dbsnap"]["State"] == "FAILED" and attempts(cell, backup_id) == 1, item
    assert "the server's lock was not to be had within 1000 ms" in str(item) and "PROCESSLIST" in str(item)
    assert thread.is_alive()
    assert not insert_waits(cell.server) and not insert_waits(cell.server, ARIA)
    cell.server.sql(f"KILL {number}")
    thread.join(30)
    cell.create()


def swallow(connection, statement):
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except MySQLdb.Error:
        pass


# Refusals

def refused(cell, *words, create=True):
    """cluster check says so with a remedy, and a backup is none."""
    status, said = cell.check()
    assert status != 0 and all(word in said for word in words), said
    if create:
        status, answer = cell.api.call("CreateBackup", DBClusterId="main")
        assert status == 403 and words[0] in answer["Message"], answer


def test_refuses_what_lies_elsewhere(make_cell, folder):
    cell = make_cell(start=False)
    server = cell.server
    # Without a binary log in its place there would be the copy.
    cell.daemon.add_mariadb("main", server, backend="btrfs", min_free="0%")
    cell.daemon.reload()
    os.chown(folder, os.stat(server.data_dir).st_uid, -1)
    outside = {
        "the binary log lies outside": ({"log_bin": f"{folder}/bin"}, []),
        "the redo log lies outside": ({"innodb_log_group_home_dir": folder}, MOVED["redo"]),
        "the undo log lies outside": ({"innodb_undo_directory": folder}, MOVED["undo"]),
        "Aria's log lies outside": ({"aria_log_dir_path": folder}, MOVED["aria"]),
    }
    for words, (settings, names) in outside.items():
        for name in names:
            run("mv", os.path.join(server.data_dir, name), folder)
        configure(server, **settings)
        server.start()
        refused(cell, words, folder, "restart the server")
        server.stop()
        for name in names:
            run("mv", os.path.join(folder, name), server.data_dir)
    configure(server)
    server.start()
    assert cell.check()[0] == 0


def test_refuses_tables_elsewhere(make_cell, folder):
    """DATA DIRECTORY, of InnoDB and of MyISAM; a database that is a link."""
    cell = make_cell(symbolic_links="ON")
    server = cell.server
    os.chown(folder, os.stat(server.data_dir).st_uid, -1)
    server.sql("CREATE DATABASE shop")
    server.sql(f"CREATE TABLE shop.far (i INT) ENGINE=InnoDB DATA DIRECTORY='{folder}'")
    refused(cell, "by a link (DATA DIRECTORY): shop/far.isl", "without DATA DIRECTORY")
    server.sql("DROP TABLE shop.far")
    server.sql(f"CREATE TABLE shop.far (i INT) ENGINE=MyISAM DATA DIRECTORY='{folder}'")
    refused(cell, "by a link (DATA DIRECTORY): shop/far.MYD -> ", create=False)
    server.sql("DROP TABLE shop.far")
    os.symlink(folder, os.path.join(server.data_dir, "linked"))
    refused(cell, f"by a link (DATA DIRECTORY): linked -> {folder}", create=False)
    os.unlink(os.path.join(server.data_dir, "linked"))
    os.symlink(os.path.join(folder, "cert"), os.path.join(server.data_dir, "server-cert.pem"))
    path = cell.clone(cell.create(), "c1")
    assert not os.path.lexists(os.path.join(path, "server-cert.pem"))


def test_refuses_settings(make_cell, folder):
    cell = make_cell(start=False)
    server = cell.server
    keys = os.path.join(folder, "keys")
    with open(keys, "w", encoding="ascii") as file:
        file.write("1;" + "0123456789abcdef" * 4 + "\n")
    for settings, words in (({"innodb_flush_log_at_trx_commit": "0"}, ["innodb_flush_log_at_trx_commit is 0", "= 1 (or 2)"]),
                            ({"plugin_load_add": "file_key_management", "file_key_management_filename": keys},
                             ["encryption at rest (plugin file_key_management)"])):
        configure(server, **settings)
        server.start()
        refused(cell, *words)
        server.stop()


def test_rights_that_suffice(make_cell):
    """Those that README.md names; without them what needs none still works, and the rest says what is missing."""
    cell = make_cell()
    server = cell.server
    server.sql("DROP USER 'mysql'@'localhost'")
    refused(cell, "does not let us in", "IDENTIFIED VIA unix_socket", create=False)
    server.sql("CREATE USER 'mysql'@'localhost' IDENTIFIED VIA unix_socket")
    status, said = cell.check()
    assert status == 0 and "may not hold writers" in said
    cell.create()
    create(server, plain=True)
    refused(cell, "the account may not hold their writers", "GRANT RELOAD, BINLOG MONITOR ON *.*")
    server.sql("GRANT RELOAD, BINLOG MONITOR ON *.* TO 'mysql'@'localhost'")
    assert "mysql-bin.0" in cell.create()["Dbsnap"]["Position"]


def test_refuses_another_server(make_cell, make_mariadb):
    cell = make_cell()
    other = make_mariadb(cell.disk.subvolume("other", USER))
    cell.daemon.add_mariadb("main", cell.server, {"conninfo": other.conninfo}, min_free="0%")
    cell.daemon.reload()
    refused(cell, "conninfo reaches another server", create=False)
    other.stop()
    refused(cell, "nothing answers at conninfo", "works in", create=False)


def test_found_by_its_files(make_cell):
    """type: auto"""
    cell = make_cell({"type": "auto", "user": USER})
    assert "mariadb 10." in cell.check()[1]
    assert cell.create()["Dbsnap"]["Procedure"] == "D"


# A server that does not run

class Stopped(Cut):
    """Of a server that was killed, or stopped, under load. Tables without transactions do not outlive every kill."""

    def __init__(self, cell, end):
        with Load(cell.server, plain=end == "stop") as load:
            load.wait_more(100)
            if end == "kill":
                cell.server.kill()
            load.end(expect_errors=end == "kill")
        if end == "stop":
            cell.server.stop()
        self.must, self.most = load.acked(), load.acked()
        # A log that lies beside it, as on any machine.
        with open(cell.disk.path("other"), "ab"):
            try:
                self.backup = cell.create()
            finally:
                cell.server.start()
        assert (self.backup["Dbsnap"]["Procedure"], self.backup["Dbsnap"]["Promise"]) == ("G", "stopped")


@pytest.mark.parametrize("kind", ["btrfs", "xfs", "ext4"])
def test_stopped(make_disk, make_mariadb, make_daemon, start_mariadb_clone, kind):
    """A third of the cuts on each."""
    disk = make_disk(kind, size="4G")
    server = make_mariadb(disk.subvolume("my", USER))
    create(server, plain=True)
    cell = Cell(disk, server, make_daemon(quota=QUOTA), snapshot_dir=disk.path(".dbsnap", "main"))
    tally = Tally(f"mariadb-g-{kind}")
    for number in range((CUTS + 2) // 3):
        end = ["kill", "stop"][number % 2]
        cut = tally.attempt(f"{number}, {end}", Stopped, cell, end)
        if cut and tally.attempt(f"{number}, {end}", lambda cut=cut: cut.check(cell, "c1", start_mariadb_clone) or True):
            tally.good(f"{number}, {end}", cut.backup["Dbsnap"]["CutMs"])
    tally.end()
    invariants.check(cell.daemon, cell.disk)


def test_stopped_and_written(make_disk, make_mariadb, make_daemon):
    """By no server, and by another path."""
    disk = make_disk("xfs", size="2G")
    server = make_mariadb(disk.subvolume("my", USER))
    server.stop()
    cell = Cell(disk, server, make_daemon(quota=QUOTA), snapshot_dir=disk.path(".dbsnap", "main"))
    other = disk.path("other")
    os.mkdir(other)
    run("mount", "--bind", server.data_dir, other)
    try:
        with open(os.path.join(other, "mysql", "db.MAD"), "r+b"):
            refused(cell, f"process {os.getpid()} ", create=False)
    finally:
        unmount(other)
    assert cell.create()["Dbsnap"]["Procedure"] == "G"


def test_started_during_the_cut(make_cell):
    """Nobody may begin to write: it is tried again, and finds a server that runs."""
    cell = make_cell()
    create(cell.server)
    cell.server.stop()
    assert cell.check()[0] == 0
    with Pause(cell.daemon, "syncfs", 1) as pause:
        backup_id = cell.api.create("main")
        pause.wait()
        cell.server.start()
    item = finish(cell, backup_id)
    assert item["Dbsnap"]["Procedure"] == "D"


def test_written_during_the_cut(make_cell):
    """By somebody who is gone again."""
    cell = make_cell()
    cell.server.stop()
    assert cell.check()[0] == 0
    with Pause(cell.daemon, "syncfs", 1) as pause:
        backup_id = cell.api.create("main")
        pause.wait()
        cell.server.start()
        cell.server.stop()
    finish(cell, backup_id)
    assert "was written to during the backup" in cell.daemon.log_text()


def test_restarted_during_the_cut(make_cell):
    cell = make_cell()
    with Pause(cell.daemon, "syncfs", 1) as pause:
        backup_id = cell.api.create("main")
        pause.wait()
        cell.server.stop()
        cell.server.start()
    finish(cell, backup_id)


def test_table_without_transactions_made_during_the_cut(make_cell):
    cell = make_cell()
    create(cell.server)
    with Pause(cell.daemon, "syncfs", 1) as pause:
        backup_id = cell.api.create("main")
        pause.wait()
        cell.server.sql("CREATE TABLE shop.late (i INT) ENGINE=MyISAM")
    assert float(finish(cell, backup_id)["Dbsnap"]["FreezeMs"]) > 0
