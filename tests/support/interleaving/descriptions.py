"""Session descriptions of the interleavings: each has ports and keys of its own, to be known again on every wire.

They are written and read with a few regular expressions, and nothing of the gateway's.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from typing import Final, NamedTuple

FORMS: Final = ("SAVP", "AVP", "OSRTP", "DUAL", "NONE", "FAX")
"""RTP/SAVP; RTP/AVP; RTP/AVP with a key; both in two m-lines; no stream (port 0); T.38."""

_LINE: Final = re.compile(rb"^m=(\S+) (\d+) (\S+)[^\n]*\n((?:[^m\r\n][^\n]*\n)*)", re.M)


class Line(NamedTuple):
    """One m-line as it stands."""

    kind: bytes
    port: int
    protocol: bytes
    keys: tuple[bytes, ...]

    @property
    def is_secure(self) -> bool:
        return b"SAVP" in self.protocol

    @property
    def can_be_srtp(self) -> bool:
        return bool(self.port and self.keys and self.protocol.startswith(b"RTP/"))


def lines_of(sdp: bytes) -> list[Line]:
    """The m-lines of a description."""
    found = _LINE.findall(sdp)
    return [
        Line(kind, int(port), protocol, tuple(re.findall(rb"inline:([\w+/=]+)", rest)))
        for kind, port, protocol, rest in found
    ]


def ports_of(sdp: bytes) -> set[int]:
    """The ports by which a description is known again; none of one without a stream."""
    return {line.port for line in lines_of(sdp) if line.port}


class Descriptions:
    """Makes descriptions, no two with the same port."""

    def __init__(self, host: str, first_port: int) -> None:
        self._host = host.encode()
        self._ports = itertools.count(first_port, 2)
        self._versions = itertools.count(1)

    def make(self, form: str) -> bytes:
        """A description in one of the forms."""
        if form == "DUAL":
            return self._session() + self._media("SAVP", self._number()) + self._media("AVP", self._number())
        return self._session() + self._media(form, 0 if form == "NONE" else self._number())

    def answer(self, offer: bytes, form: str) -> bytes:
        """An answer with as many m-lines as the offer has; the first active one is taken, in that form."""
        result, is_taken = self._session(), False
        for line in lines_of(offer):
            if line.port and not is_taken:
                is_taken = True
                result += self._media(form, 0 if form == "NONE" else self._number())
            else:
                result += b"m=%s 0 %s 0\r\n" % (line.kind, line.protocol)
        return result

    def mirror(self, offer: bytes, chosen: int, form: str) -> bytes:
        """An answer that takes one m-line of the offer and refuses the others."""
        result = self._session()
        for index, line in enumerate(lines_of(offer)):
            taken = index == chosen and form != "NONE"
            result += self._media(form, self._number()) if taken else b"m=%s 0 %s 0\r\n" % (line.kind, line.protocol)
        return result

    def _number(self) -> int:
        return next(self._ports)

    def _session(self) -> bytes:
        return b"v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n" % (
            next(self._versions),
            self._host,
            self._host,
        )

    def _media(self, form: str, port: int) -> bytes:
        if form == "FAX":
            return b"m=image %d udptl t38\r\n" % port
        line = b"m=audio %d %s 0\r\n" % (port, b"RTP/SAVP" if form == "SAVP" else b"RTP/AVP")
        if form not in ("SAVP", "OSRTP"):
            return line
        key = base64.b64encode(hashlib.sha256(b"%s %d" % (self._host, port)).digest()[:30])
        return line + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key + b"\r\n"
