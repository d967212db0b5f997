# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the system tests; README in this folder says which one to take."""
import grp
import os
import shutil
import subprocess

import pytest

from harness import daemon as daemons
from harness import mariadb, postgres
from harness.deaths import Deaths
from harness.disk import Disk, run
from harness.liar import Liar
from harness.load import Pgbench
from harness.ordinary import OwnDaemon, User
from harness.scratch import Scratch
from harness.systemd import Systemd

# Two parts that run at the same time, each in namespaces of its own: tests/check-databases has these files, tests/check-system
# the rest, whoever names no part all of them.
DATABASES = ("test_cells", "test_clone_running", "test_helper_", "test_mariadb", "test_postgresql", "test_restore",
             "test_standby", "test_verify")


def pytest_ignore_collect(collection_path):
    part = os.environ.get("DBSNAP_PART")
    name = collection_path.name
    if part and name.startswith("test_"):
        return name.startswith(DATABASES) != (part == "databases") or None
    return None


@pytest.fixture(scope="session")
def root():
    """Skips where the run is not root's."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts, users, snapshots")


@pytest.fixture(scope="session")
def scratch():
    scratch = Scratch()
    # Else mount(8) notes options in /run/mount, which is the system's.
    os.environ["LIBMOUNT_UTAB"] = os.path.join(scratch.path, "utab")
    yield scratch
    scratch.remove()


@pytest.fixture(scope="session")
def programs(scratch):
    """Folder with copies of the built programs, within every user's reach."""
    return scratch.copy_programs()


@pytest.fixture(scope="session")
def seccomp_mode():
    """What /proc/PID/status says of a caged helper: no filter of its own in a sanitizer's build."""
    with open(os.path.join(os.environ["DBSNAP_BUILDDIR"], "config.h"), encoding="utf-8") as file:
        return "0" if "#define WITH_SANITIZER 1" in file.read() else "2"


@pytest.fixture
def folder(scratch, request):
    """A folder of this test's own, 0755, gone after it."""
    path = scratch.folder("t")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make_disk(root, scratch):
    """make_disk(kind="btrfs", size="2G", options="", mnt=None): a Disk, unmounted after.

    mnt: where it is mounted (made for it), when that matters.
    """
    made = []

    def make(kind="btrfs", size="2G", options="", mnt=None):
        if shutil.which(f"mkfs.{kind}") is None:
            pytest.skip(f"needs mkfs.{kind}")
        made.append(Disk(scratch.folder("disk"), kind, size, options, mnt))
        return made[-1]
    yield make
    for disk in reversed(made):
        disk.close()


@pytest.fixture
def btrfs(make_disk):
    return make_disk("btrfs")


@pytest.fixture
def srv(root):
    """An empty /srv, for this run's mount namespace alone: paths as an administrator's."""
    if "DBSNAP_OWN_MOUNTS" not in os.environ:
        pytest.skip("needs a mount namespace of its own")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/srv")
    yield "/srv"
    run("umount", "--lazy", "/srv")


@pytest.fixture(scope="session")
def pg_template(root, scratch):
    """A data directory made by initdb, to copy from: initdb takes seconds."""
    if not postgres.available():
        pytest.skip("needs the server programs of PostgreSQL and the user postgres")
    path = scratch.folder("template")
    os.chmod(path, 0o700)
    shutil.chown(path, postgres.USER, postgres.USER)
    postgres.initdb(path)
    return path


@pytest.fixture
def make_server(pg_template, scratch):
    """make_server(data_dir, fresh=False, start=True, folder=None): a Server on data_dir.

    fresh=True runs initdb (a system identifier of its own) instead of copying; folder
    takes log and socket.
    """
    made = []

    def make(data_dir, fresh=False, start=True, folder=None):
        server = postgres.Server(data_dir, folder or scratch.folder("pg"))
        made.append(server)
        server.create(None if fresh else pg_template)
        if start:
            server.start()
        return server
    yield make
    for server in reversed(made):
        server.close()


@pytest.fixture(scope="session")
def mariadb_template(root, scratch):
    """A data directory made by mariadb-install-db, to copy from: that takes seconds."""
    if not mariadb.available():
        pytest.skip("needs the server of MariaDB and the user mysql")
    path = scratch.folder("template")
    os.chmod(path, 0o700)
    shutil.chown(path, mariadb.USER, mariadb.USER)
    mariadb.install(path)
    return path


@pytest.fixture
def make_mariadb(mariadb_template, scratch):
    """make_mariadb(data_dir, start=True, user="mysql", **settings): a mariadb.Server on data_dir, ended after the test."""
    made = []

    def make(data_dir, start=True, **settings):
        server = mariadb.make(data_dir, scratch.folder("my"), mariadb_template, **settings)
        made.append(server)
        if start:
            server.start()
        return server
    yield make
    for server in reversed(made):
        server.close()


@pytest.fixture
def start_mariadb_clone(root):
    """start_mariadb_clone(path, user="mysql"): the running mariadb.Server of a clone, ended after the test."""
    made = []

    def start(path, **options):
        clone = mariadb.clone_server(path, **options)
        made.append(clone)
        clone.start()
        return clone
    yield start
    for server in reversed(made):
        server.close()


@pytest.fixture
def start_clone(root, scratch):
    """start_clone(path): the running Server of a clone, ended after the test."""
    made = []

    def start(path):
        clone = postgres.start_clone(path, scratch.folder("clone"))
        made.append(clone)
        return clone
    yield start
    for server in reversed(made):
        server.close()


@pytest.fixture
def make_liar(root, scratch):
    """make_liar(server, lies): a Liar that speaks for that server, ended after the test."""
    made = []

    def make(server, lies):
        folder = scratch.folder("liar")
        shutil.chown(folder, postgres.USER, postgres.USER)
        made.append(Liar(server, folder, lies))
        return made[-1]
    yield make
    for liar in reversed(made):
        liar.close()


@pytest.fixture
def pg(btrfs, make_server):
    """A running server on the subvolume `pg` of the btrfs disk."""
    return make_server(btrfs.subvolume("pg", postgres.USER))


@pytest.fixture
def pgbench(pg):
    """pgbench with eight clients running against pg; stop() or the test's end ends it."""
    bench = Pgbench(pg)
    bench.start()
    yield bench
    bench.stop()


@pytest.fixture
def make_daemon(root, programs, scratch):
    """make_daemon(**settings): a configured Daemon, not started; ended after the test.

    Settings are top-level keys of dbsnapd.yaml: quota={"manual_per_day": 100}.
    """
    try:
        grp.getgrnam("dbsnap")
    except KeyError:
        pytest.skip("needs the user and group dbsnap: systemd-sysusers systemd/sysusers.d/dbsnap.conf")
    made = []

    def make(**settings):
        made.append(daemons.Daemon(programs, scratch.folder("d"), **settings))
        return made[-1]
    yield make
    for daemon in reversed(made):
        daemon.close()


@pytest.fixture
def carol(root, scratch):
    """An ordinary user with a home and a runtime folder, for this run's namespace alone."""
    if "DBSNAP_OWN_MOUNTS" not in os.environ:
        pytest.skip("needs a mount namespace of its own")
    user = User(scratch.folder("u"))
    yield user
    user.close()


@pytest.fixture
def make_own_daemon(carol, programs):
    """make_own_daemon(**settings): carol's dbsnapd, configured, not started; ended after the test."""
    made = []

    def make(**settings):
        made.append(OwnDaemon(programs, carol, **settings))
        return made[-1]
    yield make
    for daemon in reversed(made):
        daemon.close()


@pytest.fixture
def daemon(make_daemon, btrfs, pg):
    """A running daemon with one cluster `main`: the server pg on btrfs, no tight quota."""
    daemon = make_daemon(quota={"manual_per_day": 1000, "manual_retained": 1000,
                                "creates_per_day": 100000})
    daemon.add_server("main", pg)
    return daemon.start()


@pytest.fixture(scope="session")
def many_deaths(root, programs, scratch):
    """Deaths of a daemon without clusters, begun when first asked for: a minute in all."""
    daemon = daemons.Daemon(programs, scratch.folder("deaths"))
    daemon.start()
    deaths = Deaths(daemon)
    deaths.start()
    yield deaths
    daemon.close()
    deaths.join(30)


@pytest.fixture(scope="session")
def installed(scratch):
    """A tree made by `make install DESTDIR=`."""
    path = scratch.folder("installed")
    done = subprocess.run(["make", "-s", "-C", os.environ["DBSNAP_BUILDDIR"], "install",
                           f"DESTDIR={path}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def make_systemd(root, installed, scratch):
    """make_systemd(*folders): a booted Systemd with the folders bound into it."""
    if not os.path.exists(installed + "/usr/local/lib/systemd/system/dbsnapd.service"):
        pytest.skip("needs a build with the default prefix")
    made = []

    def make(*binds):
        made.append(Systemd(scratch.folder("sd"), installed, binds))
        return made[-1]
    yield make
    for system in reversed(made):
        system.close()
