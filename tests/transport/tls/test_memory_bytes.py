"""The names of pyOpenSSL that memory_bytes.py uses and that are not public: an update that takes one away, or makes
another thing of it, is seen here by its name, and not by a connection that is silent."""

from __future__ import annotations

import pytest
from OpenSSL import SSL
from OpenSSL._util import ffi, lib

from gateway.transport.tls import memory_bytes


@pytest.fixture
def connection() -> SSL.Connection:
    """A client's connection over memory."""
    made = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    made.set_connect_state()
    return made


@pytest.mark.parametrize(("name", "kind"), [("_ssl", "SSL *"), ("_into_ssl", "BIO *"), ("_from_ssl", "BIO *")])
def test_a_connection_has_the_handles_that_openssl_takes(connection: SSL.Connection, name: str, kind: str) -> None:
    assert ffi.typeof(getattr(connection, name)).cname == kind


@pytest.mark.parametrize("name", ["BIO_write", "BIO_read", "SSL_write", "SSL_read"])
def test_the_library_has_the_functions(name: str) -> None:
    assert callable(getattr(lib, name))


def test_an_error_of_openssl_is_raised_as_pyopenssl_does(connection: SSL.Connection) -> None:
    with pytest.raises(SSL.WantReadError):
        connection._raise_ssl_error(connection._ssl, lib.SSL_do_handshake(connection._ssl))


def test_bytes_go_through_both_ends_of_the_memory(connection: SSL.Connection) -> None:
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    hello = memory_bytes.get_ciphertext(connection)
    assert hello[:2] == b"\x16\x03", "a handshake record (RFC 8446 section 5.1)"
    assert memory_bytes.get_ciphertext(connection) == b""
    memory_bytes.put_ciphertext(connection, b"no TLS at all")
    with pytest.raises(SSL.Error):
        connection.do_handshake()
