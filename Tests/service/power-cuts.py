#!/usr/bin/env python3
"""Power cuts under load from 8 clients: what was acknowledged is there after: power-cuts.py [--control] [CUTS].

Keyring, store, log and sockets lie on an ext4 in a loop device. Each cut: load with rotations and new keys, the service
is stopped (no reply leaves any more), the file system shut down without its journal, the service killed, the file system
mounted anew; the service starts by itself, and every acknowledged entry is looked up, every envelope and key opened.

--control: the same without any fsync (libeatmydata): fails if NOTHING is lost.
"""
import glob
import os
import random
import signal
import sys
import time

import ext4
from house import Checks, House
from traffic import Journal, Load, furnish, missing, operator_lost, undecryptable

CONTROL = "--control" in sys.argv
NUMBERS = [int(one) for one in sys.argv[1:] if one.isdigit()]
CUTS = NUMBERS[0] if NUMBERS else 3 if CONTROL else 50 if os.environ.get("CHATELAINE_SLOW") else 20
CUTS_A_HOUSE = 10


class Total:
    cuts = acked = gone = lost = acts = refused = envelopes = keys = 0
    least = None


def cut_once(house, disk, environment, seed):
    """Load until the power goes; what was acknowledged, and the operator who knows what it did."""
    load = Load(house, seed=seed)
    time.sleep(random.uniform(0.1, 0.5))
    house.process.send_signal(signal.SIGSTOP)
    time.sleep(0.02)
    disk.cut()
    house.kill()
    journal = load.end()
    disk.unmount()
    disk.mount()
    return journal, load.operator


def look(house, total, all_acks, journal, operator):
    """(entries, envelopes and keys, acts) that were acknowledged and are not there."""
    gone, lost = len(missing(house, all_acks)), undecryptable(house, journal)
    acts = operator_lost(house, operator)
    total.gone, total.lost, total.acts = total.gone + gone, total.lost + lost, total.acts + acts
    return gone, lost, acts


def run_house(check, disk, total, environment, seed):
    """A new house for some cuts. The control's house ends with its first loss."""
    with House(parent=disk.path, start=False) as house:
        house.small_segments()
        if CONTROL:
            house.replace("version: 1", "version: 1\nallow: [preload]")
        house.start(environment=environment)
        acks = furnish(house).acks
        if CONTROL:
            # why: it is to lose acknowledged entries, not a log that never was.
            disk.sync()
        for _ in range(min(CUTS_A_HOUSE, CUTS - total.cuts)):
            total.cuts += 1
            journal, operator = cut_once(house, disk, environment, seed + total.cuts)
            acks += journal.acks
            total.acked += len(journal.acks)
            total.least = min(total.least or len(journal.acks), len(journal.acks))
            total.envelopes, total.keys = total.envelopes + len(journal.envelopes), total.keys + len(journal.data_keys)
            try:
                house.start(environment=environment)
            except RuntimeError as error:
                total.refused += 1
                check(CONTROL, "it does not start by itself: %s" % str(error)[-300:])
                return
            gone, lost, acts = look(house, total, acks, journal, operator)
            if CONTROL and (gone or lost or acts):
                return
            check(gone == 0, "%d acknowledged entries are missing" % gone)
            check(lost == 0, "%d envelopes or data keys do not open" % lost)
            check(acts == 0, "%d of the operator's acts are lost" % acts)
            if check.failed:
                return
        check(house.verify() == 0, "the log is valid")
        check(house.stop() == 0 and house.verify() == 0, "it stops with 0, and the log is valid")


def main():
    check, total, environment = Checks(), Total(), {}
    seed = int(os.environ.get("CHATELAINE_SEED", random.randrange(1 << 30)))
    random.seed(seed)
    if CONTROL:
        found = glob.glob("/usr/lib/libeatmydata.so") + glob.glob("/usr/lib/*/libeatmydata.so")
        if not found:
            print("skipped: the control needs libeatmydata")
            return check.finish()
        environment = {"LD_PRELOAD": found[0]}
    print("power cuts: %d%s, CHATELAINE_SEED=%d" % (CUTS, ", control without fsync" if CONTROL else "", seed), flush=True)
    try:
        with ext4.Disk() as disk:
            while total.cuts < CUTS and (CONTROL or not check.failed):
                run_house(check, disk, total, environment, seed)
    except ext4.Unavailable as why:
        print("skipped: power cuts of the service: %s" % why)
        return check.finish()
    if CONTROL:
        check(total.gone + total.lost + total.refused > 0, "the control did not fail: nothing was lost without fsync")
    print("power cuts: %d, %d acknowledged (least %d), %d missing; %d envelopes, %d data keys, %d undecryptable; "
          "%d acts lost, %d starts refused" % (total.cuts, total.acked, total.least, total.gone, total.envelopes, total.keys,
                                               total.lost, total.acts, total.refused))
    return check.finish()


sys.exit(main())
