# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB on XFS through the real daemon: the whole server stands still while its files are taken, is never held for longer
than database.max_freeze, and never left held.

DBSNAP_CUTS: cuts under load (8). DBSNAP_HOLDS: holds that end otherwise than by themselves (as many as fit HOLDS_S).
"""
import errno
import fcntl
import os
import random
import re
import select
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import invariants, reports
from harness.disk import run, unmount
from harness.inject import Inject
from harness.mariadb import USER
from harness.mariadb_cuts import cut_and_check, slow_create
from harness.mariadb_load import check_sums, create
from harness.process import eventually, held, status_fields
from harness.steps import Pause
from harness.stills import LOOK_S, Stills, is_still
from harness.tally import Tally

CUTS = int(os.environ.get("DBSNAP_CUTS", "8"))
HOLDS = int(os.environ.get("DBSNAP_HOLDS", "0"))
HOLDS_S = 30.0
SEED = int(os.environ.get("DBSNAP_SEED", "1"))
QUOTA = {"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**6}


class Cell:
    """A server on a disk and a daemon with the cluster `main` for it."""

    def __init__(self, disk, server, daemon, database=None, backend="auto"):
        self.disk, self.server, self.daemon = disk, server, daemon
        daemon.add_mariadb("main", server, database, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%", backend=backend)
        daemon.start()
        self.api = daemon.api

    def create(self):
        backup = self.api.create_and_wait("main", timeout=120)
        assert backup["Dbsnap"]["State"] == "AVAILABLE", backup
        job, = self.api.ok("DescribeJobs", JobId=backup["BackupId"])["Items"]["Job"]
        assert job["Attempts"] == "1", self.daemon.log_text()
        return backup

    def clone(self, backup, name):
        return self.api.clone_and_wait("main", backup["BackupId"], name, 120)["ClonePath"]


@pytest.fixture
def make_cell(make_disk, make_mariadb, make_daemon):
    def make(database=None, kind="xfs", backend="auto", **settings):
        disk = make_disk(kind, size="4G")
        data_dir = disk.path("my")
        os.mkdir(data_dir, 0o700)
        server = make_mariadb(data_dir, **settings)
        return Cell(disk, server, make_daemon(quota=QUOTA), database, backend)
    return make


@pytest.mark.parametrize("plain", [False, True], ids=["innodb", "plain"])
def test_under_load(make_cell, start_mariadb_clone, plain):
    cell = make_cell({"max_freeze": "1m"})
    create(cell.server, plain)

    def make(number, load):
        return slow_create(cell, load) if number % 2 else cell.create()

    def see(backup):
        assert (backup["Dbsnap"]["Procedure"], backup["Dbsnap"]["Promise"]) == ("E", "recovered")
        assert float(backup["Dbsnap"]["FreezeMs"]) > 0
    cut_and_check(cell, "mariadb-e-plain" if plain else "mariadb-e", CUTS, make, start_mariadb_clone, see, plain=plain)


# Holds that end otherwise than by themselves

MAX_FREEZE_S = 2.0
# What this machine's scheduler and a restart of the daemon may add to it; the bound itself is 100 ms.
SLACK_S = 1.5 if reports.in_use() else 0.6
FILES = 3000


def add_files(server, count=FILES, name="filler"):
    """Tables of a kind: so many that the server is held for a while."""
    folder = server.data_dir + ".filler"
    os.mkdir(folder, 0o700)
    for number in range(count):
        with open(os.path.join(folder, f"t{number}.frm"), "wb") as file:
            file.write(os.urandom(4096))
    run("chown", "-R", f"{USER}:", folder)
    os.rename(folder, os.path.join(server.data_dir, name))


class Holds:
    """Creates that something happens to while the server is held."""

    def __init__(self, cell, rng):
        self.cell, self.rng = cell, rng
        self.stills = None

    def one(self, event):
        """A create, and the event at a random moment of its hold. How long the server was held at most, in seconds."""
        try:
            longest = self.hold(event)
        finally:
            self.mend()
        assert os.listdir(os.path.join(self.cell.daemon.run_dir, "frozen")) == []
        assert self.cell.server.value("SELECT 1") == 1
        # Where they are counted it is the bound itself.
        assert longest <= MAX_FREEZE_S + 0.1 + (0 if HOLDS else SLACK_S), f"held for {longest:.3f} s"
        return longest

    def hold(self, event):
        with Stills(self.cell.server.main.pid) as self.stills:
            backup_id = self.cell.api.create("main")
            self.stills.wait()
            threading.Event().wait(self.rng.random() * 0.1)
            getattr(self, event)(backup_id)
            self.wait_final(backup_id)
            eventually(lambda: self.stills.since is None, 10, "the server runs")
            return self.stills.longest()

    def mend(self):
        """Whatever became of the last one, the next one begins with a daemon and a server that run."""
        if os.path.exists(self.cell.disk.path("ballast")):
            os.unlink(self.cell.disk.path("ballast"))
        if not self.cell.daemon.running():
            self.cell.daemon.start()
        if not self.cell.server.main.alive():
            self.cell.server.reap()
            self.cell.server.start()
        self.cell.server.unhang()

    def wait_final(self, backup_id):
        item = self.cell.api.wait_final("main", backup_id, 120)
        assert item["Dbsnap"]["State"] in ("AVAILABLE", "FAILED", "CANCELLED"), item
        snapshots = self.cell.disk.path(".dbsnap", "main")
        eventually(lambda: not [n for n in os.listdir(snapshots) if n.startswith(".")], 30, "nothing in the making")

    def kill(self, pids):
        for pid in held(pids):
            try:
                pid.kill()
            except ProcessLookupError:
                pass

    def worker(self, _):
        self.kill(self.cell.daemon.workers())

    def walker(self, _):
        self.kill(self.cell.daemon.walkers())

    def helper(self, _):
        """Hangs: it answers no more."""
        for pid in held(self.cell.daemon.helpers()):
            pid.signal(signal.SIGSTOP)

    def front(self, _):
        self.cell.daemon.kill_front()

    def engine(self, _):
        self.cell.daemon.kill()
        self.cell.daemon.start()

    def engine_and_thaw(self, _):
        self.cell.daemon.kill()
        assert self.cell.daemon.run("--thaw").returncode == 0
        assert not is_still(self.cell.server.main.pid)
        self.cell.daemon.start()

    def stray(self, _):
        self.cell.server.main.signal(signal.SIGCONT)

    def cancel(self, backup_id):
        self.cell.api.call("CancelJob", JobId=backup_id)

    def server(self, _):
        self.cell.server.main.kill()
        self.cell.server.main.wait_end(30)

    def full(self, _):
        """Room for nothing more."""
        with open(self.cell.disk.fill(16 << 20), "ab", buffering=0) as ballast:
            try:
                while ballast.write(bytes(1 << 16)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def hung(self, _):
        """Let go, the server stands still by itself for a second: what it is asked it does not answer."""
        eventually(lambda: self.stills.since is None, 10, "the server runs")
        held = list(self.stills.spans)
        self.cell.server.hang()
        threading.Event().wait(1)
        self.cell.server.unhang()
        eventually(lambda: self.stills.since is None, 10, "the server runs")
        self.stills.spans = held


EVENTS = ["worker", "walker", "helper", "front", "engine", "engine_and_thaw", "stray", "cancel", "server", "full", "hung"]


def test_held_for_max_freeze_at_most(make_cell):
    """Eleven mishaps in turn, at random moments: DBSNAP_HOLDS of them, or as many as fit 30 s."""
    cell = make_cell({"max_freeze": f"{MAX_FREEZE_S:.0f}s"})
    create(cell.server, plain=True)
    add_files(cell.server)
    holds, tallies = Holds(cell, random.Random(SEED)), [(event, Tally(f"holds-{event}")) for event in EVENTS]
    end, count = time.monotonic() + HOLDS_S, 0
    while count < HOLDS or (not HOLDS and (count < len(EVENTS) or time.monotonic() < end)):
        event, tally = tallies[count % len(EVENTS)]
        about = f"{count} of seed {SEED}"
        longest = tally.attempt(about, holds.one, event)
        if longest is not None:
            tally.good(about, 0, 1000 * longest)
        count += 1
    for _, tally in tallies:
        tally.end()
    backup = cell.api.create_and_wait("main", timeout=120)
    assert backup["Dbsnap"]["State"] == "AVAILABLE", backup
    invariants.check(cell.daemon, cell.disk)


def fail(cell):
    """A create that fails: (the longest time that the server was held, why it failed, its attempts)."""
    with Stills(cell.server.main.pid) as stills:
        backup = cell.api.wait_final("main", cell.api.create("main"), 120)
        longest = stills.longest()
    assert backup["Dbsnap"]["State"] == "FAILED", backup
    job, = cell.api.ok("DescribeJobs", JobId=backup["BackupId"])["Items"]["Job"]
    assert cell.server.value("SELECT 1") == 1
    return longest, backup["Dbsnap"]["Cause"], job["Attempts"]


def test_over_max_freeze(make_cell):
    cell = make_cell({"max_freeze": "200ms"})
    # 100 ms for every clone of a file, by a tracer: some 300 of them.
    with Inject(cell.daemon.main.pid, "ioctl", "delay_enter=100000"):
        longest, cause, attempts = fail(cell)
    assert "over max_freeze" in cause and attempts == "1", (cause, attempts)
    assert 0.2 <= longest + LOOK_S * 5 and longest <= 0.3 + SLACK_S, longest
    print(f"max_freeze 200 ms: held for {1000 * longest:.0f} ms")
    invariants.check(cell.daemon, cell.disk)


def test_reload_while_held(make_cell):
    """The configuration is read again after the server was let go: its files may lie on a disk that hangs, and its users'
    names may come from that very server."""
    cell = make_cell({"max_freeze": "300ms"})
    # So deep down that they are not counted beforehand: it takes too long.
    os.makedirs(os.path.join(cell.server.data_dir, "filler"))
    add_files(cell.server, FILES // 2, os.path.join("filler", "deep"))
    main = cell.daemon.main
    slow = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(main.pid), "-P", cell.daemon.config_file,
                             "-e", "trace=openat", "-e", "inject=openat:delay_enter=2000000"], stderr=subprocess.DEVNULL)
    eventually(lambda: status_fields(main.pid)["TracerPid"] == str(slow.pid), 10, "strace attached")
    try:
        with Stills(cell.server.main.pid) as stills:
            backup_id = cell.api.create("main")
            stills.wait()
            main.signal(signal.SIGHUP)
            backup = cell.api.wait_final("main", backup_id, 120)
            eventually(lambda: "configuration reloaded" in cell.daemon.log_text(), 30, "the reload")
            longest = stills.longest()
    finally:
        slow.send_signal(signal.SIGINT)
        slow.wait(10)
    assert backup["Dbsnap"]["State"] in ("AVAILABLE", "FAILED"), backup
    assert longest <= 0.3 + SLACK_S, longest


def test_engine_that_hangs_while_it_holds(make_cell):
    """Nobody reads what it logs: a terminal that was stopped by ^S, say. The server's time is over all the same."""
    cell = make_cell({"max_freeze": "1s"})
    cell.daemon.stop()
    cell.daemon.log = os.path.join(cell.daemon.folder, "pipe")
    os.mkfifo(cell.daemon.log)
    pipe = os.open(cell.daemon.log, os.O_RDWR)
    size = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    reader = threading.Thread(target=lambda: all(iter(lambda: b"END" not in os.read(pipe, size), False)))
    cell.daemon.start()
    try:
        # Some seconds for all files.
        with Inject(cell.daemon.main.pid, "ioctl", "delay_enter=50000"), Stills(cell.server.main.pid) as stills:
            backup_id = cell.api.create("main")
            stills.wait()
            while select.select([], [pipe], [], 0)[1]:
                os.write(pipe, b"x" * select.PIPE_BUF)
            cell.api.call("DeleteBackup", DBClusterId="main", BackupId="999")
            try:
                eventually(lambda: stills.since is None, 10, "it runs again")
                longest = stills.longest()
            finally:
                reader.start()
        item = cell.api.wait_final("main", backup_id, 120)
    finally:
        cell.daemon.stop()
        os.write(pipe, b"END")
        reader.join()
        os.close(pipe)
        os.unlink(cell.daemon.log)
        with open(cell.daemon.log, "w", encoding="ascii"):
            pass
    assert item["Dbsnap"]["State"] == "FAILED" and "over max_freeze" in item["Dbsnap"]["Cause"], item
    assert longest <= 1.1 + SLACK_S, longest


def test_server_that_never_stands_still(make_cell):
    """A thread under a debugger is not stopped by SIGSTOP, as the kernel shows it."""
    cell = make_cell()
    threads = sorted(int(n) for n in os.listdir(f"/proc/{cell.server.main.pid}/task"))
    tracer = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-e", "trace=none", "-p", str(threads[-1])],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: status_fields(threads[-1])["TracerPid"] == str(tracer.pid), 10, "strace attached")
    try:
        longest, cause, _ = fail(cell)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    assert "not all threads of the server stood still" in cause, cause
    assert longest <= 1.1 + SLACK_S, longest
    invariants.check(cell.daemon, cell.disk)


def test_full_disk(make_cell):
    """The disk fills while files are taken: nothing is left, and nobody held."""
    cell = make_cell()
    add_files(cell.server, 500)
    with Inject(cell.daemon.main.pid, "ioctl", "error=ENOSPC:when=100"):
        longest, cause, _ = fail(cell)
    assert "No space left" in cause, cause
    assert longest <= MAX_FREEZE_S + SLACK_S
    invariants.check(cell.daemon, cell.disk)


# Refusals

def refusal(cell):
    done = cell.daemon.client("cluster", "check", "main")
    assert done.returncode == 1, done.stdout
    return done.stdout + done.stderr


def test_expected_to_take_too_long(make_cell):
    cell = make_cell({"max_freeze": "100ms"}, backend="reflink")
    add_files(cell.server, 1000)
    said = refusal(cell)
    assert "would stand still for about" in said and "raise database.max_freeze" in said, said
    assert cell.api.call("CreateBackup", DBClusterId="main")[0] != 200


def test_somebody_else_writes_there(make_cell):
    cell = make_cell(backend="reflink")
    with open(os.path.join(cell.server.data_dir, "ibdata1"), "r+b"):
        said = refusal(cell)
        assert "open for writing" in said and f"process {os.getpid()} " in said, said
    # By another path, as one in a container has it.
    other = cell.disk.path("elsewhere")
    os.mkdir(other)
    run("mount", "--bind", cell.server.data_dir, other)
    try:
        with open(os.path.join(other, "mysql", "db.MAD"), "r+b"):
            assert f"process {os.getpid()} " in refusal(cell)
    finally:
        unmount(other)
    # To read is no harm, nor is what lies beside it.
    with open(os.path.join(cell.server.data_dir, "ibdata1"), "rb"), open(cell.disk.path("other"), "wb"):
        assert cell.daemon.client("cluster", "check", "main").returncode == 0
        assert cell.create()["Dbsnap"]["Procedure"] == "E"


def test_binary_log_elsewhere(make_cell, make_disk):
    other = make_disk("xfs")
    folder = other.path("log")
    os.mkdir(folder)
    shutil.chown(folder, USER, USER)
    said = refusal(make_cell(backend="reflink", log_bin=os.path.join(folder, "mysql-bin")))
    assert "the binary log lies outside the data directory" in said, said


def test_plain_folder_on_btrfs(make_cell, start_mariadb_clone):
    cell = make_cell(kind="btrfs")
    create(cell.server)
    backup = cell.create()
    assert (backup["Dbsnap"]["Backend"], backup["Dbsnap"]["Procedure"]) == ("reflink", "E")
    clone = start_mariadb_clone(cell.clone(backup, "c1"))
    check_sums(clone)
    clone.check()


def test_check_says_how_long(make_cell):
    cell = make_cell()
    said = cell.daemon.client("cluster", "check", "main")
    assert said.returncode == 0 and re.search(r"\bE\b", said.stdout) and "the server is stopped while its" in said.stdout, \
        said.stdout + said.stderr
    # From the second on it is what the first one took.
    backup = cell.create()
    said = cell.daemon.client("cluster", "check", "main").stdout
    expected = int(re.search(r"about (\d+) ms are expected", said)[1])
    assert abs(expected - float(backup["Dbsnap"]["FreezeMs"])) <= 2 + expected / 10, (said, backup)


def test_stray_continue(make_cell):
    """However complete it looks: the server ran while its files were taken."""
    cell = make_cell()
    add_files(cell.server, 300)
    with Pause(cell.daemon, "ioctl", 100) as pause:
        backup_id = cell.api.create("main")
        pause.wait()
        cell.server.main.signal(signal.SIGCONT)
        cell.server.main.signal(signal.SIGSTOP)
        eventually(lambda: is_still(cell.server.main.pid), 10, "it stands still again")
    item = cell.api.wait_final("main", backup_id, 120)
    job, = cell.api.ok("DescribeJobs", JobId=backup_id)["Items"]["Job"]
    # Another attempt may do better, and nobody disturbs it.
    assert item["Dbsnap"]["State"] == "AVAILABLE" and job["Attempts"] == "2", (item, job)
    assert "the server ran again before all files were taken" in cell.daemon.log_text()
    invariants.check(cell.daemon, cell.disk)
