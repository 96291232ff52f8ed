"""The composition root: builds every part, joins them, starts and stops them in order.

    Configuration -> store, relay, transport, transactions, registrar, calls, core, admin -> Gateway

Nothing is decided here; a part that needs another gets it as an argument.

Starting goes from what answers nobody to what answers everybody: bindings are read and media workers are there before
a port is open, so that the first request finds everything it needs. Stopping goes the other way.
"""

from __future__ import annotations

import gc
import secrets
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.names.client import Resolver

from gateway.admin.api import admin_site
from gateway.admin.inspection import NotChanged
from gateway.admin.overview import Counts, Overview
from gateway.app.start_checks import allow_connections, compare_versions, go_on_without, put_aside_what_is_bad
from gateway.b2bua.calls import Calls
from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.legs.leg import Stack
from gateway.b2bua.out_of_dialog import Passing
from gateway.b2bua.setup.first_request import Identities
from gateway.b2bua.subscriptions import Subscriptions
from gateway.base.clock import Clock
from gateway.base.tokens import SECRET_BYTES, Random, kept_secret
from gateway.config.model import Configuration, Domain, Nameserver
from gateway.config.settings import Settings
from gateway.ingress.core import B2bua, UasCore
from gateway.ingress.gate import Gate
from gateway.ingress.overload import Overload
from gateway.ingress.refusal_log import Refusals
from gateway.ingress.screening import Screening
from gateway.media.configured_nodes import Reactors, nodes_for
from gateway.media.pool import RelayPool
from gateway.observe.log import LogOutput
from gateway.observe.metrics import Figures, Metrics
from gateway.registrar.registrar import Forwarded, Registrar, Surroundings
from gateway.registrar.sqlite_store import SqliteStore, prepare_bindings
from gateway.registrar.upstream import dress
from gateway.routing.forward import NextHop
from gateway.routing.locate import Locator, resolver_of
from gateway.routing.names import Names
from gateway.routing.router import Router
from gateway.routing.trunk import Trunk
from gateway.security.admission import DomainAdmission
from gateway.security.answering import Answering
from gateway.security.authenticator import Authenticator
from gateway.security.nonces import Nonces
from gateway.security.policy.peer_memory import CAPACITY, PeerMemory, keeper, recalled
from gateway.sip.message import Request
from gateway.state.audit import AuditLog
from gateway.state.cdr import CdrFile
from gateway.state.history import CallHistory
from gateway.state.sqlite import PooledDatabase
from gateway.state.table import KeptTable, prepare
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import Flow, FlowKey, TlsTerms
from gateway.transport.layer import TransportLayer

log = Logger()

EXPIRY_SECONDS = 5.0
"""Between two looks for bindings whose time is over."""

RESOLVING_SECONDS = 5.0
"""Between two looks for names of peers that are to be resolved again."""

WRITING_SECONDS = 2.0
"""Between two looks whether the log's reader, or the disk, takes what waits for it."""

LASTING_SECONDS = 10.0
"""A call that is up for so long is noted, should this process die under it."""


THRESHOLDS: Final = (5_000, 10, 10)
"""New objects, less those that were freed, until the youngest are looked at, and how often that happens until older
ones are. To look at so many takes 2 ms; with as many calls ending as beginning it hardly ever happens."""


class Gateway:
    """All parts of one gateway, joined. The reactor's interfaces are checked where it is handed over."""

    def __init__(self, configuration: Configuration, log_output: LogOutput, reactor: Any) -> None:
        state = configuration.gateway.state_directory
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock = clock = Clock(reactor)
        audit = AuditLog(state / "audit.jsonl", clock.wall)
        self._settings = Settings(configuration, audit, clock, self)
        configuration = self._configuration = self._settings.current
        self._reactor = reactor
        self._metrics = Metrics(CollectorRegistry(), self._figures)
        self._log_output = log_output
        self._writing = LoopingCall(self._write_what_waits)
        path = state / "bindings.sqlite"
        self._store = SqliteStore(path, PooledDatabase(path, reactor, prepare_bindings), reactor, clock.now)
        reactors = Reactors(reactor, reactor, reactor, reactor)
        self._relay = RelayPool(reactor, nodes_for(reactors, configuration.media, state), self._metrics)
        self._transport = TransportLayer(reactor, configuration.listeners, self._metrics)
        self._random = Random()
        self._transactions = TransactionLayer(reactor, random=self._random.take)
        self._locator = Locator(Names(_resolver(configuration.gateway.nameservers, reactor), reactor))
        self._peers = _table(state / "peers.sqlite", reactor)
        self._memory = PeerMemory(clock.now, self._metrics, keeper(self._peers, clock.now))
        cdr = self._cdr = CdrFile(state / "cdr.jsonl")
        self._calls_table = _table(state / "calls.sqlite", reactor)
        days = configuration.gateway.history_days
        self._history = CallHistory(self._calls_table, cdr, clock, days)
        # A secret of this process: after a restart, which forgets what was used, no older nonce is good.
        authenticator = Authenticator(Nonces(secrets.token_bytes(SECRET_BYTES), secrets.token_bytes))
        self._admission = DomainAdmission(configuration, authenticator, resolver_of(self._locator), clock.now)
        answering = Answering(self._admission.password_of, self._is_bound, self._random.token)
        self._trunk = Trunk(reactor, self._locator, self._transport, self._transactions, self._memory, answering)
        self._registrar = self._new_registrar(kept_secret(state / "secret"), clock.now)
        self._transport.ended = self._registrar.flow_ended
        self._router = Router(configuration, self._registrar.find)
        identities = Identities(clock.now, self._random.token)
        name, new_tag = configuration.gateway.name, self._random.token
        stack = Stack(self._transactions, self._relay, name, reactor, clock.wall, new_tag)
        dialogs = Dialogs()
        self._overload = Overload(reactor)
        self._calls = Calls(
            stack,
            self._trunk,
            dialogs,
            identities,
            self._metrics,
            lambda record: self._history.ended(record.as_json()),
        )
        subscriptions = Subscriptions(stack, self._trunk, dialogs, identities)
        counts = Counts(
            self._calls,
            dialogs,
            subscriptions,
            self._store,
            self._transport,
            self._relay,
            self._transactions,
            reactor,
        )
        self._overview = Overview(
            self._settings,
            self._calls,
            self._history,
            self._store,
            self._memory,
            audit,
            clock.now,
            self._transport.certificate_reports,
            counts.now,
        )
        self._relay.lost = self._calls.media_lost
        self._relay.ended = self._calls.media_ended
        passing = Passing(self._trunk, self._transactions, identities)
        b2bua = B2bua(dialogs, self._calls, subscriptions, passing)
        core = UasCore(
            b2bua,
            self._registrar,
            Screening(self._router, self._registrar, self._admission, self._overload),
            self._transport,
            self._metrics,
            Refusals(reactor.seconds),
        )
        self._transactions.core = core
        gate = Gate(self._admission, b2bua.is_in_dialog, self._transactions.receive, self._metrics)
        self._transport.receiver = gate.receive
        self._transport.answer_only(gate.may_answer)
        self._resolving = LoopingCall(self._admission.refresh)
        self._expiry = LoopingCall(self._registrar.expire)
        self._admin: Any = None

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Open everything; fails with one of OPERATORS_ERRORS."""
        put_aside_what_is_bad(self._configuration.gateway.state_directory)
        yield self._store.start().addErrback(go_on_without)
        kept = self._peers.latest(CAPACITY).addCallback(lambda kept: self._memory.recall(recalled(kept)))
        yield kept.addErrback(go_on_without)
        yield self._history.start().addCallbacks(self._count_unseen, go_on_without)
        yield self._relay.start()
        allow_connections(self._configuration)
        compare_versions(self._configuration)
        self._transport.reload(map(TlsTerms.of, self._configuration.providers))
        yield self._transport.start()
        admin = self._configuration.admin
        site = admin_site(self._overview, self._overview, self._metrics)
        self._admin = self._reactor.listenTCP(admin.port, site, interface=admin.address)
        self._expiry.start(EXPIRY_SECONDS, now=True)
        self._overload.start()
        self._writing.start(WRITING_SECONDS)
        self._trunk.health.start(self._configuration.providers)
        self._resolving.start(RESOLVING_SECONDS, now=True)
        for listener in self._configuration.listeners:
            log.info(
                "listening for {side} on {transport} {address}",
                side=listener.side,
                transport=listener.transport,
                address=self._transport.address_of(listener.name),
            )
        log.info("administration on http://{address}:{port}/", address=admin.address, port=self._admin.getHost().port)
        spare_what_stays()
        log.info("ready")

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """End the calls, then close everything."""
        self._calls.end_all("The gateway is being stopped")
        self._overload.stop()
        self._trunk.health.stop()
        for rounds in (self._resolving, self._expiry, self._writing):
            if rounds.running:
                rounds.stop()
        if self._admin is not None:
            yield maybeDeferred(self._admin.stopListening)
        yield self._calls.released()
        yield self._transport.stop()
        self._transactions.stop()
        yield self._relay.stop()
        yield self._history.stop()
        yield self._peers.stop()
        yield self._store.stop()

    def reload(self) -> None:
        """Read the configuration, certificates and passwords again; a mistake leaves everything as it was."""
        self._history.reopen()
        try:
            changes = self._overview.reload("SIGHUP")["changes"]
            log.info("the configuration is read again: {changes}", changes=changes or "nothing changed")
        except NotChanged as error:
            for line in error.lines:
                log.error("the configuration stays as it was: {reason}", reason=line)

    def _write_what_waits(self) -> None:
        self._log_output.retry()
        self._cdr.retry()
        now = self._clock.wall()
        for record in takewhile(lambda record: record.ended_at is None, self._calls.records()):
            if now - record.started_at > LASTING_SECONDS and not self._history.is_noted(record.id):
                self._history.goes_on(record.as_json())

    def _count_unseen(self, calls: Sequence[Mapping[str, Any]]) -> None:
        """Calls of the process before, which died under them."""
        for call in calls:
            labels = (str(call.get(name)) for name in ("domain", "direction", "verdict", "reason"))
            self._metrics.calls.labels(*labels).inc()
            log.warn("call {call_id} was up when the gateway ended: nobody saw its end", call_id=call.get("id"))

    def _figures(self) -> Figures:
        """What the metrics ask for when somebody looks."""
        return Figures(
            self._log_output.lost,
            self._overload.shed,
            self._overload.lateness,
            self._trunk.health.targets(),
            Counter(node.is_up for node in self._relay.nodes),
            tuple(file.standing for file in (self._store, self._peers, self._calls_table, self._cdr)),
        )

    def prepare(self, configuration: Configuration) -> Callable[[], None]:
        """Read again the files that a configuration names; raises CredentialsError or CertificateError for one."""
        prepared = self._admission.prepare(configuration)
        self._transport.reload(map(TlsTerms.of, configuration.providers))

        def use() -> None:
            self._admission.adopt(prepared)
            self._admission.refresh()

        return use

    def adopt(self, configuration: Configuration) -> None:
        """New calls and registrations go by this configuration; those in progress keep what they began with."""
        self._router.adopt(configuration)
        self._trunk.health.start(configuration.providers)

    def _is_bound(self, aor: str, flow: FlowKey) -> bool:
        return self._registrar.is_bound(aor, flow)

    def _new_registrar(self, secret: bytes, now: Callable[[], float]) -> Registrar:
        def forward(request: Request, domain: Domain, user: Forwarded) -> None:
            def dressed(request: Request, flow: Flow) -> None:
                dress(request, flow)
                user.leaving(flow)

            self._trunk.forward(request, NextHop(domain, self._router.provider_of(domain)), user, dressed)

        surroundings = Surroundings(
            domain_named=lambda host: self._router.domain_named(host),
            forward=forward,
            store=self._store,
            now=now,
            metrics=self._metrics,
            memory=self._memory,
            new_tag=self._random.token,
            secret=secret,
            changed_at=self._settings.changed_at,
        )
        return Registrar(surroundings)


def _resolver(nameservers: Sequence[Nameserver], reactor: Any) -> Resolver:
    """Asks these, or whom the system's configuration names."""
    if nameservers:
        return Resolver(servers=[(one.address, one.port) for one in nameservers], reactor=reactor)
    return Resolver(resolv="/etc/resolv.conf", reactor=reactor)


def _table(path: Path, reactor: Any) -> KeptTable:
    return KeptTable(path, PooledDatabase(path, reactor, prepare), reactor)


def spare_what_stays() -> None:
    """To be called once all is built: what exists now is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
