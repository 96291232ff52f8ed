"""How gatewayctl shows the state of a gateway to people: the sentence, all that needs a look, and how each part stands.

Here: text from the JSON of /api/v1/status. Not here: other answers (`text`). A key that is missing is a dash.
"""

from collections.abc import Iterator, Mapping, Sequence

from gateway.ctl.text import columns, fields, in_utc, rows

_MARKS = {"critical": "!!", "warning": "! ", "note": "- "}


def status(answer: object) -> str:
    """The state of the gateway."""
    if not isinstance(answer, Mapping):
        return str(answer)
    parts = [_head(answer), _looks(answer), _providers(answer), _domains(answer), _certificates(answer)]
    parts += [_defence(fields(answer.get("defence"))), _now(answer)]
    return "\n\n".join(part for part in parts if part)


def _head(answer: Mapping[str, object]) -> str:
    named = f"{answer.get('name') or 'gateway'} {answer.get('version') or '-'}"
    draining = "It drains and takes no new calls.\n" if answer.get("is_draining") else ""
    return f"{named}, up since {_moment(answer.get('up_since'))}\n{draining}{answer.get('sentence') or ''}".rstrip()


def _looks(answer: Mapping[str, object]) -> str:
    looks = rows(answer.get("needs_a_look"))
    if not looks:
        return "Nothing needs a look."
    lines = ["Needs a look"]
    for look in looks:
        lines.append(f"{_MARKS.get(str(look.get('harm')), '  ')} {look.get('fact')}")
        if look.get("remedy"):
            lines.append(f"     {look['remedy']}")
    return "\n".join(lines)


def _providers(answer: Mapping[str, object]) -> str:
    keys = ("provider", "state", "target", "since", "tls", "certificate", "why")
    return "Providers\n" + columns([*_targets(rows(answer.get("providers")))], keys)


def _targets(providers: Sequence[Mapping[str, object]]) -> Iterator[dict[str, object]]:
    for provider in providers:
        targets = rows(provider.get("targets"))
        if not targets:
            yield {"provider": provider.get("name"), "state": "not asked", "target": provider.get("uri")}
        for target in targets:
            days, is_up = target.get("certificate_days"), target.get("is_up")
            yield {
                "provider": provider.get("name"),
                "state": "not asked" if is_up is None else "up" if is_up else "down",
                "target": target.get("target"),
                "since": _moment(target.get("since")),
                "tls": target.get("tls"),
                "certificate": None if days is None else f"{days} days left",
                "why": target.get("why"),
            }


def _domains(answer: Mapping[str, object]) -> str:
    told = [
        {
            "domain": row.get("name"),
            "security": row.get("security"),
            "provider": row.get("provider"),
            "calls_24_h": row.get("answered"),
            "encrypted": _share(row.get("share_encrypted")),
            "in_clear": row.get("clear"),
            "refused": row.get("refused"),
        }
        for row in rows(answer.get("domains"))
    ]
    keys = ("domain", "security", "provider", "calls_24_h", "encrypted", "in_clear", "refused")
    return "Domains\n" + columns(told, keys)


def _certificates(answer: Mapping[str, object]) -> str:
    found = rows(answer.get("certificates"))
    return "Certificates\n" + columns(found, ("listener", "days_left", "warnings", "file")) if found else ""


def _defence(defence: Mapping[str, object]) -> str:
    """The mode of the defence, and its bans."""
    mode, moment = defence.get("mode"), _moment(defence.get("defends_from"))
    if mode == "off":
        return "Defence: off"
    if mode == "report":
        until = f" until {moment}, then it defends" if moment else ""
        return f"Defence: it only reports{until}; {_number(defence, 'would_be')} sources would be banned"
    if mode != "defend":
        return ""
    waiting = f"; waiting for approval: {defence['waiting']}" if defence.get("waiting") else ""
    return f"Defence: {_number(defence, 'bans')} sources are banned{waiting}"


def _now(answer: Mapping[str, object]) -> str:
    ports, relays = fields(answer.get("ports")), fields(answer.get("relays"))
    told = f"Now: {_number(answer, 'calls')} calls up, {_number(answer, 'phones')} phones registered"
    if ports:
        told += ", media ports: " + ", ".join(f"{number} {state}" for state, number in sorted(ports.items()))
    if relays:
        states = [f"{number} {state}" for state in ("up", "down") if (number := relays.get(state))]
        loops = [f"{number} with the {loop} loop" for loop, number in sorted(fields(relays.get("loops")).items())]
        told += ", media relays: " + ", ".join([*states, *loops])
    return told


def _share(share: object) -> str | None:
    """A share of 100 %, which is said of all calls and no fewer."""
    if not isinstance(share, int | float):
        return None
    return "100 %" if share >= 1 else f"{min(100 * share, 99.9):.1f} %"


def _moment(at: object) -> str | None:
    return in_utc(at) if isinstance(at, int | float) else None


def _number(answer: Mapping[str, object], key: str) -> object:
    found = answer.get(key)
    return "-" if found is None else found
