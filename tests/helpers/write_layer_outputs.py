"""Write the outputs of every layer of the table to the npz file that the first argument names."""

import sys

import numpy as np
from layer_table import CASES

from tfflows.backend.compilation import compile_method

outputs = {}
for case in CASES:
    layer = case.build()
    # Compiled as a whole: one operation at a time, JAX compiles each.
    forward = compile_method(layer, lambda x, layer=layer: layer.forward_and_log_det(x), jit=False)
    z, log_det = forward(case.data(4))
    outputs[f"{case.name}/z"] = np.asarray(z)
    outputs[f"{case.name}/log_det"] = np.asarray(log_det)
np.savez(sys.argv[1], **outputs)
