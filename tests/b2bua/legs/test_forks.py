"""The bounds of an INVITE that rings: its early dialogs and its time (RFC 3261 sections 12.1, 13.2.2.4 and 16.6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.b2bua import late_answers
from gateway.b2bua.legs.callee import MOST_FORKS, RINGING_AT_MOST, TIMER_C
from gateway.b2bua.survival.frozen_opening import TURNED_AWAY
from tests.b2bua.survival.test_rebuilt_calls import journal_of
from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import came, nothing_is_left, ring, talk


def test_early_dialogs_are_bounded_and_one_beyond_may_still_answer() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    for number in range(MOST_FORKS + 40):
        ladder.provider.answers(onward, 183, sdp=SAVP, tag=f"t{number}")
    assert came(ladder.phone) == ["183 INVITE"] * MOST_FORKS
    assert len(ladder.dialogs) == MOST_FORKS + 1
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="late")
    assert came(ladder.phone) == ["200 INVITE"]
    assert len(ladder.dialogs) == 2
    assert not ladder.callee.media.forks


def test_ringing_ends_whatever_provisional_responses_come() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    rang = 0.0
    while ladder.calls.active and rang < 2 * RINGING_AT_MOST:
        ladder.provider.answers(onward, 180)
        ladder.clock.advance(TIMER_C - 5)
        rang += TIMER_C - 5
    assert rang <= RINGING_AT_MOST + TIMER_C
    assert came(ladder.phone)[-1] == "408 INVITE"
    assert "CANCEL" in came(ladder.provider)
    ladder.provider.answers(onward, 487)
    nothing_is_left(ladder)


def test_the_fork_that_wins_has_its_own_media_in_force() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    first, second = SAVP, SAVP.replace(b"6000", b"6002")
    ladder.provider.answers(onward, 183, sdp=first, tag="t1")
    ladder.provider.answers(onward, 183, sdp=second, tag="t2")
    assert ladder.callee.media.in_force is not None
    assert ladder.callee.media.in_force.theirs == second
    ladder.provider.answers(onward, 200, tag="t1")
    assert ladder.callee.media.in_force.theirs == first
    assert came(ladder.phone) == ["183 INVITE", "183 INVITE", "200 INVITE"]


def test_an_update_of_a_stranger_asks_for_no_more_streams_than_its_invite_may() -> None:
    ladder = Ladder()
    stranger = ladder.stranger()
    invite = stranger.invite()
    invite.headers.add("Supported", "100rel")
    stranger.sends(invite)
    fields = (("Require", "100rel"), ("RSeq", "1"))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 183, sdp=SAVP, fields=fields)
    ladder.provider.receives("PRACK")
    stranger.receives(100)
    early = stranger.receives_response(183)
    stranger.sends(stranger.within(early, "UPDATE", sdp=AVP + b"m=audio 5000 RTP/AVP 0\r\n" * 4))
    assert came(stranger) == ["488 UPDATE"]
    ladder.provider.receives_nothing()


@pytest.mark.parametrize("is_over", [False, True])
def test_rfc3261_13_2_2_4_a_fork_that_is_not_wanted_gets_one_bye_however_often_it_answers(is_over: bool) -> None:
    """Its ACK may be lost again and again, or it does not care: each copy cost one more BYE, with its transaction."""
    ladder = Ladder()
    onward, answer = talk(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="late")
    assert came(ladder.provider) == ["ACK", "BYE"]
    if is_over:
        ladder.phone.sends(ladder.phone.within(answer, "BYE"))
        assert came(ladder.provider) == ["BYE"]
    for _ in range(5):
        ladder.provider.answers(onward, 200, sdp=SAVP, tag="late")
    assert came(ladder.provider) == ["ACK"] * 5
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="another")
    ladder.provider.answers(onward, 200, sdp=SAVP, tag="another")
    assert came(ladder.provider) == ["ACK", "BYE", "ACK"]


def test_forks_that_are_not_wanted_leave_a_few_records_in_the_journal(tmp_path: Path) -> None:
    ladder = Ladder(journal=tmp_path)
    onward, _ = talk(ladder)
    for number in range(10):
        for _ in range(10):
            ladder.provider.answers(onward, 200, sdp=SAVP, tag=f"late{number}")
    ((_, pieces),) = journal_of(ladder).load(0.0).items()
    assert sum(piece[:1] == TURNED_AWAY for piece in pieces) == late_answers.MOST_FORKS
