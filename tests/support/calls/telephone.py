"""The abilities that every phone and far end has, of any program.

A test says `phone.call(uri)`, `far_end.answer()`, `phone.hangup()`; each driver says it to its program. All of it
waits for the program's own word that it happened, with a time-out, and raises ProgramFailed with the program's log.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from tests.support.calls.audio import read_wav
from tests.support.calls.certificates import Certificate
from tests.support.calls.processes import Program, ProgramFailed
from tests.support.calls.wire import SipMessage

Event = dict[str, object]


@attrs.frozen
class Habits:
    """What a telephone does beyond the usual; not every program can be asked for it."""

    prack: str = "no"  # or "required": reliable provisional responses (pjsua2, twinkle)
    timer: str = "optional"  # or "always" (pjsua2, linphonec), "no" (pjsua2): session timers
    session: int = 1800  # seconds: the session interval it asks for
    watches_mailbox: bool = False  # subscribes to message waiting from the start (pjsua2, baresip)
    speaks_early: bool = False  # sends 183 with SDP as soon as a call comes in (linphonec)


USUAL = Habits()


@attrs.frozen
class Line:
    """Who a telephone is, where it lives, and whom it talks to."""

    user: str
    password: str = attrs.field(repr=False)
    domain: str
    proxy: str  # address:port of its registrar and outbound proxy: the gateway, or the provider
    address: str
    control: str  # address where the program itself is steered
    sip_port: int
    media_port: int  # the first of twenty
    tone: Path  # the WAV file it plays
    directory: Path  # its configuration, recordings and log
    secure: bool = False  # TLS and mandatory SRTP (SDES); otherwise UDP and RTP
    trust: Path | None = None
    certificate: Certificate | None = None
    suites: tuple[str, ...] = ()  # SRTP suites in order; () is the program's own list
    expires: int = 300  # seconds
    habits: Habits = USUAL

    @property
    def address_of_record(self) -> str:
        return f"sip:{self.user}@{self.domain}"


class Telephone(abc.ABC):
    """A user agent which registers, calls, answers, and records what it hears."""

    line: Line
    program: Program
    _mark = 0  # samples

    @abc.abstractmethod
    def register(self) -> None:
        """Register and wait for the 200."""

    @abc.abstractmethod
    def call(self, uri: str) -> None:
        """Start a call; does not wait."""

    @abc.abstractmethod
    def wait_ringing(self, seconds: float = 5) -> None:
        """Wait until a call comes in."""

    @abc.abstractmethod
    def answer(self) -> None:
        """Answer the call that came in, and wait until it stands."""

    @abc.abstractmethod
    def wait_answered(self, seconds: float = 5) -> None:
        """Wait until the call it started stands."""

    @abc.abstractmethod
    def hangup(self, call: int = -1) -> None:
        """End, cancel or reject a call (its place in the order of calls), and wait until it is gone."""

    @abc.abstractmethod
    def wait_ended(self, seconds: float = 5) -> str:
        """Wait until the call is gone; says why, as the program does."""

    @abc.abstractmethod
    def recordings(self) -> list[Path]:
        """What it heard, one file a call."""

    def reach(self, other: Telephone) -> None:
        """Both register, this one calls the other by its address of record, and the other answers."""
        self.register()
        other.register()
        self.call(other.line.address_of_record)
        other.wait_ringing()
        other.answer()
        self.wait_answered()

    def wait_early(self, seconds: float = 5) -> None:
        """Wait until the other side rings (a 18x)."""
        raise NotImplementedError(f"{type(self).__name__} does not say that it rings")

    def reject(self, code: int) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot reject")

    def progress(self) -> None:
        """Let media begin before the answer: 183 with SDP."""
        raise NotImplementedError(f"{type(self).__name__} does not speak before it answers")

    def wait_media_early(self, seconds: float = 5) -> None:
        """Wait until media begin before the answer."""
        raise NotImplementedError(f"{type(self).__name__} does not tell of early media")

    def hold(self, call: int = -1) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot hold")

    def resume(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot resume")

    def wait_held(self, seconds: float = 5) -> None:
        """Wait until the other side has put the call on hold."""
        raise NotImplementedError(f"{type(self).__name__} does not tell that it is held")

    def wait_resumed(self, seconds: float = 5) -> None:
        """Wait until the other side has resumed the call."""
        raise NotImplementedError(f"{type(self).__name__} does not tell that it is resumed")

    def transfer(self, uri: str, call: int = -1) -> None:
        """Ask the other side of a call to call somebody else (RFC 5589 section 6)."""
        raise NotImplementedError(f"{type(self).__name__} cannot transfer")

    def transfer_to_latest(self, call: int) -> None:
        """Ask the other side of a call to take the place of this phone in its latest call (RFC 5589 section 7)."""
        raise NotImplementedError(f"{type(self).__name__} cannot transfer after asking")

    def wait_transferred(self, seconds: float = 8) -> int:
        """Wait for the NOTIFY that ends the transfer; the status it tells of."""
        raise NotImplementedError(f"{type(self).__name__} does not tell of transfers")

    def wait_replaced(self, seconds: float = 5) -> None:
        """Wait until another call took the place of one of this phone's."""
        raise NotImplementedError(f"{type(self).__name__} does not know Replaces")

    def wait_mwi(self, seconds: float = 5) -> str:
        """Wait until it is told about messages that wait; the whole NOTIFY, or its body."""
        raise NotImplementedError(f"{type(self).__name__} does not tell of messages that wait")

    def dtmf(self, digits: str) -> None:
        raise NotImplementedError(f"{type(self).__name__} sends no DTMF")

    def wait_dtmf(self, digits: str, seconds: float = 5) -> None:
        raise NotImplementedError(f"{type(self).__name__} shows no DTMF")

    def messages(self) -> list[SipMessage]:
        """Every SIP message it sent or received, oldest first, as it tells itself."""
        raise NotImplementedError(f"{type(self).__name__} does not show its messages")

    def heard(self) -> list[int]:
        """Samples of its last recording."""
        files = self.recordings()
        return read_wav(files[-1]) if files else []

    def mark_recording(self) -> None:
        """What is heard from now on is asked for by `heard_since_mark`."""
        self._mark = len(self.heard())

    def heard_since_mark(self) -> list[int]:
        return self.heard()[self._mark :]

    def stop(self) -> None:
        self.program.stop()


class Events:
    """What a program told, in order; `wait` takes the first event that fits and has not been taken yet."""

    def __init__(self, program: Program, receive: Callable[[float], list[Event]]) -> None:
        """`receive(seconds)` returns what arrived within that time, perhaps nothing."""
        self.history: list[Event] = []
        self._untaken: list[Event] = []
        self._program = program
        self._receive = receive

    def wait(self, what: str, fits: Callable[[Event], bool], seconds: float = 5.0) -> Event:
        deadline = time.monotonic() + seconds
        while True:
            for event in self._untaken:
                if fits(event):
                    self._untaken.remove(event)
                    return event
            if time.monotonic() > deadline:
                raise ProgramFailed(self._why(what, seconds))
            new = self._receive(0.05)
            if not new and not self._program.is_running:
                raise ProgramFailed(self._why(what, seconds))
            self.history += new
            self._untaken += new

    def wait_last(
        self, what: str, kind: Callable[[Event], bool], fits: Callable[[Event], bool], seconds: float
    ) -> None:
        """Wait until the latest event of a kind is one that fits: for what is a state rather than a happening."""
        deadline = time.monotonic() + seconds
        while not any(fits(event) for event in [event for event in self.history if kind(event)][-1:]):
            if time.monotonic() > deadline:
                raise ProgramFailed(self._why(what, seconds))
            new = self._receive(0.05)
            self.history += new
            self._untaken += new

    def forget(self) -> None:
        """Take everything there is: a new call begins."""
        self.history += self._receive(0)
        self._untaken.clear()

    def _why(self, what: str, seconds: float) -> str:
        told = "\n".join(f"  {event}" for event in self.history[-15:])
        return f"{self._program.name}: not {what} within {seconds:.1f} s; it told:\n{told}\n{self._program.tail(15)}"
