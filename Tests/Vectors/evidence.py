#!/usr/bin/env python3
"""Signed heads and proofs, read a second time: docs/formats/head.md and proof.md, and nothing of the Swift code.

    evidence.py FILE KEY [LEAF-HASH]    says what a proof is: valid, tampered, truncated, forked, wrong-key,
                                        unsupported, nothing

Needs the package `cryptography` for Ed25519.
"""
import base64, binascii, hashlib, re, sys

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
    title = CONSISTENCY if data.startswith(CONSISTENCY[:-1]) else ENTRY
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
    old, new = head_of(old_note, key, notes), head_of(new_note, key, notes)
    if old[1] > new[1]:
        raise Verdict("tampered", "order")
    if old[1] == new[1] and old[2] != new[2]:
        raise Verdict("forked", "")
    if not consistent(old[1], old[2], new[1], new[2], hashes):
        raise Verdict("tampered", "path")


def verdict(data, key_text, leaf=None):
    try:
        check_proof(data, parse_key(key_text), leaf)
        return "valid"
    except Verdict as found:
        return found.args[0]


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        said = verdict(file.read(), sys.argv[2], bytes.fromhex(sys.argv[3]) if len(sys.argv) > 3 else None)
    print(said)
    sys.exit(said != "valid")
