"""The fate of calls that are up at SIGTERM: kept for the next process, or ended.

The signal does not say whether another process follows. Where the configuration says nothing, calls are kept where all
that they need outlives this process: the media workers that carry them, and the caretaker that ends them where no
other process comes (caretaker.py). Both are processes of this machine, so the question is whether the end of this one
is the end of its world:

    keep_calls = false                            ended   nothing is written down to go on with
    [cluster]                                     kept, where another node waits: it goes on with them, with new media
    process 1                                     ended   the first process of a container ends all others with it
    a pod of Kubernetes                           ended   likewise, whichever process is the first
    a unit of systemd                             kept    KillMode=process spares both; with another one calls get new
                                                          media of the next process, and at a stop the caretaker,
                                                          which is told to end as well, ends them
    a child of process 1, and no unit of systemd  ended   process 1 is the small init of a container, which ends with us
    its parent is out of sight                    ended   it is in another container
    started by any other process                  kept

NOTIFY_SOCKET alone makes no unit of systemd: containers are given it as well.

An rtpengine on another host outlives even a container. It counts for nothing here, since the caretaker does not: with
nobody to follow, a call would be charged for hours.

A file of the configuration that the next process could not start with is the same as no next process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from gateway.config.load import load
from gateway.config.model import AtStop, Configuration, ConfigurationError, GatewaySection


@attrs.frozen
class Parentage:
    """The world of this process, as it was when it started: a parent may be gone later."""

    process: int
    parent: int
    is_systemds: bool
    """Whether it is part of a unit of systemd (systemd.exec(5): INVOCATION_ID)."""
    is_in_pod: bool = False
    """Whether Kubernetes runs it."""

    @classmethod
    def now(cls, environment: Mapping[str, str] = os.environ) -> Parentage:
        """Those of this moment."""
        is_in_pod = "KUBERNETES_SERVICE_HOST" in environment
        return cls(os.getpid(), os.getppid(), "INVOCATION_ID" in environment, is_in_pod)


@attrs.frozen
class Fate:
    """Whether calls are kept, and why, as words after "since"."""

    keeps: bool
    why: str

    @property
    def word(self) -> AtStop:
        """As the configuration would say it."""
        return AtStop.KEEP if self.keeps else AtStop.END


def fate_of_calls(section: GatewaySection, here: Parentage, *, is_another_there: bool | None) -> Fate:
    """The fate of calls at a SIGTERM of this moment. ``is_another_there``: whether another node of the cluster waits;
    None without a cluster."""
    if section.stop is not None:
        return Fate(section.stop is AtStop.KEEP, f'[gateway] has stop = "{section.stop}"')
    if not section.keep_calls:
        return Fate(False, "[gateway] has keep_calls = false")
    if is_another_there is not None:
        return Fate(is_another_there, f"{'another' if is_another_there else 'no other'} node of the cluster waits")
    if here.process == 1:
        return Fate(False, "this is process 1, and a container ends with it")
    if here.is_in_pod:
        return Fate(False, "a pod of Kubernetes ends with this process")
    if here.is_systemds:
        return Fate(True, "systemd runs this process, and media workers outlive it")
    if here.parent == 1:
        return Fate(False, "process 1 started this one and is not systemd: a container would end with it")
    if here.parent == 0:
        return Fate(False, "the parent of this process is out of sight: a container would end with it")
    return Fate(True, "media workers outlive this process")


def fate_with_this_file(fate: Fate, configuration: Configuration) -> Fate:
    """The same, with a look at the file that the next process would read. Only for a fate that nobody has ordered."""
    if not fate.keeps or configuration.gateway.stop is not None:
        return fate
    try:
        following = load(configuration.source).gateway
    except ConfigurationError as error:
        return Fate(False, f"no next process could start: {error.errors[0]}")
    if following.stop is AtStop.END or not following.keep_calls:
        return Fate(False, "the file of the configuration says that the next process keeps no calls")
    if following.state_directory != configuration.gateway.state_directory:
        return Fate(False, "the file of the configuration has another state_directory: the next process finds no calls")
    return fate
