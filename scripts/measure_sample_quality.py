"""How many class-conditional samples a classifier of real images names right.

    KERAS_BACKEND=jax python scripts/measure_sample_quality.py zoo:tarflow-mnist --data mnist \\
        --data-dir ~/tensorflow_datasets --per-class 100 --guidance 0 0.5

A small convolutional network is trained on the training images, and its accuracy on the test images
is said. Then each line of JSON is of samples by one guidance: the share that is named as it was
asked for, and the share of which the network is unsure, whose largest probability is below 0.5.

In place of a model, samples.npz of `train_for.py --samples N --guidance ...` has drawn samples.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

import tfflows
from tfflows import datasets
from tfflows.evaluation import plots
from tfflows.flow import Flow
from tfflows.models import TarFlow

UNSURE = 0.5
CLASSES = 10


def make_classifier(image_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """A network of two convolutions of 32 and 64 filters and a dense layer."""
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def train_classifier(name: str, data_dir: str | None, epochs: int, seed: int) -> keras.Model:
    """A classifier of a data set's training images, which prints its accuracy on the test ones."""
    keras.utils.set_random_seed(seed)
    x, labels = images(name, "train", data_dir)
    model = make_classifier(x.shape[1:], int(labels.max()) + 1)
    steps = epochs * (len(x) // 128)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(x, labels, batch_size=128, epochs=epochs, verbose=0)
    return model


def images(name: str, split: str, data_dir: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Images `[n, height, width, channels]` and their classes `[n]`."""
    rows, _ = datasets.load_rows(name, split, True, data_dir=data_dir)
    return np.asarray(rows.x[:]), np.argmax(np.asarray(rows.condition[:]), axis=1)


def named(model: keras.Model, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Shares of images that are named right, and that the classifier is unsure of."""
    probabilities = model.predict(x, batch_size=500, verbose=0)
    return {
        "named_right": float((probabilities.argmax(axis=1) == labels).mean()),
        "unsure": float((probabilities.max(axis=1) < UNSURE).mean()),
    }


def samples_of(options: argparse.Namespace):
    """The guidance, samples and classes of each line; what draws them is loaded first."""
    if options.model.endswith(".npz"):
        with np.load(options.model) as arrays:
            for name in arrays:
                x = arrays[name]
                yield float(name.removeprefix("guidance_")), x, np.arange(len(x)) % CLASSES
        return
    flow = tfflows.load_model(options.model)
    if not isinstance(flow, Flow) or flow.condition_shape != (CLASSES,):
        raise SystemExit(f"Expected a flow given {CLASSES} one-hot classes: {options.model}")
    labels = np.tile(np.arange(CLASSES), options.per_class)
    for guidance in options.guidance:
        settings: dict = {"guidance": guidance} if isinstance(flow, TarFlow) else {}
        x = flow.sample(
            len(labels),
            np.eye(CLASSES, dtype="float32")[labels],
            seed=options.seed,
            temperature=options.temperature,
            batch_size=options.batch_size,
            **settings,
        )
        yield guidance, ops.convert_to_numpy(x), labels


def main() -> None:
    """Train, draw, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", help="zoo:NAME, a .keras file, a run or samples.npz")
    parser.add_argument("--data", required=True)
    parser.add_argument("--data-dir")
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--guidance", type=float, nargs="+", default=[0.0])
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=8, help="of the classifier")
    parser.add_argument("--batch-size", type=int, default=100, help="samples at once")
    parser.add_argument("--grid", type=Path, help="folder of pictures of 100 samples")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    classifier = train_classifier(options.data, options.data_dir, options.epochs, options.seed)
    x, labels = images(options.data, "test", options.data_dir)
    print(json.dumps({"of": "test images", **named(classifier, x, labels)}), flush=True)
    begin = time.perf_counter()
    for guidance, x, labels in samples_of(options):
        line = {"of": "samples", "number": len(x), "guidance": guidance}
        line |= {"temperature": options.temperature, **named(classifier, x, labels)}
        line["seconds"] = round(time.perf_counter() - begin, 1)
        print(json.dumps(line), flush=True)
        begin = time.perf_counter()
        if options.grid:
            options.grid.mkdir(parents=True, exist_ok=True)
            order = np.argsort(labels[:100], kind="stable")
            plots.image_grid(x[:100][order], options.grid / f"guidance-{guidance:g}.png")


if __name__ == "__main__":
    main()
