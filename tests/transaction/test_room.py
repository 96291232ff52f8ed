"""What a request may hold before anything is proved: bytes of one source and of all (RFC 3261 section 8.2.7)."""

from __future__ import annotations

import pytest

from gateway.config.model import Side
from gateway.sip.message import Request
from gateway.transaction.room import COPIES, LONGEST_IDENTITY, MIB, OVERHEAD, Ceiling, Claim, size_of
from tests.support.flows import a_flow
from tests.support.transactions import Bench, make_request

KIB = 1024


def asks(bench: Bench, number: int, body: bytes = b"", method: str = "MESSAGE", to_tag: str | None = None) -> Request:
    request = make_request(method, f"z9hG4bK{number}", call_id=f"{number}@x", to_tag=to_tag)
    request.body = body
    bench.layer.receive(request, bench.flow)
    return request


def test_bytes_of_a_request_that_waits_are_held_and_then_those_of_its_response() -> None:
    bench = Bench()
    request = asks(bench, 1, b"x" * 10 * KIB)
    room = bench.layer.room
    assert room.held == OVERHEAD + COPIES * size_of(request) > 20 * KIB
    (transaction,) = bench.core.transactions
    transaction.respond(request.response(200, to_tag="x"))
    assert OVERHEAD < room.held < OVERHEAD + KIB
    bench.advance(32.1)
    assert (room.held, room.sources) == (0, 0)


def test_requests_of_ours_are_held_until_their_end() -> None:
    bench = Bench()
    request = make_request("MESSAGE")
    request.body = b"x" * 1000
    bench.layer.send_request(request, bench.flow, bench.user)
    assert bench.layer.room.held > OVERHEAD + 1000
    (sent,) = bench.flow.requests("MESSAGE")
    bench.layer.receive(sent.response(200, to_tag="x"), bench.flow)
    assert bench.layer.room.held == OVERHEAD
    bench.advance(32.1)
    assert bench.layer.room.held == bench.layer.room.sources == 0


@pytest.mark.parametrize("held", [Ceiling(held=MIB), Ceiling(held_per_source=MIB)])
def test_beyond_the_bytes_requests_get_503_and_leave_nothing(held: Ceiling) -> None:
    bench = Bench(ceiling=held)
    for number in range(1000):
        asks(bench, number, b"x" * 8 * KIB)
    count = len(bench.core.transactions)
    assert 40 < count < 64
    assert bench.layer.refused[503] == 1000 - count
    assert bench.layer.room.held <= MIB
    asks(bench, 1000, b"x" * 8 * KIB, method="INFO", to_tag="of-a-dialog")
    assert len(bench.core.transactions) == count + 1


@pytest.mark.parametrize(
    "held", [Ceiling(held=MIB), Ceiling(held_per_source=MIB), Ceiling(server_transactions=60, held=8 * MIB)]
)
def test_rfc3261_8_2_7_registered_phones_have_an_eighth_and_leave_another_to_emergencies(held: Ceiling) -> None:
    bench = Bench(ceiling=held)
    counts = []
    for claim in Claim:
        bench.core.claim = claim
        for number in range(100):
            asks(bench, 1000 * claim + number, b"x" * 8 * KIB)
        counts.append(len(bench.core.transactions))
    none, registered, urgent = counts
    assert 0 < none < registered < urgent <= none * 5 // 4 + 1
    assert registered - none >= 6
    assert urgent - registered >= 6


def test_one_source_leaves_room_for_others_and_for_the_provider() -> None:
    bench = Bench(ceiling=Ceiling(held_per_source=100 * KIB))
    for number in range(100):
        asks(bench, number, b"x" * 8 * KIB)
    count = len(bench.core.transactions)
    bench.layer.receive(make_request("MESSAGE", "z9hG4bKother", call_id="other"), a_flow("udp", host="127.0.0.12"))
    bench.layer.receive(make_request("MESSAGE", "z9hG4bKprovider", call_id="p"), a_flow("tls", Side.PROVIDER))
    assert len(bench.core.transactions) == count + 2


@pytest.mark.parametrize("name", ["Via", "From", "Call-ID"])
@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "CANCEL"])
def test_lines_that_an_answer_repeats_are_short_or_answered_without_state(name: str, method: str) -> None:
    bench = Bench()
    request = make_request("INVITE" if method == "CANCEL" else method)
    if method == "CANCEL":
        bench.layer.receive(request, bench.flow)
        request = make_request("CANCEL")
    before = bench.layer.room.held
    if name == "Via":
        request.headers.add("Via", "SIP/2.0/UDP a;x=" + "v" * LONGEST_IDENTITY)
    else:
        request.headers.set(name, f"{request.headers.get(name)};x=" + "v" * LONGEST_IDENTITY)
    bench.layer.receive(request, bench.flow)
    assert bench.flow.statuses()[-1] == 513
    assert bench.layer.room.held == before
    assert bench.layer.refused[513] == 1


def test_a_phone_asks_no_more_than_so_much_and_a_provider_may() -> None:
    bench = Bench(ceiling=Ceiling(longest_request=8 * KIB))
    asks(bench, 1, b"x" * 8 * KIB)
    assert bench.flow.statuses() == [513]
    provider = a_flow("tls", Side.PROVIDER)
    request = make_request("MESSAGE", "z9hG4bKp", call_id="p")
    request.body = b"x" * 60 * KIB
    bench.layer.receive(request, provider)
    assert len(bench.core.transactions) == 1
