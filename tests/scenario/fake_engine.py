# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that answers a real dbsnapd-front from fake disks.

A thread reads the front's messages. What is in `auto` (by default everything) is
answered at once; types taken out of it by hold() wait for the test: wait("JOB") gives
the next one, and the test answers with done(), fail(), unknown() and the like.
"""
import socket
import threading

import msgs


class Gone(AssertionError):
    """The front has closed its end."""


class FakeEngine:
    def __init__(self, world, sock):
        self.world = world
        self.sock = sock
        self.lock = threading.Condition()
        self.inbox = []    # messages that wait for the test, in order
        self.seen = []     # every message, in order
        self.flying = {}   # jobs by number that were not answered
        self.held = set()
        self.error = None
        self.closed = False
        self.pings = 0
        self.thread = None

    def start(self):
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while data := self.sock.recv(65536):
                self.take(msgs.decode(data))
        except OSError:
            pass
        except Exception as error:  # told to whoever waits
            self.error = error
        with self.lock:
            self.closed = True
            self.lock.notify_all()

    def take(self, msg):
        with self.lock:
            self.seen.append(msg)
            if msg.name == "JOB":
                self.world.check_job(self, msg)
                self.flying[msg.job] = msg
            answer = getattr(self, "on_" + msg.name.lower(), None)
            if msg.name in self.held or answer is None:
                self.inbox.append(msg)
            else:
                answer(msg)
            self.lock.notify_all()

    def send(self, name, tag=0, /, **fields):
        try:
            self.sock.send(msgs.encode(name, tag, **fields))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def hold(self, *names):
        with self.lock:
            self.held.update(names)

    def release(self, *names):
        """Answers what has waited, and from now on at once."""
        with self.lock:
            self.held.difference_update(names)
            for msg in [m for m in self.inbox if m.name in names]:
                self.inbox.remove(msg)
                getattr(self, "on_" + msg.name.lower())(msg)

    def wait_for(self, probe, timeout=20.0, what=""):
        """Waits for a true probe() over what has come."""
        with self.lock:
            end = self.lock.wait_for(lambda: self.error or probe() or self.closed, timeout)
            if self.error:
                raise self.error
            answer = probe()
            if not answer and self.closed:
                raise Gone(f"the front has gone; waited for {what}: {self.world.stderr()}")
            assert end and answer, f"not within {timeout} s: {what}; last {self.seen[-5:]}"
            return answer

    def wait(self, name, timeout=20.0, **fields):
        """Takes the first waiting message of that name and these fields."""
        def found():
            for msg in self.inbox:
                if msg.name == name and all(getattr(msg, k) == v for k, v in fields.items()):
                    return msg
            return None
        msg = self.wait_for(found, timeout, f"{name} {fields}")
        with self.lock:
            self.inbox.remove(msg)
        return msg

    def waiting(self, name):
        """How many of that name wait now."""
        with self.lock:
            return sum(m.name == name for m in self.inbox)

    def count(self, name, **fields):
        with self.lock:
            return sum(m.name == name and all(getattr(m, k) == v for k, v in fields.items())
                       for m in self.seen)

    def ping(self):
        """Returns when the front has answered: it has read all that was sent before."""
        with self.lock:
            self.pings += 1
            number = self.pings
        self.send("PING", number=number)
        self.wait("PONG", number=number)

    def settle(self):
        """A few turns of the front's loop, before saying that something was not done."""
        for _ in range(4):
            self.ping()

    def logged(self, text):
        """Waits for a line of the log that contains the text."""
        return self.wait_for(lambda: next((m for m in self.seen if m.name == "LOG" and
                                           text in m.text), None), what=f"log: {text}")

    # Answers. The lock is held.

    def on_log(self, msg):
        pass

    def on_probe(self, msg):
        place = self.world.place_of(msg.cluster)
        if place is None:
            self.send("PROBED", msg.tag, cluster=msg.cluster, place=msgs.REFUSED,
                      code=msgs.ERR_NOT_FOUND, cause="not configured")
            return
        count = 0
        if place.state == msgs.ONLINE:
            for name, thing in place.things.items():
                self.send("PROBED_ITEM", msg.tag, cluster=msg.cluster, item=thing.item,
                          backup=thing.backup, name=name.replace("clones/.", "clones/"), owner=thing.owner,
                          facts={**thing.facts, "nonce": thing.nonce})
                count += 1
        self.send("PROBED", msg.tag, cluster=msg.cluster, place=place.state, items=count,
                  cause=place.cause, snapshot_dir=place.snapshot_dir,
                  free_bytes=place.free, total_bytes=place.total,
                  file_system=place.file_system)

    def on_check(self, msg):
        place = self.world.places.get(msg.cluster)
        if place is None or place.state != msgs.ONLINE:
            self.send("CHECKED", msg.tag, cluster=msg.cluster, depth=msg.depth,
                      place=place.state if place else msgs.REFUSED, code=msgs.ERR_OFFLINE,
                      refusal="its marker is not there")
            return
        if msg.depth == msgs.PLAN:
            self.send("CHECKED", msg.tag, cluster=msg.cluster, depth=msg.depth, place=msgs.ONLINE,
                      ok=not place.in_the_way, refusal=place.in_the_way, remedy=place.in_the_way and "end it",
                      steps=f"copy backup {msg.backup}\nexchange")
            return
        if msg.depth == msgs.LAYOUT:
            self.send("CHECKED_PART", msg.tag, cluster=msg.cluster, role="data",
                      path=f"/srv/{msg.cluster}", device="0:45", file_system="btrfs",
                      subvolume="id 257", inside=True, taken="snapshot", **(place.sizes if msg.survey else {}))
        self.send("CHECKED", msg.tag, cluster=msg.cluster, depth=msg.depth,
                  place=msgs.ONLINE, ok=place.layout_ok,
                  code=0 if place.layout_ok else place.refusal_code,
                  retry=not place.layout_ok and place.refusal_passes, backend="btrfs", procedure="A",
                  promise="atomic", database="postgresql", server="PostgreSQL 15.6",
                  snapshot_dir=place.snapshot_dir, refusal=place.refusal,
                  free_bytes=place.free, total_bytes=place.total,
                  space_low=place.space_low, space="too little" if place.space_low else "",
                  cut_us=-1, expected="as long as it takes", weakened="fsync is odd", account="CREATE ROLE a;\nGRANT b;")

    def on_measure(self, msg):
        self.send("MEASURED", msg.tag, cluster=msg.cluster, backup=msg.backup,
                  size=self.world.place_of(msg.cluster).size, measured_ms=self.world.wall_ms)

    def on_serve(self, msg):
        self.serving(msg)

    def on_unserve(self, msg):
        self.served(next(m for m in reversed(self.seen) if m.name == "SERVE" and m.clone == msg.clone))

    def serving(self, msg):
        self.send("SERVING", msg.tag, cluster=msg.cluster, clone=msg.clone, nonce=msg.nonce)

    def served(self, msg, code=0, cause=""):
        self.send("SERVED", msg.tag, cluster=msg.cluster, clone=msg.clone, nonce=msg.nonce, code=code,
                  cause=cause)

    def on_job(self, msg):
        self.running(msg)
        self.done(msg)

    def on_cancel(self, msg):
        order = self.flying.get(msg.job)
        if order and self.is_whole(order):
            self.done(order)
        elif order:
            self.cancelled(order)

    # What a test does with a JOB that it held.

    def running(self, order, phase=msgs.PREPARING, percent=0):
        self.send("RUNNING", job=order.job, kind=order.kind, cluster=order.cluster,
                  attempt=order.attempt, phase=phase, percent=percent)

    def progress(self, order, phase, percent, done=0, total=0):
        self.send("PROGRESS", job=order.job, phase=phase, percent=percent, bytes_done=done,
                  bytes_total=total)

    def result(self, order, outcome, **fields):
        with self.lock:
            self.flying.pop(order.job, None)
        self.send("RESULT", job=order.job, attempt=order.attempt, outcome=outcome, **fields)

    def perform(self, order):
        """Does the job's work on the fake disk; the fields of its RESULT."""
        place = self.world.place_of(order.cluster)
        if order.kind == msgs.CREATE:
            return {"facts": place.create(order, self.world.wall_ms)}
        if order.kind == msgs.CLONE:
            place.clone(order)
            return {"socket_dir": f"{place.snapshot_dir}/clones/{order.clone}", "port": 5432}
        if order.kind == msgs.VERIFY:
            place.verify(order)
            return {"verdict": msgs.GOOD, "checked": "all of it"}
        if order.kind == msgs.RESTORE:
            place.restored.append(order.backup)
            return {"kept": f"/srv/{order.cluster}.before-{order.job}"}
        if order.kind in (msgs.DELETE, msgs.DELETE_QUARANTINED):
            place.mark(order)
        place.remove(order)
        return {}

    def done(self, order):
        with self.lock:
            self.result(order, msgs.DONE, **self.perform(order))

    def is_whole(self, order):
        place = self.world.place_of(order.cluster)
        thing = place.things.get(f"clones/{order.clone}" if order.clone else str(order.backup))
        return thing is not None and thing.nonce == order.nonce

    def leave_nothing(self, order):
        """What FAILED and CANCELLED of a create or clone promise."""
        if order.kind in (msgs.CREATE, msgs.CLONE, msgs.VERIFY) and not self.is_whole(order):
            self.world.place_of(order.cluster).remove_partial(order)

    def fail(self, order, cause="the server said no", code=msgs.ERR_DATABASE, retry=True):
        self.leave_nothing(order)
        self.result(order, msgs.FAILED, retry=retry, code=code, cause=cause, remedy="look")

    def cancelled(self, order):
        self.leave_nothing(order)
        self.result(order, msgs.CANCELLED, code=-19)

    def unknown(self, order, code=msgs.ERR_UNKNOWN):
        self.result(order, msgs.UNKNOWN, code=code, cause="the worker was killed")

    def busy(self, order):
        self.result(order, msgs.BUSY)

    def close(self):
        """The engine dies: the front sees the end of the link."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.thread:
            self.thread.join(10)
        self.sock.close()
