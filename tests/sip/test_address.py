"""Addresses with a display name, and Vias."""

from __future__ import annotations

import attrs
import pytest

from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.sip.uri import Uri
from gateway.sip.via import Via


@pytest.mark.parametrize(
    ("text", "name", "uri", "tag"),
    [
        # 20.20 and 20.39
        ('"A. G. Bell" <sip:agb@bell-telephone.com> ;tag=a48s', "A. G. Bell", "sip:agb@bell-telephone.com", "a48s"),
        ("sip:+12125551212@server.phone2net.com;tag=887s", "", "sip:+12125551212@server.phone2net.com", "887s"),
        ("Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8", "Anonymous", "sip:c8oqz84zk7z@privacy.org", "hyh8"),
        ("<sip:a@b>", "", "sip:a@b", None),
        ('"" <sip:a@b>;TAG=x', "", "sip:a@b", "x"),
        ('"say \\"hi\\" \\\\"<sip:a@b;lr>;x=";tag=no";tag=yes', 'say "hi" \\', "sip:a@b;lr", "yes"),
        ("Jürgen <sip:j@b>", "Jürgen", "sip:j@b", None),
        ("<tel:+1234;phone-context=b>;tag=1", "", "tel:+1234;phone-context=b", "1"),
        ("tel:+1234;tag=1", "", "tel:+1234", "1"),
        ("\t<sip:[::1]:5060> ; a = b ; tag = c ", "", "sip:[::1]:5060", "c"),
        ("<sip:a@b>;tag=", "", "sip:a@b", None),
        ('"<sip:x@y>" <sip:a@b>', "<sip:x@y>", "sip:a@b", None),
        ("<sip:a@b>;tagged=1", "", "sip:a@b", None),
    ],
)
def test_reading(text: str, name: str, uri: str, tag: str | None) -> None:
    address = NameAddress.parse(text)
    assert (address.tag, address.display_name, str(address.uri)) == (tag, name, uri)
    again = NameAddress.parse(str(address))
    assert again == address
    assert hash(again) == hash(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "<sip:a@b",
        "sip:a@b>",
        '"open <sip:a@b>',
        'a"b" <sip:a@b>',
        "a, <sip:a@b>",
        "<sip:a@b>, <sip:c@d>",
        "sip:a@b, sip:c@d",
        "sip:a@b?x=y",
        "<sip:a@b>;",
        "<sip:a@b>;;x",
        "<sip:a@b>x",
        "<sip:a@b>;x=a b",
        '<sip:a@b>;x="open',
        "<sip:a b@c>",
        "<sip:a@b:99999>",
        "<sip:a@[::g]>",
        "*",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(MalformedMessage):
        NameAddress.parse(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<sip:a@b>", "<sip:a@b>;tag=new"),
        ("<sip:a@b>;tag=old;x=y", "<sip:a@b>;tag=new;x=y"),
        ("<sip:a@b>;tagged;TAG=old", "<sip:a@b>;tagged;tag=new"),
        ("<sip:a@b>;tag;x", "<sip:a@b>;tag=new;x"),
        ("<sip:a@b>;tag=1;tag=2", "<sip:a@b>;tag=new"),
        ("sip:a@b;x", "<sip:a@b>;x;tag=new"),
        ('<sip:a@b>;x=";tag=1"', '<sip:a@b>;x=";tag=1";tag=new'),
    ],
)
def test_a_tag_is_replaced_where_it_stands(before: str, after: str) -> None:
    address = NameAddress.parse(before)
    assert str(address.with_tag("new")) == after
    assert address.with_tag("new").tag == "new"
    assert address.with_tag("new").without_tag().tag is None
    assert str(NameAddress.parse(before)) == str(address), "the first one did not change"


def test_a_made_one_quotes_its_name() -> None:
    address = NameAddress('a "b" \\c', Uri("sip", "u", None, "h"), (("x", None),))
    assert str(address) == '"a \\"b\\" \\\\c" <sip:u@h>;x'
    assert NameAddress.parse(str(address)) == address


def test_a_read_one_can_be_evolved() -> None:
    address = NameAddress.parse('"Alice" <sip:a@b>;tag=1')
    assert str(attrs.evolve(address, uri=Uri("sip", "c", None, "d"))) == '"Alice" <sip:c@d>;tag=1'
    assert str(attrs.evolve(address, display_name="Bob", parameters=())) == '"Bob" <sip:a@b>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7",
            Via("UDP", "erlang.bell-telephone.com", 5060, (("branch", "z9hG4bK87asdks7"),)),
        ),
        (
            "SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
            Via(
                "UDP",
                "first.example.com",
                4000,
                (("ttl", "16"), ("maddr", "224.2.0.1"), ("branch", "z9hG4bKa7c6a8dlze.1")),
            ),
        ),
        ("sip/2.0/tls h", Via("TLS", "h")),
        ("SIP/2.0/TCP [2001:db8::1]:65535;rport", Via("TCP", "2001:db8::1", 65535, (("rport", None),))),
        ("SIP/2.0/UDP 10.0.0.1:35124;rport=35124", Via("UDP", "10.0.0.1", 35124, (("rport", "35124"),))),
    ],
)
def test_a_via(text: str, expected: Via) -> None:
    assert Via.parse(text) == expected
    assert Via.parse(str(expected)) == expected


def test_what_a_via_says() -> None:
    via = Via.parse("SIP/2.0/UDP h;branch=z9hG4bK1;received=[::1];RPORT=5060")
    assert (via.branch, via.received, via.rport, via.parameter("ttl")) == ("z9hG4bK1", "::1", 5060, None)
    assert (Via.parse("SIP/2.0/UDP h;rport").rport, Via.parse("SIP/2.0/UDP h").rport) == (0, None)
    assert str(via.with_parameter("rport", "1").with_parameter("x", None)) == (
        "SIP/2.0/UDP h;branch=z9hG4bK1;received=[::1];rport=1;x"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 h",
        "SIP/3.0/UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h;;branch=1",
        "SIP/2.0/UDP h;,;",
        "SIP/2.0/UDP h, SIP/2.0/UDP i",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP [1::2::3]",
        "SIP/2.0/UDP h (a comment)",
    ],
)
def test_what_is_no_via(text: str) -> None:
    with pytest.raises(MalformedMessage):
        Via.parse(text)


def test_an_rport_that_is_no_port() -> None:
    with pytest.raises(MalformedMessage, match="rport"):
        _ = Via.parse("SIP/2.0/UDP h;rport=x").rport


@pytest.mark.parametrize("name", ["", "Alice", 'A "B" \\ C', "Zoë, Inc."])
def test_a_written_address_is_the_one_of_its_parts(name: str) -> None:
    uri = Uri.parse("sip:al%20ice@example.com")
    written, made = NameAddress.written(name, uri).with_tag("t"), NameAddress(name, uri).with_tag("t")
    assert str(written) == str(made)
    assert (written.display_name, written.uri, written.tag) == (name, uri, "t")
    assert NameAddress.parse(str(written)) == made
