# SPDX-License-Identifier: GPL-3.0-or-later
"""A power cut at any moment: state_dir, database and backups on one disk that forgets.

DBSNAP_CUTS: how many (12) beside those right at a promise; DBSNAP_SEED: where they fall.
"""
import hashlib
import os
import random
import shutil
import signal

import pytest

from harness import cut, invariants, postgres
from harness.load import Acked
from harness.process import Pid, eventually
from harness.steps import Strike
from test_restore_parts import set_apart

CUTS = int(os.environ.get("DBSNAP_CUTS", "12"))
SEED = int(os.environ.get("DBSNAP_SEED", "20260101"))


@pytest.fixture
def disk(request, root, scratch, make_server):
    """A recorded btrfs with the data directory of a server, not running, on it; "apart": and its WAL and a tablespace."""
    if cut.missing():
        pytest.skip(cut.missing())
    servers = []

    def prepare(plain):
        # Of its own, so that what syncs the catalogue syncs no backup by the way.
        os.chmod(plain.subvolume("lib"), 0o755)
        apart = getattr(request, "param", None) == "apart"
        servers.append(make_server(plain.subvolume("pg", postgres.USER), start=apart))
        if apart:
            set_apart(servers[0], plain, plain)
            servers[0].stop()
    disk = cut.CutDisk(scratch.folder("cut"), prepare)
    disk.server = servers[0]
    yield disk
    disk.server.close()
    disk.close()


@pytest.fixture
def make_cut_disk(root, scratch):
    """make_cut_disk(kind): a recorded disk with the plain files `data` on it, or with what prepare(disk) puts there."""
    made = []

    def make(kind, prepare=lambda plain: plain.files("data")):
        if cut.missing() or shutil.which(f"mkfs.{kind}") is None:
            pytest.skip(cut.missing() or f"needs mkfs.{kind}")
        made.append(cut.CutDisk(scratch.folder("cut"), prepare, kind))
        return made[-1]
    yield make
    for disk in made:
        disk.close()


@pytest.fixture
def daemon_on(disk, make_daemon):
    """A daemon with everything on that disk."""
    daemon = make_daemon()
    daemon.state_dir = disk.path("lib", "dbsnap")
    daemon.configure(quota={"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000},
                     jobs={"max_running": 2})
    daemon.add_server("main", disk.server)
    return daemon


class History:
    """What is asked and answered while the disk records; a mark for every promise."""

    def __init__(self, daemon, disk):
        self.daemon, self.disk, self.api = daemon, disk, daemon.api
        self.must = {}  # id -> what its server had acknowledged before
        self.deleting = set()
        self.count = 0
        self.adopted = False

    def may_fail(self, _):
        """Of what was begun before a cut."""
        return ()

    def create(self, ids):
        self.count += 1
        token = f"cut-{self.count:06d}"
        must = ids.acked()
        number = self.api.create("main", token)
        self.disk.mark(f"created {number} {token}")
        self.must[number] = must
        return number

    def wait(self, number):
        item = self.api.wait_final("main", number)
        assert item["Dbsnap"]["State"] == "AVAILABLE", item
        self.disk.mark(f"available {number} {item['ConsistentTime']}")

    def delete(self, number):
        self.deleting.add(number)
        self.api.ok("DeleteBackup", DBClusterId="main", BackupId=number)
        self.disk.mark(f"deleting {number}")

    def wait_gone(self, number):
        def gone():
            jobs = invariants.dump(self.daemon)["job"].values()
            return all(j["state"] == "DONE" for j in jobs if j["kind"] == "DELETE" and j["backup"] == int(number))
        eventually(gone, 30, f"{number} deleted")
        self.disk.mark(f"gone {number}")

    def adopt(self, ids):
        """A create whose worker dies between its rename and that rename's sync."""
        with Strike(self.daemon, "renameat2", 1, "STOP") as strike:
            number = self.create(ids)
            self.adopted = strike.wait(lambda: self.api.state("main", number) == "AVAILABLE")
            assert os.path.isdir(os.path.join(self.daemon.snapshot_dir("main"), number))
            strike.detach()
            if self.adopted:
                Pid(strike.struck()).kill()
        self.wait(number)

    def run(self, ids):
        one, two, three = (self.create(ids) for _ in range(3))
        self.wait(one)
        self.delete(one)
        self.wait(three)
        four = self.create(ids)
        self.wait_gone(one)
        self.delete(two)
        self.wait(four)
        self.adopt(ids)
        self.delete(four)
        self.wait_gone(four)
        self.create(ids)


class PartsHistory(History):
    """A clone, too: what is inside of it goes with it. The server stands still after a cut, and is refused then."""

    def may_fail(self, marks):
        # Jobs of every kind have numbers: one that no mark names may be any.
        return {str(n) for n in range(1, 100)} - {t.split()[1] for t in marks if t.startswith("available")}

    def clone(self, number):
        self.daemon.api.clone_and_wait("main", number, "c1")
        self.disk.mark(f"cloned {number}")
        self.api.ok("DeleteClone", DBClusterId="main", CloneName="c1")
        eventually(lambda: not invariants.dump(self.daemon)["clone"], 30, "the clone deleted")
        self.disk.mark(f"uncloned {number}")

    def run(self, ids):
        one = self.create(ids)
        self.wait(one)
        self.clone(one)
        self.delete(one)
        self.wait_gone(one)
        self.wait(self.create(ids))


def sum_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.mark.parametrize("kind, backend", [("btrfs", "btrfs"), ("xfs", "reflink"), ("ext4", "copy")])
def test_power_cut_leaves_what_was_promised(make_cut_disk, make_daemon, kind, backend):
    """By each backend, of files that nobody synced. The catalogue is elsewhere: its commits sync nothing here."""
    disk = make_cut_disk(kind)
    daemon = make_daemon(quota={"manual_per_day": 10, "manual_retained": 10})
    snapshots, letter = disk.path(".dbsnap", "main"), disk.path("data", "letter")
    daemon.add_cluster("main", disk.path("data"), database={"type": "none"}, min_free="0%", snapshot_dir=snapshots)
    daemon.start()
    for _ in range(3):
        with open(letter, "wb") as file:
            file.write(os.urandom(1 << 20))
        item = daemon.api.create_and_wait("main")
        assert item["Dbsnap"]["Backend"] == backend
        disk.mark(f"{item['BackupId']} {sum_of(letter)}")
    daemon.api.ok("DeleteBackup", BackupId="1")
    eventually(lambda: 1 in invariants.dump(daemon)["tomb"], 30, "1 deleted")
    disk.mark("1 gone")
    daemon.kill()
    disk.end()
    assert len(disk.marks) == 4
    for position, _ in disk.marks:
        promised = dict(text.split() for text in disk.cut(position))
        for number, expected in promised.items():
            if expected == "gone":
                assert not {number, "." + number, ".del-" + number} & set(os.listdir(snapshots)), position
                continue
            assert invariants.read_manifest(os.path.join(snapshots, number))
            assert sum_of(os.path.join(snapshots, number, "data", "letter")) == expected, (position, number)
        disk.umount()


def test_power_cut_within_a_delete(daemon_on, disk):
    """Right after each thing that it removes, when somebody else's fsync has just written that down."""
    daemon = daemon_on
    disk.server.start()
    daemon.start()
    for n in range(1, 12):
        number = daemon.api.create_and_wait("main")["BackupId"]
        daemon.wait_idle()
        with Strike(daemon, "unlinkat", n, "STOP") as strike:
            daemon.api.ok("DeleteBackup", DBClusterId="main", BackupId=number)
            struck = strike.wait(lambda: daemon.api.backup("main", number) is None and
                                 invariants.is_at_rest(invariants.dump(daemon)))
            if struck:
                disk.sync_a_file()
                disk.mark(f"removed {n}")
                strike.detach()
                Pid(strike.struck()).signal(signal.SIGCONT)
        if not struck:
            break
    daemon.kill()
    disk.server.kill()
    disk.end()
    assert len(disk.marks) >= 3
    for position, _ in disk.marks:
        disk.cut(position)  # and mounts it
        disk.umount()


def known_of(history, marks):
    """What clients knew at the cut; what they had asked for and heard nothing of is in `asked`."""
    known = invariants.Known()
    for number in range(1, history.count + 1):
        known.ask(f"cut-{number:06d}")
    known.deleting = set(history.deleting)
    for text in marks:
        word, number, *rest = text.split()
        if word == "created":
            known.create(number, rest[0])
        elif word == "deleting":
            known.delete(number)
    return known


def positions(disk, rng):
    """Right at each promise, and as many more at any time."""
    chosen = {number for number, _ in disk.marks}
    chosen |= {rng.randrange(disk.marks[0][0], disk.marks[-1][0]) for _ in range(CUTS)}
    return sorted(chosen)


def check_disk(daemon, known, marks):
    """What was promised is there before anybody can mend it."""
    names = set(os.listdir(daemon.snapshot_dir("main")))
    for text in marks:
        word, number, *_ = text.split()
        if word == "available" and number not in known.deleting:
            assert invariants.read_manifest(os.path.join(daemon.snapshot_dir("main"), number)), text
        elif word == "gone":
            assert not names & {number, "." + number, ".del-" + number}, (text, names)


def check_cut(daemon, disk, known, marks, may_fail):
    check_disk(daemon, known, marks)
    daemon.start()
    store = invariants.check(daemon, disk, known=known, failed=may_fail)
    times = {i["BackupId"]: i.get("ConsistentTime") for i in daemon.api.backups("main")}
    for text in marks:
        word, number, *rest = text.split()
        if word == "available" and number not in known.deleting:
            assert times[number] == rest[0], f"{number} is another one now"
        elif word == "gone":
            assert int(number) in store["tomb"], f"{number} came back"


def check_clone(daemon, history, marks, start_clone):
    whole = [t.split()[1] for t in marks if t.startswith("available") and t.split()[1] not in history.deleting]
    clone = daemon.api.clone_and_wait("main", whole[-1], "after-the-cut")
    server = start_clone(clone["ClonePath"])
    missing = history.must[whole[-1]] - {row[0] for row in server.sql("SELECT id FROM acked")}
    assert not missing
    server.amcheck()
    server.stop()


def cut_and_check(daemon, disk, history, chosen, start_clone):
    """chosen(disk, rng): where."""
    rng = random.Random(SEED)
    disk.server.start()
    daemon.start()
    with Acked(disk.server, sessions=1) as ids:
        history.run(ids)
    daemon.kill()
    disk.server.kill()
    disk.end()
    for count, position in enumerate(chosen(disk, rng)):
        seed = None if count % 2 else SEED + position
        print(f"cut after record {position}, torn by {seed}")
        marks = disk.cut(position, seed)
        check_cut(daemon, disk, known_of(history, marks), marks, history.may_fail(marks))
        if position == disk.marks[-1][0]:
            check_clone(daemon, history, marks, start_clone)
        daemon.kill()
        disk.umount()


def test_power_cut(daemon_on, disk, start_clone):
    history = History(daemon_on, disk)
    cut_and_check(daemon_on, disk, history, positions, start_clone)
    assert history.adopted, "a create ends without a renameat2 now: nothing was adopted"


def few_positions(disk, rng):
    """The end, and a quarter as many at any time."""
    first, *_, last = (number for number, _ in disk.marks)
    return sorted({last, *(rng.randrange(first, last) for _ in range(CUTS // 4))})


@pytest.mark.parametrize("disk", ["apart"], indirect=True)
def test_power_cut_of_parts(daemon_on, disk, start_clone):
    """Procedure C: several snapshots a backup, and subvolumes within a clone."""
    cut_and_check(daemon_on, disk, PartsHistory(daemon_on, disk), few_positions, start_clone)
