"""The outlook of a whole domain under a policy that it may have yet: its provider probed, each phone judged by it.

    Domain with the policy -> Probes (a probe of the domain) -> DomainOutlook.of(binding) -> CallOutlook
                                                             -> Reckoning: how many, why -> result, sentence

A probe of the same domain under the same policy, of a moment ago, serves again. Not here: the choice of phones
(admin/enablement), one phone (call_outlook.py).
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import attrs

from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.found import PhoneFacts
from gateway.b2bua.probe.jobs.probe_order import ProbeKind, ProbeOrder
from gateway.b2bua.probe.outlook.call_outlook import CallOutlook, PhoneLeg, call_outlook, has_shown_clear
from gateway.b2bua.probe.phone_look import leg_of, remembered_phone
from gateway.b2bua.probe.prediction import Prediction
from gateway.b2bua.probe.probes import ProbeJob, Probes
from gateway.b2bua.probe.sentences import ProbeResult
from gateway.config.model import Domain, PhonesSecurity
from gateway.registrar.binding import Binding
from gateway.security.policy.peer_memory import Peer
from gateway.security.policy.verdict import Verdict

UNKNOWN: Final = "unknown"
"""In place of a verdict that nobody knows."""


@attrs.frozen
class DomainOutlook:
    """A domain's calls as they would be."""

    domain: Domain
    """With the policy that it would have."""
    job: ProbeJob
    """The probe of its provider."""
    around: Around

    @property
    def provider(self) -> Prediction | None:
        """The verdict that its provider's leg leads to; None where the probe failed."""
        return self.job.prediction

    @property
    def provider_words(self) -> str:
        """The provider's part in a sentence."""
        found, calls = self.provider, f"With security {self.domain.security} calls of {self.domain.name}"
        if found is None:
            return self.job.sentence
        why = f" ({found.text})" if found.text else ""
        if not found.is_known:
            return f"{calls} may be encrypted or not{why}."
        reason = f", {found.reason}" if found.reason else ""
        return f"{calls} will be {found.verdict}{reason}{why}."

    def of(self, binding: Binding) -> CallOutlook:
        """The outlook of one phone's calls. Nothing is sent."""
        return call_outlook(self.provider, self._leg(binding))

    def is_short(self, binding: Binding) -> bool:
        """Whether a phone is over TLS already, and showed that it takes no SRTP."""
        return has_shown_clear(self._leg(binding), is_tls=binding.came_over.transport.is_secure)

    def _leg(self, binding: Binding) -> PhoneLeg:
        standing, why = leg_of(binding, self.around.memory)
        is_clear = not binding.came_over.transport.is_secure
        is_refused = is_clear and self.domain.phones_security is PhonesSecurity.REQUIRED
        return PhoneLeg(standing, why, is_refused and self.around.memory.is_led(Peer(binding.aor)))


@attrs.define
class Reckoning:
    """The phones of an outlook, counted while they are looked at."""

    leads_phones: bool
    """Whether their own leg is to be encrypted as well."""
    verdicts: Counter[str] = attrs.field(factory=Counter)
    reasons: Counter[str] = attrs.field(factory=Counter)
    short: int = 0
    """Phones over TLS that are known to take no SRTP."""

    def add(self, call: CallOutlook, *, is_short: bool) -> None:
        """One more phone."""
        self.verdicts[call.verdict or UNKNOWN] += 1
        if call.reason:
            self.reasons[call.reason] += 1
        self.short += is_short

    def result(self, outlook: DomainOutlook) -> ProbeResult:
        """As wanted, not, or nobody can tell: by the provider's leg, and the phones' where they are to be led."""
        provider = outlook.provider
        if provider is None or outlook.job.result is ProbeResult.FAILED:
            return ProbeResult.FAILED
        is_bad = provider.is_known and not provider.is_encrypted
        if is_bad or self.verdicts[Verdict.REFUSED] or (self.leads_phones and self.short):
            return ProbeResult.NOT
        left = self.verdicts.total() - self.verdicts[Verdict.ENCRYPTED]
        is_open = not provider.is_known or (self.leads_phones and left)
        return ProbeResult.UNKNOWN if is_open else ProbeResult.AS_WANTED

    def sentence(self, outlook: DomainOutlook) -> str:
        """The same in plain words, after those of the probe."""
        number = self.verdicts.total()
        if not number:
            return "No phone of it is registered that this is about."
        told = ", ".join(f"{self.verdicts[one]} {one}" for one in (*Verdict, UNKNOWN) if self.verdicts[one])
        said = f"Calls of its {number} phones: {told}."
        if self.leads_phones and self.short:
            said += f" {self.short} of them are over TLS and took no SRTP in their last call."
        left = number - self.verdicts[Verdict.ENCRYPTED]
        if self.leads_phones and left and outlook.provider is not None and outlook.provider.is_encrypted:
            said += f" Whether {left} of them come to ENCRYPTED, their first call over TLS shows."
        return said


class Outlooks:
    """Makes outlooks, of domains and of single phones."""

    def __init__(self, probes: Probes, around: Around) -> None:
        self._probes = probes
        self._around = around

    async def look(self, domain: Domain) -> DomainOutlook:
        """The outlook of a domain under the policy that it has here. Raises ProbeRefused."""
        order = ProbeOrder(ProbeKind.DOMAIN, domain.name, security=domain.security)
        job = await self._probes.done(order)
        return DomainOutlook(domain, job, self._around)

    def phone(self, binding: Binding) -> PhoneFacts:
        """A registration by all that is known of it. Nothing is sent."""
        return remembered_phone(self._around, binding)

    def leg(self, binding: Binding) -> tuple[str, str]:
        """How a phone's own leg is, be it reachable now or not, and why."""
        return leg_of(binding, self._around.memory)
