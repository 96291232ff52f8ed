"""Telephone numbers as phones dial them, read as E.164, and the classes of destinations that cost money.

    "0301234567", "DE"        -> +49301234567
    "00881612345678", "DE"    -> +881612345678   international, premium
    "+25290123456", "DE"      -> +25290123456    international, unallocated, premium
    "4711", "DE"              -> 4711            an extension, a local number: it stays as it is

The text of a number is E.164 only where that is certain: records and emergency numbers go by it. Its classes are those
of any reading that a provider might make of it, since limits go by them, and a number that is written in an odd way
must not be cheaper for that: without "+", with codes for suppressed identity or call forwarding before it, with digits
behind its end, with a phone-context (RFC 3966 section 5.1.5), with other characters that are no digit, however long.

- international: of another region than the domain's, by number and not by country code (+1 876 is Jamaica).
- premium: of that type in its country's plan, or of satellites and global networks (+870, +881, +882, +883, +979),
  which cost as much. Shared-cost and personal numbers are none: their price has a ceiling, and a prefix can name them.
- unallocated: written as international, and in no country's plan. Much fraud goes there. It is premium as well.

Pure: metadata of libphonenumber, no clock, no I/O. Results are remembered, 4,096 of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Final
from urllib.parse import unquote

import attrs
from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneNumber,
    PhoneNumberType,
    country_code_for_region,
    format_out_of_country_calling_number,
    ndd_prefix_for_region,
    number_type,
    parse,
    region_code_for_number,
    truncate_too_long_number,
)

REGIONS: Final = frozenset(SUPPORTED_REGIONS)
"""Regions by their two letters (ISO 3166-1)."""
LONGEST: Final = 64
"""Characters of a user part whose reading is remembered; E.164 has 15 digits."""
SEPARATORS: Final = str.maketrans("", "", "-.()/ ")
"""Visual separators (RFC 3966 section 5.1.1), and others that people write, for `str.translate`: a number is the same
without."""

# Switches pass over whatever is no digit; letters make it a name.
_NOISE: Final = re.compile(r"[^0-9A-Za-z+*#]+|(?<=\+)\++")
_NUMBER: Final = re.compile(r"\+?[0-9]{2,}")
# *31#NUMBER suppresses the caller's identity, *21*NUMBER# forwards: the first digits are the service. There may be
# several, and those of North America have no end: *67NUMBER.
_SERVICE: Final = re.compile(r"\A(?:[*#]{1,2}[0-9]{1,4}[*#])+(?=\+?[0-9]{5})")
_UNENDED: Final = 2
_MOST_DIGITS: Final = 17
"""Characters of a number that are read: one with more digits behind its end reaches the same callee."""
_CONTEXT: Final = re.compile(r";phone-context=(\+[-.()0-9]+)", re.IGNORECASE)
_ROUTING: Final = re.compile(r";rn=([^;]+)", re.IGNORECASE)
_ROUTING_CONTEXT: Final = re.compile(r";rn-context=(\+[-.()0-9]+)", re.IGNORECASE)
_LONGEST_CONTEXT: Final = 16
_KEYS: Final = re.compile(r"[*#]+")
_MOST_CODES: Final = 2
"""Codes before a number that are passed over, where other keys are in its midst."""
_COSTLY_CODES: Final = frozenset({870, 881, 882, 883, 979})
_FREE_CODE: Final = 800
_NANP: Final = 1
_NANP_DIGITS: Final = 10
_LEAST_DIGITS: Final = 8
"""Digits behind 00 or 011, country code and all, that can be a number of another country."""
_LEAST_BARE: Final = 10
"""The same of a number without any prefix: shorter ones are local numbers and extensions."""


class DestinationClass(StrEnum):
    """Classes of destinations; a number may be of several, or of none."""

    INTERNATIONAL = "international"
    PREMIUM = "premium"
    UNALLOCATED = "unallocated"


@attrs.frozen
class TelephoneNumber:
    """A number as it was dialled, and as it is read."""

    text: str
    """E.164 with its "+", or the user part as it was, where it cannot be read for certain."""
    dialled: str = ""
    """Its digits as dialled, without separators and codes; empty for a name."""
    e164: str = ""
    """The reading that its classes are of; it may be less certain than `text`."""
    national: str = ""
    """The same as it is dialled at home; empty for numbers of other regions."""
    classes: frozenset[DestinationClass] = frozenset()
    code: str = ""
    """The same with the service codes before it, where there are any: "*21*0301234567#"."""

    def begins_with(self, prefix: str) -> bool:
        """Whether it begins with "+881", in E.164, or with "0900", as dialled or in its national form, or with
        "*21"."""
        if prefix.startswith("+"):
            return self.e164.startswith(prefix) or self.dialled.startswith(prefix)
        return any(form.startswith(prefix) for form in (self.dialled, self.national, self.code))


def read_number(user: str, region: str | None) -> TelephoneNumber:
    """The number that a URI's user part is, dialled in a region ("DE"); None: nobody knows where.

    The text of one of more than LONGEST characters is given back as it is. Its classes are those of its beginning:
    parameters, escapes and separators may be as many as the sender likes.
    """
    if len(user) <= LONGEST:
        return known_number(user, region)
    plain = unquote(user)
    number = _NOISE.sub("", plain.partition(";")[0])[: LONGEST // 2]
    short = _within(number, _CONTEXT, plain)
    if (routing := _routing(plain)) is not None:
        short += f";rn={routing.replace('phone-context', 'rn-context')}"
    return attrs.evolve(known_number(short, region), text=user)


def dialled_at_home(number: TelephoneNumber, region: str | None) -> str:
    """A number in E.164 as it is dialled in a region: 0301234567, 0033123456789. Without a region it stays."""
    if number.national or region is None:
        return number.national or number.text
    try:
        return _NOISE.sub("", format_out_of_country_calling_number(parse(number.text), region))
    except NumberParseException:
        return number.text


def _within(number: str, context: re.Pattern[str], plain: str) -> str:
    """A number with the context that the parameters give it."""
    found = context.search(plain)
    return number if found is None else f"{number};phone-context={found[1].translate(SEPARATORS)[:_LONGEST_CONTEXT]}"


def _routing(plain: str) -> str | None:
    """The number that the parameters say a call is routed by (RFC 4694 section 5); None where they say none."""
    found = _ROUTING.search(plain)
    return None if found is None else _within(_NOISE.sub("", found[1])[: LONGEST // 2], _ROUTING_CONTEXT, plain)


@lru_cache(maxsize=4096)
def known_number(user: str, region: str | None) -> TelephoneNumber:
    """The same of LONGEST characters at most: the answer is remembered."""
    plain = unquote(user)
    number = _read(user, plain, region)
    routing = _routing(plain) if ";" in plain else None
    if routing is None:
        return number
    other = _read(user, routing, region)
    return attrs.evolve(other, text=user) if len(other.classes) > len(number.classes) else number


def _read(user: str, plain: str, region: str | None) -> TelephoneNumber:
    written = plain.partition(";")[0]
    code = _NOISE.sub("", written)
    if code[:1].isalpha() and "+" not in code:  # a name
        return TelephoneNumber(user, code=code)
    readings = [(dialled, _best(dialled, region, plain)) for dialled in _dialled(code)]
    if not readings:
        return TelephoneNumber(user, code=code)
    dialled, reading = max(readings, key=lambda one: len(one[1].classes if one[1] is not None else _of_unread(one[0])))
    if reading is None:
        return TelephoneNumber(user, dialled, classes=_of_unread(dialled), code=code)
    e164 = f"+{reading.country_code}{reading.national_number_text}"
    text = e164 if dialled == written.translate(SEPARATORS) and reading.is_certain else user
    return TelephoneNumber(text, dialled, e164, reading.national, reading.classes, code)


def _dialled(code: str) -> list[str]:
    """The digits that a text may have a switch dial: those behind the service codes before them, and those of a number
    with keys in its midst that are no digits."""
    if code.isdigit():
        return [code] if len(code) > 1 else []
    rest = _SERVICE.sub("", code, count=1)
    bare = rest.lstrip("*#")
    texts = [rest] if bare == rest else [bare, bare[_UNENDED:]]
    if _KEYS.search(bare) or "+" in bare[1:]:
        texts += _whole(bare, has_codes=bare != code)
    found = map(_NUMBER.match, texts)
    return [*dict.fromkeys(one[0] for one in found if one is not None)]


def _whole(bare: str, *, has_codes: bool) -> Iterator[str]:
    """A number as switches read it that pass over each key that is no digit, or take a "+" for the begin of it."""
    yield bare[bare.rindex("+") :] if "+" in bare else ""
    parts = [part for part in _KEYS.split(bare) if part]
    for codes in range(1 + (_MOST_CODES if has_codes else 0)):
        number = "".join(parts[codes:])
        yield number[:1] + number[1:].replace("+", "")


@attrs.frozen
class _Reading:
    """One way to read a number."""

    country_code: int
    national_number_text: str
    national: str
    is_valid: bool
    is_certain: bool
    classes: frozenset[DestinationClass]


def _best(dialled: str, region: str | None, plain: str) -> _Reading | None:
    """A valid reading that is certain; else the costliest of the valid ones, or of those written as international."""
    found: list[tuple[tuple[bool, int], _Reading]] = []
    for text, is_abroad, is_certain in _spellings(dialled, region, plain):
        try:
            cut = text[:_MOST_DIGITS]
            reading = _judged(parse(cut, region), region, is_abroad, is_certain and cut == text)
        except NumberParseException:
            continue
        if cut != text and not reading.is_valid and not reading.classes:
            continue  # too long for home
        if reading.is_valid and reading.is_certain:
            return reading
        counts = reading.is_valid or is_abroad
        found.append(((reading.is_valid, len(reading.classes) if counts else 0), reading))
    return max(found, key=itemgetter(0))[1] if found else None


def _spellings(dialled: str, region: str | None, plain: str) -> Iterator[tuple[str, bool, bool]]:
    """Texts that a number may stand for, each with whether it is written as international, and whether that is
    certain."""
    if ";" in plain and not dialled.startswith("+"):
        for context in _CONTEXT.findall(plain)[:_MOST_CODES]:
            yield context.translate(SEPARATORS)[:_LONGEST_CONTEXT] + dialled, True, False
    if dialled.startswith("+"):
        yield dialled, True, True
        return
    if region is not None:
        yield dialled, False, _is_complete(dialled, region)
    for prefix, least in (("00", _LEAST_DIGITS), ("011", _LEAST_DIGITS), ("", _LEAST_BARE)):
        rest = dialled.removeprefix(prefix).lstrip("0")
        if dialled.startswith(prefix) and len(rest) >= least:
            yield f"+{rest}", prefix == "00", prefix == "00" and not dialled.startswith("000")


def _is_complete(dialled: str, region: str) -> bool:
    """Whether a number without "+" has its area code: where a prefix says so, it must be there."""
    prefix = ndd_prefix_for_region(region, True)
    return not prefix or dialled.startswith(prefix) or country_code_for_region(region) == _NANP


def _judged(number: PhoneNumber, region: str | None, is_abroad: bool, is_certain: bool) -> _Reading:
    kind, code = number_type(number), number.country_code or 0
    home = country_code_for_region(region) if region is not None else 0
    is_abroad = is_abroad or code != home
    is_valid = kind != PhoneNumberType.UNKNOWN
    if not is_valid and not (is_abroad and code != home):  # at home digits behind the end of a number do not count
        shorter = PhoneNumber()
        shorter.merge_from(number)
        if truncate_too_long_number(shorter):
            return attrs.evolve(_judged(shorter, region, is_abroad, False), is_certain=False)
    place = region_code_for_number(number)
    zeros = "0" * (number.number_of_leading_zeros or 1) if number.italian_leading_zero else ""
    digits = f"{zeros}{number.national_number}"
    # Regions that share +1 differ in price: of a whole number that none of them has, nobody knows.
    is_home = code == home and (place == region or (place is None and (code != _NANP or len(digits) != _NANP_DIGITS)))
    national = (ndd_prefix_for_region(region, True) or "") + digits if region is not None and is_home else ""
    classes = frozenset(_classes(kind, code, is_home, region is not None))
    is_certain = is_certain and (is_valid or (is_abroad and not is_home))
    return _Reading(code, digits, national, is_valid, is_certain, classes)


def _classes(kind: int, code: int, is_home: bool, knows_home: bool) -> Iterator[DestinationClass]:
    if code == _FREE_CODE and kind != PhoneNumberType.UNKNOWN:
        return
    if knows_home and not is_home:
        yield DestinationClass.INTERNATIONAL
    is_unallocated = kind == PhoneNumberType.UNKNOWN and not is_home
    if is_unallocated:
        yield DestinationClass.UNALLOCATED
    if is_unallocated or kind == PhoneNumberType.PREMIUM_RATE or code in _COSTLY_CODES:
        yield DestinationClass.PREMIUM


def _of_unread(dialled: str) -> frozenset[DestinationClass]:
    """Of digits that are no number anywhere: with "+" or 00 before them they are written as international."""
    if not dialled.startswith(("+", "00")) or len(dialled) < _LEAST_DIGITS:
        return frozenset()
    return frozenset(DestinationClass)
