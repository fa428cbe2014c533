"""What a replica of Ray Serve does: HTTP with JSON and gRPC, batches of requests, metrics."""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from ray import serve
from ray.util.metrics import Counter, Histogram  # pyright: ignore[reportMissingImports]
from starlette.requests import Request
from starlette.responses import Response

from tfflows.ray.shipped_model import ShippedModel
from tfflows.ray.signature_calls import SignatureCall, SignatureCalls
from tfflows.serving.served_flow import ServedFlow

_LATENCY_MS = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4]


def _count_rows(calls):
    return sum(call.rows for call in calls)


class Replica:
    """Answers by the signatures of one SavedModel.

    POST /NAME/SIGNATURE takes the inputs by name as a JSON object and gives the outputs by name;
    GET /NAME says what the signatures are. gRPC is `Predict` of TensorFlow Serving.

    Args:
        name: of the model.
        model: a SavedModel.
        max_rows: rows of a request at most.
        batch_rows: rows of a batch of requests at most; a request of more runs by itself.
        batch_wait: seconds that a request waits for others at most.
    """

    def __init__(
        self, name: str, model: ShippedModel, max_rows: int, batch_rows: int, batch_wait: float
    ):
        with tempfile.TemporaryDirectory() as folder:
            served = ServedFlow(model.write(Path(folder)))
        self._calls = SignatureCalls(served.signatures, max_rows)
        self._calls.warm_up()
        self._description = {
            "name": name,
            "weights_sha256": model.fingerprint,
            "data_schema": served.data_schema.get_config(),
            "signatures": self._calls.describe(),
        }
        self._batch_rows = batch_rows
        queue: Any = self._run_batch
        queue.set_max_batch_size(batch_rows)
        queue.set_batch_wait_timeout_s(batch_wait)
        tags = {"model": name}
        keys = ("model", "signature", "status")
        self._requests = Counter("tfflows_requests", "Requests answered", keys)
        self._rows = Counter("tfflows_rows", "Rows answered", keys)
        self._latency = Histogram("tfflows_latency_ms", "Time of a request", _LATENCY_MS, keys)
        for metric in (self._requests, self._rows, self._latency):
            metric.set_default_tags(tags)

    async def __call__(self, request: Request) -> Response:
        """Answer HTTP."""
        signature = request.url.path.removeprefix(request.scope["root_path"]).strip("/")
        if not signature:
            return _json(self._description)
        if request.method != "POST":
            return _json({"error": f"Expected POST. Received: {request.method}"}, 405)
        try:
            content = json.loads(await request.body())
        except ValueError as error:
            return _json({"error": f"The body is not JSON: {error}"}, 400)
        try:
            return _json(await self._answer(signature, content))
        except KeyError as error:
            return _json({"error": error.args[0]}, 404)
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    async def Predict(self, request, grpc_context):
        """Answer TensorFlow Serving's gRPC."""
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import (  # pyright: ignore[reportMissingImports]
            predict_pb2,
        )

        signature = request.model_spec.signature_name or "serving_default"
        response = predict_pb2.PredictResponse()
        try:
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            outputs = await self._answer(signature, inputs)
        except (KeyError, ValueError, TypeError) as error:
            is_missing = isinstance(error, KeyError)
            code = grpc.StatusCode.NOT_FOUND if is_missing else grpc.StatusCode.INVALID_ARGUMENT
            grpc_context.set_code(code)
            grpc_context.set_details(str(error.args[0]))
            raise
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response

    def check_health(self) -> None:
        """Ray Serve replaces a replica that raises here."""
        self._calls.run([self._calls.check("sample", {"num_samples": 0})])

    async def _answer(self, signature, inputs) -> dict[str, np.ndarray]:
        begun, rows, status = time.perf_counter(), 0, "error"
        try:
            call = self._calls.check(signature, inputs)
            if self._calls.joins(call) and call.rows <= self._batch_rows:
                answer = await self._run_batch(call)
            else:
                (answer,) = await asyncio.to_thread(self._calls.run, [call])
            rows, status = call.rows, "ok"
            return answer
        except KeyError:
            signature = "unknown"  # what clients send is no name of a metric
            raise
        finally:
            tags = {"signature": signature, "status": status}
            self._requests.inc(tags=tags)
            if rows:
                self._rows.inc(rows, tags=tags)
            self._latency.observe(1000 * (time.perf_counter() - begun), tags=tags)

    @serve.batch(batch_size_fn=_count_rows)
    async def _run_batch(self, calls: list[SignatureCall]) -> list[dict[str, np.ndarray]]:
        return await asyncio.to_thread(self._calls.run, calls)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    """JSON, in which null stands for what is not finite."""
    plain = {key: _plain(value) for key, value in content.items()}
    text = json.dumps(plain, allow_nan=False)
    return Response(text, status, media_type="application/json")


def _plain(value):
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        plain = value.astype(object)
        plain[~np.isfinite(value)] = None
        return plain.tolist()
    return value.tolist()
