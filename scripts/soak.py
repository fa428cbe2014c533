"""Serve two models from one process for minutes, by several threads: equal answers, no growth.

    python scripts/soak.py [--minutes 10] [--threads 4] [MODEL ...]

MODEL is the folder of a SavedModel; savedmodels/realnvp-8gaussians and savedmodels/maf-8gaussians
without any. Every thread asks every signature of every model, for changing numbers of rows, and
each answer is compared with the first answer to the same request, bit by bit. The memory of the
process is printed each tenth of the time. Exits with 1 where an answer differs, or where memory
grows by more than 2% and 20 MB from the second tenth of the time to the last: what is allocated at
the first calls is no growth.
"""

import argparse
import itertools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

MODELS = ("savedmodels/realnvp-8gaussians", "savedmodels/maf-8gaussians")
SIZES = (1, 3, 16, 50, 200)
SEEDS = 4  # different requests of each signature and size
MAX_GROWTH, MAX_GROWTH_MB = 1.02, 20


class Soak:
    """Requests, their first answers, and what was found.

    Args:
        folders: of SavedModels, version folders.
    """

    def __init__(self, folders):
        self._signatures = [tf.saved_model.load(str(folder)).signatures for folder in folders]
        self._first = {}
        self.calls = 0
        self.differing = []
        self._lock = threading.Lock()

    def requests(self):
        """(model, signature, rows, seed) of every request."""
        for number, signatures in enumerate(self._signatures):
            yield from itertools.product([number], sorted(signatures), SIZES, range(SEEDS))

    def ask(self, request):
        """Answer a request, and compare the answer with the first."""
        number, name, rows, seed = request
        signature = self._signatures[number][name]
        rng = np.random.default_rng([rows, seed])
        specs = signature.structured_input_signature[1]
        inputs = {key: _value(key, spec, rows, rng) for key, spec in specs.items()}
        answer = {key: value.numpy() for key, value in signature(**inputs).items()}
        with self._lock:
            self.calls += 1
            first = self._first.setdefault(request, answer)
            if any(not np.array_equal(first[key], answer[key]) for key in answer):
                self.differing.append(request)


def _value(key, spec, rows, rng):
    """An input of a request: rows of a standard normal, seeds and a temperature."""
    if key == "num_samples":
        return tf.constant(rows)
    if key == "temperature":
        return tf.constant(0.9)
    shape = [rows if size is None else size for size in spec.shape]
    if spec.dtype.is_integer:
        return tf.constant(rng.integers(0, 2**31, shape).astype("int32"))
    return tf.constant(rng.normal(size=shape), spec.dtype)


def memory_mb():
    """Memory that the process holds now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def run(soak, threads, minutes):
    """Ask for a time from several threads; the memory at each tenth of it."""
    seconds = minutes * 60
    requests = list(soak.requests())
    for request in requests:  # what compiles does so here
        soak.ask(request)
    start = time.monotonic()
    print(f"{len(requests)} requests, {memory_mb():.0f} MB after the first of each", flush=True)

    def work(thread):
        order = np.random.default_rng(thread)
        while time.monotonic() - start < seconds and not soak.differing:
            soak.ask(requests[order.integers(len(requests))])

    memory = []
    with ThreadPoolExecutor(threads) as pool:
        working = [pool.submit(work, thread) for thread in range(threads)]
        for tenth in range(1, 11):
            time.sleep(max(0.0, start + seconds * tenth / 10 - time.monotonic()))
            memory.append(memory_mb())
            print(
                f"{time.monotonic() - start:6.0f} s  {soak.calls:>9,} calls  {memory[-1]:.1f} MB",
                flush=True,
            )
        for each in working:
            each.result()
    return memory


def main() -> None:
    """Run a soak and exit by what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    root = Path(__file__).parents[1]
    found = [sorted((root / model).glob("**/saved_model.pb")) for model in options.models]
    if not all(found):
        parser.error(f"Expected folders of SavedModels. Received: {options.models}")
    soak = Soak([paths[-1].parent for paths in found])
    memory = run(soak, options.threads, options.minutes)
    grown = memory[-1] - memory[1]
    print(f"{soak.calls:,} calls, {len(soak.differing)} differ, memory {grown:+.1f} MB")
    if soak.differing:
        print(f"An answer differs: {soak.differing[0]}")
    grows = memory[-1] > MAX_GROWTH * memory[1] and grown > MAX_GROWTH_MB
    if grows:
        print(f"Memory grew from {memory[1]:.1f} to {memory[-1]:.1f} MB")
    sys.exit(1 if soak.differing or grows else 0)


if __name__ == "__main__":
    main()
