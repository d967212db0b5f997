# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest plugin: one TAP line a test on descriptor 3, the plan at the end.

A run that dies prints no plan, which automake's TAP driver counts as an error.
"""
import os

import pytest


class Tap:
    def __init__(self):
        os.set_inheritable(3, False)
        self.out = os.fdopen(3, "w", buffering=1)
        self.number = 0
        self.results = {}

    def line(self, good, name, directive=""):
        self.number += 1
        name = name.replace("#", "_")
        self.out.write(f"{'ok' if good else 'not ok'} {self.number} - {name}{directive}\n")

    @pytest.hookimpl
    def pytest_collectreport(self, report):
        if report.failed:
            self.line(False, f"{report.nodeid or 'collection'} (collection)")
        elif report.skipped and report.nodeid.endswith(".py"):
            self.line(True, report.nodeid, f" # SKIP {reason(report)}")

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report):
        seen = self.results.get(report.nodeid)
        if report.failed:
            self.results[report.nodeid] = (False, "")
        elif report.skipped and (seen is None or seen[0]):
            self.results[report.nodeid] = (True, f" # SKIP {reason(report)}")
        elif seen is None and report.when == "call":
            self.results[report.nodeid] = (True, "")

    @pytest.hookimpl
    def pytest_runtest_logfinish(self, nodeid):
        good, directive = self.results.pop(nodeid, (False, ""))
        self.line(good, nodeid, directive)

    @pytest.hookimpl
    def pytest_sessionfinish(self):
        self.out.write(f"1..{self.number}\n")


def reason(report):
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ").replace("\n", " ")
    return getattr(report, "wasxfail", "") or "skipped"


def pytest_configure(config):
    config.pluginmanager.register(Tap(), "tap-writer")
