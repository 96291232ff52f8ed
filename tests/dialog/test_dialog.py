"""Dialogs of RFC 3261 section 12: identifiers, route sets, targets and CSeq numbers."""

from __future__ import annotations

import pytest

from gateway.dialog.dialog import Dialog, DialogState, key_of, key_of_response
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request, Response
from tests.support.transactions import make_request

RECORDED = ("<sip:p1.example.com;lr>", '"A, B" <sip:p2.example.com;lr>', "<sip:p3.example.com;lr>")


def answer(request: Request, status: int = 200, tag: str = "callee", contact: str = "sip:bob@10.0.0.2") -> Response:
    response = request.response(status, to_tag=tag)
    response.headers.add("Record-Route", f"{RECORDED[0]}, {RECORDED[1]}")
    response.headers.add("Record-Route", RECORDED[2])
    if contact:
        response.headers.add("Contact", f"<{contact}>")
    return response


def called() -> Dialog:
    request = make_request("INVITE", cseq=5)
    request.headers.add("Record-Route", ", ".join(RECORDED))
    return Dialog.from_request(request, "ours")


def test_12_1_2_the_dialog_of_who_calls() -> None:
    request = make_request("INVITE", cseq=5)
    dialog = Dialog.from_response(request, answer(request))
    assert dialog.key == ("call@phone", "caller", "callee")
    assert dialog.state is DialogState.CONFIRMED
    assert (dialog.local_cseq, dialog.remote_cseq) == (5, None)
    assert dialog.remote_target == "sip:bob@10.0.0.2"
    assert dialog.route_set == RECORDED[::-1]


def test_12_1_1_the_dialog_of_who_is_called() -> None:
    dialog = called()
    assert dialog.key == ("call@phone", "ours", "caller")
    assert dialog.state is DialogState.EARLY
    assert (dialog.local_cseq, dialog.remote_cseq) == (0, 5)
    assert dialog.remote_target == "sip:alice@127.0.0.11:5060"
    assert dialog.route_set == RECORDED


def test_12_2_1_1_loose_routing() -> None:
    dialog = called()
    bye = dialog.make_request("BYE")
    assert (bye.method, bye.uri) == ("BYE", "sip:alice@127.0.0.11:5060")
    assert bye.headers.get_all("Route") == list(RECORDED)
    assert (str(bye.cseq), bye.max_forwards, bye.call_id) == ("1 BYE", 70, "call@phone")
    assert (bye.from_.tag, bye.to.tag) == ("ours", "caller")
    assert "Via" not in bye.headers
    assert "Contact" not in bye.headers


def test_12_2_1_1_strict_routing() -> None:
    request = make_request("INVITE")
    request.headers.add("Record-Route", "<sip:strict.example.com;method=INVITE?Subject=no>, <sip:p2.example.com;lr>")
    bye = Dialog.from_request(request, "ours").make_request("BYE")
    assert bye.uri == "sip:strict.example.com"
    assert bye.headers.get_all("Route") == ["<sip:p2.example.com;lr>", "<sip:alice@127.0.0.11:5060>"]


def test_without_route_set_the_request_goes_to_the_target() -> None:
    request = make_request("INVITE")
    request.headers.set("Contact", "<sip:alice@10.0.0.1;transport=tcp;method=INVITE?Subject=no>")
    bye = Dialog.from_request(request, "ours").make_request("BYE")
    assert bye.uri == "sip:alice@10.0.0.1;transport=tcp"
    assert "Route" not in bye.headers


def test_cseq_of_our_requests_counts_on() -> None:
    request = make_request("INVITE", cseq=5)
    dialog = Dialog.from_response(request, answer(request))
    assert [dialog.make_request(method).cseq.number for method in ("UPDATE", "INVITE", "BYE")] == [6, 7, 8]


def test_13_2_2_4_the_ack_has_the_number_of_its_invite() -> None:
    request = make_request("INVITE", cseq=5)
    dialog = Dialog.from_response(request, answer(request))
    dialog.make_request("UPDATE")
    ack = dialog.make_ack(5, (("Proxy-Authorization", "Digest x"),))
    assert (ack.method, ack.uri, str(ack.cseq)) == ("ACK", "sip:bob@10.0.0.2", "5 ACK")
    assert ack.headers.get_all("Route") == list(RECORDED[::-1])
    assert ack.headers.get("Proxy-Authorization") == "Digest x"
    assert dialog.make_request("BYE").cseq.number == 7


def test_12_2_2_a_cseq_that_goes_back_is_refused() -> None:
    dialog = called()
    dialog.receive_request(make_request("INFO", cseq=9, to_tag="ours"))
    dialog.receive_request(make_request("INFO", cseq=9, to_tag="ours"))
    with pytest.raises(Refused) as refused:
        dialog.receive_request(make_request("INFO", cseq=8, to_tag="ours"))
    assert refused.value.status == 500
    assert dialog.remote_cseq == 9


def test_who_calls_takes_any_first_cseq_of_the_peer() -> None:
    request = make_request("INVITE")
    dialog = Dialog.from_response(request, answer(request))
    dialog.receive_request(make_request("BYE", cseq=0))
    assert dialog.remote_cseq == 0


def test_a_target_refresh_changes_where_requests_go_but_not_the_way() -> None:
    dialog = called()
    update = make_request("UPDATE", cseq=6, to_tag="ours")
    update.headers.set("Contact", "<sip:alice@10.9.9.9>")
    update.headers.add("Record-Route", "<sip:other.example.com;lr>")
    dialog.refresh_target(update)
    assert dialog.make_request("BYE").uri == "sip:alice@10.9.9.9"
    assert dialog.route_set == RECORDED
    update.headers.remove("Contact")
    dialog.refresh_target(update)
    assert dialog.remote_target == "sip:alice@10.9.9.9"


def test_an_early_dialog_for_each_to_tag() -> None:
    request = make_request("INVITE")
    first = Dialog.from_response(request, answer(request, 180, "one"))
    second = Dialog.from_response(request, answer(request, 183, "two"))
    assert first.key != second.key
    assert (first.state, second.state) == (DialogState.EARLY, DialogState.EARLY)
    assert key_of_response(answer(request, 200, "two")) == second.key


def test_13_2_2_4_the_2xx_sets_the_route_of_an_early_dialog_anew() -> None:
    request = make_request("INVITE")
    dialog = Dialog.from_response(request, answer(request, 180))
    final = request.response(200, to_tag="callee")
    final.headers.add("Record-Route", "<sip:only.example.com;lr>")
    final.headers.add("Contact", "<sip:bob@10.0.0.3>")
    dialog.confirm(final)
    assert dialog.state.value == "confirmed"
    assert dialog.route_set == ("<sip:only.example.com;lr>",)
    assert dialog.remote_target == "sip:bob@10.0.0.3"


def test_our_own_2xx_confirms_and_changes_nothing_else() -> None:
    request = make_request("INVITE")
    dialog = called()
    dialog.confirm(answer(request))
    assert dialog.state.value == "confirmed"
    assert (dialog.route_set, dialog.remote_target) == (RECORDED, "sip:alice@127.0.0.11:5060")


def test_a_terminated_dialog_stays_so_and_can_say_goodbye() -> None:
    dialog = called()
    dialog.terminate()
    dialog.confirm(answer(make_request("INVITE")))
    assert dialog.state is DialogState.TERMINATED
    assert dialog.make_request("BYE").cseq.number == 1


def test_a_provisional_response_without_contact_keeps_the_request_uri() -> None:
    request = make_request("INVITE")
    dialog = Dialog.from_response(request, answer(request, 180, contact=""))
    assert dialog.remote_target == request.uri


def test_a_peer_without_tag_has_an_empty_one() -> None:
    request = make_request("INVITE")
    dialog = Dialog.from_response(request, request.response(200))
    assert dialog.key == ("call@phone", "caller", "")
    assert "tag" not in (dialog.make_request("BYE").headers.get("To") or "")


def test_an_invite_without_contact_makes_no_dialog() -> None:
    request = make_request("INVITE")
    request.headers.remove("Contact")
    with pytest.raises(MalformedMessage, match="no Contact"):
        Dialog.from_request(request, "ours")


def test_a_request_finds_its_dialog() -> None:
    dialog = called()
    assert key_of(make_request("BYE", to_tag="ours")) == dialog.key
    assert key_of(make_request("BYE", to_tag="another")) != dialog.key
