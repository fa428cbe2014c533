"""Weights in TensorFlow's own checkpoints, `tf.train.Checkpoint` and `CheckpointManager`."""

import keras


class Checkpointed(keras.layers.Layer):
    """A layer whose weights stand in a `tf.train.Checkpoint` of it, wherever it keeps them.

    TensorFlow finds objects by attributes. It does not look into Keras' lists, in which a flow has
    its layers and networks theirs: a checkpoint would hold no weight of them and restore none,
    without a word.
    """

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        children = super()._trackable_children(save_type, **kwargs)
        if save_type == "checkpoint":
            for place, weight in enumerate(self.weights):
                children[f"weights_{place}_{weight.name}"] = weight
        return children
