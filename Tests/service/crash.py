#!/usr/bin/env python3
"""A crash of the service prints no secret and leaves no core file: every crash signal and a Swift trap.

Each crash comes in the thread that serves connections, with fourteen registers pointed at a live plaintext: the worst
that a backtracer could meet. `crash.py --control` is for a build with CHATELAINE_TEST_BUILD=readable,backtraced, which
keeps the Swift runtime's crash reporter: there the plaintext must be printed. Root and x86-64 only.
"""
import os
import resource
import signal
import struct
import sys
import time

import registers
from canaries import Scan
from house import Checks, House
from wire import DATA, Data, field

CONTROL = "--control" in sys.argv
KINDS = {name: getattr(signal, name) for name in "SIGSEGV SIGBUS SIGILL SIGFPE SIGTRAP SIGABRT SIGQUIT SIGSYS".split()}
check = Checks()


def printed_of(secret, text):
    """How many 8-byte windows of a secret a text holds, raw or in hex with or without blanks between bytes."""
    squeezed = text.replace(b" ", b"").lower()
    return sum(
        secret[at:at + 8] in text or secret[at:at + 8].hex().encode() in squeezed for at in range(len(secret) - 7))


def crash_once(house, kind, number):
    """Lets a service with a live secret die; what it printed of that secret, and the signal it died of."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    before = len(house.printed_bytes())
    house.start(environment={"SWIFT_BACKTRACE": "enable=yes,color=no,interactive=no,timeout=20s"})
    pid, secret = house.process.pid, os.urandom(256)
    connection = house.data()
    request = field(1, DATA) + field(2, "Encrypt") + field(3, Data.message("acme", "k", secret))
    connection.send_raw(struct.pack(">IIBB", len(request), 1, 1, 0) + request[:-1])
    time.sleep(0.2)
    live = [hit[2] for hit in Scan(pid, {"live": secret[:64]}).hits if hit[1] == "first"]
    check(len(live) == 1, "%s: the secret lives in one place: %s" % (kind, live))
    thread = registers.thread_named(pid, "NIO-ELT")
    registers.crash(thread, live[0], number, None if number else registers.trap_address(pid))
    died_of = -house.process.wait(60)
    return printed_of(secret, house.printed_bytes()[before:]), died_of


def main():
    if not registers.is_possible:
        print("skipped: only root, on x86-64, can send a thread of the service into a crash")
        return 0
    with House(start=False, example=CONTROL or "--example" in sys.argv) as house:
        os.chdir(house.place)
        house.printed_bytes = lambda: open(os.path.join(house.place, "stderr"), "rb").read()
        house.start()
        admin = house.admin()
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "k").ok
        house.stop()
        for kind, number in {**KINDS, "Swift trap (ud2)": 0}.items():
            windows, died_of = crash_once(house, kind, number)
            print("%-18s died of %-8s printed %d of 249 windows of the secret" % (kind, signal.Signals(died_of).name, windows))
            check(CONTROL or died_of == (number or signal.SIGILL), "%s: died of %d" % (kind, died_of))
            cores = [name for _, _, names in os.walk(house.place) for name in names if name.startswith("core")]
            check(CONTROL or not cores, "%s: a core file: %s" % (kind, cores))
            # Swift's reporter does not take SIGSYS.
            check(not CONTROL or windows > 0 or kind == "SIGSYS", "the control did not fail: %s printed nothing" % kind)
            check(CONTROL or windows == 0, "%s: printed %d windows of the secret" % (kind, windows))
        house.start()
        check(house.data().encrypt("acme", "k", b"x").ok, "it serves after all that")
        check(CONTROL or house.stop() == 0 and house.verify() == 0, "it stops, and its log is valid")
    return check.finish()


sys.exit(main())
