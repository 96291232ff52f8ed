"""A node's own place: the token and the generation that it remembers, and whose they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.app.cluster import own_place
from gateway.app.cluster.own_place import OwnPlace, Remembered
from gateway.state.sqlite import InUse

TOKEN = "a 7 1000.0 p"


def let_go(place: OwnPlace) -> None:
    """As the end of its process does."""
    os.close(place._lock)


def again(place: OwnPlace, directory: Path, node: str = "a") -> OwnPlace:
    """The place as the next process finds it."""
    let_go(place)
    return OwnPlace(directory, node)


def test_the_next_process_remembers(tmp_path: Path) -> None:
    place = OwnPlace(tmp_path, "a")
    place.remember(TOKEN, "generation")
    with pytest.raises(InUse):
        OwnPlace(tmp_path, "a")
    second = again(place, tmp_path)
    assert second.remembered == Remembered(TOKEN, "generation")
    assert second.remembered.epoch == 7
    let_go(second)


def test_a_state_directory_that_was_copied_from_the_other_node_says_nothing(tmp_path: Path) -> None:
    """Its files would count as the newest, and its token as a lease of this node's own that is over."""
    place = OwnPlace(tmp_path, "a")
    place.remember(TOKEN, "generation")
    second = again(place, tmp_path, "b")
    assert second.remembered == Remembered()
    let_go(second)


@pytest.mark.parametrize("content", [b"", b"[]", b"nonsense", b'{"token": 5}'])
def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cluster.json").write_bytes(content)
    place = OwnPlace(tmp_path, "a")
    assert place.remembered == Remembered()
    let_go(place)


def test_a_full_disk_is_told_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own_place, "replace_private", is_full)
    place = OwnPlace(tmp_path, "a")
    place.remember(TOKEN, "generation")
    assert place.remembered == Remembered(TOKEN, "generation")
    let_go(place)
