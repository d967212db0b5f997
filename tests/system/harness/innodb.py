# SPDX-License-Identifier: GPL-3.0-or-later
"""InnoDB's files as bytes: which page is what, and pages changed so that their checksum does not tell."""
import os
import struct

PAGE = 16384
INDEX, UNDO = 17855, 2
REDO_START = 12288  # where records begin in ib_logfile0; their first LSN is in its header


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def pages(path):
    with open(path, "rb") as file:
        number = 0
        while len(page := file.read(PAGE)) == PAGE:
            yield number, page
            number += 1


def leaf_page(path, index):
    """The middle leaf of a table's n-th index."""
    found = {}
    for number, page in pages(path):
        kind, = struct.unpack_from(">H", page, 24)
        level, ident = struct.unpack_from(">HQ", page, 64)
        if kind == INDEX:
            found.setdefault(ident, [])
            if level == 0:
                found[ident].append(number)
    leaves = found[sorted(found)[index]]
    assert len(leaves) > 2
    return leaves[len(leaves) // 2]


def undo_page(path):
    """One that is in use, by the descriptors in the first page; None: none is."""
    everything = dict(pages(path))
    for number, page in everything.items():
        at = number // 64 * 40 + 150 + 24 + number % 64 * 2 // 8
        free = everything[0][at] >> number % 64 * 2 % 8 & 1
        if struct.unpack_from(">H", page, 24)[0] == UNDO and not free:
            return number
    return None


def settled_page(path):
    """One of the system tablespace's indexes of which the doublewrite buffer has no copy to mend it by."""
    everything = dict(pages(path))
    copies = {struct.unpack_from(">I", everything[n], 4)[0] for n in range(64, min(192, len(everything)))
              if struct.unpack_from(">I", everything[n], 34)[0] == 0}
    return next(n for n, page in everything.items() if n < 64 and n not in copies and struct.unpack_from(">H", page, 24)[0] == INDEX)


def move_lsn(path, number, lsn):
    """As if the page had been written at that LSN; its checksum is right."""
    with open(path, "r+b") as file:
        file.seek(number * PAGE)
        page = bytearray(file.read(PAGE))
        struct.pack_into(">Q", page, 16, lsn)
        # The lower half is repeated at its end.
        struct.pack_into(">I", page, PAGE - 8, lsn & 0xFFFFFFFF)
        struct.pack_into(">I", page, PAGE - 4, crc32c(page[:PAGE - 4]))
        file.seek(number * PAGE)
        file.write(page)


def redo_offset(path, lsn):
    """Where in ib_logfile0 the byte of that LSN is."""
    with open(path, "rb") as file:
        first, = struct.unpack_from(">Q", file.read(16), 8)
    room = os.stat(path).st_size - REDO_START
    return REDO_START + (lsn - first) % room
