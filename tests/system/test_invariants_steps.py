# SPDX-License-Identifier: GPL-3.0-or-later
"""A crash before or after every call that changes something, through the whole daemon.

What the engine's parts leave behind at each of these calls is looked at in
test_engine.py; here the front, its catalogue and its retries are real too.
"""
import threading

import pytest

from harness import invariants
from harness.clients import DIED
from harness.process import eventually
from harness.steps import CHANGES, Strike


class Jobs:
    """The four kinds of job, each from its request to its end, on one backup or clone at a time."""

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
                if answer["Code"] == already:  # its answer was lost, not its effect
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
                           lambda a: self.known.delete(number), already="InvalidBackupSetID.NotFound", BackupId=number)

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


KINDS = ["create", "delete", "clone", "delete_clone"]


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
    assert sum(strikes.values()) >= 4, strikes
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
    assert sum(strikes.values()) >= 3, strikes
    invariants.check_recovery(jobs.daemon)


# The store's writes, all of them; the first answers and messages to the engine, which never end.
WRITES = {"pwrite64": 40, "pwritev": 40, "fdatasync": 40, "writev": 2, "sendmsg": 4}


@pytest.mark.parametrize("kind", ["create", "delete"])
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
    assert len(struck) >= 8 and ("fdatasync", 2) in struck, struck
    invariants.check_recovery(jobs.daemon)
