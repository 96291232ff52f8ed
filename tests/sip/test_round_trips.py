"""Hypothesis: what is written is read again as the same, for URIs, addresses, Vias, Digest and whole messages."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sip.address import NameAddress
from gateway.sip.digest import Challenge, Credentials
from gateway.sip.grammar import parse_parameters, quote, split_list, unquote
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.sip.parser import parse
from gateway.sip.uri import Uri
from gateway.sip.via import Via

examples = settings(max_examples=100, deadline=None, derandomize=True)

tokens = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=12)
# What a line can hold; lone surrogates, which stand for bytes that are no UTF-8, have a test of their own.
printable = st.characters(
    min_codepoint=0x20, max_codepoint=0xFFFF, exclude_characters="\x7f", exclude_categories=["Cs"]
)
texts = st.text(printable, max_size=30)
escapes = st.sampled_from(["%00", "%23", "%40", "%2B", "%5B", "%C3%A9"])
users = st.lists(st.one_of(st.text(string.ascii_letters + "-_.!~*'()&=+$,;?/#", min_size=1), escapes), min_size=1)
hosts = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
ports = st.one_of(st.none(), st.integers(0, 65535))
uri_parameters = st.lists(
    st.tuples(
        tokens.filter(lambda t: "%" not in t), st.one_of(st.none(), st.text(string.ascii_letters + "[]/:&+$-_."))
    ),
    max_size=3,
).map(tuple)
header_parameters = st.lists(st.tuples(tokens, st.one_of(st.none(), tokens, texts.map(quote), hosts)), max_size=3).map(
    tuple
)
sip_uris = st.builds(
    Uri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.one_of(st.none(), users.map("".join)),
    host=hosts,
    port=ports,
    parameters=uri_parameters,
    headers=st.sampled_from(["", "Subject=a%20b", "a=b&c=d"]),
)
other_uris = st.builds(Uri, scheme=st.sampled_from(["tel", "urn"]), user=st.text("+0123456789;=-ab:", min_size=1))
addresses = st.builds(
    NameAddress,
    display_name=texts.map(str.strip),
    uri=st.one_of(sip_uris, other_uris),
    parameters=header_parameters,
)
vias = st.builds(
    Via, transport=st.sampled_from(["UDP", "TCP", "TLS", "X-Y"]), host=hosts, port=ports, parameters=header_parameters
)
values = texts.map(str.strip)
header_items = st.lists(st.tuples(tokens.filter(lambda name: name.lower() not in ("l", "content-length")), values))


@examples
@given(texts)
def test_quoted_strings(text: str) -> None:
    assert unquote(quote(text)) == text


@examples
@given(st.lists(addresses, min_size=1, max_size=4))
def test_lists(several: list[NameAddress]) -> None:
    assert [NameAddress.parse(value) for value in split_list(", ".join(map(str, several)))] == several


@examples
@given(sip_uris | other_uris)
def test_uris(uri: Uri) -> None:
    assert Uri.parse(str(uri)) == uri
    assert uri.matches(Uri.parse(str(uri)))


@examples
@given(addresses, tokens)
def test_addresses(address: NameAddress, tag: str) -> None:
    read = NameAddress.parse(str(address))
    assert read == address
    assert read.tag == address.tag
    assert read.with_tag(tag) == address.with_tag(tag) == NameAddress.parse(str(read.with_tag(tag)))
    assert read.with_tag(tag).tag == tag
    assert read.without_tag().tag is None


@examples
@given(vias, tokens)
def test_vias(via: Via, branch: str) -> None:
    read = Via.parse(str(via))
    assert read == via
    assert read.branch == via.branch
    assert Via.parse(str(read.with_parameter("branch", branch))).branch == branch


@examples
@given(header_parameters)
def test_parameters(parameters: tuple[tuple[str, str | None], ...]) -> None:
    text = "".join(f";{name}" if value is None else f"; {name} =\t{value}" for name, value in parameters)
    assert parse_parameters(text) == parameters


@examples
@given(
    st.builds(
        Challenge,
        realm=texts,
        nonce=texts,
        algorithm=st.sampled_from(["MD5", "SHA-256-sess", "OTHER"]),
        qop=st.sampled_from([(), ("auth",), ("auth", "auth-int")]),
        opaque=st.none() | texts,
        stale=st.booleans(),
        domain=st.none() | texts,
    )
)
def test_challenges(challenge: Challenge) -> None:
    assert Challenge.parse(str(challenge)) == challenge


@examples
@given(
    st.builds(
        Credentials,
        username=texts,
        realm=texts,
        nonce=texts,
        uri=texts,
        response=st.sampled_from(["0" * 32, "a" * 64]),
        algorithm=st.sampled_from(["MD5", "SHA-512-256"]),
        cnonce=texts,
        qop=st.sampled_from(["auth", "auth-int"]),
        nc=st.integers(0, 2**32 - 1),
        opaque=st.none() | texts,
    )
)
def test_credentials(credentials: Credentials) -> None:
    assert Credentials.parse(str(credentials)) == credentials


@examples
@given(tokens, sip_uris | other_uris, header_items, st.binary(max_size=200))
def test_requests(method: str, uri: Uri, items: list[tuple[str, str]], body: bytes) -> None:
    unique = {name.lower(): (name, value) for name, value in items}.values()
    request = Request(method, str(uri), Headers(unique), body)
    read = parse(request.to_bytes())
    assert isinstance(read, Request)
    assert (read.method, read.uri, read.body) == (method, str(uri), body)
    assert list(read.headers.items()) == [*unique, ("Content-Length", str(len(body)))]


@examples
@given(st.integers(100, 699), texts, st.lists(vias, min_size=1, max_size=5), st.binary(max_size=50))
def test_responses(status: int, reason: str, path: list[Via], body: bytes) -> None:
    response = Response(status, reason, Headers([("Via", str(via)) for via in path]), body)
    read = parse(response.to_bytes())
    assert isinstance(read, Response)
    assert (read.status, read.reason, read.body) == (status, reason, body)
    for via in path:
        assert read.top_via == via
        read.headers.remove_first("Via")


@examples
@given(st.binary(max_size=60).filter(lambda raw: not set(raw) & set(b"\r\n\0")))
def test_any_bytes_in_a_value_come_out_as_they_went_in(raw: bytes) -> None:
    message = parse(b"INFO sip:a@b SIP/2.0\r\nX: " + raw + b"\r\nContent-Length: 0\r\n\r\n")
    assert b"\r\nX: " + raw + b"\r\n" in message.to_bytes()
