"""The decision about each question of a phone: is it proved, which file is it, may it have that in this way?

    /p/TOKEN/NAME, or /NAME with a certificate  -- HTTPS -> the device's file
    /e/TOKEN/NAME                               -- HTTP  -> the device's file, encrypted by itself (SPA alone)
    /NAME                       -- HTTP, TFTP, in a window -> the first file, which leads the phone to its own
    everything else                                      -> NOT_FOUND, and an event

The order is a security order. A rate is taken before anything is looked at. The proof comes before the name, and is of
the device and not of the name: a proved device that names another one gets NOT_FOUND, as one without a proof does. A
file with a password is drawn after that and never sooner. A token that came in clear opens nothing over TLS.

Here: the decision. Not here: HTTP (web_server.py), TFTP (tftp_server.py), the devices and their state (estate.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs
from twisted.logger import Logger

from gateway.base.rate import Rate, RateLimit
from gateway.observe.events import EventName
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind, Observation
from gateway.provisioning.answers_to_phones import (
    BROKEN,
    NOT_FOUND,
    THROWN_AWAY,
    TOO_MANY,
    FileOutcome,
    Question,
    Reply,
    Way,
)
from gateway.provisioning.estate import Estate, KnownDevice
from gateway.provisioning.makes import MAKES_BY_NAME, FileKind, address_in, is_file_name, told_by
from gateway.provisioning.profiles import ProfileError
from gateway.provisioning.standings import Fetch

log = Logger()

TOKEN_FOLDER: Final = "p"  # noqa: S105 - no token
SEALED_FOLDER: Final = "e"
AUTHORITY: Final = "ca.pem"
BURST_SECONDS: Final = 10
"""A source may ask at once as often as in so many seconds: a phone asks for four files, and an office has many."""
TOLD: Final = Rate(0.2, 10)
"""Events of one source."""
HELD: Final = 10_000
"""Pairs of a source and a subject that are remembered, so that each is held against it once."""
_TOLD_NAMES: Final = (EventName.SECURITY_PROVISIONING, EventName.SECURITY_PROVISIONING_MISMATCH)
_READING: Final = ("GET", "HEAD")


@attrs.frozen
class ProvisionerClock:
    """Seconds that never go back, and seconds since the epoch."""

    seconds: Callable[[], float]
    wall: Callable[[], float]


class Provisioner:
    """Answers the questions of phones."""

    def __init__(self, estate: Estate, proofs: tuple[str, ...], rate: int, metrics: Metrics, clock: ProvisionerClock):
        self.estate = estate
        self._proofs = frozenset(proofs)
        self._limit = RateLimit(Rate(rate, rate * BURST_SECONDS))
        self._told = {name: RateLimit(TOLD) for name in _TOLD_NAMES}
        self._requests = metrics.provisioning_requests
        self._events = metrics.events
        self._observations = metrics.observations
        self._held: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._clock = clock

    def answer(self, question: Question) -> Reply:
        """The answer. Never raises for anything that a peer or a template does."""
        reply = self._answer(question)
        self._requests.labels(reply.make, reply.outcome.value).inc()
        return reply

    def first_url(self, address: str, source: str, user_agent: str) -> str:
        """The URL of a device that asks everybody for it (SIP PnP): it leads to its first file, and holds no token. In
        a window alone; else it is empty, and nothing is to be answered. Never raises."""
        question = Question(Way.PNP, "GET", f"/{address}.cfg", source, user_agent=user_agent)
        if not self._limit.allows(source, self._clock.seconds()):
            self._requests.labels("unknown", FileOutcome.LIMITED.value).inc()
            return ""
        known, why = self._first_known(question, f"{address}.cfg", address)
        if known is None:
            self._refused(question, why)
            self._requests.labels("unknown", FileOutcome.REFUSED.value).inc()
            return ""
        self._requests.labels(known.device.make, FileOutcome.BOOTSTRAP.value).inc()
        return self.estate.first_url(known, in_clear="token" in self._proofs)

    def _first_known(self, question: Question, name: str, address: str) -> tuple[KnownDevice | None, str]:
        """The device that may be led to its first file now; None, and why not."""
        known = self.estate.find(address)
        if known is None:
            self.estate.note_seen(name, question, self._clock.wall())
            return None, "a device that is not known"
        is_new = not self.estate.standings.of(address).fetched
        seconds = self._clock.seconds()
        if not self.estate.enrolment.is_open_for(address, question.source, seconds, is_new=is_new):
            return None, "no window is open for it"
        return known, ""

    def _answer(self, question: Question) -> Reply:
        if not self._limit.allows(question.source, self._clock.seconds()):
            return TOO_MANY
        folder, token, name = _parts(question.path)
        if not is_file_name(name):
            return self._refused(question, "a name that no file has")
        if question.method not in (*_READING, "PUT"):
            return self._refused(question, "a method that reads no file")
        if not folder and question.way is not Way.HTTPS:
            return self._first_file(question, name)
        if name == AUTHORITY and not folder and self.estate.place.ca and question.method in _READING:
            return Reply(200, FileOutcome.BOOTSTRAP, self.estate.place.ca.encode())
        known, proof = self._proved(question, folder, token)
        if known is None:
            self.estate.note_seen(name, question, self._clock.wall())
            return self._refused(question, "no proof of a device that is known" if not folder else "no such token")
        return self._own_file(question, known, proof, name)

    def _proved(self, question: Question, folder: str, token: str) -> tuple[KnownDevice | None, str]:
        """The device that the question proves to come from, and by which proof."""
        if folder == SEALED_FOLDER and question.way is Way.HTTP and "token" in self._proofs:
            known = self.estate.by_sealed_token(token)
            return (known if known is not None and known.is_sealed else None), "sealed"
        if question.way is not Way.HTTPS:
            return None, ""
        if folder == TOKEN_FOLDER and "token" in self._proofs:
            return self.estate.by_token(token), "token"
        if not folder and question.certified is not None and "certificate" in self._proofs:
            return self.estate.find(question.certified), "certificate"
        return None, ""

    def _own_file(self, question: Question, known: KnownDevice, proof: str, name: str) -> Reply:
        make = MAKES_BY_NAME[known.device.make]
        named = address_in(name)
        if named is not None and named != known.address:
            return self._mismatch(question, known, named, proof)
        kind = make.kind_of(name)
        if question.method == "PUT":
            return attrs.evolve(THROWN_AWAY if kind is FileKind.UPLOAD else NOT_FOUND, make=make.name)
        if kind is None or kind is FileKind.UPLOAD:
            return attrs.evolve(NOT_FOUND, make=make.name)
        try:
            body = self.estate.drawn(known, kind)
        except ProfileError as error:
            return self._broken(known, name, error)
        mark = self.estate.mark_of(body)
        if proof == "sealed":
            body = self.estate.sealed(known, body)
        if kind is FileKind.OWN and question.method == "GET":
            self._note_fetch(question, known, proof)
        if _is_known(mark, question.known_mark):
            return Reply(304, FileOutcome.NOT_MODIFIED, mark=mark, make=make.name)
        content = "application/octet-stream" if proof == "sealed" else make.content
        return Reply(200, FileOutcome.SERVED, body, content, mark, make.name)

    def _first_file(self, question: Question, name: str) -> Reply:
        """The file that leads a phone to its own, in clear: in a window alone."""
        if question.method not in _READING:
            return self._refused(question, "a method that reads no file")
        address = address_in(name) or ""
        is_new = not self.estate.standings.of(address).fetched
        is_open = self.estate.enrolment.is_open_for(address, question.source, self._clock.seconds(), is_new=is_new)
        if name == AUTHORITY and is_open and self.estate.place.ca:
            return Reply(200, FileOutcome.BOOTSTRAP, self.estate.place.ca.encode())
        known = self.estate.find(address) if address else None
        if known is None and address:
            self.estate.note_seen(name, question, self._clock.wall())
            return self._refused(question, "a device that is not known")
        if not is_open:
            return self._refused(question, "no window is open for it")
        if known is not None and "token" not in self._proofs:
            return self._refused(question, "tokens count for nothing here")
        try:
            drawn = self.estate.first_file(known, name)
        except ProfileError as error:
            return self._broken(known, name, error)
        if drawn is None:
            return NOT_FOUND
        make, body = drawn
        return Reply(200, FileOutcome.BOOTSTRAP, body, make.content, make=make.name)

    def _note_fetch(self, question: Question, known: KnownDevice, proof: str) -> None:
        self.estate.enrolment.used(known.address)
        told = told_by(question.user_agent)
        fetch = Fetch(self._clock.wall(), proof, question.source, told.model, told.firmware)
        if self.estate.standings.fetched(known.address, fetch):
            generation = self.estate.standings.of(known.address).generation
            self._events.note(
                EventName.PROVISIONING_FETCHED,
                who=known.address,
                source=question.source,
                make=known.device.make,
                generation=generation,
                proof=proof,
            )

    def _refused(self, question: Question, why: str) -> Reply:
        """NOT_FOUND, counted and told as a refusal. A name that holds a token is not told."""
        folder, token, name = _parts(question.path)
        address = address_in(name) or ""
        self._tell(EventName.SECURITY_PROVISIONING, question, address, why)
        if folder or address:
            self._hold_against(question, token or address)
        return attrs.evolve(NOT_FOUND, outcome=FileOutcome.REFUSED)

    def _mismatch(self, question: Question, known: KnownDevice, named: str, proof: str) -> Reply:
        self._tell(EventName.SECURITY_PROVISIONING_MISMATCH, question, known.address, f"asks for {named}", proof=proof)
        self._hold_against(question, f"{known.address} {named}")
        return attrs.evolve(NOT_FOUND, outcome=FileOutcome.REFUSED)

    def _hold_against(self, question: Question, subject: str) -> None:
        """Tell the defence, once for each subject: a phone asks for its file again and again, somebody that searches
        asks for many. Not over UDP, where anybody may name any source, nor while the source is expected to have phones
        that are not proved yet."""
        if question.way in (Way.TFTP, Way.PNP) or not self._observations.is_on:
            return
        if (question.source, subject) in self._held:
            return
        if self.estate.enrolment.is_open_for("", question.source, self._clock.seconds(), is_new=True):
            return
        self._held[question.source, subject] = None
        if len(self._held) > HELD:
            self._held.popitem(last=False)
        line = f"{question.method[:10]} {redacted_path(question.path)}"
        way = question.way.value
        self._observations.note(Observation(Kind.PROVISIONING, question.source, True, "phones", way, line=line))

    def _tell(self, name: EventName, question: Question, address: str, why: str, **fields: str) -> None:
        if self._told[name].allows(question.source, self._clock.seconds()):
            self._events.note(name, source=question.source, who=address, why=why, way=question.way.value, **fields)

    def _broken(self, known: KnownDevice | None, name: str, error: ProfileError) -> Reply:
        address = known.address if known is not None else ""
        log.error("the file {name} of {device} cannot be made: {reason}", name=name, device=address, reason=str(error))
        self._events.note(EventName.PROVISIONING_FAILED, who=address, reason=str(error))
        return attrs.evolve(BROKEN, make=known.device.make if known is not None else "unknown")


def redacted_path(path: str) -> str:
    """A path for logs: its token is a tilde, and nothing is left of a path that is none of ours."""
    folder, token, name = _parts(path)
    if not is_file_name(name):
        return "/..."
    return f"/{folder}/~/{name}" if token else f"/{name}"


def _parts(path: str) -> tuple[str, str, str]:
    """The folder, token and name in a path; an empty name where it is no path of ours."""
    pieces = path.split("/")
    if len(pieces) == 2 and not pieces[0]:
        return "", "", pieces[1]
    if len(pieces) == 4 and not pieces[0] and pieces[1] in (TOKEN_FOLDER, SEALED_FOLDER):
        return pieces[1], pieces[2], pieces[3]
    return "", "", ""


def _is_known(mark: str, told: str) -> bool:
    """Whether a client has the file already (RFC 9110 section 13.1.2)."""
    return told.strip() == "*" or mark in [one.strip().removeprefix("W/") for one in told[:1000].split(",")]
