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
from tfflows.utils.data_schema import DataSchema

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
    done = score_file(
        flow,
        path,
        tmp_path / f"out{out}",
        columns=["d", "b"] if source != ".npy" else [3, 1],
        batch_size=300,
    )
    scores = read(tmp_path / f"out{out}")
    assert done.rows == len(scores) == 1000
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


def test_missing_values_are_refused_dropped_or_scored_nan(tmp_path):
    flow = small_flow(num_couplings=1)
    rows = ROWS[:, :2].copy()
    rows[[5, 700], [1, 0]] = np.nan, np.inf
    path, good = write(tmp_path / "in.csv", rows), np.isfinite(rows).all(axis=1)
    expected = np.full(1000, np.nan, "float32")
    expected[good] = flow.log_prob(rows[good])
    done = score_file(flow, path, tmp_path / "out.npy", missing="nan", batch_size=100, top=3)
    assert (done.rows, done.missing, done.dropped) == (1000, 2, 0)
    np.testing.assert_allclose(read(tmp_path / "out.npy"), expected, rtol=1e-6, atol=1e-6)
    lowest = np.argsort(expected)[:3]
    assert [row.row for row in done.lowest] == lowest.tolist()
    np.testing.assert_allclose([row.log_prob for row in done.lowest], expected[lowest], rtol=1e-6)

    path = write(tmp_path / "in.csv", np.where(np.isinf(rows), np.nan, rows))
    with pytest.raises(ValueError, match="2 missing values in 2 rows, the first in line 7"):
        score_file(flow, path, tmp_path / "out.npy")
    done = score_file(flow, path, tmp_path / "out.npy", missing="drop", batch_size=100)
    assert (done.rows, done.missing, done.dropped) == (998, 0, 2)
    np.testing.assert_allclose(read(tmp_path / "out.npy"), expected[good], rtol=1e-6, atol=1e-6)


def test_columns_and_classes_are_found_by_name_and_kept_cells_are_copied(tmp_path):
    flow = small_flow(condition_shape=(3,), num_couplings=1)
    flow.data_schema = DataSchema(("a", "b"), "kind", ("cat", "eel", "dog"))
    kinds = np.asarray(["dog", "cat", "eel"] * 4)
    names, x = [f'row "{i}"' for i in range(12)], ROWS[:12, :2]
    table = pa.table({"id": names, "b": x[:, 1], "kind": kinds, "a": x[:, 0]})
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    expected = flow.log_prob(x, np.eye(3, dtype="float32")[[2, 0, 1] * 4])
    for out in ("out.csv", "out.parquet"):
        score_file(flow, tmp_path / "in.parquet", tmp_path / out, keep=["id"], batch_size=5)
        np.testing.assert_allclose(read(tmp_path / out), expected, rtol=1e-5, atol=1e-6)
    assert pyarrow.csv.read_csv(tmp_path / "out.csv")["id"].to_pylist() == names
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["id"].to_pylist() == names

    other = table.set_column(2, "kind", pa.array(["dog", "fox"] * 6))
    pyarrow.parquet.write_table(other, tmp_path / "other.parquet")
    with pytest.raises(
        ValueError, match="class 'fox' is not one of the training classes: cat, eel"
    ):
        score_file(flow, tmp_path / "other.parquet", tmp_path / "none.npy")
    pyarrow.parquet.write_table(table.drop_columns("a"), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"other.parquet lacks 1 of the 2 columns .*: 'a'"):
        score_file(flow, tmp_path / "other.parquet", tmp_path / "none.npy")


def test_scores_never_replace_the_rows(tmp_path):
    path = write(tmp_path / "in.npy", ROWS[:, :2])
    (tmp_path / "link.npy").symlink_to(path)
    before = path.read_bytes()
    for out in (path, tmp_path / "link.npy"):
        with pytest.raises(ValueError, match="to a different file from the rows"):
            score_file(small_flow(num_couplings=1), path, out)
    assert path.read_bytes() == before


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
