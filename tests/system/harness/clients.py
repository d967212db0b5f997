# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that go on while the daemon dies: creates, replays, deletes, clones.

What they asked for and were told is in an invariants.Known. They stop at a gate between
two requests whenever the driver wants to look.
"""
import http.client
import random
import threading

# What a client sees of a daemon that dies: no connection, no answer, half an answer.
DIED = (OSError, ValueError, http.client.HTTPException)

# Refusals that a client may get at any time, and that change nothing (8).
REFUSALS = {"ServiceUnavailable", "OperationDenied.BackupStatus", "InvalidBackupSetID.NotFound",
            "BackupTimesExceeded", "InvalidCloneName.NotFound"}


class Gate:
    """Lets several threads pass one by one request, or none."""

    def __init__(self):
        self.changed = threading.Condition()
        self.open = False
        self.ended = False
        self.inside = 0

    def enter(self):
        """False: it is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.open or self.ended)
            if self.ended:
                return False
            self.inside += 1
            return True

    def leave(self):
        with self.changed:
            self.inside -= 1
            self.changed.notify_all()

    def let(self, open_it):
        """Opens it; or closes it, and returns when nobody is inside."""
        with self.changed:
            self.open = open_it
            self.changed.notify_all()
            if not open_it:
                assert self.changed.wait_for(lambda: self.inside == 0, 60)

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()


class Clients:
    """Threads that ask for everything, each by random numbers of its own."""

    def __init__(self, api, known, cluster, seed, count=3, keep=8):
        self.api = api
        self.known = known
        self.cluster = cluster
        self.keep = keep
        self.gate = Gate()
        self.answers = threading.Condition()
        self.answered = 0
        self.errors = []
        self.threads = [threading.Thread(target=self.live, args=(n, random.Random(seed * 100 + n)), daemon=True)
                        for n in range(count)]

    def live(self, number, rng):
        pause = threading.Event()
        while self.gate.enter():
            try:
                self.act(number, rng)
            except DIED:
                pause.wait(0.01)  # nobody is there: as a client would, again a little later
            except Exception as error:
                with self.answers:
                    self.errors.append(error)
                    self.answers.notify_all()
                return
            finally:
                self.gate.leave()

    def act(self, number, rng):
        items = self.api.backups(self.cluster)
        done = [i["BackupId"] for i in items if i["Dbsnap"]["State"] == "AVAILABLE"]
        coming = sum(i["BackupStatus"] == "Running" for i in items)
        chance = rng.random()
        if chance < 0.45 and coming < 4 and len(done) < self.keep:
            self.create(f"t{number}-{rng.randrange(10**9):09d}")
        elif chance < 0.65 and self.known.asked:
            self.create(rng.choice(sorted(self.known.asked)))
        elif chance < 0.75 and self.known.tokens:
            self.mismatch(rng.choice(sorted(self.known.tokens)))
        elif chance < 0.85:
            self.clone(rng, done)
        elif len(done) > self.keep / 2:
            self.delete(rng.choice(done))

    def call(self, action, **params):
        status, answer = self.api.call(action, DBClusterId=self.cluster, **params)
        with self.answers:
            self.answered += 1
            self.answers.notify_all()
        assert status == 200 or answer["Code"] in REFUSALS, (action, params, answer)
        return status, answer

    def create(self, token):
        self.known.ask(token)
        status, answer = self.call("CreateBackup", ClientToken=token)
        if status == 200:
            self.known.create(answer["BackupJobId"], token)
        else:
            assert token not in self.known.tokens or answer["Code"] == "ServiceUnavailable", answer  # 2

    def mismatch(self, token):
        """3: the token of a create, used for something else that is possible."""
        status, answer = self.api.call("CreateBackup", DBClusterId=self.cluster + "-b", ClientToken=token)
        assert (status, answer["Code"]) == (400, "IdempotentParameterMismatch"), answer

    def delete(self, backup):
        self.known.ask_delete(backup)
        if self.call("DeleteBackup", BackupId=backup)[0] == 200:
            self.known.delete(backup)

    def clone(self, rng, done):
        name = f"c{rng.randrange(3)}"
        there = self.api.ok("DescribeClones", DBClusterId=self.cluster)["Items"]["Clone"]
        if name in {c["CloneName"] for c in there}:
            self.call("DeleteClone", CloneName=name)
        elif done:
            self.call("CloneBackup", BackupId=rng.choice(done), CloneName=name)

    def wait_answers(self, count, timeout=60.0):
        """So many more requests were answered."""
        with self.answers:
            goal = self.answered + count
            assert self.answers.wait_for(lambda: self.errors or self.answered >= goal, timeout)
            assert not self.errors, self.errors

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.gate.let(True)
        return self

    def __exit__(self, kind, *_):
        self.gate.end()
        for thread in self.threads:
            thread.join(60)
        assert kind or not self.errors, self.errors
