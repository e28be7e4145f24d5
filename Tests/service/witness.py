#!/usr/bin/env python3
"""Heads cosigned by outside witnesses: what `audit witness` sends, keeps and says, against a strict witness and against bad
ones, over a log that grew, was put back, or was forked."""
import base64
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import cosigned  # noqa: E402
import evidence  # noqa: E402
from house import Checks, House, binary  # noqa: E402
from proofs import audit, key_text, work, write  # noqa: E402
from witness_double import Witness, authority, context  # noqa: E402


class Anchoring:
    """A house, its key, witnesses A, B, C of which two are enough, and the directory of `audit witness`."""

    def __init__(self, house, witnesses):
        self.house, self.witnesses, self.key = house, witnesses, key_text(house)
        self.out = os.path.join(house.place, "witnessed")
        os.mkdir(self.out)
        for witness in witnesses:
            witness.logs = {self.key.split("+")[0]: evidence.parse_key(self.key)}
        self.policy = self.write_policy("policy", 2, witnesses)

    def write_policy(self, name, needed, witnesses, address=True):
        labels = "ABCDEFGH"[:len(witnesses)]
        lines = "".join(w.line(label, address) for w, label in zip(witnesses, labels))
        text = "log %s\n%sgroup G %d %s\nquorum G\n" % (self.key, lines, needed, " ".join(labels))
        return write(os.path.join(self.house.place, name), text.encode())

    def ask(self, *more, policy=None, log=None, key=None):
        return audit("witness", "--log", log or self.house.log, "--key", key or self.key, "--policy", policy or self.policy,
                     "--out", self.out, *more)

    def alarm(self):
        path = os.path.join(self.out, "alarm")
        return open(path).read() if os.path.exists(path) else None

    def cosigned(self):
        with open(os.path.join(self.out, "cosigned"), "rb") as file:
            return file.read()

    def forget(self):
        """As if `audit witness` had never run."""
        shutil.rmtree(self.out)
        os.mkdir(self.out)


def anchored(check):
    """MUST: HEAD-11, HEAD-12."""
    with House() as house, Witness("witness.example/a") as a, Witness("witness.example/b") as b, Witness("witness.example/c") as c:
        admin = house.admin()
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        work(house, 300)
        set_ = Anchoring(house, [a, b, c])
        status, said = set_.ask()
        check(status == 0 and "anchored: enough" in said and a.asked == b.asked == c.asked == [200], "the first head: %d %s" % (status, said))
        note = set_.cosigned()
        size = evidence.open_head(note, evidence.parse_key(set_.key))[1]
        times = [cosigned.cosigning(note, cosigned.parse_witness_key(w.key)) for w in (a, b, c)]
        check(size > 300 and all(isinstance(t, int) and abs(t - time.time()) < 60 for t in times), "the other implementation reads it: %s" % times)
        work(house, 700)
        status, said = set_.ask("--json")
        report = json.loads(said)
        check(status == 0 and report["anchored"] and report["entries"] > size and a.asked == [200, 200], "it grew: %d %s" % (status, said))
        check(set_.ask()[0] == 0 and a.asked == [200] * 3, "the same head again: a newer time")
        judged(check, set_, a)
        shown_missing(check, set_, work)
        conflicts(check, set_)
        bad_answers(check, set_)
        house.stop()
        put_back_and_forked(check, set_)


def judged(check, set_, a):
    """The cosigned head in the hands of whoever checks."""
    head, proof = os.path.join(set_.out, "cosigned"), os.path.join(set_.house.place, "proof")
    base = ("verify", "--log", set_.house.log, "--key", set_.key, "--head")
    with Witness("witness.example/stranger") as stranger:
        stranger_key = stranger.key
    for what, more, expect in (
            ("without witnesses", (), 0), ("one of them", ("--witness", a.key), 0), ("the policy", ("--witness", set_.policy), 0),
            ("a stranger", ("--witness", stranger_key), 8), ("one of them and a stranger", ("--witness", a.key, "--witness", stranger_key), 8),
            ("a log's key for a witness", ("--witness", set_.key), 78)):
        status, said = audit(*base, head, *more)
        check(status == expect, "verify --head, %s: %d %s" % (what, status, said))
    newest = write(os.path.join(set_.house.place, "newest"), audit("head", "--log", set_.house.log, out=True)[1])
    check(audit(*base, newest, "--witness", a.key)[0] == 8, "a head that nobody cosigned")
    check(audit(*base[:-1], "--witness", a.key)[0] == 64, "a witness without a head")
    assert audit("prove", "entry", 17, "--log", set_.house.log, "--head", head, "--out", proof)[0] == 0
    check(audit("check-proof", proof, "--key", set_.key, "--witness", set_.policy)[0] == 0, "a proof under a cosigned head")
    check(audit("check-proof", proof, "--key", set_.key, "--witness", stranger_key)[0] == 8, "a proof and a stranger")
    note = set_.cosigned()
    lines = note.split(b"\n")
    place = next(i for i, line in enumerate(lines) if b"witness.example/a" in line)
    blob = bytearray(base64.b64decode(lines[place].split(b" ")[2]))
    blob[40] ^= 1
    lines[place] = b" ".join(lines[place].split(b" ")[:2] + [base64.b64encode(bytes(blob))])
    forged = write(os.path.join(set_.house.place, "forged"), b"\n".join(lines))
    check(audit(*base, forged, "--witness", a.key)[0] == 65, "a changed cosignature")
    check(audit(*base, forged)[0] == 0, "the control: without --witness nobody looks at it")


def shown_missing(check, set_, work):
    """Witnesses that do not answer: one is too few to matter, two are an alarm once it took too long."""
    a, b, c = set_.witnesses
    before = set_.cosigned()
    work(set_.house, 100)
    down = lambda handler, _: a.reply(handler, 503)  # noqa: E731
    a.answer = down
    status, said = set_.ask()
    check(status == 0 and "witness.example/a: it cannot answer now (503)" in said, "one of three is down: %d %s" % (status, said))
    after, b.answer = set_.cosigned(), down
    check(after != before and cosigned.cosigning(after, cosigned.parse_witness_key(a.key)) is None, "only who cosigned is in it")
    work(set_.house, 100)
    status, said = set_.ask()
    check(status == 69 and set_.alarm() is None and set_.cosigned() == after, "two are down: %d %s" % (status, said))
    time.sleep(1.1)
    status, said = set_.ask("--alarm-after", 0)
    check(status == 9 and "ALARM" in said and "for longer than 0 s" in (set_.alarm() or ""), "for too long: %d %s" % (status, said))
    a.answer = b.answer = None
    status, said = set_.ask("--alarm-after", 0)
    check(status == 0 and set_.alarm() is None and "alarm is over" in said, "they are back: %d %s" % (status, said))


def conflicts(check, set_):
    """Sizes that the two sides remember differently."""
    a, b, c = set_.witnesses
    for name in os.listdir(set_.out):
        if name.startswith("witness-"):
            os.remove(os.path.join(set_.out, name))
    a.asked.clear()
    status, said = set_.ask()
    check(status == 0 and a.asked == [409, 200], "what was kept is lost: the witness says where it is: %d %s %s" % (status, a.asked, said))
    a.heads.clear()
    a.asked.clear()
    work(set_.house, 50)
    status, said = set_.ask()
    check(status == 0 and a.asked == [409, 200], "the witness forgot: it is shown everything anew: %d %s" % (status, said))
    a.answer = lambda handler, _: a.reply(handler, 409, b"99999999\n", "text/x.tlog.size")
    status, said = set_.ask()
    check(status == 4 and "cosigned 99999999 entries" in said and "99999999" in set_.alarm(), "a witness that is ahead: %d %s" % (status, said))
    a.answer = None
    check(set_.ask()[0] == 0 and set_.alarm() is None, "and no longer")
    kept = next(os.path.join(set_.out, n) for n in os.listdir(set_.out) if n.startswith("witness-"))
    with open(kept, "rb") as file:
        good = file.read()
    write(kept, good.replace(b"\n", b"\n1", 1))
    check(set_.ask()[0] == 65, "what was kept was changed")
    write(kept, good)


def bad_answers(check, set_):
    """Whatever a witness answers, it is no cosignature, and it ends."""
    house, key = set_.house, set_.key
    bad = Witness("witness.example/bad", [key])
    policy = set_.write_policy("bad-policy", 1, [bad])
    work(house, 50)

    def raw(data, wait=0):
        def answer(handler, _):
            try:
                handler.wfile.write(data)
                time.sleep(wait)
                handler.connection.close()
            except OSError:
                pass
        return answer

    def forged(handler, body):
        text = evidence.parse_note(body[body.find(b"\n\n") + 2:])[0]
        bad.reply(handler, 200, cosigned.cosign(bad.name, bad.seed, text.replace(b"\n", b"\n1", 1), int(time.time())))

    def ahead(handler, body):
        text = evidence.parse_note(body[body.find(b"\n\n") + 2:])[0]
        bad.reply(handler, 200, cosigned.cosign(bad.name, bad.seed, text, int(time.time()) + 3600))

    def endless(handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except OSError:
            pass

    set_.forget()
    with bad:
        for what, answer, words in (
                ("of another head", forged, "does not hold"), ("from the future", ahead, "from the future"),
                ("no signature", lambda h, _: bad.reply(h, 200, b"thanks\n"), "no witness's answer"),
                ("nothing", lambda h, _: bad.reply(h, 200), "without a cosignature of its own"),
                ("a redirect", lambda h, _: h.send_response(302) or h.send_header("Location", bad.url) or h.end_headers(), "(302)"),
                ("a size without its type", lambda h, _: bad.reply(h, 409, b"5\n"), "(409)"),
                ("sizes without end", Sizes(bad), "one other size after the other"),
                ("no HTTP", raw(b"220 mail.example ESMTP\r\n"), "not HTTP"), ("half an answer", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), "before its answer was whole"),
                ("too much", endless, "more than"), ("too late", raw(b"HTTP/1.1 200 OK\r\n", wait=3), "in time"),
                ("unknown log", lambda h, _: bad.reply(h, 404), "does not know this log"), ("other key", lambda h, _: bad.reply(h, 403), "another public key")):
            bad.answer = answer
            start = time.monotonic()
            status, said = set_.ask("--timeout", 1, policy=policy)
            check(status == 9 and words in said and time.monotonic() - start < 2.5, "%s: %d %s" % (what, status, said))
            check(not os.path.exists(os.path.join(set_.out, "cosigned")), what + ": nothing is kept")
        bad.answer = None
        check(set_.ask("--timeout", 1, policy=policy)[0] == 0, "the control: a good answer of the same witness")
    set_.forget()
    status, said = set_.ask(policy=policy)
    check(status == 9 and "takes no connection" in said, "nobody there: %d %s" % (status, said))
    for what, text, expect in (
            ("no quorum", "log %s\n%s" % (key, bad.line("A")), 65), ("quorum none", "quorum none\n", 78), ("no address", bad.line("A", False) + "quorum A\n", 78),
            ("in clear", bad.line("A").replace("127.0.0.1", "witness.example") + "quorum A\n", 78), ("another log", "log other+%s\n%squorum A\n" % (
                other_key(), bad.line("A")), 78)):
        place = write(os.path.join(house.place, "wrong"), text.encode())
        status, said = set_.ask(policy=place)
        check(status == expect, "a policy, %s: %d %s" % (what, status, said))


class Sizes:
    """Names another size each time."""

    def __init__(self, witness):
        self.witness, self.size = witness, 10

    def __call__(self, handler, _):
        self.size += 1
        self.witness.reply(handler, 409, b"%d\n" % self.size, "text/x.tlog.size")


def other_key():
    blob = b"\x01" + bytes(range(32))
    return evidence.key_id("other", blob[1:]).hex() + "+" + base64.b64encode(blob).decode()


def put_back_and_forked(check, set_):
    """A log that is older than its witnesses know, and one that is another."""
    house = set_.house
    set_.forget()
    old = os.path.join(house.place, "old")
    shutil.copytree(house.directory, old)
    house.start()
    work(house, 200)
    house.stop()
    status, said = set_.ask()
    check(status == 0, "before: %d %s" % (status, said))
    kept, log = set_.cosigned(), os.path.join(old, "log")
    status, said = set_.ask(log=log)
    check(status == 4 and "TRUNCATED" in said and "cut off" in set_.alarm() and set_.cosigned() == kept, "put back: %d %s" % (status, said))
    set_.forget()
    for witness in set_.witnesses:
        witness.asked.clear()
    status, said = set_.ask(log=log)
    check(status == 4 and set_.witnesses[0].asked == [409], "put back, and nothing kept: %d %s" % (status, said))
    # A second life from the old copy, longer than the first, under the real key.
    shutil.rmtree(house.directory)
    shutil.copytree(old, house.directory)
    house.start()
    work(house, 400)
    house.stop()
    set_.forget()
    status, said = set_.ask()
    check(status == 5 and "FORKED" in said and 422 in set_.witnesses[0].asked, "forked, and nothing kept: %d %s" % (status, said))
    write(os.path.join(set_.out, "cosigned"), kept)
    status, said = set_.ask()
    check(status == 5 and "FORKED" in said and set_.cosigned() == kept, "forked: %d %s" % (status, said))
    set_.forget()
    for witness in set_.witnesses:
        witness.strict = False
    check(set_.ask()[0] == 0, "the control: witnesses that check nothing find no fork")


def over_tls(check):
    with House() as house:
        place = house.place
        ca, other = authority(place, "ca"), authority(place, "other")
        trusted = ("--ca-file", os.path.join(place, "ca.pem"))
        key = key_text(house)
        set_ = None
        for what, tls, host, more, words in (
                ("by address", context(place, ca, "one", ["127.0.0.1"]), "127.0.0.1", trusted, None), ("by name", context(place, ca, "two", ["localhost"]), "localhost", trusted, None),
                ("another authority", context(place, other, "three", ["localhost"]), "localhost", trusted, "certificate does not hold"),
                ("only the system's authorities", context(place, ca, "four", ["localhost"]), "localhost", (), "certificate does not hold"),
                ("another name", context(place, ca, "five", ["witness.example"]), "localhost", trusted, "certificate does not hold"),
                ("a name for an address", context(place, ca, "six", ["localhost"]), "127.0.0.1", trusted, "certificate does not hold"),
                ("expired", context(place, ca, "seven", ["localhost"], days=-1), "localhost", trusted, "certificate does not hold"),
                ("no TLS", None, "localhost", trusted, "no TLS"),
                ("no file of authorities", context(place, ca, "eight", ["localhost"]), "localhost", ("--ca-file", "/dev/null"), "holds no certificates")):
            with Witness("witness.example/tls", [key], tls=tls) as witness:
                witness.scheme, witness.host = "https", host
                if set_ is None:
                    set_ = Anchoring(house, [witness])
                set_.forget()
                status, said = set_.ask(*more, policy=set_.write_policy("policy", 1, [witness]))
                check(status == (9 if words else 0) and (words or "anchored") in said, "TLS, %s: %d %s" % (what, status, said))


def watched(check):
    """Rounds one after the other, beside a service at work."""
    with House() as house, Witness("witness.example/a") as a:
        admin = house.admin()
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        set_ = Anchoring(house, [a])
        policy = set_.write_policy("policy", 1, [a])
        errors = os.path.join(house.place, "watch.err")
        with open(errors, "wb") as file:
            process = subprocess.Popen(
                [binary("chatelaine"), "audit", "witness", "--log", house.log, "--key", set_.key, "--policy", policy, "--out",
                 set_.out, "--watch", "--interval", "1", "--alarm-after", "1"], stdout=file, stderr=file)
        try:
            def cosigned_size():
                try:
                    return evidence.open_head(set_.cosigned(), evidence.parse_key(set_.key))[1]
                except OSError:
                    return 0

            check(wait(lambda: cosigned_size() > 0), "the first round")
            check(set_.ask(policy=policy)[0] == 75, "a second one in the same directory")
            size = cosigned_size()
            work(house, 100)
            check(wait(lambda: cosigned_size() > size + 90), "new entries")
            a.answer = lambda handler, _: a.reply(handler, 500)
            check(wait(lambda: set_.alarm() is not None), "an alarm")
            a.answer = None
            check(wait(lambda: set_.alarm() is None) and process.poll() is None, "it is over")
            house.stop()
            os.rename(house.log, house.log + ".gone")
            time.sleep(1.3)
            check(process.poll() is None, "a log that is not there is no end")
            os.rename(house.log + ".gone", house.log)
        finally:
            process.terminate()
            process.wait(10)
        with open(errors, "r") as file:
            said = file.read()
        check("ALARM" in said and "alarm is over" in said and said.count("\n") < 40, "what it said: " + said)


def wait(holds, seconds=8):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.05)
    return False


def main():
    check = Checks()
    for run in (anchored, over_tls, watched):
        check.part(run)
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
