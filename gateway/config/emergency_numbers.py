"""Emergency numbers of a domain: whether a number that was dialled is one, however it is written.

Every call asks several times, so answers are remembered; a text longer than a number is not.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.base.telephone_numbers import LONGEST, read_number

_VISUAL_SEPARATORS: Final = str.maketrans("", "", "-.() ")
_SERVICE: Final = re.compile(r"service:sos(\..*)?", re.IGNORECASE | re.DOTALL)


def is_emergency(dialled: str, numbers: tuple[str, ...], region: str | None) -> bool:
    """Whether a user part is one of the numbers; parameters and visual separators do not count. With a region, one in
    E.164 is the same in each form.

    The part after the scheme of ``urn:service:sos`` (RFC 5031) is one everywhere.
    """
    return _known(dialled, numbers, region) if len(dialled) <= LONGEST else _is_one(dialled, numbers, region)


def _is_one(dialled: str, numbers: tuple[str, ...], region: str | None) -> bool:
    if _SERVICE.fullmatch(dialled):
        return True
    user = dialled.partition(";")[0].translate(_VISUAL_SEPARATORS)
    if user in _bare(numbers):
        return bool(user)
    read = read_number(dialled, region).text
    return read.startswith("+") and read in _read(numbers, region)


_known = lru_cache(maxsize=4096)(_is_one)


@lru_cache(maxsize=256)
def _bare(numbers: tuple[str, ...]) -> frozenset[str]:
    """Numbers without visual separators."""
    return frozenset(number.translate(_VISUAL_SEPARATORS) for number in numbers)


@lru_cache(maxsize=256)
def _read(numbers: tuple[str, ...], region: str | None) -> frozenset[str]:
    """Numbers in E.164, as far as they can be read."""
    return frozenset(read_number(number, region).text for number in numbers)
