"""Serve a SavedModel as a process that has TensorFlow alone: arrays in and out by npz files.

Arguments: SavedModel folder, npz of "<call>/<signature>/<input>" arrays, npz to write.
"""

import sys


class _NoTfflows:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tfflows":
            raise ImportError(f"{name} is not for the serving process")


sys.meta_path.insert(0, _NoTfflows())

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

folder, requests, answers = sys.argv[1:]
model = tf.saved_model.load(folder)
calls = {}
for key, value in np.load(requests).items():
    call, signature, name = key.split("/")
    calls.setdefault((call, signature), {})[name] = tf.constant(value)
outputs = {}
for (call, signature), inputs in calls.items():
    for name, value in model.signatures[signature](**inputs).items():
        outputs[f"{call}/{name}"] = value.numpy()
outputs["signatures"] = np.array(sorted(model.signatures))
np.savez(answers, **outputs)
