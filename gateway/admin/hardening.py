"""Security headers of every answer of the administration interface, the check of Host, and errors as JSON.

There is no log-in. The interface listens on loopback unless configured otherwise; further readers are a matter of
firewalls and proxies. But a web page elsewhere must not read it through the operator's own browser: there are no
CORS headers, and a Host that is a name other than localhost is refused, since by DNS rebinding an attacker's own name
leads to 127.0.0.1 (an address in Host cannot be rebound).
"""

import json
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

_HEADERS = {
    b"server": b"gateway",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


class Front(Resource):
    """Puts the headers on every answer of `inner`, and keeps foreign names of this host out."""

    isLeaf = True

    def __init__(self, inner: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inner = inner

    def render(self, request: Request) -> bytes | int:
        """The answer of `inner`, or 421 where Host is a name that is not ours."""
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        if not _is_text(request.path):
            return error_body(request, 400, "The path is not UTF-8.")
        host = request.getRequestHostname().decode("latin-1")
        if not _is_ours(host):
            return error_body(request, 421, "Ask for this host by its address or as localhost.")
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
