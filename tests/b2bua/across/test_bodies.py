"""Bodies that cross a call: descriptions are rewritten or stay behind, and nothing unknown passes for one."""

from __future__ import annotations

import pytest

from tests.support.ladder import AVP, SAVP, Ladder
from tests.support.stories import nothing_is_left, talk


def test_description_in_a_phones_answer_to_options_stays_here() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.request("OPTIONS", "sip:alice-1@gw.example.com"))
    ladder.phone.answers(ladder.phone.receives_request("OPTIONS"), 200, sdp=AVP)
    answer = ladder.provider.receives_response(200)
    assert (answer.body, answer.content_type) == (b"", None)
    nothing_is_left(ladder)


def test_description_in_the_answer_to_subscribe_stays_here() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.request("SUBSCRIBE", "sip:alice@example.com"))
    ladder.provider.answers(ladder.provider.receives_request("SUBSCRIBE"), 200, sdp=SAVP)
    assert ladder.phone.receives_response(200).body == b""


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-sdp"])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_reinvite_with_a_body_that_is_not_called_sdp_does_not_cross(method: str, content_type: str | None) -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    again = ladder.phone.within(answer, method)
    again.body = AVP
    if content_type is not None:
        again.headers.add("Content-Type", content_type)
    ladder.phone.sends(again)
    ladder.phone.receives(415)
    ladder.provider.receives_nothing()


@pytest.mark.parametrize("method", ["INFO", "MESSAGE", "NOTIFY", "REFER"])
def test_sdp_in_methods_that_set_up_no_media_does_not_touch_them(method: str) -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    asked = len(ladder.relay.asked)
    ladder.phone.sends(ladder.phone.within(answer, method, sdp=AVP))
    ladder.phone.receives(415)
    assert len(ladder.relay.asked) == asked


@pytest.mark.parametrize("content_type", ["application/sdp", "multipart/mixed;boundary=b"])
def test_sdp_in_the_answer_to_info_stays_behind(content_type: str) -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    asked = len(ladder.relay.asked)
    ladder.phone.sends(ladder.phone.within(answer, "INFO"))
    response = ladder.provider.receives_request("INFO").response(200)
    response.headers.add("Content-Type", content_type)
    response.body = SAVP
    ladder.provider.sends(response)
    assert ladder.phone.receives_response(200).body == b""
    assert len(ladder.relay.asked) == asked


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "PUBLISH", "SUBSCRIBE"])
def test_body_that_says_not_what_it_is_does_not_cross(method: str) -> None:
    ladder = Ladder()
    request = ladder.phone.request(method, "sip:bob@example.com")
    request.body = AVP
    ladder.phone.sends(request)
    ladder.phone.receives(415)
    ladder.provider.receives_nothing()
