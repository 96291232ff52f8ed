"""TLS connections as streams: records in pieces, ends in mid-sentence, and peers that do not read."""

from pathlib import Path

import pytest
from OpenSSL import SSL

from gateway.config.model import Side
from gateway.transport.flow import Address, FailureKind, TransportFailure
from gateway.transport.stream.stream_flow import MAX_QUEUE
from gateway.transport.tls.channel import TlsChannel, TlsFailed, Verification
from gateway.transport.tls.handshake_log import TERMS, TlsAgreed, agreed
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import Authority
from tests.support.tls_peer import GATEWAY_NAME as NAME
from tests.support.tls_peer import TlsPeer
from tests.support.transport_gateways import Site, options

TERMS_OF_ALL = agreed("TLSv1.3", "TLS_AES_256_GCM_SHA384")


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def site(network: MemoryNetwork, authority: Authority) -> Site:
    certificate, key = authority.issue("gateway", NAME)
    return Site(network, "tls", certificate=certificate, private_key=key)


@pytest.fixture
def peer(network: MemoryNetwork, site: Site, authority: Authority) -> TlsPeer:
    return TlsPeer(network, site, authority.file).shake_hands()


@pytest.mark.parametrize("piece", [1, 4, 5, 6, 100, 1000])
def test_records_may_come_in_pieces(network: MemoryNetwork, site: Site, authority: Authority, piece: int) -> None:
    peer = TlsPeer(network, site, authority.file).shake_hands(piece)
    for number in range(3):
        peer.say(options(str(number), body=b"x" * 300 * number), piece=piece)
    assert site.call_ids == ["0", "1", "2"]


def test_records_may_come_together(peer: TlsPeer, site: Site) -> None:
    peer.say(options("1"), options("2"), options("3") + options("4"), options("5")[:100], options("5")[100:])
    assert site.call_ids == ["1", "2", "3", "4", "5"]
    peer.say(options("6"))
    assert site.call_ids[-1] == "6"


@pytest.mark.parametrize("size", [16_000, 16_384, 40_000])
def test_long_messages_fill_several_records_both_ways(peer: TlsPeer, site: Site, size: int) -> None:
    message = options("long", body=b"x" * size)
    peer.say(message)
    assert len(site.messages[0].body) == size
    site.flows[0].send(message)
    peer.carry()
    assert peer.received == message


def test_a_message_in_the_handshakes_last_flight_is_understood(
    network: MemoryNetwork, site: Site, authority: Authority
) -> None:
    peer = TlsPeer(network, site, authority.file)
    peer.channel.start()
    peer.raw.send(peer.channel.outgoing())
    network.settle()
    peer.channel.receive(peer.raw.received)
    peer._taken = len(peer.raw.received)
    assert peer.channel.is_open
    peer.say(options("early"))
    assert site.call_ids == ["early"]


def test_pings_are_answered(peer: TlsPeer) -> None:
    peer.say(b"\r\n\r\n")
    assert peer.received == b"\r\n"


def test_a_peer_that_says_goodbye(network: MemoryNetwork, peer: TlsPeer, site: Site) -> None:
    peer.channel.send(options("last"))
    peer.channel.close()
    peer.carry()
    assert site.call_ids == ["last"]
    assert site.layer.connection_count == 0
    assert peer.raw.is_closed


def test_the_version_and_cipher_of_connections_that_are_up_are_told(
    network: MemoryNetwork, peer: TlsPeer, site: Site, authority: Authority
) -> None:
    agreed = {"side": "provider", "version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"}
    TlsPeer(network, site, authority.file)  # has not shaken hands
    assert site.metrics.value("gateway_tls_connections", agreed) == 1
    TlsPeer(network, site, authority.file).shake_hands()
    assert site.metrics.value("gateway_tls_connections", agreed) == 2
    peer.channel.close()
    peer.carry()
    assert site.metrics.value("gateway_tls_connections", agreed) == 1


def test_handshakes_are_counted_by_side_and_terms_for_good(
    network: MemoryNetwork, peer: TlsPeer, site: Site, authority: Authority
) -> None:
    TlsPeer(network, site, authority.file).shake_hands()
    peer.channel.close()
    peer.carry()
    (((side, name, terms), number),) = site.layer.handshakes.by_terms.items()
    assert (str(side), name, terms.version, number) == ("provider", "", "TLSv1.3", 2)
    assert site.layer.handshakes.old_versions == 0


def test_terms_that_handshakes_are_counted_by_are_bounded(site: Site) -> None:
    class Flow:
        is_client, peer, side, remote = True, "", Side.PROVIDER, Address("192.0.2.1", 5061)

        def __init__(self, name: str) -> None:
            self.name: str | None = name
            self.tls: TlsAgreed | None = TERMS_OF_ALL

    for number in range(TERMS + 50):
        site.layer.handshakes.succeeded(Flow(f"host{number}.example.com"))
    counted = site.layer.handshakes.by_terms
    assert len(counted) == TERMS + 1
    assert counted[Side.PROVIDER, "", TERMS_OF_ALL] == 50


def test_a_peer_without_a_version_that_we_do_is_counted(site: Site) -> None:
    class Flow:
        is_client, peer, side, name = False, "192.0.2.1:5061", Side.PHONES, None
        remote = Address("192.0.2.1", 5061)
        tls: TlsAgreed | None = None

    words = "it speaks no version of TLS that we do (unsupported protocol)"
    site.layer.handshakes.failed(Flow(), TransportFailure(FailureKind.HANDSHAKE, words))
    assert site.layer.handshakes.old_versions == 1


def test_we_say_goodbye(network: MemoryNetwork, peer: TlsPeer, site: Site) -> None:
    peer.say(options())
    site.flows[0].send(options("last"))
    site.flows[0].close()
    peer.carry()
    assert b"last" in peer.received
    assert peer.channel.has_peer_closed
    assert peer.raw.is_closed


def test_a_forged_record_ends_the_connection(network: MemoryNetwork, peer: TlsPeer, site: Site) -> None:
    peer.say(options("good"))
    peer.channel.send(options("forged"))
    data = bytearray(peer.channel.outgoing())
    data[-1] ^= 1
    told: list[object] = []
    site.flows[0].watch(told.append)
    peer.raw.send(bytes(data))
    network.settle()
    assert site.call_ids == ["good"]
    assert peer.raw.is_closed
    assert len(told) == 1


def test_plain_text_after_the_handshake_ends_the_connection(network: MemoryNetwork, peer: TlsPeer, site: Site) -> None:
    peer.raw.send(options("in-clear"))
    network.settle()
    assert site.messages == []
    assert peer.raw.is_closed


def test_a_handshake_that_is_never_finished_is_ended_after_ten_seconds(
    network: MemoryNetwork, site: Site, authority: Authority
) -> None:
    peer = TlsPeer(network, site, authority.file)
    peer.channel.start()
    peer.raw.send(peer.channel.outgoing()[:50])
    network.pass_time(9)
    assert site.layer.connection_count == 1
    network.pass_time(3)
    assert site.layer.connection_count == 0
    assert site.count("tls_handshakes", side="provider", result="timeout") == 1


def test_a_record_that_drips_in_is_given_up_after_30_seconds(network: MemoryNetwork, peer: TlsPeer, site: Site) -> None:
    peer.say(options("1"))
    peer.channel.send(options("2", body=b"x" * 1000))
    record = peer.channel.outgoing()
    counts = []
    for byte in record[:35]:
        peer.raw.send(bytes([byte]))
        network.pass_time(1)
        counts.append(site.layer.connection_count)
    assert (counts[25], counts[-1]) == (1, 0)


def test_a_record_in_two_pieces_leaves_no_clock_running(network: MemoryNetwork, peer: TlsPeer, site: Site) -> None:
    for message in (options("1"), b"\r\n\r\n", options("2")[:50]):
        peer.channel.send(message)
        record = peer.channel.outgoing()
        peer.raw.send(record[:10])
        network.pass_time(20)
        peer.raw.send(record[10:])
        network.pass_time(5)
    peer.say(options("2")[50:])
    network.pass_time(60)
    assert site.call_ids == ["1", "2"]
    assert not peer.raw.is_closed


def test_a_connection_lost_in_mid_handshake(network: MemoryNetwork, site: Site, authority: Authority) -> None:
    peer = TlsPeer(network, site, authority.file)
    peer.channel.start()
    peer.raw.send(peer.channel.outgoing())
    network.settle()
    assert peer.raw.connection is not None
    peer.raw.connection.abortConnection()
    assert site.layer.connection_count == 0
    assert site.count("tls_handshakes", side="provider", result="handshake") == 1


def test_a_slow_reader_gets_everything_in_order(network: MemoryNetwork, peer: TlsPeer, site: Site) -> None:
    peer.say(options())
    assert peer.raw.connection is not None
    peer.raw.connection.is_reading = False
    messages = [options(str(number), body=b"x" * 3000) for number in range(100)]
    for message in messages:
        site.flows[0].send(message)
    network.settle()
    peer.raw.connection.is_reading = True
    peer.carry()
    assert peer.received == b"".join(messages)


def test_a_queue_that_grows_too_long_ends_the_connection(network: MemoryNetwork, peer: TlsPeer, site: Site) -> None:
    peer.say(options())
    assert peer.raw.connection is not None
    peer.raw.connection.is_reading = False
    for _ in range(2 * MAX_QUEUE // 10_000):
        site.flows[0].send(b"x" * 10_000)
    network.settle()
    assert peer.raw.is_closed
    assert site.layer.connection_count == 0


def test_renegotiation_is_refused(network: MemoryNetwork, site: Site, authority: Authority) -> None:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    peer = TlsPeer(network, site, authority.file)
    peer.channel = TlsChannel(connection, Verification(is_rehearsal=True))
    peer.shake_hands()
    connection.renegotiate()
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    peer.channel._has_output = True
    with pytest.raises(TlsFailed, match="no renegotiation"):
        peer.carry()
    assert site.layer.connection_count == 1  # refused with an alert; the connection itself did nothing wrong
