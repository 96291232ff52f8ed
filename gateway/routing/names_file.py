"""The last answers of DNS in a file: a gateway that is started again while DNS is dead finds its providers.

    LOOK_SECONDS after DNS said something new, every WRITE_SECONDS, and at the stop: Names.memory() -> dns.json
    start: dns.json -> Names.recall(): good for the rest of their time, and for an hour more while DNS is silent

An answer is believed no longer than without a restart. The file is a help and no more: one that cannot be read or
written is told of once, and all goes on as without it. A TLS server still has to prove the name that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from attrs import astuple
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.base.json_codec import decode, encode
from gateway.base.private_files import replace_private
from gateway.routing.dns_records import LastingAnswer, NamingPointer, Service, Value
from gateway.routing.names import Names
from gateway.transport.flow import is_ip_address

log = Logger()

LOOK_SECONDS: Final = 1.0
"""A process may be killed at any moment, and the next one needs what this one found last."""
WRITE_SECONDS: Final = 30.0
"""For answers that DNS repeats: these serve for longer then, and name nothing new."""
MOST: Final = 2_000
"""Answers that are kept, the latest ones."""
_FORMS: Final[dict[str, tuple[type, ...]]] = {
    "A": (str,),
    "AAAA": (str,),
    "SRV": (int, int, str, int),
    "NAPTR": (int, int, str, str, str),
}
"""The fields of a record by its kind."""
_RECORDS: Final[dict[str, Callable[..., Value]]] = {"SRV": Service, "NAPTR": NamingPointer}


class NamesFile:
    """The file ``path`` of the answers of ``names``. ``now`` gives seconds since the epoch."""

    def __init__(self, path: Path, names: Names, clock: IReactorTime, now: Callable[[], float]) -> None:
        self._path = path
        self._names = names
        self._clock = clock
        self._now = now
        self._news = 0
        self._due = 0.0
        self._written: set[tuple[str, str, tuple[Value, ...], int]] = set()
        self._is_failing = False
        self._round = LoopingCall(self._look)
        self._round.clock = clock

    def start(self) -> None:
        """Take up the answers of before, and keep those that come."""
        try:
            found = decode(self._path.read_bytes()) if self._path.exists() else []
            self._names.recall([*_remembered(found, self._now())])
        except (OSError, ValueError, RecursionError) as error:
            log.warn("{path} is not used: {reason}", path=self._path, reason=error)
        self._due = self._clock.seconds() + WRITE_SECONDS
        self._round.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Keep the answers of this moment, and no more."""
        if self._round.running:
            self._round.stop()
            self.write()

    def _look(self) -> None:
        now = self._clock.seconds()
        if self._names.news != self._news or now >= self._due:
            self._news, self._due = self._names.news, now + WRITE_SECONDS
            self.write()

    def write(self) -> None:
        """Write the answers, if there are others than before. Never raises."""
        answers, now = self._names.memory()[-MOST:], self._now()
        standing = {(one.kind, one.name, one.values, round((now + one.serves_for) / 60)) for one in answers}
        if standing == self._written:
            return
        rows = [
            {
                "kind": one.kind,
                "name": one.name,
                "values": [[value] if isinstance(value, str) else list(astuple(value)) for value in one.values],
                "good_until": now + one.good_for,
                "serves_until": now + one.serves_for,
            }
            for one in answers
        ]
        try:
            replace_private(self._path, encode(rows))
        except OSError as error:
            if not self._is_failing:
                log.warn("{path} cannot be written: {reason}", path=self._path, reason=error.strerror)
            self._is_failing = True
            return
        self._is_failing, self._written = False, standing


def _remembered(found: object, now: float) -> Iterator[LastingAnswer]:
    """The answers of a file. Raises ValueError for another form: nothing of a damaged file is believed."""
    if not isinstance(found, list) or len(found) > MOST:
        raise ValueError("it holds no answers of DNS")
    for row in found:
        match row:
            case {
                "kind": str(kind),
                "name": str(name),
                "values": list(values),
                "good_until": float(good) | int(good),
                "serves_until": float(serves) | int(serves),
            } if kind in _FORMS:
                yield LastingAnswer(
                    kind, name, tuple(_value(kind, value) for value in values), good - now, serves - now
                )
            case _:
                raise ValueError("it holds no answers of DNS")


def _value(kind: str, fields: object) -> Value:
    form = _FORMS[kind]
    if not isinstance(fields, list) or tuple(map(type, fields)) != form:
        raise ValueError(f"a record of kind {kind} has other fields")
    if kind in _RECORDS:
        record: Value = _RECORDS[kind](*fields)
        return record
    address = str(fields[0])
    if not is_ip_address(address):
        raise ValueError("an address is none")
    return address
