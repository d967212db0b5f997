# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedures A and G, clones and refusals, against real servers under load."""
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from harness import postgres
from harness.disk import run, unmount
from harness.driver import Driver, Refused
from harness.load import Acked, check_sums
from harness.postgres import USER, Server, tool
from harness.process import Pid, children, eventually, program


# Commits are acknowledged before they are durable, and nobody hurries.
LAZY = "synchronous_commit = off\nwal_writer_delay = 10s\nautovacuum = off\n"


@pytest.fixture
def driver(programs):
    return Driver(programs)


class Shelf:
    """Folders on the disk for cuts and clones."""

    def __init__(self, disk, driver):
        self.disk = disk
        self.driver = driver
        self.clones = disk.path("clones")
        self.count = 0
        os.mkdir(self.clones, 0o711)

    def folder(self):
        self.count += 1
        path = self.disk.path(f"cut{self.count}")
        os.mkdir(path, 0o700)
        return path

    def cut(self, server):
        """(folder, answer) of a cut of that server's data directory."""
        folder = self.folder()
        return folder, self.driver.cut(server.data_dir, server.conninfo, folder)

    def clone(self, folder, name=None):
        """(path, answer) of a clone of that cut."""
        name = name or f"clone{self.count}"
        answer = self.driver.clone(os.path.join(folder, "data"), self.clones, name)
        return os.path.join(self.clones, name), answer


@pytest.fixture
def shelf(btrfs, driver):
    return Shelf(btrfs, driver)


def lsn(text):
    high, low = (int(half, 16) for half in text.split("/"))
    return high << 32 | low


def cut_tails(path):
    """Takes half a block off the end of files, which a cut amid a file's growth may leave.

    The server ignores such a tail and overwrites it; pg_checksums calls it unreadable.
    """
    for folder, _, names in os.walk(os.path.join(path, "base")):
        for name in names:
            file = os.path.join(folder, name)
            size = os.path.getsize(file)
            if re.fullmatch(r"\d+(_\w+)?(\.\d+)?", name) and size % 8192:
                os.truncate(file, size - size % 8192)


@pytest.mark.parametrize("synchronous_commit", ["on", "off"])
def test_backups_under_load(daemon, pg, pgbench, start_clone, synchronous_commit):
    """Each of eight clones starts beside its source and has every acknowledged commit."""
    if synchronous_commit == "off":
        pgbench.stop()
        pg.stop()
        pg.configure(LAZY)
        pg.start()
        pgbench.start()
    with Acked(pg, synchronous_commit=synchronous_commit) as ids:
        backups = []
        for _ in range(8):
            ids.wait_more(100)
            must = ids.acked()
            backups.append((must, daemon.api.create_and_wait("main")))
    pgbench.stop()
    for number, (must, backup) in enumerate(backups):
        clone = daemon.api.clone_and_wait("main", backup["BackupId"], f"c{number}")
        server = start_clone(clone["ClonePath"])
        assert not ids.missing(server, must), f"backup {number} lacks acknowledged ids"
        check_sums(server)
        server.amcheck()
        server.stop()
        cut_tails(clone["ClonePath"])
        server.checksums()


def test_last_asynchronous_commit_is_in_the_cut(pg, shelf, start_clone):
    """A commit in a page of WAL that is not yet full: only our flush makes it durable."""
    pg.stop()
    pg.configure(LAZY)
    pg.start()
    pg.sql("CREATE TABLE t(i int)")
    cuts = []
    for number in range(3):
        pg.sql("INSERT INTO t VALUES (%s)", number)
        cuts.append(shelf.cut(pg)[0])
    for number, cut in enumerate(cuts):
        server = start_clone(shelf.clone(cut, f"c{number}")[0])
        assert server.value("SELECT count(*) FROM t") == number + 1
        server.stop()


def test_cut_reaches_its_floor(pg, pgbench, shelf, start_clone):
    cut, answer = shelf.cut(pg)
    assert (answer["procedure"], answer["promise"]) == ("A", "atomic")
    path, _ = shelf.clone(cut)
    server = start_clone(path)
    assert lsn(server.value("SELECT pg_current_wal_lsn()")) >= lsn(answer["floor"])
    server.stop()


def test_without_asking_the_server(make_daemon, btrfs, pg, pgbench, start_clone):
    """quiesce: none. No session, the promise of a power cut, and a clone that starts."""
    daemon = make_daemon()
    daemon.add_cluster("main", pg.data_dir, database={
        "type": "postgresql", "user": USER, "conninfo": "host=/nowhere", "quiesce": "none"})
    daemon.start()
    with Acked(pg) as ids:
        ids.wait_more(100)
        must = ids.acked()
        backup = daemon.api.create_and_wait("main")
    pgbench.stop()
    assert backup["Dbsnap"]["Promise"] == "crash"
    clone = daemon.api.clone_and_wait("main", backup["BackupId"], "c")
    server = start_clone(clone["ClonePath"])
    assert not ids.missing(server, must)
    check_sums(server)
    server.stop()


def test_manifest_names_copies_of_outside_configuration(make_daemon, btrfs, pg, folder):
    extra = os.path.join(folder, "extra.conf")
    with open(extra, "w", encoding="ascii") as file:
        file.write("work_mem = '8MB'\n")
    with open(os.path.join(pg.data_dir, "postgresql.conf"), "a", encoding="ascii") as file:
        file.write(f"include '{extra}'\n")
    pg.sql("SELECT pg_reload_conf()")
    eventually(lambda: pg.value("SHOW work_mem") == "8MB", what="the reload")
    daemon = make_daemon()
    daemon.add_server("main", pg)
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    path = os.path.join(daemon.snapshot_dir("main"), backup["BackupId"])
    with open(os.path.join(path, "manifest.json"), encoding="ascii") as file:
        manifest = json.load(file)
    assert manifest["config"] == extra[1:].replace("/", "%")
    with open(os.path.join(path, "config", manifest["config"]), encoding="ascii") as file:
        assert file.read() == "work_mem = '8MB'\n"


def test_refused_backup_says_why(make_daemon, btrfs, pg):
    """Cause and remedy reach the record, and nothing is left on the disk."""
    daemon = make_daemon()
    daemon.add_server("main", pg)
    daemon.start()
    wal = os.path.join(pg.data_dir, "pg_wal")
    pg.stop()
    run("mv", wal, btrfs.path("wal"))
    os.symlink(btrfs.path("wal"), wal)
    item = daemon.api.wait_final("main", daemon.api.create("main"))
    assert item["Dbsnap"]["State"] == "FAILED"
    assert "pg_wal is a link to" in item["Dbsnap"]["Cause"], item
    assert item["Dbsnap"]["Remedy"]
    status, answer = daemon.api.call("CreateBackup", DBClusterId="main")
    assert (status, answer["Code"]) == (403, "OperationDenied.Layout"), answer
    assert "pg_wal is a link to" in answer["Message"]
    daemon.wait_idle()
    assert set(btrfs.subvolumes()) == {"pg"}


def test_clone_does_not_touch_its_source(pg, shelf, start_clone, folder):
    """Everything of the source's settings that leads to the source or outside is cut off."""
    archive = os.path.join(folder, "archive")
    os.mkdir(archive, 0o777)
    os.chmod(archive, 0o777)
    pg.stop()
    pg.configure(f"archive_mode = on\narchive_command = 'cp %p {archive}/%f'\n"
                 f"wal_level = logical\ndata_directory = '{pg.data_dir}'\n"
                 f"hba_file = '{pg.data_dir}/pg_hba.conf'\n"
                 f"external_pid_file = '{pg.folder}/pid'\n"
                 "shared_preload_libraries = 'auto_explain'\n")
    pg.start()
    pg.sql("SELECT pg_create_physical_replication_slot('p', true)")
    pg.sql("SELECT pg_create_logical_replication_slot('l', 'test_decoding')")
    pg.sql("CREATE TABLE t AS SELECT 1 AS i")
    pg.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    pg.sql("SELECT pg_reload_conf()")
    cut, _ = shelf.cut(pg)
    image = os.path.join(cut, "data")
    before = subprocess.run(["find", image, "-printf", "%P %s %T@\n"], capture_output=True).stdout
    path, answer = shelf.clone(cut, "c")
    assert (answer["socket_dir"], answer["port"]) == (path, "5432")
    assert oct(os.stat(path).st_mode & 0o777) == "0o700"
    slots = pg.sql("SELECT slot_name, restart_lsn FROM pg_replication_slots ORDER BY 1")
    archived = set(os.listdir(archive))
    pid_file = open(f"{pg.folder}/pid", encoding="utf-8").read()
    server = start_clone(path)
    assert server.sockets == path
    for name, value in {"data_directory": path, "hba_file": path + "/pg_hba.conf",
                        "listen_addresses": "", "archive_mode": "off",
                        "external_pid_file": "", "primary_conninfo": "",
                        "synchronous_standby_names": "", "shared_preload_libraries": "",
                        "max_logical_replication_workers": "0", "cluster_name": "c"}.items():
        assert server.value(f"SHOW {name}") == value, name
    assert server.sql("SELECT * FROM pg_replication_slots") == []
    server.sql("UPDATE t SET i = 2")
    server.sql("SELECT pg_switch_wal()")
    server.sql("CHECKPOINT")
    assert pg.value("SELECT i FROM t") == 1
    assert pg.sql("SELECT slot_name, restart_lsn FROM pg_replication_slots ORDER BY 1") == slots
    server.stop()
    assert set(os.listdir(archive)) == archived
    assert open(f"{pg.folder}/pid", encoding="utf-8").read() == pid_file
    after = subprocess.run(["find", image, "-printf", "%P %s %T@\n"], capture_output=True).stdout
    assert after == before
    assert pg.running()


def test_clone_with_configuration_elsewhere(btrfs, make_server, shelf, start_clone, folder):
    """As on Debian: no configuration file in the data directory. Prepared transactions survive."""
    data_dir = btrfs.subvolume("pg", USER)
    server = make_server(data_dir, start=False)
    etc = os.path.join(folder, "etc")
    os.mkdir(etc)
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        run("mv", os.path.join(data_dir, name), etc)
    extra = os.path.join(etc, "extra.conf")
    with open(extra, "w", encoding="utf-8") as file:
        file.write("max_prepared_transactions = 5\nmax_connections = 222\n")
    with open(os.path.join(etc, "postgresql.conf"), "a", encoding="utf-8") as file:
        file.write(f"include '{extra}'\ndata_directory = '{data_dir}'\n"
                   f"hba_file = '{etc}/pg_hba.conf'\nident_file = '{etc}/pg_ident.conf'\n")
    run("chown", "-R", f"{USER}:", etc)
    server.start("-o", f"-c config_file={etc}/postgresql.conf")
    connection = server.connect()
    cursor = connection.cursor()
    for text in ("CREATE TABLE t(i int)", "BEGIN", "INSERT INTO t VALUES (1)", "PREPARE TRANSACTION 'x'"):
        cursor.execute(text)
    connection.close()
    cut, _ = shelf.cut(server)
    saved = {name.replace("%", "/") for name in os.listdir(os.path.join(cut, "config"))}
    assert saved == {f"{etc[1:]}/{name}" for name in
                     ("postgresql.conf", "pg_hba.conf", "pg_ident.conf", "extra.conf")}
    path, _ = shelf.clone(cut, "it's")
    with open(os.path.join(path, "pg_hba.conf"), encoding="utf-8") as file:
        assert "local all all peer" in file.read()
    tool("pg_ctl", "-D", path, "-w", "-l", os.path.join(server.folder, "clone.log"), "start")
    said = tool("psql", "-h", path, "-U", USER, "-d", "postgres", "-Atc",
                "SELECT gid FROM pg_prepared_xacts; SHOW max_connections")
    tool("pg_ctl", "-D", path, "-w", "-m", "fast", "stop")
    assert said.split() == ["x", "222"]


def test_clone_never_follows_links(pg, shelf, folder):
    """Links of the tree's owner go; where data should be, they end the clone."""
    victim = os.path.join(folder, "victim")
    with open(victim, "w", encoding="utf-8") as file:
        file.write("mine")
    os.chmod(victim, 0o666)
    auto = os.path.join(pg.data_dir, "postgresql.auto.conf")
    os.unlink(auto)
    os.symlink(victim, auto)
    os.symlink("/etc/passwd", os.path.join(pg.data_dir, "server.key"))
    os.mkfifo(os.path.join(pg.data_dir, "fifo"))
    cut, _ = shelf.cut(pg)
    path, _ = shelf.clone(cut, "c")
    links = subprocess.run(["find", path, "-not", "-type", "f", "-not", "-type", "d"],
                           capture_output=True, text=True).stdout
    assert links == ""
    assert open(victim, encoding="utf-8").read() == "mine"
    os.symlink(victim, os.path.join(pg.data_dir, "base/1/77777"))
    cut, _ = shelf.cut(pg)
    with pytest.raises(Refused, match="symbolic link where PostgreSQL keeps data: base/1/77777"):
        shelf.clone(cut, "d")


@pytest.mark.parametrize("name", ["base/1/77777", "global/77777", "pg_tblspc/77777", "pg_wal", "pg_xact/0077"])
def test_clone_with_a_link_where_data_should_be(pg, shelf, folder, name):
    """In whatever way it came into the image: what it leads to is not in the clone, nor written by it."""
    cut, _ = shelf.cut(pg)
    run("btrfs", "property", "set", os.path.join(cut, "data"), "ro", "false")
    path = os.path.join(cut, "data", name)
    if os.path.isdir(path):
        shutil.move(path, os.path.join(folder, "moved"))
    os.symlink(os.path.join(folder, "moved"), path)
    with pytest.raises(Refused, match=f"symbolic link where PostgreSQL keeps data: {name}"):
        shelf.clone(cut, "c")


def test_standby_as_source(btrfs, pg, pgbench, shelf, start_clone):
    standby = Server(btrfs.subvolume("standby", USER), pg.folder, sockets=pg.sockets + "b")
    tool("pg_basebackup", "-h", pg.sockets, "-U", USER, "-D", standby.data_dir, "-R", "-c", "fast")
    standby.configure(f"unix_socket_directories = '{standby.sockets}'\ncheckpoint_timeout = 1h\n"
                      "max_wal_size = 10GB\n")
    standby.log = os.path.join(standby.sockets, "log")
    standby.start()
    try:
        with Acked(pg) as ids:
            ids.wait_more(200)
        pgbench.stop()
        target = pg.value("SELECT pg_current_wal_flush_lsn()")
        eventually(lambda: lsn(standby.value("SELECT pg_last_wal_replay_lsn()")) >= lsn(target))
        cut, answer = shelf.cut(standby)
        assert lsn(answer["floor"]) >= lsn(target)
        path, _ = shelf.clone(cut, "c")
        server = start_clone(path)
        assert server.value("SELECT pg_is_in_recovery()") is False
        assert not ids.missing(server, ids.acked())
        check_sums(server)
        server.amcheck()
        server.stop()
        # Promoted: the WAL is on a new timeline, the last checkpoint still on the old one.
        standby.sql("SELECT pg_promote()")
        standby.sql("SELECT pg_switch_wal()")
        standby.sql("INSERT INTO acked VALUES (0)")
        segment = standby.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
        cut, answer = shelf.cut(standby)
        assert segment.startswith("00000002")
        server = start_clone(shelf.clone(cut, "promoted")[0])
        assert server.value("SELECT count(*) FROM acked WHERE id = 0") == 1
        server.stop()
    finally:
        standby.close()


def make_and_drop_tablespace(server, path):
    """Of which nothing but the WAL tells afterwards. Empty: else the server makes a checkpoint before it drops it."""
    os.mkdir(path)
    shutil.chown(path, USER)
    server.sql(f"CREATE TABLESPACE gone LOCATION '{path}'")
    server.sql("DROP TABLESPACE gone")


@pytest.mark.parametrize("stopped", [False, True])
def test_tablespace_that_only_the_wal_knows(btrfs, pg, shelf, start_clone, stopped):
    """Replay makes its folder where the source's was: nothing that is to be started elsewhere may have it."""
    pg.sql("CHECKPOINT")
    make_and_drop_tablespace(pg, btrfs.path("gone"))
    if stopped:
        pg.kill()
    os.utime(btrfs.path("gone"), (0, 0))
    with pytest.raises(Refused, match="makes a tablespace") as refused:
        path, _ = shelf.clone(shelf.cut(pg)[0])
        start_clone(path).stop()
        assert os.stat(btrfs.path("gone")).st_mtime == 0, "the clone was in the source's folder"
    assert refused.value.retry and "CHECKPOINT" in refused.value.remedy
    if stopped:
        pg.start()
    pg.sql("CHECKPOINT")
    os.utime(btrfs.path("gone"), (0, 0))
    start_clone(shelf.clone(shelf.cut(pg)[0])[0]).stop()
    assert os.stat(btrfs.path("gone")).st_mtime == 0


@pytest.mark.parametrize("label", [False, True])
def test_no_clone_of_an_image_that_makes_a_tablespace(btrfs, pg, driver, shelf, label):
    """However it came to be a backup: a clone is looked at by itself."""
    pg.sql("SELECT pg_create_physical_replication_slot('keep', true)")
    backup = pg.connect()
    with backup.cursor() as cursor:
        cursor.execute("SELECT pg_backup_start('dbsnap 7', true)")
        make_and_drop_tablespace(pg, btrfs.path("gone"))
        cursor.execute("SELECT labelfile FROM pg_backup_stop(false)")
        text, = cursor.fetchone()
    backup.close()
    if label:
        # From its own beginning, not from the checkpoint that pg_control names.
        pg.sql("CHECKPOINT")
    pg.kill()
    folder = shelf.folder()
    run("cp", "-a", pg.data_dir, os.path.join(folder, "data"))
    name = os.path.join(folder, "data", "backup_label")
    if label:
        with open(name, "w", encoding="ascii") as file:
            file.write(text)
        shutil.chown(name, USER)
    with pytest.raises(Refused, match="makes a tablespace") as refused:
        Driver(driver.programs, backend="copy").clone(os.path.join(folder, "data"), shelf.clones, "c")
    assert not refused.value.retry and "make a new one" in refused.value.remedy
    if label:
        with open(name, "w", encoding="ascii") as file:
            file.write("nonsense")
        with pytest.raises(Refused, match="backup_label is damaged"):
            Driver(driver.programs, backend="copy").clone(os.path.join(folder, "data"), shelf.clones, "d")


def test_stopped_server(pg, pgbench, shelf, start_clone):
    pgbench.stop()
    sums = check_sums(pg)
    pg.kill()
    cut, answer = shelf.cut(pg)
    assert (answer["procedure"], answer["promise"]) == ("G", "stopped")
    path, _ = shelf.clone(cut, "c")
    server = start_clone(path)
    assert check_sums(server) == sums
    server.stop()


def test_stopped_server_started_during_the_cut(pg, shelf, driver):
    pg.stop()
    held = driver.held_cut(pg.data_dir, pg.conninfo, shelf.folder())
    held.cut()
    pg.start()
    with pytest.raises(Refused) as refused:
        held.end()
    assert refused.value.retry and f"process {pg.main.pid} " in refused.value.cause


def test_stopped_server_written_during_the_cut(pg, shelf, driver):
    pg.stop()
    held = driver.held_cut(pg.data_dir, pg.conninfo, shelf.folder())
    pg.start()
    pg.stop()
    held.cut()
    with pytest.raises(Refused, match="was written to during the backup"):
        held.end()


def test_stopped_server_without_its_wal(pg, shelf):
    pg.kill()
    redo = tool("pg_controldata", "-D", pg.data_dir).split("REDO WAL file:")[1].split()[0]
    os.rename(os.path.join(pg.data_dir, "pg_wal", redo), os.path.join(pg.data_dir, "pg_wal", "x"))
    with pytest.raises(Refused, match="WAL that recovery would begin with"):
        shelf.cut(pg)


def test_stopped_server_whose_files_somebody_writes(pg, driver):
    pg.stop()
    with open(os.path.join(pg.data_dir, "PG_VERSION"), "r+b"):
        refused = refusal(driver, pg.data_dir, pg.conninfo)
    assert f"process {os.getpid()} " in refused.cause
    with open(os.path.join(pg.data_dir, "PG_VERSION"), "rb"):
        assert driver.check(pg.data_dir, pg.conninfo)["procedure"] == "G"


def test_restart_during_the_cut(pg, shelf, driver):
    held = driver.held_cut(pg.data_dir, pg.conninfo, shelf.folder())
    held.cut()
    pg.kill()
    pg.start()
    with pytest.raises(Refused, match="restarted during the backup") as refused:
        held.end()
    assert refused.value.retry


def test_cut_is_read_only_and_destroyed_with_all_in_it(btrfs, pg, shelf, driver):
    cut, answer = shelf.cut(pg)
    assert answer["read_only"] == "1"
    path, _ = shelf.clone(cut, "c")
    run("btrfs", "subvolume", "create", path + "/pg_wal/a")
    run("btrfs", "subvolume", "create", path + "/pg_wal/a/b")
    driver.destroy(shelf.clones, "c")
    driver.destroy(shelf.clones, "c")
    driver.destroy(cut, "data")
    assert set(btrfs.subvolumes()) == {"pg"}
    os.makedirs(os.path.join(cut, "strange", "inside"))
    with pytest.raises(Refused, match="no snapshot"):
        driver.destroy(cut, "strange")
    os.symlink(pg.data_dir, os.path.join(cut, "link"))
    with pytest.raises(Refused):
        driver.destroy(cut, "link")
    assert pg.value("SELECT 1") == 1


def test_measure_counts_what_is_allocated(btrfs, pg, driver):
    path = os.path.join(pg.data_dir, "hole")
    before = driver.measure(pg.data_dir)
    with open(path, "wb") as file:
        file.truncate(1 << 40)
        os.pwrite(file.fileno(), b"x" * 65536, 0)
        os.fsync(file.fileno())
    os.link(path, path + "2")
    os.symlink("/", os.path.join(pg.data_dir, "out"))
    shutil.chown(path, USER)
    assert 60000 < driver.measure(pg.data_dir) - before < 1 << 20


def test_nothing_of_a_killed_worker_stays(pg, shelf, driver):
    held = driver.held_cut(pg.data_dir, pg.conninfo, shelf.folder())
    helpers = [Pid(pid) for pid in children(held.process.pid)]
    assert [program(helper.pid) for helper in helpers] == ["dbsnapd-helper-postgresql"]
    held.process.kill()
    helpers[0].wait_end()
    held.process.communicate()
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbsnap'"
    eventually(lambda: pg.value(sessions) == 0)


def start_elsewhere(server, *mounts):
    """Starts a server in a mount namespace of its own, in which these are mounted first."""
    script = "".join(f"mount -t tmpfs none '{path}'; " for path in mounts)
    run("unshare", "--mount", "--propagation", "private", "bash", "-ec", script +
        f"exec setpriv --reuid={USER} --regid={USER} --clear-groups {postgres.bindir()}/pg_ctl "
        f"-D {server.data_dir} -w -l {server.log} start >/dev/null")
    with open(os.path.join(server.data_dir, "postmaster.pid"), encoding="utf-8") as file:
        server.main = Pid(int(file.readline()))


def test_server_in_another_mount_namespace(pg, driver):
    """What counts is that it sees the same files."""
    pg.stop()
    start_elsewhere(pg)
    assert driver.check(pg.data_dir, pg.conninfo)["procedure"] == "A"
    pg.stop()
    inside = os.path.join(pg.data_dir, "base", "inside")
    os.mkdir(inside)
    start_elsewhere(pg, inside)
    refused = refusal(driver, pg.data_dir, pg.conninfo)
    assert f"process {pg.main.pid}" in refused.cause and f"{inside} is mounted" in refused.cause


# Refusals: cause and remedy, and nothing made.

def refusal(driver, data_dir, conninfo="host=/nowhere dbname=postgres"):
    with pytest.raises(Refused) as refused:
        driver.check(data_dir, conninfo)
    assert refused.value.cause
    return refused.value


def test_refuses_what_is_no_data_directory(btrfs, driver, folder):
    assert "does not exist" in refusal(driver, btrfs.path("missing")).cause
    with open(btrfs.path("file"), "w", encoding="utf-8"):
        pass
    assert "is not a directory" in refusal(driver, btrfs.path("file")).cause
    data_dir = btrfs.subvolume("sub", USER)
    os.symlink(data_dir, btrfs.path("link"))
    cause = refusal(driver, btrfs.path("link")).cause
    assert "symbolic link" in cause and data_dir in cause
    refused = refusal(driver, data_dir)
    assert "holds no database" in refused.cause and "database.type: none" in refused.remedy


def test_refuses_a_plain_folder_and_its_remedy_works(btrfs, make_server, driver):
    data_dir = btrfs.path("plain")
    os.mkdir(data_dir, 0o700)
    server = make_server(data_dir)
    refused = refusal(driver, data_dir, server.conninfo)
    assert "plain folder" in refused.cause
    server.stop()
    run("bash", "-ec", refused.remedy.split("then: ")[1])
    server.start()
    assert driver.check(data_dir, server.conninfo)["procedure"] == "A"


@pytest.mark.parametrize("name, shown", [
    ("a b;touch $(echo pwned)", True), ("it's; touch pwned", False), ("new\nline", False)])
def test_remedy_is_no_command_of_the_folders_owner(btrfs, driver, folder, name, shown):
    """Whoever owns the folder above names the directory; root may paste the remedy."""
    data_dir = btrfs.path(name)
    os.mkdir(data_dir, 0o700)
    shutil.chown(data_dir, USER)
    remedy = refusal(Driver(driver.programs, type="none"), data_dir).remedy
    assert ("then: " in remedy) == shown
    if shown:
        subprocess.run(["bash", "-ec", remedy.split("then: ")[1]], cwd=folder, check=True)
        assert os.path.isdir(data_dir + ".old") and os.listdir(folder) == []


def test_refuses_other_file_systems(make_disk, make_server, driver):
    disk = make_disk("ext4", "512M")
    server = make_server(disk.subvolume("pg", USER))
    refused = refusal(driver, server.data_dir, server.conninfo)
    assert "lies on ext4" in refused.cause and "btrfs" in refused.remedy


def test_refuses_nested_subvolume_and_mount(btrfs, pg, driver):
    nested = os.path.join(pg.data_dir, "base", "nested")
    run("btrfs", "subvolume", "create", nested)
    refused = refusal(driver, pg.data_dir, pg.conninfo)
    assert "nested subvolume base/nested" in refused.cause and refused.remedy
    run("btrfs", "subvolume", "delete", nested)
    inside = os.path.join(pg.data_dir, "a mount")
    os.mkdir(inside)
    run("mount", "-t", "tmpfs", "none", inside)
    refused = refusal(driver, pg.data_dir, pg.conninfo)
    unmount(inside)
    assert f"{inside} is mounted inside" in refused.cause
    assert driver.check(pg.data_dir, pg.conninfo)["procedure"] == "A"


def test_refuses_tablespaces_that_are_no_subvolumes(btrfs, pg, driver):
    wal = os.path.join(pg.data_dir, "pg_wal")
    tables = btrfs.path("tables")
    os.mkdir(tables)
    shutil.chown(tables, USER)
    pg.sql(f"CREATE TABLESPACE ts LOCATION '{tables}'")
    refused = refusal(driver, pg.data_dir, pg.conninfo)
    assert re.match(rf"tablespace \d+: {tables} is a plain folder", refused.cause)
    assert "btrfs subvolume create" in refused.remedy
    pg.sql("DROP TABLESPACE ts")
    assert driver.check(pg.data_dir, pg.conninfo)["procedure"] == "A"
    pg.stop()
    run("mv", wal, btrfs.path("wal"))
    os.symlink(btrfs.path("wal"), wal)
    refused = refusal(driver, pg.data_dir, pg.conninfo)
    assert f"pg_wal is a link to {btrfs.path('wal')}" in refused.cause


def test_refuses_settings(pg, driver):
    pg.sql("ALTER SYSTEM SET fsync = off")
    pg.sql("SELECT pg_reload_conf()")
    refused = refusal(driver, pg.data_dir, pg.conninfo)
    assert "fsync is off" in refused.cause and "fsync = on" in refused.remedy
    pg.sql("ALTER SYSTEM SET fsync = on")
    pg.sql("ALTER SYSTEM SET full_page_writes = off")
    pg.sql("SELECT pg_reload_conf()")
    assert "full_page_writes was off" in driver.check(pg.data_dir, pg.conninfo)["weakened"]
    with open(os.path.join(pg.data_dir, "backup_label"), "w", encoding="utf-8"):
        pass
    assert "backup_label" in refusal(driver, pg.data_dir, pg.conninfo).cause


def test_refuses_another_server(btrfs, pg, make_server, driver):
    other = make_server(btrfs.subvolume("other", USER), fresh=True)
    refused = refusal(driver, pg.data_dir, other.conninfo)
    assert f"process {other.main.pid}" in refused.cause and other.data_dir in refused.cause
    pg.stop()
    assert other.data_dir in refusal(driver, pg.data_dir, other.conninfo).cause


def test_refuses_a_server_that_conninfo_does_not_reach(pg, driver):
    refused = refusal(driver, pg.data_dir, "host=/nowhere dbname=postgres")
    assert f"process {pg.main.pid} (postgres)" in refused.cause
    assert "unix_socket_directories" in refused.remedy


def test_refuses_a_hung_server_in_time(pg, driver):
    pg.hang()
    refused = refusal(driver, pg.data_dir, pg.conninfo)
    pg.unhang()
    assert f"process {pg.main.pid} (postgres), which is stopped (SIGSTOP)" in refused.cause
    assert refused.retry


def test_refuses_without_rights_and_says_which(pg, driver):
    conninfo = pg.conninfo.replace("user=postgres", "user=dbsnap")
    refused = refusal(driver, pg.data_dir, conninfo)
    assert "does not let us in" in refused.cause and "CREATE ROLE dbsnap" in refused.remedy
    pg.sql("CREATE ROLE dbsnap LOGIN")
    refused = refusal(driver, pg.data_dir, conninfo)
    assert "data_directory" in refused.cause and "pg_read_all_settings" in refused.remedy
    pg.sql("GRANT pg_read_all_settings TO dbsnap")
    assert driver.check(pg.data_dir, conninfo)["procedure"] == "A"


def test_role_of_readme_is_let_in_by_peer(pg, driver):
    conninfo = pg.conninfo.replace("user=postgres", "user=dbsnap")
    pg.sql("CREATE ROLE dbsnap LOGIN; GRANT pg_read_all_settings TO dbsnap")
    hba = os.path.join(pg.data_dir, "pg_hba.conf")
    with open(hba, encoding="utf-8") as file:
        lines = file.read()
    with open(hba, "w", encoding="utf-8") as file:
        file.write("local all dbsnap peer map=dbsnap\n" + lines)
    pg.sql("SELECT pg_reload_conf()")

    def rejected():
        try:
            driver.check(pg.data_dir, conninfo)
        except Refused as refused:
            return "Peer authentication failed" in refused.cause
        return False
    eventually(rejected)
    with open(os.path.join(pg.data_dir, "pg_ident.conf"), "a", encoding="utf-8") as file:
        file.write("dbsnap postgres dbsnap\n")
    pg.sql("SELECT pg_reload_conf()")
    eventually(lambda: not rejected())
    assert driver.check(pg.data_dir, conninfo)["procedure"] == "A"


def test_refuses_a_database_of_another_user(pg, programs):
    refused = refusal(Driver(programs, "nobody"), pg.data_dir, pg.conninfo)
    assert refused.cause


def test_refuses_whoever_took_the_servers_socket(pg, driver):
    pg.stop()
    host = re.search(r"host=(\S+)", pg.conninfo)[1]
    port = re.search(r"port=(\d+)", pg.conninfo)
    path = os.path.join(host, f".s.PGSQL.{port[1] if port else 5432}")
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(path)
        os.chmod(path, 0o777)
        taken.listen()
        refused = refusal(driver, pg.data_dir, pg.conninfo)
    os.unlink(path)
    assert "is run by uid 0, not by database.user" in refused.cause, refused.cause


def test_refuses_a_damaged_control_file(pg, driver):
    pg.stop()
    path = os.path.join(pg.data_dir, "global", "pg_control")
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"\xff")
    assert "pg_control is damaged" in refusal(driver, pg.data_dir).cause
    with open(path, "r+b") as file:
        file.seek(8)
        file.write((1800).to_bytes(4, "little"))
    assert "knows 13 to 17" in refusal(driver, pg.data_dir).cause
