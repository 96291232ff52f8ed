"""The API of one phone: each registration of it, its own leg, the order that it obeys, and its course in roll-outs.

    GET /api/v1/phones/101                 a user, an address of record, or a hardware address

A phone that is not registered is told of by its roll-out and its file alone. Nothing is sent to it: that is
POST /api/v1/resync (resync_routes.py), or a probe. Not here: finding it by its name (named_phones.py).
"""

from __future__ import annotations

from typing import cast

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.enablement.named_phones import NamedPhones, device_key
from gateway.admin.enablement.rollout_office import OfficeMeans
from gateway.admin.enablement.rollout_routes import RolloutPhoneAnswer, phone_answer
from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, Row
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Moment, read_query, said
from gateway.admin.v1.questions import Nothing
from gateway.admin.v1.resources import sent
from gateway.observe.clean_text import clean_json
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.roll_out import RollOut, RolloutPhone
from gateway.registrar.enablement.roll_out_list import RollOutList
from gateway.registrar.enablement.surroundings import RolloutSurroundings, ServedFile
from gateway.registrar.sightings import key_of
from gateway.security.policy.peer_memory import Peer


@attrs.frozen
class RegisteredPhoneAnswer:
    """One registration of a phone."""

    address_of_record: str
    contact: str
    device: str = said("Its device, as the inventory names it.")
    make: str = said("As its User-Agent says.")
    model: str = said("As its User-Agent says.")
    firmware: str = said("As its User-Agent says.")
    user_agent: str = said("Its own words.")
    transport: str = said("That it is called over.")
    source: str = said("The address that it is called at.")
    is_reachable: bool = said("Whether a way leads to it now.")
    expires_in: int = said("Seconds.")
    in_call: bool = said("Whether it has a call now, or one that rings.")
    leg: str = said("encrypts, clear, or unknown: TLS, and no call yet that shows SRTP.")
    why: str = said("The same in plain words.")
    abilities: str = said("Those of its make, as its documents say.")
    did_tls: bool = said("Whether it was ever seen over TLS.")
    did_srtp: bool = said("Whether a call of it ever had SRTP.")
    lacked_srtp: bool = said("Whether its last call had none.")
    is_led: bool = said("Whether a roll-out has led it to TLS for good.")
    order_make: str = said("Its make in the list of orders, or other.")
    order: str = said("The Event that has it fetch its file.")
    reboot_order: str = said("The Event that has it start again as well; empty: it knows none.")


@attrs.frozen
class PhoneCourseAnswer:
    """The course of a phone in its domain's latest roll-out."""

    rollout: int
    domain: str
    goal: str
    stage: str
    phone: RolloutPhoneAnswer


@attrs.frozen
class PhoneFileAnswer:
    """The file of a phone that this gateway serves."""

    device: str
    state: str = said("current, behind or never.")
    protection: str = said("The protection that it asks for: required, preferred, off.")
    generation: int = said("That is wanted.")
    fetched: int = said("That the phone fetched last; 0: none.")
    fetched_at: Moment | None = said("When; null: never.")
    proof: str = said("The proof that it gave then.")


@attrs.frozen
class OnePhoneAnswer:
    """All that is known of one phone."""

    name: str
    registrations: tuple[RegisteredPhoneAnswer, ...]
    rollouts: tuple[PhoneCourseAnswer, ...]
    files: tuple[PhoneFileAnswer, ...]


class OnePhoneRoutes:
    """The route."""

    def __init__(self, rollouts: RollOutList, around: RolloutSurroundings, means: OfficeMeans) -> None:
        self._rollouts = rollouts
        self._around = around
        self._outlooks = means.outlooks
        self._named = NamedPhones(around, means.rest)

    def routes(self) -> tuple[HttpRoute, ...]:
        """It alone."""
        path = f"{PREFIX}phones/{{name}}"
        return (HttpRoute("GET", path, self.one, Role.VIEWER, query=Nothing, schema=OnePhoneAnswer),)

    async def one(self, request: IRequest, name: str) -> bytes:
        """One phone: its registrations, what it can do, and what the latest roll-out and its file did with it."""
        read_query(Nothing, request, 0)
        bindings = await self._named.bindings(name)
        rows = await self._named.rows(name, bindings, self._rollouts)
        keys = dict.fromkeys([*(key_of(one) for one in bindings), *(one.key for _, one in rows)])
        served = ((key, self._around.files.file_of(key)) for key in keys or [device_key(name)])
        files = [_file(key, file) for key, file in served if file is not None]
        if not bindings and not rows and not files:
            raise Rejected(404, f"No phone {name[:80]} is registered, in a roll-out, or has a file here.")
        registered = tuple(map(self._registered, bindings))
        answer = OnePhoneAnswer(name[:80], registered, tuple(_course(*row) for row in rows), tuple(files))
        return sent(request, cast(Row, clean_json(attrs.asdict(answer))))

    def _registered(self, binding: Binding) -> RegisteredPhoneAnswer:
        facts, make = self._outlooks.phone(binding), self._around.makes.of(binding.user_agent)
        leg, why = self._outlooks.leg(binding)
        calls = self._around.in_calls()
        return RegisteredPhoneAnswer(
            binding.aor,
            binding.contact,
            key_of(binding),
            facts.make,
            facts.model,
            facts.firmware,
            facts.user_agent,
            facts.transport,
            facts.source,
            facts.is_reachable,
            facts.expires_in,
            binding.flow.remote in calls or binding.came_over.remote in calls,
            leg,
            why,
            facts.abilities,
            facts.did_tls,
            facts.did_srtp,
            facts.lacked_srtp,
            self._around.memory.is_led(Peer(binding.aor)),
            make.name,
            make.resync.event,
            "" if make.reboot is None else make.reboot.event,
        )


def _course(rollout: RollOut, phone: RolloutPhone) -> PhoneCourseAnswer:
    return PhoneCourseAnswer(rollout.number, rollout.domain, str(rollout.goal), str(rollout.stage), phone_answer(phone))


def _file(device: str, file: ServedFile) -> PhoneFileAnswer:
    at = Moment(file.fetched_at) if file.fetched_at else None
    return PhoneFileAnswer(device, file.state, file.protection, file.generation, file.fetched, at, file.proof)
