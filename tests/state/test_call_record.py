"""Records of calls: text of peers is clean from the moment that it enters."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.clean_text import clean, is_clean
from gateway.observe.redaction import redacted
from gateway.state import call_record
from gateway.state.call_record import (
    REMEMBERED,
    SHORT,
    CallDirection,
    CallRecord,
    ChainLink,
    ChainStep,
    LegName,
    Passage,
    fit_again,
)

ODD = "\udcff\0\x1b[0m\u202e"


def test_text_of_peers_can_be_written_and_shown_wherever_it_enters_a_record() -> None:
    record = CallRecord("id", CallDirection.INBOUND, "example.com", f"sip:a{ODD}@h", f"sip:b{ODD}@h", 1.0)
    record.add_step(1.0, LegName.CALLER, Passage.RECEIVED, f"486 {ODD}")
    record.add_reason(ChainLink(LegName.CALLER, ChainStep.ANSWERED, f"said {ODD}"))
    record.ending = f"the peer: {ODD}"
    (step,), (link,) = record.ladder, record.chain
    for text in (record.caller, record.callee, record.ending, step.what, link.what):
        assert is_clean(text)
        assert r"\xff\x00\x1b[0m\u202e" in text


def test_texts_that_are_remembered_have_no_secret_and_are_few() -> None:
    for number in range(3 * REMEMBERED):
        assert fit_again(f"486 No {number}") == f"486 No {number}"
        assert f"hunter{number}" not in fit_again(f"486 password=hunter{number}")
    fit_again("x" * 200)
    assert len(call_record._FIT) <= REMEMBERED
    assert not [text for text in call_record._FIT if "hunter" in text or len(text) > SHORT or ODD in text]


def test_an_odd_text_is_made_fit_each_time() -> None:
    assert fit_again(f"180 {ODD}") == fit_again(f"180 {ODD}") == r"180 \xff\x00\x1b[0m\u202e"


def test_the_terms_of_each_leg_are_kept_and_another_connections_beside_them() -> None:
    record = CallRecord("1", CallDirection.OUTBOUND, "example.com", "sip:a@x", "sip:b@x", 0.0)
    for leg, terms in (
        (LegName.CALLER, ""),
        (LegName.CALLEE, "TLS 1.3, TLS_AES_256_GCM_SHA384"),
        (LegName.CALLEE, "TLS 1.3, TLS_AES_256_GCM_SHA384"),
        (LegName.CALLEE, "TLS 1.2, ECDHE-RSA-AES128-GCM-SHA256"),
    ):
        record.note_terms(leg, terms)
    both = "TLS 1.3, TLS_AES_256_GCM_SHA384, then TLS 1.2, ECDHE-RSA-AES128-GCM-SHA256"
    assert record.as_json()["tls"] == {"callee": both}


@given(
    st.from_regex(r"\A\+?[A-Za-z0-9]{0,40}\Z") | st.sampled_from(["password", "inlineAAAA", "k", "+", "noncexyz", "é"])
)
def test_a_plain_name_or_number_is_fit_without_a_search(text: str) -> None:
    assert call_record.fit(text) == clean(redacted(text))
