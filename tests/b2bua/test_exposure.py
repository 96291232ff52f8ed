"""The verdict of a call is the worst of what could be heard of it (RFC 3264 section 8: media change in mid-call)."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from gateway.config.model import Security
from gateway.media.relay import JSON, RelayFailure
from gateway.state.call_record import CallRecord
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, CLEAR, SAVP, Ladder, TestRelay
from tests.support.stories import ring, talk


def claim(ladder: Ladder) -> tuple[str, str]:
    record = next(ladder.calls.records())
    return record.verdict, record.reason


def chain(ladder: Ladder) -> list[str]:
    record: CallRecord = next(ladder.calls.records())
    return [link.what for link in record.chain]


def test_clear_phase_in_mid_call_counts_for_the_whole_call() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    assert claim(ladder) == ("ENCRYPTED_TO_PROVIDER", "")
    for at, sdp, cseq in ((12.4, AVP, 1), (2.6, SAVP, 2)):
        ladder.clock.advance(at)
        invite = ladder.provider.within_answered(onward, "INVITE", sdp=sdp, cseq=cseq)
        ladder.provider.sends(invite)
        ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
        ladder.provider.receives(100)
        ladder.provider.acknowledges(invite, ladder.provider.receives_response(200))
        ladder.phone.receives("ACK")
        assert claim(ladder) == ("SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP")
    assert "SRTP from 0 s, RTP from 12.4 s, SRTP from 15 s" in chain(ladder)
    ladder.calls.end_all("the test is over")
    assert claim(ladder) == ("SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP")
    counted = ladder.metrics.calls.labels("example.com", "outbound", "SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP")
    assert counted.number == 1


def test_early_media_in_clear_count_whichever_fork_answers() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=AVP, tag="t1")
    ladder.clock.advance(3)
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="t2")
    assert claim(ladder) == ("SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP")
    assert "RTP from 0 s, SRTP from 3 s" in chain(ladder)


def test_changes_without_end_leave_a_short_chain() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    for cseq in range(1, 201):
        invite = ladder.provider.within_answered(onward, "INVITE", sdp=AVP if cseq % 2 else SAVP, cseq=cseq)
        ladder.provider.sends(invite)
        ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
        ladder.provider.receives(100)
        ladder.provider.acknowledges(invite, ladder.provider.receives_response(200))
        ladder.phone.receives("ACK")
    assert any(link.endswith(" more changes") for link in chain(ladder))
    assert len(chain(ladder)) < 15


def test_key_that_crossed_a_clear_hop_stays_exposed_when_the_signalling_goes_on_over_tls() -> None:
    ladder = Ladder()
    clear = ladder.clear
    clear.flow = RecordingFlow(CLEAR, clear.flow.remote)
    invite = clear.invite("sip:alice-1@gw.example.com", sdp=SAVP)
    clear.sends(invite)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    clear.receives(100)
    answer = clear.receives_response(200)
    clear.acknowledges(invite, answer)
    assert claim(ladder) == ("MEDIA_ONLY_WEAK", "CLEAR_PEER_NO_TLS")
    clear.flow.fail()
    ladder.provider.sends(ladder.provider.within(answer, "BYE"))
    ladder.provider.receives(200)
    assert claim(ladder) == ("MEDIA_ONLY_WEAK", "CLEAR_PEER_NO_TLS")
    assert "UDP in clear from 0 s, TLS from 0 s" in chain(ladder)


class _TellingRelay(TestRelay):
    """Its last report tells of RTCP in clear, from one side."""

    def __init__(self, side: str) -> None:
        super().__init__()
        self._side = side
        self.silent: set[str] = set()

    def delete(self, call: str, *, at_once: bool = False) -> Deferred[dict[str, JSON]]:
        super().delete(call, at_once=at_once)
        return self.query(call)

    def query(self, call: str) -> Deferred[dict[str, JSON]]:
        if call in self.silent:
            return fail(RelayFailure("no answer"))
        streams: list[JSON] = [{"stats": {}}, {"in clear": 2}]
        return succeed({"tags": {"x": {"side": self._side, "medias": [{"streams": streams}]}}})

    def tells(self, ladder: Ladder) -> None:
        """Say that RTCP came in clear in all calls that are up, and in one that is not."""
        assert self.listener is not None
        self.listener.media_in_clear((*(call.id for call in ladder.calls.active), "ended"))


def test_rtcp_in_clear_beside_srtp_is_in_the_verdict() -> None:
    ladder = Ladder(Security.REQUIRED, relay=_TellingRelay("provider"))
    talk(ladder)
    assert claim(ladder) == ("ENCRYPTED_TO_PROVIDER", "")
    ladder.calls.end_all("the test is over")
    assert claim(ladder) == ("SIGNALLING_ONLY", "CLEAR_RTCP")
    counted = ladder.metrics.calls.labels("example.com", "outbound", "SIGNALLING_ONLY", "CLEAR_RTCP")
    assert counted.number == 1
    assert "RTCP in clear beside SRTP" in chain(ladder)


def test_rtcp_in_clear_is_in_the_verdict_of_a_call_that_is_up() -> None:
    relay = _TellingRelay("provider")
    ladder = Ladder(relay=relay)
    talk(ladder)
    relay.silent = {call.id for call in ladder.calls.active}
    relay.tells(ladder)
    assert claim(ladder) == ("ENCRYPTED_TO_PROVIDER", "")
    relay.silent = set()
    relay.tells(ladder)
    assert claim(ladder) == ("SIGNALLING_ONLY", "CLEAR_RTCP")
    ladder.calls.end_all("the test is over")
    assert claim(ladder) == ("SIGNALLING_ONLY", "CLEAR_RTCP")
    assert chain(ladder).count("RTCP in clear beside SRTP") == 1


def test_rtcp_in_clear_while_it_rings_is_in_the_verdict_from_the_answer_on() -> None:
    relay = _TellingRelay("provider")
    ladder = Ladder(relay=relay)
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP)
    relay.tells(ladder)
    assert claim(ladder)[0] == ""
    ladder.provider.answers(onward, 200, sdp=SAVP)
    assert claim(ladder) == ("SIGNALLING_ONLY", "CLEAR_RTCP")


def test_rtcp_in_clear_of_a_plain_phone_changes_nothing() -> None:
    ladder = Ladder(relay=_TellingRelay("phones"))
    talk(ladder)
    ladder.calls.end_all("the test is over")
    assert claim(ladder) == ("ENCRYPTED_TO_PROVIDER", "")
