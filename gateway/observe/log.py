"""Log events as lines: text for people or JSON, and never with a secret in them.

Here: two observers for twisted.logger and the choice between them. Not here: the rules of secrecy (`redaction`), the
choice of events (`twist --log-level`), writing without waiting (`lines`). Modules log with `twisted.logger.Logger` and
know nothing of this one, but for those whose lines come with each call (`LineLogger`).

    Logger.info(...) -> event -> fields named like secrets blanked -> formatted -> text redacted -> LineOutput
    LineLogger.info(...) -> event -> held, GATHERED at most -> the same, with the others of that time

A line of JSON without any sign of a secret is written as it is: most have none, and one look is cheap.

A peer's text may hold line breaks and terminal escapes: continued lines begin with a tab and all other characters that
are not printed are shown as escapes (`clean_text`), so that no peer forges a line of ours.
"""

import atexit
import json
import sys
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Final, TextIO

import orjson
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import FileLogObserver, LogEvent, Logger, LogLevel, eventAsText, formatEvent

from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean
from gateway.observe.lines import LineOutput
from gateway.observe.redaction import REDACTED, is_harmless_json, is_secret, redacted

_KNOWN_LEVELS = frozenset(LogLevel.iterconstants())

GATHERED: Final = 0.05
"""Seconds that a line about a call may be late, to be formatted and written with others: the code for it is far from
that of messages, and a processor that has to fetch it anew for each line takes three times as long."""


class LineLogger(Logger):
    """A Logger for lines that come with each call: Twisted's sorts all levels to know one."""

    def emit(self, level: LogLevel, format: str | None = None, **kwargs: object) -> None:  # noqa: A002 - theirs
        """As Logger.emit; the fields alone go with the event, beside all that it says of itself."""
        if level not in _KNOWN_LEVELS or "log_trace" in kwargs:
            super().emit(level, format, **kwargs)
            return
        kwargs["log_fields"] = kwargs.copy()
        kwargs["log_logger"], kwargs["log_level"], kwargs["log_format"] = self, level, format
        kwargs["log_namespace"], kwargs["log_source"], kwargs["log_time"] = self.namespace, self.source, time.time()
        self.observer(kwargs)


class LogOutput:
    """A factory of twist's log observer, in the format of its options ("text" or "json"). The observer never waits for
    the reader of the log, and leaves out the chatter of Twisted (`is_chatter`)."""

    def __init__(self, log_format: str = "text") -> None:
        self._is_json = log_format == "json"
        self._line = json_line if self._is_json else text_line
        self._lines: LineOutput | None = None
        self._timers: IReactorTime | None = None
        self._held: deque[LogEvent] = deque()
        self._writing: IDelayedCall | None = None

    def __call__(self, stream: TextIO) -> FileLogObserver:
        """An observer that writes one line for each event."""
        try:
            self._lines = LineOutput(stream, self._told)
        except (OSError, ValueError):  # no stream of the system's: it keeps nobody waiting
            return FileLogObserver(stream, self._line_of_ours)
        atexit.register(self.close)
        return _LineObserver(self, self._lines)

    def gather(self, timers: IReactorTime | None) -> None:
        """From now on hold lines of information about calls (`LineLogger`) for a moment, and write them together; none
        any more without `timers`. Any other line is written at once, after those that were held before it."""
        self._timers = timers
        self.write_held()

    def holds(self, event: LogEvent) -> bool:
        """Whether the line of an event may wait, and does from now on; else all that were held are written."""
        timers = self._timers
        if timers is None or type(event.get("log_logger")) is not LineLogger or event["log_level"] is not LogLevel.info:
            if self._held:
                self.write_held()
            return False
        self._held.append(event)
        if self._writing is None:
            self._writing = timers.callLater(GATHERED, self.write_held)
        return True

    def write_held(self) -> None:
        """Write the lines that are held."""
        writing, self._writing = self._writing, None
        if writing is not None and writing.active():
            writing.cancel()
        texts = []
        while self._held:
            texts.append(self._line(self._held.popleft()))
        if texts and self._lines is not None:
            self._lines.write_all(texts)

    def fatal(self, text: str, stream: TextIO) -> None:
        """Tell of an error that ends the process: in a log of JSON a line of its `stream`, else one of stderr."""
        if not self._is_json:
            sys.stderr.write(f"{text}\n")
            return
        at: LogEvent = {"log_time": time.time(), "log_level": LogLevel.critical, "log_namespace": __name__}
        self.write_held()
        line = self._line({**at, "log_format": "{reason}", "reason": text})
        if self._lines is not None:
            self._lines.write(line)
        else:
            stream.write(line)
            stream.flush()

    @property
    def lost(self) -> int:
        """Lines so far that were not read in time."""
        return 0 if self._lines is None else self._lines.lost

    def retry(self) -> None:
        """Write the lines that wait for their reader. To be called now and then."""
        if self._lines is not None:
            self._lines.retry()

    def close(self) -> None:
        """Write the lines that wait, for two seconds at most."""
        self.gather(None)
        if self._lines is not None:
            self._lines.close()

    def _line_of_ours(self, event: LogEvent) -> str | None:
        return self._line(event) if "log_fields" in event or not is_chatter(event) else None

    def _told(self, count: int) -> str:
        said = "{count} lines of the log were lost: whoever reads it does not keep up"
        at: LogEvent = {"log_time": time.time(), "log_level": LogLevel.warn, "log_namespace": __name__}
        return self._line({**at, "log_format": said, "count": count})


class _LineObserver(FileLogObserver):
    """Writes the lines of events that cannot wait, and leaves the others to the output. All that an observer does with
    its file is to write and flush."""

    def __init__(self, output: LogOutput, lines: LineOutput) -> None:
        super().__init__(lines, output._line_of_ours)  # type: ignore[arg-type]
        self._output = output

    def __call__(self, event: LogEvent) -> None:
        if not self._output.holds(event):
            super().__call__(event)


def is_chatter(event: LogEvent) -> bool:
    """Whether an event is Twisted's own word about its reactor, ports and factories: our lines say it by our names.
    Its warnings and errors are not, nor is anything of others' old way of logging that is more than information."""
    if not str(event.get("log_namespace", "")).startswith(("twisted.", "log_legacy")):
        return False
    return event.get("log_level", LogLevel.info) in (LogLevel.debug, LogLevel.info) and "log_failure" not in event


def text_observer(stream: TextIO) -> FileLogObserver:
    """Writes one line for each event to `stream`: time (UTC), level, namespace, message."""
    return FileLogObserver(stream, text_line)


def json_observer(stream: TextIO) -> FileLogObserver:
    """Writes one JSON object for each event to `stream`: time, level, namespace, message, fields."""
    return FileLogObserver(stream, json_line)


def text_line(event: LogEvent) -> str:
    """`event` for people, with its traceback if it has one."""
    blanked = _blanked(event)
    if "log_failure" in event:
        text = eventAsText(blanked, includeTimestamp=False, includeSystem=False)
    else:
        text = _message(blanked)
    return f"{_time(event)} {_level(event):<5} {_namespace(event)}: {_printable(redacted(text))}\n"


def json_line(event: LogEvent) -> str:
    """`event` for machines, with every field that was logged."""
    return _harmless_line(event) or _redacted_line(event)


def _harmless_line(event: LogEvent) -> str | None:
    """The line as it is; None when there may be a secret in it. One look at the whole line, for most have none."""
    if "log_failure" in event:
        return None
    try:
        fields = event.get("log_fields") or {key: value for key, value in event.items() if key[:4] != "log_"}
        entry = {
            "time": _time(event),
            "level": event["log_level"].name,
            "namespace": event["log_namespace"],
            "message": _message(event),
            "fields": fields,
        }
        text = orjson.dumps(entry, default=_plain).decode()
    except (KeyError, TypeError, ValueError):  # such names and values want more care
        return None
    return f"{text}\n" if is_harmless_json(text) else None


def _redacted_line(event: LogEvent) -> str:
    blanked = _blanked(event)
    fields = {key: _plain(value) for key, value in blanked.items() if key[:4] != "log_"}
    entry = {
        "time": _time(event),
        "level": _level(event),
        "namespace": _namespace(event),
        "message": redacted(_message(blanked)),
        "fields": fields,
    }
    if "log_failure" in event:
        entry["traceback"] = redacted(event["log_failure"].getTraceback())
    return _to_json(entry) + "\n"


def _message(event: LogEvent) -> str:
    """The message, as twisted.logger's formatEvent gives it. The usual format only names fields, which `str.format_map`
    fills in a tenth of the time."""
    template = event.get("log_format")
    if isinstance(template, str) and "()" not in template and "log_flattened" not in event:
        try:
            return template.format_map(event)
        except Exception:  # noqa: S110 - formatEvent describes the fault
            pass
    return formatEvent(event)


def _blanked(event: LogEvent) -> LogEvent:
    return {key: REDACTED if is_secret(key) else value for key, value in event.items()}


def _plain(value: object) -> Json:
    if type(value) is str:
        return redacted(value)
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return _plain(value.value)
        case str():
            return redacted(value)
        case bytes():
            return redacted(value.decode("utf-8", "backslashreplace"))
        case Mapping():
            return {str(key): REDACTED if is_secret(str(key)) else _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return redacted(str(value))


_to_json = json.JSONEncoder(default=_plain, separators=(",", ":")).encode
"""For any logged value: the standard library takes any text and writes ASCII."""


def _printable(text: str) -> str:
    return "\n\t".join(map(clean, text.replace("\r\n", "\n").split("\n")))


def _time(event: LogEvent) -> str:
    milliseconds = int(event.get("log_time", 0.0) * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Date and time of day; the lines of one second share it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def _level(event: LogEvent) -> str:
    level = event.get("log_level", LogLevel.info)
    return str(level.name)


def _namespace(event: LogEvent) -> str:
    return str(event.get("log_namespace", "-"))
