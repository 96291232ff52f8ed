"""`gatewayctl number`: the way of one number through the rules of a configuration, step by step.

It asks no gateway: rules are tried here before a reload takes them into use. Not here: the rules
(gateway/config/tables/numbers).
"""

from __future__ import annotations

from pathlib import Path

import click

from gateway.config.model import Configuration, Domain
from gateway.config.tables.numbers.number_plan import NumberPlan, NumberStep
from gateway.config.tables.numbers.number_table import NumberDirection, NumberField
from gateway.ctl import text
from gateway.ctl.asking import loaded, show
from gateway.ctl.common_options import as_json_option

_ALL: tuple[NumberField, ...] = tuple(NumberField)


@click.command()
@click.argument("dialled", metavar="NUMBER")
@click.option("--domain", help="The domain of the phones; it may be left out where there is one.")
@click.option(
    "--direction",
    type=click.Choice([str(one) for one in NumberDirection]),
    default=str(NumberDirection.OUT),
    show_default=True,
    help="Toward the provider, or in to the phones.",
)
@click.option("--config", type=click.Path(path_type=Path), envvar="GATEWAY_CONFIG", help="The configuration file.")
@as_json_option
def number(dialled: str, domain: str | None, direction: str, config: Path | None, as_json: bool) -> None:
    """The way of NUMBER through [[number]] and dial of a configuration file, step by step.

    No gateway is asked, so that rules can be tried before they are in force.
    """
    if config is None:
        raise click.UsageError("--config FILE is needed")
    configuration = loaded(config)
    show(_way(configuration, _named(configuration, domain), dialled, NumberDirection(direction)), as_json, _told)


def _named(configuration: Configuration, name: str | None) -> Domain:
    """The domain that is meant. Raises UsageError."""
    found = [one for one in configuration.domains if name is None or one.name == name.lower().rstrip(".")]
    if len(found) != 1:
        names = ", ".join(one.name for one in configuration.domains)
        raise click.UsageError(f"--domain is needed, one of: {text.clean_lines(names)}")
    return found[0]


def _way(configuration: Configuration, domain: Domain, dialled: str, direction: NumberDirection) -> dict[str, object]:
    plan = NumberPlan.of(configuration, domain)
    steps = {field: () if plan is None else plan.steps(dialled, field, direction) for field in _ALL}
    sent = _last(dialled, steps[NumberField.REQUEST_URI])
    read, is_out = domain.number(sent), direction is NumberDirection.OUT
    return {
        "number": dialled,
        "domain": domain.name,
        "provider": domain.provider,
        "direction": str(direction),
        "emergency": is_out and domain.is_emergency(sent),
        "fields": [
            {
                "field": str(field),
                "sent": _last(dialled, found),
                "steps": [{"by": step.by, "number": step.number} for step in found],
            }
            for field, found in steps.items()
        ],
        "read": read.text,
        "classes": sorted(map(str, read.classes)),
    }


def _last(dialled: str, steps: tuple[NumberStep, ...]) -> str:
    return steps[-1].number if steps else dialled


def _told(answer: object) -> str:
    told = text.fields(answer)
    way = "from the phones of {domain} to provider {provider}"
    if told.get("direction") == NumberDirection.IN:
        way = "from provider {provider} to the phones of {domain}"
    lines = [f"{told.get('number')} {way.format(domain=told.get('domain'), provider=told.get('provider'))}"]
    for field in text.rows(told.get("fields")):
        lines.append(f"  {field['field']}: {field['sent']}")
        lines += [f"    {step['number']}  by {step['by']}" for step in text.rows(field.get("steps"))]
    classes = told.get("classes")
    shown = ", ".join(map(str, classes)) if isinstance(classes, list) and classes else "none"
    lines.append(f"read as {told.get('read')}; classes of destinations: {shown}")
    if told.get("emergency"):
        lines.append("an emergency number: it is called in any case, and counts against no limit")
    return "\n".join(lines)
