#!/usr/bin/env python3
"""Tokens of requests: a program that may act for several tenants does so with a token of each, and with no other; a token
that is none, for whatever reason, is answered like a tenant that is not there; new keys and a broken file; what the log says.
"""
import base64
import hashlib
import hmac
import json
import os
import signal
import struct
import subprocess
import sys
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from house import Checks, House, binary
from masking import masked as refusal
from transit import SETTINGS, Raw, Transit, b64, masked, post
from wire import Data, field

ISSUER = "https://id.acme.example"
POLICY = """version: 1
allow-combined-roles: true
rules:
  - name: apps
    role: application
    principals: ["uid:%(uid)d"]
    token: platform
    tenants: ["acme", "beta"]
    keys: ["*"]
    operations: ["*"]
  - name: free
    role: application
    principals: ["uid:%(uid)d"]
    tenants: ["free"]
    keys: ["*"]
    operations: ["*"]
  - name: cron
    role: application
    principals: ["token:cron"]
    tenants: ["*"]
    keys: ["*"]
    operations: [encrypt]
  - name: tenants-operators
    role: operator
    principals: ["uid:%(uid)d"]
    token: platform
    tenants: ["acme", "beta"]
    operations: [key-list, key-create, key-rotate]
  - name: reviewers
    role: reviewer
    principals: ["uid:%(uid)d"]
    token: platform
    operations: ["log-read"]
""" % {"uid": os.getuid()}


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A key of the issuer, and its public half as a JWK."""

    def __init__(self, algorithm, kid):
        self.algorithm, self.kid = algorithm, kid
        if algorithm == "RS256":
            self.key = rsa.generate_private_key(65537, 2048)
            numbers = self.key.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": url64(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
        elif algorithm == "ES256":
            self.key = ec.generate_private_key(ec.SECP256R1())
            numbers = self.key.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": "P-256", "x": url64(numbers.x.to_bytes(32, "big")), "y": url64(numbers.y.to_bytes(32, "big"))}
        elif algorithm == "EdDSA":
            self.key = ed25519.Ed25519PrivateKey.generate()
            raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": url64(raw)}
        else:
            self.key = os.urandom(32)
            self.jwk = {"kty": "oct", "k": url64(self.key)}
        self.jwk.update(kid=kid, alg=algorithm, use="sig")

    def pem(self):
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message):
        if self.algorithm == "RS256":
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "ES256":
            return b"".join(n.to_bytes(32, "big") for n in decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256()))))
        if self.algorithm == "EdDSA":
            return self.key.sign(message)
        return hmac.new(self.key, message, "sha256").digest()

    def token(self, tenant="acme", header=None, sign=None, without=(), **claims):
        now = int(time.time())
        all_claims = {"iss": ISSUER, "aud": "chatelaine", "sub": "alice", "tenant": tenant, "iat": now - 5, "exp": now + 3600, **claims}
        for name in without:
            del all_claims[name]
        head = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **(header or {})}
        signed = url64(json.dumps(head).encode()) + "." + url64(json.dumps(all_claims).encode())
        return signed + "." + url64((sign or self.sign)(signed.encode()))


class TokenData(Data):
    """The data door, with a token in the metadata of each call."""

    def __init__(self, path, token=None, metadata=None):
        super().__init__(path)
        self.metadata = metadata if metadata is not None else [("authorization", "Bearer " + token)] if token else []

    def send(self, service, method, message, timeout_ns=None):
        self.stream += 2
        request = field(1, service) + field(2, method) + field(3, message)
        request += b"".join(field(5, field(1, key) + field(2, value)) for key, value in self.metadata)
        self.send_raw(struct.pack(">IIBB", len(request), self.stream, 1, 0) + request)
        return self.stream


class Scene:
    """A service with tokens, two tenants that its one caller may act for, and a third that is nobody's."""

    def __init__(self):
        self.keys = {name: Key(name, name.lower()) for name in ("RS256", "ES256", "EdDSA", "HS256")}
        self.house = House(settings=SETTINGS + "tokens: tokens.yaml\n", start=False)
        self.write("policy.yaml", POLICY)
        self.static = self.create("cron", "--tenant", "acme")
        self.gone = self.create("gone", "--tenant", "acme", "--expires", "2020-01-01T00:00:00Z")
        self.write_tokens()
        self.write_keys(list(self.keys.values()))
        self.house.start()

    def path(self, name):
        return os.path.join(self.house.directory, name)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def create(self, name, *options):
        """A static token and its line for the file."""
        made = subprocess.run([binary("chatelaine"), "token", "create", "--name", name, *options], check=True, capture_output=True, text=True)
        token, line = made.stdout.splitlines()
        assert hashlib.sha256(token.encode()).hexdigest() in line and token not in line and token not in made.stderr
        return token, line

    def write_tokens(self, more=""):
        self.write("tokens.yaml", """version: 1
issuers:
  - name: platform
    issuer: "%s"
    audience: chatelaine
    jwks: jwks.json
static:
%s
%s
%s""" % (ISSUER, self.static[1], self.gone[1], more))

    def write_keys(self, keys):
        self.write("jwks.json", json.dumps({"keys": [key.jwk for key in keys]}))

    def reload(self, word):
        """SIGHUP, and waits for what the service says of it."""
        before = self.house.printed().count(word)
        self.house.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 60
        while self.house.printed().count(word) == before:
            assert time.monotonic() < until, self.house.printed()
            time.sleep(0.02)

    def data(self, token=None, **options):
        return TokenData(self.house.data_path, token, **options)


def main():
    check = Checks()
    scene = Scene()
    try:
        set_up(scene)
        check.part(one_uid_two_tenants, scene)
        check.part(one_same_answer, scene)
        check.part(between_requests, scene)
        check.part(static_tokens, scene)
        check.part(http, scene)
        check.part(reviewers, scene)
        check.part(log_names_tokens, scene)
        check.part(reloaded, scene)
        check.part(command_line, scene)
        check.part(controls, scene)
        check(scene.house.verify() == 0, "the log verifies")
        check(scene.house.stop() == 0, "the service stops")
        everything = read_all(scene.house)
        for secret in [scene.static[0], scene.good.split(".")[2]]:
            check(secret.encode() not in everything, "no token is in the log or in what the service printed")
        check(hashlib.sha256(scene.static[0].encode()).hexdigest().encode() in open(scene.path("tokens.yaml"), "rb").read(), "the control")
    finally:
        scene.house.close()
    return check.finish()


def read_all(house):
    found = house.printed().encode()
    for name in os.listdir(house.log):
        with open(os.path.join(house.log, name), "rb") as file:
            found += file.read()
    return found


def set_up(scene):
    """Tenants and keys are made under a policy of operators, and then the policy with tokens is taken."""
    scene.write("policy.yaml", "version: 1\nrules:\n  - {name: o, role: operator, principals: ['uid:%d'], operations: ['*']}\n" % os.getuid())
    scene.reload("policy reloaded")
    admin = scene.house.admin()
    for tenant in ("acme", "beta", "free"):
        assert admin.create_tenant(tenant).ok and admin.create_key(tenant, "pay").ok
    admin.close()
    scene.write("policy.yaml", POLICY)
    scene.reload("policy reloaded")
    scene.good = scene.keys["ES256"].token()


def calls(caller, tenant, envelope, wrapped):
    """Every method of the data door, each reply without its request id and receipt."""
    made = [
        caller.encrypt(tenant, "pay", b"x"), caller.decrypt(tenant, envelope), caller.issue(tenant, "pay"),
        caller.unwrap(tenant, wrapped), caller.rewrap(tenant, envelope), caller.rewrap(tenant, wrapped=wrapped),
        caller.encrypt_batch(tenant, "pay", [(b"x", None)]), caller.decrypt_batch(tenant, [(envelope, None)]),
    ]
    return made


def bytes_of(reply):
    """A refusal as it came, but for request id and receipt; of a batch its items."""
    return [one for one in reply.payload if one[0] != 15] if reply.ok else refusal(reply)


def one_uid_two_tenants(scene, check):
    """One uid that is allowed both, and a policy that demands a token: acme's for acme, and nothing else."""
    acme, both = scene.data(scene.good), scene.data(scene.keys["EdDSA"].token(["acme", "beta"]))
    beta = scene.data(scene.keys["RS256"].token("beta"))
    held = {}
    for tenant, caller in (("acme", acme), ("beta", beta)):
        envelope = caller.encrypt(tenant, "pay", b"4111")
        wrapped = caller.issue(tenant, "pay")
        check(envelope.ok and wrapped.ok, "a token of %s for %s" % (tenant, tenant))
        held[tenant] = (envelope[1], wrapped[1])
        check(all(reply.ok for reply in calls(caller, tenant, *held[tenant])), "every method, with a token of %s" % tenant)
        check(all(reply.ok for reply in calls(both, tenant, *held[tenant])), "and with one of both tenants")
    scene.held = held
    for caller, tenant in ((acme, "beta"), (beta, "acme"), (scene.data(), "acme"), (scene.data(), "beta")):
        refused = calls(caller, tenant, *held[tenant])
        nowhere = calls(acme, "nowhere", *held[tenant])
        for number, (one, other) in enumerate(zip(refused, nowhere)):
            check(bytes_of(one) == bytes_of(other), "method %d of %s: as for a tenant that is not there" % (number, tenant))
        check(not any(one.ok for one in refused[:6]), "no method of %s is answered" % tenant)
    check(scene.data().encrypt("free", "pay", b"x").ok and acme.encrypt("free", "pay", b"x").ok, "a rule that needs none grants with and without one")


def bad_tokens(scene):
    rs, ed, hs = scene.keys["RS256"], scene.keys["EdDSA"], scene.keys["HS256"]
    now = int(time.time())
    stranger = Key("EdDSA", "eddsa")
    yield "expired", ed.token(exp=now - 31)
    yield "not yet", ed.token(nbf=now + 3600)
    yield "issued in the future", ed.token(iat=now + 3600)
    yield "without exp", ed.token(without=["exp"])
    yield "of another audience", ed.token(aud="other")
    yield "of another issuer", ed.token(iss=ISSUER + "/")
    yield "alg none", ed.token(header={"alg": "none"}, sign=lambda _: b"")
    yield "alg none, signed", ed.token(header={"alg": "None"})
    for name, secret in (("PEM", rs.pem()), ("JWK", json.dumps(rs.jwk).encode()), ("modulus", base64.urlsafe_b64decode(rs.jwk["n"] + "=="))):
        yield "HS256 under the RSA key's " + name, rs.token(header={"alg": "HS256"}, sign=lambda message: hmac.new(secret, message, "sha256").digest())
    yield "of an unknown kid", ed.token(header={"kid": "nobody"})
    yield "of another key with a known kid", stranger.token()
    yield "with its key in the header", stranger.token(header={"jwk": stranger.jwk})
    yield "with a jku", stranger.token(header={"jku": "https://evil.example"})
    yield "with crit", ed.token(header={"crit": ["exp"]})
    yield "for every tenant", ed.token("*")
    yield "for no tenant", ed.token(without=["tenant"])
    yield "with a zero signature", scene.keys["ES256"].token(sign=lambda _: bytes(64))
    yield "cut", scene.good[:-4]
    yield "with claims of another", ".".join([scene.good.split(".")[0], ed.token("beta").split(".")[1], scene.good.split(".")[2]])
    yield "too long", hs.token(pad="x" * 9000)
    yield "garbage", "garbage"
    yield "a static one that has ended", scene.gone[0]
    yield "a static one that nobody made", "cht_" + "A" * 43
    yield "nothing", ""


def one_same_answer(scene, check):
    """Whatever is wrong with a token: the same bytes, and the reason in the log alone."""
    envelope, wrapped = scene.held["acme"]
    nowhere = [bytes_of(one) for one in calls(scene.data(scene.good), "nowhere", envelope, wrapped)]
    count = 0
    for what, token in bad_tokens(scene):
        caller = scene.data(metadata=[("authorization", "Bearer " + token)])
        replies = [bytes_of(one) for one in calls(caller, "acme", envelope, wrapped)]
        check(replies == nowhere, "a token %s: the answer is that for a tenant that is not there" % what)
        # why: a bad token is no wish to do without one.
        check(bytes_of(caller.encrypt("free", "pay", b"x")) == nowhere[0], "a token %s: nor is anything else granted" % what)
        caller.close()
        count += 1
    for what, metadata in (("Basic", [("authorization", "Basic " + scene.good)]), ("no scheme", [("authorization", scene.good)])):
        check([bytes_of(one) for one in calls(scene.data(metadata=metadata), "acme", envelope, wrapped)] == nowhere, what)
    for what, metadata in (("any letters", [("Authorization", "bearer " + scene.good)]),
                           ("beside other metadata", [("x", "y"), ("authorization", "Bearer " + scene.good), ("x", "z")])):
        check(scene.data(metadata=metadata).encrypt("acme", "pay", b"x").ok, "the control did not fail: %s" % what)
    twice = scene.data(metadata=[("authorization", "Bearer " + scene.good)] * 2).encrypt("acme", "pay", b"x")
    check(twice.code == "INVALID_REQUEST", "two tokens are no request")
    for key in scene.keys.values():
        check(scene.data(key.token()).encrypt("acme", "pay", b"x").ok, "the control did not fail: %s" % key.algorithm)
    return "%d kinds" % count


def between_requests(scene, check):
    """On one connection each request has its own token, and none lasts for the next."""
    caller = scene.data()
    for token, tenant, right in ((scene.good, "acme", True), (None, "acme", False), (scene.keys["HS256"].token("beta"), "acme", False),
                                 (scene.keys["HS256"].token("beta"), "beta", True), ("garbage", "free", False), (None, "free", True),
                                 (scene.good, "acme", True)):
        caller.metadata = [("authorization", "Bearer " + token)] if token else []
        check(caller.encrypt(tenant, "pay", b"x").ok == right, "%s with %s" % (tenant, "a token" if token else "none"))


def static_tokens(scene, check):
    """A static token grants what rules about it say, for its own tenant, to whoever carries it."""
    caller = scene.data(scene.static[0])
    check(caller.encrypt("acme", "pay", b"x").ok, "its tenant")
    check(caller.encrypt("beta", "pay", b"x").code == "NOT_FOUND", "another tenant, though the rule is about all")
    check(caller.issue("acme", "pay").code == "NOT_FOUND", "another operation; and a rule that demands an issuer's is not fulfilled")


def http(scene, check):
    """Authorization and X-Vault-Token, every use and act, and what lookup-self shows."""
    door = Transit(scene.house)
    for name, value in (("Authorization", "Bearer " + scene.good), ("authorization", "bearer " + scene.good), ("X-Vault-Token", scene.good)):
        headers = {name: value}
        sealed = door.call("POST", "acme/encrypt/pay", {"plaintext": b64(b"x")}, headers)
        check(sealed.status == 200, "%s: encrypt" % name)
        opened = door.call("POST", "acme/decrypt/pay", {"ciphertext": sealed.data["ciphertext"]}, headers)
        check(opened.status == 200 and opened.data["plaintext"] == b64(b"x"), "%s: decrypt" % name)
        check(door.call("LIST", "acme/keys", headers=headers).data["keys"] == ["pay"], "%s: keys" % name)
        me = door.call("GET", "auth/token/lookup-self", headers=headers).data
        check(me["display_name"] == "platform/alice" and me["meta"] == {"tenants": "acme"} and 0 < me["ttl"] <= 3630
              and me["id"] == "", "%s: lookup-self" % name)
    ways = [("encrypt/pay", b'{"plaintext":"eA=="}'), ("datakey/plaintext/pay", b""), ("keys/other", b""), ("keys/pay/rotate", b""),
            ("decrypt/pay", b'{"ciphertext":"vault:v1:%s"}' % b64(scene.held["acme"][0]).encode())]
    tokens = [("none", []), ("of beta", ["X-Vault-Token: " + scene.keys["RS256"].token("beta")]), ("any", ["X-Vault-Token: any"]),
              ("expired", ["Authorization: Bearer " + scene.keys["RS256"].token(exp=1)]),
              ("two", ["Authorization: Bearer " + scene.good, "X-Vault-Token: " + scene.good]),
              ("twice", ["X-Vault-Token: " + scene.good] * 2)]
    for path, body in ways:
        nowhere = sent(scene.house, "nowhere/" + path, body, "X-Vault-Token: " + scene.good)
        for what, headers in tokens:
            check(sent(scene.house, "acme/" + path, body, *headers) == nowhere, "%s with a token %s: as for a tenant that is not there" % (path, what))
    check(door.call("POST", "acme/keys/pay/rotate", headers={"X-Vault-Token": scene.good}).status == 204, "the control did not fail: rotate")
    check(door.call("GET", "auth/token/lookup-self", headers={"X-Vault-Token": "any"}).status == 404, "lookup-self of a token that is none")
    check(door.call("GET", "auth/token/lookup-self").data["display_name"] == "uid:%d" % os.getuid(), "lookup-self without one")
    check(door.call("POST", "free/encrypt/pay", {"plaintext": "eA=="}, {"X-Vault-Token": ""}).status == 200, "an empty one is none")


def sent(house, path, body, *headers):
    raw = Raw(house).send(post(path, body, "Connection: close", *headers))
    try:
        return masked(raw.all())
    finally:
        raw.close()


def reviewers(scene, check):
    """The log is read for the token's tenant and for no other."""
    def with_token(token, tenant):
        return scene.data(token).call("chatelaine.v1.LogService", "ListEntries", field(1, tenant) if tenant else b"")
    check(with_token(scene.good, "acme").ok, "acme's entries with acme's token")
    for token, tenant in ((scene.good, "beta"), (None, "acme"), ("garbage", "acme"), (scene.good, None)):
        check(not with_token(token, tenant).ok, "%s's entries are not shown" % tenant)


def log_names_tokens(scene, check):
    """An entry says whose token it was, or why it was none; the principal stays who called."""
    def note(entry):
        return entry["details"].get("note", "")
    entries = scene.house.entries()
    used = [one for one in entries if one["operation"] in ("encrypt", "decrypt")]
    check(all(one["principal"] == "uid:%d" % os.getuid() for one in used), "the principal is who called")
    notes = [note(one) for one in entries]
    check("token=platform/alice" in notes and "token=cron" in notes, "tokens are named: %s" % sorted(set(notes))[:6])
    reasons = {one.split("=")[1] for one in notes if one.startswith("token-refused=")}
    expected = {"expired", "not-yet", "issuer", "algorithm", "key", "signature", "header", "tenant", "malformed", "too-long", "unknown", "scheme"}
    check(reasons == expected, "every reason is in the log: %s" % sorted(reasons ^ expected))
    granted = [one for one in used if one["rule"] == "apps"]
    check(granted and all("token=" in note(one) for one in granted), "no use by the rule that demands a token is without one")


def reloaded(scene, check):
    """SIGHUP: a new key counts, an old one does not; a broken file leaves both as they were."""
    old, new = scene.keys["ES256"], Key("ES256", "new")
    connection = scene.data(old.token())
    check(connection.encrypt("acme", "pay", b"x").ok and not scene.data(new.token()).encrypt("acme", "pay", b"x").ok, "before")
    scene.write_keys([new, scene.keys["RS256"]])
    check(connection.encrypt("acme", "pay", b"x").ok, "a file that nobody was told of changes nothing")
    scene.reload("policy reloaded")
    check(not connection.encrypt("acme", "pay", b"x").ok, "the old key's token, remembered or not, is none")
    check(scene.data(new.token()).encrypt("acme", "pay", b"x").ok, "the new key's is one")
    breaks = [("jwks.json", "{"), ("jwks.json", json.dumps({"keys": [{**new.jwk, "d": "AQAB"}]})), ("tokens.yaml", "version: 1\nissuer: []\n"),
              ("policy.yaml", POLICY.replace("token: platform", "token: plattform"))]
    for name, text in breaks:
        with open(scene.path(name)) as file:
            before = file.read()
        scene.write(name, text)
        scene.reload("policy not reloaded")
        check(scene.data(new.token()).encrypt("acme", "pay", b"x").ok, "a broken %s keeps what was" % name)
        scene.write(name, before)
    scene.write("jwks.json", json.dumps({"keys": [scene.keys["HS256"].jwk]}), 0o644)
    scene.reload("policy not reloaded")
    check("others may read it" in scene.house.printed(), "a secret that others may read is not taken")
    os.chmod(scene.path("jwks.json"), 0o600)
    scene.reload("policy reloaded")
    check(scene.data(scene.keys["HS256"].token()).encrypt("acme", "pay", b"x").ok, "one that they may not is")
    scene.write_tokens("nothing: 1\n")
    scene.reload("policy not reloaded")
    scene.write_tokens()
    scene.write_keys(list(scene.keys.values()))
    scene.reload("policy reloaded")
    check(scene.data(scene.good).encrypt("acme", "pay", b"x").ok, "the control did not fail: all as it was")


def controls(scene, check):
    """Without the demand in the rule the same calls are answered; without tokens in the configuration none is looked at."""
    scene.write("policy.yaml", POLICY.replace("    token: platform\n", ""))
    scene.reload("policy reloaded")
    check(scene.data(scene.good).encrypt("beta", "pay", b"x").ok and scene.data().encrypt("acme", "pay", b"x").ok,
          "the control did not fail: it is the demand that refuses")
    check(not scene.data("garbage").encrypt("beta", "pay", b"x").ok, "a bad token still refuses")
    check(scene.house.stop() == 0, "the service stops")
    scene.write("policy.yaml", "".join(POLICY.split("  - name: cron")[0]).replace("    token: platform\n", ""))
    scene.house.replace("tokens: tokens.yaml\n", "")
    scene.house.start()
    check(scene.data("garbage").encrypt("beta", "pay", b"x").ok, "where no tokens are configured, none is looked at")
    for headers in ({"X-Vault-Token": "any"}, {"Authorization": "Basic eA=="}, {"X-Vault-Token": "any", "Authorization": "x"}):
        answer = Transit(scene.house).call("POST", "beta/encrypt/pay", {"plaintext": "eA=="}, headers)
        check(answer.status == 200, "nor at the HTTP door: %s" % headers)
    check(Transit(scene.house).call("GET", "auth/token/lookup-self", headers={"X-Vault-Token": "any"}).data["path"] == "auth/unix", "lookup-self")


def command_line(scene, check):
    def run(*arguments):
        return subprocess.run([binary("chatelaine"), *arguments], capture_output=True, text=True)
    shown = run("token", "check", scene.path("tokens.yaml"))
    check(shown.returncode == 0 and "issuer platform" in shown.stdout and "key RS256 rs256" in shown.stdout and "static cron: acme" in shown.stdout,
          "token check: " + shown.stdout + shown.stderr)
    check(scene.static[0] not in shown.stdout, "token check shows no token")
    explain = ["policy", "explain", scene.path("policy.yaml"), "--tokens", scene.path("tokens.yaml"), "--principal", "uid:%d" % os.getuid(),
               "--operation", "encrypt", "--key", "acme/pay"]
    check(run(*explain).returncode == 77, "policy explain without a token")
    check("allowed by rule apps" in run(*explain, "--token", "platform/alice", "--token-tenant", "acme").stdout, "policy explain with one")
    check(run(*explain, "--token", "platform", "--token-tenant", "beta").returncode == 77, "policy explain with another tenant's")
    place = scene.path("token-file")
    made = run("token", "create", "--name", "file", "--tenant", "acme", "--output", place)
    with open(place) as file:
        token = file.read().strip()
    check(made.returncode == 0 and token not in made.stdout and hashlib.sha256(token.encode()).hexdigest() in made.stdout
          and os.stat(place).st_mode & 0o777 == 0o600, "token create --output: a file of its owner's alone")
    check(run("token", "create", "--name", "x", "--tenant", "*").returncode == 64, "token create: a tenant that is none")


if __name__ == "__main__":
    sys.exit(main())
