"""The back-to-back user agent as the UAS core sees it: dialogs that are up, and the takers of new requests.

    request within a dialog -> leg_of -> its leg
    any other               -> onward(method) -> calls | subscriptions | passing

Here: the choice by method. Not here: screening and routing (ingress), the calls and subscriptions themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gateway.b2bua.across.transfer import Replaces
from gateway.b2bua.calls import Calls
from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.legs.forgotten_invites import ForgottenInvites
from gateway.b2bua.legs.leg import Leg
from gateway.b2bua.out_of_dialog import METHODS as PASSED
from gateway.b2bua.out_of_dialog import Passing
from gateway.b2bua.subscriptions import Subscriptions
from gateway.dialog.dialog import key_of
from gateway.registrar.binding import Binding
from gateway.routing.router import Route
from gateway.sip.capabilities import ALLOW, METHODS
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow

Onward = Callable[[ServerTransaction, Route, Flow | None], None]
"""Takes a request along its route: to the flow of the phone that is called, None toward the provider."""


@attrs.frozen
class B2bua:
    """The back-to-back user agent: dialogs that are up, and the three that take a request to the other side."""

    dialogs: Dialogs[Leg]
    calls: Calls
    subscriptions: Subscriptions
    passing: Passing
    forgotten: ForgottenInvites

    def leg_of(self, request: Request) -> Leg | None:
        """The leg whose dialog a request is within."""
        return self.dialogs.leg_of(key_of(request))

    def is_in_dialog(self, request: Request) -> bool:
        """Whether a request is within one of the dialogs."""
        return self.leg_of(request) is not None

    def replaced(self, request: Request) -> Binding | None:
        """The phone that has the dialog which an INVITE asks to take the place of, where that is of a call between
        phones. Raises MalformedMessage."""
        value = request.headers.get("Replaces")
        leg = None if value is None else Replaces.parse(value).replaced(self.dialogs)
        return leg.way.phone if leg is not None and leg.spec.border.is_between_phones else None

    def onward(self, method: str) -> Onward:
        """The one that takes a request of this method to the other side; Refused 405 or 501."""
        if method == "INVITE":
            return self.calls.start
        if method == "SUBSCRIBE":
            return self.subscriptions.start
        if method in PASSED:
            return self.passing.pass_on
        raise Refused(405 if method in METHODS else 501, "", (("Allow", ALLOW),))
