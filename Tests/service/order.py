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

CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000 if os.environ.get("CHATELAINE_SLOW") else 1_500


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


def main():
    check = Checks()
    if not shutil.which("strace"):
        print("skipped: the order of replies and syncs needs strace")
        return check.finish()
    with House(start=False) as house:
        house.small_segments()
        path = os.path.join(house.place, "trace")
        house.start(wrapper=tracing.wrapper(path), wait=60)
        furnish(house)
        load = Load(house, seed=random.randrange(1 << 20))
        until = time.monotonic() + 300
        while load.acks() < CALLS and time.monotonic() < until:
            time.sleep(0.05)
        journal = load.end(stop=True)
        check(house.stop() == 0 and house.verify() == 0, "it stops with 0, and the log is valid")
        time.sleep(0.3)
        with open(path) as file:
            lines = file.read().splitlines()
        order = tracing.Order(lines)
        check(not order.faults, "%d replies too early: %s" % (len(order.faults), order.faults[:3]))
        acked = {sequence for sequence, _ in journal.acks}
        check(len(acked) >= CALLS and acked <= set(order.receipts), "every acknowledged reply was seen in the trace")
        written = set(segments.entries(house.log))
        check(set(order.covered) == {one for one in written if one >= min(order.covered)}, "every entry's sync was seen")
        moved = move_reply(lines, order)
        check(moved and tracing.Order(moved).faults, "the control did not fail: a reply before its sync")
        check(tracing.Order(fail_sync(lines, order)).faults, "the control did not fail: a sync that failed")
        print("order: %d replies with receipts, %d entries, %d syncs, %d segments, %d too early" % (
            len(order.receipts), len(order.covered), order.syncs, len(segments.segments(house.log)), len(order.faults)))
    return check.finish()


sys.exit(main())
