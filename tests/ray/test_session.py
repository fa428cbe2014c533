"""Addresses at which there is no Ray."""

import socket

import pytest
from marks import once

from tfflows.ray.session import start

ray = pytest.importorskip("ray", reason="ray is not installed: the extra `ray`")
pytestmark = once


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_an_address_where_nothing_listens_is_refused_at_once(prefix):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # listens to nothing
        address = f"{prefix}127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"No Ray answers at the address '{address}'"):
            start(address)


def test_a_cluster_that_ray_does_not_find_is_said_with_what_to_do(monkeypatch):
    def init(address, **options):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", init)
    message = r"address 'auto': Could not find any .* instance. Begin one by `ray start --head`"
    with pytest.raises(ConnectionError, match=message):
        start("auto")


def test_an_address_without_a_number_of_a_port_is_refused():
    with pytest.raises(ConnectionError, match=r"'ray://head:port': .*port"):
        start("ray://head:port")
