# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed requests at the real front: every fault by its code, every byte of the captured requests, replays."""
import calendar
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import time
import urllib.parse

import pytest

from system.harness.signer import FORM, Signer, nonce_of, stamp
from test_api_http import wire_file, wire_files

KEY = {"id": "testid", "secret": "testsecret"}
OTHER = {"id": "other", "secret": "another secret"}
MINUTE_MS = 60_000
# A verified caller has no right as long as there is no policy: that answer is given to no other.
VERIFIED = (403, "Forbidden.RAM")
VERIFIED_LATER = (400, "InvalidClientToken.Malformed")  # of the captured one with a letter that no token may have
USED = (400, "SignatureNonceUsed")
EXPIRED = (400, "InvalidTimeStamp.Expired")
signer = Signer()


@pytest.fixture
def signed(world):
    """A front with two keys, some time after its start."""
    world.keys = [KEY, OTHER]
    world.start()
    world.advance(10_000)
    return world


def answer(world, data):
    """(status, code) of one request on a connection of its own; None: the connection just ended."""
    got = world.api.raw(data)
    if not got:
        return None
    head, _, body = got.partition(b"\r\n\r\n")
    try:
        return int(head.split()[1]), json.loads(body).get("Code")
    except ValueError:
        return int(head.split()[1]), None


def message(world, data):
    return json.loads(world.api.raw(data).partition(b"\r\n\r\n")[2])["Message"]


def v1(world, action="CreateBackup", at=0, **how):
    return signer.v1(world.wall_ms + at, {"Action": action, "DBClusterId": "pc-a"}, **how)


def v3(world, action="CreateBackup", at=0, **how):
    return signer.v3(world.wall_ms + at, action, {"DBClusterId": "pc-a"}, **how)


BOTH = pytest.mark.parametrize("make", [v1, v3])


# The captured requests.

def stamp_of(data):
    text = re.search(rb"(?:Timestamp=|x-acs-date: )([^&\r]+)", data)[1].decode().replace("%3A", ":")
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) * 1000


@pytest.fixture
def captured(request, world):
    """A front whose clock is right for the request of this name."""
    data = wire_file(request.param)
    world.keys = [KEY]
    world.tick(0, stamp_of(data) - 1000 - world.wall_ms)
    world.start()
    world.advance(2000)
    return world, request.param, data


EACH = pytest.mark.parametrize("captured", wire_files(), indirect=True)


@EACH
def test_captured_request_verifies_once(captured):
    world, _, data = captured
    assert answer(world, data) in (VERIFIED, VERIFIED_LATER)
    assert answer(world, data) == USED


@pytest.mark.parametrize("blanks", [b": \t%s", b":\t%s", b": %s \t", b":\r\n\t%s", b": %s\r\n\t\t"])
def test_blanks_that_nobody_signs_make_no_other_nonce(signed, blanks):
    """They are cut off before a value is signed, so whoever has seen a request can put some there."""
    name = b"x-acs-signature-nonce"
    request = v3(signed, nonce="once")
    changed = request.replace(name + b": once", name + blanks.replace(b"%s", b"once"))
    assert changed != request
    assert answer(signed, request) == VERIFIED
    assert answer(signed, changed) == USED
    for header in (b"x-acs-date", b"x-acs-content-sha256"):
        other = v3(signed)
        assert answer(signed, other.replace(header + b": ", header + b": \t")) == VERIFIED
        assert answer(signed, other) == USED


def test_a_nonce_of_blanks_alone_is_none(signed):
    request = v3(signed, nonce="").replace(b"x-acs-signature-nonce: ", b"x-acs-signature-nonce: \t")
    assert answer(signed, request) == (400, "IncompleteSignature")


def fields_of(data):
    """Request line and headers as (name, value), as libevent reads them: a line is cut at a NUL; and what follows."""
    lines = []
    while True:
        line, found, data = data.partition(b"\n")
        if not found:
            return None
        line = line.removesuffix(b"\r").split(b"\0")[0]
        if not line:
            break
        lines.append(line)
    fields = []
    for line in lines[1:]:
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + b" " + line.strip(b" \t"))
        else:
            name, _, value = line.partition(b":")
            fields.append((name.lower(), value.strip(b" \t")))
    return lines[0] if lines else b"", fields, data


def body_of(fields, rest):
    if fields.get(b"transfer-encoding") != b"chunked":
        size = fields.get(b"content-length", b"0")
        return rest[:int(size)] if size.isdigit() and int(size) <= len(rest) else None
    body = b""
    while True:
        line, found, rest = rest.partition(b"\n")
        if not found:
            return None
        if line in (b"", b"\r"):
            continue
        size = int(re.match(rb"\s*([0-9a-fA-F]*)", line)[1] or b"0", 16)
        if size == 0:
            return body
        body, rest = body + rest[:size], rest[size:]


def params_of(text):
    pairs = (pair.partition(b"=") for pair in text.split(b"&") if pair)
    return sorted((urllib.parse.unquote_to_bytes(k), urllib.parse.unquote_to_bytes(v.replace(b"+", b" ")))
                  for k, _, v in pairs)


def meaning(data):
    """All that a signature covers, by a reader of its own; None: no request."""
    read = fields_of(data)
    if not read:
        return None
    method, _, target = read[0].partition(b" ")
    query = params_of(target.rstrip(b" ").rpartition(b" ")[0].partition(b"?")[2])
    fields = dict(read[1])
    body = body_of(fields, read[2])
    if b"authorization" in fields:
        names = re.search(rb"SignedHeaders=([^,]*)", fields[b"authorization"])
        signed = [(n, fields.get(n)) for n in names[1].split(b";")] if names else None
        return method, query, body, fields[b"authorization"], signed
    form = re.match(FORM.encode() + rb"([; \t]|$)", fields.get(b"content-type", b""), re.I)
    return method, sorted(query + params_of(body)) if form and body else query


# What stands in no signature and is looked at by nobody.
IDLE = {b"user-agent", b"accept", b"connection"}
IDLE_1 = IDLE | {b"x-sdk-client", b"x-acs-credentials-provider", b"host"}


def places_without_meaning(data):
    """(place, new byte): every change of one byte that must leave the request verified."""
    head = data.index(b"\r\n\r\n") + 2
    query_end = data.index(b" HTTP/1.1\r\n")
    idle = IDLE if b"\r\nAuthorization" in data else IDLE_1
    yield query_end + 8, ord("0")  # HTTP/1.0
    for found in re.finditer(rb"%[0-9A-F][0-9A-F]", data):
        for at in range(found.start() + 1, found.end()):
            # A body that is hashed has no meaning but its bytes.
            if data[at:at + 1].isalpha() and (at < query_end or at > head and idle is IDLE_1):
                yield at, data[at] ^ 0x20
    for found in re.finditer(rb"\r\n([\w-]+): ([^\r]*)(?=\r)", data[:head]):
        for at in range(found.start(1), found.end(1)):
            if data[at:at + 1].isalpha():
                yield at, data[at] ^ 0x20
        for at in range(found.start(2), found.end(2)):
            if found[1].lower() in idle and data[at] != ord("0"):
                yield at, ord("0")
    for found in re.finditer(rb"=(?=[& ])", data[:query_end + 1]):
        yield found.start(), ord("&")  # an empty value, with or without its sign


def changed_at(data, at, new):
    return data[:at] + bytes([new]) + data[at + 1:]


@EACH
def test_any_byte_changed(captured):
    world, _, data = captured
    right = meaning(data)
    wrong = []
    for at, old in enumerate(data):
        for new in {old ^ 0x01, old ^ 0x20, old ^ 0x80, 0, 0x20, 0x26, 0x30, 0x0a} - {old}:
            changed = changed_at(data, at, new)
            if meaning(changed) != right and answer(world, changed) in (VERIFIED, VERIFIED_LATER, USED):
                wrong.append((at, data[max(0, at - 12):at], chr(old), chr(new), data[at + 1:at + 12]))
    for line in wrong:
        print(line)
    assert not wrong
    assert answer(world, data) in (VERIFIED, VERIFIED_LATER)  # nothing that was sent before it was taken for it


@EACH
def test_changes_without_meaning(captured):
    world, _, data = captured
    assert answer(world, data) in (VERIFIED, VERIFIED_LATER)
    changes = list(places_without_meaning(data))
    assert len(changes) > 50
    assert [c for c in changes if answer(world, changed_at(data, *c)) != USED] == []


# Faults, each by its code.

INCOMPLETE = (400, "IncompleteSignature")
MISMATCH = (400, "SignatureDoesNotMatch")
MALFORMED = (400, "MalformedRequest")
NO_KEY = (404, "InvalidAccessKeyId.NotFound")
NO_TIMESTAMP = (400, "IllegalTimestamp")
BAD_TIMESTAMP = (400, "InvalidTimeStamp.Format")
INVALID = (400, "InvalidParameter")
METHOD = (400, "InvalidSignatureMethod")


@BOTH
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_right_ones_verify(signed, make, method):
    assert answer(signed, make(signed, method=method)) == VERIFIED


@pytest.mark.parametrize("body", [("DBClusterId",), ("Action", "DBClusterId", "Signature"), ("AccessKeyId", "Timestamp")])
def test_parameters_in_query_and_body(signed, body):
    assert answer(signed, v1(signed, body=body)) == VERIFIED


@pytest.mark.parametrize("text", ["a b+c*d~e/f=g%h&i", "\u00e9\u20ac\U0001f600", "!'()*", "%2F", "A-Z_a.z~9"])
def test_encodings(signed, text):
    for data in (signer.v1(signed.wall_ms, {"Action": "DescribeStatus", "X": text, "Empty": ""}),
                 signer.v3(signed.wall_ms, "DescribeStatus", {"X": text, "Empty": ""})):
        assert answer(signed, data) == VERIFIED


def test_body_of_any_size(signed):
    for size in (1, 1023, 1024, 1025, 60000):
        data = v3(signed, body=b"X=" + b"y" * size, headers={"content-type": FORM}.items())
        assert answer(signed, data) == VERIFIED


FAULTS_1 = {
    "no key": (INCOMPLETE, {"AccessKeyId": None}),
    "no signature": (INCOMPLETE, {"Signature": None}),
    "no method": (INCOMPLETE, {"SignatureMethod": None}),
    "no version": (INCOMPLETE, {"SignatureVersion": None}),
    "no nonce": (INCOMPLETE, {"nonce": None}),
    "empty nonce": (INCOMPLETE, {"nonce": ""}),
    "no timestamp": (NO_TIMESTAMP, {"Timestamp": None}),
    "empty timestamp": (NO_TIMESTAMP, {"Timestamp": ""}),
    "another method": (METHOD, {"SignatureMethod": "HMAC-SHA256"}),
    "method in lower case": (METHOD, {"SignatureMethod": "hmac-sha1"}),
    "another version": (INVALID, {"SignatureVersion": "2.0"}),
    "no date": (BAD_TIMESTAMP, {"Timestamp": "yesterday"}),
    "date without seconds": (BAD_TIMESTAMP, {"Timestamp": "2023-11-14T12:00Z"}),
    "date with a zone": (BAD_TIMESTAMP, {"Timestamp": "2023-11-14T12:00:00+01:00"}),
    "the 30th of February": (BAD_TIMESTAMP, {"Timestamp": "2023-02-30T12:00:00Z"}),
    "unknown key": (NO_KEY, {"AccessKeyId": "nobody"}),
    "key in upper case": (NO_KEY, {"AccessKeyId": "TESTID"}),
    "long key": (NO_KEY, {"AccessKeyId": "k" * 65}),
    "another's key": (MISMATCH, {"AccessKeyId": "other"}),
    "another signature": (MISMATCH, {"Signature": "MXMfcJJa7kf82TNE2Oh07qdVoGQ="}),
    "short signature": (MISMATCH, {"Signature": "x"}),
    "long signature": (MISMATCH, {"Signature": "x" * 500}),
}


@pytest.mark.parametrize("fault", FAULTS_1)
def test_fault_of_version_1(signed, fault):
    code, how = FAULTS_1[fault]
    assert answer(signed, v1(signed, **how)) == code


def test_operation_that_version_1_does_not_sign(signed):
    """A header is not covered: whoever carries the request could put another operation there."""
    data = signer.v1(signed.wall_ms, {"DBClusterId": "pc-a"}, headers=[("x-acs-action", "DescribeBackups")])
    assert answer(signed, data) == INCOMPLETE
    assert "Action" in message(signed, data)
    data = v1(signed, headers=[("x-acs-action", "DescribeBackups")])
    assert answer(signed, data) == INVALID


def test_json_members_are_signed_too(signed):
    """A body of another form cannot carry what no signature covers."""
    body = b'{"ClientToken":"added"}'
    data = v1(signed).replace(b"Content-Length: 0\r\n\r\n",
                              b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
    assert answer(signed, data) == MISMATCH


SORTED = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
FAULTS_3 = {
    "empty": (INCOMPLETE, {"authorization": " "}),
    "basic": (INCOMPLETE, {"authorization": "Basic eDp5"}),
    "another algorithm": (METHOD, {"authorization": "ACS3-HMAC-SM3 Credential=testid,SignedHeaders=host,Signature=0"}),
    "no credential": (INCOMPLETE, {"Credential": None}),
    "empty credential": (INCOMPLETE, {"Credential": ""}),
    "no list": (INCOMPLETE, {"SignedHeaders": None}),
    "no signature": (INCOMPLETE, {"Signature": None}),
    "two credentials": (INCOMPLETE, {"authorization": "{},Credential=testid"}),
    "two signatures": (INCOMPLETE, {"authorization": "{},Signature=0"}),
    "a part too many": (INCOMPLETE, {"authorization": "{},More=1"}),
    "a comma too many": (INCOMPLETE, {"authorization": "{},"}),
    "unknown key": (NO_KEY, {"Credential": "nobody"}),
    "another's key": (MISMATCH, {"Credential": "other"}),
    "another signature": (MISMATCH, {"Signature": "0" * 64}),
    "signature in upper case": (MISMATCH, {"Signature": "A" * 64}),
    "host not signed": (INCOMPLETE, {"unsigned": ["host"]}),
    "action not signed": (INCOMPLETE, {"unsigned": ["x-acs-action"]}),
    "version not signed": (INCOMPLETE, {"unsigned": ["x-acs-version"]}),
    "date not signed": (INCOMPLETE, {"unsigned": ["x-acs-date"]}),
    "nonce not signed": (INCOMPLETE, {"unsigned": ["x-acs-signature-nonce"]}),
    "hash not signed": (INCOMPLETE, {"unsigned": ["x-acs-content-sha256"]}),
    "another of theirs not signed": (INCOMPLETE, {"extra": "X-Acs-Trace: 1"}),
    "no host": (INCOMPLETE, {"headers": [("host", None)]}),
    "no nonce": (INCOMPLETE, {"headers": [("x-acs-signature-nonce", None)]}),
    "empty nonce": (INCOMPLETE, {"nonce": ""}),
    "no hash": (INCOMPLETE, {"headers": [("x-acs-content-sha256", None)]}),
    "dateless": (NO_TIMESTAMP, {"headers": [("x-acs-date", None)]}),
    "empty date": (NO_TIMESTAMP, {"headers": [("x-acs-date", "")]}),
    "no date": (BAD_TIMESTAMP, {"headers": [("x-acs-date", "Sat, 14 Nov 2023 12:00:00 GMT")]}),
    "another body's hash": (MISMATCH, {"headers": [("x-acs-content-sha256", hashlib.sha256(b"x").hexdigest())]}),
    "hash in upper case": (MISMATCH, {"headers": [("x-acs-content-sha256", hashlib.sha256(b"").hexdigest().upper())]}),
    "unsorted": (MISMATCH, {"names": "x-acs-action;host" + SORTED[len("host;x-acs-action"):]}),
    "named twice": (MISMATCH, {"names": "host;" + SORTED}),
    "in upper case": (MISMATCH, {"names": "Host" + SORTED[4:]}),
    "an empty name": (MISMATCH, {"names": SORTED + ";"}),
    "named but absent": (INCOMPLETE, {"names": SORTED + ";x-more"}),
    "signed header twice": (MALFORMED, {"extra": "x-acs-date: 2023-11-14T12:00:00Z"}),
    "host twice": (MALFORMED, {"extra": "Host: y"}),
    "two signatures in headers": (MALFORMED, {"extra": "Authorization: ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host,Signature=0"}),
    "wrongly encoded": (MALFORMED, {"query": "DBClusterId=pc-a%2"}),
    "another query": (MISMATCH, {"query": "DBClusterId=pc-b"}),
}


@pytest.mark.parametrize("fault", FAULTS_3)
def test_fault_of_version_3(signed, fault):
    code, how = FAULTS_3[fault]
    assert answer(signed, v3(signed, **how)) == code


def test_body_that_was_changed(signed):
    data = v3(signed, body=b"ClientToken=a", headers={"content-type": FORM}.items())
    assert answer(signed, data[:-1] + b"b") == MISMATCH
    assert answer(signed, data) == VERIFIED


def test_both_versions_in_one_request(signed):
    for more in ("AccessKeyId=testid&", "Signature=x&"):
        data = v3(signed).replace(b"/?", b"/?" + more.encode())
        assert answer(signed, data) == INCOMPLETE
        assert "both" in message(signed, data)


def test_too_many_headers(signed):
    data = v3(signed).replace(b"Authorization", b"".join(b"a%d:\r\n" % n for n in range(300)) + b"Authorization")
    assert answer(signed, data) == (413, "RequestTooLarge")


@BOTH
def test_parameter_in_query_and_body(signed, make):
    data = make(signed).replace(b"Content-Length: 0", b"Content-Type: %s\r\nContent-Length: 16" % FORM.encode())
    assert answer(signed, data + b"DBClusterId=pc-a") == INVALID


def test_form_is_judged_before_the_key(signed):
    """Whether there is such a key tells nothing more, and no key is told by another answer."""
    nobody = Signer("nobody")
    for how in ({"Timestamp": "x"}, {"SignatureMethod": "x"}, {"nonce": None}):
        good, bad = (s.v1(signed.wall_ms, {"Action": "DescribeStatus"}, **how) for s in (signer, nobody))
        assert answer(signed, good) == answer(signed, bad) != NO_KEY
    for at in (-3600_000, 0, 3600_000):
        assert answer(signed, nobody.v1(signed.wall_ms + at, {"Action": "DescribeStatus"})) == NO_KEY
        assert answer(signed, nobody.v3(signed.wall_ms + at, "DescribeStatus", {})) == NO_KEY


def test_no_keys_at_all(world):
    world.start()
    world.advance(10_000)
    assert answer(world, v1(world)) == NO_KEY
    assert answer(world, v3(world)) == NO_KEY


# Time.

@pytest.mark.parametrize("make, minutes", [(v1, 31), (v3, 15)])
@pytest.mark.parametrize("way", [-1, 1])
def test_window(world, make, minutes, way):
    world.keys = [KEY]
    world.start()
    world.advance(3600_000)
    assert answer(world, make(world, at=way * minutes * MINUTE_MS)) == VERIFIED
    assert answer(world, make(world, at=way * (minutes * MINUTE_MS + 1000))) == EXPIRED
    assert stamp(world.wall_ms) in message(world, make(world, at=way * 3600_000))


# Replays.

@BOTH
def test_nonce_is_used_once(signed, make):
    nonce = nonce_of(...)
    assert answer(signed, make(signed, nonce=nonce)) == VERIFIED
    assert answer(signed, make(signed, nonce=nonce, at=1000)) == USED
    assert answer(signed, make(signed, nonce=nonce + "x")) == VERIFIED
    other = Signer(OTHER["id"], OTHER["secret"])
    assert answer(signed, other.v1(signed.wall_ms, {"Action": "DescribeStatus"}, nonce=nonce)) == VERIFIED


@BOTH
def test_only_verified_requests_use_up_a_nonce(signed, make):
    nonce = nonce_of(...)
    assert answer(signed, make(signed, nonce=nonce, Signature="x")) == MISMATCH
    assert answer(signed, make(signed, nonce=nonce)) == VERIFIED


@BOTH
def test_nonce_is_used_up_whatever_becomes_of_the_request(signed, make):
    data = make(signed, action="NoSuchAction")
    assert answer(signed, data) == (403, "InvalidAction")
    assert answer(signed, data) == USED


CLOCKS = pytest.mark.parametrize("at", [0, -5 * MINUTE_MS, 5 * MINUTE_MS], ids=["right", "behind", "ahead"])
RESTARTS = pytest.mark.parametrize("again", ["kill", "stop"])


def restart(world, again):
    if again == "kill":
        world.kill()
    else:
        world.stop()
    world.start()


@BOTH
@CLOCKS
@RESTARTS
def test_no_replay_after_a_restart(world, make, at, again):
    world.keys = [KEY]
    world.start()
    world.advance(3600_000)
    data = make(world, at=at)
    assert answer(world, data) == VERIFIED
    for wait in (0, 1500, 60_000):
        world.tick(wait)
        restart(world, again)
        assert answer(world, data) in (USED, EXPIRED)
        world.advance(2000)
        assert answer(world, data) in (USED, EXPIRED)
        assert answer(world, make(world)) == VERIFIED


@BOTH
@CLOCKS
def test_no_replay_after_a_restart_with_the_clock_set_back(world, make, at):
    world.keys = [KEY]
    world.start()
    world.advance(3600_000)
    data = make(world, at=at)
    assert answer(world, data) == VERIFIED
    world.tick(1000, -10 * MINUTE_MS)
    restart(world, "kill")
    assert answer(world, data) in (USED, EXPIRED)
    assert "the clock was set back by 601 s" in world.stderr()
    world.advance(MINUTE_MS)
    assert answer(world, data) in (USED, EXPIRED)
    assert answer(world, make(world)) == EXPIRED  # until the clock has caught up
    world.advance(11 * MINUTE_MS)
    assert answer(world, data) in (USED, EXPIRED)
    assert answer(world, make(world)) == VERIFIED


@BOTH
@CLOCKS
@pytest.mark.parametrize("jump", [-20 * MINUTE_MS, 90 * MINUTE_MS])
def test_no_replay_when_the_clock_jumps_there_and_back(world, make, at, jump):
    world.keys = [KEY]
    world.start()
    world.advance(3600_000)
    data = make(world, at=at)
    assert answer(world, data) == VERIFIED
    for step in (jump, -jump):
        world.advance(1000, step)
        for _ in range(200):
            assert answer(world, make(world)) in (VERIFIED, EXPIRED)
        assert answer(world, data) in (USED, EXPIRED)
    assert answer(world, make(world)) == VERIFIED


def test_stamped_in_the_second_of_the_start(world):
    """In whole seconds: what an earlier front may have served in this one is refused."""
    world.keys = [KEY]
    world.start()
    world.advance(500)
    assert answer(world, v1(world)) == EXPIRED
    world.advance(500)
    assert answer(world, v1(world)) == VERIFIED


def test_client_with_a_right_clock_costs_no_commit(signed):
    file = os.path.join(signed.state_dir, "store.mdb")
    signed.advance(3600_000)
    assert answer(signed, v1(signed)) == VERIFIED  # the clock's mark
    before = os.stat(file).st_mtime_ns
    for at in (0, -60_000):
        assert answer(signed, v1(signed, at=at)) == VERIFIED
    assert os.stat(file).st_mtime_ns == before
    assert answer(signed, v1(signed, at=60_000)) == VERIFIED
    assert os.stat(file).st_mtime_ns > before


@pytest.fixture
def diskless(world):
    """As signed; commits take no time."""
    if os.getuid() != 0:
        pytest.skip("needs root: mounts a file system")
    options = f"mode=0700,uid={world.uid},gid={world.gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "dbsnap-test", world.state_dir], check=True)
    world.keys = [KEY]
    world.start()
    world.advance(10_000)
    yield world
    if world.front:
        world.kill()
    subprocess.run(["umount", world.state_dir], check=True)


def test_clients_that_are_ahead_are_throttled_and_served_again(diskless):
    """The catalogue keeps so many of their nonces; who has a right clock feels nothing of it."""
    world, most = diskless, 8192
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(35.0)
        sock.connect(world.path)
        for count in range(most + 1):
            sock.sendall(v1(world, at=10_000))
            told = http.client.HTTPResponse(sock, method="POST")
            told.begin()
            code = told.status, json.loads(told.read())["Code"]
            assert code == (VERIFIED if count < most else (400, "Throttling"))
    assert int(told.headers["x-acs-retry-after"]) > 0
    assert answer(world, v1(world)) == VERIFIED
    world.advance(10_000)
    assert answer(world, v1(world, at=10_000)) == VERIFIED


# Keys.

@pytest.mark.skipif(os.getuid() != 0, reason="needs root to call as somebody else")
@BOTH
@pytest.mark.parametrize("bound, uid, gid, groups, good", [
    ({"has_uid": True, "uid": 61234}, 61234, 61000, [], True),
    ({"has_uid": True, "uid": 61234}, 61235, 61234, [61234], False),
    ({"has_gid": True, "gid": 61234}, 61000, 61234, [], True),
    ({"has_gid": True, "gid": 61234}, 61000, 61001, [5, 61234], True),
    ({"has_gid": True, "gid": 61234}, 61234, 61001, [5], False),
    ({"has_uid": True, "uid": 61234, "has_gid": True, "gid": 61235}, 61234, 61235, [], True),
    ({"has_uid": True, "uid": 61234, "has_gid": True, "gid": 61235}, 61234, 61236, [], False),
    ({"has_uid": True, "uid": 61234, "has_gid": True, "gid": 61235}, 61236, 61235, [], False)])
def test_key_of_some_peers(world, make, bound, uid, gid, groups, good):
    """To others it is as unknown as one that does not exist."""
    world.keys = [{**KEY, **bound}]
    world.start()
    world.advance(10_000)
    data = make(world)
    got = world.api.raw_as(uid, gid, groups, data)
    assert json.loads(got.partition(b"\r\n\r\n")[2])["Code"] == (VERIFIED if good else NO_KEY)[1]


def test_reload_of_keys(signed):
    before = v1(signed)
    assert answer(signed, before) == VERIFIED
    changed = Signer("testid", "changed")
    signed.keys = [{**KEY, "secret": "changed"}]
    signed.send_config()
    signed.engine.settle()
    assert answer(signed, v1(signed)) == MISMATCH
    assert answer(signed, changed.v1(signed.wall_ms, {"Action": "DescribeStatus"})) == VERIFIED
    assert answer(signed, Signer("other", OTHER["secret"]).v1(signed.wall_ms, {"Action": "DescribeStatus"})) == NO_KEY
    signed.keys = [KEY]
    signed.send_config()
    signed.engine.settle()
    assert answer(signed, before) == USED


def test_signed_root_is_its_key_alone(signed):
    """Everything is allowed to this uid, and nothing to the key."""
    assert signed.api.call("DescribeStatus")[0] == 200
    for make in (v1, v3):
        data = make(signed, action="DescribeStatus")
        assert answer(signed, data) == VERIFIED
    assert signed.engine.logged("key:testid").text.count("Forbidden.RAM") == 1


def test_secret_is_in_no_log(signed):
    for make in (v1, v3):
        answer(signed, make(signed))
        answer(signed, make(signed, Signature="x"))
    signed.engine.settle()
    text = signed.stderr() + "".join(m.text for m in signed.engine.seen if m.name == "LOG")
    assert "key:testid" in text and "testsecret" not in text
