"""The price of a traced message: its secrets taken out. `chrt -f 10 python -m bench.redaction`

Messages of a call and a registration as most look, with credentials and keys of SDES or without, and two that need the
slow search. Microseconds, the least and the median of rounds.
"""

from __future__ import annotations

import base64
import time
from statistics import median

from gateway.transport.trace.filler import without_secrets

ROUNDS = 15
MESSAGES = 200
"""Of a round."""

_KEYS = [base64.b64encode(bytes(range(start, start + 30))).decode() for start in (7, 80)]
_HEAD = """INVITE sip:+4930123456@sip.provider.example;user=phone SIP/2.0
Via: SIP/2.0/TLS 198.51.100.7:5061;branch=z9hG4bK6a3f9d0c5b1e4a7788aa;rport
Max-Forwards: 69
From: "Ana" <sip:+4940998877@sip.provider.example>;tag=6fcd0c4a1b
To: <sip:+4930123456@sip.provider.example>
Call-ID: 3a1f09bce2d74f6d8e5b9a00@198.51.100.7
CSeq: 2 INVITE
Contact: <sip:gw@198.51.100.7:5061;transport=tls>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY
Supported: timer, 100rel, replaces
Session-Expires: 1800;refresher=uac
"""
_DIGEST = """Proxy-Authorization: Digest username="4940998877", realm="sip.provider.example",
 nonce="5f1d7ad3c0a94be6a9d1bb06fb4ef44e", uri="sip:+4930123456@sip.provider.example;user=phone",
 response="6629fae49393a05397450978507c4ef1", algorithm=MD5, cnonce="0a4f113b7c9e", qop=auth, nc=00000001
"""
_SDP = """Content-Type: application/sdp

v=0
o=- 1545997027 1 IN IP4 198.51.100.7
s=-
c=IN IP4 198.51.100.7
t=0 0
m=audio 20004 RTP/AVP 8 0 9 18 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:9 G722/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
"""
_CRYPTO = "".join(f"a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31|1:4\n" for tag, key in enumerate(_KEYS, 1))
_CHALLENGE = """SIP/2.0 401 Unauthorized
Via: SIP/2.0/TLS 198.51.100.7:5061;branch=z9hG4bK6a3f9d0c5b1e4a7788aa;rport=5061
From: <sip:+4940998877@sip.provider.example>;tag=6fcd0c4a1b
To: <sip:+4940998877@sip.provider.example>;tag=b27e1a1d33761e85846fc98f5f3a7e58.0503
Call-ID: 3a1f09bce2d74f6d8e5b9a00@198.51.100.7
CSeq: 1 REGISTER
WWW-Authenticate: Digest realm="sip.provider.example", nonce="5f1d7ad3c0a94be6a9d1bb06fb4ef44e", qop="auth"

"""
KINDS = {
    "no body": _HEAD.replace("INVITE sip", "BYE sip") + "\n",
    "no body, credentials": _HEAD + _DIGEST + "\n",
    "challenge": _CHALLENGE,
    "SDP": _HEAD + _SDP,
    "SDP with two keys": _HEAD + _SDP + _CRYPTO,
    "SDP, credentials": _HEAD + _DIGEST + _SDP,
    "SDP with two keys, credentials": _HEAD + _DIGEST + _SDP + _CRYPTO,
    "escapes in a URI": _HEAD.replace("+4930123456@", "%2B4930123456@") + _SDP,
    "an unusual key": _HEAD + _SDP + _CRYPTO.replace("|2^31|1:4", "|2^31|1:4 UNENCRYPTED_SRTP"),
}


def main() -> None:
    """A line for each kind."""
    for kind, text in KINDS.items():
        message = text.replace("\n", "\r\n").encode()
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(MESSAGES):
                without_secrets(message)
            times.append(1e6 * (time.perf_counter() - began) / MESSAGES)
        print(f"{kind:32} {len(message):5} bytes  {min(times):6.1f} µs, median {median(times):6.1f}", flush=True)


if __name__ == "__main__":
    main()
