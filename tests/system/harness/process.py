# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting on events, and finding processes by what they are."""
import os
import select
import signal
import socket
import threading
import time


def eventually(probe, timeout=30.0, what=None):
    """Return probe()'s first true answer; fail after timeout seconds.

    Only for states of which neither the kernel nor the program tells by an event.
    """
    end = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what or probe}")
        pause.wait(0.005)


class Pid:
    """One process, held by its pidfd: never another that got the same number."""

    def __init__(self, pid):
        self.pid = pid
        self.fd = -1
        self.fd = os.pidfd_open(pid)

    def signal(self, number):
        signal.pidfd_send_signal(self.fd, number)

    def kill(self):
        self.signal(signal.SIGKILL)

    def alive(self):
        return not self.ended(0)

    def ended(self, timeout):
        poll = select.poll()  # select() takes no descriptor above 1023
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def wait_end(self, timeout=30.0):
        assert self.ended(timeout), f"process {self.pid} still lives after {timeout} s"

    def wait_reaped(self, timeout=30.0):
        """Its parent has taken notice of its end, which wait_end does not tell."""
        self.wait_end(timeout)
        eventually(lambda: not os.path.exists(f"/proc/{self.pid}"), timeout, f"process {self.pid} reaped")

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self):
        self.close()


def held(pids):
    """A Pid of each that still lives: any may have ended since it was counted."""
    found = []
    for pid in pids:
        try:
            found.append(Pid(pid))
        except ProcessLookupError:
            continue
    return found


def status_fields(pid):
    """/proc/PID/status as a dict, {} when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return {k: v.strip() for k, _, v in (line.partition(":") for line in file)}
    except (FileNotFoundError, ProcessLookupError):
        return {}


def offspring(pid):
    """Numbers of the children of a process, zombies too: the kernel's own list, which takes no time."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(p) for p in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def children(pid):
    """Numbers of the living children of a process (zombies are not living)."""
    return [p for p in offspring(pid) if status_fields(p).get("State", "Z")[0] not in "ZX"]


def program(pid):
    """Base name of a process's executable, "" when it is gone."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def open_files(pid):
    """What the descriptors of a process point to, by number."""
    links = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            links[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            continue
    return links


def refuses_descriptors(sock):
    """Can this kernel keep a peer from sending descriptors (SO_PASSRIGHTS)?"""
    try:
        return sock.getsockopt(socket.SOL_SOCKET, 83) in (0, 1)
    except OSError:
        return False
