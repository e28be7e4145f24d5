#!/usr/bin/env python3
"""fdatasync fails under load from 8 clients: nobody is told that it went well, the service ends with 74 within a second,
and the next start is clean: eio.py [TIMES].

strace makes the n-th fdatasync of each thread fail, n at random; the trace says what left after it. The control: the
same trace with the failed sync said to be the one before, whose replies did leave.
"""
import os
import random
import shutil
import subprocess
import sys
import time

import tracing
from house import Checks, House
from traffic import Load, furnish, missing, operator_lost, undecryptable

TIMES = int(sys.argv[1]) if len(sys.argv) > 1 else 12 if os.environ.get("CHATELAINE_SLOW") else 3
FAILURE = "= -1 EIO (Input/output error) (INJECTED)"
# As strace writes the end of a path.
TREE = "".join("\\x%02x" % byte for byte in b"/tree") + ">"


def seconds_to_the_end(lines):
    """From the last failed sync of a segment to the end of the process."""
    failed = [line for line in lines if FAILURE in line]
    ended = [line for line in lines if "+++ exited with 74 +++" in line]
    if not failed or not ended:
        return None
    return float(ended[-1].split()[1]) - float(failed[-1].split()[1])


def without_the_failure(lines, order):
    """The trace with the newest good sync of a reply failed."""
    sync = max((order.covered[one] for one in order.receipts), key=lambda one: one.end)
    changed = list(lines)
    changed[sync.end] = changed[sync.end].rsplit("=", 1)[0] + FAILURE
    return changed


def wait(house, path):
    """The exit status, or None after a minute; and whether the writer's failure was spent on `tree`, which is derived:
    then the service goes on, rightly."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            return house.process.wait(3), False
        except subprocess.TimeoutExpired:
            with open(path) as file:
                if any(FAILURE in line and TREE in line for line in file):
                    return None, True
    return None, False


def fail_once(check, seed, operator):
    with House(start=False) as house:
        house.small_segments()
        path, number = os.path.join(house.place, "trace"), random.randrange(40, 140)
        inject = "inject=fdatasync:error=EIO:when=%d" % number
        house.start(wrapper=tracing.wrapper(path, "-e", inject), wait=60)
        acks = furnish(house).acks
        load = Load(house, seed=seed, operator=operator)
        status, spent = wait(house, path)
        if spent:
            house.kill()
            load.end()
            return None
        check(status == 74, "fdatasync %d failed: exit %s, not 74" % (number, status))
        if status is None:
            house.kill()
        journal = load.end()
        time.sleep(0.2)
        with open(path) as file:
            lines = file.read().splitlines()
        seconds = seconds_to_the_end(lines)
        check(seconds is not None and seconds <= 1, "it ends %s s after the failure" % seconds)
        order = tracing.Order(lines)
        check(not order.faults, "told of what was not synced: %s" % order.faults[:3])
        check(tracing.Order(without_the_failure(lines, order)).faults, "the control did not fail: another sync failed")
        codes = {code for code, _ in journal.refused}
        check(codes <= {"AUDIT_UNAVAILABLE"}, "who waited was told %s" % codes)
        house.start()
        gone = missing(house, acks + journal.acks)
        check(not gone, "%d acknowledged entries are missing" % len(gone))
        lost = undecryptable(house, journal)
        check(lost == 0, "%d envelopes or data keys do not open" % lost)
        check(not operator or operator_lost(house, load.operator) == 0, "an operator's act is lost")
        check(house.stop() == 0 and house.verify() == 0, "it stops with 0, and the log is valid")
        return len(journal.acks), len(journal.refused), len(gone), lost, seconds or 0


def main():
    check, total, slowest = Checks(), [0, 0, 0, 0], 0
    seed = int(os.environ.get("CHATELAINE_SEED", random.randrange(1 << 30)))
    random.seed(seed)
    if not shutil.which("strace") or os.getuid() != 0:
        # why: only root reads the memory of a process that closed itself up.
        print("skipped: a failing sync needs strace and root")
        return check.finish()
    print("eio: %d times, CHATELAINE_SEED=%d" % (TIMES, seed), flush=True)
    for time_ in range(TIMES):
        found = None
        while found is None:
            found = fail_once(check, seed + time_, operator=time_ % 2 == 1)
        *counts, seconds = found
        total, slowest = [a + b for a, b in zip(total, counts)], max(slowest, seconds)
    print("eio: %d failed syncs, %d acknowledged, %d refused, %d missing, %d undecryptable, ended within %.2f s" % (
        TIMES, *total, slowest))
    return check.finish()


sys.exit(main())
