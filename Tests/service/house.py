"""A service of its own for a test: made by `chatelaine init` in a temporary directory, started, stopped, killed."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire import Admin, Data  # noqa: E402


EXAMPLE_KEYRING = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../keys-example"))


def binary(name):
    """Where the build put a program; CHATELAINE_BIN says otherwise."""
    directory = os.environ.get("CHATELAINE_BIN")
    if not directory:
        directory = subprocess.run(
            ["swift", "build", "--show-bin-path"], check=True, capture_output=True, text=True,
            cwd=os.path.dirname(os.path.abspath(__file__))).stdout.strip()
        os.environ["CHATELAINE_BIN"] = directory
    return os.path.join(directory, name)


class House:
    """`with House() as house:` has a running service; `house.data()` and `house.admin()` connect to it."""

    def __init__(self, parent=None, start=True, settings=None, program=None, example=False):
        self.place = tempfile.mkdtemp(dir=parent, prefix="chatelaine-test-")
        self.directory = os.path.join(self.place, "house")
        self.program = program or [binary("chatelained")]
        self.process = None
        keyring = ["--insecure-example-keys", EXAMPLE_KEYRING] if example else []
        subprocess.run(
            [binary("chatelaine"), "init", self.directory, "--json", *keyring], check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if example else None)
        self.keyring = EXAMPLE_KEYRING if example else os.path.join(self.directory, "keyring")
        self.config = os.path.join(self.directory, "chatelaine.yaml")
        self.log = os.path.join(self.directory, "log")
        self.data_path = os.path.join(self.directory, "run/data.sock")
        self.admin_path = os.path.join(self.directory, "run/admin.sock")
        if settings:
            with open(self.config, "a") as config:
                config.write(settings)
        if start:
            self.start()

    def replace(self, old, new, file="chatelaine.yaml"):
        """Changes the configuration, or another file, before a start."""
        path = os.path.join(self.directory, file)
        with open(path) as one:
            text = one.read()
        assert old in text, old
        with open(path, "w") as one:
            one.write(text.replace(old, new))

    def small_segments(self, count=262144):
        self.replace('  name: "chatelaine"', '  name: "chatelaine"\n  segment-bytes: %d' % count
                     + "\n  first-segment-bytes: %d" % count)

    def start(self, wrapper=(), wait=20, environment=None, stdin=None):
        with open(os.path.join(self.place, "stderr"), "ab") as errors:
            self.process = subprocess.Popen(
                [*wrapper, *self.program, "--config", self.config, "--allow-root"], stdout=errors,
                stderr=errors, stdin=stdin, env={**os.environ, "SWIFT_BACKTRACE": "enable=no", **(environment or {})})
        until = time.monotonic() + wait
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError("the service ended with %d:\n%s" % (self.process.returncode, self.printed()))
            try:
                Admin(self.admin_path).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the service did not open its doors:\n" + self.printed())

    def printed(self):
        with open(os.path.join(self.place, "stderr"), errors="replace") as file:
            return file.read()

    def stop(self, number=signal.SIGTERM, wait=20):
        self.process.send_signal(number)
        return self.process.wait(wait)

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def data(self, **options):
        return Data(self.data_path, **options)

    def admin(self, **options):
        return Admin(self.admin_path, **options)

    def entries(self, *filters):
        """The log's entries, as `chatelaine audit show --json` has them."""
        shown = subprocess.run(
            [binary("chatelaine"), "audit", "show", "--log", self.log, "--json", *filters], check=True,
            capture_output=True, text=True).stdout
        return [json.loads(line) for line in shown.splitlines()]

    def verify(self):
        """The exit status of `chatelaine audit verify`: 0 is valid."""
        return subprocess.run(
            [binary("chatelaine"), "audit", "verify", "--log", self.log], stdout=subprocess.DEVNULL).returncode

    def end(self):
        """No process is left of it."""
        if self.process and self.process.poll() is None:
            self.kill()

    def close(self):
        self.end()
        shutil.rmtree(self.place, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Checks:
    """Counts checks and prints those that fail; `finish` prints the closing line and gives the exit status."""

    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, holds, what):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print("FAILED:", what, flush=True)
        return holds

    def part(self, run, *arguments):
        """Runs a function of checks and prints how it went, with what it says."""
        start, before = time.monotonic(), self.failed
        said = run(*arguments, self)
        word = "ok" if self.failed == before else "FAILED"
        print("%s: %s (%.1f s)%s" % (word, run.__name__, time.monotonic() - start, ": " + said if said else ""), flush=True)

    def finish(self):
        print("%d passed, %d failed" % (self.passed, self.failed))
        return 1 if self.failed else 0
