"""Records of calls: text of peers is clean from the moment that it enters."""

from gateway.observe.clean_text import is_clean
from gateway.state.call_record import CallDirection, CallRecord, ChainLink, ChainStep, LegName, Passage

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
