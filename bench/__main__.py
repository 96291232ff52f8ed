"""All benchmarks of a table, one after the other: `python -m bench [more]`, or the names of some.

Each is a program of its own. One that fails does not keep the others from running; the end says which did, and so does
the exit status. `more` are those that have tables of their own, of which README and the tables of calls and media say
nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

JUDGED = {
    "media_relay": "media: CPU, latency and memory of relayed packets",
    "media_scale": "media: calls a core",
    "media_set_ups": "media: packets while 100 calls/s are set up",
    "media_signalling": "media: packets while the gateway has 100 TLS handshakes/s",
    "signalling": "signalling: calls over UDP",
    "tls": "signalling: phones on TLS",
    "sip_parse": "signalling: an INVITE read, rewritten and written",
    "steps": "signalling: steps of a message and of a call",
    "growth": "growth: a call beside many calls and bindings",
}
"""In the order of docs/performance.md: `make bench`."""
MORE = {
    "media_workers": "media: two workers beside one",
    "web_media": "media: browsers' calls that are set up beside others",
    "transactions": "signalling: transactions and timers alone",
    "tls_idle": "signalling: the transport layer beside bare Twisted",
    "limits": "signalling: limits of calls",
    "redaction": "administration: secrets taken out of traced messages",
    "scrapes": "administration: scrapes and pages beside 5,000 calls",
    "log_ins": "administration: wrong log-ins",
    "assess": "administration: reports of the posture",
    "provisioning": "administration: files of phones",
    "roll_outs": "administration: roll-outs",
    "defence": "the defence against strangers",
}
"""`make bench-more`."""
ROOT = Path(__file__).parents[1]


def run(names: Sequence[str]) -> list[str]:
    """Those that failed."""
    titles, failed = JUDGED | MORE, []
    for name in names:
        print(f"\n== {titles.get(name, name)} (bench.{name})", flush=True)
        began = time.monotonic()
        status = subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=ROOT, check=False).returncode
        outcome = "took" if status == 0 else f"FAILED with {status}, after"
        print(f"-- bench.{name} {outcome} {time.monotonic() - began:.0f} s", flush=True)
        if status != 0:
            failed.append(name)
    return failed


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    names = {(): list(JUDGED), ("more",): list(MORE)}.get(tuple(arguments), list(arguments))
    began = time.monotonic()
    failed = run(names)
    print(f"\n{len(names)} benchmarks in {(time.monotonic() - began) / 60:.0f} minutes", flush=True)
    if failed:
        print(f"These failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
