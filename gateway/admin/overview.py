"""Answers to the administration interface, and its changes: `admin.inspection.Inspection` and `Control`.

Everything is read when asked for and copied; no key, credential or nonce is among it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from gateway.admin.inspection import CallSearch, NotChanged, Population, Row
from gateway.admin.turns import pieces
from gateway.b2bua.calls import Calls
from gateway.base.rate import Rate, RateLimit
from gateway.config.model import ConfigurationError, Domain, Security
from gateway.config.switches import NoSuchDomain, Settings
from gateway.registrar.binding import Binding
from gateway.registrar.sqlite_store import SqliteStore
from gateway.security.credentials import CredentialsError
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory, Sightings
from gateway.state.audit import AuditLog
from gateway.state.call_record import fit
from gateway.state.cdr import detail_record
from gateway.state.devices.device_table import DeviceFilter, DeviceTable
from gateway.state.history import CallHistory
from gateway.state.listing.call_filter import BadCursor, cursor_of, read_cursor
from gateway.transport.tls.certificates import CertificateError, CertificateReport

log = Logger()

MOST_CALLS: Final = 500
"""Calls in one list."""

MOST_PEERS: Final = 5_000
"""Peers in one list."""
COUNTED_AT_ONCE: Final = 500
"""Phones that are counted in one go: 0.5 ms."""

REFUSALS: Final = Rate(per_second=1 / 60, burst=20)
"""Refused changes that the audit and the log take: no user of this machine fills its disk with them."""

CONFIGURED: Final = "configured"
"""Asks for the security that the file says."""

_SUMMARY: Final = (
    *("id", "direction", "domain", "caller", "callee", "state", "verdict", "reason"),
    *("cause", "provider", "emergency", "caller_number", "callee_number"),
    *("started_at", "answered_at", "ended_at", "seconds", "status", "ending"),
)


@attrs.frozen
class Overview:
    """A look at the parts of a running gateway."""

    settings: Settings
    all_calls: Calls
    history: CallHistory
    store: SqliteStore
    memory: PeerMemory
    audit: AuditLog
    now: Callable[[], float]
    """Seconds since the epoch."""
    certificate_reports: Callable[[], Mapping[str, CertificateReport]]
    """How the certificate that each TLS listener serves stands, by listener."""
    counts_now: Callable[[], Row]
    lists: CallSearch
    device_table: DeviceTable
    refusals: RateLimit = attrs.field(factory=lambda: RateLimit(REFUSALS), init=False)

    def calls(self) -> Iterator[Row]:
        """Calls that are up and those kept after their end, the latest first."""
        records = sorted(islice(self.all_calls.records(), MOST_CALLS), key=lambda record: -record.started_at)
        before = ({key: call.get(key) for key in _SUMMARY} for call in [*self.history.before()])
        return islice(chain((record.summary() for record in records), before), MOST_CALLS)

    def call(self, call_id: str) -> Deferred[Row | None]:
        """All that is known of one call."""
        record = self.all_calls.record(call_id)
        return self.history.find(call_id) if record is None else succeed(record.as_json())

    def call_details(self) -> Iterator[Row]:
        """The latest calls that ended."""
        ended = [call for call in self.calls() if call.get("ended_at") is not None]
        return (detail_record(call) for call in reversed(ended))

    def phones(self) -> Iterator[Row]:
        """The bindings that have not expired, each looked at when it is asked for."""
        return self._bindings([*self.store.all()])

    def registrations(self, address_of_record: str | None, limit: int, after: str | None = None) -> Deferred[Row]:
        """A page of the bindings."""
        place = _place(after)
        if address_of_record is not None:
            found = islice(self._bindings(self.store.find(address_of_record)), limit)
            return succeed({"registrations": [*found], "next": None})

        def page(bindings: list[Binding]) -> Row:
            following = _following(place, [one.aor for one in bindings[:limit]]) if len(bindings) > limit else None
            return {"registrations": [*self._bindings(bindings[:limit])], "next": following}

        return self.store.page(place, limit + 1).addCallback(page)

    def devices(self, wanted: DeviceFilter, limit: int, after: str | None = None) -> Deferred[Row]:
        """A page of the inventory."""
        place = read_cursor(after)

        def page(rows: list[Row]) -> Row:
            following = cursor_of(str(rows[limit - 1]["key"]), "") if len(rows) > limit else None
            return {"phones": [self._as_it_stands(row) for row in rows[:limit]], "next": following}

        return self.device_table.page(wanted, limit + 1, "" if place is None else place[0]).addCallback(page)

    def _as_it_stands(self, device: Row) -> Row:
        """A device, when a phone of its addresses of record was last seen to do SRTP and without, and whether it can
        be reached now: by its own Contact, if that is bound."""
        known = device.get("addresses_of_record")
        addresses = [str(one) for one in known] if isinstance(known, list) else []
        bound = [binding for one in addresses for binding in self.store.find(one)]
        own = [binding for binding in bound if fit(binding.contact) == device.get("contact")] or bound
        reachable = any(map(self.store.is_reachable, own)) if own else None
        seen = [self.memory.seen(Peer(one)) for one in addresses]
        did = max((one.did_srtp_at for one in seen if one.did_srtp_at is not None), default=None)
        lacked = max((one.lacked_srtp_at for one in seen if one.lacked_srtp_at is not None), default=None)
        return {**device, "did_srtp_at": did, "lacked_srtp_at": lacked, "reachable": reachable}

    def audit_entries(self, about: str | None, limit: int) -> list[Row]:
        """The latest entries of the audit."""
        return [*islice(reversed(self.audit.about(about)), limit)]

    def _bindings(self, bindings: Iterable[Binding]) -> Iterator[Row]:
        now = self.now()
        return (
            {
                "address_of_record": binding.aor,
                "contact": fit(binding.contact),
                "flow": str(binding.flow),
                "transport": str(binding.flow.transport),
                "reachable": self.store.is_reachable(binding),
                "user_agent": fit(binding.user_agent),
                "expires_in": round(binding.expires_at - now),
                "provider_expires_in": round(binding.provider_expires_at - now),
            }
            for binding in bindings
            if binding.expires_at > now
        )

    async def population(self, rest: Callable[[], Awaitable[None]]) -> Population:
        """The phones, counted: each is looked at, some before each rest, so that no call waits for all of them."""
        now, domains, transports = self.now(), Counter[str](), Counter[str]()
        async for piece in pieces([*self.store.all()], COUNTED_AT_ONCE, rest):
            live = [one for one in piece if one.expires_at > now]
            domains.update(one.aor.rpartition("@")[2].lower() for one in live)
            transports.update(str(one.flow.transport) for one in live)
        return Population(domains, transports)

    def calls_up(self) -> Mapping[str, int]:
        """The calls that are up, by domain in lower case."""
        calls: Counter[str] = Counter()
        for domain, number in self.all_calls.up_by_domain().items():
            calls[domain.lower()] += number
        return calls

    def domains(self) -> list[Row]:
        """The configured domains and their policy."""
        return [self._domain(domain) for domain in self.settings.current.domains]

    def domain(self, name: str) -> Row | None:
        """One domain, with the audit of its changes."""
        for domain in self.settings.current.domains:
            if domain.name.lower() == name.lower():
                return {**self._domain(domain), "changes": [*self.audit.about(domain.name)]}
        return None

    def providers(self) -> list[Row]:
        """The configured providers."""
        return [
            {
                **_peer(peer := Peer.of(provider), self.memory.seen(peer)),
                "srtp_offer": str(provider.srtp_offer),
                "trust": str(provider.trust),
            }
            for provider in self.settings.current.providers
        ]

    def peers(self) -> list[Row]:
        """The providers, then every other peer that is remembered."""
        configured = {Peer.of(provider) for provider in self.settings.current.providers}
        others = (_peer(peer, seen) for peer, seen in self.memory.all() if peer not in configured)
        return [*self.providers(), *islice(others, MOST_PEERS)]

    def certificates(self) -> list[Row]:
        """The certificates that the TLS listeners serve."""
        return [
            {
                "listener": listener,
                "file": str(report.path),
                "names": [*report.identity.uris, *report.identity.names, *report.identity.addresses],
                "valid_until": report.not_after.strftime("%Y-%m-%d"),
                "days_left": report.days_left,
                "warnings": [*report.warnings],
            }
            for listener, report in self.certificate_reports().items()
        ]

    def counts(self) -> Row:
        """How much there is of everything at this moment."""
        return self.counts_now()

    def switch_domain(self, name: str, security: str, who: str, because: str = "") -> Row:
        """Set the security of a domain."""
        allowed = [str(one) for one in Security]
        if security != CONFIGURED and security not in allowed:
            raise NotChanged(f"security: found {security[:40]}, allowed: {', '.join([*allowed, CONFIGURED])}")
        try:
            wanted = None if security == CONFIGURED else Security(security)
            domain = self.settings.switch(name, wanted, who, fit(because))
        except NoSuchDomain as error:
            raise NotChanged(str(error), status=404) from None
        except (CertificateError, CredentialsError, OSError) as error:
            raise NotChanged(str(error), status=409) from None
        return self._domain(domain)

    def hang_up(self, call_id: str, who: str) -> None:
        """End a call that is up, on both sides."""
        if not self.all_calls.hang_up(call_id, "ended by an operator"):
            raise NotChanged(f"There is no call {call_id} that is up.", status=404)
        self.audit.write(who, "hangup", call=call_id)
        log.warn("call {call_id} is ended by {who}", call_id=call_id, who=who)

    def reload(self, who: str) -> Row:
        """Read the configuration, certificates and passwords again. The log is told."""
        try:
            changes = self.settings.reload(who)
        except ConfigurationError as error:
            raise _not_reloaded(error.errors, who) from None
        except (CertificateError, CredentialsError, OSError) as error:
            raise _not_reloaded((str(error),), who) from None
        told = "; ".join(changes) or "nothing changed"
        log.info("the configuration is read again: {changes} ({who})", changes=told, who=who)
        return {"changes": [*changes]}

    def refused(self, change: str, who: str, domain: str | None = None) -> None:
        """Note that a change was refused for its author: by the name of a domain, if there is one of that name."""
        if self.refusals.allows("all", self.now()):
            known = [one.name for one in self.settings.current.domains if domain and one.name.lower() == domain.lower()]
            log.warn("{who} asks for a change and has no right to it: {change}", who=who, change=change)
            self.audit.write(who, "refused", change=change, **({"domain": known[0]} if known else {}))

    def forget_peer(self, name: str, who: str) -> Row:
        """Forget the features that a provider or phone was seen to have."""
        count = self.memory.forget(name)
        if count == 0:
            raise NotChanged(f"There is no peer {name}.", status=404)
        self.audit.write(who, "forget", peer=name)
        return {"forgotten": count}

    def learn_peer(self, name: str, features: list[str], who: str) -> Row:
        """Expect features of a provider, or of a phone by its address of record."""
        known = [str(feature) for feature in Feature]
        if not features or not set(features) <= set(known):
            raise NotChanged(f"features: allowed: {', '.join(known)}")
        providers = {provider.name: Peer.of(provider) for provider in self.settings.current.providers}
        peer = providers.get(name) or (Peer(name) if name.startswith("sip:") else None)
        if peer is None:
            raise NotChanged(f"There is no provider {name}, and it is no address such as sip:alice@...", status=404)
        for feature in features:
            self.memory.saw(peer, Feature(feature), did=True)
        self.audit.write(who, "learn", peer=name, features=[*features])
        return _peer(peer, self.memory.seen(peer))

    def _domain(self, domain: Domain) -> Row:
        switch = self.settings.security_of(domain.name)
        return {
            "name": domain.name,
            "provider": domain.provider,
            "security": str(domain.security),
            "switched_by": None if switch is None else switch.who,
            "switched_at": None if switch is None else switch.at,
            "downgrade": str(domain.downgrade),
            "challenge": [*domain.challenge],
            "challenge_exempt": [*domain.challenge_exempt],
            "restricted_access_domains": [*domain.restricted_access_domains],
            "emergency_numbers": [*domain.emergency_numbers],
        }


def _not_reloaded(lines: tuple[str, ...], who: str) -> NotChanged:
    for line in lines:
        log.error("the configuration stays as it was: {reason} ({who})", reason=line, who=who)
    return NotChanged(*lines)


def _peer(peer: Peer, seen: Sightings) -> Row:
    return {"name": peer.name, "uri": peer.target, **attrs.asdict(seen)}


def _place(cursor: str | None) -> tuple[str, int]:
    """The place in a list of bindings: an address of record, and how many of its bindings come before. A contact may be
    longer than a cursor."""
    aor, count = read_cursor(cursor) or ("", "0")
    if not (count.isascii() and count.isdigit() and len(count) < 6):
        raise BadCursor("no page gave this cursor")
    return aor, int(count)


def _following(place: tuple[str, int], shown: list[str]) -> str:
    """The cursor of the place after these addresses of record."""
    last = shown[-1]
    count = shown.count(last) + (place[1] if place[0] == last else 0)
    return cursor_of(last, str(count))
