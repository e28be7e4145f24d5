"""The service's own keys, worked out from its files as docs/formats/ says, for a test that looks for them in its memory."""
import ctypes
import ctypes.util
import functools
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


def worked(key):
    """What hashing a key leaves on the way, if anything: the padded key and its words as libcrypto turns them."""
    forms = {"swapped": key}
    for name, pad in (("inner pad", 0x36), ("outer pad", 0x5C)):
        padded = bytes(x ^ pad for x in key)
        forms[name] = padded
        forms[name + " swapped"] = padded
        words = [(w + k) & (2 ** 64 - 1) for w, k in zip(struct.unpack(">4Q", padded), ROUNDS)]
        forms[name + " and constants"] = struct.pack("<4Q", *words)
    return {
        name: struct.pack("<4Q", *struct.unpack(">4Q", form)) if "swapped" in name else form
        for name, form in forms.items()}


def hashed(key):
    """The words of a key inside of SHA-256, as the keyring file's checksum meets them at the start of a block."""
    words = struct.unpack(">8I", key)
    sums = [(w + (k >> 32)) & (2 ** 32 - 1) for w, k in zip(words, ROUNDS)]
    return {"words": struct.pack("<8I", *words), "words and constants": struct.pack("<8I", *sums)}


def hchacha20(key):
    """The key that XChaCha20 makes of a message key and its nonce of zeros."""
    out = ctypes.create_string_buffer(32)
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    assert sodium.crypto_core_hchacha20(out, bytes(16), key, None) == 0
    return out.raw


def _times(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = (a << 1 ^ (0x11B if a & 0x80 else 0)), b >> 1
    return product


@functools.cache
def _sbox():
    box = []
    for x in range(256):
        inverse = next((y for y in range(256) if _times(x, y) == 1), 0)
        value = 0x63
        for n in range(5):
            value ^= (inverse << n | inverse >> (8 - n)) & 0xFF
        box.append(value)
    return box


def round_keys(key):
    """AES-256's 15 round keys: what an EVP context keeps."""
    box, words, constant = _sbox(), [key[i:i + 4] for i in range(0, 32, 4)], 1
    for i in range(8, 60):
        last = words[-1]
        if i % 8 == 0:
            last = bytes(box[x] for x in last[1:] + last[:1])
            last, constant = bytes([last[0] ^ constant]) + last[1:], _times(constant, 2)
        elif i % 8 == 4:
            last = bytes(box[x] for x in last)
        words.append(bytes(x ^ y for x, y in zip(words[i - 8], last)))
    return [b"".join(words[i:i + 4]) for i in range(0, 60, 4)]


def hash_key(key):
    """GCM's H: the zero block under the key, as it is and as its words are turned."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))
    return block, block[::-1]


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
