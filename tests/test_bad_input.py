"""What a wrong call gets: an error that says what came and what was wanted."""

import importlib

import keras
import numpy as np
import pytest
from model_table import small_flow, small_image_flow

import tfflows
from tfflows import layers, models
from tfflows.distributions import StandardNormal
from tfflows.networks import MLP, ConvResNet, DynamicsMLP

SHARED = layers.Reverse()
GOOD = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")


def with_value(value):
    x = GOOD.copy()
    x[3, 1] = value
    return x


@pytest.fixture(scope="module")
def flow():
    made = small_flow(num_couplings=1)
    made.compile("adam")
    return made


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((8, 3)), r"Expected x of shape \('batch', 2\).*\(8, 3\)"),
        (np.zeros(8), r"x of shape \(8,\)"),
        (np.array([["a", "b"]]), "Expected numbers.*dtype"),
        (np.zeros((8, 2), "complex64"), "Expected numbers.*complex64"),
        (with_value(np.nan), r"1 values that are NaN or inf; the first stands at x\[3, 1\]"),
        (with_value(np.inf), r"x\[3, 1\]"),
        (np.zeros((0, 2)), "data are empty"),
        (None, "Expected data.*None"),
        ({"image": GOOD}, r"key \"x\".*\['image'\]"),
        ((GOOD, GOOD[:, :1]), "takes no condition.*"),
        ((GOOD, GOOD, GOOD), "3 parts"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_data_that_cannot_be_right_are_refused(flow, method, data, message):
    with pytest.raises(ValueError, match=message):
        getattr(flow, method)(data, verbose=0)


def test_wrong_validation_data_are_refused_before_training(flow):
    with pytest.raises(ValueError, match="NaN or inf"):
        flow.fit(GOOD, validation_data=(with_value(np.nan),), verbose=0)


@pytest.mark.parametrize("form", ["array", "dict", "dataset"])
def test_validation_data_of_every_form_are_checked(flow, form):
    import tensorflow as tf

    wrong = with_value(np.nan)
    data = {"array": wrong, "dict": {"x": wrong}}.get(form)
    if data is None:
        data = tf.data.Dataset.from_tensor_slices(wrong).batch(8)
    with pytest.raises(ValueError, match="NaN or inf"):
        flow.fit(GOOD, validation_data=data, verbose=0)


@pytest.mark.parametrize("weight", [np.nan, -1.0])
def test_impossible_sample_weights_are_refused(flow, weight):
    with pytest.raises(ValueError, match="sample_weight must be finite and not negative"):
        flow.fit(GOOD, sample_weight=[1.0] * 7 + [weight], verbose=0)


def test_targets_are_refused(flow):
    for call in (flow.fit, flow.evaluate):
        with pytest.raises(ValueError, match=r"has no targets.*\(x, condition\). Received: y of"):
            call(GOOD, GOOD, verbose=0)


def test_a_condition_without_its_batch_axis_is_explained():
    conditional = small_flow(condition_shape=(3,), num_couplings=1)
    for wrong in (2, np.eye(3)[2]):
        with pytest.raises(ValueError, match=r"shape \(4, 3\), or \(1, 3\) for all.*one-hot"):
            conditional.sample(4, condition=wrong)


def test_weights_that_are_nan_are_refused_with_the_cure():
    flow = small_flow(num_couplings=1)
    flow.compile("adam")
    flow.fit(GOOD, verbose=0)
    flow.trainable_weights[0].assign(np.nan * flow.trainable_weights[0])
    for call in (lambda: flow.fit(GOOD, verbose=0), lambda: flow.adapt(GOOD)):
        with pytest.raises(ValueError, match=r"finite weights.* in .*make the flow again"):
            call()


def test_a_condition_in_the_place_of_targets_is_explained():
    conditional = small_flow(condition_shape=(3,), num_couplings=1)
    conditional.compile("adam")
    with pytest.raises(ValueError, match=r"pass \(x, condition\) as x"):
        conditional.fit(GOOD, np.zeros((8, 3), "float32"), verbose=0)


def test_an_empty_dataset_is_refused(flow):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(GOOD).batch(4)
    with pytest.raises(ValueError, match="data are empty"):
        flow.fit(dataset.take(0), verbose=0)
    with pytest.raises(ValueError, match="data are empty"):
        flow.fit((batch for batch in ()), verbose=0)
    with pytest.raises(ValueError, match="data are empty"):
        flow.adapt(dataset.take(0))


def test_pixels_out_of_range_are_refused():
    flow = small_image_flow()
    flow.compile("adam")
    pixels = np.full((4, 4, 4, 1), 17)
    for call in (flow.log_prob, lambda x: flow.fit(x, verbose=0), flow.adapt):
        with pytest.raises(ValueError, match=r"data from 0 to 16.*from 17 to 17"):
            call(pixels)
    with pytest.raises(ValueError, match="from -1 to"):
        flow.log_prob(pixels - 18)
    with pytest.raises(ValueError, match=r"whole numbers.*64 others, the first 0\.5"):
        flow.fit(np.full((4, 4, 4, 1), 0.5), verbose=0)


def test_diverging_training_stops_with_an_error():
    flow = small_flow(num_couplings=1)
    flow.compile(keras.optimizers.SGD(np.inf))
    with pytest.raises(FloatingPointError, match=r"Training stopped.*learning rate"):
        flow.fit(GOOD, epochs=3, verbose=0)


def test_conditions_are_checked(flow):
    conditional = small_flow(condition_shape=(3,), num_couplings=1)
    with pytest.raises(ValueError, match=r"expects a condition \(3,\) per row.*Received: none"):
        conditional.log_prob(GOOD)
    with pytest.raises(
        ValueError, match=r"shape \(8, 3\), or .* Received: condition of shape \(8, 2\)"
    ):
        conditional.log_prob(GOOD, GOOD)
    with pytest.raises(ValueError, match=r"Received: condition of shape \(5, 3\)"):
        conditional.sample(8, np.zeros((5, 3), "float32"))
    with pytest.raises(ValueError, match="takes no condition"):
        flow.sample(8, np.zeros((8, 3), "float32"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": -1}, "Received: -1"),
        ({"num_samples": 2.5}, r"Received: 2\.5"),
        ({"num_samples": 3, "temperature": -1.0}, "temperature"),
        ({"num_samples": 3, "temperature": np.nan}, "temperature"),
        ({"num_samples": 3, "temperature": "hot"}, "temperature.*'hot'"),
        ({"num_samples": 3, "seed": "a"}, "seed must be"),
    ],
)
def test_impossible_samples_are_refused(flow, arguments, message):
    with pytest.raises(ValueError, match=message):
        flow.sample(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.RealNVP((2,), num_couplings=0), "num_couplings.*0"),
        (lambda: models.RealNVP((2,), hidden_units=()), r"units.*\(\)"),
        (lambda: models.RealNVP((2,), normalization="layer"), "normalization.*'layer'"),
        (lambda: models.RealNVP((2,), partition="thirds"), "partition.*'thirds'"),
        (lambda: models.RealNVP((0,)), "at least 2 elements"),
        (lambda: models.Glow((4, 4, 1), quantization_levels=1), "levels.*1"),
        (lambda: models.Glow((4, 4, 1), logit=0.6), r"alpha.*0\.6"),
        (
            lambda: models.RealNVP((2,), preprocessing=layers.Standardize()),
            "`preprocessing` to be a list of flow layers.*Received: <Standardize",
        ),
        (
            lambda: models.RealNVP((2,), preprocessing=["Standardize"]),
            r"hold flow layers.*Received: 'Standardize'",
        ),
        (
            lambda: models.NICE((2,), preprocessing=[keras.layers.Normalization()]),
            "hold flow layers.*Received: <Normalization",
        ),
        (
            lambda: models.MAF((2,), dtype="float64", preprocessing=[layers.Standardize()]),
            "have its dtype, float64. Received: standardize.* of dtype float32",
        ),
        (lambda: models.NICE((2,), preprocessing=[SHARED, SHARED]), "twice"),
        (lambda: models.FFJORD((2,), solver="rk4"), r"ode.FixedStep.*Received: 'rk4'"),
        (lambda: models.FFJORD((2,), network=[64, 64]), r"networks.DynamicsMLP.*\[64, 64\]"),
        (lambda: models.MultiScaleRealNVP((7, 8, 1)), r"divides.*\(7, 8, 1\)"),
        (lambda: models.MultiScaleRealNVP((8,)), r"height, width.*\(8,\)"),
        (lambda: models.NICE((4,), num_couplings=1.5), r"num_couplings.*1\.5"),
        (lambda: models.NSF((2,), linear="qr"), "linear must be one of .*Received: 'qr'"),
        (lambda: models.NSF((2,), hidden_units=(8, 8)), r"units must be .*\(8, 8\)"),
        (lambda: models.NSF((2,), dropout=1.0), r"dropout must be .*Received: 1\.0"),
        (lambda: models.NSF((2,), dropout=0.1, autoregressive=True), r"dropout=0.*0\.1"),
        (lambda: models.MAF((2,), order="sorted"), "order must be .*Received: 'sorted'"),
        (lambda: models.MAF((9,), hidden_units=(7,)), r"at least 8 for 9 elements.*\[7\]"),
        (lambda: models.MAF((2,), hidden_units=4), "list of positive widths. Received: 4"),
        (
            lambda: models.MAF((2,), hidden_units=(256, 256), residual=True),
            r"odd number of equal .*\[256, 256\]",
        ),
        (lambda: models.MADEFlow((3,), order=(0, 1, 1)), r"permutation of 0\.\.2.*\[0, 1, 1\]"),
        (lambda: models.MADEFlow((3,), order="random"), "requires a seed"),
        (
            lambda: models.Glow((28, 28, 1), num_levels=3),
            r"2\*\*num_levels = 8 divides. 32 x 32 would fit.*Received: \(28, 28, 1\)",
        ),
        (lambda: models.Jet((28, 28, 1), patch=3), r"patch = 3 divides. 30 x 30 would fit"),
        (lambda: models.Jet((4, 4, 1), num_heads=3), "num_heads divide width.*num_heads=3"),
        (lambda: models.Glow((28, 28)), r"height, width, channels.*Received: \(28, 28\)"),
        (lambda: models.Glow((4, 4, 1), coupling="cubic"), "one of .'affine', 'additive'.*cubic"),
        (lambda: models.Glow((4, 4, 1), form="qr"), r"one of \('plain', 'lu'\).*qr"),
        (lambda: models.Glow.of_size("tiny", (4, 4, 1)), r"\['small', 'medium', 'large'\].*tiny"),
        (lambda: models.MADEFlow((3,), 2, base=StandardNormal()), "to be an AutoregressiveMixture"),
        (
            lambda: tfflows.Flow([], (2, 2), tfflows.distributions.AutoregressiveMixture()),
            r"expects vectors.*\(2, 2\)",
        ),
        (
            lambda: tfflows.Flow([layers.MaskedAutoregressive()], (2, 2)),
            r"put Flatten before it.*\(2, 2\)",
        ),
        (lambda: layers.MaskedAutoregressive(inversion="newton"), "inversion.*'newton'"),
        (lambda: layers.MaskedAutoregressive(tolerance=-1.0), r"tolerance.*-1\.0"),
        (lambda: layers.MaskedAutoregressive(transform="affine"), "transform.*'affine'"),
        (lambda: layers.SplineCoupling(num_bins=1), "num_bins must be .*Received: 1"),
        (lambda: layers.LULinear().build((None, 2, 2)), r"vectors.*x of shape \(None, 2, 2\)"),
        (lambda: models.RealNVP(2), "event_shape must be a tuple of sizes.*2"),
        (lambda: models.RealNVP((2,), condition_shape=3), "condition_shape.*3"),
        (lambda: models.RealNVP((2,), base="normal"), "base must be.*'normal'"),
        (lambda: models.RealNVP((2,), hidden_units=16), "list of positive widths.*16"),
        (lambda: models.Glow((4, 4, 1), logit="none"), "alpha.*'none'"),
        (
            lambda: models.RealNVP((2,), base=StandardNormal(dtype="float64")),
            "its dtype, float32.*float64",
        ),
        (lambda: models.MultiScaleRealNVP((8, 8, 1), num_scales=4), "at least 2 positions"),
        (lambda: tfflows.Flow([keras.layers.Dense(2)], (2,)), "must be flow layers"),
        (lambda: tfflows.Flow([SHARED, SHARED], (2,)), "twice"),
        (lambda: tfflows.Flow([layers.Permute()], ()), "at least one axis"),
        (lambda: tfflows.Flow([layers.Squeeze()], (3, 4, 1)), r"Squeeze\(2\).*\(None, 3, 4, 1\)"),
        (lambda: layers.Squeeze(1), "factor.*1"),
        (lambda: layers.BatchNorm(momentum=1), "momentum"),
        (lambda: layers.BatchNorm(epsilon=0), "epsilon"),
        (lambda: layers.AffineCoupling(parity=2), "parity"),
        (lambda: layers.AffineCoupling(log_scale="exp"), "soft_clip.*exp"),
        (lambda: tfflows.Flow([layers.Permute([0, 0])], (2,)), r"0\.\.1 once.*\[0, 0\]"),
        (
            lambda: layers.AffineCoupling(conditioner=MLP((4,))).build((None, None, 2)),
            r"fixed shape.*\(None, None, 2\)",
        ),
        (lambda: ConvResNet(filters=0), "filters=0"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: models.RealNVP((2,), standardize=True),
            r"^RealNVP: `standardize` is now a layer: preprocessing=\[layers.Standardize\(\)\]$",
        ),
        (lambda: models.NICE((4, 4, 1), levels=256), r"NICE: `levels` .*\[layers.Dequantize\("),
        (lambda: models.MAF((2,), logit=0.05), r"MAF: `logit` .*\[layers.Logit\("),
        (lambda: models.IAF((2,), whiten=True), r"IAF: `whiten` .*\[layers.Whiten\(\)"),
        (lambda: models.NSF((2,), radial=True), r"`radial` .*\[layers.RadialGaussianize\(\)"),
        (lambda: models.Glow((4, 4, 1), levels=256), "Glow: .*called `quantization_levels`"),
        (lambda: models.FFJORD((2,), hidden_units=(8,)), r"network=networks.DynamicsMLP\(hidden_u"),
        (lambda: models.FFJORD((2,), radial_field=True), r"DynamicsMLP\(polar_features="),
        (lambda: models.FFJORD((2,), rtol=1e-3), r"test_solver=ode.DormandPrince\(rtol, atol\)"),
        (lambda: models.FFJORD((2,), kinetic=0.1), "called `kinetic_weight`"),
        (lambda: models.MultiScaleFFJORD((4, 4, 1), filters=(4,)), r"DynamicsConvNet\(filters="),
        (lambda: layers.ContinuousFlow(jacobian=0.1), "called `jacobian_weight`"),
        (lambda: DynamicsMLP(radial_field=True), "DynamicsMLP: .*called `polar_features`"),
    ],
)
def test_keywords_of_version_0_1_are_answered_with_todays(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_names_of_version_0_1_are_answered_with_todays():
    with pytest.raises(AttributeError, match=r"it is now tfflows.models.MADEFlow"):
        _ = models.MADE
    with pytest.raises(ValueError, match="'by_degrees', which is now called 'incremental'"):
        layers.MaskedAutoregressive(inversion="by_degrees")
    with pytest.raises(ImportError, match=r"import tfflows.layers.data_dependent_layer"):
        importlib.import_module("tfflows.layers.adaptive_layer")


def test_a_conditioner_of_the_wrong_shape_is_refused():
    coupling = layers.AffineCoupling("checkerboard", conditioner=keras.layers.Flatten())
    with pytest.raises(ValueError, match="conditioner must give features"):
        coupling.build((None, 4, 4, 1))


def test_a_corrupt_or_truncated_file_is_refused(tmp_path):
    flow = small_flow(num_couplings=1)
    path = tmp_path / "flow.keras"
    flow.save(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(Exception, match=r"[Zz]ip|[Ff]ile"):
        keras.saving.load_model(path)


def test_an_unwritable_place_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        small_flow(num_couplings=1).save(tmp_path / "file" / "flow.keras")
    with pytest.raises(ValueError, match=r"\.keras file. Received: .*flow$"):
        small_flow(num_couplings=1).save(tmp_path / "flow")
