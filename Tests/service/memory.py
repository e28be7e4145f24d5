#!/usr/bin/env python3
"""The running service keeps no plaintext and no key of a caller in memory, and of its own keys a known number of copies.

Root only. `memory.py --example` is for a build with `CHATELAINE_TEST_BUILD=readable`, which shows secret pages too;
in any other they count as unreadable.
`memory.py --control` is for a build with `readable,unwiped`: what is not found there could not have been found at all.
"""
import base64
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from canaries import Scan, canary
from certified import CertifiedHouse, RawWeb
from house import Checks, House, binary
from transit import SETTINGS, Raw, b64, post
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
        self.admin, self.data, self.http = house.admin(), house.data(), self.raw()

    def raw(self):
        return Raw(self.house)

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


def http_call(watched, path, body, chunked=False, token="x"):
    """One request in several writes; its answer. The connection stays open."""
    data = post(path, json.dumps(body).encode(), "X-Vault-Token: " + token)
    if chunked:
        head, text = data.split(b"\r\n\r\n", 1)
        size, half = head.split(b"Content-Length: ")[1].split(b"\r\n")[0], len(text) // 2
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:half], text[half:], b""))
        data = head.replace(b"Content-Length: " + size, b"Transfer-Encoding: chunked") + b"\r\n\r\n" + chunks
    step = max(1, len(data) // 5)
    for at in range(0, len(data), step):
        watched.http.send(data[at:at + step])
        time.sleep(0.003)
    return watched.http.answer()


def http_calls(watched, suite, count):
    """The same through the HTTP door: neither the bytes nor their base64, nor a token that came along."""
    tenant, name = "t%d" % suite, "%s, %d bytes" % (SUITES[suite], count)
    secret, token = canary(count), os.urandom(20).hex()
    secrets, more = {"plaintext": secret, "base64": b64(secret).encode()}, {"associated_data": b64(b"row")}
    made = http_call(watched, tenant + "/encrypt/k", {"plaintext": b64(secret), **more}, token=token)
    watched.scan("HTTP encrypt, " + name, **secrets, token=token.encode())
    ciphertext = made.data["ciphertext"]
    check(http_call(watched, tenant + "/encrypt/k", {"plaintext": b64(secret)}, chunked=True).status == 200, "in chunks")
    watched.scan("HTTP encrypt in chunks, " + name, **secrets)
    opened = http_call(watched, tenant + "/decrypt/k", {"ciphertext": ciphertext, **more})
    check(opened.data["plaintext"] == b64(secret), "the canary comes back")
    del opened
    watched.scan("HTTP decrypt, " + name, **secrets)
    check(http_call(watched, tenant + "/decrypt/k", {"ciphertext": ciphertext}).status == 400, "no context")
    watched.scan("HTTP decrypt without its context, " + name, **secrets)
    envelope = base64.b64decode(ciphertext.split(":")[2])
    spoilt = "vault:v%d:" % made.data["key_version"] + b64(envelope[:-1] + bytes([envelope[-1] ^ 1]))
    check(http_call(watched, tenant + "/decrypt/k", {"ciphertext": spoilt, **more}).status == 400, "a changed tag is refused")
    watched.scan("HTTP decrypt with a changed tag, " + name, **secrets)
    batch = {"batch_input": [{"ciphertext": one, **more} for one in (ciphertext, spoilt, ciphertext)[:3 if count < 1 << 18 else 1]]}
    check(http_call(watched, tenant + "/decrypt/k", batch).status == (400 if count < 1 << 18 else 200), "a batch, opened in part")
    watched.scan("HTTP decrypt batch, one item changed, " + name, **secrets)
    check(http_call(watched, tenant + "/encrypt/k", {"plaintext": b64(secret), "other": 1}).status == 400, "a member that is none")
    watched.scan("HTTP refused for a member that is none, " + name, **secrets)
    issued = http_call(watched, tenant + "/datakey/plaintext/k", {})
    watched.scan("HTTP data key, " + name, key=base64.b64decode(issued.data["plaintext"]), base64=issued.data["plaintext"].encode())
    raw, whole = watched.raw(), post(tenant + "/encrypt/k", json.dumps({"plaintext": b64(secret)}).encode())
    raw.send(whole[:-9])
    time.sleep(0.05)
    raw.close()
    watched.scan("HTTP connection cut in the middle of a request, " + name, **secrets)


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
# The log key of a tenant is held with each of its keys at hand, here two. "raw" is the 32 bytes; "inner" and "outer" are the prepared HMAC states, each as good as the key.
NONE, HELD = {"raw": 0, "inner": 0, "outer": 0}, {"raw": 0, "inner": 1, "outer": 1}
DOCUMENTED = {
    "master": {"raw": 1, "inner": 1, "outer": 1}, "store": NONE, "store's row key": HELD, "tenant root": NONE,
    "tenant key in use": HELD, "its tenant's log key": {"raw": 0, "inner": 2, "outer": 2}, "tenant key let go": NONE, "tenant key not used": NONE,
    "tenant key used once": HELD, "message key, AES": {"raw": 0}, "message key, XChaCha": {"raw": 0},
    "message key of a wrapping": {"raw": 0}}


def used_keys(watched):
    """Tenants with keys in use, used once, disabled, never used; the last envelopes of the one in use."""
    for name in ("used", "gone", "idle", "once"):
        assert watched.admin.create_tenant(name).ok and watched.admin.create_key(name, "k").ok
    assert watched.admin.create_key("used", "x", 2).ok
    assert watched.data.encrypt("once", "k", b"x").ok
    issued = watched.data.issue("used", "k", CONTEXT)[1]
    for _ in range(3):
        assert watched.data.encrypt("gone", "k", b"x").ok and watched.data.unwrap("used", issued, CONTEXT).ok
        envelopes = [watched.data.encrypt("used", key, b"x" * 100, CONTEXT)[1] for key in ("k", "x")]
        assert all(watched.data.decrypt("used", one, CONTEXT).ok for one in envelopes)
    assert watched.admin.act("DisableKey", "gone", "k").ok
    time.sleep(0.1)
    return envelopes, issued


def own_keys(watched):
    """The service's own keys, worked out from its files: exactly the documented number of copies of each."""
    import custody
    (aes, xchacha), issued = used_keys(watched)
    keys = custody.Keys(watched.house)
    used, derive = keys.keys["used", "k", 1], custody.formats.derive
    own = {
        "master": keys.master, "store": keys.store, "store's row key": derive(keys.store, "row", b"")[:32],
        "tenant root": keys.roots["used"], "tenant key in use": used,
        "its tenant's log key": derive(keys.roots["used"], "audit-context", b"")[:32],
        "tenant key used once": keys.keys["once", "k", 1], "tenant key let go": keys.keys["gone", "k", 1],
        "tenant key not used": keys.keys["idle", "k", 1]}
    bound = issued[:68] + custody.formats.context_hash(b"used", b"", [(k.encode(), v.encode()) for k, v in CONTEXT.items()])
    messages = {
        "message key, AES": custody.message_key(used, aes, "used", CONTEXT),
        "message key, XChaCha": custody.message_key(keys.keys["used", "x", 1], xchacha, "used", CONTEXT),
        "message key of a wrapping": derive(used, "wrap", bound)[:32]}
    secrets = {(name, "raw"): key for name, key in {**own, **messages}.items()}
    for name, key in own.items():
        secrets[name, "inner"], secrets[name, "outer"] = custody.states(key)
    traces = {(name, form): value for name, key in {**own, **messages}.items() for form, value in custody.worked(key).items()}
    for name, key in messages.items():
        traces |= {(name, "round key %d" % n): part for n, part in enumerate(custody.round_keys(key)[2:], 2)}
        traces[name, "HChaCha20's subkey"] = custody.hchacha20(key)
        traces |= {(name, "GCM's H " + turn): part for turn, part in zip(("", "turned"), custody.hash_key(key))}
    traces |= {("master", "its file's checksum, " + form): part for form, part in custody.hashed(keys.master).items()}
    scan = Scan(watched.pid, secrets, traces)
    is_readable = not scan.unreadable
    print("%-28s %s" % ("the service's own keys", "copies" if is_readable else "copies outside of secret pages"))
    for name, parts in DOCUMENTED.items():
        found = {part: max(scan.copies((name, part)).values(), default=0) for part in parts}
        left = [form for owner, form in traces if owner == name and scan.copies((owner, form))]
        if name == "tenant key let go":
            let_go = found
        print("%-28s %s; traces of its use: %s" % (name, ", ".join("%s %d" % x for x in found.items()), ", ".join(left) or 0))
        if not CONTROL:
            check(found == (parts if is_readable else dict.fromkeys(parts, 0)),
                  "%s: %s: %s" % (name, found, "; ".join(scan.describe((name, part)) for part in parts)))
            check(not left, "%s: %s" % (name, "; ".join(scan.describe((name, form)) for form in left)))
    return let_go


class SealedHouse(CertifiedHouse):
    """Its callers come over TCP with TLS."""

    def data(self, **options):
        return self.sealed(self.caller, **options)


class OverTLS(Watched):
    def raw(self):
        return RawWeb(self.house, self.house.caller)

    def scan(self, what, **secrets):
        return super().scan("TLS: " + what, **secrets)


def over_tls(example):
    """libssl's own buffers keep nothing either; and replies that wait for a caller are sealed already."""
    with SealedHouse(start=False, example=example) as house:
        name = "spiffe://acme.example/caller"
        house.caller = house.clients.issue(spiffe=[name])
        with open(house.path("policy.yaml"), "a") as policy:
            policy.write("""  - name: over-tls
    role: application
    principals: ["%s"]
    tenants: ["*"]
    keys: ["*"]
    operations: ["*"]
""" % name)
        house.start()
        watched = OverTLS(house)
        keys_made(watched)
        for count in (1024, 1 << 20):
            plain_calls(watched, 1, count)
            http_calls(watched, 1, count)
            cut(watched, count)
        data_keys(watched, 1)
        secret = canary(256 << 10)
        envelope, lazy = watched.data.encrypt("t1", "k", secret)[1], house.data()
        sender = threading.Thread(target=send_all, args=(lazy, envelope))
        sender.start()
        until = time.monotonic() + 30
        while Scan(watched.pid, {"reply": secret}).count("reply") and time.monotonic() < until:
            time.sleep(0.1)
        watched.scan("replies that nobody reads", reply=secret)
        lazy.socket.shutdown(socket.SHUT_RDWR)
        sender.join()
        lazy.close()
        house.revoke(house.caller[0])
        watched.scan("connections closed, their certificate revoked", reply=secret)


def in_each_loop(example):
    """A tenant key is held once by each event loop that used it, and no longer than the loop has room."""
    import custody
    with House(example=example, settings=SETTINGS + "event-loops: 2\nkeys-at-hand: 8\n") as house:
        watched, other = Watched(house), house.data()
        for number in range(16):
            assert watched.admin.create_tenant("t%d" % number).ok and watched.admin.create_key("t%d" % number, "k").ok
        assert watched.data.encrypt("t0", "k", b"x").ok and other.encrypt("t0", "k", b"x").ok
        keys = custody.Keys(house)

        def copies():
            time.sleep(0.1)
            scan = Scan(house.process.pid, {"key": custody.states(keys.keys["t0", "k", 1])[0]})
            return None if scan.unreadable else scan.count("key")

        both = copies()
        for number in range(1, 16):
            assert watched.data.encrypt("t%d" % number, "k", b"x").ok
        one = copies()
        for number in range(1, 16):
            assert other.encrypt("t%d" % number, "k", b"x").ok
        none = copies()
        if both is not None:
            print("a tenant key used by two event loops: %d copies; one needed the room: %d; both did: %d" % (both, one, none))
            check((both, one, none) == (2, 1, 0), "one copy an event loop: %s" % ((both, one, none),))


def passphrase():
    """A keyring that a passphrase opens leaves neither it nor what was derived from it."""
    import custody
    words = os.urandom(15).hex().encode()
    with House(start=False) as house:
        shutil.rmtree(house.directory)
        made = subprocess.run(
            [binary("chatelaine"), "init", house.directory, "--seal", "passphrase", "--passphrase-fd", "0", "--json"],
            input=words, capture_output=True)
        assert made.returncode == 0, made.stderr
        file, = (open(path, "rb").read() for path in glob.glob(house.keyring + "/master-*.key"))
        reading, writing = os.pipe()
        os.write(writing, words)
        os.close(writing)
        house.program += ["--passphrase-fd", "0"]
        house.start(wait=60, stdin=reading)
        formats = custody.formats
        memory, passes = formats.number(file[64:68]), formats.number(file[68:72])
        stretched = formats.argon2id(words, file[72:88], memory, passes)
        scan = Scan(house.process.pid, {
            "passphrase": words, "stretched": stretched, "sealing key": formats.derive(stretched, "seal", file[:112])[:32],
            "master": formats.keyring_open(file, words)["masterKey"]})
        check(not scan.hits, "opened by a passphrase: " + scan.describe())
        print("opened by a passphrase (%d MiB, %d passes): %d copies outside of secret pages" % (memory >> 10, passes, len(scan.hits)))


def under_load(watched):
    """Eight connections, 64 calls in flight on each, and a signal now and then."""
    secret = canary(1024)
    envelope = watched.data.encrypt("t1", "k", secret)[1]
    callers = [watched.house.data() for _ in range(8)]

    def call(caller):
        for turn in range(12):
            for number in range(64):
                if number % 2:
                    caller.send(DATA, "Decrypt", Data.message("t1", None, envelope))
                else:
                    caller.send(DATA, "Encrypt", Data.message("t1", "k", secret))
            check(all(caller.receive().ok for _ in range(64)), "64 replies")

    threads = [threading.Thread(target=call, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        watched.house.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    watched.scan("load: 8 connections, 64 in flight, policy reloaded by signal", plaintext=secret)


def report(scan):
    print("%-72s %-10s %8s  copies" % ("after", "secret", "bytes"))
    for what, label, count, found in rows:
        print("%-72s %-10s %8d  %s" % (what, label, count, ", ".join("%s %d" % x for x in found.items()) or "0"))
    print("scanned %d MiB; unreadable: %s" % (scan.bytes >> 20, ", ".join("%d KiB of %s" % (n >> 10, p) for p, n in scan.unreadable) or "nothing"))


def custody_is_known():
    try:
        import custody  # noqa: F401
        return True
    except ImportError as missing:
        print("skipped: counts of the service's own keys (%s)" % missing)
        return False


def main():
    if os.geteuid() != 0:
        print("skipped: only root can read another process's memory")
        return 0
    example = "--example" in sys.argv or CONTROL
    with House(example=example, settings=SETTINGS) as house:
        watched = Watched(house)
        if example:
            check(b"a test build" in watched.admin.status().raw, "status says that this is a test build")
        keys_made(watched)
        sizes = (1024,) if CONTROL else (1024, 1 << 20)
        for suite in SUITES:
            for count in sizes:
                plain_calls(watched, suite, count)
                if suite == 1:
                    http_calls(watched, suite, count)
            batches(watched, suite, 1024)
            data_keys(watched, suite)
        cut(watched, 1024)
        cut(watched, 1 << 20)
        if not CONTROL:
            batches(watched, 1, 100 << 10)
            refused(watched)
            unlogged(watched)
            unread(watched)
            under_load(watched)
            over_tls(example)
        gone = None
        if custody_is_known():
            gone = own_keys(watched)
        report(Scan(watched.pid, {"none": os.urandom(32)}))
        if CONTROL:
            check(gone and max(gone.values()), "the control did not fail: a key that was let go is not found")
            lost = [row[0] for row in rows if not row[3]]
            check(len(rows) - len(lost) >= len(rows) // 2, "what is not wiped is found: only %s" % lost)
    if not CONTROL and custody_is_known():
        in_each_loop(example)
        if not example:
            passphrase()
    return check.finish()


sys.exit(main())
