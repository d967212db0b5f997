# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness itself, as far as a wrong answer of it would make other tests blind."""
import os
import random
import signal
import subprocess
import sys

import pytest

from harness import reports
from harness import killer as killers
from harness import scratch as scratches
from harness.disk import run
from harness.load import Acked, check_sums
from harness.process import Pid, children, eventually


@pytest.mark.parametrize("kind", ["btrfs", "xfs", "ext4"])
def test_disk_is_of_its_kind_and_goes_with_its_mount(make_disk, kind):
    disk = make_disk(kind, "400M")
    assert run("stat", "-f", "-c", "%T", disk.mnt).strip() in (kind, "ext2/ext3")
    assert disk.image in run("losetup", "--list", "--noheadings", "--output", "BACK-FILE")
    ballast = disk.fill(leave_bytes=50 << 20)
    assert os.path.getsize(ballast) > 100 << 20
    disk.umount()
    assert disk.image not in run("losetup", "--list", "--noheadings", "--output", "BACK-FILE")


def test_eventually_fails_when_the_state_does_not_come():
    with pytest.raises(AssertionError, match="a miracle"):
        eventually(lambda: False, 0.05, "a miracle")


def test_pid_sees_the_end_and_never_another_process():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pid = Pid(process.pid)
    assert pid.alive() and process.pid in children(os.getpid())
    pid.kill()
    pid.wait_end()
    assert process.pid not in children(os.getpid())
    assert process.wait() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        pid.kill()


def births(short):
    """Finds, as a killer looks, nobody and then another process, of which the first `short` end at once."""
    born = []

    def find():
        if len(born) % 2 == 0:
            born.append(None)
            return []
        born.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
        if len(born) // 2 <= short:
            born[-1].stdin.close()
            Pid(born[-1].pid).wait_end()
        return [born[-1].pid]
    return born, find


@pytest.mark.parametrize("short", [0, 3, 20])
def test_a_kill_that_comes_too_late_takes_another(short):
    killer = killers.Killer(None, random.Random(short))
    born, find = births(short)
    said = killer.kill_passing("workers", find)
    assert said.startswith("workers of ") and killer.worker_kills == 1
    statuses = [process.wait() for process in born if process]
    assert statuses == [0] * short + [-signal.SIGKILL]
    for process in born[1::2]:
        process.stdin.close()


def test_a_kill_that_hits_nobody_fails(monkeypatch):
    monkeypatch.setattr(killers, "TIMEOUT_S", 0.1)
    with pytest.raises(AssertionError, match="none of the helpers hit"):
        killers.Killer(None, random.Random(1)).kill_passing("helpers", lambda: [])


def test_what_a_killed_run_left_is_removed_and_a_living_runs_is_not(root, scratch):
    dead = scratches.PREFIX + "dead"
    os.mkdir(dead)
    open(os.path.join(dead, "lock"), "w").close()
    scratches.remove_survivors()
    assert not os.path.exists(dead)
    assert os.path.exists(scratch.path)


def test_load_is_seen_whole_or_torn(pg, pgbench):
    with Acked(pg, sessions=2) as ids:
        ids.wait_more(20)
        must = ids.acked()
    assert pgbench.running()
    pgbench.stop()
    assert len(must) >= 22 and not ids.missing(pg, must)
    assert ids.missing(pg, {1}) == {1}
    check_sums(pg)
    pg.sql("UPDATE pgbench_tellers SET tbalance = tbalance + 1 WHERE tid = 1")
    with pytest.raises(AssertionError):
        check_sums(pg)


def test_a_killed_server_comes_back_and_a_hung_one_goes_on(pg):
    pg.kill()
    assert not pg.running()
    pg.start()
    pg.hang()
    pg.unhang()
    pg.wait_up()
    pg.amcheck()
    pg.stop()
    pg.checksums()


@pytest.mark.parametrize("line", [
    "==3==ERROR: AddressSanitizer: heap-use-after-free on address 0x60c000004700",
    "==3==ERROR: LeakSanitizer: detected memory leaks",
    "msg.c:3:5: runtime error: signed integer overflow",
    "==3==LeakSanitizer has encountered a fatal error.",
])
def test_a_report_in_a_log_is_found(line):
    reports.check("dbsnapd: error: AVAILABLE\n")
    with pytest.raises(AssertionError, match="a sanitizer reported"):
        reports.check(f"dbsnapd: info: ready\n{line}\n")


if "log_path=" in os.environ.get("ASAN_OPTIONS", ""):   # a build with sanitizers
    def test_a_report_of_a_process_without_environment_is_found(request, folder):
        source = os.path.join(folder, "leak.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("#include <stdlib.h>\nvoid *p; int main(void) { p = malloc(8); p = NULL; return 0; }\n")
        run("gcc", "-O0", "-fsanitize=address", "-o", f"{folder}/leak", source)
        done = subprocess.run([f"{folder}/leak"], env={}, capture_output=True, text=True)
        assert done.returncode != 0 and done.stderr == "", done
        assert "detected memory leaks" in request.config.reports.take()
