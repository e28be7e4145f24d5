#!/usr/bin/env python3
"""Verifies a log, a proof or an export from its bytes. Made from docs/formats alone: no code of the product.

  verify_log.py LOGDIR [--key PUB] [--head FILE]...
  verify_log.py --proof FILE --key PUB [--leaf HEX]
  verify_log.py --export DIR --key PUB [--tenant NAME]

Prints one line of JSON; exits like `chatelaine audit` (docs/operations.md).
"""

import argparse, json, os, re, sys

sys.dont_write_bytecode = True
import evidence
from evidence import Key, check_head, key_id, parse_head, parse_key
from log_bytes import Answer, Epoch, big, demand, read_file, sha

EXIT = {"valid": 0, "torn": 2, "nothing": 3, "truncated": 4, "forked": 5, "wrong-key": 6, "usage": 64,
        "tampered": 65, "missing": 66, "forbidden": 77, "unsupported": 78}
EPOCH = re.compile("[1-9][0-9]{0,5}")
LOST = re.compile(rb"(?:log:N/N-N/N,)?(?:store:N-N,)?[0-9a-f]{8}".replace(b"N", rb"(0|[1-9][0-9]{0,19})"))


# Epochs: segment.md, audit-entry.md


def read_log(directory, wanted):
    """The epochs, oldest first. What is found on the way is raised, with the epochs up to there."""
    names = sorted(list_directory(directory))
    descriptors = {int(name[6:]) for name in names if re.fullmatch("epoch-[0-9]{6}", name)}
    segments = {}
    for name in names:
        if re.fullmatch(r"[0-9]{6}-[0-9]{10}\.seg", name):
            segments.setdefault(int(name[:6]), []).append(name)
    if not descriptors and not segments:
        raise Answer("missing", "no log in " + directory)
    epochs, before = [], None
    for number in sorted(descriptors | set(segments)):
        if number in descriptors or "epoch-%06d.new" % number not in names:
            epochs.append(Epoch(number, wanted.get(number, ())))
            try:
                demand(number in descriptors, "no descriptor")
                before = read_epoch(directory, epochs, segments.get(number, []), before)
            except Answer as answer:
                raise with_facts(answer, epochs)
    if not epochs:
        raise Answer("tampered", "no descriptor", first=0)
    return epochs


def list_directory(directory):
    try:
        return os.listdir(directory)
    except PermissionError:
        raise Answer("forbidden", directory)
    except OSError:
        raise Answer("missing", directory)


def with_facts(answer, epochs):
    """An entry that is false although every hash holds comes before damage behind it."""
    answer.facts["epochs"] = epochs
    if answer.verdict == "tampered":
        answer.facts.setdefault("first", epochs[-1].tree.size)
    return answer


def read_epoch(directory, epochs, names, before):
    epoch, previous = epochs[-1], epochs[-2] if len(epochs) > 1 else None
    data = read_file(os.path.join(directory, "epoch-%06d" % epoch.number))
    demand(
        data[:8] == b"CHEPO\0\0\1"
        and big(data[24:28]) == epoch.number
        and re.fullmatch(rb"[A-Za-z0-9._-]{1,128}", data[70:])
        and big(data[68:70]) == len(data) - 70,
        "EPOCH-1",
    )
    if before:
        demand((data[8:24], data[36:68], data[70:]) == (before[8:24], sha(before), before[70:]), "EPOCH-4")
    else:
        demand(epoch.number == 1 and not any(data[36:68]), "EPOCH-4")
    epoch.link, found = sha(data), None
    try:
        for place in range(max(1, len(names))):
            name = "%06d-%010d.seg" % (epoch.number, place)
            demand(name in names, name + " is missing")
            epoch.read_segment(
                read_file(os.path.join(directory, name)), name, place, data, place == len(names) - 1
            )
    except Answer as answer:
        found = answer
    if previous and not (found and epoch.first is None) and not acknowledges(epoch.first, previous):
        raise epoch.tampered("EPOCH-5", 0)
    if epoch.false_heads is not None:
        raise epoch.tampered("HIST-5", epoch.false_heads)
    if found:
        raise found
    return data


def acknowledges(entry, previous):
    return (
        entry
        and (entry.kind, entry.operation) == (3, 102)
        and lost(entry) is not None
        and big(entry.details.get(24, b"")) == previous.tree.size
        and entry.details.get(25) == previous.tree.root()
    )


def lost(entry):
    """The first and last (epoch, sequence) that an acknowledgement says is lost; None if misspelled."""
    parts = LOST.fullmatch(entry.details.get(26, b""))
    if not parts or not (parts[1] or parts[5]):
        return None
    numbers = [int(part or 0) for part in parts.groups()]
    first, last, before, after = tuple(numbers[:2]), tuple(numbers[2:4]), *numbers[4:]
    epochs_exist = not parts[1] or 1 <= first[0] and last[0] <= 1 << 15
    fits = max(first[1], last[1]) < 1 << 48 and max(before, after) < 1 << 64
    return (first, last) if epochs_exist and fits and first <= last and before <= after else None


# Heads against the log: head.md, operations.md


def read_heads(directory, key, files):
    """Heads that hold, as (epoch, size, root): those beside the log, and those that are given."""
    base, heads = key.name.rpartition("/")[0], []
    for name in sorted(list_directory(directory)):
        parts = re.fullmatch("(heads?)(?:-(?!00000[01])([0-9]{6}))?", name)
        if parts:
            data, number = read_file(os.path.join(directory, name)), int(parts[2] or 1)
            read = published if parts[1] == "heads" else newest
            heads += read(data, "%s/%d" % (base, number), key)
    return heads + [held(read_file(file), key) for file in files]


def newest(data, origin, key):
    """One place of `head` must hold, if anything is there: the other may be an interrupted write."""
    heads, faults = [], []
    for place in (data[:4096].rstrip(b"\0"), data[4096:].rstrip(b"\0")):
        try:
            heads += [held(place, key, origin)] if place else []
        except Answer as answer:
            faults.append(answer if answer.verdict == "wrong-key" else Answer("tampered", str(answer)))
    if faults and not heads:
        raise faults[0]
    return heads


def published(data, origin, key):
    """Every head in `heads` must hold; what is none is left of an interrupted write."""
    demand(not data or data.strip(b"\0"), "no heads")
    starts = re.finditer(rb"(?m)^%s/[0-9]+$" % re.escape(origin.rpartition("/")[0].encode()), data)
    places, heads = [found.start() for found in starts] + [len(data)], []
    for start, end in zip(places, places[1:]):
        text, *rest = data[start:end].split(b"\n\n")
        note = text + b"".join(b"\n\n" + part for part in rest[:1]) + b"\n" * (len(rest) > 1)
        try:
            parse_head(note)
        except Answer:
            continue
        heads.append(held(note, key, origin))
    return heads


def held(note, key, origin=None):
    """A head that holds under the key, whose name is another in each epoch."""
    head = parse_head(note)
    before, _, number = head.origin.rpartition("/")
    if (
        origin not in (None, head.origin)
        or before != key.name.rpartition("/")[0]
        or not EPOCH.fullmatch(number)
    ):
        raise Answer("wrong-key", "another log's head")
    check_head(head, Key(head.origin, key_id(head.origin, key.public), key.public))
    return int(number), head.size, head.root


def judge_heads(heads, epochs):
    by_number = {epoch.number: epoch for epoch in epochs}
    beyond = []
    for number, size, root in heads:
        if number not in by_number or size > by_number[number].tree.size:
            beyond.append((number, size))
        elif by_number[number].roots[size] != root:
            raise Answer("forked", "other entries than a head was signed over")
    if not all(any(excuses(later, *head, heads) for later in epochs[1:]) for head in beyond):
        raise Answer("truncated", "the log ends before a head")


def excuses(epoch, number, size, heads):
    """EPOCH-9: whether the epoch acknowledges the loss of what the head is over, and a head is over it."""
    first, last = lost(epoch.first)
    held = any(head[0] == epoch.number and head[1] > 0 for head in heads)
    return held and number < epoch.number and first <= (number, size - 1) <= last


def verify_log(directory, key=None, files=()):
    heads = read_heads(directory, key, files) if key else []
    wanted = {}
    for number, size, _ in heads:
        wanted.setdefault(number, set()).add(size)
    epochs = read_log(directory, wanted)
    try:
        judge_heads(heads, epochs)
    except Answer as answer:
        raise with_facts(answer, epochs)
    return "torn" if epochs[-1].torn else "valid", epochs


def judge(options):
    """The verdict and what is known besides, as printed."""
    said = {"verdict": "valid", "firstBadSequence": None, "treeSize": None, "root": None, "unsupported": None}
    try:
        text = options.key
        if text and not re.search(r"\+[0-9a-f]{8}\+", text):
            text = read_file(text).decode("latin-1")
        key = text and parse_key(text)
        head = None
        if options.proof:
            proof = evidence.parse_proof(read_file(options.proof), evidence.ENTRY_PROOF, evidence.CONSISTENCY)
            head = evidence.judge_proof(proof, key, options.leaf and bytes.fromhex(options.leaf))
        elif options.export:
            present = list_directory(options.export)
            names = ("entries.jsonl", "history.proof")
            paths = [os.path.join(options.export, name) if name in present else None for name in names]
            files = [path and read_file(path) for path in paths]
            tenant = options.tenant and options.tenant.encode()
            head = evidence.judge_export(*files, key, tenant)
        else:
            said["verdict"], epochs = verify_log(options.log, key, options.head)
        if head:
            said.update(treeSize=head.size, root=head.root.hex())
    except Answer as answer:
        epochs = answer.facts.get("epochs")
        said.update(verdict=answer.verdict, firstBadSequence=answer.facts.get("first"), why=str(answer))
        if answer.verdict == "unsupported" and "kind" in answer.facts:
            said["unsupported"] = {name: answer.facts[name] for name in ("file", "offset", "kind")}
    if options.log and epochs:
        tree = epochs[-1].tree
        said.update(treeSize=tree.size, root=tree.root().hex(), epoch=epochs[-1].number)
    return said


def exit_status(said):
    empty = said["verdict"] == "valid" and said["treeSize"] == 0 and said.get("epoch")
    return EXIT["nothing" if empty else said["verdict"]]


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(64, message + "\n")


def main():
    parser = Arguments(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", nargs="?")
    for name in ("--key", "--proof", "--leaf", "--export", "--tenant"):
        parser.add_argument(name)
    parser.add_argument("--head", action="append", default=[])
    options = parser.parse_args()
    one = [options.log, options.proof, options.export].count(None) == 2
    if not one or not (options.key or options.log and not options.head):
        parser.error("one of LOGDIR, --proof and --export; all but LOGDIR alone with --key")
    said = judge(options)
    print(json.dumps(said))
    sys.exit(exit_status(said))


if __name__ == "__main__":
    main()
