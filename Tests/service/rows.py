#!/usr/bin/env python3
"""Bad inputs and abuse, row by row: each check has the number of its row, and says what a user must get.

Refusals that have no entry of their own are counted as they come in; at the end the log must have the same counts.
"""
import os
import sys
import time

import hostile
import limits
import lifecycle
from house import Checks, House

SLOW = bool(os.environ.get("CHATELAINE_SLOW"))
ROUNDS = 20 if SLOW else 2


def main():
    check = Checks()
    with House(settings="connections-max: 300\nconnections-per-user-max: 200\n") as house:
        scene = hostile.Scene(house, check)
        hostile.every_row(scene)
        limits.every_row(scene)
        before = hostile.resident_kilobytes(house)
        for _ in range(ROUNDS):
            hostile.every_row(scene)
        if SLOW:
            limits.every_row(scene)
        after = hostile.resident_kilobytes(house)
        check(after <= before * 1.1, "resident memory grew from %d to %d KiB" % (before, after))
        check(scene.answers(), "after all of it the service answers")
        check(house.stop() == 0 and house.verify() == 0, "it stops with 0, and its log is valid")
        noted, counted = scene.noted(), dict(scene.refused)
        check(noted == counted, "refusals in the log %s, seen by callers %s" % (noted, counted))
        scene.refused["malformed"] += 1
        check(noted != dict(scene.refused), "the control did not fail: one refusal more than was noted")
        print("rows: %s refusals without an entry of their own, resident memory %d -> %d KiB" % (
            counted, before, after), flush=True)
    began = time.monotonic()
    lifecycle.every_row(check)
    print("rows: starts, stops and signals took %.0f s" % (time.monotonic() - began))
    return check.finish()


sys.exit(main())
