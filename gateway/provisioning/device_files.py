"""The files of phones as a roll-out sees them: whether a device has the one that is wanted, and the way back.

    protect(device, REQUIRED) -> generation 4        fetched by the phone -> standing(device).fetched is 4, follow
    roll_back(device)         -> generation 5, with the protection of generation 3

Devices are named by their hardware addresses, 12 digits in lower case. Here: this one view. Not here: everything else.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gateway.config.device_file import LegProtection
from gateway.provisioning.estate import Estate
from gateway.provisioning.standings import FileStanding, NothingBefore


@attrs.frozen
class DeviceFiles:
    """The view. All answers are at once, and nothing fails."""

    estate: Estate

    def serves(self, device: str) -> bool:
        """Whether a device's file comes from here."""
        return self.estate.find(device) is not None

    def standing(self, device: str) -> FileStanding | None:
        """How a device stands with its file; None where none comes from here."""
        return self.estate.standings.of(device) if self.serves(device) else None

    def protect(self, device: str, protection: LegProtection) -> int:
        """Have a device's file ask for a protection from now on; the generation that does, 0 where there is no file."""
        return self.estate.standings.protect(device, protection) if self.serves(device) else 0

    def roll_back(self, device: str) -> int:
        """Have a device's file ask for the protection of before; the generation that does. Nothing happens, and the
        answer is 0, where there is no file or nothing to go back to."""
        try:
            return self.estate.standings.roll_back(device) if self.serves(device) else 0
        except NothingBefore:
            return 0

    def follow(self, follower: Callable[[str], None]) -> None:
        """Tell of each later fetch of a device's own file, by the device. It must be quick, and must not raise."""
        self.estate.standings.follow(follower)
