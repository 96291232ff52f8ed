"""OPS: the process and its machine: version, clock, disk, readers of its log and metrics, backups, restarts, alerts."""

from __future__ import annotations

from typing import Final

from gateway.security.posture.findings import (
    Check,
    Effort,
    Evidence,
    Gravity,
    Judgement,
    failed,
    passed,
    unknown,
    warned,
)
from gateway.security.posture.posture_facts import PostureFacts

OLD_DAYS: Final = 180
"""The age of advisories that say little any more."""
FULL: Final = 0.05
FILLING: Final = 0.15
BACKUP_DAYS: Final = 30.0


def _version(facts: PostureFacts) -> Judgement:
    newest, age, own = facts.process.newest_version, facts.process.advisories_days, facts.version
    if newest is None or age is None or not _numbers(own):
        return unknown("the newest version is not known here")
    if _numbers(own) < _numbers(newest):
        remedy = "Upgrade as docs/upgrade-and-backup.md says."
        return failed(remedy, [f"this is version {own}, and {newest} is there"])
    if age > OLD_DAYS:
        why = f"the advisories are {age} days old: newer versions than {own} may be there"
        return unknown(why, "gatewayctl assess --advisories FILE, with a newer file.")
    return passed(f"version {own}; the newest that is known is {newest}")


def _clock(facts: PostureFacts) -> Judgement:
    if facts.process.clock_synchronized is None:
        return unknown("the system does not say whether its clock is synchronized")
    if facts.process.clock_synchronized:
        return passed("the kernel says that its clock is synchronized")
    return failed("systemctl enable --now systemd-timesyncd, or chrony.", ["the system's clock is not synchronized"])


def _disk(facts: PostureFacts) -> Judgement:
    free, failing = facts.process.disk_free, facts.process.failing_files
    if free is None or failing is None:
        return unknown("the disk of the state directory is not known")
    told = [Evidence(f"{free:.0%} of the state directory's disk is free", round(free * 100))]
    told += [Evidence(f"{name} cannot be written") for name in failing]
    remedy = "Make room on the disk of state_directory, or keep calls for fewer days: history_days in [gateway]."
    if failing or free < FULL:
        return failed(remedy, told)
    return warned(remedy, told) if free < FILLING else passed(*told)


def _read(facts: PostureFacts) -> Judgement:
    lost, read = facts.process.lost_log_lines, facts.process.metrics_read
    if lost is None or read is None:
        return unknown("it is not known who reads the log and the metrics")
    told = [Evidence(f"/metrics was read {read:,} times since the start", read)]
    told += [Evidence(f"{lost:,} lines of the log were lost", lost)] if lost else []
    if read and not lost:
        return passed(*told)
    return warned(
        "A Prometheus that reads /metrics, with the alerts of deploy/prometheus-alerts.yml: docs/metrics.md.", told
    )


def _backup(facts: PostureFacts) -> Judgement:
    days = facts.process.backup_days
    remedy = "Back up as docs/upgrade-and-backup.md says, and touch last-backup in the state directory."
    if days is None:
        return unknown("it is not known whether backups are made", remedy)
    if days < 0:
        return unknown("no backup was ever noted in the state directory", remedy)
    told = [Evidence(f"the last backup was noted {days:.0f} days ago", int(days))]
    return passed(*told) if days <= BACKUP_DAYS else failed(remedy, told)


def _alone(facts: PostureFacts) -> Judgement:
    count = facts.process.gateways
    remedy = "A second gateway that DNS (SRV) or the phones' second proxy leads to."
    if count is None:
        return unknown("this gateway knows of no other, nor whether there is one", remedy)
    told = [Evidence(f"{count} gateways", count)]
    return passed(*told) if count > 1 else warned(remedy, told)


def _restarts(facts: PostureFacts) -> Judgement:
    count = facts.process.worker_restarts
    if count is None:
        return unknown("it is not known whether media workers died")
    told = [Evidence(f"{count:,} media workers died since the start", count)]
    return (
        warned("Look for the cause in the log: journalctl --unit gateway --grep worker.", told)
        if count
        else passed(*told)
    )


def _alerts(facts: PostureFacts) -> Judgement:
    ways, lost = facts.defence.alerts, facts.defence.alerts_lost
    if ways is None:
        return unknown("this gateway delivers no alerts")
    if not ways:
        return failed('An [[alert]] with to = "webhook", "email" or "syslog".', ["nobody is told of an attack"])
    if lost:
        remedy = "Look at the receiver of each [[alert]]: the log names the one that does not answer."
        return failed(remedy, [Evidence(f"{lost:,} alerts could not be delivered", lost)])
    return passed(Evidence(f"{ways} ways to deliver alerts", ways))


def _numbers(version: str) -> tuple[int, ...]:
    """A version's numbers; none where it is no release."""
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()


CHECKS: Final = (
    Check(
        "OPS-1",
        "The gateway's version is the newest",
        Gravity.MEDIUM,
        "Holes that were mended in a newer version are known to everybody.",
        Effort.HOURS,
        _version,
    ),
    Check(
        "OPS-2",
        "The clock is synchronized",
        Gravity.MEDIUM,
        "Certificates are judged by it, and records prove little with a wrong time.",
        Effort.MINUTES,
        _clock,
    ),
    Check(
        "OPS-3",
        "State can be written",
        Gravity.HIGH,
        "On a full disk no record of calls, changes and attacks is kept.",
        Effort.MINUTES,
        _disk,
    ),
    Check(
        "OPS-4",
        "Somebody reads the log and the metrics",
        Gravity.LOW,
        "A warning that nobody reads warns nobody.",
        Effort.HOURS,
        _read,
    ),
    Check(
        "OPS-5",
        "Backups are made",
        Gravity.MEDIUM,
        "Without the state directory's secret and switches a new machine is another gateway.",
        Effort.HOURS,
        _backup,
    ),
    Check(
        "OPS-6",
        "A second gateway is there",
        Gravity.LOW,
        "When the only one is down, phones have no way out, or one in clear.",
        Effort.REPLACE,
        _alone,
    ),
    Check(
        "OPS-7",
        "Media workers do not die",
        Gravity.LOW,
        "A worker that dies ends the audio of its calls, and may have been brought down.",
        Effort.HOURS,
        _restarts,
    ),
    Check(
        "OPS-8",
        "Alerts are delivered",
        Gravity.MEDIUM,
        "An attack that nobody is told of goes on until the bill comes.",
        Effort.MINUTES,
        _alerts,
    ),
)
