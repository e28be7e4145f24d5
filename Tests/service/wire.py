"""A second implementation of the data door's protocol, for tests: ttrpc and the messages of proto/, by hand.

It shares nothing with the service or its client library but proto/chatelaine/v1.
"""
import socket
import struct

DATA, ADMIN = "chatelaine.v1.KeyService", "chatelaine.v1.AdminService"


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """[(number, value)] of a message; bytes stay bytes."""
    at, out = 0, []

    def take_varint():
        nonlocal at
        shift = value = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = take_varint()
        kind = key & 7
        if kind == 0:
            value = take_varint()
        elif kind == 2:
            count = take_varint()
            value, at = message[at:at + count], at + count
        else:
            count = 4 if kind == 5 else 8
            value, at = int.from_bytes(message[at:at + count], "little"), at + count
        out.append((key >> 3, value))
    return out


class Reply:
    """What a call came to: `ok`, or `code` and `sentence`; `payload` as fields; `sequence` of its entry or None."""

    def __init__(self, stream, body):
        self.stream, self.raw = stream, body
        parts = dict(fields(body))
        status, self.payload = parts.get(1, b""), fields(parts.get(2, b""))
        self.ok = not status
        self.code = self.sentence = self.request_id = self.rpc_status = None
        receipt = dict(self.payload).get(15)
        if status:
            facts = dict(fields(status))
            self.rpc_status, self.sentence = facts[1], facts[2].decode()
            detail = dict(fields(dict(fields(facts[3]))[2]))
            self.code, self.request_id, receipt = detail[1].decode(), detail.get(2), detail.get(15)
        self.receipt = dict(fields(receipt)) if receipt else None
        self.sequence = self.receipt[3] if self.receipt else None

    def __getitem__(self, number):
        return dict(self.payload).get(number, b"")

    def all(self, number):
        return [value for n, value in self.payload if n == number]


class Connection:
    """One socket; calls may be sent ahead of their replies."""

    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.stream, self.waiting = -1, b""

    def send(self, service, method, message, timeout_ns=None):
        self.stream += 2
        request = field(1, service) + field(2, method) + field(3, message)
        if timeout_ns is not None:
            request += field(4, timeout_ns)
        self.send_raw(struct.pack(">IIBB", len(request), self.stream, 1, 0) + request)
        return self.stream

    def send_raw(self, data):
        self.socket.sendall(data)

    def _take(self, count):
        while len(self.waiting) < count:
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError("the service closed the connection")
            self.waiting += data
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def receive(self):
        count, stream, kind, _ = struct.unpack(">IIBB", self._take(10))
        assert kind == 2, "a reply"
        return Reply(stream, self._take(count))

    def call(self, service, method, message, timeout_ns=None):
        stream = self.send(service, method, message, timeout_ns)
        reply = self.receive()
        assert reply.stream == stream
        return reply

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def context_fields(context):
    return b"".join(field(4, field(1, key) + field(2, value)) for key, value in (context or {}).items())


def attribution(request_id=None, actor=None, purpose=None):
    inner = b"".join(field(n, v) for n, v in ((1, request_id), (2, actor), (3, purpose)) if v)
    return field(8, inner) if inner else b""


class Data(Connection):
    """The data door's calls. `**about`: request_id, actor, purpose."""

    @staticmethod
    def message(tenant, key=None, body=None, context=None, **about):
        parts = field(1, tenant) + (field(2, key) if key is not None else b"")
        parts += (field(3, body) if body is not None else b"") + context_fields(context)
        return parts + attribution(**about)

    def encrypt(self, tenant, key, plaintext, context=None, **about):
        return self.call(DATA, "Encrypt", self.message(tenant, key, plaintext, context, **about))

    def decrypt(self, tenant, envelope, context=None, **about):
        return self.call(DATA, "Decrypt", self.message(tenant, None, envelope, context, **about))

    @staticmethod
    def batch_message(tenant, key, items, **about):
        body = b"".join(field(3, field(3, text) + context_fields(context)) for text, context in items)
        return field(1, tenant) + (field(2, key) if key else b"") + body + attribution(**about)

    def encrypt_batch(self, tenant, key, items, **about):
        return self.call(DATA, "EncryptBatch", self.batch_message(tenant, key, items, **about))

    def decrypt_batch(self, tenant, items, **about):
        return self.call(DATA, "DecryptBatch", self.batch_message(tenant, None, items, **about))

    def issue(self, tenant, key, context=None, wrapped_only=False, **about):
        message = self.message(tenant, key, None, context, **about) + (field(5, 1) if wrapped_only else b"")
        return self.call(DATA, "IssueDataKey", message)

    def unwrap(self, tenant, wrapped, context=None, **about):
        return self.call(DATA, "UnwrapDataKey", self.message(tenant, None, wrapped, context, **about))

    def rewrap(self, tenant, envelope=None, wrapped=None, context=None, **about):
        message = self.message(tenant, None, envelope, context, **about) + (field(5, wrapped) if wrapped else b"")
        return self.call(DATA, "Rewrap", message)

    def get_head(self, from_size=0, **options):
        return self.call(DATA, "GetHead", field(1, from_size) if from_size else b"", **options)

    def prove_entry(self, sequence, **options):
        return self.call(DATA, "ProveEntry", field(1, sequence) if sequence else b"", **options)


class Admin(Connection):
    def act(self, method, tenant=None, key=None, request_id=None, **numbers):
        message = (field(1, tenant) if tenant else b"") + (field(2, key) if key else b"")
        for name, value in numbers.items():
            message += field({"suite": 4}[name], value)
        return self.call(ADMIN, method, message + attribution(request_id))

    def create_tenant(self, tenant):
        return self.act("CreateTenant", tenant)

    def create_key(self, tenant, key, suite=1):
        return self.act("CreateKey", tenant, key, suite=suite)

    def status(self):
        return self.act("Status")
