# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify: good backups of every backend are good, each kind of damage is found, nothing outlives its job."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess

import pytest

from harness.postgres import USER, bindir
from harness.process import eventually, held
from harness.verify import KINDS, QUOTA, Bed, cut, flip, in_cells, wait_job


def fill(server):
    """A table with an index, known to the catalogue; the newest rows are only in WAL."""
    server.sql("CREATE TABLE t (id int PRIMARY KEY, body text)")
    server.sql("INSERT INTO t SELECT i, md5(i::text) || repeat('x', 100) FROM generate_series(1, 20000) AS i")
    server.sql("VACUUM ANALYZE t")
    server.sql("CHECKPOINT")
    # Too long for what is left of the pages: recovery would make good what a test damages in them.
    server.sql("INSERT INTO t SELECT i, md5(i::text) || repeat('y', 500) FROM generate_series(20001, 21000) AS i")


class PostgresBed(Bed):
    """With a filled server on a disk."""

    def __init__(self, make_disk, make_server, make_daemon, backend, settings=None):
        self.bindir = bindir()
        disk = make_disk(KINDS[backend])
        server = make_server(disk.subvolume("pg", USER))
        fill(server)
        super().__init__(disk, server, make_daemon(quota=QUOTA, **(settings or {})), backend)
        self.daemon.add_server("main", server, backend=backend, snapshot_dir=disk.path("snaps"))
        self.daemon.start()
        self.backup = self.api.create_and_wait("main", timeout=120)

    def file_of(self, relation):
        return self.data(self.server.value("SELECT pg_relation_filepath(%s)", relation))


@pytest.fixture
def make_bed(make_disk, make_server, make_daemon):
    return lambda backend="btrfs", **how: PostgresBed(make_disk, make_server, make_daemon, backend, **how)


@pytest.mark.parametrize("backend", KINDS)
def test_a_good_backup_is_good(make_bed, backend):
    bed = make_bed(backend)
    job, verified = bed.verify()
    assert (job["State"], job["Kind"]) == ("Done", "VerifyBackup"), job
    assert (verified["Result"], verified["By"]) == ("Good", "uid:0"), verified
    assert "pg_amcheck" in verified["Checked"] and "Found" not in verified
    bed.check_nothing_left()


def newest_segment(bed):
    """The WAL that recovery needs: of the last checkpoint's redo location."""
    done = subprocess.run([os.path.join(bed.bindir, "pg_controldata"), bed.data()], capture_output=True, text=True)
    name = [line for line in done.stdout.splitlines() if "REDO WAL file" in line][0].split()[-1]
    return bed.data("pg_wal", name)


def redo_offset(bed):
    done = subprocess.run([os.path.join(bed.bindir, "pg_controldata"), bed.data()], capture_output=True, text=True)
    lsn = [line for line in done.stdout.splitlines() if "REDO location" in line][0].split()[-1]
    return int(lsn.split("/")[1], 16) % (16 << 20)


DAMAGES = {
    "heap page": lambda bed: flip(bed.file_of("t"), 8192 * 3 + 4000),
    "index page": lambda bed: flip(bed.file_of("t_pkey"), 8192 * 2 + 4000, 64),
    "wal segment": lambda bed: flip(newest_segment(bed), redo_offset(bed) + 8, 64),
    "pg_control": lambda bed: flip(bed.data("global/pg_control"), 40),
    "missing segment": lambda bed: os.unlink(newest_segment(bed)),
    "truncated page": lambda bed: cut(bed.file_of("t"), 8192 * 300 + 3000),
    "truncated file": lambda bed: cut(bed.file_of("t"), 8192 * 10),
    "missing file": lambda bed: os.unlink(bed.file_of("t")),
    "missing index": lambda bed: os.unlink(bed.file_of("t_pkey")),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("backend", ["btrfs", "copy"])
def test_damage_is_found(make_bed, backend, damage):
    bed = make_bed(backend)
    bed.writable()
    DAMAGES[damage](bed)
    job, verified = bed.verify()
    assert job["State"] == "Done", job
    assert verified["Result"] == "Bad" and verified["Found"], verified
    eventually(lambda: "do not rely on it" in bed.daemon.log_text(), what="the loud line")
    bed.check_nothing_left()


# ---- what the database's owner has put there is not run, and reaches nothing ----

def test_settings_of_the_backup_are_not_used(make_bed):
    """Each of them would keep the server, or a session, from starting."""
    bed = make_bed("btrfs")
    bed.writable()
    with open(bed.data("postgresql.auto.conf"), "a", encoding="utf-8") as file:
        file.write("archive_mode = on\narchive_command = 'touch /tmp/clone/archived; false'\n"
                   "shared_preload_libraries = 'not_there'\nrestore_command = 'sleep 1000'\n"
                   "ssl = on\nssl_passphrase_command = 'sleep 1000'\nlisten_addresses = '*'\nport = 1\n"
                   "hba_file = '/nowhere'\nlocal_preload_libraries = 'not_there'\nbogus = on\n")
    job, verified = bed.verify()
    assert verified["Result"] == "Good", (job, verified)
    bed.check_nothing_left()


def test_settings_of_databases_are_not_used(make_bed):
    """Each of them would keep a session from being, or from looking."""
    bed = make_bed("btrfs")
    bed.server.sql("CREATE DATABASE \"it's \\ = another\"")
    for setting in ("session_preload_libraries = 'not_there'", "local_preload_libraries = 'not_there'",
                    "default_transaction_read_only = on", "statement_timeout = '1ms'"):
        bed.server.sql("ALTER DATABASE \"it's \\ = another\" SET " + setting)
    bed.backup = bed.api.create_and_wait("main")
    job, verified = bed.verify()
    assert verified["Result"] == "Good" and "3 databases" in verified["Checked"], (job, verified)


def index_that_calls(server, body):
    """An index on t that runs these statements of PL/pgSQL where it is verified, for its first row; nothing in the source."""
    server.sql("CREATE FUNCTION act() RETURNS int LANGUAGE plpgsql AS $act$ DECLARE said text; BEGIN "
               + body + " RETURN 1; END $act$")
    server.sql("CREATE FUNCTION spy(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $spy$ BEGIN "
               "IF current_setting('data_directory') = '/tmp/clone' THEN PERFORM public.act(); END IF; RETURN i; END $spy$")
    server.sql("CREATE INDEX spying ON t (spy(id))")


HANG = "PERFORM pg_catalog.pg_sleep(600);"


def test_no_network_and_nothing_of_the_machine(make_bed, srv):
    """An index runs a program of the backup's owner: what does that reach?"""
    bed = make_bed("btrfs")
    os.mkdir("/srv/free")
    os.chmod("/srv/free", 0o777)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tries = {"net": f"echo > /dev/tcp/127.0.0.1/{listener.getsockname()[1]}", "free": "touch /srv/free/x",
                 "source": f"ls {bed.server.data_dir}/base", "sockets": f"ls {bed.server.sockets}/.s*",
                 "proc": "ls /proc/1", "self": "touch /tmp/clone/x", "sys": "ls /sys/class"}
        script = "; ".join(f"({line}) >/dev/null 2>&1 && echo -n {name}:yes, || echo -n {name}:no," for name, line in tries.items())
        index_that_calls(bed.server, f"EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', $q$bash -c '({script}; id -un) "
                         "> /tmp/clone/spied'$q$); said := pg_catalog.pg_read_file('spied'); RAISE EXCEPTION '%', said;")
        bed.backup = bed.api.create_and_wait("main")
        _, verified = bed.verify()
    said = next(line for line in verified["Found"] if "net:" in line)
    assert dict(part.split(":") for part in said.split("ERROR:")[1].strip().split(",")[:-1]) == {
        "net": "no", "free": "no", "source": "no", "sockets": "no", "proc": "no", "self": "yes", "sys": "yes"}
    assert said.endswith(USER)
    bed.check_nothing_left()


def test_programs_of_others_are_not_run(make_bed, scratch):
    bed = make_bed("btrfs")
    real, folder = bindir(), scratch.folder("bin")
    for name in ("postgres", "psql", "pg_amcheck", "pg_checksums"):
        os.symlink(os.path.join(real, name), os.path.join(folder, name))
    shutil.chown(folder, USER)
    # /var/tmp above them is everybody's, so root's own folder there is refused as well.
    for path in (folder, bed.server.data_dir, scratch.folder("root")):
        settings = bed.daemon.clusters["main"]
        settings["database"]["bindir"] = path
        bed.daemon.add_cluster("main", **{name: value for name, value in settings.items() if name != "id"})
        bed.daemon.reload()
        job, verified = bed.verify()
        assert job["State"] == "Failed" and "not run" in job["Cause"] and "database.bindir" in job["Remedy"], job
        assert verified is None
    bed.check_nothing_left()


# ---- nothing outlives it ----

def hanging(bed):
    """A verification that hangs in the server's index check; its job."""
    index_that_calls(bed.server, HANG)
    bed.backup = bed.api.create_and_wait("main")
    job = bed.begin()
    eventually(lambda: in_cells("pg_amcheck"), 60, "pg_amcheck runs")
    return job


def test_a_killed_worker_leaves_nothing(make_bed):
    bed = make_bed("btrfs")
    job = hanging(bed)
    left = held(bed.daemon.descendants())
    bed.daemon.kill_one("workers")
    for process in left[1:]:
        if process.pid != bed.daemon.front():
            process.wait_end(10)
    eventually(lambda: in_cells("pg_amcheck"), 60, "the next attempt")
    assert bed.api.call("CancelJob", JobId=job)[0] == 200
    assert wait_job(bed.api, job)["State"] == "Cancelled"
    bed.check_nothing_left()


def test_a_killed_engine_leaves_nothing(make_bed):
    bed = make_bed("btrfs")
    job = hanging(bed)
    bed.daemon.kill()
    assert not in_cells("postgres")
    bed.daemon.start()
    eventually(lambda: in_cells("pg_amcheck"), 60, "the next attempt")
    assert bed.api.call("CancelJob", JobId=job)[0] == 200
    assert wait_job(bed.api, job)["State"] == "Cancelled"
    bed.check_nothing_left()


def test_what_hangs_is_ended_and_says_nothing_of_the_backup(make_bed):
    bed = make_bed("copy", settings={"jobs": {"timeout": "8s"}})
    job = wait_job(bed.api, hanging(bed))
    assert job["State"] == "Failed" and "jobs.timeout" in job["Cause"] and job["Attempts"] == "1", job
    assert "Verified" not in bed.api.backup("main", bed.backup["BackupId"])["Dbsnap"]
    bed.check_nothing_left()


def test_a_process_of_the_server_that_is_killed_says_nothing_of_the_backup(make_bed):
    """As by the kernel when memory runs out: the one that looks is the largest."""
    bed = make_bed("btrfs")
    job = hanging(bed)

    def looks():
        for pid in bed.daemon.descendants():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                if file.read().startswith(b"postgres: dbsnap_"):
                    return pid
        return None
    os.kill(eventually(looks, 30, "the process that looks"), signal.SIGKILL)
    job = wait_job(bed.api, job)
    assert job["State"] == "Failed" and "memory" in job["Remedy"] and "was terminated by signal 9" in job["Cause"], job
    assert "Verified" not in bed.api.backup("main", bed.backup["BackupId"])["Dbsnap"]
    bed.check_nothing_left()


def test_recovery_has_to_reach_the_floor(make_bed):
    """WAL of the backup is cut off behind what recovery has to begin with: the server would start without a word."""
    bed = make_bed("btrfs")
    bed.writable()
    flip(newest_segment(bed), redo_offset(bed) + 200000, 64)
    _, verified = bed.verify()
    assert verified["Result"] == "Bad" and "has to reach" in " ".join(verified["Found"]), verified
    bed.check_nothing_left()
