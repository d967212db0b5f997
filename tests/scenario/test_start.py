# SPDX-License-Identifier: GPL-3.0-or-later
"""The front's start: who it is, what it may do, what it says, when it is ready."""
import os
import signal
import socket
import subprocess

import pytest

import msgs
from disk import Thing
from fake_engine import Gone


def test_hello_comes_first(world):
    world.connect()
    hello = world.hello()
    assert hello.protocol == 1
    assert hello.clusters == 0
    assert hello.install != bytes(16)
    assert [m.name for m in world.engine.seen if m.name != "LOG"][0] == "HELLO"


def test_install_id_stays(world):
    world.connect()
    first = world.hello().install
    world.kill()
    world.connect()
    assert world.hello().install == first


def test_each_cluster_is_probed_once_and_exclusively(world):
    world.add("pc-b")
    engine = world.start()
    engine.settle()
    probes = [m for m in engine.seen if m.name == "PROBE"]
    assert sorted(m.cluster for m in probes) == ["pc-a", "pc-b"]
    assert all(m.exclusive for m in probes)


def test_layout_is_checked_after_the_probe(world):
    engine = world.start()
    engine.wait_for(lambda: any(m.name == "CHECK" and m.depth == msgs.LAYOUT and
                                m.cluster == "pc-a" for m in engine.seen))


def test_not_ready_before_every_cluster_is_probed(world):
    world.add("pc-b")
    world.connect().hold("PROBE")
    world.hello()
    engine = world.engine
    first = engine.wait("PROBE")
    engine.on_probe(first)
    engine.settle()
    assert not engine.waiting("READY")
    engine.release("PROBE")
    engine.wait("READY")


def test_ready_after_five_seconds_without_an_answer(world):
    world.connect().hold("PROBE")
    world.hello()
    engine = world.engine
    engine.wait_for(lambda: engine.count("PROBE"))
    world.advance(4999)
    engine.settle()
    assert not engine.waiting("READY")
    world.advance(1)
    engine.wait("READY")


def test_process_is_confined(world):
    world.start()
    status = world.status()
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"
    assert set(status["Uid"].split()) == {str(world.uid)}
    assert set(status["Gid"].split()) == {str(world.gid)}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0
    if os.getuid() == 0:
        assert int(status["CapBnd"], 16) == 0
        assert status["Groups"] == ""


def test_no_wake_up_when_idle(world):
    engine = world.start()
    engine.settle()
    before = world.status()["voluntary_ctxt_switches"]
    engine.ping()
    after = world.status()["voluntary_ctxt_switches"]
    # Only the ping woke it; the scripted clock stands still, and no real timer is armed.
    assert int(after) - int(before) <= 2


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to start it as root")
def test_refuses_to_run_as_root(world):
    done = subprocess.run([world.program], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "must not run as root" in done.stderr


def test_refuses_without_no_new_privileges(world):
    options = {"user": world.uid, "group": world.gid, "extra_groups": []} if os.getuid() == 0 else {}
    done = subprocess.run([world.program], capture_output=True, text=True, timeout=20, **options)
    assert done.returncode == 1
    assert "no-new-privileges" in done.stderr


def test_refuses_arguments(world):
    done = subprocess.run([world.program, "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2


def test_refuses_an_engine_of_another_plain_user(world):
    world.settings["daemon_uid"] = world.uid + 1
    world.connect()
    world.send_config()
    assert os.waitstatus_to_exitcode(world.reap()) == 1
    assert "uid" in world.stderr()


def test_ends_with_the_engine(world):
    world.start()
    world.stop()


def test_ends_when_the_engine_ends_before_configuring(world):
    world.connect()
    world.engine.sock.shutdown(socket.SHUT_RDWR)
    assert os.waitstatus_to_exitcode(world.reap()) == 1


@pytest.mark.parametrize("data", [
    b"\0", b"\xff\xff\0\0\0\0", msgs.encode("CANCEL", job=1)[:-1],
    msgs.encode("CANCEL", job=1) + b"\0", msgs.encode("HELLO", protocol=1),
    msgs.encode("PROBED", cluster="../etc"), msgs.encode("RUNNING_END", jobs=0),
    msgs.encode("CONFIG_END", generation=1), msgs.encode("READY"), msgs.encode("JOB", job=1)])
def test_malformed_from_the_engine_ends_it(world, data):
    engine = world.start()
    engine.sock.send(data)
    assert os.waitstatus_to_exitcode(world.reap()) == 1


@pytest.mark.parametrize("fields", [
    {"max_running": 0}, {"utc_offset_min": 1440}, {"utc_offset_min": -1440}])
def test_impossible_configuration_ends_it(world, fields):
    world.settings.update(fields)
    world.connect()
    world.send_config()
    assert os.waitstatus_to_exitcode(world.reap()) == 1


def test_running_jobs_must_be_as_many_as_said(world):
    world.connect()
    world.send_config()
    world.engine.start()
    world.engine.wait("HELLO")
    world.engine.send("RUNNING_END", jobs=1)
    assert os.waitstatus_to_exitcode(world.reap()) == 1


def test_probe_must_have_as_many_items_as_said(world):
    world.connect().hold("PROBE")
    world.hello()
    probe = world.engine.wait("PROBE")
    world.engine.send("PROBED", probe.tag, cluster="pc-a", place=msgs.ONLINE, items=1)
    assert os.waitstatus_to_exitcode(world.reap()) == 1


def test_interrupt_and_hangup_are_the_engine_s(world):
    engine = world.start()
    world.front.signal(signal.SIGINT)
    world.front.signal(signal.SIGHUP)
    engine.settle()


def test_waits_for_a_predecessor_s_lock(world):
    world.start()
    first, engine = world.front, world.engine
    first.signal(signal.SIGSTOP)
    world.connect()
    world.send_config()
    world.engine.start()
    with pytest.raises(AssertionError):
        world.engine.wait("HELLO", timeout=0.3)
    first.kill()
    world.engine.wait("HELLO")
    first.wait_end()
    os.waitpid(first.pid, 0)
    engine.close()


def test_log_lines_go_to_the_engine(world):
    engine = world.start()
    assert engine.logged("its snapshots can be reached").cluster == "pc-a"


def test_ping_is_answered_while_probing(world):
    world.connect().hold("PROBE")
    world.hello()
    world.engine.wait("PROBE")
    world.engine.ping()


def test_stranger_goes_to_quarantine_and_is_said_once(world):
    place = world.places["pc-a"]
    place.things["77"] = Thing(msgs.BACKUP, 77, b"n" * 16)
    engine = world.start()
    line = engine.logged("quarantine")
    assert line.backup == 77 and line.level == 3  # newer than the catalogue: an error
    world.send_config()
    engine.wait_for(lambda: engine.count("PROBE") == 2)
    engine.settle()
    assert sum("quarantine" in m.text for m in engine.seen if m.name == "LOG") == 1
    assert "77" in place.things


def test_offline_cluster_is_probed_again_with_growing_pauses(world):
    place = world.places["pc-a"]
    place.state = msgs.OFFLINE
    place.cause = "its marker is not there"
    engine = world.start()
    assert engine.logged("its snapshots cannot be reached").cluster == "pc-a"
    for number, pause in enumerate((1, 2, 4, 8, 16, 32, 60, 60), 2):
        world.advance(pause * 1000 - 1)
        engine.settle()
        assert engine.count("PROBE") == number - 1
        world.advance(1)
        engine.wait_for(lambda n=number: engine.count("PROBE") == n)
        engine.ping()
    place.state = msgs.ONLINE
    world.advance(60_000)
    engine.logged("its snapshots can be reached")


def test_busy_cluster_is_probed_again_exclusively(world):
    place = world.places["pc-a"]
    place.state = msgs.PLACE_BUSY
    engine = world.start()
    for number, pause in enumerate((200, 400, 800, 1600, 3200, 5000, 5000), 2):
        world.advance(pause - 1)
        engine.settle()
        assert engine.count("PROBE") == number - 1
        world.advance(1)
        engine.wait_for(lambda n=number: engine.count("PROBE", exclusive=True) == n)
        engine.ping()


def test_second_front_s_store_error_is_on_standard_error(world):
    with open(os.path.join(world.state_dir, "store.mdb"), "wb") as file:
        file.write(b"not a store" * 1000)
    os.chown(file.name, world.uid, world.gid)
    world.connect()
    world.send_config()
    assert os.waitstatus_to_exitcode(world.reap()) == 1
    assert "store.mdb" in world.stderr()


def test_no_front_without_a_place_for_its_store(world):
    os.chmod(world.state_dir, 0)
    world.connect()
    world.send_config()
    with pytest.raises(Gone):
        world.engine.start()
        world.engine.wait("HELLO")
    assert os.waitstatus_to_exitcode(world.reap()) == 1
    assert world.state_dir in world.stderr()


@pytest.mark.parametrize("wrong", [{"listeners": 2}, {"keys": 1}, {"statements": 1}, {"clusters": 1}])
def test_lists_must_be_as_long_as_said(world, wrong):
    world.connect()
    world.engine.send("CONFIG", generation=1, **world.settings)
    world.engine.send("CONFIG_LISTENER", generation=1, **world.listeners[0])
    world.engine.send("CONFIG_END", **{"generation": 1, "clusters": 0, "listeners": 1, **wrong})
    assert os.waitstatus_to_exitcode(world.reap()) == 1
