"""Answer requests of a SavedModel by eight threads, then by one, with TensorFlow alone.

Arguments: SavedModel folder, number of requests, npz with x `[n, *event]` and maybe condition.
Exits non-zero where an answer differs in any bit, or a seed's row depends on its batch.
"""

import sys

# TensorFlow imports Keras where it finds it; None is a package that cannot be imported.
sys.modules["tfflows"] = sys.modules["keras"] = None

import threading  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

THREADS = 8
SIZES = (1, 3, 8)

folder, count, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
signatures = tf.saved_model.load(folder).signatures
data = dict(np.load(path))
together = threading.Barrier(THREADS)


def request(i):
    """Request i: a signature and its inputs, rows or seeds from place i on."""
    size = SIZES[i % len(SIZES)]
    inputs = {key: np.roll(value, -i, axis=0)[:size] for key, value in data.items()}
    if i % 2:
        return "log_prob", inputs
    inputs["seeds"] = np.stack([np.arange(i, i + size), np.full(size, 7)], 1).astype("int32")
    del inputs["x"]
    return "sample_seeds", inputs


def answer(i):
    name, inputs = request(i)
    (value,) = signatures[name](**{key: tf.constant(v) for key, v in inputs.items()}).values()
    return value.numpy()


def answers_of(thread):
    """Every eighth request, begun when all threads are there."""
    together.wait()
    return {i: answer(i) for i in range(thread, count, THREADS)}


def main():
    with ThreadPoolExecutor(THREADS) as pool:  # first, so that the threads meet at what is compiled
        parts = list(pool.map(answers_of, range(THREADS)))
    found = {i: value for part in parts for i, value in part.items()}
    assert sorted(found) == list(range(count))
    differing = [i for i in found if not np.array_equal(found[i], answer(i))]
    assert not differing, f"{len(differing)} of {count} answers differ, the first: {differing[0]}"
    rows = {}  # of each seed: the same whatever else is in the batch, but for rounding
    for i in range(0, count, 2):
        for seed, row in zip(request(i)[1]["seeds"][:, 0], found[i], strict=True):
            np.testing.assert_allclose(rows.setdefault(seed, row), row, rtol=1e-4, atol=1e-4)
    assert sys.modules["tfflows"] is None
    assert not [name for name in sys.modules if name.startswith(("tfflows.", "keras."))]


main()
