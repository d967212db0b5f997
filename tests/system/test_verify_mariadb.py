# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify of MariaDB: good backups are good under load, each kind of damage is found, nothing of the owner's is run.

DBSNAP_TABLES: tables of the database that has many (500).
"""
import hashlib
import json
import os
import shutil
import signal

import pytest

from harness import innodb, invariants
from harness.disk import run
from harness.mariadb import USER, program
from harness.mariadb_load import Load, create
from harness.process import eventually, held
from harness.source import digest
from harness.verify import KINDS, QUOTA, Bed, cut, flip, in_cells, wait_job

TABLES = int(os.environ.get("DBSNAP_TABLES", "500"))
ENGINES = ("InnoDB", "MyISAM", "Aria")


class MariadbBed(Bed):
    """With a server on a disk, not filled, and no backup yet."""

    def __init__(self, disk, server, daemon, backend, database=None, **cluster):
        super().__init__(disk, server, daemon, backend)
        daemon.add_mariadb("main", server, database, backend=backend, snapshot_dir=disk.path("snaps"), min_free="0%", **cluster)
        daemon.start()

    def fill(self):
        """A table of each engine with an index, and a transaction that recovery has to undo. Of all that every page is where it
        belongs; what came later is in the redo log only, and touches none of the pages that tests damage."""
        self.server.sql("CREATE DATABASE shop")
        for engine in ENGINES:
            self.server.sql(f"CREATE TABLE shop.t_{engine} (id INT PRIMARY KEY, v VARCHAR(250), l LONGTEXT, KEY (v)) ENGINE={engine}")
            self.server.sql(f"INSERT INTO shop.t_{engine} SELECT seq, MD5(seq), IF(seq % 500, '', REPEAT('x', 40000)) "
                            "FROM shop.seq_1_to_3000")
        self.server.sql("CREATE TABLE shop.undone (id INT PRIMARY KEY, v VARCHAR(250)) ENGINE=InnoDB AS SELECT id, v FROM shop.t_InnoDB")
        self.undone = self.server.connect(autocommit=False)
        self.undone.cursor().execute("UPDATE shop.undone SET v = 'undone'")
        self.write_out()
        self.server.sql("CREATE TABLE shop.later (id INT PRIMARY KEY, v VARCHAR(250)) ENGINE=InnoDB")
        self.server.sql("INSERT INTO shop.later SELECT seq, REPEAT('y', 200) FROM shop.seq_1_to_3000")

    def write_out(self):
        def status(name):
            return int(self.server.sql(f"SHOW GLOBAL STATUS LIKE 'Innodb_{name}'")[0][1])
        eventually(lambda: status("history_list_length") == 0, 60, "purge is done")
        lsn = status("lsn_current")
        eventually(lambda: status("lsn_last_checkpoint") >= lsn - 200, 60, "all pages are written out")

    def create(self):
        self.backup = self.api.create_and_wait("main", timeout=120)

    def manifest(self):
        with open(os.path.join(self.backup["Dbsnap"]["Path"], "manifest.json"), encoding="utf-8") as file:
            return json.load(file)


@pytest.fixture
def make_bed(make_disk, make_mariadb, make_daemon):
    def make(backend="btrfs", server=None, settings=None, **how):
        disk = make_disk(KINDS[backend])
        made = make_mariadb(disk.subvolume("my", USER) if backend == "btrfs" else own_folder(disk), **(server or {}))
        return MariadbBed(disk, made, make_daemon(quota=QUOTA, **(settings or {})), backend, **how)
    return make


def own_folder(disk):
    path = disk.path("my")
    os.mkdir(path, 0o700)
    shutil.chown(path, USER, USER)
    return path


# ---- good ones ----

@pytest.mark.parametrize("backend", KINDS)
def test_a_good_backup_is_good(make_bed, backend):
    """Cut under load, and verified while that goes on; nothing of backup and source changes."""
    bed = make_bed(backend)
    create(bed.server, plain=True)
    bed.server.sql("CREATE VIEW shop.seen AS SELECT * FROM shop.acct")
    bed.server.sql("CREATE SEQUENCE shop.s ENGINE=InnoDB")
    with Load(bed.server, plain=True) as load:
        load.wait_more(300)
        bed.create()
        assert bed.backup["Dbsnap"]["Procedure"] == {"btrfs": "D", "reflink": "E", "copy": "F"}[backend]
        before = digest(bed.data())
        job, verified = bed.verify()
        load.wait_more(10)
    assert (job["State"], job["Kind"]) == ("Done", "VerifyBackup"), job
    assert (verified["Result"], verified["By"]) == ("Good", "uid:0") and "Found" not in verified, verified
    lsn = int(verified["Checked"].split("LSN ")[1].split(",")[0])
    assert lsn >= int(bed.manifest()["floor"]) > 0
    assert digest(bed.data()) == before
    bed.server.check()
    bed.check_nothing_left()
    invariants.check(bed.daemon, bed.disk)


def test_of_a_stopped_server_by_schedule(make_bed):
    """On ext4; the newest is verified by itself."""
    bed = make_bed("copy", verify={"every": "7d"})
    bed.fill()
    bed.undone.close()
    bed.server.stop()
    assert bed.daemon.client("cluster", "check", "main").returncode == 0
    source = digest(bed.server.data_dir)
    bed.create()
    assert bed.backup["Dbsnap"]["Procedure"] == "G"
    verified = eventually(bed.verified, 120, "the verification")
    assert (verified["Result"], verified["By"]) == ("Good", "schedule"), verified
    assert digest(bed.server.data_dir) == source
    assert "Good" in bed.daemon.client("backup", "list").stdout
    bed.check_nothing_left()


# ---- damage ----

def table(name, ending):
    return lambda bed: bed.data("shop", f"t_{name}.{ending}")


def flipped(find, at, count=8):
    """(the file, what damages it): bytes in its middle."""
    return find, lambda bed, path: flip(path, at(path) if callable(at) else at, count)


def leaf(index):
    return lambda path: innodb.leaf_page(path, index) * innodb.PAGE + 8000


def long_page(path):
    """Of a column that does not fit its row: no index leads there."""
    number = next(n for n, page in innodb.pages(path) if page[24:26] == b"\0\x0a" or b"x" * 8000 in page)
    return number * innodb.PAGE + 5000


def row_in_middle(path):
    """In a column that an index is on; what other columns hold nobody but their owner knows."""
    with open(path, "rb") as file:
        return file.read().index(hashlib.md5(b"1777").hexdigest().encode())


def after_checkpoint(bed, path):
    """In the middle of what recovery has to read."""
    flip(path, innodb.redo_offset(path, int(bed.manifest()["floor"]) - 100000), 64)


def truncated(find, size):
    return find, lambda bed, path: cut(path, size)


def missing(find):
    return find, lambda bed, path: os.unlink(path)


def undo_log(bed):
    """Either, as the transaction to be undone has chosen."""
    return next(path for path in (bed.data("undo001"), bed.data("undo002")) if innodb.undo_page(path))


def last_binlog(bed):
    return bed.data(bed.server.sql("SHOW BINARY LOGS")[-1][0])


def without_last_transaction(bed, path):
    """No event is torn: a server does not miss it."""
    events = bed.server.sql("SHOW BINLOG EVENTS IN '" + os.path.basename(path) + "'")
    cut(path, [event[1] for event in events if event[2] == "Gtid"][-1])


DAMAGES = {
    "clustered index": flipped(table("InnoDB", "ibd"), leaf(0)),
    "secondary index": flipped(table("InnoDB", "ibd"), leaf(1)),
    "long column": flipped(table("InnoDB", "ibd"), long_page),
    "truncated ibd": truncated(table("InnoDB", "ibd"), innodb.PAGE * 12),
    "half a page": truncated(table("InnoDB", "ibd"), innodb.PAGE * 12 + 5000),
    "missing ibd": missing(table("InnoDB", "ibd")),
    "missing frm": missing(table("InnoDB", "frm")),
    "LSN in the future": (table("InnoDB", "ibd"), lambda bed, path: innodb.move_lsn(path, innodb.leaf_page(path, 0), 1 << 50)),
    "system tablespace": flipped(lambda bed: bed.data("ibdata1"), lambda path: innodb.settled_page(path) * innodb.PAGE + 200),
    "undo log": flipped(undo_log, lambda path: innodb.undo_page(path) * innodb.PAGE + 100),
    "redo log": (lambda bed: bed.data("ib_logfile0"), after_checkpoint),
    "no redo log": missing(lambda bed: bed.data("ib_logfile0")),
    "MYD": flipped(table("MyISAM", "MYD"), row_in_middle),
    "MYI": flipped(table("MyISAM", "MYI"), 60000),
    "MYI's header": flipped(table("MyISAM", "MYI"), 3),
    "truncated MYD": truncated(table("MyISAM", "MYD"), 90000),
    "missing MYD": missing(table("MyISAM", "MYD")),
    "missing MYI": missing(table("MyISAM", "MYI")),
    "MAD": flipped(table("Aria", "MAD"), 60000),
    "MAI": flipped(table("Aria", "MAI"), 60000),
    "missing MAD": missing(table("Aria", "MAD")),
    "a system table": flipped(lambda bed: bed.data("mysql", "global_priv.MAD"), 8192 + 200),
    "Aria's control file": flipped(lambda bed: bed.data("aria_log_control"), 20),
    "a binary log": missing(lambda bed: bed.data("mysql-bin.000002")),
    "the last binary log": missing(last_binlog),
    "end of the binary log": (last_binlog, lambda bed, path: cut(path, os.path.getsize(path) - 300)),
    "last transaction of the binary log": (last_binlog, without_last_transaction),
    "binary log's index": missing(lambda bed: bed.data("mysql-bin.index")),
}


# Of different tables: one verification finds all of them. The others are alone.
TOGETHER = [("clustered index", "MYD", "MAD"), ("secondary index", "MYI", "MAI"), ("long column", "MYI's header", "missing MAD"),
            ("truncated ibd", "truncated MYD", "a system table"), ("half a page", "missing MYD"), ("missing ibd", "missing MYI")]


def damaged(bed, names, folder):
    """What is found while all that is damaged; afterwards it is as it was."""
    paths = {name: DAMAGES[name][0](bed) for name in names}
    keep = {name: os.path.join(folder, str(number)) for number, name in enumerate(names)}
    for name, path in paths.items():
        run("cp", "-a", path, keep[name])
    try:
        for name, path in paths.items():
            DAMAGES[name][1](bed, path)
        job, verified = bed.verify()
    finally:
        for name, path in paths.items():
            run("cp", "-a", keep[name], path)
    assert job["State"] == "Done" and verified["Result"] == "Bad" and verified["Found"], (names, job, verified)
    found = " ".join(verified["Found"])
    for path in paths.values() if len(names) > 1 else []:
        assert os.path.basename(path).split(".")[0] in found, (path, found)
    return found


def test_damage_is_found(make_bed, folder):
    bed = make_bed("btrfs")
    bed.server.sql("FLUSH BINARY LOGS")
    bed.server.sql("FLUSH BINARY LOGS")
    bed.fill()
    bed.create()
    assert "GTID" in bed.backup["Dbsnap"]["Position"]
    bed.writable()
    before = digest(bed.data())
    alone = [(name,) for name in DAMAGES if not any(name in names for names in TOGETHER)]
    found = {names[0]: damaged(bed, names, folder) for names in TOGETHER + alone}
    assert "in the future" in found["LSN in the future"]
    assert "ends before GTID" in found["last transaction of the binary log"]
    assert "checksum is wrong" in found["long column"] and "cannot be started" in found["undo log"]
    eventually(lambda: "do not rely on it" in bed.daemon.log_text(), what="the loud line")
    # Put back, it is good again: what was found was what was done.
    assert bed.verify()[1]["Result"] == "Good" and digest(bed.data()) == before
    bed.check_nothing_left()


def make_open(server, name):
    """A table whose file says that it is open and changed."""
    server.sql("CREATE DATABASE IF NOT EXISTS shop")
    server.sql(f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(200), KEY (v)) ENGINE=MyISAM")
    server.sql(f"INSERT INTO {name} SELECT seq, MD5(seq) FROM mysql.seq_1_to_3000")
    server.sql("FLUSH TABLES")
    server.sql(f"INSERT INTO {name} VALUES (0, '')")


def test_what_a_server_repairs_at_first_use(make_bed):
    """A table of the system's that was open at the cut is marked so, and its index may be torn: its rows make it good again.
    Users' tables of that kind are not open then, for their writers are held; only a crash leaves them so, and they are shown
    as they are."""
    bed = make_bed("btrfs")
    make_open(bed.server, "mysql.m")
    bed.create()
    bed.writable()
    flip(bed.data("mysql", "m.MYI"), 60000)
    job, verified = bed.verify()
    assert verified["Result"] == "Good", (job, verified)
    make_open(bed.server, "shop.m")
    bed.server.kill()
    assert bed.daemon.client("cluster", "check", "main").returncode == 0
    bed.create()
    assert bed.verify()[1]["Result"] == "Good" and bed.backup["Dbsnap"]["Procedure"] == "G"
    bed.writable()
    flip(bed.data("shop", "m.MYI"), 60000)
    assert "shop.m: " in " ".join(bed.verify()[1]["Found"])
    bed.check_nothing_left()


def test_recovery_has_to_reach_the_floor(make_bed):
    """A redo log that is damaged in its middle ends there, without a word if no page tells of more."""
    bed = make_bed("btrfs")
    bed.create()
    manifest = bed.manifest()
    manifest["floor"] = str(int(manifest["floor"]) + (1 << 30))
    with open(os.path.join(bed.backup["Dbsnap"]["Path"], "manifest.json"), "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2)
    _, verified = bed.verify()
    assert verified["Result"] == "Bad" and "has to reach" in " ".join(verified["Found"]), verified


# ---- what the database's owner has put there is not run, and reaches nothing ----

HOSTILE_CONFIG = """[mysqld]
plugin-load-add = not_there.so
init-file = /nowhere
init-connect = "SHUTDOWN"
event-scheduler = ON
port = 1
skip-networking = 0
innodb-force-recovery = 6
bogus = on
"""

NAMES = ["it's", "`", '"', "a\nb\tc", "..", "%s%n", "\\", "x" * 64, "é" * 64, "select", "#", "t OK"]


def test_hostile_contents(make_bed):
    """Names that have to be quoted, many tables, and whatever would run by itself."""
    bed = make_bed("btrfs")
    server = bed.server
    server.sql("INSTALL SONAME 'ha_archive'")
    for database in ("shop", "d`b\n' OK"):
        quoted = database.replace("`", "``").replace("%", "%%")
        server.sql(f"CREATE DATABASE `{quoted}`")
        for name in NAMES:
            name = name.replace("`", "``").replace("%", "%%")
            server.sql(f"CREATE TABLE `{quoted}`.`{name}` (i INT PRIMARY KEY, `{name}` INT, KEY(`{name}`)) ENGINE=InnoDB")
    server.sql("CREATE TABLE shop.archived (i INT) ENGINE=ARCHIVE")
    server.sql("CREATE EVENT shop.e ON SCHEDULE EVERY 1 SECOND STARTS '2020-01-01 00:00:00' DO EXECUTE IMMEDIATE 'SHUTDOWN'")
    server.sql("CREATE TABLE shop.parts (i INT PRIMARY KEY) ENGINE=InnoDB PARTITION BY HASH (i) PARTITIONS 3")
    server.sql("CREATE TABLE shop.words (i INT PRIMARY KEY, w TEXT, FULLTEXT (w)) ENGINE=InnoDB")
    server.sql("CREATE TABLE shop.packed (i INT PRIMARY KEY, w TEXT) ENGINE=InnoDB ROW_FORMAT=COMPRESSED")
    server.sql("INSERT INTO shop.packed SELECT seq, REPEAT('w', 5000) FROM shop.seq_1_to_300")
    server.sql("BEGIN NOT ATOMIC FOR i IN 1..%s DO EXECUTE IMMEDIATE CONCAT('CREATE TABLE shop.many_', i, ' (i INT) ENGINE=MyISAM'); "
               "END FOR; END", TABLES)
    count = len(server.tables()) - 1
    bed.create()
    bed.writable()
    for name in ("my.cnf", "mariadb.cnf"):
        with open(bed.data(name), "w", encoding="utf-8") as file:
            file.write(HOSTILE_CONFIG)
    job, verified = bed.verify(300)
    assert verified["Result"] == "Good", (job, verified)
    assert f"CHECK TABLE EXTENDED of {count} tables" in verified["Checked"]
    # Its engine is a plugin that the clone's own table of plugins names.
    assert "not looked at: 1 tables" in verified["Checked"]
    # The last in any order is looked at as well.
    find_in_last(bed)
    bed.check_nothing_left()


def find_in_last(bed):
    path = bed.data("shop", "words.ibd")
    flip(path, 3 * innodb.PAGE + 200)
    _, verified = bed.verify(300)
    assert "shop.words" in " ".join(verified["Found"]), verified
    flip(path, 3 * innodb.PAGE + 200)


# ---- programs that do what the real ones would do at the worst moment ----

SERVER = """#!/bin/sh
case "$*" in *--version*) exec {real} "$@" ;; esac
{script}
exec {real} "$@"
"""
CLIENT = """#!/bin/sh
{script}
exec {real} "$@"
"""


@pytest.fixture
def with_programs(make_bed, srv):
    """A backup that programs in /srv/bin look at: scripts before the real ones."""
    def make(server="", client="", **how):
        os.mkdir("/srv/bin")
        os.symlink(shutil.which("innochecksum"), "/srv/bin/innochecksum")
        for name, text, script in (("mariadbd", SERVER, server), ("mariadb", CLIENT, client)):
            with open(f"/srv/bin/{name}", "w", encoding="utf-8") as file:
                file.write(text.format(real=program(name), script=script))
            os.chmod(f"/srv/bin/{name}", 0o755)
        bed = make_bed("btrfs", database={"bindir": "/srv/bin"}, **how)
        bed.server.sql("CREATE DATABASE shop")
        bed.server.sql("CREATE TABLE shop.t (i INT PRIMARY KEY) ENGINE=InnoDB")
        bed.create()
        return bed
    return make


def test_what_goes_away_is_no_damage(with_programs):
    """Once a table is said to be corrupt, as a look beside purge does; looked at again it is not."""
    bed = with_programs(client="[ -e /tmp/clone/once ] || printf 'table\\t1\\tshop.t\\nshop.t\\tcheck\\tWarning\\tnot purged\\n'"
                        "; echo >> /tmp/clone/once")
    assert bed.verify()[1]["Result"] == "Good"
    bed.check_nothing_left()


def test_what_stays_is_damage(with_programs):
    bed = with_programs(client="printf 'table\\t1\\tshop.t\\nshop.t\\tcheck\\tWarning\\tnot purged\\n'")
    _, verified = bed.verify()
    assert verified["Found"] == ["shop.t: not purged"], verified
    bed.check_nothing_left()


def test_crashes_are_damage(with_programs):
    """Of the server alone, and while a table is looked at; floods of words change nothing."""
    flood = "yes '2026-01-01  0:00:00 0 [ERROR] InnoDB: page is corrupted' | head -100000 >&2; "
    bed = with_programs(server=flood + "[ -e /tmp/clone/mysql-bin.000009 ] || kill -SEGV $$")
    _, verified = bed.verify()
    assert verified["Result"] == "Bad" and "the server cannot be started" in verified["Found"], verified
    with open("/srv/bin/mariadbd", "w", encoding="utf-8") as file:
        file.write(SERVER.format(real=program("mariadbd"), script=""))
    with open("/srv/bin/mariadb", "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nprintf 'table\\t1\\tshop.t\\n'; kill -ABRT $(cat /tmp/clone/mariadb.pid); exit 1\n")
    _, verified = bed.verify()
    assert verified["Result"] == "Bad" and "crashes when it checks shop.t" in " ".join(verified["Found"]), verified
    bed.check_nothing_left()


HANG = "exec tail -f /tmp/clone/my.cnf"


def test_killed_is_no_verdict(with_programs):
    bed = with_programs(server=HANG)
    job = bed.begin()
    for pid in eventually(lambda: in_cells("tail"), 60, "the server hangs"):
        os.kill(pid, signal.SIGKILL)
    job = wait_job(bed.api, job)
    assert job["State"] == "Failed" and "was killed" in job["Cause"] and bed.verified() is None, job
    bed.check_nothing_left()


def test_what_hangs_is_ended_and_says_nothing_of_the_backup(with_programs):
    bed = with_programs(server=HANG, settings={"jobs": {"timeout": "8s"}})
    job = wait_job(bed.api, bed.begin())
    assert job["State"] == "Failed" and "jobs.timeout" in job["Cause"] and job["Attempts"] == "1", job
    assert bed.verified() is None
    bed.check_nothing_left()


def test_nothing_outlives_worker_and_engine(with_programs):
    """Killed while the real server is asked: its processes, its mounts and the clone go; the job is done by the next attempt."""
    def restart():
        bed.daemon.kill()
        bed.daemon.start()

    bed = with_programs(client=HANG)
    job = bed.begin()
    for kill in (lambda: bed.daemon.kill_one("workers"), restart):
        eventually(lambda: in_cells("mariadbd") and in_cells("tail"), 60, "an attempt")
        left = held(bed.daemon.descendants())
        cell = [process for process in left if process.pid in in_cells("mariadbd") + in_cells("tail")]
        kill()
        for process in cell:
            process.wait_end(30)
    eventually(lambda: in_cells("tail"), 60, "the next attempt")
    assert bed.api.call("CancelJob", JobId=job)[0] == 200
    assert wait_job(bed.api, job)["State"] == "Cancelled"
    bed.check_nothing_left()


def test_other_programs_are_refused(with_programs):
    """Of another release, or without a client: no verdict, and what to do."""
    bed = with_programs()
    with open("/srv/bin/mariadbd", "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho 'mariadbd  Ver 10.4.3-MariaDB for Linux'\n")
    job, verified = bed.verify()
    assert job["State"] == "Failed" and "the backup is of MariaDB" in job["Cause"] and verified is None, job
    os.unlink("/srv/bin/mariadb")
    job, verified = bed.verify()
    assert job["State"] == "Failed" and "mariadb-client" in job["Remedy"] and verified is None, job
    bed.check_nothing_left()
