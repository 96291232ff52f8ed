"""A browser's end of a stream: its ICE checks, its handshake, and the moment at which its packets may pass.

    STUN (first byte 0-3)    ice: our ufrag? integrity? --> answered; did its source prove itself (address_proof)? else
                             asked --> its answer: the source is valid, and the nominated one is sent to
    DTLS (20-63)             from a valid source alone --> handshakes --> keys, and the certificate
    RTP, RTCP (128-191)      from a valid source alone --> the way of all packets (streams/paths), once there are keys

Order, and why it is safe (RFC 7983 tells the three apart). Only a reader of our SDP can answer for an address, and only
the browser can answer a question of ours that was sent there: a check that was captured and sent again changes nothing,
however often. So a ClientHello from any other address is dropped before OpenSSL sees a byte of it, and cannot take the
handshake from the browser (CVE-2023-49786 and its like). A handshake that is done proves nothing yet, since anybody can
make a certificate: keys are given to the endpoint only when the browser's SDP is there and vouches for it (RFC 5763
section 5); STUN and DTLS come before the answer in calls to a browser. Until then the endpoint refuses every packet,
both ways. A certificate that does not match refuses them for good: the other end is not the one that signalling speaks
to.

Each ufrag of ours stands for a `WebPeer`: forks have one each, and an ICE restart makes another, to which the handshake
moves along while its certificate is vouched for (RFC 8842 section 5). Checks go on after that: they are the browser's
consent (RFC 7675), and half a minute without one is the end of it.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.media.worker.streams import paths
from gateway.media.worker.streams.endpoint import Endpoint, Remote
from gateway.media.worker.streams.latch import SocketAddress
from gateway.media.worker.web.dtls_keys import DtlsOutcome
from gateway.media.worker.web.handshakes import DtlsHandshake, DtlsHandshakes
from gateway.media.worker.web.ice import IceCredentials
from gateway.media.worker.web.ice_responder import IceResponder
from gateway.media.worker.web.web_peer import CONSENT_SECONDS, PerSecond, WebPeer, restart
from gateway.rtp.srtp import MAXIMUM_RECEIVED_BYTES
from gateway.sdp.crypto import CryptoAttribute
from gateway.sdp.dtls import DtlsTransport, Setup

MOST_CREDENTIALS: Final = 16
"""Of ours that are known at the same time: ten forks, and restarts."""
MOST_RECORDS: Final = 50
"""Datagrams of DTLS a second at one port; a handshake has three or four."""
MISMATCH: Final = "mismatch"


class WebEnd:
    """Implements endpoint.WebGate and handshakes.HandshakeListener."""

    def __init__(self, endpoint: Endpoint, handshakes: DtlsHandshakes) -> None:
        self._endpoint: Endpoint | None = endpoint
        self._handshakes = handshakes
        self._clock = endpoint.services.clock
        self._peers: dict[str, WebPeer] = {}
        """By our ufrag."""
        self._chosen: WebPeer | None = None
        """The one that the SDP speaks of."""
        self._told: DtlsTransport | None = None
        """Its word on DTLS, of the description in force."""
        self._since = self._consent = self._clock.now
        self._is_mismatched = False
        self._records = PerSecond(MOST_RECORDS)
        self._responder = IceResponder(endpoint.counters, handshakes.checks)

    @property
    def fingerprint(self) -> str:
        """Ours, for SDP."""
        return self._handshakes.fingerprint

    @property
    def state(self) -> str:
        """`mismatch`, or the handshake's."""
        if self._is_mismatched:
            return MISMATCH
        handshake = self._chosen.handshake if self._chosen is not None else None
        return str((handshake.outcome if handshake is not None else DtlsOutcome.WAITING).value)

    @property
    def is_mismatched(self) -> bool:
        """Whether the browser's certificate is not the one of its SDP."""
        return self._is_mismatched

    def expect(self, ours: IceCredentials) -> None:
        """Answer checks with these credentials of ours from now on, beside those of before."""
        if ours.ufrag not in self._peers:
            self._peers[ours.ufrag] = WebPeer(ours)
            if len(self._peers) > MOST_CREDENTIALS:
                oldest = next(name for name, peer in self._peers.items() if peer is not self._chosen)
                self._drop(self._peers.pop(oldest))

    def role(self, told: DtlsTransport) -> Setup:
        """Ours toward the writer of an offer: as it was while the handshake goes on, else passive where it may be."""
        former, peer = self._told, self._chosen
        if peer is not None and peer.handshake is not None and former is not None and _is_same(former, told):
            return Setup.ACTIVE if peer.handshake.is_active else Setup.PASSIVE
        return Setup.ACTIVE if told.setup is Setup.PASSIVE else Setup.PASSIVE

    def takes(self, length: int, source: SocketAddress | None) -> bool:
        """Whether the packet in the buffer is none of RTP, or comes from an address that proved nothing."""
        endpoint = self._endpoint
        assert endpoint is not None, "a closed end is asked nothing"
        source, memory = source or endpoint.latch.source, endpoint.services.buffer.memory
        if source is None or not 0 < length <= MAXIMUM_RECEIVED_BYTES:
            return False
        if memory[0] < 4:
            self._receive_check(bytes(memory[:length]), source)
        elif 20 <= memory[0] < 64:
            self._receive_record(endpoint, bytes(memory[:length]), source)
        elif endpoint.remote.dtls is None or self._is_chosens(source):
            return False  # another form was answered, or it is media of the browser
        else:
            endpoint.counters.wrong_source += 1
        return True

    def described(self, remote: Remote) -> Remote:
        """Take the browser's description; its keys are in the result once the certificate matched."""
        told, former, before = remote.dtls, self._told, self._chosen
        assert told is not None, "this is no browser's"
        assert remote.ice is not None, "a browser's line has credentials"
        is_new = former is None or not _is_same(former, told)
        peer = self._named(remote.ice, told)
        if is_new:
            self._since = self._consent = self._clock.now
            if peer is before:
                self._drop(peer)  # a new certificate needs a new handshake (RFC 8842 section 3.1)
        elif before is not None and peer is not before:
            restart(before, peer)
        self._chosen, self._told = peer, told
        self._consent = max([self._consent, *peer.addresses.values()])
        for source, question in self._responder.questions_after_sdp(peer, self._clock.now):
            self._send(question, source)
        self._aim()
        self._begin(peer)
        return self._keyed(remote)

    def look(self) -> bool:
        """Whether nothing more is to be hoped for: no consent, no handshake in time, or one that failed."""
        now, peer = self._clock.now, self._chosen
        if peer is None:
            return False
        outcome = DtlsOutcome.WAITING if peer.handshake is None else peer.handshake.outcome
        is_late = outcome is DtlsOutcome.WAITING and now - self._since > CONSENT_SECONDS
        is_silent = now - self._consent > CONSENT_SECONDS
        if is_silent:
            self._cut(peer)
        return is_late or is_silent or outcome in (DtlsOutcome.FAILED, DtlsOutcome.CLOSED)

    def close(self) -> None:
        """Let go of the endpoint and of all handshakes."""
        self._handshakes.mismatched -= self._is_mismatched
        for peer in self._peers.values():
            self._drop(peer)
        self._peers, self._chosen, self._endpoint = {}, None, None

    def handshake_wrote(self, handshake: DtlsHandshake, datagrams: list[bytes]) -> None:
        """Send its datagrams to where those of the browser come from."""
        peer = next((one for one in self._peers.values() if one.handshake is handshake), None)
        target = None if peer is None else peer.target or peer.nominated
        for datagram in datagrams if target is not None else ():
            self._send(datagram, target)

    def handshake_ended(self, handshake: DtlsHandshake) -> None:
        """It is up, or will never be, or the browser has ended it."""
        if handshake.outcome is DtlsOutcome.FAILED:
            self._handshakes.results["failed"] += 1
        endpoint, chosen = self._endpoint, self._chosen
        if endpoint is None or chosen is None or chosen.handshake is not handshake or endpoint.remote.dtls is None:
            return  # the answer is not there, or another fork's was taken
        endpoint.take_keys(self._keyed(attrs.evolve(endpoint.remote, theirs=None, ours=None)))
        if endpoint.is_open:
            paths.open_stream(endpoint)

    def _named(self, ours: IceCredentials, told: DtlsTransport) -> WebPeer:
        """The peer of that pair of ufrags. One with another ufrag that had our password is not the one told of."""
        self.expect(ours)
        peer = self._peers[ours.ufrag]
        if peer.theirs not in ("", told.ufrag):
            self._drop(peer)
            peer = self._peers[ours.ufrag] = WebPeer(ours)
        peer.theirs, peer.far = told.ufrag, IceCredentials(told.ufrag, told.password)
        return peer

    def _receive_check(self, packet: bytes, source: SocketAddress) -> None:
        """STUN: answered, and the browser's own is its consent and its choice."""
        endpoint, now = self._endpoint, self._clock.now
        heard, replies = self._responder.receive(packet, source, now, self._peers)
        for reply in replies:
            self._send(reply, source)
        if heard is None:
            return
        peer = heard.peer
        is_moved = peer.hear(source, now, is_nominating=heard.is_nominating)
        if endpoint is not None and peer is self._chosen:
            self._consent = now
            if is_moved and self._aim() and endpoint.is_open:
                paths.open_stream(endpoint)
            self._begin(peer)

    def _receive_record(self, endpoint: Endpoint, packet: bytes, source: SocketAddress) -> None:
        """DTLS: of the browser alone, and never more than a thread can do."""
        now = self._clock.now
        peers = (self._chosen, *self._peers.values())
        peer = next((one for one in peers if one is not None and one.is_valid(source, now)), None)
        if peer is None or self._records.is_reached(now):
            endpoint.counters.wrong_source += 1
            return
        self._records.note()
        peer.target = source
        if peer.handshake is None and not (peer is self._chosen and self._is_to_begin()):
            peer.handshake = self._handshakes.begin(self, is_active=False)
        if peer.handshake is not None:
            peer.handshake.take(packet)

    def _begin(self, peer: WebPeer) -> None:
        """Send the ClientHello, if that is ours to do and there is somebody to send it to."""
        if peer.nominated is not None and self._is_to_begin() and _has_none_of_ours(peer):
            self._drop(peer)
            peer.handshake = self._handshakes.begin(self, is_active=True)

    def _is_to_begin(self) -> bool:
        return self._told is not None and self._told.setup is Setup.PASSIVE

    def _aim(self) -> bool:
        """Send to the address that the browser has chosen; whether that is another: then the stream is to be opened."""
        endpoint, chosen = self._endpoint, self._chosen
        if endpoint is None or endpoint.remote.dtls is None or chosen is None or chosen.nominated is None:
            return False
        is_moved = endpoint.latch.expect(chosen.nominated)
        if is_moved:
            endpoint.unlink()
        return is_moved

    def _cut(self, peer: WebPeer) -> None:
        """Send nothing more to an address after its consent, until a check comes (RFC 7675 section 5.1)."""
        endpoint, peer.nominated = self._endpoint, None
        if endpoint is not None and endpoint.remote.dtls is not None and endpoint.latch.expect(None):
            endpoint.unlink()
            if endpoint.is_open:
                paths.open_stream(endpoint)

    def _is_chosens(self, source: SocketAddress) -> bool:
        return self._chosen is not None and self._chosen.is_valid(source, self._clock.now)

    def _keyed(self, remote: Remote) -> Remote:
        """With the keys of the handshake, where the SDP vouches for its certificate."""
        handshake = self._chosen.handshake if self._chosen is not None else None
        if handshake is None or handshake.outcome is not DtlsOutcome.UP or self._is_mismatched:
            return remote
        agreed, told = handshake.agreed, remote.dtls
        assert agreed is not None, "a handshake that is up has keys"
        assert told is not None, "this is no browser's"
        if not told.vouches_for(agreed.certificate):
            self._refuse()
            return remote
        if not handshake.is_vouched_for:
            handshake.is_vouched_for = True
            self._handshakes.results["up"] += 1
        theirs, ours = (CryptoAttribute(1, agreed.suite, key) for key in (agreed.theirs, agreed.ours))
        return attrs.evolve(remote, theirs=theirs, ours=ours)

    def _refuse(self) -> None:
        """The certificate is not the one of the SDP: nothing passes any more, either way."""
        self._is_mismatched = True
        self._handshakes.mismatched += 1
        self._handshakes.results[MISMATCH] += 1

    def _send(self, packet: bytes, target: SocketAddress | None) -> None:
        endpoint = self._endpoint
        if endpoint is None or target is None:
            return
        try:
            endpoint.pair.rtp.sendto(packet, target)
        except OSError:
            endpoint.counters.unsent += 1

    def _drop(self, peer: WebPeer) -> None:
        """Have no handshake with it any more."""
        if peer.handshake is not None:
            peer.handshake.close()
            peer.handshake = None


def _is_same(one: DtlsTransport, other: DtlsTransport) -> bool:
    """Whether two descriptions may share a handshake: the same certificates (RFC 8842 section 5.1)."""
    return one.fingerprints == other.fingerprints


def _has_none_of_ours(peer: WebPeer) -> bool:
    """Whether no handshake that we began is under way, and none of the peer's is done."""
    handshake = peer.handshake
    return handshake is None or not (handshake.is_active or handshake.outcome is DtlsOutcome.UP)
