# SPDX-License-Identifier: GPL-3.0-or-later
"""The copying walk beside cp -a and beside the bare creation of the same empty files.

Each run gets an empty folder on a synced file system and is timed with the one syncfs that
makes it durable. What runs first in a round runs last in the next one.
"""
import os
import statistics
import time

from harness import trees
from harness.disk import run

FILES, FILE_SIZE = 10000, 100000
EXTENTS_MB, OVERWRITES = 1000, 60000


def load():
    return f"load average of the machine, which has {os.cpu_count()} cores", os.getloadavg()[0], "", None


def fill(disk):
    """10,000 files of 100 KB, a thousand a folder, the user's."""
    source = trees.folder(disk.mnt, "from")
    block = os.urandom(FILE_SIZE)
    for number in range(FILES):
        folder = os.path.join(source, str(number // 1000))
        if number % 1000 == 0:
            trees.folder(folder)
        trees.write(os.path.join(folder, str(number)), block)
    return source


class Contest:
    """Several ways to make the same tree, one after the other; a way may say itself how many ms it took."""

    def __init__(self, disk, ways):
        self.disk = disk
        self.ways = ways
        self.ms = {name: [] for name in ways}

    def once(self, name, source):
        target = trees.folder(self.disk.mnt, "to")
        run("sync", "-f", target)
        begin = time.monotonic()
        measured = self.ways[name](source, target)
        run("sync", "-f", target)
        self.ms[name].append(measured or (time.monotonic() - begin) * 1000)
        run("rm", "-rf", target)

    def rounds(self, source, count):
        for number in range(count):
            for name in sorted(self.ways, reverse=number % 2 == 1):
                self.once(name, source)

    def median(self, name):
        return statistics.median(self.ms[name])

    def ratio(self, one, other):
        return statistics.median(a / b for a, b in zip(self.ms[one], self.ms[other]))


def cp(*options):
    def copy(source, target):
        run("setpriv", f"--reuid={trees.USER}", f"--regid={trees.USER}", "--clear-groups",
            "cp", *options, "-a", source + "/.", target)
    return copy


def ours(way):
    def copy(source, target):
        trees.drive(way, source, target)
    return copy


def tree_rows(make_disk, tool):
    xfs = make_disk("xfs")
    contest = Contest(xfs, {"ours": ours("clone"), "cp": cp("--reflink=always"),
                            "empty": lambda source, target: tool("bare_files", source, target)["sum_us"] / 1000})
    contest.rounds(fill(xfs), 10)
    yield "XFS: clone of 10,000 files of 100 KB, syncfs included", contest.median("ours"), "ms", None
    yield "cp --reflink=always -a, syncfs included", contest.median("cp"), "ms", None
    yield "the same files created empty, syncfs included", contest.median("empty"), "ms", None
    yield "clone / cp", contest.ratio("ours", "cp"), "", "<= 1.1"
    yield "clone / empty files", contest.ratio("ours", "empty"), "", "<= 2.2"
    yield load()
    ext4 = make_disk("ext4")
    contest = Contest(ext4, {"ours": ours("copy"), "cp": cp()})
    contest.rounds(fill(ext4), 8)
    yield "ext4: copy of them, syncfs included", contest.median("ours"), "ms", None
    yield "cp -a, syncfs included", contest.median("cp"), "ms", None
    yield "copy / cp", contest.ratio("ours", "cp"), "", "<= 1.1"
    yield load()


def extents_rows(make_disk, tool):
    disk = make_disk("xfs")
    result = tool("bare_extents", disk.mnt, EXTENTS_MB, OVERWRITES, 3)

    def worst(way, key):
        return statistics.median(r[key] for r in result[way]) / 1000
    yield "extents of the file of 1 GB", result["extents"], "", None
    for way, what in (("whole", "whole file (FICLONE)"), ("ranges", "in ranges")):
        yield f"{what}: clone", worst(way, "clone_us"), "ms", None
        yield f"{what}: writer's longest wait before", worst(way, "before_us"), "ms", None
        yield f"{what}: writer's longest wait meanwhile", worst(way, "worst_us"), "ms", \
            "<= 300" if way == "ranges" else None
    yield "longest wait of all, in ranges", max(r["worst_us"] for r in result["ranges"]) / 1000, "ms", None
    yield load()
