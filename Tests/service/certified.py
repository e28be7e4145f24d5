"""A house with both doors on TCP, the certificates for it, and clients that show one."""
import datetime
import http.client
import os
import random
import signal
import socket
import ssl
import tempfile
import time
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from cryptography.x509.oid import NameOID

from house import House
from transit import SETTINGS, Answer, Transit
from wire import Data

LISTENERS = """data-tcp:
  listen: "127.0.0.1:%d"
  tls: &
http-tcp:
  listen: "127.0.0.1:%d"
  tls: &
""".replace("&", "{certificate: tls/server.pem, key: tls/server.key, client-ca: tls/clients.pem, revoked: tls/revoked}")
PATIENCE = 60


def subject(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def fingerprint(certificate):
    return certificate.fingerprint(hashes.SHA256()).hex()


class Authority:
    """A CA, and what it issues: `spiffe` and `dns` are lists of names."""

    def __init__(self, name="an authority", above=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name, self.above = subject(name), above
        issuer = above or self
        self.certificate = self._build(self.name, self.key, issuer).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(issuer.key, hashes.SHA256())

    @staticmethod
    def _build(name, key, issuer, starts=-3600, ends=86400):
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        return (x509.CertificateBuilder().subject_name(name).issuer_name(issuer.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now + datetime.timedelta(seconds=starts))
                .not_valid_after(now + datetime.timedelta(seconds=ends)))

    def issue(self, spiffe=(), dns=(), ip=(), common="nobody", use=Use.CLIENT_AUTH, **times):
        """(certificate, key, PEM of both with the CAs between)."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.UniformResourceIdentifier(one) for one in spiffe] + [x509.DNSName(one) for one in dns]
        names += [x509.IPAddress(ip_address(one)) for one in ip]
        built = self._build(subject(common), key, self, **times)
        if names:
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if use:
            built = built.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        certificate = built.sign(self.key, hashes.SHA256())
        between = pem(self.certificate) if self.above else b""
        return certificate, key, pem(certificate) + between + key_pem(key)


class CertifiedHouse(House):
    """Its doors on TCP believe `clients`; its own certificate is from `servers`."""

    def __init__(self, settings=SETTINGS, start=True, **options):
        super().__init__(start=False, settings=settings, **options)
        self.clients, self.servers = Authority("clients"), Authority("servers")
        os.mkdir(self.path("tls"), 0o755)
        self.own = self.renew()
        self.put("clients.pem", pem(self.clients.certificate))
        self.put("revoked", b"# nobody yet\n")
        self.put("servers.pem", pem(self.servers.certificate))
        self.ports = ()
        if start:
            self.start()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def put(self, name, data, mode=0o644):
        """A file of the TLS directory, whole at once, whoever else does the same."""
        path = self.path("tls", name)
        number, new = tempfile.mkstemp(dir=self.path("tls"))
        with open(number, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
        os.rename(new, path)
        return path

    def renew(self, **times):
        """A new certificate of the service's own, from its next reload or start on."""
        certificate, key, _ = self.servers.issue(dns=["localhost"], ip=["127.0.0.1"], use=Use.SERVER_AUTH, **times)
        self.put("server.pem", pem(certificate))
        self.put("server.key", key_pem(key), 0o600)
        return certificate

    def start(self, **options):
        """At ports that nobody has, below those that the kernel gives to callers; again where somebody was quicker."""
        plain = open(self.config).read() if not self.ports else None
        for turn in range(20):
            if plain is not None:
                self.ports = random.sample(range(15000, 30000), 2)
                with open(self.config, "w") as config:
                    config.write(plain + LISTENERS % tuple(self.ports))
            try:
                return super().start(wait=PATIENCE, **options)
            except RuntimeError as error:
                if plain is None or turn == 19 or "Another program listens" not in str(error):
                    raise
                os.truncate(os.path.join(self.place, "stderr"), 0)

    def until_printed(self, words, times=1):
        until = time.monotonic() + PATIENCE
        while self.printed().count(words) < times:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def reload(self):
        """SIGHUP; whether the files were taken."""
        ended = "certificates reloaded", "certificates not reloaded"
        before = [self.printed().count(words) for words in ended]
        self.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            now = [self.printed().count(words) for words in ended]
            if now != before:
                return now[0] > before[0]
            time.sleep(0.02)
        raise RuntimeError("nothing was reloaded:\n" + self.printed())

    def revoke(self, *certificates):
        self.put("revoked", "".join("%s  # gone\n" % fingerprint(one) for one in certificates).encode())
        return self.reload()

    def credentials(self, client=None, name=None):
        """How a client speaks TLS: `client` as `Authority.issue` gives it, or None for one without."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.path("tls/servers.pem"))
        if client:
            name = name or "client-%s.pem" % fingerprint(client[0])[:16]
            path = self.path("tls", name)
            context.load_cert_chain(path if os.path.exists(path) else self.put(name, client[2], 0o600))
        return context

    def connect(self, client=None, port=0, timeout=PATIENCE):
        """A socket after its handshake, as the client sees it: whether it was let in shows the first read."""
        bare = socket.create_connection(("127.0.0.1", self.ports[port]), timeout=timeout)
        try:
            return self.credentials(client).wrap_socket(bare, server_hostname="localhost")
        except BaseException:
            bare.close()
            raise

    def sealed(self, client, **options):
        return Sealed(self, client, **options)

    def web(self, client):
        return Web(self, client)


class Sealed(Data):
    """The data door over TLS."""

    def __init__(self, house, client=None, timeout=PATIENCE):
        self.socket = house.connect(client, timeout=timeout)
        self.stream, self.waiting = -1, b""


class Web(Transit):
    """The HTTP door over TLS."""

    def __init__(self, house, client=None, timeout=PATIENCE):
        http.client.HTTPConnection.__init__(self, "localhost", timeout=timeout)
        self.house, self.client = house, client

    def connect(self):
        self.sock = self.house.connect(self.client, port=1, timeout=self.timeout)


class RawWeb:
    """`transit.Raw`, over TLS."""

    def __init__(self, house, client, timeout=PATIENCE):
        self.socket = house.connect(client, port=1, timeout=timeout)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)
        return self

    def answer(self):
        lines = []
        while (line := self.file.readline()) not in (b"\r\n", b""):
            lines.append(line.decode().rstrip("\r\n"))
        headers = dict(line.split(": ", 1) for line in lines[1:])
        return Answer(int(lines[0].split()[1]), headers, self.file.read(int(headers.get("Content-Length", 0))))

    def close(self):
        self.file.close()
        self.socket.close()
