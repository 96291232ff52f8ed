"""Bodies of answers."""

from __future__ import annotations

import json

import pytest

from gateway.admin.http_bodies import listed
from gateway.admin.inspection import Row


@pytest.mark.parametrize("rows", [[], [{"a": 1}], [{"a": 1}, {"b": 'x"y'}, {}]])
def test_a_list_row_by_row_is_the_list(rows: list[Row]) -> None:
    assert "".join(listed(rows)) == json.dumps(rows) + "\n"
