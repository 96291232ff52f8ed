"""Each message of RFC 4475 and RFC 5118 through the whole signalling, over UDP, TCP and TLS, and the reaction to it.

What the reaction is to be stands in reactions.py, from which docs/torture.md is written too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
import pytest

from gateway.sip.message import Request, Response
from gateway.sip.parser import parse
from tests.support.ladder import AVP
from tests.support.rfc4475 import MESSAGES
from tests.support.signalling import PHONE, PROVIDER, TCP, TRUNK, UDP, OurFailures, Signalling
from tests.support.tls_authority import Authority
from tests.support.tls_peer import GATEWAY_NAME, TlsPeer
from tests.torture.document import DOCUMENT, document
from tests.torture.reactions import ALL, IPV6, RFC4475, RFC5118, Reaction, Stream


@pytest.fixture(autouse=True)
def no_bugs() -> Iterator[None]:
    """Whatever arrives, nothing of ours fails."""
    with OurFailures() as failures:
        yield
    assert failures.events == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def statuses(data: bytes) -> list[int]:
    """The statuses of the responses in what a phone was sent."""
    return [int(line.split(b" ")[1]) for line in data.split(b"\r\n") if line.startswith(b"SIP/2.0 ")]


def first_line(reaction: Reaction | Stream) -> list[int]:
    return [] if reaction.status is None else [reaction.status]


def passed_on(site: Signalling, method: str) -> Request | None:
    """What the provider was sent: nothing, or one request with that method and nothing of the phone's network in it."""
    sent = site.provider
    assert [message.method for message in sent if isinstance(message, Request)] == ([method] if method else [])
    if not sent:
        return None
    (request,) = sent
    assert isinstance(request, Request)
    assert request.headers.count("Via") == 1
    assert b"192.0.2.11" not in request.to_bytes().partition(b"\r\n\r\n")[0]
    return request


def test_every_message_has_its_reaction() -> None:
    assert set(RFC4475) == set(MESSAGES)
    assert set(RFC5118) == set(IPV6)


@pytest.mark.parametrize("name", ALL)
def test_over_udp(name: str) -> None:
    data, reaction = ALL[name]
    site = Signalling()
    site.prove()
    assert statuses(b"".join(site.datagram(data))) == first_line(reaction)
    onward = passed_on(site, reaction.onward)
    if onward is not None:
        site.network.datagrams[UDP].sent.clear()
        site.answer(onward, 486)
        assert [answer[8:11] for answer, target in site.network.datagrams[UDP].sent if target == PHONE] == [b"486"]
    site.run_out()
    assert site.is_empty()


def check_stream(site: Signalling, reaction: Reaction, received: bytes, is_closed: bool) -> None:
    expected: Reaction | Stream = reaction if reaction.stream is None else reaction.stream
    assert statuses(received) == first_line(expected)
    assert is_closed == (reaction.stream is not None and reaction.stream.is_closed)
    passed_on(site, expected.onward)


@pytest.mark.parametrize("name", ALL)
def test_over_tcp(name: str) -> None:
    data, reaction = ALL[name]
    site = Signalling()
    peer = site.network.connect(TCP, PHONE[0])
    peer.send(data)
    site.network.settle()
    check_stream(site, reaction, peer.received, peer.is_closed)
    site.network.pass_time(200, step=10)
    assert site.is_empty()


@pytest.mark.parametrize("name", ALL)
def test_over_tls(name: str, authority: Authority) -> None:
    data, reaction = ALL[name]
    site = Signalling(authority.issue("gateway", GATEWAY_NAME))
    peer = TlsPeer(site.network, site, authority.file).shake_hands()  # type: ignore[arg-type]  # it asks for `place` only
    peer.say(data, piece=100)
    check_stream(site, reaction, peer.received, peer.raw.is_closed)


def test_clerr_is_not_waited_for_for_ever() -> None:
    site = Signalling()
    peer = site.network.connect(TCP, PHONE[0])
    peer.send(MESSAGES["clerr"].data)
    site.network.pass_time(29)
    assert not peer.is_closed
    site.network.pass_time(2)
    assert peer.is_closed


def test_every_answer_can_be_read_except_what_repeats_what_may_not_be_repeated() -> None:
    for name, (data, _) in ALL.items():
        for answer in Signalling().datagram(data):
            if name not in ("multi01", "badinv01", "badvers"):
                parse(answer)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("insuf", "multi01")])
def test_every_answer_but_100_has_a_tag_in_its_to(name: str) -> None:
    """RFC 3261 section 8.2.6.2; and the same tag when the same request comes again."""
    data, _ = ALL[name]
    tags = []
    for _again in range(2):
        for answer in Signalling().datagram(data):
            if not answer.startswith(b"SIP/2.0 100 "):
                (to,) = [line for line in answer.split(b"\r\n") if line.lower().startswith((b"to:", b"t:"))]
                assert re.search(rb";\s*tag\s*=", to)
                tags.append(to)
    assert len(set(tags)) <= 1


def test_bext01_what_was_required_is_named() -> None:
    (answer,) = Signalling().datagram(MESSAGES["bext01"].data)
    named = parse(answer).headers.values("Unsupported")
    assert named == ["nothingSupportsThis", "nothingSupportsThisEither"]


def test_invut_what_would_be_accepted_is_named() -> None:
    (answer,) = Signalling().datagram(MESSAGES["invut"].data)
    assert "application/sdp" in parse(answer).headers.values("Accept")


def test_badbranch_two_requests_with_the_bare_cookie_are_two_transactions() -> None:
    site = Signalling()
    data = MESSAGES["badbranch"].data
    site.datagram(data)
    site.datagram(data.replace(b"badbranch.sadon", b"another-call.sadon"))
    assert len(site.provider) == 2
    site.datagram(data)
    assert site.provider == []


def test_escruri_nobody_follows_the_escaped_route() -> None:
    site = Signalling()
    site.datagram(MESSAGES["escruri"].data)
    site.datagram(MESSAGES["regescrt"].data)
    (register,) = site.provider
    assert "Route" not in register.headers


def invited(site: Signalling) -> Request:
    """The INVITE that the provider is sent for a phone's."""
    invite = MESSAGES["esc01"].data
    site.datagram(invite)
    (onward,) = site.provider
    assert isinstance(onward, Request)
    return onward


def as_answer_to(name: str, request: Request) -> bytes:
    """A response of RFC 4475 with the names of a transaction of ours."""
    text = MESSAGES[name].data
    head, _, body = text.partition(b"\r\n\r\n")
    ours = request.response(200)
    names = {field: ours.headers.get(field) for field in ("Via", "From", "To", "Call-ID")}
    lines = []
    for line in head.split(b"\r\n"):
        field = line.split(b":")[0].decode("latin-1")
        value = names.get(field)
        lines.append(line if value is None else f"{field}: {value}".encode() + (b";tag=2229" if field == "To" else b""))
    number = str(request.cseq.number).encode()
    return b"\r\n".join(lines).replace(b"CSeq: 35 ", b"CSeq: " + number + b" ") + b"\r\n\r\n" + body


def test_unreason_as_the_answer_to_a_call() -> None:
    site = Signalling()
    onward = invited(site)
    site.network.datagrams[TRUNK].arrive(as_answer_to("unreason", onward), PROVIDER)
    (data, _) = site.network.datagrams[UDP].sent[-1]
    answer = parse(data)
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert answer.body == AVP


@pytest.mark.parametrize("name", ["noreason", "bigcode", "scalarlg"])
def test_responses_that_change_nothing(name: str) -> None:
    site = Signalling()
    onward = invited(site)
    site.network.datagrams[UDP].sent.clear()
    site.network.datagrams[TRUNK].arrive(as_answer_to(name, onward), PROVIDER)
    assert site.network.datagrams[UDP].sent == []
    site.answer(onward, 486)
    assert site.network.datagrams[UDP].sent[0][0].startswith(b"SIP/2.0 486 ")


def test_bcast_nothing_is_sent_to_the_broadcast_address_in_its_via() -> None:
    site = Signalling()
    for place, source in ((UDP, PHONE), (TRUNK, PROVIDER)):
        assert site.datagram(MESSAGES["bcast"].data, source, place) == []
    assert site.provider == []


@pytest.mark.parametrize("name", ALL)
def test_a_stranger_on_the_providers_side_reaches_nobody(name: str) -> None:
    data, _ = ALL[name]
    site = Signalling()
    assert site.datagram(data, ("203.0.113.66", 5060), TRUNK) == []
    assert site.network.datagrams[UDP].sent == []
    assert site.is_empty()


def test_what_is_malformed_is_answered_to_the_provider() -> None:
    (answer,) = Signalling().datagram(MESSAGES["quotbal"].data, PROVIDER, TRUNK)
    assert statuses(answer) == [400]


def test_the_document_is_current() -> None:
    assert document() == DOCUMENT.read_text(), "run: python -m tests.torture.document"


def test_reactions_are_told_apart() -> None:
    """A reaction that says nothing to the phone and nothing to the provider must say that it drops."""
    for name, (_, reaction) in ALL.items():
        says = attrs.asdict(reaction)
        assert reaction.status is not None or reaction.onward or "dropped" in says["does"], name
