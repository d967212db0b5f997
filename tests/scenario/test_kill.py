# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of the front, with and without its engine, between any two steps of anything.

A random driver of one seed: clients create, delete and clone, workers do one step of a
job at a time, results are lost, clocks jump, and fronts die, also while a request is
under way. After every death and at the end the invariants are looked at.
"""
import http.client
import os
import random
import threading

import pytest

import msgs
from world import DAY_MS

STEPS = int(os.environ.get("DBSNAP_KILL_STEPS", "120"))
SEEDS = int(os.environ.get("DBSNAP_KILL_SEEDS", "12"))
CLUSTERS = ("pc-a", "pc-b")
RETAINED, PER_DAY = 4, 6

# Which states may be seen after which (invariant 6): the arrows of design.md, closed.
AFTER = {
    "PENDING": {"PENDING", "RUNNING", "AVAILABLE", "FAILED", "CANCELLED", "LOST", None},
    "AVAILABLE": {"AVAILABLE", "LOST", None},
    "LOST": {"LOST", "AVAILABLE", None},
    "FAILED": {"FAILED", None},
    "CANCELLED": {"CANCELLED", None},
    None: {None},
}
AFTER["RUNNING"] = AFTER["PENDING"]

# What a client sees of a front that dies: no connection, no answer, half an answer.
DIED = (OSError, ValueError, http.client.HTTPException)


class Driver:
    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(seed)
        self.tokens = {}   # token -> (cluster, id) that was acknowledged
        self.maybe = set() # tokens whose request may or may not have been taken
        self.states = {}   # id -> last state seen
        self.steps = {}    # job -> how far its worker is
        self.clones = {}   # name -> whether it was acknowledged
        self.last_id = 0
        self.kills = 0

    # What clients do.

    def call(self, action, **params):
        """(status, answer), or None when the front died before it answered."""
        try:
            return self.world.api.call(action, **params)
        except DIED:
            assert self.dying, "no answer from a front that lives"
            return None

    dying = False

    def took(self, cluster, token, number):
        known = self.tokens.get(token)
        if known:
            assert known == (cluster, number), f"{token}: {known}, now {number}"  # 2
            return
        if token not in self.maybe:
            assert int(number) > self.last_id                                     # 6
            assert number not in self.world.acked
        self.last_id = max(self.last_id, int(number))
        self.world.acked[number] = cluster
        self.tokens[token] = (cluster, number)

    def create(self):
        cluster = self.random.choice(CLUSTERS)
        token = f"{cluster}-{self.random.randrange(40)}"
        answer = self.call("CreateBackup", DBClusterId=cluster, ClientToken=token)
        if answer is None:
            self.maybe.add(token)
        elif answer[0] == 200:
            self.took(cluster, token, answer[1]["BackupJobId"])
        else:
            assert answer[1]["Code"] == "BackupTimesExceeded", answer
            assert token not in self.tokens                                       # a replay comes first

    def listed(self, cluster):
        return self.world.api.backups(cluster)

    def pick(self, states):
        found = [(c, i["BackupId"]) for c in CLUSTERS for i in self.listed(c)
                 if i["Dbsnap"]["State"] in states]
        return self.random.choice(found) if found else None

    def delete(self):
        victim = self.pick({"AVAILABLE", "FAILED", "CANCELLED"})
        if victim is None:
            return
        answer = self.call("DeleteBackup", DBClusterId=victim[0], BackupId=victim[1])
        if answer and answer[0] == 200:
            self.world.deleted[victim[1]] = victim[0]

    def cancel(self):
        victim = self.pick({"PENDING", "RUNNING"})
        if victim:
            self.call("CancelJob", JobId=victim[1])

    def clone(self):
        source = self.pick({"AVAILABLE"})
        if source is None:
            return
        name = f"c{self.random.randrange(6)}"
        answer = self.call("CloneBackup", DBClusterId=source[0], BackupId=source[1],
                           CloneName=name)
        if answer and answer[0] == 200:
            self.clones[name] = True

    def delete_clone(self):
        name = f"c{self.random.randrange(6)}"
        answer = self.call("DeleteClone", CloneName=name)
        if answer and answer[0] == 200:
            self.clones[name] = False

    # What workers do: one step of one job.

    def work(self):
        engine = self.world.engine
        with engine.lock:
            orders = list(engine.flying.values())
        if not orders:
            return
        order = self.random.choice(orders)
        chance = self.random.random()
        if chance < 0.06 and not self.steps.get(order.job):
            if engine.is_whole(order):
                return self.end(order, lambda: engine.done(order))
            return self.end(order, lambda: engine.fail(order, retry=chance < 0.04))
        if chance < 0.12:
            return self.end(order, lambda: engine.unknown(order))
        if chance < 0.15 and not self.steps.get(order.job):
            return self.end(order, lambda: engine.busy(order))
        self.step(engine, order)

    def end(self, order, send):
        self.steps.pop(order.job, None)
        send()

    def step(self, engine, order):
        place = self.world.places[order.cluster]
        at = self.steps.get(order.job, 0)
        self.steps[order.job] = at + 1
        if at == 0:
            engine.running(order)
        elif at == 1:
            self.first_change(place, order)
        elif at == 2:
            self.second_change(engine, place, order)
        else:
            self.steps.pop(order.job)
            engine.done(order)

    def first_change(self, place, order):
        if order.kind == msgs.CREATE:
            if str(order.backup) not in place.things:
                place.things.pop(f".{order.backup}", None)
                place.begin(order)
        elif order.kind == msgs.CLONE:
            if f"clones/{order.clone}" not in place.things:
                place.begin_clone(order)
        elif order.kind == msgs.DELETE:
            place.mark(order)

    def second_change(self, engine, place, order):
        if order.kind == msgs.CREATE and f".{order.backup}" in place.things:
            place.finish(order, self.world.wall_ms)
            if self.random.random() < 0.7:
                place.rename(order)
        else:
            engine.perform(order)

    # What the machine does.

    def tick(self):
        ms = self.random.choice([1, 150, 1000, 5000, 60_000])
        jump = self.random.choice([None, None, None, ms + DAY_MS // 3])
        self.world.advance(ms, jump)

    def die(self):
        """The front, or the engine with all its workers."""
        world = self.world
        self.kills += 1
        running = []
        if self.random.random() < 0.5:
            with world.engine.lock:
                running = list(world.engine.flying.values())
        else:
            self.steps.clear()
        world.kill()
        self.check_start(running)

    def check_start(self, running):
        world = self.world
        world.start(hold=["JOB"], running=running)
        assert "put right" not in world.stderr()                                  # 5
        self.look()

    def die_in_a_request(self):
        world = self.world
        action = self.random.choice([self.create, self.create, self.delete, self.clone])
        self.dying = True
        thread = threading.Thread(target=self.quietly, args=(action,))
        thread.start()
        threading.Event().wait(self.random.random() * 0.004)
        with world.engine.lock:
            running = list(world.engine.flying.values())
        world.kill()
        # Who waits for an answer of the dead front gets the end of its connection.
        world.connect().hold("JOB")
        self.kills += 1
        world.hello(running)
        world.engine.wait("READY")
        thread.join(20)
        assert not thread.is_alive()
        self.dying = False
        assert not self.failure, self.failure
        self.look()

    failure = None

    def quietly(self, action):
        try:
            action()
        except Exception as error:
            if not isinstance(error, DIED):
                self.failure = error

    # Invariants.

    def look(self):
        for cluster in CLUSTERS:
            items = self.listed(cluster)
            ids = [i["BackupId"] for i in items]
            assert len(ids) == len(set(ids)) and ids == sorted(ids, key=int, reverse=True)  # 1, 6
            for number in ids:
                assert self.world.acked.get(number, cluster) == cluster
                assert self.world.deleted.get(number) is None, f"{number} came back"  # 7
            states = {i["BackupId"]: i["Dbsnap"]["State"] for i in items}
            self.look_at_states(cluster, states)
            kept = [s for s in states.values() if s in ("PENDING", "RUNNING", "AVAILABLE")]
            assert len(kept) <= RETAINED                                          # 5
        for place in self.world.places.values():
            assert len(set(place.made)) == len(place.made), "one nonce cut twice"  # 2

    def look_at_states(self, cluster, states):
        for number, owner in self.world.acked.items():
            if owner == cluster:
                assert number in states or number in self.gone(), f"{number} has no record"  # 1
        for number, state in states.items():
            before = self.states.get(number, "PENDING")
            assert state in AFTER[before], f"{number}: {before} -> {state}"       # 6
            self.states[number] = state

    def gone(self):
        """Acknowledged deletes, and those that died before their answer."""
        return set(self.world.deleted) | self.unanswered_deletes()

    def unanswered_deletes(self):
        found = set()
        for cluster in CLUSTERS:
            for job in self.world.api.ok("DescribeJobs", DBClusterId=cluster,
                                         PageSize=100)["Items"]["Job"]:
                if job["Kind"] == "DeleteBackup":
                    found.add(job["BackupId"])
        return found

    def finish(self):
        """Everything that is open ends; then recovery changes nothing (11)."""
        world = self.world
        self.steps.clear()
        world.kill()
        engine = world.start()
        for _ in range(40):
            engine.settle()
            world.advance(300_000, 0)
        world.wait_jobs()
        engine.settle()
        self.look()
        self.look_at_disk()
        first = self.everything()
        for _ in range(2):
            world.restart()
            assert self.everything() == first                                     # 11
        for token, (cluster, number) in self.tokens.items():
            assert world.api.create(cluster, token) == number                     # 2

    def everything(self):
        api = self.world.api
        return [(self.listed(c), api.ok("DescribeClones", DBClusterId=c)["Items"],
                 api.ok("DescribeJobs", DBClusterId=c, PageSize=100)["Items"],
                 sorted(self.world.places[c].things)) for c in CLUSTERS]

    def look_at_disk(self):
        """4: AVAILABLE if and only if it is there; nothing partial, nothing too many."""
        for cluster in CLUSTERS:
            place = self.world.places[cluster]
            available = {i["BackupId"] for i in self.listed(cluster)
                         if i["Dbsnap"]["State"] == "AVAILABLE"}
            clones = self.world.api.ok("DescribeClones", DBClusterId=cluster)["Items"]["Clone"]
            wanted = available | {"clones/" + c["CloneName"] for c in clones
                                  if c["State"] == "Available"}
            assert set(place.things) == wanted


def http_errors():
    import http.client
    return (http.client.HTTPException,)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_deaths(make_world, seed):
    world = make_world(manual_retained=RETAINED, manual_per_day=PER_DAY,
                       token_ttl_ms=1000 * DAY_MS)
    for number, cluster in enumerate(CLUSTERS):
        world.add(cluster, file_system=7 + number % 2)
    driver = Driver(world, seed)
    world.start(hold=["JOB"])
    actions = ([driver.create] * 6 + [driver.work] * 16 + [driver.delete] * 3 +
               [driver.cancel] + [driver.clone] * 2 + [driver.delete_clone] +
               [driver.tick] * 5 + [driver.die] * 3 + [driver.die_in_a_request] * 2)
    for _ in range(STEPS):
        driver.random.choice(actions)()
    driver.finish()
    assert driver.kills and world.acked
