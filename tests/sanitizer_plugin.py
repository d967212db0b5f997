# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest plugin for a build with sanitizers: a report of any process fails the test that made it.

A process that gets its environment from a test, or from a test's daemon by fork, writes
its report into a folder of this run, which is looked at after each test. Programs that
the daemon execs get no environment: their reports are in its log, where harness/reports.py
finds them.
"""
import os
import subprocess

import pytest

from system.harness.scratch import Scratch

OPTIONS = ("ASAN_OPTIONS", "UBSAN_OPTIONS")


class Reports:
    def __init__(self):
        self.scratch = Scratch()
        self.folder = self.scratch.folder("reports")
        os.chmod(self.folder, 0o1777)       # walkers are the database's user

    def take(self):
        """The text of what has been reported since the last call."""
        text = ""
        for name in sorted(os.listdir(self.folder)):
            path = os.path.join(self.folder, name)
            with open(path, encoding="utf-8", errors="replace") as file:
                text += f"{name}:\n{file.read()}\n"
            os.unlink(path)
        return text


def with_options(environment):
    ours = {name: os.environ[name] for name in OPTIONS}
    return None if environment is None else {**ours, **environment}


class Popen(subprocess.Popen):
    """Whatever environment a test gives, the place of reports is in it."""

    def __init__(self, *args, env=None, **options):
        super().__init__(*args, env=with_options(env), **options)


def pytest_configure(config):
    config.reports = Reports()
    for name in OPTIONS:
        given = os.environ.get(name)
        place = f"log_path={config.reports.folder}/{name[0].lower()}:print_stacktrace=1"
        os.environ[name] = f"{given}:{place}" if given else place
    subprocess.Popen = Popen


def pytest_unconfigure(config):
    config.reports.scratch.remove()


@pytest.fixture(autouse=True)
def no_report(request):
    """Set up before every other fixture of a test, so looked at when all of them are done."""
    yield
    text = request.config.reports.take()
    assert not text, f"a sanitizer reported:\n{text}"
