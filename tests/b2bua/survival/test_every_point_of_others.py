"""The gateway is killed at every point of calls that are no phone's with its provider alone: between two phones of the
domain, to a user with several phones, of a PBX, of a browser, and while a call is transferred. As in test_every_point,
the call is up on both sides afterwards and obeys, or it is over for all within 40 seconds, and it has one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gateway.sip.message import Message, Request
from tests.routing.pbx.test_pbx_calls import FIRST, OFFICE
from tests.support.kill_points import Life, Scene, User, killed_everywhere
from tests.support.ladder import AVP, DTLS_ANSWER, DTLS_OFFER, SAVP, WEB, Ladder
from tests.support.many_phones import TOKEN, ManyPhones
from tests.support.two_users import TwoUsers
from tests.support.web_ladder import WebLadder


class Between(Scene):
    """A call from alice to bob, who has two phones where it is forked. No provider is asked."""

    def made(self, directory: Path) -> Ladder:
        return TwoUsers(2 if self.direction == "forked" else 1, journal=directory)

    def people(self) -> Sequence[User]:
        assert isinstance(self.ladder, TwoUsers)
        bobs = [User(bob, AVP, f"b{number}") for number, bob in enumerate(self.ladder.bobs)]
        for bob in bobs:
            bob.is_slow = len(bobs) > 1
        return [User(self.ladder.alice, AVP, "a1"), *bobs]

    def called(self) -> str:
        return "sip:bob@example.com"

    def is_up(self, point: str) -> None:
        self.ladder.provider.receives_nothing()


class Forked(Scene):
    """The provider calls a user with three phones; the first answers when all ring."""

    def made(self, directory: Path) -> Ladder:
        return ManyPhones(3, journal=directory)

    def people(self) -> Sequence[User]:
        assert isinstance(self.ladder, ManyPhones)
        phones = [User(phone, AVP, f"p{number}") for number, phone in enumerate(self.ladder.phones)]
        for phone in phones:
            phone.is_slow = True
        return [User(self.ladder.provider, SAVP, "t1"), *phones]

    def called(self) -> str:
        return TOKEN


class AnsweredMeanwhile(Forked):
    """Two of the phones answer at once, and those that still ring answer while the gateway is down."""

    def plays(self, hangs_up: str) -> None:
        self.caller.calls(self.uri)
        self.settle()
        for phone in self.callees[:2]:
            if not self.life.is_over:
                phone.picks_up(self.ladder.clock.seconds())
        self.settle()
        user = self.caller if hangs_up == "caller" else self.callee
        if not self.life.is_over and user.state == "up":
            user.asks("BYE")
            self.settle()
        if self.life.is_over:
            for phone in self.callees:
                phone.picks_up(self.ladder.clock.seconds())


class Pbx(Scene):
    """Of a PBX that does not register, over UDP."""

    def made(self, directory: Path) -> Ladder:
        ladder = Ladder(phones=(OFFICE,), region="DE", journal=directory)
        self.pbx = ladder.place(FIRST)
        return ladder

    def people(self) -> Sequence[User]:
        pbx, provider = User(self.pbx, AVP, "p1"), User(self.ladder.provider, SAVP, "t1")
        pbx.number = "+49301234510"
        return (pbx, provider) if self.direction == "outbound" else (provider, pbx)

    def called(self) -> str:
        return "sip:bob@example.com" if self.direction == "outbound" else "sip:+49301234567@example.com"

    def killed(self) -> Ladder:
        after = super().killed()
        self.pbx._ladder = after
        return after


class Web(Scene):
    """Of a browser; it has connected and registered again by the time that the next gateway is up."""

    def made(self, directory: Path) -> Ladder:
        return WebLadder(journal=directory)

    def people(self) -> Sequence[User]:
        is_outbound = self.direction == "outbound"
        phone = User(self.ladder.phone, DTLS_OFFER if is_outbound else DTLS_ANSWER, "p1")
        provider = User(self.ladder.provider, SAVP, "t1")
        return (phone, provider) if is_outbound else (provider, phone)

    def killed(self) -> Ladder:
        return self.ladder.killed(listeners=(WEB,))


class Transferor(User):
    """It is told how its transfer fares."""

    told = 0

    def _take(self, message: Message, now: float) -> None:
        super()._take(message, now)
        if isinstance(message, Request) and message.method == "NOTIFY":
            self.told += 1


class Transferred(User):
    """It takes REFER, and tells of its course."""

    is_referred = False

    def _take(self, message: Message, now: float) -> None:
        super()._take(message, now)
        if isinstance(message, Request) and message.method == "REFER":
            self.is_referred = True

    def tells(self, status: str, state: str) -> None:
        """Say how the transfer fares (RFC 3515 section 2.4.4)."""
        fields = (("Event", "refer"), ("Subscription-State", state), ("Content-Type", "message/sipfrag;version=2.0"))
        self.asks("NOTIFY", f"SIP/2.0 {status}\r\n".encode(), fields)


class Transfer(Scene):
    """A phone's call is transferred by the phone."""

    def people(self) -> Sequence[User]:
        self.phone, self.provider = (
            Transferor(self.ladder.phone, AVP, "p1"),
            Transferred(self.ladder.provider, SAVP, "t1"),
        )
        pair = self.phone, self.provider
        return pair if self.direction == "outbound" else pair[::-1]

    def talks(self) -> None:
        if not self.life.is_over and self.phone.state == "up":
            self.phone.asks("REFER", fields=(("Refer-To", "<sip:carol@example.com>"),))
            self.settle()
        for said in (("100 Trying", "active;expires=60"), ("200 OK", "terminated;reason=noresource")):
            if not self.life.is_over and self.provider.state == "up" and self.provider.is_referred:
                self.provider.tells(*said)
                self.settle()

    def is_up(self, point: str) -> None:
        """A NOTIFY that comes now still tells the phone, or is told that nobody listens; it is never left alone."""
        if self.provider.is_referred:
            self.provider.tells("200 OK", "terminated;reason=noresource")
            self.settle()
            assert not self.provider.open, point


KINDS: list[tuple[Callable[..., Scene], str, str, str]] = [
    (Between, "local", "held", "caller"),
    (Between, "local", "late offer", "callee"),
    (Between, "local", "PRACK", "callee"),
    (Between, "local", "refreshing", "caller"),
    (Between, "forked", "held", "callee"),
    (Forked, "inbound", "held", "caller"),
    (Forked, "inbound", "refreshing", "callee"),
    (AnsweredMeanwhile, "inbound", "", "caller"),
    (Pbx, "outbound", "held", "callee"),
    (Pbx, "inbound", "refreshing", "caller"),
    (Web, "outbound", "held", "callee"),
    (Web, "inbound", "held", "caller"),
    (Web, "inbound", "refreshing", "caller"),
    (Web, "outbound", "refreshing", "caller"),
    (Transfer, "outbound", "", "caller"),
    (Transfer, "inbound", "", "callee"),
]


@pytest.mark.parametrize(("scene", "direction", "kind", "hangs_up"), KINDS)
def test_no_call_is_left_half(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scene: Callable[..., Scene],
    direction: str,
    kind: str,
    hangs_up: str,
) -> None:
    killed_everywhere(Life(monkeypatch), tmp_path, lambda path, life: scene(path, life, direction, kind), hangs_up)
