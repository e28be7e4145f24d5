#!/usr/bin/env python3
"""A backup of the store, of the log, or of both is put back: the start is refused, the loss acknowledged by name, and the
service goes on in a new epoch of its log."""
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../Vectors")]
import epochs  # noqa: E402
from house import Checks, House, binary  # noqa: E402

LOST = "--acknowledge-rollback "


def refusal(house):
    """How a start ends: its status and all that it says."""
    before = len(house.printed())
    try:
        house.start()
    except RuntimeError:
        return house.process.returncode, house.printed()[before:]
    house.stop()
    return 0, house.printed()[before:]


def lost_of(said):
    return said.rsplit(LOST, 1)[1].split()[0] if LOST in said else None


def acknowledge(house, lost, *wrapper):
    done = subprocess.run(
        [*wrapper, binary("chatelained"), "--config", house.config, "--allow-root", *LOST.split(), lost],
        capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def check_of(house):
    done = subprocess.run(
        [binary("chatelained"), "--config", house.config, "--check", "--allow-root"], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def audit(house, *arguments):
    done = subprocess.run([binary("chatelaine"), "audit", *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def key_text(house, *epoch):
    return subprocess.run(
        [binary("chatelaine"), "signing-key", "show", house.directory + "/signing/log.key", "--log", house.log, *epoch],
        check=True, capture_output=True, text=True).stdout.strip()


def tree_of(directory):
    """Every file below a directory, with its content; not the lock's."""
    found = {}
    for place, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[path] = file.read()
    return {path: data for path, data in found.items() if not path.endswith(("/lock", "-shm", "-wal"))}


class Scene:
    """A house with a backup of a while ago, and what was done since: a new key, a disabled one, a rotation."""

    def __init__(self, house):
        self.house, self.anchor = house, os.path.join(house.place, "elsewhere/newest")
        os.mkdir(os.path.dirname(self.anchor))
        house.replace("  # anchor: /mnt/elsewhere/chatelaine.head", "  anchor: " + self.anchor)
        self.old, self.new = os.path.join(house.place, "old"), os.path.join(house.place, "new")
        house.start()
        admin, data = house.admin(), house.data()
        admin.create_tenant("acme")
        for key in ("pay", "dead"):
            assert admin.create_key("acme", key).ok
        self.early = data.encrypt("acme", "pay", b"early")[1]
        admin.close(), data.close()
        self.stop_and_copy(self.old)
        house.start()
        admin, data = house.admin(), house.data()
        assert admin.create_key("acme", "late").ok and admin.act("RotateKey", "acme", "pay").ok
        assert admin.act("DisableKey", "acme", "dead").ok
        self.late = data.encrypt("acme", "late", b"late")[1]
        for _ in range(5):
            assert data.encrypt("acme", "pay", b"x").ok
        admin.close(), data.close()
        self.stop_and_copy(self.new)

    def stop_and_copy(self, place):
        self.house.stop()
        shutil.copytree(self.house.directory, place)
        if os.path.exists(self.anchor):
            shutil.copy(self.anchor, place + ".head")

    def put(self, store, log, anchor=None):
        """Puts store, log and anchor of two times in place."""
        for name, source in (("store", store), ("log", log)):
            place = os.path.join(self.house.directory, name)
            shutil.rmtree(place)
            shutil.copytree(os.path.join(source, name), place)
        if os.path.exists(self.anchor):
            os.remove(self.anchor)
        if anchor:
            shutil.copy(anchor + ".head", self.anchor)

    def works(self, check, what, has_late, is_disabled=True):
        """A start goes on, what can be decrypted decrypts, and the next start is quiet."""
        house = self.house
        house.start()
        data = house.data()
        check(data.decrypt("acme", self.early)[1] == b"early", what + ": what was encrypted before decrypts")
        check((data.decrypt("acme", self.late)[1] == b"late") == has_late, what + ": a key that was made later")
        check(data.encrypt("acme", "dead", b"x").ok != is_disabled, what + ": a disabled key stays disabled")
        check(data.encrypt("acme", "pay", b"x").ok, what + ": encrypts")
        data.close()
        time.sleep(0.3)
        house.stop()
        status, said = refusal(house)
        check(status == 0 and LOST not in said and "change lost" not in said and "resolved=0" in said, what + ": a quiet second start: " + said)
        check(check_of(house)[0] == 0, what + ": --check: %s" % (check_of(house),))

    def verify(self, check, what, numbers, lost):
        """Both verifiers say the same of every epoch, with the public key and without."""
        key = key_text(self.house)
        for more in ((), ("--key", key)):
            status, said, error = audit(self.house, "verify", "--log", self.house.log, "--json", *more)
            found = json.loads(said) if said else {}
            swift = [(one["epoch"], one["treeSize"], one["treeRoot"], one.get("lost")) for one in found.get("epochs", [])]
            word, python = epochs.verdict(self.house.log, *more[1:])
            check(status == 0 and found["result"] == "valid", "%s: verify: %d %s" % (what, status, said + error))
            check(word == "valid" and python == swift, "%s: the other verifier: %s %s, not %s" % (what, word, python, swift))
            check([one[0] for one in swift] == numbers and [one[3] for one in swift[1:]] == lost, "%s: epochs %s" % (what, swift))
        status, said, _ = audit(self.house, "verify", "--log", self.house.log)
        check(status == 0 and "lost " in said and "acknowledged by uid:%d" % os.getuid() in said, what + ": says it: " + said)


def old_store(scene, check):
    house = scene.house
    scene.put(scene.old, scene.new, scene.new)
    status, said = refusal(house)
    lost = lost_of(said)
    started = said
    check(status == 65 and lost and lost.startswith("store:"), "an old store: %d %s" % (status, said))
    check("what=key-disable of=acme/dead" in said and "what=key-create of=acme/late" in said, "what was changed is told: " + said)
    status, checked = check_of(house)
    check(status == 65 and lost_of(checked) == lost, "--check says the same: " + checked)
    before = tree_of(house.directory)
    first, last = lost.split(",")[0][6:].split("-")
    wrong = ["store:%s-%d,%s" % (first, int(last) - 1, lost[-8:]), lost[:-8] + "00000000", "log:1/0-1/9," + lost]
    for other in wrong + ["everything"]:
        status, text = acknowledge(house, other)
        check(status == 64, "acknowledged as %s: %d %s" % (other, status, text))
    check(tree_of(house.directory) == before, "a refused acknowledgement changes nothing")
    check("--config %s --allow-root %s" % (house.config, LOST) in started, "the printed command is whole")
    status, text = acknowledge(house, lost)
    check(status == 0 and "acme/dead" in text, "acknowledged: %d %s" % (status, text))
    status, text = acknowledge(house, lost)
    check(status == 64 and "nothing to acknowledge" in text, "acknowledged twice: %d %s" % (status, text))
    scene.works(check, "an old store", has_late=False)
    scene.verify(check, "an old store", [1, 2], [lost])
    told = audit(house, "show", "--log", house.log, "--operation", "rollback-acknowledge")[1]
    check("2/0 " in told and lost in told and len(audit(house, "show", "--log", house.log)[1].splitlines()) > 20, "show goes through both: " + told)
    proofs(scene, check)
    return "lost " + lost


def proofs(scene, check):
    """Heads and proofs are an epoch's own."""
    house = scene.house
    proof = os.path.join(house.place, "proof")
    for epoch in ("1", "2"):
        key = key_text(house, "--epoch", epoch)
        status, said, error = audit(house, "head", "--log", house.log, "--epoch", epoch, "--key", key)
        check(status == 0 and said.split("\n")[0].endswith("/" + epoch), "the head of epoch %s: %s" % (epoch, said + error))
        made = audit(house, "prove", "entry", "1", "--log", house.log, "--epoch", epoch, "--out", proof)
        check(made[0] == 0 and audit(house, "check-proof", proof, "--key", key)[0] == 0, "a proof in epoch %s: %s" % (epoch, made))
        other = key_text(house, "--epoch", "2" if epoch == "1" else "1")
        check(audit(house, "check-proof", proof, "--key", other)[0] == 6, "it is no proof in another epoch")
        history = os.path.join(house.place, "history-" + epoch)
        made = audit(house, "export", "--log", house.log, "--tenant", "acme", "--epoch", epoch, "--out", history)
        checked = audit(house, "verify-export", history, "--key", key)
        check(made[0] == 0 and checked[0] == 0, "a tenant's history in epoch %s: %s %s" % (epoch, made, checked))


def old_log(scene, check):
    house = scene.house
    kept = os.path.join(house.place, "kept")
    with open(kept, "w") as file:
        file.write(audit(house, "head", "--log", scene.new + "/log")[1])
    scene.put(scene.new, scene.old, scene.new)
    status, said = refusal(house)
    lost = lost_of(said)
    check(status == 65 and lost and lost.startswith("log:1/"), "an old log: %d %s" % (status, said))
    key = key_text(house)
    status, _, error = audit(house, "verify", "--log", house.log, "--key", key, "--head", kept)
    check(status == 4, "the control: a kept head finds the cut before it is acknowledged: %d %s" % (status, error))
    status, text = acknowledge(house, lost)
    check(status == 0, "acknowledged: %d %s" % (status, text))
    unsigned(house, check, key, kept)
    scene.works(check, "an old log", has_late=True)
    scene.verify(check, "an old log", [1, 2], [lost])
    status, said, error = audit(house, "verify", "--log", house.log, "--key", key, "--head", kept)
    check(status == 0 and "over entries that are lost" in said, "a head over what is lost: %d %s" % (status, said + error))
    # MUST: EPOCH-5
    # An entry less than was acknowledged: the old epoch is held to where it ended.
    segment = os.path.join(house.log, "000001-0000000000.seg")
    with open(segment, "r+b") as file:
        data = bytearray(file.read())
        at = data.rindex(b"CHF1")
        data[at:] = bytes(len(data) - at)
        file.seek(0)
        file.write(data)
    status = audit(house, "verify", "--log", house.log)[0]
    check(status == 65 and epochs.verdict(house.log)[0] == "tampered", "the old epoch was cut: %d" % status)
    return "lost " + lost


# MUST: EPOCH-9
def unsigned(house, check, key, kept):
    """An epoch that says what is lost, before a head is signed over it: whoever can write the log can make one."""
    status, said, error = audit(house, "verify", "--log", house.log, "--key", key, "--head", kept)
    check(status == 4 and "no head is signed over it" in said + error, "an unsigned epoch excuses nothing: %d %s" % (status, said + error))
    word, _ = epochs.verdict(house.log, key)
    heads_left = any(name.startswith("head") for name in os.listdir(house.log))
    check(not heads_left or word in ("valid", "truncated"), "the other verifier: " + word)


def both(scene, check):
    house = scene.house
    scene.put(scene.old, scene.old, scene.new)
    status, said = refusal(house)
    first = lost_of(said)
    check(status == 65 and first and "elsewhere/newest" in said, "both are older than the anchor: %d %s" % (status, said))
    status, checked = check_of(house)
    check(status == 65 and lost_of(checked) == first, "--check looks at heads too: %d %s" % (status, checked))
    status, text = acknowledge(house, first)
    check(status == 0, "acknowledged: %d %s" % (status, text))
    scene.works(check, "both", has_late=False, is_disabled=False)
    scene.verify(check, "both", [1, 2], [first])
    # Both are put back once more: the anchor is in an epoch that they do not have.
    shutil.copy(scene.anchor, house.place + "/later.head")
    scene.put(scene.old, scene.old, house.place + "/later")
    status, said = refusal(house)
    lost = lost_of(said)
    check(status == 65 and "signed in epoch 2" in said and lost, "an anchor of a later epoch: %d %s" % (status, said))
    status, text = acknowledge(house, lost or "none")
    check(status == 0 and text.count("/3\n") == 1, "its number is not used again: %d %s" % (status, text))
    scene.works(check, "both again", has_late=False, is_disabled=False)
    scene.verify(check, "both again", [1, 3], [lost])
    return "lost " + lost


def no_rollback(scene, check):
    """A fork, damage, and an epoch that somebody else began: no way on but the right files."""
    house = scene.house
    any_loss = "log:1/9-1/20,00000000"
    scene.put(scene.old, scene.old)
    house.start()
    data = house.data()
    for _ in range(40):
        assert data.encrypt("acme", "pay", b"other").ok
    data.close()
    house.stop()
    shutil.copy(scene.new + ".head", scene.anchor)
    status, said = refusal(house)
    check(status == 65 and LOST not in said and "rewritten" in said, "a fork: %d %s" % (status, said))
    status, said = acknowledge(house, any_loss)
    check(status == 65 and "rewritten" in said, "a fork is not acknowledged: %d %s" % (status, said))
    status, said = check_of(house)
    check(status == 65 and "rewritten" in said, "--check finds the fork: %d %s" % (status, said))
    os.remove(scene.anchor)
    check(check_of(house)[0] == 0, "the control: without the head nothing shows it")
    scene.put(scene.old, scene.new)
    with open(os.path.join(house.log, "000001-0000000000.seg"), "r+b") as file:
        file.seek(4096 + 700)
        file.write(b"\xff")
    for status, said in (refusal(house), acknowledge(house, any_loss)):
        check(status == 65 and LOST not in said, "damage is no rollback: %d %s" % (status, said))
    # MUST: EPOCH-6, EPOCH-10
    scene.put(scene.new, scene.old)
    status, text = acknowledge(house, lost_of(refusal(house)[1]))
    check(status == 0, "acknowledged: %d %s" % (status, text))
    shutil.rmtree(house.directory + "/store")
    shutil.copytree(scene.new + "/store", house.directory + "/store")
    status, said = refusal(house)
    check(status == 65 and "no head was signed over" in said and LOST not in said, "an epoch that the store does not name: %d %s" % (status, said))
    status, said = acknowledge(house, any_loss)
    check(status == 65 and "no head was signed over" in said, "it is not acknowledged: %d %s" % (status, said))
    unsigned(house, check, key_text(house), house.place + "/kept")


def kills(scene, check):
    """Killed at each call that changes a file: not done, or ended by the next start."""
    house, undone, done, number = scene.house, 0, 0, 0
    scene.put(scene.old, scene.new, scene.new)
    lost = lost_of(refusal(house)[1])
    for name, step in (("renameat2", 1), ("fdatasync", 3), ("fsync", 3)):
        for number in range(1, 30, step):
            scene.put(scene.old, scene.new, scene.new)
            status, text = acknowledge(
                house, lost, "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + name,
                "-e", "inject=%s:signal=KILL:when=%d" % (name, number))
            if status == 0:
                break
            status, said = refusal(house)
            if status:
                undone += 1
                check(lost_of(said) == lost, "%s %d: the same is lost: %s" % (name, number, said))
                check(acknowledge(house, lost)[0] == 0 and refusal(house)[0] == 0, "%s %d: acknowledged again" % (name, number))
            else:
                done += 1
            check(epochs.verdict(house.log)[0] == "valid", "%s %d: both epochs are whole" % (name, number))
    check(house.verify() == 0 and refusal(house)[0] == 0, "it goes on")
    check(undone > 2 and done > 2, "killed before it was decided %d times, and after %d" % (undone, done))
    return "%d kills before it was decided, %d after" % (undone, done)


def main():
    check = Checks()
    with House(start=False) as house:
        scene = Scene(house)
        for run in (old_store, old_log, both, no_rollback, kills):
            check.part(run, scene)
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
