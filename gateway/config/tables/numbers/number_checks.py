"""Checks of the tables [[number]] and of each domain's `dial`: by themselves, against each other, against domains.

A rule that does nothing is a mistake, since its author believes that it does something. It is judged by the samples of
its pattern, so that a rule is called useless where that is certain alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from gateway.config.emergency_numbers import is_emergency
from gateway.config.model import Dial, Domain, NumberRule, Provider
from gateway.config.structuring import Mistake, Unacceptable, each, known, repeated, shown
from gateway.config.tables.numbers.number_plan import bare_number
from gateway.config.tables.numbers.number_table import NumberDirection, NumberField

MOST: Final = 200
"""Tables."""

Entries = list[tuple[str, NumberRule]]
Domains = list[tuple[str, Domain]]


def number_mistakes(domains: Domains, providers: list[tuple[str, Provider]], entries: Entries) -> Iterator[Mistake]:
    """The mistakes of the tables, each given with its path, and those of the form in which domains dial."""
    yield from each(domains, _lacks_region)
    if len(entries) > MOST:
        yield Mistake("number", f"found {len(entries)} tables, allowed: {MOST} at most")
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    names = {str(known(domain, "name")) for _, domain in domains}
    of_providers = {str(known(provider, "name")) for _, provider in providers}
    scope = (partial(_strangers, "domains", names), partial(_strangers, "providers", of_providers))
    yield from each(entries, *scope, _lacks_groups, _fields, _useless, _makes_no_number)
    yield from each(entries, partial(_covers_nobody, domains), partial(_emergency_alone, domains))
    yield from _repetitions(entries)


def _lacks_region(path: str, entry: Domain) -> Iterator[Mistake]:
    if entry.dial is not Dial.AS_IS and entry.region is None:
        yield Mistake(f"{path}.dial", f'found "{entry.dial}", which needs region (such as "DE"): home is unknown here')


def _strangers(key: str, names: set[str], path: str, entry: NumberRule) -> Iterator[Mistake]:
    strange = sorted(set(getattr(entry, key)) - names)
    if strange:
        yield Mistake(f"{path}.{key}", str(Unacceptable(strange[0], ", ".join(sorted(names)) or "none")))


def _lacks_groups(path: str, entry: NumberRule) -> Iterator[Mistake]:
    found = entry.match.pattern.groups
    if entry.groups > found:
        yield Mistake(f"{path}.replace", f"names group {entry.groups}, and match has {found}")


def _fields(path: str, entry: NumberRule) -> Iterator[Mistake]:
    if not entry.on or len(set(entry.on)) < len(entry.on):
        yield Mistake(f"{path}.on", f"found none or one twice, allowed: each once of {', '.join(NumberField)}")
    if entry.after_dial and entry.direction is NumberDirection.IN:
        yield Mistake(f"{path}.after_dial", 'is for direction = "out": numbers are dialled toward the provider alone')


def _useless(path: str, entry: NumberRule) -> Iterator[Mistake]:
    """Rules see numbers without visual separators, and no parameters."""
    if not any(bare_number(sample) == sample for sample in entry.match.samples):
        yield Mistake(
            f"{path}.match",
            f"found {shown(str(entry.match))}, which can never match: rules see a whole number, without blanks, "
            "dashes, dots, slashes, brackets and parameters",
        )


def _makes_no_number(path: str, entry: NumberRule) -> Iterator[Mistake]:
    samples = entry.match.samples
    if not samples or entry.groups > entry.match.pattern.groups:
        return
    made = [entry.applied(sample) for sample in samples]
    if not any(made):
        yield Mistake(f"{path}.replace", f"makes no number of {shown(samples[-1])}, which match fits")
    elif made == [*samples]:
        yield Mistake(f"{path}.replace", f"changes nothing: {shown(samples[-1])} stays as it is")


def _covers_nobody(domains: Domains, path: str, entry: NumberRule) -> Iterator[Mistake]:
    served = [(one.name.lower(), one.provider) for _, one in domains]
    if entry.domains and entry.providers and not any(entry.covers(*one) for one in served):
        yield Mistake(f"{path}.providers", "can never match: none of them serves one of its domains")


def _emergency_alone(domains: Domains, path: str, entry: NumberRule) -> Iterator[Mistake]:
    """A rule of emergency numbers and nothing else."""
    fields = {NumberField.REQUEST_URI, NumberField.TO}
    is_called = entry.direction is NumberDirection.OUT and set(entry.on) <= fields
    covered = [one for _, one in domains if entry.covers(one.name.lower(), one.provider)]
    if not is_called or not covered or not entry.match.is_listed:
        return
    numbers = [(sample, one) for sample in entry.match.samples for one in covered]
    if all(is_emergency(sample, one.emergency_numbers, one.region) for sample, one in numbers):
        yield Mistake(f"{path}.match", "can never match: emergency numbers are dialled as they are, before all rules")


def _repetitions(entries: Entries) -> Iterator[Mistake]:
    """Rules that see nothing since one before them, with the same pattern, has made other numbers of all."""
    for index, (path, entry) in enumerate(entries):
        before = next((other for _, other in entries[:index] if _leaves_nothing(other, entry)), None)
        if before is not None:
            yield Mistake(f"{path}.match", f"can never match: rule {before.name} has rewritten all such numbers before")


def _leaves_nothing(before: NumberRule, entry: NumberRule) -> bool:
    scope = ("match", "direction", "after_dial")
    if any(known(before, key) is None or known(before, key) != known(entry, key) for key in scope):
        return False
    lists = [(known(before, key), known(entry, key)) for key in ("domains", "providers")]
    wide = all(mine is not None and (not mine or (other and set(other) <= set(mine))) for mine, other in lists)
    on, others = known(before, "on"), known(entry, "on")
    if not wide or on is None or others is None or not set(others) <= set(on) or known(before, "replace") is None:
        return False
    made = [before.applied(sample) for sample in before.match.samples]
    return all(one is not None and before.match.match(one) is None for one in made)
