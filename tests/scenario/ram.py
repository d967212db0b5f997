# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements of policies as the engine sends them, and callers whom they are about.

The encoding is written from the comment of common/policy_parts.h, not from the C code.
"""
import http.client
import json
import os
import struct
import urllib.parse

from system.harness.client import UnixConnection
from system.harness.signer import FORM

# By the numbers of common/operation.h.
OPERATIONS = """
CreateBackup DescribeBackups DescribeBackupTasks DeleteBackup DescribeBackupPolicy
ModifyBackupPolicy DescribeDBClusters CloneBackup DescribeClones DeleteClone VerifyBackup
RestoreBackup HoldBackup ReleaseBackup DescribeJobs CancelJob CheckCluster
DescribeQuarantine AdoptBackup DeleteQuarantined DescribeStatus
""".split()
TIME, UID, GID, MODE = range(4)
STRING_EQUALS, STRING_NOT_EQUALS, NUMERIC_EQUALS, DATE_LESS_THAN = 0, 1, 6, 14


def resource(cluster):
    return f"acs:polardb:local:local:dbcluster/{cluster}"


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def array(items):
    return struct.pack(">H", len(items)) + b"".join(items)


def condition(key, operator, *values):
    encoded = [text(v) if isinstance(v, str) else struct.pack(">q", v) for v in values]
    return struct.pack(">BB", key, operator) + array(encoded)


def statement(effect, actions, clusters, *conditions, uids=(), gids=(), keys=(), anybody=False,
              line=7, file="10-test.yaml", resources=None):
    """actions: names, or "*"; clusters: patterns of ids, or "*" for every resource."""
    bits = sum(1 << OPERATIONS.index(a) for a in (OPERATIONS if actions == "*" else actions))
    if resources is None:
        resources = ["*"] if clusters == "*" else [resource(c) for c in clusters]
    return b"".join([
        struct.pack("?", effect == "Allow"), text(file), struct.pack(">I?", line, anybody),
        array([struct.pack(">I", n) for n in sorted(uids)]),
        array([struct.pack(">I", n) for n in sorted(gids)]), array([text(k) for k in keys]),
        struct.pack(">Q", bits), array([text(r) for r in resources]), array(list(conditions))])


class Caller:
    """A connection that was made as that uid, gid and further groups: SO_PEERCRED stays so."""
    key = None

    def __init__(self, path, uid, gid=None, groups=()):
        self.connection = UnixConnection(path, 35.0)
        before = os.getgroups(), os.getegid(), os.geteuid()
        os.setgroups(list(groups))
        os.setegid(uid if gid is None else gid)
        os.seteuid(uid)
        try:
            self.connection.connect()
        finally:
            os.seteuid(before[2])
            os.setegid(before[1])
            os.setgroups(before[0])

    def exchange(self, action, **params):
        """(status, headers, body bytes): the connection stays."""
        self.ask(action, **params)
        return self.answer()

    def ask(self, action, **params):
        if self.key:
            self.connection.sock.sendall(self.key.v3(self.world.wall_ms, action, params))
            return
        form = urllib.parse.urlencode({"Action": action, **params})
        self.connection.request("POST", "/", form, {"Content-Type": FORM})

    def answer(self):
        if self.key:
            answer = http.client.HTTPResponse(self.connection.sock, method="POST")
            answer.begin()
        else:
            answer = self.connection.getresponse()
        return answer.status, answer.headers.items(), answer.read()

    def sign(self, world, key):
        """From now on by this signer."""
        self.world, self.key = world, key
        return self

    def call(self, action, **params):
        status, _, body = self.exchange(action, **params)
        return status, json.loads(body)

    def look(self, action, **params):
        """All of an answer that may tell anything: without its RequestId, and Date."""
        status, headers, body = self.exchange(action, **params)
        request_id = json.loads(body)["RequestId"]
        assert len(request_id) == 36
        return (status, [h for h in headers if h[0] != "Date"],
                body.replace(request_id.encode(), b"-"))

    def close(self):
        self.connection.close()
