# SPDX-License-Identifier: GPL-3.0-or-later
"""The real dbsnapd with the test in the front's place: messages in, messages and disk out."""
import json
import os
import signal
import socket
import stat
import subprocess
import time

import pytest

from harness.daemon import IDLE_STOP_S
from harness.front import INSTALL, Fronts, nonce_of
from harness.inject import Inject
from harness.process import Pid, children, eventually, refuses_descriptors, status_fields
from scenario import msgs


@pytest.fixture
def fronts(programs, scratch):
    fronts = Fronts(programs, scratch.folder("fronts"))
    yield fronts
    fronts.close()


@pytest.fixture
def engine(make_daemon, fronts, btrfs):
    """A configured, not started daemon of one cluster `c1` of type none on btrfs."""
    daemon = make_daemon(jobs={"max_running": 2, "timeout": "5m"})
    daemon.bin = fronts.bin
    data = btrfs.subvolume("data")
    with open(os.path.join(data, "content"), "w", encoding="ascii") as file:
        file.write("before")
    daemon.add_cluster("c1", data, database={"type": "none"}, min_free="0%")
    return daemon


@pytest.fixture
def start(engine, fronts):
    """start(): the front of the started engine, with hello and one probe of c1 done."""
    def start_it(records=(), **options):
        engine.spawn(**options)
        front = fronts.accept()
        assert front.hello(records) == []
        front.send("READY")
        engine.notify.wait("READY=1", engine.main, 10)
        return front
    return start_it


@pytest.fixture
def front(start):
    front = start()
    assert front.probe("c1", exclusive=True)[0].place == msgs.ONLINE
    return front


def names(engine, *more):
    folder = os.path.join(engine.snapshot_dir("c1"), *more)
    return sorted(n for n in os.listdir(folder) if n not in ("marker.json", "clones"))


def subvolumes(btrfs):
    return sorted(btrfs.subvolumes())


# Start and relation to the front

def test_front_gets_its_configuration_and_no_secrets(engine, start):
    front = start()
    config, listener, cluster = front.config
    assert listener.name == "CONFIG_LISTENER" and listener.path == engine.socket and not listener.require_signature
    assert config.name == "CONFIG" and config.generation == 1 and config.max_running == 2
    assert config.daemon_uid == 0 and config.state_dir == engine.state_dir
    assert cluster.name == "CONFIG_CLUSTER" and cluster.cluster == "c1" and cluster.database == "none"
    state = os.stat(engine.state_dir)
    assert stat.S_IMODE(state.st_mode) == 0o700 and state.st_uid == config_uid("dbsnap")
    listening = os.stat(engine.socket)
    assert stat.S_IMODE(listening.st_mode) == 0o660
    fields = status_fields(front.process.pid)
    assert fields["Uid"].split() == [str(config_uid("dbsnap"))] * 4
    assert fields["CapEff"] == fields["CapPrm"] == "0" * 16 and fields["NoNewPrivs"] == "1"


def config_uid(user):
    import pwd
    return pwd.getpwnam(user).pw_uid


def replaced_after(engine, fronts, front, messages):
    for say in messages:
        say(front)
        front.process.wait_end(10)
        front = fronts.accept(timeout=30)
        front.hello()
    assert engine.running()
    assert "replaced" in engine.log_text()


def test_what_no_front_would_send_replaces_it(engine, fronts, start):
    replaced_after(engine, fronts, start(), [
        lambda f: f.link.send(b"\0\1"),
        lambda f: f.send("HELLO", protocol=1, install=INSTALL),        # a second one
        lambda f: f.send("PONG", number=1),                            # nobody asked
        lambda f: f.send("RESULT", job=1, outcome=1),                  # not a front's
        lambda f: f.send("JOB", job=1, kind=msgs.CREATE, cluster="c1", backup=2, nonce=nonce_of(1), attempt=1),
        lambda f: f.send("JOB", job=1, kind=msgs.CREATE, cluster="c1", backup=1, attempt=1),
    ])


def test_no_front_would_ask_for_these_removals(engine, fronts, start):
    replaced_after(engine, fronts, start(), [
        lambda f: f.send("JOB", job=1, kind=msgs.DELETE_QUARANTINED, cluster="c1", backup=1, attempt=1,
                         item=msgs.STRANGER, nonce=nonce_of(1)),
        lambda f: f.send("JOB", job=1, kind=msgs.DELETE_QUARANTINED, cluster="c1", attempt=1, item=msgs.CLONE_ITEM,
                         nonce=nonce_of(1)),
        lambda f: f.send("RECORDS", cluster="c1"),                     # none is no news
    ])


def test_before_hello_only_hello(engine, fronts):
    engine.spawn()
    front = fronts.accept()
    front.wait("CONFIG_END")
    front.send("PROBE", cluster="c1")
    front.process.wait_end(10)
    assert fronts.accept().hello() == []


def test_records_come_in_order_and_not_without_end(engine, fronts):
    engine.spawn()
    for names in (["bb", "aa"], ["aa", "aa"], [f"c{n:06d}" for n in range(65537)]):
        front = fronts.accept(timeout=30)
        front.wait("CONFIG_END")
        try:
            for name in names:
                front.send("RECORDS", cluster=name, records=1)
        except OSError:
            pass  # it was replaced meanwhile
        front.process.wait_end(10)
    assert fronts.accept(timeout=30).hello([("aa", 1), ("aa-b", 1), ("bb", 1)]) == []
    assert engine.log_text().count("what no front that works would send") == 3


def test_a_front_that_cannot_start_ends_the_engine(engine, fronts):
    engine.spawn()
    fronts.accept().exit(1)
    assert engine.reap(10) == 1
    assert "could not start" in engine.log_text()
    assert not os.path.exists(engine.socket)


def test_a_second_daemon_names_the_socket(engine, front):
    second = engine.run()
    assert second.returncode == 1 and engine.socket in second.stderr and "another dbsnapd" in second.stderr
    assert front.probe("c1")[0].place == msgs.ONLINE


def test_a_dead_daemons_socket_is_replaced(engine, fronts, start):
    start()
    engine.kill()
    assert os.path.exists(engine.socket)
    start()
    assert engine.stop() == 0
    assert not os.path.exists(engine.socket)


def test_a_dead_daemons_front_is_waited_for(engine, fronts, start):
    """It dies as well, but may answer for a moment longer: here the test is that front."""
    fronts.keep = []
    start()
    engine.kill()
    orphan = socket.socket(fileno=fronts.keep.pop())
    orphan.settimeout(10)
    engine.spawn()
    connection = orphan.accept()[0]
    orphan.close()
    connection.close()
    front = fronts.accept()
    front.hello()
    engine.kill()
    orphan = socket.socket(fileno=fronts.keep.pop())
    refused = engine.run(timeout=10)  # it does not end: not ours to judge
    assert refused.returncode == 1 and "another dbsnapd answers" in refused.stderr, refused
    orphan.close()


def test_two_that_start_at_once_leave_each_other_the_socket(engine, fronts, start):
    """The first stands still between bind and listen, where its socket looks like a dead one."""
    start()
    engine.kill()
    argv = engine.argv
    engine.argv = lambda *options: ["strace", "-D", "-qq", "-o", "/dev/null", "-e", "trace=fchownat",
                                    "-e", "inject=fchownat:signal=STOP:when=1", *argv(*options)]
    dead = os.stat(engine.socket).st_mtime_ns
    engine.spawn()
    engine.argv = argv
    eventually(lambda: os.path.exists(engine.socket) and os.stat(engine.socket).st_mtime_ns != dead, what="bound")
    second = engine.run(timeout=10)
    assert second.returncode == 1 and "another dbsnapd starts" in second.stderr, second
    engine.main.signal(signal.SIGCONT)
    fronts.accept().hello()
    assert engine.stop() == 0
    assert os.listdir(engine.run_dir) == ["dbsnapd.sock.lock"]
    os.unlink(engine.socket + ".lock")
    os.mkfifo(engine.socket + ".lock")
    spoilt = engine.run()
    assert spoilt.returncode == 1 and "dbsnapd.sock.lock" in spoilt.stderr, spoilt


def test_inherited_socket_is_checked_and_stays(engine, fronts, btrfs):
    def spawn(path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen()

        def as_systemd():
            os.dup2(listener.fileno(), 3)
            os.environ["LISTEN_PID"] = str(os.getpid())
            os.execv(engine.argv()[0], engine.argv())
        pid = os.fork()
        if pid == 0:
            os.environ["LISTEN_FDS"] = "1"
            as_systemd()
        listener.close()
        return Pid(pid)
    wrong = os.path.join(engine.folder, "other.sock")
    process = spawn(wrong)
    process.wait_end()
    assert os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1]) == 1
    process = spawn(engine.socket)
    fronts.accept().hello()
    process.signal(signal.SIGTERM)
    process.wait_end()
    assert os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1]) == 0
    assert os.path.exists(engine.socket)


def test_more_sockets_than_one(engine, fronts, btrfs):
    """One from systemd, one bound, in the order of the configuration whatever the order of the descriptors."""
    forwarder = os.path.join(engine.run_dir, "forwarder.sock")
    engine.configure(listen=[{"path": engine.socket, "group": "root", "mode": "0660"},
                             {"path": forwarder, "group": "root", "mode": "0600", "require_signature": True}])
    os.makedirs(engine.run_dir, exist_ok=True)
    given = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    given.bind(forwarder)
    given.listen()
    pid = os.fork()
    if pid == 0:
        os.dup2(given.fileno(), 3)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        os.execv(engine.argv()[0], engine.argv())
    given.close()
    process = Pid(pid)
    fronts.keep = []
    front = fronts.accept()
    front.hello()
    listeners = [m for m in front.config if m.name == "CONFIG_LISTENER"]
    assert [(m.path, m.require_signature) for m in listeners] == [(engine.socket, False), (forwarder, True)]
    assert len(fronts.keep) == 2
    for fd, message in zip(fronts.keep, listeners):
        with socket.socket(fileno=fd) as listener:
            assert listener.getsockname() == message.path
    process.signal(signal.SIGTERM)
    process.wait_end()
    assert os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1]) == 0
    assert os.path.exists(forwarder) and not os.path.exists(engine.socket)


@pytest.mark.parametrize("spoil, word", [
    (lambda e: os.mkdir(e.state_dir, 0o755), "belong"),
    (lambda e: (os.mkdir(e.state_dir, 0o755), os.chown(e.state_dir, config_uid("dbsnap"), -1),
                os.chmod(e.state_dir, 0o750)), "chmod 0700"),
    (lambda e: os.symlink("/tmp", e.state_dir), "not a directory"),
])
def test_state_dir_is_checked(engine, spoil, word):
    spoil(engine)
    run = engine.run()
    assert run.returncode == 1 and word in run.stderr and engine.state_dir in run.stderr


def test_missing_user_names_the_command(engine, folder):
    passwd = os.path.join(folder, "passwd")
    with open("/etc/passwd", encoding="utf-8") as file, open(passwd, "w", encoding="utf-8") as out:
        out.writelines(line for line in file if not line.startswith("dbsnap:"))
    run = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', passwd,
                          *engine.argv()], capture_output=True, text=True, timeout=30)
    assert run.returncode == 1 and "useradd --system" in run.stderr


def test_check_option_tells_every_error(engine):
    assert engine.run("-t").returncode == 0
    engine.configure(jobs={"max_running": 0}, nonsense=1)
    run = engine.run("-t")
    lines = run.stderr.splitlines()
    assert run.returncode == 1 and len(lines) == 2, run.stderr
    assert all(line.startswith(engine.config_file + ":") for line in lines)
    assert engine.run("--rebuild").returncode == 2


def reload(engine, front):
    """Until it is in force, which the front's answer to what came after it says; what it was told, by name."""
    front.seen.clear()
    engine.notify.drain()
    engine.notify.lines.clear()
    engine.main.signal(signal.SIGHUP)
    front.send("PONG", number=front.wait("PING").number)
    engine.notify.wait("READY=1", engine.main, 30)
    return {told.name: told for told in front.seen}


def test_reload_whole_or_not_at_all(engine, front):
    engine.configure(jobs={"max_running": 3})
    told = reload(engine, front)
    assert told["CONFIG"].max_running == 3 and told["CONFIG_END"].generation == 2
    engine.configure(jobs={"max_running": 4}, nonsense=1)
    engine.reload()
    engine.configure(jobs={"max_running": 5})
    assert reload(engine, front)["CONFIG"].max_running == 5
    assert "nonsense" in engine.log_text()


def test_reload_keeps_a_cluster_with_a_job(engine, start, front):
    with Inject(engine.main.pid, "renameat2", "delay_enter=60s"):
        front.start_job(msgs.CREATE, "c1", 1)
        eventually(lambda: os.path.exists(os.path.join(engine.snapshot_dir("c1"), ".1", "manifest.json")))
        engine.remove_cluster("c1")
        engine.reload()
        assert "has a job in flight" in engine.log_text()
    assert front.result(1).outcome == msgs.DONE
    assert reload(engine, front)["CONFIG_END"].clusters == 0
    assert front.create("c1", 2).outcome == msgs.FAILED
    os.rename(engine.state_dir + ".engine/c1.json", engine.state_dir + ".engine/c1.away")
    engine.kill()
    front = start([("c1", 1)])
    gone = front.delete("c1", 3, 1)
    assert gone.outcome == msgs.FAILED and "register it again" in gone.remedy


def test_stop_is_quick_and_clean(engine, front):
    assert engine.stop(timeout=IDLE_STOP_S) == 0


def test_fronts_follow_with_growing_pauses(engine, fronts, start):
    front = start()
    for _ in range(4):
        front.process.kill()
        front = fronts.accept(timeout=10)
        front.hello()
    pauses = [int(line.split("started in ")[1].split()[0]) for line in engine.log_text().splitlines()
              if "another is started in" in line]
    assert pauses == [100, 200, 400, 800]


def test_watchdog_is_fed_only_while_the_front_answers(engine, fronts, start):
    front = start(env={"WATCHDOG_USEC": "200000"})
    ping = front.wait("PING")
    front.send("PONG", number=ping.number)
    ping = front.wait("PING", number=ping.number + 1)
    engine.notify.drain()
    fed = engine.notify.lines.count("WATCHDOG=1")
    assert fed >= 2
    # Not answered: not one more, however many turns pass.
    for _ in range(3):
        front.probe("c1")
    front.link.settimeout(0.5)
    with pytest.raises(TimeoutError):
        front.link.recv(65536)
    engine.notify.drain()
    assert engine.notify.lines.count("WATCHDOG=1") == fed
    front.send("PONG", number=ping.number)
    engine.notify.wait("WATCHDOG=1", engine.main, 10)


# Jobs

def test_create_list_delete(engine, front, btrfs):
    snapshots = engine.snapshot_dir("c1")
    result = front.create("c1", 1)
    assert result.outcome == msgs.DONE, result
    facts = result.facts
    assert facts["backend"] == "btrfs" and facts["promise"] == "crash" and facts["nonce"] == nonce_of(1)
    assert facts["path"] == os.path.join(snapshots, "1") and 0 < facts["cut_us"] < 60_000_000
    assert facts["started_ms"] <= facts["consistent_ms"] <= facts["ended_ms"]
    assert result.total_bytes >= result.free_bytes > 0
    assert names(engine) == ["1"]
    assert stat.S_IMODE(os.stat(os.path.join(snapshots, "1")).st_mode) == 0o700
    with open(os.path.join(snapshots, "1", "data", "content"), encoding="ascii") as file:
        assert file.read() == "before"
    assert btrfs.subvolumes()[os.path.relpath(os.path.join(snapshots, "1", "data"), btrfs.mnt)] is True
    with open(os.path.join(snapshots, "1", "manifest.json"), encoding="ascii") as file:
        manifest = json.load(file)
    assert manifest["nonce"] == nonce_of(1).hex() and manifest["install"] == INSTALL.hex()
    assert manifest["parts"][0]["role"] == "data"

    probed, items = front.probe("c1")
    assert probed.place == msgs.ONLINE and [(i.item, i.backup) for i in items] == [(msgs.BACKUP, 1)]
    assert items[0].facts == facts

    assert front.delete("c1", 2, 1).outcome == msgs.DONE
    assert names(engine) == [] and subvolumes(btrfs) == ["data"]
    assert front.probe("c1")[1] == []


def test_repeated_orders_change_nothing(engine, front, btrfs):
    first = front.create("c1", 1)
    again = front.create("c1", 1, attempt=2)
    assert again.outcome == msgs.DONE and again.facts == first.facts
    other = front.create("c1", 1, nonce=nonce_of(99), attempt=3)
    assert other.outcome == msgs.FAILED and "quarantine" in other.cause
    wrong = front.delete("c1", 2, 1, nonce=nonce_of(99))
    assert wrong.outcome == msgs.FAILED and "quarantine" in wrong.cause
    assert names(engine) == ["1"]
    assert front.delete("c1", 3, 1).outcome == msgs.DONE
    assert front.delete("c1", 3, 1, attempt=2).outcome == msgs.DONE
    assert subvolumes(btrfs) == ["data"]


def test_clone_and_its_end(engine, front, btrfs):
    front.create("c1", 1)
    order = {"backup": 1, "clone": "copy", "nonce": nonce_of(50), "source": nonce_of(1)}
    assert front.run(msgs.CLONE, "c1", 2, **order).outcome == msgs.DONE
    path = os.path.join(engine.snapshot_dir("c1"), "clones", "copy")
    with open(os.path.join(path, "content"), "r+", encoding="ascii") as file:
        assert file.read() == "before"
        file.write(" and after")
    assert front.run(msgs.CLONE, "c1", 2, attempt=2, **order).outcome == msgs.DONE
    with open(os.path.join(path, "content"), encoding="ascii") as file:
        assert file.read() == "before and after"
    taken = front.run(msgs.CLONE, "c1", 3, **{**order, "nonce": nonce_of(51)})
    assert taken.outcome == msgs.FAILED and "another name" in taken.remedy
    absent = front.run(msgs.CLONE, "c1", 4, **{**order, "clone": "x", "source": nonce_of(9)})
    assert absent.outcome == msgs.FAILED and absent.code == msgs.ERR_NOT_FOUND
    clones = [(i.item, i.item_name, i.facts["nonce"]) for i in front.probe("c1")[1] if i.item != msgs.BACKUP]
    assert clones == [(msgs.CLONE_ITEM, "clones/copy", nonce_of(50))]
    wrong = front.run(msgs.DELETE_CLONE, "c1", 5, clone="copy", nonce=nonce_of(51))
    assert wrong.outcome == msgs.FAILED and os.path.exists(path)
    for attempt in (1, 2):
        gone = front.run(msgs.DELETE_CLONE, "c1", 6, clone="copy", nonce=nonce_of(50), attempt=attempt)
        assert gone.outcome == msgs.DONE
    assert os.listdir(os.path.dirname(path)) == []
    assert len(subvolumes(btrfs)) == 2


def test_what_took_the_name_of_a_clone_in_the_making_stays(engine, front, btrfs):
    front.create("c1", 1)
    with Inject(engine.main.pid, "renameat2", "signal=KILL"):
        killed = front.run(msgs.CLONE, "c1", 2, backup=1, clone="copy", nonce=nonce_of(2), source=nonce_of(1))
    assert killed.outcome == msgs.UNKNOWN
    clones = os.path.join(engine.snapshot_dir("c1"), "clones")
    paper = os.path.join(clones, ".copy.json")
    with open(paper, encoding="ascii") as file:
        text = json.load(file)
    text["made_ms"] = 0
    with open(paper, "w", encoding="ascii") as file:
        json.dump(text, file)
    other = os.path.join(clones, "copy")
    subprocess.run(["btrfs", "subvolume", "create", other], check=True, stdout=subprocess.DEVNULL)
    refused = front.run(msgs.DELETE_CLONE, "c1", 3, clone="copy", nonce=nonce_of(2))
    assert refused.outcome == msgs.FAILED and "not this job's" in refused.cause
    assert os.path.isdir(other) and os.path.isdir(os.path.join(clones, ".copy"))
    os.rmdir(other)
    assert front.run(msgs.DELETE_CLONE, "c1", 3, clone="copy", nonce=nonce_of(2), attempt=2).outcome == msgs.DONE
    assert os.listdir(clones) == []


def test_a_clone_goes_whatever_its_owner_made_of_it(engine, front, btrfs):
    front.create("c1", 1)
    front.run(msgs.CLONE, "c1", 2, backup=1, clone="copy", nonce=nonce_of(2), source=nonce_of(1))
    at = os.path.join(engine.snapshot_dir("c1"), "clones", "copy")
    made = [at]
    for depth in range(40):
        at = os.path.join(at, "n")
        subprocess.run(["btrfs", "subvolume", "create", at], check=True, stdout=subprocess.DEVNULL)
        made.append(at)
    for path in (made[30], made[3], made[0]):
        subprocess.run(["btrfs", "property", "set", path, "ro", "true"], check=True)
    gone = front.run(msgs.DELETE_CLONE, "c1", 3, clone="copy", nonce=nonce_of(2))
    assert gone.outcome == msgs.DONE, gone
    assert not os.path.exists(made[0]) and len(subvolumes(btrfs)) == 2


@pytest.mark.parametrize("kind, call, known", [
    ("ext4", "copy_file_range", 0), ("xfs", "ioctl", 8 << 20), ("xfs", "ioctl", 0)])
def test_progress_moves_with_the_bytes(make_daemon, fronts, make_disk, kind, call, known):
    """copy has looked at the size, reflink goes by the last one: without it the percentage stands."""
    disk = make_disk(kind, "400M")
    daemon = make_daemon()
    daemon.bin = fronts.bin
    data = disk.files("data", 1)
    for number in range(32):
        with open(os.path.join(data, str(number)), "wb") as file:
            os.fchown(file.fileno(), 1, 1)
            file.write(os.urandom(256 << 10))
    os.sync()
    daemon.add_cluster("c1", data, database={"type": "none"}, min_free="0%", snapshot_dir=disk.path(".dbsnap", "c1"))
    daemon.spawn()
    front = fronts.accept()
    front.hello()
    front.send("READY")
    assert front.probe("c1", exclusive=True)[0].place == msgs.ONLINE

    def watch(job_kind, job, first, last, total, **order):
        front.seen.clear()
        begin = time.monotonic()
        with Inject(daemon.main.pid, call, "delay_enter=100000"):
            assert front.run(job_kind, "c1", job, **order).outcome == msgs.DONE
        told = [m for m in front.seen if m.name == "PROGRESS"]
        walk = [m for m in told if m.phase == msgs.CUTTING]
        for values in ([m.percent for m in told], [m.bytes_done for m in walk]):
            assert values == sorted(values)
        assert len(walk) >= 4 and len(walk) <= 2 * (time.monotonic() - begin) + 1
        assert walk[-1].bytes_done > 1 << 20
        assert walk[0].percent == first and (walk[-1].percent > first + (last - first) / 4) == bool(total)
        assert {bool(m.bytes_total) for m in walk} == {bool(total)}
        assert max(m.percent for m in walk) <= last and max(m.percent for m in told) < 100
    watch(msgs.CREATE, 1, 10, 90, known or kind == "ext4", known_size=known)
    watch(msgs.CLONE, 2, 30, 60, True, backup=1, clone="copy", nonce=nonce_of(2), source=nonce_of(1))


def test_one_create_a_cluster_and_max_running(engine, front):
    front.create("c1", 1)
    with Inject(engine.main.pid, "renameat2", "delay_enter=60s"):
        front.start_job(msgs.CREATE, "c1", 2)
        front.wait("PROGRESS", job=2, percent=90)
        assert front.create("c1", 3).outcome == msgs.BUSY
        assert front.create("c1", 2).outcome == msgs.BUSY
        front.start_job(msgs.DELETE, "c1", 4, backup=1, nonce=nonce_of(1))
        front.wait("RUNNING", job=4)
        full = front.delete("c1", 5, 2)
        assert full.outcome == msgs.BUSY and "max_running" in full.cause
    ended = {front.wait("RESULT").job for _ in range(2)}
    assert ended == {2, 4}
    assert names(engine) == ["2"]


def test_cancel_before_the_rename_leaves_nothing(engine, front, btrfs):
    with Inject(engine.main.pid, "fsync", "delay_enter=500000:when=4"):
        front.start_job(msgs.CREATE, "c1", 1)
        front.wait("PROGRESS", job=1, percent=30)
        front.send("CANCEL", job=1)
        result = front.result(1)
    assert result.outcome == msgs.CANCELLED, result
    assert names(engine) == [] and subvolumes(btrfs) == ["data"]


def test_jobs_timeout_makes_the_outcome_unknown(engine, start, btrfs):
    engine.configure(jobs={"timeout": "5s"})
    front = start()
    front.probe("c1")
    with Inject(engine.main.pid, "renameat2", "delay_enter=60s"):
        result = front.create("c1", 1)
    assert result.outcome == msgs.UNKNOWN and result.code == msgs.ERR_TIMEOUT
    # A slow machine may not have come to the cut in that time.
    assert [item.item for item in front.probe("c1", exclusive=True)[1]] in ([msgs.PARTIAL_DONE], [])
    assert front.create("c1", 1, attempt=2).outcome == msgs.DONE
    assert names(engine) == ["1"]


def test_a_running_job_outlives_its_front(engine, fronts, front):
    with Inject(engine.main.pid, "renameat2", "delay_enter=60s"):
        front.start_job(msgs.CREATE, "c1", 1)
        front.wait("PROGRESS", job=1, percent=90)
        front.process.kill()
        second = fronts.accept()
        running = second.hello([("c1", 1)])
        assert [(r.job, r.kind, r.cluster, r.attempt) for r in running] == [(1, msgs.CREATE, "c1", 1)]
        assert second.probe("c1", exclusive=True)[0].place == msgs.PLACE_BUSY
    result = second.result(1)
    assert result.outcome == msgs.DONE and result.tag == 0


def test_stop_lets_a_running_cut_finish(engine, front):
    with Inject(engine.main.pid, "renameat2", "delay_enter=60s"):
        front.start_job(msgs.CREATE, "c1", 1)
        front.wait("PROGRESS", job=1, percent=90)
        engine.main.signal(signal.SIGTERM)
        front.wait("STOP")
        assert front.create("c1", 2).outcome == msgs.BUSY
        assert front.process.alive()
    assert front.result(1).outcome == msgs.DONE
    assert front.receive() is None
    assert engine.reap(10) == 0
    assert names(engine) == ["1"]


def test_a_dead_engines_worker_keeps_the_cluster_waiting(engine, fronts, front, btrfs):
    """One in state D cannot be killed, and may yet do what it was about to do."""
    subprocess.run(["fsfreeze", "--freeze", btrfs.mnt], check=True)
    try:
        front.start_job(msgs.CREATE, "c1", 1)
        front.wait("PROGRESS", job=1)
        worker = Pid(eventually(engine.workers)[0])
        eventually(lambda: status_fields(worker.pid)["State"].startswith("D"))
        worker.signal(signal.SIGSTOP)  # so that it cannot find out by itself that its engine is gone
        engine.main.kill()
        engine.reap(10)
        assert worker.alive()
        engine.spawn()
        front = fronts.accept()
        front.hello([("c1", 1)])
        assert front.probe("c1", exclusive=True)[0].place == msgs.PLACE_BUSY
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", btrfs.mnt], check=True)
    worker.wait_end(10)
    assert front.probe("c1", exclusive=True)[0].place == msgs.ONLINE
    assert front.create("c1", 1, attempt=2).outcome == msgs.DONE
    assert names(engine) == ["1"]


def test_a_worker_that_cannot_be_reaped_holds_up_nobody(engine, start, btrfs):
    engine.configure(jobs={"timeout": "1s"})
    front = start()
    front.probe("c1")
    subprocess.run(["fsfreeze", "--freeze", btrfs.mnt], check=True)
    try:
        result = front.create("c1", 1)
        assert result.outcome == msgs.UNKNOWN and result.code == msgs.ERR_TIMEOUT
        assert front.create("c1", 2).outcome == msgs.BUSY
        assert front.probe("c1", exclusive=True)[0].place == msgs.PLACE_BUSY
        worker = Pid(engine.workers()[0])
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", btrfs.mnt], check=True)
    worker.wait_reaped()
    assert front.probe("c1", exclusive=True)[0].place == msgs.ONLINE


def test_a_disk_that_never_answers_takes_no_more_than_a_few_workers(engine, start, btrfs):
    engine.configure(jobs={"timeout": "5s", "max_running": 4})
    front = start()
    front.probe("c1")
    assert front.create("c1", 1).outcome == msgs.DONE
    subprocess.run(["fsfreeze", "--freeze", btrfs.mnt], check=True)
    try:
        for job in range(2, 6):
            front.start_job(msgs.DELETE, "c1", job, backup=1, nonce=nonce_of(1))
        assert {front.wait("RESULT").code for _ in range(4)} == {msgs.ERR_TIMEOUT}
        stuck = engine.workers()
        held = [Pid(pid) for pid in stuck]
        assert len(stuck) == 4
        assert front.delete("c1", 6, 1).outcome == msgs.BUSY
        assert front.probe("c1")[0].place == msgs.PLACE_BUSY
        assert engine.workers() == stuck
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", btrfs.mnt], check=True)
    for worker in held:
        worker.wait_reaped()
    assert front.delete("c1", 7, 1).outcome == msgs.DONE


# Killed before each call that changes something

CREATE_CALLS = ["mkdirat", "openat2", "fsync", "renameat", "ioctl", "renameat2"]
DELETE_CALLS = ["renameat2", "ioctl", "unlinkat", "fsync"]


def killed_runs(engine, front, call, first, again, check):
    """first() with a kill before the worker's n-th such call, for every n that it comes to; then again()."""
    for n in range(1, 80):
        with Inject(engine.main.pid, call, f"signal=KILL:when={n}"):
            result = first(n)
        if result.outcome == msgs.DONE:
            return n - 1
        assert result.outcome == msgs.UNKNOWN and result.code == msgs.ERR_UNKNOWN, result
        probed, _ = front.probe("c1", exclusive=True)
        assert probed.place == msgs.ONLINE
        result = again(n)
        assert result.outcome == msgs.DONE, (call, n, result)
        check(n)
    raise AssertionError(f"no end of {call}")


@pytest.mark.parametrize("call", CREATE_CALLS)
def test_create_killed_anywhere_is_adopted_or_made_anew(engine, front, btrfs, call):
    def check(n):
        assert names(engine) == [str(n)]
        assert sorted(os.listdir(os.path.join(engine.snapshot_dir("c1"), str(n)))) == ["data", "intent", "manifest.json"]
        assert len(subvolumes(btrfs)) == 2
        assert front.delete("c1", 1000 + n, n).outcome == msgs.DONE
    kills = killed_runs(engine, front, call, lambda n: front.create("c1", n),
                        lambda n: front.create("c1", n, attempt=2), check)
    assert kills > 0


@pytest.mark.parametrize("call", DELETE_CALLS)
def test_delete_killed_anywhere_is_finished(engine, front, btrfs, call):
    def check(n):
        assert names(engine) == [] and subvolumes(btrfs) == ["data"]
        assert front.create("c1", n + 1).outcome == msgs.DONE
    front.create("c1", 1)
    kills = killed_runs(engine, front, call, lambda n: front.delete("c1", 1000 + n, n),
                        lambda n: front.delete("c1", 1000 + n, n, attempt=2), check)
    assert kills > 0


@pytest.mark.parametrize("call", ["ioctl", "fsync", "renameat2", "renameat"])
def test_clone_killed_anywhere_is_made_or_removed(engine, front, btrfs, call):
    front.create("c1", 1)

    def order(n):
        return {"backup": 1, "clone": "copy", "nonce": nonce_of(500 + n), "source": nonce_of(1)}

    def check(n):
        clones = os.path.join(engine.snapshot_dir("c1"), "clones")
        assert sorted(os.listdir(clones)) == [".copy.json", "copy"] and len(subvolumes(btrfs)) == 3
        gone = front.run(msgs.DELETE_CLONE, "c1", 3000 + n, clone="copy", nonce=nonce_of(500 + n))
        assert gone.outcome == msgs.DONE and os.listdir(clones) == []
    kills = killed_runs(engine, front, call, lambda n: front.run(msgs.CLONE, "c1", 1000 + n, **order(n)),
                        lambda n: front.run(msgs.CLONE, "c1", 1000 + n, attempt=2, **order(n)), check)
    assert kills > 0


def test_errors_of_the_disk_leave_nothing(engine, front, btrfs):
    for call in ("fsync", "mkdirat"):
        for n in range(1, 20):
            with Inject(engine.main.pid, call, f"error=EIO:when={n}"):
                result = front.create("c1", 100 + n)
            if result.outcome == msgs.DONE:
                assert front.delete("c1", 500, 100 + n).outcome == msgs.DONE
                break
            assert result.cause and result.outcome in (msgs.FAILED, msgs.UNKNOWN), result
            if result.outcome == msgs.FAILED:
                assert names(engine) == [] and subvolumes(btrfs) == ["data"], (call, n)
            else:  # the final rename's own sync: only a probe can tell
                assert front.create("c1", 100 + n, attempt=2).outcome == msgs.DONE
                assert front.delete("c1", 500, 100 + n).outcome == msgs.DONE
        else:
            raise AssertionError("no end")


def test_intent_is_written_out_before_it_has_its_name(engine, front, btrfs):
    """A snapshot's: its bytes with what is written out before the cut, its name by the cut itself."""
    with Inject(engine.main.pid, "syncfs", "error=EIO:when=1"):
        assert front.create("c1", 1).outcome == msgs.FAILED
    assert names(engine) == [] and subvolumes(btrfs) == ["data"]
    for n, call in enumerate(("syncfs", "renameat"), 2):
        with Inject(engine.main.pid, call, "signal=KILL:when=1"):
            assert front.create("c1", n).outcome == msgs.UNKNOWN
        assert os.listdir(os.path.join(engine.snapshot_dir("c1"), f".{n}")) == ["intent.new"]
        assert front.create("c1", n, attempt=2).outcome == msgs.DONE


def test_what_an_attempt_finds_is_synced_before_it_is_told(engine, front):
    """Each of its syncs is needed: with any of them failing the outcome is not DONE."""
    def needs(syncs, again):
        for n in range(1, syncs + 2):
            with Inject(engine.main.pid, "fsync", f"error=EIO:when={n}"):
                assert (again(n).outcome == msgs.DONE) == (n > syncs), n

    front.create("c1", 1)
    needs(1, lambda n: front.create("c1", 1, attempt=n + 1))
    order = {"backup": 1, "clone": "copy", "nonce": nonce_of(50), "source": nonce_of(1)}
    assert front.run(msgs.CLONE, "c1", 2, **order).outcome == msgs.DONE
    needs(2, lambda n: front.run(msgs.CLONE, "c1", 2, attempt=n + 1, **order))

    def whole_but_for_its_name(n):
        """Killed at its rename, then the attempt that finds it."""
        with Inject(engine.main.pid, "renameat2", "signal=KILL"):
            assert front.create("c1", 10 + n).outcome == msgs.UNKNOWN
        return lambda again: front.create("c1", 10 + n, attempt=1 + again)
    for n, done in ((1, False), (2, False), (3, True)):
        again = whole_but_for_its_name(n)
        with Inject(engine.main.pid, "fsync", f"error=EIO:when={n}"):
            assert (again(1).outcome == msgs.DONE) == done, n
        assert again(2).outcome == msgs.DONE


def test_errors_of_the_disk_leave_nothing_of_a_clone(engine, front, btrfs):
    front.create("c1", 1)
    clones = os.path.join(engine.snapshot_dir("c1"), "clones")
    failed = 0
    for call in ("fsync", "renameat", "renameat2"):
        for n in range(1, 20):
            job = 100 + failed
            order = {"backup": 1, "clone": f"copy{job}", "nonce": nonce_of(job), "source": nonce_of(1)}
            with Inject(engine.main.pid, call, f"error=EIO:when={n}"):
                result = front.run(msgs.CLONE, "c1", job, **order)
            if result.outcome == msgs.FAILED:
                failed += 1
                assert os.listdir(clones) == [] and len(subvolumes(btrfs)) == 2, (call, n)
                continue
            gone = front.run(msgs.DELETE_CLONE, "c1", 500, clone=order["clone"], nonce=order["nonce"])
            assert gone.outcome == msgs.DONE and os.listdir(clones) == []
            if result.outcome == msgs.DONE:
                break
        else:
            raise AssertionError(f"no end of {call}")
    assert failed >= 4


# Places

def test_strangers_are_told_and_never_touched(engine, front):
    snapshots = engine.snapshot_dir("c1")
    for name in ("7", ".8", ".del-9", "lost+found", "010", "clones/free"):
        os.makedirs(os.path.join(snapshots, name, "x"), mode=0o700)
    items = sorted((i.item_name, i.item) for i in front.probe("c1")[1])
    assert items == [(n, msgs.STRANGER) for n in sorted(["7", ".8", ".del-9", "lost+found", "010", "clones/free"])]
    for refused in (front.create("c1", 7), front.create("c1", 8), front.delete("c1", 20, 7), front.delete("c1", 21, 9)):
        assert refused.outcome == msgs.FAILED and "quarantine" in refused.cause
    assert os.path.isdir(os.path.join(snapshots, ".8", "x"))


def quarantined(front, job, item, backup, nonce, **fields):
    return front.run(msgs.DELETE_QUARANTINED, "c1", job, item=item, backup=backup, nonce=nonce, **fields)


def rewrite(folder, name, **fields):
    """A paper with other fields, as root wrote it."""
    path = os.path.join(folder, name)
    with open(path, encoding="ascii") as file:
        paper = {**json.load(file), **fields}
    with open(path, "w", encoding="ascii") as file:
        json.dump(paper, file, indent=2)


def test_whose_a_stranger_is(engine, front, btrfs):
    snapshots = engine.snapshot_dir("c1")
    for number in (1, 2, 3):
        assert front.create("c1", number).outcome == msgs.DONE
    rewrite(os.path.join(snapshots, "1"), "manifest.json", install="0" * 31 + "1")
    rewrite(os.path.join(snapshots, "2"), "manifest.json", cluster="c2")
    os.rename(os.path.join(snapshots, "3"), os.path.join(snapshots, "4"))
    found = {i.item_name: i for i in front.probe("c1")[1]}
    assert {n: (i.item, i.owner) for n, i in found.items()} == {
        "1": (msgs.STRANGER, msgs.OWNER_INSTALL), "2": (msgs.STRANGER, msgs.OWNER_CLUSTER),
        "4": (msgs.STRANGER, msgs.OWNER_OURS)}
    assert found["1"].facts["backend"] == "btrfs" and found["1"].facts["consistent_ms"] > 0


def test_one_form_of_a_number_goes(engine, front, btrfs):
    """Beside a backup of the catalogue lie an unfinished one and a removal of its number."""
    snapshots = engine.snapshot_dir("c1")
    assert front.create("c1", 7, nonce=nonce_of(8)).outcome == msgs.DONE
    os.rename(os.path.join(snapshots, "7"), os.path.join(snapshots, ".7"))
    assert front.create("c1", 7, nonce=nonce_of(9)).outcome == msgs.FAILED     # another's lies there
    os.rename(os.path.join(snapshots, ".7"), os.path.join(snapshots, "aside"))
    assert front.create("c1", 7).outcome == msgs.DONE
    os.rename(os.path.join(snapshots, "aside"), os.path.join(snapshots, ".7"))
    assert names(engine) == [".7", "7"]
    for item in (msgs.BACKUP, msgs.DELETING, msgs.PARTIAL):
        wrong = quarantined(front, 20, item, 7, nonce_of(10))
        assert item == msgs.DELETING or wrong.outcome == msgs.FAILED, (item, wrong)
    assert names(engine) == [".7", "7"]
    assert quarantined(front, 21, msgs.PARTIAL_DONE, 7, nonce_of(8)).outcome == msgs.DONE
    assert names(engine) == ["7"]
    assert quarantined(front, 21, msgs.PARTIAL_DONE, 7, nonce_of(8), attempt=2).outcome == msgs.DONE
    assert quarantined(front, 22, msgs.BACKUP, 7, nonce_of(7)).outcome == msgs.DONE
    assert names(engine) == [] and subvolumes(btrfs) == ["data"]


def test_quarantined_with_a_guest_in_it_stays(engine, front, btrfs):
    snapshots = engine.snapshot_dir("c1")
    assert front.create("c1", 7).outcome == msgs.DONE
    with open(os.path.join(snapshots, "7", "letter"), "w", encoding="ascii"):
        pass
    refused = quarantined(front, 20, msgs.BACKUP, 7, nonce_of(7))
    assert refused.outcome == msgs.FAILED and not refused.retry and "letter" in refused.cause
    assert os.path.exists(os.path.join(snapshots, ".del-7", "letter")) and len(subvolumes(btrfs)) == 2
    assert [(i.item, i.backup) for i in front.probe("c1")[1]] == [(msgs.DELETING, 7)]
    os.unlink(os.path.join(snapshots, ".del-7", "letter"))
    assert quarantined(front, 21, msgs.DELETING, 7, nonce_of(7)).outcome == msgs.DONE
    assert subvolumes(btrfs) == ["data"]


def test_a_quarantined_clone_goes(engine, front, btrfs):
    front.create("c1", 1)
    order = {"backup": 1, "clone": "copy", "nonce": nonce_of(5), "source": nonce_of(1)}
    assert front.run(msgs.CLONE, "c1", 5, **order).outcome == msgs.DONE
    items = {i.item_name: (i.item, i.owner, i.facts["nonce"]) for i in front.probe("c1")[1]}
    assert items["clones/copy"] == (msgs.CLONE_ITEM, msgs.OWNER_OURS, nonce_of(5))
    assert quarantined(front, 6, msgs.CLONE_ITEM, 0, nonce_of(6), clone="copy").outcome == msgs.FAILED
    assert quarantined(front, 6, msgs.CLONE_ITEM, 0, nonce_of(5), clone="copy", attempt=2).outcome == msgs.DONE
    assert os.listdir(os.path.join(engine.snapshot_dir("c1"), "clones")) == []


def test_empty_remains_are_partial_and_go(engine, front):
    snapshots = engine.snapshot_dir("c1")
    os.makedirs(os.path.join(snapshots, ".7", "data"), mode=0o700)
    assert [(i.item, i.backup) for i in front.probe("c1")[1]] == [(msgs.PARTIAL, 7)]
    assert front.create("c1", 7).outcome == msgs.DONE
    assert names(engine) == ["7"]


def test_unmounted_is_offline_never_made_anew(engine, front, btrfs):
    front.create("c1", 1)
    btrfs.umount()
    probed, items = front.probe("c1")
    assert probed.place == msgs.OFFLINE and items == [] and "mount" in probed.remedy
    result = front.create("c1", 2)
    assert result.outcome == msgs.FAILED and result.code == msgs.ERR_OFFLINE
    assert os.listdir(btrfs.mnt) == []
    btrfs.mount()
    assert front.probe("c1")[1][0].backup == 1


def test_a_record_that_came_later_keeps_the_place_from_being_made_anew(engine, front, btrfs):
    """An adopted backup may be a cluster's first record."""
    front.send("RECORDS", cluster="c1", records=1)
    btrfs.umount()
    assert front.probe("c1")[0].place == msgs.OFFLINE
    assert os.listdir(btrfs.mnt) == []
    btrfs.mount()


def test_a_lost_place_is_offline_never_made_anew(engine, front):
    snapshots = engine.snapshot_dir("c1")
    front.create("c1", 1)
    os.rename(snapshots, snapshots + ".aside")
    assert front.probe("c1")[0].place == msgs.OFFLINE
    assert not os.path.exists(snapshots)
    os.rename(snapshots + ".aside", snapshots)
    assert front.probe("c1")[1][0].backup == 1


def test_top_of_a_mount_has_no_place_beside_it(engine, front, btrfs):
    engine.add_cluster("c2", btrfs.mnt, database={"type": "none"})
    reload(engine, front)
    probed, _ = front.probe("c2")
    assert probed.place == msgs.REFUSED and "top of its mount" in probed.cause and "snapshot_dir" in probed.remedy
    assert front.create("c2", 1).outcome == msgs.FAILED


def test_a_new_place_on_another_file_system_waits_for_its_mount(engine, front, btrfs, folder):
    data = btrfs.subvolume("other")
    engine.add_cluster("c2", data, database={"type": "none"}, snapshot_dir=os.path.join(folder, "s"))
    reload(engine, front)
    probed, _ = front.probe("c2")
    assert probed.place == msgs.OFFLINE and "not mounted yet" in probed.cause
    assert os.listdir(folder) == []


def test_read_only_and_full(engine, front, btrfs):
    btrfs.remount("ro")
    result = front.create("c1", 1)
    assert result.outcome == msgs.FAILED and "Read-only" in result.cause and "writing" in result.remedy
    btrfs.remount("rw")
    assert front.create("c1", 1).outcome == msgs.DONE
    engine.add_cluster("c1", btrfs.path("data"), database={"type": "none"}, min_free="90%")
    reload(engine, front)
    os.truncate(btrfs.path("data", "content"), 0)
    btrfs.fill(1 << 30)
    result = front.create("c1", 2)
    assert result.outcome == msgs.FAILED and "min_free" in result.cause and "MiB" in result.cause, result
    assert front.check("c1", msgs.SPACE)[0].space_low
    assert front.delete("c1", 3, 1).outcome == msgs.DONE
    assert names(engine) == []


def test_another_installs_place_is_refused(engine, fronts, front):
    front.create("c1", 1)
    engine.stop()
    engine.spawn()
    front = fronts.accept()
    front.hello([("c1", 1)], install=bytes(16 * [7]))
    probed, items = front.probe("c1", exclusive=True)
    assert probed.place == msgs.REFUSED and "another install" in probed.cause and items == []
    assert front.create("c1", 2).outcome == msgs.FAILED
    assert front.delete("c1", 3, 1).outcome == msgs.FAILED
    assert names(engine) == ["1"]


@pytest.mark.parametrize("spoil, word", [
    (lambda d: os.rename(d, d + ".gone"), "does not exist"),
    (lambda d: (os.rename(d, d + ".real"), os.symlink(d + ".real", d)), ".real"),
    (lambda d: (os.rename(d, d + ".real"), open(d, "w").close()), "not a directory"),
])
def test_spoiled_data_dir(engine, front, btrfs, spoil, word):
    front.create("c1", 1)
    spoil(btrfs.path("data"))
    result = front.create("c1", 2)
    assert result.outcome == msgs.FAILED and word in result.cause and result.remedy, result
    checked, _ = front.check("c1")
    assert not checked.ok and word in checked.refusal
    # A database that is gone keeps nobody from deleting or cloning its backups.
    made = front.run(msgs.CLONE, "c1", 3, backup=1, clone="copy", nonce=nonce_of(50), source=nonce_of(1))
    assert made.outcome == msgs.DONE, made
    assert front.delete("c1", 4, 1).outcome == msgs.DONE
    assert names(engine) == []


def test_measure(engine, front):
    front.create("c1", 1)
    measured, _ = front.ask("MEASURE", "MEASURED", cluster="c1", backup=1, nonce=nonce_of(1))
    assert measured.code == 0 and measured.size > 0
    measured, _ = front.ask("MEASURE", "MEASURED", cluster="c1", backup=1, nonce=nonce_of(2))
    assert measured.code == msgs.ERR_NOT_FOUND


# Thaw

def start_time(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[19])


class HeldStill:
    """A process that is stopped, with a daemon's note of it in a folder."""

    def __init__(self, folder):
        self.process = subprocess.Popen(["sleep", "1000"])
        self.process.send_signal(signal.SIGSTOP)
        eventually(lambda: status_fields(self.process.pid)["State"].startswith("T"))
        os.makedirs(folder, 0o700)
        with open(os.path.join(folder, "c1"), "w", encoding="ascii") as file:
            file.write(f"{self.process.pid} {start_time(self.process.pid)}\n")

    def __enter__(self):
        return self

    def wait_runs(self):
        eventually(lambda: status_fields(self.process.pid)["State"].startswith("S"), what="it runs again")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("by", ["--thaw", "start"])
def test_thaw_beside_every_socket(engine, by):
    """The file names the sockets in another order than when the daemon was started, which noted it beside the first; and
    another file is broken now."""
    second = os.path.join(engine.folder, "second")
    engine.configure(listen=[{"path": engine.socket}, {"path": os.path.join(second, "sock"), "group": "root"}])
    with HeldStill(os.path.join(engine.run_dir, "frozen")) as first, HeldStill(os.path.join(second, "frozen")) as other:
        if by == "start":
            with open(engine.state_dir, "w", encoding="ascii"):
                pass
            assert engine.run().returncode == 1
        else:
            engine.write(os.path.join(engine.clusters_dir, "broken.yaml"), "id: [")
            assert engine.run("--thaw").returncode == 0
        first.wait_runs()
        other.wait_runs()
    assert os.listdir(os.path.join(engine.run_dir, "frozen")) == os.listdir(os.path.join(second, "frozen")) == []


def test_thaw_lets_only_the_noted_process_run(engine):
    assert engine.run("--thaw").returncode == 0
    folder = os.path.join(engine.run_dir, "frozen")
    os.mkdir(folder)
    held = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    try:
        for process, start_offset, name in zip(held, (0, 1), ("c1", "c2")):
            process.send_signal(signal.SIGSTOP)
            eventually(lambda p=process: status_fields(p.pid)["State"].startswith("T"))
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(f"{process.pid} {start_time(process.pid) + start_offset}\n")
        assert engine.run("--thaw").returncode == 0
        eventually(lambda: status_fields(held[0].pid)["State"].startswith("S"))
        assert status_fields(held[1].pid)["State"].startswith("T")
        assert os.listdir(folder) == []
    finally:
        for process in held:
            process.kill()
            process.wait()


def test_a_start_that_fails_has_thawed(engine):
    """Where nobody else calls --thaw: a server does not wait until somebody has mounted the disk of the state."""
    folder = os.path.join(engine.run_dir, "frozen")
    with HeldStill(folder) as server:
        with open(engine.state_dir, "w", encoding="ascii"):
            pass
        done = engine.run()
        assert done.returncode == 1 and "is not a directory" in done.stderr, done
        server.wait_runs()
        assert os.listdir(folder) == []


def capabilities(*numbers):
    return f"{sum(1 << n for n in numbers):016x}"


def test_workers_keep_only_what_their_job_needs(engine, front):
    chown, dac_override, dac_read_search, fowner, kill = 0, 1, 2, 3, 5
    setgid, setuid, setpcap, sys_ptrace, sys_admin = 6, 7, 8, 19, 21
    remove = [dac_override, dac_read_search, fowner, sys_admin]
    fork = [kill, setgid, setuid, setpcap]

    def check(kind, job, percent, want, **order):
        with Inject(engine.main.pid, "renameat2", "delay_enter=60s"):
            front.start_job(kind, "c1", job, **order)
            front.wait("PROGRESS", job=job, percent=percent)
            fields = status_fields(engine.workers()[0])
        assert fields["CapEff"] == fields["CapPrm"] == fields["CapBnd"] == capabilities(*want)
        assert fields["CapInh"] == fields["CapAmb"] == "0" * 16 and fields["NoNewPrivs"] == "1"
        assert front.result(job).outcome == msgs.DONE

    check(msgs.CREATE, 1, 90, remove + fork + [sys_ptrace, chown])
    check(msgs.CLONE, 2, 60, remove + fork + [chown], backup=1, clone="copy", nonce=nonce_of(2), source=nonce_of(1))
    check(msgs.DELETE, 3, 5, remove + fork, backup=1, nonce=nonce_of(1))


def test_workers_leave_nothing_behind(engine, front):
    for n in range(1, 6):
        front.create("c1", n)
        assert children(engine.main.pid) == [front.process.pid]
    before = engine.main.pid, len(os.listdir(f"/proc/{engine.main.pid}/fd"))
    front.delete("c1", 10, 1)
    front.probe("c1")
    assert (engine.main.pid, len(os.listdir(f"/proc/{engine.main.pid}/fd"))) == before


def test_front_cannot_pass_a_descriptor(front):
    """Closing one could block the engine for as long as a front that was taken over likes."""
    if not refuses_descriptors(front.link):
        pytest.skip("needs Linux 6.16")
    with pytest.raises(PermissionError):
        socket.send_fds(front.link, [msgs.encode("PONG", number=1)], [front.link.fileno()])
    assert front.probe("c1", exclusive=True)[0].place == msgs.ONLINE
