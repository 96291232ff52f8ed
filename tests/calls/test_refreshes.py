"""Session refreshes (RFC 4028) in a call that lasts: whoever refreshes, by UPDATE or re-INVITE, nobody hears of it.

The far ends take a new port and key in each refresh. `make soak-refreshes` lets the calls of the first test last for
SOAK_MINUTES.
"""

from __future__ import annotations

import os
import time

import attrs
import pytest

from tests.support.calls.audio import assert_hears
from tests.support.calls.gaps import judge_gaps, judge_keys, longest_silence
from tests.support.calls.judge import is_rtp, rtp_samples
from tests.support.calls.pcap import UDP, Packet
from tests.support.calls.processes import wait_until
from tests.support.calls.rekeying import Rekeying
from tests.support.calls.rekeying_agent import Manners
from tests.support.calls.stage import HERTZ, HOSTS, Stage
from tests.support.calls.telephone import USUAL, Habits, Telephone

SECONDS = float(os.environ.get("SOAK_MINUTES", "0")) * 60
SHORTEST = 90  # seconds (RFC 4028 section 4): the gateway's own interval here
DUE = SHORTEST / 2  # seconds (RFC 4028 section 10)
TIMED = Habits(timer="always", session=SHORTEST)


@attrs.frozen
class Refreshed:
    """A call by a phone of pjsua2, or to one, and the refreshes that must be seen in it."""

    phone: str
    habits: Habits
    far_end: str
    manners: Manners
    at_far_end: str
    at_phone: str = ""
    """Its method, and the side that refreshes; empty where that leg has no timer."""
    is_inbound: bool = False


UNTIMED = Habits(timer="no")
LATER = 50.0  # seconds: after the gateway, which refreshes the phone's leg when its own half is over
ASKS_LONG = 1800  # seconds: nobody but the gateway asks for a short interval, which is its own
CALLS = (
    Refreshed("alice", TIMED, "bob", Manners("uac", False), "came INVITE", "INVITE by the phone"),
    Refreshed("dave", USUAL, "carol", Manners("uac", interval=ASKS_LONG), "came UPDATE", "UPDATE by the phone"),
    Refreshed("erin", UNTIMED, "grace", Manners("uac", False, interval=ASKS_LONG), "came INVITE"),
    Refreshed("frank", UNTIMED, "heidi", Manners("uas", interval=ASKS_LONG), "sent UPDATE"),
    Refreshed("ivan", USUAL, "judy", Manners("", True, LATER, ASKS_LONG), "sent UPDATE", "UPDATE by the gateway", True),
    Refreshed(
        "kim", USUAL, "laura", Manners("", False, LATER, ASKS_LONG), "sent INVITE", "UPDATE by the gateway", True
    ),
)


@pytest.mark.alone
def test_nobody_hears_a_refresh(stage: Stage) -> None:
    """Calls beside each other, each with refreshers of its own. The far ends re-key by all means at first."""
    stage.start_gateway(session_interval=SHORTEST)
    calls = [
        (stage.pjsua_phone(call.phone, call.habits), stage.rekeying_far_end(call.far_end, call.manners), call)
        for call in CALLS
    ]
    for phone, far_end, _ in calls:
        phone.register()
        far_end.register()
    for phone, far_end, call in calls:
        caller, callee = (far_end, phone) if call.is_inbound else (phone, far_end)
        talk(caller, callee, callee.line.address_of_record)
    for method in ("INVITE", "UPDATE"):
        stage.talk(1)
        for _, far_end, _ in calls:
            far_end.refresh(method)
            far_end.refreshes.clear()
    last = time.monotonic()
    for _, far_end, call in calls:
        far_end.wait_refreshed(call.at_far_end, LATER + 5)
    stage.talk(max(SECONDS - (time.monotonic() - last), 2))

    until = time.time()
    for phone, far_end, _ in calls:
        far_end.wait_answered()  # the call stands to this moment
        phone.hangup()
        far_end.wait_ended()
    packets = stage.capture.stop()
    assert_claimed_right(stage, len(calls))
    for phone, far_end, call in calls:
        assert_all_was_heard(stage, packets, (phone, far_end), until)
        assert not call.at_phone or call.at_phone in refreshes_at(phone)
    assert_clean(stage, packets)


def refreshes_at(phone: Telephone) -> set[str]:
    """The refreshes of a phone's leg: an UPDATE without SDP, or a re-INVITE, each with an interval agreed on."""
    messages = phone.messages()
    refreshed = {(m.call_id, m.cseq) for m in messages if m.status == 200 and m.header("session-expires")}
    found = set()
    for message in messages:
        is_within = ";tag=" in message.header("to") and (message.call_id, message.cseq) in refreshed
        if is_within and (message.method == "INVITE" or (message.method == "UPDATE" and not message.body)):
            side = "phone" if f" {phone.line.address}:" in message.header("via") else "gateway"
            found.add(f"{message.method} by the {side}")
    return found


def test_phones_hold_resume_and_transfer_after_a_refresh(stage: Stage) -> None:
    """The gateway refreshes baresip's call, by re-INVITE, and linphonec its own: after that, each is transferred."""
    stage.start_gateway()
    alice, dave = stage.phone("baresip"), stage.phone("linphonec", "dave", TIMED)
    bob, carol = (stage.rekeying_far_end(user, Manners(takes_update=user == "carol")) for user in ("bob", "carol"))
    grace, heidi = stage.rekeying_far_end("grace"), stage.rekeying_far_end("heidi")
    for telephone in (alice, dave, bob, carol, grace, heidi):
        telephone.register()
    calls = [(alice, bob, grace), (dave, carol, heidi)]
    for phone, far_end, _ in calls:
        talk(phone, far_end, far_end.line.address_of_record)
    bob.wait_refreshed("came INVITE", DUE + 5)
    wait_until("carol's call is refreshed", lambda: bool(carol.refreshes), DUE + 5)

    for phone, far_end, third in calls:
        phone.hold()
        far_end.wait_held()
        stage.talk(0.6)
        phone.resume()
        far_end.wait_resumed()
        far_end.mark_recording()
        resumed = time.time()
        stage.talk(2)
        stage.assert_heard_since_mark(far_end, 1.2, of=phone.line.user)
        assert_was_sent_since(resumed, stage, phone, far_end)  # baresip's own recording ends when it holds
        phone.transfer(third.line.address_of_record)
        third.wait_ringing()
        third.answer()
        assert phone.wait_transferred() == 200

    dave.hangup()
    stage.talk(2)
    for _, far_end, third in calls:
        third.hangup()
        far_end.wait_ended()
        stage.assert_recording(far_end, 1.2, of=third.line.user)
        stage.assert_recording(third, 1.2, of=far_end.line.user)
        far_end.assert_well()
        third.assert_well()
    packets = stage.capture.stop()
    assert_claimed_right(stage, len(calls))
    for far_end in (bob, carol):
        wrong, _ = judge_keys(packets, stage.messages(), far_end.line.address)
        assert not wrong, "\n".join(wrong[:10])
    assert_clean(stage, packets)


def assert_all_was_heard(stage: Stage, packets: list[Packet], both: tuple[Telephone, Rekeying], until: float) -> None:
    """Both directions went through without a gap until then, each packet under the key of its time."""
    phone, far_end = both
    ends = [stage.hosts.host(HOSTS[telephone.line.user]) for telephone in (phone, far_end)]
    objections, figures = judge_gaps(packets, stage.hosts.gateway, ends[0], ends[1], until)
    wrong, keys = judge_keys(packets, stage.messages(), ends[1])
    for line in (*figures, f"{far_end.line.user} sent with {keys} keys; {far_end.refreshes}"):
        print(line)
    assert not objections, "\n".join([*objections[:10], *figures])
    assert not wrong, "\n".join([f"{len(wrong)} packets:", *wrong[:10]])
    rekeyed = sum(refresh != "came UPDATE" for refresh in far_end.refreshes)  # which has no SDP
    # At first, with its own re-INVITE and UPDATE, and with each refresh since; two may follow within one packet's time.
    assert 3 + (rekeyed + 1) // 2 <= keys <= 3 + rekeyed
    far_end.assert_well()
    for one, other in ((phone, far_end), (far_end, phone)):
        silence = longest_silence(one.heard(), HERTZ[other.line.user])
        print(f"{one.line.user}'s recording lacks the tone for {silence * 1000:.0f} ms at most")
        assert silence <= 0.1, f"{one.line.user} heard nothing for {silence:.2f} s"


def assert_was_sent_since(begun: float, stage: Stage, phone: Telephone, far_end: Telephone) -> None:
    """Since then (seconds since the epoch) the phone is sent the far end's tone."""
    ports = range(phone.line.media_port, phone.line.media_port + 20)
    sent = [
        packet.payload
        for packet in stage.capture.packets()
        if packet.time > begun
        and packet.protocol == UDP
        and packet.destination.port in ports
        and is_rtp(packet.payload)
    ]
    samples = [sample for packet in sent for sample in rtp_samples(packet)]
    hertz, never = HERTZ[far_end.line.user], HERTZ[phone.line.user]
    assert_hears(samples, hertz, never=never, seconds=1.2, who=f"the place of {phone.line.user}")


def assert_claimed_right(stage: Stage, calls: int) -> None:
    """Each call is claimed encrypted to the provider, and its chain tells of no moment in clear there."""
    assert stage.gateway is not None
    known = stage.gateway.calls()
    assert [call["verdict"] for call in known] == ["ENCRYPTED_TO_PROVIDER"] * calls
    for call in known:
        assert not [link for link in call["chain"] if " RTP from" in f" {link['what']}"], call["chain"]


def talk(caller: Telephone, callee: Telephone, uri: str) -> None:
    """One calls the other, who answers."""
    caller.call(uri)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()


def assert_clean(stage: Stage, packets: list[Packet]) -> None:
    """Nothing is left, nothing went in clear, nothing was told."""
    assert stage.gateway is not None
    stage.gateway.wait_idle()
    stage.judge_provider_side(packets).assert_clean()
    stage.judge_phone_side(packets).assert_clean()
    stage.assert_gateway_is_well()
