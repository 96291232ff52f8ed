"""The one door of offers and answers (RFC 3264): each passes here, whichever message carries it.

    offerer leg                      relay                        answerer leg
    their offer  -- judged, then -> rewritten -> our offer          INVITE, UPDATE, PRACK, 2xx or reliable 18x (late)
    our answer   <- rewritten    <- then judged - their answer      18x, 2xx, ACK or PRACK (late)
                        both legs agree

The policy judges before the relay is asked, so that no packet leaves by a way that it does not allow. The relay acts
as it is asked: until it replies, a leg's media are what they will be then. An answer puts both legs' descriptions in
force, and their owner hears of it, whatever has become of a leg in between; without a relay none counts. An offer that
fails (a refusal, 491, a time-out, CANCEL) leaves the descriptions of before in force, at the relay too (RFC 3261
section 14.1, RFC 6141 section 3.3). A change that an answer in a reliable response has carried out stays (RFC 6141
section 3.4). Bodies of 3xx to 6xx are no answers.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gateway.b2bua.across.bodies import NO_CODEC
from gateway.b2bua.across.media_path import Failed, MediaPath
from gateway.b2bua.legs.leg import Leg, LegOwner
from gateway.b2bua.legs.media import Agreed, Relayed
from gateway.b2bua.unanswered import MOST_MEDIA
from gateway.dialog.dialog import DialogState
from gateway.media.relay import Encryption, SdpWish
from gateway.sdp.crypto import only_suites
from gateway.sdp.description import MalformedDescription
from gateway.sdp.negotiation import alternatives, media_security, offer_encrypted
from gateway.sdp.settlement import Settlement, settles
from gateway.security.policy.terms import Refusal
from gateway.state.call_record import LegName

Passed = Callable[[bytes], None]

Barred = Callable[[Refusal], None]
"""Called with the policy's refusal; the relay was not asked."""


def refusal_of_offer(offerer: Leg, answerer: Leg, sdp: bytes) -> Refusal | None:
    """The policy's refusal of an offer, for the media that it would bring on a leg that it judges.

    An offer that cannot be read is refused with 488 like one that the relay cannot use.
    """
    try:
        if _is_unproved(offerer) and sum(line.port > 0 for line in media_security(sdp)) > MOST_MEDIA:
            return Refusal(488, None, "The offer has too many m-lines")
        if offerer.is_judged:
            refusal = offerer.owner.judge(offerer, offer_encrypted(sdp))
            if refusal is not None or not answerer.is_judged:
                return refusal
        if answerer.is_judged:
            return answerer.owner.judge(answerer, _can_be_encrypted(answerer, sdp))
    except MalformedDescription as error:
        return Refusal(488, None, f"The offer cannot be read: {error.reason}")
    return None


def refusal_of_answer(answerer: Leg, offer: bytes, answer: bytes) -> Refusal | None:
    """The policy's refusal of the peer's answer to an offer of ours. The answer to an offer of the provider's has that
    offer's profiles, and was judged with it."""
    if not answerer.is_judged:
        return None
    try:
        return answerer.owner.judge(answerer, settles(offer, answer))
    except MalformedDescription as error:
        return Refusal(488, None, f"The answer cannot be read: {error.reason}")


def crossing_answer(answerer: Leg, offer: bytes, answer: bytes) -> tuple[bytes, Refusal | None]:
    """An answer with the codecs that may cross from a leg, to the offer that it was shown; and the refusal of one that
    has none, or cannot be read."""
    spec = answerer.spec
    codecs = spec.border.codecs(spec.side if spec.border.is_between_phones else spec.side.other)
    if codecs is None or not offer:
        return answer, None
    try:
        kept = codecs.answer(answer, offer)
    except MalformedDescription as error:
        return answer, Refusal(488, None, f"The answer cannot be read: {error.reason}")
    return (answer, NO_CODEC) if kept is None else (kept, None)


def meet(leg: Leg, relayed: Relayed | None) -> bool:
    """Whether a request of ours may offer other media to this leg's peer now. Where an INVITE of ours rings, that peer
    is the fork whose media are in force. It must have answered the INVITE's offer, or made the offer, in a reliable
    provisional response (RFC 3311 section 5.1), and is spoken with from now on."""
    if leg.fork is None:
        return True
    media = leg.media
    tags = [tag for tag, agreed in media.forks.items() if agreed.relayed == relayed and tag in media.reliable_forks]
    if tags:
        leg.speak_with(tags[-1])
    return bool(tags)


def agree(leg: Leg, settlement: Settlement, owner: LegOwner) -> None:
    """Put an exchange's outcome in force on a leg, and let its owner hear of it, even if the leg has ended since."""
    if leg.media.agree(settlement):
        owner.media_settled(leg)


def opens(offer: bytes, answer: bytes) -> bool | None:
    """Whether an offer's maker has all the media encrypted that another's answer takes, before the relay has written
    its own answer; None when it takes none."""
    try:
        offered, taken = media_security(offer), media_security(answer)
        if not any(line.port for line in taken):
            return None
        if alternatives(offered) or len(offered) != len(taken):
            return offer_encrypted(offer)
    except MalformedDescription:
        return False
    return all(mine.is_encrypted for mine, other in zip(offered, taken, strict=True) if mine.port and other.port)


def first_offer(path: MediaPath, caller: Leg, wish: SdpWish, sdp: bytes, passed: Passed) -> None:
    """Take the offer of a call's first INVITE across, for a leg that is to be made. The plan of attempts has judged it,
    and judges its answers (plan)."""
    caller.media.pending_offer = True
    path.begin_session(str(LegName.CALLEE))
    path.heard_from(caller.media_tag, caller.flow.remote.host)
    path.offer((caller.media_tag, str(LegName.CALLEE)), sdp, wish, passed, path.failed, is_known=False)


@attrs.define(eq=False)
class MediaExchange:
    """An offer, the legs between which it goes, and its answers: several where an INVITE forks."""

    path: MediaPath
    offerer: Leg
    answerer: Leg
    offered: bytes = attrs.field(default=b"", repr=False)
    """The offer as its maker wrote it."""
    shown: bytes = attrs.field(default=b"", repr=False)
    """The offer as the answerer was shown it; empty before the relay has rewritten it."""
    is_lasting: bool = False
    """Whether the answer came in a message that makes it final."""
    is_ours: bool = False
    """Whether the offerer's peer has not sent this offer now: it has an earlier one of its own repeated."""
    is_answered: bool = attrs.field(default=False, init=False)
    forks: frozenset[str] = attrs.field(default=frozenset(), init=False)
    """Tags of the forks that have answered."""
    _before: tuple[Settlement | None, Settlement | None, Relayed | None] = attrs.field(init=False, repr=False)
    _fork: str | None = attrs.field(init=False)
    _replies_due: int = attrs.field(default=0, init=False)
    """Answers that the relay has not replied to."""
    _owner: LegOwner = attrs.field(init=False, repr=False)
    _wish: SdpWish = attrs.field(init=False)
    _is_asked: bool = attrs.field(default=False, init=False)
    _has_codecs: bool = attrs.field(init=False)
    """Whether some codecs alone may cross."""

    def __attrs_post_init__(self) -> None:
        self._before = self.offerer.media.in_force, self.answerer.media.in_force, self.path.agreed
        self._fork = self.offerer.fork
        self._owner = self.offerer.owner
        self._wish = self.answerer.media.wish
        route = self.answerer.spec.border.route
        self._has_codecs = bool(route.provider.codecs or route.domain.codecs)

    def offer(self, sdp: bytes, passed: Passed, barred: Barred, refused: Failed, wish: SdpWish | None = None) -> None:
        """Take an offer across, in the form of the answerer's leg or another. `barred` hears of the policy's refusal,
        `refused` of the relay's; neither leaves anything open. The provider's offer counts with the suites that its
        configuration has, and each one with the codecs that may cross."""
        if self.offerer.is_toward_provider:
            sdp = only_suites(sdp, self.offerer.spec.border.route.provider.suites)
        sdp, refusal = self._crossing(sdp) if self._has_codecs else (sdp, None)
        refusal = refusal or refusal_of_offer(self.offerer, self.answerer, sdp)
        if refusal is not None:
            barred(refusal)
            return
        self.offered, self._wish = sdp, wish or self._wish
        self._open()

        def rewritten(shown: bytes) -> None:
            self._is_asked = True
            self.shown = shown
            passed(shown)

        def failed(refusal: Refusal) -> None:
            self._close()
            refused(refusal)

        self.path.heard_from(self.offerer.media_tag, self.offerer.flow.remote.host)
        self.path.offer(self._tags, sdp, self._wish, rewritten, failed)

    def answer(
        self, sdp: bytes, passed: Passed, barred: Barred, refused: Failed | None = None, tag: str | None = None
    ) -> None:
        """Take an answer back, of the fork with that tag; on its way both legs agree. `passed` is not called when that
        ended the call."""
        sdp, refusal = crossing_answer(self.answerer, self.shown, sdp) if self._has_codecs else (sdp, None)
        refusal = refusal or refusal_of_answer(self.answerer, self.shown, sdp)
        if refusal is not None:
            self._close()
            barred(refusal)
            return
        self._open()  # again, when another fork has answered before: no other change meets this one
        fork = self._fork or (tag if self.answerer.fork is not None else None)

        def rewritten(shown: bytes) -> None:
            self._replied()
            self._agree(fork, sdp, shown)
            if not self.path.is_closed:
                passed(shown)

        def unusable(refusal: Refusal) -> None:
            self._replied()
            if self.path.is_lost:
                self._interrupted(passed)
            else:
                (refused or self.path.failed)(refusal)

        if self.path.is_lost:
            self._interrupted(passed)
            return
        if self.path.offered != (self.offerer.media_tag, self.offered, self._wish):
            # Within another fork one more offer was made, which dies with it: an answer to that one this is not.
            self.path.repeat(self._tags, self.offered, self._wish)
        self._replies_due += 1
        self.offerer.media.open(id(self), opens(self.offered, sdp))
        self.answerer.media.open(id(self), Settlement(self.shown, sdp, we_offered=True).encrypted)
        self.path.heard_from(self.answerer.media_tag, self.answerer.flow.remote.host)
        self.path.answer(self._tags, sdp, rewritten, unusable)

    def _crossing(self, sdp: bytes) -> tuple[bytes, Refusal | None]:
        """An offer with the codecs that may cross, or the refusal of one without any. An earlier one crossed before."""
        spec = self.answerer.spec
        codecs = None if self.is_ours else spec.border.codecs(spec.side)
        try:
            kept = sdp if codecs is None else codecs.offer(sdp)
        except MalformedDescription as error:
            return sdp, Refusal(488, None, f"The offer cannot be read: {error.reason}")
        return (sdp, NO_CODEC) if kept is None else (kept, None)

    def fail(self) -> None:
        """No answer will stand: legs and relay go back to the exchange before."""
        self._close()
        offerer, answerer, relayed = self._before
        if self.is_lasting:
            return
        for leg, settlement in ((self.offerer, offerer), (self.answerer, answerer)):
            if settlement is not None and self.is_answered:
                # An early answer had taken it out of force: the owner hears of the way back.
                agree(leg, settlement, self._owner)
            else:
                leg.media.in_force = settlement
        if relayed is None:
            self.path.agreed = None
        elif self._is_asked:
            self.path.restore(relayed)

    def _interrupted(self, passed: Passed) -> None:
        """The relay was lost before the answer: nothing has changed, and the offerer is given our description of
        before. An offer of ours to each side follows, by another relay (relay_failover)."""
        self.fail()
        in_force = self.offerer.media.in_force
        passed(b"" if in_force is None else in_force.ours)

    def give_up(self) -> None:
        """No answer is waited for any more. The descriptions in force stay."""
        self._close()

    @property
    def _tags(self) -> tuple[str, str]:
        return self.offerer.media_tag, self.answerer.media_tag

    def _agree(self, fork: str | None, answer: bytes, shown: bytes) -> None:
        if not self._replies_due:
            self._close()
        self.is_answered = True
        theirs = Settlement(self.shown, answer, we_offered=True)
        ours = Settlement(shown, self.offered, we_offered=False)
        relayed = self.path.agreed
        if fork is not None and relayed is not None:
            self._note_fork(fork, relayed, ours, theirs)
        agree(self.answerer, theirs, self._owner)
        agree(self.offerer, ours, self._owner)

    def _note_fork(self, fork: str, relayed: Relayed, ours: Settlement, theirs: Settlement) -> None:
        self.forks |= {fork}
        if self._fork is None:
            self.answerer.media.fork_agreed(fork, Agreed(relayed, theirs, ours))
        else:
            self.offerer.media.fork_agreed(fork, Agreed(relayed, ours, theirs))

    def _replied(self) -> None:
        """The relay has replied to an answer; others of this exchange may wait there."""
        self._replies_due -= 1
        if not self._replies_due:
            for leg in (self.offerer, self.answerer):
                leg.media.opened(id(self))

    def _open(self) -> None:
        self.offerer.media.begin(id(self), is_theirs=not self.is_ours)
        self.answerer.media.begin(id(self), is_theirs=False)

    def _close(self) -> None:
        for leg in (self.offerer, self.answerer):
            leg.media.end(id(self))


def _is_unproved(leg: Leg) -> bool:
    """Whether this is a stranger that calls, and was not answered yet: the provider may still ask for its password."""
    is_early = leg.dialog is not None and leg.dialog.state is DialogState.EARLY
    return is_early and not leg.is_toward_provider and not leg.record.is_caller_known


def _can_be_encrypted(leg: Leg, sdp: bytes) -> bool | None:
    """Whether an offer can go on to this leg with all its media encrypted; None as for offer_encrypted."""
    active = [line for line in media_security(sdp) if line.port]
    if not active:
        return None
    return leg.media.wish.encryption is not Encryption.NONE and all(line.is_rtp for line in active)
