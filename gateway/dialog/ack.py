"""The 2xx of INVITEs on one leg and their ACKs, both ways.

    we answered:  2xx, again and again --until--> ACK, or nobody's for too long   (RFC 3261 section 13.3.1.4)
    we asked:     2xx -> ACK, and the same ACK for every copy of that 2xx         (section 13.2.2.4)

An ACK carries the credentials of its INVITE (section 22.1). What is kept is bounded: a leg with re-INVITEs without end
has a few ACKs, not all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from twisted.internet.interfaces import IReactorTime

from gateway.dialog.dialog import Dialog
from gateway.dialog.invite import AnswerRetransmission
from gateway.sip.message import Request

KEPT_ACKS: Final = 8
"""ACKs kept of one leg: a copy of a 2xx comes within 32 s, in which few re-INVITEs are answered."""

Acknowledged = Callable[[Request], None]


class Acknowledgements:
    """What one leg waits for, and what it has sent."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._answers: dict[int, tuple[AnswerRetransmission, Acknowledged]] = {}
        self._acks: dict[int, Request] = {}
        self._credentials: dict[int, tuple[tuple[str, str], ...]] = {}

    def wait_for(
        self, cseq: int, send: Callable[[], None], acknowledged: Acknowledged, expired: Callable[[], None]
    ) -> None:
        """A 2xx was sent: `send` it again until its ACK comes, which `acknowledged` is given, or `expired` is told."""

        def unacknowledged() -> None:
            del self._answers[cseq]
            expired()

        self._answers[cseq] = (AnswerRetransmission(self._clock, send, unacknowledged), acknowledged)

    def receive(self, ack: Request) -> None:
        """An ACK came: stop sending its 2xx, and tell who waits for it. One that nobody waits for is a copy."""
        waiting = self._answers.pop(ack.cseq.number, None)
        if waiting is not None:
            retransmission, acknowledged = waiting
            retransmission.acknowledged()
            acknowledged(ack)

    def invite_leaves(self, invite: Request) -> None:
        """An INVITE of ours is about to be sent."""
        self._credentials = {invite.cseq.number: tuple(_credentials(invite))}

    def make(self, dialog: Dialog, cseq: int, fields: Iterable[tuple[str, str]], body: bytes) -> Request:
        """The ACK of a 2xx, kept for when that 2xx comes again."""
        ack = dialog.make_ack(cseq, headers=(*self._credentials.pop(cseq, ()), *fields))
        ack.body = body
        self._acks[cseq] = ack
        if len(self._acks) > KEPT_ACKS:
            del self._acks[next(iter(self._acks))]
        return ack

    @property
    def count(self) -> int:
        """How many ACKs are kept."""
        return len(self._acks)

    def kept(self, cseq: int) -> Request | None:
        """The ACK that was sent for this INVITE, if any."""
        return self._acks.get(cseq)

    def stop(self) -> None:
        """Wait for no ACK any more; those that were sent are still kept."""
        for retransmission, _ in self._answers.values():
            retransmission.acknowledged()
        self._answers.clear()


def _credentials(request: Request) -> Iterator[tuple[str, str]]:
    for name in ("Authorization", "Proxy-Authorization"):
        for value in request.headers.get_all(name):
            yield name, value
