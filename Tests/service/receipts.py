#!/usr/bin/env python3
"""Heads and proofs that callers ask the data door for, checked by another implementation."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import evidence  # noqa: E402
from heads import leaves  # noqa: E402
from house import Checks, House  # noqa: E402
from proofs import audit, key_text, write  # noqa: E402
from wire import DATA, field  # noqa: E402


def grown(old, reply):
    """A consistency proof's file from what the service answered."""
    hashes = b"".join(evidence.base64.b64encode(hash) + b"\n" for hash in reply.all(2))
    return b"chatelaine/consistency-proof@v1\n" + hashes + b"\n" + old + b"\n" + reply[1]


def size_of(note):
    return int(note.split(b"\n")[1])


def covered(data, sequence, seconds=5):
    """The reply to a question that may come before its head."""
    until = time.monotonic() + seconds
    while True:
        reply = data.prove_entry(sequence)
        if reply.ok or reply.code != "BUSY" or time.monotonic() > until:
            return reply
        time.sleep(0.2)


def work(data, count):
    sealed = data.encrypt("acme", "pay", b"x")
    return [data.decrypt("acme", sealed[1]) for _ in range(count)]


def proofs(check):
    with House(start=False) as house:
        house.small_segments()
        house.start()
        admin, data = house.admin(), house.data()
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        key = key_text(house)
        first = data.get_head()
        check(first.ok and not first.all(2) and first.sequence is None, "a start's head: %s" % first.sentence)
        calls = work(data, 700)
        # With more than 100 entries behind it, each is under a head within a second or so.
        work(data, 150)
        for call in [calls[0], calls[255], calls[-1]]:
            reply = covered(data, call.sequence)
            leaf = call.receipt[4]
            check(reply.ok and evidence.verdict(reply[1], key, leaf) == "valid", "the proof of a receipt: %s" % reply.sentence)
            check(b"extra" not in reply[1] and len(reply[1]) < 2048, "the entry is not given")
            other = calls[3].receipt[4]
            check(evidence.verdict(reply[1], key, other) == "tampered", "the control: another's leaf hash")
            place = write(os.path.join(house.place, "proof"), reply[1])
            check(audit("check-proof", place, "--key", key, "--leaf", leaf.hex())[0] == 0, "check-proof takes it")
            check(audit("check-proof", place, "--key", key, "--leaf", other.hex())[0] == 65, "the control: check-proof")
        check(data.prove_entry(0).ok, "the log's first entry")
        newer = data.get_head(size_of(first[1]))
        proof = grown(first[1], newer)
        check(size_of(newer[1]) > size_of(first[1]) and newer.all(2), "it grew")
        check(evidence.verdict(proof, key) == "valid", "and is the same log")
        bent = proof.replace(evidence.base64.b64encode(newer.all(2)[0]), evidence.base64.b64encode(bytes(32)))
        check(evidence.verdict(bent, key) == "tampered", "the control: another hash")
        same = data.get_head(size_of(newer[1]))
        check(not same.all(2), "no proof from a head to itself")
        check(data.get_head(1 << 60).ok and not data.get_head(1 << 60).all(2), "a head beyond the log: the caller sees it")
        refusals(check, house, data, calls[-1].sequence)
        before = house.entries("--operation", "decrypt")
        check(len(before) == 851, "questions have no entries of their own")
        data.close()
        house.stop()
        check(house.verify() == 0 and len(leaves(house.log)) > 700, "the log is whole")


def refusals(check, house, data, last):
    # The first of a burst is under way, or not, when the others come: each is answered, and the connection goes on.
    for _ in range(40):
        data.send(DATA, "ProveEntry", field(1, last))
    replies = [data.receive() for _ in range(40)]
    check(all(reply.ok or reply.code == "BUSY" for reply in replies), "a burst: %s" % {r.code for r in replies})
    check(any(reply.ok for reply in replies) and any(not reply.ok for reply in replies), "one at a time a connection")
    reply = data.prove_entry(1 << 62)
    check(reply.code == "BUSY" and "covers" in reply.sentence, "an entry that no head covers: %s" % reply.sentence)
    check(data.call(DATA, "ProveEntry", field(2, 1)).code == "INVALID_REQUEST", "another field")
    check(data.call(DATA, "GetHead", b"\x08\x01\x08\x01").code == "INVALID_REQUEST", "a field twice")
    check(data.prove_entry(last, timeout_ns=1).code == "DEADLINE_EXCEEDED", "too late")
    check(data.decrypt("acme", data.encrypt("acme", "pay", b"y")[1])[1] == b"y", "the connection goes on")
    # Others are served while one asks without end.
    busy = [house.data() for _ in range(24)]
    for one in busy:
        one.send(DATA, "ProveEntry", field(1, last))
    start = time.monotonic()
    check(data.encrypt("acme", "pay", b"z").ok and time.monotonic() - start < 2, "a key is used meanwhile")
    check(all(one.receive().code in (None, "BUSY") for one in busy), "each is answered")
    for one in busy:
        one.close()
    time.sleep(1.3)
    noted = house.entries("--operation", "refusals")
    check(any(entry.get("reason") == "busy" for entry in noted), "refusals are counted: %s" % noted[-1:])


def unsigned(check):
    """A service without a key for heads, and one whose `nodes` are gone."""
    with House(start=False) as house:
        with open(house.config) as file:
            text = file.read()
        with open(house.config, "w") as file:
            file.writelines(line + "\n" for line in text.splitlines() if "signing-key" not in line)
        house.start()
        data = house.data()
        for reply in (data.get_head(), data.prove_entry(0)):
            check(reply.code == "NOT_SIGNED" and reply.rpc_status == 9 and "log.signing-key" in reply.sentence, "no key: %s" % reply.sentence)
        data.close()


def main():
    check = Checks()
    for run in (proofs, unsigned):
        check.part(run)
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
