# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed requests to the whole daemon: keys from their file, rights from a policy, backups on disk."""
import json
import os
import signal
import time

import pytest

from harness.process import eventually
from harness.signer import Signer

SECRET = "a secret that nothing repeats"  # with blanks: refused
GOOD = "a-secret-that-nothing-repeats"


@pytest.fixture
def keyed(make_daemon, btrfs):
    """A running daemon with the cluster main; one key may do everything to it, another nothing."""
    daemon = make_daemon(access_keys="/nowhere")
    daemon.keys_file = os.path.join(daemon.folder, "access_keys.yaml")
    daemon.configure(access_keys=daemon.keys_file, quota={"manual_per_day": 9, "manual_retained": 9})
    daemon.add_cluster("main", btrfs.subvolume("main"), database={"type": "none"})
    write_keys(daemon, {"id": "testid", "secret": GOOD}, {"id": "idle", "secret": "x"})
    daemon.write(os.path.join(daemon.policies_dir, "10.yaml"), {
        "principals": ["accesskey:testid", "user:root"],
        "policy": {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}})
    daemon.start()
    wait_second()
    return daemon


def wait_second():
    """Until the second of the start is over: what is stamped in it is refused."""
    begin = int(time.time())
    eventually(lambda: time.time() > begin + 1, 5, "the next second")


def write_keys(daemon, *keys):
    daemon.write(daemon.keys_file, {"access_keys": list(keys)})
    os.chmod(daemon.keys_file, 0o600)


def send(daemon, data):
    head, _, body = daemon.api.raw(data).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


SIGNER = Signer("testid", GOOD)


def v1(daemon, action, signer=SIGNER, **params):
    return send(daemon, signer.v1(time.time() * 1000, {"Action": action, **params}))


def v3(daemon, action, signer=SIGNER, **params):
    return send(daemon, signer.v3(time.time() * 1000, action, params))


@pytest.mark.parametrize("ask", [v1, v3])
def test_from_create_to_delete(keyed, ask):
    def ok(action, **params):
        status, answer = ask(keyed, action, **params)
        assert status == 200, answer
        return answer
    job = ok("CreateBackup", DBClusterId="main", ClientToken="t")["BackupJobId"]
    # A retry has another nonce and the same token. The token is the key's, not that of the user who sends it.
    assert ok("CreateBackup", DBClusterId="main", ClientToken="t")["BackupJobId"] == job
    other = keyed.api.create("main", token="t")
    assert other != job
    for number in (job, other):
        keyed.api.wait_final("main", number)
    items = ok("DescribeBackups", DBClusterId="main")["Items"]["Backup"]
    assert {i["BackupId"] for i in items} == {job, other}
    with open(os.path.join(items[-1]["Dbsnap"]["Path"], "manifest.json"), encoding="ascii") as file:
        assert json.load(file)["principal"] == "key:testid"
    ok("DeleteBackup", DBClusterId="main", BackupId=job)
    keyed.wait_idle()
    assert [i["BackupId"] for i in ok("DescribeBackups", DBClusterId="main")["Items"]["Backup"]] == [other]
    assert GOOD not in keyed.log_text()


def test_rights_are_the_key_s(keyed):
    status, answer = v1(keyed, "DescribeBackups", Signer("idle", "x"), DBClusterId="main")
    assert (status, answer["Code"]) == (403, "Forbidden.RAM")
    status, answer = v3(keyed, "DescribeBackups", Signer("testid", "wrong"), DBClusterId="main")
    assert (status, answer["Code"]) == (400, "SignatureDoesNotMatch")


@pytest.mark.parametrize("again", ["front", "kill", "restart"])
def test_no_replay_by_another_front(keyed, again):
    data = [make(time.time() * 1000 + ahead) for ahead in (0, 300_000) for make in (
        lambda at: SIGNER.v1(at, {"Action": "DescribeStatus"}), lambda at: SIGNER.v3(at, "DescribeStatus", {}))]
    assert [send(keyed, d)[0] for d in data] == [200] * 4
    if again == "front":
        keyed.kill_front()
    elif again == "kill":
        keyed.kill()
        keyed.start()
    else:
        keyed.restart()
    wait_second()
    assert {send(keyed, d)[1]["Code"] for d in data} == {"InvalidTimeStamp.Expired", "SignatureNonceUsed"}
    assert v1(keyed, "DescribeStatus")[0] == v3(keyed, "DescribeStatus")[0] == 200


def test_reload(keyed):
    assert v1(keyed, "DescribeStatus")[0] == 200
    write_keys(keyed, {"id": "other", "secret": "y"})
    keyed.reload()
    assert v1(keyed, "DescribeStatus")[1]["Code"] == "InvalidAccessKeyId.NotFound"
    assert v1(keyed, "DescribeStatus", Signer("other", "y"))[1]["Code"] == "Forbidden.RAM"
    # What cannot be read changes nothing, and says nothing of what it holds.
    write_keys(keyed, {"id": "testid", "secret": SECRET})
    keyed.reload()
    assert v1(keyed, "DescribeStatus", Signer("other", "y"))[1]["Code"] == "Forbidden.RAM"
    assert "access_keys.secret: expected" in keyed.log_text()
    assert SECRET not in keyed.log_text()


def reloaded(keyed, times):
    eventually(lambda: keyed.log_text().count("configuration reloaded") == times, what="the engine has read it")


def test_reload_is_over_when_it_is_in_force(keyed):
    """Whoever waits for READY=1 (systemctl reload) finds the new keys: not while the front has yet to take them."""
    keyed.notify.lines.clear()
    os.kill(keyed.front(), signal.SIGSTOP)
    try:
        write_keys(keyed, {"id": "other", "secret": "y"})
        for times in (1, 2):     # by the second one the first has said what it had to say
            keyed.main.signal(signal.SIGHUP)
            reloaded(keyed, times)
        keyed.notify.drain()
        assert "READY=1" not in keyed.notify.lines and "RELOADING=1" in keyed.notify.lines
    finally:
        os.kill(keyed.front(), signal.SIGCONT)
    keyed.notify.wait("READY=1", keyed.main, 30)
    assert v1(keyed, "DescribeStatus", Signer("other", "y"))[1]["Code"] == "Forbidden.RAM"


def test_many_keys(keyed):
    write_keys(keyed, *({"id": f"key-{n}", "secret": "s" * 128} for n in range(256)))
    keyed.reload()
    for n in (0, 128, 255):
        assert v3(keyed, "DescribeStatus", Signer(f"key-{n}", "s" * 128))[1]["Code"] == "Forbidden.RAM"


def test_nobody_looks_into_who_holds_secrets(keyed):
    """Not dumpable: /proc belongs to root, and the user it runs as cannot trace it; no core is left."""
    for pid in (keyed.front(), keyed.main.pid):
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0
    with open(f"/proc/{keyed.main.pid}/limits", encoding="ascii") as file:
        assert "Max core file size        0                    0" in file.read()
