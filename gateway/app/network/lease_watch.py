"""The lease of this machine's address, as the DHCP client tells of it, and its renewal when SIP gets no answer.

    every LOOK_SECONDS: the addresses of our peers -> client -> report -> events, metrics, `gatewayctl network`
    all providers silent for renew_after_seconds -> "renew" -> client: the router answers -> nothing
                                                                      `- it is silent    -> one DHCPREQUEST

The client alone decides about addresses, and keeps renewals five minutes apart by itself, whatever is asked here. It is
told the addresses of providers and phone systems, since no lease may name one. Nothing that it says moves the gateway:
the kernel's word does (address_watch.py). Not here: its socket (lease_client.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.admin.v1.network_routes import DhcpAnswer, OtherServerAnswer
from gateway.app.network.lease_client import AskClient, DhcpClientFailed
from gateway.base.network.dhcp.lease_report import MOST_TAKEN, LeaseAnswer, LeaseQuestion, LeaseReport
from gateway.config.model import NetworkTerms
from gateway.observe.events import EventName
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics

LOOK_SECONDS: Final = 5.0
PATIENCE_LOOKS: Final = 2
"""Looks in vain before it is told: the client may be just being started."""
AGAIN: Final = 30.0
"""Seconds after which a renewal is asked for again that was not to be: the router answered, or there was no lease."""
_ROGUES_TOLD: Final = 64

_OF_LEASE: Final = (
    *("address", "prefix", "server", "router", "seconds_left"),
    *("dns", "ntp", "domain", "tftp", "sip_servers", "vendor"),
)

log = Logger()


@attrs.frozen
class SipSilence:
    """Whether SIP gets answers, and the hosts that they come from."""

    since: Callable[[], float | None]
    """When the last provider answered, reactor seconds, while none does; None while one does."""
    are_names_lost: Callable[[], bool]
    """Whether no provider's name is found: a router that answers says nothing then."""
    peers: Callable[[], Iterable[str]]
    """The addresses of providers and phone systems."""


class LeaseWatch:
    """The DHCP client's word, and the orders to it."""

    def __init__(
        self, terms: NetworkTerms, ask: AskClient, silence: SipSilence, metrics: Metrics, reactor: Any
    ) -> None:
        self._terms = terms
        self._ask = ask
        self._silence = silence
        self._metrics = metrics
        self._reactor = reactor
        self._round = LoopingCall(self.look)
        self._round.clock = reactor
        self._asking: Deferred[None] | None = None
        self._next_order = 0.0
        self._failures = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._rogues: set[tuple[str, str]] = set()
        self.report: LeaseReport | None = None
        """The latest; None before the first, and while the client does not answer."""
        self.why = "it was not asked yet"
        """Why there is none; empty where there is."""
        metrics.asked.add(self._figures)

    def start(self) -> None:
        """Begin to look."""
        self._round.start(LOOK_SECONDS, now=True)

    def stop(self) -> None:
        """Look no more."""
        if self._round.running:
            self._round.stop()
        if self._asking is not None:
            self._asking.cancel()

    def look(self) -> None:
        """Ask the client how it stands; with an order where SIP has been silent for long enough."""
        if self._asking is not None:
            return
        silent = self._silent_seconds()
        is_order = silent is not None and self._reactor.seconds() >= self._next_order
        question = LeaseQuestion(self._taken(), is_order, is_order and self._silence.are_names_lost())
        self._asking = asking = self._ask(question).addCallbacks(
            lambda answer: self._told(answer, silent if is_order else None), self._failed
        )
        asking.addBoth(self._done)
        asking.addErrback(lambda failure: log.failure("a look at the lease met a bug", failure))

    async def renew(self) -> LeaseAnswer:
        """Renew the lease though the router answers, as an operator orders. Raises DhcpClientFailed."""
        try:
            answer = await self._ask(LeaseQuestion(self._taken(), renew=True, even_with_router=True))
        except DhcpClientFailed:
            self._failed(Failure())
            raise
        self._told(answer, None)
        return answer

    def _done(self, outcome: object) -> object:
        self._asking = None
        return outcome

    def _silent_seconds(self) -> float | None:
        """Of silence, where a renewal is called for."""
        since = self._silence.since() if self._terms.renew_after_seconds else None
        seconds = None if since is None else self._reactor.seconds() - since
        return seconds if seconds is not None and seconds >= self._terms.renew_after_seconds else None

    def _taken(self) -> tuple[str, ...]:
        return tuple(sorted(filter(_is_ipv4, self._silence.peers())))[:MOST_TAKEN]

    def _told(self, answer: LeaseAnswer, silent: float | None) -> None:
        if self.why and self._failures >= PATIENCE_LOOKS:
            log.warn("the DHCP client answers again")
            self._metrics.events.note(EventName.NETWORK_DHCP_BACK)
        self._failures, self.why, self.report = 0, "", answer.report
        if silent is not None:
            self._ordered(answer, silent)
        self._tell_renewals(answer.report)
        self._tell_rogues(answer.report)

    def _ordered(self, answer: LeaseAnswer, silent: float) -> None:
        """The client's word on an order that silence was the reason of."""
        wait = {"sent": self._terms.renew_interval, "wait": answer.wait}.get(answer.renewed, AGAIN)
        self._next_order = self._reactor.seconds() + wait
        if answer.renewed == "sent":
            log.warn("no provider has answered for {seconds:.0f} s: the lease is renewed", seconds=silent)
            self._metrics.events.note(EventName.NETWORK_RENEWAL_ASKED, seconds=round(silent))

    def _tell_renewals(self, report: LeaseReport) -> None:
        """Outcomes since the last look; after a start of the client, those since then."""
        counts = Counter({(cause, result): number for cause, result, number in report.renewals})
        news = counts - self._counts if counts >= self._counts else counts
        self._counts = counts
        for cause, result in news:
            if result == "silent":
                log.warn("no DHCP server answered a renewal ({cause})", cause=cause)
                self._metrics.events.note(EventName.NETWORK_DHCP_SILENT, cause=cause)
            elif (cause, result) == ("asked", "same") and report.lease is not None:
                self._metrics.events.note(EventName.NETWORK_RENEWED_SAME, who=report.lease.address)

    def _tell_rogues(self, report: LeaseReport) -> None:
        for one in report.others:
            if (one.address, one.mac) not in self._rogues and len(self._rogues) < _ROGUES_TOLD:
                self._rogues.add((one.address, one.mac))
                log.warn("another DHCP server answers: {address} ({mac})", address=one.address, mac=one.mac)
                self._metrics.events.note(EventName.NETWORK_ROGUE_DHCP, who=one.address, mac=one.mac)

    def _failed(self, failure: Failure) -> None:
        if not self._round.running:
            return  # the gateway is being stopped
        if failure.check(DhcpClientFailed) is None:
            log.failure("a question to the DHCP client met a bug", failure)
        self._failures += 1
        self.report, self.why = None, failure.getErrorMessage()
        if self._failures == PATIENCE_LOOKS:
            log.warn("the DHCP client does not answer: {why}", why=self.why)
            self._metrics.events.note(EventName.NETWORK_DHCP_LOST, why=self.why)

    def _figures(self) -> Iterator[Sample]:
        report = self.report
        yield Metrics.dhcp_client_up, (), report is not None
        if report is None:
            return
        if report.lease is not None and report.lease.seconds_left is not None:
            yield Metrics.dhcp_lease, (), report.lease.seconds_left
        yield Metrics.dhcp_other_servers, (), len(report.others)
        for cause, result, number in report.renewals:
            yield Metrics.dhcp_renewals, (cause, result), number


def _is_ipv4(address: str) -> bool:
    try:
        return bool(IPv4Address(address))
    except AddressValueError:
        return False


def lease_answer(watch: LeaseWatch) -> DhcpAnswer:
    """The lease, for people."""
    report = watch.report
    if report is None:
        return DhcpAnswer(watch.why)
    lease, renewal = report.lease, report.renewal
    facts = {} if lease is None else {key: getattr(lease, key) for key in _OF_LEASE}
    return DhcpAnswer(
        "",
        report.state,
        report.interface,
        **facts,
        renewed="" if renewal is None else f"{renewal.result} ({renewal.cause})",
        renewed_seconds_ago=None if renewal is None else renewal.seconds_ago,
        others=tuple(OtherServerAnswer(one.address, one.mac, one.seconds_ago) for one in report.others),
        refused=report.refused,
        refusals=report.refusals,
    )
