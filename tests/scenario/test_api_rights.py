# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what by the default policy, and that a refused caller learns nothing."""
import os

import pytest

FOREIGN = 61234
ALLOWED_TO_GROUP = ["CreateBackup", "DescribeBackups", "DescribeBackupTasks",
                    "DescribeBackupPolicy", "DescribeDBClusters", "DescribeClones",
                    "DescribeJobs", "DescribeStatus", "DescribeQuarantine"]
REFUSED_TO_GROUP = ["DeleteBackup", "CloneBackup", "DeleteClone", "CancelJob", "CheckCluster",
                    "ModifyBackupPolicy",
                    "HoldBackup", "ReleaseBackup", "VerifyBackup", "RestoreBackup",
                    "AdoptBackup", "DeleteQuarantined"]

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to call as somebody else")


def params_of(action, cluster="pc-a", backup="1", job="1", clone="c"):
    return {"DBClusterId": cluster, **{
        "DeleteBackup": {"BackupId": backup}, "HoldBackup": {"BackupId": backup},
        "ReleaseBackup": {"BackupId": backup}, "VerifyBackup": {"BackupId": backup}, "RestoreBackup": {"BackupId": backup},
        "AdoptBackup": {"Name": backup},
        "DeleteQuarantined": {"Name": backup}, "CloneBackup": {"BackupId": backup, "CloneName": clone},
        "DeleteClone": {"CloneName": clone}, "CancelJob": {"JobId": job}}.get(action, {})}


@pytest.fixture
def group_world(make_world):
    world = make_world(socket_gid=FOREIGN)
    world.add("pc-a")
    world.start()
    world.make()
    return world


@pytest.mark.parametrize("action", ALLOWED_TO_GROUP + REFUSED_TO_GROUP)
def test_stranger_may_nothing(group_world, action):
    status, body = group_world.api.call_as(FOREIGN + 1, FOREIGN + 1, action, **params_of(action))
    assert (status, body["Code"]) == (403, "Forbidden.RAM")


@pytest.mark.parametrize("action", ALLOWED_TO_GROUP)
@pytest.mark.parametrize("how", [
    {"gid": FOREIGN}, {"gid": FOREIGN + 1, "groups": [FOREIGN]},
    {"gid": FOREIGN + 1, "groups": list(range(70000, 70100)) + [FOREIGN]}])
def test_group_may_create_and_describe(group_world, action, how):
    groups = how.get("groups", ())
    status, body = group_world.api.call_as(FOREIGN, how["gid"], action, groups, **params_of(action))
    assert status == 200, body


@pytest.mark.parametrize("action", REFUSED_TO_GROUP)
def test_group_may_no_more(group_world, action):
    status, body = group_world.api.call_as(FOREIGN, FOREIGN, action, **params_of(action))
    assert (status, body["Code"]) == (403, "Forbidden.RAM")
    assert group_world.backup("1")["BackupStatus"] == "Success"


def test_daemon_s_own_user_may_everything(make_world):
    world = make_world(daemon_uid=0, socket_gid=FOREIGN)
    world.add("pc-a")
    world.start()
    world.make()
    assert world.api.ok("CheckCluster", DBClusterId="pc-a")["Ok"] == "true"
    world.delete("1")


@pytest.mark.parametrize("action", REFUSED_TO_GROUP + ["CreateBackup", "DescribeBackups"])
def test_refused_caller_learns_nothing(group_world, action):
    """The same answer for what is there and for what is not, but for the request's id."""
    uid = FOREIGN if action in REFUSED_TO_GROUP else FOREIGN + 1
    answers = []
    for there in (params_of(action), params_of(action, "pc-none", "99", "99", "none"),
                  params_of(action, "pc-a", "99", "99", "none")):
        status, body = group_world.api.call_as(uid, uid, action, **there)
        assert len(body.pop("RequestId")) == 36
        answers.append((status, body))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][1]["Code"] == "Forbidden.RAM"


def test_who_may_act_learns_what_is_not_there(group_world):
    status, body = group_world.api.call_as(FOREIGN, FOREIGN, "CreateBackup", DBClusterId="pc-none")
    assert (status, body["Code"]) == (404, "InvalidDBClusterId.NotFound")


@pytest.mark.parametrize("params", [
    {"AccessKeyId": "testid"}, {"Signature": "x"}])
def test_signed_root_is_not_root(group_world, params):
    status, body = group_world.api.call("DescribeStatus", **params)
    assert (status, body["Code"]) == (400, "IncompleteSignature")


def test_every_part_but_the_key_means_nothing(group_world):
    status, _ = group_world.api.call("DescribeStatus", SignatureNonce="n", Timestamp="t",
                                     SignatureMethod="HMAC-SHA1", SignatureVersion="1.0",
                                     SecurityToken="x", AccessKeyId="", Signature="")
    assert status == 200


def test_refusal_is_in_the_audit_log(group_world):
    status, body = group_world.api.call_as(FOREIGN + 1, FOREIGN + 1, "DeleteBackup",
                                           DBClusterId="pc-a", BackupId="1")
    assert status == 403
    line = group_world.engine.logged(body["RequestId"])
    assert f"uid:{FOREIGN + 1}" in line.text and "Forbidden.RAM" in line.text
    assert "DeleteBackup" in line.text and line.request == body["RequestId"]


def test_unknown_action_cannot_forge_a_log_line(group_world):
    status, body = group_world.api.call("x\nrequest forged by uid:0: accepted")
    assert (status, body["Code"]) == (403, "InvalidAction")
    line = group_world.engine.logged(body["RequestId"])
    assert "\n" not in line.text


@pytest.mark.parametrize("name", [b"\xff\xa4", "x".encode() + "\u00e9".encode() * 80, b"x" * 300])
def test_unknown_action_s_name_in_the_log(group_world, name):
    """Whatever its bytes are, and wherever it is cut, the line is text."""
    answer = group_world.api.raw(b"GET / HTTP/1.1\r\nx-acs-action: " + name + b"\r\n\r\n")
    assert b"InvalidAction" in answer
    assert group_world.engine.logged("InvalidAction").text.isascii()


def test_reads_are_not_in_the_audit_log(group_world):
    body = group_world.api.ok("DescribeBackups", DBClusterId="pc-a")
    group_world.engine.settle()
    assert not any(body["RequestId"] in m.text for m in group_world.engine.seen if m.name == "LOG")
