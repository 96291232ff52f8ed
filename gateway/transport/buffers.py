"""The memory that an established TLS connection need not keep.

OpenSSL's memory BIOs grow and never shrink: that of what leaves keeps room for the handshake's longest flight, our
certificate chain, as long as the connection lives. Kilobytes, times all the phones that are idle behind theirs.

This is the one place that reaches below pyOpenSSL's interface. Not here: the connection (channel.py).
"""

from OpenSSL import SSL
from OpenSSL._util import ffi, lib


def renew_output(connection: SSL.Connection) -> None:
    """Begin a new buffer for what leaves. The old one must be empty: what it holds is lost.

    SSL_set_bio takes over the new BIO and frees the old, and leaves the one of what arrives as it is because it is
    given the same (SSL_set_bio(3)).
    """
    fresh = lib.BIO_new(lib.BIO_s_mem())
    if fresh == ffi.NULL:  # out of memory: then the old one does
        return
    connection._from_ssl = fresh
    lib.SSL_set_bio(connection._ssl, connection._into_ssl, fresh)
