# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of README that restore a backup by hand, and that run dbsnapd without root: as they stand there."""
import os
import re
import subprocess

from harness import invariants, postgres
from harness.disk import run
from harness.postgres import USER, bindir

README = os.path.join(os.environ["DBSNAP_SRCDIR"], "README.md")


def commands(name):
    with open(README, encoding="utf-8") as file:
        block = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", file.read(), re.S).group(1)
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
    script = "set -eu\n" + systemctl + re.sub(r"/orders/17/", f"/orders/{backup}/", commands("restore by hand"))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd="/",
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    server.attach()

    assert server.sql("SELECT n FROM t") == [(1,)]
    server.amcheck()
    daemon.api.create_and_wait("orders")
    invariants.check(daemon, disk)


def test_restore_parts_by_hand(srv, make_disk, make_server, make_daemon):
    """pg_wal and a tablespace on subvolumes of their own."""
    disk = make_disk(mnt="/srv/pg")
    disk.subvolume("orders", USER)
    server = make_server("/srv/pg/orders")
    server.stop()
    run("cp", "-a", "/srv/pg/orders/pg_wal/.", disk.subvolume("wal", USER))
    run("rm", "-r", "/srv/pg/orders/pg_wal")
    os.symlink("/srv/pg/wal", "/srv/pg/orders/pg_wal")
    server.start()
    server.sql(f"CREATE TABLESPACE space LOCATION '{disk.subvolume('space', USER)}'")
    oid = server.value("SELECT oid FROM pg_tablespace WHERE spcname = 'space'")
    daemon = make_daemon()
    daemon.add_server("orders", server)
    daemon.start()
    server.sql("CREATE TABLE t TABLESPACE space AS SELECT 1 AS n")
    backup = daemon.api.create_and_wait("orders")
    assert backup["Dbsnap"]["Procedure"] == "C"
    server.sql("DELETE FROM t")
    server.sql("CHECKPOINT")

    systemctl = (f'systemctl() {{ runuser -u {USER} -- {bindir()}/pg_ctl -D /srv/pg/orders '
                 f'-w -s -l {server.log} "$1"; }}\n')
    lines = commands("restore parts by hand").replace("/orders/17/", f"/orders/{backup['BackupId']}/")
    done = subprocess.run(["bash", "-c", "set -eu\n" + systemctl + lines.replace("/16400", f"/{oid}")],
                          capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    server.attach()

    assert server.sql("SELECT n FROM t") == [(1,)]
    assert server.value("SELECT pg_tablespace_location(%s)", oid) == "/srv/pg/space"
    server.amcheck()
    daemon.api.create_and_wait("orders")
    invariants.check(daemon, disk)


def test_without_root(carol, pg_template, programs):
    server = postgres.Server(carol.folder(os.path.join(carol.home, "orders")),
                             carol.folder(os.path.join(carol.home, "pg")), user=carol.name)
    server.create(pg_template)
    server.start()
    try:
        server.sql(f"CREATE ROLE {carol.name} SUPERUSER LOGIN")     # as if by his own initdb
        # An installed dbsnapd knows where its parts lie; at the end it is stopped.
        script = ("set -eu\n" f'dbsnapd() {{ exec {programs}/dbsnapd --libexec-dir {programs} "$@"; }}\n'
                  "trap 'kill %1; wait' EXIT\n" + commands("without root"))
        done = carol.run("bash", "-c", script, env={"PATH": f"{programs}:/usr/bin:/bin"})
        with open(os.path.join(carol.home, "dbsnapd.log"), encoding="utf-8") as file:
            assert done.returncode == 0, (done.stdout, done.stderr, file.read())
    finally:
        server.close()
    assert "Backup 1 of orders is complete" in done.stdout
