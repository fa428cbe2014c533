"""Time a training step of a VAE beside steps of its encoder, its flow and its decoder.

    python scripts/measure_vae_step.py [--posteriors gaussian planar iaf sylvester] [--rounds 7]

Gated dense networks of 300 units on 28 x 28 binary pixels, 40 latents, 100 rows, Adam; medians of
interleaved rounds, in ms. A part's step has the gradients of all of its weights, and their update.
The backend is that of KERAS_BACKEND.
"""

import argparse
import functools
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from tfflows import vae
from tfflows.backend.adam import fuse_adam

ROWS, LATENTS = 100, 40


def step_of(loss: Callable, weights: list, arrays: list) -> Callable:
    """A compiled step that lowers `loss(*arrays)` in some weights."""
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(weights)
    fuse_adam(optimizer)
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function(autograph=False)
        def step():
            with tf.GradientTape() as tape:
                value = loss(*tensors)
            optimizer.apply(tape.gradient(value, [w.value for w in weights]), weights)
            return value

        return lambda: step().numpy()
    return step_on_jax(loss, weights, optimizer, tensors)


def step_on_jax(loss, weights, optimizer, tensors):
    """`step_of` on JAX."""
    import jax

    def value_of(values, *tensors):
        mapping = list(zip(weights, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=False):
            return loss(*tensors)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(values, state, *tensors):
        value, gradients = jax.value_and_grad(value_of)(values, *tensors)
        return (*optimizer.stateless_apply(state, gradients, values), value)

    now = [[w.value + 0 for w in weights], [v.value + 0 for v in optimizer.variables]]

    def call():
        now[0], now[1], value = step(*now, *tensors)
        return np.asarray(value)

    return call


def steps_of(posterior: str) -> dict[str, Callable]:
    """The steps of a VAE and of its parts, by name."""
    model = vae.VAE(
        vae.MLPEncoder((300, 300)), vae.MLPDecoder((300, 300)), (28, 28, 1), (LATENTS,), posterior
    )
    layer, rng = model.flow_layers[-1], np.random.default_rng(0)
    x = rng.integers(0, 2, (ROWS, 28, 28, 1)).astype("float32")
    context = rng.normal(size=(ROWS, 300)).astype("float32")
    noise, z = (rng.normal(size=(ROWS, LATENTS)).astype("float32") for _ in range(2))

    def whole(x):
        draw, kl = model.draw_bound(x, None, True)
        return ops.mean(kl - draw.log_likelihood)

    def flow(noise, context):
        z, log_q = layer.posterior.generate_and_log_density(noise, context)
        return ops.mean(log_q - model.base(z))

    def decoder(z, x):
        return -ops.mean(layer.likelihood.log_prob(x, layer.parameters(z)))

    parts = {
        "whole": (whole, model.trainable_weights, [x]),
        "encoder": (lambda x: ops.mean(layer.context(x)), layer.encoder.trainable_weights, [x]),
        "flow": (flow, layer.posterior.trainable_weights, [noise, context]),
        "decoder": (
            decoder,
            [*layer.decoder.trainable_weights, *layer.head.trainable_weights],
            [z, x],
        ),
    }
    return {name: step_of(*part) for name, part in parts.items()}


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ["gaussian", "planar", "iaf", "sylvester"]
    parser.add_argument("--posteriors", nargs="+", default=names)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    print("| posterior | whole | encoder | flow | decoder | whole over parts |")
    print("|---|---|---|---|---|---|")
    for posterior in args.posteriors:
        steps = steps_of(posterior)
        times = {name: [] for name in steps}
        for step in steps.values():
            step()
        for _ in range(args.rounds):
            for name, step in steps.items():
                start = time.perf_counter()
                for _ in range(args.steps):
                    step()
                times[name].append((time.perf_counter() - start) / args.steps * 1e3)
        ms = {name: statistics.median(values) for name, values in times.items()}
        ratio = ms["whole"] / (ms["encoder"] + ms["flow"] + ms["decoder"])
        cells = [posterior, *(f"{value:.2f}" for value in ms.values()), f"{ratio:.2f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
