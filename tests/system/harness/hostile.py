# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that mean harm, and what a daemon must look like after them.

SO_PEERCRED is fixed when a client connects: connections of any user are made here.
"""
import contextlib
import grp
import http.client
import json
import os
import resource
import select
import socket
import time
import traceback

import pytest

from . import reports
from .process import Pid, status_fields
from .unchanged import unchanged

FIRST_UID = 61000  # of users that no file knows
AT_ONCE = 5.0      # seconds; half of what a request has that waits for the deadline of an ordinary daemon
MARGIN_KB = 1024   # of memory, after the same has been done once before
ATTACKS = 4
GONE = (BrokenPipeError, ConnectionResetError)


@contextlib.contextmanager
def acting_as(uid):
    """This process as another user, of the group that may ask for backups."""
    os.setegid(grp.getgrnam("dbsnap").gr_gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def may_open(count):
    """So many descriptors more than usual, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip(f"needs a limit of {count + 200} descriptors, has {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))


class Wire:
    """One connection, bytes as they are."""

    def __init__(self, path, data=b"", timeout=20):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(path)  # waits for a place among those to be accepted; with a timeout it would not
        self.sock.settimeout(timeout)
        self.since = time.monotonic()
        self.reader = None
        if data:
            self.send(data)

    def send(self, data):
        """False: the other end has gone."""
        try:
            self.sock.sendall(data)
            return True
        except GONE:
            return False

    def answer(self):
        """(status, JSON) of the next answer."""
        # One reader for all answers: what it has read ahead is of the next one.
        self.reader = self.reader or self.sock.makefile("rb")
        status = 100  # Continue
        while status == 100:
            status = int(self.reader.readline().split()[1])
            headers = http.client.parse_headers(self.reader)
        return status, json.loads(self.reader.read(int(headers["Content-Length"])))

    def rest(self):
        """All that comes until the other end closes."""
        data = b""
        try:
            while more := self.sock.recv(1 << 16):
                data += more
        except ConnectionResetError:
            pass
        return data

    def readable(self):
        """Is there anything to read, if only the end? (select() takes no descriptor above 1023.)"""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def closed(self):
        """Has the other end closed it? What came before is dropped."""
        while self.readable():
            try:
                if not self.sock.recv(1 << 16):
                    return True
            except ConnectionResetError:
                return True
        return False

    def half_close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        if self.reader:
            self.reader.close()
        self.sock.close()


def connect(path, count, uid):
    """So many connections of that user."""
    with acting_as(uid):
        return [Wire(path) for _ in range(count)]


def close_all(wires):
    for wire in wires:
        wire.close()


def prompt(daemon):
    """A good request, answered at once."""
    begin = time.monotonic()
    wire = Wire(daemon.socket, b"GET /?Action=DescribeStatus HTTP/1.1\r\n\r\n")
    status, answer = wire.answer()
    wire.close()
    assert status == 200 and answer["Clusters"], answer
    took = time.monotonic() - begin
    assert took < AT_ONCE, f"answered after {took} s"


def memory(daemon):
    """What engine and front have in memory, in KB; 0 where that would tell nothing."""
    if reports.in_use():
        return {"engine": 0, "front": 0}
    return {who: int(status_fields(pid)["VmRSS"].split()[0])
            for who, pid in (("engine", daemon.main.pid), ("front", daemon.front()))}


def has_grown(before, after):
    return any(after[who] > before[who] + MARGIN_KB for who in before)


@contextlib.contextmanager
def unharmed(daemon, disk):
    """The block has changed nothing, and left nothing: not in records, files, processes, memory."""
    before = memory(daemon)
    with unchanged(daemon, disk):
        yield
        prompt(daemon)
    after = memory(daemon)
    assert not has_grown(before, after), (before, after)


def endure(daemon, disk, attack):
    """The same of an attack, whose peak in memory is another each time: only what grows with every one is lost."""
    attack()
    seen = [memory(daemon)]
    for _ in range(ATTACKS):
        with unchanged(daemon, disk):
            attack()
            prompt(daemon)
        seen.append(memory(daemon))
        if not has_grown(*seen[-2:]):
            return
    raise AssertionError(f"memory grows with each attack: {seen}")


class Child:
    """A function in a process of its own, as a user; it ends when it returns, or here."""

    def __init__(self, uid, run, *args):
        self.number = os.fork()
        if self.number == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(grp.getgrnam("dbsnap").gr_gid)
                os.setuid(uid)
                run(*args)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        self.process = Pid(self.number)
        self.status = None

    def running(self):
        return self.process.alive()

    def end(self):
        """Its exit status."""
        if self.status is None:
            if self.process.alive():
                self.process.kill()
            self.process.close()
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])
        return self.status

    def wait(self, timeout=60):
        self.process.wait_end(timeout)
        return self.end()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
