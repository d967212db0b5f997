# SPDX-License-Identifier: GPL-3.0-or-later
"""No user dbsnap, a second daemon, a client that goes away, programs that are missing."""
import os
import signal
import socket
import subprocess
import threading

import pytest

from harness import invariants
from harness.process import Pid, eventually
from harness.source import Source
from harness.steps import Strike
from harness.unchanged import as_before, code_of, names, processes, unchanged


@pytest.fixture
def files(make_daemon, btrfs):
    daemon = make_daemon(quota={"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000})
    daemon.add_cluster("main", btrfs.files("files"), database={"type": "none"})
    return daemon


def errors_of(text):
    return [line for line in text.splitlines() if "error:" in line]


def test_no_user(files, btrfs, folder):
    """In a mount namespace with another /etc/passwd."""
    passwd = os.path.join(folder, "passwd")
    with open("/etc/passwd", encoding="utf-8") as old, open(passwd, "w", encoding="utf-8") as new:
        new.writelines(line for line in old if not line.startswith("dbsnap:"))
    with unchanged(files, btrfs):
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', passwd,
             *files.argv()], capture_output=True, text=True, timeout=30, cwd="/")
        assert done.returncode == 1, done
        assert len(errors_of(done.stderr)) == 1 and "useradd --system" in done.stderr, done.stderr
        assert not os.path.exists(files.socket) and not os.path.exists(files.state_dir)


def test_no_programs(files, btrfs, folder):
    with unchanged(files, btrfs):
        done = subprocess.run([files.argv()[0], "-c", files.config_file, "--libexec-dir", folder],
                              capture_output=True, text=True, timeout=30, cwd="/")
        assert done.returncode == 1, done
        assert len(errors_of(done.stderr)) == 1 and "dbsnapd-front" in done.stderr, done.stderr


def second(first, make_daemon, **settings):
    """Another daemon, with what it shares with the first given as settings."""
    other = make_daemon(**settings)
    for name, value in first.clusters.items():
        other.clusters[name] = value
        other.write(os.path.join(other.clusters_dir, name + ".yaml"), value)
    return other


def test_second_on_the_same_state(files, btrfs, make_daemon):
    files.start()
    item = files.api.create_and_wait("main")
    files.wait_idle()
    other = second(files, make_daemon, state_dir=files.state_dir)
    with unchanged(files, btrfs):
        before = names(files.state_dir, contents=True)
        other.spawn()
        assert other.reap(40) == 1
        errors = errors_of(other.log_text())
        assert "another dbsnapd uses this state directory" in errors[0], errors
        assert not os.path.exists(other.socket)
        assert names(files.state_dir, contents=True) == before
    assert files.api.state("main", item["BackupId"]) == "AVAILABLE"
    files.api.create_and_wait("main")


def test_second_on_the_same_socket(files, btrfs, make_daemon):
    files.start()
    other = second(files, make_daemon, listen={"path": files.socket, "mode": "0660", "group": "dbsnap"})
    with unchanged(files, btrfs):
        other.spawn()
        assert other.reap(40) == 1
        errors = errors_of(other.log_text())
        assert len(errors) == 1 and f"another dbsnapd answers at {files.socket}" in errors[0], errors
    files.api.create_and_wait("main")


def test_file_in_the_socket_s_place(files, btrfs):
    with open(files.socket, "w", encoding="utf-8") as file:
        file.write("somebody's")
    with unchanged(files, btrfs):
        files.spawn()
        assert files.reap(30) == 1
        errors = errors_of(files.log_text())
        assert len(errors) == 1 and "is there and is no socket" in errors[0], errors
        with open(files.socket, encoding="utf-8") as file:
            assert file.read() == "somebody's"
    os.unlink(files.socket)


def test_socket_that_nobody_listens_at(files, btrfs):
    """What a killed daemon leaves is no reason not to start."""
    files.start()
    files.kill()
    assert os.path.exists(files.socket)
    files.start()
    files.api.create_and_wait("main")
    invariants.check(files, btrfs)


def request(token):
    form = f"Action=CreateBackup&DBClusterId=main&ClientToken={token}"
    return (f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n{form}").encode()


def send_and_go(daemon, token, how):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(daemon.socket)
        sock.sendall(request(token))
        if how == "half":
            sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("how", ["close", "half"])
def test_client_that_goes_after_sending(files, btrfs, how):
    """Exactly one outcome, found again by the token."""
    files.start()
    before = eventually(lambda: processes(files), 30, "idle")
    tokens = [f"{how}{i}" for i in range(30)]
    clients = [threading.Thread(target=send_and_go, args=(files, t, how)) for t in tokens]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    jobs = {t: files.api.create("main", token=t) for t in tokens}
    assert len(set(jobs.values())) == len(tokens)
    assert {t: files.api.create("main", token=t) for t in tokens} == jobs
    assert {b["BackupId"] for b in files.api.backups("main")} == set(jobs.values())
    files.wait_idle(120)
    invariants.check(files, btrfs)
    assert all(b["Dbsnap"]["State"] == "AVAILABLE" for b in files.api.backups("main"))
    eventually(lambda: as_before(files, before), 30, f"processes as before: {before}")


def test_client_that_goes_in_the_middle_of_its_request(files, btrfs):
    files.start()
    with unchanged(files, btrfs):
        for size in (1, 40, len(request("t")) - 1):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(files.socket)
                sock.sendall(request("t")[:size])
    assert files.api.create("main", token="t") == "1"


def test_client_that_goes_and_its_daemon_dies(files, btrfs):
    """Whether the create was committed or not: the replay has exactly one."""
    files.start()
    send_and_go(files, "t", "close")
    files.kill()
    files.start()
    job = files.api.create("main", token="t")
    assert files.api.create("main", token="t") == job
    assert files.api.wait_final("main", job)["Dbsnap"]["State"] == "AVAILABLE"
    assert [b["BackupId"] for b in files.api.backups("main")] == [job]
    invariants.check(files, btrfs)


def test_stranger(files, btrfs):
    """A caller whom nobody has allowed anything learns nothing about what exists."""
    files.start()
    os.chmod(files.socket, 0o666)
    with unchanged(files, btrfs):
        answers = [files.api.call_as(65534, 65534, "CreateBackup", DBClusterId=c) for c in ("main", "none")]
        assert [code_of(a) for a in answers] == [(403, "Forbidden.RAM")] * 2
        assert answers[0][1]["Message"] == answers[1][1]["Message"]


def test_walker_stopped_by_its_user(make_daemon, make_disk):
    """For a moment nobody minds; but it cannot hold a place among the running jobs until jobs.timeout, an hour."""
    disk = make_disk("xfs", "600M")
    daemon = make_daemon(jobs={"max_running": 1})
    source = Source(disk.subvolume("data"), 4711)
    daemon.add_cluster("main", source.path, database={"type": "none"})
    daemon.start()
    failures = []
    for go_on in (True, False):
        with Strike(daemon, "openat", 40, "STOP") as strike:
            number = daemon.api.create("main")
            assert strike.wait(lambda: False)
            walker = Pid(strike.struck())
        if go_on:
            walker.signal(signal.SIGCONT)
        assert daemon.api.wait_final("main", number, 30)["Dbsnap"]["State"] == "AVAILABLE"
        assert not walker.alive()
        failures.append(invariants.check(daemon, disk)["job"][int(number)]["failures"])
    assert failures == [0, 1]
    assert "was stopped by a signal" in daemon.log_text()
