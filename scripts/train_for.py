"""Train a recipe's model of images for a number of seconds, on JAX and without TensorFlow.

    KERAS_BACKEND=jax python scripts/train_for.py zoo/recipes/glow-mnist-deep.yaml mnist.npz \
        --seconds 300 --out runs/glow-mnist-deep

Models are judged by their densities, VAEs by their bounds. `--set` changes the recipe, as in
`tfflows train`. With `--draws` the importance-weighted bound is measured as well.

For a machine that is lent by the minute. The data lie on the device, all steps between two reports
are one compiled loop, and the rate of learning follows the clock: the recipe's warm-up, then its
cosine, which ends with the time, or without `--seconds` with the recipe's epochs. The weights are
the average that `optimizer.ema` asks for. They are validated in float32 at every report; the best
are tested once, and written as model.weights.h5. The arrays are `train`, `validation` and `test`,
uint8 `[rows, height, width, channels]`; a recipe of conditional data takes their classes from
`train_labels`, `validation_labels` and `test_labels`. `--samples` writes samples.npz, of each class
in turn, and with `--guidance` an array for each strength.
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

from tfflows.datasets.dataset_info import DatasetInfo  # noqa: E402
from tfflows.runs.build import (  # noqa: E402
    decay_kernels_only,
    make_flow,
    make_objective,
    make_optimizer,
)
from tfflows.runs.recipe import Recipe, read_recipe  # noqa: E402
from tfflows.training.batch import Batch  # noqa: E402

EVALUATION_ROWS = 500


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("arrays", type=Path, help=".npz with train, validation and test")
    parser.add_argument("--seconds", type=float, help="of training; the recipe's epochs else")
    parser.add_argument("--until", type=float, help="seconds after the start, when it ends at last")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100, help="of one compiled loop")
    parser.add_argument("--report", type=float, default=20, help="seconds between two validations")
    parser.add_argument("--wait", type=Path, help="compile, and train once this file is there")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the recipe")
    parser.add_argument("--draws", type=int, help="of the importance-weighted bound")
    parser.add_argument("--rows", type=int, default=1000, help="of the test rows, for `--draws`")
    parser.add_argument("--samples", type=int, help="to draw at the end")
    parser.add_argument("--guidance", type=float, nargs="+", default=[0.0], help="of the samples")
    parser.add_argument("--no-flash", action="store_true", help="attention without cuDNN's kernel")
    return parser.parse_args()


def read_splits(path: Path, recipe: Recipe) -> list[tuple[np.ndarray, ...]]:
    """Images for training, validation and test, each with one-hot classes where the recipe asks."""
    splits = ("train", "validation", "test")
    with np.load(path) as arrays:
        if not recipe.data.conditional:
            return [(arrays[split],) for split in splits]
        count = int(arrays["train_labels"].max()) + 1
        one_hot = np.eye(count, dtype="float32")
        return [(arrays[split], one_hot[arrays[f"{split}_labels"]]) for split in splits]


class Training:
    """A flow as pure functions of its weights, and what they are compiled to."""

    def __init__(self, recipe: Recipe, data: tuple[np.ndarray, ...], evaluation_rows: int):
        train, levels = data[0], int(data[0].max()) + 1
        classes = data[1].shape[1] if recipe.data.conditional else None
        info = DatasetInfo(
            "arrays", "train", train.shape[1:], levels, classes, len(train), "arrays"
        )
        keras.utils.set_random_seed(recipe.seed)
        self.batch_size, self.dims = recipe.training.batch_size, math.prod(train.shape[1:])
        self.evaluation_rows = evaluation_rows
        self.total_steps = recipe.training.epochs * len(train) // self.batch_size
        self.objective = make_objective(recipe, self.total_steps)
        self.flow = make_flow(recipe, info)
        self.flow.adapt(data if recipe.data.conditional else train)
        # What is validated, tested and saved computes in float32: bfloat16 is no exact inverse.
        exact = {**recipe.model_dump(), "backend": {"mixed_precision": False}}
        self.exact_flow = make_flow(Recipe(**exact), info)
        self.exact_flow.build((None, *train.shape[1:]))
        constant = {"schedule": "constant", "warmup_steps": 0, "ema": None}
        self.optimizer = make_optimizer(recipe.optimizer.model_copy(update=constant), 1)
        decay_kernels_only(self.optimizer, self.flow)
        self.optimizer.build(self.flow.trainable_variables)
        self.momentum = recipe.optimizer.ema or 0.0
        self.data = [jnp.asarray(each) for each in data]
        weights = [v.value for v in self.flow.trainable_variables]
        self.state = (
            weights,
            [jnp.copy(weight) for weight in weights],
            [v.value for v in self.flow.non_trainable_variables],
            [v.value for v in self.optimizer.variables],
        )

    def _loss(self, weights, others, *rows):
        flow = self.flow
        pairs = [*zip(flow.trainable_variables, weights, strict=True)]
        pairs += zip(flow.non_trainable_variables, others, strict=True)
        with keras.StatelessScope(state_mapping=pairs) as scope:
            _, terms = self.objective.terms(flow, Batch(*rows), training=True)
            loss = jnp.mean(sum(terms))
            others = [scope.get_current_value(v) for v in flow.non_trainable_variables]
        return loss, others

    def steps(self, state, rates, key, data):
        """The state after a step for each of the rates, each on random rows, and their losses."""
        place = next(i for i, v in enumerate(self.optimizer.variables) if v.name == "learning_rate")

        def step(state, item):
            weights, average, others, moments = state
            rate, key = item
            places = jax.random.randint(key, (self.batch_size,), 0, len(data[0]))
            (loss, others), gradients = jax.value_and_grad(self._loss, has_aux=True)(
                weights, others, *(each[places] for each in data)
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

    def log_prob(self, average, others, *rows):
        """In float32, of the averaged weights."""
        flow = self.exact_flow
        pairs = [*zip(flow.trainable_variables, average, strict=True)]
        pairs += zip(flow.non_trainable_variables, others, strict=True)
        with keras.StatelessScope(state_mapping=pairs):
            return flow.log_density(*rows)

    def compile(self, num_steps):
        """Both functions, side by side."""
        arguments = (jnp.zeros(num_steps), jax.random.key(0), self.data)
        train = jax.jit(self.steps, donate_argnums=0).lower(self.state, *arguments)
        rows = [each[: self.evaluation_rows] for each in self.data]
        evaluate = jax.jit(self.log_prob).lower(self.state[1], self.state[2], *rows)
        with ThreadPoolExecutor(2) as pool:
            self._train, self._evaluate = pool.map(lambda f: f.compile(), (train, evaluate))

    def run(self, rates, key):
        """Mean loss of these steps."""
        self.state, losses = self._train(self.state, jnp.asarray(rates, "float32"), key, self.data)
        return float(losses.mean())

    def nll(self, average, data):
        """-log p of the averaged weights, in nats `[n]`, for as many rows as are evaluated."""
        size = self.evaluation_rows
        parts = [[each[i : i + size] for each in data] for i in range(0, len(data[0]), size)]
        values = [self._evaluate(average, self.state[2], *map(jnp.asarray, part)) for part in parts]
        return -np.concatenate(values)

    def bits_per_dim(self, nll):
        """Mean of nats `[n]` in bits per dimension."""
        return float(np.mean(nll) / (self.dims * math.log(2)))

    def put(self, average):
        """Give the averaged weights to the float32 model."""
        for variable, value in zip(self.exact_flow.trainable_variables, average, strict=True):
            variable.assign(value)
        others = zip(self.exact_flow.non_trainable_variables, self.state[2], strict=True)
        for variable, value in others:
            variable.assign(value)


def rate_at(progress: float, steps: int, recipe: Recipe) -> float:
    """The rate of learning after a share of the time and a number of steps."""
    section = recipe.optimizer
    warmup = section.warmup_steps if isinstance(section.warmup_steps, int) else 300
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    share = section.final_fraction + (1 - section.final_fraction) * cosine
    return section.learning_rate * share * min(1.0, (steps + 1) / max(warmup, 1))


def limits(options, training, begin):
    """Seconds and steps of the training, which ends with what comes first."""
    seconds = options.seconds or math.inf
    if options.until:
        seconds = min(seconds, options.until - (begin - START))
    return seconds, math.inf if options.seconds else training.total_steps


def main() -> None:
    """Train, and write the log as it comes."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.no_flash:
        keras.config.disable_flash_attention()
    recipe = read_recipe(options.recipe, options.set)
    train, validation, held_out = read_splits(options.arrays, recipe)
    rows = math.gcd(EVALUATION_ROWS, len(validation[0]), len(held_out[0]))
    training = Training(recipe, train, rows)
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
    seconds, most_steps = limits(options, training, begin)
    report(event="training", within=str(seconds), steps=str(most_steps))
    best, kept, steps, last, losses = math.inf, None, 0, begin, []
    key, pace = jax.random.key(recipe.seed), 0.0
    while True:
        elapsed = time.monotonic() - begin
        is_last = elapsed + pace * options.steps >= seconds or steps >= most_steps
        if not is_last:
            numbers = range(steps, steps + options.steps)
            times = [(elapsed + pace * i) / seconds for i in range(options.steps)]
            shares = [max(t, n / most_steps) for t, n in zip(times, numbers, strict=True)]
            rates = [rate_at(s, n, recipe) for s, n in zip(shares, numbers, strict=True)]
            key, use = jax.random.split(key)
            losses.append(training.run(rates, use))
            steps += options.steps
            pace = (time.monotonic() - begin - elapsed) / options.steps
        if is_last or time.monotonic() - last >= options.report:
            last = time.monotonic()
            average = [jnp.copy(a) for a in training.state[1]]
            bits = training.bits_per_dim(training.nll(average, validation))
            train_bits = np.mean(losses) / (training.dims * math.log(2)) if losses else None
            epochs = steps * training.batch_size / len(train[0])
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
    test(training, kept, held_out, options, report, validation_bits=best)


def test(training, kept, data, options, report, **row):
    """Measure the kept weights on test rows, save them, and draw samples."""
    nll = training.nll(kept, data)
    error = float(nll.std(ddof=1) / math.sqrt(len(nll)))
    row |= {"test_bits": training.bits_per_dim(nll), "test_nll": float(nll.mean())}
    report(event="tested", test_nll_error=error, **row)
    training.put(kept)
    flow = training.exact_flow
    flow.save_weights(options.out / "model.weights.h5")
    report(event="saved", bytes=(options.out / "model.weights.h5").stat().st_size)
    if options.samples:
        write_samples(flow, options, report)
    if options.draws:
        count = len(data[0])
        some = np.linspace(0, count - 1, min(options.rows, count)).astype(int)
        rows = [each[some] for each in data]
        size = training.evaluation_rows if flow.is_discrete else None
        bound = -np.asarray(flow.log_prob(*rows, num_draws=options.draws, batch_size=size))
        report(
            event="bounded",
            draws=options.draws,
            rows=len(some),
            nll=float(bound.mean()),
            nll_error=float(bound.std(ddof=1) / math.sqrt(len(some))),
            neg_elbo=float(nll[some].mean()),
        )


def write_samples(flow, options, report):
    """Samples as samples.npz, and the seconds of the second call, which compiles nothing."""
    condition, samples = None, {}
    if flow.condition_shape is not None:
        (classes,) = flow.condition_shape
        condition = np.eye(classes, dtype="float32")[np.arange(options.samples) % classes]
    for strength in options.guidance:
        guidance = {"guidance": strength} if strength else {}
        for seed in (0, 1):
            begin = time.monotonic()
            drawn = np.asarray(flow.sample(options.samples, condition, seed=seed, **guidance))
        seconds = round(time.monotonic() - begin, 3)
        samples[f"guidance_{strength:g}"] = drawn.astype("uint8")
        report(event="sampled", samples=options.samples, guidance=strength, seconds=seconds)
    np.savez_compressed(options.out / "samples.npz", **samples)


if __name__ == "__main__":
    main()
