"""Log-in, roles and a user's own account in Chromium, over HTTPS, against a running gateway."""

from __future__ import annotations

import json
import threading
import time
from base64 import b32decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from gateway.admin.accounts.second_factor import code_at
from tests.browser.looking import AXE, BROKEN, LOOK, WIDER
from tests.browser.stage import SWITCHES
from tests.support.admin_gateway import NAME, PASSWORD, AdminGateway
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import find_program

ROLES = {"vera": "viewer", "olaf": "operator", "anna": "admin"}
PAGES = {
    "/": 1,
    "/calls": 1,
    "/phones": 1,
    "/domains": 1,
    "/domains/example.com": 1,
    "/domains/example.com/switch?to=required": 2,
    "/providers": 1,
    "/certificates": 1,
    "/events": 1,
    "/audit": 1,
    "/settings": 1,
    "/users": 3,
    "/new-user": 3,
    "/users/anna": 3,
    "/account": 1,
    "/account/second-factor": 1,
}
"""The least role of each page: viewer 1, operator 2, admin 3."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminGateway]:
    hosts = Hosts.claim()
    made = AdminGateway(hosts, tmp_path_factory.mktemp("gateway"))
    made.begin()
    for name, role in ROLES.items():
        made.add(name, role)
    yield made
    made.close()
    hosts.release()


@pytest.fixture
def browser(gateway: AdminGateway, tmp_path: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = find_program("chromium", "chromium")
    where = f"--host-resolver-rules=MAP {NAME} {gateway.rig.hosts.gateway}"
    for switch in (
        *SWITCHES,
        where,
        f"--user-data-dir={tmp_path}",
        "--ignore-certificate-errors",
        "--window-size=1440,900",
    ):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Chrome(options=options, service=ChromeService(find_program("chromedriver", "chromium-driver")))
    yield made
    made.quit()


def log_in(browser: Chrome, gateway: AdminGateway, name: str, password: str = PASSWORD, page: str = "/account") -> None:
    browser.get(gateway.url + page)
    browser.find_element(By.ID, "name").send_keys(name)
    browser.find_element(By.ID, "password").send_keys(password)
    press(browser, "Log in")


def press(browser: Chrome, words: str) -> None:
    """Press a button, and wait for the page that comes of it."""
    browser.execute_script("window.isBefore = true")
    browser.find_element(By.XPATH, f"//button[normalize-space()='{words}']").click()
    arrived = "return !window.isBefore && document.readyState === 'complete'"
    WebDriverWait(browser, 10, ignored_exceptions=[WebDriverException]).until(lambda one: one.execute_script(arrived))


def path_of(browser: Chrome, gateway: AdminGateway) -> str:
    return browser.current_url.removeprefix(gateway.url)


def faults(browser: Chrome) -> object:
    """Rules of accessibility that the page breaks, and words and widths that do not fit."""
    browser.execute_script(AXE)
    found: list[object] = browser.execute_async_script(LOOK, [])
    return [*found, *browser.execute_script(WIDER), *browser.execute_script(BROKEN)]


def test_a_user_logs_in_reads_and_logs_out(browser: Chrome, gateway: AdminGateway) -> None:
    log_in(browser, gateway, "vera", "wrong horse battery")
    assert "do not belong together" in browser.find_element(By.ID, "problem").text
    assert faults(browser) == []
    log_in(browser, gateway, "vera", page="/calls?q=42")
    assert path_of(browser, gateway) == "/calls?q=42", "the page that was asked for"
    cookie = browser.get_cookie("__Host-session")
    assert cookie is not None
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/")
    assert "session" not in browser.execute_script("return document.cookie")
    assert browser.find_element(By.LINK_TEXT, "vera").get_attribute("href") == f"{gateway.url}/account"
    press(browser, "Log out")
    assert path_of(browser, gateway) == "/login"
    browser.get(f"{gateway.url}/calls")
    assert path_of(browser, gateway) == "/login?next=%2Fcalls"


@pytest.mark.parametrize("name", ROLES)
def test_each_role_gets_its_pages(browser: Chrome, gateway: AdminGateway, name: str) -> None:
    log_in(browser, gateway, name)
    role = [*ROLES.values()].index(ROLES[name]) + 1
    for page, least in PAGES.items():
        browser.get(gateway.url + page)
        heading = browser.find_element(By.TAG_NAME, "h1").text
        assert (heading == "Not allowed") is (role < least), (page, heading)


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_of_accounts_break_no_rule_of_accessibility(
    browser: Chrome, gateway: AdminGateway, width: int, theme: str
) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    browser.get(f"{gateway.url}/login")
    found = {"login": faults(browser)}
    log_in(browser, gateway, "vera")
    for page in ("/account", "/account/second-factor"):
        browser.get(gateway.url + page)
        found[page] = faults(browser)
    assert {page: fault for page, fault in found.items() if fault} == {}
    log: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert log == []


def test_a_second_factor_is_set_up_and_asked_for(browser: Chrome, gateway: AdminGateway) -> None:
    gateway.add("carol", "viewer")
    log_in(browser, gateway, "carol", page="/account/second-factor")
    secret = b32decode(browser.find_element(By.TAG_NAME, "code").text)
    browser.find_element(By.ID, "code").send_keys(code_at(secret, int(time.time()) // 30 - 1))
    press(browser, "Set it up")
    codes = [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".codes code")]
    assert len(codes) == 8
    assert faults(browser) == []
    browser.get(f"{gateway.url}/account")
    press(browser, "Log out")
    log_in(browser, gateway, "carol")
    assert path_of(browser, gateway) == "/login/code?next=%2Faccount"
    assert faults(browser) == []
    browser.find_element(By.ID, "code").send_keys(code_at(secret, int(time.time()) // 30))
    press(browser, "Log in")
    assert path_of(browser, gateway) == "/account"
    press(browser, "Log out")
    log_in(browser, gateway, "carol")
    browser.find_element(By.ID, "code").send_keys(codes[0])
    press(browser, "Log in")
    assert "7 recovery codes" in browser.find_element(By.TAG_NAME, "main").text


def test_a_page_of_another_name_of_this_machine_changes_nothing(
    browser: Chrome, gateway: AdminGateway, tmp_path: Path
) -> None:
    """A page at http://evil.localhost sends forms and JSON to the gateway, in the browser of an administrator."""
    target = f"{gateway.url}/domains/example.com/switch"
    page = (
        f"<form id=f method=post action='{target}'><input name=to value=required></form>"
        f"<script>fetch('{gateway.url}/api/v1/domains/example.com', {{method: 'POST', mode: 'no-cors', "
        "credentials: 'include', body: JSON.stringify({security: 'required'})}).finally(() => f.submit())</script>"
    )

    class Evil(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    log_in(browser, gateway, "anna")
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.get(f"http://evil.localhost:{server.server_address[1]}/")
        deadline = time.monotonic() + 10
        while not browser.current_url.startswith(target) and time.monotonic() < deadline:
            time.sleep(0.1)
        server.shutdown()
    assert browser.current_url == target
    assert "403" in browser.page_source or "Not allowed" in browser.page_source or "elsewhere" in browser.page_source
    assert json.loads(gateway.ctl("domain", "example.com", "--json"))["security"] == "off"
    browser.get(f"{gateway.url}/account")
    assert "You are anna" in browser.find_element(By.TAG_NAME, "main").text, "her session goes on"
