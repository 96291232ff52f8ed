"""Taken ports are found before anything is started, and told in words."""

import errno
import socket

from gateway.demo.free_ports import NeededPort, UnusablePort, explanation, unusable


def test_free_ports_are_no_problem() -> None:
    needs = [NeededPort(transport, "127.0.0.1", 0, "a test") for transport in ("udp", "tcp")]
    assert unusable(needs) == []


def test_taken_ports_are_found() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.create_server(("127.0.0.1", 0)) as stream,
    ):
        datagrams.bind(("127.0.0.1", 0))
        phones = NeededPort("udp", "127.0.0.1", datagrams.getsockname()[1], "phones")
        admin = NeededPort("tcp", "127.0.0.1", stream.getsockname()[1], "the admin pages")
        assert unusable([phones, admin]) == [
            UnusablePort(phones, errno.EADDRINUSE),
            UnusablePort(admin, errno.EADDRINUSE),
        ]


def test_an_address_that_is_not_ours_is_found() -> None:
    elsewhere = NeededPort("udp", "192.0.2.1", 5060, "phones")
    assert unusable([elsewhere]) == [UnusablePort(elsewhere, errno.EADDRNOTAVAIL)]


def test_explanation_says_which_what_for_and_why() -> None:
    taken = UnusablePort(NeededPort("udp", "127.0.0.20", 5060, "the gateway's phones"), errno.EADDRINUSE)
    told = explanation([taken])
    assert "127.0.0.20:5060/udp is taken (wanted for the gateway's phones)" in told
    assert "another demonstration is running" in told
    assert "ss -lnp '( sport = :5060 )'" in told


def test_explanation_of_a_missing_address() -> None:
    told = explanation([UnusablePort(NeededPort("tcp", "127.0.0.20", 8080, "pages"), errno.EADDRNOTAVAIL)])
    assert "127.0.0.20:8080/tcp cannot be used (wanted for pages): EADDRNOTAVAIL" in told
    assert "another demonstration" not in told
