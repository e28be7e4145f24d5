#!/usr/bin/env python3
"""Signed heads of a running service: read by an implementation of its own, held against the log's bytes, and what a
start makes of a log that was cut back or put back."""
import glob
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import evidence  # noqa: E402
from house import Checks, House, binary  # noqa: E402


def entries(log):
    """Every entry, by the pages on segments and entries alone."""
    found = []
    for path in sorted(glob.glob(os.path.join(log, "*.seg"))):
        with open(path, "rb") as file:
            data = file.read()
        align, at = int.from_bytes(data[28:32], "big"), 4096
        while data[at:at + 4] == b"CHF1":
            count, length = int.from_bytes(data[at + 24:at + 28], "big"), int.from_bytes(data[at + 28:at + 32], "big")
            place = at + 48
            for _ in range(count if data[at + 4] == 1 else 0):
                size = int.from_bytes(data[place:place + 4], "big")
                found.append(data[place + 4:place + 4 + size])
                place += 4 + size
            at += (48 + length + 32 + align - 1) // align * align
    return found


def leaves(log):
    """The leaf hashes of every entry."""
    return [evidence.sha256(b"\0", entry) for entry in entries(log)]


def roots(hashes, sizes):
    """The RFC 6962 root at each size."""
    found, stack, wanted = {}, [], set(sizes)
    for index, leaf in enumerate(hashes):
        level = 0
        while index >> level & 1:
            leaf, level = evidence.node(stack.pop(), leaf), level + 1
        stack.append(leaf)
        if index + 1 in wanted:
            root = stack[-1]
            for one in reversed(stack[:-1]):
                root = evidence.node(one, root)
            found[index + 1] = root
    return found


def published(log):
    """The heads in `heads`, as notes."""
    with open(os.path.join(log, "heads"), "rb") as file:
        parts = file.read().split(b"\n\n")
    return [parts[i] + b"\n\n" + parts[i + 1] + b"\n" for i in range(0, len(parts) - 1, 2)]


def newest(log):
    """The notes in the two places of `head`."""
    with open(os.path.join(log, "head"), "rb") as file:
        data = file.read()
    return [note for note in (place.rstrip(b"\0") for place in (data[:4096], data[4096:])) if note]


def key_of(house):
    shown = subprocess.run(
        [binary("chatelaine"), "signing-key", "show", os.path.join(house.directory, "signing/log.key"), "--log", house.log],
        check=True, capture_output=True, text=True).stdout
    return evidence.parse_key(shown)


def refusal(house):
    """How a start ends: its status and what it says."""
    try:
        house.start()
    except RuntimeError as error:
        said = str(error).splitlines()
        return house.process.returncode, said[-1]
    house.stop()
    return 0, "it started"


def load(house, seconds, threads=4):
    def run():
        with_data = house.data()
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                with_data.encrypt("acme", "pay", b"x" * 50)
        except (OSError, EOFError, AssertionError, ValueError):
            pass
    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    return workers


def tenant(house):
    admin = house.admin()
    assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
    admin.close()


def check_all(house, key, check, what):
    """Every head that is there holds, and names the root of the log's own bytes."""
    heads = [evidence.open_head(note, key) for note in published(house.log) + newest(house.log)]
    found = leaves(house.log)
    computed = roots(found, [size for _, size, _ in heads])
    check(all(computed.get(size) == root for _, size, root in heads), what + ": a head is not the log's")
    return len(heads), max(size for _, size, _ in heads), len(found)


def cadence(check):
    with House(start=False) as house:
        anchor = os.path.join(house.place, "elsewhere")
        os.mkdir(anchor)
        house.replace("  # anchor: /mnt/elsewhere/chatelaine.head", "  anchor: " + anchor + "/newest")
        house.start()
        key = key_of(house)
        tenant(house)
        time.sleep(0.5)
        size = max(evidence.open_head(note, key)[1] for note in newest(house.log))
        check(size == len(leaves(house.log)), "idle: the newest head has %d entries" % size)
        before = len(published(house.log))
        for worker in load(house, 4):
            worker.join()
        made = len(published(house.log)) - before
        check(3 <= made <= 7, "under load: %d heads published in 4 s" % made)
        house.stop()
        with open(anchor + "/newest", "rb") as file:
            last = file.read()
        check(last == published(house.log)[-1], "the anchor has the last published head")
        count, size, entries = check_all(house, key, check, "after a stop")
        check(size == entries, "a stop: %d of %d entries have a head" % (size, entries))
        return "%d heads over %d entries" % (count, entries)


def kills(check):
    with House(start=False) as house:
        house.small_segments()
        house.start()
        key = key_of(house)
        tenant(house)
        for number in range(6):
            workers = load(house, 5)
            time.sleep(0.3 + 0.21 * number)
            house.kill()
            for worker in workers:
                worker.join()
            heads, size, entries = check_all(house, key, check, "kill %d" % number)
            check(size <= entries, "kill %d: a head over %d of %d entries" % (number, size, entries))
            house.start()
        house.stop()
        heads, size, entries = check_all(house, key, check, "after kills")
        check(size == entries and house.verify() == 0, "after kills: a head over %d of %d" % (size, entries))
        return "%d heads over %d entries" % (heads, entries)


def put_back(check):
    with House(start=False) as house:
        house.replace("  # anchor: /mnt/elsewhere/chatelaine.head", "  anchor: ../elsewhere/newest")
        os.mkdir(os.path.join(house.place, "elsewhere"))
        house.start()
        tenant(house)
        house.stop()
        old = os.path.join(house.place, "old")
        shutil.copytree(house.directory, old)
        house.start()
        data = house.data()
        for _ in range(20):
            assert data.encrypt("acme", "pay", b"x").ok
        data.close()
        house.stop()
        new = os.path.join(house.place, "new")
        shutil.copytree(house.directory, new)

        def restore(*names, source=old):
            for name in names:
                place = os.path.join(house.directory, name)
                shutil.rmtree(place) if os.path.isdir(place) else os.remove(place)
                copy = shutil.copytree if os.path.isdir(os.path.join(source, name)) else shutil.copy2
                copy(os.path.join(source, name), place)

        restore("store", "log")
        status, said = refusal(house)
        check(status == 65 and "were cut off, or an old copy" in said and "elsewhere/newest" in said, "old store and log: %d %s" % (status, said))
        restore("log/head", source=new)
        status, said = refusal(house)
        check(status == 65 and "'head'" in said, "old segments, new head: %d %s" % (status, said))
        restore("log/head")
        os.remove(os.path.join(house.place, "elsewhere/newest"))
        status, said = refusal(house)
        check(status == 0, "the control: nothing of later is left: %d %s" % (status, said))


def kept_apart(check):
    with House(start=False) as house:
        house.start()
        tenant(house)
        house.stop()
        head = os.path.join(house.log, "head")
        with open(head, "rb") as file:
            good = file.read()
        with open(head, "r+b") as file:
            for place in (60, 4096 + 60):
                file.seek(place)
                byte = file.read(1)
                file.seek(place)
                file.write(bytes([byte[0] ^ 1]))
        status, said = refusal(house)
        check(status == 65 and "not as it was written" in said, "damaged heads: %d %s" % (status, said))
        with open(head, "wb") as file:
            file.write(good)
        key = os.path.join(house.directory, "signing/log.key")
        os.rename(key, key + ".old")
        status, said = refusal(house)
        check(status == 66 and "no such signing key" in said, "no key: %d %s" % (status, said))
        subprocess.run([binary("chatelaine"), "signing-key", "init", key], check=True, stdout=subprocess.DEVNULL)
        status, said = refusal(house)
        check(status == 78 and "signed by another key" in said, "another key: %d %s" % (status, said))
        os.chmod(key, 0o440)
        status, said = refusal(house)
        check(status == 77 and "mode 0440" in said, "a key that others read: %d %s" % (status, said))
        os.rename(key + ".old", key)
        house.replace("  # anchor: /mnt/elsewhere/chatelaine.head", "  anchor: %s/gone/newest" % house.place)
        house.start()
        time.sleep(0.3)
        said = [one.decode() for one in house.admin().status().all(10)]
        check(any("anchor" in one and "cannot be written" in one for one in said), "no anchor: %s" % said)
        check(house.data().encrypt("acme", "pay", b"x").ok, "without its anchor the service serves on")
        house.stop()
        house.replace("  signing-key: signing/log.key\n", "")
        status, said = refusal(house)
        check(status == 78 and "signing-key" in said, "an anchor without a key: %d %s" % (status, said))
        house.replace("  anchor: %s/gone/newest" % house.place, "")
        house.start()
        said = [one.decode() for one in house.admin().status().all(10)]
        check(any("heads are not signed" in one for one in said), "no key in the configuration: %s" % said)
        check(house.data().encrypt("acme", "pay", b"x").ok, "without a key the service serves")
        house.stop()


def main():
    check = Checks()
    for run in (cadence, kills, put_back, kept_apart):
        check.part(run)
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
