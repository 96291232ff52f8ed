"""The words of the pages: verdicts and their signs, times, lengths, numbers, and texts cut in their middle.

Here: pure functions from values to text. Not here: the templates, which escape all that is drawn. A colour means
protection and nothing else, and a sign and words stand beside it always, so that nothing is said by colour alone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Final

import attrs
from markupsafe import Markup

from gateway.base.json_codec import Json

ELLIPSIS: Final = "…"
NONE: Final = "–"
"""Stands where there is no value."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@attrs.frozen
class VerdictWords:
    """A verdict for people."""

    code: str
    tone: str
    """The class of its colour: encrypted, weaker, clear, refused or none."""
    sign: str
    """The name of its sign among the symbols of the page."""
    words: str
    sentence: str
    """The same as a whole sentence about one call."""


CLAIMS: Final = {
    claim.code: claim
    for claim in (
        VerdictWords("ENCRYPTED", "encrypted", "closed", "Encrypted", "TLS and SRTP on both legs."),
        VerdictWords(
            "ENCRYPTED_TO_PROVIDER",
            "encrypted",
            "closed",
            "Encrypted to provider",
            "TLS and SRTP to the provider; less on the phone's own leg.",
        ),
        VerdictWords(
            "MEDIA_ONLY_WEAK",
            "weaker",
            "half",
            "Media only, weak",
            "SRTP to the provider, but its keys crossed a hop in clear: a reader of that hop can hear the call.",
        ),
        VerdictWords(
            "SIGNALLING_ONLY",
            "weaker",
            "half",
            "Signalling only",
            "TLS to the provider; its media, or their RTCP, in clear, or none.",
        ),
        VerdictWords("CLEAR", "clear", "open", "In clear", "Signalling and media to the provider in clear."),
        VerdictWords("REFUSED", "refused", "bar", "Refused", "Not put through."),
        VerdictWords("UNANSWERED", "none", "dash", "No claim", "No call came about, so nothing is claimed."),
    )
}
NO_VERDICT: Final = VerdictWords(
    "", "none", "dash", "No verdict yet", "The call is being set up; nothing is claimed yet."
)
TONES: Final = ("encrypted", "weaker", "clear", "refused", "none")
"""From the best to none, the order in which figures stack them."""
TONE_WORDS: Final = {
    "encrypted": "encrypted to the provider",
    "weaker": "weaker",
    "clear": "in clear",
    "refused": "refused",
    "none": "no claim",
}


def claim(code: Json) -> VerdictWords:
    """The words for a verdict; one of another version is shown as it is, without a colour."""
    if not code:
        return NO_VERDICT
    return CLAIMS.get(str(code)) or VerdictWords(
        str(code), "none", "dash", str(code).replace("_", " ").capitalize(), ""
    )


@attrs.frozen
class When:
    """Times as a reader wants them: from ``now`` (seconds since the epoch), in a ``zone``."""

    now: float
    zone: tzinfo = UTC

    def ago(self, at: Json) -> str:
        """A moment in a list: "3 min ago"; a dash where there is none."""
        if not _is_number(at):
            return NONE
        passed = self.now - float(at)  # type: ignore[arg-type]
        if passed < 0:
            return "in " + span(-passed)
        return "just now" if passed < 5 else f"{span(passed)} ago"

    def exact(self, at: Json) -> str:
        """A moment with its zone, to the second."""
        return self._written(at, "%Y-%m-%d %H:%M:%S %Z")

    def short(self, at: Json) -> str:
        """The time of day, with the date where that is another day."""
        is_today = _is_number(at) and self._local(at).date() == self._local(self.now).date()
        return self._written(at, "%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")

    def hour(self, at: Json) -> str:
        """The hour of the day: 14:00."""
        return self._written(at, "%H:%M")

    def day(self, at: Json) -> str:
        """The date."""
        return self._written(at, "%Y-%m-%d")

    def iso(self, at: Json) -> str:
        """For the datetime attribute of <time>."""
        return datetime.fromtimestamp(float(at), UTC).isoformat(timespec="seconds") if _is_number(at) else ""  # type: ignore[arg-type]

    def _local(self, at: Json) -> datetime:
        return datetime.fromtimestamp(float(at), self.zone)  # type: ignore[arg-type]

    def _written(self, at: Json, form: str) -> str:
        try:
            return self._local(at).strftime(form) if _is_number(at) else NONE
        except (OverflowError, ValueError, OSError):
            return NONE


def span(seconds: float) -> str:
    """A length of time in its largest unit: 40 s, 3 min, 5 h, 12 days."""
    for size, unit in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {'day' if (unit, count) == ('days', 1) else unit}"
    return f"{int(seconds)} s"


def clock_length(seconds: Json) -> str:
    """The length of a call: 4:07, or 1:02:33; a dash where it is not known."""
    if not _is_number(seconds):
        return NONE
    whole = max(0, int(float(seconds)))  # type: ignore[arg-type]
    hours, rest = divmod(whole, _HOUR)
    tail = f"{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
    return f"{hours}:{tail}" if hours else tail


def count(number: Json, one: str = "", many: str = "") -> str:
    """A number with commas, and the noun that goes with it."""
    if not _is_number(number):
        return NONE
    text = f"{int(float(number)):,}"  # type: ignore[arg-type]
    return f"{text} {one if number == 1 else many or one + 's'}" if one else text


def share(part: float, whole: float) -> str:
    """A share of 100 with one decimal; never rounded up to 100 % or down to 0 % where that is not so."""
    if whole <= 0:
        return NONE
    percent = 100 * part / whole
    if part < whole and percent > 99.9:
        percent = 99.9
    if part > 0 and percent < 0.1:
        percent = 0.1
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def seconds(value: Json) -> str:
    """A short time in ms below a second, else in s."""
    if not _is_number(value):
        return NONE
    number = float(value)  # type: ignore[arg-type]
    return f"{number * 1000:.0f} ms" if number < 1 else f"{number:.1f} s"


def cut(text: Json, most: int = 28) -> str:
    """A long identifier without its middle; the whole belongs into ``title``."""
    whole = "" if text is None else str(text)
    if len(whole) <= most:
        return whole
    head = (most - 1) * 2 // 3
    return whole[:head] + ELLIPSIS + whole[len(whole) - (most - 1 - head) :]


SHORT: Final = 22
"""Characters of a name that fits a line anyway."""
_SEAM = re.compile(r"(?<=[/;:@_,=?&-])(?=\w)|(?<=\.)(?=[^\W\d])")


def softly(text: Json) -> Markup:
    """Text of which a long name, path or address may go on in the next line after its punctuation: no word breaks."""
    pieces = re.split(r"(\s+)", "" if text is None else str(text))
    return Markup("").join(
        piece if len(piece) <= SHORT else Markup("<wbr>").join(_SEAM.split(piece)) for piece in pieces
    )


_ADDRESS = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<name>[^<"]*?))\s*<(?P<uri>[^>]*)>.*', re.DOTALL)
_SCHEME = re.compile(r"(?:sips?|tel):", re.IGNORECASE)


def party(address: Json) -> str:
    """A caller or callee as people say it: a display name, else the user or number, else the host."""
    text = str(address or "").strip()
    if found := _ADDRESS.fullmatch(text):
        shown = (found["quoted"] or found["name"] or "").strip()
        if shown:
            return shown
        text = found["uri"]
    bare = _SCHEME.sub("", text, count=1).split(";", 1)[0].split("?", 1)[0]
    return bare.split("@", 1)[0] or NONE


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
