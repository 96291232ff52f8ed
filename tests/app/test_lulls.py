"""How the garbage collector is set up."""

import gc

from gateway.app.administration.lulls import THRESHOLDS, YOUNG, collected_young, spare_long_lived


def test_what_exists_is_not_looked_at_again_and_the_rest_seldom() -> None:
    before = gc.get_threshold()
    try:
        spare_long_lived()
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() == THRESHOLDS
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_calls_that_refer_to_themselves_are_still_freed() -> None:
    before = gc.get_threshold()
    try:
        spare_long_lived()
        freed = sum(each["collected"] for each in gc.get_stats())
        for _ in range(100_000):
            cycle: list[object] = []
            cycle.append(cycle)
        assert sum(each["collected"] for each in gc.get_stats()) - freed > 90_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_garbage_of_pages_is_collected_in_a_lull_before_a_call_would_pay_for_it() -> None:
    before = gc.get_threshold()
    try:
        spare_long_lived()
        gc.collect()
        assert not collected_young()
        kept = [[number] for number in range(YOUNG + 50)]
        assert collected_young()
        assert not collected_young()
        assert len(kept) > YOUNG
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
