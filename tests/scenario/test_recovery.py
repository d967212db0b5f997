# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalogue and disk brought together: every thing that may lie there, every state."""
import dataclasses
import os
import shutil

import pytest

from system.harness.process import eventually
import msgs
from disk import Thing


@pytest.fixture
def engine(world):
    return world.start(hold=["JOB"])


def place_of(world):
    return world.places["pc-a"]


def order_of(engine, kind=msgs.CREATE, **fields):
    return engine.wait("JOB", kind=kind, **fields)


def jobs(world):
    return world.api.ok("DescribeJobs", DBClusterId="pc-a")["Items"]["Job"]


def seen(world):
    """What recovery must not change when it runs again (invariant 11)."""
    place = place_of(world)
    return (world.api.backups("pc-a"), jobs(world),
            world.api.ok("DescribeClones", DBClusterId="pc-a")["Items"]["Clone"],
            {name: dataclasses.astuple(t) for name, t in place.things.items()})


def assert_stable(world, **how):
    """Recovery twice equals recovery once."""
    eventually(lambda: all("SizeTime" in item["Dbsnap"] for item in world.api.backups("pc-a")
                           if item["Dbsnap"]["State"] == "AVAILABLE"), what="measured")
    world.engine.settle()
    first = seen(world)
    engine = world.restart(**how)
    assert seen(world) == first
    return engine


def test_nothing_on_disk_runs_the_create(world, engine):
    number = world.create()
    nonce = order_of(engine).nonce
    engine = world.restart(hold=["JOB"])
    order = order_of(engine)
    assert (order.nonce, order.attempt) == (nonce, 1)
    engine.done(order)
    world.wait_state(number, "AVAILABLE")


def test_whole_snapshot_is_adopted(world, engine):
    number = world.create()
    engine.perform(order_of(engine))
    engine = world.restart(hold=["JOB"])
    item = world.wait_state(number, "AVAILABLE")
    assert item["Dbsnap"]["Path"] == f"/srv/snap/pc-a/{number}/data"
    assert item["ConsistentTime"] == str(world.wall_ms // 1000)
    assert engine.count("JOB") == 0
    assert_stable(world)


@pytest.mark.parametrize("item", [msgs.BACKUP, msgs.PARTIAL, msgs.PARTIAL_DONE, msgs.DELETING])
def test_another_nonce_is_never_adopted(world, engine, item):
    number = world.create()
    order = order_of(engine)
    facts = place_of(world).facts_of(order, world.wall_ms)
    place_of(world).things["x"] = Thing(item, int(number), b"z" * 16, facts)
    engine = world.restart(hold=["JOB"])
    assert engine.logged("quarantine").backup == int(number)
    again = order_of(engine)
    assert (again.nonce, again.attempt) == (order.nonce, 1)
    assert world.backup(number)["Dbsnap"]["State"] == "PENDING"


@pytest.mark.parametrize("step", ["partial", "partial done"])
def test_unfinished_create_is_run_again_by_its_nonce(world, engine, step):
    number = world.create()
    order = order_of(engine)
    place_of(world).begin(order)
    if step == "partial done":
        place_of(world).finish(order, world.wall_ms)
    engine = world.restart(hold=["JOB"])
    engine.ping()
    world.advance(100)
    again = order_of(engine)
    assert again.nonce == order.nonce
    assert again.attempt == (2 if step == "partial" else 1)
    engine.done(again)
    world.wait_state(number, "AVAILABLE")
    assert place_of(world).made == [order.nonce]


@pytest.mark.parametrize("how", ["unknown", "cancelled"])
def test_whole_but_for_its_name_is_finished(world, engine, how):
    """More unknown outcomes than attempts that may fail, and a cancel: it is done all the same."""
    number = world.create()
    order = order_of(engine)
    place_of(world).begin(order)
    place_of(world).finish(order, world.wall_ms)
    for pause in (200, 400, 800, 1600, 3200, 5000):
        engine.unknown(order)
        engine.settle()
        if how == "cancelled":
            world.api.ok("CancelJob", JobId=number)
        world.advance(pause - 1)
        engine.settle()
        assert engine.waiting("JOB") == 0
        world.advance(1)
        order = order_of(engine)
    engine.done(order)
    world.wait_state(number, "AVAILABLE")
    assert place_of(world).made == [order.nonce]


def test_unreadable_intent_is_the_create_s_own_matter(world, engine):
    number = world.create()
    order = order_of(engine)
    place_of(world).things[f".{number}"] = Thing(msgs.PARTIAL, int(number), bytes(16))
    engine = world.restart(hold=["JOB"])
    engine.ping()
    world.advance(100)
    again = order_of(engine)
    assert again.nonce == order.nonce
    del place_of(world).things[f".{number}"]
    engine.done(again)
    world.wait_state(number, "AVAILABLE")


def test_cut_off_attempts_are_bounded(world, engine):
    number = world.create()
    for attempt in range(1, 22):
        order = order_of(engine)
        assert order.attempt == attempt
        place_of(world).begin(order)
        engine = world.restart(hold=["JOB"])
    item = world.wait_state(number, "FAILED")
    assert "cut off" in item["Dbsnap"]["Cause"]
    clean = order_of(engine, msgs.DELETE)
    assert clean.nonce == order.nonce
    engine.done(clean)
    engine.settle()
    assert not place_of(world).things
    assert jobs(world)[0]["State"] == "Failed"


@pytest.mark.parametrize("first", [1, 2])
def test_cut_off_attempt_is_counted_once_however_often_it_is_found(world, engine, first):
    number = world.create()
    for _ in range(first):
        order = order_of(engine)
        place_of(world).begin(order)
        world.kill()
        # Fronts that recover and start nothing.
        for _ in range(25):
            world.connect().hold("PROBE")
            world.hello()
            world.engine.send("STOP")
            world.engine.release("PROBE")
            world.engine.wait("READY")
            world.kill()
        engine = world.start(hold=["JOB"])
    again = order_of(engine)
    assert again.attempt == first + 1
    engine.done(again)
    world.wait_state(number, "AVAILABLE")


def test_leftover_of_a_failed_create_is_removed(world, engine):
    number = world.create()
    order = order_of(engine)
    engine.fail(order, retry=False)
    world.wait_state(number, "FAILED")
    place_of(world).begin(order)  # as if it had not been gone durably
    engine = world.restart(hold=["JOB"])
    clean = order_of(engine, msgs.DELETE)
    assert (clean.backup, clean.nonce) == (order.backup, order.nonce)
    # Killed in the middle of that: the next one goes on.
    engine = world.restart(hold=["JOB"], running=[clean])
    engine.settle()
    assert engine.count("JOB") == 0
    engine.done(clean)
    engine = world.restart(hold=["JOB"])
    engine.settle()
    assert engine.count("JOB") == 0 and not place_of(world).things


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_snapshot_of_a_given_up_create_goes_to_quarantine(world, engine, state):
    number = world.create()
    order = order_of(engine)
    if state == "FAILED":
        engine.fail(order, retry=False)
    else:
        engine.cancelled(order)
    world.wait_state(number, state)
    engine.perform(order)
    engine = world.restart(hold=["JOB"])
    assert engine.logged("quarantine").backup == int(number)
    engine.settle()
    assert world.backup(number)["Dbsnap"]["State"] == state
    assert number in place_of(world).things and engine.count("JOB") == 0


def test_missing_snapshot_is_lost_and_found_again(world):
    engine = world.start()
    number = world.make()
    thing = place_of(world).things.pop(number)
    engine = world.restart()
    item = world.wait_state(number, "LOST")
    assert item["Dbsnap"]["Cause"] and item["IsAvail"] == "0"
    assert engine.logged("LOST").level == 3
    engine = assert_stable(world)
    # Another snapshot at its place is not it.
    place_of(world).things[number] = Thing(msgs.BACKUP, int(number), b"y" * 16)
    world.restart()
    assert world.backup(number)["Dbsnap"]["State"] == "LOST"
    place_of(world).things[number] = thing
    world.restart()
    item = world.wait_state(number, "AVAILABLE")
    assert "Cause" not in item["Dbsnap"]
    assert_stable(world)


def test_another_snapshot_in_its_place_is_not_it(world):
    world.start()
    number = world.make()
    thing = place_of(world).things[number]
    place_of(world).things[number] = Thing(msgs.BACKUP, int(number), b"y" * 16, thing.facts)
    engine = world.restart()
    world.wait_state(number, "LOST")
    assert engine.logged("quarantine").backup == int(number)
    place_of(world).things[number] = thing
    world.restart()
    world.wait_state(number, "AVAILABLE")


@pytest.mark.parametrize("state", [msgs.OFFLINE, msgs.PLACE_BUSY, msgs.REFUSED])
def test_cannot_look_is_never_is_gone(world, state):
    world.start()
    number = world.make()
    place_of(world).state = state
    things, place_of(world).things = place_of(world).things, {}
    world.restart()
    assert world.backup(number)["Dbsnap"]["State"] == "AVAILABLE"
    place_of(world).things = things
    place_of(world).state = msgs.ONLINE
    world.advance(10_000)
    world.engine.logged("its snapshots can be reached")
    assert world.backup(number)["Dbsnap"]["State"] == "AVAILABLE"


def test_lost_backup_can_be_deleted(world):
    world.start()
    number = world.make()
    place_of(world).things.clear()
    world.restart()
    world.wait_state(number, "LOST")
    world.delete(number)
    world.wait_jobs()
    assert world.backup(number) is None


@pytest.mark.parametrize("step", ["nothing done", "marked", "gone"])
def test_delete_goes_on(world, step):
    engine = world.start()
    number = world.make()
    engine.hold("JOB")
    world.delete(number)
    order = order_of(engine, msgs.DELETE)
    if step != "nothing done":
        place_of(world).mark(order)
    if step == "gone":
        place_of(world).remove(order)
    engine = world.restart(hold=["JOB"])
    again = order_of(engine, msgs.DELETE)
    assert (again.job, again.nonce) == (order.job, order.nonce)
    engine.done(again)
    engine.settle()
    world.restart()
    assert world.backup(number) is None and not place_of(world).things
    assert world.engine.count("JOB") == 0


def test_deleted_backup_never_comes_back(world):
    world.start()
    number = world.make()
    thing = dataclasses.replace(place_of(world).things[number])
    world.delete(number)
    world.wait_jobs()
    place_of(world).things[number] = thing
    engine = world.restart()
    assert engine.logged("quarantine").backup == int(number)
    assert world.backup(number) is None
    assert engine.count("JOB") == 0


def test_rest_of_a_delete_is_removed(world):
    world.start()
    number = world.make()
    nonce = place_of(world).things[number].nonce
    world.delete(number)
    world.wait_jobs()
    place_of(world).things[f".del-{number}"] = Thing(msgs.DELETING, int(number), nonce)
    engine = world.restart()
    engine.wait_for(lambda: engine.count("JOB"))
    engine.settle()
    assert not place_of(world).things


def test_running_job_is_known_and_left_alone(world, engine):
    number = world.create()
    order = order_of(engine)
    engine.running(order)
    place_of(world).begin(order)
    engine = world.restart(hold=["JOB"], running=[order])
    assert engine.count("PROBE", exclusive=False) == 1  # its worker holds the marker
    item = world.backup(number)
    assert item["Dbsnap"]["State"] == "RUNNING"
    engine.settle()
    assert engine.count("JOB") == 0
    engine.done(order)
    world.wait_state(number, "AVAILABLE")


def test_job_that_ends_while_its_cluster_is_probed(world, engine):
    number = world.create()
    order = order_of(engine)
    place_of(world).begin(order)
    world.kill()
    world.connect().hold("PROBE")
    world.hello(running=[order])
    engine = world.engine
    probe = engine.wait("PROBE")
    # The probe has listed the unfinished folder; then the job ends; then the answer comes.
    engine.send("PROBED_ITEM", probe.tag, cluster="pc-a", item=msgs.PARTIAL,
                backup=order.backup, name=f".{number}", facts={"nonce": order.nonce})
    engine.done(order)
    engine.send("PROBED", probe.tag, cluster="pc-a", place=msgs.ONLINE, items=1)
    engine.wait("READY")
    engine.settle()
    assert world.backup(number)["Dbsnap"]["State"] == "AVAILABLE"
    assert engine.count("JOB") == 0


def test_result_that_no_front_heard(world, engine):
    first, second = world.create(), world.create()
    engine.perform(order_of(engine))
    engine = world.restart(hold=["JOB"])
    world.wait_state(first, "AVAILABLE")
    engine.done(order_of(engine, backup=int(second)))
    world.wait_state(second, "AVAILABLE")


def test_strangers_are_never_touched(world):
    place = place_of(world)
    world.start()
    number = world.make()
    strangers = {
        "500": Thing(msgs.BACKUP, 500, b"a" * 16),
        ".501": Thing(msgs.PARTIAL, 501, b"b" * 16),
        ".502": Thing(msgs.PARTIAL_DONE, 502, b"c" * 16),
        ".del-503": Thing(msgs.DELETING, 503, b"d" * 16),
        "clones/x": Thing(msgs.CLONE_ITEM, 0, b"e" * 16),
        "clones/.y": Thing(msgs.CLONE_PARTIAL, 0, b"f" * 16),
        "notes.txt": Thing(msgs.STRANGER, 0, bytes(16)),
        f".{number}": Thing(msgs.PARTIAL, int(number), b"g" * 16),
    }
    place.things.update(strangers)
    engine = world.restart()
    engine.settle()
    assert sum("quarantine" in m.text for m in engine.seen if m.name == "LOG") == 8
    assert engine.count("JOB") == 0 and set(strangers) < set(place.things)
    assert world.backup(number)["Dbsnap"]["State"] == "AVAILABLE"
    # And no number that lies on disk is given again.
    assert int(world.make()) == 504


def test_older_state_directory_than_disk(world):
    """state_dir restored from old: the snapshots made since go to quarantine, loudly."""
    world.start()
    world.make()
    world.kill()
    saved = world.state_dir + ".old"
    shutil.copytree(world.state_dir, saved)
    world.start()
    later = world.make()
    world.kill()
    shutil.rmtree(world.state_dir)
    shutil.move(saved, world.state_dir)
    for folder, _, names in os.walk(world.state_dir):
        for name in [folder, *(os.path.join(folder, n) for n in names)]:
            os.chown(name, world.uid, world.gid)
    engine = world.start()
    assert engine.logged("older than the disk").backup == int(later)
    assert world.backup(later) is None and later in place_of(world).things
    assert int(world.make()) > int(later)


@pytest.fixture
def cloning(world):
    """A backup whose clone's JOB is held: (number, order)."""
    engine = world.start()
    number = world.make()
    engine.hold("JOB")
    world.api.ok("CloneBackup", DBClusterId="pc-a", BackupId=number, CloneName="c1")
    return number, order_of(engine, msgs.CLONE)


@pytest.mark.parametrize("step", ["nothing", "partial", "whole"])
def test_clone_is_run_again(world, cloning, step):
    _, order = cloning
    if step == "partial":
        place_of(world).begin_clone(order)
    if step == "whole":
        place_of(world).clone(order)
    engine = world.restart(hold=["JOB"])
    engine.ping()
    world.advance(100)
    again = order_of(engine, msgs.CLONE)
    assert again.nonce == order.nonce
    engine.done(again)
    world.wait_jobs()
    clone = world.api.clone("pc-a", "c1")
    assert clone["State"] == "Available" and clone["SocketDir"]
    assert_stable(world)


def test_leftover_of_a_failed_clone_is_removed(world, cloning):
    _, order = cloning
    world.engine.fail(order, retry=False)
    world.wait_jobs()
    place_of(world).begin_clone(order)
    engine = world.restart(hold=["JOB"])
    clean = order_of(engine, msgs.DELETE_CLONE)
    assert (clean.clone, clean.nonce) == ("c1", order.nonce)
    engine.done(clean)
    engine.settle()
    assert "clones/.c1" not in place_of(world).things
    assert world.api.clone("pc-a", "c1")["State"] == "Failed"


def test_clone_whose_directory_is_gone_says_so(world, cloning):
    _, order = cloning
    world.engine.done(order)
    world.wait_jobs()
    thing = place_of(world).things.pop("clones/c1")
    world.restart()
    assert "gone" in world.api.clone("pc-a", "c1")["Cause"]
    assert_stable(world)
    place_of(world).things["clones/c1"] = thing
    world.restart()
    assert "Cause" not in world.api.clone("pc-a", "c1")
    del place_of(world).things["clones/c1"]
    world.restart()
    world.api.ok("DeleteClone", CloneName="c1")
    world.wait_jobs()
    assert world.api.clone("pc-a", "c1") is None


def test_records_are_told_to_the_engine(world):
    world.add("pc-b")
    world.start()
    number = world.make()
    world.make()
    world.kill()
    world.connect()
    hello = world.hello()
    told = [m for m in world.engine.seen if m.name == "RECORDS"]
    assert hello.clusters == 1 and [(m.cluster, m.records) for m in told] == [("pc-a", 2)]
    world.engine.wait("READY")
    world.delete(number)
    world.wait_jobs()
    world.kill()
    world.connect()
    world.hello()
    assert [m.records for m in world.engine.seen if m.name == "RECORDS"] == [1]
