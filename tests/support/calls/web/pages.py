"""A web server with the pages of the web phones, and the scripts that esbuild makes of their libraries.

    tests/calls/web/node_modules (make packages) -> esbuild -> jssip.js, sip.js
    docs/webphone.html, tests/calls/web/sipjs.html           -> http://localhost:PORT/

Localhost is a secure context for browsers, where pages may use the microphone.
"""

from __future__ import annotations

import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from tests.support.calls.processes import MissingProgram

ROOT: Final = Path(__file__).parents[4]
HERE: Final = ROOT / "tests" / "calls" / "web"
MODULES: Final = HERE / "node_modules"
PAGES: Final = (ROOT / "docs" / "webphone.html", HERE / "sipjs.html", HERE / "many.html")
SCRIPTS: Final = {"jssip.js": ("jssip/lib/JsSIP.js", "JsSIP"), "sip.js": ("sip.js/lib/index.js", "SIP")}
"""The file that each is made of, and the name that it gives to its page."""


class Silent(SimpleHTTPRequestHandler):
    """Serves files, and tells nobody."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


class Pages:
    """The pages, served until `stop`."""

    def __init__(self, directory: Path) -> None:
        build(directory)
        for page in PAGES:
            (directory / page.name).write_bytes(page.read_bytes())
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(directory)))
        self.origin = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def build(directory: Path) -> None:
    """Make the scripts. Raises MissingProgram where `make packages` has not been here."""
    esbuild = MODULES / ".bin" / "esbuild"
    if not esbuild.exists():
        raise MissingProgram(f"{MODULES.relative_to(ROOT)} is not there: make packages")
    directory.mkdir(parents=True, exist_ok=True)
    for script, (source, name) in SCRIPTS.items():
        options = ("--bundle", "--platform=browser", f"--global-name={name}", f"--outfile={directory / script}")
        subprocess.run([esbuild, MODULES / source, *options, "--log-level=error"], check=True, timeout=60)
