"""The number plan of a domain: the way of a number from its dialled form to the one that is sent, step by step.

    toward the provider:  emergency? -> rules -> dial -> rules with after_dial
    toward the phones:    rules

The order is argued here, as everything that judges a number goes by it:

- An emergency number is looked for first, in the number that was dialled. No rule may make another one of it, and no
  mistake in a rule may keep a call for help from its number. One that a rule has made ("0112" of "112" behind a prefix
  for outside lines) stays as it is, too, and is an emergency call from then on: that number is really dialled. Callers'
  numbers are rewritten in emergency calls as in others, since the call back goes to them.
- Rules come before `dial`: they know the habits of the house, such as a prefix for outside lines, and until it is gone
  the number is another one ("00301234567" of "0301234567" would be read as one in Greece).
- Those with `after_dial` come last, for a form that this provider alone wants.
- Limits, deviations and records read the outcome (b2bua/legs/border.py, b2bua/setup/new_record.py): the number that is
  really dialled is the one that costs. A rule must be no way round a limit, nor make a call dearer than it is.

Names, user parts with parameters (RFC 3966) and URIs of other schemes than sip and sips stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote

import attrs

from gateway.base.telephone_numbers import LONGEST, SEPARATORS, dialled_at_home
from gateway.config.model import Configuration, Domain, Side
from gateway.config.tables.numbers.number_table import NUMBER, Dial, NumberDirection, NumberField, NumberRule
from gateway.sip.uri import Uri

_CALLED: Final = (NumberField.REQUEST_URI, NumberField.TO)
_DIRECTIONS: Final = {Side.PROVIDER: NumberDirection.OUT, Side.PHONES: NumberDirection.IN}


@attrs.frozen
class NumberStep:
    """One step that changed a number."""

    by: str
    """Such as `dial = "e164"`, or `rule outside-line`."""
    number: str
    """The number behind it."""


@attrs.frozen
class NumberPlan:
    """All that rewrites the numbers of a domain."""

    domain: Domain
    rules: tuple[NumberRule, ...]
    """Those that cover it, in their order."""

    @classmethod
    def of(cls, configuration: Configuration, domain: Domain) -> NumberPlan | None:
        """The plan of a domain; None where nothing is rewritten."""
        name = domain.name.lower()
        rules = tuple(rule for rule in configuration.numbers if rule.covers(name, domain.provider))
        return cls(domain, rules) if rules or domain.dial is not Dial.AS_IS else None

    def uri(self, uri: Uri, field: NumberField, toward: Side) -> Uri:
        """A person's URI as it is sent to that side: the same value where nothing changes."""
        if not uri.is_sip or not uri.user:
            return uri
        number = self.number(uri.user, field, _DIRECTIONS[toward])
        return uri if number == uri.user else attrs.evolve(uri, user=number.replace("#", "%23"))

    def number(self, user: str, field: NumberField, direction: NumberDirection) -> str:
        """The user part as it is sent."""
        steps = self.steps(user, field, direction)
        return steps[-1].number if steps else user

    def steps(self, user: str, field: NumberField, direction: NumberDirection) -> tuple[NumberStep, ...]:
        """The steps that change a user part on its way."""
        number, is_called = bare_number(user), field in _CALLED and direction is NumberDirection.OUT
        if number is None or (is_called and (self.domain.is_emergency(user) or self.domain.is_emergency(number))):
            return ()
        found = []
        for step in self._tried(number, field, direction):
            found.append(step)
            if is_called and self.domain.is_emergency(step.number):
                break
        return tuple(found)

    def _tried(self, number: str, field: NumberField, direction: NumberDirection) -> Iterator[NumberStep]:
        rules = [rule for rule in self.rules if field in rule.on and rule.direction is direction]
        for step in _ruled(number, (rule for rule in rules if not rule.after_dial)):
            number = step.number
            yield step
        if direction is NumberDirection.OUT and field in _CALLED:
            form = self._dialled(number)
            if form != number:
                number = form
                yield NumberStep(f'dial = "{self.domain.dial}"', form)
        yield from _ruled(number, (rule for rule in rules if rule.after_dial))

    def _dialled(self, number: str) -> str:
        """A number in the form that the provider wants; one that cannot be read for certain stays."""
        read = self.domain.number(number)
        if self.domain.dial is Dial.AS_IS or not NUMBER.fullmatch(number) or not read.text.startswith("+"):
            return number
        return read.text if self.domain.dial is Dial.E164 else dialled_at_home(read, self.domain.region)


def bare_number(user: str) -> str | None:
    """A user part as rules see it: without escapes, and a number without visual separators (RFC 3966 section 5.1.1).
    None for one that no rule sees, as it has parameters or is longer than any number."""
    if len(user) > LONGEST or ";" in user:
        return None
    plain = unquote(user)
    number = plain.translate(SEPARATORS)
    return number if NUMBER.fullmatch(number) else plain


def _ruled(number: str, rules: Iterable[NumberRule]) -> Iterator[NumberStep]:
    for rule in rules:
        made = rule.applied(number)
        if made is not None and made != number:
            number = made
            yield NumberStep(f"rule {rule.name}", made)
