# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones with a server: for a time, and ended with whatever runs them. Beside their busy sources: test_clone_running_cells."""
import fcntl
import os
import subprocess
import termios
import time

import pytest

from harness.postgres import USER
from harness.process import Pid, eventually

QUOTA = {"manual_per_day": 10**6, "manual_retained": 10**6, "creates_per_day": 10**6}


@pytest.fixture
def cell(make_disk, make_server, make_daemon):
    """(daemon, server, disk)"""
    disk = make_disk()
    server = make_server(disk.subvolume("pg", USER))
    daemon = make_daemon(quota=QUOTA)
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
    return daemon.start(), server, disk


def servers():
    """{data directory: pid} of the main process of every server that runs on a clone."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as file:
                words = file.read().split("\0")
        except OSError:
            continue
        if os.path.basename(words[0]) == "postgres" and len(words) > 2 and "/clones/" in words[2]:
            found[words[2]] = int(name)
        elif os.path.basename(words[0]) == "mariadbd" and "/clones/" in words[1]:
            found[os.path.dirname(words[1].partition("=")[2])] = int(name)
    return found


def inside(path):
    """How many processes have their working directory in path."""
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            count += os.readlink(f"/proc/{name}/cwd").startswith(path)
        except OSError:
            continue
    return count


def start(daemon, backup, name="c1", **more):
    daemon.api.ok("CloneBackup", BackupId=backup["BackupId"], CloneName=name, Start="true", **more)
    return running(daemon, name)


def running(daemon, name="c1"):
    def settled():
        clone = daemon.api.clone("main", name)
        return clone if clone and (clone["Running"] == "true" or clone.get("Cause")) else None
    clone = eventually(settled, 60, f"{name} runs")
    assert clone["Running"] == "true", clone
    return clone


def gone(daemon, clone):
    path = clone["ClonePath"]
    folder, name = os.path.split(path)
    eventually(lambda: daemon.api.clone("main", clone["CloneName"]) is None, 60, f"{path} deleted")
    assert not [n for n in os.listdir(folder) if name in n]
    assert inside(path) == 0


def ask(clone, sql, user=USER, options="-XAt -v ON_ERROR_STOP=1 -f -"):
    """What the printed command says."""
    done = subprocess.run(["runuser", "-u", user, "--", "sh", "-c", f"{clone['Connect']} {options}"], input=sql, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_its_time_ends(cell):
    daemon, _, _ = cell
    backup = daemon.api.create_and_wait("main")
    clone = start(daemon, backup, TTL="3")
    assert clone["ExpireTime"] and inside(clone["ClonePath"]) > 0
    gone(daemon, clone)
    # One without a server goes at its time as well.
    daemon.api.ok("CloneBackup", BackupId=backup["BackupId"], CloneName="quiet", TTL="1")
    eventually(lambda: daemon.api.clone("main", "quiet") is None, 30, "quiet deleted")
    assert not os.listdir(os.path.dirname(clone["ClonePath"]))


def test_delete_ends_its_server(cell):
    daemon, _, _ = cell
    clone = start(daemon, daemon.api.create_and_wait("main"))
    held = Pid(servers()[clone["ClonePath"]])
    daemon.api.ok("DeleteClone", CloneName="c1")
    held.wait_end()
    gone(daemon, clone)


def shared(pid):
    """Shared memory of the process that has a name of its own on this machine: nobody removes it when the process is killed."""
    with open("/proc/sysvipc/shm", encoding="ascii") as file:
        inodes = {line.split()[1] for line in file.readlines()[1:]}
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        maps = [line.split(maxsplit=5) for line in file]
    return [m[5].strip() for m in maps if len(m) > 5 and (m[5].startswith("/dev/shm/") or
                                                          m[5].startswith("/SYSV") and m[4] in inodes)]


def test_a_server_has_nothing_of_its_starters(cell):
    """No terminal, by which it could type for whoever started dbsnapd; no memory that outlives it."""
    daemon, _, _ = cell
    daemon.stop()
    ours, theirs = os.openpty()
    daemon.caller = {"start_new_session": True, "preexec_fn": lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)}
    daemon.start()
    with open(f"/proc/{daemon.main.pid}/stat", encoding="ascii") as file:
        assert file.read().rpartition(")")[2].split()[4] != "0"
    clone = start(daemon, daemon.api.create_and_wait("main"))
    pid = servers()[clone["ClonePath"]]
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        assert file.read().rpartition(")")[2].split()[4] == "0", "its terminal"
    assert shared(pid) == []
    daemon.stop()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_of_a_daemon_that_ends_no_server_is_left(cell, end):
    """Killed or stopped; the next one runs the clone again, with what was written into it."""
    daemon, _, _ = cell
    clone = start(daemon, daemon.api.create_and_wait("main"))
    ask(clone, "CREATE TABLE kept AS SELECT 1 AS one")
    busy = subprocess.Popen(["runuser", "-u", USER, "--", "sh", "-c", clone["Connect"] + " -c 'SELECT sum(a * 1.0 / b) "
                            "FROM generate_series(1, 1000000) a, generate_series(1, 1000) b'"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: ask(clone, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'") == "2", 30, "a query")
    getattr(daemon, end)()
    eventually(lambda: inside(clone["ClonePath"]) == 0, 20, "no process on the clone")
    busy.wait(30)
    daemon.start()
    assert ask(running(daemon), "SELECT one FROM kept") == "1"


def test_front_that_dies_changes_nothing(cell):
    daemon, _, _ = cell
    clone = start(daemon, daemon.api.create_and_wait("main"))
    before = servers()
    daemon.kill_front()
    assert ask(running(daemon), "SELECT 1") == "1" and servers() == before
    daemon.api.ok("DeleteClone", CloneName="c1")
    gone(daemon, clone)


def test_its_worker_is_killed(cell):
    """No server without whoever watches it; the clone stays and says why it does not run."""
    daemon, _, _ = cell
    clone = start(daemon, daemon.api.create_and_wait("main"))
    held = Pid(servers()[clone["ClonePath"]])
    daemon.kill_one("workers")
    held.wait_end()
    ended = eventually(lambda: (c := daemon.api.clone("main", "c1"))["Running"] == "false" and c, 30, "its end seen")
    assert ended["State"] == "Available" and "signal 9" in ended["Cause"]
    eventually(lambda: inside(clone["ClonePath"]) == 0, 20, "no process on the clone")


def test_a_server_that_does_not_start_tells_why(cell):
    daemon, server, _ = cell
    with open(server.data_dir + "/postgresql.conf", "a", encoding="ascii") as file:
        file.write("no_such_setting_at_all = 1\n")
    backup = daemon.api.create_and_wait("main")
    done = daemon.client("clone", "create", backup["BackupId"], "c1", "--start", "--wait")
    assert done.returncode == 1 and "no_such_setting_at_all" in done.stderr, done
    assert "no_such_setting_at_all" in daemon.api.clone("main", "c1")["Cause"]


def test_its_log_is_bounded(cell):
    """Whatever the server says, and how fast; its last words are there, and it ends as ever."""
    daemon, _, _ = cell
    clone = start(daemon, daemon.api.create_and_wait("main"))
    names = [os.path.join(clone["ClonePath"], "dbsnap.log" + end) for end in ("", ".old")]
    ask(clone, "DO $$ BEGIN FOR i IN 1..300 LOOP RAISE LOG 'word %: %', i, repeat('x', 100000); END LOOP; END $$")

    def last():
        with open(names[0], encoding="ascii", errors="replace") as file:
            return "word 300: xxx" in file.read()
    eventually(last, 30, "the last word is written")
    sizes = [os.stat(name).st_size for name in names]
    assert max(sizes) <= 8 << 20 and sum(sizes) > 8 << 20, sizes
    assert all(os.stat(name).st_uid == os.stat(clone["ClonePath"]).st_uid for name in names)
    daemon.stop()
    with open(names[0], encoding="ascii", errors="replace") as file:
        assert "database system is shut down" in file.read()
    daemon.start()
    clone = running(daemon)
    assert os.stat(names[0]).st_size < 1 << 20 and not os.path.exists(names[1]), "another run's"
    daemon.api.ok("DeleteClone", CloneName="c1")
    gone(daemon, clone)


def test_by_the_client(cell):
    daemon, _, _ = cell
    backup = daemon.api.create_and_wait("main")
    done = daemon.client("clone", "create", backup["BackupId"], "c1", "--start", "--ttl", "2h", "--wait")
    assert done.returncode == 0, done.stderr
    connect = next(line for line in done.stdout.splitlines() if line.startswith("Connect by: "))
    assert ask({"Connect": connect.removeprefix("Connect by: ")}, "SELECT 1") == "1"
    assert "It is deleted at " in done.stdout
    listed = daemon.client("clone", "list").stdout
    assert "RUNS" in listed and "yes" in listed and "DELETED AT" in listed
    for wrong in (["--ttl", "0"], ["--ttl", "soon"]):
        assert daemon.client("clone", "create", backup["BackupId"], "c2", *wrong).returncode == 2
    done = daemon.client("clone", "delete", "c1", "--wait")
    assert done.returncode == 0, done.stderr
    assert not servers()


def test_five_at_once_and_not_more_than_eight(cell):
    daemon, server, _ = cell
    backup = daemon.api.create_and_wait("main")
    for number in range(8):
        daemon.api.ok("CloneBackup", BackupId=backup["BackupId"], CloneName=f"c{number}", Start="true")
    status, answer = daemon.api.call("CloneBackup", BackupId=backup["BackupId"], CloneName="c9", Start="true")
    assert (status, answer["Code"]) == (403, "OperationDenied.BackupStatus"), answer
    clones = [running(daemon, f"c{number}") for number in range(8)]
    for number, clone in enumerate(clones):
        ask(clone, f"CREATE TABLE own AS SELECT {number} AS n")
    assert [ask(c, "SELECT n FROM own") for c in clones] == [str(n) for n in range(8)]
    assert server.value("SELECT 1") == 1
    for clone in clones:
        daemon.api.ok("DeleteClone", CloneName=clone["CloneName"])
    for clone in clones:
        gone(daemon, clone)


def test_plain_files_have_no_server(make_disk, make_daemon):
    disk = make_disk("ext4", "300M")
    daemon = make_daemon()
    daemon.add_cluster("main", disk.files("data", 1), database={"type": "none"}, min_free="0%",
                       snapshot_dir=disk.path(".dbsnap", "main"))
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    status, answer = daemon.api.call("CloneBackup", BackupId=backup["BackupId"], CloneName="c1", Start="true")
    assert status == 400 and "database.type is none" in answer["Message"], answer
    assert daemon.api.clone("main", "c1") is None


def test_it_does_not_outlive_its_time_by_its_worker_alone(cell):
    """A front that is stopped removes nothing; the server ends all the same."""
    daemon, _, _ = cell
    clone = start(daemon, daemon.api.create_and_wait("main"), TTL="2")
    front = Pid(daemon.front())
    front.signal(19)
    try:
        begun = time.monotonic()
        Pid(servers()[clone["ClonePath"]]).wait_end(30)
        assert time.monotonic() - begun > 2
    finally:
        front.signal(18)
    gone(daemon, clone)
