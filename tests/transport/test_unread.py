"""New calls that waited too long are refused from their bytes, as they would be after reading; all else is read."""

from __future__ import annotations

import re
import time

import attrs
import pytest
from prometheus_client import CollectorRegistry

from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import read
from gateway.transport.arrival import Arrival, note_source
from gateway.transport.flow import Address, Flow, FlowKey
from gateway.transport.unread import FIRST_READ, ONE_READ_OF, RETRY_AFTER, TOO_LATE, UnreadRefusals
from tests.support.flows import RecordingFlow
from tests.support.memory_network import MemoryNetwork

PHONES = Listener("phones", Side.PHONES, "udp", "192.0.2.1", 5060)
PROVIDER = Listener("provider", Side.PROVIDER, "udp", "192.0.2.1", 5070)
INVITE = """INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK-7;rport
Max-Forwards: 70
From: "Alice" <sip:alice@example.com>;tag=a7
To: <sip:bob@example.com>
Call-ID: 7@198.51.100.7
CSeq: 1 INVITE
Contact: <sip:alice@198.51.100.7:5062>
Content-Length: 0

"""
ACK = """ACK sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK-7;rport
Max-Forwards: 70
From: "Alice" <sip:alice@example.com>;tag=a7
To: {to}
Call-ID: 7@198.51.100.7
CSeq: 1 ACK
Content-Length: 0

"""


class Scene:
    """Refusals that know the calls in `taken`, and a phone."""

    def __init__(self, numbers: tuple[str, ...] = ("112", "911")) -> None:
        self.taken: set[tuple[str, str, int | None]] = set()
        self.now = 0.0
        self.refusals = UnreadRefusals(lambda: self.now)
        self.phones = {"198.51.100.7": 1}
        self.refusals.know(self.phones, numbers, lambda *via: via in self.taken)
        self.flow = RecordingFlow(PHONES, Address("198.51.100.7", 40_000))

    def is_ack(self, text: str) -> bool:
        return self.refusals.is_ack(_wire(text), self.flow)

    def refuse(self, text: str) -> Response | None:
        """The answer; None where the message has to be read, and then nothing was sent."""
        before = len(self.flow.sent)
        is_refused = self.refusals.refuse(_wire(text), self.flow)
        sent = self.flow.sent[before:]
        if not is_refused:
            assert not sent
            return None
        (answer,) = sent
        assert isinstance(answer, Response)
        return answer


def _wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"198.51.100.7:5062;branch": "198.51.100.7;branch"},
        {"198.51.100.7:5062;branch": "10.0.0.7:5062;branch"},
        {"branch=z9hG4bK-7;rport": "rport;branch=z9hG4bK-7"},
        {"198.51.100.7:5062;branch=z9hG4bK-7;rport": "10.0.0.7:40000;branch=z9hG4bK-7"},
        {"198.51.100.7:5062;branch=z9hG4bK-7;rport": "198.51.100.7:40000;branch=z9hG4bK-7"},
        {"From:": "f:", "To:": "t :", "Call-ID:": "i:"},
        {"Max-Forwards: 70\n": "Max-Forwards: 70\nVia: SIP/2.0/TCP 10.1.1.1;branch=z9hG4bK-6\nRoute: <sip:a;lr>\n"},
        {"sip:bob@example.com SIP": "sips:+49-30.123*45@example.com:5060;transport=udp;user=phone SIP"},
    ],
)
def test_rfc3261_8_2_6_2_the_answer_is_that_of_a_request_that_was_read(changed: dict[str, str]) -> None:
    text = INVITE
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new, 1)
    scene = Scene()
    answer = scene.refuse(text)
    assert answer is not None

    request = read(_wire(text))
    assert isinstance(request, Request)
    note_source(request, scene.flow)
    same = request.response(503)
    assert (answer.status, answer.reason) == (503, "Service Unavailable")
    for name in ("Via", "From", "Call-ID", "CSeq"):
        assert answer.headers.get_all(name) == same.headers.get_all(name)
    assert answer.to.uri == same.to.uri
    assert answer.to.tag
    assert RETRY_AFTER[0] <= int(answer.headers.get("Retry-After") or 0) <= RETRY_AFTER[1]
    assert scene.refusals.count == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=b"),
        ("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;\n tag=b"),
        ("To: <sip:bob@example.com>", "To: <sip:bob@example.com>\nt: <sip:eve@example.com>"),
        ("From: ", "X: "),
        ("INVITE sip:bob@", "OPTIONS sip:bob@"),
        ("INVITE sip:bob@", "INVITE tel:bob@"),
        ("INVITE sip:bob@", "INVITE sip:b%6Fb@"),
        ("INVITE sip:bob@", "INVITE sip:"),
        ("SIP/2.0/UDP 198", "SIP/2.0/TCP 198"),
        ("198.51.100.7:5062;branch", "phone.example.com:5062;branch"),
        ("branch=z9hG4bK-7;rport", "branch=7;rport"),
        ("branch=z9hG4bK-7;rport", "branch=z9hG4bK-7"),
        ("branch=z9hG4bK-7;rport", "branch=z9hG4bK-7;rport;received=192.0.2.9"),
        ("branch=z9hG4bK-7;rport", "branch=z9hG4bK-7;rport=9"),
        ("198.51.100.7:5062;branch", "198.51.100.7:99999;branch"),
        ("branch=z9hG4bK-7;rport", "branch=z9hG4bK\xe9;rport"),
        ("branch=z9hG4bK-7;rport", "Branch=z9hG4bK-9;branch=z9hG4bK-7;rport"),
        ("branch=z9hG4bK-7;rport", "branch=1;branch=z9hG4bK-7;rport"),
        ("branch=z9hG4bK-7;rport", 'x=";branch=z9hG4bK-q;";branch=z9hG4bK-7;rport'),
        ("branch=z9hG4bK-7;rport", "branch=z9hG4bK-7;RPORT"),
        ("To: <sip:bob@example.com>", 'To: <sip:bob@example.com>;tag=b;x=">"'),
        ("To: <sip:bob@example.com>", 'To: <sip:bob@example.com>;tag="a>b"'),
        ("To: <sip:bob@example.com>", "To: garbage"),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1 INVITE", "CSeq: junk"),
        ("Call-ID: 7@", "Call-ID: \x007@"),
        ("Max-Forwards: 70", "Max-Forwards: 70\nno header"),
        ("Max-Forwards: 70", "Max-Forwards: 70\rX: y"),
        ("Max-Forwards: 70", "Max-Forwards:\n 70"),
        ("Max-Forwards: 70", "X: " + "x" * 4_096),
    ],
)
def test_a_request_in_another_form_is_read(old: str, new: str) -> None:
    assert old in INVITE
    assert Scene().refuse(INVITE.replace(old, new, 1)) is None


@pytest.mark.parametrize(
    "user", ["112", "1-1-2", "1.1.2", "+49112", "0049112", "9911", "112*", "112;phone-context=+49", "(112)", "%31%312"]
)
def test_a_number_that_may_be_for_help_is_read(user: str) -> None:
    assert Scene().refuse(INVITE.replace("sip:bob@example.com SIP", f"sip:{user}@example.com SIP")) is None


def test_a_number_for_help_in_its_national_and_international_forms_is_read() -> None:
    scene = Scene(("+49 30 19222",))
    for user in ("03019222", "19222", "+493019222", "004930-19222"):
        assert scene.refuse(INVITE.replace("sip:bob@example.com SIP", f"sip:{user}@example.com SIP")) is None
    assert scene.refuse(INVITE.replace("sip:bob@example.com SIP", "sip:03019333@example.com SIP")) is not None


@pytest.mark.parametrize("numbers", [("",), ("sos",), ("112", "")])
def test_where_any_number_may_be_for_help_each_is_read(numbers: tuple[str, ...]) -> None:
    assert Scene(numbers).refuse(INVITE) is None


def test_before_anything_is_known_each_is_read() -> None:
    assert not UnreadRefusals(time.monotonic).refuse(
        _wire(INVITE), RecordingFlow(PHONES, Address("198.51.100.7", 40_000))
    )


def test_rfc3261_17_2_3_a_copy_of_a_call_that_was_taken_is_read() -> None:
    scene = Scene()
    scene.taken.add(("z9hG4bK-7", "198.51.100.7", 5062))
    assert scene.refuse(INVITE) is None
    assert scene.refuse(INVITE.replace("z9hG4bK-7", "z9hG4bK-8")) is not None


def test_a_call_of_a_providers_side_is_read() -> None:
    scene = Scene()
    scene.flow = RecordingFlow(PROVIDER, Address("198.51.100.7", 40_000))
    assert scene.refuse(INVITE) is None


def test_the_defence_sees_calls_of_a_source_without_registered_phones() -> None:
    scene = Scene()
    scene.phones.clear()

    def read_of(calls: int) -> int:
        return sum(scene.refuse(INVITE.replace("z9hG4bK-7", f"z9hG4bK-{n}")) is None for n in range(calls))

    for _ in range(2 * FIRST_READ):
        assert scene.refuse(ACK.format(to="<sip:bob@example.com>")) is None, "this is no call, and none is counted"
    assert read_of(FIRST_READ) == FIRST_READ
    assert read_of(10 * ONE_READ_OF) == 10
    scene.now += 60
    assert read_of(FIRST_READ) == FIRST_READ


def test_the_sources_that_are_counted_are_bounded() -> None:
    scene = Scene()
    scene.phones.clear()
    for n in range(1_000):
        scene.flow = RecordingFlow(PHONES, Address(f"198.51.{n // 250}.{n % 250}", 40_000))
        assert scene.refuse(INVITE) is None
    scene.flow = RecordingFlow(PHONES, Address("203.0.113.9", 40_000))
    assert all(scene.refuse(INVITE) is None for _ in range(100))


def test_a_datagram_of_any_size_is_soon_left_to_the_reader() -> None:
    scene = Scene()
    long = INVITE.replace("198.51.100.7:5062;branch", "1" * 60_000 + ";branch")
    began = time.perf_counter()
    for _ in range(100):
        assert scene.refuse(long) is None
    assert time.perf_counter() - began < 0.3, "some 4 ms each, else"


def test_copies_have_the_same_tag_and_other_calls_another() -> None:
    scene = Scene()
    first, copy = scene.refuse(INVITE), scene.refuse(INVITE)
    other = scene.refuse(INVITE.replace("Call-ID: 7@", "Call-ID: 8@"))
    assert first is not None
    assert copy is not None
    assert other is not None
    assert first.to.tag == copy.to.tag != other.to.tag


def test_the_ack_of_a_refusal_needs_no_reading_and_any_other_does() -> None:
    scene = Scene()
    answer = scene.refuse(INVITE)
    assert answer is not None
    to = answer.headers.get("To") or ""
    tag = answer.to.tag or ""
    assert scene.is_ack(ACK.format(to=to))
    assert not scene.is_ack(ACK.format(to="<sip:bob@example.com>;tag=late0123456789abcdef"))
    assert not scene.is_ack(ACK.format(to=f"<sip:{tag}@example.com>;tag=of-a-call-that-is-up"))
    assert not scene.is_ack(ACK.format(to=f"<sip:bob@example.com>;tag={tag}0"))
    assert not scene.is_ack(INVITE.replace("To: <sip:bob@example.com>", f"To: {to}"))
    assert not UnreadRefusals(time.monotonic).is_ack(_wire(ACK.format(to=to)), scene.flow)
    scene.flow = RecordingFlow(PROVIDER, Address("198.51.100.7", 40_000))
    assert not scene.is_ack(ACK.format(to=to))


def test_nothing_of_a_request_but_what_is_repeated_comes_back() -> None:
    scene = Scene()
    answer = scene.refuse(INVITE.replace("Max-Forwards: 70", 'Proxy-Authorization: Digest response="5ec2e7"'))
    assert answer is not None
    assert re.search(rb"5ec2e7|Contact|Max-Forwards", scene.flow.bytes[-1]) is None


@attrs.define
class _Answering:
    """A user of the transport that answers, or not."""

    answers: bool
    read: list[Message] = attrs.field(factory=list, init=False)

    def receive(self, message: Message, flow: Flow) -> None:
        self.read.append(message)

    def may_answer(self, flow: Flow) -> bool:
        return self.answers

    def connection_ended(self, key: FlowKey) -> None:
        raise AssertionError("no connection is opened")


@pytest.mark.parametrize("answers", [False, True])
def test_a_source_that_may_not_be_answered_is_left_to_the_reader(answers: bool) -> None:
    network, user, flow = MemoryNetwork(), _Answering(answers), RecordingFlow(PHONES, Address("198.51.100.7", 40_000))
    arrival = Arrival(Metrics(CollectorRegistry()), (PHONES,), network, lambda: 1.0, lambda is_on: None)
    arrival.start(user)
    arrival.unread.know({"198.51.100.7": 1}, ("112",), lambda branch, host, port: False)
    arrival.crowd.look()
    arrival.crowd.add(_wire(INVITE), flow)
    network.rightNow += TOO_LATE + 1  # not advance(): its turn comes after the wait
    network.advance(0)
    assert len(user.read) == (not answers)
    assert len(flow.sent) == answers
