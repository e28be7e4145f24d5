#!/usr/bin/env python3
"""A key is disabled while 8 connections use it: revocation.py [ROUNDS].

No call that was sent after the operator had the reply succeeds, on any connection; no entry of a call that used the key
stands behind the outcome of the change. The control: calls that were sent before the reply do succeed.
"""
import os
import sys
import threading
import time

from house import Checks, House
from wire import DATA, Data, fields

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 200 if os.environ.get("CHATELAINE_SLOW") else 10
CLIENTS, WINDOW = 8, 8
REFUSED = {"Encrypt": "KEY_DISABLED", "IssueDataKey": "KEY_DISABLED", "Decrypt": "DECRYPTION_FAILED",
           "UnwrapDataKey": "DECRYPTION_FAILED", "Rewrap": "DECRYPTION_FAILED"}


class Call:
    """When it was sent and answered, and what it came to; `good` where it used the key."""

    def __init__(self, method, sent):
        self.method, self.sent, self.received = method, sent, None
        self.good = self.code = self.sequence = None


class Client(threading.Thread):
    """Uses the key in every way, ahead of the replies, until told to stop."""

    def __init__(self, house, envelope, wrapped, number):
        super().__init__(daemon=True)
        self.connection, self.calls, self.stop, self.error = house.data(timeout=60), [], threading.Event(), None
        self.number = number
        self.messages = [
            ("Encrypt", Data.message("acme", "pay", b"text")), ("Decrypt", Data.message("acme", None, envelope)),
            ("IssueDataKey", Data.message("acme", "pay")), ("UnwrapDataKey", Data.message("acme", None, wrapped)),
            ("Rewrap", Data.message("acme", None, envelope)),
            ("EncryptBatch", Data.batch_message("acme", "pay", [(b"a", None), (b"b", None)])),
            ("DecryptBatch", Data.batch_message("acme", None, [(envelope, None)] * 2))]

    def run(self):
        waiting, turn = {}, self.number
        try:
            while not self.stop.is_set() or waiting:
                while len(waiting) < WINDOW and not self.stop.is_set():
                    method, message = self.messages[turn % len(self.messages)]
                    turn += 1
                    call = Call(method, time.monotonic())
                    waiting[self.connection.send(DATA, method, message)] = call
                    self.calls.append(call)
                self.receive(waiting)
        except Exception as error:  # for the main thread to show
            self.error = error

    def receive(self, waiting):
        if not waiting:
            return
        reply = self.connection.receive()
        call = waiting.pop(reply.stream)
        call.received, call.code, call.sequence = time.monotonic(), reply.code, reply.sequence
        if "Batch" in call.method:
            results = [dict(fields(one)) for one in reply.all(1)]
            call.good = any(1 in one for one in results)
            call.code = results[0].get(2, b"").decode() or None
        else:
            call.good = reply.ok


def too_late(calls, periods):
    """Calls that used the key though they were sent and answered within a period in which it was off."""
    return [call for call in calls if call.good and any(off <= call.sent and call.received < on for off, on in periods)]


def behind(good, spans):
    """Entries that used the key and stand between the outcome of a disabling and the intent of the next enabling."""
    return [one for one in good if any(off < one < on for off, on in spans)]


def read(house):
    """From the log: (outcome of each disabling, intent of the next enabling), and the entries that used the key."""
    spans, off, good = [], None, []
    for entry in house.entries():
        act = entry["operation"], entry["class"]
        if act == ("key-disable", "outcome"):
            off = entry["sequence"]
        elif act == ("key-enable", "intent"):
            spans.append((off, entry["sequence"]))
        elif entry["class"] == "key-use" and entry["outcome"] == "ok":
            good.append(entry["sequence"])
    return spans, good


def change(admin, method):
    """When it was asked, and when it was answered."""
    asked = time.monotonic()
    reply = admin.act(method, "acme", "pay")
    assert reply.ok, reply.code
    return asked, time.monotonic()


def rounds(house, check, clients):
    """Disables and enables; [(reply of the disabling, request of the enabling)]."""
    admin, periods = house.admin(), []
    for _ in range(ROUNDS):
        count = sum(len(client.calls) for client in clients)
        while sum(len(client.calls) for client in clients) < count + 200 and not any(c.error for c in clients):
            time.sleep(0.005)
        _, off = change(admin, "DisableKey")
        fresh = house.data()
        check(fresh.encrypt("acme", "pay", b"x").code == "KEY_DISABLED", "a new connection is refused")
        fresh.close()
        time.sleep(0.05)
        on, _ = change(admin, "EnableKey")
        periods.append((off, on))
        fresh = house.data()
        check(fresh.encrypt("acme", "pay", b"x").ok, "a new connection is served once the key is enabled")
        fresh.close()
    return periods


def wait_for_more(clients):
    """Until every client has sent what can only be answered after the last change; at most 60 s."""
    counts, until = [len(client.calls) + 2 * WINDOW for client in clients], time.monotonic() + 60
    while any(len(c.calls) < count and not c.error for c, count in zip(clients, counts)) and time.monotonic() < until:
        time.sleep(0.005)


def main():
    check = Checks()
    with House() as house:
        admin, data = house.admin(), house.data()
        assert admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok
        envelope, wrapped = data.encrypt("acme", "pay", b"text")[1], data.issue("acme", "pay")[1]
        clients = [Client(house, envelope, wrapped, number) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        periods = rounds(house, check, clients)
        wait_for_more(clients)
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join(60)
            check(not client.is_alive() and not client.error, "a client ended with %r" % client.error)
        calls = [call for client in clients for call in client.calls]
        late = too_late(calls, periods)
        check(not late, "%d calls succeeded that were sent when the key was off: %s" % (len(late), late[:3]))
        in_off = [call for call in calls if any(off <= call.sent < on for off, on in periods)]
        check(len(in_off) > ROUNDS, "%d calls were sent while the key was off" % len(in_off))
        wrong = [call for call in in_off if "Batch" not in call.method and call.code not in (REFUSED[call.method], None)]
        check(not wrong, "refused otherwise: %s" % [(call.method, call.code) for call in wrong[:3]])
        for client in clients:
            check(any(call.good for call in client.calls[-WINDOW * 4:]), "a connection is served again at the end")
        check(house.stop() == 0 and house.verify() == 0, "it stops with 0, and its log is valid")
        spans, good = read(house)
        told = {call.sequence for call in calls if call.good}
        check(len(spans) == ROUNDS and told <= set(good), "the log has %d disablings, %d uses" % (len(spans), len(good)))
        late = behind(good, spans)
        check(not late, "%d uses of the key stand behind its disabling, the first is entry %s" % (len(late), late[:1]))
        early = [(off - 10, on) for off, on in periods]
        check(too_late(calls, early), "the control did not fail: calls from before the reply")
        check(behind(good, [(low - 300, high) for low, high in spans]), "the control did not fail: entries before the outcome")
        print("revocation: %d rounds, %d calls, %d of them sent while the key was off" % (ROUNDS, len(calls), len(in_off)))
    return check.finish()


sys.exit(main())
