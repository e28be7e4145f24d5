#!/usr/bin/env python3
"""What `audit ship` brings to a directory and to an S3 server with Object Lock, once for good: what is there afterwards, what a
run that was stopped leaves, and what is refused.

The S3 server is moto's, from PyPI, in a virtual environment that is kept in the temporary directory for the next run; where it
cannot be had, a line says so and those checks are left out.
"""
import glob
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import evidence  # noqa: E402
from house import Checks, House, binary  # noqa: E402
from proofs import audit, key_text, work, write  # noqa: E402
from witness_double import Witness  # noqa: E402

MOTO = "moto[s3,server]==5.2.5"


def filled(house, count=900):
    house.small_segments()
    house.start()
    admin = house.admin()
    assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
    work(house, count)


def segments(directory):
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(directory, "*.seg")))


def contents(directory):
    found = {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as file:
            found[name] = file.read()
    return found


def shipped_to_directory(check):
    with House(start=False) as house:
        filled(house)
        place, key = os.path.join(house.place, "archive"), key_text(house)
        os.mkdir(place)

        def ship(*more, log=None, to=None):
            return audit("ship", "--log", log or house.log, "--to", to or place, *more)

        status, said = ship("--key", key, "--json")
        report = json.loads(said)
        names = segments(house.log)[:-1]
        check(status == 0 and names and segments(place) == names and report["shipped"] == len(os.listdir(place)), "while the service writes: %d %s" % (status, said))
        heads = sorted(glob.glob(os.path.join(place, "kept-1-*.head")), key=lambda path: int(path.split("-")[-2]))
        sizes = [evidence.open_head(open(path, "rb").read(), evidence.parse_key(key))[1] for path in heads]
        check(1 <= len(sizes) <= 2, "heads: %s" % sizes)
        check(all(os.stat(os.path.join(place, name)).st_mode & 0o777 == 0o440 for name in os.listdir(place)), "nobody writes to them")
        check(not [name for name in os.listdir(place) if name.startswith(".")], "nothing is left over")
        status, said = audit("verify", "--log", place)
        check(status == 0, "it is verified like a log: %d %s" % (status, said))
        if len(heads) == 2:
            check(audit("verify", "--log", place, "--key", key, "--head", heads[0])[0] == 0, "under the head that covers nothing else")
            check(audit("verify", "--log", place, "--key", key, "--head", heads[1])[0] == 4, "the newest head says that there was more")
        before = contents(place)
        status, said = ship()
        check(status == 0 and set(contents(place)) >= set(before), "again: %d %s" % (status, said))
        work(house, 2500)
        status, said = ship("--json")
        report, after = json.loads(said), contents(place)
        check(status == 0 and len(segments(place)) > len(names) and report["present"] >= len(names) and all(after[n] == before[n] for n in before), "it grew: %d %s" % (status, said))
        cosigned(check, house, place, key)
        killed(check, house, ship)
        house.stop()
        refused(check, house, place, ship)


def cosigned(check, house, place, key):
    """What witnesses cosigned goes along."""
    with Witness("witness.example/a", [key]) as a:
        out = os.path.join(house.place, "witnessed")
        os.mkdir(out)
        policy = write(os.path.join(house.place, "policy"), (a.line("A") + "quorum A\n").encode())
        assert audit("witness", "--log", house.log, "--key", key, "--policy", policy, "--out", out)[0] == 0
        note = os.path.join(out, "cosigned")
        status, said = audit("ship", "--log", house.log, "--to", place, "--head", note)
        held = [name for name, data in contents(place).items() if data == open(note, "rb").read()]
        check(status == 0 and len(held) == 1, "a cosigned head: %d %s %s" % (status, said, held))
        status, said = audit("verify", "--log", house.log, "--key", key, "--head", os.path.join(place, held[0]), "--witness", a.key)
        check(status == 0, "and is one there: %d %s" % (status, said))


def killed(check, house, ship):
    """A run that is killed leaves whole files or none; the next one goes on."""
    place = os.path.join(house.place, "killed")
    os.mkdir(place)
    for wait in (0.05, 0.15, 0.25, 0.35):
        process = subprocess.Popen(
            [binary("chatelaine"), "audit", "ship", "--log", house.log, "--to", place], stdout=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for name in segments(place):
            check(digest(os.path.join(place, name)) == digest(os.path.join(house.log, name)), "killed after %.2f s: %s" % (wait, name))
    check(ship(to=place)[0] == 0 and segments(place) == segments(house.log)[:-1], "and then whole")
    check(audit("verify", "--log", place)[0] == 0, "and verified")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def flip(path, at=5000):
    mode = os.stat(path).st_mode
    os.chmod(path, 0o640)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    os.chmod(path, mode)


def refused(check, house, place, ship):
    first, second = segments(place)[:2]
    flip(os.path.join(place, first))
    kept = digest(os.path.join(place, first))
    os.remove(os.path.join(place, second))
    status, said = ship()
    check(status == 65 and first in said and "other bytes" in said and digest(os.path.join(place, first)) == kept, "a changed file: %d %s" % (status, said))
    check(os.path.exists(os.path.join(place, second)), "the rest is shipped all the same")
    flip(os.path.join(place, first))
    check(ship()[0] == 0, "the control: changed back")
    for what, change in (("shorter", lambda path: os.truncate(path, 100)), ("longer", lambda path: open(path, "ab").write(b"\0"))):
        path = os.path.join(place, first)
        with open(path, "rb") as file:
            good = file.read()
        os.chmod(path, 0o640)
        change(path)
        check(ship()[0] == 65, "a %s file" % what)
        write(path, good)
    os.remove(os.path.join(place, second))
    os.symlink(os.path.join(house.log, second), os.path.join(place, second))
    check(ship()[0] != 0 and os.path.islink(os.path.join(place, second)), "a link in its place")
    os.remove(os.path.join(place, second))
    log = os.path.join(house.place, "changed-log")
    shutil.copytree(house.log, log)
    flip(os.path.join(log, first))
    empty = os.path.join(house.place, "empty")
    os.mkdir(empty)
    status, said = ship(log=log, to=empty)
    check(status == 65 and "TAMPERED" in said and not os.listdir(empty), "a log that is not as it was written: %d %s" % (status, said))
    check(ship(to=os.path.join(house.place, "nowhere"))[0] == 73, "no such directory")
    check(ship("--retain-days", 5)[0] == 64, "a directory has no retention")
    zeros = os.path.join(house.place, "zeros")
    shutil.copytree(house.log, zeros)
    with open(os.path.join(zeros, first), "r+b") as file:
        file.truncate(int.from_bytes(file.read(120)[112:], "big"))  # as large as it was made
    check(ship(log=zeros, to=empty)[0] == 0 and digest(os.path.join(empty, first)) == digest(os.path.join(house.log, first)), "zeros behind a seal are left away")


# ---- S3

def moto():
    """A Python that has moto's server, or None with a line that says why."""
    place = os.path.join(tempfile.gettempdir(), "chatelaine-moto-%d" % os.getuid())
    python = os.path.join(place, "bin/python")
    for one in (sys.executable, python):
        if os.path.exists(one) and subprocess.run([one, "-c", "import boto3, moto.server"], capture_output=True).returncode == 0:
            return one
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, capture_output=True, timeout=120)
        subprocess.run([python, "-m", "pip", "install", "-q", MOTO], check=True, capture_output=True, timeout=240)
        return python
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(place, ignore_errors=True)
        print("skipped: S3: moto cannot be installed from PyPI: %s" % type(error).__name__, flush=True)
        return None


SERVER = """
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
server.start()
import boto3
s3 = boto3.client("s3", region_name="us-east-1", endpoint_url="http://127.0.0.1:" + sys.argv[1], aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="secret/of+the=test")
s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
s3.create_bucket(Bucket="open")
print("ready", flush=True)
for line in sys.stdin:
    try:
        print(repr(eval(line)), flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


class S3:
    """moto's server, and what boto3, which is not ours, says of it."""

    def __init__(self, python):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.process = subprocess.Popen(
            [python, "-c", SERVER, str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


def shipped_to_bucket(check):
    python = moto()
    if python is None:
        return
    server = S3(python)
    try:
        with House(start=False) as house:
            filled(house)
            house.stop()
            bucket(check, house, server)
    finally:
        server.close()


def bucket(check, house, server):
    names = segments(house.log)[:-1]
    secret = "secret/of+the=test"
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": secret}

    def ship(*more, to="s3://locked/house/log", env=environment, retain=("--retain-days", "30")):
        done = subprocess.run(
            [binary("chatelaine"), "audit", "ship", "--log", house.log, "--to", to, "--endpoint", "http://127.0.0.1:%d" % server.port,
             *retain, *more], capture_output=True, text=True, env=env)
        return done.returncode, done.stdout + done.stderr

    status, said = ship("--json")
    check(status == 0 and json.loads(said)["shipped"] >= len(names) + 2, "into a locked bucket: %d %s" % (status, said))
    for name in names:
        got = server.ask("__import__('hashlib').sha256(s3.get_object(Bucket='locked', Key='house/log/%s')['Body'].read()).hexdigest()" % name)
        check(got == repr(digest(os.path.join(house.log, name))), "as another client reads it: %s" % name)
    head = "s3.head_object(Bucket='locked', Key='house/log/%s')" % names[0]
    lock = server.ask(head + "['ObjectLockMode']")
    check(lock == "'COMPLIANCE'", "locked: " + lock)
    days = server.ask("round((%s['ObjectLockRetainUntilDate'].timestamp() - __import__('time').time()) / 86400, 2)" % head)
    check(days in ("30.0", "29.99", "29.98"), "for 30 days: " + days)
    status, said = ship("--json")
    check(status == 0 and json.loads(said)["shipped"] == 0, "again: %d %s" % (status, said))
    status, said = ship(retain=("--retain-until", "2099-01-01T00:00:00Z"))
    check(status == 65 and "extend its retention" in said, "what is there is kept too short: %d %s" % (status, said))
    server.ask("s3.put_object(Bucket='locked', Key='other/%s', Body=b'else', ChecksumAlgorithm='SHA256')" % names[0])
    status, said = ship(to="s3://locked/other")
    check(status == 65 and names[0] in said and "other bytes" in said, "an object with other bytes: %d %s" % (status, said))
    server.ask("s3.put_object(Bucket='locked', Key='free/%s', Body=open(%r, 'rb').read(), ChecksumAlgorithm='SHA256')" % (names[0], os.path.join(house.log, names[0])))
    status, said = ship(to="s3://locked/free")
    check(status == 65 and "not locked" in said, "an object that is not locked: %d %s" % (status, said))
    status, said = ship(to="s3://open/x")
    check(status not in (0, 70), "a bucket without Object Lock: %d %s" % (status, said))
    check(ship(to="s3://nowhere/x")[0] not in (0, 70), "no such bucket")
    bare = {k: v for k, v in environment.items() if not k.startswith("AWS_")}
    check(ship(env=bare)[0] == 64, "no credentials")
    file = write(os.path.join(house.place, "credentials"), ("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = %s\n" % secret).encode())
    os.chmod(file, 0o600)
    check(ship("--credentials", file, env=bare)[0] == 0, "credentials in a file")
    os.chmod(file, 0o640)
    check(ship("--credentials", file, env=bare)[0] == 77, "that others may read")
    check(ship(retain=())[0] == 64 and ship("--retain-until", "2099-01-01T00:00:00Z")[0] == 64, "one retention, not none and not two")
    check(secret not in said, "the secret is in no message")


def main():
    check = Checks()
    for run in (shipped_to_directory, shipped_to_bucket):
        check.part(run)
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
