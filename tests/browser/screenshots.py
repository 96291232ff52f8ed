"""Pictures of every page, as `make screenshots` takes them into docs/screenshots.

Light and dark as on a desk, and light as on a telephone, each as JPEG of some dozens of KB. With --png they are PNG,
and long pages are shown farther down: for looking at them one by one.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.browser.stage import HISTORY, Stage, every_page, opened, settled

LOOKS: Final = (("light", 1280, 860), ("dark", 1280, 860), ("light", 360, 1200))
"""Theme, width, and the height that is kept."""
DOWN_SECONDS: Final = 12.0
"""Until the provider that refuses is known to be down."""
BYTES: Final = 150_000


def take(stage: Stage, directory: Path, form: str, names: list[str]) -> None:
    """Take all pictures, or those of some pages."""
    for name, path in every_page().items():
        if names and name not in names:
            continue
        for theme, width, height in LOOKS:
            stage.resize(width, height)
            stage.prefer(theme)
            stage.open(path)
            if stage.browser.execute_script(
                "return Boolean(document.querySelector('.live') && document.body.dataset.events)"
            ):
                settled(stage.browser, "live", "document.querySelector('.live').dataset.state === 'live'")
            time.sleep(0.3)
            picture = _picture(stage, width, height if form == "jpeg" else 2000, form)
            file = directory / f"{name}-{theme if width > 400 else width}.{form.replace('jpeg', 'jpg')}"
            file.write_bytes(picture)
            assert form != "jpeg" or len(picture) < BYTES, f"{file} has {len(picture)} bytes"


def _picture(stage: Stage, width: int, most: int, form: str) -> bytes:
    height = min(int(stage.browser.execute_script("return document.documentElement.scrollHeight")), most)
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    wanted = {"format": form, "captureBeyondViewport": True, "clip": clip}
    if form == "jpeg":
        wanted["quality"] = 72
    taken = stage.browser.execute_cdp_cmd("Page.captureScreenshot", wanted)
    return base64.b64decode(taken["data"])


def main(arguments: list[str]) -> None:
    """Take them into a directory."""
    form = "png" if "--png" in arguments else "jpeg"
    directory, *names = [one for one in arguments if not one.startswith("--")]
    Path(directory).mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        opened(Path(place) / "gateway", HISTORY if form == "jpeg" else 1_200) as stage,
    ):
        time.sleep(DOWN_SECONDS)
        take(stage, Path(directory), form, names)


if __name__ == "__main__":
    main(sys.argv[1:])
