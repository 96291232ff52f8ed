"""Checks at a port, judged without sockets: who counts, who is asked, and that a captured check counts for nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from gateway.media.worker.streams.counters import Counters
from gateway.media.worker.web import ice
from gateway.media.worker.web.ice import IceCredentials
from gateway.media.worker.web.ice_responder import (
    MOST_QUESTIONS,
    MOST_WRONG,
    MOST_WRONG_ANSWERS,
    IceResponder,
    ValidCheck,
)
from gateway.media.worker.web.web_peer import CONSENT_SECONDS, MOST_ADDRESSES, WebPeer
from tests.support.media_browser import Browser, sealed

HOME, AWAY, THIEF = ("192.0.2.1", 4_000), ("192.0.2.2", 4_000), ("198.51.100.9", 4_000)
OURS = IceCredentials("ours", "o" * 22)


class Port:
    """A responder with one peer, and the browser that it is about."""

    def __init__(self, *, knows_sdp: bool = True) -> None:
        self.browser = Browser("127.0.0.1")
        self.browser.far = {"ice-ufrag": OURS.ufrag, "ice-pwd": OURS.password}
        self.browser.target = ("203.0.113.5", 30_000)
        self.peer = WebPeer(OURS)
        self.tally: Counter[str] = Counter()
        self.now = 1_000.0
        self.counters = Counters(0.0)
        self.responder = IceResponder(self.counters, self.tally)
        if knows_sdp:
            self.describe()

    def describe(self) -> None:
        self.peer.theirs, self.peer.far = self.browser.ufrag, IceCredentials(self.browser.ufrag, self.browser.password)

    def take(self, packet: bytes, source: tuple[str, int]) -> tuple[ValidCheck | None, list[bytes]]:
        """As web_end does: one that counts is heard."""
        heard, replies = self.responder.receive(packet, source, self.now, {OURS.ufrag: self.peer})
        if heard is not None:
            heard.peer.hear(source, self.now, is_nominating=heard.is_nominating)
        return heard, replies

    def prove(self, source: tuple[str, int], *, nominate: bool = True) -> ValidCheck | None:
        """A check of the browser's from there, and its answer to the question."""
        _, (question, _) = self.take(self.browser.request(nominate=nominate), source)
        return self.take(self.browser.reply(question), source)[0]


@pytest.fixture
def port() -> Iterator[Port]:
    made = Port()
    yield made
    made.browser.close()


@pytest.fixture
def early() -> Iterator[Port]:
    """One whose browser has not sent its SDP."""
    made = Port(knows_sdp=False)
    yield made
    made.browser.close()


def test_rfc8445_7_3_a_new_source_is_answered_and_asked_and_counts_once_it_has_answered(port: Port) -> None:
    check = port.browser.request()
    heard, (question, answer) = port.take(check, HOME)
    assert heard is None
    assert port.browser.mapped(answer) == HOME
    assert not port.peer.addresses
    heard = port.take(port.browser.reply(question), HOME)[0]  # the integrity of the question is looked at there
    assert heard == ValidCheck(port.peer, is_nominating=True)
    assert port.peer.nominated == HOME
    heard, replies = port.take(port.browser.request(), HOME)
    assert (heard, len(replies)) == (ValidCheck(port.peer, is_nominating=True), 1)
    assert port.tally == {"unproved": 1, "ok": 1}


def test_a_nomination_is_the_one_of_the_check_that_was_asked_about_rfc_8445_8_2(port: Port) -> None:
    assert port.prove(HOME, nominate=False) == ValidCheck(port.peer, is_nominating=False)
    assert port.prove(AWAY, nominate=False) == ValidCheck(port.peer, is_nominating=False)
    assert port.peer.nominated == HOME
    port.take(port.browser.request(), AWAY)
    assert port.peer.nominated == AWAY


def test_a_captured_check_sent_from_another_address_changes_nothing_however_often(port: Port) -> None:
    port.prove(HOME)
    used, unused = port.browser.request(), port.browser.request()
    port.take(used, HOME)
    for check in (used, unused) * 10:  # one that arrived, and one that was kept from arriving
        heard, (question, _) = port.take(check, THIEF)
        assert heard is None
        assert port.take(question, THIEF) == (None, [])
    assert (port.peer.nominated, [*port.peer.addresses]) == (HOME, [HOME])
    assert not port.peer.is_valid(THIEF, port.now)
    assert port.tally["unproved"] == 21


def test_rfc7675_5_1_captured_checks_are_nobodys_consent(port: Port) -> None:
    port.prove(HOME)
    check = port.browser.request()
    heard_at = port.now
    for _ in range(60):
        port.now += 1.0
        assert port.take(check, THIEF)[0] is None
    assert port.peer.addresses == {HOME: heard_at}
    assert not port.peer.is_valid(HOME, port.now)


def test_after_its_consent_ran_out_an_address_proves_itself_again(port: Port) -> None:
    port.prove(HOME)
    port.now += CONSENT_SECONDS + 1.0
    assert port.take(port.browser.request(), HOME)[0] is None
    assert port.prove(HOME) is not None


def another_source(port: Port, question: bytes) -> tuple[bytes, tuple[str, int]]:
    return port.browser.reply(question), THIEF


def another_password(port: Port, question: bytes) -> tuple[bytes, tuple[str, int]]:
    return sealed(0x0101, question[8:20], b"", "x" * 24), HOME


def another_transaction(port: Port, question: bytes) -> tuple[bytes, tuple[str, int]]:
    return sealed(0x0101, question[8:9] + bytes(11), b"", port.browser.password), HOME


def cut_short(port: Port, question: bytes) -> tuple[bytes, tuple[str, int]]:
    return port.browser.reply(question)[:-4], HOME


@pytest.mark.parametrize("forged", [another_source, another_password, another_transaction, cut_short])
def test_only_the_browsers_answer_from_the_very_source_proves_it(
    port: Port, forged: Callable[[Port, bytes], tuple[bytes, tuple[str, int]]]
) -> None:
    _, (question, _) = port.take(port.browser.request(), HOME)
    packet, source = forged(port, question)
    assert port.take(packet, source) == (None, [])
    assert not port.peer.addresses
    assert port.take(port.browser.reply(question), HOME)[0] is not None


def test_an_answer_of_before_proves_nothing(port: Port) -> None:
    _, (question, _) = port.take(port.browser.request(), HOME)
    reply = port.browser.reply(question)
    port.now += 5.0
    assert port.take(reply, HOME)[0] is not None
    for later in (10.0, 100.0, 640.0 - 10.0):
        port.now += later
        assert port.take(reply, HOME)[0] is None


def test_a_browser_without_an_sdp_counts_from_its_first_source_alone(early: Port) -> None:
    """In calls to a browser checks come before the answer: it cannot be asked without its password."""
    assert early.take(early.browser.request(), HOME)[0] is not None
    assert len(early.take(early.browser.request(), HOME)[1]) == 1
    heard, replies = early.take(early.browser.request(), AWAY)
    assert (heard, len(replies)) == (None, 1)
    early.describe()
    assert early.prove(AWAY) is not None
    assert early.peer.nominated == AWAY


def test_further_sources_before_the_sdp_are_asked_when_it_is_there_without_another_check(early: Port) -> None:
    """A browser with two interfaces has chosen the second: its DTLS is not to wait for its next check, in seconds."""
    early.take(early.browser.request(nominate=False), HOME)
    early.take(early.browser.request(), AWAY)
    for number in range(100):
        early.take(early.browser.request(), ("198.51.100.9", number + 1))
    assert len(early.peer.claims) == MOST_ADDRESSES
    early.describe()
    asked = early.responder.questions_after_sdp(early.peer, early.now)
    assert [source for source, _ in asked][:2] == [HOME, AWAY]
    assert early.responder.questions_after_sdp(early.peer, early.now) == []
    for source, question in asked[1::-1]:
        assert early.take(early.browser.reply(question), source)[0] is not None
    assert early.peer.nominated == AWAY
    assert {*early.peer.addresses} == {HOME, AWAY}, "the first was asked, too: it is not shut out until its next check"


def test_who_was_first_with_a_captured_check_loses_to_the_browser_that_proves_itself(early: Port) -> None:
    check = early.browser.request()
    assert early.take(check, THIEF)[0] is not None
    early.describe()
    assert early.take(check, THIEF)[0] is not None
    assert early.prove(HOME, nominate=False) is not None
    assert early.peer.nominated == HOME
    assert early.take(check, THIEF)[0] is None
    assert [*early.peer.addresses] == [HOME]


def test_questions_are_so_many_a_second(port: Port) -> None:
    asked = [len(port.take(port.browser.request(), ("198.51.100.9", number))[1]) == 2 for number in range(1, 200)]
    assert sum(asked) == MOST_QUESTIONS


def bare(port: Port, question: bytes, number: int) -> bytes:
    """Twenty bytes that anybody can send under any source."""
    return b"\x01\x01\0\0" + ice.MAGIC + number.to_bytes(12, "big")


def marked(port: Port, question: bytes, number: int) -> bytes:
    """The same, of somebody who knows the time slot of the question."""
    return b"\x01\x01\0\0" + ice.MAGIC + question[8:9] + number.to_bytes(11, "big")


@pytest.mark.parametrize("junk", [bare, marked])
def test_replies_that_nobody_asked_for_keep_out_neither_an_answer_nor_a_check(
    port: Port, junk: Callable[[Port, bytes, int], bytes]
) -> None:
    _, (question, _) = port.take(port.browser.request(), HOME)
    for number in range(10 * MOST_WRONG_ANSWERS):
        assert port.take(junk(port, question, number), HOME) == (None, [])
    assert len(port.take(port.browser.request(), AWAY)[1]) == 2
    assert port.take(port.browser.reply(question), HOME)[0] is not None
    assert port.tally["unasked"] == port.counters.wrong_source == 10 * MOST_WRONG_ANSWERS
    assert [*port.peer.addresses] == [HOME]


def test_wrong_answers_of_somebody_who_was_asked_are_so_many_a_second_and_keep_out_no_check(port: Port) -> None:
    """One who sent a captured check has a question, and cannot answer it."""
    forged, source = another_password(port, port.take(port.browser.request(), HOME)[1][0])
    for _ in range(MOST_WRONG_ANSWERS):
        assert port.take(forged, source) == (None, [])
    _, (question, _) = port.take(port.browser.request(), AWAY)
    assert port.take(port.browser.reply(question), AWAY)[0] is None
    port.now += 1.0
    assert port.take(port.browser.reply(question), AWAY)[0] is not None
    assert port.tally["unasked"] == MOST_WRONG_ANSWERS + 1


def test_wrong_checks_are_so_many_a_second_and_keep_out_no_answer(port: Port) -> None:
    _, (question, _) = port.take(port.browser.request(), HOME)
    for _ in range(MOST_WRONG + 1):
        assert port.take(port.browser.request(password="x" * 22), THIEF) == (None, [])
    assert (port.tally["wrong"], port.tally["limited"]) == (MOST_WRONG, 1)
    assert port.take(port.browser.reply(question), HOME)[0] is not None


def test_rfc8445_9_an_answer_after_a_restart_is_the_one_of_the_password_that_it_has(port: Port) -> None:
    """One mark serves both peers of the port; each browser's password still proves its own address alone."""
    _, (question, _) = port.take(port.browser.request(), HOME)
    other = WebPeer(IceCredentials("more", "m" * 22), "else", IceCredentials("else", "e" * 24))
    peers = {"more": other, OURS.ufrag: port.peer}
    heard, _ = port.responder.receive(port.browser.reply(question), HOME, port.now, peers)
    assert heard == ValidCheck(port.peer, is_nominating=True)
