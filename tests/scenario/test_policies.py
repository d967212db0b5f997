# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies in force: what a request is about, what lists show, and what nobody may learn."""
import functools
import json
import os
import statistics
import time

import pytest

from disk import Thing
import msgs
from policies import modify, next_backup
from ram import (DATE_LESS_THAN, GID, MODE, NUMERIC_EQUALS, OPERATIONS, STRING_EQUALS,
                 STRING_NOT_EQUALS, TIME, UID, Caller, condition, statement)
from system.harness.signer import Signer

WHO, OTHER, GROUP = 61234, 61235, 61300

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to call as somebody else")

# Each operation with what a request of it needs beside DBClusterId.
NAMING = {
    "DescribeBackups": ("BackupId",), "DeleteBackup": ("BackupId",), "HoldBackup": ("BackupId",),
    "ReleaseBackup": ("BackupId",), "VerifyBackup": ("BackupId",), "RestoreBackup": ("BackupId",),
    "CloneBackup": ("BackupId", "NewName"),
    "DescribeClones": ("CloneName",), "DeleteClone": ("CloneName",), "DescribeJobs": ("JobId",),
    "CancelJob": ("JobId",)}
PLAIN = ["CreateBackup", "DescribeBackups", "DescribeBackupTasks", "DescribeBackupPolicy",
         "ModifyBackupPolicy", "CheckCluster", "DescribeClones", "DescribeJobs",
         "DescribeDBClusters", "DescribeStatus", "DescribeQuarantine"]
LISTS = ["DescribeDBClusters", "DescribeClones", "DescribeJobs", "DescribeStatus", "DescribeQuarantine"]
QUARANTINED = ["AdoptBackup", "DeleteQuarantined"]  # by a name in a cluster's folder
SIGNER = Signer()
NOTHING = {"id": "999", "clone": "none"}


class Policed:
    """A front with two clusters: in each a backup, a clone of it, and a deleted backup."""

    def __init__(self, world):
        self.world = world
        self.callers = []
        self.there = {}
        for cluster in ("pc-a", "pc-b"):
            world.add(cluster, file_system=len(cluster)).things["notes.txt"] = Thing(msgs.STRANGER, 0, bytes(16))
        world.keys = [{"id": SIGNER.key, "secret": SIGNER.secret.decode()}]
        world.start()
        world.advance(10_000)  # what was signed before the start is refused
        for cluster in ("pc-a", "pc-b"):
            backup = world.make(cluster, token=f"token-{cluster}")
            clone = f"of-{cluster}"
            world.api.ok("CloneBackup", BackupId=backup, CloneName=clone, ClientToken=f"clone-{cluster}")
            gone = world.make(cluster)
            world.delete(gone, cluster)
            world.wait_jobs()
            self.there[cluster] = {"id": backup, "clone": clone, "gone": gone}

    def allow(self, *statements):
        """Reload: these are all the policies there are."""
        self.world.statements = list(statements)
        self.world.send_config()
        self.world.engine.ping()

    def caller(self, uid=WHO, gid=None, groups=()):
        self.callers.append(Caller(self.world.path, uid, gid, groups))
        return self.callers[-1]

    def signing(self, uid=WHO):
        return self.caller(uid).sign(self.world, SIGNER)

    def params(self, action, thing, cluster=None):
        values = {"BackupId": thing["id"], "JobId": thing["id"], "CloneName": thing["clone"],
                  "NewName": "new"}
        named = {"CloneName" if n == "NewName" else n: values[n] for n in NAMING[action]}
        return {**named, **({"DBClusterId": cluster} if cluster else {})}

    def close(self):
        for caller in self.callers:
            caller.close()


@pytest.fixture
def policed(make_world):
    policed = Policed(make_world(socket_gid=GROUP))
    yield policed
    policed.close()


def about(effect, actions="*", clusters="*", *conditions, **how):
    """For WHO, unless it says for whom."""
    who = {} if {"uids", "gids", "keys", "anybody"} & set(how) else {"uids": [WHO]}
    return statement(effect, actions, clusters, *conditions, **who, **how)


allow = functools.partial(about, "Allow")
deny = functools.partial(about, "Deny")


def code(answer):
    return answer[0] if answer[0] == 200 else (answer[0], answer[1]["Code"])


FORBIDDEN = (403, "Forbidden.RAM")


# ---- which policies are in force ----

@pytest.mark.parametrize("statements", [[], [allow()]])
def test_the_first_policy_file_switches_the_default_off(policed, statements):
    """For root, for the daemon's own user (root as well here) and for the socket's group."""
    policed.allow(*statements)
    for caller in (policed.caller(0), policed.caller(OTHER, GROUP)):
        for action in PLAIN:
            assert code(caller.call(action, DBClusterId="pc-a")) == FORBIDDEN, action
        for action in LISTS:
            assert code(caller.call(action)) == FORBIDDEN, action
    policed.world.statements = None
    policed.world.send_config()
    policed.world.engine.ping()
    assert code(policed.caller(0).call("DescribeStatus")) == 200
    assert code(policed.caller(OTHER, GROUP).call("DescribeStatus")) == 200


def test_daemon_s_own_user_is_nobody_special_with_policies(make_world):
    world = make_world(daemon_uid=0, socket_gid=GROUP)
    world.add("pc-a")
    world.statements = []
    world.start()
    assert code(world.api.call("DescribeStatus")) == FORBIDDEN


def test_a_reload_replaces_policies_whole(policed):
    caller = policed.caller()
    policed.allow(allow(["DescribeStatus"]), allow(["DescribeJobs"]))
    assert [code(caller.call(a)) for a in ("DescribeStatus", "DescribeJobs")] == [200, 200]
    policed.allow(allow(["DescribeJobs"]))
    assert [code(caller.call(a)) for a in ("DescribeStatus", "DescribeJobs")] == [FORBIDDEN, 200]


@pytest.mark.parametrize("wrong", [b"", b"x", allow()[:-1], allow() + b"\0",
                                   allow(clusters="*")[:-4] + b"\0\1\0\0"])
@pytest.mark.parametrize("reload", [False, True])
def test_malformed_statement_ends_the_front(world, wrong, reload):
    if reload:
        world.start()
    else:
        world.connect()
    world.statements = [allow(), wrong]
    world.send_config()
    assert os.waitstatus_to_exitcode(world.reap()) == 1


def test_statements_without_policies_end_the_front(world):
    world.connect()
    world.engine.send("CONFIG", generation=1, **world.settings)
    world.engine.send("CONFIG_STATEMENT", generation=1, statement=allow())
    world.engine.send("CONFIG_END", generation=1, statements=1, policies=False)
    assert os.waitstatus_to_exitcode(world.reap()) == 1


def test_statement_of_another_generation_ends_the_front(world):
    world.connect()
    world.engine.send("CONFIG", generation=1, **world.settings)
    world.engine.send("CONFIG_STATEMENT", generation=2, statement=allow())
    assert os.waitstatus_to_exitcode(world.reap()) == 1


# ---- who, where, when ----

def test_groups_count_for_statements_and_conditions(policed):
    policed.allow(allow(["DescribeStatus"], gids=[GROUP]),
                  allow(["DescribeJobs"], "*", condition(GID, NUMERIC_EQUALS, GROUP), anybody=True),
                  allow(["DescribeClones"], "*", condition(UID, NUMERIC_EQUALS, OTHER), anybody=True))
    for caller, answers in ((policed.caller(WHO), [FORBIDDEN] * 3),
                            (policed.caller(WHO, GROUP), [200, 200, FORBIDDEN]),
                            (policed.caller(WHO, WHO, [7, GROUP]), [200, 200, FORBIDDEN]),
                            (policed.caller(OTHER), [FORBIDDEN, FORBIDDEN, 200])):
        assert [code(caller.call(a)) for a in
                ("DescribeStatus", "DescribeJobs", "DescribeClones")] == answers


def test_whoever_signs_is_its_key_alone(policed):
    unsigned, signing = policed.caller(), policed.signing()
    for statements, answers in (([allow(uids=[WHO])], [200, FORBIDDEN]),
                                ([allow(keys=["testid"])], [FORBIDDEN, 200]),
                                ([allow(anybody=True)], [200, 200]),
                                ([allow(anybody=True), deny(keys=["testid"])], [200, FORBIDDEN]),
                                ([allow("*", "*", condition(UID, NUMERIC_EQUALS, WHO), keys=["testid"])],
                                 [FORBIDDEN, 200]),
                                ([allow("*", "*", condition(UID, NUMERIC_EQUALS, OTHER), keys=["testid"])],
                                 [FORBIDDEN, FORBIDDEN])):
        policed.allow(*statements)
        assert [code(c.call("DescribeStatus")) for c in (unsigned, signing)] == answers


def test_region_and_account_are_the_configuration_s(policed):
    caller = policed.caller()
    for region, account, answer in (("local", "local", 200), ("cn", "local", FORBIDDEN),
                                    ("local", "1", FORBIDDEN), ("*", "*", 200)):
        policed.allow(allow(resources=[f"acs:polardb:{region}:{account}:dbcluster/pc-a"]))
        assert code(caller.call("DescribeBackups", DBClusterId="pc-a")) == answer


def test_current_time_is_the_wall_clock(policed):
    caller = policed.caller()
    end_s = policed.world.wall_ms // 1000 + 10
    policed.allow(allow("*", "*", condition(TIME, DATE_LESS_THAN, end_s)))
    assert code(caller.call("DescribeStatus")) == 200
    policed.world.advance(9_000)
    assert code(caller.call("DescribeStatus")) == 200
    policed.world.advance(1_000)
    assert code(caller.call("DescribeStatus")) == FORBIDDEN


def test_every_create_is_manual(policed):
    caller = policed.caller()
    policed.allow(allow("*", "*", condition(MODE, STRING_EQUALS, "Automated")))
    assert code(caller.call("CreateBackup", DBClusterId="pc-a")) == FORBIDDEN
    policed.allow(allow("*", "*", condition(MODE, STRING_EQUALS, "Manual")))
    assert code(caller.call("CreateBackup", DBClusterId="pc-a")) == 200


@pytest.mark.parametrize("action", ["DescribeBackups", "HoldBackup", "CloneBackup", "DeleteBackup"])
def test_a_backup_named_by_id_has_its_mode(policed, action):
    caller, a = policed.caller(), policed.there["pc-a"]
    manual = condition(MODE, STRING_EQUALS, "Manual")
    for cluster in (None, "pc-a"):
        policed.allow(allow("*", "*", condition(MODE, STRING_EQUALS, "Automated")))
        assert code(caller.call(action, **policed.params(action, a, cluster))) == FORBIDDEN
        policed.allow(allow("*", "*", manual))
        for thing in (NOTHING, {**a, "id": a["gone"]}):
            assert code(caller.call(action, **policed.params(action, thing, cluster))) == FORBIDDEN
    assert code(caller.call(action, **policed.params(action, a, "pc-b"))) == FORBIDDEN
    assert code(caller.call(action, **policed.params(action, a))) == 200


MODE_LISTS = {"DescribeBackups": "Backup", "DescribeBackupTasks": "BackupJob"}


@pytest.fixture
def both_modes(policed):
    """In pc-a there is an automated backup as well; the numbers of both."""
    modify(policed.world, PreferredBackupTime="13:00Z-14:00Z")
    return policed, {"Manual": policed.there["pc-a"]["id"], "Automated": next_backup(policed.world)["BackupId"]}


def numbers(caller, action, **params):
    """Those that are listed of the two, with their modes; or the code of the refusal."""
    status, answer = caller.call(action, DBClusterId="pc-a", **params)
    if status != 200:
        return status, answer["Code"]
    names = ("BackupMode", "BackupId") if action == "DescribeBackups" else ("JobMode", "BackupJobId")
    items = answer["Items"][MODE_LISTS[action]]
    assert action != "DescribeBackups" or int(answer["TotalRecordCount"]) == len(items)
    return {item[names[0]]: item[names[1]] for item in items}


@pytest.mark.parametrize("action", MODE_LISTS)
def test_a_list_shows_the_modes_that_the_caller_may_see(both_modes, action):
    """Neither leaving BackupMode out nor naming a number shows what is denied."""
    policed, ids = both_modes
    caller = policed.caller()
    if action == "DescribeBackupTasks":  # of a deleted backup as well: those have jobs
        policed.allow(allow(anybody=True))
        assert ids.items() <= numbers(caller, action).items()
        ids["Manual"] = numbers(caller, action, BackupMode="Manual")["Manual"]
    for mode, other in (("Manual", "Automated"), ("Automated", "Manual")):
        this = {mode: ids[mode]}
        for statements in ([allow("*", "*", condition(MODE, STRING_EQUALS, mode))],
                           [allow(), deny([action], "*", condition(MODE, STRING_EQUALS, other))],
                           [allow(), deny("*", "*", condition(MODE, STRING_NOT_EQUALS, mode))]):
            policed.allow(*statements)
            assert numbers(caller, action) == numbers(caller, action, BackupMode=mode) == this
            assert numbers(caller, action, BackupMode=other) == FORBIDDEN
            assert numbers(caller, action, BackupMode="x") == (400, "InvalidBackupMode.Malformed")
            if action == "DescribeBackupTasks":
                assert numbers(caller, action, BackupJobId=ids[other]) == {}
                assert numbers(caller, action, BackupJobId=ids[mode]) == this
    policed.allow(deny("*", "*", condition(MODE, STRING_EQUALS, "Manual", "Automated")), allow())
    assert numbers(caller, action) == numbers(caller, action, BackupMode="x") == FORBIDDEN
    policed.allow(allow())
    assert numbers(caller, action) == ids


# ---- which cluster a request is about ----

@pytest.mark.parametrize("action", NAMING)
def test_an_id_stands_for_its_cluster(policed, action):
    """Allowed on pc-a alone: what is of pc-b looks like what is not there, named how you will."""
    caller, a, b = policed.caller(), policed.there["pc-a"], policed.there["pc-b"]
    policed.allow(allow("*", ["pc-a"]))
    missing = caller.look(action, **policed.params(action, NOTHING))
    assert missing[0] == 403 and b"Forbidden.RAM" in missing[2]
    for thing in (b, {**b, "id": b["gone"]}):
        if action not in ("DescribeClones", "DeleteClone") or thing is b:
            assert caller.look(action, **policed.params(action, thing)) == missing
    for cluster in ("pc-b", "pc-none"):
        for thing in (a, b, NOTHING):
            assert caller.look(action, **policed.params(action, thing, cluster)) == missing
    not_in_a = caller.look(action, **policed.params(action, NOTHING, "pc-a"))
    assert caller.look(action, **policed.params(action, b, "pc-a")) == not_in_a != missing
    answer = caller.call(action, **policed.params(action, a))
    expected = (403, "OperationDenied.BackupStatus") if action == "CancelJob" else 200
    assert code(answer) == expected
    if action == "DescribeJobs":
        assert [job["JobId"] for job in answer[1]["Items"]["Job"]] == [a["id"]]


@pytest.mark.parametrize("action", ["DescribeBackups", "HoldBackup", "CloneBackup", "DeleteBackup"])
def test_who_may_use_any_cluster_and_not_this_backup_sees_none(policed, action):
    """He would be allowed for an unknown resource: the answer is that of an id that is missing."""
    caller, a = policed.caller(), policed.there["pc-a"]
    policed.allow(allow(), deny("*", "*", condition(MODE, STRING_EQUALS, "Manual")))
    for cluster in (None, "pc-a"):
        missing = caller.look(action, **policed.params(action, NOTHING, cluster))
        assert missing[0] == 400 and b"InvalidBackupSetID.NotFound" in missing[2]
        assert caller.look(action, **policed.params(action, a, cluster)) == missing


def test_a_deny_on_one_cluster_forbids_what_is_not_there(policed):
    """Else the id that is answered otherwise than a missing one would be known to be of that cluster."""
    caller, a, b = policed.caller(), policed.there["pc-a"], policed.there["pc-b"]
    policed.allow(allow(), deny("*", ["pc-b"]))
    for action in NAMING:
        missing = caller.look(action, **policed.params(action, NOTHING))
        assert missing[0] == 403
        assert caller.look(action, **policed.params(action, b)) == missing
    assert code(caller.call("HoldBackup", BackupId=a["id"])) == 200


def test_whoever_may_everything_learns_what_is_not_there(policed):
    caller = policed.caller()
    policed.allow(allow())
    for action, answer in {
            "DescribeBackups": (400, "InvalidBackupSetID.NotFound"),
            "DeleteBackup": (400, "InvalidBackupSetID.NotFound"),
            "HoldBackup": (400, "InvalidBackupSetID.NotFound"),
            "RestoreBackup": (400, "InvalidBackupSetID.NotFound"),
            "CloneBackup": (400, "InvalidBackupSetID.NotFound"), "DescribeClones": 200,
            "DeleteClone": (404, "InvalidCloneName.NotFound"), "DescribeJobs": 200,
            "CancelJob": (404, "InvalidJobId.NotFound")}.items():
        assert code(caller.call(action, **policed.params(action, NOTHING))) == answer
    assert code(caller.call("DescribeBackups", DBClusterId="pc-none")) == (404, "InvalidDBClusterId.NotFound")


def test_each_of_several_deletes_is_authorized(policed):
    caller, a, b = policed.caller(), policed.there["pc-a"]["id"], policed.there["pc-b"]["id"]
    more = policed.world.make("pc-a")
    policed.allow(allow("*", ["pc-a"]))
    for ids in (f"{a},{b}", f"{b},{a}", f"{a},999", f"{a},x", "x", f"{a}," * 1001 + a):
        assert code(caller.call("DeleteBackup", BackupId=ids)) == FORBIDDEN, ids
    assert code(caller.call("DeleteBackup", DBClusterId="pc-a", BackupId=f"{a},{b}")) == \
        (400, "InvalidBackupSetID.NotFound")
    policed.allow(allow(), deny("*", ["pc-b"]))
    assert code(caller.call("DeleteBackup", BackupId=f"{a},{b}")) == FORBIDDEN
    policed.allow(allow(anybody=True))
    for number in (a, more):
        policed.world.wait_state(number, "AVAILABLE")
    policed.allow(allow("*", ["pc-a"]))
    assert code(caller.call("DeleteBackup", BackupId=f"{a},{more}")) == 200
    policed.allow(allow(anybody=True))
    assert policed.world.backup(b, "pc-b")["BackupStatus"] == "Success"
    assert policed.world.backup(a) is None and policed.world.backup(more) is None
    for ids in (b, f"{b},{b}"):
        assert code(caller.call("DeleteBackup", BackupId=ids)) == \
            (200 if ids == b else (400, "InvalidBackupSetID.NotFound"))


def test_a_replay_is_authorized_anew(policed):
    caller, a = policed.caller(), policed.there["pc-a"]["id"]
    clone = {"BackupId": a, "CloneName": "new", "ClientToken": "mine"}
    policed.allow(allow())
    create = caller.call("CreateBackup", DBClusterId="pc-a", ClientToken="mine")
    copy = caller.call("CloneBackup", **clone)
    assert code(create) == code(copy) == 200
    policed.allow(allow("*", ["pc-b"]))
    assert code(caller.call("CreateBackup", DBClusterId="pc-a", ClientToken="mine")) == FORBIDDEN
    assert code(caller.call("CloneBackup", **clone)) == FORBIDDEN
    policed.allow(allow())
    assert caller.call("CreateBackup", DBClusterId="pc-a", ClientToken="mine")[1]["BackupJobId"] == \
        create[1]["BackupJobId"]
    assert caller.call("CloneBackup", **clone)[1]["JobId"] == copy[1]["JobId"]


def allow_and_hold(policed, *statements):
    """The reload looks at the layout first; while that waits nothing else is asked of the cluster."""
    engine = policed.world.engine
    looks = engine.count("CHECK", cluster="pc-a", depth=msgs.LAYOUT)
    policed.allow(*statements)
    engine.wait_for(lambda: engine.count("CHECK", cluster="pc-a", depth=msgs.LAYOUT) > looks, what="looked at")
    engine.ping()     # the front has the answer, whatever the time is afterwards
    engine.hold("CHECK")


@pytest.mark.parametrize("default", [False, True])
def test_a_create_that_waited_is_authorized_anew(policed, default):
    """By its uid and groups as they were, its connection being there or not."""
    world, engine = policed.world, policed.world.engine
    if default:
        engine.hold("CHECK")
    else:
        allow_and_hold(policed, allow(gids=[GROUP]))
    world.advance(5_000)
    callers = [policed.caller(WHO, WHO, [7, GROUP]) for _ in range(2)]
    for caller in callers:
        caller.ask("CreateBackup", DBClusterId="pc-a")
        engine.settle()
    check = engine.wait("CHECK", depth=msgs.SPACE)
    callers[1].close()
    if default:
        world.settings["socket_gid"] = OTHER
        world.send_config()
    else:
        policed.allow(allow(gids=[OTHER]))
    refusals = engine.count("LOG")
    engine.on_check(check)
    status, _, body = callers[0].answer()
    assert status == 403 and b"Forbidden.RAM" in body
    engine.wait_for(lambda: engine.count("LOG") >= refusals + 2, what="both in the log")
    if not default:
        policed.allow(allow(anybody=True))
    assert len(world.api.backups("pc-a")) == 1


def test_a_create_that_waited_needs_its_key_still(policed):
    world, engine, caller = policed.world, policed.world.engine, policed.signing()
    allow_and_hold(policed, allow(keys=["testid"]))
    world.advance(5_000)
    caller.ask("CreateBackup", DBClusterId="pc-a")
    check = engine.wait("CHECK", depth=msgs.SPACE)
    world.keys = []
    policed.allow(allow(keys=["testid"]), allow(uids=[0]))
    engine.on_check(check)
    status, _, body = caller.answer()
    assert status == 404 and b"InvalidAccessKeyId.NotFound" in body
    assert len(world.api.backups("pc-a")) == 1


def wait_and_lose_the_right(policed, caller, action, held, **params):
    """The engine's question that the request waits for, answered after a reload; what the caller is told."""
    world, engine = policed.world, policed.world.engine
    engine.hold(held)
    caller.ask(action, DBClusterId="pc-a", **params)
    question = engine.wait(held)
    if caller.key:
        world.keys = []
    policed.allow(allow(uids=[0]), *([allow(keys=["testid"])] if caller.key else []))
    getattr(engine, f"on_{held.lower()}")(question)
    engine.release(held)
    status, _, body = caller.answer()
    return status, json.loads(body)["Code"]


WAITING = pytest.mark.parametrize("signs, expected", [(False, FORBIDDEN), (True, (404, "InvalidAccessKeyId.NotFound"))])


@WAITING
def test_a_check_that_waited_is_authorized_anew(policed, signs, expected):
    caller = policed.signing() if signs else policed.caller()
    policed.allow(allow(anybody=True))
    assert wait_and_lose_the_right(policed, caller, "CheckCluster", "CHECK") == expected


@WAITING
@pytest.mark.parametrize("there", [True, False])
def test_an_adoption_that_waited_is_authorized_anew(policed, signs, expected, there):
    world = policed.world
    nonce = b"a" * 16
    facts = {"nonce": nonce, "accepted_ms": world.wall_ms, "started_ms": world.wall_ms, "ended_ms": world.wall_ms,
             "consistent_ms": world.wall_ms, "mode": 1, "backend": "btrfs", "procedure": "A", "promise": "atomic"}
    world.places["pc-a"].things["500"] = Thing(msgs.BACKUP, 500, nonce, facts)
    world.restart()
    world.advance(10_000)
    caller = policed.signing() if signs else policed.caller()
    policed.allow(allow(anybody=True))
    if not there:
        del world.places["pc-a"].things["500"]
    assert wait_and_lose_the_right(policed, caller, "AdoptBackup", "PROBE", Name="500") == expected
    assert "500" not in [b["BackupId"] for b in world.api.backups("pc-a")]


def test_who_waits_is_who_asked_though_he_has_gone(policed):
    """His connection ends before its turn comes: whose it was must not be looked up where it was."""
    world, engine = policed.world, policed.world.engine
    caller = policed.caller(WHO, WHO, list(range(100, 400)))
    policed.allow(allow())
    engine.hold("CHECK")
    caller.ask("CheckCluster", DBClusterId="pc-a")
    question = engine.wait("CHECK")
    caller.close()
    engine.settle()
    policed.allow(allow(uids=[OTHER]))
    refusals = engine.count("LOG")
    engine.on_check(question)
    engine.release("CHECK")
    line = engine.wait_for(lambda: engine.count("LOG") > refusals and
                           [m for m in engine.seen if m.name == "LOG"][-1], what="the refusal in the log")
    assert f"by uid:{WHO}: refused" in line.text and "Forbidden.RAM" in line.text


# ---- lists that name no cluster ----

def listed(caller, action, **params):
    status, answer = caller.call(action, **params)
    assert status == 200, answer
    if action == "DescribeStatus":
        return {c["DBClusterId"] for c in answer["Clusters"]}
    kind = {"DescribeDBClusters": "DBCluster", "DescribeClones": "Clone", "DescribeJobs": "Job",
            "DescribeQuarantine": "Quarantined"}[action]
    items = answer["Items"][kind]
    assert int(answer["TotalRecordCount"]) == int(answer["PageRecordCount"]) == len(items)
    return {item["DBClusterId"] for item in items}


@pytest.mark.parametrize("action", LISTS)
def test_lists_show_what_the_caller_may_see(policed, action):
    caller = policed.caller()
    for statements, seen in (([allow()], {"pc-a", "pc-b"}), ([allow("*", ["pc-b"])], {"pc-b"}),
                             ([allow("*", ["pc-z*"])], set()),
                             ([allow(), deny("*", ["pc-b"])], {"pc-a"}),
                             ([allow([action], ["pc-a"]), allow(["CreateBackup"], ["pc-b"])], {"pc-a"})):
        policed.allow(*statements)
        assert listed(caller, action) == seen
    for statements in ([], [allow(["CreateBackup"])], [allow(uids=[OTHER])], [allow(), deny()]):
        policed.allow(*statements)
        assert code(caller.call(action)) == FORBIDDEN


@pytest.mark.parametrize("action", LISTS)
def test_a_list_of_one_cluster(policed, action):
    caller = policed.caller()
    policed.allow(allow("*", ["pc-a"]))
    assert listed(caller, action, DBClusterId="pc-a") == {"pc-a"}
    refused = caller.look(action, DBClusterId="pc-none")
    assert refused[0] == 403
    assert caller.look(action, DBClusterId="pc-b") == refused
    policed.allow(allow())
    assert listed(caller, action, DBClusterId="pc-a") == {"pc-a"}


def test_clusters_asked_for_by_name(policed):
    caller = policed.caller()
    policed.allow(allow("*", ["pc-a"]))
    assert listed(caller, "DescribeDBClusters", DBClusterIds="pc-a,pc-b,pc-none") == {"pc-a"}
    assert caller.look("DescribeDBClusters", DBClusterIds="pc-b") == \
        caller.look("DescribeDBClusters", DBClusterIds="pc-none")


def test_pages_of_what_the_caller_sees(make_world):
    world = make_world(manual_retained=1000, manual_per_day=1000)
    for cluster in ("pc-a", "pc-b"):
        world.add(cluster)
    world.start()
    number = world.make("pc-a"), world.make("pc-b")
    for i in range(70):
        for backup in number:
            world.api.ok("CloneBackup", BackupId=backup, CloneName=f"c-{i:02}-{backup}")
    world.wait_jobs()
    world.statements = [allow("*", ["pc-b"])]
    world.send_config()
    world.engine.ping()
    caller = Caller(world.path, WHO)
    for action, kind, total in (("DescribeClones", "Clone", 70), ("DescribeJobs", "Job", 71)):
        names = []
        for page, count in ((1, 30), (2, 30), (3, total - 60), (4, 0)):
            answer = caller.call(action, PageNumber=page)[1]
            assert (answer["TotalRecordCount"], answer["PageRecordCount"]) == (str(total), str(count))
            assert {item["DBClusterId"] for item in answer["Items"][kind]} <= {"pc-b"}
            names += [item["JobId"] for item in answer["Items"][kind]]
        assert len(set(names)) == total
    caller.close()


def test_status_counts_jobs_of_what_the_caller_sees(policed):
    world, caller = policed.world, policed.caller()
    world.engine.hold("JOB")
    for cluster in ("pc-a", "pc-b"):
        world.api.ok("CreateBackup", DBClusterId=cluster)
    orders = [world.engine.wait("JOB", cluster=cluster) for cluster in ("pc-a", "pc-b")]
    for order in orders:
        world.engine.running(order)
    world.api.ok("CloneBackup", BackupId=policed.there["pc-b"]["id"], CloneName="new")
    world.engine.settle()
    for clusters, jobs in ((["pc-a"], {"Pending": "0", "Running": "1"}),
                           (["pc-b"], {"Pending": "1", "Running": "1"}),
                           (["pc-*"], {"Pending": "1", "Running": "2"}),
                           (["pc-z"], {"Pending": "0", "Running": "0"})):
        policed.allow(allow("*", clusters))
        assert caller.call("DescribeStatus")[1]["Jobs"] == jobs
    for order in orders:
        world.engine.done(order)
    world.engine.release("JOB")


# ---- invariant 10, as an attacker would look for it ----

OTHER_OPERATION = "RestoreBackup"
REFUSED = {
    "no policy at all": [], "no statement for him": [allow(uids=[OTHER])],
    "another operation": [allow([OTHER_OPERATION])], "another cluster": [allow("*", ["pc-z"])],
    "denied here": [allow(), deny("*", ["pc-?", "pc-none"])], "denied everywhere": [allow(), deny()],
    "the wrong group": [allow(gids=[GROUP])], "unsigned": [allow(keys=["testid"])],
    "signed": [allow(uids=[0, WHO])], "signed for another cluster": [allow("*", ["pc-z"], keys=["testid"])],
    "another mode": [allow("*", "*", condition(MODE, STRING_EQUALS, "Automated")),
                     deny("*", "*", condition(MODE, STRING_NOT_EQUALS, "Automated"))],
    "the default policy": None, "signed, by the default policy": None}


def attempts(policed):
    """(action, parameters) of requests that only differ in what they name."""
    things = [*policed.there.values(), NOTHING]
    things += [{**thing, "id": thing["gone"]} for thing in policed.there.values()]
    for cluster in ("pc-a", "pc-b", "pc-none"):
        for action in PLAIN:
            yield action, {"DBClusterId": cluster}
        for action in QUARANTINED:
            for name in ("notes.txt", "none"):
                yield action, {"DBClusterId": cluster, "Name": name}
        for token in (f"token-{cluster}", "token-pc-a", "never-used"):
            yield "CreateBackup", {"DBClusterId": cluster, "ClientToken": token}
            for thing in things:
                yield "CloneBackup", {**policed.params("CloneBackup", thing, cluster), "ClientToken": token}
    for action in NAMING:
        for thing in things:
            for cluster in (None, "pc-a", "pc-b", "pc-none"):
                yield action, policed.params(action, thing, cluster)
    for token in ("clone-pc-a", "clone-pc-b", "never-used"):
        for thing in things:
            yield "CloneBackup", {**policed.params("CloneBackup", thing), "ClientToken": token}
    for ids in ("1,2", "1,999", "998,999"):
        yield "DeleteBackup", {"BackupId": ids}


def test_every_operation_is_attempted(policed):
    for action in set(OPERATIONS) - set(NAMING) - set(PLAIN) - set(QUARANTINED):
        assert code(policed.world.api.call(action, DBClusterId="pc-a", BackupId="1")) == \
            (403, "InvalidAction"), f"{action} is built: name what it takes"


@pytest.mark.parametrize("why", REFUSED)
def test_refused_alike_whatever_exists(policed, why):
    if REFUSED[why] is not None:
        policed.allow(*REFUSED[why])
    caller = policed.signing(0) if why.startswith("signed") else policed.caller()
    first = caller.look("CheckCluster", DBClusterId="pc-none")
    assert first[0] == 403 and b"Forbidden.RAM" in first[2]
    for action, params in attempts(policed):
        if why == "another operation" and action == OTHER_OPERATION:
            continue
        if why == "another mode" and action in MODE_LISTS and "BackupId" not in params:
            continue  # he may see automated ones
        assert caller.look(action, **params) == first, (action, params)
    if REFUSED[why] is not None:
        policed.allow(allow(anybody=True))
    for cluster, thing in policed.there.items():
        assert [b["BackupId"] for b in policed.world.api.backups(cluster)] == [thing["id"]]
        assert not policed.world.api.backups(cluster)[0]["Dbsnap"]["Held"] == "true"


def medians(caller, requests, rounds):
    """Of each request's time, measured in turns so that all see the same machine."""
    times = [[] for _ in requests]
    for _ in range(rounds):
        for (action, params), taken in zip(requests, times):
            begin = time.perf_counter()
            caller.exchange(action, **params)
            taken.append(time.perf_counter() - begin)
    return [statistics.median(t) for t in times]


@pytest.mark.parametrize("statements", [[], [allow("*", ["pc-z"])]])
@pytest.mark.parametrize("action", ["DescribeBackups", "DeleteBackup", "CancelJob", "DeleteClone"])
def test_refused_as_fast_whatever_exists(policed, statements, action):
    """A generous bound, and the best of five: it is for an answer that waits for a disk or a commit."""
    caller = policed.caller()
    policed.allow(*statements)
    requests = [(action, policed.params(action, thing)) for thing in
                (policed.there["pc-a"], NOTHING, policed.there["pc-b"])]
    ratios = []
    for _ in range(5):
        taken = medians(caller, requests, 60)
        ratios.append(max(taken) / min(taken))
        if ratios[-1] < 1.5:
            return
    pytest.fail(f"medians differ by {ratios}")


# ---- the audit record ----

def test_the_log_says_which_statement_decided(policed):
    caller, a, b = policed.caller(), policed.there["pc-a"]["id"], policed.there["pc-b"]["id"]
    policed.allow(allow("*", ["pc-*"], line=3), deny(["HoldBackup"], ["pc-b"], line=12, file="20-no.yaml"))
    for action, params, words in (
            ("HoldBackup", {"BackupId": a}, ["accepted", "on pc-a", "(10-test.yaml, line 3: Allow)"]),
            ("HoldBackup", {"BackupId": b},
             ["refused", "on pc-b", "Forbidden.RAM", "(20-no.yaml, line 12: Deny)"]),
            ("CreateBackup", {"DBClusterId": "pc-none"},
             ["refused", "on pc-none", "InvalidDBClusterId.NotFound", "(10-test.yaml, line 3: Allow)"]),
            ("CreateBackup", {"DBClusterId": "other"},
             ["refused", "on other", "Forbidden.RAM", "(no statement allows it)"])):
        status, answer = caller.call(action, **params)
        line = policed.world.engine.logged(answer["RequestId"])
        assert all(word in line.text for word in [f"by uid:{WHO}:", action, *words]), line.text
        assert "yaml" not in str(answer) and (status == 200) == ("accepted" in line.text)


def test_the_log_says_which_key(policed):
    policed.allow(allow(keys=["testid"], line=5))
    for cluster, word in (("pc-a", "accepted"), ("pc-none", "refused")):
        answer = policed.signing().call("CreateBackup", DBClusterId=cluster)[1]
        line = policed.world.engine.logged(answer["RequestId"]).text
        assert "by key:testid:" in line and word in line and "(10-test.yaml, line 5: Allow)" in line


def test_the_default_policy_is_no_statement(policed):
    answer = policed.caller(WHO).call("CreateBackup", DBClusterId="pc-a")[1]
    line = policed.world.engine.logged(answer["RequestId"])
    assert line.text.endswith('refused "CreateBackup" on pc-a: Forbidden.RAM')


def test_a_read_is_not_in_the_log(policed):
    policed.allow(allow())
    answer = policed.caller().call("DescribeBackups", DBClusterId="pc-a")[1]
    policed.world.engine.settle()
    assert policed.world.engine.count("LOG", request=answer["RequestId"]) == 0
