# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests with random damage, always the same ones: each gets an answer or an end, and the front lives.

DBSNAP_FUZZ=N tries N times as many; DBSNAP_FUZZ_SEED tries others.
"""
import os
import random
import socket

import pytest

from test_api_http import FORM, form, wire_file, wire_files

ACTIONS = ("CreateBackup DescribeBackups DescribeBackupTasks DeleteBackup CloneBackup DescribeClones "
           "DeleteClone DescribeJobs CancelJob CheckCluster DescribeStatus DescribeDBClusters HoldBackup "
           "ReleaseBackup DescribeQuarantine AdoptBackup DeleteQuarantined").split()
BITS = [b"\r\n", b"\0", b"%00", b"%", b"&", b"=", b"\xff", b"Content-Length: 5\r\n", b"-1", b"{", b"[", b'"',
        b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"9" * 20, b"A" * 3000, b" HTTP/1.1\r\n\r\n",
        b"Expect: 100-continue\r\n", b"0\r\n\r\n"]
REQUESTS = 10000


def seeds():
    signed = [wire_file(name) for name in wire_files()]
    # The same without a key, so that the damage gets further in.
    plain = [s.replace(b"AccessKeyId=testid&", b"").replace(b"Authorization", b"X")
              .replace(b"Signature=", b"S=").replace(b"pc-orders", b"pc-a") for s in signed]
    made = []
    for action in ACTIONS:
        text = (f"Action={action}&DBClusterId=pc-a&BackupId=1,2&JobId=1&CloneName=c&ClientToken=t&Name=7&"
                "PageSize=30&PageNumber=1&StartTime=2023-11-14T12:00Z&BackupStatus=Success")
        json = '{"' + text.replace("=", '":"').replace("&", '","') + '"}'
        made += [form(text), f"POST / HTTP/1.1\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(json)}\r\n\r\n{json}",
                 f"POST / HTTP/1.1\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n"
                 f"{len(text):x}\r\n{text}\r\n0\r\n\r\n"]
    return signed + plain + [text.encode() for text in made]


def damaged(rnd, known):
    data = bytearray(rnd.choice(known))
    if rnd.random() < 0.3:
        data += rnd.choice(known)
    for _ in range(rnd.randint(0, 6)):
        at, how = rnd.randrange(len(data) + 1), rnd.randrange(4)
        if how == 0:
            data[at:at + 1] = bytes([rnd.randrange(256)])
        elif how == 1:
            data[at:at] = rnd.choice(BITS)
        elif how == 2:
            del data[at:at + rnd.randint(1, 30)]
        else:
            other = rnd.choice(known)
            start = rnd.randrange(len(other))
            data[at:at] = other[start:start + rnd.randint(1, 60)]
    return bytes(data)


def exchange(rnd, path, data):
    """Sends it, in pieces perhaps, and leaves or waits for the connection's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(20)
        sock.connect(path)
        cut = rnd.randrange(len(data) + 1)
        try:
            sock.sendall(data[:cut])
            sock.sendall(data[cut:])
            if rnd.random() < 0.8:
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
        except (BrokenPipeError, ConnectionResetError):
            pass


@pytest.mark.parametrize("seed", [int(os.environ.get("DBSNAP_FUZZ_SEED", "1"))])
def test_damaged_requests(world, seed):
    engine = world.start()
    world.make()
    used = len(os.listdir(f"/proc/{world.front.pid}/fd"))
    rnd, known = random.Random(seed), seeds()
    for _ in range(REQUESTS * int(os.environ.get("DBSNAP_FUZZ", "1"))):
        exchange(rnd, world.path, damaged(rnd, known))
    engine.ping()
    assert world.api.ok("DescribeStatus")["Clusters"]
    engine.settle()
    assert len(os.listdir(f"/proc/{world.front.pid}/fd")) <= used + 1
