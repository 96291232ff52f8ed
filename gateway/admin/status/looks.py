"""Facts that need a look, in order of harm, each with its remedy.

    Facts -> looks() -> Look, Look, ...

Here: pure functions. Not here: the facts (`facts`), words for reason codes (`state.remedies`). A look says a fact with
its numbers; facts that do more harm come first, and of one kind those with more calls.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, cast
from urllib.parse import quote, urlencode

import attrs

from gateway.admin.status.facts import (
    CLEAR,
    REFUSED,
    UNANSWERED,
    WEAKER,
    Facts,
    Row,
    calls_words,
    number_in,
    tally,
)
from gateway.base.json_codec import Json

FEW_PORTS: Final = 0.1
"""The share of media ports that is few."""
FEW_DAYS: Final = 30
"""Days left of a certificate that is to be renewed."""
SOON_DAYS: Final = 7
MOST: Final = 0.5
"""The share of calls that fail for one reason from which on this is critical."""
MOST_LOOKS: Final = 20
OTHER_SECONDS: Final = 30
"""Another node that gave no sign of life for so long does not wait any more."""


class Harm(StrEnum):
    """How much harm a fact does, the worst first."""

    CRITICAL = "critical"
    """Calls fail, or are heard, now."""
    WARNING = "warning"
    """They will, or some do."""
    NOTE = "note"
    """Somebody may want to know."""


_ORDER: Final = tuple(Harm)


@attrs.frozen
class Look:
    """Something that needs a look."""

    harm: Harm
    fact: str
    remedy: str = ""
    link: str = ""
    """The page about it."""
    link_words: str = "Look"
    weight: float = 0.0
    """Of one harm, those with more weight come first."""

    def as_json(self) -> Row:
        """The look as the API gives it."""
        return {"harm": str(self.harm), "fact": self.fact, "remedy": self.remedy, "link": self.link}


def looks(facts: Facts) -> list[Look]:
    """The matters that need a look, in order of harm."""
    found = [
        *_providers(facts),
        *_pbxs(facts.pbxs),
        *_unprotected(facts),
        *_refused(facts),
        *_ports(facts),
        *_certificates(facts.certificates),
        *_kept(facts),
        *_guessers(facts.stopped),
        *_unheard(facts.unheard),
        *_budgets(facts.budgets),
        *_defence(facts.defence),
        *_cluster(facts.cluster),
        *_settings(facts),
    ]
    return sorted(found, key=lambda look: (_ORDER.index(look.harm), -look.weight))[:MOST_LOOKS]


def _providers(facts: Facts) -> Iterator[Look]:
    """Providers that cannot be reached, as a whole or in part."""
    for row in facts.providers:
        targets = [target for target in _rows(row.get("targets")) if target.get("is_up") is not None]
        down = [target for target in targets if not target["is_up"]]
        if not down:
            continue
        name, link = str(row.get("name")), f"/providers/{quote(str(row.get('name')), safe='')}"
        told = "; ".join(dict.fromkeys(str(target.get("why") or "it does not answer") for target in down))
        if len(down) == len(targets):
            fact = f"Provider {name} cannot be reached: {told}. Its calls fail."
            remedy = "Look at its address and port, the firewall between, and its status page."
            yield Look(Harm.CRITICAL, fact, remedy, link, "Provider", 1e9)
        else:
            fact = f"{len(down)} of {len(targets)} targets of provider {name} are down: {told}."
            yield Look(Harm.WARNING, fact, "Calls go to those that are up.", link, "Provider", 1e6)


def _pbxs(rows: Sequence[Row]) -> Iterator[Look]:
    """PBXs that cannot be called, as a whole or in part, and accounts that their provider does not know."""
    for row in rows:
        name, down = row.get("name"), row.get("down")
        told = "; ".join(map(str, down)) if isinstance(down, list) else ""
        if told and not row.get("up"):
            remedy = "Look at its addresses in [[phone]], the PBX, and the firewall between: gatewayctl pbxs."
            yield Look(Harm.CRITICAL, f"PBX {name} cannot be called: {told}.", remedy, weight=1e8)
        elif told:
            fact = f"PBX {name} does not answer at each of its addresses: {told}."
            yield Look(Harm.WARNING, fact, "Calls go to the others.", weight=1e6)
        if not row.get("is_registered"):
            why = str(row.get("why") or "its first registration is under way")
            harm = Harm.CRITICAL if row.get("why") else Harm.NOTE
            remedy = "Look at its account and password in [[phone]] and the domain's credentials: gatewayctl pbxs."
            yield Look(harm, f"The account of PBX {name} is not registered at its provider: {why}.", remedy, weight=1e8)


def _unprotected(facts: Facts) -> Iterator[Look]:
    """Calls that anybody on the way could hear, by reason."""
    for reason, rows in _by_reason(facts.tallies, (CLEAR, *WEAKER)).items():
        number, in_clear = _sum(rows), _sum(row for row in rows if row.get("verdict") == CLEAR)
        words = "in clear" if in_clear == number else "weaker than TLS and SRTP"
        is_meant = reason in ("CLEAR_POLICY_OFF", "CLEAR_EMERGENCY")
        harm = Harm.NOTE if is_meant else Harm.CRITICAL if in_clear else Harm.WARNING
        yield _of_calls(facts, harm, reason, rows, words)


def _refused(facts: Facts) -> Iterator[Look]:
    """Calls that were not put through, by reason: refused by the policy, or failed for a cause that has a remedy."""
    kinds = _by_reason(facts.tallies, (REFUSED, UNANSWERED))
    for reason, rows in kinds.items():
        is_refused = any(row.get("verdict") == REFUSED for row in rows)
        if reason or is_refused:
            share = _sum(rows) / max(tally(facts.tallies).all, 1)
            harm = Harm.CRITICAL if share > MOST else Harm.WARNING
            yield _of_calls(facts, harm, reason, rows, "refused" if is_refused else "failed")


def _of_calls(facts: Facts, harm: Harm, reason: str, rows: Sequence[Row], words: str) -> Look:
    """A look at calls of one reason: "9 calls refused in 24 h (example.com 7, branch.example.com 2)"."""
    number, by_domain = _sum(rows), Counter[str]()
    for row in rows:
        by_domain[str(row.get("domain") or "no domain")] += number_in(row.get("calls"))
    shown = [domain if len(by_domain) == 1 else f"{domain} {calls:,}" for domain, calls in by_domain.most_common(3)]
    more = f" and {len(by_domain) - 3} more" if len(by_domain) > 3 else ""
    cause, remedy = facts.remedies.get(reason, ("", ""))
    told = f"{cause} {remedy}".strip() or f"The reason is {reason}." if reason else ""
    wanted = {"reason": reason} if reason else {"verdict": str(rows[0].get("verdict"))}
    link = "/calls?" + urlencode({**wanted, "since": "24h"})
    return Look(harm, f"{calls_words(number)} {words} in 24 h ({', '.join(shown)}{more}).", told, link, "Calls", number)


def _ports(facts: Facts) -> Iterator[Look]:
    used, free = facts.ports.get("used"), facts.ports.get("free")
    if isinstance(used, int) and isinstance(free, int) and free < FEW_PORTS * (used + free):
        fact = f"{free:,} of {used + free:,} media ports are free."
        remedy = "Give [media] ports a wider range; a call without ports is refused."
        yield Look(Harm.CRITICAL if free == 0 else Harm.WARNING, fact, remedy, "/settings", "Settings", 1e7)
    up, down = facts.relays.get("up"), facts.relays.get("down")
    if isinstance(down, int) and down:
        harm = Harm.WARNING if up else Harm.CRITICAL
        fact = f"{down} of {down + number_in(up)} media relays do not answer."
        yield Look(harm, fact, "A worker is started again by itself; the log says why it ended.", weight=1e8)


def _certificates(rows: Sequence[Row]) -> Iterator[Look]:
    for row in rows:
        name, days = row.get("listener"), row.get("days_left")
        told = ", ".join(str(warning) for warning in cast("list[Json]", row.get("warnings") or []))
        if isinstance(days, int) and days < 0:
            fact = f"The certificate of listener {name} has expired."
            remedy = f"Put a new one into {row.get('file')}; it is read within 30 seconds."
            yield Look(Harm.CRITICAL, fact, remedy, "/certificates", "Certificates", 1e8)
        elif isinstance(days, int) and days < FEW_DAYS:
            fact = f"The certificate of listener {name} is good for {days} more {'day' if days == 1 else 'days'}."
            remedy = f"Renew it: {row.get('file')} is read again by itself."
            harm = Harm.WARNING if days < SOON_DAYS else Harm.NOTE
            yield Look(harm, fact, remedy, "/certificates", "Certificates", FEW_DAYS - days)
        elif told:
            fact = f"The certificate of listener {name}: {told}."
            yield Look(Harm.WARNING, fact, f"Mend {row.get('file')}.", "/certificates", "Certificates")


def _kept(facts: Facts) -> Iterator[Look]:
    for row in facts.files:
        if row.get("is_failing"):
            fact = f"{row.get('name')} cannot be written."
            remedy = "Calls go on; look at the disk of the state directory. The log has the error."
            yield Look(Harm.WARNING, fact, remedy, weight=1e5)


def _guessers(rows: Sequence[Row]) -> Iterator[Look]:
    """Wrong passwords that are not passed on any more: of registered phones, which are mistakes, and of strangers."""
    mistaken = [row for row in rows if row.get("by") == "flow"]
    guessed = [row for row in rows if row.get("by") != "flow"]
    if mistaken:
        fact = f"Wrong passwords of {_named(mistaken)} are not passed on for now: the phone was registered before."
        remedy = "Give the phone the password that its provider has for it."
        yield Look(Harm.WARNING, fact, remedy, "/phones", "Phones", len(mistaken))
    if guessed:
        fact = f"Wrong passwords of {_named(guessed)} are not passed on for now: guessed, or of a phone set up wrong."
        remedy = "A phone of yours needs the right password; else block the address in your firewall."
        yield Look(Harm.WARNING, fact, remedy, "/phones", "Phones", len(guessed))


def _unheard(rows: Sequence[Row]) -> Iterator[Look]:
    """Receivers of alerts that take none."""
    for row in rows:
        name, lost = row.get("name"), number_in(row.get("lost"))
        told = f"; {lost:,} alert{' is' if lost == 1 else 's are'} lost" if lost else ""
        fact = f"Alerts are not delivered to {name} ({row.get('kind')}): {row.get('reason')}{told}."
        remedy = f"Look at it and at its [[alert]] table, then try: gatewayctl alerts test {name}."
        yield Look(Harm.WARNING, fact, remedy, weight=1e5)


def _defence(defence: Row) -> Iterator[Look]:
    """Sources that attack and have honest phones, so that an operator decides; and ways to ban that fail."""
    link = ("/security", "Security")
    number, kernel, failing = (defence.get(key) for key in ("waiting", "kernel_why", "failing_lists"))
    if isinstance(number, int) and number:
        verb = "ban waits" if number == 1 else "bans wait"
        fact = f"{number:,} {verb} for approval: honest phones would be turned away with the attacker."
        remedy = "Look at the evidence, then ban or leave it alone; or: gatewayctl bans approve ID, bans lift ADDRESS."
        yield Look(Harm.WARNING, fact, remedy, *link, weight=number)
    if kernel:
        fact = f"nftables takes no bans: {kernel}."
        remedy = "Banned sources are dropped all the same, at more cost. docs/firewall.md says how to declare the sets."
        yield Look(Harm.WARNING, fact, remedy, *link)
    for told in failing[:3] if isinstance(failing, list) else ():
        remedy = "Its entries of before go on counting; it is tried again by itself."
        yield Look(Harm.NOTE, f"A block list cannot be read: {told}.", remedy, *link)


def _budgets(rows: Sequence[Row]) -> Iterator[Look]:
    """Domains of which more calls fall back than may, or will soon."""
    harms = {"burns": Harm.WARNING, "burns_fast": Harm.CRITICAL, "spent": Harm.CRITICAL}
    words = {"burns": "will not last", "burns_fast": "is being spent fast", "spent": "is spent"}
    for row in rows:
        level, domain = str(row.get("level")), str(row.get("domain"))
        if level not in harms:
            continue
        spent, allowed = number_in(row.get("spent")), number_in(row.get("allowed"))
        fact = f"The fallback budget of {domain} {words[level]}: {calls_words(spent)} of 30 days were not encrypted"
        link = f"/domains/{quote(domain, safe='')}"
        remedy = f"Look for the reasons: gatewayctl calls --domain {domain} --verdict CLEAR --since 30d."
        yield Look(harms[level], f"{fact}, {allowed:,} may be.", remedy, link, "Domain", spent)


def _named(rows: Sequence[Row]) -> str:
    """The first three users and their sources, the latest first."""
    shown = ", ".join(f"{row.get('user')} from {row.get('source')}" for row in [*rows][:-4:-1])
    return f"{shown} and {len(rows) - 3:,} more" if len(rows) > 3 else shown


def _cluster(row: Row) -> Iterator[Look]:
    """A pair of nodes of which the other could not take over."""
    if not row or row.get("state") == "none":
        return
    if not row.get("store_answers"):
        fact = "The store of the pair does not answer: no other node can take over."
        yield Look(Harm.CRITICAL, fact, "Look at the store and the way to it: gatewayctl cluster.", weight=1e7)
        return
    others = [one for one in _rows(row.get("nodes")) if one.get("node") != row.get("node")]
    seen = (one.get("seen_seconds_ago") for one in others)
    if not any(isinstance(ago, int | float) and ago < OTHER_SECONDS for ago in seen):
        fact = "No other node of the pair waits: none would take over."
        yield Look(Harm.WARNING, fact, "Start it, or look at its log: gatewayctl cluster.", weight=1e7)


def _settings(facts: Facts) -> Iterator[Look]:
    if facts.is_draining:
        remedy = "Those that are up go on. To take calls again: gatewayctl drain --cancel."
        yield Look(Harm.WARNING, "The gateway is draining and takes no new calls.", remedy, "/calls", "Calls", 1e9)
    for row in facts.domains:
        if row.get("security") == "off":
            fact = f"Encryption of {row.get('name')} is off: its calls leave in clear."
            link = f"/domains/{quote(str(row.get('name')), safe='')}"
            yield Look(Harm.NOTE, fact, "Switch it to preferred: nothing that works now stops working.", link, "Domain")


def _by_reason(tallies: Iterable[Row], verdicts: Sequence[str]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in tallies:
        if row.get("verdict") in verdicts and number_in(row.get("calls")):
            grouped[str(row.get("reason") or "")].append(row)
    return grouped


def _sum(rows: Iterable[Row]) -> int:
    return sum(number_in(row.get("calls")) for row in rows)


def _rows(value: Json) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
