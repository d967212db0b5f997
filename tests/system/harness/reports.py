# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of sanitizers in a log: what they found in a process that wrote to it."""
import os
import re

REPORT = re.compile(r"==\d+==ERROR: |: runtime error: |AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer")


def check(log):
    """Fails if the text has a report in it."""
    found = REPORT.search(log)
    assert not found, f"a sanitizer reported:\n{log[max(found.start() - 200, 0):found.start() + 8000]}"


def in_use():
    """Is this a run of a build with sanitizers? It keeps what is freed: its memory tells nothing."""
    return "log_path=" in os.environ.get("ASAN_OPTIONS", "")
