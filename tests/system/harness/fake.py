# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon of strings: answers what a test tells it to, and remembers what it was asked.

For tests of the client alone: answers that the real daemon gives rarely (a connection
that breaks, control characters, failures) come here at will.
"""
import http.server
import json
import os
import socket
import socketserver
import threading
import urllib.parse


class Drop(Exception):
    """Raised by a handler: the connection is closed without an answer."""


class Refuse(Exception):
    """Raised by a handler: an error answer."""

    def __init__(self, status, code, message="", **headers):
        super().__init__(code)
        self.status = status
        self.headers = headers
        self.body = {"RequestId": "E", "HostId": "h", "Code": code, "Message": message}


class Raw(Exception):
    """Raised by a handler: these bytes as the body, with status 200."""

    def __init__(self, body):
        super().__init__("raw")
        self.body = body


class Wire(Exception):
    """Raised by a handler: these pieces, and nothing else, are what is sent; then the connection is closed."""

    def __init__(self, *pieces):
        super().__init__("wire")
        self.pieces = pieces


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that goes away in mid-answer is what some tests want."""


class Fake:
    """on(action, handler): handler(params) gives the answer's fields, or raises."""

    def __init__(self, path):
        self.path = path
        self.handlers = {}
        self.requests = []
        self.connections = 0
        self.lock = threading.Lock()
        self.open = set()
        self.server = None
        self.thread = None

    def on(self, action, handler):
        self.handlers[action] = handler

    def items(self, action, kind, items):
        """A list operation over these items, filtered and paged as the daemon does."""
        def handle(params):
            found = [i for i in items
                     if all(i.get(k) == params[k] for k in
                            ("DBClusterId", "BackupId", "JobId", "CloneName") if k in params)]
            size, number = int(params.get("PageSize", 30)), int(params.get("PageNumber", 1))
            page = found[size * (number - 1):size * number]
            return {"TotalRecordCount": str(len(found)), "PageRecordCount": str(len(page)),
                    "PageNumber": str(number), "Items": {kind: page}}
        self.on(action, handle)

    def asked(self, action):
        """The parameters of each request for action, in order."""
        with self.lock:
            return [p for a, p in self.requests if a == action]

    def answer(self, params):
        action = params.pop("Action", None)
        with self.lock:
            self.requests.append((action, params))
        if action not in self.handlers:
            raise Refuse(403, "InvalidAction", "The specified action is not valid.")
        return {"RequestId": "R", **self.handlers[action](dict(params))}

    def start(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def setup(self):
                super().setup()
                with fake.lock:
                    fake.connections += 1
                    fake.open.add(self.connection)

            def finish(self):
                with fake.lock:
                    fake.open.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    pass

            def log_message(self, *args):
                pass

            def address_string(self):
                return "unix"

            def send(self, status, body, headers):
                self.send_response(status)
                self.send_header("Content-Type", "application/json;charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                try:
                    answer = fake.answer(dict(urllib.parse.parse_qsl(form, strict_parsing=True)))
                    self.send(200, json.dumps(answer).encode(), {})
                except Refuse as refuse:
                    self.send(refuse.status, json.dumps(refuse.body).encode(), refuse.headers)
                except Raw as raw:
                    self.send(200, raw.body, {})
                except Wire as wire:
                    self.close_connection = True
                    for piece in wire.pieces:
                        self.wfile.write(piece)
                        self.wfile.flush()
                except Drop:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

        self.server = Server(self.path, Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """Ends it as a killed daemon ends: connections broken, the socket left behind."""
        if not self.server:
            return
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        with self.lock:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.server = None

    def restart(self):
        self.stop()
        os.unlink(self.path)
        return self.start()
