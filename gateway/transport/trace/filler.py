"""A message without its secrets, of the same length.

    bytes -> headers: credentials, nonces, keys, passwords -> filler of equal length
          -> body:    the same; filled whole where it is coded in a way that could hide a key

The list of secrets is that of the log (`observe.redaction`). Lengths stay, so that Content-Length is
right; base64 stays base64 of the right length, since Wireshark calls a key that is not malformed. The parameters of a
digest (RFC 7616) that are no secret stay readable: one looks for a wrong realm or a nonce count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from gateway.observe.redaction import REDACTED, RULES, URI_PASSWORD, without_password

_HARMLESS: Final = frozenset({"username", "realm", "uri", "algorithm", "qop", "nc", "stale", "domain"})
"""Parameters of a digest that are shown, less a password in one of them."""

_CREDENTIALS = re.compile(r"(?im)^((?:proxy-)?authorization[ \t]*:[ \t]*)(\S+)([ \t]*)((?:.|\r?\n[ \t])*)")
_PARAMETER = re.compile(r"([A-Za-z][\w-]*)([ \t]*=[ \t]*)(\"(?:[^\"\\]|\\.)*\"?|[^\s,]*)")
_ESCAPED_KEY = re.compile(r"(?i)(inline(?:%3a|&#58;|&#x3a;|&colon;))([^\s<>\"'&|]+)")
_CODED = re.compile(
    r"(?im)^(?:(?:content-encoding|e)[ \t]*:\s*(?!identity\b)"
    r"|content-transfer-encoding[ \t]*:\s*(?!(?:7bit|8bit|binary)\b))\S"
)
"""A field, of the message or of a part of its body, by which text is something else than it looks like."""


def without_secrets(data: bytes) -> bytes:
    """The message with filler in place of each secret. As long as `data`, always."""
    text = data.decode("latin-1")
    head, blank, body = _halves(text)
    shown, end = [], 0
    for found in _CREDENTIALS.finditer(head):
        shown += [_by_rules(head[end : found.start()]), _credentials(found)]
        end = found.end()
    shown += [_by_rules(head[end:]), blank]
    shown.append(_filled(body) if "&#" in body or _CODED.search(text) else _by_rules(body))
    return "".join(shown).encode("latin-1")


def _halves(text: str) -> tuple[str, str, str]:
    """Head, blank line, body. Without a blank line all is head."""
    for blank in ("\r\n\r\n", "\n\n"):
        head, found, body = text.partition(blank)
        if found:
            return head, found, body
    return text, "", ""


def _by_rules(text: str) -> str:
    lower, is_ascii = text.lower(), text.isascii()
    for signs, pattern, replacement in RULES:
        if not is_ascii or any(sign in lower for sign in signs):
            text = pattern.sub(_same_length(replacement), text)
    text = URI_PASSWORD.sub(_same_length(without_password), text)
    return _ESCAPED_KEY.sub(_escaped, text) if "inline" in lower else text


def _escaped(found: re.Match[str]) -> str:
    return found[1] + _filled(found[2])


@cache
def _same_length(replacement: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
    """The rule's replacement with filler, as long as the secret, where the rule writes that something is taken out."""

    def replaced(found: re.Match[str]) -> str:
        shown = replacement(found)
        if shown == found[0]:
            return shown
        before, _, after = shown.rpartition(REDACTED)  # the last one: a peer may have written the same before it
        secret = found[0][len(before) : len(found[0]) - len(after)]
        return before + _filled(secret) + after

    return replaced


def _credentials(found: re.Match[str]) -> str:
    """The parameters of a digest one by one; credentials of any other scheme whole."""
    name, scheme, space, rest = found[1], found[2], found[3], found[4]
    if scheme.lower() != "digest":
        return name + _filled(scheme) + space + _filled(rest)
    kept, end = [], 0
    for one in _PARAMETER.finditer(rest):
        value = _by_rules(one[3]) if one[1].lower() in _HARMLESS else _filled(one[3])
        kept += [_separator(rest[end : one.start()]), one[1], one[2], value]
        end = one.end()
    return name + scheme + space + "".join(kept) + _separator(rest[end:])


def _separator(text: str) -> str:
    """Between parameters stand commas and blanks; anything else is filled."""
    return re.sub(r"[^\s,]", "A", text)


def _filled(secret: str) -> str:
    """Filler of the same length: quotes, the padding of base64 and the ends of lines stay."""
    return re.sub(r"[^\"'=\s]", "A", secret)
