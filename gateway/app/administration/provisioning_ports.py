"""The ports of provisioning: HTTPS and HTTP, TFTP, and questions to everybody (SIP PnP).

    terms, address -> open(provisioner) -> PhoneSite, TftpServer, ProfileEar with ProfileMouth

Opened when the devices are known, closed with the part. Not here: the decisions about questions (`provisioning`).
"""

from __future__ import annotations

from collections.abc import Generator
from ipaddress import ip_address
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError

from gateway.app.parts import Basis
from gateway.config.model import Provisioning
from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.servers.tftp_server import TftpServer
from gateway.provisioning.servers.web_server import PhoneSite, PhoneTlsFactory
from gateway.registrar.profile_delivery.profile_ears import GROUP, PORT, ProfileEar, ProfileMouth
from gateway.registrar.profile_delivery.profile_messages import ProfileAsked
from gateway.transport.sockets import CannotListen, refused_port

BACKLOG: Final = 512
"""Connections that wait to be accepted: a thousand phones come at once after a power cut."""


class ProvisioningPorts:
    """All of them. ``tls`` is the connection over TLS that HTTPS has; None without HTTPS."""

    def __init__(self, basis: Basis, terms: Provisioning, address: str, tls: Any) -> None:
        self._basis = basis
        self._terms = terms
        self._address = address
        self._tls = tls
        self._ports: list[Any] = []
        self._tftp: TftpServer | None = None
        self._mouth: ProfileMouth | None = None

    def open(self, provisioner: Provisioner) -> None:
        """Open each that is configured. Raises CannotListen."""
        terms, reactor, address = self._terms, self._basis.reactor, self._address
        site = PhoneSite(provisioner, reactor)
        with_tcp: list[tuple[int, Any]] = [(terms.http_port, site)] if terms.http_port else []
        if self._tls is not None:
            asks, rate = terms.client_trust is not None, terms.requests_per_source
            with_tcp.insert(0, (terms.https_port, PhoneTlsFactory(site, self._tls, rate, asks=asks, clock=reactor)))
        try:
            for port, factory in with_tcp:
                self._ports.append(reactor.listenTCP(port, factory, BACKLOG, interface=address))
        except CannotListenError as error:
            raise CannotListen(f"provisioning.{refused_port('tcp', address, error.port, error)}") from None
        if terms.tftp_port:
            self._tftp = TftpServer(provisioner.answer, terms.transfers, address, self._basis.metrics, reactor)
            self._open_udp(terms.tftp_port, self._tftp)
        if terms.pnp:
            self._open_pnp(provisioner)

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """Listen no more."""
        if self._mouth is not None:
            self._mouth.stop()
        ports, self._ports = self._ports, []
        for port in ports:
            yield maybeDeferred(port.stopListening)
        if self._tftp is not None:
            yield self._tftp.stop()

    def _open_udp(self, port: int, protocol: Any) -> None:
        try:
            self._ports.append(self._basis.reactor.listenUDP(port, protocol, interface=self._address))
        except CannotListenError as error:
            raise CannotListen(f"provisioning.{refused_port('udp', self._address, port, error)}") from None

    def _open_pnp(self, provisioner: Provisioner) -> None:
        """The mouth at our own address, for nobody answers a group's; the ear at the group's, so that it hears nothing
        that is meant for a listener."""

        def url_for(asked: ProfileAsked, source: str) -> str:
            return provisioner.first_url(asked.address, source, asked.user_agent)

        own = ip_address(self._address)
        if own.version != 4 or own.is_unspecified:
            raise CannotListen(f"provisioning.pnp: needs an IPv4 address of one network to listen on, not {own}")
        reactor = self._basis.reactor
        self._mouth = ProfileMouth(url_for, self._basis.random.token, reactor)
        self._open_udp(0, self._mouth)
        ear = ProfileEar(self._mouth, self._address)
        try:
            self._ports.append(reactor.listenMulticast(PORT, ear, interface=GROUP, listenMultiple=True))
        except CannotListenError as error:
            raise CannotListen(f"provisioning.{refused_port('udp', GROUP, PORT, error)}") from None
