"""A resolver that answers from a zone written in the test, counts its questions, and can be slow or broken."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSServerError

from gateway.routing.names import Records

KINDS = {"A": dns.A, "AAAA": dns.AAAA, "SRV": dns.SRV, "NAPTR": dns.NAPTR}


class Zone:
    """Lines as in a zone file: "name TTL TYPE data"."""

    def __init__(self, text: str = "") -> None:
        self.asked: list[str] = []
        self.silent: set[str] = set()  # "TYPE name" that is never answered
        self.broken: set[str] = set()  # "TYPE name" that is a server failure
        self.is_silent = False
        self.waiting: list[tuple[str, Deferred[Records]]] = []
        """Questions without an answer."""
        self._records: dict[str, list[dns.RRHeader]] = {}
        self._names: set[str] = set()
        for line in filter(None, (line.strip() for line in text.splitlines())):
            self._add(*line.split())

    def lookupService(self, name: str, timeout: Sequence[int]) -> Deferred[Records]:
        return self._answer("SRV", name)

    def lookupNamingAuthorityPointer(self, name: str, timeout: Sequence[int]) -> Deferred[Records]:
        return self._answer("NAPTR", name)

    def lookupAddress(self, name: str, timeout: Sequence[int]) -> Deferred[Records]:
        return self._answer("A", name)

    def lookupIPV6Address(self, name: str, timeout: Sequence[int]) -> Deferred[Records]:
        return self._answer("AAAA", name)

    def give(self, question: str, late: Deferred[Records]) -> None:
        """A late answer to a question, from this zone."""
        late.callback((self._records.get(question, []), [], []))

    def _add(self, name: str, ttl: str, kind: str, *data: str) -> None:
        self._names.add(name)
        header = dns.RRHeader(name, KINDS[kind], ttl=int(ttl), payload=_payload(kind, data))
        self._records.setdefault(f"{kind} {name}", []).append(header)

    def _answer(self, kind: str, name: str) -> Deferred[Records]:
        question = f"{kind} {name}"
        self.asked.append(question)
        if self.is_silent or question in self.silent:
            silence: Deferred[Records] = Deferred()
            self.waiting.append((question, silence))
            return silence
        if question in self.broken:
            return fail(DNSServerError(dns.Message()))
        if name not in self._names:
            return fail(DNSNameError(dns.Message()))
        return succeed((self._records.get(question, []), [], []))


def _payload(kind: str, data: tuple[str, ...]) -> dns.IEncodableRecord:
    if kind == "A":
        return dns.Record_A(data[0])
    if kind == "AAAA":
        return dns.Record_AAAA(data[0])
    if kind == "SRV":
        return dns.Record_SRV(int(data[0]), int(data[1]), int(data[2]), data[3].encode())
    order, preference, flags, service, replacement = data
    return dns.Record_NAPTR(int(order), int(preference), flags.encode(), service.encode(), b"", replacement.encode())
