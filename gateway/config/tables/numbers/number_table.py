"""The tables [[number]]: ordered rules that rewrite numbers, and the form in which a domain's numbers are dialled.

Here: keys and the words of single values. Not here: patterns (number_pattern), rules against each other and against
other tables (number_checks), the order in which they are used (number_plan).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final

import attrs

from gateway.config import fields
from gateway.config.structuring import Unacceptable
from gateway.config.tables.numbers.number_pattern import NumberPattern, number_pattern

NUMBER: Final = re.compile(r"\+?[0-9*#]{1,40}")
"""A number as a rule may make it."""
_TEMPLATE: Final = re.compile(r"(?:[0-9+*#]|\\[1-9])+")
_GROUP: Final = re.compile(r"\\([1-9])")


class NumberField(StrEnum):
    """The fields of a request that numbers are rewritten in."""

    REQUEST_URI = "request-uri"
    """And each number that a phone has its provider call: Refer-To, the Contact of a 3xx."""
    TO = "to"
    FROM = "from"
    IDENTITY = "identity"
    """P-Preferred-Identity, P-Asserted-Identity and Referred-By."""


class NumberDirection(StrEnum):
    """The side that the request goes to."""

    OUT = "out"
    """Toward the provider."""
    IN = "in"
    """Toward the phones."""


class Dial(StrEnum):
    """The form in which a domain's provider is given the numbers that its phones dial."""

    AS_IS = "as-is"
    E164 = "e164"
    NATIONAL = "national"


def number_template(value: object) -> str:
    """The number that a rule makes: digits, + * #, and \\1 to \\9 for groups of its pattern. Raises Unacceptable."""
    if not isinstance(value, str) or len(value) > 100 or not _TEMPLATE.fullmatch(value):
        raise Unacceptable(value, r"digits, +, *, #, and \1 to \9 for the groups of match")
    return value


@attrs.frozen
class NumberRule:
    """[[number]]: the numbers that fit are rewritten, in these fields of requests in one direction."""

    name: Annotated[str, fields.name]
    match: Annotated[NumberPattern, number_pattern]
    replace: Annotated[str, number_template]
    on: tuple[NumberField, ...] = (NumberField.REQUEST_URI, NumberField.TO)
    direction: NumberDirection = NumberDirection.OUT
    domains: Annotated[tuple[str, ...], fields.domains] = ()
    """Empty: all."""
    providers: tuple[Annotated[str, fields.name], ...] = ()
    """Of the domains; empty: all."""
    after_dial: bool = False
    """Whether it sees numbers in the form of the domain's `dial`, and not as they were dialled."""

    def covers(self, domain: str, provider: str) -> bool:
        """Whether it holds in a domain, given in lower case, with that provider."""
        return (not self.domains or domain in self.domains) and (not self.providers or provider in self.providers)

    def applied(self, number: str) -> str | None:
        """The number that it makes of one; None where it does not match, or makes none."""
        found = self.match.match(number)
        if found is None:
            return None
        made = _GROUP.sub(lambda group: found[int(group[1])] or "", self.replace)
        return made if NUMBER.fullmatch(made) else None

    @property
    def groups(self) -> int:
        """The number of the last group that `replace` names."""
        return max((int(group) for group in _GROUP.findall(self.replace)), default=0)
