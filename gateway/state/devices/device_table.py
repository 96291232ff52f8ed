"""The inventory of devices, in the file `devices.sqlite`: one row each, the latest that was heard of it.

    saw(device) -> noted -> (a moment) -> merged with all that was known of it -> kept, device, device_aor

A device is known by its hardware address, else by its +sip.instance (RFC 5626), else by its address of record and the
host of its contact. CAPACITY devices are kept; of more, those that were not seen for longest go.

Here: the table. Not here: reading a User-Agent (made_by.py), the sightings (registrar/sightings.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import attrs
from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from gateway.base.json_codec import Json, decode, encode
from gateway.state.sqlite import Database, LeftOut, write_rows
from gateway.state.table import KeptTable, Notes, prepare

CAPACITY: Final = 100_000
ADDRESSES: Final = 20
"""Addresses of record of one device, the latest first."""
ROUND: Final = 1_000
"""Writes until it is looked whether there are too many."""

Row = dict[str, Json]


@attrs.frozen
class Device:
    """A device as it was last seen."""

    key: str
    make: str
    model: str
    firmware: str
    learnt: str
    """The field that told so: User-Agent."""
    user_agent: str
    address_of_record: str
    contact: str
    transport: str


@attrs.frozen
class DeviceCount:
    """Devices that say the same of themselves."""

    make: str
    model: str
    firmware: str
    devices: int


@attrs.frozen
class DeviceFilter:
    """The devices that are wanted: those of which all that is given is true."""

    make: str | None = None
    model: str | None = None
    address_of_record: str | None = None


class DeviceTable(KeptTable):
    """The table; ``now`` gives seconds since the epoch."""

    def __init__(self, path: Path, database: Database, timers: IReactorTime, now: Callable[[], float]) -> None:
        super().__init__(path, database, timers)
        self.now = now
        self._writes = 0

    def saw(self, device: Device) -> None:
        """A device was heard of now."""
        self.put(device.key, self.now(), attrs.asdict(device))
        self._writes += 1
        if self._writes % ROUND == 0:
            self.drop_beyond(CAPACITY)

    def page(self, wanted: DeviceFilter, limit: int, after: str = "") -> Deferred[list[Row]]:
        """``limit`` devices by their key, those after one. Fails with sqlite3.Error where it cannot be read."""
        return self._database.run_interaction(lambda transaction: _page(transaction, wanted, limit, after))

    def kinds(self, since: float, most: int) -> Deferred[list[DeviceCount]]:
        """The ``most`` frequent kinds of devices that were seen since, seconds since the epoch; the others are one kind
        without a name. Fails with sqlite3.Error where the file cannot be read."""
        return self._database.run_interaction(lambda transaction: _kinds(transaction, since, most))

    def _write_notes(self, transaction: Transaction, notes: Notes) -> LeftOut:
        merged: Notes = {}
        for key, note in notes.items():
            merged[key] = note and (note[0], _merged(transaction, key, *note))
        left_out = super()._write_notes(transaction, merged)
        spoilt = {key for key, _ in left_out}
        rows = [cast(Row, decode(note[1])) for key, note in merged.items() if note is not None and key not in spoilt]
        write_rows(transaction, _INSERT, [(row["key"], row["make"], row["model"]) for row in rows])
        write_rows(transaction, "DELETE FROM device_aor WHERE key = ?", [(row["key"],) for row in rows])
        addresses = [(row["key"], one) for row in rows for one in cast("list[Json]", row["addresses_of_record"])]
        write_rows(transaction, "INSERT OR IGNORE INTO device_aor (key, aor) VALUES (?, ?)", addresses)
        return left_out

    def _delete(self, transaction: Transaction, which: str, arguments: tuple[object, ...]) -> None:  # type: ignore[override]
        for table in ("device", "device_aor"):
            gone = f"SELECT key FROM kept WHERE {which}"  # noqa: S608 - our own words
            transaction.execute(f"DELETE FROM {table} WHERE key IN ({gone})", arguments)  # noqa: S608
        super()._delete(transaction, which, arguments)


_INSERT: Final = "INSERT OR REPLACE INTO device (key, make, model) VALUES (?, ?, ?)"
_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS device (key TEXT PRIMARY KEY, make, model) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS device_make ON device (make, key)",
    "CREATE INDEX IF NOT EXISTS device_model ON device (model, key)",
    "CREATE TABLE IF NOT EXISTS device_aor (aor, key, PRIMARY KEY (aor, key)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS device_of ON device_aor (key)",
)


def prepare_devices(connection: sqlite3.Connection) -> None:
    """Lock a new connection's file for us alone, and make sure that its tables are ours."""
    prepare(connection)
    for statement in _CREATE:
        connection.execute(statement)
    connection.commit()


def _merged(transaction: Transaction, key: str, at: float, text: str) -> str:
    """The value with all that is kept of the device: its addresses of record, and when it was first seen."""
    value = cast(Row, decode(text))
    transaction.execute("SELECT value FROM kept WHERE key = ?", (key,))
    rows = cast("list[tuple[str]]", transaction.fetchall())
    before = decode(rows[0][0]) if rows else {}
    known = before.get("addresses_of_record") if isinstance(before, dict) else None
    address = value.pop("address_of_record")
    others = [one for one in known if isinstance(one, str) and one != address] if isinstance(known, list) else []
    value["addresses_of_record"] = [address, *others][:ADDRESSES]
    value["first_seen_at"] = before.get("first_seen_at", at) if isinstance(before, dict) else at
    value["last_seen_at"] = at
    return encode(value).decode()


def _kinds(transaction: Transaction, since: float, most: int) -> list[DeviceCount]:
    transaction.execute(
        "SELECT device.make, device.model, json_extract(value, '$.firmware') AS firmware, COUNT(*) AS devices"
        " FROM device JOIN kept ON kept.key = device.key WHERE at >= ? AND json_valid(value)"
        " GROUP BY 1, 2, 3 ORDER BY devices DESC, 1, 2, 3",
        (since,),
    )
    rows = cast("list[tuple[str | None, str | None, str | None, int]]", transaction.fetchall())
    known = [DeviceCount(str(make or ""), str(model or ""), str(told or ""), n) for make, model, told, n in rows[:most]]
    left = sum(row[3] for row in rows[most:])
    return [*known, DeviceCount("", "", "", left)] if left else known


def _page(transaction: Transaction, wanted: DeviceFilter, limit: int, after: str) -> list[Row]:
    texts, values = ["device.key > ?"], [after]
    for name in ("make", "model"):
        value = getattr(wanted, name)
        if value is not None:
            texts.append(f"{name} = ?")
            values.append(value)
    joined = ""
    if wanted.address_of_record is not None:
        joined = "JOIN device_aor ON device_aor.key = device.key"
        texts.append("aor = ?")
        values.append(wanted.address_of_record)
    transaction.execute(
        f"SELECT value FROM device JOIN kept ON kept.key = device.key {joined}"  # noqa: S608 - our own words
        f" WHERE {' AND '.join(texts)} ORDER BY device.key LIMIT ?",
        (*values, limit),
    )
    rows = cast("list[tuple[str]]", transaction.fetchall())
    return [cast(Row, value) for (text,) in rows if isinstance(value := decode(text), dict)]
