"""The promises that every flow keeps, one function each, and `check_flow`, which runs them all."""

import functools
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from tfflows.flow import Flow
from tfflows.testing.derivatives import jacobian_and_log_det
from tfflows.testing.expect import (
    Check,
    expect,
    expect_close,
    expect_finite,
    expect_shape,
    to_numpy,
)
from tfflows.testing.layer_case import make_with_dtype
from tfflows.testing.weights import randomize

MAX_JACOBIAN_DIMS = 256
GRID = {1: 20_001, 2: 501}  # points per axis, by dims


class _FlowCase:
    """A flow to check, with its data: `flow` is adapted and has random weights."""

    def __init__(self, make, data, condition, spread, epochs):
        self.make, self.spread, self.epochs = make, spread, epochs
        self.flow = self.new()
        self.condition = None if condition is None else np.asarray(condition, "float32")
        rows = 256 if self.condition is None else len(self.condition)
        self.x = _default_data(self.flow, rows) if data is None else np.asarray(data)
        if self.condition is None and self.flow.condition_shape is not None:
            shape = (len(self.x), *self.flow.condition_shape)
            self.condition = np.random.default_rng(1).normal(size=shape).astype("float32")
        self.prepare(self.flow)

    def new(self, dtype="float32"):
        flow = make_with_dtype(self.make, dtype)
        if not isinstance(flow, Flow):
            raise TypeError(f"Expected `make` to return a Flow. Received: {flow!r}")
        return flow

    def prepare(self, flow):
        flow.adapt(self.x if self.condition is None else (self.x, self.condition))
        return randomize(flow, spread=self.spread)

    def inputs(self, n):
        """[x], or [x, condition], of the first n rows."""
        return [self.x[:n]] if self.condition is None else [self.x[:n], self.condition[:n]]


def _default_data(flow, n):
    """Two correlated bumps; integers or numbers of the flow's range where it has one."""
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], (n, *(1 for _ in flow.event_shape)))
    x = side + 0.3 * rng.normal(size=(n, *flow.event_shape))
    if flow.data_range is not None:
        low, high = flow.data_range
        x = low + (high - low) / (1 + np.exp(-x))
    return np.round(x).astype("uint8") if flow.is_discrete else x.astype("float32")


def inverse_undoes_encode(case: _FlowCase) -> None:
    """inverse(encode(x)) is x."""
    x, *condition = case.inputs(6)
    z = case.flow.encode(x, *condition)
    expect_shape("round_trip", "z", z, (6, *case.flow.latent_shape))
    back = case.flow.inverse(z, *condition)
    scale = max(1.0, float(np.abs(x.astype("float64")).max()))
    expect_close("round_trip", "inverse(encode(x)) to be x", back, x, 1e-3 * scale)


def log_prob_is_the_change_of_variables(case: _FlowCase) -> None:
    """log_prob is the base's plus log|det| of the autodiff Jacobian, in float64."""
    flow = case.flow
    if flow.dims > MAX_JACOBIAN_DIMS or math.prod(flow.latent_shape) != flow.dims:
        return
    flow = case.prepare(case.new("float64"))
    inputs = [array.astype(flow.compute_dtype) for array in case.inputs(3)]
    jacobian, _ = jacobian_and_log_det(flow.forward_and_log_det, flow.dims, *inputs)
    z = flow.encode(*inputs)
    base = flow.base.log_prob(z, *inputs[1:])
    expect_shape("change_of_variables", "the base's log_prob", base, (3,))
    log_prob = flow.log_prob(*inputs)
    expect_shape("change_of_variables", "log_prob", log_prob, (3,))
    wanted = to_numpy(base) + np.linalg.slogdet(jacobian)[1]
    name = "log_prob to be the base's plus log|det| of the autodiff Jacobian"
    tolerance = 1e-6 if flow.compute_dtype == "float64" else 1e-3
    expect_close("change_of_variables", name, log_prob, wanted, tolerance, tolerance)


def density_integrates_to_the_share_of_samples(case: _FlowCase) -> None:
    """The density integrates to the share of samples, over a box that holds most of them."""
    flow = case.flow
    if flow.is_discrete or flow.dims not in GRID:
        return
    condition = None if case.condition is None else case.condition[:1]
    samples = to_numpy(flow.sample(20_000, condition, seed=0)).reshape(-1, flow.dims)
    low, high = np.quantile(samples, [0.005, 0.995], axis=0)
    share = np.all((samples >= low) & (samples <= high), axis=1).mean()
    sides = (high - low) / GRID[flow.dims]
    axes = [
        start + side * (np.arange(GRID[flow.dims]) + 0.5)
        for start, side in zip(low, sides, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes), -1).reshape(-1, *flow.event_shape)
    log_prob = flow.log_prob(points.astype("float32"), condition)
    total = float(np.exp(to_numpy(log_prob).astype("float64")).sum() * sides.prod())
    expect(
        abs(total - share) <= 0.02,
        "density",
        f"the density to integrate to the share of samples, {share:.4f} +- 0.02, over the box "
        f"from {low.round(3).tolist()} to {high.round(3).tolist()}",
        f"{total:.4f}",
    )


def samples_repeat_and_agree_with_log_prob(case: _FlowCase) -> None:
    """Seeds repeat, and sample, sample_and_log_prob and log_prob agree."""
    flow, n = case.flow, 16
    condition = None if case.condition is None else case.condition[:1]
    x = flow.sample(n, condition, seed=1)
    expect_shape("samples", "sample(16)", x, (n, *flow.event_shape))
    expect_finite("samples", "sample(16)", x)
    again = flow.sample(n, condition, seed=1)
    expect_close("samples", "sample to repeat for a seed", again, x, 0)
    other = to_numpy(flow.sample(n, condition, seed=2))
    expect(np.any(other != to_numpy(x)), "samples", "other samples of another seed", "the same")
    expect_shape("samples", "sample(0)", flow.sample(0, condition), (0, *flow.event_shape))
    same, log_prob = flow.sample_and_log_prob(n, condition, seed=1)
    scale = max(1.0, float(np.abs(to_numpy(x)).max()))
    expect_close("samples", "sample_and_log_prob to draw as sample", same, x, 1e-4 * scale)
    expect_shape("samples", "the samples' log_prob", log_prob, (n,))
    if flow.is_discrete:
        return  # the density is that before rounding
    wanted = flow.log_prob(x, condition)
    name = "the samples' log_prob to be log_prob(samples)"
    expect_close("samples", name, log_prob, wanted, 1e-3, 1e-3)


def saving_keeps_log_prob(case: _FlowCase) -> None:
    """.keras, and config with .weights.h5, give the same log_prob."""
    flow, inputs = case.flow, case.inputs(16)
    wanted, config = flow.log_prob(*inputs), json.dumps(flow.get_config())
    with tempfile.TemporaryDirectory() as folder:
        flow.save(Path(folder) / "flow.keras")
        flow.save_weights(Path(folder) / "flow.weights.h5")
        loaded = keras.saving.load_model(Path(folder) / "flow.keras", compile=False)
        copy = type(flow).from_config(flow.get_config())
        copy.load_weights(Path(folder) / "flow.weights.h5")
    for way, other in ((".keras", loaded), ("get_config and .weights.h5", copy)):
        came = json.dumps(other.get_config())
        expect(came == config, "saving", f"the config {config} after {way}", came)
        got = other.log_prob(*inputs)
        expect_close("saving", f"log_prob to be the same after {way}", got, wanted, 1e-6, 1e-6)


def fit_lowers_the_nll(case: _FlowCase) -> None:
    """A short fit lowers the nll, and evaluate says what log_prob says."""
    flow, inputs = case.new(), case.inputs(len(case.x))
    data = inputs[0] if case.condition is None else tuple(inputs)
    flow.adapt(data)
    before = -to_numpy(flow.log_prob(*inputs)).mean()
    flow.compile(keras.optimizers.Adam(1e-2))
    logs = flow.fit(data, batch_size=64, epochs=case.epochs, verbose=0).history
    after = -to_numpy(flow.log_prob(*inputs)).mean()
    expect_finite("fit", "the nll in the logs", np.asarray(logs["nll"]))
    what = f"an nll below {before:.6g} after {case.epochs} epochs"
    expect(after < before, "fit", what, f"{after:.6g}")
    nll = flow.evaluate(data, batch_size=64, verbose=0, return_dict=True)["nll"]
    expect_close("fit", "evaluate's nll to be -mean(log_prob)", nll, after, 1e-3, 1e-3)


def export_serves_the_same_log_prob(case: _FlowCase) -> None:
    """The log_prob of the SavedModel is the flow's; TensorFlow only."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    flow, inputs = case.flow, case.inputs(5)
    with tempfile.TemporaryDirectory() as folder:
        flow.export(Path(folder) / "1")
        served = tf.saved_model.load(str(Path(folder) / "1")).signatures["log_prob"]
        named = dict(zip(("x", "condition"), inputs, strict=False))
        arrays = {name: tf.constant(a, flow.compute_dtype) for name, a in named.items()}
        got = served(**arrays)["log_prob"]
    name = "the SavedModel's log_prob to be the flow's"
    expect_close("export", name, got, flow.log_prob(*inputs), 1e-4, 1e-5)


_FUNCTIONS = {
    "round_trip": inverse_undoes_encode,
    "change_of_variables": log_prob_is_the_change_of_variables,
    "density": density_integrates_to_the_share_of_samples,
    "samples": samples_repeat_and_agree_with_log_prob,
    "saving": saving_keeps_log_prob,
    "fit": fit_lowers_the_nll,
    "export": export_serves_the_same_log_prob,
}
FLOW_PROMISES = {name: function.__doc__ for name, function in _FUNCTIONS.items()}


def check_flow(
    make: Callable[..., Flow],
    *,
    data: np.ndarray | None = None,
    condition: np.ndarray | None = None,
    epochs: int = 5,
    spread: float = 0.1,
    export: bool = False,
    skip: Sequence[str] = (),
) -> None:
    """Check that a flow keeps the promises of tfflows flows (`FLOW_PROMISES`).

    All but `fit` see a flow that is adapted to the data and then has random weights. Promises are
    checked in the order of `FLOW_PROMISES`, the first broken one ends the check.
    `change_of_variables` is for up to 256 dims and latents as large as the data, `density` for one
    or two dims that are not discrete; other flows pass them unseen.

    Args:
        make: `make()` or `make(dtype=None)`, returns a new flow. Without an argument `dtype` it is
            called under the global dtype policy in question.
        data: `[n, *event_shape]`, at least 16 rows; two correlated bumps by default. `fit` needs
            data that the flow can learn something of.
        condition: `[n, *condition_shape]` for a conditional flow; normal by default.
        epochs: of the fit, by Adam at 0.01 in batches of 64.
        spread: standard deviation of the random weights.
        export: whether to write a SavedModel and compare; TensorFlow only.
        skip: names of promises not to check.

    Raises:
        AssertionError: a promise is broken; says which, what was expected and what came.
        ValueError: an argument is wrong, such as a name in `skip`.

    Example:
        >>> from tfflows import models, testing
        >>> testing.check_flow(lambda: models.RealNVP((2,), 2, (16,)))
    """
    unknown = set(skip) - set(FLOW_PROMISES)
    if unknown:
        raise ValueError(
            f"Expected `skip` to have names of {sorted(FLOW_PROMISES)}. Received: {sorted(unknown)}"
        )
    case = _FlowCase(make, data, condition, spread, epochs)
    left_out = {*skip, *(() if export else ("export",))}
    for promise, function in _FUNCTIONS.items():
        if promise not in left_out:
            Check(case.flow.name, promise, functools.partial(function, case))()
