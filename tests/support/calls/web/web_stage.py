"""A stage with a listener for web phones, and their browsers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.support.calls.gateway import Gateway
from tests.support.calls.stage import HERTZ, PASSWORDS, Stage
from tests.support.calls.web.browser import Browser, Equipment, WebPhone
from tests.support.calls.web.chromium import Chromium
from tests.support.calls.web.pages import Pages

JSSIP: Final = "webphone.html"
SIPJS: Final = "sipjs.html"
MANY: Final = "many.html"

LISTENER: Final = """
[[listener]]
name = "web"
side = "phones"
transport = "wss"
address = "{address}"
port = {port}
certificate = "{chain}"
private_key = "{key}"
origins = ["{origin}"]
"""


class WebStage:
    """The stage of real programs, with browsers beside them."""

    def __init__(self, stage: Stage, pages: Pages) -> None:
        self.stage = stage
        self._pages = pages
        self._certificate = stage.scenery.certificates["gateway"]
        self._port = stage.hosts.port(stage.hosts.gateway)
        self._browsers = 0

    @property
    def server(self) -> str:
        """The address that pages connect to."""
        return f"wss://{self.stage.hosts.gateway}:{self._port}/"

    def start_gateway(self, origin: str | None = None, **terms: Any) -> Gateway:
        """The gateway, which lets in the pages of this run, or of another origin."""
        self.stage.more += LISTENER.format(
            address=self.stage.hosts.gateway,
            port=self._port,
            chain=self._certificate.chain,
            key=self._certificate.key,
            origin=origin or self._pages.origin,
        )
        return self.stage.start_gateway(**terms)

    def browser(
        self, page: str = JSSIP, user: str = "alice", kind: Callable[[Equipment], Browser] = Chromium
    ) -> WebPhone:
        """A browser with that page, not registered."""
        self._browsers += 1
        equipment = Equipment(
            self._certificate.chain,
            self.stage.scenery.tones[HERTZ[user]],
            HERTZ[user],
            self.stage.directory / f"browser-{self._browsers}",
        )
        return WebPhone(self.stage.keep(kind(equipment)), f"{self._pages.origin}/{page}", self.server)

    def registered(
        self, page: str = JSSIP, user: str = "alice", kind: Callable[[Equipment], Browser] = Chromium
    ) -> WebPhone:
        """The same, registered."""
        phone = self.browser(page, user, kind)
        phone.register(f"sip:{user}@voip.test", PASSWORDS[user])
        return phone
