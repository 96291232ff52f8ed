"""Keys of SRTP in the head of a message: no line, reason phrase or Request-URI that holds one goes any further.

    head of a message --may_hold_keys--> usually no, at the price of a search
                        `--> take_out_keys: the lines gone, the reason phrase empty, MalformedMessage for a Request-URI

Keys belong in session descriptions, which cross through the relay (RFC 4568 section 5). In a Subject, an Event, a
Reason or a display name they would cross as they are, from a leg that is encrypted to one that is not, and into logs.
No such line has an honest purpose, so it is gone for all that read the message; an address loses the key alone.
Without a line that is needed (From, To) the message is malformed. A value is read as the receivers of its field may
read it: plain, quoted (RFC 3261 section 25.1), with URI or XML escapes, or in hexadecimal (User-to-User, RFC 7433
section 4.1).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import KEYS, Headers
from gateway.sip.message import Message, Request

HINT: Final = re.compile(r"inline|crypto|key-mgmt|[%\\&]|user-to-user", re.IGNORECASE)
"""A line without it holds no key in any reading."""
_KEY: Final = re.compile(r"a\s*=\s*(?:crypto|key-mgmt)\s*:|inline\s*:\s*[A-Za-z0-9+/]{16,}", re.IGNORECASE)
_CUT: Final = re.compile(rf"(?:{_KEY.pattern})[A-Za-z0-9+/=|^:]*", re.IGNORECASE)
_ADDRESSES: Final = frozenset({"from", "to", "contact", "refer-to", "referred-by", "p-preferred-identity"})
"""Fields that a request cannot do without, or that are written anew here: a key is cut out of them, as it stands."""

_HEXADECIMAL: Final = re.compile(r"\s*((?:[0-9A-Fa-f]{2}){8,})\s*(?:;|\Z)")


def may_hold_keys(head: str) -> bool:
    """Whether a head is worth a look at each of its lines. Each message is asked: seven searches for a text take a
    twentieth of the time of the pattern. (Beyond ASCII a pattern that ignores case finds more than lower() does.)"""
    if not head.isascii():
        return HINT.search(head) is not None
    lower = head.lower()
    return (
        "%" in lower
        or "\\" in lower
        or "&" in lower
        or "inline" in lower
        or "crypto" in lower
        or "key-mgmt" in lower
        or "user-to-user" in lower
    )


def take_out_keys(message: Message) -> None:
    """Remove the lines that hold a key, and such a reason phrase; addresses lose the key alone where that is enough.
    Raises MalformedMessage for such a Request-URI."""
    headers = message.headers
    lines = list(headers.items())
    cut = [(name, _CUT.sub("", value) if KEYS[name] in _ADDRESSES else value) for name, value in lines]
    kept = [(name, value) for name, value in cut if not _holds_key(name, value)]
    if kept != lines:
        message.headers = Headers(kept)
    if isinstance(message, Request):
        if _holds_key("", message.uri):
            raise MalformedMessage("a key in the Request-URI")
    elif _holds_key("", message.reason):
        message.reason = ""


def _holds_key(name: str, value: str) -> bool:
    return any(_KEY.search(text) is not None for text in _readings(name, value))


def _readings(name: str, value: str) -> Iterator[str]:
    """The texts that a value may stand for."""
    yield value
    if "\\" in value:
        value = value.replace("\\", "")
        yield value
    if "%" in value:
        once = unquote(value)
        yield once
        yield unquote(once)  # a field in a URI in a field
    if "&" in value:
        yield html.unescape(value)
    found = _HEXADECIMAL.match(value) if name.lower() == "user-to-user" else None
    if found is not None:
        yield bytes.fromhex(found[1]).decode("latin-1")
