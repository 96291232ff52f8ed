"""The probes of a gateway as jobs: ordered, judged, done within DEADLINE, and kept for a while.

    ProbeOrder -> judged (rate, places, users, numbers) -> ProbeJob, running -> facts, result, sentence

Bounds: AT_ONCE jobs run, a target is looked at once in EVERY, KEPT results are kept. A password is used for the user of
a domain that the provider serves, and for no other; emergency numbers are never called. Not here: HTTP (admin/probes).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
from twisted.internet.defer import CancelledError, Deferred, TimeoutError  # noqa: A004
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.b2bua.probe import sentences
from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.domain_look import look_at_domain
from gateway.b2bua.probe.jobs.probe_order import (
    ProbeKind,
    ProbeOrder,
    ProbeRefused,
    address_of_record,
    checked_uri,
    judge_number,
    target_of,
)
from gateway.b2bua.probe.phone_look import look_at_phone
from gateway.b2bua.probe.prediction import Prediction
from gateway.b2bua.probe.provider_look import Barred, ProviderLook, ProviderQuestion
from gateway.b2bua.probe.sentences import ProbeResult, Said
from gateway.config.model import Domain, Provider, Security
from gateway.observe.clean_text import clean
from gateway.observe.metrics import Metrics
from gateway.sip.errors import MalformedMessage
from gateway.transport.flow import SYSTEM_TRUST

log = Logger()

DEADLINE: Final = 30.0
"""Seconds that a probe may take."""
EVERY: Final = 10.0
"""Seconds between two probes of one target."""
AT_ONCE: Final = 4
KEPT: Final = 20
_USER: Final = re.compile(r"[0-9A-Za-z+._~!*'()&=$-]{1,64}")
"""A user part that needs no escapes in a URI (RFC 3261 section 25.1)."""
_URI: Final = Domain("", "")
"""The domain of a URI, which is of none."""

Facts: TypeAlias = dict[str, Any]


@attrs.define
class ProbeJob:
    """One probe, running or done."""

    id: str
    kind: ProbeKind
    name: str
    began_at: float
    ended_at: float | None = None
    result: ProbeResult | None = None
    """None while it runs."""
    sentence: str = "The probe is running."
    facts: Facts = attrs.field(factory=dict)
    prediction: Prediction | None = None
    """Of a domain that was asked about."""
    _waiting: list[Deferred[None]] = attrs.field(factory=list, repr=False, eq=False)

    def end(self) -> Deferred[None]:
        """Fires when it has ended."""
        waiting: Deferred[None] = Deferred()
        if self.result is not None:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting

    def tell(self) -> None:
        """It has ended."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)


class Probes:
    """All probes of one gateway."""

    def __init__(self, around: Around, metrics: Metrics, directory: Path) -> None:
        """``directory`` takes authorities that come with an order, for as long as their probe runs."""
        self._around = around
        self._counter = metrics.probes
        self._directory = directory
        self._jobs: dict[str, ProbeJob] = {}
        self._running: dict[str, Deferred[None]] = {}
        self._last: dict[tuple[ProbeKind, str], tuple[float, ProbeOrder, ProbeJob]] = {}

    def begin(self, order: ProbeOrder) -> ProbeJob:
        """Begin a probe. Raises ProbeRefused."""
        work = self._work(order)
        job = ProbeJob(self._around.new_token(), order.kind, clean(order.name), self._around.wall())
        try:
            self._admit(order, job)
        except ProbeRefused:
            work.close()
            raise
        self._keep(job)
        done: Deferred[None] = (
            Deferred.fromCoroutine(work)
            .addTimeout(DEADLINE, self._around.clock)
            .addCallbacks(self._done, self._failed, callbackArgs=(job,), errbackArgs=(job,))
        )
        if job.result is None:
            self._running[job.id] = done
        return job

    async def done(self, order: ProbeOrder) -> ProbeJob:
        """The probe, once it has ended; one that was ordered in the same words a moment ago serves. Raises
        ProbeRefused."""
        latest = self._last.get((order.kind, target_of(order)))
        is_fresh = latest is not None and self._around.clock.seconds() - latest[0] < EVERY
        job = latest[2] if latest is not None and is_fresh and latest[1] == order else self.begin(order)
        await job.end()
        return job

    def job(self, identifier: str) -> ProbeJob | None:
        """A probe that is kept."""
        return self._jobs.get(identifier)

    def latest(self) -> list[ProbeJob]:
        """All that are kept, the latest first."""
        return [*reversed(self._jobs.values())]

    def stop(self) -> None:
        """End those that run."""
        for one in tuple(self._running.values()):
            one.cancel()

    def _admit(self, order: ProbeOrder, job: ProbeJob) -> None:
        now, key = self._around.clock.seconds(), (order.kind, target_of(order))
        self._last = {one: last for one, last in self._last.items() if now - last[0] < EVERY}
        if key in self._last:
            left = max(1, round(EVERY - (now - self._last[key][0])))
            raise ProbeRefused(429, f"It was probed a moment ago: again in {left} s.")
        if len(self._running) >= AT_ONCE:
            raise ProbeRefused(429, f"{AT_ONCE} probes are running: try again when one is done.")
        self._last[key] = now, order, job

    def _keep(self, job: ProbeJob) -> None:
        while len(self._jobs) >= KEPT:
            del self._jobs[next(iter(self._jobs))]
        self._jobs[job.id] = job

    def _work(self, order: ProbeOrder) -> Coroutine[Deferred[Any], Any, tuple[Said, Facts, Prediction | None]]:
        """The work of an order, not begun. Raises ProbeRefused."""
        if order.security is not None and order.kind is not ProbeKind.DOMAIN:
            raise ProbeRefused(400, "A policy goes with a domain alone.")
        if order.kind is not ProbeKind.PROVIDER and order.kind is not ProbeKind.DOMAIN and (order.number or order.user):
            raise ProbeRefused(400, "A call and a user go with a provider or a domain alone.")
        if order.trust and order.kind is not ProbeKind.URI:
            raise ProbeRefused(400, "Authorities go with a URI alone: a provider has its own.")
        match order.kind:
            case ProbeKind.PROVIDER:
                return self._provider(self._question(self._provider_named(order.name), order))
            case ProbeKind.DOMAIN:
                domain = self._domain_named(order.name)
                domain = attrs.evolve(domain, security=order.security or domain.security)
                return self._domain(domain, self._question(self._provider_named(domain.provider), order))
            case ProbeKind.PHONE:
                return self._phone(address_of_record(order.name))
            case _:
                return self._uri(checked_uri(order), order)

    def _question(self, provider: Provider, order: ProbeOrder) -> ProviderQuestion:
        domains = tuple(_under(one, order) for one in self._around.domains() if one.provider == provider.name)
        if not domains:
            domains = (attrs.evolve(_URI, provider=provider.name),)
        user, _, user_domain = order.user.removeprefix("sip:").rpartition("@")
        if order.user:
            served = next((one for one in domains if one.name and one.name.lower() == user_domain.lower()), None)
            if served is None or not _USER.fullmatch(user):
                raise ProbeRefused(400, f"{clean(order.user)[:80]} is no user of a domain that {provider.name} serves.")
            user_domain = served.name
        if order.number:
            judge_number(order.number, (*self._around.domains(), _URI))
        return ProviderQuestion(
            provider, domains, order.number, user, user_domain, is_full=order.is_full, learn=order.learn
        )

    def _provider_named(self, name: str) -> Provider:
        found = next((one for one in self._around.providers() if one.name == name), None)
        if found is None:
            raise ProbeRefused(404, f"There is no provider {clean(name)[:80]}.")
        return found

    def _domain_named(self, name: str) -> Domain:
        found = next((one for one in self._around.domains() if one.name.lower() == name.lower()), None)
        if found is None:
            raise ProbeRefused(404, f"There is no domain {clean(name)[:80]}.")
        return found

    async def _provider(self, question: ProviderQuestion) -> tuple[Said, Facts, Prediction | None]:
        facts = await ProviderLook(self._around, question).all()
        return sentences.of_provider(facts), attrs.asdict(facts), None

    async def _domain(self, domain: Domain, question: ProviderQuestion) -> tuple[Said, Facts, Prediction | None]:
        provider = await ProviderLook(self._around, question).all()
        facts = await look_at_domain(self._around, domain, provider)
        return sentences.of_domain(facts), attrs.asdict(facts), facts.prediction

    async def _phone(self, name: str) -> tuple[Said, Facts, Prediction | None]:
        phones = await look_at_phone(self._around, name)
        said = sentences.of_phone(name.removeprefix("sip:"), phones)
        return said, {"phones": [attrs.asdict(one) for one in phones]}, None

    async def _uri(self, uri: str, order: ProbeOrder) -> tuple[Said, Facts, Prediction | None]:
        barred = None if order.may_go_anywhere else self._around.own_hosts()
        domain = attrs.evolve(_URI, security=Security.PREFERRED)
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix="probe-", suffix=".pem") as file:
            file.write(order.trust.encode())
            file.flush()
            trust = Path(file.name) if order.trust else SYSTEM_TRUST
            provider = Provider(uri, uri, trust=trust)
            question = ProviderQuestion(provider, (domain,), is_full=order.is_full, looks_in_clear=False)
            facts = await ProviderLook(self._around, question, barred).all()
        return sentences.of_provider(facts), attrs.asdict(facts), None

    def _done(self, found: tuple[Said, Facts, Prediction | None], job: ProbeJob) -> None:
        said, facts, job.prediction = found
        self._end(job, said.result, said.sentence, facts)

    def _failed(self, failure: Failure, job: ProbeJob) -> None:
        if failure.check(TimeoutError):
            sentence = f"The probe was not done within {DEADLINE:.0f} s."
        elif failure.check(Barred, MalformedMessage):
            sentence = clean(failure.getErrorMessage())
        elif failure.check(CancelledError):
            sentence = "The probe was ended with the gateway."
        else:
            sentence = "The probe failed by a mistake of the gateway; its log says more."
            log.failure("a probe of {kind} {name} failed", failure=failure, kind=job.kind, name=job.name)
        self._end(job, ProbeResult.FAILED, sentence, {})

    def _end(self, job: ProbeJob, result: ProbeResult, sentence: str, facts: Facts) -> None:
        self._running.pop(job.id, None)
        job.ended_at, job.result, job.sentence, job.facts = self._around.wall(), result, clean(sentence), facts
        self._counter.labels(str(job.kind), str(result)).inc()
        job.tell()


def _under(domain: Domain, order: ProbeOrder) -> Domain:
    """A domain, under the policy that an order about it names."""
    if order.security is None or domain.name.lower() != order.name.lower():
        return domain
    return attrs.evolve(domain, security=order.security)
