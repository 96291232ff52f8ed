"""Digest authentication of inbound requests: challenge with 401, judge the answer (RFC 3261 section 22, RFC 8760).

Here: the challenges offered, and whether an answer proves a password. Not here: the digest itself
(gateway/sip/digest.py), nonces and replays (nonces.py), passwords (credentials.py), which requests are challenged (the
domain's ``challenge``).

    request without proof -> Refused 401 + one WWW-Authenticate an algorithm, in the configured order
    request with proof    -> the user's name

The order of checks is a security order. The nonce must be ours before anything is computed with it. The response must
be right before its age is told: ``stale=true`` for a wrong one would let anybody learn which nonces live. The count is
noted last, so that only a holder of the password uses counts up. An unknown user costs the work of a wrong password.
"""

from collections.abc import Callable

import attrs

from gateway.security.nonces import Nonces, NonceState
from gateway.sip.digest import Challenge, Credentials, UnknownScheme, is_right
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request
from gateway.sip.uri import Uri

MAXIMUM_ANSWERS = 4
"""Authorization lines of one request that are looked at."""

_NOBODY = "a password that no user has, so that an unknown user takes as long as a wrong password"

PasswordOf = Callable[[str], str | None]
"""The password of a user, None for an unknown one."""


class WrongCredentials(Refused):
    """A 401 to an answer that proves no password, as opposed to no answer or one with a nonce that is too old."""


class PasswordAsked(Refused):
    """A 401 of the gateway's to a phone that calls another phone, as its provider's would be."""


class StaleCredentials(Refused):
    """A 401 to a right answer with a nonce that is too old or was used: the client answers again by itself."""


@attrs.frozen
class Offer:
    """How a challenge is made."""

    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    """In this order (RFC 8760 section 2.3); many clients read the first only, some know MD5 only."""
    checks_uri: bool = True
    """Whether the digest's uri must name the target of the request."""


class Authenticator:
    """Challenges requests, and recognises the users that answer rightly."""

    def __init__(self, nonces: Nonces, offer: Offer | None = None) -> None:
        self._nonces = nonces
        self._offer = offer or Offer()

    def authenticate(
        self,
        request: Request,
        realm: str,
        password_of: PasswordOf,
        now: float,
        algorithms: tuple[str, ...] | None = None,
    ) -> str:
        """The user whose password ``request`` proves; ``now`` in seconds since the epoch, ``algorithms`` as in Offer.

        Raises Refused 401 with the challenges (WrongCredentials when a password was tried, StaleCredentials when it was
        right and its nonce is not good any more), or 400 for an Authorization that cannot be read.
        """
        algorithms = algorithms or self._offer.algorithms
        answers = [answer for answer in _answers(request, realm) if answer.algorithm in algorithms]
        stale = False
        for credentials in answers:
            state = self._judge(request, credentials, password_of, now)
            if state is NonceState.FRESH:
                return credentials.username
            stale = stale or state is NonceState.STALE
        refused = StaleCredentials if stale else WrongCredentials if answers else Refused
        raise refused(
            401, "", tuple(("WWW-Authenticate", text) for text in self.challenges(realm, stale, now, algorithms))
        )

    def challenges(self, realm: str, stale: bool, now: float, algorithms: tuple[str, ...]) -> list[str]:
        """A new challenge for each algorithm, in their order."""
        return [
            str(Challenge(realm, self._nonces.make(_purpose(realm, name), now), name, ("auth",), stale=stale))
            for name in algorithms
        ]

    def _judge(self, request: Request, credentials: Credentials, password_of: PasswordOf, now: float) -> NonceState:
        """FRESH: proved. STALE: proved, with a nonce that is too old or was used. FOREIGN: not proved."""
        if not self._is_about(request, credentials):
            return NonceState.FOREIGN
        purpose = _purpose(credentials.realm, credentials.algorithm)
        state = self._nonces.state(credentials.nonce, purpose, now)
        if state is NonceState.FOREIGN or not _knows_password(request, credentials, password_of):
            return NonceState.FOREIGN
        # Without qop there is no count: such a nonce serves once (RFC 7616 section 3.4.6 would let it be replayed).
        count = credentials.nc if credentials.nc is not None else 1
        if state is NonceState.FRESH and not self._nonces.use(credentials.nonce, purpose, count):
            return NonceState.STALE
        return state

    def _is_about(self, request: Request, credentials: Credentials) -> bool:
        """Whether the digest's uri is this request's target (RFC 7616 section 3.4.6): else it was made for another.

        Some clients sign their server's address without a user part; that of the Request-URI's host is taken too. A
        caller whose provider is a proxy has signed the callee's address: the proxy has put our Contact in its place
        since.
        """
        if not self._offer.checks_uri or credentials.uri == request.uri:
            return True
        try:
            signed = Uri.parse(credentials.uri).without_parameters()
            target = request.request_uri.without_parameters()
            called = attrs.evolve(request.to.uri, headers="").without_parameters()
            allowed = (target, attrs.evolve(target, user=None, password=None), called)
            return any(signed.matches(one) for one in allowed)
        except MalformedMessage:
            return False


def _answers(request: Request, realm: str) -> list[Credentials]:
    """The Digest credentials for ``realm``; Refused 400 for one that cannot be read."""
    found = []
    for text in request.headers.get_all("Authorization")[:MAXIMUM_ANSWERS]:
        try:
            credentials = Credentials.parse(text)
        except UnknownScheme:
            continue
        except MalformedMessage:
            raise Refused(400, "Unreadable Authorization") from None
        if credentials.realm == realm:
            found.append(credentials)
    return found


def _knows_password(request: Request, credentials: Credentials, password_of: PasswordOf) -> bool:
    password = password_of(credentials.username)
    is_proved = is_right(
        credentials, password=_NOBODY if password is None else password, method=request.method, body=request.body
    )
    return is_proved and password is not None


def _purpose(realm: str, algorithm: str) -> str:
    """A nonce made for one algorithm is no nonce for another: nobody downgrades a challenge that was answered."""
    return f"{algorithm} {realm}"
