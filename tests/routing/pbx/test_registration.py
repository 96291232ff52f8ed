"""A PBX's account is registered at its provider by the gateway, and the provider's challenges are answered for it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gateway.config.model import FixedPhone, Provider
from gateway.observe.events import EventName
from gateway.routing.pbx.pbx_registration import PbxRegistration
from gateway.sip.digest import Credentials, is_right
from gateway.sip.message import Request, Response
from gateway.transport.flow import PeerIdentity
from tests.routing.pbx.test_pbx_calls import FIRST, OFFICE, inward, outward
from tests.support.ladder import AVP, SAVP, Ladder

TERMS = attrs.evolve(OFFICE, account="4930123450", register=True, register_seconds=600)
PASSWORDS = {"4930123450": "Twelve-letters"}
CHALLENGE = 'Digest realm="example.com", nonce="n{}", algorithm=SHA-256, qop="auth"'


class Scene:
    """A gateway whose PBX is registered by it; the provider proves its name."""

    def __init__(
        self, terms: FixedPhone = TERMS, is_verified: bool = True, has_password: bool = True, **more: Any
    ) -> None:
        self.ladder = Ladder(phones=(terms,), region="DE", passwords=PASSWORDS if has_password else {}, **more)
        if is_verified:
            self.ladder.provider_flow.identity = PeerIdentity(names=("provider.example.com",), trust="system")
        self.pbx, _ = self.ladder.place(FIRST), self.ladder.place("192.0.2.51")
        self.ladder.pbx.start()
        self.ladder.clock.advance(3)

    @property
    def registration(self) -> PbxRegistration:
        (only,) = self.ladder.pbx.registrations
        return only

    def register(self) -> Request:
        return self.ladder.provider.receives_request("REGISTER")

    def challenge(self, number: int = 1, status: int = 401) -> Request:
        """Answer the REGISTER with a challenge; the one that follows."""
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        self.ladder.provider.answers(self.register(), status, fields=((name, CHALLENGE.format(number)),))
        return self.register()

    def grant(self, request: Request, seconds: int = 600) -> None:
        (contact,) = request.contacts
        response = request.response(200, to_tag="t1")
        response.headers.add("Contact", f"<{contact.uri}>;expires={seconds}")
        self.ladder.provider.sends(response)

    def wait(self, seconds: int) -> None:
        self.ladder.clock.pump([1.0] * seconds)

    def events(self, name: EventName) -> list[str]:
        return [
            str(event.fields.get("why", "")) for _, event in self.ladder.metrics.events.after(0) if event.name is name
        ]


def credentials_of(request: Request, field: str = "Authorization") -> Credentials:
    return Credentials.parse(request.headers.get(field) or "")


def test_it_is_registered_with_the_password_of_its_account() -> None:
    """RFC 3261 section 10.2, with the challenge of section 22."""
    scene = Scene()
    answered = scene.challenge()

    assert answered.uri == "sip:example.com"
    assert answered.to.uri_text == "sip:4930123450@example.com"
    assert is_right(credentials_of(answered), password=PASSWORDS["4930123450"], method="REGISTER")
    (contact,) = answered.contacts
    assert contact.uri.host == "gw.example.com"
    assert (contact.uri.user or "").startswith("4930123450-")
    scene.grant(answered)
    assert scene.registration.is_registered
    assert len(scene.events(EventName.PBX_REGISTERED)) == 1
    assert b"Twelve-letters" not in b"".join(scene.ladder.provider_flow.bytes)


def test_a_challenge_by_407_is_answered_as_well() -> None:
    answered = Scene().challenge(status=407)

    assert credentials_of(answered, "Proxy-Authorization").username == "4930123450"


def test_the_next_one_comes_before_the_grant_ends_with_the_same_call_id() -> None:
    scene = Scene()
    first = scene.challenge()
    scene.grant(first, 100)
    scene.wait(59)
    scene.ladder.provider.receives_nothing()
    scene.wait(27)

    again = scene.register()
    assert again.call_id == first.call_id
    assert again.cseq.number > first.cseq.number


def test_an_interval_that_is_too_brief_is_lengthened_once() -> None:
    """RFC 3261 section 10.2.8."""
    scene = Scene()
    scene.ladder.provider.answers(scene.register(), 423, fields=(("Min-Expires", "1800"),))
    again = scene.register()
    assert dict(again.contacts[0].parameters)["expires"] == "1800"

    scene.ladder.provider.answers(again, 423, fields=(("Min-Expires", "3600"),))
    scene.ladder.provider.receives_nothing()
    assert scene.events(EventName.PBX_REGISTRATION_FAILED)


@pytest.mark.parametrize("least", ["600", "1", "", "99999999999", "1e9", "-5"])
def test_a_min_expires_of_no_use_is_a_failure(least: str) -> None:
    scene = Scene()
    scene.ladder.provider.answers(scene.register(), 423, fields=(("Min-Expires", least),))

    scene.ladder.provider.receives_nothing()
    assert scene.registration.why.startswith("423")


def test_a_wrong_password_is_told_once_and_not_tried_again_for_minutes() -> None:
    scene = Scene()
    challenge = ("WWW-Authenticate", CHALLENGE.format(2))
    scene.ladder.provider.answers(scene.challenge(), 401, fields=(challenge,))

    (why,) = scene.events(EventName.PBX_REGISTRATION_FAILED)
    assert why == "401: the provider refuses the password of 4930123450"
    scene.wait(299)
    scene.ladder.provider.receives_nothing()
    scene.wait(3)
    scene.register()


def test_a_reload_tries_again_at_once() -> None:
    scene = Scene()
    scene.ladder.provider.answers(scene.register(), 403)
    scene.ladder.pbx.change(scene.ladder.configuration, scene.ladder.store)
    scene.wait(1)

    scene.register()


def test_failures_are_tried_again_after_longer_and_longer_times() -> None:
    scene, waits = Scene(), []
    for _ in range(9):
        scene.ladder.provider.answers(scene.register(), 500)
        begin = scene.ladder.clock.seconds()
        while not scene.ladder.provider_flow.requests("REGISTER"):
            scene.wait(1)
        waits.append(scene.ladder.clock.seconds() - begin)

    assert 15 <= waits[0] <= 31
    assert 120 <= waits[3] <= 241
    assert 900 <= waits[-1] <= 1801
    assert len(scene.events(EventName.PBX_REGISTRATION_FAILED)) == 1


def test_it_is_told_when_it_is_registered_again_and_the_time_that_a_provider_wants_is_kept() -> None:
    scene = Scene()
    scene.ladder.provider.answers(scene.register(), 503, fields=(("Retry-After", "90"),))
    scene.wait(88)
    scene.ladder.provider.receives_nothing()
    scene.wait(3)
    scene.grant(scene.register())

    assert scene.registration.failures == 0
    assert len(scene.events(EventName.PBX_REGISTERED)) == 1


@pytest.mark.parametrize(
    ("verified", "password", "why"), [(False, True, "TLS"), (True, False, "no password of 4930123450")]
)
def test_without_a_verified_provider_or_a_password_no_challenge_is_answered(
    verified: bool, password: bool, why: str
) -> None:
    scene = Scene(is_verified=verified, has_password=password)
    scene.ladder.provider.answers(scene.register(), 401, fields=(("WWW-Authenticate", CHALLENGE.format(1)),))

    scene.ladder.provider.receives_nothing()
    assert why in scene.registration.why


def test_another_realm_is_somebody_else_s_question() -> None:
    scene = Scene()
    foreign = CHALLENGE.format(1).replace("example.com", "evil.example")
    scene.ladder.provider.answers(scene.register(), 401, fields=(("WWW-Authenticate", foreign),))

    scene.ladder.provider.receives_nothing()
    assert "another realm" in scene.registration.why


def test_it_registers_again_when_its_own_address_is_another() -> None:
    scene = Scene()
    scene.grant(scene.register())
    (phones, provider, clear) = scene.ladder.listeners
    scene.ladder.listeners = (phones, attrs.evolve(provider, address="198.51.100.9"), clear)
    scene.wait(1)

    scene.register()


def test_it_registers_again_when_the_connection_ended_once_a_minute() -> None:
    scene = Scene()
    scene.grant(scene.register())
    scene.ladder.provider_flow.open = False
    scene.ladder.reconnect_provider()
    scene.wait(50)
    scene.ladder.provider.receives_nothing()
    scene.wait(12)

    scene.register()


def test_an_answer_that_does_not_list_it_and_one_that_cannot_be_read_are_failures() -> None:
    for contact in ("<sip:somebody@gw.example.com>;expires=60", "<<>>"):
        scene = Scene()
        response = scene.register().response(200, to_tag="t1")
        response.headers.add("Contact", contact)
        scene.ladder.provider.sends(response)

        assert not scene.registration.is_registered
        assert scene.registration.why


def test_no_answer_is_a_failure_and_nothing_is_left_after_the_end() -> None:
    scene = Scene()
    scene.register()
    scene.wait(40)
    assert scene.registration.why

    scene.ladder.pbx.stop()
    scene.ladder.provider_flow.take()
    scene.wait(4000)
    assert not scene.ladder.provider_flow.requests("REGISTER")


# -- calls


def test_a_challenge_to_its_call_is_answered_with_the_same_password() -> None:
    """RFC 3261 section 22.3; the PBX sees nothing of it."""
    scene = Scene()
    scene.grant(scene.register())
    scene.pbx.flow.take()
    scene.pbx.sends(outward(scene.pbx, "+49301234510"))
    provider = scene.ladder.provider
    challenge = ("Proxy-Authenticate", CHALLENGE.format(5))
    provider.answers(provider.receives_request("INVITE"), 407, fields=(challenge,))
    provider.receives("ACK")
    again = provider.receives_request("INVITE")

    assert is_right(credentials_of(again, "Proxy-Authorization"), password="Twelve-letters", method="INVITE")
    provider.answers(again, 200, sdp=SAVP)
    assert [message.status for message in scene.pbx.flow.sent if isinstance(message, Response)] == [100, 200]


def test_nobody_else_s_call_is_answered_with_it() -> None:
    scene = Scene()
    scene.grant(scene.register())
    ladder = scene.ladder
    ladder.phone.sends(ladder.phone.invite())
    challenge = ("Proxy-Authenticate", CHALLENGE.format(5))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 407, fields=(challenge,))
    ladder.provider.receives("ACK")

    ladder.provider.receives_nothing()
    ladder.phone.receives(100)
    ladder.phone.receives(407)


def test_the_routes_that_the_provider_wants_are_in_its_calls() -> None:
    """RFC 3608 section 6.1."""
    scene = Scene()
    request = scene.register()
    response = request.response(200, to_tag="t1")
    response.headers.add("Contact", f"<{request.contacts[0].uri}>;expires=600")
    response.headers.add("Service-Route", "<sip:edge.example.com;lr>")
    scene.ladder.provider.sends(response)
    scene.pbx.sends(outward(scene.pbx, "+49301234510"))

    assert scene.ladder.provider.receives("INVITE").headers.get_all("Route") == ["<sip:edge.example.com;lr>"]


def test_the_provider_calls_the_contact_that_was_registered() -> None:
    scene = Scene()
    request = scene.register()
    scene.grant(request)
    scene.pbx.flow.take()
    scene.ladder.provider.sends(inward(scene.ladder, request.contacts[0].uri.user or "", "+49301234567"))

    invite = scene.pbx.receives_request("INVITE")
    assert invite.request_uri.user == "+49301234567"
    scene.pbx.answers(invite, 200, sdp=AVP)


def test_a_pbx_without_an_account_gets_nobody_s_password() -> None:
    """Not even that of a user who has the name of its table: the challenge is the PBX's own to answer."""
    ladder = Ladder(phones=(OFFICE,), region="DE", passwords={"office": "Twelve-letters", "phone": "x", "": "y"})
    ladder.provider_flow.identity = PeerIdentity(names=("provider.example.com",), trust="system")
    pbx, _ = ladder.place(FIRST), ladder.place("192.0.2.51")
    pbx.sends(outward(pbx, "+49301234510"))
    challenge = ("Proxy-Authenticate", CHALLENGE.format(5))
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 407, fields=(challenge,))
    ladder.provider.receives("ACK")

    ladder.provider.receives_nothing()
    pbx.receives(100)
    pbx.receives(407)


def test_a_provider_that_wants_media_security_said_has_it_with_the_credentials() -> None:
    """draft-dawes-sipcore-mediasec-parameter, as Deutsche Telekom wants it: the edge's list is given back."""
    telekom = Provider("main", "sip:provider.example.com;transport=tls", mediasec=True)
    scene, server = Scene(provider=telekom), ("Security-Server", "sdes-srtp;mediasec")
    first = scene.register()
    assert first.headers.values("Security-Client") == ["sdes-srtp;mediasec"]
    assert first.headers.values("Proxy-Require") == ["mediasec"]
    assert "Security-Verify" not in first.headers
    scene.ladder.provider.answers(first, 494, fields=(server,))
    again = scene.register()
    scene.ladder.provider.answers(again, 401, fields=(("WWW-Authenticate", CHALLENGE.format(1)), server))
    answered = scene.register()
    assert is_right(credentials_of(answered), password=PASSWORDS["4930123450"], method="REGISTER")
    assert answered.headers.values("Security-Verify") == ["sdes-srtp;mediasec"]
    scene.grant(answered)
    assert scene.registration.is_registered


def test_a_provider_that_is_never_content_with_the_list_is_told_of() -> None:
    telekom = Provider("main", "sip:provider.example.com;transport=tls", mediasec=True)
    scene = Scene(provider=telekom)
    for number in (1, 2):
        server = ("Security-Server", f"sdes-srtp;mediasec;q=0.{number}")
        scene.ladder.provider.answers(scene.register(), 494, fields=(server,))
    assert "494" in scene.registration.why
    scene.ladder.provider.receives_nothing()
