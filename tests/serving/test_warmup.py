"""The requests that TensorFlow Serving warms a model up by, run as it would run them."""

import importlib.util
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from layer_table import randomize
from marks import needs_tensorflow
from model_table import small_flow, small_image_flow

from tfflows.cli.main import main
from tfflows.models import MAF
from tfflows.serving.export import export_flow
from tfflows.serving.warmup import WARMUP_FILE

SIGNATURES = ["decode", "encode", "log_prob", "sample", "sample_seeds", "serving_default"]


def read_requests(folder):
    """(signature, {input: tensor}) and the models' names of a version folder's records."""
    import tensorflow as tf

    serving = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    requests, names = [], set()
    for record in tf.data.TFRecordDataset(str(folder / WARMUP_FILE)):
        log = serving.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        names.add(request.model_spec.name)
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        requests.append((request.model_spec.signature_name, inputs))
    return requests, names


def check(folder, model_name, sizes=(1,), compiled=()):
    """The requests are of one row, and of `sizes` where a signature is compiled for those."""
    import tensorflow as tf

    requests, names = read_requests(folder)
    assert names == {model_name}
    served = tf.saved_model.load(str(folder)).signatures
    found = []
    for signature, inputs in requests:
        for value in served[signature](**inputs).values():
            found.append((signature, value.shape[0]))
            assert np.isfinite(value.numpy()).all()
    wanted = [(s, n) for s in SIGNATURES for n in (sizes if s in compiled else (1,))]
    assert sorted(found) == sorted(wanted)


needs_serving_api = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_serving") is None,
    reason="tensorflow-serving-api, the extra `warmup`, is not installed",
)


@needs_serving_api
@pytest.mark.parametrize(
    "make",
    [small_flow, lambda: small_flow((3,)), small_image_flow, lambda: small_flow(dtype="float64")],
    ids=["points", "condition", "pixels", "float64"],
)
def test_every_signature_has_a_request_that_it_answers(make, tmp_path):
    # A JAX process starts a TensorFlow one for the export, which gets the option too.
    check(randomize(make(), spread=0.1).export(tmp_path / "moons", warmup=True), "moons")


@needs_serving_api
@needs_tensorflow
def test_what_is_compiled_for_a_few_sizes_is_warmed_up_for_each(tmp_path):
    flow = randomize(MAF((2,), num_layers=1, hidden_units=(8,)))
    folder = flow.export(tmp_path / "maf", warmup=True)
    check(folder, "maf", (1, 16, 256), ("decode", "sample", "sample_seeds"))


@needs_serving_api
@needs_tensorflow
def test_a_command_writes_them_too_and_a_failure_leaves_nothing(tmp_path, monkeypatch):
    small_flow(num_couplings=1).save(tmp_path / "flow.keras")
    arguments = ["export", "--model", tmp_path / "flow.keras", "--warmup", "--out"]
    arguments = [str(argument) for argument in arguments]
    done = CliRunner().invoke(main, [*arguments, str(tmp_path / "moons" / "1")])
    assert done.exit_code == 0, done.output
    check(tmp_path / "moons" / "1", "moons")

    def disk_full(folder, signatures):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfflows.serving.export.write_warmup", disk_full)
    done = CliRunner().invoke(main, [*arguments, str(tmp_path / "moons" / "2")])
    assert done.exit_code == 1
    assert "No space left" in done.output
    assert [path.name for path in (tmp_path / "moons").iterdir()] == ["1"]


def test_what_to_install_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    flow = small_flow(num_couplings=1)
    with pytest.raises(ImportError, match=r"pip install 'tfflows\[warmup\]'"):
        export_flow(flow, tmp_path / "moons", warmup=True)
    if keras.backend.backend() == "tensorflow":
        model = tmp_path.with_suffix(".keras")
        flow.save(model)
        arguments = ["export", "--model", str(model), "--warmup", "--out", str(tmp_path / "moons")]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 1
        assert "tfflows[warmup]" in done.output
    assert list(tmp_path.iterdir()) == []


@needs_serving_api
@needs_tensorflow
def test_the_python_client_of_the_readme_gets_the_models_densities(tmp_path):
    """A small server in the place of TensorFlow Serving, which answers by the signatures."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    text = (Path(__file__).parents[2] / "savedmodels" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    flow = randomize(small_flow())
    served = tf.saved_model.load(str(flow.export(tmp_path / "1"))).signatures

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            assert request.model_spec.name in text
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            response = predict_pb2.PredictResponse()
            outputs = served[request.model_spec.signature_name](**as_tensors(inputs))
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

    def as_tensors(inputs):
        return {key: tf.constant(value) for key, value in inputs.items()}

    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    names = {}
    exec(code.replace("8500", str(port)), names)
    server.stop(None)
    wanted = flow.log_prob(np.array([[0.5, 1.0], [9.0, 9.0]], "float32"))
    np.testing.assert_allclose(names["log_prob"], wanted, rtol=1e-5)
