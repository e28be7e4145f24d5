#!/usr/bin/env python3
"""A log that cannot be written: on a full tmpfs, at RLIMIT_FSIZE, on a file system turned read-only, in a segment that
was removed. No call is answered with a result; status says why; with space again the service serves within a second.

What a case needs and this machine lacks skips that case with a line.
"""
import os
import random
import resource
import shutil
import subprocess
import sys
import time

import ext4
import segments
from house import Checks, House
from traffic import Load, furnish, missing, undecryptable
from wire import ADMIN, field, fields

SLOW = bool(os.environ.get("CHATELAINE_SLOW"))


def every_call(house):
    """One call of each kind, well-formed: the codes they come back with, and their request ids."""
    connection, codes = house.data(), []
    envelope, wrapped = house.envelope, house.wrapped
    ids = [os.urandom(16) for _ in range(8)]
    replies = [
        connection.encrypt("acme", "pay", b"text", request_id=ids[0]),
        connection.decrypt("acme", envelope, request_id=ids[1]),
        connection.encrypt_batch("acme", "pay", [(b"a", None), (b"b", None)], request_id=ids[2]),
        connection.decrypt_batch("acme", [(envelope, None)], request_id=ids[3]),
        connection.issue("acme", "pay", request_id=ids[4]),
        connection.unwrap("acme", wrapped, request_id=ids[5]),
        connection.rewrap("acme", envelope, request_id=ids[6]),
        connection.encrypt("acme", "nokey", b"text", request_id=ids[7]),
    ]
    for reply in replies:
        codes.append(reply.code or ("OK" if reply.payload else "EMPTY"))
    connection.close()
    return codes, ids, replies


def log_status(house):
    """(whether the log accepts, the warnings) as status says."""
    admin = house.admin()
    reply = admin.status()
    admin.close()
    return bool(dict(fields(reply[4])).get(8, 0)), [one.decode() for one in reply.all(10)]


def prepare(house):
    acks = furnish(house).acks
    connection = house.data()
    house.envelope, house.wrapped = connection.encrypt("acme", "pay", b"text")[1], connection.issue("acme", "pay")[1]
    connection.close()
    return acks


def wait_refusing(house, seconds=60):
    """Until the log has taken nothing for a while: the last small entry may fit where others do not."""
    until, refusing = time.monotonic() + seconds, 0
    while refusing < 5 and time.monotonic() < until:
        refusing = 0 if log_status(house)[0] else refusing + 1
        time.sleep(0.05)


def check_refusing(check, house, name):
    """Nothing is given while the log cannot be written; the ids that were refused."""
    codes, ids, replies = every_call(house)
    check(codes == ["AUDIT_UNAVAILABLE"] * 8, "%s: calls were answered %s" % (name, codes))
    check(not any(reply.payload or reply.receipt for reply in replies), "%s: a refusal gave something" % name)
    reply = house.admin().act("RotateKey", "acme", "pay")
    check(reply.code == "AUDIT_UNAVAILABLE", "%s: a rotation was answered %s" % (name, reply.code))
    accepting, warnings = log_status(house)
    check(not accepting and any("log cannot be written" in one for one in warnings), "%s: status says %s" % (name, warnings))
    return ids


def seconds_until_served(house, again):
    """From the moment there is space again to the first result."""
    connection = house.data()
    again()
    began = time.monotonic()
    while time.monotonic() - began < 10:
        if connection.encrypt("acme", "pay", b"text").ok:
            return time.monotonic() - began
        time.sleep(0.01)
    return 99


def check_serving(check, house, name, seconds):
    check(seconds <= 1, "%s: it serves again after %.2f s" % (name, seconds))
    codes, _, _ = every_call(house)
    check(codes == ["OK"] * 7 + ["NOT_FOUND"], "the control did not fail: %s: with space calls are answered %s" % (name, codes))
    check(house.admin().act("RotateKey", "acme", "pay").ok, "%s: with space a key rotates" % name)
    accepting, warnings = log_status(house)
    check(accepting and not any("log" in one for one in warnings), "%s: status then says %s" % (name, warnings))


def check_after(check, house, name, acks, journal, refused, fills=1):
    """Valid, everything acknowledged there, and nothing of what was asked while it refused.

    Calls in flight when it began may be noted though they were refused: where the first frame of a turn still fitted."""
    gone, lost = len(missing(house, acks + journal.acks)), undecryptable(house, journal)
    check(gone == 0 and lost == 0, "%s: %d acknowledged entries missing, %d undecryptable" % (name, gone, lost))
    check(house.stop() == 0 and house.verify() == 0, "%s: it stops with 0, and the log is valid" % name)
    noted = {one.request_id for one in segments.entries(house.log).values()}
    check(refused and not noted & set(refused), "%s: calls that were refused are noted" % name)
    codes = {code for code, _ in journal.refused}
    check(codes == {"AUDIT_UNAVAILABLE"}, "%s: who waited was told %s" % (name, codes))
    in_flight = len(noted & {one for _, one in journal.refused})
    check(in_flight <= 128 * fills, "%s: %d calls that were refused are noted" % (name, in_flight))
    print("ok: %s (%d acknowledged, %d refused and %d of them noted, %d missing, %d undecryptable)" % (
        name, len(journal.acks), len(journal.refused), in_flight, gone, lost), flush=True)


def told(house, event):
    return [one for one in house.printed().splitlines() if " %s" % event in one]


def check_told(check, house, name, times, why):
    """The daemon's own output has a line for each beginning and each end, whatever is refused in between."""
    until = time.monotonic() + 10
    while len(told(house, "the log takes entries again")) < len(told(house, "the log refuses")) and time.monotonic() < until:
        time.sleep(0.1)
    began, ended = told(house, "the log refuses"), told(house, "the log takes entries again")
    check(1 <= len(began) <= 3 * times and len(ended) == len(began), "%s: told %d times, and its end %d times" % (
        name, len(began), len(ended)))
    check(all(why in one for one in began), "%s: told as %s" % (name, began[:1]))


# MARK: Space

def full_tmpfs(check):
    if os.getuid() != 0:
        return print("skipped: a full tmpfs needs root")
    name = "full tmpfs"
    with House(start=False) as house:
        house.small_segments()
        kept = house.log + ".kept"
        os.rename(house.log, kept)
        os.mkdir(house.log, 0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "none", house.log]).returncode != 0:
            return print("skipped: a full tmpfs needs mounts")
        try:
            shutil.copytree(kept, house.log, dirs_exist_ok=True)
            house.start()
            acks = prepare(house)
            load = Load(house, operator=False, seed=random.randrange(1 << 20), pause=0.002)
            size = 2
            refused, slowest = [], 0
            fills = 5 if SLOW else 2
            for _ in range(fills):
                load.pace(0.002)
                wait_refusing(house)
                # why: so that what is measured is the service, not eight busy clients.
                load.pace(0.05)
                refused += check_refusing(check, house, name)
                size += 2
                grow = ["mount", "-o", "remount,size=%dm" % size, house.log]
                seconds = seconds_until_served(house, lambda: subprocess.run(grow, check=True))
                slowest = max(slowest, seconds)
                check(seconds <= 1, "%s: it serves again after %.2f s" % (name, seconds))
            journal = load.end(stop=True)
            subprocess.run(["mount", "-o", "remount,size=64m", house.log], check=True)
            time.sleep(0.2)
            check_serving(check, house, name, slowest)
            check_told(check, house, name, fills, "its disk is full")
            check_after(check, house, name, acks, journal, refused, fills)
            print("    served again within %.3f s of space" % slowest)
        finally:
            house.end()
            subprocess.run(["umount", "-l", house.log])


def file_size_limit(check):
    name = "RLIMIT_FSIZE"
    with House() as house:
        acks = prepare(house)
        load = Load(house, operator=False, seed=random.randrange(1 << 20), pause=0.002)
        time.sleep(0.3)
        pid = house.process.pid
        old = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        # why: below the end of what the log holds by now, so that its next frame is refused.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (8192, old[1]))
        wait_refusing(house)
        load.pace(0.05)
        refused = check_refusing(check, house, name)
        seconds = seconds_until_served(house, lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, old))
        journal = load.end(stop=True)
        check_serving(check, house, name, seconds)
        check_told(check, house, name, 1, "RLIMIT_FSIZE")
        check_after(check, house, name, acks, journal, refused)


# MARK: The store's disk

def rotation_of(admin):
    """(finished, why it waits) of the newest rotation."""
    rotation = dict(fields(admin.call(ADMIN, "MasterStatus", b"")[3] or b""))
    return bool(rotation.get(3)), rotation.get(5, b"").decode()


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.05)
    return bool(what())


def make_tenants(admin, count):
    for start in range(0, count, 500):
        for n in range(start, start + 500):
            admin.send(ADMIN, "CreateTenant", field(1, "tenant-%05d" % n))
        assert all(admin.receive().ok for _ in range(500))


def fill(path):
    """Takes what is left of the disk."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        while os.write(file, bytes(4096)):
            pass
    except OSError:
        pass
    os.close(file)


def full_store(check, tenants=1000):
    """The store's disk fills up in a rotation: data is served on, and changes go on when there is space, without a start."""
    name = "the store's disk full"
    if os.getuid() != 0:
        return print("skipped: %s needs root" % name)
    with House(start=False) as house:
        store = os.path.join(house.directory, "store")
        os.rename(store, store + ".kept")
        os.mkdir(store, 0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "none", store]).returncode != 0:
            return print("skipped: %s needs mounts" % name)
        try:
            shutil.copytree(store + ".kept", store, dirs_exist_ok=True)
            house.start()
            prepare(house)
            make_tenants(house.admin(timeout=300), tenants)
            check(house.stop() == 0, "%s: it stops with 0" % name)
            house.start()
            disk, ballast = os.statvfs(store), os.path.join(store, "ballast")
            with open(ballast, "wb") as file:
                file.write(bytes(max(0, disk.f_bavail * disk.f_frsize - (160 << 10))))
            admin = house.admin(timeout=60)
            check(admin.call(ADMIN, "RotateMaster", field(1, 1)).ok, "%s: the rotation begins" % name)
            check(wait_for(lambda: "disk is full" in rotation_of(admin)[1]), "%s: the rotation says why it waits: %s" % (
                name, rotation_of(admin)))
            fill(ballast)
            codes = {admin.call(ADMIN, "CreateTenant", field(1, "more-%d" % n)).code for n in range(200)}
            check("BUSY" in codes and codes <= {"BUSY", None, ""}, "%s: changes are answered %s" % (name, codes))
            check(every_call(house)[0] == ["OK"] * 7 + ["NOT_FOUND"], "%s: data is served" % name)
            warnings = log_status(house)[1]
            check(not any("restart" in one for one in warnings), "%s: status says %s" % (name, warnings))
            os.unlink(ballast)
            check(wait_for(lambda: rotation_of(admin)[0]), "%s: with space the rotation ends: %s" % (name, rotation_of(admin)))
            check(admin.call(ADMIN, "CreateTenant", field(1, "with-space")).ok, "%s: with space a tenant is made" % name)
            check(house.stop() == 0 and house.verify() == 0, "%s: it stops with 0, and the log is valid" % name)
            with open(ballast, "wb"):
                pass
            fill(ballast)
            refused = subprocess.run(
                [*house.program, "--config", house.config, "--allow-root"], capture_output=True, text=True, timeout=60)
            check(refused.returncode == 74, "%s: a start ends with %d" % (name, refused.returncode))
            check("disk is full" in refused.stderr, "%s: a start says %s" % (name, refused.stderr))
            os.unlink(ballast)
            house.start()
            check(house.stop() == 0, "%s: it starts again" % name)
            print("ok: %s (%d tenants)" % (name, tenants), flush=True)
        finally:
            house.end()
            subprocess.run(["umount", "-l", store])


# MARK: Disks that turn against the log

def check_ended(check, house, name, load, acks, mend, status):
    """It told nobody what was not durable, and starts again once the disk is mended."""
    try:
        ended = house.process.wait(10 if status == 74 else 1)
    except subprocess.TimeoutExpired:
        ended = None
        check_refusing(check, house, name)
        house.kill()
    check(ended == status, "%s: it ended with %s, not %s" % (name, ended, status))
    journal = load.end()
    codes = {code for code, _ in journal.refused}
    check(codes <= {"AUDIT_UNAVAILABLE"}, "%s: who waited was told %s" % (name, codes))
    mend()
    house.start()
    gone, lost = len(missing(house, acks + journal.acks)), undecryptable(house, journal)
    check(gone == 0 and lost == 0, "%s: %d acknowledged entries missing, %d undecryptable" % (name, gone, lost))
    check(house.stop() == 0 and house.verify() == 0, "%s: it stops with 0, and the log is valid" % name)
    print("ok: %s (%d acknowledged, %d refused, %d missing, %d undecryptable)" % (
        name, len(journal.acks), len(journal.refused), gone, lost), flush=True)


def read_only(check):
    """An aborted ext4 takes no write any more: refused like a full disk, for it may come back."""
    name = "a file system turned read-only"
    try:
        with ext4.Disk() as disk, House(parent=disk.path, start=False) as house:
            house.start()
            acks = prepare(house)
            load = Load(house, operator=False, seed=random.randrange(1 << 20))
            time.sleep(0.5)
            subprocess.run(["mount", "-o", "remount,abort", disk.path], stderr=subprocess.DEVNULL)

            def mend():
                disk.unmount()
                disk.mount()

            check_ended(check, house, name, load, acks, mend, None)
            disk.remount("ro")
            refused = subprocess.run([*house.program, "--config", house.config, "--allow-root"], capture_output=True,
                                     text=True)
            check(refused.returncode == 74, "a start on it ends with %d: %s" % (refused.returncode, refused.stderr[-300:]))
            disk.remount("rw")
            house.start()
            check(house.stop() == 0 and house.verify() == 0, "it starts once the file system is writable again")
    except ext4.Unavailable as why:
        print("skipped: %s: %s" % (name, why))


def removed_segment(check):
    """What is written to a file without a name is nowhere."""
    name = "a live segment removed"
    with House() as house:
        acks = prepare(house)
        load = Load(house, operator=False, seed=random.randrange(1 << 20))
        time.sleep(0.4)
        path, kept = unlink_newest(house.log)
        with kept:

            def mend():
                with open(path, "wb") as again:
                    shutil.copyfileobj(kept, again)

            check_ended(check, house, name, load, acks, mend, 74)


def unlink_newest(log):
    """The newest segment's path, and the file that stood there. One that the writer had left meanwhile is put back."""
    while True:
        path = segments.segments(log)[-1]
        kept = open(path, "rb")
        os.unlink(path)
        if all(one < path for one in segments.segments(log)):
            return path, kept
        with kept, open(path, "wb") as again:
            shutil.copyfileobj(kept, again)


def main():
    check = Checks()
    seed = int(os.environ.get("CHATELAINE_SEED", random.randrange(1 << 30)))
    random.seed(seed)
    print("a log that cannot be written: CHATELAINE_SEED=%d" % seed, flush=True)
    for case in (full_store, full_tmpfs, file_size_limit, read_only, removed_segment):
        case(check)
    return check.finish()


sys.exit(main())
