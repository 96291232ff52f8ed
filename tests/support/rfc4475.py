"""The 49 messages of RFC 4475, by the names that the RFC gives them, for tests of every layer.

They are written in the RFC's own notation (its section 2): <allOneLine> for long lines, <hex> for bytes, <repeat> for
long stretches. Ours are <sp> for a space at the end of a line, and <sdp ADDRESS> for the body that most of them have.
"""

from __future__ import annotations

import re

import attrs

from tests.support.rfc4475_invalid import MESSAGES as INVALID
from tests.support.rfc4475_semantics import MESSAGES as SEMANTICS
from tests.support.rfc4475_valid import MESSAGES as VALID

_SDP = """v=0
o=mhandley 29739 7272939 IN IP4 {0}
s=-
c=IN IP4 {1}
t={2}
m=audio 49217 RTP/AVP 0 12
m=video 3227 RTP/AVP 31
a=rtpmap:31 LPC"""


@attrs.frozen
class Torture:
    """One message: its name and section in RFC 4475, and its bytes."""

    name: str
    section: str
    title: str
    data: bytes


def _sdp(match: re.Match[str]) -> str:
    origin, *rest = match[1].split(" ")
    connection, time = rest or (origin, "0/0")
    return _SDP.format(origin, connection, time.replace("/", " "))


def read_notation(text: str) -> bytes:
    """The bytes that the RFC's notation stands for."""
    text = re.sub(r"<sdp ([^>]*)>", _sdp, text)
    text = re.sub(r"<allOneLine>\n(.*?)\n</allOneLine>", lambda m: m[1].replace("\n", ""), text, flags=re.DOTALL)
    text = re.sub(r"<repeat count=(\d+)>(.*?)</repeat>", lambda m: m[2] * int(m[1]), text)
    data = text.replace("<sp>", " ").replace("\n", "\r\n").encode("ascii")
    return re.sub(rb"<hex>([0-9A-F]*)</hex>", lambda m: bytes.fromhex(m[1].decode()), data)


MESSAGES: dict[str, Torture] = {
    name: Torture(name, section, title, read_notation(text))
    for name, (section, title, text) in (VALID | INVALID | SEMANTICS).items()
}
