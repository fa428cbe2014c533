"""Detectors: calibration, signs, files, exports, explanations, and what they refuse."""

import dataclasses

import keras
import numpy as np
import pytest
from marks import needs_tensorflow
from scipy import stats

import tfflows
from tfflows import Flow, layers, models, tables
from tfflows.anomaly import AnomalyDetector, Score, UnusualComplexity
from tfflows.saving import load_flow

SCALE = np.array([2.0, 0.5, 1.0], "float32")


def gaussian(scale=SCALE):
    layer = layers.DiagonalScaling()
    flow = Flow([layer], scale.shape)
    layer.log_scale.assign(-np.log(scale))
    return flow


def normal_rows(rows, seed=0):
    return (np.random.default_rng(seed).normal(size=(rows, 3)) * SCALE).astype("float32")


@pytest.fixture(scope="module")
def detector():
    return AnomalyDetector("nll", gaussian()).fit(normal_rows(2_000))


class FirstColumn(Score):
    """A score without a model's density."""

    def of_inputs(self, inputs):
        return inputs[0][:, 0].astype("float64")


def test_false_alarms_are_what_conformal_theory_promises():
    """Given m calibration rows the rate of false alarms is Beta(k, m + 1 - k)."""
    flow, rates, p_values, m = gaussian(), [], [], 200
    for seed in range(150):
        rate = (0.01, 0.05, 0.1)[seed % 3]
        found = AnomalyDetector(FirstColumn, flow, rate, seed=seed).fit(normal_rows(2 * m, seed))
        new = normal_rows(100, 1_000_000 + seed)
        p_values.append(found.p_values(new)[0])
        alarms = 1 - stats.norm(0, SCALE[0]).cdf(-found.threshold_)
        k = int(np.floor(rate * (m + 1)))
        rates.append(stats.beta(k, m + 1 - k).cdf(alarms))
        np.testing.assert_array_equal(found.predict(new) == -1, found.p_values(new) <= rate)
    assert stats.kstest(rates, "uniform").pvalue > 1e-3
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_signs_are_those_of_scikit_learn(detector):
    x = np.array([[0, 0, 0], [20, 5, 10]], "float32")
    np.testing.assert_array_equal(detector.predict(x), [1, -1])
    nll = -stats.norm(0, SCALE).logpdf(x).sum(axis=1)
    np.testing.assert_allclose(detector.score_samples(x), -nll, rtol=1e-5)
    decision = detector.decision_function(x)
    assert decision[0] > 0 > decision[1]
    np.testing.assert_allclose(decision, detector.score_samples(x) - detector.threshold_)
    below = (detector.calibration_scores_ < detector.threshold_).mean()
    assert 0.04 < below <= 0.05
    assert detector.p_values(x)[1] == 1 / (1 + len(detector.calibration_scores_))
    assert list(detector.find(np.concatenate([x[:1]] * 3 + [x[1:]] * 3), 0.1)) == [0, 0, 0, 1, 1, 1]


def test_calibration_rows_are_not_seen_by_the_fit():
    seen = []

    class Sees(FirstColumn):
        def see_trained(self, inputs, contamination=0.0):
            seen.append(inputs[0][:, 0])

        def fit_inputs(self, inputs):
            seen.append(inputs[0][:, 0])
            return self

    x = normal_rows(500)
    found = AnomalyDetector(Sees, gaussian()).fit(x)
    calibration = -found.calibration_scores_
    assert len(calibration) == 250
    assert len(seen) == 2
    np.testing.assert_array_equal(np.sort(np.concatenate([calibration, *seen])), np.sort(x[:, 0]))


def test_drift_is_seen(detector):
    assert detector.drift(normal_rows(500, 7)).p_value > 1e-3
    assert detector.drift(1.3 * normal_rows(500, 7)).p_value < 1e-3


@pytest.mark.parametrize("score", ["auto", "joint_density"])
def test_a_file_gives_the_detector_back(score, tmp_path):
    found = AnomalyDetector(score, gaussian(), 0.1).fit(normal_rows(400))
    found.save(tmp_path / "detector.keras")
    again = tfflows.load_model(tmp_path / "detector.keras")
    x = 2 * normal_rows(50, 3)
    np.testing.assert_array_equal(again.score_samples(x), found.score_samples(x))
    np.testing.assert_array_equal(again.p_values(x), found.p_values(x))
    assert again.threshold_ == found.threshold_
    assert again.false_alarm_rate == 0.1
    one, other = found.explain(x[:2]), again.explain(x[:2])
    np.testing.assert_array_equal(one.contributions, other.contributions)


@needs_tensorflow
@pytest.mark.parametrize("score", ["score_norm", "density_of_states", "smallest_p_value"])
def test_a_savedmodel_detects_as_the_detector(score, tmp_path):
    found = AnomalyDetector(score, gaussian()).fit(normal_rows(400))
    served = tfflows.load_model(found.export(tmp_path))
    x = np.concatenate([2 * normal_rows(50, 3), [[1e6, 0, 0]]]).astype("float32")
    np.testing.assert_allclose(served.score_samples(x), found.score_samples(x), rtol=1e-4)
    np.testing.assert_allclose(served.p_values(x), found.p_values(x), atol=0.011)
    assert (served.predict(x) != found.predict(x)).sum() <= 1
    assert served.predict(x)[-1] == -1
    assert set(served.signatures) == {"detect", "serving_default"}
    assert served.detect(x[:0])["score"].shape == (0,)


@pytest.fixture(scope="module")
def typed():
    pd = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    kind = random.choice(["a", "b", "c"], 400)
    size = np.where(kind == "a", 1.0, 5.0) + 0.1 * random.normal(size=400)
    return pd.DataFrame({"kind": kind, "size": size, "count": random.poisson(3, 400)})


@pytest.fixture(scope="module")
def typed_detector(typed):
    """Of a flow that was not trained, which knows the columns by themselves."""
    schema = tables.Schema.infer(typed)
    flow = tables.TableFlow(schema, width=8, num_blocks=1, num_components=2)
    flow.adapt(typed)
    return AnomalyDetector(model=flow).fit(typed)


def test_typed_tables(typed, typed_detector, tmp_path):
    odd = typed.iloc[:3].assign(size=[99.0, 1.0, 5.0])
    scores = typed_detector.score_samples(odd)
    assert scores[0] < scores[1:].min()
    nll = -typed_detector.model_.log_prob(odd)
    np.testing.assert_allclose(scores, -nll, rtol=1e-4)
    np.testing.assert_allclose(typed_detector.score_samples(odd[["size", "count", "kind"]]), scores)
    explanation = typed_detector.explain(odd)
    assert explanation.names[explanation.contributions[0].argmax()] == "size"
    assert explanation.reasons(0)[0].startswith("size = 99, not ")
    typed_detector.save(tmp_path / "typed.keras")
    again = tfflows.load_model(tmp_path / "typed.keras")
    np.testing.assert_array_equal(again.score_samples(typed), typed_detector.score_samples(typed))
    np.testing.assert_allclose(again.explain(odd).contributions, explanation.contributions)


@needs_tensorflow
def test_a_savedmodel_of_a_typed_table(typed, typed_detector, tmp_path):
    served = tfflows.load_model(typed_detector.export(tmp_path))
    expected = typed_detector.score_samples(typed[:50])
    np.testing.assert_allclose(served.score_samples(typed[:50]), expected, rtol=1e-4)
    assert (served.predict(typed[:50]) != typed_detector.predict(typed[:50])).sum() <= 1


def test_columns_are_found_by_their_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(normal_rows(300), columns=["a", "b", "c"])
    flow = gaussian()
    flow.data_schema = tfflows.datasets.DataSchema(columns=("a", "b", "c"))
    found = AnomalyDetector("nll", flow).fit(frame)
    mixed = frame[["c", "a", "b"]].assign(d=1.0)
    np.testing.assert_array_equal(found.score_samples(mixed), found.score_samples(frame))
    assert list(found.feature_names_in_) == ["a", "b", "c"]
    assert found.explain(frame[:1]).names == ("a", "b", "c")
    with pytest.raises(ValueError, match="lacks 1 of the 3 columns"):
        found.score_samples(frame[["a", "b"]])


def flow_of_images(shape=(8, 8, 1), levels=256):
    flow = models.NICE(shape, 1, (4,), preprocessing=[layers.Dequantize(levels)])
    flow.set_weights([weight + 0.01 for weight in flow.get_weights()])
    return flow


def images(rows, seed=0):
    return np.random.default_rng(seed).integers(0, 60, (rows, 8, 8, 1)).astype("uint8")


@pytest.fixture(scope="module")
def image_detector():
    return AnomalyDetector(model=flow_of_images()).fit(images(100))


def test_images(image_detector):
    assert image_detector.score_name_ == "smallest_p_value"
    x = images(4, 1)
    scores = image_detector.score_samples(x)
    np.testing.assert_array_equal(image_detector.score_samples(x[..., 0]), scores)
    # Likely for its complexity, or simpler than all: one of both is enough.
    assert isinstance(image_detector.score_.members[1], UnusualComplexity)
    blank = image_detector.p_values(np.zeros((1, 8, 8, 1)))
    assert blank == 1 / (1 + len(image_detector.calibration_scores_))
    is_bright = x > 30
    np.testing.assert_array_equal(
        image_detector.score_samples(is_bright),
        image_detector.score_samples(is_bright.astype("uint8")),
    )


@needs_tensorflow
def test_images_are_detected_by_files_and_savedmodels(image_detector, tmp_path):
    x = np.concatenate([images(20, 1), np.zeros((1, 8, 8, 1), "uint8"), 4 * images(5, 2)])
    expected = image_detector.score_samples(x)
    image_detector.save(tmp_path / "detector.keras")
    again = tfflows.load_model(tmp_path / "detector.keras")
    np.testing.assert_array_equal(again.score_samples(x), expected)
    served = tfflows.load_model(image_detector.export(tmp_path / "servable"))
    np.testing.assert_allclose(served.score_samples(x), expected, rtol=1e-3, atol=1e-3)
    assert served.predict(x)[20] == -1


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_an_explanation_of_images_shows_where_a_patch_is_odd(image_detector, suffix, tmp_path):
    x = images(2, 1)
    x[0, 4:6, 4:6] = 255
    x[1, :2, :2] = 255
    found = image_detector.explain(x)
    assert found.contributions.shape == (2, 8, 8)
    assert found.expected.shape == (2, 8, 8, 1)
    # Patches are 2 x 2, and overlap.
    top, left = np.unravel_index(found.contributions[0].argmax(), (8, 8))
    assert top in (4, 5)
    assert left in (4, 5)
    assert found.reasons(0)[0].startswith(("pixels [4:5, ", "pixels [5:6, "))
    # The one patch over the first pixel: the best of the normal images there.
    tried = np.repeat(x[1:], len(image_detector._reference), axis=0)
    tried[:, :2, :2] = image_detector._reference[:, :2, :2]
    gains = image_detector.score_samples(tried) - image_detector.score_samples(x[1:])
    np.testing.assert_allclose(found.contributions[1, 0, 0], gains.max(), rtol=1e-4)
    np.testing.assert_array_equal(found.expected[1, 0, 0], tried[gains.argmax(), 0, 0])
    found.picture(tmp_path / f"why.{suffix}")
    drawn = (tmp_path / f"why.{suffix}").read_bytes()
    assert (b"PNG" if suffix == "png" else b"<svg") in drawn
    with pytest.raises(ValueError, match=r"`count` to be at least 1\. Received: 0"):
        found.picture(tmp_path / "none.png", 0)


@pytest.mark.parametrize("channels", [2, 3])
def test_images_of_several_channels_are_drawn(image_detector, channels, tmp_path):
    pixels = np.repeat(images(2), channels, axis=-1)
    explanation = image_detector.explain(images(2))
    dataclasses.replace(explanation, rows=pixels).picture(tmp_path / "why.png")
    assert (tmp_path / "why.png").stat().st_size > 1_000


def test_datasets_are_read(detector):
    class Batches(keras.utils.PyDataset):
        num_batches = 3

        def __getitem__(self, place):
            return (normal_rows(30, place),)

    x = np.concatenate([normal_rows(30, place) for place in range(3)])
    np.testing.assert_array_equal(detector.score_samples(Batches()), detector.score_samples(x))
    batches = (x[start : start + 30] for start in range(0, 90, 30))
    np.testing.assert_array_equal(detector.score_samples(batches), detector.score_samples(x))


def test_an_untrained_model_is_trained_and_left_as_it_was():
    flow = models.NICE((3,), 1, (4,))
    flow.compile("adam", steps_per_execution=1)
    before = [np.array(w) for w in flow.get_weights()]
    found = AnomalyDetector(model=flow, max_minutes=0.001).fit(normal_rows(200))
    for old, new in zip(before, flow.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert found.model_ is not flow
    assert not found.model_.compiled
    assert not found.model_.has_initial_weights


def test_scikit_learn_clones_it():
    base = pytest.importorskip("sklearn.base")
    found = AnomalyDetector("typicality", false_alarm_rate=0.1, seed=3)
    copy = base.clone(found)
    assert copy.get_params() == found.get_params()
    assert copy.set_params(seed=4).seed == 4
    with pytest.raises(ValueError, match="Received: 'sed'"):
        copy.set_params(sed=4)
    assert repr(found) == "AnomalyDetector(score='typicality', false_alarm_rate=0.1, seed=3)"


@pytest.mark.parametrize(
    ("arguments", "rows", "message"),
    [
        ({}, 19, r"at least 20 normal rows\. Received: 19"),
        ({"false_alarm_rate": 1e-4}, 100, r"9,999 calibration rows.* 10,009 normal rows.*: 100"),
        ({"false_alarm_rate": 1.5}, 100, r"between 0 and 1\. Received: 1\.5"),
        ({"contamination": 0.6}, 100, r"between 0 and 0\.5\. Received: 0\.6"),
        ({"calibration": 0}, 100, r"between 0 and 1\. Received: 0"),
        ({"score": "nnl"}, 100, r"one of .*Received: 'nnl', did you mean 'nll'|Received: 'nnl'"),
        ({"background": "x"}, 100, r"for the score 'likelihood_ratio'"),
    ],
)
def test_arguments_that_cannot_be(arguments, rows, message):
    with pytest.raises(ValueError, match=message):
        AnomalyDetector(model=gaussian(), **arguments).fit(normal_rows(rows))


def test_a_background_of_other_data_is_refused():
    narrow = gaussian(SCALE[:2])
    found = AnomalyDetector("likelihood_ratio", gaussian(), background=narrow)
    with pytest.raises(
        ValueError,
        match=r"a background of events \(3,\) of real numbers\. Received: one of events \(2,\)",
    ):
        found.fit(normal_rows(100))
    found = AnomalyDetector("likelihood_ratio", gaussian(), background=models.RealNVP((3,), 1))
    with pytest.raises(ValueError, match="trained `background`"):
        found.fit(normal_rows(100))
    whole = r"of events \(8, 8, 1\) of whole numbers from 0 to 255\. Received: one of events "
    for background, came in [
        (flow_of_images((4, 8, 1)), r"\(4, 8, 1\) of whole numbers from 0 to 255"),
        (flow_of_images(levels=16), r"\(8, 8, 1\) of whole numbers from 0 to 15"),
        (gaussian(np.ones((8, 8, 1), "float32") * 2), r"\(8, 8, 1\) of real numbers"),
    ]:
        found = AnomalyDetector("likelihood_ratio", flow_of_images(), background=background)
        with pytest.raises(ValueError, match=whole + came):
            found.fit(images(60))


def test_what_is_not_a_model_is_refused():
    with pytest.raises(ValueError, match=r"Flow, VAE or TableFlow.*Received: 'zoo:glow-mnist'"):
        AnomalyDetector(model="zoo:glow-mnist").fit(normal_rows(100))
    found = AnomalyDetector("likelihood_ratio", gaussian(), background="background.keras")
    with pytest.raises(ValueError, match=r"Flow, VAE or TableFlow.*Received: 'background\.keras'"):
        found.fit(normal_rows(100))


def test_rows_that_do_not_fit_are_refused(detector, typed_detector, image_detector, typed):
    holed = normal_rows(100)
    holed[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"without NaN.*1 such values, the first in row 7"):
        AnomalyDetector(model=gaussian()).fit(holed)
    with pytest.raises(ValueError, match=r"1 values that are NaN.*x\[7, 1\]"):
        detector.score_samples(holed)
    with pytest.raises(ValueError, match=r"shape \('batch', 3\).*\(5, 4\)"):
        detector.score_samples(np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"rows \[n, columns\].*shape \(5,\)"):
        detector.score_samples(np.zeros(5))
    with pytest.raises(ValueError, match="rows of numbers, or a DataFrame"):
        detector.score_samples(np.array([["a", "b", "c"]]))
    with pytest.raises(ValueError, match="names of columns"):
        typed_detector.score_samples(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="'size'"):
        typed_detector.score_samples(typed[["kind", "count"]])
    with pytest.raises(ValueError, match=r"shape \('batch', 8, 8, 1\)"):
        image_detector.score_samples(np.zeros((2, 9, 8, 1), "uint8"))
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\), as one image has it: give x\[None\]"):
        image_detector.score_samples(images(1)[0])
    message = r"whole numbers.*: 128 others, the first 0\.5; multiply pixels from 0 to 1 by 255"
    for refused in (image_detector.score_samples, image_detector.explain):
        with pytest.raises(ValueError, match=message):
            refused(np.full((2, 8, 8, 1), 0.5))
    with pytest.raises(ValueError, match=r"others, the first 1\.5$"):
        image_detector.score_samples(np.full((2, 8, 8, 1), 1.5))
    with pytest.raises(ValueError, match=r"from 0 to 255.*values from -1\.0 to -1\.0"):
        image_detector.score_samples(np.full((2, 8, 8, 1), -1.0))
    with pytest.raises(ValueError, match=r"0 to 255.*float64 from 0 to 1; scale and round them"):
        AnomalyDetector().fit(
            np.eye(8)[None, ..., None] * np.linspace(0, 1, 60)[:, None, None, None]
        )
    with pytest.raises(ValueError, match="multiples of 4"):
        AnomalyDetector().fit(np.zeros((60, 9, 8, 1), "uint8"))


def test_what_is_not_fitted_or_has_no_name_is_refused(detector, tmp_path):
    with pytest.raises(ValueError, match="fitted detector: call fit"):
        AnomalyDetector().score_samples(normal_rows(3))
    found = AnomalyDetector(FirstColumn, gaussian()).fit(normal_rows(100))
    with pytest.raises(ValueError, match="a score that has a name"):
        found.save(tmp_path / "detector.keras")
    with pytest.raises(ValueError, match=r"a \.keras file"):
        detector.save(tmp_path / "detector.h5")
    detector.save(tmp_path / "detector.keras")
    with pytest.raises(ValueError, match="Expected a flow over arrays"):
        load_flow(tmp_path / "detector.keras")
    conditional = models.RealNVP((3,), 1, condition_shape=(2,))
    with pytest.raises(ValueError, match="without conditions"):
        AnomalyDetector(model=conditional).fit(normal_rows(100))
