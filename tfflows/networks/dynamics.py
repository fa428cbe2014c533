"""Networks of the time and the state: the dynamics of continuous flows (Grathwohl et al. 2019)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfflows.backend.activations import get_activation
from tfflows.backend.tensor_ops import sum_event, without_empty_batch
from tfflows.utils.legacy import refuse_replaced, upgrade_arguments

LAYERS = ("concat", "concatsquash", "gated")


def _with_waves(values, frequencies, lowest):
    """values, and their sines and cosines at lowest 2^k for k < frequencies, on the last axis."""
    if not frequencies:
        return values
    angles = ops.concatenate([lowest * 2**k * values for k in range(frequencies)], axis=-1)
    return ops.concatenate([values, ops.sin(angles), ops.cos(angles)], axis=-1)


def _polar(x):
    """log of the root mean square r of each row, `[batch, 1]`, in deviations that normal rows have
    there; and x / r."""
    dims = math.prod(x.shape[1:])
    squares = sum_event(ops.square(x)) / dims + 0.01  # which keeps the origin smooth
    log_norm = 0.5 * ops.log(squares)
    inverse = ops.exp(-log_norm)
    return math.sqrt(2 * dims) * log_norm[:, None], x * ops.reshape(
        inverse, (-1, *(1 for _ in x.shape[1:]))
    )


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
        self.gate: Any = (
            None if kind == "concat" else keras.layers.Dense(units, name="gate", **dense)
        )
        self.gate_of_x: Any = make(use_bias=False, name="gate_of_x") if kind == "gated" else None

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

    def __init__(
        self, units, kind, activation, frequencies, time_frequencies, polar_features, **kwargs
    ):
        refuse_replaced(type(self), kwargs)
        super().__init__(**kwargs)
        units = list(units) if isinstance(units, list | tuple) else []
        if not units or any(not isinstance(u, int) or u < 1 for u in units):
            raise ValueError(f"hidden layers must be a list of positive widths. Received: {units}")
        if kind not in LAYERS:
            raise ValueError(f"kind must be one of {list(LAYERS)}. Received: {kind!r}")
        if time_frequencies is None:
            time_frequencies = frequencies
        for name, number in (("frequencies", frequencies), ("time_frequencies", time_frequencies)):
            if not isinstance(number, int) or number < 0:
                raise ValueError(f"{name} must be at least 0. Received: {number!r}")
        self.units = units
        self.kind = kind
        self.activation = activation
        self.frequencies = frequencies
        self.time_frequencies = time_frequencies
        self.polar_features = polar_features
        self._activation: Any = get_activation(activation)

    def _make(self, units):
        """A function that makes a layer of `units` outputs from keyword arguments."""
        raise NotImplementedError(f"{type(self).__name__} does not define `_make`.")

    def build(self, x_shape, condition_shape=None):
        features = 1 + 2 * self.time_frequencies + self.polar_features
        if condition_shape is not None:
            features += math.prod(condition_shape[1:])
        inputs = 1 + 2 * self.frequencies + self.polar_features
        widths = [inputs * x_shape[-1], *self.units]
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
            layer.build((*x_shape[:-1], widths[i]), (None, features))
            self.layers.append(layer)
        self.gain: Any = None
        if self.polar_features:
            self.gain = keras.layers.Dense(
                x_shape[-1], kernel_initializer="zeros", dtype=self.dtype_policy, name="gain"
            )
            self.gain.build((None, features))

    def call(self, x, time, condition=None):
        time = ops.cast(ops.reshape(time, (-1, 1)), x.dtype)
        time = _with_waves(time, self.time_frequencies, math.pi)
        features = [ops.broadcast_to(time, (ops.shape(x)[0], time.shape[-1]))]
        if condition is not None:
            flat = ops.reshape(condition, (-1, math.prod(condition.shape[1:])))
            features.append(ops.cast(flat, x.dtype))
        y = _with_waves(x, self.frequencies, math.pi / 4)
        if self.polar_features:
            log_norm, direction = _polar(x)
            features.append(log_norm)
            y = ops.concatenate([y, direction], axis=-1)
        features = ops.concatenate(features, axis=1)
        for layer in self.layers[:-1]:
            y = ops.cast(self._activation(layer(y, features)), x.dtype)
        y = self.layers[-1](y, features)
        if not self.polar_features:
            return y
        gain = self.gain(features)
        return y + x * ops.reshape(gain, (-1, *(1 for _ in x.shape[2:]), gain.shape[-1]))

    def compute_output_shape(self, x_shape, *_):
        return tuple(x_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "kind": self.kind,
            "activation": self.activation,
            "frequencies": self.frequencies,
            "time_frequencies": self.time_frequencies,
            "polar_features": self.polar_features,
        }

    @classmethod
    def from_config(cls, config):
        return super().from_config(upgrade_arguments(cls, config))


@keras.saving.register_keras_serializable(package="tfflows")
class DynamicsMLP(_Dynamics):
    """Dense layers on a state `[batch, dims]`, each acted on by the time and the condition.

    Args:
        hidden_units: widths of the hidden layers.
        kind: "concatsquash", "concat" or "gated": how the time acts (FFJORD, appendix B.1).
        activation: smooth, since the field is differentiated once for the density and once more
            for its gradient: "tanh", "softplus", "silu".
        frequencies: octaves of sines and cosines of the state, from the period 8, and of the time,
            from the period 2, that go to the layers beside them (Tancik et al. 2020, section 6.1).
            Without, a network learns detail late: rings, spirals.
        time_frequencies: those of the time, if not as many.
        polar_features: whether the layers get |y| too, the first one y / |y| as well, and the field
            has a part y * gain, whose gain is a dense layer of the time, the condition and |y|.
            Between normal rows the field is of this kind, and near it from other rows of many
            elements.
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (64, 64, 64),
        kind: str = "concatsquash",
        activation: str = "tanh",
        frequencies: int = 0,
        time_frequencies: int | None = None,
        polar_features: bool = False,
        **kwargs,
    ):
        super().__init__(
            hidden_units, kind, activation, frequencies, time_frequencies, polar_features, **kwargs
        )

    def _make(self, units):
        return lambda **kwargs: keras.layers.Dense(units, dtype=self.dtype_policy, **kwargs)

    def get_config(self):
        return {**super().get_config(), "hidden_units": self.units}


@keras.saving.register_keras_serializable(package="tfflows")
class DynamicsConvNet(_Dynamics):
    """3x3 convolutions on a state `[batch, height, width, channels]`, as `DynamicsMLP`.

    Args:
        filters: channels of the hidden layers.
        kind, activation, frequencies, time_frequencies, polar_features: as there.
    """

    def __init__(
        self,
        filters: Sequence[int] = (64, 64, 64),
        kind: str = "concatsquash",
        activation: str = "softplus",
        frequencies: int = 0,
        time_frequencies: int | None = None,
        polar_features: bool = False,
        **kwargs,
    ):
        super().__init__(
            filters, kind, activation, frequencies, time_frequencies, polar_features, **kwargs
        )

    def _make(self, units):
        return lambda **kwargs: keras.layers.Conv2D(
            units, 3, padding="same", dtype=self.dtype_policy, **kwargs
        )

    def call(self, x, time, condition=None):
        if x.shape[0]:
            return super().call(x, time, condition)
        if len(time.shape) == 1 and time.shape[0] != 1:
            time = without_empty_batch(time)
        if condition is not None:
            condition = without_empty_batch(condition)
        return super().call(without_empty_batch(x), time, condition)[: ops.shape(x)[0]]

    def get_config(self):
        return {**super().get_config(), "filters": self.units}
