# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system tests stand on.

scratch   the temporary folder of a run, and the programs copied into it
disk      btrfs, XFS and ext4 on loop devices
process   waiting on events, finding the processes of a daemon
postgres  a PostgreSQL server of our own
load      pgbench, and sessions that remember what was acknowledged
client    HTTP over the Unix socket, as any user
daemon    a dbsnapd of our own
hostile   clients that mean harm, and what a daemon must look like after them
reports   what a sanitizer found, in a log
invariants  what must hold whenever nothing is in flight

tests/run-pytest runs everything in mount and pid namespaces of its own where it may:
what a test mounts or starts ends with the run at the latest, whatever ends the run.
See tests/system/README for the fixtures.
"""
