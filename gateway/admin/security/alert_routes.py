"""The API of alerts: the receivers and how each stands, and a test that says the receiver's answer.

    GET  /api/v1/alerts                    the receivers
    POST /api/v1/alerts/{receiver}/test    tell one of them that it is tested: 200 with its answer, 502 with the reason

Not here: the delivery (`security.alerts`). A URL is shown by its host alone: its path may be a secret.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, caller_of
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Moment, read_change, read_query, said
from gateway.admin.v1.questions import NoChange, Nothing
from gateway.admin.v1.resources import sent
from gateway.security.alerts.alerts import Alerts, ReceiverStanding
from gateway.security.alerts.notice import NotDelivered
from gateway.state.audit import AuditLog


@attrs.frozen
class AlertReceiverAnswer:
    """A receiver of alerts."""

    name: str = said("Its name in the configuration.")
    to: str = said("webhook, email, syslog or log.")
    place: str = said("The host, address or socket that it is at; empty for the log.")
    events: tuple[str, ...] = said("Names of the events that it is told of; * stands for any.")
    least: str = said("The least severity of these.")
    sent: int = said("Alerts that it took.")
    failed: int = said("Alerts that were given up after three tries.")
    dropped: int = said("Alerts that there was no room for while others waited.")
    waiting: int = said("Alerts that wait.")
    is_failing: bool = said("Whether the latest one was given up.")
    answer: str = said("Its latest answer, or the reason of the latest failure.")
    last_sent: Moment | None = said("When it last took one.", None)


@attrs.frozen
class AlertTestAnswer:
    """The outcome of a test."""

    name: str = said("The receiver's name.")
    answer: str = said("Its answer.")


class AlertRoutes:
    """The routes of alerts."""

    def __init__(self, alerts: Alerts, audit: AuditLog) -> None:
        self._alerts = alerts
        self._audit = audit

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        path = f"{PREFIX}alerts"
        every, one = tuple[AlertReceiverAnswer, ...], AlertTestAnswer
        return (
            HttpRoute("GET", path, self.all, Role.VIEWER, query=Nothing, schema=every),
            HttpRoute("POST", f"{path}/{{receiver}}/test", self.test, Role.OPERATOR, change=NoChange, schema=one),
        )

    def all(self, request: IRequest) -> bytes:
        """The receivers of alerts, and how the delivery to each stands."""
        read_query(Nothing, request, 0)
        return sent(request, [attrs.asdict(_answer(one)) for one in self._alerts.standing()])

    def test(self, request: IRequest, receiver: str) -> Deferred[bytes]:
        """Tell a receiver that it is tested, in one try; gives its answer."""
        read_change(NoChange, request)
        try:
            answered = self._alerts.test(receiver)
        except KeyError:
            raise Rejected(404, f"There is no alert {receiver[:40]}.") from None
        self._audit.write(caller_of(request).author, "alert tested", receiver=receiver)

        def told(answer: str) -> bytes:
            return sent(request, attrs.asdict(AlertTestAnswer(receiver, answer)))

        return answered.addCallbacks(told, _refused)


def _refused(failure: Failure) -> Any:
    failure.trap(NotDelivered)
    raise Rejected(502, f"{failure.getErrorMessage()}.")


def _answer(one: ReceiverStanding) -> AlertReceiverAnswer:
    terms, standing = one.terms, one.standing
    last = None if standing.last_sent is None else Moment(standing.last_sent)
    counts = standing.counts
    return AlertReceiverAnswer(
        terms.name,
        terms.to,
        str(terms.url or terms.smtp or terms.syslog or ""),
        terms.events,
        terms.least,
        counts.sent,
        counts.failed,
        counts.dropped,
        standing.waiting,
        standing.is_failing,
        standing.answer,
        last,
    )
