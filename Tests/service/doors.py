#!/usr/bin/env python3
"""What operators and reviewers can rely on at the doors: a receipt for every act and refusal, warnings of what was moved
away or is not as it was written, sockets that a service manager passes on, and the unit of a caller in its entry.
"""
import json
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time

from house import Checks, House, binary
from wire import ADMIN, DATA, Admin, Data, field


def main():
    check = Checks()
    with House() as house:
        receipts(check, house)
        no_receipt(check, house)
        batches_by_key(check, house)
        faults(check, house)
        revoked_operator(check)
        units(check, house)
        malformed(check, house)
    moved_away(check)
    passed_sockets(check)
    activated(check)
    units_of_systemd(check)
    return check.finish()


def entry_of(house, reply):
    """The entry that a receipt names, or None."""
    if not reply.receipt:
        return None
    found = [one for one in house.entries() if one["sequence"] == reply.receipt[3]]
    return found[0] if found and found[0]["leafHash"] == reply.receipt[4].hex() else None


def receipts(check, house):
    admin = house.admin()
    acts = [("CreateTenant", None, "ok"), ("CreateTenant", None, "failed"), ("CreateKey", "pay", "ok"),
            ("CreateKey", "pay", "failed"), ("RotateKey", "pay", "ok"), ("RotateKey", "none", "denied"),
            ("DisableKey", "pay", "ok"), ("EnableKey", "pay", "ok"), ("EnableKey", "none", "denied")]
    for method, key, outcome in acts:
        request_id = os.urandom(16)
        reply = admin.act(method, "acme", key, request_id)
        entry = entry_of(house, reply)
        what = "%s %s has a receipt of its entry" % (method, reply.code or "done")
        check(reply.ok == (outcome == "ok") and entry is not None, what)
        check(entry and entry["outcome"] == outcome and entry["requestId"] == request_id.hex(), what + ": " + str(entry))
    reply = admin.act("ListKeys", "nobody")
    check(reply.code == "NOT_FOUND" and entry_of(house, reply), "a look that is refused has a receipt")
    admin.close()


def no_receipt(check, house):
    """A server that says "done" and nothing of where that is noted."""
    path = os.path.join(house.place, "mute.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    receipt = field(15, field(1, bytes(16)) + b"\x15\1\0\0\0" + b"\x19\7\0\0\0\0\0\0\0" + field(4, bytes(32)))
    answers = [field(1, 2), b"", field(1, 2) + field(15, b""), field(1, 2) + receipt]

    def serve():
        for answer in answers:
            connection, _ = listener.accept()
            connection.recv(4096)
            body = field(1, b"") + (field(2, answer) if answer else b"")
            connection.sendall(struct.pack(">IIBB", len(body), 1, 2, 0) + body)
            connection.recv(4096)
            connection.close()
    server = threading.Thread(target=serve, daemon=True)
    server.start()
    command = [binary("chatelaine"), "key", "rotate", "acme/pay", "--admin-socket", path, "--server-uid", str(os.getuid())]
    codes = [subprocess.run(command, capture_output=True, timeout=30).returncode for _ in answers]
    check(codes[:3] == [76] * 3, "a change without a receipt is no reply: %s" % codes)
    check(codes[3] == 0, "the control did not fail: one with a receipt is a reply: %s" % codes)
    listener.close()


def show(house, *options):
    return subprocess.run([binary("chatelaine"), "audit", "show", "--log", house.log, *options], check=True,
                          capture_output=True, text=True).stdout.splitlines()


def batches_by_key(check, house):
    admin, data = house.admin(), house.data()
    for key in ("batch-a", "batch-b", "batch-c"):
        assert admin.create_key("acme", key).ok
    sealed = [data.encrypt("acme", key, b"x")[1] for key in ("batch-a", "batch-b")]
    ids = [os.urandom(16) for _ in range(2)]
    data.decrypt_batch("acme", [(one, None) for one in sealed], request_id=ids[0])
    data.decrypt_batch("acme", [(sealed[0], None), (sealed[0], {"not": "this"})], request_id=ids[1])
    for key, wanted in (("batch-a", set(ids)), ("batch-b", {ids[0]}), ("batch-c", set())):
        found = {bytes.fromhex(one["requestId"]) for one in house.entries("--key", key)}
        check(found & set(ids) == wanted, "audit show --key %s finds the batches that used it" % key)
    lines = [show(house, "--request-id", one.hex())[0] for one in ids]
    check("items=2 (1 of 2 ok)" in lines[1] and " failed " in lines[1], "a batch that went well in part: %s" % lines[1])
    check("items=2 " in lines[0] and " of 2 ok" not in lines[0], "the control did not fail: one that went well: %s" % lines[0])
    admin.close()
    data.close()


def warnings(house):
    admin = house.admin()
    said = [one.decode() for one in admin.status().all(10)]
    admin.close()
    return said


def revoked_operator(check):
    """Acts that wait their turn are judged by the policy of the moment they run in."""
    with House() as house:
        admin, count = house.admin(timeout=120), 400
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "k").ok
        message = field(1, "acme") + field(2, "k")
        streams = [admin.send(ADMIN, "RotateKey", message) for _ in range(count)]
        assert admin.receive().ok
        with open(os.path.join(house.directory, "policy.yaml"), "w") as policy:
            policy.write("version: 1\nrules:\n  - name: none\n    role: reviewer\n    principals: [\"uid:4242\"]\n"
                         "    operations: [status]\n")
        house.process.send_signal(signal.SIGHUP)
        answers = [admin.receive() for _ in streams[1:]]
        refused = sum(not one.ok for one in answers)
        entries = house.entries()
        at = next(n for n, one in enumerate(entries) if one["operation"] == "policy-reload")
        late = [one for one in entries[at:] if one["operation"] == "key-rotate" and one["class"] == "intent"]
        check(refused > 0, "the control did not fail: all was done before the policy was read")
        check(len(late) <= 1, "acts begun after the policy that forbids them: %d, refused %d" % (len(late), refused))


def faults(check, house):
    """A record is edited under the running service: who asks for it is refused, and the operator is told which it is."""
    admin, data = house.admin(), house.data()
    assert admin.create_key("acme", "edited").ok and data.encrypt("acme", "edited", b"x").ok
    assert admin.act("RotateKey", "acme", "edited").ok
    check(not any("edited" in one for one in warnings(house)), "the control did not fail: nothing is edited yet")
    store = sqlite3.connect(os.path.join(house.directory, "store/keys.sqlite"))
    store.execute("UPDATE tenant_keys SET budget_bytes = budget_bytes + 1 WHERE name = 'edited'")
    store.commit()
    codes = {data.encrypt("acme", "edited", b"x").code for _ in range(50)}
    check(codes == {"CORRUPT"}, "an edited record: %s" % codes)
    told = [line for line in house.printed().splitlines() if " fault " in line]
    check(len(told) == 1 and "acme/edited" in told[0], "an edited record: the operator's log says %s" % told)
    said = [one for one in warnings(house) if "acme/edited" in one]
    check(len(said) == 1 and "50 times" in said[0], "an edited record: status says %s" % said)
    store.execute("UPDATE tenant_keys SET budget_bytes = budget_bytes - 1 WHERE name = 'edited'")
    store.commit()
    store.close()
    check(data.encrypt("acme", "edited", b"x").ok, "the control did not fail: as it was written it serves")
    admin.close()
    data.close()


def moved_away(check):
    """What the service goes on using although nobody finds it any more."""
    with House() as house:
        admin = house.admin()

        def said(word):
            return [one.decode() for one in admin.status().all(10) if word in one.decode()]
        check(not said("no longer"), "the control did not fail: all is in its place")
        for name, path, word in (("data socket", house.data_path, "data.sock"), ("log", house.log, "/log,")):
            os.rename(path, path + ".away")
            check(len(said("no longer at " + path)) == 1, "%s moved away: status says %s" % (name, said("no longer")))
            os.rename(path + ".away", path)
            check(not said("no longer"), "%s back in its place: status says %s" % (name, said("no longer")))
        os.unlink(house.data_path)
        replacement = socket.socket(socket.AF_UNIX)
        replacement.bind(house.data_path)
        check(len(said(house.data_path)) == 1, "another's socket in its place: status says %s" % said("no longer"))
        replacement.close()
        segment = sorted(one for one in os.listdir(house.log) if one.endswith(".seg"))[-1]
        path = os.path.join(house.log, segment)
        os.rename(path, os.path.join(house.place, segment))
        check(len(said(segment)) == 1, "the newest segment moved away: status says %s" % said("no longer"))
        os.rename(os.path.join(house.place, segment), path)
        os.unlink(path)
        try:
            admin.status()
        except (EOFError, OSError):
            pass
        status = house.process.wait(10)
        check(status == 74, "the newest segment removed: ends with %s" % status)


def listening(path, backlog=16):
    one = socket.socket(socket.AF_UNIX)
    one.bind(path)
    one.listen(backlog)
    return one


def start_with(house, sockets, environment=None, wait=True):
    """Starts the service with these as descriptors 3 and up, as a service manager does."""
    numbers = [one.fileno() for one in sockets]
    moves = " ".join("%d<&%d" % (3 + place, number) for place, number in enumerate(numbers))
    closes = " ".join("%d<&-" % number for number in numbers if number >= 3 + len(numbers))
    script = 'export LISTEN_PID=${LISTEN_PID:-$$}; exec "$@" %s %s' % (moves, closes)
    before = house.printed().count(" serving ") if os.path.exists(os.path.join(house.place, "stderr")) else 0
    with open(os.path.join(house.place, "stderr"), "ab") as errors:
        house.process = subprocess.Popen(
            ["bash", "-c", script, "bash", *house.program, "--config", house.config, "--allow-root"], stdout=errors,
            stderr=errors, pass_fds=numbers,
            env={**os.environ, "LISTEN_FDS": str(len(sockets)), "SWIFT_BACKTRACE": "enable=no", **(environment or {})})
    if not wait:
        return house.process.wait(20)
    until = time.monotonic() + 20
    while house.printed().count(" serving ") == before and time.monotonic() < until and house.process.poll() is None:
        time.sleep(0.02)
    return house.process.poll()


def high(one):
    """The same socket under a number that is in nobody's way."""
    import fcntl
    moved = socket.socket(fileno=fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 50))
    one.close()
    return moved


def passed_sockets(check):
    with House(start=False) as house:
        data, admin = high(listening(house.data_path)), high(listening(house.admin_path))
        os.chmod(house.data_path, 0o640)
        places = [os.stat(path).st_ino for path in (house.data_path, house.admin_path)]
        early = Admin(house.admin_path)
        early.send(ADMIN, "CreateTenant", field(1, "acme"))
        check(start_with(house, [data, admin]) is None, "sockets passed on: it serves: " + house.printed()[-300:])
        check(early.receive().ok, "sockets passed on: who came before is answered")
        check(house.admin().create_key("acme", "pay").ok and house.data().encrypt("acme", "pay", b"x").ok,
              "sockets passed on: both doors answer")
        check([os.stat(path).st_ino for path in (house.data_path, house.admin_path)] == places,
              "sockets passed on: they are used, not made anew")
        check(os.stat(house.data_path).st_mode & 0o777 == 0o640, "sockets passed on: their modes are left alone")
        with open("/proc/%d/environ" % house.process.pid, "rb") as file:
            check(b"LISTEN_PID" in file.read() or os.getuid() != 0, "the control did not fail: it was told of them")
        check(house.stop() == 0 and os.path.exists(house.data_path), "sockets passed on: a stop leaves them")
        waiting = Data(house.data_path)
        waiting.send(DATA, "Encrypt", Data.message("acme", "pay", b"x"))
        check(start_with(house, [admin, data]) is None, "sockets passed on: in any order")
        check(waiting.receive().ok, "sockets passed on: who came between two services is answered")
        house.stop()
        data.close()
        check(start_with(house, [admin]) is None and house.data().encrypt("acme", "pay", b"x").ok,
              "one socket passed on: the other is made")
        house.stop()
        refused_sockets(check, house, admin)
        admin.close()


def refused_sockets(check, house, admin):
    for path in (house.data_path, os.path.join(house.place, "stray"), os.path.join(house.place, "deaf")):
        if os.path.exists(path):
            os.unlink(path)
    stray, pair = high(listening(os.path.join(house.place, "stray"))), socket.socketpair()
    deaf = socket.socket(socket.AF_UNIX)
    deaf.bind(os.path.join(house.place, "deaf"))
    network = socket.socket()
    network.bind(("127.0.0.1", 0))
    network.listen()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(b"\0chatelaine-test-%d" % os.getpid())
    abstract.listen()
    bad = [("at another path", stray), ("connected", pair[0]), ("not listening", deaf), ("of the network", network),
           ("abstract", abstract), ("twice", high(socket.socket(fileno=os.dup(admin.fileno()))))]
    for what, one in bad:
        one = one if one.fileno() >= 50 else high(one)
        house.printed_before = len(house.printed())
        ended = start_with(house, [admin, one], wait=False)
        said = house.printed()[house.printed_before:]
        check(ended == 78 and "service manager" in said, "a socket passed on %s: ends with %s: %s" % (what, ended, said))
        one.close()
    pair[1].close()
    os.unlink(house.admin_path)
    check(start_with(house, [admin], {"LISTEN_PID": "1"}) is None and house.admin().status().ok,
          "sockets for another process are left alone")
    house.stop()


def activated(check):
    """systemd's own tool starts the service at the first connection."""
    if not shutil.which("systemd-socket-activate"):
        print("skipped: the activation by systemd needs systemd-socket-activate")
        return
    with House(start=False) as house:
        program = [*house.program, "--config", house.config, "--allow-root"]
        with open(os.path.join(house.place, "stderr"), "ab") as errors:
            house.process = subprocess.Popen(
                ["systemd-socket-activate", "--listen=" + house.data_path, "--listen=" + house.admin_path,
                 "--fdname=data:admin", *program], stdout=errors, stderr=errors)
        until = time.monotonic() + 10
        while not os.path.exists(house.admin_path) and time.monotonic() < until:
            time.sleep(0.02)
        admin = house.admin()
        check(admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok, "activated: it serves who came first")
        check(house.data().encrypt("acme", "pay", b"x").ok, "activated: and the other door")
        check(house.stop() == 0, "activated: it stops with 0")
    units = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy")
    with open(os.path.join(units, "chatelaine-example.yaml")) as file:
        paths = [line.split()[1] for line in file if line.startswith("  path: ")]
    for name, path in zip(("data", "admin"), paths):
        with open(os.path.join(units, "chatelained-%s.socket" % name)) as file:
            check("ListenStream=%s\n" % path in file.read(), "the %s unit listens where the configuration says" % name)


def malformed(check, house):
    """What is no call of the admin door is answered with what is wrong, and a request id to tell it by."""
    admin = house.admin()
    cases = [("CreateTenant", field(1, "x") + field(99, 1), "INVALID_REQUEST", "Field 99 is not"),
             ("CreateTenant", field(1, "x") + field(8, field(7, 1)), "INVALID_REQUEST", "Field 7 is not"),
             ("CreateTenant", field(1, "x") + field(1, "y"), "INVALID_REQUEST", "Field 1 is given twice"),
             ("CreateTenant", b"\xff", "INVALID_REQUEST", "not a message"),
             ("CreateTenant", field(1, "No"), "INVALID_REQUEST", "A tenant id is"),
             ("Nothing", b"", "NOT_FOUND", "no such method")]
    for method, message, code, sentence in cases:
        reply = admin.call(ADMIN, method, message)
        check(reply.code == code and sentence in reply.sentence, "%s: %s, %s" % (method, reply.code, reply.sentence))
        check(len(reply.request_id or b"") == 16, "%s (%s) names a request id" % (method, sentence))
    check(admin.call(ADMIN, "ListTenants", field(2, 5000)).ok, "the control did not fail: what is a call is answered")
    admin.close()


def cgroups():
    """Where cgroup v2 is mounted."""
    with open("/proc/mounts") as file:
        return next((line.split()[1] for line in file if line.split()[2] == "cgroup2"), "/sys/fs/cgroup")


def units(check, house):
    """The unit of a caller, as the kernel knows it, is its entries' source."""
    name = "chatelaine-test-%d.service" % os.getpid()
    path = os.path.join(cgroups(), name)
    try:
        os.mkdir(path)
    except OSError as error:
        print("skipped: a caller's unit needs a cgroup v2 that can be written to (%s)" % error)
        return
    child = None
    try:
        if not os.path.exists(os.path.join(path, "cgroup.procs")):
            print("skipped: a caller's unit needs cgroup v2")
            return
        request_id = os.urandom(16)
        child = os.fork()
        if child == 0:
            try:
                with open(os.path.join(path, "cgroup.procs"), "w") as file:
                    file.write(str(os.getpid()))
                data = house.data()
                data.encrypt("acme", "pay", b"x", request_id=request_id)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        found = house.entries("--request-id", request_id.hex())
        sources = [one["source"] for one in found]
        measured = pidfds_are_known()
        check([one.split("/")[-1] for one in sources] == [name if measured else ""],
              "a caller's unit is in its entry: %s" % sources)
        with open("/proc/self/cgroup") as file:
            mine = next(line for line in file if line.startswith("0::"))[3:].strip().lstrip("/")
        if not measured:
            print("skipped: this kernel gives no handle of a peer (SO_PEERPIDFD): the source stays empty, as it has to")
        here = os.urandom(16)
        house.data().encrypt("acme", "pay", b"x", request_id=here)
        outside = [one["source"] for one in house.entries("--request-id", here.hex())]
        check(outside == [mine[-255:] if measured else ""], "the whole path of its cgroup: %s, not %r" % (outside, mine))
        check(outside != sources, "the control did not fail: a caller outside is not in it")
    finally:
        for _ in range(50):
            try:
                os.rmdir(path)
                break
            except OSError:
                time.sleep(0.05)


def pidfds_are_known():
    one, other = socket.socketpair(socket.AF_UNIX)
    try:
        os.close(struct.unpack("i", one.getsockopt(socket.SOL_SOCKET, 77, 4))[0])
        return True
    except OSError:
        return False
    finally:
        one.close()
        other.close()


def units_of_systemd(check):
    """systemd finds nothing wrong with the units."""
    if not shutil.which("systemd-analyze"):
        print("skipped: checking the units needs systemd-analyze")
        return
    units = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy")
    names = ["chatelained.service", "chatelained-data.socket", "chatelained-admin.socket", "chatelained-http.socket"]
    with House(start=False) as house:
        for name in names:
            with open(os.path.join(units, name)) as source, open(os.path.join(house.place, name), "w") as file:
                file.write(source.read().replace("/usr/bin/chatelained", "/bin/true"))
        paths = [os.path.join(house.place, name) for name in names]
        ended = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
        said = [line for line in ended.stderr.splitlines() if "chatelain" in line]
        if ended.returncode != 0 and not said:
            print("skipped: systemd-analyze does not run here: " + ended.stderr.strip()[:200])
            return
        check(not said, "systemd-analyze verify: %s" % said)
        with open(paths[0], "a") as file:
            file.write("[Service]\nNoSuchSetting=1\n")
        ended = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
        check("NoSuchSetting" in ended.stderr, "the control did not fail: a setting that is none")
    scored = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--json=short",
                             os.path.join(units, names[0])], capture_output=True, text=True)
    if scored.returncode != 0:
        print("skipped: systemd-analyze security does not run here: " + scored.stderr.strip()[:200])
        return
    overall = sum(float(one.get("exposure") or 0) for one in json.loads(scored.stdout))
    print("doors: systemd-analyze security adds %.1f of exposure up" % overall)


sys.exit(main())
