# SPDX-License-Identifier: GPL-3.0-or-later
"""A hot standby as the source, walked or cut part by part while its primary is under load.

Its pg_control names a position that lags what it has shown: a clone has to have what a reader had seen.
DBSNAP_CUTS: cuts of each (8).
"""
import os

import pytest

from harness.disk import run
from harness.driver import Driver, Refused
from harness.inject import Inject
from harness.load import Acked, Pgbench, check_sums
from harness.postgres import USER, Server, tool
from harness.process import eventually
from test_cells import CUTS, lsn


@pytest.fixture(params=[("xfs", "reflink"), ("ext4", "copy"), ("btrfs", "btrfs")], ids=lambda p: p[1])
def cell(request):
    return request.param


@pytest.fixture
def disk(make_disk, cell):
    return make_disk(cell[0])


@pytest.fixture
def primary(make_server, disk):
    """With small segments of WAL: its end is in another than what the reader has seen."""
    primary = make_server(disk.subvolume("pg", USER), start=False)
    tool("pg_resetwal", "--wal-segsize=1", "-D", primary.data_dir)
    primary.start()
    return primary


@pytest.fixture
def standby(primary, disk, cell):
    """With pg_wal elsewhere, where all of it would be one snapshot."""
    standby = Server(disk.subvolume("standby", USER), primary.folder, sockets=primary.sockets + "b")
    tool("pg_basebackup", "-h", primary.sockets, "-U", USER, "-D", standby.data_dir, "-R", "-c", "fast")
    standby.configure(f"unix_socket_directories = '{standby.sockets}'\n")
    standby.log = os.path.join(standby.sockets, "log")
    if cell[1] == "btrfs":
        wal = disk.subvolume("wal", USER)
        run("cp", "-a", standby.data_dir + "/pg_wal/.", wal)
        run("rm", "-r", standby.data_dir + "/pg_wal")
        os.symlink(wal, standby.data_dir + "/pg_wal")
    standby.start()
    yield standby
    standby.close()


@pytest.fixture
def driver(programs, cell):
    return Driver(programs, backend=cell[1])


def shown(standby):
    return {row[0] for row in standby.sql("SELECT id FROM acked")}


def cut_once(driver, standby, ids, folder, number):
    """A walk of some seconds, a restartpoint in every other; what had been shown when it ended."""
    os.mkdir(folder, 0o700)
    held = driver.held_cut(standby.data_dir, standby.conninfo, folder)
    with Inject(held.process.pid, "utimensat", "delay_enter=2000"):
        held.step()
        if number % 2:
            ids.wait_more(300)
            standby.sql("CHECKPOINT")
        held.wait("at: after")
    for _ in range(5):
        ids.server.sql("SELECT pg_switch_wal(), pg_logical_emit_message(true, 'x', 'x')")
    ids.wait_more(50)
    target = ids.server.value("SELECT pg_current_wal_flush_lsn()")
    eventually(lambda: lsn(standby.value("SELECT pg_last_wal_replay_lsn()")) >= lsn(target))
    seen = shown(standby)
    return held.end(), seen


def test_standby_under_load(primary, standby, driver, disk, start_clone):
    os.mkdir(disk.path("clones"), 0o711)
    with Pgbench(primary, clients=4), Acked(primary) as ids:
        eventually(lambda: standby.value("SELECT count(*) FROM pg_class WHERE relname = 'acked'") == 1)
        for number in range(CUTS):
            answer, seen = cut_once(driver, standby, ids, disk.path(f"cut{number}"), number)
            assert answer["procedure"] == ("C" if disk.kind == "btrfs" else "B")
            driver.clone(disk.path(f"cut{number}", "data"), disk.path("clones"), f"c{number}")
            clone = start_clone(disk.path("clones", f"c{number}"))
            assert clone.value("SELECT pg_is_in_recovery()") is False
            missing = seen - shown(clone)
            assert not missing, f"cut {number}: {len(missing)} ids that the standby had shown"
            check_sums(clone)
            clone.amcheck()
            assert lsn(clone.value("SELECT pg_current_wal_lsn()")) >= lsn(answer["floor"])
            clone.stop()
            clone.checksums()
            for path in ("clones", f"c{number}"), (f"cut{number}", "data"):
                driver.destroy(disk.path(*path[:-1]), path[-1])


def test_promoted_meanwhile(standby, driver, disk):
    """What it began as a standby it does not end as a primary."""
    os.mkdir(disk.path("cut"), 0o700)
    held = driver.held_cut(standby.data_dir, standby.conninfo, disk.path("cut"))
    held.cut()
    standby.sql("SELECT pg_promote()")
    with pytest.raises(Refused, match="promoted during online backup"):
        held.end()
