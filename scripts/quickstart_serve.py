"""Call the exported flow with only TensorFlow; see scripts/quickstart."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

folder = Path(sys.argv[1])
newest = max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda p: int(p.name))
model = tf.saved_model.load(newest)
reference = np.load(folder / "reference.npz")

log_prob = model.signatures["log_prob"](x=tf.constant(reference["x"]))["log_prob"].numpy()
samples = model.signatures["sample"](
    num_samples=tf.constant(4), seed=tf.constant([1, 2]), temperature=tf.constant(1.0)
)["x"]
error = np.abs(log_prob / reference["log_prob"] - 1).max()

assert "tfflows" not in sys.modules
assert error < 1e-5, f"served and live log_prob differ by {error:.1e} relative"
print(f"  log_prob of 8 test digits: {np.round(log_prob, 2)}")
print(f"  equal to the live model's within {error:.0e} relative; 4 samples of {samples.shape[1:]}")
