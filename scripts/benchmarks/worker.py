"""The process of one row: builds an adapter's model, then runs what stdin asks for.

    python -m benchmarks.worker '{"adapter": FILE, "case": NAME, "mode": NAME, ...}'

Each line of stdin is the name of an action; each answer is a line of JSON. Between two actions the
process waits for its next line, so that one process works at a time.
"""

import importlib.util
import json
import os
import resource
import sys
import time

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def limit_threads(threads: int) -> None:
    """Give the process `threads` cores; call it before a library is imported.

    XLA, in TensorFlow and in JAX, sizes its pool by the cores that the process may run on.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < threads:
            raise ValueError(f"--threads must be at most {len(cores)} cores. Received: {threads}")
        os.sched_setaffinity(0, cores[:threads])


def load_adapter(path: str):
    """The module in the file `path`, whatever its name, imported under its own name."""
    spec = importlib.util.spec_from_file_location("benchmark_adapter", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peak_megabytes() -> float:
    """The process's largest resident set so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def repeat(call, calls: int, seconds: float):
    """Call `calls` times, or fewer once `seconds` are over; the last result and the calls made."""
    end = time.perf_counter() + seconds
    made = 0
    while made == 0 or (made < calls and time.perf_counter() < end):
        result, made = call(), made + 1
    return result, made


def make_actions(subject, steps: int, calls: int, seconds: float) -> dict:
    """name -> function that runs it and returns how many iterations it made."""

    def training(train):
        def run():
            train(steps)
            return steps

        return run

    actions = {
        "train": training(subject.train),
        "log_prob": lambda: repeat(subject.log_prob, calls, seconds)[1],
        "sample": lambda: repeat(subject.sample, calls, seconds)[1],
    }
    if subject.bare_train is not None:
        actions["bare_train"] = training(subject.bare_train)
    return actions


def warm_up(subject, case, seconds: float, steps: int) -> float:
    """Compile everything, and refuse a model whose answers cannot be right.

    `fit` is compiled for the shape of its data and the steps of a call: it makes `steps` of them.

    Returns:
        Seconds of the first training step.
    """
    import numpy as np

    start = time.perf_counter()
    subject.train(1)
    first_step = time.perf_counter() - start
    subject.train(steps)
    if subject.bare_train is not None:
        subject.bare_train(2)
    calls = {"log_prob": subject.log_prob, "sample": subject.sample}
    results = {name: repeat(call, 3, seconds)[0] for name, call in calls.items()}
    expected = {"log_prob": (case.batch_size,), "sample": (case.batch_size, case.dims)}
    for name, result in results.items():
        if result.shape != expected[name] or not np.isfinite(result).all():
            raise ValueError(
                f"{name} must give finite numbers of shape {expected[name]}. "
                f"Received: shape {result.shape}, {np.isfinite(result).mean():.0%} finite"
            )
    return first_step


def main() -> None:
    """Serve the actions of one row until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to the log
    request = json.loads(sys.argv[1])
    on_gpu = request.get("device") == "gpu"
    if not on_gpu:
        limit_threads(request["threads"])

    from benchmarks.cases import find_case

    case = find_case(request["case"])
    steps, seconds = request["steps"], request["seconds"]
    start = time.perf_counter()
    adapter = load_adapter(request["adapter"])
    build = getattr(adapter, f"build_{case.architecture}")
    subject = build(case, request["mode"], case.data(steps))
    built = time.perf_counter() - start
    first_step = warm_up(subject, case, seconds, steps)
    actions = make_actions(subject, steps, request["calls"], seconds)
    ready = {
        "parameters": int(subject.parameters),
        "actions": list(actions),
        "start_seconds": time.perf_counter() - start,
        "first_step_seconds": built + first_step,
    }
    print(json.dumps(ready), file=answers)
    for line in sys.stdin:
        run = actions[line.strip()]
        start = time.perf_counter()
        iterations = run()
        milliseconds = 1000 * (time.perf_counter() - start) / iterations
        answer = {"milliseconds": milliseconds, "peak_megabytes": peak_megabytes()}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
