"""A server of TFTP that gives first files to phones in a window, and nothing else. Read only.

    request -> question (rate, window) -> refused: one short error
                                       `-> Transfer on a port of its own: OACK or block 1 -> ACK -> next block ...

Anybody can send a request under any address. So nothing that is sent to an address that has not answered yet is
repeated by itself, and it is one packet: an OACK, or a block of 512 bytes; the client's own repetition has it sent
again, three times at most. Only after an ACK from there packets are repeated, and blocks may be longer. There is one
transfer of a source, `most` of all, and after TRANSFER_SECONDS nothing more is sent: each ends with the next ACK, or
when none comes.

Here: sockets and time. Not here: packets (tftp_packets.py), which file a phone may have (provisioner.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from gateway.observe.metrics import Metrics
from gateway.provisioning.answers_to_phones import Question, Reply, Way
from gateway.provisioning.servers.tftp_packets import (
    MalformedTftp,
    ReadRequest,
    TftpError,
    TftpOptions,
    accepted_options,
    acknowledged,
    as_netascii,
    data_packet,
    error_packet,
    option_acknowledgement,
    read_request,
)

log = Logger()

FIRST_SECONDS: Final = 5.0
"""An address that has not answered is waited for so long."""
REPEAT_SECONDS: Final = 2.0
MOST_REPEATS: Final = 3
TRANSFER_SECONDS: Final = 60.0

HostPort = tuple[str, int]
AnswerTo = Callable[[Question], Reply]


class Transfer(DatagramProtocol):
    """One file on its way to one phone."""

    noisy = False

    def __init__(self, place: HostPort, data: bytes, options: TftpOptions, reactor: Any, ended: Callable[[str], None]):
        self._place = place
        self._data = data
        self._options = options
        self._reactor = reactor
        self._ended = ended
        self._number = 0
        """Of the block that is sent and not acknowledged."""
        self._packet = b""
        self._repeats = 0
        self._has_answered = False
        self._has_ended = False
        self._call: IDelayedCall | None = None
        self._until = reactor.seconds() + TRANSFER_SECONDS

    def startProtocol(self) -> None:  # noqa: N802
        """Send the first packet, once."""
        if self._options.told:
            self._send(option_acknowledgement(self._options))
        else:
            self._send_block(1)

    def asked_again(self) -> None:
        """The client has sent its request once more: the first packet is lost, or its sender is forged."""
        if not self._has_answered and self._repeats < MOST_REPEATS:
            self._repeats += 1
            self._write()

    def datagramReceived(self, datagram: bytes, addr: HostPort) -> None:
        """A packet has arrived; those of any other address and port are passed over, and those that were read together
        with the one that ended the transfer."""
        if self._has_ended or tuple(addr[:2]) != self._place:
            return
        number = acknowledged(datagram)
        if number == -1:
            self.end("given_up")
        elif number == self._number:
            self._has_answered = True
            self._repeats = 0
            if self._is_last:
                self.end("sent")
            elif self._is_late:
                self.end("given_up")
            else:
                self._send_block(self._number + 1)

    def end(self, result: str) -> Deferred[None]:
        """Let go of the port, once; `result` is counted."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._has_ended = True
        self._ended(result)
        transport: Any = self.transport
        return maybeDeferred(transport.stopListening)

    @property
    def _is_late(self) -> bool:
        """Whether the time of a transfer is over."""
        return bool(self._reactor.seconds() >= self._until)

    @property
    def _is_last(self) -> bool:
        """Whether the last block is under way: one that is not full (RFC 1350 section 6)."""
        return self._number > 0 and self._number * self._options.block > len(self._data)

    def _send_block(self, number: int) -> None:
        self._number = number
        start = (number - 1) * self._options.block
        self._send(data_packet(number, self._data[start : start + self._options.block]))

    def _send(self, packet: bytes) -> None:
        self._packet = packet
        self._write()
        if self._call is not None:
            self._call.cancel()
        wait = float(self._options.timeout or REPEAT_SECONDS) if self._has_answered else FIRST_SECONDS
        self._call = self._reactor.callLater(wait, self._expired)

    def _expired(self) -> None:
        self._call = None
        if not self._has_answered or self._repeats >= MOST_REPEATS or self._is_late:
            self.end("given_up")
            return
        self._repeats += 1
        self._send(self._packet)

    def _write(self) -> None:
        transport: Any = self.transport
        try:
            transport.write(self._packet, self._place)
        except OSError as error:
            log.debug("no packet can be sent to {place}: {reason}", place=self._place[0], reason=error.strerror)


class TftpServer(DatagramProtocol):
    """Takes requests."""

    noisy = False

    def __init__(self, answer: AnswerTo, most: int, interface: str, metrics: Metrics, reactor: Any) -> None:
        self._answer = answer
        self._most = most
        self._interface = interface
        self._counted = metrics.tftp_transfers
        self._reactor = reactor
        self._transfers: dict[str, tuple[HostPort, Transfer]] = {}

    def datagramReceived(self, datagram: bytes, addr: HostPort) -> None:
        """A request has arrived. Never raises."""
        place = addr[0], addr[1]
        try:
            request = read_request(datagram)
        except MalformedTftp as malformed:
            self._counted.labels("malformed").inc()
            if malformed.error is not None:
                self._say(malformed.error, place)
            return
        under_way = self._transfers.get(place[0])
        if under_way is not None:
            if under_way[0] == place:
                under_way[1].asked_again()
            else:
                self._counted.labels("busy").inc()  # and no answer: it asks again
            return
        if len(self._transfers) >= self._most:
            self._counted.labels("busy").inc()
            return
        self._take(request, place)

    def stop(self) -> Deferred[None]:
        """End all transfers; fires when their ports are free."""
        ends = [transfer.end("given_up") for _, transfer in [*self._transfers.values()]]
        return gatherResults(ends).addCallback(lambda _: None)

    def _take(self, request: ReadRequest, place: HostPort) -> None:
        reply = self._answer(Question(Way.TFTP, "GET", "/" + request.name.removeprefix("/"), place[0]))
        if reply.status != 200:
            self._counted.labels("refused").inc()
            self._say(TftpError.NOT_FOUND, place)
            return
        data = as_netascii(reply.body) if request.is_netascii else reply.body

        def ended(result: str) -> None:
            self._counted.labels(result).inc()
            self._transfers.pop(place[0], None)

        options = accepted_options(request, len(data))
        transfer = Transfer(place, data, options, self._reactor, ended)
        self._transfers[place[0]] = place, transfer
        try:
            self._reactor.listenUDP(0, transfer, interface=self._interface)
        except Exception as error:  # CannotListenError: no port is free
            log.error("no port for a transfer over TFTP: {reason}", reason=str(error))
            ended("busy")

    def _say(self, error: TftpError, place: HostPort) -> None:
        transport: Any = self.transport
        try:
            transport.write(error_packet(error), place)
        except OSError:
            return
