"""The client's states and timers, by RFC 2131 section 4.4, and against servers that mean no good."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from gateway.base.network.dhcp.client_acts import ClientState, LeaveAddress, ProbeAddress, SendMessage
from gateway.base.network.dhcp.dhcp_messages import DhcpOption, ReplyKind, RequestKind
from gateway.base.network.dhcp.renewals import MOST_SERVERS, RenewalCause, RenewalResult
from tests.support.network.dhcp_server import FIRST, MAC, OTHER, OTHER_MAC, SECOND, SERVER, SERVER_MAC, Wire, reply

HOUR = 3600.0


def test_rfc2131_section_3_1_discover_offer_request_ack() -> None:
    wire = Wire()
    wire.start()
    wire.answer(ReplyKind.OFFER)
    wire.answer(ReplyKind.ACK)
    assert [one.kind for one in wire.sent] == [RequestKind.DISCOVER, RequestKind.REQUEST]
    asked = wire.sent[-1]
    assert asked.xid == wire.sent[0].xid
    assert asked.options[DhcpOption.REQUESTED_ADDRESS] == bytes((10, 78, 0, 2))
    assert asked.options[DhcpOption.SERVER] == bytes((10, 78, 0, 1))
    assert asked.own_address == ""
    assert wire.used == []  # the wire is asked for another owner first
    wire.advance(0.31)
    assert [act for _, act in wire.done if isinstance(act, ProbeAddress)] == [ProbeAddress(FIRST)] * 3
    assert wire.used == [FIRST]
    assert wire.state() is ClientState.BOUND


def test_rfc2131_section_4_1_copies_come_ever_more_slowly() -> None:
    wire = Wire()
    wire.start()
    wire.advance(600)
    times = [at for at, _ in wire.messages]
    gaps = [after - before for before, after in pairwise(times)]
    for gap, base in zip(gaps, (4, 8, 16, 32, 64, 64, 64), strict=False):
        assert abs(gap - base) <= 1
    assert len(times) <= 14
    assert {one.xid for one in wire.sent} == {wire.sent[0].xid}


def test_rfc2131_section_4_4_5_renewed_with_its_server_at_t1() -> None:
    wire = Wire()
    wire.bind()
    wire.advance(HOUR / 2 + 1)
    _, act = wire.messages[-1]
    assert act.lease is wire.machine.lease
    assert act.message.own_address == FIRST
    assert DhcpOption.SERVER not in act.message.options
    assert DhcpOption.REQUESTED_ADDRESS not in act.message.options
    wire.answer(ReplyKind.ACK)
    assert wire.used == [FIRST, FIRST]
    assert wire.state() is ClientState.BOUND
    assert wire.machine.renewals.counts[RenewalCause.LEASE, RenewalResult.SAME] == 1


def test_rfc2131_section_4_4_5_a_silent_server_is_asked_rarely_then_any_then_the_address_is_left() -> None:
    wire = Wire()
    wire.bind()
    before = len(wire.sent)
    wire.advance(HOUR - 1)
    renewing = [act for _, act in wire.messages[before:] if act.lease is not None]
    rebinding = [act for _, act in wire.messages[before:] if act.lease is None]
    times = [at for at, _ in wire.messages[before:]]
    assert 1 <= len(renewing) <= 8
    assert 1 <= len(rebinding) <= 5
    assert wire.state() is ClientState.REBINDING
    assert all(after - before >= 60 for before, after in pairwise(times) if after < HOUR * 0.875)
    wire.advance(2)
    assert (wire.done[-2][1], wire.sent[-1].kind) == (LeaveAddress(FIRST), RequestKind.DISCOVER)
    assert wire.machine.lease is None
    assert wire.machine.renewals.counts[RenewalCause.LEASE, RenewalResult.ENDED] == 1


def test_rfc2131_section_4_4_5_any_server_may_answer_while_rebinding() -> None:
    wire = Wire()
    wire.bind()
    wire.advance(HOUR * 0.9)
    wire.answer(ReplyKind.ACK, server=OTHER, mac=OTHER_MAC)
    assert wire.machine.lease is not None
    assert wire.machine.lease.server == OTHER


def test_rfc2131_section_3_2_an_address_from_before_is_asked_for() -> None:
    wire = Wire()
    wire.start(FIRST)
    assert wire.sent[0].kind is RequestKind.REQUEST
    assert DhcpOption.SERVER not in wire.sent[0].options
    wire.answer(ReplyKind.ACK)
    assert wire.used == [FIRST]


def test_rfc2131_section_3_2_an_address_from_before_that_is_refused_is_left() -> None:
    wire = Wire()
    wire.start(FIRST)
    wire.answer(ReplyKind.NAK)
    wire.advance(0)
    assert LeaveAddress(FIRST) in [act for _, act in wire.done]
    assert wire.latest() is RequestKind.DISCOVER
    assert DhcpOption.REQUESTED_ADDRESS not in wire.sent[-1].options


def test_silence_on_an_address_from_before_leads_to_offers() -> None:
    wire = Wire()
    wire.start(FIRST)
    wire.advance(16)
    assert [one.kind for one in wire.sent][:3] == [RequestKind.REQUEST, RequestKind.REQUEST, RequestKind.DISCOVER]
    assert wire.sent[-1].options[DhcpOption.REQUESTED_ADDRESS] == bytes((10, 78, 0, 2))


def test_rfc2131_section_3_1_a_nak_leads_to_another_address_at_once() -> None:
    wire = Wire()
    wire.bind()
    wire.advance(HOUR / 2 + 1)
    wire.answer(ReplyKind.NAK)
    changed = wire.now
    wire.advance(0)
    assert LeaveAddress(FIRST) in [act for _, act in wire.done]
    wire.answer(ReplyKind.OFFER, SECOND)
    wire.answer(ReplyKind.ACK, SECOND)
    wire.advance(0.5)
    assert wire.used == [FIRST, SECOND]
    assert wire.done[-1][0] - changed < 0.4


def test_a_lease_that_is_renewed_to_another_address_is_probed_before_it_is_used() -> None:
    wire = Wire()
    wire.bind()
    wire.advance(HOUR / 2 + 1)
    wire.answer(ReplyKind.ACK, SECOND)
    assert wire.used == [FIRST]
    assert wire.machine.lease is not None
    assert wire.machine.lease.address == FIRST  # calls go on there meanwhile
    wire.advance(0.4)
    assert wire.used == [FIRST, SECOND]
    assert wire.machine.renewals.counts[RenewalCause.LEASE, RenewalResult.OTHER] == 1


def test_rfc2131_section_3_1_an_address_of_another_host_is_declined() -> None:
    wire = Wire()
    wire.start()
    wire.answer(ReplyKind.OFFER)
    wire.answer(ReplyKind.ACK)
    wire.machine.conflict(SECOND, wire.now)  # somebody else's matter
    wire.machine.conflict(FIRST, wire.now)
    wire.advance(9)
    assert wire.used == []
    assert wire.latest() is RequestKind.DECLINE
    assert set(wire.sent[-1].options) == {DhcpOption.REQUESTED_ADDRESS, DhcpOption.SERVER}  # table 5
    wire.advance(2)
    assert wire.latest() is RequestKind.DISCOVER


def test_an_address_whose_renewal_leads_to_another_hosts_is_kept_to_its_end() -> None:
    wire = Wire()
    wire.bind()
    wire.advance(HOUR / 2 + 1)
    wire.answer(ReplyKind.ACK, SECOND)
    wire.machine.conflict(SECOND, wire.now)
    wire.advance(30)
    assert wire.used == [FIRST]
    assert wire.latest() is RequestKind.DECLINE
    assert wire.state() is ClientState.BOUND
    wire.advance(HOUR)
    assert wire.machine.lease is None


class TestAskedRenewals:
    def test_one_request_and_no_copy(self) -> None:
        wire = Wire()
        wire.bind()
        before = len(wire.sent)
        assert wire.machine.renew(wire.now) == 0
        assert [wire.machine.renew(wire.now) > 0 for _ in range(1000)] == [True] * 1000
        for _ in range(299):
            wire.advance(1)
            assert wire.machine.renew(wire.now) > 0
        assert len(wire.sent) == before + 1
        assert wire.messages[-1][1].lease is wire.machine.lease
        assert wire.machine.renewals.counts == {(RenewalCause.ASKED, RenewalResult.SILENT): 1}
        wire.advance(1)
        assert wire.machine.renew(wire.now) == 0

    def test_after_silence_the_next_one_asks_any_server(self) -> None:
        wire = Wire()
        wire.bind()
        wire.machine.renew(wire.now)
        wire.advance(300)
        wire.machine.renew(wire.now)
        wire.advance(0)
        assert wire.messages[-1][1].lease is None
        wire.answer(ReplyKind.NAK, server=OTHER, mac=OTHER_MAC)
        wire.advance(0)
        assert wire.latest() is RequestKind.DISCOVER
        assert wire.machine.renewals.counts[RenewalCause.ASKED, RenewalResult.REFUSED] == 1

    def test_the_same_address_is_a_longer_lease(self) -> None:
        wire = Wire()
        wire.bind()
        wire.advance(1000)
        wire.machine.renew(wire.now)
        wire.advance(0)
        wire.answer(ReplyKind.ACK)
        assert wire.machine.renewals.counts == {(RenewalCause.ASKED, RenewalResult.SAME): 1}
        assert wire.machine.lease is not None
        assert wire.machine.lease.ends == wire.now + HOUR
        wire.advance(HOUR / 2 - 1)
        assert wire.state() is ClientState.BOUND

    def test_t1_comes_all_the_same_while_one_is_waited_for(self) -> None:
        wire = Wire()
        wire.bind()
        wire.advance(HOUR / 2 - 5)
        wire.machine.renew(wire.now)
        wire.advance(6)
        assert wire.state() is ClientState.RENEWING
        wire.answer(ReplyKind.ACK)
        assert wire.state() is ClientState.BOUND

    def test_without_a_lease_there_is_nothing_to_renew(self) -> None:
        wire = Wire()
        wire.start()
        assert wire.machine.renew(wire.now) == float("inf")
        assert len(wire.sent) == 1


class TestHostileServers:
    @pytest.mark.parametrize(
        ("address", "more"),
        [
            ("127.0.0.1", {}),
            ("10.78.0.255", {}),
            ("192.0.2.7", {"SUBNET_MASK": b"\xff\xff\xff\0"}),
            (FIRST, {"seconds": 1}),
            (FIRST, {"SUBNET_MASK": b"\x80\0\0\0"}),
            (FIRST, {"SERVER": b""}),
            (FIRST, {"SERVER": b"\x0a\x4e\0\2"}),
        ],
    )
    def test_a_bad_offer_is_passed_over_for_a_good_one(self, address: str, more: dict[str, Any]) -> None:
        """Loopback, the provider's own address, a lease of a second: nothing is sent for them."""
        wire = Wire()
        wire.taken = {"192.0.2.7"}
        wire.start()
        wire.answer(ReplyKind.OFFER, address, **more)
        assert len(wire.sent) == 1
        assert wire.machine.refusals.latest
        wire.answer(ReplyKind.OFFER)
        assert wire.latest() is RequestKind.REQUEST

    @pytest.mark.parametrize(
        ("address", "more"), [("127.0.0.1", {}), (FIRST, {"seconds": 1}), (FIRST, {"SUBNET_MASK": b""})]
    )
    def test_a_bad_renewal_is_as_if_it_had_not_come(self, address: str, more: dict[str, Any]) -> None:
        wire = Wire()
        wire.bind()
        wire.advance(HOUR / 2 + 1)
        ends = wire.machine.lease.ends if wire.machine.lease else 0
        wire.answer(ReplyKind.ACK, address, **more)
        assert wire.state() is ClientState.RENEWING
        assert wire.machine.lease is not None
        assert wire.machine.lease.ends == ends
        assert wire.used == [FIRST]

    def test_an_ack_for_another_address_than_the_offer_is_refused(self) -> None:
        wire = Wire()
        wire.start()
        wire.answer(ReplyKind.OFFER)
        wire.answer(ReplyKind.ACK, SECOND)
        wire.advance(1)
        assert wire.used == []

    def test_an_ack_or_nak_of_another_server_is_nothing(self) -> None:
        wire = Wire()
        wire.start()
        wire.answer(ReplyKind.OFFER)
        for kind in (ReplyKind.ACK, ReplyKind.NAK):
            wire.answer(kind, server=OTHER, mac=OTHER_MAC)
        assert wire.state() is ClientState.REQUESTING
        [other] = wire.machine.others.known
        assert (other.address, other.mac) == (OTHER, OTHER_MAC)
        assert wire.machine.others.count == 2

    @pytest.mark.parametrize("kind", list(ReplyKind))
    def test_without_the_question_there_is_no_answer(self, kind: ReplyKind) -> None:
        """Nobody off the wire knows the number of a question."""
        wire = Wire()
        wire.bind()
        before = len(wire.done)
        for xid in (0, 1, 0xFFFFFFFF):
            wire.machine.receive(reply(kind, xid, SECOND), SERVER_MAC, wire.now)
        wire.machine.receive(reply(kind, wire.sent[-1].xid, SECOND, mac=OTHER_MAC), SERVER_MAC, wire.now)
        wire.machine.receive(reply(kind, wire.sent[-1].xid, SECOND), SERVER_MAC, wire.now)
        wire.advance(60)
        assert len(wire.done) == before
        assert wire.machine.lease is not None

    def test_naks_without_end_are_answered_ever_more_slowly(self) -> None:
        wire = Wire()
        wire.start()
        began = wire.now
        while wire.now < began + 3600:
            if wire.state() is ClientState.SELECTING:
                wire.answer(ReplyKind.OFFER)
                wire.answer(ReplyKind.NAK)
            wire.advance(1)
        assert len(wire.sent) < 140

    def test_a_flood_of_offers_is_one_request(self) -> None:
        wire = Wire()
        wire.start()
        xid = wire.sent[-1].xid
        for number in range(5000):
            server = f"10.78.{number // 250}.{number % 250 + 2}"
            wire.machine.receive(reply(ReplyKind.OFFER, xid, "10.78.0.251", server=server), OTHER_MAC, wire.now)
        wire.advance(0)
        assert [one.kind for one in wire.sent] == [RequestKind.DISCOVER, RequestKind.REQUEST]
        assert len(wire.machine.others.known) == MOST_SERVERS
        assert wire.machine.others.count == 4999

    def test_a_lease_that_names_the_providers_address_is_given_back(self) -> None:
        """The gateway tells its peers' addresses once it runs: then the lease is looked at again."""
        wire = Wire()
        wire.bind()
        wire.taken = {FIRST}
        wire.machine.look_again(wire.now)
        wire.advance(1)
        kinds = [type(act) for _, act in wire.done[-2:]]
        assert kinds == [SendMessage, LeaveAddress]
        assert wire.latest() is RequestKind.DECLINE
        wire.advance(10)
        wire.answer(ReplyKind.OFFER)
        assert wire.latest() is RequestKind.DISCOVER

    def test_the_machine_is_at_rest_for_a_lease_without_end(self) -> None:
        wire = Wire()
        wire.bind(seconds=0xFFFFFFFF)
        before = len(wire.sent)
        wire.advance(10_000_000)
        assert len(wire.sent) == before
        assert wire.machine.due == float("inf")


def test_a_plugged_in_cable_is_asked_over_at_once() -> None:
    wire = Wire()
    wire.start()
    wire.advance(100)
    before = len(wire.sent)
    wire.machine.link_up(wire.now)
    wire.advance(0)
    assert len(wire.sent) == before + 1


def test_the_clients_name_and_maker_are_told() -> None:
    wire = Wire()
    wire.start()
    options = wire.sent[0].options
    assert options[DhcpOption.HOST_NAME] == b"gw1"
    assert options[DhcpOption.VENDOR_CLASS] == b"gateway"
    assert wire.sent[0].mac == MAC
    assert SERVER not in str(options)
