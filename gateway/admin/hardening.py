"""Security headers of every answer of the administration interface, judgements of a request's head, errors as JSON.

There is no log-in. The interface listens on loopback unless configured otherwise; further readers are a matter of
firewalls and proxies. But a web page elsewhere must not read it through the operator's own browser: there are no
CORS headers, and a Host that is a name other than localhost is refused, since by DNS rebinding an attacker's own name
leads to 127.0.0.1 (an address in Host cannot be rebound).
"""

import json
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote_to_bytes

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from gateway.admin.inspection import Permission

BODY_BYTES: Final = 65_536
"""Of the body of a request."""

_HEADERS = {
    b"server": b"gateway",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


class Rejected(Exception):
    """A request that is answered with an error of HTTP."""

    def __init__(self, status: int, text: str, allow: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.allow = allow


class NotPermitted(Rejected):
    """A change that its author has no right to; ``author`` is for the audit."""

    def __init__(self, author: str, text: str) -> None:
        super().__init__(403, text)
        self.author = author


def judge(request: IRequest) -> None:
    """By its head alone, whether a request is for this host and within bounds. Raises Rejected."""
    if not _is_text(request.path):
        raise Rejected(400, "The path is not UTF-8.")
    if not _is_ours(request.getRequestHostname().decode("latin-1")):
        raise Rejected(421, "Ask for this host by its address or as localhost.")
    if request.getHeader(b"transfer-encoding") is not None:
        raise Rejected(411, "A body needs a Content-Length.")
    length = request.getHeader(b"content-length") or b"0"
    if not length.isdigit() or len(length) > 10 or int(length) > BODY_BYTES:
        raise Rejected(413, f"A body has {BODY_BYTES} bytes at most.")


def judge_change(request: IRequest, permission: Permission) -> str:
    """By its head alone, the author of a change. Raises Rejected.

    A web page cannot send application/json to another origin without asking first, which is not answered, and its
    Origin shows it anyway. The kernel is asked last, since that costs most.
    """
    if request.getHeader(b"origin") is not None:
        raise Rejected(403, "Changes are not made from web pages.")
    if (request.getHeader(b"content-type") or b"").split(b";")[0].strip().lower() != b"application/json":
        raise Rejected(415, "A change is asked for with a JSON object.")
    return permission.author_of(request)


class Front(Resource):
    """Puts the headers on every answer of `inner`, and keeps foreign names of this host out."""

    isLeaf = True

    def __init__(self, inner: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inner = inner

    def render(self, request: Request) -> bytes | int:
        """The answer of `inner`, or the judgement that keeps it from it: 421 where Host is a name that is not ours."""
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        try:
            judge(request)
        except Rejected as rejected:
            return error_body(request, rejected.status, str(rejected))
        answer: bytes | int = self._inner.render(request)
        return answer


def error_body(request: IRequest, status: int, text: str) -> bytes:
    """An error as JSON; sets the status and the type of `request`'s answer."""
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    return json.dumps({"status": status, "error": text}).encode() + b"\n"


def _is_text(path: bytes) -> bool:
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_ours(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return host.lower() == "localhost"
    return True
