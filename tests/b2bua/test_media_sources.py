"""Words of a call to its relay besides SDP: where each party's signalling comes from, and the moment of the answer."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred, succeed

from gateway.media.relay import JSON, SdpSource
from gateway.transport.flow import Address
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, PHONES, SAVP, Ladder, TestRelay
from tests.support.stories import ring, talk

PHONE, PROVIDER = "192.0.2.11", "198.51.100.21"


def test_each_description_is_told_with_the_address_that_it_came_from() -> None:
    ladder = Ladder()
    talk(ladder)
    assert ladder.relay.sources == [SdpSource(PHONE), SdpSource(PROVIDER)]


def test_a_late_offer_and_its_answer_are_told_likewise() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder, sdp=b"")
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.phone.acknowledges(invite, ladder.phone.receives_response(200), sdp=AVP)
    assert ladder.relay.sources == [SdpSource(PROVIDER), SdpSource(PHONE)]


def test_offers_inside_the_call_are_told_with_their_senders_addresses() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    del ladder.relay.sources[:]
    ladder.provider.sends(ladder.provider.within_answered(onward, "INVITE", sdp=SAVP))
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    assert ladder.relay.sources == [SdpSource(PROVIDER), SdpSource(PHONE)]


def test_rfc3261_16_6_an_early_answer_is_no_answer_to_the_relay_until_the_2xx() -> None:
    """The far end may send nothing for minutes while it rings."""
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP)
    ladder.phone.receives(183)
    assert ladder.relay.sources[-1] == SdpSource(PROVIDER, is_early=True)
    assert not ladder.relay.confirmed
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.phone.receives(200)
    record = next(ladder.calls.records())
    assert ladder.relay.confirmed == [record.id]


def test_early_media_that_come_to_nothing_are_not_confirmed() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP)
    ladder.phone.receives(183)
    ladder.provider.answers(onward, 486)
    ladder.phone.receives(486)
    assert not ladder.relay.confirmed


def test_a_call_without_early_media_costs_the_relay_no_further_question() -> None:
    ladder = Ladder()
    talk(ladder)
    assert not ladder.relay.confirmed
    assert not any(source.is_early for source in ladder.relay.sources)


class Reporting(TestRelay):
    """Its last word on a call is that a phone's RTP came from a host that nothing named."""

    __test__ = False

    def delete(self, call: str, *, at_once: bool = False) -> Deferred[dict[str, JSON]]:
        super().delete(call, at_once=at_once)
        stream: JSON = {"elsewhere": True}
        return succeed({"tags": {"t": {"side": "phones", "medias": [{"type": "audio", "streams": [stream]}]}}})


@pytest.mark.parametrize("is_told", [True, False])
def test_audio_from_anywhere_stands_in_the_chain(is_told: bool) -> None:
    ladder = Ladder(relay=Reporting() if is_told else None)
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    record = next(ladder.calls.records())
    found = [link for link in record.chain if "rtp_from_anywhere" in link.what]
    assert [str(link.leg) for link in found] == (["caller"] if is_told else [])


def test_a_phone_that_reconnected_is_told_with_its_new_address() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    del ladder.relay.sources[:]
    (call,) = ladder.calls.active
    flow = RecordingFlow(PHONES, Address("192.0.2.12", 5070))
    call.caller.way.flow = flow
    ladder.phone.flow = flow
    ladder.phone.sends(ladder.phone.within(answer, "INVITE", sdp=AVP))
    assert ladder.relay.sources == [SdpSource("192.0.2.12")]
