"""Load from many clients with a journal of what they were told, kept outside the service: for tests that end it
without warning."""
import os
import random
import threading

import segments
from wire import ADMIN, DATA, Admin, Data, field, fields

TENANTS, KEYS = ("acme", "beta"), ("pay", "notes")


class Journal:
    """What was acknowledged since the house was made."""

    def __init__(self):
        self.acks = []          # (sequence, leaf hash)
        self.envelopes = []     # (tenant, envelope, plaintext, context)
        self.data_keys = []     # (tenant, wrapped, key, context)
        self.refused = []       # (code, request id)

    def take(self, other):
        for name in vars(self):
            getattr(self, name).extend(getattr(other, name))


class Client(threading.Thread):
    """Sends calls ahead of their replies until the connection ends, or `stop` is set; notes each reply."""

    def __init__(self, path, seed, window=16, pause=None):
        super().__init__(daemon=True)
        self.connection, self.random, self.window, self.pause = Data(path), random.Random(seed), window, pause
        self.journal, self.stop, self.error = Journal(), threading.Event(), None

    def run(self):
        waiting = {}
        try:
            while not self.stop.is_set() or waiting:
                while len(waiting) < self.window and not self.stop.is_set():
                    method, message, take, request_id = self.draw()
                    waiting[self.connection.send(DATA, method, message)] = take, request_id
                if waiting:
                    self.receive(waiting)
                if self.pause:
                    self.stop.wait(self.pause)
        except (EOFError, OSError):
            self.drain(waiting)
        except Exception as error:  # for the main thread to show
            self.error = error

    def drain(self, waiting):
        """What had left before the end counts too."""
        try:
            while True:
                self.receive(waiting)
        except (EOFError, OSError):
            pass

    def receive(self, waiting):
        reply = self.connection.receive()
        take, request_id = waiting.pop(reply.stream)
        if reply.receipt:
            self.journal.acks.append((reply.sequence, reply.receipt[4]))
        if reply.ok:
            take(reply)
        else:
            self.journal.refused.append((reply.code, request_id))

    def draw(self):
        draw, journal = self.random, self.journal
        tenant, key, request_id = draw.choice(TENANTS), draw.choice(KEYS), draw.randbytes(16)
        context = draw.choice([None, {"table": "cards"}])
        kind = draw.random()
        if kind < 0.15 and journal.envelopes:
            tenant, envelope, _, context = draw.choice(journal.envelopes)
            return "Decrypt", Data.message(tenant, None, envelope, context, request_id=request_id), self.ignore, request_id
        if kind < 0.35:
            def take_key(reply):
                journal.data_keys.append((tenant, reply[1], reply[2], context))
            return "IssueDataKey", Data.message(tenant, key, None, context, request_id=request_id), take_key, request_id
        if kind < 0.4:
            items = [(draw.randbytes(40), context) for _ in range(10)]

            def take_batch(reply):
                for (text, _), result in zip(items, reply.all(1)):
                    journal.envelopes.append((tenant, dict(fields(result))[1], text, context))
            message = Data.batch_message(tenant, key, items, request_id=request_id)
            return "EncryptBatch", message, take_batch, request_id
        text = draw.randbytes(draw.randrange(200))

        def take(reply):
            journal.envelopes.append((tenant, reply[1], text, context))
        return "Encrypt", Data.message(tenant, key, text, context, request_id=request_id), take, request_id

    @staticmethod
    def ignore(_):
        pass


class Operator(threading.Thread):
    """Rotates keys and makes new ones while the others work; its acts are acknowledged too."""

    def __init__(self, path, seed, pause=0.02):
        super().__init__(daemon=True)
        self.connection, self.random, self.pause = Admin(path), random.Random(seed), pause
        self.journal, self.versions, self.made, self.stop = Journal(), {}, [], threading.Event()

    def run(self):
        try:
            while not self.stop.wait(self.pause):
                tenant, key = self.random.choice(TENANTS), self.random.choice(KEYS)
                if self.random.random() < 0.7:
                    reply = self.connection.act("RotateKey", tenant, key)
                    if reply.ok:
                        self.versions[tenant, key] = reply[1]
                else:
                    name = "k" + self.random.randbytes(8).hex()
                    reply = self.connection.act("CreateKey", tenant, name)
                    if reply.ok:
                        self.made.append((tenant, name))
                if reply.receipt:
                    self.journal.acks.append((reply.sequence, reply.receipt[4]))
        except (EOFError, OSError):
            pass


class Load:
    """Clients and an operator at work."""

    def __init__(self, house, clients=8, seed=0, operator=True, window=16, pause=None):
        self.clients = [Client(house.data_path, seed * 100 + n, window, pause) for n in range(clients)]
        self.operator = Operator(house.admin_path, seed) if operator else None
        for one in self.all:
            one.start()

    @property
    def all(self):
        return self.clients + ([self.operator] if self.operator else [])

    def acks(self):
        return sum(len(one.journal.acks) for one in self.all)

    def pace(self, pause):
        for client in self.clients:
            client.pause = pause

    def end(self, stop=False):
        """All that was acknowledged, once every client has seen the end (or was told to stop)."""
        journal = Journal()
        for one in self.all:
            if stop:
                one.stop.set()
        for one in self.all:
            one.join(30)
            assert not one.is_alive(), "a client hangs"
            assert not getattr(one, "error", None), repr(one.error)
            journal.take(one.journal)
            one.connection.close()
        return journal


def furnish(house):
    """Tenants and keys for the load; the acts' acknowledgements."""
    admin, journal = house.admin(), Journal()
    for tenant in TENANTS:
        replies = [admin.create_tenant(tenant)] + [admin.create_key(tenant, key) for key in KEYS]
        assert all(reply.ok for reply in replies)
        journal.acks += [(reply.sequence, reply.receipt[4]) for reply in replies]
    return journal


def missing(house, acks):
    """Acknowledged entries that are not in the log as they were acknowledged."""
    entries = segments.entries(house.log)
    return [ack for ack in acks if ack[0] not in entries or entries[ack[0]].leaf != ack[1]]


def undecryptable(house, journal):
    """Envelopes and data keys that were given out and do not open to what they were; each once."""
    connection, lost = house.data(), 0
    by_tenant = {}
    for tenant, envelope, text, context in journal.envelopes:
        by_tenant.setdefault(tenant, []).append((envelope, text, context))
    for tenant, mine in by_tenant.items():
        for start in range(0, len(mine), 500):
            part = mine[start:start + 500]
            reply = connection.decrypt_batch(tenant, [(envelope, context) for envelope, _, context in part])
            results = [dict(fields(one)) for one in reply.all(1)]
            results += [{2: b"none"}] * (len(part) - len(results))
            lost += sum(2 in got or got.get(1, b"") != text for got, (_, text, _) in zip(results, part))
    waiting = {}
    for tenant, wrapped, key, context in journal.data_keys:
        waiting[connection.send(DATA, "UnwrapDataKey", Data.message(tenant, None, wrapped, context))] = key
        if len(waiting) >= 100:
            lost += take_key(connection, waiting)
    while waiting:
        lost += take_key(connection, waiting)
    connection.close()
    return lost


def take_key(connection, waiting):
    reply = connection.receive()
    return reply[1] != waiting.pop(reply.stream)


def operator_lost(house, operator):
    """Keys that were made and rotations that were answered, but are not there."""
    admin, lost = house.admin(), 0
    for tenant in TENANTS:
        keys = {}
        for one in admin.call(ADMIN, "ListKeys", field(1, tenant)).all(1):
            parts = dict(fields(one))
            keys[parts[1].decode()] = parts.get(6, 0)
        lost += sum(name not in keys for owner, name in operator.made if owner == tenant)
        lost += sum(keys[key] < version for (owner, key), version in operator.versions.items() if owner == tenant)
    admin.close()
    return lost
