"""Answering the provider's challenges in a user's name, where the gateway holds the user's password.

Here: when that is right, and the answer (RFC 3261 section 22.3, RFC 8760). Not here: sending the request again
(gateway/b2bua/setup/reach.py), passwords (credentials.py), challenges of ours (authenticator.py). A challenge that
is not answered here goes to the phone.

An answer tells its reader enough to try passwords against it, and lets the asker pass for the user. So all of this must
hold, or the challenge is somebody else's to answer:
- The asker is registered: its request came over the flow that a live binding of this user has. The provider has seen
  that phone's own password; else anybody that writes "From: alice" would be let in by ours.
- The challenge came over TLS from the provider, by a certificate verified for its name: a clear hop proves nobody.
- It is for the domain's realm, or the provider's own host.
- It came before anything but a 100: a challenge after ringing is the callee's, and a callee must not be able to raise
  one in the provider's name and read the answer (CVE-2021-41158).
- The request bears no credentials, neither the phone's nor ours: a provider that has let us pass asks no more, so a
  second challenge is a callee's, or the password is wrong. Its nonce was new, so "stale" changes nothing.
- No more than CAP answers a call, one an attempt: new nonces without end lead nowhere.

Within the dialog of a call that was answered so, each request of ours bears credentials for the same realm, with the
next count (RFC 3261 section 22.3), and a challenge to one is answered once: a nonce may have grown old. There the order
of ringing and challenge is no guard any more, so these stand in its place:
- It comes from the same verified provider, by the flow of the request.
- It is for the realm and the field that were answered for the INVITE, which the provider has shown to be its own. A BYE
  or an UPDATE is answered without that too: its digest is good for nothing but to end or refresh this call. Nothing
  later bears credentials for such a challenge.
- Its nonce is another than the one that was answered: else the password is wrong, or it is somebody else's question.

A provider that never challenges calls itself, and passes on challenges of callees, should be given no password here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from twisted.logger import Logger

from gateway.config.model import Domain, Provider, Side
from gateway.sip import digest
from gateway.sip.digest import Challenge
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri
from gateway.transport.flow import Flow, FlowKey
from gateway.transport.tls.identity import mismatch

log = Logger()

CAP: Final = 3
"""Answers given in one call."""

FIELDS: Final = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}

_HARMLESS: Final = ("BYE", "UPDATE")
"""Methods whose digest does nothing outside of its dialog."""

Field = tuple[str, str]


@attrs.frozen
class Answering:
    """The basis of all answers; one for the whole gateway."""

    password_of: Callable[[str, str], str | None] = lambda domain, user: None
    """(domain, user) -> password, None where the gateway holds none."""
    is_bound: Callable[[str, FlowKey], bool] = lambda aor, flow: False
    """Whether a live binding of this address of record has this flow."""
    random: Callable[[], str] = lambda: ""
    """A new cnonce."""

    def for_call(self, domain: Domain, provider: Provider, user: str, asker: Flow) -> Answers:
        """The answers that may be given in a call of ``user``, whose request came over ``asker``."""
        aor = f"sip:{user}@{domain.name.lower()}"
        is_known = user and asker.side is Side.PHONES and self.is_bound(aor, asker.key)
        return Answers(self, domain, provider, user if is_known else "")

    def for_called(self, domain: Domain, provider: Provider, user: str) -> Answers:
        """The answers that may be given in a call to the registered phone of ``user``."""
        return Answers(self, domain, provider, user)


@attrs.define
class _Answered:
    """A challenge that was answered, and may be again with a higher count (RFC 7616 section 3.4.5)."""

    challenge: Challenge
    field: str
    cnonce: str
    count: int = 0


@attrs.define(eq=False)
class Answers:
    """The answers of one call."""

    _around: Answering
    _domain: Domain
    _provider: Provider
    _user: str
    """The user in whose name the answers are; empty when there is none."""
    _given: int = 0
    _last: _Answered | None = None

    def answer(self, request: Request, response: Response, flow: Flow, is_early: bool) -> Field | None:
        """The field that answers the challenges in ``response`` to ``request``; None: not ours to answer.

        ``is_early`` says that no provisional response but 100 came before.
        """
        if not is_early or self._given >= CAP or has_credentials(request):
            return None
        answered = self._answerable(response, flow)
        if answered is None:
            return None
        self._given += 1
        self._last = answered
        return self._credentials(request, answered)

    @property
    def has_given(self) -> bool:
        """Whether a challenge was answered: `within` gives nothing before."""
        return self._last is not None

    def within(self, request: Request, flow: Flow) -> Field | None:
        """The field for a request of ours in the call's dialog, of the realm that was answered for its INVITE (RFC 3261
        section 22.3); None where none was, or where the flow does not lead to the provider."""
        last = self._last
        return None if last is None or not self._is_verified(flow) else self._credentials(request, last)

    def answer_within(self, request: Request, response: Response, flow: Flow) -> Field | None:
        """The field that answers the challenges to a request of ours in the call's dialog; None: not ours to answer."""
        answered, last = self._answerable(response, flow), self._last
        if answered is None:
            return None
        if last is None or (last.challenge.realm, last.field) != (answered.challenge.realm, answered.field):
            return self._credentials(request, answered) if request.method in _HARMLESS else None
        if last.challenge.nonce == answered.challenge.nonce:
            return None
        self._last = answered
        return self._credentials(request, answered)

    def _credentials(self, request: Request, answered: _Answered) -> Field | None:
        password = self._around.password_of(self._domain.name, self._user)
        if password is None:
            return None
        answered.count += 1
        log.debug("{provider} is given credentials of {user}", provider=self._provider.name, user=self._user)
        credentials = digest.answer(
            answered.challenge,
            username=self._user,
            password=password,
            method=request.method,
            uri=request.uri,
            cnonce=answered.cnonce,
            nc=answered.count,
        )
        return answered.field, str(credentials)

    def _is_verified(self, flow: Flow) -> bool:
        """Whether it is the provider by name, on the word of its own trust: no other authority's counts for it."""
        identity = flow.identity
        if not flow.is_secure or flow.side is not Side.PROVIDER or identity is None:
            return False
        if identity.trust != self._provider.trust:
            return False
        return mismatch(identity, Uri.parse(self._provider.uri).host) is None

    def _answerable(self, response: Response, flow: Flow) -> _Answered | None:
        """The first challenge that may be answered: the provider prefers it (RFC 8760 section 2.3)."""
        names = FIELDS.get(response.status)
        password = self._around.password_of(self._domain.name, self._user) if self._user else None
        if names is None or password is None or not self._is_verified(flow):
            return None
        for challenge in digest.answerable(response.headers.get_all(names[0])):
            if self._is_realm(challenge.realm) and signs_no_body(challenge):
                return _Answered(challenge, names[1], self._around.random())
        return None

    def _is_realm(self, realm: str) -> bool:
        return realm.lower() in (self._domain.name.lower(), Uri.parse(self._provider.uri).host.lower())


_BORNE = frozenset(field.lower() for _, field in FIELDS.values())


def has_credentials(request: Request) -> bool:
    """Whether a request bears credentials, a phone's or ours."""
    return not _BORNE.isdisjoint(request.headers.present)


def without_credentials(request: Request) -> Request:
    """A copy of a request that bears none."""
    bare = attrs.evolve(request, headers=request.headers.copy())
    take_credentials(bare)
    return bare


def take_credentials(request: Request) -> None:
    """Take the credentials out of a request."""
    for field in _BORNE:
        request.headers.remove(field)


def signs_no_body(challenge: Challenge) -> bool:
    """auth-int alone would sign a body (RFC 7616 section 3.4.3), which is rewritten for each attempt."""
    return not challenge.qop or "auth" in challenge.qop
