# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's judgement of policies beside another one (ram_judge.py), over generated policies and requests."""
import collections
import datetime
import json
import os
import random
import subprocess

import pytest
import yaml

import ram_judge

POLICIES, REQUESTS, PARTS = 6000, 3, 4

CLUSTERS = ["pc-a", "pc-b", "pc-ab", "pc-aa", "xb", "a-pc-a"]
REGIONS, ACCOUNTS = ["here", "There", "db"], ["acme", "dbcluster"]
KEYS = ["AK1", "AK2"]
MODES = ["Manual", "Automated"]
NOW = 1767225600


class Driver:
    """tests/policy_driver"""

    def __init__(self):
        self.process = subprocess.Popen([os.path.join(os.environ["DBSNAP_BUILDDIR"], "tests", "policy_driver")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, text):
        self.process.stdin.write(text.encode() if isinstance(text, str) else text)

    def hear(self):
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().rstrip("\n").split("\t")

    def policy(self, texts):
        self.say("new\n")
        for number, text in enumerate(texts):
            self.say(f"file\t{number}.yaml\t{len(text.encode())}\n{text}")
            assert self.hear() == ["ok"], text

    def ask(self, ask):
        groups = ",".join(map(str, ask["groups"])) or "-"
        self.say("\t".join(map(str, ("ask", ask["key"] or "-", ask["uid"], ask["gid"], groups, ask["action"],
                                     ask["region"], ask["account"], ask["cluster"] or "-", ask["mode"] or "-",
                                     ask["now_ms"]))) + "\n")
        answer, file, line, some = self.hear()
        return answer, file, int(line), some == "some"

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


@pytest.fixture
def driver():
    driver = Driver()
    yield driver
    driver.end()


class Maker:
    """Policies and requests of a seed. What they are made of is little, so that much of it meets."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def some(self, make, most=3):
        """One value, or a list of up to most."""
        if self.r.random() < 0.5:
            return make()
        return [make() for _ in range(self.r.randint(1, most))]

    def mangled(self, text, chars):
        """Here and there a wildcard in place of one or more characters, or nothing."""
        while self.r.random() < 0.4:
            at = self.r.randrange(len(text) + 1)
            text = text[:at] + self.r.choice(chars) + text[at + self.r.choice([0, 1, 1, 2, 5, len(text)]):]
        return text

    def cased(self, text):
        return "".join(c.upper() if self.r.random() < 0.3 else c.lower() for c in text)

    def action(self):
        roll = self.r.random()
        if roll < 0.15:
            return "*"
        text = self.mangled(self.r.choice(list(ram_judge.ACTIONS)), "*?") if roll < 0.7 else self.r.choice(
            ["polardb:*", "dbsnap:*", "polardb:Describe*", "*:Describe*", "*Backup", "ecs:Start", "polardb:*backup*"])
        if ":" not in text and "*" not in text:
            text = "polardb:" + text
        return self.cased(text) if self.r.random() < 0.3 else text

    def resource(self):
        roll = self.r.random()
        if roll < 0.15:
            return "*"
        word = "dbcluster" if self.r.random() < 0.7 else self.cased("dbcluster")
        text = ":".join(["acs", "polardb", self.r.choice(REGIONS + ["*"] * 4), self.r.choice(ACCOUNTS + ["*"] * 4),
                         word + "/" + self.r.choice(CLUSTERS + ["*", "pc-*", "*-a", "pc-?", "p*b"])])
        if roll < 0.4:
            text = self.mangled(text, ["*", "?", "**", "*:", "/", "D"])
        if not text.startswith(("acs:", "*", "?")):
            text = "*" + text
        return text

    def date(self):
        shift = self.r.choice([-3600, -1, 0, 0, 1, 3600])
        zone = datetime.timezone(datetime.timedelta(minutes=self.r.choice([0, 0, 120, -330])))
        text = datetime.datetime.fromtimestamp(NOW + shift, zone).isoformat()
        return text.replace("+00:00", "Z") if self.r.random() < 0.9 else text

    def condition(self):
        order = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
        texts = ["Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike"]
        kind = self.r.choice(["Date", "Numeric", "Numeric", "String"])
        if kind == "Date":
            return "Date" + self.r.choice(order), "acs:CurrentTime", self.some(self.date)
        if kind == "Numeric":
            key = self.r.choice(["dbsnap:PeerUid", "dbsnap:PeerGid"])
            return ("Numeric" + self.r.choice(order), key, self.some(
                lambda: self.r.choice([int, str])(self.r.randint(-1, 5))))
        return "String" + self.r.choice(texts), "dbsnap:BackupMode", self.some(
            lambda: self.r.choice([lambda t: t, self.cased, lambda t: self.mangled(t, "*?") or "*"])(self.r.choice(MODES)))

    def statement(self):
        statement = {"Effect": "Allow" if self.r.random() < 0.65 else "Deny",
                     "Action" if self.r.random() < 0.8 else "NotAction": self.some(self.action),
                     "Resource": self.some(self.resource)}
        for _ in range(self.r.choice([0, 0, 0, 1, 1, 2, 3])):
            operator, key, values = self.condition()
            statement.setdefault("Condition", {}).setdefault(operator, {})[key] = values
        keys = list(statement)
        self.r.shuffle(keys)
        return {key: statement[key] for key in keys}

    def principal(self):
        return self.r.choice(["*", f"user:u{self.r.randint(0, 4)}", f"uid:{self.r.randint(0, 4)}",
                              f"group:g{self.r.randint(0, 4)}", f"accesskey:{self.r.choice(KEYS)}"])

    def documents(self):
        return [{"principals": [self.principal() for _ in range(self.r.randint(1, 4))],
                 "policy": {"Version": "1", "Statement": [self.statement() for _ in range(self.r.randint(1, 4))]}}
                for _ in range(self.r.randint(1, 3))]

    def text(self, document):
        if self.r.random() < 0.5:
            return json.dumps(document, indent=self.r.choice([None, 1]))
        return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=self.r.choice([None, False]), width=1000)

    def request(self):
        return {"key": self.r.choice(KEYS + [None] * 4), "uid": self.r.randint(0, 4), "gid": self.r.randint(0, 4),
                "groups": [self.r.randint(0, 4) for _ in range(self.r.choice([0, 0, 1, 3]))],
                "action": self.r.choice(list(ram_judge.ACTIONS.values())), "region": self.r.choice(REGIONS),
                "account": self.r.choice(ACCOUNTS), "cluster": self.r.choice(CLUSTERS + [""]),
                "mode": self.r.choice(MODES + [None]),
                "now_ms": NOW * 1000 + self.r.choice([-3600000, -1, 0, 1, 999, 1000])}


def line_of(text, position):
    """Where the statement begins: the line of the map."""
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    policy = next(value for key, value in root.value if key.value == "policy")
    return next(value for key, value in policy.value if key.value == "Statement").value[position].start_mark.line + 1


@pytest.mark.parametrize("part", range(PARTS))
def test_judgements_agree(driver, part):
    answers, somes = collections.Counter(), collections.Counter()
    for seed in range(part, POLICIES, PARTS):
        maker = Maker(seed)
        documents = maker.documents()
        texts = [maker.text(document) for document in documents]
        driver.policy(texts)
        for _ in range(REQUESTS):
            ask = maker.request()
            answer, by = ram_judge.judge(documents, ask)
            some = ram_judge.allows_some(documents, ask)
            want = (answer, f"{by[0]}.yaml" if by else "-", line_of(texts[by[0]], by[1]) if by else 0, some)
            assert driver.ask(ask) == want, f"seed {seed}: {ask}\n" + "\n".join(texts)
            answers[answer, bool(ask["cluster"])] += 1
            somes[some] += 1
    # A test that only ever sees one answer would see nothing.
    assert min(answers[answer, known] for answer in ("allowed", "denied", "silent") for known in (True, False)) > 50, answers
    assert min(somes.values()) > 500, somes


def test_reach_is_what_it_says():
    """What an unknown cluster is allowed every cluster is; what one cluster is denied an unknown one is."""
    seen = collections.Counter()
    for seed in range(4000):
        maker = Maker(seed)
        pattern = maker.resource()
        for region in REGIONS:
            ask = {"region": region, "account": "acme", "cluster": ""}
            each, some = (ram_judge.resource_matches(pattern, ask, reach) for reach in ("each", "some"))
            ones = {ram_judge.resource_matches(pattern, {**ask, "cluster": cluster}, "one") for cluster in CLUSTERS}
            assert not each or ones == {True}, pattern
            assert some or ones == {False}, pattern
            seen[each, some] += 1
    assert min(seen[True, True], seen[False, True], seen[False, False]) > 100, seen
