# SPDX-License-Identifier: GPL-3.0-or-later
"""A real systemd as process 1 of namespaces of its own, with dbsnap installed in it.

Its root is the host's tree below a tmpfs, so nothing that it writes reaches the host but
in the folders bound into it; it has a network namespace with nothing in it, and the
kernel is the host's. Units of the host that are enabled do not start. Needs cgroup v2
and overlayfs; limits like MemoryMax= are taken and not enforced where the v2 hierarchy
has no controllers.
"""
import os
import subprocess

from . import reports
from .client import Api
from .daemon import Notify
from .process import Pid, children, eventually

SPACES = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
SOCKET = "/run/dbsnap/dbsnapd.sock"


class Systemd:
    def __init__(self, folder, installed, binds):
        self.folder = folder
        self.notify_dir = os.path.join(folder, "notify")
        self.work = os.path.join(folder, "work")
        self.cgroups = os.path.join(folder, "cgroups")
        self.group = os.path.join(self.cgroups, f"dbsnap-test-{os.path.basename(folder)}-{os.getpid()}")
        for path in (self.notify_dir, self.work, self.cgroups):
            os.mkdir(path)
        self.starter = self.init = None
        self.notify = Notify(os.path.join(self.notify_dir, "socket"))
        subprocess.run(["mount", "-t", "cgroup2", "none", self.cgroups], check=True)
        os.mkdir(self.group)
        try:
            self.boot(installed, binds)
        except BaseException:
            self.close()
            raise

    def boot(self, installed, binds):
        # It joins the group first, so that the new cgroup namespace is rooted there.
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "systemd-root")
        join = 'echo $$ >"$0"/cgroup.procs && exec "$@"'
        self.starter = subprocess.Popen(
            ["bash", "-c", join, self.group, "unshare", *SPACES, "--fork", "--kill-child",
             script, self.work, self.notify_dir, installed, *binds], stdin=subprocess.DEVNULL)
        starter = Pid(self.starter.pid)
        self.notify.wait("READY=1", starter, 60)
        self.init = children(self.starter.pid)[0]

    def argv(self, *argv):
        return ["nsenter", "--target", str(self.init), *SPACES, "--wd=/", *argv]

    def run(self, *argv, timeout=60, check=True):
        """A command inside, as root: CompletedProcess; fails with its output."""
        done = subprocess.run(self.argv(*argv), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=timeout)
        assert not check or done.returncode == 0, \
            f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal()}"
        return done

    def systemctl(self, *argv, **options):
        return self.run("systemctl", "--no-pager", *argv, **options).stdout

    def show(self, unit, name):
        """One property of a unit."""
        return self.systemctl("show", "--value", "--property", name, unit).strip()

    def wait_state(self, unit, state, timeout=30.0):
        eventually(lambda: self.show(unit, "ActiveState") == state, timeout,
                   f"{unit} {state}")

    def journal(self, *options):
        done = subprocess.run(self.argv("journalctl", "--no-pager", "--no-hostname", *options),
                              capture_output=True, text=True, timeout=60)
        return done.stdout

    def path(self, path):
        """The host's name of a path inside."""
        return f"/proc/{self.init}/root{path}"

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)

    def api(self):
        """The API on the socket unit's socket; the caller is the host's root."""
        return Api(self.path(SOCKET))

    def close(self):
        said = self.journal() if self.init else ""
        if self.starter:
            starter = Pid(self.starter.pid)
            starter.kill()               # unshare --kill-child ends process 1, and that all
            self.starter.wait()
            starter.close()
            eventually(self.remove_groups, 30, "cgroups gone")
        subprocess.run(["umount", self.cgroups], check=True)
        self.notify.close()
        reports.check(said)

    def remove_groups(self):
        for folder, _, _ in os.walk(self.group, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True
