"""The connection of a web phone: SIP over WebSocket over TLS (RFC 7118), and the port that takes them.

    TLS channel -> WebFrames -> StreamProtocol: arrivals        StreamFlow.send -> WebFrames -> TLS channel

All else is the same as for TLS: limits of connections, bans, certificates, time-outs, taps. The gateway pings every 30
seconds: a browser's script cannot, and proxies and NATs on its way forget connections that are silent.

Here: the differences from a stream. Not here: the frames (web_frames.py), the stream (stream/connection.py).
"""

from __future__ import annotations

from typing import Any

from gateway.transport.flow import FailureKind, TransportFailure
from gateway.transport.stream.accept import StreamListener
from gateway.transport.stream.connection import ConnectionServices, StreamProtocol
from gateway.transport.stream.stream_flow import StreamFlow
from gateway.transport.tls.channel import TlsChannel
from gateway.transport.websocket.upgrade import Origins
from gateway.transport.websocket.web_frames import WebFrames


class WebSocketListener(StreamListener):
    """One wss listener of the configuration."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._origins = Origins(self.listener.name, self.listener.origins)

    def _protocol(self, flow: StreamFlow, channel: TlsChannel | None) -> StreamProtocol:
        assert channel is not None
        return WebSocketProtocol(flow, self._services, channel, self._origins)


class WebSocketProtocol(StreamProtocol):
    """One connection of a web phone on the wire."""

    def __init__(self, flow: StreamFlow, services: ConnectionServices, channel: TlsChannel, origins: Origins) -> None:
        super().__init__(flow, services, channel)
        self._web_channel = channel
        self._framer = self._frames = WebFrames(origins)
        self._liveness.is_pinging = True

    def send(self, data: bytes) -> None:
        """One message, or a keep-alive."""
        if (tap := self._services.arrivals.tap).is_on:
            tap.sent(data, self._flow)
        self._put(self._frames.framed(data))

    def drop(self) -> None:
        """End the connection politely; the peer has LINGER seconds to take the bytes on their way."""
        if self._tcp is not None and self._web_channel.is_open:
            self._put(self._frames.goodbye())
        super().drop()

    def _receive(self, data: bytes) -> None:
        if not self._flow.is_open:
            return
        super()._receive(data)
        frames = self._frames
        self._put()
        if frames.has_ponged:
            self._liveness.answers_pings = True
        if frames.end and self._flow.is_open:
            self._flow.fail(TransportFailure(FailureKind.CLOSED, frames.end))

    def _ping(self) -> None:
        self._put(self._frames.ping())

    def _put(self, data: bytes = b"") -> None:
        """Encrypt and send bytes, behind those that the frames have to say first."""
        plaintext = self._frames.outgoing() + data
        if plaintext:
            self._guarded(self._web_channel.send, plaintext)
