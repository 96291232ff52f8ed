"""INVITEs of ours that were given up without a final response, for a 2xx that comes all the same.

    INVITE -> nothing for 64*T1 -> the transaction is forgotten -> note
    2xx -> no transaction -> stray -> turn_away: ACK, and one BYE for each fork, over the INVITE's flow

A host that was silent for longer than its callers waited answers when it is back. Nobody waits for that answer, and
without an ACK (RFC 3261 section 13.2.2.4) the host keeps the call up for 32 s, with an end user who hears nothing. A
2xx counts as it did while the INVITE was waited for: by the branch (section 17.1.3), with the Call-ID, From tag and
CSeq number of that INVITE, and from where the INVITE went (gateway/transport/way.py). In clear others know these, too,
and could have our ACK, its credentials and the BYE sent where they like. Bounded: the latest MOST, for KEPT_SECONDS.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs

from gateway.b2bua.late_answers import Strays
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Message, Request, Response
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import Flow
from gateway.transport.way import may_answer

MOST: Final = 1_000
KEPT_SECONDS: Final = 600.0

_NEEDED: Final = frozenset({"from", "call-id", "cseq", "authorization", "proxy-authorization"})
"""Header fields that an ACK and a BYE take from their INVITE."""

_Key = tuple[str | None, str, str | None, int]


@attrs.frozen
class _Invite:
    """An INVITE, of which no more is left than its ACK and BYE need."""

    strays: Strays
    flow: Flow
    """Where it went."""
    until: float


class ForgottenInvites:
    """The INVITEs that were given up lately. ``seconds`` never go back."""

    def __init__(self, transactions: TransactionLayer, seconds: Callable[[], float]) -> None:
        self._transactions = transactions
        self._seconds = seconds
        self._invites: OrderedDict[_Key, _Invite] = OrderedDict()

    def __len__(self) -> int:
        return len(self._invites)

    def note(self, invite: Request, flow: Flow) -> None:
        """An INVITE that went over this flow, with its Via, got no final response, and none is waited for any more."""
        now = self._seconds()
        bare = Request(invite.method, invite.uri, invite.headers.select(_NEEDED))
        self._invites[_key_of(invite)] = _Invite(Strays(bare), flow, now + KEPT_SECONDS)
        while len(self._invites) > MOST or next(iter(self._invites.values())).until < now:
            self._invites.popitem(last=False)

    def turn_away(self, response: Response, flow: Flow) -> bool:
        """Acknowledge and hang up a stray 2xx of such an INVITE; False for any other response, and for one that comes
        from elsewhere. Never raises."""
        try:
            if not 200 <= response.status < 300 or response.cseq.method != "INVITE":
                return False
            given_up = self._invites.get(_key_of(response))
            if given_up is None or given_up.until < self._seconds() or not may_answer(given_up.flow, flow):
                return False
            way = given_up.flow if given_up.flow.is_open else flow
            given_up.strays.turn_away(response, way, self._transactions)
        except MalformedMessage:
            return False
        return True


def _key_of(message: Message) -> _Key:
    return message.top_via.branch, message.call_id, message.from_.tag, message.cseq.number
