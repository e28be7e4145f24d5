#!/usr/bin/env python3
"""SIGKILL under load from 8 clients: what was acknowledged is there after the next start: kills.py [KILLS].

Each kill: a start by itself, load with rotations and new keys, SIGKILL at a random moment (now and then in the middle
of a start), another start; then every acknowledged entry is looked up, every envelope and data key opened.
"""
import os
import random
import sys
import time

import segments
from house import Checks, House
from traffic import Journal, Load, furnish, missing, operator_lost, undecryptable

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 100 if os.environ.get("CHATELAINE_SLOW") else 20
KILLS_A_HOUSE = 10


def kill_while_starting(house):
    """Begins a start and kills it before, while or after it recovers."""
    import subprocess
    process = subprocess.Popen([*house.program, "--config", house.config, "--allow-root"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env={**os.environ, "SWIFT_BACKTRACE": "enable=no"})
    time.sleep(random.uniform(0.005, 0.4))
    process.kill()
    process.wait()


def kill_once(check, house, seed, all_acks):
    """One kill; what was acknowledged in it."""
    load = Load(house, seed=seed)
    time.sleep(random.uniform(0.02, 0.6))
    house.kill()
    journal = load.end()
    all_acks += journal.acks
    starts = random.choice([0, 0, 1, 2])
    for _ in range(starts):
        kill_while_starting(house)
    house.start()
    gone = missing(house, all_acks)
    check(not gone, "%d acknowledged entries are missing, such as %s" % (len(gone), gone[:1]))
    lost = undecryptable(house, journal)
    check(lost == 0, "%d envelopes or data keys do not open" % lost)
    check(operator_lost(house, load.operator) == 0, "an operator's act is lost")
    return journal, len(gone), lost, starts


def take_last_frames(house, newest):
    """Writes zeros over the newest segment's frames that hold the entry or come after it; False where none does."""
    path, taken = segments.segments(house.log)[-1], False
    with open(path, "r+b") as file:
        for offset, frame in segments.frames(path):
            _, first, count, _ = segments.frame_head(frame)
            if first + count > newest:
                taken = taken or first <= newest
                if taken:
                    file.seek(offset)
                    file.write(bytes(len(frame)))
    return taken


def control(check, house, journal):
    """A log without its last frames, an envelope that was changed: the same checks must see both."""
    # Once more where the newest acknowledged entry is in a segment that was just sealed.
    for attempt in range(10):
        load = Load(house, seed=1 + attempt, operator=False)
        time.sleep(0.4)
        house.kill()
        acks = load.end().acks
        if not check(acks, "the control had no acknowledgement"):
            return
        if take_last_frames(house, max(sequence for sequence, _ in acks)):
            break
        house.start()
    # why: a start holds the log against its signed heads, and would refuse before the checks see anything.
    for name in ("head", "heads"):
        path = os.path.join(house.log, name)
        if os.path.exists(path):
            os.remove(path)
    house.start()
    check(house.verify() == 0 and missing(house, acks), "the control did not fail: the last frames were taken away")
    spoiled = Journal()
    spoiled.envelopes = [(tenant, envelope, text + b"!", context) for tenant, envelope, text, context in journal.envelopes[:3]]
    tenant, wrapped, key, context = journal.data_keys[0]
    spoiled.data_keys = [(tenant, wrapped, bytes(32), context)]
    check(undecryptable(house, spoiled) == 4, "the control did not fail: other plaintexts and another key")


def main():
    check, total, gone, lost, least, starts = Checks(), 0, 0, 0, None, 0
    envelopes = keys = done = 0
    seed = int(os.environ.get("CHATELAINE_SEED", random.randrange(1 << 30)))
    random.seed(seed)
    print("kills: %d, CHATELAINE_SEED=%d" % (KILLS, seed), flush=True)
    while done < KILLS and not check.failed:
        with House(start=False) as house:
            house.small_segments()
            house.start()
            acks = furnish(house).acks
            given = Journal()
            for _ in range(min(KILLS_A_HOUSE, KILLS - done)):
                done += 1
                last, gone_now, lost_now, started = kill_once(check, house, seed + done, acks)
                given.take(last)
                total, gone, lost, starts = total + len(last.acks), gone + gone_now, lost + lost_now, starts + started
                least = len(last.acks) if least is None else min(least, len(last.acks))
                envelopes, keys = envelopes + len(last.envelopes), keys + len(last.data_keys)
            check(house.verify() == 0, "the log is valid")
            if done >= KILLS:
                control(check, house, given)
            check(house.stop() == 0 and house.verify() == 0, "it stops with 0, and the log is valid")
    print("kills: %d and %d in a start, %d acknowledged (least %d), %d missing; %d envelopes, %d data keys, "
          "%d undecryptable" % (done, starts, total, least, gone, envelopes, keys, lost))
    return check.finish()


sys.exit(main())
