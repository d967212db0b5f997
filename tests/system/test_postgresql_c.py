# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedure C: PostgreSQL on several subvolumes of one btrfs, a snapshot of each within the server's own backup.

DBSNAP_CUTS, DBSNAP_SEED: as in test_cells.
"""
import json
import os
import re
import shutil

import pytest

from harness import invariants
from harness.disk import run
from harness.driver import Driver, Refused
from harness.inject import Inject
from harness.load import Acked
from harness.postgres import USER, tool
from harness.process import eventually
from harness.source import digest
from harness.steps import CHANGES, Pause, Strike
from test_cells import QUOTA, SETTINGS, Cell, Cut, cut_and_check, write_and_crash
from test_invariants_steps import Jobs, strike_each


def move_wal(server, path):
    """pg_wal becomes a link to path, which is a subvolume."""
    server.stop()
    run("cp", "-a", server.data_dir + "/pg_wal/.", path)
    shutil.rmtree(server.data_dir + "/pg_wal")
    os.symlink(path, server.data_dir + "/pg_wal")
    server.start()


def add_space(server, path, name="far"):
    """A tablespace there with a table in it; its oid."""
    server.sql(f"CREATE TABLESPACE {name} LOCATION '{path}'")
    server.sql(f"CREATE TABLE in_{name} (i int PRIMARY KEY USING INDEX TABLESPACE {name}, v text) TABLESPACE {name}")
    server.sql(f"INSERT INTO in_{name} SELECT i, 'source' FROM generate_series(1, 3000) AS i")
    return server.value("SELECT oid FROM pg_tablespace WHERE spcname = %s", name)


def links(path):
    return [os.path.join(folder, n) for folder, folders, files in os.walk(path)
            for n in folders + files if os.path.islink(os.path.join(folder, n))]


def allocated(path):
    """Bytes of all files."""
    return sum(os.lstat(os.path.join(folder, n)).st_blocks * 512 for folder, _, files in os.walk(path) for n in files)


@pytest.fixture(params=["both", "wal", "tablespace"])
def parts(request):
    return request.param


@pytest.fixture
def server(btrfs, make_server, parts):
    """What lies on subvolumes of their own: pg_wal, a tablespace, or both."""
    server = make_server(btrfs.subvolume("pg", USER), start=False)
    tool("pg_resetwal", "--wal-segsize=1", "-D", server.data_dir)
    server.configure(SETTINGS)
    server.start()
    if parts != "tablespace":
        move_wal(server, btrfs.subvolume("wal", USER))
    server.oid = add_space(server, btrfs.subvolume("space", USER)) if parts != "wal" else None
    return server


class Apart(Cell):
    promise = "recovered"
    snapshot = None  # the number of the worker's ioctl that makes the last snapshot

    def count_names(self, backup):
        assert backup["Dbsnap"]["Procedure"] == "C"
        trace = os.path.join(self.server.folder, "trace")
        with Inject.nothing(self.daemon.main.pid, "ioctl", trace):
            traced = self.finish(self.create())
        self.api.delete_and_wait("main", traced["BackupId"])
        with open(trace, encoding="utf-8") as file:
            lines = [line.split(None, 1) for line in file]
        worker = next(pid for pid, line in lines if "SNAP_CREATE" in line)
        own = [line for pid, line in lines if pid == worker and line.startswith("ioctl(")]
        assert sum("SNAP_CREATE" in line for line in own) == 2, own
        self.snapshot = max(n for n, line in enumerate(own, 1) if "SNAP_CREATE" in line)


class ApartCut(Cut):
    """`where`: before the first snapshot, between two, or after the end of the server's backup."""

    def held(self, ids, change):
        call = {"begin": ("mkdirat", 2), "between": ("ioctl", self.cell.snapshot), "end": ("mkdirat", 3)}[self.where]
        with Pause(self.cell.daemon, *call) as pause:
            backup_id = self.create()
            pause.wait()
            there = os.listdir(self.cell.disk.path(".dbsnap", "main", "." + backup_id))
            assert ("tblspc" in there, "data" in there) == {
                "begin": (False, False), "between": (True, False), "end": (True, True)}[self.where]
            ids.wait_more(300)
            change()
            ids.wait_more(50)
        if self.where == "end":
            self.control = None
        return self.cell.finish(backup_id)


CUTS = [("plain", 0), ("checkpoint", "between"), ("flood", "begin"), ("checkpoint", "begin"), ("flood", "between"),
        ("flood", "end"), ("checkpoint", "between"), ("flood", "between")]


@pytest.fixture
def cell(btrfs, server, make_daemon):
    return Apart(btrfs, server, make_daemon(quota=QUOTA), "btrfs")


@pytest.mark.parametrize("parts", ["both"], indirect=True)
def test_apart_under_load(cell, server, start_clone):
    """The tables of one half of the load lie in the tablespace, ids and catalogue in the data directory."""
    server.sql("CREATE TABLE acked (id bigint PRIMARY KEY, t timestamptz DEFAULT clock_timestamp())")
    server.sql("ALTER SYSTEM SET default_tablespace = far")
    server.sql("SELECT pg_reload_conf()")
    eventually(lambda: server.value("SHOW default_tablespace") == "far")
    cut_and_check(cell, "postgresql-c", CUTS, start_clone, ApartCut)


def test_clone_changes_nothing(cell, server, start_clone, parts, btrfs):
    """Written to everywhere and crashed, with the source stopped, so that every byte of it can be compared."""
    server.sql("CREATE TABLE near AS SELECT i, 'source'::text AS v FROM generate_series(1, 3000) AS i")
    tables = ["near"] + (["in_far"] if server.oid else [])
    backup = cell.finish(cell.create())
    path = backup["Dbsnap"]["Path"]
    clone_path = cell.api.clone_and_wait("main", backup["BackupId"], "c1", 120)["ClonePath"]
    server.stop()
    places = [server.data_dir, path] + [btrfs.path(p) for p in ("wal", "space") if os.path.exists(btrfs.path(p))]
    before = [digest(place) for place in places]
    write_and_crash(start_clone, clone_path, tables, bool(server.oid))
    assert [digest(place) for place in places] == before
    server.start()
    for table in tables:
        assert server.value(f"SELECT count(*) FROM {table} WHERE v = 'source'") == 3000
        server.sql(f"UPDATE {table} SET v = 'later'")
    server.sql("CHECKPOINT")
    server.amcheck()
    assert digest(path) == before[1]
    clone = start_clone(clone_path)
    for table in tables:
        assert clone.sql(f"SELECT DISTINCT v FROM {table}") == [("clone again",)]
    clone.amcheck()
    clone.stop()
    clone.checksums()
    invariants.check(cell.daemon, btrfs, servers=[server])


@pytest.mark.parametrize("parts", ["tablespace", "both"], indirect=True)
def test_clone_beside_its_busy_source(cell, server, start_clone):
    """The source is written to and crashed while a clone is: neither has what is the other's."""
    with Acked(server) as ids:
        ids.wait_more(100)
        backup = cell.finish(cell.create())
        clone = start_clone(cell.api.clone_and_wait("main", backup["BackupId"], "c1", 120)["ClonePath"])
        clone.sql("UPDATE in_far SET v = 'clone'")
        clone.sql("DELETE FROM acked")
        for _ in range(20):
            clone.sql("SELECT pg_switch_wal(), pg_logical_emit_message(true, 'x', 'x')")
        clone.sql("CHECKPOINT")
        clone.kill()
        ids.wait_more(100)
    server.kill()
    server.start()
    assert not ids.missing(server, ids.acked())
    assert server.sql("SELECT DISTINCT v FROM in_far") == [("source",)]
    server.amcheck()
    server.stop()
    server.checksums()


def test_whole_life(cell, server, parts, btrfs):
    """What lies in the backup, what its manifest says of it, and that nothing of it stays."""
    backup = cell.finish(cell.create())
    path = backup["Dbsnap"]["Path"]
    assert backup["Dbsnap"]["Procedure"] == "C"
    spaces = ["tblspc"] if server.oid else []
    assert sorted(os.listdir(path)) == ["data", "intent", "manifest.json", *spaces, "wal"]
    with open(os.path.join(path, "manifest.json"), encoding="ascii") as file:
        manifest = json.load(file)
    sources = {p["role"]: p["source_uuid"] for p in manifest["parts"] if p["source_uuid"]}
    assert set(sources) == {p["role"] for p in manifest["parts"]}
    assert len(set(sources.values())) == {"both": 3, "wal": 2, "tablespace": 2}[parts], sources
    with open(os.path.join(path, "data", "backup_label"), encoding="ascii") as file:
        label = file.read()
    start, = re.findall(r"START WAL LOCATION: .* \(file (\w+)\)", label)
    assert min(n for n in os.listdir(path + "/wal") if not n.endswith(".history")) == start
    assert os.path.exists(path + "/data/tablespace_map") == bool(server.oid)
    size = eventually(lambda: int(cell.api.backups("main")[0]["BackupSetSize"]), what="its size is known")
    assert abs(size - allocated(path)) < 1 << 18, "it is of everything that is in it"
    invariants.check(cell.daemon, btrfs, servers=[server])
    clone = cell.api.clone_and_wait("main", backup["BackupId"], "c", 60)
    cell.api.delete_and_wait("main", backup["BackupId"])
    assert os.path.isdir(clone["ClonePath"] + "/pg_wal") and links(clone["ClonePath"]) == []
    cell.api.ok("DeleteClone", DBClusterId="main", CloneName="c")
    eventually(lambda: cell.api.clone("main", "c") is None)
    cell.daemon.wait_idle()
    own = {"pg", *(["wal"] if parts != "tablespace" else []), *(["space"] if server.oid else [])}
    assert set(btrfs.subvolumes()) == own
    assert sorted(os.listdir(btrfs.path(".dbsnap", "main"))) == ["clones", "marker.json"]


@pytest.fixture
def check(programs, server):
    """check(backend): what a check of the server's layout says."""
    return lambda backend="btrfs": Driver(programs, backend=backend).check(server.data_dir, server.conninfo)


@pytest.mark.parametrize("parts", ["tablespace"], indirect=True)
def test_refused_parts(check, server, btrfs, make_disk):
    """What a snapshot of each part would not be right for is walked, or refused with the reason."""
    def refused(text, backend="btrfs"):
        with pytest.raises(Refused) as refusal:
            check(backend)
        assert text in refusal.value.cause and refusal.value.remedy, refusal.value.cause
    assert check()["procedure"] == "C"
    space = btrfs.path("space")
    with open(space + "/other", "w", encoding="ascii"):
        refused(f"holds more than what is this server's: {space}/other")
    assert check("auto")["procedure"] == "B"
    os.unlink(space + "/other")
    own, = os.listdir(space)
    run("btrfs", "subvolume", "create", f"{space}/{own}/nested")
    refused(f"tablespace {server.oid}: {space} holds the nested subvolume {own}/nested")
    run("btrfs", "subvolume", "delete", f"{space}/{own}/nested")
    plain = btrfs.path("plain")
    os.mkdir(plain)
    shutil.chown(plain, USER)
    second = add_space(server, plain, "plain")
    refused(f"tablespace {second}: {plain} is a plain folder")
    assert check("auto")["procedure"] == "B"
    server.sql("DROP TABLE in_plain; ")
    server.sql("DROP TABLESPACE plain")
    elsewhere = make_disk("btrfs").subvolume("space", USER)
    add_space(server, elsewhere, "elsewhere")
    refused(f"lies on another file system than data_dir: {elsewhere}")
    assert check("auto")["procedure"] == "B"
    server.sql("DROP TABLE in_elsewhere")
    server.sql("DROP TABLESPACE elsewhere")
    os.chown(space, 0, 0)
    os.chmod(space, 0o755)
    refused(f"tablespace {server.oid}: {space} does not belong to the database's user")
    shutil.chown(space, USER)
    server.stop()
    refused("a tablespace")
    server.start()
    assert check()["procedure"] == "C"


@pytest.mark.parametrize("parts", ["both"], indirect=True)
def test_wal_on_another_disk(server, btrfs, make_disk, make_daemon, start_clone):
    """Of the WAL only the segments are taken, so it may lie on any file system."""
    server.stop()
    os.unlink(server.data_dir + "/pg_wal")
    far = make_disk("ext4", "256M").subvolume("wal", USER)
    run("cp", "-a", btrfs.path("wal") + "/.", far)
    os.symlink(far, server.data_dir + "/pg_wal")
    server.start()
    cell = Apart(btrfs, server, make_daemon(quota=QUOTA), "btrfs")
    with Acked(server) as ids:
        ids.wait_more(100)
        must = ids.acked()
        backup = cell.finish(cell.create())
    assert backup["Dbsnap"]["Procedure"] == "C"
    clone = start_clone(cell.api.clone_and_wait("main", backup["BackupId"], "c", 60)["ClonePath"])
    assert not ids.missing(clone, must)
    clone.amcheck()
    clone.stop()


@pytest.fixture
def jobs(cell, server, btrfs):
    return Jobs(cell.daemon, btrfs, server)


@pytest.mark.parametrize("parts", ["both"], indirect=True)
@pytest.mark.parametrize("kind", ["create", "delete", "clone", "delete_clone"])
def test_worker_of_parts_killed_before_any_change(jobs, kind):
    """What is left of several subvolumes is removed or adopted, whichever of them were made or gone."""
    strikes = strike_each(jobs, kind, CHANGES, "KILL", Strike.detach)
    assert strikes.get("ioctl", 0) >= 2, strikes
    invariants.check_recovery(jobs.daemon)


@pytest.mark.parametrize("parts", ["both"], indirect=True)
@pytest.mark.parametrize("kind", ["create", "delete"])
def test_engine_of_parts_killed_after_any_change(jobs, kind):
    def kill(strike):
        jobs.daemon.kill()
        strike.detach()
        jobs.daemon.start()
    strike_each(jobs, kind, ["mkdirat", "renameat", "ioctl", "unlinkat"], "STOP", kill)
    invariants.check_recovery(jobs.daemon)
