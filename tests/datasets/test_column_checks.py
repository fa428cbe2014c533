"""Columns that float32 cannot tell apart, that have no density, and the noise that gives one."""

import time
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tfflows import datasets
from tfflows.datasets.column_checks import ColumnSample, describe_discrete


def write(folder, suffix, **columns):
    """The same table in a file of one format."""
    path = folder / f"data.{suffix}"
    if suffix == "parquet":
        pa.parquet.write_table(pa.table(columns), path)
    elif suffix == "csv":
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(map(repr, map(np.ndarray.item, map(np.asarray, row)))) for row in rows]
        path.write_text("\n".join([",".join(columns), *lines]))
    elif suffix == "npy":
        np.save(path, np.stack(list(columns.values()), axis=1))
    else:
        np.savez(path, np.stack(list(columns.values()), axis=1))
    return path


def normal(n=1000, seed=0):
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy", "npz"])
@pytest.mark.parametrize("kind", ["seconds", "near 1e8", "below float32"])
def test_columns_that_float32_cannot_tell_apart_are_refused(tmp_path, suffix, kind):
    values = {
        "seconds": 1_700_000_000 + np.arange(1000),
        "near 1e8": 1e8 + normal(seed=1),
        "below float32": 1e-60 * (1 + np.arange(1000)),
    }[kind]
    kept = len(np.unique(values.astype("float32")))
    path = write(tmp_path, suffix, v=normal(), t=values)
    name = "t" if suffix in ("csv", "parquet") else "1"
    message = rf"'{name}' \(1,000 different values in 1,000 rows, of which float32 keeps {kept}\)"
    with pytest.raises(ValueError, match=message):
        datasets.load(path)
    with pytest.raises(ValueError, match=message):
        list(datasets.stream_table(path))
    assert datasets.load_rows(path, exclude=[1])[1].event_shape == (1,)


def test_two_rows_a_minute_apart_are_not_scored_as_equal(tmp_path):
    path = write(tmp_path, "csv", t=np.asarray([1_700_000_000, 1_700_000_060]), v=np.arange(2.0))
    with pytest.raises(ValueError, match=r"2 different values in 2 rows, .* keeps 1"):
        list(datasets.stream_table(path))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_ordinary_columns_are_read_without_a_word(tmp_path, suffix):
    rng = np.random.default_rng(0)
    x = {
        "normal": rng.normal(size=3000),
        "heavy": rng.standard_cauchy(3000),
        "scale": 1e-6 * rng.lognormal(0, 3, 3000),
        "cents": np.round(rng.lognormal(11, 0.5, 3000), 2),
        "offset": 1000 + rng.uniform(size=3000),
        "ids": rng.permutation(3000) * 1.0,
    }
    path = write(tmp_path, suffix, **x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got, _ = datasets.load_arrays(path, "all")
    np.testing.assert_allclose(got, np.stack(list(x.values()), 1), rtol=1e-7)


def test_values_equal_but_for_rounding_are_one_value(tmp_path):
    """0.1 + 0.2 and 0.3 are two numbers of float64; that float32 makes one of them is no loss."""
    tenths = np.random.default_rng(0).integers(0, 1000, 1000) / 10
    path = write(tmp_path, "npy", a=tenths + np.random.default_rng(1).choice([0, 1e-15], 1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets.load(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy", "npz"])
def test_columns_without_a_density_are_named_with_their_counts(tmp_path, suffix):
    rng = np.random.default_rng(0)
    path = write(
        tmp_path,
        suffix,
        real=rng.normal(size=1000),
        flag=rng.integers(0, 2, 1000).astype("float64"),
        level=rng.choice([0.5, 1.25, 7.75], 1000),
        count=rng.permutation(np.arange(1000) // 4).astype("float64"),
        rain=np.where(np.arange(1000) % 5 < 2, 0, rng.gamma(2, 1, 1000)),
    )
    with pytest.warns(UserWarning, match=r"columns without a density") as caught:
        datasets.load_rows(path)
    (text,) = [str(warning.message) for warning in caught]
    names = dict(zip("rflcz", ["real", "flag", "level", "count", "rain"], strict=True))
    if suffix[0] == "n":
        names = dict(zip("rflcz", "01234", strict=True))
    assert f"'{names['f']}' has 2 different whole numbers in 1,000 rows" in text
    assert f"'{names['l']}' has 3 different numbers in 1,000 rows" in text
    assert f"'{names['c']}' has 250 different whole numbers in 1,000 rows" in text
    assert f"'{names['z']}' is 0 in 40% of the rows" in text
    assert f"'{names['r']}'" not in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        datasets.load_rows(path, columns=[0])
        list(datasets.stream_table(path))  # a file to score says nothing of training


def test_a_sample_is_spread_over_all_rows_whatever_the_batches():
    x = np.arange(100_000, dtype="float32")[:, None]
    samples = []
    for size in (100_000, 777):
        sample = ColumnSample(1)
        for start in range(0, len(x), size):
            sample.add(x[start : start + size])
        samples.append(sample.rows[:, 0])
        assert 2048 < len(sample.rows) <= 4096
        np.testing.assert_array_equal(np.diff(sample.rows[:, 0]), 32)
    np.testing.assert_array_equal(*samples)
    assert describe_discrete(["a"], x[:199] * 0) == []
    assert describe_discrete(["a"], x[:200] * 0) == [
        "'a' has 1 different whole numbers in 200 rows"
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy", "npz"])
def test_noise_is_uniform_seeded_by_row_and_floors_to_the_whole_number(tmp_path, suffix):
    rng = np.random.default_rng(0)
    counts = rng.integers(-3, 2**22, 5000)
    path = write(tmp_path, suffix, real=rng.normal(size=5000), k=counts)
    options = {"dequantize": [1]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, _ = datasets.load_arrays(path, "all", **options)
    np.testing.assert_array_equal(np.floor(x[:, 1]), counts)
    small = np.abs(counts) < 2**16
    noise = (x[:, 1] - counts)[small]
    assert abs(noise.mean() - 0.5) < 5 * np.sqrt(1 / 12 / small.sum())
    assert abs(noise.var() - 1 / 12) < 0.02
    # The same in each split, each format, each order of columns, and in a stream.
    order = np.random.default_rng(0).permutation(5000)
    test, _ = datasets.load_arrays(path, "test", **options)
    np.testing.assert_array_equal(test, x[np.sort(order[500:1000])])
    stream = np.concatenate(list(datasets.stream_table(path, **options, batch_size=77)))
    np.testing.assert_array_equal(stream, x)
    swapped, _ = datasets.load_arrays(path, "all", columns=[1, 0], **options)
    np.testing.assert_array_equal(swapped[:, ::-1], x)
    other, _ = datasets.load_arrays(path, "all", seed=1, **options)
    assert (other[:, 1] != x[:, 1]).mean() > 0.5


def test_noise_does_not_depend_on_dropped_rows(tmp_path):
    path = tmp_path / "x.csv"
    lines = [f"{value},{i}" for i, value in enumerate(normal(300))]
    path.write_text("a,k\n" + "\n".join(lines))
    x, _ = datasets.load_arrays(path, "all", dequantize=["k"])
    lines[7] = ",7"
    path.write_text("a,k\n" + "\n".join(lines))
    got, _ = datasets.load_arrays(path, "all", dequantize=["k"], missing="drop")
    np.testing.assert_array_equal(got, np.delete(x, 7, axis=0))


def test_noise_is_for_columns_of_whole_numbers_of_x(tmp_path):
    path = write(tmp_path, "csv", a=normal(10), k=np.arange(10), c=np.arange(10))
    with pytest.raises(ValueError, match=r"line 2, column 'a': dequantize= requires whole numbers"):
        datasets.load(path, dequantize=["a"])
    with pytest.raises(ValueError, match=r"must name columns of x. Received: 'c', which is none"):
        datasets.load(path, dequantize=["c"], exclude=["c"])
    with pytest.raises(ValueError, match=r"no column 'kk' among .* did you mean k"):
        datasets.load(path, dequantize=["kk"])
    path.write_text("a,k\n1,2\n2,99999999\n")
    with pytest.raises(ValueError, match=r"line 3, .*at most 4,194,304. Received: 1e\+08"):
        datasets.load(path, dequantize=["k"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_columns_of_words_are_reported_at_once(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    columns = {"a": [1.5, 2, 3], "city": ["Bonn", "Rom", "Bari"], "b": [1, 2, 4], "day": ["x"] * 3}
    if suffix == "csv":
        rows = zip(*columns.values(), strict=True)
        path.write_text("\n".join([",".join(columns), *(",".join(map(str, r)) for r in rows)]))
    else:
        pa.parquet.write_table(pa.table(columns), path)
    with pytest.raises(ValueError, match=r"exclude=\['city', 'day'\]"):
        datasets.load(path)
    got, info = datasets.load_arrays(path, "all", exclude=["city", "day"])
    np.testing.assert_array_equal(got, [[1.5, 1], [2, 2], [3, 4]])
    assert info.columns == ("a", "b")
    with pytest.raises(ValueError, match=r"'city' is in columns= and in exclude="):
        datasets.load(path, columns=["city"], exclude=["city"])


def test_the_index_that_pandas_writes_is_no_data(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(",a,b\n" + "".join(f"{i},{v},{v * v}\n" for i, v in enumerate(normal(50))))
    with pytest.warns(UserWarning, match=r"left out column '', which looks like an index"):
        _, info = datasets.load_rows(path)
    assert info.columns == ("a", "b")
    with pytest.warns(UserWarning, match=r"left out column ''"):
        assert next(iter(datasets.stream_table(path))).shape == (50, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert datasets.load_rows(path, exclude=[0])[1].columns == ("a", "b")
        assert datasets.load_rows(path, columns=[0, "a"])[1].columns == ("", "a")
    path.write_text(",a,b\n" + "".join(f"{9 * i},{v},{v * v}\n" for i, v in enumerate(normal(50))))
    with pytest.raises(ValueError, match=r"column 0 has no name.*exclude=\[0\]"):
        datasets.load(path)
    table = pa.table({"a": normal(50), "__index_level_0__": np.arange(50)})
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.warns(UserWarning, match=r"left out column '__index_level_0__'"):
        assert datasets.load_rows(tmp_path / "x.parquet")[1].columns == ("a",)


@pytest.mark.slow
def test_the_checks_cost_little(tmp_path, monkeypatch):
    from tfflows.datasets import user_file
    from tfflows.datasets.readers import table

    path = write(tmp_path, "parquet", **{f"c{i}": normal(300_000, i) for i in range(10)})

    def seconds():
        times = []
        for _ in range(7):
            start = time.perf_counter()
            datasets.load_rows(path, "all")
            times.append(time.perf_counter() - start)
        return min(times)

    seconds()
    checked = seconds()
    monkeypatch.setattr(table, "refuse_merged", lambda *arguments: 0)
    monkeypatch.setattr(user_file, "warn_of_discrete", lambda *arguments: None)
    monkeypatch.setattr(user_file.ColumnSample, "add", lambda *arguments: None)
    assert checked < 1.15 * seconds()  # 5%, and what a busy machine adds
