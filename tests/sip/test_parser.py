"""Whole messages: lines, folding, smuggling, limits, bodies, and what check demands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.sip import parser
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import COMPACT_FORMS
from gateway.sip.message import Request, Response
from gateway.sip.parser import Answerable, Limits, check, parse, read

SHORT = {name: short for short, name in COMPACT_FORMS.items()}
HEAD = (
    b"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\n"
    b"To: <sip:c@d>\r\n"
    b"Call-ID: id\r\n"
    b"CSeq: 1 OPTIONS\r\n"
    b"Max-Forwards: 70\r\n"
)
START = b"OPTIONS sip:c@d SIP/2.0\r\n"


def request(extra: bytes = b"", body: bytes = b"", start: bytes = START, head: bytes = HEAD) -> bytes:
    return start + head + extra + b"\r\n" + body


def refused(data: bytes, limits: Limits | None = None) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        check(parse(data, limits or Limits()))
    return caught.value


def test_the_base_of_these_tests_is_fine() -> None:
    check(parse(request()))


@pytest.mark.parametrize(
    "line", [b"X-Bypass-me : v", b"X-Bypass-me\t:v", b"X-Bypass-me:\r\n v", b"x-bypass-ME \t:  v "]
)
def test_white_space_before_a_colon_is_allowed_and_never_passed_on(line: bytes) -> None:
    message = parse(request(line + b"\r\n"))
    assert message.headers.get("X-Bypass-Me") == "v"
    assert b"bypass-me: v\r\n" in message.to_bytes().lower()


@pytest.mark.parametrize("spelling", [str, str.upper, str.lower, lambda name: SHORT.get(name.lower(), name)])
@pytest.mark.parametrize("space", ["", " ", "\t "])
@pytest.mark.parametrize(
    "lines", [HEAD, HEAD[:-18], HEAD + b"Contact: <sip:a@h>\r\n", HEAD + b"Route: <sip:r;lr>\r\n" * 2]
)
def test_headers_read_ahead_are_those_that_are_read_one_by_one(
    spelling: Callable[[str], str], space: str, lines: bytes
) -> None:
    fields = [line.split(": ", 1) for line in lines.decode().splitlines()]
    head = "".join(f"{spelling(name)}:{space}{value}\r\n" for name, value in fields).encode()
    data = request(head=head)
    ahead, one_by_one = vars(read(data).headers), parse(data)
    assert vars(one_by_one.headers) == {}
    check(one_by_one)
    assert ahead == vars(one_by_one.headers)
    assert ("contact" in ahead, "max-forwards" in ahead) == (b"Contact" in lines, b"Max-Forwards" in lines)


@pytest.mark.parametrize("key", ["Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact"])
def test_a_header_that_cannot_be_read_is_found_by_check(key: str) -> None:
    known = [line for line in HEAD.splitlines() if not line.startswith(f"{key}:".encode())]
    data = request(head=b"\r\n".join([*known, f"{key}: @ , ;\r\n".encode()]))
    assert refused(data).status == 400
    with pytest.raises(Answerable):
        read(data)


def test_white_space_before_a_colon_hides_no_second_header() -> None:
    assert "more than one call-id" in refused(request(b"Call-ID : other\r\n")).reason
    assert "more than one to" in refused(request(b"t\t: <sip:x@y>\r\n")).reason


@pytest.mark.parametrize(
    "key", ["Call-ID", "i", "From", "f", "To", "t", "CSeq", "Max-Forwards", "Content-Length", "l", "Content-Type"]
)
def test_a_header_that_must_be_single_is_single(key: str) -> None:
    line = f"{key}: 1\r\n".encode()
    error = refused(request(line + line))
    assert "more than one" in error.reason
    assert isinstance(error, Answerable)
    assert isinstance(error.request, Request)


def test_a_folded_line_is_one_line_with_one_space() -> None:
    message = parse(request(b"Subject: a\r\n\t b\r\n  c\r\nX: y\r\n"))
    assert (message.headers.get("Subject"), message.headers.get("X")) == ("a b c", "y")
    assert b"Subject: a b c\r\nX: y\r\n" in message.to_bytes()


def test_a_folded_line_hides_no_header() -> None:
    message = parse(request(b"Subject: a\r\n Content-Length: 99\r\n", b"body"))
    assert message.headers.get("subject") == "a Content-Length: 99"
    assert message.body == b"body"


@pytest.mark.parametrize(
    "line", [b"no colon", b": no name", b"a b: c", b"N\xc3\xa4me: x", b"(x): y", b"X: a\rb", b"X: a\nY: b", b"X: a\0b"]
)
def test_a_broken_line_is_answered_400_without_it(line: bytes) -> None:
    error = refused(request(line + b"\r\n"))
    assert error.status == 400
    assert isinstance(error, Answerable)
    answer = error.request.response(400, to_tag="t").to_bytes()
    assert parse(answer).to.tag == "t"
    assert b"X:" not in answer


def test_a_via_with_a_line_break_is_not_written_into_the_answer() -> None:
    evil = HEAD.replace(b"Via: ", b"Via: SIP/2.0/UDP g;x=\nInjected: yes\r\nVia: ", 1)
    error = refused(request(head=evil))
    assert isinstance(error, Answerable)
    assert b"Injected" not in error.request.response(400).to_bytes()


def test_a_response_is_never_answered() -> None:
    assert not isinstance(refused(b"SIP/2.0 200 OK\r\n" + HEAD + b"nonsense\r\n\r\n"), Answerable)


@pytest.mark.parametrize(
    "start",
    [
        b"OPTIONS  sip:c@d SIP/2.0\r\n",
        b"OPTIONS sip:c@d  SIP/2.0\r\n",
        b"OPTIONS sip:c@d SIP/2.0 \r\n",
        b"OPTIONS sip:c@d\tx SIP/2.0\r\n",
        b"OPTIONS sip:c@d SIP/2\r\n",
        b"OPTIONS sip:c d SIP/2.0\r\n",
        b"OPT(IONS sip:c@d SIP/2.0\r\n",
        b"OPTIONS sip:c@d HTTP/1.1\r\n",
        b"SIP/2.0 99 Low\r\n",
        b"SIP/2.0 700 High\r\n",
        b"SIP/2.0 0200 OK\r\n",
        b"SIP/2.0 2 0 0\r\n",
        b"SIP/2.0 200 a\rb\r\n",
        b"SIP/2.0 200 a\0b\r\n",
        b"SIP/3.0 200 OK\r\n",
        b"\xff\xfe\r\n",
    ],
)
def test_a_broken_first_line(start: bytes) -> None:
    assert refused(request(start=start)).status == 400


@pytest.mark.parametrize("version", [b"SIP/1.0", b"SIP/2.1", b"SIP/2.00", b"SIP/7.0"])
def test_another_version_is_answered_505(version: bytes) -> None:
    error = refused(request(start=b"OPTIONS sip:c@d %s\r\n" % version))
    assert (error.status, isinstance(error, Answerable)) == (505, True)


def test_the_version_is_read_in_any_case() -> None:
    assert isinstance(parse(request(start=b"OPTIONS sip:c@d sip/2.0\r\n")), Request)
    assert isinstance(parse(request(start=b"Sip/2.0 200 OK\r\n")), Response)


def test_an_unknown_method_and_uri_scheme_are_understood() -> None:
    message = parse(request(start=b"X.y-Z!% urn:service:sos SIP/2.0\r\n"))
    assert isinstance(message, Request)
    assert (message.method, message.uri) == ("X.y-Z!%", "urn:service:sos")


def test_the_body_ends_where_content_length_says() -> None:
    assert parse(request(b"l: 2\r\n", b"body")).body == b"bo"
    assert parse(request(b"Content-Length: 4\r\n", b"body")).body == b"body"
    assert parse(request(b"", b"body\r\n\r\nmore")).body == b"body\r\n\r\nmore"


@pytest.mark.parametrize(
    "value", [b"5", b"-1", b"+4", b"4294967328", b"9" * 5000, b"", b"0x4", b"4 4", b"1e1", "٤".encode(), b"4;x"]
)
def test_a_wrong_content_length_is_answered_400(value: bytes) -> None:
    error = refused(request(b"Content-Length: " + value + b"\r\n", b"body"))
    assert (error.status, isinstance(error, Answerable)) == (400, True)


def test_leading_line_breaks_are_skipped() -> None:
    assert isinstance(parse(b"\r\n\r\n" + request()), Request)


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0", START, START + HEAD, b"x" * 70000])
def test_what_is_no_message_at_all(data: bytes) -> None:
    assert not isinstance(refused(data), Answerable)


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (request(body=b"x" * 65536), Limits()),
        (request(b"X: y\r\n" * 300), Limits()),
        (request(b"X: " + b"y" * 8200 + b"\r\n"), Limits()),
        (request(b"Via: SIP/2.0/UDP h\r\n" * 100), Limits()),
        (request(b"Via: SIP/2.0/UDP h" + b",SIP/2.0/UDP h" * 5 + b"\r\n"), Limits(vias=5)),
    ],
)
def test_too_large_is_answered_513(data: bytes, limits: Limits) -> None:
    error = refused(data, limits)
    assert (error.status, isinstance(error, Answerable)) == (513, True)


def test_a_head_that_is_too_large_is_not_even_read() -> None:
    error = refused(request(b"".join(b"X%d: %s\r\n" % (n, b"y" * 8000) for n in range(5))))
    assert (error.status, isinstance(error, Answerable)) == (513, False)


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_check_demands_the_headers_of_8_1_1(name: str) -> None:
    head = b"".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(name.encode()))
    error = refused(request(head=head))
    assert error.reason == f"no {name.lower()} header"
    assert isinstance(error, Answerable) == (name != "Via")


def test_check_does_not_demand_max_forwards() -> None:
    check(parse(request(head=HEAD.replace(b"Max-Forwards: 70\r\n", b""))))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"),
        (b"CSeq: 1 OPTIONS", b"CSeq: 2147483648 OPTIONS"),
        (b"CSeq: 1 OPTIONS", b"CSeq: -1 OPTIONS"),
        (b"CSeq: 1 OPTIONS", b"CSeq: 1"),
        (b"Max-Forwards: 70", b"Max-Forwards: -1"),
        (b"Max-Forwards: 70", b"Max-Forwards: 4294967296"),
        (b"Max-Forwards: 70", "Max-Forwards: ٧".encode()),
        (b"Call-ID: id", b"Call-ID: "),
        (b"Call-ID: id", b"Call-ID: a, b"),
        (b"Call-ID: id", b"Call-ID: a b"),
        (b"To: <sip:c@d>", b"To: <sip:c@d>, <sip:e@f>"),
        (b"To: <sip:c@d>", b'To: "open <sip:c@d>'),
        (b"From: <sip:a@b>", b"From: <sip:a@b:99999>"),
        (b"Via: SIP/2.0/UDP h", b"Via: SIP/2.0/UDP h,"),
        (b"OPTIONS sip:c@d ", b"OPTIONS sip:c@d:port "),
        (b"OPTIONS sip:c@d ", b"OPTIONS <sip:c@d> "),
        (b"OPTIONS sip:c@d ", b"OPTIONS sip:c@d?Route=x "),
    ],
)
def test_check_reads_what_every_element_needs(before: bytes, after: bytes) -> None:
    error = refused(request().replace(before, after, 1))
    assert (error.status, isinstance(error, Answerable)) == (400, True)


def test_check_reads_the_contact() -> None:
    assert "not a URI" in refused(request(b"Contact: <sip:a@>\r\n")).reason
    message = parse(request(b"Contact: *\r\n"))
    check(message)
    assert (message.contact, message.contacts, message.is_wildcard_contact) == (None, [], True)


def test_unknown_headers_stay_in_order() -> None:
    lines = [b"%s: %d" % (name, number) for number, name in enumerate([b"X-b", b"x-A", b"!odd~", b"X-b", b"Zed"])]
    assert parse(request(b"\r\n".join(lines) + b"\r\n")).to_bytes().count(b"\r\n".join(lines)) == 1


def test_a_flood_of_unknown_names_is_not_remembered_for_ever() -> None:
    for start in range(0, 5000, 100):
        parse(request(b"".join(b"X-%d: y\r\n" % number for number in range(start, start + 100))))
    assert len(parser._LINE_STARTS) <= parser._LINE_STARTS.most
    assert parse(request(b"X-4999: y\r\n")).headers.get("x-4999") == "y"


def test_an_order_of_lines_that_is_remembered_is_nobodys_to_change() -> None:
    data = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nX-Order: 1\r\nv: SIP/2.0/UDP g\r\n\r\n"
    one, other = parse(data), parse(data)
    one.headers.remove("Via")
    one.headers.add("Subject", "x")
    assert other.headers.present == parse(data).headers.present == ["via", "x-order", "via"]
    assert other.headers.get_all("Via") == ["SIP/2.0/UDP h", "SIP/2.0/UDP g"]


def test_a_line_that_may_not_come_twice_is_refused_each_time() -> None:
    data = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nX-Twice: 1\r\nCSeq: 1 A\r\nCSeq: 2 A\r\n\r\n"
    for _ in range(3):
        with pytest.raises(MalformedMessage, match="more than one cseq"):
            parse(data)


def test_peers_can_neither_fill_the_memory_of_orders_nor_make_it_grow() -> None:
    most = parser._ORDERS.most
    for number in range(2 * most):
        parse(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nX-%d: 1\r\n\r\n" % number)
        assert len(parser._ORDERS) <= most
    parse(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nX-Late: 1\r\n\r\n")
    assert "Via:X-Late:" in parser._ORDERS
    assert "X-Late:" in parser._LINE_STARTS
    parse(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" + b"X-Long: 1\r\n" * 100 + b"\r\n")
    assert max(map(len, parser._ORDERS)) < parser._LONGEST_ORDER
