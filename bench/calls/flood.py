"""A flood of datagrams at a pace, by a process of its own.

    python -m bench.calls.flood SOURCE TARGET PORT RATE SECONDS KIND

KIND is `scan`, OPTIONS as svmap sends them, or `phone`, the same by one that says it is a phone. It prints how many
were sent a second.
"""

from __future__ import annotations

import socket
import sys
import time

OPTIONS = """OPTIONS sip:100@{target} SIP/2.0\r
Via: SIP/2.0/UDP {source}:5060;branch=z9hG4bK-{number};rport\r
Max-Forwards: 70\r
To: "sipvicious"<sip:100@1.1.1.1>\r
From: "{name}"<sip:100@1.1.1.1>;tag={number}\r
User-Agent: {agent}\r
Call-ID: {number}\r
Contact: sip:100@{source}:5060\r
CSeq: 1 OPTIONS\r
Accept: application/sdp\r
Content-Length: 0\r
\r
"""
LOOKS = {"scan": ("sipvicious", "friendly-scanner"), "phone": ("Alice", "desk phone")}
DIFFERENT = 1000
"""Datagrams that are made beforehand."""
TICK = 0.001
"""Seconds between two bursts."""


def datagrams(source: str, target: str, kind: str) -> list[bytes]:
    """So many different ones."""
    name, agent = LOOKS[kind]
    values = {"source": source, "target": target, "name": name, "agent": agent}
    return [OPTIONS.format(number=1_000_000 + number, **values).encode() for number in range(DIFFERENT)]


def main(source: str, target: str, port: int, rate: int, seconds: float, kind: str) -> None:
    """Send, and print the pace that was kept."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind((source, 0))
    sender.connect((target, port))
    data = datagrams(source, target, kind)
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        for _ in range(min(int(now * rate) - sent, DIFFERENT)):
            try:
                sender.send(data[sent % DIFFERENT])
            except OSError:  # refused, or no room: a flood does not care
                pass
            sent += 1
        time.sleep(TICK)
    print(f"{sent / (time.perf_counter() - began):.0f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), sys.argv[6])
