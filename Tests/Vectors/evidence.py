#!/usr/bin/env python3
"""Signed heads, proofs and tenants' histories, read a second time: docs/formats/head.md, proof.md and history.md, and
nothing of the Swift code.

    evidence.py FILE KEY [LEAF-HASH]    says what a proof is: valid, tampered, truncated, forked, wrong-key,
                                        unsupported, nothing
    evidence.py DIRECTORY KEY [TENANT]  says the same of an export of a tenant's history

Needs the package `cryptography` for Ed25519.
"""
import base64, binascii, hashlib, os, re, sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Verdict(Exception):
    """Why something is not valid; the first argument is the word."""


def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def node(left, right): return sha256(b"\x01", left, right)


def unbase64(text, word="tampered"):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Verdict(word, "base64")
    if base64.b64encode(data) != bytes(text):
        raise Verdict(word, "another spelling")
    return data


# ---- signed notes (C2SP signed-note)

def key_id(name, public): return sha256(name.encode(), b"\n\x01", public)[:4]


def parse_key(text):
    """A verifier key as (name, id, public key)."""
    parts = text.strip(" \t\r\n").split("+", 2)
    if len(parts) != 3 or not is_name(parts[0]) or not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise Verdict("bad-key", "text")
    blob = unbase64(parts[2].encode(), "bad-key")
    if not blob:
        raise Verdict("bad-key", "text")
    if blob[0] != 1:
        raise Verdict("bad-key", "algorithm")
    if len(blob) != 33:
        raise Verdict("bad-key", "text")
    if key_id(parts[0], blob[1:]).hex() != parts[1]:
        raise Verdict("bad-key", "hash")
    return parts[0], bytes.fromhex(parts[1]), blob[1:]


def is_name(name):
    return name != "" and not any(c == "+" or c.isspace() or ord(c) < 32 for c in name)


def parse_note(note):
    """A note as (text, [(name, key id, signature)])."""
    if not note:
        raise Verdict("truncated", "empty")
    try:
        note.decode("utf-8")
    except UnicodeDecodeError:
        raise Verdict("tampered", "not UTF-8")
    if len(note) > 65536 or any(c < 32 and c != 10 for c in note):
        raise Verdict("tampered", "not text")
    blank = note.rfind(b"\n\n")
    if blank < 1 or not note.endswith(b"\n") or blank + 2 == len(note):
        raise Verdict("truncated", "no signatures")
    text, signatures = note[:blank + 1], []
    lines = note[blank + 2:-1].split(b"\n")
    if len(lines) > 64:
        raise Verdict("tampered", "too many signatures")
    for line in lines:
        parts = line.split(b" ")
        if len(parts) != 3 or parts[0] != "—".encode() or not is_name(parts[1].decode()):
            raise Verdict("tampered", "signature line")
        blob = unbase64(parts[2])
        if len(blob) < 5:
            raise Verdict("tampered", "signature line")
        signatures.append((parts[1].decode(), blob[:4], blob[4:]))
    return text, signatures


def open_note(note, key):
    """The text of a note that the key signed."""
    text, signatures = parse_note(note)
    own = [s for n, i, s in signatures if (n, i) == key[:2]]
    if not own:
        raise Verdict("wrong-key", "")
    for signature in own:
        try:
            Ed25519PublicKey.from_public_bytes(key[2]).verify(signature, text)
        except (InvalidSignature, ValueError):
            raise Verdict("tampered", "signature")
    return text


# ---- heads (C2SP tlog-checkpoint)

def parse_checkpoint(text):
    lines = text[:-1].split(b"\n")
    if len(lines) < 3 or b"" in lines or not re.fullmatch(b"0|[1-9][0-9]{0,19}", lines[1]) or len(lines[2]) != 44:
        raise Verdict("tampered", "head")
    if int(lines[1]) >= 1 << 64:
        raise Verdict("tampered", "head")
    root = unbase64(lines[2])
    if len(root) != 32:
        raise Verdict("tampered", "head")
    return lines[0].decode(), int(lines[1]), root


def open_head(note, key):
    """(origin, size, root) of a head that the key signed: the key of its own origin."""
    text, _ = parse_note(note)
    head = parse_checkpoint(text)
    if head[0] != key[0]:
        raise Verdict("wrong-key", "origin")
    open_note(note, key)
    return head


# ---- proofs (RFC 9162 2.1.3.2 and 2.1.4.2)

def included(leaf, index, size, root, proof):
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def consistent(old, old_root, new, new_root, proof):
    if old > new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == sha256()
    if not proof:
        return False
    path = ([old_root] if old & (old - 1) == 0 else []) + list(proof)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for p in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(p, fr), node(p, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


ENTRY, CONSISTENCY = b"c2sp.org/tlog-proof@v1", b"chatelaine/consistency-proof@v1"


def check_proof(data, key, leaf=None):
    """Returns where the proof is valid, else raises the verdict."""
    if not data:
        raise Verdict("nothing", "")
    title = CONSISTENCY if data.startswith(CONSISTENCY[:-1]) or CONSISTENCY.startswith(data) else ENTRY
    if len(data) > 262144:
        raise Verdict("tampered", "too long")
    if b"\n" not in data:
        raise Verdict("truncated" if title.startswith(data) else "tampered", "title")
    first, rest = data.split(b"\n", 1)
    if first != title:
        raise Verdict("unsupported" if first.startswith(title[:-1]) else "tampered", "title")
    (check_entry if title == ENTRY else check_consistency)(rest, key, leaf)


def take_line(rest):
    if b"\n" not in rest:
        raise Verdict("truncated", "line")
    return rest.split(b"\n", 1)


def take_hashes(rest):
    hashes = []
    while True:
        line, rest = take_line(rest)
        if not line:
            return hashes, rest
        if len(line) != 44 or len(hashes) == 65:
            raise Verdict("tampered", "hash")
        hashes.append(unbase64(line))


def head_of(note, key, data):
    if not note.endswith(b"\n") or not data.endswith(b"\n"):
        raise Verdict("truncated", "head")
    return open_head(note, key)


def check_entry(rest, key, leaf):
    data, entry = rest, None
    line, after = take_line(rest)
    if line.startswith(b"extra "):
        entry, rest = unbase64(line[6:]), after
        line, after = take_line(rest)
    if not re.fullmatch(b"index (0|[1-9][0-9]{0,19})", line) or int(line[6:]) >= 1 << 64:
        raise Verdict("tampered", "index")
    index = int(line[6:])
    hashes, note = take_hashes(after)
    _, size, root = head_of(note, key, data)
    own = sha256(b"\0", entry) if entry is not None else leaf
    if own is None or leaf not in (None, own):
        raise Verdict("tampered", "leaf")
    if not included(own, index, size, root, hashes):
        raise Verdict("tampered", "path")
    # An entry's number stands at its offset 8 (docs/formats/audit-entry.md).
    if entry is not None and (len(entry) < 152 or int.from_bytes(entry[8:16], "big") != index):
        raise Verdict("tampered", "number")


def check_consistency(rest, key, _):
    hashes, notes = take_hashes(rest)
    first = notes.find(b"\n\n")
    second = notes.find(b"\n\n", first + 1)
    if first < 0 or second < 0:
        raise Verdict("truncated", "heads")
    old_note, new_note = notes[:second + 1], notes[second + 2:]
    for note in (old_note, new_note):
        if not note.endswith(b"\n") or not notes.endswith(b"\n"):
            raise Verdict("truncated", "head")
        parse_checkpoint(parse_note(note)[0])
    old, new = head_of(old_note, key, notes), head_of(new_note, key, notes)
    if old[1] > new[1]:
        raise Verdict("tampered", "order")
    if old[1] == new[1] and old[2] != new[2]:
        raise Verdict("forked", "")
    if not consistent(old[1], old[2], new[1], new[2], hashes):
        raise Verdict("tampered", "path")


# ---- tenants' histories

HISTORY = b"chatelaine/tenant-history@v1"
NAME = re.compile(rb"[a-z0-9][a-z0-9._-]{0,63}\Z")
LAG, LINE = 1 << 20, 64 + 65537 // 3 * 4


def u64(number): return number.to_bytes(8, "big")


def entry_fields(entry):
    """(class, operation, outcome, number, tenant, items' outcomes, details) of a well-formed entry."""
    def take(count):
        nonlocal at
        if at + count > len(entry):
            raise Verdict("tampered", "entry")
        at += count
        return entry[at - count:at]

    def sized(width): return take(int.from_bytes(take(width), "big"))

    at = 152
    if not 152 <= len(entry) <= 65535 or entry[0] != 1 or not 1 <= entry[1] <= 9:
        raise Verdict("tampered", "entry")
    tenant, key_name, principal = sized(1), sized(1), sized(2)
    count = int.from_bytes(entry[150:152], "big")
    items = [take(40) for _ in range(count)] if count <= 1024 else take(1 << 30)
    texts = [sized(1) for _ in range(4)]
    sized(2), sized(2)
    detail, details = sized(2), []
    if at != len(entry) or len(principal) > 512 or len(texts[3]) not in (0, 16) or len(detail) > 16384 or not (
            is_tenant(tenant) and (not key_name or NAME.match(key_name))):
        raise Verdict("tampered", "entry")
    widths = {1: 32, 2: 8, 3: 32, 4: 32, 5: 8, 6: 8, 7: 8, 8: 8, 11: 4, 12: 1, 14: 32, 20: 8, 21: 32}
    while detail:
        tag, size = detail[0], int.from_bytes(detail[1:3], "big")
        value, detail = detail[3:3 + size], detail[3 + size:]
        if len(value) != size or size != widths.get(tag, size) or details and details[-1][0] >= tag:
            raise Verdict("tampered", "detail")
        details.append((tag, value))
    numbers = [int.from_bytes(entry[a:b], "big") for a, b in ((1, 2), (2, 4), (4, 6), (8, 16))]
    return (*numbers, tenant, [int.from_bytes(i[:2], "big") for i in items], details)


def is_tenant(name): return name == b"_service" or bool(NAME.match(name))


class History:
    """What a tenant's entries come to."""

    def __init__(self, tenant):
        self.tenant, self.count, self.last = tenant, 0, 0
        self.hash = sha256(b"chatelaine/v1/tenant-history", tenant)

    def take(self, number, leaf):
        self.count, self.last, self.hash = self.count + 1, number, sha256(b"\3", self.hash, leaf)

    def leaf(self):
        return sha256(b"\0", bytes([len(self.tenant)]), self.tenant, u64(self.count), u64(self.last), self.hash)


def tenant_heads(entry):
    """(size, tenants, root) that an entry commits to."""
    class_, operation, outcome, number, tenant, _, details = entry_fields(entry)
    if (class_, operation, outcome, tenant) != (7, 114, 1, b"_service") or [tag for tag, _ in details] != [8, 20, 21]:
        raise Verdict("tampered", "tenant heads")
    tenants, size = (int.from_bytes(value, "big") for _, value in details[:2])
    if not 0 < size <= number or number - size > LAG:
        raise Verdict("tampered", "tenant heads")
    return size, tenants, details[2][1]


def begins(fields): return fields[0] == 3 or fields[2] == 1 or 1 in fields[5]


def histories(entries):
    """The histories of these entries, in the order in which they begin."""
    found = {}
    for entry in entries:
        fields = entry_fields(entry)
        if fields[4] in found or begins(fields):
            found.setdefault(fields[4], History(fields[4])).take(fields[3], sha256(b"\0", entry))
    return found


def root_of(leaves):
    level = leaves or [sha256()]
    while len(level) > 1:
        level = [node(*level[i:i + 2]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]


def check_tenant_heads(entries):
    """The number of the first entry of class 7 that is wrong in a log from its first entry on, or None; and how many there are."""
    found, before, done, count = {}, 0, 0, 0
    for number, entry in enumerate(entries):
        if entry[1] != 7:
            continue
        count += 1
        try:
            size, tenants, root = tenant_heads(entry)
        except Verdict:
            return number, count
        if size <= before:
            return number, count
        for one in entries[done:size]:
            fields = entry_fields(one)
            if fields[4] in found or begins(fields):
                found.setdefault(fields[4], History(fields[4])).take(fields[3], sha256(b"\0", one))
        before = done = size
        if tenants != len(found) or root != root_of([history.leaf() for history in found.values()]):
            return number, count
    return None, count


def check_history(lines, proof, key, tenant=None):
    """Raises the verdict where these are not a valid export; None stands for a file that is not there."""
    if lines is None and proof is None:
        raise Verdict("nothing", "")
    if lines is None or proof is None:
        raise Verdict("truncated", "file")
    if not proof:
        raise Verdict("nothing", "")
    if len(proof) > 262144 + 8192:
        raise Verdict("tampered", "too long")
    if b"\n" not in proof:
        raise Verdict("truncated" if HISTORY.startswith(proof) else "tampered", "title")
    first, rest = proof.split(b"\n", 1)
    if first != HISTORY:
        raise Verdict("unsupported" if first.startswith(HISTORY[:-1]) else "tampered", "title")
    line, rest = take_line(rest)
    owner = line[7:]
    if not line.startswith(b"tenant ") or not is_tenant(owner):
        raise Verdict("tampered", "tenant")
    line, rest = take_line(rest)
    if not re.fullmatch(b"index (0|[1-9][0-9]{0,19})", line) or int(line[6:]) >= 1 << 64:
        raise Verdict("tampered", "index")
    index = int(line[6:])
    hashes, rest = take_hashes(rest)
    if not rest:
        raise Verdict("truncated", "commitment")
    if rest.startswith(CONSISTENCY[:-1]):
        raise Verdict("tampered", "commitment")
    check_proof(rest, key)
    extra = rest.split(b"\n", 2)[1]
    size, tenants, root = tenant_heads(unbase64(extra[6:]))
    history = check_lines(lines, owner, size)
    if not included(history.leaf(), index, tenants, root, hashes):
        raise Verdict("tampered", "history")
    if tenant not in (None, owner):
        raise Verdict("tampered", "another tenant")


def check_lines(lines, owner, size):
    history = History(owner)
    *whole, rest = lines.split(b"\n")
    for line in whole:
        found = re.fullmatch(rb'\{"sequence":([0-9]+),"entry":"([A-Za-z0-9+/=]*)"\}', line)
        if not found:
            raise Verdict("tampered", "line")
        entry = unbase64(found[2])
        number, tenant = entry_fields(entry)[3:5]
        if found[1] != b"%d" % number or tenant != owner or history.count and number <= history.last or number >= size:
            raise Verdict("tampered", "line")
        history.take(number, sha256(b"\0", entry))
    if len(rest) > LINE:
        raise Verdict("tampered", "line")
    if rest or not history.count:
        raise Verdict("truncated", "lines")
    return history


def history_verdict(lines, proof, key_text, tenant=None):
    try:
        check_history(lines, proof, parse_key(key_text), tenant)
        return "valid"
    except Verdict as found:
        return found.args[0]


def export_verdict(directory, key_text, tenant=None):
    def content(name):
        path = os.path.join(directory, name)
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read()
    return history_verdict(content("entries.jsonl"), content("history.proof"), key_text, tenant)


def verdict(data, key_text, leaf=None):
    try:
        check_proof(data, parse_key(key_text), leaf)
        return "valid"
    except Verdict as found:
        return found.args[0]


if __name__ == "__main__":
    if os.path.isdir(sys.argv[1]):
        said = export_verdict(sys.argv[1], sys.argv[2], sys.argv[3].encode() if len(sys.argv) > 3 else None)
        print(said)
        sys.exit(said != "valid")
    with open(sys.argv[1], "rb") as file:
        said = verdict(file.read(), sys.argv[2], bytes.fromhex(sys.argv[3]) if len(sys.argv) > 3 else None)
    print(said)
    sys.exit(said != "valid")
