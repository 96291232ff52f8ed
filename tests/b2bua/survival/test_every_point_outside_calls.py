"""The gateway is killed at every point of a subscription and of a MESSAGE: before and after each message that it sends
and each record that it writes.

Afterwards a phone has its subscription and the notifier's NOTIFY crosses. Where it was begun or ended, both may be
told that there is none (481), and the phone subscribes anew. A MESSAGE that is sent again arrives, and is answered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.sip.message import Request, Response
from tests.support.kill_points import Life
from tests.support.ladder import Ladder, Party
from tests.support.two_users import TwoUsers

LAMPS = (("Event", "message-summary"), ("Accept", "application/simple-message-summary"))


class End:
    """One side: keeps what it asked until it is answered, and answers what it is asked."""

    def __init__(self, party: Party, tag: str) -> None:
        self.party, self.tag = party, tag
        self.open: Request | None = None
        self.answers: list[Response] = []
        self.asked: list[Request] = []

    def asks(self, request: Request, fields: tuple[tuple[str, str], ...] = ()) -> None:
        for name, value in fields:
            request.headers.set(name, value)
        self.open = request
        self.party.sends(request)

    def again(self) -> None:
        """Timer E (RFC 3261 section 17.1.2.2), which UDP alone has."""
        if self.open is not None and not self.party.flow.is_reliable:
            self.party.sends(self.open)

    def reads(self) -> bool:
        if not self.party.flow.sent:
            return False
        message = self.party.flow.sent.pop(0)
        if isinstance(message, Response):
            if message.status >= 200:
                self.answers.append(message)
                self.open = None
            return True
        self.asked.append(message)
        expires = message.headers.get("Expires")
        fields = (("Expires", expires),) if message.method == "SUBSCRIBE" and expires else ()
        self.party.answers(message, 200, tag=message.to.tag or self.tag, fields=fields)
        return True


class Stage:
    """Two sides with the gateway between them, and its next process."""

    def __init__(self, life: Life, ladder: Ladder, asker: Party, answerer: Party) -> None:
        self.life, self.ladder = life, ladder
        self.is_watching = False
        """Whether the phone knows of its subscription, and has not ended it."""
        self.asker, self.answerer = End(asker, "f1"), End(answerer, "t1")

    def settle(self) -> None:
        while not self.life.is_over and any([self.asker.reads(), self.answerer.reads()]):
            pass

    def goes_on(self) -> None:
        """The next process; who asked over UDP asks again until it is answered, for as long as Timer F lets it."""
        ends = self.asker, self.answerer
        left = [(end, end.party.flow, list(end.party.flow.sent)) for end in ends]
        self.life.dies_after(float("inf"))
        self.ladder = self.ladder.killed()
        for end, flow, messages in left:
            if end.party.flow is not flow:
                end.party.flow.sent[:0] = messages
        for _ in range(16):
            self.settle()
            for end in ends:
                end.again()
            self.settle()
            self.ladder.clock.advance(2.0)
            self.ladder.tidy()
        self.settle()


def at_every_point(
    life: Life, directory: Path, play: Callable[[Path], Stage], check: Callable[[Stage, str], None]
) -> int:
    """Play it whole, then up to each of its points; how many there are."""
    for point in range(1_000):
        place = directory / str(point)
        place.mkdir()
        life.dies_after(point)
        stage = play(place)
        was_cut = life.is_over
        stage.goes_on()
        check(stage, f"killed after {point}")
        stage.ladder.lets_go()
        if not was_cut:
            return point
    raise AssertionError("it has no end")


def subscribes(stage: Stage, expires: int, cseq: int, call_id: str = "c1") -> None:
    """The phone subscribes, prolongs its subscription or ends it."""
    answers = [one for one in stage.asker.answers if one.status == 200 and one.call_id == call_id]
    party = stage.asker.party
    if answers:
        request = party.within(answers[-1], "SUBSCRIBE", cseq=cseq)
    else:
        request = party.request("SUBSCRIBE", "sip:alice@example.com", call_id=call_id, cseq=cseq)
    stage.asker.asks(request, (*LAMPS, ("Expires", str(expires))))
    stage.settle()


def notifies(stage: Stage, cseq: int, state: str = "active;expires=600") -> None:
    """The notifier tells of the state."""
    onward = stage.answerer.asked[-1]
    notify = stage.answerer.party.within_answered(onward, "NOTIFY", cseq=cseq)
    stage.answerer.asks(notify, (LAMPS[0], ("Subscription-State", state)))
    stage.settle()


def watches(directory: Path, life: Life) -> Stage:
    ladder = Ladder(journal=directory)
    stage = Stage(life, ladder, ladder.phone, ladder.provider)
    steps = deque[Callable[[], None]](
        [
            lambda: notifies(stage, 1),
            lambda: subscribes(stage, 900, 2),
            lambda: notifies(stage, 2),
            lambda: subscribes(stage, 0, 3),
            lambda: notifies(stage, 3, "terminated;reason=timeout"),
        ]
    )
    subscribes(stage, 600, 1)
    while steps and not life.is_over:
        stage.is_watching = bool(stage.asker.answers) and len(steps) > 2
        steps.popleft()()
    return stage


def has_lamps(stage: Stage, point: str) -> None:
    """The phone watches, or is told that it does not and can begin anew; the notifier likewise."""
    phone, notifier = stage.asker, stage.answerer
    assert phone.open is None, (point, "its SUBSCRIBE has no answer")
    if notifier.asked:
        told = len(phone.asked)
        notifies(stage, 20)
        assert notifier.open is None, (point, "the notifier is left without an answer")
        status = notifier.answers[-1].status
        assert (status == 200 and len(phone.asked) == told + 1) or status == 481, (point, status)
    subscribes(stage, 600, 30)
    assert phone.open is None, point
    refreshed = phone.answers[-1].status
    assert refreshed == 200 or (refreshed == 481 and not stage.is_watching), (point, refreshed)
    if refreshed == 481:
        subscribes(stage, 600, 31, "c2")
        assert phone.answers[-1].status == 200, point
    told = len(phone.asked)
    notifies(stage, 40)
    assert notifier.answers[-1].status == 200, point
    assert len(phone.asked) == told + 1, point
    stage.ladder.clock.pump([10.0] * 120)
    assert len(stage.ladder.subscriptions) == 0, point


def test_rfc6665_a_subscription_goes_on_or_both_know_that_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(monkeypatch)
    assert at_every_point(life, tmp_path, lambda path: watches(path, life), has_lamps) > 15


@pytest.mark.parametrize("way", ["to the provider", "from the provider", "between phones"])
def test_a_message_is_answered_or_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    life = Life(monkeypatch)

    def says(directory: Path) -> Stage:
        ladder = TwoUsers(journal=directory) if way == "between phones" else Ladder(journal=directory)
        if isinstance(ladder, TwoUsers):
            asker, answerer, uri = ladder.alice, ladder.bob, "sip:bob@example.com"
        elif way == "to the provider":
            asker, answerer, uri = ladder.phone, ladder.provider, "sip:bob@example.com"
        else:
            asker, answerer, uri = ladder.provider, ladder.phone, "sip:alice-1@gw.example.com"
        stage = Stage(life, ladder, asker, answerer)
        message = asker.request("MESSAGE", uri)
        message.body = b"hello"
        stage.asker.asks(message, (("Content-Type", "text/plain"),))
        stage.settle()
        return stage

    def is_answered(stage: Stage, point: str) -> None:
        if not stage.asker.party.flow.is_reliable:  # else its connection ended, and it knows
            assert stage.asker.answers, point
            assert stage.asker.answers[-1].status == 200, point
            assert stage.answerer.asked, point
        assert {one.body for one in stage.answerer.asked} <= {b"hello"}, point
        stage.ladder.ends_clean()

    assert at_every_point(life, tmp_path, says, is_answered) >= 2
