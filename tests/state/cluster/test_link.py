"""The connection to the store: proved, of a master, given up where no answer comes; its password is told to nobody."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gateway.state.cluster import link as tested
from gateway.state.cluster.link import StoreLink, StoreTerms

PASSWORD = "correct-horse"
STORE, SENTINEL = ("192.0.2.1", 6379), ("192.0.2.2", 26379)


class Network:
    """Takes each connection at once; answers are given by hand."""

    def __init__(self, **terms: Any) -> None:
        self.clock = Clock()
        self.opened: list[tuple[tuple[str, int], Any, StringTransport]] = []
        told: dict[str, Any] = {"places": (STORE,), "user": "gateway", "password": PASSWORD.encode(), **terms}
        self.link = StoreLink(StoreTerms(**told), self.clock)
        self.outcomes: list[str] = []

    def connect(self, place: tuple[str, int], protocol: Any) -> Deferred[Any]:
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.opened.append((place, protocol, transport))
        return succeed(protocol)

    @property
    def up(self) -> list[tuple[str, int]]:
        """The places of connections that this side has not given up."""
        return [place for place, _, transport in self.opened if not transport.disconnecting]

    def asks(self) -> None:
        asked = Deferred.fromCoroutine(self.link.ask("PING"))
        asked.addCallbacks(str, lambda failure: str(failure.value)).addCallback(self.outcomes.append)

    def answers(self, *lines: str) -> None:
        """On the latest connection; the protocol puts off what comes behind a text in one piece."""
        for line in lines:
            self.opened[-1][1].dataReceived(line.encode() + b"\r\n")

    def heard(self) -> str:
        """All that the other end of the latest connection got since the last time."""
        transport = self.opened[-1][2]
        told: str = transport.value().decode()
        transport.clear()
        return told


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(**terms: Any) -> Network:
        network = Network(**terms)
        monkeypatch.setattr(tested, "HostnameEndpoint", lambda reactor, host, port, timeout: (host, port))
        monkeypatch.setattr(tested, "connectProtocol", network.connect)
        return network

    return make


def test_a_question_goes_out_when_user_and_password_are_proved(made: Any) -> None:
    network = made()
    network.asks()
    assert PASSWORD in network.heard()
    network.answers("+OK")
    assert "PING" in network.heard()
    network.answers("+PONG")
    network.asks()
    network.answers("+PONG")
    assert network.outcomes == ["PONG", "PONG"]
    assert len(network.opened) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("-WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS"),
        (f"-ERR unknown command 'AUTH', with args beginning with: 'gateway' '{PASSWORD}' ", "ERR"),
        (f"-{PASSWORD} is wrong", "an error"),
        (f"-{PASSWORD.upper()}", "an error"),
    ],
)
def test_the_password_is_in_no_message(made: Any, answer: str, code: str) -> None:
    """Whatever the store, or something that is none, says of it: messages go into the log."""
    network = made()
    network.asks()
    network.answers(answer)
    assert network.outcomes == [f"user and password are refused: {code}"]
    assert network.up == []
    assert PASSWORD not in repr(network.link._terms)


def test_a_sentinel_that_refuses_the_password_does_not_tell_it(made: Any) -> None:
    network = made(places=(SENTINEL,), sentinel="pair")
    network.asks()
    network.answers(f"-ERR unknown command 'AUTH', with args beginning with: 'gateway' '{PASSWORD}' ")
    assert network.outcomes == [f"the sentinel {SENTINEL[0]}:{SENTINEL[1]}: user and password are refused: ERR"]
    assert network.up == []


def test_a_sentinel_that_hangs_keeps_no_connection(made: Any) -> None:
    network = made(places=(SENTINEL,), sentinel="pair", password=None)
    for _ in range(5):
        network.asks()
        network.clock.advance(1)
    assert len(network.outcomes) == len(network.opened) == 5
    assert "no answer in time" in network.outcomes[0]
    assert network.up == []


def test_a_store_that_takes_no_connection_is_told_as_silent(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(waiting: Deferred[Any]) -> None:
        waiting.errback(ConnectingCancelledError(IPv4Address("TCP", *STORE)))

    network = made()
    monkeypatch.setattr(tested, "connectProtocol", lambda place, protocol: Deferred(refuse))
    network.asks()
    network.clock.advance(1)
    assert network.outcomes == ["no answer in time"]


def asks_by_sentinel(network: Network) -> None:
    network.asks()
    network.answers("*2", "$9", "192.0.2.1", "$4", "6379")


def test_a_question_meanwhile_waits_until_the_master_has_said_that_it_is_one(made: Any) -> None:
    network = made(places=(SENTINEL,), sentinel="pair", password=None)
    asks_by_sentinel(network)
    assert network.up == [STORE]
    assert "ROLE" in network.heard()
    network.asks()
    assert network.heard() == ""
    network.answers("*1", "$5", "slave")
    assert network.outcomes == ["192.0.2.1:6379 is no master, as its sentinels say that it is"] * 2
    assert network.up == []


def test_a_master_is_asked_and_the_connection_to_its_sentinel_ends(made: Any) -> None:
    network = made(places=(SENTINEL,), sentinel="pair", password=None)
    asks_by_sentinel(network)
    network.answers("*1", "$6", "master")
    network.answers("+PONG")
    assert network.outcomes == ["PONG"]
    assert network.up == [STORE]


def test_an_old_question_that_is_not_answered_ends_no_new_connection(made: Any) -> None:
    network = made(password=None)
    network.asks()
    network.clock.advance(0.3)
    network.asks()
    network.clock.advance(0.25)
    assert network.outcomes == ["no answer in time"]
    assert network.up == []
    network.asks()
    network.clock.advance(0.3)
    assert network.outcomes == ["no answer in time"] * 2
    assert network.up == [STORE]
    network.answers("+PONG")
    assert network.outcomes[-1] == "PONG"
