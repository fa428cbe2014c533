"""Make a run, as of `tfflows train`, of a training by `scripts/train_for.py`.

    python scripts/run_from_weights.py zoo/recipes/vae-mnist.yaml FOLDER runs/vae-mnist \\
        --data-dir DATA [--set KEY=VALUE]

FOLDER has model.weights.h5 and metrics.jsonl, and may come from another machine. The run can be
evaluated, exported and taken into the zoo; it cannot be resumed. Give the `--set` of the training.
"""

import argparse
import json
import math
from pathlib import Path

from tfflows.runs.build import make_flow
from tfflows.runs.curve import CURVE
from tfflows.runs.data import RunData
from tfflows.runs.folder import RunFolder
from tfflows.runs.recipe import Recipe, read_recipe
from tfflows.runs.run import versions


def epochs_of(path: Path, dims: int) -> tuple[str, list[dict]]:
    """The device, and a line per validation as a run has it, with nats per event."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    nats = dims * math.log(2)
    device = next(line["device"] for line in lines if "device" in line)
    begin = next(line["seconds"] for line in lines if line.get("event") == "training")
    epochs = []
    for line in lines:
        if "validation_bits" not in line or "step" not in line:
            continue
        train = line["train_bits"]
        epochs.append(
            {
                "epoch": max(1, round(line["epoch"])),
                "step": line["step"],
                "nll": None if train is None else train * nats,
                "val_nll": line["validation_bits"] * nats,
                "seconds": round(line["seconds"] - begin, 1),
            }
        )
    return device, epochs


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("folder", type=Path, help="what train_for.py wrote")
    parser.add_argument("run", type=Path, help="a new folder")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the recipe")
    options = parser.parse_args()
    recipe = read_recipe(options.recipe, [*options.set, f"data.dir={options.data_dir}"])
    data = RunData.load(recipe)
    in_float32 = {**recipe.model_dump(), "backend": {"mixed_precision": False}}
    flow = make_flow(Recipe(**in_float32), data.info)
    flow.load_weights(options.folder / "model.weights.h5")
    device, epochs = epochs_of(options.folder / "metrics.jsonl", flow.dims)
    options.run.mkdir(parents=True)
    facts = {"data": data.describe(), "versions": {**versions(), "machine": f"one {device}"}}
    RunFolder(options.run).write(recipe, facts)
    (options.run / CURVE).write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    flow.save(options.run / "best.keras")
    print(options.run)


if __name__ == "__main__":
    main()
