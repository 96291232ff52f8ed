"""Browsers register and signal over WebSockets (RFC 7118): JsSIP and SIP.js in Chromium, a real provider behind."""

from __future__ import annotations

import json

import pytest

from tests.support.calls.processes import wait_until
from tests.support.calls.stage import ALICE
from tests.support.calls.web.web_stage import JSSIP, SIPJS, WebStage


def bindings(web: WebStage) -> list[dict[str, str]]:
    """The phones that the gateway knows."""
    assert web.stage.gateway is not None
    found: list[dict[str, str]] = json.loads(web.stage.gateway.fetch("/api/phones") or "[]")
    return found


@pytest.mark.parametrize("page", [JSSIP, SIPJS])
def test_a_browser_registers_with_its_password(web: WebStage, page: str) -> None:
    gateway = web.start_gateway()
    web.registered(page)
    (binding,) = bindings(web)
    assert "invalid" in binding["contact"]
    assert "transport=ws" in binding["contact"].lower()
    assert gateway.metric("gateway_connections", listener="web") == 1
    gateway.assert_log_is_clean(())


def test_a_wrong_password_is_told(web: WebStage) -> None:
    web.start_gateway()
    phone = web.browser()
    phone.ask_registration(ALICE, "wrong")
    phone.wait_registration("failed: ")
    assert bindings(web) == []


def test_a_page_that_is_none_of_the_origins_gets_no_connection(web: WebStage) -> None:
    gateway = web.start_gateway(origin="https://intranet.example.com")
    phone = web.browser()
    phone.ask_registration(ALICE, "any")
    phone.wait_registration("no connection")
    assert any("403" in line for line in phone.log())
    assert "is refused, which is none of the listener's origins" in gateway.program.text()


def test_a_page_that_is_loaded_again_is_the_same_phone(web: WebStage) -> None:
    gateway = web.start_gateway()
    phone = web.registered()
    (before,) = bindings(web)
    phone.reload()
    wait_until("the end of its connection", lambda: gateway.metric("gateway_connections", listener="web") == 0, 5)
    assert gateway.metric("gateway_unreachable_registrations") == 1
    phone.register(ALICE, "Wonderland-7531")
    assert gateway.metric("gateway_unreachable_registrations") == 0
    assert len(bindings(web)) == 1
    assert bindings(web)[0]["contact"] != before["contact"]
