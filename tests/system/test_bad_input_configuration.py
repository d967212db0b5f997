# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration with a mistake: by -t, at the start and at SIGHUP.

Every key and every kind of mistake is in tests/unit/test_conf.c and test_schema.c; here
is what the program does with one: a line with file, line, key and what was expected, exit
1 and nothing made; a running daemon goes on with what it had.
"""
import os

import pytest
import yaml

from harness.unchanged import unchanged


@pytest.fixture
def files(make_daemon, btrfs):
    """A daemon, not started, with one good cluster of plain files."""
    daemon = make_daemon()
    daemon.add_cluster("main", btrfs.files("files"), database={"type": "none"})
    return daemon


def append(daemon, text):
    with open(daemon.config_file, "a", encoding="utf-8") as file:
        file.write(text)


def cluster_file(daemon, text, name="extra.yaml"):
    path = os.path.join(daemon.clusters_dir, name)
    daemon.write(path, text)
    return path


def policy(*statement, principals='"*"', version="1", name="all.yaml"):
    def do(daemon):
        daemon.write(os.path.join(daemon.policies_dir, name),
                     f"principals: [{principals}]\npolicy:\n  Version: \"{version}\"\n  Statement:\n  - {{"
                     + ", ".join(statement) + "}\n")
    return do


def writable(daemon):
    os.chmod(daemon.config_file, 0o666)


def missing(daemon):
    os.unlink(daemon.config_file)


def change(**settings):
    def do(daemon):
        with open(daemon.config_file, encoding="utf-8") as file:
            daemon.write(daemon.config_file, {**yaml.safe_load(file), **settings})
    return do


EVERYTHING = ("Effect: Allow", 'Action: "*"', 'Resource: "*"')

# What is done to it, and what the one line names: its file, then these words.
MISTAKES = {
    "unknown key": (lambda d: append(d, "bogus: 1\n"), "dbsnapd.yaml", "bogus: unknown"),
    "doubled key": (lambda d: append(d, "region_id: a\nregion_id: b\n"), "dbsnapd.yaml", "region_id"),
    "wrong type": (change(jobs=[1]), "dbsnapd.yaml", "jobs: expected a map"),
    "out of range": (change(jobs={"max_running": 0}), "dbsnapd.yaml", "jobs.max_running: expected"),
    "not a duration": (change(client_token={"ttl": "soon"}), "dbsnapd.yaml", "client_token.ttl: expected"),
    "not a path": (change(state_dir="relative"), "dbsnapd.yaml", "state_dir: expected"),
    "not built yet": (change(metrics={}), "dbsnapd.yaml", "metrics: not built yet"),
    "no such keys": (change(access_keys="/no/such/file"), "dbsnapd.yaml", "access_keys: expected a file"),
    "keys for all to read": (change(access_keys="/etc/passwd"), "/etc/passwd", "chmod 0600"),
    "unknown group": (change(listen={"group": "no-such-group"}), "dbsnapd.yaml", "groupadd --system no-such-group"),
    "alias": (lambda d: append(d, "region_id: &a x\n"), "dbsnapd.yaml", "without anchors, aliases and tags"),
    "two documents": (lambda d: append(d, "---\nregion_id: x\n"), "dbsnapd.yaml", "document"),
    "no YAML": (lambda d: append(d, "region_id: \"x\n"), "dbsnapd.yaml", "expected YAML"),
    "writable by others": (writable, "dbsnapd.yaml", "chmod go-w"),
    "missing": (missing, "dbsnapd.yaml", "no such file"),
    "policy of nothing": (lambda d: d.write(os.path.join(d.policies_dir, "all.yaml"), ""), "all.yaml:1: ", "an empty file"),
    "policy of nobody": (policy(*EVERYTHING, principals=""), "all.yaml:1: principals: ", "an empty list"),
    "policy of a stranger": (policy(*EVERYTHING, principals="user:no-such-user"), "all.yaml:1: ", "no user"),
    "policy of another version": (policy(*EVERYTHING, version="2"), "all.yaml:3: Version: ", "expected"),
    "policy with an unknown key": (policy(*EVERYTHING, "NotResource: x"), "all.yaml:5: ", "unknown key"),
    "policy with an unknown operator": (policy(*EVERYTHING, "Condition: {IpAddress: {acs:SourceIp: 1.2.3.4}}"),
                                        "all.yaml:5: Condition: ", "unknown operator"),
    "policy with an unknown condition": (policy(*EVERYTHING, "Condition: {StringLike: {acs:SourceIp: x}}"),
                                         "all.yaml:5: StringLike: ", "unknown condition key"),
    "policy with a bad value": (policy(*EVERYTHING, "Condition: {DateLessThan: {acs:CurrentTime: soon}}"),
                                "all.yaml:5: DateLessThan: ", "expected a time"),
    "policy of two kinds": (policy(*EVERYTHING, 'NotAction: "*"'), "all.yaml:5: ", "got both"),
    "policy not a .yaml": (policy(*EVERYTHING, name="all.json"), "all.json: ", "ends in .yaml"),
    "cluster without data_dir": (lambda d: cluster_file(d, "id: extra\n"), "extra.yaml", "data_dir"),
    "cluster with a bad id": (lambda d: cluster_file(d, "id: ../etc\ndata_dir: /srv/x\n"), "extra.yaml", "id: expected"),
    "same id twice": (lambda d: cluster_file(d, "id: main\ndata_dir: /srv/x\n", "zz.yaml"), "zz.yaml", "id: expected an id of its own"),
    "same data_dir twice": (lambda d: cluster_file(
        d, {"id": "zz", "data_dir": d.clusters["main"]["data_dir"]}, "zz.yaml"), "zz.yaml", "data_dir: expected a path of its own"),
    "password": (lambda d: cluster_file(
        d, {"id": "extra", "data_dir": "/srv/x", "database": {"conninfo": "password=geheim"}}),
        "extra.yaml", "database.conninfo"),
    "not a .yaml": (lambda d: cluster_file(d, "id: extra\n", "extra.yml"), "extra.yml", "ends in .yaml"),
    "state_dir inside a data_dir": (lambda d: cluster_file(
        d, {"id": "extra", "data_dir": d.folder}), "extra.yaml", "does not hold state_dir"),
}


def one_line(text, mistake):
    lines = text.splitlines()
    assert len(lines) == 1, text
    for word in MISTAKES[mistake][1:]:
        assert word in lines[0], lines
    assert "geheim" not in text


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(files, btrfs, mistake):
    with unchanged(files, btrfs):
        MISTAKES[mistake][0](files)
        # -t
        done = files.run("-t")
        assert done.returncode == 1 and done.stdout == "", done
        one_line(done.stderr, mistake)
        # At the start.
        files.spawn()
        assert files.reap(30) == 1
        one_line(files.log_text(), mistake)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_at_reload(files, btrfs, mistake):
    files.start()
    with unchanged(files, btrfs):
        # A good change in the same go is not taken either: whole or not at all.
        files.add_cluster("other", "/srv/other", database={"type": "none"})
        before = len(files.log_text())
        MISTAKES[mistake][0](files)
        files.reload()
        said = files.log_text()[before:]
        assert "the one before stays in force" in said
        assert files.api.call("CheckCluster", DBClusterId="other")[0] == 404
        lines = [line for line in said.splitlines() if "error:" in line]
        assert len(lines) == 2, said
        for word in MISTAKES[mistake][1:]:
            assert word in lines[0], lines
        del files.clusters["other"]
    files.api.create_and_wait("main")


@pytest.mark.parametrize("change_to, key", [
    ({"state_dir": "/var/tmp/dbsnap-elsewhere"}, "state_dir"), ({"store": {"map_size": "2GiB"}}, "store.map_size")])
def test_keys_of_the_start_at_reload(files, btrfs, change_to, key):
    files.start()
    with unchanged(files, btrfs):
        change(**change_to)(files)
        files.reload()
        assert f"{key} is read at start only; restart dbsnapd to change it" in files.log_text()
        assert not os.path.exists("/var/tmp/dbsnap-elsewhere")


def test_every_mistake_is_told_at_once(files):
    for mistake in ("unknown key", "policy of nobody", "cluster without data_dir"):
        MISTAKES[mistake][0](files)
    done = files.run("-t")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 3, done.stderr


def test_good_one_says_nothing(files):
    done = files.run("-t")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_policy_that_locks_out_root(files):
    """It is taken, and told: by -t, at the reload and at the start, with the way back in."""
    told = ("policies.d: root may not do on every cluster: anything; to get back in, edit or move the files in this "
            "folder and reload (systemctl reload dbsnapd)")
    files.start()
    policy(*EVERYTHING, principals="accesskey:AK")(files)
    done = files.run("-t")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("warning: ") and done.stderr.endswith(told + "\n") and done.stderr.count("\n") == 1
    before = len(files.log_text())
    files.reload()
    said = files.log_text()[before:]
    assert "configuration reloaded" in said and told in said and said.count("warning:") == 1
    os.unlink(os.path.join(files.policies_dir, "all.yaml"))
    files.reload()
    assert files.log_text().count(told) == 1
    files.api.create_and_wait("main")


def test_old_policy_stays_in_force(files):
    """By what is allowed: a file with a mistake neither opens nor closes anything."""
    may_all, no_create = policy(*EVERYTHING), ("Effect: Deny", "Action: polardb:CreateBackup", 'Resource: "*"')
    files.start()
    may_all(files)
    policy(*no_create, name="no.yaml")(files)
    files.reload()
    assert "root may not do on every cluster: CreateBackup;" in files.log_text()

    def create():
        return files.api.call("CreateBackup", DBClusterId="main")

    assert create()[0] == 403 and create()[1]["Code"] == "Forbidden.RAM"
    policy("Effect: Deny", "Action: polardb:DeleteBackup", "Resource: pc-a", name="no.yaml")(files)
    files.reload()
    assert "the one before stays in force" in files.log_text()
    assert create()[1]["Code"] == "Forbidden.RAM"
    policy("Effect: Deny", "Action: polardb:DeleteBackup", 'Resource: "*"', name="no.yaml")(files)
    files.reload()
    files.api.create_and_wait("main")
