"""Models served by Ray Serve: replicas that answer HTTP and gRPC by the names of signatures."""

import dataclasses
import importlib.util
import logging
import re
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfflows.flow import Flow
from tfflows.ray.session import check_fit, import_ray, start, worker_environment
from tfflows.ray.shipped_model import ShippedModel
from tfflows.saving import load_flow
from tfflows.utils.checks import check_positive

if TYPE_CHECKING:
    from types import TracebackType

_SERVICER = (
    "tensorflow_serving.apis.prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server"
)


@dataclasses.dataclass(frozen=True)
class Service:
    """A model that is being served; as a context it ends with its block.

    Attributes:
        name: of the model.
        url: of the model: POST `url`/log_prob.
        grpc: host:port of gRPC, or None.
        replicas: URLs of the replicas themselves, where these listen.
        metrics: URLs of Prometheus metrics, one per machine.
    """

    name: str
    url: str
    grpc: str | None
    replicas: tuple[str, ...]
    metrics: tuple[str, ...]

    def stop(self) -> None:
        """Serve this model no longer; the last one ends Ray Serve."""
        from ray import serve

        serve.delete(self.name)
        if not serve.status().applications:
            serve.shutdown()

    def __enter__(self) -> "Service":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        self.stop()


def serve(
    model: "Flow | str | Path",
    name: str | None = None,
    *,
    num_replicas: int = 1,
    cpus_per_replica: int = 1,
    gpus_per_replica: float = 0,
    batch_rows: int = 1024,
    batch_wait: float = 0.002,
    max_rows: int = 100_000,
    host: str = "127.0.0.1",
    port: int = 8000,
    grpc_port: int | None = 9000,
    direct: bool = False,
    address: str | None = None,
) -> Service:
    """Serve a model by the signatures of its SavedModel (`Flow.export`).

    `POST http://HOST:PORT/NAME/SIGNATURE` takes the inputs by name as a JSON object, and gives the
    outputs by name; `GET http://HOST:PORT/NAME` says what the signatures are. A wrong request is
    answered 400 with {"error": message}. gRPC is TensorFlow Serving's `PredictionService.Predict`.

    Requests that wait at the same time are run as one batch. Each row's answer depends on its own
    inputs only, and seeds are inputs, so that batches change nothing but rounding.

    Example:
        with tfflows.ray.serve("savedmodels/moons", "moons") as service:
            requests.post(f"{service.url}/log_prob", json={"x": [[0.5, 1.0]]}).json()

    Args:
        model: a flow, or what `tfflows.load_model` takes. What is not a SavedModel is exported.
        name: of the model in URLs; by default that of the file, the folder or the zoo.
        num_replicas: processes that answer, each with the model in memory.
        cpus_per_replica: cores of each.
        gpus_per_replica: GPUs of each.
        batch_rows: rows of a batch at most.
        batch_wait: seconds that a request waits for others at most.
        max_rows: rows of a request at most.
        host, port: where to listen to HTTP; "0.0.0.0" is for every interface.
        grpc_port: where to listen to gRPC; None does not. The first model of a session of Ray
            decides `host` and both ports, and later ones are served beside it.
        direct: whether each replica listens to HTTP itself as well, on a port of its own
            (`Service.replicas`), for a load balancer: without Ray Serve's proxy a request takes a
            fraction of the time.
        address: of a cluster; None takes the session of Ray that there is, or this machine.

    Returns:
        A `Service`. Ray goes on until `ray.shutdown()` or the end of this process.

    Raises:
        OSError, ValueError: the model cannot be loaded, an argument is out of range, a port is
            used by another process, or there are fewer cores or GPUs than asked for.
        ImportError: Ray, or tensorflow-serving-api for gRPC, is not installed.
        RuntimeError: Ray Serve could not start the replicas, or `direct` was asked of a session of
            Ray that was begun without it.
    """
    ray = import_ray()
    _check_grpc(grpc_port)
    check_positive(num_replicas=num_replicas, batch_rows=batch_rows, max_rows=max_rows)
    check_positive(cpus_per_replica=cpus_per_replica)
    name = _default_name(model) if name is None else name
    if not re.fullmatch(r"[\w.-]+", name):
        raise ValueError(f"Expected a name of letters, digits, '.', '_', '-'. Received: {name!r}")
    shipped = _as_savedmodel(model)
    is_ours = not ray.is_initialized()
    if is_ours:
        if address is None:
            _check_free(host, port, grpc_port)
        start(address, direct)
    try:
        check_fit(ray, "replicas", num_replicas, cpus_per_replica, gpus_per_replica)
    except ValueError:
        if is_ours:
            ray.shutdown()
        raise
    from ray import serve as ray_serve

    from tfflows.ray.replica import Replica

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    options = {"port": grpc_port, "grpc_servicer_functions": [_SERVICER]} if grpc_port else None
    ray_serve.start(http_options={"host": host, "port": port}, grpc_options=options)
    deployment = ray_serve.deployment(
        name=f"{name}-replica",
        num_replicas=num_replicas,
        max_ongoing_requests=1000,
        ray_actor_options={
            "num_cpus": cpus_per_replica,
            "num_gpus": gpus_per_replica,
            "runtime_env": {"env_vars": worker_environment(cpus_per_replica)},
        },
    )(Replica)
    app = deployment.bind(name, shipped, max_rows, batch_rows, batch_wait)
    ray_serve.run(app, name=name, route_prefix=f"/{name}")
    grpc = f"{host}:{grpc_port}" if grpc_port else None
    replicas = _replicas(name, host, port) if direct else ()
    return Service(name, f"http://{host}:{port}/{name}", grpc, replicas, _metrics(ray))


def _check_free(host, *ports):
    """OSError for a port that is used: Ray Serve waits a minute then, and gives no reason."""
    for port in ports:
        if port is None:
            continue
        try:
            socket.create_server((host, port), family=socket.AF_INET).close()
        except OSError as error:
            reason = error.strerror or error
            raise OSError(
                f"Cannot listen to port {port} of {host}: {reason}; give another port"
            ) from error


def _check_grpc(port):
    if port is not None and importlib.util.find_spec("tensorflow_serving") is None:
        raise ImportError(
            "gRPC is answered in the format of tensorflow-serving-api, which is not installed: "
            "pip install 'tfflows[ray]', or serve without gRPC: grpc_port=None, --grpc-port 0"
        )


def _default_name(model):
    if isinstance(model, Flow):
        return model.name
    path = Path(str(model).removeprefix("zoo:"))
    return path.parent.name if path.name.isdigit() else path.stem


def _as_savedmodel(model):
    flow = load_flow(model) if isinstance(model, str | Path) else model
    if not isinstance(flow, Flow):
        return ShippedModel.of(flow)
    with tempfile.TemporaryDirectory() as folder:
        return ShippedModel.of(load_flow(flow.export(Path(folder) / "1")))


def _replicas(name, host, port):
    """URLs at which replicas listen, or RuntimeError where they do not."""
    from ray.serve.context import _get_global_client  # pyright: ignore[reportMissingImports]

    client: Any = _get_global_client()
    groups = client.get_serve_details()["target_groups"]
    found = tuple(
        f"http://{target['ip'] if host == '0.0.0.0' else host}:{target['port']}/{name}"
        for group in groups
        if group["protocol"] == "HTTP" and group["route_prefix"] == f"/{name}"
        for target in group["targets"]
        if target["port"] != port
    )
    if not found:
        raise RuntimeError(
            "direct=True expects a session of Ray that it began, or a cluster whose machines have "
            "RAY_SERVE_ENABLE_DIRECT_INGRESS=1 in their environment. No replica listens itself here"
        )
    return found


def _metrics(ray):
    """Addresses of the metrics of all machines."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["MetricsExportPort"]]
    return tuple(
        f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics" for node in nodes
    )
