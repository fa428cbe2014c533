"""Networks of the time and the state: the dynamics of continuous flows (Grathwohl et al. 2019)."""

import math
from collections.abc import Sequence

import keras
from keras import ops

LAYERS = ("concat", "concatsquash", "gated")


class _TimeLayer(keras.layers.Layer):
    """A layer y = W x + b that the time and the condition, `[batch, features]`, act on.

    | kind | |
    |---|---|
    | "concat" | y + B features |
    | "concatsquash" | y sigmoid(A features + a) + B features |
    | "gated" | (y + B features) sigmoid(G x + A features + a) |
    """

    def __init__(self, kind, make, units, zero=False, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind
        initializer = "zeros" if zero else "glorot_uniform"
        self.main = make(kernel_initializer=initializer, name="main")
        dense = {"dtype": self.dtype_policy}
        self.shift = keras.layers.Dense(
            units, use_bias=False, kernel_initializer=initializer, name="shift", **dense
        )
        self.gate = None if kind == "concat" else keras.layers.Dense(units, name="gate", **dense)
        self.gate_of_x = make(use_bias=False, name="gate_of_x") if kind == "gated" else None

    def build(self, x_shape, features_shape):
        for layer, shape in (
            (self.main, x_shape),
            (self.gate_of_x, x_shape),
            (self.shift, features_shape),
            (self.gate, features_shape),
        ):
            if layer is not None:
                layer.build(shape)

    def call(self, x, features):
        def along(values):
            return ops.reshape(values, (-1, *(1 for _ in x.shape[2:]), values.shape[-1]))

        y, shift = self.main(x), along(self.shift(features))
        if self.kind == "concat":
            return y + shift
        gate = along(self.gate(features))
        if self.kind == "concatsquash":
            return y * ops.sigmoid(gate) + shift
        return (y + shift) * ops.sigmoid(self.gate_of_x(x) + gate)


class _Dynamics(keras.layers.Layer):
    """dy/dt = network(t, y, condition), zero at first; a subclass makes the layers."""

    def __init__(self, units, kind, activation, **kwargs):
        super().__init__(**kwargs)
        units = list(units) if isinstance(units, list | tuple) else []
        if not units or any(not isinstance(u, int) or u < 1 for u in units):
            raise ValueError(f"hidden layers must be a list of positive widths. Received: {units}")
        if kind not in LAYERS:
            raise ValueError(f"kind must be one of {list(LAYERS)}. Received: {kind!r}")
        self.units = units
        self.kind = kind
        self.activation = activation
        self._activation = keras.activations.get(activation)

    def _make(self, units):
        """A function that makes a layer of `units` outputs from keyword arguments."""
        raise NotImplementedError(f"{type(self).__name__} does not define `_make`.")

    def build(self, x_shape, condition_shape=None):
        features = 1 if condition_shape is None else 1 + math.prod(condition_shape[1:])
        self.layers = []
        for i, units in enumerate([*self.units, x_shape[-1]]):
            layer = _TimeLayer(
                self.kind,
                self._make(units),
                units,
                zero=i == len(self.units),
                dtype=self.dtype_policy,
                name=f"layer_{i}",
            )
            layer.build(
                (*x_shape[:-1], x_shape[-1] if i == 0 else self.units[i - 1]), (None, features)
            )
            self.layers.append(layer)

    def call(self, x, time, condition=None):
        time = ops.cast(ops.reshape(time, (-1, 1)), x.dtype)
        features = ops.broadcast_to(time, (ops.shape(x)[0], 1))
        if condition is not None:
            flat = ops.reshape(condition, (-1, math.prod(condition.shape[1:])))
            features = ops.concatenate([features, ops.cast(flat, x.dtype)], axis=1)
        for layer in self.layers[:-1]:
            x = ops.cast(self._activation(layer(x, features)), x.dtype)
        return self.layers[-1](x, features)

    def compute_output_shape(self, x_shape, *_):
        return tuple(x_shape)


@keras.saving.register_keras_serializable(package="tfflows")
class DynamicsMLP(_Dynamics):
    """Dense layers on a state `[batch, dims]`, each acted on by the time and the condition.

    Args:
        hidden_units: widths of the hidden layers.
        kind: "concatsquash", "concat" or "gated": how the time acts (FFJORD, appendix B.1).
        activation: smooth, since the field is differentiated once for the density and once more
            for its gradient: "tanh", "softplus", "silu".
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (64, 64, 64),
        kind: str = "concatsquash",
        activation: str = "tanh",
        **kwargs,
    ):
        super().__init__(hidden_units, kind, activation, **kwargs)

    def _make(self, units):
        return lambda **kwargs: keras.layers.Dense(units, dtype=self.dtype_policy, **kwargs)

    def get_config(self):
        config = {"hidden_units": self.units, "kind": self.kind, "activation": self.activation}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="tfflows")
class DynamicsConvNet(_Dynamics):
    """3x3 convolutions on a state `[batch, height, width, channels]`, as `DynamicsMLP`.

    Args:
        filters: channels of the hidden layers.
        kind, activation: as there.
    """

    def __init__(
        self,
        filters: Sequence[int] = (64, 64, 64),
        kind: str = "concatsquash",
        activation: str = "softplus",
        **kwargs,
    ):
        super().__init__(filters, kind, activation, **kwargs)

    def _make(self, units):
        return lambda **kwargs: keras.layers.Conv2D(
            units, 3, padding="same", dtype=self.dtype_policy, **kwargs
        )

    def get_config(self):
        config = {"filters": self.units, "kind": self.kind, "activation": self.activation}
        return {**super().get_config(), **config}
