# SPDX-License-Identifier: GPL-3.0-or-later
"""./bootstrap demo: shows the main job, on whatever the host can do, and leaves nothing,
however it ends."""
import glob
import os
import shutil
import signal
import subprocess

import pytest

from harness import postgres
from harness.disk import run
from harness.process import Pid, status_fields

SOURCE = os.environ["DBSNAP_SRCDIR"]
INTERRUPTED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

# A /dev with what programs need and no loop device, for whoever is started in it.
NO_LOOP = """
set -e
mount -t tmpfs tmpfs "$1"
for name in null zero full random urandom tty shm; do
	if [ -d "/dev/$name" ]; then mkdir "$1/$name"; else : >"$1/$name"; fi
	mount --bind "/dev/$name" "$1/$name"
done
ln -s /proc/self/fd "$1/fd"
mount --move "$1" /dev
shift
exec "$@"
"""


def processes():
    return {int(p) for p in os.listdir("/proc") if p.isdigit()
            and not status_fields(p).get("State", "Z").startswith("Z")}


def is_reflink(path):
    """Whether the file system of path shares blocks; by cp, not by us."""
    one = os.path.join(path, "one")
    with open(one, "wb") as file:
        file.write(bytes(4096))
    done = subprocess.run(["cp", "--reflink=always", one, one + "x"], capture_output=True)
    for name in glob.glob(one + "*"):
        os.unlink(name)
    return done.returncode == 0


@pytest.fixture
def start(root, programs, folder):
    """start(*options, caller={}, env={}, before=()): the running demo; compares processes, mounts,
    loop devices and files before and after the test."""
    if not postgres.available():
        pytest.skip("needs the server programs of PostgreSQL and the user postgres")
    for name in ("demo", "systemd"):
        shutil.copytree(os.path.join(SOURCE, name), os.path.join(folder, name))
    tmp = os.path.join(folder, "tmp")
    os.mkdir(tmp)
    os.chmod(tmp, 0o1777)

    def look():
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = set(file)      # others' may go meanwhile
        return mounts, os.listdir(tmp), processes()

    started = []

    def demo(*options, caller=None, env=None, before=()):
        started.append(subprocess.Popen(
            # A bash cannot trap what was ignored when it began, as nohup has SIGHUP ignored.
            [*before, "env", "--default-signal", os.path.join(folder, "demo/demo"), folder, programs, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "TMPDIR": tmp, "DBSNAP_DEMO_SCALE": "1", **(env or {})},
            start_new_session=True, **(caller or {})))
        return started[-1]
    before = look()
    yield demo
    for each in started:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGTERM)
            each.communicate(timeout=120)
    after = look()
    assert not after[0] - before[0]
    assert after[1] == before[1]
    assert not after[2] - before[2]
    assert tmp not in run("losetup", "--list", "--noheadings", "--output", "BACK-FILE")


def shows(demo, backend):
    """It ends well and has shown the main job by that backend; what it said."""
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    for line in ("All of them are there, and no transaction is torn.",
                 "Exceeding the daily backup times of this DB cluster.",
                 "no process, mount or file is left.", f"\nBackend: {backend}, on "):
        assert line in said, said
    return said


def wait_for(demo, words):
    """What it said up to and with that line."""
    said = ""
    for line in demo.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"ended before: {words}")


@pytest.mark.parametrize("options, backend, on", [
    ([], "btrfs", "a btrfs file system in a file."),
    (["--backend", "reflink"], "reflink", "a xfs file system in a file."),
    (["--backend=copy"], "copy", "file system of /"),
])
def test_shows_the_main_job(start, options, backend, on):
    assert on in shows(start(*options), backend)


def chooses(demo, backend):
    """It has chosen that backend, said so and, interrupted, ended; what it said of it."""
    said = wait_for(demo, "A backup of the running")
    os.killpg(demo.pid, signal.SIGTERM)
    rest, _ = demo.communicate(timeout=120)
    assert demo.returncode == 128 + signal.SIGTERM, rest
    assert f"\nBackend: {backend}, on " in said, said
    return said


def test_without_a_loop_device(start, folder):
    """Says why, and takes the best of what is at hand."""
    dev = os.path.join(folder, "dev")
    os.mkdir(dev)
    said = chooses(start(before=["unshare", "--mount", "bash", "-c", NO_LOOP, "-", dev]),
                   "reflink" if is_reflink(folder) else "copy")
    assert "No btrfs in a file: " in said and "No xfs in a file: " in said


def test_an_ordinary_user(start, carol):
    said = chooses(start(caller=carol.caller, env=carol.environment), "reflink" if is_reflink(carol.home) else "copy")
    assert "Without root no file system is mounted." in said
    assert os.listdir(carol.home) == []


@pytest.mark.parametrize("kind, backend, how", [("btrfs", "btrfs", shows), ("xfs", "reflink", chooses)])
def test_an_ordinary_user_where_blocks_are_shared(start, folder, carol, make_disk, kind, backend, how):
    # A short path: the demo goes elsewhere when a socket would not fit below it.
    disk = make_disk(kind, mnt=os.path.join(folder, "m"))
    os.chmod(disk.mnt, 0o1777)
    said = how(start(caller=carol.caller, env={**carol.environment, "TMPDIR": disk.mnt}), backend)
    assert how == chooses or "(as carol)" in said
    assert set(os.listdir(disk.mnt)) <= {"lost+found"}


def test_a_backend_that_cannot_be_is_refused(start, carol):
    if is_reflink(carol.home):
        pytest.skip("needs a file system that shares no blocks")
    demo = start("--backend", "reflink", caller=carol.caller, env=carol.environment)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode != 0 and "set backend: copy" in said, said


@pytest.mark.parametrize("options", [["--backend", "zfs"], ["--backend"], ["--nonsense"], ["keep"]])
def test_usage(start, options):
    demo = start(*options)
    said, _ = demo.communicate(timeout=30)
    assert demo.returncode == 2 and "usage: ./bootstrap demo" in said


@pytest.mark.parametrize("number", INTERRUPTED)
def test_interrupted_under_load(start, number):
    demo = start()
    wait_for(demo, "A backup of the running")
    os.killpg(demo.pid, number)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 128 + number, said


def test_an_ordinary_user_interrupts_a_copy(start, carol):
    demo = start("--backend", "copy", caller=carol.caller, env=carol.environment)
    wait_for(demo, "$ dbsnap backup create orders --token monday --wait")
    os.killpg(demo.pid, signal.SIGINT)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 128 + signal.SIGINT, said


def test_kept_and_ended(start):
    demo = start("--keep")
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    command = said.strip().splitlines()[-1].split()
    work = os.path.dirname(command[1])
    listed = run("curl", "-s", "--unix-socket", f"{work}/dbsnapd.sock",
                 "http://localhost/?Action=DescribeBackups&DBClusterId=orders")
    assert '"BackupId"' in listed
    run(*command)


def test_a_daemon_that_dies_fails_the_demo(start):
    demo = start()
    wait_for(demo, "What dbsnap sees")
    engine = next(p for p in processes() - {os.getpid()}
                  if status_fields(p).get("Name") == "dbsnapd"
                  and status_fields(p)["PPid"] == str(demo.pid))
    Pid(engine).kill()
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode != 0, said
    assert "demo: failed" in said
