"""What an established TLS connection keeps of its handshake: nothing that grows with the certificate chain."""

import ctypes
import gc
from pathlib import Path

from gateway.config.model import Listener, Side
from gateway.transport.flow import Address, TlsTerms
from gateway.transport.tls.channel import TlsChannel
from gateway.transport.tls.contexts import ClientTls, ServerTls
from tests.support.tls_authority import Authority

NAME = "gateway.example.com"
CONNECTIONS = 50


class _Heap(ctypes.Structure):
    """struct mallinfo2 of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def heap_kib() -> float:
    """What C code has allocated and not freed, OpenSSL's memory above all."""
    gc.collect()
    mallinfo = ctypes.CDLL("libc.so.6").mallinfo2
    mallinfo.restype = _Heap
    return float(mallinfo().uordblks) / 1024


def server_of(directory: Path, authority: Authority, chain: int) -> ServerTls:
    """A listener's TLS whose chain has that many certificates too many."""
    certificate, key = authority.issue("gateway", NAME)
    certificate.write_bytes(certificate.read_bytes() + authority.file.read_bytes() * chain)
    return ServerTls(Listener("phones", Side.PHONES, "tls", "127.0.0.1", 5061, None, certificate, key))


def shaken(server: ServerTls, authority: Authority) -> tuple[TlsChannel, TlsChannel]:
    """Both ends of a connection whose handshake is complete."""
    near = server.channel()
    far = ClientTls().channel(TlsTerms(authority.file), NAME, Address("127.0.0.1", 5061))
    far.start()
    for _ in range(3):
        near.receive(far.outgoing())
        far.receive(near.outgoing())
    assert near.is_open
    assert far.is_open
    return near, far


def test_nothing_is_kept_of_a_long_chain(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = server_of(tmp_path, authority, chain=40)
    ends = [shaken(server, authority)[0] for _ in range(5)]
    before = heap_kib()
    ends += [shaken(server, authority)[0] for _ in range(CONNECTIONS)]
    assert (heap_kib() - before) / CONNECTIONS < 40  # of which the hybrid key exchange, which both ends can do, has 8
    assert len(ends) == CONNECTIONS + 5


def test_messages_of_any_size_pass_both_ways(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    near, far = shaken(server_of(tmp_path, authority, chain=3), authority)
    for size in (1, 600, 40_000, 600):
        near.send(b"x" * size)
        assert b"".join(far.receive(near.outgoing())) == b"x" * size
        far.send(b"y" * size)
        assert b"".join(near.receive(far.outgoing())) == b"y" * size
    near.close()
    far.receive(near.outgoing())
    assert far.has_peer_closed
