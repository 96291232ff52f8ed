"""Names of people as each side is to read them: transfers, redirections, To (RFC 3515, RFC 3261 section 8.1.3.4)."""

from __future__ import annotations

import attrs
import pytest

from gateway.b2bua.legs.border import Border
from gateway.config.model import Domain, Provider, Security, Side
from gateway.routing.router import Route
from gateway.sip.uri import Uri
from tests.support.ladder import KEY, SAVP, Ladder, Party
from tests.support.stories import talk

DOMAIN = Domain("example.com", "main", restricted_access_domains=("sbc.provider.net",))
BORDER = Border(
    Route(DOMAIN, Provider("main", "sip:provider.example.com;transport=tls"), "sip:x@example.com", None),
    frozenset({"gw.office.test", "192.0.2.1"}),
)
REQUIRED = attrs.evolve(
    BORDER, route=attrs.evolve(BORDER.route, domain=attrs.evolve(DOMAIN, security=Security.REQUIRED))
)

INSIDE = [
    "sip:300@gw.office.test",
    "sip:300@GW.office.test.:5060;transport=udp",
    "sip:300@192.0.2.1",
    "sip:300@127.20.0.99:5099;lr",
    "sip:300@[2001:db8::1]",
    "sip:300@2130706433",
    "sip:300@0x7f.1",
    "sip:300@provider.example.com",
    "sip:300@sbc.provider.net;maddr=127.20.0.99",
]


@pytest.mark.parametrize("toward", Side)
@pytest.mark.parametrize("uri", INSIDE)
def test_host_that_one_side_alone_can_tell_is_the_domain(uri: str, toward: Side) -> None:
    assert str(BORDER.named(Uri.parse(uri), toward)) == "sip:300@example.com"


@pytest.mark.parametrize("toward", Side)
@pytest.mark.parametrize("uri", ["tel:+4930123", "urn:service:sos", "sip:carol@example.org", "sips:300@example.com"])
def test_name_of_another_domain_stays(uri: str, toward: Side) -> None:
    assert str(BORDER.named(Uri.parse(uri), toward)) == uri


def test_phone_of_a_domain_that_requires_encryption_is_led_nowhere_else() -> None:
    assert str(REQUIRED.named(Uri.parse("sip:carol@example.org"), Side.PHONES)) == "sip:carol@example.com"
    assert str(REQUIRED.named(Uri.parse("sip:carol@example.org"), Side.PROVIDER)) == "sip:carol@example.org"
    anonymous = "sip:anonymous@anonymous.invalid"
    assert str(REQUIRED.named(Uri.parse(anonymous), Side.PHONES)) == anonymous


def test_way_to_a_host_within_the_domain_is_not_the_providers_to_choose() -> None:
    uri = Uri.parse("sip:300@example.com:5099;maddr=127.20.0.99;user=phone;transport=udp")
    assert str(BORDER.named(uri, Side.PHONES)) == "sip:300@example.com;user=phone"
    assert BORDER.named(uri, Side.PROVIDER) is uri


@pytest.mark.parametrize("host", ["gw.example.com", "192.0.2.1", "192.0.2.99:5070"])
def test_phone_that_calls_at_the_gateways_name_calls_the_domain(host: str) -> None:
    ladder = Ladder()
    invite = ladder.phone.invite("sip:200@example.com")
    invite.headers.set("To", f"<sip:200@{host}>")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    assert ladder.provider.receives_request("INVITE").headers.get("To") == "<sip:200@example.com>"


@pytest.mark.parametrize("host", ["gw.example.com", "192.0.2.1:5060", "198.51.100.1"])
def test_redirection_of_a_phone_names_the_domain(host: str) -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(100)
    response = ladder.phone.receives_request("INVITE").response(302, to_tag="t")
    response.headers.add("Contact", f"<sip:400@{host}>;q=0.7")
    ladder.phone.sends(response)
    assert ladder.provider.receives_response(302).headers.get("Contact") == "<sip:400@example.com>;q=0.7"


@pytest.mark.parametrize("host", ["gw.example.com", "127.20.0.99:5099"])
@pytest.mark.parametrize("name", ["Refer-To", "Referred-By"])
def test_transfer_names_the_domain_in_both_directions(name: str, host: str) -> None:
    ladder = Ladder()
    onward, answer = talk(ladder)
    for sender, receiver, refer in (
        (ladder.phone, ladder.provider, ladder.phone.within(answer, "REFER")),
        (ladder.provider, ladder.phone, ladder.provider.within_answered(onward, "REFER")),
    ):
        refer.headers.add("Refer-To", "<sip:300@example.com>")
        refer.headers.set(name, f"<sip:alice@{host}>")
        sender.sends(refer)
        assert receiver.receives_request("REFER").headers.get(name) == "<sip:alice@example.com>"


def redirected(ladder: Ladder, contact: str) -> list[str]:
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    response = ladder.provider.receives_request("INVITE").response(302, to_tag="t")
    response.headers.add("Contact", contact)
    ladder.provider.sends(response)
    return ladder.phone.receives_response(302).headers.get_all("Contact")


@pytest.mark.parametrize("security", Security)
def test_redirection_of_the_provider_leads_the_phone_back_here(security: Security) -> None:
    ladder = Ladder(security)
    contact = "<sip:bob@127.20.0.99:5099?Route=%3Csip:127.20.0.99%3Blr%3E>"
    assert redirected(ladder, contact) == ["<sip:bob@example.com>"]


def test_other_domain_is_the_domain_where_encryption_is_required() -> None:
    assert redirected(Ladder(Security.REQUIRED), "<sip:bob@example.org>") == ["<sip:bob@example.com>"]
    assert redirected(Ladder(Security.PREFERRED), "<sip:bob@example.org>") == ["<sip:bob@example.org>"]


def test_redirection_of_a_message_is_told_as_well() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.request("MESSAGE", "sip:bob@example.com"))
    response = ladder.provider.receives_request("MESSAGE").response(302, to_tag="t")
    response.headers.add("Contact", "<sip:bob@198.51.100.7>")
    ladder.provider.sends(response)
    assert ladder.phone.receives_response(302).headers.get("Contact") == "<sip:bob@example.com>"


def refer_of(sender: Party, ladder: Ladder, refer_to: str, security: Security = Security.REQUIRED) -> None:
    onward, answer = talk(ladder)
    refer = sender.within(answer, "REFER") if sender is ladder.phone else sender.within_answered(onward, "REFER")
    refer.headers.add("Refer-To", refer_to)
    sender.sends(refer)


def test_request_to_which_a_transfer_leads_has_no_route_and_no_body_of_the_referrers() -> None:
    ladder = Ladder(Security.REQUIRED)
    wanted = "Require=replaces&Route=%3Csip:127.20.0.99%3Blr%3E&body=v%3D0&%52oute=x&Answer-Mode=Auto&Subject=hello"
    refer_of(ladder.provider, ladder, f"<sip:carol@127.20.0.99?{wanted}>")
    crossed = ladder.phone.receives_request("REFER").headers.get("Refer-To")
    assert crossed == "<sip:carol@example.com?Require=replaces&Subject=hello>"


def test_referrer_within_a_uri_is_named_as_everywhere() -> None:
    ladder = Ladder()
    refer_of(ladder.phone, ladder, "<sip:carol@example.com?Referred-By=%3Csip%3Aalice%40192.0.2.11%3E>")
    crossed = ladder.provider.receives_request("REFER").headers.get("Refer-To") or ""
    assert crossed == "<sip:carol@example.com?Referred-By=%3Csip%3Aalice%40example.com%3E>"


def test_transfer_to_another_kind_of_place_is_refused_where_encryption_is_required() -> None:
    ladder = Ladder(Security.REQUIRED)
    refer_of(ladder.provider, ladder, "<h323:carol@127.20.0.99>")
    ladder.provider.receives(403)
    ladder.phone.receives_nothing()


@pytest.mark.parametrize("name", ["From", "To", "Reply-To"])
@pytest.mark.parametrize("from_provider", [True, False])
def test_rfc3261_19_1_1_addresses_lead_to_no_request_with_fields(name: str, from_provider: bool) -> None:
    ladder = Ladder()
    sender, receiver = (ladder.provider, ladder.phone) if from_provider else (ladder.phone, ladder.provider)
    invite = sender.invite("sip:alice-1@gw.example.com" if from_provider else "sip:bob@example.com")
    tag = ";tag=f1" if name == "From" else ""
    invite.headers.set(name, f"<sip:bob@example.com?Route=%3Csip:192.0.2.99%3E&body=inline:{KEY}>{tag}")
    sender.sends(invite)
    onward = receiver.receives_request("INVITE").to_bytes()
    assert b"Route=" not in onward
    assert b"body=" not in onward


SECRET = "hunter2"


@pytest.mark.parametrize("toward", Side)
@pytest.mark.parametrize(
    "uri", [f"sip:300:{SECRET}@192.0.2.1", f"sip:300:{SECRET}@example.com", f"sips:300:{SECRET}@example.org"]
)
def test_rfc3261_section_19_1_1_password_of_a_uri_stays_behind(uri: str, toward: Side) -> None:
    assert SECRET not in str(BORDER.named(Uri.parse(uri), toward))


def test_rfc3261_section_19_1_1_no_password_crosses_to_the_provider() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite(f"sip:bob:{SECRET}@example.com")
    invite.headers.set("From", f"<sip:alice:{SECRET}@example.com>;tag=f1")
    invite.headers.set("To", f"<sip:bob:{SECRET}@example.com>")
    invite.headers.add("P-Preferred-Identity", f"<sip:alice:{SECRET}@example.com>")
    invite.headers.add("Referred-By", f"<sip:carol:{SECRET}@example.com>")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert SECRET.encode() not in onward.to_bytes()
    assert (onward.uri, onward.from_.uri.user, onward.to.uri.user) == ("sip:bob@example.com", "alice", "bob")


def test_rfc3261_section_19_1_1_no_password_crosses_to_a_phone() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", SAVP)
    invite.headers.set("From", f"<sip:bob:{SECRET}@example.org>;tag=f1")
    fields = ("P-Asserted-Identity", "Diversion", "History-Info", "Reply-To", "Referred-By", "P-Called-Party-ID")
    for name in fields:
        invite.headers.add(name, f'"Bob, of x" <sip:bob:{SECRET}@example.org;user=phone>;index=1')
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    assert SECRET.encode() not in onward.to_bytes()
    for name in fields:
        assert "bob@example.org;user=phone" in (onward.headers.get(name) or ""), name
    moved = onward.response(302, to_tag="t")
    moved.headers.add("Contact", f"<sip:dave:{SECRET}@example.com>")
    ladder.phone.sends(moved)
    ladder.phone.receives("ACK")
    assert ladder.provider.receives_response(302).headers.get("Contact") == "<sip:dave@example.com>"


def test_rfc4568_section_5_no_key_crosses_in_a_header_or_a_reason_phrase() -> None:
    ladder = Ladder()
    onward, _ = talk(ladder)
    info = ladder.provider.within_answered(onward, "INFO", cseq=1)
    info.headers.add("Subject", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")
    info.headers.add("Recv-Info", "conference")
    ladder.provider.sends(info)
    told = ladder.phone.receives_request("INFO")
    assert ("Subject" in told.headers, told.headers.get("Recv-Info")) == (False, "conference")
    refused = told.response(480)
    refused.reason = f"busy inline:{KEY}"
    ladder.phone.sends(refused)
    assert KEY not in ladder.provider.receives_response(480).to_bytes().decode()
    bye = ladder.provider.within_answered(onward, "BYE", cseq=2)
    bye.headers.add("Reason", f'Q.850;cause=16;text="inline:{KEY}"')
    ladder.provider.sends(bye)
    assert KEY not in ladder.phone.receives_request("BYE").to_bytes().decode()
