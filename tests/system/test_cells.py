# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL on btrfs, XFS and ext4, cut under load through the real daemon, `backend: auto`: slowed and held walks,
checkpoints and WAL without end meanwhile; every clone is started and looked through.

A fast walk over an idle server hides every fault: so walks are held where it hurts (steps.Pause), long enough
for the server to write out all pages and to use its WAL again. DBSNAP_CUTS: cuts of a cell (8), DBSNAP_SEED: which.
  DBSNAP_CUTS=200 tests/run-pytest system -k "test_cells and under_load"
"""
import concurrent.futures
import os
import random
import re
import shutil
import threading

import pytest

from harness import invariants
from harness.inject import Inject
from harness.load import Acked, Pgbench, check_sums
from harness.postgres import USER, tool
from harness.source import digest
from harness.steps import Pause
from harness.tally import Tally

CUTS = int(os.environ.get("DBSNAP_CUTS", "8"))
SEED = int(os.environ.get("DBSNAP_SEED", "1"))
BATCH = 8
QUOTA = {"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**6}

# WAL is used again after 32 of its small segments, pages are written as soon as they can be, and nothing
# writes commits out but what has to.
SETTINGS = """
shared_buffers = 4MB
bgwriter_delay = 10ms
bgwriter_lru_maxpages = 1000
bgwriter_lru_multiplier = 10
max_wal_size = 32MB
min_wal_size = 4MB
synchronous_commit = off
wal_writer_delay = 10s
wal_writer_flush_after = 1GB
"""
FLOOD = "SELECT pg_switch_wal(), pg_logical_emit_message(false, 'x', 'x') FROM generate_series(1, 40)"

# What is done to a cut, and where in its walk (0 to 1).
WALKED = [("plain", 0), ("slow", 0), ("checkpoint", 0.95), ("flood", 0.3), ("checkpoint", 0.25), ("flood", 0.9),
          ("checkpoint", 0.6), ("flood", 0.6)]
ATOMIC = [("plain", 0), ("late", 0), ("during", 0), ("checkpoint", 0), ("late", 0), ("flood", 0), ("during", 0),
          ("late", 0)]


class Cell:
    """A server on a disk and a daemon with the cluster `main` for it."""

    def __init__(self, disk, server, daemon, backend):
        self.disk, self.server, self.daemon, self.backend = disk, server, daemon, backend
        daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
        daemon.start()
        self.api = daemon.api
        self.names = 0  # that a walk comes to

    @property
    def promise(self):
        return "atomic" if self.backend == "btrfs" else "recovered"

    def create(self):
        return self.api.create("main")

    def finish(self, backup_id):
        item = self.api.wait_final("main", backup_id, 120)
        assert item["Dbsnap"]["State"] == "AVAILABLE", item
        # A second attempt would be no cut of what was going on.
        job, = self.api.ok("DescribeJobs", JobId=backup_id)["Items"]["Job"]
        assert job["Attempts"] == "1", self.daemon.log_text()
        assert item["Dbsnap"]["Backend"] == self.backend
        assert item["Dbsnap"]["Promise"] == self.promise
        return item

    def count_names(self, backup):
        """How many names there are, from what a walk has made of them."""
        data = os.path.join(backup["Dbsnap"]["Path"], "data")
        self.names = sum(len(folders) + (len(files) if os.path.basename(path) != "pg_wal" else 0)
                         for path, folders, files in os.walk(data))


class Cut:
    """One backup, and what its clone has to show."""

    def __init__(self, cell, ids, way, where):
        self.cell, self.way, self.where = cell, way, where
        self.late_row = None  # of which nobody but the daemon makes sure that it is flushed
        self.control = None  # a checkpoint that the image's pg_control must not be older than
        self.must = ids.acked()
        self.backup = getattr(self, way)(ids)
        self.most = ids.acked()

    def create(self):
        return self.cell.create()

    def plain(self, _):
        return self.cell.finish(self.create())

    def late(self, _):
        """All writers wait for a lock: else whoever of them writes out a page flushes the last commit as well."""
        server = self.cell.server
        server.sql("CREATE TABLE IF NOT EXISTS late (n serial)")
        holder = server.connect()
        holder.autocommit = False
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE acked, pgbench_history IN EXCLUSIVE MODE")
            server.sql("SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'x', 'x')")
            self.late_row = server.value("INSERT INTO late DEFAULT VALUES RETURNING n")
            backup = self.cell.finish(self.create())
        holder.close()
        return backup

    def during(self, _):
        """A checkpoint writes while it is cut."""
        thread = threading.Thread(target=self.cell.server.sql, args=("CHECKPOINT",))
        thread.start()
        backup = self.cell.finish(self.create())
        thread.join(60)
        return backup

    def slow(self, ids):
        """Three seconds or more, a checkpoint somewhere in it."""
        with Inject(self.cell.daemon.main.pid, "utimensat", "delay_enter=3000"):
            backup_id = self.create()
            ids.wait_more(300)
            self.cell.server.sql("CHECKPOINT")
            return self.cell.finish(backup_id)

    def held(self, ids, change):
        """Between the flush and the snapshot; or in the middle of the walk, in which each name gets its times."""
        walked = "utimensat", max(1, int(self.cell.names * self.where))
        with Pause(self.cell.daemon, *(("syncfs", 1) if self.cell.backend == "btrfs" else walked)) as pause:
            backup_id = self.create()
            pause.wait()
            ids.wait_more(300)
            change()
            ids.wait_more(50)
        return self.cell.finish(backup_id)

    def checkpoint(self, ids):
        return self.held(ids, self.write_all)

    def flood(self, ids):
        return self.held(ids, self.write_much)

    def write_all(self):
        self.cell.server.sql("CHECKPOINT")
        self.control = self.cell.server.value("SELECT checkpoint_lsn FROM pg_control_checkpoint()")

    def write_much(self):
        """More WAL than the server keeps, and it may use it again."""
        self.cell.server.sql(FLOOD)
        self.cell.server.sql("CHECKPOINT")
        self.write_all()

    def check(self, name, start_clone):
        """The clone starts, is the source at one moment between request and end, and is whole. Nothing of it stays."""
        path = self.cell.api.clone_and_wait("main", self.backup["BackupId"], name, 120)["ClonePath"]
        try:
            self.check_clone(path, start_clone)
        finally:
            self.cell.api.ok("DeleteClone", DBClusterId="main", CloneName=name)
            self.cell.api.delete_and_wait("main", self.backup["BackupId"])

    def check_clone(self, path, start_clone):
        control = tool("pg_controldata", "-D", path)
        clone = start_clone(path)
        try:
            self.check_server(clone)
        finally:
            clone.close()
        clone.checksums()
        if self.control and self.cell.promise == "recovered":
            seen = re.search(r"Latest checkpoint location: +(\S+)", control)[1]
            assert lsn(seen) >= lsn(self.control), "pg_control is older than the end of the walk"

    def check_server(self, clone):
        self.check_moment(clone)
        if self.late_row:
            assert clone.value("SELECT max(n) FROM late") == self.late_row, "the last commit is missing"
        check_sums(clone)
        clone.amcheck()
        clone.stop()

    def check_moment(self, clone):
        """Of each session's ids a beginning: all that was acknowledged before, at most one more than at the end."""
        rows = clone.sql("SELECT id / 1000000000, count(*), max(id % 1000000000) FROM acked GROUP BY 1")
        found = {int(session): (count, last) for session, count, last in rows}
        for session, least in per_session(self.must).items():
            count, last = found.get(session, (0, 0))
            assert last >= least, f"{least - last} acknowledged ids of session {session} are missing"
            assert count == last, f"{last - count} ids of session {session} are missing before others"
            assert last <= per_session(self.most)[session] + 1, "ids from after its end"


def per_session(ids):
    """{session: the last of its ids}"""
    last = {}
    for number in ids:
        session, n = divmod(number, 10**9)
        last[session] = max(last.get(session, 0), n)
    return last


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


@pytest.fixture
def make_cell(make_disk, make_server, make_daemon):
    """make_cell(kind, backend): its data on a disk of that kind, in small WAL segments: many are soon full."""
    def make(kind, backend, settings=SETTINGS, prepare=lambda disk, server: None, make=Cell):
        disk = make_disk(kind)
        server = make_server(disk.subvolume("pg", USER), start=False)
        tool("pg_resetwal", "--wal-segsize=1", "-D", server.data_dir)
        server.configure(settings)
        server.start()
        prepare(disk, server)
        return make(disk, server, make_daemon(quota=QUOTA), backend)
    return make


def plan(usual):
    chance = random.Random(SEED)
    more = [(way, where if isinstance(where, str) else chance.random())
            for way, where in chance.choices(usual, k=max(0, CUTS - len(usual)))]
    return (usual + more)[:CUTS]


def cut_and_check(cell, name, usual, start_clone, kind=Cut):
    """A few at a time, as disks are small; the name is the tally's."""
    tally, waiting = Tally(name), [(number, *each) for number, each in enumerate(plan(usual))]

    def check(number, cut):
        about = f"{number} of seed {SEED}, {cut.way} at {cut.where}"
        if tally.attempt(about, lambda: cut.check(f"c{number}", start_clone) or True):
            tally.good(about, cut.backup["Dbsnap"]["CutMs"], cut.backup["Dbsnap"]["FreezeMs"])

    while waiting:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        with Pgbench(cell.server, clients=4), Acked(cell.server, synchronous_commit="off") as ids:
            ids.wait_more(100)
            first = cell.finish(cell.create())
            cell.count_names(first)
            cuts = [(number, tally.attempt(f"{number} of seed {SEED}, {way} at {where}", kind, cell, ids, way, where))
                    for number, way, where in batch]
        cell.api.delete_and_wait("main", first["BackupId"])
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: check(*each), [each for each in cuts if each[1]]))
    tally.end()
    invariants.check(cell.daemon, cell.disk)


@pytest.mark.parametrize("kind, backend", [("xfs", "reflink"), ("ext4", "copy")])
def test_walked_under_load(make_cell, start_clone, kind, backend):
    cut_and_check(make_cell(kind, backend), f"postgresql-b-{backend}", WALKED, start_clone)


def test_snapshot_under_load(make_cell, start_clone):
    cut_and_check(make_cell("btrfs", "btrfs"), "postgresql-a", ATOMIC, start_clone)


class Still(Cell):
    promise = "stopped"


class Stopped(Cut):
    """Of a server that was killed, or stopped, under load."""

    def __init__(self, cell, end):
        self.cell, self.late_row, self.control = cell, None, None
        with Pgbench(cell.server, clients=4):
            ids = Acked(cell.server).start()
            ids.wait_more(200)
            getattr(cell.server, end)()
        ids.stop(expect_errors=True)
        self.must = self.most = ids.acked()
        try:
            self.backup = cell.finish(cell.create())
        finally:
            cell.server.start()
        assert self.backup["Dbsnap"]["Procedure"] == "G"


@pytest.mark.parametrize("kind, backend", [("btrfs", "btrfs"), ("xfs", "reflink"), ("ext4", "copy")])
def test_stopped_after_load(make_cell, start_clone, kind, backend):
    """A third of the cuts on each."""
    cell, tally = make_cell(kind, backend, make=Still), Tally(f"postgresql-g-{backend}")
    for number in range((CUTS + 2) // 3):
        end = ["kill", "stop"][number % 2]
        cut = tally.attempt(f"{number}, {end}", Stopped, cell, end)
        if cut and tally.attempt(f"{number}, {end}", lambda cut=cut: cut.check("c1", start_clone) or True):
            tally.good(f"{number}, {end}", cut.backup["Dbsnap"]["CutMs"])
    tally.end()
    invariants.check(cell.daemon, cell.disk)


def add_tablespace(disk, server):
    path = disk.path("space")
    os.mkdir(path, 0o700)
    shutil.chown(path, USER, USER)
    server.sql(f"CREATE TABLESPACE far LOCATION '{path}'")
    server.sql("CREATE TABLE in_far (i int PRIMARY KEY USING INDEX TABLESPACE far, v text) TABLESPACE far")
    server.sql("INSERT INTO in_far SELECT i, 'source' FROM generate_series(1, 3000) AS i")


# With a tablespace no single snapshot holds all of it: there btrfs shares blocks as XFS does.
@pytest.mark.parametrize("kind, backend, far", [("xfs", "reflink", True), ("ext4", "copy", True),
                                                ("btrfs", "btrfs", False), ("btrfs", "reflink", True)])
def test_clone_changes_nothing(make_cell, start_clone, kind, backend, far):
    """Written to everywhere and crashed, with the source stopped, so that every byte of it can be compared."""
    cell = make_cell(kind, backend, prepare=add_tablespace if far else lambda disk, server: None)
    server = cell.server
    server.sql("CREATE TABLE near AS SELECT i, 'source'::text AS v FROM generate_series(1, 3000) AS i")
    tables = ["near"] + (["in_far"] if far else [])
    backup = cell.finish(cell.api.create("main"))
    backup_path = backup["Dbsnap"]["Path"]
    clone_path = cell.api.clone_and_wait("main", backup["BackupId"], "c1", 120)["ClonePath"]
    server.stop()
    places = [server.data_dir, backup_path] + ([cell.disk.path("space")] if far else [])
    before = [digest(place) for place in places]
    write_and_crash(start_clone, clone_path, tables, far)
    assert [digest(place) for place in places] == before
    server.start()
    for table in tables:
        assert server.value(f"SELECT count(*) FROM {table} WHERE v = 'source'") == 3000
        server.sql(f"UPDATE {table} SET v = 'later'")
    server.sql("CHECKPOINT")
    server.amcheck()
    # A source changes nothing of a backup, and nothing of a clone.
    assert digest(backup_path) == before[1]
    clone = start_clone(clone_path)
    for table in tables:
        assert clone.sql(f"SELECT DISTINCT v FROM {table}") == [("clone again",)]
    clone.amcheck()
    clone.stop()
    clone.checksums()
    invariants.check(cell.daemon, cell.disk)


def write_and_crash(start_clone, path, tables, far):
    """Twice: the second start recovers what the first one had written."""
    for value in ("clone", "clone again"):
        clone = start_clone(path)
        for table in tables:
            clone.sql(f"UPDATE {table} SET v = %s", value)
        clone.sql("CHECKPOINT")
        for table in tables:
            clone.sql(f"CREATE TABLE IF NOT EXISTS more_{table} {'TABLESPACE far' if far else ''} AS TABLE {table}")
            clone.sql(f"UPDATE {table} SET v = %s", value)
        # Not all that was acknowledged is flushed, in this configuration.
        clone.sql("SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'x', 'x')")
        clone.kill()
