# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's snapshot_dir as a fake: what lies in it, by name.

It survives fronts and engines, as a disk does. Folders go through the same forms as the
real ones: .<id> without and with manifest, <id>, .del-<id>; clones/.<name>, clones/<name>.
"""
import dataclasses

import msgs

GIB = 1 << 30


@dataclasses.dataclass
class Thing:
    item: int
    backup: int
    nonce: bytes
    facts: dict = dataclasses.field(default_factory=dict)
    owner: int = None

    def __post_init__(self):
        if self.owner is None:
            self.owner = msgs.OWNER_NONE if self.item == msgs.STRANGER else msgs.OWNER_OURS


class Place:
    """One cluster's: state, space, things by name, and every nonce that was ever whole."""

    def __init__(self, cluster, file_system):
        self.cluster = cluster
        self.file_system = file_system
        self.snapshot_dir = f"/srv/snap/{cluster}"
        self.state = msgs.ONLINE
        self.cause = ""
        self.free = 50 * GIB
        self.total = 100 * GIB
        self.space_low = False
        self.layout_ok = True
        self.sizes = {}    # of its one part, for whoever asks for a survey
        self.refusal = ""
        self.refusal_code = msgs.ERR_LAYOUT
        self.refusal_passes = False
        self.size = GIB
        self.size_known = False
        self.verify_every_ms = 0
        self.restore_in_place = True
        self.restored = []  # backups that data_dir has been, in order
        self.in_the_way = ""  # of a restore
        self.things = {}
        self.made = []  # nonces of snapshots, in the order in which they became whole

    # Steps of a create.

    def begin(self, order):
        self.things[f".{order.backup}"] = Thing(msgs.PARTIAL, order.backup, order.nonce)

    def finish(self, order, now_ms):
        thing = self.things[f".{order.backup}"]
        thing.item = msgs.PARTIAL_DONE
        thing.facts = self.facts_of(order, now_ms)

    def rename(self, order):
        thing = self.things.pop(f".{order.backup}")
        thing.item = msgs.BACKUP
        self.things[str(order.backup)] = thing
        self.made.append(thing.nonce)
        return thing.facts

    def facts_of(self, order, now_ms):
        return {"nonce": order.nonce, "accepted_ms": order.accepted_ms, "started_ms": now_ms,
                "ended_ms": now_ms, "consistent_ms": now_ms, "cut_us": 2500,
                "size": self.size if self.size_known else order.known_size,
                "size_known": self.size_known, "mode": order.mode,
                "principal": order.principal, "request": order.request, "backend": "btrfs",
                "procedure": "A", "promise": "atomic", "server": "PostgreSQL 15.6",
                "position": "LSN 0/3000148, timeline 1",
                "path": f"{self.snapshot_dir}/{order.backup}/data"}

    def create(self, order, now_ms):
        """The whole create, whatever an earlier attempt of the same nonce has left."""
        whole = self.things.get(str(order.backup))
        if whole and whole.nonce == order.nonce:
            return whole.facts
        assert not whole, f"a snapshot of another nonce lies at {order.backup}"
        left = self.things.get(f".{order.backup}")
        assert not left or left.nonce == order.nonce, "another one's unfinished folder"
        if not left or left.item == msgs.PARTIAL:
            self.begin(order)
            self.finish(order, now_ms)
        return self.rename(order)

    # Steps of a delete: whatever form has this nonce goes.

    def forms(self, order):
        if order.kind == msgs.DELETE_CLONE or order.clone:
            return [f"clones/{order.clone}", f"clones/.{order.clone}"]
        if order.kind == msgs.DELETE_QUARANTINED:
            return [*{msgs.BACKUP: [str(order.backup)], msgs.PARTIAL: [f".{order.backup}"],
                      msgs.PARTIAL_DONE: [f".{order.backup}"]}.get(order.item, []), f".del-{order.backup}"]
        return [str(order.backup), f".{order.backup}", f".del-{order.backup}"]

    def mark(self, order):
        """Out of the namespace."""
        name = str(order.backup)
        if order.kind == msgs.DELETE_QUARANTINED and order.item != msgs.BACKUP:
            return
        if name in self.things and self.things[name].nonce == order.nonce:
            thing = self.things.pop(name)
            thing.item = msgs.DELETING
            self.things[f".del-{name}"] = thing

    def remove(self, order):
        for name in self.forms(order):
            if name in self.things and self.things[name].nonce == order.nonce:
                del self.things[name]

    def remove_partial(self, order):
        name = f"clones/.{order.clone}" if order.clone else f".{order.backup}"
        if name in self.things and self.things[name].nonce == order.nonce:
            del self.things[name]

    def begin_verify(self, order):
        """Its throw-away clone, which the end of an attempt removes."""
        assert order.clone == f"verify-{order.job}" and order.nonce == order.source == self.things[str(order.backup)].nonce
        self.things[f"clones/.{order.clone}"] = Thing(msgs.CLONE_PARTIAL, order.backup, order.nonce)

    def verify(self, order):
        self.begin_verify(order)
        self.remove_partial(order)

    # Clones.

    def clone(self, order):
        source = self.things[str(order.backup)]
        assert source.nonce == order.source
        name = f"clones/{order.clone}"
        there = self.things.get(name)
        assert not there or there.nonce == order.nonce, "another clone has that name"
        self.things.pop(f"clones/.{order.clone}", None)
        self.things[name] = Thing(msgs.CLONE_ITEM, order.backup, order.nonce)

    def begin_clone(self, order):
        self.things[f"clones/.{order.clone}"] = Thing(msgs.CLONE_PARTIAL, order.backup,
                                                      order.nonce)

    def whole(self):
        """ids of whole snapshots."""
        return {t.backup for t in self.things.values() if t.item == msgs.BACKUP}
