"""Latents that a VAE uses, and a warning where it uses hardly any."""

import warnings

import keras
from keras import ops

ACTIVE_VARIANCE = 1e-2
LEAST_SHARE = 0.05


class ActiveUnits(keras.metrics.Metric):
    """How many latents vary with x: those whose posterior mean has a variance above 0.01.

    (Burda et al. 2016, section 5.1, https://arxiv.org/abs/1509.00519.)

    Args:
        size: number of latents.
    """

    def __init__(self, size: int, name: str = "active_units"):
        super().__init__(name=name)
        self._count = self.add_weight(name="count", shape=(), initializer="zeros")
        self._sum = self.add_weight(name="sum", shape=(size,), initializer="zeros")
        self._squares = self.add_weight(name="squares", shape=(size,), initializer="zeros")

    def update_state(self, mean, sample_weight=None):
        """Take posterior means `[batch, *latent]`."""
        mean = ops.reshape(ops.cast(mean, self._sum.dtype), (-1, self._sum.shape[0]))
        self._count.assign_add(ops.cast(ops.shape(mean)[0], self._count.dtype))
        self._sum.assign_add(ops.sum(mean, axis=0))
        self._squares.assign_add(ops.sum(ops.square(mean), axis=0))

    def result(self):
        """The number of active units."""
        count = ops.maximum(self._count, 1.0)
        variance = self._squares / count - ops.square(self._sum / count)
        return ops.sum(ops.cast(variance > ACTIVE_VARIANCE, "float32"))


class WarnOfCollapse(keras.callbacks.Callback):
    """Warn at the end of a training where less than 5 % of the latents are active."""

    def on_epoch_end(self, epoch, logs=None):
        self._last = (logs or {}).get("active_units")

    def on_train_end(self, logs=None):
        last, size = getattr(self, "_last", None), self.model.num_latents
        if last is not None and last < LEAST_SHARE * size:
            warnings.warn(
                f"Only {last:.0f} of {size} latents vary with the data: the decoder ignores the "
                "others (posterior collapse). Raise kl_warmup_steps or free_bits, or make the "
                "decoder weaker",
                stacklevel=2,
            )
