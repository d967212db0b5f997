# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Describe operations show, filter and page."""
import threading

import pytest

from world import DAY_MS, START_MS
import msgs

MANY = {"manual_retained": 1000, "manual_per_day": 1000, "creates_per_day": 1000}


def refused(world, action, **params):
    status, body = world.api.call(action, **{"DBClusterId": "pc-a", **params})
    return status, body.get("Code")


def ids(answer, kind, key):
    return [int(i[key]) for i in answer["Items"][kind]]


@pytest.fixture
def many(make_world):
    """65 backups of pc-a and one of pc-b."""
    world = make_world(**MANY)
    world.add("pc-a")
    world.add("pc-b")
    world.start()
    for _ in range(65):
        world.create()
    world.make("pc-b")
    world.wait_jobs()
    return world


@pytest.mark.parametrize("action", ["DescribeBackups", "DescribeBackupTasks",
                                    "DescribeBackupPolicy", "CheckCluster"])
@pytest.mark.parametrize("cluster,expected", [
    ("", (400, "MissingParameter")), ("pc-none", (404, "InvalidDBClusterId.NotFound")),
    ("../etc", (400, "InvalidDBClusterId.Malformed")), ("A", (400, "InvalidDBClusterId.Malformed")),
    ("a" * 64, (400, "InvalidDBClusterId.Malformed"))])
def test_cluster_of_a_describe(world, action, cluster, expected):
    world.start()
    assert refused(world, action, DBClusterId=cluster) == expected


@pytest.mark.parametrize("action,params,code", [
    ("DescribeBackups", {"BackupStatus": "success"}, "InvalidBackupStatus.Malformed"),
    ("DescribeBackups", {"BackupMode": "x"}, "InvalidBackupMode.Malformed"),
    ("DescribeBackups", {"StartTime": "2023-11-14"}, "InvalidStartTime.Malformed"),
    ("DescribeBackups", {"StartTime": "2023-02-30T00:00Z"}, "InvalidStartTime.Malformed"),
    ("DescribeBackups", {"EndTime": "2023-11-14T00:00:00Z"}, "InvalidEndTime.Malformed"),
    ("DescribeBackups", {"StartTime": "2023-11-14T00:00Z", "EndTime": "2023-11-14T00:00Z"},
     "InvalidEndTime.Malformed"),
    ("DescribeBackups", {"StartTime": "2023-11-15T00:00Z", "EndTime": "2023-11-14T00:00Z"},
     "InvalidEndTime.Malformed"),
    ("DescribeBackups", {"PageSize": "31"}, "InvalidPageSize.Malformed"),
    ("DescribeBackups", {"PageSize": "-1"}, "InvalidPageSize.Malformed"),
    ("DescribeBackups", {"PageNumber": "0"}, "InvalidPageNumber.Malformed"),
    ("DescribeBackups", {"PageNumber": "01"}, "InvalidPageNumber.Malformed"),
    ("DescribeBackups", {"PageNumber": "99999999999999999999"}, "InvalidPageNumber.Malformed"),
    ("DescribeBackups", {"BackupId": "x"}, "InvalidBackupSetID.NotFound"),
    ("DescribeBackups", {"BackupId": "99"}, "InvalidBackupSetID.NotFound"),
    ("DescribeBackupTasks", {"BackupJobId": "x"}, "InvalidBackupJobId.Malformed"),
    ("DescribeBackupTasks", {"BackupMode": "x"}, "InvalidBackupMode.Malformed"),
    ("DescribeJobs", {"JobId": "-1"}, "InvalidJobId.Malformed"),
    ("DescribeJobs", {"PageSize": "1"}, "InvalidPageSize.Malformed"),
    ("DescribeClones", {"CloneName": "A"}, "InvalidCloneName.Malformed"),
    ("DescribeClones", {"PageNumber": "x"}, "InvalidPageNumber.Malformed"),
    ("DescribeDBClusters", {"PageSize": "x"}, "InvalidPageSize.Malformed"),
])
def test_bad_parameters(world, action, params, code):
    world.start()
    assert refused(world, action, **params) == (400, code)


def test_pages(many):
    seen = []
    for number, count in ((1, 30), (2, 30), (3, 5), (4, 0)):
        answer = many.api.ok("DescribeBackups", DBClusterId="pc-a", PageNumber=number)
        assert answer["TotalRecordCount"] == "65"
        assert answer["PageRecordCount"] == str(count)
        assert answer["PageNumber"] == str(number)
        seen += ids(answer, "Backup", "BackupId")
    assert seen == list(range(65, 0, -1))
    assert len(many.api.ok("DescribeBackups", DBClusterId="pc-a", PageSize=100)["Items"]["Backup"]) == 65
    assert len(many.api.ok("DescribeBackups", DBClusterId="pc-a", PageSize=50,
                           PageNumber=2)["Items"]["Backup"]) == 15
    far = many.api.ok("DescribeBackups", DBClusterId="pc-a", PageSize=100, PageNumber=4294967295)
    assert far["Items"]["Backup"] == [] and far["TotalRecordCount"] == "65"


def test_bounds_at_the_beginning_of_time(world):
    world.start()
    world.make()
    first = "1970-01-01T00:00Z"
    for params, count in (({"StartTime": first}, "1"), ({"EndTime": first}, "0")):
        answer = world.api.ok("DescribeBackups", DBClusterId="pc-a", **params)
        assert answer["TotalRecordCount"] == answer["PageRecordCount"] == count, params


def test_jobs_of_all_clusters_page_alike(many):
    seen = []
    for number in (1, 2, 3):
        answer = many.api.ok("DescribeJobs", PageNumber=number)
        assert answer["TotalRecordCount"] == "66"
        seen += ids(answer, "Job", "JobId")
    assert seen == list(range(66, 0, -1))
    answer = many.api.ok("DescribeJobs", DBClusterId="pc-b")
    assert ids(answer, "Job", "JobId") == [66] and answer["TotalRecordCount"] == "1"
    assert many.api.ok("DescribeJobs", JobId="66")["Items"]["Job"][0]["DBClusterId"] == "pc-b"
    assert many.api.ok("DescribeJobs", JobId="66", DBClusterId="pc-a")["Items"]["Job"] == []
    assert many.api.ok("DescribeJobs", JobId="67")["Items"]["Job"] == []
    far = many.api.ok("DescribeJobs", PageSize=100, PageNumber=4294967295)
    assert far["Items"]["Job"] == [] and far["TotalRecordCount"] == "66"


def test_tasks_are_the_unfinished_and_the_newest_hundred(make_world):
    world = make_world(**{**MANY, "max_running": 1})
    world.add("pc-a")
    engine = world.start()
    for _ in range(105):
        world.create()
    world.wait_jobs()
    engine.hold("JOB")
    for _ in range(3):
        world.create()
    engine.wait("JOB")
    tasks = world.api.ok("DescribeBackupTasks", DBClusterId="pc-a")["Items"]["BackupJob"]
    assert [int(t["BackupJobId"]) for t in tasks] == list(range(108, 5, -1))
    assert [t["BackupProgressStatus"] for t in tasks[:4]] == ["NoStart"] * 3 + ["Finished"]
    one = world.api.ok("DescribeBackupTasks", DBClusterId="pc-a", BackupJobId="1")["Items"]["BackupJob"]
    assert [t["BackupJobId"] for t in one] == ["1"]
    for params in ({"BackupJobId": "999"}, {"BackupMode": "Automated"}):
        assert world.api.ok("DescribeBackupTasks", DBClusterId="pc-a",
                            **params)["Items"]["BackupJob"] == []


def test_task_of_another_cluster(many):
    assert many.api.ok("DescribeBackupTasks", DBClusterId="pc-a",
                       BackupJobId="66")["Items"]["BackupJob"] == []


def test_filters(world):
    engine = world.start(hold=("JOB",))
    world.create()
    engine.done(engine.wait("JOB"))
    world.wait_state("1", "AVAILABLE")
    world.advance(DAY_MS)
    world.create()
    engine.fail(engine.wait("JOB"), retry=False)
    world.wait_state("2", "FAILED")
    world.create()
    engine.wait("JOB")

    def found(**params):
        answer = world.api.ok("DescribeBackups", DBClusterId="pc-a", **params)
        assert answer["TotalRecordCount"] == str(len(answer["Items"]["Backup"]))
        return ids(answer, "Backup", "BackupId")
    assert found() == [3, 2, 1]
    assert found(BackupStatus="Success") == [1]
    assert found(BackupStatus="Failed") == [2]
    assert found(BackupStatus="Running") == [3]
    assert found(BackupMode="Manual") == [3, 2, 1]
    assert found(BackupMode="Automated") == []
    assert found(BackupId="2") == [2]
    assert found(BackupId="2", BackupStatus="Success") == []
    # START_MS is a noon; the bounds are the acceptance's, the end not included.
    assert found(StartTime="2023-11-14T12:00Z", EndTime="2023-11-14T12:01Z") == [1]
    assert found(StartTime="2023-11-14T12:01Z") == [3, 2]
    assert found(EndTime="2023-11-15T12:00Z") == [1]
    assert world.api.ok("DescribeBackups", BackupId="2")["Items"]["Backup"][0]["DBClusterId"] == "pc-a"


def test_backup_of_another_cluster(many):
    assert refused(many, "DescribeBackups", BackupId="66") == (400, "InvalidBackupSetID.NotFound")
    answer = many.api.ok("DescribeBackups", DBClusterId="pc-b", BackupId="66")
    assert ids(answer, "Backup", "BackupId") == [66]


def test_deleted_backups_are_not_listed(many):
    many.delete("65")
    many.wait_jobs()
    answer = many.api.ok("DescribeBackups", DBClusterId="pc-a")
    assert answer["TotalRecordCount"] == "64"
    assert ids(answer, "Backup", "BackupId")[0] == 64
    assert refused(many, "DescribeBackups", BackupId="65") == (400, "InvalidBackupSetID.NotFound")
    task = many.api.ok("DescribeBackupTasks", DBClusterId="pc-a", BackupJobId="65")["Items"]["BackupJob"][0]
    assert task["BackupProgressStatus"] == "Finished"


def test_backup_s_fields(world):
    world.start()
    number = world.make()
    item = world.backup(number)
    assert {k: v for k, v in item.items() if k != "Dbsnap"} == {
        "BackupId": "1", "DBClusterId": "pc-a", "BackupStatus": "Success", "BackupType": "FullBackup",
        "BackupMode": "Manual", "BackupMethod": "Snapshot", "BackupStartTime": "2023-11-14T12:00:00Z",
        "BackupEndTime": "2023-11-14T12:00:00Z", "BackupSetSize": item["BackupSetSize"],
        "ConsistentTime": str(START_MS // 1000), "StoreStatus": "Disabled", "BackupsLevel": "Level-1",
        "IsAvail": "1", "ExpectExpireType": "NEVER"}
    assert item["BackupSetSize"].isdigit()
    assert item["Dbsnap"].items() >= {
        "State": "AVAILABLE", "Backend": "btrfs", "Procedure": "A", "Promise": "atomic",
        "CutMs": "2.500", "FreezeMs": "0.000", "Held": "false"}.items()


def test_failed_backup_says_why(world):
    engine = world.start(hold=("JOB",))
    number = world.create()
    engine.fail(engine.wait("JOB"), cause="the server said no", retry=False)
    world.wait_state(number, "FAILED")
    item = world.backup(number)
    assert (item["BackupStatus"], item["IsAvail"]) == ("Failed", "0")
    assert item["Dbsnap"]["Cause"] == "the server said no" and item["Dbsnap"]["Remedy"] == "look"
    job = world.api.ok("DescribeJobs", JobId=number)["Items"]["Job"][0]
    assert (job["State"], job["Phase"], job["Cause"], job["Remedy"]) == \
        ("Failed", "Finished", "the server said no", "look")
    assert job["Attempts"] == "1"


@pytest.mark.parametrize("phase,name", [
    (msgs.PREPARING, "Preparing"), (msgs.CUTTING, "Uploading"), (msgs.CHECKING, "Checking")])
def test_progress(world, phase, name):
    engine = world.start(hold=("JOB",))
    number = world.create()
    order = engine.wait("JOB")

    def shown():
        task, = world.api.ok("DescribeBackupTasks", DBClusterId="pc-a")["Items"]["BackupJob"]
        job, = world.api.ok("DescribeJobs", JobId=number)["Items"]["Job"]
        assert task["BackupProgressStatus"] == job["Phase"]
        assert task["Process"] == job["Percent"]
        return task, job
    assert shown()[0] == {"BackupJobId": "1", "StartTime": "2023-11-14T12:00:00Z", "Process": "0",
                          "JobMode": "Manual", "BackupProgressStatus": "NoStart",
                          "TaskAction": "TempBackupTask"}
    assert shown()[1]["State"] == "Pending"
    engine.running(order, phase, 0)
    engine.progress(order, phase, 40, done=1000, total=2500)
    engine.ping()
    task, job = shown()
    assert (task["BackupProgressStatus"], task["Process"]) == (name, "40")
    assert (job["State"], job["BytesDone"], job["BytesTotal"]) == ("Running", "1000", "2500")
    assert world.backup(number)["Dbsnap"]["State"] == "RUNNING"
    engine.done(order)
    world.wait_state(number, "AVAILABLE")
    task, job = shown()
    assert (task["BackupProgressStatus"], task["Process"], job["State"]) == ("Finished", "100", "Done")


def test_clusters(make_world):
    world = make_world(region_id="here")
    for name in ("pc-c", "pc-a", "pc-b"):
        world.add(name)
    engine = world.start()
    engine.wait_for(lambda: engine.count("CHECK", depth=msgs.LAYOUT) == 3)
    engine.ping()
    answer = world.api.ok("DescribeDBClusters")
    assert [answer[k] for k in ("TotalRecordCount", "PageRecordCount", "PageNumber")] == [3, 3, 1]
    items = answer["Items"]["DBCluster"]
    assert [i["DBClusterId"] for i in items] == ["pc-a", "pc-b", "pc-c"]
    assert items[0] == {"DBClusterId": "pc-a", "DBClusterDescription": "the cluster pc-a",
                        "DBType": "PostgreSQL", "DBVersion": "15.6", "DBClusterStatus": "Running",
                        "RegionId": "here", "StorageUsed": 0}
    some = world.api.ok("DescribeDBClusters", DBClusterIds="pc-c,pc-none,pc-a")
    assert [i["DBClusterId"] for i in some["Items"]["DBCluster"]] == ["pc-a", "pc-c"]
    assert world.api.ok("DescribeDBClusters", DBClusterIds="pc")["TotalRecordCount"] == 0


def test_policy_is_the_default(world):
    world.start()
    answer = world.api.ok("DescribeBackupPolicy", DBClusterId="pc-a")
    assert answer.pop("RequestId")
    assert answer == {
        "PreferredBackupTime": "02:00Z-03:00Z", "BackupRetentionPeriod": 7,
        "PreferredBackupPeriod": "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday",
        "DataLevel1BackupRetentionPeriod": "7", "DataLevel2BackupRetentionPeriod": "0",
        "BackupFrequency": "Normal", "BackupRetentionPolicyOnClusterDeletion": "NONE",
        "DataLevel1BackupTime": "02:00Z-03:00Z", "DataLevel1BackupFrequency": "Normal",
        "DataLevel1BackupPeriod": "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday",
        "BackupPolicyLevel": "Normal", "AdvancedPolicyOption": "notSupport",
        "Dbsnap": {"Enabled": "false"}}


def test_status(make_world):
    world = make_world(manual_per_day=4)
    world.add("pc-a")
    place = world.add("pc-b")
    place.state, place.cause = msgs.OFFLINE, "its marker is not there"
    world.start()
    world.make()
    world.advance(5000)
    answer = world.api.ok("DescribeStatus")
    assert answer["Uptime"] == "5" and answer["Version"]
    assert answer["Jobs"] == {"Pending": "0", "Running": "0"}
    first, second = answer["Clusters"]
    assert first["State"] == "Online" and first["Backups"] == "1" and first["Quarantine"] == "0"
    assert first["QuotaLeft"] == {"RetainedLeft": "2", "PerDayLeft": "3", "CreatesLeft": "99"}
    assert int(first["FreeBytes"]) < int(first["TotalBytes"])
    assert (second["State"], second["Reason"]) == ("Offline", "its marker is not there")


def test_status_of_refused_and_retired(world):
    world.add("pc-b")
    place = world.places["pc-a"]
    place.layout_ok, place.refusal = False, "links"
    engine = world.start()
    engine.wait_for(lambda: engine.count("CHECK", depth=msgs.LAYOUT) == 2)
    engine.ping()
    world.make("pc-b")
    world.retired["pc-b"] = world.places.pop("pc-b")    # what is still measured there is there
    world.send_config()
    engine.ping()
    first, second = world.api.ok("DescribeStatus")["Clusters"]
    assert (first["State"], first["Reason"]) == ("Refused", "links")
    assert second["State"] == "Retired" and "QuotaLeft" not in second
    items = world.api.ok("DescribeDBClusters")["Items"]["DBCluster"]
    assert "DBClusterStatus" not in items[1]


def test_check(world):
    place = world.places["pc-a"]
    world.start()
    answer = world.api.ok("CheckCluster", DBClusterId="pc-a")
    assert answer["Ok"] == "true" and answer["Backend"] == "btrfs" and answer["Promise"] == "atomic"
    assert answer["DatabaseType"] == "postgresql" and answer["DatabaseVersion"] == "15.6"
    assert answer["Parts"] == [{"Role": "data", "Path": "/srv/pc-a", "Device": "0:45",
                                "FileSystem": "btrfs", "Subvolume": "id 257", "Inside": "true", "Taken": "snapshot"}]
    assert "Refusal" not in answer
    assert answer["Weakened"] == ["fsync is odd"] and answer["Account"] == ["CREATE ROLE a;", "GRANT b;"]
    place.layout_ok, place.refusal = False, "links leave it"
    answer = world.api.ok("CheckCluster", DBClusterId="pc-a")
    assert (answer["Ok"], answer["Refusal"]) == ("false", "links leave it")
    assert "Expected" not in answer


def test_check_says_how_large_the_parts_are(world):
    """Every name is looked at for a person alone: what the service asks by itself takes no longer for a large cluster."""
    engine = world.start()
    assert engine.count("CHECK", depth=msgs.LAYOUT) == 1 and engine.count("CHECK", survey=True) == 0
    place = world.places["pc-a"]
    for sizes, expected in [
            ({"measured": 1, "bytes": 5 << 30, "files": 3, "largest": "base/1", "extents": 7},
             {"Bytes": str(5 << 30), "Files": "3", "Whole": "true", "Largest": "base/1", "Extents": "7", "MoreExtents": "false"}),
            ({"measured": 2, "bytes": 0, "files": 0}, {"Bytes": "0", "Files": "0", "Whole": "false"}),
            ({"measured": 1, "extents": 9, "more_extents": True},
             {"Bytes": "0", "Files": "0", "Whole": "true", "Extents": "9", "MoreExtents": "true"}),
            ({}, {})]:
        place.sizes = sizes
        part, = world.api.ok("CheckCluster", DBClusterId="pc-a")["Parts"]
        assert {key: part[key] for key in part if key not in
                ("Role", "Path", "Device", "FileSystem", "Subvolume", "Inside", "Taken")} == expected
    assert engine.count("CHECK", survey=True) == 4


def test_check_says_what_to_expect_by_the_last_cuts(make_world):
    """The median of the newest five of the same procedure and backend that are there."""
    world = make_world(manual_per_day=100, manual_retained=100)
    world.add("pc-a")
    engine = world.start(hold=["JOB"])
    expected = world.api.ok("CheckCluster", DBClusterId="pc-a")["Expected"]
    assert expected == {"FreezeMs": "0.000", "From": "as long as it takes"}
    cuts = [("A", "btrfs", 1000, 10), ("A", "btrfs", 9000, 90), ("B", "btrfs", 5, 5), ("A", "copy", 5, 5),
            ("A", "btrfs", 7000, 70), ("A", "btrfs", 8000, 0), ("A", "btrfs", 6000, 50), ("A", "btrfs", 4500, 30)]
    told = []
    for procedure, backend, cut_us, freeze_us in cuts:
        number = world.create()
        order = engine.wait("JOB", backup=int(number))
        facts = engine.perform(order)["facts"]
        engine.result(order, msgs.DONE, facts={**facts, "procedure": procedure, "backend": backend, "cut_us": cut_us,
                                               "freeze_us": freeze_us})
        world.wait_state(number, "AVAILABLE")
        told.append(world.api.ok("CheckCluster", DBClusterId="pc-a")["Expected"])
    assert told[0] == {"CutMs": "1.000", "FreezeMs": "0.010", "From": "as the last backup"}
    assert told[3] == told[1] == {"CutMs": "1.000", "FreezeMs": "0.010", "From": "the median of the last 2 backups"}
    assert told[-1] == {"CutMs": "7.000", "FreezeMs": "0.050", "From": "the median of the last 5 backups"}


def test_version_is_that_of_the_last_backup(world):
    engine = world.start(hold=["JOB"])
    number = world.create()
    order = engine.wait("JOB")
    fields = engine.perform(order)
    engine.result(order, msgs.DONE, facts={**fields["facts"], "server": "PostgreSQL 15.7"})
    world.wait_state(number, "AVAILABLE")
    item = world.api.ok("DescribeDBClusters")["Items"]["DBCluster"][0]
    assert (item["DBType"], item["DBVersion"]) == ("PostgreSQL", "15.7")


def test_check_that_does_not_end(world):
    engine = world.start(hold=("CHECK",))
    found = []
    thread = threading.Thread(target=lambda: found.append(
        world.api.call("CheckCluster", DBClusterId="pc-a")))
    thread.start()
    engine.wait_for(lambda: engine.count("CHECK", depth=msgs.LAYOUT) == 2)
    engine.ping()
    world.advance(30_000)
    thread.join(20)
    status, body = found[0]
    assert (status, body["Code"]) == (503, "ServiceUnavailable")
