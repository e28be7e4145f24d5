"""Replies compared as a caller sees them: only what no two calls have alike, request id and receipt, is left out."""
from wire import fields, varint


def masked(reply):
    """A refusal's bytes, header apart, with its request id and receipt as zeros; everything else as it came."""
    out = reply.raw
    status = dict(fields(reply.raw)).get(1, b"")
    if not status:
        return out
    detail = dict(fields(dict(fields(dict(fields(status))[3]))[2]))
    for number in (2, 15):
        if number in detail:
            value = varint(number << 3 | 2) + varint(len(detail[number])) + detail[number]
            assert out.count(value) == 1, "a field stands once"
            out = out.replace(value, value[:-len(detail[number])] + bytes(len(detail[number])))
    return out
