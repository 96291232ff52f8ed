"""Digest: the examples of the RFCs, all forms against the formula written out, and bad headers."""

from __future__ import annotations

import hashlib

import attrs
import pytest

from gateway.sip.digest import ALGORITHMS, Challenge, Credentials, UnknownScheme, answer, answerable, is_right
from gateway.sip.errors import MalformedMessage

RFC2617_NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
RFC7616_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC7616_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def proven(challenge: Challenge, *, password: str, cnonce: str, username: str = "Mufasa", uri: str = "") -> str:
    """The response of a GET, proven to pass verification after a trip over the wire, and with no other password."""
    made = answer(
        challenge, username=username, password=password, method="GET", uri=uri or "/dir/index.html", cnonce=cnonce
    )
    received = Credentials.parse(str(made))
    assert received == made
    assert is_right(received, password=password, method="GET")
    assert not is_right(received, password=password + " ", method="GET")
    assert not is_right(received, password=password, method="PUT")
    return made.response


def test_rfc_2617_3_5_md5() -> None:
    challenge = Challenge.parse(
        'Digest realm="testrealm@host.com", qop="auth,auth-int", '
        f'nonce="{RFC2617_NONCE}", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    response = proven(challenge, password="Circle Of Life", cnonce="0a4f113b")
    assert response == "6629fae49393a05397450978507c4ef1"


def test_rfc_2069_2_4_without_qop_as_corrected_by_its_erratum() -> None:
    challenge = Challenge.parse(f'Digest realm="testrealm@host.com", nonce="{RFC2617_NONCE}"')
    assert proven(challenge, password="CircleOfLife", cnonce="unused") == "1949323746fe6a43ef61f9606e7febea"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_3_9_1(algorithm: str, response: str) -> None:
    challenge = Challenge("http-auth@example.org", RFC7616_NONCE, algorithm, ("auth", "auth-int"))
    assert proven(challenge, password="Circle of Life", cnonce=RFC7616_CNONCE) == response


def test_rfc_7616_3_9_2_sha_512_256_as_corrected_by_erratum_4897() -> None:
    challenge = Challenge("api@example.org", "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "SHA-512-256", ("auth",))
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    response = proven(challenge, username="Jäsøn Doe", password="Secret, or not?", cnonce=cnonce, uri="/doe.json")
    assert response == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


@pytest.mark.parametrize("is_session", [False, True])
@pytest.mark.parametrize("qop", [None, "auth", "auth-int"])
@pytest.mark.parametrize(("algorithm", "hash_name"), [("MD5", "md5"), ("SHA-256", "sha256")])
def test_every_form_is_the_formula_of_rfc_7616_3_4_1(
    algorithm: str, hash_name: str, qop: str | None, is_session: bool
) -> None:
    def h(text: str) -> str:
        return hashlib.new(hash_name, text.encode()).hexdigest()

    a1 = h("bob:biloxi.com:zanzibar")
    if is_session:
        a1 = h(f"{a1}:n:c")
    a2 = h("INVITE:sip:bob@biloxi.com" + (f":{h('v=0')}" if qop == "auth-int" else ""))
    expected = h(f"{a1}:n:{a2}") if qop is None else h(f"{a1}:n:0000002a:c:{qop}:{a2}")

    challenge = Challenge("biloxi.com", "n", algorithm + "-sess" * is_session, (qop,) if qop else ())
    made = answer(
        challenge,
        username="bob",
        password="zanzibar",
        method="INVITE",
        uri="sip:bob@biloxi.com",
        body=b"v=0",
        cnonce="c",
        nc=42,
    )
    assert made.response == expected
    received = Credentials.parse(str(made))
    assert is_right(received, password="zanzibar", method="INVITE", body=b"v=0")
    assert is_right(received, password="zanzibar", method="INVITE", body=b"v=1") == (qop != "auth-int")


def test_all_algorithms_of_rfc_8760_are_there() -> None:
    assert ALGORITHMS == ("MD5", "SHA-256", "SHA-512-256")


def test_a_challenge_survives_the_wire() -> None:
    challenge = Challenge('a "realm" \\ with', "n==", "SHA-256-sess", ("auth", "auth-int"), "", True, "sip:a sip:b")
    assert Challenge.parse(str(challenge)) == challenge


def test_credentials_survive_the_wire() -> None:
    credentials = Credentials('al"ice\\', "r", "n", "sip:a@b", "0" * 64, "SHA-256", "c,=", "auth", 2**32 - 1, "")
    assert Credentials.parse(str(credentials)) == credentials


def test_the_form_that_phones_send_is_read() -> None:
    credentials = Credentials.parse(
        'digest username="1001",realm="asterisk" , nonce="17d2",uri="sip:pbx", '
        'response="ABCDEF0123456789abcdef0123456789",algorithm=md5,qop="auth",nc=0000000A,cnonce="x\\"y",opaque=""'
    )
    assert (credentials.username, credentials.algorithm, credentials.qop) == ("1001", "MD5", "auth")
    assert (credentials.nc, credentials.cnonce, credentials.opaque) == (10, 'x"y', "")


def test_stale_is_read_in_any_case() -> None:
    assert Challenge.parse('Digest realm="r", nonce="n", stale=TRUE').stale
    assert not Challenge.parse('Digest realm="r", nonce="n", stale=FALSE').stale


def test_auth_is_preferred_to_auth_int_and_taken_in_any_order() -> None:
    challenge = Challenge("r", "n", qop=("auth-int", "auth"))
    assert answer(challenge, username="u", password="p", method="BYE", uri="sip:a", cnonce="c").qop == "auth"


@pytest.mark.parametrize("challenge", [Challenge("r", "n", "SHA-3"), Challenge("r", "n", qop=("token",))])
def test_a_challenge_that_we_do_not_know_is_passed_over(challenge: Challenge) -> None:
    assert not challenge.is_answerable
    with pytest.raises(MalformedMessage, match="cannot answer"):
        answer(challenge, username="u", password="p", method="BYE", uri="sip:a", cnonce="c")


def test_rfc8760_section_2_3_challenges_that_can_be_answered_come_in_the_order_of_the_server() -> None:
    known = [Challenge("r", "n", algorithm) for algorithm in ("SHA-256", "MD5")]
    texts = [str(Challenge("r", "n", "SHA-3")), str(known[0]), "Digest realm=", 'Bearer realm="r"', str(known[1])]
    assert list(answerable(texts)) == known


def test_an_unknown_algorithm_or_qop_is_never_right() -> None:
    good = answer(Challenge("r", "n"), username="u", password="p", method="BYE", uri="sip:a", cnonce="c")
    assert is_right(good, password="p", method="BYE")
    for changed in (
        attrs.evolve(good, algorithm="SHA-3"),
        attrs.evolve(good, algorithm="MD5-sess"),
        attrs.evolve(good, qop="none"),
    ):
        assert not is_right(changed, password="p", method="BYE")


def test_a_response_in_capitals_is_right() -> None:
    good = answer(Challenge("r", "n"), username="u", password="p", method="BYE", uri="sip:a", cnonce="c")
    assert is_right(attrs.evolve(good, response=good.response.upper()), password="p", method="BYE")


def test_nothing_secret_is_in_a_repr() -> None:
    credentials = answer(Challenge("r", "n"), username="u", password="p", method="BYE", uri="sip:a", cnonce="c")
    assert credentials.response not in repr(credentials)


def test_another_scheme_is_told_apart() -> None:
    with pytest.raises(UnknownScheme):
        Credentials.parse("NoOneKnowsThisScheme opaque-data=here")


GOOD = 'Digest username="u", realm="r", nonce="n", uri="sip:a", response="' + "0" * 32 + '"'


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "no authentication header"),
        ("Digest", "without"),
        ("Digest ,,", "cannot be read"),
        (GOOD.replace("nonce", "once"), "without nonce"),
        (GOOD + ', nonce="m"', "twice"),
        (GOOD[:-1], "cannot be read"),
        (GOOD + " trailing", "cannot be read"),
        (GOOD.replace('"r"', "two words"), "cannot be read"),
        (GOOD.replace("0" * 32, "0" * 31), "response"),
        (GOOD.replace("0" * 32, "g" * 32), "response"),
        (GOOD + ", qop=auth", "without cnonce or nc"),
        (GOOD + ', qop=auth, cnonce="c", nc=1', "nc"),
        (GOOD + ", userhash=true", "userhash"),
        (GOOD + ", username*=UTF-8''u", "userhash"),
        (GOOD + ", x=" + "y" * 9000, "no authentication header"),
    ],
)
def test_bad_credentials(header: str, reason: str) -> None:
    Credentials.parse(GOOD)
    with pytest.raises(MalformedMessage, match=reason):
        Credentials.parse(header)
