"""Gathers the facts that the posture is judged by, from the parts of the running gateway.

    configuration in force, figures, metrics, files, the machine -> PostureGathering.facts() -> PostureFacts

Here: asking. Nothing is judged. Calls and devices are counted by their files' own threads, the machine is looked at by
a thread of the reactor's: no call waits. A file that cannot be read makes its facts unknown, and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

import attrs
from prometheus_client.metrics import MetricWrapperBase
from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from gateway.admin.security.machine_look import MachineFacts, look_at_machine
from gateway.base.clock import Clock
from gateway.base.telephone_numbers import DestinationClass
from gateway.config.model import Configuration, Domain, Listener, Provider
from gateway.config.switches import Settings
from gateway.config.tables.limit_table import MEASURES, CallLimit, LimitAction
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import Binding
from gateway.registrar.sqlite_store import SqliteStore
from gateway.routing.health import Health
from gateway.security.admission import DomainAdmission
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.security.posture.advisories import Advisories
from gateway.security.posture.posture_facts import (
    Defence,
    KnownDomain,
    KnownInterface,
    KnownListener,
    KnownMedia,
    KnownProvider,
    PostureFacts,
    Process,
    SeenTls,
    ServedCertificate,
    Surroundings,
    total,
)
from gateway.state.devices.device_table import DeviceCount, DeviceTable
from gateway.state.listing.call_groups import CallGroup, grouped
from gateway.state.listing.call_table import CallTable
from gateway.transport.layer import TransportLayer

log = Logger()

DAY: Final = 86_400.0
MONTH: Final = 30 * DAY
_MONDAY: Final = datetime(2026, 1, 5, 0, 30)  # noqa: DTZ001 - in whichever zone a limit is of
WEEK: Final = tuple(_MONDAY + timedelta(hours=hour) for hour in range(7 * 24))
"""A moment of each hour of a week."""
NIGHTS: Final = WEEK[3::24]
MOST_KINDS: Final = 500
"""Kinds of devices that are told apart."""

Answer = TypeVar("Answer")


@attrs.frozen
class CountedCalls:
    """Calls of the three times."""

    window: tuple[CallGroup, ...] = ()
    day: tuple[CallGroup, ...] = ()
    month: tuple[CallGroup, ...] | None = None


@attrs.frozen
class PostureGathering:
    """Asks the parts."""

    settings: Settings
    metrics: Metrics
    clock: Clock
    reactor: Any
    calls: CallTable
    devices: DeviceTable
    store: SqliteStore
    memory: PeerMemory
    transport: TransportLayer
    health: Health
    admission: DomainAdmission
    version: str
    up_since: float
    surroundings: Callable[[], Surroundings]

    async def facts(self, since: float, domain: str, has_users: bool, advisories: Advisories) -> PostureFacts:
        """All of them, of one domain or (empty) of all. Calls count since then, seconds since the epoch."""
        now, configuration = self.clock.wall(), self.settings.current
        counted = await self._calls(now, since)
        devices = await self._devices(now)
        process = self._process(
            await self.aside(look_at_machine, configuration.gateway.state_directory), advisories, now
        )
        phones = await self.aside(_by_transport, [*self.store.all()], self.clock.now(), domain)
        domains = [one for one in configuration.domains if domain in ("", one.name)]
        names = {one.provider for one in domains}
        return PostureFacts(
            at=now,
            since=since,
            up_since=self.up_since,
            gateway=configuration.gateway.name,
            version=self.version,
            only_domain=domain,
            domains=tuple(self._domains(domains)),
            providers=tuple(self._provider(one) for one in configuration.providers if one.name in names),
            listeners=tuple(_listeners(self.transport.listeners)),
            interface=_interface(configuration, has_users),
            media=KnownMedia(configuration.media.ng_listen or "", tuple(map(str, configuration.media.plain_rtcp))),
            calls=_of(domain, counted.window),
            day=_of(domain, counted.day),
            clear_in_month=None if counted.month is None else _clear(_of(domain, counted.month)),
            phones=phones,
            certificates=tuple(self._certificates()),
            handshakes=tuple(self._handshakes()),
            old_versions_asked=self.transport.handshakes.old_versions,
            suites=_suites(self.metrics.srtp_suites),
            devices=devices,
            strangers=_sum(self.metrics.dropped),
            defence=self._defence(configuration, domains),
            process=process,
            surroundings=self.surroundings(),
        )

    async def _calls(self, now: float, since: float) -> CountedCalls:
        begins = {one.name.lower(): self._changed(one) for one in self.settings.current.domains}

        def count(transaction: Transaction) -> CountedCalls:
            parts = (grouped(transaction, since, begins), grouped(transaction, now - DAY, begins))
            month = grouped(transaction, now - MONTH)
            return CountedCalls(*(tuple(part) for part in (*parts, month)))

        return await self._file(self.calls.ask(count), CountedCalls())

    async def _devices(self, now: float) -> tuple[DeviceCount, ...] | None:
        found = self.devices.kinds(now - MONTH, MOST_KINDS)
        made = found.addCallback(tuple[DeviceCount, ...])
        unread: tuple[DeviceCount, ...] | None = None
        return await self._file(made, unread)

    def _certificates(self) -> Iterator[ServedCertificate]:
        for name, one in self.transport.certificate_reports().items():
            yield ServedCertificate(name, one.days_left, one.warnings, one.has_short_key)

    def _handshakes(self) -> Iterator[SeenTls]:
        for (side, peer, terms), number in self.transport.handshakes.by_terms.items():
            yield SeenTls(str(side), peer, terms.version, terms.cipher, number)

    def _changed(self, domain: Domain) -> float:
        """When the policy of a domain, or its provider, was last changed; 0: not in this run."""
        switch = self.settings.security_of(domain.name)
        return max(self.settings.changed_at(domain.name), 0.0 if switch is None else switch.at)

    def _domains(self, domains: Iterable[Domain]) -> Iterable[KnownDomain]:
        weak = self.admission.weak_passwords()
        for one in domains:
            yield KnownDomain(
                one.name,
                one.provider,
                str(one.security),
                challenge=one.challenge if one.credentials is not None else (),
                algorithms=one.challenge_algorithms,
                registered_callers_only=one.registered_callers_only,
                access=one.restricted_access_domains,
                budget=one.fallback_budget,
                budget_floor=one.fallback_floor,
                weak_passwords=weak.get(one.name.lower()),
            )

    def _provider(self, one: Provider) -> KnownProvider:
        seen = self.memory.seen(Peer.of(one))
        return KnownProvider(
            one.name,
            seen.does(Feature.TLS),
            seen.does(Feature.SRTP),
            shows_certificate=one.certificate is not None,
            allow_wildcards=one.allow_wildcards,
            common_name=one.common_name,
            suites=one.suites,
            targets=len(self.health.looked_at(one.name)) if one.ping_seconds else None,
        )

    def _defence(self, configuration: Configuration, domains: Iterable[Domain]) -> Defence:
        figures, limits = self.metrics.figures(), configuration.limit
        refusing = [one for one in limits if one.then is not LimitAction.REPORT]
        guards, names = [*filter(is_guard, refusing)], [one.name for one in domains]
        return Defence(
            figures.defence.mode,
            limits=len(guards),
            limits_reporting=len(limits) - len(refusing),
            unlimited=unguarded(guards, names, WEEK),
            unlimited_at_night=unguarded(guards, names, NIGHTS),
            limits_hit=_sum(self.metrics.limit_refusals),
            alerts=len(configuration.alerts),
            alerts_lost=sum(one.lost for one in figures.unheard),
        )

    def _process(self, machine: MachineFacts, advisories: Advisories, now: float) -> Process:
        figures = self.metrics.figures()
        clock = self.metrics.value("gateway_clock_synchronized")
        return Process(
            newest_version=advisories.gateway or None,
            advisories_days=advisories.age(now),
            clock_synchronized=None if clock is None else bool(clock),
            disk_free=machine.disk_free,
            failing_files=tuple(file.name for file in figures.files if file.is_failing),
            lost_log_lines=figures.lost_log_lines,
            metrics_read=_sum(self.metrics.admin_requests, route="/metrics", status_class="2xx"),
            backup_days=-1.0 if machine.backup_at is None else max(0.0, (now - machine.backup_at) / DAY),
            worker_restarts=_sum(self.metrics.worker_restarts),
        )

    def aside(self, work: Callable[..., Answer], *arguments: Any) -> Deferred[Answer]:
        """The result of work that takes some milliseconds, off the reactor's thread: calls go on meanwhile."""
        return cast("Deferred[Answer]", deferToThreadPool(self.reactor, self.reactor.getThreadPool(), work, *arguments))

    def _file(self, answer: Deferred[Any], without: Answer) -> Deferred[Answer]:
        """The answer of a file; ``without`` where it cannot be read."""

        def unread(failure: Any) -> Answer:
            failure.trap(sqlite3.Error, OSError)
            log.error("a file of the state cannot be read for the posture: {reason}", reason=failure.value)
            return without

        return answer.addErrback(unread)


def _by_transport(known: Iterable[Binding], now: float, domain: str) -> Mapping[str, int]:
    """How many phones are registered over each transport."""
    live = (one for one in known if one.expires_at > now)
    return Counter(str(one.flow.transport) for one in live if domain in ("", one.aor.rpartition("@")[2].lower()))


def _of(domain: str, calls: tuple[CallGroup, ...]) -> tuple[CallGroup, ...]:
    return tuple(one for one in calls if domain in ("", one.domain.lower()))


def _clear(calls: tuple[CallGroup, ...]) -> int:
    return total(one for one in calls if one.verdict == "CLEAR")


def _listeners(listeners: Iterable[Listener]) -> Iterable[KnownListener]:
    for one in listeners:
        yield KnownListener(one.name, str(one.side), one.transport, one.address, one.client_trust is not None)


def _interface(configuration: Configuration, has_users: bool) -> KnownInterface:
    admin = configuration.admin
    networks = tuple(map(str, admin.metrics_from))
    return KnownInterface(admin.address, admin.certificate is not None, has_users, networks)


def is_guard(limit: CallLimit) -> bool:
    """Whether a limit counts expensive calls of everybody. One of a few users or numbers leaves the others free."""
    is_about = not limit.to or DestinationClass.INTERNATIONAL in limit.to
    return is_about and "*" in limit.users and any(getattr(limit, key) is not None for key in MEASURES)


def unguarded(guards: list[CallLimit], domains: Iterable[str], moments: Iterable[datetime]) -> tuple[str, ...]:
    """The domains in which no guard holds at one of the moments."""

    def is_guarded(domain: str, moment: datetime) -> bool:
        covering = (one.hours for one in guards if one.covers(domain.lower()))
        return any(not hours or any(one.contains(moment) for one in hours) for hours in covering)

    return tuple(domain for domain in domains if not all(is_guarded(domain, moment) for moment in moments))


def _suites(metric: MetricWrapperBase) -> dict[tuple[str, str], int]:
    counted: dict[tuple[str, str], int] = {}
    for labels, number in _samples(metric):
        counted[labels["side"], labels["suite"]] = number
    return counted


def _sum(metric: MetricWrapperBase, **wanted: str) -> int:
    """The sum of a counter's samples with these labels."""
    return sum(
        number for labels, number in _samples(metric) if all(labels.get(name) == one for name, one in wanted.items())
    )


def _samples(metric: MetricWrapperBase) -> Iterable[tuple[Mapping[str, str], int]]:
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                yield sample.labels, int(sample.value)


HasUsers = Callable[[], bool]
"""Whether the administration interface knows a user."""
