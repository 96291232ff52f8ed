"""The pages as a reader has them: Chromium looks at a real gateway with 100,000 calls in its history."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.looking import axe_faults, broken_words, press, spilt, wider_than_window
from tests.browser.stage import BASE, HISTORY, Stage, every_page, settled

DARK = (
    *("overview", "calls", "call", "call-in-clear", "call-refused", "phones", "domain"),
    *("switch", "provider-down", "certificates", "limits", "events", "settings", "users", "posture", "not-found"),
    *(
        "security",
        "security-source",
        "security-slowed",
        "rollout",
        "probe-domain",
        "probes",
        "probes-regular",
        "provisioning",
    ),
)


@pytest.fixture(scope="session")
def pages(stage: Stage) -> dict[str, str]:
    return every_page()


def messages(stage: Stage) -> list[str]:
    """Complaints of the browser, such as of a policy that a page breaks; a page that is not there is no news."""
    log: list[dict[str, Any]] = stage.browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [one["message"] for one in log if "404" not in one["message"]]


def test_no_page_breaks_a_rule_of_accessibility(stage: Stage, pages: dict[str, str]) -> None:
    stage.resize(1440)
    stage.prefer("light")
    faults: dict[str, list[str]] = {}
    for name, path in pages.items():
        stage.open(path)
        faults[name] = axe_faults(stage)
    assert {name: found for name, found in faults.items() if found} == {}
    assert messages(stage) == []


def test_nothing_in_the_dark_lacks_contrast(stage: Stage, pages: dict[str, str]) -> None:
    """Of all rules this one looks at colours, which are all that another theme changes; these pages have every part."""
    stage.resize(1440)
    stage.prefer("dark")
    faults: dict[str, list[str]] = {}
    for name in DARK:
        stage.open(pages[name])
        faults[name] = axe_faults(stage, "color-contrast")
    stage.prefer("light")
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize("width", [360, 800, 2560])
def test_no_page_is_wider_than_its_window_or_breaks_a_word(stage: Stage, pages: dict[str, str], width: int) -> None:
    stage.resize(width)
    faults = {}
    for name, path in pages.items():
        stage.open(path)
        faults[name] = (wider_than_window(stage), broken_words(stage), spilt(stage))
    stage.resize(1440)
    told = [f"{name}: {found}" for name, found in faults.items() if any(found)]
    assert not told, "\n".join(told)


def test_accessibility_holds_on_a_telephone_too(stage: Stage, pages: dict[str, str]) -> None:
    stage.resize(360)
    faults = {}
    for name in ("overview", "calls", "call", "domain"):
        stage.open(pages[name])
        stage.browser.find_element(By.CSS_SELECTOR, ".bar summary").click()
        faults[name] = axe_faults(stage)
    stage.resize(1440)
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.alone
def test_each_page_answers_soon_with_100000_calls(stage: Stage, pages: dict[str, str]) -> None:
    slow, heavy = {}, {}
    for name, path in pages.items():
        if name == "not-found":
            continue
        took = []
        for _ in range(3):
            began = time.perf_counter()
            with urllib.request.urlopen(BASE + path) as page:
                body = page.read()
            took.append(time.perf_counter() - began)
            time.sleep(0.02)
        if sorted(took)[1] > 0.05:
            slow[name] = [round(one, 3) for one in took]
        if len(body) > 100_000:
            heavy[name] = len(body)
    assert (slow, heavy) == ({}, {})


def test_search_finds_one_of_100000_calls(stage: Stage) -> None:
    stage.open("/calls")
    settled(stage.browser, "more than can be counted", "document.body.textContent.includes('More than 10,000 calls')")
    assert HISTORY == 100_000
    with urllib.request.urlopen(f"{BASE}/api/v1/calls?limit=300&direction=outbound&stage=ended") as page:
        wanted = json.load(page)["calls"][-1]
    number = str(wanted["callee"]).removeprefix("sip:").partition("@")[0]
    stage.browser.find_element(By.NAME, "q").send_keys(number + Keys.ENTER)
    settled(stage.browser, "one call is listed", "document.querySelectorAll('tbody tr').length === 1")
    stage.browser.find_element(By.CSS_SELECTOR, "tbody a").click()
    settled(stage.browser, "the page of that call", f"location.pathname.endsWith('{wanted['id']}')")
    assert number in stage.browser.find_element(By.TAG_NAME, "h1").text


def test_older_pages_go_on_where_the_last_one_ended(stage: Stage) -> None:
    stage.open("/calls?verdict=CLEAR")
    seen: list[str] = []
    for _ in range(3):
        seen += [link.get_attribute("href") or "" for link in stage.browser.find_elements(By.CSS_SELECTOR, "tbody a")]
        stage.browser.find_element(By.CSS_SELECTOR, "a[rel=next]").click()
        settled(stage.browser, "another page", f"!document.querySelector('tbody a[href=\"{seen[-1]}\"]')")
    assert len(seen) == len(set(seen)) == 150


def test_filters_are_chips_that_stand_in_the_address(stage: Stage) -> None:
    stage.open("/calls")
    stage.browser.find_element(By.CSS_SELECTOR, ".filters-box summary").click()
    stage.browser.find_element(By.LINK_TEXT, "Refused").click()
    settled(stage.browser, "refused calls", "location.search === '?verdict=REFUSED'")
    words = {chip.text for chip in stage.browser.find_elements(By.CSS_SELECTOR, "tbody .chip")}
    assert words == {"Refused"}


def test_the_ladder_has_an_arrow_for_each_message_and_the_wire_two_lanes(stage: Stage, pages: dict[str, str]) -> None:
    stage.open(pages["call"])
    arrows = stage.browser.find_elements(By.CSS_SELECTOR, ".ladder .rung")
    assert len(arrows) >= 13
    assert len(stage.browser.find_elements(By.CSS_SELECTOR, ".rungs .times li")) == len(arrows)
    tops = "[...document.querySelectorAll('.rungs .times li')].map((one) => one.getBoundingClientRect().top)"
    lines = "[...document.querySelectorAll('.ladder .rung > line')].map((one) => one.getBoundingClientRect().top)"
    apart = stage.browser.execute_script(f"const a = {tops}, b = {lines}; return a.map((top, i) => b[i] - top)")
    assert all(10 < one < 30 for one in apart), "each time stands beside its arrow"
    assert len(stage.browser.find_elements(By.CSS_SELECTOR, ".wire .lane")) == 4


def test_calls_that_are_up_are_at_the_top_and_leave_it_live(stage: Stage) -> None:
    stage.open("/calls")
    settled(stage.browser, "the page is live", "document.querySelector('.live').dataset.state === 'live'")
    outcomes = stage.browser.find_elements(By.CSS_SELECTOR, "tbody tr.up td:last-child")
    assert [one.text for one in outcomes] == ["Up", "Up"]


def test_a_switch_is_seen_live_by_another_reader_and_is_undone(stage: Stage) -> None:
    stage.open("/domains/example.com")
    reader = stage.browser.current_window_handle
    settled(stage.browser, "the page is live", "document.querySelector('.live').dataset.state === 'live'")
    stage.browser.switch_to.new_window("window")
    stage.open("/domains/example.com")
    press(stage, "Switch to required …")
    settled(stage.browser, "the question", "document.body.textContent.includes('would have been refused')")
    stage.browser.find_element(By.NAME, "because").send_keys("the auditor asks")
    press(stage, "Switch to required")
    settled(stage.browser, "the domain", "document.body.textContent.includes('Switched from preferred to required.')")
    stage.browser.close()
    stage.browser.switch_to.window(reader)
    settled(
        stage.browser, "the other reader sees it", "document.querySelector('.lead').textContent.includes('required')"
    )
    assert "the auditor asks" in _text_of("/audit", stage)
    stage.open("/domains/example.com")
    press(stage, "Roll back to preferred …")
    press(stage, "Switch to preferred")
    settled(stage.browser, "undone", "document.querySelector('.lead').textContent.includes('preferred')")


def test_an_approval_is_seen_live_by_another_reader_and_the_ban_is_lifted_again(stage: Stage) -> None:
    stage.open("/security/bans/192.0.2.200")
    reader = stage.browser.current_window_handle
    settled(stage.browser, "the page is live", "document.querySelector('.live').dataset.state === 'live'")
    assert "Waits for approval: Wrong passwords." in stage.browser.find_element(By.CSS_SELECTOR, ".lead").text
    stage.browser.switch_to.new_window("window")
    stage.open("/")
    assert "1 ban waits for approval" in stage.browser.page_source  # among those that are shown when asked for
    stage.open("/security")
    press(stage, "Ban 192.0.2.200")
    settled(stage.browser, "it waits no more", "!document.body.textContent.includes('Waiting for approval')")
    stage.browser.close()
    stage.browser.switch_to.window(reader)
    settled(
        stage.browser, "the other reader sees it", "document.querySelector('.lead').textContent.startsWith('Banned')"
    )
    press(stage, "Lift the ban")
    settled(stage.browser, "the page of security", "location.pathname === '/security'")
    assert "Ban lifted" in _text_of("/audit", stage)


def test_a_roll_out_that_goes_on_is_seen_live_by_another_reader(stage: Stage) -> None:
    stage.open("/rollouts/2")
    reader = stage.browser.current_window_handle
    settled(stage.browser, "the page is live", "document.querySelector('.live').dataset.state === 'live'")
    lead = stage.browser.find_element(By.CSS_SELECTOR, ".lead").text
    assert "4 of 12 phones are as wanted, 4 need a look" in lead
    assert "paused: 4 of 8 phones failed" in lead
    stage.browser.switch_to.new_window("window")
    stage.open("/rollouts/2")
    press(stage, "Go on")
    settled(stage.browser, "it goes on", "document.querySelector('main .state').textContent === 'running'")
    stage.browser.close()
    stage.browser.switch_to.window(reader)
    settled(
        stage.browser, "the other reader sees it", "document.querySelector('main .state').textContent === 'running'"
    )
    press(stage, "Pause")
    settled(stage.browser, "paused again", "document.querySelector('.lead').textContent.includes('It is paused')")


def test_an_operator_probes_a_provider_by_the_form_and_is_led_to_its_end(stage: Stage) -> None:
    stage.open("/probes")
    stage.browser.find_element(By.NAME, "target").send_keys("main")
    press(stage, "Probe")
    settled(stage.browser, "its page", "location.pathname.startsWith('/probes/')")
    settled(stage.browser, "its end", "document.body.textContent.includes('A call would get')", 15)


def test_a_form_of_a_live_page_keeps_its_text_and_a_refusal_says_why(stage: Stage) -> None:
    stage.open("/provisioning")
    button = stage.browser.find_element(By.CSS_SELECTOR, "[aria-label='Adopt 80:5e:c0:ff:ee:01']")
    user = button.find_element(By.XPATH, "./ancestor::form").find_element(By.NAME, "users")
    user.send_keys("emma@example.com")
    drawn = "window.drawn = 0; document.body.addEventListener('htmx:after:swap', () => { window.drawn += 1; });"
    stage.browser.execute_script(drawn + "document.body.dispatchEvent(new CustomEvent('gateway:change'))")
    settled(stage.browser, "it was drawn again", "window.drawn")
    assert user.get_attribute("value") == "emma@example.com"
    button.click()
    settled(stage.browser, "the reason", "document.body.textContent.includes('has no password in the credentials')")


def test_an_operator_bans_an_address_by_the_form(stage: Stage) -> None:
    stage.open("/security")
    stage.browser.find_element(By.LINK_TEXT, "Ban an address …").click()
    settled(stage.browser, "the form", "location.pathname === '/security/add'")
    stage.browser.find_element(By.NAME, "source").send_keys("2001:db8:9::7")
    stage.browser.find_element(By.NAME, "because").send_keys("it rings")
    press(stage, "Ban it")
    settled(stage.browser, "its page", "document.querySelector('h1').textContent.includes('2001:db8:9::/64')")
    assert "it rings" in stage.browser.find_element(By.TAG_NAME, "main").text


def test_a_reader_with_a_keyboard_alone_gets_everywhere(stage: Stage) -> None:
    stage.open("/")
    body = stage.browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert stage.browser.switch_to.active_element.text == "To the content"
    reached = []
    for _ in range(60):
        stage.browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = stage.browser.switch_to.active_element
        reached.append(focused.text or focused.tag_name)
        seen = "const e = document.activeElement; return getComputedStyle(e).outlineStyle"
        assert focused.tag_name == "body" or stage.browser.execute_script(seen) == "solid", reached[-1]
    names = ("Overview", "Calls", "Phones", "Domains", "Providers", "Certificates", "Security", "Audit", "Settings")
    for name in (*names, "Dark"):
        assert name in reached, name
    stage.open("/calls")
    stage.browser.find_element(By.TAG_NAME, "body").send_keys("/")
    assert stage.browser.switch_to.active_element.get_attribute("name") == "q"


def test_a_theme_is_kept(stage: Stage) -> None:
    stage.open("/calls?verdict=CLEAR")
    stage.prefer("light")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = stage.browser.execute_script(ground)
    press(stage, "Dark")
    settled(stage.browser, "dark", "document.documentElement.dataset.theme === 'dark'")
    assert stage.browser.execute_script(ground) != light
    assert stage.browser.current_url.endswith("/calls?verdict=CLEAR")
    press(stage, "Auto")
    settled(stage.browser, "as before", "!document.documentElement.dataset.theme")


def test_pages_can_be_read_without_a_script(stage: Stage, pages: dict[str, str]) -> None:
    stage.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        stage.open("/calls")
        stage.browser.find_element(By.NAME, "q").send_keys("ana" + Keys.ENTER)
        time.sleep(0.5)
        assert "q=ana" in stage.browser.current_url
        assert stage.browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    finally:
        stage.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_nothing_moves_when_live_figures_change(stage: Stage) -> None:
    stage.open("/")
    settled(stage.browser, "the page is live", "document.querySelector('.live').dataset.state === 'live'")
    stage.browser.execute_script(
        "window.moved = 0;"
        "const add = (list) => { for (const one of list.getEntries()) window.moved += one.value; };"
        "new PerformanceObserver(add).observe({type: 'layout-shift', buffered: false});"
        "document.body.dispatchEvent(new CustomEvent('gateway:change'))"
    )
    time.sleep(1.5)
    assert stage.browser.execute_script("return window.moved") < 0.02


def _text_of(path: str, stage: Stage) -> str:
    stage.open(path)
    return stage.browser.find_element(By.TAG_NAME, "main").text
