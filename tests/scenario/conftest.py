# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the scenario tests: the real front, a fake engine, a scripted clock."""
import os
import pwd
import shutil

import pytest

from system.harness.scratch import Scratch
from world import World


@pytest.fixture(scope="session")
def scratch():
    scratch = Scratch()
    yield scratch
    scratch.remove()


@pytest.fixture(scope="session")
def program(scratch):
    """The front's program, within the unprivileged user's reach."""
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("dbsnap")
        except KeyError:
            pytest.skip("needs the user dbsnap: systemd-sysusers systemd/sysusers.d/dbsnap.conf")
    path = os.path.join(os.environ["DBSNAP_BUILDDIR"], "dbsnapd-front")
    return shutil.copy(path, scratch.folder("bin"))


@pytest.fixture
def make_world(scratch, program):
    """make_world(**settings): a World without clusters, nothing started. Fields of CONFIG."""
    made = []

    def make(**settings):
        made.append(World(scratch.folder("w"), program, **settings))
        return made[-1]
    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world):
    """A World with the cluster pc-a, not started."""
    world = make_world()
    world.add("pc-a")
    return world
