"""The table [defence]: how attacks are judged, and which sources are never turned away (docs/defence.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import collapse_addresses
from typing import Annotated, Final

import attrs

from gateway.config import fields
from gateway.config.fields import Network
from gateway.config.structuring import Mistake, Unacceptable, known, number, one_of

_SET = re.compile(r"(?:inet|ip|ip6) [A-Za-z_][\w.-]{0,62} [A-Za-z_][\w.-]{0,62}")
_SCANNER = re.compile(r"[ -~]{4,60}")

NFT_SETS: Final = ("inet gateway banned4", "inet gateway banned6")


def nft_set(value: object) -> str:
    """The family, table and name of a set of nftables. Raises Unacceptable."""
    if not isinstance(value, str) or not _SET.fullmatch(value):
        raise Unacceptable(value, "family, table and name of a set, such as inet gateway banned4")
    return value


def scanner(value: object) -> str:
    """A part of a scanner's User-Agent. Raises Unacceptable: a shorter one would be in the names of good phones."""
    if not isinstance(value, str) or not _SCANNER.fullmatch(value):
        raise Unacceptable(value, "a part of a User-Agent, 4 to 60 characters")
    return value.casefold()


@attrs.frozen
class DefenceTerms:
    """[defence]: the judgement of sources, and its consequences."""

    mode: Annotated[str, one_of("report", "defend", "off")] | None = None
    """None: report for a week since the gateway first ran with the defence, then defend."""
    never_ban: tuple[Annotated[Network, fields.network], ...] = ()
    """Sources that nothing is held against, beside providers, loopback and this machine."""
    ban_minutes: Annotated[int, number(1, 1440)] = 10
    """The first ban of a source; each further one within a week is four times as long."""
    ban_most_days: Annotated[int, number(1, 365)] = 7
    ban_by: Annotated[str, one_of("process", "nftables")] = "process"
    nft_sets: tuple[Annotated[str, nft_set], ...] = NFT_SETS
    """The sets for IPv4 and IPv6 sources."""
    scanners: tuple[Annotated[str, scanner], ...] = ()
    """Parts of User-Agents beside the built-in ones, in lower case."""
    throttle_at: Annotated[int, number(1, 10_000)] = 20
    """Points at which a source is slowed."""
    ban_at: Annotated[int, number(2, 10_000)] = 50
    """Points at which it is banned."""
    known_days: Annotated[int, number(1, 365)] = 30
    """A source is known for so long after a registration from there was granted."""
    sources: Annotated[int, number(1_000, 1_000_000)] = 100_000
    """Sources with points that are remembered; beyond, new ones are not judged."""


def defence_mistakes(terms: DefenceTerms | None) -> Iterator[Mistake]:
    """The mistakes of the table; None for one that cannot be read at all."""
    if terms is None:
        return
    never = known(terms, "never_ban") or ()
    for version in (4, 6):
        if any(not one.prefixlen for one in collapse_addresses(one for one in never if one.version == version)):
            yield Mistake("defence.never_ban", f"covers all of IPv{version}: nobody could be banned")
    throttle_at, ban_at = known(terms, "throttle_at"), known(terms, "ban_at")
    if throttle_at is not None and ban_at is not None and throttle_at >= ban_at:
        yield Mistake("defence.throttle_at", f"found {throttle_at}, allowed: less than ban_at ({ban_at})")
    if (sets := known(terms, "nft_sets")) is not None and len(sets) != len(NFT_SETS):
        yield Mistake("defence.nft_sets", f"found {len(sets)}, allowed: two, for IPv4 and for IPv6")
