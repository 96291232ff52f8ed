"""[[provider]]: a server that calls and registrations go to, and the places that it has over TLS and in clear."""

from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import attrs

from gateway.config import fields
from gateway.config.fields import cipher_list
from gateway.config.structuring import number, one_of
from gateway.sdp.crypto import SUITE_NAMES
from gateway.sip.uri import Uri

TLS_VERSIONS = ("1.2", "1.3")
"""Allowed least versions of TLS."""


class SrtpOffer(StrEnum):
    """How SRTP is offered: RTP/SAVP, RTP/AVP with a=crypto (RFC 8643), or both m-lines."""

    SAVP = "savp"
    OSRTP = "osrtp"
    DUAL = "dual"


class Signalling(StrEnum):
    """The signalling of an attempt: TLS only, or a hop in clear."""

    TLS = "tls"
    CLEAR = "clear"


@attrs.frozen
class Provider:
    """[[provider]]: a server that calls and registrations go to, and the expectations on it."""

    name: Annotated[str, fields.name]
    uri: Annotated[str, fields.sip_uri]
    trust: Literal["system"] | Path = "system"
    """The authorities that its certificate must come from."""
    certificate: Path | None = None
    private_key: Path | None = None
    srtp_offer: SrtpOffer = SrtpOffer.SAVP
    suites: tuple[Annotated[str, one_of(*SUITE_NAMES)], ...] = SUITE_NAMES
    """Offered in this order."""
    codecs: tuple[Annotated[str, fields.codec], ...] = ()
    """Those that cross to it and from it, offered in this order; empty: all, as phones offer them."""
    more_uris: tuple[Annotated[str, fields.sip_uri], ...] = ()
    """Further servers of it, in the order in which they are tried where those of `uri` cannot be reached."""
    contact_host: Annotated[str, fields.host_name] | None = None
    """Our name toward it over TLS, in Via and Contact; None: that of the listener."""
    fallback_uri: Annotated[str, fields.sip_uri] | None = None
    """Where to go when it lacks TLS."""
    tls_minimum: Annotated[str, one_of(*TLS_VERSIONS)] = "1.2"
    ciphers: Annotated[str, cipher_list] | None = None
    """Of TLS 1.2, in OpenSSL's format; None is ours (`transport.tls`)."""
    allow_wildcards: bool = False
    """Whether a certificate for *.example.com may be that of sip.example.com."""
    common_name: bool = False
    """Whether a certificate without subject alternative names may name its host in the common name."""
    mediasec: bool = False
    """Whether it wants encrypted media to be agreed on in REGISTER and INVITE (RFC 3329)."""
    ping_seconds: Annotated[int, number(0, 3600)] = 5
    """Between two OPTIONS to each of its hosts; 0: it is not asked."""
    probe_hours: Annotated[int, number(0, 720)] = 0
    """Between two probes of it that are kept and compared; 0: none is made by itself."""

    def uri_for(self, signalling: Signalling, *, emergency: bool = False) -> str | None:
        """Where to go over TLS, or in clear; None when the configuration has no such place.

        A URI without a transport may lead to either (NAPTR, RFC 3263): TLS takes the TLS targets only.
        Without a fallback_uri an emergency call goes to the same host over UDP rather than nowhere.
        """
        return _place(self.uri, self.fallback_uri, signalling, emergency)

    def uris_for(self, signalling: Signalling, *, emergency: bool = False) -> tuple[str, ...]:
        """All places to go to over TLS, or in clear, in their order; empty when the configuration has none. An
        emergency call goes to the host of each over UDP rather than nowhere."""
        main = self.uri_for(signalling, emergency=emergency)
        found = (main, *(_place(one, None, signalling, emergency) for one in self.more_uris))
        return tuple(dict.fromkeys(one for one in found if one is not None))

    @property
    def uris(self) -> tuple[str, ...]:
        """Every place of it."""
        return (self.uri, *self.more_uris, *([self.fallback_uri] if self.fallback_uri else []))


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
