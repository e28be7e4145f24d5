#!/usr/bin/env python3
"""The master key rotated under traffic, cut off everywhere: master-rotation.py [--tenants N] [--every N] [--kills N].

A library in front of libc kills the service just before its n-th write, sync, rename or cut of a file, counted from the
operator's first word of a rotation to the last, n from 1 to the last one (in the ordinary run: every so many). After
each, a start finds out what was done; the rotation goes on or is begun again, and at its end everything opens, the
census adds up, and no row of a tenant's key has changed. Then kills at random moments under traffic; two rotations at
once; and how much slower traffic is meanwhile (printed, not judged).
"""
import argparse
import contextlib
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
import time

from house import Checks, House, binary
from traffic import Load, furnish, missing, undecryptable
from wire import ADMIN, Data, field, fields

SLOW = bool(os.environ.get("CHATELAINE_SLOW"))
FAULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults")
PRIMARY, IN_USE, PENDING, RETIRED, UNKNOWN = 1, 2, 3, 4, 5


class Killer:
    """Kills a service at its n-th change of a file."""

    def __init__(self, place):
        self.library, self.file = os.path.join(place, "killer.so"), os.path.join(place, "killer")
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("clang")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", self.library, os.path.join(FAULTS, "killer.c"),
                        "-ldl"], check=True)
        self.arm(0)

    @property
    def environment(self):
        return {"LD_PRELOAD": self.library, "KILLER": self.file}

    def arm(self, limit):
        if not os.path.exists(self.file):
            with open(self.file, "wb") as file:
                file.write(bytes(16))
        # why: in place, for the service has it mapped.
        with open(self.file, "r+b") as file:
            file.write(struct.pack("<qq", limit, 0))

    @property
    def count(self):
        with open(self.file, "rb") as file:
            return struct.unpack("<qq", file.read(16))[1]


class Status:
    """`chatelaine master status`, read off the wire."""

    def __init__(self, reply):
        self.versions = {}
        for one in reply.all(1):
            parts = dict(fields(one))
            self.versions[parts[1]] = parts
        self.roots = reply[2] or 0
        self.rotation = dict(fields(reply[3])) if reply[3] else {}

    def in_state(self, state):
        return [version for version, parts in self.versions.items() if parts.get(2) == state]

    @property
    def primary(self):
        return self.in_state(PRIMARY)[0]

    def on(self, version):
        return self.versions[version].get(6, 0)

    @property
    def is_rewrapping(self):
        return bool(self.rotation) and not self.rotation.get(3)

    @property
    def words(self):
        return " ".join("v%d=%d" % (version, parts.get(2, 0)) for version, parts in sorted(self.versions.items()))


def status(admin):
    return Status(admin.call(ADMIN, "MasterStatus", b""))


def wait_until_rewrapped(admin, seconds=300):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now = status(admin)
        if not now.is_rewrapping:
            return now
        time.sleep(0.02)
    raise RuntimeError("the rewrapping does not end: %s" % now.rotation)


def rotate(admin, single_copy=True):
    return admin.call(ADMIN, "RotateMaster", field(1, 1) if single_copy else b"")


def retire(admin, version):
    return admin.call(ADMIN, "RetireMaster", field(1, version))


def value_in_file(house, version):
    """The key check value of a version, as its file says it."""
    with open(os.path.join(house.keyring, "master-%06d.key" % version), "rb") as file:
        return file.read()[32:64]


class Scene:
    """A house with many tenants, envelopes of some, and what must not change."""

    def __init__(self, house, tenants, check):
        self.house, self.tenants, self.check = house, tenants, check
        self.envelopes, self.refused_while_needed = [], 0
        admin, data = house.admin(timeout=600), house.data()
        names = ["tenant-%06d" % n for n in range(tenants)]
        for start in range(0, tenants, 500):
            part = names[start:start + 500]
            for name in part:
                admin.send(ADMIN, "CreateTenant", field(1, name))
            assert all(admin.receive().ok for _ in part)
        for name in random.sample(names, min(40, tenants)):
            assert admin.create_key(name, "k").ok
            text = random.randbytes(30)
            self.envelopes.append((name, data.encrypt(name, "k", text)[1], text))
        admin.close()
        data.close()
        self.keys = self.rows()

    def sql(self, statement):
        path = "file:%s?mode=ro" % os.path.join(self.house.directory, "store/keys.sqlite")
        # why: a connection that is left open through a kill keeps SQLite's index as it was.
        with contextlib.closing(sqlite3.connect(path, uri=True)) as db:
            return db.execute(statement).fetchall()

    def rows(self):
        """What a rotation leaves alone: tenants' keys, and the tenants but for the wrapping of their roots."""
        return (self.sql("SELECT * FROM key_versions ORDER BY 1, 2, 3"), self.sql("SELECT * FROM tenant_keys ORDER BY 1, 2"),
                self.sql("SELECT id, root_id, root_version, state, created FROM tenants ORDER BY id"))

    def begin(self, admin):
        """A whole rotation in the operator's words; EOFError where the service died of it."""
        old = status(admin).primary
        reply = rotate(admin)
        assert reply.ok, reply.sentence
        # why: nobody can have rewrapped a whole store by now.
        refused = retire(admin, old)
        if not refused.ok and "still needed" in refused.sentence:
            self.refused_while_needed += 1
        wait_until_rewrapped(admin)
        if not refused.ok:
            last = retire(admin, old)
            assert last.ok, last.sentence

    def finish(self, admin):
        """From whatever is left of a rotation to a state in which the next can begin."""
        now = wait_until_rewrapped(admin)
        if now.in_state(PENDING):
            reply = admin.call(ADMIN, "CommitMaster", field(1, self.house_value(now.in_state(PENDING)[0])))
            self.check(reply.ok, "a pending version is committed: %s" % reply.sentence)
        elif now.in_state(UNKNOWN):
            reply = rotate(admin)
            self.check(reply.ok and reply[1] in now.in_state(UNKNOWN), "a version of the keyring is taken up")
        now = wait_until_rewrapped(admin)
        self.check(now.on(now.primary) == now.roots, "all are on v%d: %s" % (now.primary, now.words))
        for version in now.in_state(IN_USE):
            reply = retire(admin, version)
            self.check(reply.ok, "v%d is retired: %s" % (version, reply.sentence))

    def house_value(self, version):
        return value_in_file(self.house, version)

    def cursor_holds(self):
        """No tenant before the cursor is on another version; asked of the file itself, right after a crash."""
        for version, cursor, finished in self.sql("SELECT version, cursor, finished FROM rotations ORDER BY version DESC LIMIT 1"):
            behind = self.sql("SELECT count(*) FROM tenants WHERE bucket < %d AND substr(wrapped, 41, 4) <> x'%08x'"
                              % (cursor, version))[0][0]
            self.check(behind == 0, "%d tenants before the cursor are on another version than v%d" % (behind, version))

    def holds(self, where):
        data, admin = self.house.data(), self.house.admin()
        for name, envelope, text in self.envelopes:
            self.check(data.decrypt(name, envelope)[1] == text, "%s: an envelope of %s opens" % (where, name))
        now = status(admin)
        counted = sum(parts.get(6, 0) for parts in now.versions.values())
        total = self.sql("SELECT count(*) FROM tenants")[0][0]
        self.check(counted == now.roots == total, "%s: the census adds up: %d %d %d" % (where, counted, now.roots, total))
        self.check(all(a == b for a, b in zip(self.keys, self.rows())), "%s: tenants' keys are as they were" % where)
        data.close()
        admin.close()


def died(house):
    """Waits for a service that is dying; whether it was killed."""
    try:
        return house.process.wait(20) == -9
    except subprocess.TimeoutExpired:
        return False


def recovered(house):
    return [one for one in house.entries("--operation", "master-add", "--operation", "master-commit")
            if one.get("class") == "recovered"]


def at_each_step(check, tenants, every):
    """Kills at the n-th change of a file of a rotation. How many kills there were, and the states that starts found."""
    with House(start=False, settings="\nallow: [preload]\n") as house:
        killer = Killer(house.place)
        house.start(environment=killer.environment)
        scene = Scene(house, tenants, check)
        n, kills, seen = random.randrange(1, every + 1), 0, {}
        while not check.failed:
            admin = house.admin(timeout=120)
            killer.arm(n)
            try:
                scene.begin(admin)
                last = killer.count
                killer.arm(0)
                break
            except (EOFError, OSError):
                pass
            killer.arm(0)
            if not check(died(house), "the service was killed at step %d" % n):
                break
            kills += 1
            scene.cursor_holds()
            house.start(environment=killer.environment)
            admin = house.admin(timeout=120)
            words = status(admin)
            state = (len(words.in_state(PENDING)), len(words.in_state(UNKNOWN)), len(words.in_state(IN_USE)))
            seen[state] = seen.get(state, 0) + 1
            scene.finish(admin)
            scene.holds("after a kill at step %d" % n)
            admin.close()
            n += random.randrange(1, every + 1) if every > 1 else 1
        check(house.verify() == 0, "the log is valid")
        check(scene.refused_while_needed > 0, "a version that is needed was never refused to be retired")
        check(house.stop() == 0, "it stops with 0")
        checked = subprocess.run([house.program[0], "--check", "--config", house.config, "--allow-root"],
                                 stdout=subprocess.DEVNULL, env={**os.environ})
        check(checked.returncode == 0, "everything holds: exit %d" % checked.returncode)
        print("at each step: %d tenants, %d kills of %d steps; left behind (pending, only in the keyring, in use): %s; "
              "%d times retire was refused in between" % (tenants, kills, last if not check.failed else 0, seen,
                                                        scene.refused_while_needed), flush=True)


def under_traffic(check, tenants, kills):
    """Random kills while traffic and rotations run."""
    with House(start=False) as house:
        house.start()
        acks = furnish(house).acks
        scene = Scene(house, tenants, check)
        done, rotations, resumed = 0, 0, 0
        while done < kills and not check.failed:
            done += 1
            load, stop = Load(house, clients=4, seed=done, operator=False), time.monotonic() + random.uniform(0.02, 1.5)
            operator = threading.Thread(target=rotate_for_ever, args=(house, scene), daemon=True)
            operator.start()
            time.sleep(max(0, stop - time.monotonic()))
            house.kill()
            operator.join(60)
            journal = load.end()
            acks += journal.acks
            scene.cursor_holds()
            house.start(wait=60)
            admin = house.admin(timeout=300)
            resumed += status(admin).is_rewrapping
            gone = missing(house, journal.acks)
            check(not gone, "%d acknowledged entries are missing" % len(gone))
            scene.finish(admin)
            rotations = status(admin).primary - 1
            scene.holds("after random kill %d" % done)
            check(undecryptable(house, journal) == 0, "an envelope of the traffic does not open")
            admin.close()
        check(house.verify() == 0 and house.stop() == 0, "the log is valid, and it stops with 0")
        print("under traffic: %d kills, %d rotations, %d found unfinished, %d acknowledged, %d tenants" % (
            done, rotations, resumed, len(acks), tenants), flush=True)


def rotate_for_ever(house, scene):
    try:
        admin = house.admin(timeout=120)
        while True:
            scene.finish(admin)
            scene.begin(admin)
    except (EOFError, OSError, AssertionError, IndexError):
        pass


def value_is_not_told(check, house, admin, replies):
    """What commits version 2 is in no answer and in no line of the service: only its file, and a copy of it, has it."""
    value = value_in_file(house, 2)
    replies = replies + [rotate(admin), admin.call(ADMIN, "MasterStatus", b""), admin.status(),
                         admin.call(ADMIN, "CommitMaster", field(1, bytes(32)))]
    told = b"".join(reply.raw for reply in replies)
    for words in (["master", "status"], ["master", "status", "--json"], ["status"], ["status", "--json"],
                  ["master", "commit", "00" * 32], ["master", "rotate", "--json"]):
        run = subprocess.run([binary("chatelaine"), *words, "--config", house.config], capture_output=True)
        told += run.stdout + run.stderr
    with open(os.path.join(house.place, "stderr"), "rb") as file:
        told += file.read()
    check(value not in told and value.hex().encode() not in told, "the value of a version that waits is told")
    first = value_in_file(house, 1)
    check(first in told and first.hex().encode() in told, "the control did not fail: a value in use is told")


def two_at_once(check):
    with House() as house:
        replies = []
        callers = [threading.Thread(target=lambda: replies.append(rotate(house.admin(), single_copy=False)))
                   for _ in range(2)]
        for one in callers:
            one.start()
        for one in callers:
            one.join()
        check(sorted(reply.code or "" for reply in replies) == ["", "CONFLICT"], "one runs, the other has CONFLICT")
        admin = house.admin()
        check("waits for its second copy" in rotate(admin).sentence, "and is told what is under way")
        value_is_not_told(check, house, admin, replies)
        # A pending version, over a restart and with a wrong key check value.
        house.stop()
        house.start()
        admin = house.admin()
        now = status(admin)
        check(now.in_state(PENDING) == [2], "a pending version survives a restart: %s" % now.words)
        check(admin.call(ADMIN, "CommitMaster", field(1, bytes(32))).code == "INVALID_REQUEST", "a wrong key check value")
        copy = os.path.join(house.place, "copy")
        shutil.copytree(house.keyring, copy)
        import json
        shown = json.loads(subprocess.run([binary("chatelaine"), "keyring", "check", copy, "--json"], check=True,
                                          capture_output=True, text=True).stdout)
        value = bytes.fromhex(shown["versions"][-1]["keyCheckValue"])
        check(admin.call(ADMIN, "CommitMaster", field(1, value)).ok, "the second copy's key check value commits it")
        wait_until_rewrapped(admin)
        # A version that the store needs is taken away.
        house.stop()
        os.rename(os.path.join(house.keyring, "master-000002.key"), os.path.join(house.place, "away"))
        ended = subprocess.run([house.program[0], "--config", house.config, "--allow-root"], capture_output=True, text=True)
        check(ended.returncode == 65 and "version 2" in ended.stderr,
              "a start names what it lacks: %d %s" % (ended.returncode, ended.stderr))


class Prober(threading.Thread):
    """Encrypts one after the other and notes how long each took."""

    def __init__(self, house):
        super().__init__(daemon=True)
        self.connection, self.times, self.stop = house.data(), [], threading.Event()

    def run(self):
        while not self.stop.is_set():
            start = time.perf_counter()
            assert self.connection.encrypt("acme", "pay", b"x" * 100).ok
            self.times.append(time.perf_counter() - start)

    def p99(self):
        self.stop.set()
        self.join()
        return sorted(self.times)[int(len(self.times) * 0.99)] * 1000


def slower(check, tenants, seconds=4):
    """Traffic beside rotations, against traffic alone; and the rate. Printed only."""
    with House() as house:
        furnish(house)
        Scene(house, tenants, check)
        ratios = []
        for _ in range(2):
            figures = []
            for rotating in (False, True):
                probers = [Prober(house) for _ in range(4)]
                for one in probers:
                    one.start()
                until, moved, took = time.monotonic() + seconds, 0, 0.0
                admin = house.admin(timeout=600)
                while rotating and time.monotonic() < until:
                    start = time.monotonic()
                    check(rotate(admin).ok, "it rotates")
                    wait_until_rewrapped(admin)
                    took, moved = took + time.monotonic() - start, moved + tenants
                time.sleep(max(0, until - time.monotonic()))
                figures.append(max(one.p99() for one in probers))
                if rotating:
                    print("rotation: %d tenants, %.0f tenants/s under traffic" % (tenants, moved / took), flush=True)
            ratios.append(figures[1] / figures[0])
            print("p99 of traffic: %.2f ms quiet, %.2f ms while rotating: ratio %.2f" % (*figures, ratios[-1]), flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--tenants", type=int, default=100000 if SLOW else 1000)
    options.add_argument("--step-tenants", type=int, default=5000 if SLOW else 300)
    options.add_argument("--every", type=int, default=1 if SLOW else 60)
    options.add_argument("--kills", type=int, default=20 if SLOW else 3)
    options.add_argument("--only", choices=["steps", "traffic", "two", "slower"])
    given = options.parse_args()
    seed = int(os.environ.get("CHATELAINE_SEED", random.randrange(1 << 30)))
    random.seed(seed)
    check = Checks()
    print("master rotation: CHATELAINE_SEED=%d" % seed, flush=True)
    if given.only in (None, "two"):
        two_at_once(check)
    if given.only in (None, "steps"):
        at_each_step(check, given.step_tenants, given.every)
    if given.only in (None, "traffic"):
        under_traffic(check, given.tenants, given.kills)
    if given.only == "slower" or (SLOW and given.only is None):
        slower(check, given.tenants)
    return check.finish()


sys.exit(main())
