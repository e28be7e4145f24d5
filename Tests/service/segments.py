"""A second reader of the log's files, for tests: docs/formats/segment.md and audit-entry.md, and nothing else."""
import hashlib
import os
import struct

HEADER_BYTES, FRAME_HEADER_BYTES, TRAILER_BYTES = 4096, 48, 32


class Entry:
    """One entry's bytes, where the log has them; its leaf hash is what receipts name."""

    def __init__(self, sequence, raw):
        self.sequence, self.raw = sequence, raw
        self.leaf = hashlib.sha256(b"\0" + raw).digest()
        self.request_id = raw[100:116]


def frame_head(data):
    """(kind, first sequence, count, body bytes) of what looks like a frame, or None."""
    if len(data) < FRAME_HEADER_BYTES or data[:4] != b"CHF1":
        return None
    _, first, count, body = struct.unpack_from(">QQII", data, 8)
    return data[4], first, count, body


def frames(path):
    """(offset, bytes of the frame without its padding) of each frame of a segment."""
    with open(path, "rb") as file:
        data = file.read()
    align, at = struct.unpack_from(">I", data, 28)[0], HEADER_BYTES
    while (head := frame_head(data[at:at + FRAME_HEADER_BYTES])) is not None:
        end = at + FRAME_HEADER_BYTES + head[3] + TRAILER_BYTES
        yield at, data[at:end]
        at = -(-end // align) * align


def segments(directory):
    return sorted(os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".seg"))


def entries(directory):
    """{sequence: Entry} of a log whose chain somebody else verifies."""
    found = {}
    for path in segments(directory):
        for _, frame in frames(path):
            kind, first, count, _ = frame_head(frame)
            at = FRAME_HEADER_BYTES
            for sequence in range(first, first + count if kind == 1 else first):
                length = struct.unpack_from(">I", frame, at)[0]
                found[sequence] = Entry(sequence, frame[at + 4:at + 4 + length])
                at += 4 + length
    return found
