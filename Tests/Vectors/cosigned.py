"""Cosignatures and witnesses' policies, read a second time: docs/formats/head.md, C2SP tlog-cosignature and tlog-policy,
and nothing of the Swift code. Also makes their vectors, for generate.py.

Needs the package `cryptography` for Ed25519.
"""
import base64
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evidence import Verdict, is_name, parse_key, parse_note, sha256, unbase64

COSIGNATURE = b"\x04"


# ---- keys

def public(seed): return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(name, key): return sha256(name.encode(), b"\n", COSIGNATURE, key)[:4]


def key_text(name, key):
    return "%s+%s+%s" % (name, key_id(name, key).hex(), base64.b64encode(COSIGNATURE + key).decode())


def parse_witness_key(text):
    """A witness's key as (name, id, public key)."""
    parts = text.strip(" \t\r\n").split("+", 2)
    if len(parts) != 3 or not is_name(parts[0]) or not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise Verdict("bad-key", "text")
    blob = unbase64(parts[2].encode(), "bad-key")
    if not blob:
        raise Verdict("bad-key", "text")
    if blob[:1] != COSIGNATURE:
        raise Verdict("bad-key", "algorithm")
    if len(blob) != 33:
        raise Verdict("bad-key", "text")
    if key_id(parts[0], blob[1:]).hex() != parts[1]:
        raise Verdict("bad-key", "hash")
    return parts[0], bytes.fromhex(parts[1]), blob[1:]


# ---- cosignatures

def message(text, seconds): return b"cosignature/v1\ntime %d\n" % seconds + text


def cosign(name, seed, text, seconds):
    """A signature line of a witness under a note's text."""
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(message(text, seconds))
    blob = key_id(name, public(seed)) + seconds.to_bytes(8, "big") + signature
    return "\u2014 ".encode() + name.encode() + b" " + base64.b64encode(blob) + b"\n"


def cosigning(note, key):
    """What a witness says of a note: None, "invalid", or its newest time in seconds."""
    text, signatures = parse_note(note)
    newest = None
    for name, number, blob in signatures:
        if (name, number) != key[:2]:
            continue
        seconds = int.from_bytes(blob[:8], "big")
        if len(blob) != 72 or seconds >= 1 << 63:
            return "invalid"
        try:
            Ed25519PublicKey.from_public_bytes(key[2]).verify(blob[8:], message(text, seconds))
        except (InvalidSignature, ValueError):
            return "invalid"
        newest = max(newest or 0, seconds)
    return newest


# ---- policies

class BadPolicy(Exception):
    """The line that is wrong, 0 for the whole."""


def parse_policy(data):
    """(logs, witnesses as (key, url), quorum); a rule is None, a witness's place, or (needed, rules)."""
    if len(data) > 65536:
        raise BadPolicy(0)
    logs, witnesses, rules, used, groups, quorum = [], [], {}, set(), 0, "missing"
    for number, line in enumerate(data.split(b"\n"), 1):
        def need(condition):
            if not condition:
                raise BadPolicy(number)

        need(all((c >= 32 and c != 127) or c == 9 for c in line))
        words = [w for w in re.split(rb"[ \t]+", line) if w]
        if not words or words[0].startswith(b"#"):
            continue
        kind, rest = words[0], words[1:]
        if kind == b"log":
            need(1 <= len(rest) <= 2 and len(logs) < 32)
            logs.append(key_of(parse_key, rest[0], number))
            need(len(set(logs)) == len(logs))
        elif kind == b"witness":
            need(2 <= len(rest) <= 3 and len(witnesses) < 32)
            key = key_of(parse_witness_key, rest[1], number)
            need(key[2] not in [k[2] for k, _ in witnesses] and rest[0] not in rules and rest[0] != b"none")
            rules[rest[0]] = len(witnesses)
            witnesses.append((key, rest[2].decode() if len(rest) == 3 else None))
        elif kind == b"group":
            need(len(rest) >= 3 and groups < 32)
            groups += 1
            names = rest[2:]
            need(len(set(names)) == len(names) and all(n in rules and n not in used for n in names))
            used |= set(names)
            if rest[1] not in (b"all", b"any"):
                need(re.fullmatch(rb"[1-9][0-9]{0,8}", rest[1]))
            needed = {b"all": len(names), b"any": 1}.get(rest[1]) or int(rest[1])
            need(1 <= needed <= len(names) and rest[0] not in rules and rest[0] != b"none")
            rules[rest[0]] = (needed, [rules[n] for n in names])
        elif kind == b"quorum":
            need(quorum == "missing" and len(rest) == 1 and (rest[0] == b"none" or rest[0] in rules))
            quorum = rules.get(rest[0])
        else:
            need(False)
    if quorum == "missing":
        raise BadPolicy(0)
    return logs, witnesses, quorum


def key_of(parse, text, number):
    try:
        return parse(text.decode())
    except (Verdict, UnicodeDecodeError):
        raise BadPolicy(number)


def satisfied(rule, has):
    if rule is None:
        return True
    if isinstance(rule, int):
        return rule in has
    return sum(satisfied(one, has) for one in rule[1]) >= rule[0]


# ---- vectors

def vectors(rnd, text, head, log_key, check):
    """`head` is a signed head, `text` its text; `rnd` gives bytes by a label; `check` asserts."""
    names = ["witness.example/w%u" % n for n in range(1, 4)]
    seeds = [rnd("witness %u" % n, 32) for n in range(1, 4)]
    keys = [key_text(n, public(s)) for n, s in zip(names, seeds)]
    time = 1790000000

    def line(n=0, seconds=time, over=text, name=None): return cosign(name or names[n], seeds[n], over, seconds)

    def spoil(one, at):
        blob = bytearray(base64.b64decode(one.split(b" ")[2]))
        blob[at] ^= 1
        return b" ".join(one.split(b" ")[:2] + [base64.b64encode(bytes(blob)) + b"\n"])

    def cut(one): return b" ".join(one.split(b" ")[:2] + [base64.b64encode(base64.b64decode(one.split(b" ")[2])[:-1]) + b"\n"])

    cases = [
        ("cosigned", head + line()), ("not cosigned", head), ("cosigned twice", head + line() + line(seconds=time + 60)),
        ("by three", head + line(2) + line(0) + line(1)), ("by another witness", head + line(1)),
        ("before the log's own signature", head.replace(b"\n\n", b"\n\n" + line(), 1)), ("at second 0", head + line(seconds=0)),
        ("at the last second", head + line(seconds=(1 << 63) - 1)), ("at 2^63", head + line(seconds=1 << 63)),
        ("a byte of the time changed", head + spoil(line(), 11)), ("a byte of the signature changed", head + spoil(line(), 12)),
        ("a signature cut", head + cut(line())), ("one good and one bad", head + line() + spoil(line(), 70)),
        ("over another text", head + line(over=text.replace(b"\n300\n", b"\n299\n"))), ("under another name", head + line(name=names[0] + "x")),
        ("a plain signature of the same key", head + plain(names[0], seeds[0], text)),
    ]
    out = []
    for what, note in cases:
        found = cosigning(note, parse_witness_key(keys[0]))
        out.append(dict(name=what, note=note, expect="none" if found is None else str(found)))
    check("cosignatures are judged in every way", {"none", "invalid", "0", str(time), str(time + 60)} <= {o["expect"] for o in out})
    texts = [("a witness's", keys[0]), ("blanks around it", " %s\n" % keys[1]), ("a log's", log_key), ("ML-DSA", keys[0].rsplit("+", 1)[0] + "+" + base64.b64encode(b"\x06" + bytes(1312)).decode()[:400]),
             ("hash of another name", keys[0].replace("w1", "w2", 1)), ("cut", keys[0][:-4]), ("no name", keys[0][len(names[0]):]), ("nothing", "")]
    read = []
    for what, one in texts:
        try:
            parse_witness_key(one)
            read.append(dict(name=what, text=one, expect="ok"))
        except Verdict as found:
            read.append(dict(name=what, text=one, expect=found.args[1]))
    check("witnesses' keys are refused for every reason", {r["expect"] for r in read} >= {"ok", "hash", "algorithm"})
    return dict(witnesses=keys, seeds=seeds, keys=read, cosigned=out, policies=policies(keys, log_key, check))


def plain(name, seed, text):
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text)
    return "\u2014 ".encode() + name.encode() + b" " + base64.b64encode(key_id(name, public(seed)) + signature) + b"\n"


def policies(keys, log_key, check):
    a, b, c = ("witness %s %s https://w%s.example/\n" % (n, k, n) for n, k in zip("ABC", keys))
    log = "log %s\n" % log_key
    all_ = a + b + c
    cases = [
        ("one witness", log + a + "quorum A\n"), ("two of three", all_ + "group G 2 A B C\nquorum G\n"), ("any", all_ + "group G any A B C\nquorum G\n"),
        ("all", all_ + "group G all A B C\nquorum G\n"), ("groups of groups", all_ + "group G any A B\ngroup H all G C\nquorum H\n"),
        ("none", "quorum none\n"), ("comments and blanks", "# who\n\n \t\n" + a + "\t# more\n  quorum \t A "), ("no address", a.replace(" https://wA.example/", "") + "quorum A\n"),
        ("a name of other letters", a.replace("witness A", "witness \u00e9") + "quorum \u00e9\n"),
        ("the same letters, other bytes", a.replace("witness A", "witness \u00e9") + "quorum e\u0301\n"),
        ("nothing", ""), ("no quorum", a), ("two quorums", a + "quorum A\nquorum A\n"), ("an unknown name", a + "quorum B\n"), ("a name defined later", "quorum A\n" + a),
        ("a member defined later", a + "group G all A B\n" + b + "quorum G\n"), ("a member twice", a + "group G all A A\nquorum G\n"),
        ("a member of two groups", a + b + "group G any A B\ngroup H any A\nquorum G\n"), ("a name twice", a + b.replace("witness B", "witness A") + "quorum A\n"),
        ("a key twice", a + a.replace("witness A", "witness B") + "quorum A\n"), ("a log twice", log + log + a + "quorum A\n"), ("none of three", all_ + "group G 0 A B C\nquorum G\n"),
        ("four of three", all_ + "group G 4 A B C\nquorum G\n"), ("a leading zero", all_ + "group G 02 A B C\nquorum G\n"), ("no members", a + "group G all\nquorum A\n"),
        ("a witness called none", a.replace("witness A", "witness none") + "quorum none\n"), ("another keyword", a + "monitor A\nquorum A\n"),
        ("a log's key for a witness", "witness A %s\nquorum A\n" % log_key), ("a witness's key for a log", "log %s\n" % keys[0] + a + "quorum A\n"),
        ("too many words", a.replace("\n", " more\n") + "quorum A\n"), ("carriage returns", (a + "quorum A\n").replace("\n", "\r\n")), ("too long", a + "quorum A\n" + "#" * 65536),
    ]
    out = []
    for what, text in cases:
        data = text.encode()
        try:
            _, witnesses, quorum = parse_policy(data)
            has = [[n for n in range(len(witnesses)) if bits >> n & 1] for bits in range(1 << len(witnesses))]
            out.append(dict(name=what, policy=data, expect="ok", satisfied=["".join(map(str, h)) for h in has if satisfied(quorum, h)]))
        except BadPolicy as found:
            out.append(dict(name=what, policy=data, expect="line %u" % found.args[0], satisfied=[]))
    check("policies are refused in every way", len({o["expect"] for o in out}) >= 6)
    return out
