"""A PBX's calls over TLS after the process was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.transport.flow import PeerIdentity
from tests.routing.pbx.test_pbx_calls import SECURE, inward, outward
from tests.support.ladder import PHONES_TLS, SAVP, Ladder


@pytest.mark.parametrize("is_caller", [True, False])
def test_over_tls_a_new_connection_leads_to_it_after_the_process_was_killed(tmp_path: Path, is_caller: bool) -> None:
    """The connection ended with the process. A phone has to come back by itself; to a PBX one is opened."""
    ladder = Ladder(phones=(SECURE,), region="DE", journal=tmp_path)
    pbx = ladder.place("192.0.2.60", PHONES_TLS, 7 if is_caller else 0)
    pbx.flow.identity = PeerIdentity(addresses=("192.0.2.60",), trust="system")
    asker, answerer = (pbx, ladder.provider) if is_caller else (ladder.provider, pbx)
    invite = outward(pbx, "+49301234510") if is_caller else inward(ladder)
    asker.sends(invite)
    taken = answerer.receives_request("INVITE")
    answerer.answers(taken, 200, sdp=SAVP)
    asker.receives(100)
    response = asker.receives_response(200)
    asker.acknowledges(invite, response)
    answerer.receives("ACK")
    after = ladder.killed(listeners=(PHONES_TLS,))
    pbx.flow.open = False
    again = after.place("192.0.2.60", PHONES_TLS, 0)
    provider = after.provider
    bye = provider.within_answered(taken, "BYE", cseq=7) if is_caller else provider.within(response, "BYE", cseq=7)
    provider.sends(bye)

    again.receives("BYE")
