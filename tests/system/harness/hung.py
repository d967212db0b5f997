# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system whose server hangs: whoever asks it for anything waits, and not even SIGKILL ends that."""
import contextlib
import ctypes
import os
import struct
import threading

from .disk import unmount

LOOKUP, FORGET, GETATTR, OPEN, INIT = 1, 2, 3, 14, 26
ROOT, FILE = 1, 2


class Hung:
    """with Hung(folder): a FUSE is mounted there, and this process has a file of it open."""

    def __init__(self, folder):
        self.folder = folder
        self.hangs = False

    def __enter__(self):
        self.device = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self.device},rootmode=40755,user_id=0,group_id=0"
        if libc.mount(b"hung", self.folder.encode(), b"fuse", 0, options.encode()) < 0:
            raise OSError(ctypes.get_errno(), "mount")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        self.file = os.open(os.path.join(self.folder, "file"), os.O_RDONLY)
        self.hangs = True
        return self

    def serve(self):
        while not self.hangs:
            self.answer(os.read(self.device, 1 << 17))

    def answer(self, request):
        _, operation, unique, node = struct.unpack_from("<IIQQ", request)
        if operation == FORGET:
            return
        body = {INIT: lambda: struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 16, 12, 4096, 1, 1, 0, 0),
                LOOKUP: lambda: struct.pack("<QQQQII", FILE, 0, 0, 0, 0, 0) + self.attributes(FILE),
                GETATTR: lambda: struct.pack("<QII", 0, 0, 0) + self.attributes(node),
                OPEN: lambda: struct.pack("<QII", 1, 0, 0)}.get(operation)
        said = body() if body else b""
        self.hangs = operation == OPEN
        os.write(self.device, struct.pack("<IiQ", 16 + len(said), 0 if body else -38, unique) + said)

    @staticmethod
    def attributes(node):
        mode = 0o040755 if node == ROOT else 0o100644
        return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def __exit__(self, *_):
        # Whoever waits for it hears that it is gone.
        os.close(self.device)
        self.thread.join()
        with contextlib.suppress(OSError):
            os.close(self.file)
        unmount(self.folder)
