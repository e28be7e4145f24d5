#!/usr/bin/env python3
"""Every call has exactly one entry, right in every field, under load from 8 clients: exact.py [OPERATIONS].

A client knows what it asked and what it was told; from that alone it says what the log must hold.
"""
import os
import random
import subprocess
import sys
import threading
import time

import segments
from house import Checks, House, binary
from wire import DATA, Data, fields

OPERATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000 if os.environ.get("CHATELAINE_SLOW") else 2_000
CLIENTS, WINDOW, OTHER_UID = 8, 32, 4711
BUSY_MAX = 300
ZERO_KEY = ("0" * 32, 0)
POLICY = """version: 1
allow-combined-roles: true
rules:
  - name: everyday
    role: application
    principals: ["uid:{me}"]
    tenants: ["acme", "beta", "gh*"]
    keys: ["*"]
    operations: ["*"]
  - name: writers
    role: application
    principals: ["uid:{other}"]
    tenants: ["acme"]
    keys: ["pay"]
    operations: [encrypt, issue-data-key]
  - name: operators
    role: operator
    principals: ["uid:{me}"]
    operations: ["*"]
"""


class Call:
    """A call in flight: `expect` is told by its reply what the entry must be, beyond what was asked."""

    def __init__(self, method, message, tags, expected, code=None, take=None):
        self.method, self.message, self.tags, self.code, self.take = method, message, tags, code, take
        self.expected = {"class": "key-use", "outcome": "ok", "reason": "none", "keyName": "", "key": ZERO_KEY,
                         "role": "application", "items": [], "details": {}, **expected}
        self.reply = None


def named(envelope):
    return envelope[4:20].hex(), int.from_bytes(envelope[20:24], "big")


def wrapping(wrapped):
    return wrapped[24:40].hex(), int.from_bytes(wrapped[40:44], "big")


def item(count=None, outcome="ok", reason="none"):
    return {"outcome": outcome, "reason": reason, "bytes": count or 0}


class Client:
    """Draws calls at random and keeps what it was given, to ask for it later."""

    def __init__(self, connection, uid, number, off):
        self.connection, self.uid, self.random, self.off = connection, uid, random.Random(number), off
        self.envelopes, self.wrapped, self.calls, self.digests = [], [], [], {}
        self.faults, self.busy = [], 0

    def tags(self):
        draw = self.random
        tags = {"request_id": draw.randbytes(16)} if draw.random() < 0.9 else {}
        if draw.random() < 0.7:
            tags["actor"] = "user-%d" % draw.randrange(99)
        if draw.random() < 0.7:
            tags["purpose"] = draw.choice(["render the chart", "größer\n", "back\\slash"])
        return tags

    def context(self):
        return self.random.choice([None, {"table": "cards"}, {"row": "1", "table": "cards"}])

    def run(self, count):
        connection, waiting, sent = self.connection, {}, 0
        while sent < count or waiting:
            while sent < count and len(waiting) < WINDOW:
                call = self.draw()
                waiting[connection.send(DATA, call.method, call.message)] = call
                sent += 1
            reply = connection.receive()
            call = waiting.pop(reply.stream)
            # Keys that are rotated again and again may not stay at hand for a call: it was not done, and is made anew.
            if reply.code == "BUSY" and self.busy < BUSY_MAX:
                self.busy += 1
                time.sleep(0.02)
                waiting[connection.send(DATA, call.method, call.message)] = call
                continue
            call.reply = reply
            self.calls.append(call)
            if reply.code != call.code:
                self.faults.append("%s was answered %s, not %s" % (call.method, reply.code, call.code))
            elif call.take:
                call.take(call, reply)

    # What is asked

    def draw(self):
        if self.uid != os.getuid():
            return self.random.choice([self.encrypt_as_writer, self.decrypt_as_writer])()
        kinds = [self.encrypt] * 6 + [self.decrypt] * 6 + [self.decrypt_wrong] * 4 + [self.refused_key] * 3
        kinds += [self.encrypt_batch, self.decrypt_batch, self.issue, self.issue, self.unwrap, self.rewrap]
        return self.random.choice(kinds)()

    def key(self):
        return self.random.choice([("acme", "pay"), ("acme", "notes"), ("beta", "pay")])

    def encrypt(self, tenant=None, key=None, rule="everyday"):
        if not tenant:
            tenant, key = self.key()
        text, context, tags = self.random.randbytes(self.random.choice([0, 1, 16, 300, 2000])), self.context(), self.tags()

        def take(call, reply):
            call.expected["key"] = named(reply[1])
            self.envelopes.append((tenant, key, reply[1], text, context))

        expected = {"operation": "encrypt", "tenant": tenant, "keyName": key, "rule": rule, "items": [item(len(text))]}
        return Call("Encrypt", Data.message(tenant, key, text, context, **tags), tags, expected, take=take)

    def decrypt(self):
        if not self.envelopes:
            return self.encrypt()
        tenant, key, envelope, text, context = self.random.choice(self.envelopes)
        tags = self.tags()

        def take(call, reply):
            if reply[1] != text:
                self.faults.append("a plaintext is not what it was")

        expected = {"operation": "decrypt", "tenant": tenant, "keyName": key, "key": named(envelope), "rule": "everyday",
                    "items": [item(len(text))]}
        return Call("Decrypt", Data.message(tenant, None, envelope, context, **tags), tags, expected, take=take)

    def spoil(self, tenant, key, envelope, text, context):
        """(tenant, envelope, context, what the log must say) of an envelope that does not open."""
        def flip(at):
            return envelope[:at] + bytes([envelope[at] ^ 0x80]) + envelope[at + 1:]

        at, reason, name = self.random.choice([
            (len(envelope) - 1, "body", key), (80, "body", key), (48, "key-or-context", key), (24, "key-or-context", key),
            (0, "header", ""), (20, "no-such-key", ""), (7, "no-such-key", ""), (-1, "key-or-context", key),
            (-2, "no-such-key", ""), (-3, "no-such-tenant", ""), (-4, "policy", "")])
        if at >= 0:
            envelope = flip(at)
        elif at == -1:
            context = {"table": "other"}
        else:
            tenant = {-2: "beta" if tenant == "acme" else "acme", -3: "ghost", -4: "closed"}[at]
        if reason == "no-such-key" and at == 20:
            name = key
        return tenant, envelope, context, reason, name

    def decrypt_wrong(self):
        if not self.envelopes:
            return self.encrypt()
        one = self.random.choice(self.envelopes)
        tenant, envelope, context, reason, name = self.spoil(*one)
        tags = self.tags()
        expected = {"operation": "decrypt", "tenant": tenant, "outcome": "failed", "reason": reason, "keyName": name,
                    "rule": "everyday", "key": ZERO_KEY if reason == "header" else named(envelope)}
        if reason == "policy":
            expected.update(REFUSED, key=ZERO_KEY)
        return Call("Decrypt", Data.message(tenant, None, envelope, context, **tags), tags, expected, "DECRYPTION_FAILED")

    def refused_key(self):
        tags = self.tags()
        kind = self.random.randrange(5)
        if kind == 0:
            expected = {"operation": "decrypt", "tenant": "acme", "outcome": "failed", "reason": "key-disabled",
                        "keyName": "off", "key": named(self.off), "rule": "everyday"}
            return Call("Decrypt", Data.message("acme", None, self.off, **tags), tags, expected, "DECRYPTION_FAILED")
        tenant, key, code, reason = [
            ("acme", "off", "KEY_DISABLED", "key-disabled"), ("acme", "nokey", "NOT_FOUND", "no-such-key"),
            ("ghost", "pay", "NOT_FOUND", "no-such-tenant"), ("closed", "pay", "NOT_FOUND", "policy")][kind - 1]
        expected = {"operation": "encrypt", "tenant": tenant, "keyName": key, "outcome": "denied", "reason": reason,
                    "rule": "everyday"}
        if reason == "policy":
            expected.update(REFUSED)
        if self.random.random() < 0.3:
            expected["operation"] = "issue-data-key"
            return Call("IssueDataKey", Data.message(tenant, key, **tags), tags, expected, code)
        return Call("Encrypt", Data.message(tenant, key, b"text", **tags), tags, expected, code)

    def encrypt_batch(self):
        tenant, key = self.random.choice([("acme", "pay"), ("beta", "pay"), ("acme", "nokey"), ("closed", "pay")])
        items = [(self.random.randbytes(self.random.randrange(50)), self.context()) for _ in range(self.random.randrange(1, 20))]
        tags = self.tags()
        expected = {"operation": "encrypt", "tenant": tenant, "keyName": key, "rule": "everyday",
                    "items": [item(len(text)) for text, _ in items]}

        def take(call, reply):
            made = [dict(fields(result)) for result in reply.all(1)]
            if tenant == "closed" or key == "nokey":
                if [one.get(2) for one in made] != [b"NOT_FOUND"] * len(items):
                    self.faults.append("a batch under no key gave something")
                return
            call.expected["key"] = named(made[0][1])
            for (text, context), one in zip(items, made):
                self.envelopes.append((tenant, key, one[1], text, context))

        if tenant == "closed" or key == "nokey":
            reason = "policy" if tenant == "closed" else "no-such-key"
            expected.update(outcome="denied", reason=reason, items=[item(0, "denied", reason)] * len(items))
            if reason == "policy":
                expected.update(REFUSED)
        return Call("EncryptBatch", Data.batch_message(tenant, key, items, **tags), tags, expected, take=take)

    def decrypt_batch(self):
        mine = [one for one in self.envelopes if one[0] == "acme"]
        if len(mine) < 30:
            return self.encrypt()
        items, parts, results, names, keys = [], [], [], [], []
        for one in self.random.sample(mine, self.random.randrange(1, 20)):
            tenant, key, envelope, text, context = one
            reason = "none"
            if self.random.random() < 0.1:
                wrong = self.spoil(*one)
                if wrong[0] == "acme":
                    _, envelope, context, reason, key = wrong
            items.append((envelope, context))
            results.append((text, None) if reason == "none" else (None, b"DECRYPTION_FAILED"))
            parts.append(item(len(text)) if reason == "none" else item(0, "failed", reason))
            names.append(key)
            keys.append("-" if reason == "header" else "%s/%d" % named(envelope))
        tags = self.tags()
        bad = [part["reason"] for part in parts if part["outcome"] != "ok"]
        # An item whose key nobody knows does not hide which one the others used.
        known = {name for name in names if name}
        expected = {"operation": "decrypt", "tenant": "acme", "rule": "everyday", "items": parts,
                    "keyName": known.pop() if len(known) == 1 else "",
                    "outcome": "failed" if bad else "ok", "reason": bad[0] if bad else "none"}
        if len(set(keys)) == 1 and keys[0] != "-":
            name, version = keys[0].split("/")
            expected["key"] = (name, int(version))
        elif set(keys) != {"-"}:
            expected["details"] = {"item-keys": " ".join(keys)}

        def take(call, reply):
            got = [(one.get(1), one.get(2)) for one in (dict(fields(result)) for result in reply.all(1))]
            if [(text or None, code) for text, code in got] != [(text or None, code) for text, code in results]:
                self.faults.append("a batch's results are not what they must be")

        return Call("DecryptBatch", Data.batch_message("acme", None, items, **tags), tags, expected, take=take)

    def issue(self, tenant=None, key=None, rule="everyday"):
        if not tenant:
            tenant, key = self.key()
        context, tags, only = self.context(), self.tags(), self.random.random() < 0.5

        def take(call, reply):
            call.expected["key"] = wrapping(reply[1])
            self.wrapped.append((tenant, key, reply[1], None if only else reply[2], context))

        expected = {"operation": "issue-data-key", "tenant": tenant, "keyName": key, "rule": rule,
                    "items": [item(0 if only else 32)]}
        message = Data.message(tenant, key, None, context, **tags) + (b"\x28\x01" if only else b"")
        return Call("IssueDataKey", message, tags, expected, take=take)

    def unwrap(self):
        if not self.wrapped:
            return self.issue()
        tenant, key, wrapped, plain, context = self.random.choice(self.wrapped)
        tags, kind = self.tags(), self.random.randrange(4)
        expected = {"operation": "unwrap-data-key", "tenant": tenant, "keyName": key, "key": wrapping(wrapped),
                    "rule": "everyday", "items": [item(32)]}
        if kind == 0:
            context = {"table": "other"}
        if kind == 1:
            wrapped = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
        if kind < 2:
            expected.update(outcome="failed", reason=["key-or-context", "body"][kind], items=[])

        def take(call, reply):
            if plain not in (None, reply[1]):
                self.faults.append("a data key is not what it was")

        return Call("UnwrapDataKey", Data.message(tenant, None, wrapped, context, **tags), tags, expected,
                    "DECRYPTION_FAILED" if kind < 2 else None, None if kind < 2 else take)

    def rewrap(self):
        if not self.envelopes or not self.wrapped:
            return self.issue()
        tags = self.tags()
        is_key = self.random.random() < 0.5
        tenant, key, body, content, context = self.random.choice(self.wrapped if is_key else self.envelopes)
        which = wrapping if is_key else named
        expected = {"operation": "rewrap", "tenant": tenant, "keyName": key, "key": which(body), "rule": "everyday",
                    "items": [item(32 if is_key else len(content))]}

        def take(call, reply):
            moved = reply[2 if is_key else 1]
            call.expected["details"] = {"version": str(which(moved)[1])}
            (self.wrapped if is_key else self.envelopes).append((tenant, key, moved, content, context))

        message = Data.message(tenant, None, None if is_key else body, context, **tags)
        return Call("Rewrap", message + (b"\x2a" + b"\x94\x01" + body if is_key else b""), tags, expected, take=take)

    def encrypt_as_writer(self):
        if self.random.random() < 0.5:
            return self.random.choice([self.encrypt, self.issue])("acme", "pay", "writers")
        tags = self.tags()
        expected = {"operation": "encrypt", "tenant": "acme", "keyName": "notes", "outcome": "denied", "reason": "policy"}
        return Call("Encrypt", Data.message("acme", "notes", b"x", **tags), tags, {**expected, **REFUSED}, "NOT_FOUND")

    def decrypt_as_writer(self):
        tags = self.tags()
        expected = {"operation": "decrypt", "tenant": "acme", **REFUSED}
        body = self.off if not self.envelopes else self.random.choice(self.envelopes)[2]
        return Call("Decrypt", Data.message("acme", None, body, **tags), tags, expected, "DECRYPTION_FAILED")


REFUSED = {"class": "refusal", "outcome": "denied", "reason": "policy", "role": "", "rule": ""}


def escaped(text):
    return "".join(chr(b) if 0x20 <= b <= 0x7e and b != 0x5C else "\\x%02x" % b for b in text.encode())


def compare(client, call, entry, leaves):
    """What of an entry is not as its caller knows it must be."""
    must = call.expected
    want = {name: must[name] for name in ("class", "operation", "outcome", "reason", "tenant", "keyName", "role", "rule",
                                          "details")}
    want.update(keyId=must["key"][0], keyVersion=must["key"][1], masterVersion=1, door="data", principalKind="uid",
                principal="uid:%d" % client.uid, peerUid=client.uid, peerPid=os.getpid(), incarnation=2,
                subjectDigest="", actor=escaped(call.tags.get("actor", "")), purpose=escaped(call.tags.get("purpose", "")))
    if "request_id" in call.tags:
        want["requestId"] = call.tags["request_id"].hex()
    elif call.reply.request_id:
        want["requestId"] = call.reply.request_id.hex()
    faults = [name for name, value in want.items() if entry[name] != value]
    if [{k: v for k, v in one.items() if k != "contextDigest"} for one in entry["items"]] != must["items"]:
        faults.append("items")
    for one in entry["items"]:
        if (one["contextDigest"] == "0" * 64) != (one["outcome"] != "ok"):
            faults.append("context digest")
    receipt = call.reply.receipt
    if not entry["leafHash"] == receipt[4].hex() == leaves[entry["sequence"]].leaf.hex():
        faults.append("leaf hash")
    return faults


def audit(clients, entries, leaves):
    """Every call's entry against its call; then nothing may be left of the log but what the operator did."""
    by_sequence, faults, connections = {}, [], {}
    for entry in entries:
        if entry["sequence"] in by_sequence:
            faults.append("sequence %d twice" % entry["sequence"])
        by_sequence[entry["sequence"]] = entry
    for client in clients:
        for call in client.calls:
            entry = by_sequence.pop(call.reply.sequence, None)
            if entry is None:
                faults.append("no entry %s of its own" % call.reply.sequence)
                continue
            wrong = compare(client, call, entry, leaves)
            if wrong:
                faults.append("entry %d (%s): %s" % (entry["sequence"], call.method, ", ".join(wrong)))
            connections.setdefault(id(client), set()).add(entry["connection"])
    if [len(one) for one in connections.values()] != [1] * len(clients) or len(set.union(*connections.values())) != len(clients):
        faults.append("connections are not told apart")
    faults += ["entry %d is nobody's" % one["sequence"] for one in by_sequence.values()
               if one["class"] in ("key-use", "refusal")]
    return faults


def connect_as(house, uid):
    """The kernel tells a door who connected at the moment of connecting."""
    if uid == os.getuid():
        return house.data()
    os.seteuid(uid)
    try:
        return house.data()
    finally:
        os.seteuid(0)


def malformed(house, check):
    """Calls that are none are counted together: their number is in the log."""
    connection = house.data()
    for _ in range(37):
        reply = connection.call(DATA, "Encrypt", Data.message("acme", "pay", b"x") + b"\x3a\x01x")
        check(reply.code == "INVALID_REQUEST" and reply.receipt is None, "a call with an unknown field is none")
    for _ in range(11):
        check(connection.call(DATA, "NoSuch", b"").code == "NOT_FOUND", "a method that is not there")


def rotate(house, done, made):
    admin = house.admin()
    while not done.wait(0.1):
        made.append((os.urandom(16), "key-rotate"))
        assert admin.act("RotateKey", "beta", "pay", request_id=made[-1][0]).ok


def check_operator(check, entries, made):
    """Each act is an intent and an outcome with its request id."""
    for request_id, operation in made:
        mine = [one for one in entries if one["requestId"] == request_id.hex()]
        check([(one["class"], one["operation"], one["outcome"]) for one in mine]
              == [("intent", operation, "none"), ("outcome", operation, "ok")]
              and mine[1]["details"]["intent-sequence"] == str(mine[0]["sequence"])
              and mine[1]["details"]["intent-leaf-hash"] == mine[0]["leafHash"], "%s is an intent and an outcome" % operation)


def check_controls(check, clients, entries, leaves):
    """The same comparison must see an entry too few, one too many, and each field changed."""
    mine = [one for one in entries if one["class"] == "key-use" and one["items"] and one["outcome"] == "ok"]
    one = random.choice(mine)
    rest = [entry for entry in entries if entry is not one]
    check(audit(clients, rest, leaves), "the control did not fail: an entry is missing")
    extra = {**one, "sequence": len(entries)}
    check(audit(clients, entries + [extra], leaves), "the control did not fail: an entry is there twice")
    for name in ("class", "operation", "outcome", "reason", "tenant", "keyName", "keyId", "keyVersion", "principal",
                 "role", "rule", "actor", "purpose", "peerPid", "peerUid", "connection", "leafHash", "details"):
        check(audit(clients, rest + [{**one, name: "other"}], leaves), "the control did not fail: %s is changed" % name)
    changed = [{**one["items"][0], "bytes": 77777}] + one["items"][1:]
    check(audit(clients, rest + [{**one, "items": changed}], leaves), "the control did not fail: an item is changed")


def main():
    check = Checks()
    seed = int(os.environ.get("CHATELAINE_SEED", random.randrange(1 << 30)))
    random.seed(seed)
    print("exact: %d operations, %d clients, CHATELAINE_SEED=%d" % (OPERATIONS, CLIENTS, seed), flush=True)
    with House(start=False) as house:
        with open(os.path.join(house.directory, "policy.yaml"), "w") as policy:
            policy.write(POLICY.format(me=os.getuid(), other=OTHER_UID))
        if os.getuid() == 0:
            # why: another uid must reach the socket.
            house.replace('run/data.sock\n  mode: "0600"', 'run/data.sock\n  mode: "0666"')
            for path in (house.place, house.directory, os.path.join(house.directory, "run")):
                os.chmod(path, 0o711)
        else:
            print("skipped: a second principal needs root")
        house.start()
        made, admin = [], house.admin()
        for method, tenant, key in [("CreateTenant", "acme", None), ("CreateTenant", "beta", None),
                                    ("CreateTenant", "closed", None), ("CreateKey", "acme", "pay"),
                                    ("CreateKey", "acme", "notes"), ("CreateKey", "beta", "pay"),
                                    ("CreateKey", "closed", "pay"), ("CreateKey", "acme", "off")]:
            made.append((os.urandom(16), "tenant-create" if key is None else "key-create"))
            check(admin.act(method, tenant, key, made[-1][0], **({"suite": 2} if key == "notes" else {})).ok, method)
        first = Client(house.data(), os.getuid(), seed, None)
        first.draw = lambda: first.encrypt("acme", "off")
        first.run(1)
        off = first.envelopes[0][2]
        made.append((os.urandom(16), "key-disable"))
        check(admin.act("DisableKey", "acme", "off", made[-1][0]).ok, "a key is disabled")
        uids = [OTHER_UID if os.getuid() == 0 and n >= CLIENTS - 2 else os.getuid() for n in range(CLIENTS)]
        clients = [Client(connect_as(house, uid), uid, seed + 1 + n, off) for n, uid in enumerate(uids)]
        done = threading.Event()
        threads = [threading.Thread(target=client.run, args=(OPERATIONS // CLIENTS,)) for client in clients]
        rotator = threading.Thread(target=rotate, args=(house, done, made))
        began = time.monotonic()
        for thread in [*threads, rotator]:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
        done.set()
        rotator.join()
        malformed(house, check)
        check(house.stop() == 0, "the service stops with 0")
        check(house.verify() == 0, "the log is valid")
        entries, leaves = house.entries(), segments.entries(house.log)
        clients.append(first)
        check([one["sequence"] for one in entries] == list(range(len(entries))), "the sequence has no gap")
        check(sorted(leaves) == list(range(len(entries))), "a second reader finds the same entries")
        for client in clients:
            check(not client.faults, "; ".join(client.faults[:3]))
        faults = audit(clients, entries, leaves)
        check(not faults, "%d faults: %s" % (len(faults), "; ".join(faults[:5])))
        check_operator(check, entries, made)
        counts = {}
        for one in entries:
            if one["class"] == "aggregate":
                counts[one["reason"]] = counts.get(one["reason"], 0) + int(one["details"]["count"])
        busy = sum(client.busy for client in clients)
        check(counts == {"malformed": 37, "no-such-method": 11, **({"busy": busy} if busy else {})}, "calls that were none are counted: %s" % counts)
        calls = [call for client in clients for call in client.calls]
        # why: `init` is the first incarnation; it made the store, with an intent and an outcome.
        expected = len(calls) + 2 * (len(made) + 1) + sum(one["class"] in ("aggregate", "service", "tenant-heads") for one in entries)
        check(len(entries) == expected, "%d entries, expected %d" % (len(entries), expected))
        for call in random.sample([call for call in calls if "request_id" in call.tags], 20):
            found = house.entries("--request-id", call.tags["request_id"].hex())
            check([one["sequence"] for one in found] == [call.reply.sequence], "found by its request id")
        check_controls(check, clients, entries, leaves)
        denied = sum(one["outcome"] == "denied" for one in entries if one["class"] != "aggregate")
        failed = sum(one["outcome"] == "failed" for one in entries)
        print("exact: %d calls (%d denied, %d failed, %d batches), %d operator acts, %d entries, %.0f calls/s" % (
            len(calls), denied, failed, sum("Batch" in call.method for call in calls), len(made), len(entries),
            OPERATIONS / seconds))
    return check.finish()


sys.exit(main())
