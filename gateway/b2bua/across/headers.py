"""The one declared list of header fields that cross from one leg of a call to the other.

A back-to-back user agent answers and asks in its own name on each side, so a field crosses only when it stands
here. Everything that belongs to one dialog or one hop (Via, Route, Record-Route, Contact, Call-ID, CSeq, From, To,
Max-Forwards, Supported, Require, User-Agent, Server) is made anew on the other side and is never copied: no address
of a phone reaches the provider, and no header that a peer invented (``X-...``, a second identity) is passed on.

Nothing here looks at bodies; those cross through the relay (``media_path``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from gateway.config.model import Side
from gateway.sip.capabilities import EXTENSIONS, METHODS
from gateway.sip.digest import CHALLENGES, without_auth_int
from gateway.sip.grammar import split_list
from gateway.sip.headers import Headers

_EITHER_WAY: Final = frozenset(
    {
        "accept",
        "accept-language",
        "answer-mode",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "date",
        "event",
        "expires",
        "min-expires",
        "priority",
        "privacy",
        "reason",
        "refer-sub",
        "refer-to",
        "replaces",
        "referred-by",
        "retry-after",
        "sip-etag",
        "sip-if-match",
        "subject",
        "subscription-state",
        "unsupported",
        "user-to-user",
        "mime-version",
    }
)

_TO_PROVIDER: Final = _EITHER_WAY | frozenset(
    {
        "authorization",
        "p-preferred-identity",
        "proxy-authorization",
    }
)

_TO_PHONES: Final = _EITHER_WAY | frozenset(
    {
        "alert-info",
        "authentication-info",
        "call-info",
        "diversion",
        "error-info",
        "history-info",
        "identity",
        "p-asserted-identity",
        "p-called-party-id",
        "p-early-media",
        "proxy-authenticate",
        "reply-to",
        "warning",
        "www-authenticate",
    }
)
"""An asserted identity (RFC 3325) is the provider's to give: a phone that sends one is not believed. Fields in which a
phone names itself or its own files by address (Warning's agent, Reply-To, Alert-Info, Error-Info) do not leave."""


_OF_BODIES: Final = frozenset({"content-disposition", "content-encoding", "content-language", "content-type"})

_CROSSING: Final = {Side.PROVIDER: _TO_PROVIDER, Side.PHONES: _TO_PHONES}

_CAPABILITIES: Final = (("Allow", METHODS), ("Supported", EXTENSIONS), ("Require", EXTENSIONS))

_BODILESS: Final = {side: names - _OF_BODIES for side, names in _CROSSING.items()}


def crossing(headers: Headers, toward: Side, body: bytes) -> Headers:
    """The fields of a message that the leg on side `toward` is given, in their order.

    `body` is the body that goes with them: without one, the fields that describe it stay behind.
    """
    chosen = Headers()
    chosen.extend(headers, _CROSSING[toward] if body else _BODILESS[toward])
    if toward is Side.PHONES:
        _suit_phones(chosen)
    return chosen


def crossing_with_capabilities(headers: Headers, toward: Side, body: bytes) -> Headers:
    """The same for a message that begins or changes a dialog: with its sender's abilities (Allow, Supported, Require),
    as far as this user agent carries them across."""
    chosen = crossing(headers, toward, body)
    for name, carried in _CAPABILITIES:
        if name in headers:
            passed = _carried(carried, tuple(headers.get_all(name)))
            if passed:
                chosen.add(name, passed)
    return chosen


@lru_cache(maxsize=256)
def _carried(carried: tuple[str, ...], lists: tuple[str, ...]) -> str:
    """The values of some lists that cross. A phone says the same with each message, and so do all of its make."""
    named = {value for text in lists if text for value in split_list(text)}
    return ", ".join([one for one in carried if one in named])


def _suit_phones(headers: Headers) -> None:
    """Take out values that a phone must not see: auth-int, and an identity that is to stay among the trusted (RFC
    3325)."""
    if "p-asserted-identity" in headers and "id" in _privacy(headers):
        headers.remove("p-asserted-identity")
    for name in CHALLENGES:
        if name not in headers:
            continue
        challenges = headers.get_all(name)
        if any("auth-int" in challenge.lower() for challenge in challenges):
            headers.remove(name)
            for challenge in challenges:
                headers.add(name, without_auth_int(challenge))


def _privacy(headers: Headers) -> set[str]:
    """The parts that the caller wants kept private (RFC 3323 section 4.2), in lower case."""
    return {part.strip().lower() for value in headers.values("privacy") for part in value.split(";")}
