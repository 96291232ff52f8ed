"""The matters that need a look: in order of harm, with numbers and remedies; and the sentence about the day."""

from __future__ import annotations

from typing import Any

from gateway.admin.status.facts import Facts, tally
from gateway.admin.status.gathering import REMEDY_LINES
from gateway.admin.status.looks import Harm, looks
from gateway.admin.status.summary import sentence, status
from gateway.base.json_codec import Json

UP: dict[str, Json] = {"target": "tls 192.0.2.1:5061", "is_up": True, "why": ""}
DOWN: dict[str, Json] = {"target": "tls 192.0.2.2:5061", "is_up": False, "why": "its port refuses connections"}


def calls(number: int, verdict: str, reason: str = "", domain: str = "example.com") -> dict[str, Json]:
    return {"domain": domain, "provider": "main", "verdict": verdict, "reason": reason, "calls": number}


def facts(*tallies: dict[str, Json], **fields: Any) -> Facts:
    return Facts(1_796_000_000.0, tallies=tallies, remedies=REMEDY_LINES, **fields)


def test_a_quiet_gateway_needs_no_look() -> None:
    quiet = facts(calls(900, "ENCRYPTED_TO_PROVIDER"), providers=[{"name": "main", "targets": [UP]}])
    assert looks(quiet) == []
    assert sentence(quiet) == "Last 24 h: 900 calls, all encrypted to the provider."


def test_the_sentence_counts_calls_that_came_about_and_names_the_main_cause() -> None:
    day = facts(
        calls(1186, "ENCRYPTED_TO_PROVIDER"),
        calls(12, "CLEAR", "CLEAR_PEER_NO_TLS"),
        calls(6, "SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP"),
        calls(300, "UNANSWERED"),
        calls(2, "REFUSED", "REFUSED_POLICY"),
    )
    assert sentence(day) == (
        "Last 24 h: 1,204 calls, 98.5 % encrypted to the provider; 12 in clear, all to main (the provider took the "
        "call without TLS); 6 weaker, all to main (the other side answered without SRTP)."
    )


def test_nothing_is_claimed_of_a_day_without_calls() -> None:
    assert sentence(facts()) == "No call in the last 24 hours."
    assert "nothing is claimed" in sentence(facts(calls(3, "UNANSWERED")))
    assert tally([]).as_json()["share_encrypted"] is None


def test_one_call_in_clear_keeps_the_share_below_all() -> None:
    assert "99.9 % encrypted" in sentence(facts(calls(99_999, "ENCRYPTED"), calls(1, "CLEAR", "CLEAR_EMERGENCY")))


def test_harm_decides_the_order() -> None:
    found = looks(
        facts(
            calls(900, "ENCRYPTED"),
            calls(9, "SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP"),
            calls(3, "CLEAR", "CLEAR_PEER_NO_TLS"),
            calls(4, "CLEAR", "CLEAR_POLICY_OFF"),
            providers=[{"name": "main", "targets": [DOWN]}, {"name": "backup", "targets": [UP, DOWN]}],
            certificates=[{"listener": "phones", "file": "/x.pem", "days_left": 5, "warnings": ["5 days left"]}],
        )
    )
    told = [(look.harm, look.fact.split(" (")[0].split(":")[0]) for look in found]
    assert told == [
        (Harm.CRITICAL, "Provider main cannot be reached"),
        (Harm.CRITICAL, "3 calls in clear in 24 h"),
        (Harm.WARNING, "1 of 2 targets of provider backup are down"),
        (Harm.WARNING, "The certificate of listener phones is good for 5 more days."),
        (Harm.WARNING, "9 calls weaker than TLS and SRTP in 24 h"),
        (Harm.NOTE, "4 calls in clear in 24 h"),
    ]
    assert all(look.remedy for look in found), "each has its remedy"


def test_a_reason_is_one_look_with_its_domains() -> None:
    [look] = looks(
        facts(calls(7, "REFUSED", "REFUSED_CERTIFICATE"), calls(2, "REFUSED", "REFUSED_CERTIFICATE", "b.example"))
    )
    assert look.fact == "9 calls refused in 24 h (example.com 7, b.example 2)."
    assert look.remedy == " ".join(REMEDY_LINES["REFUSED_CERTIFICATE"])
    assert look.link == "/calls?reason=REFUSED_CERTIFICATE&since=24h"
    assert look.harm is Harm.CRITICAL, "every call is refused"


def test_busy_callees_need_no_look_and_calls_that_failed_do() -> None:
    assert looks(facts(calls(50, "UNANSWERED"))) == []
    [look] = looks(facts(calls(500, "ENCRYPTED"), calls(50, "UNANSWERED", "PROVIDER_UNREACHABLE")))
    assert (look.harm, look.fact) == (Harm.WARNING, "50 calls failed in 24 h (example.com).")


def test_ports_relays_and_files() -> None:
    found = looks(
        facts(
            ports={"used": 95, "free": 5},
            relays={"up": 0, "down": 2},
            files=[{"name": "calls.sqlite", "is_failing": True}, {"name": "peers.sqlite", "is_failing": False}],
        )
    )
    assert [look.fact for look in found] == [
        "2 of 2 media relays do not answer.",
        "5 of 100 media ports are free.",
        "calls.sqlite cannot be written.",
    ]


def test_a_target_that_was_never_asked_is_no_fault() -> None:
    assert looks(facts(providers=[{"name": "main", "targets": [{"target": "x", "is_up": None}]}])) == []


def test_the_status_has_each_domains_share() -> None:
    found = status(
        facts(
            calls(3, "ENCRYPTED"),
            calls(1, "CLEAR", "CLEAR_PEER_NO_TLS"),
            domains=[{"name": "Example.com", "security": "preferred"}, {"name": "idle.example"}],
            counts={"calls": 2, "bindings": 7},
        )
    )
    assert [(row["name"], row["share_encrypted"]) for row in found["domains"]] == [  # type: ignore[union-attr,index,call-overload]
        ("Example.com", 0.75),
        ("idle.example", None),
    ]
    assert (found["calls"], found["phones"]) == (2, 7)


def test_wrong_passwords_are_told_of_phones_and_of_strangers_apart() -> None:
    rows: list[dict[str, Json]] = [
        {"user": f"u{number}@example.com", "source": f"198.51.100.{number}:5060", "by": "pair"} for number in range(5)
    ]
    found = looks(facts(stopped=[*rows, {"user": "dave@example.com", "source": "192.0.2.9:5060", "by": "flow"}]))
    guessed, mistaken = (look.fact for look in found)
    assert "u4@example.com from 198.51.100.4:5060" in guessed
    assert "and 2 more" in guessed
    assert "dave@example.com from 192.0.2.9:5060" in mistaken
    assert all(look.harm is Harm.WARNING and look.remedy for look in found)


def test_a_receiver_of_alerts_that_takes_none_is_named_with_the_command_that_tries_it() -> None:
    row: dict[str, Json] = {"name": "chat", "kind": "webhook", "reason": "no answer in time", "lost": 0}
    (found,) = looks(facts(unheard=[row]))
    assert (found.harm, found.fact) == (
        Harm.WARNING,
        "Alerts are not delivered to chat (webhook): no answer in time.",
    )
    assert "gatewayctl alerts test chat" in found.remedy
    (found,) = looks(facts(unheard=[{**row, "lost": 1204}]))
    assert found.fact.endswith("no answer in time; 1,204 alerts are lost.")


def test_a_ban_that_waits_needs_a_look_and_one_in_force_does_not() -> None:
    assert looks(facts(defence={"mode": "defend", "bans": 7, "waiting": 0, "would_be": 0})) == []
    (found,) = looks(facts(defence={"mode": "defend", "bans": 7, "waiting": 2, "would_be": 0}))
    assert found.harm is Harm.WARNING
    assert found.fact.startswith("2 bans wait for approval")
    assert found.link == "/security"


def test_a_kernel_and_a_list_that_fail_need_a_look() -> None:
    failing = ["apiban: no whole answer within 30 s"]
    found = looks(facts(defence={"mode": "defend", "kernel_why": "Operation not permitted", "failing_lists": failing}))
    assert [look.harm for look in found] == [Harm.WARNING, Harm.NOTE]
    assert found[0].fact == "nftables takes no bans: Operation not permitted."
    assert found[1].fact == "A block list cannot be read: apiban: no whole answer within 30 s."


def test_pbxs_that_cannot_be_called_or_are_not_registered_need_a_look() -> None:
    down = {"name": "office", "up": 0, "down": ["UDP 192.0.2.50:5060: it does not answer"], "is_registered": True}
    partly = {**down, "name": "branch", "up": 1}
    unknown = {"name": "shop", "up": 1, "down": [], "is_registered": False, "why": "403 Forbidden"}
    new = {**unknown, "name": "new", "why": ""}
    well = {"name": "well", "up": 2, "down": [], "is_registered": True, "why": ""}
    found = [(look.harm, look.fact) for look in looks(facts(pbxs=[well, new, partly, unknown, down]))]

    assert found == [
        (Harm.CRITICAL, "The account of PBX shop is not registered at its provider: 403 Forbidden."),
        (Harm.CRITICAL, "PBX office cannot be called: UDP 192.0.2.50:5060: it does not answer."),
        (
            Harm.WARNING,
            "PBX branch does not answer at each of its addresses: UDP 192.0.2.50:5060: it does not answer.",
        ),
        (Harm.NOTE, "The account of PBX new is not registered at its provider: its first registration is under way."),
    ]


PAIR: dict[str, Any] = {
    "state": "active",
    "node": "gw-a",
    "store_answers": True,
    "nodes": [{"node": "gw-a", "seen_seconds_ago": 0.2}, {"node": "gw-b", "seen_seconds_ago": 0.9}],
}


def of_pair(**changes: Any) -> list[tuple[Harm, str]]:
    return [(look.harm, look.fact) for look in looks(facts(cluster={**PAIR, **changes})) if "pair" in look.fact]


def test_a_pair_that_is_whole_needs_no_look() -> None:
    assert of_pair() == []
    assert of_pair(state="none", store_answers=False) == []


def test_a_pair_without_its_store_or_its_other_node_is_told() -> None:
    alone = [{"node": "gw-a", "seen_seconds_ago": 0.2}, {"node": "gw-b", "seen_seconds_ago": 90.0}]
    assert of_pair(nodes=alone) == [(Harm.WARNING, "No other node of the pair waits: none would take over.")]
    silent = "The store of the pair does not answer: no other node can take over."
    assert of_pair(store_answers=False) == [(Harm.CRITICAL, silent)]
