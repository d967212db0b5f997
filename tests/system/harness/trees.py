# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/tree_driver: the copying and the clearing walk; and what a tree is, to compare."""
import contextlib
import hashlib
import os
import pwd
import stat
import subprocess
import sys

from harness.driver import finish

USER = "www-data"
CLONES = {"xfs": ("clone", "ranges", "copy"), "btrfs": ("clone", "ranges", "copy"), "ext4": ("copy", "either")}
CELLS = [(kind, way) for kind, ways in CLONES.items() for way in ways]


def ids():
    entry = pwd.getpwnam(USER)
    return entry.pw_uid, entry.pw_gid


def own(*paths):
    for path in paths:
        os.chown(path, *ids(), follow_symlinks=False)


def folder(*parts, mode=0o700):
    """A new folder of the user's; its path."""
    path = os.path.join(*parts)
    os.mkdir(path)
    os.chmod(path, mode)
    own(path)
    return path


def write(path, content=b"content\n", mode=0o600):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    own(path)
    return path


def slowly(call):
    """Every such system call begins a little later: time for the tree to change."""
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", "signal=none",
            "-e", f"inject={call}:delay_enter=300")


def drive(verb, *paths, slow=None, timeout=120):
    """The driver's answer; driver.Refused when it failed. "lines" is the report's list."""
    program = os.path.join(os.environ["DBSNAP_BUILDDIR"], "tests", "tree_driver")
    # In a build with sanitizers: a traced process cannot look for leaks at its end.
    env = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0") if slow else None
    done = subprocess.run([*(slowly(slow) if slow else ()), program, verb, *paths, USER], capture_output=True,
                          timeout=timeout, env=env)
    assert not done.stderr, done.stderr
    text, _, lines = done.stdout.decode("ascii").partition("lines:\n")
    answer = finish(text, done.returncode)
    answer["lines"] = lines.splitlines()
    return answer


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def describe(root):
    """{path in bytes: everything that a copy has to keep}; hard links by their first name."""
    found, first = {}, {}
    root = os.fsencode(root)
    for path, folders, files in os.walk(root):
        folders.sort()
        for name in [b"."] + sorted(files) + [f for f in folders if os.path.islink(os.path.join(path, f))]:
            each = os.path.normpath(os.path.join(path, name))
            st = os.lstat(each)
            kind = stat.S_IFMT(st.st_mode)
            item = [kind, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns]
            if kind == stat.S_IFLNK:
                item.append(os.readlink(each))
            else:
                item.append({n: os.getxattr(each, n) for n in os.listxattr(each)})
            relative = os.path.relpath(each, root)
            if kind == stat.S_IFREG:
                item += [st.st_size, digest(each), first.setdefault(st.st_ino, relative)]
            found[relative] = item
    return found


@contextlib.contextmanager
def hostile(code, *args):
    """Python code run by the user in a loop of its own: it prints a line when it has begun."""
    process = subprocess.Popen(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                                sys.executable, "-c", code, *args],
                               stdout=subprocess.PIPE, text=True, cwd="/")
    try:
        assert process.stdout.readline() == "begun\n"
        yield process
        assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
