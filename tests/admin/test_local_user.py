"""The user that asks over loopback, as the kernel knows it."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.admin import local_user
from gateway.admin.local_user import owner_of

NOBODY = 65534
OWN_ADDRESS = "127.0.0.199"


def reset(client: socket.socket) -> None:
    """Close without a word: the port is free at once."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class Connection:
    """A connection to ourselves, of which our end is accepted later."""

    def __init__(self, host: str = "127.0.0.1", connect_to: str | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.server = socket.create_server((host, 0), family=family, dualstack_ipv6=host == "::")
        self.server.settimeout(5)
        self.client = socket.create_connection((connect_to or host, self.server.getsockname()[1]), timeout=5)

    def accepted(self) -> socket.socket:
        return self.server.accept()[0]

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture
def connection() -> Iterator[Connection]:
    made = Connection()
    yield made
    made.close()


@pytest.fixture(params=["asked", "listed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is asked for one socket, or the tables of all are read since it has no answer to that."""
    if request.param == "listed":
        tables_alone(monkeypatch)


def tables_alone(patch: pytest.MonkeyPatch) -> None:
    """As on a kernel without sock_diag."""
    patch.setattr(local_user, "_SOCK_DIAG", 4_000)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("host", "connect_to"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::ffff:127.0.0.1")],
)
def test_the_owner_of_a_connection_on_this_machine_is_known(host: str, connect_to: str) -> None:
    if not Path("/proc/net/if_inet6").exists() and ":" in host:
        pytest.skip("this machine has no IPv6")
    connection = Connection(host, connect_to)
    with connection.accepted() as ours:
        assert owner_of(ours) == os.getuid()
    connection.close()


@pytest.mark.usefixtures("way")
def test_another_users_connection_is_that_users(connection: Connection) -> None:
    if os.getuid() != 0:
        pytest.skip("root alone can be another user")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(NOBODY)
        theirs = socket.create_connection(connection.server.getsockname())
        os.read(reading, 1)
        theirs.close()
        os._exit(0)
    connection.accepted().close()
    with connection.accepted() as ours:
        assert owner_of(ours) == NOBODY
    os.write(writing, b"x")
    os.waitpid(child, 0)


def test_the_owner_is_found_while_other_connections_come_and_go(connection: Connection) -> None:
    """The tables are read in pieces: of a row that moves between two pieces nothing is seen."""
    has_ended = threading.Event()

    def come_and_go() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
            while not has_ended.is_set():
                for one in [socket.create_connection(server.getsockname()) for _ in range(32)]:
                    reset(one)
                    server.accept()[0].close()

    others = [threading.Thread(target=come_and_go) for _ in range(2)]
    with connection.accepted() as ours:
        for other in others:
            other.start()
        try:
            assert {owner_of(ours) for _ in range(2_000)} == {os.getuid()}
        finally:
            has_ended.set()
            for other in others:
                other.join()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("end", [socket.socket.close, reset])
def test_a_client_that_closed_at_once_is_nobody(connection: Connection, end: Callable[[socket.socket], None]) -> None:
    connection.client.sendall(b"POST / HTTP/1.1\r\n\r\n")
    end(connection.client)
    with connection.accepted() as ours:
        assert owner_of(ours) is None


@pytest.mark.usefixtures("way")
def test_a_client_that_said_its_last_is_nobody(connection: Connection) -> None:
    connection.client.shutdown(socket.SHUT_WR)
    with connection.accepted() as ours:
        time.sleep(0.05)
        assert owner_of(ours) is None


@pytest.mark.usefixtures("way")
def test_a_connection_that_takes_the_port_of_one_that_was_reset_does_not_lend_its_owner(connection: Connection) -> None:
    """Its request still waits to be read, and the row that is found is another connection's, of any user."""
    server = connection.server.getsockname()
    connection.accepted().close()
    # An address of its own: a port of 127.0.0.1 may be another test's before it is taken again.
    first = socket.create_connection(server, timeout=5, source_address=(OWN_ADDRESS, 0))
    port = first.getsockname()[1]
    with connection.accepted() as ours:
        assert owner_of(ours) == os.getuid()
        reset(first)
        time.sleep(0.05)
        with (
            socket.create_connection(server, timeout=5, source_address=(OWN_ADDRESS, port)),
            connection.accepted() as theirs,
        ):
            assert owner_of(theirs) == os.getuid()
            assert owner_of(ours) is None


@pytest.mark.parametrize(
    ("rows", "owner"),
    [
        ([("01", 1000, 5)], 1000),
        ([("01", 0, 0)], None),
        ([("06", 0, 0)], None),
        ([("02", 0, 7)], None),
        ([("08", 0, 7)], None),
        ([("06", 0, 0), ("01", 1000, 5)], 1000),
        ([("01", 0, 6), ("01", 1000, 5)], None),
        ([], None),
    ],
)
def test_one_established_row_with_an_inode_names_the_owner(
    connection: Connection, tmp_path: Path, rows: list[tuple[str, int, int]], owner: int | None
) -> None:
    with connection.accepted() as ours, pytest.MonkeyPatch.context() as patch:
        (client, server) = connection.client.getsockname(), connection.server.getsockname()
        ends = f"0100007F:{client[1]:04X} 0100007F:{server[1]:04X}"
        lines = [f"  0: {ends} {state} 0:0 00:0 0 {uid} 0 {inode} 1 0\n" for state, uid, inode in rows]
        table = tmp_path / "tcp"
        table.write_text("  sl  local_address rem_address st\n" + "".join(lines))
        tables_alone(patch)
        patch.setattr(local_user, "_TABLES", {4: table, 6: tmp_path / "none"})
        assert owner_of(ours) == owner


def test_a_table_that_is_not_there_names_nobody(connection: Connection, tmp_path: Path) -> None:
    with connection.accepted() as ours, pytest.MonkeyPatch.context() as patch:
        tables_alone(patch)
        patch.setattr(local_user, "_TABLES", dict.fromkeys((4, 6), tmp_path / "none"))
        assert owner_of(ours) is None


def test_sockets_that_are_not_connected_name_nobody() -> None:
    with socket.socket() as alone:
        assert owner_of(alone) is None
    one, other = socket.socketpair()
    with one, other:
        assert owner_of(one) is None
