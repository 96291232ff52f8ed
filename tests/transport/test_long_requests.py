"""TCP beside a UDP flow toward a provider, for requests that are too long for UDP (RFC 3261 section 18.1.1)."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.transport.flow import Address, Flow, Target, Transport
from gateway.transport.layer import TransportLayer
from gateway.transport.long_requests import CONNECT_WITHIN, FORGET_AFTER
from tests.support.memory_network import MemoryNetwork
from tests.support.transport_gateways import Ignoring, Site, options

LONG = 1301


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


def udp_flow(network: MemoryNetwork, side: Side = Side.PROVIDER, *transports: str, host: str = "127.0.0.1") -> Flow:
    """A UDP flow to 5060 of host, of a gateway with these listeners on that side."""
    own = "::2" if ":" in host else "127.0.0.9"
    listeners = [Listener(name, side, name, own, 5060) for name in ("udp", *transports)]
    layer = TransportLayer(network, listeners, Metrics(CollectorRegistry()))
    layer.start(Ignoring())
    return layer.flow_to(Target(Transport.UDP, Address(host, 5060), host), side)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_long_request_takes_tcp_to_the_same_place(network: MemoryNetwork, host: str) -> None:
    provider = Site(network, host=host)
    flow = udp_flow(network, Side.PROVIDER, "tcp", host=host)
    wider = flow.wider(LONG)
    assert wider is not None
    assert (wider.transport, wider.remote, wider.advertised) == (Transport.TCP, flow.remote, flow.advertised)
    wider.send(options("long"))
    network.settle()
    assert provider.call_ids == ["long"]
    assert flow.wider(LONG) is wider
    assert network.connected == [(host, 5060)]


def test_a_short_request_stays_with_udp(network: MemoryNetwork) -> None:
    assert udp_flow(network, Side.PROVIDER, "tcp").wider(LONG - 1) is None
    assert network.connected == []


def test_there_is_no_tcp_without_a_listener_for_it(network: MemoryNetwork) -> None:
    assert udp_flow(network).wider(LONG) is None


def test_phones_get_what_they_registered_over(network: MemoryNetwork) -> None:
    assert udp_flow(network, Side.PHONES, "tcp").wider(LONG) is None


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_peer_that_takes_no_tcp_is_not_asked_again_for_a_while(network: MemoryNetwork, is_silent: bool) -> None:
    if is_silent:
        network.silent.add(("127.0.0.1", 5060))
    flow = udp_flow(network, Side.PROVIDER, "tcp")
    assert flow.wider(LONG) is not None
    network.settle()
    network.pass_time(CONNECT_WITHIN + 1)
    assert flow.wider(LONG) is None
    network.advance(FORGET_AFTER)
    assert flow.wider(LONG) is not None


def test_a_connection_that_worked_and_ended_is_begun_again(network: MemoryNetwork) -> None:
    Site(network)
    flow = udp_flow(network, Side.PROVIDER, "tcp")
    wider = flow.wider(LONG)
    assert wider is not None
    network.settle()
    wider.close()
    network.settle()
    again = flow.wider(LONG)
    assert again is not None
    assert again is not wider
