# SPDX-License-Identifier: GPL-3.0-or-later
"""A MariaDB server of our own: own data directory, own socket, own option file, no TCP."""
import os
import pwd
import re
import shutil
import signal
import subprocess

import MySQLdb

from .disk import run
from .process import Pid, eventually

USER = "mysql"

# Pages are written as soon as they can be, purge has work, and recovery has an undo log of its own to find.
SETTINGS = {
    "skip-networking": None,
    "log-bin": "mysql-bin",
    "server-id": "7",
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    "innodb-undo-tablespaces": "2",
    "innodb-max-dirty-pages-pct": "0.001",
    "innodb-purge-threads": "1",
    "performance-schema": "OFF",
    "max-connections": "60",
}


def program(name):
    return shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def available():
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return program("mariadbd") is not None


def as_user(*argv):
    """Runs a program as the database's user; its standard output."""
    done = subprocess.run(argv, capture_output=True, text=True, user=USER, group=USER, extra_groups=[],
                          cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


def install(data_dir):
    """A new data directory. Its accounts: root and mysql, by the operating system's names."""
    # In /tmp servers of two runs meet: each has process numbers of its own, and names its tables by them.
    tmp = os.path.join(data_dir, ".tmp")
    os.mkdir(tmp, 0o700)
    shutil.chown(tmp, USER, USER)
    as_user(program("mariadb-install-db"), "--no-defaults", f"--datadir={data_dir}", "--skip-test-db",
            "--auth-root-authentication-method=socket", f"--auth-root-socket-user={USER}", "--skip-log-bin",
            "--innodb-undo-tablespaces=2", "--innodb-log-file-size=16M", f"--tmpdir={tmp}")
    shutil.rmtree(tmp)


class Server:
    """A data directory and the server on it, by the option file it is started with."""

    def __init__(self, data_dir, config, socket, log, user=USER):
        self.user = user    # whose processes and files they are
        self.data_dir = data_dir
        self.config = config
        self.socket = socket
        self.log = log
        self.process = self.main = None

    @property
    def conninfo(self):
        return f"socket={self.socket} user={self.user}"

    def spawn(self, *options):
        self.process = subprocess.Popen(
            [program("mariadbd"), f"--defaults-file={self.config}", *options], user=self.user, group=self.user,
            extra_groups=[], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.main = Pid(self.process.pid)

    def start(self, *options):
        self.spawn(*options)
        eventually(lambda: self.answers() or not self.main.alive(), 120, "the server answers")
        assert self.main.alive(), f"the server ended: {self.said()}"

    def answers(self):
        try:
            return self.value("SELECT 1")
        except MySQLdb.OperationalError as error:
            if error.args[0] not in (2002, 2003, 2006, 2013):
                raise
            return None

    def reap(self, timeout=60):
        self.main.wait_end(timeout)
        self.process.wait()
        self.main.close()
        self.main = None

    def stop(self):
        if self.main:
            self.main.signal(signal.SIGTERM)
            self.reap()

    def kill(self):
        self.main.kill()
        self.reap()

    def hang(self):
        """SIGSTOP: connections are taken by the kernel and never answered."""
        self.main.signal(signal.SIGSTOP)

    def unhang(self):
        self.main.signal(signal.SIGCONT)

    def connect(self, **options):
        """As the account root, which the server gives to root."""
        return MySQLdb.connect(unix_socket=self.socket, user="root", **{"autocommit": True, **options})

    def sql(self, text, *args):
        """Rows of one statement in a session of its own; () when it has none."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, args or None)
                return cursor.fetchall()
        finally:
            connection.close()

    def value(self, text, *args):
        return self.sql(text, *args)[0][0]

    def log_text(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def said(self):
        return "\n".join(line for line in self.log_text().splitlines() if "[ERROR]" in line) or self.log_text()[-2000:]

    def tables(self):
        return self.sql("SELECT CONCAT('`', table_schema, '`.`', table_name, '`') FROM information_schema.tables "
                        "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('information_schema', "
                        "'performance_schema')")

    def findings(self):
        """What CHECK TABLE ... EXTENDED says of every table that is not 'status OK'."""
        found = []
        for (table,) in self.tables():
            found += [row for row in self.sql(f"CHECK TABLE {table} EXTENDED") if tuple(row[2:]) != ("status", "OK")]
        return found

    def check(self):
        """Every table is whole. Right after recovery purge may still be at work: such a finding goes away."""
        assert "in the future" not in self.log_text(), self.log_text()
        found = self.findings()
        if found:
            eventually(lambda: not self.findings(), 15, f"nothing to find, but {found}")

    def close(self):
        if self.main and self.main.alive():
            self.main.signal(signal.SIGCONT)
            self.kill()


def make(data_dir, folder, template, user=USER, **settings):
    """A server of user's on a copy of template; settings change SETTINGS (None: no value, False: not at all)."""
    shutil.chown(folder, user, user)
    run("cp", "-a", f"{template}/.", data_dir)
    run("chown", "-R", f"{user}:", data_dir)
    server = Server(data_dir, os.path.join(folder, "my.cnf"), os.path.join(folder, "s"),
                    os.path.join(folder, "log.err"), user)  # without an end it gets this one
    configure(server, **settings)
    return server


def configure(server, **settings):
    lines = {**SETTINGS, "datadir": server.data_dir, "socket": server.socket, "tmpdir": os.path.dirname(server.config), "log-error": server.log,
             "pid-file": server.log + ".pid", **{key.replace("_", "-"): value for key, value in settings.items()}}
    with open(server.config, "w", encoding="utf-8") as file:
        file.write("[mysqld]\n")
        for key, value in lines.items():
            if value is not False:
                file.write(f"{key} = {value}\n" if value is not None else f"{key}\n")


def clone_server(path, user=USER):
    """The server of a clone: started with the option file that it has, and nothing else."""
    return Server(path, os.path.join(path, "my.cnf"), os.path.join(path, "mariadb.sock"),
                  os.path.join(path, "mariadb.err"), user)


def command(path):
    """How a clone's option file says that it is started."""
    with open(os.path.join(path, "my.cnf"), encoding="utf-8") as file:
        return re.search("^#   (mariadbd .*)$", file.read(), re.M)[1]
