"""The wire drawn claims what the record says, and no more."""

from __future__ import annotations

import pytest

from gateway.admin.pages.figures.wire import Lane, wire
from gateway.base.json_codec import Json

CALL: dict[str, Json] = {"direction": "outbound", "started_at": 100.0, "ended_at": 200.0}


def link(leg: str, what: str) -> Json:
    return {"leg": leg, "step": "outcome", "what": what, "code": ""}


def lanes(*chain: Json, **fields: Json) -> dict[str, tuple[Lane, Lane]]:
    figure = wire({**CALL, "chain": [*chain], **fields}, 300.0)
    return {f"{hop.left}-{hop.right}": hop.lanes for hop in figure.hops}


def test_each_lane_says_the_outcome_of_its_leg() -> None:
    found = lanes(link("callee", "TLS, SRTP"), link("caller", "UDP in clear, RTP in clear"))
    told = {hop: [(one.label, one.tone) for one in both] for hop, both in found.items()}
    assert told == {
        "Phone-Gateway": [("UDP in clear", "clear"), ("RTP in clear", "clear")],
        "Gateway-Provider": [("TLS", "encrypted"), ("SRTP", "encrypted")],
    }


def test_nothing_is_claimed_without_an_outcome() -> None:
    chains: list[Json] = [None, [], ["odd", {"leg": "callee"}], [link("callee", "SRTP")]]
    for chain in chains:
        figure = wire({**CALL, "chain": chain}, 300.0)
        assert {(one.label, one.tone) for hop in figure.hops for one in hop.lanes} == {("not known", "none")}


def test_an_inbound_call_has_the_provider_right_all_the_same() -> None:
    found = lanes(link("caller", "TLS, SRTP"), link("callee", "UDP in clear, RTP in clear"), direction="inbound")
    assert [one.tone for one in found["Gateway-Provider"]] == ["encrypted", "encrypted"]


def test_a_change_is_a_segment_and_the_worst_is_the_tone_of_the_lane() -> None:
    phases = "SRTP from 0.6 s, RTP from 40 s, SRTP from 80 s"
    [_, media] = lanes(link("callee", "TLS, SRTP"), link("callee", phases))["Gateway-Provider"]
    assert [(segment.tone, round(segment.share, 2)) for segment in media.segments] == [
        ("encrypted", 0.4),
        ("clear", 0.4),
        ("encrypted", 0.2),
    ]
    assert (media.tone, media.has_changed) == ("clear", True)
    assert media.told == "Media: SRTP, then RTP from 40 s, then SRTP from 80 s"


def test_signalling_that_changed_is_told_too() -> None:
    phases = "TLS from 0 s, UDP in clear from 5 s"
    [signalling, media] = lanes(link("callee", "TLS, SRTP"), link("callee", phases))["Gateway-Provider"]
    assert (signalling.tone, media.tone) == ("clear", "encrypted")


def test_suite_and_cipher_are_named_where_they_are_known() -> None:
    stream: Json = {"crypto suite": "AEAD_AES_256_GCM", "jitter": 1}
    media: Json = {"tags": {"callee": {"medias": [{"protocol": "RTP/SAVP", "streams": [stream]}]}}}
    found = lanes(link("callee", "TLS, SRTP"), media=media, tls={"callee": "TLS 1.3, TLS_AES_256_GCM_SHA384"})
    labels = [one.label for one in found["Gateway-Provider"]]
    assert labels == ["TLS 1.3, TLS_AES_256_GCM_SHA384", "SRTP AEAD_AES_256_GCM"]


def test_a_suite_does_not_turn_clear_media_green() -> None:
    stream: Json = {"crypto suite": "AEAD_AES_256_GCM"}
    media: Json = {"tags": {"callee": {"medias": [{"streams": [stream]}]}}}
    [_, lane] = lanes(link("callee", "TLS, RTP in clear"), media=media)["Gateway-Provider"]
    assert (lane.label, lane.tone) == ("RTP in clear", "clear")


@pytest.mark.parametrize("media", [None, [], "x", {"tags": []}, {"tags": {"callee": {"medias": {"a": 1}}}}])
def test_reports_of_other_forms_are_no_error(media: Json) -> None:
    assert lanes(link("callee", "TLS, SRTP"), media=media)
