import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "graph.facebook.com"])
def test_the_network_is_blocked(host):
    with pytest.raises(RuntimeError, match="must not use the network"):
        socket.create_connection((host, 443), timeout=0.1)


def test_this_machine_is_not_blocked():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=1).close()
