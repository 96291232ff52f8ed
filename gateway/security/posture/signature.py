"""Signed reports: Ed25519 (RFC 8032) over the canonical JSON of a report, with a key of this gateway alone.

    report -> canonical() -> bytes -> sign -> FILE, FILE.sig
    FILE, FILE.sig -> verified() -> the report, or NotVerified

Canonical: keys in order, no white space, ASCII, one line break at the end, as `json.dumps` writes it. A file is
verified as the bytes that it has: one that says the same in other bytes is not the one that was signed, so no byte
can be edited. The signature names its public key, which anybody could make: only a key that is known to be the
gateway's proves anything, hence `verified` wants one, and says where it had to believe the file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import Final

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.base.json_codec import Json
from gateway.base.private_files import kept_secret

KEY_FILE: Final = "posture.key"
"""In the state directory: the 32 bytes of the private key, with mode 0600."""
ALGORITHM: Final = "Ed25519"


class NotVerified(Exception):
    """A report is not the one that was signed; the message is one line."""


@attrs.frozen
class Verified:
    """A report that was signed."""

    report: Json
    fingerprint: str
    """Of the key, to compare."""
    is_key_known: bool
    """Whether the key was given, and not only named by the signature."""


class ReportKey:
    """The key of one gateway; made at its first use."""

    def __init__(self, state_directory: Path) -> None:
        """Nothing is read or made yet."""
        self._path = state_directory / KEY_FILE
        self._key: Ed25519PrivateKey | None = None

    def public(self) -> str:
        """The public key, in base64. Raises OSError."""
        return _text(self._private().public_key().public_bytes_raw())

    def sign(self, report: Json) -> dict[str, Json]:
        """The signature of a report, for the file beside it. Raises OSError."""
        key = self._private()
        signature = _text(key.sign(canonical(report)))
        return {"algorithm": ALGORITHM, "public_key": self.public(), "signature": signature}

    def _private(self) -> Ed25519PrivateKey:
        if self._key is None:
            self._key = Ed25519PrivateKey.from_private_bytes(kept_secret(self._path))
        return self._key


def canonical(report: Json) -> bytes:
    """The bytes that are signed, and written."""
    text = json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def fingerprint(public_key: str) -> str:
    """A short name of a public key in base64. Raises NotVerified."""
    return hashlib.sha256(_bytes(public_key, "the public key")).hexdigest()[:32]


def verified(data: bytes, signature: bytes, known_key: str | None = None) -> Verified:
    """The report in these bytes, if it was signed: by ``known_key``, else by the key that the signature names. Raises
    NotVerified."""
    told = _read(signature)
    key = told["public_key"]
    if known_key is not None and _bytes(known_key, "the key") != _bytes(key, "the public key"):
        raise NotVerified(f"it was signed with another key: {fingerprint(key)}, and not {fingerprint(known_key)}")
    try:
        public = Ed25519PublicKey.from_public_bytes(_bytes(key, "the public key"))
        public.verify(_bytes(told["signature"], "the signature"), data)
    except (InvalidSignature, ValueError):
        raise NotVerified("the report or its signature was changed after it was signed") from None
    try:
        report: Json = json.loads(data)
    except (ValueError, RecursionError):
        raise NotVerified("it was signed, but is no report") from None
    return Verified(report, fingerprint(key), known_key is not None)


def _read(signature: bytes) -> dict[str, str]:
    try:
        told = json.loads(signature)
    except (ValueError, RecursionError):
        raise NotVerified("the signature cannot be read: it is no JSON") from None
    fields = ("algorithm", "public_key", "signature")
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in fields):
        raise NotVerified("the signature cannot be read: algorithm, public_key and signature are needed")
    if told["algorithm"] != ALGORITHM:
        raise NotVerified(f"the signature is no {ALGORITHM}")
    return {name: told[name] for name in fields}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str, name: str) -> bytes:
    try:
        data = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise NotVerified(f"{name} is no base64") from None
    if _text(data) != text.strip():  # bits beside the data could be changed unseen
        raise NotVerified(f"{name} was changed")
    return data
