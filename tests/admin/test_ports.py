"""The ports of the administration interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from gateway.admin.ports import NEW_CONNECTIONS, as_listener, over_tls, own_names
from gateway.admin.site import CONNECTIONS, CONNECTIONS_OF_ONE
from gateway.config.model import Admin
from gateway.transport.tls.contexts import ServerTls
from tests.support.admin_house import AdminHouse


@pytest.fixture
def served(tmp_path: Path) -> tuple[Admin, ServerTls]:
    made = trustme.CA().issue_cert("gw.example.com", "GW2.example.com")
    made.private_key_pem.write_to_path(str(tmp_path / "key"))
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "pem"))
    admin = Admin(names=("phones.example.com",), certificate=tmp_path / "pem", private_key=tmp_path / "key")
    listener = as_listener(admin)
    assert listener is not None
    return admin, ServerTls(listener)


def test_it_is_asked_under_its_names_and_those_of_its_certificate(served: tuple[Admin, ServerTls]) -> None:
    assert own_names(*served) == {"phones.example.com", "gw.example.com", "gw2.example.com"}
    assert own_names(Admin(names=("a.example.com",)), None) == {"a.example.com"}
    assert as_listener(Admin()) is None


def test_new_connections_over_tls_are_limited_by_their_source(served: tuple[Admin, ServerTls], tmp_path: Path) -> None:
    clock = Clock()
    factory = over_tls(served[1], AdminHouse(tmp_path).site, clock)

    def connect(host: str) -> bool:
        built: Any = factory.buildProtocol(IPv4Address("TCP", host, 40_000))
        if built is not None:
            built.wrappedProtocol.factory.ended(built.wrappedProtocol)
        return built is not None

    assert [connect("192.0.2.1") for _ in range(NEW_CONNECTIONS.burst + 10)].count(True) == NEW_CONNECTIONS.burst
    assert connect("192.0.2.2")
    clock.advance(1)
    assert [connect("192.0.2.1") for _ in range(100)].count(True) == NEW_CONNECTIONS.per_second


def test_a_connection_over_tls_beyond_the_bound_is_closed_before_its_handshake(
    served: tuple[Admin, ServerTls], tmp_path: Path
) -> None:
    factory = over_tls(served[1], AdminHouse(tmp_path).site, Clock())
    for host, most in (("192.0.2.1", CONNECTIONS_OF_ONE), ("127.0.0.1", CONNECTIONS)):
        built = [factory.buildProtocol(IPv4Address("TCP", host, 40_000)) for _ in range(most + 3)]
        assert [one is not None for one in built] == [True] * most + [False] * 3
