"""The session description of a message that sets up media, apart from all that came beside it (RFC 5621).

    INVITE multipart/mixed: SDP, PIDF-LO  -->  body: SDP      beside: the PIDF-LO
    INVITE application/pidf+xml           -->  body: nothing  beside: the PIDF-LO

Everything that looks at offers and answers looks at one body, whichever way it was wrapped; the rest goes with it, and
is written around it again. A body that cannot be taken apart stays as it is, and is nobody's description.
"""

from __future__ import annotations

from typing import Final

from gateway.sip.bodies.multipart import BodyPart, is_encoded, split
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers
from gateway.sip.message import Message, Response

SDP: Final = "application/sdp"

METHODS: Final = frozenset({"INVITE", "ACK", "PRACK", "UPDATE"})
"""Methods that set up media (RFC 6337 section 2)."""

OF_BODIES: Final = (
    "Content-Type",
    "Content-Disposition",
    "Content-Encoding",
    "Content-ID",
    "Content-Language",
    "Content-Transfer-Encoding",
)
"""Fields that describe a body."""

_KEYS: Final = frozenset(name.lower() for name in OF_BODIES)


def set_apart(message: Message) -> None:
    """Let the body of a message that sets up media be its session description, and the rest stand beside it."""
    try:
        content_type = message.content_type
        if content_type in (SDP, None) or message.cseq.method not in METHODS:
            return
        if isinstance(message, Response) and message.status >= 300:
            return
        parts = _parts(message, content_type or "")
    except MalformedMessage:
        return
    session = next((part for part in parts if _is_session(part)), None)
    if session is not None and content_type == "multipart/alternative":
        parts = (session,)
    message.beside = tuple(part for part in parts if part is not session)
    message.body = b"" if session is None else session.body
    for name in OF_BODIES:
        message.headers.remove(name)
    if session is not None:
        message.headers.add("Content-Type", SDP)
        if session.disposition:
            message.headers.add("Content-Disposition", session.headers.get("Content-Disposition") or "")


def fields_of_body(message: Message) -> Headers:
    """The fields that describe the body of a message, every line of them."""
    return message.headers.select(_KEYS)


def _parts(message: Message, content_type: str) -> tuple[BodyPart, ...]:
    if content_type in ("multipart/mixed", "multipart/alternative"):
        if is_encoded(message.headers):
            raise MalformedMessage("a body that is encoded")
        return split(message.headers.get("Content-Type") or "", message.body)
    return (BodyPart(fields_of_body(message), message.body),)


def _is_session(part: BodyPart) -> bool:
    return part.content_type == SDP and part.disposition in ("", "session") and not part.is_encoded
