"""The parts of the judgement: trust, evidence, looks of scanners, rates, the mode."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from pathlib import Path

import pytest
from twisted.logger import capturedLogs, formatEvent

from gateway.base.network.kernel import source_address_toward
from gateway.base.rate import source_of
from gateway.observe.observations import Kind
from gateway.security.defence.mode import WEEK, Mode, ModeNow, first_run
from gateway.security.defence.rates import OTHERS, REGISTER, Rates
from gateway.security.defence.signatures import look_of, scanner_in
from gateway.security.defence.trust import DAY, KnownSources, Trust, Trusts
from gateway.sip.message import Request
from gateway.sip.parser import parse
from tests.security.defence.court import OFFICE, PROVIDER, STRANGER, Court
from tests.support.attacks.networks import Networks


class TestTrust:
    @pytest.mark.parametrize(
        ("source", "trust"),
        [
            (PROVIDER, Trust.NEVER),
            ("127.0.0.1", Trust.NEVER),
            ("::/64", Trust.NEVER),
            ("192.0.2.77", Trust.NEVER),
            ("2001:db8:1:2::/64", Trust.NEVER),
            (OFFICE, Trust.KNOWN),
            (STRANGER, Trust.UNKNOWN),
            ("2001:db8:1:3::/64", Trust.UNKNOWN),
        ],
    )
    def test_who_is_trusted(self, source: str, trust: Trust) -> None:
        trusts = Trusts(lambda: [PROVIDER], {OFFICE: 1}, KnownSources(lambda: 0.0, lambda source, at: None))
        trusts.adopt((ip_network("192.0.2.77/32"), ip_network("2001:db8:1:2::5/128")), 30)
        assert trusts.of(source) is trust
        assert trusts.may_be_banned(source) is (trust is not Trust.NEVER)

    @pytest.mark.parametrize("tells", [True, False])
    def test_very_many_sources_are_asked_for_at_once_and_by_the_same_rules(
        self, tells: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also this machine's own address is none to be banned, and where the system tells none each is looked up."""
        asked = []

        def hosts() -> list[str]:
            asked.append(1)
            return [PROVIDER]

        own = source_address_toward("192.0.2.1")
        if not tells:
            monkeypatch.setattr(socket, "AF_NETLINK", 4_000)  # as where a sandbox forbids it
        may_be_banned = Trusts(hosts, {}, KnownSources(lambda: 0.0, lambda source, at: None)).may_be_banned_now()
        known = [PROVIDER, "127.0.0.9", "gateway.example.com", "203.0.113.x", STRANGER, "2001:db8::/64"]
        assert [source for source in (*known, *filter(None, [own])) if may_be_banned(source)] == [*known[4:]]
        assert (len(asked) == 1) is tells

    def test_each_address_of_this_machine_is_none_to_be_banned(self) -> None:
        """Packets to a second address of a network leave from the first one, and it is this machine's all the same."""
        own, others = ["192.0.2.10", "192.0.2.11"], ["192.0.2.1", "192.0.2.12"]
        networks = Networks(("gateway", "lan"))
        try:
            networks.join("eth7", {"gateway": own, "lan": others[:1]})
            with networks.inside("gateway"):
                trusts = Trusts(tuple, {}, KnownSources(lambda: 0.0, lambda source, at: None))
                for may_be_banned in (trusts.may_be_banned, trusts.may_be_banned_now()):
                    assert [source for source in (*own, *others) if may_be_banned(source)] == others
        finally:
            networks.stop()

    def test_a_new_address_of_a_provider_counts_at_the_next_look_and_before_any_ban(self) -> None:
        hosts: set[str] = set()
        trusts = Trusts(lambda: hosts, {}, KnownSources(lambda: 0.0, lambda source, at: None))
        hosts.add(PROVIDER)
        assert trusts.of(PROVIDER) is Trust.UNKNOWN
        assert not trusts.may_be_banned(PROVIDER)
        assert trusts.of(PROVIDER) is Trust.NEVER
        assert PROVIDER in trusts.never_banned

    @pytest.mark.parametrize("host", ["fe80::1%eth0", "fe80::bad", "febf:ffff::1"])
    def test_the_neighbours_of_a_link_are_one_source_and_never_banned(self, host: str) -> None:
        """A ban of the /64 of one link-local address would be one of every phone and router there."""
        trusts = Trusts(tuple, {}, KnownSources(lambda: 0.0, lambda source, at: None))
        for may_be_banned in (trusts.may_be_banned, trusts.may_be_banned_now()):
            assert not may_be_banned(source_of(host))
            assert may_be_banned(source_of("2001:db8:1:2::9"))
        assert trusts.of(source_of(host)) is Trust.UNKNOWN

    def test_a_text_that_is_no_address_is_never_banned(self) -> None:
        trusts = Trusts(tuple, {}, KnownSources(lambda: 0.0, lambda source, at: None))
        assert not trusts.may_be_banned("gateway.example.com")

    def test_a_granted_registration_counts_for_its_days_and_is_kept_once_a_day(self) -> None:
        now = [0.0]
        kept: list[tuple[str, float]] = []
        known = KnownSources(lambda: now[0], lambda source, at: kept.append((source, at)), capacity=2)
        for _ in range(48):
            known.granted(OFFICE)
            now[0] += DAY / 24
        assert len(kept) == 2
        now[0] += 28 * DAY
        assert known.is_known(OFFICE, 30)
        now[0] += DAY
        assert not known.is_known(OFFICE, 30)
        for last in range(3):
            known.granted(f"192.0.2.{last}")
        assert len(known) == 2

        after = KnownSources(lambda: now[0], lambda source, at: None)
        after.recall([("192.0.2.9", now[0] - DAY)])
        assert after.is_known("192.0.2.9", 2)


class TestEvidence:
    def test_a_line_says_when_how_and_what(self) -> None:
        court = Court()
        court.sees(Kind.SCAN, line="OPTIONS sip:100@192.0.2.1", who="100@192.0.2.1")
        assert court.evidence.lines(STRANGER) == ("1970-01-12T13:46:40Z tcp scan: OPTIONS sip:100@192.0.2.1",)

    def test_secrets_and_control_characters_are_taken_out(self) -> None:
        court = Court()
        court.sees(Kind.SCAN, line="INVITE sip:100:geheim@192.0.2.1\r\nX: \x1b[31m")
        (line,) = court.evidence.lines(STRANGER)
        assert "geheim" not in line
        assert line.isprintable()

    @pytest.mark.parametrize("begin", range(180, 200))
    def test_a_password_that_the_cut_would_leave_half_of_is_taken_out_whole(self, begin: int) -> None:
        """Five digits or fewer behind a colon would be taken for a port."""
        court = Court()
        user = "x" * (begin - len("INVITE sip:"))
        court.sees(Kind.SCAN, line=f"INVITE sip:{user}:1234567890@192.0.2.1")
        (line,) = court.evidence.lines(STRANGER)
        assert ":1" not in line.partition("sip:")[2]

    def test_the_latest_twenty_are_kept_and_a_flood_costs_one_a_second(self) -> None:
        court = Court()
        for second in range(100):
            for _ in range(10):
                court.sees(Kind.MALFORMED, proved=False, line=f"line {second}")
            court.passes(1)
        lines = court.evidence.lines(STRANGER)
        assert len(lines) == 20
        assert lines[-1].endswith("line 99")

    def test_a_user_that_is_not_known_here_is_a_hash(self) -> None:
        court = Court()
        for user in ("100@example.com", "my-password@example.com"):
            court.sees(Kind.DIGEST_FAILED, who=user)
        known, unknown = court.evidence.users(STRANGER)
        assert known == "100@example.com"
        assert unknown.startswith("unknown-")
        assert "my-password" not in unknown

    def test_forged_sources_push_out_no_line_of_a_proved_one(self) -> None:
        court = Court()
        court.sees(Kind.MALFORMED, line="proved")
        for last in range(20_000):
            court.sees(Kind.MALFORMED, f"10.0.{last >> 8}.{last & 255}", proved=False, line="forged")
        assert court.evidence.lines(STRANGER)[0].endswith("proved")
        assert court.evidence.lines("10.0.0.0") == ()


def request(agent: str = "Snom/8.9", sender: str = "<sip:100@example.com>;tag=as6f4b1c") -> Request:
    head = (
        "OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
        f"From: {sender}\r\nTo: <sip:100@192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nUser-Agent: {agent}\r\n\r\n"
    )
    message = parse(head.encode())
    assert isinstance(message, Request)
    return message


class TestSignatures:
    @pytest.mark.parametrize(
        "agent",
        [
            "friendly-scanner",
            "FRIENDLY-SCANNER/2",
            "sipvicious",
            "sipcli/v1.8",
            "VaxSIPUserAgent/3.1",
            "Nmap NSE",
            "pplsip",
        ],
    )
    def test_scanners_name_themselves(self, agent: str) -> None:
        assert scanner_in(request(agent))

    def test_the_look_in_bytes_is_that_of_two_fields_and_no_others(self) -> None:
        look = look_of(("evil/",))
        for agent in ("friendly-scanner", "SIPCLI/v1.8", "Evil/1"):
            assert look.search(request(agent).to_bytes())
        assert look.search(request(sender='"sipvicious"<sip:100@1.1.1.1>;tag=1').to_bytes())
        for innocent in (
            b"Subject: friendly-scanner",
            b"\r\n\r\na friendly-scanner",
            b"User-Agent: a\r\nX: sipvicious",
        ):
            assert not look.search(b"MESSAGE sip:a@b SIP/2.0\r\n" + innocent)

    def test_an_operators_own_list(self) -> None:
        assert not scanner_in(request("Evil/1"))
        assert scanner_in(request("Evil/1"), ("evil/",))

    @pytest.mark.parametrize(
        "tag",
        [
            (b"7f00000113c4" + b"\x01" + b"2817381643").hex(),  # svmap
            (b"100" + b"\x01" + b"4132587613").hex(),  # svwar
            (b"100:1234" + b"\x01" + b"132587613").hex(),  # svcrack
            "3206210844",
        ],
    )
    def test_tags_of_sipvicious_under_another_name(self, tag: str) -> None:
        assert scanner_in(request(sender=f'"100" <sip:100@1.1.1.1>;tag={tag}'))

    @pytest.mark.parametrize(
        ("agent", "tag"),
        [
            ("Cisco/SPA504G-7.5.5", "3db8a0c2e1f2d3a4o0"),
            ("Yealink SIP-T46S 66.86.0.15", "1489172134"),
            ("Asterisk PBX 18", "as58f0e5a1"),
            ("PolyEdge", "6f3d2a01bb3034313233343536"),
            ("", "30313233343536373839"),
        ],
    )
    def test_phones_do_not_look_so(self, agent: str, tag: str) -> None:
        assert scanner_in(request(agent, f"<sip:100@example.com>;tag={tag}")) == ""


class TestRates:
    def allowed(self, rates: Rates, trust: Trust, count: int, method: str = "REGISTER", phones: int = 0) -> int:
        return sum(rates.allows(STRANGER, method, trust, phones, 0.0) for _ in range(count))

    @pytest.mark.parametrize("trust", [Trust.KNOWN, Trust.UNKNOWN])
    def test_the_burst_goes_through_and_the_excess_does_not(self, trust: Trust) -> None:
        assert self.allowed(Rates(), trust, 500) == REGISTER[trust].burst
        assert self.allowed(Rates(), trust, 5_000, "INVITE") == OTHERS[trust].burst

    def test_phones_that_are_registered_make_room_for_themselves(self) -> None:
        """A thousand phones behind one address may all come back at once: a challenge and an answer each."""
        assert self.allowed(Rates(), Trust.KNOWN, 2_000, phones=1_000) == 2_000

    def test_it_fills_again(self) -> None:
        rates = Rates()
        self.allowed(rates, Trust.UNKNOWN, 100)
        assert not rates.allows(STRANGER, "REGISTER", Trust.UNKNOWN, 0, 0.9)
        assert rates.allows(STRANGER, "REGISTER", Trust.UNKNOWN, 0, 1.1)

    def test_a_throttled_source_has_one_in_five_seconds(self) -> None:
        rates = Rates()
        passed = sum(rates.allows_throttled(STRANGER, "REGISTER", float(second)) for second in range(100))
        assert 27 <= passed <= 28

    def test_unknown_sources_in_any_number_take_nothing_from_known_ones(self) -> None:
        rates = Rates(capacity=100)
        for index in range(1_000):
            rates.allows(f"10.0.{index >> 8}.{index & 255}", "REGISTER", Trust.UNKNOWN, 0, 0.0)
        assert not rates.allows("192.0.2.1", "REGISTER", Trust.UNKNOWN, 0, 0.0)
        assert rates.allows(OFFICE, "REGISTER", Trust.KNOWN, 30, 0.0)


class TestMode:
    def test_a_week_of_reports(self) -> None:
        now = [1000.0]
        mode = ModeNow(now[0], lambda: now[0])
        assert (mode.mode, mode.is_first_week) == (Mode.REPORT, True)
        now[0] += WEEK
        mode.look()
        assert (mode.mode, mode.is_first_week) == (Mode.DEFEND, False)

    def test_the_log_says_how_long_it_only_reports(self) -> None:
        mode = ModeNow(0.0, lambda: 86_400.0)
        with capturedLogs() as captured:
            mode.tell()
            mode.adopt("defend")
            mode.tell()
        assert [formatEvent(event) for event in captured] == [
            "the defence is in the mode report, for 6.0 days more",
            "the defence is in the mode defend",
        ]

    @pytest.mark.parametrize("wanted", ["report", "defend", "off"])
    def test_the_configuration_counts_at_once(self, wanted: str) -> None:
        mode = ModeNow(0.0, lambda: 0.0)
        mode.adopt(wanted)
        assert (mode.mode, mode.is_first_week) == (Mode(wanted), False)
        mode.adopt(None)
        assert mode.mode is Mode.REPORT

    def test_the_first_run_is_remembered(self, tmp_path: Path) -> None:
        file = tmp_path / "defence-since"
        assert first_run(file, 1000.0) == 1000.0
        assert first_run(file, 5000.0) == 1000.0
        assert file.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("text", ["", "soon", "99999999999", "nan", "inf"])
    def test_a_file_of_no_use_begins_the_week_anew(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "since").write_text(text)
        assert first_run(tmp_path / "since", 5000.0) == 5000.0
        assert first_run(tmp_path / "since", 6000.0) == 5000.0

    def test_a_disk_that_takes_nothing_is_told_and_no_more(self, tmp_path: Path) -> None:
        assert first_run(tmp_path / "missing" / "since", 5000.0) == 5000.0
