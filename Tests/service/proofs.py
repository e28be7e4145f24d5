#!/usr/bin/env python3
"""Proofs made from a service's log and checked by two implementations; logs that were cut, put back, written anew or
forked, held against heads that were kept."""
import json
import os
import random
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import evidence  # noqa: E402
from heads import entries, leaves, refusal  # noqa: E402
from house import Checks, House, binary  # noqa: E402
from rewritten import other_pid, relink  # noqa: E402

CODES = {"valid": 0, "tampered": 65, "truncated": 4, "forked": 5, "wrong-key": 6, "unsupported": 78, "nothing": 3}


def audit(*arguments, out=False):
    done = subprocess.run([binary("chatelaine"), "audit", *map(str, arguments)], capture_output=True)
    return (done.returncode, done.stdout if out else (done.stdout + done.stderr).decode())


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def key_text(house):
    return subprocess.run(
        [binary("chatelaine"), "signing-key", "show", os.path.join(house.directory, "signing/log.key"), "--log", house.log],
        check=True, capture_output=True, text=True).stdout.strip()


def work(house, count):
    data = house.data()
    for _ in range(count // 50):
        sealed = data.encrypt("acme", "pay", b"x")
        for _ in range(49):
            assert data.decrypt("acme", sealed[1]).ok
    data.close()
    time.sleep(0.4)


def vectors(check):
    """Every vector, and changed ones, through the command and through the other implementation."""
    with open(os.path.join(HERE, "../Vectors/proofs.json")) as file:
        content = json.load(file)
    key, place = content["verifierKey"], "/tmp/chatelaine-proof-%d" % os.getpid()
    seen, dice = set(), random.Random(6962)
    try:
        for one in content["files"]:
            write(place, bytes.fromhex(one["file"]))
            status, said = audit("check-proof", place, "--key", key, *(["--leaf", one["leaf"]] if one["leaf"] else []))
            check(status == CODES[one["expect"]], "%s: %d, not %s: %s" % (one["name"], status, one["expect"], said))
            seen.add(one["expect"])
        good = [bytes.fromhex(one["file"]) for one in content["files"] if one["expect"] == "valid" and not one["leaf"]]
        for number in range(120):
            data = bytearray(dice.choice(good))
            for _ in range(dice.randint(1, 2)):
                at = dice.randrange(len(data))
                if dice.random() < 0.6:
                    data[at] ^= 1 << dice.randrange(8)
                elif dice.random() < 0.5:
                    del data[at:at + dice.randint(1, 60)]
                else:
                    data[at:at] = data[at - 30:at]
            write(place, bytes(data))
            expect = CODES[evidence.verdict(bytes(data), key)]
            status, said = audit("check-proof", place, "--key", key)
            check(status == expect and (status != 0 or bytes(data) in good), "change %d: %d, not %d: %r" % (number, status, expect, bytes(data)))
    finally:
        os.path.exists(place) and os.remove(place)
    check(seen == set(CODES), "every answer is among the vectors: %s" % seen)


def proofs(check):
    with House(start=False) as house:
        house.small_segments()
        house.start()
        admin = house.admin()
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        work(house, 500)
        first = write(os.path.join(house.place, "first"), audit("head", "--log", house.log, out=True)[1])
        work(house, 900)
        key, log = key_text(house), ("--log", house.log)
        place = os.path.join(house.place, "proof")
        hashes = leaves(house.log)

        def entry(number, *more):
            status, said = audit("prove", "entry", number, *log, "--out", place, *more)
            with open(place, "rb") as file:
                data = file.read()
            return status == 0 and len(data) < 2048 and evidence.verdict(data, key) == "valid", said, data

        for number in [0, 1, 255, 256, 257, len(hashes) - 1] + random.Random(1).sample(range(len(hashes)), 12):
            holds, said, data = entry(number)
            check(holds and audit("check-proof", place, "--key", key)[0] == 0, "entry %d: %s" % (number, said))
        check(entry(3, "--head", first)[0], "an entry under a kept head")
        check(audit("prove", "entry", len(hashes), *log)[0] == 66, "an entry that is not there yet")
        check(audit("prove", "entry", 900, *log, "--head", first)[0] == 66, "an entry after the head")
        audit("prove", "entry", 77, *log, "--without-entry", "--out", place)
        check(audit("check-proof", place, "--key", key)[0] == 65, "without the entry, no hash given")
        check(audit("check-proof", place, "--key", key, "--leaf", hashes[77].hex())[0] == 0, "without the entry, its hash given")
        check(audit("check-proof", place, "--key", key, "--leaf", hashes[78].hex())[0] == 65, "without the entry, another's hash")
        status, said = audit("prove", "consistency", first, *log, "--out", place)
        with open(place, "rb") as file:
            grown = file.read()
        check(status == 0 and evidence.verdict(grown, key) == "valid" and audit("check-proof", place, "--key", key)[0] == 0, "it grew: " + said)
        # `nodes` is trusted by nobody.
        nodes = os.path.join(house.log, "nodes")
        with open(nodes, "rb") as file:
            kept = file.read()
        write(nodes, kept[:40] + bytes([kept[40] ^ 1]) + kept[41:])
        check(entry(700)[0], "forged nodes: the proof is made from the log")
        os.remove(nodes)
        check(entry(700)[0], "no nodes: the proof is made from the log")
        write(nodes, kept)
        house.stop()
        return judged(check, house, key, first)


def judged(check, house, key, first):
    """The log as it is and as it should not be, against heads."""
    last = write(os.path.join(house.place, "last"), audit("head", "--log", house.log, out=True)[1])
    copy = os.path.join(house.place, "copy")

    def verify(what, expect, *more, change=lambda: None):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(house.log, copy)
        change()
        status, said = audit("verify", "--log", copy, *more)
        check(status == expect, "%s: %d, not %d: %s" % (what, status, expect, said))

    def lose_heads():
        for name in ("head", "heads"):
            os.remove(os.path.join(copy, name))

    def cut(heads_too=False):
        """Cuts the last frame of the newest segment, and with it the service's stop."""
        path = os.path.join(copy, max(n for n in os.listdir(copy) if n.endswith(".seg")))
        with open(path, "rb") as file:
            data = file.read()
        at = data.rfind(b"CHF1")
        write(path, data[:at] + bytes(len(data) - at))
        heads_too and lose_heads()

    def rewrite():
        """The newest segment, every hash right; sealed ones before it would need their seals made anew."""
        path = os.path.join(copy, max(n for n in os.listdir(copy) if n.endswith(".seg")))
        start = int.from_bytes(open(path, "rb").read(48)[40:48], "big")
        assert relink(path, other_pid({start}), entries(copy)[:start]) == 1

    keys = ("--key", key)
    verify("as it is", 0, *keys, "--head", first)
    verify("as it is, last head", 0, *keys, "--head", last)
    verify("the control: a cut tail without a key", 0, change=cut)
    verify("a cut tail", 4, *keys, change=cut)
    verify("a cut tail, its heads too: they cannot tell", 0, *keys, change=lambda: cut(True))
    verify("a cut tail, its heads too, and a kept head", 4, *keys, "--head", last, change=lambda: cut(True))
    verify("the control: written anew, without a key", 0, change=rewrite)
    verify("written anew", 5, *keys, change=rewrite)
    verify("written anew, its heads too, and a kept head", 5, *keys, "--head", last, change=lambda: (rewrite(), lose_heads()))
    verify("a head before what was written anew", 0, *keys, "--head", first, change=lambda: (rewrite(), lose_heads()))
    other = key_text_of_another(house)
    verify("another's key", 6, "--key", other)
    with open(last, "rb") as file:
        good = file.read()
    for what, data, expect in (
            ("a kept head with another size", good.replace(b"\n", b"\n1", 1), 65), ("a kept head that was cut", good[:-20], 4),
            ("an empty kept head", b"", 65)):
        kept = write(os.path.join(house.place, "kept"), data)
        verify(what, expect, *keys, "--head", kept)
    verify("a kept head that is not there", 66, *keys, "--head", "/nonexistent")
    verify("no key", 64, "--head", last)
    check(audit("head", "--log", house.log, "--key", other)[0] == 6, "the newest head under another key")
    return forked(check, house, key, last)


def key_text_of_another(house):
    path = os.path.join(house.directory, "signing/another.key")
    subprocess.run([binary("chatelaine"), "signing-key", "init", path], check=True, stdout=subprocess.DEVNULL)
    return subprocess.run(
        [binary("chatelaine"), "signing-key", "show", path, "--log", house.log], check=True, capture_output=True,
        text=True).stdout.strip()


def forked(check, house, key, last):
    """Two lives from one copy, both under the real key: whoever kept a head of the one finds the other out."""
    old = os.path.join(house.place, "before-the-fork")
    shutil.copytree(house.directory, old)
    house.start()
    work(house, 100)
    house.stop()
    mine = write(os.path.join(house.place, "mine"), audit("head", "--log", house.log, out=True)[1])
    shutil.rmtree(house.directory)
    shutil.copytree(old, house.directory)
    house.start()
    work(house, 150)  # longer than mine, whatever else either life writes: a shorter one is TRUNCATED
    house.stop()
    keys = ("--key", key)
    check(audit("verify", "--log", house.log, *keys)[0] == 0, "the control: a fork is a whole log with good heads")
    status, said = audit("verify", "--log", house.log, *keys, "--head", mine)
    check(status == 5, "a fork and a kept head: %d %s" % (status, said))
    status, said = audit("verify", "--log", house.log, *keys, "--head", last)
    check(status == 0, "the control: a head of before the fork: %d %s" % (status, said))
    status, said = audit("prove", "consistency", mine, "--log", house.log)
    check(status == 5, "nobody proves a fork consistent: %d %s" % (status, said))
    check(refusal(house)[0] == 0, "and the service cannot know")


def main():
    check = Checks()
    for run in (vectors, proofs):
        check.part(run)
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
