"""Bodies that cross a call: descriptions are rewritten or stay behind, and nothing unknown passes for one."""

from __future__ import annotations

import gzip

import pytest

from gateway.config.model import Security
from gateway.sip.message import Request
from tests.support.ladder import AVP, KEY, SAVP, Ladder
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


PIDF = b'<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf"/>'


def bundle(*parts: tuple[str, bytes, str], boundary: str = "b7") -> bytes:
    written = [
        f"--{boundary}\r\nContent-Type: {kind}\r\n{more}\r\n".encode() + body + b"\r\n" for kind, body, more in parts
    ]
    return b"".join(written) + f"--{boundary}--\r\n".encode()


WITH_PLACE = bundle(("application/sdp", AVP, ""), ("application/pidf+xml", PIDF, "Content-ID: <place@ph.example>\r\n"))


@pytest.mark.parametrize("number", ["911", "200"])
def test_call_with_the_callers_place_goes_on_with_both(number: str) -> None:
    """RFC 6442 section 4, RFC 5621 section 3: the description is the relay's, the place is the caller's."""
    ladder = Ladder(Security.REQUIRED)
    invite = ladder.phone.invite(f"sip:{number}@example.com", sdp=WITH_PLACE)
    invite.headers.set("Content-Type", "multipart/mixed;boundary=b7")
    invite.headers.add("Geolocation", "<cid:place@ph.example>")
    invite.headers.add("Geolocation-Routing", "no")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert (onward.body, onward.content_type) == (SAVP, "application/sdp")
    (place,) = onward.beside
    assert (place.body, place.headers.get("Content-ID")) == (PIDF, "<place@ph.example>")
    assert onward.headers.get("Geolocation") == "<cid:place@ph.example>"
    assert b"192.0.2.11" not in onward.to_bytes()
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    assert ladder.phone.receives_response(200).body == AVP


def test_place_without_description_goes_on() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite(sdp=PIDF)
    invite.headers.set("Content-Type", "application/pidf+xml")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert (onward.body, [one.body for one in onward.beside]) == (b"", [PIDF])


def test_rfc_8147_emergency_data_and_its_acknowledgement_cross() -> None:
    ladder = Ladder()
    data = ("application/EmergencyCallData.eCall.MSD", b"\x01\x02\x00", "Content-Disposition: by-reference\r\n")
    invite = ladder.phone.invite("sip:112@example.com", sdp=bundle(("application/sdp", AVP, ""), data))
    invite.headers.set("Content-Type", "multipart/mixed;boundary=b7")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert [one.body for one in onward.beside] == [b"\x01\x02\x00"]
    control = ("application/EmergencyCallData.Control+xml", b"<EmergencyCallData.Control/>", "")
    response = onward.response(200, to_tag="t1")
    response.headers.add("Contact", "<sip:psap@198.51.100.21>")
    response.headers.add("Content-Type", "multipart/mixed;boundary=b7")
    response.body = bundle(("application/sdp", SAVP, ""), control)
    ladder.provider.sends(response)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    assert (answer.body, [one.body for one in answer.beside]) == (AVP, [control[1]])


MIXED = "multipart/mixed;boundary=b7"
RELATED = 'multipart/related;type="application/rlmi+xml";start="<l@pv>";boundary="b7"'

UNFIT = [
    (MIXED, bundle(("application/sdp", AVP, ""), ("application/sdp", SAVP, ""))),
    (MIXED, bundle(("application/sdp", AVP, ""), ("application/x-own", b"x", ""))),
    (
        MIXED,
        bundle(("application/sdp", AVP, ""), ("application/pidf+xml", b"<a>\n" + SAVP, "")),
    ),
    (MIXED, bundle(("multipart/mixed;boundary=c", WITH_PLACE, ""))),
    ("multipart/mixed;boundary=other", WITH_PLACE),
    ("multipart/related;boundary=b7", WITH_PLACE),
    ("message/sip", AVP),
    ("message/external-body", AVP),
]


@pytest.mark.parametrize(("kind", "body"), UNFIT)
def test_call_with_another_body_is_refused(kind: str, body: bytes) -> None:
    ladder = Ladder()
    invite = ladder.phone.invite(sdp=body)
    invite.headers.set("Content-Type", kind)
    ladder.phone.sends(invite)
    assert "application/sdp" in ladder.phone.receives_response(415).headers.values("Accept")
    ladder.provider.receives_nothing()


@pytest.mark.parametrize(("kind", "body"), UNFIT)
def test_emergency_call_completes_without_it(kind: str, body: bytes) -> None:
    ladder = Ladder()
    invite = ladder.phone.invite("sip:911@example.com", sdp=body)
    invite.headers.set("Content-Type", kind)
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert (onward.beside, onward.body) == ((), onward.body)
    assert onward.body in (b"", SAVP)
    assert KEY.encode() not in onward.to_bytes().replace(SAVP, b"")


def test_optional_part_may_be_left_out() -> None:
    """RFC 5621 section 8.2: handling=optional."""
    ladder = Ladder()
    optional = ("application/x-own", b"x", "Content-Disposition: render;handling=optional\r\n")
    invite = ladder.phone.invite(sdp=bundle(("application/sdp", AVP, ""), optional))
    invite.headers.set("Content-Type", MIXED)
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert (onward.body, onward.beside) == (SAVP, ())


def passed(ladder: Ladder, method: str, kind: str, body: bytes, *, from_provider: bool = True) -> Request | None:
    """The request as it came out on the other side; None where it was refused with 415."""
    sender, receiver = (ladder.provider, ladder.phone) if from_provider else (ladder.phone, ladder.provider)
    request = sender.request(method, "sip:alice-1@gw.example.com" if from_provider else "sip:bob@example.com")
    request.headers.add("Event", "dialog")
    request.headers.add("Content-Type", kind)
    request.body = body
    sender.sends(request)
    if receiver.flow.sent:
        return receiver.receives_request(method)
    answer = sender.receives_response(415)
    assert answer.headers.get("Accept") is not None
    return None


DESCRIBED = (
    b'<dialog-info><dialog id="x"><local><session-description>%s</session-description></local></dialog></dialog-info>'
)

HIDDEN = [
    ("MESSAGE", "text/plain", b"hello\r\n" + SAVP),
    ("MESSAGE", "message/cpim", b"From: <sip:a@b>\r\n\r\nContent-Type: application/sdp\r\n\r\n" + SAVP),
    ("MESSAGE", "message/cpim", b"From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\n" + SAVP),
    ("MESSAGE", MIXED, bundle(("text/plain", SAVP, ""))),
    ("MESSAGE", MIXED, bundle(("application/sdp", SAVP, ""))),
    (
        "MESSAGE",
        MIXED,
        bundle(("text/plain", b"dj0w", "Content-Transfer-Encoding: base64\r\n")),
    ),
    ("MESSAGE", "message/sip", b"INVITE sip:x SIP/2.0\r\n\r\n" + SAVP),
    ("MESSAGE", "message/external-body", b"x"),
    ("MESSAGE", "message/sipfrag", b"SIP/2.0 200 OK\r\n"),
    ("NOTIFY", "application/sdp", SAVP),
    ("NOTIFY", "application/octet-stream", b"x"),
    ("NOTIFY", "application/pidf+xml", b"<a>" + SAVP + b"</a>"),
    ("NOTIFY", "message/sipfrag", b"INVITE sip:x SIP/2.0\r\n\r\n" + SAVP),
    (
        "NOTIFY",
        "multipart/related;boundary=b7",
        bundle(("application/rlmi+xml", b"<a/>", ""), ("application/sdp", SAVP, "")),
    ),
    ("INFO", "text/plain", b"x"),
    ("INFO", "application/json", b"{}"),
    ("PUBLISH", "application/x-own", b"x"),
    ("SUBSCRIBE", "application/x-own", b"x"),
    ("OPTIONS", "application/sdp", SAVP),
]


@pytest.mark.parametrize("from_provider", [True, False])
@pytest.mark.parametrize(("method", "kind", "body"), HIDDEN)
def test_description_under_another_name_does_not_cross(
    method: str, kind: str, body: bytes, from_provider: bool
) -> None:
    assert passed(Ladder(), method, kind, body, from_provider=from_provider) is None


def test_description_within_the_state_of_a_dialog_is_taken_out() -> None:
    """RFC 4235 section 4.1.6.3."""
    request = passed(Ladder(), "NOTIFY", "application/dialog-info+xml", DESCRIBED % SAVP)
    assert request is not None
    assert request.body == b'<dialog-info><dialog id="x"><local></local></dialog></dialog-info>'


def test_fragment_is_told_as_far_as_its_status_line() -> None:
    """RFC 3515 section 2.4.5."""
    body = b"SIP/2.0 200 OK\r\nContact: <sip:x@198.51.100.9>\r\nContent-Type: application/sdp\r\n\r\n" + SAVP
    request = passed(Ladder(), "NOTIFY", "message/sipfrag;version=2.0", body)
    assert request is not None
    assert (request.body, request.headers.get("Content-Type")) == (b"SIP/2.0 200 OK\r\n", "message/sipfrag;version=2.0")


LIST = bundle(
    ("application/rlmi+xml", b"<list/>", "Content-ID: <l@pv>\r\n"),
    ("application/dialog-info+xml", b"<dialog-info/>", "Content-ID: <r@pv>\r\n"),
)


def test_rfc_4662_list_crosses_whole() -> None:
    request = passed(Ladder(), "NOTIFY", RELATED, LIST)
    assert request is not None
    assert (request.body, request.headers.get("Content-Type")) == (LIST, RELATED)


def test_description_within_a_list_is_taken_out_of_its_part() -> None:
    body = bundle(("application/rlmi+xml", b"<list/>", ""), ("application/dialog-info+xml", DESCRIBED % SAVP, ""))
    request = passed(Ladder(), "NOTIFY", RELATED, body)
    assert request is not None
    assert KEY.encode() not in request.body
    assert b"<list/>" in request.body
    assert b'<dialog id="x">' in request.body


@pytest.mark.parametrize(
    ("method", "kind", "body"),
    [
        ("MESSAGE", "text/plain;charset=utf-8", b"hello"),
        ("MESSAGE", "application/im-iscomposing+xml", b"<isComposing/>"),
        ("MESSAGE", "message/cpim", b"From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nhello"),
        ("MESSAGE", MIXED, bundle(("text/plain", b"hello", ""))),
        ("NOTIFY", "application/simple-message-summary", b"Messages-Waiting: yes\r\n"),
        ("NOTIFY", "application/x-as-feature-event+xml", b"<a/>"),
        ("INFO", "application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"),
        ("INFO", "application/media_control+xml", b"<media_control/>"),
        ("PUBLISH", "application/pidf+xml", PIDF),
    ],
)
def test_bodies_of_the_list_cross_as_they_are(method: str, kind: str, body: bytes) -> None:
    request = passed(Ladder(), method, kind, body)
    assert request is not None
    assert (request.body, request.headers.get("Content-Type")) == (body, kind)


@pytest.mark.parametrize("empty", ["Content-Encoding", "e"])
@pytest.mark.parametrize("from_provider", [True, False])
def test_rfc3261_20_12_body_is_encoded_if_any_line_says_so(empty: str, from_provider: bool) -> None:
    ladder = Ladder()
    party, there = (ladder.provider, ladder.phone) if from_provider else (ladder.phone, ladder.provider)
    request = party.request("MESSAGE", "sip:alice-1@gw.example.com" if from_provider else "sip:bob@example.com")
    for name, value in (("Content-Type", "text/plain"), (empty, ""), ("Content-Encoding", "gzip")):
        request.headers.add(name, value)
    request.body = gzip.compress(SAVP)
    party.sends(request)
    party.receives(415)
    there.receives_nothing()


@pytest.mark.parametrize(
    "body",
    [
        b"From: <sip:a@b>\n\nContent-Type: application/x-own\n\nx\r\n\r\nContent-Type: text/plain\r\n\r\nhello",
        b"Subject: inline:" + KEY.encode() + b"\r\n\r\nContent-Type: text/plain\r\n\r\nhello",
        b"From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\nContent-Encoding:\r\nContent-Encoding: gzip\r\n\r\nx",
    ],
)
def test_rfc3862_2_1_envelope_that_hides_its_content_does_not_cross(body: bytes) -> None:
    assert passed(Ladder(), "MESSAGE", "message/cpim", body) is None


def test_domain_may_let_more_types_cross() -> None:
    ladder = Ladder(more_bodies=("application/x-own",))
    request = passed(ladder, "INFO", "application/x-own", b"x")
    assert request is not None
    assert request.body == b"x"
    assert passed(Ladder(more_bodies=("application/x-own",)), "INFO", "application/x-own", SAVP) is None


def test_phones_report_of_quality_stays_here() -> None:
    report = b"VQSessionReport: CallTerm\r\n"
    assert passed(Ladder(), "PUBLISH", "application/vq-rtcpxr", report, from_provider=False) is None
    assert passed(Ladder(), "PUBLISH", "application/vq-rtcpxr", report) is not None


def test_body_of_an_answer_that_may_not_cross_stays_behind() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    ladder.phone.sends(ladder.phone.within(answer, "INFO"))
    response = ladder.provider.receives_request("INFO").response(200)
    response.headers.add("Content-Type", "application/x-own")
    response.body = b"x"
    ladder.provider.sends(response)
    back = ladder.phone.receives_response(200)
    assert (back.body, back.content_type) == (b"", None)
