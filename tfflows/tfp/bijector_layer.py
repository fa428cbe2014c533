"""A bijector of TensorFlow Probability as a flow layer."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.layers import FlowLayer
from tfflows.tfp.factory import Factory
from tfflows.tfp.substrate import probability


@keras.saving.register_keras_serializable(package="tfflows")
class TFPBijector(FlowLayer):
    """A `tfb.Bijector` as a layer, whose variables are the layer's weights.

        x = bijector.forward(z),   z = bijector.inverse(x)

    The bijector goes from latent to data, as in `tfd.TransformedDistribution(base, bijector)`, so
    that the layer's `call`, from data to latent, is its `inverse`. `layers.Invert` turns it around.

    Keras does not see a bijector's own tf.Variables. `make` takes them from
    `variable(name, initial)` instead, a tensor of the layer's weight of that name: `initial` is an
    array, or an initializer of Keras with `shape=`; `trainable=False` keeps it fixed. `make` is
    called in each call of the layer. A saved file holds its registered name: the module that
    registers it must be imported before the file is loaded.

    A `make` with a parameter `condition` gets the rows of conditions `[batch, *condition_shape]`
    there, and returns a bijector whose parameters have that batch axis first. It must keep the
    event's shape. A `make` without it does not depend on the flow's conditions.

    Args:
        make: registered function of `variable`, of `condition` where it has that parameter, and of
            `arguments` by name, that returns the bijector.
        arguments: values that JSON can hold, and Keras layers, whose weights train as well.

    Raises:
        ImportError: TensorFlow Probability is missing or too old.
        ValueError: `make` is not registered, makes variables of its own, takes a condition where
            the flow has none, or its bijector has no inverse or more axes per event than the data.

    Example:
        @keras.saving.register_keras_serializable(package="my_project")
        def sinh_arcsinh(variable):
            skewness = variable("skewness", np.zeros(2))
            tailweight = tf.exp(variable("log_tailweight", np.zeros(2)))
            return tfb.SinhArcsinh(skewness, tailweight)

        flow = tfflows.Flow([tfflows.tfp.TFPBijector(sinh_arcsinh)], event_shape=(2,))
    """

    def __init__(self, make: Callable, arguments: Mapping[str, Any] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.make = make
        self.arguments = dict(arguments or {})
        self._factory = Factory(self, make, self.arguments)

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        bijector = self._factory.build(condition_shape)
        self._check(bijector)
        self._latent_shape = self._tried(bijector)
        if self._factory.takes_condition and self._latent_shape != self.event_shape:
            raise ValueError(
                f"{self._factory.name} takes `condition`, and must keep the event's shape "
                f"{self.event_shape}. Received: a bijector to {self._latent_shape}"
            )

    def _tried(self, bijector):
        """The latents' shape, after both directions and log-dets of one row."""
        which = f"The bijector of {self._factory.name}, {bijector.name},"
        event_ndims = len(self.event_shape)
        try:
            latent_shape = tuple(int(n) for n in bijector.inverse_event_shape(self.event_shape))
            x = bijector.forward(ops.zeros((1, *latent_shape), self.compute_dtype))
            z = bijector.inverse(ops.add(x, 0))  # not that of its cache
            log_det = bijector.inverse_log_det_jacobian(ops.add(x, 0), event_ndims=event_ndims)
        except NotImplementedError as error:
            raise ValueError(
                f"{which} must have both directions and a log-det. Received: {error}"
            ) from error
        except Exception as error:  # TensorFlow's own, as of shapes that do not broadcast
            raise ValueError(
                f"{which} fails on data of event shape {self.event_shape} and dtype "
                f"{self.compute_dtype}: {error}"
            ) from error
        shapes = [tuple(x.shape), tuple(z.shape)]
        expected = [(1, *self.event_shape), (1, *latent_shape)]
        if shapes != expected or tuple(log_det.shape) not in ((), (1,)):
            raise ValueError(
                f"{which} must map one row to one row: data {expected[0]}, latents {expected[1]} "
                f"and a log-det (1,). Received: {shapes[0]}, {shapes[1]} and "
                f"{tuple(log_det.shape)}: do its parameters have more axes than an event, or other "
                "sizes?"
            )
        return latent_shape

    def _check(self, bijector):
        bijectors = probability().bijectors
        axes = getattr(bijector, "inverse_min_event_ndims", None)
        if not isinstance(bijector, bijectors.Bijector) or not isinstance(axes, int | np.integer):
            raise ValueError(
                f"{self._factory.name} must return a bijector of {bijectors.__name__}, of one "
                f"tensor. Received: {bijector!r}"
            )
        if int(axes) > len(self.event_shape):
            raise ValueError(
                f"The bijector of {self._factory.name}, {bijector.name}, expects events of at "
                f"least {axes} axes. Received: data of event shape {self.event_shape}"
            )
        if not bijector._is_injective:
            raise ValueError(
                f"The bijector of {self._factory.name}, {bijector.name}, maps several latents to "
                "one point and has no inverse"
            )

    def latent_event_shape(self, event_shape):
        if self.built:
            return self._latent_shape
        if self._factory.takes_condition:
            return tuple(event_shape)
        return tuple(self._factory.of_initial_values().inverse_event_shape(event_shape))

    def data_event_shape(self, latent_shape):
        if self._factory.takes_condition:
            return tuple(latent_shape)
        return tuple(self._factory.of_initial_values().forward_event_shape(latent_shape))

    def _forward(self, x, condition=None, training=False):
        bijector = self._factory(condition)
        log_det = bijector.inverse_log_det_jacobian(x, event_ndims=len(self.event_shape))
        return bijector.inverse(x), self._per_row(log_det, x)

    def _inverse(self, z, condition=None, training=False):
        bijector = self._factory(condition)
        x = bijector.forward(z)
        log_det = bijector.forward_log_det_jacobian(z, event_ndims=len(self._latent_shape))
        return x, self._per_row(log_det, z)

    def _inverse_alone(self, z, condition=None, training=False):
        return self._factory(condition).forward(z)

    def _per_row(self, log_det, x):
        """A constant log-det comes without the batch axis."""
        return ops.broadcast_to(ops.cast(log_det, self.compute_dtype), (ops.shape(x)[0],))

    def get_config(self):
        make = keras.saving.serialize_keras_object(self.make)
        arguments = keras.saving.serialize_keras_object(dict(self.arguments))
        return {**super().get_config(), "make": make, "arguments": arguments}
