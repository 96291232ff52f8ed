"""Browsers behind an rtpengine: the flags that its DTLS-SRTP and ICE need, by whose SDP a command carries.

    offer toward a browser    ICE: force, DTLS: passive, ... (ng_commands, by the wish)
    offer of a browser        DTLS-reverse: passive: the answer to it says a=setup:passive; its own lines are left out
    answer to that offer      ICE: force, since this SDP goes to the browser

An rtpengine follows a browser by ICE, hence none of the flags that hold a phone to the address in its SDP. Our workers
find all of this in the SDP themselves.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.media import ng_commands
from gateway.media.relay import JSON

_DTLS_LINE: Final = re.compile(r"^m=\S+ [1-9]\d* UDP/TLS/RTP/SAVPF? ", re.MULTILINE | re.IGNORECASE)
_ITS_OWN: Final = re.compile(
    r"^a=(?:extmap(?:-allow-mixed)?|msid(?:-semantic)?|ssrc(?:-group)?|rid|simulcast|rtcp-fb|rtcp-rsize)\b[^\r\n]*\r?\n",
    re.MULTILINE | re.IGNORECASE,
)
"""Lines between a browser and its peer alone: an rtpengine would pass them on."""


class BrowserOffers:
    """The calls of one rtpengine whose last offer came from a browser."""

    def __init__(self) -> None:
        self._calls: set[str] = set()

    def shaped(self, call: str, asked: dict[str, JSON], *, is_held: bool) -> dict[str, JSON]:
        """An `offer` or `answer` with the flags that it needs; `is_held`: a phone is to be heard from the address in
        its SDP alone."""
        sdp = str(asked["sdp"])
        is_browsers = _DTLS_LINE.search(sdp) is not None
        if is_browsers:
            asked = {**asked, "sdp": _ITS_OWN.sub("", sdp)}
        elif is_held:
            asked = ng_commands.held_to_sdp(asked)
        if asked["command"] == "answer":
            return {**asked, "ICE": "force", "DTLS": "passive"} if call in self._calls else asked
        (self._calls.add if is_browsers else self._calls.discard)(call)
        return {**asked, "DTLS-reverse": "passive", "ICE-lite": "backward"} if is_browsers else asked

    def forget(self, call: str) -> None:
        """The call is over."""
        self._calls.discard(call)
