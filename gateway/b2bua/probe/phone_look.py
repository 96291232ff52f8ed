"""Phones looked at: their registration, the way to them, OPTIONS over it, and the memory of their TLS and SRTP.

    address of record -> bindings -> each: flow, OPTIONS, sightings -> encrypts | clear | unknown | unreachable

Many phones answer OPTIONS without a session description (RFC 3261 section 11.2 makes it optional), so SRTP is told by
memory alone: a phone was seen to answer with it, or not. Nothing rings.
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.b2bua.probe import requests
from gateway.b2bua.probe.around import Around
from gateway.b2bua.probe.found import PhoneFacts, SipFacts, told
from gateway.b2bua.probe.requests import Teller
from gateway.b2bua.probe.roads import FlowRoad
from gateway.b2bua.probe.target_look import sip_facts
from gateway.registrar.binding import Binding
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory, Sightings
from gateway.sip.errors import MalformedMessage
from gateway.state.devices.made_by import make_of

_SDES: Final = "TLS yes; SRTP yes, with keys in SDP"
_ABILITIES: Final = {
    "Yealink": f"{_SDES} (account.X.srtp_encryption); it verifies our certificate unless that is switched off",
    "Cisco": f"{_SDES}: SPA needs SRTP Method s-descriptor, MPP Secure Call; SPA takes no private authority of its own",
    "Linksys": "TLS yes, up to 1.2 with the last firmware; SRTP with SRTP Method s-descriptor; no private authority",
    "Sipura": "TLS seldom; its own kind of SRTP (x-sipura) is declined here",
    "Polycom": f"{_SDES} (sec.srtp.enable, sec.srtp.offer)",
    "snom": f"{_SDES} (user_srtp); user_savp says whether a peer without SRTP is refused",
    "Grandstream": f"{_SDES} (P183)",
    "Fanvil": f"{_SDES}",
    "Gigaset": "TLS and SRTP yes with N510 and later, no with older DECT bases",
    "Panasonic": "TLS and SRTP yes with the KX-HDV and KX-UT series",
    "Mitel": f"{_SDES} (sip lineN srtp mode)",
    "AVM": "TLS and SRTP toward a provider yes, toward phones behind it no",
    "AudioCodes": f"{_SDES}",
}
"""Makes as their documents say, for people: no verdict is made from it."""

ENCRYPTS, CLEAR, UNKNOWN, UNREACHABLE = "encrypts", "clear", "unknown", "unreachable"


async def look_at_phone(around: Around, address_of_record: str) -> tuple[PhoneFacts, ...]:
    """Each registration of an address of record, asked over its own way."""
    return tuple([await _asked(around, binding) for binding in around.store.find(address_of_record)])


def remembered_phone(around: Around, binding: Binding) -> PhoneFacts:
    """A registration by all that is known of it; nothing is sent."""
    is_reachable = around.store.is_reachable(binding)
    sightings = around.memory.seen(Peer(binding.aor))
    verdict, why = _verdict(binding, sightings, is_reachable)
    made = make_of(binding.user_agent)
    return PhoneFacts(
        told(binding.aor),
        told(made.make),
        told(made.model),
        told(made.firmware),
        told(binding.user_agent),
        told(binding.instance or ""),
        str(binding.flow.transport),
        str(binding.flow.remote),
        is_reachable,
        max(0, round(binding.expires_at - around.wall())),
        None,
        sightings.did_tls_at is not None,
        sightings.did_srtp_at is not None,
        sightings.does(Feature.SRTP) is False,
        _ABILITIES.get(made.make, "nothing is known of this make: try one call"),
        verdict,
        why,
    )


async def _asked(around: Around, binding: Binding) -> PhoneFacts:
    facts = remembered_phone(around, binding)
    flow = around.transport.flow(binding.flow)
    if flow is None or not flow.is_open:
        why = "the connection that it registered over has ended: it is out of reach until it registers again"
        return attrs.evolve(facts, is_reachable=False, verdict=UNREACHABLE, why=why)
    flow.allowance.fill()  # an operator gives cause to send to it
    road = FlowRoad(flow, around.transactions, around.clock)
    try:
        asking = requests.options(Teller(binding.domain), road.contact, around.new_token, binding.contact)
        heard = await road.ask(asking)
    except (MalformedMessage, ValueError):
        why = "its Contact names nothing that a request could be sent to"
        return attrs.evolve(facts, verdict=UNREACHABLE, why=why)
    answer: SipFacts = sip_facts(heard)
    if heard.response is not None:
        return attrs.evolve(facts, sip=answer)
    why = f"no answer to OPTIONS: {answer.why}"
    return attrs.evolve(facts, sip=answer, is_reachable=False, verdict=UNREACHABLE, why=why)


def leg_of(binding: Binding, memory: PeerMemory) -> tuple[str, str]:
    """How a phone's own leg is, be it reachable now or not: ENCRYPTS, CLEAR or UNKNOWN, and why."""
    return _leg(binding, memory.seen(Peer(binding.aor)))


def _verdict(binding: Binding, sightings: Sightings, is_reachable: bool) -> tuple[str, str]:
    if not is_reachable:
        return UNREACHABLE, "the connection that it registered over has ended"
    return _leg(binding, sightings)


def _leg(binding: Binding, sightings: Sightings) -> tuple[str, str]:
    if not binding.flow.transport.is_secure:
        over = binding.flow.transport.upper()
        return CLEAR, f"it registered over {over}: its own leg is in clear, and SRTP is not offered there"
    does_srtp = sightings.does(Feature.SRTP)
    if does_srtp is None:
        return UNKNOWN, "it registered over TLS, and was in no call yet that shows SRTP: try one call"
    if does_srtp:
        return ENCRYPTS, "it registered over TLS, and took SRTP in a call"
    return CLEAR, "it registered over TLS, and took no SRTP in its last call"
