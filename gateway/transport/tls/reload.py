"""The certificates, keys and trust in use, and when their files are read again.

    files -> ServerTls.prepare, ClientTls.prepare -> all good? -> adopt -> new connections; those that are up live on
    every LOOK_EVERY: did a file change? -> reload          every NEW_TICKETS_EVERY: new contexts, with new ticket keys

A reload that fails changes nothing: the old ones go on serving. Lives here: the times of a reload, and the words to the
operator. Not here: contexts (contexts.py), the checks of a file (certificates.py).
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.config.model import Listener
from gateway.observe.events import EventName
from gateway.observe.metrics import Metrics
from gateway.transport.flow import PeerIdentity, TlsTerms
from gateway.transport.sockets import TransportReactor
from gateway.transport.tls.certificates import (
    RENEW_WITHIN_DAYS,
    CertificateError,
    CertificateReport,
    read_chain,
    time_warning,
)
from gateway.transport.tls.contexts import ClientTls, ServerTls

log = Logger()

LOOK_EVERY = 30.0
"""Seconds between two looks at the files."""

NEW_TICKETS_EVERY = 24 * 3600.0
"""Seconds for which one key makes the tickets that resume sessions (RFC 5077 section 5.5). As often the operator is
told how the certificates stand."""

Trace = tuple[int, int, int] | None
"""The mark of one version of a file; None for a file that is not there."""


class Renewal:
    """Everything that TLS takes from files. `reloaded` is called when clients have new contexts."""

    def __init__(self, reactor: TransportReactor, metrics: Metrics, reloaded: Callable[[], None]) -> None:
        self.clients = ClientTls(self._note)
        self._servers: dict[str, ServerTls] = {}
        self._reactor = reactor
        self._expiry = metrics.certificate_expiry
        self._events = metrics.events
        self._unread = metrics.certificates_unread
        self._reloaded = reloaded
        self._seen: dict[Path, Trace] = {}
        self._new_tickets_at = 0.0
        self._call: IDelayedCall | None = None

    def serve(self, listener: Listener, *, resumes: bool = True) -> ServerTls:
        """The TLS of a listener. Raises CertificateError."""
        server = self._servers[listener.name] = ServerTls(listener, resumes=resumes)
        return server

    def start(self) -> None:
        """Tell how the certificates stand, and look at the files from time to time."""
        self._tell()
        if self._servers:
            self._note(self._files())
            self._new_tickets_at = self._reactor.seconds() + NEW_TICKETS_EVERY
            self._call = self._reactor.callLater(LOOK_EVERY, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def reports(self) -> dict[str, CertificateReport]:
        """How each certificate that a TLS listener serves stands: by the listener, those beside the first by their file
        as well."""
        return {
            f"{name} {report.path}" if index else name: report
            for name, server in self._servers.items()
            for index, report in enumerate(server.reports)
        }

    def reload(self) -> None:
        """Read everything again. Raises CertificateError, and changes nothing then."""
        self.prepare()()

    def prepare(self, terms: Iterable[TlsTerms] | None = None) -> Callable[[], None]:
        """Read everything again, for clients on these terms instead of those known so far; the result adopts it.
        Raises CertificateError."""
        wanted = self.clients.terms if terms is None else frozenset(terms)
        seen = {file: _trace(file) for file in self._files() | {file for one in wanted for file in one.files}}
        servers = [(server, server.prepare()) for server in self._servers.values()]
        clients = self.clients.prepare(wanted)

        def adopt() -> None:
            for name, (server, prepared) in zip(self._servers, servers, strict=True):
                for before, now in zip(server.reports, prepared.reports, strict=True):
                    self._tell_renewed(name, before, now)
                server.adopt(prepared)
            self.clients.adopt(clients)
            self._seen = seen
            self._unread.set(0)
            self._reloaded()
            self._tell()

        return adopt

    def _note(self, files: set[Path]) -> None:
        for file in files:
            self._seen.setdefault(file, _trace(file))

    def _files(self) -> set[Path]:
        served = {file for server in self._servers.values() for file in server.files}
        return served | {file for terms in self.clients.terms for file in terms.files}

    def _look(self) -> None:
        self._call = self._reactor.callLater(LOOK_EVERY, self._look)
        traces = {file: _trace(file) for file in self._files()}
        changed = [file for file, trace in traces.items() if self._seen.get(file, trace) != trace]
        self._seen = traces
        if changed:
            self._reload_changed(changed)
        elif self._reactor.seconds() >= self._new_tickets_at:
            self._make_new_tickets()

    def _reload_changed(self, changed: list[Path]) -> None:
        names = ", ".join(sorted(map(str, changed)))
        try:
            self.reload()
        except CertificateError as error:
            self._unread.set(1)
            log.error("{files} changed, but everything stays as it was: {reason}", files=names, reason=str(error))
        else:
            log.info("{files} changed and is read again", files=names)

    def _make_new_tickets(self) -> None:
        """Connections to servers go on: the keys are those of our listeners only."""
        self._new_tickets_at = self._reactor.seconds() + NEW_TICKETS_EVERY
        try:
            servers = [(server, server.prepare()) for server in self._servers.values()]
        except CertificateError as error:
            self._unread.set(1)
            log.error("the certificates cannot be read again: {reason}", reason=str(error))
            return
        for server, prepared in servers:
            server.adopt(prepared)
        self._tell()

    def _tell_renewed(self, listener: str, before: CertificateReport, now: CertificateReport) -> None:
        if (before.identity, before.not_after) != (now.identity, now.not_after):
            self._events.note(EventName.CERTIFICATE_RENEWED, who=listener, days_left=now.days_left)

    def _tell(self) -> None:
        for name, report in self.reports().items():
            self._expiry.labels(name).set(report.not_after.timestamp())
            log.info(
                "listener {listener}: certificate for {names}, {days_left} days left",
                listener=name,
                names=_named(report.identity),
                days_left=report.days_left,
            )
            for warning in report.warnings:
                log.warn("listener {listener}: {path}: {warning}", listener=name, path=report.path, warning=warning)
            if report.days_left < RENEW_WITHIN_DAYS:
                warning = report.warnings[0]
                self._events.note(EventName.CERTIFICATE_EXPIRING, who=name, warning=warning, days_left=report.days_left)
        for file in {terms.certificate for terms in self.clients.terms if terms.certificate is not None}:
            _tell_of_own(file)


def _tell_of_own(file: Path) -> None:
    """Servers that want our certificate will refuse it once it has expired."""
    try:
        warning = time_warning(read_chain(file)[0], datetime.now(tz=UTC))
    except CertificateError as error:
        warning = str(error)
    if warning is not None:
        log.warn("{path}: {warning}", path=file, warning=warning)


def _named(identity: PeerIdentity) -> str:
    return ", ".join((*identity.uris, *identity.names, *identity.addresses)) or "nobody"


def _trace(file: Path) -> Trace:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
