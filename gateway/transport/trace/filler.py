"""A message without its secrets, of the same length.

    bytes -> headers: credentials, nonces, keys, passwords -> filler of equal length
          -> body:    the same; lines of keys by their form; filled whole where it is coded, or could hide a key

The list of secrets and the search for them are the log's (`observe.redaction`). Lengths stay, so that Content-Length is
right; base64 stays base64 of the right length, since Wireshark calls a key that is not malformed. The parameters of a
digest (RFC 7616) that are no secret stay readable: one looks for a wrong realm or a nonce count.

A list of secrets finds those that look as they should, and a peer writes them as it likes. So of a line that holds a
key in SDP only the known words stay (suite, lifetime, MKI), a line that follows it and is no line of SDP goes with it,
and all else that speaks of such keys in any reading (escaped up to thrice, quoted, in hexadecimal) is filled whole.

Most texts have nothing of all this, and lines with keys nearly always look alike: `quick_looks` says where the slow
search is not needed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from gateway.observe.redaction import REDACTED, RULES, Replacement, redacted, without_password
from gateway.transport.trace import quick_looks

_HARMLESS: Final = frozenset({"username", "realm", "uri", "algorithm", "qop", "nc", "stale", "domain"})
"""Parameters of a digest that are shown, less a password in one of them."""

_CREDENTIALS = re.compile(
    r"(?im)^((?:(?:proxy-)?authorization|(?:proxy|www)-authenticate)[ \t]*:[ \t]*)(\S+)([ \t]*)(.*(?:\n[ \t].*)*)"
)
_USUAL_SEPARATORS: Final = frozenset({"", ", ", ",", ",\r\n ", ",\r\n\t", "\r"})
_PARAMETER = re.compile(r"([A-Za-z][\w-]*)([ \t]*=[ \t]*)(\"[^\"\\]*(?:\\.[^\"\\]*)*\"?|[^\s,]*)")
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
_USUAL_KEY = re.compile(
    r"(a=crypto:(?<![^\r\n]a=crypto:)[0-9]{1,9} [A-Z0-9_]{1,40} inline:)([A-Za-z0-9+/]{16,}={0,2})"
    r"((?:\|2\^[0-9]{1,2})?(?:\|[0-9]{1,15}:[0-9]{1,3})?\r?\n(?=[a-z]=|\Z))"
)
"""A line with a key as nearly all are, before one of SDP: its key alone is filled."""
_LONG_RUN = re.compile(rf"[A-Za-z0-9+/]{{{quick_looks.RUN},}}={{0,2}}")
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2}){8,}")
_FILLER: Final = bytes(code if chr(code) in "\"'=" or chr(code).isspace() else ord("A") for code in range(256))
_JSON_ESCAPE = re.compile(r"\\u00([0-9A-Fa-f]{2})")
_READINGS: Final = 3


def without_secrets(data: bytes) -> bytes:
    """The message with filler in place of each secret. As long as `data`, always."""
    text = data.decode("latin-1")
    head, blank, body = _halves(text)
    credentials, pieces = [*_credentials_in(head)], _USUAL_KEY.split(body) if "a=crypto:" in body else [body]
    if _is_usual(head, credentials, pieces):
        pieces[2::4] = map(_filled, pieces[2::4])
        shown = _with_credentials(head, credentials, _as_it_is, _usual_credentials) + blank + "".join(pieces)
    else:
        is_hidden = "\0" in body or "&#" in body or _CODED.search(text) is not None
        shown = _with_credentials(head, credentials, _head) + blank + (_filled(body) if is_hidden else _body(body))
    return shown.encode("latin-1")


def _is_usual(head: str, credentials: Sequence[re.Match[str]], pieces: Sequence[str]) -> bool:
    """Whether a message surely has no secret but credentials in their fields, and keys in usual lines. ``pieces``: the
    body, parted at these lines, with a line's begin, key and end as pieces of their own."""
    body = "".join(pieces[::4])
    lower = f"{head}\n{body}".lower()
    if not (quick_looks.is_plain(lower) and quick_looks.is_plain_body(body)):
        return False
    outside = _with_credentials(lower, credentials, _as_it_is, _left_out) if credentials else lower
    keys = pieces[2::4]
    return quick_looks.needs_no_rule(outside) and (not keys or quick_looks.needs_no_rule("\n".join(keys).lower()))


def _with_credentials(
    head: str,
    credentials: Iterable[re.Match[str]],
    others: Callable[[str], str],
    shown: Callable[[re.Match[str]], str] | None = None,
) -> str:
    """A head whose credentials are shown in one way, and all that is between them in another one."""
    pieces, end = [], 0
    for found in credentials:
        pieces += [others(head[end : found.start()]), (shown or _credentials)(found)]
        end = found.end()
    return "".join([*pieces, others(head[end:])])


def _as_it_is(text: str) -> str:
    return text


def _left_out(_: re.Match[str]) -> str:
    return ""


def _credentials_in(head: str) -> Iterator[re.Match[str]]:
    """The fields with credentials, each as long as it is folded."""
    lower, end = head.lower(), 0
    while (sign := lower.find("auth", end)) >= 0:
        found = _CREDENTIALS.match(head, max(lower.rfind("\n", 0, sign) + 1, end))
        if found is not None:
            yield found
        end = max(sign + 1, found.end() if found else 0)


def _head(text: str) -> str:
    """Fields without secrets; one that speaks of keys loses its value."""
    text = _by_rules(text)
    return text if quick_looks.is_silent(text.lower()) else "".join(_field(found[0]) for found in _FIELD.finditer(text))


def _field(line: str) -> str:
    if not _speaks_of_keys(line):
        return line
    name, colon, value = line.partition(":")
    return name + colon + _filled(value) if not _SPEAKS_OF_KEYS.search(name) else _filled(line)


def _body(text: str) -> str:
    """Lines with keys by their form, those that go on from one, and all others: filled where they speak of keys."""
    lower = text.lower()
    if quick_looks.is_silent(lower) and quick_looks.is_plain_body(text) and quick_looks.needs_no_rule(lower):
        return text
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
    return not quick_looks.is_silent(text.lower()) and any(map(_SPEAKS_OF_KEYS.search, _readings(text)))


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
    return text if quick_looks.needs_no_rule(text.lower()) else redacted(text, _RULES, _PASSWORD)


def _usual_credentials(found: re.Match[str]) -> str:
    """Those of a head that speaks of no keys."""
    return _credentials(found, is_silent=True)


def _credentials(found: re.Match[str], *, is_silent: bool = False) -> str:
    """The parameters of a digest one by one; credentials of any other scheme whole. ``is_silent``: they surely speak of
    no keys."""
    name, scheme, space, rest = found.groups()
    if scheme.lower() != "digest":
        return name + _filled(scheme) + space + _filled(rest)
    pieces, is_silent = _PARAMETER.split(rest), is_silent or quick_looks.is_silent(rest.lower())
    for place in range(1, len(pieces), 4):  # a parameter's name, its equals sign, its value; before each a separator
        value = pieces[place + 2]
        is_harmless = pieces[place].lower() in _HARMLESS
        pieces[place + 2] = _harmless(value, is_silent=is_silent) if is_harmless else _filled(value)
    pieces[::4] = map(_separator, pieces[::4])
    return name + scheme + space + "".join(pieces)


def _harmless(value: str, *, is_silent: bool) -> str:
    """The value of a parameter that is no secret by its name; ``is_silent``: it surely speaks of no keys."""
    if not is_silent and _speaks_of_keys(value):
        return _filled(value)
    return value if quick_looks.is_word(value) else _by_rules(value)


def _separator(text: str) -> str:
    """Between parameters stand commas and blanks; anything else is filled."""
    return text if text in _USUAL_SEPARATORS else re.sub(r"[^\s,]", "A", text)


def _filled(secret: str) -> str:
    """Filler of the same length: quotes, the padding of base64 and the ends of lines stay."""
    return secret.encode("latin-1").translate(_FILLER).decode("latin-1")
