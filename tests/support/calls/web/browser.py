"""A web phone: a browser with a page of a SIP library, steered as a person would, by its fields and buttons.

Not here: the browsers themselves (chromium, firefox).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from tests.support.calls.processes import wait_until

CIPHERS: Final = ("SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM")

MOST_LOST: Final = 0.05
"""The part of packets that two browsers on two busy cores may lose, by their own count: the tone is heard anyway."""

STATS: Final = """
const connection = phone.connection || phone.session.connection;
const dtls = { type: "dtls", state: connection.getSenders()[0].transport.state };
return [...(await connection.getStats()).values(), dtls];
"""
"""The browser's report on its media, and the state of its DTLS, of which not every browser reports."""


@attrs.frozen
class Equipment:
    """The things that a browser is given."""

    trusted: Path
    """The gateway's certificate."""
    tone: Path
    """At its microphone."""
    hertz: int
    """The same, for one that reads no file."""
    directory: Path


class Browser(Protocol):
    """A running browser with one page."""

    def stop(self) -> None:
        """End it."""

    def open(self, page: str) -> None:
        """Load a page."""

    @property
    def listening(self) -> str:
        """A script: the loudest frequency (Hz) of each tenth of a second that is heard, and its level (dB), for as many
        seconds as its argument says."""

    def evaluate(self, script: str, *args: object) -> Any:
        """The value that the body of an asynchronous function returns in the page; `args` are there."""

    def log(self) -> list[str]:
        """The console."""


class WebPhone:
    """One browser with one page, which is to connect to a `server`."""

    def __init__(self, browser: Browser, page: str, server: str) -> None:
        self._browser, self._page, self._server = browser, page, server
        self._browser.open(page)

    def stop(self) -> None:
        """End the browser."""
        self._browser.stop()

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
        self.wait_says("registration", words, seconds)

    def call(self, address: str) -> None:
        """Dial; does not wait."""
        self._fill("number", address)
        self._press("#dial button")

    def wait_ringing(self) -> None:
        """Until a call comes in."""
        self.wait_says("call", "rings: ")

    def answer(self) -> None:
        """Answer it, and wait until it stands."""
        self._press("#answer")
        self.wait_answered()

    def wait_answered(self) -> None:
        """Until the call stands."""
        self.wait_says("call", "talking")

    def hold(self) -> None:
        """Put the call on hold."""
        self._press("#hold")
        self.wait_says("call", "on hold")

    def resume(self) -> None:
        """Go on with it."""

        def is_taken() -> bool:
            self._press("#resume")  # again, where the answer to the hold was still on its way
            return self._begins("call", "talking", 1.0)

        wait_until("the call goes on", is_taken, 10)

    def transfer(self, address: str) -> None:
        """Have the other party call that address; does not wait."""
        self._fill("number", address)
        self._press("#transfer")

    def hangup(self) -> None:
        """End the call, and wait until it is over."""
        self.press_hangup()
        self.wait_ended()

    def press_hangup(self) -> None:
        """End, cancel or reject the call; does not wait."""
        self._press("#hangup")

    def wait_ended(self, seconds: float = 10) -> None:
        """Until the call is over."""
        self.wait_says("call", "ended: ", seconds)

    def wait_failed(self, seconds: float = 10) -> str:
        """Until the call came to nothing; the page's words."""
        self.wait_says("call", "failed: ", seconds)
        return self.says("call")

    def dial_keys(self, keys: str) -> None:
        """Press keys while talking."""
        script = "[...document.querySelectorAll('#keys button')].find((one) => one.textContent === args[0]).click()"
        for key in keys:
            self.run(script, key)

    def reload(self) -> None:
        """Load the page again, as a person does who pressed F5."""
        self._browser.open(self._page)

    # -- as a witness sees it

    def says(self, place: str) -> str:
        """The words at a place of the page: registration or call."""
        return str(self.run("return document.getElementById(args[0]).textContent", place))

    def hears(self, seconds: float = 2.0) -> list[tuple[float, float]]:
        """The loudest frequency (Hz) of each tenth of a second, and its level (dB)."""
        found = self.run(self._browser.listening, seconds)
        return [(float(hertz), float(level)) for hertz, level in found]

    def statistics(self) -> list[dict[str, Any]]:
        """The browser's own report on its media."""
        found: list[dict[str, Any]] = self.run(STATS)
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

    def assert_hears_nothing(self, hertz: int, seconds: float = 2.0) -> None:
        """Hardly anything of what it plays is this tone."""
        heard = self.hears(seconds)
        wrong = [one for one, level in heard if abs(one - hertz) < 20 and level > -60]
        assert len(wrong) < len(heard) / 4, heard

    def assert_is_dtls(self) -> None:
        """Its own word that its media are encrypted, by a handshake that ended well, and go both ways."""
        report = self.statistics()
        assert [one["state"] for one in report if one["type"] == "dtls"] == ["connected"], report
        ciphers = [one["srtpCipher"] for one in report if one["type"] == "transport" and "srtpCipher" in one]
        assert all(cipher in CIPHERS for cipher in ciphers), ciphers
        sent, received, lost = self.packets()
        assert sent > 50
        assert received > 50
        assert lost <= MOST_LOST * received, (sent, received, lost)

    def run(self, script: str, *args: object) -> Any:
        """The value that a script returns in the page, where `args` are."""
        return self._browser.evaluate(script, *args)

    def log(self) -> list[str]:
        """The browser's console."""
        return self._browser.log()

    def _fill(self, place: str, text: str) -> None:
        self.run("document.getElementById(args[0]).value = args[1]", place, text)

    def _press(self, selector: str) -> None:
        self.run("document.querySelector(args[0]).click()", selector)

    def _begins(self, place: str, begin: str, seconds: float) -> bool:
        """Whether the page says so within that time."""
        try:
            wait_until(begin, lambda: self.says(place).startswith(begin), seconds)
        except AssertionError:
            return False
        return True

    def wait_says(self, place: str, begin: str, seconds: float = 10) -> None:
        """Until the page says this there, and perhaps more after it."""
        try:
            wait_until(f"{place} {begin!r}", lambda: self.says(place).startswith(begin), seconds)
        except Exception as error:
            raise AssertionError(f"{error}; the page says {self.says(place)!r}; {self.log()}") from error
