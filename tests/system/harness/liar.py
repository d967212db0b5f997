# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server that says what another one says, but for lies.

It is a process of the database's user that works in the data directory, as the real
server is, so that only what it says can give it away. Lies are tuples (part of the
statement, column, pattern, replacement, times): what the real server answers to such a
statement has the pattern replaced in that column, by so many times the replacement.
"""
import json
import os
import subprocess
import sys

from .process import Pid

# What the process runs: it can read nothing of ours, so it gets its program as text.
PROGRAM = r'''
import json, re, socket, struct, sys
import psycopg2

path, real, lies = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def message(kind, body):
    return kind + struct.pack(">I", len(body) + 4) + body

def take(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            sys.exit(0)
        data += more
    return data

def lie(statement, column, text):
    for part, where, pattern, replacement, times in lies:
        if part in statement and column == where and text is not None:
            text = re.sub(pattern, lambda _: replacement * times, text)
    return text

def result(cursor, statement):
    if not cursor.description:
        return message(b"n", b"")
    names = [column.name.encode() for column in cursor.description]
    out = message(b"T", struct.pack(">H", len(names)) + b"".join(
        name + b"\0" + struct.pack(">IhIhih", 0, 0, 25, -1, -1, 0) for name in names))
    for row in cursor.fetchall():
        cells = []
        for column, text in enumerate(row):
            text = lie(statement, column, text)
            data = text.encode() if text is not None else None
            cells.append(struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data)
        out += message(b"D", struct.pack(">H", len(cells)) + b"".join(cells))
    return out

def execute(connection, statement):
    with connection.cursor() as cursor:
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            said = f"SERROR\0C{error.pgcode}\0M{error.diag.message_primary}\0\0"
            return message(b"E", said.encode())
        return message(b"1", b"") + message(b"2", b"") + result(cursor, statement) + message(b"C", b"DONE\0")

def serve(peer):
    size, = struct.unpack(">I", take(peer, 4))
    take(peer, size - 4)
    connection = psycopg2.connect(real)
    connection.autocommit = True
    # As text, whatever it is.
    for each in (16, 20, 21, 23, 25, 26, 3220, 19, 1043):
        psycopg2.extensions.register_type(
            psycopg2.extensions.new_type((each,), "TEXT", lambda value, _: value), connection)
    connection.cursor().execute("SET search_path = pg_catalog")
    version = connection.get_parameter_status("server_version").encode()
    peer.sendall(message(b"R", struct.pack(">I", 0)) + message(b"S", b"server_version\0" + version + b"\0")
                 + message(b"Z", b"I"))
    answer = b""
    while True:
        kind = take(peer, 1)
        size, = struct.unpack(">I", take(peer, 4))
        body = take(peer, size - 4)
        if kind == b"P":
            answer = execute(connection, body.split(b"\0")[1].decode())
        elif kind == b"S":
            peer.sendall(answer + message(b"Z", b"I"))
        elif kind == b"X":
            sys.exit(0)

listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(8)
print("ready", flush=True)
import os
while True:
    peer, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        serve(peer)
    peer.close()
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
'''


class Liar:
    """Stands between a client and `server`; its socket lies in `folder`."""

    def __init__(self, server, folder, lies):
        self.folder = folder
        self.data_dir = server.data_dir
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, os.path.join(folder, ".s.PGSQL.5432"), server.conninfo,
             json.dumps(lies)],
            user="postgres", group="postgres", extra_groups=[], cwd=server.data_dir,
            stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout.readline() == "ready\n"
        self.pid = Pid(self.process.pid)

    @property
    def conninfo(self):
        return f"host={self.folder} user=postgres dbname=postgres"

    def close(self):
        if self.process.returncode is not None:
            return
        os.killpg(self.process.pid, 9)
        self.process.wait()
        self.process.stdout.close()
        self.pid.close()
