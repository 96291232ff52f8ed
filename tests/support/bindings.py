"""A binding with every field filled in, for tests about bindings."""

from typing import Any

import attrs

from gateway.registrar.binding import Binding
from gateway.transport.flow import Address, FlowKey, Transport

NOW = 1_700_000_000.0

_ALICE = Binding(
    aor="sip:alice@example.com",
    contact="sip:alice@192.0.2.7:5060",
    flow=FlowKey("phones", Transport.UDP, Address("192.0.2.7", 5060)),
    expires_at=NOW + 60,
    call_id="registration-1",
    cseq=1,
    q=1.0,
    instance=None,
    user_agent="Phone/1.0",
    token="alice-00000001",
    provider_expires_at=NOW + 3600,
    provider_interval=3600,
)


def binding(**changes: Any) -> Binding:
    """Alice's binding with those fields changed."""
    return attrs.evolve(_ALICE, **changes)
