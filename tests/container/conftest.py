"""The stages of the calls between real programs, with the gateway in a container."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.calls.conftest import make_stage as make_stage
from tests.calls.conftest import scenery as scenery
from tests.support.calls.container import ContainerGateway, ContainerRtpengine
from tests.support.calls.stage import Stage


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    stage = make_stage()
    stage.kind_of_gateway = ContainerGateway
    stage.kind_of_rtpengine = ContainerRtpengine
    return stage
