"""A request of a provider that is not taken, since its connection proves too little: the provider is asked itself.

    provider --BYE, UPDATE--> [a new connection, without a certificate] --> 500, Retry-After
             <--a refresh of ours-- [the connection that is verified]
             --481--> the call is over        --200--> the call goes on, and its session begins anew

A call whose connection we had opened is verified by the provider's certificate. When that connection is lost, as with
our process, we open it again; but a provider that wants something within the dialog opens one of its own to our Contact
(RFC 3261 section 18.1.1), and many show no certificate there. Its request has the tags, which were told behind TLS
alone, and comes over TLS from an address of the provider. That is not enough to obey: a stranger that holds the
address, or sits on the way to it, and has the tags from a hop behind the provider could end the call, or have its media
sent to himself under a verdict that says verified.

So nothing in the request counts but its being there. It has us send a refresh (RFC 4028) that is the same for each
request, over the way that is proved, and the provider's answer is believed for its way: 481 tells that the provider has
said BYE, a 2xx is the refresh that it wanted. A forger draws one such request in ASK_SECONDS, which changes nothing.
The answer is 500 with Retry-After, and not 481, after which a provider would give the dialog up (RFC 5057 section 5.1).
A change of media (hold) is refused like that for as long as no certificate is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.b2bua.legs.leg import Leg
from gateway.config.model import Side
from gateway.security.access_list import Proof
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.transport.flow import Flow
from gateway.transport.way import Strength

RETRY_AFTER: Final = "5"
ASKED_FOR: Final = frozenset({"BYE", "INVITE", "UPDATE"})
"""Methods that end a call, or keep it."""


def may_be_its_own(leg: Leg, flow: Flow, proof: Callable[[Flow], Proof | None]) -> bool:
    """Whether a request that is not taken may be of the leg's provider all the same: over TLS, from a peer with a
    `proof` of the leg's domain, where the leg was verified. Any other leg is followed by its address, or not at all."""
    if flow.side is not Side.PROVIDER or not flow.is_secure or leg.way.proved is not Strength.VERIFIED:
        return False
    return proof(flow) is not None


def ask_back(leg: Leg, request: Request) -> Refused:
    """Ask the leg's peer about a request that may be its own. The refusal for this request."""
    if request.method in ASKED_FOR and not leg.is_leaving and not leg.ended:
        leg.session.ask(leg)
    return Refused(500, "Not Over This Connection", (("Retry-After", RETRY_AFTER),))
