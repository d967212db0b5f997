# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/summary: what `./bootstrap check` says at its end, and with which status."""
import os
import subprocess

import pytest

SUMMARY = os.path.join(os.environ["DBSNAP_SRCDIR"], "tests", "summary")


def run_summary(*builds, ci=None):
    env = {k: v for k, v in os.environ.items() if k != "CI"}
    if ci is not None:
        env["CI"] = ci
    done = subprocess.run([SUMMARY, *map(str, builds)], env=env, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def build(tmp_path):
    """Writes tests/<n>.trs files with the given results."""
    folder = tmp_path / "tests"
    folder.mkdir()

    def write(*files):
        for n, results in enumerate(files):
            text = "".join(f":test-result: {r} case\n" for r in results)
            (folder / f"{n}.trs").write_text(text + ":recheck: no\n")
        return tmp_path
    return write


@pytest.mark.parametrize("files, line, status", [
    ([["PASS", "PASS"], ["PASS"]], "3 passed, 0 failed, 0 skipped", 0),
    ([["PASS", "FAIL", "ERROR"], ["PASS"]], "2 passed, 1 failed, 0 skipped", 1),
    ([["ERROR"], ["PASS"]], "1 passed, 1 failed, 0 skipped", 1),
    ([["PASS"], ["PASS", "ERROR"]], "2 passed, 1 failed, 0 skipped", 1),
    ([["PASS", "SKIP"]], "1 passed, 0 failed, 1 skipped", 0),
    ([["SKIP"]], "0 passed, 0 failed, 1 skipped", 1),
    ([[]], "0 passed, 0 failed, 0 skipped", 1),
])
def test_counts_single_tests(build, files, line, status):
    assert run_summary(build(*files)) == (status, [line])


def test_several_builds_are_summed(build, tmp_path):
    build(["PASS", "PASS"])
    two = tmp_path / "two" / "tests"
    two.mkdir(parents=True)
    (two / "a.trs").write_text(":test-result: FAIL case\n:test-result: SKIP case\n")
    assert run_summary(tmp_path, two.parent) == (1, ["2 passed, 1 failed, 1 skipped"])
    (two / "a.trs").write_text(":test-result: PASS case\n")
    assert run_summary(tmp_path, two.parent) == (0, ["3 passed, 0 failed, 0 skipped"])


def test_a_build_whose_tests_did_not_run_fails(build, tmp_path):
    build(["PASS", "PASS"])
    assert run_summary(tmp_path, tmp_path / "none") == (1, ["2 passed, 0 failed, 0 skipped"])


def test_a_skip_fails_where_ci_has_installed_everything(build):
    assert run_summary(build(["PASS", "SKIP"]), ci="true") == (
        1, ["1 passed, 0 failed, 1 skipped"])
    assert run_summary(build(["PASS", "PASS"]), ci="true")[0] == 0
