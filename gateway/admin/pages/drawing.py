"""Draws a page: its template, in the frame that all pages share, as its reader likes times and colours.

    view (a pure function of rows) -> dict -> Pages.draw(template, Frame, dict) -> texts

Here: the templates, the frame, the reader's likings. Not here: the views, routes. Everything shown came from peers, so
it is made clean first (control characters, directions of writing, bytes that are no UTF-8), and templates escape by
default.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import attrs
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.admin.pages import phrases
from gateway.admin.pages.compiled_templates import CompiledTemplates
from gateway.admin.pages.phrases import CLAIMS, When
from gateway.admin.turns import Turns

_ADMIN: Final = Path(__file__).parents[1]
TEMPLATES: Final = _ADMIN / "templates"

THEMES: Final = ("auto", "light", "dark")
TIMES: Final = ("utc", "local")

TYPES: Final = {
    "style.css": b"text/css; charset=utf-8",
    "live.js": b"text/javascript; charset=utf-8",
    "htmx.min.js": b"text/javascript; charset=utf-8",
    "icon.svg": b"image/svg+xml",
}
STATIC: Final = {name: (_ADMIN / "static" / name).read_bytes() for name in TYPES}
"""Files that pages link to, by name."""
SMALLER: Final = {name: gzip.compress(contents, mtime=0) for name, contents in STATIC.items()}
"""The same, compressed. Pages are not: one that holds a reader's text and others' beside it tells by its length."""
MARK: Final = hashlib.sha256(b"".join(STATIC.values())).hexdigest()[:12]
"""In the address of these files: another version of the gateway has others, so browsers may keep them."""

SIGNS: Final = {claim.tone: claim.sign for claim in CLAIMS.values()}


@attrs.frozen
class Section:
    """An entry of the menu."""

    name: str
    path: str


SECTIONS: Final = (
    (Section("Overview", "/"), Section("Calls", "/calls"), Section("Events", "/events")),
    (
        Section("Phones", "/phones"),
        Section("Domains", "/domains"),
        Section("Roll-outs", "/rollouts"),
        Section("Providers", "/providers"),
        Section("Probes", "/probes"),
        Section("Certificates", "/certificates"),
        Section("Security", "/security"),
        Section("Limits", "/security/limits"),
    ),
    (
        Section("Posture", "/posture"),
        Section("Audit", "/audit"),
        Section("Settings", "/settings"),
        Section("Users", "/users"),
    ),
)


@attrs.frozen
class Likings:
    """The reader's choice of colours and times, from cookies."""

    theme: str = "auto"
    times: str = "utc"
    zone: str = ""
    """The zone of the reader's browser, where its script told it."""

    @classmethod
    def of(cls, cookies: Mapping[str, str]) -> Likings:
        """From cookies, of which nothing is believed but known words."""
        theme, times = cookies.get("theme", ""), cookies.get("times", "")
        return cls(
            theme if theme in THEMES else "auto",
            times if times in TIMES else "utc",
            unquote(cookies.get("zone", ""))[:64],
        )

    def when(self, now: float) -> When:
        """The times of a page that is drawn now."""
        return When(now, _zone(self.zone) if self.times == "local" else UTC)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    """The zone of that name, else this machine's."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return datetime.now().astimezone().tzinfo or UTC


@attrs.frozen
class Frame:
    """All that pages share: the menu, the reader, the gateway."""

    gateway: str
    version: str
    section: str
    back: str
    """The address of the page itself, for forms that lead back to it."""
    likings: Likings = Likings()
    user: str = ""
    role: str = ""
    sign_out: str = ""
    """Where the form to log out goes; empty without a log-in."""
    events: str = ""
    """Where a browser listens for changes."""
    event_names: str = ""
    static: str = f"/static/{MARK}/"
    sections: tuple[tuple[Section, ...], ...] = SECTIONS

    @property
    def theme(self) -> str:
        """The theme that was chosen."""
        return self.likings.theme

    @property
    def times(self) -> str:
        """The times that were chosen."""
        return self.likings.times


class Pages:
    """Draws pages; make one and keep it, it caches the templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            auto_reload=False,
            bytecode_cache=CompiledTemplates(),
        )
        self._environment.filters.update(
            cut=phrases.cut,
            softly=phrases.softly,
            party=phrases.party,
            length=phrases.clock_length,
            length_of=len,
            count=phrases.count,
            short=phrases.seconds,
        )
        self._environment.globals.update(claim=phrases.claim, signs=SIGNS, share=phrases.share, span=phrases.span)

    async def load(self, turns: Turns) -> None:
        """Read all templates, one in each turn: each that must be compiled takes some 10 ms, and no reader waits."""
        for name in self._environment.list_templates():
            await turns.next()
            self._environment.get_template(name)

    def draw(self, template: str, frame: Frame, now: float, view: Mapping[str, object]) -> Iterator[str]:
        """The page, whose parts are drawn while they are read; ``now`` in seconds since the epoch."""
        return self._environment.get_template(template).generate(frame=frame, when=frame.likings.when(now), **view)
