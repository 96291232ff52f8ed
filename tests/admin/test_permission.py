"""The users that may change the gateway, asked over real connections."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from twisted.internet.address import IPv4Address

from gateway.admin.hardening import Rejected
from gateway.admin.permission import Operators, is_loopback

NOBODY = 65534


@attrs.define
class Transport:
    """One of Twisted's, with a socket."""

    handle: socket.socket

    def getHandle(self) -> socket.socket:
        return self.handle


@attrs.define
class Asking:
    """A request, and the connection that it came over."""

    channel: Any
    host: str = "127.0.0.1"

    def getClientAddress(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 1)


@attrs.define
class Channel:
    """Of twisted.web."""

    transport: Transport


@pytest.fixture
def ours() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            yield accepted


def asking(ours: socket.socket, host: str = "127.0.0.1") -> Any:
    return Asking(Channel(Transport(ours)), host)


def test_the_gateways_own_user_may_and_is_told_by_name(ours: socket.socket) -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    assert Operators().asking(asking(ours)).name == f"{name} (uid {os.getuid()})"


def test_root_may_and_others_may_where_they_are_named(ours: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, operators, may in (
        (0, Operators(), True),
        (NOBODY, Operators(), False),
        (NOBODY, Operators.named(["nobody"]), True),
        (NOBODY, Operators.named(["65534"]), True),
        (4711, Operators.named(["nobody", "no-such-user"]), False),
        (4711, Operators.named(["4711"]), True),
        (None, Operators.named(["nobody"]), False),
    ):
        monkeypatch.setattr("gateway.admin.permission.owner_of", lambda _, owner=owner: owner)
        if may:
            assert operators.asking(asking(ours)).name.endswith(f"uid {owner})") or owner == 4711
        else:
            with pytest.raises(Rejected) as rejected:
                operators.asking(asking(ours))
            assert rejected.value.status == 403


def test_other_machines_and_connections_that_have_no_socket_may_not(ours: socket.socket) -> None:
    for request in (asking(ours, "192.0.2.1"), Asking(None)):
        with pytest.raises(Rejected):
            Operators(frozenset({0})).asking(request)  # type: ignore[arg-type]


def test_addresses_of_this_machine_alone() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")] == [True] * 4
    assert [is_loopback(host) for host in ("192.0.2.1", "::", "", "localhost", "::ffff:192.0.2.1")] == [False] * 5
