"""The base of distributions with one set of trainable parameters per class."""

import math

from keras import ops

from tfflows.distributions.distribution import Distribution


class ClassConditional(Distribution):
    """A distribution with trainable parameters, one set per class where `num_classes` is given.

    Labels arrive as the condition: integers `[batch]` or `[batch, 1]` in 0..num_classes-1, or
    one-hot rows `[batch, num_classes]`. Other integers have the density NaN.
    """

    def __init__(self, num_classes: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes must be positive or None. Received: {num_classes}")
        self.num_classes = num_classes

    def _add_parameter(self, name, shape, initializer):
        """A weight `[classes, *shape]`, with one class where there are no labels."""
        shape = (self.num_classes or 1, *shape)
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def _select(self, parameter, condition):
        """Rows of `[classes, *shape]` for each example, or one row for all."""
        if self.num_classes is None:
            return parameter[:1]
        if condition is None:
            raise ValueError(
                f"{type(self).__name__} has {self.num_classes} classes and expects labels "
                "[batch], or one-hot [batch, num_classes], as its condition. Received: none"
            )
        one_hot = self._one_hot(ops.convert_to_tensor(condition))
        rows = ops.matmul(one_hot, ops.reshape(parameter, (self.num_classes, -1)))
        return ops.reshape(rows, (-1, *parameter.shape[1:]))

    def _one_hot(self, condition):
        shape = tuple(condition.shape)
        if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1 and self.num_classes > 1):
            labels = ops.cast(ops.reshape(condition, (-1,)), "int32")
            one_hot = ops.one_hot(labels, self.num_classes, dtype=self.compute_dtype)
            known = ops.logical_and(labels >= 0, labels < self.num_classes)
            return ops.where(known[:, None], one_hot, ops.cast(math.nan, one_hot.dtype))
        if len(shape) != 2 or shape[1] != self.num_classes:
            raise ValueError(
                f"{type(self).__name__} expects labels [batch], or one-hot "
                f"[batch, {self.num_classes}]. Received: condition of shape {shape}"
            )
        return ops.cast(condition, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}
