"""Fields beside From that name a caller: a phone names itself in them, and nobody else (RFC 3325, RFC 3892)."""

from __future__ import annotations

from urllib.parse import unquote

import attrs
import pytest

from gateway.ingress.own_identities import SECOND_IDENTITIES, OwnIdentities
from gateway.registrar.callers import Callers
from gateway.registrar.memory_store import MemoryStore
from gateway.sip.address import NameAddress
from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request, Response
from gateway.transport.flow import Flow
from tests.support.flows import RecordingFlow
from tests.support.ladder import BINDING, PHONES, SAVP, Ladder
from tests.support.stories import talk

BOSS = '"Boss" <sip:boss@example.com>'


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("<sip:alice@example.com>", "<sip:alice@example.com>"),
        ('"Me" <sips:%61lice@EXAMPLE.com>;party=calling', '"Me" <sips:alice@EXAMPLE.com>;party=calling'),
        (BOSS, None),
        (f"{BOSS}, <sip:alice@example.com>", "<sip:alice@example.com>"),
        (f"<sip:alice@example.com>, {BOSS}", "<sip:alice@example.com>"),
        ("<sip:Alice@example.com>", None),
        ("<sip:alice@elsewhere.example>", None),
        ("<sip:alice%40example.com@example.com>", None),
        ("<tel:+49301234>", None),
        ("<tel:alice>", "<tel:alice>"),
        ("alice", None),
        ("<<;;", None),
        ('"unbalanced <sip:alice@example.com>', None),
    ],
)
def test_rfc3325_9_2_a_second_identity_crosses_where_it_is_the_phones_own(given: str, left: str | None) -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("P-Preferred-Identity", given)
    ladder.phone.sends(invite)
    crossed = ladder.provider.receives_request("INVITE").headers.get("P-Preferred-Identity")
    assert crossed == (given if crossed == given else left)
    assert (crossed is None) is (left is None)


def test_rfc3325_several_lines_are_judged_one_by_one() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    for value in (BOSS, "<sip:alice@example.com>", "<tel:+49301234>"):
        invite.headers.add("p-preferred-identity", value)
    ladder.phone.sends(invite)
    crossed = ladder.provider.receives_request("INVITE").headers.get_all("P-Preferred-Identity")
    assert crossed == ["<sip:alice@example.com>"]


def test_a_phone_that_is_not_registered_has_no_second_identity() -> None:
    ladder = Ladder()
    stranger = ladder.stranger()
    invite = stranger.invite()
    invite.headers.add("P-Preferred-Identity", "<sip:alice@example.com>")
    invite.headers.add("b", "<sip:alice@example.com>")
    stranger.sends(invite)
    headers = ladder.provider.receives_request("INVITE").headers
    assert "P-Preferred-Identity" not in headers
    assert "Referred-By" not in headers


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "PUBLISH", "OPTIONS"])
def test_second_identities_of_other_requests_are_judged_alike(method: str) -> None:
    ladder = Ladder()
    request = ladder.phone.request(method, "sip:bob@example.com")
    request.headers.add("P-Preferred-Identity", BOSS)
    request.headers.add("Referred-By", BOSS)
    ladder.phone.sends(request)
    assert b"boss" not in ladder.provider.receives_request(method).to_bytes()


def test_second_identities_within_a_dialog_are_judged_alike() -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    refer = ladder.phone.within(answer, "REFER")
    refer.headers.add("Refer-To", "<sip:carol@example.com>")
    refer.headers.add("Referred-By", BOSS)
    ladder.phone.sends(refer)
    assert b"boss" not in ladder.provider.receives_request("REFER").to_bytes()


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ("Referred-By=%3Csip%3Aboss%40example.com%3E", ""),
        ("b=sip%3Aboss@example.com&Subject=x", "Subject=x"),
        ("%52eferred-%42y=%22%3C", ""),
        ("Subject=x&P-Preferred-Identity=%3Csip:boss%40example.com%3E", "Subject=x"),
        ("Subject=x&Referred-By=%3Csip:alice%40example.com%3E", "Subject=x&Referred-By=%3Csip:alice%40example.com%3E"),
    ],
)
def test_rfc3261_19_1_1_second_identities_of_the_request_that_a_transfer_leads_to_are_judged_alike(
    fields: str, left: str
) -> None:
    ladder = Ladder()
    _, answer = talk(ladder)
    refer = ladder.phone.within(answer, "REFER")
    refer.headers.add("r", f"<sip:carol@example.com?{fields}>")
    ladder.phone.sends(refer)
    crossed = NameAddress.parse(ladder.provider.receives_request("REFER").headers.get("Refer-To") or "")
    assert unquote(crossed.uri.headers) == unquote(left)


def test_second_identities_of_responses_are_judged_alike() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", SAVP))
    ladder.provider.receives(100)
    fields = (("P-Preferred-Identity", BOSS), ("Referred-By", BOSS), ("P-Asserted-Identity", BOSS))
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 180, fields=fields)
    assert b"boss" not in ladder.provider.receives_response(180).to_bytes()


def _received(name: str, flow: Flow, message: Message) -> str | None:
    store = MemoryStore(lambda: 0.0)
    store.save(BINDING)
    passed: list[Message] = []
    door = OwnIdentities(Callers(store, lambda host: None), lambda message, flow: passed.append(message))
    message.headers.add(name, BOSS)
    door.receive(message, flow)
    assert passed == [message]
    return message.headers.get(name)


@pytest.mark.parametrize("name", sorted(SECOND_IDENTITIES))
def test_every_field_that_names_a_caller_is_judged_whatever_crosses(name: str) -> None:
    phone = RecordingFlow(PHONES, BINDING.flow.remote)
    assert _received(name, phone, Request("INVITE", "sip:b@h", Headers())) is None
    assert _received(name, phone, Response(200, "OK", Headers())) is None


def test_a_listener_may_trust_the_phones_behind_it() -> None:
    trusting = RecordingFlow(attrs.evolve(PHONES, trusted_identities=True), BINDING.flow.remote)
    assert _received("P-Preferred-Identity", trusting, Request("INVITE", "sip:b@h", Headers())) == BOSS


def test_identities_of_the_provider_are_its_own_affair() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", SAVP)
    invite.headers.add("P-Asserted-Identity", BOSS)
    ladder.provider.sends(invite)
    assert ladder.phone.receives_request("INVITE").headers.get("P-Asserted-Identity") == BOSS
