# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad requests at the whole daemon: one of every kind, and all of them change nothing.

Every form of every parameter, and the order of checks, is in tests/scenario/test_api_*.py
against the real front; what is added here is the rest of the program and the disk.
"""

import pytest

from harness import invariants
from harness.inject import Inject
from harness.process import eventually
from harness.unchanged import code_of, says, unchanged

CREATE = "CreateBackup"
TOKEN = (400, "InvalidClientToken.Malformed")
CLUSTER = (404, "InvalidDBClusterId.Malformed")
NO_BACKUP = (400, "InvalidBackupSetID.NotFound")
STATUS = (403, "OperationDenied.BackupStatus")


@pytest.fixture
def files(make_daemon, btrfs):
    """Two clusters of plain files; one backup of the second."""
    daemon = make_daemon(quota={"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000})
    for cluster in ("main", "other"):
        daemon.add_cluster(cluster, btrfs.files(cluster), database={"type": "none"})
    daemon.start()
    daemon.other = daemon.api.create_and_wait("other", token="used")["BackupId"]
    daemon.wait_idle()
    return daemon


def form(text, method="POST"):
    return (f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}").encode()


def test_requests(files, btrfs):
    bad = [
        (CREATE, {}, (400, "MissingParameter")),
        (CREATE, {"DBClusterId": ""}, (400, "MissingParameter")),
        (CREATE, {"DBClusterId": "none"}, (404, "InvalidDBClusterId.NotFound")),
        (CREATE, {"DBClusterId": "../etc"}, CLUSTER),
        (CREATE, {"DBClusterId": "a" * 64}, CLUSTER),
        (CREATE, {"DBClusterId": "MAIN"}, CLUSTER),
        (CREATE, {"DBClusterId": "main", "ClientToken": "t" * 65}, TOKEN),
        (CREATE, {"DBClusterId": "main", "ClientToken": "a\nb"}, TOKEN),
        (CREATE, {"DBClusterId": "main", "ClientToken": "\u00fc"}, TOKEN),
        (CREATE, {"DBClusterId": "main", "ClientToken": "used"}, (400, "IdempotentParameterMismatch")),
        (CREATE, {"DBClusterId": "main", "BackupType": "x"}, (400, "InvalidBackupType.Malformed")),
        (CREATE, {"DBClusterId": "main", "BackupMethod": "x"}, (400, "InvalidBackupMethod.Malformed")),
        (CREATE, {"DBClusterId": "main", "Version": "2018-01-01"}, (400, "InvalidParameter")),
        ("createBackup", {"DBClusterId": "main"}, (403, "InvalidAction")),
        ("DeleteBackup", {"DBClusterId": "main"}, (400, "MissingParameter")),
        ("DeleteBackup", {"DBClusterId": "main", "BackupId": files.other}, NO_BACKUP),
        ("DeleteBackup", {"DBClusterId": "other", "BackupId": "99"}, NO_BACKUP),
        ("DeleteBackup", {"DBClusterId": "other", "BackupId": "../etc"}, NO_BACKUP),
        ("DeleteBackup", {"DBClusterId": "other", "BackupId": f"{files.other},99"}, NO_BACKUP),
        ("DescribeBackups", {"DBClusterId": "main", "BackupId": files.other}, NO_BACKUP),
        ("CloneBackup", {"DBClusterId": "main", "BackupId": files.other, "CloneName": "c"}, NO_BACKUP),
        ("CloneBackup", {"DBClusterId": "other", "BackupId": files.other, "CloneName": "../etc"},
         (400, "InvalidCloneName.Malformed")),
        ("DeleteClone", {"DBClusterId": "other", "CloneName": "none"}, (404, "InvalidCloneName.NotFound")),
    ]
    with unchanged(files, btrfs):
        for action, params, expected in bad:
            assert code_of(files.api.call(action, **params)) == expected, (action, params)
        for data, code in ((form("Action=CreateBackup&DBClusterId=main&DBClusterId=main"), "InvalidParameter"),
                           (form("Action=CreateBackup&DBClusterId=main", "PUT"), "UnsupportedHTTPMethod"),
                           (form("Action=CreateBackup&DBClusterId=ma%00in"), "MalformedRequest"),
                           (form("Action=CreateBackup&DBClusterId=%ff"), "MalformedRequest")):
            answer = files.api.raw(data)
            assert f'"Code":"{code}"'.encode() in answer.replace(b": ", b":"), answer
            assert answer.count(b"HTTP/1.1 ") == 1, answer
    # The refused ones have stored no token and taken no number.
    assert files.api.create("main", token="t") == str(int(files.other) + 1)


def test_delete_of_a_deleted_one(files, btrfs):
    files.api.delete_and_wait("other", files.other)
    files.wait_idle()
    with unchanged(files, btrfs):
        assert code_of(files.api.call("DeleteBackup", DBClusterId="other", BackupId=files.other)) == NO_BACKUP
        assert code_of(files.api.call("CloneBackup", DBClusterId="other", BackupId=files.other,
                                      CloneName="c")) == NO_BACKUP


def clones(daemon):
    items = daemon.api.ok("DescribeClones", DBClusterId="other")["Items"]["Clone"]
    return [c for c in items if c["State"] == "Creating"]


def records(daemon):
    return daemon.api.backups("other"), daemon.api.ok("DescribeClones", DBClusterId="other")["Items"]


def test_delete_of_a_running_one(files, btrfs):
    with Inject(files.main.pid, "renameat2", "delay_enter=60s"):
        running = files.api.create("other")
        eventually(lambda: files.api.state("other", running) == "RUNNING", 60, "it runs")
        before = records(files)
        # Not the finished one beside it either: all or none.
        for ids in (running, f"{files.other},{running}"):
            says(files.api.call("DeleteBackup", DBClusterId="other", BackupId=ids), STATUS, running)
        assert records(files) == before
    files.wait_idle()
    assert files.api.state("other", running) == "AVAILABLE"
    invariants.check(files, btrfs)


def test_delete_of_a_pinned_one(files, btrfs):
    with Inject(files.main.pid, "renameat2", "delay_enter=60s"):
        files.api.ok("CloneBackup", DBClusterId="other", BackupId=files.other, CloneName="c1")
        assert clones(files)
        before = records(files)
        says(files.api.call("DeleteBackup", DBClusterId="other", BackupId=files.other), STATUS, files.other)
        assert records(files) == before
    eventually(lambda: not clones(files), 60, "clones made")
    files.wait_idle()
    invariants.check(files, btrfs)
