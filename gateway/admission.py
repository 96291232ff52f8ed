"""Who may ask from the provider's side: peers of the domain's Restricted Access Domains, or else its provider.

A peer proves that it is of a domain in one of two ways: its TLS certificate was verified and is for that name, or its
address is one that the name resolves to (NAPTR, SRV, A, AAAA). Without such a proof a request is dropped and counted,
never answered: a scanner learns nothing. The last good answer of the resolver is kept while DNS fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.config import Configuration, Domain
from gateway.metrics import Metrics
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.flow import Flow, PeerIdentity, Target
from gateway.transport.locate import Locator, NotFound

log = Logger()

RESOLVE_SECONDS: Final = 60.0
"""Between two looks at the names; the locator keeps answers for their TTL."""


class ProviderAdmission:
    """Lets in who is proved to be of a domain's peers."""

    def __init__(self, configuration: Configuration, locator: Locator, clock: IReactorTime, metrics: Metrics) -> None:
        self._metrics = metrics
        self._locator = locator
        providers = {provider.name: provider for provider in configuration.providers}
        self._uris = {
            domain.name: _peers_of(domain, providers[domain.provider].uri, providers[domain.provider].fallback_uri)
            for domain in configuration.domains
        }
        self._addresses: dict[str, frozenset[str]] = {}
        self._round = LoopingCall(self._resolve)
        self._round.clock = clock

    def start(self) -> None:
        """Resolve the names now and from time to time."""
        self._round.start(RESOLVE_SECONDS, now=True)

    def stop(self) -> None:
        """Resolve no more."""
        if self._round.running:
            self._round.stop()

    def admit(self, request: Request, flow: Flow, domain: str) -> bool:
        """Whether the sender is proved to be one of the domain's peers."""
        for uri in self._uris.get(domain, ()):
            if _is_named(flow.identity, uri.host) or flow.remote.host in self._addresses.get(str(uri), ()):
                return True
        log.info(
            "a {method} from {source} is not of {domain}'s peers",
            method=request.method,
            source=flow.remote,
            domain=domain,
        )
        return False

    def _resolve(self) -> None:
        for uri in {str(uri): uri for uris in self._uris.values() for uri in uris}.values():
            self._locator.locate(uri).addCallbacks(
                self._resolved, self._unresolved, callbackArgs=(str(uri),), errbackArgs=(str(uri),)
            ).addErrback(lambda failure: log.failure("resolving the peers of a domain failed", failure))

    def _resolved(self, targets: Iterable[Target], uri: str) -> None:
        self._addresses[uri] = frozenset(target.address.host for target in targets)

    def _unresolved(self, failure: Failure, uri: str) -> None:
        failure.trap(NotFound)
        log.warn("{uri} does not resolve, its last addresses stay: {reason}", uri=uri, reason=failure.getErrorMessage())


def _peers_of(domain: Domain, *provider_uris: str | None) -> tuple[Uri, ...]:
    if domain.restricted_access_domains:
        return tuple(Uri.parse(f"sip:{name}") for name in domain.restricted_access_domains)
    return tuple(Uri.parse(uri) for uri in provider_uris if uri)


def _is_named(identity: PeerIdentity | None, host: str) -> bool:
    """Whether a verified certificate is for this name (RFC 5922 section 7.2); wildcards do not count."""
    if identity is None:
        return False
    host = host.lower()
    names = {name.lower() for name in (*identity.names, *identity.addresses)}
    names |= {Uri.parse(uri).host.lower() for uri in identity.uris if uri.lower().startswith("sip:")}
    return host in names
