"""Bytes into an OpenSSL connection over memory BIOs, and out of it.

pyOpenSSL's own methods for these copy more than needed, ask for errors where there is none, and make a buffer
for each call. Here OpenSSL is called as they call it, with kept buffers, and they are left the errors. For one thread:
the reactor's.
"""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

RECORD: Final = 16_384
"""Bytes: the most one TLS record holds (RFC 8446 section 5.1)."""

CHUNK: Final = RECORD + 512
"""Bytes of OpenSSL's output read at once: a full record and then some."""

_plain: Final[Any] = ffi.new("char[]", RECORD)
_cipher: Final[Any] = ffi.new("char[]", CHUNK)


def put_ciphertext(connection: SSL.Connection, data: bytes) -> None:
    """Bytes of the network, for OpenSSL to read."""
    if lib.BIO_write(connection._into_ssl, data, len(data)) <= 0:
        connection.bio_write(data)  # it says why


def get_ciphertext(connection: SSL.Connection) -> bytes:
    """Bytes for the network, CHUNK at most; empty when there are none."""
    length = lib.BIO_read(connection._from_ssl, _cipher, CHUNK)
    return b"" if length <= 0 else bytes(ffi.buffer(_cipher, length))


def put_plaintext(connection: SSL.Connection, data: bytes) -> None:
    """Encrypt data, a RECORD at most. Raises SSL.Error."""
    result = lib.SSL_write(connection._ssl, data, len(data))
    if result <= 0:
        connection._raise_ssl_error(connection._ssl, result)


def get_plaintext(connection: SSL.Connection) -> bytes:
    """The content of one record, or the rest of it. Raises SSL.Error: WantReadError where no record is whole."""
    length = lib.SSL_read(connection._ssl, _plain, RECORD)
    if length <= 0:
        connection._raise_ssl_error(connection._ssl, length)
    return bytes(ffi.buffer(_plain, length))
