# SPDX-License-Identifier: GPL-3.0-or-later
"""Load on a MariaDB, and what each of its moments must hold."""
import threading

import MySQLdb

ROWS = 2000
IDS, PLAIN, ARIA = "acked", "plain_myisam", "plain_aria"
DEADLOCKS = (1213, 1205, 1020)


def create(server, plain=False):
    server.sql("CREATE DATABASE IF NOT EXISTS shop")
    server.sql("CREATE TABLE shop.acct (id INT PRIMARY KEY, balance BIGINT NOT NULL, KEY (balance)) ENGINE=InnoDB")
    server.sql(f"INSERT INTO shop.acct SELECT seq, 0 FROM shop.seq_1_to_{ROWS}")
    server.sql("CREATE TABLE shop.gone (id BIGINT PRIMARY KEY, v VARCHAR(200), KEY (v)) ENGINE=InnoDB")
    server.sql(f"CREATE TABLE shop.{IDS} (id BIGINT PRIMARY KEY) ENGINE=InnoDB")
    if plain:
        server.sql(f"CREATE TABLE shop.{PLAIN} (id BIGINT PRIMARY KEY) ENGINE=MyISAM")
        server.sql(f"CREATE TABLE shop.{ARIA} (id BIGINT PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=0")


def check_sums(server):
    """Money is moved, never made: by the table, and by the index on the balances."""
    for index in ("PRIMARY", "balance"):
        assert server.sql(f"SELECT COUNT(*), SUM(balance) FROM shop.acct FORCE INDEX ({index}) WHERE balance > -1000000") == \
            ((ROWS, 0),), index


class Load:
    """Transfers, purge, and sessions that insert ids one by one and remember each that was acknowledged."""

    def __init__(self, server, plain=False, transfers=3, ids=2):
        self.server = server
        self.tables = [IDS] * ids + ([PLAIN, ARIA] if plain else [])
        self.stopping = threading.Event()
        self.lock = threading.Condition()
        self.last = {}  # (table, session): the last id that was acknowledged; they count from 1
        self.errors = []
        work = [(self.transfer, n) for n in range(transfers)] + [(self.purge, 0)]
        work += [(self.insert, n + 1) for n in range(len(self.tables))]
        self.threads = [threading.Thread(target=self.run, args=each, daemon=True) for each in work]

    def run(self, work, number):
        try:
            connection = self.server.connect()
            with connection.cursor() as cursor:
                turn = self.before(cursor, work, number)
                while not self.stopping.is_set():
                    turn += 1
                    work(cursor, number, turn)
            connection.close()
        except Exception as error:  # told to whoever stops or waits
            with self.lock:
                self.errors.append(error)
                self.lock.notify_all()

    def before(self, cursor, work, number):
        """Turns of a load before this one: ids and rows that there are or were are not made again."""
        if work == self.purge:
            cursor.execute("SELECT COALESCE(MAX(id), 0) DIV 50 FROM shop.gone")
        elif work == self.insert:
            cursor.execute(f"SELECT COALESCE(MAX(id), 0) %% 1000000000 FROM shop.{self.tables[number - 1]} "
                           "WHERE id DIV 1000000000 = %s", (number,))
        else:
            return 0
        return int(cursor.fetchone()[0])

    @staticmethod
    def transfer(cursor, number, turn):
        source, target = (turn * 7919 + number * 31) % ROWS + 1, (turn * 104729 + number) % ROWS + 1
        try:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE shop.acct SET balance = balance - %s WHERE id = %s", (turn % 9, source))
            cursor.execute("UPDATE shop.acct SET balance = balance + %s WHERE id = %s", (turn % 9, target))
            cursor.execute("COMMIT")
        except MySQLdb.OperationalError as error:
            if error.args[0] not in DEADLOCKS:
                raise

    @staticmethod
    def purge(cursor, _, turn):
        cursor.execute("INSERT INTO shop.gone SELECT seq + %s, REPEAT(CHAR(97 + seq %% 26), 190) FROM shop.seq_1_to_50", (turn * 50,))
        cursor.execute("DELETE FROM shop.gone WHERE id <= %s", (turn * 50 - 100,))

    def insert(self, cursor, session, turn):
        table = self.tables[session - 1]
        cursor.execute(f"INSERT INTO shop.{table} VALUES (%s)", (session * 10**9 + turn,))
        with self.lock:
            self.last[table, session] = turn
            self.lock.notify_all()

    def acked(self):
        with self.lock:
            return dict(self.last)

    def wait_more(self, count, tables=None, timeout=60.0):
        """Waits until so many further ids have been acknowledged."""
        def total():
            return sum(n for (table, _), n in self.last.items() if tables is None or table in tables)
        with self.lock:
            goal = total() + count
            assert self.lock.wait_for(lambda: self.errors or total() >= goal, timeout)
            assert not self.errors, self.errors

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_more(200)
        return self

    def end(self, expect_errors=False):
        """expect_errors: of a server that was killed."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        assert expect_errors or not self.errors, self.errors
        self.errors = []

    def __exit__(self, kind, *_):
        self.end(expect_errors=kind is not None)


def check_moment(server, must, most):
    """Of each session's ids a beginning: all that was acknowledged before, at most one more than at the end."""
    for (table, session), least in must.items():
        count, last = server.sql(f"SELECT COUNT(*), COALESCE(MAX(id) %% 1000000000, 0) FROM shop.{table} "
                                 "WHERE id DIV 1000000000 = %s", session)[0]
        assert last >= least, f"{least - last} acknowledged ids of {table} are missing"
        assert count == last, f"{last - count} ids of {table} are missing before others"
        assert last <= most[table, session] + 1, f"{table}: ids from after its end"
