# SPDX-License-Identifier: GPL-3.0-or-later
"""The front's end of the engine's link, in the hands of a test.

A folder of programs is prepared with a stub as dbsnapd-front; accept() takes over the
descriptors of the next front that the engine starts.
"""
import os
import shutil
import socket

from scenario import msgs

from .process import Pid

INSTALL = bytes(range(16))


class Fronts:
    """The programs' folder with the stub in it, and the fronts that were started."""

    def __init__(self, programs, folder):
        self.bin = folder
        for name in os.listdir(programs):
            if name != "dbsnapd-front":
                os.link(os.path.join(programs, name), os.path.join(folder, name))
        stub = os.path.join(folder, "dbsnapd-front")
        shutil.copy(os.path.join(os.path.dirname(__file__), "front_stub.py"), stub)
        os.chmod(stub, 0o755)
        path = os.path.join(folder, "control.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen()
        self.accepted = []
        self.keep = None  # a list: takes the listening sockets, which are closed otherwise

    def accept(self, timeout=30):
        self.listener.settimeout(timeout)
        control, _ = self.listener.accept()
        data, fds, _, _ = socket.recv_fds(control, 64, 16)
        self.accepted.append(Front(control, int(data), fds, self.keep))
        return self.accepted[-1]

    def close(self):
        for front in self.accepted:
            front.close()
        self.listener.close()


class Front:
    """One front. Messages that nobody waits for are kept in `seen`."""

    def __init__(self, control, pid, fds, keep=None):
        self.control = control
        self.process = Pid(pid)
        self.link = socket.socket(fileno=fds[0])
        if keep is None:
            for listener in fds[1:]:
                os.close(listener)  # with it the socket would outlive its daemon
        else:
            keep.extend(fds[1:])
        self.seen = []
        self.tag = 0

    # Talking

    def send(self, name, tag=0, **fields):
        self.link.send(msgs.encode(name, tag, **fields))

    def receive(self, timeout=20):
        """The next message; None at the end of the link."""
        self.link.settimeout(timeout)
        try:
            data = self.link.recv(65536)
        except ConnectionResetError:
            return None
        return msgs.decode(data) if data else None

    def wait(self, *names, timeout=20, **fields):
        """The next message of one of these names with these fields; others go to `seen`."""
        while True:
            msg = self.receive(timeout)
            assert msg is not None, f"the link ended before {names}; seen {self.seen[-5:]}"
            if msg.name in names and all(getattr(msg, k) == v for k, v in fields.items()):
                return msg
            self.seen.append(msg)

    def hello(self, records=(), install=INSTALL):
        """Configuration, RECORDS, HELLO; the RUNNING messages."""
        self.wait("CONFIG_END")
        self.config = list(self.seen)
        for cluster, count in records:
            self.send("RECORDS", cluster=cluster, records=count)
        self.send("HELLO", protocol=1, install=install, clusters=len(records))
        return self.until_end()

    def until_end(self):
        running = []
        while True:
            msg = self.wait("RUNNING", "RUNNING_END")
            if msg.name == "RUNNING_END":
                assert msg.jobs == len(running)
                return running
            running.append(msg)

    def ask(self, name, end, **fields):
        """A question; its last answer, and the list of the others."""
        self.tag += 1
        self.send(name, self.tag, **fields)
        others = []
        while True:
            msg = self.receive()
            assert msg is not None, "the link ended"
            if msg.tag != self.tag:
                self.seen.append(msg)
            elif msg.name == end:
                return msg, others
            else:
                others.append(msg)

    def probe(self, cluster, exclusive=False):
        """(PROBED, items)"""
        probed, items = self.ask("PROBE", "PROBED", cluster=cluster, exclusive=exclusive)
        assert probed.items == len(items)
        return probed, items

    def check(self, cluster, depth=msgs.LAYOUT):
        return self.ask("CHECK", "CHECKED", cluster=cluster, depth=depth)

    # Jobs

    def start_job(self, kind, cluster, job, **fields):
        """Sends a JOB; a create's backup is its job."""
        fields.setdefault("backup", job if kind == msgs.CREATE else 0)
        fields.setdefault("nonce", nonce_of(job))
        fields.setdefault("attempt", 1)
        self.tag += 1
        self.send("JOB", self.tag, job=job, kind=kind, cluster=cluster, mode=1, accepted_ms=1700000000000,
                  principal="uid:0", **fields)

    def result(self, job, timeout=30):
        return self.wait("RESULT", job=job, timeout=timeout)

    def run(self, kind, cluster, job, **fields):
        self.start_job(kind, cluster, job, **fields)
        return self.result(job)

    def create(self, cluster, job, **fields):
        return self.run(msgs.CREATE, cluster, job, **fields)

    def delete(self, cluster, job, backup, **fields):
        return self.run(msgs.DELETE, cluster, job, backup=backup,
                        **{"nonce": nonce_of(backup), **fields})

    # Ends

    def exit(self, status):
        """The process ends with this status, as if by itself."""
        self.control.send(bytes([status]))

    def close(self):
        self.link.close()
        self.control.close()


def nonce_of(number):
    return number.to_bytes(16, "big")
