"""How flows are trained: densities in tensors, objectives, and the trainer that `Flow` is."""
