# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of sanitizers in a log: what they found in a process that wrote to it."""
import re

REPORT = re.compile(r"==\d+==ERROR: |: runtime error: |AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer")


def check(log):
    """Fails if the text has a report in it."""
    found = REPORT.search(log)
    assert not found, f"a sanitizer reported:\n{log[max(found.start() - 200, 0):found.start() + 8000]}"
