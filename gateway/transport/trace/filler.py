"""A message without its secrets, of the same length.

    bytes -> headers: credentials, nonces, keys, passwords -> filler of equal length
          -> body:    the same; lines of keys by their form; filled whole where it is coded, or could hide a key

The list of secrets and the search for them are the log's (`observe.redaction`). Lengths stay, so that Content-Length is
right; base64 stays base64 of the right length, since Wireshark calls a key that is not malformed. The parameters of a
digest (RFC 7616) that are no secret stay readable: one looks for a wrong realm or a nonce count.

A list of secrets finds those that look as they should, and a peer writes them as it likes. So of a line that holds a
key in SDP only the known words stay (suite, lifetime, MKI), a line that follows it and is no line of SDP goes with it,
and all else that speaks of such keys in any reading (escaped up to thrice, quoted, in hexadecimal) is filled whole.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from gateway.observe.redaction import REDACTED, RULES, Replacement, redacted, without_password

_HARMLESS: Final = frozenset({"username", "realm", "uri", "algorithm", "qop", "nc", "stale", "domain"})
"""Parameters of a digest that are shown, less a password in one of them."""

_CREDENTIALS = re.compile(
    r"(?im)^((?:(?:proxy-)?authorization|(?:proxy|www)-authenticate)[ \t]*:[ \t]*)(\S+)([ \t]*)((?:.|\r?\n[ \t])*)"
)
_PARAMETER = re.compile(r"([A-Za-z][\w-]*)([ \t]*=[ \t]*)(\"(?:[^\"\\]|\\.)*\"?|[^\s,]*)")
_CODED = re.compile(
    r"(?im)^(?:(?:content-encoding|e)[ \t]*:\s*(?!identity\b)"
    r"|content-transfer-encoding[ \t]*:\s*(?!(?:7bit|8bit|binary)\b))\S"
)
"""A field, of the message or of a part of its body, by which text is something else than it looks like."""

_SPEAKS_OF_KEYS = re.compile(r"inline(?!\s*(?:;|[\r\n]|\Z))|a\s*=\s*crypto|key-mgmt|mikey", re.IGNORECASE)
"""Not the disposition of a body, `inline`, which is the last word of its line or has parameters."""
_FIELD = re.compile(r"[^\r\n]*(?:\r?\n[ \t]+[^\r\n]*|[\r\n]+)*")
_LINE = re.compile(r"[^\r\n]+|[\r\n]+")
_SDP_LINE = re.compile(r"[a-z]=|--|content-", re.IGNORECASE)
_KEY_LINE = re.compile(r"\s*(?:a\s*=\s*key-mgmt\b|k\s*=)", re.IGNORECASE)
_CRYPTO_LINE = re.compile(r"\s*a\s*=\s*crypto\b\s*:?\s*[0-9]{0,9}\s*(?:[A-Z0-9_]{1,40}(?=\s))?", re.IGNORECASE)
_KNOWN_WORD = re.compile(
    r"inline:|\|(?:2\^[0-9]{1,2}|[0-9]{1,15}(?::[0-9]{1,3})?)(?=[|;\s]|\Z)"
    r"|(?<=\s)(?:WSH|KDR)=[0-9]{1,9}(?=\s|\Z)|(?<=\s)UN(?:ENCRYPTED|AUTHENTICATED)_SRTC?P(?=\s|\Z)|[;\s]|(.)",
    re.IGNORECASE | re.DOTALL,
)
_LONG_RUN = re.compile(r"[A-Za-z0-9+/]{38,}={0,2}")
"""As long as the shortest SDES key in base64, less its padding."""
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2}){8,}")
_JSON_ESCAPE = re.compile(r"\\u00([0-9A-Fa-f]{2})")
_READINGS: Final = 3


def without_secrets(data: bytes) -> bytes:
    """The message with filler in place of each secret. As long as `data`, always."""
    text = data.decode("latin-1")
    head, blank, body = _halves(text)
    shown, end = [], 0
    for found in _CREDENTIALS.finditer(head):
        shown += [_head(head[end : found.start()]), _credentials(found)]
        end = found.end()
    shown += [_head(head[end:]), blank]
    is_hidden = "\0" in body or "&#" in body or _CODED.search(text) is not None
    shown.append(_filled(body) if is_hidden else _body(body))
    return "".join(shown).encode("latin-1")


def _head(text: str) -> str:
    """Fields without secrets; one that speaks of keys loses its value."""
    return "".join(_field(found[0]) for found in _FIELD.finditer(_by_rules(text)))


def _field(line: str) -> str:
    if not _speaks_of_keys(line):
        return line
    name, colon, value = line.partition(":")
    return name + colon + _filled(value) if not _SPEAKS_OF_KEYS.search(name) else _filled(line)


def _body(text: str) -> str:
    """Lines with keys by their form, those that go on from one, and all others: filled where they speak of keys."""
    pieces, others, goes_on = list[str](), list[int](), False
    for found in _LINE.finditer(_by_rules(text)):
        line = found[0]
        if not line.isspace():
            shown = _line_with_key(line)
            if shown is None and goes_on and _SDP_LINE.match(line) is None:
                shown = _filled(line)
            goes_on = shown is not None
            if shown is None:
                others.append(len(pieces))
            line = line if shown is None else shown
        pieces.append(line)
    together = "\n".join(pieces[index] for index in others)
    is_suspect = _speaks_of_keys(together)
    for index in others:
        pieces[index] = _filled(pieces[index]) if is_suspect else _LONG_RUN.sub(_run, pieces[index])
    return "".join(pieces)


def _line_with_key(line: str) -> str | None:
    """A line of SDP that holds a key, without it; None for another one."""
    crypto = _CRYPTO_LINE.match(line)
    if crypto is not None:
        return crypto[0] + _KNOWN_WORD.sub(lambda word: _filled(word[1]) if word[1] else word[0], line[crypto.end() :])
    key = _KEY_LINE.match(line)
    return None if key is None else key[0] + _filled(line[key.end() :])


def _run(found: re.Match[str]) -> str:
    return _filled(found[0])


def _speaks_of_keys(text: str) -> bool:
    return any(map(_SPEAKS_OF_KEYS.search, _readings(text)))


def _readings(text: str) -> Iterator[str]:
    """The texts that a text may stand for."""
    yield text
    for run in _HEXADECIMAL.findall(text):
        yield bytes.fromhex(run).decode("latin-1")
    for _ in range(_READINGS):
        if "\\" in text:
            text = _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text).replace("\\", "")
        text = html.unescape(unquote(text, "latin-1"))
        yield text


def _halves(text: str) -> tuple[str, str, str]:
    """Head, blank line, body. Without a blank line all is head."""
    for blank in ("\r\n\r\n", "\n\n", "\n\r\n"):
        head, found, body = text.partition(blank)
        if found:
            return head, found, body
    return text, "", ""


def _same_length(replacement: Replacement) -> Replacement:
    """The rule's replacement with filler, as long as the secret, where the rule writes that something is taken out."""

    def replaced(found: re.Match[str]) -> str:
        shown = replacement(found)
        if shown == found[0]:
            return shown
        before, _, after = shown.rpartition(REDACTED)  # the last one: a peer may have written the same before it
        secret = found[0][len(before) : len(found[0]) - len(after)]
        return before + _filled(secret) + after

    return replaced


_RULES: Final = tuple((signs, pattern, _same_length(replacement)) for signs, pattern, replacement in RULES)
_PASSWORD: Final = _same_length(without_password)


def _by_rules(text: str) -> str:
    return redacted(text, _RULES, _PASSWORD)


def _credentials(found: re.Match[str]) -> str:
    """The parameters of a digest one by one; credentials of any other scheme whole."""
    name, scheme, space, rest = found[1], found[2], found[3], found[4]
    if scheme.lower() != "digest":
        return name + _filled(scheme) + space + _filled(rest)
    kept, end = [], 0
    for one in _PARAMETER.finditer(rest):
        value = _harmless(one[3]) if one[1].lower() in _HARMLESS else _filled(one[3])
        kept += [_separator(rest[end : one.start()]), one[1], one[2], value]
        end = one.end()
    return name + scheme + space + "".join(kept) + _separator(rest[end:])


def _harmless(value: str) -> str:
    """The value of a parameter that is no secret by its name."""
    return _filled(value) if _speaks_of_keys(value) else _by_rules(value)


def _separator(text: str) -> str:
    """Between parameters stand commas and blanks; anything else is filled."""
    return re.sub(r"[^\s,]", "A", text)


def _filled(secret: str) -> str:
    """Filler of the same length: quotes, the padding of base64 and the ends of lines stay."""
    return re.sub(r"[^\"'=\s]", "A", secret)
