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
            raise ValueError(f"--threads wants at most {len(cores)} cores. Received: {threads}")
        os.sched_setaffinity(0, cores[:threads])


def load_adapter(path: str):
    """The module in the file `path`, whatever its name, imported under a name of its own."""
    spec = importlib.util.spec_from_file_location("benchmark_adapter", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peak_megabytes() -> float:
    """The process's largest resident set so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def make_actions(subject, steps: int, calls: int) -> dict:
    """name -> (function, how many iterations it makes)."""

    def repeated(call):
        def run():
            for _ in range(calls):
                call()

        return run

    actions = {
        "train": (lambda: subject.train(steps), steps),
        "log_prob": (repeated(subject.log_prob), calls),
        "sample": (repeated(subject.sample), calls),
    }
    if subject.bare_train is not None:
        actions["bare_train"] = (lambda: subject.bare_train(steps), steps)
    return actions


def warm_up(subject, case) -> None:
    """Compile everything, and refuse a model whose answers cannot be right."""
    import numpy as np

    subject.train(2)
    if subject.bare_train is not None:
        subject.bare_train(2)
    for _ in range(3):
        results = {"log_prob": subject.log_prob(), "sample": subject.sample()}
    wanted = {"log_prob": (case.batch_size,), "sample": (case.batch_size, case.dims)}
    for name, result in results.items():
        if result.shape != wanted[name] or not np.isfinite(result).all():
            raise ValueError(
                f"{name} must give finite numbers of shape {wanted[name]}. "
                f"Received: shape {result.shape}, {np.isfinite(result).mean():.0%} finite"
            )


def main() -> None:
    """Serve the actions of one row until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to the log
    request = json.loads(sys.argv[1])
    limit_threads(request["threads"])

    from benchmarks.cases import find_case

    case = find_case(request["case"])
    steps, calls = request["steps"], request["calls"]
    start = time.perf_counter()
    adapter = load_adapter(request["adapter"])
    build = getattr(adapter, f"build_{case.architecture}")
    subject = build(case, request["mode"], case.data(steps))
    warm_up(subject, case)
    actions = make_actions(subject, steps, calls)
    ready = {
        "parameters": int(subject.parameters),
        "actions": list(actions),
        "start_seconds": time.perf_counter() - start,
    }
    print(json.dumps(ready), file=answers)
    for line in sys.stdin:
        run, iterations = actions[line.strip()]
        start = time.perf_counter()
        run()
        milliseconds = 1000 * (time.perf_counter() - start) / iterations
        answer = {"milliseconds": milliseconds, "peak_megabytes": peak_megabytes()}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
