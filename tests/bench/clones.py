# SPDX-License-Identifier: GPL-3.0-or-later
"""A running clone of a PostgreSQL on btrfs: from the call until it answers, and the least that could be done for it.

Of a server under load, so that recovery has work. Bare: a writable snapshot of the same backup, the same settings
out of a clone's files, and the server's own start.
"""
import os
import re
import statistics
import subprocess
import time
from datetime import datetime

import psycopg2

from harness import postgres
from harness.disk import run
from harness.process import eventually

PARTS = ("the clone is made", "its server runs its first lines", "recovered: ready for connections", "the first answer")


def answers(sockets):
    try:
        with psycopg2.connect(host=sockets, user=postgres.USER, dbname="postgres") as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                return cursor.fetchone() == (1,)
    except psycopg2.OperationalError:
        return False


def moments(log):
    """Wall times of the first line and of "ready to accept connections", as the server's log has them."""
    with open(log, encoding="utf-8") as file:
        lines = [line for line in file if re.match(r"\d{4}-\d\d-\d\d ", line)]
    ready = next(line for line in lines if "ready to accept connections" in line)
    return [datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S.%f").timestamp() for line in (lines[0], ready)]


def ours(daemon, client, backup, name):
    """Milliseconds from the call to each of PARTS."""
    begin = time.time()
    done = subprocess.Popen([*client, "clone", "create", backup, name, "--start"], stdout=subprocess.DEVNULL, cwd="/")
    clone = eventually(lambda: (c := daemon.api.clone("main", name)) and c["State"] == "Available" and c, 60, "a clone")
    made = time.time()
    eventually(lambda: answers(clone["SocketDir"]), 120, "an answer")
    ended = time.time()
    assert done.wait() == 0
    first, ready = moments(os.path.join(clone["ClonePath"], "dbsnap.log"))
    daemon.api.ok("DeleteClone", CloneName=name)
    eventually(lambda: daemon.api.clone("main", name) is None, 60, "its deletion")
    daemon.wait_idle()
    return [(moment - begin) * 1000 for moment in (made, first, ready, ended)]


def bare(disk, image, settings, number):
    path = disk.path(f"bare{number}")
    log = disk.path(f"bare{number}.log")
    begin = time.time()
    run("btrfs", "subvolume", "snapshot", image, path)
    for name in ("postmaster.pid", "postmaster.opts"):
        os.unlink(os.path.join(path, name))
    with open(os.path.join(path, "postgresql.auto.conf"), "a", encoding="utf-8") as file:
        file.write(settings)
    made = time.time()
    with open(log, "w", encoding="utf-8") as file:
        server = subprocess.Popen([os.path.join(postgres.bindir(), "postgres"), "-D", path], stdout=file, stderr=file, cwd="/",
                                  user=postgres.USER, group=postgres.USER, extra_groups=[])
    try:
        eventually(lambda: answers(path), 120, "an answer")
        ended = time.time()
        first, ready = moments(log)
    finally:
        server.terminate()
        server.wait()
    run("btrfs", "subvolume", "delete", path)
    return [(moment - begin) * 1000 for moment in (made, first, ready, ended)]


def rows(daemon, client, disk, count):
    """(what, value, unit, goal); the backup is one of cluster main."""
    backup = daemon.api.create_and_wait("main")
    image = os.path.join(backup["Dbsnap"]["Path"], "data")
    settings = "\nlisten_addresses = ''\nunix_socket_directories = '.'\narchive_mode = off\n"
    pairs = []
    for number in range(count):
        pairs.append((ours(daemon, client, backup["BackupId"], f"c{number}"), bare(disk, image, settings, number)))
    for who, at in (("dbsnap", 0), ("bare", 1)):
        for part, what in enumerate(PARTS):
            yield f"{who}: until {what}", statistics.median(pair[at][part] for pair in pairs), "ms", None
    yield "first answer, dbsnap / bare", statistics.median(a[-1] / b[-1] for a, b in pairs), "", None
