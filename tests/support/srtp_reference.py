"""SRTP written from the RFCs over the `cryptography` package: slow, plain, and nothing of libsrtp's.

RFC 3711 sections 4.1.1 (AES-CM), 4.2 (HMAC-SHA1), 4.3 (key derivation, rate 0); RFC 7714 sections 8 and 9 (AEAD). Its
own pieces are checked with the RFCs' vectors in tests/rtp/test_srtp.py; gateway/rtp/srtp.py is then checked against
it.
"""

from __future__ import annotations

import hmac
from hashlib import sha1

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG_BYTES = {"AES_CM_128_HMAC_SHA1_80": 10, "AES_CM_128_HMAC_SHA1_32": 4}
SALT_BYTES = {"AES_CM_128_HMAC_SHA1_80": 14, "AES_CM_128_HMAC_SHA1_32": 14}


def keystream(key: bytes, iv: bytes, size: int) -> bytes:
    """AES in counter mode (RFC 3711 section 4.1.1)."""
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(bytes(size))


def derive(key: bytes, salt: bytes, label: int, size: int) -> bytes:
    """A session key (RFC 3711 section 4.3.1, index 0)."""
    padded = salt.ljust(14, b"\0")
    x = int.from_bytes(padded, "big") ^ (label << 48)
    return keystream(key, (x << 16).to_bytes(16, "big"), size)


def gcm(key: bytes, salt: bytes, ssrc: int, index: int, associated: bytes, plain: bytes) -> bytes:
    """Ciphertext and tag; `index` is ROC || SEQ, or the SRTCP index (RFC 7714 sections 8.1 and 9.1)."""
    iv = int.from_bytes(salt, "big") ^ (ssrc << 48) ^ index
    return AESGCM(key).encrypt(iv.to_bytes(12, "big"), plain, associated)


def protect(suite: str, master: bytes, packet: bytes, rollovers: int) -> bytes:
    """An RTP packet without CSRCs and extensions, protected."""
    salt_bytes = SALT_BYTES.get(suite, 12)
    key, salt = master[:-salt_bytes], master[-salt_bytes:]
    header, payload = packet[:12], packet[12:]
    ssrc, sequence = int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[2:4], "big")
    index = rollovers << 16 | sequence
    session, session_salt = derive(key, salt, 0, len(key)), derive(key, salt, 2, salt_bytes)
    if suite.startswith("AEAD"):
        return header + gcm(session, session_salt, ssrc, index, header, payload)
    iv = (int.from_bytes(session_salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
    stream = keystream(session, iv.to_bytes(16, "big"), len(payload))
    cipher = header + bytes(one ^ other for one, other in zip(payload, stream, strict=True))
    tag = hmac.new(derive(key, salt, 1, 20), cipher + rollovers.to_bytes(4, "big"), sha1).digest()
    return cipher + tag[: TAG_BYTES[suite]]
