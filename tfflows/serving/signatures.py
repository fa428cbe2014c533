"""The signatures that a flow is served by: one set for every model, inputs and outputs named."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfflows.backend import rng
from tfflows.backend.compilation import few_row_sizes

if TYPE_CHECKING:
    from tfflows.training.density import Density


def make_signatures(flow: "Density") -> dict[str, Callable]:
    """A `tf.function` with its input signature for each use of a flow, by name.

    | signature | in | out |
    |---|---|---|
    | log_prob | x [n, *event] | log_prob [n] |
    | encode | x [n, *event] | z [n, *latent] |
    | decode | z [n, *latent] | x [n, *event] |
    | sample | num_samples int32 [], seed int32 [2], temperature float32 [] | x [num_samples, ...] |
    | sample_seeds | seeds int32 [n, 2] | x [n, *event] |
    | sample_guided | as sample, and guidance float32 [] | x [num_samples, ...] |

    A conditional flow takes `condition` [n, *condition_shape] in each of them as well; one row does
    for all of `sample`. Only flows that learned their density without a condition too have
    sample_guided. The model's `own_signatures` stand beside these. x is in the units of the
    training data. Each row of sample_seeds depends only on its own seed.
    """
    import tensorflow as tf

    dtype = flow.compute_dtype
    x = tf.TensorSpec([None, *flow.event_shape], dtype, name="x")
    z = tf.TensorSpec([None, *flow.latent_shape], dtype, name="z")
    conditions = []
    if flow.condition_shape is not None:
        conditions = [tf.TensorSpec([None, *flow.condition_shape], dtype, name="condition")]

    def log_prob(x, condition=None):
        with few_row_sizes():
            return {"log_prob": flow.log_density(x, condition)}

    def encode(x, condition=None):
        with few_row_sizes():
            return {"z": flow.latents(x, condition)}

    def decode(z, condition=None):
        with few_row_sizes():
            return {"x": flow.generate(z, condition)}

    def own(method, output):
        def call(x, condition=None):
            with few_row_sizes():
                return {output: getattr(flow, method)(x, condition)}

        return call

    specs = [(log_prob, [x]), (encode, [x]), (decode, [z]), *_drawing(flow, dtype)]
    functions = {function.__name__: (function, spec) for function, spec in specs}
    functions |= {name: (own(*how), [x]) for name, how in flow.own_signatures.items()}
    return {
        name: tf.function(function, [*spec, *conditions], autograph=False)
        for name, (function, spec) in functions.items()
    }


def _drawing(flow, dtype):
    """What draws samples, with the inputs of each but the condition."""
    import tensorflow as tf

    seeds = tf.TensorSpec([None, 2], tf.int32, name="seeds")
    draw = [
        tf.TensorSpec([], tf.int32, name="num_samples"),
        tf.TensorSpec([2], tf.int32, name="seed"),
        tf.TensorSpec([], tf.float32, name="temperature"),
    ]
    guidance = tf.TensorSpec([], tf.float32, name="guidance")

    def for_all(condition, num_samples):  # one row serves all samples
        return tf.broadcast_to(condition, [num_samples, *condition.shape[1:]])

    def sample(num_samples, seed, temperature, condition=None):
        if condition is not None:
            condition = for_all(condition, num_samples)
        noise = flow.batch_noise(num_samples, seed)
        with few_row_sizes():
            return {"x": flow.draw(noise, condition, temperature)}

    def sample_guided(num_samples, seed, temperature, guidance, condition):
        condition = for_all(condition, num_samples)
        noise = flow.batch_noise(num_samples, seed)
        with few_row_sizes():
            return {"x": flow.draw_guided(noise, condition, temperature, guidance)}

    def sample_seeds(seeds, condition=None):
        with few_row_sizes():
            return {"x": flow.draw(rng.RowNoise(seeds, dtype), condition)}

    specs = [(sample, draw), (sample_seeds, [seeds])]
    return [*specs, (sample_guided, [*draw, guidance])] if flow.has_guidance else specs
