"""Who is let in from the provider's side: proved by the access list first, then challenged where the domain says so.

Here: the order of both, for every domain. Not here: the proof (acl.py), the challenge (authenticator.py), requests
within dialogs (their tags prove them), answering and routing (gateway/core.py).

    request -> is its sender of the domain's peers? no: dropped, unanswered -> is its method challenged? -> its password

A scanner learns nothing from silence, and nobody unproved makes the gateway compute a digest or send a byte. Who is
proved but keeps guessing passwords is dropped too, once its failures are more than a slip; a right one always counts.
"""

from collections.abc import Callable, Iterable

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from gateway.config import Configuration, Domain, Provider
from gateway.security.acl import AccessList, AccessResolver, Resolve, Resolved
from gateway.security.authenticator import Authenticator, WrongCredentials
from gateway.security.credentials import Passwords
from gateway.security.rate import Rate, RateLimit
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.flow import Flow, Target, Transport
from gateway.transport.locate import Locator

log = Logger()

ANSWER_LIFETIME = 60.0
"""Seconds that addresses count as new; the locator keeps each DNS answer for its own TTL."""
WRONG_ANSWERS = Rate(per_second=0.2, burst=20)
"""Wrong passwords of one source before it is dropped."""


@attrs.frozen
class _Guarded:
    """One domain as seen from outside."""

    access: AccessList
    challenged: frozenset[str]
    passwords: Passwords


class DomainAdmission:
    """Admits requests from the provider's side. ``now`` gives seconds since the epoch."""

    def __init__(
        self, configuration: Configuration, authenticator: Authenticator, resolve: Resolve, now: Callable[[], float]
    ) -> None:
        """Raises CredentialsError for a domain's file of passwords that cannot be used."""
        providers = {provider.name: provider for provider in configuration.providers}
        self._domains = {item.name.lower(): _guarded(item, providers[item.provider]) for item in configuration.domains}
        self._authenticator = authenticator
        self._wrong = RateLimit(WRONG_ANSWERS)
        self._resolver = AccessResolver((item.access for item in self._domains.values()), resolve, now)
        self._now = now

    def refresh(self) -> None:
        """Resolve the names that are due; to be called at the start and every few seconds."""
        self._resolver.refresh()

    def admit(self, request: Request, flow: Flow, domain: str) -> bool:
        """True when the request may go on; False drops it without an answer. Raises Refused 400 or 401."""
        guarded = self._domains.get(domain.lower())
        if guarded is None:
            return False
        proof = guarded.access.proof(flow.remote.host, flow.identity, self._now())
        if proof is None:
            said = {"method": request.method, "source": flow.remote, "domain": domain}
            log.info("a {method} from {source} is dropped: no peer of {domain}", **said)
            return False
        log.debug("{source} is {name} by {kind}", source=flow.remote, name=proof.name, kind=proof.kind)
        return request.method not in guarded.challenged or self._is_authentic(request, flow, domain, guarded)

    def _is_authentic(self, request: Request, flow: Flow, domain: str, guarded: _Guarded) -> bool:
        """True when a password is proved, False when this source has guessed too often; else Refused."""
        try:
            self._authenticator.authenticate(request, domain, guarded.passwords.of, self._now())
        except WrongCredentials:
            if not self._wrong.allows(flow.remote.host, self._now()):
                log.warn("{source} keeps sending wrong passwords for {domain}", source=flow.remote, domain=domain)
                return False
            raise
        return True


def resolver_of(locator: Locator) -> Resolve:
    """Resolves a name to every address that RFC 3263 gives for it, over any transport."""

    def resolve(name: str) -> Deferred[Resolved]:
        uri = Uri(host=name)
        questions = [locator.locate(uri.with_parameter("transport", transport.value)) for transport in Transport]
        return DeferredList([*questions, locator.locate(uri)], consumeErrors=True).addCallback(_all_found)

    return resolve


def _all_found(results: Iterable[tuple[bool, list[Target]]]) -> Resolved:
    """What any of the questions found; nothing at all counts as a failure of DNS."""
    found = [target.address.host for succeeded, targets in results if succeeded for target in targets]
    return Resolved(tuple(dict.fromkeys(found)), ANSWER_LIFETIME)


def _guarded(domain: Domain, provider: Provider) -> _Guarded:
    """A domain without Restricted Access Domains takes requests from its provider's own hosts."""
    uris = [uri for uri in (provider.uri, provider.fallback_uri) if uri]
    names = domain.restricted_access_domains or tuple(Uri.parse(uri).host for uri in uris)
    passwords = Passwords.load(domain.credentials) if domain.credentials is not None else Passwords({})
    return _Guarded(AccessList(names), frozenset(domain.challenge), passwords)
