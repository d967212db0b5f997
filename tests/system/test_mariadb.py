# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB on btrfs through the real daemon: cut under load, cloned beside its busy source, refused where it has to be.

DBSNAP_CUTS: cuts of a cell (8).
"""
import os

import pytest

from harness import invariants
from harness.mariadb import USER
from harness.mariadb_load import Load, check_moment, check_sums, create

CUTS = int(os.environ.get("DBSNAP_CUTS", "8"))
QUOTA = {"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**6}


class Cell:
    """A server on a btrfs disk and a daemon with the cluster `main` for it."""

    def __init__(self, disk, server, daemon, database=None):
        self.disk, self.server, self.daemon = disk, server, daemon
        daemon.add_mariadb("main", server, database, min_free="0%")
        daemon.start()
        self.api = daemon.api

    def check(self):
        """dbsnap cluster check main: (exit status, what it says)."""
        done = self.daemon.client("cluster", "check", "main")
        return done.returncode, done.stdout + done.stderr

    def create(self):
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
    cell = make_cell()
    create(cell.server, plain)
    cuts = []
    with Load(cell.server, plain) as load:
        for number in range(CUTS):
            load.wait_more(50)
            must = load.acked()
            backup = cell.create()
            cuts.append((backup, must, load.acked()))
        for number, (backup, must, most) in enumerate(cuts):
            assert backup["Dbsnap"]["Procedure"] == "D" and backup["Dbsnap"]["Promise"] == "atomic"
            assert (float(backup["Dbsnap"]["FreezeMs"]) > 0) == plain
            clone = start_mariadb_clone(cell.clone(backup, f"c{number}"))
            check_moment(clone, must, most)
            check_sums(clone)
            clone.check()
            clone.stop()
            cell.api.ok("DeleteClone", DBClusterId="main", CloneName=f"c{number}")
    cell.server.check()
    invariants.check(cell.daemon, cell.disk)
