"""The stable codes that say why a call was not encrypted, was refused, or came to nothing.

They are part of records, metrics and responses (RFC 3326), and operators search by them: a code keeps its meaning for
ever. Not here: the words for people, and the remedy of each (remedies.py); the rules that choose one
(gateway/security/policy, gateway/b2bua/setup).
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why. CLEAR_... of a call that went on with less, REFUSED_... of one that the policy ended, all others of one that
    something else kept from being a call."""

    CLEAR_POLICY_OFF = "CLEAR_POLICY_OFF"
    CLEAR_PEER_NO_TLS = "CLEAR_PEER_NO_TLS"
    CLEAR_TLS_HANDSHAKE = "CLEAR_TLS_HANDSHAKE"
    """The peer speaks TLS, but not with us: it wants a certificate of ours, no version or cipher is common, ..."""
    CLEAR_PEER_NO_SRTP = "CLEAR_PEER_NO_SRTP"
    CLEAR_PEER_UNVERIFIED = "CLEAR_PEER_UNVERIFIED"
    """TLS, but from somebody without a certificate for the provider's name: the far end of the encryption is
    unknown."""
    CLEAR_PROVIDER_488 = "CLEAR_PROVIDER_488"
    CLEAR_EMERGENCY = "CLEAR_EMERGENCY"
    CLEAR_RTCP = "CLEAR_RTCP"
    """All media are SRTP, but the peer's RTCP came in clear, which the configuration lets it."""
    REFUSED_CERTIFICATE = "REFUSED_CERTIFICATE"
    REFUSED_TLS_HANDSHAKE = "REFUSED_TLS_HANDSHAKE"
    """As CLEAR_TLS_HANDSHAKE, where nothing in clear is allowed or known."""
    REFUSED_DOWNGRADE = "REFUSED_DOWNGRADE"
    REFUSED_NO_KEY = "REFUSED_NO_KEY"
    """The caller offers SRTP and nothing else, without a key that can be taken: no answer would be an answer to it."""
    REFUSED_FINGERPRINT = "REFUSED_FINGERPRINT"
    """The certificate in the DTLS handshake of a web phone is not the one of its SDP: somebody else is on the way."""
    REFUSED_POLICY = "REFUSED_POLICY"
    """The domain requires protection that the other side, which is there, does not give."""
    PROVIDER_UNREACHABLE = "PROVIDER_UNREACHABLE"
    """No connection to it comes up, or the one there was has ended."""
    PROVIDER_NOT_FOUND = "PROVIDER_NOT_FOUND"
    """DNS knows no way to it."""
    PROVIDER_SILENT = "PROVIDER_SILENT"
    """It takes the connection or the INVITE, and says nothing."""
    PROVIDER_REFUSED_CREDENTIALS = "PROVIDER_REFUSED_CREDENTIALS"
    """It asks again for a password after one was given."""
    PROVIDER_REFUSED_MEDIA = "PROVIDER_REFUSED_MEDIA"
    """Its 415, 488, 494 or 606 to all that it was offered, to RTP in clear as well where that was allowed."""
    PROVIDER_FORBIDS = "PROVIDER_FORBIDS"
    """Its 403."""
    PROVIDER_ERROR = "PROVIDER_ERROR"
    """Its final answer of 500 or more that speaks of a fault of its own."""
    CALLER_GAVE_NO_CREDENTIALS = "CALLER_GAVE_NO_CREDENTIALS"
    """The provider asked for a password, and the phone did not call again with one."""
    CALLER_NOT_REGISTERED = "CALLER_NOT_REGISTERED"
    """The domain takes calls of registered phones only."""
    CALLER_IN_CLEAR = "CALLER_IN_CLEAR"
    """A roll-out has led the phone to TLS, and the domain takes nothing of it in clear."""
    PHONE_UNREACHABLE = "PHONE_UNREACHABLE"
    """The phone called is registered, and does not answer."""
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    """Too many calls of this caller, or of all, are up or wait for an answer."""
    CALL_LIMIT_REACHED = "CALL_LIMIT_REACHED"
    """A limit of calls refuses this one, or its transfer or redirection."""
    NO_PORTS = "NO_PORTS"
    """Every media port is in use, or silent after a call."""
    NO_MEDIA_RELAY = "NO_MEDIA_RELAY"
    """No worker or rtpengine answers."""
    MEDIA_UNUSABLE = "MEDIA_UNUSABLE"
    """The offer cannot be relayed, be it the caller's or the callee's."""
    NO_COMMON_CODEC = "NO_COMMON_CODEC"
    """No codec of the offer or answer is one that the configuration lets cross."""

    @property
    def is_refusal(self) -> bool:
        """Whether it tells of a call that the policy ended: then the verdict is REFUSED."""
        return self.startswith("REFUSED_")
