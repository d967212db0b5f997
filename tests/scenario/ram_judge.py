# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges policies a second time, from their definition and not from our code: slow, plain, and of another make."""
import datetime

ACTIONS = {f"{prefix}:{name}": name for prefix, names in {
    "polardb": "CreateBackup DescribeBackups DescribeBackupTasks DeleteBackup DescribeBackupPolicy ModifyBackupPolicy "
               "DescribeDBClusters",
    "dbsnap": "CloneBackup DescribeClones DeleteClone VerifyBackup RestoreBackup HoldBackup ReleaseBackup DescribeJobs "
              "CancelJob CheckCluster DescribeQuarantine AdoptBackup DeleteQuarantined DescribeStatus",
}.items() for name in names.split()}


def places(pattern, text, anycase=range(0)):
    """Where in the pattern one may stand after all of the text: a set of positions, of all ways to read it."""
    def closed(now):
        now = set(now)
        for p in range(len(pattern)):
            if p in now and pattern[p] == "*":
                now.add(p + 1)
        return now
    now = closed({0})
    for i, char in enumerate(text):
        then = set()
        for p in now - {len(pattern)}:
            want = pattern[p]
            if want == "*":
                then.add(p)
            elif want in ("?", char) or (i in anycase and want.lower() == char.lower()):
                then.add(p + 1)
        now = closed(then)
    return now


def like(pattern, text, anycase=range(0)):
    return len(pattern) in places(pattern, text, anycase)


def listed(value):
    return value if isinstance(value, list) else [value]


def action_matches(statement, action):
    def among(patterns):
        return any(like(p, action, range(len(action))) for p in listed(patterns))
    if "Action" in statement:
        return among(statement["Action"])
    return not among(statement["NotAction"])


IDS = set("abcdefghijklmnopqrstuvwxyz0123456789-*?")


def resource_matches(patterns, ask, reach):
    """reach: "one" (the cluster asked about), "each" (whatever the id), "some" (some characters of an id, or none)."""
    base = f"acs:polardb:{ask['region']}:{ask['account']}:dbcluster/"
    word = range(len(base) - len("dbcluster/"), len(base) - 1)
    for pattern in listed(patterns):
        if reach == "one" and like(pattern, base + ask["cluster"], word):
            return True
        if reach == "each" and pattern[-1] == "*" and like(pattern, base, word):
            return True
        if reach == "some" and any(set(pattern[p:]) <= IDS for p in places(pattern, base, word)):
            return True
    return False


def seconds(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


RELATIONS = {
    "": lambda have, want: have == want,
    "LessThan": lambda have, want: have < want,
    "LessThanEquals": lambda have, want: have <= want,
    "GreaterThan": lambda have, want: have > want,
    "GreaterThanEquals": lambda have, want: have >= want,
    "Equals": lambda have, want: have == want,
    "EqualsIgnoreCase": lambda have, want: have.lower() == want.lower(),
    "Like": lambda have, want: like(want, have),
}


def condition_holds(operator, key, values, ask):
    family = next(f for f in ("String", "Numeric", "Date", "Bool") if operator.startswith(f))
    relation = operator.removeprefix(family)
    negated = relation.startswith("Not")
    compare = RELATIONS[relation.removeprefix("Not")]
    have = {"acs:CurrentTime": [ask["now_ms"] // 1000],
            "dbsnap:PeerUid": [ask["uid"]],
            "dbsnap:PeerGid": [ask["gid"], *ask["groups"]],
            "dbsnap:BackupMode": [ask["mode"]] if ask["mode"] else []}[key]
    read = {"String": str, "Numeric": int, "Date": seconds}[family]
    any_does = any(compare(h, read(v)) for h in have for v in listed(values))
    return any_does != negated


def principal_matches(principals, ask):
    if "*" in principals:
        return True
    if ask["key"]:
        return f"accesskey:{ask['key']}" in principals
    mine = {f"user:u{ask['uid']}", f"uid:{ask['uid']}", *(f"group:g{g}" for g in [ask["gid"], *ask["groups"]])}
    return bool(mine & set(principals))


def matches(document, statement, ask, reach):
    action = next(a for a, name in ACTIONS.items() if name == ask["action"])
    return (principal_matches(document["principals"], ask) and action_matches(statement, action)
            and resource_matches(statement["Resource"], ask, reach)
            and all(condition_holds(operator, key, values, ask)
                    for operator, keys in statement.get("Condition", {}).items() for key, values in keys.items()))


def judge(documents, ask, allow_reach=None, deny_reach=None):
    """(answer, the position of the statement that decided): the first Deny that matches, else the first Allow."""
    allow_reach = allow_reach or ("one" if ask["cluster"] else "each")
    deny_reach = deny_reach or ("one" if ask["cluster"] else "some")
    allowed = None
    for d, document in enumerate(documents):
        for s, statement in enumerate(document["policy"]["Statement"]):
            deny = statement["Effect"] == "Deny"
            if not matches(document, statement, ask, deny_reach if deny else allow_reach):
                continue
            if deny:
                return "denied", (d, s)
            allowed = allowed or (d, s)
    return ("allowed", allowed) if allowed else ("silent", None)


def allows_some(documents, ask):
    return judge(documents, ask, "some", "each")[0] == "allowed"
