"""A provider looked at, from DNS to the verdicts of calls.

    DNS -> targets in the order of calls -> over TLS, in clear -> digest -> calls -> SeenOutcomes -> predict

Not here: one target (target_look.py), one call (trial_call.py), outcomes (seen_outcomes.py), the walk through the
policy (prediction.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from gateway.b2bua.probe import requests
from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.found import CallFacts, DigestFacts, DnsAnswer, DomainRow, PolicyRow, ProviderFacts, told
from gateway.b2bua.probe.prediction import AttemptOutcome, Prediction, predict
from gateway.b2bua.probe.remarks import barred_place, remarks
from gateway.b2bua.probe.requests import Teller
from gateway.b2bua.probe.roads import FlowRoad, Road, TrialRoad
from gateway.b2bua.probe.seen_outcomes import Key, SeenOutcomes, memory_words
from gateway.b2bua.probe.target_look import Looked, TargetLook
from gateway.b2bua.probe.trial_call import TrialCall
from gateway.config.model import Domain, Provider, Security, Side, Signalling
from gateway.media.relay import Encryption, SdpWish
from gateway.routing.locate import NotFound
from gateway.security.policy.peer_memory import Feature, Peer
from gateway.security.policy.terms import CallTerms
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.flow import Target, TlsTerms, Transport, TransportFailure
from gateway.transport.stream.trial import TrialFailed

MOST_TARGETS: Final = 4
"""Targets over TLS that are looked at, and as many in clear: calls try the first ones, too."""
MOST_CALLS: Final = 3
"""The policy knows no more ways to try a call."""


@attrs.frozen
class ProviderQuestion:
    """The look that is wanted."""

    provider: Provider
    domains: tuple[Domain, ...]
    """Those that it serves, or an unnamed one for a URI."""
    number: str = ""
    """To be called; empty: nobody is."""
    user: str = ""
    """The user to ask as; empty: nobody."""
    user_domain: str = ""
    is_full: bool = False
    """Whether single ciphers are tried, and the number is called in clear, too."""
    learn: bool = False
    """Whether TLS and SRTP that were seen are remembered."""
    looks_in_clear: bool = True
    """Whether the places in clear are looked at."""


class Barred(Exception):
    """A target that may not be connected to; the text says why."""


class ProviderLook:
    """One look at one provider."""

    def __init__(self, around: Around, question: ProviderQuestion, barred: frozenset[str] | None = None) -> None:
        """``barred`` are addresses of ours that may not be connected to, with all of this machine; None: all may."""
        self._around = around
        self._question = question
        self._barred = barred
        provider = question.provider
        host = Uri.parse(provider.uri).host
        domain = question.user_domain or (question.domains[0].name if question.domains else host)
        self._teller = Teller(host, question.user, domain)
        self._target_look = TargetLook(around, self._teller, question.is_full)
        self._terms = TlsTerms.of(provider)
        self._peer = Peer.of(provider)

    async def all(self) -> ProviderFacts:
        """Everything. Raises Barred."""
        findings = SeenOutcomes({}, {}, self._around.memory.seen(self._peer), self._around.wall())
        try:
            dns = [await self._find(Signalling.TLS, findings)]
            if self._question.looks_in_clear:
                dns.append(await self._find(Signalling.CLEAR, findings))
            digest = await self._digest(findings)
            calls = await self._calls(findings)
        finally:
            for one in findings.looked.get(Signalling.TLS, ()):
                one.close()
        if self._question.learn:
            self._learn(findings)
        return self._facts(findings, dns, digest, calls)

    async def _find(self, signalling: Signalling, findings: SeenOutcomes) -> tuple[DnsAnswer, ...]:
        """Locate the targets of that signalling and look at them; the answers of DNS that led there."""
        place = self._question.provider.uri_for(signalling)
        if place is None:
            return ()
        uri = Uri.parse(place)
        try:
            targets = await self._around.locator.locate(uri)
        except NotFound as nowhere:
            findings.lost[signalling] = nowhere.failure
            return self._dns(uri)
        is_tls = signalling is Signalling.TLS
        wanted = [one for one in targets if (one.transport is Transport.TLS) is is_tls]
        self._judge(wanted)
        looked: list[Looked] = []
        findings.looked[signalling] = looked
        for target in self._around.health.order(wanted)[:MOST_TARGETS]:
            look = self._target_look
            looked.append(await (look.over_tls(target, self._terms) if is_tls else look.in_clear(target)))
        return self._dns(uri)

    def _dns(self, uri: Uri) -> tuple[DnsAnswer, ...]:
        return tuple(
            DnsAnswer(one.kind, told(one.name), tuple(map(told, one.values)), one.seconds)
            for one in self._around.locator.known(uri)
        )

    def _judge(self, targets: Sequence[Target]) -> None:
        for target in targets:
            reason = None if self._barred is None else barred_place(target.address.host, self._barred)
            if reason:
                raise Barred(f"{target.name} leads to {target.address}, {reason}: only an admin may have it asked")

    async def _digest(self, findings: SeenOutcomes) -> DigestFacts | None:
        """A REGISTER that changes nothing, to see the challenge, and whether the password held here is right."""
        teller = self._teller
        if not teller.user:
            return None
        way = findings.way(Signalling.TLS)
        if isinstance(way, TransportFailure) or way.road is None:
            return DigestFacts(teller.user, 0, (), "not asked", "nobody is asked for a password but over verified TLS")
        password = self._password
        request = requests.query(teller, self._around.new_token)
        heard = await way.road.ask(request)
        if heard.response is None:
            why = "no answer" if heard.failure is None else told(heard.failure.reason)
            return DigestFacts(teller.user, 0, (), "not asked", why)
        status = heard.response.status
        challenge = requests.challenged(heard.response, teller.realms)
        if challenge is None:
            return DigestFacts(teller.user, status, (), "not asked", "it wanted no password")
        found = DigestFacts(teller.user, status, tuple(map(told, challenge.algorithms)), "not asked", "")
        if password is None:
            return attrs.evolve(found, password="none", why="no password of this user is held here")  # noqa: S106
        new_token = self._around.new_token
        credentials = requests.credentials_for(request, challenge, teller.user, password, new_token)
        if credentials is None:
            return attrs.evolve(found, why=told(challenge.why_not))
        return await self._tried(found, way.road, requests.again(request, credentials))

    @property
    def _password(self) -> str | None:
        teller = self._teller
        return self._around.password_of(teller.domain, teller.user) if teller.user else None

    async def _tried(self, found: DigestFacts, road: Road, request: Request) -> DigestFacts:
        heard = await road.ask(request)
        if heard.response is None:
            return attrs.evolve(found, why="no answer to the REGISTER with the password")
        status = heard.response.status
        result = "wrong" if status in (401, 403, 407) else "right" if 200 <= status < 300 else "not known"
        return attrs.evolve(found, status=status, password=result, why=told(heard.response.reason))

    async def _calls(self, findings: SeenOutcomes) -> tuple[CallFacts, ...]:
        """The calls that are made under the policies in force, or with --full under all three, each of them once: the
        number rings no oftener than it must."""
        made: list[CallFacts] = []
        if not self._question.number:
            return ()
        for terms in self._all_terms() if self._question.is_full else self._terms_in_force():
            while (wanted := self._wanted(terms, findings)) is not None and len(made) < MOST_CALLS:
                outcome, facts = await self._call(wanted, findings)
                findings.calls[wanted] = outcome
                if facts is not None:
                    made.append(facts)
        return tuple(made)

    def _wanted(self, terms: CallTerms, findings: SeenOutcomes) -> Key | None:
        """The first attempt on the way to a verdict that a call can show and none has."""
        keys: list[Key] = []

        def outcomes(signalling: Signalling, encryption: Encryption) -> AttemptOutcome | None:
            keys.append((signalling, encryption))
            return findings.outcome(signalling, encryption)

        predict(terms, self._around.memory.known(self._peer), outcomes)
        return next((key for key in keys if key not in findings.calls and self._may_call(key, findings)), None)

    def _may_call(self, key: Key, findings: SeenOutcomes) -> bool:
        is_reached = not isinstance(findings.way(key[0]), TransportFailure)
        return is_reached and (key[0] is Signalling.TLS or self._question.is_full)

    async def _call(self, key: Key, findings: SeenOutcomes) -> tuple[AttemptOutcome | None, CallFacts | None]:
        way, provider = findings.way(key[0]), self._question.provider
        if isinstance(way, TransportFailure) or way.target is None:
            return None, None
        call = TrialCall(self._around, self._teller, self._question.number, self._password)
        wish = SdpWish(Side.PROVIDER, key[1], provider.suites, takes_clear=True)
        if key[0] is Signalling.CLEAR:
            flow = self._around.transport.flow_to(way.target, Side.PROVIDER)
            called = await call.make(FlowRoad(flow, self._around.transactions, self._around.clock), wish)
            return called.outcome, called.facts
        try:
            trial = await self._around.trials.open(way.target, self._terms)
        except TrialFailed as failed:
            return AttemptOutcome(failed.failure.kind, cause=failed.failure.reason), None
        try:
            road = TrialRoad(trial, str(way.target.address), self._around.clock, self._around.new_token)
            called = await call.make(road, wish)
        finally:
            trial.close()
        return called.outcome, called.facts

    def _all_terms(self) -> tuple[CallTerms, ...]:
        """The terms under each policy."""
        domain = self._question.domains[0]
        return tuple(
            CallTerms.of(attrs.evolve(domain, security=policy), self._question.provider) for policy in Security
        )

    def _terms_in_force(self) -> tuple[CallTerms, ...]:
        provider = self._question.provider
        return tuple(dict.fromkeys(CallTerms.of(domain, provider) for domain in self._question.domains))

    def _learn(self, findings: SeenOutcomes) -> None:
        way = findings.way(Signalling.TLS)
        if not isinstance(way, TransportFailure) and way.has_answered:
            self._around.memory.saw(self._peer, Feature.TLS, did=True)
            calls = findings.calls.items()
            if any(one and one.encrypted and key[0] is Signalling.TLS for key, one in calls):
                self._around.memory.saw(self._peer, Feature.SRTP, did=True)

    def _facts(
        self,
        findings: SeenOutcomes,
        dns: Sequence[tuple[DnsAnswer, ...]],
        digest: DigestFacts | None,
        calls: tuple[CallFacts, ...],
    ) -> ProviderFacts:
        provider, known = self._question.provider, self._around.memory.known(self._peer)
        rows = [PolicyRow(str(terms.security), predict(terms, known, findings.outcome)) for terms in self._all_terms()]
        lost = findings.lost.get(Signalling.TLS)
        facts = ProviderFacts(
            provider.name,
            provider.uri,
            tuple(dict.fromkeys(answer for answers in dns for answer in answers)),
            "" if lost is None else told(lost.reason),
            tuple(one.facts for one in findings.looked.get(Signalling.TLS, ())),
            tuple(one.facts for one in findings.looked.get(Signalling.CLEAR, ())),
            memory_words(findings.sightings),
            digest,
            calls,
            tuple(rows),
            tuple(self._domain_row(domain, findings) for domain in self._question.domains if domain.name),
            (),
        )
        return attrs.evolve(facts, remarks=remarks(facts, provider))

    def _domain_row(self, domain: Domain, findings: SeenOutcomes) -> DomainRow:
        return DomainRow(domain.name, str(domain.security), self._prediction(domain, findings))

    def _prediction(self, domain: Domain, findings: SeenOutcomes) -> Prediction:
        terms = CallTerms.of(domain, self._question.provider)
        return predict(terms, self._around.memory.known(self._peer), findings.outcome)
