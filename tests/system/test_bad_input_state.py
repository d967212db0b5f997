# SPDX-License-Identifier: GPL-3.0-or-later
"""A state directory that is of another version, damaged, read-only, full, or in the way.

What the store itself does with each file is in tests/unit/test_store.c.
"""
import os
import shutil

import pytest

from harness import invariants
from harness.disk import run
from harness.process import eventually
from harness.unchanged import code_of, says, unchanged

UNAVAILABLE = (503, "ServiceUnavailable")


@pytest.fixture
def files(make_daemon, btrfs):
    """A daemon with one cluster of plain files and one backup, stopped."""
    daemon = make_daemon(quota={"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000})
    daemon.add_cluster("main", btrfs.files("files"), database={"type": "none"})
    daemon.start()
    daemon.api.create_and_wait("main")
    daemon.stop()
    return daemon


def ends(daemon, *words):
    """The start fails with status 1 and one error of what and where; nothing serves."""
    before = len(daemon.log_text())
    daemon.spawn()
    assert daemon.reap(30) == 1
    errors = [line for line in daemon.log_text()[before:].splitlines() if "error:" in line]
    for word in words:
        assert word in errors[0], errors
    assert not os.path.exists(daemon.socket)
    return errors


def store(daemon):
    return os.path.join(daemon.state_dir, "store.mdb")


def change_store(daemon, old, new):
    with open(store(daemon), "r+b") as file:
        content = file.read()
        assert old in content
        file.seek(0)
        file.write(content.replace(old, new))


def another_version(daemon):
    change_store(daemon, b"version\0\0\0\1", b"version\0\0\0\x63")


def truncated(daemon):
    os.truncate(store(daemon), os.path.getsize(store(daemon)) // 2)


def empty(daemon):
    os.truncate(store(daemon), 0)


def no_store(daemon):
    with open(store(daemon), "r+b") as file:
        file.write(b"#!/bin/sh" * 1000)


def folder_in_its_place(daemon):
    os.unlink(store(daemon))
    os.mkdir(store(daemon))


def readable_by_others(daemon):
    os.chmod(daemon.state_dir, 0o755)


def of_another_user(daemon):
    os.chown(daemon.state_dir, 0, 0)


def file_in_its_place(daemon):
    shutil.rmtree(daemon.state_dir)
    with open(daemon.state_dir, "w", encoding="utf-8"):
        pass


@pytest.mark.parametrize("damage, words", [
    (another_version, ["store.mdb", "version 99 found, version 1 expected"]),
    (truncated, ["store.mdb", "truncated"]),
    (empty, ["store.mdb", "truncated"]),
    (no_store, ["store.mdb", "not a dbsnap store"]),
    (folder_in_its_place, ["store.mdb", "not a file"]),
    (readable_by_others, ["must be private", "chmod 0700"]),
    (of_another_user, ["belongs to uid 0", "chown -R"]),
    (file_in_its_place, ["is not a directory", "move it away"]),
], ids=lambda value: value.__name__ if callable(value) else "")
def test_damaged(files, btrfs, damage, words):
    damage(files)
    with unchanged(files, btrfs):
        ends(files, *words)


def test_read_only(files, btrfs):
    run("mount", "--bind", files.state_dir, files.state_dir)
    try:
        run("mount", "-o", "remount,bind,ro", files.state_dir)
        with unchanged(files, btrfs):
            ends(files, files.state_dir, "Read-only file system")
    finally:
        run("umount", files.state_dir)
    files.start()
    files.api.create_and_wait("main")


def test_inside_a_data_dir_through_a_mount(files, btrfs):
    """By names it is refused with the configuration; a mount hides it from them."""
    inside = btrfs.path("files", "state")
    shutil.copytree(files.state_dir, inside)
    run("chown", "-R", "dbsnap:", inside)
    os.chmod(inside, 0o700)
    run("mount", "--bind", inside, files.state_dir)
    try:
        files.start()
        with unchanged(files, btrfs):
            told = files.api.ok("CheckCluster", DBClusterId="main")
            assert told["Ok"] == "false" and "state_dir" in told["Refusal"], told
            says(files.api.call("CreateBackup", DBClusterId="main"), (403, "OperationDenied.Layout"), "state_dir")
        files.stop()
    finally:
        run("umount", "--lazy", files.state_dir)


class Full:
    """A state directory on a small file system of its own."""

    def __init__(self, daemon, disk):
        self.disk = disk
        state = disk.path("state")
        shutil.copytree(daemon.state_dir, state)
        run("chown", "-R", "dbsnap:", state)
        os.chmod(state, 0o700)
        self.point = daemon.state_dir
        run("mount", "--bind", state, self.point)

    def fill(self):
        with open(self.disk.path("ballast"), "wb", buffering=0) as file:
            for size in (1 << 20, 4096, 512):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    pass

    def empty(self):
        os.unlink(self.disk.path("ballast"))


@pytest.fixture
def full(files, make_disk):
    full = Full(files, make_disk("ext4", "16M"))
    yield full
    if files.running():
        files.kill()
    run("umount", "--lazy", full.point)


def test_full(files, btrfs, full):
    """Creates are refused when the store cannot grow, nothing is half done, and all ends when it can."""
    files.start()
    first = files.api.create_and_wait("main")
    files.wait_idle()
    full.fill()

    accepted = 0
    def refused():
        nonlocal accepted
        answer = files.api.call("CreateBackup", DBClusterId="main", ClientToken=f"t{accepted}")
        accepted += answer[0] == 200
        return answer if answer[0] != 200 else None
    says(eventually(refused, 60, "the store is full"), UNAVAILABLE)
    before = sorted(b["BackupId"] for b in files.api.backups("main"))
    # Not one that is half done, and the token of the refused one is free.
    assert len(before) == 2 + accepted
    full.empty()
    files.wait_idle(120)
    invariants.check(files, btrfs)
    assert sorted(b["BackupId"] for b in files.api.backups("main")) == before
    job = files.api.create("main", token=f"t{accepted}")
    assert job not in before
    files.api.delete_and_wait("main", first["BackupId"])
    invariants.check(files, btrfs)


def test_full_before_the_start(files, btrfs, full):
    full.fill()
    with unchanged(files, btrfs):
        before = files.log_text()
        files.start()
        assert code_of(files.api.call("DescribeBackups", DBClusterId="main")) == (200, None)
        files.stop()
        assert "error:" not in files.log_text()[len(before):]
