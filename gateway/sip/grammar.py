"""The pieces of RFC 3261 section 25 that many headers share: tokens, quoted strings, lists and parameters.

Texts are `str` decoded as UTF-8 with surrogateescape, without CR or LF (the parser unfolds lines), so the only
linear white space left is SP and HTAB. Every pattern here runs in linear time: nothing can be
matched by two neighbouring parts.
"""

from __future__ import annotations

import re

from gateway.sip.errors import MalformedMessage

Parameters = tuple[tuple[str, str | None], ...]

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105 - a pattern, not a password
QUOTED = r'"[^"\\]*(?:\\.[^"\\]*)*"'
WHITE = " \t"
# The grammar has NUL only escaped in a quoted string.
BARE_NUL = re.compile(r"(?<!\\)\0")

# A value without quotes may be a token or a host; phones send more (slashes, colons, brackets), which does no harm.
_VALUE = r'[^ \t;,"<>\\\x00-\x1f\x7f]*'
# The usual form, without quotes and white space, which find_in_text can search.
TIGHT_PARAMETERS = rf"(?:;{TOKEN}(?:={_VALUE})?)+"
_TIGHT = re.compile(TIGHT_PARAMETERS)
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*({TOKEN})[ \t]*(?:=[ \t]*({QUOTED}|{_VALUE})[ \t]*)?", re.DOTALL)
_LIST_ITEM = re.compile(r'(?:[^",<]+|"[^"\\]*(?:\\.[^"\\]*)*"|<[^>]*>)+', re.DOTALL)
_NEEDS_ESCAPE = re.compile(r'["\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]')
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_TOKEN = re.compile(TOKEN)
_NUMBER = re.compile(r"[0-9]{1,20}")


def tight_parameters(first: str) -> str:
    """A pattern of TIGHT_PARAMETERS, or of none, as a group, with a group in it for the value of the parameter `first`,
    where that stands first: most write branch and tag so, and need not be searched for it."""
    return rf"((?:;{first}=({_VALUE}))?(?:;{TOKEN}(?:={_VALUE})?)*)"


def is_token(text: str) -> bool:
    """Whether text is a token of RFC 3261 section 25.1."""
    return _TOKEN.fullmatch(text) is not None


def parse_number(text: str, name: str, largest: int) -> int:
    """The decimal number 0..largest in text; `name` is its name in the MalformedMessage."""
    if _NUMBER.fullmatch(text) is None or int(text) > largest:
        raise MalformedMessage(f"{name} is not a number up to {largest}")
    return int(text)


def quote(text: str) -> str:
    """text as a quoted-string."""
    return '"' + _NEEDS_ESCAPE.sub(lambda match: "\\" + match.group(), text) + '"'


def unquote(text: str) -> str:
    """The text in a quoted-string; any other text comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def split_list(text: str) -> list[str]:
    """The values of a comma-separated header, trimmed; commas in quotes or angle brackets separate nothing.

    Raises MalformedMessage when a quote or bracket stays open, or a value is empty.
    """
    if "," not in text:
        return [text.strip(WHITE)]
    values = []
    position = 0
    while True:
        match = _LIST_ITEM.match(text, position)
        value = match.group().strip(WHITE) if match else ""
        if match is None or not value:
            raise MalformedMessage("an empty value or an unbalanced quote in a list", position)
        values.append(value)
        position = match.end()
        if position == len(text):
            return values
        if text[position] != ",":
            raise MalformedMessage("an unbalanced quote in a list", position)
        position += 1


def parse_parameters(text: str) -> Parameters:
    """The parameters in `;a=b;c`, in order; values keep their quotes. Raises MalformedMessage."""
    if _TIGHT.fullmatch(text):
        pairs = [part.partition("=") for part in text[1:].split(";")]
        return tuple([(name, value if equal else None) for name, equal, value in pairs])
    parameters = []
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise MalformedMessage("not a parameter", position)
        parameters.append((match.group(1), match.group(2)))
        position = match.end()
    return tuple(parameters)


def format_parameters(parameters: Parameters) -> str:
    """`;a=b;c`, or nothing."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in parameters])


def find_parameter(parameters: Parameters, name: str) -> str | None:
    """The value of the first parameter of that name (any case), without its quotes; '' for a flag; None when absent."""
    for candidate, value in parameters:
        if candidate == name or candidate.lower() == name:
            return unquote(value) if value else ""
    return None


def find_in_text(text: str | None, name: str) -> str | None:
    """The same from a text that TIGHT_PARAMETERS matched, None being the empty one. `name` is in lower case."""
    if not text:
        return None
    found = text.partition(f";{name}=")
    if found[1]:
        return found[2].partition(";")[0] if ";" in found[2] else found[2]
    count = text.lower().count(name)
    if count == 0:
        return None
    if count == 1 and text.endswith(f";{name}"):
        return ""  # rport, above all
    return find_parameter(parse_parameters(text), name)


def replace_in_text(text: str, name: str, value: str | None) -> str:
    """Such a text with that parameter's value replaced where it stands, or appended; value None makes a flag."""
    count = text.lower().count(f";{name}")
    front, found, rest = text.partition(f";{name}=")
    if count > 1 or (count and not (found and value)):
        return format_parameters(replace_parameter(parse_parameters(text), name, value))
    if not found:
        return f"{text};{name}" if value is None else f"{text};{name}={value}"
    _, semicolon, after = rest.partition(";")
    return f"{front};{name}={value}{semicolon}{after}"


def replace_parameter(parameters: Parameters, name: str, value: str | None) -> Parameters:
    """The same with that parameter's value replaced where it stands, or appended; value None makes a flag."""
    kept = [pair for pair in parameters if pair[0].lower() != name.lower()]
    if len(kept) == len(parameters):
        return (*parameters, (name, value))
    place = next(index for index, pair in enumerate(parameters) if pair[0].lower() == name.lower())
    kept.insert(place, (name, value))
    return tuple(kept)


def remove_parameter(parameters: Parameters, name: str) -> Parameters:
    """The same without that parameter."""
    return tuple(pair for pair in parameters if pair[0].lower() != name.lower())
