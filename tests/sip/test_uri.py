"""URIs: the grammar of RFC 3261 section 19.1, its equivalence rules, and other schemes."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.sip.uri import PORT, Uri


@pytest.mark.parametrize(
    "text",
    [
        # 19.1.3
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        # phones and providers
        "sip:*21%23@pbx.local:5060",
        "sip:*21#@pbx.local",
        "sip:100@[2001:db8::1]:60000;transport=tls;lr;ob",
        "sip:k7@gw_1.example.com.:65535;x=",
        "sip:Müller@example.com",
        # other schemes
        "tel:+1-201-555-0123;phone-context=example.com",
        "urn:service:sos",
        "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "mailto:a@b",
        "http://example.com/a?b=c#d",
    ],
)
def test_a_uri_is_written_as_it_came(text: str) -> None:
    assert str(Uri.parse(text)) == text


def test_the_parts() -> None:
    uri = Uri.parse("SIP:alice:pw@Example.com:5061;Transport=TLS;lr;x=%41?a=b&c=d")
    assert uri == Uri(
        "sip", "alice", "pw", "Example.com", 5061, (("Transport", "TLS"), ("lr", None), ("x", "A")), "a=b&c=d"
    )
    assert (uri.transport, uri.parameter("lr"), uri.parameter("absent"), uri.is_secure) == ("tls", "", None, False)
    assert Uri.parse("sips:a@b").is_secure


def test_another_scheme_keeps_all_its_text() -> None:
    uri = Uri.parse("tel:+1234;phone-context=example.com")
    assert (uri.scheme, uri.user, uri.host, uri.is_sip) == ("tel", "+1234;phone-context=example.com", "", False)


def test_changed_copies() -> None:
    uri = Uri.parse("sip:a@b;transport=udp;lr?x=y")
    assert str(uri.with_parameter("Transport", "tls")) == "sip:a@b;Transport=tls;lr?x=y"
    assert str(uri.with_parameter("ob", None)) == "sip:a@b;transport=udp;lr;ob?x=y"
    assert str(uri.without_parameters()) == "sip:a@b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "sip:",
        "sip:@host",
        "sip:a@",
        "sip:a@b@c",
        "sip:a@b:port",
        "sip:a@b:65536",
        "sip:a@b:123456",
        "sip:a b@c",
        "sip:a@b c",
        "sip:a@b;",
        "sip:a@b;;lr",
        "sip:a@b;=x",
        "sip:a%4@b",
        "sip:a%zz@b",
        "sip:a@b\r\nX: y",
        "sip:a@b\0",
        "sip:a@[::1",
        "sip:a@::1",
        "sip:a@[1.2.3.4]",
        "sip:a@[fe80::1%25eth0]",
        "sip:a@-host",
        "sip:<a@b>",
        'sip:"a"@b',
        "sip:a:b:c@d",
        "1tel:5",
        " sip:a@b",
        "sip:a@b ",
        "sip:" + "a" * 300 + "@",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(MalformedMessage):
        Uri.parse(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
        ("sip:a%2fb@c", "sip:a%2Fb@c"),
        ("tel:+1", "tel:+1"),
    ],
)
def test_19_1_4_equivalent(one: str, other: str) -> None:
    assert Uri.parse(one).matches(Uri.parse(other))
    assert Uri.parse(other).matches(Uri.parse(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on"),
        ("sip:a@b", "sips:a@b"),
        ("sip:b", "sip:a@b"),
        ("sip:a%3Bb@c", "sip:a;b@c"),
        ("tel:+1", "sip:+1@b"),
    ],
)
def test_19_1_4_not_equivalent(one: str, other: str) -> None:
    assert not Uri.parse(one).matches(Uri.parse(other))
    assert not Uri.parse(other).matches(Uri.parse(one))


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("sips:%61lice:secret@EXAMPLE.com:5061;user=phone?subject=x", "sip:alice@example.com"),
        ("sip:Alice@example.com", "sip:Alice@example.com"),
        ("sip:a%2fb%3Bc%3d@example.com", "sip:a/b;c=@example.com"),
        ("sip:a/b;c=@example.com", "sip:a/b;c=@example.com"),
        ("sip:*21%23@example.com", "sip:*21#@example.com"),
        ("sip:M%c3%bcller@example.com", "sip:Müller@example.com"),
        ("sip:Müller@example.com", "sip:Müller@example.com"),
        # escapes that would be read as something else, or cannot be kept as text
        ("sip:alice%40b.example@example.com", "sip:alice%40b.example@example.com"),
        ("sip:alice%3asecret@example.com", "sip:alice%3Asecret@example.com"),
        ("sip:a%2561@example.com", "sip:a%2561@example.com"),
        ("sip:a%00%0d%20b@example.com", "sip:a%00%0D%20b@example.com"),
        ("sip:a%ff@example.com", "sip:a%FF@example.com"),
        ("sip:a\udcff@example.com", "sip:a%FF@example.com"),
        ("sip:a%e2%80%aeb@example.com", "sip:a%E2%80%AEb@example.com"),
        ("tel:alice@elsewhere.example", "sip:alice%40elsewhere.example@example.com"),
    ],
)
def test_10_3_step_5_canonical_key(uri: str, key: str) -> None:
    assert Uri.parse(uri).address_of_record("Example.COM") == key


@given(st.binary(min_size=1, max_size=12), st.data())
def test_10_3_step_5_every_spelling_of_a_user_has_one_key_and_no_other_user_has_it(
    user: bytes, data: st.DataObject
) -> None:
    def spelled() -> Uri:
        escaped = [data.draw(st.booleans()) or not chr(octet).isalnum() or octet > 127 for octet in user]
        text = "".join(f"%{octet:02x}" if is_ else chr(octet) for octet, is_ in zip(user, escaped, strict=True))
        return Uri.parse(f"sip:{text}@h")

    key = spelled().address_of_record("h")
    assert key == spelled().address_of_record("h")
    key.encode()
    again = Uri.parse(key)
    assert (again.host, again.address_of_record("h")) == ("h", key)
    assert unquote_to_bytes(again.user or "") == user


def test_every_port_is_read_in_the_usual_way_and_none_above() -> None:
    for port in (*range(0, 70_000, 7), 9, 59_999, 60_000, 64_999, 65_000, 65_499, 65_529, 65_530, 65_535, 65_536):
        assert (re.fullmatch(PORT, str(port)) is not None) is (port < 65_536)
    assert Uri.parse("sip:a@h:65535").port == NameAddress.parse("<sip:a@h:65535>").uri.port == 65_535
    assert NameAddress.parse("<sip:a@h:65535>").is_plain
    with pytest.raises(MalformedMessage):
        Uri.parse("sip:a@h:65536")
