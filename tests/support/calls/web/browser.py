"""A web phone: Chromium with a page of a SIP library, steered as a person would, by its fields and buttons.

Its microphone is a file with a tone. Certificates are verified; of the gateway's key the browser is told that it may
trust it, since nothing else of this authority is known to it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from tests.support.calls.processes import find_program, wait_until

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

CIPHERS: Final = ("SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM")

MOST_LOST: Final = 0.05
"""The part of packets that two browsers on two busy cores may lose, by their own count: the tone is heard anyway."""

LISTEN: Final = """
const [seconds, done] = arguments;
const context = new AudioContext();
const analyser = context.createAnalyser();
analyser.fftSize = 8192;
context.createMediaStreamSource(document.getElementById("heard").srcObject).connect(analyser);
const bins = new Float32Array(analyser.frequencyBinCount);
const found = [];
const timer = setInterval(() => {
  analyser.getFloatFrequencyData(bins);
  const loudest = bins.reduce((best, level, bin) => level > bins[best] ? bin : best, 0);
  found.push([loudest * context.sampleRate / analyser.fftSize, bins[loudest]]);
}, 100);
setTimeout(() => { clearInterval(timer); context.close(); done(found); }, seconds * 1000);
"""
"""The loudest frequency of all that is heard, and its level in dB, ten times a second."""

STATS: Final = """
const done = arguments[0];
const connection = phone.connection || phone.session.connection;
connection.getStats().then((report) => done([...report.values()]));
"""


class WebPhone:
    """One browser with one page. `trusted` is a certificate of the gateway."""

    def __init__(self, page: str, server: str, trusted: Path, tone: Path, directory: Path) -> None:
        self._server = server
        self._page = page
        options = ChromeOptions()
        options.binary_location = find_program("chromium", "chromium")
        for switch in SWITCHES:
            options.add_argument(switch)
        options.add_argument(f"--use-file-for-fake-audio-capture={tone}")
        options.add_argument(f"--ignore-certificate-errors-spki-list={key_digest(trusted)}")
        options.add_argument(f"--user-data-dir={directory / 'profile'}")
        directory.mkdir(parents=True, exist_ok=True)
        service = ChromeService(
            find_program("chromedriver", "chromium-driver"), log_output=str(directory / "chromedriver.log")
        )
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.browser = Chrome(options, service)
        self.browser.set_script_timeout(30)
        self.browser.get(page)

    def stop(self) -> None:
        """End the browser."""
        self.browser.quit()

    # -- as a person does

    def register(self, address: str, password: str) -> None:
        """Register, and wait for it."""
        self.ask_registration(address, password)
        self.wait_registration("registered")

    def ask_registration(self, address: str, password: str) -> None:
        """Fill in the line and press Register."""
        self._fill("server", self._server)
        self._fill("address", address)
        self._fill("password", password)
        self._press("#line button")

    def wait_registration(self, words: str, seconds: float = 10) -> None:
        """Until the page says this of its registration."""
        self._wait("registration", words, seconds)

    def call(self, address: str) -> None:
        """Dial; does not wait."""
        self._fill("number", address)
        self._press("#dial button")

    def wait_ringing(self) -> None:
        """Until a call comes in."""
        self._wait("call", "rings: ")

    def answer(self) -> None:
        """Answer it, and wait until it stands."""
        self._press("#answer")
        self.wait_answered()

    def wait_answered(self) -> None:
        """Until the call stands."""
        self._wait("call", "talking")

    def hold(self) -> None:
        """Put the call on hold."""
        self._press("#hold")
        self._wait("call", "on hold")

    def resume(self) -> None:
        """Go on with it."""
        self._press("#resume")
        self._wait("call", "talking")

    def hangup(self) -> None:
        """End the call, and wait until it is over."""
        self.press_hangup()
        self.wait_ended()

    def press_hangup(self) -> None:
        """End, cancel or reject the call; does not wait."""
        self._press("#hangup")

    def wait_ended(self, seconds: float = 10) -> None:
        """Until the call is over."""
        self._wait("call", "ended: ", seconds)

    def wait_failed(self, seconds: float = 10) -> str:
        """Until the call came to nothing; the page's words."""
        self._wait("call", "failed: ", seconds)
        return self.says("call")

    def dial_keys(self, keys: str) -> None:
        """Press keys while talking."""
        for key in keys:
            (button,) = [one for one in self.browser.find_elements(By.CSS_SELECTOR, "#keys button") if one.text == key]
            self.browser.execute_script("arguments[0].click()", button)

    def reload(self) -> None:
        """Load the page again, as a person does who pressed F5."""
        self.browser.get(self._page)

    # -- as a witness sees it

    def says(self, place: str) -> str:
        """The words at a place of the page: registration or call."""
        return self.browser.find_element(By.ID, place).text

    def hears(self, seconds: float = 2.0) -> list[tuple[float, float]]:
        """The loudest frequency (Hz) of each tenth of a second, and its level (dB)."""
        found = self.browser.execute_async_script(LISTEN, seconds)
        return [(float(hertz), float(level)) for hertz, level in found]

    def statistics(self) -> list[dict[str, Any]]:
        """The browser's own report on its media."""
        found: list[dict[str, Any]] = self.browser.execute_async_script(STATS)
        return found

    def transport(self) -> dict[str, Any]:
        """Of that report, the transport: its DTLS state and SRTP cipher."""
        (found,) = [one for one in self.statistics() if one["type"] == "transport"]
        return found

    def packets(self) -> tuple[int, int, int]:
        """Sent, received and lost, of audio."""
        report = self.statistics()
        (sent,) = [one for one in report if one["type"] == "outbound-rtp"]
        (received,) = [one for one in report if one["type"] == "inbound-rtp"]
        return int(sent["packetsSent"]), int(received["packetsReceived"]), int(received["packetsLost"])

    def assert_hears(self, hertz: int, seconds: float = 2.0) -> None:
        """Most of what it plays is this tone."""
        heard = self.hears(seconds)
        right = [one for one, level in heard if abs(one - hertz) < 20 and level > -60]
        assert len(right) > len(heard) / 2, heard

    def assert_is_dtls(self) -> None:
        """Its own word that its media are encrypted, by a handshake that ended well, and go both ways."""
        transport = self.transport()
        assert transport["dtlsState"] == "connected", transport
        assert transport["srtpCipher"] in CIPHERS, transport
        sent, received, lost = self.packets()
        assert sent > 50
        assert received > 50
        assert lost <= MOST_LOST * received, (sent, received, lost)

    def run(self, script: str) -> Any:
        """The value of a script in the page."""
        return self.browser.execute_script(script)

    def log(self) -> list[str]:
        """The browser's console."""
        entries: list[dict[str, Any]] = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(one["message"]) for one in entries]

    def _fill(self, place: str, text: str) -> None:
        field = self.browser.find_element(By.ID, place)
        field.clear()
        field.send_keys(text)

    def _press(self, selector: str) -> None:
        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def _wait(self, place: str, begin: str, seconds: float = 10) -> None:
        try:
            wait_until(f"{place} {begin!r}", lambda: self.says(place).startswith(begin), seconds)
        except Exception as error:
            raise AssertionError(f"{error}; the page says {self.says(place)!r}; {self.log()}") from error


def key_digest(certificate: Path) -> str:
    """The SHA-256 of a certificate's public key, in base64."""
    read = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    key = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
