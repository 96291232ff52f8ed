"""A notice as a message of electronic mail (RFC 5322): all of its events counted, the first of them in full.

Not here: the way to the mail server (`mail_way`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from gateway.security.alerts.notice import Notice, sentence, written_time

IN_FULL: Final = 50
"""Events that are written out; the others are counted by their names."""


def message_of(notice: Notice, sender: str, recipients: tuple[str, ...], at: float) -> bytes:
    """The message, lines ended by CRLF. ``at`` is its date, in seconds since the epoch."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = _subject(notice)
    mail["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    mail["Message-ID"] = f"<{notice.token}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers
    mail.set_content("\n".join(_lines(notice)) + "\n", cte="quoted-printable")
    return mail.as_bytes()


def _subject(notice: Notice) -> str:
    counted = Counter(str(event.name) for event in notice.events)
    names = ", ".join(name if count == 1 else f"{count} {name}" for name, count in counted.most_common(3))
    more = f" and {len(counted) - 3} other kinds" if len(counted) > 3 else ""
    return f"[{notice.gateway}] {names}{more}"


def _lines(notice: Notice) -> Iterator[str]:
    count = len(notice.events)
    yield f"Gateway {notice.gateway} tells of {count} event{'' if count == 1 else 's'}:"
    yield ""
    for event in notice.events[:IN_FULL]:
        yield f"{written_time(event.at)}  {sentence(event)}"
    rest = Counter(str(event.name) for event in notice.events[IN_FULL:])
    if rest:
        yield ""
        yield f"And {sum(rest.values())} more: {', '.join(f'{name} {count}' for name, count in rest.most_common())}"
    yield ""
    yield "On the gateway, gatewayctl status says all that needs a look."
