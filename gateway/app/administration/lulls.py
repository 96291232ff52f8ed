"""Work that waits for a lull between messages of calls: requests for pages, and the garbage collector's.

The collector stops the process while it looks. So it looks at little at once, and in a lull, before it is due in the
middle of a call.

A call is freed when it ends, without the collector (`tests/b2bua/test_freed.py`), so little is there to be found of
calls. But each call that is up is some hundred objects, and with five thousand a look at all takes 0.3 s: far more than
there is to gain. Requests for pages do leave objects in circles, some hundreds each.
"""

from __future__ import annotations

import gc
from typing import Final

from twisted.internet.task import LoopingCall

from gateway.admin.turns import Turns
from gateway.app.parts import Basis
from gateway.transport.layer import TransportLayer

THRESHOLDS: Final = (1_000, 4, 2_500)
"""New objects, less those that were freed, until the youngest are looked at (half a millisecond); how often that
happens until those of middle age are (two milliseconds); and how often that, until all are: after some million objects,
so that circles of long life are freed in the end."""

YOUNG: Final = 500
"""So many new objects are looked at in a lull, before the threshold comes."""
ROUNDS: Final = 3
"""Likewise for those of middle age."""
LOOK_SECONDS: Final = 0.025
"""Between two looks whether there are so many."""


def turns(basis: Basis, transport: TransportLayer) -> Turns:
    """The turns of all work for readers of pages."""
    return Turns(basis.reactor, messages=lambda: transport.message_count, first=collected_young)


def spare_long_lived() -> None:
    """To be called once all is built: existing objects are not looked at again, after this one time."""
    gc.unfreeze()  # those of the imports, see app/options
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def tidying(turns: Turns) -> LoopingCall:
    """Has young objects looked at in time, once it is started."""
    return LoopingCall(lambda: turns.next() if gc.get_count()[0] >= YOUNG else None)


def collected_young() -> bool:
    """Whether enough young objects were there to look for garbage among them, which is done then."""
    young, rounds, _ = gc.get_count()
    if young < YOUNG:
        return False
    gc.collect(1 if rounds >= ROUNDS else 0)
    return True
