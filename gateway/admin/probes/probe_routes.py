"""The API of probes: one is ordered, and its result is asked for until it is there.

    POST /api/v1/probes            {"kind": "provider", "target": "main"}      202 with its id
    GET  /api/v1/probes            those that are kept, in short
    GET  /api/v1/probes/{id}       one, with all facts
    GET  /api/v1/probes/history    those of `probe_hours`, the latest first

Each order is in the audit. An operator's URI may not lead to this machine; an admin's may. Not
here: the work (b2bua/probe), the page (probe_pages.py).
"""

from __future__ import annotations

from typing import Final

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Caller, Role, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Moment, read_change, read_query, said
from gateway.admin.v1.questions import Nothing
from gateway.admin.v1.resources import sent
from gateway.b2bua.probe.jobs.probe_order import ProbeKind, ProbeOrder, ProbeRefused
from gateway.b2bua.probe.jobs.regular_probes import PastProbe, RegularProbes
from gateway.b2bua.probe.probes import ProbeJob, Probes
from gateway.config.model import Security
from gateway.state.audit import AuditLog

PATH: Final = f"{PREFIX}probes"
RUNNING: Final = "running"


@attrs.frozen
class ProbeChange:
    """A probe that is wanted."""

    kind: ProbeKind = said("Of the target.")
    target: str = said("The name of a provider or domain, a phone's address of record, or a SIP URI.")
    call: str = said("A number to call, such as an echo; nobody is called without.", "")
    user: str = said("The address of record to ask as, whose password the gateway holds.", "")
    full: bool = said("Whether each cipher is tried, and the number is called in clear, too.", False)
    learn: bool = said("Whether TLS and SRTP that are seen are remembered.", False)
    security: Security | None = said("For a domain: the policy that it would have; left out: its own.", None)
    trust: tuple[str, ...] = said("For a URI: the lines of a PEM file of authorities; none: the system's.", ())


@attrs.frozen
class ProbeAnswer:
    """A probe in short."""

    id: str
    kind: str
    target: str
    began_at: Moment
    ended_at: Moment | None
    result: str = said("running, as_wanted, not, unknown or failed.")
    sentence: str = said("The result in plain words.")


@attrs.frozen
class WholeProbe(ProbeAnswer):
    """A probe with all its facts."""

    facts: dict[str, object] = said("All that was found; empty while it runs.")


@attrs.frozen
class PastProbesQuery:
    """The regular probes that are wanted."""

    provider: str | None = said("The name of a provider; left out: all.", None)
    limit: int = said("Probes in the answer.", 50, 1, 500)


@attrs.frozen
class PastProbeAnswer:
    """A regular probe of a provider."""

    provider: str
    at: Moment
    result: str = said("as_wanted, not, unknown or failed.")
    sentence: str = said("The same in plain words.")
    verdicts: dict[str, str] = said("The verdict that calls would get, by domain and policy.")
    change: str = said("none, doubted (worse, to be confirmed), worse or better than before.")


class ProbeRoutes:
    """The routes, and the order that pages share."""

    def __init__(self, probes: Probes, regular: RegularProbes, audit: AuditLog) -> None:
        self.probes = probes
        self.regular = regular
        self._audit = audit

    def routes(self) -> tuple[HttpRoute, ...]:
        """Those of the API."""
        one, many, past = WholeProbe, tuple[ProbeAnswer, ...], tuple[PastProbeAnswer, ...]
        return (
            HttpRoute("POST", PATH, self.begin, Role.OPERATOR, change=ProbeChange, schema=ProbeAnswer),
            HttpRoute("GET", PATH, self.all, Role.VIEWER, query=Nothing, schema=many),
            HttpRoute("GET", f"{PATH}/history", self.history, Role.VIEWER, query=PastProbesQuery, schema=past),
            HttpRoute("GET", f"{PATH}/{{identifier}}", self.one, Role.VIEWER, query=Nothing, schema=one),
        )

    def begin(self, request: IRequest) -> bytes:
        """Look at a provider, phone, domain or URI by the means of calls: the verdict that a call would get."""
        job = self.ordered(read_change(ProbeChange, request), caller_of(request))
        request.setResponseCode(202)
        return sent(request, attrs.asdict(short(job)))

    def all(self, request: IRequest) -> bytes:
        """The probes that are kept, the latest first."""
        read_query(Nothing, request, 0)
        return sent(request, [attrs.asdict(short(job)) for job in self.probes.latest()])

    def history(self, request: IRequest) -> bytes:
        """The probes of providers that were made by themselves (`probe_hours`), the latest first."""
        wanted = read_query(PastProbesQuery, request, 0)
        return sent(
            request, [attrs.asdict(past_row(one)) for one in self.regular.latest(wanted.provider or "", wanted.limit)]
        )

    def one(self, request: IRequest, identifier: str) -> bytes:
        """One probe, with all its facts."""
        read_query(Nothing, request, 0)
        job = self.named(identifier)
        return sent(request, {**attrs.asdict(short(job)), "facts": job.facts})

    def named(self, identifier: str) -> ProbeJob:
        """A probe that is kept. Raises Rejected."""
        job = self.probes.job(identifier)
        if job is None:
            raise Rejected(404, "There is no such probe, or not any more.")
        return job

    def ordered(self, change: ProbeChange, caller: Caller) -> ProbeJob:
        """Begin a probe, with an entry in the audit. Raises Rejected."""
        order = ProbeOrder(
            change.kind,
            change.target,
            change.call,
            change.user,
            is_full=change.full,
            learn=change.learn,
            trust="\n".join(change.trust),
            security=change.security,
            may_go_anywhere=caller.role >= Role.ADMIN,
        )
        try:
            job = self.probes.begin(order)
        except ProbeRefused as refused:
            raise Rejected(refused.status, str(refused)) from None
        details = {"called": change.call, "user": change.user}
        told = {key: value for key, value in details.items() if value}
        self._audit.write(caller.author, "probe", kind=str(change.kind), peer=job.name, learn=change.learn, **told)
        return job


def past_row(past: PastProbe) -> PastProbeAnswer:
    """A regular probe in a line."""
    return PastProbeAnswer(past.provider, Moment(past.at), past.result, past.sentence, dict(past.verdicts), past.change)


def short(job: ProbeJob) -> ProbeAnswer:
    """A probe in short."""
    return ProbeAnswer(
        job.id,
        str(job.kind),
        job.name,
        Moment(job.began_at),
        None if job.ended_at is None else Moment(job.ended_at),
        RUNNING if job.result is None else str(job.result),
        job.sentence,
    )
