"""Datagrams that bear the provider's address, from both sides of the gateway: the provider goes on calling.

Everything that a stranger can write is thrown: looks of scanners, wrong passwords, nonsense, floods. A ban of that
address would cut every phone off, for the price of a few packets.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from tests.support.attacks.street import DOMAIN, GATEWAY, GATEWAY_TRUNK, OFFICE, PASSWORDS, PORT, PROVIDER, Street
from tests.support.calls.processes import wait_until

PHONE_PORT = 5090
COUNT = 1000
APART = 0.002
"""Seconds: the provider's name is what counts here, not whether the gateway is flooded."""


def forged(source: str, target: str, data: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram; the kernel fills in the checksum of IP, and UDP's may be missing."""
    udp = struct.pack("!HHHH", PORT, PORT, 8 + len(data), 0) + data
    size = 20 + len(udp)
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    return struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses + udp


def request(method: str, number: int, agent: str, more: str = "") -> bytes:
    return (
        f"{method} sip:{100 + number % 200}@{DOMAIN} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {PROVIDER}:{PORT};branch=z9hG4bKf{number}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:x@{DOMAIN}>;tag=f{number}\r\nTo: <sip:{100 + number % 200}@{DOMAIN}>\r\n"
        f"Call-ID: forged-{number}\r\nCSeq: 1 {method}\r\nUser-Agent: {agent}\r\n{more}Content-Length: 0\r\n\r\n"
    ).encode()


def nastiness() -> Iterator[bytes]:
    """All that strangers send, in the name of another."""
    wrong = f'Authorization: Digest username="100", realm="{DOMAIN}", nonce="x", uri="sip:x", response="{"0" * 32}"\r\n'
    for number in range(COUNT):
        match number % 5:
            case 0:
                yield request("OPTIONS", number, "friendly-scanner")
            case 1:
                yield request("REGISTER", number, "desk phone", wrong)
            case 2:
                yield request("INVITE", number, "desk phone")
            case 3:
                yield b"INVITE nonsense \x00\r\n\r\n" + bytes([number % 256]) * 40
            case _:
                yield request("BYE", number, "desk phone")


def test_a_source_spoofed_as_the_provider_cuts_nobody_off(street: Street) -> None:
    with street.networks.inside("provider"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with street.networks.inside("street"):
        across = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw, across:
        for data in nastiness():
            raw.sendto(forged(PROVIDER, GATEWAY_TRUNK, data), (GATEWAY_TRUNK, 0))
            across.sendto(forged(PROVIDER, GATEWAY, data), (GATEWAY, 0))
            across.sendto(forged(PROVIDER, GATEWAY_TRUNK, data), (GATEWAY_TRUNK, 0))
            time.sleep(APART)
    wait_until("all are read", lambda: street.gateway.fetch("/healthz") is not None, 10)
    # Where the machine is busy with other things a thousand packets may be late, and new calls are refused for a while.
    wait_until("it is in time again", lambda: not street.is_late, 20)

    register = street.script("register.xml", {"USER": "200", "PASSWORD": PASSWORDS["200"]})
    proxy = f"{GATEWAY}:{PORT}"
    phone = street.sipp("street", OFFICE, register, proxy, "-p", str(PHONE_PORT), "-m", "1")
    assert phone.wait_ended(10) == 0, phone.tail()
    rings = street.sipp("street", OFFICE, street.script("callee.xml", {}), proxy, "-p", str(PHONE_PORT), "-m", "1")
    calls = street.script("caller.xml", {"USER": "200"})
    provider = street.sipp("provider", PROVIDER, calls, f"{GATEWAY_TRUNK}:{PORT}", "-p", "5077", "-m", "1")
    assert provider.wait_ended(10) == 0, provider.tail()
    assert rings.wait_ended(5) == 0
    assert street.alerts.of("security.banned", PROVIDER) == []
