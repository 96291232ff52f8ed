"""What `twist gateway` does before it builds anything."""

import gc
import io
import json
import sys
from pathlib import Path

import pytest
from twisted.application.service import IServiceMaker
from twisted.application.twist._options import TwistOptions
from twisted.logger import Logger, LogLevel
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError

from gateway.app.options import Options, imported_without_collector, replace_observer
from gateway.base.build import build
from gateway.observe.log import LogOutput


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


def test_mistakes_are_json_where_the_log_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are read by a collector of logs, which takes nothing else."""
    file = tmp_path / "gateway.toml"
    file.write_text("media = 5")
    twist = TwistOptions()
    twist.opt_log_format("json")
    twist["logFile"] = sys.stdout
    options = Options()  # type: ignore[no-untyped-call]
    options.parent = twist
    with pytest.raises(SystemExit):
        options.parseOptions(["--config", str(file)])  # type: ignore[no-untyped-call]
    told = capsys.readouterr()
    assert told.err == ""
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert len(lines) == 5
    assert {line["level"] for line in lines} == {"critical"}
    assert f"{file}: media: found 5, allowed: a table" in [line["message"] for line in lines]


def test_the_version_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{build()}\n"
    assert str(build()).startswith("sip-security-gateway ")
    assert "unknown" not in str(build())


@pytest.mark.parametrize(
    ("namespace", "level", "is_written"),
    [
        ("twisted.application.runner._runner.Runner", LogLevel.info, False),
        ("log_legacy", LogLevel.info, False),
        ("log_legacy", LogLevel.warn, True),
        ("twisted.internet.base", LogLevel.critical, True),
        ("gateway.app.gateway", LogLevel.info, True),
    ],
)
def test_twisteds_own_chatter_is_not_in_the_log(namespace: str, level: LogLevel, is_written: bool) -> None:
    stream = io.StringIO()
    Logger(namespace, observer=LogOutput("text")(stream)).emit(level, "Starting reactor...")
    assert bool(stream.getvalue()) is is_written


def test_the_collector_looks_again_once_the_gateway_is_imported() -> None:
    imported_without_collector()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0, "until all is built, imported objects are not looked at"
