# SPDX-License-Identifier: GPL-3.0-or-later
"""CreateBackup: every refusal, the order of its checks, tokens, and waiting for space."""
import json
import os
import subprocess
import threading

import pytest

from system.harness.client import UnixConnection
from system.harness.process import eventually
from world import DAY_MS
import msgs

FOREIGN = 61234  # a uid, and a gid, that is nobody's
TOKEN = "a token"
DENIED = (403, "Forbidden.RAM")


def error(answer):
    status, body = answer
    return status, body.get("Code")


def create(world, **params):
    return world.api.call("CreateBackup", **{"DBClusterId": "pc-a", **params})


def settled(world):
    """Started, with the layout of every cluster known."""
    engine = world.start()
    engine.wait_for(lambda: engine.count("CHECK", depth=msgs.LAYOUT) >= sum(
        p.state == msgs.ONLINE for p in world.places.values()))
    engine.ping()
    return engine


@pytest.mark.parametrize("params,expected", [
    ({"DBClusterId": ""}, (400, "MissingParameter")),
    ({"DBClusterId": "pc-none"}, (404, "InvalidDBClusterId.NotFound")),
    ({"DBClusterId": "../etc"}, (404, "InvalidDBClusterId.Malformed")),
    ({"DBClusterId": "a" * 64}, (404, "InvalidDBClusterId.Malformed")),
    ({"DBClusterId": "PC-A"}, (404, "InvalidDBClusterId.Malformed")),
    ({"DBClusterId": "a"}, (404, "InvalidDBClusterId.Malformed")),
    ({"DBClusterId": "pc-a\n"}, (404, "InvalidDBClusterId.Malformed")),
    ({"ClientToken": "t" * 65}, (400, "InvalidClientToken.Malformed")),
    ({"ClientToken": "a\nb"}, (400, "InvalidClientToken.Malformed")),
    ({"ClientToken": "\u00e9"}, (400, "InvalidClientToken.Malformed")),
    ({"ClientToken": "\x7f"}, (400, "InvalidClientToken.Malformed")),
    ({"BackupType": "LogBackup"}, (400, "InvalidBackupType.Malformed")),
    ({"BackupType": "fullbackup"}, (400, "InvalidBackupType.Malformed")),
    ({"BackupMethod": "Physical"}, (400, "InvalidBackupMethod.Malformed")),
])
def test_bad_parameters_change_nothing(world, params, expected):
    world.start()
    assert error(create(world, **params)) == expected
    assert world.api.backups("pc-a") == []
    assert world.create() == "1"


@pytest.mark.parametrize("params", [
    {}, {"ClientToken": ""}, {"ClientToken": "t" * 64}, {"ClientToken": " ~"},
    {"BackupType": "FullBackup", "BackupMethod": "Snapshot"}, {"BackupType": "", "Nonsense": "1"}])
def test_accepted(world, params):
    engine = world.start(hold=("JOB",))
    status, body = create(world, **params)
    assert (status, body["BackupJobId"]) == (200, "1")
    order = engine.wait("JOB")
    assert (order.kind, order.job, order.backup, order.cluster) == (msgs.CREATE, 1, 1, "pc-a")
    assert (order.mode, order.attempt) == (1, 1)
    assert order.request == body["RequestId"]
    item = world.backup("1")
    assert item["BackupStatus"] == "Running" and item["IsAvail"] == "0"
    assert "BackupEndTime" not in item and "ConsistentTime" not in item


# Each stage refuses; every later stage would refuse, too. So the first one in order answers.

def bad_world(make_world):
    """Authorization, cluster, token, type, method, place, layout, space and quota all refuse."""
    world = make_world(manual_retained=0, socket_gid=FOREIGN)
    place = world.add("pc-a")
    place.layout_ok = False
    place.refusal = "links leave the data directory"
    place.space_low = True
    return world, place


def test_order_of_checks_to_the_token(make_world):
    world, _ = bad_world(make_world)
    settled(world)
    bad = {"BackupType": "x", "BackupMethod": "x"}
    assert error(create(world, DBClusterId="", ClientToken="\n", **bad)) == (400, "MissingParameter")
    assert error(create(world, DBClusterId="X", ClientToken="\n", **bad)) == \
        (404, "InvalidDBClusterId.Malformed")
    stranger = dict(BackupType="x", BackupMethod="x")
    for cluster in ("pc-a", "pc-none"):
        status, body = world.api.call_as(FOREIGN + 1, FOREIGN + 1, "CreateBackup",
                                         DBClusterId=cluster, **stranger)
        assert (status, body["Code"]) == DENIED
    assert error(world.api.call_as(FOREIGN + 1, FOREIGN + 1, "CreateBackup", DBClusterId="pc-a",
                                   ClientToken="\n")) == (400, "InvalidClientToken.Malformed")
    assert error(create(world, DBClusterId="pc-none", **bad)) == (404, "InvalidDBClusterId.NotFound")
    assert error(create(world, **bad)) == (400, "InvalidBackupType.Malformed")
    assert error(create(world, BackupMethod="x")) == (400, "InvalidBackupMethod.Malformed")
    status, body = create(world)
    assert (status, body["Code"]) == (403, "OperationDenied.Layout")
    assert "links leave the data directory" in body["Message"]


def test_order_of_checks_offline_comes_before_layout(make_world):
    world, place = bad_world(make_world)
    place.state, place.cause = msgs.OFFLINE, "its marker is not there"
    world.start()
    status, body = create(world)
    assert (status, body["Code"]) == (503, "ServiceUnavailable")
    assert "its marker is not there" in body["Message"]
    assert error(create(world, BackupMethod="x")) == (400, "InvalidBackupMethod.Malformed")


def test_order_of_checks_space_comes_before_quota(make_world):
    world, place = bad_world(make_world)
    place.layout_ok = True
    settled(world)
    status, body = create(world)
    assert (status, body["Code"]) == (403, "OperationDenied.DiskFull")
    assert "too little" in body["Message"]


def test_quota_s_messages(make_world):
    world = make_world(manual_retained=1, manual_per_day=2)
    world.add("pc-a")
    world.start()
    first = world.make()
    status, body = create(world)
    assert (status, body["Code"]) == (403, "BackupTimesExceeded")
    assert body["Message"] == "Exceeding the daily backup times of this DB cluster."
    world.settings.update(manual_retained=9, refund_deleted=False)
    world.send_config()
    world.engine.ping()
    world.delete(first)
    world.make()
    status, body = create(world)
    assert (status, body["Code"]) == (403, "BackupTimesExceeded")
    assert body["Message"] == "The maximum number of backups per day is exceeded."


def test_creates_per_day_s_message(make_world):
    world = make_world(creates_per_day=1)
    world.add("pc-a")
    world.start()
    world.delete(world.make())
    status, body = create(world)
    assert (status, body["Code"]) == (403, "BackupTimesExceeded")
    assert body["Message"] == "The maximum number of backups per day is exceeded."
    world.advance(world.until_midnight_ms())
    assert create(world)[0] == 200


def test_layout_is_refused_as_last_checked(world):
    place = world.places["pc-a"]
    place.layout_ok, place.refusal = False, "tablespaces"
    engine = settled(world)
    place.layout_ok = True
    checks = engine.count("CHECK", depth=msgs.LAYOUT)
    assert error(create(world)) == (403, "OperationDenied.Layout")
    # The refused one has it looked at again.
    engine.wait_for(lambda: engine.count("CHECK", depth=msgs.LAYOUT) == checks + 1)
    engine.ping()
    assert create(world)[0] == 200
    assert engine.count("CHECK", depth=msgs.LAYOUT) == checks + 1


def test_server_that_is_down_when_looked_at_is_no_layout(world):
    """The next create tries again; only the check itself says what it met."""
    place = world.places["pc-a"]
    place.layout_ok, place.refusal = False, "the database system is starting up"
    place.refusal_code, place.refusal_passes = msgs.ERR_DATABASE, True
    settled(world)
    assert world.api.ok("CheckCluster", DBClusterId="pc-a")["Ok"] == "false"
    assert create(world)[0] == 200


def test_refused_place(world):
    place = world.places["pc-a"]
    place.state, place.cause = msgs.REFUSED, "snapshot_dir is writable by others"
    world.start()
    status, body = create(world)
    assert (status, body["Code"]) == (403, "OperationDenied.Layout")
    assert "writable by others" in body["Message"]


def test_offline_cluster_comes_back_by_asking(world):
    place = world.places["pc-a"]
    place.state = msgs.OFFLINE
    world.start()
    assert error(create(world)) == (503, "ServiceUnavailable")
    place.state = msgs.ONLINE
    eventually(lambda: create(world)[0] == 200)


def test_stopping(world):
    engine = world.start()
    number = world.create(token=TOKEN)
    world.wait_state(number, "AVAILABLE")
    wires = {}

    def ask(name, **params):
        wires[name] = create(world, **params)
    # Held by the wait for space, so that they are still there when STOP comes.
    engine.hold("CHECK")
    world.tick(3000)
    thread = threading.Thread(target=ask, args=("new",))
    thread.start()
    engine.wait("CHECK")
    engine.send("STOP")
    engine.ping()
    world.advance(1000)
    thread.join(20)
    assert error(wires["new"]) == (503, "ServiceUnavailable")


@pytest.mark.skipif("DBSNAP_OWN_MOUNTS" not in os.environ, reason="needs mounts of its own")
def test_full_disk_under_the_catalogue(make_world):
    many = 1_000_000
    world = make_world(manual_retained=many, manual_per_day=many, creates_per_day=many)
    world.add("pc-a")
    options = f"size=160k,mode=700,uid={world.uid},gid={world.gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", world.state_dir], check=True)
    try:
        world.start(hold=("JOB",))
        acked = []
        while (answer := create(world))[0] == 200:
            acked.append(answer[1]["BackupJobId"])
        assert error(answer) == (503, "ServiceUnavailable")
        assert "room" in answer[1]["Message"]
        assert error(create(world, ClientToken=TOKEN)) == (503, "ServiceUnavailable")
        assert [b["BackupId"] for b in world.api.backups("pc-a")] == acked[::-1]
        subprocess.run(["mount", "-o", "remount,size=4m", world.state_dir], check=True)
        assert create(world, ClientToken=TOKEN)[0] == 200
        world.kill()
    finally:
        subprocess.run(["umount", "-l", world.state_dir], check=True)


# Tokens.

def test_same_token_same_job(world):
    engine = world.start()
    first = world.create(token=TOKEN)
    assert world.create(token=TOKEN) == first
    world.wait_state(first, "AVAILABLE")
    assert world.create(token=TOKEN) == first
    assert create(world, ClientToken=TOKEN, BackupType="FullBackup",
                  BackupMethod="Snapshot")[1]["BackupJobId"] == first
    world.restart()
    assert world.create(token=TOKEN) == first
    assert engine.count("JOB", kind=msgs.CREATE) == 1
    assert len(world.api.backups("pc-a")) == 1


@pytest.mark.parametrize("params", [
    {"DBClusterId": "pc-b"}, {"BackupType": "LogBackup"}, {"BackupMethod": "Physical"}])
def test_same_token_other_parameters(world, params):
    world.add("pc-b")
    world.start()
    world.create(token=TOKEN)
    assert error(create(world, ClientToken=TOKEN, **params)) == (400, "IdempotentParameterMismatch")
    assert len(world.api.backups("pc-a")) == 1
    assert world.api.backups("pc-b") == []


def test_tokens_differ_by_case_and_by_caller(make_world):
    world = make_world(socket_gid=FOREIGN)
    world.add("pc-a")
    world.start()
    first = world.create(token="t")
    assert world.create(token="T") != first
    status, body = world.api.call_as(FOREIGN, FOREIGN, "CreateBackup", DBClusterId="pc-a",
                                     ClientToken="t")
    assert status == 200 and body["BackupJobId"] != first


def test_replay_answers_before_everything_that_can_refuse(make_world):
    world = make_world(manual_retained=1)
    place = world.add("pc-a")
    settled(world)
    first = world.create(token=TOKEN)
    world.wait_state(first, "AVAILABLE")
    assert error(create(world)) == (403, "BackupTimesExceeded")
    assert world.create(token=TOKEN) == first
    place.space_low = True
    world.tick(3000)
    assert error(create(world)) == (403, "OperationDenied.DiskFull")
    assert world.create(token=TOKEN) == first
    place.layout_ok, place.refusal = False, "links"
    world.api.ok("CheckCluster", DBClusterId="pc-a")
    assert error(create(world)) == (403, "OperationDenied.Layout")
    assert world.create(token=TOKEN) == first
    place.state = msgs.OFFLINE
    world.restart()
    assert error(create(world)) == (503, "ServiceUnavailable")
    assert world.create(token=TOKEN) == first


def test_replay_after_the_backup_is_gone_never_runs_again(world):
    engine = world.start()
    first = world.create(token=TOKEN)
    world.wait_state(first, "AVAILABLE")
    world.delete(first)
    world.wait_jobs()
    assert world.create(token=TOKEN) == first
    assert world.api.backups("pc-a") == []
    assert engine.count("JOB", kind=msgs.CREATE) == 1


def test_refused_create_stores_no_token(world):
    place = world.places["pc-a"]
    place.space_low = True
    settled(world)
    assert error(create(world, ClientToken=TOKEN)) == (403, "OperationDenied.DiskFull")
    place.space_low = False
    world.tick(3000)
    assert create(world, ClientToken=TOKEN)[0] == 200


def test_token_is_not_logged(world):
    engine = world.start()
    world.create(token="a-secret-token")
    line = engine.logged("CreateBackup")
    assert "uid:0" in line.text or "uid:" in line.text
    assert line.cluster == "pc-a" and line.request
    engine.settle()
    assert not any("a-secret-token" in m.text for m in engine.seen if m.name == "LOG")


def test_token_dies_by_both_clocks(world):
    world.start()
    first = world.make(token=TOKEN)
    world.advance(DAY_MS - 1)
    assert world.create(token=TOKEN) == first
    world.advance(1)
    assert world.create(token=TOKEN) != first


# Space.

def in_threads(world, count, **params):
    """Starts that many creates at once."""
    answers, threads = [None] * count, []

    def ask(number):
        answers[number] = create(world, **params)
    for number in range(count):
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
    return answers, threads


def test_fresh_space_is_not_asked_for_again(world):
    engine = settled(world)
    before = engine.count("CHECK")
    assert create(world)[0] == 200
    engine.settle()
    assert engine.count("CHECK") == before


def test_stale_space_is_asked_for_once_for_all_that_wait(world):
    engine = settled(world)
    engine.hold("CHECK")
    world.tick(3000)
    answers, threads = in_threads(world, 5, ClientToken=TOKEN)
    check = engine.wait("CHECK")
    assert check.depth == 0
    engine.settle()
    engine.on_check(check)
    for thread in threads:
        thread.join(20)
    assert [a[1].get("BackupJobId") for a in answers] == ["1"] * 5
    engine.settle()
    assert engine.count("CHECK", depth=0) == 1


def test_stale_space_that_has_run_low(world):
    engine = settled(world)
    world.places["pc-a"].space_low = True
    world.tick(3000)
    assert error(create(world)) == (403, "OperationDenied.DiskFull")
    assert engine.count("JOB") == 0


def test_no_answer_about_space_within_a_second(world):
    engine = settled(world)
    engine.hold("CHECK")
    world.tick(3000)
    answers, threads = in_threads(world, 1)
    engine.wait("CHECK")
    engine.ping()
    world.advance(999)
    engine.settle()
    assert threads[0].is_alive()
    world.advance(1)
    threads[0].join(20)
    assert answers[0][0] == 200


def test_wait_for_space_keeps_the_quota_exact(make_world):
    world = make_world(manual_retained=2)
    world.add("pc-a")
    engine = settled(world)
    engine.hold("CHECK", "JOB")
    world.tick(3000)
    answers, threads = in_threads(world, 6)
    check = engine.wait("CHECK")
    engine.settle()
    engine.on_check(check)
    for thread in threads:
        thread.join(20)
    assert sorted(a[0] for a in answers) == [200, 200, 403, 403, 403, 403]


def test_those_that_wait_are_served_in_order(make_world):
    world = make_world(manual_retained=2)
    world.add("pc-a")
    engine = settled(world)
    engine.hold("CHECK", "JOB")
    world.tick(3000)
    wires = []
    for _ in range(4):
        wires.append(UnixConnection(world.path, 20))
        wires[-1].request("GET", "/?Action=CreateBackup&DBClusterId=pc-a")
        engine.settle()  # it has been read
    engine.release("CHECK")
    answers = [json.loads(wire.getresponse().read()) for wire in wires]
    assert [a.get("BackupJobId") for a in answers] == ["1", "2", None, None]
    for wire in wires:
        wire.close()


def test_other_clusters_do_not_wait(world):
    world.add("pc-b")
    engine = settled(world)
    world.tick(3000)
    assert create(world, DBClusterId="pc-b")[0] == 200
    engine.hold("CHECK")
    answers, threads = in_threads(world, 1)
    check = engine.wait("CHECK", cluster="pc-a")
    assert create(world, DBClusterId="pc-b")[0] == 200
    engine.on_check(check)
    threads[0].join(20)
    assert answers[0][0] == 200


def test_cluster_goes_offline_while_a_create_waits(world):
    place = world.places["pc-a"]
    engine = settled(world)
    engine.hold("CHECK")
    world.tick(3000)
    answers, threads = in_threads(world, 1)
    check = engine.wait("CHECK")
    place.state = msgs.OFFLINE
    engine.on_check(check)
    threads[0].join(20)
    assert error(answers[0]) == (503, "ServiceUnavailable")


def test_cluster_is_taken_away_while_a_create_waits(world):
    world.add("pc-b")
    engine = settled(world)
    engine.hold("CHECK")
    world.tick(3000)
    answers, threads = in_threads(world, 1)
    check = engine.wait("CHECK", depth=0)
    place = world.places.pop("pc-a")
    world.send_config()
    engine.ping()
    world.places["pc-a"] = place
    engine.on_check(check)
    threads[0].join(20)
    assert error(answers[0]) == (404, "InvalidDBClusterId.NotFound")


def test_create_that_waits_when_the_engine_ends_is_not_accepted(world):
    engine = settled(world)
    engine.hold("CHECK")
    world.tick(3000)
    wires = []
    for _ in range(2):
        wires.append(UnixConnection(world.path, 20))
        wires[-1].request("GET", "/?Action=CreateBackup&DBClusterId=pc-a")
    engine.wait("CHECK")
    engine.settle()
    world.stop()
    for wire in wires:
        wire.close()
    world.start()
    assert world.api.backups("pc-a") == []


def test_retired_cluster(world):
    world.add("pc-b")
    world.start()
    first = world.make(token=TOKEN)
    world.retired["pc-a"] = world.places.pop("pc-a")    # what is still measured there is there
    world.send_config()
    world.engine.ping()
    status, body = create(world)
    assert (status, body["Code"]) == (404, "InvalidDBClusterId.NotFound")
    assert "retired" in body["Message"]
    assert world.create(token=TOKEN) == first
    assert error(world.api.call("CheckCluster", DBClusterId="pc-a")) == \
        (404, "InvalidDBClusterId.NotFound")
    assert [b["BackupId"] for b in world.api.backups("pc-a")] == [first]


def test_two_clients_at_once_and_the_same_token(world):
    engine = settled(world)
    answers, threads = in_threads(world, 8, ClientToken=TOKEN)
    for thread in threads:
        thread.join(20)
    assert {a[1]["BackupJobId"] for a in answers} == {"1"}
    assert engine.count("JOB", kind=msgs.CREATE) <= 1
