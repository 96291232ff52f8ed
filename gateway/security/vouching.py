"""The certificates that speak for one provider: an identity counts only where that provider's trust vouches for it.

    [[provider]] trust         the authorities of connections that we begin to it
    [[listener]] client_trust  the authorities of connections that peers begin to us

A connection that we began was verified on the terms of one provider, and counts for those alone that have the same
trust: provider A's private authority may sign the name of B, since A owns it.

A connection that a peer began was verified against the listener's client_trust, one file for all that connect there.
The operator wrote into it the authorities to believe about callers, which need not be those of the provider's servers
(public ones issue no client certificates any more), so their word is taken. Yet that file may hold the private
authorities of several providers. Hence one that is in another provider's trust, and not in this one's, is the other's
own, and says nothing here.

Here: the rule. Not here: names (access_list.py), verification itself (gateway/transport/tls).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

from gateway.config.model import Provider
from gateway.transport.flow import SYSTEM_TRUST, PeerIdentity
from gateway.transport.tls.certificates import read_chain
from gateway.transport.tls.identity import fingerprint


@attrs.frozen
class Vouching:
    """The trust of one provider, and the authorities that are others' own."""

    trust: str | Path = SYSTEM_TRUST
    foreign: frozenset[str] = frozenset()
    """Fingerprints."""

    def covers(self, identity: PeerIdentity | None) -> bool:
        """Whether the names of an identity were vouched for by an authority that counts for this provider."""
        if identity is None or identity.trust is None:
            return False
        if identity.trust == self.trust:
            return True
        return bool(identity.authority) and identity.authority not in self.foreign


def vouching_for(provider: Provider, providers: Iterable[Provider]) -> Vouching:
    """The rule for one of these providers. Raises CertificateError for a file of authorities that cannot be read."""
    others = [_authorities(other.trust) for other in providers if other.trust != provider.trust]
    return Vouching(provider.trust, frozenset[str]().union(*others) - _authorities(provider.trust))


def _authorities(trust: str | Path) -> frozenset[str]:
    """The fingerprints in a file; of the system's authorities none: they are nobody's own."""
    if not isinstance(trust, Path):
        return frozenset()
    return frozenset(fingerprint(certificate) for certificate in read_chain(trust))
