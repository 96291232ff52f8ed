"""RFC 4475: what parsing and checking make of each torture message.

What the gateway answers to those that are well formed and cannot be served (3.3) belongs to the layers above; here
they must come through whole.
"""

from __future__ import annotations

import pytest

from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import Answerable, check, parse
from tests.support.rfc4475 import MESSAGES

# Name: (status, whether there is somebody to answer, a word of the reason).
REFUSED = {
    "badinv01": (400, True, "empty value"),
    "clerr": (400, True, "Content-Length is wrong"),
    "ncl": (400, True, "Content-Length is wrong"),
    "scalar02": (400, True, "CSeq"),
    "scalarlg": (400, False, "CSeq"),
    "quotbal": (400, True, "not an address"),
    "ltgtruri": (400, True, "not a URI"),
    "lwsruri": (400, True, "first line"),
    "lwsstart": (400, True, "first line"),
    "trws": (400, True, "first line"),
    "escruri": (400, True, "headers in the Request-URI"),
    "regbadct": (400, True, "not an address"),
    "baddn": (400, True, "not an address"),
    "badvers": (505, True, "another version of SIP"),
    "mismatch01": (400, True, "method of CSeq"),
    "mismatch02": (400, True, "method of CSeq"),
    "bigcode": (400, False, "first line"),
    "insuf": (400, True, "no from header"),
    "multi01": (400, True, "more than one call-id, cseq, from, max-forwards, to"),
    "mcl01": (400, True, "more than one content-length"),
}


def accepted(name: str) -> Message:
    message = parse(MESSAGES[name].data)
    check(message)
    return message


def request(name: str) -> Request:
    message = accepted(name)
    assert isinstance(message, Request)
    return message


def test_the_collection_is_whole() -> None:
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("name", REFUSED)
def test_malformed(name: str) -> None:
    status, is_answerable, reason = REFUSED[name]
    with pytest.raises(MalformedMessage, match=reason) as caught:
        accepted(name)
    assert caught.value.status == status
    assert isinstance(caught.value, Answerable) == is_answerable


@pytest.mark.parametrize("name", [name for name, (_, is_answerable, _) in REFUSED.items() if is_answerable])
def test_the_answer_to_a_malformed_request_can_be_read(name: str) -> None:
    with pytest.raises(Answerable) as caught:
        accepted(name)
    answer = caught.value.request.response(caught.value.status, to_tag="a-tag").to_bytes()
    assert answer.startswith(b"SIP/2.0 %d " % caught.value.status)
    if name != "multi01":  # which repeats what may not be repeated
        parse(answer)


@pytest.mark.parametrize("name", sorted(set(MESSAGES) - set(REFUSED)))
def test_accepted_and_the_same_when_written_and_read_again(name: str) -> None:
    message = accepted(name)
    again = parse(message.to_bytes())
    check(again)
    assert type(again) is type(message)
    length = [] if "content-length" in message.headers else [("Content-Length", str(len(message.body)))]
    assert list(again.headers.items()) == [*message.headers.items(), *length]
    assert again.body == message.body
    assert again.from_ == message.from_
    assert again.top_via == message.top_via


def test_3_1_1_1_wsinv_folds_spaces_and_compact_forms() -> None:
    message = request("wsinv")
    assert message.from_.display_name == 'J Rosenberg \\"'
    assert (message.from_.tag, message.to.tag) == ("98asjd8", "1918181833n")
    assert (message.max_forwards, message.cseq.number, message.cseq.method) == (68, 9, "INVITE")
    assert (message.top_via.transport, message.top_via.host, message.top_via.branch) == (
        "UDP",
        "192.0.2.2",
        "390skdjuw",
    )
    assert [value.split(";")[0].strip() for value in message.headers.values("via")] == [
        "SIP  /   2.0 /UDP 192.0.2.2",
        "SIP  / 2.0  / TCP     spindle.example.com",
        "SIP  /    2.0   / UDP  192.168.255.111",
    ]
    assert message.headers.get("subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.contact is not None
    assert message.contact.display_name == 'Quoted string ""'
    assert (message.contact.parameter("newparam"), message.contact.parameter("q")) == ("newvalue", "0.33")
    assert message.contact.parameter("secondparam") == ""
    assert len(message.body) == 150


def test_3_1_1_2_intmeth_every_character_that_is_allowed() -> None:
    message = request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.request_uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.request_uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert message.from_.parameter("fromparam''~+*_!.-%") == "работающий"
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_3_1_1_3_esc01_escapes_of_unreserved_characters_are_read() -> None:
    message = request("esc01")
    assert (message.request_uri.user, message.request_uri.host) == ("sips%3Auser%40example.com", "example.net")
    assert message.to.uri.user == "user"
    assert message.contact is not None
    assert (message.contact.uri.parameter("lr"), message.contact.uri.parameter("name")) == ("", "value%2541")


def test_3_1_1_4_escnull_stays_escaped() -> None:
    assert [contact.uri.user for contact in request("escnull").contacts] == ["%00", "%00%00"]


def test_3_1_1_5_esc02_percent_in_a_token_is_no_escape() -> None:
    message = request("esc02")
    assert (message.method, message.to.display_name) == ("RE%47IST%45R", "%Z%45")
    assert message.headers.get("C%6Fntact") == "<sip:alias2@host2.example.com>"
    assert len(message.contacts) == 2


def test_3_1_1_6_lwsdisp_no_space_before_the_bracket() -> None:
    assert request("lwsdisp").from_.display_name == "caller"


def test_3_1_1_7_longreq_long_values_and_34_vias() -> None:
    message = request("longreq")
    assert len(message.headers.values("via")) == 34
    assert message.from_.uri.user == "amazinglylongcallername" * 5
    assert message.to.uri.port == 6000


def test_3_1_1_8_dblreq_octets_after_the_body_are_ignored() -> None:
    message = request("dblreq")
    assert (message.method, message.body) == ("REGISTER", b"")


def test_3_1_1_9_semiuri_semicolons_belong_to_the_user() -> None:
    uri = request("semiuri").request_uri
    assert (uri.user, uri.host, uri.parameters) == ("user;par=u%40example.net", "example.com", ())


def test_3_1_1_10_transports_unknown_ones_are_read() -> None:
    message = request("transports")
    seen = []
    while "Via" in message.headers:
        seen.append(message.top_via.transport)
        message.headers.remove_first("Via")
    assert seen == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_3_1_1_11_mpart01_a_binary_body_is_kept() -> None:
    message = request("mpart01")
    assert message.content_type == "multipart/mixed"
    assert len(message.body) == 553
    assert b"0\x82\x01R\x06\t*\x86H" in message.body


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("unreason", 200, "= 2**3 * 5**2 но сто девяносто девять - простое"), ("noreason", 100, "")],
)
def test_3_1_1_12_and_13_any_reason_phrase(name: str, status: int, reason: str) -> None:
    response = accepted(name)
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (status, reason)


def test_3_1_2_4_scalar02_only_the_cseq_is_beyond_repair() -> None:
    message = parse(MESSAGES["scalar02"].data)
    assert (message.max_forwards, message.expires) == (300, 2**32 - 1)
    assert message.contact is not None
    assert message.contact.parameter("expires") == "280297596632815"


def test_3_1_2_14_badaspec_spaces_within_the_brackets_are_dropped() -> None:
    assert str(request("badaspec").to) == '"Watson, Thomas" <sip:t.watson@example.org>'


def test_3_2_1_badbranch_the_cookie_alone_is_a_branch_to_read() -> None:
    assert request("badbranch").top_via.branch == "z9hG4bK"


@pytest.mark.parametrize(("name", "scheme"), [("unkscm", "nobodyKnowsThisScheme"), ("novelsc", "soap.beep")])
def test_3_3_2_and_3_an_unknown_scheme_is_left_to_the_core(name: str, scheme: str) -> None:
    uri = request(name).request_uri
    assert (uri.scheme, uri.is_sip) == (scheme, False)
    assert str(uri) == request(name).uri


def test_3_3_4_unksm2_unknown_schemes_in_headers_are_kept() -> None:
    message = request("unksm2")
    assert [str(message.to.uri), str(message.from_.uri)] == ["isbn:2983792873", "http://www.example.com"]
    assert [str(contact) for contact in message.contacts] == ["<name:John_Smith>"]


def test_3_3_12_and_13_whose_parameter_is_it() -> None:
    header, uri = request("cparam01").contact, request("cparam02").contact
    assert header is not None
    assert uri is not None
    assert (header.parameter("unknownparam"), header.uri.parameter("unknownparam")) == ("", None)
    assert (uri.parameter("unknownparam"), uri.uri.parameter("unknownparam")) == (None, "")


def test_3_3_14_regescrt_headers_of_a_contact_are_kept() -> None:
    contact = request("regescrt").contact
    assert contact is not None
    assert contact.uri.headers == "Route=%3Csip:sip.example.com%3E"


def test_3_4_1_inv2543_an_old_request_is_accepted() -> None:
    message = request("inv2543")
    assert (message.top_via.branch, message.from_.tag, message.max_forwards) == (None, None, None)
