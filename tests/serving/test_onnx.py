"""ONNX files of single signatures, run by ONNX Runtime, and what is refused."""

import importlib.util

import numpy as np
import pytest
from marks import needs_tensorflow
from model_table import MODELS, data_for, small_flow

from tfflows.testing import randomize

pytestmark = needs_tensorflow
needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec("tf2onnx") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="tf2onnx and onnxruntime are not installed: pip install 'tfflows[serving]'",
)


@needs_onnx
@pytest.mark.parametrize("name", ["real_nvp", "nice"])
def test_an_onnx_file_gives_what_the_flow_gives(name, tmp_path):
    import onnxruntime

    flow = randomize(MODELS[name](), spread=0.1)
    x = data_for(flow, 5).astype("float32")
    z = np.asarray(flow.encode(x))
    calls = {"log_prob": ({"x": x}, flow.log_prob(x)), "decode": ({"z": z}, flow.inverse(z))}
    for signature, (inputs, wanted) in calls.items():
        path = flow.export(tmp_path / f"{signature}.onnx", format="onnx", signature=signature)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        assert [each.name for each in session.get_inputs()] == list(inputs)
        np.testing.assert_allclose(session.run(None, inputs)[0], wanted, atol=1e-4)
        one_row = {key: value[:1] for key, value in inputs.items()}
        np.testing.assert_allclose(session.run(None, one_row)[0], wanted[:1], atol=1e-4)


@needs_onnx
def test_what_onnx_lacks_is_named_and_nothing_is_written(tmp_path):
    flow = MODELS["ffjord"]()
    with pytest.raises(ValueError, match=r"ONNX cannot express log_prob: it lacks .*TanhGrad"):
        flow.export(tmp_path / "flow.onnx", format="onnx")
    with pytest.raises(ValueError, match=r"`signature` to be one of .*Received: 'sample'"):
        flow.export(tmp_path / "flow.onnx", format="onnx", signature="sample")
    assert list(tmp_path.iterdir()) == []


def test_formats_and_arguments_that_cannot_be_are_refused(tmp_path, monkeypatch):
    flow = small_flow(num_couplings=1)
    with pytest.raises(ValueError, match=r"`format` to be one of .*Received: 'onx'; did you mean"):
        flow.export(tmp_path / "1", format="onx")
    with pytest.raises(ValueError, match="input_signature must be None"):
        flow.export(tmp_path / "1", input_signature=[])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'tfflows\[serving\]'"):
        flow.export(tmp_path / "flow.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []
