"""An order that fails leaves nothing open, answers no name but ours, and keeps no process from ending."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from acme import errors
from twisted.internet.task import Clock as Timers

from gateway.base.clock import Clock
from gateway.config.tables.acme_table import Acme
from gateway.demo.devcerts import make_for
from gateway.transport.acme.order import Order, OrderFailed
from gateway.transport.acme.renewal import Certificates

NAME = "gw.voip.test"


@attrs.define
class Answers:
    """Answers that are counted."""

    kind: str = "http-01"
    opened: list[str] = attrs.field(factory=list)
    closed: list[str] = attrs.field(factory=list)

    def put(self, name: str, token: str, value: str) -> None:
        self.opened.append(name)

    def remove(self, name: str, token: str, value: str) -> None:
        self.closed.append(name)


class FailingAuthority:
    """Takes an order about these names, and no answer."""

    def __init__(self, *names: str) -> None:
        self.net = SimpleNamespace(key=None)
        self._names = names

    def new_order(self, request: bytes) -> Any:
        return SimpleNamespace(authorizations=[self._question(name) for name in self._names])

    def answer_challenge(self, question: Any, response: Any) -> None:
        raise errors.ClientError("the authority is gone")

    def _question(self, name: str) -> Any:
        chall = SimpleNamespace(typ="http-01", encode=lambda _: "token")
        question = SimpleNamespace(chall=chall, response_and_validation=lambda _: (None, "value"))
        body = SimpleNamespace(
            identifier=SimpleNamespace(value=name), status=SimpleNamespace(name="pending"), challenges=[question]
        )
        return SimpleNamespace(body=body)


def order_of(directory: Path) -> Order:
    terms = Acme("https://ca.test/", (NAME,), directory / "chain.pem", directory / "key.pem", agree=True)
    return Order(terms, directory / "account.pem")


def test_an_answer_that_the_authority_does_not_take_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Order, "_client", lambda _: FailingAuthority(NAME))
    answers = Answers()
    with pytest.raises(OrderFailed, match="gone"):
        order_of(tmp_path).fulfil(answers)
    assert answers.opened == answers.closed == [NAME]


@pytest.mark.parametrize("name", ["bank.example", "gw.voip.test\nserver 192.0.2.66", "../gw.voip.test", ""])
def test_a_question_about_a_name_that_was_not_ordered_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Order, "_client", lambda _: FailingAuthority(name))
    answers = Answers()
    with pytest.raises(OrderFailed, match="not ordered"):
        order_of(tmp_path).fulfil(answers)
    assert answers.opened == []


def test_files_that_do_not_belong_together_are_as_good_as_none(tmp_path: Path) -> None:
    terms, now = order_of(tmp_path).terms, datetime.now(UTC)
    for place in ("one", "other"):
        make_for(tmp_path / place, NAME, "127.0.0.1", now)
    made = tmp_path / "one" / f"phones-{NAME}.pem"
    terms.certificate.write_bytes(made.read_bytes())
    terms.private_key.write_bytes(made.with_suffix(".key").read_bytes())
    certificates = Certificates(terms, tmp_path, Clock(Timers()), None)
    assert certificates.lack() is None
    terms.private_key.write_bytes((tmp_path / "other" / f"phones-{NAME}.key").read_bytes())
    assert "not the key" in str(certificates.lack())


def test_an_order_under_way_does_not_keep_the_process_from_ending() -> None:
    program = textwrap.dedent("""\
        import time
        from twisted.internet import reactor
        from twisted.internet.threads import blockingCallFromThread
        from gateway.transport.acme.renewal import in_own_thread
        def work():
            time.sleep(0.3)
            blockingCallFromThread(reactor, lambda: None)
        in_own_thread(reactor, work)
        reactor.callLater(0.1, reactor.stop)
        reactor.run()
        """)
    subprocess.run([sys.executable, "-c", program], timeout=20, check=True)
