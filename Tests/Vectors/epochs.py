#!/usr/bin/env python3
"""A log's epochs, read a second time: docs/formats/segment.md, audit-entry.md and head.md, and nothing of the Swift code.

    epochs.py LOG [KEY]    says of a log's directory: valid or tampered, its epochs, and what was lost between them

Checks descriptors, links, the first entry of each later epoch, and, with a key, every head that lies beside the log.
Frames and seals are `generate.py`'s.
"""
import glob, os, re, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from evidence import Verdict, node, open_head, parse_checkpoint, parse_key, key_id, parse_note, sha256  # noqa: E402

PREVIOUS_SIZE, PREVIOUS_ROOT, LOST, HEAD = 24, 25, 26, 27
INTENT, ACKNOWLEDGE = 3, 102


def number(data): return int.from_bytes(data, "big")


def descriptor(data, epoch):
    """(log id, name, hash of the descriptor before) of a descriptor that is one."""
    length = number(data[68:70])
    if data[:8] != b"CHEPO\0\0\1" or number(data[24:28]) != epoch or len(data) != 70 + length or not 1 <= length <= 128:
        raise Verdict("tampered", "descriptor of epoch %d" % epoch)
    if (epoch == 1) != (data[36:68] == bytes(32)):
        raise Verdict("tampered", "descriptor of epoch %d" % epoch)
    return data[8:24], data[70:], data[36:68]


def entries(log, epoch):
    """Every entry of an epoch's segments."""
    for place, path in enumerate(sorted(glob.glob(os.path.join(log, "%06d-*.seg" % epoch)))):
        if int(os.path.basename(path)[7:17]) != place:
            raise Verdict("tampered", "a segment is missing")
        with open(path, "rb") as file:
            data = file.read()
        align, at = number(data[28:32]), 4096
        while data[at:at + 4] == b"CHF1":
            count, length = number(data[at + 24:at + 28]), number(data[at + 28:at + 32])
            entry = at + 48
            for _ in range(count if data[at + 4] == 1 else 0):
                size = number(data[entry:entry + 4])
                yield data[entry + 4:entry + 4 + size]
                entry += 4 + size
            at += (48 + length + 32 + align - 1) // align * align


class Tree:
    """An RFC 6962 tree that grows, and its root at the sizes that are asked for."""

    def __init__(self, wanted):
        self.size, self.stack, self.wanted, self.roots = 0, [], set(wanted), {}

    def append(self, leaf):
        index, self.size = self.size, self.size + 1
        while index & 1:
            leaf, index = node(self.stack.pop(), leaf), index >> 1
        self.stack.append(leaf)
        if self.size in self.wanted:
            self.roots[self.size] = self.root()

    def root(self):
        if not self.stack:
            return sha256()
        root = self.stack[-1]
        for one in reversed(self.stack[:-1]):
            root = node(one, root)
        return root


def details(entry):
    """{tag: value} of an entry's detail."""
    at = 152
    for width in (1, 1, 2):
        at += width + number(entry[at:at + width])
    at += 40 * number(entry[150:152])
    for width in (1, 1, 1, 1, 2, 2):
        at += width + number(entry[at:at + width])
    end, at, found = at + 2 + number(entry[at:at + 2]), at + 2, {}
    while at < end:
        size = number(entry[at + 1:at + 3])
        found[entry[at]] = entry[at + 3:at + 3 + size]
        at += 3 + size
    return found


def acknowledgement(entry, epoch, tree):
    """What an epoch's first entry says is lost behind `epoch`: (text, last lost place or None, head or None)."""
    if entry is None or entry[1] != INTENT or number(entry[2:4]) != ACKNOWLEDGE or number(entry[8:16]) != 0:
        raise Verdict("tampered", "the first entry is no acknowledgement")
    said = details(entry)
    if number(said.get(PREVIOUS_SIZE, b"")) != tree.size or said.get(PREVIOUS_ROOT) != tree.root():
        raise Verdict("tampered", "the epoch before ends elsewhere")
    lost = said.get(LOST, b"").decode("ascii", "replace")
    form = re.fullmatch(r"(?:log:(\d+)/(\d+)-(\d+)/(\d+),)?(?:store:(\d+)-(\d+),)?[0-9a-f]{8}", lost)
    if not form or lost.count(",") == 0:
        raise Verdict("tampered", "what is lost")
    last = (int(form[3]), int(form[4])) if form[3] else None
    if last and (int(form[1]), int(form[2])) != (epoch, tree.size):
        raise Verdict("tampered", "what is lost begins elsewhere")
    return lost, last, said.get(HEAD)


def heads(log, epoch):
    """Every head that lies beside an epoch's segments."""
    name = "" if epoch == 1 else "-%06d" % epoch
    found = []
    if os.path.exists(os.path.join(log, "head" + name)):
        with open(os.path.join(log, "head" + name), "rb") as file:
            data = file.read()
        found += [place.rstrip(b"\0") for place in (data[:4096], data[4096:])]
    if os.path.exists(os.path.join(log, "heads" + name)):
        with open(os.path.join(log, "heads" + name), "rb") as file:
            parts = file.read().split(b"\n\n")
        found += [parts[i] + b"\n\n" + parts[i + 1] + b"\n" for i in range(0, len(parts) - 1, 2)]
    return [note for note in found if note]


def key_of(key, origin):
    """The same key under the name that it has in another epoch."""
    return origin, key_id(origin, key[2]), key[2]


def read(log, key=None):
    """The epochs of a log, oldest first; raises the verdict where it is not as it was written."""
    numbers = sorted(int(n[6:]) for n in os.listdir(log) if re.fullmatch(r"epoch-\d{6,}", n))
    if not numbers or numbers[0] != 1:
        raise Verdict("tampered", "the first descriptor")
    strays = {int(n[:6]) for n in os.listdir(log) if re.fullmatch(r"\d{6,}-\d{10,}\.seg", n)} - set(numbers)
    if any(not os.path.exists(os.path.join(log, "epoch-%06d.new" % stray)) for stray in strays):
        raise Verdict("tampered", "an epoch without a descriptor")
    found, before = [], None
    for epoch in numbers:
        with open(os.path.join(log, "epoch-%06d" % epoch), "rb") as file:
            data = file.read()
        log_id, name, previous = descriptor(data, epoch)
        if before and (log_id, name, previous) != (before["id"], before["name"], sha256(before["descriptor"])):
            raise Verdict("tampered", "epoch %d does not go on from epoch %d" % (epoch, before["epoch"]))
        origin = "%s/%s/%d" % (name.decode(), log_id.hex(), epoch)
        notes = heads(log, epoch) if key else []
        opened = [open_head(note, key_of(key, origin)) for note in notes]
        tree, leaf, first = Tree(size for _, size, _ in opened), sha256(data), None
        for sequence, entry in enumerate(entries(log, epoch)):
            first = entry if first is None else first
            if entry[16:48] != leaf or number(entry[8:16]) != sequence:
                raise Verdict("tampered", "entry %d/%d" % (epoch, sequence))
            leaf = sha256(b"\0", entry)
            tree.append(leaf)
        one = {"epoch": epoch, "id": log_id, "name": name, "descriptor": data, "origin": origin, "heads": opened,
               "tree": tree, "lost": None, "last": None}
        if before:
            one["lost"], one["last"], note = acknowledgement(first, before["epoch"], before["tree"])
            if key and note:
                open_head(note, key_of(key, parse_checkpoint(parse_note(note)[0])[0]))
        found.append(one)
        before = one
    if key:
        check_heads(found)
    return found


def check_heads(found):
    for one, after in zip(found, found[1:] + [None]):
        last = after["last"] if after else None
        for _, size, root in one["heads"]:
            if size <= one["tree"].size and size and one["tree"].roots[size] != root:
                raise Verdict("forked", "a head over %d" % size)
            if size > one["tree"].size and (not last or (one["epoch"], size - 1) > last):
                raise Verdict("truncated", "a head over %d" % size)


def verdict(log, key_text=None):
    """(word, [(epoch, entries, root in hex, what was lost before it)])."""
    try:
        found = read(log, parse_key(key_text) if key_text else None)
        return "valid", [(one["epoch"], one["tree"].size, one["tree"].root().hex(), one["lost"]) for one in found]
    except Verdict as fault:
        return fault.args[0], list(fault.args[1:])


if __name__ == "__main__":
    said = verdict(*sys.argv[1:3])
    print(*said)
    sys.exit(said[0] != "valid")
