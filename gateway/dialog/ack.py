"""The 2xx of INVITEs on one leg and their ACKs, both ways.

    we answered:  2xx, again and again --until--> ACK, or 64*T1 without one       (RFC 3261 section 13.3.1.4)
    we asked:     2xx -> ACK, and the same ACK for every copy of that 2xx         (section 13.2.2.4)

An ACK carries the credentials of its INVITE (section 22.1). It is kept by the INVITE's transaction, for as long as that
takes copies of the 2xx: afterwards nothing is left of either. Forks of a first INVITE are settled by its sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol
from weakref import ref

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gateway.dialog.dialog import Dialog
from gateway.sip.message import Request, Response
from gateway.transaction.client import ClientTransaction, TransactionFailure, TransactionUser
from gateway.transaction.timers import T1, T2

KEPT_INVITES: Final = 8
"""INVITEs of one leg whose ACK can be sent again: their transactions last 32 s, and few re-INVITEs are sent in it."""

Acknowledged = Callable[[Request], None]

_NO_CREDENTIALS: Final[tuple[int, tuple[tuple[str, str], ...]]] = (0, ())

_NONE: Final[Mapping[int, Any]] = {}
"""Of all legs that wait for nothing: most do, most of the time, and a table is made for those that do not."""


class Acknowledgements:
    """The ACKs that one leg waits for, and those that it has sent."""

    __slots__ = ("_afterwards", "_answers", "_clock", "_credentials", "_invites", "is_sent")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._answers: Mapping[int, tuple[AnswerRetransmission, Acknowledged]] = _NONE
        self._afterwards: Mapping[int, Callable[[], None]] = _NONE
        self._invites: tuple[tuple[int, ref[ClientTransaction]], ...] = ()
        """Our INVITEs by their CSeq numbers. Their transactions are the layer's, and go when they are over."""
        self._credentials = _NO_CREDENTIALS
        """Of the last INVITE, by its CSeq number."""
        self.is_sent = False
        """Whether an ACK of ours was ever made."""

    def wait_for(
        self, cseq: int, send: Callable[[], None], acknowledged: Acknowledged, expired: Callable[[], None]
    ) -> None:
        """A 2xx was sent: call `send` for it again until its ACK comes, `acknowledged` with that ACK, or `expired`."""

        def unacknowledged() -> None:
            self._answers = _without(self._answers, cseq)
            expired()
            self._go_on(cseq)

        waiting = AnswerRetransmission(self._clock, send, unacknowledged), acknowledged
        self._answers = {**self._answers, cseq: waiting}

    def receive(self, ack: Request) -> None:
        """An ACK came: stop sending its 2xx, and pass it on. One that is not waited for is a copy."""
        number = ack.cseq.number
        if number in self._answers:
            retransmission, acknowledged = self._answers[number]
            self._answers = _without(self._answers, number)
            retransmission.acknowledged()
            acknowledged(ack)
            self._go_on(number)

    def awaits(self, cseq: int) -> bool:
        """Whether the 2xx of this INVITE has no ACK yet."""
        return cseq in self._answers

    def afterwards(self, cseq: int, action: Callable[[], None]) -> None:
        """Do this once the ACK of that 2xx has come, or will not come any more."""
        self._afterwards = {**self._afterwards, cseq: action}

    def invite_left(self, invite: Request, transaction: ClientTransaction) -> None:
        """An INVITE of ours was sent."""
        number, others = invite.cseq.number, self._invites
        self._credentials = number, _credentials(invite)
        if others:
            alive = tuple(one for one in others if one[1]() is not None)
            # The first one makes the dialog: other forks may still answer it.
            others = alive[:1] + alive[1:][2 - KEPT_INVITES :]
        self._invites = (*others, (number, ref(transaction)))

    def make(self, dialog: Dialog, cseq: int, fields: Iterable[tuple[str, str]], body: bytes) -> Request:
        """The ACK of a 2xx, kept for when that 2xx comes again."""
        number, credentials = self._credentials
        ack = dialog.make_ack(cseq, headers=(*credentials, *fields) if number == cseq else fields)
        ack.body = body
        self._credentials, self.is_sent = _NO_CREDENTIALS, True
        transaction = self.transaction_of(cseq)
        if transaction is not None:
            transaction.acknowledgement = ack
        return ack

    @property
    def is_waiting(self) -> bool:
        """Whether a 2xx of ours has no ACK yet."""
        return bool(self._answers)

    def transaction_of(self, cseq: int) -> ClientTransaction | None:
        """The transaction of our INVITE with that number; None once it is over."""
        for number, transaction in self._invites:
            if number == cseq:
                return transaction()
        return None

    def kept(self, cseq: int) -> Request | None:
        """The ACK that was sent for this INVITE, if any, while copies of its 2xx may come."""
        transaction = self.transaction_of(cseq)
        return None if transaction is None else transaction.acknowledgement

    def stop(self) -> None:
        """Wait for no ACK any more; those that were sent are still kept."""
        if self._answers or self._afterwards:
            for retransmission, _ in self._answers.values():
                retransmission.acknowledged()
            self._answers = self._afterwards = _NONE

    def _go_on(self, cseq: int) -> None:
        if cseq in self._afterwards:
            action = self._afterwards[cseq]
            self._afterwards = _without(self._afterwards, cseq)
            action()


def _without(table: Mapping[int, Any], number: int) -> Mapping[int, Any]:
    """The table without that number."""
    return {key: value for key, value in table.items() if key != number} if len(table) > 1 else _NONE


def _credentials(request: Request) -> tuple[tuple[str, str], ...]:
    headers = request.headers
    if "authorization" not in headers.present and "proxy-authorization" not in headers.present:
        return ()
    return tuple((name, value) for name in ("Authorization", "Proxy-Authorization") for value in headers.get_all(name))


def ack_and_bye(invite: Request, response: Response) -> tuple[Request, Request]:
    """The ACK and the BYE for the 2xx of a fork that is not wanted (section 13.2.2.4). Raises MalformedMessage.

    In place of the INVITE its ACK will do: it has the same Call-ID, From and CSeq number.
    """
    dialog = Dialog.from_response(invite, response)
    return dialog.make_ack(response.cseq.number, _credentials(invite)), dialog.make_request("BYE")


class AcknowledgingLeg(Protocol):
    """The leg that an INVITE inside a dialog was sent on."""

    def note_received(self, response: Response) -> None:
        """Take note of a response of this leg. Raises MalformedMessage."""

    def acknowledge_again(self, cseq: int) -> bool:
        """Send a kept ACK again; False when there is none yet."""


class InviteClient:
    """Stands between an INVITE inside a dialog and its user: each response goes through, but of the 2xx only the first.

    Every copy of the 2xx gets the ACK of the first again (RFC 3261 section 13.2.2.4), once the user has sent that one.
    """

    def __init__(self, leg: AcknowledgingLeg, user: TransactionUser) -> None:
        self._leg = leg
        self._user = user
        self._is_answered = False

    def receive_response(self, response: Response) -> None:
        """Pass a response on, or acknowledge a copy."""
        is_success = 200 <= response.status < 300
        if is_success and self._is_answered:
            self._leg.note_received(response)
            self._leg.acknowledge_again(response.cseq.number)
            return
        self._is_answered = self._is_answered or is_success
        self._user.receive_response(response)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """No response will come."""
        self._user.transaction_failed(failure)


class AnswerRetransmission:
    """Sends a 2xx again after T1, 2*T1, ... at most T2, until acknowledged() or stop(); its owner sent the first.

    After 64*T1 without ACK it calls expired, once, and has ended; the owner then sends BYE.
    """

    def __init__(self, clock: IReactorTime, send: Callable[[], None], expired: Callable[[], None]) -> None:
        self._clock = clock
        self._send = send
        self._expired = expired
        self._interval = T1
        self._left = 64 * T1  # seconds of waiting that are not scheduled yet
        self._call: IDelayedCall | None = None
        self._wait()

    @property
    def is_waiting(self) -> bool:
        """Whether the ACK is still to come."""
        return self._call is not None

    def acknowledged(self) -> None:
        """The ACK is here; any further one means nothing."""
        self.stop()

    def stop(self) -> None:
        """End, and call nobody any more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self) -> None:
        seconds = min(self._interval, self._left)
        self._left -= seconds
        self._call = self._clock.callLater(seconds, self._interval_expired)

    def _interval_expired(self) -> None:
        self._call = None
        if self._left <= 0:
            self._expired()
            return
        self._interval = min(2 * self._interval, T2)
        self._wait()
        self._send()
