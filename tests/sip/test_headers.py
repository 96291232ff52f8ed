"""Header lines: order, names, several values, and changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import (
    _LISTS,
    _LONGEST_LIST,
    COMPACT_FORMS,
    Headers,
    has_several,
    lengthen,
    line_of,
    to_message,
)


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
    assert len(changed.present) == 2


def test_select_and_extend_take_lines_as_they_stand() -> None:
    chosen = headers().select(frozenset({"via", "route"}))
    assert chosen.to_bytes().splitlines()[1:] == [b"v: SIP/2.0/UDP c", b'ROUTE: <sip:a;lr>, "b, c" <sip:d,e;lr>']
    chosen.extend(headers(), {"x-custom"})
    assert chosen.present == ["via", "via", "route", "x-custom"]


def test_setting_several_is_setting_each() -> None:
    one, other = headers(), headers()
    for field in (("Via", "x"), ("Server", "y"), ("x-custom", "z")):
        one.set(*field)
    other.set_lines((line_of("Via", "x"), line_of("Server", "y"), line_of("x-custom", "z")))
    assert sorted(one.items()) == sorted(other.items())
    assert one.present == other.present == ["via", "x-custom", "route", "server"]


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


CHANGES: dict[str, tuple[Callable[[Headers], None], str]] = {
    "set": (lambda lines: lines.set("CSeq", "3 C"), "3 C"),
    "set_lines": (lambda lines: lines.set_lines((line_of("X", "y"), line_of("CSeq", "3 C"))), "3 C"),
    "prepend": (lambda lines: lines.prepend("CSeq", "3 C"), "3 C"),
    "lead": (lambda lines: lines.lead(*line_of("CSeq", "3 C")), "3 C"),
    "lengthen": (lambda lines: lengthen(lines, "cseq", "D"), "1 AD"),
    "rewrite": (lambda lines: lines.rewrite(lines.present.index("cseq"), "CSeq: 3 C", "3 C"), "3 C"),
    "remove_first": (lambda lines: lines.remove_first("CSeq"), "2 B"),
    "add": (lambda lines: lines.add("CSeq", "3 C"), "1 A"),
    "extend": (lambda lines: lines.extend(Headers([("CSeq", "3 C")]), {"cseq"}), "1 A"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_parsed_is_forgotten_when_the_line_changes(change: str) -> None:
    lines = Headers([("CSeq", "1 A"), ("CSeq", "2 B")])

    def parse(line: str, start: int) -> str:
        return line[start:].strip()

    assert lines.required("cseq", parse) == "1 A"
    copies = lines.copy(), lines.select(frozenset({"cseq"}))
    act, value = CHANGES[change]
    act(lines)
    assert lines.required("cseq", parse) == value
    assert [copy.required("cseq", parse) for copy in copies] == ["1 A", "1 A"]
    lines.remove("cseq")
    assert lines.parsed("cseq", parse) is None
    with pytest.raises(MalformedMessage, match="no cseq"):
        lines.required("cseq", parse)
    lines.set("CSeq", "4 D")
    assert lines.required("cseq", parse) == "4 D"


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


def test_a_line_that_leads_is_the_only_one_of_its_key() -> None:
    changed = headers()
    changed.lead("via", "Via: SIP/2.0/UDP d")
    assert list(changed.items())[0] == ("Via", "SIP/2.0/UDP d")  # noqa: RUF015 - the whole is looked at
    assert changed.present == ["via", "x-custom", "route"]
    changed.lead("max-forwards", "Max-Forwards: 70")
    assert changed.present == ["max-forwards", "via", "x-custom", "route"]


def test_several_values_are_several_lines_or_several_on_one() -> None:
    assert has_several(Headers([("Via", "a"), ("v", "b")]), "via")
    assert has_several(Headers([("Via", "a, b")]), "via")
    assert not has_several(Headers([("Via", "a"), ("To", "b")]), "via")
    assert not has_several(Headers([("Via", 'SIP/2.0/UDP h;x="a, b"')]), "via")


def test_lists_that_come_again_are_remembered_and_long_ones_are_not() -> None:
    """A stranger's lists, each another one as long as a message has room for, cost their own parse and no memory."""
    allowed = Headers([("Allow", "INVITE, ACK"), ("allow", "BYE")])
    assert allowed.values("Allow") == ["INVITE", "ACK", "BYE"]
    assert _LISTS[("Allow: INVITE, ACK", "allow: BYE")] is _LISTS[("Allow: INVITE, ACK", "allow: BYE")]
    for number in range(2 * _LISTS.most):
        line = ",".join([str(number)] * 60)
        assert len(Headers([("Supported", line), ("Supported", line)]).values("Supported")) == 120
        assert Headers([("Supported", str(number))]).values("Supported") == [str(number)]
        assert len(_LISTS) <= _LISTS.most
    assert max(sum(map(len, lines)) for lines in _LISTS) < _LONGEST_LIST
