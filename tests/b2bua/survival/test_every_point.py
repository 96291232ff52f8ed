"""The gateway is killed at every point of a call: before and after each message that it sends and each record that it
writes, while the call is set up (also with a late offer, and by reliable provisional responses), held, resumed,
refreshed and hung up. Afterwards the call is up on both sides and obeys, or it is
over on both within 40 seconds; and it has one record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


class Life:
    """Counts what leaves the gateway; from the point of its death on nothing does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: float = float("inf")
        self.events = 0
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
        self.fields: tuple[tuple[str, str], ...] = ()
        """Of its 2xx to INVITE and UPDATE."""
        self.rings_since = float("inf")
        self.seen: list[str] = []
        """All that came here."""

    def calls(self, uri: str) -> None:
        self.invite = self.party.invite(uri, b"" if self.is_late else self.sdp)
        if self.is_reliable:
            self.invite.headers.add("Supported", "100rel")
        self.state = "calling"
        self.party.sends(self.invite)

    def asks(self, method: str, sdp: bytes = b"") -> None:
        """Send a request within the dialog."""
        self.cseq += 1
        if self.answer is not None:
            request = self.party.within(self.answer, method, sdp=sdp, cseq=self.cseq)
        else:
            assert self.asked is not None
            request = self.party.within_answered(self.asked, method, sdp=sdp, cseq=self.cseq, tag=self.tag)
        if method == "BYE":
            self.state = "over"
        self.changing = request
        self.party.sends(request)

    def reads(self, now: float) -> bool:
        """Read the next message; False where there is none."""
        if not self.party.flow.sent:
            return False
        message = self.party.flow.sent.pop(0)
        self._take(message, now)
        return True

    def waits(self, now: float) -> None:
        """Time passes: a 2xx that nobody acknowledged has it say BYE (RFC 3261 section 13.3.1.4), and a caller that has
        heard nothing gives up (timer B)."""
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
            self._picks_up(now)
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
            self._picks_up(now)

    def _picks_up(self, now: float) -> None:
        if self.state == "ringing" and self.asked is not None:
            self.state, self.unacknowledged = "up", now
            self._answers(self.asked, 200, b"" if self.is_reliable else self.sdp, self.fields)

    def _response(self, response: Response) -> None:
        number = response.headers.get("RSeq")
        if response.status < 200 and number is not None and self.state == "calling":
            self.cseq += 1
            prack = self.party.within(response, "PRACK", cseq=self.cseq)
            prack.headers.add("RAck", f"{number} {response.cseq.number} INVITE")
            self.party.sends(prack)
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

    def _answers(
        self, request: Request, status: int, sdp: bytes = b"", fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        tag = (request.to.tag or self.tag) if request is not self.asked else self.tag
        self.party.answers(request, status, sdp=sdp, tag=tag, fields=fields)


class Scene:
    """A call between both users, and the gateway that dies."""

    def __init__(self, directory: Path, life: Life, direction: str, kind: str = "held") -> None:
        self.life, self.kind = life, kind
        self.ladder = Ladder(journal=directory)
        phone, provider = User(self.ladder.phone, AVP, "p1"), User(self.ladder.provider, SAVP, "t1")
        self.users = phone, provider
        self.caller, self.callee = (phone, provider) if direction == "outbound" else (provider, phone)
        self.caller.is_late = kind == "late offer"
        self.caller.is_reliable = self.callee.is_reliable = kind == "PRACK"
        if kind == "refreshing":  # the provider takes UPDATE, a phone gets a re-INVITE
            allow = "INVITE, UPDATE" if direction == "outbound" else "INVITE"
            self.callee.fields = (*TIMER, ("Allow", allow))
        self.uri = "sip:bob@example.com" if direction == "outbound" else f"sip:{BINDING.token}@gw.example.com"

    def plays(self, hangs_up: str) -> None:
        """The whole call, until the gateway is dead."""
        self.caller.calls(self.uri)
        self.settle()
        changes = ((self.caller, b"a=sendonly\r\n"), (self.callee, b"a=sendonly\r\n"), (self.caller, b""))
        for user, sdp in changes if self.kind == "held" else ():
            if not self.life.is_over and user.state == "up":
                user.asks("INVITE", user.sdp + sdp)
                self.settle()
        if self.kind == "refreshing":
            self._is_refreshed()
        user = self.caller if hangs_up == "caller" else self.callee
        if not self.life.is_over and user.state == "up":
            user.asks("BYE")
            self.settle()

    def _is_refreshed(self) -> None:
        """By the gateway, then by the caller."""
        if not self.life.is_over:
            self.ladder.clock.advance(REFRESH_AFTER)
            self.settle()
        if not self.life.is_over and self.caller.state == "up":
            self.caller.asks("UPDATE")
            self.settle()

    def settle(self) -> None:
        """Let both sides read all that they got; a dead gateway hears nothing."""
        now = self.ladder.clock.seconds()
        while not self.life.is_over:
            read = [user.reads(now) for user in self.users]
            if not any(read):
                return

    def goes_on(self) -> None:
        """The next gateway is there, and time passes."""
        waiting = [list(user.party.flow.sent) for user in self.users]
        self.life.dies_after(float("inf"))
        self.ladder = self.ladder.killed()
        for user, messages in zip(self.users, waiting, strict=True):
            user.party.flow.sent[:0] = messages  # they had left before the kill
        for _ in range(int(2 * LIMIT)):
            self.settle()
            self.ladder.clock.advance(0.5)
            self.ladder.tidy()
            for user in self.users:
                user.waits(self.ladder.clock.seconds())
        self.settle()

    def check(self, point: str, hangs_up: str) -> None:
        """See the module."""
        states = [user.state for user in self.users]
        if "up" in states:
            assert states == ["up", "up"], (point, states)
            user = self.caller if hangs_up == "caller" else self.callee
            user.asks("BYE")
            self.settle()
            states = [user.state for user in self.users]
        assert set(states) <= {"over", "idle", "unheard"}, (point, states)
        assert not self.ladder.calls.active, point
        records = self.ladder.history.ids  # type: ignore[attr-defined]
        assert len(records) <= 1, (point, records)
        if self.caller.state == "over":
            assert len(records) == 1, point
        self.ladder.ends_clean()


KINDS = [
    ("held", "caller"),
    ("held", "callee"),
    ("late offer", "caller"),
    ("PRACK", "caller"),
    ("refreshing", "callee"),
]
SEEN = {"held": "ACK", "late offer": "ACK", "PRACK": "PRACK"}
"""A message that the callee gets in a call of each kind."""


@pytest.mark.parametrize(("kind", "hangs_up"), KINDS)
@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_no_call_is_left_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str, kind: str, hangs_up: str
) -> None:
    life = Life(monkeypatch)
    (tmp_path / "whole").mkdir()
    whole = Scene(tmp_path / "whole", life, direction, kind)
    life.dies_after(float("inf"))
    whole.plays(hangs_up)
    assert [user.state for user in whole.users] == ["over", "over"]
    points, seen = life.events, whole.callee.seen
    assert points > (30 if kind == "held" else 12)
    assert (SEEN.get(kind) or ("UPDATE" if direction == "outbound" else "INVITE")) in seen[1:], seen

    for point in range(points + 1):
        directory = tmp_path / str(point)
        directory.mkdir()
        life.dies_after(float("inf"))
        scene = Scene(directory, life, direction, kind)
        life.dies_after(point)
        scene.plays(hangs_up)
        scene.goes_on()
        scene.check(f"{direction}, {kind}, {hangs_up} hangs up, killed after {point} of {points}", hangs_up)
