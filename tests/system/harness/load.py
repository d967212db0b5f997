# SPDX-License-Identifier: GPL-3.0-or-later
"""Load on a PostgreSQL server, and what it must leave true."""
import os
import subprocess
import threading
import time

from .postgres import USER, bindir

SUMS = """
SELECT (SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts),
       (SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers),
       (SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches),
       (SELECT coalesce(sum(delta), 0) FROM pgbench_history)
"""


def check_sums(server):
    """pgbench's transactions are whole: four sums that only a torn one sets apart."""
    sums = server.sql(SUMS)[0]
    assert len(set(sums)) == 1, f"accounts, tellers, branches, history: {sums}"
    return sums[0]


class Pgbench:
    """TPC-B-like clients until stop()."""

    def __init__(self, server, clients=8, scale=1):
        self.server = server
        self.clients = clients
        self.log = os.path.join(server.folder, "pgbench.log")
        self.process = None
        self.run("-i", "-q", "-s", str(scale))

    def argv(self, *args):
        return [os.path.join(bindir(), "pgbench"), "-h", self.server.sockets, "-U", USER,
                *args, "postgres"]

    def run(self, *args):
        done = subprocess.run(self.argv(*args), capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr

    def start(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.argv("-n", "-c", str(self.clients), "-j", "2", "-T", "3600"),
                stdout=log, stderr=log, cwd="/")
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Acked:
    """Sessions that insert ids one by one and remember each that was acknowledged.

    acked() is what had been acknowledged at that moment: whatever is asked for later
    (a backup, say) must contain it.
    """

    def __init__(self, server, sessions=3, synchronous_commit="on"):
        self.server = server
        self.sessions = sessions
        self.synchronous_commit = synchronous_commit
        self.stopping = threading.Event()
        self.lock = threading.Condition()
        self.ids = {}
        self.errors = []
        self.threads = []
        server.sql("CREATE TABLE IF NOT EXISTS acked (id bigint PRIMARY KEY, t timestamptz "
                   "DEFAULT clock_timestamp())")

    def insert(self, session):
        try:
            connection = self.server.connect()
            with connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit = %s", (self.synchronous_commit,))
                # Behind those of sessions before.
                cursor.execute("SELECT coalesce(max(id), %s) FROM acked WHERE id / 1000000000 = %s", (session * 10**9, session))
                number = cursor.fetchone()[0]
                while not self.stopping.is_set():
                    number += 1
                    cursor.execute("INSERT INTO acked(id) VALUES (%s)", (number,))
                    with self.lock:
                        self.ids[number] = time.monotonic()
                        self.lock.notify_all()
            connection.close()
        except Exception as error:  # told to whoever stops or checks
            with self.lock:
                self.errors.append(error)
                self.lock.notify_all()

    def start(self):
        self.threads = [threading.Thread(target=self.insert, args=(n + 1,), daemon=True)
                        for n in range(self.sessions)]
        for thread in self.threads:
            thread.start()
        self.wait_more(self.sessions)
        return self

    def acked(self):
        with self.lock:
            return set(self.ids)

    def acked_before(self, moment):
        """Ids acknowledged before a time.monotonic()."""
        with self.lock:
            return {n for n, t in self.ids.items() if t < moment}

    def wait_more(self, count, timeout=30.0):
        """Waits until so many further ids have been acknowledged."""
        with self.lock:
            goal = len(self.ids) + count
            assert self.lock.wait_for(lambda: self.errors or len(self.ids) >= goal, timeout)
            assert not self.errors, self.errors

    def longest_gap(self, begin, end):
        """Seconds that no session got an answer, within [begin, end]."""
        with self.lock:
            times = sorted(t for t in self.ids.values() if begin <= t <= end)
        marks = [begin, *times, end]
        return max(b - a for a, b in zip(marks, marks[1:]))

    def stop(self, expect_errors=False):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        assert expect_errors or not self.errors, self.errors

    def missing(self, server, must):
        """Those of `must` that the server (a clone's) does not have."""
        return must - {row[0] for row in server.sql("SELECT id FROM acked")}

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        self.stop(expect_errors=kind is not None)
