"""Full TLS handshakes at a rate: `python -m bench.media.handshakes HOST PORT AUTHORITY RATE SECONDS`.

Prints how many there were. Runs only while nothing else wants its core, so that the load of packets stays in time.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import time


def main() -> None:
    host, port, authority, rate, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), sys.argv[5]
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    context = ssl.create_default_context(cafile=authority)
    start, done = time.monotonic(), 0
    while (now := time.monotonic() - start) < float(seconds):
        if now < done / rate:
            time.sleep(done / rate - now)
        with (
            socket.create_connection((host, port), timeout=10) as stream,
            context.wrap_socket(stream, server_hostname="gateway.example.com"),
        ):
            done += 1
    print(done)


if __name__ == "__main__":
    main()
