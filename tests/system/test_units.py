# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit files as they are installed: no complaint from systemd, a small exposure."""
import os
import re
import shutil
import subprocess

import pytest

SOURCE = os.environ["DBSNAP_SRCDIR"]
BUILD = os.environ["DBSNAP_BUILDDIR"]


@pytest.fixture
def units(tmp_path, programs):
    """A folder with both units; the service names a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    with open(os.path.join(SOURCE, "systemd/dbsnapd.service.in"), encoding="utf-8") as file:
        (tmp_path / "dbsnapd.service").write_text(file.read().replace("@sbindir@", programs)
                                              .replace("@localstatedir@", "/var"))
    shutil.copy(os.path.join(SOURCE, "systemd/dbsnapd.socket"), tmp_path)
    return tmp_path


def analyze(*args):
    """Root's leaves a file below /run/systemd: in a /run of its own."""
    argv = ["systemd-analyze", *args]
    if os.geteuid() == 0:
        argv = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "-", *argv]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_verify_says_nothing(units):
    # A misspelt key is only a warning with status 0: any output is a failure.
    done = analyze("verify", "--man=no", str(units / "dbsnapd.service"),
                   str(units / "dbsnapd.socket"))
    assert (done.returncode, done.stdout) == (0, "")


def test_exposure_is_at_most_3_0(units):
    """2.5, and what verify needs: five kinds of namespaces (0.1 each) and mounts in them (0.2)."""
    done = analyze("security", "--offline=yes", "--threshold=30", "--no-pager",
                   str(units / "dbsnapd.service"))
    assert done.returncode == 0, done.stdout


def test_nothing_is_left_to_substitute():
    for name in ("systemd/dbsnapd.service", "systemd/tmpfiles.d/dbsnap.conf"):
        with open(os.path.join(BUILD, name), encoding="utf-8") as file:
            assert not re.findall(r"@\w+@|\$\{", file.read())


def test_sysusers_and_tmpfiles_are_understood(tmp_path, root):
    (tmp_path / "etc").mkdir()
    done = subprocess.run(["systemd-sysusers", f"--root={tmp_path}",
                           os.path.join(SOURCE, "systemd/sysusers.d/dbsnap.conf")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "etc/passwd").read_text().startswith("dbsnap:")
    assert (tmp_path / "etc/group").read_text().startswith("dbsnap:")
    done = subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create",
                           os.path.join(BUILD, "systemd/tmpfiles.d/dbsnap.conf")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.stat(tmp_path / "run/dbsnap").st_mode & 0o777 == 0o755
    assert os.stat(tmp_path / "run/dbsnap").st_uid == 0
    with open(os.path.join(BUILD, "systemd/tmpfiles.d/dbsnap.conf"), encoding="utf-8") as file:
        folders = [line.split()[1:5] for line in file if "0700" in line]
    for folder, _, user, _ in folders:
        made = os.stat(f"{tmp_path}{folder}")
        assert made.st_mode & 0o777 == 0o700 and (made.st_uid == 0) == (user == "root")
    state = folders[0][0]
    assert [folder for folder, *_ in folders] == [state, state + ".engine"]


def test_socket_and_folders_of_an_installation(make_systemd):
    system = make_systemd()
    system.systemctl("start", "dbsnapd.socket")
    listed = system.run("stat", "-c", "%U:%G %a %n", "/run/dbsnap", "/run/dbsnap/dbsnapd.sock",
                        "/usr/local/var/lib/dbsnap", "/usr/local/var/lib/dbsnap.engine").stdout.splitlines()
    assert listed == ["root:root 755 /run/dbsnap",
                      "root:dbsnap 660 /run/dbsnap/dbsnapd.sock",
                      "dbsnap:dbsnap 700 /usr/local/var/lib/dbsnap",
                      "root:root 700 /usr/local/var/lib/dbsnap.engine"]
