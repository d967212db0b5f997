# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP over the Unix socket.

As a program (`python3 client.py SOCKET`, a JSON list [action, parameters] on standard
input) it is how a test calls as another user: SO_PEERCRED is whoever connects.
"""
import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.parse

from .process import eventually

FINAL = ("AVAILABLE", "FAILED", "CANCELLED", "LOST")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    """Calls operations; every answer is (HTTP status, decoded JSON)."""

    def __init__(self, path, timeout=35.0):
        self.path = path
        self.timeout = timeout

    def request(self, method, target="/", body=None, headers=None):
        """(status, headers, body bytes) of one request on a connection of its own."""
        connection = UnixConnection(self.path, self.timeout)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def decoded(self, method, target, body=None, headers=None):
        status, fields, content = self.request(method, target, body, headers)
        assert fields["Content-Type"] == "application/json;charset=utf-8", fields.items()
        answer = json.loads(content)
        assert answer["RequestId"]
        assert ("Code" in answer) == (status != 200), answer
        return status, answer

    def call(self, action, **params):
        """POST form, the way most clients do."""
        form = urllib.parse.urlencode({"Action": action, **params})
        return self.decoded("POST", "/", form,
                            {"Content-Type": "application/x-www-form-urlencoded"})

    def get(self, action, **params):
        query = urllib.parse.urlencode({"Action": action, **params})
        return self.decoded("GET", "/?" + query)

    def post_json(self, action, **params):
        return self.decoded("POST", "/", json.dumps({"Action": action, **params}),
                            {"Content-Type": "application/json"})

    def raw(self, data):
        """Sends bytes as they are; what comes back until the peer closes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(self.timeout)
            sock.connect(self.path)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            chunks = []
            while chunk := sock.recv(65536):
                chunks.append(chunk)
            return b"".join(chunks)

    def call_as(self, uid, gid, action, groups=(), **params):
        """The same as call, by a process of that uid, gid and further groups."""
        code = ("import sys; sys.path.insert(0, sys.argv[2]); "
                "from harness import client; client.main(sys.argv[1])")
        above = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        done = subprocess.run([sys.executable, "-c", code, self.path, above],
                              input=json.dumps([action, params]), text=True, cwd="/",
                              capture_output=True, user=uid, group=gid,
                              extra_groups=list(groups))
        assert done.returncode == 0, done.stderr
        status, answer = json.loads(done.stdout)
        return status, answer

    def raw_as(self, uid, gid, groups, data):
        """The same as raw, by a process of that uid, gid and further groups."""
        code = ("import sys; sys.path.insert(0, sys.argv[2]); "
                "from harness import client; "
                "sys.stdout.buffer.write(client.Api(sys.argv[1]).raw(sys.stdin.buffer.read()))")
        above = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        done = subprocess.run([sys.executable, "-c", code, self.path, above], input=data, cwd="/",
                              capture_output=True, user=uid, group=gid, extra_groups=list(groups))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ok(self, action, **params):
        """The answer of a call that must succeed."""
        status, answer = self.call(action, **params)
        assert status == 200, f"{action} {params}: {status} {answer}"
        return answer

    # What tests do all the time.

    def create(self, cluster, token=None):
        """Accepted: the job's and backup's id."""
        extra = {"ClientToken": token} if token else {}
        return self.ok("CreateBackup", DBClusterId=cluster, **extra)["BackupJobId"]

    def backups(self, cluster):
        """Every listed backup, all pages, newest first."""
        items, page = [], 1
        while True:
            answer = self.ok("DescribeBackups", DBClusterId=cluster, PageSize=100,
                             PageNumber=page)
            items += answer["Items"]["Backup"]
            if len(items) >= int(answer["TotalRecordCount"]):
                return items
            page += 1

    def backup(self, cluster, backup_id):
        """One backup's item, None when it is not listed."""
        items = [b for b in self.backups(cluster) if b["BackupId"] == backup_id]
        return items[0] if items else None

    def state(self, cluster, backup_id):
        item = self.backup(cluster, backup_id)
        return item["Dbsnap"]["State"] if item else None

    def wait_final(self, cluster, backup_id, timeout=60.0):
        """The backup's item once its state is final."""
        def final():
            item = self.backup(cluster, backup_id)
            return item if item and item["Dbsnap"]["State"] in FINAL else None
        return eventually(final, timeout, f"backup {backup_id} in a final state")

    def create_and_wait(self, cluster, token=None, timeout=60.0):
        """A finished backup's item; fails if it did not become AVAILABLE."""
        item = self.wait_final(cluster, self.create(cluster, token), timeout)
        assert item["Dbsnap"]["State"] == "AVAILABLE", item
        return item

    def delete_and_wait(self, cluster, backup_id, timeout=60.0):
        """Deleted, to the end: its folder is gone and its job finished."""
        path = self.backup(cluster, backup_id)["Dbsnap"].get("Path")
        self.ok("DeleteBackup", DBClusterId=cluster, BackupId=backup_id)
        if path:
            folder, name = os.path.split(path)
            gone = (path, os.path.join(folder, ".del-" + name))
            eventually(lambda: not any(map(os.path.lexists, gone)), timeout,
                       f"{path} gone")

    def clone_and_wait(self, cluster, backup_id, name, timeout=60.0):
        """A finished clone's item."""
        self.ok("CloneBackup", DBClusterId=cluster, BackupId=backup_id, CloneName=name)

        def final():
            item = self.clone(cluster, name)
            return item if item and item["State"] != "Creating" else None
        item = eventually(final, timeout, f"clone {name}")
        assert item["State"] == "Available", item
        return item

    def clone(self, cluster, name):
        answer = self.ok("DescribeClones", DBClusterId=cluster)
        items = [c for c in answer["Items"]["Clone"] if c["CloneName"] == name]
        return items[0] if items else None


def main(path):
    action, params = json.load(sys.stdin)
    json.dump(Api(path).call(action, **params), sys.stdout)
