"""A client of the HTTP door, from Python's own http.client; and one that writes the bytes itself, for what no client sends."""
import base64
import http.client
import json
import re
import socket

SETTINGS = 'http-socket:\n  path: run/http.sock\n  mode: "0600"\n'


def path_of(house):
    return house.data_path.replace("data.sock", "http.sock")


def b64(data):
    return base64.b64encode(data).decode()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.json = json.loads(body) if body else None
        self.data = (self.json or {}).get("data")
        self.errors = (self.json or {}).get("errors")
        self.code = (self.json or {}).get("code")
        self.request_id = (self.json or {}).get("request_id")
        receipt = headers.get("X-Chatelaine-Receipt")
        self.receipt = receipt.strip().split("/") if receipt else None


class Transit(http.client.HTTPConnection):
    """`call("POST", "acme/encrypt/pay", {...})`; a body of bytes goes as it is."""

    def __init__(self, house, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.unix_path = house if isinstance(house, str) else path_of(house)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)

    def call(self, method, path, body=None, headers=None, chunked=False):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        data = iter([data[:5], data[5:]]) if chunked else data
        self.request(method, "/v1/" + path, data, headers or {}, encode_chunked=chunked)
        reply = self.getresponse()
        return Answer(reply.status, reply.headers, reply.read())

    def encrypt(self, tenant, key, plaintext, **more):
        return self.call("POST", "%s/encrypt/%s" % (tenant, key), {"plaintext": b64(plaintext), **more})

    def decrypt(self, tenant, key, ciphertext, **more):
        return self.call("POST", "%s/decrypt/%s" % (tenant, key), {"ciphertext": ciphertext, **more})


class Raw:
    """A socket of the door, byte for byte."""

    def __init__(self, house, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path_of(house))
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)
        return self

    def head(self):
        """Status line and headers, or None where the other side hung up."""
        try:
            lines = []
            while (line := self.file.readline()) not in (b"\r\n", b""):
                lines.append(line.decode().rstrip("\r\n"))
        except ConnectionResetError:
            return None
        return lines or None

    def answer(self):
        lines = self.head()
        if not lines:
            return None
        headers = dict(line.split(": ", 1) for line in lines[1:])
        return Answer(int(lines[0].split()[1]), headers, self.file.read(int(headers.get("Content-Length", 0))))

    def all(self):
        """What comes until the other side hangs up."""
        try:
            return self.file.read()
        except ConnectionResetError:
            return b""

    def is_closed(self):
        return self.all() == b""

    def close(self):
        self.file.close()
        self.socket.close()


def post(path, body, *headers):
    head = ["POST /v1/%s HTTP/1.1" % path, "Host: x", "Content-Length: %d" % len(body), *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def masked(reply):
    """A whole reply, with what no two calls have alike, request id and receipt, as zeros."""
    reply = re.sub(rb'"request_id":"[0-9a-f]{32}"', b'"request_id":"0"', reply)
    return re.sub(rb"X-Chatelaine-Receipt: [0-9a-f/]{100,} *", b"X-Chatelaine-Receipt: 0", reply)
