"""A gateway with a month of calls, its provider, two phones that talk, and Chromium that looks at its pages.

Everything is a real program on loopback. Another provider, whose port refuses, is there to be complained of.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from gateway.demo.devcerts import make_for
from gateway.demo.roles import PASSWORDS
from tests.browser.office import furnish
from tests.browser.strangers import SCANNERS, ask_for_files, scan
from tests.support.calls.processes import Program, find_program, wait_until

ROOT: Final = Path(__file__).parents[2]
HOST, FAR, PHONES = "127.0.0.141", "127.0.0.142", "127.0.0.143"
OWN_NAME: Final = "gw-berlin.example.com"
ADMIN_PORT: Final = 8089
BASE: Final = f"http://{HOST}:{ADMIN_PORT}"
API: Final = f"{BASE}/api/v1"
HISTORY: Final = 100_000

SWITCHES: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--lang=en-US",
)

CONFIGURATION: Final = """\
# The gateway of an office and its branch.

[gateway]
name = "gw-berlin"
state_directory = "state"
stop = "end"

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "{host}"
port = 5060

[[listener]]
name = "phones-tls"
side = "phones"
transport = "tls"
address = "{host}"
port = 5061
certificate = "{old_chain}"
private_key = "{old_key}"

[[listener]]
name = "provider"
side = "provider"
transport = "tls"
address = "{host}"
port = 5062
certificate = "{chain}"
private_key = "{key}"

[media]
address = "{host}"
ports = "24000-24999"
workers = 1

[[provider]]
name = "main"
uri = "sip:{far}:5061;transport=tls"
trust = "{trust}"

[[provider]]
name = "backup"
uri = "sip:{far}:5099;transport=tls"
trust = "{trust}"

# The head office.
[[domain]]
name = "example.com"
provider = "main"
security = "preferred"
fallback_budget = "2%"
restricted_access_domains = ["{far}"]

[[domain]]
name = "branch.example.com"
provider = "backup"
security = "preferred"

[[blocklist]]
name = "office"
file = "blocked.txt"

[[blocklist]]
name = "far"
url = "http://{host}:9/list"

[provisioning]
name = "{own_name}"
devices = "devices.toml"
address = "{host}"
http_port = 8085

[admin]
address = "{host}"
port = {port}
"""


@attrs.frozen
class Stage:
    """The programs, and the browser."""

    directory: Path
    gateway: Program
    browser: Chrome

    def open(self, path: str) -> None:
        """Look at a page."""
        self.browser.get(BASE + path)

    def resize(self, width: int, height: int = 900) -> None:
        """Look at pages of that width in pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, theme: str) -> None:
        """Let the browser want that theme, as an operating system does."""
        wanted = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)


def calls_of(query: str) -> list[dict[str, Any]]:
    """The newest calls that a query of the API finds."""
    with urllib.request.urlopen(f"{API}/calls?{query}") as page:
        found: list[dict[str, Any]] = json.load(page)["calls"]
        return found


def every_page() -> dict[str, str]:
    """The address of each page, by its name."""

    def call(query: str) -> str:
        return f"/calls/{calls_of(f'direction=outbound&limit=1&{query}')[0]['id']}"

    up, probes = call("stage=up"), _probed()
    return {
        "overview": "/",
        "calls": "/calls",
        "calls-filtered": "/calls?verdict=CLEAR&since=30d",
        "call": call("stage=ended&verdict=ENCRYPTED_TO_PROVIDER"),
        "call-in-clear": call("stage=ended&verdict=CLEAR&since=24h"),
        "call-refused": call("stage=ended&verdict=REFUSED&since=24h"),
        "call-up": up,
        "hang-up": up.replace("/calls/", "/hangup/"),
        "phones": "/phones",
        "phone": "/phones/sip:ana@example.com",
        "domains": "/domains",
        "domain": "/domains/example.com",
        "switch": "/domains/example.com/switch?to=required",
        "providers": "/providers",
        "provider": "/providers/main",
        "provider-down": "/providers/backup",
        "certificates": "/certificates",
        "rollouts": "/rollouts",
        "rollout": "/rollouts/2",
        "rollout-done": "/rollouts/1",
        "rollout-back": "/rollouts/2/roll-back",
        "probes": "/probes",
        "probes-regular": "/probes/history",
        "probe-provider": probes["main"],
        "probe-down": probes["backup"],
        "probe-domain": probes["example.com"],
        "provisioning": "/provisioning",
        "limits": "/security/limits",
        "deviations": "/security/deviations",
        "security": "/security",
        "security-source": "/security/bans/192.0.2.200",
        "security-slowed": f"/security/bans/{SCANNERS[0]}",
        "security-add": "/security/add",
        "events": "/events?kind=all",
        "posture": "/posture",
        "audit": "/audit",
        "settings": "/settings",
        "users": "/users",
        "log-in": "/login",
        "not-found": "/calls/nobody",
    }


def _probed() -> dict[str, str]:
    """The pages of probes of both providers and of a domain, once they have ended, by the names of their targets."""
    paths = {}
    for kind, target in (("provider", "main"), ("provider", "backup"), ("domain", "example.com")):
        paths[target] = f"/probes/{changed('/probes', {'kind': kind, 'target': target})['id']}"
    for path in paths.values():
        wait_until(f"the end of {path}", lambda path=path: _result_of(path) != "running", 20)  # type: ignore[misc]
    return paths


def changed(path: str, change: dict[str, str]) -> dict[str, Any]:
    """The answer of the API to a change."""
    wanted = urllib.request.Request(API + path, json.dumps(change).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(wanted) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _result_of(path: str) -> str:
    with urllib.request.urlopen(f"{API}{path}") as answer:
        return str(json.load(answer)["result"])


@contextmanager
def opened(directory: Path, history: int = HISTORY) -> Iterator[Stage]:
    """All of it, until the end."""
    furnish(directory / "state", time.time(), history)
    certificates = _certified(directory)
    (directory / "blocked.txt").write_text("198.51.100.0/24 # the office next door\n")
    file = directory / "gateway.toml"
    file.write_text(CONFIGURATION.format(host=HOST, far=FAR, own_name=OWN_NAME, port=ADMIN_PORT, **certificates))
    twist = Path(sys.executable).with_name("twist")
    provider = [sys.executable, "-m", "gateway.demo.provider", "--listen", f"{FAR}:5061", "--domain", "example.com"]
    provider += ["--certificate", certificates["far_chain"], "--private-key", certificates["far_key"]]
    for user, password in PASSWORDS.items():
        provider += ["--user", f"{user}:{password}"]
    phones = [sys.executable, "-m", "tests.browser.phones", f"{HOST}:5060", PHONES, "example.com"]
    with (
        Program(provider, directory / "provider.log", cwd=ROOT) as far,
        Program([str(twist), "gateway", "--config", str(file)], directory / "gateway.log", cwd=ROOT) as gateway,
    ):
        far.wait_for_line(r"Listening", 15)
        gateway.wait_for_line(r'"ready"', 20)
        log = directory / "phones.log"
        with (
            Program([*phones, str(directory / "phones-sip.log")], log, cwd=ROOT) as talking,
            _chromium(directory) as browser,
        ):
            talking.wait_for_line(r"calls are up", 20)
            scan(HOST)
            ask_for_files(HOST)
            changed("/provisioning/enrol", {"device": "000b82cafe01"})
            yield Stage(directory, gateway, browser)


def _certified(directory: Path) -> dict[str, str]:
    """Certificates of the gateway and of its provider; that of phones is to be renewed soon."""
    fresh, old = directory / "certificates", directory / "old-certificates"
    now = datetime.now(UTC)
    make_for(fresh, OWN_NAME, HOST, now - timedelta(days=291))
    make_for(fresh, FAR, FAR, now - timedelta(days=291))
    make_for(old, OWN_NAME, HOST, now - timedelta(days=352))
    own = f"phones-{OWN_NAME}"
    return {
        "trust": str(fresh / "ca.pem"),
        "chain": str(fresh / f"{own}.pem"),
        "key": str(fresh / f"{own}.key"),
        "old_chain": str(old / f"{own}.pem"),
        "old_key": str(old / f"{own}.key"),
        "far_chain": str(fresh / f"phones-{FAR}.pem"),
        "far_key": str(fresh / f"phones-{FAR}.key"),
    }


@contextmanager
def _chromium(directory: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = find_program("chromium", "chromium")
    for switch in (*SWITCHES, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, ChromeService(find_program("chromedriver", "chromium-driver")))
    try:
        browser.set_page_load_timeout(20)
        yield browser
    finally:
        browser.quit()


def settled(browser: Chrome, what: str, expression: str, seconds: float = 8.0) -> None:
    """Wait until an expression of JavaScript is true in the page."""
    wait_until(what, lambda: bool(browser.execute_script(f"return Boolean({expression})")), seconds)
