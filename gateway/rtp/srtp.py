"""SRTP and SRTCP over packets in one preallocated buffer (RFC 3711, RFC 7714). The only user of pylibsrtp.

A relay receives a packet into a `PacketBuffer`, a `Receiver` unprotects it where it lies, a `Sender` protects it where
it lies, and the relay sends a slice of the same memory: nothing is copied or allocated on the way. pylibsrtp's public
`Session.protect` copies in and out and takes twice as long as `lib.srtp_protect` in place, so its cffi binding is
called directly, behind `in_place_works`: if a later pylibsrtp differs, `Session.protect` is the fallback.

Receiving and sending have sessions of their own. A libsrtp session finds the stream by SSRC, makes one for a new SSRC
(a receiver only after the packet is authentic) and keeps a rollover counter for each, so a session must live as long
as its key does (RFC 3711 section 3.3.1).

Results are lengths in bytes; a negative one is a failure that `cause_of` explains. Nothing raises on bad packets.
The hot path does without the closures and calls `PacketBuffer.protect` and `.unprotect`, libsrtp's functions, itself.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeAlias, cast

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib

MAXIMUM_PACKET_BYTES: Final = 1_472
"""An RTP packet in clear: Ethernet's 1500 bytes without the headers of IPv4 and UDP."""
TRAILER_BYTES: Final = 16 + 4
"""Bytes that protection adds at most: a GCM tag, and SRTCP's index."""
MAXIMUM_RECEIVED_BYTES: Final = MAXIMUM_PACKET_BYTES + TRAILER_BYTES
BUFFER_BYTES: Final = 2_048

Operation: TypeAlias = Callable[[object, object, object], int]
"""libsrtp's function on (context, buffer.data, buffer.size): 0, or a status that is a failure when negated."""
Transform: TypeAlias = Callable[[int], int]
"""Takes the length of the packet at the start of the buffer; returns its new length, or a negative failure."""

_PROFILES: Final = {
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
_UNSPECIFIED = -1


class Cause(Enum):
    """Why a packet could not be protected or unprotected."""

    AUTHENTICATION = "authentication"
    REPLAY = "replay"
    """Seen before, or too old to tell."""
    OTHER = "other"


# libsrtp's srtp_err_status_auth_fail, _replay_fail, _replay_old, _pkt_idx_old (srtp.h).
_CAUSES: Final = {
    -7: Cause.AUTHENTICATION,
    -9: Cause.REPLAY,
    -10: Cause.REPLAY,
    -26: Cause.REPLAY,
}


def cause_of(failure: int) -> Cause:
    """The cause that a negative result stands for."""
    return _CAUSES.get(failure, Cause.OTHER)


class PacketBuffer:
    """Memory for one packet at a time, with room for protection.

    A socket writes to `receiving`: one byte longer than the longest packet, to tell one that was cut short. `slices[n]`
    is the first n bytes, made once, so that no packet makes a view.
    """

    __slots__ = ("data", "in_place", "memory", "protect", "receiving", "size", "slices", "unprotect")

    def __init__(self, in_place: bool = True) -> None:
        self.memory = bytearray(BUFFER_BYTES)
        view = memoryview(self.memory)
        self.receiving = view[: MAXIMUM_RECEIVED_BYTES + 1]
        self.slices = tuple(view[:length] for length in range(BUFFER_BYTES + 1))
        self.in_place = in_place
        self.data = ffi.from_buffer("unsigned char[]", self.memory)
        self.size = ffi.new("int *")
        self.protect: Operation = lib.srtp_protect if in_place else _copying_operation("protect", self.memory)
        self.unprotect: Operation = lib.srtp_unprotect if in_place else _copying_operation("unprotect", self.memory)


class Sender:
    """Protects outgoing packets: `key` is ours, master key and salt. ValueError for a bad suite or key length."""

    __slots__ = ("_session", "context", "protect", "protect_control")

    def __init__(self, suite: str, key: bytes, buffer: PacketBuffer) -> None:
        self._session = _session(suite, key, Policy.SSRC_ANY_OUTBOUND)
        self.context = _context(self._session, buffer)
        self.protect: Transform = _transform(self._session, "protect", buffer)
        self.protect_control: Transform = _transform(self._session, "protect_rtcp", buffer)


class Receiver:
    """Unprotects a peer's packets: `key` is the peer's. ValueError for a bad suite or key length."""

    __slots__ = ("_session", "context", "unprotect", "unprotect_control")

    def __init__(self, suite: str, key: bytes, buffer: PacketBuffer) -> None:
        self._session = _session(suite, key, Policy.SSRC_ANY_INBOUND)
        self.context = _context(self._session, buffer)
        self.unprotect: Transform = _transform(self._session, "unprotect", buffer)
        self.unprotect_control: Transform = _transform(self._session, "unprotect_rtcp", buffer)


def in_place_works() -> bool:
    """Whether pylibsrtp's binding can be called directly: a round trip that agrees with `Session.protect`."""
    key, packet = bytes(range(30)), b"\x80\x00\x00\x01" + bytes(8) + b"self-check"
    expected = _session("AES_CM_128_HMAC_SHA1_80", key, Policy.SSRC_ANY_OUTBOUND).protect(packet)
    try:
        buffer = PacketBuffer()
        buffer.memory[: len(packet)] = packet
        length = Sender("AES_CM_128_HMAC_SHA1_80", key, buffer).protect(len(packet))
        if buffer.slices[length] != expected:
            return False
        length = Receiver("AES_CM_128_HMAC_SHA1_80", key, buffer).unprotect(length)
        return buffer.slices[length] == packet
    except (AttributeError, TypeError, ValueError, IndexError):
        return False


def _session(suite: str, key: bytes, direction: int) -> Session:
    profile = _PROFILES.get(suite)
    if profile is None:
        raise ValueError(f"SRTP suite {suite} is not implemented")
    try:
        return Session(Policy(key=key, ssrc_type=direction, srtp_profile=profile))
    except Error as error:
        raise ValueError(f"libsrtp refuses the key or suite: {error}") from None


def _transform(session: Session, name: str, buffer: PacketBuffer) -> Transform:
    return _in_place(session, name, buffer) if buffer.in_place else _copying(session, name, buffer)


def _in_place(session: Session, name: str, buffer: PacketBuffer) -> Transform:
    function, context = getattr(lib, f"srtp_{name}"), session._srtp[0]
    data, size = buffer.data, buffer.size

    # The default argument keeps the session alive: `context` is a bare pointer into it.
    def transform(length: int, _owner: Session = session) -> int:
        size[0] = length
        status: int = function(context, data, size)
        if status:
            return -status
        return cast(int, size[0])

    return transform


def _copying(session: Session, name: str, buffer: PacketBuffer) -> Transform:
    method = cast(Callable[[bytes], bytes], getattr(session, name))
    memory = buffer.memory

    def transform(length: int) -> int:
        try:
            result = method(bytes(memory[:length]))
        except (Error, ValueError) as error:
            return _status_of(str(error))
        memory[: len(result)] = result
        return len(result)

    return transform


def _context(session: Session, buffer: PacketBuffer) -> object:
    """The first argument of an Operation. Keep the session as long: in place it is a bare pointer."""
    return cast(object, session._srtp[0]) if buffer.in_place else session


def _copying_operation(name: str, memory: bytearray) -> Operation:
    """The same as libsrtp's function, through the public one."""

    def operation(context: object, _data: object, size: Any) -> int:
        try:
            result: bytes = getattr(context, name)(bytes(memory[: size[0]]))
        except (Error, ValueError) as error:
            return -_status_of(str(error))
        memory[: len(result)] = result
        size[0] = len(result)
        return 0

    return operation


def _status_of(message: str) -> int:
    if message == "authentication failure":
        return -7
    return -9 if message.startswith(("replay check failed", "packet index is too old")) else _UNSPECIFIED


def context_pointer(context: object) -> int:
    """The address of a session's context, for C. The session has to live as long as it is used."""
    return int(ffi.cast("uintptr_t", context))


def function_pointer(name: str) -> int:
    """The address of libsrtp's `srtp_protect` or `srtp_unprotect`, for C. ValueError where the binding has none, or
    where it is not libsrtp 2's: context, packet, pointer to its length."""
    try:
        function = ffi.addressof(lib, name)
        kind = ffi.typeof(function).cname
    except (AttributeError, TypeError) as error:
        raise ValueError(f"pylibsrtp's binding has changed: {error}") from None
    if not kind.endswith("(*)(struct srtp_ctx_t_ *, void *, int *)"):
        raise ValueError(f"pylibsrtp's binding has changed: {name} is {kind}")
    return int(ffi.cast("uintptr_t", function))
