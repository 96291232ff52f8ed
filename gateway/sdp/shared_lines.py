"""Lines of a description that many calls share, and may be remembered; those of one call never are.

Phones of a kind write the same codecs below their m-lines, so that reading those once is enough. Keys, credentials
and addresses belong to one call: lines are looked at here before they are remembered, be it as the key of a table. Not
here: reading lines (description), or rewriting them (gateway/media/worker/usual.py).
"""

import re
from typing import Final

LONGEST_KNOWN: Final = 2_048
"""Characters of the lines below an m-line that are remembered, once read."""

_SIGNS: Final = (
    "key",  # a=key-mgmt (RFC 4567), and makes of keys that are not known here
    "crypt",  # a=crypto (RFC 4568), a=encryption
    "inline",  # a key in any other attribute
    "ice-",  # a=ice-ufrag, a=ice-pwd (RFC 8839)
    "finger",  # a=fingerprint (RFC 8122)
    "candidate",  # addresses of one host (RFC 8839)
    "rtcp:",  # a port (RFC 3605)
    "ssrc",  # a stream's number, and a name of its sender (RFC 5576)
    "msid",  # names that browsers make anew (RFC 8830)
    "path:",  # an address of MSRP (RFC 4975)
    "acap",  # an attribute that is offered, with a key perhaps (RFC 5939)
    "^[cki]=",  # an address, a key, words
)
"""Of lines that hold keys, or that no other call has: in small letters."""
_OF_ONE_CALL: Final = re.compile("|".join(_SIGNS), re.MULTILINE)


class OfOneCall(Exception):
    """These lines are not to be remembered. A table that has results of functions alone keeps nothing of them then."""


def check_shared(lines: str) -> None:
    """Raise OfOneCall for lines, ended by LF, that may hold keys, or are such as no other call has."""
    is_plain = lines.isascii() and lines.replace("\n", "").isprintable()
    if not is_plain or _OF_ONE_CALL.search(lines.lower()) is not None:
        raise OfOneCall
