"""`scripts/benchmark fit-overhead`: `fit` over the bare compiled step, on the same flow.

The bare step takes one batch that lies on the device already, again and again. One process per
backend and case runs both in turn, some epochs at a time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.cases import find_case
from benchmarks.worker import limit_threads

# Steps of an epoch, and epochs of a round, for about two seconds.
LENGTHS = {"realnvp-tiny": (400, 20), "realnvp-moons": (200, 5), "realnvp-43": (40, 2)}
MODES = {"jax": ["XLA"], "tensorflow": ["graph", "XLA"]}


def parse(arguments) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="scripts/benchmark fit-overhead", description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(LENGTHS), choices=list(LENGTHS))
    parser.add_argument("--backends", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments) -> int:
    """Time each case in a process of its own, and print a table."""
    options = parse(arguments)
    if options.worker is not None:
        print(json.dumps(_time(json.loads(options.worker))))
        return 0
    print("| case | backend | bare step, ms | `fit`, ms per step | over the step | steps a call |")
    print("|---|---|---|---|---|---|")
    for case in options.cases:
        for backend in options.backends:
            for mode in MODES[backend]:
                print(_row(case, backend, mode, options), flush=True)
    return 0


def _row(case, backend, mode, options):
    request = {"case": case, "mode": mode, "rounds": options.rounds, "threads": options.threads}
    command = [sys.executable, Path(__file__).parents[1] / "benchmark", "fit-overhead"]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    answer = subprocess.run(
        [*command, "--worker", json.dumps(request)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    row = json.loads(answer.stdout.splitlines()[-1])
    return (
        f"| {case} | {backend}, {mode} | {row['bare']:.3f} | {row['fit']:.3f} | "
        f"{row['fit'] / row['bare']:.2f} | {row['steps']} |"
    )


def _time(request) -> dict:
    """Median milliseconds per step of both, and the steps of a call that `fit` chose."""
    limit_threads(request["threads"])
    import keras

    import tfflows

    case = find_case(request["case"])
    steps, epochs = LENGTHS[request["case"]]
    x = case.data(steps)
    keras.utils.set_random_seed(0)
    flow = tfflows.models.RealNVP((case.dims,), case.layers, case.hidden_units, normalization=None)
    flow.compile(keras.optimizers.Adam(case.learning_rate), jit_compile=request["mode"] == "XLA")

    class Steps(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.found = self.model.steps_per_execution

    noted = Steps()

    def fit():
        flow.fit(x, batch_size=case.batch_size, epochs=epochs, verbose=0, callbacks=[noted])

    fit()
    bare = _bare_steps(flow, x[: case.batch_size], request["mode"] == "XLA", steps * epochs)
    bare()
    times = {"bare": [], "fit": []}
    for _ in range(request["rounds"]):
        for name, run in (("bare", bare), ("fit", fit)):
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / steps / epochs * 1e3)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {**medians, "steps": noted.found}


def _bare_steps(flow, batch, jit, count):
    import keras

    batch = (keras.ops.convert_to_tensor(batch),)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        step = tf.function(flow.train_step, jit_compile=jit)

        def run():
            for _ in range(count):
                logs = step(batch)
            float(logs["loss"])

        return run
    import jax

    step = jax.jit(flow.train_step, donate_argnums=0)
    groups = (
        flow.trainable_variables,
        flow.non_trainable_variables,
        flow.optimizer.variables,
        flow.metrics_variables,
    )
    state = tuple([jax.numpy.array(v.value, copy=True) for v in group] for group in groups)

    def run():
        nonlocal state
        for _ in range(count):
            logs, state = step(state, batch)
        float(logs["loss"])

    return run
