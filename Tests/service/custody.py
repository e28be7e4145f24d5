"""The service's own keys, worked out from its files as docs/formats/ says, for a test that looks for them in its memory."""
import glob
import os
import sqlite3
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../Vectors"))
import generate as formats  # noqa: E402

PRIMES = [n for n in range(2, 410) if all(n % d for d in range(2, n))]


def root(number, power):
    """The first 64 bits of the fractional part of a root of a prime: SHA-512's constants."""
    low, high = 0, 1 << 80
    target = number << (64 * power)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle ** power <= target else (low, middle)
    return low & (2 ** 64 - 1)


FIRST, ROUNDS = [root(p, 2) for p in PRIMES[:8]], [root(p, 3) for p in PRIMES[:80]]


def compressed(block):
    """SHA-512's state after one block, as libcrypto keeps it in memory: eight words, little-endian."""
    def turn(word, by):
        return (word >> by | word << 64 - by) & (2 ** 64 - 1)

    words = list(struct.unpack(">16Q", block))
    for i in range(16, 80):
        s0 = turn(words[i - 15], 1) ^ turn(words[i - 15], 8) ^ words[i - 15] >> 7
        s1 = turn(words[i - 2], 19) ^ turn(words[i - 2], 61) ^ words[i - 2] >> 6
        words.append((words[i - 16] + s0 + words[i - 7] + s1) & (2 ** 64 - 1))
    a, b, c, d, e, f, g, h = FIRST
    for word, constant in zip(words, ROUNDS):
        s1 = turn(e, 14) ^ turn(e, 18) ^ turn(e, 41)
        one = (h + s1 + (e & f ^ ~e & g) + constant + word) & (2 ** 64 - 1)
        s0 = turn(a, 28) ^ turn(a, 34) ^ turn(a, 39)
        two = (s0 + (a & b ^ a & c ^ b & c)) & (2 ** 64 - 1)
        a, b, c, d, e, f, g, h = (one + two) & (2 ** 64 - 1), a, b, c, (d + one) & (2 ** 64 - 1), e, f, g
    return struct.pack("<8Q", *((x + y) & (2 ** 64 - 1) for x, y in zip(FIRST, (a, b, c, d, e, f, g, h))))


def states(key):
    """The two prepared states of HMAC-SHA-512, each as good as the key."""
    block = key.ljust(128, b"\0")
    return compressed(bytes(x ^ 0x36 for x in block)), compressed(bytes(x ^ 0x5C for x in block))


def message_key(key, envelope, tenant, context):
    """What one envelope is sealed with."""
    pairs = [(name.encode(), value.encode()) for name, value in (context or {}).items()]
    bound = envelope[:48] + formats.context_hash(tenant.encode(), b"", pairs)
    okm = formats.derive(key, "envelope", bound)
    assert okm[32:] == envelope[48:80], "the key of this envelope"
    return okm[:32]


class Keys:
    """`master`, `store`, `roots[tenant]` and `keys[tenant, name, version]`, 32 bytes each."""

    def __init__(self, house):
        self.masters = {}
        for path in glob.glob(os.path.join(house.keyring, "master-*.key")):
            with open(path, "rb") as file:
                opened = formats.keyring_open(file.read(), b"")
            self.masters[opened["version"]] = opened["masterKey"]
            self.ring = opened["keyringId"]
        database = sqlite3.connect("file:%s?mode=ro" % os.path.join(house.directory, "store/keys.sqlite"), uri=True)
        self.master = self.masters[max(self.masters)]
        created, wrapped = database.execute("SELECT created, wrapped FROM store").fetchone()
        self.store = self._unwrap(wrapped, formats.record_hash(b"", b"", b"", 0, 0, created))
        self.roots, self.keys = {}, {}
        for tenant, created, wrapped in database.execute("SELECT id, created, wrapped FROM tenants"):
            self.roots[tenant] = self._unwrap(wrapped, formats.record_hash(tenant.encode(), b"", b"", 0, 0, created))
        rows = database.execute(
            "SELECT v.tenant, v.name, v.version, v.created, v.wrapped, k.purpose, k.suite FROM key_versions v"
            " JOIN tenant_keys k ON k.tenant = v.tenant AND k.name = v.name")
        for tenant, name, version, created, wrapped, purpose, suite in rows:
            record = formats.record_hash(tenant.encode(), name.encode(), b"", purpose, suite, created)
            parsed = formats.wrapped_parse(wrapped)
            self.keys[tenant, name, version] = formats.unwrap(
                self.roots[tenant], parsed["wid"], parsed["wversion"], record, wrapped)
        database.close()

    def _unwrap(self, wrapped, record):
        parsed = formats.wrapped_parse(wrapped)
        return formats.unwrap(self.masters[parsed["wversion"]], self.ring, parsed["wversion"], record, wrapped)
