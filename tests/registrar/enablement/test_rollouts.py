"""A roll-out from its first order to its end: twenty phones of eight makes, failures, kills, pauses, the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from gateway.observe.events import EventName
from gateway.registrar.enablement.phone_reasons import WORDS, PhoneReason
from gateway.registrar.enablement.roll_out import Goal, RolloutStage
from gateway.registrar.enablement.rollouts import NotPossible
from gateway.registrar.enablement.surroundings import ServedFile
from gateway.security.policy.peer_memory import Peer
from gateway.transport.flow import Address
from tests.registrar.enablement.world import DOMAIN, ScriptedPhone, World
from tests.support.faults.desk_phones import AGENTS

CHALLENGE = 'Digest realm="SIP phone", nonce="abcdef", algorithm=MD5, qop="auth"'


def house(world: World, number: int = 20) -> None:
    """Phones of all makes."""
    for index in range(number):
        world.add(ScriptedPhone(f"u{index}", AGENTS[index % len(AGENTS)]))


def test_twenty_phones_of_eight_makes_reach_confirmed_over_tls(tmp_path: Path) -> None:
    world = World(tmp_path)
    house(world)
    rollout = world.begin()

    world.pass_time(400)

    assert set(world.states(rollout).values()) == {"confirmed"}
    assert rollout.stage is RolloutStage.DONE
    assert {str(world.transport_of(user)) for user in world.phones} == {"tls"}
    assert all(len(phone.got) == 1 for phone in world.phones.values())
    assert all(world.memory.is_led(Peer(phone.aor)) for phone in world.phones.values())
    events = {phone.agent.split()[0]: phone.got[0].headers.get("Event") for phone in world.phones.values()}
    assert events["Yealink"] == "check-sync;reboot=false"
    assert events["Cisco/SPA504G-7.6.2c"] == "resync"
    assert events["PolycomVVX-VVX_410-UA/5.9.0.9373"] == "check-sync"


def test_a_canary_is_waited_for_before_the_wave(tmp_path: Path) -> None:
    world = World(tmp_path, canary=1, wave=20)
    house(world)
    world.begin()

    world.pass_time(50)
    assert sum(len(phone.got) for phone in world.phones.values()) == 1

    world.pass_time(30)
    assert sum(len(phone.got) for phone in world.phones.values()) == 20


@pytest.mark.parametrize(
    ("phone", "state", "reason"),
    [
        (ScriptedPhone("p", "baresip 1.0", (481,)), "unsupported", PhoneReason.NOT_UNDERSTOOD),
        (ScriptedPhone("p", answers=(489,)), "unsupported", PhoneReason.NOT_UNDERSTOOD),
        (ScriptedPhone("p", answers=(302,)), "unsupported", PhoneReason.NOT_UNDERSTOOD),
        (ScriptedPhone("p", "PJSUA v2.15", (0,)), "unsupported", PhoneReason.SILENT),
        (ScriptedPhone("p", answers=(0,), options=0), "unreachable", PhoneReason.UNREACHABLE),
        (ScriptedPhone("p", answers=(CHALLENGE,)), "failed", PhoneReason.NO_PASSWORD),
        (ScriptedPhone("p", answers=("Basic realm=x",)), "failed", PhoneReason.UNREADABLE),
        (ScriptedPhone("p", answers=("Digest nonsense",)), "failed", PhoneReason.UNREADABLE),
        (
            ScriptedPhone("p", answers=('Digest realm="r", nonce="n", algorithm=SHA-9',)),
            "failed",
            PhoneReason.UNREADABLE,
        ),
        (ScriptedPhone("p", answers=(486,)), "failed", PhoneReason.NOT_NOW),
        (ScriptedPhone("p", comes_back="never"), "failed", PhoneReason.NO_RETURN),
        (ScriptedPhone("p", comes_back="udp"), "failed", PhoneReason.CAME_BACK_CLEAR),
        (ScriptedPhone("p", comes_back="still"), "failed", PhoneReason.CAME_BACK_CLEAR),
    ],
)
def test_each_failure_stays_with_its_reason(
    tmp_path: Path, phone: ScriptedPhone, state: str, reason: PhoneReason
) -> None:
    world = World(tmp_path)
    phone = ScriptedPhone(phone.user, phone.agent, phone.answers, phone.comes_back, options=phone.options)
    world.add(phone)
    rollout = world.begin()

    world.pass_time(1_000)

    assert (world.states(rollout), world.reasons(rollout)) == ({"p": state}, {"p": reason})
    assert WORDS[reason].words
    assert WORDS[reason].remedy
    assert not world.memory.is_led(Peer(phone.aor))


def test_a_phone_that_cannot_trust_the_certificate_fails_by_its_handshake_and_is_not_asked_again(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    phone = ScriptedPhone("p", comes_back="never")
    world.add(phone)
    rollout = world.begin()
    world.pass_time(40)
    world.handshakes[phone.host] = "it does not know the authority of our certificate"

    world.pass_time(400)

    row = world.phone_of(rollout, "p")
    assert (row.state, row.reason) == ("failed", "TLS_FAILED")
    assert "authority" in row.detail
    assert len(phone.got) == 1


def test_a_phone_that_does_not_return_is_asked_once_more_with_a_reboot(tmp_path: Path) -> None:
    world = World(tmp_path, attempts=2)
    phone = ScriptedPhone("p", comes_back="never")
    world.add(phone)
    world.begin()

    world.pass_time(1_000)

    assert [one.headers.get("Event") for one in phone.got] == ["check-sync;reboot=false", "check-sync;reboot=true"]


def test_rfc3261_22_2_a_challenge_is_answered_once_with_the_password_of_the_user(tmp_path: Path) -> None:
    world = World(tmp_path)
    phone = ScriptedPhone("p", "Cisco/SPA504G-7.6.2c", (CHALLENGE, 200))
    world.passwords["p"] = "Wonderland-7531"
    world.add(phone)
    rollout = world.begin()

    world.pass_time(400)

    first, second = phone.got
    assert second.headers.get("Call-ID") == first.headers.get("Call-ID")
    assert second.cseq.number == first.cseq.number + 1
    assert 'username="p"' in (second.headers.get("Authorization") or "")
    assert world.states(rollout) == {"p": "confirmed"}


def test_a_second_challenge_is_a_wrong_password_and_a_stale_nonce_is_answered_once_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    wrong = ScriptedPhone("wrong", answers=(CHALLENGE,))
    stale = ScriptedPhone("stale", answers=(CHALLENGE, CHALLENGE.replace("abcdef", "bcdefg") + ", stale=true", 200))
    endless = ScriptedPhone("endless", answers=(CHALLENGE + ", stale=true",))
    world.passwords = dict.fromkeys(("wrong", "stale", "endless"), "Wonderland-7531")
    world.add(wrong, stale, endless)
    rollout = world.begin(only="*", goal=Goal.TLS)
    rollout.phones.sort(key=lambda one: one.number)

    world.pass_time(1_000)
    if rollout.stage is RolloutStage.PAUSED:
        world.rollouts.resume(rollout)
        world.pass_time(1_000)

    assert world.states(rollout) == {"wrong": "failed", "stale": "confirmed", "endless": "failed"}
    assert world.reasons(rollout)["wrong"] is PhoneReason.WRONG_PASSWORD
    assert (len(wrong.got), len(stale.got)) == (2, 3)
    assert len(endless.got) <= 3


def test_a_kill_in_the_middle_brings_no_second_notify(tmp_path: Path) -> None:
    world = World(tmp_path)
    house(world)
    rollout = world.begin()
    world.pass_time(66)  # the canary is back, and some of the wave have their order
    before = {user: len(phone.got) for user, phone in world.phones.items()}
    assert 1 < sum(before.values()) < 20

    world.kill()
    world.start()
    again = world.rollouts.list.find(rollout.number)
    assert again is not None
    world.pass_time(250)

    assert max(len(phone.got) for phone in world.phones.values()) == 1
    world.pass_time(450)  # one whose order was kept and never left is asked when its time is over
    assert {len(phone.got) for phone in world.phones.values()} == {1}
    assert set(world.states(again).values()) == {"confirmed"}


def test_a_kill_between_the_keeping_and_the_notify_costs_its_time_and_no_second_notify(tmp_path: Path) -> None:
    world = World(tmp_path, idle_seconds=0)
    world.add(phone := ScriptedPhone("p"))
    world.begin()
    world.pass_time(0.5)
    assert not phone.got  # its order is kept, or about to be, and has not left

    world.kill()
    world.start()
    (again,) = world.rollouts.list
    world.pass_time(250)
    assert len(phone.got) <= 1
    world.pass_time(500)
    assert world.states(again) == {"p": "confirmed"}


def test_nothing_is_sent_while_the_file_cannot_be_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(phone := ScriptedPhone("p"))
    world.begin()
    world.database.failing = True
    world.pass_time(120)
    assert not phone.got

    world.database.failing = False
    world.pass_time(60)
    assert len(phone.got) == 1


def test_six_failures_of_twenty_pause_the_roll_out(tmp_path: Path) -> None:
    world = World(tmp_path, canary=1, wave=20, attempts=1)
    world.add(*(ScriptedPhone(f"good{index}") for index in range(14)))
    world.add(*(ScriptedPhone(f"bad{index}", answers=(486,)) for index in range(6)))
    world.add(*(ScriptedPhone(f"later{index}") for index in range(10)))
    rollout = world.begin()

    world.pass_time(600)

    assert rollout.stage is RolloutStage.PAUSED
    assert "failed" in rollout.why
    events = [event for _, event in world.metrics.events.after(0)]
    assert sum(event.name is EventName.ROLLOUT_PAUSED for event in events) == 1


def test_a_failing_canary_pauses_before_any_other_phone_is_asked(tmp_path: Path) -> None:
    world = World(tmp_path, canary=1, attempts=1)
    world.add(*(ScriptedPhone(f"u{index}", answers=(486,)) for index in range(5)))
    rollout = world.begin()

    world.pass_time(600)

    assert rollout.stage is RolloutStage.PAUSED
    assert sum(len(phone.got) for phone in world.phones.values()) == 1


def test_a_phone_in_a_call_is_asked_after_its_bye_and_idle_seconds(tmp_path: Path) -> None:
    world = World(tmp_path, idle_seconds=30)
    world.add(phone := ScriptedPhone("p"))
    world.busy.add(phone.flow.remote)
    rollout = world.begin()
    world.pass_time(600)
    assert not phone.got
    assert world.reasons(rollout) == {"p": PhoneReason.IN_A_CALL}

    world.busy.clear()  # BYE
    world.pass_time(29)
    assert not phone.got

    world.pass_time(4)
    assert len(phone.got) == 1


def test_a_phone_that_is_never_idle_is_left(tmp_path: Path) -> None:
    world = World(tmp_path, wait_hours=1)
    world.add(phone := ScriptedPhone("p"))
    world.busy.add(phone.flow.remote)
    rollout = world.begin()

    world.pass_time(3_700, step=1.0)

    assert (world.states(rollout), world.reasons(rollout)) == ({"p": "left"}, {"p": PhoneReason.BUSY})


def test_a_phone_that_is_never_idle_is_left_though_the_gateway_was_started_again_meanwhile(tmp_path: Path) -> None:
    world = World(tmp_path, wait_hours=1)
    world.add(phone := ScriptedPhone("p"))
    world.busy.add(phone.flow.remote)
    world.begin()
    world.pass_time(60)

    world.kill()
    world.start()
    (again,) = world.rollouts.list
    world.pass_time(3_700, step=1.0)

    assert (world.states(again), again.stage) == ({"p": "left"}, RolloutStage.DONE)
    assert world.reasons(again) == {"p": PhoneReason.BUSY}


def test_a_pause_does_not_count_as_waiting_when_a_retry_ends_it(tmp_path: Path) -> None:
    world = World(tmp_path, canary=3, wait_hours=1, attempts=1, per_second=1)
    bad = [ScriptedPhone(f"bad{index}", answers=(486, 200)) for index in range(2)]
    busy = ScriptedPhone("busy")
    world.add(*bad, busy)
    world.busy.add(busy.flow.remote)
    rollout = world.begin()
    world.pass_time(60)
    assert (rollout.stage, world.states(rollout)["busy"]) == (RolloutStage.PAUSED, "waiting")
    world.pass_time(2 * 3_600, step=1.0)

    world.busy.clear()
    world.rollouts.retry(rollout, rollout.phones)
    world.pass_time(200)

    assert set(world.states(rollout).values()) == {"confirmed"}


def test_hours_are_kept_and_a_clock_that_jumps_in_them_asks_nobody_twice(tmp_path: Path) -> None:
    from gateway.config.tables.resync_table import opening_hours

    world = World(tmp_path, hours=opening_hours("00:00-06:00"), timezone="UTC")  # NOW is 22:13 UTC
    world.add(phone := ScriptedPhone("p", comes_back="never"))
    rollout = world.begin()
    world.pass_time(60)
    assert world.reasons(rollout) == {"p": PhoneReason.OUTSIDE_HOURS}

    world.wall_offset = 3 * 3600.0
    world.pass_time(60)
    assert len(phone.got) == 1
    world.wall_offset = -40 * 3600.0
    world.pass_time(60)
    assert len(phone.got) == 1


def test_roll_back_brings_all_back_in_clear_where_a_downgrade_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    house(world)
    rollout = world.begin(security_before="preferred")
    world.pass_time(400)
    for phone in world.phones.values():
        phone.comes_back = "udp"
        assert not world.register(phone, "udp", is_new=True), "the way back is closed before"
        phone.world.register(phone, "tls", is_new=True)

    assert world.rollouts.roll_back(rollout, None, "olga") == 20
    for phone in list(world.phones.values())[:5]:  # a refresh over TLS on the way closes nothing
        world.register(phone, "tls", is_new=False)
    world.pass_time(600)

    assert set(world.states(rollout).values()) == {"rolled_back"}
    assert {str(world.transport_of(user)) for user in world.phones} == {"udp"}
    assert world.switched == [(DOMAIN, "preferred")]
    assert not any(world.memory.is_led(Peer(phone.aor)) for phone in world.phones.values())


def test_a_phone_of_another_user_that_claims_the_device_confirms_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    device = "Yealink SIP-T46G 28.83.0.30 0015651a2b3c"
    world.add(ScriptedPhone("alice", device, comes_back="never"), ScriptedPhone("mallory", "x 1"))
    rollout = world.begin(only="alice")
    world.pass_time(60)

    world.phones["mallory"].agent = device
    world.register(world.phones["mallory"], "tls", is_new=True)

    assert world.states(rollout) == {"alice": "accepted"}


def test_one_device_with_two_addresses_is_asked_once_and_two_devices_on_one_are_two(tmp_path: Path) -> None:
    world = World(tmp_path)
    device = "Yealink SIP-T46G 28.83.0.30 0015651a2b3c"
    one, other = ScriptedPhone("line1", device), ScriptedPhone("line2", device)
    world.add(one, other)
    rollout = world.begin()

    world.pass_time(120)
    assert len(rollout.phones) == 1
    assert len(one.got) + len(other.got) == 1


def test_a_second_phone_of_an_address_that_stays_in_clear_is_not_cut_off(tmp_path: Path) -> None:
    world = World(tmp_path, attempts=1)
    desk = ScriptedPhone("alice", instance="<urn:uuid:1>")
    world.add(desk)
    soft = ScriptedPhone("alice", "Soft 1.0", (481,), instance="<urn:uuid:2>", host="192.0.2.99", world=world)
    world.phones["soft"] = soft
    world.register(soft, "udp", is_new=True)
    rollout = world.begin()

    world.pass_time(400)

    assert sorted(str(one.state) for one in rollout.phones) == ["confirmed", "unsupported"]
    assert not world.memory.is_led(Peer(desk.aor))


def test_an_unreachable_phone_is_asked_once_it_registers_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(gone := ScriptedPhone("gone", answers=(0,), options=0), ScriptedPhone("other", comes_back="never"))
    rollout = world.begin()
    world.pass_time(70)
    if rollout.stage is RolloutStage.PAUSED:
        world.rollouts.resume(rollout)
    assert world.states(rollout)["gone"] == "unreachable"

    gone.answers = (200,)
    world.register(gone, "udp", is_new=True)
    world.pass_time(150)

    assert world.states(rollout)["gone"] == "confirmed"


def test_pause_takes_effect_before_the_next_notify_and_resume_and_stop(tmp_path: Path) -> None:
    world = World(tmp_path, canary=20)
    house(world)
    rollout = world.begin()
    world.pass_time(3)
    world.rollouts.pause(rollout, "lunch")
    world.pass_time(1)
    sent = sum(len(phone.got) for phone in world.phones.values())
    world.pass_time(20)
    assert sum(len(phone.got) for phone in world.phones.values()) == sent < 20
    with pytest.raises(NotPossible):
        world.rollouts.pause(rollout, "again")

    world.rollouts.resume(rollout)
    world.pass_time(2)
    world.rollouts.stop(rollout, "enough")
    world.pass_time(400)
    assert set(world.states(rollout).values()) == {"confirmed", "left"}
    left = [one for one in rollout.phones if one.state == "left"]
    assert world.rollouts.retry(rollout, left) == len(left)
    world.pass_time(400)
    assert set(world.states(rollout).values()) == {"confirmed"}


def test_a_stop_ends_a_change_that_has_not_come_to_all_phones(tmp_path: Path) -> None:
    world = World(tmp_path, canary=60, per_second=50)
    world.add(*(ScriptedPhone(f"p{index}", answers=(489,)) for index in range(50)))
    rollout = world.begin()
    world.pass_time(5)
    assert world.rollouts.retry(rollout, rollout.phones) == 50
    world.pass_time(0.25)
    world.rollouts.stop(rollout, "enough")
    world.pass_time(10)
    assert set(world.states(rollout).values()) <= {"unsupported", "left"}


def test_a_change_of_phones_that_another_roll_out_follows_by_now_comes_to_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, canary=3)
    world.add(*(ScriptedPhone(f"p{index}", answers=(489, 200)) for index in range(3)))
    before = world.begin()
    world.pass_time(5)
    assert world.rollouts.roll_back(before, before.phones, "olga") == 3
    rollout = world.begin()
    world.pass_time(100)
    assert set(world.states(before).values()) == {"unsupported"}
    assert set(world.states(rollout).values()) == {"confirmed"}
    assert rollout.stage is RolloutStage.DONE


def test_a_planned_roll_out_begins_at_its_time_and_a_domain_has_one_at_a_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(phone := ScriptedPhone("p"))
    rollout = world.begin(stage=RolloutStage.PLANNED, at=world.now() + 600)
    with pytest.raises(NotPossible):
        world.begin()
    world.pass_time(500)
    assert not phone.got

    world.pass_time(300)
    assert world.states(rollout) == {"p": "confirmed"}


def test_a_resync_ends_with_the_order_taken(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(phone := ScriptedPhone("p", comes_back="never"))
    rollout = world.begin(Goal.RESYNC)

    world.pass_time(10)

    assert world.states(rollout) == {"p": "confirmed"}
    assert len(phone.got) == 1
    assert not world.memory.is_led(Peer(phone.aor))
    with pytest.raises(NotPossible):
        world.rollouts.roll_back(rollout, None, "olga")


def test_a_call_that_is_encrypted_confirms_where_so_wanted(tmp_path: Path) -> None:
    world = World(tmp_path, confirm="call")
    world.add(phone := ScriptedPhone("p"))
    rollout = world.begin()
    world.pass_time(200)
    assert (world.states(rollout), world.reasons(rollout)) == ({"p": "returned"}, {"p": PhoneReason.SRTP_NOT_SEEN})

    def call(name: str, who: str, verdict: str) -> None:
        told = {"domain": DOMAIN, "who": who, "call": name}
        world.metrics.events.note(EventName.CALL_STARTED, **told)
        world.metrics.events.note(EventName.CALL_ENDED, verdict=verdict, **told)

    call("1", "sip:other@example.com", "ENCRYPTED")
    call("2", phone.aor, "ENCRYPTED_TO_PROVIDER")
    world.metrics.events.note(EventName.CALL_ENDED, verdict="ENCRYPTED", call="3", who=phone.aor)  # no known caller
    assert world.states(rollout) == {"p": "returned"}
    call("4", f"sip:p@{DOMAIN}:5061;user=phone", "ENCRYPTED")
    world.pass_time(1)

    assert (world.states(rollout), rollout.stage) == ({"p": "confirmed"}, RolloutStage.DONE)


def test_a_phone_that_calls_from_another_port_than_it_is_called_at_is_not_ordered_by_hand_meanwhile(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.add(phone := ScriptedPhone("p"))
    (binding,) = world.store.find(phone.aor)
    calls_from = attrs.evolve(binding.flow, remote=Address(phone.host, 40_000))
    binding = attrs.evolve(binding, source=calls_from)
    world.busy.add(calls_from.remote)

    with pytest.raises(NotPossible, match="has a call"):
        world.rollouts.order_now(binding, reboot=False)
    assert not phone.got

    world.busy.clear()
    world.rollouts.order_now(binding, reboot=False)
    assert len(phone.got) == 1


def test_the_pace_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path, canary=20, per_second=2)
    house(world)
    world.begin()

    world.pass_time(5)

    assert 8 <= sum(len(phone.got) for phone in world.phones.values()) <= 12


def test_orders_leave_at_the_fastest_pace_and_not_only_when_it_is_over(tmp_path: Path) -> None:
    world = World(tmp_path, canary=300, wave=300, per_second=50, idle_seconds=0)
    world.add(*(ScriptedPhone(f"u{number}", host=f"10.0.{number // 200}.{number % 200}") for number in range(300)))
    world.begin()
    world.pass_time(4)
    assert sum(len(phone.got) for phone in world.phones.values()) >= 120


class Files:
    """This gateway serves the files of all phones."""

    def __init__(self) -> None:
        self.rolled_back: list[str] = []
        self.protected: list[tuple[str, bool]] = []

    def file_of(self, device: str) -> ServedFile | None:
        return ServedFile("behind", "required", 4, 3, 1.0, "token")

    def serves(self, device: str) -> bool:
        return True

    def protect(self, device: str, *, is_required: bool) -> None:
        self.protected.append((device, is_required))

    def roll_back(self, device: str) -> None:
        self.rolled_back.append(device)

    def follow(self, follower: Callable[[str], None]) -> None:
        self.fetched = follower


def test_a_phone_that_does_not_fetch_its_file_is_told_so(tmp_path: Path) -> None:
    world = World(tmp_path, files=Files(), attempts=1)
    world.add(ScriptedPhone("p", comes_back="never"))
    rollout = world.begin()
    world.pass_time(200)

    assert world.reasons(rollout) == {"p": PhoneReason.NO_FETCH}


def test_a_file_that_is_fetched_and_rolled_back(tmp_path: Path) -> None:
    files = Files()
    world = World(tmp_path, files=files)
    world.add(phone := ScriptedPhone("p"))
    rollout = world.begin()
    world.pass_time(30)
    (row,) = rollout.phones
    assert files.protected == [(row.key, True)]
    row.key = "mac:0015651a2b3c"
    files.fetched("mac:0015651a2b3c")
    assert row.state == "fetched"
    world.pass_time(100)
    assert row.state == "confirmed"

    phone.comes_back = "udp"
    assert world.rollouts.roll_back(rollout, [row], "olga") == 1
    world.pass_time(200)
    assert files.rolled_back == [row.key]
    assert row.state == "rolled_back"


def test_a_phone_that_took_the_order_and_failed_is_led_back_at_once_where_so_told(tmp_path: Path) -> None:
    world = World(tmp_path, automatic_roll_back=True, attempts=1)
    world.add(phone := ScriptedPhone("p", comes_back="never"))
    world.add(ScriptedPhone("deaf", answers=(481,)))
    rollout = world.begin()
    world.pass_time(360)
    assert world.states(rollout)["p"] == "rolling_back"

    world.register(phone, "udp", is_new=True)
    world.pass_time(400)
    assert world.states(rollout) == {"p": "rolled_back", "deaf": "unsupported"}


def test_five_thousand_phones_take_little_of_each_round(tmp_path: Path) -> None:
    import time

    world = World(tmp_path, wave=20)
    for index in range(5_000):
        phone = ScriptedPhone(f"u{index}", AGENTS[index % len(AGENTS)], host=f"10.0.{index // 250}.{index % 250 + 1}")
        world.phones[phone.user] = phone
        phone.world = world
        world.register(phone, "udp", is_new=True)
    world.begin()
    world.pass_time(2)

    begin = time.perf_counter()
    rounds = 200
    for _ in range(rounds):
        world.rollouts.look()
    assert (time.perf_counter() - begin) / rounds < 0.002


def test_a_change_of_all_phones_comes_to_a_few_in_each_round_and_outlives_a_kill(tmp_path: Path) -> None:
    world = World(tmp_path, canary=60, wave=60, per_second=50, idle_seconds=0)
    house(world, 60)
    rollout = world.begin(Goal.TLS)
    world.pass_time(120)
    assert set(world.states(rollout).values()) == {"confirmed"}
    for phone in world.phones.values():
        phone.comes_back = "udp"

    assert world.rollouts.roll_back(rollout, None, "olga") == 60
    world.pass_time(0.25)
    assert 0 < sum(one.state == "rolling_back" for one in rollout.phones) < 60
    world.pass_time(1)
    world.kill()
    world.start()
    (again,) = world.rollouts.list
    world.pass_time(700)

    assert set(world.states(again).values()) == {"rolled_back"}
    assert again.stage is RolloutStage.DONE
