# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedure B: the server's own backup around a walk, against real servers under load."""
import os
import re
import shutil
import signal

import pytest

from harness.disk import run
from harness.driver import Driver, Refused
from harness.load import Acked, Pgbench, check_sums
from harness.postgres import USER
from harness.process import Pid, children, eventually, program
from harness.steps import Pause, Strike



@pytest.fixture(params=["reflink", "copy"])
def backend(request):
    return request.param


@pytest.fixture
def disk(make_disk, backend):
    return make_disk("xfs" if backend == "reflink" else "ext4")


@pytest.fixture
def driver(programs, backend):
    return Driver(programs, backend=backend)


@pytest.fixture
def server(disk, make_server):
    return make_server(disk.subvolume("pg", USER))


class Shelf:
    """Folders on a disk for cuts and clones."""

    def __init__(self, disk, driver):
        self.disk = disk
        self.driver = driver
        self.count = 0
        os.mkdir(disk.path("clones"), 0o711)

    def folder(self):
        self.count += 1
        path = self.disk.path(f"cut{self.count}")
        os.mkdir(path, 0o700)
        return path

    def clone(self, folder, name="c"):
        self.driver.clone(os.path.join(folder, "data"), self.disk.path("clones"), name)
        return self.disk.path("clones", name)


@pytest.fixture
def shelf(disk, driver):
    return Shelf(disk, driver)


def lsn(text):
    high, low = (int(half, 16) for half in text.split("/"))
    return high << 32 | low


def wait_no_slot(server):
    """The server drops it when it has seen the session's end."""
    eventually(lambda: server.value("SELECT count(*) FROM pg_replication_slots") == 0, what="the slot's end")


def space(server, path, name):
    """A tablespace with a table of its own in it; its oid."""
    os.mkdir(path)
    shutil.chown(path, USER)
    server.sql(f"CREATE TABLESPACE {name} LOCATION '{path}'")
    server.sql(f"CREATE TABLE in_{name} TABLESPACE {name} AS SELECT generate_series(1, 1000) AS i")
    return server.value("SELECT oid FROM pg_tablespace WHERE spcname = %s", name)


def links(path):
    found = []
    for folder, folders, files in os.walk(path):
        found += [n for n in folders + files if os.path.islink(os.path.join(folder, n))]
    return found


def check_clone(start_clone, path, ids, must, recovered=True):
    clone = start_clone(path)
    # The server renames it once it has begun from it.
    assert os.path.exists(os.path.join(path, "backup_label.old")) == recovered
    assert not ids.missing(clone, must)
    check_sums(clone)
    clone.amcheck()
    return clone


def advance(server, count):
    """Fills and ends so many segments of WAL, and lets the server use old ones again."""
    for _ in range(count):
        server.sql("SELECT pg_switch_wal()")
        server.sql("SELECT pg_logical_emit_message(true, 'x', 'x')")
    server.sql("CHECKPOINT")


def test_under_load(server, shelf, driver, start_clone):
    """Checkpoints and some segments fall into the walk; what was acknowledged until its end is there."""
    folder = shelf.folder()
    with Pgbench(server), Acked(server) as ids:
        ids.wait_more(100)
        held = driver.held_cut(server.data_dir, server.conninfo, folder)
        with Strike(None, "utimensat", 300, "STOP", held.process.pid) as strike:
            held.step()
            assert strike.wait(lambda: False)
            ids.wait_more(300)
            advance(server, 3)
            strike.detach()
            Pid(strike.struck()).signal(signal.SIGCONT)
        held.wait("at: after")
        ids.wait_more(100)
        must = ids.acked()
        answer = held.end()
        after = server.value("SELECT pg_current_wal_insert_lsn()")
    assert (answer["procedure"], answer["promise"]) == ("B", "recovered")
    assert answer["floor"] == re.match(r"LSN (\S+), timeline 1$", answer["position"])[1]
    assert lsn(answer["floor"]) <= lsn(after)
    image = os.path.join(folder, "data")
    with open(os.path.join(image, "backup_label"), encoding="ascii") as file:
        assert "LABEL: dbsnap 7\n" in file.read()
    assert not os.path.exists(os.path.join(image, "postmaster.pid"))
    assert not os.path.exists(os.path.join(image, "tablespace_map"))
    for name in ("backup_label", "pg_wal", "global/pg_control"):
        st = os.stat(os.path.join(image, name))
        assert st.st_uid == os.stat(server.data_dir).st_uid and st.st_mode & 0o077 == 0
    wait_no_slot(server)
    clone = check_clone(start_clone, shelf.clone(folder), ids, must)
    assert lsn(clone.value("SELECT pg_current_wal_lsn()")) >= lsn(answer["floor"])
    clone.stop()
    clone.checksums()


def test_tablespaces(server, shelf, driver, start_clone, disk):
    """They come along, without links; a clone's are its own."""
    oid = space(server, disk.path("a space"), "one")
    other = space(server, disk.path("b"), "two")
    os.mkdir(disk.path("b", "not ours"))
    folder = shelf.folder()
    driver.cut(server.data_dir, server.conninfo, folder)
    assert set(os.listdir(os.path.join(folder, "tblspc"))) == {str(oid), str(other)}
    assert len(os.listdir(os.path.join(folder, "tblspc", str(other)))) == 1
    with open(os.path.join(folder, "data", "tablespace_map"), encoding="ascii") as file:
        assert set(file) == {f"{oid} {disk.path('a space')}\n", f"{other} {disk.path('b')}\n"}
    assert links(folder) == []
    path = shelf.clone(folder)
    assert links(path) == []
    clone = start_clone(path)
    locations = clone.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid IN (%s, %s) ORDER BY oid",
                          oid, other)
    assert locations == [(f"{path}/tblspc/{oid}",), (f"{path}/tblspc/{other}",)]
    clone.sql("UPDATE in_one SET i = 0")
    clone.sql("CHECKPOINT")
    assert clone.value("SELECT sum(i) FROM in_two") == 500500
    clone.stop()
    clone.checksums()
    server.stop()
    server.start()
    assert server.value("SELECT sum(i) FROM in_one") == 500500


@pytest.mark.parametrize("backend", ["copy"], indirect=True)
def test_tablespaces_that_change(server, shelf, driver, disk):
    space(server, disk.path("one"), "one")
    for change in (lambda: space(server, disk.path("two"), "two"),
                   lambda: server.sql("DROP TABLE in_two") or server.sql("DROP TABLESPACE two")):
        held = driver.held_cut(server.data_dir, server.conninfo, shelf.folder())
        held.cut()
        change()
        with pytest.raises(Refused, match="tablespace was made, moved or dropped") as refused:
            held.end()
        assert refused.value.retry
    wait_no_slot(server)


@pytest.mark.parametrize("backend", ["copy"], indirect=True)
def test_tablespace_that_only_the_wal_knows(server, shelf, driver, start_clone, disk):
    """Made and dropped during the walk: replay would make its folder again, where the source's was."""
    gone = disk.path("gone")
    folder = shelf.folder()
    held = driver.held_cut(server.data_dir, server.conninfo, folder)
    held.cut()
    space(server, gone, "gone")
    server.sql("DROP TABLE in_gone")
    server.sql("DROP TABLESPACE gone")
    os.utime(gone, (0, 0))
    with pytest.raises(Refused, match="makes a tablespace") as refused:
        held.end()
        start_clone(shelf.clone(folder)).stop()
        assert os.stat(gone).st_mtime == 0, "the clone was in the source's folder"
    assert refused.value.retry
    folder = shelf.folder()
    driver.cut(server.data_dir, server.conninfo, folder)
    start_clone(shelf.clone(folder)).stop()
    assert os.stat(gone).st_mtime == 0


@pytest.mark.parametrize("backend", ["reflink"], indirect=True)
def test_wal_elsewhere(server, shelf, driver, start_clone, disk):
    """pg_wal a link: the image has a folder, and the clone never comes near the source's."""
    server.stop()
    run("mv", server.data_dir + "/pg_wal", disk.path("wal"))
    os.symlink(disk.path("wal"), server.data_dir + "/pg_wal")
    server.start()
    with Acked(server) as ids:
        must = ids.acked()
        folder = shelf.folder()
        driver.cut(server.data_dir, server.conninfo, folder)
    wal = os.path.join(folder, "data", "pg_wal")
    assert os.path.isdir(wal) and not os.path.islink(wal)
    before = set(os.listdir(disk.path("wal")))
    clone = start_clone(shelf.clone(folder))
    assert not ids.missing(clone, must)
    advance(clone, 3)
    clone.stop()
    assert set(os.listdir(disk.path("wal"))) == before
    server.stop()
    with pytest.raises(Refused, match="no server runs, and pg_wal is a link") as refused:
        driver.check(server.data_dir, server.conninfo)
    assert "start the server" in refused.value.remedy


@pytest.mark.parametrize("backend", ["reflink"], indirect=True)
def test_wal_faster_than_the_walk(server, shelf, driver, start_clone):
    """With a slot all of it is there; without one the backup is refused, and told why."""
    folder = shelf.folder()
    held = driver.held_cut(server.data_dir, server.conninfo, folder)
    held.cut()
    advance(server, 15)
    held.end()
    start_clone(shelf.clone(folder)).stop()
    server.stop()
    server.configure("max_replication_slots = 0\nmax_wal_senders = 0\n")
    server.start()
    driver.cut(server.data_dir, server.conninfo, shelf.folder())
    held = driver.held_cut(server.data_dir, server.conninfo, shelf.folder())
    held.cut()
    advance(server, 15)
    with pytest.raises(Refused, match="WAL that the backup needs: 0000.*no slot held it: ") as refused:
        held.end()
    assert refused.value.retry and "max_replication_slots" in refused.value.remedy


@pytest.mark.parametrize("backend", ["copy"], indirect=True)
def test_restart_and_lost_session(server, shelf, driver):
    held = driver.held_cut(server.data_dir, server.conninfo, shelf.folder())
    held.cut()
    server.kill()
    server.start()
    with pytest.raises(Refused, match="restarted during the backup") as refused:
        held.end()
    assert refused.value.retry
    held = driver.held_cut(server.data_dir, server.conninfo, shelf.folder())
    held.cut()
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dbsnap'")
    with pytest.raises(Refused) as refused:
        held.end()
    assert refused.value.retry and "connection to the server was lost" in refused.value.cause
    wait_no_slot(server)


@pytest.mark.parametrize("backend", ["reflink"], indirect=True)
def test_helper_killed(server, shelf, driver):
    """The server ends the backup and drops the slot by itself."""
    held = driver.held_cut(server.data_dir, server.conninfo, shelf.folder())
    held.cut()
    helper, = [pid for pid in children(held.process.pid) if program(pid) == "dbsnapd-helper-postgresql"]
    assert server.value("SELECT count(*) FROM pg_replication_slots") == 1
    os.kill(helper, signal.SIGKILL)
    wait_no_slot(server)
    with pytest.raises(Refused, match="helper died") as refused:
        held.end()
    assert refused.value.retry
    driver.cut(server.data_dir, server.conninfo, shelf.folder())


@pytest.mark.parametrize("backend", ["reflink"], indirect=True)
def test_stopped_server(server, shelf, driver, start_clone):
    """G on a backend that walks: the WAL is part of the image, and nobody may begin to write."""
    with Pgbench(server), Acked(server) as ids:
        ids.wait_more(100)
    server.kill()
    folder = shelf.folder()
    answer = driver.cut(server.data_dir, server.conninfo, folder)
    assert (answer["procedure"], answer["promise"]) == ("G", "stopped")
    assert not os.path.exists(os.path.join(folder, "data", "postmaster.pid"))
    check_clone(start_clone, shelf.clone(folder), ids, ids.acked(), recovered=False).stop()
    held = driver.held_cut(server.data_dir, server.conninfo, shelf.folder())
    held.cut()
    server.start()
    with pytest.raises(Refused) as refused:
        held.end()
    assert refused.value.retry and f"process {server.main.pid} " in refused.value.cause
    space(server, shelf.disk.path("space"), "one")
    server.stop()
    with pytest.raises(Refused, match="no server runs, and there is a tablespace") as refused:
        driver.check(server.data_dir, server.conninfo)
    assert "start the server" in refused.value.remedy


# What a statement has in it that calls the function; one that asks for the right to has it in quotes.
START, STOP = " pg_catalog.pg_backup_start", " pg_catalog.pg_backup_stop"

LIES = [
    ("its label begins elsewhere", (STOP, 1, "START WAL LOCATION: ..", "START WAL LOCATION: 7/", 1)),
    ("its label names another WAL segment", (STOP, 1, "file ........", "file 00000009", 1)),
    ("its label has another name", (STOP, 1, "LABEL: dbsnap 7", "LABEL: dbsnap 8", 1)),
    ("its label names another WAL segment", (STOP, 1, "TIMELINE: 1", "TIMELINE: 2", 1)),
    ("became a standby", (STOP, 1, "primary", "standby", 1)),
    ("its label is none", (STOP, 1, "(?s)^.+", "", 1)),
    ("its map names another tablespace", (STOP, 2, "^.*", "16385 /etc\n", 1)),
    ("it ends before its beginning", (STOP, 0, "^.+", "0/1", 1)),
    ("WAL that the backup needs", (STOP, 0, "^0/", "7/", 1)),
    ("at most 64 KiB", (STOP, 1, "START", "x", 10 << 20)),
    ("its label begins elsewhere", (START, 0, "^0/", "7/", 1)),
    ("WAL that the backup needs: 00000002", (STOP, 1, "file ........", "file 00000002", 1),
     (STOP, 1, "TIMELINE: 1", "TIMELINE: 2", 1)),
]


@pytest.mark.parametrize("backend", ["copy"], indirect=True)
class TestRefusals:
    """What does not depend on how the bytes get over."""

    def refusal(self, driver, server, conninfo=None):
        with pytest.raises(Refused) as refused:
            driver.check(server.data_dir, conninfo or server.conninfo)
        assert refused.value.remedy
        return refused.value

    def test_wal_level(self, server, driver):
        server.stop()
        server.configure("wal_level = minimal\nmax_wal_senders = 0\n")
        server.start()
        refused = self.refusal(driver, server)
        assert "wal_level is minimal" in refused.cause and "wal_level = replica" in refused.remedy

    def test_rights_are_named_and_suffice(self, server, driver, shelf):
        """The remedy's own statements, pasted, make it work."""
        server.sql("CREATE ROLE dbsnap LOGIN; GRANT pg_read_all_settings TO dbsnap")
        conninfo = server.conninfo.replace("user=postgres", "user=dbsnap")
        refused = self.refusal(driver, server, conninfo)
        assert refused.code == "ERR_DATABASE" and "may not begin a backup" in refused.cause
        statements = refused.remedy.split("dbsnap): ")[1]
        assert len(statements.split(";")) == 3
        for missing in statements.split(";")[:0:-1]:
            server.sql(missing)
        assert statements.split(";")[0] in self.refusal(driver, server, conninfo).remedy
        server.sql(statements.split(";")[0])
        driver.cut(server.data_dir, conninfo, shelf.folder())

    def test_what_is_where(self, server, driver, shelf, disk):
        """Links among the data, one that is found at once and one that only the walk comes to; tablespaces."""
        os.symlink(disk.path("x"), server.data_dir + "/base/77777")
        assert "a link out of it: base/77777" in self.refusal(driver, server).cause
        os.unlink(server.data_dir + "/base/77777")
        os.symlink(disk.path("x"), server.data_dir + "/base/1/77777")
        with pytest.raises(Refused, match="a link out of it: base/1/77777"):
            driver.cut(server.data_dir, server.conninfo, shelf.folder())
        os.unlink(server.data_dir + "/base/1/77777")
        server.sql("ALTER SYSTEM SET allow_in_place_tablespaces = on")
        # B forces them on: nothing is weaker by it.
        server.sql("ALTER SYSTEM SET full_page_writes = off")
        server.sql("SELECT pg_reload_conf()")
        eventually(lambda: server.value("SHOW allow_in_place_tablespaces") == "on")
        assert driver.check(server.data_dir, server.conninfo)["weakened"] == ""
        server.sql("CREATE TABLESPACE one LOCATION ''")
        assert "lies inside the data directory" in self.refusal(driver, server).cause
        server.sql("DROP TABLESPACE one")
        space(server, server.data_dir + "/inside", "one")
        assert "lies inside the data directory" in self.refusal(driver, server).cause

    def test_own_folder_of_the_name(self, server, driver, shelf, disk, start_clone):
        """A clone has its tablespaces in tblspc: what is called so in the source would be in their way."""
        os.mkdir(server.data_dir + "/tblspc")
        shutil.chown(server.data_dir + "/tblspc", USER)
        folder = shelf.folder()
        driver.cut(server.data_dir, server.conninfo, folder)
        start_clone(shelf.clone(folder)).stop()
        space(server, disk.path("space"), "one")
        refused = self.refusal(driver, server)
        assert f"{server.data_dir}/tblspc" in refused.cause and "move it" in refused.remedy
        os.rmdir(server.data_dir + "/tblspc")
        driver.check(server.data_dir, server.conninfo)

    def test_tablespace_on_another_disk(self, server, driver, make_disk, shelf, start_clone):
        """Blocks are shared on one file system only; bytes go anywhere."""
        xfs = make_disk("xfs", "512M")
        oid = space(server, xfs.path("space"), "one")
        folder = shelf.folder()
        driver.cut(server.data_dir, server.conninfo, folder)
        clone = start_clone(shelf.clone(folder))
        assert clone.value("SELECT sum(i) FROM in_one") == 500500
        assert os.path.isdir(os.path.join(folder, "tblspc", str(oid)))
        clone.stop()

    def test_lies(self, server, driver, shelf, make_liar):
        """Another cluster's answers, another timeline's, ten megabytes: refused, and no label is left."""
        for cause, *lies in LIES:
            liar = make_liar(server, lies)
            folder = shelf.folder()
            with pytest.raises(Refused) as refused:
                driver.cut(server.data_dir, liar.conninfo, folder)
            assert cause in refused.value.cause, lies
            assert not os.path.exists(os.path.join(folder, "data", "backup_label"))
            liar.close()


@pytest.mark.parametrize("backend", ["reflink"], indirect=True)
def test_reflink_wants_tablespaces_beside_the_data(server, driver, make_disk):
    space(server, make_disk("ext4", "256M").path("space"), "one")
    with pytest.raises(Refused, match="on another file system than data_dir") as refused:
        driver.check(server.data_dir, server.conninfo)
    assert "backend: copy" in refused.value.remedy


@pytest.fixture
def daemon(make_daemon, disk, server):
    """A daemon with that server as its cluster `main`."""
    daemon = make_daemon(quota={"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 1000})
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
    return daemon.start()


def test_btrfs_that_cannot_snapshot_it(programs, btrfs, make_server, start_clone):
    """A tablespace beside the subvolume: auto walks, and blocks are shared all the same."""
    server = make_server(btrfs.subvolume("pg", USER))
    space(server, btrfs.path("space"), "one")
    assert Driver(programs, backend="auto").check(server.data_dir, server.conninfo)["procedure"] == "B"
    driver = Driver(programs, backend="reflink")
    shelf = Shelf(btrfs, driver)
    folder = shelf.folder()
    driver.cut(server.data_dir, server.conninfo, folder)
    clone = start_clone(shelf.clone(folder))
    assert clone.value("SELECT sum(i) FROM in_one") == 500500
    clone.stop()


def wait_no_session(server):
    eventually(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbsnap'") == 0)
    wait_no_slot(server)


@pytest.mark.parametrize("backend", ["copy"], indirect=True)
def test_no_session_longer_than_the_walk(daemon, server, disk, make_liar):
    """Nor while the image is written out, nor while one is removed that became nothing."""
    with Pause(daemon, "syncfs", 1) as pause:
        number = daemon.api.create("main")
        pause.wait()
        wait_no_session(server)
    assert daemon.api.wait_final("main", number)["Dbsnap"]["State"] == "AVAILABLE"
    liar = make_liar(server, [(STOP, 1, "LABEL: dbsnap", "LABEL: another", 1)])
    daemon.clusters["main"]["database"]["conninfo"] = liar.conninfo
    daemon.add_cluster("main", **{k: v for k, v in daemon.clusters["main"].items() if k != "id"})
    daemon.reload()
    with Pause(daemon, "unlinkat", 1) as pause:
        number = daemon.api.create("main")
        pause.wait()
        assert os.path.exists(disk.path(".dbsnap", "main", f".{number}"))
        wait_no_session(server)
    failed = daemon.api.wait_final("main", number)["Dbsnap"]
    assert failed["State"] == "FAILED" and "its label has another name" in failed["Cause"]
    liar.close()


def jobs(daemon):
    return daemon.api.ok("DescribeJobs", DBClusterId="main")["Items"]["Job"]


def test_whole_life(daemon, server, disk, backend, start_clone):
    """Create, clone, delete through the daemon, with a tablespace."""
    oid = space(server, disk.path("space"), "one")
    with Acked(server) as ids:
        ids.wait_more(100)
        must = ids.acked()
        backup = daemon.api.create_and_wait("main")
    parts = {p["Role"]: p for p in daemon.api.ok("CheckCluster", DBClusterId="main")["Parts"]}
    assert parts[f"tablespace {oid}"]["Path"] == disk.path("space")
    facts = backup["Dbsnap"]
    assert (facts["Backend"], facts["Procedure"], facts["Promise"]) == (backend, "B", "recovered")
    assert re.match(r"LSN \S+, timeline 1$", facts["Position"])
    assert sorted(os.listdir(facts["Path"])) == ["data", "intent", "manifest.json", "tblspc"]
    wait_no_slot(server)
    clone = daemon.api.clone_and_wait("main", backup["BackupId"], "c")
    path = clone["ClonePath"]
    assert links(path) == []
    started = start_clone(path)
    assert not ids.missing(started, must)
    assert started.value("SELECT pg_tablespace_location(%s)", oid) == f"{path}/tblspc/{oid}"
    started.sql("DROP TABLE in_one")
    started.stop()
    assert server.value("SELECT sum(i) FROM in_one") == 500500
    daemon.api.ok("DeleteClone", DBClusterId="main", CloneName="c")
    daemon.api.delete_and_wait("main", backup["BackupId"])
    daemon.wait_idle()
    assert sorted(os.listdir(disk.path(".dbsnap", "main"))) == ["clones", "marker.json"]
    assert os.listdir(disk.path(".dbsnap", "main", "clones")) == []


@pytest.mark.parametrize("backend", ["reflink"], indirect=True)
def test_lost_label(daemon, start_clone):
    """A backup without its label would start and be wrong: it is not cloned."""
    backup = daemon.api.create_and_wait("main")
    label = os.path.join(backup["Dbsnap"]["Path"], "data", "backup_label")
    os.unlink(label)
    daemon.api.ok("CloneBackup", DBClusterId="main", BackupId=backup["BackupId"], CloneName="c")
    failed = eventually(lambda: [j for j in jobs(daemon) if j["State"] == "Failed"], what="the failed job")
    assert "lost its backup_label" in failed[0]["Cause"], failed


@pytest.mark.parametrize("backend", ["copy"], indirect=True)
def test_helper_killed_amid_the_walk(daemon, server, disk):
    """The server ends backup and slot at once; the attempt fails, and the next one is good."""
    with Strike(daemon, "utimensat", 50, "STOP") as strike:
        number = daemon.api.create("main")
        assert strike.wait(lambda: False)
        walker = Pid(strike.struck())
        for pid in daemon.helpers():
            os.kill(pid, signal.SIGKILL)
        wait_no_slot(server)
        strike.detach()
        walker.signal(signal.SIGCONT)
    item = daemon.api.wait_final("main", number)
    assert item["Dbsnap"]["State"] == "AVAILABLE"
    assert [j["Attempts"] for j in jobs(daemon)] == ["2"]
    daemon.wait_idle()
    assert set(os.listdir(disk.path(".dbsnap", "main"))) == {"marker.json", number}


@pytest.mark.parametrize("backend", ["copy"], indirect=True)
def test_nothing_stays_of_a_refused_one(daemon, server, disk, make_liar):
    liar = make_liar(server, [(STOP, 1, "LABEL: dbsnap", "LABEL: other", 1)])
    daemon.add_server("main", liar, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
    daemon.reload()
    item = daemon.api.wait_final("main", daemon.api.create("main"))
    assert item["Dbsnap"]["State"] == "FAILED"
    assert "its label has another name" in item["Dbsnap"]["Cause"]
    daemon.wait_idle()
    assert os.listdir(disk.path(".dbsnap", "main")) == ["marker.json"]
    wait_no_slot(server)
