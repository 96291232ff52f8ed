"""The layer as a whole: starting, stopping, and which connection is whose."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred

from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.transport.layer import TransportLayer
from gateway.transport.sockets import CannotListen
from gateway.transport.stream.accept import ConnectionLimits
from gateway.transport.tls.certificates import CertificateError
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import Authority
from tests.support.transport_gateways import Ignoring, Site, options, trusting

NAME = "provider.example.com"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def layer(network: MemoryNetwork, *listeners: Listener) -> TransportLayer:
    return TransportLayer(network, listeners, Metrics(CollectorRegistry()))


def error_of(deferred: Deferred[None]) -> BaseException | None:
    """What it failed with, None if it succeeded."""
    outcome: list[object] = []
    deferred.addErrback(lambda failure: failure.value).addCallback(outcome.append)
    (value,) = outcome
    assert value is None or isinstance(value, BaseException)
    return value


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_taken_port_is_one_clear_line_and_nothing_stays_open(network: MemoryNetwork, transport: str) -> None:
    other = layer(network, Listener("other", Side.PHONES, transport, "127.0.0.1", 5080))
    assert error_of(other.start(Ignoring())) is None
    before = dict(network.ports)
    mine = layer(
        network,
        Listener("first", Side.PHONES, "tcp", "127.0.0.1", 5070),
        Listener("phones", Side.PHONES, transport, "127.0.0.1", 5080),
    )
    error = error_of(mine.start(Ignoring()))
    assert isinstance(error, CannotListen)
    assert str(error).startswith(
        f"listener phones: port: {transport} port 5080 of 127.0.0.1 is taken by another program"
    )
    assert f"ss -l{transport[0]}np" in str(error)
    assert network.ports == before


def test_a_certificate_that_cannot_be_used_opens_nothing(network: MemoryNetwork, authority: Authority) -> None:
    certificate, _ = authority.issue("good", NAME)
    broken = layer(
        network,
        Listener("phones", Side.PHONES, "tcp", "127.0.0.1", 5060),
        Listener("provider", Side.PROVIDER, "tls", "127.0.0.1", 5061, None, certificate, authority.file),
    )
    error = error_of(broken.start(Ignoring()))
    assert isinstance(error, CertificateError)
    assert "\n" not in str(error)
    assert network.ports == {}


def test_stopping_closes_everything_and_leaves_no_timer(network: MemoryNetwork) -> None:
    far, near = Site(network), Site(network, host="127.0.0.9")
    ways = [near.to(far), near.to(("127.0.0.1", 9))]
    network.silent.add(("127.0.0.7", 5060))
    ways[0].flow.send(options())
    network.settle()
    peer = network.connect(near.place)
    network.settle()
    assert error_of(near.layer.stop()) is None
    network.settle()
    assert peer.is_closed
    assert near.layer.connection_count == 0
    assert not ways[0].flow.is_open
    far.layer.stop()
    network.settle()
    network.advance(60)
    assert network.getDelayedCalls() == []
    assert network.ports == {}


def tls_pair(network: MemoryNetwork, authority: Authority) -> tuple[Site, Site]:
    sites = [
        Site(network, "tls", host, certificate=certificate, private_key=key)
        for host in ("127.0.0.1", "127.0.0.9")
        for certificate, key in [authority.issue(host, NAME, "other.example.com")]
    ]
    return sites[0], sites[1]


def test_a_tls_connection_is_shared_only_by_what_was_verified_alike(
    network: MemoryNetwork, authority: Authority
) -> None:
    far, near = tls_pair(network, authority)
    terms = trusting(authority.file)
    first = near.to(far, NAME, terms).flow
    network.settle()
    assert near.to(far, NAME, terms).flow is first
    assert near.to(far, NAME.upper(), terms).flow is first
    others = [
        near.to(far, "other.example.com", terms).flow,  # an alias of the same address: CVE-2020-15260
        near.to(far, NAME, trusting(authority.file, allow_wildcards=True)).flow,
        near.to(far, NAME).flow,
        near.to(far, NAME, trusting(authority.file, certificate=far_files(far)[0], private_key=far_files(far)[1])).flow,
    ]
    assert len({id(flow) for flow in [first, *others]}) == 5
    network.settle()
    assert [flow.is_open for flow in others] == [True, True, False, True]


def far_files(site: Site) -> tuple[Path, Path]:
    listener = site.layer.listeners[0]
    assert listener.certificate is not None
    assert listener.private_key is not None
    return listener.certificate, listener.private_key


def test_after_a_reload_new_requests_get_new_connections(network: MemoryNetwork, authority: Authority) -> None:
    far, near = tls_pair(network, authority)
    old = near.to(far, NAME, trusting(authority.file)).flow
    network.settle()
    near.layer.reload()
    new = near.to(far, NAME, trusting(authority.file)).flow
    network.settle()
    assert new is not old
    assert old.is_open
    assert new.is_open


def test_reports_name_each_tls_listener(network: MemoryNetwork, authority: Authority) -> None:
    _, near = tls_pair(network, authority)
    (report,) = near.layer.certificate_reports().values()
    assert report.days_left in (88, 89)


def test_ipv6_connections(network: MemoryNetwork) -> None:
    far, near = Site(network, host="::1"), Site(network, host="::2")
    way = near.to(far)
    way.flow.send(options())
    network.settle()
    assert far.flows[0].remote.host == "::2"
    assert str(far.flows[0].key).startswith("main/tcp/[::2]:")


# -- figures


def figure(site: Site, name: str) -> float | None:
    """What Prometheus is told of the site's listener."""
    return site.metrics.value(f"gateway_{name}", {"listener": "main"})


def test_connections_are_counted_by_listener_whoever_began_them(network: MemoryNetwork) -> None:
    far, near = Site(network), Site(network, host="127.0.0.9")
    way = near.to(far)
    peer = network.connect(far.place)
    network.settle()
    assert (figure(far, "connections"), figure(near, "connections")) == (2, 1)
    way.flow.close()
    peer.send(b"\r\n\r\nnonsense\r\n\r\n")
    network.settle()
    assert (figure(far, "connections"), figure(near, "connections")) == (0, 0)


def test_connections_over_the_limit_are_counted(network: MemoryNetwork) -> None:
    site = Site(network, limits=ConnectionLimits(per_source=1))
    for _ in range(3):
        network.connect(site.place)
    network.settle()
    assert figure(site, "refused_connections_total") == 2
    assert figure(site, "connections") == 1


def test_datagrams_that_could_not_be_sent_are_counted(network: MemoryNetwork) -> None:
    site = Site(network, "udp")
    way = site.to(("127.0.0.2", 5060))
    network.datagrams[site.place].socket.error = OSError(101, "Network is unreachable")
    way.flow.send(options())
    way.flow.send(options())
    assert figure(site, "unsent_datagrams_total") == 2
    assert figure(site, "connections") == 0


def test_a_banned_source_connects_no_more_and_its_connections_stay(network: MemoryNetwork) -> None:
    site = Site(network)
    before = network.connect(site.place, "127.0.0.9")
    site.layer.banned.keep_out("127.0.0.9")
    network.connect(site.place, "127.0.0.9")
    network.settle()
    before.send(options())
    network.settle()

    assert site.layer.connection_count == 1
    assert site.call_ids == ["1"]  # the gate turns away all that is new
    assert site.count("banned_packets", transport="tcp") == 1
