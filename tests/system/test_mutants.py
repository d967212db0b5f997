# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/mutants fits the sources and names tests that are there; and what tests/mutate calls killed."""
import importlib.machinery
import importlib.util
import os

import pytest

SOURCE = os.environ["DBSNAP_SRCDIR"]


@pytest.fixture(scope="module")
def mutate():
    loader = importlib.machinery.SourceFileLoader("mutate", os.path.join(SOURCE, "tests", "mutate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutate", loader))
    loader.exec_module(module)
    return module


def test_every_mutant_fits(mutate):
    wrong = []
    for mutant in mutate.load():
        try:
            assert all(old != new for old, new in mutant.mutated(SOURCE).values()), mutant.name
            for test in mutant.tests:
                mutate.find_test(*test)
        except mutate.Wrong as error:
            wrong.append(str(error))
    assert not wrong


def test_every_invariant_has_one(mutate):
    assert {n for mutant in mutate.load() for n in mutant.invariants} == set(range(1, 13))


def parse(mutate, folder, text):
    path = os.path.join(folder, "list.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("# a list\n\n== one\nfile: x.c\ninvariant: 1 2\nbreaks: it\ntest: unit/test_x it_works\n" + text)
    return mutate.parse(path)[0]


def test_a_hunk_fits_one_place_whatever_its_blanks(mutate, folder):
    mutant = parse(mutate, folder, "  if (a)\n- return 1;\n+ \treturn 2;\n")
    assert (mutant.invariants, mutant.tests) == ([1, 2], [("unit/test_x", "it_works")])
    change, = mutant.changes
    assert change.apply("x\n\tif (a)\n\t\treturn 1;\ny\n") == "x\n\tif (a)\n\treturn 2;\ny\n"
    for text in ("x\n", "if (a)\nx\nreturn 1;\n", "if (a)\nreturn 1;\n" * 2):
        with pytest.raises(mutate.Wrong, match="places"):
            change.apply(text)


def test_each_hunk_of_a_file_counts(mutate, folder):
    mutant = parse(mutate, folder, "- one\n+ 1\nfile: x.c\n- two\n+ 2\n")
    path = os.path.join(folder, "x.c")
    with open(path, "w", encoding="utf-8") as file:
        file.write("one\ntwo\n")
    assert mutant.mutated(folder) == {path: ("one\ntwo\n", "1\n2\n")}


@pytest.mark.parametrize("text", ["", "  only\n", "test: unit/test_x\n+ y\n", "what: it\n+ y\n"])
def test_a_list_that_says_nonsense_is_refused(mutate, folder, text):
    with pytest.raises(mutate.Wrong):
        parse(mutate, folder, text)


PYTEST, PROGRAM = ("system/test_x.py", "test_it"), ("unit/test_x", "it_works")


@pytest.mark.parametrize("test, status, output, says", [
    (PYTEST, 1, "FAILED tests/system/test_x.py::test_it[a] - AssertionError\n===== 1 failed in 1.2s =====\n", "failed"),
    (PYTEST, 1, "FAILED tests/system/test_x.py::test_item - x\n===== 1 failed in 1.2s =====\n", "status 1"),
    (PYTEST, 1, "ERROR tests/system/test_x.py::test_it - x\n===== 1 error in 1.2s =====\n", "status 1"),
    (PYTEST, 0, "===== 1 passed, 3 deselected in 1.2s =====\n", "passed"),
    (PYTEST, 0, "SKIPPED [1] tests/system/test_x.py:1: needs root\n===== 1 skipped in 1.2s =====\n", "skipped"),
    (PYTEST, 5, "===== 9 deselected in 0.1s =====\n", "status 5"),
    (PYTEST, None, "", "status None"),
    (PROGRAM, 1, "[  ERROR   ] --- 1 != 2\n[  FAILED  ] it_works\n", "failed"),
    (PROGRAM, 1, "[  FAILED  ] another\n", "status 1"),
    (PROGRAM, 1, "[  ERROR   ] --- Test failed with exception: Segmentation fault(11)\n[  FAILED  ] it_works\n",
     "status 1"),
    (PROGRAM, 0, "[  PASSED  ] 3 test(s).\n", "passed"),
    (PROGRAM, -6, "", "status -6"),
])
def test_killed_is_what_failed_by_itself(mutate, test, status, output, says):
    assert mutate.judge(*test, status, output) == says
