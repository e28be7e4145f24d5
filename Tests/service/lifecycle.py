"""The rows of starts, stops and signals: second instances, stale sockets, preloads, SIGTERM and SIGHUP under load."""
import ctypes.util
import fcntl
import hashlib
import os
import signal
import subprocess
import time

from house import House, binary
from traffic import Load, furnish, missing, undecryptable
from wire import DATA, Data, fields


def every_row(check):
    with House() as house:
        second_instance(check, house)
        policy = reload(check, house)
        stop_under_load(check, house, policy)
    stop_with_slow_readers(check)
    stale_socket(check)
    signals_while_starting(check)
    preload(check)
    closed_descriptors(check)
    unread_errors(check)


def unread_errors(check):
    """Neither a new policy nor a stop waits for somebody to read what the service prints."""
    with House(start=False) as house:
        path = os.path.join(house.place, "errors")
        os.mkfifo(path)
        ours = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 4096)
        house.start(wrapper=("sh", "-c", 'exec "$@" 2>%s' % path, "sh"))
        admin = house.admin()
        check(admin.create_tenant("acme").ok, "errors that nobody reads: it serves")
        fill(ours)
        with open(os.path.join(house.directory, "policy.yaml"), "w") as policy:
            policy.write("version: 1\nrules:\n  - name: none\n    role: reviewer\n    principals: [\"uid:4242\"]\n"
                         "    operations: [status]\n")
        house.process.send_signal(signal.SIGHUP)
        house.process.send_signal(signal.SIGHUP)
        refused = wait_for(lambda: not admin.create_tenant("beta").ok, 5)
        check(refused, "errors that nobody reads: a policy that takes a right away holds")
        printed = os.read(ours, 4096)
        house.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        printed = os.read(ours, 4096).decode()
        check("lines-left-out count=" in printed, "errors that nobody reads: what is missing is counted: %s" % printed)
        fill(ours)
        began = time.monotonic()
        check(house.stop() == 0 and time.monotonic() - began < 5, "errors that nobody reads: a stop does not wait")
        os.close(ours)


def fill(pipe):
    try:
        while True:
            os.write(pipe, b"x")
    except BlockingIOError:
        pass


def closed_descriptors(check):
    """No file gets the number of a standard stream that was closed: what is printed would be written into it."""
    closed = ("sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh")
    with House(start=False) as house:
        house.start(wrapper=closed)
        if os.getuid() == 0:
            held = [os.readlink("/proc/%d/fd/%d" % (house.process.pid, number)) for number in range(3)]
            check(held == ["/dev/null"] * 3, "standard streams that were closed: %s" % held)
        check(house.admin().create_tenant("acme").ok, "standard streams that were closed: it serves")
        house.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        check(house.stop() == 0 and house.verify() == 0, "standard streams that were closed: the log is valid")
        show = [binary("chatelaine"), "audit", "show", "--log", house.log]
        ended = subprocess.run([*closed, *show]).returncode
        check(ended == 74, "standard output that is closed is a failure, not %d" % ended)
        check(subprocess.run(show, stdout=subprocess.DEVNULL).returncode == 0, "the control did not fail: an open one")


def stop_with_slow_readers(check):
    """A reply that is on its way when SIGTERM comes gets there; one that nobody fetches keeps nobody waiting."""
    for reads in (True, False):
        with House() as house:
            assert house.admin().create_tenant("acme").ok and house.admin().create_key("acme", "pay").ok
            data, text = house.data(), os.urandom(1 << 20)
            sealed = data.encrypt("acme", "pay", text)[1]
            data.send(DATA, "Decrypt", Data.message("acme", None, sealed))
            time.sleep(1)
            began = time.monotonic()
            house.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            if reads:
                try:
                    check(data.receive()[1] == text, "row 60: a reply on its way arrives")
                except (EOFError, OSError) as error:
                    check(False, "row 60: a reply on its way is cut off: %r" % error)
            status = house.process.wait(20)
            seconds = time.monotonic() - began
            check(status == 0 and seconds < 7, "row 60: ends with %d after %.1f s" % (status, seconds))


def run_another(house, environment=None):
    return subprocess.run(
        [*house.program, "--config", house.config, "--allow-root"], capture_output=True, text=True, timeout=60,
        env={**os.environ, **(environment or {})})


def second_instance(check, house):
    def identity():
        return [(os.stat(path).st_ino, os.stat(path).st_mode) for path in (house.data_path, house.admin_path)]
    before = identity()
    ended = run_another(house)
    check(ended.returncode == 75, "row 47: a second instance ends with 75, not %d" % ended.returncode)
    check(ended.stderr.count("\n") == 1, "row 47: and one sentence: %s" % ended.stderr)
    check(identity() == before and not os.path.exists(house.data_path[:-1] + "~"), "row 47: the first's sockets are untouched")
    check(house.admin().status().ok, "row 47: and it serves")


def stale_socket(check):
    with House() as house:
        assert house.admin().create_tenant("acme").ok
        house.kill()
        check(os.path.exists(house.data_path), "row 48: a kill leaves the socket file behind")
        house.start()
        check(house.admin().status().ok, "row 48: it is replaced")
        check(house.stop() == 0 and not os.path.exists(house.data_path), "row 48: a stop takes it away")
        with open(house.data_path, "w") as file:
            file.write("mine")
        ended = run_another(house)
        check(ended.returncode == 73, "row 48: a file that is no socket stays: ends with %d" % ended.returncode)
        with open(house.data_path) as file:
            check(file.read() == "mine", "row 48: and is untouched")


def starting(house, *more, **options):
    """A start as it is when the program has taken its own place: from then on no signal may end it as it pleases."""
    with open(os.path.join(house.place, "stderr"), "ab") as errors:
        process = subprocess.Popen([*house.program, "--config", house.config, "--allow-root", *more], stdout=errors,
                                   stderr=errors, env={**os.environ, "SWIFT_BACKTRACE": "enable=no"}, **options)
    def name():
        with open("/proc/%d/comm" % process.pid) as file:
            return file.read().strip()
    until = time.monotonic() + 10
    while name() != "exe" and process.poll() is None and time.monotonic() < until:
        pass
    return process


def signals_while_starting(check):
    """A SIGHUP during a start is a reload after it; a SIGTERM ends it with 0, also while it waits for a passphrase."""
    with House(start=False) as house:
        for turn in range(3):
            house.process = starting(house)
            for _ in range(turn * 5 + 1):
                house.process.send_signal(signal.SIGHUP)
                time.sleep(0.01)
            check(wait_for(lambda: house.printed().count("policy reloaded") > turn), "SIGHUP during a start: it reloads")
            check(house.process.poll() is None and house.stop() == 0, "SIGHUP during a start: %s" % house.process.poll())
        for pause in (0, 0, 0.05, 0.1, 0.2, 0.3, 0.5):
            house.process = starting(house)
            time.sleep(pause)
            status = house.stop()
            check(status == 0, "SIGTERM %.2f s into a start: ends with %d" % (pause, status))
        check(house.verify() == 0 and not os.path.exists(house.data_path), "SIGTERM during a start: nothing is left")
        house.start()
        check(house.admin().status().ok and house.stop() == 0, "SIGTERM during a start: the next one serves")
    with House(start=False) as house:
        subprocess.run(["rm", "-rf", house.directory], check=True)
        reading, writing = os.pipe()
        os.write(writing, b"correct horse battery")
        os.close(writing)
        subprocess.run(
            [binary("chatelaine"), "init", house.directory, "--seal", "passphrase", "--passphrase-fd", str(reading),
             "--argon2-memory-kib", "65536", "--argon2-passes", "1"], check=True, pass_fds=(reading,),
            stdout=subprocess.DEVNULL)
        for number in (signal.SIGTERM, signal.SIGINT):
            wanted, never = os.pipe()
            house.process = starting(house, "--passphrase-fd", str(wanted), pass_fds=(wanted,))
            for _ in range(30):
                house.process.send_signal(signal.SIGHUP)
                time.sleep(0.02)
            check(house.process.poll() is None, "SIGHUP while a passphrase is waited for: %s" % house.process.poll())
            check(house.stop(number) == 0, "signal %d while a passphrase is waited for: 0" % number)
            os.close(never)


def preload(check):
    library = ctypes.util.find_library("m")
    with House(start=False) as house:
        for name in ("LD_PRELOAD", "LD_AUDIT"):
            ended = run_another(house, {name: library})
            check(ended.returncode == 78, "row 52: %s: ends with %d" % (name, ended.returncode))
            check(name in ended.stderr and not os.path.exists(house.data_path), "row 52: says so: %s" % ended.stderr)
        with open(house.config, "a") as config:
            config.write("allow: [preload]\n")
        house.start(environment={"LD_PRELOAD": library})
        status = house.admin().status()
        measures = {dict(fields(one))[1]: dict(fields(one)).get(2, 0) for one in status.all(7 + 1)}
        check(0 in measures.values(), "row 52: allowed, and status says what is missing: %s" % measures)


def policy_entries(house):
    return [one for one in house.entries() if one["operation"] == "policy-reload"]


def policy_hash(text):
    return hashlib.sha256(text.encode()).hexdigest()


def wait_for(what, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.05)
    return False


def reload(check, house):
    admin, data = house.admin(), house.data()
    def warned():
        return any(b"policy in force is not the file's" in one for one in admin.status().all(10))
    check(not warned(), "row 60: the control did not fail: a start's policy is the file's")
    assert admin.create_tenant("closing").ok and admin.create_key("closing", "k").ok
    check(data.encrypt("closing", "k", b"x").ok, "row 60: a tenant that the policy allows")
    path = os.path.join(house.directory, "policy.yaml")
    with open(path) as file:
        good = file.read()
    bads = ["version: 1\nrules: [", good + "\nunknown: 1\n", "", good.replace("role:", "roll:", 1)]
    for bad in bads:
        with open(path, "w") as file:
            file.write(bad)
        said = house.printed().count("policy not reloaded")
        house.process.send_signal(signal.SIGHUP)
        check(wait_for(lambda: house.printed().count("policy not reloaded") > said), "row 60: SIGHUP, a policy that is none")
        check(data.encrypt("closing", "k", b"x").ok, "row 60: the old one stays")
    os.unlink(path)
    said = house.printed().count("policy not reloaded")
    house.process.send_signal(signal.SIGHUP)
    check(wait_for(lambda: house.printed().count("policy not reloaded") > said), "row 60: SIGHUP, no policy")
    check(warned(), "row 60: status says that the policy in force is not the file's")
    started = [one["details"].get("policy-hash") for one in house.entries() if one["operation"] == "service-start"]
    check(started[-1] == policy_hash(good), "row 60: a start names the file of its policy: %s" % started)
    refused = policy_entries(house)
    check(not any(one["outcome"] == "ok" for one in refused), "row 60: no entry says that there is a new policy")
    check(len(refused) == 5 and all(one["outcome"] == "failed" for one in refused), "row 60: each refused one has an entry")
    reasons = [one["reason"] for one in refused]
    check(reasons == ["malformed"] * 4 + ["store"], "row 60: no file is another reason than a bad one: %s" % reasons)
    hashes = [one["details"].get("policy-hash") for one in refused]
    check(hashes == [*map(policy_hash, bads), None], "row 60: which names the file that was refused: %s" % hashes)
    changed = good.replace('tenants: ["*"]', 'tenants: ["a*", "b*"]')
    assert changed != good
    with open(path, "w") as file:
        file.write(changed)
    house.process.send_signal(signal.SIGHUP)
    check(wait_for(lambda: "policy reloaded" in house.printed()), "row 60: SIGHUP, a valid policy")
    check(not warned(), "row 60: and status no longer warns")
    check(data.encrypt("closing", "k", b"x").code == "NOT_FOUND", "row 60: it holds for connections that are open")
    taken = [one for one in policy_entries(house) if one["outcome"] == "ok"]
    check(len(taken) == 1, "row 60: and has an entry")
    check(taken and taken[0]["details"]["policy-hash"] == policy_hash(changed), "row 60: which names its file")
    return good


def stop_under_load(check, house, policy):
    with open(os.path.join(house.directory, "policy.yaml"), "w") as file:
        file.write(policy)
    house.process.send_signal(signal.SIGHUP)
    check(wait_for(lambda: house.printed().count("policy reloaded") == 2), "row 60: SIGHUP, the first policy again")
    for turn in range(2):
        if turn:
            house.start()
        acks = furnish(house).acks if turn == 0 else []
        load = Load(house, seed=turn + 1)
        wait_for(lambda: load.acks() > 300, 60)
        if turn == 1:
            for _ in range(5):
                house.process.send_signal(signal.SIGHUP)
                time.sleep(0.05)
        began = time.monotonic()
        status = house.stop()
        seconds = time.monotonic() - began
        journal = load.end()
        acks += journal.acks
        check(status == 0 and seconds < 7, "row 60: SIGTERM under load ends with %s after %.1f s" % (status, seconds))
        check(journal.acks and not missing(house, acks), "row 60: what was acknowledged is in the log")
        check(house.verify() == 0, "row 60: which is valid")
        house.start()
        check(undecryptable(house, journal) == 0, "row 60: what was given out opens")
        house.stop()
    with open("/dev/full", "w") as full:
        show = [binary("chatelaine"), "audit", "show", "--log", house.log]
        shown = subprocess.run(show, stdout=subprocess.PIPE, check=True).stdout
        status = subprocess.run(show, stdout=full, stderr=subprocess.DEVNULL).returncode
    check(len(shown) > 1 << 17 and status == 74, "%d bytes of a log that do not arrive: %d" % (len(shown), status))
    check(missing(house, [(1 << 40, b"")]), "the control did not fail: an entry that is not there")
