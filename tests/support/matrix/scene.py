"""Everybody on the stage: the gateway, one scripted provider of every kind, and the phones.

The provider listens on a TLS port for each kind and on one UDP port for all. Phones share one UDP socket and one TLS
connection from each host. Which cell a message belongs to, its Request-URI says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.support import messages
from tests.support.calls.hosts import Hosts
from tests.support.calls.wire import Audio
from tests.support.matrix.agent import Agent, Answer
from tests.support.matrix.cells import KINDS, Media
from tests.support.matrix.certificates import Identities
from tests.support.matrix.configuration import Ports, Served, Site
from tests.support.matrix.gateway import MatrixGateway
from tests.support.matrix.wires import TlsStream, UdpSocket, Wire

MEDIA_PORTS: Final = {
    "matrix": (61_000, 63_199),
    "attacks": (63_200, 64_999),
    "changes": (65_000, 65_499),
    "houses": (7_000, 7_399),
    "web": (7_400, 7_699),
}
"""Four for each call, since a port rests after one; none that the kernel gives to outgoing sockets."""


PHONE_HOSTS: Final = range(140, 155)


class Scene:
    """Addresses, ports and parties of one run."""

    def __init__(self, hosts: Hosts, directory: Path, plays: str = "matrix") -> None:
        """`plays` names its media ports."""
        self._plays = plays
        self.hosts = hosts
        self.directory = directory
        self.identities = Identities.issue(directory / "identities", hosts.gateway, hosts.provider, hosts.host(99))
        self.tls_ports = {name: hosts.port(hosts.provider) for name in KINDS}
        self.udp_port = hosts.port(hosts.provider)
        self.kinds: dict[str, str] = {}
        """Which provider stands behind a domain."""
        self.ringing: dict[str, bool] = {}
        """Domains of calls in which a fork rings before the provider answers: with SRTP, or with RTP."""
        self.answering_rtp: set[str] = set()
        """Domains of calls in which the provider answers with RTP from now on, whatever is offered."""
        self.provider = Agent("provider", hosts.provider, self.udp_port, self._provider_answers)
        self.phone = Agent("phone", hosts.phone, hosts.port(hosts.phone), self._phone_answers)
        self.servers: list[TlsStream] = []
        self._listening: list[asyncio.Server] = []
        self._connections: list[TlsStream] = []
        self.gateway: MatrixGateway
        self.provider_udp: UdpSocket
        self._phone_wires: dict[str, list[Wire]] = {}

    async def begin(self, domains: Iterable[Served]) -> None:
        """Let the providers take their places, start the gateway (it asks them at once), let the phones come."""
        await self._open_provider()
        self._start_gateway(domains)
        await asyncio.to_thread(self.gateway.wait_healthy)
        await self._open_phones()

    def _start_gateway(self, domains: Iterable[Served]) -> None:
        gateway, port = self.hosts.gateway, self.hosts.port
        phones, provider = (port(gateway), port(gateway)), (port(gateway), port(gateway))
        ports = Ports(*phones, *provider, port(gateway), MEDIA_PORTS[self._plays])
        self.site = Site(
            gateway, self.hosts.provider, ports, self.identities.certificates["gateway"], self.identities.trust
        )
        self.gateway = MatrixGateway(self._text(domains), (gateway, ports.admin), self.directory)

    def _text(self, domains: Iterable[Served]) -> str:
        return self.site.text(domains)

    async def _open_provider(self) -> None:
        loop = asyncio.get_running_loop()
        for name, kind in KINDS.items():
            if kind.has_tls:
                context = self.identities.server(kind)

                def accept(context: object = context) -> TlsStream:
                    stream = TlsStream(context, self.provider.receive, is_server=True)  # type: ignore[arg-type]
                    self.servers.append(stream)
                    return stream

                place = self.hosts.provider, self.tls_ports[name]
                self._listening.append(await loop.create_server(accept, *place))
        place = self.hosts.provider, self.udp_port
        _, self.provider_udp = await loop.create_datagram_endpoint(
            lambda: UdpSocket(self.provider.receive), local_addr=place
        )

    async def _open_phones(self) -> None:
        """Phones come from several hosts: of callers from one that nobody knows, the gateway keeps few records."""
        loop = asyncio.get_running_loop()
        gateway, ports = self.hosts.gateway, self.site.ports
        udp, tls = [], []
        for host in (self.hosts.phone, *map(self.hosts.host, PHONE_HOSTS)):
            _, socket = await loop.create_datagram_endpoint(
                lambda: UdpSocket(self.phone.receive), local_addr=(host, self.phone.port)
            )
            udp.append(socket.wire_to((gateway, ports.phones_udp)))
            tls.append((await self.connect(self.phone, ports.phones_tls, None, host=host)).wire)
        self._phone_wires = {"udp": udp, "tls": tls}

    def close(self) -> None:
        """Let everybody leave."""
        for agent in (self.phone, self.provider):
            agent.close()
        for stream in [*self._connections, *self.servers]:
            stream.close()
        for server in self._listening:
            server.close()

    def phone_wire(self, phone: str, number: int) -> Wire:
        """The way of the phone with that number."""
        wires = self._phone_wires[phone]
        return wires[number % len(wires)]

    def wire_from_provider(self) -> Wire:
        """The provider's UDP to the gateway."""
        return self.provider_udp.wire_to((self.hosts.gateway, self.site.ports.provider_udp))

    async def connect(
        self, agent: Agent, port: int, certificate: str | None, kind: str = "TLS and SRTP", host: str = ""
    ) -> TlsStream:
        """A TLS connection that a party begins to one of the gateway's ports, from its own host or another."""
        context = self.identities.client(certificate, KINDS[kind])
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: TlsStream(context, agent.receive, is_server=False),
            self.hosts.gateway,
            port,
            local_addr=(host or agent.address, 0),
        )
        self._connections.append(stream)
        return stream

    def _provider_answers(self, uri: str, offered: Audio | None, port: int) -> Answer:
        domain = re.search(r"@([^:;>]+)", uri)
        name = domain[1] if domain else ""
        if offered is None or name not in self.kinds:
            return Answer(404, b"", name)
        media, address = KINDS[self.kinds[name]].media, self.hosts.provider
        if media is Media.FOREIGN_KEY and not offered.cryptos:
            key = messages.crypto_line(1, messages.SUITES[0])
            return Answer(200, messages.session(address, port, offered.profile, key), name)
        if not offered.cryptos or media is Media.SRTP:
            in_clear = messages.session(address, port, "RTP/AVP")
            answer = messages.answer(address, port, offered)
            early = b"" if name not in self.ringing else answer if self.ringing[name] else in_clear
            return Answer(200, in_clear if name in self.answering_rtp else answer, name, early)
        if media in (Media.REFUSED, Media.FOREIGN_KEY):
            return Answer(488, b"", name)
        profile = "RTP/SAVP" if media is Media.STRIPPED else "RTP/AVP"
        return Answer(200, messages.session(address, port, profile), name)

    def _phone_answers(self, uri: str, offered: Audio | None, port: int) -> Answer:
        user = uri.removeprefix("sip:").partition("@")[0]
        body = b"" if offered is None else messages.answer(self.hosts.phone, port, offered)
        return Answer(200, body, f"{user}.test")
