"""SIP and SDP as the scripted parties write them: text, and nothing of the gateway's code."""

from __future__ import annotations

import base64
import secrets

from tests.support.calls.wire import KEY_BYTES, Audio, SipMessage

SUITES = ("AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80")


def crypto_line(tag: int, suite: str) -> str:
    """An a=crypto line with a new key."""
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES[suite])).decode()
    return f"a=crypto:{tag} {suite} inline:{key}\r\n"


def session(address: str, port: int, profile: str, *lines: str) -> bytes:
    """An SDP with one audio line."""
    head = f"v=0\r\no=- {port} 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
    return f"{head}m=audio {port} {profile} 0\r\n{''.join(lines)}a=sendrecv\r\n".encode()


def offer(address: str, port: int, *, srtp: bool, keys: bool = True) -> bytes:
    """An offer of SRTP (two suites) or of RTP; without ``keys`` it only says that it is SRTP."""
    lines = [crypto_line(tag, suite) for tag, suite in enumerate(SUITES, 1)] if srtp and keys else []
    return session(address, port, "RTP/SAVP" if srtp else "RTP/AVP", *lines)


def answer(address: str, port: int, offered: Audio) -> bytes:
    """The offer's own profile, with the first of its suites."""
    lines = [crypto_line(crypto.tag, crypto.suite) for crypto in offered.cryptos[:1]]
    return session(address, port, offered.profile, *lines)


def request(
    line: str, via: str, peers: tuple[str, str], call_id: str, cseq: str, contact: str, body: bytes = b""
) -> bytes:
    """A request; ``peers`` are From and To as they are written, ``via`` transport and address."""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    head = (
        f"{line} SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bK{secrets.token_hex(8)};rport\r\nMax-Forwards: 70\r\n"
        f"From: {peers[0]}\r\nTo: {peers[1]}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\nContact: {contact}\r\n{kind}"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def response(to: SipMessage, status: int, contact: str, tag: str, body: bytes = b"", *more: str) -> bytes:
    """A response to a request, its To tagged."""
    copied = [f"{name}: {value}" for name, value in to.headers if name in ("via", "from", "call-id", "cseq")]
    told = to.header("to")
    lines = [*copied, f"To: {told}" if ";tag=" in told else f"To: {told};tag={tag}", f"Contact: {contact}", *more]
    if body:
        lines.append("Content-Type: application/sdp")
    head = "".join(f"{line}\r\n" for line in lines)
    return f"SIP/2.0 {status} Said\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def refusal_ack(invite: bytes, refused: SipMessage) -> bytes:
    """The ACK of a final response that is no 2xx: the INVITE's own branch (RFC 3261 section 17.1.1.3)."""
    head, *lines = invite.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    kept = [line for line in lines if line.startswith(("Via:", "From:", "Call-ID:", "Max-Forwards:"))]
    cseq = next(line for line in lines if line.startswith("CSeq:")).replace("INVITE", "ACK")
    text = "\r\n".join([head.replace("INVITE ", "ACK ", 1), *kept, f"To: {refused.header('to')}", cseq])
    return f"{text}\r\nContent-Length: 0\r\n\r\n".encode()


def uri_in(value: str) -> str:
    """The URI of a name-addr."""
    return value.partition("<")[2].partition(">")[0] if "<" in value else value.partition(";")[0]
