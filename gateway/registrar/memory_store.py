"""Bindings in memory: every look-up reads these, with a file behind them or without.

Three indexes: address of record to its bindings, token to binding, and a heap of expiry times; its outdated entries
are dropped when they surface (a refresh leaves one behind; the heap is rebuilt before they outnumber the bindings).
Every operation is O(1) or O(log n) in the number of all bindings. Bindings are found by the flow that they came over
too: a request from there is their phone's, and the end of a connection is known to them at once (RFC 5626 section 5.3:
nobody is reached over another's connection).
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator

from gateway.registrar.binding import Binding, StoreFull
from gateway.transport.flow import FlowKey

Key = tuple[str, str]
"""Address of record and contact."""


class MemoryStore:
    """A LocationStore that forgets everything at the end of the process. ``now`` gives seconds since the epoch."""

    def __init__(self, now: Callable[[], float], capacity: int = 200_000) -> None:
        self._now = now
        self._capacity = capacity
        self._by_aor: dict[str, tuple[Binding, ...]] = {}  # the latest saved last; few have more than one
        self._by_token: dict[str, Binding] = {}
        self._tokens_over: dict[FlowKey, dict[str, None]] = {}  # in the order that they were saved in
        self._unreachable: set[str] = set()  # tokens
        self._expiries: list[tuple[float, str, str]] = []
        self._count = 0
        self.sources: Counter[str] = Counter()
        """How many bindings came from each source (`FlowKey.source`); no entry where there are none."""

    def save(self, binding: Binding) -> None:
        """See LocationStore."""
        same_token = self._by_token.get(binding.token)
        replaced = self._binding_of(binding.aor, binding.contact)
        if same_token is None and replaced is None and self._count >= self._capacity:
            raise StoreFull(f"{self._capacity} bindings are held, the most that fit")
        if replaced is not None and replaced is same_token and self._is_refreshed(replaced, binding):
            self._by_aor[binding.aor] = (*self._others(replaced), binding)
            self._by_token[binding.token] = binding
            self._note_flow(binding)
            self._schedule(binding)
            return
        for previous in (same_token, replaced if replaced is not same_token else None):
            if previous is not None:
                self.remove(previous.aor, previous.contact)
        self._by_aor[binding.aor] = (*self._by_aor.get(binding.aor, ()), binding)
        self._by_token[binding.token] = binding
        self._note_flow(binding)
        self._count += 1
        self.sources[binding.came_over.source] += 1
        self._schedule(binding)

    def remove(self, aor: str, contact: str) -> None:
        """See LocationStore."""
        binding = self._binding_of(aor, contact)
        if binding is None:
            return
        left = self._others(binding)
        if left:
            self._by_aor[aor] = left
        else:
            del self._by_aor[aor]
        del self._by_token[binding.token]
        self._unreachable.discard(binding.token)
        self._leave_flow(binding)
        self._count -= 1
        source = binding.came_over.source
        self.sources[source] -= 1
        if not self.sources[source]:
            del self.sources[source]

    def remove_flow(self, flow: FlowKey) -> list[Binding]:
        """See LocationStore."""
        tokens = self._tokens_over.pop(flow, {}) if flow.connection else {}
        self._unreachable.update(tokens)
        return [self._by_token[token] for token in tokens]

    def is_reachable(self, binding: Binding) -> bool:
        """See LocationStore."""
        return binding.token not in self._unreachable

    def set_reachable(self, binding: Binding, *, is_reachable: bool) -> None:
        """See LocationStore."""
        if is_reachable:
            self._unreachable.discard(binding.token)
        elif binding.token in self._by_token:
            self._unreachable.add(binding.token)

    @property
    def unreachable(self) -> int:
        """See LocationStore."""
        return len(self._unreachable)

    def find(self, aor: str) -> list[Binding]:
        """See LocationStore."""
        bound = self._by_aor.get(aor)
        if not bound:
            return []
        now = self._now()
        if len(bound) == 1:
            return [*bound] if bound[0].expires_at > now else []
        latest_first = reversed(bound)
        live = [item for item in latest_first if item.expires_at > now]
        return live if len(live) < 2 else sorted(live, key=lambda item: (item.token in self._unreachable, -item.q))

    def over(self, flow: FlowKey) -> list[Binding]:
        """See LocationStore."""
        now = self._now()
        bound = (self._by_token[token] for token in self._tokens_over.get(flow, ()))
        return [item for item in bound if item.expires_at > now]

    def find_token(self, token: str) -> Binding | None:
        """See LocationStore."""
        binding = self._by_token.get(token)
        return binding if binding is not None and binding.expires_at > self._now() else None

    def all(self) -> Iterator[Binding]:
        """See LocationStore."""
        return iter(self._by_token.values())

    def expire(self, now: float) -> int:
        """See LocationStore."""
        return len(self.take_expired(now))

    def take_expired(self, now: float) -> list[Binding]:
        """Forget the bindings that have expired by ``now``, and return them."""
        expired = []
        while self._expiries and self._expiries[0][0] <= now:
            at, aor, contact = heapq.heappop(self._expiries)
            binding = self._binding_of(aor, contact)
            if binding is not None and binding.expires_at == at:
                self.remove(aor, contact)
                expired.append(binding)
        return expired

    def __len__(self) -> int:
        return self._count

    def _is_refreshed(self, previous: Binding, binding: Binding) -> bool:
        """Whether no index has changed; an unreachable binding has to be found by its flow again."""
        if binding.token in self._unreachable:
            return False
        if previous.flow is binding.flow and previous.source is binding.source:
            return True
        return (previous.flow, previous.came_over) == (binding.flow, binding.came_over)

    def _others(self, binding: Binding) -> tuple[Binding, ...]:
        return tuple(other for other in self._by_aor[binding.aor] if other is not binding)

    def _binding_of(self, aor: str, contact: str) -> Binding | None:
        for binding in self._by_aor.get(aor, ()):
            if binding.contact == contact:
                return binding
        return None

    def _note_flow(self, binding: Binding) -> None:
        tokens = self._tokens_over.setdefault(binding.came_over, {})
        tokens.pop(binding.token, None)
        tokens[binding.token] = None

    def _leave_flow(self, binding: Binding) -> None:
        tokens = self._tokens_over.get(binding.came_over, {})
        tokens.pop(binding.token, None)
        if not tokens:
            self._tokens_over.pop(binding.came_over, None)

    def _schedule(self, binding: Binding) -> None:
        heapq.heappush(self._expiries, (binding.expires_at, binding.aor, binding.contact))
        if len(self._expiries) > 2 * self._count + 1_000:
            self._expiries = [(item.expires_at, item.aor, item.contact) for item in self._by_token.values()]
            heapq.heapify(self._expiries)
