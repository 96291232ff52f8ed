"""Who is told of the end of connections: of each that a peer began, once."""

import pytest

from gateway.transport.flow import FlowKey
from tests.support.memory_network import MemoryNetwork
from tests.support.transport_gateways import LogLines, Site, options


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


def test_the_end_of_a_peers_connection_is_told_at_once(network: MemoryNetwork) -> None:
    site = Site(network)
    ended: list[FlowKey] = []
    site.ended = ended.append
    peer = network.connect(site.place)
    peer.send(options())
    network.settle()
    (flow,) = site.flows
    assert ended == []
    assert peer.connection is not None
    peer.connection.loseConnection()
    network.settle()
    assert ended == [flow.key]
    assert site.layer.flow(flow.key) is None


def test_connections_that_we_began_are_nobodys_registration(network: MemoryNetwork) -> None:
    far, near = Site(network), Site(network, host="127.0.0.9")
    ended: list[FlowKey] = []
    near.ended = ended.append
    way = near.to(far)
    network.settle()
    way.flow.close()
    network.settle()
    assert ended == []


def test_stopping_ends_no_registration(network: MemoryNetwork) -> None:
    site = Site(network)
    ended: list[FlowKey] = []
    site.ended = ended.append
    network.connect(site.place)
    network.settle()
    site.layer.stop()
    network.settle()
    assert ended == []
    assert site.layer.connection_count == 0


def test_a_bug_of_who_is_told_leaves_no_connection_behind(network: MemoryNetwork) -> None:
    site = Site(network)

    def broken(key: FlowKey) -> None:
        raise RuntimeError(str(key))

    site.ended = broken
    peer = network.connect(site.place)
    peer.send(options())
    network.settle()
    assert peer.connection is not None
    peer.connection.loseConnection()
    with LogLines() as log:
        network.settle()
    assert len(log.events) == 1
    assert site.layer.connection_count == 0
