"""What a failed handshake is called: no TLS at all, TLS that we cannot have, or the end of one that was up."""

from pathlib import Path

import pytest
from twisted.internet.protocol import Factory, Protocol

from gateway.transport.flow import FailureKind, TlsTerms, TransportFailure
from gateway.transport.tls.failures import asks_for_certificate, failure, late_failure, speaks_tls
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import Authority
from tests.support.transport_gateways import Site, options

NAME = "provider.example.com"
ALERT = bytes((21, 3, 3, 0, 2, 2, 40))


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def record(*messages: tuple[int, bytes], kind: int = 22) -> bytes:
    body = b"".join(bytes((one,)) + len(text).to_bytes(3) + text for one, text in messages)
    return bytes((kind, 3, 3)) + len(body).to_bytes(2) + body


FLIGHT = record((2, b"hello" * 10)) + record((11, b"chain" * 300), (12, b"key"))
ASKING = FLIGHT + record((13, b"\x01\x40\0\0"), (14, b""))


@pytest.mark.parametrize(
    ("heard", "speaks"),
    [
        (b"", False),
        (b"\x16\x03", False),
        (b"SIP/2.0 400 Bad Request\r\n\r\n", False),
        (b"\x16\x02\x00\x00\x01a", False),
        (b"\x17\x03\x03\x00\x01a", False),
        (ALERT, True),
        (FLIGHT, True),
    ],
)
def test_a_record_of_tls_is_told_from_anything_else(heard: bytes, speaks: bool) -> None:
    assert speaks_tls(heard) is speaks
    assert failure(heard, "words", False).kind is (FailureKind.HANDSHAKE if speaks else FailureKind.TLS)


def test_a_request_for_our_certificate_is_found_wherever_records_are_cut() -> None:
    assert asks_for_certificate(ASKING)
    assert not asks_for_certificate(FLIGHT)
    whole = ASKING[5:55]  # the first message again, in pieces of one byte
    pieces = b"".join(bytes((22, 3, 3, 0, 1, byte)) for byte in whole)
    assert not asks_for_certificate(pieces)
    assert asks_for_certificate(b"".join(bytes((22, 3, 3, 0, 1, byte)) for byte in record((13, b"abc"))[5:]))
    assert not any(asks_for_certificate(ASKING[:cut]) for cut in range(len(FLIGHT)))
    assert not asks_for_certificate(FLIGHT + record((13, b"encrypted"), kind=23))


@pytest.mark.parametrize(
    ("heard", "words", "has_certificate", "cause"),
    [
        (ASKING, "ssl/tls alert handshake failure", False, "it asks for a certificate of ours"),
        (ASKING, "closed by the peer during the handshake", False, "it asks for a certificate of ours"),
        (ASKING, "tlsv1 alert unknown ca", True, "it does not know the authority of our certificate"),
        (ASKING, "sslv3 alert bad certificate", True, "it does not take our certificate"),
        (ASKING, "sslv3 alert certificate expired", True, "it says that our certificate has expired"),
        (ALERT, "sslv3 alert handshake failure", False, "it takes none of the ciphers and parameters that we offer"),
        (ALERT, "tlsv1 alert protocol version", False, "it speaks no version of TLS that we do"),
        (FLIGHT, "unsupported protocol", False, "it speaks no version of TLS that we do"),
        (FLIGHT, "wrong cipher returned", False, "it has no cipher that we take"),
        (FLIGHT, "peer did not return a certificate", False, "it shows no certificate"),
        (FLIGHT, "internal error", False, "it failed by itself"),
        (FLIGHT, "unexpected eof while reading", False, "it closed the connection in the middle of the handshake"),
        (FLIGHT, "a word of tomorrow", False, "a word of tomorrow"),
    ],
)
def test_the_cause_is_said_in_words(heard: bytes, words: str, has_certificate: bool, cause: str) -> None:
    said = failure(heard, words, has_certificate)
    assert said.kind is FailureKind.HANDSHAKE
    assert said.reason == (cause if cause == words else f"{cause} ({words})")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("tlsv13 alert certificate required", "it asks for a certificate of ours"),
        ("tlsv1 alert unknown ca", "it does not know the authority of our certificate"),
        ("tlsv1 alert access denied", "it lets nobody in with our certificate"),
        ("decryption failed or bad record mac", "what was sent was changed on the way"),
    ],
)
def test_what_fails_once_the_handshake_is_over_for_us(words: str, cause: str) -> None:
    assert late_failure(words) == TransportFailure(FailureKind.HANDSHAKE, f"{cause} ({words})")


class Stalls(Protocol):
    """Answers the hello with the beginning of a record, and says no more."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(FLIGHT[:3])


def test_a_server_that_stops_in_the_middle_speaks_tls(network: MemoryNetwork, authority: Authority) -> None:
    network.listenTCP(5061, Factory.forProtocol(Stalls), interface="127.0.0.1")
    way = client(network, authority).to(("127.0.0.1", 5061), NAME, TlsTerms(authority.file))
    network.pass_time(12)
    assert way.failure.kind is FailureKind.HANDSHAKE


def test_bytes_thrown_into_a_connection_end_it_and_are_not_called_a_lack_of_tls(
    network: MemoryNetwork, authority: Authority
) -> None:
    certificate, key = authority.issue("good", NAME)
    far = Site(network, "tls", certificate=certificate, private_key=key)
    way = client(network, authority).to(far, NAME, TlsTerms(authority.file))
    way.flow.send(options())
    network.settle()
    assert len(far.messages) == 1
    next(one for one in network.connections if one._own == far.place).write(ALERT)
    network.settle()
    assert way.failure.kind is FailureKind.HANDSHAKE


def client(network: MemoryNetwork, authority: Authority) -> Site:
    certificate, key = authority.issue("client", "sip:client.example.com")
    return Site(network, "tls", "127.0.0.9", certificate=certificate, private_key=key)
