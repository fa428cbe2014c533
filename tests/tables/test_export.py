"""SavedModels of a table flow against the live flow, and in a process that has only TensorFlow."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from marks import needs_tensorflow, slow_on_jax

import tfflows
from tfflows import tables
from tfflows.tables import (
    Boolean,
    Category,
    Datetime,
    Integer,
    Interval,
    Ordinal,
    Positive,
    Real,
    ServedTable,
)
from tfflows.tables.argument_names import argument_names
from tfflows.tables.table_flow import TableFlow

SCHEMA = tables.Schema(
    [
        Category("work-class", ("état", "private", "self emp"), missing=True),
        Category("5th", ("a", "b"), other=True),
        Ordinal("seed", (1, 2, 5)),
        Boolean("class", missing=True),
        Boolean("over", ("no", "yes")),
        Integer("age", low=0, high=120),
        Integer("price", low=0, step=0.1, missing=True),
        Real("gain", atoms=(0.0, 9.5), missing=True),
        Positive("size"),
        Interval("share", 0, 1, atoms=(0.0, 1.0)),
        Datetime("born", "D", "%d.%m.%Y", low="1900-01-01", dtype="str"),
        Datetime("seen", "s", missing=True),
    ]
)


def table(rows, seed=0):
    """Rows of SCHEMA."""
    random = np.random.default_rng(seed)

    def holes(values, share=0.2):
        values = np.array(values, object)
        values[random.random(rows) < share] = None
        return values

    share = np.clip(random.normal(0.5, 0.5, rows), 0, 1)
    gain = np.where(random.random(rows) < 0.4, 0.0, random.normal(size=rows) * 1e3)
    born = pd.Timestamp("1980-02-29") + pd.to_timedelta(random.integers(-9999, 9999, rows), "D")
    seen = pd.Timestamp("2024-02-29") + pd.to_timedelta(random.integers(-(10**8), 10**8, rows), "s")
    return pd.DataFrame(
        {
            "work-class": holes(random.choice(["état", "private", "self emp"], rows)),
            "5th": random.choice(["a", "b", "rare"], rows, p=[0.5, 0.4, 0.1]),
            "seed": random.choice([1, 2, 5], rows),
            "class": holes(random.choice([True, False], rows)),
            "over": random.choice(["no", "yes"], rows),
            "age": random.integers(0, 121, rows),
            "price": holes(random.integers(0, 50, rows) / 10).astype("float64"),
            "gain": holes(gain).astype("float64"),
            "size": random.lognormal(0, 3, rows),
            "share": share,
            "born": born.strftime("%d.%m.%Y"),
            "seen": pd.Series(seen).where(random.random(rows) > 0.1),
        }
    )


def randomised(schema, data, **settings):
    flow = TableFlow(schema, width=12, num_blocks=1, num_components=2, **settings)
    flow.adapt(data)
    random = np.random.default_rng(3)
    for weight in flow.trainable_weights:
        weight.assign_add(0.4 * random.normal(size=weight.shape).astype("float32"))
    return flow


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A flow of every kind of column, and the version folder of its SavedModel."""
    flow = randomised(SCHEMA, table(800))
    return flow, flow.export(tmp_path_factory.mktemp("tables") / "people")


@pytest.fixture(scope="module")
def served(exported):
    return tfflows.load_model(exported[1])


def as_text(frame):
    return frame.astype(object).where(frame.notna(), "missing").astype(str)


@pytest.mark.parametrize("num_rows", [pytest.param(300, marks=slow_on_jax)])
def test_densities_are_those_of_the_flow(exported, served, num_rows):
    flow, folder = exported
    assert folder.name == "1"
    assert isinstance(served, ServedTable)
    assert served.schema == SCHEMA
    rows = table(num_rows, seed=1)
    wanted = flow.log_prob(rows)
    assert wanted.std() > 1
    np.testing.assert_allclose(served.log_prob(rows), wanted, atol=1e-5, rtol=1e-6)
    np.testing.assert_array_equal(served.log_prob(rows, batch_size=299).shape, (300,))


@needs_tensorflow
def test_samples_are_those_of_the_flow(exported, served):
    """Equal up to digits beyond float32, which have another noise."""
    flow, _ = exported
    drawn, wanted = served.sample(200, seed=7), flow.sample(200, seed=7)
    assert list(drawn.dtypes) == list(wanted.dtypes)
    for name in SCHEMA.names:
        if name in ("gain", "size", "share"):
            np.testing.assert_allclose(drawn[name], wanted[name], rtol=1e-4, atol=1e-4)
        elif name == "seen":
            assert (drawn[name].isna() == wanted[name].isna()).all()
            assert (drawn[name] - wanted[name]).abs().max() < pd.Timedelta("1min")
        else:
            assert (as_text(drawn[[name]]) == as_text(wanted[[name]])).all().all(), name
    assert drawn["class"].isna().any()
    # No training row has it, so its mass is small.
    assert served.sample(8_192, seed=8)["5th"].eq("(other)").any()
    assert np.isfinite(flow.log_prob(drawn)).all()  # all inside the support
    again = served.sample(200, seed=7)
    pd.testing.assert_frame_equal(again, drawn)
    assert not served.sample(200).equals(served.sample(200))
    assert len(served.sample(0)) == 0


@needs_tensorflow
def test_given_cells_stay_and_the_others_are_those_of_the_flow(exported, served):
    flow, _ = exported
    given = {"5th": "b", "age": list(range(50)), "born": "29.02.2000"}
    drawn, wanted = served.sample(50, given=given, seed=3), flow.sample(50, given=given, seed=3)
    assert list(drawn["age"]) == given["age"]
    assert set(drawn["born"]) == {"29.02.2000"}
    names = ["work-class", "seed", "class", "over", "5th", "price"]
    assert (as_text(drawn[names]) == as_text(wanted[names])).all().all()
    with pytest.raises(ValueError, match="'agee'; did you mean age"):
        served.sample(5, given={"agee": 3})
    with pytest.raises(ValueError, match="a missing value of 'class'"):
        served.sample(5, given={"class": None})


@needs_tensorflow
def test_holes_are_filled_as_the_flow_fills_them(exported, served):
    flow, _ = exported
    rows = table(60, seed=2).astype(object)
    holes = np.random.default_rng(0).random(rows.shape) < 0.3
    rows = rows.mask(holes)
    drawn, wanted = served.impute(rows, 2, seed=5), flow.impute(rows, 2, seed=5)
    assert not drawn.isna().any().any()
    assert len(drawn) == 120
    names = ["work-class", "5th", "seed", "class", "over", "age", "price", "born"]
    assert (as_text(drawn[names]) == as_text(wanted[names])).all().all()
    there = pd.concat([rows, rows], ignore_index=True)
    kept = there["age"].notna()
    assert (drawn["age"][kept] == there["age"][kept]).all()


def inputs_of(rows, signature):
    """A request as a server makes it, without the schema."""
    import tensorflow as tf

    row = {
        "work_class": "private", "column_5th": "b", "column_seed": 2, "column_class": "true",
        "over": "yes", "age": 30, "price": 0.3, "gain": 0.0, "size": 2.5, "share": 1.0,
        "born": "29.02.1980", "seen": "2024-02-29T12:00:01Z",
    } | rows  # fmt: skip
    specs = signature.structured_input_signature[1]
    return {
        name: tf.constant(value if np.ndim(value) else [value], specs[name].dtype)
        for name, value in row.items()
    }


@needs_tensorflow
def test_names_that_tensorflow_cannot_take_are_mapped(served):
    names = [
        "age", "a_b", "a b", "a-b", "Ünter", "class", "seed", "AGE!", "9", "", "self",
        "in_bytes",
    ]  # fmt: skip
    mapped = argument_names(names)
    assert list(mapped.values()) == [
        "age", "a_b", "a_b_2", "a_b_3", "column__nter", "column_class", "column_seed", "AGE_",
        "column_9", "column_", "column_self", "in_bytes_",
    ]  # fmt: skip
    specs = served.signatures["log_prob"].structured_input_signature[1]
    assert set(served.description["arguments"].values()) == set(specs)
    assert specs["age"].dtype == "int64"
    assert specs["work_class"].dtype == "string"
    assert specs["price"].dtype == "float64"
    assert specs["column_seed"].dtype == "int64"


@needs_tensorflow
@pytest.mark.parametrize(
    ("name", "cell", "said"),
    [
        ("work-class", "privat", "expected one of the 3 values .*private.* Received: privat"),
        ("seed", 3, "expected one of the 3 values of the ordinal, 1, 2, 5. Received: 3"),
        ("class", "maybe", ".*Received: maybe"),
        ("over", "", "expected a value. Received: a missing cell"),
        ("age", 121, "expected a value from 0 to 120. Received: 121"),
        ("price", 0.25, "expected a multiple of 0.1. Received: 0.25"),
        ("price", np.inf, "expected a multiple of 0.1. Received: inf"),
        ("gain", -np.inf, ".*Received: -inf"),
        ("size", 0.0, r"expected a number in \(0, inf\). Received: 0"),
        ("size", np.nan, "expected a value. Received: a missing cell"),
        ("share", 1.5, r"expected a number in \(0, 1\), or one of \[0.0, 1.0\]. Received: 1.5"),
        ("born", "30.02.1980", "expected a date as %d.%m.%Y. Received: 30.02.1980"),
        ("born", "1980-02-01", ".*Received: 1980-02-01"),
        ("born", "01.02.1899", "expected a value from 1900-01-01 to any. Received: 01.02.1899"),
        ("seen", "2024-13-01", "expected a date as ISO 8601. Received: 2024-13-01"),
        ("seen", "2024-12-01T25:00", ".*Received: 2024-12-01T25:00"),
        ("seen", "2024-12-01T10:00:00.5", "expected whole units of s. Received: 2024-12-01T10:0"),
    ],
)
def test_cells_that_do_not_fit_are_refused(exported, name, cell, said):
    import tensorflow as tf

    from tfflows.tables.graph_columns import encode_cells, served_dtype

    column = SCHEMA[name]
    marginals = {m.column.name: m for m in exported[0].encoder.marginals}
    cells = tf.constant([cell], served_dtype(column, column.missing))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"row 0, column {name}: {said}"):
        encode_cells(column, marginals.get(name), cells, column.missing)


@needs_tensorflow
def test_the_row_of_a_wrong_cell_is_counted(served):
    import tensorflow as tf

    log_prob = served.signatures["log_prob"]
    rows = {name: [value.numpy()[0]] * 3 for name, value in inputs_of({}, log_prob).items()}
    assert np.isfinite(log_prob(**inputs_of(rows, log_prob))["log_prob"]).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"row 2, column age: .*Received: -4"):
        log_prob(**inputs_of(rows | {"age": [1, 2, -4]}, log_prob))


@needs_tensorflow
def test_equal_cells_in_other_words_have_equal_densities(served):
    log_prob = served.signatures["log_prob"]

    def of(**cells):
        return log_prob(**inputs_of(cells, log_prob))["log_prob"].numpy()[0]

    assert of(column_class="True") == of(column_class="true") != of(column_class="False")
    assert of(seen="2024-02-29 13:30:01+01:30") == of(seen="2024-02-29T12:00:01") != of(seen="")
    assert of(column_5th="x") == of(column_5th="(other)") != of(column_5th="a")
    assert of(born="1.3.1980") == of(born="01.03.1980")


@needs_tensorflow
def test_requests_for_warm_up_fit_their_signatures(served):
    import tensorflow as tf

    from tfflows.tables.signatures import example_requests

    functions = {k: f for k, f in served.signatures.items() if k != "serving_default"}
    requests = example_requests(functions)
    assert [name for name, _ in requests] == list(functions)
    for name, inputs in requests:
        answer = functions[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert all(value.shape == (1,) for value in answer.values())


ALONE = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("tfflows", "keras.")):
            raise ImportError(f"{name} is not for the serving process")

sys.meta_path.insert(0, Nothing())
import tensorflow as tf

assert "keras" not in sys.modules
model = tf.saved_model.load(sys.argv[1])
impute, score = model.signatures["impute"], model.signatures["serving_default"]
holes = {
    name: tf.fill([5], tf.constant("" if spec.dtype == tf.string else float("nan"), spec.dtype))
    for name, spec in impute.structured_input_signature[1].items()
    if name != "seed"
}
filled = impute(**holes | {"seed": tf.constant([3, 0])})
specs = score.structured_input_signature[1]
filled = {name: tf.cast(cells, specs[name].dtype) for name, cells in filled.items()}
print(sorted(model.signatures))
print(score(**filled)["log_prob"].numpy().tolist())
print([text.decode() for text in filled["work_class"].numpy()])
"""


@needs_tensorflow
def test_a_process_with_only_tensorflow_serves_it(exported):
    flow, folder = exported
    command = [sys.executable, "-c", ALONE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    names, scores, filled = done.stdout.splitlines()[-3:]
    assert names == str(["impute", "log_prob", "sample", "sample_given", "serving_default"])
    wanted = flow.impute(pd.DataFrame([[None] * 12] * 5, columns=list(SCHEMA.names)), seed=3)
    assert filled == str(list(wanted["work-class"]))
    np.testing.assert_allclose(eval(scores), flow.log_prob(wanted), rtol=1e-3)


@needs_tensorflow
def test_formats_of_dates_are_read_and_written_as_pandas_does():
    import tensorflow as tf

    from tfflows.tables.dates import format_ticks
    from tfflows.tables.dates import parse_dates as live
    from tfflows.tables.graph_dates import format_dates, parse_dates

    random = np.random.default_rng(0)
    cases = [
        ("D", None), ("h", None), ("m", None), ("s", None), ("ms", None), ("us", None),
        ("ns", None), ("D", "%Y%m%d"), ("D", "%m/%d/%y"), ("D", "%d %b %Y"), ("D", "%B %d, %Y"),
        ("m", "%d/%m/%Y %I:%M %p"), ("us", "%Y-%m-%d %H:%M:%S.%f"), ("s", "%Y-%m-%dT%H:%M:%S%z"),
        ("s", "%Y.%m.%d %H:%M:%SZ"),
    ]  # fmt: skip
    for unit, format in cases:
        column = Datetime("t", unit, format)
        years = (1970, 2060) if format and "%y" in format else (1700, 2200)
        first, last = (np.datetime64(str(year), unit).astype("int64") for year in years)
        ticks = random.integers(first, last, 300)
        texts = format_ticks(column, ticks)
        written = [text.decode() for text in format_dates(column, tf.constant(ticks)).numpy()]
        assert written == list(texts), (unit, format)
        parsed = parse_dates(column, tf.constant(list(texts)))
        missing = np.zeros(300, bool)
        np.testing.assert_array_equal(live(column, pd.Series(texts), missing, None), ticks)
        np.testing.assert_array_equal(parsed.ticks, ticks)
        assert parsed.is_date.numpy().all()
        assert parsed.is_whole.numpy().all()


@needs_tensorflow
def test_what_cannot_be_exported_is_refused(exported, tmp_path):
    flow, folder = exported
    with pytest.raises(FileExistsError, match="never replaced"):
        flow.export(folder)
    with pytest.raises(ValueError, match=r"other formats lack strings.*'onnx'"):
        flow.export(tmp_path / "x", format="onnx")
    with pytest.raises(ValueError, match="call fit"):
        TableFlow(SCHEMA).export(tmp_path / "x")
    empty = tables.Schema([Category("c", ("", "a"))])
    with pytest.raises(ValueError, match="'c': the empty string is a missing cell"):
        randomised(empty, {"c": ["", "a"]}).export(tmp_path / "x")
    weekday = tables.Schema([Datetime("t", "D", "%a %d.%m.%Y", dtype="str")])
    rows = {"t": ["Thu 29.02.2024", "Fri 01.03.2024"]}
    with pytest.raises(ValueError, match=r"'t': .*Received: '%a' in"):
        randomised(weekday, rows).export(tmp_path / "x")
    assert not list(tmp_path.iterdir())


@needs_tensorflow
@pytest.mark.slow
def test_one_order_fills_its_last_columns_only(tmp_path):
    import tensorflow as tf

    schema = tables.Schema([Category("b", ("x", "y")), Category("a", ("x", "y"))])
    flow = randomised(schema, {"a": ["x", "y"], "b": ["y", "y"]}, order=["a", "b"])
    served = tfflows.load_model(flow.export(tmp_path / "1"))
    rows = pd.DataFrame({"a": ["x", "y"], "b": ["y", None]})
    np.testing.assert_allclose(served.log_prob(rows[:1]), flow.log_prob(rows[:1]), atol=1e-5)
    assert served.impute(rows, seed=0).equals(flow.impute(rows, seed=0))
    with pytest.raises(tf.errors.InvalidArgumentError, match="trained on one order"):
        served.impute(rows.rename(columns={"a": "b", "b": "a"}))


@needs_tensorflow
def test_a_keras_file_of_a_table_flow_loads(exported, tmp_path):
    flow, _ = exported
    flow.save(tmp_path / "people.keras")
    loaded = tfflows.load_model(tmp_path / "people.keras")
    assert isinstance(loaded, TableFlow)
    rows = table(20, seed=4)
    np.testing.assert_allclose(loaded.log_prob(rows), flow.log_prob(rows), atol=1e-5)
