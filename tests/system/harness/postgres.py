# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server of our own: own data directory, own socket, no TCP."""
import glob
import os
import pwd
import shutil
import signal
import subprocess

import psycopg2

from .disk import run
from .process import Pid, children, eventually, held

USER = "postgres"

# Checkpoints often, WAL recycled soon: what a cut has to survive on a busy server.
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{sockets}'
max_connections = 60
shared_buffers = 64MB
max_wal_size = 64MB
min_wal_size = 32MB
checkpoint_timeout = 30s
wal_buffers = 1MB
autovacuum_naptime = 10s
log_line_prefix = '%m [%p] '
"""


def bindir():
    """Folder of the newest server's programs, None when there is none."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    newest = max(found, key=lambda p: int(p.split("/")[4]), default=None)
    return os.path.dirname(newest) if newest else None


def available():
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return bindir() is not None


def tool(name, *args, user=USER, **options):
    """Runs a server program as its user; its standard output."""
    done = subprocess.run([os.path.join(bindir(), name), *args], capture_output=True,
                          text=True, user=user, group=user, extra_groups=[], cwd="/",
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, **options)
    assert done.returncode == 0, f"{name} {' '.join(args)}: {done.stdout}{done.stderr}"
    return done.stdout


def initdb(data_dir, user=USER):
    """A new cluster with checksums, trusting whoever reaches its socket."""
    tool("initdb", "-D", data_dir, "-k", "-U", USER, "-A", "trust", "-E", "UTF8",
         "--locale=C", "--no-instructions", "--no-sync", user=user)


class Server:
    """A data directory and the server on it. `folder` (short, 0755) takes the log; `user` runs it."""

    def __init__(self, data_dir, folder, sockets=None, user=USER):
        self.data_dir = data_dir
        self.user = user
        self.log = os.path.join(folder, "log")
        self.sockets = sockets or os.path.join(folder, "s")
        self.main = None
        self.folder = folder
        if not os.path.exists(self.sockets):
            os.mkdir(self.sockets, 0o755)
        shutil.chown(folder, user, user)
        shutil.chown(self.sockets, user, user)

    @property
    def conninfo(self):
        return f"host={self.sockets} user={USER} dbname=postgres"

    def create(self, template=None):
        """Makes the cluster: by initdb, or as a copy of one that initdb made."""
        if template:
            run("cp", "-a", f"{template}/.", self.data_dir)
            run("chown", "-R", f"{self.user}:", self.data_dir)
        else:
            initdb(self.data_dir, self.user)
        self.configure(SETTINGS.format(sockets=self.sockets))

    def configure(self, text):
        with open(os.path.join(self.data_dir, "postgresql.conf"), "a", encoding="utf-8") as f:
            f.write(text + "\n")

    def start(self, *options):
        try:
            tool("pg_ctl", "-D", self.data_dir, "-w", "-t", "120", "-l", self.log, *options, "start",
                 user=self.user)
        except AssertionError as error:
            said = [line for line in self.log_text().splitlines() if "FATAL: " in line or "PANIC: " in line]
            raise AssertionError("\n".join([str(error), *said[-3:]])) from None
        self.attach()

    def attach(self):
        """Takes up the server that runs on the data directory, whoever started it."""
        with open(os.path.join(self.data_dir, "postmaster.pid"), encoding="utf-8") as file:
            lines = file.read().split("\n")
        self.main = Pid(int(lines[0]))
        # A clone says ".": its own folder.
        self.sockets = os.path.normpath(os.path.join(self.data_dir, lines[4]))

    def stop(self, mode="fast"):
        if self.main:
            tool("pg_ctl", "-D", self.data_dir, "-w", "-t", "60", "-m", mode, "stop", user=self.user)
            self.main.close()
            self.main = None

    def kill(self):
        """SIGKILL of the main process; returns when its children have ended too."""
        left = held(children(self.main.pid))
        self.main.kill()
        for process in [self.main, *left]:
            process.wait_end(30)
        self.main = None

    def hang(self):
        """SIGSTOP: connections are taken by the kernel and never answered."""
        self.main.signal(signal.SIGSTOP)

    def unhang(self):
        self.main.signal(signal.SIGCONT)

    def running(self):
        return self.main is not None and self.main.alive()

    def connect(self, dbname="postgres", **options):
        connection = psycopg2.connect(host=self.sockets, user=USER, dbname=dbname, **options)
        connection.autocommit = True
        return connection

    def sql(self, text, *args):
        """Rows of one statement in a session of its own; None when it has none."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, args or None)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def value(self, text, *args):
        return self.sql(text, *args)[0][0]

    def wait_up(self, timeout=60.0):
        def up():
            try:
                return self.value("SELECT 1")
            except psycopg2.OperationalError:
                return None
        eventually(up, timeout, "server answers")

    def amcheck(self):
        """pg_amcheck of everything, heap against index, parents against children; fails on any finding."""
        self.sql("CREATE EXTENSION IF NOT EXISTS amcheck")
        tool("pg_amcheck", "-h", self.sockets, "-U", USER, "-d", "postgres",
             "--heapallindexed", "--parent-check", user=self.user)

    def checksums(self):
        """pg_checksums of the stopped cluster."""
        tool("pg_checksums", "--check", "-D", self.data_dir, user=self.user)

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        if self.main and self.main.alive():
            self.main.signal(signal.SIGCONT)
            self.kill()


def start_clone(path, folder, user=USER):
    """The server of a clone, started by `pg_ctl -D` and nothing else."""
    clone = Server(path, folder, user=user)
    clone.start()
    return clone
