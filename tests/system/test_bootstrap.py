# SPDX-License-Identifier: GPL-3.0-or-later
"""./bootstrap's dealings with packages, with stand-ins for dpkg-query and apt-get."""
import os
import shutil
import subprocess

import pytest

from harness.disk import run

BOOTSTRAP = os.path.join(os.environ["DBSNAP_SRCDIR"], "bootstrap")
CREATECLUSTER = "/etc/postgresql-common/createcluster.conf"

# Everything is installed but what $MISSING names; apt-get notes its words and what
# createcluster.conf says when it is called, and ends the script there.
DPKG_QUERY = """#!/bin/sh
for name; do :; done
case " $MISSING " in *" $name "*) exit 1 ;; esac
printf installed
"""
APT_GET = f"""#!/bin/sh
echo "$*" >>"$NOTES"
case "$*" in *install*) ;; *) exit 0 ;; esac
cat {CREATECLUSTER} >>"$NOTES" 2>/dev/null
exit 9
"""


@pytest.fixture
def bootstrap(folder):
    """bootstrap(missing, **options): runs ./bootstrap; the process and apt-get's notes."""
    os.mkdir(os.path.join(folder, "bin"))
    for name, text in (("dpkg-query", DPKG_QUERY), ("apt-get", APT_GET)):
        path = os.path.join(folder, "bin", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
    notes = os.path.join(folder, "notes")
    script = shutil.copy(BOOTSTRAP, folder)     # where nobody reaches it too

    def start(missing, *args, **options):
        env = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "MISSING": missing,
               "NOTES": notes}
        done = subprocess.run([script, *args], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, **options)
        if not os.path.exists(notes):
            return done, ""
        with open(notes, encoding="utf-8") as file:
            return done, file.read()
    return start


@pytest.fixture
def no_postgresql(root):
    """/etc/postgresql-common as it is before the package is there."""
    if "DBSNAP_OWN_MOUNTS" not in os.environ:
        pytest.skip("needs a mount namespace of its own")
    folder = os.path.dirname(CREATECLUSTER)
    run("mount", "-t", "tmpfs", "tmpfs", folder)
    yield
    run("umount", folder)


def test_without_root_it_names_the_packages_and_the_command(root, bootstrap):
    done, notes = bootstrap("strace liblmdb-dev", user="nobody", group="nogroup", extra_groups=[])
    assert done.returncode == 1 and notes == ""
    assert "missing: liblmdb-dev strace" in done.stdout
    assert "apt-get install -y --no-install-recommends liblmdb-dev strace" in done.stderr


def test_root_installs_what_is_missing_and_nothing_else(root, bootstrap):
    done, notes = bootstrap("strace")
    assert done.returncode == 9
    assert "installing: strace" in done.stdout
    update, install = notes.splitlines()[:2]
    assert update.split()[-1] == "update"
    assert install.split()[-2:] == ["install", "strace"]


def test_debian_is_kept_from_making_a_cluster(no_postgresql, bootstrap):
    done, notes = bootstrap("postgresql")
    assert done.returncode == 9
    assert "create_main_cluster = false" in notes.splitlines()
    assert CREATECLUSTER in done.stdout


def test_somebodys_decision_about_clusters_stays(no_postgresql, bootstrap):
    with open(CREATECLUSTER, "w", encoding="utf-8") as file:
        file.write("create_main_cluster = true\n")
    _, notes = bootstrap("postgresql")
    assert notes.splitlines()[-1] == "create_main_cluster = true"
    assert "false" not in notes


def test_unknown_words_are_refused(bootstrap):
    for args in (["install"], ["check", "more"]):
        done, notes = bootstrap("", *args)
        assert (done.returncode, notes) == (1, "")
        assert "usage:" in done.stderr


def test_the_demo_asks_for_what_it_uses(root, bootstrap):
    """Whoever mounts no disk needs no tools for disks."""
    ordinary = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    done, notes = bootstrap("xfsprogs btrfs-progs", "demo", **ordinary)
    assert done.returncode != 0 and "missing:" not in done.stdout and notes == ""
    done, notes = bootstrap("postgresql xfsprogs", "demo", **ordinary)
    assert done.returncode == 1 and notes == ""
    assert done.stderr.endswith("apt-get install -y --no-install-recommends postgresql\n")
    done, notes = bootstrap("postgresql xfsprogs", "demo")
    assert done.returncode == 9 and "installing: postgresql xfsprogs" in done.stdout
