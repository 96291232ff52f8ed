"""Strangers at the gateway: scanners that put another address on their packets, and devices that nobody has taken in.

Sources on this machine are never slowed, so that the scanners' packets are written by hand, over a raw socket.
"""

from __future__ import annotations

import socket
import struct
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Final

SCANNERS: Final = ("203.0.113.9", "192.0.2.66")
FILES: Final = (("805ec0ffee01.cfg", "Yealink SIP-T46U 108.86.0.20 80:5e:c0:ff:ee:01"), ("0004f2000001.cfg", "-"))
"""Files that devices ask for, and their User-Agents."""
PROVISIONING_PORT: Final = 8085


def scan(host: str) -> None:
    """Ask for the options of telephones that are not there, as sipvicious does, until it is seen. Needs root."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for source in SCANNERS:
            for number in range(3):
                raw.sendto(_forged(source, host, _options(source, number)), (host, 0))


def ask_for_files(host: str) -> None:
    """Ask for the files of two devices that are not known; both get 404."""
    for file, agent in FILES:
        wanted = urllib.request.Request(f"http://{host}:{PROVISIONING_PORT}/{file}", headers={"User-Agent": agent})
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(wanted).close()


def _options(source: str, number: int) -> bytes:
    return (
        f"OPTIONS sip:{100 + number}@example.com SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {source}:5060;branch=z9hG4bKs{number}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:100@example.com>;tag=s{number}\r\nTo: <sip:100@example.com>\r\n"
        f"Call-ID: scan-{source}-{number}\r\nCSeq: 1 OPTIONS\r\nUser-Agent: friendly-scanner\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def _forged(source: str, target: str, data: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram; the kernel fills in the checksum of IP, and UDP's may be missing."""
    udp = struct.pack("!HHHH", 5060, 5060, 8 + len(data), 0) + data
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    return struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses + udp
