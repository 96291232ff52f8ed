"""Calls in which the gateway is killed at a chosen point: before or after a message that it sends, or a record of its
journal that it writes. Users answer all that they get, and know how the call stands at their end.

    life.dies_after(point); scene.plays(); scene.goes_on(); scene.check(...)

Here: the point of the kill, a user, a call between two. Not here: the kinds of calls (tests/b2bua/survival).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.app.survival_part import RECORDS_SECONDS
from gateway.sip.message import Message, Request, Response
from gateway.state.journal.live_journal import LiveJournal
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, BINDING, SAVP, Ladder, Party

RELIABLY = (("Require", "100rel"), ("RSeq", "7"))
TIMER = (("Session-Expires", "90;refresher=uac"), ("Require", "timer"))
REFRESH_AFTER = 46.0
"""Seconds: half of the session interval, and a little."""
LIMIT = 40.0
"""Seconds within which a call is over."""


Fields = tuple[tuple[str, str], ...]


class Life:
    """Counts what leaves the gateway; from the point of its death on nothing does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: float = float("inf")
        self.events = self.most = 0
        monkeypatch.setattr(RecordingFlow, "send", self._counted(RecordingFlow.send))
        monkeypatch.setattr(LiveJournal, "_write", self._counted(LiveJournal._write))

    def dies_after(self, events: float) -> None:
        self.left, self.events = events, 0

    @property
    def is_over(self) -> bool:
        return self.events >= self.left

    def _counted(self, act: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            if self.events < self.left:
                self.events += 1
                self.most = max(self.most, self.events)
                act(*arguments)

        return counted


class User:
    """One side of the call: answers all that it gets, as RFC 3261 says, and knows how the call stands."""

    def __init__(self, party: Party, sdp: bytes, tag: str) -> None:
        self.party = party
        self.sdp = sdp
        self.tag = tag
        self.state = "idle"
        self.invite: Request | None = None
        self.answer: Response | None = None
        self.asked: Request | None = None
        self.unacknowledged: float | None = None
        self.has_heard = False
        self.cseq = 1
        self.is_late = self.is_reliable = False
        """Whether it calls without an offer, and whether its provisional responses are reliable."""
        self.fields: Fields = ()
        """Of its 2xx to INVITE and UPDATE."""
        self.rings_since = float("inf")
        self.seen: list[str] = []
        """All that came here."""
        self.number = ""
        """The number that it calls in the name of; a phone's calls are alice's."""
        self.is_slow = False
        """Whether it rings until `picks_up`."""
        self.open: dict[tuple[str, int], tuple[Request, float]] = {}
        """Its requests that nobody has answered, and since when."""

    def calls(self, uri: str) -> None:
        self.invite = self.party.invite(uri, b"" if self.is_late else self.sdp)
        if self.is_reliable:
            self.invite.headers.add("Supported", "100rel")
        if self.number:
            self.invite.headers.set("From", f"<sip:{self.number}@example.com>;tag={self.invite.from_.tag}")
        self.state = "calling"
        self._sends(self.invite)

    def asks(self, method: str, sdp: bytes = b"", fields: Fields = ()) -> None:
        """Send a request within the dialog."""
        self.cseq += 1
        if self.answer is not None:
            request = self.party.within(self.answer, method, sdp=sdp, cseq=self.cseq)
        else:
            assert self.asked is not None
            request = self.party.within_answered(self.asked, method, sdp=sdp, cseq=self.cseq, tag=self.tag)
        if method == "BYE":
            self.state = "over"
        for name, value in fields:
            request.headers.set(name, value)
        self._sends(request)

    def reads(self, now: float) -> bool:
        """Read the next message; False where there is none."""
        if not self.party.flow.sent:
            return False
        message = self.party.flow.sent.pop(0)
        self._take(message, now)
        return True

    def waits(self, now: float) -> None:
        """Time passes: what nobody has answered is sent again (RFC 3261 sections 17.1.1.2 and 13.3.1.4), a 2xx that
        nobody acknowledged has it say BYE, and a caller that has heard nothing gives up (timer B)."""
        self._sends_again(now)
        if self.state == "calling" and not self.has_heard and now > 32:
            self.state = "unheard"
        if self.unacknowledged is not None and now - self.unacknowledged > 32:
            self.unacknowledged = None
            if self.state == "up":
                self.asks("BYE")
        if self.state == "ringing" and self.asked is not None:  # its 183 is not acknowledged (RFC 3262 section 3)
            self.rings_since = min(self.rings_since, now)
            if now - self.rings_since > 32:
                self.state = "over"
                self._answers(self.asked, 504)

    def picks_up(self, now: float) -> None:
        """Answer the call that rings."""
        if self.state == "ringing" and self.asked is not None:
            self.state, self.unacknowledged = "up", now
            self._answers(self.asked, 200, b"" if self.is_reliable else self.sdp, self.fields)

    def _sends(self, request: Request) -> None:
        self.open[request.method, request.cseq.number] = request, float("inf")
        self.party.sends(request)

    def _sends_again(self, now: float) -> None:
        """Over UDP alone, and a 2xx over TLS as well."""
        for key, (request, since) in [*self.open.items()]:
            since = min(since, now)
            self.open[key] = request, since
            if now - since > 32 or self.party.flow.is_reliable:
                del self.open[key]
            elif int(2 * now) % 8 == 0:
                self.party.sends(request)
        if self.unacknowledged is not None and self.asked is not None and int(2 * now) % 8 == 4:
            self._answers(self.asked, 200, b"" if self.is_reliable else self.sdp, self.fields)

    def _take(self, message: Message, now: float) -> None:
        self.seen.append(message.method if isinstance(message, Request) else str(message.status))
        if isinstance(message, Response):
            self.has_heard = True
            self._response(message)
        elif message.method == "ACK":
            self.unacknowledged = None
        elif message.method == "BYE":
            self._answers(message, 200 if self.state == "up" else 481)
            self.state = "over"
        elif message.method == "CANCEL":
            self._answers(message, 200)
            if self.state == "ringing" and self.asked is not None:
                self.state = "over"
                self._answers(self.asked, 487)
        elif message.method == "INVITE" and message.to.tag is None:
            self._rings(message, now)
        elif message.method == "PRACK":
            self._answers(message, 200)
            self.picks_up(now)
        elif self.state != "up":
            self._answers(message, 481)
        else:
            is_invite, is_refresh = message.method == "INVITE", message.method in ("INVITE", "UPDATE")
            self._answers(message, 200, self.sdp if is_invite else b"", self.fields if is_refresh else ())

    def _rings(self, invite: Request, now: float) -> None:
        if self.asked is not None:
            return
        self.asked, self.state = invite, "ringing"
        if self.is_reliable:
            self._answers(invite, 183, self.sdp, RELIABLY)
        else:
            self._answers(invite, 180)
            if not self.is_slow:
                self.picks_up(now)

    def _response(self, response: Response) -> None:
        if response.status >= 200 or response.cseq.method == "INVITE":
            self.open.pop((response.cseq.method, response.cseq.number), None)
        number = response.headers.get("RSeq")
        if response.status < 200 and number is not None and self.state == "calling":
            self.cseq += 1
            prack = self.party.within(response, "PRACK", cseq=self.cseq)
            prack.headers.add("RAck", f"{number} {response.cseq.number} INVITE")
            self._sends(prack)
        if response.cseq.method != "INVITE" or response.status < 200 or self.invite is None:
            if response.cseq.method == "INVITE" and 200 <= response.status < 300:
                self._acknowledges(response)
            return
        if response.status < 300:
            if self.state == "calling":
                self.state, self.answer = "up", response
            self._acknowledges(response)
        elif response.cseq.number == 1 and self.state == "calling":
            self.state = "over"

    def _acknowledges(self, response: Response) -> None:
        tags = (response.from_.tag or "", response.to.tag or "")
        number = response.cseq.number
        sdp = self.sdp if self.is_late and response.body and number == 1 else b""  # the answer to a late offer
        ack = self.party.request("ACK", "sip:gw", sdp=sdp, call_id=response.call_id, cseq=number, tags=tags)
        self.party.sends(ack)

    def _answers(self, request: Request, status: int, sdp: bytes = b"", fields: Fields = ()) -> None:
        tag = (request.to.tag or self.tag) if request is not self.asked else self.tag
        self.party.answers(request, status, sdp=sdp, tag=tag, fields=fields)


class Scene:
    """A call from one user to others, one of whom answers, and the gateway that dies."""

    def __init__(self, directory: Path, life: Life, direction: str, kind: str = "held") -> None:
        self.life, self.kind, self.direction = life, kind, direction
        self.ladder = self.made(directory)
        self.caller, *self.callees = self.people()
        self.users = self.caller, *self.callees
        self.uri = self.called()
        self.caller.is_late = kind == "late offer"
        for user in self.users:
            user.is_reliable = kind == "PRACK"
        if kind == "refreshing":  # the provider takes UPDATE, a phone gets a re-INVITE
            takes_update = self.callees[0].party is self.ladder.provider
            self.callees[0].fields = (*TIMER, ("Allow", "INVITE, UPDATE" if takes_update else "INVITE"))

    def made(self, directory: Path) -> Ladder:
        """The gateway and all around it."""
        return Ladder(journal=directory)

    def people(self) -> Sequence[User]:
        """The caller, and those who are called; the first of them answers."""
        phone, provider = User(self.ladder.phone, AVP, "p1"), User(self.ladder.provider, SAVP, "t1")
        return (phone, provider) if self.direction == "outbound" else (provider, phone)

    def called(self) -> str:
        """The Request-URI of the caller's INVITE."""
        return "sip:bob@example.com" if self.direction == "outbound" else f"sip:{BINDING.token}@gw.example.com"

    @property
    def callee(self) -> User:
        """The one that has the call, else the one that is to answer."""
        return next((one for one in self.callees if one.state == "up"), self.callees[0])

    def plays(self, hangs_up: str) -> None:
        """The whole call, until the gateway is dead."""
        self.caller.calls(self.uri)
        self.settle()
        if self.callees[0].is_slow and not self.life.is_over:
            self.callees[0].picks_up(self.ladder.clock.seconds())
            self.settle()
        self.talks()
        user = self.caller if hangs_up == "caller" else self.callee
        if not self.life.is_over and user.state == "up":
            user.asks("BYE")
            self.settle()

    def talks(self) -> None:
        """All that happens between the answer and the end."""
        changes = ((self.caller, b"a=sendonly\r\n"), (self.callee, b"a=sendonly\r\n"), (self.caller, b""))
        for user, sdp in changes if self.kind == "held" else ():
            if not self.life.is_over and user.state == "up":
                user.asks("INVITE", user.sdp + sdp)
                self.settle()
        if self.kind == "refreshing":
            self._is_refreshed()

    def _is_refreshed(self) -> None:
        """By the gateway, then by the caller."""
        if not self.life.is_over:
            self.ladder.clock.advance(REFRESH_AFTER)
            self.settle()
        if not self.life.is_over and self.caller.state == "up":
            self.caller.asks("UPDATE")
            self.settle()

    def settle(self) -> None:
        """Let all read what they got; a dead gateway hears nothing."""
        now = self.ladder.clock.seconds()
        while not self.life.is_over:
            read = [user.reads(now) for user in self.users]
            if not any(read):
                return

    def is_recorded(self) -> None:
        """The record of a call that is over is written, unless the gateway is dead by then."""
        if not self.life.is_over:
            self.ladder.clock.advance(RECORDS_SECONDS)

    def goes_on(self) -> None:
        """The next gateway is there, and time passes."""
        flows = [user.party.flow for user in self.users]
        waiting = [list(flow.sent) for flow in flows]
        self.life.dies_after(float("inf"))
        self.ladder = self.killed()
        for user, flow, messages in zip(self.users, flows, waiting, strict=True):
            if user.party.flow is not flow:  # they had left before the kill
                user.party.flow.sent[:0] = messages
        for _ in range(int(2 * LIMIT)):
            self.settle()
            self.ladder.clock.advance(0.5)
            self.ladder.tidy()
            for user in self.users:
                user.waits(self.ladder.clock.seconds())
        self.settle()

    def killed(self) -> Ladder:
        """The next gateway, with the ways to its peers."""
        return self.ladder.killed()

    def check(self, point: str, hangs_up: str) -> None:
        """Either the caller and one who was called have the call, and it obeys, or nobody has it. It has one record."""
        states = [user.state for user in self.users]
        if "up" in states:
            assert self.caller.state == self.callee.state == "up", (point, states)
            assert states.count("up") == 2, (point, states)
            self.is_up(point)
            user = self.caller if hangs_up == "caller" else self.callee
            user.asks("BYE")
            self.settle()
            self.is_recorded()
            states = [user.state for user in self.users]
        assert set(states) <= {"over", "idle", "unheard"}, (point, states)
        assert not self.ladder.calls.active, point
        records = self.ladder.history.ids  # type: ignore[attr-defined]
        assert len(records) <= 1, (point, records)
        if self.caller.state == "over":
            assert len(records) == 1, point
        self.ladder.ends_clean()

    def is_up(self, point: str) -> None:
        """Look at a call that goes on, where there is more to see."""


def killed_everywhere(life: Life, directory: Path, scene: Callable[[Path, Life], Scene], hangs_up: str) -> Scene:
    """Play a scene whole, then kill the gateway at each of its points, each time in a new scene; the whole one."""
    (directory / "whole").mkdir()
    whole = scene(directory / "whole", life)
    life.dies_after(float("inf"))
    whole.plays(hangs_up)
    whole.is_recorded()
    assert {user.state for user in whole.users} == {"over"}, [(user.state, user.seen) for user in whole.users]
    points = life.events
    for point in range(points + 1):
        place = directory / str(point)
        place.mkdir()
        life.dies_after(float("inf"))
        one = scene(place, life)
        life.dies_after(point)
        one.plays(hangs_up)
        one.is_recorded()
        one.goes_on()
        one.check(f"{hangs_up} hangs up, killed after {point} of {points}", hangs_up)
        one.ladder.lets_go()
    return whole
