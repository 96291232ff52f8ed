"""The HTTP request of a web phone (RFC 6455 section 4.2, RFC 7118 section 4)."""

import pytest

from gateway.transport.websocket.upgrade import Answer, Origins, Upgrade
from tests.support.transport_gateways import LogLines
from tests.support.web_peer import ACCEPTED, ORIGIN, asking


def answer_to(data: bytes, *allowed: str) -> Answer | None:
    return Upgrade(Origins("web", allowed or (ORIGIN,))).receive(data)


def status_of(data: bytes) -> int:
    answer = answer_to(data)
    assert answer is not None
    return int(answer.data.split()[1])


def test_rfc6455_1_3_the_key_of_the_example_has_the_answer_of_the_example() -> None:
    answer = answer_to(asking())
    assert answer is not None
    assert not answer.refusal
    head = answer.data.decode()
    assert head.startswith("HTTP/1.1 101 ")
    assert f"Sec-WebSocket-Accept: {ACCEPTED}\r\n" in head
    assert "Sec-WebSocket-Protocol: sip\r\n" in head


def test_no_extension_is_agreed_on() -> None:
    answer = answer_to(asking())
    assert answer is not None
    assert b"extensions" not in answer.data.lower()


def test_a_request_may_come_byte_by_byte_and_frames_behind_it_are_kept() -> None:
    upgrade = Upgrade(Origins("web", [ORIGIN]))
    for byte in asking()[:-1]:
        assert upgrade.receive(bytes([byte])) is None
    answer = upgrade.receive(b"\n\x89\x80")
    assert answer is not None
    assert answer.rest == b"\x89\x80"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"HEAD / HTTP/1.0\r\n\r\n", 404),
        (asking(Upgrade="h2c"), 404),
        (asking(Connection="keep-alive"), 404),
        (asking().replace(b"GET ", b"POST "), 404),
        (asking(Sec_WebSocket_Version="8"), 426),
        (asking(Sec_WebSocket_Version=None), 426),
        (asking(Sec_WebSocket_Key=None), 400),
        (asking(Sec_WebSocket_Key="c2hvcnQ="), 400),
        (asking(Sec_WebSocket_Key="not base64 at all"), 400),
        (asking(Sec_WebSocket_Protocol=None), 400),
        (asking(Sec_WebSocket_Protocol="chat, mqtt"), 400),
        (asking(Origin="https://evil.example.com"), 403),
        (asking(Origin="http://office.example.com"), 403),
        (asking(Origin="https://office.example.com.evil.example"), 403),
        (asking(Origin="null"), 403),
        (asking(Origin=None), 403),
        (asking(Origin=f"{ORIGIN}\r\nOrigin: {ORIGIN}"), 403),
        (b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000, 400),
    ],
)
def test_all_else_is_refused(request_: bytes, status: int) -> None:
    assert status_of(request_) == status


@pytest.mark.parametrize("offered", ["sip", "SIP", "chat, sip", "mqtt,sip"])
def test_rfc7118_4_the_subprotocol_may_be_one_of_several(offered: str) -> None:
    assert status_of(asking(Sec_WebSocket_Protocol=offered)) == 101


def test_hosts_of_origins_do_not_depend_on_case() -> None:
    assert status_of(asking(Origin="HTTPS://Office.Example.com")) == 101


def test_the_log_is_told_of_each_refused_page_once_and_of_a_bounded_number() -> None:
    origins = Origins("web", [ORIGIN])
    with LogLines() as told:
        for number in range(300):
            for _ in range(2):
                assert not origins.allows(f"https://{number}.example.com/\x1b[2J")
    assert len(told.events) == 100
    assert "\x1b" not in str(told.events[0]["origin"])


def test_what_is_no_request_of_a_web_phone_is_told_from_what_is_one() -> None:
    foreign = answer_to(b"GET /.env HTTP/1.1\r\nHost: a\r\n\r\n")
    misled = answer_to(asking(Origin="https://other.example.com"))
    assert foreign is not None
    assert misled is not None
    assert (foreign.is_foreign, misled.is_foreign) == (True, False)
