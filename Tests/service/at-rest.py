#!/usr/bin/env python3
"""No file of the service holds a plaintext or a key: database, -wal, -shm, log, configuration, what it printed.

The keyring is the one place of clear keys and is left out. Looked at while the service runs, after a kill, and after a
stop. The control: the same secrets, put into a file, are found in every form.
"""
import base64
import os
import sys
import time

from canaries import canary
from house import Checks, House

check = Checks()
CONTEXT = {"table": "cards"}


def forms(secret):
    """{form: bytes}: windows of a secret, raw, in hex, and in base64 at each of its three alignments."""
    found = {}
    for place, at in (("first", 0), ("middle", len(secret) // 2), ("last", max(0, len(secret) - 24))):
        part = secret[at:at + 24]
        found[place] = part[:16]
        found[place + " hex"], found[place + " HEX"] = part[:16].hex().encode(), part[:16].hex().upper().encode()
        for shift in range(3):
            text = base64.b64encode(bytes(shift) + part)[4:-4] if shift else base64.b64encode(part)[:-4]
            found["%s base64 +%d" % (place, shift)] = text
            found["%s base64url +%d" % (place, shift)] = text.replace(b"+", b"-").replace(b"/", b"_")
    return found


def search(directory, secrets, but):
    """(files, bytes, [(file, secret, form)]) of everything below a directory."""
    files = count = 0
    hits = []
    needles = [(name, form, part) for name, secret in secrets.items() for form, part in forms(secret).items()]
    for place, folders, names in os.walk(directory):
        folders[:] = [folder for folder in folders if os.path.join(place, folder) != but]
        for name in names:
            path = os.path.join(place, name)
            if not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                data = file.read()
            files, count = files + 1, count + len(data)
            hits += [(path, secret, form) for secret, form, part in needles if part in data]
    return files, count, hits


def work(house):
    """Every method, refused calls among them; the secrets that went through, and bytes the log must not keep."""
    admin, data = house.admin(), house.data()
    text, blob, lost = canary(64), canary(300_000), canary(200)
    for suite in (1, 2):
        tenant = "t%d" % suite
        assert admin.create_tenant(tenant).ok and admin.create_key(tenant, "k", suite).ok
        envelope = data.encrypt(tenant, "k", text, CONTEXT)[1]
        large = data.encrypt(tenant, "k", blob, CONTEXT)[1]
        assert data.decrypt(tenant, large, CONTEXT)[1] == blob
        assert data.decrypt(tenant, envelope).code == "DECRYPTION_FAILED"
        assert data.encrypt(tenant, "none", lost).code == "NOT_FOUND"
        assert data.encrypt_batch(tenant, "k", [(text, CONTEXT)] * 20).ok
        issued = data.issue(tenant, "k", CONTEXT)
        assert admin.act("RotateKey", tenant, "k").ok
        assert data.rewrap(tenant, envelope, context=CONTEXT).ok and data.unwrap(tenant, issued[1], CONTEXT).ok
        assert admin.act("DisableKey", tenant, "k").ok and admin.act("EnableKey", tenant, "k").ok
    secrets = {"plaintext": text, "a large plaintext": blob, "a plaintext refused": lost, "data key": issued[2]}
    public = {"envelope": envelope[80:], "salt of an envelope": envelope[24:48], "wrapped data key": issued[1][68:]}
    return secrets, public


def with_own_keys(house, secrets):
    try:
        import custody
    except ImportError as missing:
        print("skipped: the service's own keys at rest (%s)" % missing)
        return secrets
    keys = custody.Keys(house)
    own = {"master key": keys.master, "store key": keys.store}
    own |= {"root of " + tenant: key for tenant, key in keys.roots.items()}
    return {**secrets, **own, **{"key %s/%s v%d" % name: key for name, key in keys.keys.items()}}


with House() as house:
    secrets, public = work(house)
    secrets = with_own_keys(house, {**secrets, **public})

    def look(when):
        files, count, hits = search(house.place, secrets, but=house.keyring)
        print("%-22s %d secrets, %d files, %d bytes: %d found" % (when, len(secrets), files, count, len(hits)))
        check(not hits, "%s: %s" % (when, hits[:5]))
        return files

    look("running")
    house.kill()
    look("killed")
    house.start()
    check(house.data().encrypt("t1", "k", b"x").ok, "it goes on")
    house.stop()
    check(look("stopped") >= 5, "there is something to look at")
    shown = "\n".join(str(entry) for entry in house.entries()).encode()
    check(not any(part in shown for secret in secrets.values() for part in forms(secret).values()), "audit show")
    dump = os.path.join(house.directory, "store", "dump")
    for form, made in (("raw", bytes), ("hex", bytes.hex), ("base64", base64.b64encode), ("shifted", lambda s: base64.b64encode(b"!" + s))):
        with open(dump, "wb") as file:
            for secret in secrets.values():
                data = made(secret)
                file.write((data.encode() if isinstance(data, str) else data) + b"\n")
        found = {name for _, name, _ in search(house.place, secrets, but=house.keyring)[2]}
        check(found == set(secrets), "control: in a file as %s, not found: %s" % (form, set(secrets) - found))
    print("control: a file with them is found, in every form")
sys.exit(check.finish())
