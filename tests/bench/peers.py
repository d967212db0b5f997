# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user would pick instead for a snapshot, and for the list of them: btrfs, snapper and btrbk.

Two subvolumes of the same files on one file system, for snapper puts one of its own into what it snapshots. snapper
without D-Bus, and so without its daemon: one process that does all of it.
"""
import json
import os
import shutil
import subprocess
import time

from harness.disk import run

SNAPPER = ["snapper", "--no-dbus", "-c", "dbsnapbench"]
PACKAGES = {"snapper": "snapper", "btrbk": "btrbk"}


def timed(*argv):
    """(milliseconds, standard output) of a command."""
    begin = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL)
    took = (time.monotonic() - begin) * 1000
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr or done.stdout}"
    return took, done.stdout


class Dbsnap:
    name = "dbsnap backup create --wait"
    listing = "dbsnap backup list"

    def __init__(self, client):
        self.client = client
        self.count = 0

    def create(self):
        self.count += 1
        return timed(*self.client, "backup", "create", "main", "--wait")[0]

    def list(self):
        took, text = timed(*self.client, "backup", "list", "main")
        assert text.count("AVAILABLE") == self.count
        return took

    def close(self):
        pass


class Btrfs:
    name = "btrfs subvolume snapshot -r"
    listing = "btrfs subvolume list -s, the same snapshots and all others"

    def __init__(self, disk, data):
        self.data, self.mnt = data, disk.mnt
        self.folder = disk.path("btrfs")
        os.mkdir(self.folder)
        self.count = 0

    def create(self):
        self.count += 1
        return timed("btrfs", "subvolume", "snapshot", "-r", self.data, os.path.join(self.folder, str(self.count)))[0]

    def list(self):
        took, text = timed("btrfs", "subvolume", "list", "-s", self.mnt)
        assert text.count("\n") >= self.count
        return took

    def close(self):
        pass


class Snapper:
    name = "snapper --no-dbus create"
    listing = "snapper --no-dbus list"

    def __init__(self, data):
        self.count = 0
        if os.path.exists("/etc/snapper/configs/dbsnapbench"):
            run(*SNAPPER, "delete-config")
        run(*SNAPPER, "create-config", data)

    def create(self):
        self.count += 1
        return timed(*SNAPPER, "create")[0]

    def list(self):
        took, text = timed(*SNAPPER, "--jsonout", "list")
        assert len(json.loads(text)["dbsnapbench"]) == self.count + 1
        return took

    def close(self):
        run(*SNAPPER, "delete-config")


class Btrbk:
    name = "btrbk snapshot"
    listing = None  # a hundred of its snapshots take it a minute to make

    def __init__(self, disk, folder, data):
        self.config = os.path.join(folder, "btrbk.conf")
        os.mkdir(disk.path("btrbk"))
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"timestamp_format long-iso\nsnapshot_preserve_min all\nvolume {disk.mnt}\n"
                       f"  snapshot_dir btrbk\n  subvolume {os.path.basename(data)}\n")
        self.count = 0

    def create(self):
        self.count += 1
        return timed("btrbk", "-q", "-c", self.config, "snapshot")[0]

    def close(self):
        pass


def missing():
    return [f"not installed: apt-get install {package}" for name, package in PACKAGES.items() if not shutil.which(name)]


def tools(disk, folder, client, data, other):
    found = [Dbsnap(client), Btrfs(disk, data)]
    try:
        if shutil.which("snapper"):
            found.append(Snapper(other))
        if shutil.which("btrbk"):
            found.append(Btrbk(disk, folder, other))
    except BaseException:
        close(found)
        raise
    return found


def close(found):
    for one in reversed(found):
        one.close()
