#!/usr/bin/env python3
"""Reviewers read the log over a socket: what their rules name and nothing else, each look noted before it is answered; and
what they are given of a tenant's history is whole, or is found not to be, by two verifiers."""
import base64
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import evidence  # noqa: E402
from heads import entries  # noqa: E402
from histories import FILES, judge, lines_of, tenants, work  # noqa: E402
from house import Checks, House, binary  # noqa: E402
from proofs import audit, key_text, write  # noqa: E402
from wire import Connection, attribution, field, fields  # noqa: E402

LOG = "chatelaine.v1.LogService"
REVIEWER = """  - name: %s
    role: reviewer
    principals: ["uid:%d"]
    tenants: ["%s"]
    operations: [%s]
"""


class Reader(Connection):
    """The calls of proto/chatelaine/v1/log_service.proto."""

    def list(self, tenant="", limit=0, token=b"", newest=False, more=b"", **about):
        message = b"".join(field(n, v) for n, v in ((1, tenant), (2, limit), (3, token), (4, int(newest))) if v)
        return self.call(LOG, "ListEntries", message + more + attribution(**about))

    def history(self, tenant, limit=0, token=b""):
        message = b"".join(field(n, v) for n, v in ((1, tenant), (2, limit), (3, token)) if v)
        return self.call(LOG, "GetHistory", message)

    def first_history(self, tenant, limit=0):
        until = time.time() + 20
        while True:
            reply = self.history(tenant, limit)
            if reply.ok or reply.code != "BUSY" or time.time() > until:
                return reply
            time.sleep(0.1)


def shown(reply):
    """[(epoch, sequence, leaf hash, entry)] of a page."""
    return [tuple(dict(fields(one)).get(n, 0) for n in (1, 2, 3, 4)) for one in reply.all(1)]


def pages(ask):
    """All replies of a question, one after the other."""
    replies = [ask(b"")]
    while replies[-1].ok and replies[-1][2]:
        replies.append(ask(replies[-1][2]))
    return replies


def review(house, tenant, words="log-read"):
    """The policy's reviewer sees this, from now on."""
    path = os.path.join(house.directory, "policy.yaml")
    with open(path) as file:
        kept = file.read().split("  - name: reviewers")[0]
    write(path, (kept + REVIEWER % ("reviewers", os.geteuid(), tenant, words)).encode())
    if house.process:
        house.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)


def leaf_hash(entry): return evidence.sha256(b"\0", entry)


def tenant_of(entry): return evidence.entry_fields(entry)[4].decode()


def sight(house, check):
    """Both doors show the tenant's entries as the files have them, and nothing of anybody else."""
    log = entries(house.log)
    for path in (house.data_path, house.admin_path):
        reader = Reader(path)
        acme = [n for n, e in enumerate(log) if tenant_of(e) == "acme"]
        got = [one for page in pages(lambda token: reader.list(token=token)) for one in shown(page)]
        check([one[1] for one in got][:len(acme)] == acme, "what is the reviewer's, and nothing else")
        check(all(log[n] == e and h == leaf_hash(e) and epoch == 1 for epoch, n, h, e in got[:len(acme)]), "as the log has it")
        newest = shown(reader.list("acme", 5, newest=True))
        log = entries(house.log)
        acme = [n for n, e in enumerate(log) if tenant_of(e) == "acme"]
        check([one[1] for one in newest] == acme[-2:-7:-1], "newest first, but for the look itself")
        look = evidence.entry_fields(log[-1])
        check(acme[-1] == len(log) - 1 and log[-1][2:4] == b"\x00\x83" and look[4] == b"acme", "the look is in the log")
        for other in ("beta", "nobody", "_service"):
            reply = reader.list(other)
            check(reply.code == "NOT_FOUND" and reply.sequence == len(entries(house.log)) - 1, "%s: %s" % (other, reply.code))
        check(reader.history("beta").code == "NOT_FOUND", "nor its history")
        check(reader.list("acme", more=field(6, "k") + field(9, "encrypt")).ok, "the control: a filter")
        for what, more in (("no word", field(9, "decrypted")), ("a key of no tenant", field(6, "K")), ("no id", field(11, b"x"))):
            check(reader.list("acme", more=more).code == "INVALID_REQUEST", what)
        check(reader.call(LOG, "Forget", b"").code == "NOT_FOUND", "no other method")
        reader.close()


def order(house, check):
    """A page is there only once its look is in the file; without an entry there is no page."""
    reader = Reader(house.data_path)
    for number in range(6):
        reply = reader.list("acme", 1, request_id=bytes([1] * 15 + [number + 1]))
        log = entries(house.log)
        noted = reply.receipt
        check(noted[4] == leaf_hash(log[noted[3]]) and log[noted[3]][100:116] == bytes([1] * 15 + [number + 1]), "noted")
    reader.close()


def exports(house, key, check):
    """A history over the wire, a few entries at a time; anything left out is found."""
    reader, place = Reader(house.data_path), os.path.join(house.place, "wire")
    first = reader.first_history("acme", 3)
    if not check(first.ok and first[3], "a history: %s" % first.sentence):
        return
    replies = [first] + (pages(lambda token: reader.history("acme", 3, token or first[2])) if first[2] else [])
    check(len(replies) > 2 and not any(r[3] for r in replies[1:]), "in pages, the proof with the first: %d" % len(replies))
    lines = [b'{"sequence":%d,"entry":"%s"}\n' % (n, base64.b64encode(e)) for r in replies for _, n, _, e in shown(r)]
    os.mkdir(place)

    def judged(what, expect, given):
        write(os.path.join(place, FILES[0]), b"".join(given))
        write(os.path.join(place, FILES[1]), first[3])
        judge(check, what, expect, place, key, "acme")

    judged("the control: all of what was sent", "valid", lines)
    for index in range(len(lines)):
        judged("entry %d of %d left out" % (index, len(lines)), "tampered", lines[:index] + lines[index + 1:])
    check(reader.history("acme", 5, first[2][:-1] + b"\0").code == "INVALID_REQUEST", "a token of nothing")
    check(reader.list("acme", token=first[2]).code == "INVALID_REQUEST", "a history's token for a list")
    reader.close()


def commands(house, key, check):
    """The command line over the socket gives what it gives of the files."""
    way = ("--socket", house.data_path)
    out = os.path.join(house.place, "export")
    status, said = audit("export", *way, "--tenant", "acme", "--out", out)
    check(status == 0 and "complete up to" in said, "exported: %s" % said)
    judge(check, "what the command wrote", "valid", out, key, "acme")
    judge(check, "in the name of another", "tampered", out, key, "beta")
    for what in (("--log", house.log), way):
        place = os.path.join(house.place, "nothing")
        status, said = audit("export", *what, "--tenant", "nope", "--out", place)
        check(status == 66 and not os.path.exists(place), "no tenant, no directory: %d %s" % (status, said))
    last = len(entries(house.log))
    for more in ((), ("--operation", "encrypt"), ("--newest-first",), ("--key", "k", "--outcome", "ok", "--format", "csv"),
                 ("--principal", "uid:%d" % os.geteuid(), "--limit", "7"), ("--actor", "a\\x0ab"), ("--json", "--after", "9")):
        both = [audit("show", *where, "--tenant", "acme", "--before", str(last), *more) for where in (("--log", house.log), way)]
        check(both[0] == both[1] and both[0][0] == 0 and both[0][1], "show %s: %s" % (more, both[1][1][-200:]))
    status, said = audit("show", "--log", house.log, *way)
    check(status == 64 and "give one of them" in said, "files or a service: %s" % said)
    check(audit("show", *way, "--follow")[0] == 64 and audit("export", *way, "--tenant", "acme", "--out", out, "--epoch", "1")[0] == 64,
          "what only files give")


def crowded(house, check):
    """A user in no rule, on many connections, keeps no reviewer out."""
    if os.getuid() != 0:
        print("skipped: a crowd needs root to be another user")
        return
    door = os.path.join(house.place, "open.sock")
    os.chmod(house.place, 0o711)
    os.link(house.data_path, door)
    os.chmod(door, 0o666)
    children = []
    for _ in range(24):
        child = os.fork()
        if child == 0:
            os.setgroups([]), os.setgid(65534), os.setuid(65534)
            stranger = Reader(door)
            while stranger.list("acme").code in ("BUSY", "NOT_FOUND"):
                time.sleep(0.001)
            os._exit(1)
        children.append(child)
    time.sleep(0.5)
    reader = Reader(house.data_path)
    codes = [reader.list("acme", 5).code for _ in range(10)]
    check(codes == [None] * 10, "a reviewer in a crowd: %s" % codes)
    for child in children:
        check(os.waitpid(child, os.WNOHANG) == (0, 0), "the control: the crowd asks on")
        os.kill(child, signal.SIGKILL), os.waitpid(child, 0)
    reader.close()


def main():
    check = Checks()
    with House(start=False) as house:
        house.small_segments()
        review(house, "acme")
        house.start()
        tenants(house, "acme", "beta")
        data = house.data()
        assert data.encrypt("acme", "k", b"x", actor="a\nb").ok
        data.close()
        for _ in range(3):
            work(house, "acme", 2), work(house, "beta", 200)
        key = key_text(house)
        for run, given in ((exports, (house, key)), (sight, (house,)), (order, (house,)), (crowded, (house,)), (commands, (house, key))):
            check.part(run, *given)
        review(house, "*")
        reader = Reader(house.admin_path)
        check(reader.list("_service").ok and reader.list("beta").ok, "the control: whose rule is for all tenants")
        replies = pages(lambda token: reader.list(limit=100, token=token))
        got = [one[1] for r in replies for one in shown(r)]
        check(got == list(range(len(got))) and len(replies) > 2, "everything, in pages over several segments: %d" % len(got))
        review(house, "*", "status")
        check(reader.list().code == "NOT_FOUND", "without log-read, on a connection that had it")
        reader.close()
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
