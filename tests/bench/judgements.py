# SPDX-License-Identifier: GPL-3.0-or-later
"""How long policies of 1,000 statements take to be judged: rows for bench.py."""
import json
import os
import statistics
import subprocess

STATEMENTS, ROUNDS, TIMES = 1000, 9, 2000


def document(principals, statements):
    return json.dumps({"principals": principals, "policy": {"Version": "1", "Statement": statements}})


def statement(resource, effect="Allow", condition=None):
    return {"Effect": effect, "Action": "polardb:*", "Resource": f"acs:polardb:*:*:{resource}",
            **({"Condition": condition} if condition else {})}


def one_file(make):
    return [document(["group:g7"], [make(n) for n in range(STATEMENTS)])]


# What none of 1,000 statements says anything about: each of them is looked at, to where it differs.
POLICIES = {
    "each another cluster": one_file(lambda n: statement(f"dbcluster/pc-orders-{n}")),
    "each another beginning": one_file(lambda n: statement(f"dbcluster/pc-orders-{n}*")),
    "each a wildcard inside": one_file(lambda n: statement(f"dbcluster/*-{n}-?")),
    "not in five parts": one_file(lambda n: statement(f"*/pc-orders-{n}")),
    "each with two conditions": one_file(lambda n: statement("dbcluster/*", "Deny", {
        "DateLessThan": {"acs:CurrentTime": "2030-01-01T00:00:00Z"}, "NumericEquals": {"dbsnap:PeerUid": 5000 + n}})),
    "each in a file of its own": [document([f"group:g{5000 + n}"], [statement("dbcluster/*")])
                                  for n in range(STATEMENTS)],
}


def lines(texts):
    yield "new\n"
    for number, text in enumerate(texts):
        yield f"file\t{number}.yaml\t{len(text)}\n{text}"
    groups = ",".join(str(n) for n in range(7, 39))
    yield f"ask\t-\t1000\t100\t{groups}\tCreateBackup\tlocal\tlocal\tpc-orders-x\tManual\t1767225600000\n"
    yield f"time\t{TIMES}\n" * ROUNDS


def rows():
    """(what, median nanoseconds of one judgement)"""
    for what, texts in POLICIES.items():
        done = subprocess.run([os.path.join(os.environ["DBSNAP_BUILDDIR"], "tests", "policy_driver")],
                              input="".join(lines(texts)), stdout=subprocess.PIPE, text=True, check=True)
        *read, answer = done.stdout.splitlines()[:-ROUNDS]
        assert set(read) == {"ok"} and answer.startswith("silent\t"), (read, answer)
        yield what, statistics.median(float(line.split("\t")[0]) for line in done.stdout.splitlines()[-ROUNDS:])
