# SPDX-License-Identifier: GPL-3.0-or-later
"""The quarantine: what is listed, what can be taken over, what can be removed, and what never."""
import json
import urllib.parse

import pytest

from disk import Thing
from system.harness.client import UnixConnection
import msgs

STATE = (403, "OperationDenied.BackupStatus")
NOT_THERE = (404, "InvalidName.NotFound")


def facts(world, nonce, **fields):
    return {"nonce": nonce, "accepted_ms": world.wall_ms - 5000, "started_ms": world.wall_ms - 4000,
            "ended_ms": world.wall_ms - 1000, "consistent_ms": world.wall_ms - 3000, "cut_us": 2500,
            "size": 4096, "size_known": True, "mode": 1, "principal": "uid:1000", "request": "r",
            "backend": "btrfs", "procedure": "A", "promise": "atomic", "server": "PostgreSQL 15.6",
            "path": "/srv/snap/pc-a/500", **fields}


def things_of(world):
    """One of each kind; each nonce tells."""
    other = {"owner": msgs.OWNER_INSTALL}
    return {
        "500": Thing(msgs.BACKUP, 500, b"a" * 16, facts(world, b"a" * 16)),
        ".501": Thing(msgs.PARTIAL, 501, b"b" * 16),
        ".502": Thing(msgs.PARTIAL_DONE, 502, b"c" * 16, facts(world, b"c" * 16)),
        ".del-503": Thing(msgs.DELETING, 503, b"d" * 16),
        ".504": Thing(msgs.PARTIAL, 504, bytes(16), owner=msgs.OWNER_NONE),
        "505": Thing(msgs.STRANGER, 505, b"x" * 16, facts(world, b"x" * 16), **other),
        "506": Thing(msgs.STRANGER, 506, b"y" * 16, facts(world, b"y" * 16), owner=msgs.OWNER_CLUSTER),
        "clones/x": Thing(msgs.CLONE_ITEM, 9, b"e" * 16),
        "clones/.y": Thing(msgs.CLONE_PARTIAL, 9, b"f" * 16),
        "clones/notes": Thing(msgs.STRANGER, 0, bytes(16)),
        "notes.txt": Thing(msgs.STRANGER, 0, bytes(16)),
    }


NAMES = sorted(["500", ".501", ".502", ".del-503", ".504", "505", "506", "clones/x", "clones/y", "clones/notes",
                "notes.txt"])
OURS = ["500", ".501", ".502", ".del-503", "clones/x", "clones/y"]


@pytest.fixture
def full(world):
    world.places["pc-a"].things.update(things_of(world))
    world.start()
    return world


def listed(world, **params):
    return world.api.ok("DescribeQuarantine", **params)["Items"]["Quarantined"]


def item(world, name):
    found = listed(world, DBClusterId="pc-a", Name=name)
    return found[0] if found else None


def call(world, action, name, cluster="pc-a"):
    status, body = world.api.call(action, DBClusterId=cluster, Name=name)
    return status, body.get("Code")


def wait_job(world, number):
    world.wait_jobs()
    job, = world.api.ok("DescribeJobs", JobId=number)["Items"]["Job"]
    return job


# The list.

def test_all_of_it(full):
    items = listed(full)
    assert [i["Name"] for i in items] == NAMES
    assert {i["Name"]: i["Kind"] for i in items} == {
        "500": "Backup", ".501": "Partial", ".502": "Partial", ".del-503": "Deleting", ".504": "Partial",
        "505": "Stranger", "506": "Stranger", "clones/x": "Clone", "clones/y": "Clone",
        "clones/notes": "Stranger", "notes.txt": "Stranger"}
    assert [i["Name"] for i in items if i["CanAdopt"] == "true"] == ["500"]
    assert sorted(i["Name"] for i in items if i["CanDelete"] == "true") == sorted(OURS)
    for found in items:
        assert found["Why"] and found["DBClusterId"] == "pc-a" and found["ClusterState"] == "Online"
        assert ("NoAdopt" in found) == (found["CanAdopt"] == "false")
        assert ("NoDelete" in found) == ("Remedy" in found) == (found["CanDelete"] == "false")
        assert found["Path"] == f"/srv/snap/pc-a/{found['Name']}"


def test_what_the_manifest_says(full):
    one = item(full, "500")
    assert one["BackupId"] == "500" and one["BackupMode"] == "Manual" and one["BackupSetSize"] == "4096"
    assert one["BackupStartTime"].startswith("2023-11-14T11:59:55")
    assert one["ConsistentTime"] == str((full.wall_ms - 3000) // 1000)
    assert "BackupMode" not in item(full, ".501") and "BackupId" not in item(full, "notes.txt")
    assert "another install" in item(full, "505")["Why"] and "another cluster" in item(full, "506")["Why"]


def test_pages_and_filters(full):
    answer = full.api.ok("DescribeQuarantine", PageSize=30, PageNumber=2)
    assert (answer["TotalRecordCount"], answer["PageRecordCount"], answer["PageNumber"]) == ("11", "0", "2")
    assert listed(full, Name="nothing") == []
    assert "Unseen" not in answer


def test_of_several_clusters(world):
    things = things_of(world)
    world.add("pc-b", file_system=8).things["500"] = things["500"]
    world.places["pc-a"].things["notes.txt"] = things["notes.txt"]
    world.start()
    assert [(i["DBClusterId"], i["Name"]) for i in listed(world)] == [("pc-a", "notes.txt"), ("pc-b", "500")]
    assert [i["Name"] for i in listed(world, DBClusterId="pc-b")] == ["500"]


def test_an_offline_cluster_is_said(world):
    world.places["pc-a"].state = msgs.OFFLINE
    world.places["pc-a"].cause = "no marker"
    world.start()
    answer = world.api.ok("DescribeQuarantine")
    assert answer["Unseen"] == [{"DBClusterId": "pc-a", "Reason": "no marker"}]
    for action in ("AdoptBackup", "DeleteQuarantined"):
        status, body = world.api.call(action, DBClusterId="pc-a", Name="500")
        assert (status, body["Code"]) == (503, "ServiceUnavailable") and "no marker" in body["Message"]


def test_lists_do_not_wait_for_a_disk(full):
    full.engine.hold("PROBE", "CHECK", "JOB")
    before = len(full.engine.seen)
    assert len(listed(full)) == 11
    full.engine.settle()
    assert not [m for m in full.engine.seen[before:] if m.name in ("PROBE", "CHECK", "JOB")]


# Adoption.

def test_adopt(full):
    assert list(full.api.ok("AdoptBackup", DBClusterId="pc-a", Name="500")) == ["RequestId"]
    found = full.backup("500")
    assert (found["BackupStatus"], found["BackupMode"], found["IsAvail"]) == ("Success", "Manual", "1")
    assert found["BackupSetSize"] == "4096" and found["BackupStartTime"].startswith("2023-11-14T11:59:55")
    assert found["Dbsnap"]["Adopted"] == "true" and "Adopted" not in full.backup(full.make())["Dbsnap"]
    assert found["Dbsnap"]["Server"] == "PostgreSQL 15.6" and found["Dbsnap"]["CutMs"] == "2.500"
    assert item(full, "500") is None
    assert call(full, "AdoptBackup", "500") == NOT_THERE
    full.restart()                                       # it stays, and is what lies there
    assert full.backup("500")["Dbsnap"]["State"] == "AVAILABLE" and item(full, "500") is None
    assert int(full.make()) > 506
    full.delete("500")
    full.wait_jobs()
    assert "500" not in full.places["pc-a"].things


@pytest.mark.parametrize("mode,name", [(1, "Manual"), (2, "Automated")])
def test_adopted_is_not_counted(make_world, mode, name):
    world = make_world(manual_retained=1, manual_per_day=1, creates_per_day=1)
    world.add("pc-a").things["500"] = Thing(msgs.BACKUP, 500, b"a" * 16, facts(world, b"a" * 16, mode=mode))
    world.start()
    world.api.ok("AdoptBackup", DBClusterId="pc-a", Name="500")
    assert world.backup("500")["BackupMode"] == name

    def left():
        quota = world.api.ok("DescribeStatus")["Clusters"][0]["QuotaLeft"]
        return quota["RetainedLeft"], quota["PerDayLeft"], quota["CreatesLeft"]
    assert left() == ("1", "1", "1")
    world.restart()                                      # as counted again from the records
    assert not any("repaired" in m.text for m in world.engine.seen if m.name == "LOG")
    assert left() == ("1", "1", "1")
    number = world.make()
    assert left() == ("0", "0", "0")
    world.delete("500")
    world.wait_jobs()
    assert left() == ("0", "0", "0")
    world.restart()
    assert left() == ("0", "0", "0") and world.backup(number)


def test_adopting_an_automated_one_keeps_its_mode_in_lists(full):
    place = full.places["pc-a"]
    place.things["500"].facts["mode"] = 2
    full.restart()
    full.api.ok("AdoptBackup", DBClusterId="pc-a", Name="500")
    answer = full.api.ok("DescribeBackups", DBClusterId="pc-a", BackupMode="Automated")
    assert answer["TotalRecordCount"] == "1"


@pytest.mark.parametrize("name,why", [
    (".501", "not complete"), (".502", "not complete"), (".del-503", "removal had begun"),
    ("505", "another install"), ("506", "another cluster"), ("clones/x", "clone"), ("notes.txt", "not dbsnap's")])
def test_what_is_not_adopted(full, name, why):
    status, body = full.api.call("AdoptBackup", DBClusterId="pc-a", Name=name)
    assert (status, body["Code"]) == STATE and why in body["Message"]
    assert full.api.backups("pc-a") == [] and item(full, name)


def test_numbers_that_are_known_are_not_adopted(world):
    place = world.places["pc-a"]
    world.start()
    kept, gone = world.make(), world.make()
    world.delete(gone)
    world.wait_jobs()
    delete_job = world.api.ok("DescribeJobs")["Items"]["Job"][0]["JobId"]
    for number, byte in ((kept, b"p"), (gone, b"q"), (delete_job, b"r")):
        place.things.pop(number, None)
        place.things[number] = Thing(msgs.BACKUP, int(number), byte * 16, facts(world, byte * 16))
    world.restart()
    for number, why in ((kept, "another backup or job"), (gone, "was deleted"), (delete_job, "another backup or job")):
        status, body = world.api.call("AdoptBackup", DBClusterId="pc-a", Name=number)
        assert (status, body["Code"]) == STATE and why in body["Message"]
    assert [b["BackupId"] for b in world.api.backups("pc-a")] == [kept]


def test_adoption_looks_at_the_disk_anew(full):
    place = full.places["pc-a"]
    del place.things["500"]
    assert call(full, "AdoptBackup", "500") == NOT_THERE
    assert full.api.backups("pc-a") == [] and item(full, "500") is None
    place.things["501"] = Thing(msgs.BACKUP, 501, b"z" * 16, facts(full, b"z" * 16))
    full.restart()
    place.things["501"].nonce = b"w" * 16                # another one by now
    assert call(full, "AdoptBackup", "501") == NOT_THERE


def ask(world, action, name):
    """Asks, and returns when the front has read it: a function that gives (status, body)."""
    connection = UnixConnection(world.path, 20)
    connection.request("POST", "/", urllib.parse.urlencode({"Action": action, "DBClusterId": "pc-a", "Name": name}),
                       {"Content-Type": "application/x-www-form-urlencoded"})
    world.api.ok("DescribeStatus")  # asked later, so answered later

    def answered():
        answer = connection.getresponse()
        try:
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()
    return answered


def test_adoption_waits_for_a_probe_of_its_own(full):
    """What a probe saw that began before the request says nothing."""
    engine, place = full.engine, full.places["pc-a"]
    engine.hold("PROBE")
    full.send_config()
    first = engine.wait("PROBE")
    answered = ask(full, "AdoptBackup", "500")
    engine.on_probe(first)
    del place.things["500"]
    engine.on_probe(engine.wait("PROBE"))
    status, body = answered()
    assert (status, body["Code"]) == NOT_THERE and full.api.backups("pc-a") == []


def test_adoption_of_a_disk_that_hangs_is_answered(full):
    engine = full.engine
    engine.hold("PROBE")
    answered = ask(full, "AdoptBackup", "500")
    engine.wait_for(lambda: engine.waiting("PROBE") == 1)
    full.advance(30_000)
    status, body = answered()
    assert (status, body["Code"]) == (503, "ServiceUnavailable") and "30 seconds" in body["Message"]
    engine.release("PROBE")
    engine.settle()
    assert full.api.backups("pc-a") == []


def test_adoptions_that_wait_are_bounded(full):
    full.engine.hold("PROBE")
    waiting = [ask(full, "AdoptBackup", "500") for _ in range(16)]
    status, body = full.api.call("AdoptBackup", DBClusterId="pc-a", Name="500")
    assert (status, body["Code"]) == (400, "Throttling")
    full.engine.release("PROBE")
    answers = [answered() for answered in waiting]
    assert sorted(body.get("Code", "") for _, body in answers) == [""] + ["OperationDenied.BackupStatus"] * 15


def test_the_first_record_is_told_to_the_engine(full):
    full.api.ok("AdoptBackup", DBClusterId="pc-a", Name="500")
    full.engine.wait_for(lambda: full.engine.count("RECORDS", cluster="pc-a", records=1) == 1)


# Removal.

@pytest.mark.parametrize("name,kind,backup,clone", [
    ("500", msgs.BACKUP, 500, ""), (".501", msgs.PARTIAL, 501, ""), (".502", msgs.PARTIAL_DONE, 502, ""),
    (".del-503", msgs.DELETING, 503, ""), ("clones/x", msgs.CLONE_ITEM, 0, "x"),
    ("clones/y", msgs.CLONE_PARTIAL, 0, "y")])
def test_removal_of_ours(full, name, kind, backup, clone):
    engine = full.engine
    engine.hold("JOB")
    number = full.api.ok("DeleteQuarantined", DBClusterId="pc-a", Name=name)["JobId"]
    order = engine.wait("JOB", kind=msgs.DELETE_QUARANTINED)
    assert (order.item, order.backup, order.clone) == (kind, backup, clone)
    assert order.nonce != bytes(16) and order.job == int(number)
    found = item(full, name)
    assert found["JobId"] == number and found["CanDelete"] == found["CanAdopt"] == "false"
    assert call(full, "DeleteQuarantined", name) == STATE
    assert call(full, "AdoptBackup", name) == STATE
    assert full.api.call("CancelJob", JobId=number)[1]["Code"] == STATE[1]
    engine.done(order)
    job = wait_job(full, number)
    assert (job["Kind"], job["State"]) == ("DeleteQuarantined", "Done")
    assert item(full, name) is None                      # at once, not only after a restart
    assert [i["Name"] for i in listed(full)] == [n for n in NAMES if n != name]
    full.restart()
    assert [i["Name"] for i in listed(full)] == [n for n in NAMES if n != name]


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(OURS)))
def test_what_is_not_provably_ours_is_never_removed(full, name):
    status, body = full.api.call("DeleteQuarantined", DBClusterId="pc-a", Name=name)
    assert (status, body["Code"]) == STATE
    assert f"remove it by hand: /srv/snap/pc-a/{name}" in body["Message"]
    full.engine.settle()
    assert full.engine.count("JOB") == 0


def test_what_a_record_speaks_of_is_not_the_quarantine_s(full):
    """The list may be older than the record: here it was adopted behind the list's back."""
    place = full.places["pc-a"]
    full.api.ok("AdoptBackup", DBClusterId="pc-a", Name="500")
    assert call(full, "DeleteQuarantined", "500") == NOT_THERE
    # Beside it another thing of its number, which is one.
    place.things[".500"] = Thing(msgs.PARTIAL, 500, b"k" * 16)
    full.restart()
    number = full.api.ok("DeleteQuarantined", DBClusterId="pc-a", Name=".500")["JobId"]
    assert wait_job(full, number)["State"] == "Done"
    assert "500" in place.things and ".500" not in place.things
    assert full.backup("500")["Dbsnap"]["State"] == "AVAILABLE"


def test_the_snapshot_of_a_create_that_was_given_up_can_be_removed(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = engine.wait("JOB")
    engine.fail(order, retry=False)
    world.wait_state(number, "FAILED")
    engine.perform(order)
    world.restart()
    assert item(world, number)["CanDelete"] == "true"
    job = world.api.ok("DeleteQuarantined", DBClusterId="pc-a", Name=number)["JobId"]
    assert wait_job(world, job)["State"] == "Done" and not world.places["pc-a"].things
    assert world.backup(number)["Dbsnap"]["State"] == "FAILED"


@pytest.mark.parametrize("step", ["nothing", "marked", "gone"])
def test_removal_goes_on_after_a_death(full, step):
    place = full.places["pc-a"]
    full.engine.hold("JOB")
    number = full.api.ok("DeleteQuarantined", DBClusterId="pc-a", Name="500")["JobId"]
    order = full.engine.wait("JOB")
    if step != "nothing":
        place.mark(order)
    if step == "gone":
        place.remove(order)
    full.kill()
    full.start()
    assert wait_job(full, number)["State"] == "Done"
    assert "500" not in place.things and ".del-500" not in place.things
    assert [i["Name"] for i in listed(full)] == [n for n in NAMES if n != "500"]


@pytest.mark.parametrize("action,name", [("DeleteQuarantined", "500"), ("DeleteBackup", None)])
def test_a_look_at_a_folder_without_its_papers(full, action, name):
    """Cut off right before its end: the look that follows finds a name and nothing to tell whose it was."""
    engine, place = full.engine, full.places["pc-a"]
    number = name or full.make()
    engine.hold("JOB")
    params = {"Name": name} if name else {"BackupId": number}
    full.api.ok(action, DBClusterId="pc-a", **params)
    order = engine.wait("JOB")
    place.mark(order)
    going = place.things[f".del-{number}"]
    going.nonce, going.owner, nonce = bytes(16), msgs.OWNER_NONE, going.nonce
    engine.unknown(order)
    engine.logged("again in")
    engine.ping()
    full.advance(100)
    order = engine.wait("JOB")
    assert item(full, f".del-{number}")
    going.nonce = nonce
    engine.done(order)
    full.wait_jobs()
    assert item(full, f".del-{number}") is None


def test_removal_that_cannot_succeed_ends(full):
    """No record waits for it, so it is not repeated for ever."""
    engine = full.engine
    engine.hold("JOB")
    number = full.api.ok("DeleteQuarantined", DBClusterId="pc-a", Name="500")["JobId"]
    engine.fail(engine.wait("JOB"), cause="it holds what dbsnap did not make", retry=False)
    job = wait_job(full, number)
    assert (job["State"], job["Cause"]) == ("Failed", "it holds what dbsnap did not make")
    assert item(full, "500")["CanDelete"] == "true"


def test_removal_that_may_succeed_is_repeated(full):
    engine = full.engine
    engine.hold("JOB")
    number = full.api.ok("DeleteQuarantined", DBClusterId="pc-a", Name="500")["JobId"]
    for _ in range(5):
        engine.fail(engine.wait("JOB"), retry=True)
        engine.ping()
        full.advance(300_000)
    engine.done(engine.wait("JOB"))
    assert wait_job(full, number)["State"] == "Done"


def test_removal_that_ends_during_a_probe(full):
    """The probe saw it, and it is gone: it is not listed again."""
    for name in ("500", "clones/x"):
        engine = full.engine
        engine.hold("JOB", "PROBE")
        number = full.api.ok("DeleteQuarantined", DBClusterId="pc-a", Name=name)["JobId"]
        order = engine.wait("JOB")
        full.send_config()
        probe = engine.wait("PROBE")
        thing = full.places["pc-a"].things[name]
        engine.send("PROBED_ITEM", probe.tag, cluster="pc-a", item=thing.item, backup=thing.backup, name=name,
                    owner=thing.owner, facts={"nonce": thing.nonce})
        engine.done(order)
        engine.send("PROBED", probe.tag, cluster="pc-a", items=1, snapshot_dir="/srv/snap/pc-a", file_system=7)
        assert wait_job(full, number)["State"] == "Done"
        assert item(full, name) is None
        full.restart()


@pytest.mark.parametrize("action", ["AdoptBackup", "DeleteQuarantined"])
def test_parameters(full, action):
    assert full.api.call(action, DBClusterId="pc-a")[1]["Code"] == "MissingParameter"
    assert full.api.call(action, Name="500")[1]["Code"] == "MissingParameter"
    assert call(full, action, "nothing") == NOT_THERE
    for name in ("x" * 264, "a b", "a\tb", "\u00e9"):
        assert call(full, action, name) == (400, "InvalidName.Malformed")
    assert call(full, action, "500", "pc-none") == (404, "InvalidDBClusterId.NotFound")


def test_a_retired_cluster_s(world):
    world.places["pc-a"].things.update(things_of(world))
    world.start()
    world.make()
    world.retired["pc-a"] = world.places.pop("pc-a")
    world.add("pc-b", file_system=8)
    world.restart()
    assert item(world, "500")["ClusterState"] == "Retired"
    world.api.ok("AdoptBackup", DBClusterId="pc-a", Name="500")
    number = world.api.ok("DeleteQuarantined", DBClusterId="pc-a", Name=".501")["JobId"]
    assert wait_job(world, number)["State"] == "Done"
    assert world.backup("500")
