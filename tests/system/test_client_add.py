# SPDX-License-Identifier: GPL-3.0-or-later
"""`dbsnap cluster add`: servers found in /proc, files proposed, written and checked; and
the completion. The servers are copies of sleep named postgres, but for one real one."""
import os
import pty
import shutil
import stat
import subprocess

import pytest
import yaml

from harness.disk import run
from harness.fake import Fake
from harness.process import children, eventually, program

DONE, REFUSED, USAGE = range(3)


@pytest.fixture
def host(root, programs, folder):
    """The fixture's Host: dbsnap with a clusters_dir and a scripted dbsnapd of its own."""
    host = Host(programs, folder)
    yield host
    host.close()


class Host:
    def __init__(self, programs, folder):
        self.dbsnap = os.path.join(programs, "dbsnap")
        self.folder = folder
        self.clusters_dir = os.path.join(folder, "clusters.d")
        self.bin = os.path.join(folder, "bin")
        self.config = os.path.join(folder, "dbsnapd.yaml")
        self.servers = []
        os.mkdir(self.bin)
        shutil.copy("/bin/sleep", os.path.join(self.bin, "postgres"))

    def server(self, data_dir, port=5433, sockets="/run/pg", user="postgres"):
        """Something that looks like a server's main process in data_dir."""
        process = subprocess.Popen([os.path.join(self.bin, "postgres"), "600"], cwd=data_dir,
                                   user=user)
        self.servers.append(process)
        with open(os.path.join(data_dir, "PG_VERSION"), "w", encoding="utf-8") as file:
            file.write("15\n")
        with open(os.path.join(data_dir, "postmaster.pid"), "w", encoding="utf-8") as file:
            file.write(f"{process.pid}\n{data_dir}\n1700000000\n{port}\n{sockets}\n\n")
        return process

    def judge(self, script):
        """What `dbsnapd -t` does from now on."""
        path = os.path.join(self.bin, "dbsnapd")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)

    def add(self, *argv, **options):
        """`cluster add` with our folder and configuration."""
        return subprocess.run(
            [self.dbsnap, "--socket", os.path.join(self.folder, "none"), "cluster", "add",
             "--clusters-dir", self.clusters_dir, "--config", self.config, *argv],
            text=True, capture_output=True, timeout=60,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}"},
            **{"stdin": subprocess.DEVNULL, **options})

    def files(self):
        return sorted(os.listdir(self.clusters_dir)) if os.path.exists(self.clusters_dir) else []

    def close(self):
        for process in self.servers:
            process.kill()
            process.wait()


def subvolume(disk, *names):
    path = disk.path(*names)
    run("btrfs", "subvolume", "create", path)
    shutil.chown(path, "postgres", "postgres")
    return path


def test_a_real_server(host, pg):
    host.judge('[ "$*" = "-t -c ' + host.config + '" ]')
    os.umask(0o077)
    try:
        done = host.add("--yes")
    finally:
        os.umask(0o022)
    assert done.returncode == DONE and done.stderr == "", done
    path = os.path.join(host.clusters_dir, "pg.yaml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert yaml.safe_load(text) == {
        "id": "pg", "data_dir": pg.data_dir,
        "database": {"type": "postgresql", "user": "postgres",
                     "conninfo": f"host={pg.sockets} port=5432 dbname=postgres"}}
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert all("    " + line in done.stdout for line in text.splitlines())
    assert "dbsnap cluster check pg" in done.stdout
    assert host.files() == ["pg.yaml"]


def test_a_real_mariadb(host, btrfs, make_mariadb, make_daemon):
    """What is proposed for it is a file that it can be backed up by."""
    server = make_mariadb(subvolume(btrfs, "shop"))
    done = host.add("--yes")
    assert done.returncode == DONE, done.stderr
    with open(os.path.join(host.clusters_dir, "shop.yaml"), encoding="utf-8") as file:
        found = yaml.safe_load(file)
    assert found == {"id": "shop", "data_dir": server.data_dir,
                     "database": {"type": "mariadb", "user": "mysql", "conninfo": f"socket={server.socket} user=mysql"}}
    daemon = make_daemon()
    daemon.add_cluster("shop", **{key: value for key, value in found.items() if key != "id"})
    daemon.start()
    assert daemon.client("cluster", "check", "shop").returncode == 0
    done = host.add("--data-dir", "/nowhere")
    assert f"{server.data_dir}  (MariaDB 10." in done.stderr and "user mysql)" in done.stderr


def test_none_runs(host):
    done = host.add("--yes")
    assert done.returncode == REFUSED and host.files() == []
    assert "no running PostgreSQL or MariaDB server was found" in done.stderr


def test_none_that_may_be_looked_at(host):
    done = host.add("--yes", user="nobody", group="nogroup", extra_groups=[])
    assert done.returncode == REFUSED and "repeat as root" in done.stderr


def test_several_are_listed_and_one_named(host, btrfs):
    one, two = subvolume(btrfs, "one"), subvolume(btrfs, "two")
    host.server(one), host.server(two, port=5544)
    done = host.add("--yes")
    assert done.returncode == REFUSED and host.files() == []
    assert "--data-dir" in done.stderr and one in done.stderr and "port 5544" in done.stderr
    done = host.add("--yes", "--data-dir", two + "/.", "--id", "other")
    assert done.returncode == DONE and host.files() == ["other.yaml"]
    with open(os.path.join(host.clusters_dir, "other.yaml"), encoding="utf-8") as file:
        assert yaml.safe_load(file)["data_dir"] == two
    done = host.add("--yes", "--data-dir", btrfs.mnt)
    assert done.returncode == REFUSED and "no running PostgreSQL or MariaDB server has" in done.stderr


def test_worker_processes_are_no_servers(host, btrfs):
    """A child of the main process has its executable and its folder, too."""
    path = subvolume(btrfs, "pg")
    main = subprocess.Popen([os.path.join(host.bin, "postgres"), "-c",
                             "import subprocess, sys; subprocess.run([sys.argv[1], '600'])",
                             os.path.join(host.bin, "postgres")], cwd=path,
                            executable=shutil.copy(os.path.realpath("/usr/bin/python3"),
                                                   os.path.join(host.folder, "postgres")))
    host.servers.append(main)
    with open(os.path.join(path, "postmaster.pid"), "w", encoding="utf-8") as file:
        file.write(f"{main.pid}\n{path}\n1\n5432\n/run/pg\n")
    eventually(lambda: [p for p in children(main.pid) if program(p) == "postgres"])
    done = host.add()
    assert "id: pg" in done.stdout, done.stderr


def test_nothing_is_written_unasked(host, btrfs):
    host.server(subvolume(btrfs, "pg"))
    done = host.add()
    assert done.returncode == REFUSED and host.files() == []
    assert "id: pg" in done.stdout and "--yes" in done.stderr


@pytest.mark.parametrize("said, status, files", [
    (b"y\n", DONE, ["pg.yaml"]), (b"n\n", REFUSED, []), (b"\n", REFUSED, [])])
def test_a_terminal_is_asked(host, btrfs, said, status, files):
    host.server(subvolume(btrfs, "pg"))
    ours, theirs = pty.openpty()
    os.write(ours, said)
    done = host.add(stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == status and host.files() == files
    assert "Write this file? [y/N]" in done.stderr


def test_nothing_is_overwritten(host, btrfs):
    host.server(subvolume(btrfs, "pg"), port=5999)
    os.mkdir(host.clusters_dir)
    for name in ("pg.yaml", "taken.yaml"):
        with open(os.path.join(host.clusters_dir, name), "w", encoding="utf-8") as file:
            file.write("id: mine\n")
    done = host.add("--yes", "--id", "taken")
    assert done.returncode == REFUSED and "exists already" in done.stderr
    assert host.add("--yes").returncode == DONE
    assert host.files() == ["pg-5999.yaml", "pg.yaml", "taken.yaml"]
    for name in ("pg.yaml", "taken.yaml"):
        with open(os.path.join(host.clusters_dir, name), encoding="utf-8") as file:
            assert file.read() == "id: mine\n"


def test_a_server_is_registered_once(host, btrfs):
    host.server(subvolume(btrfs, "pg"))
    assert host.add("--yes").returncode == DONE
    done = host.add("--yes", "--id", "again")
    assert done.returncode == REFUSED and "registered already" in done.stderr
    assert host.files() == ["pg.yaml"]


def test_a_refused_file_is_removed(host, btrfs):
    host.server(subvolume(btrfs, "pg"))
    host.judge(f'[ -e {host.clusters_dir}/pg.yaml ] || exit 0; echo "pg.yaml:3: no" >&2; exit 1')
    done = host.add("--yes")
    assert done.returncode == REFUSED and host.files() == []
    assert "pg.yaml:3: no" in done.stderr and "removed again" in done.stderr


def test_a_configuration_broken_before_is_told(host, btrfs):
    host.server(subvolume(btrfs, "pg"))
    host.judge('echo "old.yaml:1: no" >&2; exit 1')
    done = host.add("--yes")
    assert done.returncode == REFUSED and host.files() == []
    assert "as it is now" in done.stderr and "old.yaml:1: no" in done.stderr


@pytest.mark.parametrize("name, cluster_id", [
    ("Orders_DB", "orders-db"), ("postgresql/15/main", "postgresql-15-main"), ("x y", "x-y")])
def test_the_id_comes_from_the_folder(host, btrfs, name, cluster_id):
    os.makedirs(os.path.dirname(btrfs.path(name)), exist_ok=True)
    host.server(subvolume(btrfs, name))
    done = host.add("--yes")
    assert done.returncode == DONE, done
    with open(os.path.join(host.clusters_dir, cluster_id + ".yaml"), encoding="utf-8") as file:
        assert yaml.safe_load(file)["data_dir"] == btrfs.path(name)


def test_paths_are_quoted(host, btrfs):
    host.server(subvolume(btrfs, 'a: "b" #\'c\''), sockets="/run/p g's\\")
    assert host.add("--yes", "--id", "odd").returncode == DONE
    with open(os.path.join(host.clusters_dir, "odd.yaml"), encoding="utf-8") as file:
        written = yaml.safe_load(file)
    assert written["data_dir"] == btrfs.path('a: "b" #\'c\'')
    assert written["database"]["conninfo"] == \
        "host='/run/p g\\'s\\\\' port=5433 dbname=postgres"


@pytest.mark.parametrize("bad", ["Upper", "x", "../etc", "a" * 64, "-a", ""])
def test_an_id_that_is_none(host, btrfs, bad):
    host.server(subvolume(btrfs, "pg"))
    done = host.add("--yes", "--id=" + bad)
    assert done.returncode == USAGE and host.files() == []


def test_a_folder_that_is_no_subvolume(host, btrfs):
    path = btrfs.path("plain")
    os.mkdir(path)
    host.server(path)
    done = host.add("--yes")
    assert done.returncode == DONE and host.files() == ["plain.yaml"]
    assert "not a subvolume" in done.stderr
    commands = [line.strip() for line in done.stderr.splitlines() if line.startswith("    ")]
    assert len(commands) == 4
    host.servers[-1].kill()
    host.servers[-1].wait()
    for command in commands:
        run("sh", "-c", command)
    host.server(path)
    done = host.add("--yes", "--clusters-dir", os.path.join(host.folder, "again"))
    assert done.returncode == DONE and done.stderr == "", "the advice is good"


def test_another_file_system(host, make_disk):
    disk = make_disk("ext4", "200M")
    os.mkdir(disk.path("pg"))
    host.server(disk.path("pg"))
    done = host.add("--yes")
    assert done.returncode == DONE and host.files() == ["pg.yaml"]
    assert "lies on ext4" in done.stderr and "cluster check" in done.stderr


def test_an_xfs_of_its_own_has_no_place_beside(host, make_disk):
    host.server(make_disk("xfs", "400M").mnt)
    done = host.add("--yes")
    assert done.returncode == REFUSED and host.files() == []
    assert "mount of its own" in done.stderr and "backend: copy" in done.stderr


def test_a_mount_of_its_own_needs_another(host, btrfs, folder):
    subvolume(btrfs, "vol")
    mnt = os.path.join(folder, "mnt")
    os.mkdir(mnt)
    run("mount", "-o", "loop,subvol=vol", btrfs.image, mnt)
    try:
        host.server(mnt)
        done = host.add("--yes")
        assert done.returncode == DONE, done
        with open(os.path.join(host.clusters_dir, "mnt.yaml"), encoding="utf-8") as file:
            assert yaml.safe_load(file)["snapshot_dir"] == btrfs.path(".dbsnap", "mnt")
        os.unlink(os.path.join(host.clusters_dir, "mnt.yaml"))
        btrfs.umount()
        done = host.add("--yes")
        assert done.returncode == REFUSED and host.files() == []
        assert "mount of its own" in done.stderr and "subvolid=5" in done.stderr
    finally:
        host.close()
        run("umount", mnt)


def test_hostile_files_in_the_folder(host, btrfs, folder):
    """What the database's user put there makes no command of ours wait or read elsewhere."""
    path = subvolume(btrfs, "pg")
    host.server(path)
    pid_file = os.path.join(path, "postmaster.pid")
    shutil.move(pid_file, os.path.join(folder, "elsewhere"))
    os.mkfifo(pid_file)
    done = host.add("--yes")
    assert done.returncode == REFUSED and "no Unix socket that is known" in done.stderr
    os.unlink(pid_file)
    os.symlink(os.path.join(folder, "elsewhere"), pid_file)
    assert host.add("--yes").returncode == REFUSED
    os.unlink(pid_file)
    with open(pid_file, "w", encoding="utf-8") as file:
        file.write(f"{host.servers[0].pid}\n{path}\n1\n5432\n/run/\x1b[2J\n")
    done = host.add("--yes")
    assert done.returncode == REFUSED and "\x1b" not in done.stdout + done.stderr
    assert host.files() == []


# Completion.

@pytest.fixture
def complete(programs, folder):
    """complete("dbsnap backup ...") -> the words offered for the last, unfinished one."""
    fake = Fake(os.path.join(folder, "s")).start()
    fake.items("DescribeDBClusters", "DBCluster",
               [{"DBClusterId": "pc-orders"}, {"DBClusterId": "pc-stock"}])
    fake.items("DescribeBackups", "Backup", [{"BackupId": "12", "DBClusterId": "pc-orders"}])
    fake.items("DescribeClones", "Clone", [{"CloneName": "c1", "DBClusterId": "pc-orders"}])
    fake.items("DescribeJobs", "Job", [{"JobId": "14", "DBClusterId": "pc-stock"}])
    script = os.path.join(os.environ["DBSNAP_SRCDIR"], "client", "completion", "dbsnap")

    def words(line, socket=fake.path):
        code = (f'source {script}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); '
                '_dbsnap; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-uc", code], capture_output=True, text=True, timeout=30,
                              env={"PATH": f"{programs}:{os.environ['PATH']}",
                                   "DBSNAP_SOCKET": socket})
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return done.stdout.split()
    yield words
    fake.stop()


@pytest.mark.parametrize("line, offered", [
    ("dbsnap ''", ["backup", "clone", "cluster", "job", "policy", "quarantine", "restore", "status"]),
    ("dbsnap cl", ["clone", "cluster"]),
    ("dbsnap backup ''", ["create", "list", "show", "delete", "verify", "hold", "unhold"]),
    ("dbsnap --json backup s", ["show"]),
    ("dbsnap backup create pc-o", ["pc-orders"]),
    ("dbsnap --socket x cluster ch", ["check"]),
    ("dbsnap cluster check ''", ["pc-orders", "pc-stock"]),
    ("dbsnap backup show ''", ["12"]),
    ("dbsnap clone create 1", ["12"]),
    ("dbsnap clone delete ''", ["c1"]),
    ("dbsnap job cancel ''", ["14"]),
    ("dbsnap backup create --w", ["--wait"]),
    ("dbsnap backup create --token x pc-s", ["pc-stock"]),
    ("dbsnap backup list --t", []),
    ("dbsnap --v", ["--version"]),
    ("dbsnap policy ''", ["show", "set", "test"]),
    ("dbsnap policy set pc-s", ["pc-stock"]),
    ("dbsnap policy set --every 3", ["3h"]),
    ("dbsnap policy set --keep 3 pc-s", ["pc-stock"]),
    ("dbsnap policy set x --dr", ["--dry-run"]),
    ("dbsnap policy test uid:1 CreateBackup pc-s", ["pc-stock"]),
    ("dbsnap policy test --mode A", ["Automated"]),
    ("dbsnap policy test -c x --t", ["--time"]),
    ("dbsnap cluster add --d", ["--data-dir"])])
def test_completion(complete, line, offered):
    assert complete(line) == offered


def test_completion_without_a_daemon(complete):
    assert complete("dbsnap backup create ''", socket="/nowhere") == []
