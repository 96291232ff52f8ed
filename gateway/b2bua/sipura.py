"""Sipura's own SRTP ("x-sipura", the default of Cisco SPA phones): recognised, to be declined.

Once a call stands such a phone sends the other one its mini-certificate in an INFO, and then a key: two phones agree on
a cipher of their own, over the gateway's head and with RSA of 512 bits. What they encrypt would be called by a wrong
name here, and the key would cross from leg to leg. A phone that is told 415 stays with what the SDP says.

Its "Caller Hello" is 264 bytes in base64 and nothing else; which Content-Type it has no public document tells. So any
INFO counts whose body is one long piece of base64, whatever its type, or whose type bears Sipura's name.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.sip.message import Request

_MOST: Final = 4096
"""Bytes; longer bodies are no such message."""

_BLOB: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4}){40,}(?:[A-Za-z0-9+/]{2,3}={1,2})?")
"""At least 120 bytes in base64, white space taken out: "Caller Final", the shortest message, holds a signature and
a wrapped key."""


def is_own_srtp(request: Request) -> bool:
    """Whether a request is part of that exchange."""
    if request.method != "INFO" or not request.body:
        return False
    if "sipura" in (request.content_type or ""):
        return True
    return len(request.body) <= _MOST and _BLOB.fullmatch(b"".join(request.body.split())) is not None
