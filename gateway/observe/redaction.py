"""Text with its secrets taken out.

Here: the secret parts of a SIP message, an SDP body, a URI, a traceback or a value's `repr`, and `redacted`. Not here:
where the text goes (`log`, a call's record). Secret are digest credentials (RFC 7616),
nonces, passwords in URIs (RFC 3261 section 19.1.1), SDES keys (RFC 4568 `inline:`), `k=` lines (RFC 4566 section
5.12), MIKEY and PEM keys.

Text is searched, not parsed: a message that cannot be parsed must not leak either, nor a message that was cut off,
quoted by `repr`, or put into JSON. Where in doubt it takes out too much.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import AnyStr

REDACTED = "[redacted]"

SECRET_NAMES = frozenset(
    """
    authorization cnonce credentials crypto ha1 inline master_key nextnonce nonce passphrase passwd password
    private_key_pem proxy_authorization pwd rspauth salt secret srtp_key
    """.split()
)
"""Names of fields with a value that is always secret."""

# A line ends at CRLF or LF, real or as repr and JSON write them, unless the next one begins with a blank (folding).
_LINE_END = r"(?:\r?\n|\\r\\n|\\n)(?![ \t])"
_QUOTED = r"""b?'(?:[^'\\]|\\.)*'?|b?"(?:[^"\\]|\\.)*"?|\\+"[^"]*"?"""
_AFTER_NAME = r"""(?P<sign>\\*["']?\s*[=:]\s*)"""

_CREDENTIALS = re.compile(
    rf"""(?P<kept>\b(?:proxy-)?authorization\b\\*["']?\s*[:,=]\s*)(?:(?!{_LINE_END}).)+""", re.IGNORECASE | re.DOTALL
)
_SECRET_VALUE = re.compile(
    r"(?P<name>(?<![A-Za-z])(?:c?nonce|nextnonce|rspauth|pass(?:word|wd|phrase)|pwd|secret|ha1))"
    rf"""{_AFTER_NAME}(?:{_QUOTED}|[^\s,;"'\\)}}]+)""",
    re.IGNORECASE,
)
# Words that mean other things too: secret only with a quoted or a long hexadecimal value.
_PERHAPS_SECRET_VALUE = re.compile(
    rf"(?P<name>(?<![A-Za-z])(?:response|opaque|key|salt)){_AFTER_NAME}(?:{_QUOTED}|[0-9a-f]{{16,}})", re.IGNORECASE
)
_OPTION = re.compile(r"(?P<kept>--(?:pwd|password)[ =])\S+")
_INLINE_KEY = re.compile(
    r"(?P<kept>\binline\s*(?::|%(?:25)*3a|&#(?:0*58|x0*3a);|&colon;|\\u003a)\s*)"
    r"(?:[A-Za-z0-9+/=_-]|%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[/\\]?|&#?[a-z0-9]{1,8};)+",
    re.IGNORECASE,
)
_KEY_LINE = re.compile(r"(?P<kept>(?:^|\r|\\[nr])k=)[^\r\n\\]+", re.MULTILINE)
_KEY_MANAGEMENT = re.compile(r"(?P<kept>\bkey-mgmt:\w+\s+)[A-Za-z0-9+/=]+")
# A URI may stand in a header of another one, escaped: `?Referred-By=sip%3Aalice%3A...%40`. An IPv6 host has colons of
# its own. Matched to the end of the run whether or not a password is in it: were each place of the run a start of its
# own, a long one would take the square of its length.
URI_PASSWORD = re.compile(
    r"""(?P<kept>(?:sips?(?::|%3a)(?://)?(?!\[[0-9a-f:.]*\])(?:(?!%3a|%40)[^\s:@<>"])*|\b[a-z][a-z0-9+.-]{1,20}://"""
    r"""(?!\[)[^\s:@<>"/]*)(?::|%3a))(?P<rest>[^\s@<>"]++)(?P<at>@?)""",
    re.IGNORECASE,
)
_PORT = re.compile(r"\d{1,5}(?![\w%+$&=*~!-])")
_PEM_KEY = re.compile(r"(?P<kept>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:(?=-----END)|\Z)", re.DOTALL)


def _kept(found: re.Match[str]) -> str:
    return f"{found['kept']}{REDACTED}"


def _named(found: re.Match[str]) -> str:
    return f"{found['name']}{found['sign']}{REDACTED}"


def without_password(found: re.Match[str]) -> str:
    """Without an @ it is a port, or a password that was cut off before its end."""
    is_port = not found["at"] and "%40" not in found["rest"] and _PORT.match(found["rest"]) is not None
    return found[0] if is_port else f"{found['kept']}{REDACTED}{found['at']}"


Replacement = Callable[[re.Match[str]], str]
Rules = tuple[tuple[tuple[str, ...], re.Pattern[str], Replacement], ...]

# Each pattern but the last, in the order in which they are tried, with signs: all it matches has one, in lower case.
# What a rule before it writes makes no sign anew, since none is in REDACTED and none has a bracket. So a text without
# the signs of a rule need not be searched by it. (Beyond ASCII a pattern that ignores case finds more than lower()
# does: such a text is searched by all.)
RULES: Rules = (
    (("key",), _PEM_KEY, _kept),
    (("authorization",), _CREDENTIALS, _kept),
    (("nonce", "pass", "rspauth", "pwd", "secret", "ha1"), _SECRET_VALUE, _named),
    (("response", "opaque", "key", "salt"), _PERHAPS_SECRET_VALUE, _named),
    (("pwd", "pass"), _OPTION, _kept),
    (("inline",), _INLINE_KEY, _kept),
    (("k=",), _KEY_LINE, _kept),
    (("key",), _KEY_MANAGEMENT, _kept),
)

# Most texts have no sign at all.
_SIGNS = (
    *("key", "auth", "nonce", "pass", "pwd", "secret", "response", "opaque", "salt", "inline", "k=", "ha1"),
    *("@", "sip:", "sips:", "%3a", "%40", "://"),  # of a URI, whose password may be cut off before the @
)
_SIGNS_OF_JSON = (*_SIGNS, *(name for name in SECRET_NAMES if not any(sign in name for sign in _SIGNS)), "\\u")
SIGNS_OF_RULES = tuple({sign for signs, _, _ in RULES for sign in signs})
"""Each rule needs one of these in the text, in lower case, if that is ASCII."""


def is_harmless_json(text: str) -> bool:
    """Whether JSON has surely no secret in it, neither in a text nor by the name of a field.

    Characters beyond ASCII, escaped or not, are no reason to be sure.
    """
    if not text.isascii():
        return False
    lower = text.lower()
    return not has_one(lower, _SIGNS_OF_JSON)


def redacted(text: str, rules: Rules = RULES, password: Replacement = without_password) -> str:
    """`text` with `[redacted]` in place of each secret in it, or as other `rules` of the same patterns, and the one for
    the `password` in a URI, write it."""
    lower, is_ascii = text.lower(), text.isascii()
    if not is_ascii or has_one(lower, SIGNS_OF_RULES):
        for signs, pattern, replacement in rules:
            if not is_ascii or has_one(lower, signs):
                text = pattern.sub(replacement, text)
    # A password stands behind a second colon. Most addresses have one.
    if is_ascii and lower.count(":") + lower.count("%3a") < 2:
        return text
    return URI_PASSWORD.sub(password, text)


def has_one(text: AnyStr, signs: tuple[AnyStr, ...]) -> bool:
    """Whether one of the signs stands in the text."""
    for sign in signs:  # noqa: SIM110 - every line that is logged comes here, and any() takes twice as long
        if sign in text:
            return True
    return False


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether the value of a field called `name` is always secret."""
    return name.lower().replace("-", "_") in SECRET_NAMES
