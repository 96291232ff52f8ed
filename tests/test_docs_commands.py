"""The pages of docs/: each command is run, or its parts are looked at; gatewayctl check takes each configuration."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.base.media_ports import PortRange
from gateway.config.capacity import calls_carried
from gateway.config.model import Media
from gateway.ctl.check import findings
from gateway.demo.lan import as_toml
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import find_program
from tests.support.docs.files import make_named_files
from tests.support.docs.machine import Machine, first_configuration
from tests.support.docs.pages import DOCS, PAGES, ROOT, Block, blocks, shows, text_of
from tests.support.docs.parts import commands, wrong_parts

BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [block for block in BLOCKS if block.language == "sh" and not block.why_not_run]
NOT_RUN = [block for block in BLOCKS if block.why_not_run]


def of_language(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def test_every_block_of_every_page_is_tried_by_something_here() -> None:
    counted = Counter(block.language for block in BLOCKS)
    assert counted["sh"] == len(RUN) + len(NOT_RUN)
    assert counted == {"sh": 80, "toml": 28, "xml": 12, "ini": 4, "nft": 1}
    assert len(RUN) == 41
    fences = sum(text_of(page).count("\n```") for page in PAGES)
    assert fences == 2 * (len(BLOCKS) + sum(block.output is not None for block in BLOCKS))
    assert {page for page in PAGES if not blocks(page)} == set()
    for page in PAGES:
        assert not re.search(r"^    \S+ctl |^\t", text_of(page), re.M), f"{page}: a command that is in no block"


def test_the_index_leads_to_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    named = set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert named == {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    places = [index.index(f"({page}.md)") for page in PAGES]
    assert places == sorted(places)


@pytest.mark.parametrize("page", dict.fromkeys(block.page for block in RUN))
def test_the_commands_of_a_page_do_their_work(page: str, machine: Machine) -> None:
    for block in RUN:
        if block.page == page:
            told = machine.run(block)
            assert block.output is None or shows(block.output, told), f"{block}: not as shown\n{told}"


@pytest.mark.parametrize("block", NOT_RUN, ids=str)
def test_the_parts_of_commands_that_are_not_run_are_there(block: Block) -> None:
    assert [*commands(block.text)]
    assert not wrong_parts(block.text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("systemctl restart gatewai", "no unit gatewai"),
        ("GRAFANA_PASSWORD=x docker compose --profile metric up --detach", "no word metric"),
        ("docker compose exec gateway gatewayctl statos", "No such command 'statos'"),
        ("gatewayctl calls --verdct CLEAR", "No such option"),
        ("make venf", "no target venf"),
        ("cp deploy/gatewai.service /etc/systemd/system/", "no file deploy/gatewai.service"),
        ("nonsense --now", "a program that nobody knows"),
        ("useradd --sistem gateway", "no option --sistem"),
        ("apt-get install nftable", "no package nftable"),
        ("podman run --detach --networc host sip-security-gateway", "no word --networc"),
        ("/opt/gateway/bin/pip install --requirement nothing.lock", "no word nothing.lock"),
        ("true && sudo -u gateway gatewayctl reload --now", "No such option"),
    ],
)
def test_a_part_that_is_not_there_is_seen(text: str, told: str) -> None:
    assert any(told in line for line in wrong_parts(text)), wrong_parts(text)


@pytest.mark.parametrize(
    "file", [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda file: file.name
)
def test_commands_of_other_pages_are_those_that_there_are(file: Path) -> None:
    for line in re.findall(r"^    ((?:sudo |gatewayctl |make |docker ).*)$", file.read_text(), re.M):
        assert not wrong_parts(line), f"{file.name}: {line}"


def test_a_block_that_nobody_knows_is_an_error() -> None:
    for text in (
        "```python\nx\n```\n",
        "<!-- skipped -->\n```sh\nx\n```\n",
        "  ```sh\nx\n  ```\n",
        "```text\nx\n```\n",
    ):
        with pytest.raises(ValueError, match=r"install\.md"):
            blocks("install", text)
    (one,) = blocks("install", "<!-- not run: root -->\n```sh\nx\n```\n")
    assert one.why_not_run == "root"
    assert shows("a ... c\n", "0 a  b c d")
    assert not shows("a ... c", "a b d")


@pytest.mark.parametrize("block", of_language("toml"), ids=str)
def test_each_configuration_is_one_that_check_takes(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(as_toml(merged(block)))
    make_named_files(file.read_text(), tmp_path)
    found = findings(file, elsewhere=True)
    assert not found.mistakes
    assert not found.doubts
    assert found.exit_code(strict=True) == 0


def merged(block: Block) -> dict[str, Any]:
    """The first provider's configuration with the block's tables: listeners beside its own, others in their place."""
    whole, part = tomllib.loads(first_configuration()), tomllib.loads(block.text)
    if block.page == "first-provider":
        return part
    return {**whole, **part, "listener": [*whole["listener"], *part.get("listener", [])]}


@pytest.mark.parametrize("block", of_language("xml"), ids=str)
def test_files_of_phones_in_xml_are_well_formed(block: Block) -> None:
    assert len([*ElementTree.fromstring(block.text).iter()]) + len(ElementTree.fromstring(block.text).attrib) > 1


@pytest.mark.parametrize("block", of_language("ini"), ids=str)
def test_other_files_are_lines_of_a_key_and_a_value(block: Block) -> None:
    lines = [line for line in block.text.splitlines() if line]
    assert [line for line in lines if not re.fullmatch(r"\[[\w:-]+\]|[\w.]+ = \S.*", line)] == []


def test_nftables_takes_the_rules(tmp_path: Path) -> None:
    (block,) = of_language("nft")
    assert judged(block.text, tmp_path) == ""
    for wrong in (block.text.replace("accept", "acept", 1), block.text.replace("@phones", "@telephones", 1)):
        assert "Error" in judged(wrong, tmp_path)
    for _, port in re.findall(r"^\| (\d+)( to \d+)? ", text_of("firewall"), re.M):
        assert port in ("", *re.findall(r"^\| \d+( to \d+) ", text_of("firewall"), re.M))
    for port in ("5060", "5062", "5061", "8443", "20000-29999"):
        assert port in block.text


def judged(rules: str, directory: Path) -> str:
    """The words of `nft --check`, in a network of its own: it wants the rights of root there, and changes nothing."""
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, timeout=30, check=False).returncode != 0:
        pytest.skip("this machine gives no namespaces, as many containers, and nft judges rules in one alone")
    file = directory / "nftables.conf"
    file.write_text(rules)
    command = [*alone, find_program("nft", "nftables"), "--check", "--file"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode == 0) is (done.stderr == ""), done.stderr
    return done.stderr


def test_the_table_of_calls_is_as_the_gateway_counts() -> None:
    rows = re.findall(r"^\| `(\d+)-(\d+)`[^|]*\| (\d+) \| ([\d,]+) \| ([\d,]+) \|$", text_of("capacity"), re.M)
    assert len(rows) == 5
    for first, last, workers, one, two in rows:
        ports = PortRange(int(first), int(last))
        for told, media in (
            (one, Media("192.0.2.10", ports=ports, workers=int(workers))),
            (two, Media("192.0.2.10", ports=ports, workers=int(workers), phone_address="10.0.0.10")),
        ):
            carried = calls_carried(media, 1)
            assert carried is not None
            assert carried.calls == int(told.replace(",", ""))


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """One for all pages, in the order of the tasks."""
    # A short path: sockets of UNIX have 107 characters.
    directory = Path(tempfile.mkdtemp(prefix="docs-"))
    hosts = Hosts.claim()
    made = Machine(hosts, directory)
    try:
        made.begin()
        yield made
    finally:
        made.close()
        hosts.release()
        shutil.rmtree(directory)
