r"""An event as a syslog message (RFC 5424), with structured data or as CEF.

    <84>1 TIME HOST gateway PID security.scan [gateway@32473 source="192.0.2.1:5060" ...] security.scan (warning) ...
    <84>1 TIME HOST gateway PID security.scan - CEF:0|gateway|gateway|VERSION|security.scan|security: scan|7|src=...

32473 is the enterprise number for examples (RFC 5612): the project has none of its own. CEF is the Common Event
Format, version 0. Texts of peers were made clean where the event was told, and are escaped here once more, for each
place that they stand in: `"`, `\` and `]` in structured data (RFC 5424 section 6.3.3), `\` and `|` in the head of CEF,
`\` and `=` in its extension. No message holds CR, LF or another control character.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import Final

from gateway.observe.clean_text import clean
from gateway.observe.events import GatewayEvent, Severity
from gateway.security.alerts.notice import Notice, sentence, written_time

_SYSLOG: Final = {Severity.INFO: 6, Severity.NOTICE: 5, Severity.WARNING: 4, Severity.CRITICAL: 2}
"""Severities of RFC 5424 section 6.2.1."""
_CEF: Final = {Severity.INFO: 3, Severity.NOTICE: 5, Severity.WARNING: 7, Severity.CRITICAL: 10}
_STRUCTURED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "]": r"\]"})
_HEAD: Final = str.maketrans({"\\": r"\\", "|": r"\|"})
_EXTENSION: Final = str.maketrans({"\\": r"\\", "=": r"\="})
_SOURCE: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::(?P<port>\d{1,5}))?")
_NOT_PRINTED: Final = re.compile(r"[^!-~]")
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]")


def message_of(event: GatewayEvent, notice: Notice, facility: int, *, is_cef: bool) -> bytes:
    """The message, without a frame."""
    priority = facility * 8 + _SYSLOG[event.severity]
    host = _NOT_PRINTED.sub("_", notice.gateway)[:255] or "-"
    head = f"<{priority}>1 {written_time(event.at)} {host} gateway {os.getpid()} {event.name}"
    if is_cef:
        return f"{head} - {_cef(event, notice)}".encode("utf-8", "replace")
    data = " ".join(("gateway@32473", *(f'{name}="{value}"' for name, value in _parameters(event))))
    # RFC 5424 section 6.4: a text in UTF-8 begins with the byte order mark.
    return f"{head} [{data}] \ufeff{sentence(event)}".encode("utf-8", "replace")


def _parameters(event: GatewayEvent) -> Iterator[tuple[str, str]]:
    """Names and escaped values of the structured data; empty ones are left out."""
    own = {"severity": event.severity, "source": event.source, "domain": event.domain, "who": event.who}
    for name, value in {**own, "call": event.call, **event.fields}.items():
        if value not in ("", None):
            yield _NOT_A_NAME.sub("_", name)[:32], clean(str(value)).translate(_STRUCTURED)


def _cef(event: GatewayEvent, notice: Notice) -> str:
    title = str(event.name).replace(".", ": ").replace("_", " ")
    head = ("CEF:0", "gateway", "gateway", notice.version, str(event.name), title, str(_CEF[event.severity]))
    first, *others = head
    escaped = "|".join((first, *(clean(text).translate(_HEAD) for text in others)))
    extension = " ".join(f"{name}={clean(value).translate(_EXTENSION)}" for name, value in _extension(event, notice))
    return f"{escaped}|{extension}"


def _extension(event: GatewayEvent, notice: Notice) -> Iterator[tuple[str, str]]:
    """Keys of CEF's dictionary; the custom strings have labels."""
    yield "rt", str(int(event.at * 1000))
    yield "dvchost", notice.gateway
    yield from _source(event.source)
    if event.who:
        yield "suser", event.who
    for number, (label, value) in enumerate((("domain", event.domain), ("call", event.call)), start=1):
        if value:
            yield f"cs{number}Label", label
            yield f"cs{number}", value
    if "action" in event.fields:
        yield "act", str(event.fields["action"])
    yield "msg", sentence(event)


def _source(source: str) -> Iterator[tuple[str, str]]:
    """The address and port of an event's source; IPv6 has a key of its own."""
    found = _SOURCE.fullmatch(source)
    host, port = ((found["v6"] or found["v4"]), found["port"]) if found else (source, None)
    try:
        address = ip_address(host)
    except ValueError:
        return
    if isinstance(address, IPv6Address):
        yield "c6a2", host
        yield "c6a2Label", "Source IPv6 Address"
    else:
        yield "src", host
    if port:
        yield "spt", port
