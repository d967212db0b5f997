# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages between front and engine, from the field lists of common/msg.h.

Written from the documentation, not from the C code: a difference is a finding.
A message is a Msg with its type's name, tag and fields (nonces are 16 bytes).
"""
import struct

FACTS = """
nonce:nonce accepted_ms:i64 started_ms:i64 ended_ms:i64 consistent_ms:i64 cut_us:u64
freeze_us:u64 size:u64 size_known:bool mode:u8 expires_ms:i64 principal:str request:str
backend:str procedure:str promise:str weakened:str server:str position:str path:str
"""

TYPES = {
    "CONFIG": (1, """generation:u32 region_id:str account_id:str manual_per_day:u32
        manual_retained:u32 creates_per_day:u32 utc_offset_min:i64 refund_deleted:bool
        token_ttl_ms:i64 max_running:u32 job_timeout_ms:i64 history_ms:i64 connections:u32
        connections_per_uid:u32 request_timeout_ms:i64 body_max:u64 map_size:u64
        daemon_uid:u32 socket_gid:u32 state_dir:str"""),
    "CONFIG_CLUSTER": (2, """generation:u32 cluster:str description:str data_dir:str
        database:str min_free_percent:u8 min_free_bytes:u64 refusal:str remedy:str
        verify_every_ms:i64 restore_in_place:bool"""),
    "CONFIG_END": (3, """generation:u32 clusters:u32 listeners:u32 keys:u32 statements:u32
        policies:bool"""),
    "CONFIG_LISTENER": (4, "generation:u32 path:str require_signature:bool"),
    "CONFIG_KEY": (5, """generation:u32 id:str secret:str has_uid:bool uid:u32 has_gid:bool
        gid:u32"""),
    "CONFIG_STATEMENT": (6, "generation:u32 statement:blob"),
    "RECORDS": (10, "cluster:str records:u64"),
    "HELLO": (11, "protocol:u16 install:nonce clusters:u32"),
    "RUNNING": (12, "job:u64 kind:u8 cluster:str attempt:u32 phase:u8 percent:u8"),
    "RUNNING_END": (13, "jobs:u32"),
    "READY": (14, ""),
    "JOB": (20, """job:u64 kind:u8 cluster:str backup:u64 clone:str nonce:nonce source:nonce
        attempt:u32 accepted_ms:i64 mode:u8 expires_ms:i64 known_size:u64 principal:str
        request:str item:u8 settle:bool"""),
    "PROGRESS": (22, "job:u64 phase:u8 percent:u8 bytes_done:u64 bytes_total:u64"),
    "RESULT": (23, """job:u64 attempt:u32 outcome:u8 retry:bool code:i64 cause:str remedy:str
        free_bytes:u64 total_bytes:u64 socket_dir:str port:u32 kept:str facts:facts verdict:u8
        checked:str found:str"""),
    "CANCEL": (24, "job:u64"),
    "PROBE": (30, "cluster:str exclusive:bool"),
    "PROBED_ITEM": (31, "cluster:str item:u8 backup:u64 name:str owner:u8 facts:facts"),
    "PROBED": (32, """cluster:str place:u8 code:i64 cause:str remedy:str snapshot_dir:str
        free_bytes:u64 total_bytes:u64 file_system:u64 items:u32"""),
    "CHECK": (33, "cluster:str depth:u8 survey:bool needed:u64 backup:u64 nonce:nonce"),
    "CHECKED_PART": (34, """cluster:str role:str path:str device:str file_system:str
        subvolume:str inside:bool taken:str measured:u8 bytes:u64 files:u64 largest:str extents:u64
        more_extents:bool"""),
    "CHECKED": (35, """cluster:str depth:u8 place:u8 ok:bool code:i64 retry:bool
        backend:str procedure:str promise:str database:str server:str snapshot_dir:str warnings:str why_not:str
        refusal:str remedy:str free_bytes:u64 total_bytes:u64 space_low:bool space:str steps:str
        weakened:str account:str cut_us:i64 freeze_us:i64 expected:str"""),
    "MEASURE": (36, "cluster:str backup:u64 nonce:nonce"),
    "MEASURED": (37, "cluster:str backup:u64 code:i64 size:u64 measured_ms:i64"),
    "SERVE": (45, "cluster:str clone:str backup:u64 nonce:nonce ttl_ms:i64"),
    "SERVING": (46, "cluster:str clone:str nonce:nonce"),
    "SERVED": (47, "cluster:str clone:str nonce:nonce code:i64 cause:str remedy:str"),
    "UNSERVE": (48, "cluster:str clone:str nonce:nonce"),
    "PING": (50, "number:u64"),
    "PONG": (51, "number:u64"),
    "STOP": (52, ""),
    "LOG": (60, """level:u8 cluster:str backup:u64 job:u64 clone:str request:str text:str"""),
    "CLOCK": (99, ""),
}
NAMES = {number: name for name, (number, _) in TYPES.items()}

CREATE, DELETE, CLONE, DELETE_CLONE, VERIFY, RESTORE, DELETE_QUARANTINED = 1, 2, 3, 4, 5, 6, 7
GOOD, BAD = 1, 2
PREPARING, CUTTING, CHECKING = 1, 2, 3
DONE, FAILED, CANCELLED, UNKNOWN, BUSY = 1, 2, 3, 4, 5
ONLINE, OFFLINE, PLACE_BUSY, REFUSED = 0, 1, 2, 3
BACKUP, PARTIAL, PARTIAL_DONE, DELETING, CLONE_ITEM, CLONE_PARTIAL, STRANGER = range(7)
OWNER_NONE, OWNER_OURS, OWNER_INSTALL, OWNER_CLUSTER = range(4)
SPACE, LAYOUT, PLAN = 0, 1, 2
ERR_TIMEOUT, ERR_UNKNOWN, ERR_LAYOUT, ERR_DATABASE = -13, -20, -21, -22
ERR_NOT_FOUND, ERR_EXISTS, ERR_BUSY, ERR_OFFLINE = -5, -6, -8, -17

NUMBERS = {"u8": ">B", "u16": ">H", "u32": ">I", "u64": ">Q", "i64": ">q"}


def fields_of(text):
    return [tuple(word.split(":")) for word in text.split()]


class Msg:
    """A message: msg.name, msg.tag, and each field as an attribute (a field `name` as item_name)."""

    def __init__(self, name, tag=0, /, **fields):
        if "name" in fields:
            fields["item_name"] = fields.pop("name")
        self.name = name
        self.tag = tag
        self.__dict__.update(fields)

    def __repr__(self):
        rest = {k: v for k, v in self.__dict__.items() if k not in ("name", "tag") and v}
        return f"{self.name}#{self.tag}{rest}"


def put(kind, value):
    if kind in NUMBERS:
        return struct.pack(NUMBERS[kind], value or 0)
    if kind == "bool":
        return b"\1" if value else b"\0"
    if kind == "nonce":
        value = value or bytes(16)
        assert len(value) == 16
        return value
    if kind == "facts":
        return put_all(FACTS, value or {})
    data = value or b"" if kind == "blob" else (value or "").encode()
    return struct.pack(">H", len(data)) + data


def put_all(text, values):
    known = fields_of(text)
    unknown = set(values) - {name for name, _ in known}
    assert not unknown, f"no such fields: {unknown}"
    return b"".join(put(kind, values.get(name)) for name, kind in known)


def encode(name, tag=0, /, **fields):
    number, text = TYPES[name]
    return struct.pack(">HI", number, tag) + put_all(text, fields)


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        piece = self.data[self.at:self.at + size]
        assert len(piece) == size, "message too short"
        self.at += size
        return piece

    def get(self, kind):
        if kind in NUMBERS:
            form = NUMBERS[kind]
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if kind == "bool":
            value = self.take(1)[0]
            assert value in (0, 1), "boolean out of range"
            return bool(value)
        if kind == "nonce":
            return self.take(16)
        if kind == "facts":
            return {name: self.get(k) for name, k in fields_of(FACTS)}
        size = struct.unpack(">H", self.take(2))[0]
        data = self.take(size)
        return data if kind == "blob" else data.decode()


def decode(data):
    reader = Reader(data)
    number, tag = struct.unpack(">HI", reader.take(6))
    assert number in NAMES, f"message of unknown type {number}"
    name = NAMES[number]
    fields = {field: reader.get(kind) for field, kind in fields_of(TYPES[name][1])}
    assert reader.at == len(data), f"{name}: bytes left over"
    return Msg(name, tag, **fields)
