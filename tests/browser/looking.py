"""Looks at a page that is open: rules of accessibility, its width, words that broke; and presses a button."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.browser.stage import Stage

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOK = """
const done = arguments[1];
const only = arguments[0].length ? {type: "rule", values: arguments[0]} : RULES;
const wanted = {runOnly: only, resultTypes: ["violations"], iframes: false};
axe.run(document, wanted).then((found) => done(found.violations.map(
  (one) => one.id + ": " + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | "))));
""".replace("RULES", json.dumps(RULES))
WIDER = """
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
return wide <= 0 ? [] : [...document.querySelectorAll("main *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).slice(0, 4)
  .map((one) => one.outerHTML.slice(0, 120));
"""
PRESS = """
const found = [...document.querySelectorAll("button")].find(
  (one) => one.offsetParent !== null && one.textContent.trim() === arguments[0]);
if (found) found.click();
return Boolean(found);
"""
SPILT = """
return [...document.querySelectorAll("main td, main dd, main li, main button")]
  .filter((one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1)
  .filter((one) => !one.querySelector(".unseen, pre"))
  .slice(0, 4).map((one) => one.outerHTML.slice(0, 160));
"""
BROKEN = """
const odd = [];
const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  for (const found of node.data.matchAll(/[\\p{L}\\p{N}]{2,}/gu)) {
    const range = document.createRange();
    range.setStart(node, found.index);
    range.setEnd(node, found.index + found[0].length);
    if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) odd.push(found[0]);
  }
}
return odd;
"""


def axe_faults(stage: Stage, *rules: str) -> list[str]:
    """The rules of WCAG 2.2 AA that the page breaks, as axe-core judges, and where: of all, or of these alone."""
    stage.browser.execute_script(AXE)
    return _texts(stage.browser.execute_async_script(LOOK, [*rules]))


def wider_than_window(stage: Stage) -> list[str]:
    """Elements that stand out to the right, where the page is wider than its window."""
    return _texts(stage.browser.execute_script(WIDER))


def spilt(stage: Stage) -> list[str]:
    """Cells and lines of lists over whose edge their text goes, onto that of the next."""
    return _texts(stage.browser.execute_script(SPILT))


def broken_words(stage: Stage) -> list[str]:
    """Words that go on in the next line."""
    return _texts(stage.browser.execute_script(BROKEN))


def _texts(found: Any) -> list[str]:
    return [str(one) for one in found]


def press(stage: Stage, words: str) -> None:
    """Press the first button that is shown and says this: in one go, for a live page may change meanwhile."""
    assert stage.browser.execute_script(PRESS, words), f"no button says {words!r}"
