# SPDX-License-Identifier: GPL-3.0-or-later
"""`make distcheck` as root, with one test: tests/distcheck sees every write into the system."""
import os
import subprocess

import pytest


@pytest.fixture
def distcheck(root, folder):
    """distcheck(*make_arguments): its finished run, in a build folder of its own."""
    source = os.environ["DBSNAP_SRCDIR"]
    if os.path.exists(os.path.join(source, "config.status")):
        pytest.skip("needs a source tree that is not configured itself")
    # What the make that runs this test tells its children is not for this one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "DBSNAP_", "CMOCKA_"))}
    build = os.path.join(folder, "build")
    os.mkdir(build)
    subprocess.run([os.path.join(source, "configure"), "-q"], cwd=build, env=environment, check=True)

    def run(*arguments):
        return subprocess.run([os.path.join(source, "tests", "distcheck"), build, *arguments], env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run


def test_distcheck_writes_nothing_into_the_system(distcheck):
    done = distcheck("-j2", "TESTS=tests/unit/test_quota")
    if done.returncode == 77:
        pytest.skip("needs namespaces of its own")
    print(done.stdout)
    assert done.returncode == 0
    assert "nothing was written below" in done.stdout and " /usr" in done.stdout.splitlines()[-1]
