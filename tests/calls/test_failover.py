"""A provider of two servers, which DNS names in order: the first is killed and started again, and calls go on."""

from __future__ import annotations

from tests.support.calls.kamailio import Kamailio
from tests.support.calls.load import Caller, Server
from tests.support.calls.nameserver import Server as Place
from tests.support.calls.pjsua import Pjsua
from tests.support.calls.stage import BOB, CAROL, Stage

RATE = 10  # calls a second
LOAD_SECONDS = 26


def test_encrypted_calls_when_the_first_server_dies(stage: Stage) -> None:
    """The call that is up keeps its audio and ends at once; the next goes to the second server, later to the first."""
    first, second = stage.provider, stage.start_provider()
    stage.start_nameserver("_sips._tcp", [Place(one.terms.address, one.terms.port) for one in (first, second)])
    gateway = stage.start_gateway()
    alice, bob, carol = stage.pjsua_phone(), stage.pjsua_far_end(), stage.pjsua_far_end("carol", at=second)
    for telephone in (alice, bob, carol):
        telephone.register()
    answered(alice, bob, BOB)

    first.kill()
    alice.mark_recording()
    stage.talk(1.5)
    stage.assert_heard_since_mark(alice, 0.8)
    alice.hangup()
    gateway.wait_idle()
    bob.stop()
    answered(alice, carol, CAROL)
    alice.hangup()
    carol.wait_ended()
    assert invites(second) == 1

    first.start()
    before = invites(first)
    alice.call(BOB)
    assert alice.wait_ended().startswith("404")  # it has forgotten bob, and the second never knew him
    assert invites(first) > before
    stage.judge_provider_side(stage.capture.stop()).assert_clean()
    stage.assert_gateway_is_well()


def test_load_while_the_first_server_is_killed_and_comes_back(stage: Stage) -> None:
    """Over UDP, where nobody is told that a server is gone. Nothing is left of any call in the end."""
    address = stage.hosts.far_end
    first, second = (
        Server(address, stage.hosts.port(address, 2), stage.hosts.control, stage.directory / name)
        for name in ("first", "second")
    )
    stage.keep(first)
    stage.keep(second)
    stage.start_nameserver("_sip._udp", [first.place, second.place])
    gateway = stage.start_gateway(transport="udp", media_ports=1000)
    timers = gateway.counts()["timers"]
    assert isinstance(timers, int)
    host = stage.hosts.phone
    caller = stage.keep(Caller(host, stage.hosts.port(host, 2), gateway.phones_proxy, BOB, stage.directory / "caller"))

    caller.start(RATE, RATE * LOAD_SECONDS)
    stage.talk(4)
    assert first.calls() > RATE
    assert second.calls() == 0
    first.kill()
    stage.talk(6)
    assert second.calls() > RATE
    first.start()
    gateway.program.wait_for_line("answers again", 12)
    stage.talk(5)  # copies of what it was sent in vain have come by now
    before = first.calls()
    stage.talk(2)
    assert first.calls() > before + RATE, "the server that came back is not used"

    done, failed = caller.wait_ended(LOAD_SECONDS + 10)
    assert done + failed == RATE * LOAD_SECONDS
    assert failed <= 1, "more than the call that was being set up as the server died"
    gateway.wait_empty(timers)
    stage.assert_gateway_is_well()


def answered(caller: Pjsua, callee: Pjsua, uri: str) -> None:
    """A call that stands."""
    caller.call(uri)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()


def invites(provider: Kamailio) -> int:
    """How many calls of the gateway this server took: those whose INVITE has credentials."""
    return sum(
        message.method == "INVITE" and bool(message.header("proxy-authorization")) for message in provider.messages()
    )
