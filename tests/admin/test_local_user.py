"""Who asks over loopback, as the kernel knows it."""

import os
import pwd
import socket

import pytest

from gateway.admin.local_user import owner_of


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_owner_of_a_connection_on_this_machine_is_known(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with server, socket.create_connection(server.getsockname()[:2]) as client:
        accepted, _ = server.accept()
        with accepted:
            user = pwd.getpwuid(os.getuid()).pw_name
            found = owner_of(client.getsockname()[:2], server.getsockname()[:2])
    assert found == f"{user} (uid {os.getuid()})"


def test_who_is_not_connected_is_nobody() -> None:
    assert owner_of(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
    assert owner_of(("nonsense", 1), ("127.0.0.1", 2)) is None
