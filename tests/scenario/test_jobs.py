# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs when: the order, the bounds, the states that the API shows, retries, cancels."""
import threading

import pytest

import msgs


def order_of(engine, kind=msgs.CREATE, **fields):
    return engine.wait("JOB", kind=kind, **fields)


def test_create_to_available(world):
    engine = world.start()
    number = world.make()
    item = world.backup(number)
    assert item["BackupStatus"] == "Success" and item["IsAvail"] == "1"
    assert item["Dbsnap"]["Backend"] == "btrfs" and item["Dbsnap"]["Procedure"] == "A"
    assert item["Dbsnap"]["Path"] == f"/srv/snap/pc-a/{number}/data"
    assert item["Dbsnap"]["Server"] == "PostgreSQL 15.6"
    assert item["Dbsnap"]["Position"] == "LSN 0/3000148, timeline 1"
    order = next(m for m in engine.seen if m.name == "JOB")
    assert (order.job, order.backup, order.attempt) == (int(number), int(number), 1)
    assert order.nonce == world.places["pc-a"].things[number].nonce != bytes(16)
    assert order.accepted_ms == world.wall_ms and order.mode == 1


def test_states_as_the_engine_tells_them(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = order_of(engine)
    assert world.backup(number)["Dbsnap"]["State"] == "PENDING"
    for phase, name, percent in ((msgs.PREPARING, "Preparing", 5), (msgs.CUTTING, "Uploading", 40),
                                 (msgs.CHECKING, "Checking", 80)):
        engine.running(order) if phase == msgs.PREPARING else None
        engine.progress(order, phase, percent)
        engine.ping()
        task = world.api.ok("DescribeBackupTasks", DBClusterId="pc-a")["Items"]["BackupJob"][0]
        assert (task["BackupProgressStatus"], task["Process"]) == (name, str(percent))
        assert world.backup(number)["Dbsnap"]["State"] == "RUNNING"
    engine.done(order)
    world.wait_state(number, "AVAILABLE")


def test_one_create_at_a_time_a_cluster_two_in_all(world):
    world.settings["manual_retained"] = world.settings["manual_per_day"] = 10
    world.add("pc-b")
    world.add("pc-c")
    engine = world.start(hold=["JOB"])
    for cluster in ("pc-a", "pc-a", "pc-b", "pc-c"):
        world.create(cluster)
    first = order_of(engine, cluster="pc-a")
    second = order_of(engine, cluster="pc-b")
    engine.settle()
    assert engine.waiting("JOB") == 0
    engine.done(first)
    third = order_of(engine, cluster="pc-a")
    engine.settle()
    assert engine.waiting("JOB") == 0
    engine.done(second)
    order_of(engine, cluster="pc-c")
    assert third.job > first.job


def test_every_layout_is_looked_at_however_many_clusters(make_world):
    world = make_world()
    for number in range(100):
        world.add(f"pc-{number:03}")
    engine = world.start()
    engine.wait_for(lambda: engine.count("CHECK", depth=msgs.LAYOUT) == 100)
    engine.settle()
    items = world.api.ok("DescribeDBClusters", PageSize="100")["Items"]["DBCluster"]
    assert [i["DBVersion"] for i in items] == ["15.6"] * 100


def test_a_reload_during_a_probe_is_probed_again(world):
    place = world.places["pc-a"]
    place.state = msgs.OFFLINE
    engine = world.start()
    engine.hold("PROBE")
    world.advance(1000)
    engine.wait_for(lambda: engine.count("PROBE") == 2)
    world.send_config()
    engine.ping()
    place.state = msgs.ONLINE
    engine.release("PROBE")
    engine.wait_for(lambda: engine.count("PROBE") == 3)
    engine.settle()
    assert engine.count("PROBE") == 3
    world.make()


def test_max_running_is_a_bound_in_all(world):
    world.settings["max_running"] = 1
    world.add("pc-b")
    engine = world.start(hold=["JOB"])
    world.create("pc-a")
    world.create("pc-b")
    first = order_of(engine)
    engine.settle()
    assert engine.waiting("JOB") == 0
    engine.done(first)
    assert order_of(engine).cluster == "pc-b"


def test_deletes_run_one_at_a_time_a_file_system(world):
    world.settings["max_running"] = 8
    world.add("pc-b")                   # the same disk as pc-a
    world.add("pc-c", file_system=8)
    engine = world.start()
    numbers = {c: world.make(c) for c in ("pc-a", "pc-b", "pc-c")}
    engine.hold("JOB")
    for cluster, number in numbers.items():
        world.delete(number, cluster)
    first = order_of(engine, msgs.DELETE, cluster="pc-a")
    other = order_of(engine, msgs.DELETE, cluster="pc-c")
    engine.settle()
    assert engine.waiting("JOB") == 0
    engine.done(first)
    engine.done(other)
    engine.done(order_of(engine, msgs.DELETE, cluster="pc-b"))
    world.wait_jobs()
    assert all(not place.things for place in world.places.values())


def test_delete_runs_beside_a_create(world):
    engine = world.start()
    number = world.make()
    engine.hold("JOB")
    world.create()
    create = order_of(engine)
    world.delete(number)
    delete = order_of(engine, msgs.DELETE)
    assert delete.nonce == world.places["pc-a"].made[0]
    engine.done(delete)
    engine.done(create)
    world.wait_jobs()


def test_failed_attempt_is_repeated_three_times_in_all(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    nonces = []
    for attempt, pause in ((1, 100), (2, 1000), (3, None)):
        order = order_of(engine)
        nonces.append(order.nonce)
        assert order.attempt == attempt
        engine.fail(order, cause=f"cause {attempt}")
        if pause:
            engine.ping()
            world.advance(pause - 1)
            engine.settle()
            assert engine.waiting("JOB") == 0
            assert world.backup(number)["Dbsnap"]["State"] == "PENDING"
            world.advance(1)
    item = world.wait_state(number, "FAILED")
    assert item["Dbsnap"]["Cause"] == "cause 3" and item["Dbsnap"]["Remedy"] == "look"
    assert len(set(nonces)) == 1
    world.wait_jobs()


def test_failure_that_stays_is_not_repeated(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    engine.fail(order_of(engine), retry=False)
    world.wait_state(number, "FAILED")
    engine.settle()
    assert engine.count("JOB") == 1


def test_refused_layout_refuses_the_next_create(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    engine.fail(order_of(engine), cause="pg_wal is a link", code=msgs.ERR_LAYOUT, retry=False)
    world.wait_state(number, "FAILED")
    status, answer = world.api.call("CreateBackup", DBClusterId="pc-a")
    assert (status, answer["Code"]) == (403, "OperationDenied.Layout")
    assert "pg_wal is a link" in answer["Message"]
    world.api.ok("CheckCluster", DBClusterId="pc-a")
    world.create()


def test_busy_is_repeated_without_counting(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    for pause in (200, 400, 800, 1600, 3200, 5000, 5000):
        order = order_of(engine)
        assert order.attempt == 1
        engine.busy(order)
        engine.ping()
        world.advance(pause - 1)
        engine.settle()
        assert engine.waiting("JOB") == 0
        world.advance(1)
    engine.done(order_of(engine))
    world.wait_state(number, "AVAILABLE")


def test_delete_is_repeated_for_ever(world):
    engine = world.start()
    number = world.make()
    engine.hold("JOB")
    world.delete(number)
    pause = 100
    for attempt in range(1, 16):
        order = order_of(engine, msgs.DELETE)
        assert order.attempt == attempt
        engine.fail(order, retry=False)
        engine.ping()
        world.advance(pause - 1)
        engine.settle()
        assert engine.waiting("JOB") == 0
        world.advance(1)
        pause = min(pause * 2, 300_000)
    engine.done(order_of(engine, msgs.DELETE))
    world.wait_jobs()
    assert not world.places["pc-a"].things


def test_unknown_is_probed_and_adopted(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = order_of(engine)
    engine.perform(order)
    engine.unknown(order)
    world.wait_state(number, "AVAILABLE")
    assert engine.count("JOB") == 1
    assert engine.count("PROBE", exclusive=True) == 2
    assert world.backup(number)["ConsistentTime"] == str(world.wall_ms // 1000)


@pytest.mark.parametrize("code", [msgs.ERR_UNKNOWN, msgs.ERR_TIMEOUT])
def test_unknown_counts_as_a_failure(world, code):
    engine = world.start(hold=["JOB"])
    number = world.create()
    for pause in (100, 1000, 0):
        order = order_of(engine)
        world.places["pc-a"].begin(order)
        engine.unknown(order, code)
        if pause:
            engine.wait_for(lambda n=engine.count("JOB"): engine.count("PROBE") == 1 + n)
            engine.ping()
            world.advance(pause)
    world.wait_state(number, "FAILED")
    # What the last attempt left is removed, without a record of a job.
    clean = order_of(engine, msgs.DELETE)
    assert clean.nonce == order.nonce and clean.backup == order.backup
    engine.done(clean)
    world.wait_jobs()
    assert not world.places["pc-a"].things


def test_nothing_starts_before_the_unknown_is_settled(world):
    engine = world.start(hold=["JOB"])
    world.create()
    world.create()
    order = order_of(engine)
    engine.hold("PROBE")
    engine.unknown(order)
    probe = engine.wait("PROBE", exclusive=True)
    world.advance(10_000)
    engine.settle()
    assert engine.waiting("JOB") == 0
    engine.send("PROBED", probe.tag, cluster="pc-a", place=msgs.PLACE_BUSY, cause="held")
    engine.ping()
    world.advance(199)
    engine.settle()
    assert engine.waiting("PROBE") == 0
    world.advance(1)
    engine.release("PROBE")
    engine.done(order_of(engine, backup=int(order.backup) + 1))
    world.advance(100)
    engine.done(order_of(engine, attempt=2))
    world.wait_jobs()


def test_unknown_is_not_settled_while_others_hold_the_marker(world):
    world.settings["max_running"] = 4
    engine = world.start()
    number = world.make()
    engine.hold("JOB", "PROBE")
    world.api.ok("CloneBackup", DBClusterId="pc-a", BackupId=number, CloneName="c1")
    clone = order_of(engine, msgs.CLONE)
    world.create()
    create = order_of(engine)
    engine.unknown(create)
    probe = engine.wait("PROBE", exclusive=True)
    engine.send("PROBED", probe.tag, cluster="pc-a", place=msgs.PLACE_BUSY, cause="held")
    # The clone goes on and the cluster stays ONLINE, but nothing else is begun.
    world.create()
    engine.settle()
    world.advance(199)
    engine.settle()
    assert engine.waiting("JOB") == 0
    engine.done(clone)
    engine.ping()
    world.advance(1)
    engine.release("PROBE")
    order_of(engine, backup=create.backup + 1)


def test_unknown_waits_for_an_offline_disk(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = order_of(engine)
    engine.perform(order)
    place = world.places["pc-a"]
    place.state = msgs.OFFLINE
    engine.unknown(order)
    engine.logged("its snapshots cannot be reached")
    assert world.backup(number)["Dbsnap"]["State"] == "PENDING"
    place.state = msgs.ONLINE
    engine.ping()
    world.advance(5000)
    world.wait_state(number, "AVAILABLE")
    assert engine.count("JOB") == 1


def test_done_with_another_nonce_is_not_believed(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = order_of(engine)
    facts = world.places["pc-a"].facts_of(order, world.wall_ms)
    engine.result(order, msgs.DONE, facts={**facts, "nonce": b"x" * 16})
    engine.wait_for(lambda: engine.count("PROBE") == 2)
    assert world.backup(number)["Dbsnap"]["State"] == "PENDING"


def test_result_of_another_attempt_is_ignored(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = order_of(engine)
    engine.send("RESULT", job=order.job, attempt=order.attempt + 1, outcome=msgs.FAILED)
    engine.send("RESULT", job=order.job + 1, attempt=1, outcome=msgs.FAILED)
    engine.settle()
    assert world.backup(number)["Dbsnap"]["State"] == "PENDING"
    engine.done(order)
    world.wait_state(number, "AVAILABLE")


def test_cancel_of_one_that_waits(world):
    engine = world.start(hold=["JOB"])
    world.create()
    second = world.create()
    order_of(engine)
    world.api.ok("CancelJob", JobId=second)
    assert world.backup(second)["Dbsnap"]["State"] == "CANCELLED"
    status, answer = world.api.call("CancelJob", JobId=second)
    assert (status, answer["Code"]) == (403, "OperationDenied.BackupStatus")


def test_cancel_of_one_that_runs(world):
    engine = world.start(hold=["JOB", "CANCEL"])
    number = world.create()
    order = order_of(engine)
    engine.running(order)
    world.api.ok("CancelJob", JobId=number)
    assert engine.wait("CANCEL").job == order.job
    engine.cancelled(order)
    world.wait_state(number, "CANCELLED")


def test_cancelled_too_late_succeeds(world):
    engine = world.start(hold=["JOB", "CANCEL"])
    number = world.create()
    order = order_of(engine)
    world.api.ok("CancelJob", JobId=number)
    engine.wait("CANCEL")
    engine.done(order)
    world.wait_state(number, "AVAILABLE")


def test_cancelled_and_failed_is_not_repeated(world):
    engine = world.start(hold=["JOB", "CANCEL"])
    number = world.create()
    order = order_of(engine)
    world.api.ok("CancelJob", JobId=number)
    engine.fail(order)
    world.wait_state(number, "CANCELLED")


def test_cancelled_and_not_begun_is_not_begun_again(world):
    engine = world.start(hold=["JOB", "CANCEL"])
    number = world.create()
    order = order_of(engine)
    world.api.ok("CancelJob", JobId=number)
    engine.wait("CANCEL")
    engine.busy(order)
    world.wait_state(number, "CANCELLED")
    world.advance(200)
    engine.settle()
    assert engine.waiting("JOB") == 0


def test_cancel_after_an_unknown_attempt_cleans_up(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = order_of(engine)
    world.places["pc-a"].begin(order)
    engine.unknown(order)
    engine.wait_for(lambda: engine.count("PROBE") == 2)
    engine.settle()
    world.api.ok("CancelJob", JobId=number)
    engine.done(order_of(engine, msgs.DELETE))
    world.wait_jobs()
    assert not world.places["pc-a"].things


def test_clone_runs_and_pins_its_backup(world):
    engine = world.start()
    number = world.make()
    engine.hold("JOB")
    answer = world.api.ok("CloneBackup", DBClusterId="pc-a", BackupId=number, CloneName="c1")
    order = order_of(engine, msgs.CLONE)
    assert order.source == world.places["pc-a"].made[0]
    assert order.nonce not in (order.source, bytes(16)) and order.clone == "c1"
    assert str(order.job) == answer["JobId"]
    status, denied = world.api.call("DeleteBackup", DBClusterId="pc-a", BackupId=number)
    assert (status, denied["Code"]) == (403, "OperationDenied.BackupStatus")
    engine.release("JOB")
    engine.done(order)
    world.wait_jobs()
    clone = world.api.clone("pc-a", "c1")
    assert clone["State"] == "Available" and clone["SocketDir"] == "/srv/snap/pc-a/clones/c1"
    world.api.ok("DeleteClone", CloneName="c1")
    world.wait_jobs()
    assert world.api.clone("pc-a", "c1") is None
    world.delete(number)
    world.wait_jobs()
    assert not world.places["pc-a"].things


def test_failed_clone_can_be_deleted(world):
    engine = world.start()
    number = world.make()
    engine.hold("JOB")
    world.api.ok("CloneBackup", DBClusterId="pc-a", BackupId=number, CloneName="c1")
    engine.fail(order_of(engine, msgs.CLONE), retry=False, cause="no room")
    world.wait_jobs()
    assert world.api.clone("pc-a", "c1")["State"] == "Failed"
    assert world.api.clone("pc-a", "c1")["Cause"] == "no room"
    engine.release("JOB")
    world.api.ok("DeleteClone", CloneName="c1")
    world.wait_jobs()
    assert world.api.clone("pc-a", "c1") is None


def test_size_is_measured_when_idle(world):
    engine = world.start(hold=["MEASURE"])
    world.places["pc-a"].size = 12345
    number = world.make()
    assert world.backup(number)["BackupSetSize"] == "0"
    ask = engine.wait("MEASURE")
    assert (str(ask.backup), ask.nonce) == (number, world.places["pc-a"].made[0])
    engine.on_measure(ask)
    engine.settle()
    assert world.backup(number)["BackupSetSize"] == "12345"
    second = world.make()
    assert world.backup(second)["BackupSetSize"] == "12345"  # its cluster's last known size


def test_sizes_not_known_at_the_start_are_measured(world):
    engine = world.start(hold=["MEASURE"])
    number = world.make()
    engine.wait("MEASURE")
    engine = world.restart(hold=["MEASURE"])
    ask = engine.wait("MEASURE")
    assert str(ask.backup) == number


def test_one_found_again_is_measured(world):
    engine = world.start(hold=["MEASURE"])
    number = world.make()
    engine.wait("MEASURE")
    thing = world.places["pc-a"].things.pop(number)
    world.restart()
    world.wait_state(number, "LOST")
    world.places["pc-a"].things[number] = thing
    engine = world.restart(hold=["MEASURE"])
    world.wait_state(number, "AVAILABLE")
    assert str(engine.wait("MEASURE").backup) == number


def test_size_known_at_the_cut_is_not_measured(world):
    place = world.places["pc-a"]
    place.size_known, place.size = True, 999
    engine = world.start()
    number = world.make()
    engine.settle()
    assert engine.count("MEASURE") == 0
    assert world.backup(number)["BackupSetSize"] == "999"


def test_stopping_takes_no_new_work(world):
    engine = world.start(hold=["JOB"])
    world.create()
    world.create()
    order = order_of(engine)
    engine.send("STOP")
    engine.ping()
    engine.done(order)
    engine.settle()
    assert engine.count("JOB") == 1
    world.stop()
    engine = world.start()
    world.wait_jobs()
    assert len(world.places["pc-a"].whole()) == 2


def test_reload_brings_and_retires_clusters(world):
    engine = world.start()
    number = world.make()
    place = world.places.pop("pc-a")
    world.add("pc-b")
    world.send_config()
    engine.wait_for(lambda: engine.count("PROBE", cluster="pc-b"))
    engine.settle()
    world.make("pc-b")
    status, answer = world.api.call("CreateBackup", DBClusterId="pc-a")
    assert status != 200, answer
    assert world.backup(number)["Dbsnap"]["State"] == "AVAILABLE"
    world.places["pc-a"] = place
    world.send_config()
    engine.settle()
    world.make("pc-a")


def test_reload_drops_a_cluster_without_records(world):
    engine = world.start()
    world.add("pc-b")
    world.send_config()
    engine.wait_for(lambda: engine.count("PROBE", cluster="pc-b"))
    del world.places["pc-b"]
    world.send_config()
    engine.settle()
    answer = world.api.ok("DescribeDBClusters")
    assert [c["DBClusterId"] for c in answer["Items"]["DBCluster"]] == ["pc-a"]


def test_reload_of_limits_holds_at_once(world):
    engine = world.start()
    world.make()
    world.settings["manual_per_day"] = 1
    world.send_config()
    engine.settle()
    status, answer = world.api.call("CreateBackup", DBClusterId="pc-a")
    assert (status, answer["Code"]) == (403, "BackupTimesExceeded")


def test_create_on_an_offline_cluster(world):
    world.places["pc-a"].state = msgs.OFFLINE
    engine = world.start()
    status, answer = world.api.call("CreateBackup", DBClusterId="pc-a")
    assert (status, answer["Code"]) == (503, "ServiceUnavailable")
    world.places["pc-a"].state = msgs.ONLINE
    # CheckCluster makes the front look again, without waiting for its pause.
    assert world.api.ok("CheckCluster", DBClusterId="pc-a")["Ok"]
    assert engine.count("PROBE") >= 2
    world.make()


def test_questions_about_space_share_one_worker(world):
    world.settings["manual_retained"] = world.settings["manual_per_day"] = 10
    engine = world.start()
    engine.settle()
    engine.hold("CHECK")
    world.advance(60_000)
    before = engine.count("CHECK")
    threads = [threading.Thread(target=world.create) for _ in range(5)]
    for thread in threads:
        thread.start()
    engine.wait("CHECK", depth=msgs.SPACE)
    engine.settle()
    after = engine.count("CHECK")
    engine.on_check(next(m for m in engine.seen[::-1] if m.name == "CHECK"))
    engine.release("CHECK")
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert after - before <= 1 and len(world.acked) == 5


def test_retired_clusters_are_probed_at_the_start_and_get_their_jobs(world):
    world.add("pc-b")
    world.start()
    gone, cloned = world.make(), world.make()
    world.kill()
    place = world.places.pop("pc-a")
    world.retired["pc-a"] = place
    engine = world.start()
    assert engine.count("PROBE", cluster="pc-a") == 1
    world.delete(gone)
    world.api.ok("CloneBackup", BackupId=cloned, CloneName="c")
    world.wait_jobs()
    assert place.whole() == {int(cloned)} and "clones/c" in place.things
    world.api.ok("DeleteClone", CloneName="c")
    world.delete(cloned)
    world.wait_jobs()
    assert not place.things
    answer = world.api.ok("DescribeDBClusters")
    assert [c["DBClusterId"] for c in answer["Items"]["DBCluster"]] == ["pc-b"]
    assert engine.count("CHECK", cluster="pc-a") == 0


def test_probes_in_flight_are_bounded(make_world):
    world = make_world()
    clusters = [f"pc-{n:03}" for n in range(256)]
    for number, cluster in enumerate(clusters):
        world.add(cluster, file_system=number + 1)
    engine = world.connect()
    engine.hold("PROBE", "CHECK")
    world.hello()
    asked = []
    while len(asked) < len(clusters):
        flying = engine.wait_for(lambda: engine.waiting("PROBE") >= min(32, len(clusters) - len(asked)) and
                                 [m for m in engine.inbox if m.name == "PROBE"])
        engine.settle()
        assert engine.waiting("PROBE") == len(flying) <= 32
        # Some hang: the others' turns come all the same.
        for msg in flying[5:] or flying:
            engine.wait("PROBE", tag=msg.tag)
            asked.append(msg.cluster)
            engine.on_probe(msg)
    assert sorted(asked) == clusters
    engine.wait("READY")
    looked = []
    while len(looked) < len(clusters):
        msg = engine.wait("CHECK")
        engine.ping()
        assert engine.waiting("CHECK") < 16
        looked.append(msg.cluster)
        engine.on_check(msg)
    assert sorted(looked) == clusters
