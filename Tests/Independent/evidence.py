"""Signed heads, proofs and exports, by docs/formats alone (see verify_log.py)."""

import base64, collections, re
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from log_bytes import Answer, TENANT, big, climb, covered_size, demand, grow, parse_entry, sha, tenant_leaf

KEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
ENTRY_PROOF, CONSISTENCY = "c2sp.org/tlog-proof@v1", "chatelaine/consistency-proof@v1"
HISTORY = "chatelaine/tenant-history@v1"
Key = collections.namedtuple("Key", "name id public")
Head = collections.namedtuple("Head", "text origin size root signatures")
Proof = collections.namedtuple("Proof", "entry index path heads")


# Heads: head.md


def base64_bytes(text, size=None):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    demand(base64.b64encode(data).decode() == text and size in (None, len(data)), "base64")
    return data


def decimal(text):
    demand(re.fullmatch("0|[1-9][0-9]{0,19}", text, re.ASCII) and int(text) < 1 << 64, "a number's spelling")
    return int(text)


def parse_key(text):
    parts = KEY.fullmatch(text.strip())
    if not parts:
        raise Answer("usage", "text")
    try:
        name, public = parts[1], base64_bytes(parts[3], 33)
    except Answer:
        raise Answer("usage", "text")
    if public[0] != 1:
        raise Answer("usage", "algorithm")
    if key_id(name, public) != bytes.fromhex(parts[2]):
        raise Answer("usage", "hash")
    return Key(name, key_id(name, public), public)


def key_id(name, public):
    return sha(name.encode() + b"\n" + public)[:4]


def parse_head(note):
    if not note.endswith(b"\n") or b"\n\n" not in note or note.endswith(b"\n\n"):
        raise Answer("truncated", "a head without its end")
    try:
        text, signatures = note.decode().rsplit("\n\n", 1)
    except UnicodeDecodeError:
        raise Answer("tampered", "HEAD-1")
    demand(len(note) <= 65536 and not re.search("[\0-\x09\x0b-\x1f]", note.decode()), "HEAD-1")
    lines, signatures = text.split("\n"), signatures[:-1].split("\n")
    demand(len(lines) >= 3 and all(lines) and len(signatures) <= 64, "HEAD-2, HEAD-3")
    parsed = []
    for line in signatures:
        dash, name, value = (line.split(" ") + [""] * 3)[:3]
        value = base64_bytes(value)
        demand(line.count(" ") == 2 and dash == "\u2014" and name and len(value) > 4, "HEAD-2")
        parsed.append((name, value[:4], value[4:]))
    return Head((text + "\n").encode(), lines[0], decimal(lines[1]), base64_bytes(lines[2], 32), parsed)


def check_head(head, key):
    """HEAD-5 and HEAD-4; the pages do not say which comes first."""
    if head.origin != key.name:
        raise Answer("wrong-key", "a head of another origin")
    mine = [signature for name, number, signature in head.signatures if (name, number) == (key.name, key.id)]
    for signature in mine:
        try:
            Ed25519PublicKey.from_public_bytes(key.public[1:]).verify(signature, head.text)
        except (InvalidSignature, ValueError):
            raise Answer("tampered", "a signature that does not hold")
    if not mine:
        raise Answer("wrong-key", "no signature of the key")


# Proofs: proof.md


class Lines:
    def __init__(self, data):
        self.data, self.at = data, 0

    def next(self):
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Answer("truncated", "it ends before it is whole")
        line, self.at = self.data[self.at : end], end + 1
        demand(line.isascii(), "not ASCII")
        return line.decode()

    def field(self, name):
        line = self.next()
        demand(line.startswith(name + " "), "no " + name)
        return line[len(name) + 1 :]

    def hashes(self):
        """Hashes up to an empty line."""
        lines = list(iter(self.next, ""))
        demand(len(lines) <= 65, "PROOF-7")
        return [base64_bytes(line, 32) for line in lines]

    def rest(self):
        return self.data[self.at :]

    def first(self, *names):
        if not self.data:
            raise Answer("nothing", "an empty file")
        if b"\n" not in self.data and any(name.encode().startswith(self.data) for name in names):
            raise Answer("truncated", "cut in the first line")
        line = self.data.split(b"\n")[0].decode("latin-1")
        if line not in names and line.rpartition("@")[0] in [name.rpartition("@")[0] for name in names]:
            raise Answer("unsupported", line)
        demand(line in names, "no such proof")
        return self.next()


def parse_proof(data, *names):
    demand(len(data) <= 262144, "PROOF-7")
    lines = Lines(data)
    if lines.first(*names) == CONSISTENCY:
        path, rest = lines.hashes(), lines.rest()
        between = rest.find(b"\n\n", rest.find(b"\n\n") + 2)
        if rest.count(b"\n\n") < 2:
            raise Answer("truncated", "no newer head")
        return Proof(None, None, path, [parse_head(rest[: between + 1]), parse_head(rest[between + 2 :])])
    entry = parse_entry(base64_bytes(lines.field("extra"))) if lines.rest().startswith(b"extra ") else None
    index = decimal(lines.field("index"))
    return Proof(entry, index, lines.hashes(), [parse_head(lines.rest())])


def judge_proof(proof, key, leaf=None):
    for head in proof.heads:
        check_head(head, key)
    head = proof.heads[-1]
    if proof.index is None:
        old = proof.heads[0]
        if old.size == head.size and old.root != head.root:
            raise Answer("forked", "two roots of one size")
        if old.size == 0:
            demand(not proof.path and old.root == sha(b""), "PROOF-5")
        else:
            demand(old.size <= head.size, "the newer head first")
            demand(
                grow(old.size, head.size, proof.path, old.root) == (old.root, head.root),
                "the roots are others",
            )
        return head
    leaves = {proof.entry.leaf} if proof.entry else set()
    leaves |= {leaf} if leaf else set()
    demand(len(leaves) == 1 and (not proof.entry or proof.entry.seq == proof.index), "PROOF-4")
    demand(climb(leaves.pop(), proof.index, head.size, proof.path) == head.root, "the root is another")
    return head


# Exports: history.md


def judge_export(entries, proof, key, tenant=None):
    """Both files' bytes, None for one that is not there."""
    if not proof and (proof is not None or entries is None):
        raise Answer("nothing", "no export")
    if proof is None or entries is None:
        raise Answer("truncated", "a file is missing")
    lines = Lines(proof)
    lines.first(HISTORY)
    name = lines.field("tenant").encode()
    demand(TENANT.fullmatch(name), "no tenant's name")
    index, path = decimal(lines.field("index")), lines.hashes()
    commitment = parse_proof(lines.rest(), ENTRY_PROOF) if lines.rest() else lines.next()
    heads = commitment.entry
    demand(tenant in (None, name) and heads, "HIST-11, HIST-8")
    head = judge_proof(commitment, key)
    size = covered_size(heads)
    demand(size, "HIST-8")
    count, last, link = 0, -1, sha(b"chatelaine/v1/tenant-history" + name)
    *lines, rest = entries.split(b"\n")
    for line in lines:
        parts = re.fullmatch(rb'\{"sequence":([0-9]+),"entry":"([^"]*)"\}', line)
        demand(parts, "a line's spelling")
        entry = parse_entry(base64_bytes(parts[2].decode("latin-1")))
        demand(
            str(entry.seq).encode() == parts[1] and entry.tenant == name and last < entry.seq < size, "HIST-9"
        )
        count, last, link = count + 1, entry.seq, sha(b"\3" + link + entry.leaf)
    if rest or not count:
        raise Answer("truncated", "a line without its end, or no entry")
    leaf = tenant_leaf(name, count, last, link)
    demand(
        climb(leaf, index, big(heads.details[8]), path) == heads.details[21], "not the entries committed to"
    )
    return head
