"""Calls with Firefox, whose ICE, DTLS and SRTP are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.calls.audio import assert_hears, read_wav
from tests.support.calls.stage import ALICE, BOB, HERTZ, Scenery, Stage
from tests.support.calls.web.firefox import Firefox
from tests.support.calls.web.own_network import own_network
from tests.support.calls.web.pages import Pages
from tests.support.calls.web.web_stage import JSSIP, WebStage

pytestmark = pytest.mark.alone


@pytest.fixture
def network() -> Iterator[str]:
    with own_network() as address:
        yield address


@pytest.fixture
def there(network: str, scenery: Scenery, tmp_path: Path, make_stage: Callable[..., Stage]) -> Iterator[WebStage]:
    """The stage and its pages in that network."""
    pages = Pages(tmp_path / "pages")
    stage = make_stage()
    stage.phone_media = network
    yield WebStage(stage, pages)
    pages.stop()


@pytest.mark.parametrize("is_called", [False, True], ids=["calls", "is called"])
def test_both_hear_each_other(there: WebStage, *, is_called: bool) -> None:
    gateway = there.start_gateway()
    alice, bob = there.registered(JSSIP, kind=Firefox), there.stage.pjsua_far_end()
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
    alice.hold()
    bob.wait_held()
    alice.resume()
    bob.wait_resumed()
    alice.assert_hears(HERTZ["bob"])
    alice.hangup()
    bob.wait_ended()
    gateway.wait_idle()
    assert [*gateway.verdicts().values()] == ["ENCRYPTED"]
    assert_hears(read_wav(bob.recordings()[-1]), HERTZ["alice"], never=HERTZ["bob"], seconds=1.0, who="bob")
    gateway.assert_log_is_clean(())
