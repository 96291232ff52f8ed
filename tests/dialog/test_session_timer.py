"""Session timers (RFC 4028): who refreshes when, and what is too short."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from gateway.dialog.session_timer import (
    Agreement,
    Preferences,
    Refresher,
    SessionExpires,
    SessionTimer,
    accept_answer,
    accept_offer,
    offer,
)
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request, Response
from tests.support.transactions import make_request

PREFERENCES = Preferences(interval=1800, smallest=120)


def invite(expires: str | None = None, *, supported: bool = True, smallest: int | None = None) -> Request:
    request = make_request("INVITE")
    if supported:
        request.headers.add("Supported", "100rel, Timer")
    if expires is not None:
        request.headers.add("x", expires)
    if smallest is not None:
        request.headers.add("Min-SE", str(smallest))
    return request


def answer(expires: str | None) -> Response:
    response = make_request("INVITE").response(200, to_tag="x")
    if expires is not None:
        response.headers.add("Session-Expires", expires)
    return response


@pytest.mark.parametrize(
    ("text", "seconds", "refresher"),
    [
        ("1800", 1800, None),
        ("90;refresher=uac", 90, Refresher.UAC),
        ("90 ; Refresher = UAS ;x=y", 90, Refresher.UAS),
        ("90;refresher=proxy", 90, None),
    ],
)
def test_session_expires_is_read(text: str, seconds: int, refresher: Refresher | None) -> None:
    assert SessionExpires.parse(text) == SessionExpires(seconds, refresher)


@pytest.mark.parametrize("text", ["", "soon", "-1", "4294967296", "90;;", "1e3"])
def test_session_expires_that_is_none(text: str) -> None:
    with pytest.raises(MalformedMessage):
        SessionExpires.parse(text)


def test_7_1_the_first_offer_leaves_the_choice_to_the_peer() -> None:
    assert offer(PREFERENCES) == (("Session-Expires", "1800"), ("Min-SE", "120"))


@pytest.mark.parametrize(("we_refresh", "refresher"), [(True, "uac"), (False, "uas")])
def test_7_4_a_refresh_offers_what_rules(we_refresh: bool, refresher: str) -> None:
    headers = offer(PREFERENCES, Agreement(600, we_refresh))
    assert headers == (("Session-Expires", f"600;refresher={refresher}"), ("Min-SE", "120"))


@pytest.mark.parametrize(
    ("expires", "agreement"),
    [
        (None, None),
        ("600;refresher=uac", Agreement(600, True)),
        ("600;refresher=uas", Agreement(600, False)),
        ("600", Agreement(600, True)),
        ("10;refresher=uas", Agreement(90, False)),
    ],
)
def test_7_2_the_2xx_decides(expires: str | None, agreement: Agreement | None) -> None:
    assert accept_answer(answer(expires)) == agreement


def test_7_3_a_422_raises_the_interval() -> None:
    refusal = make_request("INVITE").response(422, to_tag="x")
    refusal.headers.add("Min-SE", "3600")
    raised = PREFERENCES.raised_by(refusal)
    assert offer(raised) == (("Session-Expires", "3600"), ("Min-SE", "3600"))
    lower = make_request("INVITE").response(422, to_tag="x")
    lower.headers.add("Min-SE", "100;x=y")
    assert raised.raised_by(lower) == raised


@pytest.mark.parametrize(
    ("request_", "agreement", "headers"),
    [
        # Table 2 of section 9: whether the UAC knows timers, whom it names, who then refreshes.
        (invite("600", supported=False), Agreement(600, True), {"Session-Expires": "600;refresher=uas"}),
        (invite("600"), Agreement(600, False), {"Session-Expires": "600;refresher=uac", "Require": "timer"}),
        (
            invite("600;refresher=uac"),
            Agreement(600, False),
            {"Session-Expires": "600;refresher=uac", "Require": "timer"},
        ),
        (
            invite("600;refresher=uas"),
            Agreement(600, True),
            {"Session-Expires": "600;refresher=uas", "Require": "timer"},
        ),
        # The interval: lowered to ours, never below the request's Min-SE, never below 90.
        (invite("7200"), Agreement(1800, False), {"Session-Expires": "1800;refresher=uac", "Require": "timer"}),
        (
            invite("7200", smallest=3600),
            Agreement(3600, False),
            {"Session-Expires": "3600;refresher=uac", "Require": "timer"},
        ),
        (invite("10", supported=False), Agreement(90, True), {"Session-Expires": "90;refresher=uas"}),
        # No interval asked for.
        (invite(None), Agreement(1800, False), {"Session-Expires": "1800;refresher=uac", "Require": "timer"}),
        (invite(None, supported=False), None, {}),
    ],
)
def test_9_what_we_answer(request_: Request, agreement: Agreement | None, headers: dict[str, str]) -> None:
    agreed, added = accept_offer(PREFERENCES, request_)
    assert agreed == agreement
    assert dict(added) == headers


def test_9_an_interval_that_is_too_small_gets_422() -> None:
    with pytest.raises(Refused) as refused:
        accept_offer(PREFERENCES, invite("119"))
    assert refused.value.status == 422
    assert refused.value.headers == (("Min-SE", "120"),)


def test_a_refresh_of_the_peer_without_refresher_keeps_ours() -> None:
    agreement, headers = accept_offer(PREFERENCES, invite("600"), Agreement(600, True))
    assert agreement == Agreement(600, True)
    assert dict(headers)["Session-Expires"] == "600;refresher=uas"


class Session:
    """A timer that notes what it says and when."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.said: list[tuple[float, str]] = []
        self.timer = SessionTimer(self.clock, lambda: self._say("refresh"), lambda: self._say("expired"))

    def _say(self, what: str) -> None:
        self.said.append((self.clock.seconds(), what))

    def advance(self, seconds: int) -> None:
        self.clock.pump([1.0] * seconds)


def test_10_who_refreshes_does_so_at_half_the_interval() -> None:
    session = Session()
    session.timer.agree(Agreement(600, True))
    session.advance(310)
    session.timer.agree(Agreement(600, True))
    session.advance(310)
    assert session.said == [(300, "refresh"), (610, "refresh")]
    session.advance(1000)
    assert session.said[2:] == [(310 + 568, "expired")]
    assert session.clock.getDelayedCalls() == []


def test_10_who_waits_gives_up_a_bit_before_the_end() -> None:
    session = Session()
    session.timer.agree(Agreement(90, False))
    session.advance(100)
    assert session.said == [(60, "expired")]
    assert session.timer.agreement is None
    assert session.clock.getDelayedCalls() == []


def test_an_answer_without_session_expires_turns_the_timer_off() -> None:
    session = Session()
    session.timer.agree(Agreement(90, True))
    session.timer.agree(None)
    session.advance(200)
    assert session.said == []
    assert session.clock.getDelayedCalls() == []


def test_a_refresh_may_be_agreed_on_at_once() -> None:
    clock = Clock()
    said: list[float] = []

    def refresh() -> None:
        said.append(clock.seconds())
        timer.agree(Agreement(100, True))

    timer = SessionTimer(clock, refresh, lambda: said.append(-1))
    timer.agree(Agreement(100, True))
    clock.pump([1.0] * 160)
    assert said == [50, 100, 150]
    timer.stop()
    assert clock.getDelayedCalls() == []
