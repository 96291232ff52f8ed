"""ping, list, query, statistics, delete, and what is refused."""

from __future__ import annotations

import pytest

from gateway.media.relay import JSON, Encryption
from tests.support.media_party import Party
from tests.support.media_relays import Ng, NgError


def test_ping_is_answered_with_pong(ng: Ng) -> None:
    assert ng.request({"command": "ping"})["result"] == "pong"


def test_cookie_comes_back_and_a_repeated_request_is_done_once(ng: Ng, call: str, phone: Party) -> None:
    first = ng.offer(call, phone.sdp(), Encryption.SAVP)
    command: dict[str, JSON] = {"command": "list", "limit": 1000}
    assert ng.request(command, cookie="again") == ng.request(command, cookie="again")
    assert ng.offer(call, phone.sdp(), Encryption.SAVP) == first


def test_list_names_the_calls_and_respects_its_limit(ng: Ng, call: str, phone: Party) -> None:
    ng.offer(call, phone.sdp(), Encryption.NONE)
    listed = ng.request({"command": "list", "limit": 1000})["calls"]
    assert isinstance(listed, list)
    assert call in listed
    assert ng.request({"command": "list", "limit": 0})["calls"] == []


def test_query_tells_ports_endpoints_and_suites(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    answer = ng.answer(call, provider.answer(offer, "AEAD_AES_128_GCM"))
    phone.hear_answer(answer)
    heard, secure = ng.stream(call, "caller"), ng.stream(call, "callee")
    assert heard["local port"] == phone.target[1]
    assert heard["endpoint"] == {"family": "IPv4", "address": phone.address, "port": phone.port}
    assert "crypto suite" not in heard
    assert secure["local port"] == provider.target[1]
    assert secure["crypto suite"] == "AEAD_AES_128_GCM"


def test_query_of_an_unknown_call_is_an_error(ng: Ng) -> None:
    with pytest.raises(NgError, match="Unknown call-id"):
        ng.query("nobody")


def test_statistics_count_sessions_and_ports(ng: Ng, call: str, phone: Party) -> None:
    before = ng.ports_used()
    ng.offer(call, phone.sdp(), Encryption.NONE)
    assert ng.ports_used() > before
    ng.delete(call)
    assert ng.ports_used() == before


def test_delete_of_an_unknown_call_is_a_warning(ng: Ng) -> None:
    assert "warning" in ng.delete("nobody")


@pytest.mark.parametrize(
    "command",
    [
        {"command": "no such thing"},
        {"command": "offer", "call-id": "x", "from-tag": "y"},
        {"command": "offer", "call-id": "x", "from-tag": "y", "sdp": "not SDP"},
        {"command": "offer", "from-tag": "y", "sdp": "v=0\r\n"},
        {"command": "answer", "call-id": "nobody", "from-tag": "y", "to-tag": "z", "sdp": "v=0\r\n"},
    ],
)
def test_what_makes_no_sense_is_an_error(ng: Ng, command: dict[str, str]) -> None:
    with pytest.raises(NgError):
        ng.request(command)
    assert ng.request({"command": "ping"})["result"] == "pong"
