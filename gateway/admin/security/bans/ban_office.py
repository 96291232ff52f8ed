"""The bans as an administrator works with them: seen, ordered, lifted, approved, each change in the audit.

    API, page -> BanOffice -> Bans, Blocklists       Rejected 400, 404, 409, with words for people

Here: the questions and orders, once for the API and the page. Not here: HTTP (ban_routes.py, ban_pages.py), judgements.
A source is given as anybody writes an address, and means the whole source: of IPv6 the /64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Final, Protocol

import attrs
from twisted.logger import Logger

from gateway.admin.hardening import Rejected
from gateway.base.rate import source_of
from gateway.observe.figures import DefenceFigures
from gateway.security.blocklists.blocklists import Blocklists, ListStanding
from gateway.security.defence.bans import Ban, Bans, BanState, NeverBanned, NoSuchBan
from gateway.security.defence.defence_news import throttled_state
from gateway.security.defence.evidence import EvidenceLines
from gateway.security.defence.throttled import Throttled, ThrottledSource
from gateway.security.firewall.nftables import KernelStanding
from gateway.state.audit import AuditLog

log = Logger()

LEAST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 365 * 86_400
MOST_WORDS: Final = 200
"""Characters of a reason."""


class DefenceDesk(Protocol):
    """The defence, as far as operators have to do with it."""

    @property
    def bans(self) -> Bans:
        """All bans."""

    def order(self, address: str, seconds: float, by: str, words: str = "") -> Ban:
        """An operator's own ban. Raises NeverBanned."""

    @property
    def throttled(self) -> Throttled:
        """The sources that are slowed."""

    @property
    def evidence(self) -> EvidenceLines:
        """The evidence against all."""

    def figures(self) -> DefenceFigures:
        """The state in short."""


@attrs.frozen
class SlowedSource:
    """A source that is slowed, with the evidence. Its texts are fit to be shown."""

    known: ThrottledSource
    state: str
    """`throttled`; `would_be` while the defence only reports."""
    evidence: tuple[str, ...]
    """The oldest first."""
    users: tuple[str, ...]
    """Users that it tried."""


@attrs.frozen
class KnownSource:
    """All that is known of a source."""

    source: str
    ban: Ban | None
    """The ban that is not over."""
    slowed: SlowedSource | None
    lists: tuple[str, ...]
    """The block lists that hold it."""
    is_spared: bool
    """Whether an operator lifted its ban within a day."""


@attrs.frozen
class BanOffice:
    """Questions and orders."""

    defence: DefenceDesk
    lists: Blocklists
    kernel: Callable[[], KernelStanding | None]
    """How the sets of nftables stand; None where the configuration leaves bans to the process."""
    audit: AuditLog
    now: Callable[[], float]
    """Seconds since the epoch that pass evenly, as bans are counted by."""

    def all(self) -> Sequence[Ban]:
        """The bans that are not over: those that wait for approval first, then the latest first."""
        return sorted(self.defence.bans.current(), key=lambda ban: (ban.state is not BanState.WAITING, -ban.id))

    def slowed(self) -> tuple[list[ThrottledSource], str]:
        """The sources that are slowed, the latest first, and the state that all of them are in."""
        is_report = self.defence.figures().mode == "report"
        return self.defence.throttled.current(), throttled_state(is_report=is_report)

    def evidence_of(self, one: ThrottledSource, state: str) -> SlowedSource:
        """A source that is slowed, with the evidence."""
        evidence = self.defence.evidence
        return SlowedSource(one, state, evidence.lines(one.source), evidence.users(one.source))

    def find(self, text: str) -> KnownSource:
        """All that is known of a source. Raises Rejected."""
        source = source_in(text)
        bans = self.defence.bans
        one = self.defence.throttled.of(source)
        slowed = None if one is None else self.evidence_of(one, self.slowed()[1])
        return KnownSource(source, bans.of(source), slowed, self._listed(source), bans.is_spared(source))

    def order(self, text: str, seconds: int, because: str, author: str) -> Ban:
        """Ban a source for a time. Raises Rejected."""
        source = source_in(text)
        if not LEAST_SECONDS <= seconds <= LONGEST_SECONDS:
            raise Rejected(400, "A ban lasts from a minute to a year.")
        try:
            ban = self.defence.order(source, float(seconds), author, because[:MOST_WORDS])
        except NeverBanned as error:
            raise Rejected(409, f"{error}.") from None
        self._told(author, "ban", ban, seconds=seconds, because=because[:MOST_WORDS])
        return ban

    def lift(self, text: str, author: str) -> Ban:
        """End the ban of a source; it is spared for a day. Raises Rejected."""
        try:
            ban = self.defence.bans.lift(source_in(text), author)
        except NoSuchBan as error:
            raise Rejected(404, f"{error}.") from None
        self._told(author, "ban lifted", ban)
        return ban

    def approve(self, number: int, author: str) -> Ban:
        """Put a ban in force that waits for that. Raises Rejected."""
        try:
            ban = self.defence.bans.approve(number, author)
        except NoSuchBan as error:
            raise Rejected(404, f"{error}.") from None
        except NeverBanned as error:
            raise Rejected(409, f"{error}.") from None
        self._told(author, "ban approved", ban)
        return ban

    def read_list(self, name: str, author: str) -> ListStanding:
        """Read a list at once. Raises Rejected."""
        if not self.lists.read_now(name):
            raise Rejected(404, f"There is no list {name[:64]}.")
        self.audit.write(author, "blocklist read", list=name)
        return next(one for one in self.lists.standings() if one.name == name)

    def _listed(self, source: str) -> tuple[str, ...]:
        return self.lists.holding(source.partition("/")[0])

    def _told(self, author: str, what: str, ban: Ban, **details: int | str) -> None:
        said = {key: value for key, value in details.items() if value != ""}
        self.audit.write(author, what, of=ban.source, reason=ban.reason, **said)
        log.warn("{what}: {address} ({who})", what=what, address=ban.source, who=author)


def source_in(text: str) -> str:
    """The source that an administrator names. Raises Rejected."""
    try:
        if "/" not in text:
            return source_of(str(ip_address(text.strip())))
        network = ip_network(text.strip())
    except ValueError:
        raise Rejected(400, "This is no address, such as 192.0.2.1 or 2001:db8::1.") from None
    if network.version != 6 or network.prefixlen != 64:
        raise Rejected(400, "One address is banned at a time, of IPv6 a /64. Networks go into a block list.")
    return str(network)
