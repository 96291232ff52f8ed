"""The rules of a dialog's flow: replaced when it leads nowhere, and never by one that protects less."""

from __future__ import annotations

import pytest

from gateway.b2bua.legs.flows import after_request, kept_open, may_come_over, protects_as
from gateway.config.model import Side
from gateway.transport.flow import Address
from tests.support.flows import RecordingFlow, a_flow, listener_of


def closed(flow: RecordingFlow) -> RecordingFlow:
    flow.fail()
    return flow


def elsewhere(transport: str, side: Side = Side.PHONES) -> RecordingFlow:
    return RecordingFlow(listener_of(transport, side), Address("127.0.0.12", 5060))


def test_an_open_flow_stays() -> None:
    own = a_flow("tls")
    assert kept_open(own, lambda: a_flow("tls", connection=2)) is own


def test_a_lost_flow_is_opened_again() -> None:
    other = a_flow("tls", connection=2)
    assert kept_open(closed(a_flow("tls")), lambda: other) is other


@pytest.mark.parametrize("other", [None, a_flow("udp")])
def test_a_lost_flow_stays_where_there_is_none_that_protects_as_much(other: RecordingFlow | None) -> None:
    own = closed(a_flow("tls"))
    assert kept_open(own, lambda: other) is own


def test_a_request_over_another_connection_takes_the_place_of_a_lost_one_alone() -> None:
    own, other = a_flow("tls"), a_flow("tls", connection=2)
    assert after_request(own, other) is own
    assert after_request(closed(own), other) is other
    assert after_request(own, a_flow("tcp")) is own


def test_a_phone_behind_a_nat_may_change_its_port() -> None:
    own, other = a_flow("udp", port=5060), a_flow("udp", port=5070)
    assert after_request(own, other) is other
    assert after_request(own, elsewhere("udp")) is own


def test_a_provider_is_not_followed_to_another_port() -> None:
    own = a_flow("udp", Side.PROVIDER, 5060)
    assert after_request(own, a_flow("udp", Side.PROVIDER, 5070)) is own


def test_a_dialog_in_clear_stays_with_its_host_on_the_side_of_the_phones() -> None:
    assert may_come_over(a_flow("udp"), a_flow("udp", port=5070))
    assert not may_come_over(a_flow("udp"), elsewhere("udp"))
    assert may_come_over(a_flow("tls"), elsewhere("tls"))
    assert may_come_over(a_flow("udp", Side.PROVIDER), elsewhere("udp", Side.PROVIDER))


def test_a_dialog_on_tls_stays_on_tls() -> None:
    assert protects_as(a_flow("tls"), a_flow("tls"))
    assert protects_as(a_flow("udp"), a_flow("tls"))
    assert not protects_as(a_flow("tls"), a_flow("tcp"))
