"""For each reason code one line of cause and one of remedy, in plain words: the one table of them.

gatewayctl, the pages and docs/troubleshooting.md show these lines; a test compares the document. Not here: the cause of
a single call, with its addresses and names, which its record has (CallRecord.cause).
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.state.reasons import Reason


@attrs.frozen
class Remedy:
    """The meaning of a code, and the next thing to do about it."""

    cause: str
    remedy: str


def remedy_for(code: str) -> Remedy | None:
    """The lines for a code as records and metrics have it; None for an empty one, and one of another version."""
    try:
        return REMEDIES[Reason(code)]
    except ValueError:
        return None


def anchor(code: str) -> str:
    """The place of a code in the documentation."""
    return f"docs/troubleshooting.md#{code.lower()}"


REMEDIES: Final[dict[Reason, Remedy]] = {
    Reason.CLEAR_POLICY_OFF: Remedy(
        "The domain's security is off, so nothing was encrypted.",
        "Set security of the domain to preferred or required, in the file or by gatewayctl domain NAME --security.",
    ),
    Reason.CLEAR_PEER_NO_TLS: Remedy(
        "The provider took the call without TLS, since it offers none at the address that the gateway was given.",
        "Ask the provider for its address and port for TLS (usually 5061), and put it into the provider's uri with "
        "transport=tls.",
    ),
    Reason.CLEAR_TLS_HANDSHAKE: Remedy(
        "The provider speaks TLS, but its handshake with the gateway failed, and the call went on in clear.",
        "The cause names the missing part: give the provider a certificate and private_key where it asks for one, or "
        "compare tls_minimum and ciphers with its own.",
    ),
    Reason.CLEAR_PEER_NO_SRTP: Remedy(
        "The other side answered without SRTP, so the audio was in clear.",
        "Switch SRTP with SDES keys on at the provider; try srtp_offer osrtp or dual where it takes no RTP/SAVP.",
    ),
    Reason.CLEAR_PEER_UNVERIFIED: Remedy(
        "The provider called over TLS without a certificate for its name: only its address spoke for it.",
        "Ask the provider to show a certificate when it connects, and put its authority into client_trust of the "
        "listener.",
    ),
    Reason.CLEAR_PROVIDER_488: Remedy(
        "The provider refused SRTP (488, 415 or 606), and took the call with audio in clear.",
        "Switch SRTP with SDES keys on at the provider, or compare suites and srtp_offer with those that it names.",
    ),
    Reason.CLEAR_EMERGENCY: Remedy(
        "An emergency call was put through in clear, since nothing better worked.",
        "Nothing about this call was wrong; mend the cause that its chain tells, or the next one is in clear, too.",
    ),
    Reason.CLEAR_RTCP: Remedy(
        "Audio was encrypted, but reports about it (RTCP) came in clear, which plain_rtcp allows.",
        "Take the side out of plain_rtcp once its devices encrypt RTCP as well.",
    ),
    Reason.REFUSED_CERTIFICATE: Remedy(
        "The provider's certificate does not prove that it is the provider, so nothing was sent.",
        "Unknown authority: put the authority's file into trust. Another name: let uri name one of the certificate's. "
        "Expired: the provider renews it. None of these: somebody may be in the middle.",
    ),
    Reason.REFUSED_TLS_HANDSHAKE: Remedy(
        "The provider speaks TLS, but its handshake with the gateway failed, and no call may go in clear.",
        "The cause names the missing part: give the provider a certificate and private_key where it asks for one, or "
        "compare tls_minimum and ciphers with its own.",
    ),
    Reason.REFUSED_DOWNGRADE: Remedy(
        "The other side did TLS or SRTP before and does not now: somebody in between may have taken it away.",
        "Ask the provider whether it changed something. If it did: gatewayctl peers forget NAME; if not, look for who "
        "is on the way.",
    ),
    Reason.REFUSED_NO_KEY: Remedy(
        "The caller offers SRTP and nothing else, without a key that the gateway can take.",
        "Set the phone's SRTP to SDES (a=crypto, s-descriptor); ZRTP is not spoken here, and DTLS-SRTP with web phones "
        "alone, those of a wss listener, by a fingerprint of SHA-256 or stronger.",
    ),
    Reason.REFUSED_FINGERPRINT: Remedy(
        "The certificate that a web phone's media were keyed with is not the one that its SDP promised.",
        "Somebody is on the way of the media, or a proxy before the gateway changes SDP: look at the browser's "
        "network, and let nothing rewrite messages in the WebSocket.",
    ),
    Reason.REFUSED_POLICY: Remedy(
        "The domain requires TLS and SRTP, and the other side is there but does not do both.",
        "The cause says whether TLS or SRTP is missing. Switch it on at the other side, or set the domain's security "
        "to preferred.",
    ),
    Reason.PROVIDER_UNREACHABLE: Remedy(
        "No connection to the provider comes up.",
        "Compare host and port of the provider's uri (and fallback_uri) with what the provider says; then look for a "
        "firewall on the way: nc -vz HOST PORT.",
    ),
    Reason.PROVIDER_NOT_FOUND: Remedy(
        "DNS knows no address for the provider's name.",
        "Look for a typing mistake in the provider's uri, then ask DNS on this machine: dig HOST. nameservers in "
        "[gateway] names other servers.",
    ),
    Reason.PROVIDER_SILENT: Remedy(
        "Something takes the connection or the call at the provider's address, and says nothing.",
        "The server there hangs, or the port is not for this transport: compare the port of uri (TLS is usually 5061), "
        "then ask the provider.",
    ),
    Reason.PROVIDER_REFUSED_CREDENTIALS: Remedy(
        "The provider did not take the user name or password that it was given.",
        "Compare the phone's user name and password with the provider's, or the domain's file of credentials where the "
        "gateway answers.",
    ),
    Reason.PROVIDER_REFUSED_MEDIA: Remedy(
        "The provider, or the phone called, takes none of the media that it was offered.",
        "Compare the phone's codecs with those of the provider (G.711 is taken by most); where only SRTP was offered, "
        "switch SRTP on at the provider. Where the cause says 494, set mediasec = true of the provider.",
    ),
    Reason.PROVIDER_FORBIDS: Remedy(
        "The provider does not let this caller make this call (403).",
        "Ask the provider whether the account is registered there, paid, and allowed to call this number under this "
        "caller's number.",
    ),
    Reason.PROVIDER_ERROR: Remedy(
        "The provider's server failed to put the call through (its answer was 500 or more).",
        "Ask the provider, with the time and the number called; its answer stands in the call's messages.",
    ),
    Reason.CALLER_GAVE_NO_CREDENTIALS: Remedy(
        "The provider asked for a password, and the phone did not call again with one.",
        "Enter user name and password into the phone, or into the domain's file of credentials.",
    ),
    Reason.CALLER_NOT_REGISTERED: Remedy(
        "The domain takes calls of registered phones only, and this one was not registered at its address.",
        "Let the phone register through the gateway first: gatewayctl phones shows those that are.",
    ),
    Reason.CALLER_IN_CLEAR: Remedy(
        "The phone called in clear, and its domain wants TLS of it since a roll-out led it there.",
        "See why it left TLS: its configuration, or its connection to the TLS port. To let it come in clear again: "
        "gatewayctl peers forget sip:USER@DOMAIN, or gatewayctl rollout roll-back.",
    ),
    Reason.PHONE_UNREACHABLE: Remedy(
        "The phone that was called is registered, but does not answer where it registered from.",
        "See whether the phone is on and its network up; behind NAT, let it register more often or use TLS or TCP.",
    ),
    Reason.TOO_MANY_CALLS: Remedy(
        "Too many calls of this caller, or of all callers, were up or waited for an answer.",
        "Find the caller that has so many by gatewayctl calls. Where that is right, raise its share in [limits]; where "
        "it is not, keep that phone out.",
    ),
    Reason.CALL_LIMIT_REACHED: Remedy(
        "The caller has as many calls to such numbers as a limit of calls allows.",
        "See gatewayctl limits USER. If the calls are fraud, change the user's password and keep it out; if they are "
        "not, gatewayctl limits lift USER counts anew, and its [[limit]] takes higher figures.",
    ),
    Reason.NO_PORTS: Remedy(
        "Every media port was in use, or silent after a call, so the call got none.",
        "Give [media] ports a wider range (four ports a call; two where each side has an address of its own), open it "
        "in the firewall, and restart. Where gateway_media_ports has free ones, raise the limit of open files.",
    ),
    Reason.NO_MEDIA_RELAY: Remedy(
        "No media worker (or rtpengine) answered, so the call had nobody to carry its audio.",
        "Look into the log for media relay lines; for an rtpengine, see whether it runs at the address in [media].",
    ),
    Reason.MEDIA_UNUSABLE: Remedy(
        "The media that one side offered cannot be carried: no RTP in it that the relay understands.",
        "The cause names the part; set the phone or provider to RTP audio with a usual codec, without ICE-only or "
        "data channels.",
    ),
    Reason.NO_COMMON_CODEC: Remedy(
        "One side offered or took no codec that the lists codecs of the provider and the domain let cross.",
        "Switch one of these codecs on in the phone or at the provider, or add one of theirs to the lists: the gateway "
        "does not transcode.",
    ),
}
