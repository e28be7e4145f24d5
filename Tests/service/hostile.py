"""The rows of bad input that are one call or a few: what is no frame, no message, no name, no ciphertext."""
import array
import collections
import os
import socket
import struct
import threading

import masking
from wire import ADMIN, DATA, Data, field, fields

MESSAGE_BYTES_MAX = 4 << 20
PLAINTEXT_BYTES_MAX = 1 << 20
CONTEXT = {"table": "cards"}
REASONS = {"INVALID_REQUEST": "malformed", "NOT_FOUND": "no-such-method", "LIMIT_EXCEEDED": "limit",
           "DEADLINE_EXCEEDED": "deadline", "BUSY": "busy"}


class Caller(Data):
    """A connection that counts the refusals without a receipt: they have no entry of their own."""

    def __init__(self, scene, path=None, timeout=30):
        super().__init__(path or scene.house.data_path, timeout)
        self.scene = scene

    def receive(self):
        reply = super().receive()
        if reply.code and not reply.receipt:
            self.scene.count(REASONS[reply.code])
        return reply

    def frame(self, payload, stream=1, kind=1, length=None):
        self.send_raw(struct.pack(">IIBB", len(payload) if length is None else length, stream, kind, 0) + payload)

    def is_closed(self):
        """Whether the other side hangs up, with nothing more to say."""
        try:
            return self.waiting == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class Scene:
    """A service, a tenant with keys, and what its callers were told."""

    def __init__(self, house, check):
        self.house, self.check = house, check
        self.refused, self.lock = collections.Counter(), threading.Lock()
        admin = house.admin()
        for tenant in ("acme", "beta"):
            assert admin.create_tenant(tenant).ok and admin.create_key(tenant, "pay").ok
        assert admin.create_key("acme", "off").ok
        data = house.data()
        self.off, self.off_wrapped = data.encrypt("acme", "off", b"x")[1], data.issue("acme", "off")[1]
        assert admin.act("DisableKey", "acme", "off").ok
        self.envelope = data.encrypt("acme", "pay", b"4111", CONTEXT)[1]
        self.foreign = data.encrypt("beta", "pay", b"4111", CONTEXT)[1]
        admin.close()
        data.close()

    def count(self, reason):
        with self.lock:
            self.refused[reason] += 1

    def caller(self, **options):
        return Caller(self, **options)

    def answers(self):
        connection = self.house.data()
        right = connection.decrypt("acme", self.envelope, CONTEXT)[1] == b"4111"
        connection.close()
        return right

    def noted(self):
        """{reason: how often} of the log's aggregated refusals."""
        found = collections.Counter()
        for entry in self.house.entries():
            if entry["class"] == "aggregate":
                assert entry["operation"] == "refusals" and entry["outcome"] == "denied"
                found[entry["reason"]] += int(entry["details"]["count"])
        return dict(found)


def resident_kilobytes(house):
    with open("/proc/%d/status" % house.process.pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def every_row(scene):
    for row in (frames, half_closed, other_protocols, messages, contexts, names, plaintexts, ciphertexts, keys, wrong_doors,
                descriptors, batches):
        row(scene)
        scene.check(scene.answers(), "after %s the service answers" % row.__name__)


def request(service, method, payload, more=b""):
    return field(1, service) + field(2, method) + field(3, payload) + more


def frames(scene):
    check, caller = scene.check, scene.caller()
    caller.frame(b"")
    check(caller.receive().code == "NOT_FOUND", "row 1: an empty message is legal, and calls no method")
    caller.frame(request(DATA, "Encrypt", b""), stream=3)
    check(caller.receive().code == "INVALID_REQUEST", "row 1: an empty Encrypt")
    caller.frame(b"\xff" * 7, stream=5)
    reply = caller.receive()
    check(reply.code == "INVALID_REQUEST" and reply.stream == 5, "row 1: what is no ttrpc request")
    caller.frame(request(DATA, "Encrypt", b""), stream=2)
    check(caller.receive().code == "INVALID_REQUEST", "row 1: a stream of the server's")
    streams(scene)
    for kind in (0, 2, 3, 99):
        caller.frame(b"whatever", kind=kind)
        scene.count("malformed")
    caller.stream = 5
    check(caller.decrypt("acme", scene.envelope, CONTEXT).ok, "row 5: frames of other kinds are passed over")
    whole = request(DATA, "Decrypt", Data.message("acme", None, scene.envelope, CONTEXT))
    padding = MESSAGE_BYTES_MAX - len(whole) - 5
    caller.frame(whole + field(5, field(2, bytes(padding - 5))), stream=9)
    check(caller.receive()[1] == b"4111", "row 3: a message of 4 MiB is taken")
    caller.frame(b"\0" * 100, stream=11, length=MESSAGE_BYTES_MAX + 1)
    reply = caller.receive()
    check(reply.code == "LIMIT_EXCEEDED" and reply.stream == 11 and "4194304" in reply.sentence, "row 3: one byte more")
    check(caller.is_closed(), "row 3: and hangs up, its body unread")
    before = resident_kilobytes(scene.house)
    for _ in range(20):
        caller = scene.caller()
        caller.frame(b"", stream=11, length=0xFFFFFFFF)
        try:
            reply = caller.receive()
            check(reply.code == "LIMIT_EXCEEDED" and reply.stream == 11, "row 2: a length of 0xFFFFFFFF is told the limit")
        except EOFError:
            check(False, "row 2: a length of 0xFFFFFFFF is hung up on without a word")
        check(caller.is_closed(), "row 2: and it is hung up on")
    check(resident_kilobytes(scene.house) < before + 4096, "row 2: nothing is allocated for it")


def streams(scene):
    """As in ttrpc's own servers, numbers of streams only grow; and a request has each of its fields once."""
    check, caller = scene.check, scene.caller()
    whole = request(DATA, "Decrypt", Data.message("acme", None, scene.envelope, CONTEXT))
    for stream, right in ((1, True), (1, False), (7, True), (5, False), (7, False), (9, True), (0xFFFFFFFF, True), (11, False)):
        caller.frame(whole, stream=stream)
        reply = caller.receive()
        check(reply.stream == stream and reply.code == (None if right else "INVALID_REQUEST"), "row 1: stream %d" % stream)
        check(right or "above those" in reply.sentence and len(reply.request_id) == 16, "row 1: stream %d: why" % stream)
    caller = scene.caller()
    for more, what in ((field(1, DATA), "Field 1 is given twice"), (field(3, b""), "Field 3 is given twice"),
                       (field(6, b"x"), "Field 6 is not accepted"), (field(99, 1), "Field 99 is not accepted")):
        caller.frame(whole + more, stream=1)
        reply = caller.receive()
        check(reply.code == "INVALID_REQUEST" and what in reply.sentence, "row 1: the frame's message: %s" % what)
        caller = scene.caller()
    caller.frame(whole + field(5, b"\0"))
    check(caller.receive().code == "INVALID_REQUEST", "row 1: the frame's message: metadata that is none")
    caller = scene.caller()
    caller.frame(whole + field(5, b"") + field(5, b""))
    check(caller.receive()[1] == b"4111", "the control did not fail: metadata is passed over, and may come again")


def half_closed(scene):
    """Who has said all and reads on gets all replies, and is hung up on after the last."""
    message = Data.message("acme", "pay", b"x")
    large = Data.message("acme", None, scene.caller().encrypt("acme", "pay", os.urandom(100_000), CONTEXT)[1], CONTEXT)
    for method, body, count in (("Encrypt", message, 1), ("Encrypt", message, 2000), ("Decrypt", large, 40)):
        caller, got = scene.caller(), 0

        def send():
            for _ in range(count):
                caller.send(DATA, method, body)
            caller.socket.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        try:
            while got < count:
                got += caller.receive().ok
        except OSError:
            pass
        except EOFError:
            pass
        sender.join()
        scene.check(got == count, "half closed: %d of %d replies" % (got, count))
        scene.check(got < count or caller.is_closed(), "half closed: and then it is hung up on")
    for beginning in (b"", b"\0\0\0", b"\0\0\0\x20\0\0\0\1\1\0abc"):
        caller = scene.caller(timeout=3)
        caller.send_raw(beginning)
        caller.socket.shutdown(socket.SHUT_WR)
        scene.check(caller.is_closed(), "half closed: within %d bytes of a frame" % len(beginning))


def other_protocols(scene):
    caller = scene.caller()
    caller.send_raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    scene.count("malformed")
    answer = b""
    try:
        while part := caller.socket.recv(4096):
            answer += part
    except ConnectionResetError:
        pass
    scene.check(answer.startswith(b"HTTP/1.1 400 ") and b"ttrpc" in answer, "row 4: HTTP is told what this is")
    for hello in (bytes.fromhex("16030100c8010000c40303") + bytes(200), b"\x16", b"\x80\x2e\x01\0\2\0\x15\0\0\0\x10", b"PRI * HTTP/2.0\r\n"):
        caller = scene.caller()
        caller.send_raw(hello)
        scene.count("malformed")
        if not hello.startswith(b"PRI"):
            scene.check(caller.is_closed(), "row 4: TLS is hung up on")


def messages(scene):
    caller = scene.caller()
    good = Data.message("acme", "pay", b"text", CONTEXT)

    def refused(what, message, code="INVALID_REQUEST", method="Encrypt"):
        reply = caller.call(DATA, method, message)
        scene.check(reply.code == code and reply.receipt is None, "%s: %s" % (what, reply.code or "accepted"))
        return reply

    for tail in (b"\0", b"\x0a", b"\xff", b"\x3a\x01x", good):
        refused("row 12: bytes after a message", good + tail)
    for cut in range(1, 12):
        refused("row 12: a message that is cut", good[:-cut])
    refused("row 13: tenant twice", good + field(1, "acme"))
    refused("row 13: key twice", good + field(2, "pay"))
    refused("row 13: plaintext twice", good + field(3, b"text"))
    refused("row 13: attribution twice", good + field(8, field(2, "x")) * 2)
    refused("row 13: a context key twice", good + field(4, field(1, "table") + field(2, "other")))
    refused("row 13: a context key twice, with the same value", good + field(4, field(1, "table") + field(2, "cards")))
    refused("row 13: a key within a pair twice", good + field(4, field(1, "a") + field(1, "b") + field(2, "c")))
    refused("row 18: a context that is not UTF-8", good + field(4, field(1, b"a\xff") + field(2, "c")))
    refused("row 18: a value that is not UTF-8", good + field(4, field(1, b"a") + field(2, b"\xed\xa0\x80")))
    refused("row 18: an actor that is not UTF-8", good + field(8, field(2, b"\xc0\x80")))
    for number in (5, 6, 7, 9, 15, 100, 536_870_911):
        reply = refused("row 21: bytes for a nonce or a key", good + field(number, os.urandom(24)))
        scene.check("not accepted" in reply.sentence, "row 21: says so")
    refused("row 21: a group", good + b"\x4b\x4c")
    refused("row 12: a number where bytes belong", field(1, 7) + field(2, "pay"))
    refused("row 12: a varint of 11 bytes", b"\x80" * 10 + b"\x01")
    refused("row 21: a request id of 15 bytes", good + field(8, field(1, bytes(15))))
    refused("a request id of zeros, which stand for none", good + field(8, field(1, bytes(16))))
    admin = scene.caller(path=scene.house.admin_path)
    reply = admin.call(ADMIN, "Status", field(8, field(1, bytes(16))))
    scene.check(reply.code == "INVALID_REQUEST", "a request id of zeros on the admin door: %s" % (reply.code or "accepted"))
    admin.close()
    refused("row 14: an actor of 257 bytes", good + field(8, field(2, "x" * 257)), "LIMIT_EXCEEDED")


def contexts(scene):
    caller = scene.caller()

    def code(context, pairs=b""):
        return caller.call(DATA, "Encrypt", Data.message("acme", "pay", b"x", context) + pairs).code

    many = {"k%d" % n: "v" for n in range(16)}
    scene.check(code(many) is None, "row 14: 16 pairs")
    scene.check(code({**many, "k": "v"}) == "LIMIT_EXCEEDED", "row 14: 17 pairs")
    scene.check(code({"k%d" % n: "v" for n in range(10_000)}) == "LIMIT_EXCEEDED", "row 14: 10,000 pairs")
    scene.check(code({"k": "v" * 1024, "k" * 64: ""}) is None, "row 14: the longest key and value")
    scene.check(code({"k": "v" * 1025}) == "LIMIT_EXCEEDED", "row 14: a value of 1,025 bytes")
    scene.check(code({"k": "v" * (1 << 20)}) == "LIMIT_EXCEEDED", "row 14: a value of 1 MiB")
    scene.check(code({"k" * 65: "v"}) == "LIMIT_EXCEEDED", "row 14: a key of 65 bytes")
    scene.check(code({"": "v"}) == "LIMIT_EXCEEDED", "row 14: an empty key")
    nested = b""
    for _ in range(100):
        nested = field(4, nested)
    scene.check(code(None, nested) == "INVALID_REQUEST", "row 14: 100 levels")
    caller.close()


def names(scene):
    caller = scene.caller()
    bad = ["", "a\0", "../acme", "acme\n", "acme%00", "ac'me", "acme\U0001F511", "\u202eacme", "Acme", "caf\u00e9", "cafe\u0301",
           "-acme", ".acme", "_service", "a" * 65, "a" + "\u0301" * 100_000, b"\xff\xfe", b"ac\xc3", "acme ", " acme", "a/b"]
    row = {"Acme": 16, "caf\u00e9": 16, "cafe\u0301": 16, "a" + "\u0301" * 100_000: 17, b"\xff\xfe": 18, b"ac\xc3": 18}
    for name in bad:
        for tenant, key in ((name, "pay"), ("acme", name)):
            reply = caller.encrypt(tenant, key, b"x")
            what = "row %d: the name %.20r" % (row.get(name, 15), name)
            scene.check(reply.code == "INVALID_REQUEST" and reply.receipt is None, "%s: %s" % (what, reply.code))
            text = name if isinstance(name, str) else "\ufffd"
            scene.check(len(text) < 5 or text not in reply.sentence, what + " is not in the answer")
        scene.check(caller.decrypt(name, scene.envelope, CONTEXT).code == "INVALID_REQUEST", "row 15: decrypt")
    caller.close()


def plaintexts(scene):
    caller = scene.caller()
    empty = caller.encrypt("acme", "pay", b"")
    scene.check(len(empty[1]) == 96 and caller.decrypt("acme", empty[1]).ok, "row 19: an empty plaintext")
    text = os.urandom(PLAINTEXT_BYTES_MAX)
    sealed = caller.encrypt("acme", "pay", text)
    scene.check(caller.decrypt("acme", sealed[1])[1] == text, "row 20: exactly the limit")
    reply = caller.encrypt("acme", "pay", text + b"x")
    scene.check(reply.code == "LIMIT_EXCEEDED" and "1048576" in reply.sentence, "row 20: one byte more")
    scene.check(not reply.receipt, "row 20: which is counted, and has no entry of its own")
    scene.check(caller.decrypt("acme", sealed[1] + b"x").code == "LIMIT_EXCEEDED", "row 20: an envelope of one more")
    caller.close()


def ciphertexts(scene):
    caller, envelope, check = scene.caller(), scene.envelope, scene.check
    seen = {}

    def look(row, tenant, body, context):
        reply = caller.decrypt(tenant, body, context)
        check(reply.code == "DECRYPTION_FAILED" and reply.receipt, "row %d: %s" % (row, reply.code or "opened"))
        seen.setdefault(masking.masked(reply), []).append(row)

    for at in range(len(envelope)):
        look(22, "acme", envelope[:at] + bytes([envelope[at] ^ 1 << at % 8]) + envelope[at + 1:], CONTEXT)
    for count in (4, 1, len(envelope), len(envelope) - 1):
        look(23, "acme", envelope[:-count], CONTEXT)
    look(23, "acme", envelope + b"\0", CONTEXT)
    look(24, "acme", scene.foreign, CONTEXT)
    look(24, "beta", envelope, CONTEXT)
    look(24, "nobody", envelope, CONTEXT)
    for context in (None, {"table": "card"}, {"Table": "cards"}, {**CONTEXT, "row": "1"}):
        look(25, "acme", envelope, context)
    look(27, "acme", scene.off, None)
    for suite in (0, 3, 4, 255):
        look(28, "acme", envelope[:3] + bytes([suite]) + envelope[4:], CONTEXT)
    check(len(seen) == 1, "rows 22 to 28: %d different answers: %s" % (len(seen), list(seen.values())[1:]))
    caller.close()


def keys(scene):
    caller = scene.caller()
    scene.check(caller.encrypt("acme", "off", b"x").code == "KEY_DISABLED", "row 27: a key that is disabled")
    results = [dict(fields(one)) for one in caller.encrypt_batch("acme", "off", [(b"x", None)] * 2).all(1)]
    scene.check([one.get(2) for one in results] == [b"KEY_DISABLED"] * 2, "row 27: in a batch: %s" % results)
    scene.check(caller.issue("acme", "off").code == "KEY_DISABLED", "row 27: no data key is issued")
    for reply in (caller.unwrap("acme", scene.off_wrapped), caller.rewrap("acme", scene.off),
                  caller.rewrap("acme", wrapped=scene.off_wrapped)):
        scene.check(reply.code == "DECRYPTION_FAILED", "row 27: what it sealed does not open: %s" % reply.code)
    waiting = 0
    for number in range(1000):
        caller.send(DATA, "Encrypt", Data.message("acme", "guess%d" % number, b"x"))
        waiting += 1
    replies = [caller.receive() for _ in range(waiting)]
    scene.check(all(one.code == "NOT_FOUND" and one.receipt for one in replies), "row 30: guessed names, an entry each")
    scene.check(len({masking.masked(one) for one in replies}) == 1, "row 30: one answer for all of them")
    caller.close()


def wrong_doors(scene):
    caller = scene.caller()
    for method in ("Status", "CreateTenant", "RotateKey", "DisableKey"):
        reply = caller.call(ADMIN, method, field(1, "acme") + field(2, "pay"))
        scene.check(reply.code == "NOT_FOUND" and not reply.receipt, "row 32: %s on the data door" % method)
    caller.close()
    caller = scene.caller(path=scene.house.admin_path)
    scene.check(caller.call(DATA, "Decrypt", b"").code == "NOT_FOUND", "row 32: Decrypt on the admin door")
    caller.close()


def descriptors(scene):
    caller = scene.caller()
    payload = request(DATA, "Decrypt", Data.message("acme", None, scene.envelope, CONTEXT))
    path = os.path.join(scene.house.place, "attached")
    with open(path, "w") as file:
        for number in range(50):
            frame = struct.pack(">IIBB", len(payload), 2 * number + 1, 1, 0) + payload
            attached = array.array("i", [file.fileno()] * 4)
            caller.socket.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, attached)])
            scene.check(caller.receive()[1] == b"4111", "row 33: descriptors that come along are ignored")
    held = open_files(scene.house)
    scene.check(held is None or path not in held, "row 33: and none of them is kept")
    scene.check(held is None or os.path.join(scene.house.log, "lock") in held, "the control did not fail: its lock")
    caller.close()


def open_files(house):
    """What the service has open; None where only root may look."""
    directory, found = "/proc/%d/fd" % house.process.pid, []
    try:
        for name in os.listdir(directory):
            try:
                found.append(os.readlink(os.path.join(directory, name)))
            except FileNotFoundError:
                pass  # closed meanwhile
    except PermissionError:
        return None
    return found


def batches(scene):
    caller = scene.caller()
    reply = caller.encrypt_batch("acme", "pay", [(b"x", None)] * 1025)
    scene.check(reply.code in ("LIMIT_EXCEEDED", "INVALID_REQUEST"), "row 57: 1,025 items: %s" % reply.code)
    reply = caller.encrypt_batch("acme", "pay", [(b"x", None)] * 10_000)
    scene.check(reply.code in ("LIMIT_EXCEEDED", "INVALID_REQUEST"), "row 57: 10,000 items: %s" % reply.code)
    scene.check(caller.encrypt_batch("acme", "pay", []).code in ("LIMIT_EXCEEDED", "INVALID_REQUEST"), "row 57: none")
    items = [(scene.envelope, CONTEXT)] * 9 + [(scene.foreign, CONTEXT)]
    results = [dict(fields(one)) for one in caller.decrypt_batch("acme", items).all(1)]
    scene.check([one.get(1) for one in results] == [b"4111"] * 9 + [None], "row 57: one bad item fails alone")
    scene.check(results[-1].get(2) == b"DECRYPTION_FAILED", "row 57: and says so")
    half = os.urandom(PLAINTEXT_BYTES_MAX // 2)
    scene.check(caller.encrypt_batch("acme", "pay", [(half, None), (half, None)]).ok, "row 57: together the limit")
    reply = caller.encrypt_batch("acme", "pay", [(half, None), (half + b"x", None)])
    scene.check(reply.code == "LIMIT_EXCEEDED" and not reply.receipt, "row 57: together one byte more")
    caller.close()
