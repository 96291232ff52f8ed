"""A phone of some make, the gateway's signalling (the ladder's) with a real media worker, and a provider.

    estate = Estate(worker, "snom SRTP", "TLS")
    estate.phone_says(estate.phone.invite())
    onward = estate.provider_hears("INVITE")
    estate.provider_answers(onward)
    estate.phone_hears(200)

The messages are bytes of `phone_messages`; all that both sides are sent is kept, and read by the judges' own reader.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from gateway.config.model import Downgrade, Listener, Security, Side
from gateway.media import ng_commands
from gateway.media.relay import JSON, UNKNOWN_SOURCE, RelayRefusal, SdpSource, SdpWish
from gateway.sip.message import Request, Response
from gateway.sip.parser import parse
from gateway.transport.flow import Address
from tests.support import messages
from tests.support.calls.wire import SipMessage
from tests.support.flows import RecordingFlow
from tests.support.ladder import CLEAR, PHONES, PROVIDER, Ladder, TestRelay
from tests.support.media_relays import Ng, NgError
from tests.support.phone_messages import FORMS, MAKES, Place, ScriptedPhone, keys_of

FALLBACK = "sip:provider.example.com;transport=udp"
SECURE_PHONES = Listener("secure phones", Side.PHONES, "tls", "192.0.2.1", 5061)
PHONE = "192.0.2.11"
PROVIDER_PORT = 6000


class WorkerRelay(TestRelay):
    """A media worker's process, asked and waited for."""

    def __init__(self, worker: Ng) -> None:
        super().__init__()
        self._worker = worker

    def offer(
        self,
        call: str,
        from_tag: str,
        sdp: bytes,
        wish: SdpWish,
        to_tag: str | None = None,
        source: SdpSource = UNKNOWN_SOURCE,
    ) -> Deferred[bytes]:
        return self._ask(ng_commands.offer(call, from_tag, to_tag, sdp, wish, source))

    def answer(
        self, call: str, from_tag: str, to_tag: str, sdp: bytes, source: SdpSource = UNKNOWN_SOURCE
    ) -> Deferred[bytes]:
        return self._ask(ng_commands.answer(call, from_tag, to_tag, sdp, source))

    def delete(self, call: str, *, at_once: bool = False) -> Deferred[dict[str, JSON]]:
        return succeed(self._worker.request(ng_commands.delete(call)))

    def _ask(self, command: dict[str, JSON]) -> Deferred[bytes]:
        try:
            return succeed(str(self._worker.request(command)["sdp"]).encode())
        except NgError as error:
            return fail(RelayRefusal(str(error)))


class Estate:
    """One phone, configured as `form` says (a name of FORMS), over "UDP" or "TLS"."""

    def __init__(
        self,
        worker: Ng,
        form: str,
        transport: str,
        security: Security = Security.PREFERRED,
        *,
        auto_answer: bool = False,
    ) -> None:
        relay = WorkerRelay(worker)
        self.ladder = ladder = Ladder(security, FALLBACK, Downgrade.ALERT, relay=relay, auto_answer=auto_answer)
        listener, port = (SECURE_PHONES, 5071) if transport == "TLS" else (PHONES, 5070)
        self.flow = RecordingFlow(listener, Address(PHONE, port))
        ladder.phone_flow = ladder.phone.flow = self.flow
        ladder.flow = lambda key: self.flow  # type: ignore[method-assign]
        self.tls = RecordingFlow(PROVIDER, Address("198.51.100.21", 5061))
        ladder.provider_flow = ladder.provider.flow = self.tls
        self.clear = RecordingFlow(CLEAR, Address("198.51.100.21", 5060))
        ladder.clear_flow = ladder.clear.flow = self.clear
        self.phone = ScriptedPhone(MAKES[form.split(" ")[0]], FORMS[form], Place(PHONE, port, transport))
        self.provider_sdps: list[bytes] = []

    # -- the phone

    def phone_says(self, data: bytes) -> None:
        """Let the gateway receive it."""
        self.ladder.transactions.receive(parse(data), self.flow)

    def phone_hears(self, what: str | int) -> SipMessage:
        """The next message to the phone: a method or a status."""
        heard = self.ladder.phone.receives(what)
        message = SipMessage.parse("gateway", 0, heard.to_bytes())
        if message.status:
            self.phone.hears(message)
        return message

    def phone_answers(self, request: SipMessage, what: str) -> None:
        """Answer what came, as the make does."""
        self.phone_says(self.phone.answers(request, what))

    # -- the provider

    def provider_hears(self, method: str) -> Request:
        """The next request to the provider."""
        return self.ladder.provider.receives_request(method)

    def provider_answers(self, request: Request, direction: str = "sendrecv") -> Response:
        """200 with the first key that is offered; ``direction``: what it says to a hold."""
        offered = SipMessage.parse("", 0, request.to_bytes()).audio
        assert offered is not None
        sdp = messages.answer("198.51.100.21", PROVIDER_PORT, offered).replace(b"a=sendrecv", f"a={direction}".encode())
        self.provider_sdps.append(sdp)
        return self.ladder.provider.answers(request, 200, sdp=sdp)

    def provider_offer(self, *, srtp: bool = True) -> bytes:
        """An offer of the provider."""
        sdp = messages.offer("198.51.100.21", PROVIDER_PORT, srtp=srtp)
        self.provider_sdps.append(sdp)
        return sdp

    # -- what came of it

    def claim(self) -> tuple[str, str]:
        """Verdict and reason of the latest call."""
        record = next(self.ladder.calls.records())
        return record.verdict, record.reason

    def chain(self) -> str:
        """The explanation of the latest call, as text."""
        record = next(self.ladder.calls.records())
        return "\n".join(f"{link.leg} {link.step} {link.what} {link.code}" for link in record.chain)

    def keys(self) -> dict[str, set[str]]:
        """Every key, by who wrote it; the gateway's two sides are two."""
        return {
            "phone": self.phone.keys,
            "provider": {key for sdp in self.provider_sdps for key in keys_of(sdp)},
            "gateway to phone": {key for data in self.flow.bytes for key in keys_of(data)},
            "gateway to provider": {key for data in (*self.tls.bytes, *self.clear.bytes) for key in keys_of(data)},
        }

    def assert_no_key_crossed(self) -> None:
        """No key of one leg was ever written on the other, nor given back to who wrote it."""
        keys = [*self.keys().values()]
        assert sum(map(len, keys)) == len(set().union(*keys)), "a key crossed"
        assert not any(keys_of(data) for data in self.clear.bytes), "a key left in clear"

    def assert_nothing_of_the_phone_left(self) -> None:
        """The provider was told no address, make, hardware or statistics of the phone."""
        said = b"".join((*self.tls.bytes, *self.clear.bytes))
        for trace in TRACES:
            assert trace not in said, f"{trace!r} reached the provider"

    def ends_clean(self) -> None:
        """Nothing is left of any call."""
        self.ladder.ends_clean()


TRACES = (
    PHONE.encode(),
    b"192.0.2.9",
    b"Cisco",
    b"Sipura",
    b"Linksys",
    b"Yealink",
    b"Polycom",
    b"snom",
    b"x-sipura",
    b"000413",
    b"P-Key-Flags",
    b"X-Serialnumber",
    b"X-Real-IP",
    b"P-RTP-Stat",
    b"RTP-RxStat",
    b"Remote-Party-ID",
    b"Diversion",
)
