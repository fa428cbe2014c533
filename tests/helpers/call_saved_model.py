"""Serve SavedModels as a process that has only TensorFlow: arrays in and out by npz files.

Each line of standard input names, with tabs between: a SavedModel's folder, an npz file of
"<call>/<signature>/<input>" arrays, and the npz file to write. The answer is a line: "done", or
what went wrong.
"""

import sys


class _NoTfflows:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tfflows":
            raise ImportError(f"{name} is not for the serving process")


sys.meta_path.insert(0, _NoTfflows())

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def serve(folder, requests, answers):
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


for line in sys.stdin:
    try:
        serve(*line.rstrip("\n").split("\t"))
        answer = "done"
    except Exception as error:
        answer = f"{type(error).__name__}: {error}".replace("\n", " ")
    sys.stdout.write(answer + "\n")
    sys.stdout.flush()
