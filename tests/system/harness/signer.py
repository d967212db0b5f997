# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs requests as the documentation says, by Python's standard library alone.

Each part can be replaced or left out (None), so that tests can get one of them wrong. What is
returned is a request as bytes.
"""
import base64
import datetime
import hashlib
import hmac
import itertools
import urllib.parse

FORM = "application/x-www-form-urlencoded"
VERSION = "2017-08-01"
nonces = itertools.count()


def stamp(wall_ms):
    when = datetime.datetime.fromtimestamp(wall_ms // 1000, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def encoded(text):
    return urllib.parse.quote(text, safe="-_.~")


def query_of(params):
    return "&".join(f"{encoded(k)}={encoded(v)}" for k, v in sorted(params.items()))


def nonce_of(given):
    return f"nonce-{next(nonces)}" if given is ... else given


def without_none(params):
    return {k: v for k, v in params.items() if v is not None}


class Signer:
    def __init__(self, key="testid", secret="testsecret"):
        self.key = key
        self.secret = secret.encode()

    def v1_signature(self, method, params):
        text = f"{method}&%2F&{encoded(query_of(params))}"
        digest = hmac.digest(self.secret + b"&", text.encode(), "sha1")
        return base64.b64encode(digest).decode()

    def v1(self, wall_ms, params, *, method="POST", nonce=..., headers=(), body=(), **more):
        """params go into the query, those named in body into a form body; more: other common parameters, or None."""
        params = without_none({"AccessKeyId": self.key, "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
                               "SignatureNonce": nonce_of(nonce), "Timestamp": stamp(wall_ms), "Format": "JSON",
                               "Version": VERSION, **params, **{k: v for k, v in more.items() if k != "Signature"}})
        signature = more.get("Signature", self.v1_signature(method, params))
        if signature is not None:
            params["Signature"] = signature
        query = {k: v for k, v in params.items() if k not in body}
        form = query_of({k: params[k] for k in body}) if body else ""
        lines = [f"{method} /?{query_of(query)} HTTP/1.1", "Host: x"]
        lines += [f"{k}: {v}" for k, v in headers]
        if body:
            lines.append(f"Content-Type: {FORM}")
        if method == "POST":
            lines.append(f"Content-Length: {len(form)}")
        return ("\r\n".join(lines) + "\r\n\r\n" + form).encode()

    def v3_signature(self, method, query, headers, names, body_hash):
        canonical = "\n".join([method, "/", query, "".join(f"{n}:{headers[n].strip()}\n" for n in names),
                               ";".join(names), body_hash])
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        return hmac.digest(self.secret, text.encode(), "sha256").hex()

    def v3(self, wall_ms, action, params, *, method="POST", nonce=..., body=b"", headers=(), unsigned=(), names=None,
           extra="", authorization=None, query=None, **parts):
        """headers: more or other ones (None: left out); unsigned: names not to sign; names: the list as it is sent;
        extra: lines of headers that nobody signs; authorization: its value, {} being the right one;
        parts: Credential, SignedHeaders, Signature (None: left out)."""
        digest = hashlib.sha256(body).hexdigest()
        fields = without_none({"host": "x", "x-acs-action": action, "x-acs-version": VERSION,
                               "x-acs-date": stamp(wall_ms), "x-acs-signature-nonce": nonce_of(nonce),
                               "x-acs-content-sha256": digest, **dict(headers)})
        query = query_of(params) if query is None else query
        signed = sorted(n for n in fields if n not in unsigned)
        order = names.split(";") if names else signed
        known = {n: fields.get(n, "") for n in order}
        signature = self.v3_signature(method, query_of(params), known, order, digest)
        named = {"Credential": self.key, "SignedHeaders": ";".join(order), "Signature": signature, **parts}
        value = "ACS3-HMAC-SHA256 " + ",".join(f"{k}={v}" for k, v in named.items() if v is not None)
        value = authorization.format(value) if authorization else value
        lines = [f"{method} /?{query} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items()), f"Authorization: {value}"]
        lines += [extra] if extra else []
        if method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
