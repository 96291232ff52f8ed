"""The fate of calls at SIGTERM: where this process was started, by the configuration, and by the file as it stands."""

from __future__ import annotations

import os
import re
from pathlib import Path

import attrs
import pytest

from gateway.app.succession.calls_at_stop import Parentage, fate_of_calls, fate_with_this_file
from gateway.config.load import load
from gateway.config.model import AtStop, GatewaySection
from tests.support.small_configuration import SMALLEST

SECTION = GatewaySection("gw1", Path("/nowhere"))
BY_A_SHELL = Parentage(4711, 4000, is_systemds=False)
BY_SYSTEMD = Parentage(4711, 1, is_systemds=True)
FIRST_OF_A_CONTAINER = Parentage(1, 0, is_systemds=False)
BELOW_THE_INIT_OF_A_CONTAINER = Parentage(7, 1, is_systemds=False)


@pytest.mark.parametrize(
    ("here", "keeps", "why"),
    [
        (BY_A_SHELL, True, "media workers outlive this process"),
        (BY_SYSTEMD, True, "systemd runs this process, and media workers outlive it"),
        (FIRST_OF_A_CONTAINER, False, "this is process 1, and a container ends with it"),
        (Parentage(1, 0, is_systemds=True), False, "this is process 1, and a container ends with it"),
        (BELOW_THE_INIT_OF_A_CONTAINER, False, "process 1 started this one and is not systemd"),
        (Parentage(7, 6, is_systemds=False, is_in_pod=True), False, "a pod of Kubernetes ends with this process"),
        (Parentage(7, 0, is_systemds=False), False, "the parent of this process is out of sight"),
    ],
)
def test_calls_are_kept_where_media_workers_outlive_the_process(here: Parentage, keeps: bool, why: str) -> None:
    fate = fate_of_calls(SECTION, here, is_another_there=None)
    assert fate.keeps is keeps
    assert fate.why.startswith(why)
    assert fate.word is (AtStop.KEEP if keeps else AtStop.END)


@pytest.mark.parametrize("here", [BY_A_SHELL, BY_SYSTEMD, FIRST_OF_A_CONTAINER, BELOW_THE_INIT_OF_A_CONTAINER])
@pytest.mark.parametrize("stop", [*AtStop])
@pytest.mark.parametrize("is_another_there", [None, False, True])
def test_a_word_of_the_configuration_counts_before_all(
    here: Parentage, stop: AtStop, is_another_there: bool | None
) -> None:
    fate = fate_of_calls(attrs.evolve(SECTION, stop=stop), here, is_another_there=is_another_there)
    assert (fate.word, fate.why) == (stop, f'[gateway] has stop = "{stop}"')


def test_calls_of_which_nothing_is_written_down_are_ended() -> None:
    section = attrs.evolve(SECTION, keep_calls=False)
    for is_another_there in (None, False, True):
        assert not fate_of_calls(section, BY_SYSTEMD, is_another_there=is_another_there).keeps


@pytest.mark.parametrize("here", [BY_A_SHELL, BY_SYSTEMD, FIRST_OF_A_CONTAINER])
def test_in_a_cluster_another_node_has_to_be_there(here: Parentage) -> None:
    assert fate_of_calls(SECTION, here, is_another_there=True).keeps
    assert not fate_of_calls(SECTION, here, is_another_there=False).keeps


def test_a_unit_of_systemd_and_a_pod_are_known_by_their_variables() -> None:
    assert Parentage.now({"INVOCATION_ID": "0123"}).is_systemds
    assert not Parentage.now({"NOTIFY_SOCKET": "/run/notify"}).is_systemds, "podman gives it to containers"
    assert Parentage.now({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).is_in_pod
    assert Parentage.now({}) == Parentage(os.getpid(), os.getppid(), is_systemds=False)


def test_calls_are_ended_where_the_next_process_could_not_start(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(SMALLEST)
    configuration = load(file)
    kept = fate_of_calls(configuration.gateway, BY_A_SHELL, is_another_there=None)
    assert fate_with_this_file(kept, configuration) is kept
    file.write_text(SMALLEST.replace("[gateway]", "[gateways]"))
    fate = fate_with_this_file(kept, configuration)
    assert not fate.keeps
    assert fate.why.startswith(f"no next process could start: {file}: ")
    ordered = attrs.evolve(configuration, gateway=attrs.evolve(configuration.gateway, stop=AtStop.KEEP))
    assert fate_with_this_file(kept, ordered) is kept, "an order is an order"


@pytest.mark.parametrize("line", ['stop = "end"', "keep_calls = false", 'state_directory = "/elsewhere"'])
def test_calls_are_ended_where_the_next_process_would_keep_none(tmp_path: Path, line: str) -> None:
    """The file was changed, and then the gateway is started again."""
    file = tmp_path / "gateway.toml"
    file.write_text(SMALLEST)
    configuration = load(file)
    kept = fate_of_calls(configuration.gateway, BY_A_SHELL, is_another_there=None)
    written = re.sub(r"(?m)^state_directory = .*$", "", SMALLEST) if "state_directory" in line else SMALLEST
    file.write_text(written.replace("[gateway]\n", f"[gateway]\n{line}\n"))
    assert not fate_with_this_file(kept, configuration).keeps
