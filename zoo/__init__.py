"""Models and recipes: the wheel carries them as `tfflows.zoo.data`; the code is in tfflows/zoo."""
