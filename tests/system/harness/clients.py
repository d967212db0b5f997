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
    """Threads that ask for everything, each by random numbers of its own.

    other: the cluster that tokens are tried for in vain; before(token): called before a create is asked for.
    """

    def __init__(self, api, known, cluster, seed, count=3, keep=8, other=None, before=None):
        self.api = api
        self.known = known
        self.cluster = cluster
        self.other = other or cluster + "-b"
        self.before = before or (lambda token: None)
        self.keep = keep
        self.lock = threading.Lock()
        self.tokens = []     # all that were made here
        self.shared = ["", 0]  # the present one of several threads, and how often it may still be used
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
        may_create = coming < 4 and len(done) < self.keep
        if chance < 0.25 and may_create:
            self.create(self.new_token(number, rng))
        elif chance < 0.5 and may_create:
            self.create(self.shared_token(rng))
        elif chance < 0.65 and self.tokens:
            self.create(rng.choice(self.tokens))
        elif chance < 0.75 and self.tokens:
            self.mismatch(rng.choice(self.tokens))
        elif chance < 0.85:
            self.clone(rng, done)
        elif len(done) > self.keep / 2:
            self.delete(rng.choice(done))

    def new_token(self, number, rng):
        token = f"{self.cluster}-t{number}-{rng.randrange(10**9):09d}"
        with self.lock:
            self.tokens.append(token)
        return token

    def shared_token(self, rng):
        """The same for several threads, so that they ask with it at once."""
        with self.lock:
            if self.shared[1]:
                self.shared[1] -= 1
                return self.shared[0]
        self.shared = [self.new_token("s", rng), len(self.threads)]
        return self.shared[0]

    def call(self, action, **params):
        status, answer = self.api.call(action, DBClusterId=self.cluster, **params)
        with self.answers:
            self.answered += 1
            self.answers.notify_all()
        assert status == 200 or answer["Code"] in REFUSALS, (action, params, answer)
        return status, answer

    def create(self, token):
        self.before(token)
        self.known.ask(token)
        status, answer = self.call("CreateBackup", ClientToken=token)
        if status == 200:
            self.known.create(answer["BackupJobId"], token)
        else:
            assert token not in self.known.tokens or answer["Code"] == "ServiceUnavailable", answer  # 2

    def available(self, count):
        """Backups that can be cloned, newest first: at least so many, made for it if they were deleted."""
        while True:
            done = [b for b in self.api.backups(self.cluster) if b["Dbsnap"]["State"] == "AVAILABLE"]
            if len(done) >= count:
                return done
            token = f"{self.cluster}-last-{len(self.tokens):09d}"
            self.tokens.append(token)
            self.create(token)
            self.api.wait_final(self.cluster, self.known.tokens[token])

    def mismatch(self, token):
        """3: the token of a create, used for something else that is possible."""
        if token not in self.known.tokens:
            return  # nobody knows yet whether it was ever used
        status, answer = self.api.call("CreateBackup", DBClusterId=self.other, ClientToken=token)
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
