"""The o= lines of the descriptions that one peer is given: one session, its version up with each change.

RFC 3264 section 8 wants a new description to have the o= line of the one before but for a version that is higher, or,
with the same version, the same content. A relay that took over, or one that shows the o= line of the far end, keeps
neither promise.
"""

import hashlib
import re
from typing import Final

import attrs

_ORIGIN: Final = re.compile(rb"^o=([^\r\n]*)", re.MULTILINE)


@attrs.define
class Versions:
    """The descriptions given to one peer so far."""

    _session: bytes = b""
    _version: int = 0
    _content: bytes = b""
    """A digest of the last description without session and version."""
    _last: bytes = attrs.field(default=b"", repr=False)

    @property
    def told(self) -> tuple[str, int]:
        """The session and version that the peer was told last; ("", 0) before the first description."""
        return self._session.decode("latin-1"), self._version

    @classmethod
    def after(cls, session: str, version: int) -> "Versions":
        """Those of a peer that was told this last, by a process that is gone: each description is a new version."""
        return cls(session.encode("latin-1"), version)

    def stamped(self, sdp: bytes) -> bytes:
        """The description as the peer is to see it; one without a usable o= line stays as it is."""
        found = _ORIGIN.search(sdp)
        fields = found[1].rsplit(maxsplit=5) if found is not None else []
        if found is None or len(fields) != 6:
            return sdp
        name, session, version, *address = fields
        bare = sdp[: found.start(1)] + b" ".join((name, *address)) + sdp[found.end(1) :]
        content = hashlib.sha256(bare).digest()
        if content == self._content:
            return self._last
        if self._session:
            self._version += 1
        else:
            self._session, self._version = session, _number(version)
        origin = b" ".join((name, self._session, b"%d" % self._version, *address))
        self._content = content
        self._last = sdp[: found.start(1)] + origin + sdp[found.end(1) :]
        return self._last


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 19 else 1
