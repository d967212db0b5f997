# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that mean harm, at the whole daemon: after each of them it is as it was before.

What a deadline or a cap does to one connection is in tests/scenario/test_api_http.py,
where the front's clock and engine are the test's; here are many at once.
"""
import contextlib
import json
import random
import select
import signal
import time

import pytest

from harness import hostile
from harness.hostile import Child, Wire, close_all, connect, endure, prompt, unharmed
from harness.process import Pid, eventually, open_files

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
CREATE = "Action=CreateBackup&DBClusterId=main"
STATUS = b"GET /?Action=DescribeStatus HTTP/1.1\r\n\r\n"


@pytest.fixture
def make_target(make_daemon, btrfs):
    """make_target(**limits): a running daemon with the cluster main (files) and one backup."""
    def make(**limits):
        daemon = make_daemon(limits=limits, quota={"manual_per_day": 10000, "manual_retained": 10000,
                                                   "creates_per_day": 100000})
        daemon.add_cluster("main", btrfs.files("main"), database={"type": "none"})
        daemon.start()
        daemon.api.create_and_wait("main")
        daemon.wait_idle()
        return daemon
    return make


def restart_with(daemon, limit):
    daemon.stop()
    plain, daemon.argv = daemon.argv, lambda *options: ["prlimit", limit, *plain(*options)]
    daemon.start()


def ids(daemon):
    return {b["BackupId"] for b in daemon.api.backups("main")}


def post(body, kind=FORM, head=""):
    return (f"POST / HTTP/1.1\r\nHost: x\r\n{kind}{head}Content-Length: {len(body)}\r\n\r\n{body}").encode()


def chunked(*chunks):
    body = "".join(f"{len(c):x}\r\n{c}\r\n" for c in chunks)
    return f"POST / HTTP/1.1\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n".encode()


# Too many.

def test_2000_idle_connections_of_one_user(make_target, btrfs):
    daemon = make_target()
    hostile.may_open(2000)

    def attack():
        wires = connect(daemon.socket, 2000, hostile.FIRST_UID)
        prompt(daemon)
        daemon.api.ok("DescribeBackups", DBClusterId="main")
        told = [w for w in wires if w.readable()]
        assert len(told) == 2000 - 256
        assert told[0].answer()[1]["Code"] == told[-1].answer()[1]["Code"] == "Throttling"
        assert all(w.closed() for w in told)
        close_all(wires)
    endure(daemon, btrfs, attack)


def test_2000_idle_connections_of_many_users(make_target, btrfs):
    """All of them are let in, and each goes at its deadline."""
    daemon = make_target(connections=2100, connections_per_uid=250, request_timeout="2s")
    restart_with(daemon, "--nofile=1024:")  # what a shell gives: the front raises it as far as it may
    hostile.may_open(2000)

    def attack():
        wires = [w for n in range(8) for w in connect(daemon.socket, 250, hostile.FIRST_UID + n)]
        prompt(daemon)
        assert len(open_files(daemon.front())) > 2000
        waiting = wires
        while waiting:
            eventually(waiting[0].readable, 2 + hostile.AT_ONCE, "the first one's end")
            late = time.monotonic()
            ended = [w for w in waiting if w.closed()]
            assert all(1.9 < late - w.since < 2 + hostile.AT_ONCE for w in ended)
            waiting = [w for w in waiting if w not in ended]
            prompt(daemon)
        close_all(wires)
    endure(daemon, btrfs, attack)


def test_all_places_taken(make_target, btrfs):
    """Then a good request waits for the deadline of others, and no longer."""
    daemon = make_target(connections=40, connections_per_uid=20, request_timeout="1s")

    def attack():
        wires = [w for n in range(3) for w in connect(daemon.socket, 20, hostile.FIRST_UID + n)]
        begin = time.monotonic()
        daemon.api.ok("DescribeStatus")
        assert time.monotonic() - begin < 1 + hostile.AT_ONCE
        close_all(wires)
    endure(daemon, btrfs, attack)


def storm(path, seed, count):
    """Comes, says something or nothing, and goes without reading, as fast as it can."""
    rnd = random.Random(seed)
    says = [b"", b"\0" * 100, STATUS[:20], STATUS, STATUS * 50, post(CREATE)[:-1], b"A" * 9000]
    for _ in range(count):
        wire = Wire(path, rnd.choice(says))
        if rnd.random() < 0.3:
            wire.half_close()
        wire.close()


def test_storm(make_target, btrfs):
    daemon = make_target()

    def attack():
        children = [Child(hostile.FIRST_UID + n, storm, daemon.socket, n, 1500) for n in range(2)]
        try:
            while any(child.running() for child in children):
                prompt(daemon)
        finally:
            assert [child.wait() for child in children] == [0, 0]
    endure(daemon, btrfs, attack)


def test_no_descriptor_left(make_target, btrfs):
    """The front at its limit of descriptors: it waits without spinning, and says so once in a while."""
    daemon = make_target(request_timeout="1s")
    restart_with(daemon, "--nofile=48:48")
    front = daemon.front()
    with unharmed(daemon, btrfs):
        wires = connect(daemon.socket, 60, hostile.FIRST_UID)
        begin, cpu = time.monotonic(), hostile.cpu_seconds(front)
        last = Wire(daemon.socket, STATUS)
        assert last.answer()[0] == 200
        took = time.monotonic() - begin
        assert 0.5 < took < 1 + hostile.AT_ONCE
        assert hostile.cpu_seconds(front) - cpu < 0.2 * took
        close_all(wires + [last])
    assert 1 <= daemon.log_text().count("cannot accept connections") <= 20


# Too slow.

LONG = "&x=" + "y" * 9000
CHUNKED = f"POST /?{CREATE} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
# How each begins, and what comes then, again and again.
SLOW = {
    "request line": (f"GET /?{CREATE}&x=".encode(), b"x"),
    "header": (f"GET /?{CREATE} HTTP/1.1\r\nx: ".encode(), b"y"),
    "many headers": (f"GET /?{CREATE} HTTP/1.1\r\n".encode(), b"x:y\r\n"),
    "body": (post(CREATE + LONG)[:-9000], b"y"),
    "chunk size": (CHUNKED, b"0"),
    "blank lines for chunks": (CHUNKED, b"\r\n"),
    "chunk": (chunked(CREATE + LONG)[:-9007], b"y"),
    "chunks": (chunked(CREATE)[:-5], b"1\r\n&\r\n"),
    "trailer": (chunked(CREATE)[:-2] + b"x: ", b"y"),
}
ENDLESS = {
    **{what: SLOW[what] for what in SLOW if what not in ("body", "chunk")},
    "body": (f"POST /?{CREATE} HTTP/1.1\r\n{FORM}Content-Length: {10**15}\r\n\r\n".encode(), b"y"),
    "chunk": (CHUNKED + b"fffffffffff\r\n", b"y"),
    "no HTTP": (b"", b"\0"),
    "requests": (b"", STATUS),
    "refused requests": (b"", post("Action=None")),
}


def test_slow_writers(make_target, btrfs):
    """A byte now and then, in every part of a request: cut off at the deadline all the same."""
    daemon = make_target(request_timeout="1s")

    def attack():
        writers = [(Wire(daemon.socket, start), more) for start, more in [(b"", b""), *SLOW.values()]
                   for _ in range(10)]
        while writers:
            prompt(daemon)
            now = time.monotonic()
            for wire, more in writers:
                for byte in more:
                    wire.send(bytes([byte]))
            assert all(now - w.since < 1 + hostile.AT_ONCE for w, _ in writers)
            ended = [w for w, _ in writers if w.closed()]
            assert all(time.monotonic() - w.since > 0.9 for w in ended)
            close_all(ended)
            writers = [w for w in writers if w[0] not in ended]
    endure(daemon, btrfs, attack)


def pour(path, start, more):
    """Sends without end, as fast as it is taken, and reads whatever comes."""
    wire = Wire(path, start)
    wire.sock.setblocking(False)
    block, at = more * 10000, 0
    while True:
        readable, writable, _ = select.select([wire.sock], [wire.sock], [], 20)
        try:
            if readable and not wire.sock.recv(1 << 20):
                return
            if writable:
                at = (at + wire.sock.send(block[at:])) % len(block)
        except BlockingIOError:
            pass
        except hostile.GONE:
            return


def test_without_end(make_target, btrfs):
    """Bytes without end in every part of a request: they are not kept, and the end comes."""
    daemon = make_target(request_timeout="1s")
    most = []

    def attack():
        children = {what: Child(hostile.FIRST_UID, pour, daemon.socket, *bytes_) for what, bytes_ in ENDLESS.items()}
        begin = time.monotonic()
        try:
            while time.monotonic() < begin + 1.5:
                prompt(daemon)
                most.append(hostile.memory(daemon)["front"])
            # Whoever makes requests and takes the answers may go on.
            for what in ("requests", "refused requests"):
                assert children.pop(what).end() == -signal.SIGKILL, what
            assert {what: child.wait(10) for what, child in children.items()} == dict.fromkeys(children, 0)
        finally:
            for child in children.values():
                child.end()
    endure(daemon, btrfs, attack)
    assert max(most) - most[0] < 4096, most


def ended(wires, timeout):
    """Which of them the other end has closed, with or without something left to be read; at least one, or late."""
    poll = select.poll()
    for wire in wires:
        poll.register(wire.sock, 0)  # POLLHUP comes unasked
    numbers = {number for number, _ in poll.poll(timeout * 1000)}
    return [w for w in wires if w.sock.fileno() in numbers]


def test_slow_readers(make_target, btrfs):
    """Ask for more than fits between the two, and take a byte now and then."""
    daemon = make_target(request_timeout="1s")

    def attack():
        readers = connect(daemon.socket, 50, hostile.FIRST_UID)
        for reader in readers:
            reader.sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while reader.sock.send(STATUS):
                    pass
        begin = time.monotonic()
        left = readers
        while left:
            prompt(daemon)
            assert time.monotonic() - begin < 1 + hostile.AT_ONCE
            gone = ended(left, 0.05)
            left = [r for r in left if r not in gone]
            assert all(len(r.sock.recv(1)) == 1 for r in left)
        assert time.monotonic() - begin > 0.9
        close_all(readers)
    endure(daemon, btrfs, attack)


# Too deep, too much.

def deep(left, right):
    return '{"Action":"CreateBackup","DBClusterId":"main","x":' + left * 10000 + right * 10000 + "}"


JSON = "Content-Type: application/json\r\n"
HEAVY = {
    "arrays in each other": (post(deep("[", "]"), JSON), 400),
    "objects in each other": (post(deep('{"":', "}")[:60000], JSON), 400),
    "arrays that do not end": (post("[" * 60000, JSON), 400),
    "many names": (post("{" + ",".join(f'"{n:x}":1' for n in range(6000)) + "}", JSON), 400),
    "one name often": (post("{" + ",".join('"a":1' for _ in range(9000)) + "}", JSON), 400),
    "a long number": (post('{"x":' + "9" * 60000 + "}", JSON), 400),
    "many parameters": (post(CREATE + "&" + "&".join(f"{n:x}" for n in range(12000))), 400),
    "many empty ones": (post("&" * 65000), 400),
    "percent signs": (post(CREATE + "&x=" + "%41" * 20000), 200),
}


def test_heavy_bodies(make_target, btrfs):
    daemon = make_target()

    def attack():
        for what, (data, status) in HEAVY.items():
            begin = time.monotonic()
            for _ in range(20):
                wire = Wire(daemon.socket, data.replace(b"CreateBackup", b"DescribeBackups") if status == 200 else data)
                assert wire.answer()[0] == status, what
                wire.close()
            assert time.monotonic() - begin < hostile.AT_ONCE, what
    endure(daemon, btrfs, attack)


# Gone, in halves, several at once.

def creates(token):
    """The same create in every form."""
    parameters = {"Action": "CreateBackup", "DBClusterId": "main", "ClientToken": token}
    text = "&".join(f"{k}={v}" for k, v in parameters.items())
    return {
        "form": post(text),
        "query": f"GET /?{text} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        "json": post(json.dumps(parameters), JSON),
        "chunks": chunked(text[:30], text[30:50], text[50:]),
        "query and chunks": chunked("DBClusterId=main", f"&ClientToken={token}").replace(
            b"POST /", b"POST /?Action=CreateBackup"),
        "expect": post(text, head="Expect: 100-continue\r\n"),
    }


def test_gone_at_any_byte(make_target, btrfs):
    """A part of a create creates nothing; a whole one exactly what it says, once."""
    daemon = make_target()
    requests = {form: creates("t-" + form.replace(" ", "-"))[form] for form in creates("")}
    with unharmed(daemon, btrfs):
        for data in requests.values():
            for size in range(len(data)):
                Wire(daemon.socket, data[:size]).close()
                half = Wire(daemon.socket, data[:size])
                half.half_close()
                half.rest()
                half.close()
    before = ids(daemon)
    for data in requests.values():
        Wire(daemon.socket, data).close()
    eventually(lambda: len(ids(daemon)) >= len(before) + len(requests), 30, "a backup of each")
    # The same again, and whole this time: it is known, with its parameters, and makes no other.
    answers = []
    for data in requests.values():
        wire = Wire(daemon.socket, data)
        status, answer = wire.answer()
        assert status == 200, answer
        answers.append(answer["BackupJobId"])
        wire.close()
    daemon.wait_idle()
    assert len(set(answers)) == len(requests)
    assert ids(daemon) == before | set(answers)


def test_in_two_parts_at_any_byte(make_target):
    """Wherever a create is cut in two, and whichever half-close follows, it is the same create."""
    daemon = make_target()
    before = ids(daemon)
    told = set()
    for data in creates("one").values():
        for size in range(1, len(data)):
            wire = Wire(daemon.socket, data[:size])
            prompt_turn(daemon, size)
            wire.send(data[size:])
            if size % 2:
                wire.half_close()
            status, answer = wire.answer()
            assert status == 200, (data[:size], answer)
            told.add(answer["BackupJobId"])
            wire.close()
    daemon.wait_idle()
    assert len(told) == 1 and ids(daemon) == before | told


def prompt_turn(daemon, number):
    """A turn of the front's loop now and then, so that it has seen the first part alone."""
    if number % 4 == 0:
        prompt(daemon)


def test_pipelined_creates(make_target):
    """Answered in order, each once; a half-close or an early end loses some and doubles none."""
    daemon = make_target()
    before = ids(daemon)
    wire = Wire(daemon.socket, b"".join(post(f"{CREATE}&ClientToken=p{n}") for n in range(20)))
    told = [wire.answer()[1]["BackupJobId"] for _ in range(20)]
    assert told == sorted(told, key=int) and len(set(told)) == 20
    wire.close()
    for how in ("half-closed", "gone"):
        wire = Wire(daemon.socket, b"".join(post(f"{CREATE}&ClientToken=p{n}") for n in range(15, 25)))
        if how == "half-closed":
            wire.half_close()
            answers = wire.rest().count(b"HTTP/1.1 200 ")
            assert answers >= 1
        wire.close()
    again = [daemon.api.create("main", token=f"p{n}") for n in range(25)]
    assert again[:20] == told
    daemon.wait_idle()
    assert ids(daemon) == before | set(again) and len(set(again)) == 25


# While it stops.

def test_told_at_once_while_it_stops(make_target, btrfs):
    daemon = make_target()
    kept = Wire(daemon.socket, STATUS)
    assert kept.answer()[0] == 200

    def caught():
        daemon.api.create("main")
        for pid in daemon.workers():
            worker = Pid(pid)
            worker.signal(signal.SIGSTOP)
            if any(b["Dbsnap"]["State"] == "RUNNING" for b in daemon.api.backups("main")):
                return worker
            worker.signal(signal.SIGCONT)
        return None
    worker = eventually(caught, 60, "a worker that is stopped in the middle of its job")
    before = ids(daemon)
    daemon.main.signal(signal.SIGTERM)
    eventually(lambda: "stopping;" in daemon.log_text(), 10, "the stop")
    for wire in [kept] + [Wire(daemon.socket) for _ in range(20)]:
        begin = time.monotonic()
        wire.send(post(CREATE))
        status, answer = wire.answer()
        assert (status, answer["Code"]) == (503, "ServiceUnavailable")
        assert time.monotonic() - begin < hostile.AT_ONCE
        assert wire.rest() == b""
        wire.close()
    worker.signal(signal.SIGCONT)
    assert daemon.reap(30) == 0
    daemon.start()
    daemon.wait_idle()
    assert ids(daemon) == before
