"""Trees, entries, tenants' histories, frames and segments, by docs/formats alone (see verify_log.py)."""

import collections, hashlib, hmac, os, re, stat, struct

DETAIL_SIZE = {1: 32, 2: 8, 3: 32, 4: 32, 5: 8, 6: 8, 7: 8, 8: 8, 11: 4, 12: 1, 14: 32, 20: 8, 21: 32,
               24: 8, 25: 32}
TENANT = re.compile(rb"[a-z0-9][a-z0-9._-]{0,63}|_service")
KEY_NAME = re.compile(rb"([a-z0-9][a-z0-9._-]{0,63})?")
Entry = collections.namedtuple("Entry", "kind operation outcome seq prev tenant begins details leaf")
FrameHead = collections.namedtuple("FrameHead", "kind number first count size end")
Frame = collections.namedtuple("Frame", "kind number first entries body end")


class Answer(Exception):
    """A verdict that is known; nothing behind this place is judged."""

    def __init__(self, verdict, why, **facts):
        super().__init__(why)
        self.verdict, self.facts = verdict, facts


def demand(condition, why):
    if not condition:
        raise Answer("tampered", why)


def same(stored, computed):
    """Every comparison of a hash that is stored with one that was computed."""
    return hmac.compare_digest(stored, computed)


def sha(data):
    return hashlib.sha256(data).digest()


def big(data):
    return int.from_bytes(data, "big")


def read_file(path):
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read()
    except PermissionError:
        raise Answer("forbidden", path)
    except OSError:
        pass
    raise Answer("missing", path)


# Trees: RFC 6962 §2.1. What a path leads to is computed as the RFC defines paths.


def node(left, right):
    return sha(b"\1" + left + right)


class Tree:
    def __init__(self):
        self.size, self.stack = 0, []

    def add(self, leaf):
        self.size += 1
        size = self.size
        while size % 2 == 0:
            leaf, size = node(self.stack.pop(), leaf), size // 2
        self.stack.append(leaf)

    def root(self):
        root = self.stack[-1] if self.stack else sha(b"")
        for left in reversed(self.stack[:-1]):
            root = node(left, root)
        return root


def climb(leaf, index, size, path):
    """The root that a path leads to from a leaf."""
    demand(index < size and bool(path) == (size > 1), "not the path's length")
    if size == 1:
        return leaf
    left = 1 << (size - 1).bit_length() - 1
    if index < left:
        return node(climb(leaf, index, left, path[:-1]), path[-1])
    return node(path[-1], climb(leaf, index - left, size - left, path[:-1]))


def grow(old, new, path, root):
    """Both roots that a consistency proof leads to; `root` is the older one where the proof leaves it out."""
    if old == new:
        demand(len(path) == (root is None), "not the proof's length")
        return (root or path[0],) * 2
    left = 1 << (new - 1).bit_length() - 1
    demand(path, "not the proof's length")
    if old <= left:
        first, second = grow(old, left, path[:-1], root)
        return first, node(second, path[-1])
    first, second = grow(old - left, new - left, path[:-1], None)
    return node(path[-1], first), node(path[-1], second)


# Entries: audit-entry.md


class Cursor:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, count):
        self.at += count
        demand(self.at <= len(self.data), "cut")
        return self.data[self.at - count : self.at]

    def counted(self, size):
        return self.take(big(self.take(size)))


def parse_entry(data):
    cursor = Cursor(data)
    version, kind, operation, outcome, _, seq, prev = struct.unpack(">BBHHHQ32s", cursor.take(48))
    items = big(cursor.take(104)[-2:])
    demand(len(data) <= 65535 and version == 1 and 1 <= kind <= 9 and items <= 1024, "ENT-1, 2, 4, 10")
    tenant, key_name, principal = cursor.counted(1), cursor.counted(1), cursor.counted(2)
    demand(
        TENANT.fullmatch(tenant) and KEY_NAME.fullmatch(key_name) and len(principal) <= 512, "ENT-5 to ENT-7"
    )
    outcomes = [cursor.take(40)[:2] for _ in range(items)]
    _, _, _, subject = [cursor.counted(1) for _ in ("role", "rule", "source", "subject digest")]
    _, _, detail = [cursor.counted(2) for _ in ("actor", "purpose", "detail")]
    demand(len(subject) in (0, 16) and len(detail) <= 16384 and cursor.at == len(data), "ENT-8, 9, 11")
    cursor, details, newest = Cursor(detail), {}, -1
    while cursor.at < len(detail):
        tag, value = cursor.take(1)[0], cursor.counted(2)
        demand(tag > newest and len(value) == DETAIL_SIZE.get(tag, len(value)), "ENT-12, 14")
        details[tag], newest = value, tag
    begins = kind == 3 or outcome == 1 or b"\0\1" in outcomes
    return Entry(kind, operation, outcome, seq, prev, tenant, begins, details, sha(b"\0" + data))


# Tenants' histories: history.md


class Histories:
    def __init__(self):
        self.of, self.covered, self.waiting = {}, 0, collections.deque()

    def commitment_holds(self, entry):
        size = covered_size(entry)
        if size <= self.covered:
            return False
        for seq in range(self.covered, size):
            self.extend(seq, self.waiting.popleft())
        self.covered, tree = size, Tree()
        for tenant in self.of:
            tree.add(tenant_leaf(tenant, *self.of[tenant]))
        return big(entry.details[8]) == tree.size and same(entry.details[21], tree.root())

    def extend(self, seq, entry):
        if entry.begins and entry.tenant not in self.of:
            self.of[entry.tenant] = (0, 0, sha(b"chatelaine/v1/tenant-history" + entry.tenant))
        if entry.tenant in self.of:
            count, _, link = self.of[entry.tenant]
            self.of[entry.tenant] = (count + 1, seq, sha(b"\3" + link + entry.leaf))


def covered_size(entry):
    """What an entry of class 7 covers; 0 where it breaks HIST-1 or one of HIST-2's first three conditions."""
    facts = (entry.kind, entry.operation, entry.outcome, entry.tenant, *entry.details)
    if facts != (7, 114, 1, b"_service", 8, 20, 21):
        return 0
    size = big(entry.details[20])
    return size if size <= entry.seq <= size + 1048576 else 0


def tenant_leaf(tenant, count, last, link):
    return sha(b"\0" + bytes([len(tenant)]) + tenant + struct.pack(">QQ", count, last) + link)


# The log's directory: segment.md


class Epoch:
    """What was read of an epoch: entries, tree and histories so far, and where they ended."""

    def __init__(self, number, wanted):
        self.number, self.link, self.frame, self.page = number, b"", 0, bytes(32)
        self.tree, self.histories, self.torn = Tree(), Histories(), False
        self.first, self.false_heads, self.wanted, self.roots = None, None, wanted, {0: sha(b"")}

    def add(self, entry):
        self.first = self.first or entry
        if entry.kind == 7 and self.false_heads is None and not self.histories.commitment_holds(entry):
            self.false_heads = entry.seq
        self.histories.waiting.append(entry)
        self.tree.add(entry.leaf)
        self.link = entry.leaf
        if self.tree.size in self.wanted:
            self.roots[self.tree.size] = self.tree.root()

    def tampered(self, why, first=None):
        return Answer("tampered", why, first=self.tree.size if first is None else first)

    def read_segment(self, data, name, number, descriptor, last):
        page = data[:4096]
        if len(page) < 4096 or page[:8] != b"CHSEG\0\0\1" or not same(page[4064:], sha(page[:4064])):
            raise self.tampered(name + ": header")
        log, epoch, align, segment, first, prev, root, size, most, zero, before = struct.unpack(
            ">16sIIQQ32s32sQII32s", page[8:160]
        )
        if not (
            (log, epoch, segment, first) == (descriptor[8:24], self.number, number, self.tree.size)
            and align in (512, 4096) and 1 << 17 <= most <= 1 << 24 and most % align == 0
            and zero == 0 and not any(page[160:4064])
            and same(prev, self.link)
            and same(root, self.tree.root())
            and same(before, self.page)
        ):
            raise self.tampered(name + ": the header does not fit")
        self.page, at, sealed, used = sha(page), 4096, False, len(data.rstrip(b"\0"))
        while not sealed:
            frame = whole_frame(data, at, align, most)
            if not frame or (frame.number, frame.first) != (self.frame, self.tree.size):
                break
            if frame.kind in (2, 4):
                raise Answer("unsupported", name, file=name, offset=at, kind=frame.kind)
            if frame.kind == 3 and not self.seal_holds(frame.body, data[:at]):
                break
            if frame.kind == 1 and not same(frame.entries[0].prev, self.link):
                break
            for entry in frame.entries:
                self.add(entry)
            at, sealed, self.frame = frame.end, frame.kind == 3, self.frame + 1
        if not sealed:
            later = (whole_frame(data, place, align, most) for place in range(at, used, align))
            if not last or used > at + most or any(frame and frame.number >= self.frame for frame in later):
                raise self.tampered(name + ": no valid frame", self.first_bad(data, at, align))
        if len(data) != size and not (sealed and len(data) == at) or sealed and used > at:
            raise self.tampered(name + ": size, or bytes after the seal")
        self.torn = used > at

    def seal_holds(self, body, before):
        newest, size, root, file = struct.unpack(">QQ32s32s", body)
        fits = 1 <= size == self.tree.size == newest + 1
        return fits and same(root, self.tree.root()) and same(file, sha(before))

    def first_bad(self, data, at, align):
        """The lowest number of the damaged frame at `at` that neither next link nor trailer confirms."""
        head, seq, link = frame_head(data, at, align), self.tree.size, self.link
        if not head or head.kind != 1:
            return seq
        cursor = Cursor(data[at + 48 : at + 48 + head.size])
        try:
            for place in range(head.count):
                entry = parse_entry(cursor.counted(4))
                if entry.seq != seq + place or not same(entry.prev, link):
                    return seq + place
                link = entry.leaf
                if place < head.count - 1 and not same(cursor.data[cursor.at + 20 : cursor.at + 52], link):
                    return seq + place
        except Answer:
            return seq + place
        return seq if trailer_holds(data, at, head.size, link) else seq + head.count - 1


def frame_head(data, at, align):
    """The header of the frame at `at` by FRAME-1 and FRAME-2, or None."""
    head = data[at : at + 48]
    if len(head) < 48 or head[:4] != b"CHF1" or head[4] not in (1, 2, 3, 4) or any(head[5:8]):
        return None
    kind, (number, first, count, size) = head[4], struct.unpack(">QQII", head[8:32])
    end = at + -(-(80 + size) // align) * align
    possible = {1: 1 <= count <= 4096, 2: count == 0, 3: count == 0 and size == 80,
                4: 1 <= count <= 4096 and size == 32 * count}[kind]
    return FrameHead(kind, number, first, count, size, end) if possible else None


def trailer_holds(data, at, size, covered):
    return same(data[at + 48 + size : at + 80 + size], sha(b"\2" + data[at : at + 48] + covered))


def whole_frame(data, at, align, most):
    """The frame at `at` by FRAME-1 to FRAME-6, or None."""
    head = frame_head(data, at, align)
    if not head or head.end - at > most or head.end > len(data):
        return None
    body, entries = data[at + 48 : at + 48 + head.size], []
    try:
        cursor = Cursor(body)
        for place in range(head.count if head.kind == 1 else 0):
            entries.append(parse_entry(cursor.counted(4)))
            demand(entries[-1].seq == head.first + place, "FRAME-4")
            demand(place == 0 or same(entries[-1].prev, entries[-2].leaf), "FRAME-5")
        demand(head.kind != 1 or cursor.at == head.size, "FRAME-2")
    except Answer:
        return None
    covered = entries[-1].leaf if head.kind == 1 else body
    if not trailer_holds(data, at, head.size, covered) or any(data[at + 80 + head.size : head.end]):
        return None
    return Frame(head.kind, head.number, head.first, entries, body, head.end)
