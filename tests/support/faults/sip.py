"""SIP over UDP as the parties of the faults write and read it: no more than they need."""

from __future__ import annotations

import re
import secrets

import attrs

SDP = "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"


@attrs.frozen
class Sip:
    """A message as it came."""

    first: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @classmethod
    def read(cls, data: bytes) -> Sip:
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        fields = [line.partition(":") for line in lines]
        return cls(first, tuple((name.strip().lower(), value.strip()) for name, _, value in fields), body)

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of a request; of the request that a response answers."""
        return self.header("cseq").split()[1]

    def header(self, name: str) -> str:
        """The first of that name, or nothing."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def media(self) -> tuple[str, int]:
        """Where its SDP wants audio."""
        host = re.search(r"c=IN IP4 (\S+)", self.body)
        port = re.search(r"m=audio (\d+)", self.body)
        assert host is not None
        assert port is not None
        return host[1], int(port[1])

    def answered(self, status: int, reason: str, fields: str = "", body: str = "", tag: str = "p") -> bytes:
        """A response to it."""
        lines = [f"SIP/2.0 {status} {reason}"]
        lines += [f"Via: {via}" for via in self.all("via")]
        lines += [f"Record-Route: {route}" for route in self.all("record-route")]
        to = self.header("to")
        lines += [f"From: {self.header('from')}", f"To: {to}" if ";tag=" in to else f"To: {to};tag={tag}"]
        lines += [f"Call-ID: {self.header('call-id')}", f"CSeq: {self.header('cseq')}"]
        return ("\r\n".join(lines) + f"\r\n{fields}{_body(body)}").encode()


def request(line: str, source: tuple[str, int], headers: str, body: str = "") -> bytes:
    """A request with a branch of its own; `headers` end with a line break each."""
    via = f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bK{secrets.token_hex(8)};rport\r\n"
    return f"{line} SIP/2.0\r\n{via}Max-Forwards: 70\r\n{headers}{_body(body)}".encode()


def _body(body: str) -> str:
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
