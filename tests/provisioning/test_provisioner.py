"""The decision about each question of a phone: the proof, the name, the way, the window."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.observations import Kind, Observation
from gateway.provisioning.answers_to_phones import NOT_FOUND, FileOutcome, Way
from gateway.provisioning.device_files import DeviceFiles
from gateway.provisioning.provisioner import redacted_path
from gateway.provisioning.standings import NothingBefore
from tests.provisioning.support import OFF, OTHER, PASSWORD, PHONE, PLACE, PREFERRED, SOURCE, STRANGER, House, device


def is_refused(house: House, path: str, **how: object) -> bool:
    reply = house.ask(path, **how)  # type: ignore[arg-type]
    return attrs.evolve(reply, outcome=NOT_FOUND.outcome, make=NOT_FOUND.make) == NOT_FOUND


def test_a_certificate_opens_the_file_of_its_device_alone() -> None:
    house = House()
    assert PASSWORD.encode() in house.ask(f"/{PHONE}.cfg", PHONE).body
    assert PASSWORD.encode() in house.ask(f"/{PHONE.upper()}.CFG", PHONE).body
    assert is_refused(house, f"/{PHONE}.cfg")
    assert is_refused(house, f"/{PHONE}.cfg", certified=OTHER)
    assert is_refused(house, f"/{PHONE}.cfg", certified=STRANGER)
    assert house.told("security.provisioning_mismatch") == [f"asks for {PHONE}"]
    assert len(house.told("security.provisioning")) == 2


def test_a_token_opens_the_file_of_its_device_over_https_alone() -> None:
    house = House()
    path = f"/p/{house.token()}/"
    assert house.ask(f"{path}{PHONE}.cfg").status == 200
    assert is_refused(house, f"{path}{OTHER}.xml")
    assert is_refused(house, f"{path}{PHONE}.cfg", way=Way.HTTP)
    assert is_refused(house, f"{path}{PHONE}.cfg", way=Way.TFTP)
    assert is_refused(house, f"/e/{house.token()}/{PHONE}.cfg")
    assert is_refused(house, f"/e/{house.token()}/{PHONE}.cfg", way=Way.HTTP)
    assert is_refused(house, f"/p/{house.token().upper()}/{PHONE}.cfg")


def test_a_proof_that_is_not_configured_counts_for_nothing() -> None:
    assert is_refused(House(proofs=("token",)), f"/{PHONE}.cfg", certified=PHONE)
    house = House({PHONE: device(), OTHER: device("cisco-spa")}, proofs=("certificate",))
    assert is_refused(house, f"/p/{house.token()}/{PHONE}.cfg")
    sealed = house.estate.find(OTHER)
    assert sealed is not None
    assert is_refused(house, f"/e/{sealed.sealed_token}/{OTHER}.xml", way=Way.HTTP)
    house.estate.enrolment.open(PHONE, None, 60, house.clock.seconds())
    assert is_refused(house, f"/{PHONE}.cfg", way=Way.HTTP)


def test_before_the_secret_is_known_nothing_is_given() -> None:
    house = House()
    fresh = House(table=house.table)
    fresh.estate._by_token.clear()
    assert is_refused(fresh, f"/p/{house.token()}/{PHONE}.cfg")


PATHS = (
    *(
        "",
        "/",
        "//",
        "/p",
        "/p//",
        "/p/x",
        "/../x",
        "/..",
        "/x/../y",
        "x",
        "/%2e%2e/x",
        "/a\x00b",
        "/" + "a" * 65,
        "/x?y",
    ),
    *(f"/{PHONE}.cfg/", f"/{PHONE}.cfg?x=1", f"/./{PHONE}.cfg", f"/q/aa/{PHONE}.cfg", f"/p/a/b/{PHONE}.cfg"),
)


@pytest.mark.parametrize("path", PATHS)
def test_paths_that_are_none_have_the_one_answer(path: str) -> None:
    for way in Way:
        assert is_refused(House(), path, way=way, certified=PHONE if way is Way.HTTPS else None)


@given(st.text(max_size=80), st.sampled_from([*Way]))
def test_no_path_raises_or_gives_a_password(path: str, way: Way) -> None:
    reply = House().ask(path, way=way)
    assert reply.status in (200, 404)
    assert PASSWORD.encode() not in reply.body
    assert len(redacted_path(path)) < 80


def test_a_first_file_is_given_in_a_window_alone_and_until_the_phone_came() -> None:
    house = House()
    name = f"/{PHONE}.cfg"
    for way in (Way.HTTP, Way.TFTP):
        assert is_refused(house, name, way=way)
    house.estate.enrolment.open(PHONE, None, 60, house.clock.seconds())
    for way in (Way.HTTP, Way.TFTP):
        reply = house.ask(name, way=way)
        assert reply.outcome is FileOutcome.BOOTSTRAP
        assert PASSWORD.encode() not in reply.body
        assert f"/p/{house.token()}/".encode() in reply.body
        assert is_refused(house, f"/{OTHER}.xml", way=way)
    assert house.ask(f"/p/{house.token()}/{PHONE}.cfg").status == 200
    assert is_refused(house, name, way=Way.HTTP)
    house.estate.enrolment.open(PHONE, None, 60, house.clock.seconds())
    assert house.ask(name, way=Way.HTTP).status == 200
    house.clock.advance(61)
    assert is_refused(house, name, way=Way.HTTP)


def test_the_window_of_a_network_is_for_devices_that_never_came() -> None:
    house = House()
    assert house.ask(f"/{OTHER}.xml", OTHER).status == 200
    house.estate.enrolment.open("", ip_network("192.0.2.0/24"), 60, house.clock.seconds())
    assert house.ask(f"/{PHONE}.cfg", way=Way.HTTP).status == 200
    assert is_refused(house, f"/{PHONE}.cfg", way=Way.HTTP, source="198.51.100.1")
    assert is_refused(house, f"/{OTHER}.xml", way=Way.HTTP)
    assert house.ask(f"/{PHONE}.cfg", way=Way.HTTP, source="::ffff:192.0.2.9").status == 200
    assert house.ask("/ca.pem", way=Way.HTTP).body == b"CA PEM\n"
    assert is_refused(house, "/ca.pem", way=Way.HTTP, source="198.51.100.1")


def test_a_profile_that_is_encrypted_by_itself_goes_over_http() -> None:
    house = House({PHONE: device("cisco-spa")})
    known = house.estate.find(PHONE)
    assert known is not None
    reply = house.ask(f"/e/{known.sealed_token}/{PHONE}.xml", way=Way.HTTP)
    assert reply.status == 200
    assert reply.body.startswith(b"Salted__")
    assert reply.body == house.ask(f"/e/{known.sealed_token}/{PHONE}.xml", way=Way.HTTP).body
    assert is_refused(house, f"/p/{known.sealed_token}/{PHONE}.xml")
    assert is_refused(house, f"/e/{known.sealed_token}/{PHONE}.xml")
    assert is_refused(house, f"/e/{known.token}/{PHONE}.xml", way=Way.HTTP)


def test_uploads_are_thrown_away_and_nothing_else_is_written() -> None:
    house = House({PHONE: device("polycom")})
    assert house.ask(f"/{PHONE}-boot.log", PHONE, method="PUT").status == 204
    assert house.ask(f"/{PHONE}.cfg", PHONE, method="PUT").status == 404
    assert house.ask(f"/{PHONE}-boot.log", PHONE).status == 404
    for method in ("POST", "DELETE", "OPTIONS", "", "get", "PROPFIND"):
        assert is_refused(house, f"/{PHONE}.cfg", certified=PHONE, method=method)


def test_a_source_that_asks_too_often_waits_whatever_it_asks_for() -> None:
    house = House(rate=1)
    outcomes = [house.ask(f"/{PHONE}.cfg", PHONE).status for _ in range(12)]
    assert outcomes == [200] * 10 + [503] * 2
    assert house.ask("/nothing").status == 503
    assert house.ask(f"/{PHONE}.cfg", PHONE, source="198.51.100.1").status == 200


def test_a_million_addresses_fill_nothing_and_prove_nothing() -> None:
    house = House(rate=1000)
    house.ask(f"/{STRANGER}.cfg", STRANGER)
    for number in range(3000):
        house.ask(f"/{number:012x}.cfg", source=f"10.0.{number // 250}.{number % 250}")
    assert len(house.estate.seen()) == 500
    assert [one.address for one in house.estate.seen() if one.is_certified] == [STRANGER]


def test_the_events_of_one_source_are_limited_and_a_mismatch_is_not_drowned() -> None:
    house = House()
    for number in range(100):
        house.ask(f"/{number:012x}.cfg")
    assert len(house.told("security.provisioning")) == 10
    house.ask(f"/{PHONE}.cfg", OTHER)
    assert len(house.told("security.provisioning_mismatch")) == 1


def test_the_defence_is_told_once_of_each_device_that_is_tried() -> None:
    house, seen = House(), list[Observation]()
    house.metrics.observations.read(seen.append)
    for _ in range(20):
        house.ask(f"/{PHONE}.cfg")
        house.ask("/y000000000000.boot")
        house.ask(f"/{PHONE}.cfg", way=Way.TFTP)
    house.ask(f"/p/{'a' * 26}/{PHONE}.cfg")
    house.ask(f"/{OTHER}.xml", PHONE)
    assert [one.kind for one in seen] == [Kind.PROVISIONING] * 3
    assert all("aaaa" not in one.line for one in seen)
    house.estate.enrolment.open("", ip_network("192.0.2.0/24"), 60, house.clock.seconds())
    house.ask(f"/{STRANGER}.cfg")
    assert len(seen) == 3


def test_generations_say_which_file_a_device_has() -> None:
    house = House()
    files = DeviceFiles(house.estate)
    fetched: list[str] = []
    files.follow(fetched.append)
    assert (files.serves(PHONE), files.serves(STRANGER)) == (True, False)
    assert (files.standing(PHONE), files.standing(STRANGER)) == (house.estate.standings.of(PHONE), None)
    assert house.estate.standings.of(PHONE).generation == 1
    assert house.estate.standings.of(PHONE).fetched < 1
    before = house.ask(f"/{PHONE}.cfg", PHONE)
    assert b"transport_type = 2" in before.body
    assert house.estate.standings.of(PHONE).fetched >= 1
    assert fetched == [PHONE]
    assert files.protect(PHONE, OFF) == 2
    assert files.protect(PHONE, OFF) == 2
    assert house.estate.standings.of(PHONE).fetched < 2
    off = house.ask(f"/{PHONE}.cfg", PHONE, known_mark=before.mark)
    assert off.status == 200
    assert b"transport_type = 0" in off.body
    assert b"srtp_encryption = 0" in off.body
    assert files.roll_back(PHONE) == 3
    assert files.roll_back(PHONE) == 0
    assert files.roll_back(STRANGER) == 0
    back = house.ask(f"/{PHONE}.cfg", PHONE)
    assert (back.body, back.mark) == (before.body, before.mark)
    assert house.estate.standings.of(PHONE).fetched >= 3
    assert house.ask(f"/{PHONE}.cfg", PHONE, known_mark=f'"x", W/{back.mark}').status == 304


def test_other_settings_are_another_generation_and_take_an_override_back() -> None:
    house = House()
    files = DeviceFiles(house.estate)
    house.estate.adopt(house.files())
    assert house.estate.standings.of(PHONE).generation == 1
    files.protect(PHONE, OFF)
    house.devices = {PHONE: device(model="T46")}
    house.estate.adopt(house.files())
    assert house.estate.standings.of(PHONE).generation == 3
    assert house.estate.standings.of(PHONE).effective is OFF
    house.devices = {PHONE: device(model="T46", security=PREFERRED)}
    house.estate.adopt(house.files())
    assert house.estate.standings.of(PHONE).effective is PREFERRED
    assert files.roll_back(PHONE) == 5
    assert house.estate.standings.of(PHONE).effective is OFF
    assert not files.serves(OTHER)


def test_a_restart_keeps_generations_and_tokens_that_are_worth_nothing() -> None:
    house = House()
    old = house.token()
    house.estate.rotate(PHONE)
    assert house.token() != old
    again = House(table=house.table)
    assert again.token() == house.token()
    assert is_refused(again, f"/p/{old}/{PHONE}.cfg")
    assert again.ask(f"/p/{again.token()}/{PHONE}.cfg").status == 200


def test_rows_that_another_version_wrote_are_left_out() -> None:
    house = House()
    house.table.rows[f"standing {PHONE}"] = {"generation": "x", "tokens": -1}
    house.table.rows["standing ../x"] = {"generation": 7}
    house.table.rows[f"standing {OTHER}"] = {"generation": 7, "protection": "none", "later": True}
    again = House(table=house.table)
    assert again.estate.standings.of(PHONE).generation == 1
    assert again.estate.standings.of(OTHER).generation == 1


def test_a_template_that_fails_fails_for_its_device_alone(tmp_path: Path) -> None:
    (tmp_path / "yealink.cfg").write_text("{{ missing }}")
    house = House(directory=tmp_path)
    assert house.ask(f"/{PHONE}.cfg", PHONE).status == 500
    assert house.ask(f"/{OTHER}.xml", OTHER).status == 200
    (failed,) = [event for _, event in house.metrics.events.after(0) if event.name == "provisioning.failed"]
    assert failed.who == PHONE


def test_nothing_that_can_be_printed_shows_a_secret() -> None:
    house = House({PHONE: device(options={"x": PASSWORD})})
    known = house.estate.find(PHONE)
    assert known is not None
    reply = house.ask(f"/{PHONE}.cfg", PHONE)
    for shown in (repr(known), repr(reply), repr(house.estate.links(known)), house.estate.shown(known).decode()):
        assert PASSWORD not in shown
        assert known.token not in shown
    assert redacted_path(f"/p/{known.token}/{PHONE}.cfg") == f"/p/~/{PHONE}.cfg"


def test_without_https_only_files_that_are_encrypted_by_themselves_are_there() -> None:
    place = attrs.evolve(PLACE, https_port=0)
    house = House({PHONE: device("cisco-spa"), OTHER: device("snom")}, place)
    known = house.estate.find(PHONE)
    assert known is not None
    assert house.ask(f"/e/{known.sealed_token}/{PHONE}.xml", way=Way.HTTP).status == 200
    assert house.ask(f"/{OTHER}.xml", OTHER).status == 500


def test_there_is_one_way_back() -> None:
    house = House()
    with pytest.raises(NothingBefore):
        house.estate.standings.roll_back(PHONE)


def test_a_device_that_asks_everybody_is_led_to_its_first_file_in_a_window_alone() -> None:
    house = House()
    assert house.provisioner.first_url(PHONE, SOURCE, "") == ""
    house.estate.enrolment.open(PHONE, None, 60, house.clock.seconds())
    assert house.provisioner.first_url(PHONE, SOURCE, "") == "http://phones.example.com:8081/"
    assert house.provisioner.first_url(OTHER, SOURCE, "") == "", "the window is of another device"
    house.estate.enrolment.open(OTHER, None, 60, house.clock.seconds())
    assert house.provisioner.first_url(OTHER, SOURCE, "") == "http://phones.example.com:8081/{mac}.xml"
    assert house.token() not in house.provisioner.first_url(PHONE, SOURCE, "")
    house.clock.advance(61)
    assert house.provisioner.first_url(PHONE, SOURCE, "") == ""
    assert house.told("security.provisioning") == ["no window is open for it"] * 3


def test_a_device_that_nobody_knows_is_seen_and_told_nothing() -> None:
    house = House()
    assert house.provisioner.first_url(STRANGER, SOURCE, "Yealink SIP-T46S 66.85.0.5") == ""
    (seen,) = house.estate.seen()
    assert (seen.address, seen.told.make, seen.is_certified) == (STRANGER, "yealink", False)


def test_where_tokens_count_for_nothing_the_url_is_that_of_phones_with_a_certificate() -> None:
    house = House(proofs=("certificate",))
    house.estate.enrolment.open(PHONE, None, 60, house.clock.seconds())
    assert house.provisioner.first_url(PHONE, SOURCE, "") == "https://phones.example.com:8443/"


def test_who_asks_everybody_too_often_is_not_heard() -> None:
    house = House(rate=1)
    house.estate.enrolment.open(PHONE, None, 60, house.clock.seconds())
    told = [house.provisioner.first_url(PHONE, SOURCE, "") for _ in range(30)]
    assert told.count("") >= 15
