"""All questions of a cluster's store, asked once in a process of its own: by the node `a`, in the reactor.

    python -m tests.support.cluster.store_questions '{"places": [["127.0.0.1", 6379]], "user": "gateway", ...}'

Prints "all answered", or the reason for which one was not.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from gateway.security.alerts.tls_way import VerifiedServer
from gateway.state.cluster.cluster_store import ClusterStore, Lives, Written
from gateway.state.cluster.link import StoreLink, StoreSilent, StoreTerms


async def asked(reactor: Any, told: dict[str, Any]) -> str:
    """The words to print."""
    trust: str = told.get("trust", "")

    def tls(host: str) -> VerifiedServer:
        return VerifiedServer(host, trust)

    places = tuple((host, port) for host, port in told["places"])
    password, sentinel = told["password"].encode(), told.get("sentinel")
    terms = StoreTerms(places, told["user"], password, sentinel, tls if trust else None, patience=5.0)
    store = ClusterStore(StoreLink(terms, reactor), "gateway", "a", time.time)
    try:
        await store.look()
        taken = await store.take(0, Lives(30.0, 0.0), is_active=True)
        if not taken.is_ours:  # an empty store waits as long as a lease that it forgot
            taken = await store.take(0, Lives(30.0, 0.0))
        token = taken.standing.token
        written = await store.write(token, "one", [b"field", b"record"], instead_of="half")
        assert written is Written.WRITTEN, written
        assert await store.complete(token, "one", ("zero", "")) is Written.WRITTEN
        found = [one async for one in store.records("one")]
        assert found == [(b"field", b"record")], found
        assert (await store.renew(token, 30.0, "one"))[0]
        assert await store.write(token, "one", [b"field", b""]) is Written.WRITTEN
        await store.release(token)
    except StoreSilent as error:
        return f"not answered: {error}"
    finally:
        store.close()
    return "all answered"


def main(reactor: Any, told: str) -> Deferred[None]:
    """Print the outcome."""

    async def run() -> None:
        print(await asked(reactor, json.loads(told)), flush=True)

    return Deferred.fromCoroutine(run())


if __name__ == "__main__":
    react(main, sys.argv[1:])
