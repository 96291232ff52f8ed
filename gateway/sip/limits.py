"""How much of anything one message may have before it counts as an attack (RFC 3261 sets no limits of its own)."""

from __future__ import annotations

import attrs


@attrs.frozen
class Limits:
    """Ceilings for one message: sizes in bytes, the rest in pieces."""

    message: int = 65_536
    head: int = 32_768
    line: int = 8_192
    headers: int = 256
    vias: int = 100


LIMITS = Limits()
