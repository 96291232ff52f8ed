"""Targets that do not answer are used last, and first again when they do."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from gateway.config.model import Provider
from gateway.observe.events import Events
from gateway.routing.health import PERIOD_DOWN, Health
from gateway.routing.locate import NotFound
from gateway.sip.message import Request
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transaction.pings import ANSWER_WITHIN
from gateway.transport.flow import Address, FailureKind, Flow, Target, Transport, TransportFailure
from tests.support.flows import RecordingFlow
from tests.support.ladder import PROVIDER

ONE, TWO = (Target(Transport.TLS, Address(f"198.51.100.{host}", 5061), "provider.example.com") for host in (1, 2))
SILENCE = TransactionFailure()


class Question:
    """One OPTIONS that was sent, until it is waited for no more."""

    def __init__(self, asked: list[tuple[Request, TransactionUser]], request: Request, user: TransactionUser) -> None:
        self._asked = asked
        self._entry = (request, user)
        asked.append(self._entry)

    def stop(self) -> None:
        self._asked.remove(self._entry)


class Questions:
    """A provider of two targets, which answer as they are told."""

    def __init__(self, ping_seconds: int = 30) -> None:
        self.clock = Clock()
        self.is_found = True
        self.asked: list[tuple[Request, TransactionUser]] = []
        self.spoke: list[Target] = []
        self.events = Events(lambda: 0.0)
        self.health = Health(self.clock, self._find, self._reach, self._send, self._note, self.events)
        self.ask_every(ping_seconds)

    def ask_every(self, seconds: int) -> None:
        """Let the configuration say so, from now on."""
        self.health.start([Provider("main", "sip:provider.example.com;transport=tls", ping_seconds=seconds)])

    def answer(self, *statuses: int | None) -> None:
        """Answer what is asked now, in order; None is silence."""
        assert len(self.asked) == len(statuses)
        asked = tuple(self.asked)
        self.asked.clear()
        for (request, user), status in zip(asked, statuses, strict=True):
            if status is None:
                user.transaction_failed(SILENCE)
            else:
                user.receive_response(request.response(status))

    def _find(self, uri: str) -> Deferred[list[Target]]:
        return succeed([ONE, TWO]) if self.is_found else fail(NotFound("the name has no addresses"))

    def _note(self, provider: Provider, target: Target) -> None:
        self.spoke.append(target)

    def _reach(self, provider: Provider, target: Target) -> Flow:
        return RecordingFlow(PROVIDER, target.address)

    def _send(self, request: Request, flow: Flow, user: TransactionUser) -> Question:
        return Question(self.asked, request, user)


def test_target_that_is_silent_twice_goes_last_until_it_answers() -> None:
    questions = Questions()
    questions.answer(None, 200)
    assert questions.health.order([ONE, TWO]) == [ONE, TWO]
    questions.answer(None)
    assert questions.health.order([ONE, TWO]) == [TWO, ONE]
    questions.clock.advance(5)
    questions.answer(404)
    assert questions.health.order([ONE, TWO]) == [ONE, TWO]


def test_target_of_which_a_call_hears_nothing_goes_last_and_is_asked_soon() -> None:
    questions = Questions()
    questions.answer(200, 200)
    questions.health.unheard(RecordingFlow(PROVIDER, ONE.address))
    assert questions.health.order([ONE, TWO]) == [ONE, TWO], "it has answered since the call began"
    questions.clock.advance(6)
    questions.health.unheard(RecordingFlow(PROVIDER, ONE.address))
    assert questions.health.order([ONE, TWO]) == [TWO, ONE]
    questions.clock.advance(5)
    questions.answer(200)
    assert questions.health.order([ONE, TWO]) == [ONE, TWO]


def test_an_answer_before_the_silence_began_counts_for_nothing() -> None:
    questions = Questions()
    questions.answer(200, 200)
    questions.clock.advance(1)
    questions.health.unheard(RecordingFlow(PROVIDER, ONE.address), 0.8)
    assert questions.health.order([ONE, TWO]) == [TWO, ONE]


def test_one_question_at_a_time_and_every_half_minute() -> None:
    questions = Questions()
    questions.clock.advance(3)
    questions.answer(200, 200)
    questions.clock.pump([1.0] * 26)
    questions.answer()
    questions.clock.advance(5)
    questions.answer(200, 200)


def test_server_that_wants_no_requests_is_down() -> None:
    questions = Questions()
    questions.answer(503, 200)
    questions.clock.advance(5)
    questions.answer(503)
    assert questions.health.standings() == [("tls 198.51.100.1:5061", False), ("tls 198.51.100.2:5061", True)]
    assert questions.health.targets() == {("main", True): 1, ("main", False): 1}


def test_a_provider_whose_name_leads_nowhere_has_nothing_that_is_up() -> None:
    questions = Questions()
    questions.answer(200, 200)
    assert questions.health.targets() == {("main", True): 2, ("main", False): 0}
    questions.is_found = False
    with capturedLogs() as events:
        questions.clock.pump([5.0] * 3)
        assert questions.health.targets() == {("main", True): 0, ("main", False): 2}
        questions.is_found = True
        questions.clock.advance(5)
    assert questions.health.targets() == {("main", True): 2, ("main", False): 0}
    assert [event["log_level"].name for event in events] == ["warn", "info"]


def test_nothing_is_left_after_the_stop() -> None:
    questions = Questions()
    questions.health.stop()
    assert not questions.clock.getDelayedCalls()


def test_question_is_a_whole_request() -> None:
    questions = Questions()
    request = questions.asked[0][0]
    assert (request.method, request.uri) == ("OPTIONS", "sip:provider.example.com;transport=tls")
    assert request.contact is not None
    assert request.to_bytes()


def test_whoever_answers_speaks_what_it_was_asked_over() -> None:
    questions = Questions()
    questions.answer(None, 503)
    assert questions.spoke == [TWO]


def test_who_wants_no_questions_is_not_asked_and_nothing_is_said_of_it() -> None:
    questions = Questions(ping_seconds=0)
    questions.clock.advance(100)
    questions.answer()
    assert questions.health.targets() == {}
    assert questions.health.order([TWO, ONE]) == [TWO, ONE]


def test_questions_come_as_often_as_configured() -> None:
    questions = Questions(ping_seconds=60)
    questions.answer(200, 200)
    questions.clock.pump([5] * 11)
    questions.answer()
    questions.clock.advance(5)
    questions.answer(200, 200)


def test_what_was_found_is_forgotten_when_nobody_is_asked_any_more() -> None:
    questions = Questions()
    questions.answer(None, 200)
    questions.clock.advance(5)
    questions.answer(None)
    assert questions.health.is_down(ONE)
    questions.ask_every(0)
    assert not questions.health.is_down(ONE)
    assert questions.health.standings() == []


def test_standing_says_since_when_and_why() -> None:
    questions = Questions()
    questions.answer(200, None)
    questions.clock.advance(5)
    [(_, user)] = questions.asked
    user.transaction_failed(TransactionFailure(TransportFailure(FailureKind.REFUSED, "its port refuses connections")))
    questions.asked.clear()
    up, down = sorted(questions.health.looked_at("main"), key=lambda standing: not standing.is_up)
    assert (up.is_up, up.why, up.changed) == (True, "", 0)
    assert (down.is_up, down.why, down.changed) == (False, "its port refuses connections", 5)
    questions.clock.advance(5)
    questions.answer(200)
    assert (down.is_up, down.why, down.changed) == (True, "", 10)


def test_targets_that_go_down_and_come_back_are_events() -> None:
    questions = Questions()
    questions.answer(None, 200)
    questions.clock.advance(5)
    questions.answer(None)
    questions.clock.advance(5)
    questions.answer(404)
    questions.is_found = False
    questions.clock.advance(5)
    questions.clock.advance(5)
    questions.is_found = True
    questions.clock.advance(5)
    told = [(str(event.name), event.who, event.fields["target"]) for _, event in questions.events.after(0)]
    assert told == [
        ("provider.down", "main", "tls 198.51.100.1:5061"),
        ("provider.up", "main", "tls 198.51.100.1:5061"),
        ("provider.down", "main", "sip:provider.example.com;transport=tls"),
        ("provider.up", "main", "sip:provider.example.com;transport=tls"),
    ]


def test_a_host_that_falls_silent_is_down_in_less_than_fifteen_seconds() -> None:
    questions = Questions(Provider("main", "sip:provider.example.com").ping_seconds)
    questions.answer(200, 200)
    questions.clock.pump([0.5] * 29)
    assert questions.health.targets() == {("main", True): 0, ("main", False): 2}


def test_a_host_that_loses_one_datagram_stays_up() -> None:
    questions = Questions()
    questions.answer(200, 200)
    questions.clock.pump([1.0] * 30)
    questions.clock.advance(ANSWER_WITHIN)
    questions.answer(200, 200)
    assert not questions.health.is_down(ONE)
    questions.clock.pump([1.0] * 20)
    questions.answer()


def test_an_answer_that_comes_too_late_says_nothing() -> None:
    questions = Questions()
    questions.answer(200, 200)
    questions.clock.pump([1.0] * 30)
    late = tuple(questions.asked)
    assert len(late) == 2
    questions.clock.advance(ANSWER_WITHIN)
    questions.clock.advance(ANSWER_WITHIN)
    assert questions.health.is_down(ONE)
    assert not questions.asked, "the next is asked with the next round"
    questions.clock.advance(PERIOD_DOWN)
    assert len(questions.asked) == 2


def test_a_stop_waits_for_no_answer() -> None:
    questions = Questions()
    questions.health.stop()
    assert not questions.clock.getDelayedCalls()


def test_silence_of_all_is_from_the_last_answer_on() -> None:
    """One target that answers is no silence; nor is a provider that is not asked."""
    questions = Questions()
    questions.answer(200, 200)
    questions.clock.advance(30)
    assert questions.health.silent_since() is None
    questions.answer(None, 200)
    questions.answer(None)
    assert questions.health.silent_since() is None
    questions.clock.advance(30)
    while questions.asked:
        questions.answer(*[None] * len(questions.asked))
    assert questions.health.silent_since() == 30
    assert questions.health.target_hosts() == {"198.51.100.1", "198.51.100.2"}
    assert not questions.health.are_names_lost()
    questions.ask_every(0)
    assert questions.health.silent_since() is None
    assert not questions.health.are_names_lost()


def test_names_that_lead_nowhere_are_silence_from_the_start_on() -> None:
    questions = Questions()
    questions.is_found = False
    while questions.asked:
        questions.answer(*[None] * len(questions.asked))
    questions.clock.advance(PERIOD_DOWN)
    assert questions.health.are_names_lost()
    assert questions.health.silent_since() == 0
