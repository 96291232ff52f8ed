"""Digest authentication for SIP (RFC 3261 section 22, RFC 2617, RFC 7616, RFC 8760): challenges, answers, verification.

Pure: nonces, their age and the counting of nc belong to their issuer. Our part as a client starts with a `Challenge`
and a password and ends with `Credentials`; as a server it is the other way round. Passwords and their hashes appear in
no error and in no repr."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import QUOTED, TOKEN, WHITE, is_token, quote, unquote

__all__ = ["ALGORITHMS", "Challenge", "Credentials", "UnknownScheme", "answer", "answerable", "is_right"]

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
ALGORITHMS: tuple[str, ...] = tuple(
    [name for name, hash_name in _HASHES.items() if hash_name in hashlib.algorithms_available]
)
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{8}")
_RESPONSE = re.compile(r"[0-9A-Fa-f]{32}(?:[0-9A-Fa-f]{32})?")


CHALLENGES: Final = ("www-authenticate", "proxy-authenticate")


_QUOTED_VALUE: Final = re.compile(r'(?<![A-Za-z-])([A-Za-z-]++)(\s*=\s*)"((?:[^"\\]|\\.)*)"')


_SCHEME = re.compile(rf"({TOKEN})(?:[ \t]+(.*))?", re.DOTALL)


_FIELD = re.compile(rf"[ \t,]*({TOKEN})[ \t]*=[ \t]*({QUOTED}|[^ \t,\"]*)[ \t]*(?:,[ \t,]*|\Z)", re.DOTALL)


_LARGEST = 8192  # characters


class UnknownScheme(MalformedMessage):
    """An authentication scheme other than Digest: no error of the peer's, only nothing for us."""


@attrs.frozen
class Challenge:
    """WWW-Authenticate or Proxy-Authenticate. `qop` is empty for RFC 2069's form."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False
    domain: str | None = None

    @classmethod
    def parse(cls, text: str) -> Challenge:
        """The challenge in a header value. Raises MalformedMessage; an algorithm unknown to us is none."""
        fields = parse_fields(text)
        return cls(
            realm=required(fields, "realm"),
            nonce=required(fields, "nonce"),
            algorithm=_algorithm_name(fields.get("algorithm", "MD5")),
            qop=tuple([word.strip().lower() for word in fields.get("qop", "").split(",") if word.strip()]),
            opaque=fields.get("opaque"),
            stale=fields.get("stale", "").lower() == "true",
            domain=fields.get("domain"),
        )

    def __str__(self) -> str:
        return format_fields(
            [
                ("realm", self.realm),
                ("nonce", self.nonce),
                ("qop", ",".join(self.qop) or None),
                ("opaque", self.opaque),
                ("domain", self.domain),
            ],
            [("algorithm", self.algorithm), ("stale", "true" if self.stale else None)],
        )

    @property
    def is_answerable(self) -> bool:
        """Whether `answer` knows the algorithm and one of the qop values; a client passes over those it does not."""
        return _is_known(self.algorithm) and (not self.qop or "auth" in self.qop or "auth-int" in self.qop)


def answerable(values: Iterable[str]) -> Iterator[Challenge]:
    """The challenges among values of a field that `answer` can answer, as they come: the server prefers the first (RFC
    8760 section 2.3). Others are passed over, and those that cannot be read."""
    for value in values:
        try:
            challenge = Challenge.parse(value)
        except MalformedMessage:
            continue
        if challenge.is_answerable:
            yield challenge


@attrs.frozen
class Credentials:
    """Authorization or Proxy-Authorization. `qop`, `cnonce` and `nc` are None in RFC 2069's form."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str = attrs.field(repr=False)
    algorithm: str = "MD5"
    cnonce: str | None = None
    qop: str | None = None
    nc: int | None = None
    opaque: str | None = None

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """The credentials in a header value. Raises MalformedMessage."""
        fields = parse_fields(text)
        if fields.get("userhash", "false").lower() == "true" or "username*" in fields:
            raise MalformedMessage("userhash and username* are not supported")
        qop = fields.get("qop")
        if qop is not None and not is_token(qop):
            raise MalformedMessage("not a qop")
        if qop is not None and ("cnonce" not in fields or "nc" not in fields):
            raise MalformedMessage("Digest with qop but without cnonce or nc")
        return cls(
            username=required(fields, "username"),
            realm=required(fields, "realm"),
            nonce=required(fields, "nonce"),
            uri=required(fields, "uri"),
            response=_matching(_RESPONSE, required(fields, "response"), "response"),
            algorithm=_algorithm_name(fields.get("algorithm", "MD5")),
            cnonce=fields.get("cnonce"),
            qop=qop,
            nc=int(_matching(_NONCE_COUNT, fields["nc"], "nc"), 16) if "nc" in fields else None,
            opaque=fields.get("opaque"),
        )

    def __str__(self) -> str:
        return format_fields(
            [
                ("username", self.username),
                ("realm", self.realm),
                ("nonce", self.nonce),
                ("uri", self.uri),
                ("response", self.response),
                ("cnonce", self.cnonce),
                ("opaque", self.opaque),
            ],
            [
                ("algorithm", self.algorithm),
                ("qop", self.qop),
                ("nc", None if self.nc is None else f"{self.nc:08x}"),
            ],
        )


def answer(
    challenge: Challenge,
    *,
    username: str,
    password: str,
    method: str,
    uri: str,
    body: bytes = b"",
    cnonce: str,
    nc: int = 1,
) -> Credentials:
    """The credentials that answer a challenge: qop auth when offered, else auth-int, else RFC 2069's form.

    `cnonce` must be fresh randomness. Raises MalformedMessage for a challenge that is not `is_answerable`.
    """
    if not challenge.is_answerable:
        raise MalformedMessage("cannot answer a challenge of this algorithm and qop")
    qop = "auth" if "auth" in challenge.qop else "auth-int" if challenge.qop else None
    needs_cnonce = qop is not None or challenge.algorithm.endswith("-sess")
    unsigned = Credentials(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response="",
        algorithm=challenge.algorithm,
        cnonce=cnonce if needs_cnonce else None,
        qop=qop,
        nc=nc if qop else None,
        opaque=challenge.opaque,
    )
    return attrs.evolve(unsigned, response=_response(unsigned, password, method, body))


def is_right(credentials: Credentials, *, password: str, method: str, body: bytes = b"") -> bool:
    """Whether these credentials were made with that password, for that method (and body, with auth-int).

    Takes the same time wherever a wrong response differs. Realm, nonce, nc and uri are the caller's to judge.
    """
    if not _is_known(credentials.algorithm) or credentials.qop not in (None, "auth", "auth-int"):
        return False
    if credentials.algorithm.endswith("-sess") and credentials.cnonce is None:
        return False
    expected = _response(credentials, password, method, body)
    return hmac.compare_digest(expected.encode(), credentials.response.lower().encode())


def _response(credentials: Credentials, password: str, method: str, body: bytes) -> str:
    hash_name = _HASHES[credentials.algorithm.removesuffix("-sess")]
    secret = _digest(hash_name, f"{credentials.username}:{credentials.realm}:{password}")
    if credentials.algorithm.endswith("-sess"):
        secret = _digest(hash_name, f"{secret}:{credentials.nonce}:{credentials.cnonce}")
    what = f"{method}:{credentials.uri}"
    if credentials.qop == "auth-int":
        what += f":{_digest_bytes(hash_name, body)}"
    signed = _digest(hash_name, what)
    if credentials.qop is None:
        return _digest(hash_name, f"{secret}:{credentials.nonce}:{signed}")
    count = f"{credentials.nc or 0:08x}"
    return _digest(hash_name, f"{secret}:{credentials.nonce}:{count}:{credentials.cnonce}:{credentials.qop}:{signed}")


def _digest(hash_name: str, text: str) -> str:
    return _digest_bytes(hash_name, text.encode("utf-8", "surrogateescape"))


def _digest_bytes(hash_name: str, data: bytes) -> str:
    # Most phones have MD5 alone: a protocol's choice, not ours.
    return hashlib.new(hash_name, data, usedforsecurity=False).hexdigest()


def _is_known(algorithm: str) -> bool:
    return algorithm.removesuffix("-sess") in ALGORITHMS


def _algorithm_name(text: str) -> str:
    """Our spelling of an algorithm, or the text itself when unknown: a token, since it is written without quotes."""
    base = text.upper().removesuffix("-SESS")
    if base not in _HASHES:
        if not is_token(text):
            raise MalformedMessage("not an algorithm")
        return text
    return base if len(base) == len(text) else f"{base}-sess"


def _matching(pattern: re.Pattern[str], text: str, name: str) -> str:
    if pattern.fullmatch(text) is None:
        raise MalformedMessage(f"Digest {name} is not hexadecimal of the right length")
    return text


def parse_fields(text: str) -> dict[str, str]:
    """Lower-case name -> unquoted value. Raises MalformedMessage (UnknownScheme when it is not Digest)."""
    match = _SCHEME.fullmatch(text.strip(WHITE))
    if match is None or len(text) > _LARGEST:
        raise MalformedMessage("no authentication header")
    scheme, rest = match.groups()
    if scheme.lower() != "digest":
        raise UnknownScheme("an authentication scheme other than Digest")
    return _parse_list(rest or "")


def _parse_list(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _FIELD.match(text, position)
        if match is None:
            raise MalformedMessage("a Digest parameter that cannot be read", position)
        name = match.group(1).lower()
        if name in fields:
            raise MalformedMessage("a Digest parameter twice", position)
        fields[name] = unquote(match.group(2))
        position = match.end()
    return fields


def required(fields: dict[str, str], name: str) -> str:
    """The value of a parameter that must be there. Raises MalformedMessage."""
    if name not in fields:
        raise MalformedMessage(f"Digest without {name}")
    return fields[name]


def format_fields(quoted: Iterable[tuple[str, str | None]], plain: Iterable[tuple[str, str | None]]) -> str:
    """`Digest ...` with those parameters that are not None."""
    parts = [f"{name}={quote(value)}" for name, value in quoted if value is not None]
    parts += [f"{name}={value}" for name, value in plain if value is not None]
    return f"Digest {', '.join(parts)}"


def without_auth_int(challenge: str) -> str:
    """The challenge with auth-int removed from a qop that offers auth too.

    auth-int signs the body (RFC 7616 section 3.4.3), which this gateway rewrites; where auth is offered as well a phone
    must not be led to choose it. Quoted strings are taken whole: no realm can pose as a qop.
    """
    return _QUOTED_VALUE.sub(_auth_only, challenge)


def _auth_only(match: re.Match[str]) -> str:
    name, equals, value = match.groups()
    offered = [item.strip() for item in value.split(",")]
    lowered = [item.lower() for item in offered]
    if name.lower() != "qop" or "auth" not in lowered or "auth-int" not in lowered:
        return match[0]
    kept = [item for item, lower in zip(offered, lowered, strict=True) if lower != "auth-int"]
    return f'{name}{equals}"{",".join(kept)}"'
