"""Media beside signalling: added latency while the gateway does 100 TLS handshakes a second.

    python -m bench.media_signalling [--calls 400] [--rate 100] [--seconds 3] [--rounds 2]

As in production: `twist gateway` with the worker that it started itself, or with an rtpengine. The relay and the
gateway share one core, which is the worst case; the load of packets has the other, and what makes the handshakes gets
what the load leaves. Nothing is resumed: each handshake is a full one of TLS 1.3.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import attrs

from bench.judging import not_above
from bench.media import relays
from bench.media.drive import Run, drive, prepare
from bench.media_relay import here
from gateway.demo import devcerts

PORT = 5061
SETTLE_SECONDS = 2
NAMES = ("worker", "rtpengine")


@attrs.frozen
class Found:
    """The same calls without and with handshakes."""

    quiet: Run
    busy: Run
    handshakes: float
    """A second."""


def measure(name: str, options: argparse.Namespace) -> Found:
    with tempfile.TemporaryDirectory() as written, ExitStack() as stack:
        directory = Path(written)
        if name == "rtpengine":
            relay = stack.enter_context(relays.rtpengine(directory))
        with _gateway(directory, name) as gateway:
            if name != "rtpengine":
                path, pid = _own_worker(gateway.pid)
                stack.callback(os.kill, pid, signal.SIGKILL)
                relay = stack.enter_context(relays.asking(path, directory / "c.sock", pid))
            ways = [way for index in range(options.calls) for way in relay.call(f"call-{index}", options.suite)]
            quiet = drive([relay.pid], ways, options.seconds, shares=True)
            ways = [way for index in range(options.calls) for way in relay.call(f"next-{index}", options.suite)]
            with _handshakes(directory, options) as process:
                busy = drive([relay.pid], ways, options.seconds, shares=True)
                done = int(process.communicate()[0])
            return Found(quiet, busy, done / _lasting(options))


def main() -> None:
    options = _options()
    prepare()
    names = here(NAMES)
    rounds = [{name: measure(name, options) for name in names} for _ in range(options.rounds)]
    print(f"{options.calls} calls, {options.suite}, {options.rounds} rounds of {options.seconds} s; gateway on the")
    print("relay's core      handshakes/s  us/packet   p50 us   p99 us     lost")
    for name in names:
        found = [one[name] for one in rounds]
        _print(name, 0, [one.quiet for one in found])
        _print(name, median(one.handshakes for one in found), [one.busy for one in found])
    if "rtpengine" in names:
        for what in ("p50", "p99"):
            ours, theirs = _median(rounds, "worker", what), _median(rounds, "rtpengine", what)
            print(f"  worker: {what} {ours:.0f} us, {not_above(ours, theirs, 'rtpengine')}")


def _median(rounds: list[dict[str, Found]], name: str, what: str) -> float:
    """While there were handshakes."""
    return median(float(getattr(one[name].busy, what)) for one in rounds)


def _print(name: str, handshakes: float, runs: list[Run]) -> None:
    print(
        f"{name:17} {handshakes:12.0f} {median(run.cpu for run in runs):10.2f} {median(run.p50 for run in runs):8.0f}"
        f" {median(run.p99 for run in runs):8.0f} {median(run.loss for run in runs):8.3%}"
    )


@contextmanager
def _gateway(directory: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """On the relays' core with all that it starts, once it takes connections."""
    devcerts.make(directory / "certificates", datetime.now(tz=UTC))
    file = directory / "gateway.toml"
    text = (relays.HERE / "gateway.toml").read_text().replace("@ADDRESS@", relays.RELAY)
    file.write_text(text.replace("@RELAY@", "rtpengine" if name == "rtpengine" else "workers"))
    twist = str(Path(sys.executable).with_name("twist"))
    command = [twist, "gateway", "--config", str(file)]
    with (directory / "log").open("w+") as log, relays.pinned(command, stdout=log.fileno()) as process:
        deadline = time.monotonic() + relays.START_SECONDS
        while not _is_listening():
            if time.monotonic() > deadline or process.poll() is not None:
                log.seek(0)
                raise SystemExit("the gateway does not start:\n" + log.read())
            time.sleep(0.1)
        time.sleep(SETTLE_SECONDS)
        yield process


def _is_listening() -> bool:
    try:
        socket.create_connection((relays.RELAY, PORT), timeout=1).close()
    except OSError:
        return False
    return True


def _own_worker(gateway: int) -> tuple[Path, int]:
    """The socket and process id of the worker that the gateway started."""
    for task in Path(f"/proc/{gateway}/task").iterdir():
        for child in (task / "children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            found = [word.removeprefix("--socket=") for word in words if word.startswith("--socket=")]
            if found:
                return Path(found[0]), int(child)
    raise SystemExit("the gateway has no worker")


def _handshakes(directory: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    authority = str(directory / "certificates" / "ca.pem")
    words = [relays.RELAY, str(PORT), authority, str(options.rate), str(_lasting(options))]
    command = [sys.executable, "-m", "bench.media.handshakes", *words]
    return subprocess.Popen(command, cwd=relays.ROOT, stdout=subprocess.PIPE)


def _lasting(options: argparse.Namespace) -> float:
    """Seconds that handshakes go on: longer than the packets, whose plan has to be made first."""
    return float(options.seconds) + 4.0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--suite", default="AES_CM_128_HMAC_SHA1_80")
    return parser.parse_args()


if __name__ == "__main__":
    main()
