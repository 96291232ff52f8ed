"""The routes of the API under /api/v1, and their answers.

    HttpRoute --query--> read_query --> a method here --> value, now or later --> JSON
              --change-> read_change, the author, If-Match -->

Here: the routes. Not here: reading of parameters (parameters.py), their classes and those of answers (questions.py,
answers.py), the document made of all of them (document.py), events as they happen (stream.py).

A domain has an ETag (RFC 9110 section 8.8.3), the digest of its state: with it in If-Match, a switch of a domain that
somebody else has switched meanwhile is refused, 412.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Control, Inspection, Permission, Role, Row, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1 import answers, questions
from gateway.admin.v1.document import PREFIX, document
from gateway.admin.v1.parameters import read_change, read_query
from gateway.admin.v1.stream import EventStreams, wants
from gateway.base.json_codec import encode
from gateway.observe.clean_text import clean_json
from gateway.state.listing.call_filter import BadCursor, CallsCount, CallsPage
from gateway.state.listing.call_list import TooManyQuestions
from gateway.state.listing.call_statistics import Statistics

log = Logger()

Answer = Callable[..., Any]


class ApiV1:
    """The routes; ``others`` are those of the whole interface that the document shows, too."""

    def __init__(
        self,
        inspection: Inspection,
        control: Control,
        permission: Permission,
        streams: EventStreams,
        now: Callable[[], float],
        others: Sequence[HttpRoute] = (),
    ) -> None:
        self._inspection = inspection
        self._control = control
        self._permission = permission
        self._streams = streams
        self._now = now
        self._others = tuple(others)

    def routes(self) -> tuple[HttpRoute, ...]:
        """All routes; of two that match, the first counts."""
        read, change = self._read, self._change
        return (
            read("calls", self.calls, answers.CallsAnswer, questions.CallsQuery),
            read("calls/{call_id:path}", self.call, answers.CallAnswer),
            read("statistics", self.statistics, Statistics),
            read("domains", self.domains, tuple[answers.DomainAnswer, ...]),
            read("domains/{name}", self.domain, answers.DomainWithChanges),
            change("domains/{name}", self.switch_domain, answers.DomainAnswer, questions.SwitchChange, Role.OPERATOR),
            read("providers", self.providers, tuple[answers.ProviderAnswer, ...]),
            read("peers", self.peers, tuple[answers.PeerAnswer, ...]),
            change("peers/forget", self.forget_peer, answers.ForgottenAnswer, questions.ForgetChange, Role.OPERATOR),
            change("peers/learn", self.learn_peer, answers.PeerAnswer, questions.LearnChange, Role.OPERATOR),
            read("certificates", self.certificates, tuple[answers.CertificateAnswer, ...]),
            read("registrations", self.registrations, answers.RegistrationsAnswer, questions.RegistrationsQuery),
            read("phones", self.phones, answers.PhonesAnswer, questions.PhonesQuery),
            read("counts", self.counts, answers.CountsAnswer),
            read("audit", self.audit, tuple[answers.AuditEntry, ...], questions.AuditQuery),
            change("reload", self.reload, answers.ReloadAnswer, questions.NoChange, Role.ADMIN),
            HttpRoute(
                "GET",
                f"{PREFIX}events",
                self.events,
                Role.VIEWER,
                query=questions.EventsQuery,
                content="text/event-stream",
            ),
            HttpRoute("GET", f"{PREFIX}openapi.json", self.openapi, Role.VIEWER, schema=dict[str, object]),
        )

    def calls(self, request: IRequest, asked: questions.CallsQuery) -> Deferred[Row]:
        """All calls, those that are up and those that ended, the latest first."""
        wanted = asked.filter()
        try:
            found = self._inspection.lists.find(wanted, asked.limit, asked.next)
        except BadCursor as error:
            raise Rejected(400, f"next: {error}.") from None

        def answer(page: CallsPage, count: CallsCount | None = None) -> Row:
            counted = (None, None) if count is None else (count.calls, count.is_all)
            return {"calls": [*page.calls], "next": page.next, "count": counted[0], "is_all": counted[1]}

        def count(page: CallsPage) -> Deferred[Row]:
            return self._inspection.lists.count(wanted).addCallback(lambda count: answer(page, count))

        return found.addCallback(count if asked.count else answer)

    def call(self, request: IRequest, asked: questions.Nothing, call_id: str) -> Deferred[Row]:
        """All that is known of one call."""

        def found(call: Row | None) -> Row:
            if call is None:
                raise Rejected(404, f"There is no call {call_id}.")
            return call

        return self._inspection.call(call_id).addCallback(found)

    def statistics(self, request: IRequest, asked: questions.Nothing) -> Deferred[Row]:
        """Calls by verdict, hour and minute; shares that are encrypted, reasons, set-up times, quality."""
        return self._inspection.lists.statistics().addCallback(attrs.asdict)

    def domains(self, request: IRequest, asked: questions.Nothing) -> list[Row]:
        """The domains and their policy."""
        return self._inspection.domains()

    def domain(self, request: IRequest, asked: questions.Nothing, name: str) -> Row:
        """One domain, with the audit of its changes. Its ETag may be shown with a switch, in If-Match."""
        found = self._inspection.domain(name)
        if found is None:
            raise Rejected(404, f"There is no domain {name}.")
        request.setHeader(b"etag", _tag(found))
        return found

    def switch_domain(self, request: IRequest, change: questions.SwitchChange, name: str) -> Row:
        """Set a domain's security from now on. With If-Match it is refused, 412, where it was changed meanwhile."""
        wanted, found = request.getHeader(b"if-match"), self._inspection.domain(name)
        if wanted is not None and found is not None and not _is_among(_tag(found), wanted):
            raise Rejected(412, f"{found['name']} was changed meanwhile: look again.")
        switched = self._control.switch_domain(name, change.security, caller_of(request).author)
        request.setHeader(b"etag", _tag(switched))
        return switched

    def providers(self, request: IRequest, asked: questions.Nothing) -> list[Row]:
        """The configured providers, and the features that they were last seen to have."""
        return self._inspection.providers()

    def peers(self, request: IRequest, asked: questions.Nothing) -> list[Row]:
        """The providers and phones, and the features that each was last seen to have."""
        return self._inspection.peers()

    def forget_peer(self, request: IRequest, change: questions.ForgetChange) -> Row:
        """Forget the features that a peer was seen to have."""
        return self._control.forget_peer(change.name, caller_of(request).author)

    def learn_peer(self, request: IRequest, change: questions.LearnChange) -> Row:
        """Expect features of a peer from now on."""
        return self._control.learn_peer(change.name, [*map(str, change.features)], caller_of(request).author)

    def certificates(self, request: IRequest, asked: questions.Nothing) -> list[Row]:
        """The certificates that the TLS listeners serve, with warnings."""
        return self._inspection.certificates()

    def registrations(self, request: IRequest, asked: questions.RegistrationsQuery) -> Deferred[Row]:
        """The phones that are registered, by address of record."""
        try:
            return self._inspection.registrations(asked.address_of_record, asked.limit, asked.next)
        except BadCursor as error:
            raise Rejected(400, f"next: {error}.") from None

    def phones(self, request: IRequest, asked: questions.PhonesQuery) -> Deferred[Row]:
        """The inventory of devices: all that have registered, by make, model and firmware."""
        try:
            return self._inspection.devices(asked.filter(), asked.limit, asked.next)
        except BadCursor as error:
            raise Rejected(400, f"next: {error}.") from None

    def counts(self, request: IRequest, asked: questions.Nothing) -> Row:
        """How much there is of everything at this moment."""
        return self._inspection.counts()

    def audit(self, request: IRequest, asked: questions.AuditQuery) -> list[Row]:
        """The latest changes, the last one first."""
        return self._inspection.audit_entries(asked.about, asked.limit)

    def reload(self, request: IRequest, change: questions.NoChange) -> Row:
        """Read the configuration, certificates and passwords again."""
        return self._control.reload(caller_of(request).author)

    def events(self, request: IRequest) -> Deferred[bytes]:
        """Events as they happen, as text/event-stream. Last-Event-ID counts for more than the parameter since."""
        asked = read_query(questions.EventsQuery, request, self._now())
        if request.method == b"HEAD":
            request.setHeader(b"content-type", b"text/event-stream; charset=utf-8")
            return succeed(b"")
        last = request.getHeader(b"last-event-id")
        since = asked.since if last is None else last.decode("latin-1")

        def may_read() -> object:
            return self._permission.admit(request, Role.VIEWER, f"{PREFIX}events")

        return self._streams.open(request, since, wants(asked.names), may_read)

    def openapi(self, request: IRequest) -> bytes:
        """This document."""
        read_query(questions.Nothing, request, self._now())
        return sent(request, document((*self.routes(), *self._others)))

    def _read(self, path: str, method: Answer, schema: object, query: Any = questions.Nothing) -> HttpRoute:
        def answer(request: IRequest, **names: str) -> bytes | Deferred[bytes]:
            return _answered(request, method(request, read_query(query, request, self._now()), **names))

        answer.__doc__ = method.__doc__
        return HttpRoute("GET", PREFIX + path, answer, Role.VIEWER, query=query, schema=schema)

    def _change(self, path: str, method: Answer, schema: object, change: Any, role: Role) -> HttpRoute:
        def answer(request: IRequest, **names: str) -> bytes | Deferred[bytes]:
            read_query(questions.Nothing, request, self._now())
            return _answered(request, method(request, read_change(change, request), **names))

        answer.__doc__ = method.__doc__
        return HttpRoute("POST", PREFIX + path, answer, role, change=change, schema=schema)


def _answered(request: IRequest, value: Any) -> bytes | Deferred[bytes]:
    if not isinstance(value, Deferred):
        return sent(request, value)
    return value.addCallbacks(lambda answer: sent(request, answer), _busy)


def sent(request: IRequest, value: Any) -> bytes:
    """The answer as JSON. Texts of peers were made clean when they were noted, and are once more."""
    request.setHeader(b"content-type", b"application/json")
    return encode(clean_json(value)) + b"\n"


def _busy(failure: Failure) -> Any:
    if failure.check(TooManyQuestions) is not None:
        raise Rejected(503, f"{failure.getErrorMessage()}: try again later.")
    if failure.check(sqlite3.Error, OSError) is not None:
        log.error("a list cannot be read: {reason}", reason=failure.value)
        raise Rejected(503, "The file that this is kept in cannot be read now; the gateway's log says why.")
    return failure


def _tag(domain: Row) -> bytes:
    """The ETag of a domain: its policy, and whether and when it was switched."""
    state = {key: value for key, value in domain.items() if key != "changes"}
    return b'"%s"' % hashlib.sha256(encode(state)).hexdigest()[:32].encode()


def _is_among(tag: bytes, wanted: bytes) -> bool:
    """Whether an If-Match names that tag (RFC 9110 section 13.1.1); a weak one never matches."""
    return wanted.strip() == b"*" or tag in {one.strip() for one in wanted.split(b",")}
