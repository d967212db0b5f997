# SPDX-License-Identifier: GPL-3.0-or-later
"""The PostgreSQL helper alone, against real servers and against nonsense."""
import os
import pwd
import shutil
import signal
import socket
import struct
import threading

import pytest

from harness.helper import CONNECT, FACTS, START, Helper
from harness.process import Pid, eventually, status_fields

ROLE = "CREATE ROLE dbsnap LOGIN; GRANT pg_read_all_settings TO dbsnap"


@pytest.fixture
def server(folder, make_server):
    """A running server on whatever the temporary folder lies on."""
    path = os.path.join(folder, "data")
    os.mkdir(path, 0o700)
    return make_server(path)


@pytest.fixture
def helper(pg_template, programs):
    """A helper of the user postgres (the template stands for root, and a server installed)."""
    helper = Helper(os.path.join(programs, "dbsnapd-helper-postgresql"))
    yield helper
    helper.close()


def test_facts_are_the_servers_own(server, helper):
    assert helper.connect(server.conninfo) == ("DONE", "", "")
    facts = helper.facts()
    assert facts["system_identifier"] == server.value(
        "SELECT system_identifier FROM pg_control_system()")
    assert facts["version"] == int(server.value("SHOW server_version_num"))
    assert server.value("SHOW server_version").split()[0] == facts["version_text"]
    assert facts["data_directory"] == server.data_dir
    assert facts["hba_file"] == server.data_dir + "/pg_hba.conf"
    assert facts["wal_segment_size"] == 16 << 20
    assert (facts["fsync"], facts["in_recovery"], facts["tablespaces"]) == (1, 0, {})
    assert (facts["may_start"], facts["may_stop"], facts["may_slot"]) == (1, 1, 1)
    assert server.data_dir + "/postgresql.conf" in facts["sources"].splitlines()
    assert helper.peer() == server.main.pid


def test_role_of_least_privilege_suffices(server, helper):
    server.sql(ROLE)
    assert helper.connect(server.conninfo.replace("user=postgres", "user=dbsnap"))[0] == "DONE"
    assert helper.facts()["data_directory"] == server.data_dir
    before = server.value("SELECT pg_current_wal_insert_lsn()")
    lsn = helper.flush()
    high, low = (int(half, 16) for half in before.split("/"))
    assert lsn > (high << 32 | low)


def test_role_without_settings_is_told_which_one(server, helper):
    server.sql("CREATE ROLE dbsnap LOGIN")
    helper.connect(server.conninfo.replace("user=postgres", "user=dbsnap"))
    outcome, _, said, _ = helper.ask(FACTS)
    assert (outcome, said) == ("FORBIDDEN",
                               "the setting data_directory is not shown to this role")


BACKUP_ROLE = ("CREATE ROLE dbsnap LOGIN REPLICATION; GRANT pg_read_all_settings TO dbsnap; "
               "GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean) TO dbsnap")
SLOTS = "SELECT slot_name, temporary, restart_lsn IS NOT NULL FROM pg_replication_slots"


def as_dbsnap(server):
    return server.conninfo.replace("user=postgres", "user=dbsnap")


def test_backup_by_a_role_of_least_privilege(server, helper, folder):
    """Its slot holds WAL back from the beginning; both end with the session."""
    for name in ("a b", "c"):
        os.mkdir(os.path.join(folder, name))
        shutil.chown(os.path.join(folder, name), "postgres")
    server.sql(BACKUP_ROLE)
    server.sql(f"CREATE TABLESPACE one LOCATION '{folder}/a b'")
    helper.connect(as_dbsnap(server), 5000)
    spaces = helper.facts()["tablespaces"]
    assert list(spaces.values()) == [f"{folder}/a b"]
    outcome, said, start = helper.start(job=42, backup=17)
    assert (outcome, said, start["slot"]) == ("DONE", "", 1)
    assert server.sql(SLOTS) == [("dbsnap_42", True, True)]
    server.sql(f"CREATE TABLESPACE two LOCATION '{folder}/c'")
    outcome, said, stop = helper.stop()
    assert (outcome, said) == ("DONE", "")
    assert stop["lsn"] > start["lsn"]
    assert "LABEL: dbsnap 17\n" in stop["label"]
    assert f"START WAL LOCATION: {start['lsn'] >> 32:X}/{start['lsn'] & 0xffffffff:X} " in stop["label"]
    (oid, location), = spaces.items()
    assert stop["map"] == f"{oid} {location}\n"
    assert sorted(stop["tablespaces"].values()) == [f"{folder}/a b", f"{folder}/c"]
    helper.close()
    eventually(lambda: server.sql(SLOTS) == [], what="the slot's end")


def test_backup_ends_with_its_session(server, helper):
    helper.connect(server.conninfo)
    assert helper.start()[0] == "DONE"
    assert helper.start()[:2] == ("FAILED", "a backup is already in progress in this session")
    helper.close()
    eventually(lambda: "online backup mode was not terminated" in server.log_text()
               or "aborting backup" in server.log_text(), what="the backup's end")
    assert server.sql(SLOTS) == []


@pytest.mark.parametrize("setting", ["max_replication_slots = 0", "max_replication_slots = 1"])
def test_backup_without_a_free_slot(server, helper, setting):
    server.stop()
    server.configure(setting)
    server.start()
    if setting.endswith("1"):
        server.sql("SELECT pg_create_physical_replication_slot('other')")
    helper.connect(server.conninfo)
    outcome, said, start = helper.start()
    assert (outcome, start["slot"]) == ("DONE", 0)
    assert "replication slots" in said
    assert helper.stop()[0] == "DONE"


def test_backup_without_the_rights(server, helper):
    server.sql(ROLE)
    helper.connect(as_dbsnap(server))
    facts = helper.facts()
    assert (facts["may_start"], facts["may_stop"], facts["may_slot"]) == (0, 0, 0)
    assert helper.start()[0] == "FORBIDDEN"
    server.sql("ALTER ROLE dbsnap REPLICATION")
    helper.connect(as_dbsnap(server))
    assert helper.facts()["may_slot"] == 1
    outcome, said, _ = helper.start()
    assert (outcome, "pg_backup_start" in said) == ("FORBIDDEN", True)
    assert helper.stop()[0] == "FORBIDDEN"


def test_start_has_a_deadline_of_its_own(server, helper):
    """The checkpoint waits for a disk; the statement's timeout ends the wait."""
    helper.connect(server.conninfo, 5000)
    checkpointer = server.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    os.kill(checkpointer, signal.SIGSTOP)
    try:
        outcome, said, _ = helper.start(timeout_ms=300)
    finally:
        os.kill(checkpointer, signal.SIGCONT)
    assert (outcome, "timeout" in said) == ("FAILED", True)


def test_flush_makes_asynchronous_commits_durable(server, helper):
    server.sql("ALTER SYSTEM SET synchronous_commit = off")
    server.sql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    server.sql("SELECT pg_reload_conf()")
    server.sql("CREATE TABLE t(i int)")
    helper.connect(server.conninfo)
    helper.facts()
    server.sql("INSERT INTO t VALUES (1)")
    written = server.value("SELECT pg_current_wal_insert_lsn()")
    high, low = (int(half, 16) for half in written.split("/"))
    assert helper.flush() >= (high << 32 | low)


def test_unknown_role_and_no_server(server, helper):
    outcome, sqlstate, said = helper.connect(server.conninfo.replace("user=postgres", "user=nosuch"))
    assert (outcome, sqlstate) == ("REJECTED", "28000"), said
    assert "nosuch" in said and "LOCATION" not in said
    assert helper.passed, "the socket is shown although the role was rejected"
    server.stop()
    assert helper.connect(server.conninfo)[0] == "NO_SERVER"


def test_hung_server_costs_the_deadline_and_is_shown(server, helper):
    server.hang()
    assert helper.connect(server.conninfo, 500)[0] == "LOST"
    assert helper.peer() == server.main.pid
    server.unhang()


def test_no_address_but_a_unix_socket(helper):
    outcome, _, said = helper.connect("host=127.0.0.1 dbname=postgres")
    assert outcome == "FAILED" and "Unix socket" in said


def test_nothing_to_ask_without_connection(helper):
    assert helper.ask(FACTS)[0] == "LOST"


def test_ends_with_its_worker_and_on_malformed_questions(pg_template, programs):
    program = os.path.join(programs, "dbsnapd-helper-postgresql")
    for data in (b"", b"\0", struct.pack(">HH", CONNECT, 9), struct.pack(">H", 99)):
        helper = Helper(program)
        pid = Pid(helper.process.pid)
        if data:
            helper.sock.send(data)
        else:
            helper.sock.shutdown(socket.SHUT_RDWR)
        pid.wait_end()
        helper.close()


def test_is_caged(server, helper, seccomp_mode):
    helper.connect(server.conninfo)
    fields = status_fields(helper.process.pid)
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", seccomp_mode)
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
    assert fields["Uid"].split() == [fields["Uid"].split()[0]] * 4 != ["0"] * 4


def fake_server(path, reply, user="postgres"):
    """That user's socket: it answers whatever comes with these bytes and then nothing; what came, in a list."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    os.chmod(path, 0o777)
    # The kernel shows a client who called listen().
    os.seteuid(pwd.getpwnam(user).pw_uid)
    try:
        sock.listen(1)
    finally:
        os.seteuid(0)
    came = []

    def serve():
        peer, _ = sock.accept()
        came.append(peer.recv(8192))
        if came[0]:
            peer.sendall(reply)
        while came[-1]:
            came.append(peer.recv(8192))
        peer.close()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return sock, thread, came


def message(kind, body):
    return kind + struct.pack(">I", len(body) + 4) + body


@pytest.mark.parametrize("reply, outcome", [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "FAILED"),
    (message(b"E", b"SFATAL\0C28000\0Mgo\x1b[31m away\n\0\0"), "REJECTED"),
    (message(b"E", b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"), "NOT_READY"),
    (message(b"E", b"SFATAL\0C53300\0Mtoo many\0\0"), "CROWDED"),
    (b"", "LOST"),
])
def test_hostile_server(folder, helper, reply, outcome):
    sock, thread, _ = fake_server(os.path.join(folder, ".s.PGSQL.5432"), reply)
    got, _, said = helper.connect(f"host={folder} dbname=postgres user=postgres", 1000)
    assert got == outcome, said
    assert said.isprintable() and len(said) < 512
    helper.close()
    thread.join(10)
    sock.close()


@pytest.mark.parametrize("lie", [
    ("backup_stop", 1, "START", "x", 10 << 20),
    ("backup_stop", 1, "START", "x", 65536),
    ("backup_stop", 2, "^", "1 /x\n", 65536),
    ("backup_stop", 1, "START", "\r", 1),
    ("backup_stop", 0, "/", "!", 1),
    ("pg_tablespace", 0, ".+", "0", 1),
    ("pg_tablespace", 1, "^", "\n", 1),
    ("pg_tablespace", 1, "^", "/x", 600),
])
def test_lies_at_the_end_of_a_backup(server, helper, make_liar, folder, lie):
    os.mkdir(os.path.join(folder, "space"))
    shutil.chown(os.path.join(folder, "space"), "postgres")
    server.sql(f"CREATE TABLESPACE one LOCATION '{folder}/space'")
    liar = make_liar(server, [lie])
    assert helper.connect(liar.conninfo)[0] == "DONE"
    assert helper.start()[0] == "DONE"
    outcome, said, _ = helper.stop()
    assert outcome == "NONSENSE", said
    assert helper.ask(START, b"\0" * 20)[0] in ("DONE", "FAILED"), "the session goes on"


@pytest.mark.parametrize("user, asked", [("postgres", True), ("nobody", False)])
def test_no_password_for_another_users_server(folder, helper, user, asked):
    """Who gets hold of the socket's name while the server is down is told nothing."""
    passfile = os.path.join(folder, "pass")
    with open(passfile, "w", encoding="ascii") as file:
        file.write("*:*:*:*:secret\n")
    os.chmod(passfile, 0o600)
    shutil.chown(passfile, "postgres")
    cleartext = message(b"R", struct.pack(">I", 3))
    sock, thread, came = fake_server(os.path.join(folder, ".s.PGSQL.5432"), cleartext, user)
    got, _, said = helper.connect(f"host={folder} dbname=postgres user=postgres passfile={passfile}", 1000)
    helper.close()
    thread.join(10)
    sock.close()
    assert any(b"secret" in data for data in came) == asked
    assert got == ("LOST" if asked else "FAILED"), said
