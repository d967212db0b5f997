# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operation with each of its parameters absent, empty, malformed, too long and given twice.

Also what every answer must look like: a success has no Code, an error has its four fields, nothing is null, and
numbers are strings but where the cloud's are not.
"""
import os
import re
import urllib.parse

import pytest

from disk import Thing
import msgs

SRCDIR = os.environ["DBSNAP_SRCDIR"]
CLUSTER, BACKUP, JOB, CLONE, NAME = "pc-a", "1", "1", "c", "500"


def malformed(name):
    return 400, f"Invalid{name}.Malformed", f"The specified parameter {name} is not valid."


NO_BACKUP = 400, "InvalidBackupSetID.NotFound", "The specified parameter BackupId is not valid."
NO_CLUSTER = 404, "InvalidDBClusterId.NotFound", "The DBClusterId provided does not exist in our records."
IDS = ["x", "0", "-1", "+1", "01", "1.0", " 1", "1 ", "0x1", "18446744073709551616", "9" * 300]
CLUSTERS = ["X", "a", "-a", "pc_a", "pc a", "../pc-a", "a" * 64, "pc-\u00e9", "a" * 5000]
TIMES = ["2026-01-01", "2026-01-01T00:00:00Z", "2026-13-01T00:00Z", "2026-01-01T24:00Z", "2026-01-01 00:00Z",
         "now", "2" * 300]
# What each parameter refuses, with what answer. A backup that is no number is one that is not there.
WRONG = {
    "DBClusterId": [(CLUSTERS, malformed("DBClusterId")), (["pc-none", "a" * 63], NO_CLUSTER)],
    "BackupId": [([*IDS, "99", "1,2,x", "1,"], NO_BACKUP)],
    "BackupJobId": [(IDS, malformed("BackupJobId"))],
    "JobId": [(IDS, malformed("JobId"))],
    "PageSize": [(["0", "1", "31", "-30", "030", " 30", "30.0", "x", "9" * 300], malformed("PageSize"))],
    "PageNumber": [(["0", "-1", "01", "x", "1.5", "4294967296", "9" * 300], malformed("PageNumber"))],
    "StartTime": [(TIMES, malformed("StartTime"))],
    "EndTime": [(TIMES, malformed("EndTime"))],
    "BackupStatus": [(["success", "SUCCESS", "Success,Failed", "AVAILABLE", "x" * 300], malformed("BackupStatus"))],
    "BackupMode": [(["manual", "Auto", "Manual,Automated", "x" * 300], malformed("BackupMode"))],
    "BackupType": [(["fullbackup", "IncrementalBackup", "x" * 300], malformed("BackupType"))],
    "BackupMethod": [(["snapshot", "Physical", "x" * 300], malformed("BackupMethod"))],
    "ClientToken": [(["x" * 65, "a\tb", "\u00e9", "x" * 5000], malformed("ClientToken"))],
    "CloneName": [(["A", "-a", "a_b", "a/b", "..", "a b", "a" * 64, "a" * 5000], malformed("CloneName"))],
    "DryRun": [(["True", "1", "yes", "x" * 300], malformed("DryRun"))],
    "Name": [(["a b", "\u00e9", "x" * 264, "x" * 5000], malformed("Name")),
             (["none", "../500", "/etc"], (404, "InvalidName.NotFound", "The specified name is not in the quarantine."))],
}
PAGE = ["PageSize", "PageNumber"]
# Each operation: what it requires, what it takes beside that, and what names its cluster without DBClusterId.
TABLE = {
    "CreateBackup": (["DBClusterId"], ["ClientToken", "BackupType", "BackupMethod"], None),
    "DescribeBackups": (["DBClusterId"], ["BackupId", "BackupStatus", "BackupMode", "StartTime", "EndTime", *PAGE],
                        "BackupId"),
    "DescribeBackupTasks": (["DBClusterId"], ["BackupJobId", "BackupMode"], None),
    "DeleteBackup": (["DBClusterId", "BackupId"], [], "BackupId"),
    "DescribeBackupPolicy": (["DBClusterId"], [], None),
    "DescribeDBClusters": ([], PAGE, None),
    "CloneBackup": (["BackupId", "CloneName"], ["DBClusterId", "ClientToken"], "BackupId"),
    "DescribeClones": ([], ["DBClusterId", "CloneName", *PAGE], None),
    "DeleteClone": (["CloneName"], ["DBClusterId"], None),
    "VerifyBackup": (["BackupId"], ["DBClusterId"], "BackupId"),
    "RestoreBackup": (["BackupId"], ["DBClusterId", "DryRun"], "BackupId"),
    "HoldBackup": (["BackupId"], ["DBClusterId"], "BackupId"),
    "ReleaseBackup": (["BackupId"], ["DBClusterId"], "BackupId"),
    "DescribeJobs": ([], ["DBClusterId", "JobId", *PAGE], None),
    "CancelJob": (["JobId"], ["DBClusterId"], None),
    "CheckCluster": (["DBClusterId"], [], None),
    "DescribeQuarantine": ([], ["DBClusterId", "Name", *PAGE], None),
    "AdoptBackup": (["DBClusterId", "Name"], [], None),
    "DeleteQuarantined": (["DBClusterId", "Name"], [], None),
    "DescribeStatus": ([], [], None),
}
VALID = {"DBClusterId": CLUSTER, "BackupId": BACKUP, "JobId": JOB, "BackupJobId": JOB, "CloneName": CLONE, "Name": NAME, "DryRun": "true",
         "ClientToken": "x" * 64, "BackupType": "FullBackup", "BackupMethod": "Snapshot", "BackupStatus": "Success",
         "BackupMode": "Manual", "StartTime": "2020-01-01T00:00Z", "EndTime": "2030-01-01T00:00Z", "PageSize": "100",
         "PageNumber": "1"}
# Where the cloud's are numbers.
NUMBERS = {"TotalRecordCount", "PageRecordCount", "PageNumber", "StorageUsed", "BackupRetentionPeriod"}
# Those that refuse the valid request of this world for a reason of its state.
STATE = {"CancelJob": "OperationDenied.BackupStatus"}
# A name that is looked for and not found is no error in a list.
LOOKED_FOR = {("DescribeQuarantine", "Name"): ["none", "../500", "/etc"]}


@pytest.fixture
def here(make_world):
    """A backup 1, a clone c of it, and 500 in quarantine."""
    world = make_world(manual_per_day=100, manual_retained=100)
    facts = {"accepted_ms": world.wall_ms, "consistent_ms": world.wall_ms, "mode": 1, "backend": "btrfs"}
    world.add(CLUSTER).things[NAME] = Thing(msgs.BACKUP, int(NAME), b"q" * 16, facts)
    world.start()
    # The number that is on disk is not given again, so the first one is made known by hand.
    world.first = world.make()
    world.api.ok("CloneBackup", BackupId=world.first, CloneName=CLONE)
    world.wait_jobs()
    return world


def valid(world, name):
    return world.first if name in ("BackupId", "JobId", "BackupJobId") else VALID[name]


def walk(value, path=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from walk(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, path + "[]")
    else:
        yield path, value


def check_form(action, status, body):
    assert next(iter(body)) == "RequestId" and re.fullmatch("[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", body["RequestId"])
    if status != 200:
        assert list(body) == ["RequestId", "HostId", "Code", "Message"], body
        assert body["Message"] and body["HostId"] == "dbsnapd"
    else:
        assert "Code" not in body, body
    numbers = NUMBERS if action in ("DescribeDBClusters", "DescribeBackupPolicy") else set()
    for path, value in walk(body):
        name = path.rsplit(".", 1)[-1]
        wanted = int if name in numbers else str
        assert type(value) is wanted or (path.endswith("Enabled") and value in (True, False)), (action, path, value)
        assert value != "", (action, path)


def ask(world, action, params):
    status, body = world.api.call(action, **params)
    check_form(action, status, body)
    return status, body.get("Code"), body.get("Message")


def asked(world, action):
    """A request with all that it takes."""
    required, optional, _ = TABLE[action]
    return {name: valid(world, name) for name in [*required, *optional]}


def expected_without(action, name):
    required, optional, instead = TABLE[action]
    if name not in required or (name == "DBClusterId" and instead and instead in [*required, *optional]):
        return None
    return 400, "MissingParameter", f'The required parameter "{name}" is not specified.'


def expect_of(action, name, answer):
    """CreateBackup answers 404 where the others answer 400."""
    if action == "CreateBackup" and answer == malformed("DBClusterId"):
        return (404, *answer[1:])
    return answer


def refusals(world, action):
    """(parameters, expected answer) of every request that is wrong in one parameter."""
    whole = asked(world, action)
    for name in whole:
        rest = {n: v for n, v in whole.items() if n != name}
        missing = expected_without(action, name)
        if missing:
            yield rest, missing
            yield {**rest, name: ""}, missing
        for values, answer in WRONG[name]:
            for value in values:
                if value in LOOKED_FOR.get((action, name), []) or (name == "BackupId" and action == "DeleteBackup" and
                                                                   value == world.first):
                    continue
                yield {**rest, name: value}, expect_of(action, name, answer)


def twice(world, whole, name):
    """The same parameter in query and body, and twice in each."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    again, plain = urllib.parse.urlencode({name: whole[name]}), urllib.parse.urlencode(whole)
    return [world.api.decoded("POST", "/?" + again, plain, form),
            world.api.decoded("POST", "/", f"{plain}&{again}", form),
            world.api.decoded("GET", f"/?{plain}&{again}")]


@pytest.mark.parametrize("action", TABLE)
def test_one_parameter_is_wrong(here, action):
    """Each has its own answer, and changes nothing."""
    before = [b["BackupId"] for b in here.api.backups(CLUSTER)], len(here.engine.flying)
    jobs = here.engine.count("JOB")
    wrong = []
    for params, answer in refusals(here, action):
        got = ask(here, action, params)
        if got != answer:
            wrong.append((params, got, answer))
    assert not wrong, "\n".join(map(str, wrong[:20]))
    assert ([b["BackupId"] for b in here.api.backups(CLUSTER)], len(here.engine.flying)) == before
    here.engine.settle()
    assert here.engine.count("JOB") == jobs


@pytest.mark.parametrize("action", TABLE)
def test_a_parameter_given_twice(here, action):
    for name in [*asked(here, action), "Action"]:
        whole = {"Action": action, **asked(here, action)}
        for status, body in twice(here, whole, name):
            check_form(action, status, body)
            assert (status, body["Code"]) == (400, "InvalidParameter") and name in body["Message"], (name, body)


@pytest.mark.parametrize("action", TABLE)
@pytest.mark.parametrize("how", ["call", "get", "post_json"])
def test_the_whole_request(here, action, how):
    """With all that it takes, by query, form and JSON; an empty optional parameter counts as absent."""
    params = asked(here, action)
    if action == "CloneBackup":
        params["CloneName"] = "another"
    optional = {name: "" for name in TABLE[action][1] if name in PAGE}
    status, body = getattr(here.api, how)(action, **{**params, **optional})
    check_form(action, status, body)
    assert body.get("Code") == STATE.get(action), body
    assert status == (403 if action in STATE else 200)


def test_the_table_is_whole():
    """Every operation that is built is in it; ModifyBackupPolicy has a table of its own."""
    def read(name):
        with open(os.path.join(SRCDIR, name), encoding="utf-8") as file:
            return file.read()
    names = dict(re.findall(r'\[OPERATION_(\w+)\] = \w+\("(\w+)"\)', read("common/operation.c")))
    rows = re.findall(r"^\t\{OPERATION_(\w+), API_LEVEL", read("daemon/front/api.c"), re.M)
    assert {names[row] for row in rows} == {*TABLE, "ModifyBackupPolicy"}


@pytest.mark.parametrize("action", [
    "DescribeDetachedBackups", "DescribeBackupLogs", "DescribeLogBackupPolicy", "ModifyLogBackupPolicy",
    "DescribeBackupRegions", "CreateDBCluster", "DeleteDBCluster", "RestoreTable",
    "createbackup", "CreateBackup ", "x" * 5000])
def test_the_cloud_s_others(here, action):
    status, body = here.api.call(action, DBClusterId=CLUSTER, BackupId=here.first)
    check_form(action, status, body)
    assert (status, body["Code"], body["Message"]) == (403, "InvalidAction", "The specified action is not valid.")


def test_times_bound_the_acceptance(here):
    """The first is in, the last is not; the end is after the start."""
    accepted = here.backup(here.first)["BackupStartTime"]
    minute = accepted[:-4] + "Z"
    after = minute[:-3] + f"{int(minute[-3:-1]) + 1:02}Z"

    def ids(**params):
        return [b["BackupId"] for b in here.api.ok("DescribeBackups", DBClusterId=CLUSTER, **params)["Items"]["Backup"]]
    assert accepted[-3:] == "00Z"
    assert ids(StartTime=minute) == ids(StartTime=minute, EndTime=after) == [here.first]
    assert ids(EndTime=minute) == ids(StartTime=after) == []
    for start, end in ((minute, minute), (after, minute)):
        assert ask(here, "DescribeBackups", {"DBClusterId": CLUSTER, "StartTime": start, "EndTime": end}) == \
            malformed("EndTime")


def test_the_quota_s_two_messages(make_world):
    world = make_world(manual_per_day=2, manual_retained=1)
    world.add(CLUSTER)
    world.start()
    number = world.make()
    assert ask(world, "CreateBackup", {"DBClusterId": CLUSTER}) == \
        (403, "BackupTimesExceeded", "Exceeding the daily backup times of this DB cluster.")
    world.settings["refund_deleted"] = False
    world.send_config()
    world.engine.ping()
    world.delete(number)
    world.make()
    world.settings["manual_retained"] = 9
    world.send_config()
    world.engine.ping()
    assert ask(world, "CreateBackup", {"DBClusterId": CLUSTER}) == \
        (403, "BackupTimesExceeded", "The maximum number of backups per day is exceeded.")


def test_no_body_and_no_action(here):
    for method, target in (("GET", "/"), ("POST", "/"), ("GET", "/?Action=")):
        status, body = here.api.decoded(method, target)
        check_form("", status, body)
        assert (status, body["Code"], body["Message"]) == \
            (400, "MissingParameter", 'The required parameter "Action" is not specified.')


@pytest.mark.parametrize("value,code", [
    (None, "MissingParameter"), ("", "MissingParameter"), (["pc-a"], "InvalidParameter"), ({"a": "b"}, "InvalidParameter"),
    (1, "InvalidDBClusterId.Malformed"), (True, "InvalidDBClusterId.NotFound")])
def test_json_values(here, value, code):
    status, answer = here.api.post_json("DescribeBackups", DBClusterId=value)
    check_form("DescribeBackups", status, answer)
    assert answer["Code"] == code
