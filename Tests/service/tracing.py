"""Reads what strace says of the service: which replies left, and which entries were synced by then."""
import re
import struct

from segments import frame_head
from wire import Reply

CALLS = "write,writev,sendmsg,sendto,pwrite64,fdatasync"
LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
RESULT = re.compile(r"\) += (-?\d+)(.*)$")


def wrapper(path, *more):
    """The command that traces a service; the service stays the child of whoever starts it."""
    return ["strace", "-D", "-f", "-q", "-ttt", "-y", "-xx", "-s", "5000000", "-e", "signal=none", "-e", "trace=" + CALLS,
            *more, "-o", path]


def text_bytes(arguments):
    """The bytes of every string among a call's arguments."""
    return b"".join(bytes.fromhex(one.replace("\\x", "")) for one in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments))


def decoded(name):
    return re.sub(r"\\x([0-9a-f]{2})", lambda byte: chr(int(byte[1], 16)), name)


class Call:
    def __init__(self, name, arguments, line):
        self.name, self.arguments, self.start, self.end, self.result = name, arguments, line, None, None
        self.file = decoded(arguments.split(",")[0].split(")")[0].strip())

    def finish(self, line, result):
        self.end, self.result = line, int(result)


def calls(lines):
    """Calls with the lines where they begin and end, in the order of their ends."""
    open_calls = {}
    for number, line in enumerate(lines):
        parts = LINE.match(line)
        if not parts:
            continue
        thread, rest = parts[1], parts[3]
        resumed = RESUMED.match(rest)
        if resumed:
            call = open_calls.pop(thread, None)
            rest = resumed[2]
            if call is None:
                continue
        else:
            name, _, arguments = rest.partition("(")
            call = Call(name, arguments.split(" <unfinished")[0], number)
            if rest.endswith("<unfinished ...>"):
                open_calls[thread] = call
                continue
        result = RESULT.search(rest)
        if result:
            call.finish(number, result[1])
            yield call


class Order:
    """`faults`: replies that began to leave before a sync of their entry had succeeded."""

    def __init__(self, lines):
        self.faults, self.receipts, self.plain, self.syncs = [], {}, 0, 0
        self.covered = {}           # sequence: the sync that made it durable
        self.waiting = {}           # file: [(line, first, count)], written and not synced
        self.streams = {}           # socket: [bytes, [(offset, line)]]
        # why: a sync covers what was written before it began; its end is what counts for replies.
        for call in calls(lines):
            if call.name == "pwrite64":
                self.wrote(call)
            elif call.name == "fdatasync":
                self.synced(call)
            elif "<socket:" in call.file:
                self.sent(call)

    def wrote(self, call):
        data = text_bytes(call.arguments)
        head = frame_head(data)
        if head and head[0] == 1 and call.result == len(data):
            self.waiting.setdefault(call.file, []).append((call.end, head[1], head[2]))

    def synced(self, call):
        if call.result != 0:
            # why: the kernel may have dropped what was written; no later sync makes up for it.
            self.waiting[call.file] = []
            return
        self.syncs += 1
        rest = []
        for line, first, count in self.waiting.get(call.file, []):
            if line < call.start:
                for sequence in range(first, first + count):
                    self.covered.setdefault(sequence, call)
            else:
                rest.append((line, first, count))
        self.waiting[call.file] = rest

    def sent(self, call):
        if call.result <= 0:
            return
        stream = self.streams.setdefault(call.file, [b"", []])
        stream[1].append((len(stream[0]), call))
        stream[0] += text_bytes(call.arguments)[:call.result]
        while len(stream[0]) >= 10:
            count, number, kind, _ = struct.unpack_from(">IIBB", stream[0])
            if kind != 2 or len(stream[0]) < 10 + count:
                return
            # The write that has the reply's first byte.
            index = max(index for index, (offset, _) in enumerate(stream[1]) if offset <= 0)
            self.reply(Reply(number, stream[0][10:10 + count]), stream[1][index][1])
            stream[0] = stream[0][10 + count:]
            stream[1] = [(offset - 10 - count, carrier) for offset, carrier in stream[1][index:]]

    def reply(self, reply, carrier):
        if reply.sequence is None:
            self.plain += 1
            return
        sync = self.covered.get(reply.sequence)
        if sync is None or sync.end >= carrier.start:
            self.faults.append("the reply with entry %d left before it was synced" % reply.sequence)
        self.receipts[reply.sequence] = carrier
