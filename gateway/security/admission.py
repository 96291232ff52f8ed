"""Admission from the provider's side: by the access list first, then by a challenge where the domain says so.

Here: the order of both, for every domain. Not here: the proof (access_list.py), the challenge (authenticator.py),
requests within dialogs (their tags prove them), answering and routing (gateway/ingress).

    request -> is its sender of the domain's peers? no: dropped, unanswered -> is its method challenged? -> its password

Ingress asks `knows` before the transactions, so that a stranger's request does not even make one, and `admit` for the
domain that the request turns out to be for.

A scanner learns nothing from silence, and nobody unproved makes the gateway compute a digest or send a byte. A
proved sender that keeps guessing passwords is dropped too, once its failures are more than a slip; a right one always
counts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import attrs
from twisted.logger import Logger

from gateway.base.rate import Rate, RateLimit
from gateway.config.model import Configuration, Domain, Provider
from gateway.observe.figures import Sample
from gateway.observe.line_limit import LineLimit
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind, Observations
from gateway.security.access_list import AccessList, AccessResolver, Proof, Resolve, canonical_name
from gateway.security.authenticator import Authenticator, PasswordAsked, StaleCredentials, WrongCredentials
from gateway.security.credentials import Passwords
from gateway.security.vouching import Vouching, vouching_for
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.arrival import seen_in
from gateway.transport.flow import Flow

log = Logger()

ANSWER_LIFETIME = 60.0
"""Seconds that addresses count as new; the locator keeps each DNS answer for its own TTL."""
HOUR = 3600.0
WRONG_ANSWERS = Rate(per_second=0.2, burst=20)
"""Wrong passwords of one source before it is dropped."""


@attrs.frozen
class _Guarded:
    """One domain as seen from outside."""

    name: str
    access: AccessList
    challenged: frozenset[str]
    challenges_within: bool
    exempt: frozenset[str]
    algorithms: tuple[str, ...]
    passwords: Passwords


Prepared = Mapping[str, _Guarded]
"""Every domain as seen from outside, by name."""


class DomainAdmission:
    """Admits requests from the provider's side. ``now`` gives seconds since the epoch."""

    def __init__(
        self,
        configuration: Configuration,
        authenticator: Authenticator,
        resolve: Resolve,
        now: Callable[[], float],
        observations: Observations | None = None,
    ) -> None:
        """Raises CredentialsError for a domain's file of passwords that cannot be used, CertificateError for a
        provider's file of authorities."""
        self._authenticator = authenticator
        self._observations = observations or Observations()
        self._wrong = RateLimit(WRONG_ANSWERS)
        self._lines = LineLimit(now)
        self._resolve = resolve
        self._now = now
        self._domains: dict[str, _Guarded] = {}
        self._lists: tuple[AccessList, ...] = ()
        self._resolver = AccessResolver((), resolve, now)
        self._results: Counter[tuple[str, str]] = Counter()
        self.adopt(self.prepare(configuration))

    def prepare(self, configuration: Configuration) -> Prepared:
        """The domains of another configuration for `adopt`, their passwords and authorities read; raises
        CredentialsError and CertificateError."""
        providers = {provider.name: provider for provider in configuration.providers}
        # Domains with the same list share it, and its addresses stay known.
        lists = {_key(guarded.access): guarded.access for guarded in self._domains.values()}
        domains: dict[str, _Guarded] = {}
        for item in configuration.domains:
            provider = providers[item.provider]
            guarded = _guarded(item, provider, vouching_for(provider, configuration.providers))
            access = lists.setdefault(_key(guarded.access), guarded.access)
            domains[item.name.lower()] = attrs.evolve(guarded, access=access)
        for item in configuration.domains:
            if item.challenge and item.credentials is None:
                log.warn("{domain} challenges nobody: it has challenge, but no credentials", domain=item.name)
        return domains

    def adopt(self, prepared: Prepared) -> None:
        """Go by these domains from now on."""
        self._domains = dict(prepared)
        self._lists = tuple({id(item.access): item.access for item in prepared.values()}.values())
        self._resolver = AccessResolver(self._lists, self._resolve, self._now)

    def refresh(self) -> None:
        """Resolve the names that are due; to be called at the start and every few seconds."""
        self._resolver.refresh()

    def addresses(self) -> set[str]:
        """The addresses that the names of all lists lead to now."""
        return {address for access in self._lists for address in access.addresses(self._now())}

    def password_of(self, domain: str, user: str) -> str | None:
        """The password of a domain's user, where the domain has credentials."""
        guarded = self._domains.get(domain.lower())
        return None if guarded is None else guarded.passwords.of(user)

    def weak_passwords(self) -> dict[str, tuple[int, int, int, int]]:
        """How many passwords of each domain with a file of them are weak (`Passwords.weak`), by name in lower case."""
        return {name: one.passwords.weak() for name, one in self._domains.items() if len(one.passwords)}

    def figures(self) -> Iterator[Sample]:
        """Requests that were asked for a password, by domain and result, since the start."""
        for (domain, result), number in self._results.items():
            yield Metrics.challenges, (domain, result), number

    def knows(self, flow: Flow) -> bool:
        """Whether the sender is proved to be a peer of any domain."""
        return any(self._proof(flow, access) is not None for access in self._lists)

    def served_by(self, flow: Flow) -> tuple[str, ...]:
        """The domains that the sender is proved to be a peer of, in lower case."""
        proofs = {id(access): self._proof(flow, access) for access in self._lists}
        return tuple(name for name, one in self._domains.items() if proofs[id(one.access)] is not None)

    def proof_of(self, flow: Flow, domain: str) -> Proof | None:
        """How the sender is a peer of the domain; None: it is none."""
        guarded = self._domains.get(domain.lower())
        return None if guarded is None else self._proof(flow, guarded.access)

    def admit(self, request: Request, flow: Flow, domain: str) -> Proof | None:
        """How the sender is a peer of the domain; None drops the request without an answer. Raises Refused 400, 401."""
        guarded, proof = self._domains.get(domain.lower()), self.proof_of(flow, domain)
        if guarded is None or proof is None:
            if (more := self._lines.more(flow.source)) is not None:
                said = {"method": request.method, "source": flow.remote, "domain": domain, "more": more}
                log.info("a {method} from {source} is dropped: no peer of {domain}{more}", **said)
            return None
        log.debug("{source} is {name} by {kind}", source=flow.remote, name=proof.name, kind=proof.kind)
        is_challenged = request.method in guarded.challenged and proof.name not in guarded.exempt
        if is_challenged and not self._is_authentic(request, flow, domain, guarded):
            return None
        return proof

    def prove_caller(self, request: Request, domain: str, user: str) -> bool:
        """Whether a phone's request proves the password of that user, its caller; False where the gateway does not
        know that, and so cannot tell. Raises Refused 400, and PasswordAsked, which is to be counted as a
        provider's challenge is (guesses.py)."""
        guarded = self._domains.get(domain.lower())
        password = None if guarded is None else guarded.passwords.of(user)
        if guarded is None or password is None:
            return False
        try:
            self._authenticator.authenticate(
                request, domain, lambda named: password if named == user else None, self._now(), guarded.algorithms
            )
        except Refused as refused:
            self._results[guarded.name, _result(refused)] += 1
            if refused.status != 401:
                raise
            raise PasswordAsked(401, "", refused.headers) from None
        self._results[guarded.name, "right"] += 1
        return True

    def admit_within(self, request: Request, flow: Flow, domain: str) -> bool:
        """Whether a request within a call of the domain may go on; False drops it without an answer. Raises Refused.

        Its tags prove that it is of the call's peer. Where the domain says so, its password is asked for all the same.
        """
        guarded = self._domains.get(domain.lower())
        if guarded is None or not guarded.challenges_within or request.method not in guarded.challenged:
            return True
        proof = self._proof(flow, guarded.access)
        is_exempt = proof is not None and proof.name in guarded.exempt
        return is_exempt or self._is_authentic(request, flow, domain, guarded)

    def _proof(self, flow: Flow, access: AccessList) -> Proof | None:
        return access.proof(flow.remote.host, flow.identity, self._now())

    def _is_authentic(self, request: Request, flow: Flow, domain: str, guarded: _Guarded) -> bool:
        """True when a password is proved, False when this source has guessed too often; else Refused."""
        try:
            self._authenticator.authenticate(request, domain, guarded.passwords.of, self._now(), guarded.algorithms)
        except Refused as refused:
            is_wrong = isinstance(refused, WrongCredentials)
            if is_wrong and self._observations.is_on:
                self._observations.note(seen_in(Kind.DIGEST_FAILED, flow, request, is_proved=flow.is_reliable))
            if not is_wrong or self._wrong.allows(flow.remote.host, self._now()):
                self._results[guarded.name, _result(refused)] += 1
                raise
            self._results[guarded.name, "dropped"] += 1
            if (more := self._lines.more(flow.source)) is not None:
                said = {"source": flow.remote, "domain": domain, "more": more}
                log.warn("{source} keeps sending wrong passwords for {domain}{more}", **said)
            return False
        self._results[guarded.name, "right"] += 1
        return True


def _result(refused: Refused) -> str:
    """The result of a challenge that proved no password, as metrics name it."""
    if isinstance(refused, WrongCredentials):
        return "wrong"
    if isinstance(refused, StaleCredentials):
        return "stale"
    return "asked" if refused.status == 401 else "unreadable"


def _key(access: AccessList) -> tuple[object, ...]:
    return access.names, access.keep, access.vouching


def _guarded(domain: Domain, provider: Provider, vouching: Vouching) -> _Guarded:
    """A domain without Restricted Access Domains takes requests from its provider's own hosts."""
    names = domain.restricted_access_domains or tuple(Uri.parse(uri).host for uri in provider.uris)
    access = AccessList(names, domain.restricted_access_keep_hours * HOUR, vouching)
    passwords = Passwords({}) if domain.credentials is None else Passwords.load(domain.credentials)
    challenged = frozenset(domain.challenge if domain.credentials is not None else ())
    exempt = frozenset(canonical_name(name) for name in domain.challenge_exempt)
    within = domain.challenge_in_dialog
    return _Guarded(domain.name, access, challenged, within, exempt, domain.challenge_algorithms, passwords)
