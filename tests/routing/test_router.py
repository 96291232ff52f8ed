"""Where requests go."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.model import Admin, Configuration, Domain, GatewaySection, Media, Provider, Security, Side
from gateway.routing.router import Router
from gateway.sip.errors import Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from tests.support.ladder import PHONES


def router() -> Router:
    configuration = Configuration(
        gateway=GatewaySection("gw", Path("/nowhere")),
        listeners=(PHONES,),
        media=Media("127.0.0.1"),
        providers=(Provider("one", "sip:one.example"), Provider("two", "sip:two.example")),
        domains=(Domain("a.example", "one", Security.REQUIRED), Domain("b.example", "two", Security.OFF)),
        admin=Admin(),
        source=Path("/nowhere/gateway.toml"),
    )
    return Router(configuration, lambda target, named: [])


def request(uri: str, caller: str) -> Request:
    return Request("INVITE", uri, Headers([("From", f"<{caller}>;tag=f"), ("To", f"<{uri}>")]))


@pytest.mark.parametrize(
    ("uri", "caller", "domain"),
    [
        ("sip:bob@b.example", "sip:alice@a.example", "a.example"),
        ("sip:bob@elsewhere.example", "sip:alice@a.example", "a.example"),
        ("tel:+49301234", "sip:alice@b.example", "b.example"),
        ("urn:service:sos", "sip:alice@b.example", "b.example"),
        ("sip:bob@b.example", "sip:anonymous@anonymous.invalid", "b.example"),
        ("sip:bob@A.EXAMPLE:5060;transport=udp", "sip:alice@elsewhere.example", "a.example"),
    ],
)
def test_policy_of_the_callers_own_domain_holds_for_the_call(uri: str, caller: str, domain: str) -> None:
    route = router().route(request(uri, caller), Side.PHONES)
    assert (route.domain.name, route.request_uri, route.binding) == (domain, uri, None)


@pytest.mark.parametrize(
    ("uri", "caller", "status"),
    [
        ("sip:bob@elsewhere.example", "sip:alice@elsewhere.example", 403),
        ("mailto:bob@a.example", "sip:alice@a.example", 416),
    ],
)
def test_callers_of_no_domain_here_and_other_schemes_are_refused(uri: str, caller: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        router().route(request(uri, caller), Side.PHONES)
    assert refused.value.status == status
