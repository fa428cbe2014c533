"""Scores of a file's rows: equal to log_prob, in order, whatever the formats and the batch size."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from marks import needs_tensorflow
from model_table import small_flow, small_image_flow

from tfflows.evaluation.scoring import score_file
from tfflows.saving import load_model
from tfflows.serving.served_flow import ServedFlow

ROWS = np.random.default_rng(0).normal(size=(1000, 4)).astype("float32")
NAMES = ["a", "b", "c", "d"]


def write(path, rows=ROWS):
    if path.suffix == ".npy":
        np.save(path, rows)
        return path
    table = pa.table(list(rows.T), names=NAMES[: rows.shape[1]])
    writer = {".csv": pyarrow.csv.write_csv, ".parquet": pyarrow.parquet.write_table}
    writer[path.suffix](table, path)
    return path


def read(path):
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r")
    reader = {".csv": pyarrow.csv.read_csv, ".parquet": pyarrow.parquet.read_table}
    return np.asarray(reader[path.suffix](path)["log_prob"])


@pytest.mark.parametrize("source", [".csv", ".npy", ".parquet"])
@pytest.mark.parametrize("out", [".csv", ".npy", ".parquet"])
def test_scores_are_log_prob_in_order(tmp_path, source, out):
    flow = small_flow(num_couplings=1)
    path = write(tmp_path / f"in{source}")
    count = score_file(
        flow,
        path,
        tmp_path / f"out{out}",
        columns=["d", "b"] if source != ".npy" else [3, 1],
        batch_size=300,
    )
    scores = read(tmp_path / f"out{out}")
    assert count == len(scores) == 1000
    np.testing.assert_allclose(scores, flow.log_prob(ROWS[:, [3, 1]]), rtol=1e-6, atol=1e-6)


def test_conditions_come_from_their_own_columns(tmp_path):
    flow = small_flow(condition_shape=(2,), num_couplings=1)
    path = write(tmp_path / "in.csv")
    score_file(flow, path, tmp_path / "out.npy", ["a", "b"], ["d", "c"])
    expected = flow.log_prob(ROWS[:, :2], ROWS[:, [3, 2]])
    np.testing.assert_allclose(read(tmp_path / "out.npy"), expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"conditions have the shape \(2,\).*columns \[\]"):
        score_file(flow, path, tmp_path / "none.npy", ["a", "b"])
    with pytest.raises(ValueError, match="require that the columns of x are named"):
        score_file(flow, path, tmp_path / "none.npy", condition_columns=["c", "d"])


def test_images_are_scored_from_arrays_without_a_channel_axis(tmp_path):
    flow = small_image_flow()
    images = np.random.default_rng(0).integers(0, 17, (5, *flow.event_shape[:2]))
    np.save(tmp_path / "in.npy", images.astype("uint8"))
    score_file(flow, tmp_path / "in.npy", tmp_path / "out.npy")
    np.testing.assert_allclose(read(tmp_path / "out.npy"), flow.log_prob(images[..., None]))


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("out.npy", None, r"rows of 2 numbers, for \(2,\). Received: 4 in"),
        ("out.npy", ["a", "z"], "no column 'z'"),
        ("out.txt", ["a", "b"], r"\.csv or \.npy or \.parquet. Received"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, name, columns, message):
    path = write(tmp_path / "in.csv")
    with pytest.raises(ValueError, match=message):
        score_file(small_flow(num_couplings=1), path, tmp_path / name, columns)
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def test_a_bad_row_in_the_middle_leaves_the_old_scores(tmp_path):
    rows = ROWS[:, :2].copy()
    rows[700, 1] = np.nan
    path, out = write(tmp_path / "in.npy", rows), tmp_path / "out.csv"
    out.write_text("old")
    with pytest.raises(ValueError, match="missing values"):
        score_file(small_flow(num_couplings=1), path, out, batch_size=100)
    assert out.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


@needs_tensorflow
def test_a_saved_model_scores_as_the_flow_does(tmp_path):
    flow = small_flow(condition_shape=(2,), num_couplings=1)
    flow.export(tmp_path / "flow")
    served = load_model(tmp_path / "flow")
    assert isinstance(served, ServedFlow)
    x, condition = ROWS[:, :2], ROWS[:, 2:]
    np.testing.assert_allclose(
        served.log_prob(x, condition), flow.log_prob(x, condition), rtol=1e-5
    )
    z = served.encode(x, condition)
    np.testing.assert_allclose(served.inverse(z, condition), x, atol=1e-4)
    with pytest.raises(ValueError, match=r"condition.*2.*Received: None"):
        served.log_prob(x)
    with pytest.raises(ValueError, match=r"num_draws must be 1\. Received: 3"):
        served.log_prob(x, condition, num_draws=3)
    with pytest.raises(ValueError, match=r"shape \(.?batch.?, 2\)"):
        served.log_prob(ROWS, condition)


@needs_tensorflow
def test_what_is_no_served_flow_is_refused(tmp_path):
    import tensorflow as tf

    with pytest.raises(FileNotFoundError, match="no model at"):
        load_model(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no SavedModel and no run"):
        load_model(tmp_path)
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(
        ValueError, match=r"signatures \['decode', 'encode', 'log_prob'\].*with \[\]"
    ):
        load_model(tmp_path / "other")
