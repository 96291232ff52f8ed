"""New calls that waited too long, refused with 503 from their bytes alone (RFC 6357): no answer could come in time.

    INVITE that waited for TOO_LATE -> refuse -> 503, with the fields that a response repeats (RFC 3261 section 8.2.6.2)
    ACK of such a 503               -> is_ack -> dropped

With more calls than can be done, most of the work would be refusing: an INVITE and its ACK that are read, judged and
answered take an eighth of a whole call, and so a thirtieth. Only an INVITE in the usual form is refused so. Any other
is read: one within a dialog, a copy of a call that is under way, and one whose number might be for help. A number for
help, in whichever form it is written, ends with the last digits of the configured one, so a user part with these is
read, and so is one that has to be decoded first.

The defence has to see scanners, and a source without registered phones may be one: its first calls of each minute are
read, enough for any threshold of the defence, and one of several after these.

The answer goes to the source alone, which its allowance bounds. Nothing is kept: a copy that waited too long as well
has the same answer, and one that did not is taken for a call, as it is after a refusal that was read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from os import urandom
from random import randint
from typing import Final

from gateway.config.model import Side
from gateway.transport.flow import Flow

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_PHONES: Final = Side.PHONES

TOO_LATE: Final = 0.3
"""Seconds that a new call may have waited: its caller sends again after 0.5 s, and has to hear of it before."""
RETRY_AFTER: Final = (5, 15)
"""Seconds, at least and at most: callers that were refused together are not to come again together."""

FIRST_READ: Final = 20
"""Late calls of a minute that are read in any case, of a source without registered phones."""
ONE_READ_OF: Final = 8
"""After these, one of so many is read."""
_MINUTE: Final = 60.0
_MOST_SOURCES: Final = 1_000
"""Sources whose calls are counted: those of any more are read."""

_LONGEST: Final = 4096
"""Bytes of the head of a request that is refused unread."""
_LAST_DIGITS: Final = 3
_LAST_PORT: Final = 65_535
_USUAL: Final = re.compile(
    rb"INVITE sips?:([a-z0-9+._*-]{1,64})@[^\s;?]+(?:;[^\s?]*)? SIP/2\.0\r\n"
    rb"Via: ?SIP/2\.0/UDP ([0-9.]+)(?::([0-9]{1,5}))?(;[^\r\n,]*)\r\n",
    re.IGNORECASE,
)
_BRANCH: Final = re.compile(rb";branch=(z9hG4bK[^;\s\"]+)(?=;|$)")
_RPORT: Final = re.compile(rb";rport(?=;|$)")
_REPEATED: Final = re.compile(
    rb"\r\n(via|v|from|f|to|t|call-id|i|cseq)[ \t]*:([^\r\n]*)(?=\r\n)",
    re.IGNORECASE,
)
_NAMES: Final = {b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id"}
_WRITTEN: Final = ((b"From", b"from"), (b"To", b"to"), (b"Call-ID", b"call-id"), (b"CSeq", b"cseq"))
_NO_DIGIT: Final = re.compile(rb"[^0-9]")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CSEQ: Final = re.compile(rb"[ \t]*[0-9]{1,10}[ \t]+INVITE[ \t]*")


class UnreadRefusals:
    """Refuses new calls of phones unread. ``is_under_way`` tells of a branch, with host and port of its Via, whether
    the INVITE that it is of has been taken already."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.count = 0
        """Calls refused so far, copies among them."""
        self._seconds = seconds
        self._minute = 0.0
        self._strangers: dict[str, int] = {}
        """Late calls since the begin of this minute, of sources without registered phones."""
        self._key = urandom(16)
        self._mark = b"late" + urandom(8).hex().encode()
        self._ack = re.compile(
            rb"ACK (?:[^\r\n]*\r\n)+?(?:to|t)[ \t]*:[^\r\n]*;tag=%b[0-9a-f]{16}\r\n" % self._mark, re.IGNORECASE
        )
        self._phones: Mapping[str, int] = {}
        self._for_help: re.Pattern[bytes] = _ending(())
        self._is_under_way: Callable[[str, str, int | None], bool] = lambda branch, host, port: True

    def know(
        self,
        phones: Mapping[str, int],
        emergency_numbers: Iterable[str],
        is_under_way: Callable[[str, str, int | None], bool],
    ) -> None:
        """The number of registered phones by source, as it will be at each moment, the numbers of calls for help, and
        the calls that were taken: from now on instead of those before."""
        self._phones = phones
        self._for_help = _ending(emergency_numbers)
        self._is_under_way = is_under_way

    def refuse(self, data: bytes, flow: Flow) -> bool:
        """Whether the message is a new call that was refused; any other has to be read."""
        found = _USUAL.match(data, 0, _LONGEST) if flow.side is _PHONES else None
        if found is None or (not self._phones.get(flow.source) and self._is_looked_at(flow.source)):
            return False
        end = data.find(b"\r\n\r\n", found.end() - 2, _LONGEST)
        if end < 0 or self._for_help.search(_NO_DIGIT.sub(b"", found[1])) is not None:
            return False
        via, branch = _seen_from(found, flow), _BRANCH.search(found[4])
        if via is None or branch is None:
            return False
        port = None if found[3] is None else int(found[3])
        if self._is_under_way(branch[1].decode(), found[2].decode(), port):
            return False
        lines = self._repeated(data, end, via)
        if lines is None:
            return False
        self.count += 1
        seconds = str(randint(*RETRY_AFTER)).encode()
        flow.send(
            b"SIP/2.0 503 Service Unavailable\r\n%b\r\nRetry-After: %b\r\nContent-Length: 0\r\n\r\n" % (lines, seconds)
        )
        return True

    def is_ack(self, data: bytes, flow: Flow) -> bool:
        """Whether the message is the ACK of such a refusal."""
        if not data.startswith(b"ACK ") or flow.side is not _PHONES or flow.is_reliable:
            return False
        return self._ack.match(data, 0, _LONGEST) is not None

    def _is_looked_at(self, source: str) -> bool:
        """Whether the defence is to see this call of a source without registered phones."""
        now = self._seconds()
        if now - self._minute >= _MINUTE:
            self._minute = now
            self._strangers.clear()
        if len(self._strangers) >= _MOST_SOURCES and source not in self._strangers:
            return True
        seen = self._strangers[source] = self._strangers.get(source, 0) + 1
        return seen <= FIRST_READ or seen % ONE_READ_OF == 0

    def _repeated(self, data: bytes, end: int, via: bytes) -> bytes | None:
        """The lines of a response; None for a head in no usual form: a folded line, one that is no header, control
        characters, a field twice, a To tag, an address or CSeq that is none."""
        head = data[: end + 2]
        if b"\r\n " in head or b"\r\n\t" in head or _CONTROL.search(head.replace(b"\r\n", b"")) is not None:
            return None
        if not all(b":" in line for line in head.split(b"\r\n")[1:-1]):
            return None
        lines, once = [via], {}
        for name, value in _REPEATED.findall(head)[1:]:
            name = name.lower()
            name = _NAMES.get(name, name)
            if name == b"via":
                lines.append(b"Via:" + value)
            elif name in once:
                return None
            else:
                once[name] = value
        if len(once) != len(_WRITTEN) or b"tag" in once[b"to"].lower() or not _CSEQ.fullmatch(once[b"cseq"]):
            return None
        if b"sip" not in once[b"to"].lower() or b"sip" not in once[b"from"].lower():
            return None
        tag = blake2b(via + once[b"call-id"], digest_size=8, key=self._key).hexdigest().encode()
        once[b"to"] += b";tag=" + self._mark + tag
        lines += [name + b":" + once[key] for name, key in _WRITTEN]
        return b"\r\n".join(lines)


def _seen_from(found: re.Match[bytes], flow: Flow) -> bytes | None:
    """The top Via with the source that was seen (RFC 3261 section 18.2.1, RFC 3581 section 4); None where the answer
    goes to another port than it came from, where the sender has written a source itself, and where its branch may be
    another one than it looks."""
    parameters, low = found[4], found[4].lower()
    host, port = flow.remote.host.encode(), flow.remote.port
    is_plain = low.isascii() and b'"' not in low and low.count(b"branch") == 1
    if not is_plain or b"received" in low or int(found[3] or 0) > _LAST_PORT:
        return None
    if b"rport" in low and _RPORT.search(parameters) is None:
        return None
    if b"rport" in low:
        parameters = _RPORT.sub(b";rport=%d" % port, parameters, count=1) + b";received=" + host
    elif found[2] != host:
        parameters += b";received=" + host
    elif int(found[3] or flow.transport.default_port) != port:
        return None
    sent_by = found[2] if found[3] is None else found[2] + b":" + found[3]
    return b"Via: SIP/2.0/UDP " + sent_by + parameters


def _ending(numbers: Iterable[str]) -> re.Pattern[bytes]:
    """The look of digits that hold the last ones of any of these numbers; of every one where a number has none."""
    digits = {re.sub(r"[^0-9]", "", number)[-_LAST_DIGITS:] for number in numbers}
    return re.compile("|".join(sorted(digits)).encode() if digits else rb"(?!)")
