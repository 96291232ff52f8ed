"""Emergency numbers of a domain: whether a number that was dialled is one, however it is written.

Every call asks several times, so answers are remembered; a text longer than a number is not.

Nothing is asked of an emergency call: no limit, no ban, no encryption. So the parameters behind a number may not make
it another one: a phone-context is a country's code or a name (RFC 3966 section 5.1.5: "911;phone-context=+1"), since
"112;phone-context=+8816" is a number of satellites, and a routing number (RFC 4694), which no phone writes, is none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from gateway.base.telephone_numbers import LONGEST, SEPARATORS, read_number

_WITHIN_PARAMETERS: Final = str.maketrans("", "", "-.() ")
"""Separators in the parameters behind a number: there, a slash is a character like others (RFC 3966 section 3)."""
_ELSEWHERE: Final = re.compile(r";(?:rn=|phonecontext=\+(?![0-9]{1,3}(?:;|$)))", re.IGNORECASE)
_SERVICE: Final = re.compile(r"service:sos(\..*)?", re.IGNORECASE | re.DOTALL)


def is_emergency(dialled: str, numbers: tuple[str, ...], region: str | None) -> bool:
    """Whether a user part is one of the numbers, as rules and switches read it: separators do not count, nor escapes
    (RFC 3261 section 19.1.4), nor parameters that leave it the number that it is. With a region, one in E.164 is the
    same in each form.

    The part after the scheme of ``urn:service:sos`` (RFC 5031) is one everywhere.
    """
    return _known(dialled, numbers, region) if len(dialled) <= LONGEST else _is_one(dialled, numbers, region)


def _is_one(dialled: str, numbers: tuple[str, ...], region: str | None) -> bool:
    if _SERVICE.fullmatch(dialled):
        return True
    user = dialled.partition(";")[0]
    user = (unquote(user) if "%" in user else user).translate(SEPARATORS)
    if user in _bare(numbers):
        return bool(user) and not _leads_elsewhere(dialled)
    read = read_number(dialled, region).text
    return read.startswith("+") and read in _read(numbers, region) and not _leads_elsewhere(dialled)


def _leads_elsewhere(dialled: str) -> bool:
    return ";" in dialled and _ELSEWHERE.search(unquote(dialled).translate(_WITHIN_PARAMETERS)) is not None


_known = lru_cache(maxsize=4096)(_is_one)


@lru_cache(maxsize=256)
def _bare(numbers: tuple[str, ...]) -> frozenset[str]:
    """Numbers without separators."""
    return frozenset(number.translate(SEPARATORS) for number in numbers)


@lru_cache(maxsize=256)
def _read(numbers: tuple[str, ...], region: str | None) -> frozenset[str]:
    """Numbers in E.164, as far as they can be read."""
    return frozenset(read_number(number, region).text for number in numbers)
