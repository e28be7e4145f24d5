#!/usr/bin/env python3
"""The HTTP door: every path with an entry for each use of a key, tenants kept apart, framing that nobody gets around,
bounds, and Vault's own Python client, hvac, unmodified (from PyPI, in a virtual environment that is kept in the temporary
directory; skipped where it cannot be had).
"""
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from house import Checks, House
from transit import SETTINGS, Raw, Transit, b64, masked, post

HVAC = "hvac==2.4.0"
POLICY = """version: 1
allow-combined-roles: true
rules:
  - name: everyday
    role: application
    principals: ["uid:%d"]
    tenants: ["acme", "solo"]
    keys: ["*"]
    operations: ["*"]
  - name: operators
    role: operator
    principals: ["uid:%d"]
    tenants: ["acme", "solo"]
    operations: ["*"]
""" % (os.getuid(), os.getuid())


def main():
    check = Checks()
    with House(settings=SETTINGS) as house:
        admin = house.admin()
        for tenant in ("acme", "solo", "beta"):
            assert admin.create_tenant(tenant).ok and admin.create_key(tenant, "pay").ok
        admin.close()
        slow = [threading.Thread(target=row, args=(check, house)) for row in (slow_requests, slow_reader)]
        for thread in slow:
            thread.start()
        python = hvac()
        beta = Transit(house).encrypt("beta", "pay", b"x").data["ciphertext"]  # while its key may be used
        check.part(every_path, house)
        check.part(between_doors, house)
        check.part(absent, house)
        check.part(framing, house)
        check.part(refused_frames, house)
        check.part(random_bytes, house)
        for thread in slow:
            thread.join()
        check.part(states, house)
        if python:
            check.part(vaults_own_client, python, house)
        check.part(tenants_apart, house, beta)
        check.part(large_batches, house)
        check(house.verify() == 0, "the log verifies")
        check(house.stop() == 0, "the service stops")
    check.part(too_many)
    check.part(after_its_sync)
    return check.finish()


def entry_of(entries, answer):
    """The entry that an answer's receipt names."""
    _, epoch, sequence, leaf = answer.receipt or (None, None, "-1", None)
    found = [one for one in entries if one["sequence"] == int(sequence)]
    return found[0] if found and found[0]["leafHash"] == leaf and str(found[0]["epoch"]) == epoch else None


def every_path(house, check):
    """`used` keeps what the entry of an answer has to be; all are looked up together at the end."""
    wanted, door, about = [], Transit(house), {"X-Chatelaine-Actor": "ann", "X-Chatelaine-Purpose": "why", "X-Vault-Token": "any"}

    def used(answer, operation, status=200, outcome="ok", **more):
        check(answer.status == status, "%s: %d %s" % (operation, answer.status, answer.json))
        wanted.append((answer, {"operation": operation, "outcome": outcome, "door": "http", **more}))

    made = door.call("POST", "acme/keys/cards", {"type": "aes256-gcm96"})
    used(made, "key-create", 204)
    again = door.call("POST", "acme/keys/cards", {})
    check(again.status == 200 and again.json["warnings"] and again.data is None, "a key that is there stays: %s" % again.json)
    sealed = door.encrypt("acme", "cards", b"4111")
    used(sealed, "encrypt")
    text = sealed.data["ciphertext"]
    check(text.startswith("vault:v1:Q0gB") and sealed.data["key_version"] == 1, "a ciphertext of Vault's form: " + text)
    mine = "0123456789abcdef" * 2
    opened = door.call("PUT", "acme/decrypt/cards", {"ciphertext": text}, {**about, "X-Chatelaine-Request-Id": mine})
    used(opened, "decrypt", actor="ann", purpose="why", requestId=mine)
    check(opened.data == {"plaintext": b64(b"4111")}, "it opens")
    used(door.call("POST", "acme/keys/cards/rotate"), "key-rotate", 204)
    moved = door.call("POST", "acme/rewrap/cards", {"ciphertext": text})
    used(moved, "rewrap")
    check(moved.data["ciphertext"].startswith("vault:v2:") and moved.data["key_version"] == 2, "it is moved")
    check(door.decrypt("acme", "cards", moved.data["ciphertext"]).data["plaintext"] == b64(b"4111"), "and opens")
    read = door.call("GET", "acme/keys/cards")
    used(read, "read-keys")
    check(list(read.data["keys"]) == ["1", "2"] and read.data["latest_version"] == 2 and read.data["type"] == "aes256-gcm96",
          "a key's versions: %s" % read.data)
    for method, path in (("LIST", "acme/keys"), ("GET", "acme/keys?list=true")):
        listed = door.call(method, path)
        used(listed, "read-keys")
        check(listed.data == {"keys": ["cards", "pay"]}, "%s: %s" % (method, listed.data))
    for settings, status in (({}, 204), ({"min_decryption_version": 1, "deletion_allowed": False}, 204), ({"min_decryption_version": 2}, 400)):
        check(door.call("POST", "acme/keys/cards/config", settings).status == status, "config %s" % settings)
    data_keys(door, used, check)
    batches(house, door, used, check)
    questions(door, check)
    wrong = [("cards", text[:-8] + "AAAAAAA="), ("pay", text), ("cards", text.replace("v1", "v2")), ("cards", "nonsense"), ("none", text)]
    answers = [door.decrypt("acme", key, one) for key, one in wrong]
    check({(one.status, one.code, tuple(one.errors)) for one in answers} == {(400, "DECRYPTION_FAILED", tuple(answers[0].errors))},
          "what does not open is told in one way: %s" % [one.json for one in answers])
    check(door.encrypt("acme", "none", b"x").status == 404, "no such key")
    entries = house.entries()
    check(all(entry_of(entries, one)["outcome"] != "ok" for one in answers), "and noted each time")
    for answer, facts in wanted:
        entry = entry_of(entries, answer)
        check(entry and facts.items() <= entry.items(), "%s: its entry is %s" % (facts, entry))
        check(not entry or answer.request_id in (None, entry["requestId"]), "its request id is the entry's")


def data_keys(door, used, check):
    issued = door.call("POST", "acme/datakey/plaintext/cards", {"context": b64(b"t")})
    used(issued, "issue-data-key")
    check(len(issued.data["plaintext"]) == 44, "a data key of 256 bits")
    opened = door.decrypt("acme", "cards", issued.data["ciphertext"], context=b64(b"t"))
    used(opened, "unwrap-data-key")
    check(opened.data["plaintext"] == issued.data["plaintext"], "a wrapped data key opens as any ciphertext does")
    check(door.decrypt("acme", "pay", issued.data["ciphertext"], context=b64(b"t")).status == 400, "under its own key")
    check(door.decrypt("acme", "cards", issued.data["ciphertext"]).status == 400, "with its context")
    wrapped = door.call("POST", "acme/datakey/wrapped/cards", {"bits": 256})
    used(wrapped, "issue-data-key")
    check("plaintext" not in wrapped.data and wrapped.data["ciphertext"].startswith("vault:v2:"), "the wrapped form alone")
    door.call("POST", "acme/keys/cards/rotate")
    moved = door.call("POST", "acme/rewrap/cards", {"ciphertext": issued.data["ciphertext"], "context": b64(b"t")})
    used(moved, "rewrap")
    check(door.decrypt("acme", "cards", moved.data["ciphertext"], context=b64(b"t")).data["plaintext"] == issued.data["plaintext"],
          "a wrapped data key is moved")


def batches(house, door, used, check):
    texts = [os.urandom(n) for n in (0, 1, 100, 1000)]
    items = [{"plaintext": b64(one), "reference": "r\u00e9\"%d" % n, "associated_data": b64(b"%d" % n)} for n, one in enumerate(texts)]
    sealed = door.call("POST", "acme/encrypt/cards", {"batch_input": items})
    used(sealed, "encrypt")
    [one] = house.entries("--request-id", sealed.request_id)
    check([item["bytes"] for item in one["items"]] == [0, 1, 100, 1000], "a batch has one entry: %s" % one)
    results = sealed.data["batch_results"]
    check([one["reference"] for one in results] == [one["reference"] for one in items], "each result has its mark")
    opening = [{"ciphertext": one["ciphertext"], "associated_data": b64(b"%d" % n)} for n, one in enumerate(results)]
    opened = door.call("POST", "acme/decrypt/cards", {"batch_input": opening})
    used(opened, "decrypt")
    check([one["plaintext"] for one in opened.data["batch_results"]] == [b64(one) for one in texts], "and opens")
    opening[2]["associated_data"] = b64(b"other")
    for more, status in (({}, 400), ({"partial_failure_response_code": 207}, 207)):
        part = door.call("POST", "acme/decrypt/cards", {"batch_input": opening, **more})
        used(part, "decrypt", status, "failed")
        check([sorted(one) for one in part.data["batch_results"]] == [["plaintext"]] * 2 + [["error"]] + [["plaintext"]], "part of a batch: %s" % part.data)
    opening[2]["associated_data"] = b64(b"2")
    moved = door.call("POST", "acme/rewrap/cards", {"batch_input": opening})
    used(moved, "rewrap")
    check(len(moved.data["batch_results"]) == 4, "a batch is moved: %s" % moved.data)
    wrapped = door.call("POST", "acme/datakey/wrapped/cards").data["ciphertext"]
    mixed = door.call("POST", "acme/decrypt/cards", {"batch_input": [*opening, {"ciphertext": wrapped}]})
    used(mixed, "unwrap-data-key")
    check([len(one["plaintext"]) for one in mixed.data["batch_results"]][-1] == 44, "a wrapped data key among envelopes")
    counts = [len(house.entries("--request-id", one.request_id)) for one in (moved, mixed)]
    check(counts == [4, 5], "where each item is a call, each has an entry: %s" % counts)


def questions(door, check):
    health = door.call("GET", "sys/health")
    check(health.status == 200 and health.json["initialized"] and not health.json["sealed"], "health: %s" % health.json)
    head = door.call("HEAD", "sys/health")
    check(head.status == 200 and head.body == b"" and int(head.headers["Content-Length"]) == len(health.body), "HEAD of it")
    me = door.call("GET", "auth/token/lookup-self")
    check(me.data["display_name"] == "uid:%d" % os.getuid(), "who I am: %s" % me.data)
    for path, body, count in (("random/16", None, 24), ("random", {"bytes": 64, "format": "hex"}, 128), ("random", {"bytes": 4096}, 5464)):
        drawn = door.call("POST", "acme/" + path, body)
        check(drawn.status == 200 and len(drawn.data["random_bytes"]) == count, "%s: %s" % (path, drawn.data))
    check(door.call("POST", "acme/random", {"bytes": 4097}).status == 413, "not too many random bytes")


def between_doors(house, check):
    """One context, one key: what one door seals the other opens."""
    door, data = Transit(house), house.data()
    sealed = door.encrypt("acme", "pay", b"x", associated_data=b64(b"a"), context=b64(b"c"), encryption_context={"table": "t"})
    import base64
    envelope = base64.b64decode(sealed.data["ciphertext"].split(":")[2])
    context = {"associated_data": b64(b"a"), "context": b64(b"c"), "table": "t"}
    check(data.decrypt("acme", envelope, context)[1] == b"x", "sealed here, opened at the data door")
    check(data.decrypt("acme", envelope, {"table": "t"}).code == "DECRYPTION_FAILED", "the control: not without its context")
    envelope = data.encrypt("acme", "pay", b"y", {"table": "t"})[1]
    text = "vault:v1:" + b64(envelope)
    check(door.decrypt("acme", "pay", text, encryption_context={"table": "t"}).data["plaintext"] == b64(b"y"), "and the other way")
    check(door.decrypt("acme", "pay", text).status == 400, "the control: not without its context")
    data.close()


def large_batches(house, check):
    """One request is few entries, also of who may do nothing: of a batch whose items have entries of their own, and is refused."""
    door = Transit(house)
    ciphertext = door.call("POST", "acme/datakey/wrapped/pay").data["ciphertext"]
    for path, items, status, entries in (("acme/rewrap/pay", 129, 413, 0), ("acme/decrypt/pay", 129, 400, 1),
                                         ("nobody/rewrap/pay", 128, 400, 1), ("nobody/decrypt/pay", 128, 400, 1),
                                         ("acme/decrypt/pay", 3, 200, 3)):
        answer = door.call("POST", path, {"batch_input": [{"ciphertext": ciphertext}] * items})
        count = len(house.entries("--request-id", answer.request_id)) if answer.request_id else 0
        check((answer.status, count) == (status, entries), "%s of %d: %d, %d entries" % (path, items, answer.status, count))


def absent(house, check):
    door = Transit(house)
    for path, body, word in [
            ("export/encryption-key/pay", None, "export"), ("sign/pay", {}, "sign"), ("hmac/pay", {}, "hmac"), ("verify/pay", {}, "verify"),
            ("hash", {}, "hash"), ("backup/pay", None, "backup"), ("restore", {}, "restore"), ("keys/pay/trim", {}, "trim"),
            ("keys/pay", {"derived": True}, "derived"), ("keys/pay", {"type": "ed25519"}, "type"), ("keys/pay", {"exportable": True}, "exportable"),
            ("encrypt/pay", {"plaintext": "", "convergent_encryption": True}, "convergent_encryption"),
            ("encrypt/pay", {"plaintext": "", "key_version": 1}, "key_version"), ("datakey/plaintext/pay", {"bits": 128}, "bits")]:
        for tenant in ("acme", "nobody"):
            answer = door.call("POST", "%s/%s" % (tenant, path), body)
            check(answer.status == 400 and answer.errors[0].startswith(word + " is not here: "), "%s: %s" % (path, answer.json))
    check(door.call("DELETE", "acme/keys/pay").errors[0].startswith("DELETE is not here"), "DELETE")
    wrapped = door.call("POST", "acme/encrypt/pay", {"plaintext": ""}, {"X-Vault-Wrap-TTL": "60"})
    check(wrapped.status == 400 and "X-Vault-Wrap-TTL" in wrapped.errors[0], "a wrapped reply: %s" % wrapped.json)
    for method, path, status, allowed in (("GET", "acme/encrypt/pay", 405, "POST, PUT"), ("PATCH", "acme/keys/pay", 405, "GET, POST"),
                                          ("LINK", "acme/keys", 405, "LIST"), ("POST", "sys/seal", 404, None), ("GET", "nothing", 404, None)):
        answer = door.call(method, path)
        check(answer.status == status and answer.headers.get("Allow") == allowed, "%s %s: %d" % (method, path, answer.status))
    for body in (b"{", b"[]", b'{"plaintext":1}', b'{"plaintext":"x"}', b'{"plaintext":""} x', b"\xff", b'{"other":1}', b"{}"):
        answer = door.call("POST", "acme/encrypt/pay", body)
        check(answer.status == 400 and answer.code == "INVALID_REQUEST" and len(answer.errors[0]) > 20, "%s: %s" % (body, answer.json))
    check(door.encrypt("acme", "pay", b"x").status == 200, "and the connection goes on")


def framing(house, check):
    body = json.dumps({"plaintext": b64(b"x")}).encode()
    one = post("acme/encrypt/pay", body)
    door = Transit(house)
    for chunked in (False, True):
        check(door.call("POST", "acme/encrypt/pay", body, chunked=chunked).status == 200, "chunked: %s" % chunked)
    raw = Raw(house).send(b"".join(post("acme/encrypt/pay", body, "X-Chatelaine-Request-Id: %032x" % n) for n in range(1, 51)))
    ids = [raw.answer().request_id for _ in range(50)]
    check(ids == ["%032x" % n for n in range(1, 51)], "50 requests in one write, answered in order: %s" % ids[:3])
    for byte in one:
        raw.send(bytes([byte]))
    check(raw.answer().status == 200, "byte by byte")
    raw.send(b"\r\n\r\n" + one)
    check(raw.answer().status == 200, "empty lines before a request are passed over")
    chunks = b"POST /v1/acme/encrypt/pay HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body) + b"0\r\n\r\n"
    raw.send(chunks + one + chunks)
    check([raw.answer().status for _ in range(3)] == [200] * 3, "chunks of one byte, and requests behind them")
    raw.send(one.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue")[:-len(body)])
    check(raw.head()[0] == "HTTP/1.1 100 Continue", "told to go on")
    raw.send(body)
    check(raw.answer().status == 200, "and answered")
    for head, kept in ((b"HTTP/1.1\r\nConnection: close", False), (b"HTTP/1.0", False), (b"HTTP/1.0\r\nConnection: keep-alive", True),
                       (b"HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade", False)):
        raw = Raw(house).send(one.replace(b"HTTP/1.1", head))
        check(raw.answer().status == 200, "%s is answered" % head)
        if kept:
            raw.send(one)
            check(raw.answer().status == 200, "%s: and the next one" % head)
        else:
            check(raw.is_closed(), "%s: and hung up on" % head)
    raw = Raw(house).send(one + one)
    raw.socket.shutdown(1)
    check([raw.answer().status for _ in range(2)] == [200, 200] and raw.is_closed(), "who has said all is answered, then hung up on")


def refused_frames(house, check):
    """What cannot be told apart is refused and hung up on, and nothing that stands behind it is done."""
    body = json.dumps({"plaintext": b64(b"x")}).encode()
    one, before = post("acme/encrypt/pay", body, "X-Chatelaine-Purpose: smuggled"), resident(house)
    line = b"POST /v1/acme/encrypt/pay HTTP/1.1\r\n"
    cases = [
        (line + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400), (line + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (line + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400), (line + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (line + b"Transfer-Encoding: chunked, identity\r\n\r\n", 400), (line + b"Content-Length: +5\r\n\r\n", 400), (line + b"Content-Length: -1\r\n\r\n", 400),
        (line + b"Content-Length : 5\r\n\r\n", 400), (line + b"A: b\r\n folded\r\n\r\n", 400), (line + b"\r\n".join([b"A"]) + b"\r\n\r\n", 400),
        (line.replace(b"HTTP/1.1", b"HTTP/2.0") + b"\r\n", 400), (line.replace(b"POST", b"POSH") + b"\r\n", 400), (line.replace(b" /v1", b"/v1") + b"\r\n", 400),
        (line.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n", 400), (line + b"Expect: all\r\n\r\n", 417),
        (line + b"X-Vault-Namespace: a\r\nX-Vault-Namespace: b\r\n\r\n", 400), (line + b"Content-Length: 4194305\r\n\r\n", 413),
        (line + b"Content-Length: 4294967296\r\n\r\n", 413), (line + b"Content-Length: 99999999999999999999999\r\n\r\n", (400, 413)),
        (line + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", 413), (line + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n", 400),
        (line + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", 400), (line + b"A: " + b"b" * (16 << 10), 431),
        (line + b"".join(b"A%d: b\r\n" % n for n in range(300)) + b"\r\n", 400), (b"\x16\x03\x01\0\xc8\1\0\0\xc4\3\3", 400),
        (b"\0\0\0\x20\0\0\0\1\1\0", 400), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400)]
    for data, status in cases:
        raw = Raw(house)
        try:
            raw.send(data + one)
        except OSError:
            pass
        answer = raw.answer()
        check(answer and answer.status in (status if isinstance(status, tuple) else (status,)) and answer.headers["Connection"] == "close",
              "%s: %s" % (data[:90], answer and (answer.status, answer.json)))
        check(raw.is_closed(), "%s: and hung up on" % data[:60])
        raw.close()
    check(not [1 for entry in house.entries() if entry["purpose"] == "smuggled"], "nothing behind them was done")
    raw = Raw(house).send(one)
    check(raw.answer().status == 200 and [1 for entry in house.entries() if entry["purpose"] == "smuggled"], "the control: by itself it is")
    check(resident(house) < before + (8 << 10), "claims of much cost nothing")


def resident(house):
    with open("/proc/%d/status" % house.process.pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def random_bytes(house, check, seconds=2):
    """Requests with bytes changed, doubled, cut and put together: nobody falls over them."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    text = Transit(house).encrypt("acme", "pay", b"x").data["ciphertext"]
    seeds = [post("acme/encrypt/pay", b'{"batch_input":[{"plaintext":"eA==","encryption_context":{"a":"\\u0041"}}]}'),
             post("acme/decrypt/pay", json.dumps({"ciphertext": text}).encode()), b"LIST /v1/acme/keys HTTP/1.1\r\n\r\n",
             b"PUT /v1/acme/random/9 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"GET /v1/sys/health HTTP/1.0\r\n\r\n"]
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = bytearray(b"".join(dice.choice(seeds) for _ in range(dice.randrange(1, 4))))
        for _ in range(dice.randrange(0, 6)):
            at = dice.randrange(len(data))
            if dice.random() < 0.5:
                data[at] = dice.randrange(256)
            else:
                data[at:at + dice.randrange(4)] = data[at:at + dice.randrange(9)]
        raw = Raw(house)
        try:
            raw.send(bytes(data))
            raw.socket.shutdown(1)
            said = raw.all()
        except OSError:
            said = b""
        raw.close()
        count += 1
        if not check(re.fullmatch(rb"(HTTP/1\.1 [1-5]\d\d .*)?", said, re.S), "seed %d: %r: %r" % (seed, bytes(data), said[:200])):
            break
    check(house.process.poll() is None and Transit(house).encrypt("acme", "pay", b"x").status == 200, "seed %d: it serves" % seed)
    return "%d inputs" % count


def slow_requests(check, house):
    """A request has five seconds, however its bytes come; who is silent between two has all the time there is."""
    one = post("acme/encrypt/pay", b'{"plaintext":""}')
    quiet = Raw(house).send(one)
    check(quiet.answer().status == 200, "before a silence")
    ended = {}

    def wait(name, raw, rest, began):
        """Sends the rest a byte at a time; when the answer is there, and what it is."""
        while time.monotonic() < began + 15:
            try:
                raw.send(rest[:1])
            except OSError:
                pass
            rest = rest[1:]
            if select.select([raw.socket], [], [], 0.2)[0]:
                break
        answer = raw.answer()
        ended[name] = (round(time.monotonic() - began, 1), answer and answer.status, answer and answer.code)
    cases = [(20, 0), (len(one) - 3, 0), (0, len(one)), (5, 15)]
    waiting = [threading.Thread(target=wait, args=(case, Raw(house).send(one[:case[0]]), one[case[0]:sum(case)], time.monotonic()))
               for case in cases]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    check(len(ended) == 4 and all(4 < at < 8 and said == (408, "DEADLINE_EXCEEDED") for at, *said in ended.values() for said in [tuple(said)]),
          "slow requests: %s" % ended)
    quiet.send(one)
    check(quiet.answer().status == 200, "after a silence of some seconds")


def slow_reader(check, house):
    """Who reads nothing is hung up on, and is not read from meanwhile."""
    raw, one = Raw(house), post("acme/encrypt/pay", json.dumps({"plaintext": b64(bytes(100_000))}).encode())
    raw.socket.settimeout(0.5)
    began, sent = time.monotonic(), 0
    while time.monotonic() < began + 20:
        try:
            sent += raw.socket.send(one)
        except TimeoutError:
            continue
        except OSError:
            break
    took = time.monotonic() - began
    check(9 < took < 16 and sent < 16 << 20, "a reader that reads nothing: %.1f s, %d bytes" % (took, sent))


def states(house, check):
    """A key disabled, a policy read anew, a door in the status."""
    door, admin = Transit(house), house.admin()
    sealed = door.encrypt("acme", "cards", b"x").data["ciphertext"]
    assert admin.act("DisableKey", "acme", "cards").ok
    refused, hidden = door.encrypt("acme", "cards", b"x"), door.decrypt("acme", "cards", sealed)
    check((refused.status, refused.code) == (409, "KEY_DISABLED") and entry_of(house.entries(), refused)["reason"] == "key-disabled", "a disabled key")
    check((hidden.status, hidden.code) == (400, "DECRYPTION_FAILED"), "what it sealed does not open")
    assert admin.act("EnableKey", "acme", "cards").ok
    check(door.decrypt("acme", "cards", sealed).status == 200, "the control did not fail: enabled it opens")
    check(b"http.sock" in admin.status().raw, "status has the door")
    with open(os.path.join(house.directory, "policy.yaml"), "w") as policy:
        policy.write(POLICY)
    house.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 10
    while door.encrypt("beta", "pay", b"x").status == 200 and time.monotonic() < until:
        time.sleep(0.05)
    check(door.encrypt("beta", "pay", b"x").status == 404, "a policy read anew holds on an open connection")
    admin.close()


def tenants_apart(house, beta, check):
    """A tenant that one may not use, and one that does not exist: the same bytes on every path."""
    mine = Transit(house).encrypt("acme", "pay", b"x").data["ciphertext"]
    asked = [("POST", "encrypt/pay", {"plaintext": b64(b"x")}), ("POST", "decrypt/pay", {"ciphertext": mine}),
             ("POST", "decrypt/pay", {"ciphertext": beta}), ("POST", "rewrap/pay", {"ciphertext": beta}), ("POST", "datakey/plaintext/pay", {}),
             ("POST", "datakey/wrapped/pay", {}), ("POST", "encrypt/pay", {"batch_input": [{"plaintext": ""}]}),
             ("POST", "decrypt/pay", {"batch_input": [{"ciphertext": beta}, {"ciphertext": mine}]}),
             ("POST", "rewrap/pay", {"batch_input": [{"ciphertext": beta}]}), ("GET", "keys/pay", None), ("LIST", "keys", None),
             ("POST", "keys/pay", {}), ("POST", "keys/new", {}), ("POST", "keys/pay/rotate", {}), ("POST", "keys/pay/config", {})]
    differ = 0
    for method, path, body in asked:
        for form in ("/v1/%s/" + path, "/v1/transit/" + path):
            replies = {}
            for tenant in ("beta", "ghos", "solo"):
                data, target = (json.dumps(body).encode() if body is not None else b""), form % tenant if "%s" in form else form
                head = "%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n" % (method, target, len(data))
                head += "" if "%s" in form else "X-Vault-Namespace: %s\r\n" % tenant
                replies[tenant] = masked(Raw(house).send(head.encode() + b"\r\n" + data).all())
            check(replies["beta"] == replies["ghos"] != b"", "%s %s: %s" % (method, path, replies))
            check(b" 404 " in replies["beta"][:20] or b" 400 " in replies["beta"][:20], "%s %s: %s" % (method, path, replies["beta"]))
            differ += replies["solo"] != replies["ghos"]
    check(differ >= 2 * 10, "the control did not fail: a tenant that one may use answers otherwise: %d" % differ)


def too_many(check):
    with House(settings=SETTINGS + "connections-max: 8\nconnections-per-user-max: 3\n") as house:
        held = [Raw(house).send(b"GET /v1/sys/health HTTP/1.1\r\n\r\n") for _ in range(3)]
        check([one.answer().status for one in held] == [200] * 3, "as many as may")
        more = Raw(house)
        answer = more.answer()
        check(answer and answer.status == 429 and answer.headers["Retry-After"] == "1" and answer.code == "BUSY", "one more: %s" % answer)
        check(more.is_closed(), "and hung up on")
        held[0].close()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            answer = Raw(house).send(b"GET /v1/sys/health HTTP/1.1\r\n\r\n").answer()
            if answer and answer.status == 200:
                break
        check(answer and answer.status == 200, "the control did not fail: where one has gone there is room")
        # why: one request is whole and waits, the others never come: a stop answers the one and waits for nobody else.
        held[1].send(post("acme/encrypt/pay", b'{"plaintext":""}') + b"POST /v1/acme")
        check(held[1].answer().status == 404 and house.stop() == 0, "a stop does not wait for half a request")


def after_its_sync(check, delay=0.1):
    """On a disk that takes so long to sync, every answer that has an entry takes as long."""
    if not shutil.which("strace") or os.getuid() != 0:
        print("skipped: a slow disk needs strace and root")
        return
    with House(start=False, settings=SETTINGS) as house:
        inject = "inject=fdatasync:delay_enter=%d" % (delay * 1e6)
        house.start(wrapper=["strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject], wait=60)
        admin, door = house.admin(), Transit(house)
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        text = door.encrypt("acme", "pay", b"x").data["ciphertext"]
        for path, body, waits in [
                ("encrypt/pay", {"plaintext": ""}, True), ("decrypt/pay", {"ciphertext": text}, True), ("rewrap/pay", {"ciphertext": text}, True),
                ("datakey/plaintext/pay", {}, True), ("encrypt/pay", {"batch_input": [{"plaintext": ""}] * 9}, True),
                ("decrypt/pay", {"batch_input": [{"ciphertext": text}] * 9}, True), ("rewrap/pay", {"batch_input": [{"ciphertext": text}] * 9}, True),
                ("encrypt/none", {"plaintext": ""}, True), ("decrypt/pay", {"ciphertext": "x"}, True), ("random", {}, False), ("sign/pay", {}, False)]:
            began = time.monotonic()
            answer = door.call("POST", "acme/" + path, body)
            took = time.monotonic() - began
            check((took >= delay) == waits == (answer.receipt is not None), "%s %s: %.3f s, %d" % (path, list(body), took, answer.status))


# ---- hvac

def hvac():
    """A Python that has Vault's client, or None with a line that says why."""
    place = os.path.join(tempfile.gettempdir(), "chatelaine-hvac-%d" % os.getuid())
    python = os.path.join(place, "bin/python")
    for one in (sys.executable, python):
        if os.path.exists(one) and subprocess.run([one, "-c", "import hvac"], capture_output=True).returncode == 0:
            return one
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, capture_output=True, timeout=120)
        subprocess.run([python, "-m", "pip", "install", "-q", HVAC], check=True, capture_output=True, timeout=240)
        return python
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(place, ignore_errors=True)
        print("skipped: Vault's own client: hvac cannot be installed from PyPI: %s" % type(error).__name__, flush=True)
        return None


CLIENT = r'''
import base64, socket, sys
import hvac, requests, urllib3
from hvac.exceptions import InvalidPath, InvalidRequest

class Connection(urllib3.connection.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])

class Pool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = Connection

class Adapter(requests.adapters.HTTPAdapter):
    pool = Pool("localhost")
    def get_connection_with_tls_context(self, *_, **__): return self.pool
    def get_connection(self, *_, **__): return self.pool

def b64(data): return base64.b64encode(data).decode()

def client(**options):
    session = requests.Session()
    session.mount("http://", Adapter())
    return hvac.Client(url="http://localhost", token="not looked at", session=session, **options)

def drive(one, mount, key):
    transit, at = one.secrets.transit, {"mount_point": mount}
    assert one.is_authenticated() and one.sys.read_health_status(method="GET")["initialized"]
    assert one.sys.read_health_status().status_code == 200
    transit.create_key(name=key, key_type="aes256-gcm96", **at)
    transit.create_key(name=key, **at)
    first = transit.encrypt_data(name=key, plaintext=b64(b"hello"), associated_data=b64(b"row 7"), **at)["data"]["ciphertext"]
    assert first.startswith("vault:v1:")
    transit.rotate_key(name=key, **at)
    assert transit.read_key(name=key, **at)["data"]["latest_version"] == 2
    assert key in transit.list_keys(**at)["data"]["keys"]
    again = transit.decrypt_data(name=key, ciphertext=first, associated_data=b64(b"row 7"), **at)["data"]["plaintext"]
    assert base64.b64decode(again) == b"hello"
    plain = transit.encrypt_data(name=key, plaintext=b64(b"x"), **at)["data"]["ciphertext"]
    moved = transit.rewrap_data(name=key, ciphertext=plain, **at)["data"]["ciphertext"]
    assert moved.startswith("vault:v2:")
    items = [{"plaintext": b64(b"%d" % n), "context": b64(b"c")} for n in range(20)]
    sealed = transit.encrypt_data(name=key, plaintext=None, batch_input=items, **at)["data"]["batch_results"]
    opening = [{"ciphertext": x["ciphertext"], "context": b64(b"c")} for x in sealed]
    opened = transit.decrypt_data(name=key, ciphertext=None, batch_input=opening, **at)["data"]["batch_results"]
    assert [base64.b64decode(x["plaintext"]) for x in opened] == [b"%d" % n for n in range(20)]
    issued = transit.generate_data_key(name=key, key_type="plaintext", **at)["data"]
    assert transit.decrypt_data(name=key, ciphertext=issued["ciphertext"], **at)["data"]["plaintext"] == issued["plaintext"]
    assert "plaintext" not in transit.generate_data_key(name=key, key_type="wrapped", **at)["data"]
    assert len(transit.generate_random_bytes(n_bytes=20, output_format="hex", **at)["data"]["random_bytes"]) == 40
    transit.update_key_configuration(name=key, deletion_allowed=False, min_decryption_version=1, **at)
    for refused, act in [("export", lambda: transit.export_key(name=key, key_type="encryption-key", **at)),
                         ("sign", lambda: transit.sign_data(name=key, hash_input=b64(b"x"), **at)),
                         ("hmac", lambda: transit.generate_hmac(name=key, hash_input=b64(b"x"), **at)),
                         ("derived", lambda: transit.create_key(name="other", derived=True, **at)),
                         ("DELETE", lambda: transit.delete_key(name=key, **at)),
                         ("does not open", lambda: transit.decrypt_data(name=key, ciphertext=first, **at))]:
        try:
            act()
            raise AssertionError(refused + " was answered")
        except InvalidRequest as error:
            assert refused in str(error), error
    try:
        transit.encrypt_data(name="none", plaintext=b64(b"x"), **at)
        raise AssertionError("no such key")
    except InvalidPath:
        pass

drive(client(), "acme", "hvac-mount")
drive(client(namespace="acme"), "transit", "hvac-namespace")
import importlib.metadata
print("hvac", importlib.metadata.version("hvac"))
'''


def vaults_own_client(python, house, check):
    ran = subprocess.run([python, "-c", CLIENT, house.data_path.replace("data.sock", "http.sock")], capture_output=True, text=True, timeout=60)
    check(ran.returncode == 0, "hvac: " + ran.stderr[-1500:])
    return ran.stdout.strip()


sys.exit(main())
