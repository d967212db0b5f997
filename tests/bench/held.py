# SPDX-License-Identifier: GPL-3.0-or-later
"""What the writers of a MariaDB on btrfs feel of a backup: rows for bench.py.

A backup and a bare cut (syncfs, then the same ioctl) by turns, under the same writers. plain: there is a table
without transactions, so the writers are held by the server's lock; else nobody is.
"""
import os
import shutil
import statistics
import time

from harness import mariadb
from harness.process import eventually
from writers import Writers

WINDOW_S = 1.0


def make_server(bed, data_dir, **settings):
    template = bed.scratch.folder("template")
    shutil.chown(template, mariadb.USER, mariadb.USER)
    mariadb.install(template)
    server = mariadb.make(data_dir, bed.scratch.folder("my"), template, **settings)
    bed.open.append(server)
    server.start()
    return server


def rounds(bed, tool, plain, count):
    """(backup's item, bare cut in ms, longest write during the backup, in a window of its length before) of each."""
    disk = bed.disk()
    data_dir, bare_dir = disk.subvolume("my", mariadb.USER), disk.path("bare")
    os.mkdir(bare_dir)
    server = make_server(bed, data_dir)
    daemon = bed.daemon()
    daemon.add_mariadb("main", server)
    daemon.start()
    writers = Writers(server, bed.scratch.folder("writers"), plain)
    bed.open.append(writers)
    eventually(writers.started, 60, "writes of every client")
    items, cuts, windows = [], [], []
    for _ in range(count):
        begin = time.time()
        eventually(lambda start=begin: time.time() - start > WINDOW_S, 5, "a window without a backup")
        begin = time.time()
        items.append(daemon.api.create_and_wait("main", timeout=120))
        windows.append((begin, time.time()))
        daemon.api.delete_and_wait("main", items[-1]["BackupId"])
        daemon.wait_idle()
        cuts.append(tool("bare_cut", data_dir, bare_dir, 1)["cut_us"] / 1000)
    writers.close()
    during = writers.worst_ms(windows)
    before = writers.worst_ms([(begin - (end - begin), begin) for begin, end in windows])
    return list(zip(items, cuts, during, before))


def rows(bed, tool, plain, count):
    """(what, value, unit, goal)"""
    seen = rounds(bed, tool, plain, count)
    items, cuts, during, before = zip(*seen)
    assert all((float(item["Dbsnap"]["FreezeMs"]) > 0) == plain for item in items), items
    yield "longest write that overlaps a backup", statistics.median(during), "ms", None
    yield "longest write in the same window before", statistics.median(before), "ms", None
    yield "stall / before", statistics.median(during) / max(statistics.median(before), 0.001), "", "<= 2"
    yield "cut, in a backup", statistics.median(float(item["Dbsnap"]["CutMs"]) for item in items), "ms", None
    yield "cut, bare", statistics.median(cuts), "ms", None
    if plain:
        held = [float(item["Dbsnap"]["FreezeMs"]) for item in items]
        yield "lock held, the wait for it included", statistics.median(held), "ms", "<= 50"
        yield "lock held / bare cut", statistics.median(held) / statistics.median(cuts), "", "<= 2"
