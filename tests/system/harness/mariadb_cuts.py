# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts of a MariaDB under load, and what each clone has to show."""
import concurrent.futures

from . import invariants
from .inject import Inject
from .mariadb_load import Load, check_moment, check_sums
from .tally import Tally

BATCH = 8


def nothing(_):
    pass


def purge_backlog(server, load, count=1000):
    """No lock stops purge. It has had nothing to do for so many ids, and has all of that to do now."""
    view = server.connect(autocommit=False)
    with view.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    load.wait_more(count)
    view.close()


def slow_create(cell, load):
    """A fast walk hides what moves meanwhile. This one takes seconds."""
    with Inject(cell.daemon.main.pid, "ioctl", "delay_enter=10000"):
        purge_backlog(cell.server, load)
        return cell.create()


class Cut:
    """One backup under load; create(number, load) makes it."""

    def __init__(self, load, create, number):
        load.wait_more(50)
        self.must = load.acked()
        self.backup = create(number, load)
        self.most = load.acked()

    def check(self, cell, name, start_clone, look=nothing):
        """The clone starts, is the source at one moment between request and end, and is whole. Nothing of it stays."""
        path = cell.clone(self.backup, name)
        try:
            clone = start_clone(path)
            try:
                check_moment(clone, self.must, self.most)
                check_sums(clone)
                look(clone)
                clone.check()
                clone.stop()
            finally:
                clone.close()
        finally:
            cell.api.ok("DeleteClone", DBClusterId="main", CloneName=name)
            cell.api.delete_and_wait("main", self.backup["BackupId"])


def cut_and_check(cell, name, count, create, start_clone, see=nothing, look=nothing, plain=False):
    """
    So many cuts, a few at a time, as disks are small. The name is the tally's; see(backup) looks at each one's
    record, look(clone) at its server; plain: the load has tables without transactions as well.
    """
    tally, waiting = Tally(name), list(range(count))

    def check(number, cut):
        def both():
            see(cut.backup)
            cut.check(cell, f"c{number}", start_clone, look)
            return True
        if tally.attempt(number, both):
            tally.good(number, cut.backup["Dbsnap"]["CutMs"], cut.backup["Dbsnap"]["FreezeMs"])

    while waiting:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        with Load(cell.server, plain) as load:
            cuts = [(number, tally.attempt(number, Cut, load, create, number)) for number in batch]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: check(*each), [each for each in cuts if each[1]]))
    tally.end()
    cell.server.check()
    invariants.check(cell.daemon, cell.disk)
