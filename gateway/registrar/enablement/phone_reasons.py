"""Why a phone of a roll-out is where it is: codes that keep their meaning, words for people, and the remedy of each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs

from gateway.registrar.enablement.order_exchange import OrderResult


class PhoneReason(StrEnum):
    """Why. They are part of the API and of events: a code keeps its meaning for ever."""

    NONE = ""
    IN_A_CALL = "IN_A_CALL"
    OUTSIDE_HOURS = "OUTSIDE_HOURS"
    NO_CONNECTION = "NO_CONNECTION"
    BUSY = "BUSY"
    STOPPED = "STOPPED"
    ALREADY = "ALREADY"
    SRTP_NOT_SEEN = "SRTP_NOT_SEEN"
    NOT_UNDERSTOOD = "NOT_UNDERSTOOD"
    SILENT = "SILENT"
    NO_PASSWORD = "NO_PASSWORD"  # noqa: S105 - a code
    WRONG_PASSWORD = "WRONG_PASSWORD"  # noqa: S105
    UNREADABLE = "UNREADABLE"
    NOT_NOW = "NOT_NOW"
    UNREACHABLE = "UNREACHABLE"
    NO_FETCH = "NO_FETCH"
    NO_RETURN = "NO_RETURN"
    TLS_FAILED = "TLS_FAILED"
    CAME_BACK_CLEAR = "CAME_BACK_CLEAR"
    ROLLED_BACK_BY_HAND = "ROLLED_BACK_BY_HAND"
    NOT_ROLLED_BACK = "NOT_ROLLED_BACK"


@attrs.frozen
class ReasonWords:
    """A reason for people, and the way out."""

    words: str
    remedy: str = ""


WORDS: Final[Mapping[PhoneReason, ReasonWords]] = {
    PhoneReason.NONE: ReasonWords(""),
    PhoneReason.IN_A_CALL: ReasonWords("It has a call, or had one a moment ago."),
    PhoneReason.OUTSIDE_HOURS: ReasonWords("The hours of [resync] are closed."),
    PhoneReason.NO_CONNECTION: ReasonWords("No connection leads to it now.", "It is asked once it registers again."),
    PhoneReason.BUSY: ReasonWords(
        "It was never idle for as long as [resync] wait_hours.", "Retry it, or order it by hand: gatewayctl resync."
    ),
    PhoneReason.STOPPED: ReasonWords("The roll-out was stopped before its turn.", "Retry it."),
    PhoneReason.ALREADY: ReasonWords("It was registered over TLS before the roll-out came to it."),
    PhoneReason.SRTP_NOT_SEEN: ReasonWords(
        "TLS: yes. SRTP: not seen yet.", "Its first call tells; switch SRTP on in its configuration."
    ),
    PhoneReason.NOT_UNDERSTOOD: ReasonWords(
        "It refuses the order.",
        "Give its make the right Event by [[resync_make]], or switch on its check-sync, or restart it by hand.",
    ),
    PhoneReason.SILENT: ReasonWords(
        "It answers questions, but not the order.",
        "Many programs know no such order: configure it by hand, or give its make an Event by [[resync_make]].",
    ),
    PhoneReason.NO_PASSWORD: ReasonWords(
        "It asks for its password, and the gateway holds none of this user.",
        "Add the user to the file of [[domain]] credentials and reload, or switch the challenge off on the phone "
        "(Cisco SPA: Auth Resync-Reboot = no).",
    ),
    PhoneReason.WRONG_PASSWORD: ReasonWords(
        "It does not take the password that [[domain]] credentials has for this user.",
        "Compare the two; some phones ask for their administrator's password instead.",
    ),
    PhoneReason.UNREADABLE: ReasonWords(
        "It asks for a password in a way that cannot be answered.", "Update its firmware, or restart it by hand."
    ),
    PhoneReason.NOT_NOW: ReasonWords("It could not take the order now, each time that it was asked.", "Retry it."),
    PhoneReason.UNREACHABLE: ReasonWords(
        "It answers nothing.", "Look whether it has power and network; it is asked again once it registers."
    ),
    PhoneReason.NO_FETCH: ReasonWords(
        "It took the order and did not fetch its file.",
        "Look at the address of its files (Profile Rule, provisioning server), and at its log.",
    ),
    PhoneReason.NO_RETURN: ReasonWords(
        "It took the order and has not registered since.",
        "Look at the phone. Its connection for TLS may be blocked: the port of the phones' TLS listener.",
    ),
    PhoneReason.TLS_FAILED: ReasonWords(
        "It tries TLS, and the handshake fails.",
        "Give it the authority of the gateway's certificate, and the right time; or roll it back.",
    ),
    PhoneReason.CAME_BACK_CLEAR: ReasonWords(
        "It took the order and registers in clear still.",
        "Its file does not say TLS, or it did not read it: set the transport to TLS there, then retry.",
    ),
    PhoneReason.ROLLED_BACK_BY_HAND: ReasonWords(
        "It takes no order to go back; nothing is kept against it.",
        "Change its configuration by hand: it may register in clear again.",
    ),
    PhoneReason.NOT_ROLLED_BACK: ReasonWords(
        "It has not registered in clear since it was to go back.",
        "It may, nothing is kept against it. See that its file says so, and restart it.",
    ),
}

RESULT_REASONS: Final[Mapping[OrderResult, PhoneReason]] = {
    OrderResult.NOT_UNDERSTOOD: PhoneReason.NOT_UNDERSTOOD,
    OrderResult.NOT_NOW: PhoneReason.NOT_NOW,
    OrderResult.NO_PASSWORD: PhoneReason.NO_PASSWORD,
    OrderResult.WRONG_PASSWORD: PhoneReason.WRONG_PASSWORD,
    OrderResult.UNREADABLE: PhoneReason.UNREADABLE,
    OrderResult.SILENT: PhoneReason.SILENT,
    OrderResult.UNREACHABLE: PhoneReason.UNREACHABLE,
}
"""The reason that each outcome of an order is, but for one that was accepted."""

RESULT_WORDS: Final[Mapping[OrderResult, ReasonWords]] = {
    OrderResult.ACCEPTED: ReasonWords("It takes the order.", "Its next registration shows whether it obeys."),
    **{result: WORDS[reason] for result, reason in RESULT_REASONS.items()},
}
"""The outcomes of an order by hand."""
