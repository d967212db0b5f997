# SPDX-License-Identifier: GPL-3.0-or-later
"""A dbsnapd of our own: configuration, start, its processes, its end.

Readiness, reload and stop are what the daemon tells systemd: the harness is its
NOTIFY_SOCKET.
"""
import os
import select
import shutil
import signal
import socket
import subprocess
import time

import yaml

from . import reports
from .client import Api
from .disk import mount_of
from .process import Pid, children, eventually, held, open_files, program

# A stop with nothing to wait for takes milliseconds, one that waits for something 10 s and more; machines differ.
IDLE_STOP_S = 5.0


class Notify:
    """The receiving end of sd_notify: lines in the order in which they came."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(path)
        os.chmod(path, 0o666)
        self.lines = []

    def drain(self):
        while True:
            try:
                self.lines += self.sock.recv(4096).decode().splitlines()
            except BlockingIOError:
                return

    def wait(self, line, process, timeout):
        """Waits for `line` (consumed with all before it); fails if the process ends."""
        end = time.monotonic() + timeout
        while True:
            self.drain()
            if line in self.lines:
                del self.lines[:self.lines.index(line) + 1]
                return
            assert process.alive(), f"ended before {line}; said {self.lines}"
            left = end - time.monotonic()
            assert left > 0, f"no {line} within {timeout} s; said {self.lines}"
            select.select([self.sock, process.fd], [], [], left)

    def close(self):
        self.sock.close()
        os.unlink(self.path)


class Daemon:
    """One installation: bin holds the programs, folder everything it writes."""

    def __init__(self, bin_folder, folder, **settings):
        self.bin = bin_folder
        self.folder = folder    # of the log and of what the harness needs
        self.run_dir = os.path.join(folder, "run")
        self.socket = os.path.join(self.run_dir, "dbsnapd.sock")
        self.state_dir = os.path.join(folder, "state")
        self.clusters_dir = os.path.join(folder, "clusters.d")
        self.policies_dir = os.path.join(folder, "policies.d")
        self.config_file = os.path.join(folder, "dbsnapd.yaml")
        self.log = os.path.join(folder, "dbsnapd.log")
        self.api = Api(self.socket)
        self.process = None
        self.main = None
        self.notify = None
        self.clusters = {}
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        self.caller = {}    # of subprocess: whom the programs run as
        self.uid = 0        # whom the backups' folders belong to
        for path in (self.run_dir, self.clusters_dir, self.policies_dir):
            os.mkdir(path, 0o755)
        self.configure(**settings)

    # Configuration

    def configure(self, **settings):
        """Writes dbsnapd.yaml: what the paths need, and the settings given."""
        config = {
            "listen": {"path": self.socket, "mode": "0660", "group": "dbsnap"},
            "state_dir": self.state_dir,
            "clusters_dir": self.clusters_dir,
            "policies_dir": self.policies_dir,
            **settings,
        }
        self.write(self.config_file, config)

    def write(self, path, content):
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def add_cluster(self, cluster, data_dir, **settings):
        """Writes clusters.d/<cluster>.yaml (before start, or before reload)."""
        self.clusters[cluster] = {"id": cluster, "data_dir": data_dir, **settings}
        self.write(os.path.join(self.clusters_dir, cluster + ".yaml"), self.clusters[cluster])

    def add_server(self, cluster, server, **settings):
        """The same for a postgres.Server."""
        self.add_cluster(cluster, server.data_dir,
                         database={"type": "postgresql", "user": "postgres",
                                   "conninfo": server.conninfo}, **settings)

    def add_mariadb(self, cluster, server, database=None, **settings):
        """The same for a mariadb.Server; database: more of its keys."""
        self.add_cluster(cluster, server.data_dir,
                         database={"type": "mariadb", "conninfo": server.conninfo, **(database or {})}, **settings)

    def remove_cluster(self, cluster):
        del self.clusters[cluster]
        os.unlink(os.path.join(self.clusters_dir, cluster + ".yaml"))

    def snapshot_dir(self, cluster):
        """Where the backups of a cluster go: configured, or the default."""
        settings = self.clusters[cluster]
        if "snapshot_dir" in settings:
            return settings["snapshot_dir"]
        return os.path.join(mount_of(settings["data_dir"]), ".dbsnap", cluster)

    # Running

    def argv(self, *options):
        return [os.path.join(self.bin, "dbsnapd"), "-c", self.config_file,
                "--libexec-dir", self.bin, *options]

    def spawn(self, *options, env=None):
        """Starts the process without waiting for anything."""
        self.notify = Notify(os.path.join(self.folder, "notify"))
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.argv(*options), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd="/", env={**self.environment, "NOTIFY_SOCKET": self.notify.path, **(env or {})},
                **self.caller)
        self.main = Pid(self.process.pid)

    def start(self, *options, timeout=30.0, env=None):
        """Starts it and waits for READY=1."""
        self.spawn(*options, env=env)
        try:
            self.notify.wait("READY=1", self.main, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_text()}") from None
        return self

    def reload(self, timeout=30.0):
        """SIGHUP; returns when the daemon says that it is ready again."""
        self.notify.drain()
        self.notify.lines.clear()
        self.main.signal(signal.SIGHUP)
        self.notify.wait("READY=1", self.main, timeout)

    def reap(self, timeout):
        """Waits for the end; the exit status (negative: the signal)."""
        self.main.wait_end(timeout)
        status = self.process.wait()
        self.main.close()
        self.notify.close()
        self.main = self.process = self.notify = None
        return status

    def stop(self, timeout=30.0):
        """SIGTERM; the exit status. Fails if a process of it is left."""
        left = self.hold_descendants()
        self.main.signal(signal.SIGTERM)
        status = self.reap(timeout)
        for process in left:
            process.wait_end(10)
        return status

    def kill(self):
        """SIGKILL of the engine; returns when all its processes are gone."""
        left = self.hold_descendants()
        self.main.kill()
        self.reap(10)
        for process in left:
            process.wait_end(10)

    def restart(self, **options):
        self.stop()
        return self.start(**options)

    def running(self):
        return self.main is not None and self.main.alive()

    # Its processes

    def descendants(self):
        found, queue = [], [self.main.pid]
        while queue:
            below = children(queue.pop())
            found += below
            queue += below
        return found

    def hold_descendants(self):
        return held(self.descendants())

    def front(self):
        """The front's pid, None between two of them."""
        for pid in children(self.main.pid):
            if program(pid) == "dbsnapd-front":
                return pid
        return None

    def workers(self):
        """Children of the engine that are the engine's own program."""
        return [p for p in children(self.main.pid) if program(p) == "dbsnapd"]

    def walkers(self):
        """Children of workers that are the engine's own program."""
        return [c for w in self.workers() for c in children(w) if program(c) == "dbsnapd"]

    def helpers(self):
        return [p for p in self.descendants() if program(p).startswith("dbsnapd-helper")]

    def kill_front(self, timeout=30.0):
        """SIGKILL of the front; returns when another answers."""
        old = eventually(self.front, timeout, "a front")
        Pid(old).kill()
        self.wait_front(timeout, other_than=old)

    def wait_front(self, timeout=30.0, other_than=None):
        def answers():
            if self.front() in (None, other_than):
                return False
            try:
                return self.api.call("DescribeStatus")[0] == 200
            except (ConnectionError, OSError):
                return False
        eventually(answers, timeout, "a front that answers")

    def kill_one(self, role, timeout=30.0):
        """SIGKILL of a worker, walker or helper, as soon as there is one; its pid."""
        pid = eventually(getattr(self, role), timeout, role)[0]
        try:
            Pid(pid).kill()
        except ProcessLookupError:
            return None
        return pid

    def idle(self):
        """Nothing but engine and front, and no create, clone or delete unfinished."""
        if [program(p) for p in self.descendants()] != ["dbsnapd-front"]:
            return False
        for cluster in self.clusters:
            snapshots = self.snapshot_dir(cluster)
            if os.path.isdir(snapshots) and any(n.startswith(".") for n in os.listdir(snapshots)):
                return False
            if any(b["BackupStatus"] == "Running" for b in self.api.backups(cluster)):
                return False
        return True

    def wait_idle(self, timeout=60.0):
        eventually(self.idle, timeout, "idle")

    def descriptors(self):
        """Number of open descriptors of engine and front: the same whenever idle."""
        return len(open_files(self.main.pid)), len(open_files(self.front()))

    # Other ways to run the programs

    def run(self, *options, timeout=60):
        """dbsnapd with these options to its end (-t, --thaw): CompletedProcess."""
        return subprocess.run(self.argv(*options), capture_output=True, text=True, cwd="/",
                              stdin=subprocess.DEVNULL, timeout=timeout)

    def client(self, *args, timeout=120, **options):
        """The dbsnap command: CompletedProcess."""
        return subprocess.run([os.path.join(self.bin, "dbsnap"), "--socket", self.socket, *args],
                              capture_output=True, text=True, cwd="/", timeout=timeout,
                              stdin=subprocess.DEVNULL, **options)

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        """Ends whatever still runs, and removes what it wrote; fails if a sanitizer reported."""
        if self.running():
            self.kill()
        said = self.log_text() if os.path.exists(self.log) else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        reports.check(said)
