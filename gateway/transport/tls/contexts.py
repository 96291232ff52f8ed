"""TLS contexts: the terms on which connections begin, for servers (a listener) and clients (TlsTerms).

TLS 1.2 and 1.3 only, session resumption on, renegotiation off. Contexts are made once and shared; a reload makes new
ones for new connections while those that are up live on with theirs. A reload that fails changes nothing.

Lives here: trust, our own certificates, sessions to resume. Not here: the connection (channel.py), names (identity.py),
the files' health (certificates.py).
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen
from OpenSSL import SSL, crypto
from OpenSSL._util import ffi, lib

from gateway.config.model import Listener
from gateway.transport.flow import SYSTEM_TRUST, Address, TlsTerms, is_ip_address
from gateway.transport.tls.certificates import CertificateError, CertificateReport, read_key
from gateway.transport.tls.channel import TlsChannel, TlsFailed, Verification
from gateway.transport.tls.identity import Authorities
from gateway.transport.tls.server_names import IdentityFiles, choose_by_name, examined, identity_files

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!MD5:!DSS"
"""Of TLS 1.2; all with forward secrecy. CBC suites come last, for phones that have no other."""

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

_WITHOUT = {"1.2": SSL.OP_NO_TLSv1_3, "1.3": SSL.OP_NO_TLSv1_2}
"""The option that leaves one of VERSIONS alone."""

_EVERY_VERSION = {"1.0": SSL.TLS1_VERSION, "1.1": SSL.TLS1_1_VERSION, **VERSIONS}

MAX_SESSIONS = 1024
"""Sessions kept to be resumed toward as many servers."""

SessionKey = tuple[TlsTerms, str, Address]


def _verify(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    verification = connection.get_app_data()
    assert isinstance(verification, Verification)
    return verification.accepts(certificate, error, depth, bool(ok))


def _new_context(minimum: str = "1.2", ciphers: str | None = None) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(VERSIONS[minimum])
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(ciphers.encode() if ciphers is not None else CIPHERS)
    return context


def _use_identity(context: SSL.Context, certificate: Path, private_key: Path) -> None:
    try:
        context.use_certificate_chain_file(str(certificate))
    except SSL.Error as error:
        raise CertificateError(f"{certificate}: cannot be used as a certificate chain") from error
    read_key(private_key)  # OpenSSL would ask the terminal for a passphrase, and wait
    try:
        context.use_privatekey_file(str(private_key))
        context.check_privatekey()
    except SSL.Error as error:
        raise CertificateError(f"{private_key}: cannot be used as the key of {certificate}") from error


def _trust(context: SSL.Context, trust: str | Path) -> None:
    if trust == SYSTEM_TRUST:
        context.set_default_verify_paths()
        return
    try:
        context.load_verify_locations(str(trust))
    except SSL.Error as error:
        raise CertificateError(f"{trust}: no authorities can be read from it") from error


def client_context(terms: TlsTerms) -> SSL.Context:
    """A context that speaks to servers on these terms. Raises CertificateError."""
    context = _new_context(terms.minimum, terms.ciphers)
    _trust(context, terms.trust)
    if terms.certificate is not None and terms.private_key is not None:
        _use_identity(context, terms.certificate, terms.private_key)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
    return context


def bare_channel(name: str, version: str | None = None, cipher: str | None = None) -> tuple[TlsChannel, SSL.Connection]:
    """For a look at a server on terms that no call has: whoever it is, by one version ("1.0" to "1.3") or one cipher of
    TLS 1.2. It verifies nobody, so nothing may be sent over it."""
    context = SSL.Context(SSL.TLS_METHOD)
    least, most = SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION if cipher is None else SSL.TLS1_2_VERSION
    if version is not None:
        least = most = _EVERY_VERSION[version]
    context.set_min_proto_version(least)
    context.set_max_proto_version(most)
    context.set_cipher_list(b"ALL:@SECLEVEL=0" if cipher is None else cipher.encode())
    verification = Verification(is_rehearsal=True)
    connection = _connection(context, verification)
    server_name = _server_name(name)
    if server_name is not None:
        connection.set_tlsext_host_name(server_name)
    return TlsChannel(connection, verification), connection


def unwatch(connection: SSL.Connection) -> None:
    """Tell of a connection's states no more: after it is freed there would be nobody to tell of the last ones."""
    lib.SSL_set_info_callback(connection._ssl, ffi.NULL)


def offered_ciphers() -> tuple[str, ...]:
    """The ciphers of TLS 1.2 that a client offers on terms that name none."""
    offered = SSL.Connection(_new_context(), None).get_cipher_list()
    return tuple(cipher for cipher in offered if not cipher.startswith("TLS_") and "PSK" not in cipher)


def server_context(listener: Listener, files: IdentityFiles, *, resumes: bool = True) -> SSL.Context:
    """A context that serves a TLS listener with one of its certificates; ``resumes``: sessions may be resumed. Raises
    CertificateError."""
    context = _new_context(listener.tls_minimum, listener.ciphers)
    _use_identity(context, *files)
    # Tickets resume sessions and keep nothing here; OpenSSL's own table would hold 20,000 sessions.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    if not resumes:
        context.set_options(SSL.OP_NO_TICKET)
    context.set_session_id(listener.name.encode()[:32])
    if listener.client_trust is not None:
        _trust(context, listener.client_trust)
        context.load_client_ca(str(listener.client_trust).encode())
        needed = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if listener.require_client_certificate else 0
        context.set_verify(SSL.VERIFY_PEER | needed, _verify)
    return context


def _server_name(name: str) -> bytes | None:
    """The server name of the hello (RFC 6066 section 3): no literal address, and nothing that is no host name."""
    if is_ip_address(name):
        return None
    try:
        return name.rstrip(".").encode("idna") or None
    except UnicodeError:
        return None


def self_connect(certificate: Path, context: SSL.Context) -> None:
    """Prove in memory that the context serves: a client that trusts anybody connects. Raises CertificateError."""
    rehearsal = Verification(is_rehearsal=True)
    serving = _connection(context, rehearsal, is_server=True)
    serving.set_verify(SSL.VERIFY_NONE)  # the client of a rehearsal has no certificate
    server = TlsChannel(serving, rehearsal)
    client = TlsChannel(_connection(_new_context(), rehearsal), rehearsal)
    try:
        client.start()
        for _ in range(3):
            server.receive(client.outgoing())
            client.receive(server.outgoing())
    except TlsFailed as failed:
        raise CertificateError(f"{certificate}: no handshake is possible with it: {failed}") from failed


def _connection(context: SSL.Context, verification: Verification, is_server: bool = False) -> SSL.Connection:
    connection = SSL.Connection(context, None)
    connection.set_app_data(verification)
    if is_server:
        connection.set_accept_state()
    else:
        connection.set_connect_state()
    return connection


@frozen
class Prepared:
    """The contexts that a listener may serve with next, and their reports; of both the first serves all others."""

    contexts: tuple[SSL.Context, ...]
    reports: tuple[CertificateReport, ...]


class ServerTls:
    """The TLS of one listener; `reports` say how the certificates stand that it serves with. Without ``resumes`` each
    connection has a handshake of its own, and shows its certificate in it."""

    def __init__(self, listener: Listener, *, resumes: bool = True) -> None:
        self._listener = listener
        self._resumes = resumes
        self._authorities = Authorities()
        self.adopt(self.prepare())

    def channel(self) -> TlsChannel:
        """For a connection just accepted."""
        listener = self._listener
        verification = Verification(
            needs_certificate=listener.require_client_certificate,
            trust=listener.client_trust,
            authorities=self._authorities,
        )
        return TlsChannel(_connection(self._context, verification, is_server=True), verification)

    def connection(self) -> SSL.Connection:
        """For a connection just accepted of another protocol, which asks for no certificate."""
        return _connection(self._context, Verification(), is_server=True)

    def prepare(self) -> Prepared:
        """Read the files again and prove that they serve. Raises CertificateError."""
        listener = self._listener
        served, reports = identity_files(listener), examined(listener, datetime.now(tz=UTC))
        contexts = [server_context(listener, files, resumes=self._resumes) for files in served]
        choose_by_name(contexts, [report.identity for report in reports])  # no context changes once it has served
        for (certificate, _), context in zip(served, contexts, strict=True):
            self_connect(certificate, context)
        return Prepared(tuple(contexts), reports)

    def adopt(self, prepared: Prepared) -> None:
        """Use the prepared context for new connections."""
        self._context = prepared.contexts[0]
        self._authorities.forget()  # no session of the old context is resumed
        self.reports = prepared.reports

    @property
    def files(self) -> set[Path]:
        """The files that prepare() reads."""
        more = {file for files in identity_files(self._listener) for file in files}
        return more if self._listener.client_trust is None else {*more, self._listener.client_trust}


class ClientTls:
    """The TLS of connections that we begin: a context for each terms, and sessions to resume."""

    def __init__(self, reading: Callable[[set[Path]], None] = lambda files: None) -> None:
        self._reading = reading  # told of files before they are read for the first time
        self._contexts: dict[TlsTerms, SSL.Context] = {}
        self._sessions: dict[SessionKey, SSL.Session] = {}

    def channel(self, terms: TlsTerms, name: str, address: Address) -> TlsChannel:
        """For a connection to address with a certificate for name. Raises CertificateError."""
        connection, verification = self._begun(terms, name)
        session = self._sessions.get((terms, name, address))
        if session is not None:
            connection.set_session(session)
        return TlsChannel(connection, verification)

    def connection(self, terms: TlsTerms, name: str) -> tuple[SSL.Connection, Verification]:
        """For a connection of another protocol to a server of that name, and the demands on it. Raises
        CertificateError."""
        connection, verification = self._begun(terms, name)

        def verify(_: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
            return verification.accepts(certificate, error, depth, bool(ok))

        # Twisted's own TLS hangs something else on the connection, so that the demands come with the callback.
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        return connection, verification

    def trial(self, terms: TlsTerms, name: str, only: str | None = None) -> tuple[TlsChannel, SSL.Connection]:
        """For a connection that is looked at and closed: by the context that calls have on these terms, limited to one
        of VERSIONS where that is given. No session is resumed, and other terms are not remembered. Raises
        CertificateError."""
        context = self._contexts.get(terms)
        connection, verification = self._begun_with(client_context(terms) if context is None else context, terms, name)
        if only is not None:
            connection.set_options(_WITHOUT[only])
        return TlsChannel(connection, verification), connection

    def remember(self, terms: TlsTerms, name: str, address: Address, channel: TlsChannel) -> None:
        """Keep the channel's session, for the same terms, name and address only."""
        session = channel.session
        key = (terms, name, address)
        if session is None or channel.context is not self._contexts.get(terms):
            return
        self._sessions.pop(key, None)
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[key] = session

    @property
    def terms(self) -> frozenset[TlsTerms]:
        """Those that contexts have been made for."""
        return frozenset(self._contexts)

    def prepare(self, terms: Iterable[TlsTerms]) -> dict[TlsTerms, SSL.Context]:
        """Read trust and identities again, for these terms instead of those known so far. Raises CertificateError."""
        return {one: client_context(one) for one in terms}

    def adopt(self, contexts: dict[TlsTerms, SSL.Context]) -> None:
        """Use the prepared contexts for new connections; no session of old terms is resumed."""
        self._contexts = contexts
        self._sessions.clear()

    def _begun(self, terms: TlsTerms, name: str) -> tuple[SSL.Connection, Verification]:
        return self._begun_with(self._context(terms), terms, name)

    def _begun_with(self, context: SSL.Context, terms: TlsTerms, name: str) -> tuple[SSL.Connection, Verification]:
        verification = Verification(name, terms.allow_wildcards, terms.common_name, True, trust=terms.trust)
        connection = _connection(context, verification)
        server_name = _server_name(name)
        if server_name is not None:
            connection.set_tlsext_host_name(server_name)
        return connection, verification

    def _context(self, terms: TlsTerms) -> SSL.Context:
        context = self._contexts.get(terms)
        if context is None:
            self._reading(terms.files)
            context = self._contexts[terms] = client_context(terms)
        return context
