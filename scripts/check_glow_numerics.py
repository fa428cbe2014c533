"""Train a deep Glow on MNIST for long, and see that nothing overflows and that it still inverts.

    python scripts/check_glow_numerics.py --data-dir DIR --steps 10000

Three levels of 16 steps (28 padded to 32), in float32 and in mixed_bfloat16. `fit` itself stops at
a loss that is not finite. After training, test images go to latents and back, in float32, in the
precision of the training, and in float64, which tells rounding from a wrong inverse; the
error is in units of the range of a pixel. Prints a Markdown table.
"""

import argparse
import time

import keras
import numpy as np
from keras import ops

import tfflows
from tfflows.layers import Dequantize
from tfflows.models import Glow

POLICIES = ("float32", "mixed_bfloat16")


def make_glow(policy: str, filters: int) -> Glow:
    """The model of the table."""
    return Glow((28, 28, 1), 3, 16, filters, logit=1e-6, pad=True, dtype=policy)


def round_trip(flow: tfflows.Flow, x: np.ndarray, batch_size: int = 250) -> tuple[float, float]:
    """Largest difference of pixels in [0, 1] from what their latents give back, and the share of
    images whose largest is at most 1e-4."""
    layers = flow.flow_layers
    start = next(i for i, layer in enumerate(layers) if isinstance(layer, Dequantize)) + 1
    worst = []
    for first in range(0, len(x), batch_size):
        pixels = x[first : first + batch_size]
        for layer in layers[:start]:
            pixels, _ = layer.forward_and_log_det(pixels)
        z = pixels
        for layer in layers[start:]:
            z, _ = layer.forward_and_log_det(z)
        for layer in reversed(layers[start:]):
            z, _ = layer.inverse_and_log_det(z)
        difference = ops.convert_to_numpy(ops.abs(z - pixels))
        worst += list(difference.max(axis=(1, 2, 3)))
    return max(worst), float(np.mean(np.asarray(worst) <= 1e-4))


def check(policy: str, x, test, steps: int, filters: int) -> str:
    """A row of the table."""
    keras.utils.set_random_seed(0)
    glow = make_glow(policy, filters)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=1e-3, warmup_steps=min(300, steps // 2)
    )
    glow.compile(keras.optimizers.Adam(rate, clipnorm=100.0), jit_compile=False)
    rows = np.random.default_rng(0).integers(0, len(x), (steps, 16))
    begin = time.perf_counter()
    history = glow.fit(x[rows.ravel()], batch_size=16, shuffle=False, verbose=0)
    minutes = (time.perf_counter() - begin) / 60
    single, double = (make_glow(dtype, filters) for dtype in ("float32", "float64"))
    for other in (single, double):
        other.set_weights(glow.get_weights())
    single.compile(jit_compile=False)
    errors = [
        f"{worst:.1e} ({share:.1%})"
        for worst, share in (round_trip(flow, test) for flow in (single, glow, double))
    ]
    bits = single.evaluate(test, batch_size=250, verbose=0, return_dict=True)["bits_per_dim"]
    mean = history.history["bits_per_dim"][0]
    return (
        f"| {policy} | {steps} | {mean:.3f} | {bits:.3f} | {' | '.join(errors)} | {minutes:.1f} |"
    )


def main() -> None:
    """Train and check in both precisions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--policies", nargs="+", default=POLICIES, choices=POLICIES)
    options = parser.parse_args()
    x, _ = tfflows.datasets.load_arrays("mnist", "train", data_dir=options.data_dir)
    test, _ = tfflows.datasets.load_arrays("mnist", "test", data_dir=options.data_dir)
    print(
        "| trained in | steps | mean bits/dim on the way | test bits/dim in float32 | round trip "
        "in float32 (images within 1e-4) | in that of the training | in float64 | minutes |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for policy in options.policies:
        print(check(policy, x, test[:1000], options.steps, options.filters), flush=True)


if __name__ == "__main__":
    main()
