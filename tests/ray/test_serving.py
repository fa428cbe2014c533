"""What a service refuses before Ray starts."""

import socket

import pytest
from marks import needs_tensorflow
from model_table import small_flow

from tfflows.ray import serve

ray = pytest.importorskip("ray", reason="ray is not installed: the extra `ray`")


@needs_tensorflow
def test_a_port_in_use_is_refused_before_ray_starts(monkeypatch):
    def start(*arguments):
        raise AssertionError("Ray was started")

    monkeypatch.setattr("tfflows.ray.serving.start", start)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(OSError, match=rf"Cannot listen to port {port} of 127.0.0.1: .*in use"):
            serve(small_flow(num_couplings=1), "small", port=port, grpc_port=None)


@needs_tensorflow
def test_replicas_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(ValueError, match="too few for 5 replicas of 1 CPUs"):
        serve(small_flow(num_couplings=1), "small", num_replicas=5, grpc_port=None)
