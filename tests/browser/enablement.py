"""The roll-outs, the files of phones and the regular probes of that office, as their stores keep them: with every state
that a page shows.

A roll-out of the branch is paused, with phones that need a look and phones that have not been asked. One of the head
office is over. Devices have their file, an older one, or none.
One provider is worse than before, and one cannot be seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.b2bua.probe.jobs.regular_probes import PastProbe
from gateway.provisioning.standings import Fetch, Standings
from gateway.registrar.enablement.book import RollOutBook
from gateway.registrar.enablement.phone_reasons import PhoneReason
from gateway.registrar.enablement.roll_out import Goal, RollOut, RolloutPhone, RolloutStage
from gateway.registrar.enablement.rollout_table import PhoneState
from gateway.state.table import WRITE_DELAY, KeptTable
from tests.support.day_of_calls import BRANCH, DOMAIN, PEOPLE
from tests.support.direct_database import DirectDatabase

DAY: Final = 86_400.0
DEVICES: Final = """\
[device.805ec0112233]
make = "yealink"
model = "SIP-T54W"
lines = [
    { user = "reception", domain = "example.com", label = "Reception" },
    { user = "ana", domain = "example.com" },
]

[device.000413aabbcc]
make = "snom"
model = "D385"
lines = [{ user = "lab", domain = "example.com" }]

[device.0004f2deadbe]
make = "polycom"
lines = [{ user = "a-user-with-a-name-that-is-longer-than-others", domain = "branch.example.com" }]
security = "preferred"

[device.000b82cafe01]
make = "grandstream"
model = "GXP2170"
lines = [{ user = "door2", domain = "branch.example.com" }]
security = "off"
"""
"""The file of devices."""

_STATES: Final = (
    (PhoneState.CONFIRMED, PhoneReason.NONE, ""),
    (PhoneState.CONFIRMED, PhoneReason.ALREADY, ""),
    (PhoneState.RETURNED, PhoneReason.SRTP_NOT_SEEN, ""),
    (PhoneState.FAILED, PhoneReason.NO_PASSWORD, "401 Unauthorized"),
    (PhoneState.FAILED, PhoneReason.TLS_FAILED, "tlsv1 alert unknown ca: certificate-of-the-gateway-is-of-nobody"),
    (PhoneState.UNREACHABLE, PhoneReason.UNREACHABLE, ""),
    (PhoneState.UNSUPPORTED, PhoneReason.NOT_UNDERSTOOD, "489 Bad Event"),
    (PhoneState.CONFIRMED, PhoneReason.NONE, ""),
    (PhoneState.LEFT, PhoneReason.BUSY, ""),
    (PhoneState.WAITING, PhoneReason.IN_A_CALL, ""),
    (PhoneState.WAITING, PhoneReason.NONE, ""),
    (PhoneState.WAITING, PhoneReason.NONE, ""),
)
_MODELS: Final = (
    ("yealink", "Yealink SIP-T54W"),
    ("snom", "snom D385"),
    ("cisco-spa", "Cisco SPA504G"),
    ("grandstream", "Grandstream GXP2170"),
    ("other", "baresip"),
)


def furnish_enablement(state: Path, now: float) -> None:
    """Write `rollouts.sqlite`, `provisioning.sqlite` and `probes.sqlite`, and the file of devices beside the state."""
    _keep_probes(state / "probes.sqlite", now)
    _keep_rollouts(state / "rollouts.sqlite", now)
    _keep_files(state / "provisioning.sqlite", now)
    devices = state.parent / "devices.toml"
    devices.touch(0o600)
    devices.write_text(DEVICES)


def _keep_probes(path: Path, now: float) -> None:
    """One that is worse than before, one without a verdict, and one as wanted."""
    database = DirectDatabase(path)
    table = KeptTable(path, database, database.clock)
    good, bad = {f"{DOMAIN}, required": "ENCRYPTED_TO_PROVIDER", f"{BRANCH}, preferred": "CLEAR"}, dict[str, str]()
    for provider, days, result, sentence, verdicts, change in (
        ("main", 2, "as_wanted", "Calls to main will be ENCRYPTED_TO_PROVIDER.", good, "better"),
        ("backup", 1, "failed", "No target of backup answers over TLS: " + "a-reason-without-a-space" * 8, bad, "none"),
        ("main", 1, "not", "Calls to main will be refused under required.", {**good}, "worse"),
    ):
        past = PastProbe(provider, now - days * DAY, result, sentence, verdicts, change, verdicts)
        table.put(f"{provider} {past.at:.3f}", past.at, past.as_json())
    database.clock.advance(WRITE_DELAY)
    database.close()


def _keep_rollouts(path: Path, now: float) -> None:
    database = DirectDatabase(path)
    book = RollOutBook(KeptTable(path, database, database.clock), lambda: now)
    done = RollOut(1, DOMAIN, Goal.RESYNC, "ben", now - 9 * DAY, RolloutStage.DONE, waves=2, wave=1)
    paused = RollOut(2, BRANCH, Goal.TLS, "ana (uid 1000)", now - 5400, RolloutStage.PAUSED, waves=3, wave=1)
    paused.why = "4 of 8 phones failed"
    for rollout in (done, paused):
        book.keep(rollout)
        for number, (user, _) in enumerate(PEOPLE, 1):
            told = _STATES[number - 1] if rollout is paused else (PhoneState.CONFIRMED, PhoneReason.NONE, "")
            book.keep_phone(rollout, _phone(number, f"sip:{user}2@{rollout.domain}", told, now))
    database.clock.advance(WRITE_DELAY)
    database.close()


def _phone(number: int, address: str, told: tuple[PhoneState, PhoneReason, str], now: float) -> RolloutPhone:
    state, reason, detail = told
    make, model = _MODELS[number % len(_MODELS)]
    wave = 0 if number < 4 else 1 if number < 9 else 2
    since = now - 5000 + 240 * number
    return RolloutPhone(number, f"{number:012x}", (address,), make, model, wave, state, reason, detail, since)


def _keep_files(path: Path, now: float) -> None:
    database = DirectDatabase(path)
    standings = Standings(KeptTable(path, database, database.clock), lambda: now)
    standings.fetched("805ec0112233", Fetch(now - 7200, "certificate", "10.0.3.20", "SIP-T54W", "96.86.0.100"))
    standings.fetched("000413aabbcc", Fetch(now - 3 * DAY, "token", "10.0.3.30", "D385", "10.1.184.14"))
    standings.rotate("000413aabbcc")
    database.clock.advance(WRITE_DELAY)
    database.close()
