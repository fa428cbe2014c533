"""A session of Ray: the user's own, one on a cluster, or one on this machine's cores."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from types import ModuleType
from urllib.parse import urlsplit

import keras

from tfflows.utils.errors import first_paragraph
from tfflows.utils.quiet import silent_stderr

# Rows stay in files, so that the store holds little: models on their way, requests, results.
_OBJECT_STORE_BYTES = 2**28
_CONNECT_SECONDS = 10
# Nothing is to be drained where the process that began the session stops its models.
_DIRECT_INGRESS = {
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
}


def import_ray() -> ModuleType:
    """The package ray, or ImportError that names the extra."""
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "Ray is not installed, which tfflows.ray requires: pip install 'tfflows[ray]'"
        ) from error
    return ray


@contextlib.contextmanager
def session(address: str | None = None) -> Iterator[ModuleType]:
    """A session of Ray, which yields the package; one that is begun here ends here.

    A session that this process has already is taken as it is. Without an address and without
    RAY_ADDRESS Ray is started on this machine's cores.

    Args:
        address: of a cluster, such as "auto" or "ray://head:10001".

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: nothing answers at the address.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    start(address)
    try:
        yield ray
    finally:
        ray.shutdown()


def start(address: str | None = None, direct: bool = False) -> None:
    """Begin a session of Ray, on a cluster or on this machine.

    Args:
        address: of a cluster.
        direct: whether replicas of Ray Serve listen themselves; a cluster decides that by its own
            environment.
    """
    ray = import_ray()
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        _check_listens(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _no_ray_at(address, first_paragraph(error)) from error
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray Data's actors make it log an error about what they do as they should.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray will have it
    # The proxy of gRPC imports TensorFlow, which takes longer than the 5 s that Ray Serve waits.
    os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")
    if direct:
        os.environ.update(_DIRECT_INGRESS)
    with silent_stderr():  # Ray says that it took the variables
        ray.init(include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **quiet)


def _check_listens(address):
    """ConnectionError at once where nothing listens, for which Ray takes a minute."""
    url = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        if url.port is not None:
            socket.create_connection((url.hostname, url.port), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _no_ray_at(address, str(error)) from error


def _no_ray_at(address, reason):
    return ConnectionError(
        f"No Ray answers at the address {address!r}: {reason.rstrip('.')}. Begin one by "
        "`ray start --head`, or give no address for this machine's cores"
    )


def check_fit(ray: ModuleType, kind: str, number: int, cpus: int, gpus: float) -> int:
    """How many processes Ray has cores and GPUs for, or ValueError where these are too few.

    Args:
        ray: the package.
        kind: what the processes are called.
        number: processes that are needed.
        cpus, gpus: of each.
    """
    there = ray.cluster_resources()
    fit = int(there.get("CPU", 0) // cpus)
    if gpus:
        fit = min(fit, int(there.get("GPU", 0) / gpus))
    if fit < number:
        raise ValueError(
            f"Ray has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs here, too few "
            f"for {number} {kind} of {cpus} CPUs and {gpus:g} GPUs each"
        )
    return fit


def worker_environment(cpus: int | None = None) -> dict[str, str]:
    """Environment variables of worker processes: the backend of this one, as many threads as cores.

    Args:
        cpus: cores of a worker; None lets the libraries take all.
    """
    variables = {"KERAS_BACKEND": keras.backend.backend(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if cpus is not None:
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
        variables |= dict.fromkeys(names, str(cpus))
    return variables
