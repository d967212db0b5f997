# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaks to a database helper as a worker does (common/ask.h)."""
import array
import os
import socket
import struct
import subprocess

CONNECT, FACTS, FLUSH, SOCKET, START, STOP, MY_FACTS, MY_LOCK, MY_UNLOCK = range(1, 10)
OUTCOMES = ("DONE", "NO_SERVER", "REJECTED", "NOT_READY", "CROWDED", "FORBIDDEN", "LOST",
            "FAILED", "NONSENSE", "IN_THE_WAY")


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, form):
        size = struct.calcsize(form)
        value, = struct.unpack(form, self.data[:size])
        self.data = self.data[size:]
        return value

    def text(self):
        size = self.take(">H")
        value, self.data = self.data[:size], self.data[size:]
        return value.decode()

    def tablespaces(self):
        """{oid: location} of those that are listed."""
        return {self.take(">I"): self.text() for _ in range(min(self.take(">I"), 64))}


FACT_FIELDS = (("version", ">I"), ("version_text", None), ("system_identifier", ">Q"),
               ("in_recovery", ">B"), ("fsync", ">B"), ("full_page_writes", ">B"),
               ("data_checksums", ">B"), ("wal_level", ">B"), ("wal_segment_size", ">I"),
               ("port", ">I"), ("max_replication_slots", ">I"), ("may_start", ">B"),
               ("may_stop", ">B"), ("may_slot", ">B"), ("data_directory", None), ("config_file", None),
               ("hba_file", None), ("ident_file", None), ("preload", None), ("sources", None))


class Helper:
    """A helper process of `user`, with its socket pair."""

    def __init__(self, program, user="postgres"):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def place():
            os.dup2(theirs.fileno(), 3)
        self.process = subprocess.Popen([program], user=user, group=user, extra_groups=[],
                                        env={}, cwd="/", pass_fds=(3, theirs.fileno()),
                                        preexec_fn=place)
        theirs.close()
        self.sock = ours
        self.sock.settimeout(20)
        self.passed = []

    def ask(self, kind, fields=b""):
        """(outcome, sqlstate, text, Reader of the rest)."""
        self.sock.send(struct.pack(">H", kind) + fields)
        while True:
            data, control, _, _ = self.sock.recvmsg(1 << 18, socket.CMSG_SPACE(4))
            for level, form, content in control:
                assert (level, form) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                self.passed += array.array("i", content)
            if not data:
                raise EOFError
            reader = Reader(data)
            if reader.take(">H") != SOCKET:
                break
        return OUTCOMES[reader.take(">B")], reader.text(), reader.text(), reader

    def connect(self, conninfo, timeout_ms=5000):
        return self.ask(CONNECT, text(conninfo) + struct.pack(">I", timeout_ms))[:3]

    def facts(self):
        outcome, _, said, reader = self.ask(FACTS)
        assert outcome == "DONE", said
        facts = {name: reader.take(form) if form else reader.text() for name, form in FACT_FIELDS}
        return dict(facts, tablespaces=reader.tablespaces())

    def flush(self, backup=7):
        outcome, _, said, reader = self.ask(FLUSH, struct.pack(">Q", backup))
        assert outcome == "DONE", said
        return reader.take(">Q")

    def start(self, job=7, backup=7, timeout_ms=30000):
        """(outcome, why not or why no slot, {lsn, slot})."""
        outcome, _, said, reader = self.ask(START, struct.pack(">QQI", job, backup, timeout_ms))
        if outcome != "DONE":
            return outcome, said, None
        return outcome, said, {"lsn": reader.take(">Q"), "slot": reader.take(">B")}

    def stop(self, timeout_ms=30000):
        """(outcome, why not, {lsn, label, map, tablespaces})."""
        outcome, _, said, reader = self.ask(STOP, struct.pack(">I", timeout_ms))
        if outcome != "DONE":
            return outcome, said, None
        return outcome, said, {"lsn": reader.take(">Q"), "label": reader.text(), "map": reader.text(),
                               "tablespaces": reader.tablespaces()}

    def peer(self):
        """Pid at the other end of the last socket that was passed."""
        with socket.socket(fileno=os.dup(self.passed[-1])) as sock:
            return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def close(self):
        self.sock.close()
        while self.passed:
            os.close(self.passed.pop())
        self.process.kill()
        self.process.wait()
