"""The image: its contents, and a gateway in it that carries calls. `make test-container` builds it and runs this."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.calls.container import IMAGE, ContainerGateway, in_image, podman
from tests.support.calls.processes import find_program, wait_until
from tests.support.calls.stage import Stage

INSTALLED = """
from importlib.metadata import distributions
for one in distributions():
    print(one.name.lower(), one.version)
"""
ROOT = Path(__file__).parents[2]


def test_the_image_holds_no_tools() -> None:
    programs = in_image("sh", "-c", "ls /opt/gateway/bin; command -v pip pip3 gcc cc trial conch || true").split()
    assert {"twist", "gatewayctl"} <= set(programs)
    assert not [one for one in programs if not re.fullmatch(r"twist|gatewayctl|python[0-9.]*", one)]
    for module in ("pip", "ensurepip", "twisted.conch", "twisted.trial", "twisted.mail", "pytest"):
        found = in_image("python", "-c", f"import {module}; print('there')", check=False)
        assert found == "", module
    assert in_image("python", "-c", "import gateway.native.relay; print('there')") == "there\n", "the loop in C"


def test_the_image_says_where_it_comes_from_and_runs_as_an_ordinary_user() -> None:
    (image,) = json.loads(podman("inspect", IMAGE))
    settings = image["Config"]
    assert settings["User"] == "gateway"
    assert in_image("id", "-u").strip() == "5060"
    assert settings["Labels"]["org.opencontainers.image.version"] == version()
    assert settings["Labels"]["org.opencontainers.image.revision"] != "unknown"
    assert settings["StopSignal"] == "SIGTERM"
    assert image["HealthCheck" if "HealthCheck" in image else "Healthcheck"]["Test"] == ["CMD", "gatewayctl", "health"]


def test_the_bill_of_materials_names_what_is_inside() -> None:
    bill = json.loads((ROOT / "build" / "sip-security-gateway.cdx.json").read_text())
    assert bill == json.loads(in_image("cat", "/opt/gateway/sbom.cdx.json"))
    parts = {(part["name"].lower(), part["version"]) for part in bill["components"]}
    distributions = {tuple(line.split(" ")) for line in in_image("python", "-c", INSTALLED).splitlines()}
    packages = {
        tuple(line.split(" ")) for line in in_image("dpkg-query", "-W", "-f", "${Package} ${Version}\\n").splitlines()
    }
    assert len(distributions) > 10
    assert len(packages) > 50
    assert distributions - parts == set()
    assert packages - parts == set()


def test_an_encrypted_call_with_no_capability_and_a_read_only_root(stage: Stage) -> None:
    gateway = stage.start_gateway()
    assert isinstance(gateway, ContainerGateway)
    (container,) = json.loads(podman("inspect", gateway.name))
    assert container["HostConfig"]["ReadonlyRootfs"]
    (status,) = re.findall(r"^CapEff:\s*(\w+)$", podman("exec", gateway.name, "cat", "/proc/1/status"), re.MULTILINE)
    assert int(status, 16) == 0
    phone, far_end = stage.phone("baresip"), stage.far_end("baresip")
    phone.reach(far_end)
    stage.talk()
    podman("healthcheck", "run", gateway.name)  # fails where the gateway does not answer
    phone.hangup()
    far_end.wait_ended()
    stage.assert_call_was_right()
    assert gateway.verdicts() == {"outbound": "ENCRYPTED_TO_PROVIDER"}
    assert "ENCRYPTED_TO_PROVIDER" in gateway.ctl("calls")


def test_registrations_outlive_a_restart(stage: Stage) -> None:
    gateway = stage.start_gateway()
    assert isinstance(gateway, ContainerGateway)
    phone, far_end = stage.phone("baresip"), stage.far_end("baresip")
    phone.register()
    far_end.register()
    assert "alice" in gateway.ctl("phones")
    gateway.restart()
    assert "alice" in gateway.ctl("phones")
    far_end.call("sip:alice@voip.test")
    phone.wait_ringing()
    phone.answer()
    far_end.wait_answered()
    far_end.hangup()
    phone.wait_ended()


def test_a_container_that_hangs_is_unhealthy(stage: Stage) -> None:
    gateway = stage.start_gateway()
    assert isinstance(gateway, ContainerGateway)
    podman("healthcheck", "run", gateway.name)
    (container,) = json.loads(podman("inspect", gateway.name))
    os.kill(container["State"]["Pid"], signal.SIGSTOP)
    try:
        with pytest.raises(AssertionError):
            podman("healthcheck", "run", gateway.name)
    finally:
        os.kill(container["State"]["Pid"], signal.SIGCONT)


def test_an_encrypted_call_through_rtpengine_in_its_container(stage: Stage) -> None:
    gateway = stage.start_gateway(relay="rtpengine")
    phone, far_end = stage.phone("baresip"), stage.far_end("baresip")
    phone.reach(far_end)
    stage.talk()
    phone.hangup()
    far_end.wait_ended()
    stage.assert_call_was_right()
    assert gateway.verdicts() == {"outbound": "ENCRYPTED_TO_PROVIDER"}


def test_stopping_the_container_lets_a_call_end_by_itself(stage: Stage) -> None:
    gateway = stage.start_gateway()
    assert isinstance(gateway, ContainerGateway)
    text = gateway.configuration.read_text()
    gateway.configuration.write_text(text.replace("drain_seconds = 0", "drain_seconds = 30"))
    gateway.restart()
    phone, far_end = stage.phone("baresip"), stage.far_end("baresip")
    phone.reach(far_end)
    stopping = subprocess.Popen([find_program("podman", "podman"), "stop", "--time=40", gateway.name])
    wait_until("it drains", lambda: gateway.metric("gateway_draining_calls") == 1, 10)
    assert gateway.fetch("/readyz") is None
    stage.talk()
    assert stopping.poll() is None
    phone.hangup()
    far_end.wait_ended()
    assert stopping.wait(15) == 0
    stage.assert_call_was_right()


def version() -> str:
    (found,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return str(found)
