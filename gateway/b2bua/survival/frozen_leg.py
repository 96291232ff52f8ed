"""A leg as it is kept: all that the next process needs to speak with its peer, as values of JSON, and no key.

    leg -> frozen_leg() -> journal -> (restart) -> FrozenLeg -> thawed_leg (kept_legs)

The descriptions of a leg in clear are kept. Those of an encrypted one are not: keys (RFC 4568) are the relay's alone to
remember, and without its keys a description would be taken for one in clear. CSeq numbers of ours are raised by
CSEQ_GAP in the next process: the last request may have left a moment before this one died, and after it was frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.b2bua.legs.leg import Leg
from gateway.config.model import Side
from gateway.dialog.dialog import Dialog
from gateway.dialog.session_refresh import KeptSession
from gateway.dialog.session_timer import Agreement, Preferences
from gateway.media.relay import Encryption, PhonesWish, SdpWish
from gateway.registrar.binding import Binding
from gateway.sdp.crypto import without_keys
from gateway.sdp.settlement import Settlement
from gateway.state.call_record import LegName
from gateway.transport.flow import FlowKey
from gateway.transport.way import Strength

CSEQ_GAP: Final = 20
"""By which CSeq numbers of ours go up at a restart (RFC 3261 section 12.2.1.1 wants them higher, not in a row)."""

Json = Mapping[str, Any]


def frozen_leg(leg: Leg, now: float) -> dict[str, object]:
    """A leg that has a dialog; `now` is the time of the journal. ValueError for one without."""
    dialog, spec, media = leg.dialog, leg.spec, leg.media
    if dialog is None:
        raise ValueError("a leg without a dialog")
    preferences, takes_update, agreed = leg.session.kept
    way = leg.way
    in_force = media.in_force if media.encrypted is False else None
    return {
        "name": spec.name,
        "user": spec.user,
        "fork": spec.fork,
        "wish": _frozen_wish(media.wish),
        "way": frozen_way(leg),
        "strength": [int(way.proved), int(way.weakest)],
        "dialog": _frozen_dialog(dialog),
        "session": [
            preferences.interval,
            preferences.smallest,
            takes_update,
            None if agreed is None else [agreed[0].interval, agreed[0].we_refresh, now - agreed[1]],
        ],
        "encrypted": media.encrypted,
        "in_force": None if in_force is None else [_text(in_force.ours), _text(in_force.theirs), in_force.we_offered],
    }


class FrozenWay(NamedTuple):
    """The way of a leg as it was read; raises as FrozenLeg."""

    side: Side
    key: FlowKey
    meant: str | None
    """The name of the peer that the flow was opened for; None where the peer has opened it."""
    proved: Strength
    weakest: Strength
    phone: Binding | None

    @classmethod
    def of(cls, kept: Any, strength: Sequence[int] = (Strength.CLEAR, Strength.CLEAR)) -> FrozenWay:
        """The way that was frozen; for a last message its `strength` says nothing."""
        side, key, meant, phone = kept
        binding = None if phone is None else _thawed_binding(phone)
        proved, weakest = map(Strength, strength)
        return cls(Side(side), FlowKey.parse(key), meant, proved, weakest, binding)


def frozen_way(leg: Leg) -> list[object]:
    """The way of a leg."""
    flow, phone = leg.way.flow, leg.way.phone
    return [leg.spec.side, str(flow.key), flow.name, None if phone is None else _frozen_binding(phone)]


def _frozen_dialog(dialog: Dialog) -> list[object]:
    """A dialog."""
    return [
        dialog.call_id,
        dialog.local,
        dialog.remote,
        dialog.remote_target,
        dialog.route_set,
        dialog.local_cseq,
        dialog.remote_cseq,
        dialog.is_initiator,
    ]


class FrozenLeg(NamedTuple):
    """A leg as it was read. KeyError, ValueError, TypeError or MalformedMessage for one that cannot be."""

    name: LegName
    side: Side
    user: str
    fork: int
    wish: SdpWish
    way: FrozenWay
    dialog: Dialog
    session: KeptSession
    encrypted: bool | None
    in_force: Settlement | None
    """Of a leg in clear alone."""

    @classmethod
    def of(cls, kept: Json, now: float) -> FrozenLeg:
        """The leg that was frozen."""
        way = FrozenWay.of(kept["way"], kept["strength"])
        in_force = kept["in_force"]
        return cls(
            LegName(kept["name"]),
            way.side,
            str(kept["user"]),
            int(kept["fork"]),
            _thawed_wish(kept["wish"]),
            way,
            _thawed_dialog(kept["dialog"]),
            _thawed_session(kept["session"], now),
            kept["encrypted"],
            None if in_force is None else Settlement(_bytes(in_force[0]), _bytes(in_force[1]), bool(in_force[2])),
        )


def _frozen_binding(phone: Binding) -> list[object]:
    """The part of a binding that names its phone."""
    return [phone.aor, phone.contact, str(phone.flow), phone.instance, phone.token, phone.service_route]


def _thawed_binding(kept: Any) -> Binding:
    """A binding that names the phone; it holds for as long as the call does, and is in no store."""
    aor, contact, flow, instance, token, service_route = kept
    return Binding(
        aor=aor,
        contact=contact,
        flow=FlowKey.parse(flow),
        expires_at=0.0,
        call_id="",
        cseq=0,
        q=1.0,
        instance=instance,
        user_agent="",
        token=token,
        provider_expires_at=0.0,
        service_route=service_route,
    )


def _thawed_dialog(kept: Any) -> Dialog:
    """A dialog that is confirmed, with the gap in its CSeq."""
    call_id, local, remote, target, route_set, local_cseq, remote_cseq, is_initiator = kept
    cseq = int(local_cseq) + CSEQ_GAP, None if remote_cseq is None else int(remote_cseq)
    names = str(call_id), str(local), str(remote)
    return Dialog.between(names, str(target), map(str, route_set), cseq, is_initiator=bool(is_initiator))


def _thawed_session(kept: Any, now: float) -> KeptSession:
    interval, smallest, takes_update, agreed = kept
    preferences = Preferences(int(interval), int(smallest))
    if agreed is None:
        return KeptSession(preferences, bool(takes_update), None)
    seconds, we_refresh, at = agreed
    return KeptSession(preferences, bool(takes_update), (Agreement(int(seconds), bool(we_refresh)), max(now - at, 0.0)))


def _frozen_wish(wish: SdpWish) -> list[object]:
    more = [True] if wish.is_between_phones else []
    return [wish.side, wish.encryption, wish.suites, wish.takes_clear, wish.is_urgent, wish.fork, *more]


def _thawed_wish(kept: Any) -> SdpWish:
    side, encryption, suites, takes_clear, is_urgent, fork, *is_between_phones = kept
    names = tuple(map(str, suites))
    form = PhonesWish if is_between_phones else SdpWish
    return form(Side(side), Encryption(encryption), names, bool(takes_clear), bool(is_urgent), int(fork))


def _text(sdp: bytes) -> str:
    return without_keys(sdp).decode("latin-1")


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")
