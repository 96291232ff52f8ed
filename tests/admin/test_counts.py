"""The figures of a gateway: they follow a call, and nothing is left of it in the end."""

from __future__ import annotations

from gateway.admin.counts import Counts
from gateway.admin.inspection import Row
from tests.support.ladder import SAVP, Ladder


class Parts:
    """Stands for the transport, the relay and the bindings."""

    connection_count = 2
    calls = ("one",)

    def __len__(self) -> int:
        return 5


def counts_of(ladder: Ladder) -> Counts:
    parts = Parts()
    calls, dialogs, clock = ladder.calls, ladder.dialogs, ladder.clock
    return Counts(calls, dialogs, ladder.subscriptions, parts, parts, parts, ladder.transactions, clock)


def without_transactions(counts: Row) -> Row:
    return {name: value for name, value in counts.items() if name not in ("transactions", "timers")}


def test_figures_follow_a_call() -> None:
    ladder = Ladder()
    counts = counts_of(ladder)
    nothing = {"calls": 0, "dialogs": 0, "subscriptions": 0, "bindings": 5, "connections": 2, "media_calls": 1}
    assert without_transactions(counts.now()) == nothing
    invite = ladder.phone.invite()
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert counts.now()["transactions"] == {
        "INVITE client": {"Calling": 1},
        "Non-INVITE client": {},
        "INVITE server": {"Proceeding": 1},
        "Non-INVITE server": {},
    }
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    ladder.phone.acknowledges(invite, answer := ladder.phone.receives_response(200))
    assert without_transactions(counts.now()) == {**nothing, "calls": 1, "dialogs": 2}
    ladder.phone.sends(ladder.phone.within(answer, "BYE"))
    ladder.phone.receives(200)
    ladder.provider.answers(ladder.provider.receives_request("BYE"), 200)
    ladder.ends_clean()
    assert without_transactions(counts.now()) == nothing
    assert counts.now()["timers"] == 0
    assert not any(dict(states) for states in dict(counts.now()["transactions"]).values())  # type: ignore[arg-type]
