"""Firefox, driven by WebDriver BiDi, which it speaks itself: Debian has no geckodriver.

    firefox-esr --remote-debugging-port --> ws://127.0.0.1:PORT/session: a command, its answer, events between them

Its microphone is a tone that it makes. It is told to trust every certificate, since a profile has no word for one key.
"""

from __future__ import annotations

import json
from typing import Any, Final

from websocket import WebSocket, create_connection

from tests.support.calls.processes import Program, find_program
from tests.support.calls.web.browser import Equipment

PREFERENCES: Final[dict[str, bool | int]] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.update.auto": False,
    "app.normandy.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
}
ASYNCHRONOUS: Final = """async (text) => {
const args = JSON.parse(text);
return JSON.stringify({ value: await (async () => { %s })() });
}"""
LISTEN: Final = """
const [seconds] = args;
const recorder = new MediaRecorder(document.getElementById("heard").srcObject);
const pieces = [];
recorder.ondataavailable = (event) => pieces.push(event.data);
const over = new Promise((done) => { recorder.onstop = done; });
recorder.start();
await new Promise((done) => setTimeout(done, seconds * 1000));
recorder.stop();
await over;
const recorded = await new Blob(pieces, { type: recorder.mimeType }).arrayBuffer();
const sound = await new OfflineAudioContext(1, 48000, 48000).decodeAudioData(recorded);
const samples = sound.getChannelData(0), tenth = sound.sampleRate / 10, found = [];
for (let begin = 0; begin + tenth <= samples.length; begin += tenth) {
  let rises = 0, energy = 0;
  for (let at = begin + 1; at < begin + tenth; at += 1) {
    rises += samples[at - 1] < 0 && samples[at] >= 0;
    energy += samples[at] ** 2;
  }
  found.push([rises * 10, Math.max(10 * Math.log10(energy / tenth), -200)]);
}
return found;
"""
"""An AudioContext that plays waits for a sound card, which a server has not; a recorder and one that decodes do not."""
SECONDS: Final = 30.0
"""For the start, and for the answer to a command."""


class Firefox:
    """Implements browser.Browser."""

    def __init__(self, equipment: Equipment) -> None:
        profile = equipment.directory / "profile"
        profile.mkdir(parents=True)
        preferences = {**PREFERENCES, "media.navigator.audio.fake_frequency": equipment.hertz}
        lines = [f'user_pref("{name}", {json.dumps(value)});\n' for name, value in preferences.items()]
        (profile / "user.js").write_text("".join(lines))
        program = find_program("firefox-esr", "firefox-esr")
        argv = [program, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", str(profile)]
        home = {"HOME": str(equipment.directory)}
        self._program = Program([*argv, "about:blank"], equipment.directory / "firefox.log", environment=home)
        self._commands = 0
        self._console: list[str] = []
        self._socket: WebSocket | None = None
        try:
            at = self._program.wait_for_line(r"WebDriver BiDi listening on (ws://\S+)", SECONDS)[1]
            self._socket = create_connection(f"{at}/session", timeout=SECONDS, suppress_origin=True)
            self._ask("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
            self._ask("session.subscribe", events=["log.entryAdded"])
            self._page = str(self._ask("browsingContext.getTree")["contexts"][0]["context"])
        except BaseException:
            self.stop()
            raise

    @property
    def listening(self) -> str:
        """See Browser."""
        return LISTEN

    def stop(self) -> None:
        """End it."""
        if self._socket is not None:
            self._socket.close()
        self._program.stop()

    def open(self, page: str) -> None:
        """Load a page."""
        self._ask("browsingContext.navigate", context=self._page, url=page, wait="complete")

    def evaluate(self, script: str, *args: object) -> Any:
        """See Browser."""
        found = self._ask(
            "script.callFunction",
            functionDeclaration=ASYNCHRONOUS % script,
            arguments=[{"type": "string", "value": json.dumps(args)}],
            target={"context": self._page},
            awaitPromise=True,
        )
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"]).get("value")

    def log(self) -> list[str]:
        """The console, as far as it was told."""
        return self._console

    def _ask(self, method: str, **params: object) -> dict[str, Any]:
        """The result of a command; events before it are noted."""
        assert self._socket is not None, "it is connected before it is asked"
        self._commands += 1
        self._socket.send(json.dumps({"id": self._commands, "method": method, "params": params}))
        while True:
            told: dict[str, Any] = json.loads(self._socket.recv())
            if told.get("method") == "log.entryAdded":
                self._console.append(str(told["params"].get("text")))
            if told.get("id") == self._commands:
                assert told["type"] == "success", told
                result: dict[str, Any] = told["result"]
                return result
