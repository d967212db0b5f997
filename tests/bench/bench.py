#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""bench.py [NAME...]: ratios against the bare work and a peer, side by side in one run.

Each benchmark alternates the thing and its limit (A B A B), so that a noisy machine hurts
both alike; it prints medians and the ratio with its goal. Nothing is asserted: read them.
Run as root by `make bench` (`make bench BENCH="ack list"` for some).
"""
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

SRC = os.environ["DBSNAP_SRCDIR"]
BUILD = os.environ["DBSNAP_BUILDDIR"]
for folder in ("scenario", "", "system"):
    sys.path.insert(0, os.path.join(SRC, "tests", folder))

from acks import Acks, Reads  # noqa: E402
from harness import mariadb, postgres  # noqa: E402
from harness.daemon import Daemon  # noqa: E402
from harness.disk import Disk, run  # noqa: E402
from harness.load import Pgbench  # noqa: E402
from harness.process import eventually  # noqa: E402
from harness.scratch import Scratch  # noqa: E402
from harness.signer import Signer  # noqa: E402
from world import World  # noqa: E402
import clones  # noqa: E402
import gigabyte  # noqa: E402
import held  # noqa: E402
import judgements  # noqa: E402
import peers  # noqa: E402
import ram  # noqa: E402
import walks  # noqa: E402

MANY = {"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**6}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ROUNDS = 5


def tool(name, *args):
    done = subprocess.run([os.path.join(BUILD, "tests", "bench", name), *map(str, args)],
                          stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout) if done.stdout else None


def note(text):
    print(f" {text}", flush=True)


def line(what, value, unit="", goal=None):
    print(f"  {what:<58} {value:>10.2f} {unit:<3}{'  goal ' + goal if goal else ''}", flush=True)


def median(values):
    return statistics.median(values)


class Bed:
    """What one benchmark uses, and its end."""

    def __init__(self):
        self.scratch = Scratch()
        self.programs = self.scratch.copy_programs()
        self.open = []

    def disk(self, size="4G", kind="btrfs"):
        self.open.append(Disk(self.scratch.folder("disk"), kind, size))
        return self.open[-1]

    def server(self, data_dir):
        server = postgres.Server(data_dir, self.scratch.folder("pg"))
        self.open.append(server)
        server.create()
        server.start()
        return server

    def daemon(self, **settings):
        daemon = Daemon(self.programs, self.scratch.folder("d"), quota=MANY, **settings)
        self.open.append(daemon)
        return daemon

    def close(self):
        for thing in reversed(self.open):
            thing.close()
        self.scratch.remove()


def fill_files(path, count, size):
    """count files of size bytes, a thousand a folder."""
    block = os.urandom(size)
    for number in range(count):
        folder = os.path.join(path, str(number // 1000))
        if number % 1000 == 0:
            os.mkdir(folder)
        with open(os.path.join(folder, str(number)), "wb") as file:
            file.write(block)
    os.sync()


class Caller:
    """One kept connection, and no more work of its own than the bytes need."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(path)

    def call(self, request):
        self.sock.sendall(request)
        answer = self.sock.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        while len(body) < length:
            body += self.sock.recv(65536)
        assert head.startswith(b"HTTP/1.1 200"), answer
        return body

    def time_us(self, form, count):
        """Median of so many calls, made by a process of its own: no thread here disturbs it."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writer, repr(self.measure_us(form, count)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            answer = file.read()
        os.waitpid(pid, 0)
        return float(answer)

    def measure_us(self, form, count):
        asked = request(form)
        times = []
        for _ in range(count):
            begin = time.monotonic_ns()
            self.call(asked)
            times.append((time.monotonic_ns() - begin) / 1000)
        return median(times)

    def close(self):
        self.sock.close()


def bench_ack(bed):
    """CreateBackup until its answer, against a bare LMDB commit of the same puts.

    The real front alone: its engine takes every job and never ends one, its clock stands
    still. A read's round trip is what HTTP and the client here cost without a commit.
    """
    front = os.path.join(bed.programs, "dbsnapd-front")
    world = World(bed.scratch.folder("w"), front, map_size=1 << 30, manual_per_day=10**6,
                  manual_retained=10**6, creates_per_day=10**6)
    bed.open.append(world)
    world.add("main")
    world.start(hold=("JOB",))
    caller = Caller(world.path)
    create, read = "Action=CreateBackup&DBClusterId=main", "Action=DescribeBackupPolicy&DBClusterId=main"
    caller.time_us(create, 50)
    acks, reads, bare, syncs = [], [], [], []
    folder = bed.scratch.folder("lmdb")
    for _ in range(ROUNDS * 2):
        acks.append(caller.time_us(create, 200))
        reads.append(caller.time_us(read, 200))
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        limit = tool("bare_commit", folder, 300)
        bare.append(limit["commit_us"])
        syncs.append(limit["fdatasync_us"])
    line("CreateBackup, request to answer", median(acks), "us")
    line("a read (HTTP and the client)", median(reads), "us")
    line("bare commit of the same puts", median(bare), "us")
    line("bare fdatasync", median(syncs), "us")
    line("ack / bare commit", median([a / b for a, b in zip(acks, bare)]))
    line("(ack - read) / bare commit", median([(a - r) / b for a, r, b in zip(acks, reads, bare)]), goal="<= 1.3")
    caller.close()


def bench_acks(bed):
    """Creates acknowledged a second over 1, 8, 64 and 1,000 connections, against bare evhttp."""
    print_rates(bed, Acks)


def bench_reads(bed):
    """Pages read a second over the same, against a bare epoll loop."""
    print_rates(bed, Reads)


def print_rates(bed, kind):
    rates = kind(bed.scratch.folder, os.path.join(bed.programs, "dbsnapd-front"), tool)
    bed.open.append(rates)
    for row in rates.rows():
        line(*row)


def cpu_us(pid):
    """What a process has run so far."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1000


def bench_signed(bed):
    """CPU of the front for a verified signed request against the same one unsigned, both versions.

    A read of no record, so that nothing else is large; by the default policy neither caller would have the same
    rights, so one statement allows everything. Each signed request has a nonce of its own, signed before.
    """
    world = World(bed.scratch.folder("w"), os.path.join(bed.programs, "dbsnapd-front"))
    bed.open.append(world)
    world.add("main")
    world.keys = [{"id": "testid", "secret": "testsecret"}]
    world.statements = [ram.statement("Allow", "*", "*", anybody=True)]
    world.start()
    world.advance(10_000)
    caller, signer, count = Caller(world.path), Signer(), 2000
    params = {"DBClusterId": "main", "RegionId": "local", "OwnerId": ""}

    def v1():
        return signer.v1(world.wall_ms, {"Action": "DescribeBackupPolicy", **params})

    def v3():
        return signer.v3(world.wall_ms, "DescribeBackupPolicy", params)
    unsigned = {"version 1": lambda: re.sub(rb"(AccessKeyId|Signature)=[^& ]*&?", b"", v1()),
                "version 3": lambda: re.sub(rb"Authorization: [^\r]*\r\n", b"", v3())}

    def once(make):
        requests = [make() for _ in range(count)]
        begin = cpu_us(world.front.pid)
        for data in requests:
            caller.call(data)
        return (cpu_us(world.front.pid) - begin) / count
    for name, make in (("version 1", v1), ("version 3", v3)):
        once(make)
        pairs = [(once(make), once(unsigned[name])) for _ in range(ROUNDS * 2)]
        line(f"{name}: signed", median([a for a, _ in pairs]), "us")
        line(f"{name}: unsigned", median([b for _, b in pairs]), "us")
        line(f"{name}: signed / unsigned", median([a / b for a, b in pairs]), goal="<= 1.3")
    caller.close()


def request(form):
    return (f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n{form}").encode()


def cut_once(daemon, caller):
    """One create: its item, and milliseconds from the call to the answer that shows it AVAILABLE."""
    begin = time.monotonic()
    job = json.loads(caller.call(request("Action=CreateBackup&DBClusterId=main")))["BackupJobId"]
    look = request(f"Action=DescribeBackups&DBClusterId=main&BackupId={job}")
    while True:
        item = json.loads(caller.call(look))["Items"]["Backup"][0]
        state = item["Dbsnap"]["State"]
        assert state in ("PENDING", "RUNNING", "AVAILABLE"), item
        if state == "AVAILABLE":
            return item, (time.monotonic() - begin) * 1000


def bench_create(bed):
    """Create to AVAILABLE against the sum of its bare parts, at 100 and 100,000 files.

    Bare parts: a commit for the acknowledgement and one for the end, and what bare_cut does.
    """
    lmdb = bed.scratch.folder("lmdb")
    for files in (100, 100000):
        disk = bed.disk("6G")
        data = disk.subvolume("data")
        fill_files(data, files, 1024)
        bare_dir = disk.path("bare")
        os.mkdir(bare_dir)
        daemon = bed.daemon()
        daemon.add_cluster("main", data, database={"type": "none"})
        daemon.start()
        caller = Caller(daemon.socket)
        client = [os.path.join(bed.programs, "dbsnap"), "--socket", daemon.socket]
        totals, cuts, sums, ioctls, waits = [], [], [], [], []
        for _ in range(ROUNDS * 4):
            item, total = cut_once(daemon, caller)
            totals.append(total)
            cuts.append(float(item["Dbsnap"]["CutMs"]))
            daemon.api.delete_and_wait("main", item["BackupId"])
            daemon.wait_idle()
            for name in os.listdir(lmdb):
                os.unlink(os.path.join(lmdb, name))
            commit = tool("bare_commit", lmdb, 50)["commit_us"]
            parts = tool("bare_cut", data, bare_dir, 1)
            sums.append((parts["sum_us"] + 2 * commit) / 1000)
            ioctls.append(parts["cut_us"] / 1000)
            begin = time.monotonic()
            done = subprocess.run([*client, "--json", "backup", "create", "main", "--wait"],
                                  capture_output=True, text=True, cwd="/", check=True)
            waits.append((time.monotonic() - begin) * 1000)
            daemon.api.delete_and_wait("main", json.loads(done.stdout)["BackupId"])
            daemon.wait_idle()
        print(f" {files} files of 1 KiB")
        line("create to AVAILABLE", median(totals), "ms")
        line("dbsnap backup create --wait, process start included", median(waits), "ms")
        line("bare parts: two commits; intent, flush, cut, manifest, rename", median(sums), "ms")
        line("create / bare parts", median([a / b for a, b in zip(totals, sums)]), goal="<= 1.5")
        line("cut ioctl, in a create / bare", median([a / b for a, b in zip(cuts, ioctls)]), goal="<= 1.2")
        caller.close()
        daemon.close()
        bed.open.remove(daemon)


def worst_latency_ms(log_prefix, begin, end):
    """Longest transaction of pgbench -l that overlaps [begin, end] (wall seconds)."""
    worst = 0.0
    folder, prefix = os.path.split(log_prefix)
    for name in os.listdir(folder):
        if not re.fullmatch(re.escape(prefix) + r"\.\d+(\.\d+)?", name):
            continue
        with open(os.path.join(folder, name), encoding="ascii") as file:
            for entry in file:
                fields = entry.split()
                if len(fields) < 6:
                    continue
                ended = int(fields[4]) + int(fields[5]) / 1e6
                took = int(fields[2]) / 1e6
                if ended >= begin and ended - took <= end:
                    worst = max(worst, took * 1000)
    return worst


def bench_stall(bed):
    """Writers' longest wait around a backup, against a window of the same length before."""
    disk = bed.disk()
    server = bed.server(disk.subvolume("pg", postgres.USER))
    load = Pgbench(server, scale=10)
    prefix = os.path.join(server.folder, "latency")
    process = subprocess.Popen(load.argv("-n", "-c", "8", "-j", "2", "-T", "600", "-l",
                                         f"--log-prefix={prefix}"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    try:
        daemon = bed.daemon()
        daemon.add_server("main", server)
        daemon.start()
        windows = []
        for _ in range(ROUNDS * 2):
            idle = time.time()
            eventually(lambda start=idle: time.time() - start > 1.5, 5, "a window without a backup")
            begin = time.time()
            item = daemon.api.create_and_wait("main")
            end = time.time()
            windows.append((begin, end, float(item["Dbsnap"]["CutMs"])))
            daemon.api.delete_and_wait("main", item["BackupId"])
    finally:
        process.terminate()
        process.wait()
    during, before, cuts = [], [], []
    for begin, end, cut in windows:
        during.append(worst_latency_ms(prefix, begin, end))
        before.append(worst_latency_ms(prefix, begin - (end - begin), begin))
        cuts.append(cut)
    line("cut under load", median(cuts), "ms")
    line("longest transaction overlapping a backup", median(during), "ms")
    line("longest transaction in the same window before", median(before), "ms")
    line("stall / before", median(during) / max(median(before), 0.001), goal="<= 2")


def bench_held(bed):
    """Writers of a MariaDB on btrfs around a backup, and how long its lock is held, against a bare cut."""
    for plain, what in ((False, "every table has transactions: nobody is held"), (True, "one table has none: held")):
        note(f"{what}; load {os.getloadavg()[0]:.1f}")
        for row in held.rows(bed, tool, plain, ROUNDS * 2):
            line(*row)


def bench_list(bed):
    """DescribeBackups of a page of 30 at 10 and at 100,000 records."""
    form = "Action=DescribeBackups&DBClusterId=main&PageSize=30"
    disk = bed.disk("1G")
    data = disk.subvolume("data")
    callers = []
    for count in (30, 100000):
        daemon = bed.daemon()
        daemon.add_cluster("main", data, database={"type": "none"},
                           snapshot_dir=disk.path(f"snapshots-{count}"))
        os.mkdir(daemon.state_dir, 0o700)
        tool("fill_store", daemon.state_dir, "main", count)
        run("chown", "-R", "dbsnap:dbsnap", daemon.state_dir)
        begin = time.monotonic()
        daemon.start(timeout=120)
        line(f"start with {count} records", (time.monotonic() - begin) * 1000, "ms")
        callers.append(Caller(daemon.socket))
    small, large = [], []
    for _ in range(ROUNDS * 2):
        small.append(callers[0].time_us(form, 100))
        large.append(callers[1].time_us(form, 100))
    line("a page of 30 of 30 records", median(small), "us")
    line("a page of 30 of 100,000 records", median(large), "us")
    line("100,000 / 30", median([b / a for a, b in zip(small, large)]), goal="<= 1.5")
    for caller in callers:
        caller.close()


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(entry.rstrip("\n").split(":\t", 1) for entry in file if ":\t" in entry)


def bench_idle(bed):
    """Wake-ups while nothing happens, and resident memory of each process."""
    disk = bed.disk("1G")
    daemon = bed.daemon()
    daemon.add_cluster("main", disk.subvolume("data"), database={"type": "none"})
    daemon.start()
    daemon.api.create_and_wait("main")
    daemon.wait_idle()
    pids = {"engine": daemon.main.pid, "front": daemon.front()}
    settle = time.monotonic()
    eventually(lambda: time.monotonic() - settle > 3, 10, "the end of what follows a job")

    def wakeups():
        return {n: int(status(p)["voluntary_ctxt_switches"]) for n, p in pids.items()}
    before, begin = wakeups(), time.monotonic()
    eventually(lambda: time.monotonic() - begin > 10, 20, "ten seconds")
    after = wakeups()
    for name, pid in pids.items():
        line(f"{name}: wake-ups in 10 s", after[name] - before[name], goal="0 (no watchdog here)")
        line(f"{name}: resident", int(status(pid)["VmRSS"].split()[0]) / 1024, "MB",
             goal="< 4" if name == "engine" else "< 12")
        line(f"{name}: resident, private", int(status(pid)["RssAnon"].split()[0]) / 1024, "MB")


LIST = 100
PEER_GOALS = {"snapper --no-dbus create": "<= 1.0", "btrbk snapshot": "<= 0.2", "snapper --no-dbus list": "<= 0.2"}


def ratio_rows(names, rounds):
    """A row for each, and how the first compares with each other one; rounds: their figures, in that order."""
    columns = list(zip(*rounds))
    for name, values in zip(names, columns):
        line(name, median(values), "ms")
    for name, values in list(zip(names, columns))[1:]:
        line(f"dbsnap / {name}", median([a / b for a, b in zip(columns[0], values)]), goal=PEER_GOALS.get(name))


def bench_peer(bed):
    """A snapshot, and the list of 100, by dbsnap, btrfs, snapper and btrbk in turn: processes, from start to end."""
    disk = bed.disk()
    data, other = disk.subvolume("data"), disk.subvolume("other")
    for path in (data, other):
        fill_files(path, 1000, 10000)
    daemon = bed.daemon()
    daemon.add_cluster("main", data, database={"type": "none"})
    daemon.start()
    program = os.path.join(bed.programs, "dbsnap")
    for text in peers.missing():
        note(text)
    found = peers.tools(disk, bed.scratch.folder("btrbk"), [program, "--socket", daemon.socket], data, other)
    try:
        note(f"load {os.getloadavg()[0]:.1f}")
        line("dbsnap --version: the start of its process alone",
             median([peers.timed(program, "--version")[0] for _ in range(ROUNDS * 4)]), "ms")
        ratio_rows([one.name for one in found], [[one.create() for one in found] for _ in range(ROUNDS * 4)])
        listing = [one for one in found if one.listing]
        for one in listing:
            while one.count < LIST:
                one.create()
        note(f"{LIST} of each")
        ratio_rows([one.listing for one in listing], [[one.list() for one in listing] for _ in range(ROUNDS * 2)])
    finally:
        peers.close(found)


def bench_tree(bed):
    """Reflink and copy of a tree against cp -a and against the same files created empty."""
    for row in walks.tree_rows(lambda kind: bed.disk(kind=kind), tool):
        line(*row)


def bench_extents(bed):
    """A writer's wait while a fragmented file is cloned, whole and in ranges."""
    for row in walks.extents_rows(lambda kind: bed.disk(kind=kind), tool):
        line(*row)


def freeze_rounds(bed, files):
    """An idle MariaDB with so many files: how long it was stopped, and what FICLONE of the same files alone takes."""
    disk = bed.disk(kind="xfs")
    data_dir, template = disk.path("my"), bed.scratch.folder("template")
    os.mkdir(data_dir)
    for folder in (data_dir, template):
        shutil.chown(folder, mariadb.USER, mariadb.USER)
    mariadb.install(template)
    server = mariadb.make(data_dir, bed.scratch.folder("my"), template)
    bed.open.append(server)
    filler = os.path.join(data_dir, "filler")
    os.mkdir(filler)
    for number in range(files - sum(len(names) for _, _, names in os.walk(data_dir))):
        with open(os.path.join(filler, f"t{number}.frm"), "wb") as file:
            file.write(os.urandom(16384))
    run("chown", "-R", f"{mariadb.USER}:", data_dir)
    server.start()
    daemon = bed.daemon()
    daemon.add_mariadb("main", server, {"max_freeze": "1m"}, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
    daemon.start()
    frozen, bare = [], []
    for _ in range(ROUNDS):
        item = daemon.api.create_and_wait("main", timeout=600)
        frozen.append(float(item["Dbsnap"]["FreezeMs"]))
        daemon.api.delete_and_wait("main", item["BackupId"])
        target = disk.path("to")
        os.mkdir(target)
        bare.append(tool("bare_files", data_dir, target, "clone")["clone_us"] / 1000)
        run("rm", "-rf", target)
        run("sync", "-f", disk.mnt)
    return frozen, bare


def bench_freeze(bed):
    """How long a MariaDB on XFS is stopped for a backup, against FICLONE of the same files by a bare loop."""
    for files in (1000, 10000):
        frozen, bare = freeze_rounds(bed, files)
        line(f"{files} files: the server was stopped for", median(frozen), "ms")
        line(f"{files} files: bare FICLONE of each", median(bare), "ms")
        line(f"{files} files: stopped / bare", median([a / b for a, b in zip(frozen, bare)]), goal="<= 1.2")


def dbsnap_takes(daemon):
    """Milliseconds from the call to AVAILABLE, which is durable."""
    begin = time.monotonic()
    item = daemon.api.create_and_wait("main", timeout=600)
    took = (time.monotonic() - begin) * 1000
    daemon.api.delete_and_wait("main", item["BackupId"])
    daemon.wait_idle()
    return took


def basebackup_takes(server, disk):
    """The same by the server's own tool, which syncs what it wrote; its target lies on the same disk."""
    target = disk.path("other", "basebackup")
    begin = time.monotonic()
    postgres.tool("pg_basebackup", "-h", server.sockets, "-U", postgres.USER, "-D", target, "-c", "fast", "-X", "stream")
    took = (time.monotonic() - begin) * 1000
    run("rm", "-rf", target)
    run("sync", "-f", disk.mnt)
    return took


def bench_basebackup(bed):
    """A PostgreSQL of 1 GB, idle, against pg_basebackup: by copy on ext4, by reflink on XFS."""
    for kind, goal in (("ext4", "<= 1.0"), ("xfs", None)):
        disk = bed.disk("6G", kind)
        disk.subvolume("other", postgres.USER)
        server = bed.server(disk.subvolume("pg", postgres.USER))
        Pgbench(server, scale=65)
        daemon = bed.daemon()
        daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap"))
        daemon.start()
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(dbsnap_takes(daemon))
            theirs.append(basebackup_takes(server, disk))
        print(f" {kind}, load {os.getloadavg()[0]:.1f}")
        line("create to AVAILABLE", median(ours), "ms")
        line("pg_basebackup -c fast -X stream", median(theirs), "ms")
        line("dbsnap / pg_basebackup", median([a / b for a, b in zip(ours, theirs)]), goal=goal)


def create_takes(daemon):
    """The same as cut_once, by a connection of its own, and nothing is left."""
    caller = Caller(daemon.socket)
    item, took = cut_once(daemon, caller)
    caller.close()
    daemon.api.delete_and_wait("main", item["BackupId"])
    daemon.wait_idle()
    return took


def bench_gigabyte(bed):
    """A database of 1 GB on btrfs, create to AVAILABLE, against the tools that copy it."""
    for kind, make, add in (("PostgreSQL", gigabyte.postgresql, Daemon.add_server),
                            ("MariaDB", gigabyte.maria, Daemon.add_mariadb)):
        disk = bed.disk("8G")
        server, tools = make(bed, disk)
        daemon = bed.daemon()
        add(daemon, "main", server)
        daemon.start()
        size = int(run("du", "-s", "-B1", server.data_dir).split()[0]) / 1e9
        note(f"{kind}, {size:.2f} GB, load {os.getloadavg()[0]:.1f}")
        for row in gigabyte.compare(lambda d=daemon: create_takes(d), tools, 3):
            line(*row)
        server.stop()


def bench_clone_start(bed):
    """clone create --start of a PostgreSQL on btrfs until SELECT 1 is answered, and its parts, against bare ones."""
    disk = bed.disk()
    server = bed.server(disk.subvolume("pg", postgres.USER))
    daemon = bed.daemon()
    daemon.add_server("main", server)
    daemon.start()
    client = [os.path.join(bed.programs, "dbsnap"), "--socket", daemon.socket]
    with Pgbench(server, scale=10):
        eventually(lambda: server.value("SELECT count(*) FROM pgbench_history") > 1000, 60, "a load")
        rows = list(clones.rows(daemon, client, disk, ROUNDS))
    note(f"load {os.getloadavg()[0]:.1f}")
    for row in rows:
        line(*row)


def bench_policy(_):
    """The judgement by 1,000 statements that say nothing of the request, one policy of each make."""
    for what, ns in judgements.rows():
        line(f"1,000 statements, {what}", ns / 1000, "us", "<= 20")
        line("  a statement", ns / judgements.STATEMENTS, "ns")


BENCHES = {"ack": bench_ack, "acks": bench_acks, "reads": bench_reads, "signed": bench_signed, "create": bench_create,
           "stall": bench_stall, "held": bench_held, "list": bench_list, "gigabyte": bench_gigabyte,
           "clone_start": bench_clone_start,
           "idle": bench_idle, "peer": bench_peer, "basebackup": bench_basebackup,
           "policy": bench_policy, "freeze": bench_freeze, "tree": bench_tree, "extents": bench_extents}


def main(names):
    if os.geteuid() != 0:
        sys.exit("bench.py needs root: it mounts btrfs on a loop device")
    unknown = set(names) - set(BENCHES)
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    for name in names or BENCHES:
        print(f"{name}: {BENCHES[name].__doc__.splitlines()[0]}", flush=True)
        bed = Bed()
        try:
            BENCHES[name](bed)
        finally:
            bed.close()


if __name__ == "__main__":
    main(sys.argv[1:])
