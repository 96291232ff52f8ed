"""Requests on their way to a provider: TLS first, and in clear only where the policy allows it."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from gateway.config.model import Domain, Downgrade, Provider, Security, Side, Signalling
from gateway.observe.metrics import Metrics
from gateway.routing.forward import NextHop
from gateway.routing.health import MISSES, PERIOD_DOWN
from gateway.routing.locate import NotFound
from gateway.routing.trunk import Trunk
from gateway.security.answering import Answering
from gateway.security.policy.peer_memory import LACK_SECONDS, Feature, Peer, PeerMemory
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transport.flow import (
    Address,
    FailureKind,
    Flow,
    Target,
    TlsTerms,
    Transport,
    TransportFailure,
    is_ip_address,
)
from tests.support.flows import a_flow
from tests.support.transactions import RecordingUser, make_request

TLS = "sip:provider.example.com;transport=tls"
FALLBACK = "sip:provider.example.com;transport=udp"


class Road:
    """A trunk whose locator, transport and transactions are this object; what fails is a table."""

    def __init__(self, uri: str = TLS, fallback: str | None = FALLBACK, hosts: int = 1) -> None:
        self.provider = Provider("main", uri, trust=Path("/nowhere/ca.pem"), fallback_uri=fallback)
        self.failures: dict[str, FailureKind] = {}
        self.unknown: set[str] = set()
        self.tried: list[str] = []
        self.addresses: list[str] = []
        self.terms: list[TlsTerms | None] = []
        self.stale: list[FailureKind] = []
        """What becomes, one by one, of requests over connections that were up already; then they are up no more."""
        self.provisional = False
        self.silent: set[str] = set()
        self.now = 1000.0
        self.clock = Clock()
        self.metrics = Metrics(CollectorRegistry())
        self.memory = PeerMemory(lambda: self.now, self.metrics)
        self.trunk = Trunk(self.clock, self, self, self, self.memory, Answering())  # type: ignore[arg-type]
        self._hosts = hosts

    def at_once(self, uri: Uri) -> Target | None:
        transport = Transport(uri.transport or "udp")
        return Target(transport, Address(uri.host, 5060), uri.host) if is_ip_address(uri.host) else None

    def locate(self, uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        if uri.transport in self.unknown:
            return fail(NotFound(uri.host))
        transports = [Transport(uri.transport)] if uri.transport else [Transport.UDP, Transport.TLS]
        return succeed(
            [
                Target(transport, Address(f"192.0.2.{number}", transport.default_port), uri.host)
                for transport in transports
                for number in range(1, self._hosts + 1)
            ]
        )

    def flow_to(self, target: Target, side: Side, tls: TlsTerms | None = None) -> Flow:
        self.tried.append(str(target.transport))
        self.addresses.append(target.address.host)
        self.terms.append(tls)
        flow = a_flow(target.transport.value, side)
        flow.connected = bool(self.stale)
        flow.remote = target.address
        return flow

    def send_request(self, request: Request, flow: Flow, user: TransactionUser) -> None:
        if self.provisional:
            user.receive_response(request.response(100))
        if flow.remote.host in self.silent:
            user.transaction_failed(TransactionFailure())
            return
        kind = self.stale.pop(0) if self.stale else self.failures.get(flow.transport.value)
        if kind is None:
            user.receive_response(request.response(200))
        else:
            user.transaction_failed(TransactionFailure(TransportFailure(kind, "made by the test")))

    def carries(self, security: Security, downgrade: Downgrade = Downgrade.ALERT) -> RecordingUser:
        self.tried.clear()
        user = RecordingUser()
        request = make_request("MESSAGE")
        domain = Domain("example.com", "main", security, downgrade)
        self.trunk.forward(request, NextHop(domain, self.provider), user, lambda request, flow: None)
        return user


def test_a_provider_with_a_numeric_host_has_one_way_at_once_and_only_over_its_transport() -> None:
    named = Road()
    for signalling in Signalling:
        assert named.trunk.way_at_once(named.provider, signalling) is None
    road = Road(uri="sip:192.0.2.7;transport=tls", fallback=None)
    way = road.trunk.way_at_once(road.provider, Signalling.TLS)
    assert way is not None
    assert way().remote.host == "192.0.2.7"
    assert road.trunk.way_at_once(road.provider, Signalling.CLEAR) is None
    assert road.trunk.way_at_once(Provider("main", "sip:192.0.2.7"), Signalling.TLS) is None


@pytest.mark.parametrize(
    ("security", "failure", "tried"),
    [
        (Security.REQUIRED, None, ["tls"]),
        (Security.PREFERRED, None, ["tls"]),
        (Security.OFF, None, ["udp"]),
        (Security.REQUIRED, FailureKind.REFUSED, ["tls"]),
        (Security.PREFERRED, FailureKind.REFUSED, ["tls", "udp"]),
        (Security.PREFERRED, FailureKind.TIMEOUT, ["tls", "udp"]),
        (Security.PREFERRED, FailureKind.TLS, ["tls", "udp"]),
        (Security.PREFERRED, FailureKind.CERTIFICATE, ["tls"]),
        (Security.PREFERRED, FailureKind.CLOSED, ["tls"]),
        (Security.OFF, FailureKind.CERTIFICATE, ["udp"]),
    ],
)
def test_clear_follows_only_a_lack_of_tls_and_only_where_allowed(
    security: Security, failure: FailureKind | None, tried: list[str]
) -> None:
    road = Road()
    if failure is not None:
        road.failures["tls"] = failure
    user = road.carries(security)
    assert road.tried == tried
    fails = failure is not None and tried == ["tls"]
    assert (len(user.responses), len(user.failures)) == ((0, 1) if fails else (1, 0))
    if fails:
        transport = user.failures[0].transport
        assert transport is not None
        assert transport.kind is failure


def test_without_a_place_in_clear_nothing_leaves_in_clear() -> None:
    road = Road(fallback=None)
    road.failures["tls"] = FailureKind.REFUSED
    assert len(road.carries(Security.PREFERRED).failures) == 1
    assert road.tried == ["tls"]


def test_a_uri_without_transport_is_taken_over_tls_only_when_that_is_wanted() -> None:
    road = Road("sip:provider.example.com", None)
    road.carries(Security.REQUIRED)
    assert road.tried == ["tls"]
    assert road.terms == [TlsTerms(road.provider.trust)]
    road.carries(Security.OFF)
    assert road.tried == ["udp"]
    assert road.terms[1] is None


def test_every_target_is_tried_but_none_after_a_wrong_certificate() -> None:
    road = Road(hosts=3)
    road.failures["tls"] = FailureKind.CLOSED
    road.carries(Security.REQUIRED)
    assert road.tried == ["tls"] * 3
    road.failures["tls"] = FailureKind.CERTIFICATE
    road.carries(Security.REQUIRED)
    assert road.tried == ["tls"]


def test_a_name_that_leads_nowhere_is_a_lack_of_tls_to_be_told() -> None:
    road = Road()
    road.unknown = {"tls"}
    assert len(road.carries(Security.PREFERRED).responses) == 1
    assert road.tried == ["udp"]
    road.unknown = {"tls", "udp"}
    failure = road.carries(Security.PREFERRED).failures[0].transport
    assert failure is not None
    assert failure.kind is FailureKind.DNS


def test_targets_that_do_not_answer_are_taken_last() -> None:
    road = Road(hosts=2)
    road.silent = {"192.0.2.1"}
    road.trunk.health.start([road.provider])
    road.clock.pump([PERIOD_DOWN] * MISSES)
    road.silent.clear()
    road.failures["tls"] = FailureKind.CLOSED
    road.addresses.clear()
    road.carries(Security.REQUIRED)
    assert road.addresses == ["192.0.2.2", "192.0.2.1"]


def test_a_provider_that_answers_a_question_over_tls_is_known_to_speak_it() -> None:
    road = Road()
    road.trunk.health.start([road.provider])
    assert road.memory.known(Peer.of(road.provider)).tls is True


def test_what_a_provider_does_is_remembered_and_a_downgrade_counted() -> None:
    road = Road()
    peer = Peer.of(road.provider)
    road.carries(Security.PREFERRED)
    assert road.memory.known(peer).tls is True
    road.failures["tls"] = FailureKind.REFUSED
    assert len(road.carries(Security.PREFERRED, Downgrade.REFUSE).failures) == 1
    assert road.tried == ["tls"]
    assert len(road.carries(Security.PREFERRED).responses) == 1
    counted = {
        result: road.metrics.value("gateway_downgrades_total", {"feature": "tls", "result": result})
        for result in ("refused", "allowed")
    }
    assert counted == {"refused": 1, "allowed": 1}


def test_a_peer_that_lacks_tls_is_asked_again_after_a_while() -> None:
    road = Road()
    road.failures["tls"] = FailureKind.REFUSED
    road.carries(Security.PREFERRED)
    road.carries(Security.PREFERRED)
    assert road.tried == ["udp"]
    road.carries(Security.REQUIRED)
    assert road.tried == ["tls"], "required never takes a lack for granted"
    road.now += LACK_SECONDS
    road.carries(Security.PREFERRED)
    assert road.tried == ["tls", "udp"]
    assert road.memory.all()[0][1].at(Feature.TLS, did=True) is None


@pytest.mark.parametrize(
    ("stale", "tried"),
    [
        ([FailureKind.CLOSED], 2),
        ([FailureKind.CLOSED, FailureKind.CLOSED], 2),
        ([FailureKind.CERTIFICATE], 1),
    ],
)
def test_a_connection_that_was_up_and_is_dead_is_replaced_once(stale: list[FailureKind], tried: int) -> None:
    road = Road()
    road.stale = [*stale]
    user = road.carries(Security.REQUIRED)
    assert len(road.tried) == tried
    assert len(user.responses) == (stale == [FailureKind.CLOSED])


def test_a_request_that_was_heard_of_is_not_repeated() -> None:
    road = Road()
    road.stale, road.provisional = [FailureKind.CLOSED], True
    assert len(road.carries(Security.REQUIRED).failures) == 1
    assert road.tried == ["tls"]


class TwoUris(Road):
    """A road to a provider with two URIs; the name of the second one is silent."""

    def __init__(self) -> None:
        super().__init__(fallback=None)
        self.first = self.provider
        self.provider = attrs.evolve(self.first, more_uris=("sip:two.example.com;transport=tls",))

    def locate(self, uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        return Deferred() if uri.host == "two.example.com" else super().locate(uri, default)

    def holds_up(self) -> bool:
        """Whether a call would wait for the second name."""
        return not self.trunk.ways(self.provider, Signalling.TLS).called


def test_a_silent_name_holds_up_no_call_while_the_server_before_it_answers() -> None:
    road = TwoUris()
    assert road.holds_up(), "nothing is known of the first"
    road.trunk.health.start([road.first])
    assert not road.holds_up()
    road.silent = {"192.0.2.1"}
    road.clock.pump([PERIOD_DOWN] * 10)
    assert road.holds_up(), "the first does not answer"
    road.trunk.health.stop()
