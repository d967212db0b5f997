# SPDX-License-Identifier: GPL-3.0-or-later
"""A running MariaDB on ext4 through the real daemon: mariadb-backup copies it, whatever becomes of that program.

DBSNAP_CUTS: cuts under load (4).
"""
import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import threading

import MySQLdb
import pytest
import yaml

from harness import invariants
from harness.disk import run
from harness.inject import Inject
from harness.mariadb import USER, configure, make, program
from harness.mariadb_cuts import cut_and_check
from harness.mariadb_load import Load, check_moment, check_sums, create
from harness.process import children, eventually, held, status_fields
from harness.process import program as program_of

CUTS = int(os.environ.get("DBSNAP_CUTS", "4"))
QUOTA = {"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**6}
REAL = program("mariadb-backup")
IMAGE = "/proc/self/fd/3"

pytestmark = pytest.mark.skipif(REAL is None, reason="needs mariadb-backup")


class Cell:
    """A server on a disk and a daemon with the cluster `main` for it."""

    def __init__(self, disk, server, daemon, database=None, **settings):
        self.disk, self.server, self.daemon = disk, server, daemon
        daemon.add_mariadb("main", server, database,
                           **{"snapshot_dir": disk.path(".dbsnap", "main"), "min_free": "0%", **settings})
        daemon.start()
        self.api = daemon.api

    def check(self):
        """dbsnap cluster check main: (exit status, what it says)."""
        done = self.daemon.client("cluster", "check", "main")
        return done.returncode, done.stdout + done.stderr

    def refused(self, *words):
        status, said = self.check()
        assert status != 0 and all(word in said for word in words), said
        assert self.api.call("CreateBackup", DBClusterId="main")[0] == 403

    def create(self):
        return self.see_available(self.api.wait_final("main", self.api.create("main"), 120))

    def see_available(self, backup):
        assert backup["Dbsnap"]["State"] == "AVAILABLE", backup
        assert [backup["Dbsnap"][key] for key in ("Backend", "Procedure", "Promise")] == ["copy", "F", "recovered"], backup
        assert float(backup["Dbsnap"]["FreezeMs"]) == 0, backup
        return backup

    def fail(self):
        """Why a create fails."""
        backup = self.api.wait_final("main", self.api.create("main"), 120)
        assert backup["Dbsnap"]["State"] == "FAILED", backup
        return backup["Dbsnap"]["Cause"]

    def clone(self, backup, name):
        return self.api.clone_and_wait("main", backup["BackupId"], name, 120)["ClonePath"]

    def image(self, number):
        return os.path.join(self.daemon.snapshot_dir("main"), str(number), "data")


@pytest.fixture
def make_cell(make_disk, make_mariadb, make_daemon):
    def build(database=None, daemon=None, restore="off", **settings):
        disk = make_disk("ext4", size="4G")
        return Cell(disk, make_mariadb(disk.subvolume("my", USER), **settings), make_daemon(quota=QUOTA, **(daemon or {})),
                    database, restore=restore)
    return build


class Bin:
    """A folder of root's for database.bindir, and what stands in it for mariadb-backup."""

    def __init__(self, path):
        self.path = path
        os.mkdir(path, 0o755)

    def write(self, script):
        """script gets the arguments of each run but --version; $real is the program itself."""
        path = os.path.join(self.path, "mariadb-backup")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(f'#!/bin/bash\nPATH=/usr/bin:/bin\nreal={REAL}\n'
                       f'[[ " $* " != *" --version "* ]] || exec $real "$@"\n{script}\n')
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)


@pytest.fixture
def bindir(srv):
    return Bin(os.path.join(srv, "bin"))


class Ddl:
    """Tables are made, rebuilt, renamed, emptied and dropped, one statement after the other."""

    STATEMENTS = ["CREATE TABLE shop.d (id INT PRIMARY KEY, v VARCHAR(100)) ENGINE=InnoDB",
                  "INSERT INTO shop.d SELECT seq, REPEAT('v', 90) FROM shop.seq_1_to_500",
                  "ALTER TABLE shop.d ADD KEY (v)", "ALTER TABLE shop.d ADD COLUMN w INT, FORCE",
                  "RENAME TABLE shop.d TO shop.r", "OPTIMIZE TABLE shop.r",
                  "CREATE TABLE shop.d (id INT) ENGINE=MyISAM", "INSERT INTO shop.d VALUES (1)",
                  "ALTER TABLE shop.d ENGINE=InnoDB", "TRUNCATE TABLE shop.r", "DROP TABLE shop.r", "DROP TABLE shop.d"]

    def __init__(self, server):
        self.server = server
        self.stopping = threading.Event()
        self.done, self.error = 0, None    # statements
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            while not self.stopping.is_set():
                self.server.sql(self.STATEMENTS[self.done % len(self.STATEMENTS)])
                self.done += 1
        except MySQLdb.Error as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(60)
        assert not self.thread.is_alive() and self.error is None, self.error


def logged(folder, file, offset):
    """{(table, session): its last id} of the binary log in folder up to that place."""
    files = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if "mysql-bin.0" in name and name <= file]
    text = run(program("mariadb-binlog"), "--no-defaults", f"--stop-position={offset}", *files)
    found = {}
    for table, number in re.findall(r"^INSERT INTO shop\.(acked|plain_myisam|plain_aria) VALUES \((\d+)\)", text, re.M):
        session, turn = divmod(int(number), 10**9)
        found[table, session] = turn
    return found


def create_amid_ddl(cell):
    """Each of its three attempts may lose a table, which is seen: then it has failed. Three creates in a row do not."""
    for _ in range(3):
        backup = cell.api.wait_final("main", cell.api.create("main"), 120)
        if "cannot be trusted" not in backup["Dbsnap"].get("Cause", ""):
            break
    return cell.see_available(backup)


def test_under_load(make_cell, start_mariadb_clone, scratch):
    """Every second copy is slow. The binary log lies elsewhere, and a transaction of somebody else is prepared: a clone
    needs neither the one nor the other's end."""
    folder = scratch.folder("binlog")
    shutil.chown(folder, USER, USER)
    cell = make_cell(log_bin=os.path.join(folder, "mysql-bin"))
    server = cell.server
    create(server, plain=True)
    server.sql("CREATE TABLE shop.xa (id INT PRIMARY KEY) ENGINE=InnoDB")
    prepared = server.connect()
    for statement in ("XA START 'a'", "INSERT INTO shop.xa VALUES (1)", "XA END 'a'", "XA PREPARE 'a'"):
        prepared.query(statement)
    status, said = cell.check()
    assert status == 0 and re.search(r"\bF\b", said) and "who writes them waits while mariadb-backup" in said, said

    def cut(number, _):
        before = ddl.done
        with Inject(cell.daemon.main.pid, "fadvise64", "delay_enter=2000") if number % 2 else contextlib.nullcontext():
            backup = create_amid_ddl(cell)
        meanwhile.append(ddl.done - before)
        return backup

    def see(backup):
        gtid, file, offset = re.fullmatch(r"GTID (\S+), (mysql-bin\.\d+):(\d+)", backup["Dbsnap"]["Position"]).groups()
        assert server.value(f"SELECT BINLOG_GTID_POS('{file}', {offset})") == gtid
        place.file, place.offset = file, offset
        with open(os.path.join(cell.image(backup["BackupId"]), "xtrabackup_checkpoints"), encoding="ascii") as made:
            assert "full-backuped" not in made.read()

    def look(clone):
        left = [name for name in os.listdir(clone.data_dir) if name.startswith(("backup-", "xtrabackup_", "mariadb_backup_"))]
        assert not left, left
        assert clone.sql("XA RECOVER") == ((1, 1, 0, b"a"),)
        # Where it says, neither before nor after.
        last = logged(folder, place.file, place.offset)
        assert len(last) >= 4
        for (table, session), turn in last.items():
            assert clone.value(f"SELECT MAX(id) FROM shop.{table} WHERE id DIV 1000000000 = %s", session) == \
                session * 10**9 + turn, (table, session)

    place, meanwhile = threading.local(), []    # clones are looked at in several
    with Ddl(server) as ddl:
        cut_and_check(cell, "mariadb-f", CUTS, cut, start_mariadb_clone, see, look, plain=True)
    assert sum(meanwhile) >= CUTS, f"statements of DDL: {meanwhile}"
    prepared.query("XA ROLLBACK 'a'")
    prepared.close()


def test_settings_of_files(make_disk, make_mariadb, make_daemon, start_mariadb_clone):
    """Pages of another size, and a system tablespace of two files, are told to --prepare and to the clone. There is no
    binary log; the size is what the image takes."""
    disk = make_disk("ext4", size="2G")
    data_dir = disk.subvolume("my", USER)
    settings = {"innodb_page_size": "4k", "innodb_data_file_path": "ibdata1:12M;ibdata2:10M:autoextend"}
    server = make_mariadb(data_dir, start=False, **settings, log_bin=False)
    for name in os.listdir(data_dir):
        run("rm", "-r", os.path.join(data_dir, name))
    done = subprocess.run([program("mariadb-install-db"), f"--defaults-file={server.config}", "--skip-test-db",
                           "--auth-root-authentication-method=socket", f"--auth-root-socket-user={USER}"],
                          user=USER, group=USER, extra_groups=[], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    server.start()
    cell = Cell(disk, server, make_daemon(quota=QUOTA))
    create(server)
    with Load(server) as load:
        must = load.acked()
        backup = cell.create()
        most = load.acked()
    assert backup["Dbsnap"]["Position"] == "no binary log"
    allocated = int(run("du", "-s", "--block-size=1", cell.image(backup["BackupId"])).split()[0])
    assert abs(int(backup["BackupSetSize"]) - allocated) <= 1 << 20, (backup, allocated)
    clone = start_mariadb_clone(cell.clone(backup, "c1"))
    assert clone.value("SELECT @@innodb_page_size") == 4096
    check_moment(clone, must, most)
    check_sums(clone)
    clone.check()


# What its program does to tables without transactions that are made anew

# Stands still: before it copies such tables, when what becomes of them is noted already; or when it has copied one.
STAND = """
[[ "$*" == *--backup* && -e /srv/hold ]] || exec $real "$@"
exec strace -f -qq -o %s %s $real "$@"
"""
BEFORE = "-P ./mysql/proc.MAD -e trace=openat -e inject=openat:signal=STOP:when=1"
AFTER = "-P %s/shop/d.MYD -P %s/shop/d.MYI -e trace=close -e inject=close:signal=STOP:when=2"
ANEW = {
    "dropped": "DROP TABLE shop.d; CREATE TABLE shop.d (id INT) ENGINE=MyISAM; INSERT INTO shop.d VALUES (7)",
    "turned to InnoDB": "DROP TABLE shop.d; CREATE TABLE shop.d (id INT) ENGINE=InnoDB",
    "replaced": "CREATE TABLE shop.n (id INT) ENGINE=Aria; INSERT INTO shop.n VALUES (8); "
                "RENAME TABLE shop.d TO shop.old, shop.n TO shop.d; DROP TABLE shop.old",
    "exchanged": "RENAME TABLE shop.a TO shop.x, shop.b TO shop.a, shop.x TO shop.b",
    "emptied": "TRUNCATE TABLE shop.d",
}


def stands_still(daemon, trace):
    """The program, once strace has seen it stop; None: it has not."""
    if not os.path.exists(trace):
        return None
    with open(trace, encoding="ascii") as file:
        if "stopped by SIGSTOP" not in file.read():
            return None
    return next(pid for pid in daemon.descendants() if os.readlink(f"/proc/{pid}/exe") == REAL)


def contents(server):
    return {table: server.sql(f"SELECT * FROM {table} ORDER BY 1") for (table,) in server.tables() if "`shop`" in table}


def test_tables_made_anew_while_it_copies(make_cell, bindir, start_mariadb_clone, scratch):
    """It ends with "completed OK!" and has lost or exchanged them: another attempt is made."""
    bindir.write('exec $real "$@"')
    cell = make_cell({"bindir": bindir.path})
    server = cell.server
    trace = os.path.join(scratch.folder("trace"), "trace")
    shutil.chown(os.path.dirname(trace), USER)
    server.sql("CREATE DATABASE shop")
    for number, (name, statements) in enumerate(ANEW.items()):
        for table in "dab":
            server.sql(f"CREATE OR REPLACE TABLE shop.{table} (id INT) ENGINE=MyISAM")
            server.sql(f"INSERT INTO shop.{table} VALUES ({ord(table)})")
        after = AFTER % (server.data_dir, server.data_dir)
        bindir.write(STAND % (trace, after if name == "emptied" else BEFORE))
        with open("/srv/hold", "w", encoding="ascii"):
            pass
        backup_id = cell.api.create("main")
        stopped = eventually(lambda: stands_still(cell.daemon, trace), 60, "it stands still")
        os.unlink("/srv/hold")
        for statement in statements.split("; "):
            server.sql(statement)
        # Waits until the server lets go of such tables.
        filling = threading.Thread(target=server.sql, args=("INSERT INTO shop.d VALUES (9)",), daemon=True)
        if name == "emptied":
            filling.start()
            eventually(lambda: server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE '%backup lock%'"),
                       60, "it waits")
        os.kill(stopped, signal.SIGCONT)
        os.unlink(trace)
        backup = cell.api.wait_final("main", backup_id, 120)
        assert backup["Dbsnap"]["State"] == "AVAILABLE", (name, backup)
        if name == "emptied":
            filling.join(60)
        clone = start_mariadb_clone(cell.clone(backup, f"c{number}"))
        assert contents(clone) == contents(server), name
        clone.stop()
    invariants.check(cell.daemon, cell.disk)


# Refusals

def test_rights_that_suffice(make_cell):
    """Those that README.md names, and no less."""
    cell = make_cell()
    server = cell.server
    server.sql("DROP USER 'mysql'@'localhost'")
    server.sql("CREATE USER 'mysql'@'localhost' IDENTIFIED VIA unix_socket")
    remedy = "GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.*"
    for missing, grant in ((" RELOAD PROCESS BINLOG MONITOR", "RELOAD"), (" PROCESS BINLOG MONITOR", "PROCESS"),
                           (" BINLOG MONITOR", "BINLOG MONITOR")):
        cell.refused(f"the account lacks{missing}", remedy)
        server.sql(f"GRANT {grant} ON *.* TO 'mysql'@'localhost'")
    create(server, plain=True)
    # A refused create looks again; that look may have begun before the last grant, and be the answer to the first question.
    eventually(lambda: cell.check()[0] == 0, 60, "the rights suffice")
    assert "mysql-bin.0" in cell.create()["Dbsnap"]["Position"]


def test_refuses_its_program(make_cell, bindir):
    cell = make_cell({"bindir": bindir.path})
    cell.refused("/srv/bin (database.bindir) has none", "install the package mariadb-backup")
    bindir.write("exit 1")
    path = os.path.join(bindir.path, "mariadb-backup")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho mariadb-backup based on MariaDB server 10.6.18-MariaDB Linux\n")
    cell.refused("is of another release", "10.6.18", "the package mariadb-backup of the server's release")
    bindir.write("exit 1")
    shutil.chown(path, USER)
    cell.refused("is not run", "database.bindir")
    # Beside a folder sbin is a folder bin.
    bindir.write('exec $real "$@"')
    os.mkdir("/srv/sbin", 0o755)
    cell.daemon.add_mariadb("main", cell.server, {"bindir": "/srv/sbin"}, min_free="0%", snapshot_dir=cell.daemon.snapshot_dir("main"))
    cell.daemon.reload()
    assert cell.check()[0] == 0, cell.check()
    cell.create()


def test_refuses_folders_of_their_own(make_cell):
    """In a clone the program's copy would do; the source's own option files would not start on it."""
    cell = make_cell()
    server = cell.server
    server.stop()
    os.mkdir(os.path.join(server.data_dir, "redo"))
    os.rename(os.path.join(server.data_dir, "ib_logfile0"), os.path.join(server.data_dir, "redo", "ib_logfile0"))
    run("chown", "-R", f"{USER}:", server.data_dir)
    configure(server, innodb_log_group_home_dir="redo")
    server.start()
    cell.refused("the redo log lies in a folder of its own (redo)", "leave the setting at its default")


def test_refuses_engines_that_it_leaves_out(make_cell):
    cell = make_cell()
    create(cell.server, plain=True)
    for kind in ("Aria", "CSV", "MRG_MyISAM UNION=(shop.plain_myisam)", "InnoDB PARTITION BY HASH (id) PARTITIONS 2"):
        cell.server.sql(f"CREATE TABLE shop.t{kind[:2]} (id BIGINT NOT NULL) ENGINE={kind}")
    cell.server.sql("CREATE TRIGGER shop.tr BEFORE INSERT ON shop.gone FOR EACH ROW SET NEW.v = 'x'")
    assert cell.check()[0] == 0, cell.check()
    path = os.path.join(cell.server.data_dir, "shop", "t.mrn")
    with open(path, "w", encoding="ascii"):
        pass
    cell.refused("an engine that it does not know: shop/t.mrn", "turn the table into one of InnoDB")


def test_more_tables_than_the_daemon_may_open_files(make_cell):
    cell = make_cell()
    connection = cell.server.connect()
    connection.query("CREATE DATABASE shop")
    for number in range(350):
        connection.query(f"CREATE TABLE shop.t{number} (id INT) ENGINE=InnoDB")
    connection.close()
    resource.prlimit(cell.daemon.main.pid, resource.RLIMIT_NOFILE, (300, 3000))
    cell.create()
    resource.prlimit(cell.daemon.main.pid, resource.RLIMIT_NOFILE, (300, 300))
    cause = cell.fail()
    assert "may not open so many files" in cause, cause


# A restore

def test_restored(make_cell):
    """By its own option file it starts, with a binary log anew."""
    cell = make_cell(restore="in-place")
    server = cell.server
    create(server, plain=True)
    with Load(server, plain=True) as load:
        must = load.acked()
        backup = cell.create()
        most = load.acked()
        load.wait_more(100)
    server.stop()
    done = cell.daemon.client("restore", backup["BackupId"], "--yes", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    server.start()
    check_moment(server, must, most)
    check_sums(server)
    server.check()
    assert [row[0] for row in server.sql("SHOW BINARY LOGS")] == ["mysql-bin.000001"]
    assert cell.check()[0] == 0, cell.check()
    cell.create()


# What becomes of its program

FAILURES = {
    'echo "Error: the disk is tired" >&2; echo bye >&2; exit 3':
        "mariadb-backup --backup failed (status 3): Error: the disk is tired; last: bye",
    'echo "completed OK!" >&2; echo but >&2': 'failed (it did not say "completed OK!"): but',
    'echo "completed OK!" >&2; kill -9 $$': "failed (signal 9)",
    'head -c 50M /dev/zero | tr "\\0" "\\1" >&2; printf "\\nthe \\033[1mend" >&2; exit 1': "failed (status 1): the ?[1mend",
    '[[ "$*" == *--prepare* ]] || exec $real "$@"; echo "[ERROR] no" >&2; exit 1':
        "mariadb-backup --prepare failed (status 1): [ERROR] no",
}


def test_program_that_fails(make_cell, bindir):
    cell = make_cell({"bindir": bindir.path})
    for script, words in FAILURES.items():
        bindir.write(script)
        cause = cell.fail()
        assert words in cause, cause
    invariants.check(cell.daemon, cell.disk)


# Stands still in the middle of a copy, until it is told to go on.
HOLD = """
[[ "$*" == *--backup* && -e /srv/hold ]] || exec $real "$@"
$real "$@" & pid=$!
CHILD
until [ -s %s/undo001 ]; do :; done
kill -STOP $pid
wait $pid
""" % IMAGE
# The same of a process that has no other.
HOLD_ALONE = """
[[ "$*" == *--backup* && -e /srv/hold ]] || exec $real "$@"
echo begun >%s/undo001
kill -STOP $$
""" % IMAGE


class Holding:
    """A create whose program stands still in the middle."""

    def __init__(self, cell):
        self.daemon = cell.daemon
        with open("/srv/hold", "w", encoding="ascii"):
            pass
        self.backup_id = cell.api.create("main")
        self.stopped = eventually(self.find, 60, "it stands still")
        os.unlink("/srv/hold")
        self.processes = held(pid for worker in self.daemon.workers() for pid in below(worker))

    def find(self):
        return next((pid for pid in self.daemon.descendants() if status_fields(pid).get("State", "")[:1] == "T"), None)

    def wait_gone(self):
        for pid in self.processes:
            pid.wait_end(30)


def below(pid):
    found = children(pid)
    return found + [each for child in found for each in below(child)]


def kill(pids):
    for pid in held(pids):
        pid.kill()


def end_held(cell, event, holding):
    """The event, after which none of the processes may be left."""
    if event == "engine":
        cell.daemon.kill()
        holding.wait_gone()
        cell.daemon.start()
    elif event == "cancel":
        cell.api.ok("CancelJob", JobId=holding.backup_id)
    else:
        kill(getattr(cell.daemon, event)())
    holding.wait_gone()
    backup = cell.api.wait_final("main", holding.backup_id, 120)
    assert backup["Dbsnap"]["State"] == ("CANCELLED" if event == "cancel" else "AVAILABLE"), backup


@pytest.mark.parametrize("event", ["workers", "walkers", "engine", "cancel"])
def test_ended_in_the_middle(make_cell, bindir, event):
    cell = make_cell({"bindir": bindir.path})
    bindir.write(HOLD.replace("CHILD", "sleep 600 &"))
    holding = Holding(cell)
    # Of what is copied before InnoDB's first file.
    eventually(lambda: 10 < int(cell.api.ok("DescribeJobs", JobId=holding.backup_id)["Items"]["Job"][0]["Percent"]) < 90, 30,
               "a share that is done")
    programs = [program_of(pid.pid) for pid in holding.processes]
    assert "mariadb-backup" in programs and len(programs) >= 5, programs
    end_held(cell, event, holding)
    invariants.check(cell.daemon, cell.disk)


def test_without_root(carol, make_own_daemon, make_disk, make_mariadb, start_mariadb_clone, bindir):
    """All of it an ordinary user's, by the rights that README.md names; there are no namespaces for what is ended."""
    disk = make_disk("ext4", size="1G")
    data_dir = carol.folder(os.path.join(carol.folder(disk.path("home"), 0o755), "my"))
    server = make_mariadb(data_dir, user=carol.name)
    create(server, plain=True)
    server.sql("CREATE USER carol@localhost IDENTIFIED VIA unix_socket")
    server.sql("GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO carol@localhost")
    daemon = make_own_daemon(quota=QUOTA)
    cell = Cell(disk, server, daemon, {"bindir": bindir.path}, snapshot_dir=os.path.join(carol.home, "backups"))
    bindir.write('exec $real "$@"')
    with Load(server, plain=True) as load:
        must = load.acked()
        backup = cell.create()
        most = load.acked()
    clone = start_mariadb_clone(cell.clone(backup, "c1"), user=carol.name)
    check_moment(clone, must, most)
    check_sums(clone)
    clone.check()
    bindir.write(HOLD_ALONE)
    for event in ("workers", "walkers", "cancel"):
        end_held(cell, event, Holding(cell))
    invariants.check(daemon)


def test_inside_the_sandbox_of_the_unit(make_systemd, srv, make_disk, mariadb_template):
    # Not below /var/tmp, which the service does not see (PrivateTmp=).
    disk = make_disk("ext4", "1G", mnt="/srv/my")
    os.mkdir("/srv/run")
    server = make(disk.subvolume("data", USER), "/srv/run", mariadb_template)
    system = make_systemd(srv)
    system.write("/usr/local/etc/dbsnap/clusters.d/main.yaml", yaml.safe_dump({
        "id": "main", "data_dir": server.data_dir, "snapshot_dir": disk.path(".dbsnap", "main"), "min_free": "0%",
        "database": {"type": "mariadb", "conninfo": server.conninfo}}))
    system.run("systemd-run", "--quiet", "--unit=my", "--service-type=notify", f"--uid={USER}", program("mariadbd"),
               f"--defaults-file={server.config}")
    create(server, plain=True)
    system.systemctl("start", "dbsnapd.service")
    item = system.api().create_and_wait("main", timeout=120)
    assert item["Dbsnap"]["Procedure"] == "F", item


def test_takes_too_long(make_cell, bindir):
    cell = make_cell({"bindir": bindir.path}, daemon={"jobs": {"timeout": "2s"}})
    bindir.write("sleep 600")
    cause = cell.fail()
    assert "took" in cause, cause
    invariants.check(cell.daemon, cell.disk)


def test_full_disk(make_disk, make_mariadb, make_daemon, bindir):
    """Told before it begins, if it can be; else when it is full."""
    disk, source = make_disk("ext4", size="256M"), make_disk("ext4", size="1G")
    server = make_mariadb(source.subvolume("my", USER))
    cell = Cell(disk, server, make_daemon(quota=QUOTA), {"bindir": bindir.path})
    bindir.write(HOLD.replace("CHILD", ""))
    disk.fill(10 << 20)
    cause = cell.fail()
    assert "a copy needs" in cause, cause
    os.unlink(disk.path("ballast"))
    holding = Holding(cell)
    disk.fill(0)
    os.kill(holding.stopped, signal.SIGCONT)
    backup = cell.api.wait_final("main", holding.backup_id, 120)
    assert backup["Dbsnap"]["State"] == "FAILED" and "No space left" in backup["Dbsnap"]["Cause"], backup
    invariants.check(cell.daemon, disk)
