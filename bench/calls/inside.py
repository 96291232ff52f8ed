"""The gateway's own share of a call's cost: every part of it, joined as in production, without the kernel.

    caller --datagram--> DatagramListener ... DatagramListener.send --kept--> answerer (both are a few lines here)

What a call costs here and what bench/signalling.py measures differ by system calls, the reactor and the garbage that
thousands of calls in progress make. `python -m bench.calls.inside [calls]` prints microseconds a call, with --profile
where they go; budget.py has what each message takes. The log is written, to nowhere.

Hot, messages follow one another, and the processor's caches are full of what they need. Cold, a millisecond of sleep
stands before each, as at some hundred calls a second: each finds its code and data gone from the caches.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import re
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import sleep, thread_time_ns
from typing import Any, TextIO

from twisted.internet import reactor as installed_reactor
from twisted.logger import FilteringLogObserver, LogLevel, LogLevelFilterPredicate, globalLogBeginner

from bench.calls.load import DOMAIN
from gateway.app.gateway import Gateway
from gateway.config.load import load
from gateway.observe.log import LogOutput
from gateway.transport.udp import DatagramListener, Peer

reactor: Any = installed_reactor

CALLER: Peer = ("127.0.0.1", 46011)
ANSWERER: Peer = ("127.0.0.1", 46021)
CALLS = 3000
WARM_UP, HOT_CALLS, COLD_CALLS = 300, 1000, 300
PAUSE_SECONDS = 0.001
"""Before each message, cold."""
HERE = Path(__file__).parent
_TAG = re.compile(rb"\r\nTo:[^\r]*;tag=([^;\r]+)")
_CONTACT = re.compile(rb"\r\nContact:[^<\r]*<([^>]+)>")
_CSEQ_METHOD = re.compile(rb"\r\nCSeq: *\d+ (\w+)")
_COPIED = re.compile(rb"\r\n((?:Via|Record-Route|From|To|Call-ID|CSeq):[^\r]*)")

INVITE = """INVITE sip:bob{n}@{domain};transport=udp SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:46011;branch=z9hG4bK-{n}-1;rport
Max-Forwards: 70
From: "Alice" <sip:alice@{domain}>;tag=c{n}
To: <sip:bob{n}@{domain}>
Call-ID: {n}-11@127.0.0.1
CSeq: 1 INVITE
Contact: <sip:alice@127.0.0.1:46011;transport=udp>
User-Agent: Cisco/SPA504G-7.6.2c
Allow: ACK, BYE, CANCEL, INFO, INVITE, NOTIFY, OPTIONS, REFER, UPDATE
Supported: replaces
Content-Length: 0

"""
WITHIN = """{method} {target} SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:46011;branch=z9hG4bK-{n}-{method};rport
Max-Forwards: 70
From: "Alice" <sip:alice@{domain}>;tag=c{n}
To: <sip:bob{n}@{domain}>;tag={tag}
Call-ID: {n}-11@127.0.0.1
CSeq: {cseq} {method}
Content-Length: 0

"""


class Inside:
    """A gateway whose sockets are open, but whose datagrams come from here and go to here."""

    def __init__(self, directory: Path) -> None:
        configuration = self.configuration()
        values = {"ADDRESS": "127.0.0.1", "NEXT": ":".join(map(str, ANSWERER)), "DOMAIN": DOMAIN}
        for key, value in values.items():
            configuration = configuration.replace(f"@{key}@", value)
        configuration = configuration.replace("port = 5060", "port = 0").replace("port = 5070", "port = 0")
        (directory / "credentials.toml").write_text('alice = "secret"\n')
        (directory / "credentials.toml").chmod(0o600)
        (directory / "gateway.toml").write_text(configuration)
        self._nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as there is something to log
        log_output = _log_to(self._nowhere)
        self._gateway = Gateway(load(directory / "gateway.toml"), log_output, reactor)
        log_output.gather(reactor)  # as the start of the whole gateway does
        self._sent: list[tuple[bytes, Peer]] = []
        ingress, signalling = self._gateway._ingress, self._gateway.signalling
        signalling.start(ingress.gate, ingress.core)
        self._phones, self._provider = signalling.transport.port("phones"), signalling.transport.port("provider")
        for port in (self._phones, self._provider):
            if isinstance(port, DatagramListener):
                port.send = lambda data, peer: self._sent.append((data, peer))  # type: ignore[method-assign]
                port.allowance_of(CALLER[0]).prove()
        self.spent = 0
        self.number = 0
        self.pause = 0.0
        """Seconds of sleep before each message."""
        self.profile: cProfile.Profile | None = None

    def configuration(self) -> str:
        """The configuration, before this run's addresses are in it."""
        return (HERE / "gateway.toml").read_text()

    def call(self) -> None:
        """INVITE, 180, 200, ACK, BYE, 200: six datagrams in, and with the 100 seven out."""
        self.hang_up(self.set_up())

    def set_up(self) -> dict[str, object]:
        """INVITE, 180, 200, ACK: a call that is up, by what its BYE needs."""
        self.number += 1
        values: dict[str, object] = {"n": self.number, "domain": DOMAIN}
        self._from_caller(INVITE.format(**values))
        invite = self._take(ANSWERER)
        self._take(CALLER)  # 100
        self._from_answerer(_answer(invite, "180 Ringing"))
        self._take(CALLER)
        self._from_answerer(_answer(invite, "200 OK"))
        answer = self._take(CALLER)
        target, tag = _found(_CONTACT, answer), _found(_TAG, answer)
        within = {**values, "target": target.decode(), "tag": tag.decode()}
        self._from_caller(WITHIN.format(method="ACK", cseq=1, **within))
        assert self._take(ANSWERER).startswith(b"ACK ")
        return within

    def hang_up(self, within: dict[str, object]) -> None:
        """BYE and 200."""
        self._from_caller(WITHIN.format(method="BYE", cseq=2, **within))
        self._take(CALLER)
        bye = self._take(ANSWERER)
        assert bye.startswith(b"BYE "), bye
        self._from_answerer(_answer(bye, "200 OK"))

    def run(self, calls: int) -> float:
        """Microseconds a call."""
        self.spent = 0
        for _ in range(calls):
            self.call()
            if self.number % 100 == 0:
                reactor.runUntilCurrent()
        return self.spent / calls / 1000

    def _from_caller(self, text: str) -> None:
        self.receive(self._phones, text.replace("\n", "\r\n").encode(), CALLER)

    def _from_answerer(self, data: bytes) -> None:
        self.receive(self._provider, data, ANSWERER)

    def receive(self, port: Any, data: bytes, peer: Peer) -> None:
        """Give the gateway one datagram, and add up what it takes."""
        if self.pause:
            sleep(self.pause)
        if self.profile is not None:
            self.profile.enable()
        start = thread_time_ns()
        port.datagramReceived(data, peer)
        self.spent += thread_time_ns() - start
        if self.profile is not None:
            self.profile.disable()

    def _take(self, peer: Peer) -> bytes:
        """The first datagram to that side."""
        index = next(index for index, (_, to) in enumerate(self._sent) if to == peer)
        return self._sent.pop(index)[0]


def _found(pattern: re.Pattern[bytes], data: bytes) -> bytes:
    match = pattern.search(data)
    assert match is not None, data
    return match[1]


def _answer(request: bytes, status: str) -> bytes:
    copied = _COPIED.findall(request)
    lines = [line + b";tag=answerer" if line.startswith(b"To:") and b";tag=" not in line else line for line in copied]
    head = b"\r\n".join([b"SIP/2.0 " + status.encode(), *lines])
    return head + b"\r\nContact: <sip:bob@127.0.0.1:46021;transport=udp>\r\nContent-Length: 0\r\n\r\n"


def _log_to(stream: TextIO) -> LogOutput:
    output = LogOutput("json")
    only_info = FilteringLogObserver(output(stream), [LogLevelFilterPredicate(LogLevel.info)])
    globalLogBeginner.beginLoggingTo([only_info], redirectStandardIO=False)
    return output


def hot_and_cold() -> tuple[float, float]:
    """Microseconds a call, medians: without a pause, and with one before each message."""
    with tempfile.TemporaryDirectory() as directory:
        inside = Inside(Path(directory))
        inside.run(WARM_UP)
        hot = median(inside.run(10) for _ in range(HOT_CALLS // 10))
        inside.pause = PAUSE_SECONDS
        return hot, median(inside.run(10) for _ in range(COLD_CALLS // 10))


def main() -> None:
    """Print the figure, and the profile when asked."""
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    count = numbers[0] if numbers else CALLS
    with tempfile.TemporaryDirectory() as directory:
        inside = Inside(Path(directory))
        inside.run(WARM_UP)
        best = min(inside.run(10) for _ in range(count // 10))
        print(f"one call inside the gateway, without the kernel: {best:.0f} us")
        if "--profile" in sys.argv:
            inside.profile = cProfile.Profile()
            inside.run(1000)
            pstats.Stats(inside.profile).sort_stats(os.environ.get("SORT", "tottime")).print_stats(70)


if __name__ == "__main__":
    main()
