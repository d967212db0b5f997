# SPDX-License-Identifier: GPL-3.0-or-later
"""DeleteBackup, CancelJob, CloneBackup, DeleteClone: what they refuse, and that a refusal changes nothing."""
import http.client
import os
import urllib.parse

import pytest

from system.harness.client import UnixConnection
import msgs

GONE = (400, "InvalidBackupSetID.NotFound")
STATE = (403, "OperationDenied.BackupStatus")


def call(world, action, **params):
    status, body = world.api.call(action, **params)
    return status, body.get("Code")


def delete(world, backup, cluster="pc-a"):
    return call(world, "DeleteBackup", DBClusterId=cluster, BackupId=backup)


@pytest.fixture
def three(make_world):
    """Backups 1, 2 of pc-a and 3 of pc-b, all AVAILABLE."""
    world = make_world()
    world.add("pc-a")
    world.add("pc-b", file_system=8)
    world.start()
    for cluster in ("pc-a", "pc-a", "pc-b"):
        world.make(cluster)
    return world


# DeleteBackup.

@pytest.mark.parametrize("backup", ["99", "0", "-1", "x", "01", "1,", ",1", "1,,2", "1 ,2", "3", "1,3",
                                    "1,99", "18446744073709551616", "../1"])
def test_delete_of_what_is_not_there_deletes_none(three, backup):
    assert delete(three, backup) == GONE
    assert [b["BackupId"] for b in three.api.backups("pc-a")] == ["2", "1"]
    assert three.engine.count("JOB", kind=msgs.DELETE) == 0


def test_delete_s_parameters(three):
    assert call(three, "DeleteBackup", DBClusterId="pc-a") == (400, "MissingParameter")
    assert call(three, "DeleteBackup") == (400, "MissingParameter")
    assert call(three, "DeleteBackup", DBClusterId="X", BackupId="1") == \
        (400, "InvalidDBClusterId.Malformed")
    assert call(three, "DeleteBackup", DBClusterId="pc-none", BackupId="1") == \
        (404, "InvalidDBClusterId.NotFound")
    many = ",".join(str(n) for n in range(1, 1002))
    assert delete(three, many) == (400, "InvalidParameter")


def test_delete_answers_with_the_request_s_id_alone(three):
    assert list(three.api.ok("DeleteBackup", DBClusterId="pc-a", BackupId="1")) == ["RequestId"]


def test_delete_twice(three):
    three.delete("1")
    assert delete(three, "1") == GONE
    three.wait_jobs()
    assert delete(three, "1") == GONE
    assert three.engine.count("JOB", kind=msgs.DELETE) == 1


def test_delete_of_several_and_of_one_named_twice(three):
    three.api.ok("DeleteBackup", DBClusterId="pc-a", BackupId="2,1,2")
    three.wait_jobs()
    assert three.api.backups("pc-a") == []
    assert three.engine.count("JOB", kind=msgs.DELETE) == 2


def test_delete_without_a_cluster(three):
    three.api.ok("DeleteBackup", BackupId="1,3")
    three.wait_jobs()
    assert [b["BackupId"] for b in three.api.backups("pc-a")] == ["2"]
    assert three.api.backups("pc-b") == []


def test_delete_of_a_running_one(three):
    engine = three.engine
    engine.hold("JOB")
    number = three.create("pc-b")
    order = engine.wait("JOB")
    assert delete(three, number, "pc-b") == STATE
    assert delete(three, f"3,{number}", "pc-b") == STATE
    engine.running(order)
    engine.ping()
    status, body = three.api.call("DeleteBackup", DBClusterId="pc-b", BackupId=number)
    assert (status, body["Code"]) == STATE
    assert number in body["Message"]
    engine.done(order)
    three.wait_state(number, "AVAILABLE", "pc-b")
    assert len(three.api.backups("pc-b")) == 2


def test_delete_of_a_pinned_one(three):
    engine = three.engine
    engine.hold("JOB")
    three.api.ok("CloneBackup", BackupId="1", CloneName="c")
    order = engine.wait("JOB", kind=msgs.CLONE)
    assert delete(three, "1") == STATE
    assert delete(three, "2,1") == STATE
    engine.done(order)
    three.wait_jobs()
    assert delete(three, "1") == (200, None)


def test_delete_works_offline_and_with_a_full_disk(three):
    place = three.places["pc-a"]
    place.space_low = True
    three.tick(3000)
    assert delete(three, "1") == (200, None)
    three.wait_jobs()
    place.state = msgs.OFFLINE
    three.restart()
    assert delete(three, "2") == (200, None)


# CancelJob.

def test_cancel(three):
    engine = three.engine
    engine.hold("JOB")
    number = three.create()
    order = engine.wait("JOB")
    engine.running(order)
    engine.ping()
    assert list(three.api.ok("CancelJob", JobId=number)) == ["RequestId"]
    three.wait_state(number, "CANCELLED")
    assert three.backup(number)["BackupStatus"] == "Failed"
    job, = three.api.ok("DescribeJobs", JobId=number)["Items"]["Job"]
    assert job["State"] == "Cancelled"
    assert call(three, "CancelJob", JobId=number) == STATE


@pytest.mark.parametrize("params,expected", [
    ({}, (400, "MissingParameter")), ({"JobId": "x"}, (400, "InvalidJobId.Malformed")),
    ({"JobId": "99"}, (404, "InvalidJobId.NotFound")), ({"JobId": "1"}, STATE),
    ({"JobId": "1", "DBClusterId": "pc-b"}, (404, "InvalidJobId.NotFound")),
    ({"JobId": "1", "DBClusterId": "pc-a"}, STATE)])
def test_cancel_refused(three, params, expected):
    assert call(three, "CancelJob", **params) == expected


def test_delete_cannot_be_cancelled(three):
    three.engine.hold("JOB")
    three.delete("1")
    order = three.engine.wait("JOB", kind=msgs.DELETE)
    assert call(three, "CancelJob", JobId=str(order.job)) == STATE


# Clones.

def clone(world, **params):
    return call(world, "CloneBackup", **{"BackupId": "1", "CloneName": "c", **params})


@pytest.mark.parametrize("params,expected", [
    ({"BackupId": ""}, (400, "MissingParameter")), ({"CloneName": ""}, (400, "MissingParameter")),
    ({"BackupId": "x"}, GONE), ({"BackupId": "99"}, GONE), ({"DBClusterId": "pc-b"}, GONE),
    ({"DBClusterId": "pc-none"}, (404, "InvalidDBClusterId.NotFound")),
    ({"CloneName": "A"}, (400, "InvalidCloneName.Malformed")),
    ({"CloneName": "../x"}, (400, "InvalidCloneName.Malformed")),
    ({"CloneName": "-x"}, (400, "InvalidCloneName.Malformed")),
    ({"CloneName": "x" * 64}, (400, "InvalidCloneName.Malformed")),
    ({"ClientToken": "t" * 65}, (400, "InvalidClientToken.Malformed"))])
def test_clone_refused(three, params, expected):
    assert clone(three, **params) == expected
    assert three.api.ok("DescribeClones")["Items"]["Clone"] == []
    assert three.engine.count("JOB", kind=msgs.CLONE) == 0


def test_clone(three):
    answer = three.api.ok("CloneBackup", DBClusterId="pc-a", BackupId="1", CloneName="c-1")
    assert answer["ClonePath"] == "/srv/snap/pc-a/clones/c-1"
    three.wait_jobs()
    item, = three.api.ok("DescribeClones", CloneName="c-1")["Items"]["Clone"]
    assert item == {
        "CloneName": "c-1", "DBClusterId": "pc-a", "BackupId": "1", "JobId": answer["JobId"],
        "State": "Available", "ClonePath": "/srv/snap/pc-a/clones/c-1",
        "SocketDir": "/srv/snap/pc-a/clones/c-1", "CreateTime": "2023-11-14T12:00:00Z", "Running": "false",
        "Connect": "psql -h /srv/snap/pc-a/clones/c-1 -p 5432 postgres"}
    job, = three.api.ok("DescribeJobs", JobId=answer["JobId"])["Items"]["Job"]
    assert (job["Kind"], job["CloneName"], job["BackupId"]) == ("CloneBackup", "c-1", "1")
    assert clone(three, CloneName="c-1") == STATE
    assert three.api.ok("DescribeClones", DBClusterId="pc-b")["Items"]["Clone"] == []
    assert three.api.ok("DescribeClones", CloneName="c-1",
                        DBClusterId="pc-b")["Items"]["Clone"] == []


def test_clone_s_token(three):
    first = three.api.ok("CloneBackup", BackupId="1", CloneName="c", ClientToken="t")
    again = three.api.ok("CloneBackup", BackupId="1", CloneName="c", ClientToken="t", DBClusterId="pc-a")
    assert (again["JobId"], again["ClonePath"]) == (first["JobId"], first["ClonePath"])
    for other in ({"BackupId": "2"}, {"BackupId": "3"}, {"CloneName": "d"}):
        assert clone(three, ClientToken="t", **other) == (400, "IdempotentParameterMismatch")
    three.wait_jobs()
    assert three.engine.count("JOB", kind=msgs.CLONE) == 1
    # CreateBackup's tokens are others.
    assert three.create(token="t") != first["JobId"]


def test_clone_s_token_differs_by_caller(make_world):
    """Another than root who may clone: the daemon's own user."""
    if os.getuid() != 0:
        pytest.skip("needs root to call as somebody else")
    world = make_world()
    world.settings["daemon_uid"] = world.uid
    world.add("pc-a")
    world.start()
    number = world.make()
    mine = world.api.ok("CloneBackup", BackupId=number, CloneName="c", ClientToken="t")
    status, body = world.api.call_as(world.uid, world.gid, "CloneBackup", BackupId=number, CloneName="d",
                                     ClientToken="t")
    assert status == 200 and body["JobId"] != mine["JobId"], body
    world.wait_jobs()
    assert {c["CloneName"] for c in world.api.ok("DescribeClones")["Items"]["Clone"]} == {"c", "d"}


def test_clone_of_what_cannot_be_cloned(three):
    engine = three.engine
    engine.hold("JOB")
    number = three.create("pc-b")
    order = engine.wait("JOB")
    assert clone(three, BackupId=number) == STATE
    engine.fail(order, retry=False)
    three.wait_state(number, "FAILED", "pc-b")
    assert clone(three, BackupId=number) == STATE
    three.delete("1")
    assert clone(three, BackupId="1") == GONE


def test_clone_of_an_offline_cluster(three):
    three.places["pc-a"].state = msgs.OFFLINE
    three.restart()
    assert clone(three) == (503, "ServiceUnavailable")


def retire(world, cluster):
    """Out of the configuration, and still on its disk."""
    world.engine.hold("PROBE")
    place = world.places.pop(cluster)
    world.send_config()
    world.engine.ping()
    world.places[cluster] = place
    return place


def test_clone_of_a_retired_cluster(three):
    retire(three, "pc-a")
    three.engine.release("PROBE")
    three.engine.settle()
    assert clone(three) == (200, None)


def test_clone_of_a_retired_cluster_that_is_away(three):
    place = retire(three, "pc-a")
    place.state, place.cause = msgs.OFFLINE, "nobody knows where it is"
    three.engine.release("PROBE")
    three.engine.settle()
    status, answer = three.api.call("CloneBackup", BackupId="1", CloneName="c")
    assert (status, answer["Code"], answer["Message"]) == \
        (503, "ServiceUnavailable", "nobody knows where it is")


def test_delete_s_audit_record_has_the_cluster(three):
    three.api.ok("DeleteBackup", BackupId="1,2")
    assert three.engine.logged('"DeleteBackup"').cluster == "pc-a"


def test_delete_of_two_clusters_names_neither(three):
    three.api.ok("DeleteBackup", BackupId="1,3")
    assert three.engine.logged('"DeleteBackup"').cluster == ""


def test_delete_clone(three):
    assert clone(three) == (200, None)
    three.wait_jobs()
    assert call(three, "DeleteClone", CloneName="c", DBClusterId="pc-b") == (404, "InvalidCloneName.NotFound")
    assert list(three.api.ok("DeleteClone", CloneName="c")) == ["RequestId"]
    three.wait_jobs()
    assert three.api.ok("DescribeClones")["Items"]["Clone"] == []
    assert call(three, "DeleteClone", CloneName="c") == (404, "InvalidCloneName.NotFound")
    assert clone(three) == (200, None)


@pytest.mark.parametrize("params,expected", [
    ({}, (400, "MissingParameter")), ({"CloneName": "C"}, (400, "InvalidCloneName.Malformed")),
    ({"CloneName": "none"}, (404, "InvalidCloneName.NotFound"))])
def test_delete_clone_refused(three, params, expected):
    assert call(three, "DeleteClone", **params) == expected


def test_delete_of_a_clone_that_is_being_made(three):
    three.engine.hold("JOB")
    assert clone(three) == (200, None)
    order = three.engine.wait("JOB", kind=msgs.CLONE)
    assert call(three, "DeleteClone", CloneName="c") == STATE
    three.engine.done(order)


@pytest.mark.parametrize("action,params", [
    ("DeleteBackup", {"BackupId": "1"}), ("CloneBackup", {"BackupId": "1", "CloneName": "d"}),
    ("DeleteClone", {"CloneName": "c"}), ("CreateBackup", {"DBClusterId": "pc-a"}),
    ("CheckCluster", {"DBClusterId": "pc-a"})])
def test_no_new_work_while_stopping(three, action, params):
    """On a connection that was open before; what comes on it is answered 503."""
    connection = UnixConnection(three.path, 20)
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/", "Action=DescribeStatus", head)
    connection.getresponse().read()
    three.engine.send("STOP")
    three.engine.ping()
    connection.request("POST", "/", urllib.parse.urlencode({"Action": action, **params}), head)
    answer = connection.getresponse()
    assert answer.status == http.client.SERVICE_UNAVAILABLE
    connection.close()
