"""What `twist gateway` does before it builds anything."""

import io
from pathlib import Path

import pytest
from twisted.application.service import IServiceMaker
from twisted.application.twist._options import TwistOptions
from twisted.logger import Logger
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError

from gateway.app.options import Options, replace_observer


def parsed(*arguments: str) -> Options:
    """The options of `twist gateway ARGUMENTS`."""
    options = Options()  # type: ignore[no-untyped-call]
    options.parseOptions(arguments)  # type: ignore[no-untyped-call]
    return options


def test_twist_finds_the_gateway() -> None:
    assert "gateway" in [maker.tapname for maker in getPlugins(IServiceMaker)]


def test_mistakes_of_the_configuration_are_lines_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("media = 5")
    with pytest.raises(SystemExit) as ended:
        parsed("--config", str(file))
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert f"{file}: media: found 5, allowed: a table" in lines


def test_a_command_without_a_configuration_is_told_what_is_missing() -> None:
    with pytest.raises(UsageError, match="--config FILE is needed"):
        parsed()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_twist_writes_its_log_through_our_redaction(log_format: str) -> None:
    options = Options()  # type: ignore[no-untyped-call]
    options.parent = TwistOptions()
    options.parent.opt_log_format(log_format)
    replace_observer(options)
    stream = io.StringIO()
    Logger("t", observer=options.parent["fileLogObserverFactory"](stream)).info(
        "nonce={value}", value="dcd98b7102dd2f0e"
    )
    assert "nonce=[redacted]" in stream.getvalue()
    assert stream.getvalue().startswith("{") == (log_format == "json")
