#!/usr/bin/python3 -I
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for dbsnapd-front: hands its descriptors to the test and waits.

The test listens at control.sock in this program's folder. Like the real one it ends with
its link; or when the test says so: a byte is the exit status, end of file is status 0.
"""
import os
import select
import socket
import sys

control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
control.connect(os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "control.sock"))
listeners = range(4, 4 + int(sys.argv[1]))
socket.send_fds(control, [str(os.getpid()).encode()], [3, *listeners])
for listener in listeners:
    os.close(listener)
poll = select.poll()
poll.register(3, 0)  # the end of it only
poll.register(control, select.POLLIN)
ready = dict(poll.poll())
answer = control.recv(1) if control.fileno() in ready else b""
sys.exit(answer[0] if answer else 0)
