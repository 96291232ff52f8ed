"""Usages of a dialog: the responses that end them (RFC 5057, RFC 6665), and the subscriptions of a pair of dialogs."""

from __future__ import annotations

import pytest

from gateway.dialog.usages import GRACE_SECONDS, MOST, Usage, Usages, is_ended_by, usage_of
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response


def request(method: str, cseq: int = 1, event: str = "", **fields: str) -> Request:
    headers = Headers([("CSeq", f"{cseq} {method}")])
    if event:
        headers.add("Event", event)
    for name, value in fields.items():
        headers.add(name.replace("_", "-"), value)
    return Request(method, "sip:x", headers)


@pytest.mark.parametrize("status", [404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604])
def test_rfc_6665_section_4_2_2_refused_notify_ends_the_subscription(status: int) -> None:
    assert is_ended_by("NOTIFY", status)


def test_rfc_6665_section_4_1_2_2_refresh_that_times_out_ends_nothing() -> None:
    assert not is_ended_by("SUBSCRIBE", 408)
    assert is_ended_by("SUBSCRIBE", 481)


@pytest.mark.parametrize("status", [400, 401, 403, 407, 415, 486, 488, 491, 500, 503, 600])
def test_rfc_5057_section_5_1_other_responses_end_nothing(status: int) -> None:
    assert not any(is_ended_by(method, status) for method in ("INVITE", "UPDATE", "NOTIFY", "SUBSCRIBE", "INFO"))


@pytest.mark.parametrize("method", ["INFO", "MESSAGE", "OPTIONS", "PUBLISH"])
def test_method_without_a_usage_harms_none(method: str) -> None:
    assert usage_of(method) is Usage.NONE
    assert not any(is_ended_by(method, status) for status in range(300, 700))


def test_call_ends_by_408_and_481() -> None:
    """RFC 3261 section 12.2.1.2."""
    assert [status for status in range(300, 700) if is_ended_by("UPDATE", status)] == [408, 481]


def test_transfer_is_alive_until_its_last_event() -> None:
    """RFC 3515 section 2.4.4."""
    now = [0.0]
    usages = Usages(lambda: now[0])
    usages.leaves("caller", request("REFER", 7), request("REFER", 3))
    assert usages.until == 128.0
    notify = request("NOTIFY", event="refer", Subscription_State="active;expires=600")
    usages.leaves("callee", notify, notify)
    assert usages.until == 664.0
    notify = request("NOTIFY", event="refer", Subscription_State="terminated;reason=noresource")
    usages.leaves("callee", notify, notify)
    assert usages.until == GRACE_SECONDS
    now[0] = 65.0
    assert usages.until is None


def test_rfc_3515_section_2_4_6_id_of_a_transfer_is_each_sides_own() -> None:
    usages = Usages(lambda: 0.0)
    usages.leaves("caller", request("REFER", 7), request("REFER", 3))
    usages.leaves("caller", request("REFER", 8), request("REFER", 4))
    sent = request("NOTIFY", event="refer;id=4")
    usages.leaves("callee", request("NOTIFY", event="refer;id=4"), sent)
    assert sent.headers.get("Event") == "refer;id=8"
    sent = request("SUBSCRIBE", event="refer;id=8")
    usages.leaves("caller", request("SUBSCRIBE", event="refer;id=8", Expires="0"), sent)
    assert sent.headers.get("Event") == "refer;id=4"


def test_id_of_another_package_is_the_same_on_both_sides() -> None:
    usages = Usages(lambda: 0.0)
    subscribe = request("SUBSCRIBE", event="dialog;id=x")
    usages.leaves("caller", subscribe, subscribe)
    notify = request("NOTIFY", event="dialog;id=x", Subscription_State="active")
    usages.leaves("callee", notify, notify)
    assert notify.headers.get("Event") == "dialog;id=x"


def test_refused_notify_ends_its_own_subscription() -> None:
    usages = Usages(lambda: 0.0)
    for event in ("dialog", "presence"):
        usages.leaves("caller", request("SUBSCRIBE", event=event), request("SUBSCRIBE", event=event))
    for event, left in (("dialog", True), ("presence", False)):
        usages.answered("callee", request("NOTIFY", event=event), 481)
        assert (usages.until is not None) is left


def test_rfc_4488_transfer_without_subscription() -> None:
    usages = Usages(lambda: 0.0)
    refer = request("REFER")
    usages.leaves("caller", refer, refer)
    usages.answered("caller", refer, 202, Response(202, headers=Headers([("Refer-Sub", "false")])))
    assert usages.until is None


def test_refused_transfer_begins_none() -> None:
    usages = Usages(lambda: 0.0)
    refer = request("REFER")
    usages.leaves("caller", refer, refer)
    usages.answered("caller", refer, 603)
    assert usages.until is None


def test_subscriptions_of_a_dialog_are_bounded_in_number_and_time() -> None:
    usages = Usages(lambda: 0.0)
    for number in range(5 * MOST):
        usages.leaves("caller", request("REFER", number), request("REFER", number))
    assert usages.count == MOST
    notify = request("NOTIFY", event="refer", Subscription_State="active;expires=4000000000")
    usages.leaves("callee", notify, notify)
    assert usages.until == 3600 + GRACE_SECONDS
