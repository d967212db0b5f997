# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of README that restore a backup by hand, run as they stand there."""
import os
import re
import subprocess

from harness import invariants
from harness.postgres import USER, bindir

README = os.path.join(os.environ["DBSNAP_SRCDIR"], "README.md")


def commands():
    with open(README, encoding="utf-8") as file:
        block = re.search(r"<!-- restore by hand: begin -->\n(.*?)<!-- restore by hand: end -->",
                          file.read(), re.S).group(1)
    return re.sub("^    ", "", block, flags=re.M)


def test_restore_by_hand(srv, make_disk, make_server, make_daemon):
    disk = make_disk(mnt="/srv/pg")
    disk.subvolume("orders", USER)
    server = make_server("/srv/pg/orders")
    daemon = make_daemon()
    daemon.add_server("orders", server)
    daemon.start()
    server.sql("CREATE TABLE t AS SELECT 1 AS n")
    backup = daemon.api.create_and_wait("orders")["BackupId"]
    server.sql("DELETE FROM t")

    # systemctl stands for this server; the backup's number is the only thing changed.
    systemctl = (f'systemctl() {{ runuser -u {USER} -- {bindir()}/pg_ctl -D /srv/pg/orders '
                 f'-w -s -l {server.log} "$1"; }}\n')
    script = "set -eu\n" + systemctl + re.sub(r"/orders/17/", f"/orders/{backup}/", commands())
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd="/",
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    server.attach()

    assert server.sql("SELECT n FROM t") == [(1,)]
    server.amcheck()
    daemon.api.create_and_wait("orders")
    invariants.check(daemon, disk)
