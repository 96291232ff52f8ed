"""A function in a process of its own: what it measures can be there but once, or must not find others' remains."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")


def fresh(function: Callable[Arguments, Found], *arguments: Arguments.args, **named: Arguments.kwargs) -> Found:
    """What the function gives, or raises, in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **named).result()
