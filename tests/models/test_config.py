"""Configs follow from signatures: what a model was made with is what its copy is made with."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import once

from tfflows import layers, models, networks, ode
from tfflows.distributions import MixtureOfGaussians
from tfflows.utils import legacy

pytestmark = once
SMALL = {
    "FFJORD": lambda: models.FFJORD(
        (3,),
        num_flows=2,
        network=networks.DynamicsMLP([4], "concat", polar_features=True),
        solver=ode.FixedStep("euler", 2),
        test_solver=ode.FixedStep("midpoint", 3),
        preprocessing=[layers.Whiten(), layers.RadialGaussianize(4)],
    ),
    "Glow": lambda: models.Glow((4, 4, 1), 1, 1, 4, quantization_levels=8, logit=0.1),
    "IAF": lambda: models.IAF((3,), 1, [4], preprocessing=[layers.Standardize()]),
    "Jet": lambda: models.Jet((4, 4, 1), 2, 1, 4, 1, 2, quantization_levels=None),
    "MADEFlow": lambda: models.MADEFlow((3,), 2, [4], order=np.array([2, 0, 1])),
    "MAF": lambda: models.MAF((2, 2), 1, (4,), base=MixtureOfGaussians(3, seed=0)),
    "MultiScaleFFJORD": lambda: models.MultiScaleFFJORD(
        (4, 4, 1), network=networks.DynamicsConvNet([4]), test_solver=ode.FixedStep("euler", 2)
    ),
    "MultiScaleRealNVP": lambda: models.MultiScaleRealNVP((4, 4, 1), 1, 1, 4, 1),
    "NICE": lambda: models.NICE((3,), 1, [4], condition_shape=(2,), name="mine"),
    "NSF": lambda: models.NSF((3,), 1, 4, 1, dtype="float64"),
    "RealNVP": lambda: models.RealNVP((3,), 1, [4], dtype="mixed_bfloat16", trainable=False),
    "TarFlow": lambda: models.TarFlow((4, 4, 1), 2, 2, 4, 1, 2, quantization_levels=17),
}


# Their solvers take ten seconds to trace.
SLOW = ("FFJORD", "MultiScaleFFJORD")
every_small = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SMALL]
)


def data(flow, n=4):
    x = np.random.default_rng(0).integers(0, 8, (n, *flow.event_shape)).astype("float32")
    if flow.condition_shape is None:
        return (x,)
    return x, np.ones((n, *flow.condition_shape), "float32")


def test_every_model_is_here():
    assert set(SMALL) == set(models.__all__)


@every_small
def test_a_config_goes_through_json_and_makes_the_same_model(name):
    flow = randomize(SMALL[name](), spread=0.1)
    config = json.loads(json.dumps(flow.get_config()))
    assert config["config_version"] == legacy.CONFIG_VERSION
    again = type(flow).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert (again.name, again.trainable, again.dtype_policy) == (
        flow.name, flow.trainable, flow.dtype_policy
    )  # fmt: skip
    again.set_weights(flow.get_weights())
    wanted = ops.convert_to_numpy(flow.log_prob(*data(flow)))
    assert np.isfinite(wanted).all()
    np.testing.assert_array_equal(again.log_prob(*data(flow)), wanted)


@pytest.mark.parametrize(
    "name",
    ["IAF", *(pytest.param(n, marks=pytest.mark.slow) for n in ("FFJORD", "MultiScaleFFJORD"))],
)
def test_a_file_holds_the_weights_of_layers_that_were_given(name, tmp_path):
    flow = randomize(SMALL[name](), spread=0.1)
    flow.save(tmp_path / "flow.keras")
    flow.save_weights(tmp_path / "flow.weights.h5")
    whole = keras.saving.load_model(tmp_path / "flow.keras")
    parts = type(flow).from_config(flow.get_config())
    parts.load_weights(tmp_path / "flow.weights.h5")
    for again in (whole, parts):
        np.testing.assert_array_equal(again.log_prob(*data(flow)), flow.log_prob(*data(flow)))


def test_arguments_that_change_afterwards_do_not_change_the_config():
    units, order = [4], np.array([1, 0])
    flow = models.MADEFlow((2,), 1, units, order=order)
    units.append(5)
    order[:] = 0
    assert (flow.get_config()["hidden_units"], flow.get_config()["order"]) == ([4], [1, 0])


def test_defaults_are_written_and_dropped_keywords_are_not():
    config = models.RealNVP((2,)).get_config()
    assert (config["num_couplings"], config["hidden_units"]) == (8, [256, 256])
    assert (config["preprocessing"], config["base"]) == (None, None)
    assert "kwargs" not in config


def test_a_users_own_model_has_its_own_arguments():
    @keras.saving.register_keras_serializable(package="test_config")
    class Doubled(models.RealNVP):
        def __init__(self, event_shape, pairs, levels=3, **kwargs):
            super().__init__(event_shape, num_couplings=2 * pairs, **kwargs)

    flow = Doubled((2,), pairs=2, hidden_units=[4])
    again = Doubled.from_config(flow.get_config())
    assert len(again.flow_layers) == len(flow.flow_layers) == 9
    assert flow.get_config()["levels"] == 3


@pytest.mark.parametrize("version", [1, 2])
def test_a_glow_of_an_earlier_version_keeps_networks_that_see_all(version):
    class Own(models.Glow):
        def __init__(self, event_shape, **kwargs):
            super().__init__(event_shape, num_levels=1, depth=1, filters=2, **kwargs)

    def limits(flow):
        return {each.input_limit for each in flow.flow_layers if isinstance(each, layers.Coupling)}

    for cls in (models.Glow, Own):
        config = cls((4, 4, 1)).get_config()
        assert limits(cls.from_config(config)) == {10.0}
        old = {k: v for k, v in config.items() if k not in ("input_limit", "config_version")}
        old |= {} if version == 1 else {"config_version": version}
        again = cls.from_config(old)
        assert limits(again) == {None}
        assert limits(cls.from_config(again.get_config())) == {None}


def test_a_config_of_a_newer_version_is_refused_by_both_numbers():
    config = {**models.NICE((2,)).get_config(), "config_version": 4}
    with pytest.raises(ValueError, match=r"NICE: .* up to version 3. Received: version 4"):
        models.NICE.from_config(config)


def test_further_fields_have_networks_of_the_same_config():
    network = networks.DynamicsMLP([5], "gated", name="mine")
    flow = models.FFJORD((2,), num_flows=3, network=network)
    first, *others = (field.network for field in flow.flow_layers[1:])
    assert first is network
    for other in others:
        assert other is not network
        assert (other.units, other.kind) == ([5], "gated")


@pytest.mark.parametrize(
    ("preprocessing", "event_shape", "wanted"),
    [
        ([], (4,), []),
        ([], (2, 2, 1), ["Flatten"]),
        ([layers.Logit], (2, 2, 1), ["Logit", "Flatten"]),
        ([layers.Standardize, layers.Whiten], (2, 2, 1), ["Standardize", "Flatten", "Whiten"]),
        ([layers.Flatten, layers.Whiten], (2, 2, 1), ["Flatten", "Whiten"]),
        ([layers.Squeeze, layers.Reverse], (2, 2, 1), ["Squeeze", "Reverse", "Flatten"]),
        ([layers.Whiten, layers.RadialGaussianize], (4,), ["Whiten", "RadialGaussianize"]),
    ],
)
def test_flatten_stands_where_vectors_are_needed_first(preprocessing, event_shape, wanted):
    flow = models.NICE(event_shape, 1, [4], preprocessing=[make() for make in preprocessing])
    names = [type(layer).__name__ for layer in flow.flow_layers]
    assert names == [*wanted, "AdditiveCoupling", "DiagonalScaling"]
    assert flow.latent_shape == (4,)


def test_padding_counts_among_the_elements():
    pad = [layers.Pad((4, 4)), layers.Dequantize(8)]
    flow = models.RealNVP((2, 3, 1), 2, [4], partition="random", preprocessing=pad)
    x = np.random.default_rng(0).integers(0, 8, (5, 2, 3, 1))
    np.testing.assert_array_equal(flow.inverse(flow.encode(x)), x)


@pytest.mark.parametrize("num_elements", [1, 2, 63, 257, 784])
@pytest.mark.parametrize("condition_shape", [None, (2,)])
def test_default_widths_fit_any_number_of_elements(num_elements, condition_shape):
    shape = (num_elements,)
    for make in (models.MADEFlow, lambda *a, **k: models.MAF(*a, num_layers=1, **k)):
        flow = make(shape, condition_shape=condition_shape)
        assert flow.get_config()["hidden_units"] is None
    models.MADEFlow(shape, residual=True, condition_shape=condition_shape)
    if num_elements > 1:
        models.NSF(shape, num_steps=1, autoregressive=True, condition_shape=condition_shape)
        models.NICE(shape, condition_shape=condition_shape)


def test_a_nice_of_a_table_has_a_network_for_a_table():
    assert models.NICE((6,)).count_params() < 300_000
    paper = models.NICE((784,), hidden_units=[1000] * 5)
    assert paper.count_params() > 16_000_000


def test_layers_and_networks_with_old_names_are_read():
    field = layers.ContinuousFlow(kinetic_weight=0.5, jacobian_weight=0.25)
    config = field.get_config()
    old = {"kinetic": config.pop("kinetic_weight"), "jacobian": config.pop("jacobian_weight")}
    again = layers.ContinuousFlow.from_config({**config, **old})
    assert (again.kinetic_weight, again.jacobian_weight) == (0.5, 0.25)
    for cls in (networks.DynamicsMLP, networks.DynamicsConvNet):
        config = cls(polar_features=True).get_config()
        config["radial_field"] = config.pop("polar_features")
        assert cls.from_config(config).polar_features is True
    for old, new in (("by_degrees", "incremental"), ("in_order", "sequential")):
        config = {**layers.InverseAutoregressive().get_config(), "inversion": old}
        assert layers.InverseAutoregressive.from_config(config).inversion == new
