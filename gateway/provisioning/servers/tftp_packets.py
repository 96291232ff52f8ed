"""Packets of TFTP (RFC 1350), its options (RFC 2347) blksize (2348), tsize and timeout (2349): bytes and values. Pure.

    bytes -> read_request -> ReadRequest -> accepted_options -> oack, data, error -> bytes

Here: reading alone; a request to write is MalformedTftp with error 2. Not here: sockets and time (tftp_server.py).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

import attrs

LONGEST_REQUEST: Final = 512
"""Bytes of a request (RFC 2347: option packets are no longer)."""
LONGEST_BLOCK: Final = 1428
"""Bytes of a block, so that no packet is cut into fragments on an Ethernet."""
BLOCK: Final = 512
LEAST_BLOCK: Final = 8
MODES: Final = ("octet", "netascii")


class Opcode(IntEnum):
    """The packets (RFC 1350 section 5, RFC 2347)."""

    READ = 1
    WRITE = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class TftpError(IntEnum):
    """Error codes (RFC 1350 appendix, RFC 2347)."""

    UNDEFINED = 0
    NOT_FOUND = 1
    ACCESS = 2
    ILLEGAL = 4
    OPTIONS = 8


class MalformedTftp(Exception):
    """No request to read. ``error`` is its answer; None: it gets none."""

    def __init__(self, error: TftpError | None) -> None:
        super().__init__(error)
        self.error = error


@attrs.frozen
class TftpOptions:
    """The options of one transfer that both sides know."""

    block: int = BLOCK
    timeout: int | None = None
    """Seconds until a packet is sent again, as the client wants it."""
    told: tuple[tuple[str, str], ...] = ()
    """Those that are acknowledged, in the client's order."""


@attrs.frozen
class ReadRequest:
    """A request to read a file."""

    name: str
    is_netascii: bool
    options: tuple[tuple[str, str], ...] = ()
    """In lower case, each name once."""


def read_request(packet: bytes) -> ReadRequest:
    """The request in a packet. Raises MalformedTftp."""
    if len(packet) < 4 or len(packet) > LONGEST_REQUEST:
        raise MalformedTftp(None)
    (opcode,) = struct.unpack_from("!H", packet)
    if opcode == Opcode.WRITE:
        raise MalformedTftp(TftpError.ACCESS)
    if opcode != Opcode.READ:
        raise MalformedTftp(None)  # a stray packet of another transfer: an answer could go round for ever
    if packet[-1]:
        raise MalformedTftp(TftpError.ILLEGAL)
    texts = packet[2:-1].split(b"\x00")
    if len(texts) < 2 or len(texts) % 2:
        raise MalformedTftp(TftpError.ILLEGAL)
    try:
        words = [text.decode("ascii") for text in texts]
    except UnicodeDecodeError:
        raise MalformedTftp(TftpError.ILLEGAL) from None
    mode = words[1].lower()
    if mode not in MODES:
        raise MalformedTftp(TftpError.ILLEGAL)
    pairs = [(name.lower(), value) for name, value in zip(words[2::2], words[3::2], strict=True)]
    if len({name for name, _ in pairs}) < len(pairs):
        raise MalformedTftp(TftpError.OPTIONS)
    return ReadRequest(words[0], mode == "netascii", tuple(pairs))


def accepted_options(request: ReadRequest, size: int) -> TftpOptions:
    """The options that are taken, of a file of ``size`` bytes. Others, and values out of range, are passed over."""
    found = TftpOptions()
    for name, value in request.options:
        number = int(value) if value.isascii() and value.isdecimal() and len(value) <= 10 else -1
        if name == "blksize" and LEAST_BLOCK <= number <= 65_464:
            block = min(number, LONGEST_BLOCK)
            found = attrs.evolve(found, block=block, told=(*found.told, (name, str(block))))
        elif name == "timeout" and 1 <= number <= 255:
            found = attrs.evolve(found, timeout=number, told=(*found.told, (name, str(number))))
        elif name == "tsize" and number == 0:
            found = attrs.evolve(found, told=(*found.told, (name, str(size))))
    return found


def option_acknowledgement(options: TftpOptions) -> bytes:
    """The packet that acknowledges options."""
    words = "".join(f"{name}\x00{value}\x00" for name, value in options.told)
    return struct.pack("!H", Opcode.OACK) + words.encode("ascii")


def data_packet(number: int, block: bytes) -> bytes:
    """A block of the file, counted from 1."""
    return struct.pack("!HH", Opcode.DATA, number) + block


def error_packet(error: TftpError) -> bytes:
    """An error, with as few words as the standard allows: no answer is longer than the request."""
    return struct.pack("!HH", Opcode.ERROR, error) + b"\x00"


def acknowledged(packet: bytes) -> int | None:
    """The number of the block that a packet acknowledges; -1 where it gives up; None for any other packet."""
    if len(packet) < 4:
        return None
    opcode, number = struct.unpack_from("!HH", packet)
    if opcode == Opcode.ERROR:
        return -1
    return int(number) if opcode == Opcode.ACK and len(packet) == 4 else None


def as_netascii(data: bytes) -> bytes:
    """A text file as mode netascii sends it: lines end with CR LF (RFC 764)."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\r\x00").replace(b"\n", b"\r\n")
