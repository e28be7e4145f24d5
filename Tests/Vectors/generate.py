#!/usr/bin/env python3
"""Chatelaine's formats, a second time: makes and checks the test vectors.

This is an implementation of docs/formats/ in Python that shares no code with the Swift one. It makes every
vector beside it and reads each one back with its own readers, so a vector's `expect` is what the rules say.
Nothing here is random: bytes come from SHA-256 of a label and a counter, so every run writes the same files.
None of these keys may be used for anything.

    python3 generate.py            write the files next to this one
    python3 generate.py --check    write nothing; exit 1 and name the files when one differs

Needs Python 3.9 or later, the package `cryptography` (AES, Ed25519), and libsodium (XChaCha20-Poly1305, Argon2id).
"""
import base64, ctypes, ctypes.util, hashlib, hmac, json, re, sys
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import cosigned
import evidence

HERE = Path(__file__).resolve().parent
ASSERTED = {}  # what was asserted, and how often


class Refused(Exception):
    """A reader's refusal; the first argument is the reason as the vectors spell it."""


def check(what, condition):
    assert condition, what
    ASSERTED[what] = ASSERTED.get(what, 0) + 1


def need(condition, reason="malformed"):
    if not condition:
        raise Refused(reason)


# ---------------------------------------------------------------- bytes and primitives

def u8(n): return n.to_bytes(1, "big")
def u16(n): return n.to_bytes(2, "big")
def u32(n): return n.to_bytes(4, "big")
def u64(n): return n.to_bytes(8, "big")
def short(x): return u8(len(x)) + x    # "u8 x"
def long(x): return u16(len(x)) + x    # "u16 x"
def number(b): return int.from_bytes(b, "big")
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def flip(b, at, mask=1): return b[:at] + bytes([b[at] ^ mask]) + b[at + 1:]
def put(b, at, new): return b[:at] + new + b[at + len(new):]


def rnd(label, count):
    """Bytes that look random and are the same on every run."""
    out = b"".join(sha256(b"chatelaine vectors ", label.encode(), u32(i)) for i in range((count + 31) // 32))
    return out[:count]


sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
assert sodium.sodium_init() >= 0


def xchacha_seal(key, nonce, plaintext, aad):
    out = ctypes.create_string_buffer(len(plaintext) + 16)
    assert 0 == sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, None, plaintext, ctypes.c_ulonglong(len(plaintext)), aad, ctypes.c_ulonglong(len(aad)), None, nonce, key)
    return out.raw


def xchacha_open(key, nonce, sealed, aad):
    out = ctypes.create_string_buffer(max(1, len(sealed) - 16))
    if sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
            out, None, None, sealed, ctypes.c_ulonglong(len(sealed)), aad, ctypes.c_ulonglong(len(aad)), nonce, key):
        raise InvalidTag()
    return out.raw[:len(sealed) - 16]


def argon2id(passphrase, salt, kib, passes):
    out = ctypes.create_string_buffer(32)
    assert 0 == sodium.crypto_pwhash(
        out, ctypes.c_ulonglong(32), passphrase, ctypes.c_ulonglong(len(passphrase)), salt,
        ctypes.c_ulonglong(passes), ctypes.c_size_t(kib * 1024), 2)
    return out.raw


def aead_seal(suite, key, plaintext, aad):
    if suite == 1:
        return AESGCM(key).encrypt(bytes(12), plaintext, aad)
    return xchacha_seal(key, bytes(24), plaintext, aad)


def aead_open(suite, key, sealed, aad):
    if suite == 1:
        return AESGCM(key).decrypt(bytes(12), sealed, aad)
    return xchacha_open(key, bytes(24), sealed, aad)


def tree_root(leaves):
    """RFC 6962 root over leaf hashes."""
    if not leaves:
        return sha256(b"")
    # Level by level, an odd last node moving up unchanged, gives the same root as the RFC's recursion.
    level = list(leaves)
    while len(level) > 1:
        level = [sha256(b"\x01", *level[i:i + 2]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]


# ---------------------------------------------------------------- derivation and context

LABELS = ["kcv", "wrap", "row", "idempotency", "audit-context", "envelope", "stream", "mac", "index", "seal"]


def derive(key, label, info):
    return hmac.new(key, b"chatelaine/v1/" + label.encode() + b"\x00" + info + b"\x01", "sha512").digest()


def context_hash(tenant, subject, pairs):
    pairs = sorted(pairs)
    need(len({k for k, _ in pairs}) == len(pairs))
    return sha256(b"chatelaine/v1/context\x00", long(tenant), long(subject), u16(len(pairs)),
                  *[long(k) + long(v) for k, v in pairs])


# ---------------------------------------------------------------- envelope

def envelope_seal(key, kind, suite, key_id, version, salt, context, plaintext):
    head = b"CH\x01" + u8(kind << 4 | suite) + key_id + u32(version) + salt
    okm = derive(key, "envelope", head + context)
    head += okm[32:]
    return head + aead_seal(suite, okm[:32], plaintext, head + context)


def envelope_parse(e):
    need(len(e) >= 96)
    need(e[0:3] == b"CH\x01")
    suite, kind, version = e[3] & 15, e[3] >> 4, number(e[20:24])
    need(suite in (1, 2))
    need(kind in (0, 1, 2))
    need((version == 0) == (kind == 2))
    return dict(kind=kind, suite=suite, keyId=e[4:20], keyVersion=version)


def envelope_open(key, tenant, subject, pairs, e):
    h = envelope_parse(e)
    need((subject != b"") == (h["kind"] == 1), "key-or-context")
    context = context_hash(tenant, subject, pairs)
    okm = derive(key, "envelope", e[:48] + context)
    need(hmac.compare_digest(okm[32:], e[48:80]), "key-or-context")
    try:
        return aead_open(h["suite"], okm[:32], e[80:], e[:80] + context)
    except InvalidTag:
        raise Refused("body")


def text_form(b):
    return "ch1." + base64.urlsafe_b64encode(b).decode().rstrip("=")


def text_parse(t):
    m = re.fullmatch(r"ch1\.([A-Za-z0-9_-]+)", t, re.ASCII)
    need(m and not t.endswith("\n"), "refused")
    body = m.group(1)
    need(len(body) % 4 != 1, "refused")
    b = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    need(text_form(b) == t, "refused")  # bits beyond the last byte are zero
    return b


# ---------------------------------------------------------------- wrapped key

def record_hash(tenant, key_name, subject, purpose, suite, created):
    return sha256(b"chatelaine/v1/record\x00", long(tenant), long(key_name), long(subject), u8(purpose), u8(suite), u64(created))


def wrap(wrapping, kind, id, version, wid, wversion, salt, record, key):
    head = b"CW\x01" + u8(kind) + id + u32(version) + wid + u32(wversion) + salt
    okm = derive(wrapping, "wrap", head + record)
    head += okm[32:]
    return head + aead_seal(1, okm[:32], key, head + record)


def wrapped_parse(w):
    need(len(w) == 148)
    need(w[0:3] == b"CW\x01")
    kind, version, wversion = w[3], number(w[20:24]), number(w[40:44])
    need(1 <= kind <= 5)
    need((version == 0) == (kind == 5))
    need(wversion >= 1)
    return dict(kind=kind, id=w[4:20], version=version, wid=w[24:40], wversion=wversion)


def unwrap(wrapping, wid, wversion, record, w):
    h = wrapped_parse(w)
    need((h["wid"], h["wversion"]) == (wid, wversion), "key-or-context")
    okm = derive(wrapping, "wrap", w[:68] + record)
    need(hmac.compare_digest(okm[32:], w[68:100]), "key-or-context")
    try:
        return aead_open(1, okm[:32], w[100:], w[:100] + record)
    except InvalidTag:
        raise Refused("body")


def local_parse(b):
    """A wrapped data key and an envelope made with it."""
    need(len(b) >= 148 + 96)
    w, e = wrapped_parse(b[:148]), envelope_parse(b[148:])
    need(w["kind"] == 5 and e["kind"] == 2 and w["id"] == e["keyId"])
    return b[:148], b[148:]


# ---------------------------------------------------------------- keyring file

def key_check_value(master, keyring_id, version):
    return derive(master, "kcv", keyring_id + u32(version))[:32]


def keyring_head(seal, keyring_id, version, created, kcv):
    return b"CK\x01" + u8(seal) + keyring_id + u32(version) + u64(created) + kcv


def keyring_plain(keyring_id, version, created, master, kcv=None):
    f = keyring_head(1, keyring_id, version, created, kcv or key_check_value(master, keyring_id, version)) + master
    return f + sha256(f)


def keyring_sealed(keyring_id, version, created, master, passphrase, kib, passes, argon_salt, salt, kcv=None):
    f = keyring_head(2, keyring_id, version, created, kcv or key_check_value(master, keyring_id, version))
    f += u32(kib) + u32(passes) + argon_salt + salt
    okm = derive(argon2id(passphrase, argon_salt, kib, passes), "seal", f)
    f += okm[32:]
    f += aead_seal(2, okm[:32], master, f)
    return f + sha256(f)


def keyring_open(f, passphrase):
    need(len(f) in (128, 224))
    need(f[0:3] == b"CK\x01")
    need(f[3] in (1, 2) and len(f) == {1: 128, 2: 224}[f[3]])
    need(sha256(f[:-32]) == f[-32:], "damaged")
    keyring_id, version, created = f[4:20], number(f[20:24]), number(f[24:32])
    need(version >= 1)
    if f[3] == 1:
        master = f[64:96]
    else:
        kib, passes = number(f[64:68]), number(f[68:72])
        need(8192 <= kib <= 1048576 and 1 <= passes <= 16)
        need(1 <= len(passphrase) <= 1024, "wrong-passphrase")
        okm = derive(argon2id(passphrase, f[72:88], kib, passes), "seal", f[:112])
        need(hmac.compare_digest(okm[32:], f[112:144]), "wrong-passphrase")
        try:
            master = aead_open(2, okm[:32], f[144:192], f[:144])
        except InvalidTag:
            raise Refused("damaged")
    need(hmac.compare_digest(key_check_value(master, keyring_id, version), f[32:64]), "wrong-key")
    return dict(keyringId=keyring_id, version=version, createdNs=created, masterKey=master, keyCheckValue=f[32:64])


# ---------------------------------------------------------------- audit entry

# The fixed part in byte order: name, width in bytes, how it is written here.
ENTRY_FIXED = [
    ("version", 1, int), ("class", 1, int), ("operation", 2, int), ("outcome", 2, int), ("reason", 2, int),
    ("seq", 8, str), ("prev", 32, bytes), ("blind", 16, bytes), ("wallNs", 8, str), ("bootNs", 8, str),
    ("incarnation", 4, int), ("peerPid", 4, int), ("peerUid", 4, int), ("connection", 8, str), ("requestId", 16, bytes),
    ("keyId", 16, bytes), ("keyVersion", 4, int), ("masterVersion", 4, int), ("storeGeneration", 8, str),
    ("door", 1, int), ("principalKind", 1, int),
]
# 9, 10, 26 and 27 are text
DETAIL_WIDTH = {1: 32, 2: 8, 3: 32, 4: 32, 5: 8, 6: 8, 7: 8, 8: 8, 11: 4, 12: 1, 14: 32, 20: 8, 21: 32, 24: 8, 25: 32}
NAME = re.compile(rb"[a-z0-9][a-z0-9._-]{0,63}\Z")
EMPTY_ENTRY = dict(
    {n: (bytes(w) if k is bytes else 0) for n, w, k in ENTRY_FIXED}, version=1, **{"class": 1}, tenant=b"_service", keyName=b"",
    principal=b"", items=[], role=b"", rule=b"", source=b"", subjectDigest=b"", actor=b"", purpose=b"", details=[])


def detail_bytes(details):
    return b"".join(u8(tag) + long(value) for tag, value in details)


def entry_bytes(f, detail=None):
    f = {**EMPTY_ENTRY, **f}
    fixed = b"".join(f[n] if k is bytes else f[n].to_bytes(w, "big") for n, w, k in ENTRY_FIXED)
    assert len(fixed) == 150
    return (fixed + u16(len(f["items"])) + short(f["tenant"]) + short(f["keyName"]) + long(f["principal"])
            + b"".join(u16(o) + u16(r) + u32(b) + c for o, r, b, c in f["items"])
            + short(f["role"]) + short(f["rule"]) + short(f["source"]) + short(f["subjectDigest"])
            + long(f["actor"]) + long(f["purpose"]) + long(detail_bytes(f["details"]) if detail is None else detail))


def entry_parse(e):
    need(152 <= len(e) <= 65535)
    at = 0

    def take(count):
        nonlocal at
        need(at + count <= len(e))
        at += count
        return e[at - count:at]

    f = {n: (take(w) if k is bytes else number(take(w))) for n, w, k in ENTRY_FIXED}
    need(f["version"] == 1 and 1 <= f["class"] <= 9)
    n = number(take(2))
    need(n <= 1024)
    f["tenant"] = take(number(take(1)))
    need(f["tenant"] == b"_service" or NAME.match(f["tenant"]))
    f["keyName"] = take(number(take(1)))
    need(f["keyName"] == b"" or NAME.match(f["keyName"]))
    f["principal"] = take(number(take(2)))
    need(len(f["principal"]) <= 512)
    f["items"] = [(number(take(2)), number(take(2)), number(take(4)), take(32)) for _ in range(n)]
    for name in ("role", "rule", "source", "subjectDigest"):
        f[name] = take(number(take(1)))
    need(len(f["subjectDigest"]) in (0, 16))
    for name in ("actor", "purpose"):
        f[name] = take(number(take(2)))
    detail = take(number(take(2)))
    need(len(detail) <= 16384)
    need(at == len(e))
    f["details"], d = [], 0
    while d < len(detail):
        need(d + 3 <= len(detail))
        tag, size = detail[d], number(detail[d + 1:d + 3])
        need(d + 3 + size <= len(detail))
        need(not f["details"] or f["details"][-1][0] < tag)
        need(DETAIL_WIDTH.get(tag, size) == size)
        f["details"].append((tag, detail[d + 3:d + 3 + size]))
        d += 3 + size
    return f


def leaf_hash(entry):
    return sha256(b"\x00", entry)


# ---------------------------------------------------------------- log: epoch descriptor, segments, frames

def descriptor(log_id, epoch, created, previous, name):
    return b"CHEPO\x00\x00\x01" + log_id + u32(epoch) + u64(created) + previous + long(name)


def frame(kind, no, first, count, body, nonce, align, last_leaf=b""):
    head = b"CHF1" + u8(kind) + bytes(3) + u64(no) + u64(first) + u32(count) + u32(len(body)) + nonce
    raw = head + body + sha256(b"\x02", head, last_leaf if kind == 1 else body)
    return raw + bytes(-len(raw) % align)


def header_page(log_id, epoch, align, no, first, prev_leaf, root, size, max_frame, prev_header):
    page = (b"CHSEG\x00\x00\x01" + log_id + u32(epoch) + u32(align) + u64(no) + u64(first) + prev_leaf + root
            + u64(size) + u32(max_frame) + u32(0) + prev_header)
    page = page.ljust(4064, b"\x00")
    return page + sha256(page)


class Log:
    """Writes a log directory, held as {file name: bytes}."""
    ALIGN, SIZE, MAX_FRAME = 512, 147456, 131072

    def __init__(self, seed):
        self.seed, self.log_id = seed, rnd(seed + "/log id", 16)
        d = descriptor(self.log_id, 1, 1700000000000000000, bytes(32), b"vectors")
        self.files, self.prev, self.leaves = {"epoch-000001": d}, sha256(d), []
        self.frames = []  # (file, offset, length, first seq, count)
        self.segment_no, self.frame_no, self.header = -1, 0, None
        self.open_segment()

    def open_segment(self):
        self.segment_no += 1
        previous = sha256(self.header) if self.header else bytes(32)
        self.header = header_page(self.log_id, 1, self.ALIGN, self.segment_no, len(self.leaves), self.prev,
                                  tree_root(self.leaves), self.SIZE, self.MAX_FRAME, previous)
        self.name = "%06u-%010u.seg" % (1, self.segment_no)
        self.files[self.name], self.end = self.header.ljust(self.SIZE, b"\x00"), 4096

    def append(self, kind, count, body, last_leaf=b""):
        first = len(self.leaves) - count
        raw = frame(kind, self.frame_no, first, count, body, rnd(self.seed + "/nonce", 16), self.ALIGN, last_leaf)
        assert len(raw) <= self.MAX_FRAME and self.end + len(raw) <= self.SIZE
        self.files[self.name] = put(self.files[self.name], self.end, raw)
        self.frames.append((self.name, self.end, len(raw), first, count))
        self.frame_no, self.end = self.frame_no + 1, self.end + len(raw)

    def entries(self, count, items=0):
        body = b""
        for _ in range(count):
            entry = sample_entry(self.seed, len(self.leaves), self.prev, items)
            self.prev = leaf_hash(entry)
            self.leaves.append(self.prev)
            body += u32(len(entry)) + entry
        self.append(1, count, body, self.prev)

    def seal(self, cut=True, root=None):
        n = len(self.leaves)
        body = u64(n - 1) + u64(n) + (root or tree_root(self.leaves)) + sha256(self.files[self.name][:self.end])
        self.append(3, 0, body)
        if cut:
            self.files[self.name] = self.files[self.name][:self.end]


def sample_entry(seed, seq, prev, items):
    label = "%s/entry %u" % (seed, seq)
    common = dict(seq=seq, prev=prev, blind=rnd(label + "/blind", 16), wallNs=1700000000000000000 + seq * 1000003,
                  bootNs=5000000000 + seq * 1000003, incarnation=1, storeGeneration=7, masterVersion=1)
    if seq == 0:
        return entry_bytes({**common, "class": 5, "operation": 96, "outcome": 1, "details": [(9, b"1.0.0")]})
    return entry_bytes({
        **common, "class": 1 if seq % 5 else 2, "operation": 1 + seq % 2, "outcome": 1 if seq % 5 else 2, "reason": 0 if seq % 5 else 1,
        "peerPid": 4000 + seq, "peerUid": 1000, "connection": 3, "requestId": rnd(label + "/request", 16), "keyId": rnd(seed + "/key", 16),
        "keyVersion": 1, "door": 1, "principalKind": 1, "tenant": (b"acme", b"globex")[seq % 2], "keyName": b"records",
        "principal": b"uid:1000", "items": [(1, 0, 100 + i, rnd(label + "/item %u" % i, 32)) for i in range(items)],
        "role": b"app", "rule": b"allow-app", "source": b"app.service", "actor": b"user-%u" % seq, "purpose": b"render"})


def frame_whole(data, at, align, max_frame):
    """The frame at this offset if it is whole by itself; None if not. Does not look at what came before it."""
    head = data[at:at + 48]
    if len(head) < 48 or head[:4] != b"CHF1" or head[4] not in (1, 2, 3, 4) or head[5:8] != bytes(3):
        return None
    kind, no, first, count, size = head[4], number(head[8:16]), number(head[16:24]), number(head[24:28]), number(head[28:32])
    length = (48 + size + 32 + align - 1) // align * align
    if length > max_frame or at + length > len(data) or any(data[at + 48 + size + 32:at + length]):
        return None
    body, trailer, leaves, entries = data[at + 48:at + 48 + size], data[at + 48 + size:at + 80 + size], [], []
    if kind == 1:
        if not 1 <= count <= 4096:
            return None
        p = 0
        for i in range(count):
            n = number(body[p:p + 4])
            entry = body[p + 4:p + 4 + n]
            if len(entry) != n:
                return None
            try:
                f = entry_parse(entry)
            except Refused:
                return None
            if f["seq"] != first + i or (i and f["prev"] != leaves[-1]):
                return None
            entries.append(f)
            leaves.append(leaf_hash(entry))
            p += 4 + n
        if p != size:
            return None
    elif (kind == 3 and (count, size) != (0, 80)) or (kind == 2 and count) or (kind == 4 and (not 1 <= count <= 4096 or size != 32 * count)):
        return None
    if trailer != sha256(b"\x02", head, leaves[-1] if kind == 1 else body):
        return None
    return dict(kind=kind, no=no, first=first, length=length, body=body, leaves=leaves, prev=entries[0]["prev"] if entries else None)


def first_bad(data, at, frame_no, first, prev):
    """The lowest sequence number in the frame that should be here which nothing after it confirms."""
    head = data[at:at + 48]
    if head[:5] != b"CHF1\x01" or number(head[8:16]) != frame_no or number(head[16:24]) != first:
        return first
    p, count = at + 48, number(head[24:28])
    for seq in range(first, first + count):
        n = number(data[p:p + 4])
        entry = data[p + 4:p + 4 + n]
        if entry[16:48] != prev:
            return max(first, seq - 1)  # the entry before is not the one this entry follows
        if outcome(entry_parse, entry)[0] != "ok" or number(entry[8:16]) != seq:
            return seq
        prev, p = leaf_hash(entry), p + 4 + n
    return first + count - 1 if data[p:p + 32] != sha256(b"\x02", head, prev) else first


def log_verify(files):
    """(verdict, first bad sequence, detail, tree size, root, place): the whole directory from its first byte to its last."""
    leaves, frame_no = [], 0

    def verdict(kind, bad, why):
        return kind, bad, why, len(leaves), tree_root(leaves), None

    d = files.get("epoch-000001", b"")
    if len(d) < 71 or d[:8] != b"CHEPO\x00\x00\x01" or number(d[24:28]) != 1 or d[36:68] != bytes(32) \
            or not re.fullmatch(rb"[A-Za-z0-9._-]{1,128}", d[70:]) or number(d[68:70]) != len(d) - 70:
        return verdict("tampered", 0, "the epoch descriptor is malformed")
    log_id, prev, previous_header, align = d[8:24], sha256(d), None, None
    names = sorted(n for n in files if n.endswith(".seg"))
    for index, name in enumerate(names):
        data, last = files[name], index == len(names) - 1
        if name != "%06u-%010u.seg" % (1, index):
            return verdict("tampered", len(leaves), "segment %u is missing" % index)
        page = data[:4096]
        if len(page) < 4096 or sha256(page[:4064]) != page[4064:]:
            return verdict("tampered", len(leaves), "the header page of segment %u does not match its hash" % index)
        align, size, max_frame = number(page[28:32]), number(page[112:120]), number(page[120:124])
        expected = header_page(log_id, 1, align, index, len(leaves), prev, tree_root(leaves), size, max_frame,
                               sha256(previous_header) if previous_header else bytes(32))
        if page != expected or align not in (512, 4096) or max_frame % align or not 131072 <= max_frame <= 1 << 24:
            return verdict("tampered", len(leaves), "the header page of segment %u does not fit the log" % index)
        previous_header, at, sealed = page, 4096, False
        while not sealed:
            f = frame_whole(data, at, align, max_frame)
            fits = f and f["no"] == frame_no and (f["kind"] != 1 or f["prev"] == prev)
            if fits and f["kind"] == 3:
                fits = f["first"] == len(leaves) and f["body"] == (u64(len(leaves) - 1) + u64(len(leaves)) + tree_root(leaves) + sha256(data[:at]))
            elif fits:
                fits = f["first"] == len(leaves)
            if fits and f["kind"] in (2, 4):  # of a later version: it is not judged, nor anything after it
                why = "a frame of kind %u, which this version does not read" % f["kind"]
                return verdict("unsupported", None, why)[:-1] + (dict(file=name, offset=at, kind=f["kind"]),)
            if fits:
                leaves += f["leaves"]
                prev = leaves[-1] if leaves else prev
                frame_no, at, sealed = frame_no + 1, at + f["length"], f["kind"] == 3
                continue
            if not last:
                why = "no valid frame %u in segment %u, and a later segment exists" % (frame_no, index)
                return verdict("tampered", first_bad(data, at, frame_no, len(leaves), prev), why)
            if not any(data[at:]):
                break
            for p in range(at, len(data), align):
                g = frame_whole(data, p, align, max_frame)
                if g and g["no"] >= frame_no:  # f is frame_no - 1: a whole f + 1 that is not valid was never written
                    why = "no valid frame %u, but a whole frame %u follows" % (frame_no, g["no"])
                    return verdict("tampered", first_bad(data, at, frame_no, len(leaves), prev), why)
            if any(data[at + max_frame:]):
                return verdict("tampered", len(leaves), "non-zero bytes lie further after the last valid frame than one frame can reach")
            return verdict("torn", None, "bytes after the last valid frame are not zero and are no valid frame")
        if len(data) != size and not (sealed and len(data) == at):
            return verdict("tampered", len(leaves), "segment %u has the wrong size" % index)
        if any(data[at:]):
            return verdict("tampered", len(leaves), "bytes after the seal of segment %u are not zero" % index)
    if not names:
        return verdict("tampered", 0, "segment 0 is missing")
    return verdict("valid", None, "")


# ---------------------------------------------------------------- store rows

# Each table's fields in order: name, width (0 = u16 length and bytes).
TABLES = {
    1: [("storeId", 16), ("logId", 16), ("createdNs", 8), ("generation", 8), ("storeRoot", 32), ("logSeq", 8), ("logLeafHash", 32),
        ("keyringId", 16), ("primaryMasterVersion", 4)],
    2: [("version", 4), ("keyCheckValue", 32), ("state", 1), ("createdNs", 8)],
    3: [("tenant", 0), ("rootId", 16), ("rootVersion", 4), ("state", 1), ("createdNs", 8)],
    4: [("tenant", 0), ("name", 0), ("keyId", 16), ("purpose", 1), ("suite", 1), ("state", 1), ("createdNs", 8), ("currentVersion", 4),
        ("floorVersion", 4), ("budgetMessages", 8), ("budgetBytes", 8)],
    5: [("tenant", 0), ("name", 0), ("version", 4), ("state", 1), ("createdNs", 8)],
    6: [("version", 4), ("startedNs", 8), ("cursor", 4), ("rewrapped", 8), ("finishedNs", 8)],
}
PRIMARY_KEY = {2: ["version"], 3: ["tenant"], 4: ["tenant", "name"], 5: ["tenant", "name", "version"], 6: ["version"]}
WRAPPED_TABLES = (1, 3, 5)


def field_bytes(table, fields, names=None):
    out = b""
    for name, width in TABLES[table]:
        if names is None or name in names:
            v = fields[name]
            out += long(v) if width == 0 else v if isinstance(v, bytes) else v.to_bytes(width, "big")
    return out


def row_canonical(table, fields): return u8(table) + field_bytes(table, fields)


def row_mac(row_key, table, fields, wrapped):
    message = row_canonical(table, fields) + (sha256(wrapped) if table in WRAPPED_TABLES else b"")
    return hmac.new(row_key, message, "sha512").digest()[:32]


def bucket_of(table, fields):
    return number(sha256(b"chatelaine/v1/bucket\x00", u8(table), field_bytes(table, fields, PRIMARY_KEY[table]))[:2])


def bucket_digest(macs): return sha256(*sorted(macs))


def store_root(buckets):
    """buckets: {number: [row MACs]}; the others are empty."""
    empty = sha256(b"\x00", bucket_digest([]))
    return tree_root([sha256(b"\x00", bucket_digest(buckets[i])) if i in buckets else empty for i in range(65536)])


# ---------------------------------------------------------------- the vectors

def hexed(v):
    """A value as the JSON files spell it: bytes as lower-case hex."""
    if isinstance(v, bytes):
        return v.hex()
    if isinstance(v, (list, tuple)):
        return [hexed(x) for x in v]
    if isinstance(v, dict):
        return {k: hexed(x) for k, x in v.items()}
    return v


def outcome(call, *args):
    try:
        return "ok", call(*args)
    except Refused as refusal:
        return refusal.args[0], None


def derivation_vectors():
    out = []
    for i, label in enumerate(LABELS):
        for size in (0, 1, 16, 80, 200):
            name = "%s with %u bytes of info" % (label, size)
            key, info = rnd("derivation/key %u" % i, 32), rnd("derivation/" + name, size)
            out.append(dict(name=name, key=key, label=label, info=info, output=derive(key, label, info)))
    # The block counter and the zero byte belong to the message: HKDF-Expand of RFC 5869 gives the same block.
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
    for v in out:
        info = b"chatelaine/v1/" + v["label"].encode() + b"\x00" + v["info"]
        check("D is one block of HKDF-Expand", HKDFExpand(hashes.SHA512(), 64, info).derive(v["key"]) == v["output"])
    return {"vectors": out}


def sample_pairs(count):
    """Not in canonical order, on purpose."""
    if count == 0:
        return []
    if count == 1:
        return [(b"table", b"patients")]
    return [(b"key-%02u" % (i * 7 % count), rnd("pairs/%u" % i, i * 3)) for i in range(count)]


def context_vectors():
    cases = [
        ("empty", b"acme", b"", []),
        ("one pair", b"acme", b"", [(b"table", b"patients")]),
        ("one pair and a subject", b"acme", b"patient-17", [(b"table", b"patients")]),
        ("a subject that is not text", b"acme", bytes(range(128, 160)), []),
        ("the longest subject", b"acme", rnd("context/subject", 128), []),
        ("the longest tenant id", b"t" * 64, b"", []),
        ("sixteen pairs, out of order", b"acme", b"", sample_pairs(16)),
        ("an empty value", b"acme", b"", [(b"k", b"")]),
        ("no pair, not the same as an empty value", b"acme", b"", []),
        ("key ab, value c", b"acme", b"", [(b"ab", b"c")]),
        ("key a, value bc", b"acme", b"", [(b"a", b"bc")]),
        ("tenant ab, subject c", b"ab", b"c", []),
        ("tenant a, subject bc", b"a", b"bc", []),
        ("pairs (a, b) and (c, d)", b"acme", b"", [(b"a", b"b"), (b"c", b"d")]),
        ("one pair that spells two", b"acme", b"", [(b"a", b"b\x00\x01c\x00\x01d")]),
        ("values the other way round", b"acme", b"", [(b"a", b"d"), (b"c", b"b")]),
        ("a key that begins another", b"acme", b"", [(b"aa", b"1"), (b"a", b"2"), (b"a\x00", b"3")]),
        ("bytes above 127 sort after ASCII", b"acme", b"", [(b"\xff", b"1"), (b"\x80", b"2"), (b"z", b"3"), (b"\x00", b"4")]),
        ("UTF-8 order is not UTF-16 order", b"acme", b"", [("\U00010000".encode(), b"1"), ("\uff5e".encode(), b"2")]),
        ("canonically equal text, different keys", b"acme", b"", [("\u00e9".encode(), b"1"), ("e\u0301".encode(), b"2")]),
        ("the largest pair a door lets in", b"acme", b"", [(b"k" * 64, rnd("context/value", 1024))]),
    ]
    out = [dict(name=n, tenant=t.decode(), subject=s, pairs=p, hash=context_hash(t, s, p)) for n, t, s, p in cases]
    distinct = {v["hash"] for v in out}
    check("different contexts hash differently (one case is given twice)", len(distinct) == len(out) - 1)
    check("the order of the pairs does not matter", context_hash(b"a", b"", sample_pairs(16)) == context_hash(b"a", b"", sorted(sample_pairs(16))))
    return {"vectors": out}


def envelope_vectors(two_key):
    out, samples = [], {}
    base = dict(expect="ok", tenant=b"acme")

    def add(name, v, expect=None, **changed):
        v = {**v, **changed, "name": name}
        got, plaintext = outcome(envelope_open, v["key"], v["tenant"], v["subject"], v["context"], v["envelope"])
        v["expect"] = expect or "ok"
        v["plaintext"] = plaintext if got == "ok" else b""
        check("each envelope opens as expected", got == v["expect"] and (got != "ok" or expect or plaintext == changed.get("plaintext", plaintext)))
        v["text"] = text_form(v["envelope"])
        v["tenant"] = v["tenant"].decode()
        order = "name expect key kind suite keyId keyVersion tenant subject context salt plaintext envelope text".split()
        out.append({k: v[k] for k in order})

    def make(name, kind, suite, pairs, plaintext):
        v = dict(base, key=rnd(name + "/key", 32), kind=kind, suite=suite, keyId=rnd(name + "/id", 16), keyVersion=(1, 7, 0)[kind],
                 subject=b"patient-17" if kind == 1 else b"", context=pairs, salt=rnd(name + "/salt", 24), plaintext=plaintext)
        context = context_hash(v["tenant"], v["subject"], pairs)
        v["envelope"] = envelope_seal(v["key"], kind, suite, v["keyId"], v["keyVersion"], v["salt"], context, plaintext)
        return v

    suites, kinds = {1: "AES-256-GCM", 2: "XChaCha20-Poly1305"}, {0: "tenant key", 1: "subject key", 2: "data key"}
    for suite in suites:
        for kind in kinds:
            for i, size in enumerate((0, 1, 16, 100, 1000)):
                count = (0, 1, 16)[(i + kind) % 3]
                name = "%s, %s, %u bytes, %u pairs" % (suites[suite], kinds[kind], size, count)
                v = make("envelope/" + name, kind, suite, sample_pairs(count), rnd("plaintext/" + name, size))
                add(name, v, plaintext=v["plaintext"])
            samples[suite, kind] = make("envelope/sample %u %u" % (suite, kind), kind, suite, sample_pairs(2), rnd("sample plaintext", 40))
    last = make("envelope/last version", 0, 1, [], b"seventeen bytes .")
    last["keyVersion"] = 2 ** 32 - 1
    last["envelope"] = envelope_seal(last["key"], 0, 1, last["keyId"], 2 ** 32 - 1, last["salt"], context_hash(b"acme", b"", []), b"seventeen bytes .")
    add("the last key version there is", last, plaintext=b"seventeen bytes .")

    s = samples[1, 0]
    e = s["envelope"]
    for name, bytes_ in [
        ("no bytes", b""), ("cut to 95 bytes", e[:95]), ("cut to the header", e[:80]), ("magic, first byte", flip(e, 0)), ("magic, second byte", flip(e, 1)),
        ("magic in lower case", b"ch" + e[2:]), ("version byte 0", put(e, 2, b"\0")), ("version byte 2", put(e, 2, b"\2")),
        ("suite 0", put(e, 3, b"\x00")), ("suite 3", put(e, 3, b"\x03")), ("suite 15", put(e, 3, b"\x0f")),
        ("kind 3", put(e, 3, b"\x31")), ("kind 15", put(e, 3, b"\xf1")), ("kind 0, key version 0", put(e, 20, u32(0))),
        ("kind tenant key changed to data key, version 1", put(e, 3, b"\x21")), ("a leading byte too many", b"\0" + e),
        ("a wrapped key instead", b"CW\x01\x03" + e[4:]),
    ]:
        add("malformed: " + name, s, "malformed", envelope=bytes_)
    add("malformed: kind 1, key version 0", samples[1, 1], "malformed", envelope=put(samples[1, 1]["envelope"], 20, u32(0)))
    add("malformed: kind 2, key version 1", samples[1, 2], "malformed", envelope=put(samples[1, 2]["envelope"], 20, u32(1)))
    add("malformed: kind data key changed to tenant key, version 0", samples[1, 2], "malformed", envelope=put(samples[1, 2]["envelope"], 3, b"\x01"))

    for (suite, kind), s in samples.items():
        e, tag = s["envelope"], "%s, %s: " % (suites[suite], kinds[kind])
        for name, changed in [
            ("wrong key", dict(key=rnd("another key", 32))),
            ("key with one bit changed", dict(key=flip(s["key"], 31))),
            ("wrong tenant", dict(tenant=b"globex")),
            ("tenant with one letter more", dict(tenant=b"acmes")),
            ("wrong context value", dict(context=[(k, v + b"x") for k, v in s["context"][:1]] + s["context"][1:])),
            ("wrong context key", dict(context=[(b"other", v) for _, v in s["context"][:1]] + s["context"][1:])),
            ("a context pair missing", dict(context=s["context"][1:])),
            ("a context pair too many", dict(context=s["context"] + [(b"more", b"")])),
            ("context missing", dict(context=[])),
            ("key id, one bit", dict(envelope=flip(e, 4))),
            ("key id, last bit", dict(envelope=flip(e, 19))),
            ("suite nibble swapped", dict(envelope=put(e, 3, u8(kind << 4 | 3 - suite)))),
            ("salt, one bit", dict(envelope=flip(e, 24))),
            ("salt, last bit", dict(envelope=flip(e, 47))),
            ("commitment, one bit", dict(envelope=flip(e, 48, 0x80))),
            ("commitment, last bit", dict(envelope=flip(e, 79))),
        ]:
            add(tag + name, s, "key-or-context", **changed)
        if kind < 2:
            add(tag + "key version", s, "key-or-context", envelope=put(e, 20, u32(s["keyVersion"] + 1)))
            add(tag + "kind nibble swapped", s, "key-or-context", envelope=put(e, 3, u8((1 - kind) << 4 | suite)))
        # Sealed by one who breaks ENV-10: commitment and tag are right, only the kind and the subject do not go together.
        misfit = dict(s, subject=b"" if kind == 1 else b"patient-17")
        context = context_hash(b"acme", misfit["subject"], s["context"])
        misfit["envelope"] = envelope_seal(s["key"], kind, suite, s["keyId"], s["keyVersion"], s["salt"], context, s["plaintext"])
        add(tag + ("sealed without a subject" if kind == 1 else "sealed with a subject"), misfit, "key-or-context")
        if kind == 1:
            add(tag + "wrong subject", s, "key-or-context", subject=b"patient-18")
            add(tag + "no subject", s, "key-or-context", subject=b"")
        for name, bytes_ in [
            ("ciphertext, first bit", flip(e, 80, 0x80)), ("ciphertext, last bit", flip(e, len(e) - 17)), ("tag, first bit", flip(e, len(e) - 16, 0x80)),
            ("tag, last bit", flip(e, len(e) - 1)), ("one byte of the tag cut off", e[:-1]), ("the tag cut off", e[:-16]), ("a byte too many", e + b"\0"),
            ("ciphertext cut out", e[:80] + e[-16:]), ("tag of zeros", e[:-16] + bytes(16)),
        ]:
            add(tag + name, s, "body", envelope=bytes_)

    t = dict(base, key=two_key["key1"], kind=0, suite=1, keyId=two_key["keyId"], keyVersion=two_key["keyVersion"], subject=b"",
             context=two_key["context"], salt=two_key["envelope"][24:48], envelope=two_key["envelope"])
    add("the two-key ciphertext under the key it commits to", t, plaintext=two_key["plaintext1"])
    add("the two-key ciphertext under the other key", t, "key-or-context", key=two_key["key2"])
    return {"vectors": out}


def two_key_vector():
    """One ciphertext and tag that AES-256-GCM opens under two message keys: GCM does not commit to its key."""
    R = 0xe1 << 120

    def mul(x, y):
        z = 0
        for i in range(127, -1, -1):
            if y >> i & 1:
                z ^= x
            x = x >> 1 ^ R if x & 1 else x >> 1
        return z

    def power(x, n):
        out = 1 << 127
        while n:
            if n & 1:
                out = mul(out, x)
            x, n = mul(x, x), n >> 1
        return out

    def block(key, data):
        c = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return number(c.update(data) + c.finalize())

    key1, key2, key_id, tenant, pairs = rnd("two-key/1", 32), rnd("two-key/2", 32), rnd("two-key/id", 16), b"acme", [(b"table", b"patients")]
    context = context_hash(tenant, b"", pairs)
    head = b"CH\x01\x01" + key_id + u32(1) + rnd("two-key/salt", 24)
    okm1, okm2 = derive(key1, "envelope", head + context), derive(key2, "envelope", head + context)
    m1, m2, head = okm1[:32], okm2[:32], head + okm1[32:]
    aad = head + context
    assert len(aad) == 112  # seven whole blocks
    nonce, blocks = bytes(12), 4
    h1, h2 = block(m1, bytes(16)), block(m2, bytes(16))
    s1, s2 = block(m1, nonce + u32(1)), block(m2, nonce + u32(1))
    c = [number(rnd("two-key/block %u" % i, 16)) for i in range(blocks - 1)] + [0]  # the last one is solved for
    hashed = [number(aad[i:i + 16]) for i in range(0, 112, 16)] + c + [len(aad) * 8 << 64 | blocks * 128]

    def ghash(h):
        out = 0
        for b in hashed:
            out = mul(out ^ b, h)
        return out

    # The last ciphertext block is multiplied by H^2: choose it so that both tags are equal.
    c[-1] = mul(ghash(h1) ^ s1 ^ ghash(h2) ^ s2, power(power(h1, 2) ^ power(h2, 2), 2 ** 128 - 2))
    hashed[-2] = c[-1]
    check("both keys give the same tag", ghash(h1) ^ s1 == ghash(h2) ^ s2)
    ciphertext, tag = b"".join(x.to_bytes(16, "big") for x in c), (ghash(h1) ^ s1).to_bytes(16, "big")
    plaintext1, plaintext2 = (AESGCM(m).decrypt(nonce, ciphertext + tag, aad) for m in (m1, m2))
    check("AES-256-GCM opens the two-key ciphertext under both message keys, to different plaintexts", plaintext1 != plaintext2)
    envelope = head + ciphertext + tag
    check("the two-key envelope opens under key 1", envelope_open(key1, tenant, b"", pairs, envelope) == plaintext1)
    check("the two-key envelope is refused under key 2 (key-or-context)", outcome(envelope_open, key2, tenant, b"", pairs, envelope)[0] == "key-or-context")
    return dict(key1=key1, key2=key2, messageKey1=m1, messageKey2=m2, tenant=tenant.decode(), context=pairs, keyId=key_id, keyVersion=1, aad=aad,
                nonce=nonce, ciphertext=ciphertext, tag=tag, envelope=envelope, plaintext1=plaintext1, plaintext2=plaintext2)


def record_of(v):
    if v["kind"] == 5:
        return context_hash(v["tenant"], b"", v["context"])
    return record_hash(v["tenant"], v["keyName"], v["subject"], v["purpose"], v["suite"], v["createdNs"])


def make_wrapped(name, kind, **given):
    v = dict(expect="ok", kind=kind, id=rnd(name + "/id", 16), version=0 if kind == 5 else 1, wrappingKey=rnd(name + "/wrapping", 32),
             wrappingKeyId=rnd(name + "/wrapping id", 16), wrappingKeyVersion=1, tenant=b"", keyName=b"", subject=b"", purpose=0, suite=0,
             createdNs=0 if kind == 5 else 1700000000123456789, context=[], salt=rnd(name + "/salt", 24), keyBytes=rnd(name + "/bytes", 32))
    v.update(given)
    v["wrapped"] = wrap(v["wrappingKey"], kind, v["id"], v["version"], v["wrappingKeyId"], v["wrappingKeyVersion"], v["salt"], record_of(v), v["keyBytes"])
    return v


WRAPPED_CASES = [
    ("store key", 1, {}), ("tenant root", 2, dict(tenant=b"acme")),
    ("tenant key to seal, AES-256-GCM", 3, dict(tenant=b"acme", keyName=b"records", purpose=1, suite=1)),
    ("tenant key to seal, XChaCha20-Poly1305", 3, dict(tenant=b"acme", keyName=b"records", purpose=1, suite=2, version=9)),
    ("tenant key to mac", 3, dict(tenant=b"acme", keyName=b"webhooks", purpose=2)),
    ("tenant key to index", 3, dict(tenant=b"acme", keyName=b"mail-index", purpose=3)),
    ("subject key", 4, dict(tenant=b"acme", keyName=b"records", subject=b"patient-17", purpose=1, suite=1)),
    ("subject key, longest names", 4, dict(tenant=b"t" * 64, keyName=b"k" * 64, subject=rnd("subject", 128), purpose=1, suite=2)),
    ("data key, no context", 5, dict(tenant=b"acme")),
    ("data key, one pair", 5, dict(tenant=b"acme", context=sample_pairs(1))),
    ("data key, sixteen pairs", 5, dict(tenant=b"acme", context=sample_pairs(16))),
    ("last versions there are", 3, dict(tenant=b"a", keyName=b"b", purpose=1, suite=1, version=2 ** 32 - 1, wrappingKeyVersion=2 ** 32 - 1, createdNs=2 ** 64 - 1)),
]


def wrapped_vectors():
    out = []

    def add(name, v, expect="ok", **changed):
        v = {**v, **changed, "name": name, "expect": expect}
        got, key = outcome(unwrap, v["wrappingKey"], v["wrappingKeyId"], v["wrappingKeyVersion"], record_of(v), v["wrapped"])
        check("each wrapped key opens as expected", got == expect and (got != "ok" or key == v["keyBytes"]))
        if expect != "ok":
            v["keyBytes"] = b""
        v.update(tenant=v["tenant"].decode(), keyName=v["keyName"].decode(), createdNs=str(v["createdNs"]))
        v["text"] = text_form(v["wrapped"]) if v["kind"] == 5 else ""
        order = ("name expect kind id version wrappingKey wrappingKeyId wrappingKeyVersion tenant keyName subject purpose suite createdNs context "
                 "salt keyBytes wrapped text").split()
        out.append({k: v[k] for k in order})

    for name, kind, given in WRAPPED_CASES:
        add(name, make_wrapped("wrapped/" + name, kind, **given))
    by_kind = {kind: make_wrapped("wrapped/" + name, kind, **given) for name, kind, given in WRAPPED_CASES[::-1]}

    s = by_kind[3]
    w = s["wrapped"]
    for name, bytes_ in [
        ("no bytes", b""), ("147 bytes", w[:147]), ("149 bytes", w + b"\0"), ("magic, first byte", flip(w, 0)), ("magic, second byte", flip(w, 1)),
        ("an envelope instead", b"CH\x01\x01" + w[4:]), ("version byte 0", put(w, 2, b"\0")), ("version byte 2", put(w, 2, b"\2")),
        ("kind 0", put(w, 3, b"\0")), ("kind 6", put(w, 3, b"\6")), ("kind 0x13", put(w, 3, b"\x13")), ("kind 3 changed to 5", put(w, 3, b"\5")),
        ("wrapping key version 0", put(w, 40, u32(0))),
    ]:
        add("malformed: " + name, s, "malformed", wrapped=bytes_)
    for kind in (1, 2, 3, 4):
        add("malformed: kind %u, version 0" % kind, by_kind[kind], "malformed", wrapped=put(by_kind[kind]["wrapped"], 20, u32(0)))
    add("malformed: kind 5, version 1", by_kind[5], "malformed", wrapped=put(by_kind[5]["wrapped"], 20, u32(1)))
    for name, bytes_ in [("147 bytes", by_kind[5]["wrapped"][:147]), ("149 bytes", by_kind[5]["wrapped"] + b"\0")]:
        add("malformed: kind 5, " + name, by_kind[5], "malformed", wrapped=bytes_)
    add("malformed: kind 5 changed to 3, version 0", by_kind[5], "malformed", wrapped=put(by_kind[5]["wrapped"], 3, b"\3"))

    names = {1: "store key", 2: "tenant root", 3: "tenant key", 4: "subject key", 5: "data key"}
    for kind, s in sorted(by_kind.items()):
        w, tag = s["wrapped"], names[kind] + ": "
        for name, changed in [
            ("wrong wrapping key", dict(wrappingKey=rnd("another key", 32))),
            ("wrapping key id is not the one in hand", dict(wrappingKeyId=flip(s["wrappingKeyId"], 0))),
            ("wrapping key version is not the one in hand", dict(wrappingKeyVersion=2)),
            ("wrapping key id, one bit", dict(wrapped=flip(w, 24))),
            ("wrapping key version", dict(wrapped=put(w, 40, u32(2)))),
            ("wrapping key id changed on both sides", dict(wrapped=flip(w, 24), wrappingKeyId=flip(s["wrappingKeyId"], 0))),
            ("wrapping key version changed on both sides", dict(wrapped=put(w, 40, u32(2)), wrappingKeyVersion=2)),
            ("id, one bit", dict(wrapped=flip(w, 4))),
            ("salt, one bit", dict(wrapped=flip(w, 44))),
            ("salt, last bit", dict(wrapped=flip(w, 67))),
            ("commitment, one bit", dict(wrapped=flip(w, 68, 0x80))),
            ("commitment, last bit", dict(wrapped=flip(w, 99))),
            ("tenant", dict(tenant=s["tenant"] + b"x")),
        ]:
            add(tag + name, s, "key-or-context", **changed)
        if kind < 5:
            add(tag + "version", s, "key-or-context", wrapped=put(w, 20, u32(2)))
            add(tag + "kind", s, "key-or-context", wrapped=put(w, 3, u8(kind % 4 + 1)))
            add(tag + "row swap: key name", s, "key-or-context", keyName=s["keyName"] + b"x")
            add(tag + "row swap: subject", s, "key-or-context", subject=s["subject"] + b"x")
            add(tag + "row swap: purpose", s, "key-or-context", purpose=s["purpose"] + 1)
            add(tag + "row swap: suite", s, "key-or-context", suite=s["suite"] + 1)
            add(tag + "row swap: created", s, "key-or-context", createdNs=s["createdNs"] + 1)
        for name, bytes_ in [("ciphertext, first bit", flip(w, 100, 0x80)), ("ciphertext, last bit", flip(w, 131)), ("tag, first bit", flip(w, 132, 0x80)),
                             ("tag, last bit", flip(w, 147))]:
            add(tag + name, s, "body", wrapped=bytes_)
    s = by_kind[3]
    add("tenant key: a letter moved from tenant to key name", s, "key-or-context", tenant=s["tenant"][:-1], keyName=s["tenant"][-1:] + s["keyName"])
    s = make_wrapped("wrapped/data key with context", 5, tenant=b"acme", context=sample_pairs(2))
    add("data key: wrong context value", s, "key-or-context", context=[(k, v + b"x") for k, v in s["context"]])
    add("data key: context missing", s, "key-or-context", context=[])
    return {"vectors": out}


def local_vectors():
    """Wrapped data key and envelope together, as a client that seals by itself stores them."""
    out = []

    def add(name, expect, b):
        check("each local envelope parses as expected", outcome(local_parse, b)[0] == expect)
        out.append(dict(name=name, expect=expect, tenantKey=tenant_key, tenantKeyId=wid, tenantKeyVersion=3, tenant="acme", context=pairs,
                        dataKey=w["keyBytes"] if expect == "ok" else b"", dataKeyId=w["id"], plaintext=plaintext if expect == "ok" else b"",
                        local=b, text=text_form(b)))

    tenant_key, wid, pairs, plaintext = rnd("local/tenant key", 32), rnd("local/tenant key id", 16), sample_pairs(1), rnd("local/plaintext", 60)
    w = make_wrapped("local/data key", 5, tenant=b"acme", context=pairs, wrappingKey=tenant_key, wrappingKeyId=wid, wrappingKeyVersion=3)
    context = context_hash(b"acme", b"", pairs)
    for suite in (1, 2):
        e = envelope_seal(w["keyBytes"], 2, suite, w["id"], 0, rnd("local/salt %u" % suite, 24), context, plaintext)
        add("suite %u" % suite, "ok", w["wrapped"] + e)
    other = envelope_seal(w["keyBytes"], 2, 1, flip(w["id"], 0), 0, rnd("local/salt", 24), context, plaintext)
    tenants = envelope_seal(tenant_key, 0, 1, w["id"], 1, rnd("local/salt", 24), context, plaintext)
    add("key ids differ", "malformed", w["wrapped"] + other)
    add("envelope of a tenant key", "malformed", w["wrapped"] + tenants)
    add("wrapped key is no data key", "malformed", put(put(w["wrapped"], 3, b"\3"), 20, u32(1)) + e)
    add("wrapped key alone", "malformed", w["wrapped"])
    add("cut to 243 bytes", "malformed", (w["wrapped"] + e)[:243])
    add("envelope first", "malformed", e + w["wrapped"])
    return {"vectors": out}


def text_vectors(envelopes, locals_):
    out = []

    def add(name, expect, text, b=b""):
        got, parsed = outcome(text_parse, text)
        check("each text form parses as expected", got == expect and (got != "ok" or parsed == b))
        out.append(dict(name=name, expect=expect, text=text, bytes=b))

    ok = [v["envelope"] for v in envelopes["vectors"] if v["expect"] == "ok"]
    by_tail = {len(b) % 3: b for b in reversed(ok)}
    for tail in (0, 1, 2):
        add("an envelope, length %u modulo 3" % tail, "ok", text_form(by_tail[tail]), by_tail[tail])
    add("an envelope of 1,096 bytes", "ok", text_form(max(ok, key=len)), max(ok, key=len))
    add("a local envelope", "ok", text_form(locals_["vectors"][0]["local"]), locals_["vectors"][0]["local"])
    whole, one, two = (text_form(by_tail[i]) for i in (0, 1, 2))
    special = next(t for t in map(text_form, ok) if "-" in t and "_" in t)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for name, text in [
        ("nothing", ""), ("only the prefix", "ch1."), ("prefix without its dot", "ch1"), ("no prefix", whole[4:]), ("prefix in upper case", "CH1." + whole[4:]),
        ("prefix ch2", "ch2." + whole[4:]), ("prefix twice", "ch1." + whole), ("white space before", " " + whole), ("white space after", whole + " "),
        ("new line after", whole + "\n"), ("new line inside", whole[:40] + "\n" + whole[40:]), ("white space inside", whole[:40] + " " + whole[40:]),
        ("byte order mark", "\ufeff" + whole), ("padding, two signs", one + "=="), ("padding, one sign", two + "="), ("padding where none is due", whole + "="),
        ("the other alphabet, plus", special.replace("-", "+")), ("the other alphabet, slash", special.replace("_", "/")),
        ("length 1 modulo 4", whole + "A"), ("a letter that is not ASCII", whole[:-1] + "\u00e9"), ("a zero byte", whole[:-1] + "\0"), ("a dot inside", whole[:-1] + "."),
        ("non-zero trailing bits, one byte in the last group", one[:-1] + alphabet[alphabet.index(one[-1]) | 1]),
        ("non-zero trailing bits, one byte in the last group, highest bit", one[:-1] + alphabet[alphabet.index(one[-1]) | 8]),
        ("non-zero trailing bits, two bytes in the last group", two[:-1] + alphabet[alphabet.index(two[-1]) | 1]),
        ("non-zero trailing bits, two bytes in the last group, highest bit", two[:-1] + alphabet[alphabet.index(two[-1]) | 2]),
    ]:
        add(name, "refused", text)
    return {"vectors": out}


def keyring_vectors():
    out, created = [], 1700000000000000001
    example, master, passphrase = b"EXAMPLE-INSECURE", rnd("keyring/master", 32), b"correct horse battery staple"
    made = dict(keyringId=example, version=1, createdNs=str(created), masterKey=master, keyCheckValue=key_check_value(master, example, 1))

    def add(name, expect, f, phrase=b""):
        got, ring = outcome(keyring_open, f, phrase)
        check("each keyring file opens as expected", got == expect)
        ring = dict(ring, createdNs=str(ring["createdNs"])) if ring else dict(made, masterKey=b"")
        out.append(dict(name=name, expect=expect, file=f, passphrase=phrase, **ring))

    def again(f):  # the same bytes with a checksum that fits
        return f[:-32] + sha256(f[:-32])

    plain = keyring_plain(example, 1, created, master)
    salts = rnd("keyring/argon salt", 16), rnd("keyring/salt", 24)
    sealed = keyring_sealed(example, 1, created, master, passphrase, 8192, 1, *salts)
    add("seal file", "ok", plain)
    add("seal file, another ring, version 7", "ok", keyring_plain(rnd("keyring/id", 16), 7, 1, rnd("keyring/master 7", 32)))
    add("seal file, last version there is", "ok", keyring_plain(rnd("keyring/id", 16), 2 ** 32 - 1, 2 ** 64 - 1, rnd("keyring/master last", 32)))
    add("seal passphrase", "ok", sealed, passphrase)
    add("seal passphrase, three passes over 9,216 KiB", "ok", keyring_sealed(example, 2, created, master, passphrase, 9216, 3, *salts), passphrase)
    add("seal passphrase, one byte", "ok", keyring_sealed(example, 1, created, master, b"\xff", 8192, 1, *salts), b"\xff")
    add("seal passphrase, 1,024 bytes", "ok", keyring_sealed(example, 1, created, master, rnd("phrase", 1024), 8192, 1, *salts), rnd("phrase", 1024))

    for name, f in [
        ("no bytes", b""), ("127 bytes", plain[:127]), ("129 bytes", plain + b"\0"), ("magic, first byte", again(flip(plain, 0))),
        ("magic, second byte", again(flip(plain, 1))), ("version byte 0", again(put(plain, 2, b"\0"))), ("version byte 2", again(put(plain, 2, b"\2"))),
        ("seal 0", again(put(plain, 3, b"\0"))), ("seal 3", again(put(plain, 3, b"\3"))), ("seal passphrase in 128 bytes", again(put(plain, 3, b"\2"))),
        ("version 0", again(put(plain, 20, u32(0)))),
    ]:
        add("seal file: " + name, "malformed", f)
    for name, at in [("magic is checked before the checksum", 0), ("version byte is checked before the checksum", 2)]:
        add("seal file: " + name, "malformed", flip(plain, at, 0x40))
    for name, at in [("keyring id", 4), ("version", 23), ("created", 31), ("key check value", 32), ("master key", 64), ("checksum", 96), ("last bit", 127)]:
        add("seal file: %s, one bit" % name, "damaged", flip(plain, at))
    for name, at in [("keyring id", 4), ("version", 22), ("key check value", 32), ("master key", 95)]:
        add("seal file: %s, one bit, checksum renewed" % name, "wrong-key", again(flip(plain, at)))

    for name, f in [
        ("223 bytes", sealed[:223]), ("225 bytes", sealed + b"\0"), ("seal file in 224 bytes", again(put(sealed, 3, b"\1"))), ("version 0", again(put(sealed, 20, u32(0)))),
        ("memory 0", again(put(sealed, 64, u32(0)))), ("memory 8,191 KiB", again(put(sealed, 64, u32(8191)))),
        ("memory 1,048,577 KiB", again(put(sealed, 64, u32(1048577)))), ("memory 4,294,967,295 KiB", again(put(sealed, 64, u32(2 ** 32 - 1)))),
        ("no passes", again(put(sealed, 68, u32(0)))), ("17 passes", again(put(sealed, 68, u32(17)))), ("4,294,967,295 passes", again(put(sealed, 68, u32(2 ** 32 - 1)))),
    ]:
        add("seal passphrase: " + name, "malformed", f, passphrase)
    for name, at in [("memory", 66), ("salt", 88), ("commitment", 112), ("ciphertext", 144), ("tag", 176), ("checksum", 223)]:
        add("seal passphrase: %s, one bit" % name, "damaged", flip(sealed, at), passphrase)
    for name, phrase in [("one letter more", passphrase + b"s"), ("a new line after", passphrase + b"\n"), ("another", b"another")]:
        add("seal passphrase: wrong passphrase, " + name, "wrong-passphrase", sealed, phrase)
    for name, f in [
        ("keyring id", flip(sealed, 4)), ("version", put(sealed, 20, u32(2))), ("created", flip(sealed, 31)), ("key check value", flip(sealed, 32)),
        ("memory", put(sealed, 64, u32(8200))), ("passes", put(sealed, 68, u32(2))), ("Argon2 salt", flip(sealed, 72)), ("salt", flip(sealed, 88)),
        ("commitment", flip(sealed, 112)),
    ]:
        add("seal passphrase: %s changed, checksum renewed" % name, "wrong-passphrase", again(f), passphrase)
    for name, at in [("ciphertext", 144), ("tag", 191)]:
        add("seal passphrase: %s, one bit, checksum renewed" % name, "damaged", again(flip(sealed, at)), passphrase)
    add("seal passphrase: holds another key than its key check value says", "wrong-key",
        keyring_sealed(example, 1, created, rnd("another key", 32), passphrase, 8192, 1, *salts, kcv=made["keyCheckValue"]), passphrase)
    return {"vectors": out}


def entry_fields_json(f):
    kinds = {n: k for n, _, k in ENTRY_FIXED}
    out = {}
    for name, value in f.items():
        if name == "items":
            value = [dict(outcome=o, reason=r, bytes=b, contextDigest=c) for o, r, b, c in value]
        elif name == "details":
            value = [dict(tag=t, value=v) for t, v in value]
        elif name in ("tenant", "keyName"):
            value = value.decode()
        elif kinds.get(name) is str:
            value = str(value)
        out[name] = value
    return out


def entry_vectors():
    out = []

    def add(name, expect, e, given=None):
        got, f = outcome(entry_parse, e)
        check("each audit entry parses as expected", got == expect)
        if got == "ok":
            check("an audit entry's fields make its bytes", entry_bytes(f) == e and (given is None or {k: f[k] for k in given} == given))
        out.append(dict(name=name, expect=expect, entry=e, leafHash=leaf_hash(e) if got == "ok" else b"", fields=entry_fields_json(f) if f else {}))

    def item(i): return (1, 0, 100 + i, rnd("entry/item %u" % i, 32))

    small = dict(seq=1, prev=rnd("entry/prev", 32), blind=rnd("entry/blind", 16), tenant=b"a")
    full = {n: number(rnd("entry/" + n, w)) if k is not bytes else rnd("entry/" + n, w) for n, w, k in ENTRY_FIXED}
    full.update({"version": 1, "class": 1}, tenant=b"acme", keyName=b"records", principal=b"uid:1000", items=[item(0)], role=b"app", rule=b"allow-app",
                source=b"app.service", subjectDigest=rnd("entry/subject", 16), actor=b"user-17", purpose=b"render the chart",
                details=[(1, rnd("entry/root", 32)), (2, u64(41)), (3, rnd("entry/intent", 32)), (4, rnd("entry/kcv", 32)), (5, u64(1)), (6, u64(4096)),
                         (7, u64(512)), (8, u64(3)), (9, b"1.0.0"), (10, b"a note \xff\n"), (11, u32(2)), (12, u8(1)), (200, b"not known yet")])
    typical = dict(full, operation=1, outcome=1, reason=0, door=1, principalKind=1, details=[], items=[item(0)], subjectDigest=b"",
                   seq=1234, wallNs=1700000000000000000, bootNs=86400000000000, incarnation=3, peerPid=4242, peerUid=1000, connection=17, keyVersion=2,
                   masterVersion=1, storeGeneration=9)
    add("an encryption, one item", "ok", entry_bytes(typical), typical)
    add("smallest, no items", "ok", entry_bytes(small), small)
    add("every field full, one item", "ok", entry_bytes(full), full)
    add("three items", "ok", entry_bytes(dict(typical, items=[item(0), (2, 7, 0, bytes(32)), item(2)])))
    add("the whole service, first entry", "ok", entry_bytes({"class": 5, "operation": 96, "outcome": 1, "details": [(9, b"1.0.0")]}))
    add("numbers nobody knows yet", "ok", entry_bytes(dict(typical, operation=65535, outcome=77, reason=999, door=255, principalKind=254)))
    add("an unknown detail tag is kept", "ok", entry_bytes(dict(typical, details=[(0, b""), (255, b"\x00\xff")])))
    add("text that is not text", "ok", entry_bytes(dict(typical, principal=bytes(range(256)), role=b"\x00", rule=b"\\", source=b"\x1b[2J", actor=b"\n", purpose=b"\xc3\xa9")))
    add("longest names", "ok", entry_bytes(dict(typical, tenant=b"t" * 64, keyName=b"9" + b"k._-" * 15 + b"xyz", principal=b"p" * 512, role=b"r" * 255, rule=b"u" * 255, source=b"s" * 255)))
    add("largest detail", "ok", entry_bytes(dict(typical, details=[(10, b"n" * 16381)])))
    add("1,024 items", "ok", entry_bytes(dict(typical, items=[item(i) for i in range(1024)])))
    keyless = dict(typical, keyId=bytes(16), keyVersion=0, keyName=b"")
    two_keys = u16(2) + rnd("entry/key a", 16) + u32(1) + rnd("entry/key b", 16) + u32(7) + u16(0) + u16(1) + u16(0xffff)
    add("items of two keys, and of none", "ok", entry_bytes(dict(
        keyless, operation=2, outcome=3, reason=6, items=[item(0), item(1), (3, 6, 0, bytes(32))], details=[(13, two_keys)])))
    room = 65535 - len(entry_bytes(dict(typical, actor=b"")))
    add("65,535 bytes", "ok", entry_bytes(dict(typical, actor=b"a" * room)))
    for number_ in range(1, 10):
        add("class %u" % number_, "ok", entry_bytes({**typical, "class": number_}))

    e = entry_bytes(typical)
    for name, bad in [
        ("no bytes", b""), ("fixed part cut", e[:151]), ("fixed part only", e[:152]), ("last byte cut", e[:-1]), ("a byte too many", e + b"\0"),
        ("version 0", put(e, 0, b"\0")), ("version 2", put(e, 0, b"\2")), ("class 0", put(e, 1, b"\0")), ("class 10", put(e, 1, b"\x0a")), ("class 255", put(e, 1, b"\xff")),
        ("1,025 items", entry_bytes(dict(typical, items=[item(i) for i in range(1025)]))), ("more items counted than there are", put(e, 150, u16(2))),
        ("fewer items counted than there are", put(e, 150, u16(0))),
        ("tenant empty", entry_bytes(dict(typical, tenant=b""))), ("tenant of 65 bytes", entry_bytes(dict(typical, tenant=b"t" * 65))),
        ("tenant in upper case", entry_bytes(dict(typical, tenant=b"Acme"))), ("tenant beginning with a hyphen", entry_bytes(dict(typical, tenant=b"-acme"))),
        ("tenant beginning with an underscore", entry_bytes(dict(typical, tenant=b"_services"))), ("tenant with an underscore inside, no service", entry_bytes(dict(typical, tenant=b"_Service"))),
        ("tenant with a new line after", entry_bytes(dict(typical, tenant=b"acme\n"))), ("tenant not ASCII", entry_bytes(dict(typical, tenant=b"acm\xc3\xa9"))),
        ("key name of 65 bytes", entry_bytes(dict(typical, keyName=b"k" * 65))), ("key name in upper case", entry_bytes(dict(typical, keyName=b"Records"))),
        ("key name _service", entry_bytes(dict(typical, keyName=b"_service"))), ("key name with a slash", entry_bytes(dict(typical, keyName=b"a/b"))),
        ("principal of 513 bytes", entry_bytes(dict(typical, principal=b"p" * 513))),
        ("subject digest of 1 byte", entry_bytes(dict(typical, subjectDigest=b"x"))), ("subject digest of 15 bytes", entry_bytes(dict(typical, subjectDigest=b"x" * 15))),
        ("subject digest of 17 bytes", entry_bytes(dict(typical, subjectDigest=b"x" * 17))), ("subject digest of 32 bytes", entry_bytes(dict(typical, subjectDigest=b"x" * 32))),
        ("detail of 16,385 bytes", entry_bytes(dict(typical, details=[(10, b"n" * 16382)]))),
        ("65,536 bytes", entry_bytes(dict(typical, actor=b"a" * (room + 1)))),
        ("detail tags the wrong way round", entry_bytes(dict(typical, details=[(9, b"1.0.0"), (8, u64(1))]))),
        ("a detail tag twice", entry_bytes(dict(typical, details=[(10, b"a"), (10, b"b")]))),
        ("detail value cut", entry_bytes(typical, detail=b"\x0a\x00\x02n")), ("detail length cut", entry_bytes(typical, detail=b"\x0a\x00")),
        ("detail tag alone", entry_bytes(typical, detail=b"\x0a")),
        ("principal longer than the entry", put(e, e.index(b"uid:1000") - 2, u16(500))),
        ("detail longer than the entry", e[:-2] + u16(3)),
    ] + [("detail tag %u of %u bytes" % (t, w + d), entry_bytes(dict(typical, details=[(t, bytes(w + d))]))) for t, w in DETAIL_WIDTH.items() for d in (-1, 1)]:
        add("malformed: " + name, "malformed", bad)
    check("an entry cut anywhere is refused", all(outcome(entry_parse, e[:i])[0] == "malformed" for i in range(len(e))))
    return {"vectors": out}


def rows_vectors():
    store_key = rnd("rows/store key", 32)
    row_key = derive(store_key, "row", b"")[:32]
    created, keyring_id = 1700000000000000000, b"EXAMPLE-INSECURE"

    def wrapped(kind, name, wrapping, id, wid, wversion, **given):
        return make_wrapped("rows/" + name, kind, createdNs=created, wrappingKey=wrapping, id=id, wrappingKeyId=wid, wrappingKeyVersion=wversion, **given)

    master, root_id = rnd("rows/master 2", 32), rnd("rows/root acme", 16)
    tenant_root = wrapped(2, "acme", master, root_id, keyring_id, 2, tenant=b"acme")

    def key_id(tenant, name): return rnd("rows/%s/%s" % (tenant.decode(), name.decode()), 16)

    def key_row(tenant, name, purpose, suite, current, state=1):
        return ("tenant key %s/%s" % (tenant.decode(), name.decode()), 4, dict(
            tenant=tenant, name=name, keyId=key_id(tenant, name), purpose=purpose, suite=suite, state=state, createdNs=created,
            currentVersion=current, floorVersion=1, budgetMessages=0 if purpose != 1 else 2 ** 32, budgetBytes=0 if purpose != 1 else 2 ** 46), b"")

    def version_row(tenant, name, version, state, purpose, suite):
        label = "key version %s/%s %u" % (tenant.decode(), name.decode(), version)
        w = b"" if state == 4 else wrapped(3, label, tenant_root["keyBytes"], key_id(tenant, name), root_id, 1, tenant=tenant, keyName=name,
                                           purpose=purpose, suite=suite, version=version)["wrapped"]
        return (label + (", destroyed" if state == 4 else ""), 5, dict(tenant=tenant, name=name, version=version, state=state, createdNs=created), w)

    rows = [
        ("master version 1, retired", 2, dict(version=1, keyCheckValue=rnd("rows/kcv 1", 32), state=2, createdNs=created), b""),
        ("master version 2", 2, dict(version=2, keyCheckValue=rnd("rows/kcv 2", 32), state=1, createdNs=created + 1), b""),
        ("tenant acme", 3, dict(tenant=b"acme", rootId=root_id, rootVersion=1, state=1, createdNs=created), tenant_root["wrapped"]),
        ("tenant globex, erased", 3, dict(tenant=b"globex", rootId=rnd("rows/root globex", 16), rootVersion=1, state=3, createdNs=created), b""),
        key_row(b"acme", b"records", 1, 1, 2), key_row(b"acme", b"webhooks", 2, 0, 1), key_row(b"acme", b"mail-index", 3, 0, 1, state=2),
        version_row(b"acme", b"records", 1, 4, 1, 1), version_row(b"acme", b"records", 2, 1, 1, 1), version_row(b"acme", b"webhooks", 1, 2, 2, 0),
        version_row(b"acme", b"mail-index", 1, 3, 3, 0),
        ("rotation to master version 2, finished", 6, dict(version=2, startedNs=created + 2, cursor=65536, rewrapped=1, finishedNs=created + 3), b""),
        ("rotation to master version 3, under way", 6, dict(version=3, startedNs=created + 4, cursor=7104, rewrapped=0, finishedNs=0), b""),
    ]
    # One more key whose row falls into the bucket of tenant acme, so that a bucket with two rows is covered.
    i = 0
    while bucket_of(4, dict(tenant=b"acme", name=b"k%u" % i)) != bucket_of(3, dict(tenant=b"acme")):
        i += 1
    rows.append(key_row(b"acme", b"k%u" % i, 1, 2, 1))
    buckets = {}
    for _, table, fields, w in rows:
        buckets.setdefault(bucket_of(table, fields), []).append(row_mac(row_key, table, fields, w))
    check("a bucket holds two rows", max(map(len, buckets.values())) == 2)
    root = store_root(buckets)
    store = ("store", 1, dict(storeId=rnd("rows/store id", 16), logId=rnd("rows/log id", 16), createdNs=created, generation=12, storeRoot=root, logSeq=41,
                              logLeafHash=rnd("rows/leaf", 32), keyringId=keyring_id, primaryMasterVersion=2),
             wrapped(1, "store key", master, rnd("rows/store id", 16), keyring_id, 2, keyBytes=store_key)["wrapped"])

    def as_json(row):
        name, table, fields, w = row
        shown = {n: fields[n].decode() if width == 0 else str(fields[n]) if width == 8 else fields[n] for n, width in TABLES[table]}
        return dict(name=name, table=table, fields=shown, hasWrapped=table in WRAPPED_TABLES, wrapped=w, canonical=row_canonical(table, fields),
                    mac=row_mac(row_key, table, fields, w), primaryKey=field_bytes(table, fields, PRIMARY_KEY.get(table, [])),
                    bucket=None if table == 1 else bucket_of(table, fields))

    census = {}
    for w in (w for _, table, _, w in rows if table == 3 and w):
        census[number(w[40:44])] = census.get(number(w[40:44]), 0) + 1
    check("each change of a row's field changes its MAC", len({row_mac(row_key, t, f, w) for _, t, f, w in rows}) == len(rows))
    check("a revived wrapped key changes the row's MAC", row_mac(row_key, 3, rows[3][2], b"") != row_mac(row_key, 3, rows[3][2], rows[2][3]))
    return dict(storeKey=store_key, rowKey=row_key, rows=[as_json(r) for r in [store] + rows], emptyBucketDigest=bucket_digest([]),
                emptyRoot=store_root({}), buckets=[dict(bucket=b, macs=sorted(m), digest=bucket_digest(m)) for b, m in sorted(buckets.items())], root=root,
                census=[dict(masterVersion=v, roots=n) for v, n in sorted(census.items())])


def log_cases():
    """[(name, expect, files)]: whole log directories."""
    out = []

    def one_segment(seed="one"):
        log = Log(seed)
        for count, items in ((1, 0), (3, 0), (4, 1), (2, 9), (3, 0), (5, 2)):
            log.entries(count, items)
        return log

    def three_segments(root=None):
        log = Log("three")
        for counts in ((1, 3, 2), (4, 1, 6)):
            for i, count in enumerate(counts):
                log.entries(count, (0, 3, 1)[i])
            log.seal(root=root if log.segment_no == 1 else None)
            log.open_segment()
        log.entries(2, 20)
        log.entries(3)
        return log

    def case(name, expect, log, edit=lambda f: None):
        files = dict(log.files)
        edit(files)
        out.append((name, expect, files))

    one, three = one_segment(), three_segments()
    seg = "000001-%010u.seg"

    def at(log, frame_no):
        name, offset, length, first, count = log.frames[frame_no]
        return name, offset, length

    def entry_byte(log, frame_no, index):
        """Offset of the last byte of an entry's wall clock."""
        name, offset, _ = at(log, frame_no)
        p = offset + 48
        for _ in range(index):
            p += 4 + number(log.files[name][p:p + 4])
        return p + 4 + 71

    def change(name, function):
        def edit(files): files[name] = function(files[name])
        return edit

    case("valid-empty", "valid", Log("empty"))
    case("valid-one-segment", "valid", one)
    case("valid-three-segments", "valid", three)
    sealed = one_segment("sealed")
    sealed.seal(cut=False)
    case("valid-sealed-not-cut", "valid", sealed)
    sealed = one_segment("sealed")
    sealed.seal()
    case("valid-sealed-and-cut", "valid", sealed)
    fresh = one_segment("fresh")
    fresh.seal()
    fresh.open_segment()
    case("valid-new-segment-without-frames", "valid", fresh)

    name, start, length = at(one, 2)
    case("tampered-entry-byte-in-the-middle", "tampered", one, change(name, lambda b: flip(b, entry_byte(one, 2, 1))))
    case("tampered-first-entry-of-a-frame", "tampered", one, change(name, lambda b: flip(b, entry_byte(one, 2, 0))))
    case("tampered-last-entry-of-a-frame", "tampered", one, change(name, lambda b: flip(b, entry_byte(one, 2, 3))))
    case("tampered-frame-header", "tampered", one, change(name, lambda b: flip(b, start + 32)))
    case("tampered-frame-trailer", "tampered", one, change(name, lambda b: flip(b, start + 48 + number(b[start + 28:start + 32]))))
    case("tampered-frame-padding", "tampered", one, change(name, lambda b: flip(b, start + length - 1)))
    case("tampered-entry-byte-in-a-sealed-segment", "tampered", three, change(seg % 0, lambda b: flip(b, entry_byte(three, 1, 1))))
    case("tampered-last-frame-before-a-seal", "tampered", three, change(seg % 1, lambda b: flip(b, entry_byte(three, 6, 5))))
    case("tampered-frame-removed", "tampered", one, change(name, lambda b: b[:start] + b[start + length:] + bytes(length)))
    case("tampered-frame-zeroed", "tampered", one, change(name, lambda b: put(b, start, bytes(length))))
    case("tampered-frame-repeated", "tampered", one, change(name, lambda b: b[:start + length] + b[start:len(b) - length]))
    _, next_start, next_length = at(one, 3)
    case("tampered-two-frames-swapped", "tampered", one, change(
        name, lambda b: b[:start] + b[next_start:next_start + next_length] + b[start:start + length] + b[next_start + next_length:]))

    # An unsynced last frame f+1 followed by a valid frame f+2: cannot happen with one frame in flight.
    _, start4, length4 = at(one, 4)
    _, start5, length5 = at(one, 5)
    end, reach = start5, start5 + Log.MAX_FRAME  # where the log ends once its last frame, number 5, is gone
    case("tampered-gap-then-a-valid-frame", "tampered", one, change(name, lambda b: put(b, start4, bytes(length4))))
    case("tampered-half-a-frame-then-a-valid-frame", "tampered", one, change(name, lambda b: put(b, start4 + 512, bytes(length4 - 512))))
    assert reach < Log.SIZE - 512 and length5 >= 1536 and length4 >= 1024

    def tail(new): return change(name, lambda b: put(b, end, new.ljust(length5, b"\0")))
    whole = one.files[name][start5:start5 + length5]
    middle = length5 // 1024 * 512
    case("torn-half-a-frame", "torn", one, tail(whole[:middle]))
    case("torn-first-sector-only", "torn", one, tail(whole[:512]))
    case("torn-zeros-then-the-rest-of-a-frame", "torn", one, tail(bytes(middle) + whole[middle:]))
    case("torn-hole-inside-a-frame", "torn", one, tail(whole[:512] + bytes(512) + whole[1024:]))
    case("torn-all-but-the-last-byte", "torn", one, tail(put(whole, number(whole[28:32]) + 48 + 31, b"\0")))
    case("torn-byte-changed-in-the-last-frame", "torn", one, change(name, lambda b: flip(b, entry_byte(one, 5, 0))))
    case("torn-garbage-after-the-end", "torn", one, change(name, lambda b: put(b, start5 + length5, rnd("garbage", 700))))
    case("torn-one-byte-just-within-one-frame", "torn", one, change(name, lambda b: put(put(b, end, bytes(length5)), reach - 1, b"\1")))
    case("torn-half-a-seal", "torn", sealed, change(sealed.name, lambda b: put(b.ljust(Log.SIZE, b"\0"), at(sealed, 6)[1] + 100, bytes(412))))
    case("tampered-one-byte-just-beyond-one-frame", "tampered", one, change(name, lambda b: put(put(b, end, bytes(length5)), reach, b"\1")))
    case("tampered-byte-far-beyond-the-end", "tampered", one, change(name, lambda b: put(b, Log.SIZE - 1, b"\1")))
    case("tampered-byte-after-a-seal", "tampered", three, change(seg % 1, lambda b: b + flip(bytes(512), 100)))

    case("tampered-first-segment-missing", "tampered", three, lambda f: f.pop(seg % 0))
    case("tampered-middle-segment-missing", "tampered", three, lambda f: f.pop(seg % 1))
    case("tampered-seal-cut-off", "tampered", three, change(seg % 1, lambda b: b[:at(three, 7)[1]]))
    case("tampered-header-hash", "tampered", three, change(seg % 1, lambda b: flip(b, 4095)))
    case("tampered-header-zeros", "tampered", three, change(seg % 1, lambda b: flip(b, 2000)))

    def header(no, offset, new):
        def function(b):
            page = put(b[:4064], offset, new)
            return page + sha256(page) + b[4096:]
        return change(seg % no, function)

    case("tampered-header-first-seq", "tampered", three, header(2, 40, u64(16)))
    case("tampered-header-tree-root", "tampered", three, header(2, 80, bytes(32)))
    case("tampered-header-log-id", "tampered", three, header(1, 8, bytes(16)))
    case("tampered-header-previous-header", "tampered", three, header(1, 128, bytes(32)))
    case("tampered-header-file-size", "tampered", three, header(0, 112, u64(Log.SIZE * 2)))
    case("tampered-seal-root", "tampered", three_segments(root=rnd("another root", 32)))
    case("tampered-descriptor-name", "tampered", one, change("epoch-000001", lambda b: flip(b, 70)))
    case("tampered-file-longer-than-its-header-says", "tampered", one, change(name, lambda b: b + bytes(512)))

    # Kinds 2 and 4 are kept for later versions. The note is any text, the purged entries are those of the log "one".
    note = b"example.com/log\n18\n\n\xe2\x80\x94 example.com/log AAAA\n"
    noted = one_segment()
    noted.append(2, 0, note)
    case("unsupported-signed-note", "unsupported", noted)
    noted_at, noted_end = at(noted, 6)[1], at(noted, 6)[1] + at(noted, 6)[2]
    case("torn-half-a-signed-note", "torn", noted, change(name, lambda b: put(b, noted_at + 48, bytes(noted_end - noted_at - 48))))
    noted.entries(2)
    case("unsupported-signed-note-then-entries", "unsupported", noted)
    case("tampered-signed-note-then-entries", "tampered", noted, change(name, lambda b: flip(b, noted_at + 50)))
    skipped = one_segment()
    skipped.frame_no += 1
    skipped.append(2, 0, note)
    case("tampered-signed-note-of-another-number", "tampered", skipped)
    purged = Log("purged")
    purged.entries(1)
    hashes = [sha256(b"purged %u" % i) for i in range(3)]
    purged.leaves, purged.prev = purged.leaves + hashes, hashes[-1]
    purged.append(4, len(hashes), b"".join(hashes))
    purged.entries(2)
    purged.seal()
    purged.open_segment()
    purged.entries(3)
    case("unsupported-purged-entries-in-a-sealed-segment", "unsupported", purged)
    return out


# ---------------------------------------------------------------- heads and proofs

def split(n): return 1 << (n - 1).bit_length() - 1


def tree_path(m, leaves):
    """RFC 6962 2.1.1, as it is written there."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return tree_path(m, leaves[:k]) + [tree_root(leaves[k:])]
    return tree_path(m - k, leaves[k:]) + [tree_root(leaves[:k])]


def tree_proof(m, leaves, whole=True):
    """RFC 6962 2.1.2, SUBPROOF."""
    if m == len(leaves):
        return [] if whole else [tree_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return tree_proof(m, leaves[:k], whole) + [tree_root(leaves[k:])]
    return tree_proof(m - k, leaves[k:], False) + [tree_root(leaves[:k])]


def base64_line(b): return base64.b64encode(b) + b"\n"
def checkpoint(origin, size, root): return origin + b"\n%u\n" % size + base64_line(root)
def public_key(seed): return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signature_line(name, seed, text):
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text)
    return "\u2014 ".encode() + name + b" " + base64_line(sha256(name, b"\n\x01", public_key(seed))[:4] + signature)


def note(text, *signers): return text + b"\n" + b"".join(signature_line(n, s, text) for n, s in signers)


def verifier_key(name, seed, kind=b"\x01"):
    public = public_key(seed)
    return (name + b"+" + sha256(name, b"\n", kind, public)[:4].hex().encode() + b"+" + base64.b64encode(kind + public)).decode()


def entry_proof(entry, index, hashes, head):
    extra = b"extra " + base64_line(entry) if entry is not None else b""
    return b"c2sp.org/tlog-proof@v1\n" + extra + b"index %u\n" % index + b"".join(map(base64_line, hashes)) + b"\n" + head


def consistency_proof(hashes, old, new):
    return b"chatelaine/consistency-proof@v1\n" + b"".join(map(base64_line, hashes)) + b"\n" + old + b"\n" + new


ORIGIN = b"vectors/2f351c59b5083a0964383f3ac433daed/1"
LOG_SEED, WITNESS_SEED = rnd("heads/log key", 32), rnd("heads/witness key", 32)


def keys_vectors():
    good = verifier_key(ORIGIN, LOG_SEED)
    name, hash_, blob = good.split("+", 2)
    cases = [("the log's key", good), ("blanks around it", "  " + good + "\r\n"), ("a plus sign in its base64", next(
        k for k in (verifier_key(b"example.org/%u" % i, rnd("heads/plus %u" % i, 32)) for i in range(99)) if "+" in k.split("+", 2)[2])),
        ("no name", "+" + hash_ + "+" + blob), ("a space in the name", good.replace("/1+", "/ 1+")), ("hash in capitals", name + "+" + hash_.upper() + "+" + blob),
        ("hash of another name", name + "x+" + hash_ + "+" + blob), ("hash cut", name + "+" + hash_[:6] + "+" + blob), ("key cut", good[:-4]),
        ("no key", name + "+" + hash_ + "+"), ("base64 without the last character", good[:-1]), ("a byte too many", name + "+" + hash_ + "+" + base64.b64encode(b"\x01" + bytes(33)).decode()),
        ("ECDSA", verifier_key(ORIGIN, LOG_SEED, b"\x02")), ("a cosignature key", verifier_key(ORIGIN, LOG_SEED, b"\x04")), ("nothing", "")]
    out = []
    for what, text in cases:
        try:
            key = evidence.parse_key(text)
            out.append(dict(name=what, expect="ok", text=text, keyName=key[0], publicKey=key[2]))
        except evidence.Verdict as found:
            out.append(dict(name=what, expect=found.args[1], text=text, keyName="", publicKey=b""))
    for o in out:
        o["expect"] = o["expect"] if o["expect"] in ("ok", "hash", "algorithm") else "text"
    check("keys are refused for every reason", {o["expect"] for o in out} == {"ok", "text", "hash", "algorithm"})
    return out


def heads_vectors(leaves):
    key = verifier_key(ORIGIN, LOG_SEED)
    text = checkpoint(ORIGIN, len(leaves), tree_root(leaves))
    good, log, witness = note(text, (ORIGIN, LOG_SEED)), (ORIGIN, LOG_SEED), (b"witness.example/w1", WITNESS_SEED)
    lines = text.split(b"\n")
    def signed(t): return note(t, log)
    cases = [
        ("a head", good), ("of the empty tree", signed(checkpoint(ORIGIN, 0, tree_root([])))), ("of the largest size", signed(checkpoint(ORIGIN, (1 << 64) - 1, bytes(32)))),
        ("with a witness", note(text, log, witness)), ("with a witness before", note(text, witness, log)), ("with an extension line", signed(text + b"later\n")),
        ("with sixteen witnesses", note(text, log, *[witness] * 16)), ("signed by a witness only", note(text, witness)),
        ("signed by another key of the same name", note(text, (ORIGIN, WITNESS_SEED))), ("another origin", signed(checkpoint(ORIGIN[:-1] + b"2", 5, bytes(32)))),
        ("a byte of the root changed", good.replace(lines[2], base64.b64encode(rnd("other root", 32)))), ("the size changed", good.replace(b"\n300\n", b"\n299\n")),
        ("a byte of the signature changed", good[:-10] + bytes([good[-10] ^ 1]) + good[-9:]), ("one good signature and a bad one", good + signature_line(ORIGIN, LOG_SEED, b"another text\n")),
        ("a leading zero", signed(text.replace(b"\n300\n", b"\n0300\n"))), ("a plus sign", signed(text.replace(b"\n300\n", b"\n+300\n"))), ("size 2^64", signed(text.replace(b"\n300\n", b"\n18446744073709551616\n"))),
        ("no size", signed(lines[0] + b"\n" + lines[2] + b"\n")), ("a root of 31 bytes", signed(checkpoint(ORIGIN, 5, bytes(31)))), ("a root in base64url", signed(checkpoint(ORIGIN, 5, b"\xff" * 32).replace(b"/", b"_"))),
        ("an empty line in the text", signed(text + b"\nmore\n")), ("carriage returns", note(text.replace(b"\n", b"\r\n"), log)), ("not UTF-8", signed(text + b"\xff\n")), ("a hyphen for the dash", good.replace("\u2014".encode(), b"-")),
        ("two spaces", good.replace(b" " + good.split(b" ")[-1], b"  " + good.split(b" ")[-1])), ("a signature without bytes", text + b"\n" + "\u2014 ".encode() + ORIGIN + b" " + base64_line(sha256(ORIGIN)[:4])),
        ("no newline at the end", good[:-1]), ("the signature cut off", text + b"\n"), ("only the text", text), ("nothing", b""), ("65 signatures", text + b"\n" + good[len(text) + 1:] * 65),
    ]
    out = []
    for what, head in cases:
        try:
            origin, size, root = evidence.open_head(head, evidence.parse_key(key))
            out.append(dict(name=what, expect="valid", note=head, origin=origin, size=str(size), root=root))
        except evidence.Verdict as found:
            out.append(dict(name=what, expect=found.args[0], note=head, origin="", size="", root=b""))
    check("heads are judged in every way", {o["expect"] for o in out} == {"valid", "wrong-key", "tampered", "truncated"})
    return dict(seed=LOG_SEED, publicKey=public_key(LOG_SEED), origin=ORIGIN.decode(), verifierKey=key, keys=keys_vectors(), heads=out)


def witness_vectors(heads):
    head = next(h["note"] for h in heads["heads"] if h["name"] == "a head")
    return cosigned.vectors(rnd, head[:head.index(b"\n\n") + 1], head, heads["verifierKey"], check)


def proofs_vectors(entries, leaves):
    key, log = verifier_key(ORIGIN, LOG_SEED), (ORIGIN, LOG_SEED)
    sizes = [1, 2, 3, 6, 7, 8, 255, 256, 257, 300]
    inclusion = [dict(index=str(m), size=str(n), proof=tree_path(m, leaves[:n])) for n in sizes for m in sorted({0, n // 2, n - 1})]
    consistency = [dict(old=str(m), new=str(n), proof=tree_proof(m, leaves[:n])) for n in sizes for m in sizes + [4, 5, 128, 299] if m < n]
    for v in inclusion:
        n = int(v["size"])
        check("an inclusion proof holds", evidence.included(leaves[int(v["index"])], int(v["index"]), n, tree_root(leaves[:n]), v["proof"]))
    for v in consistency:
        m, n = int(v["old"]), int(v["new"])
        check("a consistency proof holds", evidence.consistent(m, tree_root(leaves[:m]), n, tree_root(leaves[:n]), v["proof"]))

    def head(n, root=None, signer=log): return note(checkpoint(ORIGIN, n, root or tree_root(leaves[:n])), signer)
    files = []

    def add(what, expect, file, leaf=None):
        check("each proof is judged as expected: %s, %s" % (expect, evidence.verdict(file, key, leaf)), evidence.verdict(file, key, leaf) == expect)
        files.append(dict(name=what, expect=expect, file=file, leaf=leaf or b""))

    path = tree_path(77, leaves)
    good = entry_proof(entries[77], 77, path, head(300))
    add("an entry", "valid", good)
    add("an entry and its hash", "valid", good, leaves[77])
    add("an entry and another's hash", "tampered", good, leaves[78])
    add("the only entry", "valid", entry_proof(entries[0], 0, [], head(1)))
    add("the last entry", "valid", entry_proof(entries[299], 299, tree_path(299, leaves), head(300)))
    add("without the entry, its hash given", "valid", entry_proof(None, 77, path, head(300)), leaves[77])
    add("without the entry", "tampered", entry_proof(None, 77, path, head(300)))
    add("a byte of the entry changed", "tampered", entry_proof(flip(entries[77], 100), 77, path, head(300)))
    add("another entry", "tampered", entry_proof(entries[78], 77, path, head(300)))
    add("another index", "tampered", entry_proof(entries[77], 76, path, head(300)))
    add("an index beyond the tree", "tampered", entry_proof(entries[77], 300, path, head(300)))
    add("a hash changed", "tampered", entry_proof(entries[77], 77, [flip(path[0], 3)] + path[1:], head(300)))
    add("a hash left out", "tampered", entry_proof(entries[77], 77, path[:-1], head(300)))
    add("a hash too many", "tampered", entry_proof(entries[77], 77, path + [path[0]], head(300)))
    add("sixty-six hashes", "tampered", entry_proof(entries[77], 77, [path[0]] * 66, head(300)))
    add("a head of another size", "tampered", entry_proof(entries[77], 77, path, head(299)))
    add("a head of another key", "wrong-key", entry_proof(entries[77], 77, path, head(300, signer=(ORIGIN, WITNESS_SEED))))
    add("a head whose signature is not its own", "tampered", good.replace(b"\n300\n", b"\n301\n"))
    add("an inner node for an entry", "tampered", entry_proof(None, 38, tree_path(77, leaves)[1:], head(300)), sha256(b"\1", leaves[76], leaves[77]))
    add("a later version", "unsupported", good.replace(b"@v1", b"@v2"))
    add("no proof", "tampered", b"hello\n")
    add("nothing", "nothing", b"")
    for cut in (10, 30, len(good) // 2, good.index(b"\n\n") + 2, len(good) - 40, len(good) - 1):
        add("cut at byte %u" % cut, "truncated", good[:cut])
    add("an index with a leading zero", "tampered", good.replace(b"index 77", b"index 077"))
    add("extra in another spelling", "tampered", good.replace(b"extra ", b"extra  "))
    steps = tree_proof(100, leaves)
    grown = consistency_proof(steps, head(100), head(300))
    add("a log that grew", "valid", grown)
    add("a log that stood still", "valid", consistency_proof([], head(300), head(300)))
    add("from the empty log", "valid", consistency_proof([], head(0), head(300)))
    add("from a power of two", "valid", consistency_proof(tree_proof(128, leaves), head(128), head(300)))
    add("two roots of one size", "forked", consistency_proof([], head(300, leaves[0]), head(300)))
    add("another beginning", "tampered", consistency_proof(steps, head(100, leaves[0]), head(300)))
    add("a step changed", "tampered", consistency_proof([flip(steps[0], 0)] + steps[1:], head(100), head(300)))
    add("a step left out", "tampered", consistency_proof(steps[1:], head(100), head(300)))
    add("a step too many", "tampered", consistency_proof(steps + [steps[0]], head(100), head(300)))
    add("no steps", "tampered", consistency_proof([], head(100), head(300)))
    add("the newer head first", "tampered", consistency_proof(steps, head(300), head(100)))
    add("an older head of another key", "wrong-key", consistency_proof(steps, head(100, signer=(ORIGIN, WITNESS_SEED)), head(300)))
    add("a later version of it", "unsupported", grown.replace(b"proof@v1", b"proof@v2"))
    for cut in (2, 12, 40, grown.index(b"\n\n") + 2, len(consistency_proof(steps, head(100), b"")), len(grown) - 1):
        add("a log that grew, cut at byte %u" % cut, "truncated", grown[:cut])
    return dict(verifierKey=key, leaves=leaves, inclusion=inclusion, consistency=consistency, files=files)


def history_lines(entries): return b"".join(b'{"sequence":%d,"entry":"%s"}\n' % (number(e[8:16]), base64.b64encode(e)) for e in entries)


def history_proof(tenant, index, hashes, commitment):
    return b"chatelaine/tenant-history@v1\ntenant %s\nindex %u\n" % (tenant, index) + b"".join(map(base64_line, hashes)) + b"\n" + commitment


def history_log(change=lambda fields: fields):
    """Entries of five tenants and the service, one of whom never does anything that succeeds, with tenant heads at 12, 25 and 31."""
    entries, prev = [], sha256(b"a log with histories")
    for seq in range(33):
        tenant = (b"acme", b"globex", b"acme", b"initech", b"nobody", b"umbrella")[seq % 6] if seq else b"_service"
        fields = dict(seq=seq, prev=prev, blind=rnd("histories/%u" % seq, 16), wallNs=1700000000000000000 + seq, bootNs=5 + seq, incarnation=1,
                      operation=1, outcome=1, tenant=tenant, keyName=b"k", principal=b"uid:7", items=[(1, 0, 5, rnd("digest", 32))])
        if seq == 0:
            fields.update({"class": 5, "operation": 96, "keyName": b"", "items": []})
        elif tenant == b"nobody":
            fields.update({"class": 2, "outcome": 2, "reason": 1, "items": []})
        elif seq < 6:  # initech begins with an intent, umbrella with a batch that went well in part
            fields.update({"class": 3, "operation": 32, "outcome": 0, "items": []} if seq == 3 else {"outcome": 3, "items": [(3, 8, 0, bytes(32)), (1, 0, 5, bytes(32))]} if seq == 5 else {})
        elif seq == 8:
            fields.update(outcome=3, reason=8, items=[])
        if seq in (12, 25, 31):
            size = {12: 12, 25: 23, 31: 30}[seq]
            found = evidence.histories(entries[:size])
            root = tree_root([one.leaf() for one in found.values()])
            fields.update({"class": 7, "operation": 114, "tenant": b"_service", "keyName": b"", "items": [],
                           "details": [(8, u64(len(found))), (20, u64(size)), (21, root)]})
        entries.append(entry_bytes(change(fields)))
        prev = leaf_hash(entries[-1])
    return entries


def histories_vectors():
    key, log = verifier_key(ORIGIN, LOG_SEED), (ORIGIN, LOG_SEED)
    entries = history_log()
    leaves = [leaf_hash(e) for e in entries]
    states = evidence.histories(entries[:30])
    tenant_leaves = [one.leaf() for one in states.values()]
    tenants = list(states)
    check("tenants begin in the order of their first act", tenants == [b"_service", b"globex", b"acme", b"initech", b"umbrella"])

    def head(signer=log, size=33): return note(checkpoint(ORIGIN, size, tree_root(leaves[:size])), signer)
    def commitment(at=31, signer=log, entry=None): return entry_proof(entry or entries[at], at, tree_path(at, leaves), head(signer))
    def own(tenant, size=30): return [e for e in entries[:size] if entry_parse(e)["tenant"] == tenant]
    def proof(tenant, **given): return history_proof(tenant, tenants.index(tenant), tree_path(tenants.index(tenant), tenant_leaves), commitment(**given))
    exports = []

    def add(what, expect, lines, file, tenant=None):
        got = evidence.history_verdict(lines, file, key, tenant)
        check("each export is judged as expected: %s, %s" % (expect, got), got == expect)
        exports.append(dict(name=what, expect=expect, lines=lines or b"", proof=file or b"", tenant=(tenant or b"").decode(),
                            missing=[name for name, content in (("entries.jsonl", lines), ("history.proof", file)) if content is None]))

    mine, whole = own(b"acme"), proof(b"acme")
    lines = history_lines(mine)
    for tenant in tenants:
        add("the history of %s" % tenant.decode(), "valid", history_lines(own(tenant)), proof(tenant))
    add("as it was earlier", "valid", history_lines(own(b"acme", 23)), history_proof(b"acme", 2, tree_path(2, [h.leaf() for h in evidence.histories(entries[:23]).values()]), commitment(25)))
    add("of the tenant that is wanted", "valid", lines, whole, b"acme")
    add("of another than the one that is wanted", "tampered", lines, whole, b"globex")
    for index in range(len(mine)):
        add("entry %u of it left out" % index, "tampered", history_lines(mine[:index] + mine[index + 1:]), whole)
    add("all but the first left out", "tampered", history_lines(mine[:1]), whole)
    add("no entry", "truncated", b"", whole)
    add("an entry twice", "tampered", history_lines(mine[:1] + mine), whole)
    add("two entries in another order", "tampered", history_lines([mine[1], mine[0]] + mine[2:]), whole)
    add("an entry of another tenant put in", "tampered", history_lines(sorted(mine + [entries[1]], key=lambda e: e[8:16])), whole)
    add("an entry of another tenant in place of one", "tampered", history_lines([entries[1]] + mine[1:]), whole)
    add("another tenant's entries", "tampered", history_lines(own(b"globex")), whole)
    add("another tenant's entries and name", "tampered", history_lines(own(b"globex")), whole.replace(b"tenant acme", b"tenant globex"))
    add("another tenant's name", "tampered", lines, whole.replace(b"tenant acme", b"tenant globex"))
    add("an entry behind what is covered", "tampered", history_lines(own(b"acme", 33)), whole)
    add("an entry changed", "tampered", history_lines([flip(mine[0], 84)] + mine[1:]), whole)
    add("tenant heads of before", "tampered", lines, proof(b"acme", at=25))
    add("another place in the tree", "tampered", lines, whole.replace(b"\nindex 2\n", b"\nindex 1\n"))
    add("a sibling left out", "tampered", lines, history_proof(b"acme", 2, tree_path(2, tenant_leaves)[1:], commitment()))
    add("an entry that commits to nothing", "tampered", lines, proof(b"acme", at=30))
    add("without the entry that commits", "tampered", lines, history_proof(b"acme", 2, tree_path(2, tenant_leaves), entry_proof(None, 31, tree_path(31, leaves), head())))
    add("a head of another key", "wrong-key", lines, proof(b"acme", signer=(ORIGIN, WITNESS_SEED)))
    add("a head whose signature is not its own", "tampered", lines, whole.replace(b"\n33\n", b"\n34\n"))
    forged = history_log(lambda f: {**f, "details": [f["details"][0], f["details"][1], (21, root_with(mine[:-1], tenants, states))]} if f["seq"] == 31 else f)
    add("a forged commitment, with the head of the true log", "tampered", history_lines(mine[:-1]), proof(b"acme", entry=forged[31]))
    add("a number that is not the entry's", "tampered", lines.replace(b'"sequence":2,', b'"sequence":3,'), whole)
    add("a number with a leading zero", "tampered", lines.replace(b'"sequence":2,', b'"sequence":02,'), whole)
    add("a space in a line", "tampered", lines.replace(b",", b", ", 1), whole)
    add("a field more", "tampered", lines.replace(b'"}', b'","a":"b"}', 1), whole)
    add("an empty line", "tampered", lines.replace(b"\n", b"\n\n", 1), whole)
    add("carriage returns", "tampered", lines.replace(b"\n", b"\r\n"), whole)
    add("the last newline cut off", "truncated", lines[:-1], whole)
    add("the last line cut", "truncated", lines[:-100], whole)
    add("no proof", "truncated", lines, None)
    add("no entries", "truncated", None, whole)
    add("neither", "nothing", None, None)
    add("an empty proof", "nothing", lines, b"")
    for cut in (10, 35, 45, whole.index(b"\n\n") + 2, whole.index(b"\n\n") + 30, len(whole) - 1):
        add("a proof cut at byte %u" % cut, "truncated", lines, whole[:cut])
    add("a later version", "unsupported", lines, whole.replace(b"history@v1", b"history@v2"))
    add("a later version of the commitment's proof", "unsupported", lines, whole.replace(b"proof@v1", b"proof@v2"))
    add("a consistency proof in its place", "tampered", lines, history_proof(b"acme", 2, tree_path(2, tenant_leaves), consistency_proof([], head(), head())))
    add("no export", "tampered", lines, b"hello\n")
    add("no tenant's name", "tampered", lines, whole.replace(b"tenant acme", b"tenant ACME"))
    add("a line without its tenant", "tampered", lines, whole.replace(b"tenant acme\n", b""))
    add("an index with a leading zero", "tampered", lines, whole.replace(b"\nindex 2\n", b"\nindex 02\n"))
    check("exports are judged in every way", {e["expect"] for e in exports} == {"valid", "tampered", "truncated", "wrong-key", "unsupported", "nothing"})
    return dict(verifierKey=key, logs=history_checks(entries), exports=exports)


def root_with(entries, tenants, states):
    """The root that would be right had acme these entries."""
    less = evidence.histories(entries)
    return tree_root([less.get(t, states[t]).leaf() for t in tenants])


def history_checks(entries):
    """Logs with tenant heads, linked right, and the first that does not hold."""
    logs = []

    def add(what, expect, log):
        check("each log's tenant heads are judged as expected", evidence.check_tenant_heads(log)[0] == expect)
        logs.append(dict(name=what, wrong="" if expect is None else str(expect), count=evidence.check_tenant_heads(log)[1], entries=log))

    def details(at, change):
        return history_log(lambda f: {**f, "details": change(f["details"])} if f["seq"] == at else f)

    add("as it is written", None, entries)
    add("no tenant heads yet", None, entries[:12])
    add("a root that is another", 25, details(25, lambda d: d[:2] + [(21, flip(d[2][1], 31))]))
    add("one tenant too few", 12, details(12, lambda d: [(8, u64(number(d[0][1]) - 1))] + d[1:]))
    add("another size under the root", 31, details(31, lambda d: [d[0], (20, u64(29)), d[2]]))
    add("a size that is beyond the entry", 25, details(25, lambda d: [d[0], (20, u64(26)), d[2]]))
    add("no entries covered", 12, details(12, lambda d: [d[0], (20, u64(0)), d[2]]))
    add("the tenant heads of before once more", 31, history_log(lambda f: {**f, "details": entry_parse(entries[25])["details"]} if f["seq"] == 31 else f))
    add("no root", 25, details(25, lambda d: d[:2]))
    add("a detail more", 25, details(25, lambda d: [(2, u64(1))] + d))
    add("another operation", 12, history_log(lambda f: {**f, "operation": 113} if f["seq"] == 12 else f))
    add("not ok", 12, history_log(lambda f: {**f, "outcome": 3} if f["seq"] == 12 else f))
    add("of a tenant", 12, history_log(lambda f: {**f, "tenant": b"acme"} if f["seq"] == 12 else f))
    return logs


def signing_file(created, seed, public=None):
    f = b"CS\1\1" + u64(created) + (public or public_key(seed)) + seed
    return f + sha256(f)


def signing_open(f):
    need(len(f) >= 4 and f[:2] == b"CS")
    need(f[2:4] == b"\1\1", "unsupported")
    need(len(f) == 108)
    need(sha256(f[:76]) == f[76:], "damaged")
    need(public_key(f[44:76]) == f[12:44], "wrong-key")
    return dict(createdNs=number(f[4:12]), publicKey=f[12:44])


def signing_key_vectors():
    good = signing_file(1700000000000000000, LOG_SEED)
    out = []

    def add(name, expect, f):
        got, value = outcome(signing_open, f)
        check("each signing key opens as expected", got == expect)
        value = value or dict(createdNs=0, publicKey=b"")
        out.append(dict(name=name, expect=expect, file=f, createdNs=str(value["createdNs"]), publicKey=value["publicKey"]))

    add("a signing key", "ok", good)
    add("another", "ok", signing_file(0, WITNESS_SEED))
    add("nothing", "malformed", b"")
    for size in (3, 4, 107):
        add("cut to %u bytes" % size, "malformed", good[:size])
    add("a byte too many", "malformed", good + b"\0")
    add("a master key's magic", "malformed", b"CK" + good[2:])
    for what, at in (("version", 2), ("seal", 3)):
        add("another %s" % what, "unsupported", put(good, at, b"\2"))
        add("another %s, shorter" % what, "unsupported", put(good, at, b"\2")[:100])
    for at in (4, 11, 12, 43, 44, 75, 76, 107):
        add("byte %u changed" % at, "damaged", flip(good, at))
    other = signing_file(1700000000000000000, LOG_SEED, public_key(WITNESS_SEED))
    add("another's public key, under a checksum of its own", "wrong-key", other)
    return {"vectors": out}


def transparency_vectors():
    entries, prev = [], sha256(descriptor(bytes.fromhex("2f351c59b5083a0964383f3ac433daed"), 1, 1700000000000000000, bytes(32), b"vectors"))
    for seq in range(300):
        entries.append(sample_entry("proofs", seq, prev, 1))
        prev = leaf_hash(entries[-1])
    leaves = [leaf_hash(e) for e in entries]
    return heads_vectors(leaves), proofs_vectors(entries, leaves)


def build():
    """Every file as {path under this folder: bytes}."""
    def as_file(value): return (json.dumps(hexed(value), indent=1) + "\n").encode()

    two_key, locals_ = two_key_vector(), local_vectors()
    heads, proofs = transparency_vectors()
    envelopes = envelope_vectors(dict(two_key, tenant=b"acme"))
    files = {
        "derivation.json": derivation_vectors(), "context.json": context_vectors(), "envelope.json": envelopes, "two-key.json": two_key,
        "wrapped-key.json": wrapped_vectors(), "local-envelope.json": locals_, "text.json": text_vectors(envelopes, locals_),
        "keyring.json": keyring_vectors(), "entry.json": entry_vectors(), "rows.json": rows_vectors(),
        "heads.json": heads, "proofs.json": proofs, "signing-key.json": signing_key_vectors(), "histories.json": histories_vectors(),
        "witness.json": witness_vectors(heads),
    }
    files = {name: as_file(value) for name, value in files.items()}
    index = []
    for name, expect, content in log_cases():
        verdict, bad, detail, size, root, place = log_verify(content)
        check("each log is judged as expected", verdict == expect)
        check("each log folder is under 200 KiB", sum(map(len, content.values())) < 200 * 1024)
        index.append(dict(name=name, expect=expect, firstBadSequence=bad, detail=detail, treeSize=size, root=root, unsupported=place))
        files.update({"logs/%s/%s" % (name, file): data for file, data in content.items()})
    files["logs/index.json"] = as_file({"logs": index})
    return files


def main():
    files = build()
    present = {str(p.relative_to(HERE)) for p in HERE.glob("logs/**/*") if p.is_file()}
    stale = sorted(present - set(files))
    different = [n for n, data in files.items() if not (HERE / n).is_file() or (HERE / n).read_bytes() != data]
    if "--check" in sys.argv[1:]:
        for name in different + stale:
            print("differs: " + name)
        sys.exit(1 if different or stale else 0)
    for name in different:
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(files[name])
    for name in stale:
        (HERE / name).unlink()
    for folder in sorted(HERE.glob("logs/*/")):
        if not any(folder.iterdir()):
            folder.rmdir()
    for what, times in ASSERTED.items():
        print("%5u  %s" % (times, what))
    print("%u files, %u written, %u removed" % (len(files), len(different), len(stale)))


if __name__ == "__main__":
    main()
