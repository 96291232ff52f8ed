"""The bytes of the journal: a head, then records that are sealed one by one.

    head:   GWJ1, salt (16 bytes)
    record: length (4 bytes), number (8), check of these two (4), then so many sealed bytes
    sealed: AES-256-GCM of: kind (1 byte), length of the name (1 byte), name, data

The key is made from the gateway's secret and the salt, which each new file has of its own; the nonce is the record's
number, which only goes up within a file. So no nonce is used twice under one key, and a record that was moved or
repeated is not read. A file may end in the middle of a record, and bits of it may be wrong: a record that cannot be
opened is passed over, and the next one is looked for. Pure: no file is touched here.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"GWJ1"
SALT_BYTES: Final = 16
HEAD_BYTES: Final = len(MAGIC) + SALT_BYTES
LONGEST: Final = 64 * 1024
"""Bytes of a sealed record."""

SEARCHED: Final = 1024 * 1024
"""Bytes that are searched for the next record at most, in one file: a place of garbage must not delay the start."""

_START: Final = struct.Struct(">IQ")
_PREFIX: Final = struct.Struct(">IQI")
_PURPOSE: Final = b"gateway: journal of calls that are up"


class RecordKind(IntEnum):
    """The meaning of a record."""

    WHOLE = 1
    """All of a call: earlier records of it count no more."""
    CHANGE = 2
    """A change, to be read after the records before it."""
    GONE = 3
    """Nothing of it counts any more."""


class OpenedRecord(NamedTuple):
    """A record that was read."""

    kind: int
    name: str
    data: bytes


class Seal:
    """Seals and opens the records of one file. `secret` is the gateway's, `salt` the file's."""

    def __init__(self, secret: bytes, salt: bytes) -> None:
        self.head = MAGIC + salt
        self._cipher = AESGCM(hmac.new(secret, _PURPOSE + salt, hashlib.sha256).digest())

    def sealed(self, number: int, kind: int, name: str, data: bytes) -> bytes:
        """A record as it is written. ValueError for a name of more than 255 bytes, or a record that is too long."""
        named = name.encode()
        body = self._cipher.encrypt(_nonce(number), bytes((kind, len(named))) + named + data, None)
        if len(body) > LONGEST:
            raise ValueError(f"a record of {len(body)} bytes")
        start = _START.pack(len(body), number)
        return b"%b%b%b" % (start, zlib.crc32(start).to_bytes(4, "big"), body)

    def opened(self, number: int, body: bytes) -> OpenedRecord | None:
        """The record; None for one that is not as it was sealed."""
        try:
            plain = self._cipher.decrypt(_nonce(number), body, None)
            end = 2 + plain[1]
            return OpenedRecord(plain[0], plain[2:end].decode(), plain[end:])
        except (InvalidTag, IndexError, UnicodeDecodeError):
            return None

    def opened_whole(self, record: bytes) -> OpenedRecord | None:
        """A record as it was written, its head included; None for one that is not as it was sealed."""
        if len(record) < _PREFIX.size:
            return None
        _, number, _ = _PREFIX.unpack_from(record)
        return self.opened(number, record[_PREFIX.size :])


def opened_records(secret: bytes, content: bytes) -> Iterator[OpenedRecord]:
    """Every record that can be read, in order; none of a file that is no journal of this secret."""
    if len(content) < HEAD_BYTES or not content.startswith(MAGIC):
        return
    seal, last, at, left = Seal(secret, content[len(MAGIC) : HEAD_BYTES]), -1, HEAD_BYTES, SEARCHED
    while at <= len(content) - _PREFIX.size and left >= 0:
        length, number, check = _PREFIX.unpack_from(content, at)
        if length > LONGEST or zlib.crc32(content[at : at + _START.size]) != check:
            at, left = at + 1, left - 1
            continue
        end = at + _PREFIX.size + length
        opened = seal.opened(number, content[at + _PREFIX.size : end])
        if opened is not None and number > last:
            last = number
            yield opened
        at = end


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
