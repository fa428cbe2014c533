"""The frame of a coupling layer: part of x sets the transform of the rest."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.tensor_ops import cut_far, sum_event, without_empty_batch
from tfflows.layers.flow_layer import FlowLayer
from tfflows.layers.partitions import make_partition
from tfflows.networks import MLP, ConvResNet, join_condition, joined_shape
from tfflows.transforms import Transform


class Coupling(FlowLayer):
    """Keep part of x `[batch, *event]`, and transform the rest elementwise given what is kept.

    The conditioner is any Keras layer from the kept part, with the condition joined to its last
    axis, to features; a Dense head, zero at first, makes the parameters of the transform from the
    features' last axis. A coupling so begins as the identity. A conditioner that has a method
    `make_head(size)` makes that layer itself, as `GlowNet` does.

    A vector of one element has no part to keep: the transform moves it by parameters that follow
    from the condition, or that are weights where there is none; a conditioner is not used then.

    A subclass gives the elementwise transform.

    Args:
        partition: "half" or "channel" (the last axis in two), "checkerboard" (alternating
            elements), or an array of booleans of the event's shape, True where x is kept; of tokens
            `[tokens, channels]` also an array `[tokens]`.
        parity: 0 or 1; 1 exchanges the kept and the moved part.
        conditioner: Keras layer, `[batch, kept]` -> `[batch, features]` for vectors,
            `[batch, height, width, channels]` -> `[batch, height, width, features]` for images,
            `[batch, kept tokens, channels]` -> `[batch, moved tokens, features]` for tokens.
            None gives an MLP, or a convolutional ResNet.
        checkpoint: whether training computes what is inside the conditioner again for the gradient,
            and does not keep it: less memory, more time. Not for conditioners that draw noise
            (dropout), which would draw other noise.
        input_limit: the conditioner sees the kept part cut at +- this; None does not cut it. Beyond
            the data it was trained on a network goes on in straight lines, each coupling throws
            what comes out farther for the next, and samples of deep stacks run away in places.
            With a limit that the data do not reach, the density of data stays as it is.

    Raises:
        ValueError: parity is neither 0 nor 1, or input_limit is not positive.
    """

    def __init__(
        self,
        partition: str | Sequence | np.ndarray = "half",
        parity: int = 0,
        conditioner: keras.layers.Layer | None = None,
        checkpoint: bool = False,
        input_limit: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if input_limit is not None and not input_limit > 0:
            raise ValueError(f"input_limit must be positive. Received: {input_limit!r}")
        if parity not in (0, 1):
            raise ValueError(f"parity must be 0 or 1. Received: {parity!r}")
        is_name = isinstance(partition, str)
        self.partition = partition if is_name else np.asarray(partition).tolist()
        self.parity = parity
        self.conditioner: Any = conditioner
        self.checkpoint = checkpoint
        self.input_limit = input_limit

    def _make_transform(self) -> Transform:
        """The transform of the moved elements; `event_shape` is known when it is called."""
        raise NotImplementedError(f"{type(self).__name__} does not define `_make_transform`.")

    def _embed(self, kept):
        """What the conditioner sees of the kept part."""
        return kept

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        self._transform = self._make_transform()
        self._split = make_partition(self.partition, self.parity, self.event_shape)
        size = self._transform.num_parameters * self._split.moved_shape[-1]
        self.parameters = None
        if self._split.kept_shape == (0,) and condition_shape is None:
            self.parameters = self.add_weight(name="parameters", shape=(size,), initializer="zeros")
            return
        if self.conditioner is None:
            network = MLP if len(self.event_shape) == 1 else ConvResNet
            self.conditioner = network(dtype=self.dtype_policy)
        kept = keras.KerasTensor((None, *self._split.kept_shape), self.compute_dtype)
        kept_shape = joined_shape(self._embed(kept).shape[1:], self.condition_shape)
        if not self.conditioner.built:
            self.conditioner.build((None, *kept_shape))
        inputs = keras.KerasTensor((None, *kept_shape), self.conditioner.compute_dtype)
        features = self.conditioner.compute_output_spec(inputs).shape
        moved_shape = self._split.moved_shape
        if tuple(features[1:-1]) != tuple(moved_shape[:-1]):
            raise ValueError(
                f"The conditioner must give features of shape {('batch', *moved_shape[:-1])} + "
                f"(features,). Received: {tuple(features)} from {self.conditioner}"
            )
        self.head = self._make_head(size)
        self.head.build(features)

    def _make_head(self, size):
        if hasattr(self.conditioner, "make_head"):
            return self.conditioner.make_head(size)
        settings = {"kernel_initializer": "zeros", "dtype": self.dtype_policy, "name": "head"}
        return keras.layers.Dense(size, **settings)

    def _parameters(self, kept, condition):
        if self.parameters is not None:
            shape = (ops.shape(kept)[0], *self.parameters.shape)
            return self._split_parameters(ops.broadcast_to(self.parameters, shape))
        seen = cut_far(kept) if self.input_limit is None else cut_far(kept, self.input_limit)
        inputs = join_condition(self._embed(seen), condition)
        may_be_empty = len(inputs.shape) > 2 and not inputs.shape[0]
        if may_be_empty:
            inputs = without_empty_batch(inputs)
        network = keras.remat(self._recomputed()) if self.checkpoint else self._network
        parameters = ops.cast(network(inputs), self.compute_dtype)
        if may_be_empty:
            parameters = parameters[: ops.shape(kept)[0]]
        return self._split_parameters(parameters)

    def _split_parameters(self, parameters):
        parameters = ops.split(parameters, self._transform.num_parameters, axis=-1)
        return [self._split.restrict(p) for p in parameters]

    def _network(self, inputs):
        return self.head(self.conditioner(inputs))

    def _recomputed(self):
        """The network, traced a second time, for the gradient, in the scope of the first."""
        is_xla = compilation.is_under_xla()

        def network(inputs):
            with compilation.xla_scope(is_xla):
                return self._network(inputs)

        return network

    def _forward(self, x, condition=None, training=False):
        kept, moved = self._split.split(x)
        parameters = self._parameters(kept, condition)
        moved, log_det = self._transform.forward(moved, parameters)
        return self._split.merge(kept, moved), sum_event(log_det)

    def _inverse(self, z, condition=None, training=False):
        kept, moved = self._split.split(z)
        parameters = self._parameters(kept, condition)
        moved, log_det = self._transform.inverse(moved, parameters)
        return self._split.merge(kept, moved), sum_event(log_det)

    def _constants(self):
        return self._split.constants

    def _structure_arguments(self):
        kind = [type(self._split).__name__, self._split.kept_shape, self._split.moved_shape]
        parity = self.parity if not self._split.constants else None
        return {"partition": kind, "parity": parity}

    def _can_be_scanned(self, inverse):
        # TensorFlow's recomputation has gradients of variables, not of what stands for them.
        return not self.checkpoint or keras.backend.backend() != "tensorflow"

    def get_config(self):
        return {
            **super().get_config(),
            "partition": self.partition,
            "parity": self.parity,
            "conditioner": keras.saving.serialize_keras_object(self.conditioner),
            "checkpoint": self.checkpoint,
            "input_limit": self.input_limit,
        }
