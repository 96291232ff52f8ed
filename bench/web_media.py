"""Browsers beside other calls: CPU of a DTLS handshake, and the delay of 400 other calls' packets meanwhile.

    python -m bench.web_media [--calls 400] [--seconds 6] [--rate 20] [--rounds 3]

The worker has one core, its thread of handshakes too; the load has the other, and so have the browsers: each is called
up, checks, shakes hands, and is hung up, so many a second. Compared are medians over the rounds: p99 of the packets'
delay without browsers and with them, and the worker's CPU for one browser's call, its checks, its handshake, and its
offer, answer and end. Wants two cores and gcc.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Event, Process, Value
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event as EventType
from pathlib import Path
from statistics import median

from bench.media import relays
from bench.media.drive import Run, drive, prepare
from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.relay import Encryption, SdpWish
from tests.support.media_browser import Browser

SUITE = "AES_CM_128_HMAC_SHA1_80"
BROWSERS, PHONES = "127.0.78.1", "127.0.78.2"
TARGET_P99_US = 1_000
"""Of packets beside handshakes."""
PHONE = f"v=0\r\no=- 1 1 IN IP4 {PHONES}\r\ns=-\r\nc=IN IP4 {PHONES}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def shake(path: str, directory: str, rate: float, over: EventType, told: Synchronized[int]) -> None:
    """Calls of browsers at that rate until it is over; tells how many there were."""
    os.sched_setaffinity(0, {relays.LOAD_CORE})
    wish, number, due = SdpWish(Side.PROVIDER, Encryption.NONE), 0, time.monotonic()
    with relays.asking(Path(path), Path(directory, f"{os.getpid()}.sock"), 0) as relay:
        while not over.is_set():
            browser, name = Browser(BROWSERS), f"web-{number}"
            relay.ask(dict(ng_commands.offer(name, "caller", None, browser.sdp(), wish)))
            answer = relay.ask(dict(ng_commands.answer(name, "caller", "callee", PHONE.encode())))
            browser.connect(str(answer["sdp"]).encode())
            relay.ask(dict(ng_commands.delete(name)))
            browser.close()
            number += 1
            due += 1 / rate
            time.sleep(max(due - time.monotonic(), 0))
    told.value = number


@contextmanager
def browsers(directory: Path, rate: float, done: list[int]) -> Iterator[None]:
    """Browsers call meanwhile; their number is added to `done`."""
    over, told = Event(), Value("i", 0)
    words = (str(directory / f"w{relays.PORTS[0]}.sock"), str(directory), rate, over, told)
    process = Process(target=shake, args=words)
    process.start()
    try:
        yield
    finally:
        over.set()
        process.join()
        done.append(told.value)


def measure(calls: int, seconds: float, rate: float) -> tuple[Run, Run, float]:
    """The load alone, the load beside browsers, and milliseconds of the worker's CPU for a browser's call."""
    with tempfile.TemporaryDirectory() as name, relays.worker(Path(name)) as relay:
        ways = [way for index in range(calls) for way in relay.call(f"call-{index}", SUITE)]
        done: list[int] = []
        alone = drive([relay.pid], ways, seconds)
        _hang_up(relay, calls)
        ways = [way for index in range(calls) for way in relay.call(f"again-{index}", SUITE)]
        with browsers(Path(name), rate, done):
            time.sleep(1)
            beside = drive([relay.pid], ways, seconds)
        idle: list[int] = []
        before, begin = relays.cpu_ns(relay.pid), time.monotonic()
        with browsers(Path(name), rate, idle):
            time.sleep(seconds)
        used = relays.cpu_ns(relay.pid) - before
        quiet, passed = relays.cpu_ns(relay.pid), time.monotonic() - begin
        time.sleep(passed)
        return alone, beside, (used - (relays.cpu_ns(relay.pid) - quiet)) / idle[0] / 1e6


def _hang_up(relay: relays.Relay, calls: int) -> None:
    for index in range(calls):
        relay.ask(dict(ng_commands.delete(f"call-{index}")))


def main() -> None:
    options = _options()
    prepare()
    found = [measure(options.calls, options.seconds, options.rate) for _ in range(options.rounds)]
    runs = {"alone": [one[0] for one in found], "beside": [one[1] for one in found]}
    alone, beside = (median(run.p99 for run in each) for each in runs.values())
    print(f"CPU of a browser's call in the worker: {median(cpu for _, _, cpu in found):.2f} ms")
    print(
        f"p99 of {options.calls} other calls: {alone} us alone, {beside} us beside {options.rate:g} browsers a second"
    )
    for name, each in runs.items():
        print(f"  {name}: lost {max(run.loss for run in each):.4%}, wrong {sum(run.wrong for run in each)}")
    print("met" if beside <= TARGET_P99_US else "MISSED", f"(target {TARGET_P99_US} us)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
