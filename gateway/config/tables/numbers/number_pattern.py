"""Patterns of [[number]]: regular expressions that no text can make slow, and texts that fit them.

Here: the part of the syntax of `re` that numbers need, read so that two things are known before a pattern is used.
Ways: how many ways there are at most to go through a text. `re` goes back and tries them one after the other, so that
their number bounds the steps for any text of LONGEST characters; `(\\d+)+` has 2 to the power of 64 of them. Samples: a
few texts that fit, by which a rule is judged that could never match, or that makes no number.

    concatenation: the ways of its parts are multiplied      a|b: they are added
    x{m,n}: the sum of x's ways to the power of m ... n, where n is LONGEST at most

Not here: rules (number_table), their use (number_plan).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from gateway.base.telephone_numbers import LONGEST
from gateway.config.structuring import Unacceptable

MOST_WAYS: Final = 10_000
"""Ways through a text: a few milliseconds at worst."""
LONGEST_PATTERN: Final = 200
DEEPEST: Final = 10
"""Groups within each other."""
_MOST_SAMPLES: Final = 16
_SOME: Final = 7
"""Repetitions in a sample that is not the shortest."""
_DIGITS: Final = "0123456789"
_ALPHABET: Final = _DIGITS + "+*#" + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + "-_.~!'()&=$,/?%;"
"""Characters of user parts (RFC 3261 section 25.1), digits first."""
_ESCAPE: Final = re.compile(r"\\(?:[dDwWsS]|[^A-Za-z0-9])")
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\\\]\[]|\\(?:[dDwWsS]|[^A-Za-z0-9]))*\]")
_QUANTIFIER: Final = re.compile(r"[*+?]|\{([0-9]{1,3})\}|\{([0-9]{0,3}),([0-9]{0,3})\}")
_SPECIAL: Final = frozenset("\\[](){}*+?|^$")


@attrs.frozen
class _Part:
    """A part of a pattern."""

    ways: int
    samples: tuple[str, ...]
    """Empty: nothing fits."""


_NOTHING: Final = _Part(1, ("",))


@attrs.frozen
class NumberPattern:
    """A pattern that is matched against the whole of a number."""

    text: str
    pattern: re.Pattern[str] = attrs.field(eq=False, repr=False)
    samples: tuple[str, ...] = attrs.field(eq=False, repr=False)
    """Texts that fit it, some of many."""
    is_listed: bool = attrs.field(default=False, eq=False, repr=False)
    """Whether these are all."""

    def __str__(self) -> str:
        return self.text

    def match(self, number: str) -> re.Match[str] | None:
        """The match of a text of LONGEST characters at most; None where it does not fit, or is longer."""
        return self.pattern.fullmatch(number) if len(number) <= LONGEST else None


def number_pattern(value: object) -> NumberPattern:
    """A regular expression for whole numbers. Raises Unacceptable."""
    allowed = f"a regular expression for the whole number, {LONGEST_PATTERN} characters at most"
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_PATTERN or not value.isascii():
        raise Unacceptable(value, allowed)
    found = _Reader(value).whole()
    if found.ways > MOST_WAYS:
        raise Unacceptable(
            value,
            f"{allowed}, that fits a text in few ways: two of * and + at most, none within a group that is repeated",
        )
    try:
        pattern = re.compile(value, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise Unacceptable(value, f"{allowed} ({error})") from None
    fitting = tuple(one for one in found.samples if pattern.fullmatch(one))
    is_listed = not re.search(r"[\\[.*+?{]", value) and found.ways < _MOST_SAMPLES
    return NumberPattern(value, pattern, fitting, is_listed)


class _Reader:
    """Reads a pattern once, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> _Part:
        """All of it. Raises Unacceptable."""
        found = self._alternatives()
        if self._at < len(self._text):
            raise self._refused("a ) with a ( before it")
        return found

    def _refused(self, allowed: str) -> Unacceptable:
        return Unacceptable(self._text, f"at character {self._at + 1}: {allowed}")

    def _is_next(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _alternatives(self) -> _Part:
        found = [self._concatenation()]
        while self._is_next("|"):
            self._at += 1
            found.append(self._concatenation())
        samples = dict.fromkeys(sample for part in found for sample in part.samples)
        return _Part(_capped(sum(part.ways for part in found)), tuple(samples)[:_MOST_SAMPLES])

    def _concatenation(self) -> _Part:
        found = _NOTHING
        while self._at < len(self._text) and not self._is_next("|") and not self._is_next(")"):
            found = _joined(found, self._quantified(self._atom()))
        return found

    def _atom(self) -> _Part:
        if self._is_next("("):
            return self._group()
        if self._is_next("^") or self._is_next("$"):  # the whole number is matched in any case
            self._at += 1
            return _NOTHING
        if self._is_next("."):
            self._at += 1
            return _Part(1, (_ALPHABET[0],))
        for form in (_ESCAPE, _CLASS):
            found = form.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return self._one_of(found[0])
        if self._text[self._at] in _SPECIAL:
            raise self._refused("characters, \\d, \\+, [0-9], (...), (?:...), a|b, * + ? {m,n}, and nothing else")
        self._at += 1
        return _Part(1, (self._text[self._at - 1],))

    def _one_of(self, text: str) -> _Part:
        """A class of characters, or an escape."""
        try:
            member = re.compile(text, re.ASCII)
        except re.error as error:
            raise self._refused(f"a class of characters ({error})") from None
        return _Part(1, tuple(one for one in _ALPHABET if member.fullmatch(one))[:1])

    def _group(self) -> _Part:
        self._at += 3 if self._is_next("(?:") else 1
        if self._is_next("?"):
            raise self._refused("(...) or (?:...)")
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._refused(f"{DEEPEST} groups within each other at most")
        found = self._alternatives()
        self._depth -= 1
        if not self._is_next(")"):
            raise self._refused("a ) for each (")
        self._at += 1
        return found

    def _quantified(self, part: _Part) -> _Part:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return part
        self._at = found.end()
        if _QUANTIFIER.match(self._text, self._at):
            raise self._refused("one of * + ? {m,n} behind a character or group")
        least, most = _bounds(found)
        if least > min(most, LONGEST):
            raise self._refused(f"{{m,n}} with m up to n, and up to {LONGEST}: no number is longer")
        counts = dict.fromkeys((least, min(most, max(least, 1)), min(most, max(least, _SOME))))
        samples = ("".join([one] * count) for count in counts for one in part.samples or ("",)[: count == 0])
        return _Part(_ways(part.ways, least, min(most, LONGEST)), tuple(dict.fromkeys(samples))[:_MOST_SAMPLES])


def _bounds(found: re.Match[str]) -> tuple[int, int]:
    """The least and greatest number of repetitions."""
    if found[0] in "*+?":
        return (1 if found[0] == "+" else 0), (1 if found[0] == "?" else LONGEST)
    if found[1] is not None:
        return int(found[1]), int(found[1])
    return int(found[2] or 0), int(found[3] or LONGEST)


def _ways(ways: int, least: int, most: int) -> int:
    total = 0
    for count in range(least, most + 1):
        total = _capped(total + min(ways, MOST_WAYS + 1) ** min(count, LONGEST))
        if total > MOST_WAYS:
            break
    return total


def _capped(ways: int) -> int:
    return min(ways, MOST_WAYS + 1)


def _joined(one: _Part, other: _Part) -> _Part:
    pairs: Iterable[str] = (first + second for first in one.samples for second in other.samples)
    return _Part(_capped(one.ways * other.ways), tuple(dict.fromkeys(pairs))[:_MOST_SAMPLES])
