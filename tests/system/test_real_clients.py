# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud's own client libraries, unchanged, through the forwarder of dbsnapd-api(7) to the real daemon.

clients/ has the driver and the lock of the libraries, which npm brings for the test's run only.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import time
import uuid

import pytest

from harness.process import Pid, eventually
from harness.source import Source

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
KEY = {"id": "testid", "secret": "testsecret"}
# Which library, which method, where it puts the parameters.
WAYS = {
    "pop-core POST": ("pop", "POST", None),
    "pop-core GET": ("pop", "GET", None),
    "openapi-client version 3, query": ("acs3", "POST", "query"),
    "openapi-client version 3, form": ("acs3", "POST", "body"),
    "openapi-client version 1, query": ("rpc1", "POST", "query"),
    "openapi-client version 1, form": ("rpc1", "POST", "body"),
}
POLICY = {
    "principals": ["accesskey:testid"],
    "policy": {"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": ["polardb:*", "dbsnap:DescribeJobs"],
         "Resource": "acs:polardb:local:local:dbcluster/pc-*"},
        {"Effect": "Deny", "Action": "polardb:*", "Resource": "*/pc-secret"}]},
}
LOCAL = {"principals": ["uid:0"], "policy": {"Version": "1", "Statement": [
    {"Effect": "Allow", "Action": "*", "Resource": "*"}]}}


class Refused(Exception):
    """A library's own exception: its code, message and HTTP status as the library gives them."""

    def __init__(self, error):
        super().__init__(error)
        self.__dict__.update(error)


class Client:
    """The driver, which lives for several calls."""

    def __init__(self, modules, endpoint, way, key=None):
        key = key or KEY
        self.client, self.method, self.place = WAYS[way]
        self.process = subprocess.Popen(
            ["node", os.path.join(modules, "client.js"), endpoint, key["id"], key["secret"]], cwd=modules,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, action, **params):
        line = json.dumps({"client": self.client, "method": self.method, "in": self.place, "action": action,
                           "params": params})
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the driver has ended"
        answer = json.loads(answer)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    def refused(self, action, **params):
        with pytest.raises(Refused) as caught:
            self.call(action, **params)
        return caught.value

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def modules(scratch, tmp_path_factory):
    """The driver beside its libraries, as the lock says. Their install scripts are not run."""
    if not shutil.which("npm"):
        pytest.skip("needs node and npm")
    folder = str(tmp_path_factory.mktemp("clients"))
    for name in ("client.js", "package.json", "package-lock.json"):
        shutil.copy(os.path.join(CLIENTS, name), folder)
    # It keeps what it downloads, and a log, in the home of whoever runs it, unless told where.
    own = {**os.environ, "npm_config_cache": os.path.join(folder, "cache")}
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, env=own, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def forwarder_line(port, path):
    """The manual page's line with this test's port and socket."""
    page = os.path.join(os.environ["DBSNAP_SRCDIR"], "man", "dbsnapd-api.7")
    with open(page, encoding="utf-8") as file:
        line = re.search(r"^socat .*\\e\n.*$", file.read(), re.M)[0]
    return line.replace("\\e\n", "").replace("8765", str(port)).replace("/run/dbsnap/forwarder.sock", path).split()


@pytest.fixture
def daemon(make_daemon, btrfs):
    """Root's own socket and the forwarder's; clusters of plain files."""
    daemon = make_daemon(quota={"manual_per_day": 50, "manual_retained": 50})
    daemon.forwarder = os.path.join(daemon.run_dir, "forwarder.sock")
    keys = os.path.join(daemon.folder, "access_keys.yaml")
    daemon.configure(
        quota={"manual_per_day": 50, "manual_retained": 50}, access_keys=keys,
        listen=[{"path": daemon.socket, "mode": "0660", "group": "dbsnap"},
                {"path": daemon.forwarder, "mode": "0600", "group": "root", "require_signature": True}])
    daemon.write(keys, {"access_keys": [KEY]})
    os.chmod(keys, 0o600)
    daemon.write(os.path.join(daemon.policies_dir, "clients.yaml"), POLICY)
    daemon.write(os.path.join(daemon.policies_dir, "local.yaml"), LOCAL)
    for cluster in ("pc-orders", "pc-secret"):
        source = Source(btrfs.subvolume(cluster), 4711)
        daemon.add_cluster(cluster, source.path, database={"type": "none"})
    daemon.start()
    # What was signed up to the second of a start may have been served before it.
    started = time.time()
    eventually(lambda: time.time() > int(started) + 1, what="the next second")
    return daemon


@pytest.fixture
def endpoint(daemon):
    if not shutil.which("socat"):
        pytest.skip("needs socat")
    port = free_port()
    process = subprocess.Popen(forwarder_line(port, daemon.forwarder))

    def answers():
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0
    try:
        eventually(answers, what="the forwarder listens")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def connect(modules, endpoint):
    clients = []

    def make(way, key=None):
        clients.append(Client(modules, endpoint, way, key))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


def available(client, backup):
    items = client.call("DescribeBackups", DBClusterId="pc-orders", BackupId=backup)["Items"]["Backup"]
    return items[0]["BackupStatus"] == "Success" and items[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_backup_s_life(connect, daemon, way):
    client = connect(way)
    token = f"{uuid.uuid4()} *~'(!)+/=%"
    job = client.call("CreateBackup", DBClusterId="pc-orders", ClientToken=token)["BackupJobId"]
    assert job.isdigit()
    assert client.call("CreateBackup", DBClusterId="pc-orders", ClientToken=token)["BackupJobId"] == job
    item = eventually(lambda: available(client, job), what="available")
    assert (item["BackupMode"], item["IsAvail"], item["DBClusterId"]) == ("Manual", "1", "pc-orders")
    tasks = client.call("DescribeBackupTasks", DBClusterId="pc-orders", BackupJobId=job)["Items"]["BackupJob"]
    assert [(t["BackupJobId"], t["BackupProgressStatus"], t["Process"]) for t in tasks] == [(job, "Finished", "100")]
    listed = client.call("DescribeBackups", DBClusterId="pc-orders", BackupStatus="Success", PageSize="30", PageNumber="1",
                         StartTime="2020-01-01T00:00Z", EndTime="2100-01-01T00:00Z")
    assert listed["TotalRecordCount"] == "1" and listed["Items"]["Backup"][0]["BackupId"] == job
    clusters = client.call("DescribeDBClusters", RegionId="local")
    assert [c["DBClusterId"] for c in clusters["Items"]["DBCluster"]] == ["pc-orders"]
    client.call("ModifyBackupPolicy", DBClusterId="pc-orders", PreferredBackupTime="03:00Z-04:00Z",
                PreferredBackupPeriod="Monday,Thursday", DataLevel1BackupRetentionPeriod="9")
    policy = client.call("DescribeBackupPolicy", DBClusterId="pc-orders")
    assert (policy["PreferredBackupTime"], policy["PreferredBackupPeriod"]) == ("03:00Z-04:00Z", "Monday,Thursday")
    assert policy["BackupRetentionPeriod"] == 9
    client.call("DeleteBackup", DBClusterId="pc-orders", BackupId=job)
    eventually(lambda: not os.path.exists(os.path.join(daemon.snapshot_dir("pc-orders"), job)), what="deleted")
    # Its key is the caller, in the audit record too.
    assert f'key:{KEY["id"]}' in daemon.log_text()


REFUSALS = {
    "no such cluster": ("CreateBackup", {"DBClusterId": "pc-none"}, "InvalidDBClusterId.NotFound", 404),
    "malformed cluster": ("CreateBackup", {"DBClusterId": "../x"}, "InvalidDBClusterId.Malformed", 404),
    "malformed cluster, read": ("DescribeBackups", {"DBClusterId": "../x"}, "InvalidDBClusterId.Malformed", 400),
    "no cluster": ("CreateBackup", {}, "MissingParameter", 400),
    "type": ("CreateBackup", {"DBClusterId": "pc-orders", "BackupType": "Log"}, "InvalidBackupType.Malformed", 400),
    "method": ("CreateBackup", {"DBClusterId": "pc-orders", "BackupMethod": "Dump"}, "InvalidBackupMethod.Malformed", 400),
    "token": ("CreateBackup", {"DBClusterId": "pc-orders", "ClientToken": "x" * 65}, "InvalidClientToken.Malformed", 400),
    "backup": ("DeleteBackup", {"DBClusterId": "pc-orders", "BackupId": "999"}, "InvalidBackupSetID.NotFound", 400),
    "page": ("DescribeBackups", {"DBClusterId": "pc-orders", "PageSize": "31"}, "InvalidPageSize.Malformed", 400),
    "time": ("DescribeBackups", {"DBClusterId": "pc-orders", "StartTime": "today"}, "InvalidStartTime.Malformed", 400),
    "hour": ("ModifyBackupPolicy", {"DBClusterId": "pc-orders", "PreferredBackupTime": "24:00Z-25:00Z"},
             "InvalidPreferredBackupTime.Malformed", 400),
    "denied": ("CreateBackup", {"DBClusterId": "pc-secret"}, "Forbidden.RAM", 403),
    "not allowed": ("CloneBackup", {"DBClusterId": "pc-orders", "BackupId": "1", "CloneName": "c"}, "Forbidden.RAM", 403),
    "the cloud's other": ("DescribeBackupLogs", {"DBClusterId": "pc-orders"}, "InvalidAction", 403),
}


@pytest.mark.parametrize("way", ["pop-core POST", "openapi-client version 3, query", "openapi-client version 1, form"])
def test_errors_are_the_library_s(connect, way):
    client = connect(way)
    for what, (action, params, code, status) in REFUSALS.items():
        error = client.refused(action, **params)
        assert error.code == code, (what, vars(error))
        if hasattr(error, "status") and error.status:
            assert error.status == status, (what, vars(error))
        assert error.data["HostId"] and uuid.UUID(error.data["RequestId"]), what


@pytest.mark.parametrize("way", ["pop-core GET", "openapi-client version 3, form", "openapi-client version 1, query"])
def test_a_key_that_is_not_right(connect, way):
    assert connect(way, {"id": "nobody", "secret": "x"}).refused("DescribeBackups", DBClusterId="pc-orders").code == \
        "InvalidAccessKeyId.NotFound"
    assert connect(way, {"id": "testid", "secret": "x"}).refused("DescribeBackups", DBClusterId="pc-orders").code == \
        "SignatureDoesNotMatch"


def test_the_forwarder_s_socket_takes_no_unsigned_request(endpoint, daemon):
    done = subprocess.run(["curl", "-sS", f"http://{endpoint}/?Action=DescribeBackups&DBClusterId=pc-orders"],
                          capture_output=True, text=True, timeout=20)
    assert json.loads(done.stdout)["Code"] == "IncompleteSignature"
    assert daemon.api.ok("DescribeBackups", DBClusterId="pc-orders")["TotalRecordCount"] == "0"


@pytest.mark.skipif(not os.path.exists("/lib/systemd/systemd-socket-proxyd"), reason="needs systemd-socket-proxyd")
def test_through_systemd_s_forwarder(modules, daemon):
    """As a socket unit hands its socket on."""
    listener = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        os.dup2(listener.fileno(), 3)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        os.execv("/lib/systemd/systemd-socket-proxyd", ["systemd-socket-proxyd", daemon.forwarder])
    client = Client(modules, f"127.0.0.1:{listener.getsockname()[1]}", "openapi-client version 3, query")
    try:
        listener.close()
        assert client.call("DescribeBackups", DBClusterId="pc-orders")["TotalRecordCount"] == "0"
    finally:
        client.close()
        Pid(pid).signal(15)
        os.waitpid(pid, 0)
