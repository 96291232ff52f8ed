"""Where a provider is reached over TLS and in clear, and which numbers are to be reached whatever it takes.

Pure functions of the configuration. Not here: which way is tried when (policy.py), what the names lead to
(routing/locate.py).
"""

import re
from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache

import attrs

from gateway.config.model import Provider
from gateway.sip.uri import Uri

_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")
_EMERGENCY_SERVICE = re.compile(r"service:sos(\..*)?", re.IGNORECASE | re.DOTALL)


class Signalling(StrEnum):
    """Over what an attempt may go: TLS only, or a hop in clear."""

    TLS = "tls"
    CLEAR = "clear"


def is_emergency(dialled: str, numbers: Collection[str]) -> bool:
    """Whether the user part that was dialled is an emergency number; parameters and visual separators do not count.

    What follows the scheme of ``urn:service:sos`` (RFC 5031) is one everywhere, whatever numbers a domain has.
    """
    if _EMERGENCY_SERVICE.fullmatch(dialled):
        return True
    user = dialled.partition(";")[0].translate(_VISUAL_SEPARATORS)
    return bool(user) and user in _bare(tuple(numbers))


@lru_cache(maxsize=256)
def _bare(numbers: tuple[str, ...]) -> frozenset[str]:
    """A domain's numbers without visual separators."""
    return frozenset(number.translate(_VISUAL_SEPARATORS) for number in numbers)


def uri_for(provider: Provider, signalling: Signalling, *, emergency: bool = False) -> str | None:
    """Where to go over TLS, or in clear; None when the configuration has no such place.

    A URI without a transport may lead to either (NAPTR, RFC 3263): whoever locates it for TLS takes TLS targets only.
    An emergency call whose provider has no fallback_uri goes to the same host over UDP rather than nowhere.
    """
    return _place(provider.uri, provider.fallback_uri, signalling, emergency)


@lru_cache(maxsize=256)
def _place(main: str, fallback: str | None, signalling: Signalling, emergency: bool) -> str | None:
    """The same of a provider's two URIs: every call asks three times."""
    uri = Uri.parse(main)
    if signalling is Signalling.TLS:
        return main if _may_be_tls(uri) else None
    if not uri.is_secure and uri.transport != "tls" and (uri.transport or not fallback):
        return main
    return fallback or (_over_udp(uri) if emergency else None)


def _may_be_tls(uri: Uri) -> bool:
    return uri.is_secure or uri.transport in (None, "tls")


def _over_udp(uri: Uri) -> str:
    return str(attrs.evolve(uri, scheme="sip", port=None, parameters=(("transport", "udp"),), headers=""))
