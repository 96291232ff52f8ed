"""The security policy as pure functions: attempts at a provider, and refusals.

Here: the first attempt, the one after a failure, whether an answer or an inbound call is acceptable. Not here: the
values and reason codes (terms.py), peers as they were seen (peer_memory.py), sending, chains of reasons
(gateway/b2bua).

    CallTerms, Capability -> first_attempt -> Attempt --failed(failure)--> next_attempt -> Attempt | Refusal
                                              Attempt, answer encrypted? -> accepts_answer -> Acceptance | Refusal

The argument, which a property test walks through every sequence of failures:
- ``required`` (and no emergency number): every attempt is TLS with SRTP offered, so nothing leaves in clear, for no
  act of a peer or of an attacker between; a failure ends in a Refusal.
- SRTP is offered over TLS only, under every policy: keys in a clear INVITE (RFC 4568 section 7) protect from nobody
  that sees the INVITE, yet look like protection.
- Each cause is answered once: a TLS failure by clear signalling, a media refusal by RTP/AVP. An attempt that has
  neither left has nothing to fall back to, so at most three attempts are made.
- A certificate that does not verify is somebody else, not a lack of TLS: no fallback. Emergency numbers are the one
  exception from all of this: they fall back after any failure, to the provider's host over UDP if nothing else is
  known, and from there to TLS where that was not tried.
"""

import attrs

from gateway.config.model import Downgrade, Security, Signalling
from gateway.media.relay import Encryption
from gateway.security.policy.terms import (
    LACKS_TLS,
    MEDIA_REFUSALS,
    NOT_THIS_WAY,
    UNKNOWN,
    UNREACHED,
    Acceptance,
    Attempt,
    CallTerms,
    Capability,
    InboundSignalling,
    MediaFailure,
    PeerFailure,
    Reason,
    Refusal,
    accepted,
    tried,
)
from gateway.transport.flow import FailureKind

_TLS_REQUIRED = Refusal(503, Reason.REFUSED_POLICY, "This domain requires TLS")
_NO_TLS_ADDRESS = "the provider's uri names a transport without TLS, and so does its fallback_uri, if it has one"


def first_attempt(terms: CallTerms, known: Capability = UNKNOWN) -> Attempt | Refusal:
    """The attempt to begin with."""
    if terms.security is Security.OFF:
        return _unprotected(terms)
    if terms.has_tls and not (known.tls is False and _may_be_clear(terms) and terms.has_clear):
        return _over_tls(terms, known)
    return _without_tls(terms, attrs.evolve(known, tls=False), "" if terms.has_tls else _NO_TLS_ADDRESS)


def next_attempt(terms: CallTerms, attempt: Attempt, known: Capability = UNKNOWN) -> Attempt | Refusal:
    """The attempt after ``attempt``, whose ``failure`` is set, or the refusal that ends the call.

    ``known`` is the peer's capability as known before the first attempt: a peer that did TLS or SRTP then and fails now
    is a probable downgrade.
    """
    decision = _answer_to_failure(terms, attempt, known)
    if isinstance(decision, Refusal):
        return _last_resort(terms, attempt, known, decision) if terms.is_emergency else decision
    if decision.signalling is attempt.signalling:
        return attrs.evolve(decision, gave_up=attempt.gave_up)
    if decision.signalling is attempt.gave_up:
        return Refusal(503, Reason.PROVIDER_UNREACHABLE, "The provider cannot be reached", cause=attempt.cause)
    return attrs.evolve(decision, gave_up=attempt.signalling)


def _answer_to_failure(terms: CallTerms, attempt: Attempt, known: Capability) -> Attempt | Refusal:
    match attempt.failure:
        case None:
            return Refusal(500, None, "nothing failed")
        case MediaFailure():
            return _after_media_failure(terms, attempt, known, Reason.CLEAR_PEER_NO_SRTP)
        case FailureKind() as kind:
            return _after_transport_failure(terms, attempt, known, kind)
        case PeerFailure():
            return Refusal(408, Reason.PROVIDER_SILENT, "The provider does not answer", cause=attempt.cause)
        case status if status in MEDIA_REFUSALS and attempt.encryption is not Encryption.NONE:
            return _after_media_failure(terms, attempt, known, Reason.CLEAR_PROVIDER_488)
        case status:
            return Refusal(status, None, attempt.cause or "the peer's answer")


def accepts_answer(
    terms: CallTerms, attempt: Attempt, encrypted: bool | None, known: Capability = UNKNOWN
) -> Acceptance | Refusal:
    """Whether a 2xx to ``attempt`` may stand; ``encrypted`` says its SDP is (None: no media flows).

    A Refusal after a 2xx means ACK and BYE toward the peer, and its status toward the caller.
    """
    if encrypted is not False:
        return accepted(attempt.reason, attempt.is_downgrade)
    if attempt.encryption is Encryption.NONE:
        return accepted(attempt.reason or Reason.CLEAR_PEER_NO_SRTP, attempt.is_downgrade)
    return _weaker_media(terms, known, Reason.CLEAR_PEER_NO_SRTP)


def takes_clear(terms: CallTerms, known: Capability = UNKNOWN) -> bool:
    """Whether media may become clear where SRTP is offered, in an early answer or the final one."""
    return not isinstance(_weaker_media(terms, known, Reason.CLEAR_PEER_NO_SRTP), Refusal)


def accepts_change(terms: CallTerms, encrypted: bool | None, was_encrypted: bool) -> Acceptance | Refusal:
    """Whether media that an answer settled may stand; ``was_encrypted`` says that it was, earlier in this call."""
    if encrypted is not False or terms.security is Security.OFF:
        return accepted()
    return _weaker_media(terms, Capability(srtp=was_encrypted), Reason.CLEAR_PEER_NO_SRTP)


def unanswerable() -> Refusal:
    """The end of a call whose offer brings no key for the SRTP that it wants (``lacks_keys``)."""
    return Refusal(488, Reason.REFUSED_NO_KEY, "SRTP was offered without a key that can be taken")


def another_certificate() -> Refusal:
    """The end of a call with media that are keyed by another certificate than the one that the SDP promised."""
    return Refusal(488, Reason.REFUSED_FINGERPRINT, "The certificate of DTLS is not the one of the SDP")


def accepts_inbound(
    terms: CallTerms, arrival: InboundSignalling, encrypted: bool | None, known: Capability = UNKNOWN
) -> Acceptance | Refusal:
    """Whether an INVITE from the provider may go on; ``encrypted`` says its offer is (None: the offer is ours)."""
    if terms.security is Security.OFF:
        fully = arrival is InboundSignalling.VERIFIED and encrypted is not False
        return accepted(None if fully else Reason.CLEAR_POLICY_OFF)
    if arrival is InboundSignalling.UNVERIFIED:
        # No downgrade: a provider that shows us its certificate when we call may have none as a client.
        refusal = Refusal(503, Reason.REFUSED_POLICY, "This domain requires a verified peer")
        return _weaker(terms, False, Reason.CLEAR_PEER_UNVERIFIED, refusal)
    if arrival is InboundSignalling.CLEAR:
        return _weaker(terms, known.tls is True, Reason.CLEAR_PEER_NO_TLS, _TLS_REQUIRED)
    return accepted() if encrypted is not False else _weaker_media(terms, known, Reason.CLEAR_PEER_NO_SRTP)


def _may_be_clear(terms: CallTerms) -> bool:
    return terms.is_emergency or terms.security is not Security.REQUIRED


def _has_clear_way(terms: CallTerms) -> bool:
    return terms.is_emergency or (terms.security is not Security.REQUIRED and terms.has_clear)


def _over_tls(terms: CallTerms, known: Capability) -> Attempt:
    if known.srtp is False and _may_be_clear(terms):
        reason = _reason(terms, Reason.CLEAR_PEER_NO_SRTP)
        return tried(Signalling.TLS, Encryption.NONE, reason)
    return tried(Signalling.TLS, terms.offer)


def _unprotected(terms: CallTerms) -> Attempt:
    """``off``: in clear where the configuration has such a place, else media in clear over its TLS."""
    signalling = Signalling.CLEAR if terms.has_clear else Signalling.TLS
    return tried(signalling, Encryption.NONE, Reason.CLEAR_POLICY_OFF)


def _without_tls(terms: CallTerms, known: Capability, cause: str = "") -> Attempt | Refusal:
    """Clear signalling, when the terms allow it and the configuration has a place for it."""
    reason, refusal = Reason.CLEAR_PEER_NO_TLS, _TLS_REQUIRED
    nowhere = Refusal(503, Reason.REFUSED_POLICY, "The provider cannot be reached by TLS and has no other address")
    if known.speaks_tls:
        reason = Reason.CLEAR_TLS_HANDSHAKE
        refusal = nowhere = Refusal(503, Reason.REFUSED_TLS_HANDSHAKE, f"No TLS handshake with the provider: {cause}")
    refusal, nowhere = attrs.evolve(refusal, cause=cause), attrs.evolve(nowhere, cause=cause)
    allowed = _weaker(terms, known.tls is True, reason, refusal)
    if isinstance(allowed, Refusal):
        return allowed
    if not (terms.has_clear or terms.is_emergency):
        return nowhere
    return tried(Signalling.CLEAR, Encryption.NONE, allowed.reason, allowed.is_downgrade)


def _after_transport_failure(
    terms: CallTerms, attempt: Attempt, known: Capability, kind: FailureKind
) -> Attempt | Refusal:
    if attempt.signalling is Signalling.CLEAR:
        return _unreached(kind, attempt.cause)
    if terms.is_emergency and kind not in LACKS_TLS:
        return tried(Signalling.CLEAR, Encryption.NONE, Reason.CLEAR_EMERGENCY, known.tls is True)
    if kind is FailureKind.CERTIFICATE:
        text = "The provider's certificate cannot be verified"
        return Refusal(503, Reason.REFUSED_CERTIFICATE, text, cause=attempt.cause)
    if kind not in LACKS_TLS or (terms.security is Security.OFF and not terms.is_emergency):
        return _unreached(kind, attempt.cause)
    if kind in UNREACHED and not _has_clear_way(terms):
        # No downgrade: nobody answered, and nothing weaker would have been taken.
        return _unreached(kind, attempt.cause)
    return _without_tls(terms, attrs.evolve(known, speaks_tls=kind is FailureKind.HANDSHAKE), attempt.cause)


def _unreached(kind: FailureKind, cause: str) -> Refusal:
    """The end of a call to a provider that is not there: no act of the policy, which was asked nothing."""
    reason, text = UNREACHED.get(kind, (Reason.PROVIDER_UNREACHABLE, "The provider cannot be reached"))
    return Refusal(503, reason, text, cause=cause)


def _after_media_failure(terms: CallTerms, attempt: Attempt, known: Capability, reason: Reason) -> Attempt | Refusal:
    """The same signalling with RTP/AVP, once."""
    if attempt.encryption is Encryption.NONE:
        cause = attempt.cause or "the provider's answer does not fit the offer"
        return Refusal(488, Reason.MEDIA_UNUSABLE, "The media is not acceptable", cause=cause)
    allowed = _weaker_media(terms, known, reason)
    if isinstance(allowed, Refusal):
        return attrs.evolve(allowed, cause=attempt.cause)
    return tried(attempt.signalling, Encryption.NONE, allowed.reason, allowed.is_downgrade or attempt.is_downgrade)


def _last_resort(terms: CallTerms, attempt: Attempt, known: Capability, refusal: Refusal) -> Attempt | Refusal:
    """An emergency call with nothing left takes the signalling that it has not tried, be it the better one.

    A 488 in clear may be forged, or come from a provider that takes TLS only while the policy is ``off`` or TLS failed
    minutes ago. SRTP is not offered in clear even so: a provider that wants SRTP without TLS is not known.
    """
    failure = attempt.failure
    if attempt.gave_up is not None or (isinstance(failure, int) and failure not in NOT_THIS_WAY):
        return refusal
    if attempt.signalling is Signalling.TLS:
        is_silent = failure in (PeerFailure.NO_ANSWER, 408)
        is_downgrade = known.tls is True and is_silent  # it was reached over TLS, and fell silent
        return Attempt(Signalling.CLEAR, Encryption.NONE, Reason.CLEAR_EMERGENCY, is_downgrade, gave_up=Signalling.TLS)
    if not terms.has_tls:
        return refusal
    return Attempt(Signalling.TLS, terms.offer, gave_up=Signalling.CLEAR)


_NO_SRTP = Refusal(488, Reason.REFUSED_POLICY, "This domain requires SRTP")


def _weaker_media(terms: CallTerms, known: Capability, reason: Reason) -> Acceptance | Refusal:
    return _weaker(terms, known.srtp is True, reason, _NO_SRTP)


def _weaker(terms: CallTerms, did_better: bool, reason: Reason, refusal: Refusal) -> Acceptance | Refusal:
    """Whether less protection than wanted may be taken: the one place that says so."""
    if terms.is_emergency:
        return accepted(_reason(terms, reason, did_better), did_better)
    if terms.security is Security.REQUIRED:
        return attrs.evolve(refusal, is_downgrade=did_better)
    if did_better and terms.downgrade is Downgrade.REFUSE:
        text = "The peer was seen to do better: a probable downgrade"
        return Refusal(refusal.status, Reason.REFUSED_DOWNGRADE, text, is_downgrade=True, cause=refusal.cause)
    return accepted(reason, did_better)


def _reason(terms: CallTerms, reason: Reason, did_better: bool = False) -> Reason:
    """``reason``, or CLEAR_EMERGENCY where only the emergency number lets the call go on."""
    would_refuse = terms.security is Security.REQUIRED or (did_better and terms.downgrade is Downgrade.REFUSE)
    return Reason.CLEAR_EMERGENCY if terms.is_emergency and would_refuse else reason
