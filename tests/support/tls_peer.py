"""A TLS client in a memory network, whose ciphertext the test carries in pieces of its choice."""

from pathlib import Path

from gateway.transport.flow import Address
from gateway.transport.tls.channel import TlsChannel
from gateway.transport.tls.contexts import ClientTls
from tests.support.memory_network import MemoryNetwork, RawPeer
from tests.support.transport_gateways import Site, trusting

GATEWAY_NAME = "gateway.example.com"


class TlsPeer:
    """Expects a certificate for GATEWAY_NAME."""

    def __init__(self, network: MemoryNetwork, site: Site, trust: Path) -> None:
        self.network = network
        self.raw: RawPeer = network.connect(site.place)
        self.channel: TlsChannel = ClientTls().channel(trusting(trust), GATEWAY_NAME, Address(*site.place))
        self.received = b""
        self._taken = 0

    def shake_hands(self, piece: int = 65536) -> "TlsPeer":
        """Complete the handshake, with flights cut into pieces."""
        self.channel.start()
        for _ in range(4):
            self.carry(piece)
        assert self.channel.is_open
        return self

    def say(self, *messages: bytes, piece: int = 65536) -> None:
        """Send messages, a record each, in pieces."""
        for message in messages:
            self.channel.send(message)
        self.carry(piece)

    def carry(self, piece: int = 65536) -> None:
        """Move what both ends have to say."""
        data = self.channel.outgoing()
        for start in range(0, len(data), piece):
            self.raw.send(data[start : start + piece])
            self.network.settle()
        self.network.settle()
        arrived, self._taken = self.raw.received[self._taken :], len(self.raw.received)
        self.received += b"".join(self.channel.receive(arrived))
