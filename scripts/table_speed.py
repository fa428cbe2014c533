"""Rows per second of table flows on 1,000,000 x 15 rows in a Parquet file, and memory.

    python scripts/table_speed.py [--rows 1000000] [--steps 300] [--folder FOLDER]

fit: rows per second of training steps, first step left out; score: `log_prob` of the file in
chunks; sample: rows drawn in one loop over the columns, beside a loop that passes all columns
through the network at each of its steps, as a network without a running sum must. Peak memory of
the process is printed after each part: it does not grow with `--rows`.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from keras import ops

from tfflows import tables
from tfflows.backend import compilation

CHUNK = 100_000


def make_rows(random: np.random.Generator, count: int) -> pd.DataFrame:
    """Five reals, two of them positive, five whole numbers, five categories, of three causes."""
    cause = random.normal(size=(count, 3))
    mixed = cause @ np.random.default_rng(1).normal(size=(3, 15)) + random.normal(size=(count, 15))
    columns = {f"real{i}": mixed[:, i] for i in range(3)}
    columns |= {f"positive{i}": np.exp(mixed[:, 3 + i]) for i in range(2)}
    columns |= {f"count{i}": random.poisson(np.exp(mixed[:, 5 + i] / 2)) for i in range(5)}
    names = np.array(["red", "green", "blue", "grey"])
    columns |= {f"name{i}": names[np.digitize(mixed[:, 10 + i], [-2, 0, 1])] for i in range(5)}
    return pd.DataFrame(columns)


def write_rows(path: Path, count: int) -> None:
    """Write the rows in chunks, unless they are there."""
    if path.exists():
        return
    random, writer = np.random.default_rng(0), None
    for start in range(0, count, CHUNK):
        rows = make_rows(random, min(CHUNK, count - start))
        table = pa.Table.from_pandas(rows, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


class Clock(keras.callbacks.Callback):
    """Time of the steps after the first call of the compiled step."""

    def on_train_begin(self, logs=None):
        self.steps, self.start = 0, None

    def on_train_batch_end(self, batch, logs=None):
        if self.start is None:
            self.start = time.perf_counter()
        else:
            self.steps += 1
            self.end = time.perf_counter()


def sample_by_passes(flow: tables.TableFlow, count: int) -> float:
    """Seconds to draw rows by a whole pass for each column, as without a running sum."""
    network = flow.network
    columns, numbers = len(flow.schema), len(flow.fitted_encoder.marginals)
    order = np.arange(columns, dtype="int32")

    def step(codes, cells, seen, column, seed):
        terms = network.log_terms(codes, cells, seen * 0, order)  # the pass
        codes, z = network.draw(codes, cells, seen, column, seed)
        return codes, z, terms

    compiled = compilation.compile_method(flow, step, jit=False)

    def run(seed):
        codes = np.zeros((count, columns), "int32")
        cells = np.zeros((count, numbers, 4), "float32")
        for column in order:
            seen = np.ones((count, columns), "float32")
            seen[:, column] = 0
            arguments = codes, cells, seen, np.array([column]), np.array([seed, column], "int32")
            codes, z, _ = compiled(*map(ops.convert_to_tensor, arguments))
            codes, cells = ops.convert_to_numpy(codes), cells.copy()
            cells[:, :, 0] = ops.convert_to_numpy(z)

    run(0)
    start = time.perf_counter()
    run(1)
    return time.perf_counter() - start


def peak() -> float:
    """Peak memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Print a line of JSON per part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    path = options.folder / f"rows-{options.rows}.parquet"
    write_rows(path, options.rows)

    clock, start = Clock(), time.perf_counter()
    flow = tables.fit(path, max_steps=options.steps, batch_size=1024, verbose=2, callbacks=[clock])
    rate = clock.steps * 1024 / (clock.end - clock.start)
    facts = {
        "rows": options.rows,
        "fit_rows_per_second": rate,
        "seconds": time.perf_counter() - start,
    }
    print(json.dumps(facts | {"peak_mb": peak()}), flush=True)

    flow.log_prob(make_rows(np.random.default_rng(2), 4096))
    start, count, total = time.perf_counter(), 0, 0.0
    for cells in flow.schema.read(path):
        encoded = flow.fitted_encoder.encode(cells)
        seen = np.zeros(encoded.codes.shape, "float32")
        total += flow.log_prob_of_encoded(encoded, seen).sum(dtype="float64")
        count += len(encoded.codes)
    rate = count / (time.perf_counter() - start)
    facts = {"score_rows_per_second": rate, "nll": -total / count, "peak_mb": peak()}
    print(json.dumps(facts), flush=True)

    times = {"loop": [], "passes": []}
    flow.sample(4096, seed=0)
    for repeat in range(3):
        start = time.perf_counter()
        flow.sample(4096, seed=repeat)
        times["loop"].append(time.perf_counter() - start)
        times["passes"].append(sample_by_passes(flow, 4096))
    loop, passes = (float(np.median(seconds)) for seconds in times.values())
    facts = {"sample_rows_per_second": 4096 / loop, "by_passes": 4096 / passes}
    print(json.dumps(facts | {"ratio": passes / loop, "peak_mb": peak()}), flush=True)


if __name__ == "__main__":
    main()
