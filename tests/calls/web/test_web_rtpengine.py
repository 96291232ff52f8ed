"""Browsers' calls with a real rtpengine as the relay: one configuration line, nothing else changes."""

from __future__ import annotations

import pytest

from tests.support.calls.audio import assert_hears, read_wav
from tests.support.calls.stage import ALICE, BOB, HERTZ
from tests.support.calls.web.web_stage import JSSIP, SIPJS, WebStage

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("page", [JSSIP, SIPJS])
@pytest.mark.parametrize("is_called", [False, True], ids=["calls", "is called"])
def test_both_hear_each_other(web: WebStage, page: str, *, is_called: bool) -> None:
    gateway = web.start_gateway(relay="rtpengine")
    alice, bob = web.registered(page), web.stage.pjsua_far_end()
    bob.register()
    if is_called:
        bob.call(ALICE)
        alice.wait_ringing()
        alice.answer()
        bob.wait_answered()
    else:
        alice.call(BOB)
        bob.wait_ringing()
        bob.answer()
        alice.wait_answered()
    alice.assert_hears(HERTZ["bob"])
    alice.assert_is_dtls()
    alice.hangup()
    bob.wait_ended()
    gateway.wait_idle()
    assert [*gateway.verdicts().values()] == ["ENCRYPTED"]
    assert_hears(read_wav(bob.recordings()[-1]), HERTZ["alice"], never=HERTZ["bob"], seconds=1.0, who="bob")
    gateway.assert_log_is_clean(())
