"""Train a recipe's model of images for a number of seconds, on JAX and without TensorFlow.

    KERAS_BACKEND=jax python scripts/train_for.py zoo/recipes/glow-mnist-deep.yaml mnist.npz \
        --seconds 300 --out runs/glow-mnist-deep

For a machine that is lent by the minute. The data lie on the device, all steps between two reports
are one compiled loop, and the rate of learning follows the clock: the recipe's warm-up, then its
cosine, which ends with the time. The weights are the average that `optimizer.ema` asks for. They
are validated in float32 at every report; the best are tested once, and written as model.weights.h5.
The arrays are `train`, `validation` and `test`, uint8 `[rows, height, width, channels]`; a recipe
of conditional data takes their classes from `train_labels` and so on. `--draws 64` also tests by
the importance-weighted bound of so many draws of noise, and `--samples` writes samples.npz.
"""

import argparse
import json
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

START = time.monotonic()
os.environ.setdefault("KERAS_BACKEND", "jax")

import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from jax import numpy as jnp  # noqa: E402

from tfflows.backend.rng import BatchNoise, make_seed  # noqa: E402
from tfflows.datasets.dataset_info import DatasetInfo  # noqa: E402
from tfflows.runs.build import make_flow, make_optimizer  # noqa: E402
from tfflows.runs.recipe import Recipe, read_recipe  # noqa: E402


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("arrays", type=Path, help=".npz with train, validation and test")
    parser.add_argument("--seconds", type=float, required=True, help="of training")
    parser.add_argument("--until", type=float, help="seconds after the start, when it ends at last")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100, help="of one compiled loop")
    parser.add_argument("--report", type=float, default=20, help="seconds between two validations")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--rows", type=int, default=1000, help="of one evaluation")
    parser.add_argument("--validation-rows", type=int, help="for the reports; all by default")
    parser.add_argument("--draws", type=int, default=1, help="of noise per test row")
    parser.add_argument("--draw-rows", type=int, default=2000, help="test rows for these draws")
    parser.add_argument("--samples", type=int, default=0, help="to write at the end")
    parser.add_argument("--no-flash", action="store_true", help="attention without cuDNN's kernel")
    parser.add_argument("--wait", type=Path, help="compile, and train once this file is there")
    return parser.parse_args()


class Training:
    """A flow as pure functions of its weights, and what they are compiled to."""

    def __init__(self, recipe: Recipe, arrays: dict[str, np.ndarray], options: argparse.Namespace):
        train, classes = arrays["train"], None
        if recipe.data.conditional:
            classes = int(arrays["train_labels"].max()) + 1
        info = DatasetInfo(
            "arrays", "train", train.shape[1:], int(train.max()) + 1, classes, len(train), "arrays"
        )
        self.options, self.classes = options, classes
        keras.utils.set_random_seed(recipe.seed)
        self.batch_size, self.dims = recipe.training.batch_size, math.prod(train.shape[1:])
        self.flow = make_flow(recipe, info)
        some = train[:: max(1, len(train) // 5000)]
        if classes is not None:
            some = (some, np.eye(classes)[arrays["train_labels"][:: max(1, len(train) // 5000)]])
        self.flow.adapt(some)
        # What is validated, tested and saved computes in float32: bfloat16 is no exact inverse.
        exact = {**recipe.model_dump(), "backend": {"mixed_precision": False}}
        self.exact_flow = make_flow(Recipe(**exact), info)
        self.exact_flow.build((None, *train.shape[1:]))
        optimizer = recipe.optimizer.model_copy(update={"schedule": "constant", "warmup_steps": 0})
        settings = recipe.model_copy(
            update={"optimizer": optimizer.model_copy(update={"ema": None})}
        )
        self.optimizer = make_optimizer(settings, 1)
        self.optimizer.build(self.flow.trainable_variables)
        self.momentum = recipe.optimizer.ema or 0.0
        self.data = self.on_device(arrays, "train")
        weights = [v.value for v in self.flow.trainable_variables]
        self.state = (
            weights,
            [jnp.copy(weight) for weight in weights],
            [v.value for v in self.flow.non_trainable_variables],
            [v.value for v in self.optimizer.variables],
        )

    def on_device(self, arrays, split):
        """The images of a split, and their classes where the flow is conditional."""
        keys = [split] if self.classes is None else [split, f"{split}_labels"]
        return tuple(jnp.asarray(arrays[key]) for key in keys)

    def _condition(self, labels):
        """One-hot classes of `(labels,)`, or of nothing."""
        return jax.nn.one_hot(labels[0], self.classes) if labels else None

    def _loss(self, weights, others, x, *labels):
        flow = self.flow
        pairs = [*zip(flow.trainable_variables, weights, strict=True)]
        pairs += zip(flow.non_trainable_variables, others, strict=True)
        with keras.StatelessScope(state_mapping=pairs) as scope:
            condition = self._condition(labels)
            z, log_det = flow.forward_and_log_det(x, condition, training=True)
            loss = -jnp.mean(flow.base(z, condition=condition) + log_det)
            others = [scope.get_current_value(v) for v in flow.non_trainable_variables]
        return loss, others

    def steps(self, state, rates, key, data):
        """The state after a step for each of the rates, each on random rows, and their losses."""
        place = next(i for i, v in enumerate(self.optimizer.variables) if v.name == "learning_rate")

        def step(state, item):
            weights, average, others, moments = state
            rate, key = item
            places = jax.random.randint(key, (self.batch_size,), 0, len(data[0]))
            rows = [each[places] for each in data]
            (loss, others), gradients = jax.value_and_grad(self._loss, has_aux=True)(
                weights, others, *rows
            )
            moments = [rate.astype(m.dtype) if i == place else m for i, m in enumerate(moments)]
            weights, moments = self.optimizer.stateless_apply(moments, gradients, weights)
            count = moments[0].astype("float32")  # an average over the first steps forgets faster
            momentum = jnp.minimum(self.momentum, (1 + count) / (10 + count))
            average = [
                momentum * a + (1 - momentum) * w for a, w in zip(average, weights, strict=True)
            ]
            return (weights, average, others, moments), loss

        return jax.lax.scan(step, state, (rates, jax.random.split(key, len(rates))))

    def _averaged(self, average, others):
        """Let the float32 model have the averaged weights."""
        flow = self.exact_flow
        pairs = [*zip(flow.trainable_variables, average, strict=True)]
        pairs += zip(flow.non_trainable_variables, others, strict=True)
        return keras.StatelessScope(state_mapping=pairs)

    def log_prob(self, average, others, draw, x, *labels):
        """In float32, of the averaged weights, with the noise number `draw` of each row."""
        with self._averaged(average, others):
            return self.exact_flow.log_density_of_draw(x, draw, self._condition(labels))

    def sample(self, average, others, seed):
        """Samples, of each class in turn."""
        count, condition = self.options.samples, None
        if self.classes is not None:
            condition = jax.nn.one_hot(jnp.arange(count) % self.classes, self.classes)
        with self._averaged(average, others):
            noise = BatchNoise(count, seed, self.exact_flow.compute_dtype)
            return self.exact_flow.draw(noise, condition)

    def compile(self, num_steps):
        """All functions, side by side."""
        arguments = (jnp.zeros(num_steps), jax.random.key(0), self.data)
        lowered = [jax.jit(self.steps, donate_argnums=0).lower(self.state, *arguments)]
        kept = self.state[1:3]
        rows = [each[: self.options.rows] for each in self.data]
        lowered.append(jax.jit(self.log_prob).lower(*kept, jnp.asarray(0), *rows))
        if self.options.samples:
            lowered.append(jax.jit(self.sample).lower(*kept, jnp.asarray(make_seed(0))))
        with ThreadPoolExecutor(len(lowered)) as pool:
            self._train, self._evaluate, *rest = pool.map(lambda f: f.compile(), lowered)
        self._sample = rest[0] if rest else None

    def run(self, rates, key):
        """Mean loss of these steps."""
        self.state, losses = self._train(self.state, jnp.asarray(rates, "float32"), key, self.data)
        return float(losses.mean())

    def bits_per_dim(self, average, data, draws=1):
        """Mean and standard error of the averaged weights on whole evaluations of the rows."""
        size, values = self.options.rows, []
        for start in range(0, len(data[0]) - size + 1, size):
            rows = [each[start : start + size] for each in data]
            values.append([
                self._evaluate(average, self.state[2], jnp.asarray(draw), *rows)
                for draw in range(draws)
            ])  # fmt: skip
        values = np.concatenate(np.asarray(values, "float64"), axis=-1)
        bits = (math.log(draws) - np.logaddexp.reduce(values)) / (self.dims * math.log(2))
        return float(bits.mean()), float(bits.std() / math.sqrt(len(bits)))

    def write_samples(self, average, path):
        """Samples as samples.npz, and the seconds that they took."""
        begin = time.monotonic()
        samples = np.asarray(self._sample(average, self.state[2], jnp.asarray(make_seed(1))))
        seconds = time.monotonic() - begin
        np.savez_compressed(path, samples=samples.astype("uint8"))
        return round(seconds, 3)

    def save(self, average, path):
        """The averaged weights as a file that the float32 model loads."""
        for variable, value in zip(self.exact_flow.trainable_variables, average, strict=True):
            variable.assign(value)
        others = zip(self.exact_flow.non_trainable_variables, self.state[2], strict=True)
        for variable, value in others:
            variable.assign(value)
        self.exact_flow.save_weights(path)


def rate_at(progress: float, steps: int, recipe: Recipe) -> float:
    """The rate of learning after a share of the time and a number of steps."""
    section = recipe.optimizer
    warmup = section.warmup_steps if isinstance(section.warmup_steps, int) else 300
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    share = section.final_fraction + (1 - section.final_fraction) * cosine
    return section.learning_rate * share * min(1.0, (steps + 1) / max(warmup, 1))


def main() -> None:
    """Train, and write the log as it comes."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.no_flash:
        keras.config.disable_flash_attention()
    recipe = read_recipe(options.recipe, options.settings)
    with np.load(options.arrays) as file:
        arrays = {key: file[key] for key in file.files}
    training = Training(recipe, arrays, options)
    validation, test = (training.on_device(arrays, split) for split in ("validation", "test"))
    log = (options.out / "metrics.jsonl").open("w", buffering=1)

    def report(**row):
        line = json.dumps({"seconds": round(time.monotonic() - START, 1), **row})
        print(line, flush=True)
        log.write(line + "\n")

    weights = sum(math.prod(v.shape) for v in training.flow.trainable_variables)
    report(device=jax.devices()[0].device_kind, weights=weights, event="adapted")
    training.compile(options.steps)
    report(event="compiled")
    while options.wait and not options.wait.exists():
        time.sleep(0.1)
    begin = time.monotonic()
    seconds = options.seconds
    if options.until:
        seconds = min(seconds, options.until - (begin - START))
    report(event="training", seconds_of_training=round(seconds, 1))
    best, kept, steps, last, losses = math.inf, None, 0, begin, []
    key, pace = jax.random.key(recipe.seed), 0.0
    while True:
        elapsed = time.monotonic() - begin
        is_last = elapsed + pace * options.steps >= seconds
        if not is_last:
            ahead = [elapsed + pace * i for i in range(options.steps)]
            rates = [rate_at(t / seconds, steps + i, recipe) for i, t in enumerate(ahead)]
            key, use = jax.random.split(key)
            losses.append(training.run(rates, use))
            steps += options.steps
            pace = (time.monotonic() - begin - elapsed) / options.steps
        if is_last or time.monotonic() - last >= options.report:
            last = time.monotonic()
            average = [jnp.copy(a) for a in training.state[1]]
            some = [each[: options.validation_rows] for each in validation]
            bits, _ = training.bits_per_dim(average, some)
            train_bits = np.mean(losses) / (training.dims * math.log(2)) if losses else None
            epochs = steps * training.batch_size / len(arrays["train"])
            report(
                step=steps,
                epoch=round(epochs, 2),
                ms_per_step=round(1000 * pace, 3),
                train_bits=round(float(train_bits), 4) if losses else None,
                validation_bits=round(bits, 4),
            )
            losses = []
            if bits < best:
                best, kept = bits, average
        if is_last:
            break
    bits, error = training.bits_per_dim(kept, test)
    report(event="tested", validation_bits=best, test_bits=bits, standard_error=error)
    training.save(kept, options.out / "model.weights.h5")
    report(event="saved", bytes=(options.out / "model.weights.h5").stat().st_size)
    if options.samples:
        seconds = training.write_samples(kept, options.out / "samples.npz")
        report(event="sampled", samples=options.samples, seconds_of_sampling=seconds)
    if options.draws > 1:
        some = [each[: options.draw_rows] for each in test]
        one, _ = training.bits_per_dim(kept, some)
        bits, error = training.bits_per_dim(kept, some, options.draws)
        report(
            event="tested", draws=options.draws, rows=len(some[0]), test_bits=bits,
            standard_error=error, one_draw_bits=one,
        )  # fmt: skip


if __name__ == "__main__":
    main()
