"""The table [posture]: how often a report of the security posture is made and kept.

Here: its keys, and lengths of time as people write them. Not here: the report (gateway/security/posture).
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import attrs

from gateway.config.structuring import Unacceptable, number

_LENGTH: Final = re.compile(r"(?P<count>[1-9]\d{0,3})(?P<unit>[hdw])")
_SECONDS: Final = {"h": 3_600, "d": 86_400, "w": 7 * 86_400}
_LONGEST: Final = 366 * 86_400


def length_of_time(value: object) -> str:
    """A length of time such as 12h, 7d or 4w, 366 days at most. Raises Unacceptable."""
    if not isinstance(value, str) or not 0 < seconds_of(value) <= _LONGEST:
        raise Unacceptable(value, "a length of time from 1h to 366d, such as 12h, 7d or 4w")
    return value


def seconds_of(length: str) -> int:
    """The seconds of a length of time; 0 for a text that is none."""
    found = _LENGTH.fullmatch(length)
    return int(found["count"]) * _SECONDS[found["unit"]] if found else 0


@attrs.frozen
class Posture:
    """[posture]: the reports that are made by themselves."""

    every: Annotated[str, length_of_time] = "7d"
    """Between two reports that are kept."""
    keep: Annotated[int, number(1, 520)] = 52
    """Reports that are kept; of more, the oldest go."""

    def is_due(self, last: float | None, now: float) -> bool:
        """Whether a report is to be made: none is kept yet (None), or the last is old enough. A clock that was set back
        makes none wait longer than ``every``. Seconds since the epoch."""
        return last is None or abs(now - last) >= seconds_of(self.every)
