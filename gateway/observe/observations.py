"""Observations: single things that a peer did and that honest peers seldom do, for the defence to judge.

    transport, gate, registrar, guesses, administration -> note(Observation) -> readers, at once

An observation says how far its source is *proved*: over TCP and TLS, or over UDP by an answer to a nonce that went to
that very source. Anybody can send a UDP packet under any address, so that an unproved one says nothing of the address
it names. Here: the values and the stream. Not here: judgement (security/defence), events for people (events.py), which
are told of an observation by the judge and limited by source.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import attrs
from twisted.logger import Logger

log = Logger()

LONGEST_LINE: Final = 200
"""Characters of a line of evidence, once its secrets are taken out."""
LONGEST_LOOK: Final = 500
"""Characters of a peer's line that are searched for secrets: one that begins within LONGEST_LINE ends in them, or is
none that could be taken for anything else."""


class Kind(StrEnum):
    """The kinds of observations. The last three are nothing bad."""

    DIGEST_FAILED = "digest_failed"
    """A password was wrong, or one more came after too many."""
    USER_UNKNOWN = "user_unknown"
    """A request for a user or domain that does not exist, or that its sender may not ask for."""
    SCAN = "scan"
    """A packet of a scanner, by its look, or one more user tried of many."""
    MALFORMED = "malformed"
    FLOOD = "flood"
    """A request beyond the rate of its source."""
    STRANGER = "stranger"
    """A request on the provider's side from no peer of any domain."""
    TLS_FAILED = "tls_failed"
    """A peer began a connection and failed to speak TLS."""
    CERTIFICATE = "certificate"
    """It showed a certificate that does not verify."""
    ADMIN_LOGIN = "admin_login"
    """A log-in to the administration interface failed."""
    PROVISIONING = "provisioning"
    """A phone's file was asked for without a proof, or by another phone than the one it is of."""
    CHALLENGED = "challenged"
    """A user was tried without a password."""
    ANSWERED = "answered"
    """The provider took a request for a user."""
    GRANTED = "granted"
    """The provider took a password, of a registration or a call: the sender is one of its customers."""


@attrs.frozen
class Observation:
    """One thing that was seen. Its texts are a peer's, as they came; `line` holds no header, and no secret but one that
    a URI can hold, which the evidence takes out."""

    kind: Kind
    host: str
    """The address of its sender as a socket shows it."""
    is_proved: bool
    """Whether the sender is at that address."""
    side: str = ""
    """phones, provider or admin."""
    transport: str = ""
    who: str = ""
    """The user that was tried, `user@domain`, or empty."""
    line: str = ""
    """The start line, or other words for evidence; LONGEST_LOOK characters or some more."""


Reader = Callable[[Observation], None]


class Observations:
    """The stream of one gateway."""

    def __init__(self) -> None:
        self.is_on = False
        """Whether anybody reads: to be asked before an observation is made."""
        self._readers: tuple[Reader, ...] = ()

    def read(self, reader: Reader) -> None:
        """Give every later observation to this reader. It must be quick, for the teller waits."""
        self._readers = (*self._readers, reader)
        self.is_on = True

    def note(self, seen: Observation) -> None:
        """Tell of an observation. Never raises."""
        for reader in self._readers:
            try:
                reader(seen)
            except Exception:
                log.failure("a reader of observations failed")
