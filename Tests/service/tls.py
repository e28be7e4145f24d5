#!/usr/bin/env python3
"""Both doors on TCP with TLS 1.3: who is let in and who is not, what the log says of them, certificates replaced and
revoked while it runs, and callers that are slow, silent or speak something else. openssl(1) is the stranger's client.
"""
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

from certified import PATIENCE, Authority, CertifiedHouse, Sealed, pem
from house import Checks, binary
from masking import masked
from transit import post
from wire import DATA, Data, field

BILLING, REPORTS, STRANGER = "spiffe://acme.example/billing", "reports.acme.example", "spiffe://acme.example/stranger"
POLICY = """version: 1
allow-combined-roles: true
rules:
  - {name: here, role: application, principals: ["uid:%d"], tenants: ["*"], keys: ["*"], operations: ["*"]}
  - {name: ops, role: operator, principals: ["uid:%d"], operations: ["*"]}
  - {name: billing, role: application, principals: ["%s"], tenants: ["acme"], keys: ["*"], operations: ["*"]}
  - {name: reports, role: application, principals: ["dns:%s"], tenants: ["beta"], keys: ["*"], operations: ["*"]}
""" % (os.getuid(), os.getuid(), BILLING, REPORTS)


def main():
    check = Checks()
    with CertifiedHouse(start=False) as house:
        with open(house.path("policy.yaml"), "w") as policy:
            policy.write(POLICY)
        house.start()
        with house.admin() as admin:
            for tenant in ("acme", "beta"):
                assert admin.create_tenant(tenant).ok and admin.create_key(tenant, "k").ok
        house.billing = house.clients.issue(spiffe=[BILLING])
        house.reports = house.clients.issue(dns=[REPORTS])
        slow = [threading.Thread(target=check.part, args=(one, house)) for one in (silent, unread)]
        for thread in slow:
            thread.start()
        for part in (who_it_is, nobodys_rule, shut_out, strangers_client, foreign, pieces, large, half_closed, keepalive):
            check.part(part, house)
        for thread in slow:
            thread.join()
        for part in (revoked, renewed, refused_files, other_clients, ends_with_its_certificate, told):
            check.part(part, house)
        check(house.verify() == 0, "the log verifies")
        check(house.stop() == 0, "the service stops")
    check.part(no_start)
    return check.finish()


# Who it is

def who_it_is(house, check):
    both = house.clients.issue(spiffe=[STRANGER], dns=[REPORTS, "other.example"], common="spiffe://acme.example/billing")
    made = {}
    for name, client, tenant in ((BILLING, house.billing, "acme"), ("dns:" + REPORTS, both, "beta")):
        with_tls, web = house.sealed(client), house.web(client)
        sealed = with_tls.encrypt(tenant, "k", b"4111", {"table": "cards"})
        check(sealed.ok and sealed.sequence is not None, "sealed, with a receipt: %s" % sealed.sentence)
        check(with_tls.decrypt(tenant, sealed[1], {"table": "cards"})[1] == b"4111", "it opens")
        with house.data() as here:
            check(here.decrypt(tenant, sealed[1], {"table": "cards"})[1] == b"4111", "on this machine too")
        text = web.encrypt(tenant, "k", b"4112")
        check(text.status == 200 and text.receipt, "the HTTP door: %d %s" % (text.status, text.json))
        check(web.decrypt(tenant, "k", text.data["ciphertext"]).data == {"plaintext": "NDExMg=="}, "it opens there")
        self_told = web.call("GET", "auth/token/lookup-self").data
        check((self_told["display_name"], self_told["path"]) == (name, "auth/cert"), "who am I: %s" % self_told)
        made[name] = (sealed.sequence, int(text.receipt[2]), with_tls.socket.getsockname(), web.sock.getsockname())
        with_tls.close()
        web.close()
    entries = {one["sequence"]: one for one in house.entries()}
    for name, (data, http, data_place, http_place) in made.items():
        for sequence, door, place in ((data, "data", data_place), (http, "http", http_place)):
            entry = entries[sequence]
            said = {part: entry.get(part) for part in ("principal", "principalKind", "door", "source", "operation")}
            check(said == {"principal": name, "principalKind": "certificate", "door": door, "operation": "encrypt",
                           "source": "%s:%d" % place[:2]}, "the entry: %s" % said)


def nobodys_rule(house, check):
    """Verified, and no rule is about it: it gets what anybody gets who asks for what is not there."""
    stranger, known = house.sealed(house.clients.issue(spiffe=[STRANGER])), house.sealed(house.billing)
    asked = [stranger.encrypt("acme", "k", b"x"), known.encrypt("beta", "k", b"x"), known.encrypt("none", "k", b"x"),
             known.encrypt("acme", "none", b"x")]
    check({masked(one) for one in asked} == {masked(asked[0])} and asked[0].code == "NOT_FOUND", "one answer: %s"
          % [one.code for one in asked])
    check(known.encrypt("acme", "k", b"x").ok, "the control: the right one is served")
    web, other = house.web(house.clients.issue(dns=["other.example"])), house.web(house.billing)
    asked = [web.encrypt("acme", "k", b"x"), other.encrypt("beta", "k", b"x"), other.encrypt("none", "k", b"x")]
    check({(one.status, one.code, str(one.errors)) for one in asked} == {(404, "NOT_FOUND", str(asked[0].errors))},
          "one answer at the HTTP door: %s" % [one.json for one in asked])
    check(other.encrypt("acme", "k", b"x").status == 200, "the control there")
    for one in (stranger, known, web, other):
        one.close()


def outcome(house, client, port=0):
    """"in", or what TLS says to this client."""
    try:
        with house.connect(client, port) as one:
            one.sendall(b"")
            if port == 0:
                caller = Data.__new__(Data)
                caller.socket, caller.stream, caller.waiting = one, -1, b""
                return "in" if caller.call(DATA, "GetHead", b"") else "?"
            one.sendall(b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n")
            return "in" if one.recv(12) == b"HTTP/1.1 200" else "?"
    except ssl.SSLError as error:
        return error.reason or str(error)
    except (ConnectionError, EOFError) as error:
        return "closed: %r" % error


def first_word(house, client, port=0):
    """What is read of a connection on which nothing was sent: an alert, or the end."""
    try:
        with house.connect(client, port) as one:
            return one.recv(1) or "closed"
    except ssl.SSLError as error:
        return error.reason or str(error)
    except ConnectionError as error:
        return "closed: %r" % error
    except TimeoutError:
        return "let in"


def shut_out(house, check):
    elsewhere, below = Authority("clients"), Authority("between", above=house.clients)
    gone = house.clients.issue(spiffe=[BILLING])
    assert house.revoke(gone[0])
    # What TLS says: RFC 8446 §6.2.
    cases = {
        "no certificate": (None, "CERTIFICATE_REQUIRED"),
        "a CA of the same name": (elsewhere.issue(spiffe=[BILLING]), "UNKNOWN_CA", "BAD_SIGNATURE", "DECRYPT_ERROR"),
        "ended": (house.clients.issue(spiffe=[BILLING], starts=-7200, ends=-3600), "EXPIRED"),
        "not begun": (house.clients.issue(spiffe=[BILLING], starts=3600), "CERTIFICATE", "EXPIRED"),
        "revoked": (gone, "REVOKED"),
        "for servers": (house.clients.issue(spiffe=[BILLING], use=ssl_server_use()), "UNSUPPORTED_CERTIFICATE"),
        "a common name alone": (house.clients.issue(common=BILLING), "HANDSHAKE_FAILURE"),
        "names that say nobody": (house.clients.issue(
            spiffe=["https://acme.example/billing", "spiffe://acme.example/"], dns=["*.acme.example"]), "HANDSHAKE_FAILURE"),
        "too many names": (house.clients.issue(dns=["h%d.example" % n for n in range(17)]), "HANDSHAKE_FAILURE")}
    for port, door in ((0, "data"), (1, "HTTP")):
        for what, (client, *words) in cases.items():
            said = str(first_word(house, client, port))
            check(any(word in said for word in words), "%s door, %s: %s" % (door, what, said))
            check(outcome(house, client, port) != "in", "%s door, %s, that asks all the same" % (door, what))
        check(outcome(house, house.billing, port) == "in", "%s door, the control: the right one is let in" % door)
        check(outcome(house, below.issue(spiffe=[BILLING]), port) == "in", "%s door: a CA between" % door)
        many = house.clients.issue(dns=["h%d.example" % n for n in range(16)])
        check(outcome(house, many, port) == "in", "%s door, the control: as many names as there may be" % door)
    assert house.revoke()
    check(outcome(house, gone) == "in", "the control: who is not on the list any more is let in")
    refusals = [one for one in house.entries("--operation", "refusals") if one.get("principalKind") == "certificate"]
    check(refusals and all(not one.get("principal") and one["source"].startswith("127.0.0.") for one in refusals),
          "refused handshakes are in the log, without a name: %s" % refusals[:1])


def ssl_server_use():
    from cryptography.x509.oid import ExtendedKeyUsageOID
    return ExtendedKeyUsageOID.SERVER_AUTH


def strangers_client(house, check):
    """openssl(1): TLS 1.3 and nothing older, no resumption, no early data."""
    house.credentials(house.billing, "stranger.pem")
    mine = ["-cert", house.path("tls/stranger.pem"), "-key", house.path("tls/stranger.pem")]

    def s_client(*options, client=mine, port=0, waits=False):
        ran = subprocess.Popen(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % house.ports[port], "-servername", "localhost",
             "-CAfile", house.path("tls/servers.pem"), "-verify_return_error", *client, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if waits:  # for what the service says to it: at the end of its input it would go
            ran.wait(PATIENCE)
        return ran.communicate(b"", PATIENCE)[0].decode(errors="replace")

    for port in (0, 1):
        good = s_client(port=port)
        check("New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384" in good and "Verification: OK" in good, "the control: " + good[-400:])
        check("Secure Renegotiation IS NOT supported" in good and "Compression: NONE" in good and "Server Temp Key: X25519" in good, "no renegotiation, no compression, a fresh key")
        for old in ("-tls1_2", "-tls1_1"):
            said = s_client(old, "-cipher", "ALL:@SECLEVEL=0", port=port)
            check("New, TLSv1.3" not in said and "alert protocol version" in said, "%s: %s" % (old, said[-300:]))
    for suite in ("TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"):
        check("Cipher is " + suite in s_client("-ciphersuites", suite), suite)
    check("handshake failure" in s_client("-ciphersuites", "TLS_AES_128_CCM_SHA256"), "another suite")
    check("Server Temp Key: ECDH" in s_client("-groups", "P-256"), "P-256")
    check("handshake failure" in s_client("-groups", "P-384"), "another group")
    with house.sealed(house.billing) as caller:  # what TLS says besides comes before a reply
        check(caller.encrypt("acme", "k", b"x").ok and not caller.socket.session.has_ticket, "no ticket to come again by")
    check("certificate required" in s_client(client=[], waits=True), "no certificate")


# What is no client

def foreign(house, check):
    frame = b"\0\0\0\4\0\0\0\1\1\0abcd"
    for what, sent in {"HTTP": post("sys/health", b""), "a frame": frame, "noise": os.urandom(4096), "zeros": bytes(70000),
                       "an old client": b"\x80\x2e\1\0\2" + bytes(40)}.items():
        for port in (0, 1):
            with socket.create_connection(("127.0.0.1", house.ports[port]), timeout=PATIENCE) as one:
                said = b""
                try:
                    one.sendall(sent)
                    one.shutdown(socket.SHUT_WR)
                    while data := one.recv(4096):
                        said += data
                except ConnectionError:
                    pass
                check(len(said) <= 7 and said[:1] in (b"", b"\x15"), "%s: an alert at most: %s" % (what, said[:40]))
    check(outcome(house, house.billing) == "in" and outcome(house, house.billing, 1) == "in", "others are served")


def silent(house, check):
    """Who does not say who it is is let go; so many of them take no place from others, and nobody's beyond their bound."""
    first = Sealed(house, house.billing)
    there = {"timeout": PATIENCE, "source_address": ("127.0.0.2", 0)}
    held = [socket.create_connection(("127.0.0.1", house.ports[0]), **there) for _ in range(100)]
    for one in held[:10]:
        try:
            one.sendall(b"\x16\3\1\1\0\1\0\0")  # the beginning of a ClientHello
        except ConnectionError:
            pass
    check(first.encrypt("acme", "k", b"x").ok, "who is in is served")
    check(outcome(house, house.billing) == outcome(house, house.billing, 1) == "in", "others are let in")
    ended = 0
    for one in held:
        try:
            data = one.recv(16)
            check(len(data) <= 7, "nothing is said to it: %s" % data)
            ended += 1
        except ConnectionError:
            ended += 1
        one.close()
    check(ended == len(held), "all were let go")
    check(outcome(house, house.billing) == "in", "and the door is open again")
    check(first.encrypt("acme", "k", b"x").ok, "who is in stays")
    first.close()


def by_hand(house, client):
    """A handshake over memory: (socket, TLS, what goes out); the bytes are ours to send as we like."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = house.credentials(client).wrap_bio(incoming, outgoing, server_hostname="localhost")
    one = socket.create_connection(("127.0.0.1", house.ports[0]), timeout=PATIENCE)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            trickle(one, outgoing.read())
            data = one.recv(65536)
            assert data, "the service hung up in the handshake"
            incoming.write(data)
    trickle(one, outgoing.read())
    return one, tls, incoming, outgoing


def trickle(one, data, step=1):
    for at in range(0, len(data), step):
        one.sendall(data[at:at + step])


def read_frame(one, tls, incoming):
    said = b""
    while len(said) < 10 or len(said) < 10 + int.from_bytes(said[:4], "big"):
        try:
            more = tls.read(65536)
            if not more:
                return None
            said += more
        except ssl.SSLWantReadError:
            data = one.recv(65536)
            if not data:
                return None
            incoming.write(data)
        except ssl.SSLError as error:
            return error.reason
    return said


def frame_of(message, method="Encrypt", stream=1):
    request = field(1, DATA) + field(2, method) + field(3, message)
    return struct.pack(">IIBB", len(request), stream, 1, 0) + request


def pieces(house, check):
    frame = frame_of(Data.message("acme", "k", b"4111"))
    one, tls, incoming, outgoing = by_hand(house, house.billing)
    for part in (frame[:7], frame[7:40], frame[40:]):  # records that end in the middle of a header, and of a message
        tls.write(part)
    trickle(one, outgoing.read())
    check(isinstance(read_frame(one, tls, incoming), bytes), "byte by byte, three records: a reply")
    one.close()
    for spoilt in (False, True):
        one, tls, incoming, outgoing = by_hand(house, house.billing)
        tls.write(frame)
        record = bytearray(outgoing.read())
        record[20] ^= spoilt
        one.sendall(bytes(record))
        said = read_frame(one, tls, incoming)
        check(("BAD_RECORD_MAC" in str(said)) if spoilt else isinstance(said, bytes), "one bit changed, %s: %s" % (spoilt, said))
        one.close()
    one, tls, incoming, outgoing = by_hand(house, house.billing)
    tls.write(frame)
    one.sendall(outgoing.read()[:-1])  # a record without its end
    one.shutdown(socket.SHUT_WR)
    check(read_frame(one, tls, incoming) in (None, "UNEXPECTED_EOF_WHILE_READING"), "it is hung up on")
    source = "127.0.0.1:%d" % one.getsockname()[1]
    one.close()
    check(not [entry for entry in house.entries() if entry["source"] == source], "and nothing was done")


def large(house, check):
    text = os.urandom(1 << 20)
    with house.sealed(house.billing) as caller:
        sealed = caller.encrypt("acme", "k", text)
        check(sealed.ok and caller.decrypt("acme", sealed[1])[1] == text, "1 MiB")
        whole = caller.encrypt("acme", "k", bytes((4 << 20) - 100))
        check(whole.code == "LIMIT_EXCEEDED" and "plaintext" in whole.sentence, "a message of 4 MiB is read: %s" % whole.sentence)
        check(caller.encrypt("acme", "k", text).ok, "and the connection goes on")
        caller.send_raw(struct.pack(">IIBB", (4 << 20) + 1, 99, 1, 0))
        check(caller.receive().code == "LIMIT_EXCEEDED", "a larger one is refused by its head")
    web = house.web(house.billing)
    made = web.encrypt("acme", "k", text)
    opened = web.decrypt("acme", "k", made.data["ciphertext"])
    check(len(opened.data["plaintext"]) == -(-len(text) // 3) * 4, "1 MiB at the HTTP door")
    web.close()


def half_closed(house, check):
    """Whose last words were a whole request gets its answer, with TLS's goodbye before the end and without."""
    for says_goodbye in (True, False):
        one, tls, incoming, outgoing = by_hand(house, house.billing)
        tls.write(frame_of(Data.message("acme", "k", b"x")))
        if says_goodbye:
            try:
                tls.unwrap()
            except ssl.SSLWantReadError:
                pass
        one.sendall(outgoing.read())
        one.shutdown(socket.SHUT_WR)
        said = b""
        while data := one.recv(65536):
            said += data
        check(len(said) > 100, "an answer, goodbye %s: %d bytes" % (says_goodbye, len(said)))
        one.close()


def unread(house, check):
    """A client that never reads is let go, and keeps nobody else waiting."""
    with house.data() as here:
        envelope = here.encrypt("acme", "k", os.urandom(256 << 10))[1]
    lazy = Sealed(house, house.billing)
    lazy.socket.settimeout(PATIENCE)
    sent, is_ended = 0, False
    try:
        while sent < 4000:  # a GiB of replies
            lazy.send(DATA, "Decrypt", Data.message("acme", None, envelope))
            sent += 1
    except (ConnectionError, ssl.SSLError):
        is_ended = True
    check(is_ended and sent < 400, "nothing more is taken from it, then it is let go: %d" % sent)
    check(outcome(house, house.billing) == "in", "others are served")
    lazy.close()


def keepalive(house, check):
    """Whoever is gone without a word is found out: the kernel asks after 10 seconds of silence."""
    with house.sealed(house.billing):
        ports = "( sport = :%d or sport = :%d )" % tuple(house.ports)
        try:
            said = subprocess.run(["ss", "-tnoH", ports], capture_output=True, text=True).stdout
        except FileNotFoundError:
            return "skipped: no ss(8)"
        check("timer:(keepalive," in said, "a timer is set: " + said)


# While it runs

def is_ended(one):
    """Whether the other side hangs up on it."""
    try:
        return one.socket.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True
    except TimeoutError:
        return False


def revoked(house, check):
    ann, bob = house.clients.issue(spiffe=[BILLING]), house.clients.issue(spiffe=[BILLING])
    with house.sealed(ann) as first, house.sealed(bob) as second:
        web = house.web(ann)
        check(first.encrypt("acme", "k", b"x").ok and second.encrypt("acme", "k", b"x").ok, "both are in")
        check(web.encrypt("acme", "k", b"x").status == 200, "at both doors")
        assert house.reload()
        check(first.encrypt("acme", "k", b"x").ok, "the control: a reload that revokes nobody closes nothing")
        assert house.revoke(ann[0])
        check(is_ended(first), "the connection of the revoked one is closed")
        try:
            check(web.sock.recv(1) == b"", "at the HTTP door too")
        except (ConnectionError, ssl.SSLError):
            pass
        check(second.encrypt("acme", "k", b"x").ok, "the other's stays")
        check("REVOKED" in str(first_word(house, ann)), "it does not get in again")
        check(outcome(house, bob) == "in", "the other does")
    between = Authority("between", above=house.clients)
    below = between.issue(spiffe=[BILLING])
    with house.sealed(below) as caller:
        check(caller.encrypt("acme", "k", b"x").ok, "below a CA between")
        assert house.revoke(between.certificate)
        check(is_ended(caller) and "REVOKED" in str(first_word(house, below)), "a CA between is revoked with all below it")
    assert house.revoke()


def serial(house):
    with house.connect(house.billing) as one:
        from cryptography import x509
        return x509.load_der_x509_certificate(one.getpeercert(True)).serial_number


def renewed(house, check):
    check(serial(house) == house.own.serial_number, "the first certificate")
    with house.sealed(house.billing) as old:
        check(old.encrypt("acme", "k", b"x").ok, "a connection from before")
        house.own = house.renew()
        check(serial(house) != house.own.serial_number, "nothing changes by itself")
        check(house.reload() and serial(house) == house.own.serial_number, "after the signal, the new one")
        check(old.encrypt("acme", "k", b"x").ok, "who is in stays in")


def refused_files(house, check):
    """A broken file: all old ones stay in force, together, and it is told."""
    good = {name: open(house.path("tls", name), "rb").read() for name in ("server.pem", "server.key", "clients.pem", "revoked")}
    key = pem_key = good["server.key"]
    other = house.servers.issue(dns=["localhost"])[2]
    broken = {
        "server.pem": (b"nothing\n", "no certificate"), "server.key": (other[other.index(b"-----BEGIN PRIVATE"):], "not that of the certificate"),
        "clients.pem": (pem_key, "no CA's certificate"), "revoked": (b"# one\nann\n", "line 2")}
    for name, (data, words) in broken.items():
        house.put(name, data, 0o600)
        fresh = house.clients.issue(spiffe=[BILLING])
        check(not house.reload() and words in house.printed().splitlines()[-1], "%s: %s" % (name, house.printed().splitlines()[-1]))
        check(serial(house) == house.own.serial_number and outcome(house, fresh) == "in", "%s: the old ones serve" % name)
        with house.admin() as admin:
            check(b"certificates in force" in admin.status().raw, "%s: status tells" % name)
        house.put(name, good[name], 0o600)
    house.put("server.key", key, 0o644)
    check(not house.reload() and "0644" in house.printed().splitlines()[-1], "a key that others may read")
    os.unlink(house.path("tls/server.key"))
    os.symlink(house.put("elsewhere.key", key, 0o600), house.path("tls/server.key"))
    check(not house.reload() and "symbolic link" in house.printed().splitlines()[-1], "a key that is a link")
    os.unlink(house.path("tls/server.key"))
    house.put("server.key", key, 0o600)
    check(house.reload(), "the control: as it was, it is taken")
    with house.admin() as admin:
        check(b"certificates in force" not in admin.status().raw, "and status is quiet again")


def other_clients(house, check):
    """Another CA's clients, from a reload on."""
    fresh = Authority("clients of tomorrow")
    theirs = fresh.issue(spiffe=[BILLING])
    check(outcome(house, theirs) != "in", "not before")
    house.put("clients.pem", pem(house.clients.certificate) + pem(fresh.certificate))
    check(house.reload() and outcome(house, theirs) == outcome(house, house.billing) == "in", "both")
    house.put("clients.pem", pem(fresh.certificate))
    check(house.reload() and outcome(house, theirs) == "in" and outcome(house, house.billing) != "in", "one")
    house.put("clients.pem", pem(house.clients.certificate))
    check(house.reload() and outcome(house, theirs) != "in" and outcome(house, house.billing) == "in", "as it was")


def ends_with_its_certificate(house, check):
    """A connection lasts no longer than the certificate that opened it."""
    for seconds in (3, 10, 30):
        brief = house.clients.issue(spiffe=[BILLING], ends=seconds)
        try:
            with house.sealed(brief) as caller:
                if not caller.encrypt("acme", "k", b"x").ok:
                    continue
                check(is_ended(caller), "it is ended")
                check("EXPIRED" in str(first_word(house, brief)), "and does not get in again")
                return
        except (ConnectionError, EOFError, ssl.SSLError):
            continue  # too slow to be let in: once more, with more time
    check(False, "a certificate of 30 seconds was good for a call")


def told(house, check):
    """What status says of the doors on TCP."""
    with house.admin() as admin:
        status = admin.status().raw
    for words in (b"data-tcp", b"http-tcp", b"127.0.0.1:%d" % house.ports[0], b"refused by TLS at data-tcp, last at 20"):
        check(words in status, "status says %s" % words)
    soon = house.renew(ends=5 * 86400 + 600)
    check(house.reload() and serial(house) == soon.serial_number, "a certificate for five days")
    with house.admin() as admin:
        check(b"The certificate of data-tcp ends in 5 days" in admin.status().raw, "which status warns of")


def no_start(check):
    """What a start refuses, and `--check` before it."""
    with CertifiedHouse(start=False) as house:
        plain = open(house.config).read()

        def checked(old="", new=""):
            from certified import LISTENERS
            with open(house.config, "w") as config:
                config.write(plain + (LISTENERS % (7443, 8200)).replace(old, new))
            ran = subprocess.run([binary("chatelained"), "--config", house.config, "--check", "--allow-root"], capture_output=True, text=True)
            return ran.returncode, ran.stdout + ran.stderr

        status, said = checked()
        check(status == 0 and "data-tcp 127.0.0.1:7443, its certificate ends in " in said, "the control: %d %s" % (status, said[-300:]))
        for (old, new), wanted, words in (
                (("127.0.0.1:7443", "localhost:7443"), 78, "no address"), ((", key: tls/server.key", ""), 78, "'data-tcp.tls.key' is missing"),
                (("server.pem", "none.pem"), 66, "cannot be read"), (("tls/server.key", "tls/none.key"), 66, "no such file"),
                (("client-ca: tls/clients.pem", "client-ca: tls/revoked"), 78, "no CA's certificate")):
            status, said = checked(old, new)
            check(status == wanted and words in said, "%s: %d %s" % (new, status, said[-300:]))
        os.chmod(house.path("tls"), 0o777)
        check(checked()[0] == 77, "a directory where others could put their own CA: %d" % checked()[0])


if __name__ == "__main__":
    raise SystemExit(main())
