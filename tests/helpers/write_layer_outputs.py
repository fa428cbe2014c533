"""Write the outputs of every layer of the table to the npz file that the first argument names."""

import sys

import numpy as np
from layer_table import CASES, build

outputs = {}
for case in CASES:
    z, log_det = build(case).forward_and_log_det(case.data(4))
    outputs[f"{case.name}/z"] = np.asarray(z)
    outputs[f"{case.name}/log_det"] = np.asarray(log_det)
np.savez(sys.argv[1], **outputs)
