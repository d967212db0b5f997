# SPDX-License-Identifier: GPL-3.0-or-later
"""dbsnap policy test: what the policy files on disk allow, without a daemon."""
import grp
import json
import os
import pwd
import subprocess

import pytest

from scenario.ram import OPERATIONS

ALLOWED, DENIED, USAGE = 0, 1, 2

POLICY = """principals: [%s]
policy:
  Version: "1"
  Statement:
  - Effect: Allow
    Action: "polardb:*"
    Resource: acs:polardb:*:*:dbcluster/pc-*
  - Effect: Deny
    Action: polardb:DeleteBackup
    Resource: acs:polardb:here:*:dbcluster/pc-orders
    Condition: {DateLessThan: {acs:CurrentTime: 2030-01-01T00:00:00Z}}
  - Effect: Deny
    Action: polardb:CreateBackup
    Resource: "*"
    Condition: {StringEquals: {dbsnap:BackupMode: Automated}}
"""


class Files:
    """A configuration in a folder, and the command that reads it."""

    def __init__(self, folder):
        self.policies = os.path.join(folder, "policies.d")
        self.config = os.path.join(folder, "dbsnapd.yaml")
        self.program = os.path.join(os.environ["DBSNAP_BUILDDIR"], "dbsnap")
        os.mkdir(self.policies)
        self.write(self.config, f"region_id: here\nlisten: {{group: daemon}}\npolicies_dir: {self.policies}\n")

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)

    def policy(self, principals, name="10-dba.yaml"):
        self.write(os.path.join(self.policies, name), POLICY % principals)

    def test(self, *args, config=True):
        return subprocess.run([self.program, "policy", "test", *args, *(("-c", self.config) if config else ())],
                              capture_output=True, text=True, timeout=30, env={"DBSNAP_SOCKET": "/nowhere"})

    def verdict(self, *args):
        """(exit status, what decided)"""
        done = self.test(*args)
        assert done.stderr == ""
        word, by = done.stdout.splitlines()
        assert word == {ALLOWED: "allowed", DENIED: "denied"}[done.returncode]
        assert by.startswith("Decided by ")
        return done.returncode, by.removeprefix("Decided by").strip().removeprefix(self.policies + "/")


@pytest.fixture
def files(tmp_path):
    os.chmod(tmp_path, 0o755)
    return Files(str(tmp_path))


DEFAULT = "the default policy (no policy file)"
SILENT = "no statement matches"


def test_default(files):
    assert files.verdict("uid:0", "DeleteBackup", "pc-a") == (ALLOWED, DEFAULT)
    assert files.verdict("uid:7", "CreateBackup", "pc-a") == (DENIED, DEFAULT)
    for action in OPERATIONS:
        may = action == "CreateBackup" or action.startswith("Describe")
        assert files.verdict("group:daemon", action, "pc-a") == (ALLOWED if may else DENIED, DEFAULT), action
    assert files.verdict("accesskey:AK", "DescribeBackups", "pc-a") == (DENIED, DEFAULT)


def test_a_list_of_backups_is_of_either_mode(files):
    for mode, other in (("Manual", "Automated"), ("Automated", "Manual")):
        files.write(os.path.join(files.policies, "10-dba.yaml"), f"""principals: ["uid:7"]
policy:
  Version: "1"
  Statement:
  - {{Effect: Allow, Action: "*", Resource: "*", Condition: {{StringEquals: {{dbsnap:BackupMode: {mode}}}}}}}
""")
        for action in ("DescribeBackups", "DescribeBackupTasks"):
            assert files.verdict("uid:7", action, "pc-a") == (ALLOWED, "10-dba.yaml, line 5: Allow")
            assert files.verdict("uid:7", action, "pc-a", "--mode", mode)[0] == ALLOWED
            assert files.verdict("uid:7", action, "pc-a", "--mode", other) == (DENIED, SILENT)
        assert files.verdict("uid:7", "DescribeClones", "pc-a") == (DENIED, SILENT)


def test_which_statement(files):
    files.policy("uid:7")
    allow, deny = "10-dba.yaml, line 5: Allow", "10-dba.yaml, line 8: Deny"
    assert files.verdict("uid:7", "CreateBackup", "pc-orders") == (ALLOWED, allow)
    assert files.verdict("uid:7", "polardb:createbackup", "pc-orders") == (ALLOWED, allow)
    assert files.verdict("uid:7", "DELETEBACKUP", "pc-stock") == (ALLOWED, allow)
    assert files.verdict("uid:7", "DeleteBackup", "pc-orders") == (DENIED, deny)
    assert files.verdict("uid:7", "DeleteBackup", "pc-orders", "--time", "2030-01-01T00:00:00Z") == (ALLOWED, allow)
    assert files.verdict("uid:7", "DeleteBackup", "xx-orders") == (DENIED, SILENT)
    assert files.verdict("uid:7", "CloneBackup", "pc-orders") == (DENIED, SILENT)
    assert files.verdict("uid:8", "CreateBackup", "pc-orders") == (DENIED, SILENT)
    assert files.verdict("uid:0", "CreateBackup", "pc-orders") == (DENIED, SILENT)
    assert files.verdict("uid:7", "CreateBackup", "*") == (DENIED, SILENT)
    assert files.verdict("uid:7", "DeleteBackup", "*") == (DENIED, deny)
    assert files.verdict("uid:7", "CreateBackup", "pc-a", "--mode", "Manual") == (ALLOWED, allow)
    assert files.verdict("uid:7", "CreateBackup", "pc-a", "--mode", "Automated") == (DENIED, "10-dba.yaml, line 12: Deny")


def test_principals(files):
    user = pwd.getpwnam("daemon")
    files.policy("user:daemon", "a.yaml")
    files.policy(f"group:{grp.getgrgid(user.pw_gid).gr_name}", "b.yaml")
    files.policy("accesskey:AK.1-x_", "c.yaml")
    for principal, file in (("user:daemon", "a"), (f"uid:{user.pw_uid}", "a"), ("accesskey:AK.1-x_", "c"),
                            (f"group:{grp.getgrgid(user.pw_gid).gr_name}", "b")):
        assert files.verdict(principal, "CreateBackup", "pc-a") == (ALLOWED, f"{file}.yaml, line 5: Allow")
    assert files.verdict("accesskey:AK", "CreateBackup", "pc-a") == (DENIED, SILENT)
    # By his group, once the file about himself has gone.
    os.unlink(os.path.join(files.policies, "a.yaml"))
    assert files.verdict("user:daemon", "CreateBackup", "pc-a") == (ALLOWED, "b.yaml, line 5: Allow")
    assert files.verdict(f"uid:{user.pw_uid}", "CreateBackup", "pc-a") == (DENIED, SILENT)


def test_json(files):
    files.policy("uid:7")
    done = files.test("uid:7", "DeleteBackup", "pc-orders", "--json")
    assert done.returncode == DENIED
    assert json.loads(done.stdout) == {"Allowed": False, "Effect": "Deny", "Line": 8,
                                       "File": os.path.join(files.policies, "10-dba.yaml")}
    done = files.test("uid:8", "DeleteBackup", "pc-orders", "--json")
    assert done.returncode == DENIED and json.loads(done.stdout) == {"Allowed": False, "Reason": SILENT}


@pytest.mark.parametrize("args, said", [
    (("alice", "CreateBackup", "pc-a"), "'alice' is no principal: user:NAME, group:NAME, uid:NUMBER or accesskey:ID"),
    (("uid:-1", "CreateBackup", "pc-a"), "'uid:-1' is no principal"),
    (("uid:4294967295", "CreateBackup", "pc-a"), "is no principal"),
    (("accesskey:", "CreateBackup", "pc-a"), "is no principal"),
    (("*", "CreateBackup", "pc-a"), "'*' is no principal"),
    (("user:no-such-user", "CreateBackup", "pc-a"), "there is no user 'no-such-user' on this host"),
    (("group:no-such-group", "CreateBackup", "pc-a"), "there is no group 'no-such-group' on this host"),
    (("uid:1", "creatbackup", "pc-a"), "did you mean polardb:CreateBackup?"),
    (("uid:1", "polardb:CloneBackup", "pc-a"), "did you mean dbsnap:CloneBackup?"),
    (("uid:1", "xyz", "pc-a"), "unknown action 'xyz'"),
    (("uid:1", "CreateBackup", "PC_A"), "'PC_A' is neither a cluster's id"),
    (("uid:1", "CreateBackup", "pc-a", "--mode", "manual"), "neither Manual nor Automated"),
    (("uid:1", "CreateBackup", "pc-a", "--time", "noon"), "--time 'noon' is no time such as"),
    (("uid:1", "CreateBackup"), "wants PRINCIPAL ACTION CLUSTER"),
    (("uid:1", "CreateBackup", "pc-a", "--wait"), "takes no --wait")])
def test_usage(files, args, said):
    done = files.test(*args)
    assert done.returncode == USAGE and done.stdout == "" and said in done.stderr, done


def test_errors_in_files(files):
    """As dbsnapd -t tells them, and neither allowed nor denied."""
    files.policy("user:no-such-user")
    files.write(os.path.join(files.policies, "b.yaml"), "[]")
    done = files.test("uid:1", "CreateBackup", "pc-a")
    check = subprocess.run([files.program + "d", "-t", "-c", files.config], capture_output=True, text=True, timeout=30)
    assert done.returncode == USAGE and done.stdout == ""
    assert check.returncode == 1 and len(check.stderr.splitlines()) == 2
    assert done.stderr.splitlines() == ["dbsnap: " + line for line in check.stderr.splitlines()]


def test_other_commands_take_none_of_its_options(files):
    for option, said in (("--mode=Manual", "--mode or --time"), ("--config=x", "--config")):
        done = subprocess.run([files.program, "status", option], capture_output=True, text=True, timeout=30)
        assert done.returncode == USAGE and f"'status' takes no {said}" in done.stderr
