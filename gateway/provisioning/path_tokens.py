"""Tokens in the URL of a device's files, the keys of profiles, and profiles that are encrypted with them.

    HMAC-SHA-256(secret, purpose | hardware address | generation) -> 26 characters of base32, 130 bits

Nothing of a token is stored: a generation that is one higher makes all tokens before worth nothing. Each purpose has
tokens of its own, since one that travels in clear must open nothing that is read over TLS.

Phones that trust no certificate of ours get profiles that are encrypted by themselves: AES-256-CBC as `openssl enc
-aes-256-cbc -md md5` writes it, which a Cisco SPA reads with `[--key KEY]` in its Profile_Rule.

    "Salted__" salt (8 bytes) ciphertext, padded as PKCS #7     key and IV by EVP_BytesToKey with MD5, once

That format proves no origin: somebody in the middle could change the bytes, and the phone would see XML that is broken.
Its passphrase has 130 bits of a secret, so that the weak derivation gives nothing away.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

LENGTH: Final = 26
SALT: Final = 8
_MAGIC: Final = b"Salted__"
_KEY: Final = 32
_BLOCK: Final = 16


@attrs.frozen
class TokenMint:
    """Makes the tokens of one gateway."""

    secret: bytes = attrs.field(repr=False)

    def path(self, address: str, generation: int) -> str:
        """The token in the path of URLs over HTTPS."""
        return self._token("provision", address, generation)

    def sealed_path(self, address: str, generation: int) -> str:
        """The token in the path of URLs over HTTP, where profiles are encrypted by themselves."""
        return self._token("sealed", address, generation)

    def profile_key(self, address: str, generation: int) -> str:
        """The passphrase of a device's encrypted profiles."""
        return self._token("profile key", address, generation)

    def mark(self, purpose: str, data: bytes) -> bytes:
        """32 bytes that stand for data, and tell nothing of it to anybody without the secret."""
        return hmac.digest(self.secret, purpose.encode() + b"|" + data, "sha256")

    def _token(self, purpose: str, address: str, generation: int) -> str:
        made = self.mark(purpose, f"{address}|{generation}".encode())
        return base64.b32encode(made[:20]).decode("ascii")[:LENGTH].lower()


def sealed(profile: bytes, passphrase: str, salt: bytes) -> bytes:
    """The profile, encrypted. ``salt`` has 8 bytes, other ones for each content."""
    if len(salt) != SALT:
        raise ValueError("a salt has 8 bytes")
    made = derived = b""
    while len(derived) < _KEY + _BLOCK:
        made = hashlib.md5(made + passphrase.encode() + salt, usedforsecurity=False).digest()
        derived += made
    padder = PKCS7(8 * _BLOCK).padder()
    padded = padder.update(profile) + padder.finalize()
    cipher = Cipher(algorithms.AES256(derived[:_KEY]), modes.CBC(derived[_KEY : _KEY + _BLOCK])).encryptor()
    return _MAGIC + salt + cipher.update(padded) + cipher.finalize()
