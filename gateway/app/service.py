"""The gateway as a service of twist: built and started with the process, stopped with it, and told of its signals.

    options -> GatewayService -> [acme]: a certificate is there -> Gateway (gateway.py) -> start, reload at SIGHUP, stop
                              |-> Turn: where another process has loaded this one, its word comes before that
                              |-> [cluster]: the turn of this node has come (cluster/cluster_node.py), before that
                              |-> Successor: the next process, at SIGUSR2
                              |-> caretaker: of calls that a stop leaves behind (succession/caretaker.py)
                              |-> Certificates: renewed from then on
                              `-> Watchdog: the process ends when it is deaf

The only file that names the reactor. The certificate of [acme] is the service's, not a part of the gateway, which is
built on its files.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator
from typing import Any, Protocol

from twisted.application.service import IService, Service
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.app.cluster.cluster_node import ClusterNode
from gateway.app.cluster.node_terms import configuration_now
from gateway.app.gateway import Gateway
from gateway.app.start_checks import made_state_directory
from gateway.app.succession import caretaker
from gateway.app.succession.calls_at_stop import Parentage
from gateway.app.succession.successor import Successor, start_caretaker
from gateway.app.succession.turn import Turn
from gateway.app.watchdog import ServiceManager, Watchdog
from gateway.base.clock import Clock, let_timers_pass_evenly
from gateway.config.model import Cluster, Configuration, ConfigurationError
from gateway.media.relay import RelayFailure
from gateway.observe.log import LogOutput
from gateway.security.credentials import CredentialsError
from gateway.state.cluster.link import StoreSilent
from gateway.state.cluster.restored import NotOpened
from gateway.state.journal.live_journal import FILE as JOURNAL
from gateway.state.sqlite import StoreUnusable
from gateway.transport.acme.renewal import Certificates
from gateway.transport.tls.certificates import CertificateError

log = Logger()

reactor: Any = installed_reactor  # its interfaces are checked where it is handed over

OPERATORS_ERRORS = (
    StoreUnusable,
    StoreSilent,
    NotOpened,
    RelayFailure,
    CannotListenError,
    CertificateError,
    ConfigurationError,
    CredentialsError,
    OSError,
)
"""Errors at the start that are no bugs: each is one line for the operator."""


class Options(Protocol):
    """The part that is used of the options of `twist gateway`."""

    configuration: Configuration
    log_output: LogOutput


def makeService(options: Options) -> IService:
    """The gateway that the options describe, to be started by twist."""
    let_timers_pass_evenly(reactor)
    service: IService = GatewayService(options.configuration, options.log_output)
    return service


class GatewayService(Service):
    """Starts and stops a gateway with its process. A start that fails ends the process with status 1."""

    def __init__(self, configuration: Configuration, log_output: LogOutput) -> None:
        self._configuration = configuration
        self._log_output = log_output
        self._gateway: Gateway | None = None
        self._certificates: Certificates | None = None
        self._cluster: ClusterNode | None = None
        self._is_taking_over = False
        self._parentage = Parentage.now()
        self._nobody_came_for = os.environ.pop(caretaker.VARIABLE, "")
        """Seconds that a caretaker waited before it became this process."""
        manager = ServiceManager(os.environ)
        self._watchdog = Watchdog(reactor, manager, self._is_listening, self._end_at_once)
        self._turn = Turn.given(reactor, os.environ)
        self._successor = Successor(reactor, manager, self._leave)

    def startService(self) -> None:
        """Build the gateway and start it."""
        Service.startService(self)
        for number in (signal.SIGHUP, signal.SIGUSR2):  # else they end the process, until there are ways to follow them
            signal.signal(number, signal.SIG_IGN)
        reactor.callWhenRunning(self._watchdog.start)
        started = maybeDeferred(self._start)
        started.addErrback(_give_up, self._log_output)

    def stopService(self) -> Deferred[None] | None:
        """End all that is up; fires when nothing is left."""
        Service.stopService(self)
        self._watchdog.stop(is_service_over=not self._successor.is_loaded)
        if self._certificates is not None:
            self._certificates.stop()
        gateway, self._gateway = self._gateway, None
        stopped = None if gateway is None else gateway.stop().addCallback(self._look_after, gateway)
        node = self._cluster
        if node is None:
            return stopped
        return maybeDeferred(lambda: stopped).addBoth(lambda _: Deferred.fromCoroutine(node.stop()))

    @inlineCallbacks
    def _start(self) -> Generator[Deferred[Any], Any, None]:
        certificates = self._certificates = self._ordered_by_us()
        if certificates is not None:
            yield certificates.ensure()
        has_turn = self._turn is None or (yield self._turn.come())
        if not self.running:
            return
        if not has_turn:
            log.warn("the process before has ended without a hand-over: this one is not needed")
            reactor.stop()
            return
        terms = self._configuration.cluster
        if terms is not None:
            self._wait_for_turn(terms)
            return
        yield self._begin()
        self._watchdog.ready()
        if self._nobody_came_for and self._gateway is not None:
            log.warn("no process came for {seconds} s to go on with the calls: they end", seconds=self._nobody_came_for)
            self._gateway.end_calls(reactor.stop)
        elif certificates is not None and self.running:
            certificates.start()

    @inlineCallbacks
    def _begin(self) -> Generator[Deferred[Any], Any, None]:
        gateway = self._gateway = Gateway(
            self._configuration, self._log_output, reactor, self._cluster, self._parentage
        )
        reactor.callWhenRunning(_take_signals, gateway, self._load_next)
        yield gateway.start()

    def _wait_for_turn(self, terms: Cluster) -> None:
        """For systemd a node that waits has started. It knows no calls that SIGTERM would have to spare."""
        self._cluster = ClusterNode(
            self._configuration, terms, reactor, self._end_at_once, lambda failure: _give_up(failure, self._log_output)
        )
        signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(_tell_waiting))
        signal.signal(signal.SIGUSR2, lambda number, frame: reactor.callFromThread(self._load_next))
        self._cluster.start(self._take_over)
        self._watchdog.ready()

    async def _take_over(self) -> None:
        """The turn has come."""
        self._is_taking_over = True
        self._configuration = configuration_now(self._configuration)
        if self.running:
            await self._begin()
        self._is_taking_over = False

    def _load_next(self) -> None:
        if self._cluster is None:
            self._successor.begin()
        else:
            log.warn("SIGUSR2: no other process is loaded in a cluster: stop this node, and the other one takes over")

    def _leave(self) -> None:
        if self._gateway is not None:
            reactor.addSystemEventTrigger("after", "shutdown", self._successor.stopped)
            self._gateway.hand_over(reactor.stop)

    def _look_after(self, _: object, gateway: Gateway) -> None:
        """Have a caretaker look after calls that were left. In a cluster the other node goes on with them."""
        section = self._configuration.gateway
        if not gateway.left_calls or self._cluster is not None:
            return
        try:
            process = start_caretaker(section.state_directory / JOURNAL, section.keep_seconds)
        except OSError as error:
            log.error("nobody looks after the calls that are left: {reason}", reason=error.strerror)
            return
        waits = "the calls that are left end in {seconds} s unless a process goes on with them: {pid} looks after that"
        log.info(waits, seconds=section.keep_seconds, pid=process)

    def _is_listening(self) -> bool:
        if self._cluster is not None and (self._cluster.is_waiting or self._is_taking_over):
            return True
        return self._gateway is not None and self._gateway.is_listening

    def _end_at_once(self, reason: str, status: int = 1) -> None:
        """Without a BYE to anybody: audio goes on, and the next process finds its workers."""
        self._log_output.fatal(f"the gateway ends itself: {reason}", sys.stdout)
        self._log_output.close()
        os._exit(status)

    def _ordered_by_us(self) -> Certificates | None:
        """The certificate of [acme], if there is such a table."""
        terms = self._configuration.acme
        if terms is None:
            return None
        return Certificates(terms, made_state_directory(self._configuration), Clock(reactor), reactor)


def _tell_waiting() -> None:
    log.info("SIGHUP: a node that waits reads its configuration when it becomes active")


def _take_signals(gateway: Gateway, load_next: Callable[[], None]) -> None:
    """SIGHUP reads the configuration again, and the files that it names; SIGTERM drains before it ends the process;
    SIGUSR2 has another process take over.

    SIGINT stays the reactor's: it ends all at once. A SIGTERM that comes beside it leaves nothing to another process.
    """
    stop: Any = signal.getsignal(signal.SIGTERM)  # the reactor's: stops it, and remembers the signal
    interrupt: Any = signal.getsignal(signal.SIGINT)

    def terminate() -> None:
        log.info("SIGTERM: the gateway drains, and stops")
        gateway.terminate(lambda: stop(signal.SIGTERM, None))

    def interrupted(number: int, frame: Any) -> None:
        gateway.leave_nothing()
        interrupt(number, frame)

    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(gateway.reload))
    signal.signal(signal.SIGUSR2, lambda number, frame: reactor.callFromThread(load_next))
    signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(terminate))
    signal.signal(signal.SIGINT, interrupted)


def _give_up(failure: Failure, log_output: LogOutput) -> None:
    """End the process with status 1: one line for an operator to mend it, a traceback for a bug of ours."""
    if failure.check(*OPERATORS_ERRORS) is not None:
        log_output.fatal(f"the gateway cannot start: {failure.getErrorMessage()}", sys.stdout)
    else:
        log.failure("the gateway cannot start", failure)

    def end() -> None:
        log_output.close()
        os._exit(1)

    reactor.addSystemEventTrigger("after", "shutdown", end)
    reactor.callWhenRunning(reactor.stop)
