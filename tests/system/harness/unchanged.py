# SPDX-License-Identifier: GPL-3.0-or-later
"""An error changes nothing (invariant 8): everything that can be looked at, before and after.

    with unchanged(daemon, btrfs):
        assert error(daemon.api.call(...)) == (403, "OperationDenied.Layout")

Compared are the records (backups, clones, jobs and what is left of the quota, as the API
tells them), every name below snapshot_dir and data_dir, the subvolumes of the disks, the
processes and their descriptors. A daemon that does not run is seen by its files alone:
those of state_dir by their contents.
"""
import contextlib
import hashlib
import os
import stat

from .process import eventually

# What a running server changes by itself in its data directory.
SERVERS_OWN = {"pg_wal", "pg_stat", "pg_stat_tmp", "pg_logical", "pg_subtrans", "pg_xact", "pgsql_tmp"}
SERVERS_FILES = ("pg_internal.init", "_fsm", "_vm", "postmaster.pid", "pg_control", "current_logfiles")


def describe(path):
    """Type, mode and owner of a name, and where a link points."""
    entry = os.lstat(path)
    kind = (stat.S_IFMT(entry.st_mode), stat.S_IMODE(entry.st_mode), entry.st_uid, entry.st_gid)
    return kind + ((os.readlink(path),) if stat.S_ISLNK(entry.st_mode) else ())


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def names(folder, contents=False, passed_over=()):
    """{name below folder: what it is}; None when it is not there. Links are not followed."""
    if not os.path.lexists(folder):
        return None
    found = {".": describe(folder)}
    for path, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if f not in passed_over]
        for name in folders + files:
            full = os.path.join(path, name)
            if name.endswith(SERVERS_FILES) and passed_over:
                continue
            what = describe(full)
            if contents and stat.S_ISREG(what[0]):
                what += (digest(full),)
            found[os.path.relpath(full, folder)] = what
    return found


def records(daemon):
    """What the API tells of all clusters, but for what a clock or the disk moves."""
    told = {}
    for cluster in daemon.clusters:
        told[cluster] = [daemon.api.call(action, DBClusterId=cluster) for action in
                         ("DescribeBackups", "DescribeClones", "DescribeJobs", "DescribeBackupTasks")]
        for _, answer in told[cluster]:
            del answer["RequestId"]
            for item in answer.get("Items", {}).get("Backup", []):
                # Corrected by a measurement of its own, some time after the cut.
                del item["BackupSetSize"]
                item["Dbsnap"].pop("SizeTime", None)
    status = daemon.api.ok("DescribeStatus")
    told["jobs"] = status["Jobs"]
    told["quota"] = {c["DBClusterId"]: (c.get("QuotaLeft"), c["Backups"], c["Quarantine"])
                     for c in status["Clusters"]}
    return told


def has_clients(daemon):
    """Whether the front still holds a connection (field 6 of /proc/net/unix: 03, connected)."""
    with open("/proc/net/unix", encoding="utf-8") as file:
        lines = [line.split() for line in file]
    return any(line[5] == "03" and line[7:] == [daemon.socket] for line in lines)


def processes(daemon):
    """Engine, front and their descriptors, as soon as there is no worker and no client."""
    pids = [daemon.front()]
    counts = pids[0] and daemon.descriptors()
    if not counts or has_clients(daemon) or daemon.descendants() != pids:
        return None
    return daemon.main.pid, pids, counts


def as_before(daemon, before):
    """The same processes, with no descriptor more; one less was a worker's that had just ended."""
    now = processes(daemon)
    return now and now[:2] == before[:2] and all(a <= b for a, b in zip(now[2], before[2]))


def look(daemon, disks):
    """Everything; the API's part first, for its connections count as well."""
    seen = {}
    if daemon.running():
        # A measurement that follows a create is over as well.
        eventually(lambda: processes(daemon), 30, "idle")
        seen["records"] = records(daemon)
        # The least of some: a worker may come, be seen by its link alone, and go.
        seen["processes"] = min(eventually(lambda: processes(daemon), 30, "idle") for _ in range(3))
    else:
        seen["state"] = names(daemon.state_dir, contents=True)
        seen["run"] = names(daemon.run_dir)
    seen["subvolumes"] = [d.subvolumes() for d in disks if d.kind == "btrfs" and d.mounted()]
    seen["disk"] = {}
    for cluster, settings in daemon.clusters.items():
        seen["disk"][cluster] = (names(daemon.snapshot_dir(cluster), contents=True, passed_over={"data"}),
                                 names(settings["data_dir"], passed_over=SERVERS_OWN))
    return seen


@contextlib.contextmanager
def unchanged(daemon, *disks):
    """Fails when the block has changed anything."""
    before = look(daemon, disks)
    yield
    after = look(daemon, disks)
    if daemon.running():
        eventually(lambda: as_before(daemon, before["processes"]), 10,
                   f"processes as before: {before['processes']}")
        after["processes"] = before["processes"]
    for part, what in before.items():
        assert after[part] == what, f"{part} before: {what}\nafter: {after[part]}"
    assert set(after) == set(before)


def code_of(answer):
    status, body = answer
    return status, body.get("Code")


def says(answer, code, *words):
    """The one error of an answer: its code, and each of the words in its message."""
    assert code_of(answer) == code, answer
    message = answer[1]["Message"]
    for word in words:
        assert word in message, message
    return message
