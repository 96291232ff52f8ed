"""What a call was is freed with its last message, and waits for no garbage collector: there are many calls."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from gateway.transaction.client import make_cancel
from tests.support.ladder import SAVP, Ladder
from tests.support.stories import ring, talk

Parts = list[weakref.ref[object]]
Story = Callable[[Ladder], Parts]


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def parts_of(ladder: Ladder) -> Parts:
    """The call that is up and its legs."""
    (call,) = ladder.calls.active
    found = (call, call.caller, call.callee, call.search, call.media_path)
    return [weakref.ref(part) for part in found if part is not None]


def caller_hangs_up(ladder: Ladder) -> Parts:
    _, answer = talk(ladder)
    parts = parts_of(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.phone.receives(200)
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    return parts


def callee_hangs_up(ladder: Ladder) -> Parts:
    onward, _ = talk(ladder)
    parts = parts_of(ladder)
    ladder.provider.sends(ladder.provider.within_answered(onward, "BYE"))
    ladder.provider.receives(200)
    ladder.phone.answers(ladder.phone.receives_request("BYE"), 200)
    return parts


def callee_is_busy(ladder: Ladder) -> Parts:
    invite, onward = ring(ladder)
    parts = parts_of(ladder)
    ladder.provider.answers(onward, 486)
    ladder.provider.receives("ACK")
    ladder.phone.acknowledges(invite, ladder.phone.receives_response(486))
    return parts


def caller_gives_up(ladder: Ladder) -> Parts:
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 180)
    ladder.phone.receives(180)
    parts = parts_of(ladder)
    cancel = ladder.phone.request("CANCEL", invite.uri)
    cancel.headers.set("Via", invite.headers.get("Via") or "")
    ladder.phone.sends(cancel)
    ladder.provider.answers(ladder.provider.receives_request("CANCEL"), 200)
    ladder.provider.answers(onward, 487)
    return parts


def callee_never_answers(ladder: Ladder) -> Parts:
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 183, sdp=SAVP)
    parts = parts_of(ladder)
    ladder.clock.pump([1.0] * 300)
    return parts


@pytest.mark.parametrize(
    "story", [caller_hangs_up, callee_hangs_up, callee_is_busy, caller_gives_up, callee_never_answers]
)
def test_call_is_freed(story: Story) -> None:
    ladder = Ladder()
    parts = story(ladder)
    ladder.ends_clean()
    assert len(parts) >= 4
    assert [part() for part in parts] == [None] * len(parts)


def test_the_search_and_the_invites_are_let_go_of_when_both_sides_have_acknowledged() -> None:
    ladder = Ladder()
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    answer = ladder.phone.receives_response(200)
    ladder.provider.receives("ACK")
    (call,) = ladder.calls.active
    assert call.callee is not None
    assert call.caller.opening is not None
    parts = [weakref.ref(part) for part in (call.search, call.caller.invite, call.callee.request) if part]
    transactions = [weakref.ref(call.caller.opening)]
    ladder.phone.acknowledges(invite, answer)
    del onward, invite, answer
    assert [part() is None for part in parts] == [True, True, False]
    assert call.exchange is None
    ladder.clock.pump([1.0] * 40)
    assert parts[2]() is None, "the INVITE of ours is of use while another fork may answer it"
    assert transactions[0]() is None
    assert len(ladder.calls.active) == 1


def test_a_call_that_is_cancelled_is_freed_while_its_invite_waits_for_a_silent_provider() -> None:
    """RFC 3261 section 9.1: nothing can be cancelled before a provisional response, and none comes for 32 s."""
    ladder = Ladder()
    invite = ladder.phone.invite()
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    ladder.provider.receives("INVITE")
    (call,) = ladder.calls.active
    parts = [weakref.ref(part) for part in (call, call.caller, call.search, call.caller.invite)]
    del call
    ladder.phone.sends(make_cancel(invite))
    ladder.phone.receives(200)
    ladder.phone.receives(487)
    ladder.phone.acknowledges(invite, invite.response(487, to_tag="x"))
    ladder.clock.advance(6)
    assert [part() for part in parts] == [None] * 4
    assert ladder.transactions.alive()["INVITE client"] == {"Calling": 1}
