# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of anything of the daemon at any moment, under load from clients and database.

DBSNAP_KILLS: how many (15), on three file systems together; DBSNAP_SEED: the order of events, as far as a test can give
it, printed with each failure.
"""
import hashlib
import os
import random

import pytest

from harness import invariants, postgres
from harness.clients import Clients
from harness.load import Acked, Pgbench, check_sums
from harness.killer import Killer, shuffled

KILLS = int(os.environ.get("DBSNAP_KILLS", "15"))
SEED = int(os.environ.get("DBSNAP_SEED", "20260101"))
ROLES = ["front", "engine", "workers", "walkers", "helpers", "all"]


@pytest.fixture(params=["btrfs", "xfs", "ext4"])
def disk(make_disk, request):
    return make_disk(request.param)


@pytest.fixture
def pg(disk, make_server):
    return make_server(disk.subvolume("pg", postgres.USER))


@pytest.fixture
def load(pg):
    """Two clients of pgbench and one session that remembers what was acknowledged."""
    with Pgbench(pg, clients=2), Acked(pg, sessions=1) as ids:
        yield ids


@pytest.fixture
def busy(make_daemon, disk, pg, make_server):
    """A daemon with `main`, which is pg, and a second cluster `main-b`, whose server is not running."""
    daemon = make_daemon(quota={"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000})
    other = make_server(disk.subvolume("pg-b", postgres.USER), start=False)
    for cluster, server in (("main", pg), ("main-b", other)):
        daemon.add_server(cluster, server, snapshot_dir=disk.path(".dbsnap", cluster))
    return daemon.start()


def digest(folder):
    """Of every name, mode and byte below it."""
    found = hashlib.sha256()
    for path, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            file = os.path.join(path, name)
            found.update(f"{os.path.relpath(file, folder)} {os.lstat(file).st_mode} ".encode())
            with open(file, "rb") as content:
                found.update(content.read())
    return found.hexdigest()


def check_clone(daemon, pg, backup, known, load, start_clone, name):
    """4: started, it has every id that was acknowledged before its backup was asked for.
    12: and whatever is written to it, its backup and its source are not."""
    before = digest(backup["Dbsnap"]["Path"])
    must = load.acked_before(known.asked[known.created[backup["BackupId"]]])
    clone = daemon.api.clone_and_wait("main", backup["BackupId"], name)
    server = start_clone(clone["ClonePath"])
    assert not load.missing(server, must), f"{backup}: {len(must)} acknowledged"
    check_sums(server)
    server.amcheck()
    server.sql("CREATE TABLE only_here AS SELECT generate_series(1, 10000) AS n")
    server.sql("DELETE FROM acked")
    server.sql("CHECKPOINT")
    server.stop()
    assert digest(backup["Dbsnap"]["Path"]) == before
    assert pg.value("SELECT to_regclass('only_here')") is None
    assert not load.missing(pg, must)


def test_killed_at_random(busy, pg, disk, load, start_clone):
    daemon, rng, known = busy, random.Random(SEED), invariants.Known()
    killer = Killer(daemon, rng)
    with Clients(daemon.api, known, "main", SEED, keep=4) as clients:
        for number, role in enumerate(shuffled(rng, ROLES, KILLS // 3)):
            print(f"seed {SEED}, kill {number}: {role}")
            clients.gate.let(True)
            clients.wait_answers(rng.randrange(3, 12))
            killer.kill(role)
            clients.wait_answers(1)
            clients.gate.let(False)
            invariants.check(daemon, disk, known=known, servers=[pg], worker_kills=killer.worker_kills)
    print(f"seed {SEED}: {', '.join(killer.said)}")
    assert killer.hits == KILLS // 3
    invariants.check_recovery(daemon)
    for token, number in known.tokens.items():                                    # 2
        assert daemon.api.create("main", token) == number
    left = clients.available(2)
    for name, backup in zip(("last-one", "last-two"), (left[0], left[-1])):
        check_clone(daemon, pg, backup, known, load, start_clone, name)
    invariants.check(daemon, disk, known=known, servers=[pg])


def test_ten_deaths_of_the_front_in_a_minute_end_the_engine(many_deaths):
    """Begun by test_invariants_life.py, so that nobody waits for it."""
    times = many_deaths.wait(10)
    assert times[-1] - times[0] < 60
    assert many_deaths.engine.reap(10) == 1
    assert len(many_deaths.times) == 10
    assert "10 times in a minute" in many_deaths.engine.log_text()
    assert not os.path.exists(many_deaths.engine.socket)
