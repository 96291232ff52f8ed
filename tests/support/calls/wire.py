"""SIP and SDP as the judges read them: a reader of their own, so that no fault of the gateway's parsers can hide.

No more than the judges ask for: first line, single headers, the audio of an SDP, and which SRTP keys two sides agreed
on (RFC 3264 offer and answer, RFC 4568 tags).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

KEY_BYTES = {  # master key and salt, bytes
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}


@attrs.frozen
class Crypto:
    """One a=crypto line."""

    tag: int
    suite: str
    key: str = attrs.field(repr=False)  # base64, as written

    @property
    def key_bytes(self) -> bytes:
        """Master key and salt."""
        return base64.b64decode(self.key + "=" * (-len(self.key) % 4))


@attrs.frozen
class Audio:
    """The audio line of an SDP."""

    address: str
    port: int
    profile: str
    cryptos: tuple[Crypto, ...]
    direction: str

    @classmethod
    def parse(cls, sdp: bytes) -> Audio | None:
        """None when the body holds no audio that is in use."""
        text = sdp.decode("utf-8", "replace")
        media = re.search(r"^m=audio (\d+) (\S+)(.*(?:\r?\n(?!m=).*)*)", text, re.MULTILINE)
        if media is None or media[1] == "0":
            return None
        addresses = re.findall(r"^c=IN IP4 (\S+)", media[3], re.MULTILINE)
        addresses = addresses or re.findall(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
        cryptos = re.findall(r"^a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/]+=*)", media[3], re.MULTILINE)
        directions = re.findall(r"^a=(sendrecv|sendonly|recvonly|inactive)\b", media[3], re.MULTILINE)
        return cls(
            addresses[0] if addresses else "",
            int(media[1]),
            media[2],
            tuple(Crypto(int(tag), suite, key) for tag, suite, key in cryptos),
            directions[0] if directions else "sendrecv",
        )


@attrs.frozen
class SipMessage:
    """A message as somebody received it."""

    source: str  # address:port
    first_line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def parse(cls, address: str, port: int, data: bytes) -> SipMessage:
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("utf-8", "replace").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        return cls(f"{address}:{port}", first, headers, body)

    def header(self, name: str) -> str:
        """The first value, or nothing."""
        return next((value for known, value in self.headers if known == name.lower()), "")

    @property
    def method(self) -> str:
        """Of a request; nothing for a response."""
        return "" if self.first_line.startswith("SIP/2.0") else self.first_line.split(" ")[0]

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        return int(self.first_line.split(" ")[1]) if self.first_line.startswith("SIP/2.0") else 0

    @property
    def call_id(self) -> str:
        return self.header("call-id") or self.header("i")

    @property
    def from_tag(self) -> str:
        _, _, tag = (self.header("from") or self.header("f")).partition(";tag=")
        return tag.partition(";")[0]

    @property
    def cseq(self) -> str:
        return " ".join(self.header("cseq").split())

    @property
    def audio(self) -> Audio | None:
        return Audio.parse(self.body)

    @property
    def summary(self) -> str:
        audio = self.audio
        media = "" if audio is None else f"  [{audio.profile} {audio.address}:{audio.port} {audio.direction}]"
        return f"{self.first_line}  ({self.cseq}){media}"


def logged_messages(log: Path, pattern: bytes) -> list[SipMessage]:
    """The messages in a program's log; the pattern names `host`, `port` and `message`."""
    found = re.finditer(pattern, log.read_bytes())
    return [SipMessage.parse(one["host"].decode(), int(one["port"]), one["message"]) for one in found]


@attrs.frozen
class Agreed:
    """What one side sends in an agreed stream."""

    address: str  # of the sender, from its SDP
    port: int
    suite: str
    key: bytes = attrs.field(repr=False)  # master key and salt


def exchanges(messages: Iterable[SipMessage]) -> Iterator[tuple[Audio, Audio]]:
    """Every (offer, answer) of these messages, per request (an early answer counts as well as the final one)."""
    offers: dict[tuple[str, str, str], Audio] = {}
    for message in messages:
        audio, number = message.audio, message.cseq.split(" ")[0]
        if audio is None:
            continue
        # The two sides count their CSeq each for itself: the tag of From tells them apart.
        exchange = (message.call_id, message.from_tag, number)
        if message.method == "ACK" and exchange in offers:
            yield offers.pop(exchange), audio
        elif message.method:
            offers[exchange] = audio
        elif exchange in offers and offers[exchange] != audio:
            yield offers[exchange], audio
        else:
            offers[exchange] = audio  # late offer: the 200 offers, the ACK answers


def agreed_keys(messages: Iterable[SipMessage]) -> set[Agreed]:
    """The SRTP keys both sides settled on, one for each sender of each exchange (RFC 4568 section 5.1.2)."""
    agreed = set()
    for offer, answer in exchanges(messages):
        for chosen in answer.cryptos[:1]:
            mine = [crypto for crypto in offer.cryptos if crypto.tag == chosen.tag]
            for audio, crypto in [(offer, crypto) for crypto in mine] + [(answer, chosen)]:
                agreed.add(Agreed(audio.address, audio.port, chosen.suite, crypto.key_bytes))
    return agreed


def keys_in(messages: Iterable[SipMessage]) -> set[str]:
    """Every key that appears in any SDP of these messages, base64 as written."""
    return {crypto.key for message in messages if message.audio for crypto in message.audio.cryptos}
