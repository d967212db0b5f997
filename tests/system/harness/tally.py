# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of many cuts of one cell: a bad one does not end the others, but in the end it ends the test.

DBSNAP_TALLY: a file that gets a JSON line a cut, for tests/soak.
"""
import json
import os
import threading
import traceback


class Tally:
    """tally.attempt(name, function, ...) for each step of a cut, tally.good(name, ...) after its last, tally.end() after all."""

    def __init__(self, cell):
        self.cell = cell
        self.lock = threading.Lock()
        self.bad = []

    def attempt(self, name, function, *args):
        """The function's answer; None if it failed: then the cut is bad."""
        try:
            return function(*args)
        except Exception as error:  # told by end()
            with self.lock:
                self.bad.append(f"{self.cell}, cut {name}: {traceback.format_exc()}")
            self.write(cut=name, error=f"{type(error).__name__}: {error}")
            return None

    def good(self, name, cut_ms, freeze_ms=0.0):
        self.write(cut=name, cut_ms=float(cut_ms), freeze_ms=float(freeze_ms))

    def write(self, **facts):
        path = os.environ.get("DBSNAP_TALLY")
        if path:
            with self.lock, open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"cell": self.cell, **facts}) + "\n")

    def end(self):
        assert not self.bad, f"{len(self.bad)} bad: " + "\n".join(self.bad)
