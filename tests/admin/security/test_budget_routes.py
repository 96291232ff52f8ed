"""Fallback budgets over HTTP: every domain that has one, and one by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.admin.inspection import Role
from gateway.admin.security.budget_routes import BudgetRoutes
from gateway.config.model import FallbackSpent
from tests.admin.accounts.support import user
from tests.security.budget.test_budgets import CLEAR, GOOD, Office
from tests.support.admin_house import AdminHouse, Reply

PATH = "/api/v1/budgets"


class House:
    """A site of a domain with a budget, and a reader of it."""

    def __init__(self, directory: Path) -> None:
        office = Office(directory, FallbackSpent.REQUIRE)
        office.end(97, GOOD)
        office.end(3, CLEAR)
        self.site = AdminHouse(directory, user("olga", Role.ADMIN), more=BudgetRoutes(office.budgets).routes())
        self.viewer = self.site.token(Role.VIEWER)

    def asked(self, path: str) -> Reply:
        return self.site.ask(path, authorization=f"Bearer {self.viewer}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_each_budget_is_told_with_its_counts_and_its_consequence(house: House) -> None:
    (budget,) = house.asked(PATH).json
    burns, seconds = budget.pop("burns"), budget.pop("seconds_left")
    assert budget == {
        "domain": "example.org",
        "level": "burns",
        "budget": 0.01,
        "floor": 3,
        "when_spent": "require",
        "kept": 97,
        "spent": 3,
        "excused": 0,
        "allowed": 3,
        "left": 0,
    }
    assert [one["window"] for one in burns] == ["5m", "30m", "1h", "6h", "3d"]
    assert {one["burn"] for one in burns} == {3.0}
    assert seconds == 0


@pytest.mark.parametrize("name", ["example.org", "EXAMPLE.org", "example.org."])
def test_one_is_found_by_each_way_to_write_its_domain(house: House, name: str) -> None:
    assert house.asked(f"{PATH}/{name}").json == house.asked(PATH).json[0]


def test_a_domain_without_a_budget_has_none(house: House) -> None:
    answer = house.asked(f"{PATH}/example.com")
    assert (answer.status, answer.json["detail"]) == (404, "There is no domain example.com with a fallback budget.")
