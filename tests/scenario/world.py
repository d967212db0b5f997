# SPDX-License-Identifier: GPL-3.0-or-later
"""A store, disks, a clock and a socket; fronts and engines come and go."""
import ctypes
import mmap
import os
import pwd
import shutil
import socket
import struct

from disk import Place
from fake_engine import FakeEngine
from system.harness.client import Api
from system.harness import reports
from system.harness.process import Pid, eventually, status_fields
import msgs

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000 // DAY_MS * DAY_MS + 12 * HOUR_MS  # a noon, UTC

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
LIBC = ctypes.CDLL(None, use_errno=True)


def quota(**limits):
    return limits


class World:
    """Everything but the processes survives a kill."""

    def __init__(self, folder, program, **settings):
        self.folder = folder
        self.program = program
        self.state_dir = os.path.join(folder, "state")
        self.path = os.path.join(folder, "sock")
        self.log = os.path.join(folder, "stderr")
        self.clock_fd = os.memfd_create("clock")
        os.ftruncate(self.clock_fd, 16)
        self.clock = mmap.mmap(self.clock_fd, 16)
        self.wall_ms = START_MS
        self.running_ms = 1_000_000
        self.tick(0)
        self.places = {}
        self.retired = {}   # places of clusters that no file registers, which the engine noted
        self.generation = 0
        self.environment = {}    # the front's
        self.keys = []           # fields of CONFIG_KEY
        self.statements = None   # encoded; None: there is no policy file
        self.settings = {
            "region_id": "local", "account_id": "local", "manual_per_day": 3,
            "manual_retained": 3, "creates_per_day": 100, "utc_offset_min": 0,
            "refund_deleted": True, "token_ttl_ms": DAY_MS, "max_running": 2,
            "job_timeout_ms": HOUR_MS, "history_ms": 400 * DAY_MS, "connections": 1024,
            "connections_per_uid": 256, "request_timeout_ms": 10_000, "body_max": 65536,
            "map_size": 16 << 20, "daemon_uid": os.getuid(), "socket_gid": os.getgid(),
            "state_dir": self.state_dir, **settings}
        os.mkdir(self.state_dir, 0o700)
        if os.getuid() == 0:
            user = pwd.getpwnam("dbsnap")
            self.uid, self.gid = user.pw_uid, user.pw_gid
            os.chown(self.state_dir, self.uid, self.gid)
        else:
            self.uid, self.gid = os.getuid(), os.getgid()
        self.sockets = []
        self.listeners = []      # fields of CONFIG_LISTENER, one for each of the sockets
        self.listen(self.path)
        self.api = Api(self.path)
        self.engine = None
        self.front = None
        self.acked = {}     # backups that were acknowledged: id -> cluster
        self.deleted = {}   # deletes that were acknowledged: id -> cluster

    def listen(self, path, **fields):
        """One more socket, before the front is started."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(64)
        self.sockets.append(listener)
        self.listeners.append({"path": path, **fields})
        return Api(path)

    # Clusters and clock.

    def add(self, cluster, file_system=7):
        self.places[cluster] = Place(cluster, file_system)
        return self.places[cluster]

    def place_of(self, cluster):
        return self.places.get(cluster) or self.retired.get(cluster)

    def tick(self, ms, wall_ms=None):
        """Moves both clocks; wall_ms: how far the wall clock jumps, if otherwise."""
        self.running_ms += ms
        self.wall_ms += ms if wall_ms is None else wall_ms
        struct.pack_into("=qq", self.clock, 0, self.wall_ms, self.running_ms)

    def advance(self, ms, wall_ms=None):
        self.tick(ms, wall_ms)
        self.engine.send("CLOCK")

    def until_midnight_ms(self):
        return DAY_MS - self.wall_ms % DAY_MS

    # Processes.

    def spawn(self, link, arguments):
        """Becomes what the engine's child is, and execs. From the main thread: see PDEATHSIG."""
        err = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        pid = os.fork()
        if pid:
            os.close(err)
            return pid
        try:
            os.dup2(err, 1)
            os.dup2(err, 2)
            high = [os.dup(fd) for fd in (link, *(s.fileno() for s in self.sockets), self.clock_fd)]
            while min(high) < 20:
                high = [os.dup(fd) for fd in high]
            for number, fd in enumerate(high, 3):
                os.dup2(fd, number, inheritable=True)
            os.closerange(3 + len(high), 1024)
            if os.getuid() == 0:
                for capability in range(64):
                    LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
                os.setgroups([])
                os.setresgid(self.gid, self.gid, self.gid)
                os.setresuid(self.uid, self.uid, self.uid)
            LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            os.execve(self.program, [self.program, str(len(self.sockets)), *arguments], self.environment)
        finally:
            os._exit(127)

    def connect(self, arguments=("--test-clock",)):
        """A new front, which has been told nothing yet."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.engine = FakeEngine(self, ours)
        self.front = Pid(self.spawn(theirs.fileno(), arguments))
        theirs.close()
        return self.engine

    def send_config(self):
        self.generation += 1
        engine, number = self.engine, self.generation
        engine.send("CONFIG", generation=number, **self.settings)
        for cluster in self.places:
            engine.send("CONFIG_CLUSTER", generation=number, cluster=cluster,
                        description=f"the cluster {cluster}", data_dir=f"/srv/{cluster}",
                        database="auto", min_free_percent=5, verify_every_ms=self.places[cluster].verify_every_ms,
                        restore_in_place=self.places[cluster].restore_in_place)
        for listener in self.listeners:
            engine.send("CONFIG_LISTENER", generation=number, **listener)
        for key in self.keys:
            engine.send("CONFIG_KEY", generation=number, **key)
        for statement in self.statements or ():
            engine.send("CONFIG_STATEMENT", generation=number, statement=statement)
        engine.send("CONFIG_END", generation=number, clusters=len(self.places), listeners=len(self.listeners),
                    keys=len(self.keys), statements=len(self.statements or ()), policies=self.statements is not None)

    def hello(self, running=()):
        """Up to RUNNING_END. running: orders (of JOB) that the engine still works at."""
        self.send_config()
        self.engine.start()
        hello = self.engine.wait("HELLO")
        for order in running:
            self.engine.flying[order.job] = order
            self.engine.running(order, msgs.CUTTING, 50)
        self.engine.send("RUNNING_END", jobs=len(running))
        return hello

    def start(self, hold=(), running=()):
        """A front that serves. hold: messages that the test answers itself."""
        self.connect().hold(*hold)
        self.hello(running)
        self.engine.wait("READY")
        return self.engine

    def kill(self):
        """kill -9 of the front; the engine's end of the link goes with it."""
        self.front.kill()
        self.reap()

    def reap(self):
        self.front.wait_end(20)
        pid, status = os.waitpid(self.front.pid, 0)
        assert pid == self.front.pid
        self.front.close()
        self.front = None
        self.engine.close()
        if self.engine.error:
            raise self.engine.error
        return status

    def stop(self):
        """The engine's end; the front must follow by itself, and well."""
        self.engine.sock.shutdown(socket.SHUT_RDWR)
        status = self.reap()
        assert status == 0, f"status {status}: {self.stderr()}"

    def restart(self, **how):
        self.kill()
        return self.start(**how)

    def status(self):
        return status_fields(self.front.pid)

    def stderr(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        try:
            if self.front:
                self.kill()
        finally:
            for listener in self.sockets:
                listener.close()
            self.clock.close()
            os.close(self.clock_fd)
            shutil.rmtree(self.state_dir)
        if os.path.exists(self.log):
            reports.check(self.stderr())

    # Rules that every JOB must keep, checked as it comes.

    def check_job(self, engine, order):
        others = list(engine.flying.values())
        assert order.job not in engine.flying, f"twice: {order}"
        assert len(others) < self.settings["max_running"], f"over max_running: {order}"
        place = self.place_of(order.cluster)
        for other in others:
            if order.kind == other.kind == msgs.CREATE:
                assert order.cluster != other.cluster, f"{order} beside {other}"
            if {order.kind, other.kind} <= {msgs.DELETE, msgs.DELETE_CLONE, msgs.DELETE_QUARANTINED}:
                assert place.file_system != self.place_of(other.cluster).file_system

    # Short cuts for tests.

    def create(self, cluster="pc-a", token=None):
        number = self.api.create(cluster, token)
        self.acked[number] = cluster
        return number

    def delete(self, number, cluster="pc-a"):
        self.api.ok("DeleteBackup", DBClusterId=cluster, BackupId=number)
        self.deleted[number] = cluster

    def backup(self, number, cluster="pc-a"):
        return self.api.backup(cluster, number)

    def wait_state(self, number, state, cluster="pc-a"):
        def there():
            item = self.backup(number, cluster)
            found = item["Dbsnap"]["State"] if item else None
            return (item or True) if found == state else None
        return eventually(there, 20, f"{number} {state}, is {self.backup(number, cluster)}")

    def wait_jobs(self, number=0):
        """Until no job is open."""
        def over():
            status = self.api.ok("DescribeStatus")
            return status if open_jobs(status) == number else None
        return eventually(over, 20, "no open job")

    def make(self, cluster="pc-a", token=None):
        """An AVAILABLE backup's number."""
        number = self.create(cluster, token)
        self.wait_state(number, "AVAILABLE", cluster)
        return number


def open_jobs(status):
    jobs = status["Jobs"]
    return int(jobs["Pending"]) + int(jobs["Running"])
