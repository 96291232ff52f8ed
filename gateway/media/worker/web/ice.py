"""ICE-lite: binding requests read and judged, and their answers written (RFC 8445, RFC 8489); pure.

    packet --read--> BindingRequest --is_authentic(password)--> answer(request, password, source) --> packet
    question(...) --> packet of ours; its answer --is_answer--> whether the end that it was sent to wrote it

A lite end has one host candidate and is controlled by the full end: its nomination counts (RFC 8445 sections 2.5 and
8.2). It looks for no address: it answers, and asks the sources of checks alone (address_proof). Error 487 (role
conflict, section 7.3.1.1) is never sent: toward a lite end a full one is controlling in any case (section 6.1.1), and
two lite ends send no checks, so that a check by an end which claims to be controlled repairs nothing by changing its
role.

A request without FINGERPRINT or MESSAGE-INTEGRITY is none of ICE's (RFC 8445 section 7.1.1): nothing is answered to it,
nor to one with a wrong integrity, since its sender has not seen our SDP. Not here: addresses and consent
(web_end).
"""

from __future__ import annotations

import hmac
import ipaddress
import zlib
from base64 import b64encode
from collections.abc import Callable
from struct import pack, unpack_from
from typing import Final

import attrs

MAGIC: Final = b"\x21\x12\xa4\x42"
MOST_BYTES: Final = 1_280
"""Of a request: browsers' have about 120."""

_REQUEST: Final = 0x0001
_SUCCESS: Final = 0x0101
_ERROR: Final = 0x0111
_HEADER_BYTES: Final = 20
_INTEGRITY_BYTES: Final = 20
_USERNAME: Final = 0x0006
_INTEGRITY: Final = 0x0008
_ERROR_CODE: Final = 0x0009
_UNKNOWN: Final = 0x000A
_XOR_MAPPED_ADDRESS: Final = 0x0020
_PRIORITY: Final = 0x0024
_USE_CANDIDATE: Final = 0x0025
_CONTROLLED: Final = 0x8029
_FINGERPRINT: Final = 0x8028
_FINGERPRINT_XOR: Final = 0x5354554E
_OPTIONAL: Final = 0x8000
_PRFLX_PRIORITY: Final = 110 << 24 | 65_535 << 8 | 255
"""That of a peer-reflexive candidate, which an address would be (RFC 8445 sections 5.1.2 and 7.1.1)."""
_UNDERSTOOD: Final = frozenset({_USERNAME, _INTEGRITY, _PRIORITY, _USE_CANDIDATE})
"""Of attributes that have to be understood (RFC 8489 section 14)."""


@attrs.frozen
class IceCredentials:
    """Those of one end (RFC 8839 section 5.4)."""

    ufrag: str
    password: str = attrs.field(repr=False)

    @classmethod
    def made(cls, random: Callable[[int], bytes]) -> IceCredentials:
        """New ones: 48 bits of ufrag, 192 of password."""
        ufrag, password = (b64encode(random(size), b"+/").decode("ascii") for size in (6, 24))
        return cls(ufrag, password)

    @classmethod
    def unpacked(cls, data: bytes) -> IceCredentials:
        """Those that `packed` gave."""
        ufrag, _, password = data.decode("ascii").partition(":")
        return cls(ufrag, password)

    def packed(self) -> bytes:
        """Both in one value, to be kept beside keys."""
        return f"{self.ufrag}:{self.password}".encode("ascii")


@attrs.frozen
class BindingRequest:
    """A well-formed check, not yet authenticated."""

    transaction: bytes
    """12 bytes."""
    ours: str
    """The part of USERNAME that is to be our ufrag."""
    theirs: str
    is_nominating: bool
    """Whether it has USE-CANDIDATE."""
    unknown: tuple[int, ...]
    """Types of attributes that have to be understood, and are not."""
    integrity: bytes = attrs.field(repr=False)
    covered: bytes = attrs.field(repr=False)
    """The bytes that the integrity is made of."""

    def is_authentic(self, password: str) -> bool:
        """Whether its writer has our password (RFC 8489 section 9.1.3)."""
        return hmac.compare_digest(_mac(password, self.covered), self.integrity)


def read(packet: bytes) -> BindingRequest | None:
    """The request in a datagram; None for all that is no ICE check."""
    if not _HEADER_BYTES <= len(packet) <= MOST_BYTES:
        return None
    kind, length = unpack_from("!HH", packet)
    if kind != _REQUEST or packet[4:8] != MAGIC or length % 4 or length != len(packet) - _HEADER_BYTES:
        return None
    found, integrity_at = _attributes(packet)
    user, integrity = found.get(_USERNAME, b""), found.get(_INTEGRITY, b"")
    if len(integrity) != _INTEGRITY_BYTES or not _is_print_right(packet) or b":" not in user:
        return None
    ours, _, theirs = user.decode("ascii", "replace").partition(":")
    covered = _covered(packet, integrity_at)
    unknown = tuple(sorted(kind for kind in found if kind < _OPTIONAL and kind not in _UNDERSTOOD))
    return BindingRequest(packet[8:20], ours, theirs, _USE_CANDIDATE in found, unknown, integrity, covered)


def answer(request: BindingRequest, password: str, source: tuple[str, int]) -> bytes:
    """The success response to an authentic request, with the address that it came from; 420 where it asks for something
    unknown (RFC 8489 section 6.3.1)."""
    if request.unknown:
        types = b"".join(pack("!H", kind) for kind in request.unknown[:16])
        body = _attribute(_ERROR_CODE, b"\0\0\x04\x14Unknown Attribute") + _attribute(_UNKNOWN, types)
        return _sealed(_ERROR, request.transaction, body, password)
    mapped = _attribute(_XOR_MAPPED_ADDRESS, _mapped(source, request.transaction))
    return _sealed(_SUCCESS, request.transaction, mapped, password)


def question(transaction: bytes, tie_breaker: bytes, ours: IceCredentials, theirs: IceCredentials) -> bytes:
    """A check of our own, as the controlled end (RFC 8445 section 7.1); `transaction` has 12 bytes, `tie_breaker` 8."""
    body = _attribute(_USERNAME, f"{theirs.ufrag}:{ours.ufrag}".encode("ascii"))
    body += _attribute(_PRIORITY, pack("!I", _PRFLX_PRIORITY)) + _attribute(_CONTROLLED, tie_breaker)
    return _sealed(_REQUEST, transaction, body, theirs.password)


def is_reply(packet: bytes) -> bool:
    """Whether a datagram says to be the success response to a check."""
    return len(packet) >= _HEADER_BYTES and unpack_from("!H", packet)[0] == _SUCCESS and packet[4:8] == MAGIC


def is_answer(packet: bytes, password: str) -> bool:
    """Whether a reply was written by the end that has this password (RFC 8489 section 9.1.4)."""
    length = int.from_bytes(packet[2:4], "big")
    if len(packet) > MOST_BYTES or length % 4 or length != len(packet) - _HEADER_BYTES or not _is_print_right(packet):
        return False
    found, integrity_at = _attributes(packet)
    mac = _mac(password, _covered(packet, integrity_at))
    return hmac.compare_digest(mac, found.get(_INTEGRITY, b""))


def _attributes(packet: bytes) -> tuple[dict[int, bytes], int]:
    """The first of each type up to MESSAGE-INTEGRITY, and where that begins: all after it but FINGERPRINT counts for
    nothing (RFC 8489 section 14.5)."""
    found: dict[int, bytes] = {}
    at = _HEADER_BYTES
    while at + 4 <= len(packet):
        kind, length = unpack_from("!HH", packet, at)
        if at + 4 + length > len(packet):
            break
        found.setdefault(kind, packet[at + 4 : at + 4 + length])
        if kind == _INTEGRITY:
            break
        at += 4 + length + -length % 4
    return found, at


def _is_print_right(packet: bytes) -> bool:
    """Whether FINGERPRINT is the last attribute, and right (RFC 8489 section 14.7)."""
    if len(packet) < _HEADER_BYTES + 8:
        return False
    kind, length, found = unpack_from("!HHI", packet, len(packet) - 8)
    return (kind, length) == (_FINGERPRINT, 4) and bool(found == zlib.crc32(packet[:-8]) ^ _FINGERPRINT_XOR)


def _sealed(kind: int, transaction: bytes, body: bytes, password: str) -> bytes:
    """A message with MESSAGE-INTEGRITY and FINGERPRINT."""
    bare = pack("!HH", kind, 0) + MAGIC + transaction + body
    bare = _with_length(bare, len(body) + 4 + _INTEGRITY_BYTES)
    whole = bare + _attribute(_INTEGRITY, _mac(password, bare))
    whole = _with_length(whole, len(whole) + 8 - _HEADER_BYTES)
    return whole + _attribute(_FINGERPRINT, pack("!I", zlib.crc32(whole) ^ _FINGERPRINT_XOR))


def _mapped(source: tuple[str, int], transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (RFC 8489 section 14.2)."""
    address = ipaddress.ip_address(source[0].partition("%")[0])
    mask = (MAGIC + transaction)[: len(address.packed)]
    mixed = bytes(one ^ other for one, other in zip(address.packed, mask, strict=True))
    return pack("!BBH", 0, 1 if address.version == 4 else 2, source[1] ^ 0x2112) + mixed


def _attribute(kind: int, value: bytes) -> bytes:
    return pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _covered(packet: bytes, integrity_at: int) -> bytes:
    """The bytes that MESSAGE-INTEGRITY at that place is made of (RFC 8489 section 14.5)."""
    return _with_length(packet[:integrity_at], integrity_at + 4 + _INTEGRITY_BYTES - _HEADER_BYTES)


def _with_length(message: bytes, length: int) -> bytes:
    return message[:2] + pack("!H", length) + message[4:]


def _mac(password: str, message: bytes) -> bytes:
    return hmac.digest(password.encode("ascii"), message, "sha1")
