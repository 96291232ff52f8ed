"""The time of an order: at the start when there is no certificate, then as soon as it has few days left.

    files missing, or for other names -> order now, the gateway waits
    few days left                     -> order; failed: again after 1 h, 2 h, ... 24 h, and the old one goes on serving

The files are read again by those that serve with them (`tls/reload.py`). Not here: the order (order.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.clock import Clock
from gateway.config.tables.acme_table import Acme
from gateway.transport.acme.challenges import HookAnswers, HttpAnswers
from gateway.transport.acme.order import ChallengeAnswers, Order
from gateway.transport.tls.certificates import CertificateError, read_chain, read_key
from gateway.transport.tls.identity import identity_of

log = Logger()

LOOK_EVERY: Final = 6 * 3600.0
AGAIN_AFTER: Final = 3600.0
AGAIN_AT_MOST: Final = 24 * 3600.0
DAY: Final = 86_400


class Certificates:
    """The certificate of [acme]."""

    def __init__(self, terms: Acme, state: Path, clock: Clock, reactor: Any) -> None:
        answering: ChallengeAnswers = HttpAnswers(reactor, terms.address, terms.port)
        if terms.hook is not None:
            answering = HookAnswers(terms.hook)
        self._terms = terms
        self._order = Order(terms, state / "acme" / "account.pem")
        self._answering = answering
        self._clock = clock
        self._reactor = reactor
        self._failures = 0
        self._timer: IDelayedCall | None = None
        self.is_stopped = False

    def ensure(self) -> Deferred[None]:
        """Fires when there is a certificate for the names. Fails with OrderFailed where none can be had."""
        if self.lack() is None:
            return succeed(None)
        log.info("a certificate for {names} is ordered", names=", ".join(self._terms.names))
        return self._fulfil()

    def start(self) -> None:
        """Look at the days left, now and from time to time."""
        self._look()

    def stop(self) -> None:
        """Look no more. An order that is under way ends by itself."""
        self.is_stopped = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        why = self.lack() or self._age()
        if why is None:
            self._plan(LOOK_EVERY)
            return
        log.info("a new certificate for {names} is ordered: {why}", names=", ".join(self._terms.names), why=why)
        self._fulfil().addCallbacks(self._renewed, self._failed)

    def _renewed(self, _: None) -> None:
        self._failures = 0
        log.info("the certificate for {names} is renewed", names=", ".join(self._terms.names))
        self._plan(LOOK_EVERY)

    def _failed(self, failure: Failure) -> None:
        delay = min(AGAIN_AT_MOST, AGAIN_AFTER * 2**self._failures)
        self._failures = min(10, self._failures + 1)
        if failure.check(CertificateError) is None:
            log.failure("the order of a certificate met a bug", failure)
        else:
            log.error(
                "no new certificate; the old one goes on serving, and it is tried again in {hours:.0f} h: {reason}",
                hours=delay / 3600,
                reason=failure.getErrorMessage(),
            )
        self._plan(delay)

    def _plan(self, seconds: float) -> None:
        if not self.is_stopped:
            self._timer = self._clock.timers.callLater(seconds, self._look)

    def _fulfil(self) -> Deferred[None]:
        return in_own_thread(self._reactor, lambda: self._order.fulfil(self._answering))

    def lack(self) -> str | None:
        """Why the files are of no use at all."""
        if not self._terms.private_key.exists():
            return "there is no key"
        try:
            leaf = read_chain(self._terms.certificate)[0]
            if leaf.public_key() != read_key(self._terms.private_key).public_key():
                return f"{self._terms.private_key} is not the key of {self._terms.certificate}"
        except CertificateError as error:
            return str(error)
        missing = set(self._terms.names) - {name.lower() for name in identity_of(leaf).names}
        return f"it is not for {', '.join(sorted(missing))}" if missing else None

    def _age(self) -> str | None:
        """Why it is time for another."""
        left = read_chain(self._terms.certificate)[0].not_valid_after_utc.timestamp() - self._clock.wall()
        return f"it has {left / DAY:.0f} days left" if left < self._terms.renew_days * DAY else None


def in_own_thread(reactor: Any, work: Callable[[], None]) -> Deferred[None]:
    """Fires when the work is done; fails as it does. The process may end meanwhile, and the work with it.

    A pool's threads are waited for at the end, by a reactor that does nothing else any more: work that asks it to close
    its port would wait for ever, and a hook keeps a stop waiting for minutes.
    """
    done: Deferred[None] = Deferred()

    def run() -> None:
        try:
            work()
        except Exception:
            reactor.callFromThread(done.errback, Failure())
        else:
            reactor.callFromThread(done.callback, None)

    Thread(target=run, name="acme", daemon=True).start()
    return done
