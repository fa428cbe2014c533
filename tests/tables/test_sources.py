"""Tables from what users have: the same cells from each, in chunks, and by line where wrong."""

import resource

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from tfflows.tables import Schema
from tfflows.tables.sources import chunks


def table(n=1000):
    rng = np.random.default_rng(1)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D")
    return pd.DataFrame(
        {
            "i": rng.integers(0, 1000, n),
            "x": rng.normal(size=n),
            "hole": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "name": rng.choice(["a, b", 'say "no"', "Zoë"], n),
            "flag": rng.random(n) < 0.5,
            "day": days.astype("datetime64[ns]"),
        }
    )


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, (values, missing) in expected.items():
        np.testing.assert_array_equal(found[name].values, values, strict=True)
        np.testing.assert_array_equal(found[name].missing, missing, strict=True)


class Capsule:
    """A table of another library, as Arrow's C interface shows it."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def test_every_source_gives_the_same_cells(tmp_path):
    import tensorflow as tf

    frame = table()
    schema = Schema.infer(frame)
    expected = schema.parse(frame)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=300)
    arrow = pa.Table.from_pandas(frame)
    columns = {name: frame[name].to_numpy() for name in frame}
    without_dates = frame.drop(columns="day")
    tensors = {n: tf.constant(without_dates[n].tolist()) for n in without_dates}
    days = {"day": tf.constant(frame["day"].astype("str").tolist())}
    dataset = tf.data.Dataset.from_tensor_slices(tensors | days)
    for source in (
        tmp_path / "t.csv",
        str(tmp_path / "t.tsv"),
        [tmp_path / "t.parquet"],
        arrow,
        Capsule(arrow),
        columns,
        frame.iloc[:, ::-1].set_index(np.arange(1000)[::-1]),
        frame.convert_dtypes(dtype_backend="pyarrow"),
        frame.to_records(index=False),
        frame.to_dict("records"),
    ):
        assert_same(schema.parse(source), expected)
    for source in (dataset, dataset.batch(64)):
        found = schema.parse(source)
        np.testing.assert_allclose(found["x"].values, expected["x"].values, rtol=1e-6)
        for name in ("i", "name", "flag", "day"):
            np.testing.assert_array_equal(found[name].values, expected[name].values)


def test_files_are_read_in_order_and_in_chunks(tmp_path):
    frame = table(1000)
    frame[:400].to_csv(tmp_path / "a.csv", index=False)
    frame[400:].iloc[:, ::-1].to_csv(tmp_path / "b.csv", index=False)
    (tmp_path / "_SUCCESS.csv").write_text("")
    schema = Schema.infer(tmp_path)
    assert schema == Schema.infer([tmp_path / "a.csv", tmp_path / "b.csv"])
    parts = list(schema.read(tmp_path, rows=256))
    assert [len(part["x"].values) for part in parts] == [256, 144, 256, 256, 88]
    values = np.concatenate([part["x"].values for part in parts])
    np.testing.assert_array_equal(values, frame["x"])
    assert [len(p["x"].values) for p in schema.read(frame, rows=600)] == [600, 400]
    frame.drop(columns="hole").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(ValueError, match=r"b.csv to have the columns .*'hole'"):
        schema.parse(tmp_path)


def test_text_files_mark_missing_cells(tmp_path):
    (tmp_path / "t.data").write_text(
        "n, word ,k\n1, yes, 3\n ?,NA , 4\n,?,5\n\n3,no,NaN\n" + "7,no,6\n" * 20
    )
    schema = Schema.infer(tmp_path / "t.data")
    assert schema.names == ("n", "word", "k")
    assert schema["word"].values == ("no", "yes")
    assert all(column.missing for column in schema)
    cells = schema.parse(tmp_path / "t.data")
    np.testing.assert_array_equal(cells["n"].missing[:4], [False, True, True, False])
    np.testing.assert_array_equal(cells["word"].values[:4], [1, 0, 0, 0])
    np.testing.assert_array_equal(cells["k"].values[:4], [3, 4, 5, 0])


def test_a_word_far_down_a_column_of_numbers_is_named_by_its_line(tmp_path):
    path = tmp_path / "t.csv"
    lines = [f"{i},{i % 7}" for i in range(9000)]
    path.write_text("\n".join(["a,b", *lines]))
    schema = Schema.infer(path)
    lines[8000] = "8000,oops"
    path.write_text("\n".join(["a,b", '"1\n2",0', *lines]).replace('"1\n2"', "0"))
    with pytest.raises(ValueError, match=r"t.csv, line 8003, column 'b': .*number. .*'oops'"):
        schema.parse(path)
    assert Schema.infer(path)["b"].values[-1] == "oops"  # few numbers: one more category
    lines[8000] = "oops,3"
    path.write_text("\n".join(["a,b", *lines]))
    with pytest.raises(ValueError, match=r"a number in every row.*t.csv, line 8002, column 'a'"):
        Schema.infer(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names of columns in the first line. Received: none"),
        ("39,Private\n50,State\n", "names of columns in the first line. Received: '39,Private'"),
        ("a,b,a\n1,2,3\n", r"several columns of the same name: \['a'\]"),
        ("a,b\n1,2\n\n3\n4,5\n", "t.csv, line 4: expected 2 values.*Received: 1 values, '3'"),
        ("a\n1\n", "at least 2 rows"),
    ],
)
def test_bad_text_files_are_refused(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        Schema.infer(tmp_path / "t.csv")


def test_other_bad_sources_are_refused(tmp_path):
    import tensorflow as tf

    frame = table(10)
    schema = Schema.infer(frame)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ValueError, match=r"bad.parquet is damaged"):
        schema.parse(tmp_path / "bad.parquet")
    with pytest.raises(FileNotFoundError, match=r"no file .*bda.parquet; did you mean bad.parquet"):
        schema.parse(tmp_path / "bda.parquet")
    with pytest.raises(ValueError, match=r"must end in one of \['.csv'.*t.xlsx"):
        schema.parse("t.xlsx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty to hold files .*Received: none"):
        schema.parse(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"to have the columns \['i'\]. .*'ii'"):
        schema.parse(frame.rename(columns={"i": "ii"}))
    with pytest.raises(ValueError, match=r"of the same length. Received: \{'a': 1, 'b': 2\}"):
        schema.parse({"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match=r"column 'a' to have shape \(rows,\). Received: \(2, 2\)"):
        schema.parse({"a": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"column 'a' to be an array. Received: 3"):
        schema.parse({"a": 3})
    with pytest.raises(ValueError, match=r"Expected a table: .*Received: 5"):
        schema.parse(5)
    with pytest.raises(ValueError, match=r"`rows` to be a positive number. Received: 0"):
        next(schema.read(frame, rows=0))
    pairs = tf.data.Dataset.from_tensors((1, 2))
    with pytest.raises(ValueError, match="Dataset of dicts by column"):
        schema.parse(pairs)
    square = tf.data.Dataset.from_tensors({name: tf.ones((2, 2)) for name in frame})
    with pytest.raises(ValueError, match="all scalars, or all vectors"):
        schema.parse(square)


def test_arrow_numbers_with_nulls_stay_whole():
    big = 2**60 + 1
    arrow = pa.table({"i": pa.array([big, None, 5]), "b": pa.array([True, None, False])})
    schema = Schema.infer(arrow)
    cells = schema.parse(arrow)
    assert cells["i"].values.tolist() == [big, 0, 5]
    assert schema.unparse(cells, to="arrow").equals(arrow)


def test_memory_is_flat_in_the_number_of_rows(tmp_path):
    frame = table(20_000)
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.Table.from_pandas(frame), path)
    schema = Schema.infer(path)

    def peak(copies):
        pa.default_memory_pool().release_unused()
        for _ in schema.read([path] * copies, rows=5000):
            pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    once = peak(2)
    assert peak(20) - once < 30  # MB; all rows at once would take 20 more


def test_chunks_say_where_they_begin():
    frame = table(10)
    assert [chunk.rows.first for chunk in chunks(frame, rows=4)] == [0, 4, 8]
    frame.loc[7, "x"] = np.inf
    schema = Schema.infer(table(10))
    with pytest.raises(ValueError, match=r"^row 7, column 'x': expected a finite number"):
        list(schema.read(frame, rows=4))
