"""Somebody on the phones' side takes all that can be had before proof: an emergency call of another phone completes
(RFC 3261 section 26.3.2.4, RFC 5069)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.calls.wire import SipMessage
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig

LIMITS = """
[limits]
waiting_mib = 2
waiting_mib_per_source = 1
"""
VIDEO = b"m=video 4002 RTP/AVP 31\r\n" * 3


@pytest.fixture
def mallory(rig: Rig) -> Iterator[list[Phone]]:
    """One registered phone, and three hosts that are not."""
    made = [Phone(rig.hosts.host(number), rig.proxy, "mallory") for number in (12, 13, 14, 15)]
    yield made
    for one in made:
        one.close()


def statuses(phone: Phone) -> Counter[int]:
    """The final answers that came by now."""
    found: Counter[int] = Counter()
    while (message := phone.receive(0.3)) is not None:
        found[message.status] += message.status >= 200
    return found


def flood(phone: Phone, count: int, number: str, media: bytes = b"") -> Counter[int]:
    """So many calls at once; their final answers."""
    found: Counter[int] = Counter()
    for sent in range(count):
        phone.throw(with_media(phone.invite(number), media))
        if sent % 20 == 19:
            found += statuses(phone)
    return found + statuses(phone)


def with_media(invite: bytes, media: bytes) -> bytes:
    head, _, body = invite.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    lines.append(b"Content-Length: %d" % len(body + media))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body + media


def messages(phone: Phone, count: int) -> Counter[int]:
    """Long MESSAGEs that nobody answers."""
    for _ in range(count):
        head, _, _ = phone.invite("echo").replace(b"INVITE", b"MESSAGE").partition(b"\r\n\r\n")
        head = head.replace(b"application/sdp", b"text/plain")
        phone.throw(with_media(head + b"\r\n\r\n", b"hello, " * 4000))
    return statuses(phone)


def test_an_emergency_call_completes_while_somebody_has_all_calls_ports_and_bytes(
    rig: Rig, phone: Phone, mallory: list[Phone]
) -> None:
    rig.configuration.write_text(rig.configuration.read_text() + LIMITS)
    rig.start()
    registered = mallory[0].register()
    assert registered is not None
    assert registered.status == 200
    rig.provider.ignores = "mallory"
    for one in mallory[1:]:
        assert flood(one, 40, "echo", VIDEO)[503] > 10, "a source has all calls that it asks for"
        flood(one, 1, "112", VIDEO)
    flood(mallory[1], 10, "112", VIDEO)
    assert flood(mallory[0], 120, "echo")[503] > 10, "there are ports still"
    before = rig.metric("gateway_stateless_refusals_total")
    assert sum((messages(one, 60) for one in mallory), Counter())[503] > 10
    assert rig.metric("gateway_stateless_refusals_total") > before + 10, "there is room still"

    ordinary = phone.call("echo", 5)
    emergency = phone.call("112", 5)

    assert isinstance(ordinary, SipMessage), "all was to be exhausted"
    assert ordinary.status == 503
    assert isinstance(emergency, Dialog), emergency
    phone.say(emergency, 3)
    assert len(rig.provider.media.recv(2048)) == 172
    ended = phone.hang_up(emergency)
    assert ended is not None
    assert ended.status == 200
    assert rig.metric("gateway_calls_over_limit_total") > 10
    assert rig.metric("gateway_waiting_bytes") < 3 * 1024 * 1024
    assert "Traceback" not in rig.text()
