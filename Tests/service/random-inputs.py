#!/usr/bin/env python3
"""Random plaintexts from 0 bytes to the limit come back as they were, under both suites: random-inputs.py [INPUTS].

One byte over the limit is LIMIT_EXCEEDED, of a plaintext and of an envelope. The control: a plaintext that comes back
with one bit changed is found.
"""
import hashlib
import os
import random
import sys
import time

from house import Checks, House
from wire import DATA, Data

INPUTS = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000 if os.environ.get("CHATELAINE_SLOW") else 150
LIMIT, OVERHEAD = 1 << 20, 96
EDGES = [0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 4095, 4096, 4097, 16383, 16384, 16385, 65535,
         65536, 65537, 262143, 262144, 262145, LIMIT // 2, LIMIT - 97, LIMIT - 96, LIMIT - 95, LIMIT - 1, LIMIT]
KINDS = {"random": lambda draw, n: draw.randbytes(n), "zeros": lambda draw, n: bytes(n), "ones": lambda draw, n: b"\xff" * n,
         "text": lambda draw, n: ("caf\u00e9 \U0001F511 \u202e" * (n // 4 + 1)).encode()[:n],
         "envelope": lambda draw, n: (b"CE" + bytes(range(256)) * (n // 256 + 1))[:n]}


def size(draw, number):
    if number < len(EDGES):
        return EDGES[number]
    kind = draw.random()
    if kind < 0.25:
        return draw.choice(EDGES[:-6])
    if kind < 0.7:
        return draw.randrange(300)
    if kind < 0.97:
        return int(2 ** draw.uniform(0, 17))
    return LIMIT - draw.randrange(200_000)


def context(draw):
    if draw.random() < 0.5:
        return None
    return {"k%d" % n: draw.choice(["", "v", "gr\u00f6\u00dfer", "x" * 1024]) for n in range(draw.randrange(1, 17))}


def drawn(draw, number):
    return KINDS[draw.choice(list(KINDS))](draw, size(draw, number)), context(draw)


def is_same(text, back):
    return len(text) == len(back) and hashlib.sha256(text).digest() == hashlib.sha256(back).digest()


def round_trips(connection, draw, key):
    """(how many came back, bytes, what did not)."""
    count = total = 0
    faults, envelopes = [], set()
    for number in range(INPUTS):
        text, about = drawn(draw, number)
        sealed = connection.encrypt("acme", key, text, about)
        if not sealed.ok or len(sealed[1]) != len(text) + OVERHEAD or sealed[1][24:48] in envelopes:
            faults.append("%d bytes: %s" % (len(text), sealed.code or "an envelope of %d" % len(sealed[1])))
            continue
        envelopes.add(sealed[1][24:48])
        opened = connection.decrypt("acme", sealed[1], about)
        if not opened.ok or not is_same(text, opened[1]):
            faults.append("%d bytes do not come back: %s" % (len(text), opened.code))
        count, total = count + 1, total + len(text)
    return count, total, faults


def over_the_limit(check, connection, key):
    text = os.urandom(LIMIT)
    for more in (1, 2, 100, LIMIT):
        reply = connection.encrypt("acme", key, text + bytes(more))
        check(reply.code == "LIMIT_EXCEEDED" and not reply.receipt, "%d bytes over the limit: %s" % (more, reply.code))
    envelope = connection.encrypt("acme", key, text)[1]
    check(len(envelope) == LIMIT + OVERHEAD and connection.decrypt("acme", envelope)[1] == text, "the limit")
    for more in (1, 2, 100, LIMIT):
        for method in ("Decrypt", "Rewrap"):
            reply = connection.call(DATA, method, Data.message("acme", None, envelope + bytes(more)))
            check(reply.code == "LIMIT_EXCEEDED", "%s of %d bytes over the limit: %s" % (method, more, reply.code))
    check(connection.rewrap("acme", envelope).ok, "an envelope of the limit is rewrapped")


def main():
    check = Checks()
    seed = int(os.environ.get("CHATELAINE_SEED", random.randrange(1 << 30)))
    print("random inputs: %d a suite, CHATELAINE_SEED=%d" % (INPUTS, seed), flush=True)
    draw, began, total = random.Random(seed), time.monotonic(), 0
    with House() as house:
        admin, connection = house.admin(timeout=120), house.data(timeout=120)
        assert admin.create_tenant("acme").ok
        for suite in (1, 2):
            assert admin.create_key("acme", "key%d" % suite, suite).ok
            count, size_total, faults = round_trips(connection, draw, "key%d" % suite)
            total += size_total
            check(count == INPUTS and not faults, "suite %d: %d of %d came back: %s" % (suite, count, INPUTS, faults[:3]))
            over_the_limit(check, connection, "key%d" % suite)
        text = bytearray(draw.randbytes(1000))
        back = bytes(text)
        text[draw.randrange(1000)] ^= 1 << draw.randrange(8)
        check(not is_same(bytes(text), back), "the control did not fail: one bit is changed")
        check(house.stop() == 0 and house.verify() == 0, "it stops with 0, and its log is valid")
    print("random inputs: %d round trips, %.1f MB, %.0f s" % (2 * INPUTS, total / 1e6, time.monotonic() - began))
    return check.finish()


sys.exit(main())
