# SPDX-License-Identifier: GPL-3.0-or-later
"""An ordinary user, and the dbsnapd that is all his own.

The user exists in this run's mount namespace alone: /etc/passwd and /etc/group are covered
by copies with one more line.
"""
import os
import shutil
import subprocess

from .client import Api
from .daemon import Daemon
from .disk import run


class User:
    def __init__(self, folder, name="carol", number=61000):
        self.name, self.uid, self.gid = name, number, number
        self.home = self.folder(os.path.join(folder, name))
        self.runtime = self.folder(os.path.join(folder, "r"))
        self.covered = []
        self.cover(folder, "passwd", f"{name}:x:{number}:{number}::{self.home}:/bin/bash\n")
        self.cover(folder, "group", f"{name}:x:{number}:\n")

    def folder(self, path, mode=0o700):
        """A folder of his own."""
        os.mkdir(path, mode)
        os.chmod(path, mode)
        os.chown(path, self.uid, self.gid)
        return path

    def cover(self, folder, name, line):
        path = os.path.join(folder, name)
        shutil.copy("/etc/" + name, path)
        with open(path, "a", encoding="utf-8") as file:
            file.write(line)
        run("mount", "--bind", path, "/etc/" + name)
        self.covered.append("/etc/" + name)

    @property
    def caller(self):
        """For subprocess: to be him, and nobody besides."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    @property
    def environment(self):
        return {"PATH": "/usr/bin:/bin", "HOME": self.home, "XDG_RUNTIME_DIR": self.runtime,
                "LC_ALL": "C.UTF-8"}

    def run(self, *argv, env=None, timeout=120, **options):
        """A command of his: CompletedProcess."""
        return subprocess.run(argv, capture_output=True, text=True, cwd=self.home, timeout=timeout,
                              stdin=subprocess.DEVNULL, env={**self.environment, **(env or {})},
                              **self.caller, **options)

    def close(self):
        for path in self.covered:
            run("umount", path)


class OwnDaemon(Daemon):
    """dbsnapd as he starts it: no option but where the programs lie, no file named."""

    def __init__(self, bin_folder, user, **settings):
        super().__init__(bin_folder, user.folder(os.path.join(user.home, "daemon")), **settings)
        self.user = user
        self.uid = user.uid
        self.caller = user.caller
        self.environment = user.environment
        config = os.path.join(user.home, ".config", "dbsnap")
        self.run_dir = os.path.join(user.runtime, "dbsnap")
        self.socket = os.path.join(self.run_dir, "dbsnapd.sock")
        self.state_dir = os.path.join(user.home, ".local", "state", "dbsnap")
        self.config_file = os.path.join(config, "dbsnapd.yaml")
        self.clusters_dir = os.path.join(config, "clusters.d")
        self.api = Api(self.socket)
        for path in (os.path.dirname(config), config, self.clusters_dir):
            user.folder(path)
        self.write(self.config_file, settings)

    def argv(self, *options):
        return [os.path.join(self.bin, "dbsnapd"), "--libexec-dir", self.bin, *options]

    def snapshot_dir(self, cluster):
        settings = self.clusters[cluster]
        beside = os.path.join(os.path.dirname(settings["data_dir"]), ".dbsnap", cluster)
        copies = os.path.join(self.user.home, ".local", "share", "dbsnap", "backups", cluster)
        return settings.get("snapshot_dir", beside if os.path.isdir(beside) else copies)

    def add_server(self, cluster, server, **settings):
        self.add_cluster(cluster, server.data_dir, database={"conninfo": server.conninfo}, **settings)

    def client(self, *args, **options):
        """The dbsnap command, by its defaults."""
        return self.user.run(os.path.join(self.bin, "dbsnap"), *args, **options)
