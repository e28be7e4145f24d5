#!/usr/bin/env python3
"""The running service keeps no plaintext and no key of a caller in memory, and of its own keys a known number of copies.

Root only. A build with `CHATELAINE_TEST_BUILD=readable` shows secret pages too; without it they count as unreadable.
`memory.py --control` is for a build with `readable,unwiped`: what is not found there could not have been found at all.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from canaries import Scan, canary, windows
from house import Checks, House
from wire import DATA, Data, context_fields, field, fields

CONTROL = "--control" in sys.argv
SUITES = {1: "AES-256-GCM", 2: "XChaCha20-Poly1305"}
CONTEXT = {"table": "cards"}
check = Checks()
rows = []


class Watched:
    """A running service, and what is looked for in it."""

    def __init__(self, house):
        self.house, self.pid = house, house.process.pid
        self.admin, self.data = house.admin(), house.data()

    def frame(self, method, message, stream=1, timeout_ns=None):
        request = field(1, DATA) + field(2, method) + field(3, message)
        if timeout_ns is not None:
            request += field(4, timeout_ns)
        return struct.pack(">IIBB", len(request), stream, 1, 0) + request

    def split(self, method, message, pieces=5, timeout_ns=None):
        """One call whose frame goes out in several writes; the reply."""
        self.data.stream += 2
        frame = self.frame(method, message, self.data.stream, timeout_ns)
        step = max(1, len(frame) // pieces)
        for at in range(0, len(frame), step):
            self.data.send_raw(frame[at:at + step])
            time.sleep(0.003)
        return self.data.receive()

    def scan(self, what, **secrets):
        """0 copies of each secret, 100 ms after the reply, the connection open."""
        time.sleep(0.1)
        scan = Scan(self.pid, secrets)
        for label in secrets:
            found = scan.copies(label)
            rows.append((what, label, len(secrets[label]), found))
            if not CONTROL:
                check(not found, "%s: %s lies in memory: %s" % (what, label, scan.describe(label)))
        return scan


def keys_made(watched):
    for suite in SUITES:
        assert watched.admin.create_tenant("t%d" % suite).ok
        assert watched.admin.create_key("t%d" % suite, "k", suite).ok


def plain_calls(watched, suite, count):
    tenant, name = "t%d" % suite, "%s, %d bytes" % (SUITES[suite], count)
    secret = canary(count)
    envelope = watched.split("Encrypt", Data.message(tenant, "k", secret, CONTEXT))[1]
    watched.scan("encrypt, " + name, plaintext=secret)
    opened = watched.split("Decrypt", Data.message(tenant, None, envelope, CONTEXT))
    check(opened[1] == secret, "the canary comes back")
    watched.scan("decrypt, " + name, plaintext=secret)
    spoilt = envelope[:-1] + bytes([envelope[-1] ^ 1])
    reply = watched.split("Decrypt", Data.message(tenant, None, spoilt, CONTEXT))
    check(reply.code == "DECRYPTION_FAILED", "a changed tag is refused")
    watched.scan("decrypt with a changed tag, " + name, plaintext=secret)
    check(watched.split("Decrypt", Data.message(tenant, None, envelope)).code == "DECRYPTION_FAILED", "no context")
    watched.scan("decrypt without its context, " + name, plaintext=secret)
    assert watched.admin.act("RotateKey", tenant, "k").ok
    moved = watched.split("Rewrap", Data.message(tenant, None, envelope, CONTEXT))[1]
    check(moved and moved != envelope, "rewrap moves it")
    watched.scan("rewrap, " + name, plaintext=secret)


def batches(watched, suite, count):
    tenant, name = "t%d" % suite, "%s, 8 items of %d bytes" % (SUITES[suite], count)
    secret = canary(count)
    items = b"".join(field(3, field(3, secret) + context_fields(CONTEXT)) for _ in range(8))
    reply = watched.split("EncryptBatch", field(1, tenant) + field(2, "k") + items)
    envelopes = [dict(fields(result))[1] for result in reply.all(1)]
    watched.scan("encrypt batch, " + name, plaintext=secret)
    envelopes[3] = envelopes[3][:-1] + bytes([envelopes[3][-1] ^ 1])
    items = b"".join(field(3, field(3, one) + context_fields(CONTEXT)) for one in envelopes)
    reply = watched.split("DecryptBatch", field(1, tenant) + items)
    results = [dict(fields(result)) for result in reply.all(1)]
    check([r.get(1) == secret for r in results] == [n != 3 for n in range(8)], "one item fails, the others open")
    watched.scan("decrypt batch, one item changed, " + name, plaintext=secret)


def data_keys(watched, suite):
    tenant, name = "t%d" % suite, SUITES[suite]
    issued = watched.split("IssueDataKey", Data.message(tenant, "k", None, CONTEXT))
    check(len(issued[2]) == 32, "a data key is issued")
    watched.scan("issue, " + name, key=issued[2])
    unwrapped = watched.split("UnwrapDataKey", Data.message(tenant, None, issued[1], CONTEXT))
    check(unwrapped[1] == issued[2], "it unwraps")
    watched.scan("unwrap, " + name, key=issued[2])
    spoilt = issued[1][:-1] + bytes([issued[1][-1] ^ 1])
    reply = watched.split("UnwrapDataKey", Data.message(tenant, None, spoilt, CONTEXT))
    check(reply.code == "DECRYPTION_FAILED", "a changed wrapped key is refused")
    watched.scan("unwrap with a changed tag, " + name, key=issued[2])
    assert watched.admin.act("RotateKey", tenant, "k").ok
    moved = watched.split("Rewrap", Data.message(tenant, None, None, CONTEXT) + field(5, issued[1]))
    check(len(moved[2]) == 148, "a wrapped data key moves")
    watched.scan("rewrap of a data key, " + name, key=issued[2])


def refused(watched):
    secret = canary(4096)
    cases = {
        "NOT_FOUND": Data.message("t1", "nokey", secret), "INVALID_REQUEST": Data.message("T1!", "k", secret),
        "LIMIT_EXCEEDED": Data.message("t1", "k", canary(16) + secret * 257, CONTEXT)}
    for code, message in cases.items():
        reply = watched.split("Encrypt", message)
        check(reply.code == code, "%s, not %s" % (code, reply.code))
        watched.scan("refused: " + code, plaintext=secret)
    reply = watched.split("Encrypt", Data.message("t1", "k", secret), timeout_ns=1)
    check(reply.code == "DEADLINE_EXCEEDED", "a deadline that has passed: %s" % reply.code)
    watched.scan("refused: DEADLINE_EXCEEDED", plaintext=secret)


def unlogged(watched):
    """What was decrypted while its entry could not be written."""
    secret = canary(4096)
    envelope = watched.data.encrypt("t1", "k", secret)[1]
    issued = watched.data.issue("t1", "k")
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC", "-o", "/dev/null",
         "-p", str(watched.pid)], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    replies = [watched.data.decrypt("t1", envelope), watched.data.unwrap("t1", issued[1]),
               watched.data.encrypt("t1", "k", secret)]
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    check(all(r.code == "AUDIT_UNAVAILABLE" for r in replies), "%s" % [r.code for r in replies])
    watched.scan("refused: AUDIT_UNAVAILABLE", plaintext=secret, key=issued[2])
    until = time.monotonic() + 5
    while not watched.data.encrypt("t1", "k", b"x").ok and time.monotonic() < until:
        time.sleep(0.05)


def cut(watched, count):
    """The live secret that must be found: once, in the frame buffer; and gone when the connection is."""
    secret = canary(count)
    frame = watched.frame("Encrypt", Data.message("t1", "k", secret))
    half = watched.house.data()
    half.send_raw(frame[:-1])
    time.sleep(0.2)
    scan = Scan(watched.pid, {"live": secret})
    found = scan.count("live")
    rows.append(("half-sent frame, still waiting", "live", count, scan.copies("live")))
    if CONTROL:
        check(found >= 1, "the live secret is found")
    else:
        check(found == 1 and set(scan.copies("live")) <= {"first", "middle"}, "a live secret is found exactly once: " + scan.describe())
    half.close()
    watched.scan("connection cut in the middle of a frame", live=secret)
    whole = watched.house.data()
    whole.send_raw(frame[:-1])
    time.sleep(0.05)
    whole.send_raw(frame[-1:])
    check(whole.receive().ok, "the same frame, finished")
    watched.scan("half-sent frame, finished", live=secret)
    whole.close()


def send_all(connection, envelope):
    try:
        for _ in range(8):
            connection.send(DATA, "Decrypt", Data.message("t1", None, envelope))
    except OSError:
        pass  # cut from the other side, or by us


def unread(watched):
    """Replies that wait for a caller who does not read."""
    secret = canary(256 << 10)
    envelope = watched.data.encrypt("t1", "k", secret)[1]
    lazy = watched.house.data()
    sender = threading.Thread(target=send_all, args=(lazy, envelope))
    sender.start()
    time.sleep(0.5)
    scan = Scan(watched.pid, {"reply": secret})
    rows.append(("replies that nobody reads", "reply", len(secret), scan.copies("reply")))
    check(scan.count("reply") >= 1, "replies that wait are found")
    lazy.socket.shutdown(socket.SHUT_RDWR)
    sender.join()
    lazy.close()
    watched.scan("connection cut while replies wait", reply=secret)
    hasty = watched.house.data()
    hasty.send(DATA, "Decrypt", Data.message("t1", None, envelope))
    hasty.close()
    watched.scan("connection cut before the replies are made", reply=secret)


# Copies of the service's own keys, on a build whose secret pages root can read: docs/threat-model.md.
# "raw" is the 32 bytes; "inner" and "outer" are the prepared HMAC states, each as good as the key.
DOCUMENTED = {
    "master": {"raw": 1, "inner": 1, "outer": 1}, "store": {"raw": 0, "inner": 1, "outer": 1},
    "tenant root": {"raw": 0, "inner": 0, "outer": 0}, "tenant key in use": {"raw": 0, "inner": 1, "outer": 1},
    "its tenant's log key": {"raw": 0, "inner": 1, "outer": 1}, "tenant key let go": {"raw": 0, "inner": 0, "outer": 0},
    "tenant key not used": {"raw": 0, "inner": 0, "outer": 0}, "message key": {"raw": 0}}


def own_keys(watched):
    """The service's own keys, worked out from its files: exactly the documented number of copies of each."""
    try:
        import custody
    except ImportError as missing:
        return print("skipped: counts of the service's own keys (%s)" % missing)
    for name in ("used", "gone", "idle"):
        assert watched.admin.create_tenant(name).ok and watched.admin.create_key(name, "k").ok
    for _ in range(3):
        envelope = watched.data.encrypt("used", "k", b"x" * 100, CONTEXT)[1]
        assert watched.data.decrypt("used", envelope, CONTEXT).ok and watched.data.encrypt("gone", "k", b"x").ok
    assert watched.admin.act("DisableKey", "gone", "k").ok
    time.sleep(0.1)
    keys = custody.Keys(watched.house)
    own = {
        "master": keys.master, "store": keys.store, "tenant root": keys.roots["used"],
        "tenant key in use": keys.keys["used", "k", 1],
        "its tenant's log key": custody.formats.derive(keys.roots["used"], "audit-context", b"")[:32],
        "tenant key let go": keys.keys["gone", "k", 1], "tenant key not used": keys.keys["idle", "k", 1]}
    message = custody.message_key(own["tenant key in use"], envelope, "used", CONTEXT)
    secrets = {(name, "raw"): key for name, key in own.items()} | {("message key", "raw"): message}
    for name, key in own.items():
        secrets[name, "inner"], secrets[name, "outer"] = custody.states(key)
    scan = Scan(watched.pid, secrets)
    isReadable = not scan.unreadable
    print("%-24s %s" % ("the service's own keys", "copies" if isReadable else "copies outside of secret pages"))
    for name, parts in DOCUMENTED.items():
        found = {part: max(scan.copies((name, part)).values(), default=0) for part in parts}
        print("%-24s %s" % (name, ", ".join("%s %d" % x for x in found.items())))
        if not CONTROL:
            check(found == (parts if isReadable else dict.fromkeys(parts, 0)),
                  "%s: %s: %s" % (name, found, "; ".join(scan.describe((name, part)) for part in parts)))


def report(scan):
    print("%-72s %-10s %8s  copies" % ("after", "secret", "bytes"))
    for what, label, count, found in rows:
        print("%-72s %-10s %8d  %s" % (what, label, count, ", ".join("%s %d" % x for x in found.items()) or "0"))
    print("scanned %d MiB; unreadable: %s" % (scan.bytes >> 20, ", ".join("%d KiB of %s" % (n >> 10, p) for p, n in scan.unreadable) or "nothing"))


def main():
    if os.geteuid() != 0:
        print("skipped: only root can read another process's memory")
        return 0
    example = "--example" in sys.argv or CONTROL
    with House(example=example) as house:
        watched = Watched(house)
        keys_made(watched)
        sizes = (1024,) if CONTROL else (1024, 1 << 20)
        for suite in SUITES:
            for count in sizes:
                plain_calls(watched, suite, count)
            batches(watched, suite, 1024)
            data_keys(watched, suite)
        cut(watched, 1024)
        cut(watched, 1 << 20)
        if not CONTROL:
            batches(watched, 1, 100 << 10)
            refused(watched)
            unlogged(watched)
            unread(watched)
        own_keys(watched)
        report(Scan(watched.pid, {"none": os.urandom(32)}))
        if CONTROL:
            lost = [row[0] for row in rows if not row[3]]
            check(len(rows) - len(lost) >= len(rows) // 2, "what is not wiped is found: only %s" % lost)
    return check.finish()


sys.exit(main())
