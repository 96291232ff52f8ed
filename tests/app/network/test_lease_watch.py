"""The watch over the lease: told and counted, and a renewal in silence that is one DHCPREQUEST in five minutes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.app.network.lease_client import DhcpClientFailed
from gateway.app.network.lease_watch import AGAIN, LOOK_SECONDS, LeaseWatch, SipSilence, lease_answer
from gateway.base.network.dhcp.dhcp_messages import ReplyKind, RequestKind
from gateway.base.network.dhcp.lease_report import LeaseAnswer, LeaseQuestion, answer_of, question_of, report_of
from gateway.config.model import NetworkMode, NetworkTerms
from gateway.observe.metrics import Metrics
from tests.support.network.dhcp_server import FIRST, OTHER_MAC, Wire


class Client(Wire):
    """The DHCP client with its rules: its machine, and a router that answers or not."""

    def __init__(self) -> None:
        super().__init__()
        self.is_router_there = True
        self.asked: list[LeaseQuestion] = []

    def ask(self, question: LeaseQuestion) -> LeaseAnswer:
        question = question_of(question.encoded())
        self.asked.append(question)
        self.taken = set(question.taken or ())
        renewed, wait = "", 0.0
        if question.renew and self.is_router_there and not question.even_with_router:
            renewed = "router"
        elif question.renew:
            wait = self.machine.renew(self.now)
            self.advance(0)
            renewed, wait = ("sent", 0.0) if not wait else ("idle", 0.0) if wait == float("inf") else ("wait", wait)
        return answer_of(LeaseAnswer(report_of("eth0", self.machine, self.now), renewed, wait).encoded())


class Place:
    """A watch over a client, and SIP that a test silences. One clock drives both."""

    def __init__(self, **terms: Any) -> None:
        self.reactor = Clock()
        self.client = Client()
        self.is_there = True
        self.since: float | None = None
        self.are_names_lost = False
        self.metrics = Metrics(CollectorRegistry())
        silence = SipSilence(lambda: self.since, lambda: self.are_names_lost, lambda: ["2001:db8::1", "198.51.100.1"])
        how = attrs.evolve(NetworkTerms(NetworkMode.DHCP, "eth0", renew_after_seconds=60), **terms)
        self.watch = LeaseWatch(how, self._ask, silence, self.metrics, self.reactor)
        self.client.bind()

    def pass_by(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.reactor.advance(1)
            self.client.advance(1)

    def told(self) -> list[str]:
        return [str(event.name) for _, event in self.metrics.events.after(0)]

    def requests(self) -> int:
        return sum(one.kind is RequestKind.REQUEST for one in self.client.sent)

    def renewals(self, result: str) -> float | None:
        return self.metrics.value("gateway_dhcp_renewals_total", {"cause": "asked", "result": result})

    def _ask(self, question: LeaseQuestion) -> Deferred[LeaseAnswer]:
        if not self.is_there:
            return fail(DhcpClientFailed("nobody answers at /run/x.sock"))
        return succeed(self.client.ask(question))


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    made.watch.start()
    yield made
    made.watch.stop()


def test_silence_of_sixty_seconds_is_exactly_one_request_in_five_minutes(place: Place) -> None:
    """Provider and router are silent: the client sends one DHCPREQUEST, and no copy of it."""
    before = place.requests()
    place.client.is_router_there = False
    place.since = place.reactor.seconds()
    place.pass_by(59)
    assert place.requests() == before
    place.pass_by(6)
    assert place.requests() == before + 1
    place.pass_by(294)
    assert place.requests() == before + 1
    assert place.told() == ["network.renewal_asked", "network.dhcp_silent"]
    place.pass_by(10)
    assert place.requests() == before + 2


def test_an_interval_that_is_longer_is_kept(place: Place) -> None:
    place = Place(renew_interval=900)
    place.watch.start()
    place.client.is_router_there = False
    place.since = 0.0
    before = place.requests()
    place.pass_by(60 + 899)
    assert place.requests() == before + 1
    place.watch.stop()


def test_while_the_router_answers_nothing_is_renewed(place: Place) -> None:
    before = place.requests()
    place.since = place.reactor.seconds()
    place.pass_by(600)
    assert place.requests() == before
    orders = [one for one in place.client.asked if one.renew]
    assert 0 < len(orders) <= 600 / AGAIN
    assert place.told() == []


def test_a_router_says_nothing_where_no_name_is_found(place: Place) -> None:
    before = place.requests()
    place.since, place.are_names_lost = place.reactor.seconds(), True
    place.pass_by(70)
    assert place.requests() == before + 1


def test_one_provider_that_answers_is_no_silence(place: Place) -> None:
    place.client.is_router_there = False
    place.pass_by(3000)
    assert not any(one.renew for one in place.client.asked)


def test_without_the_key_nothing_is_asked_for() -> None:
    place = Place(renew_after_seconds=0)
    place.watch.start()
    place.client.is_router_there = False
    place.since = 0.0
    place.pass_by(600)
    assert not any(one.renew for one in place.client.asked)
    place.watch.stop()


def test_the_same_address_again_is_told(place: Place) -> None:
    place.client.is_router_there = False
    place.since = place.reactor.seconds()
    place.pass_by(60)
    place.client.answer(ReplyKind.ACK)
    place.since = None
    place.pass_by(10)
    assert place.told() == ["network.renewal_asked", "network.renewed_same"]
    assert place.renewals("same") == 1
    assert place.metrics.value("gateway_dhcp_client_up") == 1
    lease = place.metrics.value("gateway_dhcp_lease_seconds")
    assert lease is not None
    assert 3580 < lease <= 3600


def test_the_clients_word_is_told_once(place: Place) -> None:
    place.pass_by(LOOK_SECONDS)
    place.is_there = False
    place.pass_by(60)
    assert place.told() == ["network.dhcp_lost"]
    assert place.metrics.value("gateway_dhcp_client_up") == 0
    assert place.metrics.value("gateway_dhcp_lease_seconds") is None
    assert lease_answer(place.watch).why == "nobody answers at /run/x.sock"
    place.is_there = True
    place.pass_by(10)
    assert place.told() == ["network.dhcp_lost", "network.dhcp_back"]
    assert lease_answer(place.watch).address == FIRST


def test_no_lease_may_name_a_peers_address(place: Place) -> None:
    """They are told with each question; IPv6 is nothing to a client of DHCPv4."""
    assert place.client.asked[0].taken == ("198.51.100.1",)


def test_other_servers_are_told_once_each(place: Place) -> None:
    for number in range(20):
        place.client.machine.others.note(f"10.78.0.1{number % 10}", OTHER_MAC, place.client.now)
    place.pass_by(60)
    assert place.told() == ["network.rogue_dhcp"] * 8
    assert place.metrics.value("gateway_dhcp_other_servers") == 8
    assert len(lease_answer(place.watch).others) == 8


def test_a_client_that_was_started_again_counts_from_its_start(place: Place) -> None:
    place.client.is_router_there = False
    place.since = place.reactor.seconds()
    place.pass_by(80)
    assert place.told() == ["network.renewal_asked", "network.dhcp_silent"]
    place.since = None
    place.client.machine.renewals.counts.clear()
    place.pass_by(10)
    assert place.told() == ["network.renewal_asked", "network.dhcp_silent"]


def test_an_operator_renews_though_the_router_answers(place: Place) -> None:
    before = place.requests()
    answers: list[LeaseAnswer] = []
    for _ in range(2):
        Deferred.fromCoroutine(place.watch.renew()).addCallback(answers.append)
    assert [one.renewed for one in answers] == ["sent", "wait"]
    assert place.requests() == before + 1


def test_a_stop_waits_for_no_answer() -> None:
    place = Place()
    waiting: Deferred[LeaseAnswer] = Deferred()
    silence = SipSilence(lambda: None, lambda: False, list)
    watch = LeaseWatch(NetworkTerms(NetworkMode.DHCP, "eth0"), lambda _: waiting, silence, place.metrics, place.reactor)
    watch.start()
    watch.stop()
    assert waiting.called
    assert place.told() == []
