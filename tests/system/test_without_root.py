# SPDX-License-Identifier: GPL-3.0-or-later
"""dbsnapd of an ordinary user: all of it his, nothing more than he may do anyway."""
import os
import re
import shutil
import stat
import subprocess

import pytest

from harness import invariants, mariadb, postgres
from harness.disk import run
from harness.load import Acked
from harness.process import eventually, status_fields

BACKENDS = {"btrfs": "btrfs", "folder": "reflink", "xfs": "reflink"}
PLENTY = {"manual_per_day": 1000, "manual_retained": 1000, "creates_per_day": 100000}


def files(user, path):
    """A folder of his with a file in it, for clusters of type none; on btrfs a subvolume."""
    if os.path.isdir(path):
        os.chown(path, user.uid, user.gid)
    else:
        user.folder(path)
    user.folder(os.path.join(path, "deep"))
    for name in ("letter", "deep/letter"):
        with open(os.path.join(path, name), "w", encoding="utf-8") as file:
            file.write("to be kept\n")
        os.chown(file.name, user.uid, user.gid)
    return path


def in_container(request, user):
    """The same in an overlay of two file systems, as in a container: one file has never been written there."""
    place = user.folder(os.path.join(user.home, "layers"), 0o755)
    run("mount", "-t", "tmpfs", "tmpfs", place)
    request.addfinalizer(lambda: run("umount", "--lazy", place))
    lower, mnt = (user.folder(os.path.join(user.home, name), 0o755) for name in ("lower", "mnt"))
    files(user, os.path.join(lower, "files"))
    for name in ("upper", "work"):
        user.folder(os.path.join(place, name), 0o755)
    run("mount", "-t", "overlay", "overlay", "-o",
        f"lowerdir={lower},upperdir={place}/upper,workdir={place}/work", mnt)
    request.addfinalizer(lambda: run("umount", "--lazy", mnt))
    path = os.path.join(mnt, "files")
    with open(os.path.join(path, "deep/letter"), "a", encoding="utf-8"):
        pass
    return path


@pytest.fixture
def data(request, carol, make_disk):
    """data(kind): a folder of files of carol's on a file system of that kind, on btrfs a subvolume."""
    def make(kind, options=""):
        if kind == "home":
            return files(carol, os.path.join(carol.home, "files"))
        if kind == "tmpfs":
            mnt = carol.folder(os.path.join(carol.home, "mnt"))
            run("mount", "-t", "tmpfs", "tmpfs", mnt)
            request.addfinalizer(lambda: run("umount", "--lazy", mnt))
            os.chmod(mnt, 0o755)
            return files(carol, carol.folder(os.path.join(mnt, "files")))
        if kind == "overlay":
            return in_container(request, carol)
        if kind == "folder":
            disk = make_disk("btrfs", "512M")
            return files(carol, carol.folder(os.path.join(carol.folder(disk.path("home"), 0o755), "files")))
        disk = make_disk(kind, "512M", options)
        carol.folder(disk.path("home"), 0o755)     # what lies above is root's
        return files(carol, disk.subvolume("home/files"))
    return make


def test_all_of_it_is_his(carol, make_own_daemon):
    daemon = make_own_daemon()
    os.unlink(daemon.config_file)
    daemon.start()
    for pid in (daemon.main.pid, daemon.front()):
        fields = status_fields(pid)
        assert fields["Uid"].split() == [str(carol.uid)] * 4
        assert fields["Gid"].split() == [str(carol.gid)] * 4
        assert fields["NoNewPrivs"] == "1"
        assert all(int(fields[f"Cap{kind}"], 16) == 0 for kind in ("Eff", "Prm", "Inh", "Amb"))
    st = os.stat(daemon.socket)
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (carol.uid, carol.gid, 0o600)
    for path in (daemon.state_dir, daemon.state_dir + ".engine"):
        st = os.stat(path)
        assert (st.st_uid, stat.S_IMODE(st.st_mode)) == (carol.uid, 0o700)
    assert daemon.api.call_as(carol.uid, carol.gid, "DescribeStatus")[0] == 200
    done = daemon.client("status")
    assert done.returncode == 0 and "dbsnapd" in done.stdout, done
    assert daemon.stop() == 0
    assert not os.path.exists(daemon.socket)


def test_nobody_else_is_served(carol, make_own_daemon):
    """Not even where others reach the socket and share his group."""
    os.chmod(carol.runtime, 0o755)
    daemon = make_own_daemon(listen={"mode": "0666"}).start()
    status, answer = daemon.api.call_as(65534, 65534, "DescribeStatus")
    assert (status, answer["Code"]) == (403, "Forbidden.RAM")


@pytest.mark.parametrize("runtime", [{}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": "run"}])
def test_no_runtime_folder_is_told(carol, programs, runtime):
    env = {key: value for key, value in carol.environment.items() if key != "XDG_RUNTIME_DIR"}
    done = subprocess.run([os.path.join(programs, "dbsnapd"), "--libexec-dir", programs], cwd="/",
                          capture_output=True, text=True, env={**env, **runtime}, timeout=30, **carol.caller)
    assert done.returncode == 1
    assert f"/run/user/{carol.uid}/dbsnap" in done.stderr and "set XDG_RUNTIME_DIR" in done.stderr
    assert not os.path.exists(os.path.join(carol.home, ".local"))


def test_the_client_looks_where_the_daemon_listens(carol, make_own_daemon):
    """Also without XDG_RUNTIME_DIR, in the folder that a login makes."""
    if "DBSNAP_OWN_MOUNTS" not in os.environ:
        pytest.skip("needs a mount namespace of its own")
    os.makedirs("/run/user", exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run/user")
    folder = f"/run/user/{carol.uid}"
    os.makedirs(folder)
    os.chown(folder, carol.uid, carol.gid)
    try:
        daemon = make_own_daemon()
        del daemon.environment["XDG_RUNTIME_DIR"]
        daemon.start()
        done = daemon.client("status", env={"XDG_RUNTIME_DIR": ""})
        assert done.returncode == 0, done
        daemon.stop()
    finally:
        run("umount", "--lazy", "/run/user")


@pytest.mark.parametrize("kind", ["btrfs", "folder", "xfs", "ext4", "tmpfs", "overlay", "home"])
def test_a_life(carol, make_own_daemon, data, kind):
    daemon = make_own_daemon(quota={"manual_per_day": 100, "manual_retained": 2, "creates_per_day": 100})
    path = data(kind)
    daemon.add_cluster("main", path, database={"type": "none"})
    daemon.start()
    first = daemon.api.create_and_wait("main", token="monday")
    assert daemon.api.create("main", token="monday") == first["BackupId"]
    assert first["Dbsnap"]["Promise"] == ("crash" if kind == "btrfs" else "per-file")
    assert kind == "home" or first["Dbsnap"]["Backend"] == BACKENDS.get(kind, "copy")
    second = daemon.api.create_and_wait("main")
    assert daemon.api.call("CreateBackup", DBClusterId="main")[1]["Code"] == "BackupTimesExceeded"
    clone = daemon.api.clone_and_wait("main", first["BackupId"], "c1")["ClonePath"]
    for name in ("letter", "deep/letter"):
        st = os.stat(os.path.join(clone, name))
        assert (st.st_uid, st.st_gid) == (carol.uid, carol.gid)
    assert carol.run("sh", "-c", f"cat {clone}/deep/letter; echo more >>{clone}/letter").stdout == "to be kept\n"
    daemon.kill()
    daemon.start()
    daemon.api.ok("DeleteClone", DBClusterId="main", CloneName="c1")
    daemon.api.delete_and_wait("main", first["BackupId"])
    assert os.path.exists(second["Dbsnap"]["Path"])
    daemon.api.create_and_wait("main")
    daemon.restart()
    invariants.check(daemon)
    for item in daemon.api.backups("main"):
        daemon.api.delete_and_wait("main", item["BackupId"])
    invariants.check(daemon)
    assert not [n for n in os.listdir(daemon.snapshot_dir("main")) if n not in ("marker.json", "clones")]


@pytest.fixture
def server(request, carol, pg_template):
    """server(path): carol's running server on path."""
    def make(path):
        made = postgres.Server(path, carol.folder(os.path.join(carol.home, "pg")), user=carol.name)
        request.addfinalizer(made.close)
        made.create(pg_template)
        made.start()
        made.sql(f"CREATE ROLE {carol.name} SUPERUSER LOGIN")   # as if by his own initdb
        return made
    return make


@pytest.mark.parametrize("kind, backend, promise", [
    ("btrfs", "btrfs", "atomic"), ("xfs", "reflink", "recovered"), ("ext4", "copy", "recovered")])
def test_cluster_add_and_a_postgresql(carol, make_own_daemon, make_disk, server, kind, backend, promise):
    disk = make_disk(kind)
    carol.folder(disk.path("home"))
    pg = server(disk.subvolume("home/orders", carol.name))
    daemon = make_own_daemon(quota=PLENTY).start()
    path = {"PATH": f"{daemon.bin}:/usr/bin:/bin"}
    added = daemon.client("cluster", "add", "--yes", env=path)
    assert added.returncode == 0, added
    daemon.clusters["orders"] = {"data_dir": pg.data_dir}
    assert os.stat(os.path.join(daemon.clusters_dir, "orders.yaml")).st_uid == carol.uid
    assert f"kill -HUP {daemon.main.pid}\n" in added.stdout
    daemon.reload()
    checked = daemon.client("cluster", "check", "orders")
    assert checked.returncode == 0 and re.search(f"^Promise +{promise}", checked.stdout, re.M), checked
    assert re.search(f"^Backend +{backend}$", checked.stdout, re.M), checked
    with Acked(pg) as ids:
        ids.wait_more(50)
        must = ids.acked()
        made = daemon.client("backup", "create", "orders", "--wait")
        assert made.returncode == 0, made
    clone = daemon.client("clone", "create", "1", "c1", "--wait")
    assert clone.returncode == 0, clone
    clone = postgres.start_clone(daemon.api.clone("orders", "c1")["ClonePath"],
                                 carol.folder(os.path.join(carol.home, "clone")), user=carol.name)
    try:
        assert not ids.missing(clone, must)
        clone.amcheck()
        clone.stop()
    finally:
        clone.close()
    for argv in (["clone", "delete", "c1"], ["backup", "delete", "1"]):
        done = daemon.client(*argv, "--wait")
        assert done.returncode == 0, done
    invariants.check(daemon, disk, servers=[pg])


def restored(daemon, backup):
    """The job that has put it in place."""
    number = daemon.api.ok("RestoreBackup", BackupId=backup)["JobId"]

    def ended():
        job, = daemon.api.ok("DescribeJobs", JobId=number)["Items"]["Job"]
        return job if job["State"] not in ("Pending", "Running") else None
    job = eventually(ended, 120, "the restore ends")
    assert job["State"] == "Done", job
    return job


@pytest.mark.parametrize("kind", ["btrfs", "xfs", "ext4"])
def test_a_restore(carol, make_own_daemon, data, kind):
    """What he owns is enough for it."""
    daemon = make_own_daemon(quota=PLENTY)
    path = data(kind)
    daemon.add_cluster("main", path, database={"type": "none"}, restore="in-place")
    daemon.start()
    backup = daemon.api.create_and_wait("main")["BackupId"]
    carol.run("sh", "-c", f"echo later >{path}/deep/letter").check_returncode()
    kept = restored(daemon, backup)["KeptPath"]
    for folder, says in ((path, "to be kept\n"), (kept, "later\n")):
        assert carol.run("cat", folder + "/deep/letter").stdout == says
        assert os.stat(folder).st_uid == carol.uid
    daemon.api.create_and_wait("main")
    invariants.check(daemon)


def test_a_restore_of_a_postgresql(carol, make_own_daemon, make_disk, server):
    """With a tablespace; refused while it runs."""
    disk = make_disk("xfs")
    carol.folder(disk.path("home"))
    pg = server(disk.subvolume("home/orders", carol.name))
    space = carol.folder(disk.path("home", "space"))
    pg.sql(f"CREATE TABLESPACE far LOCATION '{space}'")
    pg.sql("CREATE TABLE t TABLESPACE far AS SELECT 'source' AS v FROM generate_series(1, 1000)")
    daemon = make_own_daemon(quota=PLENTY)
    daemon.add_cluster("main", pg.data_dir, database={"type": "postgresql", "conninfo": pg.conninfo}, restore="in-place")
    daemon.start()
    backup = daemon.api.create_and_wait("main")["BackupId"]
    pg.sql("UPDATE t SET v = 'later'")
    plan = daemon.api.ok("RestoreBackup", BackupId=backup, DryRun="true")
    assert f"process {pg.main.pid} (postgres)" in plan["Refusal"], plan
    pg.stop()
    job = restored(daemon, backup)
    pg.start()
    assert pg.sql("SELECT DISTINCT v FROM t") == [("source",)]
    assert pg.value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'far'").startswith(
        f"{space}.restored-{job['JobId']}/")
    pg.amcheck()
    pg.stop()
    invariants.check(daemon, disk)


def test_cluster_add_and_a_mariadb(request, carol, make_own_daemon, make_disk, mariadb_template):
    """What is missing is named by his own account's name, and what is said is enough."""
    disk = make_disk("xfs")
    carol.folder(disk.path("home"))
    server = mariadb.make(disk.subvolume("home/shop", carol.name), carol.folder(os.path.join(carol.home, "my"), 0o755),
                          mariadb_template, carol.name)
    request.addfinalizer(server.close)
    server.start()
    daemon = make_own_daemon(quota=PLENTY).start()
    added = daemon.client("cluster", "add", "--yes", env={"PATH": f"{daemon.bin}:/usr/bin:/bin"})
    assert added.returncode == 0, added
    assert f'conninfo: "socket={server.socket} user={carol.name}"' in added.stdout
    daemon.clusters["shop"] = {"data_dir": server.data_dir}
    daemon.reload()
    refused = daemon.client("cluster", "check", "shop")
    assert refused.returncode == 1 and f"CREATE USER '{carol.name}'@'localhost' IDENTIFIED VIA unix_socket" in refused.stderr, refused
    statements = re.findall(r"^    ((?:CREATE|GRANT) .*;)$", refused.stdout, re.M)
    assert len(statements) == 2, refused
    for statement in statements:
        server.sql(statement)
    checked = daemon.client("cluster", "check", "shop")
    assert checked.returncode == 0 and re.search("^Procedure +E$", checked.stdout, re.M), checked
    made = daemon.client("backup", "create", "shop", "--wait")
    assert made.returncode == 0, made
    invariants.check(daemon, disk)


def test_a_server_of_another_user(carol, make_own_daemon, pg, btrfs):
    """Neither his own right nor dbsnapd's opens it."""
    daemon = make_own_daemon()
    daemon.add_cluster("asked", pg.data_dir, database={"conninfo": pg.conninfo})
    daemon.add_cluster("named", pg.data_dir + "x", database={"user": "postgres"})
    daemon.start()
    for cluster, why in (("asked", "ermission denied"), ("named", "only root can become")):
        done = daemon.client("cluster", "check", cluster)
        assert done.returncode == 1 and why in done.stdout + done.stderr, done
        assert daemon.api.call("CreateBackup", DBClusterId=cluster)[0] != 200
    assert sorted(os.listdir(btrfs.mnt)) == ["pg"]


@pytest.mark.parametrize("options", ["", "user_subvol_rm_allowed"])
def test_a_snapshot_that_its_owner_deletes(carol, make_own_daemon, data, options):
    """Also one with a read-only subvolume in a folder closed to himself, killed on the way."""
    daemon = make_own_daemon(quota=PLENTY)
    path = data("btrfs", options)
    done = carol.run("bash", "-c", f"cd {path}; for n in {{1..3000}}; do : >deep/$n; done")
    assert done.returncode == 0, done
    daemon.add_cluster("main", path, backend="btrfs", database={"type": "none"})
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    clone = daemon.api.clone_and_wait("main", backup["BackupId"], "c1")["ClonePath"]
    done = carol.run("bash", "-euc", f"cd {clone}; btrfs -q subvolume create deep/sub; : >deep/sub/file; "
                     "btrfs property set -ts deep/sub ro true; chmod 0 deep")
    assert done.returncode == 0, done
    daemon.api.ok("DeleteClone", DBClusterId="main", CloneName="c1")
    daemon.api.ok("DeleteBackup", DBClusterId="main", BackupId=backup["BackupId"])
    eventually(daemon.workers, what="a worker")
    daemon.kill()
    daemon.start()
    invariants.check(daemon)
    assert daemon.api.backups("main") == [] and not os.path.exists(clone)
    assert sorted(os.listdir(daemon.snapshot_dir("main"))) == ["clones", "marker.json"]


@pytest.mark.parametrize("options", ["", "user_subvol_rm_allowed"])
def test_a_snapshot_with_a_folder_of_roots(carol, make_own_daemon, data, options):
    """He could not remove that folder from the source either: told, unless the whole may go at once."""
    daemon = make_own_daemon()
    path = data("btrfs", options)
    os.mkdir(os.path.join(path, "roots"))
    with open(os.path.join(path, "roots", "file"), "w", encoding="utf-8"):
        pass
    daemon.add_cluster("main", path, database={"type": "none"})
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    daemon.api.ok("DeleteBackup", DBClusterId="main", BackupId=backup["BackupId"])
    jobs = daemon.api.ok("DescribeJobs", DBClusterId="main")["Items"]["Job"]
    if not options:
        eventually(lambda: "root can remove it" in daemon.client("job", "show", jobs[0]["JobId"]).stdout, what="why")
        assert os.path.exists(daemon.snapshot_dir("main") + "/.del-" + backup["BackupId"])
        run("rm", "-r", os.path.join(daemon.snapshot_dir("main"), ".del-" + backup["BackupId"], "data", "roots"))
        daemon.restart()
    invariants.check(daemon)
    jobs = daemon.api.ok("DescribeJobs", DBClusterId="main")["Items"]["Job"]
    assert not options or jobs[0]["Attempts"] == "1", jobs


def test_a_snapshot_on_a_full_disk(carol, make_own_daemon, data):
    """Emptying it wants no room that is not there."""
    daemon = make_own_daemon(quota=PLENTY)
    path = data("btrfs")
    carol.run("bash", "-euc", f"cd {path}/deep; for n in {{1..2000}}; do echo $n >$n; done").check_returncode()
    daemon.add_cluster("main", path, database={"type": "none"})
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    filled = carol.run("bash", "-c", f"cd {path}/deep; cat /dev/zero >ballast; sync; "
                       "for n in {1..3000}; do printf %3000d $n >small$n || exit 9; done")
    assert filled.returncode == 9 and "No space left" in filled.stderr, filled
    daemon.api.delete_and_wait("main", backup["BackupId"])
    invariants.check(daemon)


def make_unreadable(path):
    with open(os.path.join(path, "secret"), "w", encoding="utf-8") as file:
        file.write("not for carol\n")
    os.chmod(file.name, 0o600)


def make_powerful(path):
    shutil.copy("/bin/true", os.path.join(path, "powerful"))
    os.chmod(os.path.join(path, "powerful"), 0o6755)


def test_files_that_he_may_not_read(carol, make_own_daemon, data):
    daemon = make_own_daemon()
    path = data("home")
    make_unreadable(path)
    daemon.add_cluster("main", path, database={"type": "none"})
    daemon.start()
    item = daemon.api.wait_final("main", daemon.api.create("main"))
    assert item["Dbsnap"]["State"] == "FAILED" and "secret" in item["Dbsnap"]["Cause"], item
    assert "ermission denied" in item["Dbsnap"]["Cause"]
    daemon.wait_idle()
    assert os.listdir(daemon.snapshot_dir("main")) == ["marker.json"]


def test_a_program_of_roots_loses_its_power(carol, make_own_daemon, data):
    daemon = make_own_daemon()
    path = data("home")
    make_powerful(path)
    daemon.add_cluster("main", path, database={"type": "none"})
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    st = os.stat(os.path.join(backup["Dbsnap"]["Path"], "data", "powerful"))
    assert (st.st_uid, st.st_gid) == (carol.uid, carol.gid)
    assert not st.st_mode & (stat.S_ISUID | stat.S_ISGID)


@pytest.mark.parametrize("owner, mode, why", [
    (0, 0o755, "ermission denied"), (0, 0o777, "writable by others"), (65534, 0o755, "belongs to uid 65534")])
def test_a_place_that_is_not_his(carol, make_own_daemon, data, folder, owner, mode, why):
    place = os.path.join(folder, "place")
    os.mkdir(place)
    os.chown(place, owner, owner)
    os.chmod(place, mode)
    daemon = make_own_daemon()
    daemon.add_cluster("main", data("home"), snapshot_dir=os.path.join(place, "main"), database={"type": "none"})
    daemon.start()
    done = daemon.client("cluster", "check", "main")
    assert done.returncode == 1 and why in done.stderr, done
    assert daemon.api.call("CreateBackup", DBClusterId="main")[0] != 200
    assert os.listdir(place) == []


def test_a_subvolume_of_another_is_walked(carol, make_own_daemon, make_disk):
    """A snapshot of it is not his to make, and what he may read he may copy."""
    disk = make_disk("btrfs", "512M")
    path = disk.files("files")
    for each in (path, os.path.join(path, "letter")):
        os.chmod(each, 0o755)
    place = carol.folder(disk.path("place"))
    daemon = make_own_daemon()
    daemon.add_cluster("main", path, snapshot_dir=os.path.join(place, "main"), database={"type": "none"})
    daemon.start()
    checked = daemon.client("cluster", "check", "main")
    assert "only he or root can snapshot it" in checked.stdout, checked
    assert daemon.api.create_and_wait("main")["Dbsnap"]["Promise"] == "per-file"
    invariants.check(daemon)


@pytest.mark.parametrize("kind", ["btrfs", "xfs", "ext4"])
def test_a_cluster_that_is_gone(carol, make_own_daemon, data, kind):
    """Neither a file names it any more nor is its data there: its backups are his still."""
    daemon = make_own_daemon()
    path = data(kind)
    daemon.add_cluster("main", path, database={"type": "none"})
    daemon.start()
    backup = daemon.api.create_and_wait("main")
    run("rm", "-r", path)
    daemon.remove_cluster("main")
    daemon.restart()
    clone = daemon.api.clone_and_wait("main", backup["BackupId"], "c1")["ClonePath"]
    assert carol.run("cat", os.path.join(clone, "letter")).stdout == "to be kept\n"
    daemon.api.ok("DeleteClone", DBClusterId="main", CloneName="c1")
    daemon.api.delete_and_wait("main", backup["BackupId"])
    eventually(lambda: not os.path.exists(clone), what="the clone gone")
