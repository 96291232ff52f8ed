"""Log-in and roles in a browser. It runs after the other pages: with the first user, everything needs a log-in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.looking import axe_faults, press, wider_than_window
from tests.browser.stage import Stage, settled

PASSWORD = "a horse with a staple"
ROLES = ("viewer", "operator", "admin")
PAGES = (
    "/",
    "/calls",
    "/phones",
    "/domains",
    "/providers",
    "/certificates",
    "/security",
    "/security/limits",
    "/rollouts",
    "/rollouts/2",
    "/probes",
    "/provisioning",
    "/security/deviations",
    "/posture",
    "/events",
    "/audit",
    "/settings",
)


@pytest.fixture(scope="module")
def people(stage: Stage) -> Iterator[Stage]:
    """The stage with a user of each role, named after it; the administrator first, as an installer would."""
    for role in reversed(ROLES):
        command = [str(Path(sys.executable).with_name("gatewayctl")), "users", "add", role, "--role", role]
        command += ["--password-stdin", "--config", str(stage.directory / "gateway.toml")]
        subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True, timeout=20)
    stage.resize(1440)
    yield stage
    stage.browser.delete_all_cookies()


def log_in(stage: Stage, name: str, path: str = "/") -> None:
    stage.browser.delete_all_cookies()
    stage.open(path)
    settled(stage.browser, "the log-in", "location.pathname === '/login'")
    stage.browser.find_element(By.NAME, "name").send_keys(name)
    stage.browser.find_element(By.NAME, "password").send_keys(PASSWORD + Keys.ENTER)
    settled(stage.browser, "the page that was asked for", f"location.pathname === {path!r}")


def has_button(stage: Stage, words: str) -> bool:
    return any(one.text == words for one in stage.browser.find_elements(By.CSS_SELECTOR, "main button"))


def head(stage: Stage) -> str:
    return stage.browser.find_element(By.TAG_NAME, "h1").text


def test_a_wrong_password_lets_nobody_in(people: Stage) -> None:
    people.browser.delete_all_cookies()
    people.open("/calls")
    people.browser.find_element(By.NAME, "name").send_keys("viewer")
    people.browser.find_element(By.NAME, "password").send_keys("not the password" + Keys.ENTER)
    settled(people.browser, "the answer", "document.body.textContent.includes('do not belong together')")
    people.open("/calls")
    assert people.browser.current_url.endswith("/login?next=%2Fcalls")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_its_pages(people: Stage, role: str) -> None:
    log_in(people, role, "/domains/example.com")
    has_switch = bool(people.browser.find_elements(By.CSS_SELECTOR, ".option button"))
    assert has_switch is (role != "viewer")
    people.open("/domains/example.com/switch?to=off")
    assert head(people) == ("Not allowed" if role == "viewer" else "Switch example.com to off?")
    people.open("/security/bans/198.51.100.99")
    assert has_button(people, "Lift the ban") is (role != "viewer")
    people.open("/security/add")
    assert head(people) == ("Not allowed" if role == "viewer" else "Ban an address")
    for path, words in (("/probes", "Probe"), ("/rollouts/2", "Go on"), ("/provisioning", "Adopt")):
        people.open(path)
        assert has_button(people, words) is (role != "viewer"), path
    people.open("/users")
    assert head(people) == ("Users and tokens" if role == "admin" else "Not allowed")
    for path in PAGES:
        people.open(path)
        assert head(people) not in ("Not allowed", "That did not work", "Log in"), path
    assert people.browser.find_element(By.CSS_SELECTOR, ".rail .foot").text.startswith(f"{role}, {role}")
    press(people, "Log out")
    settled(people.browser, "the log-in", "location.pathname === '/login'")


def test_pages_of_accounts_are_accessible_and_fit(people: Stage) -> None:
    log_in(people, "admin")
    faults: dict[str, object] = {}
    for theme, width in (("light", 1440), ("dark", 360)):
        people.prefer(theme)
        people.resize(width)
        for path in ("/login", "/account", "/account/second-factor", "/users", "/new-user", "/users/admin"):
            people.open(path)
            faults[f"{path} {theme}"] = axe_faults(people) + wider_than_window(people)
    people.resize(1440)
    people.prefer("light")
    assert {name: found for name, found in faults.items() if found} == {}
