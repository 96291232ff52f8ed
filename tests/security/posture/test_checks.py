"""Every check: it passes in an office that is well, and fails or warns where something is wrong."""

from __future__ import annotations

import attrs
import pytest

from gateway.security.posture.advisories import our_advisories
from gateway.security.posture.assessment import assessed, checks_by, judged
from gateway.security.posture.findings import CheckResult, Finding
from gateway.security.posture.posture_facts import (
    KnownInterface,
    KnownListener,
    KnownMedia,
    PostureFacts,
    SeenTls,
    ServedCertificate,
)
from gateway.state.devices.device_table import DeviceCount
from tests.security.posture.posture_world import (
    DAY,
    ENCRYPTED,
    FAR,
    GOOD,
    NOW,
    around,
    but,
    calls,
    defence,
    domain,
    process,
    provider,
)

CHECKS = checks_by(our_advisories())
CLEAR = calls(10, "CLEAR", "CLEAR_PEER_NO_TLS")
OTHER_DOMAIN = attrs.evolve(GOOD.domains[0], name="b.example")
SPA = DeviceCount("Cisco", "SPA504G", "7.5.5", 3)

# The check, the office, its answer, a part of the evidence, a part of the recommendation.
WRONG = (
    ("ENC-1", but(calls=(ENCRYPTED, CLEAR)), "fail", "90 ENCRYPTED, 10 CLEAR", "transport=tls"),
    ("ENC-1", but(calls=(ENCRYPTED, calls(1, "CLEAR", "CLEAR_PEER_NO_SRTP"))), "warn", "1 CLEAR", "SRTP"),
    ("ENC-2", but(calls=(ENCRYPTED, CLEAR)), "fail", "10 in clear, CLEAR_PEER_NO_TLS; gatewayctl calls", "uri"),
    ("ENC-3", domain(security="off"), "fail", "security is off", "gatewayctl domain example.com --security required"),
    ("ENC-3", domain(security="preferred"), "warn", "preferred", "gatewayctl domain example.com --security required"),
    ("ENC-4", but(phones={"tls": 10, "udp": 20}), "warn", "20 over UDP", "[[listener]]"),
    ("ENC-5", but(calls=(ENCRYPTED, calls(1, "CLEAR", "CLEAR_EMERGENCY"))), "warn", "1 emergency", "--reason"),
    ("ENC-6", but(calls=(ENCRYPTED, CLEAR)), "fail", "10 calls with less, 5 are allowed", "gatewayctl budget; "),
    ("TLS-1", but(certificates=(ServedCertificate("tls", 3, ("3 days left",)),)), "fail", "3 days left", "[acme]"),
    (
        *("TLS-1", but(certificates=(ServedCertificate("tls", 90, ("a key of 1024 bits",), has_short_key=True),))),
        *("fail", "1024 bits", "[acme]"),
    ),
    ("TLS-1", but(certificates=(ServedCertificate("a key of", 90, ("signed by SHA1",)),)), "warn", "SHA1", "[acme]"),
    ("TLS-1", but(certificates=(ServedCertificate("tls", 25, ("25 days left",)),)), "warn", "25 days left", "[acme]"),
    ("TLS-2", but(handshakes=(SeenTls("phones", "", "TLSv1.2", "AES128-SHA", 3),)), "fail", "AES128-SHA", "ciphers ="),
    ("TLS-2", but(handshakes=(SeenTls("phones", "", "TLSv1.2", "ECDHE-RSA-AES128-SHA", 3),)), "warn", "3 times", ""),
    ("TLS-3", but(listeners=(attrs.evolve(FAR, asks_for_certificate=False),)), "warn", "provider", "client_trust"),
    ("TLS-4", provider(allow_wildcards=True), "fail", "main: allow_wildcards = true", "subject alternative name"),
    ("TLS-4", provider(common_name=True), "fail", "main: common_name = true", "take the key away"),
    ("TLS-5", provider(shows_certificate=False), "warn", "main is shown no certificate", "private_key"),
    ("TLS-6", but(up_since=NOW - 60 * DAY), "warn", "60 days old", "gatewayctl reload"),
    ("TLS-7", but(old_versions_asked=4), "warn", "4 handshakes", "firmware"),
    ("SRTP-1", but(suites={("phones", "AES_CM_128_HMAC_SHA1_32"): 5}), "warn", "_32, 5 streams", "suites ="),
    ("SRTP-2", but(calls=(calls(4, "MEDIA_ONLY_WEAK"),)), "fail", "4 calls", "transport=tls"),
    ("SRTP-3", but(media=KnownMedia(plain_rtcp=("phones",))), "warn", "plain_rtcp allows it toward phones", "[media]"),
    ("SRTP-3", but(calls=(calls(2, "SIGNALLING_ONLY", "CLEAR_RTCP"),)), "fail", "2 calls", "plain_rtcp"),
    ("EXP-1", but(listeners=(KnownListener("p", "phones", "udp", "8.8.8.8"),)), "fail", "udp on 8.8.8.8", "firewall"),
    ("EXP-1", but(listeners=(KnownListener("p", "phones", "udp", "0.0.0.0"),)), "warn", "every address", "address of"),
    ("EXP-2", but(interface=KnownInterface("10.0.0.10")), "fail", "no user exists", "gatewayctl users add"),
    ("EXP-2", but(interface=KnownInterface("127.0.0.1")), "warn", "it speaks no HTTPS", "[admin]"),
    ("EXP-3", but(media=KnownMedia("10.0.0.10:2223")), "fail", "10.0.0.10:2223", "ng_listen"),
    ("EXP-4", around(provisioning=("https", "tftp")), "fail", "TFTP", "HTTPS"),
    ("EXP-5", around(provisioning_open=True), "warn", "unknown phones", "window"),
    ("EXP-7", around(first_file_ports=("tftp_port",)), "warn", "tftp_port is open", "tftp_port = 0 in [provisioning]"),
    ("EXP-6", but(interface=KnownInterface("::1", True, True, ("10.0.0.0/8",))), "fail", "10.0.0.0/8", "metrics_from"),
    ("AUTH-1", domain(challenge=()), "warn", "example.com", 'challenge = ["INVITE"]'),
    ("AUTH-2", domain(algorithms=("MD5",)), "fail", "offers MD5 alone", "challenge_algorithms"),
    ("AUTH-3", domain(weak_passwords=(4, 0, 2, 30)), "fail", "4 are short", "credentials"),
    ("AUTH-4", domain(registered_callers_only=False), "fail", "example.com", "registered_callers_only = true"),
    ("AUTH-5", around(phones_that_challenge=(3, 30)), "warn", "3 of 30", "Auth INVITE"),
    ("ACL-1", domain(access=("192.0.2.1", "2001:db8::1")), "fail", "by address alone", "restricted_access_domains"),
    ("ACL-1", domain(access=()), "warn", "its provider's own hosts", "restricted_access_domains"),
    ("ACL-2", attrs.evolve(defence(mode="report"), strangers=7), "warn", "7 requests", 'mode = "defend"'),
    ("ACL-2", attrs.evolve(defence(mode=None), strangers=7), "warn", "7 requests", "firewall"),
    ("DEV-1", but(devices=(SPA,)), "fail", "support ended on 2025-05-31", "Replace"),
    ("DEV-2", but(devices=(SPA,)), "fail", "CVE-2024-20450, CVE-2024-20452, CVE-2024-20454: critical, no fix", "web"),
    ("DEV-3", around(default_passwords=2), "fail", "2 phones", "password of its own"),
    ("DEV-4", but(devices=(DeviceCount("", "", "", 5),)), "warn", "unknown make: 5 devices", "gatewayctl phones"),
    ("FRAUD-1", defence(limits=0), "fail", "no limit", "[[limit]]"),
    ("FRAUD-1", defence(limits=0, limits_reporting=2), "warn", "2 limits report", 'then = "refuse"'),
    ("FRAUD-1", defence(limits=1, unlimited=("example.com",)), "fail", "no limit", "of all users"),
    (
        *("FRAUD-1", attrs.evolve(defence(unlimited=("b.example",)), domains=(*GOOD.domains, OTHER_DOMAIN))),
        *("warn", "b.example: no such limit", "of all users and hours"),
    ),
    ("FRAUD-2", defence(unlimited_at_night=("example.com",)), "fail", "at night", "[[limit]]"),
    ("FRAUD-3", defence(limits_hit=3), "warn", "3 calls", "gatewayctl limits"),
    ("OPS-1", process(newest_version="0.2.0"), "fail", "0.2.0 is there", "Upgrade"),
    ("OPS-2", process(clock_synchronized=False), "fail", "not synchronized", "chrony"),
    ("OPS-3", process(disk_free=0.01), "fail", "1% of", "history_days"),
    ("OPS-3", process(disk_free=0.1), "warn", "10% of", "history_days"),
    ("OPS-3", process(failing_files=("calls.sqlite",)), "fail", "calls.sqlite cannot be written", "disk"),
    ("OPS-4", process(metrics_read=0), "warn", "read 0 times", "Prometheus"),
    ("OPS-4", process(lost_log_lines=5), "warn", "5 lines", "metrics.md"),
    ("OPS-5", process(backup_days=90.0), "fail", "90 days ago", "last-backup"),
    ("OPS-6", process(gateways=1), "warn", "1 gateways", "second gateway"),
    ("OPS-7", process(worker_restarts=2), "warn", "2 media workers", "journalctl"),
    ("OPS-8", defence(alerts=0), "fail", "nobody is told", "[[alert]]"),
    ("OPS-8", defence(alerts_lost=9), "fail", "9 alerts", "[[alert]]"),
    ("NET-1", around(rogue_dhcp=1), "fail", "1 DHCP", "snooping"),
    ("NET-2", around(voice_vlan=False), "warn", "share a network", "VLAN"),
    ("NET-3", provider(targets=1), "warn", "main: 1 ways", "SRV"),
)

APART = (
    ("TLS-1", but(certificates=())),
    ("TLS-3", but(listeners=(attrs.evolve(FAR, transport="udp"),))),
    ("TLS-6", but(certificates=())),
    ("EXP-4", around(provisioning=())),
    ("EXP-5", around(provisioning=())),
    ("EXP-7", around(provisioning=())),
    ("ENC-6", domain(budget=None)),
    ("AUTH-2", domain(challenge=())),
    ("AUTH-3", domain(weak_passwords=None)),
    ("NET-3", provider(targets=None)),
    ("ENC-4", but(phones={})),
    *((f"DEV-{number}", but(devices=())) for number in (1, 2, 4)),
)


def found(check: str, facts: PostureFacts) -> Finding:
    return next(one for one in judged(CHECKS, facts) if one.check.id == check)


@pytest.mark.parametrize("check", [one.id for one in CHECKS])
def test_each_check_passes_in_an_office_that_is_well(check: str) -> None:
    finding = found(check, GOOD)
    assert finding.judgement.outcome is CheckResult.PASS, finding.judgement.evidence
    assert finding.cost == 0
    assert finding.judgement.recommendation == ""


@pytest.mark.parametrize(("check", "facts", "outcome", "evidence", "recommendation"), WRONG)
def test_a_check_that_does_not_pass_names_the_facts_and_the_remedy(
    check: str, facts: PostureFacts, outcome: str, evidence: str, recommendation: str
) -> None:
    judgement = found(check, facts).judgement
    assert str(judgement.outcome) == outcome, judgement
    assert any(evidence in line.text for line in judgement.evidence), judgement.evidence
    assert recommendation in judgement.recommendation
    assert 0 <= judgement.share <= 1


def test_there_is_no_check_without_a_test_in_which_it_does_not_pass() -> None:
    assert {row[0] for row in WRONG} == {one.id for one in CHECKS}


@pytest.mark.parametrize(("check", "facts"), APART)
def test_a_check_without_anything_to_judge_costs_nothing(check: str, facts: PostureFacts) -> None:
    finding = found(check, facts)
    assert finding.judgement.outcome is CheckResult.NOT_APPLICABLE
    assert finding.cost == 0


@pytest.mark.parametrize("check", [one.id for one in CHECKS])
def test_of_an_empty_gateway_nothing_is_known(check: str) -> None:
    finding = found(check, PostureFacts())
    assert finding.judgement.outcome is CheckResult.UNKNOWN
    assert finding.judgement.evidence[0].text
    assert finding.cost > 0


def test_files_that_travel_encrypted_and_first_files_in_a_window_are_well() -> None:
    sealed = found("EXP-4", around(provisioning=("https", "sealed"))).judgement
    assert sealed.outcome is CheckResult.PASS
    assert "encrypted by themselves" in sealed.evidence[-1].text
    window = around(provisioning_open=True, first_file_ports=("tftp_port",))
    assert found("EXP-7", window).judgement.outcome is CheckResult.PASS


@pytest.mark.parametrize("place", ["127.0.0.1:2223", "[::1]:2223", "localhost:2223"])
def test_commands_that_this_machine_alone_can_give_are_well(place: str) -> None:
    assert found("EXP-3", but(media=KnownMedia(place))).judgement.outcome is CheckResult.PASS


def test_a_backup_that_was_never_noted_is_unknown_and_its_remedy_is_told() -> None:
    judgement = found("OPS-5", process(backup_days=-1.0)).judgement
    assert judgement.outcome is CheckResult.UNKNOWN
    assert "last-backup" in judgement.recommendation


def test_old_advisories_do_not_say_that_a_version_is_the_newest() -> None:
    assert found("OPS-1", process(advisories_days=400)).judgement.outcome is CheckResult.UNKNOWN


def test_calls_that_a_budget_excuses_are_not_held_against_it() -> None:
    excused = (calls(50, "CLEAR", "CLEAR_POLICY_OFF"), calls(50, "CLEAR", "CLEAR_EMERGENCY"), calls(2, "CLEAR", "X"))
    assert found("ENC-6", but(calls=(*excused, calls(10, "ENCRYPTED")))).judgement.outcome is CheckResult.PASS
    assert found("ENC-6", but(calls=(calls(3, "CLEAR", "X"),))).judgement.outcome is CheckResult.FAIL


def test_strangers_are_no_finding_where_they_are_turned_away() -> None:
    assert found("ACL-2", attrs.evolve(defence(mode="defend"), strangers=7)).judgement.outcome is CheckResult.PASS


def test_evidence_is_bounded() -> None:
    many = tuple(calls(2, "CLEAR", "CLEAR_POLICY_OFF", f"d{number}.example.com") for number in range(300))
    evidence = found("ENC-2", but(calls=many)).judgement.evidence
    assert len(evidence) == 20
    assert evidence[-1].text == "and 281 more"


def test_each_check_says_why_in_one_sentence() -> None:
    for check in CHECKS:
        assert check.why.endswith(".")
        assert not check.why.lower().startswith(("what", "who"))
    assert len({check.id for check in CHECKS}) == len(CHECKS) == 48


def test_a_phone_of_the_seeds_is_critical_and_nobody_verified_its_word() -> None:
    finding = found("DEV-2", but(devices=(SPA, DeviceCount("Yealink", "SIP-T54W", "96.86.0.100", 9))))
    assert finding.check.gravity == "critical"
    assert "by its User-Agent, not verified" in finding.judgement.evidence[0].text
    assert finding.judgement.share == 0.25
    assert assessed(but(devices=(SPA,))).score < assessed(GOOD).score - 25


@pytest.mark.parametrize("model", ["SPA3102", "SPA112", "SPA50", "CP-8841", "SPA8000", ""])
def test_other_models_are_not_meant(model: str) -> None:
    assert [*our_advisories().about("Cisco", model, "1.0")] == []


@pytest.mark.parametrize("model", ["SPA301", "SPA303", "SPA303G", "SPA504G", "SPA525G2", "spa501g", "SPA512G"])
def test_all_models_of_the_series_are_meant(model: str) -> None:
    assert len([*our_advisories().about("Cisco", model, "7.6.2c")]) == 2
