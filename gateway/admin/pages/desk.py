"""The desk at which pages are drawn: the reader's likings and rights, the query of the address, static files, errors.

    request -> Desk.frame -> Desk.draw(template, view) -> HTML

Here: everything that the routes of all pages share. Not here: the routes (`page_routes`, `call_routes`, and those of
accounts), the views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import attrs
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from gateway.admin.hardening import Rejected, see_other
from gateway.admin.http_bodies import as_page
from gateway.admin.inspection import Caller, Role, Row
from gateway.admin.pages.drawing import MARK, SMALLER, STATIC, TYPES, Frame, Likings, Pages
from gateway.admin.routes import HttpRoute
from gateway.admin.status.facts import Facts
from gateway.admin.status.gathering import Gathering
from gateway.admin.turns import Turns
from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean_json
from gateway.observe.events import EventName

YEAR: Final = 31_536_000
LOG_OUT: Final = "/logout"
EVENTS: Final = "/api/v1/events"
EVENT_NAMES: Final = " ".join(EventName)
LIKINGS: Final = (b"theme", b"times", b"zone")
"""The cookies that a page depends on: those that Likings.of reads."""
_COOKIE_BYTES: Final = 4_096
_FIELDS: Final = 50


@attrs.frozen
class Desk:
    """Draws the pages of one gateway, with all that they share."""

    gathering: Gathering
    name: str
    """The gateway's."""
    turns: Turns
    pages: Pages = attrs.field(factory=Pages, init=False)

    def routes(self) -> tuple[HttpRoute, ...]:
        """Those that are no pages."""
        return (
            HttpRoute("GET", "/preferences", self.preferences, Role.NOBODY),
            HttpRoute("GET", "/static/{mark}/{name}", self.static, Role.NOBODY),
        )

    def frame(self, request: IRequest, section: str) -> Frame:
        """The frame of a page that is in a section of the menu."""
        caller = getattr(request, "caller", None)
        known = caller if isinstance(caller, Caller) else None
        return Frame(
            self.name,
            self.gathering.version if known and known.role >= Role.VIEWER else "",
            section,
            local_path(request.uri.decode("latin-1")),
            Likings.of(_cookies(request)),
            user=known.name if known else "",
            role=known.role.title if known and known.user else "",
            sign_out=LOG_OUT if known and known.user else "",
            events=EVENTS,
            event_names=EVENT_NAMES,
        )

    async def facts(self) -> Facts:
        """The facts of the gateway's state, and time to make a view of them."""
        facts = await self.gathering.facts()
        await self.turns.next()
        return facts

    async def draw(self, request: IRequest, template: str, section: str | Frame, view: Mapping[str, object]) -> bytes:
        """The page, drawn in turns."""
        frame = section if isinstance(section, Frame) else self.frame(request, section)
        text = await self.turns.joined(self.pages.draw(template, frame, self.gathering.now(), view))
        return as_page(request, text)

    def preferences(self, request: IRequest) -> bytes:
        """Keep the reader's choice of colours and times in cookies, and lead back."""
        query = query_of(request)
        chosen = Likings.of(query)
        browser = cast(Request, request)
        for name, value in (("theme", chosen.theme), ("times", chosen.times)):
            if query.get(name) == value:
                browser.addCookie(name, value, path=b"/", max_age=b"%d" % YEAR, sameSite=b"strict")
        return see_other(request, local_path(query.get("back", "/")))

    def static(self, request: IRequest, mark: str, name: str) -> bytes:
        """A file that pages link to. Its address changes with its contents, so a browser may keep it."""
        if name not in STATIC:
            raise Rejected(404, f"There is no file {name}.")
        request.setHeader(b"content-type", TYPES[name])
        if mark == MARK:
            request.setHeader(b"cache-control", b"public, max-age=%d, immutable" % YEAR)
        request.setHeader(b"vary", b"accept-encoding")
        if not _takes_gzip(request):
            return STATIC[name]
        request.setHeader(b"content-encoding", b"gzip")
        return SMALLER[name]

    def error(self, request: IRequest, status: int, text: str) -> bytes:
        """An error as a page, which leads back."""
        head = {404: "Nothing is here", 403: "Not allowed", 401: "Log in first"}.get(status, "That did not work")
        request.setResponseCode(status)
        cleaned = str(clean_json(text))
        view = {"head": head, "text": cleaned}
        return as_page(
            request, "".join(self.pages.draw("error.html", self.frame(request, ""), self.gathering.now(), view))
        )


def local_path(path: str) -> str:
    r"""The path, if it is one of this host; else that of the overview. ``//host`` and ``/\host`` are other hosts."""
    is_local = path.startswith("/") and path[1:2] not in ("/", "\\") and path.isascii() and path.isprintable()
    return path if is_local else "/"


def query_of(request: IRequest) -> dict[str, str]:
    """The query of the address; of a name that stands there twice, the last counts. Raises Rejected."""
    return _fields(request.uri.decode("latin-1").partition("?")[2])


def cleaned(value: Any) -> Any:
    """The same rows with their texts clean."""
    return clean_json(cast(Json, value))


def cleaned_rows(rows: list[Row]) -> list[Row]:
    """See ``cleaned``."""
    return cast("list[Row]", cleaned(rows))


def _takes_gzip(request: IRequest) -> bool:
    """Whether the reader's browser says that it takes gzip, without a weight: all that matter do."""
    accepted = (request.getHeader(b"accept-encoding") or b"").lower().split(b",")
    return b"gzip" in (coding.strip() for coding in accepted)


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS))
    except ValueError:
        raise Rejected(400, "The fields of this address or form cannot be read.") from None


def _cookies(request: IRequest) -> dict[str, str]:
    pairs = (request.getHeader(b"cookie") or b"").decode("latin-1")[:_COOKIE_BYTES].split(";")
    return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}
