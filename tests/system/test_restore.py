# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup takes the place of its cluster's data directory: nothing is lost, whatever happens on the way."""
import os
import shutil
import subprocess

import pytest

from harness import invariants
from harness.clients import DIED
from harness.disk import run, unmount

from harness.hung import Hung
from harness.load import Acked
from harness.postgres import USER
from harness.process import eventually
from harness.source import digest
from harness.steps import CHANGES, Pause, Strike

QUOTA = {"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**6}
OWNER = 1  # daemon, on every system
CELLS = [("btrfs", "btrfs"), ("xfs", "reflink"), ("ext4", "copy")]


class Restores:
    """A daemon with the cluster `main`, which may be restored in place."""

    def __init__(self, daemon, disk, data_dir):
        self.daemon, self.api, self.disk, self.data_dir = daemon, daemon.api, disk, data_dir

    def begin(self, backup):
        return self.api.ok("RestoreBackup", BackupId=backup)["JobId"]

    def job(self, number):
        job, = self.api.ok("DescribeJobs", JobId=number)["Items"]["Job"]
        return job

    def end(self, number, timeout=60):
        def ended():
            job = self.job(number)
            return job if job["State"] not in ("Pending", "Running") else None
        return eventually(ended, timeout, f"restore {number} ends")

    def restore(self, backup):
        """The job that did it."""
        job = self.end(self.begin(backup))
        assert job["State"] == "Done", job
        assert job["Kind"] == "RestoreBackup" and job["Attempts"] == "1" and job["BackupId"] == backup
        return job

    def refused(self, backup):
        job = self.end(self.begin(backup))
        assert job["State"] == "Failed", job
        return job

    def plan(self, backup):
        return self.api.ok("RestoreBackup", BackupId=backup, DryRun="true")

    def beside(self):
        """Names in the folder of the data directory that a restore made."""
        folder, name = os.path.split(self.data_dir)
        return sorted(n for n in os.listdir(folder) if n.startswith((".dbsnap-restore", name + ".before-")))

    def check(self):
        invariants.check(self.daemon, self.disk)


@pytest.fixture
def make_restores(make_disk, make_server, make_daemon):
    """make_restores(kind): (Restores, its running server) on a disk of that kind."""
    def make(kind, size="2G", **settings):
        disk = make_disk(kind, size)
        server = make_server(disk.subvolume("pg", USER))
        daemon = make_daemon(quota=QUOTA)
        daemon.add_server("main", server, **{"snapshot_dir": disk.path(".dbsnap", "main"), "min_free": "0%",
                                             "restore": "in-place", **settings})
        daemon.start()
        return Restores(daemon, disk, server.data_dir), server
    return make


@pytest.fixture
def make_files(make_disk, make_daemon):
    """make_files(kind): Restores of a folder of plain files."""
    def make(kind="btrfs", size="600M", **settings):
        disk = make_disk(kind, size)
        data = disk.files("data", OWNER)
        daemon = make_daemon(quota=QUOTA)
        daemon.add_cluster("main", data, **{"database": {"type": "none"}, "min_free": "0%", "restore": "in-place",
                                            "snapshot_dir": disk.path(".dbsnap", "main"), **settings})
        daemon.start()
        restores = Restores(daemon, disk, data)
        write(restores, "one")
        return restores
    return make


def write(restores, text):
    path = os.path.join(restores.data_dir, "file")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chown(path, OWNER, OWNER)


def read(folder):
    with open(os.path.join(folder, "file"), encoding="ascii") as file:
        return file.read()


def belongings(path):
    entry = os.stat(path)
    return entry.st_uid, entry.st_gid, entry.st_mode


def is_subvolume(path):
    return subprocess.run(["btrfs", "subvolume", "show", path], capture_output=True).returncode == 0


@pytest.mark.parametrize("kind, backend", CELLS)
def test_server(make_restores, make_server, kind, backend):
    """The source is the backup's state again, by its own configuration; what was there is kept, and starts."""
    restores, server = make_restores(kind)
    server.sql("SELECT pg_create_physical_replication_slot('slot', true)")
    with Acked(server) as ids:
        ids.wait_more(200)
        must = ids.acked()
        backup = restores.api.create_and_wait("main")
        at_end = ids.acked()
        ids.wait_more(200)
    every = ids.acked()
    assert backup["Dbsnap"]["Backend"] == backend
    with open(os.path.join(server.data_dir, "postgresql.conf"), encoding="utf-8") as file:
        conf = file.read()
    server.stop()
    before = belongings(server.data_dir)
    old = digest(server.data_dir)
    job = restores.restore(backup["BackupId"])
    kept = job["KeptPath"]
    assert kept == f"{server.data_dir}.before-{job['JobId']}"
    assert restores.beside() == [os.path.basename(kept)]
    assert digest(kept) == old
    assert belongings(server.data_dir) == belongings(kept) == before
    assert is_subvolume(server.data_dir) == is_subvolume(kept) == (kind == "btrfs")
    assert not os.path.exists(os.path.join(server.data_dir, "postmaster.pid"))
    with open(os.path.join(server.data_dir, "postgresql.conf"), encoding="utf-8") as file:
        assert file.read() == conf
    server.start()
    found = {row[0] for row in server.sql("SELECT id FROM acked")}
    assert must <= found, "acknowledged before, and missing"
    assert len(found - at_end) <= 3 and len(every - found) >= 150, "the state of another moment"
    server.sql("INSERT INTO acked(id) VALUES (1)")
    server.amcheck()
    # What is kept starts as well, and has everything.
    server.stop()
    other = make_server_of(make_server, kept, restores.disk)
    assert not ids.missing(other, every)
    other.close()
    # Backups go on, of what is there now.
    server.start()
    restores.api.create_and_wait("main")
    restores.check()


def make_server_of(make_server, path, disk):
    """The server of a data directory that is there already, on a socket of its own."""
    from harness.postgres import Server
    folder = disk.path("kept-server")
    os.mkdir(folder, 0o755)
    server = Server(path, folder)
    server.start("-o", f"-c unix_socket_directories={server.sockets}")
    return server


@pytest.mark.parametrize("kind, backend", CELLS)
def test_files(make_files, kind, backend):
    """Twice in a row, and back to the first."""
    restores = make_files(kind)
    first = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    second = restores.api.create_and_wait("main")
    assert second["Dbsnap"]["Backend"] == backend
    write(restores, "three")
    restores.restore(first)
    assert read(restores.data_dir) == "one"
    restores.restore(second["BackupId"])
    assert read(restores.data_dir) == "two"
    job = restores.restore(first)
    assert read(restores.data_dir) == "one" and read(job["KeptPath"]) == "two"
    folder = os.path.dirname(restores.data_dir)
    assert [read(os.path.join(folder, n)) for n in restores.beside()] == ["three", "one", "two"]
    restores.check()


def test_running_server(make_restores):
    """Refused, and who it is; the plan says the same; nothing has changed, a byte nor a name."""
    restores, server = make_restores("btrfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    plan = restores.plan(backup)
    assert plan["Ok"] == "false" and f"process {server.main.pid} (postgres)" in plan["Refusal"], plan
    assert "stop the server" in plan["Remedy"]
    job = restores.refused(backup)
    assert f"process {server.main.pid} (postgres)" in job["Cause"] and job["Attempts"] == "1", job
    done = restores.daemon.client("restore", backup, "--yes")
    assert done.returncode == 1 and f"process {server.main.pid} (postgres)" in done.stderr
    # Nobody answers, and it is there all the same.
    server.hang()
    os.rename(server.sockets, server.sockets + ".away")
    job = restores.refused(backup)
    assert f"process {server.main.pid} (postgres), which is stopped (SIGSTOP)" in job["Cause"], job
    os.rename(server.sockets + ".away", server.sockets)
    server.unhang()
    assert restores.beside() == [] and server.value("SELECT 1") == 1
    server.stop()
    assert restores.plan(backup)["Ok"] == "true"
    restores.check()


def test_refused_before_anything(make_restores):
    """Not a name is made for a restore that is going to be refused."""
    restores, server = make_restores("xfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    with Strike(restores.daemon, "mkdirat", 1) as strike:
        job = restores.refused(backup)
        assert not strike.struck()
    assert job["Attempts"] == "1" and "(postgres)" in job["Cause"], job


# Whoever listened there first is no more, as with a server in namespaces that we do not see into.
HEIR = """
import os, select, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
listener.listen()
if os.fork():
    os._exit(0)
print(flush=True)
while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
    listener.accept()[0].close()
"""


def test_out_of_sight(make_restores):
    """Somebody answers, and who he is cannot be told: he is taken for the server."""
    restores, server = make_restores("xfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    server.stop()
    path = os.path.join(server.sockets, ".s.PGSQL.5432")
    with subprocess.Popen(["python3", "-c", HEIR, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as heir:
        heir.stdout.readline()
        heir.wait(30)
        job = restores.refused(backup)
        assert "the server runs" in job["Cause"] and "answers at conninfo" in job["Cause"], job
        heir.stdin.close()
        heir.stdout.read()
    os.unlink(path)
    assert restores.beside() == []
    restores.restore(backup)


def test_label_is_lost(make_restores):
    """A walked backup without its label would recover from the wrong place, and say nothing."""
    restores, server = make_restores("xfs")
    backup = restores.api.create_and_wait("main")
    server.stop()
    os.unlink(os.path.join(backup["Dbsnap"]["Path"], "data", "backup_label"))
    eventually(lambda: restores.plan(backup["BackupId"])["Ok"] == "true", what="the server's last process has ended")
    job = restores.refused(backup["BackupId"])
    assert "backup_label is missing" in job["Cause"] and restores.beside() == [], job


class Holder:
    """A process that does something in a folder and stays until it is told to end."""

    def __init__(self, folder, code, path):
        self.process = subprocess.Popen(
            ["python3", "-c", f"import os, sys\n{code}\nprint(flush=True)\nsys.stdin.read()", path], cwd=folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=OWNER, group=OWNER, extra_groups=[])
        self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
@pytest.mark.parametrize("code, where, says", [
    ("f = open(sys.argv[1] + '/file')", "/", "/file open"), ("f = open(sys.argv[1] + '/deep/one')", "/", "/deep/one open"),
    ("", "deep", "works in"), ("f = os.open(sys.argv[1], os.O_RDONLY)", "/", "/data open")])
def test_held(make_files, kind, code, where, says):
    """Whoever has anything in the tree open, or works there, is in the way; on the same disk beside it, nobody is."""
    restores = make_files(kind)
    os.mkdir(os.path.join(restores.data_dir, "deep"), 0o755)
    os.chown(os.path.join(restores.data_dir, "deep"), OWNER, OWNER)
    with open(os.path.join(restores.data_dir, "deep", "one"), "w", encoding="ascii"):
        pass
    backup = restores.api.create_and_wait("main")["BackupId"]
    os.chmod(restores.disk.mnt, 0o755)
    with Holder(os.path.join(restores.data_dir, where), code, restores.data_dir) as holder:
        plan = restores.plan(backup)
        assert f"process {holder.process.pid} (python3), which runs, " in plan["Refusal"], plan
        assert says in plan["Refusal"], plan
        assert restores.refused(backup)["Cause"] == plan["Refusal"]
    assert restores.beside() == []
    with open(restores.disk.path("beside"), "w", encoding="ascii"):
        restores.restore(backup)
    restores.check()


def test_beside_a_disk_that_hangs(make_files, scratch):
    """Somebody has a file open whose server does not answer: nobody asks it."""
    restores = make_files("xfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    with Hung(scratch.folder("hung")):
        job = restores.end(restores.begin(backup), 20)
    assert job["State"] == "Done" and read(restores.data_dir) == "one", job


def test_held_by_one_that_cannot_be_seen(make_files):
    """As in a container that was not given SYS_PTRACE: what cannot be looked at proves nothing."""
    restores = make_files("xfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    os.chmod(restores.disk.mnt, 0o755)
    restores.daemon.stop()
    argv = restores.daemon.argv
    restores.daemon.argv = lambda *options: ["setpriv", "--bounding-set", "-sys_ptrace", *argv(*options)]
    restores.daemon.start()
    with Holder("/", "f = open(sys.argv[1] + '/file')", restores.data_dir) as holder:
        job = restores.refused(backup)
        assert f"process {holder.process.pid} (python3)" in job["Cause"] and "SYS_PTRACE" in job["Remedy"], job
    assert restores.beside() == []


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_started_between_the_proofs(make_restores, kind):
    """The worker is held before it writes out the copy; the server starts; it stays, with its data."""
    restores, server = make_restores(kind)
    backup = restores.api.create_and_wait("main")["BackupId"]
    server.sql("CREATE TABLE later AS SELECT 1 AS n")
    server.stop()
    inode = os.stat(server.data_dir).st_ino
    with Pause(restores.daemon, "syncfs", 1) as pause:
        job = restores.begin(backup)
        pause.wait()
        server.start()
    job = restores.end(job)
    assert job["State"] == "Failed" and f"process {server.main.pid} (postgres)" in job["Cause"], job
    assert "exchanged back" not in job["Cause"], "too late: the names were exchanged already"
    assert restores.beside() == [] and os.stat(server.data_dir).st_ino == inode
    assert server.value("SELECT n FROM later") == 1
    restores.check()


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_held_at_the_exchange(make_files, kind):
    """Somebody comes between the last proof and the exchange: exchanged back."""
    restores = make_files(kind)
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    os.chmod(restores.disk.mnt, 0o755)
    # The paper twice, the backup's name, the exchange.
    with Pause(restores.daemon, "renameat2", 2) as pause:
        job = restores.begin(backup)
        pause.wait()
        with Holder("/", "f = open(sys.argv[1] + '/file')", restores.data_dir) as holder:
            pause.release()
            job = restores.end(job)
    assert job["State"] == "Failed" and "exchanged back" in job["Cause"], job
    assert f"process {holder.process.pid} (python3)" in job["Cause"]
    assert read(restores.data_dir) == "two" and restores.beside() == []
    restores.restore(backup)
    restores.check()


@pytest.mark.parametrize("kind", ["btrfs", "xfs", "ext4"])
def test_lost_directory(make_files, kind):
    """It is made again; what is on another disk than it was is not mounted."""
    restores = make_files(kind)
    backup = restores.api.create_and_wait("main")["BackupId"]
    before = belongings(restores.data_dir)
    os.rename(restores.data_dir, restores.disk.path("away"))
    assert any("which is missing now" in step for step in restores.plan(backup)["Steps"])
    assert "KeptPath" not in restores.restore(backup)
    assert read(restores.data_dir) == "one" and belongings(restores.data_dir) == before
    assert is_subvolume(restores.data_dir) == (kind == "btrfs")
    assert restores.beside() == []
    restores.check()


@pytest.mark.parametrize("killed", [False, True])
def test_name_is_taken(make_files, killed):
    """What has the name already that the old directory is to get (an earlier installation's numbers were the same) does not
    say that this restore is done, whichever attempt finds it."""
    restores = make_files("xfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    restores.daemon.wait_idle()
    os.mkdir(f"{restores.data_dir}.before-{int(backup) + 1}")
    if killed:
        with Strike(restores.daemon, "flock", 1) as strike:
            job = restores.begin(backup)
            assert strike.wait(lambda: False)
        job = restores.end(job)
    else:
        job = restores.refused(backup)
    assert job["State"] == "Failed" and f".before-{job['JobId']} is there already" in job["Cause"], job
    assert job["Attempts"] == ("2" if killed else "1") and read(restores.data_dir) == "two"
    restores.restore(backup)
    assert read(restores.data_dir) == "one"


def test_name_is_taken_before_its_turn(make_files):
    """After the job was accepted, in the old directory's time: that says nothing either."""
    restores = make_files("xfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    restores.daemon.wait_idle()
    with Pause(restores.daemon, "flock", 1) as pause:
        job = restores.begin(backup)
        pause.wait()
        os.mkdir(f"{restores.data_dir}.before-{job}")
    job = restores.end(job)
    assert job["State"] == "Failed" and ".before-" in job["Cause"], job
    assert read(restores.data_dir) == "two"
    restores.check()


@pytest.mark.parametrize("kind, lost", [("btrfs", True), ("xfs", True), ("xfs", False)])
def test_killed_before_it_tells(make_files, kind, lost):
    """Nothing is left of it but the copy, which says by itself that the restore is done, whatever a clock or a name says."""
    restores = make_files(kind)
    backup = restores.api.create_and_wait("main")["BackupId"]
    if lost:
        os.rename(restores.data_dir, restores.disk.path("away"))
    restores.daemon.wait_idle()
    # The copy, the exchange, the old directory's name, the folder that is gone.
    with Strike(restores.daemon, "syncfs", 4) as strike:
        job = restores.begin(backup)
        assert strike.wait(lambda: False)
    job = restores.end(job)
    assert job["State"] == "Done" and ("KeptPath" not in job) == lost and job["Attempts"] == "2", job
    restores.check()


@pytest.mark.parametrize("kind, killed", [("xfs", False), ("btrfs", True)])
def test_kept_name_is_taken_after_the_exchange(make_files, kind, killed):
    """Nothing is undone any more, and nothing has failed: it waits for the name, says where the old data is, and ends then."""
    restores = make_files(kind)
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    restores.daemon.wait_idle()
    number = str(int(backup) + 1)
    kept = f"{restores.data_dir}.before-{number}"
    work = os.path.join(os.path.dirname(restores.data_dir), ".dbsnap-restore-" + number)
    with (Strike if killed else Pause)(restores.daemon, "renameat2", 3) as hold:
        job = restores.begin(backup)
        assert job == number
        if killed:
            assert hold.wait(lambda: False)
        else:
            hold.wait()
        os.mkdir(kept)

    def tried():
        shown = restores.job(job)
        return shown if int(shown["Attempts"]) >= 3 or "EndTime" in shown else None
    shown = eventually(tried, 60, "attempts")
    assert shown["State"] in ("Pending", "Running") and f"before is {work}/data; " in shown["Cause"], shown
    assert read(restores.data_dir) == "one" and read(os.path.join(work, "data")) == "two"
    os.rmdir(kept)
    job = restores.end(job, 300)
    assert (job["State"], job["KeptPath"]) == ("Done", kept) and read(kept) == "two", job
    assert restores.beside() == [os.path.basename(kept)]
    restores.check()


def killed_after_the_exchange(restores, backup):
    """A restore whose engine dies right after the names were exchanged: its job."""
    with Strike(restores.daemon, "renameat2", 2, "STOP") as strike:
        job = restores.begin(backup)
        assert strike.wait(lambda: False)
        restores.daemon.kill()
        strike.detach()
    return job


def test_copy_is_moved_away_after_the_exchange(make_files):
    """By somebody, before the old directory has its own name: it is told where that is, for as long as it is."""
    restores = make_files("xfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    restores.daemon.wait_idle()
    job = killed_after_the_exchange(restores, backup)
    away = restores.disk.path("away")
    os.rename(restores.data_dir, away)
    os.mkdir(restores.data_dir)
    restores.daemon.start()
    eventually(lambda: restores.job(job).get("Cause"), 60, "what it waits for")
    shown = restores.job(job)
    assert shown["State"] in ("Pending", "Running") and f"/.dbsnap-restore-{job}/data; " in shown["Cause"], shown
    os.rmdir(restores.data_dir)
    os.rename(away, restores.data_dir)
    job = restores.end(job)
    assert job["State"] == "Done" and read(restores.data_dir) == "one" and read(job["KeptPath"]) == "two", job
    restores.check()


def test_off(make_files):
    """As the cluster's file says, and a reload changes it."""
    restores = make_files()
    backup = restores.api.create_and_wait("main")["BackupId"]
    cluster = dict(restores.daemon.clusters["main"])
    for word in ("off", None):
        settings = {k: v for k, v in cluster.items() if k not in ("id", "data_dir", "restore")}
        restores.daemon.add_cluster("main", restores.data_dir, **settings, **({"restore": word} if word else {}))
        restores.daemon.reload()
        status, answer = restores.api.call("RestoreBackup", BackupId=backup)
        assert (status, answer["Code"]) == (403, "OperationDenied.Layout") and "is off" in answer["Message"], answer
        plan = restores.plan(backup)
        assert plan["Ok"] == "false" and "is off" in plan["Refusal"] and "README" in plan["Remedy"], plan
    restores.daemon.add_cluster("main", restores.data_dir, **settings, restore="in-place")
    restores.daemon.reload()
    restores.restore(backup)


def test_client(make_files):
    """The plan first; then it asks, or wants --yes."""
    restores = make_files()
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    done = restores.daemon.client("restore", backup, "--dry-run")
    assert done.returncode == 0 and "exchange the two in one step" in done.stdout, done
    assert restores.data_dir + ".before-JOB" in done.stdout
    done = restores.daemon.client("restore", backup, "--wait")
    assert done.returncode == 1 and "without --yes" in done.stderr and read(restores.data_dir) == "two"
    done = restores.daemon.client("restore", backup, "--wait", "--yes")
    assert done.returncode == 0 and "What was there before is " + restores.data_dir + ".before-" in done.stdout, done
    assert read(restores.data_dir) == "one"
    os.chmod(restores.disk.mnt, 0o755)
    with Holder("/", "f = open(sys.argv[1] + '/file')", restores.data_dir) as holder:
        done = restores.daemon.client("restore", backup, "--dry-run")
        assert done.returncode == 1 and f"process {holder.process.pid} (python3)" in done.stderr, done


def test_top_of_a_mount(make_files, make_disk):
    """Nothing can be exchanged for it."""
    restores = make_files("xfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    run("mount", "--bind", restores.data_dir, restores.data_dir)
    try:
        plan = restores.plan(backup)
        assert "is the top of a mount" in plan["Refusal"] and "README" in plan["Remedy"], plan
        assert restores.refused(backup)["Cause"] == plan["Refusal"] and restores.beside() == []
    finally:
        unmount(restores.data_dir)


def test_another_disk(make_files, make_disk):
    """A copy comes back from another disk; a directory that is missing there is not mounted."""
    other = make_disk("ext4", "300M")
    restores = make_files("xfs", backend="copy", snapshot_dir=other.path("backups"))
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    restores.restore(backup)
    assert read(restores.data_dir) == "one"
    mnt = restores.disk.mnt
    restores.disk.umount()
    plan = restores.plan(backup)
    assert "not mounted?" in plan["Refusal"], plan
    assert restores.refused(backup)["Cause"] == plan["Refusal"] and os.listdir(mnt) == []


def test_full_disk(make_files):
    """Told with its bytes before anything is made; and when it fills up on the way, nothing is left."""
    restores = make_files("ext4", "200M", backend="copy")
    with open(os.path.join(restores.data_dir, "large"), "wb") as file:
        file.write(os.urandom(20 << 20))
    os.chown(os.path.join(restores.data_dir, "large"), OWNER, OWNER)
    backup = restores.api.create_and_wait("main")["BackupId"]
    with Pause(restores.daemon, "mkdirat", 2) as pause:  # the folder is made, the copy is not
        job = restores.begin(backup)
        pause.wait()
        ballast = restores.disk.fill(5 << 20)
    job = restores.end(job, 120)
    assert job["State"] == "Failed" and "are needed in all" in job["Cause"], job
    assert restores.beside() == [] and read(restores.data_dir) == "one"
    plan = restores.plan(backup)
    assert "a copy needs 2" in plan["Refusal"] and "MiB free" in plan["Refusal"], plan
    os.unlink(ballast)
    restores.restore(backup)
    restores.check()


# ---- a crash before or after every call that changes something ----


class Crashes:
    """One restore after another of the same backup, each of a directory that says something else."""

    def __init__(self, restores):
        self.restores = restores
        os.makedirs(os.path.join(restores.data_dir, "deep", "er"))
        for name in ("a", "deep/b", "deep/er/c"):
            with open(os.path.join(restores.data_dir, name), "wb") as file:
                file.write(os.urandom(5000))
        for path, _, names in os.walk(restores.data_dir):
            for name in [".", *names]:
                os.chown(os.path.join(path, name), OWNER, OWNER)
        self.backup = restores.api.create_and_wait("main")["BackupId"]
        self.new = digest(restores.data_dir)
        self.count = 0

    def begin(self):
        # What is looked at after a restore must not be struck in its place.
        self.restores.daemon.wait_idle()
        for name in self.restores.beside():
            shutil.rmtree(os.path.join(os.path.dirname(self.restores.data_dir), name))
        self.count += 1
        write(self.restores, f"old {self.count}")
        self.old = digest(self.restores.data_dir)
        self.job = None

    def ask(self):
        self.job = self.restores.begin(self.backup)

    def ended(self):
        try:
            return self.restores.job(self.job)["State"] not in ("Pending", "Running")
        except DIED:
            return False

    def check_whole(self):
        """At any moment: the old one or the new one, whole."""
        assert digest(self.restores.data_dir) in (self.old, self.new)

    def check_end(self):
        """The new one, and the old one is kept: a crash is no reason to give up."""
        eventually(self.ended, 60, "the restore ends")
        job = self.restores.job(self.job)
        assert job["State"] == "Done", job
        assert digest(self.restores.data_dir) == self.new
        assert digest(job["KeptPath"]) == self.old
        assert self.restores.beside() == [os.path.basename(job["KeptPath"])]

    def strike_each(self, calls, what, after):
        strikes = {}
        for call in calls:
            for n in range(1, 40):
                self.begin()
                with Strike(self.restores.daemon, call, n, what) as strike:
                    self.ask()
                    struck = strike.wait(self.ended)
                    if struck:
                        self.check_whole()
                        after(strike)
                self.check_end()
                if not struck:
                    break
                strikes[call] = n
            else:
                raise AssertionError(f"no end of {call}")
        print(what, strikes)
        return strikes


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_worker_killed_before_any_change(make_files, kind):
    crashes = Crashes(make_files(kind))
    strikes = crashes.strike_each([*CHANGES, "syncfs"], "KILL", Strike.detach)
    assert strikes["renameat2"] == 3 and strikes["syncfs"] >= 3 and sum(strikes.values()) >= 15, strikes
    crashes.restores.check()


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_engine_killed_after_any_change(make_files, kind):
    """The worker stands still right after the change, so the engine dies at that moment."""
    crashes = Crashes(make_files(kind))

    def kill(strike):
        crashes.restores.daemon.kill()
        strike.detach()
        crashes.check_whole()
        crashes.restores.daemon.start()
    strikes = crashes.strike_each(["mkdirat", "fchmod", "fsync", "renameat", "renameat2", "ioctl", "unlinkat", "syncfs"],
                                  "STOP", kill)
    assert strikes["renameat2"] == 3 and sum(strikes.values()) >= 12, strikes
    crashes.restores.check()
    invariants.check_recovery(crashes.restores.daemon)


def test_disk_is_not_there_after_a_crash(make_files, make_disk):
    """The names are exchanged, and whether they are cannot be told until the disk is mounted again: that is no failure."""
    other = make_disk("ext4", "300M")
    restores = make_files("xfs", backend="copy", snapshot_dir=other.path("backups"))
    backup = restores.api.create_and_wait("main")["BackupId"]
    write(restores, "two")
    restores.daemon.wait_idle()
    job = killed_after_the_exchange(restores, backup)
    restores.disk.umount()
    restores.daemon.start()
    eventually(lambda: "not mounted?" in restores.daemon.log_text(), 30, "an attempt")
    assert restores.job(job)["State"] in ("Pending", "Running"), restores.job(job)
    restores.disk.mount()
    job = restores.end(job)
    assert job["State"] == "Done" and read(restores.data_dir) == "one" and read(job["KeptPath"]) == "two", job
    restores.check()


@pytest.mark.parametrize("call, n, state, said", [("renameat2", 1, "Failed", "(postgres)"), ("renameat2", 2, "Done", None)])
def test_server_started_after_a_crash(make_restores, call, n, state, said):
    """As systemd does at boot: before the exchange it is in the way, the old data stays; after it nothing is."""
    restores, server = make_restores("btrfs")
    backup = restores.api.create_and_wait("main")["BackupId"]
    server.sql("CREATE TABLE later AS SELECT 1 AS n")
    server.stop()
    with Strike(restores.daemon, call, n, "STOP") as strike:
        job = restores.begin(backup)
        assert strike.wait(lambda: False)
        restores.daemon.kill()
        strike.detach()
    server.start()
    restores.daemon.start()
    job = restores.end(job)
    assert job["State"] == state and (not said or said in job["Cause"]), job
    assert bool(server.value("SELECT to_regclass('later')")) == (state == "Failed")
    assert restores.beside() == ([] if state == "Failed" else [os.path.basename(job["KeptPath"])])
    restores.check()
