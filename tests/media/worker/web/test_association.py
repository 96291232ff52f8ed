"""One DTLS association against another: flights, datagrams, timers, certificates (RFC 5764, RFC 6347)."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from gateway.media.worker.web import association
from gateway.media.worker.web.association import MOST_DATAGRAM_BYTES, Association, DtlsIdentity
from gateway.media.worker.web.dtls_keys import DtlsOutcome
from gateway.sdp.dtls import Fingerprint
from tests.support.media_browser import certificate_of


def pair() -> tuple[Association, Association]:
    """An active one and a passive one."""
    return Association(DtlsIdentity(), is_active=True), Association(DtlsIdentity(), is_active=False)


def exchange(active: Association, passive: Association, flight: list[bytes]) -> None:
    """Hand on all that they write, the active one's `flight` first."""
    ends = [passive, active]
    while flight:
        assert all(len(datagram) <= MOST_DATAGRAM_BYTES for datagram in flight)
        flight = [written for datagram in flight for written in ends[0].take(datagram)]
        ends.reverse()


def test_both_ends_have_the_same_keys_and_see_each_others_certificate() -> None:
    active, passive = pair()
    exchange(active, passive, active.start())
    assert active.outcome is passive.outcome is DtlsOutcome.UP
    assert active.agreed is not None
    assert passive.agreed is not None
    assert active.agreed.suite == passive.agreed.suite == "AEAD_AES_256_GCM"
    assert (active.agreed.ours, active.agreed.theirs) == (passive.agreed.theirs, passive.agreed.ours)
    assert len(active.agreed.ours) == 44
    assert active.agreed.ours != active.agreed.theirs
    for secret in (active.agreed.ours, active.agreed.theirs):
        assert repr(secret) not in repr(active.agreed)
    assert active.timeout() is None


def test_the_fingerprint_is_that_of_the_certificate() -> None:
    identity, other = DtlsIdentity(), DtlsIdentity()
    active, passive = Association(identity, is_active=True), Association(other, is_active=False)
    exchange(active, passive, active.start())
    assert active.agreed is not None
    assert str(Fingerprint.of(active.agreed.certificate)) == other.fingerprint != identity.fingerprint


def test_a_lost_flight_is_sent_again_rfc_6347_4_2_4() -> None:
    active, passive = pair()
    active.start()  # lost
    left = active.timeout()
    assert left is not None
    assert 0.5 < left <= 1.0
    time.sleep(left + 0.01)
    again = active.time_passed()
    assert again
    exchange(active, passive, again)
    assert active.outcome is passive.outcome is DtlsOutcome.UP


def test_a_finished_that_comes_again_is_answered_again() -> None:
    """The last flight of the passive end was lost (RFC 6347 section 4.2.4)."""
    active, passive = pair()
    server = [written for datagram in active.start() for written in passive.take(datagram)]
    client = [written for datagram in server for written in active.take(datagram)]
    lost = [written for datagram in client for written in passive.take(datagram)]
    assert lost
    assert passive.outcome is DtlsOutcome.UP
    time.sleep((active.timeout() or 0.0) + 0.01)
    exchange(active, passive, active.time_passed())
    assert active.outcome is DtlsOutcome.UP


@pytest.mark.parametrize(("bits", "outcome"), [(4_096, DtlsOutcome.UP), (1_024, DtlsOutcome.FAILED)])
def test_certificates_of_rsa(bits: int, outcome: DtlsOutcome) -> None:
    """One of 4,096 bits needs several datagrams; one of 1,024 can be broken, and binds nobody to anything."""
    key = rsa.generate_private_key(65_537, bits)
    identity, certificate = DtlsIdentity(), certificate_of(key)
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_options(SSL.OP_NO_QUERY_MTU)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
    other = DtlsIdentity()
    other.context = context
    active, passive = Association(other, is_active=True), Association(identity, is_active=False)
    exchange(active, passive, active.start())
    assert passive.outcome is outcome
    if outcome is DtlsOutcome.UP:
        assert passive.agreed is not None
        assert passive.agreed.certificate == certificate.public_bytes(Encoding.DER)
        assert passive.agreed.suite == "AES_CM_128_HMAC_SHA1_80"


def test_without_a_common_profile_of_srtp_there_are_no_keys() -> None:
    other = DtlsIdentity()
    other.context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_32")
    active, passive = Association(other, is_active=True), Association(DtlsIdentity(), is_active=False)
    exchange(active, passive, active.start())
    assert passive.outcome is DtlsOutcome.FAILED
    assert passive.agreed is None


def test_dtls_1_0_is_not_spoken() -> None:
    """RFC 8996."""
    other = DtlsIdentity()
    other.context.set_min_proto_version(0xFEFF)
    other.context.set_max_proto_version(0xFEFF)
    other.context.set_cipher_list(b"ALL:@SECLEVEL=0")
    active, passive = Association(other, is_active=True), Association(DtlsIdentity(), is_active=False)
    exchange(active, passive, active.start())
    assert passive.outcome is DtlsOutcome.FAILED


@pytest.mark.parametrize(
    "garbage", [b"\x16", b"\x16\xfe\xfd" + bytes(10), bytes(1_400), b"\x17\xfe\xfd" + b"\xff" * 60]
)
def test_garbage_changes_nothing(garbage: bytes) -> None:
    active, passive = pair()
    passive.take(garbage)
    exchange(active, passive, active.start())
    assert passive.outcome is DtlsOutcome.UP
    passive.take(garbage)
    assert passive.outcome is DtlsOutcome.UP


def test_records_are_parted_at_their_borders() -> None:
    def record(size: int) -> bytes:
        return b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size)

    records = [record(size) for size in (600, 500, 300, 1_300, 10)]
    found = list(association._datagrams(b"".join(records)))
    assert found == [records[0] + records[1], records[2], records[3], records[4]]
