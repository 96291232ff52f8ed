"""The ladder of a call as SVG: three lifelines, an arrow for each message, time downward.

Here: a pure function from the steps of a record to markup. Not here: the column of times and the heading, which are
text of the page, and the wire above (`wire`). Lifelines stand at percents of the width, so that the figure fits a
telephone and a wall without letters that grow or shrink; on a narrow page an arrow says its method or status alone.

A message that is the same as the last one of its leg, and went the same way, was sent again: it is thin. Where several
phones of one user rang, each message has the number of its phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import attrs
from markupsafe import Markup

from gateway.admin.pages.phrases import cut
from gateway.base.json_codec import Json

STEP: Final = 30
"""Pixels from one message to the next, which the style sheet knows as well."""
LIFELINES: Final = {"phone": 11, "gateway": 50, "provider": 89}
"""Percents of the width."""
LONGEST: Final = 34
"""Characters over an arrow."""

StepRow: TypeAlias = Mapping[str, Json]


@attrs.frozen
class LadderRung:
    """One message: when, between which two, and in which words."""

    after: float | None
    """Seconds after the first message."""
    left: str
    right: str
    is_rightward: bool
    what: str
    is_repeated: bool
    """Whether it was sent again."""
    fork: str = ""
    """The number of the phone, where several of one user ring."""

    @property
    def short(self) -> str:
        """The method, or the status alone."""
        first = self.what.split(" ", 1)[0][:9]
        return f"{self.fork}: {first}" if self.fork else first

    @property
    def over_arrow(self) -> str:
        """The message, after the number of its phone, as long as there is room for."""
        return cut(f"{self.fork}: {self.what}" if self.fork else self.what, LONGEST)

    @property
    def told(self) -> str:
        """The message in words."""
        source, target = (self.left, self.right) if self.is_rightward else (self.right, self.left)
        again = ", sent again" if self.is_repeated else ""
        return f"{source} to {target}: {self.what}{again}"


def rungs(steps: Sequence[StepRow], direction: str) -> list[LadderRung]:
    """The messages of a call; ``direction`` says on which side its caller is: phones left, the provider right."""
    first = next((float(at) for step in steps if isinstance(at := step.get("at"), int | float)), 0.0)
    caller_is_left = direction != "inbound"
    told: list[LadderRung] = []
    before: dict[tuple[str, str], tuple[str, str]] = {}
    for step in steps:
        leg, passage, what = (str(step.get(key, "")) for key in ("leg", "direction", "what"))
        is_left = (leg == "caller") == caller_is_left
        at, number = step.get("at"), step.get("fork")
        fork = str(number) if isinstance(number, int) and number else ""
        phone = f"phone {fork}".rstrip()
        told.append(
            LadderRung(
                float(at) - first if isinstance(at, int | float) else None,
                phone if is_left else "gateway",
                "gateway" if is_left else (phone if direction == "internal" else "provider"),
                is_left == (passage == "received"),
                what,
                before.get((leg, fork)) == (passage, what),
                fork,
            )
        )
        before[leg, fork] = passage, what
    return told


def drawn(steps: Sequence[LadderRung]) -> Markup:
    """All messages as one figure."""
    height = STEP * len(steps) + STEP // 2
    lines = [
        Markup('<line class="life" x1="{0}%" x2="{0}%" y1="0" y2="{1}"/>').format(percent, height)
        for percent in LIFELINES.values()
    ]
    arrows = [_arrow(rung, STEP * index + STEP - 8) for index, rung in enumerate(steps)]
    label = f"{len(steps)} messages between phone, gateway and provider; the table below has them as text"
    return Markup('<svg class="ladder" role="img" height="{}" aria-label="{}">{}{}</svg>').format(
        height, label, Markup("").join(lines), Markup("").join(arrows)
    )


def _arrow(rung: LadderRung, y: int) -> Markup:
    is_left = rung.right == "gateway"
    left = LIFELINES["phone" if is_left else "gateway"]
    right = LIFELINES["gateway" if is_left else "provider"]
    start, end = (left, right) if rung.is_rightward else (right, left)
    head = "M-8,-4 L0,0 L-8,4 Z" if rung.is_rightward else "M8,-4 L0,0 L8,4 Z"
    return Markup(
        '<g class="{}"><title>{}</title><line x1="{}%" x2="{}%" y1="{y}" y2="{y}"/>'
        '<svg class="head" x="{}%" y="{y}"><path d="{}"/></svg>'
        '<text class="wide" x="{mid}%" y="{up}">{}</text><text class="narrow" x="{mid}%" y="{up}">{}</text></g>'
    ).format(
        "rung again" if rung.is_repeated else "rung " + _kind(rung.what),
        rung.told,
        start,
        end,
        end,
        head,
        rung.over_arrow,
        rung.short,
        y=y,
        mid=(left + right) / 2,
        up=y - 6,
    )


def _kind(what: str) -> str:
    """A request, a response, or one that says no."""
    if not what[:1].isdigit():
        return "request"
    return "failure" if what[:1] in "456" else "response"
