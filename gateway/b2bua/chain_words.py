"""The words of a call's chain of reasons: offers, answers, failures and ways, as `Protection` puts them down.

They hold no key, no credential and no address of a phone. Not here: the order of the links
(gateway/b2bua/protection.py), the words for codes (gateway/state/remedies.py).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from gateway.media.relay import Encryption
from gateway.security.access_list import Proof, ProofKind
from gateway.security.policy.terms import Failure, InboundSignalling, PeerFailure
from gateway.state.call_record import ChainLink, ChainStep, LegName
from gateway.transport.flow import FailureKind, Flow

OFFERED: Final = {
    Encryption.NONE: "RTP/AVP",
    Encryption.SAVP: "RTP/SAVP with SDES keys",
    Encryption.OSRTP: "RTP/AVP with SDES keys (OSRTP)",
    Encryption.DUAL: "RTP/SAVP and RTP/AVP",
    Encryption.DTLS: "DTLS-SRTP",
}

_DTLS: Final = Encryption.DTLS  # read once: Python 3.11 calls a function for each look

CAME_OVER: Final = {
    InboundSignalling.VERIFIED: "TLS",
    InboundSignalling.UNVERIFIED: "TLS of nobody in particular",
    InboundSignalling.CLEAR: "clear signalling",
}


def arrival(flow: Flow, proof: Proof | None) -> InboundSignalling:
    """How a provider's request came; ``proof``: of its sender."""
    if not flow.is_secure:
        return InboundSignalling.CLEAR
    is_proved = proof is not None and proof.kind is ProofKind.CERTIFICATE
    return InboundSignalling.VERIFIED if is_proved else InboundSignalling.UNVERIFIED


def failed(failure: Failure, cause: str) -> str:
    """How an attempt ended; ``cause``: the same in words, as far as they are known."""
    if failure is FailureKind.HANDSHAKE:
        return f"it speaks TLS, but the handshake failed: {cause}"
    if failure is PeerFailure.NO_ANSWER:
        return "failed: no answer (408)"
    return f"failed: {cause} ({failure})" if cause else f"failed: {failure}"


def media(encrypted: bool | None, form: Encryption | None = None) -> str:
    """How media is protected, None: there is none yet; ``form``: that of the leg, where it is known."""
    if encrypted and form is _DTLS:
        return "DTLS-SRTP"
    return "no media yet" if encrypted is None else "SRTP" if encrypted else "RTP in clear"


@lru_cache(maxsize=256)
def link(leg: LegName, step: ChainStep, text: str, code: str) -> ChainLink:
    """A link of a chain; those of most calls are the same."""
    return ChainLink(leg, step, text, code)
