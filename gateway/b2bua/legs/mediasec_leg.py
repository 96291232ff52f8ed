"""The messages of one leg, where its call's provider wants media security to be said (routing/mediasec.py).

Toward the provider INVITE and UPDATE, which set up media, bear the fields, and each description with a key the mark
(``a=3ge2ae:requested``), in offers and in answers. Toward phones no description has a mark.
"""

from __future__ import annotations

import attrs

from gateway.b2bua.legs.media import has_sdp
from gateway.config.model import Provider
from gateway.routing.mediasec import Mediasec, asks_again
from gateway.sdp.crypto import with_access_mark, without_access_mark
from gateway.sip.message import Message, Request, Response
from gateway.transport.flow import Flow

_METHODS = frozenset({"INVITE", "UPDATE"})


@attrs.frozen
class MediasecLeg:
    """Dresses all that leaves on a leg, and learns from all that comes."""

    mediasec: Mediasec
    provider: Provider
    is_toward_provider: bool

    def dress_request(self, request: Request, flow: Flow) -> None:
        """A request that leaves by a flow."""
        if self.is_toward_provider and request.method in _METHODS:
            self.mediasec.dress(request, self.provider, flow)
        self.mark(request, flow)

    def learn(self, response: Response, flow: Flow) -> None:
        """A response that came over a flow."""
        if self.is_toward_provider:
            self.mediasec.learn(response, self.provider, flow)

    def asks_again(self, request: Request, response: Response, flow: Flow) -> bool:
        """Whether a request that got this response over a flow is worth sending once more."""
        return self.is_toward_provider and asks_again(request, response, self.provider, flow)

    def mark(self, message: Message, flow: Flow) -> None:
        """The description in a message that leaves by a flow. In clear nothing is promised."""
        if has_sdp(message):
            is_said = self.is_toward_provider and flow.is_secure
            message.body = with_access_mark(message.body) if is_said else without_access_mark(message.body)
