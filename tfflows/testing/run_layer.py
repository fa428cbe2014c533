"""`check_layer` and `layer_checks`: the promises of `layer_promises`, run over a layer."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tfflows.layers import FlowLayer
from tfflows.testing import layer_promises
from tfflows.testing.expect import Check
from tfflows.testing.layer_case import LayerCase


def _every_mode(case):
    return case.modes


def _first_mode(case):
    return case.modes[:1]


def _saved_modes(case):
    """What an ignored condition does to saving is cheap to see."""
    return case.modes if case.needs_condition else (False, True)


class _Promise(NamedTuple):
    """A promise: `function(case, conditional, *dtype)`, for these modes and dtypes."""

    function: Callable[..., None]
    modes: Callable[[LayerCase], tuple[bool, ...]] = _every_mode
    dtypes: tuple[str, ...] = ()


_DTYPES = ("float32", "float64")
_PROMISES = {
    "log_det": _Promise(layer_promises.log_det_is_that_of_the_jacobian),
    "round_trip": _Promise(layer_promises.inverse_undoes_forward, dtypes=_DTYPES),
    "latent_round_trip": _Promise(layer_promises.forward_undoes_inverse, dtypes=_DTYPES),
    "inverse_log_det": _Promise(layer_promises.inverse_log_det_is_that_of_the_jacobian),
    "batches": _Promise(layer_promises.every_mode_gives_the_same_for_any_batch),
    "finite": _Promise(layer_promises.outputs_and_gradients_are_finite, _first_mode),
    "symbolic": _Promise(layer_promises.symbolic_call_gives_a_model),
    "saving": _Promise(layer_promises.config_and_weights_survive_saving, _saved_modes),
    "mixed_precision": _Promise(
        layer_promises.a_mixed_policy_leaves_the_data_path_alone, _first_mode
    ),
    "unbuilt_inverse": _Promise(
        layer_promises.an_unbuilt_layer_inverts_or_says_what_it_needs, _first_mode
    ),
    "errors": _Promise(layer_promises.wrong_shapes_and_conditions_are_refused, _first_mode),
    "condition": _Promise(layer_promises.a_condition_matters_or_changes_nothing, _first_mode),
}
LAYER_PROMISES = {name: promise.function.__doc__ for name, promise in _PROMISES.items()}


def layer_checks(case: LayerCase) -> list[Check]:
    """The checks of a layer, each to be called; for a test with one case per promise.

    Example:
        >>> from tfflows import layers, testing
        >>> case = testing.LayerCase("scaling", layers.DiagonalScaling, (3,))
        >>> [str(check) for check in testing.layer_checks(case)][:2]
        ['log_det-scaling', 'round_trip-scaling-float32']

    With pytest: `@pytest.mark.parametrize("check", layer_checks(case), ids=str)`, and the test
    calls `check()`.
    """
    unknown = set(case.skip) - set(LAYER_PROMISES)
    if unknown:
        raise ValueError(
            f"Expected `skip` to have names of {sorted(LAYER_PROMISES)}. "
            f"Received: {sorted(unknown)}"
        )
    return [
        Check(
            case.name,
            name,
            functools.partial(promise.function, case, conditional, *dtype),
            conditional,
            "".join(dtype),
        )
        for name, promise in _PROMISES.items()
        if name not in case.skip
        for dtype in ([(dtype,) for dtype in promise.dtypes] or [()])
        for conditional in promise.modes(case)
    ]


def check_layer(
    make: Callable[..., FlowLayer],
    event_shape: Sequence[int],
    *,
    condition_shape: Sequence[int] | None = None,
    needs_condition: bool = False,
    domain: str = "real",
    data: Callable[[int], np.ndarray] | None = None,
    latents: Callable[[int], np.ndarray] | None = None,
    latent_noise: float = 0.0,
    float32_tolerance: float = 1e-4,
    float64_tolerance: float = 1e-8,
    skip: Sequence[str] = (),
) -> None:
    """Check that a layer keeps the promises of tfflows layers (`LAYER_PROMISES`).

    Weights are randomized first. Promises are checked in the order of `LAYER_PROMISES`, the first
    broken one ends the check. On JAX, compiled calls are those of `jax.jit`, and float64 needs the
    environment variable JAX_ENABLE_X64=1.

    Args:
        make: `make()` or `make(dtype=None)`, returns a new layer that is not built; a class will
            do. Without an argument `dtype` it is called under the global dtype policy in question.
        event_shape: shape of one example; up to some dozens of elements keep it fast.
        condition_shape: shape of one condition that the layer looks at, or None where it looks at
            none. With one, the promises are checked with a condition and without.
        needs_condition: whether the layer cannot do without its condition.
        domain: what the layer takes: "real" (all numbers), "unit" (0 to 1) or "integer" (0 to 7).
        data: `(n) -> x [n, *event_shape]`, for a domain that is none of the three; `finite` then
            looks at these data only.
        latents: `(n) -> z [n, *latent]`; by default normal for "real" and "unit", uniform on
            (0, 1) for "integer", and latents of data where there is `data`.
        latent_noise: how far forward(inverse(z)) may be from z, for a layer that draws noise.
        float32_tolerance, float64_tolerance: of round trips, and of log-dets in float64.
        skip: names of promises not to check.

    Raises:
        AssertionError: a promise is broken; says which, what was expected and what came.
        ValueError: an argument is wrong, such as a name in `skip`.

    Example:
        >>> from tfflows import layers, testing
        >>> testing.check_layer(layers.DiagonalScaling, (3,))
    """
    case = LayerCase(
        name=getattr(make, "__name__", type(make).__name__),
        make=make,
        event_shape=tuple(event_shape),
        domain=domain,
        condition_shape=None if condition_shape is None else tuple(condition_shape),
        needs_condition=needs_condition,
        draw_data=data,
        draw_latents=latents,
        latent_noise=latent_noise,
        float32_tolerance=float32_tolerance,
        float64_tolerance=float64_tolerance,
        skip=tuple(skip),
    )
    checks = layer_checks(case)
    case.new()  # what is wrong with `make` is no broken promise
    for check in checks:
        check()
