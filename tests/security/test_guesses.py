"""Wrong passwords of phones through the whole signalling: who is stopped, when, and who goes on."""

from __future__ import annotations

import pytest

from gateway.observe.observations import Kind, Observation
from gateway.security import guesses
from gateway.security.guesses import CAPACITY
from gateway.security.wrong_passwords import BoundedMemory
from gateway.sip.message import Request, Response
from gateway.sip.parser import parse
from tests.support.memory_network import Place
from tests.support.signalling import DOMAINS, PROVIDER, TRUNK, UDP, Signalling

OFFICE = "203.0.113.5"
STRANGER: Place = ("198.18.0.66", 5066)
DAVE: Place = (OFFICE, 6001)
CHALLENGE = 'Digest realm="example.com", nonce="{}"'


class Office:
    """Phones of a gateway, and a provider that has one right password."""

    def __init__(self) -> None:
        self.site = Signalling()
        self.seen: list[Request] = []
        """Requests with credentials that the provider got."""
        self.nonces = 0
        self.cseq = 0
        self.arrived = 0
        """INVITEs that the provider got."""

    def send(
        self,
        user: str,
        source: Place,
        password: str | None = None,
        nonce: str = "",
        method: str = "REGISTER",
        to: str = "",
        more: str = "",
        stale: bool = False,
    ) -> Response | None:
        """One request, answered by the provider if it gets there; the final response."""
        self.cseq += 1
        called = to or f"sip:{user}@example.com"
        uri = "sip:example.com" if method == "REGISTER" else called
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bK-{self.cseq}",
            f"From: <sip:{user}@example.com>;tag=t{self.cseq}",
            f"To: <{called}>",
            f"Call-ID: {user}-{source[0]}-{self.cseq}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:{user}@{source[0]}:{source[1]}>",
            "Max-Forwards: 70",
        ]
        if password is not None:
            lines.append(
                f'Authorization: Digest username="{user}", realm="example.com", nonce="{nonce}", uri="{uri}", '
                f'response="{password}"'
            )
        data = "\r\n".join([*lines, *([more] if more else []), "Content-Length: 0", "", ""]).encode()
        self.site.datagram(data, source)
        for asked in self.site.provider:
            if isinstance(asked, Request) and asked.method == method:
                self._judge(asked, stale)
        sent = [parse(data) for data, to_ in self.site.network.datagrams[UDP].sent if to_ == source]
        finals = [one for one in sent if isinstance(one, Response) and one.status >= 200]
        return finals[-1] if finals else None

    def _judge(self, asked: Request, stale: bool) -> None:
        borne = asked.headers.get("Authorization")
        self.arrived += asked.method == "INVITE"
        if borne is not None:
            self.seen.append(asked)
        is_right = borne is not None and 'response="right"' in borne
        response = asked.response(200 if is_right else 401, to_tag="p")
        if is_right:
            response.headers.add("Contact", asked.headers.get("Contact") or "")
        else:
            self.nonces += 1
            challenge = CHALLENGE.format(f"n{self.nonces}") + (", stale=true" if stale else "")
            response.headers.add("WWW-Authenticate", challenge)
        self.site.network.datagrams[TRUNK].arrive(response.to_bytes(), PROVIDER)

    def tries(self, user: str, source: Place, password: str, **more: str) -> int:
        """A challenge, and the answer to it; the status of that, or of the refusal before."""
        method = more.get("method", "REGISTER")
        asked = self.send(user, source, method=method, to=more.get("to", ""))
        assert asked is not None
        assert asked.status == 401
        told = (asked.headers.get("WWW-Authenticate") or "").partition('nonce="')[2].partition('"')[0]
        answer = self.send(user, source, password, told, **more)  # type: ignore[arg-type]
        assert answer is not None
        return answer.status

    def later(self, seconds: int) -> None:
        self.site.network.pump([1.0] * seconds)

    def stopped(self, **labels: str) -> float:
        return self.site.metrics.value("gateway_guesses_stopped_total", labels) or 0.0


def test_a_guesser_gets_five_tries_and_then_none_until_they_are_old() -> None:
    office = Office()
    assert [office.tries("alice", STRANGER, f"guess{number}") for number in range(60)] == [401] * 5 + [403] * 55
    assert office.tries("alice", STRANGER, "right") == 403
    assert len(office.seen) == 5
    assert office.stopped(by="pair") == 56
    (told,) = [event for _, event in office.site.metrics.events.after(0) if event.name == "security.guesses_stopped"]
    assert (told.who, told.source, told.fields["by"]) == ("sip:alice@example.com", "198.18.0.66:5066", "pair")
    office.later(301)
    assert office.tries("alice", STRANGER, "right") == 200


def test_guesses_that_are_sent_all_at_once_are_counted_before_their_answer() -> None:
    office = Office()
    office.tries("alice", STRANGER, "guess")
    office.site.network.datagrams[TRUNK].sent.clear()
    judged = office._judge
    held: list[Request] = []
    office._judge = lambda asked, stale: held.append(asked)  # type: ignore[method-assign]
    for number in range(50):
        office.send("alice", STRANGER, f"guess{number}", "n1")
    assert len(held) == 4
    for asked in held:
        judged(asked, False)
    assert len(office.seen) == 5


def test_of_thirty_phones_behind_one_address_the_one_with_a_wrong_password_is_slowed_alone() -> None:
    office = Office()
    phones = {f"phone{number}": (OFFICE, 6000 + number) for number in range(30)}
    wrong = "phone1"
    for _ in range(4):
        for user, place in phones.items():
            answer = office.tries(user, place, "wrong" if user == wrong else "right")
            assert user == wrong or answer == 200, user
    for number in range(30):
        assert office.tries(wrong, phones[wrong], "wrong") == (401 if number == 0 else 403)
    for user, place in phones.items():
        if user != wrong:
            assert office.tries(user, place, "right") == 200, user
            office.send(user, place, method="INVITE", to="sip:bob@example.com")
    assert len([one for one in office.seen if f'"{wrong}"' in (one.headers.get("Authorization") or "")]) == 5


def test_all_sources_together_get_ten_tries_and_the_registered_phone_goes_on() -> None:
    office = Office()
    assert office.tries("dave", DAVE, "right") == 200
    for host in range(1, 21):
        for _ in range(3):
            office.tries("dave", (f"198.18.0.{host}", 5060), "guess")
    assert len(office.seen) == 1 + 10
    assert office.tries("dave", DAVE, "right") == 200
    assert office.tries("dave", (OFFICE, 7001), "right") == 200, "over a new port of the NAT"


def test_a_stranger_behind_the_same_address_does_not_shut_the_phone_out() -> None:
    office = Office()
    assert office.tries("dave", DAVE, "right") == 200
    answers = [office.tries("dave", (OFFICE, 6666), "guess") for _ in range(9)]
    assert answers == [401] * 5 + [503] * 4
    assert office.tries("dave", DAVE, "right") == 200


def test_forged_packets_of_its_own_address_do_not_shut_the_phone_out() -> None:
    office = Office()
    assert office.tries("dave", DAVE, "right") == 200
    for number in range(50):  # the nonce is of another source: its answers do not come to the forger
        office.send("dave", DAVE, f"guess{number}", "elsewhere")
    assert len(office.seen) <= 1 + 5
    assert office.tries("dave", DAVE, "right") == 200
    answer = office.send("dave", DAVE, "right", "of-before-a-restart")
    assert answer is not None
    assert answer.status == 401, "it went on without credentials, and is asked anew"


def test_the_registered_phone_with_a_wrong_password_is_told_to_come_again() -> None:
    office = Office()
    assert office.tries("dave", DAVE, "right") == 200
    assert [office.tries("dave", DAVE, "wrong") for _ in range(8)] == [401] * 5 + [503] * 3
    stopped = office.send("dave", DAVE, "wrong", f"n{office.nonces}")
    assert stopped is not None
    assert 1 <= int(stopped.headers.get("Retry-After") or "") <= 30


def test_a_success_clears() -> None:
    office = Office()
    for _ in range(6):
        assert [office.tries("dave", DAVE, "wrong") for _ in range(4)] == [401] * 4
        assert office.tries("dave", DAVE, "right") == 200


def test_good_credentials_beside_those_of_the_victim_clear_nothing() -> None:
    office = Office()
    alice = 'Authorization: Digest username="alice", realm="o", nonce="n1", uri="u", response="guess"'
    for _ in range(10):
        office.tries("alice", STRANGER, "guess")
        office.send("mallory", STRANGER, "right", "n1", more=alice)  # the provider looks at the first alone
    wrong = [one for one in office.seen if 'response="guess"' in (one.headers.get("Authorization") or "")]
    assert len(wrong) == 5


def test_an_own_good_nonce_does_not_make_a_guess_at_another_an_old_answer() -> None:
    office = Office()
    assert office.tries("mallory", STRANGER, "right") == 200
    own = 'Authorization: Digest username="mallory", realm="o", nonce="n1", uri="u", response="x"'
    for number in range(20):
        office.send("alice", STRANGER, f"guess{number}", "n1", more=own)
    assert len([one for one in office.seen if '"alice"' in (one.headers.get("Authorization") or "")]) == 5


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_a_guess_counts_in_the_domain_whose_provider_hears_it(method: str) -> None:
    office = Office()
    for number in range(12):
        for domain in DOMAINS:
            office.send("alice", STRANGER, f"guess{number}", "n", method=method, to=f"sip:bob@{domain}")
    assert len(office.seen) == 5


def test_an_open_number_clears_nothing() -> None:
    office = Office()
    judged = office._judge

    def judge(asked: Request, stale: bool) -> None:
        if asked.request_uri.user != "open":
            judged(asked, stale)
        else:
            office.site.answer(asked, 200)

    office._judge = judge  # type: ignore[method-assign]
    for number in range(20):
        office.tries("alice", STRANGER, f"guess{number}", method="MESSAGE", to="sip:bob@example.com")
        nonce = f"n{office.nonces - 1}"
        office.send("alice", STRANGER, "guess", nonce, method="MESSAGE", to="sip:open@example.com")
    assert len(office.seen) == 5


def test_a_phone_with_capitals_in_its_name_is_known_after_a_restart() -> None:
    before, office = Office(), Office()
    assert before.tries("Dave", DAVE, "right") == 200
    (kept,) = before.site.store.find("sip:Dave@example.com")
    office.site.store.save(kept)
    for host in range(1, 21):
        office.tries("dave", (f"198.18.0.{host}", 5060), "guess")
    assert office.tries("Dave", DAVE, "right") == 200


def test_forged_guesses_do_not_push_out_the_count_of_proved_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "CAPACITY", 20)
    office = Office()
    for _ in range(5):
        office.tries("alice", STRANGER, "guess")
    for number in range(50):
        office.send(f"user{number}", (f"203.0.113.{number}", 5060), "guess", "n")
    assert office.tries("alice", STRANGER, "guess") == 403


def test_requests_within_a_dialog_are_guesses_too() -> None:
    office = Office()
    answer = office.send("mallory", STRANGER, "right", "n", "SUBSCRIBE", "sip:bob@example.com", "Event: presence")
    assert answer is not None
    assert answer.status == 200
    within = [
        "SUBSCRIBE sip:bob@192.0.2.1 SIP/2.0",
        f"Via: SIP/2.0/UDP {STRANGER[0]}:{STRANGER[1]};branch=z9hG4bK-in{{0}}",
        f"From: {answer.from_}",
        f"To: {answer.to}",
        f"Call-ID: {answer.call_id}",
        "CSeq: 1{0:02} SUBSCRIBE",
        "Max-Forwards: 70",
        f"Contact: <sip:mallory@{STRANGER[0]}:{STRANGER[1]}>",
        "Event: presence",
        'Authorization: Digest username="alice", realm="o", nonce="n{0}", uri="u", response="guess"',
        "Content-Length: 0",
    ]
    guessed = []
    for number in range(12):
        office.site.datagram("\r\n".join([*within, "", ""]).format(number).encode(), STRANGER)
        for asked in office.site.provider:
            if isinstance(asked, Request) and asked.method == "SUBSCRIBE":
                guessed.append(asked)
                office._judge(asked, stale=False)
    assert len(guessed) == 5


@pytest.mark.parametrize("spelling", ["ALICE", "alice@example.com", " alice", "sip:alice@x", "SIP:Alice", "sips:alice"])
def test_another_spelling_of_a_user_is_the_same(spelling: str) -> None:
    office = Office()
    for _ in range(5):
        office.tries("alice", STRANGER, "guess")
    before = len(office.seen)
    borne = f'Authorization: Digest username="{spelling}", realm="o", nonce="n1", uri="u", response="right"'
    answer = office.send("bob", STRANGER, more=borne)
    assert answer is not None
    assert answer.status == 403
    assert len(office.seen) == before


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE"])
def test_other_requests_are_guesses_too(method: str) -> None:
    office = Office()
    more = "Event: message-summary" if method == "SUBSCRIBE" else ""
    to = "sip:bob@example.com"
    for number in range(12):
        office.send("alice", STRANGER, f"guess{number}", "n", method=method, to=to, more=more)
    assert len(office.seen) == 5


def test_emergency_calls_always_go_on() -> None:
    office = Office()
    for _ in range(9):
        office.tries("alice", STRANGER, "guess")
    before, arrived = len(office.seen), office.arrived
    for _ in range(20):
        office.send("alice", STRANGER, "guess", "n", method="INVITE", to="sip:112@example.com")
    assert office.arrived == arrived + 20
    assert len(office.seen) == before + 5, "the others had no password"
    many = "\r\n".join(f'Authorization: Digest username="u{number}", nonce="n"' for number in range(9))
    office.send("alice", STRANGER, method="INVITE", to="sip:112@example.com", more=many)
    assert office.arrived == arrived + 21


def test_others_guesses_take_no_password_out_of_a_call_for_help() -> None:
    """Neither those of strangers elsewhere, nor forged ones, nor any at the flow that the user registered over."""
    office = Office()
    for host in range(1, 21):
        office.tries("dave", (f"198.18.0.{host}", 5060), "guess")
    assert office.tries("dave", DAVE, "right") == 503, "its user is stopped everywhere"
    for _ in range(30):
        office.send("dave", DAVE, "guess", "never-told", method="INVITE", to="sip:112@example.com")
    before = len(office.seen)
    office.tries("dave", DAVE, "right", method="INVITE", to="sip:112@example.com")
    assert len(office.seen) == before + 1
    office.later(301)
    assert office.tries("dave", DAVE, "right") == 200
    for _ in range(9):
        office.send("dave", DAVE, "old", "n", method="INVITE", to="sip:112@example.com")
    assert len(office.seen) == before + 11


def test_guesses_spread_over_users_are_counted_by_their_source_whatever_their_nonce() -> None:
    office = Office()
    for number in range(60):
        office.send(f"user{number}", STRANGER, "guess", "never-told")
    assert len(office.seen) == 10
    for number in range(60):
        office.tries(f"user{number}", STRANGER, "guess")
    assert len(office.seen) == 20
    assert office.tries("dave", DAVE, "right") == 200


def test_a_nonce_proves_its_source_whichever_method_it_was_told_for() -> None:
    """Providers take the nonce of a REGISTER in an INVITE: guesses made so are to be no others than those before."""
    office = Office()
    seen: list[Observation] = []
    office.site.metrics.observations.read(seen.append)
    office.send("alice", STRANGER)
    for number in range(9):
        office.send("alice", STRANGER, f"guess{number}", "n1", method="INVITE", to="sip:bob@example.com")
    assert len(office.seen) == 5
    assert {one.is_proved for one in seen if one.kind is Kind.DIGEST_FAILED} == {True}


def test_phones_of_one_source_that_were_told_one_nonce_are_each_taken() -> None:
    """Of a provider that tells everybody the same within a second (Kamailio's auth)."""
    office = Office()
    seen: list[Observation] = []
    office.site.metrics.observations.read(seen.append)
    for user in ("carol", "dave", "erin"):
        office.nonces = 6
        office.send(user, DAVE)
    for user in ("carol", "dave", "erin"):
        office.send(user, DAVE, "right", "n7")
    granted = [one.who for one in seen if one.kind is Kind.GRANTED]
    assert granted == ["carol@example.com", "dave@example.com", "erin@example.com"]


def test_an_old_nonce_is_no_wrong_password() -> None:
    office = Office()
    for _ in range(20):
        answer = office.send("alice", STRANGER, "right-but-old", "old", stale=True)
        assert answer is not None
        assert answer.status == 401
    assert len(office.seen) == 20


def test_a_memory_forgets_those_longest_unused() -> None:
    memory: BoundedMemory[int, int] = BoundedMemory(CAPACITY)
    for number in range(CAPACITY):
        memory.put(number, number)
    assert memory.get(0) == 0
    memory.put(-1, -1)
    assert (len(memory), memory.get(0), memory.get(1)) == (CAPACITY, 0, None)


def test_credentials_of_many_users_are_refused() -> None:
    office = Office()
    many = "\r\n".join(f'Authorization: Digest username="u{number}", nonce="n"' for number in range(9))
    answer = office.send("alice", STRANGER, more=many)
    assert answer is not None
    assert answer.status == 400
    assert office.seen == []


def test_a_nonce_that_two_sources_were_told_proves_neither() -> None:
    """A provider that tells everybody the same within a second: a forger that asks knows what its victim was told."""
    office = Office()
    seen: list[Observation] = []
    office.site.metrics.observations.read(seen.append)
    assert office.tries("alice", STRANGER, "guess") == 401
    for source in (STRANGER, ("198.18.0.67", 5060)):
        office.nonces = 50
        office.send("alice", source)
    office.send("alice", STRANGER, "guess", "n51")
    failed = [one.is_proved for one in seen if one.kind is Kind.DIGEST_FAILED]
    assert failed == [True, False]
