"""The configuration of a node that becomes active after weeks: that of its file, but for all that it has used."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from gateway.app.cluster.node_terms import configuration_now
from gateway.config.load import load
from tests.support.cluster.configuration import CONFIGURATION
from tests.support.docs.files import make_named_files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "gateway.toml"
    made.write_text(CONFIGURATION)
    make_named_files(CONFIGURATION, tmp_path)
    return made


def test_domains_and_providers_are_those_of_now(file: Path) -> None:
    before = load(file)
    file.write_text(CONFIGURATION.replace("198.51.100.1", "198.51.100.2").replace('name = "gw1"', 'name = "gw2"'))
    with capturedLogs() as logged:
        now = configuration_now(before)
    assert now == load(file)
    assert now != before
    assert logged == []


def test_the_state_directory_the_lease_and_the_interface_are_those_of_the_start(file: Path) -> None:
    """The other node's state was put into that directory, and keepalived asks at that place."""
    before = load(file)
    text = CONFIGURATION.replace('"state"', '"elsewhere"').replace('node = "a"', 'node = "b"')
    file.write_text(f"{text.replace('198.51.100.1', '198.51.100.2')}[admin]\nport = 8999\n")
    with capturedLogs() as logged:
        now = configuration_now(before)
    assert (now.cluster, now.admin) == (before.cluster, before.admin)
    assert now.gateway.state_directory == before.gateway.state_directory
    assert now.providers != before.providers
    assert [event["part"] for event in logged] == ["[cluster]", "[admin]", "gateway.state_directory"]


def test_with_mistakes_in_the_file_it_is_that_of_the_start(file: Path) -> None:
    before = load(file)
    file.write_text(CONFIGURATION.replace('security = "off"', 'security = "of"'))
    with capturedLogs() as logged:
        assert configuration_now(before) is before
    assert "security" in str(logged[0]["mistake"])


def test_a_file_without_the_cluster_keeps_the_one_of_the_start(file: Path) -> None:
    before = load(file)
    file.write_text(CONFIGURATION.partition("[cluster]")[0])
    assert configuration_now(before).cluster == before.cluster
