"""Digest accounts of the demonstration: their check by a provider, and a client's answer to a challenge.

Lives here: the provider's `Accounts`, which challenges and checks (RFC 3261 section 22, RFC 2617, MD5 with qop
auth), and `authorized`, the client's repeated request. Not here: digest itself. Nonces are a time and its keyed hash,
so that none need be remembered; nonce counts are not tracked, as the provider serves loopback only.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from secrets import token_bytes, token_hex

from attrs import frozen

from gateway.sip.digest import Challenge, Credentials, answer, answerable, is_right
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request, Response

_NONCE_LIFETIME = 300.0  # seconds

_HEADERS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


@frozen
class Account:
    """A user of a domain."""

    user: str
    domain: str
    password: str
    login: str = ""
    """The user name of the credentials, when it is not the user."""

    @property
    def aor(self) -> str:
        """The address of record."""
        return f"sip:{self.user}@{self.domain}"


class Accounts:
    """The users of one domain, and the check of their credentials."""

    def __init__(self, domain: str, passwords: Mapping[str, str], now: Callable[[], float]) -> None:
        self.domain = domain
        self._passwords = passwords
        self._now = now
        self._secret = token_bytes(32)

    def user_of(self, request: Request, status: int) -> str | None:
        """The user of the request's credentials for a challenge of this status, 401 or 407; None unless right."""
        credentials = self._credentials(request, status)
        password = self._passwords.get(credentials.username) if credentials else None
        if credentials is None or password is None or not self._is_fresh(credentials.nonce):
            return None
        return credentials.username if is_right(credentials, password=password, method=request.method) else None

    def challenge(self, request: Request, status: int) -> Response:
        """The 401 or 407 to a request without right credentials."""
        credentials = self._credentials(request, status)
        stale = credentials is not None and not self._is_fresh(credentials.nonce)
        challenge = Challenge(realm=self.domain, nonce=self._nonce(), algorithm="MD5", qop=("auth",), stale=stale)
        response = request.response(status, to_tag=token_hex(6))
        response.headers.add(_HEADERS[status][0], str(challenge))
        return response

    def _credentials(self, request: Request, status: int) -> Credentials | None:
        for value in request.headers.get_all(_HEADERS[status][1]):
            try:
                credentials = Credentials.parse(value)
            except MalformedMessage:
                continue
            if credentials.realm == self.domain:
                return credentials
        return None

    def _nonce(self) -> str:
        moment = f"{int(self._now()):x}"
        return f"{moment}.{self._seal(moment)}"

    def _is_fresh(self, nonce: str) -> bool:
        moment, _, seal = nonce.partition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(moment).encode()):
            return False
        return self._now() - int(moment, 16) <= _NONCE_LIFETIME

    def _seal(self, moment: str) -> str:
        return hmac.new(self._secret, moment.encode(), sha256).hexdigest()[:32]


def authorized(request: Request, response: Response, account: Account) -> Request | None:
    """The request again with the answer to a 401 or 407; None when it was answered already or cannot be.

    Call-ID and From tag stay, CSeq grows by one (RFC 3261 section 22.2).
    """
    ask, reply = _HEADERS[response.status]
    challenge = next(answerable(response.headers.get_all(ask)), None)
    if challenge is None or reply in request.headers:
        return None
    credentials = answer(
        challenge,
        username=account.login or account.user,
        password=account.password,
        method=request.method,
        uri=request.uri,
        body=request.body,
        cnonce=token_hex(8),
    )
    headers = request.headers.copy()
    headers.remove("Via")
    headers.set("CSeq", f"{request.cseq.number + 1} {request.method}")
    headers.add(reply, str(credentials))
    return Request(request.method, request.uri, headers, request.body)
