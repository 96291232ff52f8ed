"""SDP on its way from one leg to the other, through the media relay, in the order in which it came.

The relay answers some time later. A message that carries SDP therefore waits, and one without SDP that comes after
it must not overtake it (a 180 behind a 183, a 200 behind a 183): everything that crosses a call goes through one
queue. The message at its head is let through once it is ready; the end of the call closes the path, and nothing that
was waiting is let through after that.

Each leg's peer sees one session with versions that go up (Versions), even where another relay wrote the description.
Whether a body is offer or answer, whether the policy lets it pass, and its fate is known to the one caller of `offer`
and `answer`: exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.b2bua.legs.media import Relayed
from gateway.media.relay import Relay, RelayExhausted, RelayFailure, RelayRefusal, SdpSource, SdpWish
from gateway.sdp.versions import Versions
from gateway.security.policy.terms import Reason, Refusal

log = Logger()

Passed = Callable[[bytes], None]
"""Called with the SDP as the other leg is to see it."""

Failed = Callable[[Refusal], None]
"""Called when the relay refuses or does not answer, with all that can be said of it."""


_NONE: Final[Mapping[str, Any]] = {}
"""Of all calls without media, and of those with them as long as nothing is under way."""


def _nothing_to_pass(_sdp: bytes) -> None:
    """The question was for the relay alone."""


def _call_is_over(_refusal: Refusal) -> None:
    """Nothing more can end."""


@attrs.define(eq=False)
class _Waiting:
    """One message's place in the queue."""

    passed: Passed
    sdp: bytes | None = None
    """Empty for a message without SDP, None until the relay has answered."""

    def let_through(self) -> None:
        """Hand the message on."""
        self.passed(self.sdp or b"")


@attrs.define
class MediaPath:
    """The way of SDP through a call: offers and answers, rewritten by the relay, in order."""

    call: str
    relay: Relay
    failed: Failed
    """Ends the call."""
    _queue: tuple[_Waiting, ...] = attrs.field(default=(), init=False)
    _held: Callable[[], None] | None = attrs.field(default=None, init=False)
    _pending: tuple[Deferred[bytes], ...] = attrs.field(default=(), init=False)
    _answers: Mapping[str, tuple[bytes, bytes, str | None]] = attrs.field(default=_NONE, init=False, repr=False)
    _offered: tuple[str, bytes, SdpWish] | None = attrs.field(default=None, init=False, repr=False)
    _versions: Mapping[str, Versions] = attrs.field(default=_NONE, init=False, repr=False)
    _delayed: IDelayedCall | None = attrs.field(default=None, init=False)
    agreed: Relayed | None = attrs.field(default=None, init=False)
    """The exchange that the relay carried out last."""
    _hosts: Mapping[str, str] = attrs.field(default=_NONE, init=False)
    _is_answered: bool = attrs.field(default=False, init=False)
    _has_early: bool = attrs.field(default=False, init=False)
    """Whether the relay has an answer that may yet be none of the call's."""
    _is_told: bool = attrs.field(default=False, init=False)
    """Whether the relay was told an answer: from then on it knows the tags of both sides."""
    _closed: bool = attrs.field(default=False, init=False)
    is_lost: bool = attrs.field(default=False, init=False)
    """Whether the call's relay is gone, and no other asked yet: a change that is open ends without one."""
    anchored: bool = attrs.field(default=False, init=False)
    """True once the relay was asked anything: then it must hear of the call's end."""

    @property
    def told(self) -> dict[str, tuple[str, int]]:
        """Session and version of the description that each tag was given last."""
        return {tag: versions.told for tag, versions in self._versions.items()}

    def resume(self, told: dict[str, tuple[str, int]]) -> None:
        """Go on with the media of an answered call, which a relay carries since a process that is gone."""
        self.anchored = self._is_answered = self._is_told = True
        self._versions = {tag: Versions.after(*last) for tag, last in told.items()}

    def heard_from(self, tag: str, host: str) -> None:
        """The peer with that tag is at this address now, and so comes the next description from there."""
        self._hosts = {**self._hosts, tag: host}

    def offer(
        self,
        between: tuple[str, str],
        sdp: bytes,
        wish: SdpWish,
        passed: Passed,
        refused: Failed,
        is_known: bool = True,
    ) -> None:
        """Take an offer from one leg to the other: `between` is their tags, the second told the relay if it is known
        there."""
        self._answers = _NONE
        sender, receiver = between
        self._offered = sender, sdp, wish
        known, source = receiver if is_known else None, SdpSource(self._hosts.get(sender, ""))
        self._ask(
            lambda: self.relay.offer(self.call, sender, sdp, wish, known, source),
            lambda rewritten: passed(self.stamped(receiver, rewritten)),
            refused,
        )

    def repeat(self, between: tuple[str, str], sdp: bytes, wish: SdpWish) -> None:
        """Tell the relay alone of an offer that its receiver was shown before, and has the keys and version of."""
        sender, receiver = between
        self._answers = _NONE
        self._offered = sender, sdp, wish
        again, source = attrs.evolve(wish, is_repeated=True), SdpSource(self._hosts.get(sender, ""))
        known = receiver if self._is_told else None
        self._ask(lambda: self.relay.offer(self.call, sender, sdp, again, known, source), _nothing_to_pass, self.failed)

    def answer(self, between: tuple[str, str], sdp: bytes, passed: Passed, refused: Failed | None = None) -> None:
        """Take an answer back; `between` is the tags of the offerer and the answerer.

        The same answer again (183, then 200) from the same host does not ask the relay again.
        """
        offerer, answerer = between
        known = self._answers.get(answerer)
        if known is not None and known[0] == sdp and known[2] == self._hosts.get(answerer):
            self.follow(lambda: passed(self.stamped(offerer, known[1])))
        else:
            self._answer(between, sdp, lambda rewritten: passed(self.stamped(offerer, rewritten)), refused)

    def _answer(self, between: tuple[str, str], sdp: bytes, passed: Passed, refused: Failed | None = None) -> None:
        offerer, answerer = between
        answered = self._offered  # by the time of the reply there may be another offer
        host = self._hosts.get(answerer)

        def remembered(rewritten: bytes) -> None:
            if self._offered is answered:
                self._answers = {**self._answers, answerer: (sdp, rewritten, host)}
            if answered is not None:
                self.agreed = Relayed(*answered, answerer, sdp)
            passed(rewritten)

        source = SdpSource(host or "", is_early=not self._is_answered)
        self._has_early, self._is_told = self._has_early or source.is_early, True
        self._ask(
            lambda: self.relay.answer(self.call, offerer, answerer, sdp, source), remembered, refused or self.failed
        )

    def forget_answers(self) -> None:
        """None is given again: the offer that they are to has its final response."""
        self._answers = _NONE

    def confirm(self) -> None:
        """The call is answered. Until then it may ring without a packet from anybody (RFC 3261 section 16.6)."""
        if self._has_early and not self._is_answered and not self._closed:
            self.relay.confirm(self.call)
        self._is_answered = True

    @property
    def offered(self) -> tuple[str, bytes, SdpWish] | None:
        """The offer that the relay was told last: its maker's tag and words, and the form that it took."""
        return self._offered

    def begin_session(self, tag: str) -> None:
        """A new peer under this tag: another attempt at the callee."""
        self._versions = {other: versions for other, versions in self._versions.items() if other != tag} or _NONE

    def restore(self, relayed: Relayed) -> None:
        """Let the relay go back to an earlier exchange (RFC 3261 section 14.1)."""
        if self.is_lost:
            return
        tags = (relayed.offerer, relayed.answerer)
        self.repeat(tags, relayed.offer, relayed.wish)
        self._answer(tags, relayed.answer, _nothing_to_pass)

    def follow(self, passed: Callable[[], None]) -> None:
        """Let a message without SDP through, behind all that came before it."""
        if self._closed:
            return
        if not self._queue:
            passed()
            return
        self._queue += (_Waiting(lambda _nothing: passed(), b""),)
        self._drain()

    @property
    def is_closed(self) -> bool:
        """Whether the call has ended."""
        return self._closed

    def hold(self, begin: Callable[[], None]) -> bool:
        """Keep a change until a re-INVITE of ours has come to its end; False where another one is kept."""
        if self._held is not None:
            return False
        self._held = begin
        return True

    def release(self) -> None:
        """It has: let begin the change that waited for it."""
        begin, self._held = self._held, None
        if begin is not None:
            begin()

    def later(self, delayed: IDelayedCall) -> None:
        """Cancel this when the call ends; it replaces the one before."""
        self._cancel_delayed()
        self._delayed = delayed

    def close(self) -> None:
        """Let nothing more through, and end nothing."""
        self._closed = True
        self._cancel_delayed()
        self.failed = _call_is_over
        self._queue = ()
        self._held = None
        for deferred in self._pending:
            deferred.cancel()

    def _cancel_delayed(self) -> None:
        if self._delayed is not None and self._delayed.active():
            self._delayed.cancel()
        self._delayed = None

    def stamped(self, tag: str, sdp: bytes) -> bytes:
        """A description as it is given to the leg with that tag now, perhaps again after others."""
        if tag not in self._versions:
            self._versions = {**self._versions, tag: Versions()}
        return self._versions[tag].stamped(sdp)

    def _ask(self, ask: Callable[[], Deferred[bytes]], passed: Passed, refused: Failed) -> None:
        if self._closed:
            return
        if self.is_lost:
            refused(_refusal(Failure(RelayFailure("the call has none now"))))
            return
        self.anchored = True
        waiting = _Waiting(passed)
        self._queue += (waiting,)
        deferred = ask()
        self._pending += (deferred,)

        def settled(outcome: bytes | Failure) -> None:
            self._pending = tuple(one for one in self._pending if one is not deferred)
            if self._closed:
                return
            if isinstance(outcome, Failure):
                outcome.trap(RelayFailure)
                self._queue = tuple(one for one in self._queue if one is not waiting)
                refused(_refusal(outcome))
                self._drain()
                return
            waiting.sdp = outcome
            self._drain()

        deferred.addBoth(settled)
        deferred.addErrback(self._broke)

    def _broke(self, failure: Failure) -> None:
        """The guard of this entry point: an error after a relay's answer ends this call only."""
        if self._closed:
            return
        log.failure("call {call_id} broke on a relay's answer", failure, call_id=self.call)
        self.failed(Refusal(500, None, "internal error"))

    def _drain(self) -> None:
        while self._queue and self._queue[0].sdp is not None and not self._closed:
            first, *others = self._queue
            self._queue = (*others,)
            first.let_through()


def _refusal(failure: Failure) -> Refusal:
    """488 for media that the relay cannot use, 503 while it has no room, or there is none."""
    cause = f"media relay: {failure.getErrorMessage()}"
    if failure.check(RelayRefusal) is not None:
        return Refusal(488, Reason.MEDIA_UNUSABLE, "These media cannot be relayed", cause=cause)
    if failure.check(RelayExhausted) is not None:
        return Refusal(503, Reason.NO_PORTS, "No media port is free", cause=cause)
    return Refusal(503, Reason.NO_MEDIA_RELAY, "No media relay answers", cause=cause)
