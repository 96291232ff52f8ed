"""Parameters that are searched in their text give the same as those that are parsed."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.grammar import TIGHT_PARAMETERS, find_in_text, find_parameter, parse_parameters

PIECES = (";rport", ";RPORT", ";rport=", ";rport=5", ";xrport", ";rportx", ";rport.", ";a=rport", ";branch=z9", ";lr")


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5))
def test_a_flag_is_found_as_in_parsed_parameters(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert re.fullmatch(TIGHT_PARAMETERS, text)
    if ";rport=" in text:
        return  # a value in lower case goes before a flag
    assert find_in_text(text, "rport") == find_parameter(parse_parameters(text), "rport")
