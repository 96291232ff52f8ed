"""Bodies of requests and answers: JSON and forms in, JSON and pages out. Each is bounded before it is read (`site`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

from twisted.web.iweb import IRequest

from gateway.admin.hardening import BODY_BYTES, Rejected
from gateway.admin.inspection import Row
from gateway.base.json_codec import Json

MOST_FIELDS = 50
"""Of a form."""


def asked_of(request: IRequest) -> Row:
    """The change that a POST asks for. Raises Rejected."""
    try:
        asked = json.loads(request.content.read(BODY_BYTES))
    except (ValueError, RecursionError):
        raise Rejected(400, "This is no JSON.") from None
    if not isinstance(asked, dict):
        raise Rejected(400, "A change is asked for with a JSON object.")
    return asked


def text_of(asked: Row, key: str) -> str:
    """A text in a change. Raises Rejected."""
    value = asked.get(key)
    if not isinstance(value, str):
        raise Rejected(400, f"{key} is missing: a text.")
    return value


def form_of(request: IRequest) -> dict[str, str]:
    """The fields of a form (application/x-www-form-urlencoded); of two with one name, the first. Raises Rejected."""
    try:
        body = request.content.read(BODY_BYTES).decode("ascii")
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise Rejected(400, "This is no form.") from None
    return dict(reversed(pairs))


def as_json(request: IRequest, value: Json) -> bytes:
    """An answer as JSON."""
    return as_typed(request, b"application/json", json.dumps(value).encode() + b"\n")


def listed(rows: Iterable[Json]) -> Iterator[str]:
    """The rows as one list in JSON, a row at a time."""
    before = "["
    for row in rows:
        yield before + json.dumps(row)
        before = ", "
    yield "]\n" if before == ", " else "[]\n"


def as_page(request: IRequest, text: str) -> bytes:
    """An answer as a page."""
    return as_typed(request, b"text/html; charset=utf-8", text.encode("utf-8", "replace"))


def as_typed(request: IRequest, content_type: bytes, body: bytes) -> bytes:
    """An answer of any type."""
    request.setHeader(b"content-type", content_type)
    return body
