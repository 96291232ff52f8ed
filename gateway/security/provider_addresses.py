"""The addresses that providers' names lead to: sources that are never banned.

    providers' URIs -> refresh() -> resolver -> addresses()

Names are resolved as those of Restricted Access Domains are (access_list.py): while DNS fails the last answer counts.
After a change of the configuration the addresses of before count as long as their answers do. Not here: the domains'
own lists, which admission has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.config.model import Provider
from gateway.security.access_list import AccessList, AccessResolver, Resolve
from gateway.sip.uri import Uri


class ProviderAddresses:
    """Resolves them, and remembers. ``now`` gives seconds since the epoch."""

    def __init__(self, resolve: Resolve, now: Callable[[], float]) -> None:
        self._resolve = resolve
        self._now = now
        self._lists = AccessList(()), AccessList(())
        """Of this configuration, and of the one before."""
        self._resolver = AccessResolver((), resolve, now)

    def adopt(self, providers: Iterable[Provider]) -> None:
        """Go by other providers."""
        uris = [uri for one in providers for uri in one.uris]
        names = tuple(dict.fromkeys(Uri.parse(uri).host.lower() for uri in uris))
        if names != self._lists[0].names:
            self._lists = AccessList(names), self._lists[0]
            self._resolver = AccessResolver(self._lists[:1], self._resolve, self._now)

    def refresh(self) -> None:
        """Resolve the names that are due. To be called every few seconds."""
        self._resolver.refresh()

    def addresses(self) -> set[str]:
        """The addresses as they are known now."""
        now = self._now()
        return self._lists[0].addresses(now) | self._lists[1].addresses(now)
