"""Thirty phones behind one address, one of them with a wrong password: that user alone is slowed.

28 phones are of sipp, and each registers and calls twice; two are of pjsua2, a good one and the one whose password is
wrong. An eager sipp asks for the wrong one, too, five times a second: phones in the wild do.
"""

from __future__ import annotations

from tests.support.attacks.street import DOMAIN, GATEWAY, OFFICE, PASSWORDS, PORT, Street, tally

PROXY = f"{GATEWAY}:{PORT}"
STALE, GOOD = "229", "228"
OTHERS = [str(number) for number in range(200, 228)]
ROUNDS = 2
OLD = "of-last-year"


def test_one_wrong_password_slows_its_user_alone(street: Street) -> None:
    street.start_answerer()
    users = street.directory / "users.csv"
    lines = (f"{user};[authentication username={user} password={PASSWORDS[user]}]\n" for user in OTHERS)
    users.write_text("SEQUENTIAL\n" + "".join(lines))

    wrong = street.script("stale.xml", {"USER": STALE, "PASSWORD": OLD})
    stale = street.sipp("street", OFFICE, wrong, PROXY, "-t", "un", "-r", "5", "-m", "1000")
    calls = street.script("office.xml", {})
    often = ("-t", "un", "-inf", str(users), "-r", "8", "-m", str(ROUNDS * len(OTHERS)))
    office = street.sipp("street", OFFICE, calls, PROXY, *often)

    assert street.telephone(STALE, OLD).ask_registration() != 200
    good = street.telephone(GOOD, PASSWORDS[GOOD])
    good.register()
    good.call(f"sip:echo@{DOMAIN}")
    good.wait_answered()
    good.hangup()

    assert office.wait_ended(40) == 0, office.tail()
    assert stale.is_running
    stale.stop()
    assert tally(office) == (ROUNDS * len(OTHERS), 0)
    assert 1 <= len(street.guesses(STALE)) <= 10
    assert street.alerts.of("security.banned", OFFICE) == []
