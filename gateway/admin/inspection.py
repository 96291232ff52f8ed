"""What the administration interface asks the running gateway.

What lives here: the questions, as a Protocol that service.py answers. What does not: HTTP (`api`), pages (`pages`),
and how anything is found out. Answers are JSON values that hold no secret; they are copies, which nobody changes
afterwards.
"""

from typing import Protocol, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Row: TypeAlias = dict[str, Json]


class Inspection(Protocol):
    """A look at the running gateway; no method changes anything, blocks or fails."""

    def calls(self) -> list[Row]:
        """Calls that are up and those kept after their end, the latest first: a summary of each."""

    def call(self, call_id: str) -> Row | None:
        """All that is known of one call: its ladder, its chain of reasons; None when there is none of that id."""

    def phones(self) -> list[Row]:
        """The bindings of phones that have not expired."""

    def domains(self) -> list[Row]:
        """The configured domains and their policy."""

    def peers(self) -> list[Row]:
        """The providers, and what each was last seen to do."""
