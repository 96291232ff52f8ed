"""The two forms of lists of addresses: a line each, and the batches of apiban.org. Pure.

    b"192.0.2.1\\n198.51.100.0/24 ; a network\\n" -> texts()      {"ipaddress": [...], "ID": "1539"} -> Batch.of()

Whether a text is an address is the reader's question (base/address_ranges.py): lists lie, and a server's error page is
text as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Final

import attrs

from gateway.base.json_codec import decode
from gateway.observe.clean_text import clean

LONGEST_LINE: Final = 200
"""Bytes of a line that are looked at."""
MOST_OF_A_BATCH: Final = 5_000
NO_MORE: Final = "none"
"""The ID of a batch after which none follows."""
_NOTHING_NEW: Final = "no new bans"


class NoList(Exception):
    """There is no list, or it is none; str() is one line that says why."""


def texts(data: bytes) -> Iterator[str]:
    """The first word of each line; remarks behind # or ; and empty lines are left out."""
    for line in BytesIO(data):
        words = line[:LONGEST_LINE].decode("latin-1").partition("#")[0].partition(";")[0].split()
        if words:
            yield words[0]


@attrs.frozen
class Batch:
    """A part of a list."""

    addresses: tuple[str, ...]
    following: str
    """The ID to ask for the next one with; empty: this is the last."""

    @classmethod
    def of(cls, data: bytes) -> Batch:
        """The batch of an answer. Raises NoList for a refusal, and for anything else that is no batch."""
        try:
            answer = decode(data)
        except (ValueError, RecursionError):
            raise NoList("the answer is no JSON") from None
        found, following = (answer.get("ipaddress"), answer.get("ID")) if isinstance(answer, dict) else (None, None)
        if (
            not isinstance(found, list)
            or len(found) > MOST_OF_A_BATCH
            or not all(isinstance(one, str) for one in found)
        ):
            raise NoList("the answer holds no addresses")
        addresses = tuple(str(one) for one in found)
        if len(addresses) == 1 and " " in addresses[0].strip():  # words in the place of an address: a refusal
            if addresses[0].strip().lower() != _NOTHING_NEW:
                raise NoList(f"the server says: {clean(addresses[0])[:100]}")
            return cls((), "")
        name = str(following or "")
        return cls(addresses, name if name.isalnum() and name != NO_MORE else "")
