# SPDX-License-Identifier: GPL-3.0-or-later
"""The copying and the clearing walk on real file systems, against a user who means harm."""
import os
import socket
import stat
import struct
import subprocess

import pytest
from harness import reports, trees
from harness.disk import run
from harness.driver import Refused
from harness.trees import CELLS, USER, drive, folder, hostile, own, write

KINDS = ("xfs", "btrfs", "ext4")
ODD = (b"new\nline", b"\xff\xfe", b'"\\', b"n" * 255, "größe".encode(), b" ", b"-rf")
# Names of two lists change places, one pair after the other.
EXCHANGE = """
import ctypes, os, sys
rename = ctypes.CDLL(None).renameat2
os.chdir(sys.argv[1])
pairs = [(f"{sys.argv[2]}{n}".encode(), f"{sys.argv[3]}{n}".encode()) for n in range(int(sys.argv[4]))]
print("begun", flush=True)
while True:
    for one, other in pairs:
        rename(-100, one, -100, other, 2)
"""


def acl(*entries):
    """A POSIX ACL as its attribute: (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xffffffff
ACL = acl((1, 6, NOBODY), (2, 4, 1), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY))


def special_files(path):
    os.mkfifo(os.path.join(path, "fifo"))
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(os.path.join(path, "sock"))
    sock.close()
    os.mknod(os.path.join(path, "null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(os.path.join(path, "disk"), 0o660 | stat.S_IFBLK, os.makedev(7, 0))
    own(*(os.path.join(path, n) for n in ("fifo", "sock", "null", "disk")))


def make_tree(disk):
    """A tree with something of everything; (its path, what is left out)."""
    root = folder(disk.mnt, "from", mode=0o750)
    for name in ODD:
        write(os.path.join(os.fsencode(root), name), name)
    inner = folder(root, "a")
    deep = folder(inner, "b", mode=0o711)
    for number, size in enumerate((0, 1, 4095, 4096, 100000, (1 << 20) + 1, 5 << 20)):
        write(os.path.join(deep, str(number)), os.urandom(size), 0o400 if number % 2 else 0o640)
    with open(write(os.path.join(inner, "sparse")), "r+b") as file:
        for at in (0, 3 << 20, (40 << 20) + 777):
            file.seek(at)
            file.write(b"data")
        file.truncate(64 << 20)
    os.link(os.path.join(deep, "4"), os.path.join(root, "hard"))
    os.link(os.path.join(deep, "4"), os.path.join(inner, "harder"))
    os.symlink("/root", os.path.join(root, "link"))
    os.symlink("a" * 1000, os.path.join(inner, "dangling"))
    own(os.path.join(root, "link"), os.path.join(inner, "dangling"))
    program = write(os.path.join(root, "program"), mode=0o4755)
    os.setxattr(program, "user.note", b"v" * 2000)
    os.setxattr(write(os.path.join(root, "acl"), mode=0o640), "system.posix_acl_access", ACL)
    os.setxattr(inner, "system.posix_acl_default", ACL)
    os.setxattr(inner, "user.folder", b"")
    special_files(inner)
    group = write(os.path.join(root, "of-root"), b"readable by the group", 0o440)
    os.chown(group, 0, trees.ids()[1])
    os.chmod(deep, 0o511)
    for path, number in ((deep, 1), (os.path.join(deep, "0"), 2), (inner, 10**18 + 1), (root, 4)):
        os.utime(path, ns=(number, number))
    return root, {b"a/fifo", b"a/sock", b"a/null", b"a/disk"}


@pytest.mark.parametrize("kind, way", CELLS)
def test_everything_is_kept(make_disk, kind, way):
    disk = make_disk(kind)
    source, left_out = make_tree(disk)
    target = folder(disk.mnt, "to")
    # What the folder around would bequeath must not show.
    os.setxattr(target, "system.posix_acl_default", ACL)
    answer = drive(way, source, target)
    expected = {p: i for p, i in trees.describe(source).items() if p not in left_out}
    uid, gid = trees.ids()
    expected[b"of-root"][1:4] = [0o400, uid, gid]
    assert trees.describe(target) == expected
    assert sorted(answer["lines"]) == ["a/disk: device, left out", "a/fifo: FIFO, left out", "a/null: device, left out",
                                       "a/sock: socket, left out", "of-root: owner not kept"]
    assert int(answer["skipped"]) == 5
    assert int(answer["files"]) == sum(stat.S_ISREG(item[0]) for item in expected.values())
    assert os.lstat(os.path.join(target, "a", "sparse")).st_blocks * 512 < 4 << 20
    assert ("shared" in run("filefrag", "-v", os.path.join(target, "a", "b", "6"))) == (kind != "ext4")
    on_disk = int(run("du", "-s", "-B1", target).split()[0])
    assert abs(int(answer["bytes"]) - on_disk) < 200000


def refused(code, verb, *paths):
    with pytest.raises(Refused) as caught:
        drive(verb, *paths)
    assert caught.value.code == code, caught.value
    return caught.value


def test_what_cannot_be_read_fails_by_name(make_disk):
    disk = make_disk("ext4")
    source = folder(disk.mnt, "from")
    inner = folder(source, "in\nner")
    secret = write(os.path.join(inner, "secret"))
    os.chown(secret, 0, 0)
    assert "in\\x0aner/secret" in refused("ERR_DENIED", "copy", source, folder(disk.mnt, "to1")).cause
    os.unlink(secret)
    os.chmod(inner, 0)
    assert "in\\x0aner" in refused("ERR_DENIED", "copy", source, folder(disk.mnt, "to2")).cause


def test_blocks_are_shared_on_one_file_system_only(make_disk):
    here, there = make_disk("xfs"), make_disk("btrfs")
    ext4 = make_disk("ext4")
    source = folder(here.mnt, "from")
    write(os.path.join(source, "file"), os.urandom(3 << 20))
    for way in ("clone", "ranges"):
        error = refused("ERR_LAYOUT", way, source, folder(there.mnt, way))
        assert "file cannot share" in error.cause and "backend copy" in error.remedy
    write(os.path.join(folder(ext4.mnt, "from"), "file"))
    refused("ERR_LAYOUT", "clone", ext4.path("from"), folder(ext4.mnt, "to"))
    for way in ("either", "copy"):
        target = folder(there.mnt, way)
        drive(way, source, target)
        assert trees.describe(target) == trees.describe(source)


def test_attributes_that_find_no_place_are_named(make_disk):
    """XFS takes 64 KB in one, ext4 a block in all: that says ENOSPC too, and is no full disk."""
    source_disk, disk = make_disk("xfs"), make_disk("ext4")
    source, target = folder(source_disk.mnt, "from"), folder(disk.mnt, "to")
    path = write(os.path.join(source, "file"))
    os.setxattr(path, "user.large", b"l" * 60000)
    os.setxattr(path, "user.small", b"s")
    answer = drive("copy", source, target)
    assert answer["lines"] == ["file: attributes not kept"]
    assert os.listxattr(os.path.join(target, "file")) == ["user.small"]
    drive("copy", source, folder(source_disk.mnt, "to"))
    assert trees.describe(source_disk.path("to")) == trees.describe(source)


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_file_as_large_as_there_can_be(make_disk, kind):
    """8 EiB of holes but for the end: behind it there is no number that an offset could have."""
    disk = make_disk(kind)
    source, size = folder(disk.mnt, "from"), (1 << 63) - 1
    block = os.urandom(1 << 16)
    with open(write(os.path.join(source, "file"), b"begin"), "r+b", buffering=0) as file:
        file.truncate(size)
        os.pwrite(file.fileno(), block, size - len(block))
    for way in ("ranges", "copy"):
        target = folder(disk.mnt, way)
        drive(way, source, target)
        with open(os.path.join(target, "file"), "rb", buffering=0) as file:
            assert os.fstat(file.fileno()).st_size == size and os.pread(file.fileno(), 5, 0) == b"begin"
            assert os.pread(file.fileno(), len(block), size - len(block)) == block


def test_btrfs_without_copy_on_write(btrfs):
    source = folder(btrfs.mnt, "from")
    run("chattr", "+C", source)
    write(os.path.join(source, "without"), os.urandom(3 << 20))
    run("chattr", "-C", source)
    write(os.path.join(source, "with"), os.urandom(3 << 20))
    for way in ("clone", "ranges", "copy"):
        for flag in ("-C", "+C"):
            target = folder(btrfs.mnt, way + flag)
            run("chattr", flag, target)
            drive(way, source, target)
            flags = {line.split()[1].rsplit("/", 1)[1]: line.split()[0] for line in run("lsattr", target).splitlines()}
            if way != "copy":
                assert "C" in flags["without"] and "C" not in flags["with"]
            assert trees.describe(target) == trees.describe(source)


def test_subvolumes_and_mounts_are_refused(btrfs):
    source = folder(btrfs.mnt, "from")
    inner = folder(source, "inner")
    write(os.path.join(source, "file"))
    nested = os.path.join(inner, "nested")
    run("btrfs", "subvolume", "create", nested)
    own(nested)
    error = refused("ERR_LAYOUT", "clone", source, folder(btrfs.mnt, "to1"))
    assert "inner/nested" in error.cause and error.remedy
    run("btrfs", "subvolume", "delete", nested)
    os.mkdir(nested)
    run("mount", "-t", "tmpfs", "tmpfs", nested)
    assert "inner/nested" in refused("ERR_LAYOUT", "copy", source, folder(btrfs.mnt, "to2")).cause
    run("umount", nested)
    # The same device: only the lookup tells.
    run("mount", "--bind", folder(btrfs.mnt, "other"), nested)
    assert "inner/nested" in refused("ERR_LAYOUT", "copy", source, folder(btrfs.mnt, "to3")).cause
    run("umount", nested)
    run("mount", "--bind", write(btrfs.path("elsewhere")), os.path.join(source, "file"))
    assert "file" in refused("ERR_LAYOUT", "copy", source, folder(btrfs.mnt, "to4")).cause
    run("umount", os.path.join(source, "file"))
    drive("copy", source, folder(btrfs.mnt, "to5"))


def test_files_of_an_overlay_lie_on_several_devices(make_disk):
    lower, upper = make_disk("ext4", "300M"), make_disk("xfs", "400M")
    write(os.path.join(folder(lower.mnt, "lower"), "below"))
    folder(lower.path("lower"), "inner")
    for name in ("upper", "work", "merged"):
        folder(upper.mnt, name)
    source, target = upper.path("merged"), folder(upper.mnt, "to")
    run("mount", "-t", "overlay", "-o", f"xino=off,lowerdir={lower.path('lower')},upperdir={upper.path('upper')},"
        f"workdir={upper.path('work')}", "overlay", source)
    write(os.path.join(source, "inner", "above"))
    devices = {os.lstat(os.path.join(source, n)).st_dev for n in ("below", "inner/above", ".")}
    assert len(devices) > 1
    drive("copy", source, target)
    assert trees.describe(target) == trees.describe(source)
    run("umount", source)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_in_mid_walk(make_disk, kind):
    source_disk, disk = make_disk("ext4"), make_disk(kind, "400M")
    source, target = folder(source_disk.mnt, "from"), folder(disk.mnt, "to")
    for number in range(60):
        write(os.path.join(source, str(number)), os.urandom(1 << 20))
    disk.fill(20 << 20)
    error = refused("ERR_FULL", "copy", source, target)
    assert "cannot copy" in error.cause and "No space left" in error.cause and "room" in error.remedy
    drive("clear", target)
    assert os.listdir(target) == []


def assert_no_canary(target):
    """Nothing of what lies outside: a file's content, a folder's names."""
    for path, _, files in os.walk(target):
        for each in (os.path.join(path, name) for name in files):
            if not os.path.islink(each):
                assert os.path.basename(each) != "canary", each
                with open(each, "rb") as file:
                    assert file.read() != b"canary", each


def run_against(disk, source, way):
    """Walks with time for a name to change between look and opening; each may only copy what is in the tree."""
    outcomes, number = set(), 0
    # Which of the two it is chance decides: on a busy machine one may be rare.
    while number < 25 or (outcomes != {"copied", "refused"} and number < 250):
        number += 1
        target = folder(disk.mnt, f"to{number}")
        try:
            drive(way, source, target, slow="openat2", timeout=20)
            outcomes.add("copied")
        except Refused as error:
            assert error.code == "ERR_BUSY" and "changes all the time" in error.cause and error.retry, error
            outcomes.add("refused")
        assert_no_canary(target)
    assert outcomes == {"copied", "refused"}


@pytest.mark.parametrize("kind, way", [("xfs", "clone"), ("ext4", "copy")])
def test_a_folder_that_flips_into_a_link(make_disk, kind, way):
    disk = make_disk(kind)
    source = folder(disk.mnt, "from")
    # Readable for everybody: it is the walk that must not go there.
    outside = folder(disk.mnt, "outside", mode=0o755)
    write(os.path.join(outside, "canary"), b"canary", mode=0o644)
    for number in range(3):
        write(os.path.join(folder(source, f"d{number}"), "file"))
        os.symlink("/root" if number == 0 else outside, os.path.join(source, f"l{number}"))
    with hostile(EXCHANGE, source, "d", "l", "3"):
        run_against(disk, source, way)


def test_a_file_that_flips_into_anything(make_disk):
    disk = make_disk("xfs")
    source = folder(disk.mnt, "from")
    outside = write(disk.path("canary"), b"canary", mode=0o644)
    for number in range(4):
        write(os.path.join(source, f"f{number}"))
    os.mkfifo(os.path.join(source, "o0"))
    write(os.path.join(folder(source, "o1"), "inner"))
    os.symlink(outside, os.path.join(source, "o2"))
    os.symlink("/dev/zero", os.path.join(source, "o3"))
    own(os.path.join(source, "o0"))
    with hostile(EXCHANGE, source, "f", "o", "4"):
        run_against(disk, source, "ranges")


def test_files_that_come_and_go(make_disk):
    disk = make_disk("xfs")
    source = folder(disk.mnt, "from")
    for number in range(2000):
        write(os.path.join(source, f"kept-{number}"), b"kept")
    code = """
import os, sys
os.chdir(sys.argv[1])
print("begun", flush=True)
while True:
    for n in range(200):
        os.mkdir(f"folder-{n}", 0o700)
        os.close(os.open(f"folder-{n}/file", os.O_CREAT | os.O_WRONLY, 0o600))
        os.close(os.open(f"gone-{n}", os.O_CREAT | os.O_WRONLY, 0o600))
    for n in range(200):
        os.unlink(f"gone-{n}")
        os.unlink(f"folder-{n}/file")
        os.rmdir(f"folder-{n}")
"""
    with hostile(code, source):
        for number in range(10):
            target = folder(disk.mnt, f"to{number}")
            drive("clone", source, target)
            assert sum(n.startswith("kept-") for n in os.listdir(target)) == 2000


def test_a_name_that_is_listed_twice(make_disk):
    """XFS puts a new name behind all others of a folder that is full: one that was copied comes again."""
    disk = make_disk("xfs")
    code = """
import os, signal, sys
os.chdir(sys.argv[1])
print("begun", flush=True)
while len(os.listdir(sys.argv[2])) < 50:
    pass
for name in os.listdir(sys.argv[2])[:10]:
    os.unlink(name)
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))
signal.pause()
"""
    lines, tries = [], 0
    # On a busy machine they may come when all has been listed.
    while not lines and tries < 20:
        tries += 1
        source, target = folder(disk.mnt, f"from{tries}"), folder(disk.mnt, f"to{tries}")
        for number in range(600):
            write(os.path.join(source, f"{number:0200}"))
        with hostile(code, source, target):
            lines = [line for line in drive("clone", source, target, slow="openat2")["lines"] if line]
        assert len(os.listdir(target)) == 600
    assert lines
    for line in lines:
        assert line.endswith(": made anew meanwhile: the earlier one kept")


@pytest.mark.parametrize("kind, way", [("xfs", "clone"), ("xfs", "ranges"), ("ext4", "copy"), ("btrfs", "ranges")])
def test_a_file_that_grows_and_shrinks(make_disk, kind, way):
    disk = make_disk(kind)
    source = folder(disk.mnt, "from")
    growing = write(os.path.join(source, "growing"), b"x" * (3 << 20))
    write(os.path.join(source, "shrinking"), b"y" * (12 << 20))
    code = """
import os, sys
os.chdir(sys.argv[1])
grow = os.open("growing", os.O_WRONLY | os.O_APPEND)
shrink = os.open("shrinking", os.O_WRONLY)
print("begun", flush=True)
size = 3 << 20
for n in range(1 << 60):
    if size < 80 << 20:
        size += os.write(grow, b"x" * 12345)
    end = n * 1234567 % (12 << 20)
    os.ftruncate(shrink, end)
    for at in range(0, end, 1 << 20):
        os.pwrite(shrink, b"y", at)
"""
    with hostile(code, source):
        for number in range(4):
            target = folder(disk.mnt, f"to{number}")
            before = os.stat(growing).st_size
            drive(way, source, target, slow="copy_file_range" if way == "copy" else "ioctl")
            with open(os.path.join(target, "growing"), "rb") as file:
                content = file.read()
            assert before <= len(content) <= os.stat(growing).st_size
            assert not content.strip(b"x")
            assert os.stat(os.path.join(target, "shrinking")).st_size <= 12 << 20


MANY = """
import os, sys
for part in range(10):
    os.chdir(sys.argv[1])
    os.mkdir(str(part), 0o700)
    os.chdir(str(part))
    for number in range(10000):
        os.mknod(str(number), 0o100600)
    for number in range(100):
        os.link(str(number), f"link-{number}")
"""


def as_user(*argv):
    run("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *argv)


def test_many_files(make_disk):
    """A hundred thousand, a thousand of them with a second name, in bounded memory."""
    disk = make_disk("xfs")
    source, target = folder(disk.mnt, "from"), folder(disk.mnt, "to")
    as_user("/usr/bin/python3", "-c", MANY, source)
    answer = drive("clone", source, target)
    assert answer["files"] == "101000"
    assert reports.in_use() or int(answer["memory_kb"]) < 8192
    assert os.stat(os.path.join(target, "9", "link-99")).st_nlink == 2
    assert sum(len(files) for _, _, files in os.walk(target)) == 101000


DEEP = """
import os, sys
os.chdir(sys.argv[1])
for n in range(int(sys.argv[2])):
    name = sys.argv[3] + str(n % 10)
    os.mkdir(name, 0o700)
    if n % 500 == 7:
        open("file", "w").close()
    os.chdir(name)
    if n % 1000 == 999:
        os.chmod("..", 0)
"""


def test_a_tree_of_any_depth_is_refused_and_cleared(make_disk):
    disk = make_disk("xfs")
    source = folder(disk.mnt, "from")
    as_user("/usr/bin/python3", "-c", DEEP, source, "900", "n" * 254)
    error = refused("ERR_TOO_LONG", "clone", source, folder(disk.mnt, "to"))
    assert error.remedy
    as_user("/usr/bin/python3", "-c", DEEP, folder(source, "deeper"), "6000", "d")
    write(os.path.join(source, "file"), mode=0)
    drive("clear", source)
    assert os.listdir(source) == []


def test_what_its_owner_locked_is_cleared(btrfs):
    root = folder(btrfs.mnt, "clone")
    closed = folder(root, "closed")
    write(os.path.join(folder(closed, "inner"), "file"))
    os.chmod(os.path.join(closed, "inner"), 0)
    os.chmod(closed, 0)
    path = folder(root, "subvolumes")
    for depth in range(5):
        path = os.path.join(path, f"s{depth}")
        as_user("btrfs", "subvolume", "create", path)
        as_user("mkdir", "-p", os.path.join(path, "/".join("d" * 40)))
        as_user("touch", os.path.join(path, "file"))
        path = os.path.join(path, "d", "d")
    for depth in range(4, -1, -1):
        path = path[:path.rindex(f"s{depth}") + 2]
        as_user("btrfs", "property", "set", path, "ro", "true")
        path = os.path.dirname(path)
    drive("clear", root)
    assert os.listdir(root) == []
    assert list(btrfs.subvolumes()) == []


def test_clear_enters_no_mount(btrfs):
    root = folder(btrfs.mnt, "clone")
    inner = folder(root, "inner")
    mounted = folder(inner, "mounted")
    other = folder(btrfs.mnt, "other")
    write(os.path.join(other, "kept"))
    run("mount", "--bind", other, mounted)
    error = refused("ERR_BUSY", "clear", root)
    assert "inner/mounted" in error.cause and error.retry and "unmount" in error.remedy
    assert os.listdir(other) == ["kept"]
    run("umount", mounted)
    drive("clear", root)
    assert os.listdir(root) == [] and os.listdir(other) == ["kept"]


def test_clear_says_what_is_in_the_way(make_disk):
    disk = make_disk("ext4")
    root = folder(disk.mnt, "clone")
    foreign = os.path.join(folder(root, "a"), "of-root")
    os.mkdir(foreign, 0o755)
    write(os.path.join(foreign, "file"))
    write(os.path.join(root, "z"))
    error = refused("ERR_DENIED", "clear", root)
    assert "a/of-root/file" in error.cause


def test_clear_follows_no_link(make_disk):
    disk = make_disk("xfs")
    outside = folder(disk.mnt, "outside")
    write(os.path.join(outside, "kept"))
    for number in range(15):
        root = folder(disk.mnt, f"clone{number}")
        for pair in range(3):
            write(os.path.join(folder(root, f"d{pair}"), "file"))
            os.symlink(outside, os.path.join(root, f"l{pair}"))
        with hostile(EXCHANGE, root, "d", "l", "3"):
            try:
                drive("clear", root, slow="openat2")
                assert os.listdir(root) == []
            except Refused as error:
                assert error.code == "ERR_BUSY" and "changes all the time" in error.cause, error
        assert os.listdir(outside) == ["kept"]
