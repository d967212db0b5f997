# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual pages: no warning of mandoc, and the configuration's page knows the very keys of the table."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["DBSNAP_SRCDIR"])
BUILD = pathlib.Path(os.environ["DBSNAP_BUILDDIR"])


def pages():
    found = {p.name: p for folder in (SOURCE, BUILD) for p in (folder / "man").glob("*.[1-8]")}
    return [found[name] for name in sorted(found)]


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc here")
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_lint(page):
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_key_of_the_samples_is_in_the_page():
    page = (BUILD / "man/dbsnapd.yaml.5").read_text()
    assert "@" not in page
    keys = set()
    for sample in (BUILD / "etc/dbsnapd.yaml", SOURCE / "etc/clusters.d/pc-orders.yaml"):
        for name, rest in re.findall(r"^#?([a-z_]+): *(.*)$", sample.read_text(), re.M):
            keys.add(name)
            keys.update(f"{name}.{inner}" for inner in re.findall(r"[{,] *([a-z_]+):", rest))
    assert {"id", "data_dir", "jobs.timeout", "database.conninfo", "listen.mode"} <= keys
    missing = {key for key in keys if f".It Ic {key}\n" not in page}
    assert not missing
