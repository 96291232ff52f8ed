"""Calls that were being set up when the process before died: ended on both sides.

    caller <-- 500 (BYE, if it may     CANCEL --> each INVITE that has left
               have got a 2xx)         2xx    <-- faster than the CANCEL: ACK, BYE (RFC 3261 section 9.1)
                                  ACK, BYE    --> a callee that had answered

Nothing of such a call can be gone on with: its offers and answers were on their way. Each message waits for the way to
its peer, as long as BYE does. Here: these messages. Not here: the record (rebuilding).
"""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs

from gateway.b2bua.late_answers import LateAnswers
from gateway.b2bua.legs.leg import LegServices
from gateway.b2bua.survival.frozen_leg import FrozenWay
from gateway.b2bua.survival.frozen_opening import FrozenAnswer, FrozenInvite, FrozenOpening
from gateway.b2bua.survival.kept_legs import KeptWays, when_open
from gateway.config.model import Provider
from gateway.dialog.dialog import Dialog
from gateway.transaction.client import Unheeded
from gateway.transaction.resumed import resumed_client, resumed_server
from gateway.transport.flow import Flow

REASON: Final = (("Reason", 'SIP;cause=500;text="The gateway was ended"'),)


@attrs.frozen
class GivenUp:
    """Ends calls of this provider that were being set up."""

    services: LegServices
    ways: KeptWays
    provider: Provider

    def end(self, opening: FrozenOpening) -> None:
        """End one on both sides. Raises NotRebuilt before anything has left."""
        answered = {answer.dialog.call_id for answer in opening.answers}
        unanswered = [invite for invite in opening.invites if invite.request.call_id not in answered]
        steps = [
            *((self._opened(answer.way), partial(self._hang_up, answer)) for answer in opening.answers),
            *((self._opened(invite.way), partial(self._cancel, invite)) for invite in unanswered),
            (self._opened(opening.asked.way), partial(self._refuse, opening)),
        ]
        for opened, leave in steps:
            when_open(self.services.clock, opened, leave)

    def turn_away(self, stray: FrozenAnswer) -> None:
        """Hang up a callee that answered when nobody waited for it. Raises NotRebuilt."""
        when_open(self.services.clock, self._opened(stray.way), partial(self._hang_up, stray))

    def _opened(self, frozen: FrozenWay) -> partial[Flow]:
        way, reopen = self.ways.of(frozen, self.provider)
        phone = frozen.phone
        return partial(way.opened, reopen if phone is None else partial(self.services.phones.flow_of, phone))

    def _hang_up(self, answer: FrozenAnswer, flow: Flow) -> None:
        self.services.transactions.send_ack(answer.dialog.make_ack(answer.number), flow)
        self._say_bye(answer.dialog, flow)

    def _cancel(self, invite: FrozenInvite, flow: Flow) -> None:
        transactions = self.services.transactions
        unwanted = LateAnswers(invite.request, flow, transactions)
        resumed_client(transactions, invite.request, flow, unwanted).cancel(REASON)

    def _refuse(self, opening: FrozenOpening, flow: Flow) -> None:
        transaction = resumed_server(self.services.transactions, opening.asked.request, flow)
        transaction.respond(opening.asked.request.response(500, to_tag=opening.tag))
        if opening.answers:
            self._say_bye(Dialog.from_request(opening.asked.request, opening.tag), flow)

    def _say_bye(self, dialog: Dialog, flow: Flow) -> None:
        bye = dialog.make_request("BYE")
        bye.headers.add_all(REASON)
        self.services.transactions.send_request(bye, flow, Unheeded())
