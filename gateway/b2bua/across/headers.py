"""The one declared list of header fields that cross from one leg of a call to the other.

A back-to-back user agent answers and asks in its own name on each side, so a field crosses only when it stands
here. Everything that belongs to one dialog or one hop (Via, Route, Record-Route, Contact, Call-ID, CSeq, From, To,
Max-Forwards, Supported, Require, User-Agent, Server) is made anew on the other side and is never copied: no address
of a phone reaches the provider, and no header that a peer invented (``X-...``, a second identity) is passed on.

Event packages (RFC 6665) are between the two ends: their option tags cross, and their Call-Info, which names the
appearance of a shared line. A wish that a phone answer by itself would let a room be listened into from outside, and an
order to start again could have it fetch another configuration: neither crosses to the phones, unless their domain
allows it.

Nothing here looks at bodies (``bodies``); descriptions cross through the relay (``media_path``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from gateway.config.model import Domain, Side
from gateway.sip.capabilities import EXTENSIONS, METHODS, extensions_of
from gateway.sip.digest import CHALLENGES, without_auth_int
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.grammar import split_list
from gateway.sip.header_values import cseq
from gateway.sip.headers import Headers, value_of
from gateway.sip.message import Request

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_PROVIDER: Final = Side.PROVIDER
_PHONES: Final = Side.PHONES

_EITHER_WAY: Final = frozenset(
    {
        "accept",
        "accept-language",
        "allow-events",
        "answer-mode",
        "call-info",
        "content-disposition",
        "content-encoding",
        "content-id",
        "content-language",
        "content-type",
        "date",
        "event",
        "expires",
        "geolocation",
        "geolocation-error",
        "geolocation-routing",
        "info-package",
        "min-expires",
        "priority",
        "priv-answer-mode",
        "privacy",
        "reason",
        "recv-info",
        "refer-sub",
        "refer-to",
        "replaces",
        "referred-by",
        "retry-after",
        "sip-etag",
        "sip-if-match",
        "subject",
        "subscription-state",
        "suppress-if-match",
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
        "diversion",
        "error-info",
        "history-info",
        "identity",
        "p-asserted-identity",
        "p-auto-answer",
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


_PROVIDERS: Final = _TO_PHONES - _EITHER_WAY
"""Fields that a provider may give a phone, and no phone another one: addresses of files to fetch or to call, identities
that only the provider vouches for, and challenges, whose answer is a phone's password."""

_OF_BODIES: Final = frozenset(
    {"content-disposition", "content-encoding", "content-id", "content-language", "content-type"}
)

_CROSSING: Final = {_PROVIDER: _TO_PROVIDER, _PHONES: _TO_PHONES}

_BODILESS: Final = {side: names - _OF_BODIES for side, names in _CROSSING.items()}

_OF_REQUESTS: Final = frozenset({"refer-to", "referred-by", "replaces", "reply-to", "p-preferred-identity"})
"""Fields of requests, which name people and dialogs as each side knows them (``transfer``)."""

_CAPABILITIES: Final = frozenset({"allow", "supported", "require"})

_ANY_CROSSING: Final = {side: names | _CAPABILITIES for side, names in _CROSSING.items()}

_WISHES: Final = frozenset({"answer-mode", "priv-answer-mode", "p-auto-answer", "alert-info", "call-info"})
"""Fields in which a caller can ask that the phone answer by itself: those of RFC 5373, and the makes' own."""

_UNSUITED: Final = _WISHES | {"p-asserted-identity", "error-info", *CHALLENGES}
"""Fields with values that a phone must not see (`_suit_phones`)."""

_AUTO_ANSWER: Final = re.compile(r"answer|intercom|hands-?free|speaker|paging", re.IGNORECASE)
"""The wish in words: ``answer-after=0`` (Cisco, Snom, Yealink), ``info=alert-autoanswer`` (Grandstream, Aastra),
``Auto Answer`` and ``Ring Answer`` (Polycom), and their kin."""

_APPEARANCE: Final = re.compile(r";\s*appearance-(?:index|state|uri)\s*=", re.IGNORECASE)
"""A shared line's appearance; any other Call-Info of a phone names its own files by address."""

_ADDRESSES: Final = frozenset(
    {
        "alert-info",
        "call-info",
        "diversion",
        "error-info",
        "geolocation",
        "history-info",
        "p-asserted-identity",
        "p-called-party-id",
        "reply-to",
    }
)
"""Fields of URIs that cross as they stand."""

_PASSWORD: Final = re.compile(r"(sips?:[^@:<>\"\s;?]*):[^@<>\"\s]*@", re.IGNORECASE)
"""The user part of a URI, and its password."""

_OF_A_LINE: Final = re.compile(r"[ \t]*<[ \t]*sips?:", re.IGNORECASE)
"""The begin of its value (RFC 3261 section 20.9 wants the brackets)."""


def crossing(headers: Headers, toward: Side, body: bytes, *, auto_answer: bool = False) -> Headers:
    """The fields of a message that the leg on side `toward` is given, in their order.

    `body` is the body that goes with them: without one, the fields that describe it stay behind. `auto_answer` lets
    wishes for an automatic answer through.
    """
    chosen = headers.select(_CROSSING[toward] if body else _BODILESS[toward])
    for name in _ADDRESSES.intersection(chosen.present):
        _take_out_passwords(chosen, name)
    if toward is _PHONES:
        _suit_phones(chosen, auto_answer)
    elif "call-info" in chosen.present:
        _take_out(chosen, "call-info", _is_no_appearance)
    return chosen


def crossing_with_capabilities(headers: Headers, toward: Side, body: bytes, *, auto_answer: bool = False) -> Headers:
    """The same for a message that begins or changes a dialog: with its sender's abilities (Allow, Supported, Require),
    as far as this user agent carries them across."""
    chosen = crossing(headers, toward, body, auto_answer=auto_answer)
    given = headers.present
    if _CAPABILITIES.isdisjoint(given):
        return chosen
    number = headers.parsed("cseq", cseq)
    extensions = EXTENSIONS if number is None else extensions_of(number.method)
    for name, key, carried in (
        ("Allow", "allow", METHODS),
        ("Supported", "supported", extensions),
        ("Require", "require", extensions),
    ):
        if key in given:
            passed = _carried(carried, headers.lines_of(key))
            if passed:
                chosen.add(name, passed)
    return chosen


def crossing_back(headers: Headers, toward: Side, body: bytes) -> Headers:
    """The same for a response, in which nobody is referred to and no line is seized. Most have nothing that crosses."""
    if _ANY_CROSSING[toward].isdisjoint(headers.present):
        return Headers()
    chosen = crossing_with_capabilities(headers, toward, body)
    for name in _OF_REQUESTS.intersection(chosen.present):
        chosen.remove(name)
    if toward is _PROVIDER:
        chosen.remove("call-info")
    return chosen


def take_out_providers(headers: Headers) -> None:
    """Take the fields out of a phone's message to another phone that are a provider's to give."""
    for name in _PROVIDERS.intersection(headers.present):
        headers.remove(name)


def check_commands(request: Request, toward: Side, domain: Domain) -> None:
    """Refused 489 for a NOTIFY to a phone that is an order to it, unless its domain lets the provider give such orders.

    Event: talk, of BroadSoft's making, makes it answer by itself while it rings (`auto_answer`). check-sync, resync,
    service-control, ACTION-URI and their like make it fetch another configuration, start again, forget its settings,
    or press its keys (`provider_resync`). A phone may obey them within a call and outside.
    """
    if request.method != "NOTIFY" or toward is not _PHONES:
        return
    event = (request.headers.get("event") or "").lower()
    if event.partition(";")[0].strip() == "talk" and not domain.auto_answer:
        raise Refused(489, "Phones here answer when somebody picks up")
    if _ORDER.search(event) and not domain.provider_resync:
        raise Refused(489, "Phones here take no orders from the provider")


def is_auto_answer(text: str) -> bool:
    """Whether a value asks for an automatic answer, however it is quoted."""
    return _AUTO_ANSWER.search(text.replace("\\", "")) is not None


_ORDER = re.compile(r"sync|reboot|restart|reset|service-control|action-uri|xml|^\s*report\b")
"""In the Event of a NOTIFY that orders a phone about: no maker registers these names, and each has its own."""


@lru_cache(maxsize=256)
def _carried(carried: tuple[str, ...], lines: tuple[str, ...]) -> str:
    """The values of some lines that cross. A phone says the same with each message, and so do all of its make."""
    named = {value for text in map(value_of, lines) if text for value in split_list(text)}
    return ", ".join([one for one in carried if one in named])


def _suit_phones(headers: Headers, auto_answer: bool) -> None:
    """Take out values that a phone must not see: auth-int, an identity that is to stay among the trusted (RFC 3325), a
    wish that it answer by itself, and an address to call for an announcement (Error-Info, RFC 3261 section 20.18)."""
    if _UNSUITED.isdisjoint(headers.present):
        return
    if "p-asserted-identity" in headers and "id" in _privacy(headers):
        headers.remove("p-asserted-identity")
    if not auto_answer:
        for name in _WISHES.intersection(headers.present):
            _take_out(headers, name, partial(_is_wish, name))
    if "error-info" in headers:
        _take_out(headers, "error-info", _is_place_to_call)
    for name in CHALLENGES:
        if name not in headers:
            continue
        challenges = headers.get_all(name)
        if any("auth-int" in challenge.lower() for challenge in challenges):
            headers.remove(name)
            for challenge in challenges:
                headers.add(name, without_auth_int(challenge))


def _is_wish(name: str, value: str) -> bool:
    if name in ("answer-mode", "priv-answer-mode"):
        return value.partition(";")[0].strip().lower() != "manual"
    return name == "p-auto-answer" or is_auto_answer(value)


def _is_place_to_call(value: str) -> bool:
    return "sip" in value.lower()


def _is_no_appearance(value: str) -> bool:
    """A line has an address of SIP's, which is named as that side knows it; another URI is a place on the phone."""
    return _APPEARANCE.search(value) is None or _OF_A_LINE.match(value) is None


def _take_out(headers: Headers, name: str, is_unfit: Callable[[str], bool]) -> None:
    """Remove the values of a field that are unfit; some makes write lines that are no lists, which are one value."""
    values = [value for line in headers.get_all(name) for value in _values(line)]
    kept = [value for value in values if not is_unfit(value)]
    if not kept:
        headers.remove(name)
    elif len(kept) < len(values):
        headers.set(name, ", ".join(kept))


def _values(line: str) -> list[str]:
    try:
        return split_list(line)
    except MalformedMessage:
        return [line]


def _take_out_passwords(headers: Headers, name: str) -> None:
    """Let no URI of a field have a password (RFC 3261 section 19.1.1)."""
    values = headers.get_all(name)
    if any(_PASSWORD.search(value) for value in values):
        headers.remove(name)
        headers.add_all([(name, _PASSWORD.sub(r"\1@", value)) for value in values])


def _privacy(headers: Headers) -> set[str]:
    """The parts that the caller wants kept private (RFC 3323 section 4.2), in lower case."""
    return {part.strip().lower() for value in headers.values("privacy") for part in value.split(";")}
