# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILLs at random moments, several before anybody looks, on btrfs, XFS and ext4 at once.

DBSNAP_KILLS: how many (24); DBSNAP_SEED: the order of events, as far as a test can give it, printed with
each failure. A longer one: DBSNAP_KILLS=300 DBSNAP_SEED=7 tests/run-pytest system -k storm_of
"""
import contextlib
import os
import random

import pytest

from harness import invariants
from harness.clients import Clients
from harness.killer import Killer, shuffled
from harness.source import Source, digest

KILLS = int(os.environ.get("DBSNAP_KILLS", "24"))
SEED = int(os.environ.get("DBSNAP_SEED", "20260202"))
ROLES = ["front", "engine", "workers", "walkers", "workers", "all"]
# Name: file system, backend. Two share a disk, where removals wait for each other.
CLUSTERS = {"btrfs": ("btrfs", "btrfs"), "twin": ("btrfs", "btrfs"), "xfs": ("xfs", "reflink"), "ext": ("ext4", "copy")}
OWNER = 4711


class Storm:
    """A cluster of plain files, its writer and its clients on each disk."""

    def __init__(self, daemon, disks):
        self.daemon = daemon
        self.disks = disks
        self.known = invariants.Known()
        self.killer = Killer(daemon, random.Random(SEED))
        self.sources = {name: Source(disks[kind].subvolume(name), OWNER) for name, (kind, _) in CLUSTERS.items()}
        for name, source in self.sources.items():
            daemon.add_cluster(name, source.path, database={"type": "none"},
                               snapshot_dir=os.path.join(os.path.dirname(source.path), ".dbsnap", name))
        self.clients = {}

    def begin(self, stack):
        self.daemon.start()
        for source in self.sources.values():
            stack.enter_context(source)
        names = list(self.sources)
        for n, name in enumerate(names):
            clients = Clients(self.daemon.api, self.known, name, SEED + n, count=2, keep=4, other=names[n - 1],
                              before=self.sources[name].note)
            self.clients[name] = stack.enter_context(clients)

    def gates(self, open_them):
        for clients in self.clients.values():
            clients.gate.let(open_them)

    def wait_answers(self, count):
        for clients in self.clients.values():
            clients.wait_answers(count)

    def check(self):
        try:
            invariants.check(self.daemon, *self.disks.values(), known=self.known, sources=self.sources,
                             worker_kills=self.killer.worker_kills)
        except AssertionError:
            print("\n".join(self.daemon.log_text().splitlines()[-150:]))
            raise

    def strike(self, roles):
        """Some kills, one soon after another; then everybody is let finish, and what is left is looked at."""
        self.gates(True)
        for role in roles:
            self.wait_answers(self.killer.rng.randrange(1, 4))
            self.killer.kill(role)
        self.wait_answers(1)
        self.gates(False)
        self.check()

    def replay(self):
        """2: every token that was ever answered is answered the same, whatever has become of its backup."""
        for token, number in self.known.tokens.items():
            assert self.daemon.api.create(token.split("-")[0], token) == number

    def write_to_clones(self):
        """12: what is done to a clone is not done to its backup, nor to its source."""
        for name, source in self.sources.items():
            backup = self.clients[name].available(1)[0]
            data = os.path.join(backup["Dbsnap"]["Path"], "data")
            before = digest(data)
            clone = self.daemon.api.clone_and_wait(name, backup["BackupId"], f"last-{name}")
            for path, _, files in os.walk(clone["ClonePath"]):
                for each in files:
                    with open(os.path.join(path, each), "r+b") as file:
                        file.write(b"spoilt")
            assert digest(data) == before
            assert digest(os.path.join(source.path, "kept")) == source.kept
            self.daemon.api.ok("DeleteClone", DBClusterId=name, CloneName=f"last-{name}")


@pytest.fixture
def storm(make_daemon, make_disk):
    daemon = make_daemon(quota={"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**9},
                         jobs={"max_running": 4})
    return Storm(daemon, {kind: make_disk(kind, "600M") for kind in {kind for kind, _ in CLUSTERS.values()}})


def bursts(rng, roles):
    """Three to six at a time."""
    while roles:
        count = rng.randrange(3, 7)
        yield roles[:count]
        roles = roles[count:]


def test_storm_of_kills(storm):
    killer = storm.killer
    with contextlib.ExitStack() as stack:
        storm.begin(stack)
        for name, (_, backend) in CLUSTERS.items():
            found = storm.daemon.api.ok("CheckCluster", DBClusterId=name)
            assert found["Backend"] == backend, found
        for roles in bursts(killer.rng, shuffled(killer.rng, ROLES, KILLS)):
            print(f"seed {SEED}, kills from {len(killer.said)} on: {roles}")
            storm.strike(roles)
        print(f"seed {SEED}: {len(storm.known.created)} creates, killed: {', '.join(killer.said)}")
        assert killer.hits == KILLS
        for name in storm.sources:
            assert sum(t.startswith(name) for t in storm.known.tokens) >= KILLS / 4, name
        storm.replay()
        storm.write_to_clones()
        storm.check()
    invariants.check_recovery(storm.daemon)
