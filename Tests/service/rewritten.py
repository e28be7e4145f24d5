#!/usr/bin/env python3
"""A log whose every hash is right and which is not the one that was written: what the key store knows of it is found
at a start, and no epoch hides what is there."""
import glob
import hashlib
import os
import shutil
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import evidence  # noqa: E402
from house import Checks, House, binary  # noqa: E402

HEADER, FRAME_HEADER, TRAILER = 4096, 48, 32


def sha256(data):
    return hashlib.sha256(data).digest()


def recommit(entry, before):
    """Makes tenant heads right again over the entries before them."""
    size = evidence.tenant_heads(bytes(entry))[0]
    found = evidence.histories(before[:size])
    entry[-32:] = evidence.root_of([history.leaf() for history in found.values()])


def relink(path, change, before=(), commits=True):
    """Lets `change(number, entry)` edit the entries of a log's newest segment, and makes every link right again, and
    unless told otherwise what tenant heads commit to; `before` has the entries of the segments before."""
    entries = list(before)
    with open(path, "rb") as file:
        data = bytearray(file.read())
    align = struct.unpack(">I", data[28:32])[0]
    at, previous, changed = HEADER, bytes(data[48:80]), 0
    while data[at:at + 4] == b"CHF1":
        count, length = struct.unpack(">II", data[at + 24:at + 32])
        place = at + FRAME_HEADER
        for _ in range(count):
            size = struct.unpack(">I", data[place:place + 4])[0]
            entry = data[place + 4:place + 4 + size]
            changed += bool(change(struct.unpack(">Q", entry[8:16])[0], entry))
            entry[16:48] = previous
            if commits and entry[1] == 7:
                recommit(entry, entries)
            entries.append(bytes(entry))
            data[place + 4:place + 4 + size] = entry
            previous, place = sha256(b"\0" + entry), place + 4 + size
        data[place:place + TRAILER] = sha256(b"\2" + data[at:at + FRAME_HEADER] + previous)
        at += (FRAME_HEADER + length + TRAILER + align - 1) // align * align
    with open(path, "wb") as file:
        file.write(data)
    return changed


def append_later_frame(path):
    """Puts a frame of a kind that is kept for later versions, whole, behind the last one of a segment."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    align, at = struct.unpack(">I", data[28:32])[0], HEADER
    while data[at:at + 4] == b"CHF1":
        number, first, count, length = struct.unpack(">QQII", data[at + 8:at + 32])
        nonce, at = data[at + 32:at + 48], at + (FRAME_HEADER + length + TRAILER + align - 1) // align * align
    body = b"a note"
    head = b"CHF1\2\0\0\0" + struct.pack(">QQII", number + 1, first + count, 0, len(body)) + nonce
    frame = head + body + sha256(b"\2" + head + body)
    data[at:at + len(frame)] = frame
    with open(path, "wb") as file:
        file.write(data)


def other_pid(numbers):
    """Another process did it, say these entries."""
    def change(number, entry):
        if number not in numbers:
            return False
        entry[84:88] = b"\0\0\1\1"
        return True
    return change


def exit_of(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def check_of(house):
    return exit_of(binary("chatelained"), "--config", house.config, "--check", "--allow-root")


def verify_of(house):
    return exit_of(binary("chatelaine"), "audit", "verify", "--log", house.log)


def starts(house):
    try:
        house.start()
        return house.stop() == 0
    except RuntimeError as error:
        return "the service ended with 65" not in str(error)


def used(house):
    """The entries' numbers: all, and those behind the store's last change."""
    admin, data = house.admin(), house.data()
    admin.create_tenant("acme")
    admin.create_key("acme", "k")
    for _ in range(5):
        assert data.encrypt("acme", "k", b"x").ok
    admin.close(), data.close()
    house.stop()
    entries = house.entries()
    last = max(e["sequence"] for e in entries if e["class"] == "intent")
    return [e["sequence"] for e in entries], last


def main():
    check = Checks()
    with House() as house:
        numbers, last = used(house)
        segment, = glob.glob(house.log + "/*.seg")
        shutil.copy(segment, house.place + "/kept")
        check(relink(segment, other_pid([])) == 0 and check_of(house)[0] == 0, "linked anew, unchanged: all is well")
        # MUST: STORE-10
        for number in (0, 2, last):
            shutil.copy(house.place + "/kept", segment)
            check(relink(segment, other_pid([number])) == 1, "entry %d is changed" % number)
            check(verify_of(house)[0] == 0, "its hashes are right: the log alone does not show it")
            code, text = check_of(house)
            check(code == 65 and "Entry %d " % last in text, "a check refuses the log: %d %s" % (code, text))
            check(not starts(house), "so does a start")
        shutil.copy(house.place + "/kept", segment)
        check(relink(segment, other_pid([last + 3])) == 1, "an entry behind the store's last change is changed")
        code, text = check_of(house)
        check(code == 65 and "signed over" in text, "a signed head finds it, in a check too: %d %s" % (code, text))
        for name in ("head", "heads"):
            os.rename(house.log + "/" + name, house.place + "/" + name)
        check(check_of(house)[0] == 0, "the control, and the stated limit: the key store does not know of it")
        for name in ("head", "heads"):
            os.rename(house.place + "/" + name, house.log + "/" + name)
        shutil.copy(house.place + "/kept", segment)

        # MUST: EPOCH-4
        with open(house.log + "/epoch-000001", "rb") as file:
            descriptor = bytearray(file.read())
        descriptor[24:28], descriptor[36:68] = b"\0\0\0\2", b"A" * 32
        forged = house.log + "/epoch-000002"
        for name in (forged, house.log + "/000002-0000000000.seg"):
            shutil.copy(segment, name)
        with open(forged, "wb") as file:
            file.write(descriptor)
        for code, text in (check_of(house), verify_of(house)):
            check(code == 65 and "epoch" in text, "another epoch is refused: %d %s" % (code, text))
        check(not starts(house), "a start refuses it too")
        os.remove(forged)
        check(verify_of(house)[0] == 65, "segments of another epoch are, without its descriptor")
        os.remove(house.log + "/000002-0000000000.seg")
        check(check_of(house)[0] == 0 and starts(house), "without them all is well")
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
