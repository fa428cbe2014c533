"""Plain flows over tables of continuous columns."""

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from keras import ops

from tfflows import Flow, layers, models, tables
from tfflows.tables import (
    Boolean,
    Integer,
    Interval,
    Positive,
    Real,
    Schema,
    plain_flow,
    support_layers,
)

SCHEMA = Schema(
    [Real("change"), Positive("price"), Positive("cost"), Interval("share", 0, 100), Real("b")]
)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    table = {
        "change": rng.normal(5, 2, n),
        "price": rng.lognormal(3, 1, n),
        "cost": rng.lognormal(0, 2, n),
        "share": 100 / (1 + np.exp(-rng.normal(1, 1, n))),
        "b": rng.normal(size=n),
    }
    return pd.DataFrame(table)


def density(frame):
    """log p of `rows`."""
    logit = np.log(frame["share"] / (100 - frame["share"]))
    return (
        scipy.stats.norm.logpdf(frame["change"], 5, 2)
        + scipy.stats.lognorm.logpdf(frame["price"], 1, scale=np.exp(3))
        + scipy.stats.lognorm.logpdf(frame["cost"], 2)
        + scipy.stats.norm.logpdf(logit, 1, 1)
        + np.log(100 / (frame["share"] * (100 - frame["share"])))
        + scipy.stats.norm.logpdf(frame["b"])
    )


def test_neighbours_of_one_support_are_one_block():
    blockwise, standardize = support_layers(SCHEMA)
    assert blockwise.block_sizes == [1, 2, 1, 1]
    assert [type(layer) for layer in blockwise.flow_layers] == [layers.Log, layers.Logit]
    assert isinstance(standardize, layers.Standardize)
    assert [type(layer) for layer in support_layers(Schema([Real("a")]))] == [layers.Standardize]
    softplus, _ = support_layers(SCHEMA, positive="inverse_softplus")
    assert isinstance(softplus.flow_layers[0], layers.InverseSoftplus)


def test_columns_that_are_normal_after_their_maps_have_their_density():
    """In the units of the data, from the statistics of 10,000 rows."""
    flow = Flow(support_layers(SCHEMA), (5,))
    flow.adapt(rows(10_000).to_numpy())
    held_out = rows(500, seed=1)
    got = numpy(flow.log_prob(held_out.to_numpy()))
    wanted = density(held_out).to_numpy()
    assert abs(got.mean() - wanted.mean()) < 0.02
    np.testing.assert_allclose(got, wanted, atol=0.5)


def test_frames_are_matched_by_name_and_samples_stay_in_their_supports():
    flow = plain_flow(SCHEMA, models.RealNVP, num_couplings=1, hidden_units=[16])
    frame = rows(1_000)
    shuffled = frame.assign(note="kept out")[["share", "note", "b", "cost", "price", "change"]]
    flow.compile(keras.optimizers.Adam(1e-3))
    flow.fit(shuffled, batch_size=250, epochs=2, verbose=0)
    got = numpy(flow.log_prob(shuffled))
    np.testing.assert_allclose(got, numpy(flow.log_prob(frame.to_numpy())), atol=1e-5)
    assert abs(got.mean() - density(frame).mean()) < 0.3
    samples = pd.DataFrame(numpy(flow.sample(5_000, seed=0)), columns=SCHEMA.names)
    assert (samples[["price", "cost"]] > 0).to_numpy().all()
    assert samples["share"].between(0, 100, inclusive="neither").all()
    frame.loc[7, "share"] = 100.0
    with pytest.raises(ValueError, match=r"\(0\.0, 100\.0\)\. Received: 100\.0 at row 7 .* share"):
        flow.log_prob(frame)


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        (models.NSF, {"num_steps": 1}),
        (models.MAF, {"num_layers": 1}),
        (models.FFJORD, {}),
        (models.NICE, {"num_couplings": 1}),
    ],
)
def test_models_of_vectors_take_a_schema(model, arguments):
    flow = plain_flow(SCHEMA, model, **arguments)
    again = model.from_config(flow.get_config())
    assert again.data_schema.columns == SCHEMA.names
    first = [type(layer) for layer in again.flow_layers[:2]]
    assert first == [layers.Blockwise, layers.Standardize]


def test_columns_with_masses_are_refused_by_name():
    masses = [Integer("age", low=0), Boolean("is_new"), Positive("p", atoms=(0.0,), missing=True)]
    message = r"Received: 'age' \(integer\), 'is_new' \(boolean\), 'p' \(atoms and missing cells\)"
    with pytest.raises(ValueError, match=message):
        support_layers(Schema([Real("a"), *masses]))
    with pytest.raises(ValueError, match=r"positive must be one of .*'exp'"):
        tables.support_layers(SCHEMA, positive="exp")
