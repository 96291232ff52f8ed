"""Toll fraud at night, through the whole signalling, datagram by datagram."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import attrs
import pytest

from gateway.config.model import CallLimit, Domain, Security
from gateway.config.tables.limit_table import LimitAction, time_window
from gateway.registrar.binding import Binding
from gateway.sip.message import Request, Response
from gateway.sip.parser import parse
from gateway.transport.flow import Address, FlowKey, Transport
from tests.support.ladder import AVP
from tests.support.memory_network import Place
from tests.support.signalling import PHONE, PROVIDER, TRUNK, UDP, Signalling

NIGHT = datetime(2026, 11, 30, 3, 0, tzinfo=UTC).timestamp()
SATELLITE = "00881612345{:03}"
LIMIT = CallLimit("abroad", to=("international", "premium"), calls=5, then=LimitAction.REFUSE)
DOMAIN = Domain("example.com", "main", Security.OFF, region="DE")
STRANGER: Place = ("192.0.2.66", 5060)
PHONE_101 = Binding(
    aor="sip:101@example.com",
    contact="sip:101@192.0.2.11:5070",
    flow=FlowKey("phones", Transport.UDP, Address(*PHONE)),
    expires_at=1e12,
    call_id="r",
    cseq=1,
    q=1.0,
    instance=None,
    user_agent="",
    token="token-101",
    provider_expires_at=1e12,
)


class Office:
    """A gateway with limits, a phone, and a provider that answers as the test says."""

    def __init__(self, *limits: CallLimit, domain: Domain = DOMAIN) -> None:
        self.site = Signalling(begin=NIGHT, terms={"limit": limits, "domains": (domain,)})
        self.site.store.save(PHONE_101)
        self.count = 0

    def send(
        self,
        method: str,
        uri: str,
        to: str = "",
        tags: tuple[str, str] = ("", ""),
        call: str = "",
        fields: str = "",
        source: Place = PHONE,
        user: str = "101",
        cseq: int = 0,
    ) -> Response | None:
        """A request of a phone; the latest answer that it has at once."""
        self.count += 1
        to_tag = f";tag={tags[1]}" if tags[1] else ""
        body = AVP if method == "INVITE" else b""
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bK-{self.count}",
            f"From: <sip:{user}@example.com>;tag={tags[0] or f'f{self.count}'}",
            f"To: <{to or uri}>{to_tag}",
            f"Call-ID: {call or f'c{self.count}'}",
            f"CSeq: {cseq or self.count} {method}",
            f"Contact: <sip:{user}@{source[0]}:{source[1]}>",
            "Max-Forwards: 70",
            *([fields] if fields else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.site.datagram("\r\n".join([*lines, "", ""]).encode() + body, source)
        return self.answers(source)

    def answers(self, source: Place = PHONE) -> Response | None:
        """The latest response that went to a phone, and all are forgotten."""
        socket = self.site.network.datagrams[UDP]
        sent = [parse(data) for data, to in socket.sent if to == source]
        socket.sent.clear()
        responses = [one for one in sent if isinstance(one, Response)]
        return responses[-1] if responses else None

    def dial(self, number: str, source: Place = PHONE, user: str = "101", fields: str = "") -> Request | Response:
        """A call: the INVITE as the provider got it, or the phone's refusal."""
        answer = self.send("INVITE", f"sip:{number}@example.com", source=source, user=user, fields=fields)
        reached = [one for one in self.site.provider if isinstance(one, Request) and one.method == "INVITE"]
        if reached:
            return reached[-1]
        assert answer is not None
        return answer

    def provider_answers(self, invite: Request, status: int, fields: tuple[tuple[str, str], ...] = ()) -> None:
        response = invite.response(status, to_tag="provider")
        response.headers.add("Contact", "<sip:callee@198.51.100.21>") if status < 300 else None
        response.headers.add_all(fields)
        if 200 <= status < 300:
            response.headers.add("Content-Type", "application/sdp")
            response.body = AVP
        self.site.network.datagrams[TRUNK].arrive(response.to_bytes(), PROVIDER)

    def talk(self, number: str) -> Response:
        """A call that is up: its 200 as the phone got it."""
        invite = self.dial(number)
        assert isinstance(invite, Request)
        self.provider_answers(invite, 200)
        answer = self.answers()
        assert answer is not None
        assert answer.status == 200
        self.site.provider  # noqa: B018 - forgotten
        self.within(answer, "ACK")
        return answer

    def within(self, answer: Response, method: str, fields: str = "") -> Response | None:
        """A request of the phone in the call of this answer."""
        tags = (answer.from_.tag or "", answer.to.tag or "")
        contact = answer.contact
        assert contact is not None
        cseq = answer.cseq.number if method == "ACK" else 0
        return self.send(method, str(contact.uri), str(answer.to.uri), tags, answer.call_id, fields, cseq=cseq)

    def call_from_provider(self) -> Request:
        """A call of the provider to the phone: its INVITE as the phone got it."""
        lines = [
            "INVITE sip:101@example.com SIP/2.0",
            f"Via: SIP/2.0/UDP {PROVIDER[0]}:{PROVIDER[1]};branch=z9hG4bK-in{self.count}",
            "From: <sip:0301234567@example.com>;tag=in",
            "To: <sip:101@example.com>",
            f"Call-ID: in{self.count}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:provider@{PROVIDER[0]}:{PROVIDER[1]}>",
            "Max-Forwards: 70",
            "Content-Type: application/sdp",
            f"Content-Length: {len(AVP)}",
        ]
        self.count += 1
        self.site.network.datagrams[UDP].sent.clear()
        self.site.network.datagrams[TRUNK].arrive("\r\n".join([*lines, "", ""]).encode() + AVP, PROVIDER)
        invites = [parse(data) for data, _ in self.site.network.datagrams[UDP].sent]
        return next(one for one in invites if isinstance(one, Request) and one.method == "INVITE")

    def phone_redirects(self, invite: Request, *numbers: str) -> list[int]:
        """The phone answers 302; the statuses that the provider has of it."""
        response = invite.response(302, to_tag="phone")
        response.headers.add_all(("Contact", f"<sip:{number}@example.com>") for number in numbers)
        self.site.provider  # noqa: B018 - forgotten
        self.site.datagram(response.to_bytes(), PHONE)
        return [one.status for one in self.site.provider if isinstance(one, Response)]

    def events(self, name: str) -> list[dict[str, object]]:
        events = [event for _, event in self.site.metrics.events.after(0) if event.name == name]
        return [{"who": event.who, "at": event.at, "severity": str(event.severity), **event.fields} for event in events]

    @property
    def refused(self) -> float:
        return self.site.metrics.value("gateway_limit_refusals_total", {"limit": "abroad"}) or 0.0


def is_limit(answer: object) -> bool:
    """Whether an answer is the refusal of a limit."""
    assert isinstance(answer, Response)
    reason = 'SIP;cause=403;text="Call Limit (CALL_LIMIT_REACHED)"'
    return (answer.status, answer.reason, answer.headers.get("Reason")) == (403, "Call Limit", reason)


def test_of_eight_calls_at_night_the_sixth_is_refused_and_nothing_gets_round_it() -> None:
    office = Office(attrs.evolve(LIMIT, hours=(time_window("22:00-06:00"),), timezone="UTC"))
    first = office.talk("0301234567")
    outcomes = [office.dial(SATELLITE.format(number)) for number in range(8)]
    assert [isinstance(one, Request) for one in outcomes] == [True] * 5 + [False] * 3
    assert all(is_limit(one) for one in outcomes[5:])
    assert office.refused == 3

    # The alert is there at once, and once.
    (told,) = office.events("fraud.limit_reached")
    assert told["who"] == "sip:101@example.com"
    assert (told["measure"], told["count"], told["most"], told["action"]) == ("calls", 5, 5, "refuse")
    assert told["number"] == "+881612345005"

    # An emergency call, a call in the town, and the call that is up go on.
    assert isinstance(office.dial("112"), Request)
    assert isinstance(office.dial("030/1234568"), Request)

    # A transfer of the call that is up to such a number.
    refer = office.within(first, "REFER", f"Refer-To: <sip:{SATELLITE.format(9)}@example.com>")
    assert is_limit(refer)
    assert not [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]
    for written in ("tel:+881612345009", "sip:+881612345009@198.51.100.21?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db"):
        answer = office.within(first, "REFER", f"Refer-To: <{written}>")
        assert answer is not None
        assert answer.status in (403, 481)
        assert not [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]

    # A call from outside that the phone redirects to such a number.
    assert office.phone_redirects(office.call_from_provider(), SATELLITE.format(9))[-1:] == [403]

    # A redirection of the provider leads the phone to a new call, which is refused as well.
    onward = office.dial("0301234569")
    assert isinstance(onward, Request)
    office.provider_answers(onward, 302, (("Contact", f"<sip:{SATELLITE.format(9)}@example.com>"),))
    moved = office.answers()
    assert moved is not None
    assert moved.status == 302
    assert is_limit(office.dial(SATELLITE.format(9)))


def test_of_a_redirection_to_several_numbers_all_count_or_none() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1))
    numbers = [SATELLITE.format(number) for number in (1, 2)]
    assert office.phone_redirects(office.call_from_provider(), *numbers)[-1:] == [403]
    assert office.phone_redirects(office.call_from_provider(), numbers[0])[-1:] == [302]
    assert is_limit(office.dial(numbers[1]))


def test_the_record_of_a_refused_call_says_why() -> None:
    office = Office(LIMIT)
    for number in range(6):
        office.dial(SATELLITE.format(number))
    (record,) = [one for one in office.site.calls.records() if one.status == 403]
    assert record.reason == "CALL_LIMIT_REACHED"
    assert record.cause == "limit abroad: sip:101@example.com has 5 of 5 calls at once"
    assert record.callee_number == "+881612345005"
    assert [step.what for step in record.ladder] == ["INVITE", "403 Call Limit"]


def test_an_ended_call_makes_room_and_a_challenged_one_is_none() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1, per_hour=2))
    challenged = office.dial(SATELLITE.format(1))
    assert isinstance(challenged, Request)
    office.provider_answers(challenged, 407, (("Proxy-Authenticate", 'Digest realm="x", nonce="n"'),))
    again = office.dial(SATELLITE.format(1))
    assert isinstance(again, Request)
    assert is_limit(office.dial(SATELLITE.format(2)))
    office.provider_answers(again, 486)
    assert isinstance(office.dial(SATELLITE.format(2)), Request)  # the second of this hour
    assert is_limit(office.dial(SATELLITE.format(3)))


def test_a_transfer_counts_as_a_call_of_an_hour() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1))
    first = office.talk("0301234567")
    office.within(first, "REFER", f"Refer-To: <sip:{SATELLITE.format(1)}@example.com>")
    (refer,) = [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]
    assert is_limit(office.dial(SATELLITE.format(2)))  # before the provider has said anything
    office.site.answer(refer, 202)
    assert is_limit(office.dial(SATELLITE.format(2)))
    office.site.run_out(3601)
    assert isinstance(office.dial(SATELLITE.format(2)), Request)


def test_a_transfer_that_the_provider_refuses_is_none() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1))
    first = office.talk("0301234567")
    office.within(first, "REFER", f"Refer-To: <sip:{SATELLITE.format(1)}@example.com>")
    (refer,) = [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]
    office.site.answer(refer, 603)
    assert isinstance(office.dial(SATELLITE.format(2)), Request)


def test_a_dear_call_that_is_transferred_to_a_cheap_number_goes_on_out_of_sight() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1))
    dear = office.talk(SATELLITE.format(1))
    office.within(dear, "REFER", "Refer-To: <sip:0301234567@example.com>")
    (refer,) = [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]
    office.site.answer(refer, 202)
    office.within(dear, "BYE")
    assert is_limit(office.dial(SATELLITE.format(2)))


def replaces(answer: Response) -> str:
    """A Replaces that names the dialog of a call, as its phone knows it."""
    return f"{answer.call_id};to-tag={answer.to.tag};from-tag={answer.from_.tag}"


@pytest.mark.parametrize("accepted", [True, False])
def test_a_dear_call_that_a_cheap_one_takes_the_place_of_goes_on_out_of_sight(accepted: bool) -> None:
    """RFC 3891: the number in Refer-To may be another than that of the dialog that is replaced."""
    office = Office(attrs.evolve(LIMIT, calls=1))
    first, dear = office.talk("0301234567"), office.talk(SATELLITE.format(1))
    office.within(first, "REFER", f"Refer-To: <sip:0301234568@example.com?Replaces={quote(replaces(dear))}>")
    (refer,) = [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]
    office.site.answer(refer, 202 if accepted else 603)
    office.within(dear, "BYE")
    assert isinstance(office.dial(SATELLITE.format(2)), Request) is not accepted


def test_a_dear_call_that_is_transferred_after_asking_counts_once() -> None:
    office = Office(attrs.evolve(LIMIT, calls=3))
    first, dear = office.talk("0301234567"), office.talk(SATELLITE.format(1))
    office.within(first, "REFER", f"Refer-To: <sip:{SATELLITE.format(1)}@example.com?Replaces={quote(replaces(dear))}>")
    (refer,) = [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]
    office.site.answer(refer, 202)
    office.within(dear, "BYE")
    assert [isinstance(office.dial(SATELLITE.format(number)), Request) for number in (2, 3, 4)] == [True, True, False]


def test_a_phone_that_hangs_up_before_its_transfer_is_answered_gains_nothing() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1))
    dear = office.talk(SATELLITE.format(1))
    office.within(dear, "REFER", "Refer-To: <sip:0301234567@example.com>")
    (refer,) = [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]
    office.within(dear, "BYE")
    office.site.answer(refer, 202)
    assert is_limit(office.dial(SATELLITE.format(2)))


def test_a_call_that_takes_the_place_of_a_dear_one_is_no_way_round() -> None:
    """RFC 3891: the number that is dialled may be another than that of the dialog that is replaced."""
    office = Office(attrs.evolve(LIMIT, calls=1))
    dear = office.talk(SATELLITE.format(1))
    assert isinstance(office.dial("0301234568", fields=f"Replaces: {replaces(dear)}"), Request)
    office.within(dear, "BYE")
    assert is_limit(office.dial(SATELLITE.format(2)))


def test_a_transfer_to_an_emergency_number_is_never_refused() -> None:
    office = Office(attrs.evolve(LIMIT, to=(), calls=1))
    first = office.talk("0301234567")
    assert is_limit(office.dial("0301234568"))
    office.within(first, "REFER", "Refer-To: <sip:112@example.com>")
    assert [one for one in office.site.provider if isinstance(one, Request) and one.method == "REFER"]


def test_nothing_is_asked_of_a_call_that_is_up() -> None:
    office = Office(attrs.evolve(LIMIT, to=(), calls=1, per_hour=1))
    first = office.talk(SATELLITE.format(1))
    assert is_limit(office.dial("0301234568"))
    office.within(first, "INFO")
    assert [one for one in office.site.provider if isinstance(one, Request) and one.method == "INFO"]


def test_a_hold_refuses_until_it_is_lifted() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1, then=LimitAction.HOLD))
    up = office.dial(SATELLITE.format(1))
    assert isinstance(up, Request)
    assert is_limit(office.dial(SATELLITE.format(2)))
    (held,) = office.events("fraud.limit_held")
    assert held["severity"] == "critical"
    office.provider_answers(up, 486)
    office.site.run_out(86_400)
    assert is_limit(office.dial(SATELLITE.format(2)))
    assert isinstance(office.dial("0301234567"), Request)  # none of the limit's destinations
    assert office.site.limits.limits.lift("sip:101@example.com") == 1
    assert isinstance(office.dial(SATELLITE.format(2)), Request)


def test_a_limit_that_reports_refuses_nothing() -> None:
    office = Office(attrs.evolve(LIMIT, then=LimitAction.REPORT))
    assert all(isinstance(office.dial(SATELLITE.format(number)), Request) for number in range(8))
    (told,) = office.events("fraud.limit_reached")
    assert told["action"] == "report"
    (warned,) = office.events("fraud.limit_warned")
    assert (warned["count"], warned["most"]) == (4, 5)


def test_a_caller_that_is_not_registered_counts_by_its_address_and_under_each_limit() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1, users=("2*",)))
    assert isinstance(office.dial(SATELLITE.format(1)), Request)
    assert isinstance(office.dial(SATELLITE.format(2)), Request)  # 101 is proved to be nobody that the limit is about
    assert isinstance(office.dial(SATELLITE.format(3), STRANGER, "101"), Request)
    assert is_limit(office.dial(SATELLITE.format(4), STRANGER, "102"))  # another name is no other caller
    assert isinstance(office.dial(SATELLITE.format(5), ("192.0.2.67", 5060), "101"), Request)


def test_capitals_in_its_name_make_no_other_user_of_a_phone() -> None:
    """Where a provider takes "ALICE" with the password of "alice", a thief would have as many limits as spellings."""
    office = Office(attrs.evolve(LIMIT, calls=2, users=("Alice",)))
    places = {name: ("192.0.2.12", 5070 + number) for number, name in enumerate(("alice", "Alice", "ALICE"))}
    for name, place in places.items():
        flow = FlowKey("phones", Transport.UDP, Address(*place))
        aor, contact = f"sip:{name}@example.com", f"sip:{name}@{place[0]}:{place[1]}"
        office.site.store.save(attrs.evolve(PHONE_101, aor=aor, contact=contact, flow=flow, token=f"token-{name}"))
    calls = [office.dial(SATELLITE.format(number), place, name) for number, (name, place) in enumerate(places.items())]
    assert [isinstance(one, Request) for one in calls] == [True, True, False]
    assert is_limit(calls[2])
    assert office.site.limits.limits.named("ALICE") == ["sip:alice@example.com"]


def test_a_name_in_from_uses_up_nobody_elses_calls() -> None:
    office = Office(attrs.evolve(LIMIT, calls=1))
    assert isinstance(office.dial(SATELLITE.format(1), STRANGER, "101"), Request)
    assert is_limit(office.dial(SATELLITE.format(2), STRANGER, "101"))
    assert isinstance(office.dial(SATELLITE.format(3)), Request)


@pytest.mark.parametrize(
    "number",
    [
        "881612345001",
        "*31#00881612345001",
        "00881-612-345-001",
        "%2B881612345001",
        "00+881612345001",
        "0088*1612345001",
        "112;phone-context=+8816",
        "112;rn=+881612345001",
        "0301234567;rn=+881612345001",
    ],
)
def test_another_way_to_write_the_number_is_no_way_round(number: str) -> None:
    office = Office(attrs.evolve(LIMIT, calls=0))
    assert is_limit(office.dial(number))


def test_a_routing_number_behind_the_host_counts_too() -> None:
    office = Office(attrs.evolve(LIMIT, calls=0))
    assert is_limit(office.send("INVITE", "sip:0301234567@example.com;rn=+881612345001"))
    assert office.send("INVITE", "sip:0301234567@example.com;user=phone;rn=0301234568") is None


@pytest.mark.parametrize("written", ["sip:112;phone-context=+8816@example.com", "tel:112;phone-context=+8816"])
def test_no_transfer_and_no_redirection_passes_for_an_emergency_call(written: str) -> None:
    office = Office(attrs.evolve(LIMIT, calls=0))
    first = office.talk("0301234567")
    assert is_limit(office.within(first, "REFER", f"Refer-To: <{written}>"))
    assert office.phone_redirects(office.call_from_provider(), "112;phone-context=+8816")[-1:] == [403]


def test_a_call_that_lasts_too_long_is_to_be_ended() -> None:
    office = Office(attrs.evolve(LIMIT, end_calls_after_minutes=10))
    office.talk(SATELLITE.format(1))
    office.talk("0301234567")
    office.site.run_out(599)
    assert office.site.limits.limits.overdue() == []
    office.site.run_out(2)
    (due,) = office.site.limits.limits.overdue()
    assert office.site.calls.hang_up(due, "too long")
    assert office.site.limits.limits.overdue() == []
    assert len(office.site.calls) == 1
