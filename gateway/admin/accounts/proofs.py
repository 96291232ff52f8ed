"""The proofs that a request carries: a cookie with a session's id, a token, the user at the other end of a socket.

Here: reading them, and the cookie that is set. Not here: whether they are good (`door`). A cookie's name begins with
__Host-, so that a browser takes it from this host alone, over HTTPS (or from the machine itself), for every path: no
other host of the domain can plant one (RFC 6265bis section 4.1.3.2). Cookies of other ports of this host do arrive; of
two with the name neither counts.
"""

import socket
import struct
from typing import Final

from twisted.web.iweb import IRequest

from gateway.admin.local_user import handle_of

SESSION_COOKIE: Final = b"__Host-session"
STEP_COOKIE: Final = b"__Host-login"
_MARKS: Final = b"Path=/; Secure; HttpOnly; SameSite=Strict"
_LONGEST: Final = 256
"""Bytes of an id or token: longer ones are none of ours."""
_BEARER: Final = b"bearer "


def cookie_of(request: IRequest, name: bytes) -> str | None:
    """The value of a cookie; None where there is none, or more than one."""
    values = [
        value.strip()
        for field in request.requestHeaders.getRawHeaders(b"cookie") or ()
        for key, _, value in (pair.partition(b"=") for pair in field.split(b";"))
        if key.strip() == name
    ]
    return _text(values[0]) if len(values) == 1 else None


def set_cookie(request: IRequest, name: bytes, value: str) -> None:
    """Let the browser keep a value until it is closed."""
    request.responseHeaders.addRawHeader(b"set-cookie", b"%s=%s; %s" % (name, value.encode(), _MARKS))


def drop_cookie(request: IRequest, name: bytes) -> None:
    """Let the browser forget it."""
    request.responseHeaders.addRawHeader(b"set-cookie", b"%s=; Max-Age=0; %s" % (name, _MARKS))


def token_of(request: IRequest) -> str | None:
    """The token of `Authorization: Bearer` (RFC 6750 section 2.1); None where there is no such field."""
    field = request.getHeader(b"authorization")
    if field is None or not field.lower().startswith(_BEARER):
        return None
    return _text(field[len(_BEARER) :].strip()) or ""


def user_of_socket(request: IRequest) -> int | None:
    """The number of the user that connected to the UNIX socket (SO_PEERCRED of unix(7): as it was at connect)."""
    handle = handle_of(request)
    try:
        found = handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except (OSError, AttributeError):
        return None
    number: int = struct.unpack("3i", found)[1]
    return number


def _text(value: bytes) -> str | None:
    """None for a value that no id of ours can be."""
    return value.decode() if value.isascii() and len(value) <= _LONGEST else None
