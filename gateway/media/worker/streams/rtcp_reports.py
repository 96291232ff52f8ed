"""Figures from one party's RTCP: its last sender reports, the reception that it reports, and its round trip.

The relay stands between the parties, so it sees each one's sender report go by and the other's answer to it come back:
that is the round trip between the relay and the answering party (RFC 3550 section 6.4.1).

    one party --sender report, stamp--> passed() --> the other party
    one party <------------------------ notice() <-- its report: last_report = stamp, and the delay until it was sent

Not here: RTCP on its way (rtcp_path), and loss and score of a direction (quality).
"""

from __future__ import annotations

from gateway.rtp.rtcp import DELAY_UNITS, ReportBlock, read_reports


class RtcpReports:
    """The reports of one party so far. Times in the loop clock's seconds."""

    __slots__ = ("block", "round_trip", "stamps")

    def __init__(self) -> None:
        self.stamps: tuple[tuple[int, float], ...] = ()
        """Its latest sender reports, and when they passed."""
        self.block: ReportBlock | None = None
        """Its latest report of the packets that it received."""
        self.round_trip: float | None = None
        """Seconds between the relay and the party."""

    def notice(self, packet: memoryview, now: float, other: RtcpReports) -> None:
        """Read the party's RTCP packet, in clear; `other` are the reports of the party that it hears."""
        reports = read_reports(packet)
        if reports.stamp is not None:
            self.stamps = (*self.stamps[-1:], (reports.stamp, now))
        for block in reports.blocks:
            self.block = block
            passed = other.passed(block.last_report)
            if passed is not None:
                self.round_trip = max(now - passed - block.delay / DELAY_UNITS, 0.0)

    def passed(self, stamp: int) -> float | None:
        """When its sender report with that stamp passed; None for a stamp that is not one of its latest."""
        return next((when for known, when in self.stamps if known == stamp), None)
