#!/usr/bin/env python3
"""No reply's first byte leaves before the fdatasync that covers its entry has ended, as strace sees it: order.py [CALLS].

The control: the same trace, but with a reply put before its sync, and with a sync that failed.
"""
import os
import random
import shutil
import sys
import time

import segments
import tracing
from house import Checks, House
from traffic import Load, furnish

CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000 if os.environ.get("CHATELAINE_SLOW") else 1_000


def move_reply(lines, order):
    """The trace with one reply before the sync that covers it."""
    for sequence in random.sample(sorted(order.receipts), len(order.receipts)):
        carrier, sync = order.receipts[sequence], order.covered[sequence]
        if carrier.start == carrier.end:
            rest = lines[:carrier.start] + lines[carrier.start + 1:]
            return rest[:sync.end] + [lines[carrier.start]] + rest[sync.end:]
    return None


def fail_sync(lines, order):
    """The trace with one sync that says EIO."""
    sync = order.covered[random.choice(sorted(order.receipts))]
    changed = list(lines)
    changed[sync.end] = lines[sync.end].rsplit("=", 1)[0] + "= -1 EIO (Input/output error)"
    return changed


def run(check, name, calls, *more):
    with House(start=False) as house:
        house.small_segments()
        path = os.path.join(house.place, "trace")
        house.start(wrapper=tracing.wrapper(path, *more), wait=60)
        furnish(house)
        load = Load(house, seed=random.randrange(1 << 20))
        until = time.monotonic() + 300
        while load.acks() < calls and time.monotonic() < until:
            time.sleep(0.05)
        journal = load.end(stop=True)
        check(house.stop() == 0 and house.verify() == 0, "%s: it stops with 0, and the log is valid" % name)
        time.sleep(0.3)
        with open(path) as file:
            lines = file.read().splitlines()
        order = tracing.Order(lines)
        check(not order.faults, "%s: %d replies too early: %s" % (name, len(order.faults), order.faults[:3]))
        acked = {sequence for sequence, _ in journal.acks}
        check(len(acked) >= calls and acked <= set(order.receipts), "%s: every reply was seen in the trace" % name)
        first = min(order.covered, default=0)
        written = {sequence for sequence in segments.entries(house.log) if sequence >= first}
        check(set(order.covered) == written, "%s: every entry's sync was seen" % name)
        moved = move_reply(lines, order)
        check(moved and tracing.Order(moved).faults, "the control did not fail: %s: a reply before its sync" % name)
        check(tracing.Order(fail_sync(lines, order)).faults, "the control did not fail: %s: a sync that failed" % name)
        print("order, %s: %d replies with receipts, %d entries, %d syncs, %d segments, %d too early" % (
            name, len(order.receipts), len(order.covered), order.syncs, len(segments.segments(house.log)),
            len(order.faults)), flush=True)


def main():
    check = Checks()
    if not shutil.which("strace") or os.getuid() != 0:
        # why: only root reads the memory of a process that closed itself up.
        print("skipped: the order of replies and syncs needs strace and root")
        return check.finish()
    run(check, "as fast as it goes", CALLS)
    run(check, "a disk that takes 20 ms a sync", CALLS // 4, "-e", "inject=fdatasync:delay_enter=20000")
    return check.finish()


sys.exit(main())
