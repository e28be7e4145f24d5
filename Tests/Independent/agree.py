#!/usr/bin/env python3
"""Compares verify_log.py with every vector, and with `chatelaine audit` on edited logs.

  agree.py [--slow N] [--seed S] [--keep DIR]

CHATELAINE_BIN is the directory of `chatelaine`; without it only the vectors are compared. CHATELAINE_DRILL is
`chatelaine-drill`; without it no log that the product wrote is edited.

Logs are edited at random: bytes, frames, entries, header pages, ends, splices, heads, proofs, exports.
Both must give the same verdict, first bad sequence and exit status. A control that trusts stored hashes must
miss some.
"""

import argparse, base64, concurrent.futures, json, os, random, shutil, struct, subprocess, sys, tempfile, time

sys.dont_write_bytecode = True
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import evidence, log_bytes, verify_log
from log_bytes import Answer, Tree, sha

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(HERE, "..", "Vectors")
LOG_ID, NAME = bytes.fromhex("2f351c59b5083a0964383f3ac433daed"), b"vectors"
failures = []


def load(name):
    with open(os.path.join(VECTORS, name)) as file:
        return json.load(file)


def expect(name, got, want):
    if got != want:
        failures.append(name)
        print(f"DISAGREE {name}: {got}, not {want}")


def options(**given):
    return argparse.Namespace(
        **{**dict(log=None, key=None, proof=None, leaf=None, export=None, tenant=None, head=[]), **given}
    )


def verdict_of(work, *given):
    try:
        return "valid", work(*given)
    except Answer as answer:
        return answer.verdict, str(answer)


# Vectors


def check_vectors():
    counts = {}
    for case in load("entry.json")["vectors"]:
        verdict, entry = verdict_of(log_bytes.parse_entry, bytes.fromhex(case["entry"]))
        expect("entry: " + case["name"], verdict, {"ok": "valid", "malformed": "tampered"}[case["expect"]])
        if verdict == "valid":
            expect("leaf hash: " + case["name"], entry.leaf.hex(), case["leafHash"])
        counts["entries"] = counts.get("entries", 0) + 1
    for case in load("logs/index.json")["logs"]:
        said = verify_log.judge(options(log=os.path.join(VECTORS, "logs", case["name"])))
        for ours, theirs in (
            ("verdict", "expect"),
            *[(name, name) for name in ("firstBadSequence", "treeSize", "root", "unsupported")],
        ):
            expect(f"log {case['name']}: {ours}", said[ours], case[theirs])
        counts["logs"] = counts.get("logs", 0) + 1
    for name, count in (*check_heads(), *check_proofs(), *check_histories()):
        counts[name] = count
    return counts


def check_heads():
    vectors = load("heads.json")
    for case in vectors["keys"]:
        verdict, key = verdict_of(evidence.parse_key, case["text"])
        expect(
            "key: " + case["name"],
            "ok" if verdict == "valid" else key if verdict == "usage" else "text",
            case["expect"],
        )
        if verdict == "valid":
            expect(
                "key: " + case["name"], (key.name, key.public[1:].hex()), (case["keyName"], case["publicKey"])
            )
    key = evidence.parse_key(vectors["verifierKey"])
    for case in vectors["heads"]:

        def read(note):
            head = evidence.parse_head(note)
            evidence.check_head(head, key)
            return head

        verdict, head = verdict_of(read, bytes.fromhex(case["note"]))
        expect("head: " + case["name"], verdict, case["expect"])
        if verdict == "valid":
            expect(
                "head: " + case["name"],
                (head.origin, str(head.size), head.root.hex()),
                (case["origin"], case["size"], case["root"]),
            )
    return [("keys", len(vectors["keys"])), ("heads", len(vectors["heads"]))]


def check_proofs():
    vectors = load("proofs.json")
    key, leaves = evidence.parse_key(vectors["verifierKey"]), [
        bytes.fromhex(leaf) for leaf in vectors["leaves"]
    ]

    def root(size):
        tree = Tree()
        for leaf in leaves[:size]:
            tree.add(leaf)
        return tree.root()

    def path(case):
        return [bytes.fromhex(step) for step in case["proof"]]

    for case in vectors["inclusion"]:
        index, size = int(case["index"]), int(case["size"])
        expect(
            f"inclusion {index} in {size}",
            log_bytes.climb(leaves[index], index, size, path(case)),
            root(size),
        )
    for case in vectors["consistency"]:
        old, new = int(case["old"]), int(case["new"])
        if old:
            expect(
                f"consistency {old} to {new}",
                log_bytes.grow(old, new, path(case), root(old)),
                (root(old), root(new)),
            )
    for case in vectors["files"]:

        def judge(data, leaf):
            proof = evidence.parse_proof(data, evidence.ENTRY_PROOF, evidence.CONSISTENCY)
            return evidence.judge_proof(proof, key, leaf)

        verdict, _ = verdict_of(judge, bytes.fromhex(case["file"]), bytes.fromhex(case["leaf"]))
        expect("proof: " + case["name"], verdict, case["expect"])
    return [(name, len(vectors[name])) for name in ("inclusion", "consistency")] + [
        ("proofs", len(vectors["files"]))
    ]


def check_histories():
    vectors = load("histories.json")
    key = evidence.parse_key(vectors["verifierKey"])
    for case in vectors["logs"]:
        epoch = log_bytes.Epoch(1, ())
        for entry in case["entries"]:
            epoch.add(log_bytes.parse_entry(bytes.fromhex(entry)))
        expect("histories: " + case["name"], epoch.false_heads, int(case["wrong"]) if case["wrong"] else None)
    for case in vectors["exports"]:
        files = {"entries.jsonl": bytes.fromhex(case["lines"]), "history.proof": bytes.fromhex(case["proof"])}
        for name in case["missing"]:
            files[name] = None
        verdict, _ = verdict_of(evidence.judge_export, *files.values(), key, case["tenant"].encode() or None)
        expect("export: " + case["name"], verdict, case["expect"])
    return [("histories", len(vectors["logs"])), ("exports", len(vectors["exports"]))]


# A writer of logs, by segment.md. It links what it is given, so that edits can have every hash made anew.


def frame(number, first, entries=(), kind=1, body=None, align=512):
    if kind == 1:
        body = b"".join(struct.pack(">I", len(entry)) + entry for entry in entries)
    count = len(body) // 32 if kind == 4 else len(entries)
    head = struct.pack(">4sB3xQQII16s", b"CHF1", kind, number, first, count, len(body), sha(b"nonce")[:16])
    covered = sha(b"\0" + entries[-1]) if kind == 1 else body
    data = head + body + sha(b"\2" + head + covered)
    return data + bytes(-len(data) % align)


def detail(**values):
    """`d8=value` is the detail of tag 8; a number takes 8 bytes."""
    parts = [
        (int(name[1:]), struct.pack(">Q", value) if isinstance(value, int) else value)
        for name, value in values.items()
    ]
    return b"".join(struct.pack(">BH", tag, len(value)) + value for tag, value in parts)


def entry(kind=1, operation=1, outcome=1, tenant=b"acme", items=(), details=b"", actor=b""):
    """An entry whose number and link are still to be filled in."""
    fixed = (
        struct.pack(">BBHHHQ32s", 1, kind, operation, outcome, 0, 0, bytes(32)) + sha(actor)[:16] + bytes(86)
    )
    return (
        fixed
        + struct.pack(">H", len(items))
        + bytes([len(tenant)])
        + tenant
        + b"\0"
        + b"\0\5uid:7"
        + b"".join(struct.pack(">HHI32s", outcome, 0, 5, sha(b"context")) for outcome in items)
        + b"\0\0\0\0"
        + struct.pack(">H", len(actor))
        + actor
        + b"\0\0"
        + struct.pack(">H", len(details))
        + details
    )


def tenant_heads(covered):
    return entry(7, 114, tenant=b"_service", details=detail(d8=0, d20=covered, d21=bytes(32)))


def committed(raw, of_before):
    """Tenant heads with the count and the root that are right; `of_before` are the entries before them."""
    histories, tree = log_bytes.Histories(), Tree()
    for seq, before in enumerate(of_before[: int.from_bytes(raw[-43:-35], "big")]):
        histories.extend(seq, log_bytes.parse_entry(before))
    for tenant, facts in histories.of.items():
        tree.add(log_bytes.tenant_leaf(tenant, *facts))
    return raw[:-57] + detail(d8=tree.size, d20=raw[-43:-35], d21=tree.root())


def build(segments, epoch=1, before=None, sealed=False, most=131072, align=512, commit=True):
    """Files of an epoch. A segment is a list of frames; a frame is a list of entries, or (kind, body)."""
    descriptor = (
        struct.pack(
            ">8s16sIQ32sH",
            b"CHEPO\0\0\1",
            LOG_ID,
            epoch,
            1700000000000000000,
            sha(before) if before else bytes(32),
            len(NAME),
        )
        + NAME
    )
    everything, number, page = [], 0, bytes(32)
    files, tree, link = {"epoch-%06d" % epoch: descriptor}, Tree(), sha(descriptor)
    for place, frames in enumerate(segments):
        last = place == len(segments) - 1
        data = bytearray(
            struct.pack(
                ">8s16sIIQQ32s32sQII32s",
                b"CHSEG\0\0\1",
                LOG_ID,
                epoch,
                align,
                place,
                tree.size,
                link,
                tree.root(),
                147456,
                most,
                0,
                page,
            ).ljust(4064, b"\0")
        )
        data += sha(data)
        page = sha(data)
        for part in [*frames, *([] if last and not sealed else [(3, None)])]:
            if isinstance(part, tuple):
                kind, body = part
                if kind == 3 and body is None:
                    body = struct.pack(">QQ32s32s", tree.size - 1, tree.size, tree.root(), sha(data))
                data += frame(number, tree.size, kind=kind, body=body, align=align)
            else:
                first, entries = tree.size, []
                for raw in part:
                    raw = raw[:8] + struct.pack(">Q", tree.size) + link + raw[48:]
                    if commit and raw[1] == 7:
                        raw = committed(raw, everything)
                    link = sha(b"\0" + raw)
                    tree.add(link)
                    entries.append(raw)
                    everything.append(raw)
                data += frame(number, first, entries, align=align)
            number += 1
        files["%06d-%010d.seg" % (epoch, place)] = bytes(
            data if not last or sealed else data.ljust(147456, b"\0")
        )
    return files


def write(directory, files):
    for name, data in files.items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(data)


def acknowledgement(files, epoch, lost=b"log:1/9-1/11,0123abcd", **other):
    """Entry 0 of an epoch that follows the one of these files."""
    with tempfile.TemporaryDirectory() as directory:
        write(directory, files)
        said = verify_log.judge(options(log=directory))
    facts = dict(d1=bytes(32), d24=said["treeSize"], d25=bytes.fromhex(said["root"]), d26=lost)
    return entry(3, 102, 0, b"_service", details=detail(**{**facts, **other}))


class Signer:
    def __init__(self):
        vectors = load("heads.json")
        self.key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vectors["seed"]))
        self.public = b"\1" + bytes.fromhex(vectors["publicKey"])

    def name(self, epoch):
        return "%s/%s/%d" % (NAME.decode(), LOG_ID.hex(), epoch)

    def text_key(self, epoch=1):
        name = self.name(epoch)
        return f"{name}+{evidence.key_id(name, self.public).hex()}+{base64.b64encode(self.public).decode()}"

    def head(self, size, root, epoch=1):
        name = self.name(epoch)
        text = f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(
            evidence.key_id(name, self.public) + self.key.sign(text.encode())
        ).decode()
        return f"{text}\n— {name} {signature}\n".encode()


# Edits


def frames_of(data):
    """(offset, end, Frame) of each, up to the first that is not whole."""
    align, most = int.from_bytes(data[28:32], "big"), int.from_bytes(data[120:124], "big")
    at, found = 4096, []
    while True:
        one = log_bytes.whole_frame(data, at, align, most)
        if not one:
            return found
        found.append((at, one.end, one))
        at = one.end


def splice(data, start, end, put):
    """Other bytes in a place; what follows moves, and a file that is not sealed keeps its size."""
    edited = data[:start] + put + data[end:]
    return edited[: len(data)].ljust(len(data), b"\0")


def rehash_header(data):
    return data[:4064] + sha(data[:4064]) + data[4096:]


class Edits:
    def __init__(self, seed, bases):
        self.random, self.bases = random.Random(seed), bases

    def one(self):
        """A name and the files of an edited log."""
        base, files = self.random.choice(self.bases)
        files = dict(files)
        edit = self.random.choice(
            [
                self.flip,
                self.flip,
                self.flips,
                self.frame_header,
                self.end_cut,
                self.frame_edit,
                self.frame_edit,
                self.frame_number,
                self.header,
                self.garbage,
                self.splice_logs,
                self.file_edit,
                self.entry_bytes,
                self.put_frame,
            ]
        )
        return f"{base}: {edit.__name__}", edit(files) or files

    def segment(self, files):
        name = self.random.choice([name for name in sorted(files) if name.endswith(".seg")])
        return name, files[name], frames_of(files[name])

    def flip(self, files, name=None):
        name = name or self.random.choice(sorted(files))
        data = bytearray(files[name])
        used = len(data.rstrip(b"\0")) + self.random.choice([0, 0, 0, 600])
        at = self.random.choice(
            [self.random.randrange(min(used, len(data))), self.random.randrange(min(len(data), 160))]
        )
        data[at] ^= self.random.choice([1 << self.random.randrange(8), self.random.randrange(1, 256)])
        files[name] = bytes(data)

    def frame_header(self, files):
        """A byte of a frame's header, a length or a trailer."""
        name, data, found = self.segment(files)
        if found:
            start, end, one = self.random.choice(found)
            at = start + self.random.choice(
                [self.random.randrange(52), 48 + len(one.body) + self.random.randrange(32), 30, 31]
            )
            files[name] = data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1 :]

    def flips(self, files):
        for _ in range(self.random.randrange(2, 5)):
            self.flip(files)

    def end_cut(self, files):
        """The newest segment ends early: cut there, or zeros from there; or an older one does."""
        name, data, _ = self.segment(files)
        at = self.random.randrange(len(data.rstrip(b"\0")) + 1)
        files[name] = data[:at] if self.random.random() < 0.3 else data[:at].ljust(len(data), b"\0")

    def frame_edit(self, files):
        name, data, found = self.segment(files)
        if not found:
            return
        (start, end, _), (other, other_end, _) = self.random.choice(found), self.random.choice(found)
        how = self.random.choice(["remove", "repeat", "swap", "zero", "copy to the end", "put before"])
        one, two = data[start:end], data[other:other_end]
        if how == "remove":
            data = splice(data, start, end, b"")
        elif how == "repeat":
            data = splice(data, end, end, one)
        elif how == "put before":
            data = splice(data, start, start, two)
        elif how == "zero":
            data = data[:start] + bytes(end - start) + data[end:]
        elif how == "copy to the end":
            last = found[-1][1]
            data = splice(data, last, last, bytes(512 * self.random.randrange(3)) + one)
        elif start < other:
            data = data[:start] + two + data[end:other] + one + data[other_end:]
        files[name] = data

    def frame_number(self, files):
        """A field of a frame's header, its trailer made anew."""
        name, data, found = self.segment(files)
        if not found:
            return
        start, end, one = self.random.choice(found)
        head = bytearray(data[start : start + 48])
        at = self.random.choice([4, 15, 23, 27, 31, 40])
        head[at] = (head[at] + self.random.choice([1, 2, 3, 255])) % 256
        size = len(one.body)
        covered = one.entries[-1].leaf if head[4] == 1 and one.entries else one.body
        files[name] = (
            data[:start] + bytes(head) + one.body + sha(b"\2" + head + covered) + data[start + 80 + size :]
        )

    def header(self, files):
        name, data, _ = self.segment(files)
        page = bytearray(data[:4096])
        at = self.random.choice(
            [self.random.randrange(160), self.random.randrange(4096), 30, 31, 39, 47, 119, 122, 127, 160]
        )
        page[at] ^= self.random.choice([1, 2, 16, 255])
        files[name] = (rehash_header(bytes(page)) if self.random.random() < 0.8 else bytes(page)) + data[
            4096:
        ]

    def garbage(self, files):
        name, data, found = self.segment(files)
        end, junk = found[-1][1] if found else 4096, self.random.randbytes(
            self.random.choice([1, 40, 512, 700])
        )
        at = end + self.random.choice([0, 0, 512, 1024, 130000, self.random.randrange(140000)])
        if self.random.random() < 0.3:
            files[name] = data + (junk if self.random.random() < 0.5 else bytes(len(junk)))
        else:
            files[name] = (data[:at].ljust(at, b"\0") + junk + data[at + len(junk) :])[
                : max(len(data), 147456)
            ]

    def splice_logs(self, files):
        """A file, or frames, of another log or another epoch."""
        _, others = self.random.choice(self.bases)
        name, data, found = self.segment(files)
        other, theirs, frames = self.segment(others)
        if self.random.random() < 0.4 or not frames:
            files[self.random.choice([name, other])] = theirs
        else:
            place = self.random.choice(found)[1] if found else 4096
            start, end, _ = self.random.choice(frames)
            files[name] = data[:place] + splice(
                data[place:], 0, self.random.choice([0, end - start]), theirs[start:end]
            )

    def file_edit(self, files):
        name, other = self.random.choice(sorted(files)), self.random.choice(sorted(files))
        how = self.random.randrange(4)
        data = files[name]
        if how < 2:
            del files[name]
        elif how == 2:
            files[name], files[other] = files[other], files[name]
        else:
            files[name.replace("000001", "000003").replace("000002", "000003")] = data

    def entry_bytes(self, files):
        """A byte of an entry, and every hash behind it in its frame made anew."""
        name, data, found = self.segment(files)
        found = [one for one in found if one[2].kind == 1]
        if not found:
            return
        start, end, one = self.random.choice(found)
        cursor, raws = log_bytes.Cursor(one.body), []
        while cursor.at < len(one.body):
            raws.append(bytearray(cursor.counted(4)))
        chosen = self.random.randrange(len(raws))
        raws[chosen][self.random.randrange(len(raws[chosen]))] ^= 1 << self.random.randrange(8)
        for place in range(chosen + 1, len(raws)):
            raws[place][16:48] = sha(b"\0" + raws[place - 1])
        files[name] = data[:start] + frame(one.number, one.first, raws) + data[end:]

    def put_frame(self, files):
        """A frame of another kind, whole, with the number and sequence that fit or nearly."""
        name, data, found = self.segment(files)
        if not found:
            return
        start, end, one = self.random.choice(found)
        kind, off = self.random.choice([2, 4]), self.random.choice([0, 0, 0, 1, 255])
        body = self.random.choice([b"", b"note\n", bytes(32), bytes(64)])
        new = frame(one.number + off, one.first + self.random.choice([0, 0, 0, 1]), kind=kind, body=body)
        files[name] = data[:start] + splice(data[start:], 0, self.random.choice([0, end - start]), new)


def base_logs():
    """Logs with several segments: of the vectors, of tenants and their heads, of two and three epochs."""
    bases = []
    for name in ("valid-three-segments", "valid-sealed-and-cut"):
        directory = os.path.join(VECTORS, "logs", name)
        bases.append(
            (
                name,
                {
                    file: verify_log.read_file(os.path.join(directory, file))
                    for file in sorted(os.listdir(directory))
                },
            )
        )
    acts = [
        entry(5, 96, tenant=b"_service"),
        entry(actor=b"user-1"),
        entry(tenant=b"globex"),
        entry(3, 48, 0, b"initech"),
        entry(4, 48, 1, b"initech"),
        entry(2, 1, 2, b"nobody"),
        entry(items=(1, 3)),
        entry(1, 2, 3, items=(3, 3)),
    ]
    tenants = build(
        [
            [acts[:3], [tenant_heads(2)], acts[3:6]],
            [[acts[6]], acts * 2, [tenant_heads(9), acts[0]]],
            [acts[2:5], [tenant_heads(27), acts[1]], [acts[7]], [acts[5], tenant_heads(32)]],
        ]
    )
    bases.append(("tenants", tenants))
    old = build([[acts[:4], acts[4:]], [[acts[1]], [acts[2]]]])
    new = build([[[acknowledgement(old, 2)], acts[:2]], [acts[3:], [acts[0]]]], 2, old["epoch-000001"])
    bases.append(("two epochs", {**old, **new}))
    third = build(
        [[[acknowledgement({**old, **new}, 3, b"log:2/3-2/5,store:4-5,00000000"), acts[1]], acts[:2]]],
        3,
        new["epoch-000002"],
    )
    bases.append(("three epochs", {**old, **new, **third}))
    return bases


# Where the two may name different first bad sequences (segment.md, "Rejected"), by what the product says.
IN_A_HEADER = [
    "the frame's header is damaged",
    "the frame's number is not the next one",
    "the frame does not begin with the next sequence",
    "bytes behind the frame are not zero",
    "the frame's count of entries is out of bounds or wrong",
]
TWO_FAULTS = [
    "the segment file is shorter or longer than it was made",
    "the epoch does not go on from the one before it",
    "the epoch descriptor is missing or not well formed",
]
NO_NUMBER = "there are segments of an epoch that has no descriptor"
NAMES = {"newer": "unsupported", "empty": "valid"}


class Product:
    """`chatelaine audit`, and the comparison with it."""

    def __init__(self, binary, keep):
        self.binary, self.keep, self.compared, self.tampered, self.missed = binary, keep, 0, 0, 0
        self.lanes = concurrent.futures.ThreadPoolExecutor(2)
        self.verdicts, self.known_differences, self.evidence_compared = {}, {}, 0
        self.scratch = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)

    def run(self, *arguments):
        done = subprocess.run(
            [self.binary, "audit", *arguments, "--json"], capture_output=True, text=True, timeout=60
        )
        return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else {}, done.stderr

    def directory(self, files):
        directory = tempfile.mkdtemp(dir=self.scratch.name)
        write(directory, files)
        return directory

    def log(self, name, files, **given):
        """Starts the comparison of one log."""
        directory = self.directory(files)
        key, heads = given.get("key"), given.get("head", [])
        arguments = (["--key", key] if key else []) + [word for head in heads for word in ("--head", head)]
        theirs = self.lanes.submit(self.run, "verify", "--log", directory, *arguments)
        chosen = options(log=directory, **given)
        ours = verify_log.judge(chosen)
        if ours["verdict"] == "tampered" and not key:
            self.tampered += 1
            self.missed += self.trusting(chosen) in ("valid", "torn")
        return name, files, directory, ours, theirs

    def trusting(self, chosen):
        """The control: a verifier that believes every hash it finds."""
        same, log_bytes.same = log_bytes.same, lambda stored, computed: True
        try:
            return verify_log.judge(chosen)["verdict"]
        finally:
            log_bytes.same = same

    def compare(self, started):
        name, files, directory, ours, theirs = started
        status, said, error = theirs.result()
        self.compared += 1
        self.verdicts[ours["verdict"]] = self.verdicts.get(ours["verdict"], 0) + 1
        mine = [verify_log.exit_status(ours)]
        other = [status]
        if status in (0, 2, 3, 65, 78) and said:
            mine.append(ours["verdict"])
            other.append(NAMES.get(said["result"], said["result"]))
        if ours["verdict"] == "tampered" and status == 65:
            mine.append(ours["firstBadSequence"])
            other.append(said.get("sequence"))
        if ours["verdict"] in ("valid", "torn") and status in (0, 2, 3):
            mine += [ours["treeSize"], ours["root"]]
            other += [said["entries"], said["treeRoot"]]
        if mine[:2] == other[:2] and mine != other and (known := self.known(ours, said)):
            self.known_differences[known] = self.known_differences.get(known, 0) + 1
        elif mine != other:
            kept = ""
            if self.keep:
                kept = os.path.join(self.keep, "case-%d" % len(failures))
                shutil.copytree(directory, kept, dirs_exist_ok=True)
            failures.append(name)
            print(
                f"DISAGREE {name}: independent {mine} ({ours.get('why', '')}); product {other} "
                f"({said.get('reason', error.strip()[:300])}) {kept}"
            )
        else:
            for file in os.listdir(directory):
                os.unlink(os.path.join(directory, file))

    def evidence(self, kind, name, files, key, given):
        """Compares one proof or export."""
        directory = self.directory(files)
        if kind == "proof":
            path = os.path.join(directory, "proof")
            ours = verify_log.judge(options(proof=path, key=key, leaf=given or None))
            arguments = ["check-proof", path, *(["--leaf", given] if given else [])]
        else:
            ours = verify_log.judge(options(export=directory, key=key, tenant=given or None))
            arguments = ["verify-export", directory, *(["--tenant", given] if given else [])]
        theirs = self.lanes.submit(self.run, *arguments, "--key", key)
        return f"{kind} {name}", verify_log.exit_status(ours), theirs, ours

    def all_evidence(self, cases):
        for name, mine, theirs, ours in [self.evidence(*case) for case in cases]:
            status, said, error = theirs.result()
            self.evidence_compared += 1
            if mine != status:
                failures.append(name)
                print(
                    f"DISAGREE {name}: independent {mine} ({ours.get('why', '')}); "
                    f"product {status} ({error.strip()[:200]})"
                )

    def known(self, ours, said):
        """The difference in the first bad sequence, if it is one that the pages allow."""
        reason, theirs, mine = said.get("reason", ""), said.get("sequence"), ours["firstBadSequence"]
        if NO_NUMBER in reason and theirs is None:
            return "no descriptor, and so no number"
        if any(part in reason for part in IN_A_HEADER) and ours["treeSize"] in (theirs, mine):
            return "the header of a frame damaged"
        if ours.get("why") in ("HIST-5", "EPOCH-5") and mine < theirs:
            return "damage named, not the false entry before it whose hashes hold"
        if any(part in reason for part in TWO_FAULTS) and theirs in (0, ours["treeSize"]):
            return "a descriptor or a file's size wrong, and an entry too"
        return None

    def all(self, cases):
        waiting = []
        for case in cases:
            waiting.append(self.log(*case[:2], **(case[2] if len(case) > 2 else {})))
            if len(waiting) > 4:
                self.compare(waiting.pop(0))
        for started in waiting:
            self.compare(started)


def head_cases(bases):
    """Logs with heads beside them, and heads that are given: (name, files, key and heads)."""
    signer, tenants, two = Signer(), dict(bases)["tenants"], dict(bases)["two epochs"]
    key, other = signer.text_key(), Signer()
    other.key = Ed25519PrivateKey.from_private_bytes(sha(b"another key"))
    other.public = b"\1" + other.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def roots(files, number):
        with tempfile.TemporaryDirectory() as directory:
            write(directory, files)
            return verify_log.read_log(directory, {number: set(range(64))})[number - 1].roots

    one, first, second = roots(tenants, 1), roots(two, 1), roots(two, 2)
    good, forked, beyond = signer.head(20, one[20]), signer.head(20, bytes(32)), signer.head(50, bytes(32))
    broken, foreign = good[:-10] + b"AAAAAAAA=\n", other.head(20, one[20])
    beside = {
        "good": good,
        "forked": forked,
        "beyond": beyond,
        "broken": broken,
        "foreign": foreign,
        "cut": good[:-20],
        "of size 0": signer.head(0, one[0]),
        "of size 0, forked": signer.head(0, bytes(32)),
        "rubbish": b"rubbish\n",
        "of another epoch": signer.head(1, one[1], 2),
        "spelled otherwise": good.replace(b"\n20\n", b"\n020\n"),
    }
    for name, head in beside.items():
        yield "given: " + name, tenants, dict(key=key), [head]
        yield "in head: " + name, {**tenants, "head": head}, dict(key=key), []
        if "size 0" not in name:  # in order
            small = signer.head(7, one[7])
            yield "in head, with one: " + name, {**tenants, "head": small.ljust(4096, b"\0") + head}, dict(
                key=key
            ), []
            yield "in heads: " + name, {**tenants, "heads": small + b"\n" + head + b"\n" + small[:40]}, dict(
                key=key
            ), []
    newest = max(file for file in tenants if file.endswith(".seg"))
    data = tenants[newest]
    last = frames_of(data)[-1][0]
    torn = {**tenants, newest: data[: last + 100].ljust(len(data), b"\0")}
    damaged = {**tenants, newest: data[:4200] + b"zz" + data[4202:]}
    for name, files in (("torn", torn), ("damaged", damaged)):
        for head in ("good", "forked", "beyond", "foreign"):
            yield f"{name}, given: {head}", files, dict(key=key), [beside[head]]
        yield f"{name}, over what is gone", files, dict(key=key), [signer.head(34, one[34])]
    over = {"head-000002": signer.head(5, second[5], 2)}
    lost = {size: signer.head(size, bytes(32)) for size in (11, 12, 13)}
    for size, head in lost.items():
        yield f"epoch 1 over {size}", {**two, **over, "head": head}, dict(key=key), []
        yield f"epoch 1 over {size}, nothing over epoch 2", {**two, "head": head}, dict(key=key), []
        yield f"epoch 1 over {size} given", {**two, **over}, dict(key=signer.text_key(2)), [head]
    for name, head in (
        ("empty", signer.head(0, one[0], 2)),
        ("forked", signer.head(3, bytes(32), 2)),
        ("beyond", signer.head(99, bytes(32), 2)),
        ("foreign", other.head(5, second[5], 2)),
    ):
        yield f"epoch 1 over 12, and over epoch 2 one: {name}", {
            **two,
            "head": lost[12],
            "head-000002": head,
        }, dict(key=key), []
    yield "both epochs", {**two, **over, "head": signer.head(10, first[10])}, dict(key=key), []
    yield "both epochs, the first forked", {**two, **over, "head": signer.head(9, bytes(32))}, dict(
        key=key
    ), []


def with_head_files(directory, cases):
    for number, (name, files, given, heads) in enumerate(cases):
        paths = []
        for place, head in enumerate(heads):
            paths.append(os.path.join(directory, "%d-%d.head" % (number, place)))
            write(directory, {os.path.basename(paths[-1]): head})
        yield "heads: " + name, files, dict(given, head=paths)


def evidence_cases(random_, count):
    """Files of the vectors with bytes and lines changed, as (kind, name, files, key, leaf or tenant)."""
    proofs, histories = load("proofs.json"), load("histories.json")
    cases = [
        ("proof", case["name"], {"proof": bytes.fromhex(case["file"])}, proofs["verifierKey"], case["leaf"])
        for case in proofs["files"]
    ]
    for case in histories["exports"]:
        files = {"entries.jsonl": bytes.fromhex(case["lines"]), "history.proof": bytes.fromhex(case["proof"])}
        cases.append(
            (
                "export",
                case["name"],
                {name: data for name, data in files.items() if name not in case["missing"]},
                histories["verifierKey"],
                case["tenant"],
            )
        )
    yield from cases if count > 40 else ()
    for _ in range(count):
        kind, name, files, key, given = random_.choice(cases)
        if not files or "cut" in name:
            continue  # what is cut already, and changed besides, has two faults that no rule orders
        chosen, files = random_.choice(sorted(files)), dict(files)
        data, how = files[chosen], random_.choice(
            ["byte", "byte", "cut", "line removed", "lines swapped", "put in"]
        )
        lines = data.splitlines(keepends=True) or [b""]
        at, place, other = (random_.randrange(len(part)) if part else 0 for part in (data, lines, lines))
        if how == "byte":
            data = data[:at] + bytes([random_.randrange(256)]) + data[at + 1 :]
        elif how == "cut":
            data = data[:at]
        elif how == "line removed":
            data = b"".join(lines[:place] + lines[place + 1 :])
        elif how == "lines swapped":
            lines[place], lines[other] = lines[other], lines[place]
            data = b"".join(lines)
        else:
            data = data[:at] + random_.choice([b"\n", b" ", b"\0", b"=", b"\r", lines[place]]) + data[at:]
        if data and b"\n" not in data:
            continue  # a first line that was cut: the pages leave open what part of a name is enough
        yield kind, f"{name}: {how}", {**files, chosen: data}, key, given


def drilled():
    """A log that the product wrote, of two segments: another one each time."""
    with tempfile.TemporaryDirectory() as directory:
        sizes = ["--first-segment-bytes", "131072", "--segment-bytes", "262144"]
        subprocess.run(
            [os.environ["CHATELAINE_DRILL"], "--log", directory, "--create", "--entries", "120", *sizes],
            capture_output=True, check=True, timeout=60,
        )
        names = [name for name in sorted(os.listdir(directory)) if name.startswith(("0", "epoch"))]
        return {name: verify_log.read_file(os.path.join(directory, name)) for name in names}


def tail_cuts(name, files):
    """The newest segment cut behind every entry and frame: zeros from there, or a file that ends there."""
    newest = max(file for file in files if file.endswith(".seg"))
    data = files[newest]
    for start, end, one in frames_of(data):
        at = start + 48
        for entry_ in one.entries or [None]:
            at += 4 + int.from_bytes(data[at : at + 4], "big") if entry_ else 0
            for place in {at, end} if entry_ is None or entry_ is one.entries[-1] else {at}:
                yield f"{name}: zeros from {place} on", {
                    **files,
                    newest: data[:place].ljust(len(data), b"\0"),
                }
                if place == end:
                    yield f"{name}: cut at {place}", {**files, newest: data[:place]}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slow", type=int, metavar="N", default=1, help="N times as many edits")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--keep", help="a directory for logs on which the two disagree")
    given = parser.parse_args()
    began = time.monotonic()
    counts = check_vectors()
    print("vectors: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    binary = os.path.join(os.environ.get("CHATELAINE_BIN", ""), "chatelaine")
    if not os.environ.get("CHATELAINE_BIN"):
        print("skipped: tampered logs; CHATELAINE_BIN names no directory with chatelaine")
    else:
        print("seed", given.seed)
        product, bases = Product(binary, given.keep), base_logs()
        product.all(bases)
        for base in bases[: 1 if given.slow == 1 else None]:
            product.all(tail_cuts(*base))
        if os.environ.get("CHATELAINE_DRILL"):
            written = [("as the product writes", drilled())]
            product.all(written)
            of_written = Edits(given.seed, written)
            product.all(of_written.one() for _ in range(16 * given.slow))
        edits = Edits(given.seed, bases)
        product.all(edits.one() for _ in range(140 * given.slow))
        with tempfile.TemporaryDirectory() as heads:
            product.all(with_head_files(heads, head_cases(bases)))
        product.all_evidence(evidence_cases(edits.random, 40 * given.slow))
        print(f"{product.evidence_compared} proofs and exports compared")
        print(
            f"{product.compared} logs compared: {product.verdicts}; "
            f"control: misses {product.missed} of {product.tampered} tampered"
        )
        for meaning, count in sorted(product.known_differences.items()):
            print(f"first bad sequences that differ, known: {count} of {meaning}")
        if not product.missed:
            failures.append("the control found everything: comparing hashes makes no difference")
    print(f"{len(failures)} disagreements, {time.monotonic() - began:.0f} s")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
