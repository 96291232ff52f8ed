"""Where a provider is reached, and which numbers are emergencies."""

from __future__ import annotations

import pytest

from gateway.config.model import Domain, Provider, Signalling


@pytest.mark.parametrize(
    ("dialled", "expected"),
    [
        ("911", True),
        ("9-1-1", True),
        ("911;phone-context=example.com", True),
        ("1-12", True),
        ("11/2", True),
        ("1/1/2;phone-context=+49", True),
        ("11%32", True),
        ("11%2F2", True),
        ("11%20 2", True),
        ("11%3B2", False),
        ("112/", True),
        ("11/20", False),
        ("/", False),
        ("9110", False),
        ("0911", False),
        ("", False),
        ("+911", False),
        ("service:sos", True),
        ("service:SOS.fire", True),
        ("service:sosx", False),
        ("service:counseling", False),
    ],
)
def test_emergency_numbers_are_whole_numbers(dialled: str, expected: bool) -> None:
    domain = Domain("example.com", "main", emergency_numbers=("911", "112"))
    assert domain.is_emergency(dialled) is expected


@pytest.mark.parametrize(
    ("dialled", "expected"),
    [
        ("112;phone-context=+49", True),
        ("112;phone-context=+1", True),
        ("112;Phone-Context=%2B4-9", True),
        ("112;isub=1;phone-context=example.com", True),
        ("112;phone-context=+8816", False),
        ("112;phone-context=%2B8816", False),
        ("112;phone-context=+88-16", False),
        ("11/2;phone-context=+8816", False),
        ("112%3Bphone-context=+8816", False),
        ("11%32;rn=+881612345678", False),
        ("112;PHONE-CONTEXT=+88161234567", False),
        ("112;phone-context=example.com;phone-context=+8816", False),
        ("112;x=" + "a" * 70 + ";phone-context=+8816", False),
        ("112;rn=+881612345678", False),
        ("0301920;RN=+881612345678", False),
        ("+49301920;phone-context=+8816", False),
    ],
)
def test_a_parameter_that_makes_it_another_number_makes_it_no_emergency_number(dialled: str, expected: bool) -> None:
    """RFC 3966 section 5.1.5, RFC 4694 section 5: nothing is asked of an emergency call, so it has to be one."""
    domain = Domain("example.com", "main", emergency_numbers=("112", "030 1920"), region="DE")
    assert domain.is_emergency(dialled) is expected


@pytest.mark.parametrize(
    ("uri", "fallback", "tls", "in_clear"),
    [
        ("sip:h:5061;transport=tls", None, "sip:h:5061;transport=tls", None),
        ("sip:h;transport=tls", "sip:h;transport=udp", "sip:h;transport=tls", "sip:h;transport=udp"),
        ("sips:h", None, "sips:h", None),
        ("sip:h;transport=udp", None, None, "sip:h;transport=udp"),
        ("sip:h;transport=tcp", "sip:g;transport=udp", None, "sip:h;transport=tcp"),
        ("sip:h", None, "sip:h", "sip:h"),
        ("sip:h", "sip:h;transport=udp", "sip:h", "sip:h;transport=udp"),
    ],
)
def test_where_to_go_over_tls_and_in_clear(
    uri: str, fallback: str | None, tls: str | None, in_clear: str | None
) -> None:
    provider = Provider("main", uri, fallback_uri=fallback)
    assert provider.uri_for(Signalling.TLS) == tls
    assert provider.uri_for(Signalling.CLEAR) == in_clear


def test_an_emergency_call_goes_to_the_same_host_rather_than_nowhere() -> None:
    provider = Provider("main", "sips:h:5061;transport=tls")
    assert provider.uri_for(Signalling.CLEAR) is None
    assert provider.uri_for(Signalling.CLEAR, emergency=True) == "sip:h;transport=udp"


@pytest.mark.parametrize("fallback", [None, "sip:f;transport=udp"])
def test_an_emergency_call_in_clear_has_the_hosts_of_all_servers_to_try(fallback: str | None) -> None:
    more = ("sips:g:5061;transport=tls", "sips:g:5062;transport=tls")
    provider = Provider("main", "sips:h:5061;transport=tls", fallback_uri=fallback, more_uris=more)
    first = fallback or "sip:h;transport=udp"
    assert provider.uris_for(Signalling.CLEAR, emergency=True) == (first, "sip:g;transport=udp")
    assert provider.uris_for(Signalling.CLEAR) == ((fallback,) if fallback else ())
    assert provider.uris_for(Signalling.TLS, emergency=True) == (provider.uri, *more)


@pytest.mark.parametrize(
    ("dialled", "expected"),
    [
        ("112", True),
        ("0301920", True),
        ("+49301920", True),
        ("0049-30-1920", True),
        ("+49112", False),
        ("0301921", False),
        ("*31#0301920", False),
        ("1920", False),
    ],
)
def test_an_emergency_number_with_an_area_code_is_the_same_in_each_form(dialled: str, expected: bool) -> None:
    domain = Domain("example.com", "main", emergency_numbers=("112", "030 1920"), region="DE")
    assert domain.is_emergency(dialled) is expected
