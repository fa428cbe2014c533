"""Trainings by `tfflows train` in processes of their own, and what came of them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

# Noise, clipping, averages, decay and 179 validation rows, which no number of devices divides.
RECIPE = """
format: 3
name: shared
seed: 3
data: {name: digits, conditional: true}
preprocessing: [{Logit: {alpha: 0.05}}]
model: {name: realnvp, arguments: {num_couplings: 1, hidden_units: [8]}}
optimizer: {warmup_steps: 2, weight_decay: 1e-3, clipnorm: 1, ema: 0.5}
training: {epochs: 2, batch_size: 64, steps_per_epoch: 5, validation_rows: 179}
"""


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return server.getsockname()[1]


def environments(backend: str, count: int) -> list[dict[str, str]]:
    """The environment of each of `count` processes that train together."""
    base = {**os.environ, "KERAS_BACKEND": backend}
    base.pop("TF_CONFIG", None)
    ports = [free_port() for _ in range(count)]
    addresses = [f"localhost:{port}" for port in ports]
    if count == 1:
        return [base]
    if backend == "tensorflow":
        cluster = {"worker": addresses}
        tasks = [{"type": "worker", "index": index} for index in range(count)]
        return [
            {**base, "TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks
        ]
    return [
        {
            **base,
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": addresses[0],
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        }
        for index in range(count)
    ]


def start(
    recipe: Path, folder: Path, backend: str, count: int, *arguments: str, **variables: str
) -> list[subprocess.Popen]:
    """`count` processes of `tfflows train`."""
    command = [sys.executable, "-m", "tfflows", "train", str(recipe), "--out", str(folder)]
    return [
        subprocess.Popen(
            [*command, "--no-report", *arguments],
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments(backend, count)
    ]


def finish(processes: list[subprocess.Popen], seconds: float = 300) -> list[str]:
    """What each printed, after all have ended without an error."""
    try:
        printed = [process.communicate(timeout=seconds)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, text in zip(processes, printed, strict=True):
        assert process.returncode == 0, f"exit {process.returncode}: {text[-6000:]}"
    return printed


def read_end(folder: Path) -> list[np.ndarray]:
    """All logs but the times, and the weights of both models."""
    import keras

    from tfflows import load_model

    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logs = [[value for key, value in row.items() if key != "seconds"] for row in rows]
    models = [load_model(folder / f"{name}.keras") for name in ("last", "best")]
    weights = [keras.ops.convert_to_numpy(w) for model in models for w in model.weights]
    return [np.asarray(logs), *weights]


def difference(end: list[np.ndarray], other: list[np.ndarray]) -> float:
    """The largest difference, relative where values are above 1; infinite where shapes differ."""
    if [a.shape for a in end] != [b.shape for b in other]:
        return float("inf")
    pairs = zip(end, other, strict=True)
    return max(float(np.max(np.abs(a - b) / np.maximum(np.abs(b), 1), initial=0)) for a, b in pairs)
