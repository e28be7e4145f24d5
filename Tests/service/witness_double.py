"""An outside witness for tests: C2SP tlog-witness and tlog-cosignature, strictly, over HTTP or TLS on this machine.

It shares nothing with the service or its commands but the formats. `answer` may be set to a function that answers in
its place, to be a bad one.
"""
import datetime
import http.server
import ipaddress
import os
import re
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../Vectors"))
import cosigned  # noqa: E402
import evidence  # noqa: E402

SIZE_TYPE = "text/x.tlog.size"


class Refusal(Exception):
    """Status, body, content type."""


class Witness:
    """`keys`: public keys of logs, as texts. `with` starts and ends it."""

    def __init__(self, name, keys=(), tls=None, strict=True):
        self.name, self.seed, self.strict = name, evidence.sha256(name.encode()), strict
        self.logs = {key[0]: key for key in map(evidence.parse_key, keys)}
        self.heads, self.asked, self.answer, self.lock = {}, [], None, threading.Lock()
        self.clock = lambda: int(time.time())
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # who hangs up, or has no TLS, is no fault of the witness
        self.scheme, self.host = "http", "127.0.0.1"
        if tls:
            self.scheme = "https"
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def key(self):
        return cosigned.key_text(self.name, cosigned.public(self.seed))

    @property
    def url(self):
        return "%s://%s:%d/submit/" % (self.scheme, self.host, self.server.server_address[1])

    def line(self, label, address=True):
        """Of a policy."""
        return "witness %s %s%s\n" % (label, self.key, " " + self.url if address else "")

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def handler(witness):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.send_error(405)

            def do_POST(self):
                count = int(self.headers["Content-Length"])
                body = self.rfile.read(count)
                if witness.answer:
                    return witness.answer(self, body)
                if self.path != "/submit/add-checkpoint" or self.headers["Transfer-Encoding"]:
                    return witness.reply(self, 400, b"not here")
                try:
                    witness.reply(self, 200, witness.add_checkpoint(body))
                except Refusal as refusal:
                    witness.reply(self, *refusal.args)

        return Handler

    def reply(self, handler, status, body=b"", kind="text/plain"):
        self.asked.append(status)
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def add_checkpoint(self, body):
        """The cosignature, or a refusal, as the specification has it."""
        blank = body.find(b"\n\n")
        if blank < 0:
            raise Refusal(400, b"no empty line")
        lines, note = body[:blank].split(b"\n"), body[blank + 2:]
        if not re.fullmatch(rb"old (0|[1-9][0-9]{0,19})", lines[0]) or len(lines) > 64:
            raise Refusal(400, b"old size")
        old = int(lines[0][4:])
        try:
            proof = [evidence.unbase64(line) for line in lines[1:]]
            origin, size, root = evidence.parse_checkpoint(evidence.parse_note(note)[0])
        except evidence.Verdict as found:
            raise Refusal(400, str(found).encode())
        if any(len(one) != 32 for one in proof):
            raise Refusal(400, b"hash")
        if origin not in self.logs:
            raise Refusal(404)
        try:
            evidence.open_head(note, self.logs[origin])
        except evidence.Verdict:
            raise Refusal(403)
        with self.lock:
            return self.cosign(old, proof, origin, size, root, evidence.parse_note(note)[0])

    def cosign(self, old, proof, origin, size, root, text):
        if old > size:
            raise Refusal(400, b"old size beyond size")
        known, known_root = self.heads.get(origin, (0, evidence.sha256()))
        if self.strict:
            if old != known or old == size and root != known_root:
                raise Refusal(409, b"%d\n" % known, SIZE_TYPE)
            if (old == 0 and proof) or not (old == 0 or evidence.consistent(old, known_root, size, root, proof)):
                raise Refusal(422)
        self.heads[origin] = (size, root)
        return cosigned.cosign(self.name, self.seed, text, self.clock())


# ---- certificates for TLS

def authority(directory, label):
    """(certificate, key) of a new authority; its certificate is in `directory/label.pem`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = certify(label, key.public_key(), label, key, is_authority=True)
    with open(os.path.join(directory, label + ".pem"), "wb") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def certify(subject, public, issuer, key, is_authority=False, names=(), days=1):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID
    now = datetime.datetime.now(datetime.timezone.utc)

    def name(text): return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public)
    builder = builder.serial_number(x509.random_serial_number()).add_extension(
        x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    builder = builder.not_valid_before(now - datetime.timedelta(days=2)).not_valid_after(now + datetime.timedelta(days=days))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def context(directory, authority_, label, names, days=1):
    """A server's TLS with a certificate for these names: texts, or addresses."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    certificate, key = authority_
    own = ec.generate_private_key(ec.SECP256R1())
    alternatives = [x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
    issuer = certificate.subject.rfc4514_string()[3:]
    signed = certify(label, own.public_key(), issuer, key, names=alternatives, days=days)
    path = os.path.join(directory, label + ".both")
    with open(path, "wb") as file:
        file.write(own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        file.write(signed.public_bytes(serialization.Encoding.PEM))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    return tls
