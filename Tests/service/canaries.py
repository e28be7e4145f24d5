"""Looks for canaries in the memory of a running service: as root, from outside, by what /proc shows."""
import array
import os

CHUNK = 16 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")


def canary(count):
    """Random bytes whose middle repeats one 16-byte mark, so that any 31 bytes of it are found by one search."""
    if count <= 64:
        return os.urandom(count)
    mark = os.urandom(16)
    middle = (mark * (count // 16))[:count - 32]
    return os.urandom(16) + middle + os.urandom(16)


def windows(secret):
    """{name: bytes}: the first, the middle and the last 16 bytes, and each of them in hex."""
    middle = 16 if len(secret) > 64 else (len(secret) - 16) // 2
    parts = {"first": secret[:16], "middle": secret[middle:middle + 16], "last": secret[-16:]}
    for name, part in list(parts.items()):
        parts[name + " in hex"] = part.hex().encode()
        parts[name + " in HEX"] = part.hex().upper().encode()
    return parts


def touched(pages, start, end):
    """The parts of a mapping that are in memory or swapped out; nothing was ever put into the others."""
    pages.seek(start // PAGE * 8)
    entries = array.array("Q", pages.read((end - start) // PAGE * 8))
    if len(entries) != (end - start) // PAGE:
        return [(start, end)]
    parts, at = [], None
    for number, entry in enumerate([entry >> 62 for entry in entries] + [0]):
        if entry and at is None:
            at = number
        elif not entry and at is not None:
            parts.append((start + at * PAGE, start + number * PAGE))
            at = None
    return parts


class Scan:
    """One walk over everything that root can read of a process, for many secrets: {label: bytes}.

    Of `traces` only the first and the last bytes are looked for, and not in hex.
    """

    def __init__(self, pid, secrets, traces=None):
        self.hits, self.unreadable, self.bytes = [], [], 0
        needles = [(label, name, part) for label, secret in secrets.items() for name, part in windows(secret).items()]
        for label, trace in (traces or {}).items():
            needles += [(label, "first", trace[:16]), (label, "last", trace[-16:])]
        self.secrets, longest = {**secrets, **(traces or {})}, max(len(part) for _, _, part in needles)
        with open("/proc/%d/mem" % pid, "rb", 0) as memory, open("/proc/%d/pagemap" % pid, "rb", 0) as pages, \
                open("/proc/%d/maps" % pid) as maps:
            for line in maps:
                columns = line.split()
                start, end = (int(x, 16) for x in columns[0].split("-"))
                place = columns[-1] if len(columns) > 5 else "anonymous"
                if "r" in columns[1] and not place.startswith("[v"):
                    for first, last in touched(pages, start, end):
                        self._range(memory, first, last, place, needles, longest)

    def _range(self, memory, start, end, place, needles, longest):
        at = start
        while at < end:
            count = min(CHUNK + longest - 1, end - at)
            try:
                memory.seek(at)
                found = memory.read(count)
            except (OSError, OverflowError):
                self.unreadable.append((place, end - at))
                return
            self.bytes += min(CHUNK, count)
            for label, name, part in needles:
                where = found.find(part)
                while 0 <= where < CHUNK:
                    self.hits.append((label, name, at + where, place))
                    where = found.find(part, where + len(part))
            at += CHUNK

    def count(self, label, name="first"):
        """Copies of one window of a secret."""
        return sum(1 for hit in self.hits if hit[:2] == (label, name))

    def copies(self, label):
        """{window: count} of what was found of a secret; a repeated middle counts once."""
        found = {}
        for hit in self.hits:
            if hit[0] == label:
                found[hit[1]] = found.get(hit[1], 0) + 1
        return {name: 1 if len(self.secrets[label]) > 64 and "middle" in name else count for name, count in found.items()}

    def describe(self, label=None):
        places = {}
        for hit in self.hits:
            if label in (None, hit[0]):
                key = (hit[0], hit[1], hit[3])
                places[key] = places.get(key, 0) + 1
        return ", ".join("%s %s: %d in %s" % (key[0], key[1], count, key[2]) for key, count in list(places.items())[:6])
