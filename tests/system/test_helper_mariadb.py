# SPDX-License-Identifier: GPL-3.0-or-later
"""The MariaDB helper alone, against a real server and against ones that are none."""
import os
import socket
import struct
import threading

import pytest

from harness.helper import CONNECT, FACTS, MY_FACTS, MY_LOCK, MY_UNLOCK, Helper
from harness.mariadb import USER
from harness.process import Pid, eventually, status_fields

VERSION = b"5.5.5-10.11.1-MariaDB\0"


@pytest.fixture
def server(folder, make_mariadb):
    """A running server on whatever the temporary folder lies on."""
    path = os.path.join(folder, "data")
    os.mkdir(path, 0o700)
    return make_mariadb(path)


@pytest.fixture
def helper(mariadb_template, programs):
    """A helper of the user mysql (the template stands for root, and a server installed)."""
    helper = Helper(os.path.join(programs, "dbsnapd-helper-mariadb"), USER)
    yield helper
    helper.close()


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


HELLO = packet(0, b"\x0a" + VERSION + struct.pack("<I", 7) + b"12345678\0" + struct.pack("<HBHHB", 0xf7ff, 45, 2, 0x80ff, 21) +
               bytes(10) + b"123456789012\0" + b"mysql_native_password\0")
FINE = b"\0\0\0\x02\0\0\0"
NO = b"\xff" + struct.pack("<H", 1045) + b"#28000no"


class Impostor:
    """A server of bytes: says `hello`, then to each packet the next of `answers` (b"": hangs up; none left: silence)."""

    def __init__(self, folder, hello, answers):
        self.path = os.path.join(folder, "impostor")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen()
        self.hello, self.answers, self.heard = hello, list(answers), b""
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        peer, _ = self.listener.accept()
        with peer:
            peer.sendall(self.hello)
            while got := peer.recv(65536):
                self.heard += got
                if self.answers:
                    answer = self.answers.pop(0)
                    if not answer:
                        return
                    peer.sendall(packet(got[3] + 1, answer))

    @property
    def conninfo(self):
        return f"socket={self.path} user={USER}"


def lock(helper, timeout_ms=5000):
    outcome, _, said, reader = helper.ask(MY_LOCK, struct.pack(">I", timeout_ms))
    return outcome, said, (reader.text(), reader.text(), reader.take(">Q"), reader.take(">Q")) if outcome == "DONE" else None


def test_facts_and_lock(server, helper, seccomp_mode):
    assert helper.connect(server.conninfo) == ("DONE", "", "")
    assert helper.peer() == server.main.pid
    assert status_fields(helper.process.pid)["Seccomp"] == seccomp_mode
    outcome, _, said, reader = helper.ask(MY_FACTS)
    assert outcome == "DONE", said
    assert [reader.text() for _ in range(2)] == [server.value("SELECT VERSION()"), server.data_dir + "/"]
    server.sql("CREATE DATABASE x")
    outcome, said, position = lock(helper)
    assert outcome == "DONE", said
    assert position[:3] == (server.value("SELECT @@gtid_binlog_pos"), *server.sql("SHOW MASTER STATUS")[0][:2])
    assert helper.ask(MY_UNLOCK)[0] == "DONE"
    assert helper.ask(MY_UNLOCK)[0] == "FAILED", "there is nothing to let go of"


def test_another_backup_has_the_lock(server, helper):
    """The wait for it ends when it was told to, and then nothing is held."""
    other = server.connect()
    with other.cursor() as cursor:
        cursor.execute("BACKUP STAGE START")
    helper.connect(server.conninfo)
    helper.ask(MY_FACTS)
    assert lock(helper, 500)[0] == "IN_THE_WAY"
    other.close()
    eventually(lambda: lock(helper, 500)[0] == "DONE", 5, "the lock is free")


def test_why_there_is_no_session(server, helper, folder):
    missing = os.path.join(folder, "missing")
    assert helper.connect(f"socket={missing} user={USER}")[0] == "NO_SERVER"
    left = socket.socket(socket.AF_UNIX)
    left.bind(missing)
    os.chmod(missing, 0o666)
    left.close()
    assert helper.connect(f"socket={missing} user={USER}")[0] == "NO_SERVER"
    assert helper.connect(f"socket={server.socket} user=root")[:2] == ("REJECTED", "28000")
    assert helper.connect("host=/tmp")[0] == "FAILED"
    for question in (MY_FACTS, MY_UNLOCK, FACTS):
        assert helper.ask(question)[0] == "LOST"
    helper.connect(server.conninfo)
    assert helper.ask(FACTS)[0] == "FAILED", "a question for PostgreSQL"


@pytest.mark.parametrize("hello, answers, outcome", [
    (b"", [], "LOST"), (HELLO, [b""], "NOT_READY"), (HELLO[:9], [], "LOST"), (b"\xff" * 64, [], "NOT_READY"),
    (HELLO, [b"\xfe../../../../tmp/evil\0" + b"x" * 20 + b"\0", NO], "REJECTED"),
    (HELLO, [b"\xfedialog\0Password: ", NO], "REJECTED")],
    ids=["silent", "hangs-up", "half", "nonsense", "plugin-by-path", "asks-for-a-password"])
def test_whoever_took_the_name(helper, folder, hello, answers, outcome):
    impostor = Impostor(folder, hello, answers)
    assert helper.connect(impostor.conninfo, 1500)[0] == outcome
    # Of one that makes us wait it is asked who it is.
    assert helper.passed or outcome != "LOST"


def test_no_file_is_sent(helper, folder):
    """A server may ask for any file that its client can read: this one sends none."""
    impostor = Impostor(folder, HELLO, [FINE, b"\xfb/etc/passwd", FINE])
    assert helper.connect(impostor.conninfo)[0] == "DONE"
    assert helper.ask(MY_FACTS)[0] in ("FAILED", "NONSENSE", "LOST")
    assert b"SHOW GLOBAL VARIABLES" in impostor.heard and b"root:" not in impostor.heard


def test_ends_with_its_worker_and_on_malformed_questions(mariadb_template, programs):
    program = os.path.join(programs, "dbsnapd-helper-mariadb")
    for data in (b"", b"\0", struct.pack(">HH", CONNECT, 9), struct.pack(">H", 99)):
        helper = Helper(program, USER)
        pid = Pid(helper.process.pid)
        if data:
            helper.sock.send(data)
        else:
            helper.sock.shutdown(socket.SHUT_RDWR)
        pid.wait_end()
        helper.close()
