"""No bytes raise anything but MalformedMessage, whatever is read of them: 40,000 inputs from a fixed seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from gateway.sip.address import NameAddress
from gateway.sip.digest import Challenge, Credentials, is_right
from gateway.sip.errors import MalformedMessage
from gateway.sip.framing import StreamFramer
from gateway.sip.headers import KEYS, Headers
from gateway.sip.message import CSeq, Message, Request
from gateway.sip.parser import Answerable, check, parse
from gateway.sip.uri import Uri
from gateway.sip.via import Via
from tests.support.rfc4475 import MESSAGES

SEEDS = [torture.data for torture in MESSAGES.values()]
# What parsers stumble over: separators, halves of things, numbers at their limits, bytes that are no UTF-8.
SCRAPS = [
    *(b"\r\n", b"\r", b"\n", b"\0", b"\t", b" ", b"\r\n ", b"\r\n\r\n", b"\\", b'\\"', b'"', b"<", b">", b"*"),
    *(b":", b";", b",", b"=", b"@", b"%", b"%00", b"%4", b"[", b"]", b"[::1]", b"?", b"&", b"/"),
    *(b"SIP/2.0", b"sip:", b";tag=", b";lr", b"Via: ", b"Content-Length: ", b"l:", b"Contact: *\r\n"),
    *(b"-1", b"0", b"65536", b"4294967296", b"9" * 400, "٣".encode(), b"<" * 50, b'"' * 51),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x93\x9e", b"\xe2\x80\xa8", b"\xc2\x85"),
]


def read_all(message: Message) -> None:
    """Ask for everything, each on its own."""
    questions: list[Callable[[], object]] = [
        lambda: (message.top_via.branch, message.top_via.rport, message.top_via.received, message.top_via.parameters),
        lambda: (message.from_.tag, message.from_.uri, message.from_.display_name, message.from_.parameters),
        lambda: (message.to.tag, message.to.uri.transport, message.to.with_tag("x").tag),
        lambda: message.call_id,
        lambda: message.cseq,
        lambda: message.max_forwards,
        lambda: message.expires,
        lambda: message.content_type,
        lambda: [(contact.uri, contact.parameter("q")) for contact in message.contacts],
        lambda: (message.contact, message.is_wildcard_contact, message.headers.values("route")),
        lambda: message.headers.remove_first("via"),
        lambda: message.request_uri.matches(Uri.parse("sip:a@b")) if isinstance(message, Request) else None,
        lambda: check(message),
    ]
    for question in questions:
        try:
            question()
        except MalformedMessage:
            continue


def survives(data: bytes) -> bool:
    """Whether data is a message. Raises nothing; what is read can be written, and what is answered too."""
    try:
        message = parse(data)
    except MalformedMessage as error:
        if isinstance(error, Answerable):
            error.request.response(error.status, to_tag="t").to_bytes()
        return False
    written = message.to_bytes()
    assert parse(written).to_bytes() == written
    if isinstance(message, Request):
        message.response(200, to_tag="t").to_bytes()
    read_all(message)
    return True


def mutated(chance: random.Random) -> bytes:
    """A torture message with one to six scraps put in, cuts made, or bytes changed."""
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([0, 0, 1, 1, 2, 20]))
        data[start:end] = chance.choice(SCRAPS) if chance.random() < 0.8 else chance.randbytes(3)
    return bytes(data)


def test_mutated_messages() -> None:
    chance = random.Random(4475)
    kept = sum(survives(mutated(chance)) for _ in range(20_000))
    assert 2_000 < kept < 18_000, "the mutations reach both sides"


def test_random_bytes() -> None:
    chance = random.Random(3261)
    for _ in range(5_000):
        assert not survives(chance.randbytes(chance.randint(0, 60)))
        survives(b"A sip:b SIP/2.0\r\n" + b"".join(chance.choices(SCRAPS, k=12)) + b"\r\n\r\n")


def test_streams() -> None:
    chance = random.Random(18)
    for _ in range(5_000):
        framer = StreamFramer()
        stream = mutated(chance) + mutated(chance)
        cut = chance.randrange(len(stream))
        try:
            for piece in framer.receive(stream[:cut]) + framer.receive(stream[cut:]):
                if isinstance(piece, bytes):
                    survives(piece)
        except MalformedMessage:
            assert framer.broken is not None


@pytest.mark.parametrize("parse_value", [Uri.parse, NameAddress.parse, Via.parse, Challenge.parse, Credentials.parse])
def test_values(parse_value: Callable[[str], object]) -> None:
    chance = random.Random(25)
    good = [
        "sip:a:b@example.com:5060;lr;x=y?z=1",
        '"A \\" B" <sips:a@[::1]:5061;transport=tcp>;tag=1;q="0.5"',
        "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport;received=::1",
        'Digest realm="r\\"", nonce="n", qop="auth,auth-int", algorithm=MD5, stale=true',
        'Digest username="u", realm="r", nonce="n", uri="sip:a", response="' + "0" * 32 + '", nc=00000001, cnonce="c"',
    ]
    for _ in range(2_000):
        text = chance.choice(good)
        for _ in range(chance.randint(1, 4)):
            start = chance.randrange(len(text) + 1)
            scrap = chance.choice(SCRAPS).decode("utf-8", "surrogateescape")
            text = text[:start] + scrap + text[start + chance.randint(0, 2) :]
        try:
            value = parse_value(text)
        except MalformedMessage:
            continue
        # Parsed means readable: what was left for later cannot fail, and it is written as what it was read.
        assert repr(value)
        assert parse_value(str(value)) == value
        if isinstance(value, Credentials):
            is_right(value, password="p", method="INVITE")


@pytest.mark.parametrize("kind", [Uri, NameAddress, Via])
def test_the_short_way_of_a_parser_finds_what_the_long_way_finds(kind: type[Uri | NameAddress | Via]) -> None:
    chance = random.Random(7)
    good = {
        Uri: "sip:a.b+c@example.com:5060;lr;x=y;transport=TCP",
        NameAddress: '"A \\" B" <sips:a@h-1.example:50610;transport=tcp;lr>;tag=1;q=0.5;flag',
        Via: "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport;received=::1",
    }[kind]
    letters = [*' \t";:,<>=@%[]/\\*.0aZ~é', "tag=", "::", "//"]
    both = 0
    for _ in range(3_000):
        text = good
        for _ in range(chance.randint(0, 2)):
            start = chance.randrange(len(text) + 1)
            text = text[:start] + chance.choice(letters) + text[start + chance.randint(0, 1) :]
        try:
            short = kind.parse(text)
        except MalformedMessage:
            continue
        assert short == kind._parse_rare(text.strip(" \t"))
        both += 1
    assert both > 800


LINES = [
    b"X: " + b"a" * 30_000,
    b"X: " + b" " * 30_000 + b"a",
    b"X" + b" " * 30_000 + b"\r\n y",
    b"X: " + b" " * 30_000 + b"a\r\n b",
    b"X:" + b" \r\n " * 7_000,
    b"X: a" + b"\r\na" * 10_000,
    b"From: " + b'"\\' * 15_000,
    b"From: " + b" " * 30_000 + b"<sip:a@b",
    b"From: a" + b" " * 30_000 + b"<sip:a@b",
    b'From: "a"' + b" " * 30_000 + b"x",
    b"From: <sip:" + b"a;" * 15_000,
    b"From: <sip:" + b"a" * 15_000 + b":" + b"b" * 15_000 + b">",
    b"From: <sip:" + b"%41" * 10_000 + b">",
    b"From: <sip:a@b>" + b";a=b" * 8_000 + b"!",
    b"From: <sip:a@b>" + b" ;a = b " * 4_000 + b"!",
    b"From: <sip:a@b;" + b"a=b;" * 8_000 + b"!",
    b"Contact: " + b"<sip:a@b>," * 3_000,
    b"Contact: " + b'<,"' * 10_000,
    b"Via: SIP/2.0/UDP h" + b";a" * 15_000 + b"=",
    b"Via: SIP/2.0/UDP" + b" " * 30_000 + b"!",
    b"Via: SIP/2.0/UDP h" + b" " * 30_000 + b"!",
    b"CSeq: " + b"0" * 30_000 + b"x",
    b"CSeq: 1" + b" " * 30_000 + b"(",
    b"Max-Forwards: " + b"0" * 30_000 + b"x",
    b"Content-Length: " + b"1" * 30_000,
    b"Authorization: Digest " + b"a=b," * 7_000 + b"=",
    b"Authorization: Digest a=" + b"b" * 8_000 + b'"',
    b"Authorization: Digest " + b" ," * 4_000 + b"!",
]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_nothing_takes_long(line: bytes) -> None:
    """Linear work on 30 KB is a matter of milliseconds; quadratic work would be one of seconds."""
    text = line.partition(b":")[2].replace(b"\r\n", b"").decode().strip()
    before = time.process_time()
    survives(b"INVITE sip:a@b SIP/2.0\r\n" + line + b"\r\n\r\n")
    for parse_value in (NameAddress.parse, Via.parse, Uri.parse, CSeq.parse, Credentials.parse):
        try:
            parse_value(text)
        except MalformedMessage:
            continue
    read_all(Request("INVITE", text, Headers((), [KEYS[line.partition(b":")[0].decode()]], [line.decode()])))
    assert time.process_time() - before < 0.1
