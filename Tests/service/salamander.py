"""One ciphertext and tag that AES-256-GCM opens under two keys: GCM does not commit to its key (row 29)."""
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE, ONE = bytes(12), 1 << 127


def times(x, y):
    """In GCM's field, whose first bit is the highest."""
    product = 0
    for bit in range(127, -1, -1):
        product ^= x if y >> bit & 1 else 0
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return product


def power(x, exponent):
    result = ONE
    while exponent:
        if exponent & 1:
            result = times(result, x)
        x, exponent = times(x, x), exponent >> 1
    return result


def block(key, data):
    return int.from_bytes(Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(data), "big")


def ghash(hash_key, blocks):
    result = 0
    for one in blocks:
        result = times(result ^ one, hash_key)
    return result


def make(first, second, aad, count=4):
    """Ciphertext and tag, with nonce zeros, for both keys. All blocks but the last are free; the last makes both tags one."""
    padded = aad + bytes(-len(aad) % 16)
    text = [int.from_bytes(os.urandom(16), "big") for _ in range(count - 1)]

    def blocks(last):
        head = [int.from_bytes(padded[at:at + 16], "big") for at in range(0, len(padded), 16)]
        return head + text + [last, len(aad) * 8 << 64 | count * 128]

    hashes = [block(key, bytes(16)) for key in (first, second)]
    masks = [block(key, NONCE + b"\0\0\0\1") for key in (first, second)]
    apart = ghash(hashes[0], blocks(0)) ^ masks[0] ^ ghash(hashes[1], blocks(0)) ^ masks[1]
    last = times(apart, power(power(hashes[0], 2) ^ power(hashes[1], 2), 2 ** 128 - 2))
    tag = ghash(hashes[0], blocks(last)) ^ masks[0]
    return b"".join(one.to_bytes(16, "big") for one in text + [last, tag])


def plain_gcm(key, sealed, aad):
    return AESGCM(key).decrypt(NONCE, sealed, aad)
