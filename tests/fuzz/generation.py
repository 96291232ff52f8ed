"""Generated bad input: messages with pieces cut out, put in, doubled or swapped, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence


def damaged(chance: random.Random, good: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    """One of the good inputs after a few changes, each of which hurts."""
    data = bytearray(chance.choice(good))
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        place = chance.randrange(len(data) + 1)
        end = min(len(data), place + chance.randrange(1, 30))
        match chance.randrange(6):
            case 0:
                del data[place:end]
            case 1:
                data[place:place] = chance.choice(pieces)
            case 2:
                data[place:end] = chance.randbytes(end - place)
            case 3:
                data[place:place] = data[place:end] * chance.choice((1, 1, 40))
            case 4:
                data[place:end] = chance.choice(pieces)
            case _:
                _swap_lines(chance, data)
    return bytes(data)


def _swap_lines(chance: random.Random, data: bytearray) -> None:
    lines = data.split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    data[:] = b"\r\n".join(lines)


def inputs(seed: int, count: int, good: Sequence[bytes], pieces: Sequence[bytes]) -> Iterator[bytes]:
    """That many inputs: mostly damaged good ones, some random bytes, some random pieces."""
    chance = random.Random(seed)
    for number in range(count):
        match number % 8:
            case 0:
                yield chance.randbytes(chance.randrange(200))
            case 1:
                yield b"".join(chance.choices(pieces, k=chance.randrange(1, 12)))
            case _:
                yield damaged(chance, good, pieces)


SIP_PIECES = (
    b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b";", b",", b'"', b"<", b">", b"\\", b"=", b"?", b"@",
    b"Content-Length: ", b"Content-Length: 4294967328\r\n", b"l: 5\r\n", b"Via: ", b"v: SIP/2.0/UDP 1.2.3.4\r\n",
    b"SIP/2.0", b"SIP/2.0 200 OK\r\n", b"INVITE sip:a@example.com SIP/2.0\r\n", b"CSeq: ", b"CANCEL", b"ACK", b"BYE",
    b"REGISTER", b"SUBSCRIBE", b"UPDATE", b"PRACK", b";rport", b";received=", b";branch=z9hG4bK", b";tag=", b";tag=x",
    b"[::1", b"%00", b"%zz", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"9" * 30, b"A" * 300, b"-1", b"*",
    b"Contact: *\r\n", b"Expires: 0\r\n", b"Expires: -5\r\n", b"Max-Forwards: 0\r\n", b"Require: x\r\n", b"sips:",
    b"tel:+1", b"urn:service:sos", b"Session-Expires: 90;refresher=uac\r\n", b"Min-SE: 1\r\n", b"Require: 100rel\r\n",
    b"Replaces: a;to-tag=b;from-tag=c\r\n", b"Refer-To: <sip:a@b?Replaces=x>\r\n", b"RAck: 1 1 INVITE\r\n",
    b"Content-Type: multipart/mixed;boundary=x\r\n", b"Content-Type: application/sdp\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Authorization: Digest username=\"a\", realm=, nonce\r\n", b"Event: refer\r\n", b"Route: <sip:x;lr>\r\n",
    b"m=audio 0 RTP/SAVP 0\r\n", b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:\r\n", b"m=", b"c=IN IP4 ",
    b"c=IN IP6 ::\r\n",
)  # fmt: skip
