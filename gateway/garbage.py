"""How Python's garbage collector runs in a gateway: seldom, and never over what was there before the first call.

Calls, legs and their callbacks refer to one another, so that they are freed by the collector. Left alone it runs
after every 700 new objects and now and then looks at everything, modules and configuration included: tens of
milliseconds in which no message is answered.
"""

import gc
from typing import Final

THRESHOLDS: Final = (5_000, 10, 10)
"""New objects until the youngest are looked at, and how often that happens until older ones are. Some 1,700 calls that
have ended may wait to be freed: about 50 MB."""


def spare_what_stays() -> None:
    """To be called once all is built: what exists now is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
