"""Reports of the security posture, for gatewayctl assess: fetched, compared, laid out, written, and their proof.

    fetched -> compared -> laid_out -> terminal, or write to a file
    proof: FILE and FILE.sig -> signed by that key, or ClickException

Loaded by the commands (`posture_commands`) that need it: the judgement of the gateway comes with it, and half of the
gateway with that. A file that is made here is its owner's alone.
"""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import click

from gateway.base.clock import seconds_in
from gateway.base.json_codec import Json
from gateway.ctl import text
from gateway.ctl.asking import ask
from gateway.ctl.common_options import LAST, POSTURE
from gateway.security.posture.documents import as_html, as_text
from gateway.security.posture.report import NoReport, Report, checked_report, delta_of
from gateway.security.posture.signature import NotVerified, canonical, verified

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of a file that is read."""


def proof(file: Path, key_file: Path | None) -> tuple[str, bool]:
    """A sentence on the report that FILE.sig signs, and whether the key is one that was given.

    Raises ClickException where it is not the report that was signed."""
    known = None if key_file is None else _read(key_file).decode("ascii", "replace")
    try:
        one = verified(_read(file), _read(file.with_name(file.name + ".sig")), known)
        report = checked_report(one.report)
    except (NotVerified, NoReport) as error:
        raise click.ClickException(text.clean_lines(f"{file}: {error}")) from None
    told = f"{file}: signed by the key {one.fingerprint}, {report['score']} of 100 points, grade {report.get('grade')}"
    return told, one.is_key_known


def _change(asked: Mapping[str, str]) -> dict[str, object]:
    """The same as a change names it."""
    change: dict[str, object] = {key: value for key, value in asked.items() if key != "since"}
    if seconds := seconds_in(asked.get("since", "")):
        change["seconds"] = seconds
    return change


def fetched(
    config: Path | None, url: str | None, asked: Mapping[str, str], advisories: Path | None, sign: bool
) -> tuple[Report, object]:
    """The gateway's report, and its signature where one is wanted. Raises ClickException."""
    if not sign and advisories is None:
        suffix = f"?{urllib.parse.urlencode(asked, errors='surrogateescape')}" if asked else ""
        return _checked(ask(config, url, POSTURE + suffix)), None
    lines = [] if advisories is None else _read(advisories).decode("utf-8", "replace").splitlines()
    answer = ask(config, url, POSTURE, {**_change(asked), "advisories": lines, "sign": sign})
    row = text.fields(answer)
    return _checked(row.get("report")), row.get("signature")


def compared(report: Report, compare: str | None) -> Report:
    """The report with the difference that is wanted. That to the last one is the gateway's own."""
    if compare is None or compare == LAST:
        if compare == LAST and report.get("delta") is None:
            raise click.ClickException("no report is kept yet: the gateway keeps one each [posture] every")
        return report
    try:
        earlier: object = json.loads(_read(Path(compare)))
    except (ValueError, RecursionError):
        raise click.ClickException(text.clean_lines(f"{compare}: this is no JSON")) from None
    return {**report, "delta": delta_of(_checked(earlier, f"{compare}: "), report)}


def _checked(value: object, place: str = "") -> Report:
    try:
        return checked_report(value)
    except NoReport as error:
        raise click.ClickException(text.clean_lines(f"{place}{error}")) from None


def laid_out(report: Report, form: str) -> str:
    match form:
        case "json":
            return canonical(cast(Json, report)).decode("ascii")
        case "html":
            return as_html(report)
        case _:
            return as_text(report) + "\n"


def _read(file: Path) -> bytes:
    """The content of a file. Raises ClickException."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise click.ClickException(text.clean_lines(f"{file}: cannot be read: {error.strerror}")) from None
    if len(data) > MOST_BYTES:
        raise click.ClickException(text.clean_lines(f"{file}: is longer than {MOST_BYTES} bytes"))
    return data


def write(file: Path, data: str) -> None:
    """Write a file. Raises ClickException."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(data)
    except OSError as error:
        raise click.ClickException(text.clean_lines(f"{file}: cannot be written: {error.strerror}")) from None
