"""Somebody between gateway and provider gets no call that is called encrypted, none under required, and is reported."""

from __future__ import annotations

import re

import pytest

from tests.matrix.conftest import Struck, documented
from tests.support.matrix.attacker import OnTls
from tests.support.matrix.attacks import Attacked, Case, cases
from tests.support.matrix.table import shown
from tests.support.matrix.verdict import ENCRYPTED, KEY, objections, seen, status

CASES = [*cases()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nobody_in_between_gets_what_is_called_encrypted(case: Case, struck: Struck) -> None:
    one = struck.attacked[case.index]
    allowed = ["an emergency call did not complete"] if case.number == "112" and "in clear" in case.row else []
    assert [*objections(one.outcome)] in ([], allowed), f"the gateway claims {one.outcome.claim}"
    assert one.outcome.claim["verdict"] not in ENCRYPTED
    assert not any(KEY.search(data) for data in one.in_clear), "a key was sent in clear"
    assert shown(one.outcome) == documented()[case.title, case.row, case.column], "see tests/support/matrix/table.py"


@pytest.mark.parametrize("case", [case for case in CASES if case.is_known], ids=str)
def test_the_call_before_was_what_the_policy_wants(case: Case, struck: Struck) -> None:
    before = struck.attacked[case.index].before
    assert before is not None
    assert seen(before) == ("CLEAR" if case.policy == "off" else "ENCRYPTED_TO_PROVIDER")


@pytest.mark.parametrize("case", [case for case in CASES if case.policy == "required"], ids=str)
def test_nobody_in_between_gets_a_call_under_required(case: Case, struck: Struck) -> None:
    one = struck.attacked[case.index]
    if case.number == "bob":
        assert status(one.outcome) in (488, 503)
        assert not any(data.startswith(b"INVITE") for data in one.in_clear), "a call left in clear"
        assert str(one.outcome.claim["reason"]).startswith(("REFUSED_", "PROVIDER_"))


@pytest.mark.parametrize("case", [case for case in CASES if case.policy == "preferred"], ids=str)
def test_nobody_in_between_goes_unreported(case: Case, struck: Struck) -> None:
    one = struck.attacked[case.index]
    if case.attack.on_tls is OnTls.CERTIFICATE:
        assert re.search(rf"warn .*certificate of \S+:{one.tls_port}\b.* refused", struck.log)
    elif case.is_known:
        assert re.search(rf"warn .*a probable downgrade: {re.escape(case.domain)} did TLS before", struck.log)
        assert "a probable downgrade" in str(one.outcome.claim["chain"])
    assert is_told(one)


def is_told(one: Attacked) -> bool:
    """Whether the call's own record says why it is weak or refused: by its reason, or link by link in its chain."""
    chain = str(one.outcome.claim["chain"])
    return any(code in chain for code in ("CLEAR_PEER_NO_TLS", "CLEAR_TLS_HANDSHAKE", "CLEAR_EMERGENCY", "REFUSED_"))


def test_every_downgrade_is_counted(struck: Struck) -> None:
    counted = dict(re.findall(r'^gateway_downgrades_total\{feature="tls",result="(\w+)"\} (\S+)', struck.metrics, re.M))
    assert float(counted["allowed"]) > 0
    assert float(counted["refused"]) > 0


def test_what_the_gateway_wrote_is_in_order(struck: Struck) -> None:
    assert re.search(r"^.*(?:Traceback|Unhandled|critical)", struck.log, re.MULTILINE) is None
