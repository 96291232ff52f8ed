"""The defence with the whole signalling: an office behind one address, guessers, and forgers of addresses."""

from __future__ import annotations

from ipaddress import ip_network
from typing import cast

import attrs
import pytest

from gateway.config.model import FixedPhone
from gateway.config.tables.defence_table import DefenceTerms
from gateway.config.tables.phones.number_block import NumberBlock
from gateway.config.tables.phones.phone_table import PbxProof
from gateway.security.defence.bans import Ban, BanState, NeverBanned
from gateway.sip.message import Request
from gateway.transport.udp import DatagramListener
from tests.security.test_guesses import OFFICE, STRANGER, Office
from tests.support.parts import MemoryTable
from tests.support.signalling import PROVIDER, TRUNK, UDP, Signalling

WRONG = "phone1"
MODE = DefenceTerms(mode="defend")


class Defended(Office):
    """An office whose gateway defends itself."""

    def __init__(self, terms: DefenceTerms | None = None) -> None:
        super().__init__()
        self.site = Signalling(terms={"defence": terms or DefenceTerms(mode="defend")})

    def bans(self) -> dict[str, Ban]:
        """By source, as an operator sees them after a look."""
        assert self.site.defence is not None
        self.site.defence.look()
        return {ban.source: ban for ban in self.site.defence.defence.bans.current()}

    def reaches(self, user: str, source: tuple[str, int], password: str) -> int | None:
        """As `tries`, for a source that may get no answer."""
        asked = self.send(user, source)
        if asked is None or asked.status != 401:
            return None if asked is None else asked.status
        told = (asked.headers.get("WWW-Authenticate") or "").partition('nonce="')[2].partition('"')[0]
        self.site.network.datagrams[UDP].sent.clear()
        answer = self.send(user, source, password, told)
        return None if answer is None else answer.status


def test_of_thirty_phones_behind_one_address_one_with_a_wrong_password_is_slowed_alone() -> None:
    office = Defended()
    phones = {f"phone{number}": (OFFICE, 6000 + number) for number in range(30)}
    for _ in range(20):
        for user, place in phones.items():
            answer = office.reaches(user, place, "wrong" if user == WRONG else "right")
            assert user == WRONG or answer == 200, user
        office.later(30)
    for _ in range(6):
        office.reaches(WRONG, phones[WRONG], "wrong")
    refused = office.send(WRONG, phones[WRONG], "wrong", f"n{office.nonces}")

    assert office.bans() == {}
    assert refused is not None
    assert int(refused.headers.get("Retry-After") or "") > 0
    for user, place in phones.items():
        if user != WRONG:
            assert office.reaches(user, place, "right") == 200, user
            office.send(user, place, method="INVITE", to="sip:bob@example.com")
    assert office.stopped(by="pair") > 0


def test_a_guesser_is_banned_within_ten_tries_and_the_right_password_comes_too_late() -> None:
    office = Defended()
    answers = [office.reaches("alice", STRANGER, f"guess{number}") for number in range(60)]
    ban = office.bans()[STRANGER[0]]

    assert answers[:5] == [401] * 5
    assert set(answers[11:]) == {None}
    assert (ban.state, ban.reason) == (BanState.ACTIVE, "digest_failed")
    assert all("REGISTER sip:example.com" in line for line in ban.evidence)
    assert office.reaches("alice", STRANGER, "right") is None
    assert len(office.seen) == 5
    counted = office.site.metrics.value("gateway_banned_packets_total", {"transport": "udp"})
    assert counted is not None
    assert counted > 40
    told = [str(event.name) for _, event in office.site.metrics.events.after(0)]
    assert told.count("security.banned") == 1
    assert "security.digest_failed" in told


def test_a_host_that_is_a_pbxs_by_its_sources_alone_is_never_banned() -> None:
    office = Defended()
    inside, outside = ("203.0.113.66", 5099), STRANGER
    pbx = FixedPhone(
        "office",
        "example.com",
        ("sip:203.0.113.50;transport=udp",),
        (NumberBlock.parse("+4930777"),),
        PbxProof.ADDRESS,
        sources=(ip_network("203.0.113.64/28"),),
    )
    assert office.site.defence is not None
    office.site.defence.adopt(attrs.evolve(office.site.configuration, defence=MODE, phones=(pbx,)))
    for source in (inside, outside):
        for number in range(60):
            office.reaches("alice", source, f"guess{number}")
    assert [*office.bans()] == [outside[0]]
    with pytest.raises(NeverBanned):
        office.site.defence.defence.order("203.0.113.79", 60, "alice")

    office.site.defence.adopt(attrs.evolve(office.site.configuration, defence=MODE))
    for number in range(60):
        office.reaches("alice", inside, f"guess{number}")
    assert {*office.bans()} == {inside[0], outside[0]}


def test_in_the_first_week_it_is_only_told() -> None:
    office = Defended(DefenceTerms())
    answers = [office.reaches("alice", STRANGER, f"guess{number}") for number in range(30)]

    assert answers == [401] * 5 + [403] * 25
    assert office.bans()[STRANGER[0]].state is BanState.WOULD_BE
    assert office.site.metrics.value("gateway_would_ban_total", {"reason": "digest_failed"}) == 1
    assert office.site.metrics.value("gateway_bans_in_force", {"by": "would_be"}) == 1


def test_packets_forged_under_the_address_of_the_provider_and_of_the_office_ban_neither() -> None:
    office = Defended()
    assert office.reaches("dave", (OFFICE, 6001), "right") == 200
    for number in range(300):
        for victim in ((OFFICE, 6666), PROVIDER):
            office.send(f"user{number}", victim, f"guess{number}", "never-told")
            office.site.datagram(b"OPTIONS sip:100@example.com SIP/2.0\r\n\r\n", victim)
            office.site.datagram(b"OPTIONS sip:100@example.com SIP/2.0\r\n\r\n", victim, TRUNK)

    assert office.bans() == {}
    office.later(301)
    assert office.reaches("dave", (OFFICE, 6001), "right") == 200
    port = office.site.transport.port("provider")
    assert isinstance(port, DatagramListener)
    assert office.site.admission.knows(port.flow(*PROVIDER))


def test_a_scanner_that_names_itself_hears_nothing() -> None:
    office = Defended()
    for number in range(30):
        assert office.send(f"{number}", STRANGER, method="OPTIONS", more="User-Agent: friendly-scanner") is None
    assert office.bans() == {}
    assert office.site.transactions.counts_alive() == 0
    counted = office.site.metrics.value("gateway_security_events_total", {"event": "scan", "side": "phones"})
    assert counted is not None
    assert counted < 30  # the others were dropped by their bytes


def test_nmaps_probe_of_versions_hears_nothing() -> None:
    """`nmap -sV`, word for word, and the engines that search the internet by it: it names no User-Agent."""
    probe = (
        b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=foo;rport\r\nFrom: <sip:nm@nm>;tag=root\r\n"
        b"To: <sip:nm2@nm2>\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n"
        b"Contact: <sip:nm@nm>\r\nAccept: application/sdp\r\n\r\n"
    )
    office, phone = Defended(), Defended()
    office.site.datagram(probe, STRANGER)
    assert office.site.network.datagrams[UDP].sent == []
    assert office.site.metrics.value("gateway_security_events_total", {"event": "scan", "side": "phones"}) == 1
    phone.site.datagram(probe.replace(b"tag=root", b"tag=5f1c"), STRANGER)
    assert phone.site.network.datagrams[UDP].sent, "a ping like a phone's has its answer"


def test_a_reload_adopts_the_mode_and_lets_in_all_that_is_never_banned() -> None:
    office = Defended()
    for number in range(30):
        office.reaches("alice", STRANGER, f"guess{number}")
    assert set(office.bans()) == {STRANGER[0]}
    part = office.site.defence
    assert part is not None
    terms = DefenceTerms(mode="report", never_ban=(ip_network("198.18.0.0/24"),))
    part.adopt(attrs.evolve(office.site.configuration, defence=terms))

    assert office.bans() == {}
    assert not office.site.transport.banned.is_banned(STRANGER[0])
    assert office.reaches("alice", STRANGER, "guess") == 403
    with pytest.raises(NeverBanned):
        part.defence.order("198.18.0.9", 60, "alice")


@pytest.mark.parametrize("mode", ["report", "off"])
def test_a_mode_that_turns_nobody_away_ends_bans_of_the_defence_and_none_of_an_operator(mode: str) -> None:
    office = Defended()
    for number in range(30):
        office.reaches("alice", STRANGER, f"guess{number}")
    part = office.site.defence
    assert part is not None
    part.defence.order("198.18.0.9", 600, "alice")
    banned = office.site.transport.banned
    assert banned.is_banned(STRANGER[0])
    part.adopt(attrs.evolve(office.site.configuration, defence=DefenceTerms(mode=mode)))

    assert set(office.bans()) == {"198.18.0.9"}
    assert not banned.is_banned(STRANGER[0])
    assert banned.is_banned("198.18.0.9")


def test_a_ban_of_before_a_restart_ends_where_nobody_is_turned_away() -> None:
    before, after = Defended(), Defended()
    for number in range(30):
        before.reaches("alice", STRANGER, f"guess{number}")
    part = after.site.defence
    assert part is not None
    part.adopt(attrs.evolve(after.site.configuration, defence=DefenceTerms(mode="report")))
    part.defence.bans.restore(before.bans().values())
    assert after.site.transport.banned.is_banned(STRANGER[0])
    assert after.bans() == {}  # after the first look
    assert not after.site.transport.banned.is_banned(STRANGER[0])


def test_bans_of_before_a_restart_are_in_force_and_no_news() -> None:
    before, after = Defended(), Defended()
    assert before.site.defence is not None
    assert after.site.defence is not None
    made = before.site.defence.defence.order(STRANGER[0], 600, "alice", "he calls at night")
    assert [str(event.name) for _, event in before.site.metrics.events.after(0)] == ["security.banned"]
    after.site.defence.defence.bans.restore([made])

    assert after.bans() == {STRANGER[0]: made}
    assert after.reaches("alice", STRANGER, "right") is None
    assert after.site.metrics.events.last == 0
    assert after.site.metrics.value("gateway_bans_total", {"reason": "operator", "action": "drop"}) is None


def test_an_address_that_a_phone_registered_from_is_known_after_a_restart() -> None:
    before, after, other = Defended(), Defended(), Defended()
    assert before.reaches("dave", STRANGER, "right") == 200
    rows = cast(MemoryTable, before.site.state.known_sources).rows
    assert set(rows) == {STRANGER[0]}
    cast(MemoryTable, after.site.state.known_sources).rows.update({**rows, "192.0.2.1": {"of": "another version"}})
    for office in (after, other):
        assert office.site.defence is not None
        office.site.defence.start()
        for number in range(60):
            office.reaches("alice", STRANGER, f"guess{number}")

    assert after.bans() == {}
    assert set(other.bans()) == {STRANGER[0]}


def test_the_looks_end_a_ban() -> None:
    office = Defended()
    part = office.site.defence
    assert part is not None
    part.start()
    part.defence.order(STRANGER[0], 60, "alice")
    office.later(59)
    assert office.site.transport.banned.drops(STRANGER[0], "udp")
    office.later(4)
    assert not office.site.transport.banned.drops(STRANGER[0], "udp")
    part.stop()


def test_a_search_for_users_ends_after_twenty() -> None:
    office = Defended()
    answers = [office.send(f"{number}", STRANGER) for number in range(100, 200)]
    answered = [answer for answer in answers if answer is not None]

    assert 20 <= len({one.to.uri.user for one in answered}) <= 22
    assert office.bans() == {}  # over UDP, and without a nonce: the address may be anybody's


def test_a_search_for_users_with_nonsense_for_a_password_ends_as_well() -> None:
    """The user in the credentials may be another than the one that is looked for."""
    office, reached = Defended(), list[Request]()

    def unknown(asked: Request, stale: bool) -> None:
        reached.append(asked)
        office.site.network.datagrams[TRUNK].arrive(asked.response(404, to_tag="p").to_bytes(), PROVIDER)

    office._judge = unknown  # type: ignore[method-assign]
    nonsense = 'Authorization: Digest username="x", realm="example.com", nonce="n", response="0"'
    for number in range(100, 200):
        office.send("x", STRANGER, method="OPTIONS", to=f"sip:{number}@example.com", more=nonsense)
    assert 40 <= len(reached) <= 42


def test_a_ban_leaves_a_call_that_is_up_and_takes_all_when_it_is_over() -> None:
    """The stake is a registered phone here: it is refused at the lookout, not at the socket."""
    office = Defended()
    assert office.reaches("dave", (OFFICE, 6001), "right") == 200
    assert office.site.defence is not None
    office.site.defence.defence.order(OFFICE, 3600, "alice")
    banned = office.site.transport.banned
    office.site.defence.look()
    assert banned.is_banned(OFFICE)
    assert not banned.drops(OFFICE, "udp")
    assert office.reaches("dave", (OFFICE, 6001), "right") is None

    office.later(4000)
    office.site.registrar.expire()
    office.site.defence.doors.look()
    assert banned.is_banned(OFFICE)
    assert banned.drops(OFFICE, "udp")
