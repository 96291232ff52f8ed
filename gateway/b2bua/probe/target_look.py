"""One target of a provider looked at: TCP, TLS by each version, its certificate, and OPTIONS.

    target -> a handshake on the terms of calls -> OPTIONS over it              the outcome that a call meets there
           -> one by each version, on the terms of calls limited to it          versions
           -> old versions, single ciphers, an untrusted chain: bare, to tell   nothing is sent over these

Handshakes are made in turn. Not here: the order of targets and the verdict (provider_look.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from gateway.b2bua.probe import requests
from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.found import HandshakeFacts, SipFacts, TargetFacts, certificate_facts, told
from gateway.b2bua.probe.requests import Teller
from gateway.b2bua.probe.roads import AskedEnd, FlowRoad, Road, TrialRoad
from gateway.config.model import Side
from gateway.sip.headers import Headers
from gateway.transport.flow import FailureKind, Flow, Target, TlsTerms, TransportFailure
from gateway.transport.stream.trial import Limit, Shown, TrialFailed
from gateway.transport.tls.failures import lacks_our_versions

_OURS: Final = ("1.3", "1.2")
_OLD: Final = ("1.1", "1.0")
_TLS: Final = frozenset({FailureKind.CERTIFICATE, FailureKind.HANDSHAKE})
"""Failures by which a server that answered shows that it speaks TLS."""
_TCP: Final = {FailureKind.REFUSED: "refused", FailureKind.TIMEOUT: "silent", FailureKind.DNS: ""}
_VALUES: Final = 30
"""Of a field that are told."""


@attrs.frozen
class Looked:
    """A target, and the way to it where it speaks TLS and is the provider."""

    facts: TargetFacts
    failure: TransportFailure | None
    """That a call would meet."""
    target: Target | None = None
    road: Road | None = None
    close: Callable[[], None] = lambda: None
    """Lets go of the way."""

    @property
    def has_answered(self) -> bool:
        """Whether it answered OPTIONS, be it with a refusal."""
        return self.facts.sip is not None and self.facts.sip.status > 0


class TargetLook:
    """Looks at the targets of one provider."""

    def __init__(self, around: Around, teller: Teller, is_full: bool) -> None:
        self._around = around
        self._teller = teller
        self._is_full = is_full

    async def over_tls(self, target: Target, terms: TlsTerms) -> Looked:
        """All of a target over TLS. The way stays open until it is closed."""
        place = str(target.address)
        try:
            trial = await self._around.trials.open(target, terms)
        except TrialFailed as failed:
            return Looked(await self._not_open(target, terms, failed), failed.failure)
        try:
            road = TrialRoad(trial, place, self._around.clock, self._around.new_token)
            shown = trial.shown
            heard = await road.ask(requests.options(self._teller, road.contact, self._around.new_token))
            facts = self._open(target, shown)
            failure = heard.failure
            facts = attrs.evolve(
                facts,
                sip=sip_facts(heard),
                failure="" if failure is None else str(failure.kind),
                why="" if failure is None else told(failure.reason),
                versions=await self._versions(target, terms),
                ciphers=await self._ciphers(target) if self._is_full else (),
            )
            if failure is None:
                return Looked(facts, None, target, road, trial.close)
        except BaseException:
            trial.close()
            raise
        trial.close()
        return Looked(facts, failure)

    async def in_clear(self, target: Target) -> Looked:
        """A target over UDP or TCP: OPTIONS."""
        flow: Flow = self._around.transport.flow_to(target, Side.PROVIDER)
        road = FlowRoad(flow, self._around.transactions, self._around.clock)
        heard = await road.ask(requests.options(self._teller, road.contact, self._around.new_token))
        failure = heard.failure
        facts = TargetFacts(
            f"{target.transport} {target.address}",
            failure="" if failure is None else str(failure.kind),
            why="" if failure is None else told(failure.reason),
            sip=sip_facts(heard),
        )
        return Looked(facts, failure, target, road)

    def _open(self, target: Target, shown: Shown) -> TargetFacts:
        now = self._around.wall()
        return TargetFacts(
            f"{target.transport} {target.address}",
            tcp="open",
            version=shown.version,
            cipher=shown.cipher,
            wants_certificate=shown.wants_certificate,
            chain=tuple(certificate_facts(one, now) for one in shown.chain),
            chain_length=shown.length,
            verified_for=target.name,
        )

    async def _not_open(self, target: Target, terms: TlsTerms, failed: TrialFailed) -> TargetFacts:
        failure = failed.failure
        facts = TargetFacts(
            f"{target.transport} {target.address}",
            tcp=_TCP.get(failure.kind, "open"),
            failure=str(failure.kind),
            why=told(failure.reason),
            found=told(failure.found),
            wants_certificate=failed.wants_certificate,
        )
        if failure.kind not in _TLS:
            return facts
        versions = await self._versions(target, terms)
        if lacks_our_versions(failure) or not any(one.is_done for one in versions):
            versions += tuple([await self._bare(target, version) for version in _OLD])
        facts = attrs.evolve(facts, versions=versions)
        return await self._with_chain(target, facts) if failure.kind is FailureKind.CERTIFICATE else facts

    async def _versions(self, target: Target, terms: TlsTerms) -> tuple[HandshakeFacts, ...]:
        wanted = [version for version in _OURS if version >= terms.minimum]
        return tuple([await self._by(target, terms, version) for version in wanted])

    async def _by(self, target: Target, terms: TlsTerms, version: str) -> HandshakeFacts:
        try:
            trial = await self._around.trials.open(target, terms, Limit(version))
        except TrialFailed as failed:
            # A certificate that does not verify came by this version all the same.
            is_done = failed.failure.kind is FailureKind.CERTIFICATE and bool(failed.version)
            return HandshakeFacts(version, is_done, why=told(failed.failure.reason))
        cipher = trial.shown.cipher
        trial.close()
        return HandshakeFacts(version, is_done=True, cipher=cipher)

    async def _bare(self, target: Target, version: str) -> HandshakeFacts:
        try:
            trial = await self._around.trials.open(target, TlsTerms(), Limit(version, is_bare=True))
        except TrialFailed as failed:
            return HandshakeFacts(version, is_done=False, why=told(failed.failure.reason), is_ours=False)
        cipher = trial.shown.cipher
        trial.close()
        return HandshakeFacts(version, is_done=True, cipher=cipher, is_ours=False)

    async def _ciphers(self, target: Target) -> tuple[str, ...]:
        taken = []
        for cipher in self._around.trials.ciphers():
            try:
                trial = await self._around.trials.open(target, TlsTerms(), Limit(is_bare=True, cipher=cipher))
            except TrialFailed:
                continue
            taken.append(cipher)
            trial.close()
        return tuple(taken)

    async def _with_chain(self, target: Target, facts: TargetFacts) -> TargetFacts:
        """The chain of a server that was not believed, seen once more without believing it."""
        try:
            trial = await self._around.trials.open(target, TlsTerms(), Limit(is_bare=True))
        except TrialFailed:
            return facts
        shown, now = trial.shown, self._around.wall()
        trial.close()
        chain = tuple(certificate_facts(one, now) for one in shown.chain)
        return attrs.evolve(facts, chain=chain, chain_length=shown.length)


def sip_facts(heard: AskedEnd) -> SipFacts:
    """The answer to OPTIONS in clean words."""
    response = heard.response
    milliseconds = round(heard.seconds * 1000)
    if response is None:
        why = "no answer" if heard.failure is None else told(heard.failure.reason)
        return SipFacts(milliseconds=milliseconds, why=why)
    headers = response.headers
    server = headers.get("Server") or headers.get("User-Agent") or ""
    leads_to = headers.get("Contact") or "" if 300 <= response.status < 400 else ""
    return SipFacts(
        response.status,
        told(response.reason),
        milliseconds,
        told(server),
        _values(headers, "Allow"),
        _values(headers, "Supported"),
        _values(headers, "Accept"),
        bool(response.body),
        told(leads_to),
    )


def _values(headers: Headers, name: str) -> tuple[str, ...]:
    return tuple(told(value) for value in headers.values(name)[:_VALUES])
