"""What runs in processes of Ray: one session for all, because each process imports TensorFlow."""

import json
import os
import signal
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from marks import needs_tensorflow
from model_table import small_flow

ray = pytest.importorskip("ray", reason="ray is not installed: the extra `ray`")

from tfflows.ray import score, serve  # noqa: E402
from tfflows.ray.session import start  # noqa: E402

# Of Ray Serve's own settings.
pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`")
RNG = np.random.default_rng(0)
ACTOR = "MapWorker(MapBatches(FileScorer))"


@pytest.fixture(scope="module", autouse=True)
def _session():
    start(direct=True)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def flow():
    flow = small_flow(num_couplings=2)
    flow.set_weights(
        [w + 0.1 * RNG.normal(size=w.shape).astype(w.dtype) for w in flow.get_weights()]
    )
    return flow


def processes(title):
    """Ids of processes with a title, as Ray gives them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if title in text and text.startswith("ray::"):
            found.append(int(path.parent.name))
    return found


def kill_an_actor_after(out, files, killed):
    end = time.monotonic() + 120
    while len(list(out.glob("*.parquet"))) < files and time.monotonic() < end:
        time.sleep(0.005)
    killed.extend(processes(ACTOR)[:1])
    for pid in killed:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the actor to kill by /proc")
def test_a_killed_actor_leaves_each_row_once(tmp_path, flow):
    (tmp_path / "in").mkdir()
    x = RNG.normal(size=(40, 5000, 2)).astype("float32")
    for number, part in enumerate(x):
        key = np.arange(5000) + 5000 * number
        table = pa.table({"a": part[:, 0], "key": key, "b": part[:, 1]})
        pq.write_table(table, tmp_path / f"in/{number:02d}.parquet")
    (tmp_path / "in/bad.parquet").write_bytes(b"PAR1")
    out, killed = tmp_path / "out", []
    killer = threading.Thread(target=kill_an_actor_after, args=(out, 3, killed))
    killer.start()
    done = score(flow, tmp_path / "in", out, ["a", "b"], keep=["key"], skip_bad=True, num_actors=1)
    killer.join()
    assert len(killed) == 1
    assert (done.files, done.rows, list(done.refused)) == (40, 200_000, ["bad.parquet"])
    scores = pq.read_table(out)
    keys = np.asarray(scores["key"].cast("int64"))
    assert np.array_equal(np.sort(keys), np.arange(200_000))
    found = np.empty(200_000, "float32")
    found[keys] = scores["log_prob"]
    expected = flow.log_prob(x.reshape(-1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert sorted(path.name for path in out.glob(".*")) == []


def post(url, content):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body)) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module")
def service(flow):
    grpc_port = 19123 if find_serving_api() else None
    options = {"port": 18123, "grpc_port": grpc_port, "max_rows": 1000, "direct": True}
    with serve(flow, "small", **options) as service:
        yield service


def find_serving_api():
    try:
        import tensorflow_serving  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    return True


@needs_tensorflow
def test_concurrent_requests_are_answered_as_direct_calls(service, flow):
    x = [RNG.normal(size=(1 + n % 5, 2)).astype("float32") for n in range(60)]
    seeds = [RNG.integers(0, 2**31, (1 + n % 3, 2)).tolist() for n in range(60)]

    def ask(number):
        densities = post(f"{service.url}/log_prob", {"x": x[number].tolist()})
        return densities, post(f"{service.url}/sample_seeds", {"seeds": seeds[number]})

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(60)))
    for number, ((code, densities), (_, samples)) in enumerate(answers):
        assert code == 200
        expected = flow.log_prob(x[number])
        np.testing.assert_allclose(densities["log_prob"], expected, rtol=1e-5, atol=1e-5)
        _, alone = post(f"{service.url}/sample_seeds", {"seeds": seeds[number][:1]})
        np.testing.assert_allclose(samples["x"][:1], alone["x"], rtol=1e-5, atol=1e-5)
    _, drawn = post(f"{service.url}/sample", {"num_samples": 4, "seed": 7, "temperature": 0.5})
    expected = flow.sample(4, seed=7, temperature=0.5)
    np.testing.assert_allclose(drawn["x"], expected, rtol=1e-5, atol=1e-5)


@needs_tensorflow
def test_a_replica_answers_directly_as_by_the_proxy(service, flow):
    (replica,) = service.replicas
    assert replica.endswith("/small")
    assert replica != service.url
    x = RNG.normal(size=(3, 2)).astype("float32")
    code, answer = post(f"{replica}/log_prob", {"x": x.tolist()})
    assert code == 200
    np.testing.assert_allclose(answer["log_prob"], flow.log_prob(x), rtol=1e-5, atol=1e-5)
    code, answer = post(f"{replica}/log_prob", {"x": [[1, 2, 3]]})
    assert (code, post(f"{service.url}/log_prob", {"x": [[1, 2, 3]]})) == (400, (400, answer))


@needs_tensorflow
def test_wrong_requests_are_answered_with_what_is_wrong(service):
    for signature, content, status, message in (
        ("log_prob", {"x": [[1, 2, 3]]}, 400, "(n, 2). Received: (1, 3)"),
        ("log_prob", b"{", 400, "The body is not JSON"),
        ("sample", {"num_samples": 1001}, 400, "may have 1,000 rows. Received: 1,001"),
        ("log_prb", {"x": [[1, 2]]}, 404, "did you mean log_prob"),
    ):
        code, answer = post(f"{service.url}/{signature}", content)
        assert code == status
        assert message in answer["error"]
    with pytest.raises(HTTPError, match="405"):
        urllib.request.urlopen(f"{service.url}/log_prob")
    code, answer = post(f"{service.url}/log_prob", {"x": [[1e30, 2]]})
    assert (code, answer) == (200, {"log_prob": [None]})


@needs_tensorflow
def test_a_service_describes_itself_and_counts_what_it_answers(service):
    with urllib.request.urlopen(service.url) as response:
        described = json.load(response)
    assert described["signatures"]["log_prob"]["inputs"] == {"x": [None, 2]}
    post(f"{service.url}/encode", {"x": [[1, 2]] * 3})
    end, lines = time.monotonic() + 40, []
    while not lines and time.monotonic() < end:
        with urllib.request.urlopen(service.metrics[0]) as response:
            text = response.read().decode()
        lines = [
            line
            for line in text.splitlines()
            if line.startswith("ray_tfflows_rows") and 'signature="encode"' in line
        ]
        time.sleep(0.5)
    assert 'model="small"' in lines[0]
    assert float(lines[0].split()[-1]) == 3
    assert "ray_tfflows_latency_ms_bucket" in text


@needs_tensorflow
def test_grpc_answers_as_tensorflow_serving_does(service, flow):
    pytest.importorskip("tensorflow_serving", reason="the extra `ray`")
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(service.grpc))
    x = RNG.normal(size=(3, 2)).astype("float32")
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "log_prob"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x))
    answer = stub.Predict(request, timeout=30).outputs["log_prob"]
    np.testing.assert_allclose(tf.make_ndarray(answer), flow.log_prob(x), rtol=1e-5, atol=1e-5)
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x[:, :1]))
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request, timeout=30)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "Received: (3, 1)" in error.value.details()
