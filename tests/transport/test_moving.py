"""Listeners that move to another address: new ports first, flows that lead on, old ports for a while."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.epollreactor import EPollReactor

from gateway.config.model import Listener, Side
from gateway.observe.metrics import Metrics
from gateway.transport.flow import Address, Flow, Target, Transport, TransportFailure
from gateway.transport.layer import TransportLayer
from gateway.transport.sockets import CannotListen
from tests.support.media_relays import own_address
from tests.support.transport_gateways import Ignoring, options
from tests.transport.test_closed_by_error import until


@pytest.fixture
def reactor() -> Iterator[Any]:
    made: Any = EPollReactor()
    yield made
    made.removeAll()
    made.fireSystemEvent("shutdown")
    made.iterate(0)


class Place:
    """A UDP and a TCP listener at `here`, to be moved to `there`, both at one port that is free at either."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.here, self.there = own_address(), own_address()
        with socket.socket() as probe:
            probe.bind((self.here, 0))
            self.port = probe.getsockname()[1]
        listeners = [Listener(kind, Side.PHONES, kind, self.here, self.port) for kind in ("udp", "tcp")]
        self.layer = TransportLayer(reactor, listeners, Metrics(CollectorRegistry()))
        self.layer.start(Ignoring())

    def move(self, *names: str) -> None:
        self.layer.move(dict.fromkeys(names or ("udp", "tcp"), self.there))

    def says(self, host: str) -> socket.socket:
        """A phone that sends a request to an address."""
        phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        phone.bind((self.here, 0))
        phone.settimeout(1)
        phone.sendto(options("1"), (host, self.port))
        return phone

    def flow_to(self, phone: socket.socket) -> Flow:
        flow = self.layer.flow_to(Target(Transport.UDP, Address(*phone.getsockname()), "phone"), Side.PHONES)
        flow.allowance.prove()
        return flow


@pytest.fixture
def place(reactor: Any) -> Iterator[Place]:
    made = Place(reactor)
    yield made
    made.layer.stop()


def test_messages_arrive_at_the_new_address_and_at_the_old_one_until_it_is_closed(place: Place) -> None:
    place.move()
    assert place.layer.is_listening
    assert [one.address for one in place.layer.listeners] == [place.there] * 2
    assert place.layer.address_of("udp") == Address(place.there, place.port)
    place.says(place.there).close()
    until(place.reactor, lambda: place.layer.message_count == 1)
    place.says(place.here).close()
    until(place.reactor, lambda: place.layer.message_count == 2)
    place.layer.close_left()
    place.reactor.iterate(0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as next_one:
        next_one.bind((place.here, place.port))  # free again


def test_a_flow_of_the_old_address_leads_nowhere_and_its_key_leads_on(place: Place) -> None:
    phone = place.says(place.here)
    before = place.flow_to(phone)
    lost: list[TransportFailure] = []
    before.watch(lost.append)
    place.move()
    assert not before.is_open
    assert [str(one.kind) for one in lost] == ["closed"]
    after = place.layer.flow(before.key)
    assert after is not None
    assert after.is_open
    assert after.contact == f"{place.there}:{place.port}"
    assert before.moved() is after
    assert after.moved() is None
    assert after.allowance.is_proved  # a host that proved to be there needs not again
    after.send(b"hello")
    assert phone.recvfrom(100) == (b"hello", (place.there, place.port))
    phone.close()


def test_connections_at_the_old_address_end_and_the_next_begins_at_the_new_one(place: Place) -> None:
    with socket.create_server((place.here, 0)) as server:
        target = Target(Transport.TCP, Address(*server.getsockname()), "phone")
        before = place.layer.flow_to(target, Side.PHONES)
        until(place.reactor, lambda: before.is_connected)
        place.move()
        assert not before.is_open
        after = place.layer.flow_to(target, Side.PHONES)
        assert after is not before
        until(place.reactor, lambda: after.is_connected)
        assert after.local.host == place.there


def test_a_port_that_is_taken_changes_nothing(place: Place) -> None:
    with socket.create_server((place.there, place.port)), pytest.raises(CannotListen, match="taken"):
        place.move()
    assert place.layer.is_listening
    assert [one.address for one in place.layer.listeners] == [place.here] * 2
    phone = place.says(place.here)
    until(place.reactor, lambda: place.layer.message_count == 1)
    assert place.flow_to(phone).is_open
    phone.close()
    place.reactor.iterate(0.05)
    place.move()  # and the port for UDP that was opened in vain is free


def test_back_again_once_the_old_ports_are_closed(place: Place) -> None:
    place.move()
    closed = place.layer.close_left()
    until(place.reactor, lambda: bool(closed.called))
    place.layer.move({"udp": place.here, "tcp": place.here})
    place.says(place.here).close()
    until(place.reactor, lambda: place.layer.message_count == 1)


def test_a_listener_that_is_there_already_stays(place: Place) -> None:
    place.move("udp")
    port = place.layer.port("udp")
    place.move()
    assert place.layer.port("udp") is port
    assert place.layer.address_of("tcp").host == place.there


def test_the_end_closes_the_old_ports_as_well(place: Place) -> None:
    place.move()
    stopped = place.layer.stop()
    until(place.reactor, lambda: bool(stopped.called))
    for host in (place.here, place.there):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as next_one:
            next_one.bind((host, place.port))
