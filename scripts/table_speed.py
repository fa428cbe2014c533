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
from tfflows.tables.number_head import NumberHead

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
    """Seconds to draw rows by a whole pass for each column."""
    network = flow.network
    columns, numbers = len(flow.schema), len(flow.fitted_encoder.marginals)

    def step(codes, cells, place, head_number, column, seed):
        embeddings = network.embed(codes, cells)
        before = ops.cumsum(embeddings, axis=1) - embeddings
        features = ops.take(network.trunk(network.start + before), column, axis=1)
        head = network.heads[head_number]
        return head.draw(place, features, seed)[:-1]

    # One compiled function for each column, as its head is known.
    steps = []
    for column in range(columns):
        head, place = int(network._head_of[column]), int(network._place_of[column])

        def one(codes, cells, seed, head=head, place=place, column=column):
            return step(codes, cells, place, head, column, seed)

        from tfflows.backend import compilation

        steps.append(compilation.compile_method(flow, one, jit=False))
    number_of = (
        np.cumsum([i in np.concatenate(_number_groups(network)) for i in range(columns)]) - 1
    )

    def run(seed):
        codes = np.zeros((count, columns), "int32")
        cells = np.zeros((count, numbers, 4), "float32")
        for column, function in enumerate(steps):
            results = function(
                ops.convert_to_tensor(codes),
                ops.convert_to_tensor(cells),
                ops.convert_to_tensor(np.array([seed, column], "int32")),
            )
            codes[:, column] = ops.convert_to_numpy(results[0])
            if len(results) == 2:
                cells[:, number_of[column], 0] = ops.convert_to_numpy(results[1])

    run(0)
    start = time.perf_counter()
    run(1)
    return time.perf_counter() - start


def _number_groups(network):
    pairs = zip(network.groups, network.heads, strict=True)
    return [group for group, head in pairs if isinstance(head, NumberHead)]


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
