"""SIP PnP: a SUBSCRIBE to 224.0.1.75 is answered by 200 and a NOTIFY with a URL (RFC 6080), or by nothing at all."""

from __future__ import annotations

import itertools

import pytest
from twisted.internet.task import Clock

from gateway.registrar.profile_delivery.profile_ears import MOST, REPEATS, ProfileMouth
from gateway.registrar.profile_delivery.profile_messages import LONGEST, ProfileAsked, read_asked
from gateway.sip.message import Request, Response
from gateway.sip.parser import parse

URL = "http://phones.example.com:8081/{mac}.xml"
SNOM = """\
SUBSCRIBE sip:MAC%3a000413922D24@224.0.1.75 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK-1
From: <sip:MAC%3a000413922D24@224.0.1.75>;tag=a1
To: <sip:MAC%3a000413922D24@224.0.1.75>
Call-ID: 1234@192.0.2.7
CSeq: 1 SUBSCRIBE
Event: ua-profile;profile-type="device";vendor="snom";model="snomD735";version="10.1.42.14"
Expires: 0
Accept: application/url
Contact: <sip:192.0.2.7:5060>
User-Agent: snomD735/10.1.42.14
Content-Length: 0

"""
PLACE = ("192.0.2.7", 5060)


def message(text: str = SNOM) -> bytes:
    return text.replace("\n", "\r\n").encode()


class Mouth:
    """A mouth whose words are kept, and the questions that came to it."""

    def __init__(self, url: str = URL) -> None:
        self.clock = Clock()
        self.said: list[tuple[bytes, tuple[str, int]]] = []
        self.asked: list[tuple[str, str, str]] = []
        self.url = url
        tokens = (f"{number:016x}" for number in itertools.count(1))
        self.mouth = ProfileMouth(self._url_for, tokens.__next__, self.clock)
        self.mouth.transport = self  # type: ignore[assignment]
        self.host, self.port = "192.0.2.1", 40_000

    def _url_for(self, asked: ProfileAsked, source: str) -> str:
        self.asked.append((asked.address, source, asked.user_agent))
        return self.url

    def getHost(self) -> Mouth:
        return self

    def write(self, data: bytes, place: tuple[str, int]) -> None:
        self.said.append((data, place))

    def notifies(self) -> list[Request]:
        read = [parse(data) for data, _ in self.said]
        return [one for one in read if isinstance(one, Request)]


def test_a_phone_is_told_the_url_once_it_answers() -> None:
    mouth = Mouth()
    mouth.mouth.asked(message(), PLACE)
    answer, notify = (parse(data) for data, _ in mouth.said)
    assert {place for _, place in mouth.said} == {PLACE}
    assert mouth.asked == [("000413922d24", "192.0.2.7", "snomD735/10.1.42.14")]
    assert isinstance(answer, Response)
    assert (answer.status, answer.headers.get("CSeq"), answer.headers.get("Expires")) == (200, "1 SUBSCRIBE", "0")
    assert isinstance(notify, Request)
    assert (notify.method, notify.uri, notify.body) == ("NOTIFY", "sip:192.0.2.7:5060", URL.encode())
    tag = (answer.headers.get("To") or "").partition("tag=")[2]
    assert {name: notify.headers.get(name) for name in ("From", "To", "Call-ID", "Event", "Content-Type")} == {
        "From": f"<sip:MAC%3a000413922D24@224.0.1.75>;tag={tag}",
        "To": "<sip:MAC%3a000413922D24@224.0.1.75>;tag=a1",
        "Call-ID": "1234@192.0.2.7",
        "Event": "ua-profile",
        "Content-Type": "application/url",
    }
    assert (notify.headers.get("Subscription-State") or "").startswith("terminated")

    stranger = notify.response(200).to_bytes()
    mouth.mouth.datagramReceived(stranger, ("192.0.2.9", 5060))
    mouth.clock.advance(0.5)
    assert len(mouth.notifies()) == 2
    mouth.mouth.datagramReceived(stranger, PLACE)
    mouth.clock.advance(60)
    assert len(mouth.notifies()) == 2
    assert not mouth.clock.getDelayedCalls()


def test_a_forged_source_gets_four_datagrams_and_no_more() -> None:
    mouth = Mouth()
    for _ in range(50):
        mouth.mouth.asked(message(), PLACE)
    mouth.clock.pump([0.1] * 100)
    assert len(mouth.said) == 1 + REPEATS
    assert len(mouth.asked) == 1


def test_so_many_at_once_and_no_more() -> None:
    mouth = Mouth()
    for number in range(MOST + 10):
        mouth.mouth.asked(message(), (f"10.0.0.{number}", 5060))
    assert len(mouth.asked) == MOST
    mouth.mouth.stop()
    assert not mouth.clock.getDelayedCalls()


def test_without_a_window_nothing_is_said() -> None:
    mouth = Mouth(url="")
    mouth.mouth.asked(message(), PLACE)
    assert (mouth.said, len(mouth.asked)) == ([], 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 200,
        message(SNOM.replace("SUBSCRIBE", "OPTIONS")),
        message(SNOM.replace("ua-profile", "presence")),
        message(SNOM.replace('profile-type="device"', 'profile-type="user"')),
        message(SNOM.replace("000413922D24", "00041392")),
        message(SNOM.replace("000413922D24", "000413922D24000413922D24")),
        message(SNOM.replace("Call-ID: 1234@192.0.2.7\n", "")),
        message(SNOM.replace("CSeq", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\nCSeq")),
        message(SNOM.replace("Accept", f"X: {'a' * LONGEST}\nAccept")),
        message("SIP/2.0 200 OK\n" + SNOM.partition("\n")[2]),
    ],
)
def test_all_else_gets_no_answer(data: bytes) -> None:
    mouth = Mouth()
    mouth.mouth.asked(data, PLACE)
    assert (mouth.said, mouth.asked) == ([], [])


@pytest.mark.parametrize("name", ["MAC:000413922D24", "MAC%3A000413922d24", "000413922d24", "mac00-04-13-92-2d-24"])
def test_a_phone_names_itself_in_several_spellings(name: str) -> None:
    asked = read_asked(message(SNOM.replace("MAC%3a000413922D24", name)))
    assert asked is not None
    assert asked.address == "000413922d24"
