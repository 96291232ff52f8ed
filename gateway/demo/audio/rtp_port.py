"""An RTP or SRTP endpoint: one UDP port that sends a frame every 20 ms and listens.

Lives here: sockets, pacing, headers, protection. Not here: the sound played (a `Voice`) and the judgement of the sound
heard (an `Ear`), the remote address and the keys. RFC 3550 section 5.1, RFC 3711. RTCP is received and ignored.

    every 20 ms: voice(last frame heard) -> mu-law -> header -> protect -> the other end
    a datagram -> unprotect -> header -> mu-law -> ear, and kept for the voice
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from secrets import randbelow
from typing import TypeAlias

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUDP
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from gateway.demo.audio.listen import Ear
from gateway.demo.audio.samples import FRAME, PAYLOAD_TYPE, Tone, from_mu_law, mixed, to_mu_law
from gateway.rtp.packet import HEADER_BYTES, Header, read_header, write_header
from gateway.rtp.srtp import MAXIMUM_PACKET_BYTES, TRAILER_BYTES, PacketBuffer, Receiver, Sender
from gateway.sdp.crypto import CryptoAttribute

Voice: TypeAlias = Callable[[Sequence[int]], Sequence[int]]
"""Takes the oldest frame that was heard and not yet echoed (empty for none), gives the frame to send."""

PACE = 0.02  # seconds
_PORTS = range(42000, 42200, 2)
_LARGEST_DATAGRAM = 2048  # bytes
_LONGEST_ECHO = 10  # frames kept for the voice: 200 ms


class NoAudioPorts(Exception):
    """Every port for audio is taken."""


def tone_alone(tone: Tone) -> Voice:
    """Plays a tone, and no echo."""
    return lambda _: tone.next_frame()


def tone_with_echo(tone: Tone) -> Voice:
    """Plays a tone and, quieter, an echo of the frames heard."""
    return lambda heard: mixed(tone.next_frame(), heard)


class RtpEndpoint(DatagramProtocol):
    """One end of a stream."""

    def __init__(self, udp: IReactorUDP, clock: IReactorTime, voice: Voice, ear: Ear) -> None:
        self.ear = ear
        self._udp = udp
        self._voice = voice
        self._ports: list[IListeningPort] = []
        self._pace = LoopingCall.withCount(self._send_frames)
        self._pace.clock = clock
        self._remote: tuple[str, int] | None = None
        self._echo: deque[list[int]] = deque(maxlen=_LONGEST_ECHO)
        self._buffer = PacketBuffer()
        self._sender: Sender | None = None
        self._receiver: Receiver | None = None
        self._header = Header(PAYLOAD_TYPE, True, randbelow(1 << 15), randbelow(1 << 32), randbelow(1 << 32))

    def open(self, address: str) -> int:
        """Bind an even port for RTP and the next one for RTCP; gives the first. Raises NoAudioPorts."""
        for port in _PORTS:
            if self._bind_pair(address, port):
                return port
        raise NoAudioPorts(f"no pair of UDP ports from {_PORTS.start} to {_PORTS.stop} is free at {address}")

    def protect(self, sending: CryptoAttribute | None, receiving: CryptoAttribute | None) -> None:
        """Use these keys from now on; None for plain RTP."""
        self._sender = Sender(sending.suite, sending.key, self._buffer) if sending else None
        self._receiver = Receiver(receiving.suite, receiving.key, self._buffer) if receiving else None

    def send_to(self, remote: tuple[str, int]) -> None:
        """Send there from now on."""
        self._remote = remote
        if not self._pace.running and self._ports:
            self._pace.start(PACE)

    def close(self) -> None:
        """Stop sending and give the ports back."""
        if self._pace.running:
            self._pace.stop()
        for port in self._ports:
            port.stopListening()
        self._ports.clear()

    def datagramReceived(self, datagram: bytes, _address: tuple[str, int]) -> None:
        """One packet; anything that is no audio of ours is counted as unreadable."""
        packet = self._unprotected(datagram)
        header = read_header(packet)
        if header is None or header.payload_type != PAYLOAD_TYPE:
            self.ear.receive_unreadable()
            return
        samples = from_mu_law(packet[HEADER_BYTES:])
        self.ear.receive(header.sequence, samples)
        self._echo.append(samples)

    def _bind_pair(self, address: str, port: int) -> bool:
        try:
            self._ports.append(self._udp.listenUDP(port, self, address, _LARGEST_DATAGRAM))
            self._ports.append(self._udp.listenUDP(port + 1, DatagramProtocol(), address, _LARGEST_DATAGRAM))
        except CannotListenError:
            self.close()
            return False
        return True

    def _send_frames(self, count: int) -> None:
        """Send the frames that are due: more than one when the process was busy."""
        for _ in range(count):
            frame = self._voice(self._echo.popleft() if self._echo else ())
            packet = self._protected(write_header(self._header) + to_mu_law(frame))
            self._header = _following(self._header)
            if self.transport is not None and self._remote is not None:
                self.transport.write(packet, self._remote)

    def _protected(self, packet: bytes) -> bytes:
        if self._sender is None:
            return packet
        self._buffer.memory[: len(packet)] = packet
        return bytes(self._buffer.slices[self._sender.protect(len(packet))])

    def _unprotected(self, datagram: bytes) -> bytes:
        """The packet in clear; empty when it is not authentic."""
        if self._receiver is None or len(datagram) > MAXIMUM_PACKET_BYTES + TRAILER_BYTES:
            return datagram if self._receiver is None else b""
        self._buffer.memory[: len(datagram)] = datagram
        length = self._receiver.unprotect(len(datagram))
        return bytes(self._buffer.slices[length]) if length > 0 else b""


def _following(header: Header) -> Header:
    return Header(
        header.payload_type,
        False,
        (header.sequence + 1) & 0xFFFF,
        (header.timestamp + FRAME) & 0xFFFFFFFF,
        header.ssrc,
    )
