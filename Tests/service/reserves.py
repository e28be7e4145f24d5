#!/usr/bin/env python3
"""What is kept back for the service and its operator, and what is told: descriptors that no caller gets, batches of more
keys than stay at hand, lists longer than a message, frames and fields that are none, a log that begins to refuse.
"""
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time

from house import Checks, House, binary
from wire import ADMIN, DATA, Admin, Data, field, fields

OTHER = 65534
# why: a start that is refused prints its sentence; so does a shell that may not lower its limit.
FEW = ["bash", "-c", 'ulimit -n "$0" && exec "$@"']


def main():
    check = Checks()
    for case in (few_descriptors, too_few, no_descriptor_for_the_log, small_batches, long_lists, frames, memory_given_back,
                 fields_once, configuration_of_another):
        began = time.monotonic()
        try:
            case(check)
        except (RuntimeError, AssertionError, OSError, EOFError, KeyError, subprocess.SubprocessError) as error:
            check(False, "%s: %r" % (case.__name__, error))
        print("ok: %s (%.1f s)" % (case.__name__.replace("_", " "), time.monotonic() - began), flush=True)
    return check.finish()


def status(house):
    """(doors by name, warnings) as status says."""
    admin = house.admin(timeout=10)
    reply = admin.status()
    admin.close()
    doors = {one[1].decode(): one for one in (dict(fields(door)) for door in reply.all(9))}
    return doors, [one.decode() for one in reply.all(10)]


# MARK: Descriptors

def as_user(uid, act):
    """A child of this uid that runs `act` and then waits until it is ended; its pid, once `act` is done."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            kept = act()
            os.write(writer, b"%d" % len(kept))
            time.sleep(120)
        finally:
            os._exit(0)
    os.close(writer)
    count = os.read(reader, 16)
    os.close(reader)
    return child, int(count or 0)


def crowd(path, count):
    def act():
        kept = []
        for _ in range(count):
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(0.2)
            try:
                one.connect(path)
            except OSError:
                break
            kept.append(one)
        return kept
    return act


def few_descriptors(check):
    """Two users take all the connections they get; the log, the store and the operator still have what they need."""
    if os.getuid() != 0:
        return print("skipped: two users need root")
    with House(start=False) as house:
        for path in (house.place, house.directory, os.path.join(house.directory, "run")):
            os.chmod(path, 0o711)
        house.replace('run/data.sock\n  mode: "0600"', 'run/data.sock\n  mode: "0666"')
        house.small_segments()
        house.start(wrapper=[*FEW, "256"])
        said, until = house.printed(), time.monotonic() + 10
        while " serving " not in said and time.monotonic() < until:  # its sockets are there a little before
            time.sleep(0.05)
            said = house.printed()
        check(" connections bounded " in said and "RLIMIT_NOFILE" in said, "256 descriptors: it says so: " + said[-300:])
        admin = house.admin()
        assert admin.create_tenant("acme").ok
        doors, warnings = status(house)
        most = doors["data"].get(5, 0), doors["admin"].get(5, 0)
        check(most[0] >= 64 and most[1] >= 8 and sum(most) <= 256 - 64, "256 descriptors: the doors have %s" % (most,))
        check(any("connections-max" in one for one in warnings), "256 descriptors: status says %s" % warnings)
        children = [as_user(uid, crowd(house.data_path, 300)) for uid in (OTHER, OTHER - 1)]
        time.sleep(1)
        try:
            open_now = len(os.listdir("/proc/%d/fd" % house.process.pid))
            check(open_now < 256, "256 descriptors: %d are open" % open_now)
            # New keys, whose rows the store reads, and entries enough for new segments.
            worked = [admin.create_key("acme", "k%d" % number).code for number in range(100)]
            check(worked == [None] * 100, "256 descriptors: the log and the store have theirs: %s" % set(worked))
            doors, warnings = status(house)
            check(not any("log" in one for one in warnings), "256 descriptors: status of a full door: %s" % warnings)
            check(doors["data"].get(3, 0) <= most[0], "256 descriptors: %s at the data door" % doors["data"].get(3))
            check(doors["data"].get(3, 0) >= most[0] - 2, "the control did not fail: the data door is full, %s of %s" % (
                doors["data"].get(3), most[0]))
        finally:
            for child, _ in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        check(house.stop() == 0 and house.verify() == 0, "256 descriptors: it stops with 0, and the log is valid")


def too_few(check):
    with House(start=False) as house:
        for options in ([], ["--check"]):
            ended = subprocess.run([*FEW, "80", *house.program, "--config", house.config, "--allow-root", *options],
                                   capture_output=True, text=True, timeout=20)
            check(ended.returncode == 78 and "RLIMIT_NOFILE" in ended.stderr,
                  "80 descriptors are refused: %d %s" % (ended.returncode, ended.stderr))


def no_descriptor_for_the_log(check):
    """Somebody takes the running service's descriptors away: the log says which limit it is, once, and when it is over."""
    if os.getuid() != 0:
        return print("skipped: taking descriptors away needs root")
    with House(start=False) as house:
        house.small_segments()
        house.start()
        admin, data, pid = house.admin(), house.data(), house.process.pid
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        assert data.encrypt("acme", "pay", b"x").ok and admin.status().ok
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, before[1]))
        batch, refused = [(b"x", {"k": "v%d" % number}) for number in range(1024)], 0
        for _ in range(200):
            refused += data.encrypt_batch("acme", "pay", batch).code == "AUDIT_UNAVAILABLE"
            if refused == 20:
                break
        # why: a small entry may fit where a large one does not.
        said = []
        for _ in range(2000):
            said = [one.decode() for one in admin.status().all(10)]
            if any("log" in one for one in said):
                break
        check(refused == 20 and any("no descriptor left" in one for one in said), "no descriptor: status says %s" % said)
        check(not any("disk is full" in one for one in said), "no descriptor: it is not the disk: %s" % said)
        time.sleep(0.3)
        lines = [one for one in house.printed().splitlines() if " the log refuses " in one]
        check(len(lines) == 1 and "no descriptor left" in lines[0], "no descriptor: told once: %s" % lines)
        check(" the log takes entries again" not in house.printed(), "the control did not fail: it refuses still")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        check(data.encrypt("acme", "pay", b"x").ok, "no descriptor: with one again it serves")
        until = time.monotonic() + 10
        while " the log takes entries again" not in house.printed() and time.monotonic() < until:
            data.encrypt("acme", "pay", b"x")
            time.sleep(0.1)
        check(house.printed().count(" the log takes entries again") == 1, "no descriptor: its end is told once")
        check(house.stop() == 0 and house.verify() == 0, "no descriptor: it stops with 0, and the log is valid")


# MARK: Batches

def small_batches(check):
    """A batch of more keys than half of `keys-at-hand`: those within are opened, the others told the bound, at once."""
    with House(settings="keys-at-hand: 16\n") as house:
        admin, data = house.admin(), house.data()
        assert admin.create_tenant("acme").ok
        sealed = []
        for number in range(40):
            assert admin.create_key("acme", "k%d" % number).ok
            sealed.append(data.encrypt("acme", "k%d" % number, b"%d" % number)[1])

        def opened(envelopes):
            reply = data.decrypt_batch("acme", [(one, None) for one in envelopes])
            results = [dict(fields(result)) for result in reply.all(1)]
            return [(one.get(1, b""), one.get(2, b"")) for one in results] if reply.ok else reply.code
        for _ in range(3):
            found = opened(sealed)
            check(found == [(b"%d" % n, b"") if n < 8 else (b"", b"LIMIT_EXCEEDED") for n in range(40)],
                  "a batch of 40 keys where 8 may be named: %s" % found)
            found = opened(sealed[20:28] * 3)
            check(found == [(b"%d" % n, b"") for n in range(20, 28)] * 3, "a batch of 8 keys is opened: %s" % found)


# MARK: Lists

def long_lists(check):
    """More than a page of keys, and of tenants: in order, each once, whatever the page; the command prints all."""
    with House() as house:
        admin, count = house.admin(timeout=120), 1003
        assert admin.create_tenant("acme").ok
        streams = [admin.send(ADMIN, "CreateKey", field(1, "acme") + field(2, "k%04d" % number)) for number in range(count)]
        assert all(admin.receive().ok for _ in streams)
        names = ["k%04d" % number for number in range(count)]

        def page(after, limit):
            message = field(1, "acme") + (field(2, after) if after else b"") + (field(3, limit) if limit else b"")
            reply = admin.call(ADMIN, "ListKeys", message)
            keys = [dict(fields(one))[1].decode() for one in reply.all(1)]
            return keys, reply[2].decode()
        for limit, wanted in ((0, 1000), (1000, 1000), (4_000_000_000, 1000), (7, 7), (1, 1)):
            keys, after = page("", limit)
            check(keys == names[:wanted] and after == names[wanted - 1], "a page of %d keys has %d" % (limit, len(keys)))
        check(page("k0999", 0) == (names[1000:], ""), "the last page")
        check(page("k0999x", 0)[0] == names[1000:] and page("zz", 5) == ([], ""), "a page behind what is no key, and the end")
        check(admin.call(ADMIN, "ListKeys", field(1, "acme") + field(2, "NO KEY")).code == "INVALID_REQUEST", "no name")
        (_, after), late = page("", 500), admin.create_key("acme", "k0001a")
        check(late.ok and page(after, 500)[0] == names[500:1000], "a key that is made between pages moves no other")
        shown = subprocess.run([binary("chatelaine"), "key", "list", "acme", "--admin-socket", house.admin_path],
                               capture_output=True, text=True, timeout=60)
        listed = [line.split()[0] for line in shown.stdout.splitlines()]
        check(listed == ["acme/" + name for name in sorted([*names, "k0001a"])], "the command lists %d" % len(listed))
        noted = [one for one in house.entries() if one["operation"] == "read-keys"]
        check(len(noted) >= 2 and all(one["tenant"] == "acme" for one in noted), "each page has an entry")


# MARK: What is none

def frames(check):
    """Frames of kinds that ttrpc does not have are passed over, as it says, and counted."""
    with House() as house:
        admin, data = house.admin(), house.data()
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        before = status(house)[0]
        for connection, count in ((data, 5), (admin, 3)):
            for kind in range(count):
                connection.send_raw(struct.pack(">IIBB", 4, 1, 2 + kind, 0) + b"none")
        check(data.encrypt("acme", "pay", b"x").ok and admin.status().ok, "frames of other kinds are passed over")
        after = status(house)[0]
        counts = [after[door].get(6, 0) - before[door].get(6, 0) for door in ("data", "admin")]
        check(counts == [5, 3], "frames of other kinds: status counts %s" % counts)
        check(house.stop() == 0, "it stops with 0")
        noted = sum(int(one["details"]["count"]) for one in house.entries() if one["class"] == "aggregate")
        check(noted == 8, "frames of other kinds: the log has %d" % noted)


def resident_mib(house):
    with open("/proc/%d/status" % house.process.pid) as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) >> 10


def memory_given_back(check):
    """What a crowd of large, unfinished frames needed does not stay with the service."""
    with House() as house:
        before, most = resident_mib(house), 0
        for _ in range(3):
            kept = []
            for _ in range(80):
                one = socket.socket(socket.AF_UNIX)
                one.connect(house.data_path)
                one.sendall(struct.pack(">IIBB", 4 << 20, 1, 1, 0) + bytes((4 << 20) - 10))
                kept.append(one)
            most = max(most, resident_mib(house))
            for one in kept:
                one.close()
            time.sleep(0.3)
        check(most > before + 200, "the control did not fail: %d MiB, then %d" % (before, most))
        until = time.monotonic() + 20
        while resident_mib(house) > before + 100 and time.monotonic() < until:
            time.sleep(0.2)
        after = resident_mib(house)
        check(after <= before + 100, "%d MiB before the crowd, %d with it, %d after" % (before, most, after))
        check(house.stop() == 0, "it stops with 0")


def fields_once(check):
    """Both doors: what is given twice, and what is not known, is refused, at the top and within."""
    with House() as house:
        admin, data = house.admin(), house.data()
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        whole = field(1, "acme") + field(2, "pay")
        more = field(8, field(2, "who"))
        calls = [(admin, ADMIN, "RotateKey", whole), (admin, ADMIN, "ListKeys", field(1, "acme")),
                 (data, DATA, "Encrypt", whole + field(3, b"x"))]
        bad = [("a tenant twice", field(1, "acme")), ("a field that is not known", field(13, "x")),
               ("an attribution twice", more + more), ("an attribution twice, once empty", field(8, b"") + more),
               ("an actor twice", field(8, field(2, "who") + field(2, "other"))),
               ("a field within that is not known", field(8, field(2, "who") + field(4, "x"))),
               ("a number where a text is", field(8, field(2, 7))), ("half a field within", field(8, b"\x12\x09who")),
               ("a text that is not UTF-8", field(8, field(2, b"\xff")))]
        for connection, service, method, message in calls:
            check(connection.call(service, method, message + more).ok, "the control did not fail: %s as it should be" % method)
            for what, addition in bad:
                reply = connection.call(service, method, message + addition)
                check(reply.code == "INVALID_REQUEST" and not reply.receipt, "%s with %s: %s" % (method, what, reply.code or "done"))
            for what, addition, sentence in ((bad[0][0], bad[0][1], "Field 1 is given twice."),
                                             (bad[1][0], bad[1][1], "Field 13 is not accepted here."),
                                             (bad[4][0], bad[4][1], "Field 2 is given twice."),
                                             (bad[5][0], bad[5][1], "Field 4 is not accepted here.")):
                said = connection.call(service, method, message + addition).sentence
                check(said == sentence, "%s with %s is told: %s" % (method, what, said))
        versions = {one["keyVersion"] for one in house.entries() if one["operation"] == "encrypt"}
        check(versions == {2}, "nothing that was refused was done: versions %s" % versions)


# MARK: The configuration as an application reads it

def run_as(uid, *command):
    return subprocess.run(["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups", *command],
                          capture_output=True, text=True, timeout=30, input="text")


def configuration_of_another(check):
    """`--config` of the service's user names the socket and who must serve it to an application's user."""
    if os.getuid() != 0 or run_as(OTHER, "true").returncode != 0:
        return print("skipped: another user needs root and setpriv")
    with House(start=False) as house:
        # The service's user is neither root nor the caller.
        owner = OTHER - 1
        for folder, names, files in os.walk(house.place):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                os.chown(path, owner, owner)
        for path in (house.place, house.directory, os.path.join(house.directory, "run")):
            os.chmod(path, 0o711)
        for path in (house.config, os.path.join(house.directory, "policy.yaml")):
            os.chmod(path, 0o644)
        house.replace('run/data.sock\n  mode: "0600"', 'run/data.sock\n  mode: "0666"')
        house.replace('principals: ["uid:0"]', 'principals: ["uid:%d"]' % OTHER, "policy.yaml")
        program = house.program
        house.program = ["setpriv", "--reuid=%d" % owner, "--regid=%d" % owner, "--clear-groups", *program]
        house.start()
        encrypt = [binary("chatelaine"), "encrypt", "acme/pay", "--config", house.config]
        ended = run_as(OTHER, *encrypt)
        check(ended.returncode == 66 and "NOT_FOUND" in ended.stderr,
              "an application's user with the service's configuration: %d %s" % (ended.returncode, ended.stderr))
        os.chmod(house.directory, 0o711)
        hidden = os.path.join(house.directory, "keyring")
        check(run_as(OTHER, "ls", hidden).returncode != 0, "the control did not fail: the keyring is closed to it")
        # A stranger's file that names somebody else's keyring does not say whom to trust.
        stranger = os.path.join(house.place, "stranger.yaml")
        with open(house.config) as source, open(stranger, "w") as file:
            file.write(source.read().replace("directory: keyring", 'directory: "%s"' % hidden)
                       .replace("path: run/", "path: %s/run/" % house.directory))
        os.chmod(stranger, 0o644)
        os.chown(stranger, OTHER - 2, OTHER - 2)
        encrypt[-1] = stranger
        ended = run_as(OTHER, *encrypt)
        check(ended.returncode == 77 and "--server-uid" in ended.stderr, "a stranger's file: %d %s" % (ended.returncode, ended.stderr))
        ended = run_as(OTHER, *encrypt, "--server-uid", str(owner))
        check(ended.returncode == 66, "a stranger's file, and who must serve: %d %s" % (ended.returncode, ended.stderr))
        # A keyring that cannot be seen: the user who hides it serves, unless that is root.
        os.chown(stranger, OTHER, OTHER)
        closed = os.path.join(house.place, "closed")
        os.mkdir(closed, 0o700)
        with open(stranger) as file:
            text = file.read()
        for place, wanted in ((hidden, "NOT_FOUND"), (closed, "cannot be seen")):
            with open(stranger, "w") as file:
                file.write(text.replace(hidden, place + "/deeper"))
            ended = run_as(OTHER, *encrypt)
            check(ended.returncode == 66 and wanted in ended.stderr, "hidden in %s: %d %s" % (place, ended.returncode, ended.stderr))
        os.chmod(stranger, 0o666)
        ended = run_as(OTHER, *encrypt, "--server-uid", str(owner))
        check(ended.returncode == 78, "a file that all may change: %d %s" % (ended.returncode, ended.stderr))


sys.exit(main())
