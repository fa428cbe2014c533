"""Scores of many files: which are found, what is refused, and where a second call goes on.

What actors do is called in this process here; `test_on_ray.py` has them.
"""

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from command import run
from marks import once
from model_table import small_flow
from pyarrow import fs

import tfflows.ray.scoring
from tfflows.ray import score
from tfflows.ray.file_scorer import FileScorer, Header, ScoreSettings
from tfflows.ray.files import Place, find_files
from tfflows.ray.score_folder import ScoreFolder
from tfflows.ray.shipped_model import ShippedModel
from tfflows.utils.data_schema import DataSchema

ROWS = np.random.default_rng(0).normal(size=(100, 2)).astype("float32")
SETTINGS = ScoreSettings(None, (), 64, "refuse", ())


def write(path, rows=ROWS, names=("a", "b")):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(list(rows.T), names=list(names))
    writer = pyarrow.csv.write_csv if path.suffix == ".csv" else pq.write_table
    writer(table, path)
    return path


def read(path):
    return np.asarray(pq.read_table(path)["log_prob"])


@pytest.fixture(scope="module")
def flow():
    return small_flow(num_couplings=1)


@pytest.fixture(scope="module")
def shipped(flow):
    return ShippedModel.of(flow)


def scorer(shipped, source, out, settings=SETTINGS):
    """A FileScorer of the files in a folder, and the files."""
    root, files = find_files(source)
    header = Header.of_first(files)
    return FileScorer(shipped, ScoreFolder(Place.of(out), root), files, settings, header), files


def in_this_process(monkeypatch):
    """`score` with its actors' work done here."""

    def run_here(arguments, num_files, num_actors, resources, verbose):
        actor = FileScorer(*arguments)
        for number in range(num_files):
            yield {key: values[0] for key, values in actor({"number": [number]}).items()}

    class Ray:
        def cluster_resources(self):
            return {"CPU": 2.0}

    class Session:
        def __init__(self, address):
            pass

        def __enter__(self):
            return Ray()

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(tfflows.ray.scoring, "import_ray", lambda: None)
    monkeypatch.setattr(tfflows.ray.scoring, "_run", run_here)
    monkeypatch.setattr(tfflows.ray.scoring, "session", Session)


def test_files_are_found_below_a_folder_without_hidden_ones(tmp_path):
    for name in ("b.parquet", "day=1/a.csv", "_temporary/c.parquet", ".d.csv", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    root, files = find_files(tmp_path)
    assert root == str(tmp_path)
    assert [file.name for file in files] == ["b.parquet", "day=1/a.csv"]
    assert [file.result_name for file in files] == ["b.parquet", "day=1/a.csv.parquet"]
    root, files = find_files([tmp_path / "day=1/a.csv", str(tmp_path / "b.parquet")])
    assert (root, [file.name for file in files]) == (str(tmp_path), ["b.parquet", "day=1/a.csv"])
    root, files = find_files(f"file://{tmp_path}/b.parquet")
    assert (root, files[0].name) == (str(tmp_path), "b.parquet")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("nowhere", FileNotFoundError, "no file or folder .*nowhere"),
        ("empty", FileNotFoundError, r"no .csv or .parquet file in .*empty"),
        (["notes.txt"], ValueError, "suffixes .*notes.txt"),
        ([], ValueError, "empty list"),
        ("nostore://bucket/rows", ValueError, "nostore://bucket/rows is not in a store"),
    ],
)
def test_sources_without_files_are_refused(tmp_path, monkeypatch, source, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(error, match=message):
        find_files(source)


def test_the_secret_of_a_uri_is_not_shown():
    place = Place.of("s3://key:secret@bucket/rows?region=eu-north-1")
    assert str(place / "a.csv") == "s3://bucket/rows/a.csv"


def test_each_file_gives_its_rows_in_order(tmp_path, flow, shipped):
    other = ROWS[::-1].copy()
    write(tmp_path / "in/a.parquet")
    write(tmp_path / "in/sub/b.csv", other)
    actor, _ = scorer(shipped, tmp_path / "in", tmp_path / "out")
    results = [actor({"number": [number]}) for number in range(2)]
    assert [r["rows"] for r in results] == [[100], [100]]
    for name, rows in (("a.parquet", ROWS), ("sub/b.csv.parquet", other)):
        scores = read(tmp_path / "out" / name)
        np.testing.assert_allclose(scores, flow.log_prob(rows), rtol=1e-5, atol=1e-6)


def test_a_store_is_read_and_written_through_whole_files(tmp_path, flow, shipped):
    write(tmp_path / "in/a.parquet")
    (tmp_path / "out").mkdir()
    store = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    root, files = str(tmp_path / "in"), find_files(tmp_path / "in")[1]
    place = Place(store, "in/a.parquet", "store")
    assert place.modified() == files[0].modified
    source = [type(files[0])(place, "a.parquet", files[0].modified)]
    folder = ScoreFolder(Place(store, "out/scores", "store"), root)
    folder.begin({"model": "m"})
    FileScorer(shipped, folder, source, SETTINGS, None)({"number": [0]})
    assert folder.has(source[0])
    assert sorted(p.name for p in (tmp_path / "out/scores").iterdir()) == [
        "_scores.json",
        "a.parquet",
    ]
    expected = flow.log_prob(ROWS)
    np.testing.assert_allclose(read(tmp_path / "out/scores/a.parquet"), expected, rtol=1e-5)
    (tmp_path / "in/a.parquet").write_bytes(b"PAR1")
    (error,) = FileScorer(shipped, folder, source, SETTINGS, None)({"number": [0]})["error"]
    assert error.startswith("store://in/a.parquet is not a Parquet file")


def test_a_file_of_other_columns_is_named_with_the_one_that_it_differs_from(tmp_path, shipped):
    write(tmp_path / "in/a.parquet")
    write(tmp_path / "in/b.parquet", names=("b", "a"))
    write(tmp_path / "in/c.parquet", names=("a", "c"))
    actor, _ = scorer(shipped, tmp_path / "in", tmp_path / "out")
    for number, names in ((1, "'b', 'a'"), (2, "'a', 'c'")):
        result = actor({"number": [number]})
        text = f"differs in columns from {tmp_path}/in/a.parquet: expected ['a', 'b']. Received: "
        assert f"{text}[{names}]" in result["error"][0]
        assert result["is_bad_file"] == [True]
        assert result["error"][0].startswith(str(tmp_path / "in" / "abc"[number]))


def test_columns_known_by_name_may_stand_in_another_order(tmp_path, flow):
    named = small_flow(num_couplings=1)
    named.set_weights(flow.get_weights())
    named.data_schema = DataSchema(("a", "b"))
    write(tmp_path / "in/a.parquet")
    write(tmp_path / "in/b.parquet", ROWS[:, ::-1], ("b", "a"))
    actor, _ = scorer(ShippedModel.of(named), tmp_path / "in", tmp_path / "out")
    assert actor({"number": [1]})["error"] == [""]
    scores = read(tmp_path / "out/b.parquet")
    np.testing.assert_allclose(scores, flow.log_prob(ROWS), rtol=1e-5, atol=1e-6)


def test_a_second_call_scores_only_what_is_new_or_has_changed(tmp_path, flow, monkeypatch):
    in_this_process(monkeypatch)
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a", "b", "c"):
        write(source / f"{name}.parquet")
    (source / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"b.parquet is not a Parquet .* scores of 1 files are"):
        score(flow, source, out)
    done = score(flow, source, out, skip_bad=True)
    assert (done.files, done.skipped, done.rows) == (1, 1, 100)
    assert list(done.refused) == ["b.parquet"]
    write(source / "b.parquet")
    write(source / "a.parquet", 2 * ROWS)
    done = score(flow, source, out)
    assert (done.files, done.skipped, done.rows, done.refused) == (2, 1, 200, {})
    scores = read(out / "a.parquet")
    np.testing.assert_allclose(scores, flow.log_prob(2 * ROWS), rtol=1e-5, atol=1e-6)
    before = (out / "a.parquet").stat().st_mtime_ns
    assert score(flow, source, out).skipped == 3
    assert (out / "a.parquet").stat().st_mtime_ns == before


def test_what_a_killed_worker_left_is_removed_at_the_end(tmp_path, flow, monkeypatch):
    in_this_process(monkeypatch)
    write(tmp_path / "in/sub/a.parquet")
    left = tmp_path / "out/sub/.a.123.tmp.parquet"
    score(flow, tmp_path / "in", tmp_path / "out")
    left.write_bytes(b"half")
    score(flow, tmp_path / "in", tmp_path / "out")
    assert [path.name for path in left.parent.iterdir()] == ["a.parquet"]


def test_a_folder_of_other_results_is_refused(tmp_path, flow, monkeypatch):
    in_this_process(monkeypatch)
    source, out = tmp_path / "in", tmp_path / "out"
    write(source / "a.parquet")
    score(flow, source, out)
    other = small_flow(num_couplings=1)
    other.set_weights([w + 1 for w in flow.get_weights()])
    with pytest.raises(ValueError, match=f"{out} has scores of another call, whose model was one"):
        score(other, source, out)
    with pytest.raises(ValueError, match=r"whose keep was \[\]. Received: \['a'\]"):
        score(flow, source, out, keep=["a"])
    with pytest.raises(FileExistsError, match=r"in must be a new folder.*a folder with a.parquet"):
        score(flow, write(tmp_path / "more/b.parquet"), source)
    with pytest.raises(ValueError, match="outside of that of the rows"):
        score(flow, source, source / "out")
    assert json.loads((out / "_scores.json").read_text())["source"] == str(source)


def test_columns_that_do_not_fit_are_refused_before_ray_starts(tmp_path, flow, monkeypatch):
    def start(address):
        raise AssertionError("Ray was started")

    monkeypatch.setattr(tfflows.ray.scoring, "import_ray", lambda: None)
    monkeypatch.setattr(tfflows.ray.scoring, "session", start)
    source, out = tmp_path / "in", tmp_path / "out"
    write(source / "a.parquet", np.ones((5, 3)), ("id", "a", "b"))
    message = r"rows of 2 numbers.*: 3 in .*/in/a.parquet, the columns id, a, b; choose them"
    with pytest.raises(ValueError, match=message):
        score(flow, source, out)
    with pytest.raises(ValueError, match=r"a.parquet has no column 'c' among its 3: id, a, b"):
        score(flow, source, out, ["a", "c"])
    with pytest.raises(ValueError, match=r"no column 'ida' .* did you mean id or a\?$"):
        score(flow, source, out, ["a", "b"], keep=["ida"])
    assert not out.exists()


def test_a_call_that_scored_nothing_leaves_the_folder_for_others(tmp_path, flow, monkeypatch):
    in_this_process(monkeypatch)
    source, out = tmp_path / "in", tmp_path / "out"
    write(source / "a.parquet", np.full((5, 2), np.nan))
    with pytest.raises(ValueError, match="missing values"):
        score(flow, source, out)
    assert [path.name for path in out.iterdir()] == ["_scores.json"]
    assert score(flow, source, out, missing="nan").missing == 5


def test_missing_values_are_counted_over_all_files(tmp_path, flow, monkeypatch):
    in_this_process(monkeypatch)
    rows = ROWS.copy()
    rows[7, 1] = np.nan
    write(tmp_path / "in/a.parquet", rows)
    write(tmp_path / "in/b.parquet", rows)
    done = score(flow, tmp_path / "in", tmp_path / "nan", missing="nan")
    assert (done.rows, done.missing, done.dropped) == (200, 2, 0)
    assert np.flatnonzero(np.isnan(read(tmp_path / "nan/b.parquet"))).tolist() == [7]
    done = score(flow, tmp_path / "in", tmp_path / "drop", missing="drop")
    assert (done.rows, done.missing, done.dropped) == (198, 0, 2)
    with pytest.raises(ValueError, match=r"a.parquet has 1 missing values"):
        score(flow, tmp_path / "in", tmp_path / "refuse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"num_actors": 3},
            "has 2 CPUs and 0 GPUs here, too few for 3 actors of 1 CPUs and 0 GPUs",
        ),
        ({"gpus_per_actor": 0.5}, "too few for 1 actors of 1 CPUs and 0.5 GPUs each"),
        ({"num_actors": 0}, "num_actors must be a positive integer"),
        ({"missing": "skip"}, "missing must be one of .*'skip'"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
    ],
)
def test_what_the_cluster_has_not_is_refused(tmp_path, flow, monkeypatch, arguments, message):
    in_this_process(monkeypatch)
    write(tmp_path / "in/a.parquet")
    with pytest.raises(ValueError, match=message):
        score(flow, tmp_path / "in", tmp_path / "out", **arguments)


def test_the_command_says_what_was_scored_and_what_not(tmp_path, flow, monkeypatch):
    in_this_process(monkeypatch)
    write(tmp_path / "in/a.csv")
    write(tmp_path / "in/b.csv", names=("a", "c"))
    flow.save(tmp_path / "flow.keras")
    where = ["--in", tmp_path / "in", "--out", tmp_path / "out"]
    command = ["ray", "score", "--model", tmp_path / "flow.keras", *where]
    said = run(*command, code=1)
    assert "b.csv differs in columns from" in said
    said = run(*command, "--skip-bad", code=1)
    assert "log-densities" not in said
    assert f"1 files had their scores in {tmp_path / 'out'} already" in said
    assert "Not scored: " in said


@once
def test_without_ray_the_extra_is_named(tmp_path, monkeypatch, flow):
    monkeypatch.setitem(sys.modules, "ray", None)
    write(tmp_path / "in/a.csv")
    with pytest.raises(ImportError, match=r"pip install 'tfflows\[ray\]'"):
        score(flow, tmp_path / "in", tmp_path / "out")
    flow.save(tmp_path / "flow.keras")
    said = run("ray", "serve", "--model", tmp_path / "flow.keras", code=1)
    assert "pip install 'tfflows[ray]'" in said
