"""An OpenSSL cipher list of the configuration: understood by the OpenSSL that will use it, and nothing weak in it.

What lives here: judging the text that an operator wrote for TLS 1.2. What does not: contexts (`transport.tls`). TLS 1.3
has its own five suites, all good, which no list changes.
"""

import re

from OpenSSL import SSL

from gateway.config.structuring import Unacceptable

_WEAK = re.compile(r"NULL|^A(?:EC)?DH-|RC4|RC2|DES|MD5|^EXP|IDEA|SEED")
"""Ciphers that do not encrypt, do not say who the peer is, or have been broken."""


def cipher_list(value: object) -> str:
    """A list in OpenSSL's format, such as "ECDHE+AESGCM"."""
    if not isinstance(value, str) or not value.isascii():
        raise Unacceptable(value, 'a cipher list of OpenSSL, such as "ECDHE+AESGCM"')
    context = SSL.Context(SSL.TLS_METHOD)
    try:
        context.set_cipher_list(value.encode())
    except SSL.Error:
        raise Unacceptable(
            value, "a cipher list that OpenSSL understands and that leaves a cipher of TLS 1.2"
        ) from None
    weak = [name for name in SSL.Connection(context, None).get_cipher_list() if _WEAK.search(name)]
    if weak:
        raise Unacceptable(value, f"no weak ciphers, which {', '.join(weak[:3])} are: end it with :!aNULL:!eNULL:!LOW")
    return value
