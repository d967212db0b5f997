# SPDX-License-Identifier: GPL-3.0-or-later
"""A hot standby as the source: one snapshot, a snapshot of each part, or walked, while its primary is under load.

Its pg_control names a position that lags what it has shown: a clone has to have what a reader had seen.
DBSNAP_CUTS: cuts of each (8).
"""
import os
import shutil
import time

import pytest

from harness.disk import run
from harness.driver import Driver, Refused
from harness.inject import Inject
from harness.load import Acked, Pgbench, check_sums
from harness.postgres import USER, Server, tool
from harness.process import eventually
from harness.tally import Tally
from test_cells import CUTS, lsn

# (procedure, file system, backend)
CELLS = [("A", "btrfs", "btrfs"), ("B", "xfs", "reflink"), ("B", "ext4", "copy"), ("C", "btrfs", "btrfs")]


@pytest.fixture(params=CELLS, ids=lambda p: f"{p[0]}-{p[2]}".lower())
def cell(request):
    return request.param


@pytest.fixture
def disk(make_disk, cell):
    return make_disk(cell[1])


@pytest.fixture
def primary(make_server, disk):
    """With small segments of WAL: its end is in another than what the reader has seen."""
    primary = make_server(disk.subvolume("pg", USER), start=False)
    tool("pg_resetwal", "--wal-segsize=1", "-D", primary.data_dir)
    primary.start()
    return primary


@pytest.fixture
def standby(primary, disk, cell):
    """For C with pg_wal elsewhere."""
    standby = Server(disk.subvolume("standby", USER), primary.folder, sockets=primary.sockets + "b")
    tool("pg_basebackup", "-h", primary.sockets, "-U", USER, "-D", standby.data_dir, "-R", "-c", "fast")
    standby.configure(f"unix_socket_directories = '{standby.sockets}'\n")
    standby.log = os.path.join(standby.sockets, "log")
    if cell[0] == "C":
        wal = disk.subvolume("wal", USER)
        run("cp", "-a", standby.data_dir + "/pg_wal/.", wal)
        run("rm", "-r", standby.data_dir + "/pg_wal")
        os.symlink(wal, standby.data_dir + "/pg_wal")
    standby.start()
    yield standby
    standby.close()


@pytest.fixture
def driver(programs, cell):
    return Driver(programs, backend=cell[2])


def shown(standby):
    return {row[0] for row in standby.sql("SELECT id FROM acked")}


class Cut:
    """What the standby's readers had seen of the ids when it was cut: at its beginning if it is one moment, else at its end."""

    def __init__(self, driver, standby, ids, folder, procedure, restartpoint):
        os.mkdir(folder, 0o700)
        self.driver, self.folder, self.standby, self.ids = driver, folder, standby, ids
        held = driver.held_cut(standby.data_dir, standby.conninfo, folder)
        if procedure == "A":
            self.see_all()
        self.cut(held, procedure != "A", restartpoint)
        if procedure != "A":
            self.see_all()
        self.answer = held.end()
        assert self.answer["procedure"] == procedure

    def cut(self, held, slow, restartpoint):
        """A walk of some seconds, a restartpoint in every other."""
        with Inject(held.process.pid, "utimensat", "delay_enter=2000"):
            begun = time.monotonic()
            held.step()
            if slow and restartpoint:
                self.ids.wait_more(300)
            if restartpoint:
                self.standby.sql("CHECKPOINT")
            held.wait("at: after")
            self.ms = 1000 * (time.monotonic() - begun)

    def see_all(self):
        for _ in range(5):
            self.ids.server.sql("SELECT pg_switch_wal(), pg_logical_emit_message(true, 'x', 'x')")
        self.ids.wait_more(50)
        target = self.ids.server.value("SELECT pg_current_wal_flush_lsn()")
        eventually(lambda: lsn(self.standby.value("SELECT pg_last_wal_replay_lsn()")) >= lsn(target))
        self.seen = shown(self.standby)

    def check(self, clones, start_clone):
        self.driver.clone(self.folder + "/data", clones, "c")
        try:
            clone = start_clone(os.path.join(clones, "c"))
            try:
                self.check_server(clone)
            finally:
                clone.close()
            clone.checksums()
        finally:
            self.driver.destroy(clones, "c")
            self.driver.destroy(self.folder, "data")
            shutil.rmtree(self.folder)

    def check_server(self, clone):
        assert clone.value("SELECT pg_is_in_recovery()") is False
        missing = self.seen - shown(clone)
        assert not missing, f"{len(missing)} ids that the standby had shown"
        check_sums(clone)
        clone.amcheck()
        assert lsn(clone.value("SELECT pg_current_wal_lsn()")) >= lsn(self.answer["floor"])
        clone.stop()


def test_standby_under_load(primary, standby, driver, disk, start_clone, cell):
    procedure, _, backend = cell
    tally = Tally(f"postgresql-standby-{procedure}-{backend}".lower())
    os.mkdir(disk.path("clones"), 0o711)
    with Pgbench(primary, clients=4), Acked(primary) as ids:
        eventually(lambda: standby.value("SELECT count(*) FROM pg_class WHERE relname = 'acked'") == 1)
        for number in range(CUTS):
            cut = tally.attempt(number, Cut, driver, standby, ids, disk.path(f"cut{number}"), procedure, number % 2)
            if cut and tally.attempt(number, lambda cut=cut: cut.check(disk.path("clones"), start_clone) or True):
                tally.good(number, cut.ms)
    tally.end()


@pytest.mark.parametrize("cell", CELLS[1:], indirect=True, ids=lambda p: f"{p[0]}-{p[2]}".lower())
def test_promoted_meanwhile(standby, driver, disk):
    """What it began as a standby it does not end as a primary."""
    os.mkdir(disk.path("cut"), 0o700)
    held = driver.held_cut(standby.data_dir, standby.conninfo, disk.path("cut"))
    held.cut()
    standby.sql("SELECT pg_promote()")
    with pytest.raises(Refused, match="promoted during online backup"):
        held.end()
