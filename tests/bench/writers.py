# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that write to a MariaDB and note how long each write took: processes of their own.

Four of them do one update and one insert by turns, each a transaction of its own; with plain, one more
inserts into a table without transactions.
"""
import os
import random
import subprocess
import sys
import time

import MySQLdb

ROWS, INNODB = 20000, 4


def prepare(server, plain):
    server.sql("CREATE DATABASE bench")
    server.sql("CREATE TABLE bench.t (id int PRIMARY KEY, v int, pad char(100)) ENGINE=InnoDB")
    server.sql(f"INSERT INTO bench.t SELECT seq, 0, 'x' FROM bench.seq_1_to_{ROWS}")
    server.sql("CREATE TABLE bench.log (id bigint PRIMARY KEY AUTO_INCREMENT, pad char(200)) ENGINE=InnoDB")
    if plain:
        server.sql("CREATE TABLE bench.plain (id bigint PRIMARY KEY AUTO_INCREMENT, pad char(200)) ENGINE=MyISAM")


def statements(kind):
    while True:
        if kind == "plain":
            yield "INSERT INTO bench.plain(pad) VALUES ('y')"
        else:
            yield f"UPDATE bench.t SET v = v + 1 WHERE id = {random.randint(1, ROWS)}"
            yield "INSERT INTO bench.log(pad) VALUES ('y')"


def write(socket, kind):
    connection = MySQLdb.connect(unix_socket=socket, user="root", autocommit=True)
    cursor = connection.cursor()
    for statement in statements(kind):
        begin = time.time()
        cursor.execute(statement)
        print(f"{begin:.6f} {time.time() - begin:.6f}", flush=True)


class Writers:
    """Their logs, and the longest write that overlaps a window of time."""

    def __init__(self, server, folder, plain):
        prepare(server, plain)
        self.logs, self.processes = [], []
        for number in range(INNODB + plain):
            kind = "innodb" if number < INNODB else "plain"
            self.logs.append(os.path.join(folder, f"{number}.log"))
            with open(self.logs[-1], "w", encoding="ascii") as log:
                self.processes.append(subprocess.Popen([sys.executable, __file__, server.socket, kind], stdout=log))

    def started(self):
        return all(os.path.getsize(log) > 10000 for log in self.logs)

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def entries(self):
        """(begin, seconds) of every whole line."""
        for log in self.logs:
            with open(log, encoding="ascii") as file:
                for line in file:
                    if line.endswith("\n"):
                        begin, took = map(float, line.split())
                        yield begin, took

    def worst_ms(self, windows):
        """Of each window of (begin, end) in wall seconds."""
        worst = [0.0] * len(windows)
        for begin, took in self.entries():
            for number, window in enumerate(windows):
                if begin <= window[1] and begin + took >= window[0]:
                    worst[number] = max(worst[number], took * 1000)
        return worst


if __name__ == "__main__":
    write(*sys.argv[1:])
