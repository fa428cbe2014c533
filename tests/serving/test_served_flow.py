"""A SavedModel from Python: samples, names, and what it says of itself."""

import json

import numpy as np
import pytest
from command import run
from keras import ops
from layer_table import randomize
from marks import needs_tensorflow
from model_table import small_flow, small_image_flow

import tfflows
from tfflows.serving.description import DESCRIPTION_FILE
from tfflows.utils.data_schema import DataSchema

pytestmark = needs_tensorflow


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A conditional flow with names, and its SavedModel."""
    flow = randomize(small_flow(condition_shape=(2,), num_couplings=1))
    flow.data_schema = DataSchema(("height", "width"), "kind", ("cat", "dög"))
    return flow, flow.export(tmp_path_factory.mktemp("served") / "pets")


def test_samples_are_those_of_the_flow(exported):
    flow, folder = exported
    served = tfflows.load_model(folder)
    rows = np.eye(2, dtype="float32")[[0, 1, 1]]
    for condition in (rows, rows[1:2]):
        x = served.sample(3, condition, seed=7, temperature=0.5)
        wanted = ops.convert_to_numpy(flow.sample(3, condition, seed=7, temperature=0.5))
        np.testing.assert_allclose(x, wanted, atol=1e-5)
        again, log_prob = served.sample_and_log_prob(3, condition, 7, 0.5)
        np.testing.assert_array_equal(again, x)
        np.testing.assert_allclose(log_prob, flow.log_prob(x, condition), atol=1e-4)
    assert not np.array_equal(served.sample(3, rows), served.sample(3, rows))
    assert served.sample(0, rows[:1]).shape == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, None), r"condition of shape \(2,\) per row\. Received: None"),
        ((3, np.zeros((3, 4))), r"per row\. Received: condition of shape \(3, 4\)"),
        ((3, np.zeros((2, 2))), r"3 rows, or of one.*Received: condition of shape \(2, 2\)"),
        ((-1, np.zeros((1, 2))), "num_samples must be an integer >= 0"),
        ((2.0, np.zeros((1, 2))), "num_samples must be an integer >= 0"),
        ((3, np.zeros((1, 2)), "seed"), "seed must be"),
        ((3, np.zeros((1, 2)), 0, np.nan), "temperature must be finite"),
    ],
)
def test_arguments_that_cannot_be_are_refused(exported, arguments, message):
    served = tfflows.load_model(exported[1])
    with pytest.raises(ValueError, match=message):
        served.sample(*arguments)


def test_an_export_says_what_it_is(exported):
    flow, folder = exported
    served = tfflows.load_model(folder)
    assert served.data_schema == flow.data_schema
    assert (served.is_discrete, served.data_range) == (False, None)
    found = json.loads((folder / DESCRIPTION_FILE).read_text("utf-8"))
    assert found == served.description
    assert found["model"] == type(flow).__name__
    assert found["parameters"] == flow.count_params()
    assert (found["event_shape"], found["condition_shape"]) == ([2], [2])
    assert found["versions"]["tfflows"] == tfflows.__version__
    assert found["data_schema"]["classes"] == ["cat", "dög"]
    assert len(found["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "of a newer version"),
        ({"format": None}, "Expected the description of a flow"),
        ({"weights_sha256": "0" * 64}, "has other weights than .*Expected: sha256 000"),
        ({"data_schema": {"colour": "red"}}, "data_schema: .*colour"),
        ({"data_schema": []}, "data_schema"),
    ],
)
def test_a_description_of_something_else_is_refused(exported, change, message):
    path = exported[1] / DESCRIPTION_FILE
    whole = path.read_text("utf-8")
    path.write_text(json.dumps(json.loads(whole) | change))
    try:
        with pytest.raises(ValueError, match=message):
            tfflows.load_model(exported[1])
    finally:
        path.write_text(whole, "utf-8")


def test_an_earlier_export_says_nothing_and_still_serves(exported):
    path = exported[1] / DESCRIPTION_FILE
    hidden = path.rename(path.with_name("hidden"))
    try:
        served = tfflows.load_model(exported[1])
    finally:
        hidden.rename(path)
    assert (served.description, served.data_schema) == (None, DataSchema())
    assert served.sample(2, np.eye(2)[:1], seed=0).shape == (2, 2)
    with pytest.raises(ValueError, match=r"does not say its data_range.*export it again"):
        _ = served.data_range


def test_guided_samples_are_those_of_the_flow(tmp_path):
    settings = {"patch": 2, "depth": 2, "width": 4, "num_blocks": 1, "num_heads": 2}
    settings |= {"quantization_levels": None, "condition_shape": (3,), "condition_dropout": 0.1}
    flow = randomize(tfflows.models.TarFlow((4, 4, 1), **settings), spread=0.5)
    served = tfflows.load_model(flow.export(tmp_path / "guided"))
    rows = np.eye(3, dtype="float32")
    for guidance in (0.0, 1.5):
        for condition in (rows, rows[1:2]):
            x = served.sample(3, condition, seed=7, guidance=guidance)
            wanted = ops.convert_to_numpy(flow.sample(3, condition, seed=7, guidance=guidance))
            np.testing.assert_allclose(x, wanted, atol=1e-4, rtol=1e-4)
    assert np.abs(x - served.sample(3, condition, seed=7)).max() > 0.1
    assert served.sample(0, rows[:1], guidance=1.5).shape == (0, 4, 4, 1)
    for wrong in (-1.0, np.nan, "strong"):
        with pytest.raises(ValueError, match="guidance must be finite and >= 0"):
            served.sample(3, rows, guidance=wrong)


def test_the_command_samples_from_one(exported, tmp_path):
    flow, folder = exported
    with pytest.raises(ValueError, match=r"with the signature sample_guided.*Received: .*pets"):
        tfflows.load_model(folder).sample(3, np.eye(2)[:1], guidance=1.0)
    command = ("sample", "--model", folder, "--num", 5, "--seed", 3, "--condition", "0,1")
    run(*command, "--out", tmp_path / "x.npy")
    wanted = flow.sample(5, np.eye(2)[1:], seed=3)
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), wanted, atol=1e-5)
    run(*command, "--out", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_command_draws_images_from_one(tmp_path):
    flow = randomize(small_image_flow(), spread=0.1)
    folder = flow.export(tmp_path / "images")
    run("sample", "--model", folder, "--num", 5, "--seed", 3, "--out", tmp_path / "x.npy")
    wanted = ops.convert_to_numpy(flow.sample(5, seed=3))
    assert np.mean(np.load(tmp_path / "x.npy") != wanted) < 1e-2  # a pixel may round either way
    run("sample", "--model", folder, "--num", 5, "--out", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_tables_of_pandas_are_matched_by_name(exported):
    pd = pytest.importorskip("pandas")
    served = tfflows.load_model(exported[1])
    x, condition = np.asarray([[1.0, 2.0], [3.0, 4.0]], "float32"), np.eye(2, dtype="float32")
    table = pd.DataFrame({"width": x[:, 1], "height": x[:, 0]})
    expected = served.log_prob(x, condition)
    np.testing.assert_allclose(served.log_prob(table, condition), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="lacks 1 of the 2 columns"):
        served.encode(table[["width"]], condition)
