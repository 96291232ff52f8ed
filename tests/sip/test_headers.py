"""Header lines: order, names, several values, and changes."""

from __future__ import annotations

import pytest

from gateway.sip.errors import MalformedMessage
from gateway.sip.header_values import MANDATORY, OPTIONAL
from gateway.sip.headers import COMPACT_FORMS, Headers, to_message


def headers() -> Headers:
    return Headers(
        [
            ("Via", "SIP/2.0/UDP a, SIP/2.0/UDP b"),
            ("v", "SIP/2.0/UDP c"),
            ("X-Custom", " spaced\t"),
            ("ROUTE", '<sip:a;lr>, "b, c" <sip:d,e;lr>'),
        ]
    )


def test_a_name_is_the_same_in_any_case_and_compact() -> None:
    assert headers().get("via") == headers().get("V") == "SIP/2.0/UDP a, SIP/2.0/UDP b"
    assert "x-CUSTOM" in headers()
    assert "x-other" not in headers()
    assert headers().get("x-other") is None
    for compact, name in COMPACT_FORMS.items():
        assert Headers([(compact.upper(), "x")]).get(name) == "x"


def test_lines_and_values() -> None:
    assert headers().get_all("Via") == ["SIP/2.0/UDP a, SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert headers().values("Via") == ["SIP/2.0/UDP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert headers().values("Route") == ["<sip:a;lr>", '"b, c" <sip:d,e;lr>']
    assert headers().get("X-Custom") == "spaced"
    assert Headers([("Supported", "")]).values("Supported") == []


@pytest.mark.parametrize("value", ["a,,b", ",a", "a,", 'a, "b', "a, <b", "a, b>, <c, d"])
def test_a_list_that_cannot_be_split(value: str) -> None:
    with pytest.raises(MalformedMessage):
        Headers([("Contact", value)]).values("Contact")


def test_to_bytes_keeps_names_and_order() -> None:
    assert headers().to_bytes() == (
        b"Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n"
        b"v: SIP/2.0/UDP c\r\n"
        b"X-Custom:  spaced\t\r\n"
        b'ROUTE: <sip:a;lr>, "b, c" <sip:d,e;lr>\r\n'
    )
    assert Headers().to_bytes() == b""
    assert [name for name, _ in headers().items()] == ["Via", "v", "X-Custom", "ROUTE"]


def test_prepend_goes_before_the_first_of_its_name_or_to_the_top() -> None:
    changed = headers()
    changed.prepend("Route", "<sip:first>")
    changed.prepend("Max-Forwards", "70")
    assert [name for name, _ in changed.items()] == ["Max-Forwards", "Via", "v", "X-Custom", "Route", "ROUTE"]


def test_set_replaces_all_in_the_place_of_the_first() -> None:
    changed = headers()
    changed.set("Via", "new")
    changed.set("Subject", "at the end")
    assert next(iter(changed.items())) == ("Via", "new")
    assert [name for name, _ in changed.items()] == ["Via", "X-Custom", "ROUTE", "Subject"]


def test_remove() -> None:
    changed = headers()
    changed.remove("via")
    changed.remove("absent")
    assert [name for name, _ in changed.items()] == ["X-Custom", "ROUTE"]


def test_remove_first_takes_one_value_at_a_time() -> None:
    changed = headers()
    seen = []
    while "Via" in changed:
        seen.append(changed.values("Via")[0])
        changed.remove_first("Via")
    changed.remove_first("Via")
    assert seen == ["SIP/2.0/UDP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert len(changed.keys()) == 2


def test_select_and_extend_take_lines_as_they_stand() -> None:
    chosen = headers().select({"via", "route"})
    assert chosen.to_bytes().splitlines()[1:] == [b"v: SIP/2.0/UDP c", b'ROUTE: <sip:a;lr>, "b, c" <sip:d,e;lr>']
    chosen.extend(headers(), {"x-custom"})
    assert chosen.keys() == ("via", "via", "route", "x-custom")


@pytest.mark.parametrize("value", ["x", " x", ": x", ":x", "", " ", "\t: :"])
def test_a_value_begins_after_its_name_in_any_spelling(value: str) -> None:
    spellings = [(key, spelling) for key, _, _ in (*MANDATORY, *OPTIONAL) for spelling in (key, key.upper())]
    spellings += [(key, short) for short, key in COMPACT_FORMS.items()]
    for key, spelling in spellings:
        lines = Headers.from_lines([key], [f"{spelling}:{value}"])
        lines.read(((key, len(key) + 1, lambda line, start: line[start:]),))
        assert lines.known[key] == lines.required(key, lambda line, start: line[start:]) == value


def test_setting_several_is_setting_each() -> None:
    one, other = headers(), headers()
    for field in (("Via", "x"), ("Server", "y"), ("x-custom", "z")):
        one.set(*field)
    other.set_all((("Via", "x"), ("Server", "y"), ("x-custom", "z")))
    assert sorted(one.items()) == sorted(other.items())
    assert (one.keys(), other.keys()) == (("via", "x-custom", "route", "server"),) * 2


def test_a_message_says_how_long_its_body_is() -> None:
    lines = Headers([("l", "9"), ("Via", "SIP/2.0/UDP a")])
    assert to_message(lines, "ACK sip:a SIP/2.0", b"four") == (
        b"ACK sip:a SIP/2.0\r\nContent-Length: 4\r\nVia: SIP/2.0/UDP a\r\n\r\nfour"
    )
    lines.remove("Content-Length")
    assert to_message(lines, "ACK sip:a SIP/2.0", b"") == (
        b"ACK sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nContent-Length: 0\r\n\r\n"
    )
    with pytest.raises(ValueError, match="line break or NUL"):
        to_message(lines, "ACK sip:a\r\nX: y SIP/2.0", b"")


def test_a_copy_changes_apart() -> None:
    one = headers()
    assert one.parsed("x-custom", lambda line, start: line[start:]) == "  spaced\t"
    other = one.copy()
    other.set("X-Custom", "changed")
    other.add("New", "x")
    assert (one.get("X-Custom"), "New" in one) == ("spaced", False)
    assert other.parsed("x-custom", lambda line, start: line[start:]) == " changed"


@pytest.mark.parametrize("change", ["set", "prepend", "remove_first"])
def test_what_was_parsed_is_forgotten_when_the_line_changes(change: str) -> None:
    lines = Headers([("CSeq", "1 A"), ("CSeq", "2 B")])

    def parse(line: str, start: int) -> str:
        return line[start:].strip()

    assert lines.required("cseq", parse) == "1 A"
    {
        "set": lambda: lines.set("CSeq", "3 C"),
        "prepend": lambda: lines.prepend("CSeq", "3 C"),
        "remove_first": lambda: lines.remove_first("CSeq"),
    }[change]()
    assert lines.required("cseq", parse) == ("2 B" if change == "remove_first" else "3 C")
    lines.remove("cseq")
    assert lines.parsed("cseq", parse) is None
    with pytest.raises(MalformedMessage, match="no cseq"):
        lines.required("cseq", parse)


@pytest.mark.parametrize("bad", ["a\r\nInjected: b", "a\nb", "a\rb", "\0", "a\r\n\r\nbody"])
def test_no_value_or_name_can_make_a_line(bad: str) -> None:
    for item in (("Subject", bad), (bad, "value")):
        with pytest.raises(ValueError, match="line break or NUL"):
            Headers([item]).to_bytes()


def test_an_escaped_nul_may_be_written() -> None:
    assert Headers([("To", '"\\\0" <sip:a@b>')]).to_bytes() == b'To: "\\\0" <sip:a@b>\r\n'


def test_bytes_that_are_no_utf_8_come_out_as_they_went_in() -> None:
    raw = bytes(range(0x80, 0x100)) + "é€".encode()
    assert Headers([("X", raw.decode("utf-8", "surrogateescape"))]).to_bytes() == b"X: " + raw + b"\r\n"
