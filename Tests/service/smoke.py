#!/usr/bin/env python3
"""Every method of both doors once, through an independent implementation of the protocol."""
import sys

from house import Checks, House
from wire import fields

check = Checks()
with House() as house:
    admin, data = house.admin(), house.data()
    check(admin.create_tenant("acme").ok and admin.create_key("acme", "pay").ok, "a tenant and a key are made")
    check(admin.create_tenant("acme").code == "CONFLICT", "a tenant's name is taken once")
    context = {"table": "cards"}
    envelope = data.encrypt("acme", "pay", b"4111", context)[1]
    check(len(envelope) == 4 + 96, "an envelope is 96 bytes longer")
    check(data.decrypt("acme", envelope, context)[1] == b"4111", "it opens")
    check(data.decrypt("acme", envelope).code == "DECRYPTION_FAILED", "without its context it does not")
    check(data.encrypt("acme", "nokey", b"x").code == "NOT_FOUND", "a key that is not there")
    batch = data.encrypt_batch("acme", "pay", [(b"%d" % n, None) for n in range(1024)])
    envelopes = [dict(fields(result))[1] for result in batch.all(1)]
    opened = data.decrypt_batch("acme", [(one, None) for one in envelopes[:-1]] + [(b"not one", None)])
    results = [dict(fields(result)) for result in opened.all(1)]
    check([r.get(1) for r in results[:-1]] == [b"%d" % n for n in range(1023)], "a batch comes back in order")
    check(results[-1][2] == b"DECRYPTION_FAILED", "one bad item fails alone")
    issued = data.issue("acme", "pay", context)
    check(len(issued[1]) == 148 and len(issued[2]) == 32, "a data key, wrapped and plain")
    check(data.issue("acme", "pay", wrapped_only=True)[2] == b"", "a data key, wrapped only")
    check(data.unwrap("acme", issued[1], context)[1] == issued[2], "it unwraps")
    check(data.unwrap("acme", issued[1]).code == "DECRYPTION_FAILED", "without its context it does not")
    check(admin.act("RotateKey", "acme", "pay")[1] == 2, "a key rotates")
    moved = data.rewrap("acme", envelope, context=context)[1]
    check(moved != envelope and data.decrypt("acme", moved, context)[1] == b"4111", "an envelope moves to version 2")
    check(data.rewrap("acme", moved, context=context)[1] == moved, "one that is current stays as it is")
    check(data.decrypt("acme", envelope, context)[1] == b"4111", "the old one opens too")
    wrapped = data.rewrap("acme", wrapped=issued[1], context=context)[2]
    check(data.unwrap("acme", wrapped, context)[1] == issued[2], "a wrapped data key moves, the key stays")
    check(admin.act("DisableKey", "acme", "pay").ok, "a key is disabled")
    check(data.encrypt("acme", "pay", b"x").code == "KEY_DISABLED", "then it does not encrypt")
    check(data.decrypt("acme", moved, context).code == "DECRYPTION_FAILED", "nor decrypt")
    check(admin.act("EnableKey", "acme", "pay").ok and data.encrypt("acme", "pay", b"x").ok, "until it is enabled")
    check(admin.act("FreezeTenant", "acme").ok, "a tenant is frozen")
    check(data.encrypt("acme", "pay", b"x").code == "TENANT_FROZEN", "then none of its keys encrypts")
    check(data.decrypt("acme", moved, context).code == "DECRYPTION_FAILED", "nor decrypts")
    check(admin.act("UnfreezeTenant", "acme").ok, "it is unfrozen")
    check(data.decrypt("acme", moved, context)[1] == b"4111", "and everything opens again")
    check(data.call("chatelaine.v1.AdminService", "Status", b"").code == "NOT_FOUND", "no admin calls on the data door")
    check(admin.call("chatelaine.v1.KeyService", "Encrypt", b"").code == "NOT_FOUND", "no data calls on the admin door")
    check(admin.status().ok, "status answers")
    check(house.stop() == 0 and house.verify() == 0, "it stops with 0, and its log is valid")
sys.exit(check.finish())
