#!/usr/bin/env python3
"""A tenant's whole history: exported from a service's log and checked by two implementations, with the public key and
nothing else. Whatever is left out of it is found, and so is a log that commits to other histories than it has."""
import json
import os
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import evidence  # noqa: E402
from heads import entries  # noqa: E402
from house import Checks, House, binary  # noqa: E402
from proofs import CODES, audit, key_text, key_text_of_another, write  # noqa: E402
from rewritten import append_later_frame, other_pid, relink  # noqa: E402

FILES = ("entries.jsonl", "history.proof")


def place_of(name): return "/tmp/chatelaine-%s-%d" % (name, os.getpid())


def judge(check, what, expect, directory, key, tenant=None):
    """Both implementations say so."""
    status, said = audit("verify-export", directory, "--key", key, *(["--tenant", tenant] if tenant else []))
    second = evidence.export_verdict(directory, key, tenant and tenant.encode())
    return check(status == CODES[expect] and second == expect, "%s: %d and %s, not %s: %s" % (what, status, second, expect, said))


# MUST: HIST-6, HIST-7, HIST-8, HIST-9, HIST-10, HIST-11
def vectors(check):
    """Every vector through the command."""
    with open(os.path.join(HERE, "../Vectors/histories.json")) as file:
        content = json.load(file)
    place, key = place_of("history"), content["verifierKey"]
    for one in content["exports"]:
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
        for name, data in zip(FILES, (one["lines"], one["proof"])):
            if name not in one["missing"]:
                write(os.path.join(place, name), bytes.fromhex(data))
        judge(check, one["name"], one["expect"], place, key, one["tenant"] or None)
    shutil.rmtree(place)
    check(audit("verify-export", place, "--key", key)[0] == 66, "a directory that is not there")


def tenants(house, *names):
    admin = house.admin()
    for name in names:
        assert admin.create_tenant(name).ok and admin.create_key(name, "k").ok
    admin.close()


def work(house, name, count):
    data = house.data()
    for _ in range(count):
        assert data.encrypt(name, "k", b"x").ok
    data.close()


def export(house, tenant, name, *more):
    place = os.path.join(house.place, name)
    status, said = audit("export", "--log", house.log, "--tenant", tenant, "--out", place, *more)
    return status, said, place


def own(house, tenant, size): return [e for e in entries(house.log)[:size] if evidence.entry_fields(e)[4] == tenant.encode()]


def lines_of(directory):
    with open(os.path.join(directory, FILES[0]), "rb") as file:
        return file.read().splitlines(keepends=True)


def exports(check):
    with House(start=False) as house:
        house.small_segments()
        house.start()
        tenants(house, "acme", "beta", "idle")
        nobody = house.data()
        for number in range(20):
            assert not nobody.encrypt("nobody-%d" % number, "k", b"x").ok
        nobody.close()
        for _ in range(6):
            work(house, "acme", 3), work(house, "beta", 40)
        house.stop()
        key = key_text(house)
        log = entries(house.log)
        check(evidence.check_tenant_heads(log)[0] is None, "the other implementation finds every tenant heads right")
        check(audit("verify", "--log", house.log, "--key", key)[0] == 0, "so does this one")
        for tenant in ("acme", "beta", "idle", "_service"):
            status, said, place = export(house, tenant, tenant)
            judge(check, tenant, "valid", place, key, tenant)
            check(len(lines_of(place)) == len(own(house, tenant, len(log) - 1)), "%s: all its entries but what came last: %s" % (tenant, said))
        shown = audit("verify-export", os.path.join(house.place, "acme"), "--key", key, "--show")[1].splitlines()
        wanted = audit("show", "--log", house.log, "--tenant", "acme")[1].splitlines()
        check(shown[:-4] == wanted and shown[-4].startswith("VALID"), "what is shown is what the log shows: %s" % shown[-5:])
        status, said, _ = export(house, "nobody-3", "nobody")
        check(status == 66 and "no history" in said, "a tenant that nobody made: %d %s" % (status, said))
        status, said, place = export(house, "acme", "acme")
        check(status == 73, "a finished export is left alone: %d %s" % (status, said))
        status, said, _ = export(house, "acme", "other", "--head", write(os.path.join(house.place, "bad"), b"x"))
        check(status in (4, 65), "a head that is none: %d %s" % (status, said))
        edited(check, house, place, key)
        interrupted(check, house, key)
        return forged(check, house, key)


def edited(check, house, place, key):
    """The export with something wrong in it; the control is the export itself."""
    lines, copy = lines_of(place), os.path.join(house.place, "edited")
    proof = open(os.path.join(place, FILES[1]), "rb").read()
    others = lines_of(os.path.join(house.place, "beta"))
    os.mkdir(copy)

    def judged(what, expect, given, file=proof, tenant=None, under=key):
        write(os.path.join(copy, FILES[0]), b"".join(given))
        write(os.path.join(copy, FILES[1]), file)
        judge(check, what, expect, copy, under, tenant)

    judged("the control", "valid", lines)
    for index in range(len(lines)):
        judged("entry %d of %d left out" % (index, len(lines)), "tampered", lines[:index] + lines[index + 1:])
    judged("all but the first half", "tampered", lines[:len(lines) // 2])
    judged("an entry of beta for one of acme", "tampered", lines[:3] + [others[0]] + lines[4:])
    judged("one of acme's own twice", "tampered", lines[:3] + [lines[2]] + lines[3:])
    judged("beta's entries with acme's proof", "tampered", others)
    judged("acme's entries under the name of beta", "tampered", lines, proof.replace(b"tenant acme", b"tenant beta"))
    judged("for another tenant", "tampered", lines, tenant="beta")
    judged("no entry", "truncated", [])
    judged("cut", "truncated", lines[:-1] + [lines[-1][:-9]])
    judged("the proof cut", "truncated", lines, proof[:-9])
    judged("another public key", "wrong-key", lines, under=key_text_of_another(house))


# MUST: HIST-13
def interrupted(check, house, key):
    """An export that is killed while it reads leaves nothing that is whole; the same command does it then."""
    for number in range(5):
        place = os.path.join(house.place, "killed-%d" % number)
        process = subprocess.Popen(
            [binary("chatelaine"), "audit", "export", "--log", house.log, "--tenant", "beta", "--out", place],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.02 * number)
        process.kill()
        if process.wait() == 0 or not os.path.isdir(place):
            continue
        finished = os.path.exists(os.path.join(place, FILES[1]))
        status = audit("verify-export", place, "--key", key)[0]
        check(status == 0 if finished else status in (3, 4), "killed after %d ms: %d" % (20 * number, status))
        if not finished:
            check(export(house, "beta", place)[0] == 0, "begun again")
            judge(check, "begun again", "valid", place, key)
    place = os.path.join(house.place, "half")
    os.mkdir(place)
    write(os.path.join(place, FILES[0]), b"".join(lines_of(os.path.join(house.place, "beta"))[:7]))
    judge(check, "entries without their proof", "truncated", place, key)
    check(export(house, "beta", place)[0] == 0, "an export that was not finished is begun again")
    judge(check, "begun again", "valid", place, key)


# MUST: HIST-5
def forged(check, house, key):
    """Logs whose every hash is right, with tenant heads that are not; heads signed over the true log are not looked at."""
    newest = os.path.join(house.log, max(n for n in os.listdir(house.log) if n.endswith(".seg")))
    kept = open(newest, "rb").read()
    start = int.from_bytes(kept[40:48], "big")
    every = entries(house.log)
    before = every[:start]
    heads = [number for number, entry in enumerate(every) if entry[1] == 7 and number >= start]
    # The last entry that the first of them covers; between the two there may be some that it does not.
    heads = [number for number in heads if evidence.tenant_heads(every[number])[0] > start]
    covered = evidence.tenant_heads(every[heads[0]])[0] - 1

    def verify(what, expect, number, change, commits=True):
        write(newest, kept)
        assert relink(newest, change, before, commits) == 1, what
        status, said = audit("verify", "--log", house.log)
        named = number is None or "entry %d," % number in said
        check(status == expect and named, "%s: %d %s" % (what, status, said))
        check((evidence.check_tenant_heads(entries(house.log))[0]) == number, "%s: the other implementation" % what)

    def root(number, entry):
        if number != heads[0]:
            return False
        entry[-1] ^= 1
        return True

    verify("a root that is another", 65, heads[0], root, commits=False)
    append_later_frame(newest)
    status, said = audit("verify", "--log", house.log)
    check(status == 65 and "entry %d," % heads[0] in said, "nor does a later version's frame behind it hide that: %d %s" % (status, said))
    write(newest, kept)
    append_later_frame(newest)
    check(audit("verify", "--log", house.log)[0] == 78, "the control: such a frame alone")
    write(newest, kept)
    assert relink(newest, root, before, False) == 1
    page = os.path.join(house.place, "page.html")
    status, _ = audit("report", "--log", house.log, "--out", page)
    check(status == 65 and "says other than the entries before it" in open(page).read(), "a report says so, too: %d" % status)
    verify("an entry rewritten before it", 65, heads[0], other_pid({covered}), commits=False)
    verify("the control: whoever writes anew makes the commitments, too", 0, None, other_pid({covered}))
    verify("the control: behind the last commitment", 0, None, other_pid({heads[-1]}), commits=False)
    status, said = audit("verify", "--log", house.log, "--key", key)
    check(status == 5, "which a head shows: %d %s" % (status, said))
    place = os.path.join(house.place, "rewritten")
    status, said = audit("export", "--log", house.log, "--tenant", "acme", "--out", place)
    check(status == 5, "and nobody exports from it: %d %s" % (status, said))
    write(newest, kept)
    return "%d tenant heads" % len([e for e in entries(house.log) if e[1] == 7])


def kills(check):
    """Killed under load, again and again: what a start commits to is right, whatever lies beside the log."""
    with House(start=False) as house:
        house.small_segments()
        house.start()
        tenants(house, "acme", "beta")
        key = key_text(house)
        for number in range(4):
            def load(name):
                try:
                    while True:
                        work(house, name, 20)
                except (OSError, EOFError, AssertionError, ValueError):
                    pass
            workers = [threading.Thread(target=load, args=(name,)) for name in ("acme", "beta", "acme")]
            for worker in workers:
                worker.start()
            time.sleep(1.1 + 0.17 * number)
            house.kill()
            for worker in workers:
                worker.join()
            wrong, count = evidence.check_tenant_heads(entries(house.log))
            check(wrong is None and count > number, "kill %d: entry %s of %d is wrong" % (number, wrong, count))
            kept = os.path.join(house.log, "tenants")
            if number == 2 and os.path.exists(kept):
                os.remove(kept)
            house.start()
            if number == 1:
                house.stop()
                house.start()
        house.stop()
        check(audit("verify", "--log", house.log, "--key", key)[0] == 0, "verify after the kills")
        for tenant in ("acme", "beta"):
            status, said, place = export(house, tenant, tenant)
            judge(check, "after the kills", "valid", place, key, tenant)
            size = len(entries(house.log)) - 1
            check(len(lines_of(place)) == len(own(house, tenant, size)), "all of %s: %s" % (tenant, said))
        return "%d entries" % len(entries(house.log))


def idle(check):
    """A service that is asked nothing writes nothing about itself."""
    with House() as house:
        tenants(house, "acme")
        time.sleep(1)
        before = len(entries(house.log))
        time.sleep(3)
        check(len(entries(house.log)) == before, "an idle service wrote %d entries" % (len(entries(house.log)) - before))
        house.stop()
        house.start()
        house.stop()
        found = [entry[1] for entry in entries(house.log)]
        check(2 <= found.count(7) <= 4 and found[-1] == 7, "a commitment at each stop, one more at a start: %s" % found)


def main():
    check = Checks()
    for run in (vectors, exports, kills, idle):
        check.part(run)
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
