"""Train, evaluate, sample and export a RealNVP of the digits; see scripts/quickstart."""

import sys
import time
from pathlib import Path

import keras
import numpy as np

import tfflows
from tfflows.evaluation import GaussianBaseline, evaluate, plots

EPOCHS, BATCH = 30, 64


def main(folder: Path):
    """Write flow.keras, samples.png, savedmodel/ and reference.npz into `folder`."""
    start = time.time()
    keras.utils.set_random_seed(0)
    train, info = tfflows.datasets.load_arrays("digits", "train")
    validation, _ = tfflows.datasets.load_arrays("digits", "validation")
    test, _ = tfflows.datasets.load("digits", "test")

    flow = tfflows.models.MultiScaleRealNVP(info.event_shape, quantization_levels=info.levels)
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * (len(train) // BATCH))
    flow.compile(keras.optimizers.Adam(schedule, clipnorm=5.0), jit_compile=True)
    flow.summary()
    # Whole batches only: XLA compiles once per batch size.
    train = train[: len(train) // BATCH * BATCH]
    best = keras.callbacks.EarlyStopping(
        "val_nll", mode="min", patience=EPOCHS, restore_best_weights=True
    )
    flow.fit(
        train, epochs=EPOCHS, batch_size=BATCH, validation_data=(validation,), callbacks=[best],
        verbose=2,
    )  # fmt: skip

    result = evaluate(flow, test.batch(info.size))
    gaussian = GaussianBaseline([train], discrete=True).evaluate(test.batch(info.size))
    print("\nDigits, test set (8x8, 17 levels):")
    print(f"  RealNVP            nll {-result.log_likelihood:7.2f} nats  {result}")
    print(f"  Gaussian baseline  nll {-gaussian.log_likelihood:7.2f} nats  {gaussian}")

    flow.save(folder / "flow.keras")
    plots.image_grid(flow.sample(100, seed=0, temperature=0.8), folder / "samples.png", levels=17)
    exported = flow.export(folder / "savedmodel")
    x = next(iter(test.batch(8))).numpy().astype("float32")
    reference = {"x": x, "log_prob": np.asarray(flow.log_prob(x))}
    np.savez(folder / "savedmodel" / "reference.npz", **reference)
    print(f"\nWrote {folder}/flow.keras, {folder}/samples.png and {exported}")
    print(f"Trained, evaluated and exported in {(time.time() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
