"""The price of phones that ring beside others of their user: `python -m bench.calls.forked [calls]`.

    provider --INVITE--> gateway --INVITE--> 1 to 10 phones --180--> ... --200 of the last--> CANCEL to the others

Microseconds that a call takes inside the gateway, without the kernel and without media (inside.py), by phones. The
runs take turns, and the least of each counts.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.calls.inside import _TAG, ANSWERER, Inside, _answer, _found, reactor
from bench.calls.load import DOMAIN
from gateway.registrar.binding import Binding
from gateway.transport.flow import Address, FlowKey, Transport

PHONES = (1, 2, 3, 10)
CALLS = 1500
FIRST_PORT = 46100

INVITE = """INVITE sip:{user}@{domain} SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:46021;branch=z9hG4bK-{n}-1;rport
Max-Forwards: 70
From: "Bob" <sip:bob@{domain}>;tag=c{n}
To: <sip:{user}@{domain}>
Call-ID: {n}-11@127.0.0.1
CSeq: 1 INVITE
Contact: <sip:bob@127.0.0.1:46021;transport=udp>
Allow: ACK, BYE, CANCEL, INFO, INVITE, NOTIFY, OPTIONS, REFER, UPDATE
Supported: replaces
Content-Length: 0

"""
WITHIN = """{method} sip:{user}@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:46021;branch=z9hG4bK-{n}-{method};rport
Max-Forwards: 70
From: "Bob" <sip:bob@{domain}>;tag=c{n}
To: <sip:{user}@{domain}>;tag={tag}
Call-ID: {n}-11@127.0.0.1
CSeq: {cseq} {method}
Content-Length: 0

"""


class Forked(Inside):
    """Calls of the provider's to users with as many phones."""

    phones = 1

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        store = self._gateway._state.store
        for count in PHONES:
            for number in range(count):
                address = Address("127.0.0.1", FIRST_PORT + number)
                aor, contact = f"sip:user{count}@{DOMAIN}", f"sip:user{count}@127.0.0.1:{address.port}"
                flow = FlowKey("phones", Transport.UDP, address)
                token = f"user{count}-{number}"
                store.save(
                    Binding(aor, contact, flow, 1e12, "r", 1, 1.0, None, "Phone", token, provider_expires_at=1e12)
                )

    def configuration(self) -> str:
        """Nobody is challenged."""
        return super().configuration().replace('["INVITE", "NOTIFY"]', "[]")

    def call(self) -> None:
        """The last phone answers, the others are cancelled, the provider hangs up."""
        self.number += 1
        peers = [("127.0.0.1", FIRST_PORT + number) for number in range(self.phones)]
        values = {"n": self.number, "domain": DOMAIN, "user": f"user{self.phones}"}
        self._from_provider(INVITE.format(**values))
        invites = {peer: self._take(peer) for peer in peers}
        for peer, invite in invites.items():
            self.receive(self._phones, _answer(invite, "180 Ringing"), peer)
        *others, winner = peers
        self.receive(self._phones, _answer(invites[winner], "200 OK"), winner)
        for peer in others:
            cancel = self._take(peer)
            assert cancel.startswith(b"CANCEL "), cancel
            self.receive(self._phones, _answer(cancel, "200 OK"), peer)
            self.receive(self._phones, _answer(invites[peer], "487 Request Terminated"), peer)
            assert self._take(peer).startswith(b"ACK ")
        assert self._take(winner).startswith(b"ACK ")
        answers = [data for data, to in self._sent if to == ANSWERER and data.startswith(b"SIP/2.0 200")]
        self._sent.clear()
        tag = _found(_TAG, answers[0]).decode()
        self._from_provider(WITHIN.format(method="ACK", cseq=1, tag=tag, **values))
        self._from_provider(WITHIN.format(method="BYE", cseq=2, tag=tag, **values))
        bye = self._take(winner)
        assert bye.startswith(b"BYE "), bye
        self.receive(self._phones, _answer(bye, "200 OK"), winner)
        self._sent.clear()

    def _from_provider(self, text: str) -> None:
        self.receive(self._provider, text.replace("\n", "\r\n").encode(), ANSWERER)


def main() -> None:
    """Print a line for each number of phones."""
    counts = [int(argument) for argument in sys.argv[1:]]
    rounds = (counts[0] if counts else CALLS) // 10
    with tempfile.TemporaryDirectory() as directory:
        forked = Forked(Path(directory))
        best = dict.fromkeys(PHONES, float("inf"))
        for turn in range(rounds):
            for count in PHONES:
                forked.phones = count
                taken = forked.run(10)
                if turn > 3:
                    best[count] = min(best[count], taken)
            reactor.runUntilCurrent()
        for count, taken in best.items():
            print(f"{count:2} phones: {taken:6.0f} us a call, {taken / best[1]:.2f} times that of one")


if __name__ == "__main__":
    main()
