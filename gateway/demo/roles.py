"""Who is who in the demonstration: users, the extension, and the tone by which each end is known.

What lives here: the constants that provider, phone and report share. Each end plays its own tone, so that an echo or
a loop cannot pass for two-way audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PASSWORDS: Mapping[str, str] = MappingProxyType({"alice": "secret", "bob": "secret"})
CALLER = "alice"
EXTENSION = "echo"

PHONE_TONE = 440  # Hz
PROVIDER_TONE = 880  # Hz
