"""The commands of anomalies, as a user types them: what they write, say and refuse."""

import numpy as np
import pandas as pd
import pytest
from command import run

import tfflows
from tfflows import Flow, layers
from tfflows.anomaly import write_report
from tfflows.datasets import DataSchema

NAMES = ["size", "weight", "age"]


def things(count, seed=0, odd=0):
    """Rows of three columns, the last of which are far out and labelled so."""
    frame = pd.DataFrame(np.random.default_rng(seed).normal(size=(count, 3)), columns=NAMES)
    frame.loc[count - odd :, "weight"] = 9.0
    place = np.arange(count)
    frame["id"], frame["odd"] = place + 100, (place >= count - odd).astype(int)
    return frame


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """(folder, what `fit` said): files, a flow that knows the columns, and a detector of it."""
    folder = tmp_path_factory.mktemp("anomaly")
    things(400, odd=20).to_csv(folder / "train.csv", index=False)
    things(60, 1, odd=3).to_parquet(folder / "test.parquet")
    layer = layers.DiagonalScaling()
    flow = Flow([layer], (3,))
    layer.log_scale.assign(np.full(3, 0.01, "float32"))
    flow.data_schema = DataSchema(columns=tuple(NAMES))
    flow.save(folder / "flow.keras")
    said = run(
        "anomaly", "fit", folder / "train.csv", "--labels", "odd", "--exclude", "id",
        "--score", "nll", "--model", folder / "flow.keras", "--rate", 0.1,
        "--out", folder / "things.keras",
    )  # fmt: skip
    return folder, said


def test_fit_leaves_labelled_rows_out_and_writes_a_detector(fitted):
    folder, said = fitted
    assert "Fitted to 380 rows, 190 of which calibrate: nll of a Flow" in said
    assert "10.00% false alarms" in said
    detector = tfflows.load_model(folder / "things.keras")
    assert detector.calibration_scores_.min() > -20  # no row that is far out
    assert list(detector.feature_names_in_) == NAMES


def test_score_writes_a_line_per_row(fitted, tmp_path):
    folder, _ = fitted
    files = (folder / "things.keras", folder / "test.parquet")
    out = ("--out", tmp_path / "scores.csv", "--keep", "id", "--top", 3)
    said = run("anomaly", "score", *files, *out)
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert list(scores) == ["id", "score", "p_value", "is_anomaly"]
    detector = tfflows.load_model(files[0])
    rows = things(60, 1, odd=3)
    np.testing.assert_allclose(scores["score"], detector.score_samples(rows), rtol=1e-6)
    np.testing.assert_allclose(scores["p_value"], detector.p_values(rows), rtol=1e-6)
    assert (scores["is_anomaly"] == (detector.predict(rows) == -1)).all()
    assert "weight = 9, not " in said
    assert f"{scores['is_anomaly'].sum()} are abnormal" in said


def test_report_writes_a_page(fitted, tmp_path):
    folder, _ = fitted
    files = (folder / "things.keras", folder / "test.parquet")
    out = tmp_path / "page.html"
    said = run("anomaly", "report", *files, "--labels", "odd", "--out", out, "--top", 4)
    assert "of 60 rows are abnormal" in said
    text = out.read_text()
    assert "AUROC 1.0000, average precision 1.0000" in text
    assert text.count("weight = 9, not ") == 3
    assert text.count("<tr>") == 5
    assert text.count("data:image/svg+xml;base64,") == 2
    assert "<script" not in text


def test_arrays_are_read(fitted, tmp_path):
    folder, _ = fitted
    rows = things(60, 1, odd=3)
    np.savez(tmp_path / "rows.npz", X=rows[NAMES].to_numpy(), y=rows["odd"].to_numpy())
    detector = tfflows.load_model(folder / "things.keras")
    files = (folder / "things.keras", tmp_path / "rows.npz")
    run("anomaly", "score", *files, "--out", tmp_path / "scores.parquet")
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    np.testing.assert_allclose(scores["score"], detector.score_samples(rows), rtol=1e-6)


def test_what_cannot_be_is_said(fitted, tmp_path):
    folder, _ = fitted
    detector, data = folder / "things.keras", folder / "test.parquet"
    assert "no column 'od'" in run("anomaly", "report", detector, data, "--labels", "od", code=1)
    wrong = run("anomaly", "report", detector, data, "--labels", "id", code=1)
    assert "1 for anomalies and 0 for normal rows. Received: [100, 101" in wrong
    assert "There is no file" in run("anomaly", "fit", tmp_path / "none.csv", code=2)
    flow = run("anomaly", "score", folder / "flow.keras", data, "--out", "a.csv", code=2)
    assert "Expected a detector's .keras file" in flow
    assert "--out must be" in run("anomaly", "score", detector, data, "--out", "a.txt", code=2)
    things(15).to_csv(tmp_path / "few.csv", index=False)
    few = ("anomaly", "fit", tmp_path / "few.csv", "--out", tmp_path / "few.keras")
    assert "at least 20 normal rows. Received: 15" in run(*few, code=1)
    assert not (tmp_path / "few.keras").exists()


@pytest.mark.parametrize("labels", [[0, 1, 2], [0.0, np.nan, 1.0], ["a", "b", "c"], [[0, 1, 1]]])
def test_labels_must_be_zero_or_one(fitted, labels):
    detector = tfflows.load_model(fitted[0] / "things.keras")
    with pytest.raises(ValueError, match="1 for anomalies and 0 for normal rows"):
        write_report(detector, things(3), "page.html", labels=np.array(labels))
