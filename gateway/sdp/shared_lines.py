"""Lines of a description that many calls share, and may be remembered; those of one call never are.

Phones of a kind write the same codecs below their m-lines, so that reading those once is enough. Keys, credentials
and addresses belong to one call: lines are looked at here before they are remembered, be it as the key of a table. Not
here: reading lines (description), or rewriting them (gateway/media/worker/usual.py).
"""

import re
from typing import Final

LONGEST_KNOWN: Final = 2_048
"""Characters of the lines below an m-line that are remembered, once read."""

_OF_ONE_CALL: Final = re.compile("key|crypt|inline|ice-|finger|candidate|rtcp:|ssrc|msid|path:|^[cki]=", re.MULTILINE)
"""The sign, in small letters, of lines that hold keys, or that no other call has."""


class OfOneCall(Exception):
    """These lines are not to be remembered. A table that has results of functions alone keeps nothing of them then."""


def check_shared(lines: str) -> None:
    """Raise OfOneCall for lines, ended by LF, that may hold keys, or are such as no other call has."""
    is_plain = lines.isascii() and lines.replace("\n", "").isprintable()
    if not is_plain or _OF_ONE_CALL.search(lines.lower()) is not None:
        raise OfOneCall
