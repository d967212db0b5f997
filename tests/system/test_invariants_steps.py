# SPDX-License-Identifier: GPL-3.0-or-later
"""A crash before or after every call that changes something, through the whole daemon.

What the engine's parts leave behind at each of these calls is looked at in
test_engine.py; here the front, its catalogue and its retries are real too.
"""
import json
import os
import re
import threading

import pytest

from harness import disk, invariants
from harness.clients import DIED
from harness.process import eventually
from harness.steps import CHANGES, Strike


class Jobs:
    """The kinds of job, each from its request to its end, on one backup or clone at a time."""

    def __init__(self, daemon, btrfs, pg):
        self.daemon = daemon
        self.api = daemon.api
        self.disks = btrfs
        self.pg = pg
        self.known = invariants.Known()
        self.count = 0
        self.base = self.make()  # what clones are made of
        assert self.made(self.base) == "AVAILABLE"

    def ask(self, action, then=lambda answer: None, already=None, **params):
        """Asks as often as it takes, as a client would: the strike may hit what is found out for the answer too."""
        pause = threading.Event()
        while True:
            try:
                status, answer = self.api.call(action, DBClusterId="main", **params)
                if status == 200:
                    return then(answer)
                if already and answer["Code"] in already:  # its answer was lost, not its effect
                    return then(answer)
                if answer["Code"] != "ServiceUnavailable":
                    self.refused = answer
                    return None
            except DIED:
                pass
            pause.wait(0.01)

    def asking(self, done, *args, **params):
        """The same aside; a function that tells when it was answered and done() is true."""
        self.refused = None
        asker = threading.Thread(target=self.ask, args=args, kwargs=params, daemon=True)
        asker.start()

        def ended():
            assert not self.refused, self.refused
            try:
                return not asker.is_alive() and done()
            except DIED:
                return False
        return ended

    def new_token(self):
        self.count += 1
        token = f"step-{self.count:06d}"
        self.known.ask(token)
        return token

    def make(self):
        token = self.new_token()
        self.ask("CreateBackup", lambda a: self.known.create(a["BackupJobId"], token), ClientToken=token)
        return self.known.tokens[token]

    def made(self, number):
        return self.api.wait_final("main", number)["Dbsnap"]["State"]

    def jobs_open(self):
        return any(j["state"] == "OPEN" for j in invariants.dump(self.daemon)["job"].values())

    # Each asks, and gives what tells the end. What they need is made before a fault is.

    def create(self):
        token = self.new_token()
        return self.asking(lambda: self.api.state("main", self.known.tokens[token]) == "AVAILABLE", "CreateBackup",
                           lambda a: self.known.create(a["BackupJobId"], token), ClientToken=token)

    def before_delete(self):
        self.victim = self.make()
        assert self.made(self.victim) == "AVAILABLE"

    def delete(self):
        number = self.victim
        self.known.ask_delete(number)
        return self.asking(lambda: number in self.known.deleted and not self.jobs_open(), "DeleteBackup",
                           lambda a: self.known.delete(number), already=["InvalidBackupSetID.NotFound"], BackupId=number)

    def before_clone(self):
        self.remove_clone("c")

    def clone(self):
        return self.asking(lambda: self.api.clone("main", "c")["State"] == "Available", "CloneBackup",
                           BackupId=self.base, CloneName="c", ClientToken=self.new_token())

    def before_delete_clone(self):
        if not self.api.clone("main", "c"):
            self.api.clone_and_wait("main", self.base, "c")

    def delete_clone(self):
        return self.asking(lambda: self.api.clone("main", "c") is None, "DeleteClone", CloneName="c")

    def remove_clone(self, name):
        if self.api.clone("main", name):
            self.api.ok("DeleteClone", DBClusterId="main", CloneName=name)
            eventually(lambda: self.api.clone("main", name) is None, 30)

    def listed(self, name):
        return self.api.ok("DescribeQuarantine", Name=name)["Items"]["Quarantined"]

    def before_delete_quarantined(self):
        """A backup that no record speaks of: a snapshot of the base's, with papers that say another number."""
        snapshots = self.daemon.snapshot_dir("main")
        self.stray = max(int(i) for i in [*os.listdir(snapshots), *self.known.states] if i.isdigit()) + 100
        folder = os.path.join(snapshots, str(self.stray))
        os.mkdir(folder, 0o700)
        disk.run("btrfs", "subvolume", "snapshot", "-r", os.path.join(snapshots, self.base, "data"), folder + "/data")
        shown = disk.run("btrfs", "subvolume", "show", folder + "/data")
        uuid = re.search(r"\sUUID:\s+(\S+)", shown).group(1)
        nonce = os.urandom(16).hex()
        for name in ("intent", "manifest.json"):
            with open(os.path.join(snapshots, self.base, name), encoding="ascii") as file:
                paper = {**json.load(file), "backup": self.stray, "nonce": nonce}
            for part in paper.get("parts", []):
                part["subvolume_uuid"] = uuid
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                json.dump(paper, file, indent=2)
        self.daemon.reload()
        eventually(lambda: self.listed(self.stray), what="it is in quarantine")

    def delete_quarantined(self):
        def gone():
            names = os.listdir(self.daemon.snapshot_dir("main"))
            return str(self.stray) not in names and f".del-{self.stray}" not in names and not self.jobs_open() and \
                self.api.ok("DescribeQuarantine")["TotalRecordCount"] == "0"
        return self.asking(gone, "DeleteQuarantined", already=["InvalidName.NotFound", "OperationDenied.BackupStatus"],
                           Name=self.stray)

    before_adopt = before_delete_quarantined

    def adopt(self):
        number = str(self.stray)
        return self.asking(lambda: self.api.state("main", number) == "AVAILABLE", "AdoptBackup",
                           already=["InvalidName.NotFound"], Name=number)

    def prepare(self, kind):
        getattr(self, "before_" + kind, lambda: None)()
        self.daemon.wait_idle()

    def check(self):
        invariants.check(self.daemon, self.disks, known=self.known, servers=[self.pg])

    def limit(self):
        """Keeps the disk and the lists short."""
        for item in self.api.backups("main")[3:]:
            if item["BackupId"] != self.base:
                self.known.ask_delete(item["BackupId"])
                self.api.ok("DeleteBackup", DBClusterId="main", BackupId=item["BackupId"])
                self.known.delete(item["BackupId"])


@pytest.fixture
def jobs(daemon, btrfs, pg):
    return Jobs(daemon, btrfs, pg)


KINDS = ["create", "delete", "clone", "delete_clone", "delete_quarantined", "adopt"]
# An adoption's worker only looks, and syncs what it tells of.
FEW = {"adopt": 1}


def strike_each(jobs, kind, calls, what, after):
    """The job with a strike at its first such call, its second, and so on till it ends without one."""
    strikes = {}
    for call in calls:
        for n in range(1, 40):
            jobs.prepare(kind)
            with Strike(jobs.daemon, call, n, what) as strike:
                ended = getattr(jobs, kind)()
                struck = strike.wait(ended)
                if struck:
                    after(strike)
            eventually(ended, 60, f"{kind} after {what} at {call} {n}")
            jobs.check()
            jobs.limit()
            if not struck:
                break
            strikes[call] = n
        else:
            raise AssertionError(f"no end of {call}")
    print(kind, what, strikes)
    return strikes


@pytest.mark.parametrize("kind", KINDS)
def test_worker_killed_before_any_change(jobs, kind):
    strikes = strike_each(jobs, kind, CHANGES, "KILL", Strike.detach)
    assert sum(strikes.values()) >= FEW.get(kind, 4), strikes
    invariants.check_recovery(jobs.daemon)


@pytest.mark.parametrize("kind", KINDS)
def test_engine_killed_after_any_change(jobs, kind):
    """The worker stands still right after the change, so the engine dies at that moment."""
    def kill(strike):
        jobs.daemon.kill()
        strike.detach()
        jobs.daemon.start()
    calls = ["mkdirat", "fsync", "renameat", "renameat2", "ioctl", "unlinkat"]
    strikes = strike_each(jobs, kind, calls, "STOP", kill)
    assert sum(strikes.values()) >= FEW.get(kind, 3), strikes
    invariants.check_recovery(jobs.daemon)


# The store's writes, all of them; the first answers and messages to the engine, which never end.
WRITES = {"pwrite64": 40, "pwritev": 40, "fdatasync": 40, "writev": 2, "sendmsg": 4}


@pytest.mark.parametrize("kind", ["create", "delete", "delete_quarantined", "adopt"])
def test_front_killed_before_any_write(jobs, kind):
    """Before, within and after each commit, before each answer and each message to the engine."""
    def restart(strike):
        strike.detach()
        if len(struck) % 3 == 0:  # the pauses between fronts grow
            jobs.daemon.restart()
        else:
            jobs.daemon.wait_front(other_than=strike.pid)
    struck = []
    for call, most in WRITES.items():
        for n in range(1, most + 1):
            jobs.prepare(kind)
            with Strike(jobs.daemon, call, n, pid=eventually(jobs.daemon.front)) as strike:
                ended = getattr(jobs, kind)()
                if not strike.wait(ended):
                    break
                struck.append((call, n))
                restart(strike)
            eventually(ended, 60, f"{kind} after the front's death at {call} {n}")
            jobs.check()
            jobs.limit()
    print(kind, struck)
    # Its request and its end; an adoption is one commit.
    assert len(struck) >= 8 or kind == "adopt" and len(struck) >= 4, struck
    assert ("fdatasync", 1 if kind == "adopt" else 2) in struck, struck
    invariants.check_recovery(jobs.daemon)
