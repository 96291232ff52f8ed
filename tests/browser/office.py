"""The state directory of a gateway that an office has used for a month: calls, phones, sightings, changes.

The files are written by the stores that the gateway reads them with, so that a test sees what an operator would.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from twisted.enterprise.adbapi import Transaction
from twisted.internet.task import Clock

from gateway.base.clock import passed
from gateway.base.json_codec import Json
from gateway.registrar.binding import Binding
from gateway.registrar.sqlite_store import SqliteStore, prepare_bindings
from gateway.security.defence.bans import Ban, Bans, BanState
from gateway.security.defence.kept_bans import KeptBans
from gateway.state.audit import AuditLog, Author
from gateway.state.listing.call_table import CallTable, prepare_calls
from gateway.state.table import WRITE_DELAY, KeptTable, prepare
from gateway.transport.flow import Address, FlowKey, Transport
from tests.browser.enablement import furnish_enablement
from tests.support.day_of_calls import BRANCH, DOMAIN, PEOPLE, calls
from tests.support.direct_database import DirectDatabase, got

DAY: Final = 86_400.0
OF_TODAY: Final = 1_200
MADE: Final = 2_000
"""Older calls that are made, not copied."""
PHONES: Final = (
    "Yealink SIP-T54W 96.86.0.100",
    "snomD385/10.1.184.14",
    "PolyEdge-E450-UA/8.2.0.5",
    "Cisco/SPA504G-7.6.2c",
    "Grandstream GXP2170 1.0.11.79",
    "baresip v3.9.0 (x86_64/Linux)",
)


def furnish(state: Path, now: float, history: int) -> None:
    """Write all of it: so many calls of the last 30 days, of which 1,200 of the last one."""
    state.mkdir(parents=True, mode=0o700)
    _keep_calls(state / "calls.sqlite", now, history)
    _keep_phones(state / "bindings.sqlite", now)
    _keep_audit(state / "audit.jsonl", now)
    _keep_limits(state / "limits.sqlite", now)
    _keep_deviations(state / "deviations.sqlite", now)
    _keep_bans(state / "bans.sqlite", now)
    furnish_enablement(state, now)


def _keep_calls(path: Path, now: float, history: int) -> None:
    """Today's calls, and those of a month: of these some hundreds a day are made, and copied by the file itself, or the
    tests of a minute would wait a minute for it."""
    database = DirectDatabase(path, prepare_calls)
    table = CallTable(path, database, database.clock)
    today = [*calls(now, min(history, OF_TODAY))]
    copies = max(history - len(today), 0) // MADE
    # Older calls have no ladder: a month of those would be a file of 400 MB, which no page looks at.
    bare: dict[str, Json] = {"ladder": [], "chain": [], "media": None}
    older = [{**call, **bare} for call in calls(now - DAY, MADE if copies else 0, seed=11, days=29)]
    for call in older:
        table.put(str(call["id"]), float(str(call["ended_at"])), call)
    database.clock.advance(WRITE_DELAY)
    got(database.run_interaction(lambda file: _multiply(file, history - len(today), copies)))
    for call in today:
        table.put(str(call["id"]), float(str(call["ended_at"])), call)
    database.clock.advance(WRITE_DELAY)
    database.close()


def _multiply(file: Transaction, wanted: int, copies: int) -> None:
    """Copy the calls of the file until there are so many, each some seconds before the one that it is of."""
    file.execute("SELECT name FROM pragma_table_info('listed')")
    moved = {"id": "id || '-' || n", "started_at": "started_at - n * 7"}
    fields = ", ".join(moved.get(str(name), str(name)) for (name,) in file.fetchall())
    numbers = f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {copies})"
    left = max(wanted - MADE, 0)
    file.execute(f"INSERT INTO listed {numbers} SELECT {fields} FROM n, listed LIMIT {left}")
    file.execute(f"INSERT INTO kept {numbers} SELECT key || '-' || n, at - n * 7, value FROM n, kept LIMIT {left}")
    file.execute(f"UPDATE tally SET calls = calls * {max(copies, 1)}")


def _keep_phones(path: Path, now: float) -> None:
    clock, chance = Clock(), random.Random(3)
    database = DirectDatabase(path, prepare_bindings)
    store = SqliteStore(path, database, clock, lambda: now)
    for number, (user, _) in enumerate([*PEOPLE, *((f"{user}2", "") for user, _ in PEOPLE)]):
        domain = BRANCH if number % 5 == 4 else DOMAIN
        remote = Address(f"10.0.3.{20 + number}", 5060)
        store.save(
            Binding(
                aor=f"sip:{user}@{domain}",
                contact=f"sip:{user}@{remote}",
                flow=FlowKey("phones", Transport.UDP, remote),
                expires_at=now + chance.uniform(600, 3600),
                call_id=f"{chance.getrandbits(96):024x}",
                cseq=1,
                q=1.0,
                instance=None,
                user_agent=PHONES[number % len(PHONES)],
                token=f"{user}-{chance.getrandbits(32):08x}",
                provider_expires_at=now + 3600,
                provider_interval=3600,
            )
        )
    clock.advance(1)
    store.stop()


def _keep_limits(path: Path, now: float) -> None:
    """A user that is held, one at a limit, and one below."""
    database = DirectDatabase(path, prepare)
    table = KeptTable(path, database, database.clock)
    for number, (user, _) in enumerate(PEOPLE[:3]):
        begun: list[Json] = [now - step for step in range(20 - 8 * (2 - number))]
        held = now - 7200 if number == 2 else None
        table.put(
            f"international|sip:{user}@{DOMAIN}", now, {"begun": begun, "held_at": held, "day": 0, "seconds": 0.0}
        )
    database.clock.advance(WRITE_DELAY)
    database.close()


def _keep_deviations(path: Path, now: float) -> None:
    """One of a user, and one of a whole domain."""
    database = DirectDatabase(path)
    table = KeptTable(path, database, database.clock)
    abroad: dict[str, Json] = {"country": "CU", "number": "+5371234567", "countries_before": 3, "days": 28}
    busy: dict[str, Json] = {"calls": 31, "usual": 4.5, "times": 5}
    for kind, at, who, fields in (("new_country", now - 900, "ana", abroad), ("busy_hour", now - 2 * DAY, "", busy)):
        place: dict[str, Json] = {"source": "", "domain": DOMAIN, "who": who, "call": "7d1f"}
        table.put(kind, at, {"at": at, "name": f"deviation.{kind}", "severity": "warning", **place, "fields": fields})
    database.clock.advance(WRITE_DELAY)
    database.close()


def _keep_bans(path: Path, now: float) -> None:
    """One that waits for approval, some in force, one that would be."""
    database = DirectDatabase(path)
    moment = [now - 5400]
    table = KeptTable(path, database, database.clock)
    kept = KeptBans(table, lambda: moment[0], lambda: passed() - (now - moment[0]))
    bans = Bans(lambda: moment[0], lambda source: True)
    bans.listen(kept.keep)
    line = "2026-05-04T12:{:02d}:07Z udp digest_failed: REGISTER sip:example.com"
    evidence = tuple(line.format(number) for number in range(20))
    for source, reason, state, seconds in (
        ("198.51.100.23", "scan", BanState.ACTIVE, 7 * DAY),
        ("2001:db8:66:5::/64", "user_unknown", BanState.ACTIVE, DAY),
        ("203.0.113.77", "digest_failed", BanState.WOULD_BE, DAY),
        ("192.0.2.200", "digest_failed", BanState.WAITING, DAY),
    ):
        users = ("ana@example.com", "100@example.com", "unknown-5f2c1a07")
        bans.ban(Ban(source, reason, moment[0], moment[0] + seconds, state=state, evidence=evidence, users=users))
        moment[0] += 600
    words = "rang the whole office at night"
    bans.ban(Ban("198.51.100.99", "operator", moment[0], moment[0] + DAY, by="ben", words=words))
    database.close()


def _keep_audit(path: Path, now: float) -> None:
    moment = [now - 9 * DAY]
    audit = AuditLog(path, lambda: moment[0])
    told = "domain branch.example.com: security off -> preferred"
    audit.write(Author("reload"), "reload", changes=[told])
    moment[0] = now - 3 * DAY
    audit.write(Author("ben"), "switch", domain=DOMAIN, **{"from": "preferred", "to": "required"})
    moment[0] = now - 3 * DAY + 900
    audit.write(Author("ben"), "switch", domain=DOMAIN, **{"from": "required", "to": "preferred"})
    moment[0] = now - 7200
    audit.write(Author("mallory (uid 1001)"), "refused", change="switch", domain=DOMAIN)
