# SPDX-License-Identifier: GPL-3.0-or-later
"""A clone of every cell, run by the daemon beside its busy source: written to and crashed, the source crashed after it.
Neither has what is the other's, value by value."""
import contextlib
import os
import subprocess

import pytest

from harness import invariants, mariadb, mariadb_load, postgres
from harness.load import Acked, Pgbench, check_sums
from harness.process import Pid, eventually

from test_clone_running import QUOTA, ask, gone, inside, servers, start
from test_postgresql_c import add_space, move_wal

ROWS = 20000

# name: (source, file system, procedure)
CELLS = {
    "postgresql-a": ("PostgreSQL", "btrfs", "A"),
    "postgresql-b-reflink": ("PostgreSQL", "xfs", "B"),
    "postgresql-b-copy": ("PostgreSQL", "ext4", "B"),
    "postgresql-c": ("Apart", "btrfs", "C"),
    "postgresql-g": ("PostgreSQL", "btrfs", "G"),
    "mariadb-d": ("MariaDB", "btrfs", "D"),
    "mariadb-e": ("MariaDB", "xfs", "E"),
    "mariadb-f": ("Copied", "ext4", "F"),
    "mariadb-g": ("MariaDB", "ext4", "G"),
}
# The same by a daemon, and with a server, of an ordinary user's.
OWN_CELLS = {name: CELLS[name] for name in ("postgresql-a", "postgresql-b-copy", "mariadb-e")}


class PostgreSQL:
    """A server, what must stay in it, and what a clone of it is made to do."""

    owner, tables = postgres.USER, ["still"]

    def __init__(self, cell, user, data_dir):
        self.user = user
        self.server = cell.make_postgresql(data_dir, user)
        self.server.sql(f"CREATE TABLE still AS SELECT i, md5(i::text) AS v FROM generate_series(1, {ROWS}) i")

    def add_to(self, daemon, **settings):
        daemon.add_server("main", self.server, **settings)

    @contextlib.contextmanager
    def load(self):
        with Pgbench(self.server, clients=4), Acked(self.server) as ids:
            yield ids

    def content(self):
        """All that nobody changes, and that nothing of a clone's is there."""
        assert self.server.value("SELECT count(*) FROM pg_class WHERE relname LIKE 'own%%'") == 0
        return [self.server.sql(f"SELECT * FROM {table} ORDER BY i") for table in self.tables]

    def write_to(self, clone):
        """Into every table, into new ones, and all through its WAL."""
        for table in self.tables:
            ask(clone, f"UPDATE {table} SET v = 'clone'; DELETE FROM {table} WHERE i % 2 = 0; CREATE TABLE own_{table} AS "
                "SELECT 1; CHECKPOINT; UPDATE pgbench_accounts SET abalance = 0", self.user)
            assert ask(clone, f"SELECT count(*), count(*) FILTER (WHERE v = 'clone') FROM {table}", self.user) == \
                f"{ROWS // 2}|{ROWS // 2}"
        ask(clone, "DELETE FROM acked; CHECKPOINT;" + "SELECT pg_switch_wal(), pg_logical_emit_message(true, 'x', 'x');" * 4,
            self.user)

    def compute(self, clone):
        """A query that does not end, nor looks whether its server has."""
        sql = "SELECT sum(a * 1.0 / b) FROM generate_series(1, 1000000) a, generate_series(1, 1000) b"
        query = subprocess.Popen(["runuser", "-u", self.user, "--", "sh", "-c", f"{clone['Connect']} -c '{sql}'"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT sum%' AND state = 'active'"
        eventually(lambda: ask(clone, active, self.user) == "1", 30, "a query")
        return query

    def check(self, ids):
        assert not ids.missing(self.server, ids.acked())
        check_sums(self.server)
        self.server.amcheck()


class Apart(PostgreSQL):
    """With pg_wal and a tablespace on subvolumes of their own: as links of its clone's they would be written through."""

    tables = ["still", "far"]

    def __init__(self, cell, user, data_dir):
        super().__init__(cell, user, data_dir)
        move_wal(self.server, cell.disk.subvolume("wal", user))
        add_space(self.server, cell.disk.subvolume("space", user))
        self.server.sql(f"CREATE TABLE far TABLESPACE far AS SELECT i, md5(i::text) AS v FROM generate_series(1, {ROWS}) i")


class MariaDB:
    """With tables without transactions, but where the server stands still for the cut of a user's own."""

    owner, tables = mariadb.USER, ["t_InnoDB", "t_MyISAM", "t_Aria"]

    def __init__(self, cell, user, data_dir):
        self.user = user
        self.server = cell.make_mariadb(data_dir, user, **self.settings(cell))
        mariadb_load.create(self.server, plain=True)
        for table in self.tables:
            self.server.sql(f"CREATE TABLE shop.{table} (i INT PRIMARY KEY, v CHAR(32)) ENGINE={table[2:]} AS "
                            f"SELECT seq AS i, MD5(seq) AS v FROM shop.seq_1_to_{ROWS}")

    def settings(self, _):
        return {}

    def add_to(self, daemon, **settings):
        daemon.add_mariadb("main", self.server, **settings)

    @contextlib.contextmanager
    def load(self):
        with mariadb_load.Load(self.server) as load:
            yield load

    def content(self):
        assert self.server.value("SELECT COUNT(*) FROM information_schema.tables WHERE table_name LIKE 'own%%'") == 0
        oldest, *_ = self.server.sql("SHOW BINARY LOGS")
        return [oldest[0], *(self.server.sql(f"SELECT * FROM shop.{table} ORDER BY i") for table in self.tables)]

    def ask(self, clone, sql):
        return ask(clone, sql, self.user, "--batch --skip-column-names shop")

    def write_to(self, clone):
        """Into every table and into new ones, and its binary log is ended and purged."""
        for table in self.tables:
            self.ask(clone, f"UPDATE {table} SET v = 'clone'; DELETE FROM {table} WHERE i % 2 = 0;"
                     f"CREATE TABLE own_{table} ENGINE={table[2:]} AS SELECT 1 AS i")
            assert self.ask(clone, f"SELECT COUNT(*), SUM(v = 'clone') FROM {table}") == f"{ROWS // 2}\t{ROWS // 2}"
        self.ask(clone, f"DELETE FROM {mariadb_load.IDS}; FLUSH BINARY LOGS; FLUSH TABLES")
        self.purge(clone)

    def purge(self, clone):
        """Of its own binary log all but the newest."""
        newest = self.ask(clone, "SHOW BINARY LOGS").splitlines()[-1].split("\t")[0]
        self.ask(clone, f"PURGE BINARY LOGS TO '{newest}'")

    def compute(self, clone):
        """All of it is one process."""
        query = subprocess.Popen(["runuser", "-u", self.user, "--", "sh", "-c", clone["Connect"] + " -e 'SELECT SLEEP(3600)'"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        active = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
        eventually(lambda: self.ask(clone, active) == "1", 30, "a query")
        return query

    def check(self, load):
        mariadb_load.check_moment(self.server, load.acked(), load.acked())
        mariadb_load.check_sums(self.server)
        self.server.check()


class Copied(MariaDB):
    """By mariadb-backup, with a binary log that lies elsewhere: a clone has none."""

    def settings(self, cell):
        if mariadb.program("mariadb-backup") is None:
            pytest.skip("needs mariadb-backup")
        return {"log_bin": os.path.join(cell.disk.subvolume("log", self.user), "mysql-bin")}

    def purge(self, clone):
        """It has nothing to purge, nor to write to."""
        assert self.ask(clone, "SELECT @@log_bin") == "0"


SOURCES = {each.__name__: each for each in (PostgreSQL, Apart, MariaDB, Copied)}


class Cell:
    """Root's daemon, and the database's user's server."""

    def __init__(self, request, name):
        self.request = request
        source, kind, self.procedure = CELLS[name]
        self.disk = request.getfixturevalue("make_disk")(kind, "3G")
        self.daemon = self.make_daemon(quota=QUOTA)
        self.source = SOURCES[source](self, *self.place(SOURCES[source].owner))
        self.source.add_to(self.daemon, **self.settings())
        self.daemon.start()

    def make_daemon(self, **settings):
        return self.request.getfixturevalue("make_daemon")(**settings)

    def place(self, user):
        """Who runs the server, and its data directory."""
        return user, self.disk.subvolume("data", user)

    def settings(self):
        return {"snapshot_dir": self.disk.path(".dbsnap", "main"), "min_free": "0%"}

    def make_postgresql(self, data_dir, _):
        return self.request.getfixturevalue("make_server")(data_dir)

    def make_mariadb(self, data_dir, user, **settings):
        return self.request.getfixturevalue("make_mariadb")(data_dir, user=user, **settings)

    def create(self):
        backup = self.daemon.api.create_and_wait("main", timeout=120)
        assert backup["Dbsnap"]["Procedure"] == self.procedure, backup
        return backup

    def create_stopped(self):
        """Of a server that was killed under load."""
        with self.source.load() as load:
            load.wait_more(100)
        self.source.server.kill()
        # What was found out of it while it ran is of no use.
        checked = self.daemon.client("cluster", "check", "main")
        assert checked.returncode == 0, checked
        try:
            return self.create()
        finally:
            self.source.server.start()


class OwnCell(Cell):
    """All of it carol's."""

    def make_daemon(self, **settings):
        self.carol = self.request.getfixturevalue("carol")
        return self.request.getfixturevalue("make_own_daemon")(**settings)

    def place(self, _):
        self.carol.folder(self.disk.path("home"))
        return self.carol.name, self.disk.subvolume("home/data", self.carol.name)

    def settings(self):
        return {"min_free": "0%"}

    def make_postgresql(self, data_dir, user):
        server = postgres.Server(data_dir, self.carol.folder(f"{self.carol.home}/pg"), user=user)
        self.request.addfinalizer(server.close)
        server.create(self.request.getfixturevalue("pg_template"))
        server.start()
        server.sql(f"CREATE ROLE {user} SUPERUSER LOGIN")   # as if by her own initdb
        return server

    def make_mariadb(self, data_dir, user, **settings):
        server = super().make_mariadb(data_dir, user, **settings)
        server.sql(f"CREATE USER {user}@localhost IDENTIFIED VIA unix_socket")
        server.sql(f"GRANT ALL ON *.* TO {user}@localhost")
        return server


def crash(daemon, clone):
    """SIGKILL of its server; the record says so once all of its processes are gone."""
    Pid(servers()[clone["ClonePath"]]).kill()
    ended = eventually(lambda: (c := daemon.api.clone("main", "c1"))["Running"] == "false" and c, 30, "its end seen")
    assert "signal 9" in ended["Cause"] and ended["State"] == "Available"
    assert inside(clone["ClonePath"]) == 0


def stand_beside(cell):
    source, server, daemon = cell.source, cell.source.server, cell.daemon
    before = source.content()
    backup = cell.create_stopped() if cell.procedure == "G" else None
    with source.load() as ids:
        ids.wait_more(100)
        backup = backup or cell.create()
        clone = start(daemon, backup)
        assert clone["SocketDir"] == clone["ClonePath"] and "Cause" not in clone
        source.write_to(clone)
        query = source.compute(clone)
        ids.wait_more(100)
        crash(daemon, clone)
        assert query.wait(30) != 0
        ids.wait_more(100)
        assert source.content() == before
    # What it would miss of its log it would miss only now.
    server.kill()
    server.start()
    assert source.content() == before
    source.check(ids)
    # It is not started again by itself, and goes like any other.
    daemon.api.ok("DeleteClone", CloneName="c1")
    gone(daemon, clone)
    invariants.check(daemon, cell.disk)


@pytest.mark.parametrize("name", CELLS)
def test_beside_its_busy_source(request, name):
    stand_beside(Cell(request, name))


@pytest.mark.parametrize("name", OWN_CELLS)
def test_of_an_ordinary_user_beside_its_busy_source(request, name):
    stand_beside(OwnCell(request, name))
