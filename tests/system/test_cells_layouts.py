# SPDX-License-Identifier: GPL-3.0-or-later
"""Which procedure cuts what, and which layout is refused by which backend: each of them in turn, with a server that runs
and without. A refusal says why, and has a remedy."""
import os
import shutil

import pytest

from harness import mariadb, postgres
from harness.disk import run
from harness.driver import Driver, Refused

from test_mariadb import MOVED
from test_postgresql_c import add_space, move_wal

BACKENDS = ("auto", "btrfs", "reflink", "copy")

# Why not.
PLAIN = "is a plain folder on btrfs, not a subvolume"
NO_BTRFS = ", not on btrfs"
NOT_SHARED = "shares no blocks between files"
FAR_SPACE = "lies on another file system than data_dir"
STOPPED_WAL = "no server runs, and pg_wal is a link"
STOPPED_SPACE = "no server runs, and there is a tablespace"
LINK = "pg_wal is a link to"
BINLOG = "the binary log lies outside the data directory"
REDO = "the redo log lies outside the data directory"
NO_REDO = "no server tells where the redo log is"
TABLE = "by a link (DATA DIRECTORY)"

# (of data_dir, of pg_wal, of a tablespace): where it lies, None: in data_dir; "sub": a subvolume of the btrfs.
# By each of BACKENDS, while the server runs; and when it does not.
POSTGRESQL = [
    (("sub", None, None), ("A", "A", "B", "B"), ("G", "G", "G", "G")),
    (("btrfs", None, None), ("B", PLAIN, "B", "B"), ("G", PLAIN, "G", "G")),
    (("sub", "sub", "sub"), ("C", "C", "B", "B"), (STOPPED_WAL, LINK, STOPPED_WAL, STOPPED_WAL)),
    (("sub", "ext4", None), ("C", "C", "B", "B"), (STOPPED_WAL, LINK, STOPPED_WAL, STOPPED_WAL)),
    (("sub", None, "btrfs"), ("B", PLAIN, "B", "B"), None),
    (("sub", None, "ext4"), ("B", FAR_SPACE, FAR_SPACE, "B"), None),
    (("btrfs", "sub", None), ("B", PLAIN, "B", "B"), None),
    (("xfs", None, None), ("B", NO_BTRFS, "B", "B"), ("G", NO_BTRFS, "G", "G")),
    (("xfs", "ext4", "xfs"), ("B", NO_BTRFS, "B", "B"), None),
    (("xfs", None, "sub"), ("B", NO_BTRFS, FAR_SPACE, "B"), (STOPPED_SPACE, NO_BTRFS, STOPPED_SPACE, STOPPED_SPACE)),
    (("ext4", None, None), ("B", NO_BTRFS, NOT_SHARED, "B"), ("G", NO_BTRFS, NOT_SHARED, "G")),
    (("ext4", None, "sub"), ("B", NO_BTRFS, NOT_SHARED, "B"), None),
]

# Of data_dir; then, of a server that runs: all in it, a table elsewhere, the binary log, the redo log; and of one that
# does not: all in it, the redo log elsewhere.
MARIADB = {
    "sub": (("D", "D", "E", "F"), (TABLE, TABLE, TABLE, TABLE), ("F", BINLOG, BINLOG, "F"), (REDO, REDO, REDO, REDO),
            ("G", "G", "G", "G"), (NO_REDO, NO_REDO, NO_REDO, NO_REDO)),
    "btrfs": (("E", PLAIN, "E", "F"), (TABLE, PLAIN, TABLE, TABLE), ("F", PLAIN, BINLOG, "F"), (REDO, PLAIN, REDO, REDO),
              ("G", PLAIN, "G", "G"), (NO_REDO, PLAIN, NO_REDO, NO_REDO)),
    "xfs": (("E", NO_BTRFS, "E", "F"), (TABLE, NO_BTRFS, TABLE, TABLE), ("F", NO_BTRFS, BINLOG, "F"),
            (REDO, NO_BTRFS, REDO, REDO), ("G", NO_BTRFS, "G", "G"), (NO_REDO, NO_BTRFS, NO_REDO, NO_REDO)),
    "ext4": (("F", NO_BTRFS, NOT_SHARED, "F"), (TABLE, NO_BTRFS, NOT_SHARED, TABLE), ("F", NO_BTRFS, NOT_SHARED, "F"),
             (REDO, NO_BTRFS, NOT_SHARED, REDO), ("G", NO_BTRFS, NOT_SHARED, "G"), (NO_REDO, NO_BTRFS, NOT_SHARED, NO_REDO)),
}


class Places:
    """Folders and subvolumes on three disks."""

    def __init__(self, make_disk, user):
        self.disks = {kind: make_disk(kind, "3G") for kind in ("btrfs", "xfs", "ext4")}
        self.user = user
        self.count = 0

    def make(self, where):
        self.count += 1
        name = f"d{self.count}"
        if where == "sub":
            return self.disks["btrfs"].subvolume(name, self.user)
        path = self.disks[where].path(name)
        os.mkdir(path, 0o700)
        shutil.chown(path, self.user, self.user)
        return path


@pytest.fixture
def compare(programs):
    """compare(database, user, server, wanted, about): what each backend says of it."""
    def ask(database, user, server, wanted, about):
        for backend, want in zip(BACKENDS, wanted):
            try:
                said = Driver(programs, user=user, backend=backend, type=database).check(server.data_dir, server.conninfo)
            except Refused as refused:
                assert want in refused.cause and len(want) > 1, (about, backend, refused.cause)
                assert refused.remedy, (about, backend, refused.cause)
            else:
                assert said["procedure"] == want, (about, backend)
    return ask


def test_postgresql(make_disk, make_server, compare):
    places = Places(make_disk, postgres.USER)
    for layout, running, stopped in POSTGRESQL:
        data_dir, wal, space = layout
        server = make_server(places.make(data_dir))
        if wal:
            move_wal(server, places.make(wal))
        if space:
            add_space(server, places.make(space))
        compare("postgresql", postgres.USER, server, running, layout)
        server.stop()
        if stopped:
            compare("postgresql", postgres.USER, server, stopped, (layout, "stopped"))


@pytest.mark.skipif(mariadb.program("mariadb-backup") is None, reason="needs mariadb-backup")
def test_mariadb(make_disk, make_mariadb, compare):
    places = Places(make_disk, mariadb.USER)
    for where, wanted in MARIADB.items():
        server, other = make_mariadb(places.make(where)), places.make(where)

        def look(number, about):
            compare("mariadb", mariadb.USER, server, wanted[number], (where, about))
        look(0, "all in it")
        server.sql("CREATE DATABASE shop")
        server.sql(f"CREATE TABLE shop.far (i INT) ENGINE=InnoDB DATA DIRECTORY='{other}'")
        look(1, "a table elsewhere")
        server.sql("DROP TABLE shop.far")
        server.stop()
        look(4, "all in it, stopped")
        mariadb.configure(server, log_bin=other + "/bin")
        server.start()
        look(2, "the binary log elsewhere")
        server.stop()
        for name in MOVED["redo"]:
            run("mv", f"{server.data_dir}/{name}", other)
        mariadb.configure(server, innodb_log_group_home_dir=other)
        server.start()
        look(3, "the redo log elsewhere")
        server.stop()
        look(5, "the redo log elsewhere, stopped")
