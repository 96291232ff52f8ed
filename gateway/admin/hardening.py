"""Security headers of every answer of the administration interface, judgements of a request's head, errors as JSON.

Log-in and roles are `accounts/door`'s. Here: a web page elsewhere must not read the interface, or change anything,
through the operator's own browser. There are no CORS headers, and a Host that is a name other than localhost and those
of `[admin] names` is refused, since by DNS rebinding an attacker's own name leads to 127.0.0.1 (an address in Host
cannot be rebound). Referrer-Policy is same-origin: under no-referrer browsers send our own forms with `Origin: null`.

A proxy speaks for others. Its word about them (`X-Forwarded-For`) is taken from `[admin] trusted_proxies` alone. A
request from elsewhere that has the mark of any proxy is refused, and not judged by the proxy's address: a proxy on this
machine would give each of its clients the rights of loopback. For the same reason a listed proxy has to name its
client, and no client of a proxy is ever one of this machine.
"""

import json
from collections.abc import Container, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes, urlencode

import attrs
from twisted.internet.address import UNIXAddress
from twisted.web.http import RESPONSES
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Request

from gateway.observe.clean_text import clean

BODY_BYTES: Final = 65_536
"""Of the body of a request."""

LOG_IN: Final = "/login"
"""The path of the page for a log-in."""
SOCKET: Final = "socket"
"""The source of requests over the UNIX socket."""
MAY_HOLD: Final = "/may-hold"
FOR_ALL: Final = frozenset({"/healthz", "/readyz", MAY_HOLD})
"""Paths that are answered to everybody over every way: health checks of containers come from elsewhere, too, and those
of keepalived from an address of this machine that need not be loopback."""
FORWARDED: Final = b"x-forwarded-for"
"""The field by which a proxy says for whom it asks."""
SIGNS_OF_A_PROXY: Final = (
    *(FORWARDED, b"forwarded", b"via", b"x-real-ip"),
    *(b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto", b"x-forwarded-server"),
)
"""Fields that no client writes by itself. Many proxies are set up to send one of them, and not the first."""
_HOPS: Final = 20
"""Addresses in X-Forwarded-For at most."""

Network = IPv4Network | IPv6Network

_HEADERS = {
    b"server": b"gateway",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    b"img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"same-origin",  # with "no-referrer" a form's Origin would be null
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


class Elsewhere(Rejected):
    """A request that a person should make after another page."""

    def __init__(self, status: int, text: str, page: str) -> None:
        super().__init__(status, text)
        self._page = page

    def page_for(self, request: IRequest) -> str:
        """The path of that page, with the way back."""
        return f"{self._page}?{urlencode({'next': request.uri.decode('latin-1')})}"


class NotLoggedIn(Elsewhere):
    """A request without the proof that it needs."""

    def __init__(self, text: str) -> None:
        super().__init__(401, text, LOG_IN)


def judge(request: IRequest, names: Container[str] = ()) -> None:
    """By its head alone, whether a request is for this host and within bounds. ``names``: those of this host beside
    localhost, in lower case. Raises Rejected."""
    if not _is_text(request.path):
        raise Rejected(400, "The path is not UTF-8.")
    if not _is_ours(request.getRequestHostname().decode("latin-1"), names):
        raise Rejected(421, "Ask for this host by its address, as localhost, or by a name in [admin] names.")
    if request.getHeader(b"transfer-encoding") is not None:
        raise Rejected(411, "A body needs a Content-Length.")
    length = request.getHeader(b"content-length") or b"0"
    if not length.isdigit() or len(length) > 10 or int(length) > BODY_BYTES:
        raise Rejected(413, f"A body has {BODY_BYTES} bytes at most.")


def judge_change(request: IRequest, *, is_form: bool) -> None:
    """By its head alone, whether a change comes from where changes may come from. Raises Rejected.

    A browser sends cookies, and connects to this machine, on behalf of any page. It also says which page that was:
    Origin (RFC 6454) and Sec-Fetch-Site must name a page of ours where they are there, and for a form, which only
    browsers send, one has to be. Without them JSON is taken: a page elsewhere cannot send application/json without
    asking first, which is not answered.
    """
    origin, site = request.getHeader(b"origin"), request.getHeader(b"sec-fetch-site")
    if (origin is not None and not _is_own_origin(origin, request)) or site not in (None, b"same-origin"):
        raise Rejected(403, "Changes are not made from web pages elsewhere.")
    if is_form and origin is None and site is None:
        raise Rejected(403, "A form is sent by a browser that says which page it is of (Origin or Sec-Fetch-Site).")
    wanted = b"application/x-www-form-urlencoded" if is_form else b"application/json"
    if (request.getHeader(b"content-type") or b"").split(b";")[0].strip().lower() != wanted:
        raise Rejected(415, "A form is wanted." if is_form else "A change is asked for with a JSON object.")


def _is_own_origin(origin: bytes, request: IRequest) -> bool:
    """Whether an Origin is this host, by the name and port that it was asked under. A proxy may have taken TLS off."""
    host = (request.getHeader(b"host") or b"").lower()
    return bool(host) and origin.lower() in (
        b"https://" + host,
        b"https://" + host if request.isSecure() else b"http://" + host,
    )


@attrs.frozen
class Client:
    """The client of a request, as far as its way here tells."""

    source: str
    """Its address; "socket" for the UNIX socket."""
    is_private: bool
    """Whether nobody on the way can read: HTTPS, as far as the proxy, too."""
    is_behind_proxy: bool = False


@attrs.frozen
class Proxies:
    """The proxies in front of this interface; their addresses."""

    networks: Sequence[Network] = ()

    def client_of(self, request: IRequest) -> Client:
        """The client of a request, whether it came through a proxy or not. Raises Rejected: a proxy that is not
        listed, or that does not tell for whom it asks."""
        peer = _peer_of(request)
        if not is_among(peer, self.networks):
            if any(request.requestHeaders.hasHeader(field) for field in SIGNS_OF_A_PROXY):
                raise Rejected(403, f"A proxy at {peer} asks for others. [admin] trusted_proxies has to name it.")
            return Client(peer, request.isSecure())
        told = _values_of(request, FORWARDED)
        if not told:
            text = f"{peer} is in [admin] trusted_proxies, and has to say in X-Forwarded-For for whom it asks."
            raise Rejected(400, text)
        if len(told) > _HOPS:
            raise Rejected(400, f"X-Forwarded-For has {_HOPS} addresses at most.")
        # From the right: whatever stands to the left of the first stranger, that one may have written itself.
        source = next((one for one in reversed(told) if not is_among(one, self.networks)), told[-1])
        address = address_of(source)
        if address is None or address.is_loopback or address.is_unspecified:
            raise Rejected(400, "X-Forwarded-For does not say for whom this is asked: an address of another machine.")
        schemes = _values_of(request, b"x-forwarded-proto")
        is_https = bool(schemes) and all(scheme.lower() == "https" for scheme in schemes)
        near = address_of(peer)
        is_hop_private = request.isSecure() or (near is not None and near.is_loopback)
        return Client(str(address), is_https and is_hop_private, is_behind_proxy=True)


class Judged(Protocol):
    """Answers requests, and knows from a head whether it would."""

    @property
    def routes(self) -> tuple[object, ...]:
        """All that it has answers for."""

    def render(self, request: Request) -> bytes | int:
        """The answer, at once or later."""

    def judge_head(self, request: IRequest) -> None:
        """Raises Rejected for a request that will be refused."""


class Front(Resource):
    """Puts the headers on every answer of `inner`, and keeps foreign names of this host out."""

    isLeaf = True

    def __init__(self, inner: Judged, names: Container[str] = (), proxies: Proxies | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inner = inner
        self._names = names
        self._proxies = proxies or Proxies()
        self.routes = inner.routes

    def judge_head(self, request: IRequest) -> None:
        """Raises Rejected for a request that will be refused."""
        self._judge(request)
        self._inner.judge_head(request)

    def render(self, request: Request) -> bytes | int:
        """The answer of `inner`, or the judgement that keeps it from it: 421 where Host is a name that is not ours."""
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        try:
            self._judge(request)
        except Rejected as rejected:
            return error_body(request, rejected.status, str(rejected))
        finally:
            if request.isSecure() or client_of(request).is_private:
                request.setHeader(b"strict-transport-security", b"max-age=31536000")
        answer: bytes | int = self._inner.render(request)
        return answer

    def _judge(self, request: IRequest) -> None:
        """Judge the head, and note the client for everything that asks for it. Raises Rejected."""
        judge(request, self._names)
        if request.path.decode() not in FOR_ALL:
            known: Any = request
            known.client_told = self._proxies.client_of(request)


def see_other(request: IRequest, path: str) -> bytes:
    """Lead a browser to another page of ours by GET."""
    request.setResponseCode(303)
    request.setHeader(b"location", path.encode())
    return b""


def client_of(request: IRequest) -> Client:
    """The client of a request, as the front found it; without a front, the one at the other end."""
    told = getattr(request, "client_told", None)
    return told if isinstance(told, Client) else Client(_peer_of(request), request.isSecure())


def source_of(request: IRequest) -> str:
    """The address that a request comes from, that of a proxy's client; "socket" for the UNIX socket."""
    return client_of(request).source


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4 one also where it is written as IPv6 (RFC 4291 section 2.5.5.2); None of any other text."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_among(host: str, networks: Iterable[Network]) -> bool:
    """Whether that is an address of one of these networks."""
    address = address_of(host)
    return address is not None and any(address in network for network in networks)


def error_body(request: IRequest, status: int, text: str) -> bytes:
    """An error as JSON, under /api/v1 as RFC 9457 has it; sets the status and the type of `request`'s answer."""
    request.setResponseCode(status)
    if request.path.startswith(b"/api/v1/"):
        request.setHeader(b"content-type", b"application/problem+json")
        title = RESPONSES.get(status, b"").decode()
        problem = {"type": "about:blank", "title": title, "status": status, "detail": clean(text)}
        return json.dumps(problem).encode() + b"\n"
    request.setHeader(b"content-type", b"application/json")
    return json.dumps({"status": status, "error": text}).encode() + b"\n"


def _peer_of(request: IRequest) -> str:
    address = request.getClientAddress()
    return SOCKET if isinstance(address, UNIXAddress) else str(getattr(address, "host", ""))


def _values_of(request: IRequest, field: bytes) -> list[str]:
    """The values of a list, of all fields with that name in their order."""
    fields = request.requestHeaders.getRawHeaders(field) or ()
    return [one.strip().decode("latin-1") for value in fields for one in value.split(b",")]


def _is_text(path: bytes) -> bool:
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_ours(host: str, names: Container[str]) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return host.lower() == "localhost" or host.lower() in names
    return True
