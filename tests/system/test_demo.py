# SPDX-License-Identifier: GPL-3.0-or-later
"""./bootstrap demo: shows the main job, and leaves nothing, however it ends."""
import glob
import os
import signal
import subprocess

import pytest

from harness import postgres
from harness.disk import run
from harness.process import Pid, status_fields

SOURCE, BUILD = os.environ["DBSNAP_SRCDIR"], os.environ["DBSNAP_BUILDDIR"]


def start(*options):
    return subprocess.Popen([os.path.join(SOURCE, "demo/demo"), SOURCE, BUILD, *options],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def processes():
    return {int(p) for p in os.listdir("/proc") if p.isdigit()
            and not status_fields(p).get("State", "Z").startswith("Z")}


@pytest.fixture
def nothing_left(root):
    """Compares processes, mounts, loop devices and files before and after."""
    if not postgres.available():
        pytest.skip("needs the server programs of PostgreSQL and the user postgres")

    def look():
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = file.read()
        return mounts, glob.glob("/var/tmp/dbsnap-demo.*"), processes()
    before = look()
    yield
    after = look()
    assert after[:2] == before[:2]
    assert not after[2] - before[2]
    assert "dbsnap-demo" not in run("losetup", "--list", "--noheadings", "--output", "BACK-FILE")


def test_shows_the_main_job(nothing_left):
    demo = start()
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    for line in ("All of them are there, and no transaction is torn.",
                 "Exceeding the daily backup times of this DB cluster.",
                 "no process, mount or file is left."):
        assert line in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_under_load(nothing_left, number):
    demo = start()
    for line in demo.stdout:
        if "A backup of the running" in line:
            break
    os.killpg(demo.pid, number)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 128 + number, said


def test_kept_and_ended(nothing_left):
    demo = start("--keep")
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    command = said.strip().splitlines()[-1].split()
    work = os.path.dirname(command[1])
    listed = run("curl", "-s", "--unix-socket", f"{work}/dbsnapd.sock",
                 "http://localhost/?Action=DescribeBackups&DBClusterId=orders")
    assert '"BackupId"' in listed
    run(*command)


def test_a_daemon_that_dies_fails_the_demo(nothing_left):
    demo = start()
    engine = None
    for line in demo.stdout:
        if "What dbsnap sees" in line:
            engine = next(p for p in processes() - {os.getpid()}
                          if status_fields(p).get("Name") == "dbsnapd"
                          and status_fields(p)["PPid"] == str(demo.pid))
            break
    Pid(engine).kill()
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode != 0, said
    assert "demo: failed" in said
