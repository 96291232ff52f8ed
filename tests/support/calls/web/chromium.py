"""Chromium, driven by selenium. Its microphone is a file with a tone.

Certificates are verified; of the gateway's key the browser is told that it may trust it, since nothing else of this
authority is known to it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.support.calls.processes import find_program
from tests.support.calls.web.browser import Equipment

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
    "--lang=en-US",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
)
LISTEN: Final = """
const [seconds] = args;
const context = new AudioContext();
const analyser = context.createAnalyser();
analyser.fftSize = 8192;
context.createMediaStreamSource(document.getElementById("heard").srcObject).connect(analyser);
const bins = new Float32Array(analyser.frequencyBinCount);
const found = [];
const timer = setInterval(() => {
  analyser.getFloatFrequencyData(bins);
  const loudest = bins.reduce((best, level, bin) => level > bins[best] ? bin : best, 0);
  found.push([loudest * context.sampleRate / analyser.fftSize, Math.max(bins[loudest], -200)]);
}, 100);
await new Promise((over) => setTimeout(over, seconds * 1000));
clearInterval(timer);
context.close();
return found;
"""
"""The loudest frequency of all that is heard, and its level in dB, ten times a second."""

ASYNCHRONOUS: Final = """
const args = [...arguments], done = args.pop();
(async () => { %s })().then((value) => done({ value }), (error) => done({ error: String(error) }));
"""


class Chromium:
    """Implements browser.Browser."""

    def __init__(self, equipment: Equipment) -> None:
        options = ChromeOptions()
        options.binary_location = find_program("chromium", "chromium")
        for switch in SWITCHES:
            options.add_argument(switch)
        options.add_argument(f"--use-file-for-fake-audio-capture={equipment.tone}")
        options.add_argument(f"--ignore-certificate-errors-spki-list={key_digest(equipment.trusted)}")
        options.add_argument(f"--user-data-dir={equipment.directory / 'profile'}")
        equipment.directory.mkdir(parents=True, exist_ok=True)
        log = str(equipment.directory / "chromedriver.log")
        service = ChromeService(find_program("chromedriver", "chromium-driver"), log_output=log)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self._driver = Chrome(options, service)
        self._driver.set_script_timeout(30)

    @property
    def listening(self) -> str:
        """See Browser."""
        return LISTEN

    def stop(self) -> None:
        """End it."""
        self._driver.quit()

    def open(self, page: str) -> None:
        """Load a page."""
        self._driver.get(page)

    def evaluate(self, script: str, *args: object) -> Any:
        """See Browser."""
        found: dict[str, Any] = self._driver.execute_async_script(ASYNCHRONOUS % script, *args)
        assert "error" not in found, found["error"]
        return found.get("value")

    def log(self) -> list[str]:
        """The console."""
        entries: list[dict[str, Any]] = self._driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(one["message"]) for one in entries]


def key_digest(certificate: Path) -> str:
    """The SHA-256 of a certificate's public key, in base64."""
    read = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    key = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
