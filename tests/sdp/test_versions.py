"""The o= lines of the descriptions that one peer is given (RFC 3264 section 8)."""

from __future__ import annotations

from gateway.sdp.versions import Versions


def described(origin: str, port: int) -> bytes:
    return f"v=0\r\no=- {origin} IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n".encode()


def test_the_first_description_stays_as_it_is() -> None:
    assert Versions().stamped(described("77 3", 4000)) == described("77 3", 4000)


def test_section_8_a_change_has_the_next_version_of_the_same_session() -> None:
    versions = Versions()
    versions.stamped(described("77 3", 4000))
    assert versions.stamped(described("99 1", 4002)) == described("77 4", 4002)
    assert versions.stamped(described("99 1", 4002)) == described("77 4", 4002)


def test_section_8_the_same_content_has_the_same_version_whatever_the_relay_writes() -> None:
    versions = Versions()
    versions.stamped(described("77 3", 4000))
    assert versions.stamped(described("5 900", 4000)) == described("77 3", 4000)


def test_going_back_to_an_earlier_description_is_a_change() -> None:
    versions = Versions()
    for port in (4000, 4002):
        versions.stamped(described("77 3", port))
    assert versions.stamped(described("77 3", 4000)) == described("77 5", 4000)


def test_a_name_with_spaces_stays_and_a_version_that_is_no_number_counts_from_one() -> None:
    sdp = b"v=0\r\no=A B 1 x IN IP4 192.0.2.1\r\ns=-\r\n"
    assert Versions().stamped(sdp) == sdp.replace(b" x ", b" 1 ")


def test_a_description_without_origin_stays_as_it_is() -> None:
    assert Versions().stamped(b"v=0\r\ns=-\r\n") == b"v=0\r\ns=-\r\n"
