# SPDX-License-Identifier: GPL-3.0-or-later
"""Acknowledgements, or reads, a second at several numbers of connections, beside the least that could answer.

The real front alone: its engine takes two jobs and ends none, and reads nothing of the
log that it is sent but its end, for it shares the machine with what is measured.
"""
import os
import socket
import statistics
import subprocess

from fake_engine import FakeEngine
from system.harness.process import eventually
from world import World
import msgs

CONNECTIONS = (1, 8, 64, 1000)
RUN_MS = 1000
PAIRS = 5
MANY = 10**8
LOG = msgs.TYPES["LOG"][0].to_bytes(2, "big")


class QuietEngine(FakeEngine):
    def read(self):
        while data := self.sock.recv(65536):
            if not data.startswith(LOG):
                self.take(msgs.decode(data))


def cpu_us(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 // os.sysconf("SC_CLK_TCK")


class Side:
    """One of the two servers: its socket, its process, and what its runs gave."""

    def __init__(self, path, pid, load):
        self.path, self.pid, self.load = path, pid, load
        self.runs = 0

    def run(self, connections):
        """(requests a second, CPU a request, 99th percentile) of one run."""
        self.runs += 1
        before = cpu_us(self.pid)
        seen = self.load(self.path, connections, RUN_MS, f"r{self.runs}")
        return (seen["requests"] / seen["elapsed_us"] * 1e6, (cpu_us(self.pid) - before) / seen["requests"],
                seen["p99_us"] / 1000)


def accepts(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        return sock.connect_ex(path) == 0


class Acks:
    """Creates, beside evhttp with one bare commit a request."""

    what, goal, body = "acknowledged", ">= 0.75", ()

    def __init__(self, folder, front, tool):
        """folder(name): a new one; front: the program; tool(name, *args): what it prints."""
        self.world = World(folder("w"), front, map_size=1 << 34, manual_per_day=MANY, manual_retained=MANY,
                           creates_per_day=MANY, connections=2000, connections_per_uid=2000)
        self.bare = None
        try:
            self.start(folder("bare"), tool)
        except BaseException:
            self.close()
            raise

    def start(self, bare, tool):
        self.world.add("main")
        self.world.connect()
        self.world.engine.__class__ = QuietEngine
        self.world.engine.hold("JOB")
        self.world.hello()
        self.world.engine.wait("READY")
        path = os.path.join(bare, "sock")
        program, *args = self.bare_command(bare, path)
        self.bare = subprocess.Popen([os.path.join(os.environ["DBSNAP_BUILDDIR"], "tests", "bench", program), *args])
        eventually(lambda: accepts(path), 10, program)

        def load(*args):
            return tool("ack_load", *args, *self.body)
        self.sides = (Side(self.world.path, self.world.front.pid, load), Side(path, self.bare.pid, load))

    def bare_command(self, folder, path):
        return "bare_evhttp", folder, path

    def rows(self):
        """(what, value, unit, goal) of each row, as soon as it is known."""
        for connections in CONNECTIONS:
            pairs = []
            for _ in range(PAIRS):
                self.world.tick(1)
                pairs.append(tuple(side.run(connections) for side in self.sides))
            ours, bare = (list(zip(*runs)) for runs in zip(*pairs))
            for what, at, unit in ((f"{self.what} a second", 0, ""), ("CPU a request", 1, "us"),
                                   ("99th percentile", 2, "ms")):
                for who, seen in (("dbsnap", ours), ("bare", bare)):
                    yield f"{connections} connections: {who}, {what}", statistics.median(seen[at]), unit, None
            yield (f"{connections} connections: dbsnap / bare, {self.what}",
                   statistics.median(a[0] / b[0] for a, b in pairs), "", self.goal)

    def close(self):
        if self.bare:
            self.bare.kill()
            self.bare.wait()
        self.world.close()


class Reads(Acks):
    """A page of one backup, beside an epoll loop that answers as many bytes and looks at nothing."""

    what, goal = "read", ">= 0.3"
    body = ("Action=DescribeBackups&DBClusterId=main",)

    def bare_command(self, folder, path):
        self.world.api.create("main")
        size = len(self.world.api.request("GET", f"/?{self.body[0]}")[2])
        return "bare_echo", path, str(size)
