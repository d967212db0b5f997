# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed service under a real systemd: activation, watchdog, reload, stop, sandbox."""
import os
import signal
import threading

import pytest
import yaml

from harness.daemon import IDLE_STOP_S
from harness.postgres import USER, bindir
from harness.process import Pid, children, eventually, held, program

SERVICE, SOCKET = "dbsnapd.service", "dbsnapd.socket"
CONFIG = "/usr/local/etc/dbsnap"


class Guest:
    """systemd with dbsnap installed and a PostgreSQL on btrfs running in it."""

    def __init__(self, system, disk, server):
        self.system = system
        self.disk = disk
        self.server = server
        self.api = system.api()

    def start_server(self):
        self.system.run("systemd-run", "--quiet", "--unit=pg", "--service-type=notify",
                        f"--uid={USER}", "--property=TimeoutStartSec=60",
                        os.path.join(bindir(), "postgres"), "-D", self.server.data_dir)

    def configure(self, **settings):
        self.system.write(f"{CONFIG}/dbsnapd.yaml", yaml.safe_dump(settings))

    def add_cluster(self, cluster):
        self.system.write(f"{CONFIG}/clusters.d/{cluster}.yaml", yaml.safe_dump({
            "id": cluster, "data_dir": self.server.data_dir,
            "database": {"type": "postgresql", "conninfo": self.server.conninfo}}))

    def add_folder(self, cluster):
        """A cluster without a database."""
        self.system.write(f"{CONFIG}/clusters.d/{cluster}.yaml", yaml.safe_dump({
            "id": cluster, "data_dir": self.disk.subvolume(cluster),
            "database": {"type": "none"}}))

    def drop_in(self, text):
        self.system.write(f"/run/systemd/system/{SERVICE}.d/test.conf", "[Service]\n" + text)
        self.system.systemctl("daemon-reload")

    def main_pid(self):
        """The engine, by the number it has outside; 0 when there is none."""
        inside = int(self.system.show(SERVICE, "MainPID"))
        if inside == 0:
            return 0
        for pid in os.listdir("/proc"):
            if pid.isdigit() and self.number_inside(pid) == inside:
                return int(pid)
        return 0

    def number_inside(self, pid):
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                numbers = next(line.split()[1:] for line in file if line.startswith("NSpid:"))
            same = os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{self.system.init}/ns/pid")
        except (FileNotFoundError, ProcessLookupError, StopIteration):
            return None
        return int(numbers[-1]) if same else None

    def front(self):
        engine = self.main_pid()
        return next((p for p in children(engine) if program(p) == "dbsnapd-front"), 0)

    def backups(self):
        """Id and state of each, newest first (the size is measured later)."""
        return [(b["BackupId"], b["Dbsnap"]["State"]) for b in self.api.backups("main")]


@pytest.fixture
def guest(make_systemd, srv, make_disk, make_server):
    # Not below /var/tmp, which the service does not see (PrivateTmp=).
    disk = make_disk(mnt="/srv/pg")
    os.mkdir("/srv/run")
    server = make_server(disk.subvolume("orders", USER), start=False, folder="/srv/run")
    guest = Guest(make_systemd(srv), disk, server)
    guest.configure(quota={"manual_per_day": 100, "manual_retained": 100})
    guest.add_cluster("main")
    guest.start_server()
    return guest


def wait_active(guest):
    """It may answer before systemd has read that it is ready."""
    eventually(lambda: guest.system.show(SERVICE, "ActiveState") == "active", 60, "active")


def test_a_connection_starts_it(guest):
    guest.system.systemctl("start", SOCKET)
    assert guest.system.show(SERVICE, "ActiveState") == "inactive"
    assert guest.api.ok("DescribeStatus")
    wait_active(guest)
    assert guest.system.show(SERVICE, "NRestarts") == "0"


def test_backup_and_clone_inside_the_sandbox(guest):
    guest.system.systemctl("start", SERVICE)
    item = guest.api.create_and_wait("main")
    assert item["Dbsnap"]["Backend"] == "btrfs" and item["Dbsnap"]["Procedure"] == "A", item
    assert guest.disk.subvolumes()[f".dbsnap/main/{item['BackupId']}/data"] is True
    clone = guest.api.clone_and_wait("main", item["BackupId"], "c1")
    guest.system.run("systemd-run", "--quiet", "--unit=clone", "--service-type=notify",
                     f"--uid={USER}", os.path.join(bindir(), "postgres"), "-D", clone["ClonePath"])
    said = guest.system.run("runuser", "-u", USER, "--", "psql", "-h", clone["SocketDir"], "-qAtX",
                            "-c", "SELECT 40 + 2", "postgres").stdout
    assert said.strip() == "42"
    guest.system.systemctl("stop", "clone.service")


def test_verify_inside_the_sandbox(guest):
    guest.system.systemctl("start", SERVICE)
    item = guest.api.create_and_wait("main")
    job = guest.api.ok("VerifyBackup", BackupId=item["BackupId"])["JobId"]

    def ended():
        shown = guest.api.ok("DescribeJobs", JobId=job)["Items"]["Job"][0]
        return shown if shown["State"] not in ("Pending", "Running") else None
    shown = eventually(ended, 60, "the verification's end")
    assert shown["State"] == "Done", shown
    assert guest.api.backup("main", item["BackupId"])["Dbsnap"]["Verified"]["Result"] == "Good"
    guest.api.delete_and_wait("main", item["BackupId"])


def test_a_clone_runs_inside_the_sandbox(guest):
    """Reached from outside of it; ended by a stop of the service, and run again after it."""
    guest.system.systemctl("start", SERVICE)
    backup = guest.api.create_and_wait("main")
    guest.api.ok("CloneBackup", BackupId=backup["BackupId"], CloneName="c1", Start="true")

    def runs():
        clone = guest.api.clone("main", "c1")
        assert "Cause" not in clone, clone
        return clone["Running"] == "true" and clone

    def ask(sql):
        return guest.system.run("runuser", "-u", USER, "--", "psql", "-h", clone["SocketDir"], "-qAtX", "-c", sql,
                                "postgres").stdout.strip()
    clone = eventually(runs, 60, "c1 runs")
    # Code made at run time would be refused by MemoryDenyWriteExecute=.
    ask("CREATE TABLE kept AS SELECT i FROM generate_series(1, 1000) i")
    assert ask("SET jit_above_cost = 0; SELECT sum(i) FROM kept") == "500500"
    guest.system.systemctl("restart", SERVICE)
    clone = eventually(runs, 60, "c1 runs again")
    assert ask("SELECT count(*) FROM kept") == "1000"
    guest.api.ok("DeleteClone", CloneName="c1")
    eventually(lambda: guest.api.clone("main", "c1") is None, 30, "deleted")


def test_the_roles_have_only_what_they_need(guest):
    guest.system.systemctl("start", SERVICE)
    with open(f"/proc/{guest.front()}/status", encoding="utf-8") as file:
        front = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    assert [int(front[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 5
    assert front["Uid"].split() == [front["Uid"].split()[0]] * 4 and front["Uid"].split()[0] != "0"
    assert (front["NoNewPrivs"], front["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("role", ["main_pid", "front"])
def test_a_hung_process_does_not_stay(guest, role):
    guest.drop_in("WatchdogSec=2\n")
    guest.system.systemctl("start", SERVICE)
    backup = guest.api.create_and_wait("main")
    hung = Pid(getattr(guest, role)())
    engine = Pid(guest.main_pid())
    hung.signal(signal.SIGSTOP)
    hung.wait_end(30)
    if role == "main_pid":
        engine.wait_end(30)
        eventually(lambda: guest.system.show(SERVICE, "NRestarts") == "1", 30, "restarted")
    guest.system.wait_state(SERVICE, "active")
    assert guest.backups() == [(backup["BackupId"], "AVAILABLE")]
    guest.api.create_and_wait("main")


def test_reload_takes_a_good_configuration_whole_and_a_bad_one_not_at_all(guest):
    guest.system.systemctl("start", SERVICE)
    engine = guest.main_pid()
    guest.add_folder("other")
    guest.system.systemctl("reload", SERVICE)

    def clusters():
        items = guest.api.ok("DescribeDBClusters")["Items"]["DBCluster"]
        return {c["DBClusterId"] for c in items}
    # systemd before 253 does not wait for the daemon's own word.
    eventually(lambda: clusters() == {"main", "other"}, 30, "both clusters")
    guest.add_folder("third")
    guest.system.write(f"{CONFIG}/clusters.d/broken.yaml", "id: [")
    guest.system.systemctl("reload", SERVICE, check=False)
    eventually(lambda: "clusters.d/broken.yaml:" in guest.system.journal("-u", SERVICE), 30, "refusal")
    guest.system.wait_state(SERVICE, "active")
    assert clusters() == {"main", "other"}
    assert guest.main_pid() == engine


def test_stop_during_a_job_loses_nothing(guest):
    guest.system.systemctl("start", SERVICE)
    done = guest.api.create_and_wait("main")
    cut = guest.api.create("main")
    below = held([guest.main_pid(), *children(guest.main_pid())])
    guest.system.systemctl("stop", SERVICE)
    assert guest.system.show(SERVICE, "Result") == "success"
    assert not any(p.alive() for p in below)
    guest.system.systemctl("start", SERVICE)
    item = guest.api.wait_final("main", cut)
    assert item["Dbsnap"]["State"] == "AVAILABLE", item
    assert guest.backups() == [(cut, "AVAILABLE"), (done["BackupId"], "AVAILABLE")]
    names = set(os.listdir(guest.disk.path(".dbsnap", "main"))) - {"clones", "marker.json"}
    assert names == {cut, done["BackupId"]}


def test_idle_stop_takes_no_time_and_a_request_brings_it_back(guest):
    guest.system.systemctl("start", SERVICE)
    engine = Pid(guest.main_pid())
    stopper = threading.Thread(target=guest.system.systemctl, args=("stop", SERVICE))
    stopper.start()
    engine.wait_end(IDLE_STOP_S)
    stopper.join()
    assert guest.system.show(SERVICE, "Result") == "success"
    assert guest.api.ok("DescribeStatus")
    wait_active(guest)


def test_missing_user_says_which_command_makes_it(guest):
    guest.system.run("userdel", "dbsnap")
    guest.system.run("groupadd", "--system", "dbsnap")
    done = guest.system.run("/usr/local/sbin/dbsnapd", check=False)
    assert done.returncode == 1
    command = done.stderr.split("make it with: ")[1]
    guest.system.run("bash", "-c", command.replace("--user-group", "--gid dbsnap"))
    guest.system.run("systemd-tmpfiles", "--create", "dbsnap.conf")
    guest.system.systemctl("start", SERVICE)
