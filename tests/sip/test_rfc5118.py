"""RFC 5118: IPv6 in Request-URIs, Vias, Contacts and received."""

from __future__ import annotations

import pytest

from gateway.sip.message import Request
from gateway.sip.parser import Answerable, check, parse
from tests.support.rfc5118 import MESSAGES


def checked(section: str) -> Request:
    message = parse(MESSAGES[section])
    assert isinstance(message, Request)
    check(message)
    return message


@pytest.mark.parametrize("section", sorted(set(MESSAGES) - {"4.2"}))
def test_the_message_is_accepted_and_written_as_it_came(section: str) -> None:
    assert checked(section).to_bytes() == MESSAGES[section]


def test_4_1_an_ipv6_reference_has_brackets_in_text_only() -> None:
    request = checked("4.1")
    assert request.contact is not None
    assert (request.request_uri.host, request.request_uri.port) == ("2001:db8::10", None)
    assert (request.top_via.host, request.contact.uri.host) == ("2001:db8::9:1", "2001:db8::1")
    assert str(request.request_uri) == "sip:[2001:db8::10]"
    assert str(request.top_via) == "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111"


def test_4_2_an_address_without_brackets_is_answered_400() -> None:
    with pytest.raises(Answerable) as caught:
        check(parse(MESSAGES["4.2"]))
    assert caught.value.status == 400


def test_4_3_and_4_4_only_a_port_outside_the_brackets_is_one() -> None:
    assert (checked("4.3").request_uri.host, checked("4.3").request_uri.port) == ("2001:db8::10:5070", None)
    assert (checked("4.4").request_uri.host, checked("4.4").request_uri.port) == ("2001:db8::10", 5070)


@pytest.mark.parametrize("section", ["4.5", "4.5-brackets"])
def test_4_5_received_is_read_with_and_without_brackets(section: str) -> None:
    assert checked(section).top_via.received == "2001:db8::9:255"


def test_4_7_ipv4_and_ipv6_mix_in_one_list_of_vias() -> None:
    request = checked("4.7")
    assert (request.top_via.host, request.top_via.port) == ("2001:db8::9:1", 6050)
    request.headers.remove_first("Via")
    assert request.top_via.host == "192.0.2.1"
    request.headers.remove_first("Via")
    assert (request.top_via.transport, request.top_via.received) == ("TCP", "192.0.2.200")


def test_4_9_mapped_addresses_are_ipv6() -> None:
    request = checked("4.9")
    assert (request.top_via.host, request.top_via.port) == ("::ffff:192.0.2.10", 19823)


def test_4_10_the_extra_colon_of_rfc_3261s_grammar_is_dropped() -> None:
    assert str(checked("4.10-colons").request_uri) == "sip:user@[2001:db8::192.0.2.1]"
    assert checked("4.10-colons").request_uri.matches(checked("4.10").request_uri)
