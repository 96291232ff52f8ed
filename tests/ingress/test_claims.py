"""The last room, as the core gives it: a flood of one phone keeps no neighbour behind the same address out."""

from __future__ import annotations

import pytest

from gateway.transaction.room import Ceiling
from gateway.transport.flow import Address
from tests.support.flows import RecordingFlow
from tests.support.ladder import PHONES, Ladder, Party

KIB = 1024


def flooded(ladder: Ladder) -> Party:
    """A neighbour of the phone that has filled the share of their address, so that it gets 503."""
    ladder.transactions.room.ceiling = Ceiling(held_per_source=512 * KIB)
    neighbour = Party(ladder, RecordingFlow(PHONES, Address("192.0.2.11", 6000)), "192.0.2.11:6000")
    for size in (8 * KIB, 0):
        for number in range(200):
            flood = neighbour.request("MESSAGE", "sip:bob@example.com", call_id=f"{size}-{number}")
            flood.headers.add_all((("Content-Type", "text/plain"),) if size else ())
            flood.body = b"x" * size
            neighbour.sends(flood)
    neighbour.flow.sent.clear()
    ladder.provider_flow.sent.clear()
    return neighbour


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE"])
def test_rfc3261_8_2_7_registered_phone_asks_on_while_its_neighbour_floods(method: str) -> None:
    ladder = Ladder()
    flooded(ladder)
    ladder.phone.sends(ladder.phone.request(method, "sip:bob@example.com"))
    ladder.provider.receives(method)


def test_rfc3261_8_2_7_its_name_alone_gives_the_neighbour_nothing() -> None:
    ladder = Ladder()
    neighbour = flooded(ladder)
    neighbour.sends(neighbour.request("MESSAGE", "sip:bob@example.com", call_id="as-alice-herself"))
    neighbour.receives(503)
    ladder.provider.receives_nothing()


def test_rfc3261_8_2_7_emergency_call_of_the_neighbour_goes_on() -> None:
    ladder = Ladder()
    neighbour = flooded(ladder)
    neighbour.sends(neighbour.invite("sip:112@example.com", call_id="help"))
    ladder.provider.receives("INVITE")
