# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of 1 GB on btrfs, backed up by dbsnap and by the tools that copy it, in the same minutes: rows for bench.py.

Idle servers; every tool writes to the same disk, and what it wrote is removed before the next one's turn.
"""
import os
import shutil
import statistics
import time

from harness import mariadb, postgres
from harness.disk import run
from harness.load import Pgbench
from held import make_server

ROWS = 4_500_000  # of 200 bytes and more


def take(work):
    begin = time.monotonic()
    work()
    return (time.monotonic() - begin) * 1000


def as_postgres(*argv):
    run("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *argv)


class Tool:
    """One way to a backup below target, a folder that is empty before and after."""

    def __init__(self, name, target, owner, work):
        self.name, self.target, self.owner, self.work = name, target, owner, work

    def once(self):
        os.mkdir(self.target)
        shutil.chown(self.target, self.owner, self.owner)
        try:
            return take(self.work)
        finally:
            run("rm", "-rf", self.target)
            run("sync", "-f", os.path.dirname(self.target))


def basebackup(disk, server):
    target = disk.path("tool")
    return Tool("pg_basebackup -c fast -X stream", target, postgres.USER, lambda: postgres.tool(
        "pg_basebackup", "-h", server.sockets, "-U", postgres.USER, "-D", target, "-c", "fast", "-X", "stream"))


def pgbackrest(bed, disk, server):
    target, folder = disk.path("tool"), bed.scratch.folder("pgbackrest")
    shutil.chown(folder, postgres.USER, postgres.USER)
    options = ["--stanza=bench", f"--repo1-path={target}", f"--pg1-path={server.data_dir}", f"--pg1-socket-path={server.sockets}",
               "--pg1-user=postgres", f"--lock-path={folder}", f"--log-path={folder}", "--config=/dev/null"]
    more = ["--process-max=2", "--compress-type=lz4", "--start-fast", "--no-archive-check", "--type=full"]

    def work():
        as_postgres("pgbackrest", *options, "stanza-create")
        as_postgres("pgbackrest", *options, *more, "backup")
    return Tool("pgbackrest, full, lz4, 2 processes", target, postgres.USER, work)


def mariadb_backup(disk, server):
    target = disk.path("tool")
    return Tool("mariadb-backup --backup", target, mariadb.USER, lambda: mariadb.as_user(
        mariadb.program("mariadb-backup"), "--no-defaults", "--backup", f"--target-dir={target}", f"--socket={server.socket}",
        f"--user={mariadb.USER}"))


def postgresql(bed, disk):
    server = bed.server(disk.subvolume("pg", postgres.USER))
    Pgbench(server, scale=65)
    tools = [basebackup(disk, server)]
    if shutil.which("pgbackrest"):
        tools.append(pgbackrest(bed, disk, server))
    else:
        print("  not installed: apt-get install pgbackrest", flush=True)
    return server, tools


def maria(bed, disk):
    server = make_server(bed, disk.subvolume("my", mariadb.USER), innodb_buffer_pool_size="256M", log_bin=False,
                         innodb_max_dirty_pages_pct="90")
    server.sql("CREATE DATABASE bench")
    server.sql("CREATE TABLE bench.t (id int PRIMARY KEY, pad char(200)) ENGINE=InnoDB")
    server.sql(f"INSERT INTO bench.t SELECT seq, seq FROM bench.seq_1_to_{ROWS}")
    if mariadb.program("mariadb-backup"):
        return server, [mariadb_backup(disk, server)]
    print("  not installed: apt-get install mariadb-backup", flush=True)
    return server, []


def compare(create, tools, rounds):
    """(what, value, unit, goal): dbsnap before each of the tools, and each by turns. create(): its milliseconds."""
    pairs = {tool.name: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            pairs[tool.name].append((create(), tool.once()))
    yield "create to AVAILABLE", statistics.median(ours for seen in pairs.values() for ours, _ in seen), "ms", None
    for name, seen in pairs.items():
        yield name, statistics.median(theirs for _, theirs in seen), "ms", None
        yield f"{name} / dbsnap", statistics.median(theirs / ours for ours, theirs in seen), "", ">= 100"
