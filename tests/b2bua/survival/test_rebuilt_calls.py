"""The gateway is killed while a call is up, and the next one goes on with it: as ladders, both ways."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from gateway.app.survival_part import RECORDS_SECONDS
from gateway.b2bua.survival.rebuilding import Rebuilding
from gateway.security.access_list import Proof, ProofKind
from gateway.sip.message import Request, Response
from gateway.state.journal.live_journal import FILE, LiveJournal
from gateway.transport.flow import Address, Flow, PeerIdentity
from gateway.transport.way import Strength
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, BINDING, KEY, PHONES, SAVP, Everybody, Ladder, Party


def outbound(ladder: Ladder, expires: str = "", allow: str = "INVITE, UPDATE") -> tuple[Request, Response]:
    """A call of the phone that is up: the INVITE as the provider got it, and the answer as the phone did."""
    invite = ladder.phone.invite()
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    fields: tuple[tuple[str, str], ...] = (("Allow", allow),)
    if expires:
        fields = (*fields, ("Session-Expires", expires), ("Require", "timer"))
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=fields)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    return onward, answer


def inbound(ladder: Ladder) -> tuple[Request, Response]:
    """A call of the provider that is up: the INVITE as the phone got it, and the answer as the provider did."""
    invite = ladder.provider.invite(f"sip:{BINDING.token}@gw.example.com", SAVP)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 200, sdp=AVP)
    ladder.phone.receives("ACK")
    answer = ladder.provider.receives_response(200)
    ladder.provider.acknowledges(invite, answer)
    return onward, answer


def journal_of(ladder: Ladder) -> LiveJournal:
    """The file of the calls that are up."""
    journal = ladder.parts._survival._state.journal
    assert journal is not None
    return journal


def is_over(ladder: Ladder) -> bool:
    """No call is up, and there is one record."""
    assert ladder.calls.is_idle
    ladder.clock.advance(RECORDS_SECONDS)
    return len(ladder.history.ids) == 1  # type: ignore[attr-defined]


def test_rfc3261_section_15_the_caller_hangs_up(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, answer = outbound(ladder)

    after = ladder.killed()
    after.phone.sends(after.phone.within(answer, "BYE"))

    after.phone.receives(200)
    bye = after.provider.receives_request("BYE")
    assert (bye.call_id, bye.from_.tag, bye.to.tag) == (onward.call_id, onward.from_.tag, "t1")
    assert bye.cseq.number > onward.cseq.number
    assert bye.uri == "sip:me@198.51.100.21:5061"
    assert is_over(after)


def test_rfc3261_section_15_the_callee_hangs_up(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, answer = outbound(ladder)

    after = ladder.killed()
    after.provider.sends(after.provider.within_answered(onward, "BYE"))

    after.provider.receives(200)
    bye = after.phone.receives_request("BYE")
    assert (bye.from_.tag, bye.to.tag) == (answer.to.tag, "f1")
    assert is_over(after)


@pytest.mark.parametrize("hangs_up", ["caller", "callee"])
def test_a_call_of_the_provider_goes_on(tmp_path: Path, hangs_up: str) -> None:
    """Its connection came from the provider, and is gone: another one is opened at once."""
    ladder = Ladder(journal=tmp_path)
    onward, answer = inbound(ladder)

    after = ladder.killed()
    if hangs_up == "caller":
        after.provider.sends(after.provider.within(answer, "BYE"))
        after.provider.receives(200)
        after.phone.receives("BYE")
    else:
        after.phone.sends(after.phone.within_answered(onward, "BYE"))
        after.phone.receives(200)
        after.provider.receives("BYE")
    assert is_over(after)


def test_the_record_has_the_whole_call(tmp_path: Path) -> None:
    """The time that it was up, the verdict, and the ladder of before with that of after."""
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)
    ladder.clock.advance(30)
    (before,) = ladder.calls.active

    after = ladder.killed(down=2)
    (call,) = after.calls.active
    after.clock.advance(8)
    after.calls.hang_up(call.id, "by an operator")

    record = call.record
    assert record.id == before.record.id
    assert record.seconds == 40
    assert (record.verdict, record.status, record.provider) == ("ENCRYPTED_TO_PROVIDER", 200, "main")
    assert [step[3] for step in record.ladder] == [
        "INVITE", "100 Trying", "INVITE", "200 OK", "ACK", "200 OK", "ACK", "BYE", "BYE",
    ]  # fmt: skip
    assert record.chain[: len(before.record.chain)] == before.record.chain


def test_a_call_that_was_heard_in_clear_never_becomes_better(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path, fallback="sip:provider.example.com;transport=udp")
    invite = ladder.phone.invite()
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(onward, 488)
    ladder.provider.receives("ACK")
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 200, sdp=AVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    (before,) = ladder.calls.active
    assert before.record.verdict == "SIGNALLING_ONLY"

    after = ladder.killed()
    (call,) = after.calls.active
    call.conclude()

    assert (call.record.verdict, call.record.reason) == (before.record.verdict, before.record.reason)


def test_no_key_is_kept(tmp_path: Path) -> None:
    """Not even under the seal: an SDES key in a description (RFC 4568) is the relay's to remember."""
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)
    inbound(ladder)

    kept = [*journal_of(ladder).load(0.0).values()]
    assert len(kept) == 2
    for whole, *changes in kept:
        assert whole.count(b"m=audio") == 2  # of the phone, which is in clear: its own and ours
        for piece in (whole, *changes):
            assert KEY.encode() not in piece
            assert b"inline" not in piece


def test_the_longest_length_is_counted_from_the_answer(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)
    ladder.clock.advance(50)
    after = ladder.killed()
    after.calls.end_longest(60)
    assert len(after.calls.active) == 1
    after.clock.advance(10)
    after.calls.end_longest(60)
    after.phone.receives("BYE")
    assert is_over(after)


def hold(sdp: bytes) -> bytes:
    return sdp + b"a=sendonly\r\n"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_rfc3264_section_8_4_the_phone_holds_and_resumes(tmp_path: Path, method: str) -> None:
    ladder = Ladder(journal=tmp_path)
    _, answer = outbound(ladder)

    after = ladder.killed()
    for cseq in (2, 3):
        change = after.phone.within(answer, method, sdp=hold(AVP) if cseq == 2 else AVP, cseq=cseq)
        after.phone.sends(change)
        if method == "INVITE":
            after.phone.receives(100)
        onward = after.provider.receives_request(method)
        assert b"a=crypto" in onward.body
        assert b"o=- 2 3 IN" in onward.body  # RFC 3264 section 8: the version goes up, over the kill too
        after.provider.answers(onward, 200, sdp=SAVP)
        if method == "INVITE":
            after.provider.receives("ACK")
        response = after.phone.receives_response(200)
        assert response.body
        if method == "INVITE":
            after.phone.acknowledges(change, response)
    assert len(after.calls.active) == 1


def test_the_provider_holds(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, _ = outbound(ladder)

    after = ladder.killed()
    change = after.provider.within_answered(onward, "INVITE", sdp=hold(SAVP))
    after.provider.sends(change)
    after.provider.receives(100)
    offered = after.phone.receives_request("INVITE")
    assert b"crypto" not in offered.body
    after.phone.answers(offered, 200, sdp=AVP, tag="f1")
    after.phone.receives("ACK")
    after.provider.acknowledges(change, after.provider.receives_response(200))

    assert len(after.calls.active) == 1


def test_rfc4028_a_refresh_of_ours_is_sent_soon_and_the_call_goes_on(tmp_path: Path) -> None:
    """It was due while no gateway was there. By UPDATE, and where the peer knows none by a re-INVITE with our offer."""
    ladder = Ladder(journal=tmp_path, session_interval=90)
    outbound(ladder, expires="90;refresher=uac")
    ladder.clock.advance(44)

    after = ladder.killed(down=3)
    after.clock.advance(4)
    update = after.provider.receives_request("UPDATE")
    assert update.headers.get("Session-Expires") == "90;refresher=uac"
    after.provider.answers(update, 200, fields=(("Session-Expires", "90;refresher=uac"), ("Require", "timer")))
    after.clock.advance(45)
    after.provider.receives("UPDATE")


def test_rfc4028_a_refresh_of_ours_by_invite(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path, session_interval=90)
    outbound(ladder, expires="90;refresher=uac", allow="INVITE, ACK, BYE")
    ladder.clock.advance(44)

    after = ladder.killed(down=3)
    after.clock.advance(4)
    invite = after.provider.receives_request("INVITE")
    assert b"RTP/SAVP" in invite.body
    after.provider.answers(invite, 200, sdp=SAVP)
    after.provider.receives("ACK")


def test_rfc4028_section_9_a_phone_without_update_is_refreshed(tmp_path: Path) -> None:
    """It is offered the provider's description, which is not kept: the provider is asked for it."""
    ladder = Ladder(journal=tmp_path, session_interval=90)
    invite = ladder.phone.invite()
    for name, value in (("Supported", "timer"), ("Session-Expires", "90;refresher=uas"), ("Allow", "INVITE, ACK, BYE")):
        invite.headers.add(name, value)
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    assert answer.headers.get("Session-Expires") == "90;refresher=uas"
    ladder.phone.acknowledges(invite, answer)

    after = ladder.killed()
    after.clock.advance(4)
    asked = after.provider.receives_request("INVITE")
    assert b"RTP/SAVP" in asked.body
    after.provider.answers(asked, 200, sdp=SAVP)
    after.provider.receives("ACK")
    for _ in range(2):
        refresh = after.phone.receives_request("INVITE")
        assert b"crypto" not in refresh.body
        fields = (("Session-Expires", "90;refresher=uac"), ("Require", "timer"))
        after.phone.answers(refresh, 200, sdp=AVP, tag="f1", fields=fields)
        after.phone.receives("ACK")
        after.clock.advance(45)
    assert len(after.calls.active) == 1


def test_rfc4028_a_peer_that_refreshes_is_answered_and_one_that_does_not_ends_the_call(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path, session_interval=90)
    onward, _ = outbound(ladder, expires="90;refresher=uas")
    ladder.clock.advance(44)

    after = ladder.killed(down=1)
    update = after.provider.within_answered(onward, "UPDATE")
    update.headers.add("Supported", "timer")
    update.headers.add("Session-Expires", "90;refresher=uac")
    after.provider.sends(update)
    assert after.provider.receives_response(200).headers.get("Session-Expires") == "90;refresher=uac"
    after.clock.advance(59)
    assert len(after.calls.active) == 1
    after.clock.advance(40)
    after.provider.receives("BYE")
    after.phone.receives("BYE")
    assert is_over(after)


def test_a_target_that_was_refreshed_counts_after_a_kill(tmp_path: Path) -> None:
    """RFC 3261 section 12.2.1.2: the Contact of an UPDATE that was accepted."""
    ladder = Ladder(journal=tmp_path)
    onward, answer = outbound(ladder)
    update = ladder.provider.within_answered(onward, "UPDATE")
    update.headers.set("Contact", "<sip:elsewhere@198.51.100.77:5061>")
    ladder.provider.sends(update)
    ladder.provider.receives(200)

    after = ladder.killed()
    after.phone.sends(after.phone.within(answer, "BYE"))

    assert after.provider.receives_request("BYE").uri == "sip:elsewhere@198.51.100.77:5061"


def test_a_second_kill_finds_the_call_as_well(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    _, answer = outbound(ladder)
    numbers = []
    for cseq in (2, 3, 4):
        ladder = ladder.killed()
        ladder.phone.sends(ladder.phone.within(answer, "INFO", cseq=cseq))
        info = ladder.provider.receives_request("INFO")
        numbers.append(info.cseq.number)
        ladder.provider.answers(info, 200)
        ladder.phone.receives(200)

    assert numbers == sorted(set(numbers))


def test_a_call_that_has_ended_is_not_found_again(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    _, answer = outbound(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.clock.advance(6)
    ladder.tidy()

    after = ladder.killed()

    after.provider.receives_nothing()
    assert is_over(after)


def test_killed_between_the_record_and_the_answer_to_bye_says_bye_again(tmp_path: Path) -> None:
    """A BYE may have been lost (RFC 3261 section 17.1.2.2: it is sent again); its call has one record all the same."""
    ladder = Ladder(journal=tmp_path)
    _, answer = outbound(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.provider.receives("BYE")

    after = ladder.killed()

    bye = after.provider.receives_request("BYE")
    after.provider.answers(bye, 481)
    after.clock.advance(40)
    assert is_over(after)


def test_a_request_to_a_peer_without_its_connection_is_to_come_again(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, answer = inbound(ladder)

    after = ladder.killed()
    after.trunk._last.clear()  # DNS tells nothing yet
    after.phone.sends(after.phone.within_answered(onward, "INFO", cseq=1))
    refused = after.phone.receives_response(500)
    assert refused.headers.get("Retry-After") == "5"

    after.provider.sends(after.provider.within(answer, "OPTIONS"))  # the provider is back
    after.provider.receives(200)
    after.phone.sends(after.phone.within_answered(onward, "INFO", cseq=2))
    after.provider.receives("INFO")


def test_bye_waits_for_the_connection_of_its_peer_and_not_for_ever(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, answer = inbound(ladder)

    after = ladder.killed()
    after.trunk._last.clear()
    after.phone.sends(after.phone.within_answered(onward, "BYE"))
    after.phone.receives(200)
    after.provider.receives_nothing()
    assert is_over(after)
    after.clock.advance(3)
    after.provider.sends(after.provider.within(answer, "OPTIONS"))
    after.provider.receives(200)
    after.clock.advance(1)
    after.provider.receives("BYE")


def test_tags_are_no_proof_over_a_weaker_way(tmp_path: Path) -> None:
    """A leg that was on TLS takes nothing in clear, and the memory of that outlives the kill."""
    ladder = Ladder(journal=tmp_path)
    onward, _ = outbound(ladder)

    after = ladder.killed()
    after.clear.sends(after.clear.within_answered(onward, "BYE"))
    assert len(after.calls.active) == 1
    stranger: Party = after.stranger()
    stranger.sends(stranger.within_answered(onward, "BYE"))
    assert len(after.calls.active) == 1
    assert after.callee.way.weakest >= Strength.TLS


def test_a_journal_of_another_form_or_domain_ends_its_calls_with_one_record(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)
    ((call_id, (whole,)),) = journal_of(ladder).load(0.0).items()

    journal_of(ladder).put(call_id, whole.replace(b'"form":1', b'"form":99'))
    after = ladder.killed()
    assert not after.calls.active
    journal_of(after).put(call_id, whole.replace(b'"outbound","example.com"', b'"outbound","gone.test"'))
    after = after.killed()
    assert is_over(after)
    assert is_over(after.killed())


def test_a_call_whose_media_are_gone_gets_new_ones(tmp_path: Path) -> None:
    """The worker was killed as well: the phone's description is offered to the provider again, under new keys."""
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)
    ladder.relay._offered.clear()

    after = ladder.killed()

    invite = after.provider.receives_request("INVITE")
    assert b"RTP/SAVP" in invite.body
    after.provider.answers(invite, 200, sdp=SAVP)
    after.provider.receives("ACK")
    told = after.phone.receives_request("INVITE")
    assert b"crypto" not in told.body
    after.phone.answers(told, 200, sdp=AVP, tag="f1")
    after.phone.receives("ACK")
    assert len(after.calls.active) == 1


def test_a_record_that_waited_for_a_full_disk_is_not_lost_with_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes neither the record nor the journal's note that the call is over: so for the next process it is up,
    its media are gone, the first peer that is asked knows nothing of it, and it gets its record."""
    ladder = Ladder(journal=tmp_path)
    _, answer = outbound(ladder)
    with monkeypatch.context() as full:
        full.setattr(LiveJournal, "_write", lambda self, *_: setattr(self, "is_behind", True))
        ladder.phone.sends(ladder.phone.within(answer, "BYE"))
        ladder.phone.receives(200)
        ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
        assert is_over(ladder)
    ids = ladder.history.ids  # type: ignore[attr-defined]
    lost = [*ids]
    ids.clear()  # they were in memory alone
    ladder.relay._offered.clear()

    after = ladder.killed()
    after.provider.answers(after.provider.receives_request("INVITE"), 481)
    after.provider.receives("ACK")
    assert is_over(after)
    assert after.history.ids == lost  # type: ignore[attr-defined]


def test_nothing_is_kept_where_that_is_switched_off(tmp_path: Path) -> None:
    ladder = Ladder()
    outbound(ladder)

    assert not (tmp_path / FILE).exists()


TLS_PHONES = attrs.evolve(PHONES, name="tls-phones", transport="tls", port=5061)


class TlsPhone(Party):
    """A phone on TLS; each of its connections has a number, and its registration names the latest."""

    def __init__(self, ladder: Ladder, number: int) -> None:
        super().__init__(ladder, RecordingFlow(TLS_PHONES, Address("192.0.2.11", 40000 + number), number), "192.0.2.11")
        self.registers(ladder)

    def registers(self, ladder: Ladder) -> None:
        ladder.other_flows[self.flow.key] = self.flow
        ladder.store.save(attrs.evolve(BINDING, flow=self.flow.key, instance="urn:uuid:1"))


def test_a_phone_on_tls_is_the_same_when_it_has_registered_again(tmp_path: Path) -> None:
    """RFC 5626 section 4.1: its instance says so. Until then its side of the call is out of reach, and nothing of the
    call goes in clear."""
    ladder = Ladder(journal=tmp_path)
    phone = TlsPhone(ladder, 1)
    ladder.provider.sends(ladder.provider.invite(f"sip:{BINDING.token}@gw.example.com", SAVP))
    ladder.provider.receives(100)
    onward = phone.receives_request("INVITE")
    phone.answers(onward, 200, sdp=onward.body)
    phone.receives("ACK")
    answer = ladder.provider.receives_response(200)
    ladder.provider.acknowledges(ladder.provider.invite(), answer)

    after = ladder.killed(listeners=(TLS_PHONES,))
    after.provider.sends(after.provider.within(answer, "INFO"))
    refused = after.provider.receives_response(500)
    assert refused.headers.get("Retry-After") == "5"
    stranger = Party(after, RecordingFlow(TLS_PHONES, Address("192.0.2.66", 40000), 9), "192.0.2.66")
    stranger.sends(stranger.within_answered(onward, "BYE"))
    assert len(after.calls.active) == 1

    back = TlsPhone(after, 2)
    after.provider.sends(after.provider.within(answer, "INFO", cseq=3))
    back.answers(back.receives_request("INFO"), 200)
    after.provider.receives(200)
    back.sends(back.within_answered(onward, "BYE"))
    back.receives(200)
    after.provider.receives("BYE")
    assert not after.phone.flow.sent
    assert is_over(after)


def test_bye_to_a_phone_on_tls_waits_until_it_has_registered_again(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    phone = TlsPhone(ladder, 1)
    ladder.provider.sends(ladder.provider.invite(f"sip:{BINDING.token}@gw.example.com", SAVP))
    ladder.provider.receives(100)
    onward = phone.receives_request("INVITE")
    phone.answers(onward, 200, sdp=onward.body)
    phone.receives("ACK")
    answer = ladder.provider.receives_response(200)
    ladder.provider.acknowledges(ladder.provider.invite(), answer)

    after = ladder.killed(listeners=(TLS_PHONES,))
    after.provider.sends(after.provider.within(answer, "BYE"))
    after.provider.receives(200)
    after.clock.advance(20)
    back = TlsPhone(after, 2)
    after.clock.advance(1)
    assert back.receives_request("BYE").call_id == onward.call_id
    assert is_over(after)


def test_a_fault_of_ours_keeps_no_gateway_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the next one: the journal that it met is not read again."""
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)

    with monkeypatch.context() as broken:
        broken.setattr(Rebuilding, "rebuild", lambda *arguments: 1 / 0)
        after = ladder.killed()
    assert not after.calls.active
    outbound(after)
    assert len(after.killed().calls.active) == 1


def test_a_disk_that_is_full_costs_little_and_calls_are_kept_again_afterwards(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    journal_of(ladder).is_behind = True
    outbound(ladder)
    assert journal_of(ladder).load(0.0) == {}

    ladder.tidy()

    assert len(ladder.killed().calls.active) == 1


def leaves(ladder: Ladder) -> None:
    """The process is told to stop, and to leave its calls to the next one."""
    ladder.parts.leave_calls()
    ladder.parts.stop()


def test_a_stop_that_keeps_calls_says_nothing_to_anybody(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    _, answer = outbound(ladder)
    leaves(ladder)
    ladder.phone.receives_nothing()
    ladder.provider.receives_nothing()
    assert not ladder.history.ids  # type: ignore[attr-defined]
    assert not ladder.relay.deleted

    after = ladder.killed()
    after.phone.sends(after.phone.within(answer, "BYE"))
    after.phone.receives(200)
    after.provider.receives("BYE")
    assert is_over(after)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_start_that_is_stopped_leaves_calls_to_the_next(tmp_path: Path, keeps: bool) -> None:
    """It had not taken them up yet, and would leave nobody who ends them."""
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)
    stopped = Ladder(journal=tmp_path)
    if keeps:
        stopped.parts.leave_calls()
    stopped.parts.stop()
    assert len(ladder.killed().calls.active) == 1


def test_a_stop_that_keeps_calls_ends_one_that_rings(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)
    ladder.phone.sends(ladder.phone.invite(call_id="c2"))
    ladder.phone.receives(100)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 180)
    ladder.phone.receives(180)
    leaves(ladder)
    ladder.phone.receives(503)
    ladder.provider.receives("CANCEL")
    assert len(ladder.history.ids) == 1  # type: ignore[attr-defined]

    after = ladder.killed()
    assert len(after.calls.active) == 1
    after.phone.receives_nothing()


def test_a_call_that_ends_while_the_process_stops_does_not_come_back(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    _, answer = outbound(ladder)
    leaves(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.phone.receives(200)
    ladder.provider.receives("BYE")

    after = ladder.killed()
    assert not after.calls.active
    assert is_over(after)


def test_calls_that_cannot_be_kept_are_ended_by_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = Ladder(journal=tmp_path)
    outbound(ladder)

    def full(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    leaves(ladder)
    ladder.phone.receives("BYE")
    ladder.provider.receives("BYE")
    assert is_over(ladder)


class ByAddress(Everybody):
    """An admission that knows the provider by its address."""

    def proof_of(self, flow: Flow, domain: str) -> Proof | None:
        return Proof("provider.example.com", ProofKind.ADDRESS) if flow.remote.host == "198.51.100.21" else None


def asked_over_a_new_connection(
    tmp_path: Path, method: str, host: str = "198.51.100.21", allow: str = "INVITE, UPDATE"
) -> tuple[Ladder, Party, Request]:
    """A call toward a verified provider, which asks after the kill over TLS without a certificate."""
    ladder = Ladder(journal=tmp_path)
    ladder.provider_flow.identity = PeerIdentity(names=("provider.example.com",), trust="system")
    onward, _ = outbound(ladder, "90;refresher=uas", allow=allow)
    after = ladder.killed()
    after.admission.instead = ByAddress()
    flow = RecordingFlow(after.provider_flow.listener, Address(host, 40001), 7)
    other = Party(after, flow, f"{host}:5061")
    request = other.within_answered(onward, method, sdp=SAVP if method == "INVITE" else b"")
    other.sends(request)
    return after, other, onward


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_rfc4028_a_refresh_without_a_certificate_has_the_provider_refreshed(tmp_path: Path, method: str) -> None:
    """The provider hears of it over the connection that is verified, and its answer keeps the call."""
    after, other, onward = asked_over_a_new_connection(tmp_path, method)
    refused = other.receives_response(500)
    assert refused.headers.get("Retry-After") == "5"
    update = after.provider.receives_request("UPDATE")
    assert (update.call_id, update.body, update.uri) == (onward.call_id, b"", "sip:me@198.51.100.21:5061")
    after.provider.answers(update, 200, fields=(("Session-Expires", "90;refresher=uas"),))
    after.phone.receives_nothing()

    other.sends(other.within_answered(onward, "UPDATE", cseq=2))
    other.receives(500)
    after.provider.receives_nothing()  # once in five seconds

    after.clock.advance(40)
    other.sends(other.within_answered(onward, "UPDATE", cseq=3))
    after.provider.answers(after.provider.receives_request("UPDATE"), 200)
    after.clock.advance(40)
    assert len(after.calls.active) == 1, "90 seconds are over"


def test_rfc5057_a_bye_without_a_certificate_ends_the_call_when_the_provider_says_so(tmp_path: Path) -> None:
    after, other, _ = asked_over_a_new_connection(tmp_path, "BYE")
    other.receives(500)
    assert len(after.calls.active) == 1
    after.provider.answers(after.provider.receives_request("UPDATE"), 481)
    after.phone.receives("BYE")
    assert is_over(after)


def test_a_forged_bye_ends_nothing(tmp_path: Path) -> None:
    after, other, _ = asked_over_a_new_connection(tmp_path, "BYE")
    other.receives(500)
    after.provider.answers(after.provider.receives_request("UPDATE"), 200)
    after.phone.receives_nothing()
    assert len(after.calls.active) == 1


def test_a_provider_that_knows_no_update_is_asked_by_an_invite(tmp_path: Path) -> None:
    after, other, _ = asked_over_a_new_connection(tmp_path, "BYE", allow="INVITE")
    other.receives(500)
    after.provider.answers(after.provider.receives_request("INVITE"), 481)
    after.provider.receives("ACK")
    after.phone.receives("BYE")
    assert is_over(after)


def test_nobody_is_asked_for_a_stranger(tmp_path: Path) -> None:
    after, other, _ = asked_over_a_new_connection(tmp_path, "BYE", host="203.0.113.5")
    other.receives(481)
    after.provider.receives_nothing()
    assert len(after.calls.active) == 1
