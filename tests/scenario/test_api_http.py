# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP: the forms of a request, and every way it can be wrong, slow or too much."""
import http.client
import json
import os
import select
import shutil
import signal
import socket
import struct

import pytest

from system.harness import reports
from system.harness.inject import Inject
from system.harness.process import eventually, refuses_descriptors
import msgs

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


class Wire:
    """One connection, bytes as they are."""

    def __init__(self, world, data=b""):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(world.path)
        if data:
            self.sock.sendall(data)

    def answer(self):
        """(status, headers, JSON or bytes) of the next answer."""
        response = http.client.HTTPResponse(self.sock)
        response.begin()
        body = response.read()
        if response.headers["Content-Type"] == "application/json;charset=utf-8":
            body = json.loads(body)
            assert list(body)[0] == "RequestId"
            assert ("Code" in body) == (response.status != 200)
        return response.status, response.headers, body

    def ended(self):
        """Waits for the end of the connection, dropping what still comes."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        self.sock.close()


def ask(world, data):
    wire = Wire(world, data.encode() if isinstance(data, str) else data)
    answer = wire.answer()
    wire.sock.close()
    return answer


def code(world, data):
    status, _, body = ask(world, data)
    return status, body.get("Code")


def form(body, head=""):
    return f"POST / HTTP/1.1\r\nHost: x\r\n{FORM}{head}Content-Length: {len(body)}\r\n\r\n{body}"


STATUS = "Action=DescribeStatus"
LIST = "Action=DescribeBackups&DBClusterId=pc-a"
GOOD = (200, None)


@pytest.mark.parametrize("data", [
    f"GET /?{LIST} HTTP/1.1\r\nHost: x\r\n\r\n",
    f"GET /?{LIST} HTTP/1.0\r\n\r\n",
    f"POST /?{LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    form(LIST),
    f"POST /?Action=DescribeBackups HTTP/1.1\r\n{FORM}Content-Length: 16\r\n\r\nDBClusterId=pc-a",
    f"POST /?Action=DescribeBackups HTTP/1.1\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n"
    "8\r\nDBCluste\r\n8\r\nrId=pc-a\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nx-acs-action: DescribeBackups\r\nx-acs-version: 2017-08-01\r\n"
    f"{FORM}Content-Length: 16\r\n\r\nDBClusterId=pc-a",
    "POST / HTTP/1.1\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 56\r\n\r\n"
    '{"Action":"DescribeBackups","DBClusterId":"pc-a", "x":1}',
    form(LIST + "&Version=2017-08-01&Format=json"),
    form(LIST + "&Unknown=1&OwnerId=&RegionId=x&SignatureNonce=n&Timestamp=t&SignatureMethod=m"),
    form(LIST + "&BackupId=&PageSize="),
])
def test_forms(world, data):
    world.start()
    assert code(world, data) == GOOD


@pytest.mark.parametrize("data,expected", [
    (f"{method} /?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\n", (403, "UnsupportedHTTPMethod"))
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")] + [
    (f"GET /?{STATUS} HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", (400, "MalformedRequest")),
    (f"GET /?{STATUS} HTTP/1.1\r\nAuthorization: x\r\nauthorization: y\r\n\r\n",
     (400, "MalformedRequest")),
    (f"POST / HTTP/1.1\r\n{FORM}Content-Length: 21\r\nContent-Length: 21\r\n\r\n{STATUS}",
     (400, "MalformedRequest")),
    (f"POST / HTTP/1.1\r\n{FORM}Content-Length: +21\r\n\r\n{STATUS}", (400, "MalformedRequest")),
    (f"GET /?{STATUS} HTTP/1.7\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (f"GET /?{STATUS} HTTP/1.-1\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (f"GET http://x/?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (f"GET /healthz?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\n", (404, "InvalidPath.NotFound")),
    (f"GET //?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\n", (404, "InvalidPath.NotFound")),
    (f"GET /%2f?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\n", (404, "InvalidPath.NotFound")),
    (f"GET /?{STATUS}&a=b c HTTP/1.1\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (f"GET /?{STATUS}#x HTTP/1.1\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (f"GET /?{STATUS}&a=%00 HTTP/1.1\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (f"GET /?{STATUS}&a=%4 HTTP/1.1\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (f"GET /?{STATUS}&a=%ff HTTP/1.1\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (f"GET /?{STATUS}&=x HTTP/1.1\r\nHost: x\r\n\r\n", (400, "MalformedRequest")),
    (form(STATUS + "&a=%"), (400, "MalformedRequest")),
    (f"POST / HTTP/1.1\r\nContent-Length: 21\r\n\r\n{STATUS}", (400, "MalformedRequest")),
    (f"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n\r\n{STATUS}",
     (400, "MalformedRequest")),
    ("POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
     (400, "MalformedRequest")),
    ("POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
     (400, "MalformedRequest")),
    ('POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n'
     '{"Action":{"a":1}} ', (400, "InvalidParameter")),
    ('POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n'
     '{"a":1,"a":2}', (400, "InvalidParameter")),
    (f"POST /?{STATUS} HTTP/1.1\r\n{FORM}Content-Length: 21\r\n\r\n{STATUS}",
     (400, "InvalidParameter")),
    (form(STATUS + "&x=1&x=2"), (400, "InvalidParameter")),
    (form(STATUS + "&x=&x="), (400, "InvalidParameter")),
    (form("&".join(f"p{i}=1" for i in range(129))), (400, "InvalidParameter")),
    (form(STATUS + "&" + "n" * 129 + "=1"), (400, "InvalidParameter")),
    (form(STATUS, "x-acs-action: DescribeJobs\r\n"), (400, "InvalidParameter")),
    (form("", "x-acs-action: DescribeJobs\r\nx-acs-action: DescribeJobs\r\n"),
     (400, "InvalidParameter")),
    (form(STATUS + "&Version=2017-08-02"), (400, "InvalidParameter")),
    (form(STATUS, "x-acs-version: 2018-01-01\r\n"), (400, "InvalidParameter")),
    (form(STATUS + "&Format=XML"), (400, "InvalidParameter")),
    (form(""), (400, "MissingParameter")),
    (form("Action="), (400, "MissingParameter")),
    (form("action=DescribeStatus"), (400, "MissingParameter")),
    (form("Action=DescribeBackupLogs"), (403, "InvalidAction")),
    (form("Action=createBackup"), (403, "InvalidAction")),
    (form("Action=DescribeDetachedBackups"), (403, "InvalidAction")),
    (form("a=" + "x" * 65535), (413, "RequestTooLarge")),
])
def test_refused(world, data, expected):
    world.start()
    assert code(world, data) == expected
    assert code(world, form(STATUS)) == GOOD


@pytest.mark.parametrize("head", [
    "Content-Length: 36\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: Chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n", "Transfer-Encoding: chunked, chunked\r\n"])
def test_doubtful_transfer_encoding(world, head):
    """Refused by evhttp (newer ones) or by us; what follows is never taken for a request."""
    world.start()
    body = "24\r\nAction=CreateBackup&DBClusterId=pc-a\r\n0\r\n\r\n"
    create = form("Action=CreateBackup&DBClusterId=pc-a")
    wire = Wire(world, (f"POST / HTTP/1.1\r\n{FORM}{head}\r\n" + body + create).encode())
    status, _, answer = wire.answer()
    assert status == 400
    assert isinstance(answer, bytes) or answer["Code"] == "MalformedRequest"
    wire.ended()
    assert world.api.backups("pc-a") == []


def test_head_has_no_body(world):
    world.start()
    wire = Wire(world, f"HEAD /?{STATUS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    data = b""
    while more := wire.sock.recv(4096):
        data += more
    assert data.startswith(b"HTTP/1.1 403 ") and data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("data", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100 + b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET /?a=" + b"b" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nx: " + b"y" * 9000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
    b"POST / HTTP/1.1\r\nExpect: magic\r\nContent-Length: 3\r\n\r\nabc"])
def test_no_http_of_ours_ends_the_connection(world, data):
    """evhttp's own refusals: not JSON, but the connection ends and the front lives."""
    world.start()
    wire = Wire(world, data)
    wire.ended()
    assert code(world, form(STATUS)) == GOOD


def test_answer_s_headers(world):
    world.start()
    _, headers, body = ask(world, form(STATUS))
    assert headers["Content-Type"] == "application/json;charset=utf-8"
    assert "Server" not in headers
    assert len(body["RequestId"]) == 36 and body["RequestId"] == body["RequestId"].upper()
    _, _, again = ask(world, form(STATUS))
    assert again["RequestId"] != body["RequestId"]


def test_error_s_fields(world):
    world.start()
    _, _, body = ask(world, form("Action=Nothing"))
    assert list(body) == ["RequestId", "HostId", "Code", "Message"]


def test_connection_is_kept_and_pipelined(world):
    world.start()
    one = form(STATUS).encode()
    wire = Wire(world, one + one + one[:20])
    assert wire.answer()[0] == 200
    wire.sock.sendall(one[20:])


def test_many_requests_on_one_connection(world):
    world.start()
    connection = http.client.HTTPConnection("x")
    connection.sock = Wire(world).sock
    for _ in range(50):
        connection.request("POST", "/", STATUS, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()


def test_client_that_has_shut_its_side_down_is_answered(world):
    world.start()
    answer = world.api.raw(form(STATUS).encode())
    assert answer.startswith(b"HTTP/1.1 200 ")


# Captured from clients.

def wire_files():
    folder = os.path.join(os.environ["DBSNAP_SRCDIR"], "tests", "wire")
    return sorted(os.listdir(folder))


def wire_file(name):
    with open(os.path.join(os.environ["DBSNAP_SRCDIR"], "tests", "wire", name), "rb") as file:
        return file.read()


@pytest.mark.parametrize("name", wire_files())
def test_captured_request_names_a_key(world, name):
    world.start()
    assert code(world, wire_file(name)) == (404, "InvalidAccessKeyId.NotFound")
    assert world.engine.count("JOB") == 0


@pytest.mark.parametrize("name,what", [
    ("rpc1-get.http", b"&SignatureNonce=e865dee5bd51c583ab69fc5d312b025a"), ("rpc1-get.http", b"&SignatureVersion=1.0"),
    ("rpc1-get.http", b"AccessKeyId=testid&"), ("rpc1-post-query.http", b"&AccessKeyId=testid"),
    ("acs3-query.http", b"Credential=testid,"), ("acs3-typed.http", b"ACS3-HMAC-SHA256 ")])
def test_captured_request_without_a_part(world, name, what):
    world.start()
    data = wire_file(name)
    assert what in data
    assert code(world, data.replace(what, b"")) == (400, "IncompleteSignature")


def test_captured_parameters_are_read(world):
    """The same bytes without a key are served: what the clients encode is decoded."""
    world.start()
    data = wire_file("rpc1-post-query.http")
    for part in (b"&AccessKeyId=testid", b"&Signature=3BlLAfXhkVCwjSrbcfo3bD8d%2FXU%3D"):
        assert part in data
        data = data.replace(part, b"")
    status, _, body = ask(world, data.replace(b"pc-orders", b"pc-a"))
    assert status == 200
    token = "a b+c*d~e/f=g%h"
    assert world.api.ok("CreateBackup", DBClusterId="pc-a",
                        ClientToken=token)["BackupJobId"] == body["BackupJobId"]


def test_no_name_is_looked_up_to_serve(world):
    """The sandbox would refuse it; a library that asks for chance late would do with the time of day."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    world.start()
    names = os.path.join(world.folder, "names")
    with Inject.nothing(world.front.pid, "%file", names):
        for action in ("CreateBackup", "DescribeBackups"):
            assert world.api.post_json(action, DBClusterId="pc-a")[0] == 200
        assert world.api.call("DescribeStatus")[0] == 200
        assert code(world, form("x=%")) == (400, "MalformedRequest")
    with open(names, encoding="utf-8") as file:
        assert file.read() == ""


# Slow and greedy clients.

def test_idle_connection_is_closed(make_world):
    world = make_world(request_timeout_ms=100)
    world.start()
    Wire(world).ended()


def test_slow_sender_is_cut_off_however_steadily_it_sends(make_world):
    world = make_world(request_timeout_ms=300)
    world.start()
    wire = Wire(world, b"GET /?a=")
    sent = 0
    while not select.select([wire.sock], [], [], 0.02)[0] and sent < 8000:
        try:
            wire.sock.sendall(b"x")
        except BrokenPipeError:
            break
        sent += 1
    assert 0 < sent < 100
    wire.ended()


def test_deadline_counts_from_the_last_answer(make_world):
    world = make_world(request_timeout_ms=300)
    world.start()
    wire = Wire(world)
    for _ in range(10):
        select.select([wire.sock], [], [], 0.05)
        wire.sock.sendall(form(STATUS).encode())
        assert wire.answer()[0] == 200
    wire.ended()


def test_client_that_reads_no_answers_is_cut_off(make_world):
    world = make_world(request_timeout_ms=300)
    world.start()
    wire = Wire(world)
    request = form(STATUS).encode()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(200_000):
            wire.sock.sendall(request)


def test_what_is_sent_ahead_waits_in_the_kernel(world):
    """A client that reads its answers and pipelines faster than they come costs no memory for it."""
    world.start()
    wire = Wire(world)
    before = int(world.status()["VmRSS"].split()[0])
    requests, answers, offset = form("Action=Nothing").encode() * 1000, 0, 0
    wire.sock.setblocking(False)
    ready = select.poll()
    ready.register(wire.sock, select.POLLIN | select.POLLOUT)
    while answers < 5000:
        assert ready.poll(20_000)
        try:
            offset = (offset + wire.sock.send(requests[offset:])) % len(requests)
        except BlockingIOError:
            pass
        try:
            answers += wire.sock.recv(1 << 20).count(b"HTTP/1.1 403 ")
        except BlockingIOError:
            pass
    assert reports.in_use() or int(world.status()["VmRSS"].split()[0]) - before < 2048
    wire.sock.close()
    assert code(world, form(STATUS)) == GOOD


def lingering():
    """The last descriptor of a TCP connection whose close() takes a minute."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        while ours.send(b"x" * 65536):
            pass
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    return ours, theirs


def test_no_descriptor_comes_along(world):
    """Whoever reads what one came with closes it, and waits for that as long as its sender likes."""
    world.start()
    wire = Wire(world)
    if not refuses_descriptors(wire.sock):
        pytest.skip("needs Linux 6.16")
    ours, theirs = lingering()
    world.front.signal(signal.SIGSTOP)
    with pytest.raises(PermissionError):
        socket.send_fds(wire.sock, [form(STATUS).encode()], [ours.fileno()])
    world.front.signal(signal.SIGCONT)
    theirs.close()
    ours.close()
    wire.sock.sendall(form(STATUS).encode())
    assert wire.answer()[0] == 200


def test_endless_chunk_size_is_cut_off(make_world):
    world = make_world(request_timeout_ms=300)
    world.start()
    wire = Wire(world, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(10_000):
            wire.sock.sendall(b"0" * 1000)
    assert code(world, form(STATUS)) == GOOD


def test_deferred_answer_does_not_hang_on_the_deadline(make_world):
    world = make_world(request_timeout_ms=100)
    world.add("pc-a")
    engine = checked(world)
    wire = Wire(world, form("Action=CheckCluster&DBClusterId=pc-a").encode())
    check = engine.wait("CHECK", depth=msgs.LAYOUT)
    assert not select.select([wire.sock], [], [], 0.4)[0]
    engine.on_check(check)
    assert wire.answer()[0] == 200


def checked(world):
    """Started, its layout known, and CHECK from now on the test's."""
    engine = world.start()
    engine.wait_for(lambda: engine.count("CHECK", depth=msgs.LAYOUT))
    engine.ping()
    engine.hold("CHECK")
    return engine


def test_client_that_leaves_while_its_answer_is_deferred(world):
    engine = checked(world)
    wire = Wire(world, form("Action=CheckCluster&DBClusterId=pc-a").encode())
    check = engine.wait("CHECK", depth=msgs.LAYOUT)
    wire.sock.close()
    engine.ping()
    engine.on_check(check)
    assert code(world, form(STATUS)) == GOOD


def test_bytes_that_come_while_an_answer_is_deferred(world):
    engine = checked(world)
    wire = Wire(world, form("Action=CheckCluster&DBClusterId=pc-a").encode())
    check = engine.wait("CHECK", depth=msgs.LAYOUT)
    wire.sock.sendall(form(STATUS).encode())
    engine.settle()
    engine.on_check(check)
    assert wire.answer()[2]["Ok"] == "true"
    assert code(world, form(STATUS)) == GOOD


def test_front_that_ends_with_an_answer_deferred(world):
    engine = checked(world)
    wire = Wire(world, form("Action=CheckCluster&DBClusterId=pc-a").encode())
    engine.wait("CHECK", depth=msgs.LAYOUT)
    world.stop()
    wire.ended()


# Caps.

def test_cap_of_a_uid(make_world):
    world = make_world(connections_per_uid=3)
    world.start()
    kept = [Wire(world) for _ in range(3)]
    for wire in kept:  # each is admitted before the next one comes
        wire.sock.sendall(form(STATUS).encode())
        assert wire.answer()[0] == 200
    refused = Wire(world)
    status, headers, body = refused.answer()
    assert (status, body["Code"]) == (400, "Throttling")
    assert int(headers["x-acs-retry-after"]) > 0
    refused.ended()
    kept.pop().sock.close()

    def served():
        status, _, _ = ask(world, form(STATUS))
        return status == 200
    eventually(served)
    for wire in kept:
        wire.sock.close()


def test_cap_of_all_leaves_the_rest_waiting(make_world):
    world = make_world(connections=2)
    engine = world.start()
    kept = [Wire(world) for _ in range(2)]
    for wire in kept:
        wire.sock.sendall(form(STATUS).encode())
        assert wire.answer()[0] == 200
    waiting = Wire(world, form(STATUS).encode())
    engine.settle()
    assert not select.select([waiting.sock], [], [], 0)[0]
    kept.pop().sock.close()
    assert waiting.answer()[0] == 200


def test_no_descriptors_left(world):
    world.start()
    used = len(os.listdir(f"/proc/{world.front.pid}/fd"))
    world.kill()
    front, world.program = world.program, os.path.join(world.folder, "few")
    with open(world.program, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nulimit -n {used + 3}\nexec {front} "$@"\n')
    os.chmod(world.program, 0o755)
    engine = world.start()
    wires = [Wire(world, form(STATUS).encode()) for _ in range(8)]
    engine.logged("cannot accept")
    for wire in wires:
        assert wire.answer()[0] == 200
        wire.sock.close()
    engine.settle()
    assert sum("cannot accept" in m.text for m in engine.seen if m.name == "LOG") <= 6
    assert world.stderr() == ""


def test_reload_changes_limits(world):
    engine = world.start()
    world.settings["body_max"] = 100
    world.send_config()
    engine.ping()
    assert code(world, form("a=" + "x" * 200)) == (413, "RequestTooLarge")


def test_stopping(world):
    engine = world.start()
    wire = Wire(world, form(STATUS).encode())
    assert wire.answer()[0] == 200
    engine.send("STOP")
    engine.ping()
    wire.sock.sendall(form(STATUS).encode())
    status, headers, body = wire.answer()
    assert (status, body["Code"]) == (503, "ServiceUnavailable")
    wire.ended()


def test_new_connections_while_stopping(world):
    """Told so at once, however long the jobs under way take; nothing is begun for them."""
    engine = world.start(hold=("JOB",))
    world.create()
    engine.wait("JOB")
    engine.send("STOP")
    engine.ping()
    for data in (form(STATUS), form("Action=CreateBackup&DBClusterId=pc-a")):
        wire = Wire(world, data.encode())
        status, headers, body = wire.answer()
        assert (status, body["Code"]) == (503, "ServiceUnavailable")
        assert int(headers["x-acs-retry-after"]) > 0
        wire.ended()
    # A slow one holds nothing up either.
    idle = Wire(world)
    world.stop()
    idle.ended()
    world.start()
    assert [b["BackupId"] for b in world.api.backups("pc-a")] == list(world.acked)


def test_stopping_before_it_has_served(world):
    """Told to stop in its recovery: who has waited for it is told so."""
    engine = world.connect()
    engine.hold("PROBE")
    waiting = Wire(world, form(STATUS).encode())
    world.hello()
    engine.wait("PROBE")
    engine.send("STOP")
    status, _, body = waiting.answer()
    assert (status, body["Code"]) == (503, "ServiceUnavailable")
    waiting.ended()
    world.stop()


def test_a_socket_that_requires_signatures(make_world):
    """Each socket has its own rule, which a reload may change; the same front serves both."""
    world = make_world()
    world.add("pc-1")
    forwarded = world.listen(world.path + "-forwarder", require_signature=True)
    world.start()
    world.api.ok("DescribeBackups", DBClusterId="pc-1")
    for action in ("DescribeBackups", "CreateBackup", "NoSuchAction"):
        status, answer = forwarded.call(action, DBClusterId="pc-1")
        assert (status, answer["Code"]) == (400, "IncompleteSignature"), answer
        assert answer["Message"].startswith("This socket takes signed requests only: sign with an AccessKey")
    world.listeners[1]["require_signature"] = False
    world.listeners[0]["require_signature"] = True
    world.send_config()
    eventually(lambda: forwarded.call("DescribeBackups", DBClusterId="pc-1")[0] == 200, what="reloaded")
    assert world.api.call("DescribeBackups", DBClusterId="pc-1")[1]["Code"] == "IncompleteSignature"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_descriptor_has_its_listener(make_world, count):
    world = make_world()
    world.listen(world.path + "-2")
    world.connect()
    world.listeners = (world.listeners * 2)[:count]
    world.send_config()
    assert os.waitstatus_to_exitcode(world.reap()) == 1
