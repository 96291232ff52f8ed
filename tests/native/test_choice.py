"""Which loop a worker gets, and how the one in C is built, or said not to be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.media.worker.packet_loop import AUTO, NATIVE, PYTHON, chosen
from gateway.native import relay
from gateway.rtp import srtp
from gateway.rtp.srtp import PacketBuffer

ROOT = Path(__file__).parents[2]


def name_of(wanted: str, *, in_place: bool = True) -> str:
    return chosen(wanted, lambda _: None, PacketBuffer(in_place), 0.0).loop.name


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it was not built."""
    for name in (
        "gateway.native.relay",
        "gateway.media.worker.native_loop",
        "gateway.media.worker.streams.native_path",
    ):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "gateway.native.relay", None)


@pytest.mark.parametrize(("wanted", "got"), [(AUTO, NATIVE), (NATIVE, NATIVE), (PYTHON, PYTHON)])
def test_the_wanted_loop_is_taken(wanted: str, got: str) -> None:
    assert name_of(wanted) == got


def test_without_the_extension_the_loop_in_python_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    assert name_of(AUTO) == PYTHON
    with pytest.raises(ValueError, match="there is no native loop"):
        name_of(NATIVE)


def test_a_libsrtp_that_fits_no_pointer_is_not_called_from_c(monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_of(AUTO, in_place=False) == PYTHON
    buffer = PacketBuffer()
    monkeypatch.setattr(srtp, "lib", object())
    assert chosen(AUTO, lambda _: None, buffer, 0.0).loop.name == PYTHON
    with pytest.raises(ValueError, match="binding has changed"):
        chosen(NATIVE, lambda _: None, buffer, 0.0)


def test_a_worker_that_is_to_have_what_is_not_there_does_not_start(tmp_path: Path) -> None:
    code = "import sys; sys.modules['gateway.native.relay'] = None\n"
    code += "from gateway.media.worker.__main__ import main; sys.exit(main())"
    words = [f"--socket={tmp_path}/w.sock", "--interface=127.0.0.1", "--ports=31000-31099", "--loop=native"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "media worker: cannot start: there is no native loop" in done.stderr


def make_native(checkout: Path, path: str) -> str:
    """The output of deploy/make-native in a checkout with nothing but it and the source."""
    for part in ("deploy/make-native", "gateway/native/relay.c", "pyproject.toml", "README.md", "LICENSE"):
        (checkout / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, checkout / part)
    environment = {key: value for key, value in os.environ.items() if key != "CC"} | {"PATH": path}
    done = subprocess.run(
        [str(checkout / "deploy/make-native"), sys.executable],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_it_is_built_where_a_compiler_is(tmp_path: Path) -> None:
    folder, path = tmp_path / "gateway/native", os.environ["PATH"]
    assert make_native(tmp_path, path) == ""
    assert len(list(folder.glob("relay.*.so"))) == 1
    (before,) = folder.glob("relay.*.so")
    written = before.stat().st_mtime_ns
    assert make_native(tmp_path, path) == ""
    assert before.stat().st_mtime_ns == written, "it was built again for nothing"


def test_one_that_was_built_from_another_source_is_not_left_there(tmp_path: Path) -> None:
    """Whatever the times of the files: a checkout of an earlier day may come later."""
    make_native(tmp_path, os.environ["PATH"])
    (library,) = (tmp_path / "gateway/native").glob("relay.*.so")
    library.with_suffix(".so.source").write_text("of another source")
    assert "no C compiler" in make_native(tmp_path, without_compiler(tmp_path))
    assert not library.exists()


def test_one_of_another_form_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "FORM", 0)
    assert name_of(AUTO) == PYTHON
    with pytest.raises(ValueError, match="another version of relay"):
        name_of(NATIVE)


def test_without_a_compiler_a_line_says_so(tmp_path: Path) -> None:
    told = make_native(tmp_path / "checkout", without_compiler(tmp_path))
    assert "there is no C compiler (Debian: gcc python3-dev)" in told


def without_compiler(directory: Path) -> str:
    """A PATH with all that the script needs, and no compiler."""
    programs = directory / "bin"
    programs.mkdir()
    for name in ("bash", "env", "dirname", "sha256sum", "cat", "rm"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return str(programs)
