"""Reading a phone's REGISTER (RFC 3261 section 10.3)."""

import pytest

from gateway.registrar.request import LONGEST_INTERVAL, Asked, address_of_record
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from tests.support.registering import CONTACT, register


def read(request: Request) -> Asked:
    return Asked.read(request, "example.com")


def test_a_register_is_read() -> None:
    asked = read(register(CONTACT + ';q=0.5;+sip.instance="<urn:uuid:1>"', expires="120"))
    (contact,) = asked.contacts
    assert (asked.aor, asked.user, asked.cseq) == ("sip:alice@example.com", "alice", 1)
    assert (contact.uri, contact.interval, contact.q) == ("sip:alice@192.0.2.7:5060", 120, 0.5)
    assert contact.instance == "<urn:uuid:1>"


@pytest.mark.parametrize(
    ("contact", "expires", "seconds"),
    [
        (CONTACT, None, 3600),
        (CONTACT, "120", 120),
        (CONTACT + ";expires=60", "120", 60),
        (CONTACT + ";expires=0", "120", 0),
        (CONTACT + ";expires=soon", "120", 3600),
        (CONTACT, "4294967295", LONGEST_INTERVAL),
    ],
)
def test_intervals_by_section_10_2_1_1(contact: str, expires: str | None, seconds: int) -> None:
    assert read(register(contact, expires=expires)).contacts[0].interval == seconds


@pytest.mark.parametrize(
    ("contacts", "expires"),
    [(["*"], None), (["*"], "60"), (["<tel:+1>"], "60"), (["<http://h/>"], "60")],
)
def test_contacts_that_are_refused(contacts: list[str], expires: str | None) -> None:
    with pytest.raises(Refused) as refused:
        read(register(*contacts, expires=expires))
    assert refused.value.status == 400


@pytest.mark.parametrize("contacts", [["*", CONTACT], ["*", "*"], [CONTACT + ";q=2"], ["nonsense <"]])
def test_contacts_that_are_malformed(contacts: list[str]) -> None:
    with pytest.raises(MalformedMessage):
        read(register(*contacts, expires="0"))


def test_an_address_of_record_is_canonical_and_of_its_domain() -> None:
    assert address_of_record(Uri.parse("sips:%61lice@EXAMPLE.com:5061;x=y"), "Example.com") == "sip:alice@example.com"
    for other in ("sip:alice@other.example", "sip:example.com", "tel:+1"):
        with pytest.raises(Refused):
            address_of_record(Uri.parse(other), "example.com")


@pytest.mark.parametrize(
    "request_",
    [
        register("<sip:m\udcff@192.0.2.7>"),
        register("<sip:m@192.0.2.7;x=\udcff>"),
        register("<sip:m\u202e@192.0.2.7>"),
        register(CONTACT + ';+sip.instance="\udcff"'),
        register(CONTACT, call_id="abc\udcff"),
        register(CONTACT, call_id="abc\x85"),
    ],
)
def test_names_of_a_binding_that_nothing_can_keep_are_refused(request_: Request) -> None:
    with pytest.raises(Refused) as refused:
        read(request_)
    assert refused.value.status == 400


def test_a_user_agent_that_nothing_can_keep_is_kept_as_escapes() -> None:
    request = register(CONTACT)
    request.headers.add("User-Agent", "Phone \udcfc\0")
    assert read(request).user_agent == r"Phone \xfc\x00"
