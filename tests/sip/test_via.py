"""The source that a server notes in a Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

import pytest

from gateway.sip.via import Via


@pytest.mark.parametrize("asked", ["", ";rport", ";x;rport", ";rport;x"])
def test_rfc3581_4_a_noted_source_has_rport_only_where_it_was_asked_for(asked: str) -> None:
    line = f"Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1{asked}"
    noted, via = Via.parse(line, 4).with_source(line, "192.0.2.9", 40001)
    assert noted.removeprefix("Via: ") == str(via)
    assert (via.branch, via.received, via.has_rport) == ("z9hG4bK1", "192.0.2.9", bool(asked))
    assert via.rport == (40001 if asked else None)
    assert Via.parse(noted, 4).has_rport is via.has_rport
