"""TFTP (RFC 1350), its options (RFC 2347 to 2349), and bad input: packets, and a server without a network."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from gateway.observe.metrics import Metrics
from gateway.provisioning.answers_to_phones import NOT_FOUND, FileOutcome, Question, Reply
from gateway.provisioning.servers.tftp_packets import (
    MalformedTftp,
    TftpError,
    accepted_options,
    as_netascii,
    read_request,
)
from gateway.provisioning.servers.tftp_server import FIRST_SECONDS, MOST_REPEATS, TRANSFER_SECONDS, TftpServer

PHONE = ("192.0.2.7", 2001)
FILE = bytes(range(256)) * 5  # 1280 bytes: two blocks of 512, and one of 256


def rrq(name: str = "a.cfg", mode: str = "octet", **options: str) -> bytes:
    words = [name, mode, *(word for pair in options.items() for word in pair)]
    return b"\x00\x01" + b"".join(word.encode() + b"\x00" for word in words)


def ack(number: int) -> bytes:
    return b"\x00\x04" + number.to_bytes(2, "big")


def data(number: int, size: int = 512) -> bytes:
    return b"\x00\x03" + number.to_bytes(2, "big") + FILE[(number - 1) * size : number * size]


class Wire(Clock):
    """A clock that is a network, too: each port writes down all that it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.ports: list[Any] = []
        self.is_full = False
        self.closed = 0

    def listenUDP(self, port: int, protocol: Any, interface: str = "") -> None:
        if self.is_full:
            raise OSError("no port is free")
        protocol.transport = self
        self.ports.append(protocol)
        protocol.startProtocol()

    def write(self, packet: bytes, place: tuple[str, int]) -> None:
        self.sent.append((packet, place))

    def stopListening(self) -> None:
        self.closed += 1
        self.ports.pop()

    def take(self) -> list[bytes]:
        sent, self.sent = self.sent, []
        assert all(place == PHONE for _, place in sent)
        return [packet for packet, _ in sent]


class Desk:
    """A server that gives one file to everybody."""

    def __init__(self, most: int = 2) -> None:
        self.wire = Wire()
        self.asked: list[Question] = []
        self.metrics = Metrics(CollectorRegistry())
        self.server = TftpServer(self.answer, most, "127.0.0.1", self.metrics, self.wire)
        wire: Any = self.wire
        self.server.transport = wire

    def answer(self, question: Question) -> Reply:
        self.asked.append(question)
        return Reply(200, FileOutcome.BOOTSTRAP, FILE) if question.path == "/a.cfg" else NOT_FOUND

    def says(self, packet: bytes, place: tuple[str, int] = PHONE) -> list[bytes]:
        """The phone sends a packet to the server; all that comes back."""
        self.server.datagramReceived(packet, place)
        return self.wire.take()

    def goes_on(self, packet: bytes, place: tuple[str, int] = PHONE) -> list[bytes]:
        """The same to the port of its transfer."""
        self.wire.ports[-1].datagramReceived(packet, place)
        return self.wire.take()

    def count(self, result: str) -> float | None:
        return self.metrics.value("gateway_tftp_transfers_total", {"result": result})


def test_rfc_1350_a_file_in_blocks() -> None:
    desk = Desk()
    assert desk.says(rrq()) == [data(1)]
    assert desk.goes_on(ack(1)) == [data(2)]
    assert desk.goes_on(ack(2)) == [data(3)]
    assert desk.goes_on(ack(3)) == []
    assert not desk.wire.ports
    assert not desk.wire.getDelayedCalls()
    assert desk.count("sent") == 1
    assert desk.says(rrq()) == [data(1)]


def test_rfc_2347_options_are_acknowledged_before_a_block() -> None:
    desk = Desk()
    assert desk.says(rrq(blksize="1024", tsize="0", timeout="7", windowsize="4")) == [
        b"\x00\x06blksize\x001024\x00tsize\x001280\x00timeout\x007\x00"
    ]
    assert desk.goes_on(ack(0)) == [data(1, 1024)]
    desk.wire.advance(6.9)
    assert desk.wire.take() == []
    desk.wire.advance(0.2)
    assert desk.wire.take() == [data(1, 1024)]
    assert desk.goes_on(ack(1)) == [data(2, 1024)]
    assert desk.goes_on(ack(2)) == []
    assert desk.count("sent") == 1


@pytest.mark.parametrize(
    ("asked", "given"), [("8", 8), ("65464", 1428), ("7", 512), ("-1", 512), ("99999999999999", 512), ("x", 512)]
)
def test_rfc_2348_block_sizes(asked: str, given: int) -> None:
    assert accepted_options(read_request(rrq(blksize=asked)), 1).block == given


def test_an_address_that_never_answered_is_sent_one_packet_and_no_more() -> None:
    desk = Desk()
    assert desk.says(rrq()) == [data(1)]
    desk.wire.advance(FIRST_SECONDS - 0.1)
    assert desk.wire.take() == []
    assert [desk.says(rrq()) for _ in range(5)] == [[data(1)]] * MOST_REPEATS + [[], []]
    desk.wire.advance(0.2)
    assert not desk.wire.ports
    assert desk.count("given_up") == 1


def test_after_an_answer_a_block_is_repeated_three_times() -> None:
    desk = Desk()
    desk.says(rrq())
    desk.goes_on(ack(1))
    desk.wire.pump([2.0] * 6)
    assert desk.wire.take() == [data(2)] * MOST_REPEATS
    assert not desk.wire.ports


def test_packets_of_others_and_old_ones_change_nothing() -> None:
    desk = Desk()
    desk.says(rrq())
    for packet in (
        ack(0),
        ack(2),
        ack(65535),
        b"",
        b"\x00",
        b"\x00\x04",
        b"\x00\x04\x00\x01\x00",
        b"\x00\x06x\x00",
        rrq(),
    ):
        assert desk.goes_on(packet) == []
    assert desk.goes_on(ack(1), ("192.0.2.7", 2002)) == []
    assert desk.goes_on(ack(1), ("192.0.2.8", 2001)) == []
    assert desk.goes_on(ack(1)) == [data(2)]
    assert desk.goes_on(ack(1)) == []  # no block is sent twice for one ACK that came twice
    assert desk.goes_on(b"\x00\x05\x00\x00no\x00") == []
    assert not desk.wire.ports


@pytest.mark.parametrize("last", [ack(3), b"\x00\x05\x00\x00no\x00"])
def test_a_port_is_let_go_of_once_though_more_was_read_with_the_last_packet(last: bytes) -> None:
    desk = Desk()
    desk.says(rrq())
    for number in (1, 2):
        desk.goes_on(ack(number))
    (transfer,) = desk.wire.ports
    for _ in range(3):
        transfer.datagramReceived(last, PHONE)
    assert desk.wire.closed == 1
    assert (desk.count("sent") or 0) + (desk.count("given_up") or 0) == 1
    assert desk.wire.take() == []


def test_a_client_that_is_slow_all_the_time_does_not_hold_a_transfer_for_ever() -> None:
    desk = Desk()
    desk.says(rrq(blksize="8", timeout="255"))
    blocks = 0
    for number in range(10):
        blocks += len(desk.goes_on(ack(number)))
        if not desk.wire.ports:
            break
        desk.wire.advance(TRANSFER_SECONDS / 5)
    assert (desk.wire.ports, blocks) == ([], 5)
    assert desk.count("given_up") == 1


def test_one_transfer_of_a_source_and_so_many_of_all() -> None:
    desk = Desk(most=2)
    desk.says(rrq())
    desk.server.datagramReceived(rrq(), ("192.0.2.7", 2002))
    desk.server.datagramReceived(rrq(), ("192.0.2.8", 1))
    desk.server.datagramReceived(rrq(), ("192.0.2.9", 1))
    assert [place for _, place in desk.wire.sent] == [("192.0.2.8", 1)]
    assert desk.count("busy") == 2
    desk.wire.is_full = True
    desk.wire.advance(60)
    desk.wire.sent.clear()
    assert desk.says(rrq()) == []
    assert desk.count("busy") == 3


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        (b"\x00\x02a.cfg\x00octet\x00", TftpError.ACCESS),
        (b"\x00\x01a.cfg\x00mail\x00", TftpError.ILLEGAL),
        (b"\x00\x01a.cfg\x00octet", TftpError.ILLEGAL),
        (b"\x00\x01a.cfg\x00", TftpError.ILLEGAL),
        (b"\x00\x01\xff.cfg\x00octet\x00", TftpError.ILLEGAL),
        (b"\x00\x01a\x00octet\x00blksize\x00", TftpError.ILLEGAL),
        (b"\x00\x01a\x00octet\x00tsize\x000\x00TSIZE\x000\x00", TftpError.OPTIONS),
        (b"\x00\x01" + b"a" * 600 + b"\x00octet\x00", None),
        (b"\x00\x03\x00\x01data", None),
        (b"\x00\x05\x00\x01no\x00", None),
        (b"\x00\x01", None),
    ],
)
def test_bad_requests_have_a_short_error_or_none(packet: bytes, error: TftpError | None) -> None:
    desk = Desk()
    assert desk.says(packet) == ([] if error is None else [b"\x00\x05\x00" + bytes([error]) + b"\x00"])
    assert desk.asked == []


def test_a_file_that_there_is_not_is_error_1_and_no_answer_is_longer_than_its_request() -> None:
    desk = Desk()
    for name in ("b.cfg", "../a.cfg", "//a.cfg", "x/a.cfg", "a" * 100):
        request = rrq(name)
        (answer,) = desk.says(request)
        assert answer == b"\x00\x05\x00\x01\x00"
        assert len(answer) <= len(request)
    assert not desk.wire.ports
    assert desk.says(rrq("/a.cfg")) == [data(1)]


@given(st.binary(max_size=600))
def test_no_packet_raises(packet: bytes) -> None:
    desk = Desk()
    desk.server.datagramReceived(packet, PHONE)
    try:
        read_request(packet)
    except MalformedTftp:
        pass


def test_netascii_has_its_line_ends() -> None:
    assert as_netascii(b"a\nb\r\nc\rd") == b"a\r\nb\r\nc\r\x00d"
