"""The system gives no more files or ports: calls that are up go on, new ones are refused, all is well afterwards."""

from __future__ import annotations

import resource

import pytest

from tests.support.calls.wire import SipMessage
from tests.support.faults.phone import Dialog, Phone
from tests.support.faults.rig import Rig

OPEN_FILES = 48


def limit() -> None:
    """As a service manager or a container's engine may have set it."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def call_until_refused(phone: Phone) -> tuple[list[Dialog], SipMessage]:
    """The calls that were answered, and the first refusal."""
    calls: list[Dialog] = []
    for _ in range(150):
        answer = phone.call()
        if not isinstance(answer, Dialog):
            assert answer is not None, "no answer at all"
            return calls, answer
        calls.append(answer)
    raise AssertionError("no call was refused")


@pytest.mark.parametrize("what", ["files", "ports"])
def test_what_runs_out_refuses_new_calls_and_spares_those_that_are_up(rig: Rig, phone: Phone, what: str) -> None:
    if what == "ports":
        text = rig.configuration.read_text()
        first = rig.first_media_port
        rig.configuration.write_text(text.replace(f"{first}-{first + 399}", f"{first}-{first + 15}"))
    rig.start(before=limit if what == "files" else None)

    calls, refused = call_until_refused(phone)

    assert len(calls) >= 3
    assert refused.status == 503
    phone.say(calls[0], 3)
    assert len(rig.provider.media.recv(2048)) == 172
    assert rig.metric("gateway_active_calls") == len(calls)
    registered = phone.register()
    assert registered is not None
    assert registered.status == 200
    for dialog in calls:
        ended = phone.hang_up(dialog)
        assert ended is not None
        assert ended.status == 200
    (told,) = [one for one in rig.json("/api/calls") if one["status"] == 503]
    assert told["reason"] == "NO_PORTS"
    cause = "media relay: offer: Ran out of ports"
    if what == "files":
        assert told["cause"].startswith(f"{cause}: ports are free, but no files")
    else:
        assert told["cause"] == cause
    assert "Traceback" not in rig.text()
