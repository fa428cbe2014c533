"""Requests to signatures: what is refused, and that batches of them change no answer."""

import numpy as np
import pytest
from marks import needs_tensorflow
from model_table import small_flow

from tfflows.ray.signature_calls import SignatureCalls
from tfflows.saving import load_model

pytestmark = needs_tensorflow
RNG = np.random.default_rng(0)


def randomize(flow):
    flow.set_weights(
        [w + 0.1 * RNG.normal(size=w.shape).astype(w.dtype) for w in flow.get_weights()]
    )
    return flow


@pytest.fixture(scope="module")
def flow():
    return randomize(small_flow(num_couplings=2, condition_shape=(1,)))


@pytest.fixture(scope="module")
def calls(flow, tmp_path_factory):
    folder = flow.export(tmp_path_factory.mktemp("small") / "1")
    return SignatureCalls(load_model(folder).signatures, max_rows=50)


def rows(count):
    return {"x": RNG.normal(size=(count, 2)).tolist(), "condition": [[0.5]] * count}


def test_a_batch_of_unequal_requests_answers_as_each_by_itself(calls, flow):
    seeds = {"seeds": [[1, 2], [3, 4], [5, 6]], "condition": [[0.1], [0.2], [0.3]]}
    sent = [("log_prob", rows(n)) for n in (1, 7, 3)]
    sent += [("encode", rows(2)), ("sample_seeds", seeds), ("encode", rows(4))]
    checked = [calls.check(name, inputs) for name, inputs in sent]
    together = calls.run(checked)
    for call, answer in zip(checked, together, strict=True):
        (alone,) = calls.run([call])
        for key, value in alone.items():
            assert len(answer[key]) == call.rows
            np.testing.assert_allclose(answer[key], value, rtol=1e-5, atol=1e-6)
    x = np.asarray(sent[1][1]["x"], "float32")
    expected = flow.log_prob(x, np.full((7, 1), 0.5, "float32"))
    np.testing.assert_allclose(together[1]["log_prob"], expected, rtol=1e-5, atol=1e-6)


def test_samples_come_from_the_seed_of_the_request(calls, flow):
    inputs = {"num_samples": 3, "seed": 7, "condition": [[0.5]]}
    call = calls.check("sample", inputs)
    assert not calls.joins(call)
    (answer,) = calls.run([call])
    expected = flow.sample(3, np.asarray([[0.5]], "float32"), seed=7)
    np.testing.assert_allclose(answer["x"], expected, rtol=1e-5, atol=1e-6)
    fresh = [calls.run([calls.check("sample", {**inputs, "seed": None})])[0] for _ in range(2)]
    assert np.abs(fresh[0]["x"] - fresh[1]["x"]).max() > 1e-3


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("log_prob", [1], r"an object of the inputs \['condition', 'x'\]"),
        ("log_prob", {"x": [[1, 2]]}, r"requires the inputs .*Received: \['x'\]"),
        ("log_prob", {"x": [[1, 2], [3]], "condition": [[1], [1]]}, "rows of several lengths"),
        (
            "log_prob",
            {"x": [[1, 2, 3]], "condition": [[1]]},
            r"`x` .* \(n, 2\). Received: \(1, 3\)",
        ),
        ("log_prob", {"x": [["1", "2"]], "condition": [[1]]}, "`x` to be numbers"),
        ("log_prob", {"x": [[1e300, 2]], "condition": [[1]]}, "`x` to be finite numbers"),
        ("log_prob", {"x": [[1, 2]], "condition": [[1], [2]]}, "as many rows of each input"),
        ("log_prob", {"x": [[1, 2]] * 51, "condition": [[1]] * 51}, "may have 50 rows.*: 51"),
        ("sample_seeds", {"seeds": [[1.5, 0]], "condition": [[1]]}, "`seeds` to be whole numbers"),
        ("sample", {"num_samples": 51, "condition": [[1]]}, "may have 50 rows. Received: 51"),
        ("sample", {"num_samples": -1, "condition": [[1]]}, "must be >= 0"),
        ("sample", {"num_samples": 3, "condition": [[1], [2]]}, "as many rows of each"),
        ("sample", {"num_samples": 1, "temperature": -1.0, "condition": [[1]]}, "must be >= 0"),
        ("sample", {"num_samples": 1, "seed": "x", "condition": [[1]]}, "`seed` to be numbers"),
        ("sample", {"num_samples": [1], "condition": [[1]]}, r"`num_samples` .* \(\)"),
    ],
)
def test_requests_that_do_not_fit_are_refused(calls, signature, inputs, message):
    with pytest.raises(ValueError, match=message):
        calls.check(signature, inputs)


def test_an_unknown_signature_is_named_with_the_nearest(calls):
    with pytest.raises(KeyError, match=r"no signature 'log_prb' .*did you mean log_prob"):
        calls.check("log_prb", {})


def test_the_description_has_every_input_and_output(calls):
    described = calls.describe()
    assert described["log_prob"]["inputs"] == {"x": [None, 2], "condition": [None, 1]}
    assert described["sample"]["outputs"] == {"x": [None, 2]}
