"""Sealed records of the store: nothing in it can be read or forged without the secret.

    field:  HMAC-SHA256 of file and key, 16 bytes
    record: schema (1 byte), number (12), AES-256-GCM of: length of the file's name (1), file, length of the key (4),
            key, value; associated data: schema and field

Each generation, which is one whole copy of a node's state, has a key of its own, made from the cluster's secret and the
generation's name; the nonce is the record's number, which only goes up. So no nonce is used twice under one key, and no
record of one generation, or of another field, is taken for another. An older record of the same field and generation
is not known as such: anybody that can write there can put back an old one. Two secrets may be valid at once: the
first one seals, each one opens. Pure: no store is asked here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SCHEMA: Final = 1
"""Of these records. One of another schema is not read."""
LEAST_SECRET: Final = 32
"""Bytes of a secret."""
FIELD_BYTES: Final = 16

_NUMBER_BYTES: Final = 12
_HEAD_BYTES: Final = 1 + _NUMBER_BYTES
_PURPOSE: Final = b"gateway: copies in a cluster's store"
_FIELDS: Final = b"gateway: fields in a cluster's store"


class OtherSchema(Exception):
    """The record is of another version of the gateway."""


class Copied(NamedTuple):
    """A record that was opened."""

    file: str
    key: bytes
    value: bytes


class ClusterSeal:
    """Seals and opens the records of one generation. `secrets`: the cluster's, the one that seals first."""

    def __init__(self, secrets: Sequence[bytes], generation: str) -> None:
        name = generation.encode()
        self._ciphers = [AESGCM(_derived(secret, _PURPOSE, name)) for secret in secrets]
        self._fields = _derived(secrets[0], _FIELDS, name)
        self._number = 0

    def field(self, file: str, key: bytes) -> bytes:
        """The name under which a record is kept."""
        return hmac.new(self._fields, file.encode() + b"\0" + key, hashlib.sha256).digest()[:FIELD_BYTES]

    def sealed(self, file: str, key: bytes, value: bytes) -> bytes:
        """A record."""
        named, self._number = file.encode(), self._number + 1
        number = self._number.to_bytes(_NUMBER_BYTES, "big")
        plain = b"%c%b%b%b%b" % (len(named), named, len(key).to_bytes(4, "big"), key, value)
        head = bytes((SCHEMA,))
        return head + number + self._ciphers[0].encrypt(number, plain, head + self.field(file, key))

    def opened(self, field: bytes, record: bytes) -> Copied | None:
        """The contents; None for a record that none of the secrets opens. Raises OtherSchema."""
        if record[:1] != bytes((SCHEMA,)):
            raise OtherSchema
        number, body, known = record[1:_HEAD_BYTES], record[_HEAD_BYTES:], record[:1] + field
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(number, body, known)
            except (InvalidTag, ValueError):
                continue
            after_file = 1 + plain[0]
            after_key = after_file + 4 + int.from_bytes(plain[after_file : after_file + 4], "big")
            return Copied(plain[1:after_file].decode(), plain[after_file + 4 : after_key], plain[after_key:])
        return None


def _derived(secret: bytes, purpose: bytes, name: bytes) -> bytes:
    return hmac.new(secret, purpose + b"\0" + name, hashlib.sha256).digest()
