# SPDX-License-Identifier: GPL-3.0-or-later
"""The real daemon with plain files (type none) on every backend: what auto takes and what it says,
where backups go, create, clone and delete, full disks, and whose hands touch a tree."""
import os
import pwd
import shutil
import stat
import subprocess

import pytest

from harness import invariants
from harness.disk import run
from harness.process import eventually

QUOTA = {"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000}
OWNER = 1  # daemon, on every system
CELLS = [("btrfs", "btrfs"), ("xfs", "reflink"), ("ext4", "copy")]


@pytest.fixture
def make_cluster(make_daemon):
    """make_cluster(disk, owner=0, **settings): a started daemon with the cluster `main` of plain files."""
    def make(disk, owner=0, **settings):
        data = disk.files("data", owner)
        daemon = make_daemon(quota=QUOTA)
        settings.setdefault("snapshot_dir", disk.path(".dbsnap", "main"))
        daemon.add_cluster("main", data, database={"type": "none"}, min_free="0%", **settings)
        return daemon.start()
    return make


def check(daemon):
    return daemon.api.ok("CheckCluster", DBClusterId="main")


def listing(top):
    """{name below top: (kind, mode, owner, size, content)}: all that a copy should keep."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(top)):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            content = b""
            if stat.S_ISLNK(st.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            found[os.path.relpath(path, os.fsencode(top))] = (
                stat.S_IFMT(st.st_mode), st.st_mode, st.st_uid, st.st_gid, int(st.st_mtime), content)
    return found


@pytest.mark.parametrize("kind, backend", CELLS)
def test_create_clone_delete(make_disk, make_cluster, kind, backend):
    disk = make_disk(kind, "400M")
    daemon = make_cluster(disk, owner=OWNER)
    data = disk.path("data")
    os.makedirs(data + "/a/b")
    run("dd", "if=/dev/urandom", f"of={data}/a/b/bytes", "bs=1M", "count=3", "status=none")
    os.symlink("/root", data + "/a/away")
    os.link(data + "/a/b/bytes", data + "/again")
    run("chown", "-Rh", f"{OWNER}:{OWNER}", data)
    os.utime(data + "/a", (10**9, 10**9))
    os.chmod(data + "/a", 0o555)
    before = listing(data)
    backup = daemon.api.create_and_wait("main")
    facts = backup["Dbsnap"]
    assert facts["Backend"] == backend
    assert facts["Promise"] == ("crash" if backend == "btrfs" else "per-file")
    assert listing(facts["Path"] + "/data") == before
    assert stat.S_IMODE(os.stat(facts["Path"]).st_mode) == 0o700 and os.stat(facts["Path"]).st_uid == 0
    if backend != "btrfs":
        assert 3 << 20 <= int(backup["BackupSetSize"]) < 4 << 20
    clone = daemon.api.clone_and_wait("main", backup["BackupId"], "c1")
    # No link in a clone, not even in a folder that is read-only; everything else is the same.
    assert listing(clone["ClonePath"]) == {k: v for k, v in before.items() if k != b"a/away"}
    assert os.stat(clone["ClonePath"]).st_uid == OWNER
    with open(clone["ClonePath"] + "/letter", "w", encoding="ascii") as file:
        file.write("changed")
    assert listing(data) == before and listing(facts["Path"] + "/data") == before
    daemon.api.ok("DeleteClone", DBClusterId="main", CloneName="c1")
    eventually(lambda: daemon.api.clone("main", "c1") is None, what="the clone gone")
    daemon.api.delete_and_wait("main", backup["BackupId"])
    assert sorted(os.listdir(disk.path(".dbsnap", "main"))) == ["clones", "marker.json"]
    invariants.check(daemon, disk)


def test_auto_says_why_not_the_better_one(make_disk, make_cluster):
    daemon = make_cluster(make_disk("xfs", "400M"))
    found = check(daemon)
    assert found["Ok"] == "true" and found["Backend"] == "reflink"
    assert len(found["NotBetter"]) == 1
    assert found["NotBetter"][0].startswith("btrfs: ") and "lies on xfs" in found["NotBetter"][0]
    shown = daemon.client("cluster", "check", "main")
    assert shown.returncode == 0 and "lies on xfs" in shown.stdout


def test_auto_on_a_plain_folder_of_btrfs(make_disk, make_daemon):
    disk = make_disk("btrfs", "400M")
    os.mkdir(disk.path("data"), 0o700)
    with open(disk.path("data", "letter"), "w", encoding="ascii") as file:
        file.write("x" * 5000)
    nocow = disk.path("data", "nocow")
    with open(nocow, "w", encoding="ascii"):
        run("chattr", "+C", nocow)
    with open(nocow, "w", encoding="ascii") as file:
        file.write("y" * 50000)
    daemon = make_daemon(quota=QUOTA)
    daemon.add_cluster("main", disk.path("data"), database={"type": "none"}, min_free="0%")
    daemon.start()
    found = check(daemon)
    assert found["Backend"] == "reflink" and "plain folder" in found["NotBetter"][0]
    backup = daemon.api.create_and_wait("main")
    assert listing(backup["Dbsnap"]["Path"] + "/data") == listing(disk.path("data"))
    daemon.api.delete_and_wait("main", backup["BackupId"])
    invariants.check(daemon, disk)


def test_snapshot_dir_on_another_file_system(make_disk, make_daemon):
    """reflink is refused with the remedy; auto copies, and says so."""
    source, target = make_disk("xfs", "400M"), make_disk("ext4", "200M")
    data, away = source.files("data"), target.path("backups")
    os.mkdir(away, 0o711)
    daemon = make_daemon(quota=QUOTA)
    daemon.add_cluster("main", data, database={"type": "none"}, min_free="0%", snapshot_dir=away,
                       backend="reflink")
    daemon.start()
    found = check(daemon)
    assert found["Ok"] == "false" and "another file system" in found["Refusal"] and "backend: copy" in found["Remedy"]
    daemon.add_cluster("main", data, database={"type": "none"}, min_free="0%", snapshot_dir=away)
    daemon.reload()
    found = check(daemon)
    assert found["Ok"] == "true" and found["Backend"] == "copy"
    assert [line.split(":")[0] for line in found["NotBetter"]] == ["btrfs", "reflink"]
    backup = daemon.api.create_and_wait("main")
    assert listing(backup["Dbsnap"]["Path"] + "/data") == listing(data)
    invariants.check(daemon)


def localstatedir():
    """That of the build, whatever the make that runs this test tells its children."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(["make", "-s", "--no-print-directory", "-C", os.environ["DBSNAP_BUILDDIR"], "-f", "Makefile",
                           "-f", "-", "tell"], input="tell:\n\t@echo $(localstatedir)\n", capture_output=True,
                          text=True, check=True, env=environment).stdout.strip()


def test_default_place_of_copies(make_disk, make_daemon, request):
    """Where files cannot share blocks backups go to backups/dbsnap/<id> in localstatedir."""
    if "DBSNAP_OWN_MOUNTS" not in os.environ:
        pytest.skip("needs a mount namespace of its own")
    if localstatedir() not in ("/usr/local/var", "/var"):
        pytest.skip("needs a build with the default prefix")
    disk = make_disk("ext4", "200M")
    data = disk.files("data")
    for top in ("/usr/local", "/var/backups"):
        os.makedirs(top, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", top)
        request.addfinalizer(lambda t=top: run("umount", "--lazy", t))
    daemon = make_daemon(quota=QUOTA)
    daemon.add_cluster("main", data, database={"type": "none"}, min_free="0%")
    daemon.start()
    place = check(daemon)["SnapshotDir"]
    assert place == localstatedir() + "/backups/dbsnap/main"
    backup = daemon.api.create_and_wait("main")
    assert backup["Dbsnap"]["Path"].startswith(place + "/")
    assert listing(backup["Dbsnap"]["Path"] + "/data") == listing(data)
    daemon.stop()


def test_copy_looks_for_room_first(make_disk, make_cluster):
    """The error names the file system, what is free and what is needed; nothing is made."""
    disk = make_disk("ext4", "200M")
    daemon = make_cluster(disk)
    with open(disk.path("data", "large"), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 100 << 20)
    status, answer = daemon.api.call("CreateBackup", DBClusterId="main")
    assert status == 200
    backup = daemon.api.wait_final("main", answer["BackupJobId"])
    assert backup["Dbsnap"]["State"] == "FAILED"
    cause = backup["Dbsnap"]["Cause"]
    assert "ext4" in cause and "a copy needs 100 MiB" in cause and "free" in cause
    assert sorted(os.listdir(disk.path(".dbsnap", "main"))) == ["marker.json"]
    os.unlink(disk.path("data", "large"))
    small = daemon.api.create_and_wait("main")
    with open(disk.path("data", "large"), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 60 << 20)
    big = daemon.api.create_and_wait("main")
    status, answer = daemon.api.call("CreateBackup", DBClusterId="main")
    assert status != 200 and "60" in answer["Message"], answer
    for each in (small, big):
        daemon.api.delete_and_wait("main", each["BackupId"])
    invariants.check(daemon, disk, failed={backup["BackupId"]})


@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_full_in_the_middle_of_a_walk(make_disk, make_cluster, kind):
    """Nothing of the attempt stays, the error says what is free; afterwards deletes and creates work."""
    disk = make_disk(kind, "320M")
    daemon = make_cluster(disk)
    good = daemon.api.create_and_wait("main")
    holes = disk.path("data", "holes")
    os.mkdir(holes)
    if kind == "xfs":
        for i in range(20000):
            with open(f"{holes}/{i}", "w", encoding="ascii") as file:
                file.write(str(i))
        # What XFS set aside for the files to grow is given back first.
        run("sync", "-f", holes)
        ballast = disk.fill(1 << 20)
    else:
        ballast = disk.path("ballast")
        # Sparse when it is measured; a writer fills it while it is read.
        with open(holes + "/sparse", "wb") as file:
            file.truncate(400 << 20)
        disk.fill(60 << 20)
        with open(holes + "/sparse", "r+b") as file:
            file.write(b"x" * (40 << 20))
    answer = daemon.api.ok("CreateBackup", DBClusterId="main")
    backup = daemon.api.wait_final("main", answer["BackupJobId"])
    assert backup["Dbsnap"]["State"] == "FAILED", backup
    assert "free" in backup["Dbsnap"]["Cause"], backup
    names = set(os.listdir(disk.path(".dbsnap", "main")))
    assert names == {"marker.json", good["BackupId"]}
    daemon.api.delete_and_wait("main", good["BackupId"])
    os.unlink(ballast)
    shutil.rmtree(holes)
    again = daemon.api.create_and_wait("main")
    daemon.api.delete_and_wait("main", again["BackupId"])
    invariants.check(daemon, disk, failed={backup["BackupId"]})


def failed_clone(daemon, name):
    """Its job, when that has ended so."""
    jobs = daemon.api.ok("DescribeJobs", DBClusterId="main")["Items"]["Job"]
    found = [job for job in jobs if job.get("CloneName") == name and job["State"] == "Failed"]
    return found[0] if found else None


def test_no_inode_left(make_disk, make_cluster):
    """ext4 is made for so many files; that bytes are free is no help then, and not what is told."""
    disk = make_disk("ext4", "32M")
    daemon = make_cluster(disk)
    for n in range(20):
        with open(disk.path("data", f"file-{n}"), "w", encoding="ascii") as file:
            file.write("x")
    number = daemon.api.create_and_wait("main")["BackupId"]
    left = os.statvfs(disk.mnt).f_favail
    os.mkdir(disk.path("ballast"))
    for n in range(left - 12):
        os.mknod(disk.path("ballast", str(n)))
    failed = daemon.api.wait_final("main", daemon.api.create("main"))
    assert failed["Dbsnap"]["State"] == "FAILED"
    assert "No space left" in failed["Dbsnap"]["Cause"] and "ext4" in failed["Dbsnap"]["Cause"]
    assert "inodes free" in failed["Dbsnap"]["Cause"], failed
    assert sorted(os.listdir(disk.path(".dbsnap", "main"))) == [number, "marker.json"]
    daemon.api.ok("CloneBackup", DBClusterId="main", BackupId=number, CloneName="c")
    clone = eventually(lambda: failed_clone(daemon, "c"))
    assert "No space left" in clone["Cause"] and "inodes free" in clone["Cause"] and clone["Remedy"], clone
    assert os.listdir(disk.path(".dbsnap", "main", "clones")) == []


def test_clone_of_a_backup_by_an_earlier_user(make_disk, make_cluster):
    """Its files are that user's alone: said, and the way round it leads to a clone."""
    disk = make_disk("ext4", "64M")
    daemon = make_cluster(disk)
    run("chown", "-R", "daemon:", disk.path("data"))
    number = daemon.api.create_and_wait("main")["BackupId"]
    run("chown", "-R", "bin:", disk.path("data"))
    daemon.api.ok("CloneBackup", DBClusterId="main", BackupId=number, CloneName="c")
    clone = eventually(lambda: failed_clone(daemon, "c"))
    before, now = (pwd.getpwnam(name).pw_uid for name in ("daemon", "bin"))
    assert f"uid {before}, not to uid {now}" in clone["Cause"], clone
    assert "database.user" in clone["Remedy"] and f"uid {before}" in clone["Remedy"]
    cluster = {k: v for k, v in daemon.clusters["main"].items() if k != "id"}
    cluster["database"] = {**cluster.get("database", {}), "user": "daemon"}
    daemon.add_cluster("main", **cluster)
    daemon.reload()
    path = daemon.api.clone_and_wait("main", number, "c2")["ClonePath"]
    assert os.stat(path).st_uid == before


def test_size_of_a_database_counts_its_wal(make_disk, make_daemon, make_server):
    disk = make_disk("ext4", "400M")
    server = make_server(disk.subvolume("pg", "postgres"))
    daemon = make_daemon(quota=QUOTA)
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    assert backup["Dbsnap"]["Backend"] == "copy" and backup["Dbsnap"]["Promise"] == "recovered"
    used = int(run("du", "-s", "--block-size=1", backup["Dbsnap"]["Path"] + "/data").split()[0])
    assert abs(int(backup["BackupSetSize"]) - used) < used / 50


def test_room_for_a_tablespace_is_looked_for(make_disk, make_daemon, make_server):
    """It lies elsewhere and is copied as well: too large, nothing is begun."""
    disk, other = make_disk("ext4", "300M"), make_disk("ext4", "600M")
    server = make_server(disk.subvolume("pg", "postgres"))
    server.sql(f"CREATE TABLESPACE away LOCATION '{other.subvolume('away', 'postgres')}'")
    server.sql("CREATE TABLE filler TABLESPACE away AS SELECT repeat('x', 1000) AS t FROM generate_series(1, 300000)")
    server.sql("CHECKPOINT")
    daemon = make_daemon(quota=QUOTA)
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
    daemon.start()
    backup = daemon.api.wait_final("main", daemon.api.create("main"))
    assert backup["Dbsnap"]["State"] == "FAILED"
    assert "free; a copy needs" in backup["Dbsnap"]["Cause"]
    assert os.listdir(disk.path(".dbsnap", "main")) == ["marker.json"]
    server.sql("DROP TABLE filler")
    server.sql("CHECKPOINT")
    again = daemon.api.create_and_wait("main")
    assert os.listdir(again["Dbsnap"]["Path"] + "/tblspc")


def test_a_tablespace_at_the_top_of_a_mount(make_disk, make_daemon, make_server):
    """Beside what is the server's lies lost+found, which only root can read."""
    disk, other = make_disk("ext4", "400M"), make_disk("ext4", "100M")
    server = make_server(disk.subvolume("pg", "postgres"))
    run("chown", "postgres:", other.mnt)
    assert os.stat(other.path("lost+found")).st_uid == 0
    server.sql(f"CREATE TABLESPACE top LOCATION '{other.mnt}'")
    server.sql("CREATE TABLE t TABLESPACE top AS SELECT 1 AS n")
    daemon = make_daemon(quota=QUOTA)
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    (oid,) = os.listdir(backup["Dbsnap"]["Path"] + "/tblspc")
    (folder,) = os.listdir(backup["Dbsnap"]["Path"] + "/tblspc/" + oid)
    assert folder.startswith("PG_")


def test_what_fails_in_a_tablespace_is_found_from_data_dir(make_disk, make_daemon, make_server):
    """The walk names a file by the path that leads to it, also the look at the size before."""
    disk = make_disk("ext4", "400M")
    server = make_server(disk.subvolume("pg", "postgres"))
    away = disk.subvolume("away", "postgres")
    server.sql(f"CREATE TABLESPACE away LOCATION '{away}'")
    (oid,) = os.listdir(server.data_dir + "/pg_tblspc")
    (folder,) = os.listdir(away)
    closed = f"{away}/{folder}/closed"
    daemon = make_daemon(quota=QUOTA)
    daemon.add_server("main", server, snapshot_dir=disk.path(".dbsnap", "main"), min_free="0%")
    daemon.start()
    os.close(os.open(closed, os.O_CREAT | os.O_WRONLY, 0o600))
    backup = daemon.api.wait_final("main", daemon.api.create("main"))
    assert f"cannot open pg_tblspc/{oid}/{folder}/closed: Permission denied" in backup["Dbsnap"]["Cause"]
    os.unlink(closed)
    os.mkdir(closed, 0o700)
    backup = daemon.api.wait_final("main", daemon.api.create("main"))
    assert f"in pg_tblspc/{oid}: cannot open {folder}/closed: Permission denied" in backup["Dbsnap"]["Cause"]
