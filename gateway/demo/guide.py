"""What a newcomer is told while the demonstration stays up: what listens where, and what to try.

What lives here: the words. What does not: the report of the call (`report`).
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.model import Configuration
from gateway.demo.roles import EXTENSION, PASSWORDS
from gateway.demo.scene import Scene
from gateway.transport.flow import Address

_WIDTH = 28


def guide(scene: Scene, call_id: str) -> str:
    """Everything, as it is printed after the call."""
    return "\n".join(["What listens where", *_places(scene), "", "What to try", *_ideas(scene, call_id)])


def _places(scene: Scene) -> Iterator[str]:
    yield from (_place(where, what) for where, what in _gateway_places(scene.configuration))
    yield _place(f"{scene.provider}/tls", f"the demonstration provider, registrar of {scene.domain.name}")
    yield _place(f"{scene.phone}/udp", f"the demonstration phone, {scene.account.aor}")
    yield f"  The output of each process is in {scene.logs}."


def _gateway_places(configuration: Configuration) -> Iterator[tuple[str, str]]:
    for listener in configuration.listeners:
        where = f"{Address(listener.address, listener.port)}/{listener.transport}"
        yield where, f"the gateway's listener {listener.name!r} (side: {listener.side})"
    media = configuration.media
    yield f"{media.address}:{media.ports}/udp", "the gateway's audio relay"
    yield f"{Address(configuration.admin.address, configuration.admin.port)}/http", "the gateway's administration"


def _place(where: str, what: str) -> str:
    return f"  {where:<{_WIDTH}} {what}"


def _ideas(scene: Scene, call_id: str) -> Iterator[str]:
    user, password = "bob", PASSWORDS["bob"]
    yield f"  * Point a softphone on this machine at {scene.phones} (UDP, no SRTP) as user {user}, password"
    yield f"    {password}, domain {scene.domain.name}, and dial {EXTENSION}: you hear a tone and yourself."
    yield f"  * Open {scene.admin}/ for the calls and {scene.admin}/metrics for what is counted."
    yield f"  * .venv/bin/gatewayctl call {call_id} --url {scene.admin}"
    yield "  * Let the provider call each phone that registers: .venv/bin/python -m gateway.demo --call-back-after 10"
    yield f"  * Watch the provider's side: tcpdump -i lo -n host {scene.provider.host}"
