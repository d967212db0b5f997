# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL whose tablespaces and WAL lie outside its data directory is restored in place: one exchange, and nothing of what
the old directory needs is touched.

DBSNAP_CUTS: where a restore is struck down (at a few calls; 9 and more: at every one).
"""
import contextlib
import glob
import hashlib
import os
import shutil

import pytest

from harness.disk import run, unmount
from harness.load import Acked
from harness.postgres import USER
from harness.process import eventually
from harness.source import digest
from harness.steps import CHANGES, Strike
from test_postgresql_c import add_space, move_wal
from test_restore import QUOTA, Crashes, Restores, make_server_of

CUTS = int(os.environ.get("DBSNAP_CUTS", "0"))


def set_apart(server, disk, place):
    """The WAL of a running server goes to a folder of its own on disk, a tablespace to one on place: (space, wal)."""
    wal = disk.subvolume("wal", USER)
    move_wal(server, wal)
    os.mkdir(place.path("spaces"), 0o755)
    space = place.subvolume("spaces/space", USER)
    server.oid = add_space(server, space)
    return space, wal


class Parts(Restores):
    """With a tablespace at `space`, and the WAL at `wal`, which its pg_wal is a link to."""

    def __init__(self, daemon, disk, server, space, wal):
        super().__init__(daemon, disk, server.data_dir)
        self.server, self.space, self.wal = server, space, wal

    def made(self):
        """Folders that restores have made beside the tablespace."""
        return sorted(glob.glob(glob.escape(self.space) + ".restored-*"))

    def old(self):
        return [digest(path) for path in (self.space, self.wal)]

    def state(self):
        """Of all but the name of the tablespace's folder, which is the job's."""
        found = hashlib.sha256()
        for name in sorted(os.listdir(self.data_dir)):
            path = os.path.join(self.data_dir, name)
            if name == "tablespace_map":
                with open(path, encoding="ascii") as file:
                    place, = (line.split(" ", 1)[1].strip() for line in file)
                found.update(digest(place).encode())
                assert os.path.dirname(place) in self.made()
            elif os.path.isdir(path):
                found.update(digest(path).encode())
            elif not os.path.islink(path):
                with open(path, "rb") as file:
                    found.update(name.encode() + file.read())
        return found.hexdigest()


@pytest.fixture
def make_parts(make_disk, make_server, make_daemon):
    """make_parts(kind, far=None): Parts on a disk of that kind, the tablespace on one of kind far; its server runs."""
    def make(kind, far=None, **settings):
        disk = make_disk(kind)
        server = make_server(disk.subvolume("pg", USER))
        space, wal = set_apart(server, disk, make_disk(far, "600M") if far else disk)
        daemon = make_daemon(quota=QUOTA)
        daemon.add_server("main", server, **{"snapshot_dir": disk.path(".dbsnap", "main"), "min_free": "0%",
                                             "restore": "in-place", **settings})
        daemon.start()
        return Parts(daemon, disk, server, space, wal)
    return make


def location(server):
    return server.value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'far'")


def back_up(parts):
    """A backup under load, and much that comes after it: (backup, must be in it, must not)."""
    server = parts.server
    with Acked(server) as ids:
        ids.wait_more(200)
        must = ids.acked()
        backup = parts.api.create_and_wait("main", timeout=120)
        at_end = ids.acked()
        server.sql("UPDATE in_far SET v = 'later'")
        ids.wait_more(200)
    server.stop()
    return backup, must, ids.acked() - at_end


@pytest.mark.parametrize("kind, far, backend, procedure", [
    ("btrfs", None, "btrfs", "C"), ("xfs", None, "reflink", "B"), ("xfs", "ext4", "copy", "B")])
def test_parts(make_parts, make_server, kind, far, backend, procedure):
    """The copy has tablespaces and WAL of its own; the old directory has its own, untouched, whatever the copy does."""
    parts = make_parts(kind, far)
    server = parts.server
    backup, must, later = back_up(parts)
    assert (backup["Dbsnap"]["Backend"], backup["Dbsnap"]["Procedure"]) == (backend, procedure)
    before, old = parts.old(), digest(server.data_dir)
    plan = parts.plan(backup["BackupId"])
    assert plan["Ok"] == "true", plan
    said = f"tablespace {server.oid} as {parts.space}.restored-JOB/{server.oid}; {parts.space} stays as it is"
    assert any(said in step for step in plan["Steps"]), plan
    assert any(f"pg_wal becomes a folder in it; {parts.wal} stays as it is" in step for step in plan["Steps"]), plan
    job = parts.restore(backup["BackupId"])
    new = f"{parts.space}.restored-{job['JobId']}"
    assert parts.made() == [new] and os.listdir(new) == [str(server.oid)]
    assert os.stat(new).st_uid == 0 and os.stat(new).st_mode & 0o777 == 0o711
    assert parts.beside() == [os.path.basename(job["KeptPath"])]
    assert os.path.isdir(server.data_dir + "/pg_wal") and not os.path.islink(server.data_dir + "/pg_wal")
    server.start()
    found = {row[0] for row in server.sql("SELECT id FROM acked")}
    assert must <= found and len(found & later) <= 3
    assert location(server) == f"{new}/{server.oid}"
    assert server.sql("SELECT DISTINCT v FROM in_far") == [("source",)]
    server.sql("UPDATE in_far SET v = 'new'")
    server.sql("SELECT pg_switch_wal()")
    server.sql("CHECKPOINT")
    server.amcheck()
    # The next backup is made as the first was, and its restore does not pile up names.
    parts.daemon.client("cluster", "check", "main")
    second = parts.api.create_and_wait("main", timeout=120)
    assert second["Dbsnap"]["Procedure"] == procedure
    server.stop()
    server.checksums()
    assert (digest(job["KeptPath"]), parts.old()) == (old, before), "nothing was written there"
    again = parts.restore(second["BackupId"])
    server.start()
    assert location(server) == f"{parts.space}.restored-{again['JobId']}/{server.oid}"
    assert server.sql("SELECT DISTINCT v FROM in_far") == [("new",)]
    server.stop()
    # What was there first is whole, too.
    other = make_server_of(make_server, job["KeptPath"], parts.disk)
    assert location(other) == parts.space and other.sql("SELECT DISTINCT v FROM in_far") == [("later",)]
    assert later <= {row[0] for row in other.sql("SELECT id FROM acked")}
    other.amcheck()
    other.close()
    parts.check()


def test_what_cannot_be_put_back(make_parts, make_disk):
    """Where no folder may be made beside the old tablespace: refused beforehand, the way by hand is named."""
    parts = make_parts("btrfs")
    backup = parts.api.create_and_wait("main", timeout=120)["BackupId"]
    parts.server.stop()
    space, folder = parts.space, os.path.dirname(parts.space)

    def refused(text):
        plan = parts.plan(backup)
        assert plan["Ok"] == "false" and text in plan["Refusal"] and ("README" in plan["Remedy"] or not plan["Remedy"]), plan
        assert parts.refused(backup)["Cause"] == plan["Refusal"]
        assert parts.beside() == [] and parts.made() == []
    os.chmod(folder, 0o777)
    refused(f"tablespace {parts.server.oid} at {space} cannot be restored beside the old one: others may write into the folder")
    os.chmod(folder, 0o755)
    os.chown(folder, 1, 1)
    refused("the folder that holds it belongs to another user")
    os.chown(folder, 0, 0)
    far = make_disk("ext4", "100M")
    run("mount", "--bind", far.mnt, space)
    try:
        refused("it is the top of a mount")
    finally:
        unmount(space)


def test_name_of_a_part_is_taken(make_parts):
    """It is another's: it stays, and so does everything else."""
    parts = make_parts("btrfs")
    backup = parts.api.create_and_wait("main", timeout=120)["BackupId"]
    parts.server.stop()
    parts.daemon.wait_idle()
    taken = f"{parts.space}.restored-{int(backup) + 1}"
    os.makedirs(os.path.join(taken, str(parts.server.oid)))
    before = digest(parts.data_dir)
    job = parts.refused(backup)
    assert f"{taken} is there already" in job["Cause"], job
    assert parts.beside() == [] and digest(parts.data_dir) == before
    assert parts.made() == [taken] and os.listdir(taken) == [str(parts.server.oid)]
    job = parts.restore(backup)
    assert sorted(parts.made()) == sorted([taken, f"{parts.space}.restored-{job['JobId']}"])


# A crash before or after every call that changes something

class PartCrashes(Crashes):
    """The old directory with the old tablespace, or the copy with its own; and no other copy of one."""

    def __init__(self, parts):
        self.restores, self.count = parts, 0
        self.backup = parts.api.create_and_wait("main", timeout=120)["BackupId"]
        parts.server.stop()
        self.space = parts.old()
        parts.restore(self.backup)
        self.new = parts.state()
        self.begin()

    def begin(self):
        for path in self.restores.made():
            shutil.rmtree(path)
        super().begin()
        shutil.chown(os.path.join(self.restores.data_dir, "file"), USER, USER)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.restores.data_dir, "tablespace_map"))
        self.old, self.old_digest = self.restores.state(), digest(self.restores.data_dir)

    def check_whole(self):
        assert self.restores.state() in (self.old, self.new)
        assert self.restores.old() == self.space

    def check_end(self):
        eventually(self.ended, 60, "the restore ends")
        job = self.restores.job(self.job)
        assert job["State"] == "Done", job
        assert self.restores.state() == self.new and digest(job["KeptPath"]) == self.old_digest
        assert self.restores.beside() == [os.path.basename(job["KeptPath"])]
        made, = self.restores.made()
        assert made.endswith(f".restored-{job['JobId']}") and os.listdir(made) == [str(self.restores.server.oid)]
        assert self.restores.old() == self.space


@pytest.mark.parametrize("kind", ["btrfs", "xfs"] if CUTS > 8 else ["btrfs"])
def test_struck_down(make_parts, kind):
    parts = make_parts(kind)
    crashes = PartCrashes(parts)
    strikes = crashes.strike_each([*CHANGES, "syncfs"] if CUTS > 8 else ["mkdirat", "renameat2"], "KILL", Strike.detach)
    assert strikes["mkdirat"] >= 2, strikes

    def kill(strike):
        parts.daemon.kill()
        strike.detach()
        crashes.check_whole()
        parts.daemon.start()
    crashes.strike_each([*CHANGES, "syncfs"] if CUTS > 8 else ["renameat2"], "STOP", kill)
    parts.server.start()
    assert parts.server.sql("SELECT DISTINCT v FROM in_far") == [("source",)]
    parts.server.amcheck()
    parts.check()


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_undone(make_parts, kind):
    """A server was started after a crash: what was made of the tablespace goes with the rest."""
    parts = make_parts(kind)
    backup = parts.api.create_and_wait("main", timeout=120)["BackupId"]
    parts.server.stop()
    with Strike(parts.daemon, "renameat2", 1, "STOP") as strike:
        job = parts.begin(backup)
        assert strike.wait(lambda: False)
        assert len(parts.made()) == 1
        parts.daemon.kill()
        strike.detach()
    server = parts.server
    server.start()
    parts.daemon.start()
    job = parts.end(job)
    assert job["State"] == "Failed" and "(postgres)" in job["Cause"], job
    assert parts.beside() == [] and parts.made() == []
    assert location(server) == parts.space
    parts.check()
