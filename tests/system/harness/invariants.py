# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold whenever nothing is in flight, whatever was killed before.

Read from three places that must agree: the API, the catalogue (tests/store_dump on a
copy) and the disk; and compared with what clients were told (Known). Numbers are those
of the list of invariants in the design.
"""
import fcntl
import json
import os
import shutil
import stat
import subprocess
import tempfile
import threading
import time

from . import disk as disks
from .process import eventually, open_files, status_fields

DAY_MS = 86400 * 1000

# Which states a client may see after which: the arrows of the design, closed. None: not listed.
AFTER = {
    "PENDING": {"PENDING", "RUNNING", "AVAILABLE", "FAILED", "CANCELLED", "LOST", None},
    "AVAILABLE": {"AVAILABLE", "LOST", None},
    "LOST": {"LOST", "AVAILABLE", None},
    "FAILED": {"FAILED", None},
    "CANCELLED": {"CANCELLED", None},
    None: {None},
}
AFTER["RUNNING"] = AFTER["PENDING"]


class Known:
    """What clients asked for and what they were answered. For several threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked = {}       # token -> time.monotonic() when first asked
        self.tokens = {}      # token -> id that was answered
        self.created = {}     # id -> token ("" for none)
        self.deleting = set() # ids whose delete was asked for
        self.deleted = set()  # ids whose delete was answered 200
        self.states = {}      # id -> state last seen
        self.jobs = {}        # id -> what a job's record never changes
        self.highest = 0      # of them, when it was last looked

    def ask(self, token):
        with self.lock:
            self.asked.setdefault(token, time.monotonic())

    def create(self, number, token=""):
        """A create was answered 200."""
        with self.lock:
            assert self.created.get(number, token) == token, f"{number} for two tokens"      # 2
            if token:
                assert self.tokens.get(token, number) == number, f"{token} gave two backups"  # 2
                self.tokens[token] = number
            self.created[number] = token

    def ask_delete(self, number):
        with self.lock:
            self.deleting.add(number)

    def delete(self, number):
        with self.lock:
            self.deleted.add(number)

    def see_jobs(self, jobs):
        """Every job's record: none is forgotten (history is long here), none gets an older one's number."""
        with self.lock:
            now = {n: (j["cluster"], j["kind"], j["backup"], j["clone"], j["token"]) for n, j in jobs.items()}
            assert self.jobs.items() <= now.items(), (self.jobs.items() - now.items(), now)      # 1, 6
            fresh = now.keys() - self.jobs.keys()
            assert not fresh or min(fresh) > self.highest, (sorted(fresh), self.highest)          # 6
            self.jobs, self.highest = now, max(now, default=0)

    def token_of(self, job):
        """The token of a create's record, whether or not its client ever got the answer."""
        token = bytes.fromhex(job["token"])
        return next(t for t in self.asked if token.endswith(t.encode()))

    def see(self, states):
        """A list of backups: {id: state} of everything listed."""
        with self.lock:
            for number in set(self.states) | set(states):
                before, now = self.states.get(number, "PENDING"), states.get(number)
                assert now in AFTER[before], f"{number}: {before} -> {now}"                  # 6, 7
                self.states[number] = now


# The three places

def dump(daemon):
    """{kind: {id: item}} of the catalogue; its counters are recounted on the copy."""
    with tempfile.TemporaryDirectory(dir=daemon.folder) as folder:
        eventually(lambda: copy_whole(os.path.join(daemon.state_dir, "store.mdb"),
                                      os.path.join(folder, "store.mdb")), what="a store at rest")
        done = subprocess.run([os.path.join(os.environ["DBSNAP_BUILDDIR"], "tests", "store_dump"),
                               folder, str(int(time.time() * 1000))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {kind: {} for kind in ("recount", "backup", "job", "tomb", "clone", "quota")}
    for line in done.stdout.splitlines():
        item = json.loads(line)
        assert item["id"] not in found[item["is"]], f"two records: {line}"                   # 1
        found[item["is"]][item["id"]] = item
    return found


def copy_whole(source, target):
    """Copies a file; false if it changed meanwhile."""
    shutil.copy(source, target)
    with open(source, "rb") as now, open(target, "rb") as copied:
        return now.read() == copied.read()


def listed(daemon, cluster):
    return daemon.api.backups(cluster)


def clones(daemon, cluster):
    return daemon.api.ok("DescribeClones", DBClusterId=cluster, PageSize=100)["Items"]["Clone"]


def read_manifest(path):
    with open(os.path.join(path, "manifest.json"), encoding="ascii") as file:
        return json.load(file)


# Catalogue against itself

def check_records(store):
    """1, 2, 5, 6: every create has one record, every token one create, counters are right."""
    backups, jobs, tombs = store["backup"], store["job"], store["tomb"]
    creates = {n: j for n, j in jobs.items() if j["kind"] == "CREATE"}
    assert not set(backups) & set(tombs), set(backups) & set(tombs)
    made = {n for part in (backups, tombs) for n, i in part.items() if not i["adopted"]}
    assert set(creates) == made, (sorted(creates), sorted(backups), sorted(tombs))
    nonces = [i["nonce"] for part in ("backup", "tomb", "clone") for i in store[part].values()]
    assert len(set(nonces)) == len(nonces), nonces
    tokens = [j["token"] for j in jobs.values() if j["token"]]
    assert len(set(tokens)) == len(tokens), tokens
    assert store["recount"][0]["counts"] == 0 and store["recount"][0]["days"] == 0, store["recount"]
    check_quota(store)


def check_quota(store):
    """5, counted here, from the records alone."""
    today = int(time.time() * 1000) // DAY_MS
    for cluster, quota in store["quota"].items():
        manual = [i for part in ("backup", "tomb") for i in store[part].values()
                  if i["cluster"] == cluster and i["mode"] == 1 and not i["adopted"]]
        days = [i for i in manual if i["accepted_ms"] // DAY_MS == today]
        kept = [i for i in manual if i.get("state") in ("PENDING", "AVAILABLE")]
        counted = (len(kept), len(days), sum(i["refunded"] for i in days))
        assert counted == (quota["retained"], quota["accepted"], quota["refunded"]), (counted, quota)


def is_at_rest(store):
    """Nothing is going to change by itself."""
    return (all(j["state"] != "OPEN" for j in store["job"].values()) and
            all(b["state"] not in ("PENDING", "DELETING") for b in store["backup"].values()) and
            all(c["state"] in ("AVAILABLE", "FAILED") for c in store["clone"].values()))


def dump_at_rest(daemon, timeout=60):
    def at_rest():
        store = dump(daemon)
        return store if is_at_rest(store) else None
    daemon.wait_idle(timeout)
    return eventually(at_rest, timeout, "a catalogue at rest")


# API against catalogue, disk against both

def check_api(daemon, cluster, items, store):
    """1, 6: listed is what the catalogue says, newest first."""
    ids = [i["BackupId"] for i in items]
    assert ids == sorted(set(ids), key=int, reverse=True), ids
    states = {int(i["BackupId"]): i["Dbsnap"]["State"] for i in items}
    assert states == {n: b["state"] for n, b in store["backup"].items() if b["cluster"] == cluster}
    names = {c["CloneName"] for c in clones(daemon, cluster)}
    assert names == {n for n, c in store["clone"].items() if c["cluster"] == cluster}


def check_tasks(daemon, cluster, store):
    """1, 6: a job of every create, once, and of nothing else."""
    tasks = daemon.api.ok("DescribeBackupTasks", DBClusterId=cluster)["Items"]["BackupJob"]
    ids = [int(t["BackupJobId"]) for t in tasks]
    creates = sorted((n for n, j in store["job"].items() if j["cluster"] == cluster and j["kind"] == "CREATE"),
                     reverse=True)
    assert ids == creates[:len(ids)] and len(ids) >= min(len(creates), 100), (ids, creates)
    assert all(t["BackupProgressStatus"] == "Finished" for t in tasks), tasks


def check_backup(cluster, item, record, snapshots, owner):
    """4: all of its files, and a manifest with the record's nonce."""
    path = os.path.join(snapshots, item["BackupId"])
    assert item["Dbsnap"]["Path"] == path, item
    mode = os.lstat(path)
    assert stat.S_ISDIR(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o700, oct(mode.st_mode)
    assert mode.st_uid == owner
    manifest = read_manifest(path)
    spaces = {str(part["oid"]) for part in manifest["parts"] if part["role"].startswith("tablespace ")}
    wanted = {"data", "intent", "manifest.json"} | ({"tblspc"} if spaces else set())
    wanted |= {"wal"} if manifest["procedure"] == "C" else set()
    assert set(os.listdir(path)) - {"config"} == wanted, os.listdir(path)
    assert not spaces or set(os.listdir(os.path.join(path, "tblspc"))) == spaces, spaces
    assert manifest["nonce"] == record["nonce"], (manifest, record)
    assert item["BackupId"] in json.dumps(manifest) and cluster in json.dumps(manifest), manifest
    assert os.listdir(os.path.join(path, "data")), path
    check_images(path, manifest)
    assert record["accepted_ms"] <= int(item["ConsistentTime"]) * 1000 + 999, (record, item)


def check_images(path, manifest):
    """The snapshots that lie there are those that this manifest was written for."""
    for part in manifest["parts"]:
        image = os.path.join(path, f"tblspc/{part['oid']}" if part["oid"] else "data")
        if part["subvolume_uuid"]:
            shown = disks.run("btrfs", "subvolume", "show", image)
            uuid = next(line.split()[1] for line in shown.splitlines() if line.strip().startswith("UUID:"))
            assert part["subvolume_uuid"] == uuid, (part, uuid)
        else:
            assert manifest["backend"] != "btrfs" or (manifest["procedure"] == "C" and part["role"] == "wal"), part


def check_folder(cluster, store, snapshots):
    """4, 7, 9: on disk is what records say and nothing else."""
    backups = {str(n) for n, b in store["backup"].items()
               if b["cluster"] == cluster and b["state"] == "AVAILABLE"}
    there = {n for n, c in store["clone"].items() if c["cluster"] == cluster and c["state"] == "AVAILABLE"}
    if not os.path.isdir(snapshots):
        assert not backups and not there
        return
    names = set(os.listdir(snapshots)) - {"marker.json", "clones", "restore.json"}
    assert names == backups, f"{cluster}: on disk {sorted(names)}, in records {sorted(backups)}"
    folder = os.path.join(snapshots, "clones")
    on_disk = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    assert on_disk == there | {f".{n}.json" for n in there}, (on_disk, there)


def check_subvolumes(disk, daemon):
    """9: every subvolume below a snapshot_dir belongs to a backup or a clone."""
    for path, read_only in disk.subvolumes().items():
        full = disk.path(path)
        for cluster in daemon.clusters:
            snapshots = daemon.snapshot_dir(cluster)
            if not full.startswith(snapshots + "/"):
                continue
            first = os.path.relpath(full, snapshots).split("/")[0]
            assert first == "clones" or first.isdigit(), full
            assert read_only == (first != "clones"), full


def check_contents(known, cluster, store, snapshots, source):
    """4, 12: backups and clones hold what the source held."""
    for number, backup in store["backup"].items():
        if backup["cluster"] == cluster and backup["state"] == "AVAILABLE":
            source.check(number, os.path.join(snapshots, str(number), "data"),
                         known.token_of(store["job"][number]), backup["consistent_ms"])
    for name, clone in store["clone"].items():
        if clone["cluster"] == cluster and clone["state"] == "AVAILABLE":
            source.check_content(os.path.join(snapshots, "clones", name),
                                 known.token_of(store["job"][clone["backup"]]))


# What clients were told

def check_failures(store, worker_kills):
    """A failure is counted for the death of a worker and of what is below it; for nobody else's."""
    failures = {n: j["failures"] for n, j in store["job"].items() if j["failures"]}
    assert sum(failures.values()) <= worker_kills, (failures, worker_kills)
    ended = [n for n, b in store["backup"].items() if b["state"] == "FAILED"]
    ended += [n for n, j in store["job"].items() if j["kind"] == "CLONE" and j["state"] == "FAILED"]
    assert all(failures.get(n, 0) >= 3 for n in ended), (ended, failures)
    return {str(n) for n in ended}


def check_known(known, store, failed):
    """1, 2, 3, 7, against the answers that clients have."""
    backups, tombs = store["backup"], store["tomb"]
    for number, token in known.created.items():
        number = int(number)
        assert number in backups or number in tombs, f"{number} was acknowledged and has no record"
        job = store["job"][number]
        assert bytes.fromhex(job["token"]).endswith(token.encode()), (job, token)
    for number in known.deleted:
        assert int(number) in tombs, f"{number} was deleted and is {backups.get(int(number))}"
    for number in tombs:
        assert str(number) in known.deleting, f"{number} was deleted by nobody"
    for number in (n for n, b in backups.items() if not b["adopted"]):
        token = bytes.fromhex(store["job"][number]["token"])
        asked = str(number) in known.created or any(token.endswith(t.encode()) for t in known.asked)
        assert asked, f"{number} was made for nobody"
        allowed = {"AVAILABLE"} | ({"FAILED"} if str(number) in failed else set())
        assert backups[number]["state"] in allowed, backups[number]


# What outlives nothing

def check_processes(daemon):
    """9: engine and front, and neither of them stopped; no orphan of either. What the front
    asks by itself (sizes, layouts) may come and go meanwhile."""
    eventually(lambda: daemon.descendants() == [daemon.front()], what="only the front")
    for pid in (daemon.main.pid, daemon.front()):
        assert not status_fields(pid)["State"].startswith("T")
    eventually(lambda: not orphans(daemon), what=f"no orphans, of {orphans(daemon)}")


def orphans(daemon):
    """Processes of these programs that have lost their parent."""
    return [int(entry) for entry in os.listdir("/proc")
            if entry.isdigit() and int(entry) != daemon.main.pid and in_folder(entry, daemon.bin) and
            status_fields(entry).get("PPid") == "1"]


def in_folder(pid, folder):
    try:
        return os.readlink(f"/proc/{pid}/exe").startswith(folder + "/")
    except OSError:
        return False


def check_locks(daemon):
    """9: nobody holds a cluster's marker, nothing is noted as frozen, nothing is mounted there."""
    frozen = os.path.join(daemon.run_dir, "frozen")
    assert not os.path.isdir(frozen) or os.listdir(frozen) == []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    for cluster in daemon.clusters:
        snapshots = daemon.snapshot_dir(cluster)
        assert not [p for p in points if p.startswith(snapshots)], points
        marker = os.path.join(snapshots, "marker.json")
        if os.path.exists(marker):
            with open(marker, "rb") as file:
                eventually(lambda f=file: take(f), what=f"nobody holds {marker}")


def take(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def check_sessions(server):
    """9: no session of a helper, and no replication slot of one."""
    eventually(lambda: server.value("SELECT count(*) FROM pg_stat_activity "
                                    "WHERE application_name LIKE 'dbsnap%%'") == 0,
               what="no session of a helper")
    assert server.value("SELECT count(*) FROM pg_replication_slots") == 0


def connections(path):
    """How many there are at a listening socket, closed by the other end or not."""
    with open("/proc/net/unix", encoding="utf-8") as file:
        lines = [line.split() for line in file]
    return sum(line[7:] == [path] and line[5] == "03" for line in lines)


def no_more(now, before):
    return all(a <= b for a, b in zip(now, before))


def check_descriptors(daemon):
    """9: no more than at any other idle moment of any engine and front; none on a cluster's disk."""
    eventually(lambda: not connections(daemon.socket), what="no connection of an earlier call")
    least = getattr(daemon, "idle_descriptors", daemon.descriptors())
    eventually(lambda: no_more(daemon.descriptors(), least), what=f"{least} descriptors")
    # A worker that has just ended may have been counted the first time.
    daemon.idle_descriptors = tuple(map(min, daemon.descriptors(), least))
    places = [daemon.snapshot_dir(c) for c in daemon.clusters] + [c["data_dir"] for c in daemon.clusters.values()]
    opened = [*open_files(daemon.main.pid).values(), *open_files(daemon.front()).values()]
    assert not [o for o in opened for p in places if o.startswith(p)], opened


def check(daemon, *disks_used, known=None, failed=(), servers=(), manual_retained=None, sources=None,
          worker_kills=None):
    """All of it. Waits until the daemon is idle first.

    known: what clients were told, if all that was ever asked of this daemon is in it; then
    nothing may have FAILED but the backups in `failed`. sources: {cluster: source.Source}.
    worker_kills: how many workers and walkers were killed; three of them may fail a job.
    """
    store = dump_at_rest(daemon)
    check_records(store)
    if worker_kills is not None:
        failed = check_failures(store, worker_kills)
    states = {}
    for cluster in daemon.clusters:
        items = listed(daemon, cluster)
        states.update({i["BackupId"]: i["Dbsnap"]["State"] for i in items})
        snapshots = daemon.snapshot_dir(cluster)
        check_api(daemon, cluster, items, store)
        check_tasks(daemon, cluster, store)
        for item in items:
            if item["Dbsnap"]["State"] == "AVAILABLE":
                check_backup(cluster, item, store["backup"][int(item["BackupId"])], snapshots,
                             daemon.uid)
        check_folder(cluster, store, snapshots)
        if sources and cluster in sources:
            check_contents(known, cluster, store, snapshots, sources[cluster])
        if manual_retained is not None:                                    # 5
            assert len([s for s in states.values() if s == "AVAILABLE"]) <= manual_retained, states
    if known:
        known.see(states)
        known.see_jobs(store["job"])
        check_known(known, store, failed)
    for disk in disks_used:
        if disk.kind == "btrfs":
            check_subvolumes(disk, daemon)
    check_processes(daemon)
    check_locks(daemon)
    check_descriptors(daemon)
    for server in servers:
        check_sessions(server)
    return store


def contents(daemon):
    """What recovery must not change (11): the API's lists, the catalogue, the folders' names."""
    answer = {"store": dump_at_rest(daemon)}
    for cluster in daemon.clusters:
        snapshots = daemon.snapshot_dir(cluster)
        answer[cluster] = (listed(daemon, cluster), clones(daemon, cluster), tree(snapshots))
    return answer


def tree(folder):
    """Names in a snapshot_dir and in the folders of its backups."""
    if not os.path.isdir(folder):
        return None
    return {name: sorted(os.listdir(path)) if os.path.isdir(path) else None
            for name, path in ((n, os.path.join(folder, n)) for n in sorted(os.listdir(folder)))}


def check_recovery(daemon):
    """11: recovery twice, after a kill and after a stop, equals recovery once."""
    first = contents(daemon)
    daemon.kill()
    daemon.start()
    assert contents(daemon) == first
    daemon.restart()
    assert contents(daemon) == first


def sync(disk):
    """Commits what the file system holds back, a subvolume's removal included."""
    disks.run("btrfs", "filesystem", "sync", disk.mnt)
