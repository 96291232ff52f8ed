"""The agreement on encrypted media with a provider that wants it said, in the fields of RFC 3329: mediasec
(draft-dawes-sipcore-mediasec-parameter, 3GPP TS 24.229).

    REGISTER, INVITE ...  Security-Client: sdes-srtp;mediasec   Require, Proxy-Require: mediasec
    <- 401, 407, 494      Security-Server: sdes-srtp;mediasec, dtls-srtp;mediasec
    each one from then on, besides                              Security-Verify: <the same list>

The list is the edge's own words, given back so that it sees whether somebody on the way has made it weaker (RFC 3329
section 2.3.1). It is known of a provider from any response of its, and not kept over a restart: the first answer tells
it again. A request that is refused with 494 because it did not bear that list is sent once more.

All of it is said over TLS alone. In clear a key in SDP would be no secret, so the promise would be untrue. A list is
taken over TLS alone as well, and only where it is one: it goes out again as it came.

Not here: the mark in SDP (sdp/crypto.py), requests of calls (b2bua/legs/mediasec_leg.py).
"""

from __future__ import annotations

import re
from typing import Final

from twisted.logger import Logger

from gateway.config.model import Provider
from gateway.security.policy.verdict import AGREEMENT_REQUIRED
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request, Response
from gateway.transport.flow import Flow

log = Logger()

OPTION: Final = "mediasec"
CLIENT: Final = "sdes-srtp;mediasec"
MOST_MECHANISMS: Final = 10
_MECHANISM: Final = re.compile(
    r"[A-Za-z0-9.!%*_+`'~-]{1,40}(?:[ \t]*;[ \t]*[A-Za-z0-9.!%*_+`'~-]{1,40}(?:=[A-Za-z0-9.!%*_+`'~-]{1,60})?){1,8}"
)
_LABELLED: Final = re.compile(r";[ \t]*mediasec[ \t]*(?:;|\Z)", re.IGNORECASE)


class Mediasec:
    """The lists of all providers."""

    def __init__(self) -> None:
        self._servers: dict[str, tuple[str, ...]] = {}

    def dress(self, request: Request, provider: Provider, flow: Flow) -> None:
        """Add the fields to a request that leaves to a provider, where it wants them and the way is TLS."""
        if not provider.mediasec or not flow.is_secure:
            return
        headers = request.headers
        for name in ("Security-Client", "Security-Verify", "Proxy-Require"):
            headers.remove(name)
        tags = [tag for tag in headers.values("Require") if tag != OPTION]
        headers.set("Require", ", ".join((*tags, OPTION)))
        headers.add("Proxy-Require", OPTION)
        headers.add("Security-Client", CLIENT)
        for mechanism in self._servers.get(provider.name, ()):
            headers.add("Security-Verify", mechanism)

    def learn(self, response: Response, provider: Provider, flow: Flow) -> None:
        """Take the list of any response of a provider."""
        found = _offered(response, provider, flow)
        if not found or found == self._servers.get(provider.name):
            return
        self._servers[provider.name] = found
        log.info("provider {provider} offers media security: {found}", provider=provider.name, found=", ".join(found))


def asks_again(request: Request, response: Response, provider: Provider, flow: Flow) -> bool:
    """Whether a request that got this response is worth sending once more: it bore another list than the 494 tells. The
    list may be known by now, since another request was on its way at the same time."""
    if response.status != AGREEMENT_REQUIRED:
        return False
    found = _offered(response, provider, flow)
    return bool(found) and request.headers.values("Security-Verify") != [*found]


def _offered(response: Response, provider: Provider, flow: Flow) -> tuple[str, ...]:
    """The list of a response, where the provider is to be told of one and the way is TLS."""
    if not provider.mediasec or not flow.is_secure or "Security-Server" not in response.headers:
        return ()
    return _mechanisms(response)


def _mechanisms(response: Response) -> tuple[str, ...]:
    """The mechanisms of media in Security-Server, as they are written; none where one of them is none."""
    try:
        values = response.headers.values("Security-Server")
    except MalformedMessage:
        return ()
    if len(values) > MOST_MECHANISMS or not all(map(_MECHANISM.fullmatch, values)):
        return ()
    return tuple(value for value in values if _LABELLED.search(value))
